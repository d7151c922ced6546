// SPDX-License-Identifier: GPL-2.0-only

//! The `migration_version` files of types and devices.
//!
//! Both places mean the same and go by the same value: reading says what a device is, writing asks whether a device
//! of which the string was read can be taken over here. A kind that does not migrate has the file in neither place.

use super::serial::{
    Card,
    Serial,
    Shared, //
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
        ty.data().identity.is_some()
    }

    fn show(ty: &mdev::Type<Serial>, text: &mut dyn fmt::Write) -> Result {
        show(ty.data().identity, text)
    }

    fn store(ty: &mdev::Type<Serial>, text: &[u8]) -> Result {
        let kind = ty.data();
        store(kind.identity, text, ty.parent_data(), kind.info.name)
    }
}

impl Attribute<Card> for MigrationVersion {
    const NAME: &'static CStr = NAME;
    const MODE: u16 = MODE;

    fn is_visible(card: &Card) -> bool {
        card.kind.identity.is_some()
    }

    fn show(card: &Card, text: &mut dyn fmt::Write) -> Result {
        show(card.kind.identity, text)
    }

    fn store(card: &Card, text: &[u8]) -> Result {
        store(card.kind.identity, text, &card.shared, card.device.name())
    }
}

const NAME: &CStr = c"migration_version";
const MODE: u16 = 0o644;

/// Writes the string of a kind.
fn show(identity: Option<&Identity<'_>>, text: &mut dyn fmt::Write) -> Result {
    text.write_str(identity.ok_or(ENODEV)?.as_str())?;
    text.write_char('\n')?;
    Ok(())
}

/// Compares the string of a source, `text`, with that of a kind. A refusal is logged for `place`.
fn store(identity: Option<&Identity<'_>>, text: &[u8], shared: &Shared, place: &CStr) -> Result {
    let identity = identity.ok_or(ENODEV)?;
    identity.check(text).map_err(|refusal| {
        shared.refusals.string(place, NAME, &refusal);
        Error::from_errno(-refusal.class().errno())
    })
}
