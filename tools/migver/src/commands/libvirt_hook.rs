// SPDX-License-Identifier: GPL-2.0-only

//! What libvirt's hook of QEMU runs.

use crate::{
    exit::os_text,
    libvirt::{
        config,
        hook::{
            self,
            Event,
            Surroundings, //
        },
        xml,
        Config, //
    },
    Context,
    Error,
    Outcome, //
};

use std::{
    io::{
        self,
        Read, //
    },
    path::PathBuf,
    sync::{
        atomic::AtomicBool,
        Arc, //
    }, //
};

/// The signals that ask a process to end.
const SIGNALS: [i32; 3] = [
    signal_hook::consts::SIGHUP,
    signal_hook::consts::SIGINT,
    signal_hook::consts::SIGTERM,
];

/// Answer libvirt's QEMU hook: give a domain that comes here devices that can take its own in
///
/// libvirt runs this through /etc/libvirt/hooks/qemu.d, with the domain's XML on standard input.
/// For a domain that is migrated here or restored, each mdev that its metadata names is looked
/// for: a device of the same UUID, another one that is free, or a new one. The kernel is asked
/// before and after. The domain's XML with the devices' UUIDs is printed, or the reason why there
/// is none, with status 1, which makes libvirt refuse; then nothing that was created stays. When
/// the domain has ended, what was created for it is removed. A domain without an mdev passes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Files:
  /etc/migdev/libvirt-hook.toml
      The configuration; each key is explained there.
  /var/log/migdev/libvirt-hook.log
      What was given to which domain, and why not.
  /run/migdev
      What was created for which domain.")]
pub struct Args {
    /// The domain's name
    #[arg(allow_hyphen_values = true)]
    pub domain: String,
    /// What happens to the domain: `migrate`, `restore`, `prepare`, `release`; others pass
    pub operation: String,
    /// Where in it: `begin` or `end`
    pub sub_operation: String,
    /// More of libvirt's words, which are not needed
    #[arg(allow_hyphen_values = true, num_args = 0..)]
    pub extra: Vec<String>,
    /// Read the configuration here
    #[arg(long, value_name = "FILE", default_value = config::PATH)]
    pub config: PathBuf,
    /// Read procfs here
    #[arg(long, value_name = "DIR", default_value = "/proc", hide = true)]
    pub proc: PathBuf,
}

/// Runs the command.
///
/// # Errors
///
/// If the XML or the configuration cannot be read, or the host cannot be asked.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let stdin = |error: io::Error| Error::new("standard input", os_text(&error));
    let Some(event) = Event::of(&args.operation, &args.sub_operation) else {
        io::copy(&mut context.input, &mut io::sink()).map_err(stdin)?;
        return Ok(Outcome::Yes);
    };
    // One byte more than is taken, so that what is too long shows.
    let limit = u64::try_from(xml::MAX_LEN).map_or(u64::MAX, |limit| limit.saturating_add(1));
    let mut text = Vec::new();
    (&mut *context.input)
        .take(limit)
        .read_to_end(&mut text)
        .map_err(stdin)?;
    let config = match Config::read(&args.config) {
        Ok(config) => config,
        // A mistake in it is not to keep domains from starting that it says nothing of.
        Err(_) if xml::parse(&text).is_ok_and(|domain| domain.mdevs.is_empty()) => {
            return Ok(Outcome::Yes);
        }
        Err(error) => return Err(error),
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|error| Error::new("signals", os_text(&error)))?;
    }
    let surroundings = Surroundings {
        sysfs: &context.sysfs,
        proc: &args.proc,
        config: &config,
        interrupted,
    };
    hook::handle(
        event,
        &args.domain,
        &text,
        &surroundings,
        &mut *context.out,
        &mut *context.err,
    )
}
