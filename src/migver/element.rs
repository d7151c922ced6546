// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The parts of a version string that are more than a name.

use super::text;

use core::fmt;

/// The guest-visible ABI: what a guest's driver can see of the device.
///
/// Within a major, a higher minor only adds: a guest that runs on `1.0` runs on `1.1` unchanged.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Abi {
    /// Raised when a guest could notice that something it used is gone or different.
    pub major: u32,
    /// Raised when something is added.
    pub minor: u32,
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The versions of the migration stream that a device writes and loads.
///
/// In a [`Version`](super::Version), `oldest <= writes <= newest`: a device loads what it writes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Stream {
    /// The version of the stream that the device writes.
    pub writes: u32,
    /// The oldest version that it loads.
    pub oldest: u32,
    /// The newest version that it loads.
    pub newest: u32,
}

impl Stream {
    /// Whether a device that writes this loads it too.
    pub(super) const fn is_valid(&self) -> bool {
        self.oldest <= self.writes && self.writes <= self.newest
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}-{}", self.writes, self.oldest, self.newest)
    }
}

/// How the value of a creation parameter at the source must stand to the one at the destination.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rule {
    /// `eq`: both values are equal.
    Equal,
    /// `le`: the source's value is at most the destination's.
    AtMost,
    /// `ge`: the source's value is at least the destination's.
    AtLeast,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 3] = [Self::Equal, Self::AtMost, Self::AtLeast];

    /// Returns the rule as a string spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::AtMost => "le",
            Self::AtLeast => "ge",
        }
    }

    /// Whether a source with the value `source` fits a destination with the value `destination`.
    pub const fn admits(self, source: u64, destination: u64) -> bool {
        match self {
            Self::Equal => source == destination,
            Self::AtMost => source <= destination,
            Self::AtLeast => source >= destination,
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text)
    }
}

/// A creation parameter: a choice made when the device was created, that the guest can see.
///
/// `param.ports=eq:2`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Parameter<'a> {
    /// The parameter's name, without `param.`.
    pub name: &'a str,
    /// How a source's value must stand to a destination's.
    pub rule: Rule,
    /// The value. Its unit belongs to the name.
    pub value: u64,
}

impl<'a> Parameter<'a> {
    pub(super) const PREFIX: &'static str = "param.";

    /// Reads back an element that was accepted before.
    pub(super) fn from_element(element: &'a str) -> Option<Self> {
        let (name, rest) = element
            .strip_prefix(Self::PREFIX)
            .and_then(|rest| text::split_once(rest, b'='))?;
        let (rule, value) = text::split_once(rest, b':')?;
        Some(Self {
            name,
            rule: Rule::from_text(rule)?,
            value: text::number(value)?,
        })
    }
}

impl fmt::Display for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule.as_str();
        write!(f, "{}{}={rule}:{}", Self::PREFIX, self.name, self.value)
    }
}

/// What a reader does with an extension that it does not know.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Marking {
    /// `must`: the extension bears on compatibility. Both sides carry it alike, or the reader
    /// refuses.
    Required,
    /// `may`: the extension informs. The reader passes over it.
    Optional,
}

impl Marking {
    /// Both markings.
    pub const ALL: [Self; 2] = [Self::Required, Self::Optional];

    /// Returns the marking as a string spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "must",
            Self::Optional => "may",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| mark.as_str() == text)
    }
}

/// An element that the schema does not define, for what a later time needs to say.
///
/// `ext.firmware=may:7.2-rc1`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Extension<'a> {
    /// The extension's name, without `ext.`.
    pub name: &'a str,
    /// Whether a reader that does not know it may pass over it.
    pub marking: Marking,
    /// 1 to [`MAX_NAME_LEN`](super::MAX_NAME_LEN) letters, digits and `.` `_` `:` `+` `-`.
    pub value: &'a str,
}

impl<'a> Extension<'a> {
    pub(super) const PREFIX: &'static str = "ext.";

    /// Reads back an element that was accepted before.
    pub(super) fn from_element(element: &'a str) -> Option<Self> {
        let (name, rest) = element
            .strip_prefix(Self::PREFIX)
            .and_then(|rest| text::split_once(rest, b'='))?;
        let (marking, value) = text::split_once(rest, b':')?;
        Some(Self {
            name,
            marking: Marking::from_text(marking)?,
            value,
        })
    }
}

impl fmt::Display for Extension<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marking = self.marking.as_str();
        write!(f, "{}{}={marking}:{}", Self::PREFIX, self.name, self.value)
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_element)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::shown::shows;
    use super::*;

    #[test]
    fn rules_compare_the_source_to_the_destination() {
        assert!(Rule::Equal.admits(2, 2));
        assert!(!Rule::Equal.admits(1, 2));
        assert!(!Rule::Equal.admits(2, 1));
        assert!(Rule::AtMost.admits(2, 2));
        assert!(Rule::AtMost.admits(1, 2));
        assert!(!Rule::AtMost.admits(2, 1));
        assert!(Rule::AtLeast.admits(2, 2));
        assert!(!Rule::AtLeast.admits(1, 2));
        assert!(Rule::AtLeast.admits(2, 1));
    }

    #[test]
    fn elements_read_back_as_they_are_shown() {
        let parameter = Parameter {
            name: "memory-mib",
            rule: Rule::AtMost,
            value: u64::MAX,
        };
        let text = "param.memory-mib=le:18446744073709551615";
        assert!(shows(&parameter, text));
        assert!(Parameter::from_element(text) == Some(parameter));

        let extension = Extension {
            name: "x",
            marking: Marking::Required,
            value: "A:b+c-1._",
        };
        let text = "ext.x=must:A:b+c-1._";
        assert!(shows(&extension, text));
        assert!(Extension::from_element(text) == Some(extension));
    }
}
