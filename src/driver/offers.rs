// SPDX-License-Identifier: GPL-2.0-only

//! What a parent offers: its types, each with the level that an operator holds it at.

use super::kinds::{
    Kind,
    Level, //
};
use crate::{
    migver::{
        Baseline,
        Identity, //
    },
    model, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

/// A type under a parent.
#[pin_data]
pub(super) struct Offer {
    pub(super) kind: &'static Kind,
    #[pin]
    now: Mutex<Now>,
}

/// What of a type changes.
///
/// # Invariants
///
/// - `level` is one of the kind's, and `None` if and only if the kind has none.
/// - `devices` is the number of [`Counted`]s.
struct Now {
    level: Option<&'static Level>,
    devices: u32,
}

/// Why a type cannot be held as was asked for.
pub(super) enum Refused {
    /// It is not told as what.
    Malformed,
    /// No level of the kind is that.
    Unknown,
    /// So many devices exist.
    InUse(u32),
}

impl Offer {
    /// Returns a type that is at its newest level.
    pub(super) fn new(kind: &'static Kind) -> Result<Arc<Self>> {
        // INVARIANT: The first level is one of the kind's, if it has any; there is no device.
        let now = Now {
            level: kind.levels.first(),
            devices: 0,
        };
        Arc::pin_init(
            pin_init!(Self {
                kind,
                now <- new_mutex!(now),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the level of the devices that are created now; `None` for a kind that does not migrate.
    pub(super) fn level(&self) -> Option<&'static Level> {
        self.now.lock().level
    }

    /// Counts one more device, and keeps the level until it is gone.
    pub(super) fn make(self: &Arc<Self>) -> Counted {
        let mut now = self.now.lock();
        // INVARIANT: For the device that is returned. There are at most `max_instances`.
        now.devices = now.devices.saturating_add(1);
        let made = Made {
            kind: self.kind,
            level: now.level,
        };
        Counted {
            made,
            offer: self.clone(),
        }
    }

    /// Holds devices that are created from now on at what `change` makes of the present baseline. Returns whether that
    /// changed it.
    ///
    /// A type says what its devices are. So it does not change while there are any.
    ///
    /// # Errors
    ///
    /// Says what is in the way: it is malformed if `change` makes nothing of it.
    pub(super) fn hold(
        &self,
        change: impl FnOnce(Baseline) -> Option<Baseline>,
    ) -> Result<Option<&'static Level>, Refused> {
        let mut now = self.now.lock();
        let present = now.level.ok_or(Refused::Unknown)?;
        let wanted = change(present.baseline()).ok_or(Refused::Malformed)?;
        if wanted == present.baseline() {
            return Ok(None);
        }
        let level = self
            .kind
            .levels
            .iter()
            .find(|level| level.baseline() == wanted)
            .ok_or(Refused::Unknown)?;
        if now.devices != 0 {
            return Err(Refused::InUse(now.devices));
        }
        // INVARIANT: It is one of the kind's levels.
        now.level = Some(level);
        Ok(now.level)
    }
}

/// A device of a type. It counts as one until this is dropped.
pub(super) struct Counted {
    made: Made,
    offer: Arc<Offer>,
}

impl Counted {
    /// Returns what it was made as.
    pub(super) fn made(&self) -> Made {
        self.made
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut now = self.offer.now.lock();
        // INVARIANT: One less, for the device that goes.
        now.devices = now.devices.saturating_sub(1);
    }
}

/// What a device was made as. What is left of one, as long as a file of it is open, still is that, but counts no more.
#[derive(Clone, Copy)]
pub(super) struct Made {
    kind: &'static Kind,
    level: Option<&'static Level>,
}

impl Made {
    /// Returns what kind of card it is.
    pub(super) fn kind(self) -> &'static Kind {
        self.kind
    }

    /// Returns what it says of itself; `None` for a card that does not migrate.
    pub(super) fn identity(self) -> Option<&'static Identity<'static>> {
        self.level.map(|level| &level.identity)
    }

    /// Returns the card at power-on.
    pub(super) fn card(self) -> model::Card {
        let abi = self.level.map_or(model::Abi::NEWEST, |level| level.abi);
        model::Card::new(self.kind.ports, abi)
    }
}

#[cfg_attr(CONFIG_MIGDEV_KUNIT_TEST, kunit_tests(migdev_offers))]
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
mod tests {
    use super::{
        super::kinds,
        *, //
    };
    use crate::migver::Abi;

    const OLDEST: Baseline = Baseline {
        abi: Abi { major: 1, minor: 0 },
        stream: 1,
    };

    fn migratable() -> Result<Arc<Offer>> {
        let kind = kinds::ALL.iter().find(|kind| !kind.levels.is_empty());
        Offer::new(kind.ok_or(ENOENT)?)
    }

    fn baseline(offer: &Offer) -> Option<Baseline> {
        offer.level().map(Level::baseline)
    }

    #[test]
    fn a_type_begins_at_its_newest_level_and_can_be_held_at_each() -> Result {
        let offer = migratable()?;
        assert!(baseline(&offer) == offer.kind.levels.first().map(Level::baseline));
        for level in offer.kind.levels {
            assert!(offer.hold(|_| Some(level.baseline())).is_ok());
            assert!(baseline(&offer) == Some(level.baseline()));
        }
        Ok(())
    }

    #[test]
    fn a_type_with_devices_is_left_as_it_is() -> Result {
        let offer = migratable()?;
        let device = offer.make();
        let newest = device.made().level.ok_or(ENOENT)?.baseline();
        assert!(matches!(
            offer.hold(|_| Some(OLDEST)),
            Err(Refused::InUse(1))
        ));
        assert!(matches!(offer.hold(|_| Some(newest)), Ok(None)));
        assert!(baseline(&offer) == Some(newest));

        drop(device);
        assert!(matches!(offer.hold(|_| Some(OLDEST)), Ok(Some(_))));
        assert!(baseline(&offer) == Some(OLDEST));
        Ok(())
    }

    #[test]
    fn a_type_is_held_at_nothing_that_the_driver_does_not_have() -> Result {
        let offer = migratable()?;
        for (minor, stream) in [(0, 0), (0, 3), (2, 2), (1, u32::MAX)] {
            let wanted = Baseline {
                abi: Abi { major: 1, minor },
                stream,
            };
            assert!(matches!(
                offer.hold(|_| Some(wanted)),
                Err(Refused::Unknown)
            ));
        }
        assert!(matches!(offer.hold(|_| None), Err(Refused::Malformed)));
        Ok(())
    }
}
