// SPDX-License-Identifier: GPL-2.0-only
//! What a case is: a promise, where it comes from, and how it is tried.

use vfio_client::ktap::Outcome;

use crate::world::World;

/// Whose words a promise follows.
pub type Source = &'static str;

/// `include/uapi/linux/vfio.h`.
pub const UAPI: Source = "linux/vfio.h";
/// What vfio-pci, the reference for PCI devices, does.
pub const VFIO_PCI: Source = "vfio-pci";
/// PCI Local Bus Specification 3.0.
pub const PCI: Source = "PCI 3.0";
/// The data sheet of the 16550.
pub const UART: Source = "PC16550D data sheet";
/// What QEMU asks of a device.
pub const QEMU: Source = "QEMU";
/// What every call of a kernel owes to who makes it.
pub const POSIX: Source = "read(2), write(2)";
/// What a kernel owes to itself.
pub const SAFETY: Source = "kernel memory safety";
/// The driver model and its documentation.
pub const DRIVERS: Source = "kernel driver model";

/// A promise and how it is tried.
#[derive(Clone, Copy)]
pub struct Case {
    /// The name, without the area.
    pub name: &'static str,
    /// What is promised, in a sentence.
    pub promise: &'static str,
    /// Where that stands.
    pub source: Source,
    /// Whether a driver that breaks it may take the kernel down.
    pub perilous: bool,
    /// Tries it on devices that the world makes.
    pub run: fn(&World) -> Outcome,
}

/// The cases of one area.
#[derive(Clone, Copy)]
pub struct Area {
    /// The first part of the names of its cases.
    pub name: &'static str,
    /// What the area is about, as a heading.
    pub title: &'static str,
    /// Its cases, in order.
    pub cases: &'static [Case],
}

/// Lists cases as `name: source, "promise";`, each tried by the function of that name. `perilous` before the name
/// marks those that may take a kernel down.
macro_rules! cases {
    (@perilous perilous) => { true };
    (@perilous) => { false };
    ($($(@$perilous:ident)? $name:ident: $source:expr, $promise:expr;)+) => {
        /// The promises of this file.
        pub const CASES: &[$crate::case::Case] = &[$($crate::case::Case {
            name: stringify!($name),
            promise: $promise,
            source: $source,
            perilous: $crate::case::cases!(@perilous $($perilous)?),
            run: $name,
        }),+];
    };
}

pub(crate) use cases;
