// SPDX-License-Identifier: GPL-2.0-only

//! The command line: what all commands share, and how the program begins and ends.

use crate::{
    commands::Command,
    style::Palette,
    Context,
    Error,
    Outcome, //
};

use clap::{
    ColorChoice,
    CommandFactory,
    FromArgMatches,
    Parser, //
};

use std::{
    env,
    ffi::OsString,
    io::{
        self,
        BufWriter,
        Write, //
    },
    path::PathBuf,
    process::ExitCode, //
};

const NOTES: &str = "\
Exit status:
  0  yes: compatible, found, done
  1  no: not compatible, none found
  2  there is no answer: wrong arguments, or something cannot be read or written

Examples:
  migver show
      What there is on this host.
  migver check 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 node7:migdev-serial2
      Can this device move to a new device of that type on node7?
  migver explain 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 node7:migdev-serial2
      Why not, and what would make it work?
  for h in node1 node2; do ssh $h migver inventory; done | migver matrix --in -
      Who can move to whom?";

/// Tell whether a device can migrate: compare version strings of mdev types and devices
///
/// A device that migrates, and its mdev type, have a file migration_version in sysfs. What the source's
/// reads is accepted by the destination's, or not. migver tells the same anywhere, with every reason.
#[derive(Debug, Parser)]
#[command(
    name = "migver",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = NOTES,
)]
pub struct Cli {
    /// What all commands share.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The options of every command.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Read sysfs here
    #[arg(long, global = true, value_name = "DIR", default_value = "/sys")]
    pub sysfs: PathBuf,
    /// Colour the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// The program that reads from another host, called as `PROGRAM -- HOST 'cat PATH'`
    #[arg(
        long,
        global = true,
        value_name = "PROGRAM",
        env = "MIGVER_SSH",
        hide_env_values = true,
        default_value = "ssh"
    )]
    pub ssh: OsString,
}

/// Runs the program with the process's arguments, streams and environment.
pub fn main() -> ExitCode {
    let cli = Cli::command()
        .color(color_asked(env::args_os()))
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match cli {
        Ok(cli) => cli,
        // Help and version are no errors: clap knows, and where each goes.
        Err(error) => {
            let code = error.exit_code();
            return match error.print() {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    report(&error.into(), Palette::default());
                    ExitCode::from(2)
                }
                _ => ExitCode::from(u8::try_from(code).unwrap_or(2)),
            };
        }
    };
    let err_style = Palette::of(cli.global.color, &io::stderr());
    let mut out = Pipe {
        inner: Some(BufWriter::new(io::stdout().lock())),
        // What libvirt has not read it does not use, and then no device is to be kept for it.
        must_be_read: matches!(cli.command, Command::LibvirtHook(_)),
    };
    let result = cli
        .run(&mut io::stdin().lock(), &mut out, &mut io::stderr())
        .and_then(|outcome| {
            out.flush()?;
            Ok(outcome)
        });
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            // What was found before the error is still worth reading.
            let _ = out.flush();
            report(&error, err_style);
            ExitCode::from(2)
        }
    }
}

/// Returns what `--color` says, for help and for errors in the arguments, which are told before these are read.
fn color_asked(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let arguments: Vec<String> = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let next = arguments.iter().skip(1).map(Some).chain([None]);
    arguments
        .iter()
        .zip(next)
        .filter_map(|(argument, next)| match argument.strip_prefix("--color") {
            Some("") => next?.parse().ok(),
            Some(value) => value.strip_prefix('=')?.parse().ok(),
            None => None,
        })
        .last()
        .unwrap_or_default()
}

impl Cli {
    /// Runs the command with these streams.
    ///
    /// # Errors
    ///
    /// Those of the command.
    pub fn run(
        &self,
        input: &mut dyn io::Read,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<Outcome, Error> {
        let mut context = Context {
            sysfs: self.global.sysfs.clone(),
            ssh: self.global.ssh.clone(),
            style: Palette::of(self.global.color, &io::stdout()),
            err_style: Palette::of(self.global.color, &io::stderr()),
            input,
            out,
            err,
        };
        self.command.run(&mut context)
    }
}

/// Tells an error on standard error. If that cannot be written either, nobody can be told.
fn report(error: &Error, style: Palette) {
    let _ = writeln!(io::stderr(), "{} {error}", style.bad("migver:"));
}

/// A writer that goes quiet once nobody reads any more.
///
/// Who closes a pipe has seen enough. That is no error, and does not change the answer, unless what is written
/// `must_be_read`.
struct Pipe<W> {
    inner: Option<W>,
    must_be_read: bool,
}

impl<W: Write> Pipe<W> {
    fn attempt<T>(
        &mut self,
        otherwise: T,
        act: impl FnOnce(&mut W) -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(inner) = &mut self.inner else {
            return Ok(otherwise);
        };
        match act(inner) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && !self.must_be_read => {
                self.inner = None;
                Ok(otherwise)
            }
            other => other,
        }
    }
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(bytes.len(), |inner| inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt((), Write::flush)
    }
}
