// SPDX-License-Identifier: GPL-2.0-only

//! The vendor driver: its trait, its registration, and the C callbacks between the two.

use super::{
    attributes,
    Device,
    DeviceAttribute,
    Type,
    TypeAttribute, //
};
use crate::{
    bindings as c,
    sysfs,
    vfio, //
};
use core::{
    fmt,
    marker::PhantomData, //
};
use kernel::{
    bindings,
    error::{
        from_result,
        to_result, //
    },
    page::PAGE_SIZE,
    prelude::*,
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

/// A vendor driver of mediated devices.
pub trait Driver: Sized + Send + Sync + 'static {
    /// What the driver keeps for each parent.
    type ParentData: Send + Sync;

    /// What the driver keeps for each type under a parent.
    type TypeData: Send + Sync;

    /// What the driver keeps for each device, from [`probe`](Self::probe) to [`remove`](Self::remove).
    type Data: Send + Sync;

    /// The VFIO device as which user space opens a device.
    type Vfio: vfio::Operations;

    /// The name of the driver, under `/sys/bus/mdev/drivers`.
    const NAME: &'static CStr;

    /// What the `device_api` file of each type says: the VFIO API of the devices, such as `vfio-pci`.
    const DEVICE_API: &'static CStr;

    /// The files that the driver adds to the directories of its types, at most [`MAX_ATTRIBUTES`](super::MAX_ATTRIBUTES).
    const TYPE_ATTRIBUTES: &'static [TypeAttribute<Self>] = &[];

    /// The files that the driver adds to the directories of its devices, at most [`MAX_ATTRIBUTES`](super::MAX_ATTRIBUTES).
    const DEVICE_ATTRIBUTES: &'static [DeviceAttribute<Self>] = &[];

    /// Makes a device of what user space created. An error is what the writer of `create` gets.
    fn probe(device: &Device<Self>) -> impl PinInit<Self::Data, Error>;

    /// Makes what user space opens. Called after [`probe`](Self::probe); an error ends the device again.
    fn vfio(device: &Device<Self>, data: Pin<&Self::Data>) -> impl PinInit<Self::Vfio, Error>;

    /// Ends a device. After this, user space is asked to close the VFIO device and waited for, and then the data is
    /// dropped.
    fn remove(_device: &Device<Self>, _data: Pin<&Self::Data>) {}

    /// Returns how many more devices of this type can be created now.
    fn available_instances(ty: &Type<Self>) -> u32;

    /// Writes what the `description` file of the type says, less than a page, without the newline at its end.
    fn description(ty: &Type<Self>, text: &mut dyn fmt::Write) -> Result;
}

/// What there is of a device between probe and remove. What is declared first is dropped first.
#[pin_data]
struct Bound<T: Driver> {
    vfio: vfio::Registration<T::Vfio>,
    #[pin]
    data: T::Data,
}

impl<T: Driver> Bound<T> {
    /// Returns an initializer for a device that is being bound.
    fn new(device: &Device<T>) -> impl PinInit<Self, Error> + use<'_, T> {
        try_pin_init!(Self {
            data <- T::probe(device),
            // SAFETY: `Self` is dropped when the device is unbound, if not before, by `remove_callback()`.
            vfio: unsafe {
                vfio::Registration::new(device.as_ref(), T::vfio(device, data.as_ref()))
            }?,
        })
    }

    /// Returns the driver's data.
    fn data(self: Pin<&Self>) -> Pin<&T::Data> {
        // SAFETY: The field is structurally pinned.
        unsafe { self.map_unchecked(|bound| &bound.data) }
    }
}

/// Returns the error of a [`Driver::probe`] for which no instance is left: `EUSERS`, as mdev itself has it.
pub fn no_instances_left() -> Error {
    // CAST: An errno is a small number.
    Error::from_errno(-(bindings::EUSERS as c_int))
}

/// The registration of a vendor driver with the mdev bus. Parents share it; the last one that goes ends it.
#[pin_data(PinnedDrop)]
pub struct DriverRegistration<T: Driver> {
    #[pin]
    raw: Opaque<c::mdev_driver>,
    _driver: PhantomData<T>,
}

// SAFETY: A registered `mdev_driver` belongs to no thread.
unsafe impl<T: Driver> Send for DriverRegistration<T> {}

// SAFETY: The fields of the `mdev_driver` do not change while it is registered.
unsafe impl<T: Driver> Sync for DriverRegistration<T> {}

impl<T: Driver> DriverRegistration<T> {
    /// Registers the driver, on behalf of `module`, which cannot be unloaded while one of the devices is open.
    ///
    /// # Errors
    ///
    /// `EBUSY` when a driver of this name is registered, `ENOMEM`.
    pub fn new(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            raw <- Opaque::try_ffi_init(move |slot: *mut c::mdev_driver| {
                let driver = c::mdev_driver {
                    device_api: T::DEVICE_API.as_char_ptr(),
                    probe: Some(Self::probe_callback),
                    remove: Some(Self::remove_callback),
                    get_available: Some(Self::get_available_callback),
                    show_description: Some(Self::show_description_callback),
                    driver: bindings::device_driver {
                        name: T::NAME.as_char_ptr(),
                        owner: module.as_ptr(),
                        mod_name: T::NAME.as_char_ptr(),
                        // Unbinding would leave a device that is there and does nothing.
                        suppress_bind_attrs: true,
                        dev_groups: attributes::device_groups::<T>(),
                        ..pin_init::zeroed()
                    },
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(driver) };
                // SAFETY: The driver is initialised, and stays where it is until it is unregistered on drop.
                to_result(unsafe { c::mdev_register_driver(slot) })
            }),
            _driver: PhantomData,
        })
    }

    /// Returns the C driver.
    pub(super) fn as_raw(&self) -> *mut c::mdev_driver {
        self.raw.get()
    }

    /// Borrows the driver's data of a device from the device's directory.
    ///
    /// # Safety
    ///
    /// `kobj` must be that of a device that is bound to a `DriverRegistration<T>`, for `'a`.
    pub(super) unsafe fn data_from_kobject<'a>(kobj: *mut bindings::kobject) -> Pin<&'a T::Data> {
        // SAFETY: `kobj` is inside a `struct device`, by the requirements.
        let dev = unsafe { kernel::container_of!(kobj, bindings::device, kobj) };
        // SAFETY: The device is valid; while it is bound its data is what `probe_callback()` set.
        let bound = unsafe {
            <Pin<KBox<Bound<T>>> as ForeignOwnable>::borrow(bindings::dev_get_drvdata(dev))
        };
        Bound::data(bound)
    }

    /// # Safety
    ///
    /// Only mdev may call this, for a device that it binds to a `DriverRegistration<T>`.
    unsafe extern "C" fn probe_callback(raw: *mut c::mdev_device) -> c_int {
        // SAFETY: The device is valid and is being bound to this driver.
        let device = unsafe { Device::<T>::from_raw(raw) };

        from_result(|| {
            let bound = KBox::pin_init(Bound::new(device), GFP_KERNEL)?;
            // SAFETY: The device is valid, and nobody but its driver sets its data.
            unsafe { bindings::dev_set_drvdata(&raw mut (*raw).dev, bound.into_foreign()) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Only mdev may call this, for a device for which `probe_callback()` succeeded. The files of the device are
    /// gone by then.
    unsafe extern "C" fn remove_callback(raw: *mut c::mdev_device) {
        // SAFETY: The device is valid and still bound to this driver.
        let device = unsafe { Device::<T>::from_raw(raw) };
        // SAFETY: The device is valid.
        let data = unsafe { bindings::dev_get_drvdata(&raw mut (*raw).dev) };
        // SAFETY: This is what `probe_callback()` made, and nothing borrows it any more.
        let bound = unsafe { <Pin<KBox<Bound<T>>> as ForeignOwnable>::from_foreign(data) };

        T::remove(device, Bound::data(bound.as_ref()));
    }

    /// # Safety
    ///
    /// Only mdev may call this, for a type of a parent of this driver.
    unsafe extern "C" fn get_available_callback(raw: *mut c::mdev_type) -> c_uint {
        // SAFETY: The type is registered while its files can be read.
        T::available_instances(unsafe { Type::from_raw(raw) })
    }

    /// # Safety
    ///
    /// Only mdev may call this, for a type of a parent of this driver, with a buffer of one page.
    unsafe extern "C" fn show_description_callback(
        raw: *mut c::mdev_type,
        buffer: *mut c_char,
    ) -> isize {
        // SAFETY: The type is registered while its files can be read.
        let ty = unsafe { Type::<T>::from_raw(raw) };
        // SAFETY: sysfs passes a zeroed page, of which the last byte is to stay zero.
        let page = unsafe { core::slice::from_raw_parts_mut(buffer.cast::<u8>(), PAGE_SIZE - 1) };

        from_result(|| {
            let (newline, page) = page.split_last_mut().ok_or(EINVAL)?;
            let mut text = sysfs::Window::new(0, page);
            T::description(ty, &mut text)?;
            let filled = text.filled();
            *page.get_mut(filled).unwrap_or(newline) = b'\n';
            isize::try_from(filled + 1).map_err(|_| EINVAL)
        })
    }
}

#[pinned_drop]
impl<T: Driver> PinnedDrop for DriverRegistration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: `new()` registered it. No parent refers to it any more: each holds a reference to `self`.
        unsafe { c::mdev_unregister_driver(self.raw.get()) };
    }
}
