// SPDX-License-Identifier: GPL-2.0-only

//! What the kernel says in its log from some moment on.

use std::{
    fs::{
        File,
        OpenOptions, //
    },
    io::{
        self,
        ErrorKind,
        Read,
        Seek,
        SeekFrom, //
    },
    os::unix::fs::OpenOptionsExt,
};

/// `O_NONBLOCK` of `include/uapi/asm-generic/fcntl.h`.
const O_NONBLOCK: i32 = 0o4000;

/// `EPIPE`: lines were overwritten before they were read.
const EPIPE: i32 = 32;

/// The log from the moment this was made.
pub struct Log(File);

impl Log {
    /// Stands at the end of the log.
    pub fn from_now() -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self(file))
    }

    /// The lines since then.
    pub fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        // A read gives one record, of which a text of 1 KiB and what escapes need are a small part of this.
        let mut buffer = vec![0; 16384];
        loop {
            match self.0.read(&mut buffer) {
                Ok(length) => {
                    let record = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    let text = record.split_once(';').map(|(_, text)| text);
                    lines.extend(text.and_then(|text| text.lines().next()).map(String::from));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(lines),
                Err(error) if error.raw_os_error() == Some(EPIPE) => {
                    lines.push("(lines were lost)".into());
                }
                Err(error) => return Err(error),
            }
        }
    }
}
