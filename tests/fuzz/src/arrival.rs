// SPDX-License-Identifier: GPL-2.0-only

//! A stream that arrives at a card: whatever it is, and however it is cut, it is taken whole or not at all.

use std::cell::RefCell;

use migdev_migration::{
    region::DATA_SIZE,
    stream::MAX_STREAM,
    Error,
    Migration,
    Session,
    State,
    Window, //
};
use migdev_model::{
    Abi,
    Card,
    PortCounters,
    Ports, //
};

use super::stream_support::{
    as_of,
    checksum,
    full_card,
    identity,
    load_into,
    save_as,
    string,
    witness::{
        witness,
        Port, //
    },
    Outcome,
    Plain,
    PORT,
    VERSIONS, //
};

/// Where a stream arrives.
pub struct Arrival {
    /// The string of the card.
    pub mine: &'static str,
    pub ports: Ports,
    pub abi: Abi,
    /// How the stream is cut.
    pub cuts: u8,
}

/// A data section.
struct Section(RefCell<[u8; DATA_SIZE]>);

impl Window for Section {
    fn read(&self, at: usize, out: &mut [u8]) {
        out.copy_from_slice(&self.0.borrow()[at..][..out.len()]);
    }

    fn write(&self, at: usize, data: &[u8]) {
        self.0.borrow_mut()[at..][..data.len()].copy_from_slice(data);
    }
}

impl Arrival {
    /// The pieces of the stream: about as many for a long one as for a short one.
    fn pieces<'a>(&self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let longest = 2 + usize::from(self.cuts % 64) + bytes.len() / 256;
        let mut next = u32::from(self.cuts);
        let (mut pieces, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let length = (next >> 16) as usize % longest;
            let (piece, others) = rest.split_at(length.min(rest.len()));
            pieces.push(piece);
            rest = others;
        }
        pieces
    }

    fn load<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        load_into(self.mine, &Card::new(self.ports, self.abi), pieces)
    }

    /// Has it arrive in all ways, and returns what became of it.
    pub fn of(&self, bytes: &[u8]) -> Outcome {
        let outcome = self.load([bytes]);
        let pieces = self.pieces(bytes);
        assert_eq!(self.load(pieces.iter().copied()), outcome, "in pieces");
        if bytes.len() < 1000 {
            assert_eq!(self.load(bytes.chunks(1)), outcome, "byte by byte");
        }
        self.through_file(&pieces, bytes, &outcome);
        self.through_region(&pieces, bytes, &outcome);
        if let Outcome::Loaded(card) = &outcome {
            assert!(bytes.len() <= MAX_STREAM);
            // It is as documented: the test can take it apart, and would write it the same, checksum and all; and but for
            // what may be skipped, it is what the card is saved as.
            let mut plain = Plain::read(bytes);
            plain.drop_skipped();
            let saved = Plain::of_version(plain.version, card);
            assert_eq!(plain.records, saved.records, "saved as it came");
            assert_eq!(card.ports(), self.ports);
            assert_eq!(card.abi(), self.abi);
            self.assert_exact(bytes);
            assert_stays(card);
            assert_reachable(card);
            if bytes[8] == 1 {
                assert!(card
                    .counters()
                    .all(|counters| counters == PortCounters::default()));
            }
        }
        outcome
    }

    /// Neither less than a stream nor more is one, nor is it with a bit wrong, wherever that is.
    fn assert_exact(&self, bytes: &[u8]) {
        assert_eq!(self.load([&bytes[..bytes.len() - 1]]), Outcome::Unfinished);
        assert!(self.load([bytes, &[self.cuts]]).is_refused());
        let mut spoilt = bytes.to_vec();
        spoilt[usize::from(self.cuts) * 7 % bytes.len()] ^= 1 << (self.cuts % 8);
        assert!(!matches!(self.load([&spoilt[..]]), Outcome::Loaded(_)));
    }

    /// Loads the stream as the driver does, by `deliver`, which gets the machine, the card and a piece.
    fn through(
        &self,
        pieces: &[&[u8]],
        bytes: &[u8],
        outcome: &Outcome,
        resume: impl FnOnce(&mut Machine, &mut Card) -> Result<(), Error>,
        mut deliver: impl FnMut(&mut Machine, &mut Card, &[u8]) -> Result<(), Error>,
        leave: impl Fn(&mut Machine, &mut Card) -> Result<(), Error>,
    ) {
        let mut machine = Machine::new();
        let mut card = Card::new(self.ports, self.abi);
        card.config_write(0, &[0xff; 256]);
        for port in full_card(self.ports).counters().enumerate() {
            card.io_write(8 * port.0, &[0x11; 8]);
        }
        let before = card.clone();
        resume(&mut machine, &mut card).expect("there is a way");

        let (mut arrived, mut refused) = (0, None);
        for piece in pieces {
            let had = card.clone();
            arrived += piece.len();
            let done = deliver(&mut machine, &mut card, piece);
            if refused.is_some() {
                assert_eq!(done, refused.unwrap_or(Ok(())), "a refusal is for good");
            }
            if let Err(error) = done {
                assert_eq!(card, had, "a piece that is refused changes nothing");
                refused = Some(Err(error));
            } else if card != had {
                let whole = self.load([&bytes[..arrived]]);
                assert_eq!(
                    whole,
                    Outcome::Loaded(Box::new(card.clone())),
                    "whole or not at all"
                );
                assert!(machine.has_taken_in());
            }
        }
        match outcome {
            Outcome::Loaded(loaded) => {
                assert_eq!(refused, None);
                assert_eq!(card, **loaded);
                assert_eq!(leave(&mut machine, &mut card), Ok(()));
                assert_eq!(machine.state(), State::Running);
                assert_eq!(card, **loaded, "what was loaded is not loaded once more");
            }
            Outcome::Unfinished => {
                assert_eq!(refused, None);
                assert_eq!(card, before);
            }
            Outcome::Refused(errno, ..) => {
                assert_eq!(refused, Some(Err(Error::Stream(*errno))));
                assert_eq!(
                    machine.refusal().map(|refusal| refusal.errno()),
                    Some(*errno)
                );
                assert_eq!(leave(&mut machine, &mut card), Err(Error::Incomplete));
                assert_eq!(machine.state(), State::Resuming);
            }
        }
    }

    /// Memory for a session.
    fn room(&self) -> Option<Box<Session<Card>>> {
        let new = Card::new(self.ports, self.abi);
        Some(Box::new(Session::loading(
            identity(self.mine),
            &new,
            checksum,
        )))
    }

    fn through_file(&self, pieces: &[&[u8]], bytes: &[u8], outcome: &Outcome) {
        self.through(
            pieces,
            bytes,
            outcome,
            |machine, card| {
                let opened = machine.set_state(card, State::Resuming, |_| self.room())?;
                assert_eq!(opened.map(|opened| opened.id), Some(1));
                Ok(())
            },
            |machine, card, piece| machine.write(1, card, piece),
            |machine, card| {
                machine
                    .set_state(card, State::Running, |_| None)
                    .map(|_| ())
            },
        );
    }

    fn through_region(&self, pieces: &[&[u8]], bytes: &[u8], outcome: &Outcome) {
        let section = Section(RefCell::new([0; DATA_SIZE]));
        let write = |machine: &mut Machine, card: &mut Card, offset, data: &[u8]| {
            let written = machine.region_write(card, &section, offset, data, |_| self.room())?;
            assert_eq!(written, data.len());
            Ok(())
        };
        let pieces: Vec<_> = pieces
            .iter()
            .copied()
            .filter(|piece| !piece.is_empty())
            .collect();
        self.through(
            &pieces,
            bytes,
            outcome,
            |machine, card| write(machine, card, 0x00, &4_u32.to_ne_bytes()),
            |machine, card, piece| {
                write(machine, card, 0x1000, piece)?;
                write(machine, card, 0x18, &(piece.len() as u64).to_ne_bytes())
            },
            |machine, card| write(machine, card, 0x00, &1_u32.to_ne_bytes()),
        );
    }
}

type Machine = Migration<Card, Box<Session<Card>>>;

/// What was loaded is saved again as what it is, in each version.
fn assert_stays(card: &Card) {
    // As one of the newest ABI, which no stream tells.
    let card = loaded(card.ports(), &save_as(2, card));
    for version in VERSIONS {
        let stream = save_as(version, &card);
        let again = loaded(card.ports(), &stream);
        assert_eq!(again, as_of(version, &card));
        assert_eq!(save_as(version, &again), stream);
    }
}

/// What a new card of the newest ABI makes of a stream.
fn loaded(ports: Ports, stream: &[u8]) -> Card {
    load_into(string(ports), &Card::new(ports, Abi::NEWEST), [stream]).card()
}

/// A guest can bring each port into its state.
fn assert_reachable(card: &Card) {
    let records = Plain::of(card).records;
    for record in records.iter().filter(|record| record.tag == PORT) {
        let port = Port::read(&record.payload);
        let reached = Plain::of(&witness(&port)).payload(PORT).clone();
        assert_eq!(Port::read(&reached), port, "no accesses bring a port there");
    }
}
