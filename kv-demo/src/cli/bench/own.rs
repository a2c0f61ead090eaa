//! A cluster of this program's own processes, for what can only be measured when a replica may be stopped, or come late.
//!
//! Owns its directory, which must be new and goes with it, its ports and its children. Must not know what is measured.

use super::super::wire::once;
use serde::Deserialize;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::time::sleep;
use vr_tokio::{Node, NodeConfig, ReplicaId};

/// How long a node may take to say something.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a node is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What is asked of a node's `/status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Standing {
    pub(super) status: String,
    pub(super) epoch: u64,
    pub(super) view: u64,
    pub(super) op: u64,
    pub(super) commit: u64,
    pub(super) executed: u64,
}

impl Standing {
    fn is_normal(&self) -> bool {
        self.status == "Primary" || self.status == "Backup"
    }

    /// Does it take part, and has it executed everything through here?
    pub(super) fn is_at(&self, op: u64) -> bool {
        self.is_normal() && self.executed >= op
    }
}

/// The cluster. Its processes end with it, and its directory goes.
#[derive(Debug)]
pub(super) struct Own {
    dir: PathBuf,
    addresses: Vec<String>,
    children: Vec<Option<Child>>,
}

fn said(what: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{}: {error}", what.display())
}

impl Own {
    /// Formats `members` replicas in a directory that is not there yet, and room for `more` that are added later.
    pub(super) fn new(dir: &Path, members: u16, more: u16, cluster: &str) -> Result<Self, String> {
        fs::create_dir(dir).map_err(said(dir))?;
        let mut this = Self { dir: dir.to_owned(), addresses: Vec::new(), children: Vec::new() };
        let ports = free_ports(usize::from(members + more) * 2)?;
        let ids: Vec<_> = (0..members).map(|id| id.to_string()).collect();
        let mut text = format!(
            "[cluster]\nid = \"00000000000000000000000000000b16\"\nmembers = [{}]\n\
             max_request_bytes = 1114112\n{cluster}\n",
            ids.join(", ")
        );
        for (id, ports) in (0..members + more).zip(ports.chunks(2)) {
            let client = format!("127.0.0.1:{}", ports[0]);
            let node = format!(
                "\n[[node]]\nid = {id}\ndir = \"replica-{id}\"\nclient = \"{client}\"\npeer = \"127.0.0.1:{}\"\n",
                ports[1]
            );
            if id < members {
                text += &node;
            } else {
                let file = this.config(id);
                fs::write(&file, format!("{text}{node}")).map_err(said(&file))?;
            }
            this.addresses.push(client);
            this.children.push(None);
        }
        for id in 0..members {
            let file = this.config(id);
            fs::write(&file, &text).map_err(said(&file))?;
            this.format(id, false)?;
        }
        Ok(this)
    }

    fn config(&self, id: u16) -> PathBuf {
        self.dir.join(format!("node-{id}.toml"))
    }

    /// Makes the log of a replica.
    pub(super) fn format(&self, id: u16, joins: bool) -> Result<(), String> {
        let load = if joins { NodeConfig::load_newcomer } else { NodeConfig::load };
        let config = load(&self.config(id), ReplicaId(id)).map_err(|error| error.to_string())?;
        Node::format(&config).map(drop).map_err(|error| error.to_string())
    }

    /// Starts a replica and waits until it answers.
    pub(super) async fn start(&mut self, id: u16, joins: bool) -> Result<(), String> {
        let me = std::env::current_exe().map_err(|error| error.to_string())?;
        let log = self.dir.join(format!("node-{id}.log"));
        let log = File::options().create(true).append(true).open(&log).map_err(said(&log))?;
        let mut command = Command::new(me);
        command.args(["serve", "--log", "info", "--id", &id.to_string(), "--config"]).arg(self.config(id));
        command.args(joins.then_some("--join")).kill_on_drop(true);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.children[usize::from(id)] = Some(child.map_err(|error| error.to_string())?);
        self.until(id, "it answers", |_| true).await.map(drop)
    }

    /// Ends a replica, as a power failure would.
    pub(super) async fn kill(&mut self, id: u16) {
        if let Some(mut child) = self.children[usize::from(id)].take() {
            // It has ended, one way or the other.
            let _ = child.kill().await;
        }
    }

    /// Its disk is lost.
    pub(super) fn lose_disk(&self, id: u16) -> Result<(), String> {
        let dir = self.replica(id);
        fs::remove_dir_all(&dir).map_err(said(&dir))
    }

    fn replica(&self, id: u16) -> PathBuf {
        self.dir.join(format!("replica-{id}"))
    }

    /// Where a replica serves clients.
    pub(super) fn address(&self, id: u16) -> String {
        self.addresses[usize::from(id)].clone()
    }

    /// Where those that run serve clients.
    pub(super) fn addresses(&self) -> Vec<String> {
        let all = self.addresses.iter().zip(&self.children);
        all.filter(|(_, child)| child.is_some()).map(|(address, _)| address.clone()).collect()
    }

    /// How a replica stands, if it says so.
    pub(super) async fn standing(&self, id: u16) -> Option<Standing> {
        let (status, body) = once(&self.address(id), "GET", "/status", b"").await.ok()?;
        if status == 200 { serde_json::from_slice(&body).ok() } else { None }
    }

    /// Waits until a replica stands so.
    pub(super) async fn until(
        &self,
        id: u16,
        what: &str,
        is_so: impl Fn(&Standing) -> bool,
    ) -> Result<Standing, String> {
        let mut heard = Instant::now();
        let mut last = Standing::default();
        while heard.elapsed() < PATIENCE {
            if let Some(standing) = self.standing(id).await {
                if is_so(&standing) {
                    return Ok(standing);
                }
                let moved =
                    (standing.executed, standing.view, standing.epoch) != (last.executed, last.view, last.epoch);
                if moved || last.status != standing.status {
                    heard = Instant::now();
                }
                last = standing;
            }
            sleep(LOOK).await;
        }
        Err(format!("replica {id}: nothing changed for a minute, and not yet so: {what}; {last:?}"))
    }

    /// How often something has happened to a replica in this life, as its metrics say.
    pub(super) async fn count(&self, id: u16, kind: &str) -> u64 {
        let Ok((200, body)) = once(&self.address(id), "GET", "/metrics", b"").await else { return 0 };
        let (text, name) = (String::from_utf8_lossy(&body), format!("vr_events_total{{kind=\"{kind}\"}} "));
        text.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok()).unwrap_or(0)
    }

    /// Waits until that has happened to a replica.
    pub(super) async fn until_counted(&self, id: u16, kind: &str) -> Result<(), String> {
        let began = Instant::now();
        while self.count(id, kind).await == 0 {
            if began.elapsed() > 10 * PATIENCE {
                return Err(format!("replica {id}: {kind} did not happen"));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits for a primary; gives its id.
    pub(super) async fn primary(&self) -> Result<u16, String> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            for id in (0..).take(self.children.len()) {
                if self.standing(id).await.is_some_and(|standing| standing.status == "Primary") {
                    return Ok(id);
                }
            }
            sleep(LOOK).await;
        }
        Err("no replica became primary".to_owned())
    }

    /// The most memory that each replica that runs has had resident, and what it has now, in bytes.
    pub(super) fn memory(&self) -> Vec<Memory> {
        let of = |(id, child): (usize, &Option<Child>)| {
            let text = fs::read_to_string(format!("/proc/{}/status", child.as_ref()?.id()?)).ok()?;
            let figure = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name))?;
                line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
            };
            Some(Memory { id, peak: figure("VmHWM:")?, now: figure("VmRSS:")? })
        };
        self.children.iter().enumerate().filter_map(of).collect()
    }

    /// The bytes that each replica's files take.
    pub(super) fn disk(&self) -> Vec<u64> {
        let ids = (0..).take(self.children.len());
        let size = |id| -> u64 {
            let files = fs::read_dir(self.replica(id)).into_iter().flatten().flatten();
            files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
        };
        ids.map(size).collect()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.children.clear();
        // What cannot be removed is left to whoever looks.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// How much memory a replica takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pub(super) id: usize,
    pub(super) peak: u64,
    pub(super) now: u64,
}

/// Ports that nobody listened at a moment ago.
fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let listeners: Result<Vec<_>, _> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    let listeners = listeners.map_err(|error| error.to_string())?;
    let ports = listeners.iter().map(|listener| listener.local_addr().map(|address| address.port()));
    ports.collect::<Result<_, _>>().map_err(|error| error.to_string())
}
