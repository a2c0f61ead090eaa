//! A cluster of `kv-demo serve` processes, each with its directory, its ports and its log.
//!
//! Owns configuration, children and the client that the tests use: it finds the primary, retries, and takes effect
//! once. Must not know what a test is about.

use super::http::{Response, ask, ask_within, value};
use super::{PATIENCE, THIS_VERSION, eventually, free_ports, kv_demo_at};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a cluster is told beside its members.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub replicas: u16,
    pub durability: &'static str,
    /// How long a node waits for an answer before it calls the outcome unknown.
    pub timeout_ms: u64,
    pub heartbeat_ms: u64,
    /// Record what happens to the replicas, in the directory `flight`.
    pub is_recorded: bool,
    /// Lines for the section `[cluster]`.
    pub cluster: &'static str,
    /// Further sections.
    pub more: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            replicas: 5,
            durability: "sync",
            timeout_ms: 5000,
            heartbeat_ms: 50,
            is_recorded: false,
            cluster: "",
            more: "",
        }
    }
}

struct Process {
    client: SocketAddr,
    child: Option<Child>,
    /// It is no first member, and has a configuration of its own.
    joins: bool,
}

/// The processes, all of which end with it.
pub struct Cluster {
    dir: Option<TempDir>,
    path: PathBuf,
    processes: Vec<Process>,
    /// What replicas are started with.
    program: PathBuf,
}

impl Cluster {
    /// Formatted and not started.
    pub fn formatted(plan: Plan) -> Self {
        Self::formatted_by(Path::new(THIS_VERSION), plan)
    }

    /// The same, by another version of the program.
    pub fn formatted_by(program: &Path, plan: Plan) -> Self {
        let dir = TempDir::with_prefix("kv-demo-test-").expect("a directory");
        let path = dir.path().to_owned();
        let members: Vec<_> = (0..plan.replicas).map(|id| id.to_string()).collect();
        let mut text = format!(
            "{}[cluster]\nid = \"{:032x}\"\nmembers = [{}]\ndurability = \"{}\"\n{}\n\
             [timeouts]\nheartbeat_ms = {}\n[requests]\ntimeout_ms = {}\n{}\n",
            if plan.is_recorded { "record = \"flight\"\n" } else { "" },
            u128::from(std::process::id()) << 64 | u128::from(free_ports()),
            members.join(", "),
            plan.durability,
            plan.cluster,
            plan.heartbeat_ms,
            plan.timeout_ms,
            plan.more,
        );
        let mut processes = Vec::new();
        for id in 0..plan.replicas {
            let port = free_ports();
            text += &format!("[[node]]\nid = {id}\ndir = \"replica-{id}\"\n");
            text += &format!("client = \"127.0.0.1:{port}\"\npeer = \"127.0.0.1:{}\"\n", port + 1);
            processes.push(Process { client: SocketAddr::from(([127, 0, 0, 1], port)), child: None, joins: false });
        }
        fs::write(path.join("cluster.toml"), text).expect("the configuration is written");
        let cluster = Self { dir: Some(dir), path, processes, program: program.to_owned() };
        cluster.ids().for_each(|id| cluster.format(id));
        cluster
    }

    /// From now on replicas are started with this version of the program.
    pub fn use_program(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
    }

    /// Formatted, started, with a primary; every replica answers.
    pub fn started(plan: Plan) -> Self {
        let mut cluster = Self::formatted(plan);
        cluster.start_all();
        eventually("all replicas to answer", || cluster.ids().all(|id| cluster.status(id).is_some()).then_some(()));
        cluster.await_primary();
        cluster
    }

    /// The ids of all replicas.
    pub fn ids(&self) -> std::ops::Range<u16> {
        0..u16::try_from(self.processes.len()).expect("few replicas")
    }

    /// One more, formatted and not started, which waits to be added once it is: no other node knows of it.
    pub fn newcomer(&mut self) -> u16 {
        let (id, port) = (u16::try_from(self.processes.len()).expect("few replicas"), free_ports());
        let text = fs::read_to_string(self.config()).expect("the configuration is there");
        let node = format!("[[node]]\nid = {id}\ndir = \"replica-{id}\"\nclient = \"127.0.0.1:{port}\"\n");
        let own = format!("{text}{node}peer = \"127.0.0.1:{}\"\n", port + 1);
        self.processes.push(Process { client: SocketAddr::from(([127, 0, 0, 1], port)), child: None, joins: true });
        fs::write(self.config_of(id), own).expect("the configuration is written");
        self.format(id);
        id
    }

    fn config_of(&self, id: u16) -> PathBuf {
        if self.processes[usize::from(id)].joins { self.path.join(format!("own-{id}.toml")) } else { self.config() }
    }

    /// What a command about a replica begins with.
    fn about(&self, command: &str, id: u16) -> Command {
        let mut all = kv_demo_at(&self.program);
        all.args([command, "--id", &id.to_string(), "--config"]).arg(self.config_of(id));
        all.args(self.processes[usize::from(id)].joins.then_some("--join"));
        all
    }

    /// Where the configuration is.
    pub fn config(&self) -> PathBuf {
        self.path.join("cluster.toml")
    }

    /// The directory of a replica's log.
    pub fn dir_of(&self, id: u16) -> PathBuf {
        self.path.join(format!("replica-{id}"))
    }

    /// Where a replica serves clients.
    pub fn address(&self, id: u16) -> SocketAddr {
        self.processes[usize::from(id)].client
    }

    /// All of these, for `--endpoints`.
    pub fn endpoints(&self) -> String {
        let all: Vec<_> = self.ids().map(|id| format!("http://{}", self.address(id))).collect();
        all.join(",")
    }

    fn log_of(&self, id: u16) -> PathBuf {
        self.path.join(format!("replica-{id}.log"))
    }

    /// Formats a replica's log.
    pub fn format(&self, id: u16) {
        let output = self.about("format", id).output().expect("the program runs");
        assert!(output.status.success(), "format: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts a replica.
    pub fn start(&mut self, id: u16) {
        let log = File::options().create(true).append(true).open(self.log_of(id)).expect("a file for its log lines");
        let mut command = self.about("serve", id);
        command.args(["--log", "info"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        let old = self.processes[usize::from(id)].child.replace(child);
        assert!(old.is_none(), "replica {id} runs already");
    }

    /// Starts all that do not run.
    pub fn start_all(&mut self) {
        for id in self.ids() {
            if self.processes[usize::from(id)].child.is_none() {
                self.start(id);
            }
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self, id: u16) {
        let mut child = self.processes[usize::from(id)].child.take().expect("it runs");
        child.kill().expect("it is killed");
        child.wait().expect("it has ended");
    }

    fn signal(&self, id: u16, signal: Signal) {
        let child = self.processes[usize::from(id)].child.as_ref().expect("it runs");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process has an id");
        kill_process(pid, signal).expect("it gets the signal");
    }

    /// `SIGSTOP`: it hangs.
    pub fn freeze(&self, id: u16) {
        self.signal(id, Signal::STOP);
    }

    /// `SIGCONT`.
    pub fn thaw(&self, id: u16) {
        self.signal(id, Signal::CONT);
    }

    /// `SIGTERM`: an orderly stop.
    pub fn terminate(&mut self, id: u16) -> ExitStatus {
        self.signal(id, Signal::TERM);
        self.await_end(id)
    }

    /// Waits until a replica has ended by itself.
    pub fn await_end(&mut self, id: u16) -> ExitStatus {
        let child = &mut self.processes[usize::from(id)].child;
        let status = eventually("its end", || child.as_mut().and_then(|child| child.try_wait().ok().flatten()));
        *child = None;
        status
    }

    /// What a replica logged.
    pub fn log_text(&self, id: u16) -> String {
        fs::read_to_string(self.log_of(id)).unwrap_or_default()
    }

    /// `/status` of a replica that answers at once.
    pub fn status(&self, id: u16) -> Option<Value> {
        let answer = ask_within(Duration::from_millis(700), self.address(id), "GET", "/status", &[], b"").ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Waits for a primary that a majority of the replicas follows.
    pub fn await_primary(&self) -> u16 {
        eventually("a primary that a majority follows", || self.primary())
    }

    /// Waits for such a primary that is none of these.
    pub fn await_primary_other_than(&self, not: &[u16]) -> u16 {
        eventually("another primary", || self.primary().filter(|id| !not.contains(id)))
    }

    fn primary(&self) -> Option<u16> {
        let running = self.ids().filter(|id| self.processes[usize::from(*id)].child.is_some());
        let all: Vec<_> = running.filter_map(|id| Some((id, self.status(id)?))).collect();
        let leads =
            |(id, status): &(u16, Value)| (status["status"] == "Primary").then(|| (*id, status["view"].clone()));
        let (id, view) = all.iter().filter_map(leads).max_by_key(|(_, view)| view.as_u64())?;
        let is_normal = |status: &Value| status["status"] == "Primary" || status["status"] == "Backup";
        let followers = all.iter().filter(|(_, status)| is_normal(status) && status["view"] == view).count();
        (followers * 2 > self.processes.len()).then_some(id)
    }

    /// Waits until these replicas are normal, have executed the same ops, and hold the same objects; gives them.
    pub fn await_agreement(&self, ids: &[u16]) -> Value {
        eventually("that the replicas agree", || {
            let mut shown = Vec::new();
            for id in ids {
                let status = self.status(*id)?;
                let is_normal = status["status"] == "Primary" || status["status"] == "Backup";
                let progress = [&status["op"], &status["commit"], &status["executed"]].map(Value::as_u64);
                if !is_normal || progress[0] != progress[1] || progress[1] != progress[2] {
                    return None;
                }
                shown.push((progress[0], status["view"].as_u64(), self.objects_at(*id)?));
            }
            let first = shown.first().cloned()?;
            shown.iter().all(|each| *each == first).then_some(first.2)
        })
    }

    /// All objects that a replica has, as it knows them itself.
    pub fn objects_at(&self, id: u16) -> Option<Value> {
        let path = "/object?consistency=stale&limit=10000";
        let answer = ask_within(Duration::from_secs(2), self.address(id), "GET", path, &[], b"").ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// A client of the whole cluster.
    pub fn client(&self) -> Client {
        Client::new(self.processes.iter().map(|process| process.client).collect())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in &mut self.processes {
            if let Some(child) = &mut process.child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        if thread::panicking() {
            for id in self.ids() {
                let log = self.log_text(id);
                let lines: Vec<_> = log.lines().collect();
                eprintln!("--- replica {id}, the end of its log:");
                lines[lines.len().saturating_sub(15)..].iter().for_each(|line| eprintln!("{line}"));
            }
            if let Some(dir) = self.dir.take() {
                eprintln!("--- kept: {}", dir.keep().display());
            }
        }
    }
}

/// A client with a session of its own: what it asks takes effect once, however often it has to be sent.
pub struct Client {
    nodes: Vec<SocketAddr>,
    at: usize,
    session: Option<(String, u64)>,
    number: u64,
}

impl Client {
    /// Of the nodes at these addresses.
    pub fn new(nodes: Vec<SocketAddr>) -> Self {
        Self { nodes, at: 0, session: None, number: 0 }
    }

    /// One try at the node that was asked last; follows a redirection and finds another node for the next try.
    fn attempt(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Response> {
        let elsewhere = (self.at + 1) % self.nodes.len();
        let answer = ask_within(Duration::from_secs(2), self.nodes[self.at], method, path, headers, body).ok();
        match &answer {
            Some(answer) if answer.status == 307 => {
                let location = answer.header("location").expect("a redirection says where");
                let rest = location.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
                let address = rest.0.parse().expect("an address");
                self.at = self.nodes.iter().position(|node| *node == address).unwrap_or_else(|| {
                    // A member that was added since.
                    self.nodes.push(address);
                    self.nodes.len() - 1
                });
                None
            }
            Some(answer) if answer.status == 503 || answer.status == 504 => {
                self.at = elsewhere;
                None
            }
            Some(_) => answer,
            None => {
                self.at = elsewhere;
                None
            }
        }
    }

    /// Asks until it is answered.
    pub fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Response {
        self.ask_until(Instant::now() + PATIENCE, method, path, body).unwrap_or_else(|| panic!("{method} {path}"))
    }

    /// Asks until it is answered or the time is over.
    pub fn ask_until(&mut self, end: Instant, method: &str, path: &str, body: &[u8]) -> Option<Response> {
        let pause = || {
            thread::sleep(Duration::from_millis(10));
            (Instant::now() < end).then_some(())
        };
        while self.session.is_none() {
            match self.attempt("POST", "/session", &[], b"") {
                Some(answer) if answer.status == 201 => {
                    let said = answer.json();
                    let client = said["client"].as_str().expect("a client").to_owned();
                    self.session = Some((client, said["session"].as_u64().expect("a session")));
                }
                Some(answer) => panic!("POST /session answered {} {}", answer.status, answer.body),
                None => pause()?,
            }
        }
        self.number += 1;
        let (client, session) = self.session.clone().expect("it was opened");
        let (session, number) = (session.to_string(), self.number.to_string());
        let headers = [("VR-Client", &client[..]), ("VR-Session", &session), ("VR-Request", &number)];
        loop {
            if let Some(answer) = self.attempt(method, path, &headers, body) {
                return Some(answer);
            }
            pause()?;
        }
    }

    /// Writes.
    pub fn put(&mut self, key: &str, text: &str) {
        let answer = self.ask("PUT", &format!("/object/{key}"), &value(text));
        assert_eq!(answer.status, 200, "PUT {key}: {}", answer.body);
    }

    /// Reads.
    pub fn get(&mut self, key: &str) -> Option<String> {
        let answer = self.ask("GET", &format!("/object/{key}"), b"");
        match answer.status {
            200 => Some(answer.json()["value"].as_str().expect("a value").to_owned()),
            404 => None,
            status => panic!("GET {key}: {status} {}", answer.body),
        }
    }

    /// Removes; was it there?
    pub fn delete(&mut self, key: &str) -> bool {
        let answer = self.ask("DELETE", &format!("/object/{key}"), b"");
        assert!(matches!(answer.status, 200 | 404), "DELETE {key}: {} {}", answer.status, answer.body);
        answer.status == 200
    }
}

/// One request at one node, without a session: what a person with curl sees.
pub fn curl(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Response {
    ask(address, method, path, &[], body).unwrap_or_else(|error| panic!("{method} {path} at {address}: {error}"))
}

/// Removes a directory and all that is in it.
pub fn remove(dir: &Path) {
    fs::remove_dir_all(dir).expect("it can be removed");
}
