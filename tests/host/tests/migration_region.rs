// SPDX-License-Identifier: GPL-2.0-only

//! The migration region as a client of version 1 sees it.

mod migration_support;

use std::cell::RefCell;

use migdev_migration::{
    region::{
        CHUNK,
        DATA_OFFSET,
        DATA_SIZE,
        SIZE, //
    },
    Error,
    State,
    Window, //
};
use migration_support::*;
use proptest::{
    collection::vec,
    prelude::*, //
};

/// The arcs of version 1, but for those from a state to itself.
const ARCS: [(u32, u32); 12] = [
    (0b001, 0b000),
    (0b001, 0b010),
    (0b001, 0b011),
    (0b001, 0b100),
    (0b011, 0b010),
    (0b011, 0b001),
    (0b010, 0b000),
    (0b010, 0b001),
    (0b000, 0b001),
    (0b000, 0b010),
    (0b000, 0b100),
    (0b100, 0b001),
];

#[test]
fn a_client_is_led_along_its_arcs_and_nowhere_else() {
    for from in DEVICE_STATES {
        for to in 0b000..=0b111 {
            let mut bench = Bench::in_device_state(from);
            let before = bench.look();
            let granted = bench.set_device_state(to);
            let allowed = ARCS.contains(&(from, to)) || (from == to && from != 0b110);
            assert_eq!(granted.is_ok(), allowed, "{from:03b} to {to:03b}");
            if allowed {
                assert_eq!(bench.device_state(), to);
            } else {
                let (from, to) = (bits(from), bits(to));
                assert_eq!(granted, Err(Error::DeviceState { from, to }));
            }
            if !allowed || from == to {
                assert_eq!(bench.look(), before);
            }
            assert_eq!(bench.machine.counters().refusals, u64::from(!allowed));
        }
    }
}

#[test]
fn the_states_of_version_1_are_those_of_version_2() {
    let same = [
        (0b000, State::Stop),
        (0b001, State::Running),
        (0b010, State::StopCopy),
        (0b011, State::PreCopy),
        (0b100, State::Resuming),
        (0b110, State::Error),
    ];
    for (bits, state) in same {
        assert_eq!(Bench::in_device_state(bits).machine.state(), state);
        assert_eq!(Bench::in_state(state).0.device_state(), bits);
    }
    for (bits, state) in [(0b001, State::RunningP2p), (0b011, State::PreCopyP2p)] {
        let (mut bench, _) = Bench::in_state(state);
        assert_eq!(bench.device_state(), bits);
        // The same bits over them are the same state: nothing happens.
        assert_eq!(bench.set_device_state(bits), Ok(()));
        assert_eq!(bench.machine.state(), state);
    }
}

#[test]
fn p2p_states_are_left_by_version_1_like_the_others() {
    for (state, from) in [(State::RunningP2p, 0b001), (State::PreCopyP2p, 0b011)] {
        for (_, to) in ARCS.iter().filter(|(start, _)| *start == from) {
            let (mut bench, _) = Bench::in_state(state);
            assert_eq!(bench.set_device_state(*to), Ok(()), "{state} to {to:03b}");
            assert_eq!(bench.device_state(), *to);
        }
    }
}

#[test]
fn without_memory_version_1_changes_nothing_either() {
    for (from, to) in [
        (0b001, 0b010),
        (0b001, 0b011),
        (0b001, 0b100),
        (0b000, 0b010),
        (0b000, 0b100),
    ] {
        let mut bench = Bench::in_device_state(from);
        bench.memory = false;
        let before = bench.look();
        assert_eq!(bench.set_device_state(to | 0xff00), Err(Error::NoMemory));
        assert_eq!(bench.look(), before);
    }
}

#[test]
fn reserved_bits_are_kept_by_what_is_granted_and_dropped_by_a_reset() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.set_device_state(0xdead_bee8 | 0b001), Ok(()));
    assert_eq!(bench.device_state(), 0xdead_bee9);
    // A refusal keeps those that were there.
    assert!(bench.set_device_state(0x1234_5670 | 0b111).is_err());
    assert_eq!(bench.device_state(), 0xdead_bee9);
    assert_eq!(bench.set_device_state(0x8000_0000), Ok(()));
    assert_eq!(bench.device_state(), 0x8000_0000);
    // Another way to change the state is no reason to forget them.
    bench.set_state(State::Running).unwrap();
    assert_eq!(bench.device_state(), 0x8000_0001);
    bench.set_device_state(0xff00_0001).unwrap();
    bench.set_state(State::Stop).unwrap();
    assert_eq!(bench.device_state(), 0xff00_0000);
    bench.machine.reset();
    assert_eq!(bench.device_state(), 0b001);
}

#[test]
fn a_field_is_accessed_whole_and_nothing_else_is_a_field() {
    let fields = [(0x00, 4), (0x04, 4), (0x08, 8), (0x10, 8), (0x18, 8)];
    let written = [(0x00, 4), (0x04, 4)];
    for offset in 0..0x60 {
        for len in 0..=0x28 {
            let mut bench = Bench::in_device_state(0b010);
            let read = bench.read(offset, len);
            assert_eq!(
                read.is_ok(),
                fields.contains(&(offset, len)),
                "{offset:#x}, {len}"
            );
            // 010 again is granted; the field of data_size means nothing while the device is saved.
            let mut value = 0b010_u32.to_ne_bytes().to_vec();
            value.resize(len, 0);
            let write = bench.write(offset, &value);
            assert_eq!(
                write.is_ok(),
                written.contains(&(offset, len)),
                "{offset:#x}, {len}"
            );
            if read.is_err() {
                assert_eq!(read, Err(Error::Access));
            }
        }
    }
}

#[test]
fn the_rest_of_the_control_page_and_what_is_beyond_is_refused() {
    for state in DEVICE_STATES {
        let mut bench = Bench::in_device_state(state);
        for offset in (0x20..DATA_OFFSET).chain([SIZE, SIZE + 1, u64::MAX - 3, u64::MAX]) {
            for len in [1, 2, 4, 8] {
                let before = bench.look();
                assert_eq!(bench.read(offset, len), Err(Error::Access));
                assert_eq!(bench.write(offset, &vec![0; len]), Err(Error::Access));
                if offset % 0x100 == 0 {
                    assert_eq!(bench.look(), before);
                }
            }
        }
    }
}

#[test]
fn what_can_only_be_read_is_not_written_and_reserved_is_nothing() {
    for state in DEVICE_STATES {
        let mut bench = Bench::in_device_state(state);
        let before = bench.look();
        for (offset, _) in [PENDING_BYTES, DATA_OFFSET_FIELD] {
            assert_eq!(bench.write(offset, &[1; 8]), Err(Error::Access));
        }
        assert_eq!(bench.write(RESERVED.0, &[0xff; 4]), Ok(4));
        assert_eq!(bench.field(RESERVED), 0);
        assert_eq!(bench.look(), before);
    }
}

#[test]
fn the_data_section_is_memory_in_every_state() {
    for state in DEVICE_STATES {
        let mut bench = Bench::in_device_state(state);
        for (at, len) in [
            (0, 1),
            (1, 2),
            (3, 4),
            (0xff8, 8),
            (0xfff, 1),
            (5, 256),
            (0, 0x1000),
        ] {
            let bytes: Vec<_> = (0..len).map(|byte| (byte * 7 + at) as u8).collect();
            let offset = DATA_OFFSET + at as u64;
            assert_eq!(bench.write(offset, &bytes), Ok(len));
            assert_eq!(bench.read(offset, len), Ok(bytes));
        }
        // What reaches beyond the end is done as far as it goes.
        assert_eq!(bench.write(SIZE - 2, &[1, 2, 3, 4]), Ok(2));
        assert_eq!(bench.read(SIZE - 2, 8), Ok(vec![1, 2]));
        assert_eq!(bench.device_state(), state);
    }
}

#[test]
fn a_save_takes_several_chunks_and_each_makes_pending_bytes_less() {
    let mut bench = Bench::in_device_state(0b010);
    let stream = bench.board.stream();
    assert!(stream.len() > 3 * CHUNK);
    assert_eq!(bench.field(PENDING_BYTES), stream.len() as u64);
    assert_eq!(bench.drain(), stream);
    assert_eq!(bench.field(PENDING_BYTES), 0);
    let chunks = stream.len().div_ceil(CHUNK) as u64;
    assert_eq!(bench.machine.counters().saved_chunks, chunks);
    assert_eq!(bench.machine.counters().saved_bytes, stream.len() as u64);
    // There is nothing more, however often a client asks.
    assert_eq!(bench.chunk(), b"");
    assert_eq!(bench.field(PENDING_BYTES), 0);
}

#[test]
fn reading_a_field_again_has_no_effect() {
    let mut bench = Bench::in_device_state(0b010);
    let stream = bench.board.stream();
    let mut saved = Vec::new();
    while saved.len() < stream.len() {
        let pending = (stream.len() - saved.len()) as u64;
        assert_eq!(bench.field(PENDING_BYTES), pending);
        assert_eq!(bench.field(PENDING_BYTES), pending);
        assert_eq!(bench.field(DATA_SIZE_FIELD), 0);
        let chunk = bench.chunk();
        // The chunk is there again for a client that has spoilt it.
        bench.write(DATA_OFFSET, &[0xee; 300]).unwrap();
        assert_eq!(bench.chunk(), chunk);
        assert_eq!(bench.field(DATA_SIZE_FIELD), chunk.len() as u64);
        saved.extend(chunk);
    }
    assert_eq!(saved, stream);
}

#[test]
fn pre_copy_has_the_head_and_stop_copy_the_rest() {
    let mut bench = Bench::in_device_state(0b011);
    let head = bench.drain();
    assert_eq!(head.len(), Board::head());
    assert_eq!(bench.field(PENDING_BYTES), 0);
    assert_eq!(bench.chunk(), b"");
    // The device still runs, and what it does now is in the state.
    bench.board = Board::new(9);
    let stream = bench.board.stream();
    bench.set_device_state(0b010).unwrap();
    assert_eq!([head, bench.drain()].concat(), stream);
}

#[test]
fn pre_copy_may_be_left_without_reading_anything() {
    let mut bench = Bench::in_device_state(0b011);
    bench.set_device_state(0b010).unwrap();
    assert_eq!(bench.drain(), bench.board.stream());
    for to in [0b001, 0b010] {
        let mut bench = Bench::in_device_state(0b011);
        assert_eq!(bench.set_device_state(to), Ok(()));
    }
}

#[test]
fn a_chunk_that_was_offered_in_pre_copy_is_finished_in_stop_copy() {
    let mut bench = Bench::in_device_state(0b011);
    let stream = bench.board.stream();
    assert_eq!(bench.field(PENDING_BYTES), Board::head() as u64);
    let head = bench.chunk();
    bench.set_device_state(0b010).unwrap();
    assert_eq!(bench.chunk(), head);
    assert_eq!(
        bench.field(PENDING_BYTES),
        (stream.len() - head.len()) as u64
    );
    assert_eq!([head, bench.drain()].concat(), stream);
}

#[test]
fn a_chunk_of_any_size_is_taken_in_until_the_state_is_whole() {
    let source = Board::new(7);
    for size in [1, 2, 3, 8, 255, 256, 257, 700, DATA_SIZE] {
        let mut bench = Bench::in_device_state(0b100);
        let stream = source.stream();
        for chunk in stream.chunks(size) {
            assert_ne!(bench.board, source);
            assert_eq!(bench.deliver(chunk), Ok(()));
        }
        assert_eq!(bench.board, source);
        assert_eq!(bench.machine.counters().loaded_bytes, stream.len() as u64);
        assert_eq!(
            bench.machine.counters().loaded_chunks,
            stream.len().div_ceil(size) as u64
        );
        assert_eq!(bench.set_device_state(0b001), Ok(()));
        assert_eq!(bench.machine.state(), State::Running);
    }
}

#[test]
fn what_is_written_to_the_device_after_the_load_stays() {
    let mut bench = Bench::in_device_state(0b100);
    let source = Board::new(7);
    bench.deliver(&source.stream()).unwrap();
    bench.board.blocks[0][0] ^= 0xff;
    let written = bench.board.clone();
    bench.set_device_state(0b001).unwrap();
    assert_eq!(bench.board, written);
}

#[test]
fn a_length_that_is_none_is_refused_without_harm() {
    let mut bench = Bench::in_device_state(0b100);
    for length in [0, DATA_SIZE as u64 + 1, 1 << 32, (1 << 32) + 1, u64::MAX] {
        assert_eq!(bench.set_data_size(length), Err(Error::Access));
    }
    assert_eq!(bench.deliver(&Board::new(7).stream()), Ok(()));
    assert_eq!(bench.board, Board::new(7));
}

#[test]
fn a_length_means_nothing_unless_the_region_loads() {
    for state in [0b000, 0b001, 0b010, 0b011, 0b110] {
        let mut bench = Bench::in_device_state(state);
        let before = bench.look();
        assert_eq!(bench.set_data_size(8), Err(Error::Access));
        assert_eq!(bench.look(), before);
    }
    let (mut bench, _) = Bench::in_state(State::Resuming);
    let before = bench.look();
    assert_eq!(bench.set_data_size(8), Err(Error::Busy));
    assert_eq!(bench.look(), before);
}

#[test]
fn the_region_is_silent_while_a_data_file_carries_the_session() {
    for state in [
        State::PreCopy,
        State::PreCopyP2p,
        State::StopCopy,
        State::Resuming,
    ] {
        let (mut bench, _) = Bench::in_state(state);
        let before = bench.look();
        assert_eq!(bench.field(PENDING_BYTES), 0);
        assert_eq!(bench.field(DATA_OFFSET_FIELD), DATA_OFFSET);
        assert_eq!(bench.field(DATA_SIZE_FIELD), 0);
        assert_eq!(bench.look(), before);
    }
}

#[test]
fn a_refusal_surfaces_on_the_write_of_the_length_and_stays() {
    let mut bench = Bench::in_device_state(0b100);
    let mut stream = Board::new(7).stream();
    *stream.last_mut().unwrap() ^= 1;
    assert_eq!(bench.deliver(&stream), Err(Error::Stream(74)));
    assert_eq!(bench.board, Board::new(1));
    let refusals = bench.machine.counters().refusals;
    assert_eq!(refusals, 1);
    assert_eq!(
        bench.machine.refusal().map(|refusal| refusal.errno()),
        Some(74)
    );
    *stream.last_mut().unwrap() ^= 1;
    assert_eq!(bench.deliver(&stream), Err(Error::Stream(74)));
    assert_eq!(bench.machine.counters().refusals, refusals);
    assert_eq!(bench.board, Board::new(1));
}

#[test]
fn what_follows_the_end_in_the_same_chunk_refuses_all_of_it() {
    let stream = Board::new(7).stream();
    // However much has come before, and wherever the end falls in the pieces in which a chunk is read.
    for before in [0, 1, stream.len() % CHUNK, stream.len() - 1] {
        let mut bench = Bench::in_device_state(0b100);
        let (first, rest) = stream.split_at(before);
        if before > 0 {
            bench.deliver(first).unwrap();
        }
        let chunk = [rest, &[0]].concat();
        assert_eq!(bench.deliver(&chunk), Err(Error::Stream(22)));
        assert_eq!(bench.board, Board::new(1));
    }
}

#[test]
fn a_load_of_which_nothing_arrived_is_cancelled_by_running() {
    let mut bench = Bench::in_device_state(0b100);
    assert_eq!(bench.set_device_state(0b001), Ok(()));
    assert_eq!(bench.board, Board::new(1));
}

#[test]
fn a_load_of_which_a_part_arrived_is_refused_once_and_then_cancelled() {
    let stream = Board::new(7).stream();
    for part in [1, Board::head(), stream.len() - 1] {
        let mut bench = Bench::in_device_state(0b100);
        bench.deliver(&stream[..part]).unwrap();
        assert_eq!(bench.set_device_state(0b001), Err(Error::Incomplete));
        assert_eq!(bench.device_state(), 0b100);
        // It was given up: the rest is of no use any more.
        assert_eq!(bench.deliver(&stream[part..]), Err(Error::Incomplete));
        assert_eq!(bench.set_device_state(0b001), Ok(()));
        assert_eq!(bench.machine.state(), State::Running);
        assert_eq!(bench.board, Board::new(1));
    }
}

#[test]
fn a_load_that_was_refused_is_refused_once_more_and_then_cancelled() {
    let mut bench = Bench::in_device_state(0b100);
    assert!(bench.deliver(b"no stream at all").is_err());
    assert_eq!(bench.set_device_state(0b001), Err(Error::Incomplete));
    assert_eq!(bench.deliver(b"no stream at all"), Err(Error::Stream(22)));
    assert_eq!(bench.set_device_state(0b001), Ok(()));
    assert_eq!(bench.board, Board::new(1));
}

#[test]
fn a_load_that_has_changed_the_device_is_not_cancelled() {
    let mut bench = Bench::in_device_state(0b100);
    bench.deliver(&Board::new(7).stream()).unwrap();
    assert_eq!(bench.deliver(&[0]), Err(Error::Stream(22)));
    for _ in 0..3 {
        assert_eq!(bench.set_device_state(0b001), Err(Error::Incomplete));
        assert_eq!(bench.device_state(), 0b100);
    }
    bench.machine.reset();
    assert_eq!(bench.device_state(), 0b001);
}

#[test]
fn giving_up_is_forgotten_with_the_session() {
    let mut bench = Bench::in_device_state(0b100);
    bench.deliver(&Board::new(7).stream()[..1]).unwrap();
    assert!(bench.set_device_state(0b001).is_err());
    bench.set_device_state(0b001).unwrap();
    bench.set_device_state(0b100).unwrap();
    bench.deliver(&Board::new(7).stream()).unwrap();
    bench.set_device_state(0b001).unwrap();
    assert_eq!(bench.board, Board::new(7));
}

#[test]
fn version_2_does_not_cancel_a_load_of_the_region() {
    for part in [0, 1] {
        let mut bench = Bench::in_device_state(0b100);
        if part > 0 {
            bench.deliver(&Board::new(7).stream()[..part]).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(bench.set_state(State::Stop), Err(Error::Incomplete));
        }
    }
}

#[test]
fn version_1_does_not_cancel_a_load_of_a_data_file() {
    let (mut bench, id) = Bench::in_state(State::Resuming);
    for _ in 0..2 {
        assert_eq!(bench.set_device_state(0b001), Err(Error::Incomplete));
    }
    bench
        .file_write(id.unwrap(), &Board::new(7).stream())
        .unwrap();
    assert_eq!(bench.set_device_state(0b001), Ok(()));
}

/// A data section that another has changed whenever it is looked at a second time, and that knows how often that was.
struct Fickle {
    bytes: Vec<u8>,
    reads: RefCell<Vec<u8>>,
}

impl Window for Fickle {
    fn read(&self, at: usize, out: &mut [u8]) {
        let mut reads = self.reads.borrow_mut();
        for (index, byte) in out.iter_mut().enumerate() {
            *byte = self.bytes[at + index] ^ reads[at + index];
            reads[at + index] += 1;
        }
    }

    fn write(&self, _: usize, _: &[u8]) {
        panic!("a load writes nothing to the data section");
    }
}

#[test]
fn a_load_reads_each_byte_of_the_data_section_once_and_none_beyond_the_length() {
    let stream = Board::new(7).stream();
    for size in [stream.len(), stream.len() - 1, 1, CHUNK, CHUNK + 1] {
        let mut bytes = stream.clone();
        bytes.resize(DATA_SIZE, 0xff);
        let window = Fickle {
            bytes,
            reads: RefCell::new(vec![0; DATA_SIZE]),
        };
        let mut bench = Bench::in_device_state(0b100);
        let value = (size as u64).to_ne_bytes();
        let written = bench.machine.region_write(
            &mut bench.board,
            &window,
            DATA_SIZE_FIELD.0,
            &value,
            |_| None,
        );
        assert_eq!(written, Ok(8));
        assert_eq!(bench.board == Board::new(7), size == stream.len());
        let reads = window.reads.into_inner();
        assert!(reads
            .iter()
            .enumerate()
            .all(|(at, reads)| *reads == u8::from(at < size)));
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Whatever a client does to the region, every access is answered, and the machine is left in order: a reset
    /// leads to a device that can be saved.
    #[test]
    fn any_access_of_any_width_in_any_order_is_survived(
        accesses in vec(
            (
                any::<bool>(),
                prop_oneof![0..0x30_u64, 0xff0..0x1010_u64, 0x1ff0..0x2010_u64, any::<u64>()],
                vec(any::<u8>(), 0..24),
                0..=8_u32,
            ),
            0..64,
        ),
    ) {
        let mut bench = Bench::new(1);
        for (write, offset, bytes, bits) in accesses {
            if bits <= 7 {
                // A state now and then, so that there is a session.
                let _ = bench.set_device_state(bits);
            }
            let moved = match write {
                true => bench.write(offset, &bytes),
                false => bench.read(offset, bytes.len()).map(|read| read.len()),
            };
            match moved {
                Ok(count) => prop_assert!(count <= bytes.len()),
                Err(error) => prop_assert!(error.errno() > 0),
            }
        }
        bench.machine.reset();
        bench.set_device_state(0b010).unwrap();
        prop_assert_eq!(bench.drain(), bench.board.stream());
    }
}
