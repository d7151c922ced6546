// SPDX-License-Identifier: GPL-2.0-only

//! Deciding for a fleet: which of many destinations can take a device, and who fits whom.
//!
//! What there is comes from [inventories](crate::inventory). A [`Candidate`] is a type or a device of one host;
//! [`rank`] puts those that can take a device in order, best first; a [`Matrix`] weighs every string against every
//! other. Whether two strings fit is decided by [`migver::compare`] alone.

mod candidate;
mod html;
mod load;
mod matrix;
mod pattern;
mod rank;
mod refused;
mod table;

pub use candidate::{
    candidates,
    Candidate,
    What, //
};
pub use html::page;
pub use load::load;
pub use matrix::{
    Matrix,
    Row, //
};
pub use pattern::Pattern;
pub use rank::{
    rank,
    Found,
    Match,
    Search, //
};
pub use refused::{
    reasons_json,
    unreadable,
    Refused,
    Why, //
};
pub use table::Table;
