// SPDX-License-Identifier: GPL-2.0-only

//! Many sources against many destinations.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// Many sources against many destinations.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("matrix", "not in this version"))
}
