// SPDX-License-Identifier: GPL-2.0-only
//! `VFIO_DEVICE_SET_IRQS`: what is signalled, and when.

use std::time::Duration;

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK,
    VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
    VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
    VFIO_PCI_REQ_IRQ_INDEX,
};

use vfio_client::device::{requests, Device};
use vfio_client::ktap::{check_eq, Outcome};
use vfio_client::memory::Argument;
use vfio_client::serial::{enable, Port, Signal};

use super::{cases, World};

cases![
    signals_an_eventfd_from_now_on_or_does_not,
    signals_at_once_or_does_not,
    masks_or_does_not,
    unmasks_or_does_not,
    listens_to_an_eventfd_or_does_not,
    disables_or_does_not;
    resets_without_anything_that_can_fail,
];

/// An argument for interrupt 0 of an index, with data.
pub fn set(flags: u32, index: u32, data: &[u8]) -> Box<Argument> {
    let size = 20 + data.len() as u32;
    let mut argument = Box::new(Argument::words(&[size, flags, index, 0, 1]));
    argument.put(20, data);
    argument
}

/// The indexes that an eventfd can be given to.
pub const INDEXES: [u32; 4] = [
    VFIO_PCI_INTX_IRQ_INDEX,
    VFIO_PCI_MSI_IRQ_INDEX,
    VFIO_PCI_ERR_IRQ_INDEX,
    VFIO_PCI_REQ_IRQ_INDEX,
];

/// The ways to say that something is to be done at once.
const NOW: [(u32, &[u8]); 2] = [
    (VFIO_IRQ_SET_DATA_NONE, &[]),
    (VFIO_IRQ_SET_DATA_BOOL, &[1]),
];

/// How often an index signals when it is told to.
pub fn signals(device: &Device, index: u32, signal: &Signal) -> Result<u64, nix::errno::Errno> {
    // Where nothing is tied to it there is nothing to signal, which may be an error.
    let _ = device.irq_now(VFIO_IRQ_SET_ACTION_TRIGGER, index);
    signal.taken(Duration::ZERO)
}

fn signals_an_eventfd_from_now_on_or_does_not(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    for index in INDEXES {
        let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        world.faults.each(
            || {
                device.irq_disable(index)?;
                let signal = Signal::new()?;
                let argument = set(flags, index, &signal.fd().to_ne_bytes());
                Ok((signal, argument))
            },
            |(_, argument)| device.ioctl(requests::SET_IRQS, argument),
            |(signal, _), came| {
                came.is_clean(&[])?;
                let times = u64::from(came.answer.is_ok());
                check_eq!(signals(&device, index, &signal)?, times, "index {index}");
                if times == 0 {
                    device.irq_fd(VFIO_IRQ_SET_ACTION_TRIGGER, index, signal.fd())?;
                    check_eq!(signals(&device, index, &signal)?, 1, "the next try");
                }
                Ok(())
            },
        )?;
        device.irq_disable(index)?;
    }
    world.works(&device)
}

fn signals_at_once_or_does_not(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    for index in INDEXES {
        let signal = Signal::new()?;
        device.irq_fd(VFIO_IRQ_SET_ACTION_TRIGGER, index, signal.fd())?;
        for (kind, data) in NOW {
            let flags = kind | VFIO_IRQ_SET_ACTION_TRIGGER;
            world.faults.each(
                || Ok(set(flags, index, data)),
                |argument| device.ioctl(requests::SET_IRQS, argument),
                |_, came| {
                    came.is_clean(&[])?;
                    let times = u64::from(came.answer.is_ok());
                    check_eq!(signal.taken(Duration::ZERO)?, times, "index {index}");
                    check_eq!(signals(&device, index, &signal)?, 1, "the next try");
                    Ok(())
                },
            )?;
        }
        device.irq_disable(index)?;
    }
    world.works(&device)
}

/// A device whose pin asks for an interrupt that nobody has been told of, as it is masked.
pub fn masked(world: &World, device: &Device, signal: &Signal) -> Outcome {
    device.irq_disable(VFIO_PCI_INTX_IRQ_INDEX)?;
    device.reset()?;
    enable(device, world.ports)?;
    device.irq_fd(
        VFIO_IRQ_SET_ACTION_TRIGGER,
        VFIO_PCI_INTX_IRQ_INDEX,
        signal.fd(),
    )?;
    device.irq_now(VFIO_IRQ_SET_ACTION_MASK, VFIO_PCI_INTX_IRQ_INDEX)?;
    Port::new(device, 0).assert_interrupt()?;
    signal.expect(0, "masked")
}

fn masks_or_does_not(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let index = VFIO_PCI_INTX_IRQ_INDEX;
    let port = Port::new(&device, 0);
    for (kind, data) in NOW {
        world.faults.each(
            || {
                device.irq_disable(index)?;
                device.reset()?;
                enable(&device, world.ports)?;
                let signal = Signal::new()?;
                device.irq_fd(VFIO_IRQ_SET_ACTION_TRIGGER, index, signal.fd())?;
                Ok((signal, set(kind | VFIO_IRQ_SET_ACTION_MASK, index, data)))
            },
            |(_, argument)| device.ioctl(requests::SET_IRQS, argument),
            |(signal, _), came| {
                came.is_clean(&[])?;
                port.assert_interrupt()?;
                let masked = came.answer.is_ok();
                check_eq!(
                    signal.taken(Duration::ZERO)?,
                    u64::from(!masked),
                    "signalled"
                );
                device.irq_bool(VFIO_IRQ_SET_ACTION_UNMASK, index, 1)?;
                check_eq!(signal.taken(Duration::ZERO)?, 1, "unmasked");
                Ok(())
            },
        )?;
    }
    device.irq_disable(index)?;
    world.works(&device)
}

fn unmasks_or_does_not(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let index = VFIO_PCI_INTX_IRQ_INDEX;
    for (kind, data) in NOW {
        world.faults.each(
            || {
                let signal = Signal::new()?;
                masked(world, &device, &signal)?;
                Ok((signal, set(kind | VFIO_IRQ_SET_ACTION_UNMASK, index, data)))
            },
            |(_, argument)| device.ioctl(requests::SET_IRQS, argument),
            |(signal, _), came| {
                came.is_clean(&[])?;
                let unmasked = came.answer.is_ok();
                check_eq!(
                    signal.taken(Duration::ZERO)?,
                    u64::from(unmasked),
                    "signalled"
                );
                device.irq_bool(VFIO_IRQ_SET_ACTION_UNMASK, index, 1)?;
                check_eq!(signal.taken(Duration::ZERO)?, 1, "the next try");
                Ok(())
            },
        )?;
    }
    device.irq_disable(index)?;
    world.works(&device)
}

fn listens_to_an_eventfd_or_does_not(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let index = VFIO_PCI_INTX_IRQ_INDEX;
    let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK;
    world.faults.each(
        || {
            let (signal, unmask) = (Signal::new()?, Signal::new()?);
            masked(world, &device, &signal)?;
            let argument = set(flags, index, &unmask.fd().to_ne_bytes());
            Ok((signal, unmask, argument))
        },
        |(_, _, argument)| device.ioctl(requests::SET_IRQS, argument),
        |(signal, unmask, _), came| {
            came.is_clean(&[])?;
            unmask.send()?;
            signal.expect(u64::from(came.answer.is_ok()), "unmasked by an eventfd")?;
            if came.answer.is_err() {
                let next = Signal::new()?;
                device.irq_fd(VFIO_IRQ_SET_ACTION_UNMASK, index, next.fd())?;
                next.send()?;
                signal.expect(1, "the next try")?;
            }
            Ok(())
        },
    )?;
    device.irq_disable(index)?;
    world.works(&device)
}

fn disables_or_does_not(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    for index in INDEXES {
        let flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
        world.faults.each(
            || {
                let signal = Signal::new()?;
                device.irq_fd(VFIO_IRQ_SET_ACTION_TRIGGER, index, signal.fd())?;
                Ok((signal, Box::new(Argument::words(&[20, flags, index, 0, 0]))))
            },
            |(_, argument)| device.ioctl(requests::SET_IRQS, argument),
            |(signal, _), came| {
                came.is_clean(&[])?;
                let times = u64::from(came.answer.is_err());
                check_eq!(signals(&device, index, &signal)?, times, "index {index}");
                device.irq_disable(index)?;
                check_eq!(signals(&device, index, &signal)?, 0, "the next try");
                Ok(())
            },
        )?;
    }
    world.works(&device)
}

fn resets_without_anything_that_can_fail(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    device.reset()?;
    let fresh = vfio_client::migration::guest::glance(&device, world.ports)?;
    world.faults.each(
        || Ok(world.busy(&device)?),
        |_| device.reset(),
        |_, came| {
            came.is_clean(&[])?;
            let view = vfio_client::migration::guest::glance(&device, world.ports)?;
            vfio_client::migration::guest::same(&view, &fresh, "reset")
        },
    )?;
    world.works(&device)
}
