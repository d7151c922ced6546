// SPDX-License-Identifier: GPL-2.0-only

//! Puts the version strings of a domain's devices into its metadata.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// Puts the version strings of a domain's devices into its metadata.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("libvirt-stamp", "not in this version"))
}
