// SPDX-License-Identifier: GPL-2.0-only
//! How much memory the kernel has in use, and whether something that is done again and again makes it grow.
//!
//! What is counted are bytes in objects that are allocated (`/proc/slabinfo`), and apart from them bytes in whole pages that are
//! neither free (`/proc/zoneinfo`), nor of processes or files, nor of those objects (`/proc/meminfo`): page tables, stacks,
//! per-processor memory, vmalloc, and pages that drivers took. Both go up and down by themselves, as the kernel keeps a few
//! objects and pages at hand. So it is done in batches, and the median of what the batches added is judged: what goes up and
//! down adds as often as it takes away, and a leak adds to every batch.

use std::fs;
use std::time::Duration;

use nix::errno::Errno;
use vfio_client::ktap::{check, skip, Miss, Outcome};
use vfio_client::sysfs::errno_of;
use vfio_client::wait::releases_late;

/// Bytes in a page on x86-64.
const PAGE: i64 = 4096;

/// Memory that the kernel has in use, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// In objects.
    objects: i64,
    /// In whole pages.
    pages: i64,
}

impl Used {
    /// What is in use now.
    fn sample() -> Result<Self, Errno> {
        let objects = objects(&fs::read_to_string("/proc/slabinfo").map_err(errno_of)?);
        let pages = pages(&fs::read_to_string("/proc/meminfo").map_err(errno_of)?);
        let free = free(&fs::read_to_string("/proc/zoneinfo").map_err(errno_of)?);
        Ok(Used {
            objects: objects.ok_or(Errno::EPROTO)?,
            pages: pages.ok_or(Errno::EPROTO)? - free.ok_or(Errno::EPROTO)?,
        })
    }

    /// What is in use once that which is on its way out has gone: the least of several samples.
    fn settled() -> Result<Self, Errno> {
        let mut least = Used {
            objects: i64::MAX,
            pages: i64::MAX,
        };
        for _ in 0..4 {
            // Caches of inodes and names, which grow with use and are no leak.
            fs::write("/proc/sys/vm/drop_caches", "3").map_err(errno_of)?;
            std::thread::sleep(Duration::from_millis(60));
            // Each processor adds what it counted to the sums that are read below, at once instead of when there is much of it.
            fs::write("/proc/sys/vm/stat_refresh", "1").map_err(errno_of)?;
            let now = Used::sample()?;
            least.objects = least.objects.min(now.objects);
            least.pages = least.pages.min(now.pages);
        }
        Ok(least)
    }
}

/// Bytes in allocated objects, as `/proc/slabinfo` version 2.1 has them: name, objects that are allocated, all objects, the size of
/// one.
fn objects(slabinfo: &str) -> Option<i64> {
    let mut sum = 0;
    for line in slabinfo.lines().skip(2) {
        let mut fields = line.split_whitespace().skip(1);
        let active: i64 = fields.next()?.parse().ok()?;
        let size: i64 = fields.nth(1)?.parse().ok()?;
        sum += active * size;
    }
    Some(sum)
}

/// Bytes in pages that hold nothing of processes or files and no objects: those in other use, and those that are [free](free()).
fn pages(meminfo: &str) -> Option<i64> {
    let field = |name: &str| -> Option<i64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let number = line.trim_start_matches(':').split_whitespace().next()?;
        number.parse::<i64>().ok().map(|kib| kib << 10)
    };
    let others = ["Buffers", "Cached", "AnonPages", "Slab"];
    let others: Option<i64> = others.into_iter().map(field).sum();
    Some(field("MemTotal")? - others?)
}

/// Bytes in free pages: those of each zone, and those that each processor keeps for itself, which `/proc/meminfo` counts as used.
/// There may be some thousand of the latter, the more the busier the machine is. A zone shows both at one moment.
fn free(zoneinfo: &str) -> Option<i64> {
    let mut sum = None;
    for line in zoneinfo.lines() {
        let mut fields = line.split_whitespace();
        let pages: i64 = match (fields.next(), fields.next(), fields.next()) {
            (Some("pages"), Some("free"), Some(pages)) => pages.parse().ok()?,
            (Some("count:"), Some(pages), None) => pages.parse().ok()?,
            _ => continue,
        };
        sum = Some(sum.unwrap_or(0) + pages * PAGE);
    }
    sum
}

/// How much may be added by each round.
#[derive(Clone, Copy)]
pub struct Bound {
    /// Bytes in objects.
    pub objects: i64,
    /// Bytes in whole pages.
    pub pages: i64,
}

/// How much a round adds, in bytes, as the median of the batches.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// In objects.
    pub objects: i64,
    /// In whole pages.
    pub pages: i64,
}

/// How many batches there are.
const BATCHES: u64 = 5;

/// Does rounds in batches, after some to warm up, and measures what each adds. `batch` does the rounds whose numbers it is given.
///
/// # Errors
///
/// What a batch answers.
pub fn growth(
    rounds: u64,
    mut batch: impl FnMut(std::ops::Range<u64>) -> Outcome,
) -> Result<Growth, Miss> {
    let each = (rounds / BATCHES).max(1);
    // As long as a batch, so that what grows to a size and stays there is there.
    batch(0..each)?;
    let mut samples = vec![Used::settled()?];
    for number in 1..=BATCHES {
        batch(number * each..(number + 1) * each)?;
        samples.push(Used::settled()?);
    }
    let median = |of: fn(&Used) -> i64| {
        let mut added: Vec<_> = samples
            .windows(2)
            .map(|pair| of(&pair[1]) - of(&pair[0]))
            .collect();
        println!("# {each} rounds added: {added:?}");
        added.sort_unstable();
        added[added.len() / 2] / each as i64
    };
    let growth = Growth {
        objects: median(|used| used.objects),
        pages: median(|used| used.pages),
    };
    println!(
        "# each of {rounds} rounds added {} bytes in objects, {} in pages",
        growth.objects, growth.pages
    );
    Ok(growth)
}

/// Skips the case on a kernel where memory that is in use says nothing: one that keeps what was freed, to find who still uses it.
/// Leaks are looked for in another way there.
///
/// # Errors
///
/// The reason.
pub fn judged() -> Outcome {
    if releases_late() {
        skip!("this kernel keeps what was freed, so growth is not judged");
    }
    Ok(())
}

/// Does the rounds, and checks that each adds less than the bound.
///
/// # Errors
///
/// Fails the case otherwise; skips it after the rounds where growth is not [judged](judged()).
pub fn stays_flat(
    rounds: u64,
    bound: Bound,
    batch: impl FnMut(std::ops::Range<u64>) -> Outcome,
) -> Outcome {
    let growth = growth(rounds, batch)?;
    judged()?;
    check!(
        growth.objects < bound.objects,
        "each round adds {} bytes in objects, {} are too many",
        growth.objects,
        bound.objects
    );
    check!(
        growth.pages < bound.pages,
        "each round adds {} bytes in pages, {} are too many",
        growth.pages,
        bound.pages
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_counted_with_their_size() {
        let text = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize> ...\n\
                    one 3 10 64 64 1 : tunables 0 0 0 : slabdata 1 1 0\n\
                    two 2 2 1000 4 1 : tunables 0 0 0 : slabdata 1 1 0\n";
        assert_eq!(objects(text), Some(3 * 64 + 2 * 1000));
    }

    #[test]
    fn pages_are_what_nobody_else_has() {
        let text = "MemTotal: 1000 kB\nMemFree: 500 kB\nMemAvailable: 9 kB\nBuffers: 1 kB\n\
                    Cached: 100 kB\nSwapCached: 7 kB\nAnonPages: 50 kB\nSlab: 49 kB\n";
        assert_eq!(pages(text), Some(800 << 10));
        assert_eq!(pages("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn what_a_processor_keeps_is_free() {
        let text = "Node 0, zone      DMA\n  pages free     3\n        boost    0\n  pagesets\n    cpu: 0\n\
                    \u{20}             count:    20\n              high:     50\n    cpu: 1\n\
                    \u{20}             count:    100\n              high:     60\n\
                    Node 0, zone    DMA32\n  pages free     1000\n";
        assert_eq!(free(text), Some(1123 * PAGE));
        assert_eq!(free("Node 0, zone      DMA\n"), None);
    }
}
