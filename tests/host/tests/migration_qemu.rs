// SPDX-License-Identifier: GPL-2.0-only

//! What QEMU 7.2 does with the migration region, as a client of its habits: it changes bits of `device_state` and writes
//! the rest back, asks for states it is in already, and splits chunks.

mod migration_support;

use migdev_migration::{
    Error,
    State, //
};
use migration_support::*;

const RUNNING: u32 = 0b001;
const SAVING: u32 = 0b010;
const RESUMING: u32 = 0b100;
const STATE: u32 = RUNNING | SAVING | RESUMING;

/// Changes `device_state` as QEMU does: what is there, masked, with bits added.
fn change(bench: &mut Bench, mask: u32, add: u32) -> Result<(), Error> {
    let value = bench.device_state() & mask | add;
    bench.set_device_state(value)
}

/// Reads what is pending, in accesses of at most 8 bytes; QEMU calls that an iteration.
fn iterate(bench: &mut Bench, stream: &mut Vec<u8>) {
    while bench.field(PENDING_BYTES) > 0 {
        let mut offset = bench.field(DATA_OFFSET_FIELD);
        let mut left = bench.field(DATA_SIZE_FIELD) as usize;
        while left > 0 {
            let len = [8, 4, 2, 1].into_iter().find(|len| *len <= left).unwrap();
            stream.extend(bench.read(offset, len).unwrap());
            offset += len as u64;
            left -= len;
        }
    }
}

/// Writes a chunk as QEMU does when the data section of the destination is only `section` bytes: in parts.
fn load(bench: &mut Bench, mut chunk: &[u8], section: usize) -> Result<(), Error> {
    while !chunk.is_empty() {
        let (part, rest) = chunk.split_at(section.min(chunk.len()));
        let mut offset = bench.field(DATA_OFFSET_FIELD);
        for piece in part.chunks(8) {
            assert_eq!(bench.write(offset, piece), Ok(piece.len()));
            offset += piece.len() as u64;
        }
        bench.set_data_size(part.len() as u64)?;
        chunk = rest;
    }
    Ok(())
}

/// Saves a device that runs, as a migration does.
fn migrate(bench: &mut Bench) -> Vec<u8> {
    let mut stream = Vec::new();
    change(bench, !0, SAVING).unwrap();
    assert_eq!(bench.machine.state(), State::PreCopy);
    iterate(bench, &mut stream);
    assert!(!stream.is_empty());
    // The virtual machine stops, and then the device is asked to save what is left.
    change(bench, !RUNNING, 0).unwrap();
    change(bench, !RUNNING, SAVING).unwrap();
    assert_eq!(bench.machine.state(), State::StopCopy);
    iterate(bench, &mut stream);
    change(bench, !SAVING, 0).unwrap();
    stream
}

#[test]
fn a_live_migration_arrives() {
    let mut source = Bench::new(3);
    let mut destination = Bench::new(0);
    let stream = migrate(&mut source);
    assert_eq!(source.machine.state(), State::Stop);

    change(&mut destination, !STATE, RESUMING).unwrap();
    load(&mut destination, &stream, 4096).unwrap();
    change(&mut destination, !STATE, RUNNING).unwrap();
    assert_eq!(destination.machine.state(), State::Running);
    assert_eq!(destination.board, source.board);
}

#[test]
fn saving_over_saving_goes_on_where_it_was() {
    let mut bench = Bench::new(3);
    bench.set_device_state(SAVING).unwrap();
    bench.field(PENDING_BYTES);
    let first = bench.chunk();
    assert_eq!(bench.set_device_state(SAVING), Ok(()));
    assert_eq!(bench.chunk(), first);
    bench.field(PENDING_BYTES);
    assert_eq!(bench.set_device_state(SAVING), Ok(()));
    assert_eq!([first, bench.drain()].concat(), bench.board.stream());
    assert_eq!(bench.machine.counters().sessions, 1);
}

#[test]
fn bits_that_are_no_state_survive_a_migration() {
    let upper = 0xffff_fff8;
    let mut bench = Bench::new(3);
    bench.set_device_state(upper | RUNNING).unwrap();
    migrate(&mut bench);
    assert_eq!(bench.device_state(), upper);
    change(&mut bench, !STATE, RUNNING).unwrap();
    assert_eq!(bench.device_state(), upper | RUNNING);
}

#[test]
fn a_chunk_may_be_split_at_any_place() {
    let stream = Board::new(3).stream();
    for section in [1, 7, 8, 9, 100, 256, 1000, 4096] {
        let mut bench = Bench::new(0);
        bench.set_device_state(RESUMING).unwrap();
        for chunk in stream.chunks(300) {
            load(&mut bench, chunk, section).unwrap();
        }
        change(&mut bench, !STATE, RUNNING).unwrap();
        assert_eq!(bench.board, Board::new(3));
    }
}

#[test]
fn a_virtual_machine_is_paused_and_goes_on() {
    let mut bench = Bench::new(3);
    for _ in 0..3 {
        change(&mut bench, !RUNNING, 0).unwrap();
        assert_eq!(bench.machine.state(), State::Stop);
        assert!(!bench.machine.is_running());
        change(&mut bench, !STATE, RUNNING).unwrap();
        assert_eq!(bench.machine.state(), State::Running);
    }
    assert_eq!(bench.machine.counters().sessions, 0);
    assert_eq!(bench.machine.counters().refusals, 0);
}

#[test]
fn a_paused_virtual_machine_is_migrated() {
    let mut source = Bench::new(3);
    change(&mut source, !RUNNING, 0).unwrap();
    change(&mut source, !0, SAVING).unwrap();
    assert_eq!(source.machine.state(), State::StopCopy);
    let mut stream = Vec::new();
    iterate(&mut source, &mut stream);
    change(&mut source, !RUNNING, SAVING).unwrap();
    change(&mut source, !SAVING, 0).unwrap();

    let mut destination = Bench::new(0);
    change(&mut destination, !RUNNING, 0).unwrap();
    change(&mut destination, !STATE, RESUMING).unwrap();
    load(&mut destination, &stream, 4096).unwrap();
    // It stays paused for as long as it likes.
    change(&mut destination, !RUNNING, 0).unwrap();
    assert_eq!(destination.machine.state(), State::Resuming);
    assert_eq!(destination.board, source.board);
    change(&mut destination, !STATE, RUNNING).unwrap();
}

#[test]
fn a_snapshot_is_saved_and_loaded_again() {
    let mut bench = Bench::new(3);
    // savevm: the virtual machine stops for it, with the bit for saving at once.
    change(&mut bench, !RUNNING, SAVING).unwrap();
    assert_eq!(bench.machine.state(), State::StopCopy);
    change(&mut bench, !0, SAVING).unwrap();
    change(&mut bench, !RUNNING, SAVING).unwrap();
    let mut stream = Vec::new();
    iterate(&mut bench, &mut stream);
    change(&mut bench, !SAVING, 0).unwrap();
    change(&mut bench, !STATE, RUNNING).unwrap();

    // loadvm, into the device that is there.
    bench.board = Board::new(8);
    change(&mut bench, !RUNNING, 0).unwrap();
    change(&mut bench, !STATE, RESUMING).unwrap();
    load(&mut bench, &stream, 4096).unwrap();
    change(&mut bench, !STATE, RUNNING).unwrap();
    assert_eq!(bench.board, Board::new(3));
}

#[test]
fn a_migration_is_cancelled_from_each_state_and_then_done() {
    for steps in [
        &[RUNNING | SAVING][..],
        &[RUNNING | SAVING, SAVING],
        &[SAVING],
        &[RESUMING],
    ] {
        for read in [false, true] {
            let mut bench = Bench::new(3);
            for step in steps {
                bench.set_device_state(*step).unwrap();
            }
            if read {
                bench.field(PENDING_BYTES);
                bench.chunk();
            }
            change(&mut bench, !(SAVING | RESUMING), RUNNING).unwrap();
            assert_eq!(bench.machine.state(), State::Running);
            assert_eq!(bench.field(PENDING_BYTES), 0);
            assert_eq!(bench.board, Board::new(3));
            assert_eq!(migrate(&mut bench), Board::new(3).stream());
        }
    }
}

#[test]
fn a_failed_load_leaves_a_state_that_qemu_can_go_on_from() {
    let mut bench = Bench::new(0);
    change(&mut bench, !STATE, RESUMING).unwrap();
    assert!(load(&mut bench, &[0; 64], 4096).is_err());
    // QEMU aborts if the field cannot be read after a failed write, or reads 110.
    assert!(change(&mut bench, !STATE, RUNNING).is_err());
    assert_eq!(bench.device_state(), RESUMING);
    bench.machine.reset();
    assert_eq!(bench.device_state(), RUNNING);
}

#[test]
fn a_stream_of_version_1_is_taken_in_by_version_2_and_back() {
    let mut source = Bench::new(3);
    let stream = migrate(&mut source);
    let (mut destination, id) = Bench::in_state(State::Resuming);
    destination.file_write(id.unwrap(), &stream).unwrap();
    destination.set_state(State::Running).unwrap();
    assert_eq!(destination.board, Board::new(3));

    let opened = destination.set_state(State::StopCopy).unwrap().unwrap();
    let back = destination.file_read(opened.id, 4096).unwrap();
    change(&mut source, !STATE, RESUMING).unwrap();
    source.board = Board::new(0);
    load(&mut source, &back, 4096).unwrap();
    assert_eq!(source.board, Board::new(3));
}
