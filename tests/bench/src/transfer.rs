// SPDX-License-Identifier: GPL-2.0-only
//! Migration: stop and run, save, restore.

use nix::errno::Errno;

use crate::cards::Driver;
use crate::measure::{Bench, Operation};
use crate::results::Goal;
use crate::v1::Window;
use crate::v2::{self, BUFFER};
use crate::World;

/// By both protocols. The cards are as a driver has set them up, with nothing in their FIFOs.
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
    v1(world, benches)
}

/// By protocol v1, which the peer does not have: a device goes by one of the two as long as it is open.
fn v1<'a>(world: &'a World, benches: &mut Vec<Bench<'a>>) -> Result<(), Errno> {
    let [source, destination] = &world.v1;
    let [from, to] = [
        Window::new(&source.device)?,
        Window::new(&destination.device)?,
    ];
    let (mut saved, mut buffer) = ([0; BUFFER], [0; BUFFER]);
    let length = from.save(&mut buffer)?;
    benches.push(
        Bench::new("migration v1: save")
            .goal(Goal::None)
            .ours(Operation::new(move || from.save(&mut saved).map(drop))),
    );
    benches.push(
        Bench::new("migration v1: restore")
            .goal(Goal::None)
            .ours(Operation::new(move || {
                to.restore(buffer.get(..length).ok_or(Errno::ENOSPC)?)
            })),
    );
    Ok(())
}
