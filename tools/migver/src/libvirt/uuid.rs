// SPDX-License-Identifier: GPL-2.0-only

//! UUIDs of devices and domains, in the one spelling that sysfs and libvirt write.

use crate::operand::is_uuid;

use serde::{
    Deserialize,
    Serialize, //
};

use std::{
    fmt,
    str::FromStr, //
};

/// A UUID in its canonical form of RFC 9562: 36 characters, hexadecimal digits in lower case.
///
/// It is safe in a path: it has no `/` and is not `.` or `..`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct Uuid(String);

impl Uuid {
    /// Returns the text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotAUuid;

impl fmt::Display for NotAUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a UUID of 36 characters, such as 206bb5c2-2bc3-4986-8d12-144a875d2567")
    }
}

impl std::error::Error for NotAUuid {}

impl From<Uuid> for String {
    fn from(uuid: Uuid) -> Self {
        uuid.0
    }
}

impl TryFrom<String> for Uuid {
    type Error = NotAUuid;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Uuid {
    type Err = NotAUuid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_uuid(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NotAUuid)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_spelling() {
        let lower: Uuid = "206bb5c2-2bc3-4986-8d12-144a875d2567".parse().unwrap();
        let upper: Uuid = "206BB5C2-2BC3-4986-8D12-144A875D2567".parse().unwrap();
        assert_eq!(lower, upper);
        assert_eq!(upper.as_str(), "206bb5c2-2bc3-4986-8d12-144a875d2567");
    }

    #[test]
    fn refuses_what_could_name_another_file() {
        for text in [
            "",
            "..",
            "/",
            "206bb5c22bc349868d12144a875d2567",
            "{206bb5c2-2bc3-4986-8d12-144a875d2567}",
            "206bb5c2-2bc3-4986-8d12-144a875d256/",
            "206bb5c2-2bc3-4986-8d12-144a875d2567\n",
            "206bb5c2-2bc3-4986-8d12-144a875d25-7",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(NotAUuid), "{text}");
        }
    }
}
