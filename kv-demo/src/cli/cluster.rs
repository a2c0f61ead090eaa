//! `kv-demo cluster`: a whole cluster on this machine, one process a replica, as in Go-VR.
//!
//! Owns the directory's layout, the ports and the children. A second start on the same directory finds the data. Must
//! not know the protocol.

use super::{failed, misused};
use crate::view::{Shown, View, ViewOptions};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use vr_tokio::{Node, NodeConfig, ReplicaId};

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many replicas, when the directory is new.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    replicas: u16,
    /// These replicas are witnesses, when the directory is new: they log and vote, hold no data and never lead. `--replicas 3
    /// --witness 2` bears any one failure with two copies of the data, `--replicas 5 --witness 3,4` any two with three.
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    witness: Vec<u16>,
    /// The primary answers reads by its clock for so many milliseconds after its backups have answered it, without asking
    /// them, when the directory is new. EXPERIMENTAL: reads are fresh only if no clock runs badly. At most 200, the shortest
    /// patience.
    #[arg(long, value_name = "MS")]
    lease: Option<u64>,
    /// Where their logs live.
    #[arg(long, default_value = "kv-data", value_name = "DIR")]
    dir: PathBuf,
    /// Replica 0 serves clients at this port and its peers at the one above; the next replica 10 above, and so on.
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    base_port: u16,
    /// When a promise may leave a replica, when the directory is new: once it is on disk, or once it is in memory.
    #[arg(long, default_value = "sync", value_parser = ["sync", "async"])]
    durability: String,
    /// Do not offer the trace stream, /vr/v1/events, when the directory is new.
    #[arg(long)]
    no_events: bool,
    /// Record everything that happens to the replicas, in `flight` below the directory, when the directory is new.
    #[arg(long)]
    record: bool,
    /// Do not show the cluster on a page for a browser.
    #[arg(long)]
    no_view: bool,
    /// What the replicas log.
    #[arg(long, default_value = "warn", value_name = "FILTER")]
    log: String,
}

/// The name of the configuration in the directory.
const CONFIG: &str = "cluster.toml";

pub(super) fn run(args: &Args) -> ExitCode {
    let file = args.dir.join(CONFIG);
    let made = if file.exists() { Ok(()) } else { make(args, &file) };
    if let Err(why) = made {
        return misused(why);
    }
    let configs = match read(&file) {
        Ok(configs) => configs,
        Err(why) => return misused(why),
    };
    if let Err(why) = configs.iter().try_for_each(check_ports) {
        return misused(why);
    }
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(keep(args, &file, &configs)),
        Err(error) => failed(error),
    }
}

/// A new directory: configuration and empty logs.
fn make(args: &Args, file: &Path) -> Result<(), String> {
    let last = u32::from(args.base_port) + 10 * u32::from(args.replicas - 1) + 1;
    if args.base_port == 0 || last > u32::from(u16::MAX) {
        return Err(format!("--base-port {}: {} replicas need ports up to {last}", args.base_port, args.replicas));
    }
    if args.replicas == 1 && args.durability == "async" {
        return Err("--durability async needs at least 2 replicas".to_owned());
    }
    if fs::read_dir(&args.dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("{}: there is something in it, and it is no cluster's", args.dir.display()));
    }
    let said = |error: std::io::Error| format!("{}: {error}", args.dir.display());
    fs::create_dir_all(&args.dir).map_err(said)?;
    let text = configuration(args)?;
    let part = file.with_extension("part");
    fs::write(&part, text).map_err(said)?;
    let configs =
        (0..args.replicas).map(|id| NodeConfig::load(&part, ReplicaId(id)).map_err(|error| error.to_string()));
    let configs = configs.collect::<Result<Vec<_>, _>>().inspect_err(|_| {
        // What cannot be is refused without a trace, so that the next try finds nothing in its way.
        let _ = fs::remove_file(&part).and_then(|()| fs::remove_dir(&args.dir));
    })?;
    configs.iter().try_for_each(|config| Node::format(config).map(drop)).map_err(|error| error.to_string())?;
    // The file appears when every log is there.
    fs::rename(&part, file).map_err(said)
}

fn configuration(args: &Args) -> Result<String, String> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| error.to_string())?;
    let id = u128::from_le_bytes(id);
    let listed = |ids: &mut dyn Iterator<Item = u16>| ids.map(|id| id.to_string()).collect::<Vec<_>>().join(", ");
    let members = listed(&mut (0..args.replicas));
    let witnesses = listed(&mut args.witness.iter().copied());
    let witnesses = if witnesses.is_empty() { witnesses } else { format!("witnesses = [{witnesses}]\n") };
    let mut text = format!(
        "# Made by kv-demo cluster. See vr-tokio/cluster.example.toml for all that may stand here.\n\n{}\
         [cluster]\nid = \"{id:032x}\"\nmembers = [{}]\n{}durability = \"{}\"\n\
         max_request_bytes = 1114112 # a value of 1 MiB, its key, and a little\n\n{}[events]\nenabled = {}\n",
        if args.record { "record = \"flight\"\n\n" } else { "" },
        members,
        witnesses,
        args.durability,
        args.lease.map(|length| format!("[lease]\nlength_ms = {length}\n\n")).unwrap_or_default(),
        !args.no_events,
    );
    for id in 0..args.replicas {
        let port = args.base_port + 10 * id;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[[node]]\nid = {id}\ndir = \"replica-{id}\"\nclient = \"127.0.0.1:{port}\"\npeer = \"127.0.0.1:{}\"\n",
            port + 1
        );
    }
    Ok(text)
}

/// What each member of the cluster is told.
pub(super) fn read(file: &Path) -> Result<Vec<NodeConfig>, String> {
    let first = NodeConfig::load(file, ReplicaId(0)).map_err(|error| error.to_string())?;
    let load = |id: &ReplicaId| NodeConfig::load(file, *id).map_err(|error| error.to_string());
    first.cluster.members.iter().map(load).collect()
}

fn check_ports(config: &NodeConfig) -> Result<(), String> {
    for address in [config.client, config.peer] {
        TcpListener::bind(address).map_err(|error| {
            format!("{address}, for replica {}: {error}. Another --base-port and --dir?", config.id)
        })?;
    }
    Ok(())
}

/// Starts the replicas, tells where they are, and waits until told to stop.
async fn keep(args: &Args, file: &Path, configs: &[NodeConfig]) -> ExitCode {
    let Ok(me) = std::env::current_exe() else { return failed("this program does not find itself") };
    let mut children = Vec::new();
    for config in configs {
        match start(&me, args, file, config.id) {
            Ok(child) => children.push((config.id, child)),
            Err(error) => {
                stop(&mut children);
                return failed(format!("replica {}: {error}", config.id));
            }
        }
    }
    until_they_listen(configs).await;
    let view = view(args, configs).await;
    tell(args, configs, view.as_ref());
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        stop(&mut children);
        return failed("this system gives no signals");
    };
    let mut look = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = look.tick() => {
                children.retain_mut(|(id, child)| match child.try_wait() {
                    Ok(Some(status)) => {
                        let id = id.0;
                        println!("replica {id} has ended: {status}. Start it again with:");
                        println!("  {} serve --id {id} --config {}", me.display(), file.display());
                        false
                    }
                    Ok(None) | Err(_) => true,
                });
            }
        }
    }
    println!("stopping");
    stop(&mut children);
    ExitCode::SUCCESS
}

fn start(me: &Path, args: &Args, file: &Path, id: ReplicaId) -> std::io::Result<Child> {
    let mut command = Command::new(me);
    command.arg("serve").arg("--id").arg(id.to_string()).arg("--config").arg(file).arg("--log").arg(&args.log);
    // Out of the terminal's process group: Ctrl-C reaches this program, which stops them in order.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(stdout) = child.stdout.take() {
        pass_on(id, stdout);
    }
    if let Some(stderr) = child.stderr.take() {
        pass_on(id, stderr);
    }
    Ok(child)
}

/// Prints what a child prints, and says whose it is.
fn pass_on(id: ReplicaId, stream: impl Read + Send + 'static) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            eprintln!("r{id} {line}");
        }
    });
}

/// Waits until every replica can be asked, for ten seconds at the most.
async fn until_they_listen(configs: &[NodeConfig]) {
    let all = async {
        for config in configs {
            while TcpStream::connect(config.client).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    // Those that are not there by then are told of when they end.
    let _ = tokio::time::timeout(Duration::from_secs(10), all).await;
}

/// The page that shows it, unless it is not wanted, or its nodes offer no events.
async fn view(args: &Args, configs: &[NodeConfig]) -> Option<View> {
    if args.no_view || !configs.iter().any(|config| config.events.enabled) {
        return None;
    }
    let nodes = configs.iter().map(|config| config.ops.unwrap_or(config.client).to_string()).collect();
    let view = View::start(Shown::Nodes(nodes), ViewOptions::default()).await;
    view.inspect_err(|why| eprintln!("kv-demo: without the view: {why}")).ok()
}

fn tell(args: &Args, configs: &[NodeConfig], view: Option<&View>) {
    println!("{} replicas in {}:", configs.len(), args.dir.display());
    for config in configs {
        let role = if config.cluster.is_witness(config.id) { "   (witness)" } else { "" };
        println!("  replica {}: http://{}   peers at {}{role}", config.id, config.client, config.peer);
    }
    if let Some(view) = view {
        println!("  the view:  {}   what they do, in a browser", view.url());
    }
    let address = configs.first().map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), |config| config.client);
    println!("\nTry:\n  curl -L -X PUT http://{address}/object/greeting -d '{{\"value\": \"hello\"}}'");
    println!("  curl -L http://{address}/object/greeting");
    println!("  curl http://{address}/status");
    if std::io::stdout().is_terminal() {
        println!("\nCtrl-C stops them all; started again on the same directory, they find their data.");
    }
}

/// Tells all of them to stop, then waits for each.
fn stop(children: &mut [(ReplicaId, Child)]) {
    for (_, child) in children.iter() {
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // One that has ended already needs no signal.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
    for (id, child) in children.iter_mut() {
        let mut patience = 100;
        while patience > 0 && matches!(child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(50));
            patience -= 1;
        }
        if patience == 0 {
            eprintln!("kv-demo: replica {id} does not stop: it is killed");
            let _ = child.kill();
        }
        let _ = child.wait();
    }
}
