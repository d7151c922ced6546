// SPDX-License-Identifier: GPL-2.0-only

//! An inventory as custom traits of OpenStack Placement.
//!
//! A trait is there or not; a scheduler asks for some, and each resource provider that has all of them is a candidate. A
//! custom trait is `CUSTOM_` and one or more of `A-Z`, `0-9` and `_`, 255 characters in all (Placement,
//! `placement/schemas/trait.py` and `common.py`).
//!
//! # The traits
//!
//! | trait | the type |
//! |---|---|
//! | `CUSTOM_MIGVER_VENDOR_MODEL_FAMILY_X...` | is of this [family](super::hashed::family), hashed |
//! | `CUSTOM_MIGVER_VENDOR_MODEL_ABI_MAJOR_MINOR` | has this ABI, or a later minor |
//! | `CUSTOM_MIGVER_VENDOR_MODEL_LOADS_VERSION` | loads this stream version |
//! | `CUSTOM_MIGVER_VENDOR_MODEL_TAKES_FEATURE` | takes this feature |
//! | `CUSTOM_MIGVER_VENDOR_MODEL_PARAM_NAME_RULE_VALUE` | has this creation parameter; RULE is `EQ`, `LE` or `GE` |
//! | `CUSTOM_MIGVER_VENDOR_MODEL_EXT_NAME_VALUE` | has this required extension |
//!
//! A type has one trait for each ABI minor up to its own and for each stream version that it loads; of more than
//! [`MAX_STEPS`] the [`MAX_STEPS`] newest minors, and as many of the oldest and of the newest stream versions, half
//! and half.
//!
//! A single `_` is between parts. In a name, letters are upper-case and `-`, `.` and `_` are two, three and four of `_`,
//! which is not ambiguous because a name never has two of them side by side. A name that takes more than
//! [`MAX_PART`] characters so, a value that is no such name, and a name that looks like digits itself, are `X` and the
//! [digits](super::hashed) that stand for them, in upper case. So two meanings never have one trait; if two texts had the
//! same digits, nothing is written.
//!
//! # What to ask for
//!
//! A resource provider with all of the [`required`] traits takes the device in. One that has not all of them may do so
//! too if it has more than [`MAX_STEPS`] versions, or if a parameter need not be equal: traits cannot tell how numbers
//! compare. `migver find` finds these.

use super::{
    hashed::{
        family,
        Hashed,
        DIGITS, //
    },
    Inventory, //
};
use crate::Error;

use migver::{
    Marking,
    Version, //
};

use std::{
    collections::BTreeSet,
    io::Write, //
};

/// The greatest length of a trait in characters.
pub const MAX_TRAIT: usize = 255;

/// The greatest length of a name in a trait in characters, before it is hashed.
pub const MAX_PART: usize = 48;

/// How many ABI minors and how many stream versions have a trait.
pub const MAX_STEPS: u32 = 64;

/// What a trait says, part by part, before it is spelled as one.
pub type Meaning = Vec<Part>;

/// A part of what a trait says.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// A word of ours.
    Word(&'static str),
    /// A name, or another text.
    Text(String),
    /// A number.
    Number(u64),
    /// A text that is always hashed.
    Hashed(String),
}

/// Writes the traits of every type, each under a comment with its host, its parent and its name: a resource provider
/// is one type of one parent, and has the traits of no other.
///
/// Strings that cannot be read here have no traits.
///
/// # Errors
///
/// Two texts have the same digits, or `out` cannot be written.
pub fn write(inventories: &[Inventory], out: &mut dyn Write) -> Result<(), Error> {
    let mut names = Names::default();
    let mut lines = String::new();
    for inventory in inventories {
        for (parent, item) in inventory.types() {
            let Some(string) = &item.migration_version else {
                continue;
            };
            let Ok(version) = Version::parse(string.as_bytes()) else {
                continue;
            };
            if !lines.is_empty() {
                lines.push('\n');
            }
            lines.push_str(&format!(
                "# {} {} {}\n",
                inventory.host, parent.name, item.name
            ));
            let traits = meanings(&version);
            let traits: BTreeSet<_> = traits.iter().map(|meaning| names.spell(meaning)).collect();
            for name in traits {
                lines.push_str(&format!("{name}\n"));
            }
        }
    }
    names.0.check("traits")?;
    out.write_all(lines.as_bytes())?;
    Ok(())
}

/// Returns the traits of a type that says this.
pub fn traits(version: &Version<'_>) -> BTreeSet<String> {
    spell_all(&meanings(version))
}

/// Returns the traits that a destination has to have so that what `source` describes can go there.
pub fn required(source: &Version<'_>) -> BTreeSet<String> {
    let (abi, stream) = (source.abi(), source.stream());
    let loads = |version: u32| thing(source, "LOADS", [Part::Number(version.into())]);
    let mut all = vec![
        thing(source, "FAMILY", [Part::Hashed(family(source))]),
        abi_minor(source, abi.minor),
        loads(stream.writes),
        loads(stream.oldest),
    ];
    all.extend(source.needs().map(|name| takes(source, name)));
    all.extend(parameters(source));
    spell_all(&all)
}

/// Returns what is to be said of a type, as traits that are not spelled yet.
pub fn meanings(version: &Version<'_>) -> Vec<Meaning> {
    let (abi, stream) = (version.abi(), version.stream());
    let mut all = vec![thing(version, "FAMILY", [Part::Hashed(family(version))])];
    let first = abi.minor.saturating_sub(MAX_STEPS - 1);
    all.extend((first..=abi.minor).map(|minor| abi_minor(version, minor)));
    let half = MAX_STEPS / 2;
    let low = stream.oldest..=stream.newest.min(stream.oldest.saturating_add(half - 1));
    let high = stream.newest.saturating_sub(half - 1).max(stream.oldest)..=stream.newest;
    for number in low.chain(high).collect::<BTreeSet<_>>() {
        all.push(thing(version, "LOADS", [Part::Number(number.into())]));
    }
    all.extend(version.takes().map(|name| takes(version, name)));
    all.extend(parameters(version));
    let required = version
        .extensions()
        .filter(|item| item.marking == Marking::Required);
    all.extend(required.map(|item| {
        let parts = [item.name, item.value].map(|text| Part::Text(text.to_owned()));
        thing(version, "EXT", parts)
    }));
    all
}

fn thing<const N: usize>(version: &Version<'_>, word: &'static str, parts: [Part; N]) -> Meaning {
    let names = [version.vendor(), version.model()].map(|name| Part::Text(name.to_owned()));
    names
        .into_iter()
        .chain([Part::Word(word)])
        .chain(parts)
        .collect()
}

fn abi_minor(version: &Version<'_>, minor: u32) -> Meaning {
    let numbers = [version.abi().major, minor].map(|number| Part::Number(number.into()));
    thing(version, "ABI", numbers)
}

fn takes(version: &Version<'_>, name: &str) -> Meaning {
    thing(version, "TAKES", [Part::Text(name.to_owned())])
}

fn parameters<'a>(version: &'a Version<'_>) -> impl Iterator<Item = Meaning> + 'a {
    version.parameters().map(|item| {
        let rule = match item.rule {
            migver::Rule::Equal => "EQ",
            migver::Rule::AtMost => "LE",
            migver::Rule::AtLeast => "GE",
        };
        let name = Part::Text(item.name.to_owned());
        thing(
            version,
            "PARAM",
            [name, Part::Word(rule), Part::Number(item.value)],
        )
    })
}

/// Spells a trait.
pub fn spell(meaning: &Meaning) -> String {
    Names::default().spell(meaning)
}

fn spell_all(meanings: &[Meaning]) -> BTreeSet<String> {
    let mut names = Names::default();
    meanings
        .iter()
        .map(|meaning| names.spell(meaning))
        .collect()
}

/// Spells traits.
#[derive(Default)]
struct Names(Hashed);

impl Names {
    fn spell(&mut self, meaning: &Meaning) -> String {
        let mut name = "CUSTOM_MIGVER".to_owned();
        for part in meaning {
            name.push('_');
            match part {
                Part::Word(word) => name.push_str(word),
                Part::Number(number) => name.push_str(&number.to_string()),
                Part::Text(text) => match plain(text) {
                    Some(text) => name.push_str(&text),
                    None => name.push_str(&self.hashed(text)),
                },
                Part::Hashed(text) => name.push_str(&self.hashed(text)),
            }
        }
        name
    }

    fn hashed(&mut self, text: &str) -> String {
        format!("X{}", self.0.digits(text).to_ascii_uppercase())
    }
}

/// Spells a text so that it can be read back, or returns [`None`] if that does not go.
fn plain(text: &str) -> Option<String> {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_run = |run: &str| !run.is_empty() && run.bytes().all(lower);
    if !text.split(['-', '.', '_']).all(is_run) {
        return None;
    }
    let spelled: String = text
        .chars()
        .map(|character| match character {
            '-' => "__".to_owned(),
            '.' => "___".to_owned(),
            '_' => "____".to_owned(),
            other => other.to_ascii_uppercase().to_string(),
        })
        .collect();
    let is_digits =
        |rest: &str| rest.len() == DIGITS && rest.bytes().all(|b| b.is_ascii_hexdigit());
    let fits = spelled.len() <= MAX_PART && !spelled.strip_prefix('X').is_some_and(is_digits);
    fits.then_some(spelled)
}
