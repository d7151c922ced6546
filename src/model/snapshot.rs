// SPDX-License-Identifier: GPL-2.0-only

//! The card as a migration stream has it: the records CONFIG and PORT, and from version 2 on COUNTERS.
//!
//! They hold all that a guest can change and what the card counts, and nothing that follows from it.
//! `Documentation/migration-stream.rst` has them byte by byte. What is loaded is a state that accesses to a card at
//! power-on can bring about, or it is refused.
//!
//! What tells the versions of the stream apart is [`has_counters`]. The bytes of version 1 stay as they are: other hosts
//! have drivers that know no other.

use super::card::{
    Card,
    Ports,
    MAX_PORTS, //
};
use super::config::Config;
use super::counters::{
    self,
    PortCounters, //
};
use super::port::{
    self,
    field,
    Port, //
};
use super::uart::Uart;
use super::Abi;
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

use core::ops::RangeInclusive;

/// The oldest version of the stream that a card writes and loads.
pub const OLDEST: u16 = 1;

/// The newest version of the stream that a card writes and loads.
pub const NEWEST: u16 = 2;

/// The versions of the stream that a card writes and loads.
pub const VERSIONS: RangeInclusive<u16> = OLDEST..=NEWEST;

/// The tag of the record with the registers of configuration space that can change. It comes first.
pub const CONFIG: u16 = 1;

/// The tag of the record with the state of one port. There is one for each port, in order.
pub const PORT: u16 = 2;

/// The tag of the record with what all ports have counted. It comes last, from version 2 on.
pub const COUNTERS: u16 = 3;

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
    RECORD_LEN
        + CONFIG_LEN
        + MAX_PORTS * (RECORD_LEN + port::MAX_LEN)
        + RECORD_LEN
        + MAX_PORTS * counters::LEN
        + END_LEN
        <= Outgoing::CAPACITY
);

/// Every field of the record PORT before the characters: its name, its offset and its size in bytes.
pub const PORT_FIELDS: [(&str, usize, usize); 12] = port::FIELDS;

/// Every field that the record COUNTERS has for each port: its name, its offset and its size in bytes.
pub const COUNTERS_FIELDS: [(&str, usize, usize); 2] = counters::FIELDS;

/// Whether this version of the stream has the record COUNTERS.
const fn has_counters(version: u16) -> bool {
    version >= 2
}

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
    abi: Abi,
    config: Option<Config>,
    uarts: [Uart; MAX_PORTS],
    /// How many ports have arrived.
    arrived: u8,
    /// Whether the counters have arrived.
    counted: bool,
}

/// The record that must come when so many ports have arrived.
fn port_name(arrived: u8) -> &'static str {
    match arrived {
        0 => "PORT 0",
        _ => "PORT 1",
    }
}

impl Parts {
    /// Whether all ports have arrived.
    fn has_ports(&self) -> bool {
        usize::from(self.arrived) >= self.ports.count()
    }
}

impl Snapshot for Card {
    type Parts = Parts;

    fn kind(version: u16, tag: u16) -> Option<Kind> {
        let (name, longest) = match tag {
            _ if !VERSIONS.contains(&version) => return None,
            CONFIG => ("CONFIG", CONFIG_LEN),
            PORT => ("PORT", port::MAX_LEN),
            COUNTERS if has_counters(version) => ("COUNTERS", MAX_PORTS * counters::LEN),
            _ => return None,
        };
        Some(Kind {
            name,
            flags: MANDATORY,
            longest,
        })
    }

    fn save(&self, version: u16, records: &mut Records<'_>) -> Result<(), Full> {
        if !VERSIONS.contains(&version) {
            return Err(Full);
        }
        records.put(CONFIG, MANDATORY, &self.config().save(&OFFSETS))?;
        let ports = self.ports().count();
        for (index, uart) in (0_u8..).zip(self.uarts().iter().take(ports)) {
            let mut payload = [0; port::MAX_LEN];
            let len = uart.save().encode(index, &mut payload);
            records.put(PORT, MANDATORY, payload.get(..len).ok_or(Full)?)?;
        }
        if has_counters(version) {
            let counters = self.uarts().each_ref().map(|uart| uart.counters().encode());
            let counters = counters.get(..ports).ok_or(Full)?;
            let payload = counters.as_flattened().as_flattened();
            records.put(COUNTERS, MANDATORY, payload)?;
        }
        Ok(())
    }

    fn parts(&self) -> Parts {
        Parts {
            ports: self.ports(),
            abi: self.abi(),
            config: None,
            uarts: [Uart::new(), Uart::new()],
            arrived: 0,
            counted: false,
        }
    }

    fn load(parts: &mut Parts, _version: u16, tag: u16, payload: &[u8]) -> Result<(), RecordError> {
        match tag {
            CONFIG if parts.config.is_some() => return Err(RecordError::Duplicate),
            CONFIG => parts.config = Some(load_config(parts.ports, parts.abi, payload)?),
            _ if parts.config.is_none() => {
                return Err(RecordError::Order { expected: "CONFIG" });
            }
            COUNTERS => load_counters(parts, payload)?,
            _ => load_port(parts, payload)?,
        }
        Ok(())
    }

    #[inline]
    fn assemble(parts: &Parts, version: u16) -> Result<Self, Missing> {
        let config = parts.config.clone().ok_or(Missing { record: "CONFIG" })?;
        if !parts.has_ports() {
            return Err(Missing {
                record: port_name(parts.arrived),
            });
        }
        if has_counters(version) && !parts.counted {
            return Err(Missing { record: "COUNTERS" });
        }
        Ok(Self::from_parts(config, parts.uarts.clone()))
    }
}

/// Makes a configuration space of the registers.
///
/// A register can have a value if and only if it reads it back after it was written at power-on.
fn load_config(ports: Ports, abi: Abi, payload: &[u8]) -> Result<Config, RecordError> {
    let payload: &[u8; CONFIG_LEN] = payload.try_into().map_err(|_| RecordError::Length {
        expected: CONFIG_LEN,
    })?;
    let mut config = Config::new(ports, abi);
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
    if usize::from(index) >= parts.ports.count() {
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

/// Takes in what the ports have counted.
fn load_counters(parts: &mut Parts, payload: &[u8]) -> Result<(), RecordError> {
    if parts.counted {
        return Err(RecordError::Duplicate);
    }
    if !parts.has_ports() {
        return Err(RecordError::Order {
            expected: port_name(parts.arrived),
        });
    }
    let ports = parts.ports.count();
    let expected = ports.saturating_mul(counters::LEN);
    if payload.len() != expected {
        return Err(RecordError::Length { expected });
    }
    let mut rest = payload;
    for uart in parts.uarts.iter_mut().take(ports) {
        if let Some((counters, later)) = rest.split_first_chunk() {
            uart.restore_counters(PortCounters::decode(counters));
            rest = later;
        }
    }
    parts.counted = true;
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
            let reset = Config::new(ports, Abi::NEWEST);
            for offset in 0..Card::CONFIG_LEN {
                let mut config = Config::new(ports, Abi::NEWEST);
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
                let mut config = Config::new(ports, Abi::NEWEST);
                config.write(0, &[byte; Card::CONFIG_LEN]);
                let payload = config.save(&OFFSETS);
                assert!(load_config(ports, Abi::NEWEST, &payload) == Ok(config));
            }
        }
    }

    #[test]
    fn a_bit_that_software_cannot_change_is_refused() {
        let reset = Config::new(Ports::Two, Abi::NEWEST);
        let payload = reset.save(&OFFSETS);
        let mut changeable = 0;
        for bit in 0..CONFIG_LEN * 8 {
            let mut payload = payload;
            payload[bit / 8] ^= 1 << (bit % 8);
            if let Ok(config) = load_config(Ports::Two, Abi::NEWEST, &payload) {
                assert!(config != reset);
                changeable += 1;
            }
        }
        // Command 5, cache line size and latency timer 16, BAR0 28, interrupt line 8, MSI 1, 30, 32 and 16.
        assert_eq!(changeable, 5 + 16 + 28 + 8 + 1 + 30 + 32 + 16);
    }

    /// What the tests load as COUNTERS.
    const COUNTED: [u8; 32] = [0x5a; 32];

    #[test]
    fn a_card_that_lacks_a_record_is_not_made() {
        let card = Card::new(Ports::Two, Abi::NEWEST);
        for version in VERSIONS {
            let mut parts = card.parts();
            let missing = |record| Err(Missing { record });
            assert_eq!(Card::assemble(&parts, version), missing("CONFIG"));
            let payload = card.config().save(&OFFSETS);
            assert_eq!(Card::load(&mut parts, version, CONFIG, &payload), Ok(()));
            for (index, record) in [(0, "PORT 0"), (1, "PORT 1")] {
                assert_eq!(Card::assemble(&parts, version), missing(record));
                let mut payload = [0; port::MAX_LEN];
                let len = Uart::new().save().encode(index, &mut payload);
                assert_eq!(
                    Card::load(&mut parts, version, PORT, &payload[..len]),
                    Ok(())
                );
            }
            if version == NEWEST {
                assert_eq!(Card::assemble(&parts, version), missing("COUNTERS"));
                let counters = [0; 32];
                assert_eq!(Card::load(&mut parts, version, COUNTERS, &counters), Ok(()));
            }
            assert_eq!(Card::assemble(&parts, version), Ok(card.clone()));
        }
    }

    /// What has arrived of a card with `ports` after so many of them, all at power-on.
    fn arrived(ports: Ports, count: u8) -> Parts {
        let card = Card::new(ports, Abi::NEWEST);
        let mut parts = card.parts();
        let payload = card.config().save(&OFFSETS);
        assert_eq!(Card::load(&mut parts, NEWEST, CONFIG, &payload), Ok(()));
        for index in 0..count {
            let mut payload = [0; port::MAX_LEN];
            let len = Uart::new().save().encode(index, &mut payload);
            assert_eq!(
                Card::load(&mut parts, NEWEST, PORT, &payload[..len]),
                Ok(())
            );
        }
        parts
    }

    #[test]
    fn counters_come_once_after_the_last_port() {
        let load = |parts: &mut Parts| Card::load(parts, NEWEST, COUNTERS, &COUNTED);
        let order = |expected| Err(RecordError::Order { expected });
        let mut parts = Card::new(Ports::Two, Abi::NEWEST).parts();
        assert_eq!(load(&mut parts), order("CONFIG"));
        assert_eq!(load(&mut arrived(Ports::Two, 0)), order("PORT 0"));
        assert_eq!(load(&mut arrived(Ports::Two, 1)), order("PORT 1"));
        let mut parts = arrived(Ports::Two, 2);
        assert_eq!(load(&mut parts), Ok(()));
        assert_eq!(load(&mut parts), Err(RecordError::Duplicate));
    }

    #[test]
    fn counters_are_those_of_the_ports_that_the_card_has() {
        for (ports, expected) in [(Ports::One, 16), (Ports::Two, 32)] {
            let count = if expected == 16 { 1 } else { 2 };
            for len in 0..=COUNTED.len() {
                let mut parts = arrived(ports, count);
                let loaded = Card::load(&mut parts, NEWEST, COUNTERS, &COUNTED[..len]);
                let made = Card::assemble(&parts, NEWEST);
                if len == expected {
                    assert_eq!(loaded, Ok(()));
                    let each = PortCounters {
                        passed: 0x5a5a_5a5a_5a5a_5a5a,
                        overrun: 0x5a5a_5a5a_5a5a_5a5a,
                    };
                    let mut left = usize::from(count);
                    for counters in made.iter().flat_map(Card::counters) {
                        assert_eq!(counters, each);
                        left -= 1;
                    }
                    assert_eq!(left, 0);
                } else {
                    assert_eq!(loaded, Err(RecordError::Length { expected }));
                    assert_eq!(made, Err(Missing { record: "COUNTERS" }));
                }
            }
        }
    }

    #[test]
    fn a_card_keeps_its_own_abi() {
        for abi in Abi::ALL {
            let mut parts = Card::new(Ports::One, abi).parts();
            let payload = Config::new(Ports::One, Abi::NEWEST).save(&OFFSETS);
            assert_eq!(Card::load(&mut parts, OLDEST, CONFIG, &payload), Ok(()));
            let mut payload = [0; port::MAX_LEN];
            let len = Uart::new().save().encode(0, &mut payload);
            assert_eq!(
                Card::load(&mut parts, OLDEST, PORT, &payload[..len]),
                Ok(())
            );
            assert_eq!(
                Card::assemble(&parts, OLDEST),
                Ok(Card::new(Ports::One, abi))
            );
        }
    }

    #[test]
    fn a_version_knows_its_own_records() {
        let known = |version, tag| Card::kind(version, tag).map(|kind| kind.name);
        for version in VERSIONS {
            assert_eq!(known(version, 0), None);
            assert_eq!(known(version, CONFIG), Some("CONFIG"));
            assert_eq!(known(version, PORT), Some("PORT"));
            assert_eq!(known(version, 4), None);
        }
        assert_eq!(known(1, COUNTERS), None);
        assert_eq!(known(2, COUNTERS), Some("COUNTERS"));
        for version in [0, 3, u16::MAX] {
            for tag in 0..5 {
                assert_eq!(known(version, tag), None);
            }
        }
    }
}
