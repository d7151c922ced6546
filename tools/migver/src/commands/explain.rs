// SPDX-License-Identifier: GPL-2.0-only

//! `migver explain SRC DST`: field by field, both values, and what would make it work.

use crate::{
    advice,
    answer::Answer,
    operand::{
        self,
        Resolved, //
    },
    Context,
    Error,
    Outcome, //
};

use migver::{
    Extension,
    Field,
    ParseError,
    Reason,
    Verdict,
    Version, //
};

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io, //
};

const EXAMPLES: &str = "\
Examples:
  migver explain 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 node7:migdev-serial2
  migver explain saved.migver migdev-serial2 --color always | less -R";

/// Explain, field by field, whether a source can migrate to a destination, and what would make it work
///
/// The exit status is 0 if the source fits the destination, 1 if it does not, and 2 if there is no
/// answer, as one of the two cannot be read.
#[derive(clap::Args, Debug)]
#[command(after_help = operand::HELP, after_long_help = format!("{}\n\n{EXAMPLES}", operand::HELP))]
pub struct Args {
    /// Where the state comes from
    #[arg(value_name = "SRC")]
    pub source: OsString,
    /// Where it is to go
    #[arg(value_name = "DST")]
    pub destination: OsString,
}

/// Runs the command.
///
/// # Errors
///
/// If an operand cannot be resolved, and if the destination's string cannot be read.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let (source, destination) = operand::pair(&args.source, &args.destination, context)?;
    let answer = Answer::of(&source, &destination)?;
    head("source", &source, context)?;
    if let Answer::Unreadable(ParseError::Malformed { at, .. }) = answer {
        let mark = context.style.bad("^");
        writeln!(context.out, "{:width$}{mark}", "", width = INDENT + at)?;
    }
    head("destination", &destination, context)?;
    writeln!(context.out)?;
    if let Answer::Compared(verdict) = &answer {
        table(&rows(verdict), context)?;
        writeln!(context.out)?;
    }
    conclude(&answer, &source, context)?;
    Ok(Outcome::from_bool(answer.is_compatible()))
}

/// Where the strings begin, in columns.
const INDENT: usize = 13;

/// Writes what a side is, and its string below it if that is not the same.
fn head(name: &str, side: &Resolved, context: &mut Context<'_>) -> io::Result<()> {
    let (name, label) = (context.style.heading(name), shown(side.label.as_bytes()));
    writeln!(context.out, "{name:<INDENT$}{label}")?;
    match &side.text {
        Some(text) if *text != side.label.as_bytes() => {
            writeln!(context.out, "{:INDENT$}{}", "", shown(text))
        }
        _ => Ok(()),
    }
}

/// One column for each byte, so that an offset in bytes is one in columns.
fn shown(text: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    };
    text.iter().map(byte).collect()
}

/// A field, what both sides have there, and what speaks against it.
struct Row<'a> {
    field: Field<'a>,
    source: String,
    destination: String,
    reason: Option<Reason<'a>>,
}

/// Returns every field of both strings, in their order.
fn rows<'a>(verdict: &Verdict<'a>) -> Vec<Row<'a>> {
    let (source, destination) = (verdict.source(), verdict.destination());
    let row = |field, source: String, destination: String| Row {
        field,
        source,
        destination,
        reason: verdict.reasons().find(|reason| reason.field == field),
    };
    let plain = [
        (
            Field::Vendor,
            source.vendor().to_owned(),
            destination.vendor().to_owned(),
        ),
        (
            Field::Model,
            source.model().to_owned(),
            destination.model().to_owned(),
        ),
        (
            Field::Abi,
            source.abi().to_string(),
            destination.abi().to_string(),
        ),
        (Field::Stream, stream(source), stream(destination)),
    ];
    plain
        .into_iter()
        .chain(lists(source, destination))
        .map(|(field, source, destination)| row(field, source, destination))
        .collect()
}

fn stream(version: &Version<'_>) -> String {
    let stream = version.stream();
    format!(
        "writes {}, loads {}-{}",
        stream.writes, stream.oldest, stream.newest
    )
}

/// Returns the fields that a string may have several of, or none.
fn lists<'a>(
    source: &Version<'a>,
    destination: &Version<'a>,
) -> impl Iterator<Item = (Field<'a>, String, String)> {
    // By the kind of the field, then by its name.
    let mut fields: BTreeMap<(u8, &str), (Field<'a>, [String; 2])> = BTreeMap::new();
    for (side, version) in [source, destination].into_iter().enumerate() {
        let mut add = |kind, name, field, text: String| {
            let nothing = || (field, [const { String::new() }; 2]);
            let (_, texts) = fields.entry((kind, name)).or_insert_with(nothing);
            texts[side] = text;
        };
        for name in version.takes() {
            add(0, name, Field::Feature(name), "takes".to_owned());
        }
        // What is needed is taken too.
        for name in version.needs() {
            add(0, name, Field::Feature(name), "needs, takes".to_owned());
        }
        for parameter in version.parameters() {
            let text = format!("{}:{}", parameter.rule.as_str(), parameter.value);
            add(1, parameter.name, Field::Parameter(parameter.name), text);
        }
        for Extension {
            name,
            marking,
            value,
        } in version.extensions()
        {
            let text = format!("{}:{value}", marking.as_str());
            add(2, name, Field::Extension(name), text);
        }
    }
    fields.into_values().map(|(field, [source, destination])| {
        let or_none = |text: String| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text
            }
        };
        (field, or_none(source), or_none(destination))
    })
}

fn table(rows: &[Row<'_>], context: &mut Context<'_>) -> io::Result<()> {
    let style = context.style;
    let width = |head: &str, text: &dyn Fn(&Row<'_>) -> usize| {
        rows.iter().map(text).max().unwrap_or(0).max(head.len())
    };
    let field = width("FIELD", &|row| row.field.to_string().len());
    let source = width("SOURCE", &|row| row.source.len());
    let destination = width("DESTINATION", &|row| row.destination.len());
    let head = format!("    {:field$}  {:source$}  DESTINATION", "FIELD", "SOURCE");
    writeln!(context.out, "{}", style.heading(head))?;
    for row in rows {
        let text = format!("{:field$}  {:source$}", row.field.to_string(), row.source);
        match row.reason {
            None => {
                let mark = style.good(format!("{:2}", style.yes()));
                writeln!(context.out, "{mark}  {text}  {}", row.destination)?;
            }
            Some(reason) => {
                let mark = style.bad(format!("{:2}", style.no()));
                let (text, why) = (style.bad(text), style.bad(reason.fault));
                let end = style.bad(format!("{:destination$}", row.destination));
                writeln!(context.out, "{mark}  {text}  {end}  {why}")?;
            }
        }
    }
    Ok(())
}

/// Writes the verdict, and what would change it.
fn conclude(answer: &Answer<'_>, source: &Resolved, context: &mut Context<'_>) -> io::Result<()> {
    let style = context.style;
    if answer.is_compatible() {
        return writeln!(context.out, "{}", style.good("compatible"));
    }
    let verdict = match answer.class() {
        Some(class) => format!("not compatible: {} ({class})", class.errno_name()),
        None => "not compatible".to_owned(),
    };
    writeln!(context.out, "{}", style.bad(verdict))?;
    let verdict = match answer {
        Answer::Compared(verdict) => verdict,
        _ => {
            let findings = answer.findings();
            return findings
                .iter()
                .try_for_each(|finding| writeln!(context.out, "  {finding}"));
        }
    };
    let hold = advice::hold(verdict, source.attribute.as_deref());
    writeln!(
        context.out,
        "\n{}",
        style.heading("What would make it work")
    )?;
    for reason in verdict.reasons() {
        let field = style.heading(reason.field);
        writeln!(
            context.out,
            "- {field}: {}",
            advice::advice(&reason, hold.is_some())
        )?;
    }
    if let Some(hold) = hold {
        writeln!(
            context.out,
            "\n{}",
            style.heading("To hold the source's type at a baseline")
        )?;
        writeln!(
            context.out,
            "  {hold}\nbefore the device is created; devices that exist keep what they are."
        )?;
    }
    Ok(())
}
