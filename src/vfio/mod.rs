// SPDX-License-Identifier: GPL-2.0-only

//! VFIO devices that are emulated: what user space opens is implemented by a driver, and no IOMMU stands behind it.
//!
//! A driver implements [`Operations`] and registers a device with [`Registration`]; user space then finds it as a
//! group (`/dev/vfio/<group>`) and as a character device (`/dev/vfio/devices/vfio<n>`), with a container or with
//! iommufd. The abstraction does the user copies, checks every argument that comes with an ioctl, and tells the
//! driver only of what is within the bounds that the driver itself stated.
//!
//! - `device` holds the trait, the device, its registration and its life,
//! - `vtable` the C callbacks,
//! - `access` the reads and writes of regions, `pieces` how long ones are done,
//! - `ioctl` the ioctls that are not the VFIO core's own,
//! - `region` and `irq_info` what a device says about its regions and interrupts,
//! - `irq_set` the requests of `VFIO_DEVICE_SET_IRQS`,
//! - `interrupt` what a driver needs to signal interrupts: level, edge and notification,
//! - `irqfd` unmasking by eventfd,
//! - `shared_page` pages of regions that user space maps,
//! - `migration` the states of a device that migrates, `data_file` the files through which its state goes,
//! - `dma_logging` the log of a device that does no DMA.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h), UAPI:
//! [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

mod access;
mod data_file;
mod device;
mod dma_logging;
mod interrupt;
mod ioctl;
mod irq_info;
mod irq_set;
mod irqfd;
mod migration;
mod pieces;
mod region;
mod shared_page;
mod vtable;

#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
pub(crate) use self::migration::next_state;
pub use self::{
    data_file::{
        DataFile,
        Direction,
        Link,
        PrecopyInfo,
        Readiness,
        Transfer, //
    },
    device::{
        Device,
        Operations,
        Registration, //
    },
    interrupt::{
        Edge,
        Level,
        Notification, //
    },
    irq_info::IrqInfo,
    irq_set::{
        Action,
        Data,
        IrqSet, //
    },
    migration::{
        Migration,
        MigrationState,
        MigrationTable, //
    },
    region::{
        Capabilities,
        RegionInfo,
        SparseArea, //
    },
    shared_page::SharedPage,
};

/// The numbers of regions and interrupts that `vfio-pci` defines, and that every PCI device uses.
pub mod pci {
    use crate::bindings as c;

    /// Number of regions before those that are specific to the device.
    pub const NUM_REGIONS: u32 = c::VFIO_PCI_NUM_REGIONS;
    /// Region of base address register 0.
    pub const BAR0_REGION: u32 = c::VFIO_PCI_BAR0_REGION_INDEX;
    /// Region of the configuration space.
    pub const CONFIG_REGION: u32 = c::VFIO_PCI_CONFIG_REGION_INDEX;
    /// Number of interrupt indexes.
    pub const NUM_IRQS: u32 = c::VFIO_PCI_NUM_IRQS;
    /// The interrupt pin.
    pub const INTX_IRQ: u32 = c::VFIO_PCI_INTX_IRQ_INDEX;
    /// Message-signalled interrupts.
    pub const MSI_IRQ: u32 = c::VFIO_PCI_MSI_IRQ_INDEX;
    /// The message that the device has failed.
    pub const ERR_IRQ: u32 = c::VFIO_PCI_ERR_IRQ_INDEX;
    /// The request to give the device back.
    pub const REQ_IRQ: u32 = c::VFIO_PCI_REQ_IRQ_INDEX;
}
