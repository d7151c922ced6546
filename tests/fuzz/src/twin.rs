// SPDX-License-Identifier: GPL-2.0-only

//! A card and what it should be: for each port the reference, and for configuration space a table. Whatever is done is
//! done to both, and everything that can be seen without a side effect is compared after each access.

use std::fmt;

use libfuzzer_sys::arbitrary::{
    Result,
    Unstructured, //
};
use migdev_model::{
    Abi,
    Card,
    PortCounters,
    Ports, //
};

use super::{
    configuration,
    reference::Port,
    stream_support::{
        load_into,
        save_as,
        string, //
    },
};

/// The registers of a port as they are read, and as they are written.
const READ: [&str; 8] = ["RBR", "IER", "IIR", "LCR", "MCR", "LSR", "MSR", "SCR"];
const WRITTEN: [&str; 8] = ["THR", "IER", "FCR", "LCR", "MCR", "LSR", "MSR", "SCR"];

/// Something that is done to a card.
pub enum Access {
    IoRead(usize, usize),
    IoWrite(usize, Vec<u8>),
    /// Writes a character so many times to the port with that base, counting up.
    Send(usize, u8, u8),
    ConfigRead(usize, usize),
    ConfigWrite(usize, Vec<u8>),
    /// Saves the card in that version of the stream, and goes on with a new one that has loaded it.
    Move(u16),
    Reset,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IoRead(at @ 0..16, 1) => write!(f, "port {}: read {}", at / 8, READ[at % 8]),
            Self::IoWrite(at @ 0..16, data) if data.len() == 1 => {
                write!(
                    f,
                    "port {}: write {} = {:#04x}",
                    at / 8,
                    WRITTEN[at % 8],
                    data[0]
                )
            }
            Self::Send(base, value, count) => {
                write!(
                    f,
                    "port {}: write THR = {value:#04x} and on, {count} times",
                    base / 8
                )
            }
            Self::IoRead(at, len) => write!(f, "BAR0: read {len} bytes at {at:#x}"),
            Self::IoWrite(at, data) => write!(f, "BAR0: write {data:02x?} at {at:#x}"),
            Self::ConfigRead(at, len) => write!(f, "config: read {len} bytes at {at:#x}"),
            Self::ConfigWrite(at, data) => write!(f, "config: write {data:02x?} at {at:#x}"),
            Self::Move(version) => write!(f, "save as version {version} and load"),
            Self::Reset => f.write_str("reset"),
        }
    }
}

impl Access {
    /// Makes the access to a card alone.
    pub fn make(&self, card: &mut Card) {
        match self {
            Self::IoRead(at, len) => drop(card.io_read(*at, &mut vec![0; *len])),
            Self::IoWrite(at, data) => drop(card.io_write(*at, data)),
            Self::Send(base, value, count) => (0..*count).for_each(|step| {
                card.io_write(*base, &[value.wrapping_add(step)]);
            }),
            Self::ConfigRead(at, len) => drop(card.config_read(*at, &mut vec![0; *len])),
            Self::ConfigWrite(at, data) => drop(card.config_write(*at, data)),
            Self::Move(_) => {}
            Self::Reset => card.reset(),
        }
    }

    /// An access to a port, or what lies between accesses.
    pub fn io(bytes: &mut Unstructured<'_>) -> Result<Self> {
        let kind = bytes.arbitrary::<u8>()?;
        let register = usize::from(kind % 16);
        Ok(match kind / 16 {
            0..=6 => Self::IoWrite(register, vec![bytes.arbitrary()?]),
            7..=12 => Self::IoRead(register, 1),
            13 => Self::Send(
                register & 8,
                bytes.arbitrary()?,
                bytes.int_in_range(0..=40)?,
            ),
            14 => Self::wide(register, bytes)?,
            _ => match register {
                0..=7 => Self::Move(2),
                8..=11 => Self::Move(1),
                _ => Self::Reset,
            },
        })
    }

    fn wide(near: usize, bytes: &mut Unstructured<'_>) -> Result<Self> {
        let far = bytes.ratio(1_u8, 8_u8)?;
        let at = if far { bytes.arbitrary()? } else { near };
        let len = bytes.int_in_range(0..=20)?;
        Ok(if bytes.arbitrary()? {
            Self::IoRead(at, len)
        } else {
            Self::IoWrite(at, take(bytes, len))
        })
    }

    /// An access to configuration space, or one to a port that makes or takes away a reason to interrupt.
    pub fn config(bytes: &mut Unstructured<'_>) -> Result<Self> {
        const KNOWN: [usize; 12] = [
            0x04, 0x06, 0x0c, 0x10, 0x3c, 0x40, 0x42, 0x44, 0x48, 0x4c, 0xf0, 0xfc,
        ];
        let kind = bytes.arbitrary::<u8>()?;
        let known = KNOWN[usize::from(kind) % KNOWN.len()];
        let len = 1 << (kind % 4);
        Ok(match kind / 16 {
            0..=4 => Self::ConfigWrite(known, take(bytes, len)),
            5 | 6 => Self::ConfigRead(known, len),
            7 | 8 => Self::ConfigWrite(offset(bytes)?, take(bytes, usize::from(kind % 16))),
            9 => Self::ConfigRead(offset(bytes)?, bytes.int_in_range(0..=300)?),
            10 | 11 => Self::IoWrite(usize::from(kind & 8) + 1, vec![kind & 0x07]),
            12 | 13 => Self::IoRead(usize::from(kind & 8) + 2, 1),
            14 => Self::Reset,
            _ => Self::Move(1 + u16::from(kind % 2)),
        })
    }
}

/// An offset in configuration space, or rarely one far beyond.
fn offset(bytes: &mut Unstructured<'_>) -> Result<usize> {
    match bytes.arbitrary::<u8>()? {
        0 => bytes.arbitrary(),
        255 => Ok(256 + bytes.int_in_range(0..=255_usize)?),
        offset => Ok(offset.into()),
    }
}

/// So many bytes, zeros if there are none left.
fn take(bytes: &mut Unstructured<'_>, len: usize) -> Vec<u8> {
    let mut taken = vec![0; len];
    // It fills up with zeros, and does not fail.
    let _ = bytes.fill_buffer(&mut taken);
    taken
}

/// A card, and what it should be.
pub struct Twin {
    card: Card,
    ports: Vec<Port>,
    /// What was last written to each byte of configuration space.
    written: [u8; 256],
}

impl Twin {
    pub fn new(ports: Ports, abi: Abi) -> Self {
        let card = Card::new(ports, abi);
        Self {
            ports: card.counters().map(|_| Port::default()).collect(),
            card,
            written: [0; 256],
        }
    }

    /// How many bytes from an offset on lie in a space.
    fn inside(size: usize, at: usize, len: usize) -> usize {
        (0..len)
            .filter(|byte| at.checked_add(*byte).is_some_and(|at| at < size))
            .count()
    }

    /// Makes an access, and says how the two differ after it, if they do.
    pub fn apply(&mut self, access: &Access) -> Result<(), String> {
        let (io_len, config_len) = (8 * self.ports.len(), 256);
        match access {
            Access::IoRead(at, len) => {
                let expected: Vec<u8> = (0..Self::inside(io_len, *at, *len))
                    .map(|byte| self.ports[(at + byte) / 8].read((at + byte) % 8))
                    .collect();
                let mut read = vec![0xaa; *len];
                let count = self.card.io_read(*at, &mut read);
                same("bytes read", read.get(..count), Some(&expected[..]))?;
                same(
                    "the rest",
                    read[count..].iter().all(|byte| *byte == 0xaa),
                    true,
                )?;
            }
            Access::IoWrite(at, data) => {
                let inside = Self::inside(io_len, *at, data.len());
                for (byte, data) in data[..inside].iter().enumerate() {
                    self.ports[(at + byte) / 8].write((at + byte) % 8, *data);
                }
                same("bytes written", self.card.io_write(*at, data), inside)?;
            }
            Access::Send(base, value, count) => {
                for step in 0..*count {
                    self.apply(&Access::IoWrite(*base, vec![value.wrapping_add(step)]))?;
                }
            }
            Access::ConfigRead(at, len) => {
                let inside = Self::inside(config_len, *at, *len);
                let expected: Vec<u8> = (0..inside).map(|byte| self.config(at + byte)).collect();
                let mut read = vec![0xaa; *len];
                let count = self.card.config_read(*at, &mut read);
                same("bytes read", read.get(..count), Some(&expected[..]))?;
                same(
                    "the rest",
                    read[count..].iter().all(|byte| *byte == 0xaa),
                    true,
                )?;
            }
            Access::ConfigWrite(at, data) => {
                let inside = Self::inside(config_len, *at, data.len());
                self.written[*at.min(&255)..][..inside].copy_from_slice(&data[..inside]);
                same("bytes written", self.card.config_write(*at, data), inside)?;
            }
            Access::Move(version) => self.travel(*version)?,
            Access::Reset => {
                self.card.reset();
                *self = Self {
                    card: self.card.clone(),
                    ..Self::new(self.card.ports(), self.card.abi())
                };
            }
        }
        self.look()
    }

    fn travel(&mut self, version: u16) -> Result<(), String> {
        let ports = self.card.ports();
        let new = Card::new(ports, self.card.abi());
        let stream = save_as(version, &self.card);
        let loaded = load_into(string(ports), &new, [&stream[..]]).card();
        if version == 1 {
            self.ports.iter_mut().for_each(Port::count_anew);
        } else {
            same("the loaded card", &loaded, &self.card)?;
        }
        self.card = loaded;
        Ok(())
    }

    fn pending(&self) -> bool {
        self.ports.iter().any(Port::pending)
    }

    /// A byte of configuration space as it should be.
    fn config(&self, at: usize) -> u8 {
        let (fixed, writable) = configuration::byte(self.card.ports(), self.card.abi(), at);
        let live = if at == 0x06 && self.pending() {
            0x08
        } else {
            0
        };
        fixed | self.written[at] & writable | live
    }

    /// Compares what can be seen without an access that has effects.
    fn look(&mut self) -> Result<(), String> {
        let pending = self.pending();
        let (command, msi) = ([self.config(4), self.config(5)], self.config(0x42) & 1 != 0);
        same("pending", self.card.pending(), pending)?;
        same("MSI enabled", self.card.msi_enabled(), msi)?;
        let intx = pending && command[1] & 0x04 == 0 && !msi;
        same("INTA#", self.card.intx_asserted(), intx)?;
        let message = pending && command[0] & 0x04 != 0;
        same("a message", self.card.msi_asserted(), message)?;
        let counted = |counters: PortCounters| [counters.passed, counters.overrun];
        let counters: Vec<_> = self.card.counters().map(counted).collect();
        let expected: Vec<_> = self.ports.iter().map(Port::counters).collect();
        same("counters", counters, expected)
    }

    /// Reads everything, which is the last that is done.
    fn exhaust(&mut self) -> Result<(), String> {
        self.apply(&Access::ConfigRead(0, 256))?;
        for base in (0..8 * self.ports.len()).step_by(8) {
            // Without DLAB, or it would hide the characters. LSR goes before each of them.
            for register in [3, 4, 6, 7, 2] {
                self.apply(&Access::IoRead(base + register, 1))?;
            }
            self.apply(&Access::IoWrite(base + 3, vec![0x03]))?;
            for register in [5, 0, 2].into_iter().cycle().take(3 * 33) {
                self.apply(&Access::IoRead(base + register, 1))?;
            }
        }
        Ok(())
    }
}

/// Says how something differs.
fn same<T: fmt::Debug + PartialEq>(what: &str, card: T, expected: T) -> Result<(), String> {
    if card == expected {
        return Ok(());
    }
    Err(format!(
        "{what}: the card has {card:x?}, expected is {expected:x?}"
    ))
}

/// Makes the accesses to a card and to what it should be.
///
/// # Panics
///
/// The two differ; then it shows the accesses up to that.
pub fn compare(ports: Ports, abi: Abi, accesses: &[Access]) {
    let mut twin = Twin::new(ports, abi);
    for (step, access) in accesses.iter().enumerate() {
        if let Err(difference) = twin.apply(access) {
            panic!(
                "{ports:?}, {abi:?}, after {:#?}\n{difference}",
                &accesses[..=step]
            );
        }
    }
    if let Err(difference) = twin.exhaust() {
        panic!("{ports:?}, {abi:?}, reading all after {accesses:#?}\n{difference}");
    }
}
