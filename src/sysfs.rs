// SPDX-License-Identifier: GPL-2.0-only

//! Text attributes in sysfs, on whichever kind of object has a directory there.
//!
//! A driver implements [`Attribute`] for what the file belongs to (its owner), and the abstraction of that
//! owner (a device, an mdev type) puts the file there. Underneath is a `struct bin_attribute`, because
//! `sysfs_create_bin_file()` is the one exported way to put a file into a directory whose `sysfs_ops` belong to
//! another subsystem; with a size of a page and mode bits of its own it is to user space like any other
//! text attribute. The two differences that remain are taken care of here: a read may start anywhere; and a write
//! anywhere but at the start is refused with `ESPIPE`, because sysfs cuts it off where the page ends, and a
//! value is written whole or not at all. Who writes more than one value seeks to the start in between.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use core::{
    fmt,
    marker::PhantomData,
    mem::MaybeUninit, //
};
use kernel::{
    bindings,
    error::from_result,
    page::PAGE_SIZE,
    prelude::*, //
};

/// A text file that belongs to an `Owner`.
pub trait Attribute<Owner: ?Sized> {
    /// The name of the file.
    const NAME: &'static CStr;

    /// The permission bits of the file, at most `0o644`.
    const MODE: u16;

    /// Returns whether this owner has the file at all. Asked when the directory is filled.
    fn is_visible(_owner: &Owner) -> bool {
        true
    }

    /// Writes the text of the file, with its newline, at most a page.
    ///
    /// Called for each `read(2)`, so that a text that is read in pieces is only whole when it does not change.
    fn show(owner: &Owner, text: &mut dyn fmt::Write) -> Result;

    /// Takes what was written in one `write(2)`: at least a byte, at most a page, of anything. Not called for a file
    /// without a permission to write.
    ///
    /// # Errors
    ///
    /// What the writer is told. Nothing is to have changed then.
    fn store(_owner: &Owner, _text: &[u8]) -> Result {
        Err(EACCES)
    }
}

/// Finds the owner of a sysfs directory.
///
/// # Safety
///
/// `owner()` must return the owner of `kobj` for each `kobj` that the implementing abstraction adds files to.
pub(crate) unsafe trait Directory {
    /// What the files in the directory belong to.
    type Owner: ?Sized + 'static;

    /// Returns the owner of the directory `kobj`.
    ///
    /// # Safety
    ///
    /// `kobj` must be such a directory, and must be valid, and its owner with it, for `'a`.
    unsafe fn owner<'a>(kobj: *mut bindings::kobject) -> &'a Self::Owner;
}

/// The C side of the attribute `A` in a directory of kind `D`.
pub(crate) struct File<D: Directory, A: Attribute<D::Owner>>(PhantomData<(D, A)>);

impl<D: Directory, A: Attribute<D::Owner>> File<D, A> {
    /// What sysfs knows of the file.
    pub(crate) const ATTRIBUTE: bindings::bin_attribute = bindings::bin_attribute {
        // With lockdep an attribute has more fields.
        #[allow(clippy::needless_update)]
        attr: bindings::attribute {
            name: kernel::str::as_char_ptr_in_const_context(A::NAME),
            mode: {
                assert!(A::MODE & !0o644 == 0);
                A::MODE
            },
            ..pin_init::zeroed()
        },
        size: PAGE_SIZE,
        read: Some(Self::read_callback),
        write: if A::MODE & 0o200 == 0 {
            None
        } else {
            Some(Self::write_callback)
        },
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `kobj` must be a directory of kind `D` in which files are being made visible.
    pub(crate) unsafe fn is_visible(kobj: *mut bindings::kobject) -> bool {
        // SAFETY: The requirements are the same.
        A::is_visible(unsafe { D::owner(kobj) })
    }

    /// # Safety
    ///
    /// Only sysfs may call this, for a file that was added to a directory of kind `D`: it passes a `buffer` of
    /// `count` bytes, and removes the file only when nobody is in here.
    unsafe extern "C" fn read_callback(
        _file: *mut bindings::file,
        kobj: *mut bindings::kobject,
        _attribute: *const bindings::bin_attribute,
        buffer: *mut c_char,
        offset: bindings::loff_t,
        count: usize,
    ) -> isize {
        // SAFETY: The directory, and its owner, are there for as long as the file is.
        let owner = unsafe { D::owner(kobj) };
        // SAFETY: sysfs passes a buffer of `count` bytes, which nobody else uses meanwhile. What is in them is not asked for.
        let buffer =
            unsafe { core::slice::from_raw_parts_mut(buffer.cast::<MaybeUninit<u8>>(), count) };

        from_result(|| {
            let mut window = Window::on(usize::try_from(offset).map_err(|_| EINVAL)?, buffer);
            A::show(owner, &mut window)?;
            isize::try_from(window.filled()).map_err(|_| EINVAL)
        })
    }

    /// # Safety
    ///
    /// As for [`Self::read_callback`].
    unsafe extern "C" fn write_callback(
        _file: *mut bindings::file,
        kobj: *mut bindings::kobject,
        _attribute: *const bindings::bin_attribute,
        buffer: *mut c_char,
        offset: bindings::loff_t,
        count: usize,
    ) -> isize {
        // SAFETY: The directory, and its owner, are there for as long as the file is.
        let owner = unsafe { D::owner(kobj) };
        // SAFETY: sysfs passes an initialised buffer of `count` bytes that nobody writes meanwhile.
        let text = unsafe { core::slice::from_raw_parts(buffer.cast::<u8>(), count) };

        from_result(|| {
            if offset != 0 {
                return Err(ESPIPE);
            }
            A::store(owner, text)?;
            isize::try_from(count).map_err(|_| EINVAL)
        })
    }
}

/// The part of a text that a reader asked for: what comes before it is skipped, what comes after it dropped.
///
/// # Invariants
///
/// Nothing but text is ever written to the buffer, which need not have been initialised.
pub(crate) struct Window<'a> {
    skip: usize,
    buffer: &'a mut [MaybeUninit<u8>],
    filled: usize,
}

impl<'a> Window<'a> {
    /// Returns a window on what follows the first `skip` bytes of a text, as large as `buffer`.
    pub(crate) fn new(skip: usize, buffer: &'a mut [u8]) -> Self {
        let buffer = core::ptr::from_mut(buffer) as *mut [MaybeUninit<u8>];
        // SAFETY: It is borrowed exclusively for `'a`; by the type invariant its bytes stay initialised.
        Self::on(skip, unsafe { &mut *buffer })
    }

    /// Returns the same on a buffer of which nobody knows what is in it.
    fn on(skip: usize, buffer: &'a mut [MaybeUninit<u8>]) -> Self {
        Self {
            skip,
            buffer,
            filled: 0,
        }
    }

    /// Returns how many bytes of the buffer hold text.
    pub(crate) fn filled(&self) -> usize {
        self.filled
    }
}

impl fmt::Write for Window<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let bytes = text.as_bytes();
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;

        let wanted = bytes.get(skipped..).unwrap_or_default();
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let count = wanted.len().min(free.len());
        // INVARIANT: It is text.
        // SAFETY: Both have that many bytes, and what is borrowed exclusively is not the text.
        unsafe {
            free.as_mut_ptr()
                .copy_from_nonoverlapping(wanted.as_ptr().cast(), count)
        };
        self.filled += count;
        Ok(())
    }
}

#[cfg_attr(CONFIG_MIGDEV_KUNIT_TEST, kunit_tests(migdev_sysfs))]
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
mod tests {
    use super::*;
    use fmt::Write;

    /// Reads from a text of seven letters into a buffer of three.
    fn read(skip: usize) -> ([u8; 3], usize) {
        let mut buffer = [0; 3];
        let mut window = Window::new(skip, &mut buffer);
        // Two pieces, so that the window has an edge inside one and between them.
        let _ = window.write_str("abc");
        let _ = window.write_str("defg");
        let filled = window.filled();
        (buffer, filled)
    }

    #[test]
    fn a_window_shows_the_part_of_the_text_that_was_asked_for() {
        assert!(read(0) == (*b"abc", 3));
        assert!(read(2) == (*b"cde", 3));
        assert!(read(5) == (*b"fg\0", 2));
    }

    #[test]
    fn a_window_past_the_end_of_the_text_is_empty() {
        assert!(read(7) == ([0; 3], 0));
        assert!(read(usize::MAX) == ([0; 3], 0));
    }
}
