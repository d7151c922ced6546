// SPDX-License-Identifier: GPL-2.0-only
//! MSI, ERR and REQ: signalled on an edge, never masked.

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK as MASK, VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER,
    VFIO_IRQ_SET_ACTION_UNMASK as UNMASK, VFIO_PCI_ERR_IRQ_INDEX as ERR,
    VFIO_PCI_INTX_IRQ_INDEX as INTX, VFIO_PCI_MSI_IRQ_INDEX as MSI, VFIO_PCI_REQ_IRQ_INDEX as REQ,
};

use super::{cases, World};
use vfio_client::device::Device;
use vfio_client::ktap::{check_errno, Outcome};
use vfio_client::serial::{
    enable, Port, Signal, COMMAND, COMMAND_INTX_DISABLE, COMMAND_IO, COMMAND_MASTER, CONFIG,
};

cases![
    signals_msi_on_each_rising_edge,
    sends_msi_instead_of_intx,
    returns_to_intx_when_msi_is_deassigned,
    hands_a_level_that_is_high_from_msi_to_intx,
    sends_msi_although_intx_is_disabled,
    sends_msi_only_while_it_may_master_the_bus,
    injects_each_of_them_on_request,
    moves_msi_to_another_eventfd,
    refuses_to_mask_any_of_them,
    signals_err_and_req_for_no_other_cause,
];

/// An open card whose MSI leads to an eventfd, with every port's gate open.
struct Armed {
    device: Device,
    msi: Signal,
}

impl Armed {
    fn new(world: &World<'_>) -> Result<Self, Errno> {
        let device = world.open()?;
        enable(&device, world.ports())?;
        let msi = Signal::new()?;
        device.irq_fd(TRIGGER, MSI, msi.fd())?;
        Ok(Armed { device, msi })
    }
}

fn signals_msi_on_each_rising_edge(world: &World<'_>) -> Outcome {
    let Armed { device, msi } = Armed::new(world)?;
    msi.expect(0, "before anything happened")?;
    let port = Port::new(&device, 0);
    for round in 0..5 {
        port.assert_interrupt()?;
        msi.expect(1, &format!("after the level rose, round {round}"))?;
        port.assert_interrupt()?;
        msi.expect(0, "while the level is still high")?;
        port.deassert_interrupt()?;
        msi.expect(0, "after the level fell")?;
    }
    Ok(())
}

fn sends_msi_instead_of_intx(world: &World<'_>) -> Outcome {
    let Armed { device, msi } = Armed::new(world)?;
    let intx = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, intx.fd())?;
    Port::new(&device, 0).assert_interrupt()?;
    msi.expect(1, "MSI")?;
    intx.expect(0, "INTx with MSI set")
}

fn sends_msi_only_while_it_may_master_the_bus(world: &World<'_>) -> Outcome {
    let Armed { device, msi } = Armed::new(world)?;
    device.put(CONFIG, COMMAND, &COMMAND_IO.to_le_bytes())?;
    Port::new(&device, 0).assert_interrupt()?;
    msi.expect(0, "without bus mastering")?;
    let command = COMMAND_IO | COMMAND_MASTER;
    device.put(CONFIG, COMMAND, &command.to_le_bytes())?;
    msi.expect(1, "once it may master the bus")
}

fn returns_to_intx_when_msi_is_deassigned(world: &World<'_>) -> Outcome {
    let Armed { device, msi } = Armed::new(world)?;
    let intx = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, intx.fd())?;
    let port = Port::new(&device, 0);
    for whole in [false, true] {
        device.irq_fd(TRIGGER, MSI, msi.fd())?;
        if whole {
            device.irq_disable(MSI)?;
        } else {
            device.irq_fd(TRIGGER, MSI, -1)?;
        }
        port.assert_interrupt()?;
        intx.expect(1, "INTx with MSI gone")?;
        msi.expect(0, "MSI when gone")?;
        port.deassert_interrupt()?;
        device.irq_now(UNMASK, INTX)?;
    }
    Ok(())
}

fn hands_a_level_that_is_high_from_msi_to_intx(world: &World<'_>) -> Outcome {
    let Armed { device, msi } = Armed::new(world)?;
    let intx = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, intx.fd())?;
    Port::new(&device, 0).assert_interrupt()?;
    msi.expect(1, "MSI")?;
    device.irq_fd(TRIGGER, MSI, -1)?;
    intx.expect(1, "INTx, once it is in charge of a level that is high")
}

fn sends_msi_although_intx_is_disabled(world: &World<'_>) -> Outcome {
    let Armed { device, msi } = Armed::new(world)?;
    let command = COMMAND_IO | COMMAND_MASTER | COMMAND_INTX_DISABLE;
    device.put(CONFIG, COMMAND, &command.to_le_bytes())?;
    Port::new(&device, 0).assert_interrupt()?;
    msi.expect(1, "MSI with INTx disabled")
}

fn injects_each_of_them_on_request(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for index in [MSI, ERR, REQ] {
        let signal = Signal::new()?;
        device.irq_fd(TRIGGER, index, signal.fd())?;
        device.irq_now(TRIGGER, index)?;
        signal.expect(1, "injected")?;
        device.irq_bool(TRIGGER, index, 1)?;
        signal.expect(1, "injected by 1")?;
        device.irq_bool(TRIGGER, index, 0)?;
        signal.expect(0, "not injected by 0")?;
        device.irq_fd(TRIGGER, index, -1)?;
        let injected = device.irq_now(TRIGGER, index);
        check_errno!(injected, EINVAL, "an injection into nothing");
        signal.expect(0, "de-assigned")?;
    }
    Ok(())
}

fn moves_msi_to_another_eventfd(world: &World<'_>) -> Outcome {
    let Armed { device, msi: first } = Armed::new(world)?;
    let second = Signal::new()?;
    device.irq_fd(TRIGGER, MSI, second.fd())?;
    Port::new(&device, 0).assert_interrupt()?;
    second.expect(1, "the new eventfd")?;
    first.expect(0, "the old eventfd")
}

fn refuses_to_mask_any_of_them(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let signal = Signal::new()?;
    for index in [MSI, ERR, REQ] {
        device.irq_fd(TRIGGER, index, signal.fd())?;
        for action in [MASK, UNMASK] {
            check_errno!(device.irq_now(action, index), ENOTTY, "{action} of {index}");
            check_errno!(
                device.irq_bool(action, index, 1),
                ENOTTY,
                "{action} of {index}"
            );
            let tied = device.irq_fd(action, index, signal.fd());
            check_errno!(tied, ENOTTY, "{action} of {index} by eventfd");
        }
        device.irq_now(TRIGGER, index)?;
        signal.expect(1, "still signalled")?;
    }
    Ok(())
}

fn signals_err_and_req_for_no_other_cause(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let (error, request) = (Signal::new()?, Signal::new()?);
    device.irq_fd(TRIGGER, ERR, error.fd())?;
    device.irq_fd(TRIGGER, REQ, request.fd())?;
    Port::new(&device, 0).assert_interrupt()?;
    device.reset()?;
    error.expect(0, "ERR of a device in which nothing goes wrong")?;
    request.expect(0, "REQ of a device that nobody wants back")
}
