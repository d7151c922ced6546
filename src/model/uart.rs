// SPDX-License-Identifier: GPL-2.0-only

//! One port: a 16550A with a loopback plug on its connector.
//!
//! The chip is the PC16550D of its data sheet (Texas Instruments SNLS378), programmed through eight byte-wide
//! registers. What the data sheet leaves open, or what follows from there being no real line, is settled here:
//!
//! - **Line time is zero.** A character moves as soon as it can, whatever the divisor latch says. So nothing is ever
//!   under way, and the condition for a character timeout, that nothing moved for four character times, holds at
//!   once: in FIFO mode a receiver that is not empty and below its trigger level reports a timeout.
//! - **The plug** returns the transmitted data to the receiver, RTS to CTS, and DTR to DSR and DCD. RI is open. The
//!   line has perfect flow control: while the receiver is full, characters wait in the transmitter, and nothing is
//!   lost. THRE and TEMT are false as long as they wait. A character written to a full transmitter is dropped.
//! - **Loopback mode** (MCR bit 4) wires the transmitter straight to the receiver. There is no flow control, and a
//!   receiver that is full overruns. Characters that wait when the mode is entered are sent then and there.
//! - **Break** (LCR bit 6) acts on the serial output alone, and loopback mode holds that output marking. So the line is
//!   broken while the bit is set and loopback mode is off, whichever of the two was written last. As that begins, the
//!   receiver gets one NUL character with BI and FE through the plug. It is a state of the line, not a character, so
//!   flow control does not hold it back: it comes before characters that wait, and overruns a receiver that is full.
//!   The transmitter goes on during a break; what it sends is lost. In loopback mode the bit does nothing.
//! - **Parity** is always right, as both ends of the line are set by one LCR. PE is never set.
//! - **An empty receiver** reads 0. Writes to LSR and MSR are ignored; the data sheet keeps them for factory tests.
//! - **After reset** the divisor latch holds 12 (9600 baud of a 1.8432 MHz clock) and the scratch register 0; the
//!   data sheet leaves both undefined.
//! - **OUT2 gates nothing.** That is a custom of ISA boards, not of the chip, and QEMU's card has it no more.

use super::fifo::FifoControl;
use super::line::Line;
use super::modem::Modem;
use super::port::{
    field,
    Port, //
};
use super::receiver::Receiver;
use super::registers::{
    Register,
    IER_BITS,
    IER_EDSSI,
    IER_ELSI,
    IER_ERBFI,
    IER_ETBEI,
    IIR_FIFO,
    IIR_NONE, //
};
use super::source::Source;
use super::transmitter::Transmitter;
use super::PortCounters;
use crate::migration::stream::RecordError;

/// How many bytes of I/O space a port takes.
pub const REGISTERS: usize = 8;

/// The divisor latch after reset: 9600 baud.
const RESET_DIVISOR: u16 = 12;

/// A 16550A and its plug.
///
/// # Invariants
///
/// - `interrupts` has only the bits ERBFI, ELSI and EDSSI set; ETBEI is the transmitter's.
/// - Between accesses, `line` has moved whatever can move ([`Line::run`]), and `asserted` says whether there is a
///   [`source`](Self::source): it is asked for much more often than it changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uart {
    line: Line,
    modem: Modem,
    interrupts: u8,
    divisor: u16,
    scratch: u8,
    asserted: bool,
}

impl Default for Uart {
    fn default() -> Self {
        Self::new()
    }
}

impl Uart {
    /// A port as after a master reset.
    pub const fn new() -> Self {
        // INVARIANT: Nothing is enabled and nothing waits.
        Self {
            line: Line::new(),
            modem: Modem::new(),
            interrupts: 0,
            divisor: RESET_DIVISOR,
            scratch: 0,
            asserted: false,
        }
    }

    /// What is saved of the port.
    pub(super) fn save(&self) -> Port {
        Port {
            ier: self.interrupt_enable(),
            fcr: self.line.fifo().value(),
            lcr: self.line.control(),
            mcr: self.modem.control(),
            lsr: self.line.receiver.errors(),
            msr: self.modem.deltas(),
            scr: self.scratch,
            divisor: self.divisor,
            thre: u8::from(self.line.transmitter.interrupt()),
            receiver: self.line.receiver.characters().clone(),
            transmitter: self.line.transmitter.characters().clone(),
        }
    }

    /// The port of which this was saved, or an error if no accesses bring a port there.
    pub(super) fn restore(port: Port) -> Result<Self, RecordError> {
        if port.ier & !IER_BITS != 0 {
            return Err(field("ier", port.ier, "bits of 0xf"));
        }
        if port.thre > 1 {
            return Err(field("thre", port.thre, "0x0 or 0x1"));
        }
        let fifo = FifoControl::restore(port.fcr)?;
        let modem = Modem::restore(port.mcr, port.msr)?;
        let receiver = Receiver::restore(port.receiver, port.lsr, fifo)?;
        let enabled = port.ier & IER_ETBEI != 0;
        let transmitter = Transmitter::restore(port.transmitter, enabled, port.thre == 1, fifo)?;
        // INVARIANT: `Line::restore` refuses a line that is not at rest; the bits of IER were checked; whether there is a
        // source is looked at.
        let mut uart = Self {
            line: Line::restore(receiver, transmitter, fifo, port.lcr, modem.loopback())?,
            modem,
            interrupts: port.ier & !IER_ETBEI,
            divisor: port.divisor,
            scratch: port.scr,
            asserted: false,
        };
        uart.look();
        Ok(uart)
    }

    /// Reads the register at `offset`, of which the three low bits count.
    ///
    /// Reading RBR, LSR, MSR and, when it names the transmitter, IIR changes the port as the data sheet says.
    pub fn read(&mut self, offset: usize) -> u8 {
        let [divisor_low, divisor_high] = self.divisor.to_le_bytes();
        let divisor_access = self.line.divisor_access();
        let value = match Register::at(offset) {
            Register::Data if divisor_access => return divisor_low,
            Register::Data => {
                let value = self.line.receiver.read();
                // INVARIANT: That may have made room for a character that waits.
                self.line.run(self.modem.loopback());
                value
            }
            Register::InterruptEnable if divisor_access => return divisor_high,
            Register::InterruptEnable => return self.interrupt_enable(),
            Register::IdentificationOrFifo => self.read_identification(),
            Register::LineControl => return self.line.control(),
            Register::ModemControl => return self.modem.control(),
            Register::LineStatus => self.line.take_status(),
            Register::ModemStatus => self.modem.take_status(),
            Register::Scratch => return self.scratch,
        };
        // INVARIANT: To read these may have dealt with a source, or brought up the next; the others change nothing.
        self.look();
        value
    }

    /// Writes `value` to the register at `offset`, of which the three low bits count.
    ///
    /// Writes to LSR and MSR are ignored.
    pub fn write(&mut self, offset: usize, value: u8) {
        let [divisor_low, divisor_high] = self.divisor.to_le_bytes();
        let divisor_access = self.line.divisor_access();
        match Register::at(offset) {
            Register::Data if divisor_access => {
                self.divisor = u16::from_le_bytes([value, divisor_high]);
                return;
            }
            Register::Data => self.line.write_data(value),
            Register::InterruptEnable if divisor_access => {
                self.divisor = u16::from_le_bytes([divisor_low, value]);
                return;
            }
            Register::InterruptEnable => self.write_interrupt_enable(value),
            Register::IdentificationOrFifo => self.line.write_fifo_control(value),
            Register::LineControl => self.line.write_control(value),
            Register::ModemControl => self.modem.set_control(value),
            Register::LineStatus | Register::ModemStatus => return,
            Register::Scratch => {
                self.scratch = value;
                return;
            }
        }
        // INVARIANT: The write may have brought a character, made room for one, or taken away what held it back; and with
        // that, or by itself, a source. The others do neither.
        self.line.run(self.modem.loopback());
        self.look();
    }

    /// What the port has counted since power-on.
    pub fn counters(&self) -> PortCounters {
        self.line.counters
    }

    /// Counts on from what was saved.
    pub(super) fn restore_counters(&mut self, counters: PortCounters) {
        self.line.counters = counters;
    }

    /// Whether the port asserts its interrupt, that is, whether IIR names a source.
    pub fn pending(&self) -> bool {
        self.asserted
    }

    /// Looks whether there is a source.
    fn look(&mut self) {
        self.asserted = self.source().is_some();
    }

    /// The enabled source of highest priority that asks for service.
    fn source(&self) -> Option<Source> {
        let enabled = |bit: u8| self.interrupts & bit != 0;
        let line = &self.line;
        if enabled(IER_ELSI) && line.receiver.error_shown() {
            Some(Source::LineStatus)
        } else if enabled(IER_ERBFI) && line.receiver.triggered(line.fifo()) {
            Some(Source::ReceivedData)
        } else if enabled(IER_ERBFI) && line.receiver.ready() {
            // Only FIFO mode comes here: the trigger level of 16450 mode is one character.
            Some(Source::CharacterTimeout)
        } else if line.transmitter.interrupt() {
            Some(Source::TransmitterEmpty)
        } else if enabled(IER_EDSSI) && self.modem.changed() {
            Some(Source::ModemStatus)
        } else {
            None
        }
    }

    /// Whether an interrupt is enabled.
    pub(super) fn may_interrupt(&self) -> bool {
        self.interrupt_enable() != 0
    }

    fn interrupt_enable(&self) -> u8 {
        if self.line.transmitter.interrupt_enabled() {
            self.interrupts | IER_ETBEI
        } else {
            self.interrupts
        }
    }

    fn write_interrupt_enable(&mut self, value: u8) {
        // INVARIANT: All but the three bits are masked.
        self.interrupts = value & IER_BITS & !IER_ETBEI;
        self.line
            .transmitter
            .enable_interrupt(value & IER_ETBEI != 0);
    }

    fn read_identification(&mut self) -> u8 {
        let source = self.source();
        if source == Some(Source::TransmitterEmpty) {
            self.line.transmitter.acknowledge();
        }
        let fifo = if self.line.fifo().enabled() {
            IIR_FIFO
        } else {
            0
        };
        fifo | source.map_or(IIR_NONE, Source::identification)
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_uart)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    const DATA: usize = 0;
    const IER: usize = 1;
    const IIR: usize = 2;
    const FCR: usize = 2;
    const LCR: usize = 3;
    const MCR: usize = 4;
    const LSR: usize = 5;
    const MSR: usize = 6;
    const SCR: usize = 7;

    /// A port in 16450 mode, set to 8 bits.
    fn character_mode() -> Uart {
        let mut uart = Uart::new();
        uart.write(LCR, 0x03);
        uart
    }

    /// A port with FIFOs and the trigger level that `trigger` stands for in FCR, set to 8 bits.
    fn fifo_mode(trigger: u8) -> Uart {
        let mut uart = character_mode();
        uart.write(FCR, 0x01 | trigger);
        uart
    }

    fn send(uart: &mut Uart, count: u8) {
        for value in 0..count {
            uart.write(DATA, value);
        }
    }

    /// Whether reading RBR gives 0, 1, 2 and so on up to `count`, and then there is no more.
    fn receives_exactly(uart: &mut Uart, count: u8) -> bool {
        (0..count).all(|value| uart.read(LSR) & 0x01 != 0 && uart.read(DATA) == value)
            && uart.read(LSR) & 0x01 == 0
    }

    #[test]
    fn registers_after_reset_are_those_of_the_data_sheet() {
        let mut uart = Uart::new();
        for (offset, value) in [0x00, 0x00, 0x01, 0x00, 0x00, 0x60, 0x00, 0x00]
            .into_iter()
            .enumerate()
        {
            assert_eq!(uart.read(offset), value);
        }
        uart.write(LCR, 0x80);
        assert_eq!([uart.read(0), uart.read(1)], [12, 0]);
    }

    #[test]
    fn the_divisor_latch_is_set_not_ored() {
        let mut uart = Uart::new();
        uart.write(LCR, 0x83);
        for [low, high] in [[0xff, 0xff], [0x01, 0x00], [0x80, 0x25], [0x00, 0x00]] {
            uart.write(0, low);
            uart.write(1, high);
            assert_eq!([uart.read(0), uart.read(1)], [low, high]);
        }
    }

    #[test]
    fn the_divisor_latch_hides_data_and_ier_and_nothing_else() {
        let mut uart = fifo_mode(0);
        uart.write(IER, 0x05);
        uart.write(DATA, b'a');
        uart.write(LCR, 0x83);
        uart.write(0, 0x33);
        uart.write(1, 0x0f);
        assert_eq!(uart.read(LSR), 0x61);
        assert_eq!(uart.read(IIR), 0xc4);
        uart.write(LCR, 0x03);
        assert_eq!(uart.read(IER), 0x05);
        assert!(uart.read(DATA) == b'a' && uart.read(LSR) == 0x60);
    }

    #[test]
    fn the_scratch_register_keeps_any_value() {
        let mut uart = Uart::new();
        for value in 0..=255 {
            uart.write(SCR, value);
            assert_eq!(uart.read(SCR), value);
        }
    }

    #[test]
    fn the_upper_bits_of_ier_and_mcr_read_zero() {
        let mut uart = Uart::new();
        uart.write(IER, 0xff);
        uart.write(MCR, 0xff);
        assert_eq!([uart.read(IER), uart.read(MCR)], [0x0f, 0x1f]);
    }

    #[test]
    fn writes_to_the_status_registers_are_ignored() {
        let mut uart = fifo_mode(0);
        let before = uart.clone();
        uart.write(LSR, 0xff);
        uart.write(MSR, 0xff);
        assert_eq!(uart, before);
    }

    #[test]
    fn iir_tells_whether_fifos_are_enabled() {
        assert_eq!(fifo_mode(0).read(IIR), 0xc1);
        assert_eq!(character_mode().read(IIR), 0x01);
    }

    #[test]
    fn what_is_sent_comes_back() {
        for mut uart in [character_mode(), fifo_mode(0)] {
            uart.write(DATA, 0xa5);
            assert_eq!(uart.read(LSR), 0x61);
            assert_eq!(uart.read(DATA), 0xa5);
            assert_eq!(uart.read(LSR), 0x60);
        }
    }

    #[test]
    fn a_full_fifo_does_not_look_empty_and_goes_on_once_read() {
        let mut uart = fifo_mode(0xc0);
        uart.write(IER, 0x01);
        send(&mut uart, 16);
        assert_eq!(uart.read(IIR), 0xc4);
        assert!(receives_exactly(&mut uart, 16));
        uart.write(DATA, b'z');
        assert_eq!(uart.read(DATA), b'z');
    }

    #[test]
    fn an_overrun_is_reported_once() {
        let mut uart = fifo_mode(0);
        uart.write(MCR, 0x10);
        uart.write(IER, 0x04);
        send(&mut uart, 17);
        assert_eq!(uart.read(IIR), 0xc6);
        assert_eq!(uart.read(LSR) & 0x02, 0x02);
        assert_eq!(uart.read(LSR) & 0x02, 0);
        assert_eq!(uart.read(IIR), 0xc1);
    }

    #[test]
    fn received_data_is_reported_from_the_trigger_level_on() {
        for (bits, level) in [(0x00, 1), (0x40, 4), (0x80, 8), (0xc0, 14)] {
            let mut uart = fifo_mode(bits);
            uart.write(IER, 0x01);
            for value in 1..=16 {
                uart.write(DATA, value);
                assert_eq!(uart.read(IIR), if value < level { 0xcc } else { 0xc4 });
            }
            uart.read(DATA);
            uart.read(DATA);
            for left in (1..=14).rev() {
                assert_eq!(uart.read(IIR), if left < level { 0xcc } else { 0xc4 });
                uart.read(DATA);
            }
            assert_eq!(uart.read(IIR), 0xc1);
        }
    }

    #[test]
    fn character_mode_knows_no_timeout() {
        let mut uart = character_mode();
        uart.write(IER, 0x01);
        uart.write(DATA, b'a');
        assert_eq!(uart.read(IIR), 0x04);
        uart.read(DATA);
        assert_eq!(uart.read(IIR), 0x01);
    }

    #[test]
    fn iir_names_one_source_at_a_time_by_priority() {
        let mut uart = fifo_mode(0x40);
        uart.write(MCR, 0x10);
        uart.write(IER, 0x0f);
        send(&mut uart, 17);
        uart.write(MCR, 0x12);
        assert_eq!(uart.read(IIR), 0xc6);
        uart.read(LSR);
        assert_eq!(uart.read(IIR), 0xc4);
        for _ in 0..13 {
            uart.read(DATA);
        }
        assert_eq!(uart.read(IIR), 0xcc);
        for _ in 0..3 {
            uart.read(DATA);
        }
        assert_eq!(uart.read(IIR), 0xc2);
        assert_eq!(uart.read(IIR), 0xc0);
        assert!(uart.pending());
        assert_eq!(uart.read(MSR), 0x11);
        assert_eq!(uart.read(IIR), 0xc1);
        assert!(!uart.pending());
    }

    #[test]
    fn a_source_that_is_not_enabled_does_not_interrupt() {
        let mut uart = fifo_mode(0);
        uart.write(MCR, 0x10);
        send(&mut uart, 17);
        uart.write(MCR, 0x13);
        assert!(!uart.pending());
        for (enable, id) in [(0x01, 0xc4), (0x02, 0xc2), (0x04, 0xc6), (0x08, 0xc0)] {
            uart.write(IER, enable);
            assert_eq!(uart.read(IIR), id);
            uart.write(IER, 0);
            assert_eq!(uart.read(IIR), 0xc1);
        }
    }

    #[test]
    fn reading_iir_acknowledges_the_transmitter_only_when_it_names_it() {
        let mut uart = fifo_mode(0);
        uart.write(IER, 0x03);
        uart.write(DATA, b'a');
        assert_eq!(uart.read(IIR), 0xc4);
        uart.read(DATA);
        assert_eq!(uart.read(IIR), 0xc2);
        assert_eq!(uart.read(IIR), 0xc1);
    }

    #[test]
    fn the_transmitter_interrupts_each_time_it_runs_empty() {
        let mut uart = fifo_mode(0);
        uart.write(IER, 0x02);
        assert_eq!(uart.read(IIR), 0xc2);
        send(&mut uart, 16);
        assert_eq!(uart.read(IIR), 0xc2);
        send(&mut uart, 3);
        assert_eq!(uart.read(IIR), 0xc1);
        for _ in 0..2 {
            uart.read(DATA);
            assert_eq!(uart.read(IIR), 0xc1);
        }
        uart.read(DATA);
        assert_eq!(uart.read(IIR), 0xc2);
    }

    #[test]
    fn break_is_one_nul_with_its_flags() {
        let mut uart = fifo_mode(0);
        uart.write(IER, 0x04);
        uart.write(LCR, 0x43);
        uart.write(LCR, 0x43);
        assert_eq!(uart.read(IIR), 0xc6);
        assert_eq!(uart.read(LSR), 0xf9);
        assert_eq!(uart.read(IIR), 0xc1);
        assert_eq!(uart.read(LSR), 0x61);
        assert_eq!(uart.read(DATA), 0);
        assert_eq!(uart.read(LSR), 0x60);
    }

    #[test]
    fn in_loopback_mode_the_break_bit_does_nothing() {
        let mut uart = fifo_mode(0);
        uart.write(MCR, 0x10);
        uart.write(LCR, 0x43);
        assert_eq!(uart.read(LSR), 0x60);
        send(&mut uart, 16);
        assert_eq!(uart.read(LSR), 0x61);
        assert!(receives_exactly(&mut uart, 16));
        uart.write(LCR, 0x03);
        uart.write(MCR, 0x00);
        assert_eq!(uart.read(LSR), 0x60);
    }

    #[test]
    fn leaving_loopback_mode_with_the_break_bit_set_begins_a_break() {
        let mut uart = fifo_mode(0);
        uart.write(IER, 0x04);
        uart.write(MCR, 0x10);
        uart.write(LCR, 0x43);
        assert_eq!(uart.read(IIR), 0xc1);
        uart.write(MCR, 0x00);
        assert_eq!(uart.read(IIR), 0xc6);
        assert_eq!(uart.read(LSR), 0xf9);
        assert!(receives_exactly(&mut uart, 1));
        uart.write(DATA, b'a');
        assert_eq!(uart.read(LSR), 0x60);
    }

    #[test]
    fn switching_the_fifos_interrupts_at_once() {
        let mut uart = character_mode();
        uart.write(IER, 0x02);
        assert_eq!(uart.read(IIR), 0x02);
        uart.write(FCR, 0x01);
        assert_eq!([uart.read(IIR), uart.read(IIR)], [0xc2, 0xc1]);
        uart.write(FCR, 0x00);
        assert_eq!([uart.read(IIR), uart.read(IIR)], [0x02, 0x01]);
    }

    #[test]
    fn modem_changes_interrupt_until_msr_is_read() {
        let mut uart = fifo_mode(0);
        uart.write(IER, 0x08);
        uart.write(MCR, 0x03);
        assert_eq!(uart.read(IIR), 0xc0);
        assert_eq!(uart.read(MSR), 0xbb);
        assert_eq!(uart.read(IIR), 0xc1);
        assert_eq!(uart.read(MSR), 0xb0);
    }
}
