// SPDX-License-Identifier: GPL-2.0-only

//! Which hosts and types are meant: `HOST` or `HOST/TYPE`, with the wildcards `*` and `?`.

use super::Candidate;

use std::{
    convert::Infallible,
    str::FromStr, //
};

/// A pattern of hosts, and of types or devices on them.
///
/// `*` stands for any characters, `?` for one. Without a `/`, everything on the host is meant. After it stands the
/// identifier of a type, which means the type and its devices, or the UUID of a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    host: String,
    item: Option<String>,
}

impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (host, item) = match text.split_once('/') {
            Some((host, item)) => (host, Some(item.to_owned())),
            None => (text, None),
        };
        Ok(Self {
            host: host.to_owned(),
            item,
        })
    }
}

impl Pattern {
    /// Whether a candidate is meant.
    pub fn holds(&self, candidate: &Candidate<'_>) -> bool {
        let names = [Some(candidate.type_name), candidate.uuid()];
        matches(&self.host, candidate.host)
            && self
                .item
                .as_ref()
                .is_none_or(|item| names.into_iter().flatten().any(|name| matches(item, name)))
    }
}

/// Whether `text` is of the form of `pattern`. It takes time linear in the product of the lengths at most.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where the last `*` stands and the text that it would take in next.
    let mut retry = None;
    loop {
        let rest = text.clone();
        match (pattern.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((pattern.clone(), rest.clone()));
                text = rest;
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((after, mut from)) = retry.take() else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                pattern = after.clone();
                text = from.clone();
                retry = Some((after, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;

    #[test]
    fn wildcards_stand_for_what_they_stand_for_in_a_shell() {
        for (pattern, text, holds) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "node7", true),
            ("node?", "node7", true),
            ("node?", "node", false),
            ("node?", "node17", false),
            ("n*7", "node17", true),
            ("n*7", "node71", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("**", "x", true),
            ("a*a", "a", false),
            ("ä?", "äö", true),
        ] {
            assert_eq!(matches(pattern, text), holds, "{pattern} {text}");
        }
    }

    #[test]
    fn a_type_means_its_devices_too() {
        let device = Candidate {
            host: "node7",
            parent: "migdev",
            type_name: "migdev-serial2",
            what: What::Device { uuid: "83b8" },
            string: "",
        };
        let holds = |text: &str| text.parse::<Pattern>().unwrap().holds(&device);
        assert!(holds("node7"));
        assert!(holds("*"));
        assert!(holds("node7/*serial2"));
        assert!(holds("*/83b8"));
        assert!(!holds("node7/migdev-serial1"));
        assert!(!holds("node8/*"));
        assert!(!holds("node7/"));
    }
}
