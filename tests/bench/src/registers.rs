// SPDX-License-Identifier: GPL-2.0-only
//! Accesses to a card's registers and to its configuration space, and characters through it.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use vfio_client::device::file_offset;
use vfio_client::serial::{BAR0, CONFIG, DATA, IIR_FCR, LSR, LSR_DR, LSR_THRE};

use crate::calls;
use crate::cards::Card;
use crate::measure::{Bench, Operation};
use crate::results::Goal;
use crate::World;

/// Reads and writes of 1, 2, 4 and 8 bytes.
pub fn add<'a>(world: &'a World, benches: &mut Vec<Bench<'a>>) {
    // Each ends with the scratch register, so that the wider ones are the narrower ones and more.
    benches.push(read::<1>(world, "registers", BAR0, 7));
    benches.push(read::<2>(world, "registers", BAR0, 6));
    benches.push(read::<4>(world, "registers", BAR0, 4));
    benches.push(read::<8>(world, "registers", BAR0, 0));
    benches.push(write(world, "registers", BAR0, 7, [0x5a]));
    benches.push(write(world, "registers", BAR0, 6, [0, 0x5a]));
    benches.push(write(world, "registers", BAR0, 4, [0x08, 0, 0, 0x5a]));
    let all = [b'a', 0, 0x01, 0x03, 0x08, 0, 0, 0x5a];
    benches.push(write(world, "registers", BAR0, 0, all));
    // The identifiers, and what a driver may write at any time without an effect.
    benches.push(read::<1>(world, "configuration", CONFIG, 0x3c));
    benches.push(read::<2>(world, "configuration", CONFIG, 0));
    benches.push(read::<4>(world, "configuration", CONFIG, 0));
    benches.push(read::<8>(world, "configuration", CONFIG, 0));
    benches.push(write(world, "configuration", CONFIG, 0x3c, [0x0a]));
    benches.push(write(world, "configuration", CONFIG, 0x04, [0x05, 0]));
    benches.push(write(world, "configuration", CONFIG, 0x18, [0; 4]));
    benches.push(write(world, "configuration", CONFIG, 0x18, [0; 8]));
    fifo(world, benches);
}

/// A row of reads of `N` bytes.
fn read<'a, const N: usize>(world: &'a World, what: &str, region: u32, at: u64) -> Bench<'a> {
    let operation = |fd, at| Operation::new(move || calls::pread(fd, &mut [0; N], at));
    let at = file_offset(region, at);
    Bench::new(format!("{what}: read {}", bytes(N)))
        .goal(Goal::Register)
        .ours(operation(world.ours.source.fd(), at))
        .peer(operation(world.peer.source.fd(), at))
        .limit("pread of /dev/zero", operation(world.zero.as_raw_fd(), 0))
}

/// A row of writes of these bytes.
fn write<'a, const N: usize>(
    world: &'a World,
    what: &str,
    region: u32,
    at: u64,
    value: [u8; N],
) -> Bench<'a> {
    let operation = |fd, at| Operation::new(move || calls::pwrite(fd, &value, at));
    let at = file_offset(region, at);
    Bench::new(format!("{what}: write {}", bytes(N)))
        .goal(Goal::Register)
        .ours(operation(world.ours.source.fd(), at))
        .peer(operation(world.peer.source.fd(), at))
        .limit("pwrite to /dev/zero", operation(world.zero.as_raw_fd(), 0))
}

/// So many bytes, in words.
fn bytes(count: usize) -> String {
    let unit = if count == 1 { "byte" } else { "bytes" };
    format!("{count} {unit}")
}

/// As many characters as both can keep: the peer loses all of them when its 16 places are full.
const CHARACTERS: usize = 15;

/// Characters, by single bytes, as any driver moves them: the data register is one byte wide, so that no access moves
/// more than one.
fn fifo<'a>(world: &'a World, benches: &mut Vec<Bench<'a>>) {
    let (ours, peer) = (&world.ours.source, &world.peer.source);
    benches.push(
        Bench::new(format!("FIFO: fill with {CHARACTERS} characters"))
            .goal(Goal::Register)
            .ours(Operation::new(|| fill(ours, CHARACTERS)).after(|| clear(ours)))
            .peer(Operation::new(|| fill(peer, CHARACTERS)).after(|| clear(peer))),
    );
    let refill = |card| clear(card).and_then(|()| fill(card, CHARACTERS));
    benches.push(
        Bench::new(format!("FIFO: drain of {CHARACTERS} characters"))
            .goal(Goal::Register)
            .ours(Operation::new(|| drain(ours, CHARACTERS)).after(move || refill(ours)))
            .peer(Operation::new(|| drain(peer, CHARACTERS)).after(move || refill(peer))),
    );
    benches.push(
        Bench::new("FIFO: fill with 16 characters")
            .goal(Goal::None)
            .ours(Operation::new(|| fill(ours, 16)).after(|| clear(ours))),
    );
    let refill = |card| clear(card).and_then(|()| fill(card, 16));
    benches.push(
        Bench::new("FIFO: drain of 16 characters")
            .goal(Goal::None)
            .ours(Operation::new(|| drain(ours, 16)).after(move || refill(ours))),
    );
}

/// Empties the FIFOs by their control register.
fn clear(card: &Card) -> Result<(), Errno> {
    card.set(IIR_FCR, 0x07)
}

/// Sends, after a look whether the transmitter is empty, as a driver does.
fn fill(card: &Card, characters: usize) -> Result<(), Errno> {
    if card.get(LSR)? & LSR_THRE == 0 {
        return Err(Errno::EBUSY);
    }
    (0..characters).try_for_each(|_| card.set(DATA, b'a'))
}

/// Receives until the line status says that there is no more, as a driver does.
fn drain(card: &Card, characters: usize) -> Result<(), Errno> {
    let mut count = 0;
    while card.get(LSR)? & LSR_DR != 0 {
        if card.get(DATA)? != b'a' {
            return Err(Errno::EIO);
        }
        count += 1;
    }
    match count == characters {
        true => Ok(()),
        false => Err(Errno::EPROTO),
    }
}
