// SPDX-License-Identifier: GPL-2.0-only

//! The device, what a driver implements for it, and its registration.

use super::{
    dma_logging::{
        DmaLog,
        DmaLogging, //
    },
    irqfd::Irqfd,
    vtable::VTable,
    Capabilities,
    IrqInfo,
    IrqSet,
    MigrationTable,
    RegionInfo,
    SharedPage, //
};
use crate::{
    bindings as c,
    device::as_raw, //
};
use core::{
    alloc::Layout,
    mem::{
        offset_of,
        MaybeUninit, //
    },
    ptr::NonNull, //
};
use kernel::{
    bindings,
    device,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
};

/// What a driver implements for a VFIO device. The value is the driver's data of one device.
///
/// [`open`](Self::open) and [`close`](Self::close) come in turn, at most one user at a time. Between the two, all
/// others may be called at any time and at once. [`request`](Self::request) may also come when nobody has opened the
/// device.
///
/// What it cannot do yet: an index with several interrupts.
pub trait Operations: Sized + Send + Sync + 'static {
    /// The name of the driver.
    const NAME: &'static CStr;

    /// Whether regions and interrupts are numbered as those of a PCI device; see [`super::pci`].
    const IS_PCI: bool;

    /// How many interrupt indexes there are. Indexes passed to the methods are below this.
    const NUM_IRQS: u32;

    /// How devices migrate, if they do.
    const MIGRATION: Option<&'static MigrationTable<Self>> = None;

    /// Returns whether this device migrates, where [`MIGRATION`](Self::MIGRATION) says how. Asked once, before it is registered.
    fn is_migratable(_this: Pin<&Self>) -> bool {
        true
    }

    /// Returns how many regions there are, those of PCI included if [`IS_PCI`](Self::IS_PCI). Indexes passed to the methods
    /// are below this. It must not change.
    fn num_regions(this: Pin<&Self>) -> u32;

    /// Called for the first user of the device. An error is what the user gets.
    fn open(this: Pin<&Self>) -> Result;

    /// Called when the last file of a user is closed.
    fn close(this: Pin<&Self>);

    /// Returns what user space may do with region `index`. Asked at each access: it must not change while the device
    /// is open, and need not lock.
    fn region_info(this: Pin<&Self>, index: u32) -> RegionInfo;

    /// Adds the capabilities of region `index`.
    fn region_capabilities(
        _this: Pin<&Self>,
        _index: u32,
        _chain: &mut Capabilities<'_>,
    ) -> Result {
        Ok(())
    }

    /// Lends the page at `offset`, a multiple of the page size, of region `index`, which is
    /// [mappable](RegionInfo::mappable), to `map`, and returns what that says.
    ///
    /// # Errors
    ///
    /// `EINVAL` where there is no page that may be mapped; `ENOMEM`; what `map` says.
    fn page(
        _this: Pin<&Self>,
        _index: u32,
        _offset: u64,
        _map: &mut dyn FnMut(&SharedPage) -> Result,
    ) -> Result {
        Err(EINVAL)
    }

    /// Reads from `offset` of region `index`, which has at least `bytes.len()` bytes there, and returns how many were
    /// read. The rest of `bytes` does not reach user space.
    fn read(this: Pin<&Self>, index: u32, offset: u64, bytes: &mut [u8]) -> Result<usize>;

    /// Writes to `offset` of region `index`, which has at least `bytes.len()` bytes there, and returns how many were
    /// written.
    fn write(this: Pin<&Self>, index: u32, offset: u64, bytes: &[u8]) -> Result<usize>;

    /// Returns what user space may do with the interrupts of `index`. It must not change while the device is open.
    fn irq_info(this: Pin<&Self>, index: u32) -> IrqInfo;

    /// Carries out a request about interrupts. Unmasking by eventfd does not come this way; see
    /// [`unmask`](Self::unmask).
    fn set_irqs(this: Pin<&Self>, set: IrqSet) -> Result;

    /// Unmasks the one interrupt that [`IrqInfo::LEVEL`] describes. Called when the eventfd that user space assigned
    /// for it was signalled. May block.
    fn unmask(_this: Pin<&Self>) {}

    /// Returns the device to the state it has when it is first opened, except for the eventfds and the masks, which
    /// are the VMM's and not the device's.
    fn reset(this: Pin<&Self>) -> Result;

    /// Asks the user to close the device, because it is about to be removed, and returns whether there was a way to.
    /// Called at once and then every ten seconds, `count` times before this one, until it is closed.
    fn request(this: Pin<&Self>, count: u32) -> bool;
}

/// A VFIO device with the driver's data in it.
///
/// # Invariants
///
/// - `raw` is at offset 0, as the VFIO core frees the whole by its address, and is initialised.
/// - `inner` is initialised, and pinned.
#[repr(C)]
pub struct Device<T: Operations> {
    raw: Opaque<c::vfio_device>,
    inner: Inner<T>,
}

/// What there is besides the C device.
#[pin_data]
struct Inner<T> {
    #[pin]
    data: T,
    #[pin]
    irqfd: Irqfd,
    #[pin]
    dma_log: DmaLog,
    /// The device that this one is for. Whoever waits for the release of that waits for this one too, so that the
    /// code of the module outlives it. Last, so that it is dropped last.
    parent: ARef<device::Device>,
}

impl<T: Operations> Device<T> {
    /// Allocates a device for `parent` that nobody can open yet.
    fn new(parent: &device::Device, data: impl PinInit<T, Error>) -> Result<ARef<Self>> {
        const_assert!(offset_of!(Self, raw) == 0);
        // What kmalloc() guarantees for any size.
        const_assert!(align_of::<Self>() <= bindings::ARCH_KMALLOC_MINALIGN);

        let size = Layout::new::<Self>().pad_to_align().size();
        // SAFETY: The size is that of a structure with a `vfio_device` at its start. The table is static. The parent
        // is valid, and kept by a reference from below on; until then by the caller.
        let raw = from_err_ptr(unsafe {
            c::_vfio_alloc_device(size, as_raw(parent), VTable::<T>::UNINITIALISED)
        })?;
        let this = NonNull::new(raw.cast::<Self>()).ok_or(ENOMEM)?;

        // SAFETY: `this` is the allocation that was just made, `inner` a part of it that nothing was written to.
        let inner = unsafe { &raw mut (*this.as_ptr()).inner };
        let init = try_pin_init!(Inner {
            data <- data,
            irqfd <- Irqfd::new(),
            dma_log <- DmaLog::new(),
            parent: parent.into(),
        });
        // SAFETY: `inner` is valid for writes and stays where it is until it is dropped. The lifetime is what
        // `InPlaceWrite` asks for, to say so; the references do not outlive this function.
        let slot: &'static mut MaybeUninit<Inner<T>> = unsafe { &mut *inner.cast() };
        if let Err(error) = slot.write_pin_init(init) {
            // SAFETY: The one reference is ours. The table has no release that would drop `inner`.
            unsafe { bindings::put_device(&raw mut (*raw).device) };
            return Err(error);
        }

        // INVARIANT: Both parts are initialised. From now on the release drops `inner`.
        // SAFETY: Nobody else has the device yet.
        unsafe { (*raw).ops = VTable::<T>::TABLE };

        // SAFETY: The one reference is ours.
        Ok(unsafe { ARef::from_raw(this) })
    }

    /// Borrows a device from the C one.
    ///
    /// # Safety
    ///
    /// `raw` must be inside a `Device<T>` that is valid for `'a`.
    pub(super) unsafe fn from_raw<'a>(raw: *mut c::vfio_device) -> &'a Self {
        // SAFETY: By the type invariant the C device is at offset 0.
        unsafe { &*raw.cast() }
    }

    /// Returns the C device.
    pub(super) fn as_raw(&self) -> *mut c::vfio_device {
        self.raw.get()
    }

    /// Returns the driver's data.
    pub fn data(&self) -> Pin<&T> {
        // SAFETY: By the type invariant the data is pinned.
        unsafe { Pin::new_unchecked(&self.inner.data) }
    }

    /// Returns the device that this one is for.
    pub(super) fn parent(&self) -> &device::Device {
        &self.inner.parent
    }

    /// Returns the eventfd that unmasks.
    pub(super) fn irqfd(&self) -> &Irqfd {
        &self.inner.irqfd
    }

    /// Returns the log of the device's DMA.
    pub(super) fn dma_log(&self) -> &DmaLog {
        &self.inner.dma_log
    }

    /// Stores in the C device how it migrates. It must not be registered yet.
    fn set_migration(&self, table: &'static MigrationTable<T>) {
        // SAFETY: The device is valid, and nobody else looks at these fields before it is registered.
        unsafe {
            (*self.as_raw()).mig_ops = table.as_raw();
            (*self.as_raw()).log_ops = DmaLogging::<T>::TABLE;
            (*self.as_raw()).migration_flags = MigrationTable::<T>::FLAGS;
        }
    }

    /// Drops what there is besides the C device.
    ///
    /// # Safety
    ///
    /// Nothing may use the device any more but the VFIO core, which frees it.
    pub(super) unsafe fn drop_inner(raw: *mut c::vfio_device) {
        let this = raw.cast::<Self>();
        // SAFETY: By the type invariant it is initialised; by the requirement nobody uses it after this.
        unsafe { core::ptr::drop_in_place(&raw mut (*this).inner) };
    }
}

// SAFETY: The references are those of the `struct device` inside; the core frees the whole when it is released.
unsafe impl<T: Operations> AlwaysRefCounted for Device<T> {
    fn inc_ref(&self) {
        // SAFETY: There is a reference, since `self` is borrowed.
        unsafe { bindings::get_device(&raw mut (*self.as_raw()).device) };
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        let raw = this.as_ptr().cast::<c::vfio_device>();
        // SAFETY: The caller gives up a reference of its own.
        unsafe { bindings::put_device(&raw mut (*raw).device) };
    }
}

// SAFETY: A `vfio_device` may be released in any thread, and `T` may be sent.
unsafe impl<T: Operations> Send for Device<T> {}

// SAFETY: The VFIO core locks its part, `T` and the rest may be shared.
unsafe impl<T: Operations> Sync for Device<T> {}

/// A device that user space can open. Dropping it asks the user to close it, and waits.
pub struct Registration<T: Operations>(ARef<Device<T>>);

impl<T: Operations> Registration<T> {
    /// Makes a device for `parent` and registers it.
    ///
    /// # Errors
    ///
    /// What `data` fails with; `ENOMEM`; `ENOSPC` when there are too many VFIO devices; `EINVAL` when more than one
    /// interrupt index can be masked.
    ///
    /// # Safety
    ///
    /// The registration must be dropped before `parent` is unbound: whoever opens the device looks at the driver of
    /// its parent.
    pub(crate) unsafe fn new(
        parent: &device::Device<device::Bound>,
        data: impl PinInit<T, Error>,
    ) -> Result<Self> {
        let device = Device::new(parent, data)?;
        // There is one eventfd that unmasks.
        let is_maskable = |index: &u32| T::irq_info(device.data(), *index).is_maskable();
        if (0..T::NUM_IRQS).filter(is_maskable).count() > 1 {
            return Err(EINVAL);
        }
        if let Some(table) = T::MIGRATION.filter(|_| T::is_migratable(device.data())) {
            device.set_migration(table);
        }
        // Left to the core, which would do it while it registers the device, it might fail unnoticed: who opens a device
        // without a set makes the kernel oops.
        // SAFETY: The device is allocated, initialised, and not yet registered; its release takes it out of the set. Its
        // address is not null, and that of no other set.
        to_result(unsafe { c::vfio_assign_device_set(device.as_raw(), device.as_raw().cast()) })?;
        // SAFETY: As before.
        to_result(unsafe { c::vfio_register_emulated_iommu_dev(device.as_raw()) })?;
        Ok(Self(device))
    }
}

impl<T: Operations> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: `new()` registered it.
        unsafe { c::vfio_unregister_group_dev(self.0.as_raw()) };
    }
}
