// SPDX-License-Identifier: GPL-2.0-only

//! Where a device writes its records.

use super::format::record_head;

/// A state cannot be written: there is no room for it, or no way to tell it in this version of the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// What [`Snapshot::save`](super::Snapshot::save) writes records through.
///
/// # Invariants
///
/// - `len <= limit`, and `bytes`, when there are any, has at least `limit` of them.
pub struct Records<'a> {
    /// `None` if the records are only counted.
    bytes: Option<&'a mut [u8]>,
    len: usize,
    limit: usize,
}

impl<'a> Records<'a> {
    /// Records that are written into `bytes`.
    pub(super) fn into(bytes: &'a mut [u8]) -> Self {
        // INVARIANT: 0 is at most anything, and there are as many bytes as the limit says.
        Self {
            limit: bytes.len(),
            bytes: Some(bytes),
            len: 0,
        }
    }

    /// Records that are counted, and refused where they would not fit `limit` bytes.
    pub(super) fn counted(limit: usize) -> Self {
        // INVARIANT: 0 is at most anything, and there are no bytes.
        Self {
            bytes: None,
            len: 0,
            limit,
        }
    }

    /// How many bytes there are now.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes that there are now, unless they are only counted.
    pub(super) fn bytes(&self) -> &[u8] {
        let bytes = self.bytes.as_deref().unwrap_or_default();
        bytes.get(..self.len).unwrap_or_default()
    }

    /// Writes a record whole.
    ///
    /// `flags` is 0 or [`MANDATORY`](super::MANDATORY), as [`Kind`](super::Kind) says for this tag.
    ///
    /// # Errors
    ///
    /// There is no room for it. Then nothing of it was written.
    pub fn put(&mut self, tag: u16, flags: u16, payload: &[u8]) -> Result<(), Full> {
        let length = u32::try_from(payload.len()).map_err(|_| Full)?;
        let before = self.len;
        let written = self
            .append(&record_head(tag, flags, length))
            .and_then(|()| self.append(payload));
        if written.is_err() {
            self.len = before;
        }
        written
    }

    /// Writes bytes, all or none.
    pub(super) fn append(&mut self, more: &[u8]) -> Result<(), Full> {
        let end = self
            .len
            .checked_add(more.len())
            .filter(|end| *end <= self.limit)
            .ok_or(Full)?;
        if let Some(bytes) = self.bytes.as_deref_mut() {
            bytes
                .get_mut(self.len..end)
                .ok_or(Full)?
                .copy_from_slice(more);
        }
        // INVARIANT: `end` was compared with `limit`.
        self.len = end;
        Ok(())
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_stream_records)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_tag_flags_length_and_payload() {
        let mut bytes = [0xaa; 11];
        let mut records = Records::into(&mut bytes);
        assert_eq!(records.put(0x0201, 1, b"xy"), Ok(()));
        assert_eq!(records.len(), 10);
        assert_eq!(records.bytes(), [1, 2, 1, 0, 2, 0, 0, 0, b'x', b'y']);
        assert_eq!(bytes, [1, 2, 1, 0, 2, 0, 0, 0, b'x', b'y', 0xaa]);
    }

    #[test]
    fn a_record_that_does_not_fit_is_not_written_in_part() {
        let mut bytes = [0; 20];
        let mut records = Records::into(&mut bytes);
        assert_eq!(records.put(1, 0, b"123"), Ok(()));
        assert_eq!(records.put(2, 0, b"12"), Err(Full));
        assert_eq!(records.len(), 11);
        assert_eq!(records.put(3, 0, b"1"), Ok(()));
        assert_eq!(records.len(), 20);
    }

    #[test]
    fn records_that_are_counted_fit_where_written_ones_do() {
        let mut bytes = [0; 20];
        for length in 0..20 {
            let payload = [0; 20];
            let payload = &payload[..length];
            let mut counted = Records::counted(20);
            let mut written = Records::into(&mut bytes);
            assert_eq!(counted.put(1, 0, payload), written.put(1, 0, payload));
            assert_eq!(counted.len(), written.len());
        }
    }
}
