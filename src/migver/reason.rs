// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One reason why a source does not fit a destination: the field, both values, and whose fault it
//! is.

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

/// A side of a migration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Where the state comes from.
    Source,
    /// Where it is to go.
    Destination,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
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

impl Reason<'_> {
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
