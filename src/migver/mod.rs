// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Migration version strings: what a device says about itself so that anyone can decide, before
//! anything is moved, whether its state can be taken in somewhere else.
//!
//! A string is one line of printable ASCII:
//!
//! ```text
//! migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:2
//! ```
//!
//! It is read with [`Version::parse`], written with [`core::fmt::Display`], built from a driver's
//! own constants with [`Version::new`] (in a `const`, if so wished), and weighed with [`compare`].
//! A driver keeps each of its versions as an [`Identity`], whose string is written at compile time, and
//! hands it the strings of its users with [`Identity::check`]; [`check()`] does the same for any
//! version. Nothing here allocates, recurses or panics, and everything is linear in the length of the
//! strings.
//!
//! A string has one spelling: the fields stand in a fixed order, numbers have no leading zeros,
//! lists are sorted and without repeats, and an empty list is not there at all. Two descriptions
//! are the same if and only if their strings are the same bytes.
//!
//! The grammar in ABNF, worked examples and the rules for later schemas are in
//! `Documentation/migration-version.rst`.

mod baseline;
mod check;
mod class;
mod compare;
mod element;
mod error;
mod identity;
mod kind;
mod list;
mod merge;
mod parse;
mod reason;
mod text;
mod version;

#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod shown;

pub use baseline::Baseline;
pub use check::{
    check,
    Refusal, //
};
pub use class::Class;
pub use compare::{
    compare,
    Reasons,
    Verdict, //
};
pub use element::{
    Abi,
    Extension,
    Marking,
    Parameter,
    Rule,
    Stream, //
};
pub use error::{
    Expected,
    Invalid,
    ParseError, //
};
pub use identity::Identity;
pub use kind::Kind;
pub use list::{
    Extensions,
    Names,
    Parameters, //
};
pub use reason::{
    Fault,
    Field,
    Reason,
    Side,
    Spelled,
    Value, //
};
pub use version::{
    Description,
    Version, //
};

/// The greatest length of a string, in bytes, without a trailing newline.
///
/// With a newline and a terminating NUL it fits a buffer of 1 KiB.
pub const MAX_LEN: usize = 1022;

/// The greatest length of a name and of an extension's value, in bytes.
pub const MAX_NAME_LEN: usize = 63;

/// The schema that this code reads and writes.
pub const SCHEMA: u32 = 1;
