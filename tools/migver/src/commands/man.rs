// SPDX-License-Identifier: GPL-2.0-only

//! The manual pages.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// The manual pages.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("man", "not in this version"))
}
