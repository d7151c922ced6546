// SPDX-License-Identifier: GPL-2.0-only

//! What holds of every version string, and of every text that is not one.

mod migver_support;

use std::collections::{
    BTreeMap,
    BTreeSet, //
};

use migver::{
    check,
    Class,
    Identity,
    Marking,
    ParseError,
    Refusal,
    Rule,
    Version,
    MAX_LEN, //
};
use migver_support::{
    fits,
    found,
    reasons,
    Plain,
    Reason, //
};
use proptest::{
    collection::{
        btree_map,
        btree_set,
        vec, //
    },
    prelude::*,
    sample::{
        select,
        Index, //
    },
};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,2}",
        2 => "[a-z0-9]{1,6}([._-][a-z0-9]{1,6}){0,2}",
        1 => "[a-z0-9]{63}",
    ]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0..4_u32, any::<u32>(), Just(u32::MAX)]
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, any::<u64>(), Just(u64::MAX)]
}

fn rule() -> impl Strategy<Value = Rule> {
    select(&Rule::ALL[..])
}

fn marking() -> impl Strategy<Value = Marking> {
    select(&Marking::ALL[..])
}

/// Any version that could be described, whether or not its string is too long.
fn described() -> impl Strategy<Value = Plain> {
    let stream = [number(), number(), number()].prop_map(|mut versions| {
        versions.sort_unstable();
        (versions[1], versions[0], versions[2])
    });
    let features = btree_map(name(), any::<bool>(), 0..8);
    (
        name(),
        name(),
        (number(), number()),
        stream,
        features,
        btree_map(name(), (rule(), value()), 0..8),
        btree_map(name(), (marking(), "[A-Za-z0-9._:+-]{1,63}"), 0..8),
    )
        .prop_map(
            |(vendor, model, abi, stream, features, parameters, extensions)| Plain {
                vendor,
                model,
                abi,
                stream,
                needs: features
                    .iter()
                    .filter(|(_, needed)| **needed)
                    .map(|(name, _)| name.clone())
                    .collect(),
                takes: features.into_keys().collect(),
                parameters,
                extensions,
            },
        )
}

/// Any version whose string is a string.
fn version() -> impl Strategy<Value = Plain> {
    described().prop_filter("too long", |plain| plain.text().len() <= MAX_LEN)
}

/// A version of one family, so close to its like that they often fit.
fn relative() -> impl Strategy<Value = Plain> {
    let near = || select(&["x", "y", "z"][..]).prop_map(String::from);
    (
        0..3_u32,
        [1..3_u32, 1..4_u32, 1..5_u32],
        btree_set(near(), 0..3),
        btree_set(near(), 0..3),
        btree_map(near(), (rule(), 1..3_u64), 0..2),
        btree_map(near(), (marking(), "[ab]"), 0..2),
    )
        .prop_map(
            |(minor, mut stream, needs, others, parameters, extensions)| {
                stream.sort_unstable();
                Plain {
                    abi: (1, minor),
                    stream: (stream[1], stream[0], stream[2]),
                    takes: needs.union(&others).cloned().collect(),
                    needs,
                    parameters,
                    extensions,
                    ..Plain::simple()
                }
            },
        )
}

/// A text that looks like a version string from afar.
fn lookalike() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(
        &[
            "migver:",
            "1",
            "0",
            "2",
            "4294967295",
            "4294967296",
            ",vendor=",
            ",model=",
            ",abi=",
            ",stream=",
            ",needs=",
            ",takes=",
            ",param.",
            ",ext.",
            "=eq:",
            "=le:",
            "=ge:",
            "=must:",
            "=may:",
            "a",
            "b",
            "-",
            ".",
            "_",
            ":",
            "+",
            ",",
            "=",
            "\n",
            "/",
            "A",
            "\u{e9}",
            "\0",
        ][..],
    );
    (any::<bool>(), vec(piece, 0..20)).prop_map(|(whole, pieces)| {
        let head = if whole {
            "migver:1,vendor=a,model=a,abi=1.0,stream=1:0-2"
        } else {
            ""
        };
        format!("{head}{}", pieces.concat()).into_bytes()
    })
}

/// Checks what holds of every text.
fn assert_canonical_or_refused(text: &[u8]) {
    match Version::parse(text) {
        Ok(version) => {
            let shown = version.to_string();
            let line = text.strip_suffix(b"\n").unwrap_or(text);
            assert_eq!(shown.as_bytes(), line);
            assert!(migver::compare(&version, &version).is_compatible());
        }
        Err(error) => {
            let length = text.strip_suffix(b"\n").unwrap_or(text).len();
            assert_eq!(error.class() == Class::TooLong, length > MAX_LEN);
            if let ParseError::Malformed { at, found, .. } = error {
                assert!(at <= length);
                assert_eq!(found, text[..length].get(at).copied());
            }
        }
    }
}

/// Checks that a line may go to a log whatever was refused.
fn assert_loggable(line: &str) {
    assert!(
        line.bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic()),
        "{line}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_was_meant(plain in version()) {
        let text = plain.text();
        let version = Version::parse(text.as_bytes()).expect("well-formed");
        prop_assert!(Identity::new(version).as_str() == text);
        prop_assert_eq!(version.vendor(), plain.vendor);
        prop_assert_eq!(version.model(), plain.model);
        prop_assert_eq!((version.abi().major, version.abi().minor), plain.abi);
        let stream = version.stream();
        prop_assert_eq!((stream.writes, stream.oldest, stream.newest), plain.stream);
        prop_assert!(version.needs().eq(plain.needs.iter().map(String::as_str)));
        prop_assert!(version.takes().eq(plain.takes.iter().map(String::as_str)));
        prop_assert!(version
            .parameters()
            .map(|item| (item.name.to_string(), (item.rule, item.value)))
            .eq(plain.parameters));
        prop_assert!(version
            .extensions()
            .map(|item| (item.name.to_string(), (item.marking, item.value.to_string())))
            .eq(plain.extensions));
    }

    #[test]
    fn a_newline_changes_nothing(plain in version()) {
        let text = plain.text();
        let line = text.clone() + "\n";
        prop_assert_eq!(Version::parse(line.as_bytes()), Version::parse(text.as_bytes()));
    }

    #[test]
    fn any_bytes_are_canonical_or_refused(text in vec(any::<u8>(), 0..1100)) {
        assert_canonical_or_refused(&text);
    }

    #[test]
    fn any_lookalike_is_canonical_or_refused(text in lookalike()) {
        assert_canonical_or_refused(&text);
    }

    #[test]
    fn any_prefix_is_canonical_or_refused(plain in version()) {
        let text = plain.text();
        for end in 0..text.len() {
            assert_canonical_or_refused(&text.as_bytes()[..end]);
        }
    }

    #[test]
    fn any_changed_byte_is_canonical_or_refused(
        plain in version(),
        at in any::<Index>(),
        byte in prop_oneof![any::<u8>(), select(&b"019az.,:+-=_"[..])],
    ) {
        let text = plain.text().into_bytes();
        let at = at.index(text.len());

        let mut replaced = text.clone();
        replaced[at] = byte;
        assert_canonical_or_refused(&replaced);

        let mut inserted = text.clone();
        inserted.insert(at, byte);
        assert_canonical_or_refused(&inserted);

        let mut removed = text.clone();
        removed.remove(at);
        assert_canonical_or_refused(&removed);

        let mut swapped = text;
        swapped.swap(at, at.saturating_sub(1));
        assert_canonical_or_refused(&swapped);
    }

    #[test]
    fn a_refusal_may_go_to_a_log(
        text in prop_oneof![lookalike(), vec(any::<u8>(), 0..64), version().prop_map(|plain| plain.text().into_bytes())],
        destination in version(),
    ) {
        let destination = destination.text();
        let destination = Version::parse(destination.as_bytes()).expect("well-formed");
        if let Err(refusal) = check(&text, &destination) {
            assert_loggable(&refusal.to_string());
        }
    }

    #[test]
    fn a_device_fits_itself(plain in version()) {
        prop_assert!(fits(&plain, &plain));
    }

    #[test]
    fn an_identity_refuses_what_its_version_refuses(source in relative(), destination in relative()) {
        let (source, destination) = (source.text(), destination.text());
        let mine = Version::parse(destination.as_bytes()).expect("well-formed");
        for source in [&source, &destination] {
            let refusal = |checked: Result<(), Refusal<'_>>| checked.err().map(|refusal| refusal.to_string());
            prop_assert_eq!(
                refusal(Identity::new(mine).check(source.as_bytes())),
                refusal(check(source.as_bytes(), &mine))
            );
        }
    }

    #[test]
    fn agrees_with_the_rules(source in relative(), destination in relative()) {
        prop_assert_eq!(found(&source, &destination), reasons(&source, &destination));
    }

    #[test]
    fn agrees_with_the_rules_on_anything(source in version(), destination in version()) {
        prop_assert_eq!(found(&source, &destination), reasons(&source, &destination));
    }

    #[test]
    fn no_detour_reaches_further_than_the_direct_way(
        source in relative(),
        middle in relative(),
        destination in relative(),
        forced in any::<[bool; 2]>(),
    ) {
        // Alike in what is only ever equal, or hardly any of them would fit.
        let align = |plain: Plain, forced| if forced {
            Plain {
                parameters: source.parameters.clone(),
                extensions: source.extensions.clone(),
                ..plain
            }
        } else {
            plain
        };
        let middle = align(middle, forced[0]);
        let destination = align(destination, forced[1]);
        if fits(&source, &middle) && fits(&middle.carrying(&source), &destination) {
            prop_assert!(fits(&source, &destination));
        }
    }

    #[test]
    fn a_feature_more_at_the_destination_never_turns_yes_into_no(
        source in relative(),
        destination in relative(),
        feature in select(&["a", "x", "y", "z"][..]),
    ) {
        let before = found(&source, &destination);
        let mut more = destination;
        more.takes.insert(feature.into());
        let after = found(&source, &more);
        prop_assert!(after.iter().all(|reason| before.contains(reason)));
    }

    #[test]
    fn one_changed_field_gives_exactly_that_reason(plain in version(), change in 0..CHANGES.len()) {
        let (field, class, expected, change) = CHANGES[change];
        let mut source = plain.clone();
        let mut destination = plain;
        // Nothing generated stands in the way of the change.
        for side in [&mut source, &mut destination] {
            side.abi.0 = side.abi.0.clamp(1, u32::MAX - 1);
            side.abi.1 = side.abi.1.clamp(1, u32::MAX - 1);
            side.parameters = BTreeMap::from([
                ("p".into(), (Rule::Equal, 5)),
                ("r".into(), (Rule::AtMost, 5)),
                ("s".into(), (Rule::AtLeast, 5)),
            ]);
            side.extensions = BTreeMap::from([("e".into(), (Marking::Required, "5".into()))]);
            side.needs = BTreeSet::new();
            side.takes = BTreeSet::new();
            side.stream = (5, 4, 6);
        }
        prop_assert!(fits(&source, &destination));
        change(&mut source, &mut destination);
        let found = found(&source, &destination);
        prop_assert_eq!(found.len(), 1);
        let Reason { source, destination, fault, side, .. } = &found[0];
        prop_assert_eq!((found[0].field.as_str(), found[0].errno), (field, class.errno()));
        prop_assert_eq!((*fault, *side), expected);
        // Both values are there, unless the fault is that one is not.
        prop_assert_ne!(source, destination);
        prop_assert_eq!(source.is_some() && destination.is_some(), *fault != "missing");
    }
}

/// A field, the class of its refusal, the fault and its side, and a change that brings it about.
type Change = (
    &'static str,
    Class,
    (&'static str, Option<&'static str>),
    fn(&mut Plain, &mut Plain),
);

const DIFFERENT: (&str, Option<&str>) = ("different", None);
const DROPPED: (&str, Option<&str>) = ("dropped", Some("destination"));
const OLD_THERE: (&str, Option<&str>) = ("too-old", Some("source"));
const OLD_HERE: (&str, Option<&str>) = ("too-old", Some("destination"));
const SMALL_THERE: (&str, Option<&str>) = ("too-small", Some("source"));
const SMALL_HERE: (&str, Option<&str>) = ("too-small", Some("destination"));
const LACKS_THERE: (&str, Option<&str>) = ("missing", Some("source"));
const LACKS_HERE: (&str, Option<&str>) = ("missing", Some("destination"));

const CHANGES: [Change; 21] = [
    ("vendor", Class::OtherDevice, DIFFERENT, |source, _| {
        source.vendor = "other".repeat(10)
    }),
    ("model", Class::OtherDevice, DIFFERENT, |_, destination| {
        destination.model = "other".repeat(10)
    }),
    ("abi", Class::Version, OLD_HERE, |source, _| {
        source.abi.0 += 1
    }),
    ("abi", Class::Version, OLD_THERE, |source, _| {
        source.abi.0 -= 1
    }),
    ("abi", Class::Version, OLD_HERE, |source, _| {
        source.abi.1 += 1
    }),
    ("abi", Class::Version, OLD_HERE, |_, destination| {
        destination.abi.1 -= 1
    }),
    ("stream", Class::Version, OLD_HERE, |source, _| {
        source.stream = (7, 4, 7)
    }),
    ("stream", Class::Version, OLD_THERE, |source, _| {
        source.stream = (3, 3, 6)
    }),
    ("stream", Class::Version, OLD_HERE, |_, destination| {
        destination.stream = (4, 4, 4)
    }),
    ("stream", Class::Version, DROPPED, |_, destination| {
        destination.stream = (5, 5, 6)
    }),
    ("feature x", Class::Feature, LACKS_HERE, |source, _| {
        source.needs.insert("x".into());
        source.takes.insert("x".into());
    }),
    ("param.p", Class::Parameter, DIFFERENT, |source, _| {
        source.parameters.insert("p".into(), (Rule::Equal, 6));
    }),
    ("param.p", Class::Parameter, DIFFERENT, |source, _| {
        source.parameters.insert("p".into(), (Rule::AtMost, 5));
    }),
    ("param.p", Class::Parameter, LACKS_THERE, |source, _| {
        source.parameters.remove("p");
    }),
    ("param.q", Class::Parameter, LACKS_HERE, |source, _| {
        source.parameters.insert("q".into(), (Rule::AtLeast, 0));
    }),
    ("param.r", Class::Parameter, SMALL_HERE, |source, _| {
        source.parameters.insert("r".into(), (Rule::AtMost, 6));
    }),
    (
        "param.s",
        Class::Parameter,
        SMALL_THERE,
        |_, destination| {
            destination
                .parameters
                .insert("s".into(), (Rule::AtLeast, 6));
        },
    ),
    ("ext.e", Class::Feature, DIFFERENT, |source, _| {
        source
            .extensions
            .insert("e".into(), (Marking::Required, "6".into()));
    }),
    ("ext.e", Class::Feature, LACKS_HERE, |_, destination| {
        destination.extensions.clear()
    }),
    ("ext.e", Class::Feature, LACKS_THERE, |source, _| {
        source
            .extensions
            .insert("e".into(), (Marking::Optional, "5".into()));
    }),
    ("ext.f", Class::Feature, LACKS_HERE, |source, _| {
        source
            .extensions
            .insert("f".into(), (Marking::Required, "5".into()));
    }),
];

/// The worst that a log can be made to take: as many reasons as two strings can hold.
#[test]
fn the_longest_refusal_is_bounded_by_the_strings() {
    let mut source = Plain::simple();
    let mut destination = Plain::simple();
    let names = ('a'..='z').flat_map(|first| ('a'..='z').map(move |last| format!("{first}{last}")));
    for (index, name) in names.enumerate() {
        let side = if index % 2 == 0 {
            &mut source
        } else {
            &mut destination
        };
        let mut longer = side.clone();
        longer.parameters.insert(name, (Rule::Equal, 0));
        if longer.text().len() <= MAX_LEN {
            *side = longer;
        }
    }
    let (source, destination) = (source.text(), destination.text());
    let destination = Version::parse(destination.as_bytes()).expect("well-formed");
    let refusal = check(source.as_bytes(), &destination).expect_err("no parameter in common");
    let line = refusal.to_string();
    assert_loggable(&line);
    assert!(line.len() < 16 * 2 * MAX_LEN, "{}", line.len());
}
