// SPDX-License-Identifier: GPL-2.0-only

//! A tree of files like a host's, for what needs no device to be created: sysfs, procfs, libvirt's
//! own files.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{
        Path,
        PathBuf, //
    },
    sync::atomic::{
        AtomicU32,
        Ordering, //
    }, //
};

/// A directory that is removed with the value.
pub struct Tree(PathBuf);

impl Tree {
    /// Makes an empty host.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "host-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let tree = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        for dir in [
            "sys/class/mdev_bus",
            "sys/bus/mdev/devices",
            "proc/sys/kernel/random",
            "run/libvirt/qemu",
            "etc/libvirt/qemu",
        ] {
            fs::create_dir_all(tree.path(dir)).unwrap();
        }
        tree.write(
            "proc/sys/kernel/random/uuid",
            "99999999-0000-4000-8000-000000000000\n",
        );
        tree.write("proc/sys/kernel/hostname", "tree\n");
        tree
    }

    /// Returns the path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, and makes its directory.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Makes a type. Without a string its devices do not migrate.
    pub fn add_type(&self, parent: &str, name: &str, version: Option<&str>) {
        let real = format!("sys/devices/{parent}/mdev_supported_types/{name}");
        self.write(&format!("{real}/available_instances"), "4\n");
        if let Some(version) = version {
            self.write(
                &format!("{real}/migration_version"),
                &format!("{version}\n"),
            );
        }
        let link = self.path(&format!("sys/class/mdev_bus/{parent}"));
        if !link.exists() {
            symlink(format!("../../devices/{parent}"), link).unwrap();
        }
    }

    /// Makes a device in the group of the given number.
    pub fn add_device(
        &self,
        parent: &str,
        ty: &str,
        uuid: &str,
        version: Option<&str>,
        group: u32,
    ) {
        let real = format!("sys/devices/{parent}/{uuid}");
        self.write(&format!("{real}/remove"), "");
        if let Some(version) = version {
            self.write(
                &format!("{real}/migration_version"),
                &format!("{version}\n"),
            );
        }
        self.write(
            &format!("sys/class/vfio/{group}/dev"),
            &format!("511:{group}\n"),
        );
        let real = self.path(&real);
        symlink(
            format!("../mdev_supported_types/{ty}"),
            real.join("mdev_type"),
        )
        .unwrap();
        symlink(
            format!("../../../kernel/iommu_groups/{group}"),
            real.join("iommu_group"),
        )
        .unwrap();
        symlink(&real, self.path(&format!("sys/bus/mdev/devices/{uuid}"))).unwrap();
    }

    /// Makes a process that has a file open under a name, which is a link to `target`.
    pub fn add_process(&self, pid: u32, name: &str, target: &Path, info: &str) {
        self.write(&format!("proc/{pid}/comm"), "qemu-system-x86\n");
        self.write(&format!("proc/{pid}/fdinfo/7"), info);
        fs::create_dir_all(self.path(&format!("proc/{pid}/fd"))).unwrap();
        let open = self.path(name);
        if target.is_absolute() {
            fs::create_dir_all(open.parent().unwrap()).unwrap();
            symlink(target, &open).unwrap();
            symlink(open, self.path(&format!("proc/{pid}/fd/7"))).unwrap();
        } else {
            symlink(target, self.path(&format!("proc/{pid}/fd/7"))).unwrap();
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
