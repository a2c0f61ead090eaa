//! How a node starts: the log is opened, the replica begins its life, then peers are listened to.
//!
//! Owns the order of starting and stopping, and what can go wrong before the first step. Must not know the protocol.

use super::run::{Loop, Progress, StopReason};
use super::waiting::Waiting;
use super::{Bounds, Inbox};
use crate::clock;
use crate::config::NodeConfig;
use crate::disk::{self, DiskOptions};
use crate::events::{Observer, Ring};
use crate::handle::{Handle, NodeStatus};
use crate::metrics::Metrics;
use crate::node::Arrival;
use crate::ops::Routes;
use crate::tls::{ClientTls, ServerTls, TlsError};
use crate::transport::server::{Server, ServerOptions, serve};
use crate::transport::{PeerOptions, PeerServerOptions, Peers, serve_peers};
use crate::upcalls::{self, Upcalls};
use crate::wal::{Identity, Wal, WalError};
use hyper::service::service_fn;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use vr_core::{Epoch, Instance, OpenError, Replica, Service};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
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

/// A running node.
#[derive(Debug)]
pub struct Node {
    handle: Handle,
    routes: Routes,
    task: JoinHandle<StopReason>,
    peers: Server,
    clients: Option<Server>,
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
        let tls = peer_tls(&config)?;
        let client_tls = config.client_tls.as_ref().map(ServerTls::for_clients).transpose()?;
        let metrics = Arc::new(Metrics::new());
        let opened = Wal::open(&config.dir, &identity(&config), config.disk.options())?;
        metrics.wal.found(&opened.findings);
        for finding in &opened.findings {
            tracing::warn!(%finding, "found in the log");
        }
        let listener = TcpListener::bind(config.peer).await;
        let listener = listener.map_err(|source| StartError::Listen { address: config.peer, source })?;
        let bounds = Bounds { messages: config.transport.queue_messages, questions: config.requests.waiting_max };
        let (inbox, arrivals) = Inbox::new(bounds);
        let (upcalls, served) = Upcalls::new();
        let mut actions = Vec::new();
        let now = clock::now();
        let replica = Replica::open(config.core(), opened.stored, now, &mut actions)?;
        let (observer, ring) = observer(&config, now.0, &actions, &replica);
        let (status, shown) = watch::channel(NodeStatus::of(&replica.snapshot(), 0, true));
        let to_node = inbox.clone();
        let answer = move |answer| {
            // A node that is gone needs no answers.
            let _ = to_node.send(Arrival::Disk(answer));
        };
        let options = DiskOptions { durability: config.cluster.durability, ..DiskOptions::default() };
        let disk = disk::start(opened.wal, options, metrics.wal.clone(), answer).map_err(system)?;
        upcalls::run(service, served, inbox.clone()).map_err(system)?;
        let peers = Peers::start(peer_options(&config, tls.as_ref().map(|tls| tls.1.clone())), &metrics.transport);
        let server = peer_server(&config, listener, tls.map(|tls| tls.0), &metrics, inbox.clone());
        let server = server.map_err(|source| StartError::Listen { address: config.peer, source })?;
        let capacity = usize::try_from(config.cluster.client_capacity).unwrap_or(usize::MAX);
        let handle = Handle::new(inbox, upcalls.clone(), shown, config.requests.timeout(), capacity);
        let node = Loop {
            replica,
            arrivals,
            peers,
            disk,
            upcalls,
            metrics: Arc::clone(&metrics),
            status,
            observer,
            waiting: Waiting::default(),
            progress: Progress::default(),
            seed: getrandom::u64().map_err(|error| StartError::System(error.to_string()))?,
        };
        let task = tokio::spawn(node.run(actions));
        let scheme = if client_tls.is_some() { "https" } else { "http" };
        let max_bytes = config.cluster.max_request_bytes;
        let clients = config.nodes.iter().map(|node| (vr_core::ReplicaId(node.id), node.client)).collect();
        let limit = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let routes = Routes::new(handle.clone(), Arc::clone(&metrics), ring, clients, limit, scheme);
        let (client_address, max_body_bytes) = (config.client, u64::from(max_bytes));
        let peers = server;
        Ok(Self { handle, routes, task, peers, clients: None, metrics, client_address, client_tls, max_body_bytes })
    }

    /// Serves [`Routes`] at the address for clients. An embedder with routes of its own serves them there instead, with
    /// [`Node::listen`], and answers with [`Node::routes`] what it does not know.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn serve_clients(&mut self) -> Result<SocketAddr, StartError> {
        let routes = self.routes.clone();
        let server = self
            .listen(move |_| {
                let routes = routes.clone();
                service_fn(move |request| {
                    let routes = routes.clone();
                    async move { Ok::<_, Infallible>(routes.answer(request).await) }
                })
            })
            .await?;
        let address = server.local_addr();
        self.clients = Some(server);
        Ok(address)
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
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let options = ServerOptions {
            tls: self.client_tls.clone(),
            max_connections: 4096,
            max_body_bytes: self.max_body_bytes.saturating_mul(2),
            ..ServerOptions::default()
        };
        serve(listener, options, self.metrics.clients.clone(), make).map_err(refused)
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
        self.peers.local_addr()
    }

    /// Waits until it has stopped, for whatever reason; then nothing of it is left running.
    pub async fn stopped(self) -> StopReason {
        let reason = self.task.await.unwrap_or(StopReason::Abandoned);
        self.peers.shutdown().await;
        if let Some(clients) = self.clients {
            clients.shutdown().await;
        }
        reason
    }
}

fn identity(config: &NodeConfig) -> Identity {
    Identity { cluster: config.cluster.clone(), id: config.id }
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

fn observer(
    config: &NodeConfig,
    now: u64,
    actions: &[vr_core::Action],
    replica: &Replica,
) -> (Option<Observer>, Option<Ring>) {
    if !config.events.enabled {
        return (None, None);
    }
    let ring = Ring::new(config.events.ring);
    let mut observer = Observer::new(ring.clone(), clock::wall_ns().wrapping_sub(now));
    observer.opened(now, actions, &replica.snapshot());
    (Some(observer), Some(ring))
}

fn peer_options(config: &NodeConfig, tls: Option<ClientTls>) -> PeerOptions {
    PeerOptions {
        me: config.id,
        cluster: config.cluster.clone(),
        epoch: Epoch::ZERO,
        peers: config.peers(),
        transport: config.transport.clone(),
        tls,
    }
}

fn peer_server(
    config: &NodeConfig,
    listener: TcpListener,
    tls: Option<ServerTls>,
    metrics: &Metrics,
    inbox: Inbox,
) -> io::Result<Server> {
    let options = PeerServerOptions {
        me: config.id,
        cluster: config.cluster.clone(),
        epoch: Epoch::ZERO,
        transport: config.transport.clone(),
        tls,
    };
    serve_peers(listener, options, &metrics.transport, Arc::new(inbox))
}
