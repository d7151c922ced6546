// SPDX-License-Identifier: GPL-2.0-only

//! Many sources against many destinations.

use crate::{
    exit::os_text,
    fleet::{
        candidates,
        load,
        page,
        Matrix,
        Pattern,
        Row, //
    },
    Context,
    Error,
    Outcome, //
};

use std::{
    fs::File,
    io::{
        self,
        BufWriter,
        Write, //
    },
    path::PathBuf, //
};

/// Show who can migrate to whom: many sources against many destinations
///
/// Every type and device of every host that migrates is a source and a destination. Equal strings are one row and one
/// column. A cell has a mark if the source fits, or the errno that the destination's kernel would refuse it with.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  migver matrix --in fleet/
  migver matrix --in fleet/ --from 'old*' --to 'new*/migdev-serial2' --reasons
  for h in node1 node2; do ssh $h migver inventory; done | migver matrix --in - --html matrix.html")]
pub struct Args {
    /// Inventories: files, directories of *.json files, or - for standard input
    #[arg(long = "in", value_name = "INVENTORY", required = true, num_args = 1..)]
    pub inventories: Vec<PathBuf>,
    /// Only these as sources: HOST or HOST/TYPE, with the wildcards * and ?
    #[arg(long, value_name = "PATTERN")]
    pub from: Vec<Pattern>,
    /// Only these as destinations
    #[arg(long, value_name = "PATTERN")]
    pub to: Vec<Pattern>,
    /// Write every reason below the table
    #[arg(long)]
    pub reasons: bool,
    /// List so many members of each string; 0 for all
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub members: usize,
    /// Break the table at so many columns [default: the terminal's, or never]
    #[arg(long, value_name = "N")]
    pub width: Option<usize>,
    /// Write JSON
    #[arg(long, conflicts_with_all = ["html", "reasons"])]
    pub json: bool,
    /// Write one page to look at; - for standard output
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Runs the command. It answers yes if there is anything to tell.
///
/// # Errors
///
/// An inventory cannot be read, or the page cannot be written.
pub fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, Error> {
    let inventories = load(&args.inventories, context.input)?;
    let everything = inventories.iter().flat_map(candidates);
    let matrix = Matrix::new(everything, &args.from, &args.to);
    let empty = matrix.sources().next().is_none() || matrix.destinations().next().is_none();
    if args.json {
        serde_json::to_writer_pretty(&mut *context.out, &matrix.json()).map_err(io::Error::from)?;
        writeln!(context.out)?;
    } else if let Some(path) = &args.html {
        if path.as_os_str() == "-" {
            page(&matrix, context.out)?;
        } else {
            let cannot = |error: io::Error| Error::new(path.display(), os_text(&error));
            let mut file = BufWriter::new(File::create(path).map_err(cannot)?);
            page(&matrix, &mut file)
                .and_then(|()| file.flush())
                .map_err(cannot)?;
        }
    } else if !empty {
        text(&matrix, args, context)?;
    }
    if empty {
        let what = "nothing that migrates is among the sources or among the destinations";
        writeln!(
            context.err,
            "{} {what}",
            context.err_style.warning("migver:")
        )?;
    }
    Ok(Outcome::from_bool(!empty))
}

/// Returns how many columns the terminal has, if output goes to one.
fn terminal_width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(width.0.into())
}

/// As much as the longest errno, and two spaces.
const CELL: usize = "EOPNOTSUPP".len() + 2;

fn text(matrix: &Matrix<'_>, args: &Args, context: &mut Context<'_>) -> io::Result<()> {
    let style = context.style;
    let out = &mut *context.out;
    let label = matrix.rows().len().to_string().len() + 2;
    let columns: Vec<_> = matrix.destinations().collect();
    let fitting = (args
        .width
        .or_else(terminal_width)
        .unwrap_or(usize::MAX)
        .saturating_sub(label)
        / CELL)
        .max(1);
    for block in columns.chunks(fitting) {
        let mut line = format!("{:label$}", "");
        for (number, _) in block {
            line.push_str(&format!("{number:<CELL$}"));
        }
        writeln!(out, "{}", style.heading(line.trim_end()))?;
        for (number, from) in matrix.sources() {
            write!(out, "{}", style.heading(format_args!("{number}")))?;
            // Spaces go before a mark and not behind it, so that no line ends in them.
            let mut free = label.saturating_sub(number.to_string().len());
            for (_, to) in block {
                write!(out, "{:free$}", "")?;
                let length = match from.weigh(to) {
                    None => {
                        write!(out, "{}", style.good(style.yes()))?;
                        style.yes().chars().count()
                    }
                    Some(why) => {
                        write!(out, "{}", style.bad(why.mark()))?;
                        why.mark().len()
                    }
                };
                free = CELL.saturating_sub(length);
            }
            writeln!(out)?;
        }
        writeln!(out)?;
    }
    for (number, row) in (1_usize..).zip(matrix.rows()) {
        write!(out, "{}", style.heading(format_args!("{number:<label$}")))?;
        legend(row, label, args.members, out)?;
    }
    if args.reasons {
        reasons(matrix, context)?;
    }
    Ok(())
}

/// Writes a string and who has it.
fn legend(row: &Row<'_>, label: usize, members: usize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", row.text)?;
    if let Some(error) = row.unreadable() {
        writeln!(out, "{:label$}cannot be read here: {error}", "")?;
    }
    writeln!(out, "{:label$}{}", "", row.count())?;
    let shown = match members {
        0 => row.members.len(),
        some => some,
    };
    for member in row.members.iter().take(shown) {
        write!(out, "{:label$}  {} {member}", "", member.host)?;
        match member.available() {
            Some(available) => writeln!(out, " ({available} available)")?,
            None => writeln!(out)?,
        }
    }
    match row.members.len().saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(out, "{:label$}  and {more} more", ""),
    }
}

/// Writes every reason of every refusal.
fn reasons(matrix: &Matrix<'_>, context: &mut Context<'_>) -> io::Result<()> {
    let style = context.style;
    for (source, from) in matrix.sources() {
        for (destination, to) in matrix.destinations() {
            let Some(why) = from.weigh(to) else {
                continue;
            };
            let errno = style.bad(why.mark());
            let pair = format!("{source} -> {destination}");
            writeln!(context.out, "\n{} {errno}", style.heading(pair))?;
            for reason in why.reasons() {
                writeln!(context.out, "  {reason}")?;
            }
        }
    }
    Ok(())
}
