// SPDX-License-Identifier: GPL-2.0-only

//! The record PORT: what is saved of one port, and the bytes that it takes.
//!
//! What a field may be is checked by the types that keep it, which is where its invariants stand.

use super::fifo::{
    Character,
    Fifo,
    FIFO_LEN, //
};
use crate::migration::stream::RecordError;

use core::slice;

/// The length in bytes of the fields before the characters.
const FIXED_LEN: usize = 13;

/// The greatest length in bytes: with both FIFOs full.
pub(super) const MAX_LEN: usize = FIXED_LEN + 3 * FIFO_LEN;

/// Every field with its offset and its size in bytes. The characters of the receiver follow, two bytes each, then
/// those of the transmitter, one byte each.
pub(super) const FIELDS: [(&str, usize, usize); 12] = [
    ("index", 0, 1),
    ("ier", 1, 1),
    ("fcr", 2, 1),
    ("lcr", 3, 1),
    ("mcr", 4, 1),
    ("lsr", 5, 1),
    ("msr", 6, 1),
    ("scr", 7, 1),
    ("divisor", 8, 2),
    ("thre", 10, 1),
    ("rx_count", 11, 1),
    ("tx_count", 12, 1),
];

/// The error of a field that has a value it cannot have.
pub(super) fn field(name: &'static str, value: u8, allowed: &'static str) -> RecordError {
    RecordError::Field {
        name,
        value: u32::from(value),
        allowed,
    }
}

/// Writes a byte to where the next goes.
fn put(free: &mut slice::IterMut<'_, u8>, byte: u8) {
    if let Some(to) = free.next() {
        *to = byte;
    }
}

/// What is saved of a port. It need not be a state that a port can be in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Port {
    /// As it reads, ETBEI included.
    pub(super) ier: u8,
    /// The bits that outlast the write.
    pub(super) fcr: u8,
    pub(super) lcr: u8,
    pub(super) mcr: u8,
    /// The error bits that the next read of LSR tells and clears; the other bits follow from the rest.
    pub(super) lsr: u8,
    /// The bits for changes that the next read of MSR tells and clears; the inputs follow from `mcr`.
    pub(super) msr: u8,
    pub(super) scr: u8,
    pub(super) divisor: u16,
    /// 1 if the transmitter asserts its interrupt: it is empty, and IIR has not told yet.
    pub(super) thre: u8,
    pub(super) receiver: Fifo,
    pub(super) transmitter: Fifo,
}

impl Port {
    /// The fields of port `index` in the order of the record, without those that count.
    fn fixed(&self, index: u8) -> [u8; FIXED_LEN] {
        let [divisor_low, divisor_high] = self.divisor.to_le_bytes();
        // A FIFO holds 16.
        let count = |fifo: &Fifo| u8::try_from(fifo.len()).unwrap_or(u8::MAX);
        [
            index,
            self.ier,
            self.fcr,
            self.lcr,
            self.mcr,
            self.lsr,
            self.msr,
            self.scr,
            divisor_low,
            divisor_high,
            self.thre,
            count(&self.receiver),
            count(&self.transmitter),
        ]
    }

    /// Writes the payload for port `index` to the front of `out`, and returns how many bytes it takes.
    pub(super) fn encode(&self, index: u8, out: &mut [u8; MAX_LEN]) -> usize {
        let Some((fixed, characters)) = out.split_first_chunk_mut::<FIXED_LEN>() else {
            return 0;
        };
        *fixed = self.fixed(index);
        let mut free = characters.iter_mut();
        for character in self.receiver.iter() {
            put(&mut free, character.value);
            put(&mut free, character.errors);
        }
        for character in self.transmitter.iter() {
            put(&mut free, character.value);
        }
        MAX_LEN.saturating_sub(free.len())
    }

    /// Reads a payload: the index of the port, and what was saved of it.
    pub(super) fn decode(payload: &[u8]) -> Result<(u8, Self), RecordError> {
        let (fixed, characters) =
            payload
                .split_first_chunk::<FIXED_LEN>()
                .ok_or(RecordError::Length {
                    expected: FIXED_LEN,
                })?;
        let [index, ier, fcr, lcr, mcr, lsr, msr, scr, divisor_low, divisor_high, thre, rx_count, tx_count] =
            *fixed;
        for (name, count) in [("rx_count", rx_count), ("tx_count", tx_count)] {
            if usize::from(count) > FIFO_LEN {
                return Err(field(name, count, "0x0 to 0x10"));
            }
        }
        let received_len = usize::from(rx_count).saturating_mul(2);
        let expected = FIXED_LEN
            .saturating_add(received_len)
            .saturating_add(usize::from(tx_count));
        let (received, waiting) = characters
            .split_at_checked(received_len)
            .filter(|_| payload.len() == expected)
            .ok_or(RecordError::Length { expected })?;

        let mut port = Self {
            ier,
            fcr,
            lcr,
            mcr,
            lsr,
            msr,
            scr,
            divisor: u16::from_le_bytes([divisor_low, divisor_high]),
            thre,
            receiver: Fifo::new(),
            transmitter: Fifo::new(),
        };
        for pair in received.chunks_exact(2) {
            if let [value, errors] = *pair {
                port.receiver.push(Character { value, errors });
            }
        }
        for value in waiting {
            port.transmitter.push(Character::good(*value));
        }
        Ok((index, port))
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_port)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::registers::LSR_OE;
    use super::super::uart::Uart;
    use super::super::PortCounters;
    use super::*;

    /// A port with FIFOs that are full, the second character a break, and an overrun.
    fn busy() -> Uart {
        let mut uart = Uart::new();
        uart.write(3, 0x03);
        uart.write(2, 0xc1);
        uart.write(0, b'a');
        uart.write(3, 0x43);
        uart.write(3, 0x03);
        for value in 0..30 {
            uart.write(0, value);
        }
        uart.write(3, 0x43);
        uart
    }

    #[test]
    fn the_fields_follow_one_another() {
        let mut at = 0;
        for (_, offset, size) in FIELDS {
            assert_eq!(offset, at);
            at += size;
        }
        assert_eq!(at, FIXED_LEN);
    }

    #[test]
    fn what_is_saved_is_what_is_restored() {
        for uart in [Uart::new(), busy()] {
            let saved = uart.save();
            let mut payload = [0; MAX_LEN];
            let len = saved.encode(1, &mut payload);
            let decoded = Port::decode(&payload[..len]);
            assert_eq!(decoded, Ok((1, saved.clone())));
            let restored = Uart::restore(saved).map(|mut restored| {
                assert_eq!(restored.counters(), PortCounters::new());
                restored.restore_counters(uart.counters());
                restored
            });
            assert_eq!(restored, Ok(uart));
        }
    }

    #[test]
    fn full_fifos_take_the_greatest_length() {
        let mut payload = [0; MAX_LEN];
        assert_eq!(busy().save().encode(0, &mut payload), MAX_LEN);
        assert_eq!(payload[5], LSR_OE);
        assert_eq!(payload[13..17], [b'a', 0, 0, 0x18]);
        assert_eq!(
            payload[45..],
            [14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]
        );
    }

    #[test]
    fn a_payload_of_another_length_is_refused() {
        let mut payload = [0; MAX_LEN];
        busy().save().encode(0, &mut payload);
        for len in FIXED_LEN..MAX_LEN {
            let expected = MAX_LEN;
            assert_eq!(
                Port::decode(&payload[..len]),
                Err(RecordError::Length { expected })
            );
        }
        let expected = FIXED_LEN;
        assert_eq!(
            Port::decode(&payload[..FIXED_LEN - 1]),
            Err(RecordError::Length { expected })
        );
    }

    #[test]
    fn a_line_that_is_not_at_rest_is_refused() {
        let mut saved = busy().save();
        saved.receiver.pop();
        assert!(Uart::restore(saved).is_err());
        let mut saved = busy().save();
        saved.mcr = 0x10;
        assert!(Uart::restore(saved).is_err());
    }
}
