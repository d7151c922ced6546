// SPDX-License-Identifier: GPL-2.0-only
//! Migration: stop and run, save, restore.

use nix::errno::Errno;

use crate::cards::Driver;
use crate::measure::{Bench, Operation};
use crate::v2::{self, BUFFER};
use crate::World;

/// By protocol v2. The cards are as a driver has set them up, with nothing in their FIFOs.
///
/// # Errors
///
/// What the first save answers.
pub fn add<'a>(world: &'a World, benches: &mut Vec<Bench<'a>>) -> Result<(), Errno> {
    let both = |what: &str, operation: fn(&'a Driver) -> Result<Operation<'a>, Errno>| {
        Ok(Bench::new(what)
            .ours(operation(&world.ours)?)
            .peer(operation(&world.peer)?))
    };
    benches.push(both("migration v2: stop and run", |driver| {
        Ok(Operation::new(|| v2::stop_and_run(driver.source.fd())))
    })?);
    benches.push(both("migration v2: save", |driver| {
        let mut buffer = [0; BUFFER];
        Ok(Operation::new(move || {
            v2::save(driver.source.fd(), false, &mut buffer).map(drop)
        }))
    })?);
    benches.push(both("migration v2: save with pre-copy", |driver| {
        let mut buffer = [0; BUFFER];
        Ok(Operation::new(move || {
            v2::save(driver.source.fd(), true, &mut buffer).map(drop)
        }))
    })?);
    benches.push(both("migration v2: restore", |driver| {
        let mut buffer = [0; BUFFER];
        let length = v2::save(driver.source.fd(), false, &mut buffer)?;
        Ok(Operation::new(move || {
            let stream = buffer.get(..length).ok_or(Errno::ENOSPC)?;
            v2::restore(driver.destination.fd(), stream)
        }))
    })?);
    Ok(())
}
