// SPDX-License-Identifier: GPL-2.0-only

//! The commands, one module each: `Args`, which clap fills in, and `run`.
//!
//! A module's `Args` may carry `#[command(after_help = ...)]` with examples; its doc comment is
//! the command's help.

pub mod check;
pub mod completions;
pub mod explain;
pub mod find;
pub mod inventory;
pub mod libvirt_hook;
pub mod libvirt_stamp;
pub mod man;
pub mod matrix;
pub mod mdevctl_callout;
pub mod show;
pub mod stream;

use crate::{
    Context,
    Error,
    Outcome, //
};

/// A command and its arguments.
#[derive(clap::Subcommand, Debug)]
#[expect(
    missing_docs,
    reason = "clap would take them for the help, which stands at each Args"
)]
pub enum Command {
    Show(show::Args),
    Check(check::Args),
    Explain(explain::Args),
    Inventory(inventory::Args),
    Matrix(matrix::Args),
    Find(find::Args),
    Stream(stream::Args),
    Completions(completions::Args),
    Man(man::Args),
    LibvirtHook(libvirt_hook::Args),
    LibvirtStamp(libvirt_stamp::Args),
    MdevctlCallout(mdevctl_callout::Args),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Those of the command; each means exit status 2.
    pub fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Error> {
        match self {
            Self::Show(args) => show::run(args, context),
            Self::Check(args) => check::run(args, context),
            Self::Explain(args) => explain::run(args, context),
            Self::Inventory(args) => inventory::run(args, context),
            Self::Matrix(args) => matrix::run(args, context),
            Self::Find(args) => find::run(args, context),
            Self::Stream(args) => stream::run(args, context),
            Self::Completions(args) => completions::run(args, context),
            Self::Man(args) => man::run(args, context),
            Self::LibvirtHook(args) => libvirt_hook::run(args, context),
            Self::LibvirtStamp(args) => libvirt_stamp::run(args, context),
            Self::MdevctlCallout(args) => mdevctl_callout::run(args, context),
        }
    }
}
