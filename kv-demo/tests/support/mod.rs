//! Clusters of real processes for the tests: started, killed, stopped, asked.
//!
//! Owns ports, directories and children. Every child is killed and, if the test failed, the end of its log is shown,
//! whatever way the test ends. Nothing sleeps for a fixed time: [`eventually`] waits for a condition. Must not know
//! what a test is about.

#![allow(dead_code, unreachable_pub)] // each test program uses its own part
#![allow(clippy::expect_used)]

pub mod cluster;
pub mod http;
pub mod view;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: long, for busy machines.
pub const PATIENCE: Duration = Duration::from_secs(25);

/// The program under test.
pub fn kv_demo() -> Command {
    kv_demo_at(Path::new(THIS_VERSION))
}

/// Where the program under test is.
pub const THIS_VERSION: &str = env!("CARGO_BIN_EXE_kv-demo");

/// The program of another version.
pub fn kv_demo_at(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("NO_COLOR", "1").env_remove("KV_ENDPOINTS").env_remove("KV_LOG");
    command
}

/// What a program printed, and its exit code.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs the program to its end.
pub fn run(args: &[&str]) -> Ran {
    let output = kv_demo().args(args).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Waits until `happens` gives something.
pub fn eventually<T>(what: &str, mut happens: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = happens() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(10));
    }
}

/// A port that is free, and so is the one above; no other test of this process gets them. Below the range from which
/// the system takes ports for outgoing connections.
pub fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = u16::try_from(std::process::id() % 1000).unwrap_or(0) * 20;
    for _ in 0..2000 {
        let port = 10_000 + (base + 2 * NEXT.fetch_add(1, Ordering::Relaxed)) % 22_000;
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 1) {
            return port;
        }
    }
    panic!("no free ports");
}
