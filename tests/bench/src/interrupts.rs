// SPDX-License-Identifier: GPL-2.0-only
//! An MSI, from what causes it until its eventfd has been read.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER, VFIO_IRQ_SET_DATA_NONE as NONE,
    VFIO_PCI_MSI_IRQ_INDEX as MSI,
};
use vfio_client::device::requests;
use vfio_client::serial::{IER, IER_THRE};

use crate::calls;
use crate::cards::Card;
use crate::measure::{Bench, Operation};
use crate::World;

/// What no MSI can be cheaper than.
const LIMIT: &str = "write and read of an eventfd";

/// By a register, and by `VFIO_DEVICE_SET_IRQS`.
///
/// # Errors
///
/// What giving the cards an eventfd answers.
pub fn add<'a>(world: &'a World, benches: &mut Vec<Bench<'a>>) -> Result<(), Errno> {
    benches.push(
        Bench::new("MSI: by a register, until it is read")
            .ours(by_register(&world.ours.signals)?)
            .peer(by_register(&world.peer.signals)?)
            .limit(LIMIT, alone()?),
    );
    benches.push(
        Bench::new("MSI: by SET_IRQS, until it is read")
            .ours(by_ioctl(&world.ours.signals)?)
            .peer(by_ioctl(&world.peer.signals)?)
            .limit(LIMIT, alone()?),
    );
    Ok(())
}

/// An eventfd that does not wait.
fn eventfd() -> Result<OwnedFd, Errno> {
    // SAFETY: It takes two numbers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    Errno::result(fd).map(calls::owned)
}

/// Reads an eventfd that was signalled once.
fn take(fd: RawFd) -> Result<(), Errno> {
    let mut count = [0; 8];
    calls::read(fd, &mut count)?;
    match u64::from_ne_bytes(count) {
        1 => Ok(()),
        _ => Err(Errno::EPROTO),
    }
}

/// Has the card signal that eventfd, and nothing to signal.
fn arm(card: &Card, signal: &OwnedFd) -> Result<(), Errno> {
    card.set(IER, 0)?;
    card.device.irq_fd(TRIGGER, MSI, signal.as_raw_fd())
}

/// The transmitter is empty; the driver wants to know, and is told at once.
fn by_register(card: &Card) -> Result<Operation<'_>, Errno> {
    let signal = Rc::new(eventfd()?);
    let armed = signal.clone();
    Ok(Operation::new(move || {
        card.set(IER, IER_THRE)?;
        take(signal.as_raw_fd())
    })
    .after(move || arm(card, &armed)))
}

/// The user asks for one.
fn by_ioctl(card: &Card) -> Result<Operation<'_>, Errno> {
    let signal = Rc::new(eventfd()?);
    let armed = signal.clone();
    Ok(Operation::new(move || {
        let mut set = [20, TRIGGER | NONE, MSI, 0, 1];
        calls::ioctl(card.fd(), requests::SET_IRQS, &mut set)?;
        take(signal.as_raw_fd())
    })
    .after(move || arm(card, &armed)))
}

/// The eventfd alone.
fn alone<'a>() -> Result<Operation<'a>, Errno> {
    let signal = eventfd()?;
    Ok(Operation::new(move || {
        calls::write(signal.as_raw_fd(), &1_u64.to_ne_bytes())?;
        take(signal.as_raw_fd())
    }))
}
