// SPDX-License-Identifier: GPL-2.0-only
//! Users that are killed in the middle of whatever they do: each leaves devices that the next user finds as if they were new.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vfio_client::device::{Access, Device};
use vfio_client::ktap::{check, check_eq, Outcome};
use vfio_client::migration::{guest, logging, v2};
use vfio_client::serial::{Port, Signal, SCR};
use vfio_client::wait::releases_late;

use crate::board::{Board, SLOTS};
use crate::memory::{stays_flat, Bound};
use crate::place::{self, Places, DEFAULT_LIMIT, DEVICES, TYPES};
use crate::worker::uuid;
use crate::World;

/// What each killed process may leave behind: less than the smallest thing that a device has while it is open, a transfer of
/// two kilobytes or a page.
const BOUND: Bound = Bound {
    objects: 1024,
    pages: 3072,
};

/// Processes of a race are killed at random points.
pub fn leave_devices_as_new(world: &World) -> Outcome {
    world.begin(DEFAULT_LIMIT)?;
    let board = PathBuf::from(format!("/tmp/endurance-{}", std::process::id()));
    let mut rng = SmallRng::seed_from_u64(world.seed);
    let mut open = [0; 2];
    let done = stays_flat(world.amount(300, 20), BOUND, |rounds| {
        for number in rounds {
            kill_some(world, &board, &mut rng, number)?;
            open[0] += look_after(&mut rng)?;
            open[1] += 2;
        }
        Ok(())
    });
    let _ = fs::remove_file(&board);
    println!(
        "# {} processes were killed, {} devices looked at",
        open[1], open[0]
    );
    done
}

/// Starts a process that uses devices and one that creates and removes them, and kills both after a while.
///
/// It is two because vfio waits for the user of a device that is removed, and is not to be interrupted in that: a process that is
/// killed while it removes what it has open itself never ends, as its files are closed by the last of its threads.
fn kill_some(world: &World, path: &Path, rng: &mut SmallRng, number: u64) -> Outcome {
    let places = Places::find()?;
    for slot in 0..SLOTS {
        if !place::device(&uuid(slot)).exists() {
            let made = places.create(slot % places.parents.len(), slot % TYPES.len(), &uuid(slot));
            check!(
                matches!(made, Ok(()) | Err(Errno::EEXIST)),
                "round {number}: a device could not be made: {made:?}"
            );
        }
    }
    let _ = fs::remove_file(path);
    let board = Board::create(path)?;
    let mut children = Vec::new();
    for part in ["use", "manage"] {
        let child = Command::new(&world.program)
            .args(["worker", "--part", part, "--board"])
            .arg(path)
            .args(["--threads", "2", "--ops", "1000000"])
            .args(["--seed", &rng.random::<u64>().to_string()])
            .stdout(Stdio::null())
            .spawn()?;
        children.push(child);
    }
    board.start();
    // From before they have begun to some hundred calls later.
    std::thread::sleep(Duration::from_millis(rng.random_range(5..80)));
    // In turns, who uses a device is killed first, or who waits for that to end.
    if number % 2 == 0 {
        children.reverse();
    }
    for child in &mut children {
        child.kill()?;
    }
    for mut child in children {
        child.wait()?;
    }
    Ok(())
}

/// Opens what is there as the next user does, and removes some of it. How many devices were looked at.
fn look_after(rng: &mut SmallRng) -> Result<u64, vfio_client::ktap::Miss> {
    let places = Places::find()?;
    let names: Vec<_> = fs::read_dir(DEVICES)?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    for name in &names {
        let access = [Access::Group, Access::Cdev][rng.random_range(0..2)];
        as_new(name, access)?;
        if rng.random_ratio(1, 4) {
            match place::remove(name) {
                // The process had begun to remove what it was still creating.
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    let left = fs::read_dir(DEVICES)?.count() as u32;
    if !releases_late() {
        check_eq!(
            places.available(0)? + left,
            DEFAULT_LIMIT,
            "available instances and devices"
        );
    }
    Ok(names.len() as u64)
}

/// Checks that a device is as if it had just been made, and works.
fn as_new(name: &str, access: Access) -> Outcome {
    let device = Device::open(&place::device(name), access)?;
    let ports = (device.region(0)?.size / 8) as usize;
    check_eq!(v2::state(&device)?, v2::RUNNING, "state of {name}");
    let seen = guest::examine(&device, ports)?;
    device.reset()?;
    let fresh = guest::examine(&device, ports)?;
    guest::same(&seen, &fresh, "after a killed user and after a reset")?;
    // The examination leaves the ports asking for interrupts.
    device.reset()?;
    let signal = Signal::new()?;
    let trigger = vfio_bindings::bindings::vfio::VFIO_IRQ_SET_ACTION_TRIGGER;
    device.irq_fd(trigger, 0, signal.fd())?;
    device.irq_now(trigger, 0)?;
    check_eq!(signal.taken(Duration::from_secs(2))?, 1, "interrupts");
    logging::start(&device, 4096, &[(0, 1 << 20)])?;
    logging::stop(&device)?;
    device.reset()?;
    Port::new(&device, 0).set(SCR, 0x5c)?;
    let stream = v2::save(&device)?;
    device.reset()?;
    v2::load(&device, &stream)?;
    check_eq!(Port::new(&device, 0).get(SCR)?, 0x5c, "scratch of {name}");
    Ok(())
}
