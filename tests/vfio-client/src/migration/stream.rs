// SPDX-License-Identifier: GPL-2.0-only
//! The migration stream, as its documentation lays it out: a head, records, and an end record with a checksum. All
//! numbers are little-endian.

/// The length of the head before its string.
pub const HEAD: usize = 16;
/// The length of a record before its payload.
pub const RECORD: usize = 8;
/// The length of the end record.
pub const END: usize = RECORD + 4;
/// The tag of the record with what the ports have counted, which is the last one before the end.
pub const TAG_COUNTERS: u16 = 3;
/// The tag of the end record.
pub const TAG_END: u16 = 0xffff;
/// Where the head has the stream's version.
pub const VERSION_AT: usize = 8;
/// Where the head has the length of its string.
pub const LENGTH_AT: usize = 10;
/// The flag of a record that a destination must know.
pub const MANDATORY: u16 = 1;
/// The most bytes that a stream may have.
pub const LIMIT: usize = 64 << 10;

/// One record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// What it is.
    pub tag: u16,
    /// [`MANDATORY`] or nothing.
    pub flags: u16,
    /// Its length as it is written, which a case may make untrue.
    pub length: u32,
    /// What is in it.
    pub payload: Vec<u8>,
}

impl Record {
    /// A record whose length is true.
    pub fn new(tag: u16, flags: u16, payload: Vec<u8>) -> Self {
        let length = payload.len() as u32;
        Record {
            tag,
            flags,
            length,
            payload,
        }
    }
}

/// A whole stream, without its end record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stream {
    /// The head, with its string.
    pub head: Vec<u8>,
    /// The records, in order.
    pub records: Vec<Record>,
}

impl Stream {
    /// Takes a stream apart.
    ///
    /// # Errors
    ///
    /// What is not as it is documented.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let length = half(bytes, LENGTH_AT).ok_or("the head is cut short")?;
        let at = HEAD + usize::from(length);
        let head = bytes.get(..at).ok_or("the string is cut short")?.to_vec();
        if !matches!(half(bytes, VERSION_AT), Some(1 | 2)) || bytes[12..16] != [0; 4] {
            return Err(format!("not a head as documented: {:x?}", &bytes[..HEAD]));
        }
        let mut stream = Stream {
            head,
            records: Vec::new(),
        };
        let mut rest = &bytes[at..];
        loop {
            let here = bytes.len() - rest.len();
            let (Some(tag), Some(flags), Some(length)) =
                (half(rest, 0), half(rest, 2), word(rest, 4))
            else {
                return Err(format!("the record at {here} is cut short"));
            };
            let end = RECORD + length as usize;
            let payload = rest
                .get(RECORD..end)
                .ok_or(format!("the payload of {length} at {here} is cut short"))?;
            rest = &rest[end..];
            if tag != TAG_END {
                let payload = payload.to_vec();
                stream.records.push(Record::new(tag, flags, payload));
                continue;
            }
            let sum = crc32c(&bytes[..here + RECORD]);
            return if flags != MANDATORY || length != 4 || !rest.is_empty() {
                Err(format!("the end record at {here} is not as it should be"))
            } else if word(payload, 0) != Some(sum) {
                Err(format!("the checksum is {payload:x?}, want {sum:#x}"))
            } else {
                Ok(stream)
            };
        }
    }

    /// Puts it together, with a checksum that is right.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        let end = Record::new(TAG_END, MANDATORY, vec![0; 4]);
        for record in self.records.iter().chain([&end]) {
            bytes.extend(record.tag.to_le_bytes());
            bytes.extend(record.flags.to_le_bytes());
            bytes.extend(record.length.to_le_bytes());
            bytes.extend(&record.payload);
        }
        seal(&mut bytes);
        bytes
    }

    /// The version of the stream, as the head has it.
    pub fn version(&self) -> u16 {
        half(&self.head, VERSION_AT).unwrap_or_default()
    }

    /// Puts another version of the stream there.
    pub fn set_version(&mut self, version: u16) {
        self.head[VERSION_AT..VERSION_AT + 2].copy_from_slice(&version.to_le_bytes());
    }

    /// What each port has counted: the characters that went through its plug, and those lost to overrun. Of a stream
    /// without that, nothing.
    pub fn counters(&self) -> Vec<[u64; 2]> {
        let record = |record: &&Record| record.tag == TAG_COUNTERS;
        let payload = self
            .records
            .iter()
            .find(record)
            .map(|found| &found.payload[..]);
        let numbers = payload.unwrap_or_default().chunks_exact(8).map(|number| {
            let digits = number.iter().rev();
            digits.fold(0, |number, digit| (number << 8) | u64::from(*digit))
        });
        let numbers: Vec<_> = numbers.collect();
        numbers
            .chunks_exact(2)
            .map(|port| [port[0], port[1]])
            .collect()
    }

    /// The source's version, as the head has it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.head[HEAD..]).into_owned()
    }

    /// Puts another text in its place.
    pub fn set_text(&mut self, text: &str) {
        self.head.truncate(HEAD);
        self.head.extend(text.as_bytes());
        let length = (text.len() as u16).to_le_bytes();
        self.head[LENGTH_AT..LENGTH_AT + 2].copy_from_slice(&length);
    }
}

/// Makes the checksum right: the last four bytes, of all before them.
pub fn seal(bytes: &mut [u8]) {
    let at = bytes.len() - 4;
    let sum = crc32c(&bytes[..at]).to_le_bytes();
    bytes[at..].copy_from_slice(&sum);
}

/// CRC-32C as in RFC 3720, bit by bit.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg());
        }
    }
    !sum
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn counters_are_two_numbers_a_port() {
        let mut payload = vec![0; 32];
        (payload[0], payload[9], payload[31]) = (1, 2, 3);
        let stream = Stream {
            head: vec![0; HEAD],
            records: vec![Record::new(TAG_COUNTERS, MANDATORY, payload)],
        };
        assert_eq!(stream.counters(), [[1, 2 << 8], [0, 3 << 56]]);
    }

    #[test]
    fn what_was_put_together_can_be_taken_apart() {
        let mut head = b"12345678\x01\x00\x00\x00\x00\x00\x00\x00".to_vec();
        head.extend(b"");
        let mut stream = Stream {
            head,
            records: vec![Record::new(1, MANDATORY, vec![1, 2, 3])],
        };
        stream.set_text("text");
        assert_eq!(Stream::parse(&stream.bytes()), Ok(stream.clone()));
        let mut bytes = stream.bytes();
        bytes[HEAD] ^= 1;
        assert!(Stream::parse(&bytes).is_err());
    }
}
