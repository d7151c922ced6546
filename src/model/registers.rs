// SPDX-License-Identifier: GPL-2.0-only

//! The registers of a 16550A and their bits, under the names of the data sheet.
//!
//! Reference: Texas Instruments PC16550D data sheet (SNLS378), "Registers" and its table of register bits.

/// One of the eight places a port occupies in I/O space, without the divisor latch's double use of the first two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Register {
    /// 0: receiver buffer when read, transmitter holding register when written; divisor latch low byte with DLAB.
    Data,
    /// 1: interrupt enable; divisor latch high byte with DLAB.
    InterruptEnable,
    /// 2: interrupt identification when read, FIFO control when written.
    IdentificationOrFifo,
    /// 3: line control.
    LineControl,
    /// 4: modem control.
    ModemControl,
    /// 5: line status.
    LineStatus,
    /// 6: modem status.
    ModemStatus,
    /// 7: scratch.
    Scratch,
}

impl Register {
    /// The register at `offset`, of which only the three low bits count: a 16550A has three address pins.
    pub(super) fn at(offset: usize) -> Self {
        match offset & 7 {
            0 => Self::Data,
            1 => Self::InterruptEnable,
            2 => Self::IdentificationOrFifo,
            3 => Self::LineControl,
            4 => Self::ModemControl,
            5 => Self::LineStatus,
            6 => Self::ModemStatus,
            _ => Self::Scratch,
        }
    }
}

/// IER: enable received data available, and character timeout in FIFO mode.
pub(super) const IER_ERBFI: u8 = 0x01;
/// IER: enable transmitter holding register empty.
pub(super) const IER_ETBEI: u8 = 0x02;
/// IER: enable receiver line status.
pub(super) const IER_ELSI: u8 = 0x04;
/// IER: enable modem status.
pub(super) const IER_EDSSI: u8 = 0x08;
/// IER: the bits that exist; the others read 0.
pub(super) const IER_BITS: u8 = 0x0f;

/// IIR: no interrupt is pending.
pub(super) const IIR_NONE: u8 = 0x01;
/// IIR: both bits that say the FIFOs are enabled.
pub(super) const IIR_FIFO: u8 = 0xc0;

/// FCR: enable the FIFOs.
pub(super) const FCR_ENABLE: u8 = 0x01;
/// FCR: clear the receiver FIFO; clears itself.
pub(super) const FCR_CLEAR_RECEIVER: u8 = 0x02;
/// FCR: clear the transmitter FIFO; clears itself.
pub(super) const FCR_CLEAR_TRANSMITTER: u8 = 0x04;
/// FCR: the receiver's trigger level, as a number 0 to 3.
pub(super) const FCR_TRIGGER_SHIFT: u32 = 6;

/// LCR: word length select, 5 to 8 bits for 0 to 3.
pub(super) const LCR_WORD_LENGTH: u8 = 0x03;
/// LCR: set break.
pub(super) const LCR_BREAK: u8 = 0x40;
/// LCR: divisor latch access bit.
pub(super) const LCR_DLAB: u8 = 0x80;

/// MCR: data terminal ready.
pub(super) const MCR_DTR: u8 = 0x01;
/// MCR: request to send.
pub(super) const MCR_RTS: u8 = 0x02;
/// MCR: auxiliary output 1.
pub(super) const MCR_OUT1: u8 = 0x04;
/// MCR: auxiliary output 2.
pub(super) const MCR_OUT2: u8 = 0x08;
/// MCR: loopback mode.
pub(super) const MCR_LOOP: u8 = 0x10;
/// MCR: the bits that exist; the others read 0.
pub(super) const MCR_BITS: u8 = 0x1f;

/// LSR: data ready.
pub(super) const LSR_DR: u8 = 0x01;
/// LSR: overrun error.
pub(super) const LSR_OE: u8 = 0x02;
/// LSR: framing error.
pub(super) const LSR_FE: u8 = 0x08;
/// LSR: break interrupt.
pub(super) const LSR_BI: u8 = 0x10;
/// LSR: transmitter holding register, or FIFO, empty.
pub(super) const LSR_THRE: u8 = 0x20;
/// LSR: transmitter empty.
pub(super) const LSR_TEMT: u8 = 0x40;
/// LSR: in FIFO mode, an error somewhere in the receiver FIFO.
pub(super) const LSR_FIFO_ERROR: u8 = 0x80;

/// MSR: clear to send changed.
pub(super) const MSR_DCTS: u8 = 0x01;
/// MSR: data set ready changed.
pub(super) const MSR_DDSR: u8 = 0x02;
/// MSR: trailing edge of the ring indicator.
pub(super) const MSR_TERI: u8 = 0x04;
/// MSR: data carrier detect changed.
pub(super) const MSR_DDCD: u8 = 0x08;
/// MSR: the bits for changes.
pub(super) const MSR_DELTAS: u8 = 0x0f;
/// MSR: clear to send.
pub(super) const MSR_CTS: u8 = 0x10;
/// MSR: data set ready.
pub(super) const MSR_DSR: u8 = 0x20;
/// MSR: ring indicator.
pub(super) const MSR_RI: u8 = 0x40;
/// MSR: data carrier detect.
pub(super) const MSR_DCD: u8 = 0x80;
/// How far an input of MSR lies above its delta.
pub(super) const MSR_INPUT_SHIFT: u32 = 4;
