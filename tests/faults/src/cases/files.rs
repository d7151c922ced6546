// SPDX-License-Identifier: GPL-2.0-only
//! The files that the module has in sysfs and in debugfs.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::uio::{pread, pwrite};

use vfio_client::device::open_rw;
use vfio_client::ktap::{check, check_eq, Miss, Outcome};
use vfio_client::sysfs::{errno_of, Mdev};

use super::{cases, World};
use crate::sweep::lowest_descriptor;

cases![
    opens_files,
    reads_files,
    accepts_a_version_or_does_not_say,
    refuses_a_version_for_its_own_reason,
    holds_a_type_or_leaves_it,
];

/// All files of a type and of a device, and those of the module, that can be read.
fn files(world: &World, mdev: &Mdev) -> Result<Vec<PathBuf>, Miss> {
    let mut files = Vec::new();
    let parameters = Path::new("/sys/module/migdev/parameters");
    let shown = Path::new("/sys/kernel/debug/migdev").join(mdev.uuid());
    for folder in [world.kind.path(), mdev.path(), parameters, &shown] {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_file() && fs::read(&path).is_ok() {
                files.push(path);
            }
        }
    }
    check!(files.len() >= 8, "not all files are there: {files:?}");
    Ok(files)
}

fn opens_files(world: &World) -> Outcome {
    let mdev = world.create()?;
    for path in files(world, &mdev)? {
        let c_path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        let free = lowest_descriptor()?;
        let want = fs::read(&path)?;
        world.faults.each(
            || Ok(()),
            |()| {
                let flags = libc::O_RDONLY | libc::O_CLOEXEC;
                // SAFETY: The path is a string that ends with a NUL.
                let fd = Errno::result(unsafe { libc::open(c_path.as_ptr(), flags) })?;
                // SAFETY: The kernel has just made this descriptor for us, and nobody else knows it.
                Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
            },
            |(), came| {
                came.is_clean(&[])?;
                drop(came.answer);
                check_eq!(lowest_descriptor()?, free, "the lowest free descriptor");
                check_eq!(fs::read(&path)?, want, "{}", path.display());
                Ok(())
            },
        )?;
    }
    Ok(())
}

fn reads_files(world: &World) -> Outcome {
    let mdev = world.create()?;
    for path in files(world, &mdev)? {
        let want = fs::read(&path)?;
        world.faults.each(
            || Ok((File::open(&path)?, vec![0; 8192])),
            |(file, buffer)| pread(file, buffer, 0),
            |(file, buffer), came| {
                came.is_clean(&[])?;
                if let Ok(count) = came.answer {
                    check_eq!(buffer[..count], want[..], "{}", path.display());
                }
                let mut next = vec![0; 8192];
                let count = pread(&file, &mut next, 0)?;
                check_eq!(next[..count], want[..], "{}, again", path.display());
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// Writes a text to the `migration_version` of the type and of a device, and checks that the answer is always the same, and that
/// nothing changes.
fn writes_a_version(world: &World, text: &str, want: Result<(), Errno>) -> Outcome {
    let mdev = world.create()?;
    for folder in [world.kind.path(), mdev.path()] {
        let path = folder.join("migration_version");
        let before = fs::read_to_string(&path)?;
        let file = open_rw(&path)?;
        let answer = pwrite(&file, text.as_bytes(), 0).map(|_| ());
        check_eq!(answer, want, "without faults");
        let documented = want.err();
        world.faults.each(
            || Ok(()),
            |()| pwrite(&file, text.as_bytes(), 0).map(|_| ()),
            |(), came| {
                match (came.fault, came.answer) {
                    (None, answer) => check_eq!(answer, want, "without faults"),
                    // What it says of the text itself, where it could say anything.
                    (Some(_), Ok(())) => check!(want.is_ok(), "accepted"),
                    (Some(_), Err(_)) => came.is_clean(documented.as_slice())?,
                }
                let again = pwrite(&file, text.as_bytes(), 0).map(|_| ());
                check_eq!(again, want, "the next try");
                check_eq!(fs::read_to_string(&path)?, before, "what it says");
                Ok(())
            },
        )?;
    }
    Ok(())
}

fn accepts_a_version_or_does_not_say(world: &World) -> Outcome {
    let text = fs::read_to_string(world.kind.path().join("migration_version"))?;
    writes_a_version(world, &text, Ok(()))
}

fn refuses_a_version_for_its_own_reason(world: &World) -> Outcome {
    let text = fs::read_to_string(world.kind.path().join("migration_version"))?;
    let foreign = text.replace("vendor=migdev", "vendor=other");
    check!(foreign != text, "no vendor in {text}");
    writes_a_version(world, &foreign, Err(Errno::EXDEV))?;
    writes_a_version(world, "no version\n", Err(Errno::EINVAL))
}

fn holds_a_type_or_leaves_it(world: &World) -> Outcome {
    let path = world.kind.baseline();
    let levels = fs::read_to_string(world.kind.path().join("migration_baselines"))?;
    let (Some(newest), Some(oldest)) = (levels.lines().next(), levels.lines().last()) else {
        return Err(Miss::Failed("no baselines".to_owned()));
    };
    let shown = || -> Result<String, Miss> { Ok(fs::read_to_string(&path)?.trim().to_owned()) };
    let file = open_rw(&path)?;
    let result = world.faults.each(
        || fs::write(&path, newest).map_err(|error| errno_of(error).into()),
        |()| pwrite(&file, oldest.as_bytes(), 0),
        |(), came| {
            came.is_clean(&[])?;
            let want = if came.answer.is_ok() { oldest } else { newest };
            check_eq!(shown()?, want, "the baseline");
            pwrite(&file, oldest.as_bytes(), 0)?;
            check_eq!(shown()?, oldest, "the next try");
            Ok(())
        },
    );
    fs::write(&path, newest)?;
    result
}
