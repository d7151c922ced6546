// SPDX-License-Identifier: GPL-2.0-only

//! Text files in debugfs that keep the module loaded while they are open.
//!
//! The kernel crate has files in debugfs, too, whose tables have no owner: when the module is unloaded while one of them is
//! open, closing it looks at a table that is gone. So a file here is made from a table of our own.
//!
//! As usual with debugfs, it is nobody's concern when there is none, or no memory for a file.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)

use core::fmt;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// What has a text to show.
pub trait Show: Send + Sync + 'static {
    /// Writes the text. May be called at any time and at once.
    fn show(&self, text: &mut dyn fmt::Write) -> fmt::Result;
}

#[cfg(CONFIG_DEBUG_FS)]
pub use files::{
    Directory,
    Observed, //
};

#[cfg(not(CONFIG_DEBUG_FS))]
pub use none::{
    Directory,
    Observed, //
};

#[cfg(CONFIG_DEBUG_FS)]
mod files {
    use super::*;
    use crate::this_module::this_module;
    use core::ptr::null_mut;
    use kernel::bindings;

    /// A directory at the root of debugfs.
    ///
    /// # Invariants
    ///
    /// The pointer is what `debugfs_create_dir()` returned: a directory, or an error that debugfs knows.
    pub struct Directory(*mut bindings::dentry);

    // SAFETY: debugfs locks itself; a directory belongs to no thread.
    unsafe impl Send for Directory {}

    // SAFETY: As above.
    unsafe impl Sync for Directory {}

    impl Directory {
        /// Makes a directory.
        pub fn new(name: &CStr) -> Self {
            // INVARIANT: It is what is returned.
            // SAFETY: The name is copied.
            Self(unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), null_mut()) })
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            // SAFETY: By the type invariant it is a directory, or an error, of which nothing is done. What was in it has
            // been removed: it held a reference.
            unsafe { bindings::debugfs_remove(self.0) };
        }
    }

    /// Something with a directory of its own, and in it a file that shows it. Dropping this removes both.
    ///
    /// # Invariants
    ///
    /// The pointer is what `debugfs_create_dir()` returned for a directory in `_parent`.
    pub struct Observed<T: Show> {
        directory: *mut bindings::dentry,
        _shown: Arc<T>,
        _parent: Arc<Directory>,
    }

    // SAFETY: debugfs locks itself; a `T` may be sent and shared.
    unsafe impl<T: Show> Send for Observed<T> {}

    // SAFETY: As above; nothing can be done with a shared reference.
    unsafe impl<T: Show> Sync for Observed<T> {}

    impl<T: Show> Observed<T> {
        /// Makes the directory `name` in `parent`, and in it the file `file`, which only root may read.
        pub fn new(
            parent: Arc<Directory>,
            name: &CStr,
            file: &'static CStr,
            shown: Arc<T>,
        ) -> Self {
            let data: *const T = &*shown;
            // SAFETY: The parent is a directory, or an error, which is passed on. The name is copied.
            let directory = unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), parent.0) };
            // SAFETY: As above. The data is kept until the file is removed, and no callback runs after that.
            unsafe {
                bindings::debugfs_create_file_full(
                    file.as_char_ptr(),
                    0o400,
                    directory,
                    data.cast_mut().cast(),
                    null_mut(),
                    Self::FILE_OPERATIONS,
                )
            };
            // INVARIANT: It is what was returned.
            Self {
                directory,
                _shown: shown,
                _parent: parent,
            }
        }

        const FILE_OPERATIONS: &'static bindings::file_operations = &bindings::file_operations {
            owner: this_module(),
            open: Some(Self::open_callback),
            read: Some(bindings::seq_read),
            llseek: Some(bindings::seq_lseek),
            release: Some(bindings::single_release),
            ..pin_init::zeroed()
        };

        /// # Safety
        ///
        /// Only debugfs may call this, for a file that [`new`](Self::new) made.
        unsafe extern "C" fn open_callback(
            inode: *mut bindings::inode,
            file: *mut bindings::file,
        ) -> c_int {
            // SAFETY: Both are valid. debugfs keeps the data of a file in the inode.
            unsafe {
                let data = (*inode).i_private;
                bindings::single_open(file, Some(Self::show_callback), data)
            }
        }

        /// # Safety
        ///
        /// Only a file that `open_callback()` opened may call this, by way of debugfs.
        unsafe extern "C" fn show_callback(text: *mut bindings::seq_file, _: *mut c_void) -> c_int {
            // SAFETY: `single_open()` put the data there. debugfs waits for this before it removes the file, and the data is
            // kept until then.
            let shown = unsafe { &*(*text).private.cast::<T>() };
            match shown.show(&mut Text(text)) {
                Ok(()) => 0,
                Err(fmt::Error) => EIO.to_errno(),
            }
        }
    }

    impl<T: Show> Drop for Observed<T> {
        fn drop(&mut self) {
            // SAFETY: By the type invariant it is a directory, or an error, of which nothing is done. The parent exists.
            unsafe { bindings::debugfs_remove(self.directory) };
        }
    }

    /// The text of a file that is being read.
    ///
    /// # Invariants
    ///
    /// The pointer is to a valid `seq_file` that nobody else uses.
    struct Text(*mut bindings::seq_file);

    impl fmt::Write for Text {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            // SAFETY: By the type invariant; the bytes are copied. Where the buffer is too short, the whole is shown once more.
            unsafe { bindings::seq_write(self.0, text.as_ptr().cast(), text.len()) };
            Ok(())
        }
    }
}

#[cfg(not(CONFIG_DEBUG_FS))]
mod none {
    use super::*;
    use core::marker::PhantomData;

    /// A directory that is not there.
    pub struct Directory;

    impl Directory {
        /// Makes none.
        pub fn new(_name: &CStr) -> Self {
            Self
        }
    }

    /// Something that nobody sees.
    pub struct Observed<T: Show>(PhantomData<T>);

    impl<T: Show> Observed<T> {
        /// Makes no file.
        pub fn new(_: Arc<Directory>, _: &CStr, _: &'static CStr, _: Arc<T>) -> Self {
            Self(PhantomData)
        }
    }
}
