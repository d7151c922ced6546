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
            let rule = match rule {
                Rule::Equal => "eq",
                Rule::AtMost => "le",
                Rule::AtLeast => "ge",
            };
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

/// The field and the errno of every reason against `source`, by the rules of the document.
pub fn reasons(source: &Plain, destination: &Plain) -> Vec<(String, i32)> {
    let mut reasons = Vec::new();
    let mut refuse = |field: String, errno| reasons.push((field, errno));

    if source.vendor != destination.vendor {
        refuse("vendor".into(), 18);
    }
    if source.model != destination.model {
        refuse("model".into(), 18);
    }
    if source.abi.0 != destination.abi.0 || source.abi.1 > destination.abi.1 {
        refuse("abi".into(), 71);
    }
    let loads = destination.stream.1..=destination.stream.2;
    if !loads.contains(&source.stream.0) || destination.stream.1 > source.stream.1 {
        refuse("stream".into(), 71);
    }
    for name in source.needs.difference(&destination.takes) {
        refuse(format!("feature {name}"), 95);
    }

    let names: BTreeSet<_> = source
        .parameters
        .keys()
        .chain(destination.parameters.keys())
        .collect();
    for name in names {
        let fits = match (
            source.parameters.get(name),
            destination.parameters.get(name),
        ) {
            (Some((Rule::Equal, theirs)), Some((Rule::Equal, ours))) => theirs == ours,
            (Some((Rule::AtMost, theirs)), Some((Rule::AtMost, ours))) => theirs <= ours,
            (Some((Rule::AtLeast, theirs)), Some((Rule::AtLeast, ours))) => theirs >= ours,
            _ => false,
        };
        if !fits {
            refuse(format!("param.{name}"), 34);
        }
    }

    let names: BTreeSet<_> = source
        .extensions
        .keys()
        .chain(destination.extensions.keys())
        .collect();
    for name in names {
        let required = |plain: &Plain| match plain.extensions.get(name) {
            Some((Marking::Required, value)) => Some(value.clone()),
            _ => None,
        };
        if required(source) != required(destination) {
            refuse(format!("ext.{name}"), 95);
        }
    }
    reasons
}

/// What the real code finds between the strings of two versions.
pub fn found(source: &Plain, destination: &Plain) -> Vec<(String, i32)> {
    let (source, destination) = (source.text(), destination.text());
    let source = Version::parse(source.as_bytes()).expect("a plain version is well-formed");
    let destination = Version::parse(destination.as_bytes()).expect("so is this one");
    let verdict = migver::compare(&source, &destination);
    let reasons: Vec<_> = verdict
        .reasons()
        .map(|reason| (reason.field.to_string(), reason.class().errno()))
        .collect();
    assert_eq!(verdict.is_compatible(), reasons.is_empty());
    assert_eq!(
        verdict.class().map(|class| class.errno()),
        // The document's order of precedence.
        [18, 71, 95, 34]
            .into_iter()
            .find(|errno| reasons.iter().any(|(_, found)| found == errno)),
    );
    reasons
}

/// Whether the real code lets `source` go to `destination`.
pub fn fits(source: &Plain, destination: &Plain) -> bool {
    found(source, destination).is_empty()
}
