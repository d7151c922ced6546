// SPDX-License-Identifier: GPL-2.0-only

//! The library behind `migver`, the command-line tool.
//!
//! [`cli`] reads the arguments and hands them to one of the [`commands`] with a [`Context`]: where
//! sysfs is, where output goes, whether it may be coloured. A command answers with an [`Outcome`]
//! or an [`Error`]; [`exit`] turns either into the exit status. What is compatible is decided by
//! [`migver::compare`] and nowhere else.
//!
//! - [`operand`] turns what a person names (a string, a file, a UUID, a type, another host) into
//!   a version string.
//! - [`host`] reads what this host offers from sysfs, as an [`inventory`].
//! - [`answer`] is what `check` and `explain` tell of a source and a destination.

#![forbid(unsafe_code)]

pub mod advice;
pub mod answer;
pub mod cli;
pub mod commands;
pub mod context;
pub mod exit;
pub mod fleet;
pub mod host;
pub mod inventory;
pub mod libvirt;
pub mod mdevctl;
pub mod operand;
pub mod saved;
pub mod style;
pub mod text;

pub use context::Context;
pub use exit::{
    Error,
    Outcome, //
};
