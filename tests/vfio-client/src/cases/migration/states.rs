// SPDX-License-Identifier: GPL-2.0-only
//! The states of the feature protocol, and the ways between them (`enum vfio_device_mig_state` of `linux/vfio.h`).

use std::collections::VecDeque;
use std::os::fd::AsFd;

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_GET as GET, VFIO_DEVICE_FEATURE_MIGRATION as MIGRATION,
    VFIO_DEVICE_FEATURE_MIG_DATA_SIZE as DATA_SIZE,
    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE as DEVICE_STATE, VFIO_DEVICE_FEATURE_SET as SET,
    VFIO_MIGRATION_P2P, VFIO_MIGRATION_PRE_COPY, VFIO_MIGRATION_STOP_COPY,
};

use super::super::{cases, World};
use vfio_client::device::{ioctl_frozen, requests, Device};
use vfio_client::ktap::{check, check_eq, check_errno, Outcome};
use vfio_client::memory::{Argument, Frozen};
use vfio_client::migration::v2::{
    self, DataFile, ERROR, PRECOPY_INFO_V2, PRE_COPY, PRE_COPY_P2P, RESUMING, RUNNING, RUNNING_P2P,
    STATES, STOP, STOP_COPY,
};

cases![
    offers_every_migration_state,
    answers_probes_of_what_it_offers,
    refuses_what_a_migration_feature_is_not_for,
    is_running_when_opened_and_after_a_reset,
    walks_every_arc_as_the_kernel_documents_it,
    refuses_what_is_no_state_without_a_change,
    takes_a_request_for_the_state_it_is_in,
    forgets_the_migration_of_the_last_user,
    leaves_no_file_behind_when_its_answer_is_lost,
    gives_no_file_with_a_refusal,
];

fn offers_every_migration_state(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let want = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;
    check_eq!(v2::flags(&device)?, u64::from(want), "migration flags");
    Ok(())
}

fn answers_probes_of_what_it_offers(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for (feature, how) in [
        (MIGRATION, GET),
        (DEVICE_STATE, GET),
        (DEVICE_STATE, SET),
        (DEVICE_STATE, GET | SET),
        (DATA_SIZE, GET),
        (PRECOPY_INFO_V2, SET),
    ] {
        device.probe_feature(feature, 0)?;
        device.probe_feature(feature, how)?;
    }
    check_eq!(v2::state(&device)?, RUNNING, "state after probes");
    Ok(())
}

fn refuses_what_a_migration_feature_is_not_for(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for (feature, how) in [(MIGRATION, SET), (DATA_SIZE, SET), (PRECOPY_INFO_V2, GET)] {
        check_errno!(
            device.probe_feature(feature, how),
            EINVAL,
            "a probe of {feature} with {how:#x}"
        );
        let call = device.ioctl(
            requests::FEATURE,
            &mut Argument::words(&[64, feature | how]),
        );
        check_errno!(call, EINVAL, "feature {feature} with {how:#x}");
    }
    for (feature, how) in [
        (MIGRATION, GET),
        (DEVICE_STATE, GET),
        (DEVICE_STATE, SET),
        (DATA_SIZE, GET),
    ] {
        for argsz in [8, 12, 15] {
            let mut argument = Argument::words(&[argsz, feature | how, STOP]);
            let call = device.ioctl(requests::FEATURE, &mut argument);
            check_errno!(call, EINVAL, "feature {feature} with {argsz} bytes");
        }
    }
    check_eq!(v2::state(&device)?, RUNNING, "state afterwards");
    Ok(())
}

fn is_running_when_opened_and_after_a_reset(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    check_eq!(v2::state(&device)?, RUNNING, "state when opened");
    for state in STATES {
        v2::set(&device, state)?;
        device.reset()?;
        check_eq!(
            v2::state(&device)?,
            RUNNING,
            "state after a reset in {state}"
        );
    }
    Ok(())
}

/// The arcs of `enum vfio_device_mig_state` with all optional states.
const ARCS: [(u32, u32); 15] = [
    (STOP, RESUMING),
    (RESUMING, STOP),
    (STOP, STOP_COPY),
    (STOP_COPY, STOP),
    (STOP, RUNNING_P2P),
    (RUNNING_P2P, STOP),
    (RUNNING_P2P, RUNNING),
    (RUNNING, RUNNING_P2P),
    (RUNNING, PRE_COPY),
    (PRE_COPY, RUNNING),
    (RUNNING_P2P, PRE_COPY_P2P),
    (PRE_COPY_P2P, RUNNING_P2P),
    (PRE_COPY, PRE_COPY_P2P),
    (PRE_COPY_P2P, PRE_COPY),
    (PRE_COPY_P2P, STOP_COPY),
];

/// The way from one state to another as the header words it: the shortest, on which a state of the saving group is only
/// start or end unless all are, and none where the header permits none.
fn way(from: u32, to: u32) -> Option<Vec<u32>> {
    if from == STOP_COPY && (to == PRE_COPY || to == PRE_COPY_P2P) {
        return None;
    }
    let within = v2::saves(from) && v2::saves(to);
    let mut ways = VecDeque::from([vec![from]]);
    while let Some(way) = ways.pop_front() {
        let last = *way.last()?;
        if last == to {
            return Some(way);
        }
        let interior = way.len() > 1 && v2::saves(last);
        if interior && !within || way.len() > STATES.len() {
            continue;
        }
        for (_, next) in ARCS.iter().filter(|(start, _)| *start == last) {
            ways.push_back([way.clone(), vec![*next]].concat());
        }
    }
    None
}

/// Whether an arc opens a data file.
fn opens(from: u32, to: u32) -> bool {
    to == RESUMING || v2::saves(to) && !v2::saves(from)
}

/// Brings a device that was just reset to a state from which every way is open, with the data file if there is one.
fn bring(device: &Device, state: u32, stream: &[u8]) -> Result<Option<DataFile>, Errno> {
    let file = v2::set(device, state)?;
    if let (RESUMING, Some(file)) = (state, &file) {
        file.feed(stream, stream.len())?;
    }
    Ok(file)
}

fn walks_every_arc_as_the_kernel_documents_it(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let stream = v2::save(&device)?;
    for from in STATES {
        for to in STATES {
            device.reset()?;
            let old = bring(&device, from, &stream)?;
            check_eq!(v2::state(&device)?, from, "state on the way to {from}");
            let went = v2::set(&device, to);
            let Some(way) = way(from, to) else {
                check_errno!(went, EINVAL, "from {from} to {to}");
                check_eq!(v2::state(&device)?, from, "state after that");
                continue;
            };
            let new = went?;
            check_eq!(v2::state(&device)?, to, "state from {from} to {to}");
            let opened = way.windows(2).any(|arc| opens(arc[0], arc[1]));
            check_eq!(new.is_some(), opened, "a data file from {from} to {to}");
            if let Some(old) = old {
                let keeps = from == to || v2::saves(from) && v2::saves(to);
                let cut = old.is_disabled();
                check_eq!(!cut, keeps, "whether the file of {from} lives in {to}");
            }
        }
    }
    Ok(())
}

fn refuses_what_is_no_state_without_a_change(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for state in STATES {
        device.reset()?;
        let file = v2::set(&device, state)?;
        for none in [ERROR, 8, 9, 0x100, 1 << 31, u32::MAX] {
            check_errno!(v2::set(&device, none), EINVAL, "{none:#x} from {state}");
            check_eq!(v2::state(&device)?, state, "state after {none:#x}");
        }
        // The low byte of what is refused is a state that is not.
        for none in [0x0102, 0x8000_0001_u32] {
            check_errno!(v2::set(&device, none), EINVAL, "{none:#x} from {state}");
        }
        if let Some(file) = file.filter(|_| v2::saves(state)) {
            check!(!file.drain(64)?.is_empty(), "nothing to read in {state}");
        }
    }
    Ok(())
}

fn takes_a_request_for_the_state_it_is_in(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let want = v2::save(&device)?;
    for state in STATES {
        device.reset()?;
        let file = v2::set(&device, state)?;
        for _ in 0..2 {
            check!(
                v2::set(&device, state)?.is_none(),
                "another file in {state}"
            );
            check_eq!(v2::state(&device)?, state, "state after asking for it");
        }
        // What was open goes on where it was.
        match (file, state) {
            (Some(file), STOP_COPY) => {
                let mut half = vec![0; want.len() / 2];
                file.read(&mut half)?;
                v2::set(&device, state)?;
                let rest = file.drain(4096)?;
                check_eq!([half, rest].concat(), want, "the stream in two halves");
            }
            (Some(file), RESUMING) => {
                let (first, second) = want.split_at(want.len() / 2);
                file.feed(first, 64)?;
                v2::set(&device, state)?;
                file.feed(second, 64)?;
                v2::set(&device, RUNNING)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn forgets_the_migration_of_the_last_user(world: &World<'_>) -> Outcome {
    for state in STATES {
        let device = world.open()?;
        let file = v2::set(&device, state)?;
        drop(device);
        let device = world.open()?;
        check_eq!(v2::state(&device)?, RUNNING, "state for the next user");
        if let Some(file) = file {
            check!(file.is_disabled(), "the last user's file of {state} lives");
        }
    }
    Ok(())
}

/// What the core cannot tell is done all the same: whoever gets `EFAULT` can ask, and begin anew.
fn leaves_no_file_behind_when_its_answer_is_lost(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let descriptors = || std::fs::read_dir("/proc/self/fd").map(|entries| entries.count());
    let before = descriptors()?;
    for (state, from) in [(PRE_COPY, RUNNING), (STOP_COPY, RUNNING), (RESUMING, STOP)] {
        device.reset()?;
        v2::set(&device, from)?;
        let mut argument = Frozen::words(&[16, DEVICE_STATE | SET, state, 0])?;
        let call = ioctl_frozen(device.file().as_fd(), requests::FEATURE, &mut argument);
        check_errno!(call, EFAULT, "to state {state} without room for an answer");
        check_eq!(descriptors()?, before, "descriptors after that");
        check_eq!(v2::state(&device)?, state, "state after that");
        check!(
            v2::set(&device, state)?.is_none(),
            "asking again gave a file"
        );
    }
    device.reset()?;
    let stream = v2::save(&device)?;
    v2::load(&device, &stream)?;
    Ok(())
}

fn gives_no_file_with_a_refusal(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    v2::set(&device, STOP_COPY)?;
    for state in [ERROR, PRE_COPY, 8, u32::MAX] {
        let mut argument = Argument::words(&[16, DEVICE_STATE | SET, state, 0x1234]);
        let call = device.ioctl(requests::FEATURE, &mut argument);
        check_errno!(call, EINVAL, "to state {state:#x}");
        check_eq!(argument.get(12), u32::MAX, "data_fd for state {state:#x}");
    }
    Ok(())
}
