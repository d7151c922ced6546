// SPDX-License-Identifier: GPL-2.0-only
//! Devices of types that are held at an older version. They are made under a PCI card, where no other device of the type
//! is in the way; without a card in the machine there is nothing to try.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::super::{cases, World};
use super::hostile::parts;
use vfio_client::device::Device;
use vfio_client::ktap::{check, check_eq, skip, Miss, Outcome};
use vfio_client::migration::v1::Region;
use vfio_client::migration::{guest, v2};
use vfio_client::serial::CONFIG;
use vfio_client::sysfs::{errno_of, Mdev, MdevType};

cases![
    writes_the_stream_of_the_version_that_it_is_held_at,
    shows_the_guest_the_abi_that_it_is_held_at,
    is_taken_in_where_the_check_says_so_and_nowhere_else,
    goes_to_a_newer_device_and_is_the_same_for_the_guest,
    does_not_hold_its_type_by_a_data_file_that_is_still_open,
];

/// Where the card names its ABI in configuration space.
const ABI: u64 = 0xf0;

/// A type that is held, for as long as this lives. It has no device then.
struct Held {
    kind: MdevType,
    file: PathBuf,
    newest: String,
    all: Vec<String>,
}

impl Held {
    /// Finds the type under a card; `None` where there is no card.
    fn find(world: &World<'_>) -> Result<Option<Self>, Errno> {
        let name = world.mdev.kind().name();
        for entry in fs::read_dir("/sys/class/mdev_bus").map_err(errno_of)? {
            let parent = entry.map_err(errno_of)?.file_name();
            let path = Path::new("/sys/bus/pci/devices").join(&parent);
            if !path.exists() {
                continue;
            }
            let kinds = MdevType::all(&parent.to_string_lossy())?;
            let Some(kind) = kinds.into_iter().find(|kind| kind.name() == name) else {
                continue;
            };
            let read = |file| fs::read_to_string(kind.path().join(file)).map_err(errno_of);
            let all: Vec<_> = read("migration_baselines")?
                .lines()
                .map(str::to_owned)
                .collect();
            return Ok(Some(Held {
                file: kind.path().join("migration_baseline"),
                newest: all.first().cloned().ok_or(Errno::ENODATA)?,
                kind,
                all,
            }));
        }
        Ok(None)
    }

    /// Makes a device at that baseline, and opens it. The type must have none.
    fn device(&self, world: &World<'_>, baseline: &str) -> Result<(Mdev, Device), Errno> {
        fs::write(&self.file, baseline).map_err(errno_of)?;
        let mdev = Mdev::create(&self.kind)?;
        let device = Device::open(mdev.path(), world.access)?;
        Ok((mdev, device))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.file, &self.newest) {
            println!("# {} is not what it was: {error}", self.file.display());
        }
    }
}

/// What a baseline names: the ABI's minor, and the stream version.
fn numbers(baseline: &str) -> Option<(u8, u16)> {
    let (abi, stream) = baseline.strip_prefix("abi=1.")?.split_once(",stream=")?;
    Some((abi.parse().ok()?, stream.parse().ok()?))
}

/// The string of a device.
fn string(mdev: &Mdev) -> Result<String, Errno> {
    let text = fs::read_to_string(mdev.path().join("migration_version")).map_err(errno_of)?;
    Ok(text.trim_end().to_owned())
}

fn writes_the_stream_of_the_version_that_it_is_held_at(world: &World<'_>) -> Outcome {
    let Some(held) = Held::find(world)? else {
        skip!("there is no card");
    };
    for baseline in &held.all {
        let (mdev, device) = held.device(world, baseline)?;
        guest::play(&device, world.ports(), 1)?;
        let stream = parts(&v2::save(&device)?)?;
        let version = numbers(baseline).map(|(_, version)| version);
        check_eq!(Some(stream.version()), version, "the stream at {baseline}");
        check_eq!(stream.text(), string(&mdev)?, "its string at {baseline}");
        let abi = baseline.split(',').next().unwrap_or_default();
        check!(
            stream.text().contains(&format!(",{abi},")),
            "{} at {baseline}",
            stream.text()
        );
        check_eq!(
            stream.counters().is_empty(),
            version < Some(2),
            "whether there are no counters at {baseline}"
        );
    }
    Ok(())
}

fn shows_the_guest_the_abi_that_it_is_held_at(world: &World<'_>) -> Outcome {
    let Some(held) = Held::find(world)? else {
        skip!("there is no card");
    };
    for baseline in &held.all {
        let (_mdev, device) = held.device(world, baseline)?;
        let minor = numbers(baseline).map_or(0, |(minor, _)| minor);
        let want = if minor == 0 { [0; 4] } else { [1, minor, 0, 0] };
        check_eq!(device.get::<4>(CONFIG, ABI)?, want, "at {baseline}");
        device.put(CONFIG, ABI, &[0xff; 4])?;
        check_eq!(
            device.get::<4>(CONFIG, ABI)?,
            want,
            "after a write at {baseline}"
        );
        device.reset()?;
        check_eq!(
            device.get::<4>(CONFIG, ABI)?,
            want,
            "after a reset at {baseline}"
        );
    }
    Ok(())
}

/// A state that was saved, and what its source said of itself.
struct Saved {
    baseline: String,
    string: String,
    stream: Vec<u8>,
}

/// Saves a device at each baseline, with a scene.
fn saved(held: &Held, world: &World<'_>, scene: usize) -> Result<Vec<Saved>, Miss> {
    let mut all = Vec::new();
    for baseline in &held.all {
        let (mdev, device) = held.device(world, baseline)?;
        guest::play(&device, world.ports(), scene)?;
        all.push(Saved {
            baseline: baseline.clone(),
            string: string(&mdev)?,
            stream: v2::save(&device)?,
        });
    }
    Ok(all)
}

fn is_taken_in_where_the_check_says_so_and_nowhere_else(world: &World<'_>) -> Outcome {
    let Some(held) = Held::find(world)? else {
        skip!("there is no card");
    };
    let sources = saved(&held, world, 1)?;
    let mut fits = 0;
    for baseline in &held.all {
        let (mdev, device) = held.device(world, baseline)?;
        for source in &sources {
            let check = fs::write(mdev.path().join("migration_version"), &source.string);
            let check = check.map_err(errno_of);
            let when = format!("{} to {baseline}", source.baseline);
            device.reset()?;
            check_eq!(
                v2::load(&device, &source.stream),
                check,
                "{when}, by the data file"
            );
            device.reset()?;
            let region = Region::of(&device)?.load(&source.stream);
            check_eq!(region.is_ok(), check.is_ok(), "{when}, by the region");
            fits += usize::from(check.is_ok());
        }
        device.reset()?;
    }
    // Each of the two numbers may rise, and neither may fall.
    check_eq!(fits, 9, "of {} pairs", held.all.len().pow(2));
    Ok(())
}

fn goes_to_a_newer_device_and_is_the_same_for_the_guest(world: &World<'_>) -> Outcome {
    let Some(held) = Held::find(world)? else {
        skip!("there is no card");
    };
    for scene in 0..guest::SCENES {
        for source in saved(&held, world, scene)? {
            // Its own device is where nothing is lost; the newest, under the world's parent, is to look alike.
            let (_mdev, own) = held.device(world, &source.baseline)?;
            guest::play(&own, world.ports(), scene)?;
            let mut want = guest::examine(&own, world.ports())?;
            let newest = world.open()?;
            v2::load(&newest, &source.stream)?;
            let mut got = guest::examine(&newest, world.ports())?;
            // But for the register that names the ABI.
            for view in [&mut want, &mut got] {
                guest::forget_abi(view);
            }
            let when = format!("scene {scene}, {} to the newest", source.baseline);
            guest::same(&got, &want, &when)?;
        }
    }
    Ok(())
}

fn does_not_hold_its_type_by_a_data_file_that_is_still_open(world: &World<'_>) -> Outcome {
    let Some(held) = Held::find(world)? else {
        skip!("there is no card");
    };
    let oldest = held.all.last().unwrap_or(&held.newest);
    let (mdev, device) = held.device(world, &held.newest)?;
    let file = v2::open(&device, v2::STOP_COPY)?;
    let hold = || fs::write(&held.file, oldest).map_err(errno_of);
    check_eq!(hold(), Err(Errno::EBUSY), "while the device is there");
    drop(device);
    mdev.remove()?;
    check_eq!(hold(), Ok(()), "when nothing but the file is left");
    check_eq!(
        file.read(&mut [0; 16]),
        Err(Errno::ENODEV),
        "what the file says"
    );
    Ok(())
}
