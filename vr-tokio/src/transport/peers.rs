//! The ways to all peers: a queue and a task for each, which connects, and connects again.
//!
//! Owns who is connected and the waits between attempts; who is of the group, and where, the book says. What waits for a peer
//! that cannot be reached is dropped at every failed attempt: it would be stale when the peer returns. Must not know what is
//! sent.

use super::bulk::Bulk;
use super::head::Prefix;
use super::link::{Ended, Link, Manner};
use super::metrics::{LinkMetrics, Metrics};
use super::queue::{Bounds, Queue};
use super::{Guarded, ReadBy, Stream, TransportConfig};
use crate::members::Book;
use crate::tls::{ClientTls, peer_name};
use prometheus_client::metrics::gauge::Gauge;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use vr_core::{ClusterConfig, Message, ReplicaId, To};

/// So many attempts in a row may fail before it is said; with the waits between them about half a second.
const FAILURES_UNTOLD: u32 = 4;
/// The room for encoding that is kept between messages.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

/// To whom a node talks, and how.
#[derive(Clone, Debug)]
pub(crate) struct PeerOptions {
    pub(crate) cluster: ClusterConfig,
    /// Who the others are, and where each listens for its peers.
    pub(crate) book: Arc<Book>,
    pub(crate) transport: TransportConfig,
    pub(crate) tls: Option<ClientTls>,
}

/// The ways to all peers. Dropping it closes them.
pub(crate) struct Peers {
    ways: Mutex<Ways>,
    options: Arc<PeerOptions>,
    metrics: Metrics,
    bulk: Bulk,
}

struct Ways {
    all: Vec<Known>,
    scratch: Vec<u8>,
    tasks: JoinSet<()>,
}

/// A way to somebody.
struct Known {
    id: ReplicaId,
    address: SocketAddr,
    /// Is it of the group? To whoever is not, this node connects only when there is something to say.
    is_member: Arc<AtomicBool>,
    queue: Arc<Queue>,
    task: AbortHandle,
}

impl Known {
    fn is_member(&self) -> bool {
        self.is_member.load(Ordering::Relaxed)
    }
}

impl Peers {
    /// Starts connecting to every other member of the group.
    pub(crate) fn start(options: PeerOptions, metrics: &Metrics) -> Self {
        let ways = Ways { all: Vec::new(), scratch: Vec::new(), tasks: JoinSet::new() };
        let options = Arc::new(options);
        let bulk = Bulk::new(Arc::clone(&options), metrics.clone());
        let this = Self { ways: Mutex::new(ways), options, metrics: metrics.clone(), bulk };
        this.regroup();
        this
    }

    /// The group is another one, as the book says: its members are connected to. Those of the group before are kept for what
    /// there is still to be said to them; whoever was in none of the two is not.
    pub(crate) fn regroup(&self) {
        let mut ways = self.lock();
        ways.all.retain(|known| {
            let stays = known.is_member();
            if !stays {
                known.task.abort();
            }
            stays
        });
        ways.all.iter().for_each(|known| known.is_member.store(false, Ordering::Relaxed));
        for (id, address) in self.options.book.others() {
            if let Some(at) = address.map(|address| self.way(&mut ways, id, address)) {
                ways.all[at].is_member.store(true, Ordering::Relaxed);
                ways.all[at].queue.wake();
            }
        }
    }

    /// Queues a message. Never waits; encodes once, whomever it is for. What is for somebody whose address nobody knows is
    /// dropped.
    pub(crate) fn send(&self, to: To, message: &Message) {
        let mut ways = self.lock();
        let encode = |scratch: &mut Vec<u8>| {
            let encoded = self.options.transport.body.encode(message, scratch);
            scratch.shrink_to(SCRATCH_BYTES_MAX);
            encoded
        };
        match to {
            To::Others => {
                let encoded = encode(&mut ways.scratch);
                ways.all.iter().filter(|way| way.is_member()).for_each(|way| way.queue.push(encoded.clone()));
            }
            To::One(id) => {
                let known = ways.all.iter().position(|way| way.id == id && way.is_member());
                let found = || self.options.book.find(id).map(|address| address.peer);
                let known = known.or_else(|| found().map(|address| self.way(&mut ways, id, address)));
                let Some(at) = known else { return };
                if !self.bulk.send((id, ways.all[at].address), message) {
                    let encoded = encode(&mut ways.scratch);
                    ways.all[at].queue.push(encoded);
                }
            }
        }
    }

    /// The way to somebody at this address: a new one, if there is none.
    fn way(&self, ways: &mut Ways, id: ReplicaId, address: SocketAddr) -> usize {
        if let Some(at) = ways.all.iter().position(|known| known.id == id) {
            if ways.all[at].address == address {
                return at;
            }
            ways.all.swap_remove(at).task.abort();
        }
        let transport = &self.options.transport;
        let bounds = Bounds { messages: transport.queue_messages, bytes: transport.queue_bytes };
        let metrics = self.metrics.link(id);
        let (queue, is_member) = (Arc::new(Queue::new(bounds, metrics.clone())), Arc::new(AtomicBool::new(false)));
        let way =
            Way::new((id, address), Arc::clone(&queue), Arc::clone(&is_member), metrics, Arc::clone(&self.options));
        let task = ways.tasks.spawn(way.keep());
        ways.all.push(Known { id, address, is_member, queue, task });
        // Those that were given up are not kept.
        while ways.tasks.try_join_next().is_some() {}
        ways.all.len() - 1
    }

    /// Nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Ways> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows that there is a connection, as long as there is one.
struct Connected<'a>(&'a Gauge);

impl<'a> Connected<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.set(1);
        Self(gauge)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

/// The way to one peer.
pub(super) struct Way {
    id: ReplicaId,
    /// Where it is by the group, and where it was tried last.
    address: SocketAddr,
    at: SocketAddr,
    queue: Arc<Queue>,
    is_member: Arc<AtomicBool>,
    metrics: LinkMetrics,
    manner: Manner,
    options: Arc<PeerOptions>,
}

impl Way {
    fn new(
        (id, address): (ReplicaId, SocketAddr),
        queue: Arc<Queue>,
        is_member: Arc<AtomicBool>,
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
        Self { id, address, at: address, queue, is_member, metrics, manner, options }
    }

    /// One beside the way on which a peer is told everything else, for what can wait: connected as long as there is some.
    pub(super) fn apart(
        to: (ReplicaId, SocketAddr),
        metrics: &Metrics,
        options: &Arc<PeerOptions>,
    ) -> (Arc<Queue>, Self) {
        // What a peer is now, and what waits for it, the other one shows.
        let metrics = metrics.link(to.0).apart();
        let bounds = Bounds { messages: options.transport.queue_messages, bytes: options.transport.queue_bytes };
        let queue = Arc::new(Queue::new(bounds, metrics.clone()));
        let way = Self::new(to, Arc::clone(&queue), Arc::default(), metrics, Arc::clone(options));
        (queue, way)
    }

    /// Stays connected, for good.
    pub(super) async fn keep(mut self) {
        let mut failures = 0;
        loop {
            while self.queue.is_empty() && !self.is_member.load(Ordering::Relaxed) {
                self.queue.ready().await;
            }
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
                    self.look_elsewhere();
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

    /// Nobody is there: a member that moved, or the whole cluster, is where the file says, until the group says so too.
    fn look_elsewhere(&mut self) {
        let filed = self.options.book.filed(self.id);
        self.at = if self.at == self.address { filed.unwrap_or(self.address) } else { self.address };
    }

    async fn use_up(&self, stream: Guarded, read_by: ReadBy) -> (bool, Ended) {
        self.metrics.connects.inc();
        let _connected = Connected::new(&self.metrics.connected);
        tracing::debug!(peer = self.id.0, address = %self.at, "connected");
        let PeerOptions { cluster, book, transport, .. } = &*self.options;
        let prefix = Prefix::new(self.at.to_string(), cluster.digest(), transport.body, Arc::clone(book));
        let mut link = Link::new(stream, read_by, &self.queue, &self.manner, &self.metrics, prefix);
        let ended = link.run().await;
        (link.has_succeeded, ended)
    }

    async fn connect(&self) -> io::Result<(Guarded, ReadBy)> {
        let limit = Duration::from_millis(self.options.transport.connect_timeout_ms);
        let stream = timeout(limit, self.greet()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let read_by = ReadBy::whenever();
        Ok((Guarded::new(stream, read_by.clone(), self.options.transport.write_timeout()), read_by))
    }

    async fn greet(&self) -> io::Result<Stream> {
        let tcp = TcpStream::connect(self.at).await?;
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
