//! The ways to all peers: a queue and a task for each, which connects, and connects again.
//!
//! Owns who is connected and the waits between attempts. What waits for a peer that cannot be reached is dropped at
//! every failed attempt: it would be stale when the peer returns. Must not know what is sent.

use super::head;
use super::link::{Ended, Link, Manner};
use super::metrics::{LinkMetrics, Metrics};
use super::queue::{Bounds, Queue};
use super::{Codec, Guarded, ReadBy, Stream, TransportConfig};
use crate::tls::{ClientTls, peer_name};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use vr_core::{ClusterConfig, Epoch, Message, ReplicaId, To};

/// So many attempts in a row may fail before it is said; with the waits between them about half a second.
const FAILURES_UNTOLD: u32 = 4;
/// The room for encoding that is kept between messages.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

/// To whom a node talks, and how.
#[derive(Clone, Debug)]
pub(crate) struct PeerOptions {
    pub(crate) me: ReplicaId,
    pub(crate) cluster: ClusterConfig,
    pub(crate) epoch: Epoch,
    /// Every other member and where it listens for its peers.
    pub(crate) peers: Vec<(ReplicaId, SocketAddr)>,
    pub(crate) transport: TransportConfig,
    pub(crate) tls: Option<ClientTls>,
}

/// The ways to all peers. Dropping it closes them.
pub(crate) struct Peers {
    queues: Vec<(ReplicaId, Arc<Queue>)>,
    codec: Codec,
    scratch: Mutex<Vec<u8>>,
    _tasks: JoinSet<()>,
}

impl Peers {
    /// Starts connecting to every peer.
    pub(crate) fn start(options: PeerOptions, metrics: &Metrics) -> Self {
        let transport = &options.transport;
        let bounds = Bounds { messages: transport.queue_messages, bytes: transport.queue_bytes };
        let codec = transport.body;
        let (mut queues, mut tasks) = (Vec::new(), JoinSet::new());
        let options = Arc::new(options);
        for (id, address) in options.peers.iter().copied().filter(|(id, _)| *id != options.me) {
            let metrics = metrics.link(id);
            let queue = Arc::new(Queue::new(bounds, metrics.clone()));
            queues.push((id, Arc::clone(&queue)));
            tasks.spawn(Way::new(id, address, queue, metrics, Arc::clone(&options)).keep());
        }
        Self { queues, codec, scratch: Mutex::default(), _tasks: tasks }
    }

    /// Queues a message. Never waits; encodes once, whomever it is for.
    pub(crate) fn send(&self, to: To, message: &Message) {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = self.codec.encode(message, &mut scratch);
        scratch.shrink_to(SCRATCH_BYTES_MAX);
        drop(scratch);
        let is_meant = |id: ReplicaId| match to {
            To::One(one) => one == id,
            To::Others => true,
        };
        for (_, queue) in self.queues.iter().filter(|(id, _)| is_meant(*id)) {
            queue.push(encoded.clone());
        }
    }
}

/// The way to one peer.
struct Way {
    id: ReplicaId,
    address: SocketAddr,
    queue: Arc<Queue>,
    metrics: LinkMetrics,
    manner: Manner,
    prefix: String,
    options: Arc<PeerOptions>,
}

impl Way {
    fn new(
        id: ReplicaId,
        address: SocketAddr,
        queue: Arc<Queue>,
        metrics: LinkMetrics,
        options: Arc<PeerOptions>,
    ) -> Self {
        let (transport, cluster) = (&options.transport, &options.cluster);
        let manner = Manner {
            codec: transport.body,
            window: transport.window,
            batch_bytes: transport.batch_bytes.min(usize::try_from(cluster.max_message_bytes).unwrap_or(usize::MAX)),
            answer_timeout: Duration::from_millis(transport.answer_timeout_ms),
        };
        let host = address.to_string();
        let prefix = head::prefix(&host, cluster.digest(), options.epoch, options.me, transport.body);
        Self { id, address, queue, metrics, manner, prefix, options }
    }

    /// Stays connected, for good.
    async fn keep(self) {
        let mut failures = 0;
        loop {
            match self.connect().await {
                Ok((stream, read_by)) => {
                    let (has_succeeded, ended) = self.use_up(stream, read_by).await;
                    if has_succeeded {
                        failures = 0;
                    }
                    match ended {
                        Ended::Refused(_) | Ended::Nonsense(_) => {
                            tracing::warn!(peer = self.id.0, address = %self.address, "the peer will not listen: {ended}");
                        }
                        Ended::Io(_) => {
                            tracing::debug!(peer = self.id.0, address = %self.address, "connection ended: {ended}");
                        }
                    }
                }
                Err(error) => {
                    let dropped = u64::try_from(self.queue.clear()).unwrap_or(u64::MAX);
                    self.metrics.dropped_unreachable.inc_by(dropped);
                    // Those that start together find each other within a few attempts: that is worth no line.
                    if failures == FAILURES_UNTOLD {
                        tracing::warn!(peer = self.id.0, address = %self.address, %error, "cannot reach the peer");
                    }
                }
            }
            sleep(self.back_off(failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    async fn use_up(&self, stream: Guarded, read_by: ReadBy) -> (bool, Ended) {
        self.metrics.connects.inc();
        self.metrics.connected.set(1);
        tracing::debug!(peer = self.id.0, address = %self.address, "connected");
        let prefix = self.prefix.clone();
        let mut link = Link::new(stream, read_by, &self.queue, &self.manner, &self.metrics, prefix);
        let ended = link.run().await;
        self.metrics.connected.set(0);
        (link.has_succeeded, ended)
    }

    async fn connect(&self) -> io::Result<(Guarded, ReadBy)> {
        let limit = Duration::from_millis(self.options.transport.connect_timeout_ms);
        let stream = timeout(limit, self.greet()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let read_by = ReadBy::whenever();
        Ok((Guarded::new(stream, read_by.clone(), self.options.transport.write_timeout()), read_by))
    }

    async fn greet(&self) -> io::Result<Stream> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = &self.options.tls else { return Ok(Stream::Plain(tcp)) };
        let name = ServerName::try_from(peer_name(self.options.cluster.cluster, self.id)).map_err(io::Error::other)?;
        let tls = TlsConnector::from(Arc::clone(&tls.0)).connect(name, tcp).await?;
        Ok(Stream::Tls(Box::new(tls.into())))
    }

    /// Doubles with every failure up to the longest; drawn from its upper half, so that peers do not come together.
    fn back_off(&self, failures: u32) -> Duration {
        let transport = &self.options.transport;
        let wait = transport.reconnect_min_ms.saturating_mul(1 << failures.min(16)).min(transport.reconnect_max_ms);
        let half = wait / 2;
        Duration::from_millis(half + getrandom::u64().unwrap_or(0) % (wait - half + 1))
    }
}
