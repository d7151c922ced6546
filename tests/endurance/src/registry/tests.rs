// SPDX-License-Identifier: GPL-2.0-only
//! Histories made by hand, of which the model must accept some and reject others.

use super::*;
use crate::history::explain;
use What::*;

const OK: Answer<u32> = Ok(0);

fn at(begin: u64, end: u64, what: What, answer: Answer<u32>) -> Event<Call> {
    let call = Call {
        what,
        answer,
        contended: false,
    };
    Event { begin, end, call }
}

/// Calls one after the other.
fn in_turn(calls: &[(What, Answer<u32>)]) -> Vec<Event<Call>> {
    let each = calls.iter().zip(1_u64..);
    each.map(|((what, answer), moment)| at(10 * moment, 10 * moment + 5, *what, *answer))
        .collect()
}

fn holds(events: &[Event<Call>]) -> bool {
    let mut events = events.to_vec();
    note_contention(&mut events);
    let registry = Registry {
        limit: 2,
        releases_late: false,
    };
    explain(&registry, State::without_devices(3), &events).is_ok()
}

fn accepts(calls: &[(What, Answer<u32>)]) -> bool {
    holds(&in_turn(calls))
}

#[test]
fn a_uuid_is_taken_while_its_device_is_there() {
    let (create, remove) = ((Create(0, 0), OK), (Remove(0), OK));
    assert!(accepts(&[create, (Create(0, 1), Err(EEXIST))]));
    assert!(!accepts(&[(Create(0, 0), Err(EEXIST))]));
    assert!(!accepts(&[create, create]));
    assert!(accepts(&[create, remove, create]));
    assert!(!accepts(&[create, remove, (Create(0, 0), Err(EEXIST))]));
    assert!(!accepts(&[create, (Create(1, 1), Err(EEXIST))]));
}

#[test]
fn a_uuid_may_be_taken_by_a_create_or_a_removal_under_way() {
    for answer in [OK, Err(EEXIST)] {
        assert!(holds(&[
            at(1, 2, Create(0, 0), OK),
            at(3, 6, Remove(0), OK),
            at(4, 5, Create(0, 0), answer),
        ]));
        assert!(holds(&[
            at(1, 5, Create(0, 0), OK),
            at(2, 3, Create(0, 1), Err(EEXIST)),
            at(6, 8, Remove(0), OK),
            at(7, 9, Create(0, 0), answer),
        ]));
    }
}

#[test]
fn a_uuid_stays_taken_while_somebody_still_tries_to_open_its_device() {
    for (tried, is_explained) in [(0, true), (1, false)] {
        assert_eq!(
            holds(&[
                at(1, 2, Create(0, 0), OK),
                at(3, 8, Open(tried), Err(ENODEV)),
                at(4, 5, Remove(0), OK),
                at(6, 7, Create(0, 0), Err(EEXIST)),
            ]),
            is_explained
        );
    }
}

#[test]
fn of_two_creates_at_once_one_succeeds() {
    for (one, other) in [(OK, OK), (OK, Err(EEXIST)), (Err(EEXIST), Err(EEXIST))] {
        let both = [at(1, 5, Create(0, 0), one), at(2, 6, Create(0, 1), other)];
        assert_eq!(holds(&both), one != other);
    }
}

#[test]
fn the_limit_refuses_when_it_is_reached_and_not_before() {
    let full = [(Create(0, 0), OK), (Create(1, 1), OK)];
    assert!(accepts(&[full[0], full[1], (Create(2, 2), Err(EUSERS))]));
    assert!(!accepts(&[full[0], (Create(2, 2), Err(EUSERS))]));
    let after = [(Remove(0), OK), (Create(2, 2), Err(EUSERS))];
    assert!(!accepts(&[full[0], full[1], after[0], after[1]]));
    // One that was refused keeps its UUID until it returns, and others may go meanwhile.
    assert!(holds(&[
        at(1, 2, Create(0, 0), OK),
        at(3, 4, Create(1, 1), OK),
        at(5, 14, Create(2, 2), Err(EUSERS)),
        at(6, 7, Create(2, 0), Err(EEXIST)),
        at(8, 9, Remove(0), OK),
        at(10, 11, Available(0), Ok(1)),
        at(12, 13, Create(2, 0), Err(EEXIST)),
    ]));
    // While the other one goes, it still counts.
    assert!(holds(&[
        at(1, 2, Create(0, 0), OK),
        at(3, 4, Create(1, 1), OK),
        at(5, 9, Remove(0), OK),
        at(6, 8, Create(2, 2), Err(EUSERS)),
    ]));
}

#[test]
fn what_is_available_is_the_limit_less_what_is_there() {
    for available in 0..=3 {
        let look = (Available(0), Ok(available));
        assert_eq!(accepts(&[look]), available == 2);
        assert_eq!(accepts(&[(Create(0, 1), OK), look]), available == 1);
        assert_eq!(
            holds(&[
                at(1, 5, Create(0, 1), OK),
                at(2, 3, Available(0), Ok(available))
            ]),
            available == 1 || available == 2
        );
    }
}

#[test]
fn an_open_that_finds_nothing_needs_a_removal() {
    let (create, remove) = ((Create(0, 0), OK), (Remove(0), OK));
    for errno in [ENODEV, ENOENT] {
        let open = (Open(0), Err(errno));
        assert!(accepts(&[open]));
        assert!(!accepts(&[create, open]));
        assert!(accepts(&[create, remove, open]));
        assert!(holds(&[
            at(1, 2, Create(0, 0), OK),
            at(3, 8, Remove(0), OK),
            at(4, 5, Open(0), Err(errno)),
        ]));
    }
    assert!(!accepts(&[(Open(0), OK)]));
    assert!(!accepts(&[create, remove, (Open(0), OK)]));
}

#[test]
fn a_device_has_one_user() {
    let (create, open) = ((Create(0, 0), OK), (Open(0), OK));
    assert!(!accepts(&[create, open, open]));
    assert!(accepts(&[create, open, (Close(0), OK), open]));
    assert!(accepts(&[create, open, (Open(0), Err(EBUSY))]));
    assert!(!accepts(&[create, (Open(0), Err(EBUSY))]));
    // Others who are about to open something may be in the way.
    assert!(holds(&[
        at(1, 2, Create(0, 0), OK),
        at(3, 6, Open(0), Err(EBUSY)),
        at(4, 7, Open(1), Err(ENODEV)),
    ]));
}

#[test]
fn a_removal_waits_for_the_user() {
    let (create, open) = ((Create(0, 0), OK), (Open(0), OK));
    assert!(!accepts(&[create, open, (Remove(0), OK)]));
    assert!(accepts(&[create, open, (Close(0), OK), (Remove(0), OK)]));
    assert!(holds(&[
        at(1, 2, Create(0, 0), OK),
        at(3, 4, Open(0), OK),
        at(5, 9, Remove(0), OK),
        at(6, 7, Close(0), OK),
    ]));
}

#[test]
fn a_device_can_be_opened_until_it_really_goes() {
    // The second removal finds no file, nor are others there, and still the device is.
    let calls = [
        at(1, 2, Create(0, 0), OK),
        at(3, 14, Remove(0), OK),
        at(4, 5, Remove(0), Err(ENOENT)),
        at(6, 7, Look(0), Err(ENOENT)),
        at(8, 9, Open(0), OK),
        at(10, 11, Close(0), OK),
        at(12, 13, Open(0), Err(ENODEV)),
    ];
    assert!(holds(&calls));
    // But not once the removal has returned.
    let again = at(15, 16, Open(0), OK);
    assert!(!holds(&[&calls[..], &[again]].concat()));
}

#[test]
fn a_removal_finds_a_device_or_says_that_there_is_none() {
    let (create, remove) = ((Create(0, 0), OK), (Remove(0), OK));
    assert!(!accepts(&[remove]));
    assert!(!accepts(&[create, remove, remove]));
    assert!(accepts(&[create, remove, (Remove(0), Err(ENOENT))]));
    assert!(!accepts(&[create, (Remove(0), Err(ENOENT))]));
    assert!(holds(&[
        at(1, 2, Create(0, 0), OK),
        at(3, 6, Remove(0), OK),
        at(4, 5, Remove(0), OK),
    ]));
}

#[test]
fn a_removal_during_the_create_leaves_a_device_that_cannot_be_removed() {
    let both = [at(1, 4, Create(0, 0), OK), at(2, 3, Remove(0), Err(EAGAIN))];
    let then = |what, answer| holds(&[both[0].clone(), both[1].clone(), at(5, 6, what, answer)]);
    assert!(then(Look(0), OK));
    assert!(then(Remove(0), Err(ENOENT)));
    assert!(!then(Create(0, 0), OK));
    assert!(!accepts(&[(Create(0, 0), OK), (Remove(0), Err(EAGAIN))]));
}

#[test]
fn what_is_below_a_parent_goes_with_it() {
    let start = [(Create(0, 1), OK), (Create(1, 0), OK), (Unbind(1), OK)];
    let then = |more: &[(What, Answer<u32>)]| accepts(&[&start[..], more].concat());
    assert!(then(&[(Look(0), Err(ENOENT)), (Look(1), OK)]));
    assert!(!then(&[(Look(0), OK)]));
    assert!(!then(&[(Look(1), Err(ENOENT))]));
    assert!(then(&[(Create(0, 1), Err(ENOENT)), (Create(0, 0), OK)]));
    assert!(!then(&[(Create(0, 1), OK)]));
    assert!(then(&[(Bind(1), OK), (Create(0, 1), OK)]));
    assert!(!then(&[(Bind(1), OK), (Create(0, 1), Err(ENODEV))]));
}

#[test]
fn nothing_is_left_when_the_module_is_unloaded() {
    let start = [(Create(0, 1), OK), (Create(1, 0), OK), (Unload, OK)];
    let then = |more: &[(What, Answer<u32>)]| accepts(&[&start[..], more].concat());
    assert!(then(&[(Look(0), Err(ENOENT)), (Look(1), Err(ENOENT))]));
    assert!(!then(&[(Look(1), OK)]));
    assert!(!then(&[(Create(0, 0), OK)]));
    assert!(then(&[(Load, OK), (Available(2), Ok(2))]));
    assert!(!then(&[(Load, OK), (Available(2), Ok(1))]));
    assert!(!accepts(&[(Create(0, 0), OK), (Open(0), OK), (Unload, OK)]));
}

#[test]
fn an_unknown_error_is_never_right() {
    const EIO: i32 = Errno::EIO as i32;
    let of_device = [Create(0, 0), Remove(0), Open(0), Look(0), Available(0)];
    let of_parent = [Unbind(1), Bind(1), Unload, Load];
    for what in of_device.into_iter().chain(of_parent) {
        assert!(!accepts(&[(what, Err(EIO))]));
        assert!(!accepts(&[(Create(0, 0), OK), (what, Err(EIO))]));
    }
}
