// SPDX-License-Identifier: GPL-2.0-only

//! All that the version strings can be asked to do, as the root of an object file: what it calls that it does not hold
//! itself can then be listed. `migver_machine_code.rs` compiles it; it is no part of that program.

#![no_std]

#[path = "../../../../src/migver/mod.rs"]
pub mod migver;

use core::fmt::{
    self,
    Write, //
};
use migver::{
    Baseline,
    Description,
    Identity,
    Side,
    Version, //
};

/// Reads a text, weighs it against another, and shows all that is found.
#[no_mangle]
pub fn entry_check(source: &[u8], destination: &[u8], out: &mut dyn Write) -> fmt::Result {
    let destination = match Version::parse(destination) {
        Ok(version) => version,
        Err(error) => return write!(out, "{error} {} {}", error.class(), error.class().errno()),
    };
    if let Err(refusal) = migver::check(source, &destination) {
        write!(out, "{refusal} {} {}", refusal.class(), refusal.kind())?;
    }
    let identity = Identity::new(destination);
    write!(out, "{identity} {} {}", identity.len(), identity.version())?;
    if let Err(refusal) = identity.check(source) {
        write!(out, "{refusal}")?;
    }
    let Ok(source) = Version::parse(source) else {
        return Ok(());
    };
    let verdict = migver::compare(&source, &destination);
    write!(out, "{verdict} {}", verdict.kind())?;
    if let Some(class) = verdict.class() {
        write!(out, "{class} {} {}", class.errno_name(), class.errno())?;
    }
    for reason in verdict.reasons() {
        write!(out, "{reason} {} {}", reason.class(), reason.field.key())?;
        write!(out, "{:?} {}", reason.field.name(), reason.fault.name())?;
        for side in Side::ALL {
            write!(out, "{side} {}", reason.value(side))?;
            if let Some(spelled) = reason.spelled(side) {
                write!(out, "{spelled}")?;
            }
        }
        if let Some(side) = reason.fault.side() {
            write!(out, "{side}")?;
        }
    }
    entry_parts(&source, out)
}

/// Shows the parts of a version.
#[no_mangle]
pub fn entry_parts(version: &Version<'_>, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{} {}", version.vendor(), version.model())?;
    write!(out, "{} {}", version.abi(), version.stream())?;
    version.needs().try_for_each(|name| out.write_str(name))?;
    version.takes().try_for_each(|name| out.write_str(name))?;
    for parameter in version.parameters() {
        write!(out, "{parameter}")?;
    }
    for extension in version.extensions() {
        write!(out, "{extension}")?;
    }
    write!(out, "{}", Baseline::of(version))
}

/// Makes a version of a description that is not known when this is compiled.
#[no_mangle]
pub fn entry_describe(description: &Description<'_>, out: &mut dyn Write) -> fmt::Result {
    match Version::new(description) {
        Ok(version) => write!(out, "{version} {}", Identity::new(version)),
        Err(invalid) => write!(out, "{invalid}"),
    }
}

/// Changes a baseline.
#[no_mangle]
pub fn entry_baseline(before: Baseline, text: &[u8], out: &mut dyn Write) -> fmt::Result {
    match before.changed(text) {
        Some(after) => write!(out, "{after}"),
        None => Err(fmt::Error),
    }
}

/// A panic, for the test to be found able to fail.
#[cfg(planted)]
#[no_mangle]
pub fn entry_planted(text: &[u8], at: usize) -> u8 {
    text[at]
}
