// SPDX-License-Identifier: GPL-2.0-only

//! An inventory as labels of a Kubernetes node.
//!
//! Node Feature Discovery makes labels of the lines `NAME=VALUE` of the files in
//! `/etc/kubernetes/node-feature-discovery/features.d/` ("Customization guide", "Feature files"); it ignores a file
//! of more than 64 KiB. A label's name is `PREFIX/NAME`; the name and the value have 1 to 63 letters, digits, `-`,
//! `_` and `.`, with a letter or a digit at both ends; the prefix is a DNS subdomain of at most 253 characters
//! (Kubernetes, "Labels and Selectors").
//!
//! # The labels
//!
//! For each type, where PREFIX is [`PREFIX`]:
//!
//! | label | value |
//! |---|---|
//! | `PREFIX/TYPE__vendor`, `__model` | as in the version string |
//! | `PREFIX/TYPE__abi-major`, `__abi-minor` | numbers |
//! | `PREFIX/TYPE__stream-writes`, `__stream-oldest`, `__stream-newest` | numbers |
//! | `PREFIX/TYPE__takes__FEATURE` | `true`, for each feature that it takes |
//! | `PREFIX/TYPE__param-RULE__PARAMETER` | the value; RULE is `eq`, `le` or `ge` |
//! | `PREFIX/TYPE__ext-MARKING__EXTENSION` | the value; MARKING is `must` or `may` |
//! | `PREFIX/TYPE__available` | how many devices can be created, on all parents together |
//! | `PREFIX/TYPE__family` | the [family](super::hashed::family), hashed |
//! | `PREFIX/TYPE__string` | the whole string, hashed |
//!
//! Names of types, features, parameters and extensions stand as they are if they have at most [`MAX_PART`] letters and
//! digits with single `-`, `_` or `.` between them, and do not begin with `x-`. All others, and values that are no
//! label values, are `x-` and the [digits](super::hashed) that stand for them. As nothing that stands as it is has `__`
//! in it, two meanings never have one name; if two texts had the same digits, nothing is written.
//!
//! If the parents of a host offer one type with different strings, the one of which most devices can be created has
//! the labels `TYPE__...`, and the others `TYPE__2__...`, `TYPE__3__...`. Where `TYPE__2` has more than [`MAX_PART`]
//! characters, it is `x-` and the digits that stand for the type's name, a newline and the number.
//!
//! # What to ask for
//!
//! [`requirements`] are the `matchExpressions` of a node affinity that hold where a type of this name takes the device
//! in, with the first of its strings if it has several, and nowhere else. `migver find` finds the others.

use super::{
    hashed::{
        family,
        Hashed, //
    },
    Inventory, //
};
use crate::Error;

use migver::{
    Rule,
    Version, //
};

use std::{
    collections::BTreeMap,
    io::Write, //
};

/// The prefix of all labels: a DNS subdomain in the part of the namespace that Node Feature Discovery lets anyone use.
pub const PREFIX: &str = "migver.feature.node.kubernetes.io";

/// The greatest length of a label's name and value in characters.
pub const MAX_NAME: usize = 63;

/// The greatest length of a part of a name in characters. Two of them fit, with the longest of our own words between
/// them; a type's name and the number of a string are one.
pub const MAX_PART: usize = 25;

/// The greatest length of a feature file in bytes.
pub const MAX_FILE: usize = 65536;

/// A label: its name without the prefix, and its value.
pub type Labels = BTreeMap<String, String>;

/// What a label must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Requirement {
    /// The label's name without the prefix.
    pub name: String,
    /// `In`, `Gt`, `Lt` or `Exists`, as in a `matchExpressions`.
    pub operator: &'static str,
    /// What it is compared with; nothing for `Exists`. `Gt` and `Lt` compare integers.
    pub value: Option<String>,
}

/// Writes the labels of a host as a feature file.
///
/// Strings that cannot be read here have no labels.
///
/// # Errors
///
/// Two texts have the same digits, the file would be too long, or `out` cannot be written.
pub fn write(inventory: &Inventory, out: &mut dyn Write) -> Result<(), Error> {
    let mut file = format!("# What can migrate to {}\n", inventory.host);
    for (name, value) in labels(inventory)? {
        file.push_str(&format!("{PREFIX}/{name}={value}\n"));
    }
    if file.len() > MAX_FILE {
        let why = format!(
            "{} bytes of labels, more than the {MAX_FILE} that Node Feature Discovery reads",
            file.len()
        );
        return Err(Error::new(&inventory.host, why));
    }
    out.write_all(file.as_bytes())?;
    Ok(())
}

/// Returns the labels of a host.
///
/// # Errors
///
/// Two texts have the same digits.
pub fn labels(inventory: &Inventory) -> Result<Labels, Error> {
    // The strings of each type, with how many devices can be created of it.
    let mut types: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for (_, item) in inventory.types() {
        if let Some(string) = &item.migration_version {
            let strings = types.entry(&item.name).or_default();
            let available = strings.entry(string.trim_end_matches('\n')).or_default();
            *available = available.saturating_add(item.available_instances);
        }
    }
    let mut names = Names::default();
    let mut labels = Labels::new();
    for (type_name, strings) in types {
        let mut strings: Vec<_> = strings
            .into_iter()
            .filter_map(|(string, available)| {
                let version = Version::parse(string.as_bytes()).ok()?;
                Some((version, available))
            })
            .collect();
        strings.sort_by_key(|(_, available)| std::cmp::Reverse(*available));
        for (index, (version, available)) in strings.iter().enumerate() {
            let group = names.group(type_name, index + 1);
            labels_of(&group, version, *available, &mut names, &mut labels);
        }
    }
    names.0.check("labels")?;
    Ok(labels)
}

fn labels_of(
    group: &str,
    version: &Version<'_>,
    available: u64,
    names: &mut Names,
    labels: &mut Labels,
) {
    let (abi, stream) = (version.abi(), version.stream());
    let mut put = |name: String, value: String| labels.insert(format!("{group}__{name}"), value);
    put("vendor".to_owned(), names.value(version.vendor()));
    put("model".to_owned(), names.value(version.model()));
    for (name, number) in [
        ("abi-major", abi.major),
        ("abi-minor", abi.minor),
        ("stream-writes", stream.writes),
        ("stream-oldest", stream.oldest),
        ("stream-newest", stream.newest),
    ] {
        put(name.to_owned(), number.to_string());
    }
    put("available".to_owned(), available.to_string());
    put("family".to_owned(), names.hashed(&family(version)));
    put("string".to_owned(), names.hashed(&version.to_string()));
    for name in version.takes() {
        put(format!("takes__{}", names.part(name)), "true".to_owned());
    }
    for item in version.parameters() {
        let name = format!("param-{}__{}", item.rule.as_str(), names.part(item.name));
        put(name, item.value.to_string());
    }
    for item in version.extensions() {
        let name = format!("ext-{}__{}", item.marking.as_str(), names.part(item.name));
        put(name, names.value(item.value));
    }
}

/// Returns what a node's labels must be so that a type of this name takes in what `source` describes.
///
/// They hold if and only if it does, with the first of its strings if it has several, and has an instance left, with
/// one exception: Kubernetes compares 64-bit integers with a sign, so that a parameter above 2^63-1 that need not be
/// equal is never found.
pub fn requirements(source: &Version<'_>, type_name: &str) -> Vec<Requirement> {
    let mut names = Names::default();
    let group = names.part(type_name);
    let (abi, stream) = (source.abi(), source.stream());
    let mut all = Vec::new();
    let mut require = |name: String, operator, value| {
        all.push(Requirement {
            name: format!("{group}__{name}"),
            operator,
            value,
        });
    };
    // `Gt` and `Lt` leave out the number itself.
    let above = |number: u64| Some((i128::from(number) - 1).to_string());
    let below = |number: u64| Some((i128::from(number) + 1).to_string());
    require(
        "family".to_owned(),
        "In",
        Some(names.hashed(&family(source))),
    );
    require("available".to_owned(), "Gt", Some("0".to_owned()));
    require("abi-minor".to_owned(), "Gt", above(abi.minor.into()));
    require(
        "stream-newest".to_owned(),
        "Gt",
        above(stream.writes.into()),
    );
    require(
        "stream-oldest".to_owned(),
        "Lt",
        below(stream.oldest.into()),
    );
    for name in source.needs() {
        require(format!("takes__{}", names.part(name)), "Exists", None);
    }
    for item in source.parameters() {
        let name = format!("param-{}__{}", item.rule.as_str(), names.part(item.name));
        match item.rule {
            // The family says it.
            Rule::Equal => {}
            Rule::AtMost => require(name, "Gt", above(item.value)),
            Rule::AtLeast => require(name, "Lt", below(item.value)),
        }
    }
    all
}

/// Makes names and values.
#[derive(Default)]
struct Names(Hashed);

impl Names {
    /// Returns a text as a part of a name.
    fn part(&mut self, text: &str) -> String {
        if text.len() <= MAX_PART && is_plain(text) {
            text.to_owned()
        } else {
            self.hashed(text)
        }
    }

    /// Returns what the labels of one string of a type begin with.
    fn group(&mut self, type_name: &str, number: usize) -> String {
        let part = self.part(type_name);
        let numbered = format!("{part}__{number}");
        if number == 1 {
            part
        } else if numbered.len() <= MAX_PART {
            numbered
        } else {
            // No name has a newline in it, so this stands for no other type.
            self.hashed(&format!("{type_name}\n{number}"))
        }
    }

    /// Returns a text as a value.
    fn value(&mut self, text: &str) -> String {
        if text.len() <= MAX_NAME && is_plain(text) {
            text.to_owned()
        } else {
            self.hashed(text)
        }
    }

    fn hashed(&mut self, text: &str) -> String {
        format!("x-{}", self.0.digits(text))
    }
}

/// Whether a text stands as it is: letters and digits with single `-`, `_` or `.` between them, and not what digits
/// could be taken for.
fn is_plain(text: &str) -> bool {
    let is_run = |run: &str| !run.is_empty() && run.bytes().all(|b| b.is_ascii_alphanumeric());
    text.split(['-', '_', '.']).all(is_run) && !text.starts_with("x-")
}
