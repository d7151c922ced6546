// SPDX-License-Identifier: GPL-2.0-only
//! Small tools for the shell scripts of the guest: a device that stays open, and the uevents of
//! the kernel.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    bind, recv, socket, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
};

use vfio_client::device::{Access, Device};
use vfio_client::serial::Signal;
use vfio_client::sysfs::Mdev;

/// Opens a device, prints `open`, and keeps it until standard input ends.
#[derive(Args)]
pub struct Hold {
    /// The device's UUID.
    uuid: String,
    /// How the device is opened.
    #[arg(long, value_enum, default_value_t = Way::Group)]
    path: Way,
    /// Listens to the REQ interrupt, and closes the device as soon as it comes.
    #[arg(long)]
    polite: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Way {
    /// /dev/vfio/GROUP and a type 1 container.
    Group,
    /// /dev/vfio/devices/vfioN and /dev/iommu.
    Cdev,
}

impl Hold {
    /// Does it; true when the device could be opened and held.
    pub fn run(self) -> bool {
        match self.hold() {
            Ok(()) => true,
            Err(errno) => {
                println!("{errno:?}");
                false
            }
        }
    }

    fn hold(&self) -> Result<(), Errno> {
        let access = match self.path {
            Way::Group => Access::Group,
            Way::Cdev => Access::Cdev,
        };
        let device = Device::open(Mdev::existing(&self.uuid)?.path(), access)?;
        let request = Signal::new()?;
        if self.polite {
            let trigger = vfio_bindings::bindings::vfio::VFIO_IRQ_SET_ACTION_TRIGGER;
            let index = vfio_bindings::bindings::vfio::VFIO_PCI_REQ_IRQ_INDEX;
            device.irq_fd(trigger, index, request.fd())?;
        }
        println!("open");
        let _ = std::io::stdout().flush();
        let stdin = std::io::stdin();
        let mut byte = [0];
        loop {
            let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(50u8))?;
            let readable = fds[0].revents().is_some_and(|events| !events.is_empty());
            if readable && stdin.lock().read(&mut byte).unwrap_or(0) == 0 {
                return Ok(());
            }
            if request.taken(Duration::ZERO)? > 0 {
                println!("asked to leave");
                return Ok(());
            }
        }
    }
}

/// Prints the kernel's uevents, one a line, for some seconds.
#[derive(Args)]
pub struct Uevents {
    /// Ends after this many seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Prints the names of the files in this directory after each event, if it exists.
    #[arg(long, value_name = "DIR")]
    look: Option<PathBuf>,
}

impl Uevents {
    /// Does it; true when the kernel could be listened to.
    pub fn run(self) -> bool {
        match self.listen() {
            Ok(()) => true,
            Err(errno) => {
                println!("{errno:?}");
                false
            }
        }
    }

    fn listen(&self) -> Result<(), Errno> {
        let events = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        // Group 1 is the kernel's own broadcast; a daemon's is group 2.
        bind(events.as_raw_fd(), &NetlinkAddr::new(0, 1))?;
        println!("listening");
        let _ = std::io::stdout().flush();
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let mut buffer = vec![0; 16384];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
            if left.is_zero() || poll(&mut fds, timeout)? == 0 {
                return Ok(());
            }
            let count = recv(events.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let text: Vec<_> = buffer[..count]
                .split(|byte| *byte == 0)
                .map(String::from_utf8_lossy)
                .collect();
            println!("{}", text.join(" ").trim_end());
            if let Some(folder) = &self.look {
                look(folder);
            }
            let _ = std::io::stdout().flush();
        }
    }
}

/// Prints the names of the files of a directory, in one line, in order.
fn look(folder: &Path) {
    if let Ok(entries) = std::fs::read_dir(folder) {
        let mut names: Vec<_> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        println!("  files: {}", names.join(" "));
    }
}
