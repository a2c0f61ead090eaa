//! The state of a trace after some of its events, as a hash: what checks of the page compare theirs with.
//!
//! Owns the line that is printed for each, `{"i":812,"hash":"…"}`. Must not know the page.
//!
//! ```sh
//! cargo run -p vr-sim --example state_hashes -- trace.vrt.jsonl 50
//! ```
//!
//! After every 50th event and the last one.

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;
use vr_sim::view::read;
use vr_sim::view::reduce::{Cluster, members_of};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(path), step) = (words.next(), words.next().and_then(|step| step.parse().ok()).unwrap_or(1)) else {
        eprintln!("usage: state_hashes TRACE [EVERY]");
        return ExitCode::FAILURE;
    };
    match hashes(&path, step) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{path}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn hashes(path: &str, step: u64) -> Result<(), Box<dyn std::error::Error>> {
    let events = read::trace(BufReader::new(File::open(path)?))?.events;
    let mut cluster = Cluster::new(&members_of(&events).unwrap_or_default());
    let last = events.last().map(|event| event.i);
    for event in &events {
        cluster.apply(event);
        if event.i.is_multiple_of(step.max(1)) || Some(event.i) == last {
            println!("{{\"i\":{},\"hash\":\"{}\"}}", event.i, cluster.state_hash());
        }
    }
    Ok(())
}
