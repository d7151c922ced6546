// SPDX-License-Identifier: GPL-2.0-only

//! Which device a domain gets, and that nothing is left behind when it gets none.

use crate::libvirt_host::{
    uuid,
    version,
    Memory, //
};
use migver::Version;
use migver_cli::libvirt::{
    choose,
    Choice,
    Entry,
    Host,
    How,
    Node,
    Policy,
    Transaction,
    Uuid,
    Wish, //
};

use std::{
    collections::BTreeSet,
    io, //
};

const A: &str = "0000:00:05.0";
const B: &str = "0000:00:06.0";
const ONE: &str = "migdev-serial1";
const TWO: &str = "migdev-serial2";

fn policy() -> Policy {
    Policy {
        parents: Vec::new(),
        reuse: true,
        create: true,
        substitute: true,
    }
}

/// What the hook does between reading and writing the XML: chooses for each wish, then completes.
fn arrive(
    host: &mut Memory,
    policy: &Policy,
    wishes: &[(Uuid, String)],
) -> Result<Vec<Choice>, String> {
    let inventory = host.inventory().map_err(|error| error.to_string())?;
    let before = host.notes.clone();
    let mut transaction = Transaction::begin(host, before);
    let mut given = BTreeSet::new();
    let mut choices = Vec::new();
    for (uuid, text) in wishes {
        let source = Version::parse(text.as_bytes()).map_err(|error| error.to_string())?;
        let wish = Wish { uuid, source, text };
        let choice = choose(&mut transaction, &inventory, policy, wish, &mut given);
        choices.push(choice.map_err(|refusal| refusal.to_string())?);
    }
    transaction
        .complete(|| Ok(()))
        .map_err(|error| error.to_string())?;
    Ok(choices)
}

fn one(host: &mut Memory, policy: &Policy, source: &str) -> Result<Choice, String> {
    arrive(host, policy, &[(uuid(1), source.to_owned())]).map(|choices| choices[0].clone())
}

fn of(parent: &str, name: &str) -> How {
    How::Created(Node::Type {
        parent: parent.to_owned(),
        name: name.to_owned(),
    })
}

#[test]
fn the_device_of_the_same_uuid_is_kept() {
    let new = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &new)]);
    host.add(&uuid(1), A, TWO, &new);
    host.add(&uuid(2), A, TWO, &new);
    let choice = one(&mut host, &policy(), &version("1.0", "1:1-1", 2)).unwrap();
    assert_eq!(choice.how, How::Kept);
    assert_eq!(choice.uuid, uuid(1));
    // What the domain carries on is what the device here says of itself.
    assert_eq!(choice.version, new);
    let entry = Entry {
        uuid: uuid(1),
        created: false,
    };
    assert_eq!(host.notes, [entry]);
}

#[test]
fn a_device_in_use_is_not_taken() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &string)]);
    host.add(&uuid(1), A, TWO, &string);
    host.add(&uuid(2), A, TWO, &string);
    host.add(&uuid(3), A, TWO, &string);
    host.users
        .insert(uuid(1), "the running domain other".to_owned());
    host.users.insert(uuid(2), "process 7 (qemu)".to_owned());
    let choice = one(&mut host, &policy(), &string).unwrap();
    assert_eq!((choice.how, choice.uuid), (How::Found, uuid(3)));
}

#[test]
fn a_device_is_created_of_the_same_uuid_where_that_is_free() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, ONE, &version("1.1", "2:1-2", 1)), (A, TWO, &string)]);
    let choice = one(&mut host, &policy(), &string).unwrap();
    assert_eq!((choice.how, choice.uuid), (of(A, TWO), uuid(1)));
    assert!(host.notes[0].created);
    assert_eq!(
        *host.steps.borrow(),
        [
            format!("offer to type {A}/{TWO}"),
            "note 1".to_owned(),
            format!("create {} of {A}/{TWO}", uuid(1)),
            format!("offer to device {}", uuid(1)),
            format!("read {}", uuid(1)),
            "note 1".to_owned(),
        ]
    );
}

#[test]
fn a_device_of_a_new_uuid_is_created_where_that_of_the_source_is_in_use() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &string)]);
    host.add(&uuid(1), A, TWO, &string);
    host.users.insert(uuid(1), "process 7 (qemu)".to_owned());
    let choice = one(&mut host, &policy(), &string).unwrap();
    assert_eq!((choice.how, choice.uuid), (of(A, TWO), uuid(0xf01)));
    assert_eq!(host.devices.len(), 2);
}

#[test]
fn whoever_takes_the_uuid_first_keeps_it() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &string)]);
    host.races.extend([uuid(1), uuid(0xf01)]);
    let choice = one(&mut host, &policy(), &string).unwrap();
    assert_eq!(choice.uuid, uuid(0xf02));
    // The others' devices are not ours to remove.
    let ours: Vec<_> = host.notes.iter().map(|entry| &entry.uuid).collect();
    assert_eq!(ours, [&uuid(0xf02)]);
    assert_eq!(host.devices.len(), 3);
}

#[test]
fn two_mdevs_of_a_domain_get_two_devices() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &string)]);
    host.add(&uuid(9), A, TWO, &string);
    let wishes = [(uuid(1), string.clone()), (uuid(2), string.clone())];
    let choices = arrive(&mut host, &policy(), &wishes).unwrap();
    assert_eq!((&choices[0].how, &choices[0].uuid), (&How::Found, &uuid(9)));
    assert_eq!((&choices[1].how, &choices[1].uuid), (&of(A, TWO), &uuid(2)));
}

#[test]
fn one_refused_mdev_takes_the_others_devices_along() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &string)]);
    let wishes = [
        (uuid(1), string.clone()),
        (uuid(2), string.clone()),
        (uuid(3), version("1.1", "2:1-2", 1)),
    ];
    let refusal = arrive(&mut host, &policy(), &wishes).unwrap_err();
    assert!(
        refusal.contains("param.ports: source eq:1, destination eq:2"),
        "{refusal}"
    );
    assert!(host.devices.is_empty(), "{host:?}");
    assert!(host.notes.is_empty(), "{host:?}");
}

#[test]
fn the_operators_parents_go_first_then_the_nearest() {
    let source = version("1.0", "1:1-1", 2);
    let equal = version("1.0", "1:1-1", 2);
    let newer = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &newer), (B, TWO, &equal)]);
    assert_eq!(one(&mut host, &policy(), &source).unwrap().how, of(B, TWO));

    let mut host = Memory::with(&[(A, TWO, &newer), (B, TWO, &equal)]);
    let policy = Policy {
        parents: vec!["0000:00:07.0".to_owned(), A.to_owned()],
        ..policy()
    };
    assert_eq!(one(&mut host, &policy, &source).unwrap().how, of(A, TWO));
}

#[test]
fn a_full_type_gives_way_to_the_next() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &string), (B, TWO, &string)]);
    host.types
        .get_mut(&(A.to_owned(), TWO.to_owned()))
        .unwrap()
        .1 = 0;
    assert_eq!(one(&mut host, &policy(), &string).unwrap().how, of(B, TWO));
    host.types
        .get_mut(&(B.to_owned(), TWO.to_owned()))
        .unwrap()
        .1 = 0;
    let wish = [(uuid(2), string.clone())];
    let policy = Policy {
        reuse: false,
        ..policy()
    };
    let refusal = arrive(&mut host, &policy, &wish).unwrap_err();
    assert!(
        refusal.starts_with("no more devices can be created of it (type "),
        "{refusal}"
    );
}

#[test]
fn what_the_operator_forbids_is_not_done() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &string)]);
    let no_creation = Policy {
        create: false,
        ..policy()
    };
    assert!(one(&mut host, &no_creation, &string).is_err());
    host.add(&uuid(9), A, TWO, &string);
    assert_eq!(one(&mut host, &no_creation, &string).unwrap().uuid, uuid(9));
    let no_reuse = Policy {
        reuse: false,
        ..policy()
    };
    assert_eq!(one(&mut host, &no_reuse, &string).unwrap().how, of(A, TWO));
}

#[test]
fn a_start_gets_the_same_uuid_or_nothing() {
    let string = version("1.1", "2:1-2", 2);
    let policy = Policy {
        substitute: false,
        ..policy()
    };
    let mut host = Memory::with(&[(A, TWO, &string)]);
    host.add(&uuid(9), A, TWO, &string);
    assert_eq!(one(&mut host, &policy, &string).unwrap().uuid, uuid(1));
    let mut host = Memory::with(&[(A, TWO, &string)]);
    host.races.insert(uuid(1));
    let refusal = one(&mut host, &policy, &string).unwrap_err();
    assert!(refusal.contains("a device cannot be created"), "{refusal}");
    assert!(host.notes.is_empty());
}

#[test]
fn a_refusal_names_the_nearest_node_and_every_reason() {
    let mut host = Memory::with(&[
        (A, ONE, &version("1.1", "2:1-2", 1)),
        (A, TWO, &version("1.0", "1:1-1", 2)),
    ]);
    let refusal = one(&mut host, &policy(), &version("1.1", "2:1-2", 2)).unwrap_err();
    assert_eq!(
        refusal,
        "abi: source 1.1, destination 1.0: the destination is too old; \
         stream: source writes 2, destination loads 1-1: the destination is too old \
         (type 0000:00:05.0/migdev-serial2, the nearest of 2 types and devices here)"
    );
    assert!(
        host.steps.borrow().iter().all(|step| step == "note 0"),
        "{host:?}"
    );
    let refusal = one(
        &mut Memory::default(),
        &policy(),
        &version("1.1", "2:1-2", 2),
    );
    assert_eq!(refusal.unwrap_err(), "this host has no mdev type");
}

#[test]
fn a_device_that_the_kernel_refuses_after_its_type_did_not_is_removed() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &string)]);
    host.device_refuses = true;
    let refusal = one(&mut host, &policy(), &string).unwrap_err();
    assert_eq!(
        refusal,
        format!(
            "the kernel refused: Operation not supported (device {})",
            uuid(1)
        )
    );
    assert!(host.devices.is_empty());
    assert!(host.notes.is_empty());
}

/// A host with work for every kind of step: a device that is in use, one that is not, and two mdevs
/// for which devices are created, one of them after a race.
fn busy(parents: &[&str]) -> (Memory, Vec<(Uuid, String)>) {
    let string = version("1.1", "2:1-2", 2);
    let types: Vec<_> = parents
        .iter()
        .map(|parent| (*parent, TWO, string.as_str()))
        .collect();
    let mut host = Memory::with(&types);
    host.add(&uuid(1), A, TWO, &string);
    host.add(&uuid(5), A, TWO, &string);
    host.users.insert(uuid(1), "process 7 (qemu)".to_owned());
    host.races.insert(uuid(3));
    let wishes = [1, 2, 3].map(|digit| (uuid(digit), string.clone()));
    (host, wishes.to_vec())
}

/// Runs the hook's work to its end, to see how many steps it takes.
fn steps(parents: &[&str]) -> usize {
    let (mut host, wishes) = busy(parents);
    arrive(&mut host, &policy(), &wishes).unwrap();
    let steps = host.steps.borrow().len();
    assert!(steps > 15, "{host:?}");
    steps
}

#[test]
fn whichever_step_fails_nothing_is_left_behind() {
    // With a second card there is another way out of most failures; with one there is none.
    for (parents, ways_out) in [(&[A][..], false), (&[A, B][..], true)] {
        let mut refused = 0;
        let steps = steps(parents);
        for step in 0..steps {
            let (mut host, wishes) = busy(parents);
            host.fails_at = Some(step);
            let outcome = arrive(&mut host, &policy(), &wishes);
            check(&host, parents, outcome.is_ok(), &format!("step {step}"));
            refused += usize::from(outcome.is_err());
        }
        assert_eq!(refused < steps / 2, ways_out, "{refused} of {steps}");
    }
}

#[test]
fn whenever_a_signal_comes_nothing_is_left_behind() {
    let parents = &[A, B];
    for step in 0..=steps(parents) {
        let (mut host, wishes) = busy(parents);
        host.interrupted_after = Some(step);
        let outcome = arrive(&mut host, &policy(), &wishes);
        assert!(outcome.is_err(), "a signal after step {step} went unheard");
        check(&host, parents, false, &format!("signal after step {step}"));
    }
}

/// Checks that the host has what was given and nothing else.
fn check(host: &Memory, parents: &[&str], succeeded: bool, when: &str) {
    let others = [uuid(1), uuid(5), uuid(3)];
    let created: BTreeSet<_> = host
        .devices
        .keys()
        .filter(|uuid| !others.contains(uuid))
        .collect();
    let noted: BTreeSet<_> = host
        .notes
        .iter()
        .filter(|entry| entry.created)
        .map(|entry| &entry.uuid)
        .collect();
    assert_eq!(created, noted, "{when}: {host:?}");
    if succeeded {
        assert_eq!(host.notes.len(), 3, "{when}: {host:?}");
    } else {
        assert!(host.notes.is_empty(), "{when}: {host:?}");
    }
    let left: u64 = host.types.values().map(|(_, available)| available).sum();
    let all = left + u64::try_from(created.len()).unwrap();
    assert_eq!(
        all,
        4 * u64::try_from(parents.len()).unwrap(),
        "{when}: {host:?}"
    );
}

#[test]
fn what_cannot_be_told_to_libvirt_is_taken_back() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &string)]);
    let mut transaction = Transaction::begin(&mut host, Vec::new());
    transaction.create(A, TWO, &uuid(1)).unwrap();
    let result = transaction.complete(|| Err(io::ErrorKind::BrokenPipe.into()));
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(host.devices.is_empty());
    assert!(host.notes.is_empty());
}

#[test]
fn what_the_domain_was_given_earlier_stays_written_down() {
    let string = version("1.1", "2:1-2", 2);
    let mut host = Memory::with(&[(A, TWO, &string)]);
    host.add(&uuid(7), A, TWO, &string);
    host.notes = vec![Entry {
        uuid: uuid(7),
        created: true,
    }];
    let before = host.notes.clone();
    let refusal = one(&mut host, &policy(), &version("1.1", "2:1-2", 1));
    assert!(refusal.is_err());
    assert_eq!(host.notes, before);
    // A second attempt takes the device of the first, and still removes it at the end.
    let choice = one(&mut host, &policy(), &string).unwrap();
    assert_eq!((choice.how, choice.uuid), (How::Found, uuid(7)));
    assert_eq!(host.notes, before);
}
