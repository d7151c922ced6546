// SPDX-License-Identifier: GPL-2.0-only

//! The files `migration_baseline` and `migration_baselines` of types: at which version devices are created.
//!
//! A device that is held at an older version is what the driver of an older host would have made of it; so it can go
//! there, and what is there can come here and go back.

use super::{
    offers::Refused,
    refusals::{
        Place,
        Shown, //
    },
    serial::Serial, //
};
use crate::{
    mdev,
    sysfs::Attribute, //
};
use core::fmt;
use kernel::prelude::*;

/// The file with the present baseline, which is written to change it.
pub(super) struct Present;

/// The file with those that can be written.
pub(super) struct Supported;

impl Attribute<mdev::Type<Serial>> for Present {
    const NAME: &'static CStr = c"migration_baseline";
    const MODE: u16 = 0o644;

    fn is_visible(ty: &mdev::Type<Serial>) -> bool {
        ty.data().level().is_some()
    }

    fn show(ty: &mdev::Type<Serial>, text: &mut dyn fmt::Write) -> Result {
        let level = ty.data().level().ok_or(ENODEV)?;
        writeln!(text, "{}", level.baseline())?;
        Ok(())
    }

    fn store(ty: &mdev::Type<Serial>, text: &[u8]) -> Result {
        let place = &Place(ty);
        let refusals = &ty.parent_data().refusals;
        match ty.data().hold(|present| present.changed(text)) {
            Ok(Some(level)) => {
                pr_info!("{}: held at {}\n", place, Shown(level.baseline()));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(Refused::Malformed) => {
                refusals.baseline(
                    place,
                    "EINVAL",
                    fmt!("expected abi=MAJOR.MINOR,stream=VERSION or one of the two"),
                );
                Err(EINVAL)
            }
            Err(Refused::Unknown) => {
                refusals.baseline(
                    place,
                    "EOPNOTSUPP",
                    fmt!("migration_baselines has what the driver can be held at"),
                );
                // The kernel crate has no name for it before Linux 7.3. CAST: An errno is a small number.
                Err(Error::from_errno(-(kernel::uapi::EOPNOTSUPP as c_int)))
            }
            Err(Refused::InUse(count)) => {
                refusals.baseline(
                    place,
                    "EBUSY",
                    fmt!("devices of the type to be removed first: {}", count),
                );
                Err(EBUSY)
            }
        }
    }
}

impl Attribute<mdev::Type<Serial>> for Supported {
    const NAME: &'static CStr = c"migration_baselines";
    const MODE: u16 = 0o444;

    fn is_visible(ty: &mdev::Type<Serial>) -> bool {
        ty.data().level().is_some()
    }

    fn show(ty: &mdev::Type<Serial>, text: &mut dyn fmt::Write) -> Result {
        for level in ty.data().kind.levels {
            writeln!(text, "{}", level.baseline())?;
        }
        Ok(())
    }
}
