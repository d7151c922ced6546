// SPDX-License-Identifier: GPL-2.0-only
//! One process of a race: threads that do what chance tells them to a few devices, and write down what they called, when, and
//! what was answered.
//!
//! A thread that has opened a device shares it with the other threads of its process. Whoever removes a device says so on the
//! board; a thread of its own in each process then closes it there, as a client does that listens to the REQ interrupt. Else two
//! threads that remove what the other one has open would wait for each other for ever.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, ValueEnum};
use nix::errno::Errno;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use vfio_client::device::{Access, Device};

use crate::board::{Board, Counted, SLOTS};
use crate::place::{self, Places, TYPES};
use crate::registry::{self, What};
use crate::session::{self, Answer};

/// What was written down.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Said {
    /// A call that concerns which devices there are.
    Registry(registry::Call),
    /// A call to an open device, with the name of the time for which it is open.
    Session(u64, session::Call),
    /// A stream was saved whole.
    Saved,
    /// Something that no history explains.
    Wrong(String),
}

/// What was written down, and when.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// Before the call.
    pub begin: u64,
    /// After it.
    pub end: u64,
    /// The call.
    pub said: Said,
}

/// Does random things to devices, for a case that starts several of these, and prints what it did.
#[derive(Args)]
pub struct Worker {
    /// The file with the board.
    #[arg(long)]
    board: PathBuf,
    /// Where the random numbers begin.
    #[arg(long)]
    seed: u64,
    /// How many threads work.
    #[arg(long)]
    threads: u64,
    /// How many things each of them does.
    #[arg(long)]
    ops: u64,
    /// Removes devices that are being created as well, which the mdev core is not prepared for.
    #[arg(long)]
    rude: bool,
    /// What it does.
    #[arg(long, value_enum, default_value_t = Part::Both)]
    part: Part,
}

/// What a process does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Everything.
    Both,
    /// Opens devices and uses them, but removes none.
    Use,
    /// Creates and removes devices, but opens none.
    Manage,
}

/// The UUID of a device.
pub fn uuid(device: usize) -> String {
    format!("{device:08x}-5e2d-4000-8000-00000000ace5")
}

/// An answer without its value.
pub fn plain(result: &Result<(), Errno>) -> Answer<()> {
    result.map_err(|errno| errno as i32)
}

/// What the threads of a process share.
pub struct Process {
    pub(crate) board: Board,
    places: Places,
    /// What the devices of each type say of themselves.
    versions: [String; TYPES.len()],
    log: Mutex<Vec<Record>>,
    /// The devices that are open, one a place.
    open: [Mutex<Option<Arc<Open>>>; SLOTS],
    /// Streams that were saved, each with the number of its type.
    stock: Mutex<Vec<(usize, Vec<u8>)>>,
    rude: bool,
    part: Part,
}

/// A device that is open. It is closed when the last thread has let go of it.
pub struct Open {
    device: Option<Device>,
    /// The name of the time for which it is open.
    pub(crate) name: u64,
    /// The number of its type.
    pub(crate) kind: usize,
    id: usize,
    process: Arc<Process>,
}

impl Open {
    /// The device.
    pub fn device(&self) -> &Device {
        self.device.as_ref().expect("it is there until the drop")
    }

    /// Calls, and writes down what was answered.
    pub fn call<T>(
        &self,
        act: impl FnOnce(&Device) -> T,
        said: impl FnOnce(&T) -> session::Call,
    ) -> T {
        let name = self.name;
        let act = || act(self.device());
        self.process
            .record(act, |done| Said::Session(name, said(done)))
    }

    /// What all threads share.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let (device, what) = (self.device.take(), What::Close(self.id));
        self.process
            .registry(what, || drop(device), |()| (Ok(0), ()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// Does something, and writes down when it was and what.
    fn record<T>(&self, act: impl FnOnce() -> T, said: impl FnOnce(&T) -> Said) -> T {
        let begin = self.board.now();
        let done = act();
        let end = self.board.now();
        let said = said(&done);
        lock(&self.log).push(Record { begin, end, said });
        done
    }

    fn registry<T, R>(
        &self,
        what: What,
        act: impl FnOnce() -> T,
        answer: impl FnOnce(T) -> (Answer<u32>, R),
    ) -> R {
        let act = || answer(act());
        let said = |done: &(Answer<u32>, R)| {
            Said::Registry(registry::Call {
                what,
                answer: done.0,
                contended: false,
            })
        };
        self.record(act, said).1
    }

    /// Writes down what should not be.
    pub fn wrong(&self, text: String) {
        self.record(|| (), |()| Said::Wrong(text));
    }

    /// Keeps a stream for others to load.
    pub fn keep(&self, kind: usize, stream: Vec<u8>) {
        self.record(|| (), |()| Said::Saved);
        let mut stock = lock(&self.stock);
        if stock.len() >= 16 {
            stock.swap_remove(0);
        }
        stock.push((kind, stream));
    }

    /// A stream of that type, if there is one.
    pub fn kept(&self, kind: usize) -> Option<Vec<u8>> {
        let stock = lock(&self.stock);
        let found = stock.iter().rev().find(|(of, _)| *of == kind);
        found.map(|(_, stream)| stream.clone())
    }

    fn create(&self, slot: usize, rng: &mut SmallRng) {
        let id = self.board.device(slot);
        let parent = rng.random_range(0..self.places.parents.len());
        let kind = rng.random_range(0..TYPES.len());
        let _coming = Counted::new(&self.board.notes().coming[slot]);
        let done = self.registry(
            What::Create(id, parent),
            || self.places.create(parent, kind, &uuid(id)),
            |done| (plain(&done).map(|()| 0), done),
        );
        if done == Err(Errno::ENOENT) {
            // There is no such parent now, and nothing else to do until it is back.
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn remove(&self, slot: usize, rng: &mut SmallRng) {
        let notes = self.board.notes();
        if self.part == Part::Use {
            return;
        }
        let is_coming = notes.coming[slot].load(SeqCst) > 0;
        if is_coming && !(self.rude && rng.random_ratio(1, 8)) {
            return;
        }
        let id = self.board.device(slot);
        let _leaving = Counted::new(&notes.leaving[slot]);
        let done = self.registry(
            What::Remove(id),
            || place::remove(&uuid(id)),
            |done| (plain(&done).map(|()| 0), done),
        );
        if done == Err(Errno::EAGAIN) {
            self.board.give_up(id);
        }
    }

    fn open(self: &Arc<Self>, slot: usize, rng: &mut SmallRng) {
        let notes = self.board.notes();
        if self.part == Part::Manage {
            return self.look(slot, rng);
        }
        let is_going = notes.leaving[slot].load(SeqCst) + notes.sweeping.load(SeqCst) > 0;
        if is_going && !rng.random_ratio(1, 8) {
            return;
        }
        let id = self.board.device(slot);
        let directory = place::device(&uuid(id));
        let access = [Access::Group, Access::Cdev][rng.random_range(0..2)];
        let opened = self.registry(
            What::Open(id),
            || {
                let device = Device::open(&directory, access)?;
                // By its number a character device may be another one by now, if this one was removed meanwhile.
                match access {
                    Access::Cdev if !is_node_of(&device, &directory) => Err(Errno::ENODEV),
                    _ => Ok(device),
                }
            },
            |done| {
                (
                    plain(&done.as_ref().map(|_| ()).map_err(|e| *e)).map(|()| 0),
                    done,
                )
            },
        );
        let device = match opened {
            Ok(device) => device,
            Err(Errno::ENOENT) => {
                // Somebody else may make one meanwhile.
                std::thread::sleep(Duration::from_millis(1));
                return;
            }
            Err(_) => return,
        };
        let kind = match device.region(0) {
            Ok(region) => (region.size / 8) as usize - 1,
            Err(errno) => return self.wrong(format!("a region of an open device: {errno}")),
        };
        let open = Arc::new(Open {
            device: Some(device),
            name: self.board.name(),
            kind,
            id,
            process: Arc::clone(self),
        });
        let before = lock(&self.open[slot]).replace(open);
        drop(before);
    }

    /// The device that is open at a place.
    fn opened(&self, slot: usize) -> Option<Arc<Open>> {
        lock(&self.open[slot]).clone()
    }

    fn close(&self, slot: usize) {
        let open = lock(&self.open[slot]).take();
        drop(open);
    }

    /// Reads the version of a device, or asks whether it could take over another one.
    fn look(&self, slot: usize, rng: &mut SmallRng) {
        let id = self.board.device(slot);
        let file = place::device(&uuid(id)).join("migration_version");
        let other = rng.random_range(0..=self.versions.len());
        let look = || match self.versions.get(other) {
            Some(version) => match place::write(&file, version.trim_end()) {
                Ok(()) | Err(Errno::ERANGE) => Ok(None),
                Err(errno) => Err(errno),
            },
            None => place::read(&file).map(Some),
        };
        let seen = self.registry(What::Look(id), look, |done| match done {
            Ok(seen) => (Ok(0), seen),
            Err(errno) => (Err(errno as i32), None),
        });
        if let Some(version) = seen.filter(|version| !self.versions.contains(version)) {
            self.wrong(format!("a version of no type: {version:?}"));
        }
    }

    fn available(&self, rng: &mut SmallRng) {
        let parent = rng.random_range(0..self.places.parents.len());
        self.registry(
            What::Available(parent),
            || self.places.available(parent),
            |done| (done.map_err(|errno| errno as i32), ()),
        );
    }

    /// Does one thing.
    fn act(self: &Arc<Self>, rng: &mut SmallRng) {
        let slot = rng.random_range(0..SLOTS);
        match rng.random_range(0..100) {
            0..7 => self.create(slot, rng),
            7..10 => self.remove(slot, rng),
            10..16 => self.look(slot, rng),
            16..19 => self.available(rng),
            19..21 => self.close(slot),
            21..27 => self.open(slot, rng),
            _ => {
                // Whichever is open here, beginning with this place.
                let open = (0..SLOTS).find_map(|more| self.opened((slot + more) % SLOTS));
                match open {
                    Some(open) => crate::mover::act(&open, rng),
                    None if rng.random() => self.open(slot, rng),
                    None => self.look(slot, rng),
                }
            }
        }
    }

    /// Closes what somebody waits for.
    fn give_way(&self) {
        let notes = self.board.notes();
        for slot in 0..SLOTS {
            if notes.leaving[slot].load(SeqCst) + notes.sweeping.load(SeqCst) > 0 {
                self.close(slot);
            }
        }
    }
}

/// Whether an open character device is that of the device with this directory.
fn is_node_of(device: &Device, directory: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = device.file().metadata() else {
        return false;
    };
    let number = format!("{}:{}", libc::major(meta.rdev()), libc::minor(meta.rdev()));
    let Ok(entries) = std::fs::read_dir(directory.join("vfio-dev")) else {
        return false;
    };
    let mut nodes = entries.flatten();
    nodes.any(|node| place::read(&node.path().join("dev")).is_ok_and(|dev| dev.trim() == number))
}

impl Worker {
    /// Does it; true when nothing was in the way.
    pub fn run(&self) -> bool {
        match self.work() {
            Ok(()) => true,
            Err(text) => {
                eprintln!("{text}");
                false
            }
        }
    }

    fn work(&self) -> Result<(), String> {
        let board = Board::at(&self.board).map_err(|errno| format!("the board: {errno}"))?;
        let places = Places::find().map_err(|errno| format!("the parents: {errno}"))?;
        let version = |kind| place::read(&places.kind(0, kind).join("migration_version"));
        let versions = [version(0), version(1)];
        let [Ok(one), Ok(two)] = versions else {
            return Err(format!("the versions of the types: {versions:?}"));
        };
        let process = Arc::new(Process {
            board,
            places,
            versions: [one, two],
            log: Mutex::default(),
            open: Default::default(),
            stock: Mutex::default(),
            rude: self.rude,
            part: self.part,
        });
        let is_over = AtomicBool::new(false);
        println!("ready");
        process.board.wait();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    process.give_way();
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            let threads = (0..self.threads).map(|thread| {
                let process = &process;
                let mut rng = SmallRng::seed_from_u64(self.seed ^ thread.wrapping_mul(0x9e37_79b9));
                scope.spawn(move || (0..self.ops).for_each(|_| process.act(&mut rng)))
            });
            let threads: Vec<_> = threads.collect();
            for thread in threads {
                if thread.join().is_err() {
                    process.wrong("a thread panicked".to_owned());
                }
            }
            (0..SLOTS).for_each(|slot| process.close(slot));
            is_over.store(true, SeqCst);
        });
        for record in lock(&process.log).iter() {
            let line = serde_json::to_string(record).map_err(|error| error.to_string())?;
            println!("{line}");
        }
        Ok(())
    }
}
