// SPDX-License-Identifier: GPL-2.0-only

//! Every string of a fleet as a source against every string as a destination.
//!
//! A fleet has many types and devices and few different strings, so equal strings are one row and one column, with the
//! list of who has them.

use super::{
    refused::unreadable,
    Candidate,
    Pattern,
    Why, //
};

use migver::{
    compare,
    ParseError,
    Side,
    Version, //
};
use serde_json::{
    json,
    Value, //
};

use std::{
    collections::BTreeMap,
    fmt, //
};

/// One string, and who has it.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The string.
    pub text: &'a str,
    /// What it says, if it can be read here.
    pub version: Result<Version<'a>, ParseError>,
    /// Who has it, in the order in which they came.
    pub members: Vec<Candidate<'a>>,
    /// Whether one of them was asked for as a source.
    pub is_source: bool,
    /// Whether one of them was asked for as a destination.
    pub is_destination: bool,
}

/// Sources against destinations.
#[derive(Clone, Debug)]
pub struct Matrix<'a> {
    rows: Vec<Row<'a>>,
}

impl<'a> Matrix<'a> {
    /// Folds candidates by their string. Those that neither list of patterns means are left out; an empty list means
    /// all.
    ///
    /// The rows are in the order of vendor, model, ABI and stream; strings that cannot be read come last.
    pub fn new(
        candidates: impl IntoIterator<Item = Candidate<'a>>,
        from: &[Pattern],
        to: &[Pattern],
    ) -> Self {
        let among = |patterns: &[Pattern], candidate: &Candidate<'_>| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.holds(candidate))
        };
        let mut folded: BTreeMap<&str, Row<'_>> = BTreeMap::new();
        for candidate in candidates {
            let is_source = among(from, &candidate);
            let is_destination = among(to, &candidate);
            if !is_source && !is_destination {
                continue;
            }
            let text = candidate.string.trim_end_matches('\n');
            let row = folded.entry(text).or_insert_with(|| Row {
                text,
                version: Version::parse(text.as_bytes()),
                members: Vec::new(),
                is_source: false,
                is_destination: false,
            });
            row.members.push(candidate);
            row.is_source |= is_source;
            row.is_destination |= is_destination;
        }
        let mut rows: Vec<_> = folded.into_values().collect();
        rows.sort_by(|a, b| order(a).cmp(&order(b)));
        Self { rows }
    }

    /// Returns every string.
    pub fn rows(&self) -> &[Row<'a>] {
        &self.rows
    }

    /// Iterates over the sources: their number, which begins with 1, and the string.
    pub fn sources(&self) -> impl Iterator<Item = (usize, &Row<'a>)> {
        (1..).zip(&self.rows).filter(|(_, row)| row.is_source)
    }

    /// Iterates over the destinations, as [`sources`](Self::sources).
    pub fn destinations(&self) -> impl Iterator<Item = (usize, &Row<'a>)> {
        (1..).zip(&self.rows).filter(|(_, row)| row.is_destination)
    }

    /// Tells what there is for a program.
    pub fn json(&self) -> Value {
        let strings: Vec<_> = (1..)
            .zip(&self.rows)
            .map(|(number, row): (usize, _)| {
                json!({
                    "number": number,
                    "migration_version": row.text,
                    "unreadable": row.unreadable(),
                    "is_source": row.is_source,
                    "is_destination": row.is_destination,
                    "members": row.members.iter().map(Candidate::json).collect::<Vec<_>>(),
                })
            })
            .collect();
        let mut cells = Vec::new();
        for (source, from) in self.sources() {
            for (destination, to) in self.destinations() {
                let refusal = from.weigh(to);
                cells.push(json!({
                    "source": source,
                    "destination": destination,
                    "compatible": refusal.is_none(),
                    "refusal": refusal.as_ref().map(Why::json),
                }));
            }
        }
        json!({"schema": 1, "strings": strings, "cells": cells})
    }
}

impl<'a> Row<'a> {
    /// Says why a device with this string does not fit one with another, or [`None`] if it does.
    pub fn weigh(&self, destination: &Self) -> Option<Why<'a>> {
        match (&self.version, &destination.version) {
            (_, Err(error)) => Some(Why::Unreadable(Side::Destination, *error)),
            (Err(error), _) => Some(Why::Unreadable(Side::Source, *error)),
            (Ok(from), Ok(to)) => {
                let verdict = compare(from, to);
                (!verdict.is_compatible()).then_some(Why::Incompatible(verdict))
            }
        }
    }

    /// Says why the string cannot be read here, if it cannot.
    pub fn unreadable(&self) -> Option<String> {
        self.version.as_ref().err().map(unreadable)
    }

    /// Counts who has it: types, devices, and the hosts that they are on.
    pub fn count(&self) -> Count {
        let devices = self.members.iter().filter(|m| m.uuid().is_some()).count();
        let mut hosts: Vec<_> = self.members.iter().map(|member| member.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        Count {
            types: self.members.len() - devices,
            devices,
            hosts: hosts.len(),
        }
    }
}

/// How many have a string.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Count {
    types: usize,
    devices: usize,
    hosts: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [(self.types, "type"), (self.devices, "device")];
        let mut between = "";
        for (count, name) in kinds {
            if count > 0 {
                write!(f, "{between}{}", Counted(count, name))?;
                between = ", ";
            }
        }
        write!(f, " on {}", Counted(self.hosts, "host"))
    }
}

/// A number of things, in words.
pub(super) struct Counted(pub(super) usize, pub(super) &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, name) = self;
        write!(f, "{count} {name}{}", if *count == 1 { "" } else { "s" })
    }
}

/// What rows are sorted by.
fn order<'a>(row: &'a Row<'_>) -> impl Ord + 'a {
    let fields = row.version.as_ref().ok().map(|version| {
        let (abi, stream) = (version.abi(), version.stream());
        let numbers = [abi.major, abi.minor, stream.writes, stream.newest];
        (version.vendor(), version.model(), numbers)
    });
    (fields.is_none(), fields, row.text)
}
