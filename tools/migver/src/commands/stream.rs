// SPDX-License-Identifier: GPL-2.0-only

//! What is in a saved migration stream.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// What is in a saved migration stream.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("stream", "not in this version"))
}
