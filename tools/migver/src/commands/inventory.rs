// SPDX-License-Identifier: GPL-2.0-only

//! What this host offers, for a decision elsewhere.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// What this host offers, for a decision elsewhere.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("inventory", "not in this version"))
}
