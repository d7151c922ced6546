// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The classes of refusal, and the errno that tells each of them to a program.

use core::fmt;

/// Why a string was refused, in the terms of an errno.
///
/// The order of the variants is the order of precedence: when a refusal has reasons of several
/// classes, the least variant among them is the class of the whole.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// The string is longer than [`MAX_LEN`](super::MAX_LEN). What is in it was not looked at.
    TooLong,
    /// The string is not well-formed.
    Malformed,
    /// The string describes a device of another vendor or another model.
    OtherDevice,
    /// The schema, the guest-visible ABI or the stream version is outside what is accepted.
    Version,
    /// A feature or an extension that the source requires is missing.
    Feature,
    /// A creation parameter does not fit.
    Parameter,
}

impl Class {
    /// Every class, in order of precedence.
    pub const ALL: [Self; 6] = [
        Self::TooLong,
        Self::Malformed,
        Self::OtherDevice,
        Self::Version,
        Self::Feature,
        Self::Parameter,
    ];

    /// Returns the positive Linux errno, as in `include/uapi/asm-generic/errno.h`.
    pub const fn errno(self) -> i32 {
        match self {
            Self::TooLong => 7,
            Self::Malformed => 22,
            Self::OtherDevice => 18,
            Self::Version => 71,
            Self::Feature => 95,
            Self::Parameter => 34,
        }
    }

    /// Returns the symbol of [`Class::errno`], such as `"EINVAL"`.
    pub const fn errno_name(self) -> &'static str {
        match self {
            Self::TooLong => "E2BIG",
            Self::Malformed => "EINVAL",
            Self::OtherDevice => "EXDEV",
            Self::Version => "EPROTO",
            Self::Feature => "EOPNOTSUPP",
            Self::Parameter => "ERANGE",
        }
    }

    /// Returns a short name for programs: one word of lower-case letters and `-`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::Malformed => "malformed",
            Self::OtherDevice => "other-device",
            Self::Version => "version",
            Self::Feature => "feature",
            Self::Parameter => "parameter",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_class)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn errnos_are_distinct() {
        for (index, class) in Class::ALL.iter().enumerate() {
            for other in Class::ALL.iter().skip(index + 1) {
                assert!(class.errno() != other.errno());
                assert!(class.errno_name() != other.errno_name());
                assert!(class.name() != other.name());
            }
        }
    }

    #[test]
    fn all_is_in_order_of_precedence() {
        assert!(Class::ALL.is_sorted());
    }
}
