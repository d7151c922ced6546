// SPDX-License-Identifier: GPL-2.0-only

//! What is remembered between two events: which devices a domain was given, and which of them
//! were created for it.
//!
//! It stands in the state directory, `/run/migdev`, as one file for each domain,
//! `domains/UUID.json`, and it is gone when the machine is started again, as the devices are. Only
//! who holds the directory's lock reads or writes them. A record is written before a device is
//! created, so that none is ever forgotten.
//!
//! What stands there makes the hook remove devices as root. So nobody else may write to it: no link
//! that leads elsewhere can be put there, no record, and no lock that is never given back.

use super::{
    Entry,
    Uuid, //
};

use crate::{
    exit::os_text,
    Error, //
};

use rustix::{
    fs::{
        flock,
        open,
        FlockOperation,
        Mode,
        OFlags, //
    },
    process::geteuid, //
};
use serde::{
    Deserialize,
    Serialize, //
};

use std::{
    fmt,
    fs::{
        self,
        DirBuilder, //
    },
    io,
    os::fd::OwnedFd,
    os::unix::fs::{
        DirBuilderExt,
        MetadataExt, //
    },
    path::{
        Path,
        PathBuf, //
    },
    sync::atomic::{
        AtomicBool,
        Ordering, //
    },
    thread,
    time::{
        Duration,
        Instant,
        SystemTime,
        UNIX_EPOCH, //
    }, //
};

/// The schema of a record.
const SCHEMA: u32 = 1;

/// What is remembered of one domain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record {
    schema: u32,
    /// The domain.
    pub uuid: Uuid,
    /// Its name.
    pub domain: String,
    /// When it was last written, in seconds since 1970.
    pub time: u64,
    /// The devices it was given.
    pub devices: Vec<Entry>,
}

/// The state directory, locked by this process.
#[derive(Debug)]
pub struct State {
    domains: PathBuf,
    _lock: OwnedFd,
}

impl State {
    /// Waits until no other process has the directory, and locks it. The lock ends with the value,
    /// and with the process in any case.
    ///
    /// # Errors
    ///
    /// If the directory cannot be made, if others than this process's user may write to it, if another
    /// process has it for longer than `timeout`, or if `interrupted` is set meanwhile.
    pub fn lock(dir: &Path, timeout: Duration, interrupted: &AtomicBool) -> Result<Self, Error> {
        let failed = |path: &Path, error: io::Error| Error::new(path.display(), os_text(&error));
        let domains = dir.join("domains");
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&domains)
            .map_err(|error| failed(&domains, error))?;
        for dir in [dir, &domains] {
            private(dir)?;
        }
        let path = dir.join("lock");
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = open(&path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| failed(&path, error.into()))?;
        let start = Instant::now();
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(_) if interrupted.load(Ordering::SeqCst) => {
                    return Err(Error::new(path.display(), "a signal asked the hook to end"));
                }
                Err(rustix::io::Errno::WOULDBLOCK) if start.elapsed() < timeout => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let why = "another hook has been choosing a device for too long";
                    return Err(Error::new(path.display(), why)
                        .hint("lock-timeout in the configuration says how long to wait"));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed(&path, error.into())),
            }
        }
        Ok(Self {
            domains,
            _lock: lock,
        })
    }

    /// Reads what is remembered of a domain.
    ///
    /// # Errors
    ///
    /// If there is something and it cannot be read.
    pub fn read(&self, domain: &Uuid) -> Result<Option<Record>, Error> {
        self.read_file(&self.path(domain))
    }

    fn read_file(&self, path: &Path) -> Result<Option<Record>, Error> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::new(path.display(), os_text(&error))),
        };
        let useless = |why: &dyn fmt::Display| {
            Error::new(path.display(), why)
                .hint("remove it once no domain has the devices that it names, and these with it")
        };
        let record: Record = serde_json::from_slice(&bytes).map_err(|error| useless(&error))?;
        if record.schema != SCHEMA {
            return Err(useless(&"written by another version of this program"));
        }
        Ok(Some(record))
    }

    /// Reads what is remembered of every domain, sorted by their UUIDs.
    ///
    /// # Errors
    ///
    /// If something cannot be read.
    pub fn all(&self) -> Result<Vec<Record>, Error> {
        let failed = |error: io::Error| Error::new(self.domains.display(), os_text(&error));
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.domains).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                records.extend(self.read_file(&path)?);
            }
        }
        records.sort_by(|a, b| a.uuid.cmp(&b.uuid));
        Ok(records)
    }

    /// Remembers what a domain was given; nothing, if that is nothing.
    ///
    /// # Errors
    ///
    /// Those of writing the file. Then the old record stands.
    pub fn write(&self, domain: &str, uuid: &Uuid, devices: &[Entry]) -> io::Result<()> {
        let path = self.path(uuid);
        if devices.is_empty() {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let record = Record {
            schema: SCHEMA,
            uuid: uuid.clone(),
            domain: domain.to_owned(),
            time: now(),
            devices: devices.to_vec(),
        };
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(&record)?)?;
        fs::rename(&new, &path)
    }

    fn path(&self, domain: &Uuid) -> PathBuf {
        self.domains.join(format!("{domain}.json"))
    }
}

/// Makes sure that a directory is one, and that only this process's user may write to it.
fn private(dir: &Path) -> Result<(), Error> {
    let failed = |why: &str| {
        Error::new(dir.display(), why)
            .hint("state-directory in the configuration says what to use; it is made if it does not exist")
    };
    match fs::symlink_metadata(dir) {
        Err(error) => Err(failed(&os_text(&error))),
        Ok(data) if !data.is_dir() => Err(failed("not a directory")),
        Ok(data) if data.uid() != geteuid().as_raw() => Err(failed("somebody else owns it")),
        Ok(data) if data.mode() & 0o022 != 0 => Err(failed("others may write to it")),
        Ok(_) => Ok(()),
    }
}

/// Returns the time in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
