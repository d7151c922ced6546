// SPDX-License-Identifier: GPL-2.0-only
//! What is transferred: what arrives, and what becomes of a stream that is not what it was. Nothing is known of its
//! layout; it is cut, changed, doubled and replaced.

use std::sync::Barrier;

use super::support::*;
use vfio_bindings::bindings::vfio::VFIO_IRQ_SET_ACTION_UNMASK as UNMASK;
use vfio_bindings::bindings::vfio::VFIO_PCI_INTX_IRQ_INDEX as INTX;
use vfio_client::migration::v2::{self, PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};

cases![
    carries_registers: UAPI, "LCR, MCR, IER and SCR of every port arrive.";
    carries_the_divisor: UAPI, "The divisor of every port arrives.";
    carries_what_was_received: UAPI, "Characters that were received and not read arrive, in order.";
    carries_a_full_receiver: UAPI, "A full receive FIFO arrives full.";
    carries_an_overrun: UAPI, "An overrun that was not read arrives.";
    carries_a_modem_change: UAPI, "A delta bit of MSR that was not read arrives.";
    carries_a_pending_interrupt: QEMU, "An interrupt that was not handled on the source is signalled on the destination.";
    arrives_by_pre_copy: UAPI, "What was changed during pre-copy arrives as it was when the device stopped.";
    arrives_in_pieces_of_any_size: POSIX, "The stream can be written in pieces of any size.";
    arrives_where_it_came_from: UAPI, "A device can load what it saved itself.";
    arrives_after_a_refusal: UAPI, "After a refused stream and a reset, a good one is loaded.";
    refuses_nothing_at_all: UAPI, "RESUMING cannot be left without a stream.";
    refuses_every_truncation: UAPI, "RESUMING cannot be left with a part of a stream.";
    refuses_trailing_bytes: UAPI, "RESUMING cannot be left with a byte more than a stream.";
    refuses_a_stream_twice: UAPI, "RESUMING cannot be left with two streams.";
    refuses_garbage: UAPI, "RESUMING cannot be left with random bytes, however many.";
    refuses_a_card_with_other_ports: UAPI, "The stream of a card with another number of ports is refused.";
    stays_refused: UAPI, "Once a write was refused, RESUMING cannot be left with what comes after it.";
    applies_nothing_of_a_refused_stream: UAPI, "A refused stream leaves the registers as they were, or as after a reset.";
    @perilous loads_no_invalid_registers: SAFETY, "With any bit of the stream flipped, the load is refused or leaves registers that can be.";
    @perilous loads_no_invalid_fifo: SAFETY, "With any byte of the stream inverted, the load is refused or leaves a receiver with what a receiver can hold.";
    @perilous survives_writers_in_parallel: SAFETY, "Writers in parallel put no more into a stream than one can.";
];

fn carries_registers(world: &World) -> Outcome {
    let (source, destination) = (world.card()?, world.card()?);
    source.enable()?;
    for number in 0..source.ports() {
        let port = source.port(number);
        port.set(LCR, 0x1a)?;
        port.set(MCR, MCR_LOOP | MCR_DTR)?;
        port.set(IER, IER_RX | IER_LINE)?;
        port.set(SCR, 0x70 + number as u8)?;
    }
    v2::load(&destination, &v2::save(&source)?)?;
    for number in 0..source.ports() {
        let port = destination.port(number);
        let got = [LCR, MCR, IER, SCR].map(|register| port.get(register));
        let got = got.into_iter().collect::<Result<Vec<_>, _>>()?;
        let want = [
            0x1a,
            MCR_LOOP | MCR_DTR,
            IER_RX | IER_LINE,
            0x70 + number as u8,
        ];
        check_eq!(got, want, "LCR, MCR, IER, SCR of port {number}");
    }
    Ok(())
}

fn carries_the_divisor(world: &World) -> Outcome {
    let (source, destination) = (world.card()?, world.card()?);
    for number in 0..source.ports() {
        let port = source.port(number);
        port.set(LCR, LCR_DLAB | 0x03)?;
        port.set(DATA, 0x34)?;
        port.set(IER, 0x12 + number as u8)?;
    }
    v2::load(&destination, &v2::save(&source)?)?;
    for number in 0..source.ports() {
        let port = destination.port(number);
        let got = (port.get(LCR)?, port.get(DATA)?, port.get(IER)?);
        check_eq!(
            got,
            (LCR_DLAB | 0x03, 0x34, 0x12 + number as u8),
            "LCR, divisor of port {number}"
        );
    }
    Ok(())
}

/// Checks what the destination's first port receives when the source's has received this.
fn carries(world: &World, text: &[u8]) -> Outcome {
    let (source, destination) = (world.card()?, world.card()?);
    source.enable()?;
    for number in 0..source.ports() {
        loop_back(&source.port(number), FCR_ENABLE)?;
        source.port(number).send(text)?;
    }
    v2::load(&destination, &v2::save(&source)?)?;
    for number in 0..source.ports() {
        check_eq!(
            destination.port(number).receive(64)?,
            text,
            "what port {number} received"
        );
    }
    works(&destination, "after the load")
}

fn carries_what_was_received(world: &World) -> Outcome {
    carries(world, b"on its way")
}

fn carries_a_full_receiver(world: &World) -> Outcome {
    carries(world, b"sixteen, exactly")
}

fn carries_an_overrun(world: &World) -> Outcome {
    let (source, destination) = (world.card()?, world.card()?);
    source.enable()?;
    loop_back(&source.port(0), FCR_ENABLE)?;
    source.port(0).send(&[b'o'; 40])?;
    v2::load(&destination, &v2::save(&source)?)?;
    check_eq!(destination.port(0).get(LSR)? & LSR_OE, LSR_OE, "overrun");
    Ok(())
}

fn carries_a_modem_change(world: &World) -> Outcome {
    for changed in [false, true] {
        let (source, destination) = (world.card()?, world.card()?);
        let port = source.port(0);
        port.set(MCR, MCR_LOOP)?;
        port.get(MSR)?;
        if changed {
            port.set(MCR, MCR_LOOP | MCR_RTS)?;
        }
        v2::load(&destination, &v2::save(&source)?)?;
        check_eq!(
            destination.port(0).get(MSR)? & 0x01 != 0,
            changed,
            "the delta of CTS"
        );
    }
    Ok(())
}

fn carries_a_pending_interrupt(world: &World) -> Outcome {
    let (source, destination) = (world.card()?, world.card()?);
    source.enable()?;
    let raised = source.intx()?;
    source.port(0).assert_interrupt()?;
    raised.expect(1, "an empty transmitter on the source")?;
    let stream = v2::save(&source)?;
    // As QEMU does: configuration and interrupts are set up before the device runs.
    let signal = destination.intx()?;
    let file = v2::open(&destination, RESUMING)?;
    file.feed(&stream, stream.len())?;
    destination.put(CONFIG, COMMAND, &0x0001_u16.to_le_bytes())?;
    v2::set(&destination, RUNNING)?;
    destination.irq_now(UNMASK, INTX)?;
    let times = signal.taken(std::time::Duration::from_secs(2))?;
    check!(times > 0, "the destination was not signalled");
    Ok(())
}

fn arrives_by_pre_copy(world: &World) -> Outcome {
    let (source, destination) = (world.card()?, world.card()?);
    mark(&source, 0x31)?;
    let file = v2::open(&source, PRE_COPY)?;
    let mut stream = file.drain(4096)?;
    mark(&source, 0x42)?;
    v2::set(&source, STOP_COPY)?;
    stream.extend(file.drain(4096)?);
    v2::set(&source, STOP)?;
    v2::load(&destination, &stream)?;
    let seen = take(&destination)?;
    check_eq!(seen[0][2], 0x42, "scratch");
    let received = [0x31, 1, 2, 3, 0x31, 0x42, 1, 2, 3, 0x42];
    check_eq!(
        seen[1],
        received,
        "what was received before and during pre-copy"
    );
    Ok(())
}

fn arrives_in_pieces_of_any_size(world: &World) -> Outcome {
    let source = world.card()?;
    mark(&source, 0x33)?;
    let stream = v2::save(&source)?;
    v2::set(&source, RUNNING)?;
    let want = take(&source)?;
    for piece in [1, 3, 16, 23, 4096] {
        let destination = world.card()?;
        let file = v2::open(&destination, RESUMING)?;
        file.feed(&stream, piece)?;
        v2::set(&destination, RUNNING)?;
        check_eq!(
            take(&destination)?,
            want,
            "the card after pieces of {piece}"
        );
    }
    Ok(())
}

fn arrives_where_it_came_from(world: &World) -> Outcome {
    let card = world.card()?;
    mark(&card, 0x34)?;
    let stream = v2::save(&card)?;
    v2::set(&card, RUNNING)?;
    let want = take(&card)?;
    v2::load(&card, &stream)?;
    check_eq!(take(&card)?, want, "the card");
    Ok(())
}

/// Writes a stream in pieces, each once whether or not it is taken, and tries to leave RESUMING. Returns whether a write
/// was refused, and whether the state was left.
fn offer(card: &Card, stream: &[u8], piece: usize) -> Result<(bool, bool), Errno> {
    let file = v2::open(card, RESUMING)?;
    let mut refused = false;
    for bytes in stream.chunks(piece.max(1)) {
        refused |= file.write(bytes) != Ok(bytes.len());
    }
    Ok((refused, v2::set(card, STOP).is_ok()))
}

/// Checks that a stream cannot be loaded, in one write or in pieces.
fn refused(card: &Card, stream: &[u8], what: &str) -> Outcome {
    for piece in [stream.len(), 16] {
        let (_, left) = offer(card, stream, piece)?;
        card.reset()?;
        check!(!left, "{what}, in pieces of {piece}: RESUMING was left");
    }
    Ok(())
}

/// A card, and the stream of another one that a guest has used.
fn prepared(world: &World) -> Result<(Card, Vec<u8>), Miss> {
    let source = world.card()?;
    mark(&source, 0x35)?;
    let stream = v2::save(&source)?;
    drop(source);
    Ok((world.card()?, stream))
}

fn arrives_after_a_refusal(world: &World) -> Outcome {
    let (card, stream) = prepared(world)?;
    let (_, left) = offer(&card, &stream[..stream.len() - 1], 4096)?;
    check!(!left, "a part was loaded");
    card.reset()?;
    check_eq!(v2::state(&card)?, RUNNING, "state after the reset");
    v2::load(&card, &stream)?;
    check_eq!(card.port(0).get(SCR)?, 0x35, "scratch");
    works(&card, "after the load")
}

fn refuses_nothing_at_all(world: &World) -> Outcome {
    let card = world.card()?;
    for target in [STOP, RUNNING, STOP_COPY] {
        let _file = v2::open(&card, RESUMING)?;
        check!(v2::set(&card, target).is_err(), "to {target} with nothing");
        card.reset()?;
    }
    Ok(())
}

fn refuses_every_truncation(world: &World) -> Outcome {
    let (card, stream) = prepared(world)?;
    for length in 1..stream.len() {
        let (_, left) = offer(&card, &stream[..length], length)?;
        check!(
            !left,
            "{length} of {} bytes: RESUMING was left",
            stream.len()
        );
        card.reset()?;
    }
    Ok(())
}

fn refuses_trailing_bytes(world: &World) -> Outcome {
    let (card, stream) = prepared(world)?;
    for more in [0, 0xff] {
        let whole = [&stream[..], &[more]].concat();
        // The byte too many comes with the rest, and by itself.
        refused(&card, &whole, "a byte more")?;
        let (_, left) = offer(&card, &whole, stream.len())?;
        card.reset()?;
        check!(!left, "a byte after the stream: RESUMING was left");
    }
    Ok(())
}

fn refuses_a_stream_twice(world: &World) -> Outcome {
    let (card, stream) = prepared(world)?;
    let twice = [&stream[..], &stream].concat();
    refused(&card, &twice, "the stream twice")?;
    let (_, left) = offer(&card, &twice, stream.len())?;
    card.reset()?;
    check!(!left, "one stream after the other: RESUMING was left");
    Ok(())
}

/// Numbers that look random and are the same in every run (xorshift).
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

fn refuses_garbage(world: &World) -> Outcome {
    let (card, stream) = prepared(world)?;
    let mut noise = Noise(0x2545_f491);
    for length in [
        1,
        7,
        64,
        stream.len() - 1,
        stream.len(),
        stream.len() + 1,
        4096,
        70_000,
    ] {
        let bytes = noise.bytes(length);
        refused(&card, &bytes, &format!("{length} random bytes"))?;
    }
    refused(&card, &vec![0; stream.len()], "zeroes")?;
    refused(&card, &vec![0xff; stream.len()], "ones")
}

fn refuses_a_card_with_other_ports(world: &World) -> Outcome {
    for (from, to) in [(1, 2), (2, 1)] {
        let (source, destination) = (world.card_with(from)?, world.card_with(to)?);
        let stream = v2::save(&source)?;
        refused(
            &destination,
            &stream,
            &format!("the stream of {from} ports for {to}"),
        )?;
    }
    Ok(())
}

fn stays_refused(world: &World) -> Outcome {
    let (card, stream) = prepared(world)?;
    let mut refusals = 0;
    for at in 0..16.min(stream.len()) {
        let mut changed = stream.clone();
        changed[at] ^= 0x40;
        for piece in [1, 8, 24, 32, 48, 4096] {
            let (was_refused, left) = offer(&card, &changed, piece)?;
            card.reset()?;
            refusals += usize::from(was_refused);
            check!(!(was_refused && left), "byte {at} changed, in pieces of {piece}: a write was refused, and RESUMING was left");
        }
    }
    if refusals == 0 {
        vfio_client::ktap::skip!("no write is refused: all is checked at the end");
    }
    Ok(())
}

fn applies_nothing_of_a_refused_stream(world: &World) -> Outcome {
    let (card, stream) = prepared(world)?;
    let mut last = stream.clone();
    let end = last.len() - 1;
    last[end] ^= 0x5a;
    for bytes in [&stream[..end], &last, &[&stream[..], &[0]].concat()] {
        for port in 0..card.ports() {
            card.port(port).set(SCR, 0x77)?;
        }
        let (_, left) = offer(&card, bytes, 16)?;
        for port in 0..card.ports() {
            let scratch = card.port(port).get(SCR)?;
            check!(
                left || [0x77, 0].contains(&scratch),
                "scratch of port {port} is {scratch:#x}"
            );
        }
        card.reset()?;
        let scratch = card.port(0).get(SCR)?;
        check!(
            [0x77, 0].contains(&scratch) || left,
            "scratch is {scratch:#x} after the reset"
        );
    }
    Ok(())
}

/// Loads the stream with each byte changed in turn, and looks at the card whenever it is taken.
fn changed(
    world: &World,
    change: impl Fn(usize, u8) -> u8,
    look: impl Fn(&Card, &str) -> Outcome,
) -> Outcome {
    let (mut card, stream) = prepared(world)?;
    for at in 0..stream.len() {
        let mut bytes = stream.clone();
        bytes[at] = change(at, bytes[at]);
        let (_, left) = offer(&card, &bytes, 4096)?;
        if left {
            v2::set(&card, RUNNING)?;
            look(
                &card,
                &format!("with byte {at} of {} changed", stream.len()),
            )?;
        }
        card.reset()?;
        if left {
            // Whether a reset brings everything back is another case.
            drop(card);
            card = world.card()?;
        }
    }
    Ok(())
}

fn loads_no_invalid_registers(world: &World) -> Outcome {
    let flip = |at: usize, byte: u8| byte ^ (1 << (at % 8));
    changed(world, flip, |card, when| {
        for number in 0..card.ports() {
            let port = card.port(number);
            check_eq!(port.get(IER)? & 0xf0, 0, "IER, {when}");
            check_eq!(port.get(MCR)? & 0xc0, 0, "MCR, {when}");
            let identity = port.get(IIR_FCR)? & 0x3f;
            check!(
                [0, 1, 2, 4, 6, 12].contains(&identity),
                "IIR is {identity:#x}, {when}"
            );
        }
        Ok(())
    })
}

fn loads_no_invalid_fifo(world: &World) -> Outcome {
    changed(
        world,
        |_, byte| !byte,
        |card, when| {
            for number in 0..card.ports() {
                let port = card.port(number);
                // What a receiver and a transmitter with their shift registers can hold.
                let count = port.receive(64)?.len();
                check!(count <= 34, "port {number} gave {count} characters, {when}");
                port.set(LCR, 0x03)?;
                port.set(MCR, MCR_LOOP)?;
                for character in 0..4 {
                    port.set(DATA, character)?;
                    check_eq!(
                        port.get(DATA)?,
                        character,
                        "a character sent by port {number}, {when}"
                    );
                }
            }
            works(card, when)
        },
    )
}

const WRITERS: usize = 8;
const ROUNDS: usize = 100;

fn survives_writers_in_parallel(world: &World) -> Outcome {
    let (card, stream) = prepared(world)?;
    for round in 0..ROUNDS {
        let file = v2::open(&card, RESUMING)?;
        let start = Barrier::new(WRITERS);
        let taken: usize = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        file.write(&stream).unwrap_or(0)
                    })
                })
                .collect();
            let counts = writers.into_iter().map(|writer| writer.join().unwrap_or(0));
            counts.sum()
        });
        check!(
            taken <= stream.len(),
            "round {round}: {taken} bytes were taken of streams of {}",
            stream.len()
        );
        let _ = v2::set(&card, STOP);
        card.reset()?;
    }
    works(&card, "after all that")
}
