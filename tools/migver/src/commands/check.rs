// SPDX-License-Identifier: GPL-2.0-only

//! `migver check SRC DST`: the verdict, and every reason against it, tersely.

use crate::{
    answer::Answer,
    exit::os_text,
    host::attribute,
    operand::{
        self,
        Resolved, //
    },
    Context,
    Error,
    Outcome, //
};

use migver::Class;

use std::{
    ffi::OsString,
    path::Path, //
};

const EXAMPLES: &str = "\
Examples:
  migver check 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 node7:migdev-serial2
      Can this device move to a new device of that type on node7?
  migver check node6:0000:00:05.0/migdev-serial2 0000:00:05.0/migdev-serial2
      Would what is created there be accepted here?
  ssh node6 cat /sys/bus/mdev/devices/*/migration_version | migver check - migdev-serial2
      The first string that comes from somewhere else, against a type of this host.
  migver check --kernel saved.migver migdev-serial2
      Ask the kernel as well.";

/// Tell whether a source can migrate to a destination
///
/// Prints 'compatible', or every reason against it, one a line. The exit status is 0 if the source fits
/// the destination, 1 if it does not, and 2 if there is no answer, as one of the two cannot be read.
#[derive(clap::Args, Debug)]
#[command(after_help = operand::HELP, after_long_help = format!("{}\n\n{EXAMPLES}", operand::HELP))]
pub struct Args {
    /// Where the state comes from
    #[arg(value_name = "SRC")]
    pub source: OsString,
    /// Where it is to go
    #[arg(value_name = "DST")]
    pub destination: OsString,
    /// Print nothing, only exit with the status
    #[arg(short, long, conflicts_with = "json")]
    pub quiet: bool,
    /// Print the answer as one JSON object
    ///
    /// Its keys: schema (1); verdict (compatible or incompatible); kind of migration that is possible (live
    /// or none); class and errno of a refusal, else null; reasons, objects with field, name, source,
    /// destination, fault, side, class, errno and text; source and destination, objects with operand and
    /// migration_version; with --kernel also kernel, an object with verdict, class and errno. Keys may be
    /// added.
    #[arg(long)]
    pub json: bool,
    /// Ask the kernel too: write the source's string to the destination's migration_version
    ///
    /// The destination must be on this host. It is an error if the kernel's verdict is another than
    /// migver's. Nothing is changed by asking.
    #[arg(long)]
    pub kernel: bool,
}

/// Runs the command.
///
/// # Errors
///
/// If an operand cannot be resolved, if the destination's string cannot be read, and if the kernel
/// cannot be asked or disagrees.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let (source, destination) = operand::pair(&args.source, &args.destination, context)?;
    let answer = Answer::of(&source, &destination)?;
    let kernel = match &destination.attribute {
        _ if !args.kernel => None,
        Some(path) if is_below(path, &context.sysfs) => Some(Kernel::ask(&source, path)?),
        _ => return Err(not_asked(&destination)),
    };
    if args.json {
        let mut object = answer.json(&source, &destination);
        if let Some(kernel) = &kernel {
            object["kernel"] = kernel.json();
        }
        serde_json::to_writer_pretty(&mut *context.out, &object).map_err(std::io::Error::from)?;
        writeln!(context.out)?;
    } else if !args.quiet {
        tell(&answer, kernel.as_ref(), context)?;
    }
    if let Some(kernel) = kernel {
        kernel.agree(&answer, &destination)?;
    }
    Ok(Outcome::from_bool(answer.is_compatible()))
}

fn tell(
    answer: &Answer<'_>,
    kernel: Option<&Kernel>,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let style = context.style;
    for finding in answer.findings() {
        writeln!(context.out, "{}", style.bad(finding))?;
    }
    if answer.is_compatible() {
        writeln!(context.out, "{}", style.good("compatible"))?;
    }
    if let Some(kernel) = kernel {
        writeln!(context.out, "kernel: {}", kernel.text())?;
    }
    Ok(())
}

/// What the kernel of this host answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Kernel(Option<Class>);

impl Kernel {
    /// Asks: writes the source's string to the destination's attribute.
    fn ask(source: &Resolved, path: &Path) -> Result<Self, Error> {
        let Some(text) = &source.text else {
            return Err(Error::new(
                &source.label,
                "there is no string to ask the kernel with",
            ));
        };
        let error = match attribute::write(path, text) {
            Ok(()) => return Ok(Self(None)),
            Err(error) => error,
        };
        let class = error
            .raw_os_error()
            .and_then(|errno| Class::ALL.into_iter().find(|class| class.errno() == errno));
        match class {
            Some(class) => Ok(Self(Some(class))),
            None => Err(Error::new(
                path.display(),
                format_args!("the kernel cannot be asked: {}", os_text(&error)),
            )
            .hint("only who may write to the attribute can ask, usually root")),
        }
    }

    fn text(self) -> String {
        match self.0 {
            None => "compatible".to_owned(),
            Some(class) => format!("refuses with {} ({class})", class.errno_name()),
        }
    }

    fn json(self) -> serde_json::Value {
        serde_json::json!({
            "verdict": if self.0.is_none() { "compatible" } else { "incompatible" },
            "class": self.0.map(Class::name),
            "errno": self.0.map(Class::errno_name),
        })
    }

    /// Fails if the kernel's verdict is not ours.
    fn agree(self, answer: &Answer<'_>, destination: &Resolved) -> Result<(), Error> {
        if self == Self(answer.class()) {
            return Ok(());
        }
        let ours = Self(answer.class()).text();
        let why = format!(
            "the kernel and migver disagree: kernel: {}; migver: {ours}",
            self.text()
        );
        Err(Error::new(&destination.label, why).hint(
            "the kernel decides; was the type's baseline changed in between? Else one of the two is wrong",
        ))
    }
}

/// Whether a file is one of this sysfs. Any other would be overwritten by asking.
fn is_below(path: &Path, sysfs: &Path) -> bool {
    match (path.canonicalize(), sysfs.canonicalize()) {
        (Ok(path), Ok(sysfs)) => path.starts_with(sysfs),
        _ => false,
    }
}

fn not_asked(destination: &Resolved) -> Error {
    let why = match destination.text {
        Some(_) => "only a type or device of this host can be asked with --kernel",
        None => "it does not migrate, so there is nothing to ask the kernel with --kernel",
    };
    Error::new(&destination.label, why).hint("leave out --kernel for the verdict of migver alone")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str) -> Result<Kernel, Error> {
        let source = Resolved {
            label: "source".to_owned(),
            text: Some(b"migver:1".to_vec()),
            attribute: None,
        };
        Kernel::ask(&source, Path::new(path))
    }

    #[test]
    fn an_errno_of_the_kernel_is_a_class() {
        // This attribute of every kernel takes numbers only, and so answers EINVAL.
        let kernel = ask("/proc/self/oom_score_adj").unwrap();
        assert_eq!(kernel, Kernel(Some(Class::Malformed)));
        assert_eq!(ask("/dev/null").unwrap(), Kernel(None));
    }

    #[test]
    fn another_errno_is_no_verdict() {
        for (path, why) in [
            ("/dev/full", "No space left on device"),
            ("/dev/null/none", "Not a directory"),
        ] {
            let error = ask(path).unwrap_err();
            assert_eq!(error.why(), format!("the kernel cannot be asked: {why}"));
        }
    }
}
