// SPDX-License-Identifier: GPL-2.0-only

//! What a driver can describe is what a string can say, no more and no less.

use migver::{
    Abi,
    Description,
    Extension,
    Identity,
    Marking,
    Parameter,
    Rule,
    Stream,
    Version,
    MAX_LEN, //
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select, //
};

/// What a driver's author may have written, right or wrong.
#[derive(Clone, Debug)]
struct Draft {
    names: [String; 2],
    abi: (u32, u32),
    stream: (u32, u32, u32),
    needs: Vec<String>,
    takes: Vec<String>,
    parameters: Vec<(String, Rule, u64)>,
    extensions: Vec<(String, Marking, String)>,
}

impl Draft {
    /// The string of the draft, right or wrong.
    fn text(&self) -> String {
        let mut text = format!(
            "migver:1,vendor={},model={},abi={}.{},stream={}:{}-{}",
            self.names[0],
            self.names[1],
            self.abi.0,
            self.abi.1,
            self.stream.0,
            self.stream.1,
            self.stream.2
        );
        for (field, names) in [(",needs=", &self.needs), (",takes=", &self.takes)] {
            if !names.is_empty() {
                text += field;
                text += &names.join("+");
            }
        }
        for (name, rule, value) in &self.parameters {
            text += &format!(",param.{name}={}:{value}", rule.as_str());
        }
        for (name, marking, value) in &self.extensions {
            text += &format!(",ext.{name}={}:{value}", marking.as_str());
        }
        text
    }

    /// Whether `version` says what the draft says, item by item.
    fn is(&self, version: &Version<'_>) -> bool {
        self.names == [version.vendor(), version.model()]
            && self.needs.iter().eq(version.needs())
            && self.takes.iter().eq(version.takes())
            && self
                .parameters
                .iter()
                .map(|(name, rule, value)| (name.as_str(), *rule, *value))
                .eq(version
                    .parameters()
                    .map(|item| (item.name, item.rule, item.value)))
            && self
                .extensions
                .iter()
                .map(|(name, marking, value)| (name.as_str(), *marking, value.as_str()))
                .eq(version
                    .extensions()
                    .map(|item| (item.name, item.marking, item.value)))
    }

    fn check(&self) {
        let needs: Vec<&str> = self.needs.iter().map(String::as_str).collect();
        let takes: Vec<&str> = self.takes.iter().map(String::as_str).collect();
        let parameters: Vec<_> = self
            .parameters
            .iter()
            .map(|(name, rule, value)| Parameter {
                name,
                rule: *rule,
                value: *value,
            })
            .collect();
        let extensions: Vec<_> = self
            .extensions
            .iter()
            .map(|(name, marking, value)| Extension {
                name,
                marking: *marking,
                value,
            })
            .collect();
        let built = Version::new(&Description {
            vendor: &self.names[0],
            model: &self.names[1],
            abi: Abi {
                major: self.abi.0,
                minor: self.abi.1,
            },
            stream: Stream {
                writes: self.stream.0,
                oldest: self.stream.1,
                newest: self.stream.2,
            },
            needs: &needs,
            takes: &takes,
            parameters: &parameters,
            extensions: &extensions,
        });
        let text = self.text();
        let parsed = Version::parse(text.as_bytes())
            .ok()
            .filter(|version| self.is(version));
        if let Ok(built) = built {
            assert_eq!(built.to_string(), text);
            assert_eq!(Identity::new(built).as_str(), text);
        }
        assert_eq!(built.ok(), parsed, "{text}");
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => "[a-d]{1,2}",
        1 => "[a-zA-Z0-9._+=,:-]{0,3}",
        1 => "[a-z0-9]{62,64}",
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let sorted = |sort: bool, mut names: Vec<String>| {
        if sort {
            names.sort();
            names.dedup();
        }
        names
    };
    (
        [name(), name()],
        any::<(u32, u32)>(),
        (2..4_u32, 1..4_u32, 3..5_u32),
        (
            prop::bool::weighted(0.9),
            vec(name(), 0..3),
            vec(name(), 0..5),
        ),
        vec((name(), select(&Rule::ALL[..]), any::<u64>()), 0..3),
        vec((name(), select(&Marking::ALL[..]), "[a-c,=:]{0,2}"), 0..3),
    )
        .prop_map(
            move |(names, abi, stream, (sort, needs, others), parameters, extensions)| Draft {
                names,
                abi,
                stream,
                needs: sorted(sort, needs.clone()),
                takes: sorted(
                    sort,
                    if sort {
                        [needs, others].concat()
                    } else {
                        others
                    },
                ),
                parameters,
                extensions,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_description_is_valid_if_and_only_if_its_string_is(draft in draft()) {
        draft.check();
    }
}

#[test]
fn the_longest_string_is_accepted_and_one_more_byte_is_not() {
    let mut draft = Draft {
        names: ["v".into(), "m".into()],
        abi: (u32::MAX, u32::MAX),
        stream: (u32::MAX, u32::MAX, u32::MAX),
        needs: vec!["a".into()],
        takes: vec!["a".into()],
        parameters: vec![("p".into(), Rule::AtLeast, u64::MAX)],
        extensions: vec![("a".into(), Marking::Required, "1".into())],
    };
    for first in 'a'..='l' {
        draft.takes.push(format!("{first}{}", "0".repeat(62)));
    }
    let missing = MAX_LEN - draft.text().len();
    draft.extensions[0].2 = "1".repeat(missing.min(62) + 1);
    let missing = MAX_LEN - draft.text().len();
    draft.parameters[0].0 = "p".repeat(missing + 1);

    assert_eq!(draft.text().len(), MAX_LEN);
    assert!(Version::parse(draft.text().as_bytes()).is_ok());
    draft.check();

    draft.names[0].push('v');
    assert!(Version::parse(draft.text().as_bytes()).is_err());
    draft.check();
}
