// SPDX-License-Identifier: GPL-2.0-only
//! `VFIO_DEVICE_SET_IRQS` and the INFO requests with every kind of wrong argument.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK as MASK, VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER,
    VFIO_IRQ_SET_ACTION_UNMASK as UNMASK, VFIO_IRQ_SET_DATA_BOOL as BOOL,
    VFIO_IRQ_SET_DATA_EVENTFD as EVENTFD, VFIO_IRQ_SET_DATA_NONE as NONE,
    VFIO_PCI_INTX_IRQ_INDEX as INTX, VFIO_PCI_MSIX_IRQ_INDEX as MSIX,
    VFIO_PCI_MSI_IRQ_INDEX as MSI,
};

use super::{cases, World};
use vfio_client::device::{ioctl_cliff, requests, Device};
use vfio_client::ktap::{check, check_eq, check_errno, Outcome};
use vfio_client::memory::{Argument, Cliff, PAGE};
use vfio_client::serial::{enable, Port, Signal};

cases![
    refuses_info_with_a_short_argsz,
    writes_no_more_than_the_info_it_knows,
    refuses_interrupt_indexes_that_it_does_not_have,
    needs_no_info_request_before_set_irqs,
    refuses_set_irqs_with_a_short_argsz,
    refuses_set_irqs_with_wrong_flags,
    refuses_set_irqs_out_of_range,
    refuses_set_irqs_for_msix,
    refuses_descriptors_that_are_not_eventfds,
    refuses_set_irqs_whose_data_is_not_there,
    keeps_the_trigger_when_a_call_is_refused,
    keeps_the_unmask_eventfd_when_a_call_is_refused,
];

fn refuses_info_with_a_short_argsz(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for (number, least) in [
        (requests::GET_INFO, 16),
        (requests::GET_REGION_INFO, 32),
        (requests::GET_IRQ_INFO, 16),
    ] {
        for argsz in [0, 1, 4, 12, least - 1] {
            let call = device.ioctl(number, &mut Argument::words(&[argsz]));
            check_errno!(call, EINVAL, "request {number:#x} with argsz {argsz}");
        }
        let call = device.ioctl(number, &mut Argument::words(&[least]));
        check!(
            call.is_ok(),
            "request {number:#x} with argsz {least}: {call:?}"
        );
    }
    Ok(())
}

fn writes_no_more_than_the_info_it_knows(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    // The longest form of each structure in linux/vfio.h.
    for (number, longest) in [
        (requests::GET_INFO, 24),
        (requests::GET_REGION_INFO, 32),
        (requests::GET_IRQ_INFO, 16),
    ] {
        let mut page = Argument::filled(0xa5);
        page.set(0, PAGE as u32);
        page.set(8, 0);
        device.ioctl(number, &mut page)?;
        let untouched = page.rest(longest).iter().all(|byte| *byte == 0xa5);
        check!(untouched, "request {number:#x} wrote behind its structure");
        // A structure that ends at the edge of memory is enough.
        let mut cliff = Cliff::new()?;
        let least = if number == requests::GET_REGION_INFO {
            32
        } else {
            16
        };
        let mut bytes = vec![0; least];
        bytes[..4].copy_from_slice(&(least as u32).to_ne_bytes());
        cliff.put(&bytes);
        ioctl_cliff(device.file().as_fd(), number, &mut cliff, least)?;
    }
    Ok(())
}

fn refuses_interrupt_indexes_that_it_does_not_have(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for index in [5, 6, 255, i32::MAX as u32, u32::MAX] {
        check_errno!(device.irq(index), EINVAL, "GET_IRQ_INFO of {index}");
        let call = device.set_irqs(NONE | TRIGGER, index, 0, 0, &[]);
        check_errno!(call, EINVAL, "disabling {index}");
        let call = device.set_irqs(NONE | TRIGGER, index, 0, 1, &[]);
        check_errno!(call, EINVAL, "SET_IRQS of {index}");
    }
    Ok(())
}

fn needs_no_info_request_before_set_irqs(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let signal = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, signal.fd())?;
    device.irq_now(TRIGGER, INTX)?;
    signal.expect(1, "the first call of all")
}

fn refuses_set_irqs_with_a_short_argsz(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let set = |argsz, flags| {
        let mut page = Argument::words(&[argsz, flags, INTX, 0, 1]);
        page.put(20, &(-1_i32).to_ne_bytes());
        device.ioctl(requests::SET_IRQS, &mut page)
    };
    for argsz in [0, 1, 16, 19] {
        for flags in [NONE | TRIGGER, BOOL | MASK, EVENTFD | TRIGGER] {
            check_errno!(set(argsz, flags), EINVAL, "argsz {argsz} flags {flags:#x}");
        }
    }
    check_errno!(set(20, BOOL | MASK), EINVAL, "no room for a bool");
    for argsz in 20..24 {
        check_errno!(
            set(argsz, EVENTFD | TRIGGER),
            EINVAL,
            "room for {} of 4",
            argsz - 20
        );
    }
    check!(set(24, EVENTFD | TRIGGER).is_ok(), "room for a descriptor");
    check!(
        set(PAGE as u32, EVENTFD | TRIGGER).is_ok(),
        "more room than needed"
    );
    Ok(())
}

fn refuses_set_irqs_with_wrong_flags(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let data = (-1_i32).to_ne_bytes();
    let wrong = [
        0,
        NONE,
        TRIGGER,
        MASK,
        NONE | BOOL | TRIGGER,
        NONE | EVENTFD | TRIGGER,
        BOOL | EVENTFD | TRIGGER,
        NONE | BOOL | EVENTFD | TRIGGER,
        NONE | MASK | UNMASK,
        NONE | MASK | TRIGGER,
        EVENTFD | UNMASK | TRIGGER,
        NONE | MASK | UNMASK | TRIGGER,
        NONE | TRIGGER | (1 << 6),
        EVENTFD | TRIGGER | (1 << 31),
        u32::MAX,
    ];
    for flags in wrong {
        for index in [INTX, MSI] {
            let call = device.set_irqs(flags, index, 0, 1, &data);
            check_errno!(call, EINVAL, "flags {flags:#x} of index {index}");
        }
    }
    Ok(())
}

fn refuses_set_irqs_out_of_range(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let data = [0xff; 256];
    for index in [INTX, MSI, 3, 4] {
        for (start, count) in [
            (0, 2),
            (1, 1),
            (1, 0xffff_ffff),
            (0, 64),
            (0, 0xffff_ffff),
            (0, 0x4000_0000),
            (0, 0x4000_0001),
            (0, 0x8000_0000),
            (0xffff_ffff, 1),
            (0xffff_ffff, 2),
            (0xffff_ffff, 0xffff_ffff),
            (0x8000_0000, 0x8000_0000),
            (0x8000_0000, 0x8000_0001),
            (2, 0),
        ] {
            for flags in [NONE | TRIGGER, BOOL | TRIGGER, EVENTFD | TRIGGER] {
                let call = device.set_irqs(flags, index, start, count, &data);
                check_errno!(call, EINVAL, "{start}+{count} of {index}, flags {flags:#x}");
            }
        }
    }
    Ok(())
}

fn refuses_set_irqs_for_msix(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let signal = Signal::new()?;
    for action in [TRIGGER, MASK, UNMASK] {
        let call = device.irq_fd(action, MSIX, signal.fd());
        check_errno!(call, EINVAL, "action {action:#x} by eventfd");
        let call = device.irq_now(action, MSIX);
        check_errno!(call, EINVAL, "action {action:#x} now");
        let call = device.irq_bool(action, MSIX, 1);
        check_errno!(call, EINVAL, "action {action:#x} by bool");
    }
    Ok(())
}

fn refuses_descriptors_that_are_not_eventfds(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let null = File::open("/dev/null")?;
    let (reader, _writer) = nix::unistd::pipe()?;
    for (index, action) in [
        (INTX, TRIGGER),
        (INTX, UNMASK),
        (MSI, TRIGGER),
        (3, TRIGGER),
        (4, TRIGGER),
    ] {
        if action == UNMASK {
            // Unmasking needs an interrupt to unmask.
            device.irq_fd(TRIGGER, INTX, Signal::new()?.fd())?;
        }
        for fd in [9999, i32::MAX] {
            check_errno!(device.irq_fd(action, index, fd), EBADF, "descriptor {fd}");
        }
        for fd in [-2, i32::MIN] {
            check_errno!(device.irq_fd(action, index, fd), EINVAL, "descriptor {fd}");
        }
        for fd in [
            null.as_raw_fd(),
            reader.as_raw_fd(),
            device.file().as_raw_fd(),
        ] {
            check_errno!(device.irq_fd(action, index, fd), EINVAL, "not an eventfd");
        }
    }
    Ok(())
}

fn refuses_set_irqs_whose_data_is_not_there(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let mut cliff = Cliff::new()?;
    let call =
        |cliff: &mut Cliff, n| ioctl_cliff(device.file().as_fd(), requests::SET_IRQS, cliff, n);
    check_errno!(call(&mut cliff, 0), EFAULT, "no argument");
    check_errno!(call(&mut cliff, 16), EFAULT, "part of an argument");
    for (flags, size) in [(EVENTFD | TRIGGER, 4), (BOOL | TRIGGER, 1)] {
        let words = [20 + size, flags, INTX, 0, 1];
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        cliff.put(&bytes);
        check_errno!(
            call(&mut cliff, 20),
            EFAULT,
            "flags {flags:#x} without data"
        );
    }
    Ok(())
}

/// Makes calls that must all be refused.
fn refused_calls(device: &Device) -> Outcome {
    check_errno!(
        device.irq_fd(TRIGGER, INTX, 9999),
        EBADF,
        "a closed descriptor"
    );
    let twice = device.set_irqs(NONE | TRIGGER, INTX, 0, 2, &[]);
    check_errno!(twice, EINVAL, "two interrupts");
    let flags = device.set_irqs(NONE | TRIGGER | (1 << 9), INTX, 0, 0, &[]);
    check_errno!(flags, EINVAL, "an unknown flag");
    let start = device.set_irqs(NONE | TRIGGER, INTX, 7, 0, &[]);
    check_errno!(start, EINVAL, "nothing, from the seventh on");
    Ok(())
}

fn keeps_the_trigger_when_a_call_is_refused(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let signal = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, signal.fd())?;
    refused_calls(&device)?;
    Port::new(&device, 0).assert_interrupt()?;
    signal.expect(1, "the trigger that was set before")?;
    check_eq!(device.irq(INTX)?.1, 1, "count of INTx");
    Ok(())
}

fn keeps_the_unmask_eventfd_when_a_call_is_refused(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let (signal, unmask) = (Signal::new()?, Signal::new()?);
    device.irq_fd(TRIGGER, INTX, signal.fd())?;
    device.irq_fd(UNMASK, INTX, unmask.fd())?;
    let null = File::open("/dev/null")?;
    let closed = device.irq_fd(UNMASK, INTX, 9999);
    check_errno!(closed, EBADF, "a closed descriptor");
    let other = device.irq_fd(UNMASK, INTX, null.as_raw_fd());
    check_errno!(other, EINVAL, "not an eventfd");
    Port::new(&device, 0).assert_interrupt()?;
    signal.expect(1, "after the level rose")?;
    unmask.send()?;
    signal.expect(1, "unmasked by the eventfd that was set before")
}
