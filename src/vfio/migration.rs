// SPDX-License-Identifier: GPL-2.0-only

//! Migration by protocol v2 (`VFIO_DEVICE_FEATURE_MIGRATION`).
//!
//! A driver implements [`Migration`] for what it has implemented [`Operations`] for, and names it there:
//! `const MIGRATION: Option<&'static MigrationTable<Self>> = Some(MigrationTable::TABLE)`. All three flags are
//! offered: the states of stop-copy, of P2P and of pre-copy. Together with it the device gets DMA logging, see
//! `dma_logging`.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h), UAPI:
//! [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use super::{
    DataFile,
    Device,
    Operations,
    Transfer, //
};
use crate::bindings as c;
use core::{
    marker::PhantomData,
    mem::offset_of,
    ptr::null_mut, //
};
use kernel::{
    bindings,
    error::from_result,
    prelude::*, //
};

/// The state of a device with regard to its migration (`enum vfio_device_mig_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MigrationState {
    /// It has failed, and must be reset.
    Error = c::vfio_device_mig_state_VFIO_DEVICE_STATE_ERROR,
    /// It does not change.
    Stop = c::vfio_device_mig_state_VFIO_DEVICE_STATE_STOP,
    /// It runs.
    Running = c::vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING,
    /// It does not change, and its state can be read.
    StopCopy = c::vfio_device_mig_state_VFIO_DEVICE_STATE_STOP_COPY,
    /// It does not change by itself, and its state can be written.
    Resuming = c::vfio_device_mig_state_VFIO_DEVICE_STATE_RESUMING,
    /// It runs, but does no DMA to other devices.
    RunningP2p = c::vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING_P2P,
    /// It runs, and what is known of its state can be read.
    PreCopy = c::vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY,
    /// Both of the former two.
    PreCopyP2p = c::vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY_P2P,
}

impl TryFrom<u32> for MigrationState {
    type Error = Error;

    /// # Errors
    ///
    /// `EINVAL` for what is no state. User space sends any number.
    fn try_from(number: u32) -> Result<Self> {
        [
            Self::Error,
            Self::Stop,
            Self::Running,
            Self::StopCopy,
            Self::Resuming,
            Self::RunningP2p,
            Self::PreCopy,
            Self::PreCopyP2p,
        ]
        .into_iter()
        .find(|state| *state as u32 == number)
        .ok_or(EINVAL)
    }
}

/// What a driver implements for a device that migrates. All may be called at any time while the device is open, and at
/// once.
pub trait Migration: Operations {
    /// What its data files are about.
    type Transfer: Transfer;

    /// Takes the device to a state, by way of others if need be. Returns the data file if that began a transfer.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there is no way to that state, or the state that was loaded is not complete; `ENOMEM`.
    fn set_state(
        this: Pin<&Self>,
        state: MigrationState,
    ) -> Result<Option<DataFile<Self::Transfer>>>;

    /// Returns the state that the device is in.
    fn state(this: Pin<&Self>) -> MigrationState;

    /// Returns about how many bytes are to be read until the device can be left, if it were stopped now.
    fn stop_copy_length(this: Pin<&Self>) -> usize;
}

/// The C callbacks of migration for the devices of `T`.
pub struct MigrationTable<T>(c::rust_vfio_migration_ops, PhantomData<T>);

// SAFETY: It consists of pointers to functions.
unsafe impl<T> Sync for MigrationTable<T> {}

impl<T: Migration> MigrationTable<T> {
    /// The table.
    pub const TABLE: &'static Self = &Self(
        c::rust_vfio_migration_ops {
            ops: c::vfio_migration_ops {
                migration_set_state: Some(c::rust_helper_vfio_migration_set_state),
                migration_get_state: Some(c::rust_helper_vfio_migration_get_state),
                migration_get_data_size: Some(Self::get_data_size_callback),
            },
            set_state: Some(Self::set_state_callback),
            get_state: Some(Self::get_state_callback),
        },
        PhantomData,
    );

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised.
    unsafe extern "C" fn set_state_callback(
        raw: *mut c::vfio_device,
        state: u32,
    ) -> *mut bindings::file {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        match MigrationState::try_from(state).and_then(|state| T::set_state(device.data(), state)) {
            Ok(None) => null_mut(),
            Ok(Some(file)) => file.into_raw(),
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised, and a `state` to write to.
    unsafe extern "C" fn get_state_callback(raw: *mut c::vfio_device, state: *mut u32) -> c_int {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        // SAFETY: It is valid for writes.
        unsafe { state.write(T::state(device.data()) as u32) };
        0
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised, and a `length` to write to.
    unsafe extern "C" fn get_data_size_callback(
        raw: *mut c::vfio_device,
        length: *mut c_ulong,
    ) -> c_int {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        from_result(|| {
            // SAFETY: It is valid for writes.
            unsafe { length.write(T::stop_copy_length(device.data()) as c_ulong) };
            Ok(0)
        })
    }
}

impl<T> MigrationTable<T> {
    /// What the table offers, for `VFIO_DEVICE_FEATURE_MIGRATION`.
    pub(super) const FLAGS: u32 =
        c::VFIO_MIGRATION_STOP_COPY | c::VFIO_MIGRATION_P2P | c::VFIO_MIGRATION_PRE_COPY;

    /// Returns the table as the VFIO core has it, which stands at the start of the one that Rust has added to.
    pub(super) fn as_raw(&'static self) -> *const c::vfio_migration_ops {
        const_assert!(offset_of!(c::rust_vfio_migration_ops, ops) == 0);
        (&raw const self.0).cast()
    }
}

/// Returns the next state on the way from one to another as the VFIO core has it, for tests. The core warns when the former is
/// [`MigrationState::Error`].
///
/// # Errors
///
/// `EINVAL` when there is no way.
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
pub(crate) fn next_state(from: MigrationState, to: MigrationState) -> Result<MigrationState> {
    let mut device = KBox::new(c::vfio_device::default(), GFP_KERNEL)?;
    device.migration_flags = MigrationTable::<()>::FLAGS;
    let mut next = 0;
    // SAFETY: The function looks at nothing of the device but its flags, and writes to `next`.
    kernel::error::to_result(unsafe {
        c::vfio_mig_get_next_state(&mut *device, from as u32, to as u32, &mut next)
    })?;
    MigrationState::try_from(next)
}
