// SPDX-License-Identifier: GPL-2.0-only

//! `migver`: tells whether a device can migrate. See the library for everything it does.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    migver_cli::cli::main()
}
