//! `kv-demo bench --big-state`: how long a large state takes to reach a replica that lacks all of it, and what that costs those
//! who go on.
//!
//! Owns the order of the run and its figures. The yardstick is a sequential write of as many bytes, synced, on the same disk
//! in the same run. Must not know how a state travels. Paper: VRR §5.1, §5.2; PROTOCOL 1.7.

use super::super::wire::{Connection, address_of, write_request};
use super::load::{Client, Shared};
use super::own::{Memory, Own, Standing};
use super::{Args, histogram::Histogram};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::task::spawn_local;
use vr_tokio::View;

/// One value of the state.
const VALUE_BYTES: usize = 64 << 10;
/// How many requests load it at a time.
const LOADERS: u64 = 4;
/// How many clients push the log on until a checkpoint is due.
const PUSHERS: u16 = 256;
/// A run that takes longer is given up.
const LONG: Duration = Duration::from_secs(3600);

/// The figures.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    state_bytes: u64,
    way: &'static str,
    checkpoint_interval: u32,
    clients: u16,
    /// From when it is started, or to be a member, until it has all of the state, verified.
    seconds: f64,
    /// And until it has executed everything that was committed by then.
    caught_up_seconds: f64,
    mib_per_s: f64,
    sequential_write_mib_per_s: f64,
    share_of_sequential_write: f64,
    view_changes: u64,
    before: Puts,
    during: Puts,
    checkpoint: Puts,
    memory: Vec<Resident>,
}

/// What the puts of some time came to.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Puts {
    ops: u64,
    ops_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    longest_gap_ms: f64,
    errors: u64,
}

/// The memory of a process.
#[derive(Clone, Copy, Debug, Serialize)]
struct Resident {
    replica: usize,
    peak_mib: u64,
    end_mib: u64,
}

impl From<Memory> for Resident {
    fn from(Memory { id, peak, now }: Memory) -> Self {
        Self { replica: id, peak_mib: peak >> 20, end_mib: now >> 20 }
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 1e2
}

fn mib_per_second(bytes: u64, took: Duration) -> f64 {
    let mib = Duration::from_secs(bytes).as_secs_f64() / 1_048_576.0;
    (mib / took.as_secs_f64().max(1e-9)).round()
}

/// Runs it.
pub(super) async fn run(args: &Args, bytes: u64, say: impl Fn(&str)) -> Result<Figures, String> {
    let interval = u64::from(args.checkpoint_interval);
    let mut own = Own::new(&args.dir, 3, 1, &format!("checkpoint_interval = {interval}"))?;
    for id in 0..3 {
        own.start(id, false).await?;
    }
    let first = own.primary().await?;
    let (sleeper, backup) = ((first + 1) % 3, (first + 2) % 3);
    own.kill(sleeper).await;
    say("loading");
    fill(&own, bytes).await?;
    say("going on until no log leads back to the beginning");
    push(args, &own, [first, backup]).await?;
    say("measuring");
    let sequential = sequential_write(&args.dir, bytes)?;
    let quiet = tokio::time::sleep(Duration::from_secs(args.seconds.into()));
    let before = puts(args, own.addresses(), quiet).await;
    let start = here(&own).await?;
    let mut came = Err("it did not come".to_owned());
    let during = puts(args, own.addresses(), async { came = come(args, &mut own, sleeper, start.commit).await }).await;
    let Came { arrived, caught_up } = came?;
    let end = here(&own).await?;
    say("going on until a checkpoint is taken");
    let due = (end.op / interval + 1) * interval + 1;
    let mut taken = Err("no checkpoint came".to_owned());
    let checkpoint = puts(args, own.addresses(), async { taken = pass(&own, due, args.seconds).await }).await;
    taken?;
    let (rate, yardstick) = (mib_per_second(bytes, arrived), mib_per_second(bytes, sequential));
    Ok(Figures {
        state_bytes: bytes,
        way: if args.replace { "replaced" } else { "slept" },
        checkpoint_interval: args.checkpoint_interval,
        clients: args.clients,
        seconds: ms(arrived) / 1e3,
        caught_up_seconds: ms(caught_up) / 1e3,
        mib_per_s: rate,
        sequential_write_mib_per_s: yardstick,
        share_of_sequential_write: (rate / yardstick.max(1.0) * 100.0).round() / 100.0,
        // An epoch begins with its first view, which is no view that followed a timeout.
        view_changes: number_of(end.view) - if end.epoch == start.epoch { number_of(start.view) } else { 0 },
        before,
        during,
        checkpoint,
        memory: own.memory().into_iter().map(Resident::from).collect(),
    })
}

/// The number of a view within its epoch.
fn number_of(view: u64) -> u64 {
    View(view).number()
}

/// When what was there: both from the beginning.
struct Came {
    arrived: Duration,
    caught_up: Duration,
}

impl Came {
    async fn wait(own: &Own, id: u16, committed: u64, began: Instant) -> Result<Self, String> {
        own.until_counted(id, "checkpoint_installed").await?;
        let arrived = began.elapsed();
        own.until(id, "it has what was committed", |standing| standing.is_at(committed)).await?;
        Ok(Self { arrived, caught_up: began.elapsed() })
    }
}

/// A replica that lacks everything comes: one that slept, or a new one in its place, whose disk is lost.
async fn come(args: &Args, own: &mut Own, sleeper: u16, committed: u64) -> Result<Came, String> {
    if !args.replace {
        let began = Instant::now();
        own.start(sleeper, false).await?;
        return Came::wait(own, sleeper, committed, began).await;
    }
    own.lose_disk(sleeper)?;
    own.format(3, true)?;
    own.start(3, true).await?;
    let began = Instant::now();
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut replace = Command::new(me);
    let (old, new) = (sleeper.to_string(), format!("3={}", own.address(3)));
    replace.args(["member", "replace", &old, &new, "--timeout", "600", "--endpoints"]);
    replace.arg(own.addresses().join(",")).stdout(Stdio::null()).kill_on_drop(true);
    let mut replace = replace.spawn().map_err(|error| error.to_string())?;
    let came = Came::wait(own, 3, committed, began).await?;
    match replace.wait().await {
        Ok(status) if status.success() => Ok(came),
        Ok(status) => Err(format!("member replace: {status}")),
        Err(error) => Err(error.to_string()),
    }
}

/// How the primary stands.
async fn here(own: &Own) -> Result<Standing, String> {
    let primary = own.primary().await?;
    own.until(primary, "it answers", |_| true).await
}

/// So much is executed, and some time over.
async fn pass(own: &Own, op: u64, seconds: u16) -> Result<(), String> {
    while here(own).await?.executed < op {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    Ok(())
}

/// Loads the state: values that are all different, each under its own key.
async fn fill(own: &Own, bytes: u64) -> Result<(), String> {
    let address = own.address(own.primary().await?);
    let values = bytes.div_ceil(u64::try_from(VALUE_BYTES).unwrap_or(u64::MAX));
    let loaders: Vec<_> = (0..LOADERS).map(|first| spawn_local(load(address.clone(), first, values))).collect();
    for loader in loaders {
        loader.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

async fn load(mut address: String, first: u64, values: u64) -> Result<(), String> {
    let said = |error: std::io::Error| format!("loading: {error}");
    let mut connection = Connection::open(&address).await.map_err(said)?;
    let (mut request, mut body) = (Vec::new(), Vec::new());
    for number in (first..values).step_by(usize::try_from(LOADERS).unwrap_or(1)) {
        body.clear();
        body.extend_from_slice(b"{\"value\":\"");
        let word = format!("{number:016x}");
        body.extend(word.bytes().cycle().take(VALUE_BYTES));
        body.extend_from_slice(b"\"}");
        request.clear();
        write_request(&mut request, "PUT", &format!("/object/state/{number:08}"), &address, "", &body);
        loop {
            let answer = connection.exchange(&request).await.map_err(said)?;
            match answer.status {
                200 => break,
                307 => {
                    let url = answer.header("location").unwrap_or_default().to_owned();
                    address = address_of(&url)?;
                    connection = Connection::open(&address).await.map_err(said)?;
                }
                503 | 504 => tokio::time::sleep(Duration::from_millis(5)).await,
                status => return Err(format!("{address} answers {status}: {}", String::from_utf8_lossy(answer.body))),
            }
        }
    }
    Ok(())
}

/// Small puts until the logs of these are cut behind what was loaded.
async fn push(args: &Args, own: &Own, ids: [u16; 2]) -> Result<(), String> {
    let mut done = Ok(());
    let pushers = Args { clients: PUSHERS, ..args.clone() };
    let until = async {
        for id in ids {
            done = std::mem::replace(&mut done, Ok(())).and(own.until_counted(id, "log_cut").await);
        }
    };
    puts(&pushers, own.addresses(), until).await;
    done
}

/// Puts from many clients until something has happened.
async fn puts(args: &Args, addresses: Vec<String>, until: impl Future<Output = ()>) -> Puts {
    let (began, target) = (Instant::now(), super::target_of(args));
    let shared = Rc::new(Shared::new(addresses, began + LONG));
    let clients = (0..args.clients).map(|number| spawn_local(Client::new(number, target, Rc::clone(&shared)).run()));
    let clients: Vec<_> = clients.collect();
    until.await;
    shared.stop();
    let mut latencies = Histogram::default();
    for client in clients {
        if let Ok(measured) = client.await {
            latencies.merge(&measured);
        }
    }
    let ops = Duration::from_secs(latencies.count()).as_secs_f64();
    Puts {
        ops: latencies.count(),
        ops_per_s: (ops / began.elapsed().as_secs_f64()).round(),
        p50_ms: ms(latencies.per_mille(500)),
        p99_ms: ms(latencies.per_mille(990)),
        max_ms: ms(latencies.longest()),
        longest_gap_ms: ms(shared.longest_gap()),
        errors: shared.errors.load(Ordering::Relaxed),
    }
}

/// Writes so many bytes one after the other, and syncs them.
fn sequential_write(dir: &Path, bytes: u64) -> Result<Duration, String> {
    let path = dir.join("sequential");
    let write = || {
        let piece: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let mut file = File::create(&path)?;
        let began = Instant::now();
        let mut left = bytes;
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            file.write_all(&piece[..now])?;
            left -= u64::try_from(now).unwrap_or(left);
        }
        file.sync_all()?;
        let took = began.elapsed();
        std::fs::remove_file(&path)?;
        Ok(took)
    };
    write().map_err(|error: std::io::Error| format!("{}: {error}", path.display()))
}

impl Figures {
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn table(&self) -> String {
        let mib = self.state_bytes >> 20;
        let Self { way, clients, checkpoint_interval, seconds, mib_per_s, sequential_write_mib_per_s, .. } = self;
        let mut out = String::new();
        let _ = writeln!(out, "a state of {mib} MiB reaches a replica that {way}; {clients} clients put meanwhile");
        let _ = writeln!(out, "a checkpoint every {checkpoint_interval} ops\n");
        let _ = writeln!(out, "it is there after {seconds:>10.2} s");
        let _ = writeln!(out, "all is executed   {:>10.2} s", self.caught_up_seconds);
        let _ = writeln!(out, "that is           {mib_per_s:>10.0} MiB/s");
        let _ = writeln!(out, "sequential write  {sequential_write_mib_per_s:>10.0} MiB/s");
        let _ = writeln!(out, "share             {:>10.2}", self.share_of_sequential_write);
        let _ = writeln!(out, "view changes      {:>10}\n", self.view_changes);
        let _ = writeln!(out, "puts           ops/s    p50 ms    p99 ms    max ms    gap ms  errors");
        for (name, puts) in [("before", self.before), ("meanwhile", self.during), ("checkpoint", self.checkpoint)] {
            let Puts { ops: _, ops_per_s, p50_ms, p99_ms, max_ms, longest_gap_ms, errors } = puts;
            let _ = write!(out, "{name:<11} {ops_per_s:>8.0} {p50_ms:>9.2} {p99_ms:>9.2} {max_ms:>9.2} ");
            let _ = writeln!(out, "{longest_gap_ms:>9.2} {errors:>7}");
        }
        let _ = writeln!(out);
        for Resident { replica, peak_mib, end_mib } in &self.memory {
            let _ = writeln!(out, "memory of {replica}: {peak_mib:>7} MiB at most, {end_mib} at the end");
        }
        out
    }
}
