// SPDX-License-Identifier: GPL-2.0-only
//! Which program runs now, told to where it can still be read when the program was the last thing that happened.
//!
//! - The kernel's log has each program before it is run, at the level "debug", which a console does not show; if the kernel
//!   panics it shows its whole log, with the program next to the complaint.
//! - A program that takes too long, or that a signal ends, is printed.

use std::ffi::c_int;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Duration;

/// The longest record that `/dev/kmsg` takes, with room for what stands before it.
const RECORD: usize = 800;

static TEXT: Mutex<String> = Mutex::new(String::new());
static NUMBER: AtomicU64 = AtomicU64::new(0);
/// The same text for a handler of signals, which must not wait for a lock.
static START: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Which lines of the kernel the console shows.
const CONSOLE_LEVEL: &str = "/proc/sys/kernel/printk";

/// How urgent a line of the kernel must be to be shown on the console during the run: a warning. Others are in the log, and a
/// slow console would take most of the time.
const CONSOLE: &str = "5\n";

/// The way into the kernel's log; without one, only the rest is done.
pub struct Log {
    file: Option<File>,
    console_before: Option<String>,
}

impl Log {
    /// Prepares all of that. A program may take `limit`.
    pub fn new(limit: Duration) -> Self {
        // Where the kernel does not have these, its log is kept for as long as it is.
        let _ = fs::write("/proc/sys/kernel/printk_devkmsg", "on\n");
        let _ = fs::write("/sys/module/kernel/parameters/panic_console_replay", "1");
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT] {
            // SAFETY: the handler calls nothing but what a handler may.
            unsafe {
                libc::signal(
                    signal,
                    on_signal as extern "C" fn(c_int) as libc::sighandler_t,
                )
            };
        }
        std::thread::spawn(move || watch(limit));
        let console_before = fs::read_to_string(CONSOLE_LEVEL).ok();
        let _ = fs::write(CONSOLE_LEVEL, CONSOLE);
        Log {
            file: OpenOptions::new().write(true).open("/dev/kmsg").ok(),
            console_before,
        }
    }

    /// Tells that a program begins.
    pub fn begin(&mut self, number: u64, program: &str) {
        let mut text = TEXT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        LENGTH.store(0, Ordering::SeqCst);
        text.clear();
        text.push_str(program);
        START.store(text.as_mut_ptr(), Ordering::SeqCst);
        LENGTH.store(text.len(), Ordering::SeqCst);
        NUMBER.store(number, Ordering::SeqCst);
        if let Some(log) = &mut self.file {
            for piece in program.as_bytes().chunks(RECORD) {
                let piece = String::from_utf8_lossy(piece);
                // The log is a help, and no promise.
                let _ = log.write_all(format!("<7>interface-fuzz {number}: {piece}\n").as_bytes());
            }
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(before) = &self.console_before {
            let _ = fs::write(CONSOLE_LEVEL, before);
        }
    }
}

/// Prints the program and ends as the signal would have it.
extern "C" fn on_signal(signal: c_int) {
    let told = b"# a signal has ended the program that ran:\n# ";
    let (text, length) = (START.load(Ordering::SeqCst), LENGTH.load(Ordering::SeqCst));
    // SAFETY: the text is not changed while a program runs, and what is called here may be called by a handler.
    unsafe {
        libc::write(1, told.as_ptr().cast(), told.len());
        libc::write(1, text.cast(), length);
        libc::write(1, b"\n".as_ptr().cast(), 1);
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// Ends the run when a program takes too long, and prints the program.
fn watch(limit: Duration) {
    let mut last = 0;
    loop {
        std::thread::sleep(limit);
        let now = NUMBER.load(Ordering::SeqCst);
        if now == last && now != 0 {
            let text = TEXT.lock().map(|text| text.clone()).unwrap_or_default();
            println!("# the program that runs has not ended after {limit:?}:\n# {text}");
            println!("Bail out! a program does not end");
            let _ = std::io::stdout().flush();
            std::process::exit(1);
        }
        last = now;
    }
}
