//! How a node starts: the log is opened, the replica begins its life, then peers are listened to.
//!
//! Owns the order of starting and stopping, and what can go wrong before the first step. Must not know the protocol.

use super::grouped::Grouped;
use super::leaving::Leaving;
use super::reading::Reading;
use super::run::{Loop, Progress, StopReason};
use super::waiting::Waiting;
use super::{Bounds, Inbox};
use crate::clock;
use crate::config::{NodeConfig, NodeConfigError};
use crate::disk::{self, DiskAnswer, DiskOptions};
use crate::events::{Observer, Ring};
use crate::flight::Flight;
use crate::handle::{Handle, NodeStatus};
use crate::keeper::Keeper;
use crate::members::Book;
use crate::metrics::Metrics;
use crate::node::Arrival;
use crate::ops::Routes;
use crate::tls::{ClientTls, ServerTls, TlsError};
use crate::transport::server::{Server, ServerOptions, serve};
use crate::transport::{PeerOptions, PeerServerOptions, Peers, serve_peers};
use crate::upcalls::{self, Upcalls};
use crate::wal::{Directory, Files, Identity, Opened, Wal, WalError};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use vr_core::{Action, Group, Incarnation, Instance, OpenError, Opening, Replica, Service, Snapshot, Stored, Time};

/// How many connections may wait to be accepted; the system may allow fewer.
const LISTEN_BACKLOG: u32 = 4096;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] NodeConfigError),
    /// The log cannot be opened, or formatted.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The replica does not begin from what the log holds.
    #[error("the replica does not start from its log: {0}")]
    Open(String),
    /// An address cannot be listened at.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system gives no thread, or no random numbers.
    #[error("the operating system refuses: {0}")]
    System(String),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Open(error.to_string())
    }
}

/// A running node. Dropping it ends it as a power failure would; [`Handle::stop`] stops it in order.
#[derive(Debug)]
pub struct Node {
    handle: Handle,
    routes: Routes,
    task: JoinHandle<StopReason>,
    /// For peers, and for clients and operators, if they are served.
    servers: Vec<Server>,
    peer_address: SocketAddr,
    metrics: Arc<Metrics>,
    client_address: SocketAddr,
    client_tls: Option<ServerTls>,
    max_body_bytes: u64,
}

impl Node {
    /// Makes the log of a replica that never ran: an explicit step of the operator, never a default.
    ///
    /// # Errors
    /// When the directory holds anything, or cannot be written.
    pub fn format(config: &NodeConfig) -> Result<Instance, StartError> {
        Ok(Wal::format(&config.dir, &identity(config), &config.disk.options())?)
    }

    /// Starts the replica that `config` describes, with its service, from its log. It listens to its peers, and to
    /// clients once [`Node::serve_clients`] is called.
    ///
    /// # Errors
    /// When the log was never formatted, is another replica's, or cannot be read; when the address for peers is taken;
    /// when TLS is configured wrongly.
    pub async fn start<S: Service + Send + 'static>(config: NodeConfig, service: S) -> Result<Self, StartError> {
        let files = Arc::new(Directory::new(&config.dir));
        Self::start_on(config, service, files).await
    }

    /// As [`Node::start`], from any files.
    pub(super) async fn start_on<S: Service + Send + 'static>(
        config: NodeConfig,
        service: S,
        files: Arc<dyn Files>,
    ) -> Result<Self, StartError> {
        config.validate()?;
        if config.cluster.lease.is_some() {
            clock::count_sleep();
        }
        let tls = peer_tls(&config)?;
        let client_tls = config.client_tls.as_ref().map(ServerTls::for_clients).transpose()?;
        let metrics = Arc::new(Metrics::new());
        let opened = log_of(&config, files, &metrics).await?;
        let listener = listener_at(config.peer)?;
        let bounds = Bounds { messages: config.transport.queue_messages, questions: config.requests.waiting_max };
        let (inbox, arrivals) = Inbox::new(bounds);
        let (upcalls, served) = Upcalls::new();
        let (mut actions, now) = (Vec::new(), clock::now());
        let opening = config.record.as_ref().map(|_| opening(&config, &opened.stored, now));
        let disk = opened.stored.instance;
        let replica = Replica::open(config.core(), opened.stored, now, &mut actions)?;
        let book = Arc::new(Book::new(&config, replica.group()));
        let flight = flight(&config, replica.snapshot().incarnation, opening, &metrics)?;
        let observer = observer(&config, now, (&replica.snapshot(), replica.group()), &metrics);
        let ring = observer.as_ref().map(Observer::ring);
        let (status, shown) = watch::channel(NodeStatus::of(&replica.snapshot(), true));
        let (durability, scrub) = (config.cluster.durability, config.disk.scrub());
        let options = DiskOptions { durability, scrub, ..DiskOptions::default() };
        let rate = config.disk.checkpoint_bytes_per_second;
        let keeper = Keeper::start(opened.wal.ahead(), rate, inbox.clone()).map_err(system)?;
        let writer = disk::start(opened.wal, options, metrics.wal.clone(), to_node(inbox.clone())).map_err(system)?;
        upcalls::run(service, served, inbox.clone()).map_err(system)?;
        let (peers, server) = peers_of(&config, (listener, tls), &book, &metrics, inbox.clone())?;
        let capacity = usize::try_from(config.cluster.client_capacity).unwrap_or(usize::MAX);
        let known = (Arc::clone(&book), (disk, config.cluster.digest(), config.cluster.least_members()));
        let (timeout, counted) = (config.requests.timeout(), Arc::clone(&metrics));
        let handle = Handle::new(inbox, upcalls.clone(), shown, (timeout, capacity), counted, known);
        let node = Loop {
            replica,
            arrivals,
            peers,
            group: Grouped::new(book, disk),
            disk: writer,
            upcalls,
            keeper,
            metrics: Arc::clone(&metrics),
            status,
            observer,
            flight,
            waiting: Waiting::default(),
            reading: Reading::default(),
            leaving: Leaving::default(),
            abdicate: config.timeouts.abdicate,
            requests: Vec::new(),
            progress: Progress::default(),
            seed: getrandom::u64().map_err(|error| StartError::System(error.to_string()))?,
        };
        let task = tokio::spawn(run(node, actions));
        let routes = routes(&config, &handle, ring);
        let (client_address, max_body_bytes) = (config.client, u64::from(config.cluster.max_request_bytes));
        let (peer_address, servers) = (server.local_addr(), vec![server]);
        let mut this =
            Self { handle, routes, task, servers, peer_address, metrics, client_address, client_tls, max_body_bytes };
        if let Some(ops) = config.ops {
            this.serve_ops(ops).await?;
        }
        Ok(this)
    }

    /// Serves [`Routes`] at the address for clients. An embedder with routes of its own serves them there instead, with
    /// [`Node::listen`], and answers with [`Node::routes`] what it does not know.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn serve_clients(&mut self) -> Result<SocketAddr, StartError> {
        let routes = self.routes.clone();
        let server = self.listen(move |_| routes.service()).await?;
        let address = server.local_addr();
        self.servers.push(server);
        Ok(address)
    }

    /// Serves the operator's routes at an address of their own.
    async fn serve_ops(&mut self, address: SocketAddr) -> Result<(), StartError> {
        let refused = |source| StartError::Listen { address, source };
        let listener = listener_at(address)?;
        let routes = self.routes.for_operators();
        let (options, metrics) = (self.listener_options(), self.metrics.ops.clone());
        self.servers.push(serve(listener, options, metrics, move |_| routes.service()).map_err(refused)?);
        Ok(())
    }

    fn listener_options(&self) -> ServerOptions {
        ServerOptions {
            tls: self.client_tls.clone(),
            max_connections: 4096,
            max_body_bytes: self.max_body_bytes.saturating_mul(2),
            ..ServerOptions::default()
        }
    }

    /// Serves an embedder's own routes at the address for clients, with the TLS and the limits of the configuration.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn listen<M, S, B>(&self, make: M) -> Result<Server, StartError>
    where
        M: Fn(&crate::transport::server::Connection) -> S + Send + Sync + 'static,
        S: hyper::service::Service<http::Request<crate::transport::server::RequestBody>, Response = http::Response<B>>
            + Send
            + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: hyper::body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let address = self.client_address;
        let refused = |source| StartError::Listen { address, source };
        let listener = listener_at(address)?;
        serve(listener, self.listener_options(), self.metrics.clients.clone(), make).map_err(refused)
    }

    /// What an embedder holds of it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The routes that every node serves.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// Where it listens to its peers.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    /// Waits until it has stopped, for whatever reason; then nothing of it is left running, and its directory and its
    /// addresses are free.
    pub async fn stopped(mut self) -> StopReason {
        let reason = match (&mut self.task).await {
            Ok(reason) => reason,
            Err(error) if error.is_panic() => StopReason::Bug,
            Err(_) => StopReason::Abandoned,
        };
        for server in self.servers.drain(..) {
            server.shutdown().await;
        }
        reason
    }

    /// Ends it at once, as a power failure would but for what the disk was given already, and waits until its directory
    /// and its addresses are free.
    pub async fn abort(self) {
        self.task.abort();
        self.stopped().await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs the node's loop, and says that it is over however it ends.
async fn run(node: Loop, actions: Vec<Action>) -> StopReason {
    let mut last = Last { status: node.status.clone(), reason: StopReason::Abandoned };
    last.reason = node.run(actions).await;
    last.reason.clone()
}

/// Shows the end of a node, when it is dropped.
struct Last {
    status: watch::Sender<NodeStatus>,
    reason: StopReason,
}

impl Drop for Last {
    fn drop(&mut self) {
        let reason = if std::thread::panicking() { &StopReason::Bug } else { &self.reason };
        self.status.send_modify(|status| status.stopped = Some(reason.to_string()));
    }
}

/// A listener whose queue of connections to be accepted is longer than the usual 128: hundreds of clients may come at
/// once, and whoever finds it full waits for a second.
fn listener_at(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(LISTEN_BACKLOG)
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

/// The log, opened where waiting holds up nobody; what was found in it is said.
async fn log_of(config: &NodeConfig, files: Arc<dyn Files>, metrics: &Metrics) -> Result<Opened, StartError> {
    let (mine, options) = (identity(config), config.disk.options());
    let opened = tokio::task::spawn_blocking(move || Wal::open_in(files, &mine, options)).await;
    let opened = opened.map_err(|error| StartError::System(error.to_string()))??;
    metrics.wal.found(&opened.findings);
    for finding in &opened.findings {
        tracing::warn!(%finding, "found in the log");
    }
    Ok(opened)
}

fn identity(config: &NodeConfig) -> Identity {
    Identity { cluster: config.cluster.clone(), id: config.id }
}

/// Where the disk's answers go.
fn to_node(inbox: Inbox) -> impl Fn(DiskAnswer) + Send + 'static {
    move |answer| {
        // A node that is gone needs no answers.
        let _ = inbox.send(Arrival::Disk(answer));
    }
}

fn system(error: io::Error) -> StartError {
    StartError::System(error.to_string())
}

/// TLS towards peers, in both directions.
fn peer_tls(config: &NodeConfig) -> Result<Option<(ServerTls, ClientTls)>, TlsError> {
    Ok(match &config.peer_tls {
        Some(files) => {
            let (cluster, id) = (config.cluster.cluster, config.id);
            Some((ServerTls::for_peers(files)?, ClientTls::for_peers(files, cluster, id)?))
        }
        None => None,
    })
}

fn observer(config: &NodeConfig, now: Time, of: (&Snapshot, &Group), metrics: &Metrics) -> Option<Observer> {
    let new = || Observer::new(config, now, clock::wall_ns(), of, &metrics.events);
    config.events.enabled.then(new)
}

/// The beginning of a recording.
fn opening(config: &NodeConfig, stored: &Stored, now: Time) -> Opening {
    // Steps happen on the host's clock.
    Opening { config: config.core(), stored: stored.clone(), at: now, host: now }
}

fn flight(
    config: &NodeConfig,
    life: Incarnation,
    opening: Option<Opening>,
    metrics: &Metrics,
) -> Result<Option<Flight>, StartError> {
    let (Some(record), Some(opening)) = (&config.record, opening) else { return Ok(None) };
    let flight = Flight::begin(record, life, &opening, metrics.flight.clone());
    flight.map(Some).map_err(|error| StartError::System(format!("recording in {}: {error}", record.dir.display())))
}

fn routes(config: &NodeConfig, handle: &Handle, ring: Option<Ring>) -> Routes {
    let scheme = if config.client_tls.is_some() { "https" } else { "http" };
    let limit = usize::try_from(config.cluster.max_request_bytes).unwrap_or(usize::MAX);
    Routes::new(handle.clone(), ring, limit, scheme, config.ops.is_none())
}

/// The ways to the peers, and where they come in.
fn peers_of(
    config: &NodeConfig,
    (listener, tls): (TcpListener, Option<(ServerTls, ClientTls)>),
    book: &Arc<Book>,
    metrics: &Metrics,
    inbox: Inbox,
) -> Result<(Peers, Server), StartError> {
    let (for_server, for_clients) = tls.unzip();
    let peers = Peers::start(peer_options(config, book, for_clients), &metrics.transport);
    let server = peer_server(config, (listener, for_server), book, metrics, inbox);
    Ok((peers, server.map_err(|source| StartError::Listen { address: config.peer, source })?))
}

fn peer_options(config: &NodeConfig, book: &Arc<Book>, tls: Option<ClientTls>) -> PeerOptions {
    PeerOptions { cluster: config.cluster.clone(), book: Arc::clone(book), transport: config.transport.clone(), tls }
}

fn peer_server(
    config: &NodeConfig,
    (listener, tls): (TcpListener, Option<ServerTls>),
    book: &Arc<Book>,
    metrics: &Metrics,
    inbox: Inbox,
) -> io::Result<Server> {
    let options = PeerServerOptions {
        cluster: config.cluster.clone(),
        book: Arc::clone(book),
        transport: config.transport.clone(),
        tls,
    };
    serve_peers(listener, options, &metrics.transport, Arc::new(inbox))
}
