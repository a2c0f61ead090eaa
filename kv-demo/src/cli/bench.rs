//! `kv-demo bench`: how many operations a cluster answers in a second, and how long each takes.
//!
//! Owns the run: clients that each wait for one answer before they ask again, a line that lives on a terminal, then the
//! report. Drives etcd's JSON gateway too, so that one tool measures both. Must not know how a request looks.

mod big_state;
mod cost;
mod curve;
mod histogram;
mod load;
mod own;
mod report;
mod target;
mod watch;

use self::load::{Client, Shared};
use self::report::Report;
use self::target::Target;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

const NOTE: &str = "\
Each client waits for its answer before it asks again (a closed loop): when the cluster stalls, so do the clients, and
what they would have asked meanwhile is missing from the percentiles (\"coordinated omission\"). `max_ms` and
`longest_gap_ms`, the longest time in which no client at all was answered, show a stall in full. A latency is that of
one attempt and counts when it succeeds; failed attempts are counted as errors and made again.

Examples:
  kv-demo bench --clients 64 --seconds 10
  kv-demo bench --clients 1 --reads 100
  kv-demo bench --batch 100 --json
  kv-demo bench --watch-cost --pairs 20        what `kv-demo view` and one browser cost the cluster
  kv-demo bench --record-cost URL,…            what recording costs: URL,… is a second cluster, equal but for `record`
  kv-demo bench --big-state 2G                 a state of 2 GiB reaches a replica of a cluster of its own that slept
  kv-demo bench --big-state 2G --replace       … or a new one, in the place of one whose disk is lost
  kv-demo bench --curve 10000000               memory and disk of a cluster of its own over so many puts
  kv-demo bench --etcd http://127.0.0.1:2379   the same load on etcd's JSON gateway";

/// Options of `bench`.
#[derive(clap::Args, Debug, Clone)]
#[command(after_help = NOTE)]
pub(super) struct Args {
    /// Addresses of the nodes; the primary is found from any of them
    #[arg(long, value_name = "URL,…", value_delimiter = ',', default_value = super::ENDPOINTS)]
    endpoints: Vec<String>,
    /// How many clients ask at the same time
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=4096))]
    clients: u16,
    /// For how long
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
    /// How long values are
    #[arg(long, value_name = "N", default_value = "256", value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    value_bytes: u32,
    /// How many of a hundred requests read
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = clap::value_parser!(u8).range(0..=100))]
    reads: u8,
    /// How many operations go in one request
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// How many keys are written and read, drawn evenly
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    keys: u32,
    /// Measure etcd at this address instead, over its JSON gateway
    #[arg(long, value_name = "URL")]
    etcd: Option<String>,
    /// Measure what it costs to be watched: runs with the view attached and without, in alternation
    #[arg(long, conflicts_with = "etcd", group = "cost")]
    watch_cost: bool,
    /// Measure what recordings cost: runs against this cluster, whose nodes record, and against that of --endpoints, whose
    /// nodes do not, in alternation
    #[arg(long, value_name = "URL,…", value_delimiter = ',', conflicts_with = "etcd", group = "cost")]
    record_cost: Vec<String>,
    /// Measure how a state of so many bytes (K, M or G may follow) reaches a replica that lacks it, in a cluster of its own
    #[arg(long, value_name = "BYTES", value_parser = bytes_of, group = "own", conflicts_with_all = ["etcd", "cost"])]
    big_state: Option<u64>,
    /// The replica is a new one, in the place of one whose disk is lost; otherwise it slept
    #[arg(long, requires = "big_state")]
    replace: bool,
    /// Measure memory and disk over so many puts, in a cluster of its own
    #[arg(long, value_name = "N", group = "own", conflicts_with_all = ["etcd", "cost"])]
    curve: Option<u64>,
    /// Where the cluster of its own lives: it must not be there yet, and is removed
    #[arg(long, value_name = "DIR", default_value = "kv-bench", requires = "own")]
    dir: PathBuf,
    /// Its checkpoint_interval
    #[arg(long, value_name = "OPS", default_value = "250000", requires = "own")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    checkpoint_interval: u32,
    /// How many runs of each kind
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u16).range(1..=1000))]
    #[arg(requires = "cost")]
    pairs: u16,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs it. 0: measured; 1: nothing was answered; 2: the addresses make no sense.
pub(super) fn run(args: &Args) -> ExitCode {
    let urls = args.etcd.as_ref().map_or(&args.endpoints[..], std::slice::from_ref);
    let addresses: Result<Vec<_>, _> = urls.iter().map(|url| super::wire::address_of(url)).collect();
    let addresses = match addresses {
        Ok(addresses) => addresses,
        Err(error) => {
            eprintln!("kv-demo bench: {error}");
            return ExitCode::from(2);
        }
    };
    // One thread: it has to share the machine with what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kv-demo bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    if args.watch_cost {
        return LocalSet::new().block_on(&runtime, watch_cost(args, addresses));
    }
    if !args.record_cost.is_empty() {
        return LocalSet::new().block_on(&runtime, record_cost(args, addresses));
    }
    if let Some(bytes) = args.big_state {
        return LocalSet::new().block_on(&runtime, big_state(args, bytes));
    }
    if let Some(ops) = args.curve {
        return LocalSet::new().block_on(&runtime, curve(args, ops));
    }
    let report = LocalSet::new().block_on(&runtime, measure(args, addresses));
    if args.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    if report.is_empty() {
        let what = report.error().unwrap_or("no answer came");
        eprintln!("kv-demo bench: nothing was answered: {what}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Measures what the view costs.
async fn watch_cost(args: &Args, addresses: Vec<String>) -> ExitCode {
    let run = async || measure(args, addresses.clone()).await.ops_per_second();
    tell_cost(args, watch::cost(args.pairs, &addresses, run, |said| eprintln!("{said}")).await)
}

/// Measures what recordings cost.
async fn record_cost(args: &Args, addresses: Vec<String>) -> ExitCode {
    let recording: Result<Vec<_>, _> = args.record_cost.iter().map(|url| super::wire::address_of(url)).collect();
    let recording = match recording {
        Ok(recording) => recording,
        Err(error) => {
            eprintln!("kv-demo bench: {error}");
            return ExitCode::from(2);
        }
    };
    let run = async |records: bool| {
        let addresses = if records { &recording } else { &addresses };
        measure(args, addresses.clone()).await.ops_per_second()
    };
    tell_cost(args, cost::recorded(args.pairs, run, |said| eprintln!("{said}")).await)
}

/// A number of bytes, as people write it.
fn bytes_of(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(digits) if text.ends_with('K') => (digits, 10),
        Some(digits) if text.ends_with('M') => (digits, 20),
        Some(digits) => (digits, 30),
        None => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| "a number, perhaps with K, M or G behind it".to_owned())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(|| "from 1 to 2^64 bytes".to_owned())
}

/// Measures how a large state travels.
async fn big_state(args: &Args, bytes: u64) -> ExitCode {
    match big_state::run(args, bytes, |said| eprintln!("{said}")).await {
        Ok(figures) if args.json => println!("{}", figures.json()),
        Ok(figures) => print!("{}", figures.table()),
        Err(why) => {
            eprintln!("kv-demo bench: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Measures what is kept over a long run.
async fn curve(args: &Args, ops: u64) -> ExitCode {
    if !args.json {
        println!("{}", curve::Row::HEAD);
    }
    match curve::run(args, ops, |row| println!("{}", if args.json { row.json() } else { row.line() })).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("kv-demo bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn tell_cost(args: &Args, cost: Result<cost::Cost, String>) -> ExitCode {
    match cost {
        Ok(cost) if args.json => println!("{}", cost.json()),
        Ok(cost) => print!("{}", cost.table()),
        Err(why) => {
            eprintln!("kv-demo bench: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn target_of(args: &Args) -> Target {
    Target {
        is_etcd: args.etcd.is_some(),
        value_bytes: usize::try_from(args.value_bytes).unwrap_or(usize::MAX),
        batch: args.batch,
        keys: args.keys,
        reads_percent: args.reads,
    }
}

async fn measure(args: &Args, addresses: Vec<String>) -> Report {
    let target = target_of(args);
    let began = Instant::now();
    let deadline = began + Duration::from_secs(u64::from(args.seconds));
    let shared = Rc::new(Shared::new(addresses, deadline));
    let clients: Vec<_> = (0..args.clients)
        .map(|number| tokio::task::spawn_local(Client::new(number, target, Rc::clone(&shared)).run()))
        .collect();
    let watch = tokio::task::spawn_local(watch(Rc::clone(&shared), began));
    let mut report = Report::new(args, urls_of(args));
    for client in clients {
        match client.await {
            Ok(measured) => report.add(&measured),
            Err(error) => eprintln!("kv-demo bench: a client broke: {error}"),
        }
    }
    watch.abort();
    let errors = (shared.errors.load(Ordering::Relaxed), shared.first_error());
    report.finish(began.elapsed(), shared.longest_gap(), errors);
    report
}

fn urls_of(args: &Args) -> String {
    args.etcd.clone().unwrap_or_else(|| args.endpoints.join(","))
}

/// The line that lives, on a terminal only.
async fn watch(shared: Rc<Shared>, began: Instant) {
    let bar = ProgressBar::new_spinner();
    if bar.is_hidden() {
        return;
    }
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let ops = shared.ops.load(Ordering::Relaxed);
        let (errors, seconds) = (shared.errors.load(Ordering::Relaxed), began.elapsed().as_secs());
        bar.set_message(format!("{seconds} s  {} ops/s  {ops} ops  {errors} errors", (ops - before) * 4));
        bar.tick();
        before = ops;
    }
}
