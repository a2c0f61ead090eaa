//! What peers send, taken in: checked head, bounded body, decoded, handed to the node.
//!
//! Owns the order of the checks. A request is refused by the first that fails, counted by its reason, and nothing of
//! it is delivered; what is delivered is from the replica that the head, every message and, with TLS, the
//! certificate name. Whether it is a member, and of which epoch, the core judges. Must not know what messages mean.

use super::Codec;
use super::TransportConfig;
use super::aside::Aside;
use super::head::{Expected, Refusal, Said};
use super::metrics::{Metrics, SourceMetrics};
use super::server::{BodyError, Connection, RequestBody, Server, ServerOptions, serve};
use crate::members::Book;
use crate::tls::{ServerTls, peer_name};
use bytes::Bytes;
use http_body_util::Full as FullBody;
use hyper::body::Body;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use vr_core::wire::Limits;
use vr_core::{ClusterConfig, ClusterId, Message, ReplicaId};

/// Bodies from here on are read behind the others: no log that is caught up with, and no batch, is as long.
const LONG_BYTES: u64 = 2 << 20;

/// There is no room for more messages now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// Where messages go.
pub(crate) trait Deliver: Send + Sync + 'static {
    /// Takes all of these, in this order, or none. Never waits.
    fn deliver(&self, messages: Vec<Message>) -> Result<(), Full>;
}

/// Whom a node listens to, and how.
#[derive(Clone, Debug)]
pub(crate) struct PeerServerOptions {
    pub(crate) cluster: ClusterConfig,
    pub(crate) book: Arc<Book>,
    pub(crate) transport: TransportConfig,
    pub(crate) tls: Option<ServerTls>,
}

/// Takes what peers send to this listener and hands it to the node.
pub(crate) fn serve_peers(
    listener: TcpListener,
    options: PeerServerOptions,
    metrics: &Metrics,
    deliver: Arc<dyn Deliver>,
) -> io::Result<Server> {
    let PeerServerOptions { cluster, book, transport, tls } = options;
    let server = ServerOptions {
        max_connections: transport.max_connections,
        max_head_bytes: 256 << 10,
        max_body_bytes: u64::MAX, // limited by what the head says, below
        head_timeout: Duration::from_millis(transport.read_timeout_ms),
        idle_timeout: Duration::from_millis(transport.idle_timeout_ms),
        body_timeout: Duration::from_millis(transport.read_timeout_ms),
        write_timeout: transport.write_timeout(),
        grace: Duration::from_secs(1),
        tls,
    };
    let is_certified = server.tls.is_some();
    let inlet = Arc::new(Inlet::new(&cluster, book, metrics, deliver));
    serve(listener, server, metrics.server.clone(), move |connection| {
        let inlet = Arc::clone(&inlet);
        let certified = is_certified.then(|| Arc::new(Certified::new(connection, cluster.cluster)));
        service_fn(move |request| {
            let (inlet, certified) = (Arc::clone(&inlet), certified.clone());
            async move { Ok::<_, Infallible>(inlet.answer(certified.as_deref(), request).await) }
        })
    })
}

/// Whom the certificate of a connection names.
pub(crate) struct Certified {
    connection: Connection,
    cluster: ClusterId,
    /// The one who spoke first, and was it.
    known: OnceLock<ReplicaId>,
}

impl Certified {
    fn new(connection: &Connection, cluster: ClusterId) -> Self {
        Self { connection: connection.clone(), cluster, known: OnceLock::new() }
    }

    fn names(&self, id: ReplicaId) -> bool {
        if self.known.get() == Some(&id) {
            return true;
        }
        let is_it = self.connection.is_certified_as(&peer_name(self.cluster, id));
        if is_it {
            let _ = self.known.set(id);
        }
        is_it
    }
}

/// The end of all connections from peers.
pub(crate) struct Inlet {
    expected: Expected,
    limits: Limits,
    metrics: Metrics,
    sources: Mutex<HashMap<ReplicaId, SourceMetrics>>,
    book: Arc<Book>,
    deliver: Arc<dyn Deliver>,
    aside: Aside,
}

impl Inlet {
    pub(crate) fn new(cluster: &ClusterConfig, book: Arc<Book>, metrics: &Metrics, deliver: Arc<dyn Deliver>) -> Self {
        let sources = cluster.members.iter().map(|id| (*id, metrics.source(*id))).collect();
        let expected = Expected { me: book.me(), config: cluster.digest() };
        let (limits, sources) = (Limits::of(cluster), Mutex::new(sources));
        Self { expected, limits, metrics: metrics.clone(), sources, book, deliver, aside: Aside::default() }
    }

    pub(crate) async fn answer(
        &self,
        certified: Option<&Certified>,
        request: Request<RequestBody>,
    ) -> Response<FullBody<Bytes>> {
        let Err(refusal) = self.take(certified, request).await else {
            let mut response = Response::new(FullBody::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response;
        };
        self.metrics.refuse(refusal.reason());
        tracing::debug!(reason = refusal.reason(), "refused a request of a peer");
        let mut response = Response::new(FullBody::from(format!("{{\"error\":\"{}\"}}\n", refusal.reason())));
        *response.status_mut() = refusal.status();
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }

    /// Every check in its order, then the delivery.
    async fn take(&self, certified: Option<&Certified>, request: Request<RequestBody>) -> Result<(), Refusal> {
        let said = self.expected.check(request.method(), request.uri().path(), request.headers())?;
        if certified.is_some_and(|certified| !certified.names(said.from)) {
            return Err(Refusal::Identity);
        }
        if let Some(address) = said.address {
            self.book.hear(said.from, address);
        }
        let (bytes, messages) = self.read(said.codec, request.into_body()).await?;
        if messages.iter().any(|message| message.header.from != said.from) {
            return Err(Refusal::Forged);
        }
        self.hand_over(said, bytes, messages)
    }

    /// The messages of a body, and how long it was.
    async fn read(&self, codec: Codec, mut body: RequestBody) -> Result<(usize, Vec<Message>), Refusal> {
        let (limits, limit) = (self.limits, codec.body_limit(self.limits.frame_bytes));
        let (limit, said) = (u64::try_from(limit).unwrap_or(u64::MAX), body.size_hint().lower());
        if said > limit {
            return Err(Refusal::TooLarge);
        }
        body.limit_to(limit);
        let read = async move {
            let bytes = body.bytes().await.map_err(|error| match error {
                BodyError::TooLarge => Refusal::TooLarge,
                BodyError::Broken(_) => Refusal::Broken,
            })?;
            Ok((bytes.len(), codec.decode(bytes, &limits)?))
        };
        if said < LONG_BYTES { read.await } else { self.aside.run(read).await.unwrap_or(Err(Refusal::Broken)) }
    }

    fn hand_over(&self, said: Said, bytes: usize, messages: Vec<Message>) -> Result<(), Refusal> {
        let counted = |amount: usize| u64::try_from(amount).unwrap_or(u64::MAX);
        let count = counted(messages.len());
        self.deliver.deliver(messages).map_err(|Full| Refusal::InboxFull)?;
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever is nobody we know has no counters of its own: names are free, and there are many.
        if !sources.contains_key(&said.from) && self.book.knows(said.from) {
            sources.insert(said.from, self.metrics.source(said.from));
        }
        if let Some(source) = sources.get(&said.from) {
            source.requests.inc();
            source.messages.inc_by(count);
            source.bytes.inc_by(counted(bytes));
        }
        Ok(())
    }
}
