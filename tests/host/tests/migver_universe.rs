// SPDX-License-Identifier: GPL-2.0-only

//! Every pair, and every triple, of a small universe of versions.

mod migver_support;

use migver::{
    Marking,
    Rule, //
};
use migver_support::{
    fits,
    found,
    reasons,
    Plain, //
};

/// All streams whose versions are at most `newest`.
fn streams(newest: u32) -> Vec<(u32, u32, u32)> {
    let mut streams = Vec::new();
    for oldest in 1..=newest {
        for last in oldest..=newest {
            for writes in oldest..=last {
                streams.push((writes, oldest, last));
            }
        }
    }
    streams
}

/// Every version that differs from one of `versions` in what `change` sets to one of `values`.
fn vary<T>(versions: Vec<Plain>, values: &[T], change: fn(&mut Plain, &T)) -> Vec<Plain> {
    let mut varied = Vec::new();
    for version in versions {
        for value in values {
            let mut version = version.clone();
            change(&mut version, value);
            varied.push(version);
        }
    }
    varied
}

/// Leaves a feature out, takes it, or needs and takes it.
fn set_feature(version: &mut Plain, &(name, state): &(&str, u8)) {
    if state > 0 {
        version.takes.insert(name.into());
    }
    if state > 1 {
        version.needs.insert(name.into());
    }
}

const X: [(&str, u8); 3] = [("x", 0), ("x", 1), ("x", 2)];
const Y: [(&str, u8); 3] = [("y", 0), ("y", 1), ("y", 2)];

fn assert_agreement(versions: &[Plain]) -> (usize, usize) {
    let (mut pairs, mut compatible) = (0, 0);
    for source in versions {
        for destination in versions {
            let expected = reasons(source, destination);
            assert_eq!(
                found(source, destination),
                expected,
                "{} -> {}",
                source.text(),
                destination.text(),
            );
            pairs += 1;
            compatible += usize::from(expected.is_empty());
        }
    }
    (pairs, compatible)
}

#[test]
fn agrees_with_the_rules_on_every_pair_of_devices_streams_and_features() {
    let versions = vary(vec![Plain::simple()], &["a", "b"], |version, vendor| {
        version.vendor = (*vendor).into();
    });
    let versions = vary(versions, &[(1, 0), (1, 1), (2, 0)], |version, abi| {
        version.abi = *abi
    });
    let versions = vary(versions, &streams(2), |version, stream| {
        version.stream = *stream
    });
    let versions = vary(versions, &X, set_feature);
    let versions = vary(versions, &Y, set_feature);

    let (pairs, compatible) = assert_agreement(&versions);
    assert_eq!(pairs, 216 * 216);
    assert!(compatible > 1000);
}

#[test]
fn agrees_with_the_rules_on_every_pair_of_streams() {
    let versions = vary(vec![Plain::simple()], &streams(5), |version, stream| {
        version.stream = *stream;
    });
    assert_agreement(&versions);
}

#[test]
fn agrees_with_the_rules_on_every_pair_of_parameters_and_extensions() {
    let mut parameters = vec![None];
    for rule in Rule::ALL {
        for value in [0, 1, u64::MAX] {
            parameters.push(Some((rule, value)));
        }
    }
    let mut extensions = vec![None];
    for marking in Marking::ALL {
        for value in ["a", "b"] {
            extensions.push(Some((marking, value.to_string())));
        }
    }
    let versions = vary(vec![Plain::simple()], &parameters, |version, parameter| {
        version
            .parameters
            .extend(parameter.map(|value| ("p".into(), value)));
    });
    let versions = vary(
        versions,
        &[None, Some((Rule::Equal, 1))],
        |version, parameter| {
            version
                .parameters
                .extend(parameter.map(|value| ("q".into(), value)));
        },
    );
    let versions = vary(versions, &extensions, |version, extension| {
        version
            .extensions
            .extend(extension.clone().map(|value| ("e".into(), value)));
    });
    let (pairs, compatible) = assert_agreement(&versions);
    assert_eq!(pairs, 100 * 100);
    assert!(compatible > 100);
}

#[test]
fn a_feature_more_at_the_destination_never_turns_yes_into_no() {
    let versions = vary(
        vec![Plain::simple()],
        &[(1, 0), (1, 1), (2, 0)],
        |version, abi| version.abi = *abi,
    );
    let versions = vary(versions, &X, set_feature);
    let versions = vary(versions, &Y, set_feature);
    for source in &versions {
        for destination in &versions {
            let before = found(source, destination);
            for feature in ["a", "x", "y", "z"] {
                let mut more = destination.clone();
                more.takes.insert(feature.into());
                let mut expected = before.clone();
                expected.retain(|reason| reason.field != format!("feature {feature}"));
                assert_eq!(found(source, &more), expected);
            }
        }
    }
}

#[test]
fn no_detour_reaches_further_than_the_direct_way() {
    let versions = vary(vec![Plain::simple()], &[0, 1], |version, minor| {
        version.abi.1 = *minor
    });
    let versions = vary(versions, &streams(3), |version, stream| {
        version.stream = *stream
    });
    let versions = vary(versions, &X, set_feature);

    let mut detours = 0;
    for source in &versions {
        for middle in versions.iter().filter(|middle| fits(source, middle)) {
            let middle = middle.carrying(source);
            for destination in versions
                .iter()
                .filter(|destination| fits(&middle, destination))
            {
                assert!(
                    fits(source, destination),
                    "{} -> {} -> {}",
                    source.text(),
                    middle.text(),
                    destination.text(),
                );
                detours += 1;
            }
        }
    }
    assert!(detours > 1000);
}

#[test]
fn parameters_and_extensions_are_transitive_on_their_own() {
    let parameters: Vec<_> = Rule::ALL
        .into_iter()
        .flat_map(|rule| [1, 2, 3].map(|value| Some((rule, value))))
        .chain([None])
        .collect();
    let extensions: Vec<_> = Marking::ALL
        .into_iter()
        .flat_map(|marking| ["a", "b"].map(|value| Some((marking, value))))
        .chain([None])
        .collect();
    let versions = vary(vec![Plain::simple()], &parameters, |version, parameter| {
        version
            .parameters
            .extend(parameter.map(|value| ("p".into(), value)));
    });
    let versions = vary(versions, &extensions, |version, extension| {
        version
            .extensions
            .extend(extension.map(|(marking, value)| ("e".into(), (marking, value.into()))));
    });
    for source in &versions {
        for middle in versions.iter().filter(|middle| fits(source, middle)) {
            for destination in versions
                .iter()
                .filter(|destination| fits(middle, destination))
            {
                assert!(fits(source, destination));
            }
        }
    }
}

/// Why the document speaks of a device that *carries* a state: with any two lists of which the one
/// may be longer than the other, plain transitivity is not to be had.
#[test]
fn what_a_middle_carries_cannot_be_left_out_of_account() {
    let nothing = Plain::simple();
    let mut takes = nothing.clone();
    set_feature(&mut takes, &("x", 1));
    let mut needs = nothing.clone();
    set_feature(&mut needs, &("x", 2));

    assert!(fits(&needs, &takes));
    assert!(fits(&takes, &nothing));
    assert!(!fits(&needs, &nothing));
    assert!(!fits(&takes.carrying(&needs), &nothing));
}
