// SPDX-License-Identifier: GPL-2.0-only
//! `VFIO_DEVICE_SET_IRQS` where an eventfd is tied already: another one takes its place, or none.

use std::time::Duration;

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_INTX_IRQ_INDEX,
};

use vfio_client::device::{requests, Device};
use vfio_client::ktap::{check_eq, Outcome};
use vfio_client::memory::Argument;
use vfio_client::serial::Signal;

use super::interrupts::{masked, set, signals, INDEXES};
use super::{cases, World};

cases![
    signals_another_eventfd_or_the_former,
    signals_no_eventfd_or_the_former,
    listens_to_another_eventfd_or_can_be_told_again,
    listens_to_no_eventfd_or_the_former,
    listens_no_more_once_disabled_or_as_before,
];

const TRIGGER: u32 = VFIO_IRQ_SET_ACTION_TRIGGER;
const UNMASK: u32 = VFIO_IRQ_SET_ACTION_UNMASK;
const INTX: u32 = VFIO_PCI_INTX_IRQ_INDEX;

fn signals_another_eventfd_or_the_former(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    for index in INDEXES {
        world.faults.each(
            || {
                let (former, other) = (Signal::new()?, Signal::new()?);
                device.irq_fd(TRIGGER, index, former.fd())?;
                let flags = VFIO_IRQ_SET_DATA_EVENTFD | TRIGGER;
                let argument = set(flags, index, &other.fd().to_ne_bytes());
                Ok((former, other, argument))
            },
            |(_, _, argument)| device.ioctl(requests::SET_IRQS, argument),
            |(former, other, _), came| {
                came.is_clean(&[])?;
                let times = u64::from(came.answer.is_ok());
                check_eq!(signals(&device, index, &other)?, times, "index {index}");
                check_eq!(former.taken(Duration::ZERO)?, 1 - times, "the former");
                device.irq_fd(TRIGGER, index, other.fd())?;
                check_eq!(signals(&device, index, &other)?, 1, "the next try");
                check_eq!(former.taken(Duration::ZERO)?, 0, "the former, after it");
                Ok(())
            },
        )?;
        device.irq_disable(index)?;
    }
    world.works(&device)
}

fn signals_no_eventfd_or_the_former(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    for index in INDEXES {
        world.faults.each(
            || {
                let former = Signal::new()?;
                device.irq_fd(TRIGGER, index, former.fd())?;
                let flags = VFIO_IRQ_SET_DATA_EVENTFD | TRIGGER;
                Ok((former, set(flags, index, &(-1_i32).to_ne_bytes())))
            },
            |(_, argument)| device.ioctl(requests::SET_IRQS, argument),
            |(former, _), came| {
                came.is_clean(&[])?;
                let times = u64::from(came.answer.is_err());
                check_eq!(signals(&device, index, &former)?, times, "index {index}");
                device.irq_fd(TRIGGER, index, -1)?;
                check_eq!(signals(&device, index, &former)?, 0, "the next try");
                Ok(())
            },
        )?;
        device.irq_disable(index)?;
    }
    world.works(&device)
}

/// A device whose pin waits to be unmasked by an eventfd, with the eventfd that it signals and that one.
fn listening(world: &World, device: &Device) -> Result<(Signal, Signal), vfio_client::ktap::Miss> {
    let (signal, unmask) = (Signal::new()?, Signal::new()?);
    masked(world, device, &signal)?;
    device.irq_fd(UNMASK, INTX, unmask.fd())?;
    Ok((signal, unmask))
}

fn listens_to_another_eventfd_or_can_be_told_again(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    world.faults.each(
        || {
            let (signal, former) = listening(world, &device)?;
            let other = Signal::new()?;
            let flags = VFIO_IRQ_SET_DATA_EVENTFD | UNMASK;
            let argument = set(flags, INTX, &other.fd().to_ne_bytes());
            Ok((signal, former, other, argument))
        },
        |(_, _, _, argument)| device.ioctl(requests::SET_IRQS, argument),
        |(signal, former, other, _), came| {
            came.is_clean(&[])?;
            if came.answer.is_err() {
                // The core of vfio listens to one at a time: where it cannot begin with the other, it has left off the former.
                // What was never tied is never heard.
                other.send()?;
                signal.expect(0, "unmasked by an eventfd that was not taken")?;
                other.taken(Duration::ZERO)?;
                device.irq_fd(UNMASK, INTX, other.fd())?;
            }
            former.send()?;
            signal.expect(0, "unmasked by the former")?;
            other.send()?;
            signal.expect(1, "unmasked by the other")
        },
    )?;
    device.irq_disable(INTX)?;
    world.works(&device)
}

fn listens_to_no_eventfd_or_the_former(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let flags = VFIO_IRQ_SET_DATA_EVENTFD | UNMASK;
    world.faults.each(
        || {
            let (signal, former) = listening(world, &device)?;
            let argument = set(flags, INTX, &(-1_i32).to_ne_bytes());
            Ok((signal, former, argument))
        },
        |(_, _, argument)| device.ioctl(requests::SET_IRQS, argument),
        |(signal, former, _), came| {
            came.is_clean(&[])?;
            former.send()?;
            signal.expect(u64::from(came.answer.is_err()), "unmasked by the former")?;
            device.irq_fd(UNMASK, INTX, -1)?;
            former.send()?;
            signal.expect(0, "unmasked after the next try")
        },
    )?;
    device.irq_disable(INTX)?;
    world.works(&device)
}

fn listens_no_more_once_disabled_or_as_before(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let flags = VFIO_IRQ_SET_DATA_NONE | TRIGGER;
    world.faults.each(
        || {
            let (signal, former) = listening(world, &device)?;
            let argument = Box::new(Argument::words(&[20, flags, INTX, 0, 0]));
            Ok((signal, former, argument))
        },
        |(_, _, argument)| device.ioctl(requests::SET_IRQS, argument),
        |(signal, former, _), came| {
            came.is_clean(&[])?;
            if came.answer.is_err() {
                former.send()?;
                signal.expect(1, "unmasked as before")?;
                device.irq_disable(INTX)?;
            }
            // Tied again, the pin is signalled, and masks itself.
            device.irq_fd(TRIGGER, INTX, signal.fd())?;
            signal.expect(1, "tied again")?;
            former.send()?;
            signal.expect(0, "unmasked by what it does not listen to")
        },
    )?;
    device.irq_disable(INTX)?;
    world.works(&device)
}
