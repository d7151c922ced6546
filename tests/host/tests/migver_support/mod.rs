// SPDX-License-Identifier: GPL-2.0-only

//! A second opinion on version strings: the rules of the document, written as plainly as possible
//! with owned collections, for the tests to hold the real code against.

use std::collections::{
    BTreeMap,
    BTreeSet, //
};

use migver::{
    Marking,
    Rule,
    Side,
    Version, //
};

/// A version with everything in collections of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    pub vendor: String,
    pub model: String,
    pub abi: (u32, u32),
    /// Writes, oldest, newest.
    pub stream: (u32, u32, u32),
    pub needs: BTreeSet<String>,
    pub takes: BTreeSet<String>,
    pub parameters: BTreeMap<String, (Rule, u64)>,
    pub extensions: BTreeMap<String, (Marking, String)>,
}

impl Plain {
    pub fn simple() -> Self {
        Self {
            vendor: "migdev".into(),
            model: "serial".into(),
            abi: (1, 0),
            stream: (1, 1, 1),
            needs: BTreeSet::new(),
            takes: BTreeSet::new(),
            parameters: BTreeMap::new(),
            extensions: BTreeMap::new(),
        }
    }

    /// The string, put together from whole parts.
    pub fn text(&self) -> String {
        let mut parts = vec![
            "migver:1".to_string(),
            format!("vendor={}", self.vendor),
            format!("model={}", self.model),
            format!("abi={}.{}", self.abi.0, self.abi.1),
            format!(
                "stream={}:{}-{}",
                self.stream.0, self.stream.1, self.stream.2
            ),
        ];
        for (field, names) in [("needs", &self.needs), ("takes", &self.takes)] {
            if !names.is_empty() {
                let names: Vec<_> = names.iter().cloned().collect();
                parts.push(format!("{field}={}", names.join("+")));
            }
        }
        for (name, (rule, value)) in &self.parameters {
            let rule = spelling(*rule);
            parts.push(format!("param.{name}={rule}:{value}"));
        }
        for (name, (marking, value)) in &self.extensions {
            let marking = match marking {
                Marking::Required => "must",
                Marking::Optional => "may",
            };
            parts.push(format!("ext.{name}={marking}:{value}"));
        }
        parts.join(",")
    }

    /// What this device is once it has taken in the state of `source`.
    pub fn carrying(&self, source: &Self) -> Self {
        let mut carrying = self.clone();
        carrying.needs.extend(source.needs.iter().cloned());
        carrying.stream.0 = carrying.stream.0.max(source.stream.0);
        carrying
    }
}

/// A rule as the document spells it.
fn spelling(rule: Rule) -> &'static str {
    match rule {
        Rule::Equal => "eq",
        Rule::AtMost => "le",
        Rule::AtLeast => "ge",
    }
}

/// A reason against a source, in the words of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// Such as `vendor`, `feature NAME`, `param.NAME`.
    pub field: String,
    pub errno: i32,
    /// What each side's string has there, if anything.
    pub source: Option<String>,
    pub destination: Option<String>,
    pub fault: &'static str,
    /// Whose fault it is, if it is the one's more than the other's.
    pub side: Option<&'static str>,
}

/// Every reason against `source`, by the rules of the document.
pub fn reasons(source: &Plain, destination: &Plain) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut refuse = |field: String, errno, values: [Option<String>; 2], fault, side| {
        let [source, destination] = values;
        reasons.push(Reason {
            field,
            errno,
            source,
            destination,
            fault,
            side,
        });
    };
    let (ours, theirs) = (Some("destination"), Some("source"));

    for (field, values) in [
        ("vendor", [&source.vendor, &destination.vendor]),
        ("model", [&source.model, &destination.model]),
    ] {
        if values[0] != values[1] {
            let values = values.map(|value| Some(value.clone()));
            refuse(field.into(), 18, values, "different", None);
        }
    }
    let values =
        [source.abi, destination.abi].map(|(major, minor)| Some(format!("{major}.{minor}")));
    if source.abi.0 < destination.abi.0 {
        refuse("abi".into(), 71, values, "too-old", theirs);
    } else if source.abi > destination.abi {
        refuse("abi".into(), 71, values, "too-old", ours);
    }
    let (writes, oldest, newest) = source.stream;
    let loads = destination.stream.1..=destination.stream.2;
    let range = |oldest, newest| Some(format!("{oldest}-{newest}"));
    let values = [
        Some(writes.to_string()),
        range(*loads.start(), *loads.end()),
    ];
    if writes > *loads.end() {
        refuse("stream".into(), 71, values, "too-old", ours);
    } else if writes < *loads.start() {
        refuse("stream".into(), 71, values, "too-old", theirs);
    } else if oldest < *loads.start() {
        let [_, loads] = values;
        refuse(
            "stream".into(),
            71,
            [range(oldest, newest), loads],
            "dropped",
            ours,
        );
    }
    for name in source.needs.difference(&destination.takes) {
        let values = [Some(name.clone()), None];
        refuse(format!("feature {name}"), 95, values, "missing", ours);
    }

    let names: BTreeSet<_> = source
        .parameters
        .keys()
        .chain(destination.parameters.keys())
        .collect();
    for name in names {
        let sides = [source, destination].map(|plain| plain.parameters.get(name));
        let (fault, side) = match sides {
            [Some((Rule::Equal, a)), Some((Rule::Equal, b))] if a == b => continue,
            [Some((Rule::AtMost, a)), Some((Rule::AtMost, b))] if a <= b => continue,
            [Some((Rule::AtLeast, a)), Some((Rule::AtLeast, b))] if a >= b => continue,
            [Some((Rule::AtMost, _)), Some((Rule::AtMost, _))] => ("too-small", ours),
            [Some((Rule::AtLeast, _)), Some((Rule::AtLeast, _))] => ("too-small", theirs),
            [Some(_), Some(_)] => ("different", None),
            [Some(_), None] => ("missing", ours),
            [None, _] => ("missing", theirs),
        };
        let values =
            sides.map(|item| item.map(|(rule, value)| format!("{}:{value}", spelling(*rule))));
        refuse(format!("param.{name}"), 34, values, fault, side);
    }

    let names: BTreeSet<_> = source
        .extensions
        .keys()
        .chain(destination.extensions.keys())
        .collect();
    for name in names {
        let sides = [source, destination].map(|plain| match plain.extensions.get(name) {
            Some((Marking::Required, value)) => Some(format!("must:{value}")),
            _ => None,
        });
        let (fault, side) = match &sides {
            [a, b] if a == b => continue,
            [Some(_), Some(_)] => ("different", None),
            [Some(_), None] => ("missing", ours),
            [None, _] => ("missing", theirs),
        };
        refuse(format!("ext.{name}"), 95, sides, fault, side);
    }
    reasons
}

/// What the real code finds between the strings of two versions.
pub fn found(source: &Plain, destination: &Plain) -> Vec<Reason> {
    let (source, destination) = (source.text(), destination.text());
    let source = Version::parse(source.as_bytes()).expect("a plain version is well-formed");
    let destination = Version::parse(destination.as_bytes()).expect("so is this one");
    let verdict = migver::compare(&source, &destination);
    let reasons: Vec<_> = verdict
        .reasons()
        .map(|reason| Reason {
            field: reason.field.to_string(),
            errno: reason.class().errno(),
            source: reason.spelled(Side::Source).map(|text| text.to_string()),
            destination: reason
                .spelled(Side::Destination)
                .map(|text| text.to_string()),
            fault: reason.fault.name(),
            side: reason.fault.side().map(Side::name),
        })
        .collect();
    assert_eq!(verdict.is_compatible(), reasons.is_empty());
    assert_eq!(
        verdict.kind().name(),
        if reasons.is_empty() { "live" } else { "none" }
    );
    assert_eq!(
        verdict.class().map(|class| class.errno()),
        // The document's order of precedence.
        [18, 71, 95, 34]
            .into_iter()
            .find(|errno| reasons.iter().any(|reason| reason.errno == *errno)),
    );
    reasons
}

/// Whether the real code lets `source` go to `destination`.
pub fn fits(source: &Plain, destination: &Plain) -> bool {
    found(source, destination).is_empty()
}
