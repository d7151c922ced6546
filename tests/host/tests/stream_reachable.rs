// SPDX-License-Identifier: GPL-2.0-only

//! The states that a stream can bring are those that a guest can bring about: none more, none fewer.
//!
//! None fewer: whatever accesses do, what is saved is loaded. None more: for each state that is loaded there is a
//! sequence of accesses to a card at power-on that ends in it, and [`Witness`] finds it.

mod stream_support;
mod support;

use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select, //
};
use stream_support::{
    load,
    save,
    Outcome,
    Plain,
    COUNTERS,
    PORT, //
};
use support::cases;

const DATA: usize = 0;
const IER: usize = 1;
const IIR: usize = 2;
const FCR: usize = 2;
const LCR: usize = 3;
const MCR: usize = 4;
const LSR: usize = 5;
const MSR: usize = 6;
const SCR: usize = 7;

const OE: u8 = 0x02;
const BI: u8 = 0x18;
const LOOP: u8 = 0x10;
const EIGHT_BITS: u8 = 0x03;
const BREAK: u8 = 0x40;

/// A port as a stream has it.
#[derive(Clone, Debug)]
struct Port {
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    lsr: u8,
    msr: u8,
    scr: u8,
    divisor: [u8; 2],
    thre: u8,
    /// Values, and whether they are breaks.
    received: Vec<(u8, bool)>,
    waiting: Vec<u8>,
}

impl Port {
    fn fifos(&self) -> bool {
        self.fcr != 0
    }

    fn loopback(&self) -> bool {
        self.mcr & LOOP != 0
    }

    fn broken(&self) -> bool {
        self.lcr & BREAK != 0 && !self.loopback()
    }

    fn payload(&self) -> Vec<u8> {
        let mut bytes = vec![
            0, self.ier, self.fcr, self.lcr, self.mcr, self.lsr, self.msr, self.scr,
        ];
        bytes.extend(self.divisor);
        bytes.extend([
            self.thre,
            self.received.len() as u8,
            self.waiting.len() as u8,
        ]);
        for (value, broken) in &self.received {
            bytes.extend([*value, if *broken { BI } else { 0 }]);
        }
        bytes.extend(&self.waiting);
        bytes
    }
}

/// Brings a card at power-on into the state of a port, by accesses alone.
struct Witness<'a> {
    card: Card,
    port: &'a Port,
}

impl Witness<'_> {
    fn set(&mut self, register: usize, value: u8) {
        self.card.io_write(register, &[value]);
    }

    fn get(&mut self, register: usize) {
        self.card.io_read(register, &mut [0]);
    }

    fn run(mut self) -> Card {
        let port = self.port;
        self.set(LCR, 0x80);
        self.set(0, port.divisor[0]);
        self.set(1, port.divisor[1]);
        self.set(SCR, port.scr);
        self.set(LCR, EIGHT_BITS);
        if !port.loopback() {
            self.modem_in_the_plug();
        }
        self.line();
        if port.loopback() {
            self.set(MCR, port.mcr);
            self.deltas(port.mcr);
        }
        self.interrupts();
        self.set(LCR, port.lcr);
        self.card
    }

    /// Makes the changes of MSR in loopback mode, around MCR as it is.
    fn deltas(&mut self, base: u8) {
        self.get(MSR);
        for (delta, output) in [(1, 2), (2, 1), (4, 4), (8, 8)] {
            if self.port.msr & delta != 0 {
                self.set(MCR, base ^ output);
                self.set(MCR, base);
            }
        }
    }

    /// Makes the changes of MSR such that leaving loopback mode makes no more: DCD comes from DTR in the plug.
    fn modem_in_the_plug(&mut self) {
        let mcr = self.port.mcr;
        let base = (mcr & 0x03) | ((mcr & 0x01) << 3);
        self.set(MCR, LOOP | base);
        self.deltas(LOOP | base);
        self.set(MCR, base);
        self.set(MCR, mcr);
    }

    fn interrupts(&mut self) {
        let port = self.port;
        self.set(IER, 0);
        if port.thre == 0 {
            // It is told, as nothing else is enabled.
            self.set(IER, port.ier & 0x02);
            self.get(IIR);
        }
        self.set(IER, port.ier);
    }

    /// A break that is over at once.
    fn send_break(&mut self) {
        self.set(LCR, EIGHT_BITS | BREAK);
        self.set(LCR, EIGHT_BITS);
    }

    fn send(&mut self, characters: &[(u8, bool)]) {
        for (value, broken) in characters {
            if *broken {
                self.send_break();
            } else {
                self.set(DATA, *value);
            }
        }
    }

    fn wait(&mut self) {
        for value in &self.port.waiting {
            self.set(DATA, *value);
        }
    }

    /// Leaves an overrun and nothing else, in FIFO mode.
    fn overrun(&mut self) {
        self.send(&[(b'x', false); 16]);
        self.send_break();
        self.set(FCR, 0x03);
    }

    /// Leaves the errors of a break that was read.
    fn read_break(&mut self) {
        self.send_break();
        self.get(DATA);
    }

    /// Begins the break that lasts.
    fn begin_break(&mut self) {
        self.set(LCR, self.port.lcr & 0x7f);
    }

    fn line(&mut self) {
        let port = self.port;
        self.set(FCR, 0x01);
        match (port.broken(), port.fifos()) {
            (false, _) => {
                if port.lsr & OE != 0 {
                    self.overrun();
                }
                self.set(FCR, port.fcr);
                if port.lsr & BI != 0 {
                    self.read_break();
                }
                self.send(&port.received);
                self.wait();
            }
            (true, false) => self.broken_character(),
            (true, true) => {
                match port.received.split_last() {
                    Some(((_, true), others)) => self.broken_newest(others),
                    _ => self.broken_full(),
                }
                self.set(FCR, port.fcr);
            }
        }
    }

    /// A break in 16450 mode.
    fn broken_character(&mut self) {
        let port = self.port;
        if port.lsr & OE != 0 {
            self.overrun();
        }
        if port.received.is_empty() && port.lsr & BI == 0 {
            // Switching the FIFOs off takes the break away, and its errors.
            self.begin_break();
            self.set(FCR, 0);
            return;
        }
        self.set(FCR, 0);
        self.begin_break();
        if port.received.is_empty() {
            self.get(DATA);
        } else if port.lsr & BI == 0 {
            self.get(LSR);
        }
        self.wait();
    }

    /// A break in FIFO mode that is the newest character, behind others.
    fn broken_newest(&mut self, others: &[(u8, bool)]) {
        if self.port.lsr & OE != 0 {
            self.overrun();
        }
        if self.port.lsr & BI != 0 {
            self.read_break();
        }
        self.send(others);
        self.begin_break();
        self.wait();
    }

    /// A break that began while the FIFO was full, with characters that were read since.
    fn broken_full(&mut self) {
        let port = self.port;
        let free = 16 - port.received.len();
        let mut characters = vec![(b'x', false); free];
        characters.extend(&port.received);
        let overrun = port.lsr & OE != 0;
        if port.lsr & BI != 0 && overrun {
            self.read_break();
        }
        if port.lsr == BI {
            // A break comes up after LSR was read: the last of those that were read, or the oldest that is left.
            let place = if free > 1 { free - 1 } else { free };
            characters[place].1 = true;
        }
        self.send(&characters);
        self.wait();
        self.begin_break();
        if !overrun {
            self.get(LSR);
        }
        for _ in 0..free {
            self.get(DATA);
        }
    }
}

/// Ports that are nearly always possible, and often at an edge.
fn any_port() -> impl Strategy<Value = Port> {
    let registers = (
        0..16_u8,
        select(&[0x00, 0x00, 0x01, 0x41, 0x81, 0xc1][..]),
        prop_oneof![any::<u8>(), any::<u8>().prop_map(|lcr| lcr | BREAK)],
        prop_oneof![0..16_u8, 0..32_u8],
        select(&[0x00, OE, BI, OE | BI][..]),
        0..16_u8,
        any::<u8>(),
        any::<[u8; 2]>(),
        0..2_u8,
    );
    let value = prop_oneof![Just(0), any::<u8>()];
    let character = (value, any::<bool>());
    let received = vec(character, 16);
    let count = prop_oneof![0..17_usize, 13..17_usize];
    let waiting = (vec(any::<u8>(), 16), 0..17_usize);
    (registers, received, count, waiting).prop_map(
        |((ier, fcr, lcr, mcr, lsr, msr, scr, divisor, thre), mut received, count, waiting)| {
            let depth = if fcr == 0 { 1 } else { 16 };
            received.truncate(count.min(depth));
            for (place, (value, broken)) in received.iter_mut().enumerate() {
                *broken &= place > 0;
                *value = if *broken { 0 } else { *value };
            }
            let (mut waiting, count) = waiting;
            waiting.truncate(count.min(depth));
            if received.len() < depth || mcr & LOOP != 0 {
                waiting.clear();
            }
            let thre = if waiting.is_empty() && ier & 2 != 0 {
                thre
            } else {
                0
            };
            Port {
                ier,
                fcr,
                lcr,
                mcr,
                lsr,
                msr,
                scr,
                divisor,
                thre,
                received,
                waiting,
            }
        },
    )
}

/// What moves characters and begins and ends breaks, and nothing else.
fn line_access() -> impl Strategy<Value = (usize, Option<u8>)> {
    prop_oneof![
        6 => (Just(DATA), select(&[0, b'a'][..]).prop_map(Some)),
        4 => (select(&[DATA, LSR][..]), Just(None)),
        4 => (Just(LCR), select(&[EIGHT_BITS, EIGHT_BITS | BREAK][..]).prop_map(Some)),
        1 => (Just(MCR), select(&[0, LOOP][..]).prop_map(Some)),
        1 => (Just(FCR), select(&[0x00, 0x01, 0x03, 0x05][..]).prop_map(Some)),
    ]
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn what_is_loaded_can_be_brought_about(port in any_port(), counters in any::<[u8; 16]>()) {
        let mut plain = Plain::of(&Card::new(Ports::One, Abi::NEWEST));
        *plain.payload(PORT) = port.payload();
        *plain.payload(COUNTERS) = counters.to_vec();
        match load(Ports::One, &plain.write()) {
            Outcome::Loaded(loaded) => {
                let witness = Witness { card: Card::new(Ports::One, Abi::NEWEST), port: &port };
                // What it took to get there counts; how much is up to the guest, so any number can be brought.
                let mut reached = Plain::of(&witness.run());
                *reached.payload(COUNTERS) = counters.to_vec();
                prop_assert_eq!(save(&loaded), reached.write());
            }
            // Nothing is left to refuse but what a break excludes.
            Outcome::Refused(_, _, reason) => {
                prop_assert!(port.broken() && reason.contains("in a break"), "{}", reason);
            }
            Outcome::Unfinished => prop_assert!(false),
        }
    }

    #[test]
    fn what_a_break_brings_about_is_loaded(
        full in 0..20_usize,
        fifos in any::<bool>(),
        accesses in vec(line_access(), 0..60),
    ) {
        let mut card = Card::new(Ports::One, Abi::NEWEST);
        card.io_write(LCR, &[EIGHT_BITS]);
        card.io_write(FCR, &[u8::from(fifos)]);
        for _ in 0..full {
            card.io_write(DATA, b"x");
        }
        for (register, value) in accesses {
            match value {
                Some(value) => card.io_write(register, &[value]),
                None => card.io_read(register, &mut [0]),
            };
            prop_assert_eq!(load(Ports::One, &save(&card)).card(), card.clone());
        }
    }
}
