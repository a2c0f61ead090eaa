//! Whole clusters in one process, on real sockets and disks: what they share. Ports are free ones, directories are
//! temporary; what is waited for is a status, an answer or a counter, never a time.

mod conformance;
mod ends;
mod founded;
mod group;
mod leaving;
mod limits;
mod measure;
mod members;
mod operator;
mod reads;
mod recorded;
mod repaired;

use super::*;
use crate::client::{Client, ClientOptions};
use crate::config::{NodeAddresses, NodeConfig};
use crate::handle::{Handle, NodeStatus};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use vr_core::{
    ClientId, ClusterConfig, ClusterId, Context, Durability, HaltReason, Op, ReplicaId, RequestNumber, Service,
    StatusName, Wait,
};

/// How long any test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Counts; an operation adds the number that it is. `block` stands still until the gate opens, `panic` panics.
#[derive(Default)]
struct Counter {
    count: u64,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().expect("whole") = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let is_open = self.is_open.lock().expect("whole");
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).expect("whole"));
    }
}

impl Service for Counter {
    fn execute(&mut self, _: &Context, body: &[u8]) -> Bytes {
        match body {
            b"block" => self.gate.pass(),
            b"panic" => panic!("as it was told"),
            _ => {}
        }
        let amount = std::str::from_utf8(body).ok().and_then(|body| body.parse().ok()).unwrap_or(0);
        self.count = self.count.saturating_add(amount);
        self.read(&[])
    }

    fn read(&self, _: &[u8]) -> Bytes {
        Bytes::from(self.count.to_string())
    }

    fn checkpoint(&self) -> Bytes {
        Bytes::copy_from_slice(&self.count.to_le_bytes())
    }

    fn restore(&mut self, checkpoint: &[u8]) {
        self.count = u64::from_le_bytes(checkpoint.try_into().expect("8 bytes"));
    }
}

/// Three replicas, some of which run.
struct Cluster {
    configs: Vec<NodeConfig>,
    nodes: Vec<Option<Node>>,
    dir: TempDir,
}

/// A free address, outside the range from which outgoing connections take theirs.
fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % 20_000;
    loop {
        let port = 10_000 + (first + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % 20_000;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("below 30,000")));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Cluster {
    /// Formats the directories of three nodes.
    fn format(adjust: impl Fn(&mut NodeConfig)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let place = |id: u16| NodeAddresses::new(id, dir.path().join(id.to_string()), free(), free());
        let places: Vec<_> = (0..3).map(place).collect();
        let config = |id| {
            let cluster = ClusterConfig::of_size(ClusterId(7), 3);
            let mut config = NodeConfig::new(cluster, ReplicaId(id), places.clone()).expect("valid");
            config.disk.segment_bytes = 1 << 20;
            adjust(&mut config);
            config
        };
        let configs: Vec<_> = (0..3).map(config).collect();
        for config in &configs {
            Node::format(config).expect("an empty directory");
        }
        Self { configs, nodes: vec![None, None, None], dir }
    }

    /// Three nodes that run.
    async fn start(adjust: impl Fn(&mut NodeConfig)) -> Self {
        let mut cluster = Self::format(adjust);
        for id in 0..3 {
            cluster.up(id).await;
        }
        cluster
    }

    async fn up(&mut self, id: usize) {
        self.up_with(id, Counter::default()).await;
    }

    async fn up_with(&mut self, id: usize, counter: Counter) {
        let mut node = Node::start(self.configs[id].clone(), counter).await.expect("it starts");
        node.serve_clients().await.expect("its address is free");
        self.nodes[id] = Some(node);
    }

    async fn kill(&mut self, id: usize) {
        self.nodes[id].take().expect("it runs").abort().await;
    }

    async fn stop(&mut self, id: usize) -> StopReason {
        let node = self.nodes[id].take().expect("it runs");
        node.handle().stop().await;
        node.stopped().await
    }

    fn handle(&self, id: usize) -> Handle {
        self.nodes[id].as_ref().expect("it runs").handle()
    }

    fn client(&self) -> Client {
        let addresses = self.configs[0].nodes.iter().map(|node| node.client.to_string());
        Client::new(addresses, ClientOptions { call_timeout: PATIENCE, ..Default::default() }).expect("valid")
    }

    /// Waits until one of them is so.
    async fn until(&self, id: usize, is_so: impl FnMut(&NodeStatus) -> bool) -> NodeStatus {
        let status = timely(self.handle(id).wait_until(is_so)).await;
        assert_eq!(status.stopped, None);
        status
    }

    /// Waits until one of them is primary of this view or a later one.
    async fn primary_from(&self, view: u64) -> usize {
        let is_so = |status: &NodeStatus| status.status == StatusName::Primary && status.view.0 >= view;
        let handles: Vec<_> = self.nodes.iter().flatten().map(Node::handle).collect();
        let leads = handles.iter().map(|handle| Box::pin(handle.wait_until(is_so)));
        usize::from(timely(futures_util::future::select_all(leads)).await.0.id.0)
    }
}

/// However slowly this machine answers, the first primary stays what it is: for those who do not ask about views.
const fn steady(config: &mut NodeConfig) {
    let timeouts = &mut config.timeouts;
    timeouts.view_change_min = Wait::millis(60_000);
    timeouts.view_change_max = Wait::millis(120_000);
    timeouts.abdicate = Wait::millis(60_000);
}

async fn timely<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

fn body(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn number(number: u64) -> RequestNumber {
    RequestNumber(number)
}

const ANN: ClientId = ClientId(0xA);
const BOB: ClientId = ClientId(0xB);
