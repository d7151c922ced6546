// SPDX-License-Identifier: GPL-2.0-only
//! The versions of the stream: what each has, and that the older one is loaded by a device that writes the newer.

use std::fs;

use nix::errno::Errno;

use super::super::{cases, World};
use super::hostile::{parts, works, Target};
use super::{busy, idle, BUSY};
use vfio_client::device::Device;
use vfio_client::ktap::{check, check_eq, skip, Miss, Outcome};
use vfio_client::migration::stream::{Stream, TAG_COUNTERS};
use vfio_client::migration::{guest, v2};
use vfio_client::serial::{Port, CONFIG, FCR_ENABLE, IIR_FCR, LCR, LSR, MCR, MCR_LOOP};
use vfio_client::sysfs::{Mdev, MdevType};

cases![
    writes_the_version_that_its_string_says,
    takes_in_version_1_and_counts_from_0,
    takes_in_what_a_device_saved_that_is_held_at_older_versions,
    gives_nothing_to_a_device_that_is_held_at_older_versions,
    refuses_what_mixes_the_versions,
    counts_what_goes_through_the_plug_and_what_is_lost,
    counts_on_where_it_came_from,
    forgets_its_counters_at_a_reset,
];

/// What a card says that is held at the oldest versions, as all did before there were others.
const OLDEST: &str = "abi=1.0,stream=1:1-1";

/// The strings that sources of version 1 have, as what comes of a device's own string: held at both versions, at that of
/// the stream alone, and by a driver that loads more than it writes.
const SOURCES: [&str; 3] = [OLDEST, "abi=1.1,stream=1:1-1", "abi=1.0,stream=1:1-2"];

/// The stream as such a source would have written it.
fn older(stream: &Stream, source: &str) -> Result<Stream, Miss> {
    let own = "abi=1.1,stream=2:1-2";
    let text = stream.text();
    check!(text.contains(own), "{text} is not {own}");
    let mut older = stream.clone();
    older.set_text(&text.replace(own, source));
    older.set_version(1);
    older.records.retain(|record| record.tag != TAG_COUNTERS);
    Ok(older)
}

/// The stream with counters of nothing.
fn uncounted(stream: &Stream) -> Stream {
    let mut stream = stream.clone();
    for record in &mut stream.records {
        if record.tag == TAG_COUNTERS {
            record.payload.fill(0);
        }
    }
    stream
}

/// What the ports of a device have counted. It is stopped for that, and runs again.
fn counters(device: &Device) -> Result<Vec<[u64; 2]>, Miss> {
    let stream = parts(&v2::save(device)?)?;
    v2::set(device, v2::RUNNING)?;
    Ok(stream.counters())
}

fn writes_the_version_that_its_string_says(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let stream = parts(&v2::save(&device)?)?;
    let says = format!(",stream={}:", stream.version());
    let text = stream.text();
    check!(
        text.contains(&says),
        "version {} of {text}",
        stream.version()
    );
    let counted = stream.records.last().map(|record| record.tag) == Some(TAG_COUNTERS);
    check_eq!(counted, stream.version() >= 2, "whether there are counters");
    Ok(())
}

fn takes_in_version_1_and_counts_from_0(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let right = parts(&bytes)?;
    check!(right != uncounted(&right), "nothing was counted");
    let saved = uncounted(&right).bytes();
    for source in SOURCES {
        let older = older(&right, source)?.bytes();
        target.takes(&older, &saved, source)?;
    }
    works(&target, &bytes)
}

/// A type under another parent that is held at a baseline for as long as this lives.
struct Held {
    kind: MdevType,
    before: String,
}

impl Held {
    fn at(world: &World<'_>, baseline: &str) -> Result<Self, Miss> {
        let Some(kind) = world.mdev.kind().elsewhere()? else {
            skip!("there is one parent");
        };
        let before = fs::read_to_string(kind.baseline())?;
        fs::write(kind.baseline(), baseline)?;
        Ok(Held { kind, before })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = fs::write(self.kind.baseline(), &self.before) {
            println!("# {}: {error}", self.kind.baseline().display());
        }
    }
}

fn takes_in_what_a_device_saved_that_is_held_at_older_versions(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let right = parts(&bytes)?;
    for (baseline, says, version) in [
        ("abi=1.0,stream=1", OLDEST, 1),
        ("abi=1.1,stream=1", "abi=1.1,stream=1:1-1", 1),
        ("abi=1.0,stream=2", "abi=1.0,stream=2:1-2", 2),
    ] {
        let held = Held::at(world, baseline)?;
        let mdev = Mdev::create(&held.kind)?;
        let source = Device::open(mdev.path(), world.access)?;
        let register = source.get::<4>(CONFIG, 0xf0)?;
        check_eq!(
            register == [0; 4],
            baseline.contains("1.0"),
            "no version at {baseline}"
        );
        guest::play(&source, world.ports(), BUSY)?;
        let saved = v2::save(&source)?;
        let stream = parts(&saved)?;
        check_eq!(stream.version(), version, "the stream of {baseline}");
        check!(
            stream.text().contains(says),
            "{baseline}: {}",
            stream.text()
        );
        let want = match version {
            1 => uncounted(&right),
            _ => right.clone(),
        };
        target.takes(&saved, &want.bytes(), baseline)?;
    }
    works(&target, &bytes)
}

fn gives_nothing_to_a_device_that_is_held_at_older_versions(world: &World<'_>) -> Outcome {
    let (_device, bytes) = idle(world)?;
    for baseline in ["abi=1.0,stream=1", "abi=1.1,stream=1", "abi=1.0,stream=2"] {
        let held = Held::at(world, baseline)?;
        let mdev = Mdev::create(&held.kind)?;
        let destination = Device::open(mdev.path(), world.access)?;
        let target = Target::new(&destination, world.ports())?;
        target.refuses(&bytes, Errno::EPROTO, baseline)?;
    }
    Ok(())
}

fn refuses_what_mixes_the_versions(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let right = parts(&bytes)?;
    let oldest = older(&right, OLDEST)?;

    let mut counted = oldest.clone();
    counted.records.clone_from(&right.records);
    target.refuses(&counted.bytes(), Errno::EINVAL, "version 1 with counters")?;
    let mut uncounted = right.clone();
    uncounted.records.clone_from(&oldest.records);
    target.refuses(&uncounted.bytes(), Errno::EINVAL, "version 2 without")?;
    let mut newer = oldest.clone();
    newer.set_version(2);
    target.refuses(&newer.bytes(), Errno::EINVAL, "2, where the string says 1")?;
    let mut older = right.clone();
    older.set_version(1);
    target.refuses(&older.bytes(), Errno::EINVAL, "1, where the string says 2")?;
    works(&target, &bytes)
}

/// Sends 20 characters through the plug of a port, of which it takes in 16, and has it lose some in loopback mode.
fn count(port: &Port<'_>, lost: u8) -> Result<(), Errno> {
    port.set(LCR, 0x03)?;
    port.set(IIR_FCR, FCR_ENABLE)?;
    port.send(&[b'c'; 20])?;
    port.set(IIR_FCR, FCR_ENABLE | 0x04)?;
    port.set(MCR, MCR_LOOP)?;
    (0..lost).try_for_each(|character| port.send(&[character]))?;
    port.get(LSR)?;
    port.set(MCR, 0)?;
    port.receive(20).map(|_| ())
}

fn counts_what_goes_through_the_plug_and_what_is_lost(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let mut want = vec![[0, 0]; world.ports()];
    check_eq!(counters(&device)?, want, "counters at power-on");
    for round in 1..=2 {
        for number in 0..world.ports() {
            let lost = 3 + 4 * number as u8;
            count(&Port::new(&device, number), lost)?;
            want[number] = [16 * round, u64::from(lost) * round];
            check_eq!(
                counters(&device)?,
                want,
                "after port {number}, {round} times"
            );
        }
    }
    Ok(())
}

fn counts_on_where_it_came_from(world: &World<'_>) -> Outcome {
    let first = world.open()?;
    let (_mdev, second) = world.another()?;
    let (mut here, mut there) = (&first, &second);
    for round in 1..=4 {
        for number in 0..world.ports() {
            count(&Port::new(here, number), number as u8)?;
        }
        v2::load(there, &v2::save(here)?)?;
        here.reset()?;
        std::mem::swap(&mut here, &mut there);
        let want: Vec<_> = (0..world.ports())
            .map(|number| [16 * round, number as u64 * round])
            .collect();
        check_eq!(counters(here)?, want, "after move {round}");
    }
    Ok(())
}

fn forgets_its_counters_at_a_reset(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let nothing = vec![[0, 0]; world.ports()];
    check!(counters(&device)? != nothing, "nothing was counted");
    device.reset()?;
    check_eq!(counters(&device)?, nothing, "counters after a reset");
    Ok(())
}
