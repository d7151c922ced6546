// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a driver does with a string that its user hands it.

use super::{
    compare,
    Class,
    Kind,
    ParseError,
    Verdict,
    Version, //
};

use core::fmt;

/// Why a text was refused.
///
/// It is shown in one line of printable ASCII, whatever the text was. A line about a string that
/// is well-formed names every reason.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap to put it on, and 304 bytes fit the stack of a system call"
)]
pub enum Refusal<'a> {
    /// It cannot be read.
    Unreadable(ParseError),
    /// It can be read and does not fit. The verdict has at least one reason.
    Incompatible(Verdict<'a>),
}

impl Refusal<'_> {
    /// Returns the best kind of migration that is possible: none.
    pub const fn kind(&self) -> Kind {
        Kind::None
    }

    /// Returns the class of the refusal: the first in the order of [`Class`] among its reasons.
    pub fn class(&self) -> Class {
        match self {
            Self::Unreadable(error) => error.class(),
            // There is a reason, by the invariant; the weakest class stands in for none.
            Self::Incompatible(verdict) => verdict.class().unwrap_or(Class::Parameter),
        }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Incompatible(verdict) => verdict.fmt(f),
        }
    }
}

impl core::error::Error for Refusal<'_> {}

/// Reads the string of a source, with or without a newline at its end, and weighs it against a
/// destination. What is not refused can be migrated [live](Kind::Live).
///
/// # Errors
///
/// As [`Version::parse`], and [`Refusal::Incompatible`] if [`compare`] finds a reason.
///
/// # Examples
///
/// ```
/// # let destination = migver::Version::parse(
/// #     b"migver:1,vendor=acme,model=nic,abi=1.0,stream=1:1-1,param.queues=le:4",
/// # )?;
/// let text = b"migver:1,vendor=acme,model=nic,abi=1.0,stream=1:1-1,param.queues=le:8\n";
/// let refusal = migver::check(text, &destination).unwrap_err();
///
/// assert_eq!(refusal.kind().name(), "none");
/// assert_eq!(refusal.class().errno_name(), "ERANGE");
/// assert_eq!(
///     refusal.to_string(),
///     "param.queues: source le:8, destination le:4: the destination is too small",
/// );
/// # Ok::<(), migver::ParseError>(())
/// ```
#[expect(
    clippy::result_large_err,
    reason = "the refusal is what the caller asked for; it is moved once"
)]
pub fn check<'a>(source_text: &'a [u8], destination: &Version<'a>) -> Result<(), Refusal<'a>> {
    let source = Version::parse(source_text).map_err(Refusal::Unreadable)?;
    let verdict = compare(&source, destination);
    if verdict.is_compatible() {
        Ok(())
    } else {
        Err(Refusal::Incompatible(verdict))
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_check)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::{
        Abi,
        Description,
        Invalid,
        Parameter,
        Rule,
        Stream, //
    };
    use super::*;

    const DESCRIPTION: Description<'static> = Description {
        vendor: "migdev",
        model: "serial",
        abi: Abi { major: 1, minor: 0 },
        stream: Stream {
            writes: 1,
            oldest: 1,
            newest: 1,
        },
        needs: &[],
        takes: &["fifo64"],
        parameters: &[Parameter {
            name: "ports",
            rule: Rule::Equal,
            value: 2,
        }],
        extensions: &[],
    };

    /// The class of the refusal of `text` by [`DESCRIPTION`].
    fn class(text: &[u8]) -> Result<Option<Class>, Invalid> {
        let destination = Version::new(&DESCRIPTION)?;
        Ok(check(text, &destination)
            .err()
            .map(|refusal| refusal.class()))
    }

    #[test]
    fn each_class_has_its_refusal() {
        let cases: [(&[u8], Option<Class>); 10] = [
            (
                b"migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:2",
                None,
            ),
            (
                b"migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,\
                  needs=fifo64,takes=fifo64,param.ports=eq:2\n",
                None,
            ),
            (b"", Some(Class::Malformed)),
            (&[b'a'; 4096], Some(Class::TooLong)),
            (
                b"migver:1,vendor=acme,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:2",
                Some(Class::OtherDevice),
            ),
            (
                b"migver:1,vendor=migdev,model=serial,abi=1.1,stream=1:1-1,param.ports=eq:2",
                Some(Class::Version),
            ),
            (
                b"migver:1,vendor=migdev,model=serial,abi=1.0,stream=2:1-2,param.ports=eq:2",
                Some(Class::Version),
            ),
            (b"migver:2,vendor=migdev", Some(Class::Version)),
            (
                b"migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,\
                  needs=dma,takes=dma,param.ports=eq:2",
                Some(Class::Feature),
            ),
            (
                b"migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:1",
                Some(Class::Parameter),
            ),
        ];
        for (text, expected) in cases {
            assert!(class(text) == Ok(expected));
        }
    }

    #[test]
    fn a_version_is_small_enough_for_a_kernel_stack() {
        assert!(size_of::<Version<'_>>() <= 256);
        assert!(size_of::<Refusal<'_>>() <= 512);
    }
}
