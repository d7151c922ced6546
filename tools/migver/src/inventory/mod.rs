// SPDX-License-Identifier: GPL-2.0-only

//! What hosts offer, as JSON that can be collected from a fleet and decided upon anywhere, and what other schedulers
//! want to be told of it.

pub mod hashed;
pub mod model;
pub mod nfd;
pub mod traits;

pub use model::{
    Device,
    Inventory,
    Parent,
    ReadError,
    Type, //
};
