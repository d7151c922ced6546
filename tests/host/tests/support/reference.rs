// SPDX-License-Identifier: GPL-2.0-only

//! A port once more, written from the data sheet and the rules of the plug without a look at the model.
//!
//! It is as plain as can be: queues that grow, registers as bare numbers, every rule where it applies. Wherever the
//! model keeps a condition, this computes it, and the other way round, so that one slip is not made twice.

use std::collections::VecDeque;

/// A character on its way, and whether it is a break.
type Received = (u8, bool);

#[derive(Default)]
pub struct Port {
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    scr: u8,
    divisor: Option<[u8; 2]>,
    receiver: VecDeque<Received>,
    transmitter: VecDeque<u8>,
    /// The break at the head of the receiver was reported by LSR already.
    head_reported: bool,
    /// A break was read from RBR before LSR reported it.
    break_missed: bool,
    overrun_shown: bool,
    /// IIR has told that the transmitter is empty, and nothing has changed since.
    empty_told: bool,
    /// MSR's inputs when it was read last, and for each whether it changed since; for RI, whether it fell.
    deltas: u8,
    /// How many characters came through the plug.
    passed: u64,
    /// How many a full receiver cost.
    overrun: u64,
}

impl Port {
    pub fn read(&mut self, register: usize) -> u8 {
        let dlab = self.lcr >= 0x80;
        match register {
            0 | 1 if dlab => self.divisor.unwrap_or([12, 0])[register],
            0 => {
                let (value, broken) = self.receiver.pop_front().unwrap_or((0, false));
                self.break_missed |= broken && !self.head_reported;
                self.head_reported = false;
                self.settle();
                value
            }
            1 => self.ier,
            2 => {
                let iir = self.identification();
                self.empty_told |= iir == 0x02;
                iir + if self.fifos() { 0xc0 } else { 0 }
            }
            3 => self.lcr,
            4 => self.mcr,
            5 => {
                let lsr = self.line_status();
                self.overrun_shown = false;
                self.break_missed = false;
                self.head_reported = true;
                lsr
            }
            6 => {
                let msr = self.inputs() + self.deltas;
                self.deltas = 0;
                msr
            }
            _ => self.scr,
        }
    }

    pub fn write(&mut self, register: usize, value: u8) {
        let dlab = self.lcr >= 0x80;
        match register {
            0 | 1 if dlab => self.divisor.get_or_insert([12, 0])[register] = value,
            0 => {
                if self.transmitter.len() < self.depth() {
                    self.transmitter.push_back(value);
                    self.empty_told = false;
                }
                self.settle();
            }
            1 => {
                if self.ier & 2 == 0 {
                    self.empty_told = false;
                }
                self.ier = value % 16;
            }
            2 => self.write_fifo_control(value),
            3 => {
                let was_marking = self.marking();
                self.lcr = value;
                self.note_break(was_marking);
            }
            4 => {
                let was_marking = self.marking();
                let old = self.inputs();
                self.mcr = value % 32;
                let new = self.inputs();
                for input in [0x10, 0x20, 0x40, 0x80] {
                    let (was, is) = (old & input != 0, new & input != 0);
                    let noticed = if input == 0x40 { was && !is } else { was != is };
                    if noticed {
                        self.deltas |= input / 16;
                    }
                }
                self.note_break(was_marking);
                self.settle();
            }
            7 => self.scr = value,
            _ => {}
        }
    }

    /// How many characters came through the plug, and how many a full receiver cost.
    pub fn counters(&self) -> [u64; 2] {
        [self.passed, self.overrun]
    }

    /// Forgets how many characters there were.
    pub fn count_anew(&mut self) {
        (self.passed, self.overrun) = (0, 0);
    }

    /// Whether the port interrupts.
    pub fn pending(&self) -> bool {
        self.identification() != 0x01
    }

    fn write_fifo_control(&mut self, value: u8) {
        let had_fifos = self.fifos();
        self.fcr = if value % 2 == 1 { value } else { 0 };
        if self.fifos() != had_fifos {
            self.drop_received();
            self.transmitter.clear();
            self.empty_told = false;
            return;
        }
        if self.fcr & 2 != 0 {
            self.drop_received();
        }
        if self.fcr & 4 != 0 && !self.transmitter.is_empty() {
            self.transmitter.clear();
            self.empty_told = false;
        }
        self.settle();
    }

    fn drop_received(&mut self) {
        self.receiver.clear();
        self.head_reported = false;
        self.break_missed = false;
    }

    fn fifos(&self) -> bool {
        self.fcr % 2 == 1
    }

    fn depth(&self) -> usize {
        if self.fifos() {
            16
        } else {
            1
        }
    }

    fn trigger(&self) -> usize {
        match (self.fifos(), self.fcr / 64) {
            (false, _) | (true, 0) => 1,
            (true, 1) => 4,
            (true, 2) => 8,
            (true, _) => 14,
        }
    }

    fn head_broken(&self) -> bool {
        let unreported = !self.head_reported;
        self.break_missed
            || self
                .receiver
                .front()
                .is_some_and(|head| head.1 && unreported)
    }

    fn line_status(&self) -> u8 {
        let behind = self.receiver.iter().skip(1).any(|character| character.1);
        let mut lsr = 0;
        if !self.receiver.is_empty() {
            lsr += 0x01;
        }
        if self.overrun_shown {
            lsr += 0x02;
        }
        if self.head_broken() {
            lsr += 0x18;
        }
        if self.transmitter.is_empty() {
            lsr += 0x60;
        }
        if self.fifos() && (self.head_broken() || behind) {
            lsr += 0x80;
        }
        lsr
    }

    fn identification(&self) -> u8 {
        let received = self.receiver.len();
        let enabled = |bit: u8| self.ier & bit != 0;
        // Highest priority first.
        let reasons = [
            (0x06, enabled(4) && self.line_status() & 0x1e != 0),
            (0x04, enabled(1) && received >= self.trigger()),
            (0x0c, enabled(1) && self.fifos() && received > 0),
            (
                0x02,
                enabled(2) && self.transmitter.is_empty() && !self.empty_told,
            ),
            (0x00, enabled(8) && self.deltas != 0),
        ];
        reasons
            .iter()
            .find(|reason| reason.1)
            .map_or(0x01, |reason| reason.0)
    }

    fn inputs(&self) -> u8 {
        let on = |bit: u8| self.mcr & bit != 0;
        let (dtr, rts, out1, out2) = (on(1), on(2), on(4), on(8));
        let (ri, dcd) = if on(16) { (out1, out2) } else { (false, dtr) };
        u8::from(rts) * 0x10 + u8::from(dtr) * 0x20 + u8::from(ri) * 0x40 + u8::from(dcd) * 0x80
    }

    fn arrive(&mut self, character: Received) {
        if self.receiver.len() == self.depth() {
            self.overrun_shown = true;
            self.overrun += 1;
            if self.fifos() {
                return;
            }
            // The one in the buffer is gone, but not what LSR had to say of it.
            self.break_missed |= self.receiver[0].1 && !self.head_reported;
            self.receiver.clear();
        }
        if self.receiver.is_empty() {
            self.head_reported = false;
        }
        self.receiver.push_back(character);
    }

    /// Whether SOUT is free for characters to pass: nothing holds it at spacing. The break bit acts on that pin and on
    /// nothing behind it, and in loopback the pin is marking whatever else is set.
    fn marking(&self) -> bool {
        self.mcr & 0x10 != 0 || self.lcr & 0x40 == 0
    }

    /// After a write that may have pulled SOUT to spacing, which SIN sees through the plug.
    fn note_break(&mut self, was_marking: bool) {
        if was_marking && !self.marking() {
            self.arrive((0, true));
        }
    }

    /// Lets characters through until the line is at rest.
    fn settle(&mut self) {
        let loopback = self.mcr & 0x10 != 0;
        while !self.transmitter.is_empty() && (loopback || self.receiver.len() < self.depth()) {
            let sent = self.transmitter.pop_front().unwrap_or(0);
            self.empty_told = false;
            if self.marking() {
                let bits = 5 + self.lcr % 4;
                let kept = u16::from(sent) % (1 << bits);
                self.arrive((kept as u8, false));
                // Loopback goes another way, inside the chip.
                self.passed += u64::from(!loopback);
            }
        }
    }
}
