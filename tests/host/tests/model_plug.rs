// SPDX-License-Identifier: GPL-2.0-only

//! What goes into the plug comes out of it: all of it, once, in order, however accesses are interleaved.
//!
//! The reference is one queue. It knows nothing of FIFOs and interrupts, only how many characters find a place on
//! their way, on both ends together.

mod support;

use migdev_model::{
    Abi,
    Card,
    PortCounters,
    Ports, //
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use support::{
    any_ports,
    cases,
    io_read,
    peek, //
};

/// What a driver does with a port without touching what is on its way.
#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    Receive(usize),
    /// Reads a register other than RBR.
    Look(usize),
    /// Writes a register that does not concern the line: IER, MCR without loopback mode, the scratch register.
    Set(usize, u8),
    /// Sets the trigger level.
    Trigger(u8),
    /// Writes the divisor latch, and returns.
    Speed([u8; 2]),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..24).prop_map(Step::Send),
        4 => (0..24_usize).prop_map(Step::Receive),
        2 => (1..8_usize).prop_map(Step::Look),
        1 => any::<u8>().prop_map(|value| Step::Set(1, value)),
        1 => any::<u8>().prop_map(|value| Step::Set(4, value & 0x0f)),
        1 => any::<u8>().prop_map(|value| Step::Set(7, value)),
        1 => (0..4_u8).prop_map(|level| Step::Trigger(level << 6)),
        1 => any::<[u8; 2]>().prop_map(Step::Speed),
    ]
}

/// The line as one queue.
struct Reference {
    queue: VecDeque<u8>,
    /// How many characters either end holds.
    depth: usize,
    /// How many characters found a place.
    accepted: usize,
}

impl Reference {
    fn send(&mut self, value: u8) {
        if self.queue.len() < 2 * self.depth {
            self.queue.push_back(value);
            self.accepted += 1;
        }
    }

    /// How many characters have reached the far end: all but those that wait for room there. A plug loses none.
    fn counters(&self) -> PortCounters {
        let waiting = self.queue.len().saturating_sub(self.depth);
        PortCounters {
            passed: (self.accepted - waiting) as u64,
            overrun: 0,
        }
    }

    /// LSR without errors, of which a plug has none.
    fn status(&self) -> u8 {
        let waiting = self.queue.len() > self.depth;
        u8::from(!self.queue.is_empty()) | if waiting { 0 } else { 0x60 }
    }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn what_is_accepted_comes_out_in_order_and_nothing_else_does(
        ports in any_ports(),
        fifos in any::<bool>(),
        steps in vec((any::<bool>(), step()), 0..80),
    ) {
        let mut card = Card::new(ports, Abi::NEWEST);
        let mut lines = Vec::new();
        for port in 0..Card::io_len(ports) / 8 {
            card.io_write(port * 8 + 2, &[u8::from(fifos), 0x03]);
            lines.push(Reference {
                queue: VecDeque::new(),
                depth: if fifos { 16 } else { 1 },
                accepted: 0,
            });
        }
        for (second, step) in &steps {
            let port = usize::from(*second) % lines.len();
            let line = &mut lines[port];
            let base = port * 8;
            match step {
                Step::Send(data) => {
                    for value in data {
                        card.io_write(base, &[*value]);
                        line.send(*value);
                    }
                }
                Step::Receive(count) => {
                    for _ in 0..*count {
                        let expected = line.queue.pop_front().unwrap_or(0);
                        prop_assert_eq!(io_read(&mut card, base, 1), [expected]);
                    }
                }
                Step::Look(register) => {
                    io_read(&mut card, base + register, 1);
                }
                Step::Set(register, value) => {
                    card.io_write(base + register, &[*value]);
                }
                Step::Trigger(level) => {
                    card.io_write(base + 2, &[if fifos { level | 1 } else { *level }]);
                }
                Step::Speed(divisor) => {
                    card.io_write(base + 3, &[0x83]);
                    card.io_write(base, divisor);
                    prop_assert_eq!(io_read(&mut card, base, 2), divisor);
                    card.io_write(base + 3, &[0x03]);
                }
            }
            for (port, line) in lines.iter().enumerate() {
                prop_assert_eq!(peek(&card, port * 8 + 5), line.status());
            }
            let counters: Vec<_> = lines.iter().map(Reference::counters).collect();
            prop_assert_eq!(card.counters().collect::<Vec<_>>(), counters);
        }
        // Whatever is still on its way comes out as well.
        for (port, line) in lines.iter_mut().enumerate() {
            while peek(&card, port * 8 + 5) & 1 != 0 {
                let received = io_read(&mut card, port * 8, 1);
                prop_assert_eq!(received.first().copied(), line.queue.pop_front());
            }
            prop_assert!(line.queue.is_empty());
        }
    }

    #[test]
    fn a_sender_that_waits_for_thre_loses_nothing(
        data in vec(any::<u8>(), 0..600),
        burst in 1..=16_usize,
        drain in 1..=40_usize,
    ) {
        // The loop of a driver: fill the FIFO when THRE is set, read when data is ready.
        let mut card = Card::new(Ports::One, Abi::NEWEST);
        card.io_write(2, &[0x01, 0x03]);
        let mut received = Vec::new();
        let mut bursts = data.chunks(burst).peekable();
        while received.len() < data.len() {
            while peek(&card, 5) & 0x20 != 0 {
                let Some(burst) = bursts.next() else { break };
                for value in burst {
                    card.io_write(0, &[*value]);
                }
            }
            prop_assert!(peek(&card, 5) & 1 != 0, "the line stands still");
            for _ in 0..drain {
                if peek(&card, 5) & 1 != 0 {
                    received.extend(io_read(&mut card, 0, 1));
                }
            }
        }
        prop_assert_eq!(received, data);
    }
}
