//! `kv-demo view`: the page that shows a running cluster, a trace, or a simulated cluster to drive by hand.
//!
//! Owns the options and what is said. Must not know how anything is shown. VIEW.md §3.1.

use super::wire::address_of;
use super::{failed, misused};
use crate::view::{Shown, View, ViewOptions, table_of, trace_of};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use vr_sim::lab::LabSetup;
use vr_sim::view::export::Form;
use vr_sim::view::read::Trace;
use vr_sim::view::table::Table;

/// A node that is not heard within this is not known.
const PATIENCE: Duration = Duration::from_secs(3);

const NOTE: &str = "\
The page is served on this machine only, and shows clients' data by length and hash, as the nodes tell it. It only looks:
a node that is watched never waits for the view, and one that is loaded counts its messages instead of telling of each.

Examples:
  kv-demo view                                              the nodes that `kv-demo cluster` starts
  kv-demo view --nodes http://127.0.0.1:8080,http://127.0.0.1:8090,http://127.0.0.1:8100
  kv-demo view --trace trace.vrt.jsonl                      what `vr-sim replay CASE --trace FILE` wrote
  kv-demo view --trace trace.vrt.jsonl --text               the same as lines, # explains the glyphs
  kv-demo view --trace trace.vrt.jsonl --export perfetto > trace.json
  gunzip -c trace.vrt.jsonl.gz | kv-demo view --trace - --table --at 812
  kv-demo view --table                                      in what the nodes disagree now, for a terminal
  kv-demo view --lab --replicas 5 --seed 7                  a simulated cluster: crash, cut, delay, deliver by hand";

#[derive(clap::Args)]
#[command(after_help = NOTE)]
pub(super) struct Args {
    /// The nodes of a running cluster, at the addresses where they serve their events (`ops`, or `client`).
    #[arg(long, value_name = "URL,…", value_delimiter = ',', default_value = super::ENDPOINTS, env = "KV_ENDPOINTS")]
    #[arg(conflicts_with_all = ["trace", "lab"])]
    nodes: Vec<String>,
    /// A trace instead (vrtrace/1, JSON lines; the page also reads it packed with gzip). - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "lab")]
    trace: Option<PathBuf>,
    /// A simulated cluster instead, with its network, disks, clocks and clients in your hands.
    #[arg(long)]
    lab: bool,
    /// How many replicas the simulated cluster has.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "lab", value_parser = clap::value_parser!(u16).range(1..=64))]
    replicas: u16,
    /// What is arbitrary in it.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "lab")]
    seed: u64,
    /// Show clients' data, where the nodes tell it (`redact = "full"` under `events`), not only its length and a hash.
    #[arg(long, conflicts_with_all = ["trace", "lab"])]
    values: bool,
    /// Print a line for every event: of running nodes beside the page, of a trace instead of it.
    #[arg(long, conflicts_with = "lab")]
    text: bool,
    /// Print in what the replicas disagree, and no page: running nodes now, a trace at its violation or its end.
    #[arg(long, conflicts_with_all = ["lab", "text"])]
    table: bool,
    /// After this event of the trace instead.
    #[arg(long, value_name = "EVENT", requires_all = ["trace", "table"])]
    at: Option<u64>,
    /// Print the table as one JSON object.
    #[arg(long, requires = "table")]
    json: bool,
    /// Print the trace for another tool, and no page: text, table, shiviz, perfetto, history.
    #[arg(long, value_name = "FORM", requires = "trace", conflicts_with_all = ["text", "table"], value_parser = form)]
    export: Option<Form>,
    /// Where the page is served; port 0 is a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Serve it at an address that others reach. Whoever has the address that is printed sees everything.
    #[arg(long)]
    i_understand_this_exposes_data: bool,
}

fn form(name: &str) -> Result<Form, String> {
    let names = || Form::ALL.map(Form::name).join(", ");
    Form::named(name).ok_or_else(|| format!("it is none of {}", names()))
}

pub(super) fn run(args: &Args) -> ExitCode {
    if let Some(path) = &args.trace
        && (args.text || args.table || args.export.is_some())
    {
        return match of_trace(args, path) {
            Ok(text) => print(&text),
            Err(why) => failed(why),
        };
    }
    let shown = match shown(args) {
        Ok(shown) => shown,
        Err(why) => return misused(why),
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(args, shown)),
        Err(error) => failed(error),
    }
}

/// What was asked for of a trace.
fn of_trace(args: &Args, path: &Path) -> Result<String, String> {
    let Trace { events, cut } = trace_of(path)?;
    if let Some(cut) = cut {
        eprintln!("kv-demo: {cut}");
    }
    if args.table {
        return Table::of(&events, args.at).map(|table| in_form(args, &table));
    }
    let form = args.export.unwrap_or(Form::Text);
    if let Some(warning) = form.warning(&events) {
        eprintln!("kv-demo: {warning}");
    }
    form.of(&events)
}

fn in_form(args: &Args, table: &Table) -> String {
    if args.json { format!("{:#}\n", table.json()) } else { table.text() }
}

fn print(text: &str) -> ExitCode {
    // Whoever reads it may have seen enough.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn shown(args: &Args) -> Result<Shown, String> {
    if let Some(path) = &args.trace {
        if path.as_os_str() == "-" {
            return Err("the page reads a file; standard input can be --text, --table or --export".to_owned());
        }
        return Ok(Shown::Trace(path.clone()));
    }
    if args.lab {
        return Ok(Shown::Lab(LabSetup { replicas: args.replicas, seed: args.seed, ..LabSetup::default() }));
    }
    args.nodes.iter().map(|url| address_of(url)).collect::<Result<_, _>>().map(Shown::Nodes)
}

async fn serve(args: &Args, shown: Shown) -> ExitCode {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        return failed("this system gives no signals");
    };
    let options = ViewOptions {
        listen: args.listen,
        exposes_data: args.i_understand_this_exposes_data,
        shows_values: args.values,
        say: Some(|said| eprintln!("{said}")),
    };
    if args.values {
        eprintln!("kv-demo: clients' data is shown, to whoever can open the page");
    }
    if let (Shown::Nodes(nodes), true) = (&shown, args.table) {
        return match table_of(nodes.clone(), PATIENCE, |said| eprintln!("kv-demo: {said}")).await {
            Ok(table) => print(&in_form(args, &table)),
            Err(why) => failed(why),
        };
    }
    let view = match View::start(shown, options).await {
        Ok(view) => view,
        Err(why) => return failed(why),
    };
    if args.text {
        eprintln!("{}", view.url());
    } else {
        println!("{}", view.url());
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = view.print(std::io::stdout().lock()), if args.text => {}
    }
    view.shutdown().await;
    ExitCode::SUCCESS
}
