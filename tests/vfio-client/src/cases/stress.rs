// SPDX-License-Identifier: GPL-2.0-only
//! Many threads at once on one device.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK as MASK, VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER,
    VFIO_IRQ_SET_ACTION_UNMASK as UNMASK, VFIO_PCI_INTX_IRQ_INDEX as INTX,
    VFIO_PCI_MSI_IRQ_INDEX as MSI, VFIO_PCI_REQ_IRQ_INDEX as REQ,
};

use super::{cases, World};
use vfio_client::device::Device;
use vfio_client::kmsg::Kmsg;
use vfio_client::ktap::{check, check_eq, Outcome};
use vfio_client::serial::{enable, Port, Signal, BAR0, CONFIG, DATA, IER, IIR_FCR, LCR, SCR};

cases![
    withstands_threads_that_do_everything_at_once,
    withstands_opening_and_closing_in_threads,
];

/// How long the threads work.
const SPAN: Duration = Duration::from_millis(1000);

/// A small generator of numbers, so that threads do not walk in step (xorshift64).
pub struct Numbers(u64);

impl Numbers {
    /// One whose numbers differ from those of other seeds.
    pub fn new(seed: u64) -> Self {
        Numbers(0x9e37_79b9_7f4a_7c15 ^ (seed << 20))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// One random thing that a user may do; refusals are expected among them.
fn something(device: &Device, signal: &Signal, numbers: &mut Numbers) -> Result<(), Errno> {
    let pick = numbers.next();
    let at = numbers.next() % 300;
    let mut buffer = [0; 64];
    let length = (numbers.next() % 65) as usize;
    match pick % 16 {
        0..=2 => device
            .read(BAR0, at % 20, &mut buffer[..length])
            .map(|_| ()),
        3..=5 => device.write(BAR0, at % 20, &buffer[..length]).map(|_| ()),
        6 => device.read(CONFIG, at, &mut buffer[..length]).map(|_| ()),
        7 => device.write(CONFIG, at, &buffer[..length]).map(|_| ()),
        8 => device.irq_fd(TRIGGER, (at % 5) as u32, signal.fd()),
        9 => device.irq_fd(TRIGGER, (at % 5) as u32, -1),
        10 => device.irq_fd(UNMASK, INTX, if at % 2 == 0 { signal.fd() } else { -1 }),
        11 => device.irq_now(if at % 2 == 0 { MASK } else { UNMASK }, INTX),
        12 => device.irq_now(TRIGGER, [INTX, MSI, REQ][(at % 3) as usize]),
        13 => device.irq_disable((at % 5) as u32),
        14 => Port::new(device, 0).set(IER, at as u8),
        _ => device.reset(),
    }
}

fn withstands_threads_that_do_everything_at_once(world: &World<'_>) -> Outcome {
    let mut log = Kmsg::from_now()?;
    let device = world.open()?;
    let signal = Signal::new()?;
    let stop = AtomicBool::new(false);
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for seed in 1..=6 {
            let (device, signal, stop, done) = (&device, &signal, &stop, &done);
            scope.spawn(move || {
                let mut numbers = Numbers::new(seed);
                while !stop.load(Ordering::Relaxed) {
                    let _ = something(device, signal, &mut numbers);
                    // Signals what may be the unmask eventfd, and takes what was signalled.
                    let _ = signal.send();
                    let _ = signal.taken(Duration::ZERO);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(SPAN);
        stop.store(true, Ordering::Relaxed);
    });
    check!(done.load(Ordering::Relaxed) > 100, "the threads hardly ran");
    // It still is a working card.
    for index in [INTX, MSI, REQ] {
        device.irq_disable(index)?;
    }
    device.reset()?;
    enable(&device, world.ports())?;
    let port = Port::new(&device, 0);
    port.set(LCR, 0x03)?;
    port.set(IIR_FCR, 0x07)?;
    port.send(b"still here")?;
    check_eq!(port.receive(99)?, b"still here", "text after the storm");
    let fresh = Signal::new()?;
    device.irq_fd(TRIGGER, INTX, fresh.fd())?;
    port.assert_interrupt()?;
    fresh.expect(1, "INTx after the storm")?;
    drop(device);
    let lines = log.lines()?;
    check!(lines.is_empty(), "the kernel said:\n{}", lines.join("\n"));
    Ok(())
}

fn withstands_opening_and_closing_in_threads(world: &World<'_>) -> Outcome {
    let mut log = Kmsg::from_now()?;
    let end = Instant::now() + SPAN;
    let opened = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while Instant::now() < end {
                    // Most are refused, because another thread has it open.
                    if let Ok(device) = world.open() {
                        let port = Port::new(&device, 0);
                        let _ = port.set(SCR, 1).and_then(|()| port.set(DATA, b'o'));
                        opened.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    check!(
        opened.load(Ordering::Relaxed) > 0,
        "no thread could open the device"
    );
    let device = world.open()?;
    check_eq!(
        Port::new(&device, 0).get(SCR)?,
        0,
        "scratch for the next user"
    );
    let lines = log.lines()?;
    check!(lines.is_empty(), "the kernel said:\n{}", lines.join("\n"));
    Ok(())
}
