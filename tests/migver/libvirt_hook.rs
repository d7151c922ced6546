// SPDX-License-Identifier: GPL-2.0-only

//! The hook as libvirt runs it, on a tree of files: everything but the creation of devices, which
//! only a kernel can do. That is tried in `libvirt_choice.rs` and in the emulated machine.

use crate::libvirt_tree::Tree;
use migver_cli::{
    commands::libvirt_hook::{
        self,
        Args, //
    },
    Context,
    Outcome, //
};

use std::{
    fs,
    io::Write,
    path::Path,
    process::{
        Command,
        Stdio, //
    }, //
};

const IMAGE: &str = include_str!("libvirt/image.xml");
const DEVICE: &str = "206bb5c2-2bc3-4986-8d12-144a875d2567";
const SPARE: &str = "8ce25d31-69ea-4f43-b4da-77fa7aca2ea7";
const DOMAIN: &str = "c7a5fdbd-edaf-9455-926a-d65c16db1809";
const NEW: &str = "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,param.ports=eq:2";
const OLD: &str = "migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:2";
const CARD: &str = "0000:00:05.0";
const TWO: &str = "migdev-serial2";

/// What the hook said.
#[derive(Debug)]
struct Said {
    outcome: Result<Outcome, String>,
    out: String,
    err: String,
}

fn hook_with(tree: &Tree, event: [&str; 2], xml: &str, configuration: &str) -> Said {
    let path = |name| tree.path(name).display().to_string();
    tree.write(
        "hook.toml",
        &format!(
            "log = '{}'\nstate-directory = '{}'\nrunning-domains = '{}'\ndefined-domains = '{}'\n\
             lock-timeout = 1\n{configuration}",
            path("log"),
            path("run/migdev"),
            path("run/libvirt/qemu"),
            path("etc/libvirt/qemu"),
        ),
    );
    let args = Args {
        domain: "guest".to_owned(),
        operation: event[0].to_owned(),
        sub_operation: event[1].to_owned(),
        extra: vec!["-".to_owned()],
        config: tree.path("hook.toml"),
        proc: tree.path("proc"),
    };
    let mut input = xml.as_bytes();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut context = Context::new(&mut input, &mut out, &mut err);
    context.sysfs = tree.path("sys");
    let outcome = libvirt_hook::run(&args, &mut context).map_err(|error| error.to_string());
    assert!(input.is_empty(), "the hook left libvirt writing");
    Said {
        outcome,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

fn hook(tree: &Tree, event: [&str; 2], xml: &str) -> Said {
    hook_with(tree, event, xml, "")
}

/// A host with a device that is that of the domain, and a spare one.
fn host() -> Tree {
    let tree = Tree::new();
    tree.add_type(CARD, TWO, Some(NEW));
    tree.add_device(CARD, TWO, DEVICE, Some(NEW), 1);
    tree.add_device(CARD, TWO, SPARE, Some(NEW), 2);
    tree
}

/// Runs the program itself, and stops listening to it before it can say anything.
#[test]
fn a_libvirt_that_does_not_listen_any_more_was_given_nothing() {
    let tree = host();
    assert_eq!(hook(&tree, RESTORE, IMAGE).outcome, Ok(Outcome::Yes));
    let record = tree.path(&format!("run/migdev/domains/{DOMAIN}.json"));
    fs::remove_file(&record).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_migver"))
        .arg("libvirt-hook")
        .arg("--sysfs")
        .arg(tree.path("sys"))
        .arg("--proc")
        .arg(tree.path("proc"))
        .arg("--config")
        .arg(tree.path("hook.toml"))
        .args(["guest", "restore", "begin", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let old = IMAGE.replace(NEW, OLD);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(old.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert_eq!(err, "migver: completing the event: Broken pipe\n");
    assert!(!record.exists());
}

const RESTORE: [&str; 2] = ["restore", "begin"];

#[test]
fn a_device_that_is_here_leaves_the_domain_as_it_is() {
    for event in [RESTORE, ["migrate", "begin"]] {
        let tree = host();
        let said = hook(&tree, event, IMAGE);
        assert_eq!(said.outcome, Ok(Outcome::Yes), "{said:?}");
        assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
        let log = tree.read("log");
        let expected = format!(
            " domain=guest event={} source={DEVICE} device={DEVICE} outcome=kept\n",
            event[0]
        );
        assert!(log.ends_with(&expected), "{log}");
    }
}

#[test]
fn another_device_is_put_in_its_place_and_nothing_else_changes() {
    let tree = host();
    tree.write(
        "run/libvirt/qemu/other.xml",
        &IMAGE.replace(">guest<", ">other<"),
    );
    let said = hook(&tree, RESTORE, IMAGE);
    assert_eq!(said.outcome, Ok(Outcome::Yes), "{said:?}");
    assert_eq!(said.out, IMAGE.replace(DEVICE, SPARE));
    assert!(tree.read("log").contains("outcome=found\n"));
}

#[test]
fn the_metadata_then_says_what_the_device_here_is() {
    let tree = host();
    let old = IMAGE.replace(NEW, OLD);
    let said = hook(&tree, RESTORE, &old);
    assert_eq!(said.outcome, Ok(Outcome::Yes), "{said:?}");
    assert_eq!(said.out, IMAGE);
}

/// The domain with one mdev more, of which the metadata says something or not.
fn with_another(uuid: &str, is_pinned: bool) -> String {
    let end = "  </devices>";
    let hostdev = format!(
        "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='{uuid}'/></source></hostdev>"
    );
    let xml = IMAGE.replace(end, &format!("{hostdev}\n{end}"));
    if is_pinned {
        with_another_pin(&xml, uuid)
    } else {
        xml
    }
}

fn with_another_pin(xml: &str, uuid: &str) -> String {
    let end = "    </migdev:migration>";
    let pin = format!("<migdev:device uuid='{uuid}' version='{NEW}'/>");
    xml.replace(end, &format!("{pin}\n{end}"))
}

/// A host with the spare device, and with one that comes after it when devices are tried in order.
fn host_of_others() -> Tree {
    let tree = Tree::new();
    tree.add_type(CARD, TWO, Some(NEW));
    tree.add_device(CARD, TWO, SPARE, Some(NEW), 2);
    tree.add_device(CARD, TWO, LAST, Some(NEW), 3);
    tree
}

const LAST: &str = "ffffffff-69ea-4f43-b4da-77fa7aca2ea7";

#[test]
fn an_mdev_that_is_left_alone_is_not_given_to_another() {
    let xml = with_another(SPARE, false);
    let said = hook(&host_of_others(), RESTORE, &xml);
    assert_eq!(said.outcome, Ok(Outcome::Yes), "{said:?}");
    assert_eq!(said.out, xml.replace(DEVICE, LAST));
}

#[test]
fn an_mdev_that_is_here_is_kept_before_another_gets_it() {
    let xml = with_another(SPARE, true);
    let said = hook(&host_of_others(), RESTORE, &xml);
    assert_eq!(said.outcome, Ok(Outcome::Yes), "{said:?}");
    assert_eq!(said.out, xml.replace(DEVICE, LAST));
}

#[test]
fn the_metadata_names_no_device_twice_afterwards() {
    let xml = with_another_pin(IMAGE, SPARE);
    let said = hook(&host_of_others(), RESTORE, &xml);
    assert_eq!(said.outcome, Ok(Outcome::Yes), "{said:?}");
    assert_eq!(said.out, xml.replace(DEVICE, LAST));
}

#[test]
fn events_that_are_none_of_ours_pass_without_a_word() {
    let tree = host();
    for event in [
        ["prepare", "begin"],
        ["start", "begin"],
        ["started", "begin"],
        ["stopped", "end"],
        ["release", "end"],
        ["reconnect", "begin"],
        ["attach", "begin"],
        ["migrate", "end"],
        ["news", "of-2031"],
    ] {
        let said = hook(&tree, event, IMAGE);
        assert_eq!(said.outcome, Ok(Outcome::Yes), "{event:?} {said:?}");
        assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    }
    assert!(!tree.path("log").exists());
    assert!(!tree.path("run/migdev").exists());
}

#[test]
fn a_refusal_is_one_line_with_field_values_and_side() {
    let tree = Tree::new();
    tree.add_type(CARD, TWO, Some(OLD));
    tree.add_type(CARD, "migdev-serial1-local", None);
    let said = hook(&tree, RESTORE, IMAGE);
    assert_eq!(said.outcome, Ok(Outcome::No));
    assert_eq!(said.out, "");
    assert_eq!(
        said.err,
        format!(
            "migver: no device for mdev {DEVICE}: abi: source 1.1, destination 1.0: the destination is too old; \
             stream: source writes 2, destination loads 1-1: the destination is too old (type {CARD}/{TWO})\n"
        )
    );
    let log = tree.read("log");
    assert!(
        log.lines()
            .all(|line| line.contains(" domain=guest event=restore ")),
        "{log}"
    );
    assert!(log.contains("outcome=refused: no device for mdev"), "{log}");
    assert_eq!(
        fs::read_dir(tree.path("run/migdev/domains"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn an_mdev_that_the_metadata_does_not_name_is_left_alone_unless_that_is_forbidden() {
    let tree = host();
    let unstamped = IMAGE.replace(
        &format!("uuid=\"{DEVICE}\" version"),
        &format!("uuid=\"{SPARE}\" version"),
    );
    assert_ne!(unstamped, IMAGE);
    let said = hook(&tree, RESTORE, &unstamped);
    assert_eq!((said.outcome, said.out.as_str()), (Ok(Outcome::Yes), ""));
    assert!(tree.read("log").contains("outcome=left alone"));
    let said = hook_with(&tree, RESTORE, &unstamped, "require-metadata = true");
    assert_eq!(said.outcome, Ok(Outcome::No));
    assert!(
        said.err
            .contains("the domain's metadata does not say what it is"),
        "{said:?}"
    );
}

#[test]
fn a_version_that_is_none_is_refused() {
    let tree = host();
    for bad in ["", "migver:2,vendor=x", "rubbish", "migver:1,&#10;"] {
        let said = hook(&tree, RESTORE, &IMAGE.replace(NEW, bad));
        assert_eq!(said.outcome, Ok(Outcome::No), "{bad}");
        assert!(
            said.err.contains(": its version in the metadata, \""),
            "{said:?}"
        );
        assert_eq!(said.err.lines().count(), 1);
    }
}

#[test]
fn a_domain_that_runs_here_gets_nothing() {
    let tree = host();
    tree.write("run/libvirt/qemu/guest.xml", "<domstatus/>");
    let said = hook(&tree, RESTORE, IMAGE);
    assert_eq!(said.outcome, Ok(Outcome::No));
    assert_eq!(said.err, "migver: domain guest: it runs here already\n");
}

/// Whether the hook took the spare device because the domain's own is in use, and whose it said it is.
fn is_in_use(tree: &Tree, by: &str) {
    let said = hook_with(tree, RESTORE, IMAGE, "reuse = false\ncreate = false");
    assert_eq!(said.outcome, Ok(Outcome::No), "{said:?}");
    assert_eq!(
        said.err,
        format!("migver: no device for mdev {DEVICE}: it is in use by {by} (device {DEVICE})\n")
    );
    let said = hook(tree, RESTORE, IMAGE);
    assert_eq!(said.outcome, Ok(Outcome::Yes), "{said:?}");
    assert_eq!(said.out, IMAGE.replace(DEVICE, SPARE));
}

#[test]
fn a_device_of_another_domain_is_in_use() {
    let tree = host();
    let status = include_str!("libvirt/status.xml").replace(">guest<", ">other<");
    tree.write("run/libvirt/qemu/other.xml", &status);
    is_in_use(&tree, "the running domain other");
    let tree = host();
    tree.write("etc/libvirt/qemu/other.xml", IMAGE);
    is_in_use(&tree, "the defined domain other");
    // It may be written in capitals, and is not had by a domain whose metadata alone names it.
    let tree = host();
    let shouted = IMAGE.replace(DEVICE, &DEVICE.to_uppercase());
    tree.write("etc/libvirt/qemu/other.xml", &shouted);
    is_in_use(&tree, "the defined domain other");
    let told = shouted.replace("type='mdev'", "type='pci'");
    tree.write("etc/libvirt/qemu/other.xml", &told);
    assert_eq!(hook(&tree, RESTORE, IMAGE).out, "");
    // What cannot be read is believed to have it.
    let tree = host();
    tree.write(
        "run/libvirt/qemu/broken.xml",
        &format!("<domstatus><{}", DEVICE.to_uppercase()),
    );
    is_in_use(&tree, "the running domain broken");
}

#[test]
fn a_device_that_a_process_has_open_is_in_use() {
    let by = "process 77 (qemu-system-x86)";
    // By its file, of which the kernel tells the device.
    let tree = host();
    let info = format!("pos:\t0\nvfio-device-syspath: /sys/devices/{CARD}/{DEVICE}\n");
    tree.add_process(77, "", Path::new("anon_inode:[vfio-device]"), &info);
    is_in_use(&tree, by);
    // By its group, under whatever name: /dev/null stands for the group's device.
    let tree = host();
    tree.write("sys/class/vfio/1/dev", "1:3\n");
    tree.add_process(77, "dev/vfio/1", Path::new("/dev/null"), "");
    is_in_use(&tree, by);
    // By its own character device.
    let tree = host();
    tree.write(
        &format!("sys/devices/{CARD}/{DEVICE}/vfio-dev/vfio3/dev"),
        "1:3\n",
    );
    tree.add_process(77, "dev/vfio/devices/vfio3", Path::new("/dev/null"), "");
    is_in_use(&tree, by);
}

#[test]
fn a_device_that_was_promised_to_another_domain_is_in_use_for_a_while() {
    let tree = host();
    assert_eq!(hook(&tree, RESTORE, IMAGE).outcome, Ok(Outcome::Yes));
    let record = tree.read(&format!("run/migdev/domains/{DOMAIN}.json"));
    assert!(
        record.contains(&format!("{{\"uuid\":\"{DEVICE}\",\"created\":false}}")),
        "{record}"
    );
    let other = IMAGE.replace(DOMAIN, "c7a5fdbd-edaf-9455-926a-000000000002");
    let said = hook_with(&tree, RESTORE, &other, "reservation = 3600");
    assert_eq!(said.out, other.replace(DEVICE, SPARE));
    // The first domain never came.
    fs::remove_file(tree.path("run/migdev/domains/c7a5fdbd-edaf-9455-926a-000000000002.json"))
        .unwrap();
    let said = hook_with(&tree, RESTORE, &other, "reservation = 0");
    assert_eq!((said.outcome, said.out.as_str()), (Ok(Outcome::Yes), ""));
    assert!(!tree
        .path(&format!("run/migdev/domains/{DOMAIN}.json"))
        .exists());
}

#[test]
fn only_what_was_created_for_a_domain_is_removed_after_it() {
    let release = ["release", "end"];
    for created in [true, false] {
        let tree = host();
        let record = format!(
            "{{\"schema\":1,\"uuid\":\"{DOMAIN}\",\"domain\":\"guest\",\"time\":0,\
             \"devices\":[{{\"uuid\":\"{SPARE}\",\"created\":{created}}}]}}"
        );
        tree.write(&format!("run/migdev/domains/{DOMAIN}.json"), &record);
        let said = hook(&tree, release, IMAGE);
        assert_eq!((said.outcome, said.err.as_str()), (Ok(Outcome::Yes), ""));
        let written = if created { "1\n" } else { "" };
        assert_eq!(
            tree.read(&format!("sys/devices/{CARD}/{SPARE}/remove")),
            written
        );
        assert_eq!(
            tree.read(&format!("sys/devices/{CARD}/{DEVICE}/remove")),
            ""
        );
        assert!(!tree
            .path(&format!("run/migdev/domains/{DOMAIN}.json"))
            .exists());
    }
}

#[test]
fn what_was_created_for_a_domain_and_is_in_use_is_not_removed() {
    let tree = host();
    let record = format!(
        "{{\"schema\":1,\"uuid\":\"{DOMAIN}\",\"domain\":\"guest\",\"time\":0,\
         \"devices\":[{{\"uuid\":\"{SPARE}\",\"created\":true}}]}}"
    );
    let name = format!("run/migdev/domains/{DOMAIN}.json");
    tree.write(&name, &record);
    let info = format!("vfio-device-syspath: /sys/devices/{CARD}/{SPARE}\n");
    tree.add_process(77, "", Path::new("anon_inode:[vfio-device]"), &info);
    let said = hook(&tree, ["release", "end"], IMAGE);
    assert_eq!(said.outcome, Ok(Outcome::Yes));
    assert_eq!(tree.read(&format!("sys/devices/{CARD}/{SPARE}/remove")), "");
    // And it is not forgotten.
    assert!(tree.read(&name).contains(SPARE));
    assert!(tree
        .read("log")
        .contains("not removed: it is in use by process 77"));
}

#[test]
fn whoever_holds_the_lock_is_waited_for_but_not_for_ever() {
    let tree = host();
    assert_eq!(hook(&tree, RESTORE, IMAGE).outcome, Ok(Outcome::Yes));
    let lock = fs::File::open(tree.path("run/migdev/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let said = hook(&tree, RESTORE, IMAGE);
    let error = said.outcome.unwrap_err();
    assert!(
        error.contains("another hook has been choosing a device for too long"),
        "{error}"
    );
    drop(lock);
    assert_eq!(hook(&tree, RESTORE, IMAGE).outcome, Ok(Outcome::Yes));
}

#[test]
fn xml_that_is_none_and_a_configuration_that_is_none_are_errors() {
    let tree = host();
    let error = hook(&tree, RESTORE, "<domain").outcome.unwrap_err();
    assert!(
        error.starts_with("the XML of domain guest: it is not well-formed: "),
        "{error}"
    );
    let error = hook_with(&tree, RESTORE, IMAGE, "create = 1")
        .outcome
        .unwrap_err();
    assert!(error.contains("hook.toml: line 6: invalid type"), "{error}");
}

#[test]
fn a_domain_without_an_mdev_is_none_of_the_configurations_business() {
    let xml = IMAGE.replace("type='mdev'", "type='pci'");
    for event in [
        RESTORE,
        ["migrate", "begin"],
        ["prepare", "begin"],
        ["release", "end"],
    ] {
        let said = hook_with(&host(), event, &xml, "create = 1");
        assert_eq!(said.outcome, Ok(Outcome::Yes), "{said:?}");
    }
}

#[test]
fn a_state_directory_that_others_may_write_to_is_not_used() {
    use std::os::unix::fs::{
        symlink,
        PermissionsExt, //
    };
    let refused = |tree: &Tree, name: &str, why: &str| {
        let error = hook(tree, RESTORE, IMAGE).outcome.unwrap_err();
        assert!(error.contains(name) && error.contains(why), "{error}");
    };
    for name in ["run/migdev", "run/migdev/domains"] {
        let tree = host();
        tree.write("run/migdev/domains/.keep", "");
        fs::set_permissions(tree.path(name), fs::Permissions::from_mode(0o777)).unwrap();
        refused(&tree, name, "others may write to it");
    }
    let tree = host();
    tree.write("elsewhere/domains/.keep", "");
    symlink(tree.path("elsewhere"), tree.path("run/migdev")).unwrap();
    refused(&tree, "run/migdev", "not a directory");
    // Whoever may open the lock could hold every hook up.
    let tree = host();
    assert_eq!(hook(&tree, RESTORE, IMAGE).outcome, Ok(Outcome::Yes));
    let lock = fs::metadata(tree.path("run/migdev/lock")).unwrap();
    assert_eq!(lock.permissions().mode() & 0o777, 0o600);
    fs::remove_file(tree.path("run/migdev/lock")).unwrap();
    symlink(tree.path("elsewhere"), tree.path("run/migdev/lock")).unwrap();
    refused(&tree, "run/migdev/lock", "symbolic links");
    assert!(!tree.path("elsewhere").exists());
}

#[test]
fn the_log_is_not_for_everyone() {
    use std::os::unix::fs::PermissionsExt;
    let tree = host();
    assert_eq!(hook(&tree, RESTORE, IMAGE).outcome, Ok(Outcome::Yes));
    let mode = fs::metadata(tree.path("log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0);
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let tree = host();
    fs::create_dir(tree.path("log")).unwrap();
    assert_eq!(hook(&tree, RESTORE, IMAGE).outcome, Ok(Outcome::Yes));
}
