// SPDX-License-Identifier: GPL-2.0-only
//! What may happen to the devices of some parents when they are created, opened, looked at and removed by many at once, and
//! parents and module come and go meanwhile.
//!
//! Some answers are those of the mdev core. A UUID is taken from the moment a create looks it up until the device is
//! released. Who removes takes the `remove` file away first, so that others who have it open are told that all is well, or that
//! there is no device, while the removal is still under way. A removal that meets a create of the same device takes the file
//! away too and is then refused (`EAGAIN`): the device stays until its parent goes. One that meets the end of the parent is
//! refused (`ENODEV`) and leaves the device to that.

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::history::{Event, Model, Progress, DONE};
use crate::session::Answer;

/// How many parents there are: the software parent and two cards.
pub const PARENTS: usize = 3;

/// What was asked for. Devices are named by numbers, of which each stands for a UUID; parents too.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum What {
    /// A device is created under a parent.
    Create(usize, usize),
    /// A device is removed.
    Remove(usize),
    /// A device is opened.
    Open(usize),
    /// It is closed.
    Close(usize),
    /// A file of the device is read or written.
    Look(usize),
    /// `available_instances` is read, under a parent.
    Available(usize),
    /// The driver is unbound from a card.
    Unbind(usize),
    /// It is bound to it.
    Bind(usize),
    /// The module is unloaded.
    Unload,
    /// It is loaded.
    Load,
}

/// A call with its answer: a number for [`What::Available`], 0 for the others.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Call {
    /// What was asked for.
    pub what: What,
    /// What was answered.
    pub answer: Answer<u32>,
    /// Others were opening or closing devices at the same time. For an open, any: it holds a group for a while even if it fails in
    /// the end; and with a number that was given to another device meanwhile, the group of that one. For a create, the same
    /// device: who has its file open in a call keeps it from being released, so that the UUID is taken after the removal.
    pub contended: bool,
}

/// Where a device is in its life.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Presence {
    /// It is not there.
    Absent,
    /// It is being created.
    Coming(usize),
    /// It is there.
    Present(usize),
    /// It is being removed: its files go, and it can still be opened.
    Fading(usize),
    /// It is being removed, and cannot be opened any more.
    Leaving(usize),
}

use Presence::{Absent, Coming, Fading, Leaving, Present};

/// A device.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Device {
    /// Where it is in its life.
    pub presence: Presence,
    /// Somebody has it open.
    pub open: bool,
    /// Its `remove` file is gone, though it is not.
    pub stuck: bool,
}

const NO_DEVICE: Device = Device {
    presence: Absent,
    open: false,
    stuck: false,
};

/// Whether a parent is registered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Parent {
    /// It is not.
    Down,
    /// It is being registered or unregistered.
    Moving,
    /// It is.
    Up,
}

/// All parents and devices.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct State {
    /// The parents.
    pub parents: [Parent; PARENTS],
    /// The devices.
    pub devices: Vec<Device>,
}

impl State {
    /// All parents are there, and no device.
    pub fn without_devices(count: usize) -> Self {
        State {
            parents: [Parent::Up; PARENTS],
            devices: vec![NO_DEVICE; count],
        }
    }

    fn parent(&self, parent: usize) -> Parent {
        self.parents.get(parent).copied().unwrap_or(Parent::Down)
    }

    fn with_device(&self, device: usize, change: impl FnOnce(&mut Device)) -> Self {
        let mut next = self.clone();
        if let Some(device) = next.devices.get_mut(device) {
            change(device);
            if device.presence == Absent {
                device.stuck = false;
            }
        }
        next
    }

    fn at(&self, device: usize, presence: Presence) -> Self {
        self.with_device(device, |device| device.presence = presence)
    }

    fn with_parents(&self, which: &[usize], to: Parent) -> Self {
        let mut next = self.clone();
        for parent in which {
            if let Some(parent) = next.parents.get_mut(*parent) {
                *parent = to;
            }
        }
        next
    }

    /// How many devices count as instances, at least and at most: one that comes or goes may or may not.
    pub fn instances(&self) -> (u32, u32) {
        let count = |counts: fn(Presence) -> bool| {
            let devices = self.devices.iter();
            devices.filter(|device| counts(device.presence)).count() as u32
        };
        (
            count(|presence| matches!(presence, Present(_))),
            count(|presence| presence != Absent),
        )
    }
}

const ENOENT: i32 = Errno::ENOENT as i32;
const ENODEV: i32 = Errno::ENODEV as i32;
const ENXIO: i32 = Errno::ENXIO as i32;
const EEXIST: i32 = Errno::EEXIST as i32;
const EUSERS: i32 = Errno::EUSERS as i32;
const EAGAIN: i32 = Errno::EAGAIN as i32;
const EBUSY: i32 = Errno::EBUSY as i32;
const EINVAL: i32 = Errno::EINVAL as i32;

/// The model.
pub struct Registry {
    /// How many devices there may be.
    pub limit: u32,
    /// The kernel releases objects some time after the last reference is gone (`CONFIG_DEBUG_KOBJECT_RELEASE`), so that a UUID
    /// stays taken that long.
    pub releases_late: bool,
}

type Steps = Vec<(State, Progress)>;

/// One step that ends a call, if it is possible.
fn ends(possible: bool, next: impl FnOnce() -> State) -> Steps {
    match possible {
        true => vec![(next(), DONE)],
        false => vec![],
    }
}

impl Registry {
    fn create(
        &self,
        state: &State,
        (id, parent): (usize, usize),
        call: &Call,
        progress: Progress,
    ) -> Steps {
        let is_held = self.releases_late || call.contended;
        let presence = state.devices[id].presence;
        let up = state.parent(parent);
        match (call.answer, progress) {
            (Err(EEXIST), 0) => ends(presence != Absent || is_held, || state.clone()),
            // Before the directory of the type is there, or when it is gone; or when it goes.
            (Err(ENOENT), 0) => ends(up != Parent::Up, || state.clone()),
            (Err(ENODEV), 0) if up != Parent::Up => {
                let mut steps = vec![(state.clone(), DONE)];
                if presence == Absent {
                    steps.push((state.at(id, Coming(parent)), 1));
                }
                steps
            }
            (Ok(_) | Err(EUSERS), 0) if presence == Absent && up != Parent::Down => {
                vec![(state.at(id, Coming(parent)), 1)]
            }
            (Ok(_), 1) => ends(up != Parent::Down, || state.at(id, Present(parent))),
            // The limit was reached, and later the UUID is free again.
            (Err(EUSERS), 1) => {
                // Without this one.
                let others = state.instances().1 - 1;
                match others >= self.limit {
                    true => vec![(state.clone(), 2)],
                    false => vec![],
                }
            }
            (Err(EUSERS), 2) => ends(true, || state.at(id, Absent)),
            (Err(ENODEV), 1) => ends(true, || state.at(id, Absent)),
            _ => vec![],
        }
    }

    fn remove(&self, state: &State, id: usize, answer: Answer<u32>, progress: Progress) -> Steps {
        let device = state.devices[id];
        match (answer, device.presence, progress) {
            // The file goes first, and then the device, which can be opened in between.
            (Ok(_), Present(_), 0) if !device.stuck => {
                let next = state.with_device(id, |device| device.stuck = true);
                vec![(next, 1)]
            }
            (Ok(_), Present(parent), 1) => vec![(state.at(id, Fading(parent)), 2)],
            (Ok(_), Fading(parent), 2) => vec![(state.at(id, Leaving(parent)), 3)],
            // Another one took the file away first.
            (Ok(_), Present(_) | Coming(_), 0) if device.stuck => vec![(state.clone(), DONE)],
            (Ok(_), Fading(_) | Leaving(_), 0) => vec![(state.clone(), DONE)],
            (Ok(_), Leaving(_), 3) => ends(!device.open, || state.at(id, Absent)),
            (Err(EAGAIN), Coming(_), 0) => {
                let next = state.with_device(id, |device| device.stuck = true);
                vec![(next, DONE)]
            }
            (Err(ENODEV), Present(parent), 0)
                if state.parent(parent) == Parent::Moving && !device.stuck =>
            {
                let next = state.with_device(id, |device| device.stuck = true);
                vec![(next, DONE)]
            }
            (Err(ENOENT | ENODEV), presence, 0) => {
                ends(!matches!(presence, Present(_)) || device.stuck, || {
                    state.clone()
                })
            }
            _ => vec![],
        }
    }

    fn open(&self, state: &State, id: usize, call: &Call) -> Steps {
        let device = state.devices[id];
        let is_there = match device.presence {
            Present(parent) => state.parent(parent) == Parent::Up,
            _ => false,
        };
        match call.answer {
            Ok(_) => {
                let may =
                    matches!(device.presence, Present(_) | Coming(_) | Fading(_)) && !device.open;
                ends(may, || state.with_device(id, |device| device.open = true))
            }
            Err(EBUSY | EINVAL) => {
                ends(device.open || call.contended || !is_there, || state.clone())
            }
            Err(ENOENT | ENODEV | ENXIO) => ends(!is_there, || state.clone()),
            Err(_) => vec![],
        }
    }

    /// The end of parents: everything below them goes.
    fn sweep(&self, state: &State, which: &[usize], progress: Progress) -> Steps {
        if progress == 0 {
            return vec![(state.with_parents(which, Parent::Moving), 1)];
        }
        let mut steps = Vec::new();
        let mut is_empty = true;
        for (id, device) in state.devices.iter().enumerate() {
            match device.presence {
                Present(parent) if which.contains(&parent) => {
                    is_empty = false;
                    steps.push((state.at(id, Fading(parent)), 1));
                }
                Fading(parent) if which.contains(&parent) => {
                    is_empty = false;
                    steps.push((state.at(id, Leaving(parent)), 1));
                }
                Leaving(parent) if which.contains(&parent) => {
                    is_empty = false;
                    if !device.open {
                        steps.push((state.at(id, Absent), 1));
                    }
                }
                _ => {}
            }
        }
        if is_empty {
            steps.push((state.with_parents(which, Parent::Down), DONE));
        }
        steps
    }

    fn raise(&self, state: &State, which: &[usize], progress: Progress) -> Steps {
        match progress {
            0 => vec![(state.with_parents(which, Parent::Moving), 1)],
            _ => vec![(state.with_parents(which, Parent::Up), DONE)],
        }
    }
}

impl Model for Registry {
    type State = State;
    type Call = Call;

    fn only_looks(&self, call: &Call) -> bool {
        match call.what {
            What::Look(_) | What::Available(_) => true,
            What::Create(..) => [Err(EEXIST), Err(ENOENT)].contains(&call.answer),
            What::Remove(_) => call.answer == Err(ENOENT),
            What::Open(_) | What::Unload => call.answer.is_err(),
            _ => false,
        }
    }

    fn steps(&self, state: &State, call: &Call, progress: Progress) -> Steps {
        let all: [usize; PARENTS] = std::array::from_fn(|parent| parent);
        match (call.what, call.answer) {
            (What::Create(id, parent), _) => self.create(state, (id, parent), call, progress),
            (What::Remove(id), answer) => self.remove(state, id, answer, progress),
            (What::Open(id), _) => self.open(state, id, call),
            (What::Close(id), Ok(_)) => ends(state.devices[id].open, || {
                state.with_device(id, |device| device.open = false)
            }),
            (What::Look(id), Ok(_)) => ends(state.devices[id].presence != Absent, || state.clone()),
            (What::Look(id), Err(ENOENT | ENODEV)) => {
                let is_whole = matches!(state.devices[id].presence, Present(_));
                ends(!is_whole, || state.clone())
            }
            (What::Available(parent), Ok(available)) => {
                let (least, most) = state.instances();
                let used = self.limit.checked_sub(available);
                let fits = used.is_some_and(|used| (least..=most).contains(&used));
                let is_there = state.parent(parent) != Parent::Down;
                ends(fits && is_there, || state.clone())
            }
            (What::Available(parent), Err(ENOENT | ENODEV)) => {
                ends(state.parent(parent) != Parent::Up, || state.clone())
            }
            (What::Unbind(parent), Ok(_)) => self.sweep(state, &[parent], progress),
            (What::Bind(parent), Ok(_)) => self.raise(state, &[parent], progress),
            (What::Unload, Ok(_)) => self.sweep(state, &all, progress),
            // Somebody has a device or a data file.
            (What::Unload, Err(EAGAIN)) => vec![(state.clone(), DONE)],
            (What::Load, Ok(_)) => self.raise(state, &all, progress),
            _ => vec![],
        }
    }
}

/// Notes which calls were contended.
pub fn note_contention(events: &mut [Event<Call>]) {
    let is_open = |event: &&Event<Call>| matches!(event.call.what, What::Open(_) | What::Close(_));
    let opens: Vec<_> = events.iter().filter(is_open).cloned().collect();
    for event in events {
        let concerns = |open: What| match event.call.what {
            What::Open(_) => true,
            What::Create(id, _) => [What::Open(id), What::Close(id)].contains(&open),
            _ => false,
        };
        let meets = |open: &Event<Call>| open.begin != event.begin && open.overlaps(event);
        event.call.contended = opens
            .iter()
            .any(|open| concerns(open.call.what) && meets(open));
    }
}

#[cfg(test)]
mod tests;
