// SPDX-License-Identifier: GPL-2.0-only

//! Which hosts and types can take a device in, best match first.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// Which hosts and types can take a device in, best match first.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("find", "not in this version"))
}
