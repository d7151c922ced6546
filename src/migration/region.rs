// SPDX-License-Identifier: GPL-2.0-only

//! Version 1: the migration region.
//!
//! It has two pages. The first begins with `struct vfio_device_migration_info` (`include/uapi/linux/vfio.h`); the
//! second is the data section, plain memory that the client may map and that it may change at any time. What the fields
//! mean is decided here; the memory is a [`Window`].
//!
//! To save, a client reads `pending_bytes`, which is how much is left; then `data_offset`, upon which the next chunk
//! stands in the data section; then `data_size`, the length of the chunk; then the chunk; and `pending_bytes` again, which
//! says that it has the chunk. To load, it reads `data_offset`, writes a chunk there, and writes its length to `data_size`,
//! upon which the chunk is taken in.

use super::{
    data_file::{
        apply,
        loading,
        push,
        take, //
    },
    device_state::{
        self,
        Bits, //
    },
    machine::{
        Carrier,
        Transfer, //
    },
    stream::Snapshot,
    Direction,
    Error,
    Migration,
    Session,
    State, //
};

use core::ops::{
    DerefMut,
    Range, //
};

/// Where the data section begins in the region, in bytes; the value of `data_offset`.
pub const DATA_OFFSET: u64 = 0x1000;

/// The length of the data section in bytes.
pub const DATA_SIZE: usize = 0x1000;

/// The length of the region in bytes.
pub const SIZE: u64 = 0x2000;

/// The length in bytes of all but the last chunk of a state that is saved. A chunk could fill the data section; but then
/// even the longest stream would be one, and a client that fails to save in several would not be noticed.
pub const CHUNK: usize = 64;

/// The data section: [`DATA_SIZE`] bytes that others may read and write at any time.
///
/// Nothing is asked for beyond its end. Each byte is read once, so that what was checked is what is used.
pub trait Window {
    /// Copies bytes from byte `at` on to `out`.
    fn read(&self, at: usize, out: &mut [u8]);

    /// Copies `data` to the bytes from byte `at` on.
    fn write(&self, at: usize, data: &[u8]);
}

/// A field of `struct vfio_device_migration_info`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    DeviceState,
    Reserved,
    PendingBytes,
    DataOffset,
    DataSize,
}

impl Field {
    /// Returns the field that is accessed with `len` bytes at byte `offset` of the region.
    ///
    /// # Errors
    ///
    /// [`Error::Access`] for anything but the whole of one field.
    fn at(offset: u64, len: usize) -> Result<Self, Error> {
        match (offset, len) {
            (0x00, 4) => Ok(Self::DeviceState),
            (0x04, 4) => Ok(Self::Reserved),
            (0x08, 8) => Ok(Self::PendingBytes),
            (0x10, 8) => Ok(Self::DataOffset),
            (0x18, 8) => Ok(Self::DataSize),
            _ => Err(Error::Access),
        }
    }
}

/// Returns which bytes of the data section an access of `len` bytes at byte `offset` of the region is to, cut off at the
/// end, or `None` if it begins in the control page.
///
/// # Errors
///
/// [`Error::Access`] if it begins beyond the region.
fn section(offset: u64, len: usize) -> Result<Option<Range<usize>>, Error> {
    if offset >= SIZE {
        return Err(Error::Access);
    }
    let Some(start) = offset.checked_sub(DATA_OFFSET) else {
        return Ok(None);
    };
    let start = usize::try_from(start).map_err(|_| Error::Access)?;
    Ok(Some(start..start.saturating_add(len).min(DATA_SIZE)))
}

impl<S: Snapshot, B: DerefMut<Target = Session<S>>> Migration<S, B> {
    /// Reads `out.len()` bytes from byte `offset` of the region, and returns how many were: all, but for an access
    /// that reaches beyond the end of the region.
    ///
    /// # Errors
    ///
    /// [`Error::Access`] unless the access is to the data section or to one whole field.
    pub fn region_read<W: Window>(
        &mut self,
        window: &W,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        if let Some(range) = section(offset, out.len())? {
            let out = out.get_mut(..range.len()).ok_or(Error::Access)?;
            window.read(range.start, out);
            return Ok(range.len());
        }
        match Field::at(offset, out.len())? {
            Field::DeviceState => copy(
                out,
                &(self.reserved_bits | Bits::from(self.state).number()).to_ne_bytes(),
            ),
            Field::Reserved => copy(out, &0_u32.to_ne_bytes()),
            Field::PendingBytes => copy(out, &self.pending_bytes().to_ne_bytes()),
            Field::DataOffset => {
                self.offer(window);
                copy(out, &DATA_OFFSET.to_ne_bytes());
            }
            Field::DataSize => copy(out, &self.data_size().to_ne_bytes()),
        }
        Ok(out.len())
    }

    /// Writes `bytes` from byte `offset` of the region on, and returns how many were written: all, but for an access
    /// that reaches beyond the end of the region. When it returns, what the write asks for is done.
    ///
    /// `room` is as for [`set_state`](Self::set_state).
    ///
    /// # Errors
    ///
    /// - [`Error::Access`] unless the access is to the data section or to one whole field that can be written; and for
    ///   a `data_size` that is 0, longer than the data section, or means nothing because no state is being loaded.
    /// - [`Error::DeviceState`] for a `device_state` that cannot be reached, and what
    ///   [`set_state`](Self::set_state) says.
    /// - [`Error::Busy`] for a `data_size` when the state comes through a data file.
    /// - [`Error::Incomplete`] for a `data_size` after an attempt to leave `RESUMING` was refused.
    /// - [`Error::Stream`] for a `data_size` when the stream is refused, here or before.
    pub fn region_write<W: Window>(
        &mut self,
        device: &mut S,
        window: &W,
        offset: u64,
        bytes: &[u8],
        room: impl FnOnce(Direction) -> Option<B>,
    ) -> Result<usize, Error> {
        if let Some(range) = section(offset, bytes.len())? {
            let bytes = bytes.get(..range.len()).ok_or(Error::Access)?;
            window.write(range.start, bytes);
            return Ok(range.len());
        }
        match Field::at(offset, bytes.len())? {
            Field::DeviceState => self.write_device_state(device, bytes, room)?,
            Field::Reserved => {}
            Field::PendingBytes | Field::DataOffset => return Err(Error::Access),
            Field::DataSize => self.consume(device, window, bytes)?,
        }
        Ok(bytes.len())
    }

    /// Goes to the state that is written to `device_state`, and keeps the bits that are no part of it.
    fn write_device_state(
        &mut self,
        device: &S,
        bytes: &[u8],
        room: impl FnOnce(Direction) -> Option<B>,
    ) -> Result<(), Error> {
        let value = u32::from_ne_bytes(*bytes.first_chunk().ok_or(Error::Access)?);
        let changed = device_state::target(self.state, Bits::of(value))
            .and_then(|to| self.change(device, to, Carrier::Region, room));
        self.counted(changed)?;
        self.reserved_bits = value & !device_state::MASK;
        Ok(())
    }

    /// What a read of `pending_bytes` does and returns: the chunk that was offered has been read, and this is left.
    fn pending_bytes(&mut self) -> u64 {
        let Some(transfer) = self
            .transfer
            .as_mut()
            .filter(|transfer| transfer.is_regions())
        else {
            return 0;
        };
        let Session::Saving(stream) = &mut *transfer.memory else {
            return 0;
        };
        let read = core::mem::take(&mut transfer.offered);
        take(stream, read, &mut transfer.sent, &mut self.counters);
        u64::try_from(stream.remaining()).unwrap_or(u64::MAX)
    }

    /// What a read of `data_offset` does: the next chunk stands in the data section. Until it has been read it is the
    /// same each time.
    fn offer<W: Window>(&mut self, window: &W) {
        let Some(transfer) = self
            .transfer
            .as_mut()
            .filter(|transfer| transfer.is_regions())
        else {
            return;
        };
        let Session::Saving(stream) = &*transfer.memory else {
            return;
        };
        let mut chunk = [0; CHUNK];
        let length = if transfer.offered == 0 {
            stream.peek(&mut chunk)
        } else {
            // There may be more by now, but the client may have read the length already.
            let offered = chunk.get_mut(..transfer.offered).unwrap_or_default();
            stream.peek(offered)
        };
        transfer.offered = length;
        window.write(0, chunk.get(..length).unwrap_or_default());
    }

    /// What a read of `data_size` returns: the length of the chunk that is in the data section to be read.
    fn data_size(&self) -> u64 {
        let transfer = self
            .transfer
            .as_ref()
            .filter(|transfer| transfer.is_regions());
        transfer.map_or(0, |transfer| {
            u64::try_from(transfer.offered).unwrap_or(u64::MAX)
        })
    }

    /// What a write of `data_size` does: so many bytes of the data section are the next of the stream.
    fn consume<W: Window>(
        &mut self,
        device: &mut S,
        window: &W,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let transfer = self
            .transfer
            .as_ref()
            .filter(|_| self.state == State::Resuming)
            .ok_or(Error::Access)?;
        if !transfer.is_regions() {
            return Err(Error::Busy);
        }
        let given_up = transfer.given_up;
        let stream = loading(&mut self.transfer).ok_or(Error::Access)?;

        let value = u64::from_ne_bytes(*bytes.first_chunk().ok_or(Error::Access)?);
        let size = usize::try_from(value)
            .ok()
            .filter(|size| (1..=DATA_SIZE).contains(size))
            .ok_or(Error::Access)?;
        if given_up && stream.refusal().is_none() {
            return Err(Error::Incomplete);
        }
        for start in (0..size).step_by(CHUNK) {
            let mut piece = [0; CHUNK];
            let length = size.saturating_sub(start).min(CHUNK);
            let piece = piece.get_mut(..length).unwrap_or_default();
            window.read(start, piece);
            push(stream, piece, &mut self.counters)?;
        }
        // Only now, as something behind the end makes the whole refused.
        apply(&mut self.transfer, device);
        self.counters.loaded(size);
        Ok(())
    }
}

impl<B> Transfer<B> {
    /// Whether the region carries it.
    fn is_regions(&self) -> bool {
        self.carrier == Carrier::Region
    }
}

/// Copies a field, which has the length of `out`.
fn copy(out: &mut [u8], field: &[u8]) {
    for (to, from) in out.iter_mut().zip(field) {
        *to = *from;
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migration_region)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::testing::{
        session,
        Dial,
        Machine,
        Section, //
    };
    use super::*;

    /// Reads a field of 8 bytes.
    fn field(machine: &mut Machine<'_>, section: &Section, offset: u64) -> u64 {
        let mut out = [0xff; 8];
        assert!(machine.region_read(section, offset, &mut out) == Ok(8));
        u64::from_ne_bytes(out)
    }

    /// Writes `device_state`.
    fn change<'a>(
        machine: &mut Machine<'a>,
        device: &mut Dial,
        to: u32,
        memory: Option<&'a mut Session<Dial>>,
    ) -> Result<usize, Error> {
        machine.region_write(device, &Section::new(), 0, &to.to_ne_bytes(), |_| memory)
    }

    #[test]
    fn a_field_is_the_whole_of_itself() {
        for offset in 0..=0x28 {
            for len in 0..=16 {
                let whole = match offset {
                    0x00 | 0x04 => len == 4,
                    0x08 | 0x10 | 0x18 => len == 8,
                    _ => false,
                };
                assert_eq!(Field::at(offset, len).is_ok(), whole);
            }
        }
    }

    #[test]
    fn an_access_to_the_data_section_ends_with_it() {
        assert!(section(0, 4) == Ok(None));
        assert!(section(DATA_OFFSET - 1, 4) == Ok(None));
        assert!(section(DATA_OFFSET, 4) == Ok(Some(0..4)));
        assert!(section(SIZE - 1, 4) == Ok(Some(DATA_SIZE - 1..DATA_SIZE)));
        assert!(section(SIZE, 0) == Err(Error::Access));
        assert!(section(u64::MAX, usize::MAX) == Err(Error::Access));
    }

    #[test]
    fn a_device_is_moved_from_one_region_to_another() {
        let (section, mut device) = (Section::new(), Dial(7));
        let mut memory = session(Direction::Saving);
        let mut source = Machine::new();
        assert!(change(&mut source, &mut device, 0b011, Some(&mut memory)) == Ok(4));
        let mut memory = session(Direction::Loading);
        let (mut destination, mut loaded) = (Machine::new(), Dial(0));
        assert!(change(&mut destination, &mut loaded, 0b100, Some(&mut memory)) == Ok(4));

        for state in [0b011, 0b010] {
            assert!(change(&mut source, &mut device, state, None) == Ok(4));
            let mut pending = field(&mut source, &section, 0x08);
            while pending > 0 {
                assert_eq!(field(&mut source, &section, 0x08), pending);
                assert_eq!(field(&mut source, &section, 0x10), DATA_OFFSET);
                let size = field(&mut source, &section, 0x18);
                // Both have the one data section, so the chunk is there already.
                let bytes = size.to_ne_bytes();
                let taken = destination.region_write(&mut loaded, &section, 0x18, &bytes, |_| None);
                assert!(taken == Ok(8));
                let left = field(&mut source, &section, 0x08);
                assert_eq!(Some(left), pending.checked_sub(size));
                pending = left;
            }
        }
        assert_eq!(loaded, Dial(7));
        assert!(change(&mut destination, &mut loaded, 0b001, None) == Ok(4));
    }

    #[test]
    fn a_load_of_the_region_is_refused_once_and_then_cancelled() {
        let (section, mut device) = (Section::new(), Dial(7));
        let mut memory = session(Direction::Loading);
        let mut machine = Machine::new();
        assert!(change(&mut machine, &mut device, 0b100, Some(&mut memory)) == Ok(4));
        let size = 8_u64.to_ne_bytes();
        let taken = machine.region_write(&mut device, &section, 0x18, &size, |_| None);
        assert!(taken == Err(Error::Stream(22)));
        assert!(change(&mut machine, &mut device, 0b001, None) == Err(Error::Incomplete));
        assert!(machine.state() == State::Resuming);
        assert!(change(&mut machine, &mut device, 0b001, None) == Ok(4));
        assert_eq!(device, Dial(7));
    }
}
