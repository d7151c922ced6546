// SPDX-License-Identifier: GPL-2.0-only

//! Labels and traits keep to the limits of those who read them, whatever a valid version string says, never mean two
//! things, and select what can take a device in.

use migver_cli::inventory::{
    model::SCHEMA,
    nfd::{
        self,
        Requirement, //
    },
    traits,
    Inventory,
    Parent,
    Type, //
};

use migver::{
    compare,
    Version, //
};
use proptest::{
    collection::btree_map,
    option,
    prelude::*,
    sample::select, //
};

use std::{
    cell::RefCell,
    collections::{
        BTreeMap,
        HashMap, //
    }, //
};

/// Names: few, so that they meet; the longest; and what looks like something else.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec!["a", "b", "a-b", "a.b", "a_b", "x-1", "takes", "2"]).prop_map(str::to_owned),
        1 => "[a-z0-9]([-._]?[a-z0-9]){0,31}",
        1 => "[a-z0-9]{63}",
        1 => "[a-z]([-._][a-z]){31}",
        1 => "x-?[0-9a-f]{23}",
    ]
}

fn extension_value() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["a", "A", "a+b", "a:b", "-", "x-1"]).prop_map(str::to_owned),
        "[A-Za-z0-9._:+-]{1,63}",
    ]
}

/// Numbers: small ones, so that they meet, and great ones.
fn number32() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..4_u32, 1 => any::<u32>()]
}

fn number64() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..4_u64, 1 => any::<u64>()]
}

/// A valid version string.
fn string() -> impl Strategy<Value = String> {
    let few = 0..4_usize;
    (
        (name(), name()),
        (number32(), number32()),
        (number32(), number32(), number32()),
        btree_map(name(), any::<bool>(), few.clone()),
        btree_map(
            name(),
            (select(vec!["eq", "le", "ge"]), number64()),
            few.clone(),
        ),
        btree_map(
            name(),
            (select(vec!["must", "may"]), extension_value()),
            few,
        ),
    )
        .prop_map(|(names, abi, stream, features, parameters, extensions)| {
            let mut stream = [stream.0, stream.1, stream.2];
            stream.sort_unstable();
            let [oldest, writes, newest] = stream;
            let mut text = format!(
                "migver:1,vendor={},model={},abi={}.{},stream={writes}:{oldest}-{newest}",
                names.0, names.1, abi.0, abi.1
            );
            let list = |needed: bool| {
                let names = features.iter().filter(|(_, is)| !needed || **is);
                names
                    .map(|(name, _)| name.as_str())
                    .collect::<Vec<_>>()
                    .join("+")
            };
            for (field, list) in [("needs", list(true)), ("takes", list(false))] {
                if !list.is_empty() {
                    text.push_str(&format!(",{field}={list}"));
                }
            }
            for (name, (rule, value)) in &parameters {
                text.push_str(&format!(",param.{name}={rule}:{value}"));
            }
            for (name, (marking, value)) in &extensions {
                text.push_str(&format!(",ext.{name}={marking}:{value}"));
            }
            text
        })
        .prop_filter("longer than a string may be", |text| {
            text.len() <= migver::MAX_LEN
        })
}

/// Two versions of which one may fit the other: the second is the first with some fields changed.
fn pair() -> impl Strategy<Value = (String, String)> {
    (string(), string(), option::of((number32(), number32()))).prop_map(|(one, other, change)| {
        let Some((minor, newest)) = change else {
            return (one, other);
        };
        let version = Version::parse(one.as_bytes()).unwrap();
        let (abi, stream) = (version.abi(), version.stream());
        let changed = one.replacen(
            &format!("abi={abi},stream={stream}"),
            &format!(
                "abi={}.{minor},stream={}:{}-{}",
                abi.major,
                stream.writes.max(stream.oldest),
                stream.oldest,
                newest.max(stream.writes)
            ),
            1,
        );
        (one, changed)
    })
}

fn host(types: &[(&str, &str, u64)]) -> Inventory {
    let parents = (0..)
        .zip(types)
        .map(|(index, (name, string, available)): (u32, _)| Parent {
            name: format!("parent{index}"),
            types: vec![Type {
                name: (*name).to_owned(),
                pretty_name: String::new(),
                device_api: "vfio-pci".to_owned(),
                available_instances: *available,
                migration_version: Some((*string).to_owned()),
                migration_baseline: None,
            }],
        });
    Inventory {
        schema: SCHEMA,
        host: "node".to_owned(),
        collected: String::new(),
        kernel: String::new(),
        parents: parents.collect(),
        devices: Vec::new(),
    }
}

/// Whether this is the name or the value of a label.
fn is_label(text: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn is_trait(text: &str) -> bool {
    text.len() <= 255
        && text.strip_prefix("CUSTOM_").is_some_and(|rest| {
            let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
            !rest.is_empty() && rest.bytes().all(legal)
        })
}

/// Whether labels meet requirements, as Kubernetes has it.
fn meet(labels: &BTreeMap<String, String>, requirements: &[Requirement]) -> bool {
    requirements.iter().all(|requirement| {
        let Some(label) = labels.get(&requirement.name) else {
            return false;
        };
        let wanted = requirement.value.as_deref();
        let integers = || Some((label.parse::<i64>().ok()?, wanted?.parse::<i64>().ok()?));
        match requirement.operator {
            "Exists" => true,
            "In" => wanted == Some(label),
            "Gt" => integers().is_some_and(|(label, wanted)| label > wanted),
            "Lt" => integers().is_some_and(|(label, wanted)| label < wanted),
            other => panic!("{other}"),
        }
    })
}

#[test]
fn the_prefix_is_a_dns_subdomain() {
    assert!(nfd::PREFIX.len() <= 253);
    assert!(nfd::PREFIX.split('.').all(|label| {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(legal)
    }));
}

#[test]
fn labels_and_traits_keep_to_their_limits() {
    proptest!(|(text in string(), type_name in "[ -~]{1,80}", is_first: bool)| {
        let others: Vec<_> = (0..11).map(|minor| format!("migver:1,vendor=v,model=m,abi=0.{minor},stream=0:0-0")).collect();
        let mut types = vec![(&*type_name, &*text, if is_first { 3 } else { 1 })];
        types.extend(others.iter().map(|other| (&*type_name, &**other, 2)));
        let labels = nfd::labels(&host(&types)).unwrap();
        prop_assert!(labels.len() >= 110);
        for (name, value) in &labels {
            prop_assert!(is_label(name), "{name}");
            prop_assert!(is_label(value), "{value}");
        }
        let version = Version::parse(text.as_bytes()).unwrap();
        let names = traits::traits(&version);
        prop_assert!(names.len() >= 3);
        prop_assert!(names.len() <= 2 * traits::MAX_STEPS as usize + 10);
        for name in names {
            prop_assert!(is_trait(&name), "{name}");
        }
    });
}

#[test]
fn a_trait_never_means_two_things() {
    // Over all cases, so that names meet that are not in one string.
    let seen = RefCell::new(HashMap::new());
    proptest!(|(text in string())| {
        let version = Version::parse(text.as_bytes()).unwrap();
        for meaning in traits::meanings(&version) {
            let name = traits::spell(&meaning);
            let mut seen = seen.borrow_mut();
            let first = seen.entry(name.clone()).or_insert_with(|| meaning.clone());
            prop_assert_eq!(&*first, &meaning, "{}", name);
        }
    });
}

#[test]
fn labels_tell_versions_apart() {
    // What is in the labels of one type is all that its string says, but for what it needs itself, which the hash of
    // the string tells. So equal labels are equal strings, also when the hash is left out and nothing is needed.
    let seen = RefCell::new(HashMap::new());
    proptest!(|(text in string().prop_filter("needs something", |text| !text.contains(",needs=")))| {
        let mut labels = nfd::labels(&host(&[("t", &text, 1)])).unwrap();
        for hash in ["t__family", "t__string"] {
            prop_assert!(labels.remove(hash).is_some());
        }
        let mut seen = seen.borrow_mut();
        let first = seen.entry(labels).or_insert_with(|| text.clone());
        prop_assert_eq!(&*first, &text);
    });
}

#[test]
fn types_of_one_host_do_not_share_a_label() {
    proptest!(|(one in string(), other in string(), names in ("[ -~]{1,40}", "[ -~]{1,40}"))| {
        prop_assume!(names.0 != names.1);
        let both = nfd::labels(&host(&[(&*names.0, &*one, 1), (&*names.1, &*other, 2)])).unwrap();
        let first = nfd::labels(&host(&[(&*names.0, &*one, 1)])).unwrap();
        let second = nfd::labels(&host(&[(&*names.1, &*other, 2)])).unwrap();
        prop_assert_eq!(both.len(), first.len() + second.len());
        prop_assert!(first.iter().chain(&second).all(|(name, value)| both.get(name) == Some(value)));
    });
}

#[test]
fn one_type_with_two_strings_has_the_labels_of_both() {
    let (one, other) = (
        "migver:1,vendor=v,model=m,abi=1.0,stream=1:1-1",
        "migver:1,vendor=v,model=m,abi=1.1,stream=1:1-1",
    );
    let labels = nfd::labels(&host(&[("t", one, 5), ("t", other, 7), ("t", one, 1)])).unwrap();
    assert_eq!(labels["t__abi-minor"], "1");
    assert_eq!(labels["t__available"], "7");
    assert_eq!(labels["t__2__abi-minor"], "0");
    assert_eq!(labels["t__2__available"], "6");
}

#[test]
fn requirements_hold_exactly_where_the_device_fits() {
    let fitting = RefCell::new(0);
    proptest!(|((source, destination) in pair(), type_name in name(), available in 0..4_u64)| {
        let labels = nfd::labels(&host(&[(&*type_name, &*destination, available)])).unwrap();
        let from = Version::parse(source.as_bytes()).unwrap();
        let to = Version::parse(destination.as_bytes()).unwrap();
        let fits = compare(&from, &to).is_compatible() && available > 0;
        let great = |version: &Version<'_>| version.parameters().any(|item| item.value >= i64::MAX as u64);
        let met = meet(&labels, &nfd::requirements(&from, &type_name));
        prop_assert!(met == fits || !met && (great(&from) || great(&to)), "{source} {destination}");
        *fitting.borrow_mut() += u32::from(fits);
    });
    assert!(fitting.into_inner() > 10);
}

#[test]
fn who_has_the_required_traits_takes_the_device_in() {
    let fitting = RefCell::new(0);
    proptest!(|((source, destination) in pair())| {
        let from = Version::parse(source.as_bytes()).unwrap();
        let to = Version::parse(destination.as_bytes()).unwrap();
        let has = traits::required(&from).is_subset(&traits::traits(&to));
        let fits = compare(&from, &to).is_compatible();
        prop_assert!(!has || fits, "{source} {destination}");
        // And whoever takes it in has them, as far as traits go.
        let (abi, stream) = (to.abi(), to.stream());
        let near = abi.minor - abi.minor.min(from.abi().minor) < traits::MAX_STEPS
            && stream.newest - stream.oldest < traits::MAX_STEPS
            && from.parameters().eq(to.parameters());
        prop_assert!(has || !fits || !near, "{source} {destination}");
        *fitting.borrow_mut() += u32::from(has);
    });
    assert!(fitting.into_inner() > 10);
}
