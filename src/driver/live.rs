// SPDX-License-Identifier: GPL-2.0-only

//! A card while it exists: all of it that changes, behind one lock.
//!
//! The VFIO device, the data files of its migration and the file in debugfs share it. A data file may be the last to let
//! go of it, long after the device is gone; so nothing in here refers to the device.

use super::{
    interrupts::Interrupts,
    offers::Made,
    refusals::{
        LastRefusal,
        Refusals, //
    },
    transfer::Transfer, //
};
use crate::{
    crc32c::crc32c,
    migration::{
        self,
        arcs,
        Direction,
        Migration,
        Session, //
    },
    model, trace,
    vfio::{
        DataFile,
        Link,
        SharedPage, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Mutex, //
    },
};

/// A card, and who uses it.
#[pin_data]
pub(super) struct Live {
    /// What it was created as.
    pub(super) made: Made,
    /// The name of its device.
    pub(super) name: CString,
    #[pin]
    refusals: Refusals,
    #[pin]
    state: Mutex<State>,
}

/// The state machine of a card.
pub(super) type Machine = Migration<model::Card, KBox<Session<model::Card>>>;

/// What of a card changes.
pub(super) struct State {
    pub(super) card: model::Card,
    pub(super) interrupts: Interrupts,
    pub(super) migration: Machine,
    /// The data file of the transfer that is open, with the number of that.
    file: Option<(u64, Arc<Link>)>,
    /// The data section of the migration region, from when the user of the device first wants it.
    window: Option<SharedPage>,
    pub(super) refusal: LastRefusal,
    /// The card has taken in a state, and has not run since.
    has_arrived: bool,
}

impl State {
    /// Tells those who have the data file that what they can do with it has changed, or that it is over.
    fn tell_file(&mut self) {
        let is_over = |id| self.migration.readiness(id).disabled;
        match self.file.take_if(|(id, _)| is_over(*id)) {
            Some((_, link)) => link.end(),
            None => {
                if let Some((_, link)) = &self.file {
                    link.wake();
                }
            }
        }
    }

    /// Returns the state's parts that an access to the migration region is about. Most users never make one, as they speak
    /// protocol v2; so the memory of the data section comes with the first.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn region(&mut self) -> Result<(&mut model::Card, &mut Machine, &SharedPage)> {
        let window = match &mut self.window {
            Some(window) => window,
            none => none.insert(SharedPage::new()?),
        };
        Ok((&mut self.card, &mut self.migration, window))
    }
}

impl Live {
    /// Returns an initializer for a card as it was made, at power-on.
    pub(super) fn new<'a>(made: Made, name: &'a CStr) -> impl PinInit<Self, Error> + use<'a> {
        let card = made.card();
        try_pin_init!(Self {
            made,
            name: CString::try_from(name)?,
            refusals <- Refusals::new(),
            state <- new_mutex!(State {
                card,
                interrupts: Interrupts::new(),
                migration: Migration::new(),
                file: None,
                window: None,
                refusal: LastRefusal::new(),
                has_arrived: false,
            }),
        })
    }

    /// Calls `access` with the state, and then signals what the card asserts. This is the one way to change it: one lock for
    /// each access.
    // Always, as the compiler would not by itself: a register takes few instructions, and calls on the way as many.
    #[inline(always)]
    pub(super) fn with<R>(&self, access: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let state = &mut *state;
        let result = access(state);
        state
            .interrupts
            .follow(&state.card, state.migration.is_running());
        result
    }

    /// Calls `access` with the machine of migration, for what changes neither its state nor the card. So there is nothing
    /// to signal.
    pub(super) fn carry<R>(&self, access: impl FnOnce(&mut Machine) -> R) -> R {
        access(&mut self.state.lock().migration)
    }

    /// Brings the card to where each new user expects it, when the last has gone.
    pub(super) fn start_afresh(&self) {
        // What this replaces is freed after the lock is released.
        let _previous = self.with(|state| {
            self.power_on(state);
            let interrupts = core::mem::take(&mut state.interrupts);
            (interrupts, state.window.take())
        });
    }

    /// Takes the card back to power-on, but for what is the VMM's.
    pub(super) fn reset(&self) {
        self.with(|state| self.power_on(state));
    }

    /// Takes the card to power-on, and its migration to `RUNNING`, in one step from wherever it is.
    fn power_on(&self, state: &mut State) {
        let from = state.migration.state();
        state.card.reset();
        state.migration.reset();
        state.has_arrived = false;
        let to = state.migration.state();
        if from != to {
            trace::state(&self.name, from.number(), to.number());
            state.tell_file();
        }
    }

    /// Takes the card to a state of migration. Returns the data file if that began a transfer.
    pub(super) fn set_state(
        this: &Arc<Self>,
        to: migration::State,
    ) -> Result<Option<DataFile<Transfer>>> {
        let mut made = None;
        let mut failure = ENOMEM;
        this.change(|state| {
            let State {
                card, migration, ..
            } = state;
            let id = migration.next_id();
            let opened = migration.set_state(card, to, |direction| {
                let transfer = Transfer::new(this.clone(), id);
                made = DataFile::new(direction.into(), transfer)
                    .inspect_err(|error| failure = *error)
                    .ok();
                made.as_ref().and_then(|_| this.session(direction))
            });
            match (this.checked(state, opened), made.take()) {
                (Ok(Some(_)), Some((file, link))) => {
                    if let Some((_, before)) = state.file.replace((id, link)) {
                        before.end();
                    }
                    Ok(Some(file))
                }
                (Ok(_), _) => Ok(None),
                (Err(error), _) if error == ENOMEM => Err(failure),
                (Err(error), _) => Err(error),
            }
        })
    }

    /// Does what may change the state of migration, tells of it, and wakes whom it concerns.
    pub(super) fn change<R>(&self, action: impl FnOnce(&mut State) -> R) -> R {
        self.with(|state| {
            let from = state.migration.state();
            let has_taken_in = state.migration.has_taken_in();
            let result = action(state);
            let to = state.migration.state();
            if from != to {
                self.tell_way(from, to);
                state.tell_file();
                state.has_arrived |= has_taken_in;
                if state.has_arrived && to.is_running() {
                    state.has_arrived = false;
                    state.interrupts.arrive(&state.card);
                }
            }
            result
        })
    }

    /// Traces each step of the way from one state to another.
    fn tell_way(&self, mut from: migration::State, to: migration::State) {
        while from != to {
            let next = arcs::next(from, to).unwrap_or(to);
            trace::state(&self.name, from.number(), next.number());
            from = next;
        }
    }

    /// Returns memory for a transfer, or nothing when there is none.
    pub(super) fn session(&self, direction: Direction) -> Option<KBox<Session<model::Card>>> {
        let mine = self.made.identity()?;
        let memory = KBox::new_uninit(GFP_KERNEL_ACCOUNT).ok()?;
        // A session is made where it will be: to move it would take as long as to fill it.
        Some(match direction {
            Direction::Saving => KBox::write(memory, Session::saving(mine, crc32c)),
            Direction::Loading => {
                let fresh = self.made.card();
                KBox::write(memory, Session::loading(mine, &fresh, crc32c))
            }
        })
    }

    /// Returns about how many bytes are to be read until the card can be left, if it were stopped now.
    pub(super) fn stop_copy_length(&self) -> usize {
        self.made.identity().map_or(0, |mine| {
            self.with(|state| state.migration.stop_copy_length(mine, &state.card))
        })
    }

    /// Makes the kernel's error of one of migration, and tells why if it is a refusal.
    pub(super) fn checked<R>(
        &self,
        state: &mut State,
        result: Result<R, migration::Error>,
    ) -> Result<R> {
        result.map_err(|error| {
            self.refusals.migration(&self.name, state, error);
            Error::from_errno(-error.errno())
        })
    }
}
