// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whether the state of one device can be taken in by another.
//!
//! # The relation
//!
//! It is directional: the source is what exists, the destination is what would take it in.
//! It is reflexive by the invariants of [`Version`].
//!
//! It is transitive within one ABI major for a state that travels. What a state needs travels with
//! it: a device that has taken in a state *carries* it, and from then on its own string needs
//! at least the features, and writes at least the stream version, that arrived. If a source fits
//! a middle, and the middle, carrying that state, fits a destination, then the source fits the
//! destination: no device reaches a host by a detour that it could not reach directly.
//! The condition cannot be left out as long as a device may take features that it does not need: a
//! middle that takes `x` but needs nothing fits a destination that has never heard of `x`.

use super::{
    merge::{
        merge,
        missing,
        Merge,
        Merged,
        Missing, //
    },
    Class,
    Extension,
    Extensions,
    Fault,
    Field,
    Kind,
    Marking,
    Names,
    Parameter,
    Parameters,
    Reason,
    Rule,
    Side,
    Value,
    Version, //
};

use core::{
    cmp::Ordering,
    fmt, //
};

/// Weighs a source against a destination.
///
/// The source fits if and only if all of this holds:
///
/// - vendor and model are equal;
/// - the ABI major is equal, and the destination's minor is not lower;
/// - the destination loads the stream version that the source writes, and has not dropped any older
///   one that the source loads;
/// - the destination takes every feature that the source needs;
/// - both have the same creation parameters under the same rules, and each rule admits the
///   source's value;
/// - both have the same required extensions with the same values.
///
/// Nothing is done until the verdict is asked for its reasons.
pub fn compare<'a>(source: &Version<'a>, destination: &Version<'a>) -> Verdict<'a> {
    Verdict {
        source: *source,
        destination: *destination,
    }
}

/// What [`compare`] found.
///
/// It is shown as `compatible`, or as every [`Reason`] with `; ` between them.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    source: Version<'a>,
    destination: Version<'a>,
}

impl<'a> Verdict<'a> {
    /// Returns the version of the source.
    pub const fn source(&self) -> &Version<'a> {
        &self.source
    }

    /// Returns the version of the destination.
    pub const fn destination(&self) -> &Version<'a> {
        &self.destination
    }

    /// Whether the source fits the destination.
    pub fn is_compatible(&self) -> bool {
        self.reasons().next().is_none()
    }

    /// Returns the best kind of migration that is possible.
    pub fn kind(&self) -> Kind {
        if self.is_compatible() {
            Kind::Live
        } else {
            Kind::None
        }
    }

    /// Returns the class of the refusal: the first in the order of [`Class`] among the reasons, or
    /// [`None`] if the source fits.
    pub fn class(&self) -> Option<Class> {
        self.reasons().map(|reason| reason.class()).min()
    }

    /// Iterates over every reason against the source, in the order of the fields in a string.
    pub const fn reasons(&self) -> Reasons<'_, 'a> {
        Reasons {
            verdict: self,
            stage: Stage::Vendor,
        }
    }
}

/// An iterator over the reasons of a [`Verdict`].
pub struct Reasons<'v, 'a> {
    verdict: &'v Verdict<'a>,
    stage: Stage<'a>,
}

/// What is compared next. Only one of the walks over lists is there at a time, to be small on the
/// stack.
enum Stage<'a> {
    Vendor,
    Model,
    Abi,
    Stream,
    Features(Missing<'a, Names<'a>, Names<'a>>),
    Parameters(Merge<'a, Parameter<'a>, Parameters<'a>, Parameters<'a>>),
    Extensions(Merge<'a, Extension<'a>, Required<'a>, Required<'a>>),
}

impl<'a> Iterator for Reasons<'_, 'a> {
    type Item = Reason<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let Verdict {
            source,
            destination,
        } = self.verdict;
        loop {
            let reason = match &mut self.stage {
                Stage::Vendor => {
                    self.stage = Stage::Model;
                    name(Field::Vendor, source.vendor, destination.vendor)
                }
                Stage::Model => {
                    self.stage = Stage::Abi;
                    name(Field::Model, source.model, destination.model)
                }
                Stage::Abi => {
                    self.stage = Stage::Stream;
                    abi(source, destination)
                }
                Stage::Stream => {
                    self.stage = Stage::Features(missing(source.needs(), destination.takes()));
                    stream(source, destination)
                }
                Stage::Features(names) => match names.next() {
                    Some(name) => Some(feature(name)),
                    None => {
                        let (theirs, ours) = (source.parameters(), destination.parameters());
                        self.stage = Stage::Parameters(merge(theirs, ours, |item| item.name));
                        None
                    }
                },
                Stage::Parameters(items) => match items.next() {
                    Some(item) => parameter(item),
                    None => {
                        let (theirs, ours) = (Required::of(source), Required::of(destination));
                        self.stage = Stage::Extensions(merge(theirs, ours, |item| item.name));
                        None
                    }
                },
                Stage::Extensions(items) => extension(items.next()?),
            };
            if reason.is_some() {
                return reason;
            }
        }
    }
}

/// An iterator over the extensions that are marked required.
struct Required<'a>(Extensions<'a>);

impl<'a> Required<'a> {
    fn of(version: &Version<'a>) -> Self {
        Self(version.extensions())
    }
}

impl<'a> Iterator for Required<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0
            .find(|extension| extension.marking == Marking::Required)
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons = self.reasons();
        let Some(first) = reasons.next() else {
            return f.write_str("compatible");
        };
        first.fmt(f)?;
        reasons.try_for_each(|reason| write!(f, "; {reason}"))
    }
}

fn name<'a>(field: Field<'a>, source: &'a str, destination: &'a str) -> Option<Reason<'a>> {
    (source != destination).then_some(Reason {
        field,
        source: Value::Name(source),
        destination: Value::Name(destination),
        fault: Fault::Different,
    })
}

fn abi<'a>(source: &Version<'a>, destination: &Version<'a>) -> Option<Reason<'a>> {
    let (theirs, ours) = (source.abi, destination.abi);
    let order = match theirs.major.cmp(&ours.major) {
        // A destination with a higher minor only adds to what the guest knows.
        Ordering::Equal if theirs.minor <= ours.minor => return None,
        Ordering::Equal => Ordering::Greater,
        order => order,
    };
    let older = match order {
        Ordering::Less => Side::Source,
        _ => Side::Destination,
    };
    Some(Reason {
        field: Field::Abi,
        source: Value::Abi(theirs),
        destination: Value::Abi(ours),
        fault: Fault::TooOld(older),
    })
}

fn stream<'a>(source: &Version<'a>, destination: &Version<'a>) -> Option<Reason<'a>> {
    let (theirs, ours) = (source.stream, destination.stream);
    let (value, fault) = if theirs.writes > ours.newest {
        (
            Value::Writes(theirs.writes),
            Fault::TooOld(Side::Destination),
        )
    } else if theirs.writes < ours.oldest {
        (Value::Writes(theirs.writes), Fault::TooOld(Side::Source))
    } else if theirs.oldest < ours.oldest {
        (Value::Loads(theirs.oldest, theirs.newest), Fault::Dropped)
    } else {
        return None;
    };
    Some(Reason {
        field: Field::Stream,
        source: value,
        destination: Value::Loads(ours.oldest, ours.newest),
        fault,
    })
}

fn feature(name: &str) -> Reason<'_> {
    Reason {
        field: Field::Feature(name),
        source: Value::Needed,
        destination: Value::NotTaken,
        fault: Fault::Missing(Side::Destination),
    }
}

fn parameter(item: Merged<Parameter<'_>>) -> Option<Reason<'_>> {
    let (name, source, destination, fault) = match item {
        Merged::Left(source) => (
            source.name,
            Value::Parameter(source),
            Value::Absent,
            Fault::Missing(Side::Destination),
        ),
        Merged::Right(destination) => (
            destination.name,
            Value::Absent,
            Value::Parameter(destination),
            Fault::Missing(Side::Source),
        ),
        Merged::Both(source, destination) => {
            let fault = if source.rule != destination.rule {
                Fault::Different
            } else if source.rule.admits(source.value, destination.value) {
                return None;
            } else if source.rule == Rule::Equal {
                Fault::Different
            } else if source.value < destination.value {
                Fault::TooSmall(Side::Source)
            } else {
                Fault::TooSmall(Side::Destination)
            };
            (
                source.name,
                Value::Parameter(source),
                Value::Parameter(destination),
                fault,
            )
        }
    };
    Some(Reason {
        field: Field::Parameter(name),
        source,
        destination,
        fault,
    })
}

/// Schema 1 knows the meaning of no extension. Two that are alike fit whatever they mean, so that a
/// device still fits itself.
fn extension(item: Merged<Extension<'_>>) -> Option<Reason<'_>> {
    let (name, source, destination, fault) = match item {
        Merged::Left(source) => (
            source.name,
            Value::Extension(source),
            Value::Absent,
            Fault::Missing(Side::Destination),
        ),
        Merged::Right(destination) => (
            destination.name,
            Value::Absent,
            Value::Extension(destination),
            Fault::Missing(Side::Source),
        ),
        Merged::Both(source, destination) if source.value == destination.value => return None,
        Merged::Both(source, destination) => (
            source.name,
            Value::Extension(source),
            Value::Extension(destination),
            Fault::Different,
        ),
    };
    Some(Reason {
        field: Field::Extension(name),
        source,
        destination,
        fault,
    })
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_compare)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::shown::shows;
    use super::*;

    /// Whether comparing two strings gives `class` and is shown as `text`.
    fn gives(source: &str, destination: &str, class: Option<Class>, text: &str) -> bool {
        let source = Version::parse(source.as_bytes());
        let destination = Version::parse(destination.as_bytes());
        match (source, destination) {
            (Ok(source), Ok(destination)) => {
                let verdict = compare(&source, &destination);
                verdict.class() == class
                    && verdict.is_compatible() == class.is_none()
                    && (verdict.kind() == Kind::Live) == class.is_none()
                    && shows(&verdict, text)
            }
            _ => false,
        }
    }

    #[test]
    fn a_device_fits_itself() {
        for text in [
            "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1",
            "migver:1,vendor=v,model=m,abi=1.0,stream=2:1-3,needs=a,takes=a+b,\
             param.a=eq:1,param.b=le:2,param.c=ge:3,ext.x=must:1,ext.y=may:1",
        ] {
            assert!(gives(text, text, None, "compatible"));
        }
    }

    #[test]
    fn upgrades_pass_and_downgrades_do_not() {
        let old = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1";
        let new = "migver:1,vendor=v,model=m,abi=1.1,stream=2:1-2,needs=x,takes=x";
        let held = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-2,takes=x";
        assert!(gives(old, new, None, "compatible"));
        assert!(gives(held, old, None, "compatible"));
        assert!(gives(
            new,
            old,
            Some(Class::Version),
            "abi: source 1.1, destination 1.0: the destination is too old; \
             stream: source writes 2, destination loads 1-1: the destination is too old; \
             feature x: source needs it, destination does not take it: the destination lacks it"
        ));
    }

    #[test]
    fn names_the_older_abi() {
        let one = "migver:1,vendor=v,model=m,abi=1.9,stream=1:1-1";
        let two = "migver:1,vendor=v,model=m,abi=2.0,stream=1:1-1";
        assert!(gives(
            one,
            two,
            Some(Class::Version),
            "abi: source 1.9, destination 2.0: the source is too old"
        ));
        assert!(gives(
            two,
            one,
            Some(Class::Version),
            "abi: source 2.0, destination 1.9: the destination is too old"
        ));
    }

    #[test]
    fn a_stream_version_is_not_dropped_within_an_abi_major() {
        assert!(gives(
            "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1",
            "migver:1,vendor=v,model=m,abi=1.0,stream=3:2-3",
            Some(Class::Version),
            "stream: source writes 1, destination loads 2-3: the source is too old"
        ));
        assert!(gives(
            "migver:1,vendor=v,model=m,abi=1.0,stream=2:1-2",
            "migver:1,vendor=v,model=m,abi=1.0,stream=3:2-3",
            Some(Class::Version),
            "stream: source loads 1-2, destination loads 2-3: \
             the destination has dropped what the source loads"
        ));
    }

    #[test]
    fn another_vendor_goes_before_every_other_reason() {
        assert!(gives(
            "migver:1,vendor=v,model=m,abi=1.1,stream=1:1-1,param.p=eq:1",
            "migver:1,vendor=w,model=n,abi=1.0,stream=1:1-1",
            Some(Class::OtherDevice),
            "vendor: source v, destination w: they must be the same; \
             model: source m, destination n: they must be the same; \
             abi: source 1.1, destination 1.0: the destination is too old; \
             param.p: source eq:1, destination does not name it: the destination lacks it"
        ));
    }

    #[test]
    fn parameters_fit_by_their_rule() {
        let version = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1,param.p=eq:1";
        let two = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1,param.p=eq:2";
        let at_most = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1,param.p=le:1";
        let at_least = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1,param.p=ge:1";
        let more_at_least = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1,param.p=ge:2";
        let more = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1,param.p=le:2";
        let none = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1";
        assert!(gives(at_most, more, None, "compatible"));
        assert!(gives(
            more,
            at_most,
            Some(Class::Parameter),
            "param.p: source le:2, destination le:1: the destination is too small"
        ));
        assert!(gives(more_at_least, at_least, None, "compatible"));
        assert!(gives(
            at_least,
            more_at_least,
            Some(Class::Parameter),
            "param.p: source ge:1, destination ge:2: the source is too small"
        ));
        assert!(gives(
            version,
            two,
            Some(Class::Parameter),
            "param.p: source eq:1, destination eq:2: they must be the same"
        ));
        assert!(gives(
            two,
            version,
            Some(Class::Parameter),
            "param.p: source eq:2, destination eq:1: they must be the same"
        ));
        assert!(gives(
            version,
            at_most,
            Some(Class::Parameter),
            "param.p: source eq:1, destination le:1: they must be the same"
        ));
        assert!(gives(
            none,
            version,
            Some(Class::Parameter),
            "param.p: source does not name it, destination eq:1: the source lacks it"
        ));
    }

    #[test]
    fn required_extensions_are_alike_and_optional_ones_do_not_matter() {
        let none = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1";
        let one = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1,ext.x=must:1";
        let two = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1,ext.x=must:2";
        let may = "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1,ext.x=may:1";
        assert!(gives(none, may, None, "compatible"));
        assert!(gives(may, none, None, "compatible"));
        assert!(gives(
            one,
            two,
            Some(Class::Feature),
            "ext.x: source must:1, destination must:2: they must be the same"
        ));
        assert!(gives(
            one,
            may,
            Some(Class::Feature),
            "ext.x: source must:1, destination does not name it: the destination lacks it"
        ));
        assert!(gives(
            none,
            one,
            Some(Class::Feature),
            "ext.x: source does not name it, destination must:1: the source lacks it"
        ));
    }
}
