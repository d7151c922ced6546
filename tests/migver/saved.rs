// SPDX-License-Identifier: GPL-2.0-only

//! Saved streams are found wherever they lie in a file, and told as they are.

use migver_cli::saved::{
    search,
    Found,
    Summary, //
};

use migdev_migration::stream::Outgoing;
use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use migver::{
    Identity,
    Version, //
};

use std::{
    io::{
        self,
        Read, //
    },
    sync::OnceLock, //
};

const STRING: &str = "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,param.ports=eq:2";

fn identity() -> &'static Identity<'static> {
    static MADE: OnceLock<Identity<'static>> = OnceLock::new();
    MADE.get_or_init(|| Identity::new(Version::parse(STRING.as_bytes()).unwrap()))
}

/// The stream of a card whose first port has these characters to be read.
fn stream(characters: &[u8]) -> Vec<u8> {
    let mut card = Card::new(Ports::Two, Abi::NEWEST);
    card.io_write(3, &[0x03]);
    card.io_write(2, &[0x01]);
    for character in characters {
        card.io_write(0, &[*character]);
    }
    let mut stream = Outgoing::new(identity(), crc32c::crc32c_append);
    stream.seal(&card).unwrap();
    let mut bytes = vec![0; stream.remaining()];
    assert_eq!(stream.peek(&mut bytes), bytes.len());
    bytes
}

fn found(mut bytes: &[u8]) -> (Vec<Found>, Summary) {
    let mut all = Vec::new();
    let summary = search(&mut bytes, &mut |found| {
        all.push(found);
        Ok(())
    });
    (all, summary.unwrap())
}

/// A section of QEMU's migration with pieces of a device's data in it.
fn section(kind: u8, number: u32, pieces: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(number.to_be_bytes());
    for piece in pieces {
        bytes.extend(0xffff_ffff_ef10_0004_u64.to_be_bytes());
        bytes.extend((piece.len() as u64).to_be_bytes());
        bytes.extend(*piece);
    }
    bytes.extend(0xffff_ffff_ef10_0001_u64.to_be_bytes());
    bytes.push(0x7e);
    bytes.extend(number.to_be_bytes());
    bytes
}

/// Bytes that are never the same for long, and never a magic.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 25) as u8
    };
    (0..length).map(next).collect()
}

fn right(found: &Found) -> bool {
    found.stream.complete && found.stream.known && found.stream.problems.is_empty()
}

#[test]
fn a_file_that_is_a_stream_is_told_as_one() {
    let (all, summary) = found(&stream(b"ok"));
    assert_eq!((all.len(), summary.found, summary.passed), (1, 1, 0));
    assert!(right(&all[0]));
    assert_eq!(all[0].pieces[0].offset, 0);
    assert_eq!(all[0].stream.string, STRING.as_bytes());
    let names: Vec<_> = all[0]
        .stream
        .records
        .iter()
        .map(|record| record.name)
        .collect();
    let expected = ["CONFIG", "PORT", "PORT", "COUNTERS"].map(Some);
    assert_eq!(names, expected);
}

#[test]
fn a_stream_is_found_wherever_it_lies() {
    let stream = stream(b"x");
    // Around what is read at once, and beyond it.
    for before in [
        1, 7, 4096, 262_143, 262_144, 327_679, 327_680, 327_700, 1_000_003,
    ] {
        for after in [0, 5, 300_000] {
            let bytes = [noise(before), stream.clone(), noise(after)].concat();
            let (all, summary) = found(&bytes);
            assert_eq!(all.len(), 1, "{before} {after}");
            assert!(right(&all[0]), "{before} {after}");
            assert_eq!(all[0].pieces[0].offset, before as u64);
            assert_eq!(all[0].pieces[0].length, stream.len());
            assert_eq!(summary.length, bytes.len() as u64);
        }
    }
}

#[test]
fn what_input_is_read_in_has_no_influence() {
    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = out.len().min(self.0.len()).min(3);
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }
    let bytes = [noise(400_000), stream(b"x"), noise(10)].concat();
    let mut count = 0;
    search(&mut Slow(&bytes), &mut |found| {
        assert!(right(&found));
        count += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(count, 1);
}

#[test]
fn every_stream_of_a_file_is_found() {
    let (one, two) = (stream(b"one"), stream(b"two"));
    let (all, _) = found(&[&one[..], &two[..]].concat());
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(right));
    let (all, _) = found(&[&noise(99)[..], &one, &noise(70_000), &two, &noise(9)].concat());
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(right));
}

#[test]
fn the_pieces_of_two_devices_are_put_together() {
    let (one, two) = (stream(b"one"), stream(b"the other"));
    // In pre-copy the head, which is followed by memory, and the rest when the guest has stopped.
    let head = 16 + STRING.len();
    let bytes = [
        noise(300),
        section(2, 7, &[&one[..head]]),
        section(2, 8, &[&two[..head]]),
        noise(2_000_000),
        section(3, 8, &[&two[head..head + 40], &two[head + 40..]]),
        section(3, 9, &[b"what some other device has to say"]),
        section(3, 7, &[&one[head..]]),
        noise(300),
    ]
    .concat();
    let (all, _) = found(&bytes);
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(right));
    // In the order in which they end.
    assert_eq!(all[0].pieces.len(), 3);
    assert_eq!(all[1].pieces.len(), 2);
    assert_eq!(all[0].stream.length, two.len());
    assert_eq!(all[1].stream.length, one.len());
    for found in &all {
        let whole: Vec<u8> = found
            .pieces
            .iter()
            .flat_map(|piece| {
                let offset = usize::try_from(piece.offset).unwrap();
                bytes[offset..offset + piece.length].to_vec()
            })
            .collect();
        assert!(whole == one || whole == two);
    }
}

#[test]
fn a_stream_that_is_cut_off_says_where() {
    let whole = stream(b"ok");
    for length in 8..whole.len() {
        let (all, _) = found(&whole[..length]);
        assert_eq!(all.len(), 1);
        assert!(!all[0].stream.complete);
        let [problem] = &all[0].stream.problems[..] else {
            panic!("{:?}", all[0].stream.problems);
        };
        assert_eq!(problem.at, length);
        assert!(problem.text.starts_with("the stream is cut off "));
    }
}

#[test]
fn no_byte_can_be_changed_unseen() {
    let whole = stream(b"ok");
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= bit;
            let (all, _) = found(&bytes);
            assert!(!all.iter().any(right), "byte {at}");
            assert_eq!(all.is_empty(), at < 8, "byte {at}");
        }
    }
}

#[test]
fn what_follows_a_stream_is_told() {
    let whole = stream(b"ok");
    let (all, _) = found(&[&whole[..], b"\n"].concat());
    let [problem] = &all[0].stream.problems[..] else {
        panic!("{:?}", all[0].stream.problems);
    };
    assert_eq!(problem.at, whole.len());
    assert_eq!(problem.text, "bytes follow the record END");
}

#[test]
fn a_stream_that_was_sent_as_text_is_recognised() {
    let bytes = stream(b"ok")
        .iter()
        .copied()
        .filter(|byte| *byte != b'\r')
        .collect::<Vec<_>>();
    let (all, summary) = found(&bytes);
    assert!(all.is_empty());
    let expected = "not a migration stream: byte 4 of the magic is 0x0a, must be 0x0d";
    assert_eq!(summary.spoiled.as_deref(), Some(expected));
}

#[test]
fn programs_with_the_magic_in_them_are_passed_over() {
    let bytes = [
        noise(50),
        b"\x89mig\r\n\x1a\n".to_vec(),
        noise(50),
        stream(b"x"),
    ]
    .concat();
    let (all, summary) = found(&bytes);
    assert_eq!((all.len(), summary.passed), (1, 1));
    assert!(right(&all[0]));
}

#[test]
fn any_number_of_flags_and_magics_is_passed_over() {
    let bytes = [
        &b"\xff\xff\xff\xff\xef\x10\x00\x04"[..],
        b"\x89mig\r\n\x1a\n",
    ]
    .concat();
    let (all, summary) = found(&bytes.repeat(100_000));
    assert!(all.is_empty());
    assert!(summary.passed > 0);
}
