// SPDX-License-Identifier: GPL-2.0-only

//! Migration streams that were saved: by themselves, or somewhere in a file.
//!
//! `Documentation/migration-stream.rst` has their layout. [`Decoder`] takes one apart as far as it can be read, and
//! says what is wrong with it; [`search`] finds those in a save image of libvirt or a migration file of QEMU.

mod decoder;
mod fields;
mod search;

pub use decoder::{
    Decoder,
    Problem,
    SavedRecord,
    Stream, //
};
pub use fields::{
    fields,
    Field,
    FieldValue, //
};
pub use search::{
    search,
    Found,
    Piece,
    Summary, //
};
