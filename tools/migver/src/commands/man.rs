// SPDX-License-Identifier: GPL-2.0-only

//! `migver man`: the manual page, or all pages into a directory.

use crate::{
    cli::Cli,
    exit::os_text,
    Context,
    Error,
    Outcome, //
};

use clap::CommandFactory;
use clap_mangen::Man;

use std::{
    fs,
    io,
    path::PathBuf, //
};

/// Print the manual page, or write one for each command
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  migver man | man -l -
  migver man --dir /usr/local/share/man/man1")]
pub struct Args {
    /// Write migver.1 and a page migver-COMMAND.1 for each command into this directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
///
/// If a page cannot be written.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &args.dir else {
        context.out.write_all(page(command)?.as_bytes())?;
        return Ok(Outcome::Yes);
    };
    let mut commands: Vec<_> = command.get_subcommands().cloned().collect();
    commands.push(command);
    for command in commands {
        let path = dir.join(format!(
            "{}.1",
            command.get_display_name().unwrap_or("migver")
        ));
        fs::write(&path, page(command)?)
            .map_err(|error| Error::new(path.display(), os_text(&error)))?;
    }
    Ok(Outcome::Yes)
}

fn page(command: clap::Command) -> io::Result<String> {
    const VERSION: &str = concat!("migver ", env!("CARGO_PKG_VERSION"));
    let mut page = Vec::new();
    Man::new(command)
        .source(VERSION)
        .manual("User Commands")
        .render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    // What stands after the help has no section of its own there.
    Ok(page
        .replace(".SH EXTRA\n", ".SH NOTES\n")
        .replace("\nExamples:\n", "\n.SH EXAMPLES\n")
        .replace("\nExit status:\n", "\n.SH EXIT STATUS\n")
        .replace("\nFiles:\n", "\n.SH FILES\n")
        .replace(".SH NOTES\n.SH", ".SH"))
}
