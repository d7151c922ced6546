// SPDX-License-Identifier: GPL-2.0-only

//! The way of the data: from the transmitter over the line into the receiver, as LCR and FCR have it.
//!
//! The line takes no time, and brings a port's characters back to itself: through the plug with flow control, in
//! loopback mode without. The rules are those at [`uart`](super::uart).

use super::fifo::{
    Character,
    FifoControl,
    FIFO_LEN, //
};
use super::port::field;
use super::receiver::{
    Receiver,
    BREAK_ERRORS, //
};
use super::registers::{
    FCR_CLEAR_RECEIVER,
    FCR_CLEAR_TRANSMITTER,
    LCR_BREAK,
    LCR_DLAB,
    LCR_WORD_LENGTH,
    LSR_OE, //
};
use super::transmitter::Transmitter;
use super::PortCounters;
use crate::migration::stream::RecordError;

/// Both ends of the line of one port, and what controls them.
///
/// # Invariants
///
/// - Receiver and transmitter keep to the depth of `fifo`.
/// - After [`run`](Self::run), the transmitter holds characters only if the receiver is full and loopback mode is off,
///   and `broken` is set if and only if LCR's break bit is and loopback mode is off.
/// - While `broken`, nothing has arrived since the break that began it. What that excludes is at
///   [`check_break`](Self::check_break).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    pub(super) receiver: Receiver,
    pub(super) transmitter: Transmitter,
    fifo: FifoControl,
    control: u8,
    /// There is a break on the plug.
    broken: bool,
    pub(super) counters: PortCounters,
}

impl Line {
    /// Both ends empty, in 16450 mode, set to 5 bits.
    pub(super) const fn new() -> Self {
        // INVARIANT: There are no characters, and the break bit is not set.
        Self {
            receiver: Receiver::new(),
            transmitter: Transmitter::new(),
            fifo: FifoControl::CHARACTER_MODE,
            control: 0,
            broken: false,
            counters: PortCounters::new(),
        }
    }

    /// A line as it was saved, at rest: FCR, LCR, and its two ends. It has counted nothing yet.
    pub(super) fn restore(
        receiver: Receiver,
        transmitter: Transmitter,
        fifo: FifoControl,
        control: u8,
        loopback: bool,
    ) -> Result<Self, RecordError> {
        let waiting = u8::try_from(transmitter.characters().len()).unwrap_or(u8::MAX);
        if waiting > 0 && (loopback || receiver.has_room(fifo)) {
            let allowed = "0x0 unless the receiver is full and mcr lacks bit 4";
            return Err(field("tx_count", waiting, allowed));
        }
        // INVARIANT: Both ends were restored in this mode; that the line is at rest was checked.
        let line = Self {
            receiver,
            transmitter,
            fifo,
            control,
            broken: control & LCR_BREAK != 0 && !loopback,
            counters: PortCounters::new(),
        };
        line.check_break()?;
        Ok(line)
    }

    /// Checks what a break on the line leaves in the receiver.
    ///
    /// When it began, the receiver had room, and the break became the newest character, or it was full and overran.
    /// Nothing has arrived since.
    ///
    /// - In 16450 mode the break took the place of what was there. So the one character can only be the break, and an
    ///   overrun is not told without it.
    /// - In FIFO mode, if the newest character is not the break, the FIFO was full and there was an overrun. If LSR does
    ///   not tell of it, it was read in the break, which took the errors of the then oldest character as well; a break
    ///   that LSR tells of now was therefore the oldest later on. It is still there and the oldest, or it was read; in
    ///   which case another was read before it, and two places at least are free.
    fn check_break(&self) -> Result<(), RecordError> {
        let characters = self.receiver.characters();
        let (Some(oldest), Some(newest)) = (characters.iter().next(), characters.iter().last())
        else {
            return Ok(());
        };
        let errors = self.receiver.errors();
        if !self.broken {
            return Ok(());
        }
        if !self.fifo.enabled() {
            if oldest.value != 0 {
                return Err(field(
                    "rx_value",
                    oldest.value,
                    "0x0 in a break in 16450 mode",
                ));
            }
            if errors == LSR_OE {
                let allowed = "0x0, 0x18 or 0x1a in a break in 16450 mode with an rx_count of 0x1";
                return Err(field("lsr", errors, allowed));
            }
        } else if newest.errors == 0 && errors == BREAK_ERRORS {
            let free = FIFO_LEN.saturating_sub(characters.len());
            if free == 0 || free == 1 && oldest.value != 0 {
                let allowed = "0x0, 0x2 or 0x1a in a break that is not in the FIFO";
                return Err(field("lsr", errors, allowed));
            }
        }
        Ok(())
    }

    /// The mode of both ends.
    pub(super) fn fifo(&self) -> FifoControl {
        self.fifo
    }

    /// LCR as it reads.
    pub(super) fn control(&self) -> u8 {
        self.control
    }

    /// Whether the divisor latch takes the place of the first two registers.
    pub(super) fn divisor_access(&self) -> bool {
        self.control & LCR_DLAB != 0
    }

    /// Writes LCR. What the break bit does, [`run`](Self::run) finds out.
    pub(super) fn write_control(&mut self, value: u8) {
        self.control = value;
    }

    /// Writes FCR. Switching the FIFOs on or off clears them; otherwise the two clear bits do, if bit 0 is set.
    pub(super) fn write_fifo_control(&mut self, value: u8) {
        let fifo = FifoControl::from_write(value);
        let switched = fifo.enabled() != self.fifo.enabled();
        self.fifo = fifo;
        if switched {
            // INVARIANT: Both are empty, which is within any depth.
            self.receiver.clear();
            self.transmitter.restart();
        } else if fifo.enabled() {
            if value & FCR_CLEAR_RECEIVER != 0 {
                self.receiver.clear();
            }
            if value & FCR_CLEAR_TRANSMITTER != 0 {
                self.transmitter.clear();
            }
        }
    }

    /// Writes THR.
    pub(super) fn write_data(&mut self, value: u8) {
        self.transmitter.write(value, self.fifo);
    }

    /// Reads LSR, which clears the errors it shows.
    pub(super) fn take_status(&mut self) -> u8 {
        self.receiver.take_status(self.fifo) | self.transmitter.status()
    }

    /// Moves whatever can move: first a break that begins, then characters.
    ///
    /// Due after anything that brings a character, makes room, or changes LCR or `loopback`.
    pub(super) fn run(&mut self, loopback: bool) {
        // INVARIANT: This is the condition that is asked for. Loopback mode holds the serial output marking.
        let broken = self.control & LCR_BREAK != 0 && !loopback;
        let was_broken = core::mem::replace(&mut self.broken, broken);
        if broken && !was_broken {
            self.receive(Character::BREAK);
        }
        // INVARIANT: It ends when the transmitter is empty, or held by a full receiver outside of loopback mode.
        while loopback || self.receiver.has_room(self.fifo) {
            let Some(value) = self.transmitter.take() else {
                break;
            };
            if !broken {
                self.receive(Character::good(value & self.word_mask()));
                if !loopback {
                    self.counters.pass();
                }
            }
        }
    }

    /// Has the receiver take a character, and counts one if that loses one.
    fn receive(&mut self, character: Character) {
        if self.receiver.receive(character, self.fifo) {
            self.counters.lose();
        }
    }

    /// The bits of a character that the receiver gets: 5 to 8 of them.
    fn word_mask(&self) -> u8 {
        match self.control & LCR_WORD_LENGTH {
            0 => 0x1f,
            1 => 0x3f,
            2 => 0x7f,
            _ => 0xff,
        }
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_line)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    /// Through the plug, or in loopback mode.
    const PLUG: bool = false;
    const LOOPBACK: bool = true;

    /// A line in 16450 mode, set to 8 bits.
    fn character_mode() -> Line {
        let mut line = Line::new();
        line.write_control(0x03);
        line
    }

    /// A line with FIFOs, set to 8 bits.
    fn fifo_mode() -> Line {
        let mut line = character_mode();
        line.write_fifo_control(0x01);
        line
    }

    /// Sends 0, 1, 2 and so on, `count` characters.
    fn send(line: &mut Line, count: u8, loopback: bool) {
        for value in 0..count {
            line.write_data(value);
            line.run(loopback);
        }
    }

    /// Whether the receiver gives 0, 1, 2 and so on up to `count`, and then has no more.
    fn receives_exactly(line: &mut Line, count: u8, loopback: bool) -> bool {
        let all = (0..count).all(|value| {
            let there = line.receiver.ready() && line.receiver.read() == value;
            line.run(loopback);
            there
        });
        all && !line.receiver.ready()
    }

    #[test]
    fn the_word_length_masks_what_is_received() {
        for (length, mask) in [(0, 0x1f), (1, 0x3f), (2, 0x7f), (3, 0xff)] {
            let mut line = Line::new();
            line.write_control(length);
            line.write_data(0xff);
            line.run(PLUG);
            assert_eq!(line.receiver.read(), mask);
        }
    }

    #[test]
    fn characters_wait_while_the_receiver_is_full_and_none_is_lost() {
        let mut line = fifo_mode();
        send(&mut line, 16, PLUG);
        assert_eq!(line.take_status(), 0x61);
        send(&mut line, 1, PLUG);
        assert_eq!(line.take_status(), 0x01);

        let mut line = fifo_mode();
        send(&mut line, 32, PLUG);
        assert_eq!(line.take_status(), 0x01);
        assert!(receives_exactly(&mut line, 32, PLUG));
        assert_eq!(line.take_status(), 0x60);
    }

    #[test]
    fn a_character_written_to_a_full_transmitter_is_dropped() {
        let mut line = fifo_mode();
        send(&mut line, 40, PLUG);
        assert!(receives_exactly(&mut line, 32, PLUG));
    }

    #[test]
    fn one_character_waits_in_16450_mode() {
        let mut line = character_mode();
        send(&mut line, 1, PLUG);
        assert_eq!(line.take_status(), 0x61);

        let mut line = character_mode();
        send(&mut line, 3, PLUG);
        assert_eq!(line.take_status(), 0x01);
        assert!(receives_exactly(&mut line, 2, PLUG));
    }

    #[test]
    fn in_loopback_mode_the_fifo_keeps_16_and_the_rest_overruns() {
        let mut line = fifo_mode();
        send(&mut line, 255, LOOPBACK);
        assert_eq!(line.take_status(), 0x63);
        assert_eq!(line.take_status(), 0x61);
        assert!(receives_exactly(&mut line, 16, LOOPBACK));
    }

    #[test]
    fn in_loopback_mode_the_holding_register_keeps_the_newest() {
        let mut line = character_mode();
        send(&mut line, 3, LOOPBACK);
        assert_eq!(line.take_status(), 0x63);
        assert_eq!(line.receiver.read(), 2);
        assert_eq!(line.take_status(), 0x60);
    }

    #[test]
    fn entering_loopback_mode_sends_what_waits() {
        let mut line = fifo_mode();
        send(&mut line, 20, PLUG);
        line.run(LOOPBACK);
        assert_eq!(line.take_status(), 0x63);
        assert!(receives_exactly(&mut line, 16, LOOPBACK));
    }

    #[test]
    fn switching_the_fifos_clears_both_ends() {
        for (mut line, switch) in [(character_mode(), 0x01), (fifo_mode(), 0x00)] {
            send(&mut line, 20, PLUG);
            line.write_fifo_control(switch);
            line.run(PLUG);
            assert_eq!(line.take_status(), 0x60);
        }
    }

    #[test]
    fn clearing_the_receiver_lets_waiting_characters_in() {
        let mut line = fifo_mode();
        send(&mut line, 20, PLUG);
        line.write_fifo_control(0x03);
        line.run(PLUG);
        for value in 16..20 {
            assert_eq!(line.receiver.read(), value);
        }
        assert_eq!(line.take_status(), 0x60);
    }

    #[test]
    fn clearing_the_transmitter_drops_waiting_characters() {
        let mut line = fifo_mode();
        send(&mut line, 20, PLUG);
        line.write_fifo_control(0x05);
        line.run(PLUG);
        assert_eq!(line.take_status(), 0x61);
        assert!(receives_exactly(&mut line, 16, PLUG));
    }

    #[test]
    fn clearing_both_ends_leaves_nothing() {
        let mut line = fifo_mode();
        send(&mut line, 20, PLUG);
        line.write_fifo_control(0x07);
        line.run(PLUG);
        assert_eq!(line.take_status(), 0x60);
    }

    #[test]
    fn the_clear_bits_need_the_enable_bit() {
        let mut line = character_mode();
        send(&mut line, 2, PLUG);
        line.write_fifo_control(0x06);
        assert!(receives_exactly(&mut line, 2, PLUG));
    }

    #[test]
    fn a_break_is_one_nul_however_long_it_lasts() {
        let mut line = fifo_mode();
        for control in [0x43, 0x43, 0x03] {
            line.write_control(control);
            line.run(PLUG);
        }
        assert_eq!(line.take_status(), 0xf9);
        assert!(receives_exactly(&mut line, 1, PLUG));
    }

    #[test]
    fn characters_sent_during_a_break_are_lost() {
        let mut line = fifo_mode();
        line.write_control(0x43);
        send(&mut line, 5, PLUG);
        assert_eq!(line.take_status(), 0xf9);
        assert!(receives_exactly(&mut line, 1, PLUG));
        line.write_control(0x03);
        send(&mut line, 5, PLUG);
        assert!(receives_exactly(&mut line, 5, PLUG));
    }

    #[test]
    fn loopback_mode_knows_no_break() {
        let mut line = fifo_mode();
        line.write_control(0x43);
        send(&mut line, 5, LOOPBACK);
        assert_eq!(line.take_status(), 0x61);
        assert!(receives_exactly(&mut line, 5, LOOPBACK));
        // Nor does a break come later that was set and cleared meanwhile.
        line.write_control(0x03);
        line.run(LOOPBACK);
        line.run(PLUG);
        assert_eq!(line.take_status(), 0x60);
    }

    #[test]
    fn leaving_loopback_mode_begins_the_break_that_is_set() {
        let mut line = fifo_mode();
        line.write_control(0x43);
        line.run(LOOPBACK);
        for _ in 0..2 {
            line.run(PLUG);
            line.run(PLUG);
            assert_eq!(line.take_status(), 0xf9);
            assert!(receives_exactly(&mut line, 1, PLUG));
            // Entering it ends the break, so that there is one to begin again.
            line.run(LOOPBACK);
            assert_eq!(line.take_status(), 0x60);
        }
    }

    #[test]
    fn entering_loopback_mode_in_a_break_receives_what_waits() {
        let mut line = character_mode();
        send(&mut line, 2, PLUG);
        line.write_control(0x43);
        line.run(PLUG);
        assert_eq!(line.take_status(), 0x1b);
        line.run(LOOPBACK);
        assert_eq!(line.take_status(), 0x63);
        assert_eq!(line.receiver.read(), 1);
    }

    #[test]
    fn what_the_receiver_takes_in_through_the_plug_is_counted() {
        let mut line = fifo_mode();
        send(&mut line, 20, PLUG);
        assert_eq!([line.counters.passed, line.counters.overrun], [16, 0]);
        assert!(receives_exactly(&mut line, 20, PLUG));
        assert_eq!([line.counters.passed, line.counters.overrun], [20, 0]);
        send(&mut line, 5, LOOPBACK);
        line.write_control(0x43);
        line.run(PLUG);
        send(&mut line, 5, PLUG);
        assert_eq!([line.counters.passed, line.counters.overrun], [20, 0]);
    }

    #[test]
    fn every_character_that_an_overrun_costs_is_counted() {
        for (mut line, depth) in [(character_mode(), 1), (fifo_mode(), 16)] {
            send(&mut line, 20, LOOPBACK);
            let overrun = 20 - depth;
            assert_eq!([line.counters.passed, line.counters.overrun], [0, overrun]);
            // Telling it, or dropping what did arrive, takes nothing back. A break costs one more.
            line.take_status();
            line.write_control(0x43);
            line.run(PLUG);
            line.write_fifo_control(0x07);
            line.run(PLUG);
            let overrun = overrun + 1;
            assert_eq!([line.counters.passed, line.counters.overrun], [0, overrun]);
        }
    }

    #[test]
    fn a_break_overruns_a_full_receiver_and_spares_what_waits() {
        let mut line = fifo_mode();
        send(&mut line, 20, PLUG);
        line.write_control(0x43);
        line.run(PLUG);
        assert_eq!(line.take_status(), 0x03);
        line.write_control(0x03);
        assert!(receives_exactly(&mut line, 20, PLUG));
    }
}
