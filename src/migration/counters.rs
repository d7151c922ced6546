// SPDX-License-Identifier: GPL-2.0-only

//! What happened to a device, in numbers.

/// What happened since the device was created. A reset leaves it as it is; what would exceed a `u64` stays there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Bytes of streams that users have read.
    pub saved_bytes: u64,
    /// In how many pieces.
    pub saved_chunks: u64,
    /// Bytes of streams that users have written and that were not refused.
    pub loaded_bytes: u64,
    /// In how many pieces.
    pub loaded_chunks: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Changes of state that were refused, and streams, each of these once.
    pub refusals: u64,
}

impl Counters {
    /// Nothing has happened.
    pub(super) const fn new() -> Self {
        Self {
            saved_bytes: 0,
            saved_chunks: 0,
            loaded_bytes: 0,
            loaded_chunks: 0,
            sessions: 0,
            refusals: 0,
        }
    }

    /// Counts a piece that was read, unless it is empty.
    pub(super) fn saved(&mut self, bytes: usize) {
        count(&mut self.saved_bytes, &mut self.saved_chunks, bytes);
    }

    /// Counts a piece that was written, unless it is empty.
    pub(super) fn loaded(&mut self, bytes: usize) {
        count(&mut self.loaded_bytes, &mut self.loaded_chunks, bytes);
    }

    /// Counts a session.
    pub(super) fn session(&mut self) {
        self.sessions = self.sessions.saturating_add(1);
    }

    /// Counts a refusal.
    pub(super) fn refusal(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
    }
}

/// Adds a piece of `more` bytes.
fn count(bytes: &mut u64, chunks: &mut u64, more: usize) {
    *bytes = bytes.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
    *chunks = chunks.saturating_add(u64::from(more > 0));
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migration_counters)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn a_piece_counts_unless_it_is_empty() {
        let mut counters = Counters::new();
        for bytes in [0, 5, 0, 7] {
            counters.saved(bytes);
        }
        counters.loaded(1);
        assert!((counters.saved_bytes, counters.saved_chunks) == (12, 2));
        assert!((counters.loaded_bytes, counters.loaded_chunks) == (1, 1));
    }

    #[test]
    fn a_counter_stays_at_its_end() {
        let mut counters = Counters {
            saved_bytes: u64::MAX,
            refusals: u64::MAX,
            ..Counters::new()
        };
        counters.saved(1);
        counters.refusal();
        assert_eq!(counters.saved_bytes, u64::MAX);
        assert_eq!(counters.refusals, u64::MAX);
    }
}
