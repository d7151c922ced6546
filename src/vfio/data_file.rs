// SPDX-License-Identifier: GPL-2.0-only

//! The file through which user space moves the state of a migrating device (protocol v2).
//!
//! The VFIO core hands it to user space when a transfer begins. It is no part of the device's own file: it may outlive
//! the user's interest in the device, and the device itself. So it has nothing of the device but what a [`Transfer`]
//! keeps, and that must say [`Readiness::Disabled`] from the moment on when the transfer is over.
//!
//! Reads and writes may have any length, and go to the driver in pieces of up to [`CHUNK`] bytes. User memory is
//! accessed while no lock is held but the file's own, which nobody takes who changes the device's state. A byte of the
//! state counts as read when user space has it: what cannot be copied is read again next time.
//!
//! C headers: [`include/linux/anon_inodes.h`](srctree/include/linux/anon_inodes.h), UAPI:
//! [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use super::ioctl::vfio;
use crate::{
    bindings as c,
    this_module::this_module,
    waitqueue::WaitQueue, //
};
use core::{
    marker::PhantomData,
    mem::offset_of,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::{
        from_err_ptr,
        from_result, //
    },
    new_mutex,
    prelude::*,
    sync::Mutex,
    types::ForeignOwnable,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// The length of a piece, in bytes: little enough for the stack.
const CHUNK: usize = 256;

/// `VFIO_MIG_GET_PRECOPY_INFO`
const GET_PRECOPY_INFO: u32 = vfio(21);

/// Which way the state goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Out of the device: the file is read.
    Save,
    /// Into the device: the file is written.
    Load,
}

/// What a data file can do now, for `poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// A read would have nothing to give.
    Nothing,
    /// A read gives data, or the end of the stream.
    Readable,
    /// A write takes data, or says why not.
    Writable,
    /// The transfer is over: reads and writes say so.
    Disabled,
}

/// How much there is to read before the device is stopped, in bytes (`struct vfio_precopy_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrecopyInfo {
    /// What every transfer begins with.
    pub initial: u64,
    /// What has changed since it was read.
    pub dirty: u64,
}

/// A transfer, as its data file sees it. All may be called at any time and at once, but for
/// [`peek`](Self::peek) with [`advance`](Self::advance), and [`write`](Self::write), which the file serialises.
pub trait Transfer: Send + Sync + 'static {
    /// Copies what comes next into `bytes`, as far as there is, without taking it, and returns how much that is.
    ///
    /// # Errors
    ///
    /// `ENOMSG` when there is nothing now but will be, `ENODEV` when the transfer is over. 0 is the end of the stream.
    fn peek(&self, bytes: &mut [u8]) -> Result<usize>;

    /// Takes the first `count` of the bytes that were last copied.
    fn advance(&self, count: usize);

    /// Takes the next bytes of the state, all of them or none.
    ///
    /// # Errors
    ///
    /// `ENODEV` when the transfer is over; why the state was refused, now or before.
    fn write(&self, bytes: &[u8]) -> Result;

    /// Returns what the file can do now.
    fn readiness(&self) -> Readiness;

    /// Returns how much there is to read before the device is stopped.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it is not about to be, `ENODEV` when the transfer is over.
    fn precopy_info(&self) -> Result<PrecopyInfo>;

    /// Returns the queue to wake when [`readiness`](Self::readiness) has changed.
    fn waiters(&self) -> &WaitQueue;
}

/// A data file that user space does not have yet.
///
/// # Invariants
///
/// The pointer is to a `struct file` whose private data is a `Pin<KBox<Private<T>>>`; a reference to it is owned.
pub struct DataFile<T: Transfer>(NonNull<bindings::file>, PhantomData<T>);

/// What a file is about.
#[pin_data]
struct Private<T> {
    transfer: T,
    /// Held over a whole read or write.
    #[pin]
    turn: Mutex<()>,
}

impl<T: Transfer> DataFile<T> {
    /// Makes a file for `transfer`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `ENFILE`.
    pub fn new(direction: Direction, transfer: T) -> Result<Self> {
        let private = KBox::pin_init(
            pin_init!(Private {
                transfer,
                turn <- new_mutex!(()),
            }),
            GFP_KERNEL,
        )?
        .into_foreign();
        let (name, flags) = match direction {
            Direction::Save => (c"[migdev-save]", bindings::O_RDONLY),
            Direction::Load => (c"[migdev-load]", bindings::O_WRONLY),
        };

        // SAFETY: The name and the table are static, and the private data is what the callbacks expect.
        let file = from_err_ptr(unsafe {
            c::anon_inode_getfile(
                name.as_char_ptr(),
                &Self::FILE_OPERATIONS,
                private,
                flags as c_int,
            )
        })
        .inspect_err(|_| {
            // SAFETY: There is no file to own it.
            drop(unsafe { <Pin<KBox<Private<T>>> as ForeignOwnable>::from_foreign(private) });
        })?;
        // A stream: it has no position.
        // SAFETY: The file is new, and has an inode.
        unsafe { bindings::stream_open((*file).f_inode, file) };

        // INVARIANT: The reference is the one that was returned.
        Ok(Self(NonNull::new(file).ok_or(ENOMEM)?, PhantomData))
    }

    /// Returns the transfer.
    pub fn transfer(&self) -> &T {
        // SAFETY: By the type invariant there is a reference.
        &unsafe { Self::private(self.0.as_ptr()) }.get_ref().transfer
    }

    /// Gives the file to whoever will own it.
    pub(super) fn into_raw(self) -> *mut bindings::file {
        let file = self.0.as_ptr();
        core::mem::forget(self);
        file
    }

    /// Borrows what a file is about.
    ///
    /// # Safety
    ///
    /// `file` must be one that [`new`](Self::new) made, and not be released during `'a`.
    unsafe fn private<'a>(file: *mut bindings::file) -> Pin<&'a Private<T>> {
        // SAFETY: The private data is set when the file is made, and does not change.
        unsafe { <Pin<KBox<Private<T>>> as ForeignOwnable>::borrow((*file).private_data) }
    }

    const FILE_OPERATIONS: bindings::file_operations = bindings::file_operations {
        owner: this_module(),
        read: Some(Self::read_callback),
        write: Some(Self::write_callback),
        poll: Some(Self::poll_callback),
        unlocked_ioctl: Some(Self::ioctl_callback),
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: Some(bindings::compat_ptr_ioctl),
        release: Some(Self::release_callback),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Only the VFS may call this, for a file that [`new`](Self::new) made.
    unsafe extern "C" fn read_callback(
        file: *mut bindings::file,
        buffer: *mut c_char,
        count: usize,
        _position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The file is not released while it is read.
        let private = unsafe { Self::private(file) };
        let mut writer = UserSlice::new(UserPtr::from_ptr(buffer.cast()), count).writer();

        let _turn = private.turn.lock();
        let mut bounce = [0; CHUNK];
        each_piece(count, |length| {
            let piece = bounce.get_mut(..length).ok_or(EINVAL)?;
            let copied = private.transfer.peek(piece)?;
            if copied > 0 {
                writer.write_slice(piece.get(..copied).unwrap_or(piece))?;
                private.transfer.advance(copied);
            }
            Ok(copied)
        })
    }

    /// # Safety
    ///
    /// Only the VFS may call this, for a file that [`new`](Self::new) made.
    unsafe extern "C" fn write_callback(
        file: *mut bindings::file,
        buffer: *const c_char,
        count: usize,
        _position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The file is not released while it is written.
        let private = unsafe { Self::private(file) };
        let mut reader =
            UserSlice::new(UserPtr::from_ptr(buffer.cast_mut().cast()), count).reader();

        let _turn = private.turn.lock();
        let mut bounce = [0; CHUNK];
        each_piece(count, |length| {
            let piece = bounce.get_mut(..length).ok_or(EINVAL)?;
            reader.read_slice(piece)?;
            private.transfer.write(piece)?;
            Ok(length)
        })
    }

    /// # Safety
    ///
    /// Only the VFS may call this, for a file that [`new`](Self::new) made, with a table that is valid or null.
    unsafe extern "C" fn poll_callback(
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) -> bindings::__poll_t {
        // SAFETY: The file is not released while it is polled.
        let transfer = &unsafe { Self::private(file) }.get_ref().transfer;
        // SAFETY: File and table are valid. The queue is the transfer's, which exists until the file is released.
        unsafe { transfer.waiters().poll_wait(file, table) };

        match transfer.readiness() {
            Readiness::Nothing => 0,
            Readiness::Readable => bindings::POLLIN | bindings::POLLRDNORM,
            Readiness::Writable => bindings::POLLOUT | bindings::POLLWRNORM,
            Readiness::Disabled => {
                bindings::POLLIN | bindings::POLLRDNORM | bindings::POLLERR | bindings::POLLHUP
            }
        }
    }

    /// # Safety
    ///
    /// Only the VFS may call this, for a file that [`new`](Self::new) made.
    unsafe extern "C" fn ioctl_callback(
        file: *mut bindings::file,
        command: c_uint,
        argument: c_ulong,
    ) -> c_long {
        // SAFETY: The file is not released during the ioctl.
        let transfer = &unsafe { Self::private(file) }.get_ref().transfer;
        let done = match command {
            GET_PRECOPY_INFO => get_precopy_info(transfer, UserPtr::from_addr(argument)),
            _ => Err(ENOTTY),
        };
        match done {
            Ok(()) => 0,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// Only the VFS may call this, for a file that [`new`](Self::new) made.
    unsafe extern "C" fn release_callback(
        _inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        // SAFETY: Nobody else has the file any more.
        drop(unsafe {
            <Pin<KBox<Private<T>>> as ForeignOwnable>::from_foreign((*file).private_data)
        });
        0
    }
}

impl<T: Transfer> Drop for DataFile<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant there is a reference to give back.
        unsafe { bindings::fput(self.0.as_ptr()) };
    }
}

// SAFETY: A `struct file` belongs to no thread, nor does a `T`.
unsafe impl<T: Transfer> Send for DataFile<T> {}

/// Does a read or write of `count` bytes piece by piece. `step` is told how long a piece is at most, and returns how much of
/// it was done; less than all ends the access, and so does an error, which is only told when nothing was done before.
fn each_piece(count: usize, mut step: impl FnMut(usize) -> Result<usize>) -> isize {
    from_result(|| {
        let mut done = 0;
        while done < count {
            let length = CHUNK.min(count - done);
            match step(length) {
                Ok(moved) => {
                    done += moved.min(length);
                    if moved < length {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        isize::try_from(done).map_err(|_| EINVAL)
    })
}

/// Answers `VFIO_MIG_GET_PRECOPY_INFO`. No flag is ever set: what there is to read first does not change.
fn get_precopy_info<T: Transfer>(transfer: &T, argument: UserPtr) -> Result {
    const LEN: usize = size_of::<c::vfio_precopy_info>();
    static_assert!(LEN == 24 && offset_of!(c::vfio_precopy_info, initial_bytes) == 8);

    let argsz: u32 = UserSlice::new(argument, size_of::<u32>()).reader().read()?;
    if (argsz as usize) < LEN {
        return Err(EINVAL);
    }
    let info = transfer.precopy_info()?;
    let words: [u64; 3] = [
        u64::from_ne_bytes(words_of(argsz)),
        info.initial,
        info.dirty,
    ];
    UserSlice::new(argument, LEN).writer().write(&words)
}

/// Returns the first eight bytes of a `vfio_precopy_info`: `argsz`, and flags that are 0.
fn words_of(argsz: u32) -> [u8; 8] {
    let [a, b, c, d] = argsz.to_ne_bytes();
    [a, b, c, d, 0, 0, 0, 0]
}
