//! Threads that stand behind all others of this machine in line for a processor: nobody is answered later because a checkpoint
//! is written, or leaves.
//!
//! Owns how they get there. Must not know what they do.

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use std::io;
use std::thread;

/// How far behind.
const NICE: i32 = 10;

/// Starts one.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let run = move || {
        match setpriority_process(Some(gettid()), NICE) {
            // Who may not stands where the others stand.
            Ok(()) | Err(_) => {}
        }
        run();
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}
