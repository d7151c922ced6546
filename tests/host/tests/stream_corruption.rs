// SPDX-License-Identifier: GPL-2.0-only

//! A stream that was damaged, cut or put together in another order makes no card, wherever it happened.

mod stream_support;
mod support;

use migdev_migration::stream::MAX_STREAM;
use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index, //
};
use stream_support::{
    as_of,
    full_card,
    load,
    load_pieces,
    save,
    save_as,
    sealed,
    string,
    Outcome,
    Plain,
    Record,
    EBADMSG,
    EFBIG,
    EINVAL,
    MANDATORY,
    VERSIONS, //
};
use support::{
    any_card,
    any_version,
    cases, //
};

/// Streams of both kinds of card, with nothing and with everything in the FIFOs, in every version.
fn samples() -> Vec<(Ports, Vec<u8>)> {
    let mut samples = Vec::new();
    for ports in [Ports::One, Ports::Two] {
        for card in [Card::new(ports, Abi::NEWEST), full_card(ports)] {
            samples.extend(VERSIONS.map(|version| (ports, save_as(version, &card))));
        }
    }
    samples
}

/// Puts a record in at each place of a stream of every version, and loads each.
fn with_record_anywhere(record: &Record) -> Vec<(Card, Outcome)> {
    let mut loaded = Vec::new();
    for version in VERSIONS {
        let card = full_card(Ports::Two);
        let plain = Plain::of_version(version, &card);
        for place in 0..=plain.records.len() {
            let mut plain = plain.clone();
            plain.records.insert(place, record.clone());
            loaded.push((as_of(version, &card), load(Ports::Two, &plain.write())));
        }
    }
    loaded
}

#[test]
fn a_stream_that_is_cut_anywhere_is_not_loaded() {
    for (ports, bytes) in samples() {
        for end in 0..bytes.len() {
            assert_eq!(load(ports, &bytes[..end]), Outcome::Unfinished, "{end}");
        }
    }
}

#[test]
fn no_single_bit_can_flip() {
    for (ports, bytes) in samples() {
        let mut unfinished = Vec::new();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            match load(ports, &bytes) {
                Outcome::Loaded(_) => panic!("bit {bit} is not covered"),
                // A length that has grown has the reader wait for more, which then never comes.
                Outcome::Unfinished => unfinished.push(bit / 8),
                Outcome::Refused(..) => {}
            }
        }
        let string_length = 10..12;
        let records = 16 + string(ports).len();
        assert!(
            unfinished
                .iter()
                .all(|at| string_length.contains(at) || *at >= records),
            "{unfinished:?}"
        );
    }
}

#[test]
fn no_two_neighbouring_bytes_can_swap() {
    for (ports, bytes) in samples() {
        for at in 1..bytes.len() {
            let mut swapped = bytes.clone();
            swapped.swap(at - 1, at);
            if swapped != bytes {
                assert!(!matches!(load(ports, &swapped), Outcome::Loaded(_)), "{at}");
            }
        }
    }
}

#[test]
fn no_byte_can_be_lost_or_doubled() {
    for (ports, bytes) in samples() {
        for at in 0..bytes.len() {
            let mut less = bytes.clone();
            let byte = less.remove(at);
            assert!(!matches!(load(ports, &less), Outcome::Loaded(_)), "{at}");
            let mut more = bytes.clone();
            more.insert(at, byte);
            assert!(!matches!(load(ports, &more), Outcome::Loaded(_)), "{at}");
        }
    }
}

#[test]
fn records_come_once_and_in_order() {
    for version in VERSIONS {
        records_of_a_version_come_once_and_in_order(version);
    }
}

fn records_of_a_version_come_once_and_in_order(version: u16) {
    let plain = Plain::of_version(version, &full_card(Ports::Two));
    let count = plain.records.len();
    for left in 0..count {
        let mut removed = plain.clone();
        removed.records.remove(left);
        assert_eq!(load(Ports::Two, &removed.write()).refusal().0, EINVAL);

        for right in 0..=count {
            let mut doubled = plain.clone();
            doubled.records.insert(right, plain.records[left].clone());
            assert_eq!(load(Ports::Two, &doubled.write()).refusal().0, EINVAL);
        }
        for right in left + 1..count {
            let mut swapped = plain.clone();
            swapped.records.swap(left, right);
            assert_eq!(load(Ports::Two, &swapped.write()).refusal().0, EINVAL);
        }
    }
}

#[test]
fn an_unknown_optional_record_is_skipped_wherever_it_is() {
    for length in [0, 1, 255, 256, 257, 60_000] {
        for (card, outcome) in with_record_anywhere(&Record::new(0x7fff, 0, &vec![0x5a; length])) {
            assert_eq!(outcome.card(), card, "{length}");
        }
    }
}

#[test]
fn an_unknown_mandatory_record_is_refused_wherever_it_is() {
    for length in [0, 1, 60_000] {
        let record = Record::new(0xfffe, MANDATORY, &vec![0x5a; length]);
        for (_, outcome) in with_record_anywhere(&record) {
            assert_eq!(outcome.refusal().0, EINVAL);
        }
    }
}

#[test]
fn a_stream_may_be_as_long_as_the_limit_and_no_longer() {
    let card = full_card(Ports::One);
    let mut plain = Plain::of(&card);
    let length = MAX_STREAM - save(&card).len() - 8;
    plain.records.push(Record::new(7, 0, &vec![0; length]));
    assert_eq!(plain.write().len(), MAX_STREAM);
    assert_eq!(load(Ports::One, &plain.write()).card(), card);

    plain.payload(7).push(0);
    assert_eq!(load(Ports::One, &plain.write()).refusal().0, EFBIG);
}

#[test]
fn a_stream_of_ever_more_records_ends_at_the_limit() {
    let mut plain = Plain::of(&full_card(Ports::One));
    plain.records.extend(vec![Record::new(7, 0, b""); 10_000]);
    let bytes = plain.write();
    let (errno, _) = load(Ports::One, &bytes).refusal();
    assert_eq!(errno, EFBIG);
    assert!(load(Ports::One, &bytes[..MAX_STREAM]).is_refused());
}

#[test]
fn a_length_that_promises_too_much_is_refused_before_it_comes() {
    for length in [65_536, u32::MAX / 2, u32::MAX] {
        let mut bytes = save(&Card::new(Ports::One, Abi::NEWEST));
        bytes.truncate(89);
        bytes.extend([7, 0, 0, 0]);
        bytes.extend(length.to_le_bytes());
        assert_eq!(load(Ports::One, &bytes).refusal().0, EFBIG);
    }
}

#[test]
fn what_comes_after_the_end_makes_a_complete_stream_a_refused_one() {
    let card = full_card(Ports::One);
    let bytes = save(&card);
    assert_eq!(load(Ports::One, &bytes).card(), card);
    // Not even the first version after the second, or the other way round.
    for (one, other) in [(1, 2), (2, 1)] {
        let both = [one, other].map(|version| save_as(version, &card)).concat();
        assert_eq!(load(Ports::One, &both).refusal().0, EINVAL);
    }
    let twice = [&bytes[..], &bytes[..]];
    assert_eq!(load(Ports::One, &twice.concat()).refusal().0, EINVAL);
}

#[test]
fn a_stream_of_nothing_is_unfinished() {
    let none: [&[u8]; 3] = [b"", b"", b""];
    assert_eq!(
        load_pieces(string(Ports::One), Ports::One, none),
        Outcome::Unfinished
    );
}

proptest! {
    #![proptest_config(cases(1000))]

    /// Damage of up to 32 bits in a row: a CRC of 32 bits finds all of it. Where it makes a stream of another shape, its
    /// checksum is right by a chance of 1 in 2^32.
    #[test]
    fn damage_makes_no_card(
        card in any_card(),
        version in any_version(),
        at in any::<Index>(),
        damage in any::<[u8; 4]>().prop_filter("damage changes something", |damage| *damage != [0; 4]),
    ) {
        let mut bytes = save_as(version, &card);
        let at = at.index(bytes.len() - 4);
        for (byte, damage) in bytes[at..].iter_mut().zip(damage) {
            *byte ^= damage;
        }
        prop_assert!(!matches!(load(card.ports(), &bytes), Outcome::Loaded(_)));
    }

    /// Whatever comes with a right checksum is either refused or a card; and in pieces of any size it is the same.
    #[test]
    fn what_becomes_of_a_stream_does_not_depend_on_its_pieces(
        card in any_card(),
        version in any_version(),
        changes in vec((any::<Index>(), any::<u8>()), 0..3),
        size in 1..80_usize,
        right in any::<bool>(),
    ) {
        let mut bytes = save_as(version, &card);
        for (at, value) in &changes {
            *at.get_mut(&mut bytes) = *value;
        }
        if right {
            bytes.truncate(bytes.len() - 12);
            bytes = sealed(bytes);
        }
        let ports = card.ports();
        let outcome = load(ports, &bytes);
        prop_assert_eq!(&load_pieces(string(ports), ports, bytes.chunks(size)), &outcome);
        if let Outcome::Refused(errno, name, reason) = outcome {
            prop_assert!(reason.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", reason);
            prop_assert_eq!(errno == EBADMSG, name == "EBADMSG");
            prop_assert!(!(right && errno == EBADMSG));
        }
    }

    #[test]
    fn no_bytes_at_all_bring_the_reader_down(
        bytes in vec(any::<u8>(), 0..400),
        version in any_version(),
        keep in 0..110_usize,
    ) {
        let mut stream = save_as(version, &Card::new(Ports::One, Abi::NEWEST));
        stream.truncate(keep);
        stream.extend(&bytes);
        prop_assert!(!matches!(load(Ports::One, &stream), Outcome::Loaded(_)));
    }
}
