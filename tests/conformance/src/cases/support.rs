// SPDX-License-Identifier: GPL-2.0-only
//! What the cases share.

pub use nix::errno::Errno;
pub use vfio_client::ktap::{check, check_eq, check_errno, Miss, Outcome};
pub use vfio_client::serial::{
    BAR0_REGISTER, COMMAND, CONFIG, DATA, FCR_ENABLE, IER, IER_LINE, IER_MODEM, IER_RX, IER_THRE,
    IIR_FCR, IIR_NONE, INTERRUPT_LINE, LCR, LCR_DLAB, LSR, LSR_DR, LSR_OE, LSR_TEMT, LSR_THRE, MCR,
    MCR_DTR, MCR_LOOP, MCR_OUT2, MCR_RTS, MSR, SCR,
};

pub(super) use crate::case::cases;
pub use crate::case::{DRIVERS, PCI, POSIX, QEMU, SAFETY, UAPI, UART, VFIO_PCI};
pub use crate::world::{Card, World};

use vfio_client::serial::Port;

/// The identity in IIR, without the bits that tell whether there are FIFOs.
pub const IDENTITY: u8 = 0x0f;

/// IIR: received data available.
pub const IIR_RX: u8 = 0x04;
/// IIR: transmit holding register empty.
pub const IIR_THRE: u8 = 0x02;
/// IIR: receiver line status.
pub const IIR_LINE: u8 = 0x06;
/// IIR: modem status.
pub const IIR_MODEM: u8 = 0x00;

/// Tries something on each port of a new card, of which a driver has taken possession.
pub fn each_port(world: &World, case: impl Fn(&Port<'_>) -> Outcome) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    (0..card.ports()).try_for_each(|number| case(&card.port(number)))
}

/// Puts a port into internal loopback with FIFOs, where what is sent is received without a cable.
pub fn loop_back(port: &Port<'_>, fcr: u8) -> Result<(), Errno> {
    port.set(LCR, 0x03)?;
    port.set(MCR, MCR_LOOP)?;
    port.set(IIR_FCR, fcr)
}

/// Leaves something in every port of a card that can be told from any other number.
pub fn mark(card: &Card, number: u8) -> Result<(), Errno> {
    card.enable()?;
    for at in 0..card.ports() {
        let (port, own) = (card.port(at), number.wrapping_add(at as u8));
        loop_back(&port, FCR_ENABLE)?;
        port.set(SCR, own)?;
        port.set(IER, IER_RX | IER_LINE)?;
        port.set(MCR, MCR_LOOP | MCR_RTS)?;
        port.send(&[own, 1, 2, 3, own])?;
    }
    Ok(())
}

/// What the registers and receivers of all ports hold; what was received is read, and so gone.
pub fn take(card: &Card) -> Result<Vec<Vec<u8>>, Errno> {
    let mut seen = Vec::new();
    for at in 0..card.ports() {
        let port = card.port(at);
        let quiet = [LCR, MCR, SCR, IER].map(|register| port.get(register));
        seen.push(quiet.into_iter().collect::<Result<_, _>>()?);
        seen.push(port.receive(64)?);
    }
    Ok(seen)
}

/// Checks that each port still receives what it sends.
pub fn works(card: &Card, when: &str) -> Outcome {
    for at in 0..card.ports() {
        let port = card.port(at);
        port.set(IER, 0)?;
        loop_back(&port, FCR_ENABLE | 0x06)?;
        port.send(b"again")?;
        check_eq!(port.receive(64)?, b"again", "port {at}, {when}");
    }
    Ok(())
}
