// SPDX-License-Identifier: GPL-2.0-only
//! Numbers through a TTY and back: 7 digits and a newline each, from 0 on. Since both ends know the whole sequence, each
//! byte that comes back is compared with the one that must come next; a byte that is lost, repeated, changed or out of order is
//! seen at once.

use std::{
    fs::File,
    io::{
        self,
        Read,
        Write, //
    },
};

/// Bytes of one number.
const WIDTH: u64 = 8;

/// How many bytes may be under way: more than a UART holds, so that it is never idle.
const WINDOW: u64 = 64;

/// The numbers that go out and come back.
pub(crate) struct Sequence {
    tty: File,
    /// Bytes.
    sent: u64,
    /// Bytes, all as expected as long as there was no fault.
    received: u64,
    /// Bytes that differed, after the first.
    further_faults: u64,
    broken: bool,
}

/// The sequence's byte number `at`.
fn byte(at: u64) -> u8 {
    let place = at % WIDTH;
    if place == WIDTH - 1 {
        return b'\n';
    }
    let digit = (0..WIDTH - 2 - place).fold(at / WIDTH, |rest, _| rest / 10) % 10;
    b"0123456789"[digit as usize]
}

impl Sequence {
    /// `tty` is in raw mode.
    pub(crate) fn new(tty: File) -> Self {
        Self {
            tty,
            sent: 0,
            received: 0,
            further_faults: 0,
            broken: false,
        }
    }

    /// Sends numbers until as many are under way as may be.
    pub(crate) fn send(&mut self) -> io::Result<()> {
        while self.under_way() + WIDTH <= WINDOW {
            let number: Vec<u8> = (self.sent..self.sent + WIDTH).map(byte).collect();
            self.tty.write_all(&number)?;
            self.sent += WIDTH;
        }
        Ok(())
    }

    /// Reads what came back and compares it; returns its length, or the sequence's first fault.
    pub(crate) fn receive(&mut self) -> io::Result<Result<usize, String>> {
        let mut buffer = [0; 256];
        let length = self.tty.read(&mut buffer)?;
        let mut fault = Ok(length);
        for (index, &got) in buffer[..length].iter().enumerate() {
            let wanted = byte(self.received);
            if self.received >= self.sent || got != wanted {
                if self.broken {
                    self.further_faults += 1;
                } else {
                    self.broken = true;
                    fault = Err(format!(
                        "at byte {} of number {}: {:?} expected, and {:?} came (of {} sent, {} had come)",
                        self.received % WIDTH,
                        self.received / WIDTH,
                        char::from(wanted),
                        String::from_utf8_lossy(&buffer[index..length]),
                        self.sent,
                        self.received,
                    ));
                }
            }
            self.received += 1;
        }
        Ok(fault)
    }

    /// How many numbers came back, each once and in order, unless there was a fault.
    pub(crate) fn numbers(&self) -> u64 {
        self.received / WIDTH
    }

    /// Bytes that were sent and did not come back.
    pub(crate) fn under_way(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Whether there are such bytes.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way() > 0
    }

    /// Bytes that differed besides the one in the fault that [`receive`](Self::receive) returned.
    pub(crate) fn further_faults(&self) -> u64 {
        self.further_faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_numbers_in_order() {
        let text: Vec<u8> = (0..24).map(byte).collect();
        assert_eq!(text, b"0000000\n0000001\n0000002\n");
        let at = 1_234_567 * WIDTH;
        let text: Vec<u8> = (at..at + WIDTH).map(byte).collect();
        assert_eq!(text, b"1234567\n");
    }
}
