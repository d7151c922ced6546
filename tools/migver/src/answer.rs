// SPDX-License-Identifier: GPL-2.0-only

//! The answer about one source and one destination.
//!
//! It is [`migver::compare`]'s, and the kernel's: what the kernel would refuse with an errno is
//! refused here with the same one. Two more things can be said here than there: that a side does not
//! migrate at all, and that the destination's string cannot be read, which is an error, as then
//! nobody here knows the answer.

use crate::{
    fleet,
    operand::Resolved,
    Error, //
};

use migver::{
    Class,
    Kind,
    ParseError,
    Side,
    Verdict,
    Version, //
};
use serde_json::{
    json,
    Value, //
};

/// Whether a source fits a destination.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it in a run, and it borrows its strings"
)]
pub enum Answer<'a> {
    /// Both strings were read and compared.
    Compared(Verdict<'a>),
    /// The source's string cannot be read, so that the kernel would refuse it.
    Unreadable(ParseError),
    /// The type or device of this side does not migrate.
    Immobile(Side),
}

impl<'a> Answer<'a> {
    /// Weighs a source against a destination.
    ///
    /// # Errors
    ///
    /// If the destination's string cannot be read.
    pub fn of(source: &'a Resolved, destination: &'a Resolved) -> Result<Self, Error> {
        let Some(theirs) = &source.text else {
            return Ok(Self::Immobile(Side::Source));
        };
        let Some(ours) = &destination.text else {
            return Ok(Self::Immobile(Side::Destination));
        };
        let ours = Version::parse(ours).map_err(|error| unknown(&destination.label, &error))?;
        Ok(match Version::parse(theirs) {
            Ok(theirs) => Self::Compared(migver::compare(&theirs, &ours)),
            Err(error) => Self::Unreadable(error),
        })
    }

    /// Whether the source fits the destination.
    pub fn is_compatible(&self) -> bool {
        self.kind() == Kind::Live
    }

    /// Returns the best kind of migration that is possible.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Compared(verdict) => verdict.kind(),
            Self::Unreadable(_) | Self::Immobile(_) => Kind::None,
        }
    }

    /// Returns the class of the refusal; [`None`] if there is none, or if a side does not migrate.
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Compared(verdict) => verdict.class(),
            Self::Unreadable(error) => Some(error.class()),
            Self::Immobile(_) => None,
        }
    }

    /// Returns everything that speaks against the migration, a sentence each; nothing if it is possible.
    pub fn findings(&self) -> Vec<String> {
        match self {
            Self::Compared(verdict) => verdict.reasons().map(|it| it.to_string()).collect(),
            Self::Unreadable(error @ ParseError::Schema { .. }) => vec![error.to_string()],
            Self::Unreadable(error) => vec![format!("source: {error}")],
            Self::Immobile(side) => vec![format!(
                "{side}: has no migration_version, so it does not migrate"
            )],
        }
    }

    /// Returns the answer for a program.
    ///
    /// | key | value |
    /// |---|---|
    /// | `schema` | 1; keys may be added to it |
    /// | `verdict` | `"compatible"` or `"incompatible"` |
    /// | `kind` | the best kind of migration that is possible: `"live"` or `"none"` |
    /// | `class` | the name of the refusal's [`Class`], or null |
    /// | `errno` | its errno's symbol, with which the kernel refuses, or null |
    /// | `reasons` | objects: `field`, `name`, `source`, `destination`, `fault`, `side`, `class`, `errno`, `text`; all but `text` may be null |
    /// | `source`, `destination` | objects: `operand`, and `migration_version` or null |
    pub fn json(&self, source: &Resolved, destination: &Resolved) -> Value {
        let (class, errno) = (
            self.class().map(Class::name),
            self.class().map(Class::errno_name),
        );
        let reasons = match self {
            Self::Compared(verdict) => fleet::reasons_json(verdict),
            _ => self
                .findings()
                .iter()
                .map(|text| {
                    json!({
                        "field": null, "name": null, "source": null, "destination": null,
                        "fault": null, "side": null, "class": class, "errno": errno, "text": text,
                    })
                })
                .collect(),
        };
        json!({
            "schema": 1,
            "verdict": if self.is_compatible() { "compatible" } else { "incompatible" },
            "kind": self.kind().name(),
            "class": class,
            "errno": errno,
            "reasons": reasons,
            "source": side_json(source),
            "destination": side_json(destination),
        })
    }
}

fn side_json(side: &Resolved) -> Value {
    let text = side.text.as_deref().map(String::from_utf8_lossy);
    json!({"operand": side.label, "migration_version": text})
}

/// Says that nobody here can know what a destination with this string accepts.
fn unknown(label: &str, error: &ParseError) -> Error {
    match error {
        ParseError::Schema { schema } => {
            let known = migver::SCHEMA;
            Error::new(
                label,
                format_args!(
                    "its string is of schema {schema}; schema {known} is what is known here"
                ),
            )
            .hint("ask a migver of the destination's own version, or its kernel")
        }
        error => Error::new(label, error).hint(
            "a destination needs a string that is well-formed, as its migration_version reads",
        ),
    }
}
