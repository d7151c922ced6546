// SPDX-License-Identifier: GPL-2.0-only

//! Drivers of PCI functions that share something, as the [`Driver`] of each [`Registration`] is a value.
//!
//! A driver of the kernel crate ([`kernel::pci::Driver`]) is a type, whose `probe` finds nothing but the device. Here
//! `probe` also gets what the driver was registered with, so that a module with several registrations needs no
//! global variables to bring them together. The devices themselves are those of the kernel crate.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use kernel::{
    bindings, container_of,
    device::{
        Bound,
        Core, //
    },
    error::{
        from_result,
        to_result, //
    },
    pci::Device,
    prelude::*,
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

/// How many IDs a driver may have.
pub const MAX_IDS: usize = 8;

/// The ID of functions that a driver binds to.
#[derive(Clone, Copy)]
pub struct Id {
    /// The vendor ID.
    pub vendor: u16,
    /// The device ID.
    pub device: u16,
}

/// A driver of PCI functions.
pub trait Driver: Sized + Send + Sync + 'static {
    /// What the driver keeps for each function, from [`probe`](Self::probe) on. It is dropped when the function is
    /// unbound, before that is over.
    type Data<'bound>: Send + Sync + 'bound;

    /// The name of the driver, under `/sys/bus/pci/drivers`.
    const NAME: &'static CStr;

    /// The functions that the driver binds to, at most [`MAX_IDS`].
    const IDS: &'static [Id];

    /// Makes what the driver keeps for `device`. On an error the function is not bound.
    fn probe<'bound>(
        &'bound self,
        device: &'bound Device<Core<'_>>,
    ) -> Result<Pin<KBox<Self::Data<'bound>>>>;
}

/// The registration of a driver. Dropping it unbinds it from all functions.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Driver> {
    #[pin]
    raw: Opaque<bindings::pci_driver>,
    driver: T,
}

// SAFETY: A registered `pci_driver` belongs to no thread.
unsafe impl<T: Driver> Send for Registration<T> {}

// SAFETY: The fields of the `pci_driver` do not change while it is registered.
unsafe impl<T: Driver> Sync for Registration<T> {}

impl<T: Driver> Registration<T> {
    /// The IDs, ended by zeroes.
    const TABLE: &'static [bindings::pci_device_id; MAX_IDS + 1] = &{
        assert!(T::IDS.len() <= MAX_IDS);
        let mut table: [bindings::pci_device_id; MAX_IDS + 1] = pin_init::zeroed();
        let mut i = 0;
        while i < T::IDS.len() {
            table[i] = bindings::pci_device_id {
                vendor: T::IDS[i].vendor as u32,
                device: T::IDS[i].device as u32,
                subvendor: !0,
                subdevice: !0,
                ..pin_init::zeroed()
            };
            i += 1;
        }
        table
    };

    /// Registers `driver`, on behalf of `module`, and binds it to the functions that are there.
    ///
    /// # Errors
    ///
    /// `EBUSY` when a driver of this name is registered, `ENOMEM`.
    pub fn new(module: &'static ThisModule, driver: T) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            driver,
            raw <- Opaque::try_ffi_init(move |slot: *mut bindings::pci_driver| {
                let driver = bindings::pci_driver {
                    name: T::NAME.as_char_ptr(),
                    id_table: Self::TABLE.as_ptr(),
                    probe: Some(Self::probe_callback),
                    remove: Some(Self::remove_callback),
                    // Not `zeroed()`: the kernel crate does not say of each configuration's locks that they may be that.
                    ..Default::default()
                };
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(driver) };
                // SAFETY: The driver and `driver`, which the callbacks look at, are initialised, and stay where
                // they are until they are unregistered on drop.
                to_result(unsafe {
                    bindings::__pci_register_driver(slot, module.as_ptr(), T::NAME.as_char_ptr())
                })
            }),
        })
    }

    /// # Safety
    ///
    /// Only the PCI core may call this, for a function that it binds to a `Registration<T>`.
    unsafe extern "C" fn probe_callback(
        pdev: *mut bindings::pci_dev,
        _id: *const bindings::pci_device_id,
    ) -> c_int {
        // SAFETY: The function is valid. `Device` is a transparent wrapper, and the device lock is held.
        let device = unsafe { &*pdev.cast::<Device<Core<'_>>>() };
        // SAFETY: The core sets the driver before it calls this.
        let raw = unsafe { (*pdev).driver };
        // SAFETY: By the requirement it is inside a registration, which is not dropped before the function is unbound.
        let this = unsafe { &*container_of!(Opaque::cast_from(raw), Self, raw) };

        from_result(|| {
            let data = this.driver.probe(device)?;
            // SAFETY: The function is valid, and nobody but its driver sets its data.
            unsafe { bindings::dev_set_drvdata(&raw mut (*pdev).dev, data.into_foreign()) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Only the PCI core may call this, for a function for which `probe_callback()` succeeded.
    unsafe extern "C" fn remove_callback(pdev: *mut bindings::pci_dev) {
        // SAFETY: The function is valid; its data is what `probe_callback()` set, and nobody borrows it.
        let data = unsafe {
            <Pin<KBox<T::Data<'_>>> as ForeignOwnable>::from_foreign(bindings::dev_get_drvdata(
                &raw mut (*pdev).dev,
            ))
        };
        drop(data);
    }
}

#[pinned_drop]
impl<T: Driver> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: `new()` registered it.
        unsafe { bindings::pci_unregister_driver(self.raw.get()) };
    }
}

/// A function whose memory is decoded. When this is dropped it is no longer said to be in use; PCI leaves it decoding.
pub struct Enabled<'bound>(&'bound Device<Bound>);

impl<'bound> Enabled<'bound> {
    /// Enables the memory of `device`.
    ///
    /// # Errors
    ///
    /// What `pci_enable_device_mem()` fails with.
    pub fn new(device: &'bound Device<Core<'_>>) -> Result<Self> {
        device.enable_device_mem()?;
        Ok(Self(device))
    }
}

impl Drop for Enabled<'_> {
    fn drop(&mut self) {
        // `pci::Device` is a transparent wrapper of an `Opaque<bindings::pci_dev>`.
        let raw = Opaque::cast_into(core::ptr::from_ref(self.0).cast());
        // SAFETY: The function is bound, and `new()` enabled it.
        unsafe { bindings::pci_disable_device(raw) };
    }
}
