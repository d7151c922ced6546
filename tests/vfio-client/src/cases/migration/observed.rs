// SPDX-License-Identifier: GPL-2.0-only
//! What an administrator sees of a migration: debugfs, the tracepoint, the log.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use super::super::{cases, World};
use super::idle;
use vfio_client::device::{Access, Device};
use vfio_client::kmsg::Kmsg;
use vfio_client::ktap::{check, check_eq, check_errno, skip, Miss, Outcome};
use vfio_client::migration::stream::{seal, Record, Stream, MANDATORY};
use vfio_client::migration::v1::Region;
use vfio_client::migration::v2::{
    self, ERROR, PRE_COPY, RESUMING, RUNNING, STATES, STOP, STOP_COPY,
};
use vfio_client::sysfs::{errno_of, Mdev};

cases![
    logs_a_refused_stream_once_and_in_words,
    shows_its_state_in_debugfs,
    counts_what_passes_in_debugfs,
    counts_each_refusal_and_shows_the_last_in_debugfs,
    shows_why_a_stream_was_refused_in_debugfs,
    leaves_nothing_in_debugfs_when_removed,
    traces_each_step_between_states,
    traces_a_reset_as_one_step,
    answers_the_core_that_shows_its_state,
];

const DEBUGFS: &str = "/sys/kernel/debug/migdev";

/// What debugfs says of a device, by name.
fn facts(mdev: &Mdev) -> Result<HashMap<String, String>, Errno> {
    let path = Path::new(DEBUGFS).join(mdev.uuid()).join("migration");
    let text = fs::read_to_string(path).map_err(errno_of)?;
    let fact = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines()
        .map(|line| fact(line).ok_or(Errno::EPROTO))
        .collect()
}

/// The numbers among them that these names have.
fn numbers<const N: usize>(mdev: &Mdev, names: [&str; N]) -> Result<[u64; N], Miss> {
    let facts = facts(mdev)?;
    let mut numbers = [0; N];
    for (number, name) in numbers.iter_mut().zip(names) {
        let value = facts.get(name).and_then(|value| value.parse().ok());
        check!(value.is_some(), "no number {name} in {facts:?}");
        *number = value.unwrap_or_default();
    }
    Ok(numbers)
}

/// The log takes a few refusals at a time, so that the first that is told may be a while after the first that was made.
fn logs_a_refused_stream_once_and_in_words(world: &World<'_>) -> Outcome {
    let (device, mut bytes) = idle(world)?;
    if world.access != Access::Group || world.ports() > 1 {
        skip!("it takes seconds, and has nothing to do with the path or the ports");
    }
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    for _ in 0..40 {
        let mut log = Kmsg::from_now()?;
        let file = v2::open(&device, RESUMING)?;
        for _ in 0..5 {
            check_errno!(file.feed(&bytes, 4096), EBADMSG, "a broken checksum");
        }
        device.reset()?;
        let lines = log.lines()?;
        let told: Vec<_> = lines
            .iter()
            .filter(|line| line.contains(&world.mdev.uuid()))
            .collect();
        if told.is_empty() {
            std::thread::sleep(Duration::from_millis(250));
            continue;
        }
        check_eq!(told.len(), 1, "how often it is told in {lines:?}");
        let right = told[0].contains("refused (EBADMSG)") && told[0].contains("checksum");
        check!(right, "the log says: {}", told[0]);
        return Ok(());
    }
    check!(false, "nothing in the log within ten seconds");
    Ok(())
}

/// The names of the states, by number.
const NAMES: [&str; 8] = [
    "ERROR",
    "STOP",
    "RUNNING",
    "STOP_COPY",
    "RESUMING",
    "RUNNING_P2P",
    "PRE_COPY",
    "PRE_COPY_P2P",
];

fn shows_its_state_in_debugfs(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for state in STATES {
        device.reset()?;
        let _file = v2::set(&device, state)?;
        let shown = facts(world.mdev)?.remove("state");
        check_eq!(shown.as_deref(), Some(NAMES[state as usize]), "the state");
    }
    drop(device);
    let shown = facts(world.mdev)?.remove("state");
    check_eq!(shown.as_deref(), Some("RUNNING"), "the state when closed");
    Ok(())
}

fn counts_what_passes_in_debugfs(world: &World<'_>) -> Outcome {
    let (mdev, device) = world.another()?;
    let names = [
        "sessions",
        "saved_bytes",
        "saved_chunks",
        "loaded_bytes",
        "loaded_chunks",
        "refusals",
    ];
    check_eq!(numbers(&mdev, names)?, [0; 6], "counters of a new device");
    let last = facts(&mdev)?.remove("last_refusal");
    check_eq!(last.as_deref(), Some("none"), "the last refusal");
    let file = v2::open(&device, STOP_COPY)?;
    let bytes = file.drain(40)?;
    let (length, pieces) = (bytes.len() as u64, bytes.len().div_ceil(40) as u64);
    v2::set(&device, STOP)?;
    check_eq!(
        numbers(&mdev, names)?,
        [1, length, pieces, 0, 0, 0],
        "counters after a save"
    );
    let file = v2::open(&device, RESUMING)?;
    file.feed(&bytes, 50)?;
    v2::set(&device, RUNNING)?;
    let written = bytes.len().div_ceil(50) as u64;
    check_eq!(
        numbers(&mdev, names)?,
        [2, length, pieces, length, written, 0],
        "counters after a load"
    );
    let region = Region::of(&device)?;
    region.save()?;
    let [sessions, saved] = numbers(&mdev, ["sessions", "saved_bytes"])?;
    check_eq!(
        [sessions, saved],
        [3, 2 * length],
        "counters after the region"
    );
    Ok(())
}

/// What was refused since the device was created, and why it was that was refused last.
fn refused(mdev: &Mdev) -> Result<(u64, String), Miss> {
    let [count] = numbers(mdev, ["refusals"])?;
    let last = facts(mdev)?.remove("last_refusal");
    Ok((count, last.unwrap_or_default()))
}

fn counts_each_refusal_and_shows_the_last_in_debugfs(world: &World<'_>) -> Outcome {
    let (mdev, device) = world.another()?;
    let region = Region::of(&device)?;
    let is = |count: u64, last: &str, when: &str| {
        let want = (count, last.to_owned());
        check_eq!(refused(&mdev)?, want, "refusals {when}");
        Ok::<_, Miss>(())
    };
    is(0, "none", "of a new device")?;

    // A number that is no state's is not counted.
    for none in [8, 99, u32::MAX] {
        check_errno!(v2::set(&device, none), EINVAL, "to state {none}");
    }
    is(0, "none", "for what is no state")?;
    let arc = "EINVAL: there is no way from RUNNING to ERROR";
    for count in 1..=3 {
        check_errno!(v2::set(&device, ERROR), EINVAL, "to ERROR");
        is(count, arc, "for an arc")?;
    }
    let file = v2::open(&device, STOP_COPY)?;
    let bytes = file.drain(4096)?;
    check_errno!(v2::set(&device, PRE_COPY), EINVAL, "back to PRE_COPY");
    let arc = "EINVAL: there is no way from STOP_COPY to PRE_COPY";
    is(4, arc, "for another arc")?;
    // What works, and what is no way to use a file, leaves both as they are.
    v2::set(&device, STOP)?;
    check_errno!(file.read(&mut [0]), ENODEV, "a read of what is over");
    check_errno!(file.precopy_info(24), EINVAL, "what is left of it");
    v2::set(&device, RUNNING)?;
    is(4, arc, "for what is no request")?;

    check_errno!(region.set_state(7), EINVAL, "to 111");
    let bits = "EINVAL: there is no way from device_state 001 to 111";
    is(5, bits, "for device_state")?;
    check_errno!(region.set_state(5), EINVAL, "to 101");
    let bits = "EINVAL: there is no way from device_state 001 to 101";
    is(6, bits, "for another device_state")?;

    // A stream is refused once, however often it is said.
    let mut broken = bytes.clone();
    if let Some(last) = broken.last_mut() {
        *last ^= 1;
    }
    let early =
        "EINVAL: RESUMING was to be left before a whole state had arrived; a reset aborts it";
    for round in [0, 3] {
        let file = v2::open(&device, RESUMING)?;
        for _ in 0..3 {
            check_errno!(file.feed(&broken, 4096), EBADMSG, "a broken checksum");
        }
        let (count, last) = refused(&mdev)?;
        check_eq!(count, 7 + round, "refusals for a stream");
        let right = last.starts_with("EBADMSG: ") && last.contains("checksum");
        check!(right, "the last refusal is {last}");
        for count in [8, 9] {
            check_errno!(v2::set(&device, STOP), EINVAL, "to leave RESUMING");
            is(count + round, early, "for leaving RESUMING")?;
        }
        device.reset()?;
        is(9 + round, early, "after a reset")?;
    }

    // Another user of the device sees what there was.
    drop(device);
    let device = Device::open(mdev.path(), world.access)?;
    v2::load(&device, &bytes)?;
    is(12, early, "for the next user")
}

fn shows_why_a_stream_was_refused_in_debugfs(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let right = Stream::parse(&bytes).map_err(Miss::Failed)?;
    let mut cases: Vec<(Vec<u8>, &str, &str)> = Vec::new();
    let mut add = |change: &dyn Fn(&mut Stream), errno, words| {
        let mut stream = right.clone();
        change(&mut stream);
        cases.push((stream.bytes(), errno, words));
    };
    add(
        &|stream| stream.head[0] = 0x7f,
        "EINVAL",
        "byte 0 of the magic is 0x7f, must be 0x89",
    );
    add(
        &|stream| stream.set_version(3),
        "EPROTO",
        "stream version is 3, allowed is 1 to 2",
    );
    add(
        &|stream| stream.set_version(1),
        "EINVAL",
        "stream version is 1, but the version string says 2",
    );
    add(
        &|stream| stream.set_text(&stream.text().replace("=serial", "=parallel")),
        "EXDEV",
        "model: source parallel, destination serial",
    );
    add(
        &|stream| stream.records[0].payload[0] = 2,
        "EINVAL",
        "command is 0x2, allowed is bits of 0x545",
    );
    add(
        &|stream| stream.records[1].payload[11] = 17,
        "EINVAL",
        "record PORT at byte 118: rx_count is 0x11",
    );
    add(
        &|stream| stream.records.insert(0, Record::new(7, MANDATORY, vec![])),
        "EINVAL",
        "record 0x0007 at byte 89: it is mandatory and not known",
    );
    add(
        &|stream| drop(stream.records.pop()),
        "EINVAL",
        "record COUNTERS is missing",
    );
    let mut behind = right.bytes();
    behind.push(0);
    cases.push((behind, "EINVAL", "bytes follow the record END"));
    let mut broken = right.bytes();
    seal(&mut broken);
    if let Some(last) = broken.last_mut() {
        *last ^= 1;
    }
    cases.push((broken, "EBADMSG", "checksum"));
    for (bytes, errno, words) in cases {
        let file = v2::open(&device, RESUMING)?;
        check!(
            file.feed(&bytes, bytes.len()).is_err(),
            "it was taken: {words}"
        );
        let shown = facts(world.mdev)?
            .remove("last_refusal")
            .unwrap_or_default();
        let told = shown.starts_with(errno) && shown.contains(words);
        check!(told, "it shows {shown:?}, want {errno}: ... {words}");
        device.reset()?;
    }
    Ok(())
}

fn leaves_nothing_in_debugfs_when_removed(world: &World<'_>) -> Outcome {
    let (mdev, device) = world.another()?;
    let folder = Path::new(DEBUGFS).join(mdev.uuid());
    let open = fs::File::open(folder.join("migration"))?;
    drop(device);
    mdev.remove()?;
    check!(!folder.exists(), "the directory is still there");
    // The kernel itself cuts off who had it open.
    let mut text = String::new();
    let read = std::io::Read::read_to_string(&mut &open, &mut text);
    check!(read.is_err() || text.is_empty(), "it still says {text:?}");
    Ok(())
}

const TRACEFS: &str = "/sys/kernel/tracing";

/// The steps of this device that the tracepoint tells of while something is done, each as its states; `None` where there
/// is no tracepoint.
fn traced(mdev: &Mdev, act: impl FnOnce() -> Outcome) -> Result<Option<Vec<String>>, Miss> {
    let trace = Path::new(TRACEFS);
    let switch = trace.join("events/migdev/migdev_state/enable");
    if !switch.exists() {
        return Ok(None);
    }
    fs::write(trace.join("trace"), "")?;
    fs::write(&switch, "1")?;
    let done = act();
    fs::write(&switch, "0")?;
    let text = fs::read_to_string(trace.join("trace"))?;
    done?;
    let start = format!("device={} ", mdev.uuid());
    let step = |line: &str| {
        let (_, step) = line.split_once("migdev_state: ")?;
        step.strip_prefix(&start).map(str::to_owned)
    };
    Ok(Some(text.lines().filter_map(step).collect()))
}

fn traces_each_step_between_states(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let Some(steps) = traced(world.mdev, || walk(&device))? else {
        skip!("the kernel has no tracepoints");
    };
    let want = [
        "from=RUNNING to=PRE_COPY",
        "from=PRE_COPY to=PRE_COPY_P2P",
        "from=PRE_COPY_P2P to=STOP_COPY",
        "from=STOP_COPY to=STOP",
        "from=STOP to=RUNNING_P2P",
        "from=RUNNING_P2P to=RUNNING",
        "from=RUNNING to=RUNNING_P2P",
        "from=RUNNING_P2P to=STOP",
        "from=STOP to=RESUMING",
    ];
    check_eq!(steps, want, "the steps");
    Ok(())
}

/// A reset goes over no other state.
fn traces_a_reset_as_one_step(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for state in STATES.into_iter().filter(|state| *state != RUNNING) {
        v2::set(&device, state)?;
        let Some(steps) = traced(world.mdev, || Ok(device.reset()?))? else {
            skip!("the kernel has no tracepoints");
        };
        let want = format!("from={} to=RUNNING", NAMES[state as usize]);
        check_eq!(steps, [want], "the steps of a reset");
    }
    Ok(())
}

/// A way that goes over other states, and one that is refused.
fn walk(device: &Device) -> Outcome {
    v2::set(device, PRE_COPY)?;
    v2::set(device, STOP_COPY)?;
    v2::set(device, RUNNING)?;
    v2::set(device, RUNNING)?;
    v2::set(device, RESUMING)?;
    check_errno!(v2::set(device, RUNNING), EINVAL, "to run with nothing");
    Ok(())
}

/// The core has a file of its own, which anybody may read at any time, whether the device is open or not.
fn answers_the_core_that_shows_its_state(world: &World<'_>) -> Outcome {
    let folder = Path::new("/sys/kernel/debug/vfio").join(world.mdev.uuid());
    if !folder.exists() {
        skip!("there is no {}", folder.display());
    }
    let shown = |name: &str| fs::read_to_string(folder.join("migration").join(name));
    check_eq!(
        shown("state")?,
        "RUNNING\n",
        "the state before it is opened"
    );
    let want = "stop-copy\np2p\npre-copy\ndirty-tracking\n";
    check_eq!(shown("features")?, want, "the features");
    let device = world.open()?;
    for state in STATES {
        device.reset()?;
        let _file = v2::set(&device, state)?;
        let text = shown("state")?;
        check_eq!(text.trim_end(), NAMES[state as usize], "the state");
    }
    drop(device);
    check_eq!(shown("state")?, "RUNNING\n", "the state once it is closed");
    Ok(())
}
