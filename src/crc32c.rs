// SPDX-License-Identifier: GPL-2.0-only

//! CRC-32C (Castagnoli), the checksum of RFC 3720, computed by the kernel's library.
//!
//! C header: [`include/linux/crc32.h`](srctree/include/linux/crc32.h)

use crate::bindings as c;

/// Returns the checksum of some bytes followed by `bytes`, of which the former have the checksum `before`: 0 for none.
pub fn crc32c(before: u32, bytes: &[u8]) -> u32 {
    // SAFETY: The bytes are valid for reads.
    !unsafe { c::crc32c(!before, bytes.as_ptr().cast(), bytes.len()) }
}

#[cfg_attr(CONFIG_MIGDEV_KUNIT_TEST, kernel::prelude::kunit_tests(migdev_crc32c))]
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_is_that_of_crc_32c() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn pieces_give_the_checksum_of_the_whole() {
        assert_eq!(crc32c(crc32c(0, b"1234"), b"56789"), 0xe306_9283);
        assert_eq!(crc32c(7, b""), 7);
    }
}
