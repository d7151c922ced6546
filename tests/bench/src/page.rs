// SPDX-License-Identifier: GPL-2.0-only
//! The page that is kept in Documentation, in Markdown.

use crate::results::{Results, Row, Scale};
use crate::table::{figure, scale_goals, verdict, FLAT};

/// The whole page.
pub fn page(results: &Results) -> String {
    let made = &results.made;
    let mut text = format!(
        "<!-- SPDX-License-Identifier: GPL-2.0-only -->
# What it costs

Made by `make bench RECORD=1` on {}, from commit {}: kernel {} ({}), module built by {}, {}. The same figures are in
[benchmarks.json](benchmarks.json).

![Ratios to mtty, and growth with the number of devices](benchmarks.svg)

## How to read it

Figures of the first table are {}, counted: in the emulated machine each instruction takes one nanosecond of the machine's
time (`-icount shift=0`), whatever the host does meanwhile. Ours, mtty's (the kernel's own sample of a migratable serial
card) and the limit's operation are done in turn in one machine, {} rounds, and the median of each counts. Each figure is
that of a whole operation as a program sees it, with the system calls that belong to it; to look at the clock is subtracted.
Two runs of the same kernel and module differed by less than 0.2 %. An instruction is no measure of time on real hardware,
where caches and locks count; it is what can be compared without such.

The limit is the cheapest operation of the same kind in that kernel: an access of as many bytes to /dev/zero, `FIOCLEX`, an
attribute that the kernel itself shows, an eventfd alone. It is there to compare with, and no bound: a text attribute goes
through the kernel's sequence files, which ours need not, and a group has been opened when a device is opened from it.

- mtty has no `migration_version` and no protocol v1. It splits an access of 8 bytes into two of 4, and of each access takes
  one register, where ours takes as many registers as the access is wide.
- mtty loses all characters when 16 are in its FIFO, so that 15 are compared.
- mdev's core compares a new UUID with that of each device there is, so that creating one grows with their number, and
  removing one looks for it in the same list, whoever's devices these are.
- The data register of a 16550A is one byte wide: a wider access moves no more characters.
- Of an access to a register, what any driver has to go through (the system call, the file system's and VFIO's layers, a lock,
  the copy to user memory) is 380 to 400 instructions by `tests/bench/profile`. So 0.8 of mtty leaves a driver about 20.

Goals: register access and FIFO at most 0.8 of mtty, everything else at most as much as mtty; reading an attribute at most
1.2 of the limit; nothing grows by more than {FLAT} from 10 devices to 1000.

",
        made.date,
        made.commit,
        made.kernel,
        made.configuration,
        made.rustc,
        made.emulator,
        results.unit,
        results.rounds,
    );
    text += &verdicts(results);
    text += "## One operation\n\n";
    text += HEAD;
    text.extend(results.rows.iter().map(line));
    text += "\n## A machine that QEMU moves\n\nAs QEMU says, the median of ten moves, in an emulated machine with an \
             ordinary clock: milliseconds that depend on\nthe host, and what it sent.\n\n";
    text += HEAD;
    text.extend(results.qemu.iter().map(line));
    text += "\n## One of many devices\n\nWhat it takes to create one more, to remove it, to open, read and close the \
             last one's `migration_version`, and to save it\nby protocol v2; and how many bytes of the kernel's memory \
             each takes, counted exactly in a machine of its own\n(`slab_debug=F`). Devices of one port, as mtty \
             has 24 ports in all and stops there.\n\n\
             | driver | devices | create | remove | attribute | save | bytes |\n|---|---|---|---|---|---|---|\n";
    for (name, scales, memory) in [
        ("ours", &results.ours, &results.memory.ours),
        ("mtty", &results.peer, &results.memory.peer),
    ] {
        text.extend(scales.iter().map(|scale| scale_line(name, scale, memory)));
    }
    text += "\n## Other benchmarks\n\nThe comparison of version strings, the matrix of a fleet and the search in it are \
             measured on the host:\n`cargo bench --package migver-cli --bench fleet`, or `tests/bench/run --host`. \
             `tests/bench/profile` shows where the\ninstructions of an operation go, by function.\n";
    text
}

const HEAD: &str =
    "| | ours | mtty | ratio | limit | ours/limit | goal |\n|---|---|---|---|---|---|---|\n";

fn line(row: &Row) -> String {
    let limit = match (&row.limit, &row.limit_is) {
        (Some(limit), Some(what)) => format!("{limit:.0} ({what})"),
        _ => "-".to_owned(),
    };
    format!(
        "| {} | {} | {} | {} | {limit} | {} | {} |\n",
        row.what,
        figure(row.ours, 0),
        figure(row.peer, 0),
        figure(row.ratio(), 2),
        figure(row.over_limit(), 2),
        verdict(row)
    )
}

fn scale_line(name: &str, scale: &Scale, memory: &[(usize, f64)]) -> String {
    let bytes = memory.iter().find(|(devices, _)| *devices == scale.devices);
    format!(
        "| {name} | {} | {:.0} | {:.0} | {} | {:.0} | {} |\n",
        scale.devices,
        scale.create,
        scale.remove,
        figure(scale.attribute, 0),
        scale.save,
        figure(bytes.map(|(_, bytes)| *bytes), 0)
    )
}

/// Which goals are met, and which are not.
fn verdicts(results: &Results) -> String {
    let rows = results.rows.iter().chain(&results.qemu).filter_map(|row| {
        let (is, most) = row.judged()?;
        Some((row.what.as_str(), is, most))
    });
    let growth = scale_goals(&results.ours, &results.memory.ours);
    let growth = growth.iter().map(|(what, is)| (*what, *is, FLAT));
    let (met, missed): (Vec<_>, Vec<_>) = rows.chain(growth).partition(|(_, is, most)| is <= most);
    let mut text = format!("{} goals are met, {} are not", met.len(), missed.len());
    text += if missed.is_empty() { ".\n" } else { ":\n\n" };
    for (what, is, most) in missed {
        text += &format!("- {what}: {is:.2}, at most {most:.1} is wanted\n");
    }
    text + "\n"
}
