// SPDX-License-Identifier: GPL-2.0-only

//! `migver show`: what this host has, as a table for people, or as an inventory.

use crate::{
    fleet::Table,
    host,
    inventory::Inventory,
    operand::Operand,
    style::Palette,
    Context,
    Error,
    Outcome, //
};

use std::{
    ffi::{
        OsStr,
        OsString, //
    },
    fs,
    io::{
        self,
        Write, //
    },
    path::Path, //
};

const EXAMPLES: &str = "\
Examples:
  migver show
      Everything there is on this host.
  migver show migdev-serial2
      This type under every parent, and its devices.
  migver show 0000:00:05.0
      One parent.
  migver show --json | jq -r '.devices[].uuid'
      For a program: the same JSON as of 'migver inventory'.";

/// Show the parents, types and devices of this host with their version strings
///
/// Exit status 1 means that there are none.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Show only these: PARENT, TYPE, PARENT/TYPE, a UUID, or the path of one of their directories in
    /// sysfs
    #[arg(value_name = "WHAT")]
    pub what: Vec<OsString>,
    /// Print an inventory as JSON
    #[arg(long)]
    pub json: bool,
    /// The name of this host in the JSON, instead of the one that its kernel knows
    #[arg(long, value_name = "NAME", requires = "json")]
    pub host: Option<String>,
}

/// Runs the command.
///
/// # Errors
///
/// If sysfs cannot be read, or if something named is not there.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let sysfs = &context.sysfs;
    let selection = args
        .what
        .iter()
        .map(|what| Selector::of(what))
        .collect::<Result<Vec<_>, _>>()?;
    // The name is not shown in the tables, so none is asked for.
    let host = if args.json {
        args.host.as_deref()
    } else {
        Some("-")
    };
    let mut inventory = host::inventory(sysfs, host)?;
    select(&mut inventory, &selection)?;
    if args.json {
        inventory.write(&mut *context.out)?;
    } else {
        tables(&inventory, context.out, context.style)?;
    }
    let some = !inventory.parents.is_empty() || !inventory.devices.is_empty();
    if !some {
        let note = Error::new(context.sysfs.display(), "there are no mdev parents")
            .hint("is the driver of a device loaded, and its card there?");
        context.warn(&note);
    }
    Ok(Outcome::from_bool(some))
}

/// What is to be shown.
#[derive(Debug)]
struct Selector {
    /// As it was given.
    label: String,
    device: Option<String>,
    parent: Option<String>,
    /// A type; where there is no parent with it, also the name of a parent.
    name: Option<String>,
}

impl Selector {
    fn of(what: &OsStr) -> Result<Self, Error> {
        let label = what.to_string_lossy().into_owned();
        let none = Self {
            label,
            device: None,
            parent: None,
            name: None,
        };
        match Operand::parse(what)? {
            Operand::Device(uuid) => Ok(Self {
                device: Some(uuid),
                ..none
            }),
            Operand::Type { parent, name } => Ok(Self {
                parent,
                name: Some(name),
                ..none
            }),
            Operand::Path(path) => none.directory(&path),
            Operand::Text(_) | Operand::Stdin | Operand::Remote(_) => {
                Err(Error::new(none.label, "not something of this host")
                    .hint("name a PARENT, a TYPE, a UUID or a directory of sysfs"))
            }
        }
    }

    /// Takes a directory of sysfs for what it is of.
    fn directory(self, path: &Path) -> Result<Self, Error> {
        let path = fs::canonicalize(path)
            .map_err(|error| Error::new(&self.label, crate::exit::os_text(&error)))?;
        let name = |path: Option<&Path>| {
            path.and_then(Path::file_name)
                .map(|name| name.to_string_lossy().into_owned())
        };
        let itself = name(Some(&path));
        if path.join("mdev_type").exists() {
            Ok(Self {
                device: itself,
                ..self
            })
        } else if path.join("available_instances").exists() {
            Ok(Self {
                parent: name(path.parent().and_then(Path::parent)),
                name: itself,
                ..self
            })
        } else if host::types_dir(&path).is_dir() {
            Ok(Self {
                parent: itself,
                ..self
            })
        } else {
            Err(Error::new(
                self.label,
                "not the directory of an mdev parent, type or device",
            ))
        }
    }

    fn takes_type(&self, parent: &str, name: &str) -> bool {
        match (&self.device, &self.parent, &self.name) {
            (Some(_), _, _) => false,
            (None, Some(owner), Some(wanted)) => owner == parent && wanted == name,
            (None, Some(owner), None) => owner == parent,
            (None, None, Some(wanted)) => wanted == name || wanted == parent,
            (None, None, None) => false,
        }
    }

    fn takes_parent(&self, parent: &str) -> bool {
        let (owner, name) = (self.parent.as_deref(), self.name.as_deref());
        self.device.is_none()
            && (owner == Some(parent) && name.is_none() || owner.is_none() && name == Some(parent))
    }
}

/// Leaves in the inventory only what is selected, and everything if nothing is.
fn select(inventory: &mut Inventory, selection: &[Selector]) -> Result<(), Error> {
    for selector in selection {
        let found = inventory
            .parents
            .iter()
            .any(|parent| selector.takes_parent(&parent.name))
            || inventory
                .types()
                .any(|(parent, item)| selector.takes_type(&parent.name, &item.name))
            || inventory
                .devices
                .iter()
                .any(|device| selector.device.as_ref() == Some(&device.uuid));
        if !found {
            return Err(Error::new(
                &selector.label,
                "there is no such parent, type or device here",
            )
            .hint("'migver show' without it lists everything there is"));
        }
    }
    if selection.is_empty() {
        return Ok(());
    }
    let any = |takes: &dyn Fn(&Selector) -> bool| selection.iter().any(takes);
    inventory.devices.retain(|device| {
        any(&|selector| {
            selector.device.as_ref() == Some(&device.uuid)
                || selector.takes_type(&device.parent, &device.type_name)
        })
    });
    for parent in &mut inventory.parents {
        let owner = &parent.name;
        parent
            .types
            .retain(|item| any(&|selector| selector.takes_type(owner, &item.name)));
    }
    inventory
        .parents
        .retain(|parent| !parent.types.is_empty() || any(&|item| item.takes_parent(&parent.name)));
    Ok(())
}

fn tables(inventory: &Inventory, out: &mut dyn Write, style: Palette) -> io::Result<()> {
    const IMMOBILE: &str = "(does not migrate)";
    let version = |text: &Option<String>| text.clone().unwrap_or_else(|| IMMOBILE.to_owned());
    let mut types = Table::new([
        "PARENT",
        "TYPE",
        "API",
        "FREE",
        "BASELINE",
        "MIGRATION VERSION",
    ]);
    for parent in &inventory.parents {
        if parent.types.is_empty() {
            let [a, b, c, d] = [const { String::new() }; 4];
            types.row([parent.name.clone(), "(no types)".into(), a, b, c, d]);
        }
        for item in &parent.types {
            types.row([
                parent.name.clone(),
                item.name.clone(),
                item.device_api.clone(),
                item.available_instances.to_string(),
                item.migration_baseline
                    .clone()
                    .unwrap_or_else(|| "-".into()),
                version(&item.migration_version),
            ]);
        }
    }
    let mut devices = Table::new(["DEVICE", "PARENT", "TYPE", "MIGRATION VERSION"]);
    for device in &inventory.devices {
        devices.row([
            device.uuid.clone(),
            device.parent.clone(),
            device.type_name.clone(),
            version(&device.migration_version),
        ]);
    }
    if !types.is_empty() {
        types.write(out, style)?;
    }
    if !types.is_empty() && !devices.is_empty() {
        writeln!(out)?;
    }
    if !devices.is_empty() {
        devices.write(out, style)?;
    }
    Ok(())
}
