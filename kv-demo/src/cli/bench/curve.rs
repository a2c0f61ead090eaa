//! `kv-demo bench --curve`: memory and disk of a cluster over a long run, a row for every so many puts.
//!
//! Owns the order of the run and its rows. What is asked for is bounded, so what is kept has to be. Must not know what a
//! replica keeps, or why. Paper: VRR §5.1; PROTOCOL 1.7, D66.

use super::Args;
use super::load::{Client, Shared};
use super::own::Own;
use serde::Serialize;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::spawn_local;

/// So many rows a run has.
const ROWS: u64 = 10;
/// A run that takes longer is given up.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// A row: after so many puts, what each replica takes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    ops: u64,
    seconds: f64,
    memory_mib: Vec<u64>,
    peak_mib: Vec<u64>,
    disk_mib: Vec<u64>,
}

/// Runs it; gives each row when it is there.
pub(super) async fn run(args: &Args, ops: u64, mut row: impl FnMut(&Row)) -> Result<(), String> {
    let mut own = Own::new(&args.dir, 3, 0, &format!("checkpoint_interval = {}", args.checkpoint_interval))?;
    for id in 0..3 {
        own.start(id, false).await?;
    }
    own.primary().await?;
    let began = Instant::now();
    let shared = Rc::new(Shared::new(own.addresses(), began + LONG));
    let target = super::target_of(args);
    let clients = (0..args.clients).map(|number| spawn_local(Client::new(number, target, Rc::clone(&shared)).run()));
    let clients: Vec<_> = clients.collect();
    for at in 0..=ROWS {
        let due = ops / ROWS * at;
        while shared.ops.load(Ordering::Relaxed) < due {
            if shared.silence() > Duration::from_secs(60) {
                return Err(shared.first_error().unwrap_or_else(|| "no answer for a minute".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        row(&Row::of(&own, shared.ops.load(Ordering::Relaxed), began));
    }
    shared.stop();
    for client in clients {
        client.await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

impl Row {
    fn of(own: &Own, ops: u64, began: Instant) -> Self {
        let memory = own.memory();
        Self {
            ops,
            seconds: (began.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            memory_mib: memory.iter().map(|memory| memory.now >> 20).collect(),
            peak_mib: memory.iter().map(|memory| memory.peak >> 20).collect(),
            disk_mib: own.disk().into_iter().map(|bytes| bytes >> 20).collect(),
        }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What stands above the rows.
    pub(super) const HEAD: &str = "       ops   seconds   memory, MiB          at most, MiB         disk, MiB";

    pub(super) fn line(&self) -> String {
        let Self { ops, seconds, memory_mib, peak_mib, disk_mib } = self;
        let mut out = format!("{ops:>10} {seconds:>9.1}  ");
        for group in [memory_mib, peak_mib, disk_mib] {
            group.iter().for_each(|mib| {
                let _ = write!(out, " {mib:>5}");
            });
            out += "   ";
        }
        out.trim_end().to_owned()
    }
}
