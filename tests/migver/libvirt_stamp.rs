// SPDX-License-Identifier: GPL-2.0-only

//! The stamp, with a program in the place of virsh that keeps one domain in files.

use crate::libvirt_tree::Tree;
use migver_cli::{
    commands::libvirt_stamp::{
        self,
        Args, //
    },
    Context,
    Outcome, //
};

use std::{
    fs,
    os::unix::fs::PermissionsExt, //
};

const IMAGE: &str = include_str!("libvirt/image.xml");
const DEVICE: &str = "206bb5c2-2bc3-4986-8d12-144a875d2567";
const NEW: &str = "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,param.ports=eq:2";
const OLD: &str = "migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:2";

/// Keeps the domain in `live.xml` and `config.xml`, as far as they are there; answers as virsh 11.3 does; notes what
/// it was asked in `calls`.
const VIRSH: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
[ "$1" != --connect ] || shift 2
shift # --quiet
echo "$*" >>calls
[ "$LC_ALL" = C ] || exit 1
case $1 in
list) echo guest; echo ;;
dominfo)
	[ "$3" = guest ] || { printf "error: failed to get domain '%s'\n\n" "$3" >&2; exit 1; }
	[ -e live.xml ] && echo 'Id:             3' || echo 'Id:             -'
	printf 'Name:           guest\nState:          of no importance\n'
	[ -e config.xml ] && echo 'Persistent:     yes' || echo 'Persistent:     no' ;;
dumpxml) [ "$2" = --inactive ] && cat config.xml || cat live.xml ;;
metadata)
	file=${6#--}.xml
	start=$(sed '/<migdev:migration/,$d' "$file")
	end=$(sed -n '/<\/migdev:migration/,$p' "$file" | sed 1d)
	[ -n "$end" ] || { start=$(sed '/<\/metadata/,$d' "$file"); end=$(sed -n '/<\/metadata/,$p' "$file"); }
	case $7 in
	--key) set=$(printf '%s' "${10}" | sed 's/<device/<migdev:device/g; s/<migration/<migdev:migration xmlns:migdev="urn:migdev:libvirt:1"/; s/<.migration>/\n<\/migdev:migration>/') ;;
	--remove) set= ;;
	esac
	printf '%s\n%s\n%s\n' "$start" "$set" "$end" >"$file.new"
	mv "$file.new" "$file" ;;
esac
"#;

/// The domain before it was ever stamped.
fn unstamped() -> String {
    let (start, rest) = IMAGE.split_once("    <migdev:migration").unwrap();
    let (_, end) = rest.split_once("</migdev:migration>\n").unwrap();
    format!("{start}{end}")
}

/// A host with the domain, which runs and is defined, and its device.
fn host() -> Tree {
    let tree = Tree::new();
    tree.add_device("0000:00:05.0", "migdev-serial2", DEVICE, Some(NEW), 1);
    tree.write("virsh", VIRSH);
    fs::set_permissions(tree.path("virsh"), fs::Permissions::from_mode(0o755)).unwrap();
    tree.write("live.xml", &unstamped());
    tree.write("config.xml", &unstamped());
    tree
}

fn args(tree: &Tree) -> Args {
    Args {
        domains: vec!["guest".to_owned()],
        all: false,
        uri: None,
        dry_run: false,
        remove: false,
        virsh: tree.path("virsh").into(),
    }
}

fn stamp(tree: &Tree, args: &Args) -> (Result<Outcome, String>, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut input: &[u8] = b"";
    let mut context = Context::new(&mut input, &mut out, &mut err);
    context.sysfs = tree.path("sys");
    let outcome = libvirt_stamp::run(args, &mut context).map_err(|error| error.to_string());
    assert!(err.is_empty());
    (outcome, String::from_utf8(out).unwrap())
}

fn sets(tree: &Tree) -> usize {
    tree.read("calls").matches("metadata").count()
}

#[test]
fn a_domain_gets_the_strings_of_its_devices_wherever_it_exists() {
    let tree = host();
    let (outcome, out) = stamp(&tree, &args(&tree));
    assert_eq!(outcome, Ok(Outcome::Yes));
    assert_eq!(
        out,
        format!("guest (live): set\n  {DEVICE} {NEW}\nguest (config): set\n  {DEVICE} {NEW}\n")
    );
    for file in ["live.xml", "config.xml"] {
        let text = tree.read(file);
        assert!(
            text.contains(&format!("<migdev:device uuid='{DEVICE}' version='{NEW}'/>")),
            "{text}"
        );
    }
    assert!(tree.read("calls").contains(
        "metadata --domain guest --uri urn:migdev:libvirt:1 --live --key migdev --set <migration>"
    ));
}

#[test]
fn a_domain_that_cannot_be_stamped_keeps_no_other_from_it() {
    let tree = host();
    let domains = ["gone", "guest", "lost"].map(str::to_owned).into();
    let args = Args {
        domains,
        ..args(&tree)
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut input: &[u8] = b"";
    let mut context = Context::new(&mut input, &mut out, &mut err);
    context.sysfs = tree.path("sys");
    let error = libvirt_stamp::run(&args, &mut context)
        .unwrap_err()
        .to_string();
    let err = String::from_utf8(err).unwrap();
    assert!(err.contains("failed to get domain 'gone'"), "{err}");
    assert!(error.contains("failed to get domain 'lost'"), "{error}");
    assert_eq!(sets(&tree), 2);
}

#[test]
fn what_is_stamped_is_not_stamped_again() {
    let tree = host();
    stamp(&tree, &args(&tree)).0.unwrap();
    assert_eq!(sets(&tree), 2);
    let (outcome, out) = stamp(&tree, &args(&tree));
    assert_eq!(outcome, Ok(Outcome::Yes));
    assert!(out.starts_with("guest (live): unchanged\n"), "{out}");
    assert_eq!(sets(&tree), 2);
    // But it is when the device is another.
    fs::remove_file(tree.path(&format!("sys/bus/mdev/devices/{DEVICE}"))).unwrap();
    fs::remove_dir_all(tree.path("sys/devices")).unwrap();
    tree.add_device("0000:00:05.0", "migdev-serial2", DEVICE, Some(OLD), 1);
    let (_, out) = stamp(&tree, &args(&tree));
    assert!(
        out.starts_with(&format!("guest (live): set\n  {DEVICE} {OLD}\n")),
        "{out}"
    );
    assert_eq!(sets(&tree), 4);
}

#[test]
fn a_domain_is_stamped_only_where_it_exists() {
    for (there, gone) in [("live", "config"), ("config", "live")] {
        let tree = host();
        fs::remove_file(tree.path(&format!("{gone}.xml"))).unwrap();
        let (outcome, out) = stamp(&tree, &args(&tree));
        assert_eq!(outcome, Ok(Outcome::Yes));
        assert_eq!(out, format!("guest ({there}): set\n  {DEVICE} {NEW}\n"));
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let tree = host();
    let args = Args {
        dry_run: true,
        all: true,
        domains: Vec::new(),
        ..args(&tree)
    };
    let (outcome, out) = stamp(&tree, &args);
    assert_eq!(outcome, Ok(Outcome::Yes));
    assert!(out.starts_with("guest (live): would be set\n"), "{out}");
    assert_eq!(sets(&tree), 0);
    assert_eq!(tree.read("live.xml"), unstamped());
}

#[test]
fn a_stamp_is_removed() {
    let tree = host();
    stamp(&tree, &args(&tree)).0.unwrap();
    let args = Args {
        remove: true,
        ..args(&tree)
    };
    let (outcome, out) = stamp(&tree, &args);
    assert_eq!(outcome, Ok(Outcome::Yes));
    assert!(out.starts_with("guest (live): removed\n"), "{out}");
    assert!(!tree.read("live.xml").contains("migdev"));
    assert!(stamp(&tree, &args)
        .1
        .starts_with("guest (live): unchanged\n"));
}

#[test]
fn a_device_without_a_string_is_told_and_answers_no() {
    let tree = host();
    let device = tree.path(&format!("sys/devices/0000:00:05.0/{DEVICE}"));
    fs::remove_file(device.join("migration_version")).unwrap();
    let (outcome, out) = stamp(&tree, &args(&tree));
    assert_eq!(outcome, Ok(Outcome::No));
    assert!(
        out.starts_with(&format!(
            "guest (live): unchanged\n  {DEVICE} the device does not migrate\n"
        )),
        "{out}"
    );
    fs::remove_file(tree.path(&format!("sys/bus/mdev/devices/{DEVICE}"))).unwrap();
    let (outcome, out) = stamp(&tree, &args(&tree));
    assert_eq!(outcome, Ok(Outcome::No));
    assert!(out.contains("the device does not exist\n"), "{out}");
    // Once it was stamped, that stays while the device does not exist.
    tree.write("config.xml", IMAGE);
    fs::remove_file(tree.path("live.xml")).unwrap();
    let (outcome, out) = stamp(&tree, &args(&tree));
    assert_eq!(outcome, Ok(Outcome::Yes));
    assert!(
        out.contains("(as stamped: the device does not exist now)"),
        "{out}"
    );
    assert_eq!(tree.read("config.xml"), IMAGE);
}

#[test]
fn what_virsh_says_is_passed_on() {
    let tree = host();
    let other = Args {
        domains: vec!["other".to_owned()],
        ..args(&tree)
    };
    let error = stamp(&tree, &other).0.unwrap_err();
    assert!(
        error.ends_with("/virsh dominfo: error: failed to get domain 'other'"),
        "{error}"
    );
    let none = Args {
        virsh: tree.path("none").into(),
        ..args(&tree)
    };
    let error = stamp(&tree, &none).0.unwrap_err();
    assert!(
        error.ends_with(
            "/none: No such file or directory\n  hint: --virsh PROGRAM says where it is"
        ),
        "{error}"
    );
}
