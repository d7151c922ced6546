// SPDX-License-Identifier: GPL-2.0-only
//! A UART used by port I/O, without a driver: its FIFOs are filled and left so, and its registers set to values that are
//! others in each round. Everything that a program can read of it must be the same for as long as nobody touches it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt, //
};

// Registers, as offsets.
const DATA: u64 = 0; // RBR when read, THR when written
const IER: u64 = 1;
const IIR: u64 = 2;
const FCR: u64 = 2;
const LCR: u64 = 3;
const MCR: u64 = 4;
const LSR: u64 = 5;
const MSR: u64 = 6;
const SCR: u64 = 7;
// With the divisor latch access bit.
const DLL: u64 = 0;
const DLM: u64 = 1;

const FCR_ENABLE_AND_CLEAR: u8 = 0x07;
const LCR_8_BITS: u8 = 0x03;
const LCR_DLAB: u8 = 0x80;
const LSR_DR: u8 = 0x01;
const LSR_THRE: u8 = 0x20;
const LSR_TEMT: u8 = 0x40;

/// Characters that each FIFO holds.
const FIFO: u8 = 16;

/// What a program can read, besides the characters.
#[derive(Debug, PartialEq)]
struct Registers {
    ier: u8,
    iir: u8,
    lcr: u8,
    mcr: u8,
    lsr: u8,
    msr: u8,
    scr: u8,
    divisor: [u8; 2],
}

/// The UART and what it was filled with.
pub(crate) struct Uart {
    ports: File,
    base: u64,
    fill: u8,
    round: u8,
    left: Option<Registers>,
}

impl Uart {
    /// `ports` is `/dev/port`, `base` the UART's first I/O address. Each round leaves `fill` characters in it; what is more
    /// than [`FIFO`] waits in the transmitter while the receiver is full.
    pub(crate) fn new(ports: File, base: u64, fill: u8) -> Self {
        Self {
            ports,
            base,
            fill,
            round: 0,
            left: None,
        }
    }

    /// The current round, counted from 1.
    pub(crate) fn round(&self) -> u8 {
        self.round
    }

    fn get(&self, register: u64) -> io::Result<u8> {
        let mut value = [0];
        self.ports
            .read_exact_at(&mut value, self.base + register)
            .map(|()| value[0])
    }

    fn put(&self, register: u64, value: u8) -> io::Result<()> {
        self.ports.write_all_at(&[value], self.base + register)
    }

    /// Character number `index` of this round.
    fn character(&self, index: u8) -> u8 {
        self.round
            .wrapping_mul(37)
            .wrapping_add(index.wrapping_mul(5))
    }

    fn registers(&self) -> io::Result<Registers> {
        let lcr = self.get(LCR)?;
        self.put(LCR, lcr | LCR_DLAB)?;
        let divisor = [self.get(DLL)?, self.get(DLM)?];
        self.put(LCR, lcr)?;
        Ok(Registers {
            ier: self.get(IER)?,
            iir: self.get(IIR)?,
            lcr,
            mcr: self.get(MCR)?,
            lsr: self.get(LSR)?,
            msr: self.get(MSR)?,
            scr: self.get(SCR)?,
            divisor,
        })
    }

    /// Begins a round: sets the registers, fills the FIFOs, and notes what can be read then.
    ///
    /// Interrupts stay disabled, as nobody would serve them.
    pub(crate) fn fill(&mut self) -> io::Result<Result<(), String>> {
        self.round = self.round.wrapping_add(1);
        self.put(LCR, LCR_DLAB)?;
        self.put(DLL, self.round)?;
        self.put(DLM, !self.round)?;
        self.put(LCR, LCR_8_BITS | ((self.round & 7) << 3))?; // parity, as nothing depends on it
        self.put(IER, 0)?;
        self.put(FCR, FCR_ENABLE_AND_CLEAR | ((self.round & 3) << 6))?;
        self.put(MCR, self.round & 0x0f)?;
        self.put(SCR, self.round.wrapping_mul(91))?;
        for index in 0..self.fill {
            self.put(DATA, self.character(index))?;
        }
        self.registers()?; // clears what a read clears
        let left = self.registers()?;
        let wanted = match self.fill {
            0 => LSR_THRE | LSR_TEMT,
            1..=FIFO => LSR_DR | LSR_THRE | LSR_TEMT,
            _ => LSR_DR, // the transmitter holds the rest
        };
        let fault = (left.lsr != wanted).then(|| {
            format!(
                "round {}: with {} characters in the UART its LSR is {:#04x}, not {wanted:#04x}",
                self.round, self.fill, left.lsr
            )
        });
        self.left = Some(left);
        Ok(fault.map_or(Ok(()), Err))
    }

    /// Ends a round: what can be read must be as it was left, and the characters there, in order, with none after them.
    pub(crate) fn drain(&mut self) -> io::Result<Result<(), String>> {
        let now = self.registers()?;
        let mut got = Vec::new();
        while self.get(LSR)? & LSR_DR != 0 && got.len() < 256 {
            got.push(self.get(DATA)?);
        }
        let lsr = self.get(LSR)?;
        let wanted: Vec<u8> = (0..self.fill).map(|index| self.character(index)).collect();
        let round = self.round;
        Ok(if self.left.as_ref() != Some(&now) {
            Err(format!(
                "round {round}: left {:x?}, found {now:x?}",
                self.left
            ))
        } else if got != wanted {
            Err(format!("round {round}: left {wanted:x?}, found {got:x?}"))
        } else if lsr != LSR_THRE | LSR_TEMT {
            Err(format!(
                "round {round}: the LSR of the empty UART is {lsr:#04x}"
            ))
        } else {
            Ok(())
        })
    }
}
