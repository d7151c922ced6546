// SPDX-License-Identifier: GPL-2.0-only

//! What is saved is what is loaded, whatever a guest did to the card and however the bytes travel.

mod stream_support;
mod support;

use migdev_migration::stream::{
    length,
    Event,
    Outgoing,
    Reader, //
};
use migdev_model::{
    Card,
    Ports, //
};
use proptest::{
    collection::vec,
    prelude::*, //
};
use stream_support::{
    checksum,
    drain,
    full_card,
    identity,
    load,
    load_pieces,
    save,
    string,
    Outcome,
    Plain,
    CONFIG,
    MANDATORY,
    PORT, //
};
use support::{
    access,
    any_card,
    cases, //
};

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn what_is_saved_is_what_is_loaded(card in any_card()) {
        prop_assert_eq!(load(card.ports(), &save(&card)).card(), card);
    }

    #[test]
    fn a_loaded_card_goes_on_as_the_saved_one_would(card in any_card(), accesses in vec(access(), 0..40)) {
        let mut here = card.clone();
        let mut there = load(card.ports(), &save(&card)).card();
        for access in &accesses {
            prop_assert_eq!(access.apply(&mut there), access.apply(&mut here));
            prop_assert_eq!(there.intx_asserted(), here.intx_asserted());
            prop_assert_eq!(there.msi_asserted(), here.msi_asserted());
        }
    }

    #[test]
    fn pieces_of_any_size_are_the_same_stream(card in any_card(), cuts in vec(1..70_usize, 1..40)) {
        let bytes = save(&card);
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let ports = card.ports();
        prop_assert_eq!(load_pieces(string(ports), ports, pieces).card(), card);
    }

    /// What is accepted is a card that saves as the very bytes that it was made of: every state has one spelling.
    #[test]
    fn what_is_accepted_is_canonical(
        card in any_card(),
        changes in vec((0..3_usize, any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut plain = Plain::of(&card);
        let records = plain.records.len();
        for (record, at, value) in changes {
            let payload = &mut plain.records[record % records].payload;
            *at.get_mut(payload) = value;
        }
        let bytes = plain.write();
        match load(card.ports(), &bytes) {
            Outcome::Loaded(loaded) => prop_assert_eq!(save(&loaded), bytes),
            Outcome::Refused(errno, name, reason) => {
                prop_assert_eq!((errno, name), (22, "EINVAL"));
                prop_assert!(reason.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", reason);
            }
            Outcome::Unfinished => prop_assert!(false),
        }
    }

    #[test]
    fn the_length_is_known_beforehand(card in any_card()) {
        prop_assert_eq!(length(identity(string(card.ports())), &card), save(&card).len());
    }
}

#[test]
fn single_bytes_are_the_same_stream() {
    let card = full_card(Ports::Two);
    let outcome = load_pieces(string(Ports::Two), Ports::Two, save(&card).chunks(1));
    assert_eq!(outcome.card(), card);
}

#[test]
fn the_head_goes_first_and_the_rest_is_the_same_with_it_or_without() {
    let card = full_card(Ports::Two);
    let mut stream = Outgoing::new(identity(string(Ports::Two)), checksum);
    assert!(!stream.is_sealed());
    let mut bytes = drain(&mut stream);
    assert_eq!(bytes.len(), 16 + string(Ports::Two).len());
    assert_eq!(stream.remaining(), 0);
    stream.seal(&card).unwrap();
    assert!(stream.is_sealed());
    bytes.extend(drain(&mut stream));
    assert_eq!(bytes, save(&card));
}

#[test]
fn a_version_that_a_card_does_not_write_is_not_written() {
    let newer = "migver:1,vendor=migdev,model=serial,abi=1.0,stream=2:1-2,param.ports=eq:1";
    let mut stream = Outgoing::new(identity(newer), checksum);
    let head = stream.remaining();
    assert!(stream.seal(&Card::new(Ports::One)).is_err());
    assert!(!stream.is_sealed());
    assert_eq!(stream.remaining(), head);
}

#[test]
fn sealing_again_changes_nothing() {
    let mut stream = Outgoing::new(identity(string(Ports::One)), checksum);
    stream.seal(&Card::new(Ports::One)).unwrap();
    let before = stream.remaining();
    stream.seal(&full_card(Ports::One)).unwrap();
    assert_eq!(stream.remaining(), before);
    assert_eq!(drain(&mut stream), save(&Card::new(Ports::One)));
}

#[test]
fn bytes_are_fetched_in_any_portions_and_not_before_advance() {
    let card = full_card(Ports::One);
    let mut stream = Outgoing::new(identity(string(Ports::One)), checksum);
    stream.seal(&card).unwrap();
    let mut bytes: Vec<u8> = Vec::new();
    while stream.remaining() > 0 {
        let mut portion = [0xaa; 7];
        let count = stream.peek(&mut portion);
        assert_eq!(count, stream.remaining().min(7));
        assert_eq!(stream.peek(&mut [0; 7]), count);
        assert!(portion[count..].iter().all(|byte| *byte == 0xaa));
        bytes.extend(&portion[..count]);
        stream.advance(count);
    }
    assert_eq!(stream.peek(&mut [0; 7]), 0);
    stream.advance(usize::MAX);
    assert_eq!(stream.remaining(), 0);
    assert_eq!(bytes, save(&card));
}

#[test]
fn a_reader_lists_a_stream_without_knowing_the_device() {
    let card = full_card(Ports::Two);
    let plain = Plain::of(&card);
    for size in [1, 2, 7, 4096] {
        let bytes = save(&card);
        let mut reader = Reader::new(checksum);
        let mut seen = Vec::new();
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        let mut ended = false;
        for mut piece in bytes.chunks(size) {
            while let Some(event) = reader.next(&mut piece).unwrap() {
                match event {
                    Event::Head(head) => {
                        assert_eq!(head.version, plain.version);
                        assert_eq!(head.string, plain.string);
                    }
                    Event::Record(record) => {
                        seen.push((record.tag, record.flags));
                        payloads.push(Vec::new());
                    }
                    Event::Payload { piece, .. } => payloads.last_mut().unwrap().extend(piece),
                    Event::End => ended = true,
                }
            }
        }
        assert!(ended);
        assert_eq!(reader.total(), bytes.len());
        let expected = [(CONFIG, MANDATORY), (PORT, MANDATORY), (PORT, MANDATORY)];
        assert_eq!(seen, expected);
        let expected: Vec<_> = plain.records.iter().map(|record| &record.payload).collect();
        assert_eq!(payloads.iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn streams_have_the_sizes_that_are_documented() {
    let sizes = [Ports::One, Ports::Two]
        .map(|ports| [Card::new(ports), full_card(ports)].map(|card| save(&card).len()));
    assert_eq!(sizes, [[151, 199], [172, 268]]);
}
