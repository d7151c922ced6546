// SPDX-License-Identifier: GPL-2.0-only

//! `migver libvirt-stamp`: the strings of a domain's mdevs go into its metadata.

use crate::{
    libvirt::{
        stamp::{
            stamp,
            Change,
            Stamp,
            Task,
            Told, //
        },
        virsh::Virsh, //
    },
    text::printable,
    Context,
    Error,
    Outcome, //
};

use std::ffi::OsString;

/// Put the version strings of a domain's mdevs into its metadata
///
/// The domain then carries them along when it is migrated or saved, and migver's hook finds
/// devices for it where it arrives. Run this on the host that has the devices, after a domain has
/// been given one. What the metadata says already is not written again; the strings of devices that
/// do not exist now stay as they are. The status is 1 if there is an mdev that has no string.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  migver libvirt-stamp guest
  migver libvirt-stamp --all --dry-run")]
pub struct Args {
    /// The domains: names, UUIDs or numbers, as virsh takes them
    #[arg(
        value_name = "DOMAIN",
        required_unless_present = "all",
        allow_hyphen_values = false
    )]
    pub domains: Vec<String>,
    /// Every domain that runs or is defined
    #[arg(long, conflicts_with = "domains")]
    pub all: bool,
    /// The libvirt of this host to talk to
    #[arg(long, value_name = "URI")]
    pub uri: Option<String>,
    /// Only tell what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Take the strings out of the metadata
    #[arg(long)]
    pub remove: bool,
    /// The program that talks to libvirt
    #[arg(
        long,
        value_name = "PROGRAM",
        default_value = "virsh",
        env = "MIGVER_VIRSH"
    )]
    pub virsh: OsString,
}

/// Runs the command.
///
/// # Errors
///
/// If virsh fails for one of the domains, or what it prints cannot be read.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let virsh = Virsh {
        program: args.virsh.clone(),
        uri: args.uri.clone(),
    };
    let all;
    let domains = if args.all {
        all = virsh.domains()?;
        &all
    } else {
        &args.domains
    };
    let sysfs = context.sysfs.clone();
    let task = Task {
        sysfs: &sysfs,
        virsh: &virsh,
        remove: args.remove,
        dry_run: args.dry_run,
    };
    let mut complete = true;
    let mut failed: Option<Error> = None;
    for domain in domains {
        let stamps = stamp(task, domain).unwrap_or_else(|error| {
            // The others are stamped all the same. The last error is told when all is done.
            if let Some(before) = failed.replace(error) {
                context.warn(&before);
            }
            Vec::new()
        });
        for stamp in stamps {
            tell(args, context, domain, &stamp)?;
            complete &= args.remove
                || stamp
                    .mdevs
                    .iter()
                    .all(|mdev| mdev.version.version().is_some());
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(Outcome::from_bool(complete)),
    }
}

/// Tells what was done in one place, and each device there.
fn tell(args: &Args, context: &mut Context<'_>, domain: &str, stamp: &Stamp) -> Result<(), Error> {
    if stamp.mdevs.is_empty() && stamp.change == Change::Unchanged {
        // With --all, most domains have no mdev.
        if !args.all {
            writeln!(context.out, "{domain} ({}): no mdev", stamp.scope)?;
        }
        return Ok(());
    }
    let would = if args.dry_run && stamp.change != Change::Unchanged {
        "would be "
    } else {
        ""
    };
    let domain = printable(domain);
    let Stamp { scope, change, .. } = stamp;
    writeln!(context.out, "{domain} ({scope}): {would}{change}")?;
    for mdev in &stamp.mdevs {
        let what = match &mdev.version {
            Told::ByDevice(version) => version.clone(),
            Told::ByMetadata(version) => {
                format!(
                    "{} (as stamped: the device does not exist now)",
                    printable(version)
                )
            }
            Told::DoesNotMigrate => "the device does not migrate".to_owned(),
            Told::Nothing => "the device does not exist".to_owned(),
        };
        writeln!(context.out, "  {} {what}", mdev.uuid)?;
    }
    Ok(())
}
