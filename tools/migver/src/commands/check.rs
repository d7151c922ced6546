// SPDX-License-Identifier: GPL-2.0-only

//! Whether a device can move from a source to a destination: the verdict and the reasons.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// Whether a device can move from a source to a destination: the verdict and the reasons.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("check", "not in this version"))
}
