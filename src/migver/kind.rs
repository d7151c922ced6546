// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kinds of migration, of which a verdict names the best that is possible.

use core::fmt;

/// The best kind of migration that is possible between two devices.
///
/// There is no kind between the two. What a version string describes is the state of a device that
/// has been started: saving it to a file and restoring it takes the same stream and the same rules as
/// moving it to a running destination. A device without state needs no verdict, as it is created
/// anew.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// The state can be moved in no way.
    None,
    /// The state can be moved while the guest runs, and so also be saved and restored.
    Live,
}

impl Kind {
    /// Every kind, the least first.
    pub const ALL: [Self; 2] = [Self::None, Self::Live];

    /// Returns a short name for programs: one word of lower-case letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_kind)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::shown::shows;
    use super::*;

    #[test]
    fn names_are_short_and_in_order() {
        assert!(Kind::ALL.is_sorted());
        assert!(shows(&Kind::Live, "live"));
        assert!(shows(&Kind::None, "none"));
    }
}
