// SPDX-License-Identifier: GPL-2.0-only
//! A vfio client that tries what a device promises, and tells the result as KTAP.
//!
//! Without a subcommand it runs its cases; the subcommands are small tools for the shell scripts
//! beside it, which need an errno by name, a device that stays open, or the kernel's uevents.

mod attrs;
mod cases;
mod tools;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cases::{Case, World};
use vfio_client::device::Access;
use vfio_client::ktap::{Report, CASE_LIMIT};
use vfio_client::sysfs::{Mdev, MdevType};

/// Tries what a vfio device promises, and tells the result as KTAP on standard output.
///
/// Each case runs on a mediated device that the client creates, once for every type and every
/// path asked for. The exit status is 0 when no case failed.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    tool: Option<Tool>,
}

#[derive(Args)]
struct RunArgs {
    /// How the device is opened.
    #[arg(long, value_enum, default_value_t = PathArg::Both)]
    path: PathArg,
    /// Runs only the cases whose full name contains this.
    #[arg(long, value_name = "STR", default_value = "")]
    filter: String,
    /// Prints the names of the cases and runs none.
    #[arg(long)]
    list: bool,
    /// Uses this device instead of creating one.
    #[arg(long, value_name = "UUID", conflicts_with = "type")]
    uuid: Option<String>,
    /// Uses only this type; may be repeated.
    #[arg(long, value_name = "TYPE")]
    r#type: Vec<String>,
    /// The parent, by its name in /sys/class/mdev_bus.
    #[arg(long, value_name = "NAME", default_value = "migdev")]
    parent: String,
    /// How long one case may take, where the default is too short for a slow kernel.
    #[arg(long, value_name = "SECONDS", default_value_t = CASE_LIMIT.as_secs())]
    case_limit: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum PathArg {
    /// /dev/vfio/GROUP and a type 1 container.
    Group,
    /// /dev/vfio/devices/vfioN and /dev/iommu.
    Cdev,
    /// One after the other.
    Both,
}

impl PathArg {
    fn ways(self) -> &'static [(&'static str, Access)] {
        match self {
            PathArg::Group => &[("group", Access::Group)],
            PathArg::Cdev => &[("cdev", Access::Cdev)],
            PathArg::Both => &[("group", Access::Group), ("cdev", Access::Cdev)],
        }
    }
}

#[derive(Subcommand)]
enum Tool {
    /// Reads and writes files as NUL-terminated requests on standard input ask.
    ///
    /// A request is five fields: `read` or `write`, the path, the offset, the number of the user who opens the file,
    /// and the number of bytes to read or the bytes to write. The answer is `ok` and a space and the text or the
    /// count, or the name of the errno.
    Attrs,
    /// Opens a device, prints `open`, and keeps it until standard input ends.
    Hold(tools::Hold),
    /// Prints the kernel's uevents, one a line, for some seconds.
    Uevents(tools::Uevents),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.tool {
        Some(Tool::Attrs) => attrs::serve(),
        Some(Tool::Hold(tool)) => tool.run(),
        Some(Tool::Uevents(tool)) => tool.run(),
        None if cli.run.list => {
            list(&cli.run.filter);
            true
        }
        None => run(&cli.run),
    };
    if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn list(filter: &str) {
    for (group, case) in cases::all() {
        let name = format!("{group}.{}", case.name);
        if name.contains(filter) {
            println!("{name}");
        }
    }
}

fn run(args: &RunArgs) -> bool {
    let devices = match devices(args) {
        Ok(devices) => devices,
        Err(text) => {
            println!("KTAP version 1\n1..1\n# {text}\nnot ok 1 there is a device to try");
            return false;
        }
    };
    let mut planned: Vec<(String, World<'_>, &Case)> = Vec::new();
    for (mdev, ports) in &devices {
        for (way, access) in args.path.ways() {
            for (group, case) in cases::of(mdev.kind().migrates()) {
                let name = format!("{} {way} {group}.{}", mdev.kind().name(), case.name);
                let (access, ports) = (*access, *ports);
                if name.contains(&args.filter) {
                    let world = World {
                        mdev,
                        access,
                        ports,
                    };
                    planned.push((name, world, case));
                }
            }
        }
    }
    let mut report = Report::start_with_limit(planned.len(), Duration::from_secs(args.case_limit));
    for (name, world, case) in &planned {
        report.run(name, || (case.run)(world));
    }
    report.finish()
}

/// The devices to try, each with its number of ports: the one that was named, or a new one of each type.
fn devices(args: &RunArgs) -> Result<Vec<(Mdev, usize)>, String> {
    if let Some(uuid) = &args.uuid {
        let mdev =
            Mdev::existing(uuid).map_err(|errno| format!("no mediated device {uuid}: {errno}"))?;
        let ports = ports(mdev.kind())?;
        return Ok(vec![(mdev, ports)]);
    }
    let mut kinds = MdevType::all(&args.parent)
        .map_err(|errno| format!("no mdev parent {}: {errno}", args.parent))?;
    if !args.r#type.is_empty() {
        for name in &args.r#type {
            if !kinds.iter().any(|kind| kind.name() == *name) {
                return Err(format!("{} has no type {name}", args.parent));
            }
        }
        kinds.retain(|kind| args.r#type.contains(&kind.name()));
    }
    kinds
        .iter()
        .map(|kind| {
            let ports = ports(kind)?;
            let mdev = Mdev::create(kind)
                .map_err(|errno| format!("no device of {}: {errno}", kind.name()))?;
            Ok((mdev, ports))
        })
        .collect()
}

/// The number of ports of a device of this type.
fn ports(kind: &MdevType) -> Result<usize, String> {
    kind.ports().ok_or_else(|| {
        format!(
            "how many ports {} has is not known: sysfs.rs lists the types",
            kind.name()
        )
    })
}
