// SPDX-License-Identifier: GPL-2.0-only
//! System calls with as little around them as can be: what is measured is the kernel, not a library.

use std::ffi::{c_void, CStr};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// Turns a short count into an error, so that nothing is measured that did not happen.
fn whole(done: isize, wanted: usize) -> Result<(), Errno> {
    match Errno::result(done)? {
        count if count as usize == wanted => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// Reads as much as fits, from that offset on.
///
/// # Errors
///
/// What pread(2) answers; `EIO` for a short count.
pub fn pread(fd: RawFd, buffer: &mut [u8], at: i64) -> Result<(), Errno> {
    // SAFETY: The kernel writes at most the buffer, which is borrowed exclusively.
    let done = unsafe { libc::pread(fd, buffer.as_mut_ptr().cast(), buffer.len(), at) };
    whole(done, buffer.len())
}

/// Reads a file from its start, up to the length of the buffer, and returns how much there was.
///
/// # Errors
///
/// What pread(2) answers.
pub fn pread_some(fd: RawFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: As for `pread`.
    let done = unsafe { libc::pread(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    Ok(Errno::result(done)? as usize)
}

/// Reads on in a file, and returns how much there was.
///
/// # Errors
///
/// What read(2) answers.
pub fn read(fd: RawFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: As for `pread`.
    let done = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    Ok(Errno::result(done)? as usize)
}

/// Writes all of it at that offset.
///
/// # Errors
///
/// What pwrite(2) answers; `EIO` for a short count.
pub fn pwrite(fd: RawFd, bytes: &[u8], at: i64) -> Result<(), Errno> {
    // SAFETY: The kernel only reads the bytes.
    let done = unsafe { libc::pwrite(fd, bytes.as_ptr().cast(), bytes.len(), at) };
    whole(done, bytes.len())
}

/// Writes all of it, where the file is.
///
/// # Errors
///
/// What write(2) answers; `EIO` for a short count.
pub fn write(fd: RawFd, bytes: &[u8]) -> Result<(), Errno> {
    // SAFETY: The kernel only reads the bytes.
    let done = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    whole(done, bytes.len())
}

/// Opens a file.
///
/// # Errors
///
/// What open(2) answers.
pub fn open(path: &CStr, flags: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: The path is a string that ends.
    let fd = Errno::result(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) })?;
    Ok(owned(fd))
}

/// An ioctl with a structure of 32-bit words, of which the first is its length in bytes (`argsz`) where it has one.
///
/// # Errors
///
/// What the kernel answers.
pub fn ioctl<const N: usize>(fd: RawFd, request: u32, words: &mut [u32; N]) -> Result<i32, Errno> {
    debug_assert!(words.first().is_some_and(|argsz| *argsz as usize <= 4 * N));
    let argument: *mut c_void = words.as_mut_ptr().cast();
    // SAFETY: The requests of vfio touch at most `argsz` bytes, which are there and borrowed exclusively.
    Errno::result(unsafe { libc::ioctl(fd, libc::Ioctl::from(request), argument) })
}

/// An ioctl with a text that ends.
///
/// # Errors
///
/// What the kernel answers.
pub fn ioctl_text(fd: RawFd, request: u32, text: &CStr) -> Result<i32, Errno> {
    // SAFETY: The requests that take a text read it to its end and no further.
    Errno::result(unsafe { libc::ioctl(fd, libc::Ioctl::from(request), text.as_ptr()) })
}

/// Takes a descriptor that the kernel has just answered with.
pub fn owned(fd: i32) -> OwnedFd {
    // SAFETY: The callers have it from the kernel, and keep no other copy.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The cheapest of all ioctls: the kernel sets a flag of the descriptor that it has already, and asks no driver.
///
/// # Errors
///
/// What the kernel answers.
pub fn ioctl_nothing(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: `FIOCLEX` has no argument.
    Errno::result(unsafe { libc::ioctl(fd, libc::FIOCLEX) }).map(drop)
}

/// A system call that does nearly nothing, and that a profile recognises.
pub fn begin() {
    // SAFETY: It has no argument and cannot fail.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

/// Another one.
pub fn end() {
    // SAFETY: It has no argument and cannot fail.
    unsafe { libc::syscall(libc::SYS_getpgrp) };
}
