// SPDX-License-Identifier: GPL-2.0-only

//! Field by field, how a source and a destination differ, and what would make it work.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// Field by field, how a source and a destination differ, and what would make it work.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("explain", "not in this version"))
}
