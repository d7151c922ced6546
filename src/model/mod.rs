// SPDX-License-Identifier: GPL-2.0-only

//! What the guest sees: a PCI serial card with one or two 16550A ports.
//!
//! The card follows the programming interface that QEMU documents for its `pci-serial` and `pci-serial-2x` devices
//! (QEMU, `docs/specs/pci-serial`), so guests use it with the driver they have. It adds an MSI capability and, from
//! version 1.1 of what the guest sees on ([`Abi`]), a register that names the version. Each port carries a loopback plug, so what a guest sends it receives, and a guest can test itself.
//!
//! [`Card`] is the whole device: [`config`] is its PCI configuration space and [`uart`] one of its ports. The code
//! is a state machine without time, memory allocation or locks; whoever owns a [`Card`] brings those. All state is
//! in plain fields, whose invariants stand at each type.
//!
//! # Examples
//!
//! ```
//! use migdev_model::{Abi, Card, Ports};
//!
//! let mut card = Card::new(Ports::One, Abi::NEWEST);
//! card.io_write(3, &[0x03]); // LCR of the first port: 8 bits
//! card.io_write(0, b"x"); // THR: the character goes out, and comes back through the plug
//! let mut lsr = [0];
//! assert_eq!(card.io_read(5, &mut lsr), 1);
//! assert_eq!(lsr, [0x61]); // DR | THRE | TEMT
//! let mut rbr = [0];
//! assert_eq!(card.io_read(0, &mut rbr), 1);
//! assert_eq!(&rbr, b"x");
//! ```

mod abi;
pub mod card;
pub mod config;
mod counters;
mod fifo;
mod line;
mod modem;
mod port;
mod receiver;
mod registers;
pub mod snapshot;
mod source;
mod transmitter;
pub mod uart;

pub use abi::Abi;
pub use card::{
    Card,
    Ports, //
};
pub use counters::PortCounters;
