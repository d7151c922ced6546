// SPDX-License-Identifier: GPL-2.0-only

//! The serial card, moved by one version of the protocol to a card that speaks the other, and back.

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
use migdev_model::Card;
use migration_support::{
    Memory,
    DATA_OFFSET_FIELD,
    DATA_SIZE_FIELD,
    DEVICE_STATE,
    PENDING_BYTES, //
};
use proptest::prelude::*;
use stream_support::{
    checksum,
    identity,
    save,
    string, //
};
use support::{
    any_card,
    cases, //
};

/// A card and its machine.
struct Host {
    card: Card,
    machine: Migration<Card, Box<Session<Card>>>,
    window: Memory,
}

impl Host {
    fn new(card: Card) -> Self {
        Self {
            card,
            machine: Migration::new(),
            window: Memory(RefCell::new(vec![0; DATA_SIZE])),
        }
    }

    fn write(&mut self, (offset, _): (u64, usize), bytes: &[u8]) {
        let room = room(&self.card);
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
        let room = room(&self.card);
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
fn room(card: &Card) -> impl FnOnce(Direction) -> Option<Box<Session<Card>>> {
    let card = card.clone();
    move |direction| {
        let mine = identity(string(card.ports()));
        Some(Box::new(match direction {
            Direction::Saving => Session::saving(mine, checksum),
            Direction::Loading => Session::loading(mine, &card, checksum),
        }))
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_card_goes_from_version_1_to_version_2_and_back(card in any_card()) {
        let mut old = Host::new(card.clone());
        let mut new = Host::new(Card::new(card.ports()));
        let there = old.save_by_region();
        prop_assert_eq!(&there, &save(&card));
        new.load_by_file(&there);
        prop_assert_eq!(&new.card, &card);

        let back = new.save_by_file();
        prop_assert_eq!(&back, &there);
        old.card.reset();
        old.load_by_region(&back);
        prop_assert_eq!(&old.card, &card);
        prop_assert!(old.machine.is_running());
    }
}
