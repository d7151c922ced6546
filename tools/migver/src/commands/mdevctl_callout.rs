// SPDX-License-Identifier: GPL-2.0-only

//! What mdevctl's callout runs.

use crate::{
    exit::os_text,
    mdevctl::{
        self,
        Answer,
        Question, //
    },
    Context,
    Error,
    Outcome, //
};

/// Answer mdevctl's callouts: start no device that a pinned migration_version does not fit
///
/// mdevctl runs this through /usr/lib/mdevctl/scripts.d/callouts, with the device's definition on
/// standard input. A definition with the attribute migration_version is started only if the type
/// takes that string: else the reason goes to standard error and the status is 1. `mdevctl list`
/// shows the string of each device that exists. The status is 2 for types of other drivers.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The device's type
    #[arg(short = 't', value_name = "TYPE", allow_hyphen_values = true)]
    pub type_name: String,
    /// When: pre, post, get, live or notify
    #[arg(short = 'e', value_name = "EVENT")]
    pub event: String,
    /// What is done: start, stop, define, undefine, modify, attributes or capabilities
    #[arg(short = 'a', value_name = "ACTION")]
    pub action: String,
    /// How it went: none, success or failure
    #[arg(short = 's', value_name = "STATE")]
    pub state: Option<String>,
    /// The device's UUID
    #[arg(short = 'u', value_name = "UUID", allow_hyphen_values = true)]
    pub uuid: String,
    /// The device's parent
    #[arg(short = 'p', value_name = "PARENT", allow_hyphen_values = true)]
    pub parent: String,
}

/// Runs the command.
///
/// # Errors
///
/// Never with an [`Error`]: its status, 2, would tell mdevctl to go on without the gate. What goes
/// wrong is written to standard error, and the answer is no.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let question = Question {
        type_name: &args.type_name,
        event: &args.event,
        action: &args.action,
        uuid: &args.uuid,
        parent: &args.parent,
    };
    let answer = mdevctl::answer(
        &context.sysfs,
        &question,
        &mut *context.input,
        &mut *context.out,
        &mut *context.err,
    );
    Ok(match answer {
        Ok(Answer::GoOn) => Outcome::Yes,
        Ok(Answer::Stop) => Outcome::No,
        Ok(Answer::NotOurs) => Outcome::NotOurs,
        Err(error) => {
            // If nobody can be told, the status still says it.
            let _ = writeln!(context.err, "{}", os_text(&error));
            Outcome::No
        }
    })
}
