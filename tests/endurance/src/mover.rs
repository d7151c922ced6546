// SPDX-License-Identifier: GPL-2.0-only
//! What a thread of a race does to a device that is open, alone or not: moves it through the states of migration by both
//! protocols, saves, loads, resets it, and uses its registers and interrupts.

use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use rand::rngs::SmallRng;
use rand::Rng;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK as MASK, VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER,
    VFIO_IRQ_SET_ACTION_UNMASK as UNMASK, VFIO_PCI_ERR_IRQ_INDEX as ERR,
    VFIO_PCI_INTX_IRQ_INDEX as INTX, VFIO_PCI_MSI_IRQ_INDEX as MSI, VFIO_PCI_NUM_REGIONS,
    VFIO_PCI_REQ_IRQ_INDEX as REQ,
};
use vfio_client::migration::logging;
use vfio_client::migration::stream::Stream;
use vfio_client::migration::v1::{self, Carry, Region};
use vfio_client::migration::v2::{self, DataFile, STATES};
use vfio_client::serial::{Port, BAR0, CONFIG, DATA, IER, INTERRUPT_LINE, LSR, SCR};

use crate::session::{Answer, Call, Name};
use crate::worker::{plain, Open};

/// The region of migration: the first after those of PCI.
const REGION: u32 = VFIO_PCI_NUM_REGIONS;

fn answer<T>(result: Result<T, Errno>) -> Answer<T> {
    result.map_err(|errno| errno as i32)
}

/// Does one thing.
pub fn act(open: &Open, rng: &mut SmallRng) {
    match rng.random_range(0..100) {
        0..14 => drop(set(open, STATES[rng.random_range(0..STATES.len())])),
        14..20 => get(open),
        20..30 => set_region(open, rng),
        30..34 => get_region(open),
        34..38 => drop(open.call(|device| device.reset(), |done| Call::Reset(plain(done)))),
        38..48 => write_scratch(open, rng.random()),
        48..58 => read_scratch(open),
        58..66 => interrupts(open, rng),
        66..72 => registers(open, rng),
        72..84 => save(open, rng),
        84..94 => load(open, rng),
        94..97 => give(open, rng),
        97..99 => drain_region(open),
        _ => log_dma(open, rng),
    }
}

/// A data file with the name of its transfer.
type Named = (Name, DataFile);

fn set(open: &Open, to: u32) -> Result<Option<Named>, Errno> {
    let name = open.process().board.name();
    let done = open.call(
        |device| v2::set(device, to),
        |done| {
            let opened = done.as_ref().map(Option::is_some).map_err(|errno| *errno);
            Call::Set(to, answer(opened), name)
        },
    );
    done.map(|file| file.map(|file| (name, file)))
}

fn get(open: &Open) {
    let _ = open.call(v2::state, |done| Call::Get(answer(*done)));
}

fn set_region(open: &Open, rng: &mut SmallRng) {
    let to = rng.random_range(0..=v1::RESUMING);
    let name = open.process().board.name();
    let _ = open.call(
        |device| device.put(REGION, v1::DEVICE_STATE, &to.to_le_bytes()),
        |done| Call::SetRegion(to, plain(done), name),
    );
}

fn get_region(open: &Open) {
    let _ = open.call(
        |device| device.get::<4>(REGION, v1::DEVICE_STATE),
        |done| Call::GetRegion(answer(done.map(u32::from_le_bytes))),
    );
}

fn write_scratch(open: &Open, value: u8) {
    let _ = open.call(
        |device| Port::new(device, 0).set(SCR, value),
        |done| Call::WriteScratch(value, plain(done)),
    );
}

fn read_scratch(open: &Open) {
    let _ = open.call(
        |device| Port::new(device, 0).get(SCR),
        |done| Call::ReadScratch(answer(*done)),
    );
}

/// Something that must work whatever the others do.
fn always(open: &Open, act: impl FnOnce(&vfio_client::device::Device) -> Result<(), Errno>) {
    let _ = open.call(act, |done| Call::Always(plain(done)));
}

fn interrupts(open: &Open, rng: &mut SmallRng) {
    let Ok(signal) = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK) else {
        return;
    };
    let index = [INTX, MSI, ERR, REQ][rng.random_range(0..4)];
    match rng.random_range(0..6) {
        0..2 => always(open, |device| {
            device.irq_fd(TRIGGER, index, signal.as_raw_fd())
        }),
        2 => always(open, |device| device.irq_disable(index)),
        3 => always(open, |device| device.irq_now(MASK, INTX)),
        4 => always(open, |device| device.irq_now(UNMASK, INTX)),
        // Refused where there is one already, or nothing to be signalled.
        _ => {
            let _ = open.device().irq_fd(UNMASK, INTX, signal.as_raw_fd());
            let _ = signal.write(1);
            let _ = open.device().irq_now(TRIGGER, index);
        }
    }
}

fn registers(open: &Open, rng: &mut SmallRng) {
    let value = rng.random();
    always(open, |device| {
        let port = Port::new(device, 0);
        port.set(IER, value & 0x0f)?;
        port.set(DATA, value)?;
        port.get(LSR)?;
        port.get(DATA)?;
        device.put(CONFIG, INTERRUPT_LINE, &[value])?;
        device.read(BAR0, 0, &mut [0; 8])?;
        device.read(CONFIG, 0, &mut [0; 256]).map(|_| ())
    });
}

/// Reads a data file to its end, if others let it.
fn save(open: &Open, rng: &mut SmallRng) {
    let begin = [v2::PRE_COPY, v2::PRE_COPY_P2P, v2::STOP_COPY][rng.random_range(0..3)];
    let Ok(Some((name, file))) = set(open, begin) else {
        return;
    };
    let mut stream = Vec::new();
    let mut buffer = vec![0; [16, 100, 4096][rng.random_range(0..3)]];
    for _ in 0..100 {
        let read = open.call(
            |_| file.read(&mut buffer),
            |done| Call::Read(name, answer(*done)),
        );
        match read {
            Ok(0) => {
                match Stream::parse(&stream) {
                    Ok(_) => open.process().keep(open.kind, stream),
                    Err(text) => open.process().wrong(format!("saved {stream:02x?}: {text}")),
                }
                break;
            }
            Ok(count) => stream.extend(&buffer[..count]),
            Err(Errno::ENOMSG) => {
                let _ = set(open, v2::STOP_COPY);
            }
            Err(_) => break,
        }
        if rng.random_ratio(1, 40) {
            let _ = file.events(Duration::from_millis(20));
            break;
        }
    }
    if rng.random_ratio(3, 4) {
        drop(file);
        let _ = set(open, v2::RUNNING);
    }
}

/// Gives a stream that was saved to a device, or a part of one, or what is none.
fn load(open: &Open, rng: &mut SmallRng) {
    let Some(stream) = open.process().kept(open.kind) else {
        return save(open, rng);
    };
    let Ok(Some((name, file))) = set(open, v2::RESUMING) else {
        return;
    };
    let piece = [7, 64, 4096][rng.random_range(0..3)];
    let _ = match rng.random_range(0..8) {
        0 => open.call(
            |_| file.feed(&stream[..stream.len() / 2], piece),
            |done| Call::FeedPart(name, plain(done)),
        ),
        1 => open.call(
            |_| file.feed(&[0xa5; 64], 64),
            |done| Call::Spoil(name, plain(done)),
        ),
        _ => open.call(
            |_| file.feed(&stream, piece),
            |done| Call::Feed(name, plain(done)),
        ),
    };
    if rng.random_ratio(7, 8) {
        let _ = set(open, v2::RUNNING);
    }
}

/// Gives a chunk to the region, by whichever way.
fn give(open: &Open, rng: &mut SmallRng) {
    let stream = open.process().kept(open.kind).unwrap_or(vec![0xa5; 64]);
    let carry = [Carry::Trapped(8), Carry::Mapped][rng.random_range(0..2)];
    let _ = open.call(
        |device| Region::of(device)?.give_chunk(&stream, carry),
        |done| Call::Give(plain(done)),
    );
}

/// Reads what the region has. Others may take the chunks, so that nothing can be said of them.
fn drain_region(open: &Open) {
    if let Ok(region) = Region::of(open.device()) {
        let _ = region.drain(Carry::Mapped);
    }
}

fn log_dma(open: &Open, rng: &mut SmallRng) {
    let _ = match rng.random_range(0..2) {
        0 => logging::start(open.device(), 4096, &[(0, 1 << 20)]).map(|_| ()),
        _ => logging::stop(open.device()),
    };
}
