// SPDX-License-Identifier: GPL-2.0-only
//! Questions that a VMM asks a device, and its reset.

use std::os::fd::AsRawFd;

use vfio_client::device::requests::{GET_INFO, GET_IRQ_INFO, GET_REGION_INFO, RESET};

use crate::calls;
use crate::measure::{Bench, Operation};
use crate::results::Goal;
use crate::World;

/// What the cheapest one is.
const NOTHING: &str = "FIOCLEX";

/// Each with what it costs to call any ioctl.
pub fn add<'a>(world: &'a World, benches: &mut Vec<Bench<'a>>) {
    benches.push(question(world, "GET_INFO", GET_INFO, [16, 0, 0, 0]));
    let region = [32, 0, 0, 0, 0, 0, 0, 0];
    benches.push(question(world, "GET_REGION_INFO", GET_REGION_INFO, region));
    benches.push(question(world, "GET_IRQ_INFO", GET_IRQ_INFO, [16, 0, 0, 0]));
    // The peer's writes a line to the kernel's log, and resets less: not the same operation.
    let fd = world.ours.source.fd();
    benches.push(
        Bench::new("ioctl: RESET")
            .goal(Goal::None)
            .ours(Operation::new(move || {
                calls::ioctl(fd, RESET, &mut [0]).map(drop)
            }))
            .limit(NOTHING, nothing(world)),
    );
}

/// A row of ioctls that fill in a structure.
fn question<'a, const N: usize>(
    world: &'a World,
    name: &str,
    request: u32,
    words: [u32; N],
) -> Bench<'a> {
    let operation =
        |fd| Operation::new(move || calls::ioctl(fd, request, &mut { words }).map(drop));
    Bench::new(format!("ioctl: {name}"))
        .ours(operation(world.ours.source.fd()))
        .peer(operation(world.peer.source.fd()))
        .limit(NOTHING, nothing(world))
}

fn nothing(world: &World) -> Operation<'_> {
    Operation::new(|| calls::ioctl_nothing(world.zero.as_raw_fd()))
}
