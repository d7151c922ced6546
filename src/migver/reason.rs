// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One reason why a source does not fit a destination: the field, both values, and whose fault it
//! is. A person reads it as it is shown; a program takes it apart, and need not read text.

use super::{
    Abi,
    Class,
    Extension,
    Parameter, //
};

use core::fmt;

/// A field of a version string in which two versions differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field<'a> {
    /// `vendor=`
    Vendor,
    /// `model=`
    Model,
    /// `abi=`
    Abi,
    /// `stream=`
    Stream,
    /// A feature of `needs=` and `takes=`, by its name.
    Feature(&'a str),
    /// A `param.` element, by its name.
    Parameter(&'a str),
    /// An `ext.` element, by its name.
    Extension(&'a str),
}

impl<'a> Field<'a> {
    /// Returns the first word of the field as a string spells it: `"vendor"`, `"model"`, `"abi"`,
    /// `"stream"`, `"needs"`, `"param"` or `"ext"`.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Model => "model",
            Self::Abi => "abi",
            Self::Stream => "stream",
            Self::Feature(_) => "needs",
            Self::Parameter(_) => "param",
            Self::Extension(_) => "ext",
        }
    }

    /// Returns the name of the feature, the parameter or the extension, and [`None`] for a field that
    /// every string has once.
    pub const fn name(&self) -> Option<&'a str> {
        match self {
            Self::Vendor | Self::Model | Self::Abi | Self::Stream => None,
            Self::Feature(name) | Self::Parameter(name) | Self::Extension(name) => Some(name),
        }
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vendor => f.write_str("vendor"),
            Self::Model => f.write_str("model"),
            Self::Abi => f.write_str("abi"),
            Self::Stream => f.write_str("stream"),
            Self::Feature(name) => write!(f, "feature {name}"),
            Self::Parameter(name) => write!(f, "{}{name}", Parameter::PREFIX),
            Self::Extension(name) => write!(f, "{}{name}", Extension::PREFIX),
        }
    }
}

/// What one side has in a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    /// A vendor or a model.
    Name(&'a str),
    /// A guest-visible ABI.
    Abi(Abi),
    /// The stream version that a source writes.
    Writes(u32),
    /// The oldest and the newest stream version that a side loads.
    Loads(u32, u32),
    /// The feature is needed.
    Needed,
    /// The feature cannot be taken in.
    NotTaken,
    /// A creation parameter with its rule.
    Parameter(Parameter<'a>),
    /// An extension with its marking.
    Extension(Extension<'a>),
    /// The element is not there.
    Absent,
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Abi(abi) => abi.fmt(f),
            Self::Writes(version) => write!(f, "writes {version}"),
            Self::Loads(oldest, newest) => write!(f, "loads {oldest}-{newest}"),
            Self::Needed => f.write_str("needs it"),
            Self::NotTaken => f.write_str("does not take it"),
            Self::Parameter(parameter) => {
                write!(f, "{}:{}", parameter.rule.as_str(), parameter.value)
            }
            Self::Extension(extension) => {
                write!(f, "{}:{}", extension.marking.as_str(), extension.value)
            }
            Self::Absent => f.write_str("does not name it"),
        }
    }
}

/// A value as a string spells it: the `2` of `writes 2`, the `1-3` of `loads 1-3`.
///
/// See [`Reason::spelled`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Spelled<'a>(Value<'a>);

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::Writes(version) => version.fmt(f),
            Value::Loads(oldest, newest) => write!(f, "{oldest}-{newest}"),
            value => value.fmt(f),
        }
    }
}

/// A side of a migration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Where the state comes from.
    Source,
    /// Where it is to go.
    Destination,
}

impl Side {
    /// Both sides.
    pub const ALL: [Self; 2] = [Self::Source, Self::Destination];

    /// Returns a short name for programs: `"source"` or `"destination"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong between two values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// They must be the same: neither side is at fault more than the other.
    Different,
    /// One side has an older version than the other side asks for.
    TooOld(Side),
    /// One side has a smaller value than the other side asks for.
    TooSmall(Side),
    /// One side lacks what the other side has.
    Missing(Side),
    /// The destination has dropped stream versions that the source still loads. Within one ABI
    /// major a device never does, or what could go there through a third host could not go there
    /// directly.
    Dropped,
}

impl Fault {
    /// Returns a short name for programs: one word of lower-case letters and `-`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::TooOld(_) => "too-old",
            Self::TooSmall(_) => "too-small",
            Self::Missing(_) => "missing",
            Self::Dropped => "dropped",
        }
    }

    /// Returns the side that is too old or too small, or that lacks something, and [`None`] if
    /// neither is at fault more than the other.
    pub const fn side(self) -> Option<Side> {
        match self {
            Self::Different => None,
            Self::TooOld(side) | Self::TooSmall(side) | Self::Missing(side) => Some(side),
            Self::Dropped => Some(Side::Destination),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Different => f.write_str("they must be the same"),
            Self::TooOld(side) => write!(f, "the {side} is too old"),
            Self::TooSmall(side) => write!(f, "the {side} is too small"),
            Self::Missing(side) => write!(f, "the {side} lacks it"),
            Self::Dropped => f.write_str("the destination has dropped what the source loads"),
        }
    }
}

/// One reason for a refusal.
///
/// It is shown as `FIELD: source VALUE, destination VALUE: FAULT`.
///
/// # Examples
///
/// ```
/// use migver::{Class, Side, Version};
///
/// let old = Version::parse(b"migver:1,vendor=acme,model=nic,abi=1.0,stream=1:1-1")?;
/// let new = Version::parse(b"migver:1,vendor=acme,model=nic,abi=1.0,stream=2:1-2")?;
/// let verdict = migver::compare(&new, &old);
/// let reason = verdict.reasons().next().expect("a downgrade");
///
/// assert_eq!(reason.field.key(), "stream");
/// assert_eq!(reason.field.name(), None);
/// let spelled = |side| reason.spelled(side).map(|spelled| spelled.to_string());
/// assert_eq!(spelled(Side::Source), Some("2".to_string()));
/// assert_eq!(spelled(Side::Destination), Some("1-1".to_string()));
/// assert_eq!(reason.fault.name(), "too-old");
/// assert_eq!(reason.fault.side(), Some(Side::Destination));
/// assert_eq!(reason.class(), Class::Version);
/// # Ok::<(), migver::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reason<'a> {
    /// The field in which the two sides do not fit.
    pub field: Field<'a>,
    /// What the source has there.
    pub source: Value<'a>,
    /// What the destination has there.
    pub destination: Value<'a>,
    /// What is wrong, and at which side.
    pub fault: Fault,
}

impl<'a> Reason<'a> {
    /// Returns what `side` has in the field.
    pub const fn value(&self, side: Side) -> Value<'a> {
        match side {
            Side::Source => self.source,
            Side::Destination => self.destination,
        }
    }

    /// Returns what `side` has in the field as its string spells it, without the words that
    /// [`Value`] is shown with, and [`None`] if its string does not name it.
    ///
    /// A feature is spelled by its name.
    pub const fn spelled(&self, side: Side) -> Option<Spelled<'a>> {
        match (self.value(side), self.field) {
            (Value::Absent | Value::NotTaken, _) => None,
            (Value::Needed, Field::Feature(name)) => Some(Spelled(Value::Name(name))),
            (value, _) => Some(Spelled(value)),
        }
    }

    /// Returns the class of the reason, which follows from its field.
    pub const fn class(&self) -> Class {
        match self.field {
            Field::Vendor | Field::Model => Class::OtherDevice,
            Field::Abi | Field::Stream => Class::Version,
            Field::Feature(_) | Field::Extension(_) => Class::Feature,
            Field::Parameter(_) => Class::Parameter,
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: source {}, destination {}: {}",
            self.field, self.source, self.destination, self.fault
        )
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_reason)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::{
        shown::shows,
        Marking,
        Rule, //
    };
    use super::*;

    /// Whether `side` of a reason is spelled as `text`.
    fn spells(reason: &Reason<'_>, side: Side, text: Option<&str>) -> bool {
        match (reason.spelled(side), text) {
            (Some(spelled), Some(text)) => shows(&spelled, text),
            (None, None) => true,
            _ => false,
        }
    }

    #[test]
    fn a_value_is_spelled_as_the_string_spells_it() {
        let parameter = Parameter {
            name: "p",
            rule: Rule::AtMost,
            value: 4,
        };
        let extension = Extension {
            name: "e",
            marking: Marking::Required,
            value: "aes",
        };
        let values = [
            (Value::Name("acme"), Some("acme")),
            (Value::Abi(Abi { major: 1, minor: 2 }), Some("1.2")),
            (Value::Writes(2), Some("2")),
            (Value::Loads(1, 3), Some("1-3")),
            (Value::Needed, Some("x")),
            (Value::NotTaken, None),
            (Value::Parameter(parameter), Some("le:4")),
            (Value::Extension(extension), Some("must:aes")),
            (Value::Absent, None),
        ];
        for (source, text) in values {
            let reason = Reason {
                field: Field::Feature("x"),
                source,
                destination: Value::Absent,
                fault: Fault::Different,
            };
            assert!(spells(&reason, Side::Source, text));
            assert!(spells(&reason, Side::Destination, None));
        }
    }

    #[test]
    fn a_fault_tells_its_side() {
        for side in Side::ALL {
            for fault in [
                Fault::TooOld(side),
                Fault::TooSmall(side),
                Fault::Missing(side),
            ] {
                assert!(fault.side() == Some(side));
            }
        }
        assert!(Fault::Different.side().is_none());
        assert!(Fault::Dropped.side() == Some(Side::Destination));
    }
}
