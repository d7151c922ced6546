// SPDX-License-Identifier: GPL-2.0-only

//! mdevctl: the callout that keeps a device from being started where it could not migrate to.
//!
//! mdevctl 1.0 and later run every program in `/usr/lib/mdevctl/scripts.d/callouts` around what they do
//! to a device, as `PROGRAM -t TYPE -e EVENT -a ACTION -s STATE -u UUID -p PARENT` with the device's
//! definition as JSON on standard input, and take the status:
//!
//! | status | meaning |
//! |---|---|
//! | 0 | go on |
//! | 1 | stop here |
//! | 2 | the type is another program's |
//!
//! What is answered:
//!
//! | event, action | answer |
//! |---|---|
//! | any, of a type without `migration_version` | 2 |
//! | `get capabilities` | which events and actions are answered |
//! | `get attributes` | the device's string, as the attribute that pins it |
//! | `pre start` | 1 if the definition pins a string that the type does not take |
//! | `pre define`, `pre modify` | 1 if the definition pins what is no string at all |
//! | every other | 0 |
//!
//! A definition pins a string by the attribute `migration_version`, of which mdevctl writes the
//! value to the device's file after it has created it. So the kernel is asked before and after: the
//! type here, the device by mdevctl itself.

use crate::{
    exit::os_text,
    host::{
        self,
        attribute, //
    },
    text::printable, //
};

use migver::{
    compare,
    Version, //
};
use serde_json::{
    json,
    Value, //
};

use std::{
    io::{
        self,
        Read,
        Write, //
    },
    path::Path, //
};

/// The greatest length of a definition that is read, in bytes.
const MAX_LEN: u64 = 1 << 20;

/// What mdevctl asks about.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The device's type.
    pub type_name: &'a str,
    /// When: `pre`, `post`, `get`, `live`, `notify`.
    pub event: &'a str,
    /// What is done: `start`, `define`, `attributes`, and others.
    pub action: &'a str,
    /// The device.
    pub uuid: &'a str,
    /// Its parent.
    pub parent: &'a str,
}

/// What mdevctl is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Status 0.
    GoOn,
    /// Status 1. Why was written to the error stream.
    Stop,
    /// Status 2.
    NotOurs,
}

/// Answers a question.
///
/// # Errors
///
/// If `input` cannot be read or `out` or `err` not be written.
pub fn answer(
    sysfs: &Path,
    question: &Question<'_>,
    input: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Answer> {
    let mut text = Vec::new();
    input.take(MAX_LEN).read_to_end(&mut text)?;
    // A name comes from a definition that anyone may have written.
    if !is_name(question.parent) || !is_name(question.type_name) || !is_name(question.uuid) {
        return Ok(Answer::NotOurs);
    }
    let ty = host::type_dir(sysfs, question.parent, question.type_name);
    let file = ty.join(attribute::MIGRATION_VERSION);
    let Some(offered) = attribute::read(&file)? else {
        return Ok(Answer::NotOurs);
    };
    match (question.event, question.action) {
        ("get", "capabilities") => {
            let supports = json!({"supports": {
                "version": 2,
                "actions": ["start", "stop", "define", "undefine", "modify", "attributes", "capabilities"],
                "events": ["pre", "post", "notify", "get"],
            }});
            writeln!(out, "{supports}")?;
            Ok(Answer::GoOn)
        }
        ("get", "attributes") => {
            let device = host::device_dir(sysfs, &question.uuid.to_ascii_lowercase());
            let version = attribute::read(&device.join(attribute::MIGRATION_VERSION))?;
            let attributes: Vec<Value> = version
                .iter()
                .map(|version| json!({ attribute::MIGRATION_VERSION: version }))
                .collect();
            writeln!(out, "{}", Value::from(attributes))?;
            Ok(Answer::GoOn)
        }
        ("pre", "start" | "define" | "modify") => match pinned(&text) {
            Err(why) => refuse(err, question, &why),
            Ok(pins) => {
                for pin in pins {
                    if let Err(why) = gate(question, &file, &offered, &pin) {
                        return refuse(err, question, &why);
                    }
                }
                Ok(Answer::GoOn)
            }
        },
        _ => Ok(Answer::GoOn),
    }
}

/// Whether a text is the name of one entry of a directory.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['/', '\0'])
}

/// Says why not. mdevctl puts the name of the program before it.
fn refuse(err: &mut dyn Write, question: &Question<'_>, why: &str) -> io::Result<Answer> {
    let Question {
        uuid,
        parent,
        type_name,
        ..
    } = question;
    let line = format!("device {uuid} (type {parent}/{type_name}): {why}");
    writeln!(err, "{}", printable(&line))?;
    Ok(Answer::Stop)
}

/// Returns the strings that a definition pins, without a newline at their end.
fn pinned(definition: &[u8]) -> Result<Vec<String>, String> {
    let definition: Value = serde_json::from_slice(definition)
        .map_err(|error| format!("its definition cannot be read: {error}"))?;
    let attributes = definition.get("attrs").and_then(Value::as_array);
    attributes
        .into_iter()
        .flatten()
        .filter_map(|attributes| attributes.get(attribute::MIGRATION_VERSION))
        .map(|value| match value.as_str() {
            Some(text) => Ok(text.strip_suffix('\n').unwrap_or(text).to_owned()),
            None => Err(format!("{} is not a text", attribute::MIGRATION_VERSION)),
        })
        .collect()
}

/// Checks a string that is pinned: whether it is one, and before a start whether the type takes it.
fn gate(question: &Question<'_>, file: &Path, offered: &str, pin: &str) -> Result<(), String> {
    let source = Version::parse(pin.as_bytes()).map_err(|error| {
        format!(
            "{} is pinned to no version: {error}",
            attribute::MIGRATION_VERSION
        )
    })?;
    if question.action != "start" {
        return Ok(());
    }
    // The kernel decides; the library tells why.
    attribute::write(file, pin).map_err(|error| {
        let error = os_text(&error);
        match Version::parse(offered.as_bytes()).map(|version| compare(&source, &version)) {
            Ok(verdict) if !verdict.is_compatible() => verdict.to_string(),
            _ => format!("the kernel refused: {error}"),
        }
    })
}
