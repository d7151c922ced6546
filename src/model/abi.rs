// SPDX-License-Identifier: GPL-2.0-only

//! The versions of what the guest sees.
//!
//! - **1.0** is the card that QEMU documents, with MSI.
//! - **1.1** adds a read-only register to configuration space in which the card names its version; see
//!   [`config`](super::config). A guest written for 1.0 does not look there and finds all that it knows.

/// A version of what the guest sees: `abi` in the `migration_version` string of the card.
///
/// A card has one from its creation on. It is no part of the state that is saved: a card that takes one in keeps its
/// own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Abi {
    /// 1.0
    V1_0,
    /// 1.1
    V1_1,
}

impl Abi {
    /// Every version, oldest first.
    pub const ALL: [Self; 2] = [Self::V1_0, Self::V1_1];

    /// The version of a card that nobody holds at an older one.
    pub const NEWEST: Self = Self::V1_1;

    /// The number before the dot.
    pub const fn major(self) -> u8 {
        1
    }

    /// The number after the dot.
    pub const fn minor(self) -> u8 {
        match self {
            Self::V1_0 => 0,
            Self::V1_1 => 1,
        }
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_abi)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn versions_ascend_up_to_the_newest() {
        for (version, minor) in Abi::ALL.into_iter().zip(0..) {
            assert_eq!((version.major(), version.minor()), (1, minor));
        }
        assert!(Abi::V1_0 < Abi::V1_1);
        assert_eq!(Abi::ALL.last(), Some(&Abi::NEWEST));
    }
}
