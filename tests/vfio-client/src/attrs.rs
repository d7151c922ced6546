// SPDX-License-Identifier: GPL-2.0-only
//! Reads and writes of small files on behalf of a shell script, with the errno by name.
//!
//! A shell has no way to make one write(2) of any bytes at any offset, nor to tell an errno, and
//! starting a process for each is slow on an emulated machine. So one process serves a whole
//! script. A request is five fields on standard input, an answer is one on standard output; each
//! field ends with a NUL, which neither attribute nor path can contain.
//!
//! | field | read | write |
//! |---|---|---|
//! | operation | `read` | `write` |
//! | path | the file | the file |
//! | offset | in bytes | in bytes |
//! | user | the number of the user and group that opens the file | the same |
//! | data | how many bytes at most | the bytes |
//!
//! The answer is `ok` and a space and the text or the count, or the name of the errno.

use std::io::{BufRead, Write};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{open, OFlag};
use nix::sys::stat::Mode;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{setegid, seteuid, setgroups, Gid, Uid};

/// The longest read that a script may ask for.
const MOST: usize = 1 << 20;

/// Serves requests until standard input ends; true when all of them were understood.
pub fn serve() -> bool {
    // What the process was started with must not open a file for another user.
    if setgroups(&[]).is_err() {
        return false;
    }
    let mut fields = std::io::stdin().lock().split(0).map_while(Result::ok);
    let mut output = std::io::stdout().lock();
    while let Some(operation) = fields.next() {
        let rest = [fields.next(), fields.next(), fields.next(), fields.next()];
        let [Some(path), Some(offset), Some(user), Some(data)] = rest else {
            return false;
        };
        let answer = Request::parse(&operation, &path, &offset, &user, &data)
            .and_then(|request| request.serve());
        let done = match answer {
            Ok(mut text) => {
                text.splice(..0, *b"ok ");
                text.push(0);
                output.write_all(&text)
            }
            Err(errno) => write!(output, "{errno:?}\0"),
        };
        if done.and_then(|()| output.flush()).is_err() {
            return false;
        }
    }
    true
}

struct Request<'a> {
    path: &'a Path,
    offset: i64,
    user: u32,
    work: Work<'a>,
}

enum Work<'a> {
    Read(usize),
    Write(&'a [u8]),
}

impl<'a> Request<'a> {
    fn parse(
        operation: &[u8],
        path: &'a [u8],
        offset: &[u8],
        user: &[u8],
        data: &'a [u8],
    ) -> Result<Self, Errno> {
        let work = match operation {
            b"read" => Work::Read((number(data)? as usize).min(MOST)),
            b"write" => Work::Write(data),
            _ => return Err(Errno::EBADMSG),
        };
        Ok(Request {
            path: Path::new(text(path)?),
            offset: number(offset)?.into(),
            user: number(user)?,
            work,
        })
    }

    fn serve(&self) -> Result<Vec<u8>, Errno> {
        match self.work {
            Work::Read(length) => {
                let file = self.open(OFlag::O_RDONLY)?;
                let mut buffer = vec![0; length];
                let count = pread(file, &mut buffer, self.offset)?;
                buffer.truncate(count);
                Ok(buffer)
            }
            Work::Write(bytes) => {
                let count = pwrite(self.open(OFlag::O_WRONLY)?, bytes, self.offset)?;
                Ok(count.to_string().into_bytes())
            }
        }
    }

    /// Opens the file as the user; later, the kernel goes by who opened it.
    fn open(&self, flags: OFlag) -> Result<std::os::fd::OwnedFd, Errno> {
        setegid(Gid::from_raw(self.user))?;
        seteuid(Uid::from_raw(self.user))?;
        let file = open(self.path, flags, Mode::empty());
        seteuid(Uid::from_raw(0))?;
        setegid(Gid::from_raw(0))?;
        file
    }
}

fn text(bytes: &[u8]) -> Result<&str, Errno> {
    std::str::from_utf8(bytes).map_err(|_| Errno::EBADMSG)
}

fn number(bytes: &[u8]) -> Result<u32, Errno> {
    text(bytes)?.parse().map_err(|_| Errno::EBADMSG)
}
