// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Why a text is not a version string, and why a description cannot be written as one.

use super::{
    Class,
    MAX_LEN,
    MAX_NAME_LEN,
    SCHEMA, //
};

use core::fmt;

/// What would have been right in the place of an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// A byte that may stand in a string.
    Text,
    /// This text.
    Literal(&'static str),
    /// A decimal number without leading zeros, at most `u32::MAX`.
    Number32,
    /// A decimal number without leading zeros, at most `u64::MAX`.
    Number64,
    /// A name.
    Name,
    /// A name that sorts after the one before it.
    Ascending,
    /// A rule of a creation parameter.
    Rule,
    /// The marking of an extension.
    Marking,
    /// The value of an extension.
    Value,
    /// A range of stream versions that holds the one written.
    Range,
    /// A feature that is also among those that can be taken.
    Taken,
    /// The end of the string, or a field that may follow.
    End,
    /// Something after the schema number.
    Body,
    /// A string of at most [`MAX_LEN`] bytes.
    Length,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("one of A-Z a-z 0-9 . _ : , + = -"),
            Self::Literal(text) => write!(f, "'{text}'"),
            Self::Number32 => write!(f, "a number from 0 to {} without leading zeros", u32::MAX),
            Self::Number64 => write!(f, "a number from 0 to {} without leading zeros", u64::MAX),
            Self::Name => write!(
                f,
                "a name of at most {MAX_NAME_LEN} of a-z 0-9, with single . _ - between them"
            ),
            Self::Ascending => f.write_str("a name that sorts after the one before it"),
            Self::Rule => f.write_str("'eq:', 'le:' or 'ge:'"),
            Self::Marking => f.write_str("'must:' or 'may:'"),
            Self::Value => write!(f, "a value of 1 to {MAX_NAME_LEN} of A-Z a-z 0-9 . _ : + -"),
            Self::Range => f.write_str("a range OLDEST-NEWEST that holds the version written"),
            Self::Taken => f.write_str("a feature that takes= names too"),
            Self::End => f.write_str(
                "the end, or one of ',needs=' ',takes=' ',param.' ',ext.' in this order",
            ),
            Self::Body => f.write_str("',' and fields"),
            Self::Length => write!(f, "at most {MAX_LEN} bytes in all"),
        }
    }
}

/// Why a text is not a version string that this code accepts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ParseError {
    /// The text is longer than [`MAX_LEN`] bytes.
    TooLong {
        /// Its length in bytes, without a trailing newline.
        length: usize,
    },
    /// The text is not well-formed.
    Malformed {
        /// The length of the text in bytes, without a trailing newline.
        length: usize,
        /// The offset in bytes of the first error.
        at: usize,
        /// What would have been right there.
        expected: Expected,
        /// The byte that stands there, or [`None`] at the end of the text.
        found: Option<u8>,
    },
    /// The text is a version string of another schema.
    Schema {
        /// Its schema number.
        schema: u32,
    },
}

impl ParseError {
    /// Returns the class of the error.
    pub const fn class(&self) -> Class {
        match self {
            Self::TooLong { .. } => Class::TooLong,
            Self::Malformed { .. } => Class::Malformed,
            Self::Schema { .. } => Class::Version,
        }
    }
}

impl fmt::Display for ParseError {
    /// Shows the error in one line of printable ASCII. Nothing of the text is repeated but the
    /// number of one byte.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLong { length } => {
                write!(
                    f,
                    "too long: {length} bytes, at most {MAX_LEN} are accepted"
                )
            }
            Self::Malformed {
                length,
                at,
                expected,
                found,
            } => {
                write!(
                    f,
                    "malformed at byte {at} of {length}: expected {expected}, found "
                )?;
                match found {
                    Some(byte) => write!(f, "{byte:#04x}"),
                    None => f.write_str("the end"),
                }
            }
            Self::Schema { schema } => {
                let side = if schema < SCHEMA {
                    "source"
                } else {
                    "destination"
                };
                write!(
                    f,
                    "schema: source {schema}, destination {SCHEMA}: the {side} is too old"
                )
            }
        }
    }
}

impl core::error::Error for ParseError {}

/// Why a description cannot be written as a version string.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Invalid {
    /// The field that is wrong, as the string would spell it.
    pub field: &'static str,
    /// What would have been right there.
    pub expected: Expected,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.field, self.expected)
    }
}

impl core::error::Error for Invalid {}
