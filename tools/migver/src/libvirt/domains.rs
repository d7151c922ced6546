// SPDX-License-Identifier: GPL-2.0-only

//! The other domains of this host, as libvirt's files tell. A hook must not ask libvirt itself: it
//! waits for the hook.

use super::{
    xml,
    Uuid, //
};

use memchr::memmem;

use std::{
    fs::{
        self,
        File, //
    },
    io::{
        self,
        Read, //
    },
    path::{
        Path,
        PathBuf, //
    }, //
};

/// Where libvirt keeps its domains: `NAME.xml` each.
#[derive(Clone, Debug)]
pub struct Domains {
    /// Those that run.
    pub running: PathBuf,
    /// Those that are defined.
    pub defined: PathBuf,
}

impl Domains {
    /// Whether a domain runs.
    ///
    /// # Errors
    ///
    /// If that cannot be told.
    pub fn is_running(&self, name: &str) -> io::Result<bool> {
        // libvirt allows no such name, but it came from another host.
        if name.is_empty() || name.contains('/') || name.contains('\0') {
            return Ok(false);
        }
        self.running.join(format!("{name}.xml")).try_exists()
    }

    /// Finds a domain, other than that of the name, that has a device.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn that_has(&self, device: &Uuid, except: &str) -> io::Result<Option<String>> {
        for (dir, what) in [
            (&self.running, "the running domain"),
            (&self.defined, "the defined domain"),
        ] {
            if let Some(name) = find(dir, device, except)? {
                return Ok(Some(format!("{what} {name}")));
            }
        }
        Ok(None)
    }
}

fn find(dir: &Path, device: &Uuid, except: &str) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        // libvirt never ran here, or has no domain yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let (Some(stem), Some(extension)) = (path.file_stem(), path.extension()) else {
            continue;
        };
        let name = stem.to_string_lossy();
        if extension == "xml" && name != except && has(&path, device)? {
            return Ok(Some(name.into_owned()));
        }
    }
    Ok(None)
}

/// Whether the domain in a file has a device.
fn has(path: &Path, device: &Uuid) -> io::Result<bool> {
    let limit = u64::try_from(xml::MAX_LEN).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    match File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text)) {
        Ok(_) => {}
        // It ended while the directory was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    // A host may have hundreds of domains, and each device that is looked at is sought in all of them.
    let lower = text.to_ascii_lowercase();
    if memmem::find(&lower, device.as_str().as_bytes()).is_none() {
        return Ok(false);
    }
    Ok(match xml::parse(&text) {
        Ok(domain) => domain.mdevs.iter().any(|mdev| mdev.value == *device),
        // What cannot be read is believed to have what it names.
        Err(_) => true,
    })
}
