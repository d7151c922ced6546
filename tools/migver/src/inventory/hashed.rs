// SPDX-License-Identifier: GPL-2.0-only

//! Short names for texts that do not fit where they are to go.
//!
//! Such a text is told by the first 23 hexadecimal digits (92 bits) of its SHA-256, which anyone can compute:
//!
//! ```sh
//! printf %s TEXT | sha256sum | cut -c1-23
//! ```

use crate::Error;

use migver::{
    Marking,
    Rule,
    Version, //
};
use sha2::{
    Digest,
    Sha256, //
};

use std::collections::HashMap;

/// How many hexadecimal digits stand for a text.
pub const DIGITS: usize = 23;

/// Returns the digits that stand for a text, in lower case.
pub fn digits(text: &str) -> String {
    let mut digits = format!("{:x}", Sha256::digest(text));
    digits.truncate(DIGITS);
    digits
}

/// The texts for which digits stand in one output.
#[derive(Default)]
pub struct Hashed {
    texts: HashMap<String, String>,
    /// Two texts with the same digits.
    clash: Option<(String, String)>,
}

impl Hashed {
    /// Returns the digits that stand for a text, in lower case, and remembers it.
    pub fn digits(&mut self, text: &str) -> String {
        let digits = digits(text);
        self.remember(&digits, text);
        digits
    }

    fn remember(&mut self, digits: &str, text: &str) {
        let first = self
            .texts
            .entry(digits.to_owned())
            .or_insert_with(|| text.to_owned());
        if first != text {
            self.clash = Some((first.clone(), text.to_owned()));
        }
    }

    /// Looks whether each text has digits of its own. If not, the output, called `what`, is not to be written.
    ///
    /// # Errors
    ///
    /// Names two texts with the same digits.
    pub fn check(self, what: &str) -> Result<(), Error> {
        match self.clash {
            None => Ok(()),
            Some((one, other)) => Err(Error::new(
                what,
                format!("{one} and {other} have the same first {DIGITS} digits of SHA-256"),
            )),
        }
    }
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

    #[test]
    fn two_texts_with_the_same_digits_are_an_error() {
        let mut hashed = Hashed::default();
        assert_eq!(hashed.digits("abc"), hashed.digits("abc"));
        hashed.digits("abd");
        assert!(hashed.check("labels").is_ok());

        let mut hashed = Hashed::default();
        hashed.remember("0", "one");
        hashed.remember("0", "other");
        hashed.remember("0", "one");
        assert!(hashed.check("labels").is_err());
    }
}
