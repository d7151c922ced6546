// SPDX-License-Identifier: GPL-2.0-only
//! Streams that no device wrote. Each is refused with the documented error, by both protocols, and leaves the device as
//! it was.

use std::cell::Cell;

use nix::errno::Errno;

use super::super::{cases, World};
use super::idle;
use vfio_client::device::Device;
use vfio_client::ktap::{check, check_eq, check_errno, Miss, Outcome};
use vfio_client::migration::stream::{
    seal, Record, Stream, END, HEAD, LENGTH_AT, LIMIT, MANDATORY, RECORD, VERSION_AT,
};
use vfio_client::migration::v1::{self, Carry, Region};
use vfio_client::migration::v2::{self, RESUMING, RUNNING};
use vfio_client::serial::{Port, CONFIG, INTERRUPT_LINE, LCR, SCR};
use vfio_client::sysfs::Mdev;

cases![
    refuses_a_stream_that_is_cut_off_anywhere,
    refuses_a_stream_with_any_bit_flipped,
    loads_nothing_that_it_would_not_save,
    refuses_records_that_are_missing_doubled_or_out_of_order,
    refuses_records_of_other_lengths_and_flags,
    skips_unknown_records_that_are_optional,
    refuses_unknown_records_that_are_mandatory,
    refuses_heads_that_are_none,
    refuses_versions_that_do_not_fit,
    refuses_the_stream_of_another_type,
    refuses_a_stream_that_is_too_long,
    refuses_the_rest_of_a_stream_that_it_refused,
];

/// By what a stream comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Carrier {
    Region,
    File,
}

const CARRIERS: [Carrier; 2] = [Carrier::Region, Carrier::File];

/// A device that hostile streams are offered to.
pub(super) struct Target<'a> {
    device: &'a Device,
    region: Region<'a>,
    ports: usize,
    /// How many streams were offered.
    offered: Cell<usize>,
}

/// The lengths in which streams come, one after the other.
const PIECES: [usize; 4] = [4096, 64, 33, 100];

impl<'a> Target<'a> {
    pub(super) fn new(device: &'a Device, ports: usize) -> Result<Self, Errno> {
        Ok(Target {
            device,
            region: Region::of(device)?,
            ports,
            offered: Cell::new(0),
        })
    }

    /// Leaves marks in a device that is as after a reset, which any state that was applied would take away.
    fn mark(&self) -> Result<(), Errno> {
        self.device.put(CONFIG, INTERRUPT_LINE, &[0xee])?;
        (0..self.ports).try_for_each(|number| Port::new(self.device, number).set(SCR, 0xe0))
    }

    /// Whether the marks are there.
    fn is_marked(&self) -> Result<bool, Errno> {
        let mut marked = self.device.get::<1>(CONFIG, INTERRUPT_LINE)? == [0xee];
        for number in 0..self.ports {
            marked &= Port::new(self.device, number).get(SCR)? == 0xe0;
        }
        Ok(marked)
    }

    /// Offers a stream to a device that is as after a reset. When it was taken, the device runs with it; if not, it is
    /// as after a reset again, and the first error is returned.
    fn offer(&self, bytes: &[u8], carrier: Carrier) -> Result<Result<(), Errno>, Miss> {
        self.mark()?;
        let piece = PIECES[self.offered.replace(self.offered.get() + 1) % PIECES.len()];
        let end = match carrier {
            Carrier::File => {
                let file = v2::open(self.device, RESUMING)?;
                let fed = file.feed(bytes, piece);
                let left = match fed {
                    Ok(()) => v2::set(self.device, RUNNING).map(|_| ()),
                    Err(_) => {
                        let left = v2::set(self.device, RUNNING);
                        check_errno!(left, EINVAL, "to run with what was refused");
                        fed
                    }
                };
                if left.is_err() {
                    check!(self.is_marked()?, "a refused stream left something");
                    self.device.reset()?;
                }
                left
            }
            Carrier::Region => {
                self.region.set_state(v1::RESUMING)?;
                let fed = self.region.feed(bytes, piece, Carry::Trapped(4096));
                let left = self.region.set_state(v1::RUNNING);
                if fed.is_err() {
                    check_errno!(left, EINVAL, "to run with what was refused");
                }
                let end = fed.and(left);
                if end.is_err() {
                    self.region.set_state(v1::RUNNING)?;
                    check!(self.is_marked()?, "a refused stream left something");
                    self.device.reset()?;
                }
                end
            }
        };
        Ok(end)
    }

    /// Checks that a stream is refused with this error by either carrier.
    pub(super) fn refuses(&self, bytes: &[u8], want: Errno, what: &str) -> Outcome {
        for carrier in CARRIERS {
            let end = self.offer(bytes, carrier)?;
            check_eq!(end, Err(want), "{what}, by {carrier:?}");
        }
        Ok(())
    }

    /// Checks that a stream is taken by either carrier, and what is saved then.
    pub(super) fn takes(&self, bytes: &[u8], saved: &[u8], what: &str) -> Outcome {
        for carrier in CARRIERS {
            let end = self.offer(bytes, carrier)?;
            check_eq!(end, Ok(()), "{what}, by {carrier:?}");
            check_eq!(v2::save(self.device)?, saved, "{what}, saved again");
            self.device.reset()?;
        }
        Ok(())
    }
}

/// The stream, taken apart.
pub(super) fn parts(bytes: &[u8]) -> Result<Stream, Miss> {
    Stream::parse(bytes).map_err(Miss::Failed)
}

/// Checks that the device takes what is right, and works.
pub(super) fn works(target: &Target<'_>, bytes: &[u8]) -> Outcome {
    target.takes(bytes, bytes, "the right stream at last")?;
    let port = Port::new(target.device, 0);
    port.set(LCR, 0x03)?;
    port.send(b"w")?;
    check_eq!(port.receive(9)?, b"w", "text after it all");
    Ok(())
}

fn refuses_a_stream_that_is_cut_off_anywhere(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    for length in 0..bytes.len() {
        let file = target.offer(&bytes[..length], Carrier::File)?;
        check_eq!(file, Err(Errno::EINVAL), "{length} bytes by the file");
        let region = target.offer(&bytes[..length], Carrier::Region)?;
        // To the region it is a cancel when nothing came.
        match length {
            0 => check_eq!(region, Ok(()), "nothing by the region"),
            _ => check_eq!(region, Err(Errno::EINVAL), "{length} bytes by the region"),
        }
        device.reset()?;
    }
    works(&target, &bytes)
}

fn refuses_a_stream_with_any_bit_flipped(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let mut broken = bytes.clone();
    for bit in 0..8 * bytes.len() {
        broken[bit / 8] ^= 1 << (bit % 8);
        let end = target.offer(&broken, CARRIERS[(bit + bit / 8) % 2])?;
        check!(
            end.is_err(),
            "bit {} of byte {} was of no account",
            bit % 8,
            bit / 8
        );
        broken[bit / 8] = bytes[bit / 8];
    }
    works(&target, &bytes)
}

/// With a checksum that is right, a flipped bit is another state. Either it is one that a card can be in, and then it is
/// what is saved next, or it is refused.
fn loads_nothing_that_it_would_not_save(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let (mut taken, mut refused) = (0, 0);
    let start = parts(&bytes)?.head.len();
    for bit in 8 * start..8 * (bytes.len() - 4) {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        seal(&mut other);
        if target
            .offer(&other, CARRIERS[(bit + bit / 8) % 2])?
            .is_err()
        {
            refused += 1;
            continue;
        }
        taken += 1;
        let (byte, bit) = (bit / 8, bit % 8);
        check_eq!(
            v2::save(&device)?,
            other,
            "saved with bit {bit} of byte {byte}"
        );
        device.reset()?;
    }
    check!(
        taken > 50 && refused > 50,
        "{taken} taken, {refused} refused"
    );
    works(&target, &bytes)
}

fn refuses_records_that_are_missing_doubled_or_out_of_order(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let right = parts(&bytes)?;
    for at in 0..right.records.len() {
        let mut stream = right.clone();
        stream.records.remove(at);
        target.refuses(
            &stream.bytes(),
            Errno::EINVAL,
            &format!("without record {at}"),
        )?;
        for to in 0..=right.records.len() {
            let mut stream = right.clone();
            stream.records.insert(to, right.records[at].clone());
            let what = format!("record {at} again at {to}");
            target.refuses(&stream.bytes(), Errno::EINVAL, &what)?;
        }
        for other in 0..at {
            let mut stream = right.clone();
            stream.records.swap(at, other);
            let what = format!("records {other} and {at} exchanged");
            target.refuses(&stream.bytes(), Errno::EINVAL, &what)?;
        }
    }
    let none = Stream {
        records: Vec::new(),
        ..right.clone()
    };
    target.refuses(&none.bytes(), Errno::EINVAL, "no records at all")?;
    // A port that is not this card's.
    let mut stream = right.clone();
    let mut port = stream.records[world.ports()].clone();
    port.payload[0] = world.ports() as u8;
    stream.records.insert(world.ports() + 1, port);
    target.refuses(&stream.bytes(), Errno::EINVAL, "one port more")?;
    works(&target, &bytes)
}

fn refuses_records_of_other_lengths_and_flags(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let right = parts(&bytes)?;
    for at in 0..right.records.len() {
        for flags in [0, 2, 3, 0x8001, 0xffff] {
            let mut stream = right.clone();
            stream.records[at].flags = flags;
            let what = format!("record {at} with flags {flags:#x}");
            target.refuses(&stream.bytes(), Errno::EINVAL, &what)?;
        }
        for change in [-1, 1, 2, 200, 1000] {
            let mut stream = right.clone();
            let record = &mut stream.records[at];
            let length = record.payload.len().saturating_add_signed(change);
            record.payload.resize(length, 0);
            record.length = length as u32;
            let what = format!("record {at} of {length} bytes");
            target.refuses(&stream.bytes(), Errno::EINVAL, &what)?;
        }
        // Lengths that are not true run into what follows, or past the end.
        for length in [0, 1, 0x7fff_ffff, u32::MAX] {
            let mut stream = right.clone();
            stream.records[at].length = length;
            for carrier in CARRIERS {
                let end = target.offer(&stream.bytes(), carrier)?;
                check!(
                    end.is_err(),
                    "record {at} said to be {length} long was taken"
                );
            }
        }
    }
    for (at, flip) in [(2, 1), (2, 2), (4, 1), (5, 1), (7, 0x80)] {
        let mut other = bytes.clone();
        let end = other.len() - END;
        other[end + at] ^= flip;
        seal(&mut other);
        for carrier in CARRIERS {
            let taken = target.offer(&other, carrier)?;
            check!(
                taken.is_err(),
                "an end record with byte {at} changed was taken"
            );
        }
    }
    works(&target, &bytes)
}

fn skips_unknown_records_that_are_optional(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let right = parts(&bytes)?;
    for (tag, length) in [(4, 0), (0, 1), (0x8000, 8), (0xfffe, 300), (0x1234, 60_000)] {
        for at in 0..=right.records.len() {
            let mut stream = right.clone();
            let record = Record::new(tag, 0, vec![0x5a; length]);
            stream.records.insert(at, record);
            let what = format!("optional record {tag:#x} of {length} at {at}");
            target.takes(&stream.bytes(), &bytes, &what)?;
        }
    }
    works(&target, &bytes)
}

fn refuses_unknown_records_that_are_mandatory(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let right = parts(&bytes)?;
    for (tag, length) in [(4, 0), (0, 1), (0x8000, 8), (0xfffe, 300)] {
        for at in 0..=right.records.len() {
            let mut stream = right.clone();
            let record = Record::new(tag, MANDATORY, vec![0x5a; length]);
            stream.records.insert(at, record);
            let what = format!("mandatory record {tag:#x} of {length} at {at}");
            target.refuses(&stream.bytes(), Errno::EINVAL, &what)?;
        }
    }
    works(&target, &bytes)
}

fn refuses_heads_that_are_none(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let with = |at: usize, change: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + change.len()].copy_from_slice(change);
        seal(&mut bytes);
        bytes
    };
    for (at, byte) in bytes.iter().enumerate().take(8) {
        let changed = with(at, &[byte ^ 0x80]);
        target.refuses(&changed, Errno::EINVAL, &format!("byte {at} of the magic"))?;
    }
    for at in 12..HEAD {
        target.refuses(
            &with(at, &[1]),
            Errno::EINVAL,
            &format!("reserved byte {at}"),
        )?;
    }
    for length in [0_u16, 1023, 1024, 0x8000, 0xffff] {
        let changed = with(LENGTH_AT, &length.to_le_bytes());
        target.refuses(&changed, Errno::EINVAL, &format!("a string of {length}"))?;
    }
    for version in [0_u16, 3, 4, 0x0100, 0x0102, 0xffff] {
        let changed = with(VERSION_AT, &version.to_le_bytes());
        target.refuses(
            &changed,
            Errno::EPROTO,
            &format!("stream version {version}"),
        )?;
    }
    let other = with(VERSION_AT, &1_u16.to_le_bytes());
    target.refuses(&other, Errno::EINVAL, "a version that the string denies")?;
    works(&target, &bytes)
}

fn refuses_versions_that_do_not_fit(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let right = parts(&bytes)?;
    let ports = format!("ports=eq:{}", world.ports());
    for (part, other, want) in [
        ("model=serial", "model=parallel", Errno::EXDEV),
        ("vendor=migdev", "vendor=other", Errno::EXDEV),
        ("abi=1.", "abi=2.", Errno::EPROTO),
        ("abi=1.1", "abi=1.2", Errno::EPROTO),
        ("stream=2:1-2", "stream=3:1-3", Errno::EPROTO),
        (ports.as_str(), "ports=eq:3", Errno::ERANGE),
        ("migver:1", "migver:9", Errno::EPROTO),
        ("migver", "Migver", Errno::EINVAL),
        (",abi=", " ,abi=", Errno::EINVAL),
        (",abi=", "\0,abi=", Errno::EINVAL),
        (ports.as_str(), "ports=eq:\u{e9}", Errno::EINVAL),
    ] {
        let text = right.text();
        check!(text.contains(part), "{text} has no {part}");
        let mut stream = right.clone();
        stream.set_text(&text.replace(part, other));
        let what = format!("{other} in place of {part}");
        target.refuses(&stream.bytes(), want, &what)?;
    }
    for text in [
        "x",
        "\n",
        "migver:1",
        &"m".repeat(1022),
        &format!("{}\n", right.text()),
    ] {
        let mut stream = right.clone();
        stream.set_text(text);
        target.refuses(
            &stream.bytes(),
            Errno::EINVAL,
            &format!("the string {text:?}"),
        )?;
    }
    works(&target, &bytes)
}

fn refuses_the_stream_of_another_type(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let name = match world.ports() {
        1 => "migdev-serial2",
        _ => "migdev-serial1",
    };
    let mdev = Mdev::create(&world.mdev.kind().sibling(name))?;
    let other = Device::open(mdev.path(), world.access)?;
    let foreign = v2::save(&other)?;
    target.refuses(&foreign, Errno::ERANGE, name)?;
    // In pre-copy that shows before the source has stopped.
    v2::set(&other, RUNNING)?;
    let head = v2::open(&other, v2::PRE_COPY)?.drain(4096)?;
    let file = v2::open(&device, RESUMING)?;
    check_errno!(file.feed(&head, head.len()), ERANGE, "the head of {name}");
    device.reset()?;
    works(&target, &bytes)
}

fn refuses_a_stream_that_is_too_long(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let target = Target::new(&device, world.ports())?;
    let right = parts(&bytes)?;
    // Up to the limit, and one byte more.
    for (over, want) in [
        (0, Ok(())),
        (1, Err(Errno::EFBIG)),
        (70_000, Err(Errno::EFBIG)),
    ] {
        let mut stream = right.clone();
        let length = LIMIT - bytes.len() - RECORD + over;
        let record = Record::new(0x77, 0, vec![0; length]);
        stream.records.insert(1, record);
        for carrier in CARRIERS {
            let end = target.offer(&stream.bytes(), carrier)?;
            check_eq!(end, want, "{over} bytes over the limit, by {carrier:?}");
            device.reset()?;
        }
    }
    works(&target, &bytes)
}

fn refuses_the_rest_of_a_stream_that_it_refused(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let mut broken = bytes.clone();
    broken[0] ^= 0xff;
    let file = v2::open(&device, RESUMING)?;
    check_errno!(file.feed(&broken, 1), EINVAL, "a wrong magic");
    for _ in 0..3 {
        check_errno!(file.write(&bytes), EINVAL, "the right stream behind it");
        check_errno!(file.write(&[0]), EINVAL, "a byte behind it");
        check_errno!(v2::set(&device, RUNNING), EINVAL, "to run with it");
    }
    device.reset()?;
    works(&Target::new(&device, world.ports())?, &bytes)
}
