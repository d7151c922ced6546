// SPDX-License-Identifier: GPL-2.0-only

//! What mdevctl's callout runs.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// What mdevctl's callout runs.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("mdevctl-callout", "not in this version"))
}
