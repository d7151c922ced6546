// SPDX-License-Identifier: GPL-2.0-only
//! Reset, and the next user: both find a device as it is when new.

use super::support::*;
use vfio_bindings::bindings::vfio::{VFIO_DEVICE_FLAGS_RESET, VFIO_PCI_INTX_IRQ_INDEX as INTX};
use vfio_client::migration::v2::{self, RESUMING, RUNNING, STATES, STOP};
use vfio_client::serial::{config16, config32, COMMAND_IO};

cases![
    is_advertised: QEMU, "The device says that it can be reset; QEMU complains at every start otherwise.";
    works_in_every_state: UAPI, "A reset succeeds in every state of migration.";
    returns_to_running: UAPI, "After a reset the device is RUNNING, whatever its state was.";
    recovers_a_refused_load: QEMU, "A reset leads back to RUNNING after a refused load.";
    clears_the_registers: VFIO_PCI, "A reset clears the registers of every port.";
    clears_the_receivers: VFIO_PCI, "A reset empties the receiver of every port.";
    clears_the_configuration: VFIO_PCI, "A reset clears the command register and the BARs.";
    ends_the_interrupt: VFIO_PCI, "A reset takes back an interrupt that was raised.";
    leaves_a_working_device: VFIO_PCI, "A device that was reset works.";
    starts_the_next_user_running: UAPI, "The next user finds the device RUNNING, whatever state the last one left.";
    shows_the_next_user_no_registers: SAFETY, "The next user finds the registers of a new device.";
    shows_the_next_user_no_characters: SAFETY, "The next user receives nothing of what the last one sent.";
    shows_the_next_user_no_configuration: VFIO_PCI, "The next user finds the configuration of a new device.";
    shows_the_next_user_no_stream: SAFETY, "The stream of the next user is that of a new device.";
    signals_the_last_user_nothing: VFIO_PCI, "What the next user does signals nothing to the last.";
];

fn is_advertised(world: &World) -> Outcome {
    let (flags, _, _) = world.card()?.info()?;
    check!(flags & VFIO_DEVICE_FLAGS_RESET != 0, "flags are {flags:#x}");
    Ok(())
}

fn works_in_every_state(world: &World) -> Outcome {
    for state in STATES {
        let card = world.card()?;
        let _file = v2::set(&card, state)?;
        card.reset()?;
        works(&card, &format!("after a reset in state {state}"))?;
    }
    Ok(())
}

fn returns_to_running(world: &World) -> Outcome {
    let card = world.card()?;
    for state in STATES {
        let _file = v2::set(&card, state)?;
        card.reset()?;
        check_eq!(v2::state(&card)?, RUNNING, "state after a reset in {state}");
    }
    Ok(())
}

fn recovers_a_refused_load(world: &World) -> Outcome {
    let card = world.card()?;
    let stream = v2::save(&card)?;
    let file = v2::open(&card, RESUMING)?;
    file.feed(&stream[..stream.len() / 2], 64)?;
    check!(v2::set(&card, STOP).is_err(), "half of a stream is loaded");
    card.reset()?;
    check_eq!(v2::state(&card)?, RUNNING, "state");
    works(&card, "after the reset")
}

/// Registers that differ from those of a new device.
fn dirty(card: &Card) -> Result<(), Errno> {
    mark(card, 0x91)
}

fn registers_are_new(card: &Card) -> Outcome {
    for number in 0..card.ports() {
        let port = card.port(number);
        let got = [LCR, MCR, IER].map(|register| port.get(register));
        let got = got.into_iter().collect::<Result<Vec<_>, _>>()?;
        check_eq!(got, [0, 0, 0], "LCR, MCR, IER of port {number}");
    }
    Ok(())
}

fn receivers_are_empty(card: &Card) -> Outcome {
    for number in 0..card.ports() {
        check_eq!(
            card.port(number).receive(64)?,
            b"",
            "what port {number} received"
        );
    }
    Ok(())
}

fn clears_the_registers(world: &World) -> Outcome {
    let card = world.card()?;
    dirty(&card)?;
    card.reset()?;
    registers_are_new(&card)
}

fn clears_the_receivers(world: &World) -> Outcome {
    let card = world.card()?;
    dirty(&card)?;
    card.reset()?;
    receivers_are_empty(&card)
}

fn configure(card: &Card) -> Result<(), Errno> {
    card.put(CONFIG, BAR0_REGISTER, &0x0000_c0c0_u32.to_le_bytes())?;
    card.put(CONFIG, COMMAND, &COMMAND_IO.to_le_bytes())
}

/// Checks that configuration space is as it was.
fn configuration_is_new(card: &Card, (command, bar): (u16, u32)) -> Outcome {
    check_eq!(config16(card, COMMAND)?, command, "the command register");
    check_eq!(config32(card, BAR0_REGISTER)?, bar, "BAR 0");
    Ok(())
}

fn clears_the_configuration(world: &World) -> Outcome {
    let card = world.card()?;
    let new = (config16(&card, COMMAND)?, config32(&card, BAR0_REGISTER)?);
    configure(&card)?;
    card.reset()?;
    configuration_is_new(&card, new)
}

fn ends_the_interrupt(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    card.port(0).assert_interrupt()?;
    signal.expect(1, "an empty transmitter")?;
    card.reset()?;
    let identity = card.port(0).get(IIR_FCR)? & IDENTITY;
    check_eq!(identity, IIR_NONE, "identity after the reset");
    let _ = card.irq_now(
        vfio_bindings::bindings::vfio::VFIO_IRQ_SET_ACTION_UNMASK,
        INTX,
    );
    signal.expect(0, "an unmask after the reset")
}

fn leaves_a_working_device(world: &World) -> Outcome {
    let card = world.card()?;
    for _ in 0..3 {
        dirty(&card)?;
        card.reset()?;
        works(&card, "after a reset")?;
    }
    Ok(())
}

fn starts_the_next_user_running(world: &World) -> Outcome {
    let mut mdev = world.idle()?;
    for state in STATES {
        let card = world.reopen(mdev)?;
        let file = v2::set(&card, state)?;
        let next = world.reopen(card.close())?;
        check_eq!(
            v2::state(&next)?,
            RUNNING,
            "state after a user who left {state}"
        );
        drop(file);
        mdev = next.close();
    }
    Ok(())
}

fn next_user(world: &World) -> Result<Card, Miss> {
    let card = world.card()?;
    dirty(&card)?;
    configure(&card)?;
    world.reopen(card.close())
}

fn shows_the_next_user_no_registers(world: &World) -> Outcome {
    let card = next_user(world)?;
    check_eq!(card.port(0).get(SCR)?, 0, "scratch");
    registers_are_new(&card)
}

fn shows_the_next_user_no_characters(world: &World) -> Outcome {
    receivers_are_empty(&next_user(world)?)
}

fn shows_the_next_user_no_configuration(world: &World) -> Outcome {
    let card = world.card()?;
    let new = (config16(&card, COMMAND)?, config32(&card, BAR0_REGISTER)?);
    configure(&card)?;
    configuration_is_new(&world.reopen(card.close())?, new)
}

fn shows_the_next_user_no_stream(world: &World) -> Outcome {
    let card = world.card()?;
    let want = v2::save(&card)?;
    let card = world.reopen(card.close())?;
    dirty(&card)?;
    configure(&card)?;
    let card = world.reopen(card.close())?;
    let got = v2::save(&card)?;
    let other = got.iter().zip(&want).filter(|(a, b)| a != b).count();
    check_eq!(
        (other, got.len()),
        (0, want.len()),
        "bytes that differ, and bytes"
    );
    Ok(())
}

fn signals_the_last_user_nothing(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let signal = card.intx()?;
    let card = world.reopen(card.close())?;
    card.enable()?;
    card.port(0).assert_interrupt()?;
    signal.expect(0, "an empty transmitter of the next user")
}
