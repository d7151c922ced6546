// SPDX-License-Identifier: GPL-2.0-only

//! The `migration_version` files of types and devices.
//!
//! Both places mean the same and go by the same value: reading says what a device is, writing asks whether a device
//! of which the string was read can be taken over here. A kind that does not migrate has the file in neither place.

use super::{
    refusals::Place,
    serial::{
        Card,
        Serial, //
    },
    shared::Shared, //
};
use crate::{
    mdev,
    migver::Identity,
    sysfs::Attribute, //
};
use core::fmt;
use kernel::{
    prelude::*,
    str::CStr, //
};

/// The file.
pub(super) struct MigrationVersion;

impl Attribute<mdev::Type<Serial>> for MigrationVersion {
    const NAME: &'static CStr = NAME;
    const MODE: u16 = MODE;

    fn is_visible(ty: &mdev::Type<Serial>) -> bool {
        identity(ty).is_some()
    }

    fn show(ty: &mdev::Type<Serial>, text: &mut dyn fmt::Write) -> Result {
        show(identity(ty), text)
    }

    fn store(ty: &mdev::Type<Serial>, text: &[u8]) -> Result {
        store(identity(ty), text, ty.parent_data(), &Place(ty))
    }
}

impl Attribute<Card> for MigrationVersion {
    const NAME: &'static CStr = NAME;
    const MODE: u16 = MODE;

    fn is_visible(card: &Card) -> bool {
        card.live.made.identity().is_some()
    }

    fn show(card: &Card, text: &mut dyn fmt::Write) -> Result {
        show(card.live.made.identity(), text)
    }

    fn store(card: &Card, text: &[u8]) -> Result {
        store(
            card.live.made.identity(),
            text,
            &card.shared,
            &card.device.name(),
        )
    }
}

const NAME: &CStr = c"migration_version";
const MODE: u16 = 0o644;

/// What a device would say that is created from a type now.
fn identity(ty: &mdev::Type<Serial>) -> Option<&'static Identity<'static>> {
    ty.data().level().map(|level| &level.identity)
}

/// Writes a string.
fn show(identity: Option<&Identity<'_>>, text: &mut dyn fmt::Write) -> Result {
    text.write_str(identity.ok_or(ENODEV)?.as_str())?;
    text.write_char('\n')?;
    Ok(())
}

/// Compares the string of a source, `text`, with ours. A refusal is logged for `place`.
fn store(
    identity: Option<&Identity<'_>>,
    text: &[u8],
    shared: &Shared,
    place: &dyn kernel::fmt::Display,
) -> Result {
    let identity = identity.ok_or(ENODEV)?;
    identity.check(text).map_err(|refusal| {
        shared.refusals.string(place, &refusal);
        Error::from_errno(-refusal.class().errno())
    })
}
