// SPDX-License-Identifier: GPL-2.0-only

//! The file through which user space moves the state of a migrating device (protocol v2).
//!
//! The VFIO core hands it to user space when a transfer begins. It is no part of the device's own file: it may outlive
//! the user's interest in the device, and the device itself. So it has nothing of the device but what a [`Transfer`]
//! keeps, and once the driver has [ended](Link::end) it, it does not even look at that: who keeps the file of a transfer that
//! is over has no part in what becomes of the device.
//!
//! Reads and writes may have any length, and go to the driver in pieces of up to [`CHUNK`] bytes. No lock is held while
//! user memory is accessed, which may take for ever. A byte of the state counts as read when user space has it: what
//! cannot be copied is read again next time, and of several readers each gets what no other got. Of several writers
//! the pieces may mix; what comes of that is no stream.
//!
//! C headers: [`include/linux/anon_inodes.h`](srctree/include/linux/anon_inodes.h), UAPI:
//! [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use super::{
    ioctl::vfio,
    pieces, //
};
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
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
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

/// A transfer, as its data file sees it. All may be called at any time and at once, until it is [ended](Link::end) and
/// shortly after.
pub trait Transfer: Send + Sync + 'static {
    /// Copies what comes next into `bytes`, as far as there is, without taking it, and returns where in the stream that
    /// begins and how much it is.
    ///
    /// # Errors
    ///
    /// `ENOMSG` when there is nothing now but will be, `ENODEV` when the transfer is over. No bytes are the end of the
    /// stream.
    fn peek(&self, bytes: &mut [u8]) -> Result<(usize, usize)>;

    /// Takes `count` bytes, if `position` in the stream is still what comes next, and returns whether it was.
    fn advance(&self, position: usize, count: usize) -> bool;

    /// Takes the next bytes of the state. After an error no more are taken: the state is refused.
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
    /// `EINVAL` when it is not about to be; `ENODEV` for a transfer that is no longer the device's.
    fn precopy_info(&self) -> Result<PrecopyInfo>;
}

/// What a driver keeps of a data file: how to tell those who have the file.
#[pin_data]
pub struct Link {
    #[pin]
    waiters: WaitQueue,
    /// Not 0 once the transfer is over.
    is_over: Atomic<u32>,
}

impl Link {
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                waiters <- WaitQueue::new(),
                is_over: Atomic::new(0),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Tells that [`Transfer::readiness`] has changed.
    pub fn wake(&self) {
        self.waiters.wake_all();
    }

    /// Tells that the transfer is over. From now on reads and writes of the file are `ENODEV`, and asking it how much there is
    /// to read in pre-copy is `EINVAL`, as in any other state; the [`Transfer`] is not asked.
    pub fn end(&self) {
        self.is_over.store(1, Relaxed);
        self.wake();
    }

    /// Returns `ENODEV` when the transfer is over.
    fn check(&self) -> Result {
        // Who comes too early to see it is told by the `Transfer`.
        if self.is_over.load(Relaxed) != 0 {
            return Err(ENODEV);
        }
        Ok(())
    }
}

/// A data file that user space does not have yet.
///
/// # Invariants
///
/// The pointer is to a `struct file` whose private data is a `KBox<Private<T>>`; a reference to it is owned.
pub struct DataFile<T: Transfer>(NonNull<bindings::file>, PhantomData<T>);

/// What a file is about.
struct Private<T> {
    transfer: T,
    link: Arc<Link>,
}

impl<T: Transfer> DataFile<T> {
    /// Makes a file for `transfer`, and the link to it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `ENFILE`.
    pub fn new(direction: Direction, transfer: T) -> Result<(Self, Arc<Link>)> {
        let link = Link::new()?;
        let private = KBox::new(
            Private {
                transfer,
                link: link.clone(),
            },
            GFP_KERNEL_ACCOUNT,
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
                Self::FILE_OPERATIONS,
                private,
                flags as c_int,
            )
        })
        .inspect_err(|_| {
            // SAFETY: There is no file to own it.
            drop(unsafe { <KBox<Private<T>> as ForeignOwnable>::from_foreign(private) });
        })?;
        // A stream: it has no position.
        // SAFETY: The file is new, and has an inode.
        unsafe { bindings::stream_open((*file).f_inode, file) };

        // INVARIANT: The reference is the one that was returned.
        Ok((Self(NonNull::new(file).ok_or(ENOMEM)?, PhantomData), link))
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
    unsafe fn private<'a>(file: *mut bindings::file) -> &'a Private<T> {
        // SAFETY: The private data is set when the file is made, and does not change.
        unsafe { <KBox<Private<T>> as ForeignOwnable>::borrow((*file).private_data) }
    }

    const FILE_OPERATIONS: &'static bindings::file_operations = &bindings::file_operations {
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
        let Private { transfer, link } = unsafe { Self::private(file) };
        let buffer = UserPtr::from_ptr(buffer.cast());
        let mut bounce = [0; CHUNK];

        each_piece(count, |done, length| loop {
            link.check()?;
            let piece = bounce.get_mut(..length).ok_or(EINVAL)?;
            let (position, copied) = transfer.peek(piece)?;
            if copied == 0 {
                return Ok(0);
            }
            UserSlice::new(buffer.wrapping_byte_add(done), copied)
                .writer()
                .write_slice(piece.get(..copied).ok_or(EINVAL)?)?;
            // Otherwise another reader was faster, and the next bytes take the place of these.
            if transfer.advance(position, copied) {
                return Ok(copied);
            }
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
        let Private { transfer, link } = unsafe { Self::private(file) };
        let mut reader =
            UserSlice::new(UserPtr::from_ptr(buffer.cast_mut().cast()), count).reader();
        let mut bounce = [0; CHUNK];

        each_piece(count, |_, length| {
            link.check()?;
            let piece = bounce.get_mut(..length).ok_or(EINVAL)?;
            reader.read_slice(piece)?;
            transfer.write(piece)?;
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
        let Private { transfer, link } = unsafe { Self::private(file) };
        // SAFETY: File and table are valid. The queue exists until the file is released, and longer.
        unsafe { link.waiters.poll_wait(file, table) };

        let now = match link.check() {
            Ok(()) => transfer.readiness(),
            Err(_) => Readiness::Disabled,
        };
        match now {
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
        let Private { transfer, link } = unsafe { Self::private(file) };
        let done = match command {
            GET_PRECOPY_INFO => get_precopy_info(transfer, link, UserPtr::from_addr(argument)),
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
        drop(unsafe { <KBox<Private<T>> as ForeignOwnable>::from_foreign((*file).private_data) });
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

/// Does a read or write piece by piece, see [`pieces::each`].
fn each_piece(count: usize, step: impl FnMut(usize, usize) -> Result<usize>) -> isize {
    from_result(|| isize::try_from(pieces::each::<CHUNK>(count, step)?).map_err(|_| EINVAL))
}

/// Answers `VFIO_MIG_GET_PRECOPY_INFO`. No flag is ever set: what there is to read first does not change.
fn get_precopy_info<T: Transfer>(transfer: &T, link: &Link, argument: UserPtr) -> Result {
    const LEN: usize = size_of::<c::vfio_precopy_info>();
    static_assert!(LEN == 24 && offset_of!(c::vfio_precopy_info, initial_bytes) == 8);

    let argsz: u32 = UserSlice::new(argument, size_of::<u32>()).reader().read()?;
    if (argsz as usize) < LEN {
        return Err(EINVAL);
    }
    // It can only be asked for in the pre-copy states, and a transfer that is over is in none.
    link.check().map_err(|_| EINVAL)?;
    let info = transfer.precopy_info()?;
    let mut writer = UserSlice::new(argument, LEN).writer();
    writer.write(&[argsz, 0])?;
    writer.write(&[info.initial, info.dirty])
}
