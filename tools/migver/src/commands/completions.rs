// SPDX-License-Identifier: GPL-2.0-only

//! `migver completions SHELL`: what a shell needs to complete the commands and options.

use crate::{
    cli::Cli,
    Context,
    Error,
    Outcome, //
};

use clap::CommandFactory;
use clap_complete::Shell;

/// Print the completions for a shell
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  migver completions bash >/usr/local/share/bash-completion/completions/migver
  migver completions zsh >/usr/local/share/zsh/site-functions/_migver
  migver completions fish >~/.config/fish/completions/migver.fish")]
pub struct Args {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Runs the command.
///
/// # Errors
///
/// If the output cannot be written.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "migver", &mut script);
    context.out.write_all(&script)?;
    Ok(Outcome::Yes)
}
