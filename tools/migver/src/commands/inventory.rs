// SPDX-License-Identifier: GPL-2.0-only

//! `migver inventory`: what this host offers, to be decided upon elsewhere.

use crate::{
    fleet,
    host,
    inventory::{
        nfd,
        traits, //
    },
    Context,
    Error,
    Outcome, //
};

use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  migver inventory >node7.json
  for h in node1 node2; do ssh $h migver inventory; done >fleet.json
      What 'migver find' and 'migver matrix' read.
  migver inventory --format nfd >/etc/kubernetes/node-feature-discovery/features.d/migver
  migver inventory --format traits --from fleet.json";

/// Write down what this host offers: its parents, types and devices, with their version strings
///
/// The JSON has a schema number; fields may be added to a schema, so pass over those that you do not
/// know. The time in it is that of SOURCE_DATE_EPOCH, if that is set.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to write
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub format: Format,
    /// Take the inventories of this file or directory instead of this host's; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "host")]
    pub from: Option<PathBuf>,
    /// The name of this host, instead of the one that its kernel knows
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
}

/// The forms of an inventory.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// JSON, for migver and for programs
    Json,
    /// Labels of a Kubernetes node: a feature file for Node Feature Discovery
    Nfd,
    /// Custom traits of OpenStack Placement, for each type of each parent
    Traits,
}

/// Runs the command.
///
/// # Errors
///
/// If sysfs or the file cannot be read.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let inventories = match &args.from {
        Some(path) => fleet::load(std::slice::from_ref(path), context.input)?,
        None => vec![host::inventory(&context.sysfs, args.host.as_deref())?],
    };
    match args.format {
        Format::Json => {
            for inventory in inventories {
                inventory.write(&mut *context.out)?;
            }
        }
        Format::Nfd => match inventories.as_slice() {
            [inventory] => nfd::write(inventory, context.out)?,
            several => {
                let why = format!("{} hosts, and a node's labels are of one", several.len());
                return Err(Error::new("nfd", why).hint("run it on each host"));
            }
        },
        Format::Traits => traits::write(&inventories, context.out)?,
    }
    Ok(Outcome::Yes)
}
