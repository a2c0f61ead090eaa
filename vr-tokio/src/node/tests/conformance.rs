//! The node's loop against vr-sim's kit for host loops: a real node on real files and sockets, whose syncs can be held.
//!
//! Owns the gate before the disk and the peers that the kit speaks for. Must not know what the kit tries.

use super::*;
use crate::members::Book;
use crate::transport::{Metrics, PeerOptions, PeerServerOptions, Peers, TransportConfig, serve_peers, server};
use crate::wal::{Directory, File, Files};
use std::any::Any;
use std::io;
use std::path::PathBuf;
use std::sync::MutexGuard;
use tokio::runtime::Runtime;
use vr_core::To;
use vr_sim::conformance::host::{Host, Said, try_all};

#[derive(Clone, Copy, Default)]
struct Disk {
    held: bool,
    fails: bool,
}

/// What every sync of the disk thread passes.
#[derive(Default)]
struct Door {
    disk: Mutex<Disk>,
    changed: Condvar,
    /// It says that it is done at once: a disk that lies.
    lies: bool,
}

impl Door {
    fn set(&self, change: impl FnOnce(&mut Disk)) {
        change(&mut self.disk.lock().expect("whole"));
        self.changed.notify_all();
    }

    /// The log is opened on another thread, and waits for nobody.
    fn pass(&self) -> io::Result<()> {
        if std::thread::current().name() != Some("vr-disk") || self.lies {
            return Ok(());
        }
        let disk: MutexGuard<'_, Disk> = self.disk.lock().expect("whole");
        let mut disk = self.changed.wait_while(disk, |disk| disk.held).expect("whole");
        if std::mem::take(&mut disk.fails) { Err(io::Error::other("as it was told")) } else { Ok(()) }
    }
}

/// A directory behind the door.
struct Guarded(Directory, Arc<Door>);

struct GuardedFile(Box<dyn File>, Arc<Door>);

impl Files for Guarded {
    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send>>> {
        self.0.lock()
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }
    fn create_dir(&self) -> io::Result<()> {
        self.0.create_dir()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(GuardedFile(self.0.create(name)?, Arc::clone(&self.1))))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(GuardedFile(self.0.open(name)?, Arc::clone(&self.1))))
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.0.read(name)
    }
    fn read_part(&self, name: &str, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        self.0.read_part(name, offset, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.1.pass()?;
        self.0.sync_dir()
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }
}

impl File for GuardedFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }
    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.allocate(bytes)
    }
    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.truncate(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.1.pass()?;
        self.0.sync()
    }
}

/// What left the node.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Said>>>);

impl Deliver for Heard {
    fn deliver(&self, messages: Vec<Message>) -> Result<(), Full> {
        self.0.lock().expect("whole").extend(messages.into_iter().map(Said::Message));
        Ok(())
    }
}

/// A node, and the kit in the place of its peers.
struct Real {
    runtime: Runtime,
    door: Arc<Door>,
    heard: Heard,
    node: Option<Node>,
    peers: Vec<(ReplicaId, Peers, server::Server)>,
    number: u64,
    dir: Option<TempDir>,
}

impl Real {
    fn new(lies: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (door, heard) = (Arc::new(Door { lies, ..Door::default() }), Heard::default());
        let runtime = runtime.expect("threads");
        Self { runtime, door, heard, node: None, peers: Vec::new(), number: 0, dir: None }
    }

    fn end(&mut self) {
        self.door.set(|disk| *disk = Disk::default());
        if let Some(node) = self.node.take() {
            self.runtime.block_on(node.abort());
        }
        let _in = self.runtime.enter();
        self.peers.clear();
        self.heard.0.lock().expect("whole").clear();
    }

    fn peer(&mut self, id: ReplicaId, config: &NodeConfig) {
        let (cluster, transport) = (config.cluster.clone(), TransportConfig::default());
        let at = config.nodes.iter().find(|node| node.id == id.0).expect("a member").peer;
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind(at)).expect("a free port");
        let _in = self.runtime.enter();
        let places = [(config.id, config.client, config.peer)];
        let book = Arc::new(Book::of(id, places, &cluster.group(), true));
        let options = PeerServerOptions { cluster, book: Arc::clone(&book), transport, tls: None };
        let metrics = Metrics::default();
        let server = serve_peers(listener, options, &metrics, Arc::new(self.heard.clone())).expect("it listens");
        let (cluster, transport) = (config.cluster.clone(), TransportConfig::default());
        let peers = Peers::start(PeerOptions { cluster, book, transport, tls: None }, &metrics);
        self.peers.push((id, peers, server));
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.end();
    }
}

impl Host for Real {
    fn start(&mut self, me: ReplicaId, cluster: &ClusterConfig, held: bool) -> Result<(), String> {
        self.end();
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let place = |id: &ReplicaId| NodeAddresses::new(id.0, dir.path().join(id.0.to_string()), free(), free());
        let places = cluster.members.iter().map(place).collect();
        let mut config = NodeConfig::new(cluster.clone(), me, places).map_err(|error| error.to_string())?;
        config.disk.segment_bytes = 1 << 20;
        Node::format(&config).map_err(|error| error.to_string())?;
        for id in cluster.members.iter().filter(|id| **id != me) {
            self.peer(*id, &config);
        }
        self.door.set(|disk| disk.held = held);
        let files = Guarded(Directory::new(&config.dir), Arc::clone(&self.door));
        let node = self.runtime.block_on(Node::start_on(config, Counter::default(), Arc::new(files)));
        self.node = Some(node.map_err(|error| error.to_string())?);
        (self.number, self.dir) = (0, Some(dir));
        Ok(())
    }

    fn hold_disk(&mut self, held: bool) {
        self.door.set(|disk| disk.held = held);
    }

    fn fail_disk(&mut self) {
        self.door.set(|disk| disk.fails = true);
    }

    fn deliver(&mut self, message: &Message) {
        let from = message.header.from;
        let (_, peers, _) = self.peers.iter().find(|(id, ..)| *id == from).expect("a peer");
        peers.send(To::Others, message);
    }

    fn call(&mut self, _: &[u8]) {
        self.number += 1;
        let (handle, heard, number) = (self.node.as_ref().expect("it runs").handle(), self.heard.clone(), self.number);
        self.runtime.spawn(async move {
            // A refusal is no answer: the kit waits for one that comes.
            if let Ok(reply) = handle.request(ANN, RequestNumber(number), body("1")).await {
                heard.0.lock().expect("whole").push(Said::Reply(reply));
            }
        });
    }

    fn said(&mut self) -> Vec<Said> {
        std::thread::sleep(Duration::from_millis(20));
        std::mem::take(&mut self.heard.0.lock().expect("whole"))
    }

    fn stopped(&mut self) -> bool {
        std::thread::sleep(Duration::from_millis(20));
        self.node.as_ref().is_some_and(|node| node.handle().status().stopped.is_some())
    }
}

#[test]
fn the_node_passes_the_kit_for_host_loops() {
    let report = try_all(&mut Real::new(false));
    assert!(report.passed(), "{report}");
}

#[test]
fn a_node_whose_disk_lies_fails_the_kit() {
    let report = try_all(&mut Real::new(true));
    let failed: Vec<_> = report.failed().collect();
    assert!(failed.iter().any(|case| case.starts_with("entries are acknowledged")), "{report}");
    assert!(failed.iter().any(|case| case.starts_with("nothing is said of a view")), "{report}");
}
