// SPDX-License-Identifier: GPL-2.0-only
//! The cases that do one thing thousands of times and look whether memory stays as it is, and those that show that they would
//! notice if it did not.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::EventFd;
use nix::sys::resource::{setrlimit, Resource};
use vfio_client::device::{Access, Device};
use vfio_client::ktap::{check, check_eq, Miss, Outcome};
use vfio_client::migration::guest::{self, SCENES};
use vfio_client::migration::{v1, v2};
use vfio_client::serial::{Port, SCR};
use vfio_client::wait::releases_late;

use crate::memory::{growth, judged, stays_flat, Bound};
use crate::place::{self, Places, DEFAULT_LIMIT, TYPES};
use crate::World;

/// What thousands of rounds may add each: a fraction of the smallest object that there is in a driver, and of a page.
const LITTLE: Bound = Bound {
    objects: 16,
    pages: 1024,
};

fn uuid(number: u64) -> String {
    format!("{number:08x}-10a9-4000-8000-00000000ace5")
}

/// A device that is removed in the end.
struct Made(String);

impl Made {
    fn new(places: &Places, number: u64, kind: usize) -> Result<Self, Errno> {
        let uuid = uuid(number);
        places.create_again(0, kind, &uuid)?;
        Ok(Made(uuid))
    }

    fn open(&self, access: Access) -> Result<Device, Errno> {
        Device::open(&place::device(&self.0), access)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = place::remove(&self.0);
    }
}

/// Devices of all types are created and removed under all parents, by two threads.
pub fn creating_and_removing(world: &World) -> Outcome {
    world.begin(DEFAULT_LIMIT)?;
    let places = Places::find()?;
    let late = releases_late();
    stays_flat(world.amount(10_000, 100), LITTLE, |rounds| {
        let next = Mutex::new(rounds);
        let (next, places) = (&next, &places);
        let work = move |thread: u64| loop {
            let number = next.lock().ok().and_then(|mut rounds| rounds.next());
            let Some(number) = number else {
                return Ok::<_, Errno>(());
            };
            // Where objects are released late a UUID stays taken that long; otherwise the same ones do.
            let uuid = uuid(if late {
                number
            } else {
                8 * thread + number % 8
            });
            let parent = number as usize % places.parents.len();
            places.create(parent, number as usize % TYPES.len(), &uuid)?;
            place::remove(&uuid)?;
        };
        std::thread::scope(|scope| {
            let threads = [0, 1].map(|thread| scope.spawn(move || work(thread)));
            for thread in threads {
                thread.join().unwrap_or(Err(Errno::EIO))?;
            }
            Ok::<_, Miss>(())
        })
    })?;
    check_eq!(places.available(0)?, DEFAULT_LIMIT, "available instances");
    Ok(())
}

/// A device is opened and closed by both paths, with a transfer begun and interrupts set up.
pub fn opening_and_closing(world: &World) -> Outcome {
    world.begin(DEFAULT_LIMIT)?;
    let places = Places::find()?;
    let made = Made::new(&places, 0, 1)?;
    stays_flat(world.amount(2_000, 40), LITTLE, |rounds| {
        for number in rounds {
            let access = [Access::Group, Access::Cdev][number as usize % 2];
            let device = made.open(access)?;
            let signal = EventFd::new()?;
            let trigger = vfio_bindings::bindings::vfio::VFIO_IRQ_SET_ACTION_TRIGGER;
            device.irq_fd(trigger, 0, std::os::fd::AsRawFd::as_raw_fd(&signal))?;
            let _file = v2::set(&device, v2::STATES[number as usize % v2::STATES.len()])?;
            check_eq!(
                Port::new(&device, 0).get(SCR)?,
                0,
                "scratch, round {number}"
            );
            Port::new(&device, 0).set(SCR, 1)?;
        }
        Ok(())
    })
}

/// How a state is carried.
#[derive(Clone, Copy)]
enum By {
    Region,
    File,
}

impl By {
    fn save(self, device: &Device) -> Result<Vec<u8>, Errno> {
        match self {
            By::Region => v1::Region::of(device)?.save(),
            By::File => v2::save(device),
        }
    }

    fn load(self, device: &Device, stream: &[u8]) -> Result<(), Errno> {
        match self {
            By::Region => v1::Region::of(device)?.load(stream),
            By::File => v2::load(device, stream),
        }
    }
}

/// A state goes from one device to another, and must be the same there.
fn moving(world: &World, by: By) -> Outcome {
    world.begin(DEFAULT_LIMIT)?;
    let places = Places::find()?;
    let (from, to) = (Made::new(&places, 1, 1)?, Made::new(&places, 2, 1)?);
    let (from, to) = (from.open(Access::Group)?, to.open(Access::Group)?);
    let ports = TYPES[1].1;
    stays_flat(world.amount(1_000, 25), LITTLE_MOVED, |rounds| {
        for number in rounds {
            from.reset()?;
            to.reset()?;
            guest::play(&from, ports, number as usize % SCENES)?;
            Port::new(&from, 0).set(SCR, number as u8)?;
            let stream = by.save(&from)?;
            by.load(&to, &stream)?;
            let again = by.save(&to)?;
            check!(
                stream == again,
                "round {number}: {stream:02x?} arrived as {again:02x?}"
            );
        }
        Ok(())
    })
}

/// The same for fewer rounds, in which what the kernel keeps at hand weighs more. A transfer takes two kilobytes.
const LITTLE_MOVED: Bound = Bound {
    objects: 64,
    pages: 2048,
};

/// By the migration region.
pub fn moving_by_the_region(world: &World) -> Outcome {
    moving(world, By::Region)
}

/// By data files.
pub fn moving_by_files(world: &World) -> Outcome {
    moving(world, By::File)
}

/// The module is loaded and unloaded, each time with a device.
pub fn loading_and_unloading(world: &World) -> Outcome {
    // A load takes some hundred kilobytes, in pages and in some thousand objects.
    let bound = Bound {
        objects: 2048,
        pages: 16 << 10,
    };
    let load = |rounds: std::ops::Range<u64>| {
        for number in rounds {
            world.module.reload(DEFAULT_LIMIT)?;
            let places = Places::find()?;
            let parent = number as usize % places.parents.len();
            places.create_again(parent, 0, &uuid(number))?;
            check_eq!(
                places.available(0)?,
                DEFAULT_LIMIT - 1,
                "available instances"
            );
        }
        Ok(())
    };
    // Where a load takes a quarter of a minute, two have to do.
    if world.short {
        load(0..2)?;
    } else {
        stays_flat(100, bound, load)?;
    }
    world.module.reload(DEFAULT_LIMIT)?;
    Ok(())
}

/// Lets this process have this many files open.
fn allow_files(count: u64) -> Result<(), Errno> {
    setrlimit(Resource::RLIMIT_NOFILE, count, count)
}

/// Something of this process's own that is kept, as many times as there are rounds: what the measurement makes of a leak.
pub fn a_planted_leak_of_objects(_: &World) -> Outcome {
    judged()?;
    let rounds = 10_000;
    allow_files(rounds * 2 + 100)?;
    let signal = EventFd::new()?;
    let (epoll, mut kept) = (
        Epoll::new(EpollCreateFlags::empty())?,
        Vec::<OwnedFd>::new(),
    );
    let growth = growth(rounds, |rounds| {
        for number in rounds {
            // One that is listened to takes an object of 128 bytes and one of 64; so this is less than 64 a round.
            if number % 4 == 0 {
                let fd = std::os::fd::AsFd::as_fd(&signal).try_clone_to_owned()?;
                epoll.add(&fd, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
                kept.push(fd);
            }
        }
        Ok(())
    })?;
    check!(
        growth.objects >= LITTLE.objects,
        "it was not noticed: {growth:?}"
    );
    Ok(())
}

/// The same with a page.
pub fn a_planted_leak_of_pages(_: &World) -> Outcome {
    judged()?;
    let rounds = 2_000;
    allow_files(rounds * 4 + 100)?;
    let mut kept = Vec::new();
    let growth = growth(rounds, |rounds| {
        for _ in rounds {
            // What is written to a pipe and not read takes a page.
            let (read, write) = nix::unistd::pipe()?;
            let mut write = File::from(write);
            write.write_all(b"x")?;
            kept.push((read, write));
        }
        Ok(())
    })?;
    check!(
        growth.pages >= LITTLE_MOVED.pages,
        "it was not noticed: {growth:?}"
    );
    Ok(())
}
