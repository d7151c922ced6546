// SPDX-License-Identifier: GPL-2.0-only

//! What is in a saved migration stream.

use crate::{
    exit::os_text,
    saved::{
        fields,
        search,
        Field,
        FieldValue,
        Found,
        SavedRecord,
        Stream,
        Summary, //
    },
    style::Palette,
    text::printable,
    Context,
    Error,
    Outcome, //
};

use migdev_migration::stream::MANDATORY;
use serde_json::{
    json,
    Value, //
};

use std::{
    fs::File,
    io::{
        self,
        Read,
        Write, //
    },
    path::PathBuf, //
};

/// Show what is in a saved migration stream
///
/// FILE is a stream, or has streams somewhere in it: a save image of libvirt, or what QEMU's `migrate file:` wrote.
/// Each is told with its place in the file, its version string, its records field by field, and what a destination
/// would refuse it for.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  migver stream card.stream
  virsh save guest guest.save && migver stream guest.save
  migver stream - --json <card.stream

Exit status: 0 if every stream is whole and right, 1 if one is not or if there is none, 2 if FILE cannot be read.")]
pub struct Args {
    /// The file; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the command. It answers yes if there is a stream and nothing is wrong with any.
///
/// # Errors
///
/// The file cannot be read.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let name = args.file.display().to_string();
    let cannot = |error: io::Error| Error::new(&name, os_text(&error));
    let (out, style) = (&mut *context.out, context.style);
    let mut all_right = true;
    let mut first = true;
    if args.json {
        write!(out, "{{\"schema\":1,\"streams\":[")?;
    }
    let mut tell = |found: Found| {
        all_right &= found.stream.problems.is_empty();
        if args.json {
            writeln!(out, "{}", if first { "" } else { "," })?;
            serde_json::to_writer_pretty(&mut *out, &stream_json(&found))?;
        } else {
            if !first {
                writeln!(out)?;
            }
            stream_text(&found, style, out)?;
        }
        first = false;
        Ok(())
    };
    let summary = if args.file.as_os_str() == "-" {
        search(context.input, &mut tell).map_err(cannot)?
    } else {
        let mut file = File::open(&args.file).map_err(cannot)?;
        search(&mut file as &mut dyn Read, &mut tell).map_err(cannot)?
    };
    if args.json {
        writeln!(context.out, "\n]}}")?;
    }
    if summary.found == 0 {
        let warning = context.err_style.warning("migver:");
        writeln!(context.err, "{warning} {}", nothing(&name, &summary))?;
    }
    Ok(Outcome::from_bool(all_right && summary.found > 0))
}

/// Says that there is no stream, and why that may be.
fn nothing(name: &str, summary: &Summary) -> String {
    let name = printable(name);
    let length = summary.length;
    match (&summary.spoiled, summary.passed) {
        (Some(spoiled), _) => format!("{name}: {spoiled}"),
        (None, 0) => format!(
            "{name}: no migration stream in its {length} bytes\n  \
             hint: a save image that libvirt compressed has to be decompressed first"
        ),
        (None, passed) => format!(
            "{name}: no migration stream in its {length} bytes; what begins as one goes on otherwise \
             ({passed} times)"
        ),
    }
}

fn stream_text(found: &Found, style: Palette, out: &mut dyn Write) -> io::Result<()> {
    let Found { pieces, stream } = found;
    let places: Vec<_> = pieces
        .iter()
        .map(|piece| piece.offset.to_string())
        .collect();
    let places = match places.as_slice() {
        [one] => format!("at byte {one}"),
        several => format!(
            "in {} pieces at bytes {}",
            several.len(),
            several.join(", ")
        ),
    };
    let title = format!("stream of {} bytes {places}", stream.length);
    writeln!(out, "{}", style.heading(title))?;
    if let Some(version) = stream.version {
        writeln!(out, "  version  {version}")?;
        writeln!(out, "  string   {}", stream.string.escape_ascii())?;
    }
    for record in &stream.records {
        record_text(record, stream, style, out)?;
    }
    if stream.complete {
        writeln!(out, "  {}", style.good("complete, the checksum is right"))?;
        if !stream.known {
            writeln!(out, "  what its records hold is not known here")?;
        }
    }
    for problem in &stream.problems {
        let at = format!("wrong at byte {}:", problem.at);
        writeln!(out, "  {} {}", style.bad(at), problem.text)?;
    }
    Ok(())
}

fn record_text(
    saved: &SavedRecord,
    stream: &Stream,
    style: Palette,
    out: &mut dyn Write,
) -> io::Result<()> {
    let record = saved.record;
    let name = saved
        .name
        .map_or_else(|| format!("{:#06x}", record.tag), str::to_owned);
    let optional = match record.flags & MANDATORY {
        0 => ", optional",
        _ => "",
    };
    let title = format!(
        "record {name} at byte {}, {} bytes{optional}",
        record.at, record.length
    );
    writeln!(out, "  {}", style.heading(title))?;
    let Some(fields) = known_fields(saved, stream) else {
        for line in saved.payload.chunks(16) {
            let bytes: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(out, "    {}", bytes.join(" "))?;
        }
        return Ok(());
    };
    for field in fields {
        let name = match field.port {
            Some(port) => format!("port {port} {}", field.name),
            None => field.name.to_owned(),
        };
        writeln!(out, "    {name:18} {}", value_text(&field.value))?;
    }
    Ok(())
}

/// Returns the fields of a record that is known here and has come whole.
fn known_fields(saved: &SavedRecord, stream: &Stream) -> Option<Vec<Field>> {
    saved.name.filter(|_| stream.known)?;
    if saved.payload.len() < saved.record.length {
        return None;
    }
    fields(saved.record.tag, &saved.payload)
}

fn value_text(value: &FieldValue) -> String {
    match value {
        FieldValue::Register(value, size) => {
            let width = 2 + 2 * size;
            format!("{value:#0width$x}")
        }
        FieldValue::Count(count) => count.to_string(),
        FieldValue::Characters(characters) if characters.is_empty() => "none".to_owned(),
        FieldValue::Characters(characters) => {
            let each = characters.iter().map(|(value, errors)| match errors {
                0 => format!("'{}'", value.escape_ascii()),
                errors => format!("'{}' (lsr {errors:#04x})", value.escape_ascii()),
            });
            each.collect::<Vec<_>>().join(" ")
        }
    }
}

fn stream_json(found: &Found) -> Value {
    let Found { pieces, stream } = found;
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| json!({"offset": piece.offset, "length": piece.length}))
        .collect();
    let records: Vec<_> = stream
        .records
        .iter()
        .map(|saved| record_json(saved, stream))
        .collect();
    let problems: Vec<_> = stream
        .problems
        .iter()
        .map(|problem| json!({"at": problem.at, "text": problem.text}))
        .collect();
    json!({
        "pieces": pieces,
        "length": stream.length,
        "version": stream.version,
        "migration_version": stream.version.map(|_| stream.string.escape_ascii().to_string()),
        "records": records,
        "complete": stream.complete,
        "known": stream.known,
        "problems": problems,
    })
}

fn record_json(saved: &SavedRecord, stream: &Stream) -> Value {
    let record = saved.record;
    let payload: Vec<_> = saved
        .payload
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let payload = payload.concat();
    let fields = known_fields(saved, stream).map(|fields| {
        let each = fields.into_iter().map(|field| {
            let value: Value = match field.value {
                FieldValue::Register(value, _) | FieldValue::Count(value) => value.into(),
                FieldValue::Characters(characters) => characters
                    .iter()
                    .map(|(value, errors)| json!({"value": value, "errors": errors}))
                    .collect(),
            };
            json!({"name": field.name, "port": field.port, "value": value})
        });
        each.collect::<Vec<_>>()
    });
    json!({
        "tag": record.tag,
        "name": saved.name,
        "at": record.at,
        "length": record.length,
        "mandatory": record.flags & MANDATORY != 0,
        "fields": fields,
        "payload": payload,
    })
}
