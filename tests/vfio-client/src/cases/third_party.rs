// SPDX-License-Identifier: GPL-2.0-only
//! A client that somebody else wrote: the `vfio-ioctls` crate, which virtual machine monitors
//! use, sets the device up and drives it.

use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::sync::Arc;

use iommufd_ioctls::IommuFd;
use nix::sys::eventfd::EventFd;
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_INTX_IRQ_INDEX as INTX, VFIO_PCI_MSI_IRQ_INDEX as MSI, VFIO_PCI_NUM_REGIONS,
};
use vfio_ioctls::{
    DmaLoggingRange, VfioContainer, VfioDevice, VfioError, VfioIommufd, VfioOps, VfioRegionInfoCap,
    VfioRegionInfoCapSparseMmap, VfioRegionInfoCapType, VfioRegionSparseMmapArea,
};

use super::{cases, World};
use vfio_client::device::Access;
use vfio_client::ktap::{check, check_eq, skip, Miss, Outcome};
use vfio_client::memory::{Cliff, PAGE};
use vfio_client::migration::v2;
use vfio_client::serial::{BAR0, CONFIG, SCR};
use vfio_client::sysfs::Mdev;

cases![
    serves_the_client_of_rust_vmm,
    lets_that_client_map_memory,
    shows_that_client_its_migration_region,
    migrates_for_that_client,
    logs_dma_for_that_client,
];

fn failed(error: impl std::fmt::Display) -> Miss {
    Miss::Failed(format!("vfio-ioctls: {error}"))
}

/// The address space that the device is to be in.
fn space(world: &World<'_>) -> Result<Arc<dyn VfioOps>, Miss> {
    Ok(match world.access {
        Access::Group => Arc::new(VfioContainer::new(None).map_err(failed)?),
        Access::Cdev => {
            let iommufd = Arc::new(IommuFd::new().map_err(failed)?);
            Arc::new(VfioIommufd::new(iommufd, None, None).map_err(failed)?)
        }
    })
}

fn open(world: &World<'_>) -> Result<VfioDevice, Miss> {
    VfioDevice::new(world.mdev.path(), space(world)?).map_err(failed)
}

fn serves_the_client_of_rust_vmm(world: &World<'_>) -> Outcome {
    let device = open(world)?;
    check_eq!(
        device.get_region_size(CONFIG),
        256,
        "size of configuration space"
    );
    check_eq!(
        device.get_region_size(BAR0),
        world.bar_size() as u64,
        "size of BAR 0"
    );
    let mut vendor = [0; 2];
    device.region_read(CONFIG, &mut vendor, 0);
    check_eq!(vendor, [0x36, 0x1b], "vendor");
    device.region_write(BAR0, &[0x2b], SCR);
    let mut scratch = [0];
    device.region_read(BAR0, &mut scratch, SCR);
    check_eq!(scratch, [0x2b], "scratch");
    check_eq!(device.max_interrupts(), 1, "interrupts at once");
    for index in [INTX, MSI] {
        let (ours, theirs) = eventfd_pair()?;
        device.enable_irq(index, vec![&theirs]).map_err(failed)?;
        device.trigger_irq(index, 0).map_err(failed)?;
        check_eq!(ours.read()?, 1, "signals of index {index}");
        if index == INTX {
            device.unmask_irq(index).map_err(failed)?;
        }
        device.disable_irq(index).map_err(failed)?;
    }
    device.reset();
    device.region_read(BAR0, &mut scratch, SCR);
    check_eq!(scratch, [0], "scratch after reset");
    Ok(())
}

fn lets_that_client_map_memory(world: &World<'_>) -> Outcome {
    let space = space(world)?;
    let device = VfioDevice::new(world.mdev.path(), Arc::clone(&space)).map_err(failed)?;
    let memory = Cliff::new()?;
    for round in 0..3 {
        let (iova, address) = (round << 20, memory.tail(PAGE).cast());
        // SAFETY: nothing refers to the page, which stays mapped here until it was unmapped there.
        unsafe { space.vfio_dma_map(iova, PAGE, address) }.map_err(failed)?;
        space.vfio_dma_unmap(iova, PAGE).map_err(failed)?;
    }
    let mut vendor = [0; 2];
    device.region_read(CONFIG, &mut vendor, 0);
    check_eq!(vendor, [0x36, 0x1b], "vendor afterwards");
    Ok(())
}

fn shows_that_client_its_migration_region(world: &World<'_>) -> Outcome {
    if !world.migrates() {
        skip!("the type does not migrate");
    }
    let device = open(world)?;
    let index = VFIO_PCI_NUM_REGIONS;
    check_eq!(device.get_region_size(index), 0x2000, "size of the region");
    let mut caps = device.get_region_caps(index);
    caps.sort_by_key(|cap| matches!(cap, VfioRegionInfoCap::SparseMmap(_)));
    let want = [
        VfioRegionInfoCap::Type(VfioRegionInfoCapType {
            type_: 3,
            subtype: 1,
        }),
        VfioRegionInfoCap::SparseMmap(VfioRegionInfoCapSparseMmap {
            areas: vec![VfioRegionSparseMmapArea {
                offset: 0x1000,
                size: 0x1000,
            }],
        }),
    ];
    check_eq!(caps, want, "capabilities of the region");
    let mut state = [0; 4];
    device.region_read(index, &mut state, 0);
    check_eq!(state, [1, 0, 0, 0], "device_state");
    Ok(())
}

fn migrates_for_that_client(world: &World<'_>) -> Outcome {
    let source = open(world)?;
    let flags = source.query_migration_support().map_err(failed)?;
    if !world.migrates() {
        check_eq!(flags, None, "migration flags");
        return Ok(());
    }
    check_eq!(flags, Some(7), "migration flags");
    source.region_write(BAR0, &[0x2b], SCR);
    source.set_migration_state(v2::PRE_COPY).map_err(failed)?;
    let first = source.mig_get_precopy_info().map_err(failed)?.initial_bytes;
    let mut head = vec![0; first as usize];
    let count = source.read_migration_data(&mut head).map_err(failed)?;
    check_eq!(count, head.len(), "count of what pre-copy gave");
    source.set_migration_state(v2::STOP_COPY).map_err(failed)?;
    let left = source.get_mig_data_size().map_err(failed)?;
    let rest = source.read_migration_data_to_end().map_err(failed)?;
    check_eq!(rest.len() as u64, left, "length of what stop-copy gave");
    source.set_migration_state(v2::STOP).map_err(failed)?;

    let mdev = Mdev::create(world.mdev.kind())?;
    let destination = VfioDevice::new(mdev.path(), space(world)?).map_err(failed)?;
    destination
        .set_migration_state(v2::RESUMING)
        .map_err(failed)?;
    destination.write_migration_data(&head).map_err(failed)?;
    destination.write_migration_data(&rest).map_err(failed)?;
    destination
        .set_migration_state(v2::RUNNING)
        .map_err(failed)?;
    let state = destination.get_migration_state().map_err(failed)?;
    check_eq!(state, v2::RUNNING, "state at the destination");
    let mut scratch = [0];
    destination.region_read(BAR0, &mut scratch, SCR);
    check_eq!(scratch, [0x2b], "scratch at the destination");
    Ok(())
}

fn logs_dma_for_that_client(world: &World<'_>) -> Outcome {
    let device = open(world)?;
    let range = DmaLoggingRange {
        iova: 0x10_0000,
        length: 0x10_0000,
    };
    let started = device.start_dma_logging(4096, &[range]);
    if !world.migrates() {
        check!(started.is_err(), "a type that stays logs: {started:?}");
        return Ok(());
    }
    let page_size = started.map_err(failed)?;
    let bitmap = match device.report_dma_logging(range, page_size) {
        Err(VfioError::VfioDeviceFeature(error)) if error.errno() == libc::EOPNOTSUPP => {
            skip!("the kernel is built without CONFIG_IOMMUFD_DRIVER");
        }
        report => report.map_err(failed)?,
    };
    check_eq!(bitmap, [0; 4], "the bitmap");
    device.stop_dma_logging().map_err(failed)
}

/// One eventfd twice: as ours, and as the type of the crate's interface.
fn eventfd_pair() -> Result<(EventFd, vmm_sys_util::eventfd::EventFd), Miss> {
    let ours = EventFd::new()?;
    let copy = nix::unistd::dup(&ours)?.into_raw_fd();
    // SAFETY: the descriptor was made for this, and nobody else owns it.
    let theirs = unsafe { vmm_sys_util::eventfd::EventFd::from_raw_fd(copy) };
    debug_assert_ne!(ours.as_raw_fd(), theirs.as_raw_fd());
    Ok((ours, theirs))
}
