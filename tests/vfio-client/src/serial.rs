// SPDX-License-Identifier: GPL-2.0-only
//! The card's registers by name, and what the cases do with them again and again.
//!
//! PCI names are those of the PCI Local Bus Specification 3.0, UART names those of the 16550A.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::device::Device;
use crate::ktap::{check, Outcome};

/// The region of BAR 0.
pub const BAR0: u32 = 0;
/// The region of configuration space.
pub const CONFIG: u32 = 7;

/// Configuration space: command register.
pub const COMMAND: u64 = 0x04;
/// Command: answer to I/O.
pub const COMMAND_IO: u16 = 0x0001;
/// Command: may master the bus, and so send MSI.
pub const COMMAND_MASTER: u16 = 0x0004;
/// Command: never assert the interrupt pin.
pub const COMMAND_INTX_DISABLE: u16 = 0x0400;
/// Configuration space: status register.
pub const STATUS: u64 = 0x06;
/// Status: the device asks for an interrupt, whether or not the pin may say so.
pub const STATUS_INTERRUPT: u16 = 0x0008;
/// Configuration space: base address register 0.
pub const BAR0_REGISTER: u64 = 0x10;
/// Configuration space: the line that firmware routed the interrupt to; free storage.
pub const INTERRUPT_LINE: u64 = 0x3c;

/// Receive buffer (read), transmit holding (write), divisor low (divisor latch open).
pub const DATA: u64 = 0;
/// Interrupt enable, or divisor high (divisor latch open).
pub const IER: u64 = 1;
/// Interrupt identification (read), FIFO control (write).
pub const IIR_FCR: u64 = 2;
/// FCR: keep up to 16 characters each way.
pub const FCR_ENABLE: u8 = 0x01;
/// Line control.
pub const LCR: u64 = 3;
/// Modem control.
pub const MCR: u64 = 4;
/// Line status.
pub const LSR: u64 = 5;
/// Modem status.
pub const MSR: u64 = 6;
/// Scratch.
pub const SCR: u64 = 7;

/// IER: received data available, and FIFO timeout.
pub const IER_RX: u8 = 0x01;
/// IER: transmit holding register empty.
pub const IER_THRE: u8 = 0x02;
/// IER: line status.
pub const IER_LINE: u8 = 0x04;
/// IER: modem status.
pub const IER_MODEM: u8 = 0x08;
/// LCR: divisor latch access.
pub const LCR_DLAB: u8 = 0x80;
/// MCR: data terminal ready.
pub const MCR_DTR: u8 = 0x01;
/// MCR: request to send.
pub const MCR_RTS: u8 = 0x02;
/// MCR: output 2, which lets a PC's port drive its interrupt line.
pub const MCR_OUT2: u8 = 0x08;
/// MCR: internal loopback.
pub const MCR_LOOP: u8 = 0x10;
/// LSR: data ready.
pub const LSR_DR: u8 = 0x01;
/// LSR: overrun.
pub const LSR_OE: u8 = 0x02;
/// LSR: transmit holding register empty.
pub const LSR_THRE: u8 = 0x20;
/// LSR: transmitter empty.
pub const LSR_TEMT: u8 = 0x40;
/// IIR: nothing pending.
pub const IIR_NONE: u8 = 0x01;

/// One port of an open card.
#[derive(Clone, Copy)]
pub struct Port<'a> {
    device: &'a Device,
    region: u32,
    base: u64,
}

impl<'a> Port<'a> {
    /// The port with this number, 0 or 1.
    pub fn new(device: &'a Device, number: usize) -> Self {
        Port::at(device, BAR0, 8 * number as u64)
    }

    /// The port whose registers begin there, for a card that lays them out otherwise.
    pub fn at(device: &'a Device, region: u32, base: u64) -> Self {
        Port {
            device,
            region,
            base,
        }
    }

    /// Reads a register.
    ///
    /// # Errors
    ///
    /// What the read answers.
    pub fn get(&self, register: u64) -> Result<u8, Errno> {
        Ok(self.device.get::<1>(self.region, self.base + register)?[0])
    }

    /// Writes a register.
    ///
    /// # Errors
    ///
    /// What the write answers.
    pub fn set(&self, register: u64, value: u8) -> Result<(), Errno> {
        self.device.put(self.region, self.base + register, &[value])
    }

    /// Sends a text through the plug, character by character.
    ///
    /// # Errors
    ///
    /// What a write answers.
    pub fn send(&self, text: &[u8]) -> Result<(), Errno> {
        text.iter().try_for_each(|byte| self.set(DATA, *byte))
    }

    /// What has arrived, until nothing is left; at most `limit` characters.
    ///
    /// # Errors
    ///
    /// What a read answers.
    pub fn receive(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        while text.len() < limit && self.get(LSR)? & LSR_DR != 0 {
            text.push(self.get(DATA)?);
        }
        Ok(text)
    }

    /// Opens the gate between the port and its interrupt, and nothing else.
    ///
    /// # Errors
    ///
    /// What the write answers.
    pub fn open_gate(&self) -> Result<(), Errno> {
        self.set(MCR, MCR_OUT2)
    }

    /// Makes the port ask for an interrupt: its transmitter is empty, and it is to say so.
    ///
    /// # Errors
    ///
    /// What the write answers.
    pub fn assert_interrupt(&self) -> Result<(), Errno> {
        self.set(IER, IER_THRE)
    }

    /// Makes the port stop asking.
    ///
    /// # Errors
    ///
    /// What the write answers.
    pub fn deassert_interrupt(&self) -> Result<(), Errno> {
        self.set(IER, 0)
    }
}

/// Reads a 16-bit word of configuration space.
///
/// # Errors
///
/// What the read answers.
pub fn config16(device: &Device, at: u64) -> Result<u16, Errno> {
    device.get::<2>(CONFIG, at).map(u16::from_le_bytes)
}

/// Reads a 32-bit word of configuration space.
///
/// # Errors
///
/// What the read answers.
pub fn config32(device: &Device, at: u64) -> Result<u32, Errno> {
    device.get::<4>(CONFIG, at).map(u32::from_le_bytes)
}

/// Does what a driver does first: lets the card answer to I/O and master the bus, and opens the
/// interrupt gate of every port.
///
/// # Errors
///
/// What a write answers.
pub fn enable(device: &Device, ports: usize) -> Result<(), Errno> {
    let command = COMMAND_IO | COMMAND_MASTER;
    device.put(CONFIG, COMMAND, &command.to_le_bytes())?;
    (0..ports).try_for_each(|number| Port::new(device, number).open_gate())
}

/// An eventfd that the device signals or listens to.
pub struct Signal(EventFd);

impl Signal {
    /// A new one, not signalled.
    ///
    /// # Errors
    ///
    /// What eventfd(2) answers.
    pub fn new() -> Result<Self, Errno> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        EventFd::from_value_and_flags(0, flags).map(Signal)
    }

    /// Its descriptor.
    pub fn fd(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Signals it.
    ///
    /// # Errors
    ///
    /// What write(2) answers.
    pub fn send(&self) -> Result<(), Errno> {
        self.0.write(1).map(|_| ())
    }

    /// How often it was signalled since the last look, after waiting this long for a first time.
    ///
    /// # Errors
    ///
    /// What poll(2) and read(2) answer.
    pub fn taken(&self, wait: Duration) -> Result<u64, Errno> {
        let timeout = PollTimeout::try_from(wait).map_err(|_| Errno::EINVAL)?;
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout)? {
            0 => Ok(0),
            _ => self.0.read(),
        }
    }

    /// Checks that it was signalled this many times, no more and no less.
    ///
    /// # Errors
    ///
    /// Fails the case with the text and both numbers otherwise.
    pub fn expect(&self, times: u64, when: &str) -> Outcome {
        // The device signals before the call that caused it returns, but an unmask that came
        // through an eventfd may run in a work queue: wait for what is wanted, and give what is
        // not wanted a moment to appear.
        let mut count = match times {
            0 => 0,
            _ => self.taken(Duration::from_secs(2))?,
        };
        count += self.taken(Duration::from_millis(15))?;
        check!(
            count == times,
            "{when}: signalled {count} times, want {times}"
        );
        Ok(())
    }
}
