// SPDX-License-Identifier: GPL-2.0-only

//! The events of libvirt's QEMU hook.
//!
//! | event | what is done |
//! |---|---|
//! | `migrate begin`, `restore begin` | each mdev of the domain gets a device here, and the changed XML is printed |
//! | `prepare begin` | if the configuration says so, devices that are missing are created |
//! | `release end` | what was created for the domain is removed |
//!
//! Every other event is none of ours, and passes without a word.

use super::{
    choose,
    log::Log,
    xml::{
        self,
        Domain,
        Edit,
        Pin,
        Spanned, //
    },
    Config,
    Entry,
    Host,
    How,
    Policy,
    Refusal,
    SysfsHost,
    Transaction,
    Uuid,
    Wish, //
};

use crate::{
    exit::os_text,
    Error,
    Outcome, //
};

use migver::Version;

use std::{
    collections::BTreeSet,
    fmt,
    io::{
        self,
        Write, //
    },
    path::Path,
    sync::{
        atomic::AtomicBool,
        Arc, //
    }, //
};

/// How much is shown of a text that should be a version, in characters.
const SHOWN: usize = 40;

/// An event that is dealt with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// A domain comes from another host.
    Migrate,
    /// A domain comes from a file.
    Restore,
    /// A domain is about to be started here.
    Prepare,
    /// A domain has ended here.
    Release,
}

impl Event {
    /// Returns the event that libvirt's second and third argument name, if it is dealt with.
    pub fn of(operation: &str, sub_operation: &str) -> Option<Self> {
        match (operation, sub_operation) {
            ("migrate", "begin") => Some(Self::Migrate),
            ("restore", "begin") => Some(Self::Restore),
            ("prepare", "begin") => Some(Self::Prepare),
            ("release", "end") => Some(Self::Release),
            _ => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Migrate => "migrate",
            Self::Restore => "restore",
            Self::Prepare => "prepare",
            Self::Release => "release",
        })
    }
}

/// What an event happens in.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Where sysfs is mounted.
    pub sysfs: &'a Path,
    /// Where procfs is mounted.
    pub proc: &'a Path,
    /// What the operator has decided.
    pub config: &'a Config,
    /// Set once this process is to end.
    pub interrupted: Arc<AtomicBool>,
}

/// Deals with an event.
///
/// `name` is the domain's; `xml` is what libvirt gave on standard input. What is to go to standard
/// output is written to `out`, a refusal to `err`.
///
/// # Errors
///
/// If the XML cannot be read, or the host cannot be asked. Nothing is left behind then.
pub fn handle(
    event: Event,
    name: &str,
    xml: &[u8],
    surroundings: &Surroundings<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Outcome, Error> {
    let config = surroundings.config;
    let log = Log::new(&config.log, name, &event.to_string());
    if event == Event::Prepare && !config.create_on_start {
        return Ok(Outcome::Yes);
    }
    let domain = xml::parse(xml).map(|domain| Domain {
        // The one that libvirt knows it by here.
        name: name.to_owned(),
        ..domain
    });
    let result = domain
        .map_err(|error| Stop::Failed(Error::new(format_args!("the XML of domain {name}"), error)))
        .and_then(|domain| match event {
            Event::Release => release(&domain, surroundings, &log),
            _ => arrive(event, &domain, xml, surroundings, &log, out),
        });
    match result {
        Ok(()) => Ok(Outcome::Yes),
        Err(Stop::Refused(error)) => {
            log.line(None, None, &format!("refused: {error}"));
            writeln!(err, "migver: {error}")?;
            Ok(Outcome::No)
        }
        Err(Stop::Failed(error)) => {
            log.line(None, None, &format!("failed: {error}"));
            Err(error)
        }
    }
}

/// Why an event is not passed.
#[derive(Debug)]
enum Stop {
    /// There is no device: an answer.
    Refused(Error),
    /// It cannot be told: none.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// An mdev of the domain, what the metadata says of it, and what that means.
struct Arrival<'d> {
    mdev: &'d Spanned<Uuid>,
    pin: &'d Pin,
    version: Version<'d>,
}

/// Finds or creates a device for each mdev of a domain.
fn arrive(
    event: Event,
    domain: &Domain,
    xml: &[u8],
    surroundings: &Surroundings<'_>,
    log: &Log,
    out: &mut dyn Write,
) -> Result<(), Stop> {
    let config = surroundings.config;
    let arrivals = arrivals(domain, config, log)?;
    if arrivals.is_empty() {
        return Ok(());
    }
    let mut host = SysfsHost::lock(
        surroundings.sysfs,
        surroundings.proc,
        config,
        domain,
        Arc::clone(&surroundings.interrupted),
    )?;
    let policy = match event {
        Event::Prepare => config.start(),
        _ => {
            // libvirt would refuse it after this hook, and tell nobody.
            if host.domains().is_running(&domain.name).map_err(files)? {
                let what = format!("domain {}", domain.name);
                return Err(Stop::Refused(Error::new(what, "it runs here already")));
            }
            config.arrival()
        }
    };
    collect(&mut host, domain, log)?;
    let before = match host.state().read(&domain.uuid)? {
        Some(record) => record.devices,
        None => Vec::new(),
    };
    let before = before
        .into_iter()
        .filter(|entry| host.exists(&entry.uuid))
        .collect();
    let mut wanted: Vec<&Arrival<'_>> = arrivals
        .iter()
        .filter(|arrival| event != Event::Prepare || !host.exists(&arrival.mdev.value))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    // Whose device is here chooses first, before another of the domain's takes it.
    wanted.sort_by_key(|arrival| !host.exists(&arrival.mdev.value));
    let given = others_named(domain, &wanted);
    let transaction = Transaction::begin(&mut host, before);
    settle(transaction, given, &wanted, &policy, xml, log, out)
}

/// Returns the devices that the domain's XML names besides those that one is sought for. If one of them were chosen, it
/// would be named twice.
fn others_named(domain: &Domain, wanted: &[&Arrival<'_>]) -> BTreeSet<Uuid> {
    let mdevs = domain.mdevs.iter().map(|mdev| &mdev.value);
    let pins = domain.pins.iter().map(|pin| &pin.uuid.value);
    mdevs
        .chain(pins)
        .filter(|uuid| wanted.iter().all(|arrival| arrival.mdev.value != **uuid))
        .cloned()
        .collect()
}

/// Pairs the mdevs of a domain with what its metadata says of them.
fn arrivals<'d>(domain: &'d Domain, config: &Config, log: &Log) -> Result<Vec<Arrival<'d>>, Stop> {
    let mut arrivals = Vec::new();
    for mdev in &domain.mdevs {
        let what = format!("mdev {} of domain {}", mdev.value, domain.name);
        let Some(pin) = domain.pin(&mdev.value) else {
            if config.require_metadata {
                let why = "the domain's metadata does not say what it is";
                return Err(Stop::Refused(
                    Error::new(what, why)
                        .hint("run `migver libvirt-stamp` for the domain where it runs"),
                ));
            }
            log.line(Some(&mdev.value), None, "left alone: not in the metadata");
            continue;
        };
        let text = &pin.version.value;
        let version = Version::parse(text.as_bytes()).map_err(|error| {
            let start: String = text.chars().take(SHOWN).collect();
            let more = if start.len() < text.len() { "..." } else { "" };
            let why = format!("its version in the metadata, \"{start}{more}\", is {error}");
            Stop::Refused(Error::new(what, why))
        })?;
        arrivals.push(Arrival { mdev, pin, version });
    }
    Ok(arrivals)
}

/// Chooses the devices, none of those in `given`, and prints the XML with them.
fn settle<H: Host>(
    mut transaction: Transaction<'_, H>,
    mut given: BTreeSet<Uuid>,
    arrivals: &[&Arrival<'_>],
    policy: &Policy,
    xml: &[u8],
    log: &Log,
    out: &mut dyn Write,
) -> Result<(), Stop> {
    let inventory = transaction.host().inventory()?;
    let mut edits = Vec::new();
    let mut outcomes = Vec::new();
    for arrival in arrivals {
        let uuid = &arrival.mdev.value;
        let wish = Wish {
            uuid,
            source: arrival.version,
            text: &arrival.pin.version.value,
        };
        let choice = choose(&mut transaction, &inventory, policy, wish, &mut given)
            .map_err(|refusal| refused(uuid, &refusal, log))?;
        let changes = [
            (&arrival.mdev.span, uuid.as_str(), choice.uuid.as_str()),
            (&arrival.pin.uuid.span, uuid.as_str(), choice.uuid.as_str()),
            // The device here may write another stream than the source's: what it says of itself is what counts the
            // next time the domain moves.
            (
                &arrival.pin.version.span,
                arrival.pin.version.value.as_str(),
                choice.version.as_str(),
            ),
        ];
        for (span, old, new) in changes {
            if old != new {
                edits.push(Edit {
                    span: span.clone(),
                    value: new.to_owned(),
                });
            }
        }
        outcomes.push((uuid, choice));
    }
    transaction
        .complete(|| {
            // libvirt takes no output as no change.
            if !edits.is_empty() {
                let xml = std::str::from_utf8(xml).map_err(io::Error::other)?;
                out.write_all(xml::replace(xml, edits).as_bytes())?;
            }
            out.flush()
        })
        .map_err(|error| Error::new("completing the event", os_text(&error)))?;
    for (uuid, choice) in outcomes {
        let outcome = match &choice.how {
            How::Created(node) => format!("created of {node}"),
            how => how.to_string(),
        };
        log.line(Some(uuid), Some(&choice.uuid), &outcome);
    }
    Ok(())
}

/// Logs every reason against a device, and returns the one that libvirt shows.
fn refused(uuid: &Uuid, refusal: &Refusal, log: &Log) -> Stop {
    for (node, fault) in &refusal.faults {
        log.line(Some(uuid), None, &format!("not {node}: {fault}"));
    }
    Stop::Refused(Error::new(format!("no device for mdev {uuid}"), refusal))
}

/// Removes what was created for domains that never came.
fn collect(host: &mut SysfsHost<'_>, domain: &Domain, log: &Log) -> Result<(), Error> {
    for record in host.state().all()? {
        if record.uuid == domain.uuid || host.holds(&record).map_err(files)? {
            continue;
        }
        let left = remove(host, &record.devices, &record.domain, log);
        if left != record.devices {
            host.state()
                .write(&record.domain, &record.uuid, &left)
                .map_err(files)?;
        }
    }
    Ok(())
}

/// Removes what was created for a domain that has ended.
fn release(domain: &Domain, surroundings: &Surroundings<'_>, log: &Log) -> Result<(), Stop> {
    // Most domains have nothing here, and need not wait for a lock.
    if !surroundings.config.state_directory.exists() {
        return Ok(());
    }
    let mut host = SysfsHost::lock(
        surroundings.sysfs,
        surroundings.proc,
        surroundings.config,
        domain,
        Arc::clone(&surroundings.interrupted),
    )?;
    let Some(record) = host.state().read(&domain.uuid)? else {
        return Ok(());
    };
    let left = remove(&mut host, &record.devices, &domain.name, log);
    host.note(&left).map_err(|error| Stop::Failed(files(error)))
}

/// Removes those devices of a domain that were created for it and that nobody has. Returns those
/// that are left.
fn remove(host: &mut SysfsHost<'_>, devices: &[Entry], domain: &str, log: &Log) -> Vec<Entry> {
    let mut left = Vec::new();
    for entry in devices.iter().filter(|entry| entry.created) {
        if !host.exists(&entry.uuid) {
            continue;
        }
        let outcome = match host.user_except(&entry.uuid, domain) {
            Ok(None) => match host.remove(&entry.uuid) {
                Ok(()) => Ok("removed".to_owned()),
                Err(error) => Err(format!("not removed: {}", os_text(&error))),
            },
            Ok(Some(user)) => Err(format!("not removed: it is in use by {user}")),
            Err(error) => Err(format!("not removed: {}", os_text(&error))),
        };
        if outcome.is_err() {
            left.push(entry.clone());
        }
        let (Ok(outcome) | Err(outcome)) = outcome;
        log.line(None, Some(&entry.uuid), &outcome);
    }
    left
}

fn files(error: io::Error) -> Error {
    Error::new("the files of this host", os_text(&error))
}
