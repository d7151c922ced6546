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
    migver::{
        self,
        Version, //
    },
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
        ty.data().version.is_some()
    }

    fn show(ty: &mdev::Type<Serial>, text: &mut dyn fmt::Write) -> Result {
        show(&ty.data().version, text)
    }

    fn store(ty: &mdev::Type<Serial>, text: &[u8]) -> Result {
        let kind = ty.data();
        store(&kind.version, text, ty.parent_data(), kind.info.name)
    }
}

impl Attribute<Card> for MigrationVersion {
    const NAME: &'static CStr = NAME;
    const MODE: u16 = MODE;

    fn is_visible(card: &Card) -> bool {
        card.kind.version.is_some()
    }

    fn show(card: &Card, text: &mut dyn fmt::Write) -> Result {
        show(&card.kind.version, text)
    }

    fn store(card: &Card, text: &[u8]) -> Result {
        store(&card.kind.version, text, &card.shared, card.device.name())
    }
}

const NAME: &CStr = c"migration_version";
const MODE: u16 = 0o644;

/// Writes the string of a kind.
fn show(version: &Option<Version<'static>>, text: &mut dyn fmt::Write) -> Result {
    let version = version.as_ref().ok_or(ENODEV)?;
    writeln!(text, "{version}")?;
    Ok(())
}

/// Compares the string of a source, `text`, with that of a kind. A refusal is logged for `place`.
fn store(version: &Option<Version<'static>>, text: &[u8], shared: &Shared, place: &CStr) -> Result {
    let version = version.as_ref().ok_or(ENODEV)?;
    migver::check(text, version).map_err(|refusal| {
        shared.refusals.string(place, NAME, &refusal);
        Error::from_errno(-refusal.class().errno())
    })
}
