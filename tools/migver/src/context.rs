// SPDX-License-Identifier: GPL-2.0-only

//! What every command is given: where the world is, and where its words go.

use crate::{
    style::Palette,
    Error, //
};

use std::{
    ffi::OsString,
    io::{
        Read,
        Write, //
    },
    path::PathBuf, //
};

/// The surroundings of a command.
///
/// A command reads and writes through these and not through `std::io`, so that a test can catch
/// what it writes:
///
/// ```
/// use migver_cli::Context;
///
/// let (mut input, mut out, mut err) = (&b""[..], Vec::new(), Vec::new());
/// let mut context = Context::new(&mut input, &mut out, &mut err);
/// context.sysfs = "tests/tree/sys".into();
/// ```
pub struct Context<'a> {
    /// Where sysfs is mounted: `/sys`, or a tree that a test made.
    pub sysfs: PathBuf,
    /// The program that runs a command on another host, called as `ssh -- HOST COMMAND`.
    pub ssh: OsString,
    /// How what goes to `out` may look.
    pub style: Palette,
    /// How what goes to `err` may look.
    pub err_style: Palette,
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Standard output. It is buffered; the caller flushes it. Writes fail with `EPIPE` for `libvirt-hook`
    /// only: elsewhere, once nobody reads any more, they do nothing, and the verdict is still the exit
    /// status.
    pub out: &'a mut dyn Write,
    /// Standard error, for warnings and logs of a command that goes on. An error that ends a
    /// command is returned instead.
    pub err: &'a mut dyn Write,
}

impl<'a> Context<'a> {
    /// Returns a context for `/sys` and `ssh`, with plain output.
    pub fn new(input: &'a mut dyn Read, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self {
            sysfs: "/sys".into(),
            ssh: "ssh".into(),
            style: Palette::default(),
            err_style: Palette::default(),
            input,
            out,
            err,
        }
    }

    /// Tells on standard error what does not end the command.
    pub fn warn(&mut self, warning: &Error) {
        let head = self.err_style.warning("migver:");
        // If it cannot be written, nobody can be told.
        let _ = writeln!(self.err, "{head} {warning}");
    }
}
