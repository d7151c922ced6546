// SPDX-License-Identifier: GPL-2.0-only

//! What is saved is what is loaded, whatever a guest did to the card and however the bytes travel.

mod stream_support;
mod support;

use migdev_migration::stream::{
    length,
    Event,
    Incoming,
    Outgoing,
    Progress,
    Reader, //
};
use migdev_model::{
    Abi,
    Card,
    PortCounters,
    Ports, //
};
use proptest::{
    collection::vec,
    prelude::*, //
};
use stream_support::{
    as_of,
    checksum,
    drain,
    full_card,
    identity,
    load,
    load_pieces,
    save,
    save_as,
    string,
    string_of,
    Outcome,
    Plain,
    Record,
    CONFIG,
    COUNTERS,
    MANDATORY,
    PORT,
    VERSIONS, //
};
use support::{
    access,
    any_abi,
    any_card,
    any_ports,
    any_version,
    cases, //
};

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn what_is_saved_is_what_is_loaded(card in any_card()) {
        prop_assert_eq!(load(card.ports(), &save(&card)).card(), card);
    }

    #[test]
    fn version_1_brings_all_but_the_counters(card in any_card()) {
        let loaded = load(card.ports(), &save_as(1, &card)).card();
        prop_assert!(loaded.counters().all(|counters| counters == PortCounters::default()));
        prop_assert_eq!(&loaded, &as_of(1, &card));
        prop_assert_eq!(save_as(1, &loaded), save_as(1, &card));
    }

    #[test]
    fn a_card_of_either_abi_takes_in_a_card_of_the_other_and_keeps_its_own(
        ports in any_ports(),
        accesses in vec(access(), 0..80),
        from in any_abi(),
        to in any_abi(),
        version in any_version(),
    ) {
        let [source, expected] = [from, to].map(|abi| {
            let mut card = Card::new(ports, abi);
            for access in &accesses {
                access.apply(&mut card);
            }
            card
        });
        let mine = identity(string(ports));
        let mut stream = Incoming::new(mine, &Card::new(ports, to), checksum);
        prop_assert_eq!(stream.push(&save_as(version, &source)), Ok(Progress::Complete));
        let loaded = stream.take().unwrap();
        prop_assert_eq!(loaded.abi(), to);
        prop_assert_eq!(save_as(1, &loaded), save_as(1, &expected));
        if version == 2 {
            prop_assert_eq!(loaded, expected);
        }
    }

    #[test]
    fn a_loaded_card_goes_on_as_the_saved_one_would(
        card in any_card(),
        version in any_version(),
        accesses in vec(access(), 0..40),
    ) {
        let mut here = card.clone();
        let mut there = load(card.ports(), &save_as(version, &card)).card();
        let counted = |card: &Card| -> Vec<_> {
            card.counters().flat_map(|counters| [counters.passed, counters.overrun]).collect()
        };
        let before = if version == 1 { counted(&here) } else { vec![0; counted(&here).len()] };
        for access in &accesses {
            prop_assert_eq!(access.apply(&mut there), access.apply(&mut here));
            prop_assert_eq!(there.intx_asserted(), here.intx_asserted());
            prop_assert_eq!(there.msi_asserted(), here.msi_asserted());
            let on: Vec<_> = counted(&there).iter().zip(&before).map(|(more, before)| before + more).collect();
            prop_assert_eq!(on, counted(&here));
        }
    }

    #[test]
    fn pieces_of_any_size_are_the_same_stream(
        card in any_card(),
        version in any_version(),
        cuts in vec(1..70_usize, 1..40),
    ) {
        let bytes = save_as(version, &card);
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
        prop_assert_eq!(load_pieces(string(ports), ports, pieces).card(), as_of(version, &card));
    }

    /// What is accepted is a card that saves as the very bytes that it was made of: every state has one spelling.
    #[test]
    fn what_is_accepted_is_canonical(
        card in any_card(),
        version in any_version(),
        changes in vec((0..4_usize, any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut plain = Plain::of_version(version, &card);
        let records = plain.records.len();
        for (record, at, value) in changes {
            let payload = &mut plain.records[record % records].payload;
            *at.get_mut(payload) = value;
        }
        let bytes = plain.write();
        match load(card.ports(), &bytes) {
            Outcome::Loaded(loaded) => prop_assert_eq!(save_as(version, &loaded), bytes),
            Outcome::Refused(errno, name, reason) => {
                prop_assert_eq!((errno, name), (22, "EINVAL"));
                prop_assert!(reason.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", reason);
            }
            Outcome::Unfinished => prop_assert!(false),
        }
    }

    #[test]
    fn the_length_is_known_beforehand(card in any_card(), version in any_version()) {
        let mine = identity(string_of(version, card.ports()));
        prop_assert_eq!(length(mine, &card), save_as(version, &card).len());
    }
}

#[test]
fn single_bytes_are_the_same_stream() {
    let card = full_card(Ports::Two);
    for version in VERSIONS {
        let bytes = save_as(version, &card);
        let outcome = load_pieces(string(Ports::Two), Ports::Two, bytes.chunks(1));
        assert_eq!(outcome.card(), as_of(version, &card));
    }
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

/// Version 1 stays what it was before there was a second one.
#[test]
fn version_2_is_version_1_with_the_counters_behind() {
    for ports in [Ports::One, Ports::Two] {
        for card in [Card::new(ports, Abi::NEWEST), full_card(ports)] {
            let old = Plain::of_version(1, &card);
            let mut new = Plain::of(&card);
            let counters = new.records.pop().unwrap();
            assert_eq!((old.version, new.version), (1, 2));
            assert_eq!(old.records, new.records);
            let payload: Vec<u8> = card
                .counters()
                .flat_map(|counters| [counters.passed, counters.overrun])
                .flat_map(u64::to_le_bytes)
                .collect();
            assert_eq!(counters, Record::new(COUNTERS, MANDATORY, &payload));
        }
    }
}

/// What has the number of a later version's record is nothing that version 1 knows.
#[test]
fn version_1_skips_a_record_with_the_tag_of_the_counters() {
    let card = full_card(Ports::One);
    let mut plain = Plain::of_version(1, &card);
    for place in 0..=plain.records.len() {
        let mut with = plain.clone();
        with.records
            .insert(place, Record::new(COUNTERS, 0, &[0x5a; 205]));
        assert_eq!(load(Ports::One, &with.write()).card(), as_of(1, &card));
        with.drop_skipped();
        assert_eq!(with, plain);
    }
    plain
        .records
        .push(Record::new(COUNTERS, MANDATORY, &[0; 16]));
    assert!(load(Ports::One, &plain.write()).is_refused());
}

#[test]
fn counters_of_any_number_travel() {
    for ports in [Ports::One, Ports::Two] {
        let mut plain = Plain::of(&full_card(ports));
        for (at, byte) in plain.payload(COUNTERS).iter_mut().enumerate() {
            *byte = 0xff - at as u8;
        }
        let bytes = plain.write();
        let card = load(ports, &bytes).card();
        let expected = [
            PortCounters {
                passed: 0xf8f9_fafb_fcfd_feff,
                overrun: 0xf0f1_f2f3_f4f5_f6f7,
            },
            PortCounters {
                passed: 0xe8e9_eaeb_eced_eeef,
                overrun: 0xe0e1_e2e3_e4e5_e6e7,
            },
        ];
        let count = Card::io_len(ports) / 8;
        assert_eq!(card.counters().collect::<Vec<_>>(), expected[..count]);
        assert_eq!(save(&card), bytes);
    }
}

/// The ABI says what a guest sees, the stream version how it travels. A type can be held at an older one of either.
#[test]
fn abi_and_stream_version_do_not_depend_on_one_another() {
    let card = full_card(Ports::One);
    for (mine, version) in [
        (
            "migver:1,vendor=migdev,model=serial,abi=1.0,stream=2:1-2,param.ports=eq:1",
            2,
        ),
        (
            "migver:1,vendor=migdev,model=serial,abi=1.1,stream=1:1-1,param.ports=eq:1",
            1,
        ),
    ] {
        let mut stream = Outgoing::new(identity(mine), checksum);
        stream.seal(&card).unwrap();
        let bytes = drain(&mut stream);
        assert_eq!(
            Plain::read(&bytes).records,
            Plain::of_version(version, &card).records
        );
        for loader in [mine, string(Ports::One)] {
            let loaded = load_pieces(loader, Ports::One, [&bytes[..]]);
            assert_eq!(loaded.card(), as_of(version, &card));
        }
    }
}

#[test]
fn a_version_that_a_card_does_not_write_is_not_written() {
    let newer = "migver:1,vendor=migdev,model=serial,abi=1.1,stream=3:1-3,param.ports=eq:1";
    let mut stream = Outgoing::new(identity(newer), checksum);
    let head = stream.remaining();
    assert!(stream.seal(&Card::new(Ports::One, Abi::NEWEST)).is_err());
    assert!(!stream.is_sealed());
    assert_eq!(stream.remaining(), head);
}

#[test]
fn sealing_again_changes_nothing() {
    let mut stream = Outgoing::new(identity(string(Ports::One)), checksum);
    stream.seal(&Card::new(Ports::One, Abi::NEWEST)).unwrap();
    let before = stream.remaining();
    stream.seal(&full_card(Ports::One)).unwrap();
    assert_eq!(stream.remaining(), before);
    assert_eq!(
        drain(&mut stream),
        save(&Card::new(Ports::One, Abi::NEWEST))
    );
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
        let expected = [CONFIG, PORT, PORT, COUNTERS].map(|tag| (tag, MANDATORY));
        assert_eq!(seen, expected);
        let expected: Vec<_> = plain.records.iter().map(|record| &record.payload).collect();
        assert_eq!(payloads.iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn streams_have_the_sizes_that_are_documented() {
    let sizes = VERSIONS.map(|version| {
        [Ports::One, Ports::Two].map(|ports| {
            [Card::new(ports, Abi::NEWEST), full_card(ports)]
                .map(|card| save_as(version, &card).len())
        })
    });
    assert_eq!(sizes, [[[151, 199], [172, 268]], [[175, 223], [212, 308]]]);
}
