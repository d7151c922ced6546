// SPDX-License-Identifier: GPL-2.0-only

//! How a guest brings a port into the state that a stream tells of.

use migdev_model::{
    Abi,
    Card,
    Ports, //
};

pub const DATA: usize = 0;
pub const IER: usize = 1;
pub const IIR: usize = 2;
pub const FCR: usize = 2;
pub const LCR: usize = 3;
pub const MCR: usize = 4;
pub const LSR: usize = 5;
pub const MSR: usize = 6;
pub const SCR: usize = 7;

pub const OE: u8 = 0x02;
pub const BI: u8 = 0x18;
pub const LOOP: u8 = 0x10;
pub const EIGHT_BITS: u8 = 0x03;
pub const BREAK: u8 = 0x40;

/// A port as a stream has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub ier: u8,
    pub fcr: u8,
    pub lcr: u8,
    pub mcr: u8,
    pub lsr: u8,
    pub msr: u8,
    pub scr: u8,
    pub divisor: [u8; 2],
    pub thre: u8,
    /// Values, and whether they are breaks.
    pub received: Vec<(u8, bool)>,
    pub waiting: Vec<u8>,
}

impl Port {
    /// Takes the payload of a record apart, which is that of a port that exists.
    pub fn read(payload: &[u8]) -> Self {
        let (received, waiting) = payload[13..].split_at(2 * usize::from(payload[11]));
        assert_eq!(waiting.len(), usize::from(payload[12]));
        Self {
            ier: payload[1],
            fcr: payload[2],
            lcr: payload[3],
            mcr: payload[4],
            lsr: payload[5],
            msr: payload[6],
            scr: payload[7],
            divisor: [payload[8], payload[9]],
            thre: payload[10],
            received: received
                .chunks(2)
                .map(|pair| (pair[0], pair[1] != 0))
                .collect(),
            waiting: waiting.to_vec(),
        }
    }

    fn fifos(&self) -> bool {
        self.fcr != 0
    }

    fn loopback(&self) -> bool {
        self.mcr & LOOP != 0
    }

    /// Whether the line is broken.
    pub fn broken(&self) -> bool {
        self.lcr & BREAK != 0 && !self.loopback()
    }

    /// The payload of the record of the first port.
    pub fn payload(&self) -> Vec<u8> {
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

/// A card of one port that accesses alone have brought from power-on into the state of a port. It is the port, if any
/// accesses bring a card there.
pub fn witness(port: &Port) -> Card {
    let card = Card::new(Ports::One, Abi::NEWEST);
    Witness { card, port }.run()
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
