// SPDX-License-Identifier: GPL-2.0-only

//! Completions for a shell.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// Completions for a shell.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("completions", "not in this version"))
}
