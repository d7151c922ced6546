// SPDX-License-Identifier: GPL-2.0-only
//! Creation and removal, and what a device says in the log while it is used.

use std::fs;

use super::support::*;
use vfio_client::kmsg::Kmsg;
use vfio_client::migration::v2::{self, STATES};
use vfio_client::wait::poll_while;

use crate::world::{LATE, PAUSE};

cases![
    says_what_it_is: DRIVERS, "The type's device_api is vfio-pci.";
    counts_its_instances: DRIVERS, "available_instances falls with a device and rises with its removal.";
    refuses_what_is_no_uuid: DRIVERS, "A name that is no UUID, or is in use, makes no device.";
    can_be_removed_after_every_state: DRIVERS, "A device that was closed in any state can be removed.";
    can_be_removed_with_its_data_file_open: DRIVERS, "A device can be removed while a data file of it is still open.";
    cannot_be_unbound: DRIVERS, "The driver in sysfs has no file `unbind`, which would take it from a device that stays.";
    logs_no_line_for_each_bar_write: DRIVERS, "A guest that writes BARs cannot fill the log.";
    logs_no_line_for_each_write: DRIVERS, "A guest that writes other registers of configuration space cannot fill the log.";
    logs_no_line_for_each_reset: DRIVERS, "A user that resets cannot fill the log.";
    logs_no_line_for_each_refusal: DRIVERS, "A user that sends bad streams cannot fill the log.";
];

fn attribute(world: &World, name: &str) -> Result<String, Miss> {
    let mdev = world.idle()?;
    let text = fs::read_to_string(mdev.kind().path().join(name))?;
    Ok(text.trim().to_owned())
}

fn says_what_it_is(world: &World) -> Outcome {
    check_eq!(attribute(world, "device_api")?, "vfio-pci", "device_api");
    Ok(())
}

fn counts_its_instances(world: &World) -> Outcome {
    world.may_remove()?;
    let mdev = world.idle()?;
    let free = || mdev.kind().available();
    let before = free()?;
    let second = world.idle()?;
    let want = before.wrapping_sub(1);
    check_eq!(free()?, want, "instances with a device more");
    second.remove()?;
    // What is released late comes back late.
    let after = poll_while(LATE, PAUSE, free, |now| now.is_ok_and(|now| now != before))?;
    check_eq!(after, before, "instances after its removal");
    Ok(())
}

fn refuses_what_is_no_uuid(world: &World) -> Outcome {
    let mdev = world.idle()?;
    let create = mdev.kind().path().join("create");
    let used = mdev.uuid();
    for name in ["1", "not-a-uuid", used.as_str(), &used[1..]] {
        check!(fs::write(&create, name).is_err(), "{name:?} is taken");
    }
    Ok(())
}

fn can_be_removed_after_every_state(world: &World) -> Outcome {
    world.may_remove()?;
    for state in STATES {
        let card = world.card()?;
        let file = v2::set(&card, state)?;
        drop(file);
        let path = card.mdev().path().to_owned();
        card.close().remove()?;
        check!(!path.exists(), "it is there after state {state}");
    }
    Ok(())
}

fn can_be_removed_with_its_data_file_open(world: &World) -> Outcome {
    world.may_remove()?;
    for state in STATES.into_iter().filter(|state| v2::saves(*state)) {
        let card = world.card()?;
        let file = v2::set(&card, state)?;
        let path = card.mdev().path().to_owned();
        card.close().remove()?;
        check!(!path.exists(), "it is there after state {state}");
        drop(file);
    }
    Ok(())
}

fn cannot_be_unbound(world: &World) -> Outcome {
    let mdev = world.idle()?;
    let unbind = mdev.path().join("driver/unbind");
    check!(!unbind.exists(), "the driver has an unbind file");
    Ok(())
}

/// More than a rate limit lets through, and far less than one line for each.
const FEW: usize = 25;
const MANY: usize = 200;

/// Checks that doing something many times leaves few lines in the log.
fn is_quiet(times: usize, mut act: impl FnMut() -> Result<(), Errno>) -> Outcome {
    let mut log = Kmsg::from_now()?;
    for _ in 0..times {
        act()?;
    }
    let lines = log.lines()?;
    let first = lines.first().cloned().unwrap_or_default();
    check!(
        lines.len() <= FEW,
        "{} lines for {times} times, the first: {first}",
        lines.len()
    );
    Ok(())
}

fn logs_no_line_for_each_bar_write(world: &World) -> Outcome {
    let card = world.card()?;
    is_quiet(MANY, || card.put(CONFIG, BAR0_REGISTER, &[0xff; 4]))
}

fn logs_no_line_for_each_write(world: &World) -> Outcome {
    let card = world.card()?;
    is_quiet(MANY, || card.put(CONFIG, 0x0c, &[0x10]))
}

fn logs_no_line_for_each_reset(world: &World) -> Outcome {
    let card = world.card()?;
    is_quiet(MANY, || card.reset())
}

fn logs_no_line_for_each_refusal(world: &World) -> Outcome {
    let card = world.card()?;
    is_quiet(MANY, || {
        let file = v2::open(&card, v2::RESUMING)?;
        let _ = file.write(&[0x5a; 64]);
        let _ = v2::set(&card, v2::STOP);
        card.reset()
    })
}
