// SPDX-License-Identifier: GPL-2.0-only

//! Attributes of sysfs: small text files that the kernel answers for.

use std::{
    fs::File,
    io::{
        self,
        ErrorKind,
        Read,
        Write, //
    },
    path::Path, //
};

/// The most that an attribute of sysfs holds, in bytes: one page on most machines.
pub const MAX_LEN: u64 = 4096;

/// The name of the file with the version string, at types and at devices.
pub const MIGRATION_VERSION: &str = "migration_version";

/// The name of the file with the baseline, at types.
pub const MIGRATION_BASELINE: &str = "migration_baseline";

/// Reads an attribute, without the newline at its end. Bytes that are not printable ASCII come out
/// escaped as in a Rust string, so that the text can be shown and is well-formed JSON.
///
/// Returns [`None`] if the file does not exist, and if the kernel answers the read with an error:
/// some drivers have a file that does so where others have none.
///
/// # Errors
///
/// If the file exists and cannot be opened.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    if file.take(MAX_LEN).read_to_end(&mut bytes).is_err() {
        return Ok(None);
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(Some(text(line)))
}

/// Writes `value` and a newline to an attribute, in the one `write(2)` that sysfs asks for.
///
/// # Errors
///
/// The error with which the kernel refuses the value, or that of opening the file.
pub fn write(path: &Path, value: impl AsRef<[u8]>) -> io::Result<()> {
    let line = [value.as_ref(), b"\n"].concat();
    let written = File::options().write(true).open(path)?.write(&line)?;
    if written == line.len() {
        Ok(())
    } else {
        Err(ErrorKind::WriteZero.into())
    }
}

/// Whether an error says that a file is not, or no longer, there.
pub fn is_gone(error: &io::Error) -> bool {
    // A device that is being removed answers ENODEV.
    const ENODEV: i32 = 19;
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(ENODEV)
}

fn text(bytes: &[u8]) -> String {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~');
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.iter().all(plain) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_shown_is_escaped() {
        assert_eq!(text(b"migver:1,vendor=v"), "migver:1,vendor=v");
        assert_eq!(text("ü".as_bytes()), "\\xc3\\xbc");
        assert_eq!(text(b"a\x1b[2Jb"), "a\\x1b[2Jb");
        assert_eq!(text(b"a\xffb"), "a\\xffb");
    }
}
