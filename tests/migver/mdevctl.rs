// SPDX-License-Identifier: GPL-2.0-only

//! mdevctl's questions and the callout's answers, on a tree of files.

use crate::libvirt_tree::Tree;
use migver_cli::{
    commands::mdevctl_callout::{
        self,
        Args, //
    },
    Context,
    Outcome, //
};

use rustix::fs::{
    fcntl_add_seals,
    memfd_create,
    MemfdFlags,
    SealFlags, //
};

use std::{
    fs,
    io::Write,
    os::{
        fd::AsRawFd,
        unix::fs::symlink, //
    }, //
};

const CARD: &str = "0000:00:05.0";
const TWO: &str = "migdev-serial2";
const LOCAL: &str = "migdev-serial1-local";
const DEVICE: &str = "206bb5c2-2bc3-4986-8d12-144a875d2567";
const NEW: &str = "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,param.ports=eq:2";
const OLD: &str = "migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:2";

fn host() -> Tree {
    let tree = Tree::new();
    tree.add_type(CARD, TWO, Some(NEW));
    tree.add_type(CARD, LOCAL, None);
    tree.add_device(CARD, TWO, DEVICE, Some(NEW), 1);
    tree
}

/// Asks as mdevctl does; returns the status with which the program ends, and what it says.
fn ask_of(
    tree: &Tree,
    ty: &str,
    event: &str,
    action: &str,
    definition: &str,
) -> (u8, String, String) {
    let args = Args {
        type_name: ty.to_owned(),
        event: event.to_owned(),
        action: action.to_owned(),
        state: Some("none".to_owned()),
        uuid: DEVICE.to_owned(),
        parent: CARD.to_owned(),
    };
    let mut input = definition.as_bytes();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut context = Context::new(&mut input, &mut out, &mut err);
    context.sysfs = tree.path("sys");
    let status = match mdevctl_callout::run(&args, &mut context).unwrap() {
        Outcome::Yes => 0,
        Outcome::No => 1,
        Outcome::NotOurs => 2,
    };
    (
        status,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

fn ask(tree: &Tree, event: &str, action: &str, definition: &str) -> (u8, String, String) {
    ask_of(tree, TWO, event, action, definition)
}

/// A definition as mdevctl 1.4 writes it.
fn pinned(version: &str) -> String {
    format!(
        r#"{{"mdev_type":"{TWO}","start":"manual","attrs":[{{"other":"1"}},{{"migration_version":"{version}"}}]}}"#
    )
}

#[test]
fn a_pinned_string_that_fits_goes_on() {
    let tree = host();
    for version in [NEW, OLD, &format!("{NEW}\\n")] {
        let answer = ask(&tree, "pre", "start", &pinned(version));
        assert_eq!(answer, (0, String::new(), String::new()));
    }
    // It was the kernel that was asked.
    let asked = tree.read(&format!(
        "sys/devices/{CARD}/mdev_supported_types/{TWO}/migration_version"
    ));
    assert!(asked.starts_with(NEW));
}

#[test]
fn a_pinned_string_that_does_not_fit_stops_with_every_reason() {
    let tree = host();
    let old = refusing(&tree, OLD);
    let answer = ask(&tree, "pre", "start", &pinned(NEW));
    assert_eq!(
        answer,
        (
            1,
            String::new(),
            format!(
                "device {DEVICE} (type {CARD}/{TWO}): abi: source 1.1, destination 1.0: the destination is too old; \
                 stream: source writes 2, destination loads 1-1: the destination is too old\n"
            )
        )
    );
    drop(old);
    // Where the strings fit, what the kernel said.
    let new = refusing(&tree, NEW);
    let (status, _, err) = ask(&tree, "pre", "start", &pinned(NEW));
    assert_eq!(status, 1);
    assert!(
        err.ends_with(": the kernel refused: Operation not permitted\n"),
        "{err}"
    );
    drop(new);
}

/// Lets the type say `version` and refuse whatever is written, to root too, as long as the value lives.
fn refusing(tree: &Tree, version: &str) -> fs::File {
    let mut file = fs::File::from(memfd_create("type", MemfdFlags::ALLOW_SEALING).unwrap());
    writeln!(file, "{version}").unwrap();
    fcntl_add_seals(&file, SealFlags::WRITE).unwrap();
    let path = tree.path(&format!(
        "sys/devices/{CARD}/mdev_supported_types/{TWO}/migration_version"
    ));
    fs::remove_file(&path).unwrap();
    symlink(format!("/proc/self/fd/{}", file.as_raw_fd()), path).unwrap();
    file
}

#[test]
fn a_string_that_is_none_is_refused_before_it_is_defined() {
    let tree = host();
    for action in ["start", "define", "modify"] {
        let (status, out, err) = ask(&tree, "pre", action, &pinned("rubbish"));
        assert_eq!((status, out.as_str()), (1, ""));
        assert!(
            err.contains("migration_version is pinned to no version: "),
            "{err}"
        );
    }
    let number = pinned("7").replace("\"7\"", "7");
    assert_eq!(ask(&tree, "pre", "define", &number).0, 1);
    assert_eq!(ask(&tree, "pre", "define", "{").0, 1);
    // One that does not fit here now may well be defined.
    let newer = NEW.replace("abi=1.1", "abi=1.9");
    assert_eq!(ask(&tree, "pre", "define", &pinned(&newer)).0, 0);
}

#[test]
fn a_definition_without_a_pin_goes_on() {
    let tree = host();
    for definition in [
        r#"{"mdev_type":"migdev-serial2","start":"auto"}"#,
        r#"{"mdev_type":"migdev-serial2","start":"auto","attrs":[]}"#,
    ] {
        assert_eq!(ask(&tree, "pre", "start", definition).0, 0);
    }
}

#[test]
fn the_string_of_a_device_is_its_attribute() {
    let tree = host();
    let (status, out, err) = ask(&tree, "get", "attributes", "");
    assert_eq!((status, err.as_str()), (0, ""));
    assert_eq!(out, format!("[{{\"migration_version\":\"{NEW}\"}}]\n"));
    fs::remove_file(tree.path(&format!("sys/bus/mdev/devices/{DEVICE}"))).unwrap();
    assert_eq!(ask(&tree, "get", "attributes", "").1, "[]\n");
}

#[test]
fn tells_mdevctl_what_it_answers() {
    let tree = host();
    let (status, out, _) = ask(
        &tree,
        "get",
        "capabilities",
        r#"{"provides":{"version":2}}"#,
    );
    assert_eq!(status, 0);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["supports"]["version"], 2);
    for action in ["start", "define", "modify", "attributes", "capabilities"] {
        assert!(answer["supports"]["actions"]
            .as_array()
            .unwrap()
            .contains(&action.into()));
    }
}

#[test]
fn every_other_question_goes_on() {
    let tree = host();
    for (event, action) in [
        ("post", "start"),
        ("pre", "stop"),
        ("post", "stop"),
        ("pre", "undefine"),
        ("notify", "start"),
        ("get", "news-of-2031"),
    ] {
        let answer = ask(&tree, event, action, &pinned("rubbish"));
        assert_eq!(
            answer,
            (0, String::new(), String::new()),
            "{event} {action}"
        );
    }
}

#[test]
fn types_that_are_not_ours_are_left_to_others() {
    let tree = host();
    for ty in [
        LOCAL,
        "i915-GVTg_V5_4",
        "..",
        "",
        "a/b",
        "../mdev_supported_types/migdev-serial2",
    ] {
        for (event, action) in [
            ("pre", "start"),
            ("get", "attributes"),
            ("get", "capabilities"),
        ] {
            let answer = ask_of(&tree, ty, event, action, &pinned(NEW));
            assert_eq!(answer, (2, String::new(), String::new()), "{ty}");
        }
    }
}
