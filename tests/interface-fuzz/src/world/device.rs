// SPDX-License-Identifier: GPL-2.0-only
//! Calls on the device: its life, and the requests of its file.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{gettid, Pid};
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
    VFIO_DEVICE_FEATURE_MASK, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_PROBE,
    VFIO_DEVICE_FEATURE_SET, VFIO_IRQ_SET_DATA_EVENTFD,
};
use vfio_client::device::{request, requests, Access};
use vfio_client::sysfs::Mdev;
use vfio_client::wait::poll_while;

use super::{World, DEVICES};
use crate::calls::Answer;
use crate::kinds::memory;

/// Opens a device that is not open.
pub fn open(world: &mut World, arguments: &[u64]) -> Answer {
    let slot = world.slot(arguments[0]);
    if slot.device.is_some() || slot.mdev.is_none() {
        return None;
    }
    let access = if arguments[1] % 2 == 0 {
        Access::Group
    } else {
        Access::Cdev
    };
    Some(slot.open(access).map(|device| {
        slot.device = Some(device);
        slot.was_open = true;
        0
    }))
}

/// Closes all descriptors of a device.
pub fn close(world: &mut World, arguments: &[u64]) -> Answer {
    let slot = world.slot(arguments[0]);
    slot.extras.clear();
    slot.device.take().map(|_| Ok(0))
}

/// Gets another descriptor of an open device from its group.
pub fn again(world: &mut World, arguments: &[u64]) -> Answer {
    let slot = world.slot(arguments[0]);
    let another = slot.device.as_ref()?.open_again()?;
    Some(another.map(|file| {
        slot.extras.push(file);
        0
    }))
}

/// Creates a device where there is none.
pub fn create(world: &mut World, arguments: &[u64]) -> Answer {
    let slot = world.slot(arguments[0]);
    if slot.mdev.is_some() || slot.removal.is_some() {
        return None;
    }
    Some(Mdev::create(&slot.kind).map(|mdev| {
        slot.mdev = Some(mdev);
        0
    }))
}

/// Removes a device. As that takes until nobody has it open or mapped, it then goes on in the background.
pub fn remove(world: &mut World, arguments: &[u64]) -> Answer {
    let number = arguments[0] as usize % DEVICES;
    let is_mapped = world.mappings.iter().any(Option::is_some);
    let mdev = world.slots[number].mdev.take()?;
    if world.slots[number].device.is_none() && !is_mapped {
        return Some(mdev.remove().map(|()| 0));
    }
    let mut kcov = world.kcov_of_removals.take();
    let (sender, receiver) = mpsc::channel();
    world.slots[number].removal = Some(std::thread::spawn(move || {
        let _ = sender.send(gettid());
        if let Some(kcov) = &mut kcov {
            kcov.enable();
        }
        let removed = mdev.remove();
        if let Some(kcov) = &mut kcov {
            kcov.disable();
        }
        (removed, kcov)
    }));
    if let Ok(thread) = receiver.recv() {
        wait_for_sleep(thread);
    }
    Some(Ok(0))
}

/// Waits until a thread sleeps, so that what it has begun is the same in each run; but not for long.
fn wait_for_sleep(thread: Pid) {
    let path = format!("/proc/self/task/{thread}/stat");
    poll_while(
        Duration::from_millis(500),
        Duration::from_millis(1),
        || fs::read_to_string(&path).unwrap_or_default(),
        // The name before the state may have anything in it but the last parenthesis.
        |stat| matches!(stat.rsplit_once(") "), Some((_, rest)) if rest.starts_with('R')),
    );
}

impl World {
    /// Makes a request with a structure: puts it where the memory is, and returns what the memory has then.
    fn request(
        &mut self,
        device: u64,
        number: u32,
        memory: u64,
        words: &[u32],
    ) -> Option<Result<Vec<u8>, Errno>> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let place = self.arena.put(memory, &bytes);
        let fd = self.file(device)?.as_raw_fd();
        // SAFETY: what the kernel is to read and write begins in the arena, which is long enough for every structure or
        // has nothing behind it; or it is not mapped. A number that is no address is not taken for one.
        let done = Errno::result(unsafe { libc::ioctl(fd, libc::Ioctl::from(number), place) });
        Some(done.map(|_| self.arena.get(memory, bytes.len())))
    }
}

/// `VFIO_DEVICE_GET_INFO`
pub fn info(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, memory, argsz] = arguments else {
        return None;
    };
    plain(world.request(
        device,
        requests::GET_INFO,
        memory,
        &[argsz as u32, 0, 0, 0, 0, 0],
    ))
}

/// `VFIO_DEVICE_GET_REGION_INFO`
pub fn region_info(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, memory, argsz, index] = arguments else {
        return None;
    };
    let words = [argsz as u32, 0, index as u32, 0, 0, 0, 0, 0];
    plain(world.request(device, requests::GET_REGION_INFO, memory, &words))
}

/// `VFIO_DEVICE_GET_IRQ_INFO`
pub fn irq_info(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, memory, argsz, index] = arguments else {
        return None;
    };
    plain(world.request(
        device,
        requests::GET_IRQ_INFO,
        memory,
        &[argsz as u32, 0, index as u32, 0],
    ))
}

/// `VFIO_DEVICE_SET_IRQS`, with data for two interrupts.
pub fn set_irqs(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, memory, argsz, flags, index, start, count, first, second] = arguments else {
        return None;
    };
    let mut words = vec![
        argsz as u32,
        flags as u32,
        index as u32,
        start as u32,
        count as u32,
    ];
    for value in [first, second] {
        words.push(if flags as u32 & VFIO_IRQ_SET_DATA_EVENTFD != 0 {
            descriptor(world, device, value) as u32
        } else {
            value as u32
        });
    }
    plain(world.request(device, requests::SET_IRQS, memory, &words))
}

/// Which descriptor a value means.
fn descriptor(world: &mut World, device: u64, value: u64) -> i32 {
    match value {
        4 => -1,
        5 => -2,
        6 => 1000,
        7 => world.null.as_raw_fd(),
        8 => world.file(device).map_or(-1, AsRawFd::as_raw_fd),
        9 => i32::MIN,
        event => world.events[event as usize % 4].fd(),
    }
}

/// Signals an eventfd, to which a device may listen.
pub fn signal(world: &mut World, arguments: &[u64]) -> Answer {
    Some(world.events[arguments[0] as usize % 4].send().map(|()| 0))
}

/// `VFIO_DEVICE_RESET`
pub fn reset(world: &mut World, arguments: &[u64]) -> Answer {
    plain(world.request(arguments[0], requests::RESET, memory::GOOD, &[]))
}

/// So many ranges are there to be logged, whatever number of them a request tells.
const RANGES: u64 = 64;

/// `VFIO_DEVICE_FEATURE`, with four numbers behind its head, of which the third may be an address.
pub fn feature(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, memory, argsz, flags, first, second, pointed, last] = arguments else {
        return None;
    };
    let feature = flags as u32 & VFIO_DEVICE_FEATURE_MASK;
    // What is pointed to stands far from the structure: ranges of one length, each where the one before it ends.
    let ranges: Vec<u8> = (0..RANGES)
        .flat_map(|number| [first.wrapping_add(last.wrapping_mul(number)), last])
        .flat_map(u64::to_ne_bytes)
        .collect();
    let pointer = if pointed == memory::GOOD {
        4096
    } else {
        pointed
    };
    let pointer = match feature {
        VFIO_DEVICE_FEATURE_DMA_LOGGING_START => world.arena.put(pointer, &ranges) as u64,
        VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT => world.arena.place(pointer) as u64,
        _ => pointed,
    };
    let payload = match feature {
        VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT => [first, second, last, pointer],
        _ => [first, second, pointer, last],
    };
    let mut words = vec![argsz as u32, flags as u32];
    words.extend(
        payload
            .iter()
            .flat_map(|word| [*word as u32, (word >> 32) as u32]),
    );
    let done = world.request(device, requests::FEATURE, memory, &words)?;
    Some(done.map(|answer| {
        close_data_file(flags as u32, &answer);
        0
    }))
}

/// Any other request, with four equal numbers behind its length.
pub fn any(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, number, memory, argsz, word] = arguments else {
        return None;
    };
    let number = request(number as u32 % 32);
    let word = word as u32;
    let done = world.request(
        device,
        number,
        memory,
        &[argsz as u32, word, word, word, word],
    )?;
    Some(done.map(|answer| {
        if number == requests::FEATURE {
            close_data_file(word, &answer);
        }
        0
    }))
}

/// Closes the data file that a feature may have answered with.
fn close_data_file(flags: u32, answer: &[u8]) {
    let is_state = flags & VFIO_DEVICE_FEATURE_MASK == VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
    let is_set =
        flags & (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE) == VFIO_DEVICE_FEATURE_SET;
    let Some(Ok(bytes)) = answer.get(12..16).map(<[u8; 4]>::try_from) else {
        return;
    };
    let fd = i32::from_ne_bytes(bytes);
    if is_state && is_set && fd >= 0 {
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        drop(File::from(unsafe { OwnedFd::from_raw_fd(fd) }));
    }
}

/// The answer alone.
fn plain(done: Option<Result<Vec<u8>, Errno>>) -> Answer {
    done.map(|done| done.map(|_| 0))
}
