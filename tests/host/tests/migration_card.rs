// SPDX-License-Identifier: GPL-2.0-only

//! The serial card, moved by one version of the protocol to a card that speaks the other, and back; in every version of
//! the stream, which has nothing to do with that of the protocol.

mod migration_support;
mod stream_support;
mod support;

use std::cell::RefCell;

use migdev_migration::{
    region::DATA_SIZE,
    Direction,
    Migration,
    Session,
    State, //
};
use migdev_model::{
    Abi,
    Card, //
};
use migration_support::{
    Memory,
    DATA_OFFSET_FIELD,
    DATA_SIZE_FIELD,
    DEVICE_STATE,
    PENDING_BYTES, //
};
use proptest::prelude::*;
use stream_support::{
    as_of,
    checksum,
    identity,
    save_as,
    string_of, //
};
use support::{
    any_card,
    any_version,
    cases, //
};

/// A card and its machine.
struct Host {
    card: Card,
    /// The version of the stream that it writes.
    version: u16,
    machine: Migration<Card, Box<Session<Card>>>,
    window: Memory,
}

impl Host {
    fn new(card: Card, version: u16) -> Self {
        Self {
            card,
            version,
            machine: Migration::new(),
            window: Memory(RefCell::new(vec![0; DATA_SIZE])),
        }
    }

    fn write(&mut self, (offset, _): (u64, usize), bytes: &[u8]) {
        let room = room(&self.card, self.version);
        self.machine
            .region_write(&mut self.card, &self.window, offset, bytes, room)
            .unwrap();
    }

    fn read(&mut self, (offset, _): (u64, usize)) -> u64 {
        let mut out = [0; 8];
        self.machine
            .region_read(&self.window, offset, &mut out)
            .unwrap();
        u64::from_ne_bytes(out)
    }

    /// Saves by version 1, with pre-copy.
    fn save_by_region(&mut self) -> Vec<u8> {
        let mut stream = Vec::new();
        for state in [0b011_u32, 0b010] {
            self.write(DEVICE_STATE, &state.to_ne_bytes());
            while self.read(PENDING_BYTES) > 0 {
                assert_eq!(self.read(DATA_OFFSET_FIELD), 0x1000);
                let size = self.read(DATA_SIZE_FIELD) as usize;
                stream.extend(&self.window.0.borrow()[..size]);
            }
        }
        self.write(DEVICE_STATE, &0b000_u32.to_ne_bytes());
        stream
    }

    /// Loads by version 1.
    fn load_by_region(&mut self, stream: &[u8]) {
        self.write(DEVICE_STATE, &0b100_u32.to_ne_bytes());
        for chunk in stream.chunks(100) {
            self.window.0.borrow_mut()[..chunk.len()].copy_from_slice(chunk);
            self.write(DATA_SIZE_FIELD, &(chunk.len() as u64).to_ne_bytes());
        }
        self.write(DEVICE_STATE, &0b001_u32.to_ne_bytes());
    }

    fn open(&mut self, to: State) -> Option<u64> {
        let room = room(&self.card, self.version);
        let opened = self.machine.set_state(&self.card, to, room).unwrap();
        opened.map(|opened| opened.id)
    }

    /// Saves by version 2, with pre-copy.
    fn save_by_file(&mut self) -> Vec<u8> {
        let id = self.open(State::PreCopy).unwrap();
        let mut stream = Vec::new();
        for state in [State::PreCopyP2p, State::StopCopy] {
            self.open(state);
            let mut piece = [0; 100];
            while let Ok(count @ 1..) = self.machine.peek(id, &mut piece) {
                stream.extend(&piece[..count]);
                self.machine.advance(id, count);
            }
        }
        self.open(State::Stop);
        stream
    }

    /// Loads by version 2.
    fn load_by_file(&mut self, stream: &[u8]) {
        let id = self.open(State::Resuming).unwrap();
        self.machine.write(id, &mut self.card, stream).unwrap();
        self.open(State::Running);
    }
}

/// Memory for a session of this card.
fn room(card: &Card, version: u16) -> impl FnOnce(Direction) -> Option<Box<Session<Card>>> {
    let card = card.clone();
    move |direction| {
        let mine = identity(string_of(version, card.ports()));
        Some(Box::new(match direction {
            Direction::Saving => Session::saving(mine, checksum),
            Direction::Loading => Session::loading(mine, &card, checksum),
        }))
    }
}

/// The driver allocates it for each transfer.
#[test]
fn a_session_fits_2_kib() {
    let size = size_of::<Session<Card>>();
    assert!(size <= 2048, "{size}");
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_card_goes_from_version_1_to_version_2_and_back(card in any_card(), version in any_version()) {
        let mut old = Host::new(card.clone(), version);
        let mut new = Host::new(Card::new(card.ports(), Abi::NEWEST), version);
        let card = as_of(version, &card);
        let there = old.save_by_region();
        prop_assert_eq!(&there, &save_as(version, &card));
        new.load_by_file(&there);
        prop_assert_eq!(&new.card, &card);

        let back = new.save_by_file();
        prop_assert_eq!(&back, &there);
        old.card.reset();
        old.load_by_region(&back);
        prop_assert_eq!(&old.card, &card);
        prop_assert!(old.machine.is_running());
    }

    #[test]
    fn a_card_goes_from_where_it_was_held_to_where_it_is_not(card in any_card(), by_file in any::<bool>()) {
        let mut held = Host::new(card.clone(), 1);
        let mut newest = Host::new(Card::new(card.ports(), Abi::NEWEST), 2);
        if by_file {
            let stream = held.save_by_file();
            newest.load_by_region(&stream);
        } else {
            let stream = held.save_by_region();
            newest.load_by_file(&stream);
        }
        let card = as_of(1, &card);
        prop_assert_eq!(&newest.card, &card);
        prop_assert_eq!(newest.save_by_file(), save_as(2, &card));
    }
}
