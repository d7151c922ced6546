// SPDX-License-Identifier: GPL-2.0-only

//! Data files: the sessions of version 2, and that the bytes are the same by whatever they are carried.

mod migration_support;

use migdev_migration::{
    Counters,
    Direction,
    Error,
    State, //
};
use migration_support::*;
use proptest::{
    collection::vec,
    prelude::*, //
};

/// Reads a data file to its end for now, in pieces of these lengths again and again.
fn read_all(bench: &mut Bench, id: u64, lengths: &[usize]) -> Vec<u8> {
    let mut stream = Vec::new();
    for length in lengths.iter().cycle() {
        match bench.file_read(id, *length) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => stream.extend(bytes),
            Err(error) => {
                assert_eq!(error, Error::NoMessage);
                break;
            }
        }
    }
    stream
}

#[test]
fn a_stopped_device_is_read_to_the_end_of_the_stream() {
    let (mut bench, id) = Bench::in_state(State::StopCopy);
    let (id, stream) = (id.unwrap(), bench.board.stream());
    assert_eq!(read_all(&mut bench, id, &[100]), stream);
    for _ in 0..3 {
        assert_eq!(bench.file_read(id, 100), Ok(vec![]));
        assert!(bench.machine.readiness(id).readable);
    }
    let counters = *bench.machine.counters();
    let expected = Counters {
        saved_bytes: stream.len() as u64,
        saved_chunks: stream.len().div_ceil(100) as u64,
        sessions: 1,
        ..Counters::default()
    };
    assert_eq!(counters, expected);
}

#[test]
fn pre_copy_has_the_head_and_then_no_message() {
    for state in [State::PreCopy, State::PreCopyP2p] {
        let (mut bench, id) = Bench::in_state(state);
        let id = id.unwrap();
        assert!(bench.machine.readiness(id).readable);
        let head = read_all(&mut bench, id, &[10]);
        assert_eq!(head.len(), Board::head());
        assert_eq!(bench.file_read(id, 10), Err(Error::NoMessage));
        assert_eq!(Error::NoMessage.errno(), 42);
        assert!(!bench.machine.readiness(id).readable);
        bench.board = Board::new(9);
        assert_eq!(bench.set_state(State::StopCopy), Ok(None));
        assert!(bench.machine.readiness(id).readable);
        let stream = [head, read_all(&mut bench, id, &[1000])].concat();
        assert_eq!(stream, Board::new(9).stream());
    }
}

#[test]
fn precopy_info_is_told_in_pre_copy_only() {
    for state in State::ALL {
        let (bench, id) = Bench::in_state(state);
        let info = bench.machine.precopy_info(id.unwrap_or(1));
        match state {
            State::PreCopy | State::PreCopyP2p => {
                let info = info.unwrap();
                assert_eq!(info.initial_bytes, Board::head() as u64);
                assert_eq!(info.dirty_bytes, 0);
                assert_eq!(bench.machine.precopy_info(99), Err(Error::Disabled));
            }
            _ => assert_eq!(info, Err(Error::NotPreCopy)),
        }
    }
}

#[test]
fn precopy_info_falls_to_zero_as_the_head_is_read() {
    let (mut bench, id) = Bench::in_state(State::PreCopy);
    let id = id.unwrap();
    for read in 0..Board::head() {
        let info = bench.machine.precopy_info(id).unwrap();
        assert_eq!(info.initial_bytes, (Board::head() - read) as u64);
        bench.file_read(id, 1).unwrap();
    }
    assert_eq!(
        bench
            .machine
            .precopy_info(id)
            .map(|info| info.initial_bytes),
        Ok(0)
    );
}

#[test]
fn stop_copy_length_is_what_is_left_of_the_stream() {
    let whole = Board::new(1).stream().len();
    for state in State::ALL {
        let (bench, _) = Bench::in_state(state);
        assert_eq!(
            bench.machine.stop_copy_length(&BOARD, &bench.board),
            whole,
            "{state}"
        );
    }
    let (mut bench, id) = Bench::in_state(State::PreCopy);
    let id = id.unwrap();
    let mut read = bench.file_read(id, 5).unwrap().len();
    assert_eq!(
        bench.machine.stop_copy_length(&BOARD, &bench.board),
        whole - read
    );
    read += bench.file_read(id, 1000).unwrap().len();
    assert_eq!(
        bench.machine.stop_copy_length(&BOARD, &bench.board),
        whole - read
    );
    bench.set_state(State::StopCopy).unwrap();
    assert_eq!(
        bench.machine.stop_copy_length(&BOARD, &bench.board),
        whole - read
    );
    bench.file_read(id, 5000).unwrap();
    assert_eq!(bench.machine.stop_copy_length(&BOARD, &bench.board), 0);
}

#[test]
fn what_did_not_reach_the_user_is_read_again() {
    let (mut bench, id) = Bench::in_state(State::StopCopy);
    let id = id.unwrap();
    let (mut first, mut again) = ([0; 50], [0; 50]);
    assert_eq!(bench.machine.peek(id, &mut first), Ok(50));
    assert_eq!(bench.machine.peek(id, &mut again), Ok(50));
    assert_eq!(first, again);
    bench.machine.advance(id, 20);
    assert_eq!(bench.machine.peek(id, &mut again), Ok(50));
    assert_eq!(first[20..], again[..30]);
}

#[test]
fn more_than_there_is_cannot_be_taken() {
    let (mut bench, id) = Bench::in_state(State::PreCopy);
    let id = id.unwrap();
    bench.machine.advance(id, usize::MAX);
    assert_eq!(bench.machine.counters().saved_bytes, Board::head() as u64);
    bench.set_state(State::StopCopy).unwrap();
    let stream = bench.board.stream();
    assert_eq!(read_all(&mut bench, id, &[4096]), stream[Board::head()..]);
}

#[test]
fn a_file_is_disabled_for_good_when_its_session_ends() {
    for (state, end) in [
        (State::PreCopy, State::Running),
        (State::PreCopyP2p, State::RunningP2p),
        (State::StopCopy, State::Stop),
        (State::Resuming, State::Stop),
    ] {
        let (mut bench, id) = Bench::in_state(state);
        let id = id.unwrap();
        if state == State::Resuming {
            bench.file_write(id, &bench.board.stream()).unwrap();
        }
        bench.set_state(end).unwrap();
        // Another session does not wake it.
        for next in [end, State::StopCopy] {
            bench.set_state(next).unwrap();
            let before = bench.look();
            assert_eq!(bench.file_read(id, 10), Err(Error::Disabled));
            assert_eq!(bench.file_write(id, b"x"), Err(Error::Disabled));
            bench.machine.advance(id, 10);
            assert!(bench.machine.readiness(id).disabled);
            assert!(!bench.machine.readiness(id).readable);
            assert!(!bench.machine.readiness(id).writable);
            assert_eq!(bench.look(), before);
        }
    }
}

#[test]
fn a_file_is_disabled_while_the_region_carries_the_session() {
    let mut bench = Bench::new(1);
    let opened = bench.set_state(State::PreCopy).unwrap().unwrap();
    bench.set_state(State::Running).unwrap();
    for bits in [0b011, 0b010] {
        bench.set_device_state(bits).unwrap();
        for id in 0..=opened.id + 1 {
            assert!(bench.machine.readiness(id).disabled);
            assert_eq!(bench.file_read(id, 1), Err(Error::Disabled));
        }
    }
    assert_eq!(bench.drain(), bench.board.stream());
}

#[test]
fn a_file_goes_one_way() {
    let (mut bench, id) = Bench::in_state(State::StopCopy);
    let id = id.unwrap();
    assert_eq!(bench.file_write(id, b"x"), Err(Error::Access));
    assert!(!bench.machine.readiness(id).writable);
    let (mut bench, id) = Bench::in_state(State::Resuming);
    let id = id.unwrap();
    assert_eq!(bench.file_read(id, 1), Err(Error::Access));
    bench.machine.advance(id, 1);
    assert_eq!(bench.machine.counters().saved_bytes, 0);
    let readiness = bench.machine.readiness(id);
    assert!(readiness.writable && !readiness.readable && !readiness.disabled);
}

#[test]
fn a_state_is_applied_with_its_last_byte() {
    let (mut bench, id) = Bench::in_state(State::Resuming);
    let id = id.unwrap();
    let source = Board::new(7);
    let stream = source.stream();
    let (last, before) = stream.split_last().unwrap();
    for byte in before {
        bench.file_write(id, &[*byte]).unwrap();
    }
    assert_eq!(bench.board, Board::new(1));
    assert_eq!(bench.set_state(State::Stop), Err(Error::Incomplete));
    bench.file_write(id, &[*last]).unwrap();
    assert_eq!(bench.board, source);
    assert_eq!(bench.machine.counters().loaded_bytes, stream.len() as u64);
    // Nothing more is applied over what is written to the device now.
    bench.board = Board::new(2);
    bench.file_write(id, b"").unwrap();
    bench.set_state(State::Running).unwrap();
    assert_eq!(bench.board, Board::new(2));
}

#[test]
fn a_refused_stream_leaves_the_device_and_only_a_reset_ends_it() {
    let (mut bench, id) = Bench::in_state(State::Resuming);
    let id = id.unwrap();
    let mut stream = Board::new(7).stream();
    *stream.last_mut().unwrap() ^= 1;
    assert_eq!(bench.file_write(id, &stream), Err(Error::Stream(74)));
    assert_eq!(bench.machine.counters().loaded_bytes, 0);
    assert_eq!(bench.machine.counters().refusals, 1);
    assert_eq!(bench.file_write(id, b""), Err(Error::Stream(74)));
    assert_eq!(bench.machine.counters().refusals, 1);
    assert_eq!(
        bench.machine.refusal().map(|refusal| refusal.errno()),
        Some(74)
    );
    for to in [State::Stop, State::Running, State::StopCopy] {
        assert_eq!(bench.set_state(to), Err(Error::Incomplete));
        assert_eq!(bench.machine.state(), State::Resuming);
    }
    assert_eq!(bench.board, Board::new(1));
    bench.machine.reset();
    assert!(bench.machine.refusal().is_none());
    assert_eq!(bench.set_state(State::Stop), Ok(None));
}

#[test]
fn what_follows_a_whole_state_makes_it_refused() {
    let (mut bench, id) = Bench::in_state(State::Resuming);
    let id = id.unwrap();
    let stream = [Board::new(7).stream(), vec![0]].concat();
    // In one piece nothing of it is applied.
    assert_eq!(bench.file_write(id, &stream), Err(Error::Stream(22)));
    assert_eq!(bench.board, Board::new(1));
    assert_eq!(bench.set_state(State::Stop), Err(Error::Incomplete));
}

#[test]
fn the_counters_outlive_a_reset() {
    let (mut bench, id) = Bench::in_state(State::StopCopy);
    bench.file_read(id.unwrap(), 10).unwrap();
    let before = *bench.machine.counters();
    bench.machine.reset();
    assert_eq!(*bench.machine.counters(), before);
}

#[test]
fn an_id_is_used_once() {
    let mut bench = Bench::new(1);
    let mut last = 0;
    for _ in 0..10 {
        let expected = bench.machine.next_id();
        let opened = bench.set_state(State::PreCopy).unwrap().unwrap();
        assert_eq!(opened.direction, Direction::Saving);
        assert_eq!(opened.id, expected);
        assert!(opened.id > last);
        last = opened.id;
        bench.set_state(State::Running).unwrap();
        // A session of the region takes none.
        bench.set_device_state(0b011).unwrap();
        bench.machine.reset();
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn a_save_is_the_same_bytes_by_whatever_and_however_it_is_carried(
        seed: u8,
        pre_copy: bool,
        p2p: bool,
        early in 0..8_usize,
        lengths in vec(1..600_usize, 1..10),
    ) {
        let stream = Board::new(seed).stream();

        let mut bench = Bench::new(seed);
        let opened = pre_copy.then(|| bench.set_state(State::PreCopy).unwrap().unwrap());
        let mut saved = Vec::new();
        if let Some(opened) = opened {
            for length in lengths.iter().cycle().take(early) {
                saved.extend(bench.file_read(opened.id, *length).unwrap_or_default());
            }
            if p2p {
                bench.set_state(State::PreCopyP2p).unwrap();
            }
        } else if p2p {
            bench.set_state(State::RunningP2p).unwrap();
        }
        let opened = bench.set_state(State::StopCopy).unwrap().or(opened).unwrap();
        saved.extend(read_all(&mut bench, opened.id, &lengths));
        prop_assert_eq!(&saved, &stream);

        let mut bench = Bench::new(seed);
        let mut saved = Vec::new();
        if pre_copy {
            bench.set_device_state(0b011).unwrap();
            for _ in 0..early {
                bench.field(PENDING_BYTES);
                saved.extend(bench.chunk());
            }
            bench.field(PENDING_BYTES);
        }
        bench.set_device_state(0b010).unwrap();
        saved.extend(bench.drain());
        prop_assert_eq!(&saved, &stream);
    }

    #[test]
    fn a_load_is_the_same_state_by_whatever_and_however_it_is_carried(
        seed: u8,
        lengths in vec(1..600_usize, 1..10),
    ) {
        let source = Board::new(seed);
        let stream = source.stream();
        let (mut file, id) = Bench::in_state(State::Resuming);
        let mut region = Bench::in_device_state(0b100);
        let mut rest = &stream[..];
        for length in lengths.iter().cycle() {
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            file.file_write(id.unwrap(), piece).unwrap();
            region.deliver(piece).unwrap();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&file.board, &source);
        prop_assert_eq!(&region.board, &source);
        prop_assert_eq!(file.machine.counters(), region.machine.counters());
    }
}
