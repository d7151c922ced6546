// SPDX-License-Identifier: GPL-2.0-only
//! The module is loaded and unloaded.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use vfio_client::ktap::{check, Miss, Outcome};
use vfio_client::wait::poll_while;

use super::cards::ACPI;
use super::{cases, World};
use crate::sweep::Part;

cases![loads_wholly_or_leaves_nothing, unloads_wholly_or_stays,];

/// What there is of the module while it is loaded.
const TRACES: [&str; 5] = [
    "/sys/module/migdev",
    "/sys/class/migdev",
    "/sys/devices/virtual/migdev",
    "/sys/bus/mdev/drivers/migdev",
    "/sys/bus/pci/drivers/migdev",
];

/// What there is too, unless mdev's core had no memory for it: it warns then, and goes on.
const LINK: &str = "/sys/class/mdev_bus/migdev";

fn load(module: &File) -> Result<(), Errno> {
    // SAFETY: The descriptor is open, and the parameters are an empty string.
    let done =
        unsafe { libc::syscall(libc::SYS_finit_module, module.as_raw_fd(), c"".as_ptr(), 0) };
    Errno::result(done).map(|_| ())
}

fn unload() -> Result<(), Errno> {
    // SAFETY: The name is a string that ends with a NUL.
    let done = unsafe {
        libc::syscall(
            libc::SYS_delete_module,
            c"migdev".as_ptr(),
            libc::O_NONBLOCK,
        )
    };
    Errno::result(done).map(|_| ())
}

/// Whether the module is there, and whole: each trace of it is there, or none is. Where releases are late, the directory of a
/// driver that is gone stays until its own release.
fn is_loaded() -> Result<bool, Miss> {
    let there = poll_while(
        Duration::from_secs(60),
        Duration::from_millis(50),
        || TRACES.map(|path| Path::new(path).exists()),
        |there| there.iter().any(|trace| *trace != there[0]),
    );
    let loaded = there[0];
    check!(
        there.iter().all(|trace| *trace == loaded),
        "some of {TRACES:?} are there: {there:?}"
    );
    check!(loaded || !Path::new(LINK).exists(), "{LINK} is still there");
    Ok(loaded)
}

/// Checks that devices can be made, and taken away again.
fn works(world: &World) -> Outcome {
    let mdev = world.create()?;
    world.opens_and_works(&mdev)?;
    Ok(mdev.remove()?)
}

fn loads_wholly_or_leaves_nothing(world: &World) -> Outcome {
    let module = File::open(&world.module)?;
    unload()?;
    check!(!is_loaded()?, "not unloaded");
    let part = Part {
        // What the kernel does before it calls the module is its own, and thousands of steps long.
        within: Some("do_init_module"),
        // The cards are bound on the way.
        without: Some(ACPI),
        ..world.slow()
    };
    let swept = world.faults.each_of(
        &part,
        || Ok(()),
        |()| load(&module),
        |(), came| {
            // module_add_driver() says so when it has no memory for the folder of drivers below /sys/module/migdev.
            came.is_clean(&[Errno::EINVAL])?;
            check!(
                is_loaded()? == came.answer.is_ok(),
                "loaded, or not, in spite of the answer"
            );
            if came.answer.is_err() {
                // The next try is the next fault's, and the last one, below, works.
                return Ok(());
            }
            // Without that, no program finds the types.
            if Path::new(LINK).exists() {
                works(world)?;
            }
            unload()?;
            check!(!is_loaded()?, "not unloaded");
            Ok(())
        },
    );
    if !is_loaded()? {
        load(&module)?;
    }
    swept?;
    check!(Path::new(LINK).exists(), "{LINK} is not there");
    works(world)
}

fn unloads_wholly_or_stays(world: &World) -> Outcome {
    let module = File::open(&world.module)?;
    let part = Part {
        // The cards are unbound on the way.
        without: Some(ACPI),
        ..world.slow()
    };
    let swept = world.faults.each_of(
        &part,
        || {
            if !is_loaded()? {
                load(&module)?;
            }
            Ok(())
        },
        |()| unload(),
        |(), came| {
            came.is_clean(&[])?;
            check!(
                is_loaded()? == came.answer.is_err(),
                "loaded, or not, in spite of the answer"
            );
            if came.answer.is_err() {
                works(world)?;
            }
            Ok(())
        },
    );
    if !is_loaded()? {
        load(&module)?;
    }
    swept?;
    works(world)
}
