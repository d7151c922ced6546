// SPDX-License-Identifier: GPL-2.0-only

//! Who can take a device in, best first.
//!
//! # The order
//!
//! Among the candidates whose string accepts the source's, the first of these that differs decides:
//!
//! 1. the type has the name of the source's type, if that is known: an operator who named two types alike meant them
//!    to be exchanged;
//! 2. the strings are equal: nothing about the device changes;
//! 3. the device could come back: the source's string accepts the candidate's;
//! 4. the nearest ABI minor: the least that is added to what the guest sees;
//! 5. the nearest stream version that is written;
//! 6. the least left over: the smallest sum of differences between creation parameters, then the fewest features that
//!    are taken and that the source does not take;
//! 7. a type before a device: a device that is created is free, while an inventory does not tell who uses one that
//!    exists;
//! 8. the type of which more devices can be created;
//! 9. the names of the host, the parent and the type, and the UUID, so that the same inventories give the same order.

use super::{
    Candidate,
    Refused,
    What,
    Why, //
};

use migver::{
    compare,
    Side,
    Version, //
};

use std::cmp::Reverse;

/// A candidate that can take the device in.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// The candidate.
    pub candidate: Candidate<'a>,
    /// What its string says.
    pub version: Version<'a>,
    nearness: Nearness,
}

impl Match<'_> {
    /// Whether its type has the name of the source's.
    pub const fn is_same_type(&self) -> bool {
        !self.nearness.other_type
    }

    /// Whether its string is that of the source.
    pub const fn is_equal(&self) -> bool {
        !self.nearness.differs
    }

    /// Whether what it says of itself could go back to where the source is.
    pub const fn could_return(&self) -> bool {
        !self.nearness.one_way
    }
}

/// How near a candidate is to the source. Less is nearer; the fields are in order of precedence.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Nearness {
    other_type: bool,
    differs: bool,
    one_way: bool,
    abi_minors: u32,
    stream_versions: u32,
    parameters_over: u64,
    features_over: usize,
    is_device: bool,
    available: Reverse<u64>,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// What the source says of itself.
    pub source: Version<'a>,
    /// The identifier of the source's type, if it is known.
    pub type_name: Option<&'a str>,
    /// The UUID of the source, if it is known: a device does not migrate to itself.
    pub uuid: Option<&'a str>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found<'a> {
    /// Who can take the device in, best first.
    pub matches: Vec<Match<'a>>,
    /// Who cannot, in the order in which they were looked at.
    pub refused: Vec<Refused<'a>>,
}

/// Puts the candidates that can take a device in into the [order](self) of how near they are, best first.
///
/// Types of which no device can be created are not among them. The order of `candidates` has no influence.
pub fn rank<'a>(
    source: &Version<'a>,
    candidates: impl IntoIterator<Item = Candidate<'a>>,
) -> Vec<Match<'a>> {
    let search = Search::new(source);
    let matches = candidates
        .into_iter()
        .filter_map(|candidate| search.weigh(candidate).transpose()?.ok());
    sorted(matches.collect())
}

impl<'a> Search<'a> {
    /// A search for a device of which only the string is known.
    pub const fn new(source: &Version<'a>) -> Self {
        Self {
            source: *source,
            type_name: None,
            uuid: None,
        }
    }

    /// Weighs the source against every candidate.
    pub fn run(&self, candidates: impl IntoIterator<Item = Candidate<'a>>) -> Found<'a> {
        let mut found = Found::default();
        for candidate in candidates {
            match self.weigh(candidate) {
                Ok(Some(item)) => found.matches.push(item),
                Ok(None) => {}
                Err(why) => found.refused.push(Refused { candidate, why }),
            }
        }
        found.matches = sorted(found.matches);
        found
    }

    /// Weighs the source against one candidate. [`None`] is the source itself.
    ///
    /// # Errors
    ///
    /// Says why the candidate cannot take the device in.
    #[expect(
        clippy::result_large_err,
        reason = "it is moved once, into the list that it is shown from"
    )]
    fn weigh(&self, candidate: Candidate<'a>) -> Result<Option<Match<'a>>, Why<'a>> {
        if let (Some(mine), Some(theirs)) = (self.uuid, candidate.uuid()) {
            if mine.eq_ignore_ascii_case(theirs) {
                return Ok(None);
            }
        }
        let version = Version::parse(candidate.string.as_bytes())
            .map_err(|error| Why::Unreadable(Side::Destination, error))?;
        let verdict = compare(&self.source, &version);
        if !verdict.is_compatible() {
            return Err(Why::Incompatible(verdict));
        }
        if candidate.available() == Some(0) {
            return Err(Why::Full);
        }
        Ok(Some(Match {
            candidate,
            version,
            nearness: self.nearness(&candidate, &version),
        }))
    }

    fn nearness(&self, candidate: &Candidate<'a>, version: &Version<'a>) -> Nearness {
        let source = &self.source;
        let differs = source != version;
        Nearness {
            other_type: self
                .type_name
                .is_none_or(|name| name != candidate.type_name),
            differs,
            one_way: differs && !compare(version, source).is_compatible(),
            abi_minors: version.abi().minor.abs_diff(source.abi().minor),
            stream_versions: version.stream().writes.abs_diff(source.stream().writes),
            // Both have the same parameters in the same order, or they would not fit.
            parameters_over: source
                .parameters()
                .zip(version.parameters())
                .map(|(mine, theirs)| theirs.value.abs_diff(mine.value))
                .fold(0, u64::saturating_add),
            features_over: version
                .takes()
                .filter(|name| !source.takes().any(|mine| mine == *name))
                .count(),
            is_device: matches!(candidate.what, What::Device { .. }),
            available: Reverse(candidate.available().unwrap_or(0)),
        }
    }
}

fn sorted(mut matches: Vec<Match<'_>>) -> Vec<Match<'_>> {
    matches.sort_unstable_by(|a, b| {
        a.nearness
            .cmp(&b.nearness)
            .then_with(|| names(&a.candidate).cmp(&names(&b.candidate)))
    });
    matches
}

/// What tells one candidate from every other.
fn names<'a>(candidate: &Candidate<'a>) -> (&'a str, &'a str, &'a str, Option<&'a str>) {
    (
        candidate.host,
        candidate.parent,
        candidate.type_name,
        candidate.uuid(),
    )
}
