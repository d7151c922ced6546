// SPDX-License-Identifier: GPL-2.0-only

//! The C callbacks of a device: each borrows the device and calls the part of the abstraction that does the work.

use super::{
    access,
    ioctl,
    shared_page,
    Capabilities,
    Device,
    Operations, //
};
use crate::bindings as c;
use core::marker::PhantomData;
use kernel::{
    bindings,
    error::from_result,
    mm::virt::VmaNew,
    prelude::*,
    uaccess::UserPtr, //
};

/// The table of callbacks for the devices of `T`.
pub(super) struct VTable<T: Operations>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    /// For a device that is initialised.
    pub(super) const TABLE: &'static c::vfio_device_ops = &Self::OPS;

    /// For a device that is not: without the release.
    pub(super) const UNINITIALISED: &'static c::vfio_device_ops = &c::vfio_device_ops {
        release: None,
        ..Self::OPS
    };

    const OPS: c::vfio_device_ops = c::vfio_device_ops {
        name: kernel::str::as_char_ptr_in_const_context(T::NAME).cast_mut(),
        release: Some(Self::release_callback),
        open_device: Some(Self::open_callback),
        close_device: Some(Self::close_callback),
        read: Some(Self::read_callback),
        write: Some(Self::write_callback),
        ioctl: Some(Self::ioctl_callback),
        get_region_info_caps: Some(Self::get_region_info_callback),
        mmap: Some(Self::mmap_callback),
        request: Some(Self::request_callback),
        #[cfg(CONFIG_IOMMUFD)]
        bind_iommufd: Some(c::vfio_iommufd_emulated_bind),
        #[cfg(CONFIG_IOMMUFD)]
        unbind_iommufd: Some(c::vfio_iommufd_emulated_unbind),
        #[cfg(CONFIG_IOMMUFD)]
        attach_ioas: Some(c::vfio_iommufd_emulated_attach_ioas),
        #[cfg(CONFIG_IOMMUFD)]
        detach_ioas: Some(c::vfio_iommufd_emulated_detach_ioas),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Only the VFIO core may call this, when the last reference to a `Device<T>` is gone.
    unsafe extern "C" fn release_callback(raw: *mut c::vfio_device) {
        // SAFETY: The last reference is gone.
        unsafe { Device::<T>::drop_inner(raw) };
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised.
    unsafe extern "C" fn open_callback(raw: *mut c::vfio_device) -> c_int {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        from_result(|| T::open(device.data()).map(|()| 0))
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised.
    unsafe extern "C" fn close_callback(raw: *mut c::vfio_device) {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        // Before the driver's close, which may rely on not being called any more. This cannot fail.
        let _ = device.irqfd().lock().assign(device, None);
        T::close(device.data());
        device.dma_log().stop();
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised, and a valid `position`.
    unsafe extern "C" fn read_callback(
        raw: *mut c::vfio_device,
        buffer: *mut c_char,
        count: usize,
        position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        let buffer = UserPtr::from_ptr(buffer.cast());
        // SAFETY: The position is valid, and used by nobody else.
        let position = unsafe { &mut *position };
        moved(position, |at| access::read(device, buffer, count, at))
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised, and a valid `position`.
    unsafe extern "C" fn write_callback(
        raw: *mut c::vfio_device,
        buffer: *const c_char,
        count: usize,
        position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        let buffer = UserPtr::from_ptr(buffer.cast_mut().cast());
        // SAFETY: The position is valid, and used by nobody else.
        let position = unsafe { &mut *position };
        moved(position, |at| access::write(device, buffer, count, at))
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised.
    unsafe extern "C" fn ioctl_callback(
        raw: *mut c::vfio_device,
        command: c_uint,
        argument: c_ulong,
    ) -> c_long {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        match ioctl::ioctl(device, command, UserPtr::from_addr(argument)) {
            Ok(()) => 0,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised, and valid `info` and `capabilities`.
    unsafe extern "C" fn get_region_info_callback(
        raw: *mut c::vfio_device,
        info: *mut c::vfio_region_info,
        capabilities: *mut c::vfio_info_cap,
    ) -> c_int {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        // SAFETY: The structure is valid, and used by nobody else.
        let info = unsafe { &mut *info };
        // SAFETY: The chain is valid, and used by nobody else, until this returns.
        let mut chain = unsafe { Capabilities::from_raw(capabilities) };

        from_result(|| {
            let index = info.index;
            if index >= T::num_regions(device.data()) {
                return Err(EINVAL);
            }
            T::region_info(device.data(), index).fill(index, info);
            T::region_capabilities(device.data(), index, &mut chain)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised, and an area that is being set up.
    unsafe extern "C" fn mmap_callback(
        raw: *mut c::vfio_device,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        // SAFETY: The area is being set up.
        let vma = unsafe { VmaNew::from_raw(vma) };
        from_result(|| shared_page::map(device, vma).map(|()| 0))
    }

    /// # Safety
    ///
    /// Only the VFIO core may call this, with a `Device<T>` that is initialised.
    unsafe extern "C" fn request_callback(raw: *mut c::vfio_device, count: c_uint) {
        // SAFETY: The core keeps the device while it calls this.
        let device = unsafe { Device::<T>::from_raw(raw) };
        if !T::request(device.data(), count) && count == 0 {
            dev_warn!(
                device.parent(),
                "in use, and its user does not listen for requests: removal waits until it is closed\n"
            );
        }
    }
}

/// Does an access at `position` and advances it by what was moved.
fn moved(
    position: &mut bindings::loff_t,
    access: impl FnOnce(bindings::loff_t) -> Result<usize>,
) -> isize {
    from_result(|| {
        let count = access(*position)?;
        *position += bindings::loff_t::try_from(count)?;
        isize::try_from(count).map_err(|_| EINVAL)
    })
}
