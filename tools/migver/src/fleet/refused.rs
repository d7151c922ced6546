// SPDX-License-Identifier: GPL-2.0-only

//! Why a candidate cannot take a device in.

use super::Candidate;

use migver::{
    Class,
    Fault,
    ParseError,
    Side,
    Verdict, //
};
use serde_json::{
    json,
    Value, //
};

/// A candidate that cannot take the device in.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// The candidate.
    pub candidate: Candidate<'a>,
    /// Why.
    pub why: Why<'a>,
}

/// Why one string does not fit another, or a candidate has no room.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a verdict borrows its strings; boxing each would cost more than it saves"
)]
pub enum Why<'a> {
    /// The string of this side cannot be read here.
    Unreadable(Side, ParseError),
    /// The strings do not fit. The verdict has at least one reason.
    Incompatible(Verdict<'a>),
    /// The strings fit, but no more devices can be created of the type now.
    Full,
}

impl Why<'_> {
    /// Returns the class of the refusal, as the destination's kernel would tell it. [`None`] if that is not known:
    /// the strings fit, or the destination's cannot be read here.
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Unreadable(Side::Source, error) => Some(error.class()),
            Self::Incompatible(verdict) => verdict.class(),
            Self::Unreadable(Side::Destination, _) | Self::Full => None,
        }
    }

    /// Returns the symbol of the errno that tells the refusal: `ENOSPC` for a type that is full, [`None`] if it is
    /// not known.
    pub fn errno_name(&self) -> Option<&'static str> {
        match self {
            Self::Full => Some("ENOSPC"),
            _ => self.class().map(Class::errno_name),
        }
    }

    /// Returns what stands for it in a table: the symbol of the errno, or `?`.
    pub fn mark(&self) -> &'static str {
        self.errno_name().unwrap_or("?")
    }

    /// Returns every reason as a sentence, the first one first.
    pub fn reasons(&self) -> Vec<String> {
        match self {
            Self::Unreadable(side, error) => vec![format!("{side}: {}", unreadable(error))],
            Self::Incompatible(verdict) => verdict.reasons().map(|r| r.to_string()).collect(),
            Self::Full => vec!["no instance is available".to_owned()],
        }
    }

    /// Returns the first reason as a sentence.
    pub fn first(&self) -> String {
        match self {
            Self::Incompatible(verdict) => verdict
                .reasons()
                .next()
                .map(|reason| reason.to_string())
                .unwrap_or_default(),
            _ => self.reasons().into_iter().next().unwrap_or_default(),
        }
    }

    /// Returns how many reasons there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Incompatible(verdict) => verdict.reasons().count(),
            _ => 1,
        }
    }

    /// Returns what there is to tell a program.
    pub fn json(&self) -> Value {
        let reasons = match self {
            Self::Incompatible(verdict) => reasons_json(verdict),
            _ => self
                .reasons()
                .iter()
                .map(|text| {
                    json!({
                        "field": null,
                        "name": null,
                        "source": null,
                        "destination": null,
                        "fault": null,
                        "side": null,
                        "class": self.class().map(Class::name),
                        "errno": self.errno_name(),
                        "text": text,
                    })
                })
                .collect(),
        };
        json!({
            "class": self.class().map(Class::name),
            "errno": self.errno_name(),
            "reasons": reasons,
        })
    }
}

/// Says why a string cannot be read here, whichever side it is of.
pub fn unreadable(error: &ParseError) -> String {
    match error {
        // As it is shown it tells what a destination would say to a source.
        ParseError::Schema { schema } => {
            let known = migver::SCHEMA;
            format!("schema {schema} is not known here, only schema {known} is")
        }
        _ => error.to_string(),
    }
}

/// Returns all reasons of a verdict for a program: the field, what each side has there as its string spells it or
/// null, what is wrong, and the side at fault or null.
pub fn reasons_json(verdict: &Verdict<'_>) -> Vec<Value> {
    let spelled = |text: Option<migver::Spelled<'_>>| text.map(|text| text.to_string());
    verdict
        .reasons()
        .map(|reason| {
            json!({
                "field": reason.field.key(),
                "name": reason.field.name(),
                "source": spelled(reason.spelled(Side::Source)),
                "destination": spelled(reason.spelled(Side::Destination)),
                "fault": reason.fault.name(),
                "side": Fault::side(reason.fault).map(Side::name),
                "class": reason.class().name(),
                "errno": reason.class().errno_name(),
                "text": reason.to_string(),
            })
        })
        .collect()
}
