// SPDX-License-Identifier: GPL-2.0-only

//! What libvirt's hook of QEMU runs.

use crate::{
    Context,
    Error,
    Outcome, //
};

/// What libvirt's hook of QEMU runs.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Always: this version of the tool does not have it.
pub fn run(_args: &Args, _context: &mut Context<'_>) -> Result<Outcome, Error> {
    Err(Error::new("libvirt-hook", "not in this version"))
}
