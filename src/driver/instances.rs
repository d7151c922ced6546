// SPDX-License-Identifier: GPL-2.0-only

//! The count of devices that exist, and its limit.

use crate::mdev;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    },
};

/// How many devices there may be, and how many more there can be now.
///
/// # Invariants
///
/// `available` is the limit less the number of [`Claim`]s.
pub(super) struct Instances {
    available: Atomic<u32>,
}

impl Instances {
    /// Counts from none up to `limit`.
    pub(super) fn new(limit: u32) -> Result<Arc<Self>> {
        let instances = Self {
            available: Atomic::new(limit),
        };
        Ok(Arc::new(instances, GFP_KERNEL)?)
    }

    /// Returns how many more devices there can be.
    pub(super) fn available(&self) -> u32 {
        self.available.load(Relaxed)
    }

    /// Counts one more device.
    ///
    /// # Errors
    ///
    /// `EUSERS` when there are as many as there may be.
    pub(super) fn claim(self: &Arc<Self>) -> Result<Claim> {
        let mut available = self.available();
        loop {
            let fewer = available
                .checked_sub(1)
                .ok_or_else(mdev::no_instances_left)?;
            match self.available.cmpxchg(available, fewer, Full) {
                // INVARIANT: One less, for the claim that is returned.
                Ok(_) => return Ok(Claim(self.clone())),
                Err(current) => available = current,
            }
        }
    }
}

/// One of the devices that are counted. It is no longer when this is dropped.
pub(super) struct Claim(Arc<Instances>);

impl Drop for Claim {
    fn drop(&mut self) {
        // INVARIANT: One more, for the claim that goes.
        self.0.available.fetch_add(1, Full);
    }
}

#[cfg_attr(CONFIG_MIGDEV_KUNIT_TEST, kunit_tests(migdev_instances))]
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
mod tests {
    use super::*;

    #[test]
    fn refuses_more_than_the_limit_and_counts_back() -> Result {
        let instances = Instances::new(2)?;
        let first = instances.claim()?;
        let _second = instances.claim()?;
        assert_eq!(instances.available(), 0);
        assert!(instances
            .claim()
            .is_err_and(|error| error == mdev::no_instances_left()));

        drop(first);
        assert_eq!(instances.available(), 1);
        let _third = instances.claim()?;
        assert_eq!(instances.available(), 0);
        Ok(())
    }
}
