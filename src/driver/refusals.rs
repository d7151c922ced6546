// SPDX-License-Identifier: GPL-2.0-only

//! Where refusals are told, in words: the log and debugfs.
//!
//! Who may write strings, or use a device, can cause any number of them; so the log takes a few at a time.

use super::{
    live::State,
    serial::Serial, //
};
use crate::{
    mdev,
    migration,
    migver,
    ratelimit::RateLimit,
    sysfs::Window, //
};
use core::fmt::{
    self,
    Write, //
};
use kernel::prelude::*;

/// How many reasons of one refused string are logged, a line each.
const MAX_REASONS: usize = 8;

/// The log of the refusals of one device, or of the strings of a parent, with a limit of its own: so no user hides the
/// reasons of another.
#[pin_data]
pub(super) struct Refusals {
    #[pin]
    limit: RateLimit,
}

impl Refusals {
    /// Returns an initializer for a log in which there is nothing yet.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            limit <- RateLimit::new(),
        })
    }

    /// Logs why a string that was written to the `migration_version` of `place` was refused.
    pub(super) fn string(&self, place: &dyn kernel::fmt::Display, refusal: &migver::Refusal<'_>) {
        if !self.limit.allow(c"migdev: migration_version") {
            return;
        }
        let class = refusal.class().errno_name();
        let line = |reason: &dyn kernel::fmt::Display| {
            pr_info!(
                "{}: migration_version refused ({}): {}\n",
                place,
                class,
                reason
            );
        };
        match refusal {
            migver::Refusal::Unreadable(error) => line(&Shown(error)),
            migver::Refusal::Incompatible(verdict) => {
                let mut reasons = verdict.reasons();
                reasons
                    .by_ref()
                    .take(MAX_REASONS)
                    .for_each(|reason| line(&Shown(reason)));
                let more = reasons.count();
                if more != 0 {
                    line(&fmt!("{} more reasons", more));
                }
            }
        }
    }

    /// Logs why the device `name` refused something about its migration, and keeps it.
    ///
    /// That is told once which a user is told again and again, as each further piece of a refused stream is refused.
    pub(super) fn migration(&self, name: &CStr, state: &mut State, error: migration::Error) {
        let sessions = state.migration.counters().sessions;
        match error {
            migration::Error::Stream(_) if state.refusal.of_stream == Some(sessions) => return,
            migration::Error::Stream(_) => state.refusal.of_stream = Some(sessions),
            // What is no way to use the region or a file is no refusal of a migration.
            migration::Error::Access
            | migration::Error::Busy
            | migration::Error::Disabled
            | migration::Error::NoMessage
            | migration::Error::NotPreCopy => return,
            _ => (),
        }
        match state.migration.refusal() {
            Some(reason) if matches!(error, migration::Error::Stream(_)) => {
                self.request(name, &mut state.refusal, reason.errno_name(), &reason);
            }
            _ => self.request(name, &mut state.refusal, error.errno_name(), &error),
        }
    }

    /// Logs why what was written to the `migration_baseline` of `place` was refused.
    pub(super) fn baseline(
        &self,
        place: &dyn kernel::fmt::Display,
        errno: &'static str,
        reason: kernel::fmt::Arguments<'_>,
    ) {
        if self.limit.allow(c"migdev: migration_baseline") {
            pr_info!(
                "{}: migration_baseline refused ({}): {}\n",
                place,
                errno,
                reason
            );
        }
    }

    fn request(
        &self,
        name: &CStr,
        kept: &mut LastRefusal,
        errno: &'static str,
        reason: &dyn fmt::Display,
    ) {
        kept.errno = errno;
        kept.reason.set(reason);
        if self.limit.allow(c"migdev: migration") {
            pr_info!(
                "{}: migration refused ({}): {}\n",
                name,
                errno,
                Shown(reason)
            );
        }
    }
}

/// The last refusal about the migration of a device.
pub(super) struct LastRefusal {
    /// The name of its errno, empty where nothing was refused.
    pub(super) errno: &'static str,
    /// Why, in words.
    pub(super) reason: Line,
    /// How many sessions there had been when a stream was refused last.
    of_stream: Option<u64>,
}

impl LastRefusal {
    /// Nothing was refused.
    pub(super) const fn new() -> Self {
        Self {
            errno: "",
            reason: Line::new(),
            of_stream: None,
        }
    }
}

/// The start of a line of text.
pub(super) struct Line {
    bytes: [u8; Self::LEN],
    length: usize,
}

impl Line {
    /// How much of a text is kept, in bytes.
    const LEN: usize = 240;

    const fn new() -> Self {
        Self {
            bytes: [0; Self::LEN],
            length: 0,
        }
    }

    fn set(&mut self, text: &dyn fmt::Display) {
        let mut window = Window::new(0, &mut self.bytes);
        // A window takes any text.
        let _ = write!(window, "{text}");
        self.length = window.filled();
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.bytes.get(..self.length).unwrap_or_default();
        // All texts are ASCII, so that they can be cut anywhere.
        f.write_str(core::str::from_utf8(text).unwrap_or_default())
    }
}

/// Where the files of a type are: the parent and the type, by their names.
pub(super) struct Place<'a>(pub(super) &'a mdev::Type<Serial>);

impl kernel::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        let (parent, ty) = (self.0.parent().name(), self.0.name());
        f.write_fmt(fmt!("{}/{}", parent, ty))
    }
}

/// What can be shown, for the kernel's log, which formats by a trait of its own.
pub(super) struct Shown<T>(pub(super) T);

impl<T: fmt::Display> kernel::fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
