// SPDX-License-Identifier: GPL-2.0-only

//! What would make a migration possible that is refused: for each reason, what an operator can do.

use crate::{
    host::attribute::MIGRATION_BASELINE,
    text::shell_word, //
};

use migver::{
    Abi,
    Baseline,
    Fault,
    Field,
    Parameter,
    Reason,
    Rule,
    Side,
    Value,
    Verdict, //
};

use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    }, //
};

/// Says what would take this reason away. `hold` is what [`hold`] says: whether the source's type can be
/// held at a baseline.
pub fn advice(reason: &Reason<'_>, hold: bool) -> String {
    let upgrade = upgrade(reason);
    match reason.destination {
        Value::Abi(abi) if hold && reason.fault == Fault::TooOld(Side::Destination) => {
            format!("{upgrade}, or {HELD} abi={abi}")
        }
        Value::Loads(_, newest) if hold && reason.fault == Fault::TooOld(Side::Destination) => {
            format!("{upgrade}, or {HELD} stream={newest}")
        }
        _ => upgrade,
    }
}

const HELD: &str = "create the source's device while its type is held at the baseline";

/// Says what would take this reason away without a baseline of the source's type.
fn upgrade(reason: &Reason<'_>) -> String {
    match (reason.field, reason.source, reason.destination) {
        (Field::Vendor | Field::Model, source, _) => format!(
            "choose a destination whose {} is {source}: no setting makes one device into another",
            reason.field
        ),
        (Field::Abi, Value::Abi(source), Value::Abi(destination)) => {
            abi(source, destination, reason.fault)
        }
        (Field::Stream, source, Value::Loads(oldest, _)) => {
            stream(source, oldest, reason.fault)
        }
        (Field::Feature(name), _, _) => format!(
            "upgrade the destination's driver to one that takes {name}, or create the source's device \
             so that it does not need it"
        ),
        (Field::Parameter(name), source, destination) => {
            parameter(name, source, destination, reason.fault)
        }
        (Field::Extension(name), source, destination) => match reason.fault {
            Fault::Missing(Side::Destination) => format!(
                "choose a destination that has the extension {name} with {source}, or upgrade its driver to \
                 one that does"
            ),
            Fault::Missing(_) => format!(
                "choose a destination that does not require the extension {name}, or upgrade the source's \
                 driver to one that has it with {destination}"
            ),
            _ => format!("choose a destination that has the extension {name} with {source}"),
        },
        // The values of a field are always of its kind.
        (field, _, _) => format!("bring {field} of both sides together"),
    }
}

fn abi(source: Abi, destination: Abi, fault: Fault) -> String {
    match fault {
        Fault::TooOld(Side::Destination) if source.major == destination.major => {
            format!("upgrade the destination's driver to one with ABI {source}")
        }
        Fault::TooOld(Side::Destination) => {
            let major = source.major;
            format!("upgrade the destination's driver to one with ABI major {major}")
        }
        _ => format!(
            "hold the destination's type at a baseline of ABI major {} from {source} on, if its \
             migration_baselines has one, or upgrade the source's driver and start the guest anew on a \
             device with ABI {destination}",
            source.major
        ),
    }
}

fn stream(source: Value<'_>, oldest: u32, fault: Fault) -> String {
    match (source, fault) {
        (Value::Writes(writes), Fault::TooOld(Side::Destination)) => {
            format!("upgrade the destination's driver to one that loads stream version {writes}")
        }
        (Value::Writes(writes), _) => format!(
            "choose a destination that still loads stream version {writes}, or go by way of a host that \
             loads it and writes {oldest} or later"
        ),
        (source, _) => format!(
            "choose a destination that still loads every stream version that the source {source}, or upgrade \
             the source's driver to one that has dropped them too"
        ),
    }
}

fn parameter(name: &str, source: Value<'_>, destination: Value<'_>, fault: Fault) -> String {
    let (source, destination) = match (source, destination) {
        (Value::Parameter(source), Value::Parameter(destination)) => (source, destination),
        (Value::Parameter(source), _) => {
            return format!(
                "choose a destination type that names {name}, or upgrade its driver to one that does: the \
                 source has {}",
                source.value
            )
        }
        _ => {
            return format!(
                "choose a destination type that does not name {name}, or upgrade the source's driver to \
                 one that does"
            )
        }
    };
    let Parameter { rule, value, .. } = source;
    match fault {
        Fault::TooSmall(Side::Destination) => {
            format!("choose or create a destination with {name} of at least {value}")
        }
        Fault::TooSmall(Side::Source) => {
            format!("choose or create a destination with {name} of at most {value}")
        }
        _ if rule == destination.rule && rule == Rule::Equal => {
            format!("choose or create a destination with {name} of {value}")
        }
        _ => format!(
            "bring both drivers to one version: they have different rules for {name}, {} and {}",
            rule.as_str(),
            destination.rule.as_str()
        ),
    }
}

/// Returns the command that holds the source's type at a baseline that the destination accepts, if there
/// can be one: the ABI and the stream version of the destination, or the newest of those that the source's
/// driver offers, where `attribute` tells.
///
/// `attribute` is the `migration_version` of the source in this host's sysfs.
pub fn hold(verdict: &Verdict<'_>, attribute: Option<&Path>) -> Option<String> {
    verdict
        .reasons()
        .find(|reason| reason.fault == Fault::TooOld(Side::Destination))?;
    let (abi, stream) = (verdict.destination().abi(), verdict.destination().stream());
    let newest = Baseline::of(verdict.source());
    let held = Baseline {
        abi: match newest.abi {
            Abi { major, minor } if (major, minor) <= (abi.major, abi.minor) => newest.abi,
            _ => abi,
        },
        stream: newest.stream.min(stream.newest),
    };
    let Some(dir) = attribute.and_then(type_dir) else {
        return Some(format!(
            "echo {held} >.../mdev_supported_types/TYPE/migration_baseline"
        ));
    };
    let offered = fs::read_to_string(dir.join("migration_baselines")).ok()?;
    let fits = |baseline: &Baseline| {
        baseline.abi.major == abi.major
            && baseline.abi.minor <= abi.minor
            && (stream.oldest..=stream.newest).contains(&baseline.stream)
    };
    // Newest first.
    let best = offered
        .lines()
        .filter_map(|line| held.changed(line.as_bytes()))
        .find(fits)?;
    let path = dir.join(MIGRATION_BASELINE);
    Some(format!("echo {best} >{}", shell_word(path.to_str()?)?))
}

/// Returns the directory of the type whose file, or whose device's file, this is.
fn type_dir(attribute: &Path) -> Option<PathBuf> {
    let dir = attribute.parent()?;
    [dir.to_owned(), dir.join("mdev_type")]
        .into_iter()
        .find(|dir| dir.join(MIGRATION_BASELINE).exists())
        .map(|dir| dir.canonicalize().unwrap_or(dir))
}
