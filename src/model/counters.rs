// SPDX-License-Identifier: GPL-2.0-only

//! What a port counts, and the record COUNTERS, which has it of all ports.
//!
//! A guest sees none of it. It is for who looks after the host.

/// How many characters went through the plug of a port, and how many got lost, since power-on.
///
/// Both wrap around at 2^64. They travel with the card from version 2 of the stream on; a card that was loaded from
/// version 1 counts from 0.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PortCounters {
    /// Characters that were sent through the plug and that the receiver took in. Those of loopback mode do not go
    /// through the plug, and those that are sent in a break do not arrive.
    pub passed: u64,
    /// Characters lost to overrun: in FIFO mode those that came, in 16450 mode those that were not read in time. The
    /// NUL of a break is one as well.
    pub overrun: u64,
}

/// The length in bytes of what the record COUNTERS has of one port.
pub(super) const LEN: usize = 16;

/// Every field of one port with its offset and its size in bytes.
pub(super) const FIELDS: [(&str, usize, usize); 2] = [("passed", 0, 8), ("overrun", 8, 8)];

impl PortCounters {
    /// At power-on.
    pub(super) const fn new() -> Self {
        Self {
            passed: 0,
            overrun: 0,
        }
    }

    /// Counts a character that went through the plug.
    pub(super) fn pass(&mut self) {
        self.passed = self.passed.wrapping_add(1);
    }

    /// Counts a character that is lost.
    pub(super) fn lose(&mut self) {
        self.overrun = self.overrun.wrapping_add(1);
    }

    /// As they are saved, field by field.
    pub(super) fn encode(self) -> [[u8; 8]; FIELDS.len()] {
        [self.passed.to_le_bytes(), self.overrun.to_le_bytes()]
    }

    /// As they were saved. Any number is one that was counted.
    pub(super) fn decode(bytes: &[u8; LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
        Self {
            passed: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            overrun: u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        }
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_counters)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn the_fields_follow_one_another() {
        let mut at = 0;
        for (_, offset, size) in FIELDS {
            assert_eq!(offset, at);
            at += size;
        }
        assert_eq!(at, LEN);
    }

    #[test]
    fn a_number_is_saved_with_its_lowest_byte_first() {
        let counters = PortCounters {
            passed: 0x0807_0605_0403_0201,
            overrun: 0x100f_0e0d_0c0b_0a09,
        };
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(*counters.encode().as_flattened(), bytes);
        assert_eq!(PortCounters::decode(&bytes), counters);
    }

    #[test]
    fn a_counter_wraps_around() {
        let mut counters = PortCounters::decode(&[0xff; LEN]);
        counters.pass();
        assert_eq!([counters.passed, counters.overrun], [0, u64::MAX]);
        counters.lose();
        assert_eq!(counters, PortCounters::new());
    }
}
