// SPDX-License-Identifier: GPL-2.0-only

//! Which hosts and types can take a device in, best match first.

use crate::{
    fleet::{
        candidates,
        load,
        unreadable,
        Candidate,
        Found,
        Match,
        Refused,
        Search,
        Table, //
    },
    inventory::{
        nfd::{
            self,
            Requirement, //
        },
        traits, //
    },
    operand::{
        is_uuid,
        Resolved, //
    },
    text::printable,
    Context,
    Error,
    Outcome, //
};

use migver::Version;
use serde_json::json;

use std::{
    fs,
    io,
    path::{
        Path,
        PathBuf, //
    }, //
};

/// Find which hosts, types and devices of a fleet can take a device in, best match first
///
/// The order: a type with the name of the source's type, if that is known; an equal string; one that the device could
/// come back from; the nearest ABI minor; the nearest stream version; the least left over in parameters and features;
/// types before existing devices, whose users an inventory does not tell; the most available instances; names.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  migver find migdev-serial2 --in fleet/
  migver find 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 --in fleet/ --limit 3
  migver find node7:migdev/migdev-serial2 --in fleet/ --all
  migver find migdev-serial2 --selector nfd

Exit status: 0 if something can take it in, 1 if nothing can, 2 if that cannot be told.")]
pub struct Args {
    /// What is to migrate: a version string, a file, a UUID, a type, HOST:...; a UUID is looked up in the inventories
    /// first
    #[arg(value_name = "SRC")]
    pub source: String,
    /// Inventories: files, directories of *.json files, or - for standard input
    #[arg(long = "in", value_name = "INVENTORY", required_unless_present = "selector", num_args = 1..)]
    pub inventories: Vec<PathBuf>,
    /// The type whose name is the best match, instead of the source's
    #[arg(long = "type", value_name = "TYPE")]
    pub type_name: Option<String>,
    /// Show so many of the best
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Show those that cannot, too, and the first reason of each
    #[arg(long)]
    pub all: bool,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Write what a scheduler has to ask for, instead of looking for it
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["json", "all", "limit"])]
    pub selector: Option<Selector>,
}

/// Whose terms a selector is in.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Eq, PartialEq)]
pub enum Selector {
    /// Kubernetes: matchExpressions of a node affinity, for one type, over the labels of 'inventory --format nfd'
    Nfd,
    /// OpenStack Placement: the required ones of the traits of 'inventory --format traits'
    Traits,
}

/// Runs the command.
///
/// # Errors
///
/// The source or an inventory cannot be read.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    if args.source == "-" && args.inventories.iter().any(|path| path.as_os_str() == "-") {
        return Err(Error::new("-", "standard input can be read only once")
            .hint("give the source's string as it is"));
    }
    let inventories = load(&args.inventories, context.input)?;
    let everything = || inventories.iter().flat_map(candidates);
    let Some(mut source) = Source::of(&args.source, everything(), context)? else {
        let line = format!("{} does not migrate", printable(&args.source));
        writeln!(
            context.err,
            "{} {line}",
            context.err_style.warning("migver:")
        )?;
        return Ok(Outcome::No);
    };
    let version = Version::parse(&source.text)
        .map_err(|error| Error::new(&args.source, unreadable(&error)))?;
    if args.type_name.is_some() {
        source.type_name.clone_from(&args.type_name);
    }
    if let Some(format) = args.selector {
        return selector(format, &version, source.type_name.as_deref(), context);
    }
    let search = Search {
        source: version,
        type_name: source.type_name.as_deref(),
        uuid: source.uuid.as_deref(),
    };
    let mut found = search.run(everything());
    let outcome = Outcome::from_bool(!found.matches.is_empty());
    let total = found.matches.len();
    found.matches.truncate(args.limit.unwrap_or(usize::MAX));
    if !args.all {
        found.refused.clear();
    }
    if args.json {
        let source = json!({
            "migration_version": version.to_string(),
            "type": source.type_name,
            "uuid": source.uuid,
        });
        json(source, total, &found, context)?;
    } else {
        text(&version, total, &found, context)?;
    }
    Ok(outcome)
}

/// Writes what a scheduler has to ask for.
fn selector(
    format: Selector,
    source: &Version<'_>,
    type_name: Option<&str>,
    context: &mut Context<'_>,
) -> Result<Outcome, Error> {
    let out = &mut *context.out;
    match format {
        Selector::Nfd => {
            let type_name = type_name.ok_or_else(|| {
                Error::new("selector", "labels are of one type, and which is not known")
                    .hint("say it with --type")
            })?;
            for Requirement {
                name,
                operator,
                value,
            } in nfd::requirements(source, type_name)
            {
                writeln!(out, "- key: {}/{name}", nfd::PREFIX)?;
                writeln!(out, "  operator: {operator}")?;
                if let Some(value) = value {
                    writeln!(out, "  values: [\"{value}\"]")?;
                }
            }
        }
        Selector::Traits => {
            for name in traits::required(source) {
                writeln!(out, "{name}")?;
            }
        }
    }
    Ok(Outcome::Yes)
}

/// What the source says of itself, and what else is known of it.
#[derive(Default)]
struct Source {
    text: Vec<u8>,
    type_name: Option<String>,
    uuid: Option<String>,
}

impl Source {
    /// Looks a UUID up in the inventories, and whatever is not there as every command does. [`None`] does not
    /// migrate.
    ///
    /// A device of one UUID can be on several hosts: one where it is and others where it is awaited.
    fn of<'a>(
        operand: &str,
        everything: impl Iterator<Item = Candidate<'a>>,
        context: &mut Context<'_>,
    ) -> Result<Option<Self>, Error> {
        if is_uuid(operand) {
            let is_it = |uuid: &str| uuid.eq_ignore_ascii_case(operand);
            let mut devices = everything.filter(|item| item.uuid().is_some_and(is_it));
            if let Some(device) = devices.next() {
                if let Some(other) = devices.find(|other| other.string != device.string) {
                    let why = format!(
                        "the devices of this UUID on {} and {} have different strings",
                        device.host, other.host
                    );
                    return Err(
                        Error::new(operand, why).hint("give the string of the one that is meant")
                    );
                }
                return Ok(Some(Self {
                    text: device.string.into(),
                    type_name: Some(device.type_name.to_owned()),
                    uuid: device.uuid().map(str::to_owned),
                }));
            }
        }
        let resolved = Resolved::of(operand.as_ref(), context)?;
        let Some(text) = resolved.text else {
            return Ok(None);
        };
        let mut source = Self {
            text,
            ..Self::default()
        };
        if let Some(dir) = resolved.attribute.as_deref().and_then(Path::parent) {
            let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
            // A device has a link to its type; a type is what is not a device.
            match fs::read_link(dir.join("mdev_type")) {
                Ok(link) => {
                    source.type_name = name(&link);
                    source.uuid = name(dir);
                }
                Err(_) if dir.join("available_instances").exists() => source.type_name = name(dir),
                Err(_) => {}
            }
        }
        Ok(Some(source))
    }
}

fn json(
    source: serde_json::Value,
    total: usize,
    found: &Found<'_>,
    context: &mut Context<'_>,
) -> io::Result<()> {
    let matches: Vec<_> = found
        .matches
        .iter()
        .map(|item| {
            let mut object = item.candidate.json();
            object["migration_version"] = item.candidate.string.into();
            object["same_type"] = item.is_same_type().into();
            object["equal"] = item.is_equal().into();
            object["could_return"] = item.could_return().into();
            object
        })
        .collect();
    let refused: Vec<_> = found
        .refused
        .iter()
        .map(|item| {
            let mut object = item.candidate.json();
            object["migration_version"] = item.candidate.string.into();
            object["refusal"] = item.why.json();
            object
        })
        .collect();
    let answer = json!({
        "schema": 1,
        "source": source,
        "total": total,
        "matches": matches,
        "refused": refused,
    });
    serde_json::to_writer_pretty(&mut *context.out, &answer)?;
    writeln!(context.out)
}

fn text(
    source: &Version<'_>,
    total: usize,
    found: &Found<'_>,
    context: &mut Context<'_>,
) -> io::Result<()> {
    let mut table = Table::new(["HOST", "PARENT", "TYPE", "DEVICE", "FREE", "NOTE"]);
    for item in &found.matches {
        table.row(line(&item.candidate, note(source, item)));
    }
    if !table.is_empty() {
        table.write(context.out, context.style)?;
    }
    match total.saturating_sub(found.matches.len()) {
        0 => {}
        more => writeln!(context.out, "and {more} more")?,
    }
    if total == 0 {
        let line = "nothing in the inventories can take it in";
        writeln!(
            context.err,
            "{} {line}",
            context.err_style.warning("migver:")
        )?;
    }
    if found.refused.is_empty() {
        return Ok(());
    }
    if total > 0 {
        writeln!(context.out)?;
    }
    let mut table = Table::new(["HOST", "PARENT", "TYPE", "DEVICE", "FREE", "REFUSED"]);
    for item in &found.refused {
        table.row(line(&item.candidate, refusal(item)));
    }
    table.write(context.out, context.style)
}

fn line(candidate: &Candidate<'_>, note: String) -> [String; 6] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        candidate.host.to_owned(),
        candidate.parent.to_owned(),
        candidate.type_name.to_owned(),
        or_dash(candidate.uuid().map(str::to_owned)),
        or_dash(candidate.available().map(|number| number.to_string())),
        note,
    ]
}

/// Says what is not the same there.
fn note(source: &Version<'_>, item: &Match<'_>) -> String {
    if item.is_equal() {
        return "equal".to_owned();
    }
    let mut notes = Vec::new();
    let (from, to) = (source.abi().minor, item.version.abi().minor);
    if from != to {
        notes.push(format!("abi {}", item.version.abi()));
    }
    let (from, to) = (source.stream(), item.version.stream());
    if from != to {
        notes.push(format!("stream {to}"));
    }
    for (from, to) in source.parameters().zip(item.version.parameters()) {
        if from != to {
            notes.push(to.to_string());
        }
    }
    let more: Vec<_> = item
        .version
        .takes()
        .filter(|name| !source.takes().any(|mine| mine == *name))
        .collect();
    if !more.is_empty() {
        notes.push(format!("takes {} more", more.join("+")));
    }
    if !item.could_return() {
        notes.push("no way back".to_owned());
    }
    notes.join(", ")
}

/// Says the first reason, and how many there are besides.
fn refusal(item: &Refused<'_>) -> String {
    let first = item.why.first();
    match item.why.count().saturating_sub(1) {
        0 => format!("{}: {first}", item.why.mark()),
        more => format!("{}: {first} (and {more} more)", item.why.mark()),
    }
}
