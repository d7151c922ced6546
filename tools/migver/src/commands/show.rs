// SPDX-License-Identifier: GPL-2.0-only

//! A table of the parents, types and devices of this host, with their version strings.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// A table of the parents, types and devices of this host, with their version strings.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("show", "not in this version"))
}
