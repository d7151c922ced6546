// SPDX-License-Identifier: GPL-2.0-only
//! The migration region, `struct vfio_device_migration_info` and the data section behind it, as clients use it that
//! know nothing of the feature protocol.

use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{mmap, munmap, MapFlags, ProtFlags};
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_STATE_V1_RESUMING, VFIO_DEVICE_STATE_V1_RUNNING, VFIO_DEVICE_STATE_V1_SAVING,
    VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_CAP_SPARSE_MMAP, VFIO_REGION_INFO_CAP_TYPE,
    VFIO_REGION_INFO_FLAG_CAPS, VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED,
    VFIO_REGION_TYPE_MIGRATION_DEPRECATED,
};

use crate::device::{file_offset, requests, Device};
use crate::memory::Argument;

/// Stopped.
pub const STOPPED: u32 = 0;
/// Running.
pub const RUNNING: u32 = VFIO_DEVICE_STATE_V1_RUNNING;
/// Stopped, and its state is read.
pub const STOP_COPY: u32 = VFIO_DEVICE_STATE_V1_SAVING;
/// Running, and what can be sent early is read.
pub const PRE_COPY: u32 = VFIO_DEVICE_STATE_V1_SAVING | VFIO_DEVICE_STATE_V1_RUNNING;
/// Stopped, and a state is written.
pub const RESUMING: u32 = VFIO_DEVICE_STATE_V1_RESUMING;

/// Field: what the device does.
pub const DEVICE_STATE: u64 = 0x00;
/// Field that is kept free.
pub const RESERVED: u64 = 0x04;
/// Field: how much is left to save.
pub const PENDING_BYTES: u64 = 0x08;
/// Field: where in the region the data is.
pub const DATA_OFFSET: u64 = 0x10;
/// Field: how much of it there is.
pub const DATA_SIZE: u64 = 0x18;
/// The end of the fields.
pub const FIELDS_END: u64 = 0x20;

/// How data is carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carry {
    /// By accesses of at most this many bytes.
    Trapped(usize),
    /// Through the mapped data section.
    Mapped,
    /// Through the mapped data section and by accesses of 8 bytes, in turns.
    Mixed,
}

/// The migration region of an open device.
pub struct Region<'a> {
    device: &'a Device,
    /// Its number.
    pub index: u32,
    /// Its length in bytes.
    pub size: u64,
    /// `VFIO_REGION_INFO_FLAG_*`.
    pub flags: u32,
    /// The parts that may be mapped, as (offset, size).
    pub areas: Vec<(u64, u64)>,
}

impl<'a> Region<'a> {
    /// Looks for it among the regions that are the device's own, by its type.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn find(device: &'a Device) -> Result<Option<Self>, Errno> {
        for index in VFIO_PCI_NUM_REGIONS..device.info()?.1 {
            let mut info = Argument::words(&[4096, 0, index]);
            device.ioctl(requests::GET_REGION_INFO, &mut info)?;
            let mut region = Region {
                device,
                index,
                size: info.get64(16),
                flags: info.get(4),
                areas: Vec::new(),
            };
            if region.flags & VFIO_REGION_INFO_FLAG_CAPS != 0 && region.read_capabilities(&info) {
                return Ok(Some(region));
            }
        }
        Ok(None)
    }

    /// The migration region, where there must be one.
    ///
    /// # Errors
    ///
    /// `ENODEV` when there is none.
    pub fn of(device: &'a Device) -> Result<Self, Errno> {
        Region::find(device)?.ok_or(Errno::ENODEV)
    }

    /// Follows the capability chain; true when it has the type of a migration region.
    fn read_capabilities(&mut self, info: &Argument) -> bool {
        let mut found = false;
        let mut at = info.get(12) as usize;
        // A chain that leads back or out of the page is no chain.
        while at >= 32 && at + 24 < crate::memory::PAGE {
            let id = info.get(at) & 0xffff;
            if id == VFIO_REGION_INFO_CAP_TYPE {
                let kind = (info.get(at + 8), info.get(at + 12));
                found = kind
                    == (
                        VFIO_REGION_TYPE_MIGRATION_DEPRECATED,
                        VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED,
                    );
            } else if id == VFIO_REGION_INFO_CAP_SPARSE_MMAP {
                for area in 0..info.get(at + 8).min(8) as usize {
                    let area = at + 16 + 16 * area;
                    self.areas.push((info.get64(area), info.get64(area + 8)));
                }
            }
            let next = info.get(at + 4) as usize;
            if next <= at {
                break;
            }
            at = next;
        }
        found
    }

    /// The device's state, with the bits that are kept for the user.
    ///
    /// # Errors
    ///
    /// What the read answers.
    pub fn state(&self) -> Result<u32, Errno> {
        self.device
            .get::<4>(self.index, DEVICE_STATE)
            .map(u32::from_le_bytes)
    }

    /// Asks for a state.
    ///
    /// # Errors
    ///
    /// What the write answers.
    pub fn set_state(&self, state: u32) -> Result<(), Errno> {
        self.device
            .put(self.index, DEVICE_STATE, &state.to_le_bytes())
    }

    /// How much is left to save. Reading it takes the chunk that was offered for read.
    ///
    /// # Errors
    ///
    /// What the read answers.
    pub fn pending(&self) -> Result<u64, Errno> {
        self.field(PENDING_BYTES)
    }

    /// Where the data is. Reading it prepares a chunk.
    ///
    /// # Errors
    ///
    /// What the read answers.
    pub fn data_offset(&self) -> Result<u64, Errno> {
        self.field(DATA_OFFSET)
    }

    /// How much data there is.
    ///
    /// # Errors
    ///
    /// What the read answers.
    pub fn data_size(&self) -> Result<u64, Errno> {
        self.field(DATA_SIZE)
    }

    /// Says that so much data was put there.
    ///
    /// # Errors
    ///
    /// What the device makes of the data.
    pub fn set_data_size(&self, size: u64) -> Result<(), Errno> {
        self.device.put(self.index, DATA_SIZE, &size.to_le_bytes())
    }

    fn field(&self, at: u64) -> Result<u64, Errno> {
        self.device.get::<8>(self.index, at).map(u64::from_le_bytes)
    }

    /// Reads one chunk; empty when there is none.
    ///
    /// # Errors
    ///
    /// What an access answers; `EPROTO` for a chunk that does not fit into the region.
    pub fn take_chunk(&self, carry: Carry) -> Result<Vec<u8>, Errno> {
        let offset = self.data_offset()?;
        let size = self.data_size()?;
        if offset == 0 || offset.checked_add(size).is_none_or(|end| end > self.size) {
            return Err(Errno::EPROTO);
        }
        let mut chunk = vec![0; size as usize];
        match carry {
            Carry::Trapped(width) => self.read_trapped(offset, &mut chunk, width)?,
            Carry::Mapped => Mapping::new(self)?.read(&mut chunk),
            Carry::Mixed => {
                Mapping::new(self)?.read(&mut chunk);
                let half = chunk.len() / 2;
                self.read_trapped(offset, &mut chunk[..half], 8)?;
            }
        }
        Ok(chunk)
    }

    /// What is to be saved in this state, chunk by chunk until nothing is pending.
    ///
    /// # Errors
    ///
    /// What an access answers; `EPROTO` when something is pending and no chunk comes.
    pub fn drain(&self, carry: Carry) -> Result<Vec<u8>, Errno> {
        let mut all = Vec::new();
        while self.pending()? > 0 {
            let chunk = self.take_chunk(carry)?;
            if chunk.is_empty() {
                return Err(Errno::EPROTO);
            }
            all.extend(chunk);
        }
        Ok(all)
    }

    /// Hands over one chunk of at most the data section's length.
    ///
    /// # Errors
    ///
    /// What an access answers, and what the device makes of the data.
    pub fn give_chunk(&self, chunk: &[u8], carry: Carry) -> Result<(), Errno> {
        let offset = self.data_offset()?;
        match carry {
            Carry::Trapped(width) => self.write_trapped(offset, chunk, width)?,
            Carry::Mapped => Mapping::new(self)?.write(chunk),
            Carry::Mixed => {
                Mapping::new(self)?.write(chunk);
                self.write_trapped(offset, &chunk[..chunk.len() / 2], 8)?;
            }
        }
        self.set_data_size(chunk.len() as u64)
    }

    /// Hands over all, in chunks.
    ///
    /// # Errors
    ///
    /// As for [`give_chunk`](Self::give_chunk).
    pub fn feed(&self, bytes: &[u8], chunk: usize, carry: Carry) -> Result<(), Errno> {
        bytes
            .chunks(chunk)
            .try_for_each(|chunk| self.give_chunk(chunk, carry))
    }

    /// The whole state of a device that runs, which is stopped afterwards.
    ///
    /// # Errors
    ///
    /// As for [`drain`](Self::drain).
    pub fn save(&self) -> Result<Vec<u8>, Errno> {
        self.set_state(STOP_COPY)?;
        let stream = self.drain(Carry::Trapped(8))?;
        self.set_state(STOPPED)?;
        Ok(stream)
    }

    /// Gives a state to a device, which runs with it afterwards.
    ///
    /// # Errors
    ///
    /// As for [`give_chunk`](Self::give_chunk).
    pub fn load(&self, stream: &[u8]) -> Result<(), Errno> {
        self.set_state(RESUMING)?;
        self.feed(stream, 4096, Carry::Trapped(8))?;
        self.set_state(RUNNING)
    }

    /// Reads the region in accesses of at most `width` bytes, each at a multiple of its length.
    fn read_trapped(&self, at: u64, bytes: &mut [u8], width: usize) -> Result<(), Errno> {
        for_each_access(at, bytes.len(), width, |at, range| {
            let piece = &mut bytes[range];
            match self.device.read(self.index, at, piece)? {
                count if count == piece.len() => Ok(()),
                _ => Err(Errno::EIO),
            }
        })
    }

    /// Writes the region in accesses of at most `width` bytes, each at a multiple of its length.
    fn write_trapped(&self, at: u64, bytes: &[u8], width: usize) -> Result<(), Errno> {
        for_each_access(at, bytes.len(), width, |at, range| {
            self.device.put(self.index, at, &bytes[range])
        })
    }
}

/// Splits `length` bytes at `at` into accesses of at most `width` bytes, of which each of up to 8 is aligned: the way
/// in which QEMU 7.2 reaches a data section that is not mapped.
fn for_each_access(
    at: u64,
    length: usize,
    width: usize,
    mut access: impl FnMut(u64, std::ops::Range<usize>) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut done = 0;
    while done < length {
        let place = at + done as u64;
        let mut size = width;
        while size > length - done || (size <= 8 && place % size as u64 != 0) {
            size /= 2;
        }
        let size = size.max(1);
        access(place, done..done + size)?;
        done += size;
    }
    Ok(())
}

/// The data section, mapped.
pub struct Mapping {
    start: NonNull<libc::c_void>,
    length: NonZeroUsize,
}

// SAFETY: The mapping is of no thread; it goes away when the value is dropped, whoever does that.
unsafe impl Send for Mapping {}

// SAFETY: All accesses are volatile and of single bytes, and leave it to the device what comes of them: it shares the
// memory anyway, and takes whatever it finds there.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first area of a region that may be mapped.
    ///
    /// # Errors
    ///
    /// What mmap(2) answers; `ENXIO` for a region without areas.
    pub fn new(region: &Region<'_>) -> Result<Self, Errno> {
        let (offset, size) = *region.areas.first().ok_or(Errno::ENXIO)?;
        Mapping::at(region, offset, size as usize)
    }

    /// Maps any part of a region.
    ///
    /// # Errors
    ///
    /// What mmap(2) answers.
    pub fn at(region: &Region<'_>, offset: u64, size: usize) -> Result<Self, Errno> {
        Mapping::with(region, offset, size, MapFlags::MAP_SHARED)
    }

    /// Maps any part of a region, shared or private.
    ///
    /// # Errors
    ///
    /// What mmap(2) answers.
    pub fn with(
        region: &Region<'_>,
        offset: u64,
        size: usize,
        flags: MapFlags,
    ) -> Result<Self, Errno> {
        let length = NonZeroUsize::new(size).ok_or(Errno::EINVAL)?;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                flags,
                region.device.file(),
                file_offset(region.index, offset),
            )
        }?;
        Ok(Mapping { start, length })
    }

    /// Reads from its start.
    pub fn read(&self, bytes: &mut [u8]) {
        assert!(bytes.len() <= self.length.get());
        let from = self.start.cast::<u8>().as_ptr();
        for (at, byte) in bytes.iter_mut().enumerate() {
            // SAFETY: the place is within the mapping, which is ours. The kernel may write there at any time, which a
            // volatile read allows for.
            *byte = unsafe { from.wrapping_add(at).read_volatile() };
        }
    }

    /// Writes from its start on.
    pub fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.length.get());
        let to = self.start.cast::<u8>().as_ptr();
        for (at, byte) in bytes.iter().enumerate() {
            // SAFETY: as for reading.
            unsafe { to.wrapping_add(at).write_volatile(*byte) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no pointer into it is used after this.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}
