// SPDX-License-Identifier: GPL-2.0-only

//! The numbers of the format. All fields are little-endian.

/// What a stream begins with.
///
/// As in PNG (RFC 2083, section 12.11), it is spoiled by whatever takes a stream for text: a transfer that clears
/// bit 7, that changes CR LF to LF or LF to CR LF, or that ends at Ctrl-Z.
pub const MAGIC: [u8; 8] = *b"\x89mig\r\n\x1a\n";

/// The length in bytes of the head before the string: magic, u16 stream version, u16 length of the string, u32 zero.
pub const HEAD_LEN: usize = 16;

/// The length in bytes of what stands before the payload of a record: u16 tag, u16 flags, u32 length of the payload.
pub const RECORD_LEN: usize = 8;

/// The flag of a record that must be understood: whoever does not know its tag must refuse the stream. A reader
/// skips records that it does not know and that lack this flag. No other flag is defined.
pub const MANDATORY: u16 = 1;

/// The tag of the record that ends a stream, in every version. Its payload is the CRC-32C of all bytes before it.
pub const END: u16 = 0xffff;

/// The length in bytes of the end, its payload included.
pub const END_LEN: usize = RECORD_LEN + 4;

/// The greatest length of a stream in bytes.
pub const MAX_STREAM: usize = 64 * 1024;

/// What stands before the payload of a record.
pub(super) fn record_head(tag: u16, flags: u16, length: u32) -> [u8; RECORD_LEN] {
    let [tag_low, tag_high] = tag.to_le_bytes();
    let [flags_low, flags_high] = flags.to_le_bytes();
    let [a, b, c, d] = length.to_le_bytes();
    [tag_low, tag_high, flags_low, flags_high, a, b, c, d]
}

/// Copies as many bytes as there are `from` and fit `to`, and returns how many.
#[inline]
pub(super) fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let count = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}
