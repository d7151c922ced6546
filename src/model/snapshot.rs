// SPDX-License-Identifier: GPL-2.0-only

//! The card as a migration stream has it: the records CONFIG and PORT of version 1.
//!
//! They hold all that a guest can change, and nothing that follows from it. `Documentation/migration-stream.rst` has
//! them byte by byte. What is loaded is a state that accesses to a card at power-on can bring about, or it is refused.
//!
//! The stream of a later version differs by what [`kind`](Snapshot::kind) knows of it, and by the arms that `save` and
//! `load` have for it.

use super::card::{
    Card,
    Ports,
    MAX_PORTS, //
};
use super::config::Config;
use super::port::{
    self,
    field,
    Port, //
};
use super::uart::Uart;
use crate::migration::stream::{
    Full,
    Kind,
    Missing,
    Outgoing,
    RecordError,
    Records,
    Snapshot,
    END_LEN,
    MANDATORY,
    RECORD_LEN, //
};

/// The version of the stream that a card writes, and the only one that it loads.
pub const VERSION: u16 = 1;

/// The tag of the record with the registers of configuration space that can change. It comes first.
pub const CONFIG: u16 = 1;

/// The tag of the record with the state of one port. There is one for each port, in order.
pub const PORT: u16 = 2;

/// A register of configuration space that software can change.
pub struct Register {
    /// Its name in the documentation.
    pub name: &'static str,
    /// Its offset in configuration space.
    pub offset: usize,
    /// Its length in bytes.
    pub len: usize,
    /// What it can be.
    pub allowed: &'static str,
}

/// The fields of the record CONFIG, one after the other: the registers, as they are read.
///
/// The status register is not among them: software can only clear its error bits, and there is no error.
pub const REGISTERS: [Register; 9] = [
    register("command", 0x04, 2, "bits of 0x545"),
    register("cache_line_size", 0x0c, 1, "anything"),
    register("latency_timer", 0x0d, 1, "anything"),
    register("bar0", 0x10, 4, "a multiple of the length of BAR0, plus 1"),
    register("interrupt_line", 0x3c, 1, "anything"),
    register("msi_control", 0x42, 2, "0x80 or 0x81"),
    register("msi_address", 0x44, 4, "a multiple of 4"),
    register("msi_address_upper", 0x48, 4, "anything"),
    register("msi_data", 0x4c, 2, "anything"),
];

/// The length in bytes of the record CONFIG.
const CONFIG_LEN: usize = 21;

/// Where in configuration space each byte of the record CONFIG is.
static OFFSETS: [usize; CONFIG_LEN] = offsets();

/// Lists the bytes of all registers. Only evaluated while compiling, where a wrong `CONFIG_LEN` is an error.
// Not `expect`: these are lints of the crate, and the kernel's build of the same file has them off.
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "evaluated while compiling"
)]
const fn offsets() -> [usize; CONFIG_LEN] {
    let mut offsets = [0; CONFIG_LEN];
    let mut len = 0;
    let mut index = 0;
    while index < REGISTERS.len() {
        let mut at = 0;
        while at < REGISTERS[index].len {
            offsets[len] = REGISTERS[index].offset + at;
            len += 1;
            at += 1;
        }
        index += 1;
    }
    assert!(len == CONFIG_LEN);
    offsets
}

// The longest records and the end fit, so that a card can always be saved.
const _: () = assert!(
    RECORD_LEN + CONFIG_LEN + MAX_PORTS * (RECORD_LEN + port::MAX_LEN) + END_LEN
        <= Outgoing::CAPACITY
);

/// Every field of the record PORT before the characters: its name, its offset and its size in bytes.
pub const PORT_FIELDS: [(&str, usize, usize); 12] = port::FIELDS;

const fn register(
    name: &'static str,
    offset: usize,
    len: usize,
    allowed: &'static str,
) -> Register {
    Register {
        name,
        offset,
        len,
        allowed,
    }
}

/// What has arrived of a card.
///
/// # Invariants
///
/// - Ports that have not arrived are in their reset state, and `arrived` is at most the number that the card has.
pub struct Parts {
    ports: Ports,
    config: Option<Config>,
    uarts: [Uart; MAX_PORTS],
    /// How many ports have arrived.
    arrived: u8,
}

/// The record that must come when so many ports have arrived.
fn port_name(arrived: u8) -> &'static str {
    match arrived {
        0 => "PORT 0",
        _ => "PORT 1",
    }
}

/// The number of ports.
fn count(ports: Ports) -> u8 {
    match ports {
        Ports::One => 1,
        Ports::Two => 2,
    }
}

impl Snapshot for Card {
    type Parts = Parts;

    fn kind(version: u16, tag: u16) -> Option<Kind> {
        let (name, longest) = match (version, tag) {
            (VERSION, CONFIG) => ("CONFIG", CONFIG_LEN),
            (VERSION, PORT) => ("PORT", port::MAX_LEN),
            _ => return None,
        };
        Some(Kind {
            name,
            flags: MANDATORY,
            longest,
        })
    }

    fn save(&self, version: u16, records: &mut Records<'_>) -> Result<(), Full> {
        if version != VERSION {
            return Err(Full);
        }
        records.put(CONFIG, MANDATORY, &self.config().save(&OFFSETS))?;
        for (index, uart) in (0..count(self.ports())).zip(self.uarts()) {
            let mut payload = [0; port::MAX_LEN];
            let len = uart.save().encode(index, &mut payload);
            records.put(PORT, MANDATORY, payload.get(..len).ok_or(Full)?)?;
        }
        Ok(())
    }

    fn parts(&self) -> Parts {
        Parts {
            ports: self.ports(),
            config: None,
            uarts: [Uart::new(), Uart::new()],
            arrived: 0,
        }
    }

    fn load(parts: &mut Parts, _version: u16, tag: u16, payload: &[u8]) -> Result<(), RecordError> {
        match tag {
            CONFIG if parts.config.is_some() => return Err(RecordError::Duplicate),
            CONFIG => parts.config = Some(load_config(parts.ports, payload)?),
            _ if parts.config.is_none() => {
                return Err(RecordError::Order { expected: "CONFIG" });
            }
            _ => load_port(parts, payload)?,
        }
        Ok(())
    }

    #[inline]
    fn assemble(parts: &Parts) -> Result<Self, Missing> {
        let config = parts.config.clone().ok_or(Missing { record: "CONFIG" })?;
        if parts.arrived < count(parts.ports) {
            return Err(Missing {
                record: port_name(parts.arrived),
            });
        }
        Ok(Self::from_parts(config, parts.uarts.clone()))
    }
}

/// Makes a configuration space of the registers.
///
/// A register can have a value if and only if it reads it back after it was written at power-on.
fn load_config(ports: Ports, payload: &[u8]) -> Result<Config, RecordError> {
    let payload: &[u8; CONFIG_LEN] = payload.try_into().map_err(|_| RecordError::Length {
        expected: CONFIG_LEN,
    })?;
    let mut config = Config::new(ports);
    match config.restore(&OFFSETS, payload) {
        Ok(()) => Ok(config),
        Err(at) => Err(wrong_register(at, payload)),
    }
}

/// The error of the register that has the byte at `wrong` in configuration space.
#[cold]
fn wrong_register(wrong: usize, payload: &[u8; CONFIG_LEN]) -> RecordError {
    let mut rest = &payload[..];
    for register in &REGISTERS {
        let (bytes, later) = rest.split_at_checked(register.len).unwrap_or((rest, &[]));
        let end = register.offset.saturating_add(register.len);
        if (register.offset..end).contains(&wrong) {
            let mut value = [0; 4];
            for (to, from) in value.iter_mut().zip(bytes) {
                *to = *from;
            }
            return RecordError::Field {
                name: register.name,
                value: u32::from_le_bytes(value),
                allowed: register.allowed,
            };
        }
        rest = later;
    }
    // Every byte of the record is one of a register.
    field("config", 0, "registers")
}

/// Takes in the next port.
fn load_port(parts: &mut Parts, payload: &[u8]) -> Result<(), RecordError> {
    let (index, port) = Port::decode(payload)?;
    if index >= count(parts.ports) {
        let allowed = match parts.ports {
            Ports::One => "0x0",
            Ports::Two => "0x0 or 0x1",
        };
        return Err(field("index", index, allowed));
    }
    if index < parts.arrived {
        return Err(RecordError::Duplicate);
    }
    if index > parts.arrived {
        return Err(RecordError::Order {
            expected: port_name(parts.arrived),
        });
    }
    let uart = Uart::restore(port)?;
    if let Some(slot) = parts.uarts.get_mut(usize::from(index)) {
        *slot = uart;
    }
    parts.arrived = parts.arrived.saturating_add(1);
    Ok(())
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_snapshot)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    /// Whether a register that is saved holds byte `offset` of configuration space.
    fn is_saved(offset: usize) -> bool {
        REGISTERS
            .iter()
            .any(|register| (register.offset..register.offset + register.len).contains(&offset))
    }

    #[test]
    fn the_registers_fill_the_record() {
        let len: usize = REGISTERS.iter().map(|register| register.len).sum();
        assert_eq!(len, CONFIG_LEN);
    }

    #[test]
    fn every_register_that_software_can_change_is_saved() {
        for ports in [Ports::One, Ports::Two] {
            let reset = Config::new(ports);
            for offset in 0..Card::CONFIG_LEN {
                let mut config = Config::new(ports);
                config.write(offset, &[0xff]);
                assert!(config == reset || is_saved(offset));
                config.write(offset, &[0x00]);
                assert!(config == reset || is_saved(offset));
            }
        }
    }

    #[test]
    fn a_configuration_space_is_made_of_what_was_saved() {
        for ports in [Ports::One, Ports::Two] {
            for byte in [0x00, 0xff, 0xa5, 0x5a] {
                let mut config = Config::new(ports);
                config.write(0, &[byte; Card::CONFIG_LEN]);
                let payload = config.save(&OFFSETS);
                assert!(load_config(ports, &payload) == Ok(config));
            }
        }
    }

    #[test]
    fn a_bit_that_software_cannot_change_is_refused() {
        let reset = Config::new(Ports::Two);
        let payload = reset.save(&OFFSETS);
        let mut changeable = 0;
        for bit in 0..CONFIG_LEN * 8 {
            let mut payload = payload;
            payload[bit / 8] ^= 1 << (bit % 8);
            if let Ok(config) = load_config(Ports::Two, &payload) {
                assert!(config != reset);
                changeable += 1;
            }
        }
        // Command 5, cache line size and latency timer 16, BAR0 28, interrupt line 8, MSI 1, 30, 32 and 16.
        assert_eq!(changeable, 5 + 16 + 28 + 8 + 1 + 30 + 32 + 16);
    }

    #[test]
    fn a_card_that_lacks_a_record_is_not_made() {
        let card = Card::new(Ports::Two);
        let mut parts = card.parts();
        let missing = |record| Err(Missing { record });
        assert_eq!(Card::assemble(&parts), missing("CONFIG"));
        let payload = card.config().save(&OFFSETS);
        assert_eq!(Card::load(&mut parts, VERSION, CONFIG, &payload), Ok(()));
        for (index, record) in [(0, "PORT 0"), (1, "PORT 1")] {
            assert_eq!(Card::assemble(&parts), missing(record));
            let mut payload = [0; port::MAX_LEN];
            let len = Uart::new().save().encode(index, &mut payload);
            assert_eq!(
                Card::load(&mut parts, VERSION, PORT, &payload[..len]),
                Ok(())
            );
        }
        assert_eq!(Card::assemble(&parts), Ok(card));
    }

    #[test]
    fn no_version_but_the_first_is_known() {
        for version in [0, 2, u16::MAX] {
            assert_eq!(Card::kind(version, CONFIG), None);
            assert_eq!(Card::kind(version, PORT), None);
        }
        assert_eq!(Card::kind(VERSION, 0), None);
        assert_eq!(Card::kind(VERSION, 3), None);
    }
}
