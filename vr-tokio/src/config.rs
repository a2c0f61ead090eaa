//! What a node is told: one TOML file for all nodes of a cluster.
//!
//! Owns the file's shape, its defaults and what is refused. The section `[cluster]` is replicated: its digest is in
//! every message, and nodes whose sections differ do not talk. Must not open a socket or a log. DESIGN 9.7.

mod lease;
#[cfg(test)]
mod tests;

use crate::disk::ScrubOptions;
use crate::flight::RecordConfig;
use crate::tls::{ListenerTlsFiles, PeerTlsFiles};
use crate::transport::TransportConfig;
use crate::wal;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vr_core::trace::Redact;
use vr_core::{Batching, ClusterConfig, ClusterId, Config, Durability, ReplicaId, Timeouts, Wait};

/// Everything one node is told. `vr-tokio/cluster.example.toml` is a worked example.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// What all replicas share.
    pub cluster: ClusterConfig,
    /// Which replica this node is.
    pub id: ReplicaId,
    /// Where its log lives. Relative paths are relative to the file.
    pub dir: PathBuf,
    /// Where it listens for clients; for operators too, unless they have an address of their own.
    pub client: SocketAddr,
    /// Where it listens for its peers.
    pub peer: SocketAddr,
    /// Where it listens for operators, if not with its clients: metrics, status, health, the trace stream.
    pub ops: Option<SocketAddr>,
    /// All nodes of the cluster that the file knows, this one included.
    pub nodes: Vec<NodeAddresses>,
    /// EXPERIMENTAL: it is none of the first members, and waits until a reconfiguration adds it (VRR §7).
    pub joins: bool,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How requests become batches.
    pub batching: Batching,
    /// How it talks to its peers.
    pub transport: TransportConfig,
    /// Requests of clients.
    pub requests: RequestConfig,
    /// The disk.
    pub disk: DiskConfig,
    /// TLS between replicas.
    pub peer_tls: Option<PeerTlsFiles>,
    /// TLS for clients.
    pub client_tls: Option<ListenerTlsFiles>,
    /// The trace stream.
    pub events: EventsConfig,
    /// Recordings of everything that happens to the replica.
    pub record: Option<RecordConfig>,
    /// Plain text to and from other machines is meant so.
    pub allow_plaintext: bool,
}

/// Where one node is.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeAddresses {
    /// Which replica.
    pub id: u16,
    /// Where its log lives.
    pub dir: PathBuf,
    /// Where it serves clients and operators.
    pub client: SocketAddr,
    /// Where it serves its peers.
    pub peer: SocketAddr,
    /// Where it serves operators, if not with its clients.
    pub ops: Option<SocketAddr>,
    /// Where it listens for clients, if that is not where they reach it.
    pub client_listen: Option<SocketAddr>,
    /// Where it listens for its peers, if that is not where they reach it.
    pub peer_listen: Option<SocketAddr>,
    /// EXPERIMENTAL: it is none of the first members, and waits to be added (VRR §7).
    #[serde(default)]
    pub joins: bool,
}

impl NodeAddresses {
    /// A node that listens where it is reached, and serves operators with its clients.
    #[must_use]
    pub fn new(id: u16, dir: impl Into<PathBuf>, client: SocketAddr, peer: SocketAddr) -> Self {
        let dir = dir.into();
        Self { id, dir, client, peer, ops: None, client_listen: None, peer_listen: None, joins: false }
    }
}

/// Requests of clients: the section `[requests]`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestConfig {
    /// How many requests may wait for their answers at this node; one more is `Busy`.
    pub waiting_max: usize,
    /// How long a request waits for its answer before its outcome is called unknown.
    pub timeout_ms: u64,
}

impl Default for RequestConfig {
    fn default() -> Self {
        Self { waiting_max: 16 << 10, timeout_ms: 10_000 }
    }
}

impl RequestConfig {
    /// How long a request waits for its answer.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// The disk: the section `[disk]`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskConfig {
    /// How long a segment of the log gets before the next one begins.
    pub segment_bytes: u64,
    /// What was confirmed is read again while the node runs, all of it once in so many seconds; 0: never.
    pub scrub_interval_s: u64,
    /// But never more than so many bytes a second.
    pub scrub_bytes_per_second: u64,
    /// Checkpoints are written no faster than so many bytes a second, as long as nobody waits for them.
    pub checkpoint_bytes_per_second: u64,
}

impl Default for DiskConfig {
    fn default() -> Self {
        let ScrubOptions { interval, bytes_per_second } = ScrubOptions::default();
        Self {
            segment_bytes: 64 << 20,
            scrub_interval_s: interval.as_secs(),
            scrub_bytes_per_second: bytes_per_second,
            checkpoint_bytes_per_second: 64 << 20,
        }
    }
}

impl DiskConfig {
    pub(crate) fn scrub(&self) -> Option<ScrubOptions> {
        let (interval, bytes_per_second) = (Duration::from_secs(self.scrub_interval_s), self.scrub_bytes_per_second);
        (self.scrub_interval_s != 0).then_some(ScrubOptions { interval, bytes_per_second })
    }

    pub(crate) fn options(&self) -> wal::Options {
        wal::Options { segment_bytes: self.segment_bytes, ..wal::Options::default() }
    }
}

/// The trace stream, `GET /vr/v1/events`: the section `[events]`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// Is it on? Off, it costs nothing.
    pub enabled: bool,
    /// How many events are kept for readers; who lags further behind is told of a gap.
    pub ring: usize,
    /// How much of clients' data is shown: `full`, `len` (its length) or `hash` (length and a short hash).
    pub redact: Redact,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { enabled: false, ring: 16_384, redact: Redact::Hash }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeConfigError {
    /// The file cannot be read.
    #[error("configuration {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("configuration {}: {source}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// The file says something that cannot be.
    #[error("configuration: {0}")]
    Wrong(String),
}

fn wrong(what: impl Into<String>) -> NodeConfigError {
    NodeConfigError::Wrong(what.into())
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cluster: Cluster,
    lease: Option<lease::FileLease>,
    node: Vec<NodeAddresses>,
    #[serde(default)]
    timeouts: FileTimeouts,
    #[serde(default)]
    batching: FileBatching,
    #[serde(default)]
    transport: TransportConfig,
    #[serde(default)]
    requests: RequestConfig,
    #[serde(default)]
    disk: DiskConfig,
    #[serde(default)]
    tls: Tls,
    #[serde(default)]
    events: EventsConfig,
    #[serde(default)]
    allow_plaintext: bool,
    record: Option<RecordConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cluster {
    id: String,
    members: Vec<u16>,
    #[serde(default)]
    witnesses: Vec<u16>,
    #[serde(default)]
    durability: FileDurability,
    client_capacity: Option<u32>,
    checkpoint_interval: Option<u32>,
    max_message_bytes: Option<u32>,
    max_request_bytes: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileDurability {
    #[default]
    Sync,
    Async,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileTimeouts {
    heartbeat_ms: u64,
    view_change_min_ms: Option<u64>,
    view_change_max_ms: Option<u64>,
    abdicate_ms: Option<u64>,
}

impl Default for FileTimeouts {
    fn default() -> Self {
        Self { heartbeat_ms: 25, view_change_min_ms: None, view_change_max_ms: None, abdicate_ms: None }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileBatching {
    pipeline: Option<u32>,
    batch_entries: Option<u32>,
    queue_entries: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Tls {
    peer: Option<PeerTlsFiles>,
    client: Option<ListenerTlsFiles>,
}

impl NodeConfig {
    /// A node of this cluster in code instead of a file, with the defaults of everything else. No other process needs
    /// to know of it but for the addresses.
    ///
    /// # Errors
    /// When it says something that cannot be.
    pub fn new(cluster: ClusterConfig, id: ReplicaId, nodes: Vec<NodeAddresses>) -> Result<Self, NodeConfigError> {
        let me = nodes.iter().find(|node| node.id == id.0);
        let me = me.ok_or_else(|| wrong(format!("there is no node {id}")))?.clone();
        let config = Self {
            id,
            dir: me.dir,
            client: me.client_listen.unwrap_or(me.client),
            peer: me.peer_listen.unwrap_or(me.peer),
            ops: me.ops,
            timeouts: FileTimeouts::default().checked(),
            batching: Batching::default(),
            transport: TransportConfig::default(),
            requests: RequestConfig::default(),
            disk: DiskConfig::default(),
            peer_tls: None,
            client_tls: None,
            events: EventsConfig::default(),
            record: None,
            allow_plaintext: false,
            joins: me.joins,
            nodes,
            cluster,
        };
        config.validate()?;
        Ok(config)
    }

    /// What the file at `path` says of node `id`.
    ///
    /// # Errors
    /// When the file cannot be read or says something that cannot be.
    pub fn load(path: &Path, id: ReplicaId) -> Result<Self, NodeConfigError> {
        Self::read(path, id, false)
    }

    /// As [`NodeConfig::load`], of a node that joins whether the file says so or not.
    ///
    /// # Errors
    /// As there.
    pub fn load_newcomer(path: &Path, id: ReplicaId) -> Result<Self, NodeConfigError> {
        Self::read(path, id, true)
    }

    fn read(path: &Path, id: ReplicaId, joins: bool) -> Result<Self, NodeConfigError> {
        let read = |source| NodeConfigError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(read)?;
        let parse = |source| NodeConfigError::Parse { path: path.to_owned(), source: Box::new(source) };
        Self::from_file(toml::from_str(&text).map_err(parse)?, id, path.parent().unwrap_or(Path::new("")), joins)
    }

    /// What `text` says of node `id`; relative paths are relative to `base`.
    ///
    /// # Errors
    /// When it says something that cannot be.
    pub fn parse(text: &str, id: ReplicaId, base: &Path) -> Result<Self, NodeConfigError> {
        let parse = |source| NodeConfigError::Parse { path: PathBuf::from("(text)"), source: Box::new(source) };
        Self::from_file(toml::from_str(text).map_err(parse)?, id, base, false)
    }

    fn from_file(file: File, id: ReplicaId, base: &Path, joins: bool) -> Result<Self, NodeConfigError> {
        let mut cluster = file.cluster.checked()?;
        cluster.lease = file.lease.map(lease::FileLease::checked);
        let me = file.node.iter().find(|node| node.id == id.0);
        let me = me.ok_or_else(|| wrong(format!("there is no [[node]] with id = {id}")))?.clone();
        let rooted = |path: &Path| if path.is_absolute() { path.to_owned() } else { base.join(path) };
        let config = Self {
            id,
            dir: rooted(&me.dir),
            client: me.client_listen.unwrap_or(me.client),
            peer: me.peer_listen.unwrap_or(me.peer),
            ops: me.ops,
            timeouts: file.timeouts.checked(),
            batching: file.batching.checked(),
            transport: file.transport,
            requests: file.requests,
            disk: file.disk,
            peer_tls: file.tls.peer.map(|files| PeerTlsFiles {
                ca: rooted(&files.ca),
                certificate: rooted(&files.certificate),
                key: rooted(&files.key),
            }),
            client_tls: file.tls.client.map(|files| ListenerTlsFiles {
                certificate: rooted(&files.certificate),
                key: rooted(&files.key),
                client_ca: files.client_ca.map(|ca| rooted(&ca)),
            }),
            events: file.events,
            record: file.record.map(|record| RecordConfig { dir: rooted(&record.dir), ..record }),
            allow_plaintext: file.allow_plaintext,
            joins: joins || me.joins,
            nodes: file.node,
            cluster,
        };
        config.validate()?;
        Ok(config)
    }

    /// Checks it. Reading it from a file has done so; so does starting a node.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn validate(&self) -> Result<(), NodeConfigError> {
        let is_first = self.cluster.position(self.id).is_some();
        if self.joins && is_first {
            return Err(wrong(format!("replica {} is one of the first members: it does not join", self.id)));
        }
        if !self.joins && !is_first {
            return Err(wrong(format!(
                "replica {} is not a member of this cluster; one that is added later says joins = true",
                self.id
            )));
        }
        self.core().validate().map_err(|error| wrong(error.to_string()))?;
        self.transport.validate().map_err(wrong)?;
        for member in &self.cluster.members {
            // One that joins is told where the others are by whoever adds it.
            if !self.joins && !self.nodes.iter().any(|node| node.id == member.0) {
                return Err(wrong(format!("member {member} has no [[node]] that says where it is")));
            }
        }
        for (at, node) in self.nodes.iter().enumerate() {
            if self.nodes[..at].iter().any(|other| other.id == node.id) {
                return Err(wrong(format!("there are two [[node]] with id = {}", node.id)));
            }
        }
        if self.requests.waiting_max == 0 || self.requests.timeout_ms == 0 || self.events.ring == 0 {
            return Err(wrong("[requests] waiting_max, [requests] timeout_ms and [events] ring must be at least 1"));
        }
        self.record.as_ref().map_or(Ok(()), RecordConfig::validate).map_err(wrong)?;
        self.validate_exposure()
    }

    /// Plain text leaves this machine only when that is meant so.
    fn validate_exposure(&self) -> Result<(), NodeConfigError> {
        let (for_peers, for_clients) = (self.peer_tls.is_some(), self.client_tls.is_some());
        let others = self.nodes.iter().map(|node| (node.peer, for_peers));
        let own = [(self.peer, for_peers), (self.client, for_clients)].into_iter();
        let exposed = own.chain(self.ops.map(|ops| (ops, for_clients))).chain(others);
        for (address, tls) in exposed {
            if !address.ip().is_loopback() && !tls && !self.allow_plaintext {
                return Err(wrong(format!(
                    "{address} is not of this machine alone and has no TLS: configure [tls], or say allow_plaintext = true"
                )));
            }
        }
        Ok(())
    }

    /// What the core is told.
    #[must_use]
    pub fn core(&self) -> Config {
        let mut config = Config::new(self.cluster.clone(), self.id);
        config.joins = self.joins;
        config.timeouts = self.timeouts;
        config.batching = self.batching;
        config
    }

    /// Where a replica serves clients.
    #[must_use]
    pub fn client_of(&self, id: ReplicaId) -> Option<SocketAddr> {
        self.nodes.iter().find(|node| node.id == id.0).map(|node| node.client)
    }
}

impl Cluster {
    fn checked(self) -> Result<ClusterConfig, NodeConfigError> {
        let id = Some(&self.id).filter(|id| id.len() == 32).and_then(|id| u128::from_str_radix(id, 16).ok());
        let id = id.ok_or_else(|| wrong("[cluster] id must be 32 hexadecimal digits, chosen at random"))?;
        let mut cluster = ClusterConfig::of_size(ClusterId(id), 0);
        cluster.members = self.members.into_iter().map(ReplicaId).collect();
        cluster.witnesses = self.witnesses.into_iter().map(ReplicaId).collect();
        cluster.durability = match self.durability {
            FileDurability::Sync => Durability::Sync,
            FileDurability::Async => Durability::Async,
        };
        let set = |value: Option<u32>, field: &mut u32| *field = value.unwrap_or(*field);
        set(self.client_capacity, &mut cluster.client_capacity);
        set(self.checkpoint_interval, &mut cluster.checkpoint_interval);
        set(self.max_message_bytes, &mut cluster.max_message_bytes);
        set(self.max_request_bytes, &mut cluster.max_request_bytes);
        Ok(cluster)
    }
}

impl FileTimeouts {
    fn checked(&self) -> Timeouts {
        let mut timeouts = Timeouts::from_heartbeat(Wait::millis(self.heartbeat_ms.min(3_600_000)));
        let set = |value: Option<u64>, field: &mut Wait| {
            *field = value.map_or(*field, |ms| Wait::millis(ms.min(3_600_000)));
        };
        set(self.view_change_min_ms, &mut timeouts.view_change_min);
        set(self.view_change_max_ms, &mut timeouts.view_change_max);
        set(self.abdicate_ms, &mut timeouts.abdicate);
        timeouts
    }
}

impl FileBatching {
    fn checked(&self) -> Batching {
        let default = Batching::default();
        Batching {
            pipeline: self.pipeline.unwrap_or(default.pipeline),
            batch_entries: self.batch_entries.unwrap_or(default.batch_entries),
            queue_entries: self.queue_entries.unwrap_or(default.queue_entries),
        }
    }
}
