// SPDX-License-Identifier: GPL-2.0-only

//! Short names for texts that do not fit where they are to go.
//!
//! Such a text is told by the first 23 hexadecimal digits (92 bits) of its SHA-256, which anyone can compute:
//!
//! ```sh
//! printf %s TEXT | sha256sum | cut -c1-23
//! ```

use migver::{
    Marking,
    Rule,
    Version, //
};
use sha2::{
    Digest,
    Sha256, //
};

/// How many hexadecimal digits stand for a text.
pub const DIGITS: usize = 23;

/// Returns the digits that stand for a text, in lower case.
pub fn digits(text: &str) -> String {
    let mut digits = format!("{:x}", Sha256::digest(text));
    digits.truncate(DIGITS);
    digits
}

/// Returns what a source and a destination must have in common, whatever else they say: vendor, model, ABI major, the
/// creation parameters with their rules, and their values where the rule is `eq`; and all required extensions.
///
/// It is spelled as in a version string, without what need not be equal:
/// `vendor=V,model=M,abi=MAJOR,param.A=eq:2,param.B=le,ext.C=must:D`. Two versions of one family fit if and only if the
/// ABI minor, the stream versions, the features, and the values of the other parameters do.
pub fn family(version: &Version<'_>) -> String {
    let mut family = format!(
        "vendor={},model={},abi={}",
        version.vendor(),
        version.model(),
        version.abi().major
    );
    for parameter in version.parameters() {
        let (name, rule) = (parameter.name, parameter.rule.as_str());
        family.push_str(&match parameter.rule {
            Rule::Equal => format!(",param.{name}={rule}:{}", parameter.value),
            Rule::AtMost | Rule::AtLeast => format!(",param.{name}={rule}"),
        });
    }
    let required = |marking| marking == Marking::Required;
    for extension in version.extensions().filter(|item| required(item.marking)) {
        family.push_str(&format!(",{extension}"));
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(digits("abc"), &"ba7816bf8f01cfea414140de5dae2223"[..DIGITS]);
    }

    #[test]
    fn a_family_leaves_out_what_may_differ() {
        let text = "migver:1,vendor=v,model=m,abi=3.7,stream=3:1-7,needs=a,takes=a+b,\
                    param.p=eq:2,param.q=le:4096,ext.e=must:X,ext.f=may:y";
        let version = Version::parse(text.as_bytes()).unwrap();
        let expected = "vendor=v,model=m,abi=3,param.p=eq:2,param.q=le,ext.e=must:X";
        assert_eq!(family(&version), expected);
    }
}
