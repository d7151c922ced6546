// SPDX-License-Identifier: GPL-2.0-only
//! Many threads at once on the migration of one device.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::super::stress::Numbers;
use super::super::{cases, World};
use super::{idle, plays, BUSY};
use vfio_client::device::Device;
use vfio_client::kmsg::Kmsg;
use vfio_client::ktap::{check, Outcome};
use vfio_client::migration::logging;
use vfio_client::migration::v1::{Carry, Mapping, Region, RESUMING, RUNNING};
use vfio_client::migration::v2::{self, DataFile};
use vfio_client::serial::{Port, BAR0, CONFIG, DATA, IER, LCR};

cases![
    withstands_threads_that_migrate_at_once,
    reads_data_once_that_changes_meanwhile,
];

/// How long the threads work.
const SPAN: Duration = Duration::from_millis(700);

/// The most lines that the log takes of refusals in this time: ten in each five seconds, and one for those it left out. At the
/// start and at the end there may be a part of such a span.
fn most_lines(time: Duration) -> usize {
    11 * (time.as_secs() as usize / 5 + 2)
}

/// What the threads share.
struct Shared<'a> {
    device: &'a Device,
    region: Region<'a>,
    mapping: Mapping,
    stream: Vec<u8>,
    /// The data file that was opened last.
    file: Mutex<Option<DataFile>>,
}

impl Shared<'_> {
    /// Does something with the last data file, while others may replace it.
    fn with_file(&self, act: impl FnOnce(&DataFile) -> Result<usize, Errno>) -> Result<(), Errno> {
        let copy = match &*self.file.lock().unwrap_or_else(|file| file.into_inner()) {
            Some(file) => file.duplicate()?,
            None => return Ok(()),
        };
        act(&copy).map(|_| ())
    }

    /// One random thing that a user may do; refusals are expected among them.
    fn something(&self, numbers: &mut Numbers) -> Result<(), Errno> {
        let (pick, at) = (numbers.next() % 18, numbers.next() as usize);
        let (device, region) = (self.device, &self.region);
        match pick {
            0..=3 => {
                let file = v2::set(device, at as u32 % 9)?;
                if file.is_some() {
                    *self.file.lock().unwrap_or_else(|file| file.into_inner()) = file;
                }
                Ok(())
            }
            4 | 5 => region.set_state(at as u32 % 8),
            6 => self.with_file(|file| file.read(&mut [0; 64])),
            7 => self.with_file(|file| file.write(&self.stream)),
            8 => self.with_file(|file| file.precopy_info(24).map(|_| 0)),
            9 => region.take_chunk(Carry::Trapped(8)).map(drop),
            10 => region.pending().map(drop),
            11 => region.give_chunk(&self.stream, Carry::Trapped(8)),
            12 => region.set_data_size(at as u64 % 400),
            13 => {
                self.mapping.write(&self.stream[at % self.stream.len()..]);
                Ok(())
            }
            14 => v2::data_size(device).map(drop),
            15 => device.put(BAR0, [DATA, IER][at % 2], &[at as u8]),
            16 => match at % 3 {
                0 => logging::start(device, 4096, &[(0, 4096)]).map(drop),
                1 => logging::stop(device),
                _ => device.put(CONFIG, at as u64 % 256, &[at as u8]),
            },
            _ if at % 8 == 0 => device.reset(),
            _ => Ok(()),
        }
    }
}

fn withstands_threads_that_migrate_at_once(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let (mut log, start) = (Kmsg::from_now()?, Instant::now());
    let region = Region::of(&device)?;
    let shared = Shared {
        device: &device,
        mapping: Mapping::new(&region)?,
        region,
        stream,
        file: Mutex::new(None),
    };
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for seed in 1..=6 {
            let (shared, stop, done) = (&shared, &stop, &done);
            scope.spawn(move || {
                let mut numbers = Numbers::new(seed);
                while !stop.load(Ordering::Relaxed) {
                    let _ = shared.something(&mut numbers);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(SPAN);
        stop.store(true, Ordering::Relaxed);
    });
    check!(done.load(Ordering::Relaxed) > 100, "the threads hardly ran");
    // It still is a card that migrates.
    device.reset()?;
    v2::load(&device, &shared.stream)?;
    plays(world, &device, BUSY, "after the storm")?;
    let lines = log.lines()?;
    let others: Vec<_> = lines
        .iter()
        .filter(|line| !line.contains("refused (") && !line.contains("suppressed"))
        .collect();
    check!(others.is_empty(), "the kernel said: {others:?}");
    let time = start.elapsed();
    check!(
        lines.len() <= most_lines(time),
        "{} lines in the log within {time:?}",
        lines.len()
    );
    Ok(())
}

/// A client that goes on writing to the mapped data section while the device takes it in, gets what it deserves, and no
/// more: what was checked is what is loaded.
fn reads_data_once_that_changes_meanwhile(world: &World<'_>) -> Outcome {
    let (device, right) = idle(world)?;
    let region = Region::of(&device)?;
    let mapping = Mapping::new(&region)?;
    mapping.write(&right);
    let stop = AtomicBool::new(false);
    let (mut taken, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Every other time what is there is wrong.
            let mut wrong = right.clone();
            if let Some(last) = wrong.last_mut() {
                *last ^= 0xff;
            }
            while !stop.load(Ordering::Relaxed) {
                mapping.write(&wrong);
                mapping.write(&right);
            }
        });
        let outcome = (|| {
            for _ in 0..300 {
                region.set_state(RESUMING)?;
                match region.set_data_size(right.len() as u64) {
                    Ok(()) => {
                        taken += 1;
                        region.set_state(RUNNING)?;
                        let saved = v2::save(&device)?;
                        check!(saved == right, "what was loaded is not what was checked");
                    }
                    Err(Errno::EBADMSG) => refused += 1,
                    Err(errno) => return Err(errno.into()),
                }
                device.reset()?;
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        outcome
    })?;
    check!(taken + refused == 300, "{taken} taken, {refused} refused");
    let port = Port::new(&device, 0);
    port.set(LCR, 0x03)?;
    port.send(b"t")?;
    check!(port.receive(9)? == b"t", "the card does not work any more");
    Ok(())
}
