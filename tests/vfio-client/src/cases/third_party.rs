// SPDX-License-Identifier: GPL-2.0-only
//! A client that somebody else wrote: the `vfio-ioctls` crate, which virtual machine monitors
//! use, sets the device up and drives it.

use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::sync::Arc;

use iommufd_ioctls::IommuFd;
use nix::sys::eventfd::EventFd;
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_INTX_IRQ_INDEX as INTX, VFIO_PCI_MSI_IRQ_INDEX as MSI,
};
use vfio_ioctls::{VfioContainer, VfioDevice, VfioIommufd, VfioOps};

use super::{cases, World};
use crate::device::Access;
use crate::ktap::{check_eq, Miss, Outcome};
use crate::memory::{Cliff, PAGE};
use crate::serial::{BAR0, CONFIG, SCR};

cases![
    serves_the_client_of_rust_vmm,
    lets_that_client_map_memory,
    offers_that_client_no_migration,
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

fn offers_that_client_no_migration(world: &World<'_>) -> Outcome {
    let support = open(world)?.query_migration_support().map_err(failed)?;
    check_eq!(support, None, "migration flags");
    Ok(())
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
