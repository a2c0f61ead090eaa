//! A small HTTP/1.1 server that any router can be served through: one loop, bounds on everything.
//!
//! Owns accepting, TLS, the limits of connections, heads, bodies and waiting, and the orderly end. Must not know
//! routes. An axum router is mounted as `TowerToHyperService::new(router.clone())` (hyper-util).

pub use super::body::{BodyError, RequestBody};
use super::stream::{Guarded, ReadBy, Stream};
use crate::tls::{ServerTls, is_valid_for};
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustls::pki_types::CertificateDer;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// What a listener allows.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// TLS, when the listener speaks it.
    pub tls: Option<ServerTls>,
    /// How many connections there may be; one more is closed at once and counted.
    pub max_connections: usize,
    /// The longest request head, in bytes; at least 8192. Longer ones are answered with 431.
    pub max_head_bytes: usize,
    /// The longest request body, in bytes. Longer ones are answered with 413 before the service is called, or end
    /// with [`BodyError::TooLarge`] when their length was not said.
    pub max_body_bytes: u64,
    /// How long a new connection may take for TLS and its first head.
    pub head_timeout: Duration,
    /// How long a connection may be idle between requests, the next head included.
    pub idle_timeout: Duration,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// How long a response may make no progress because the client does not read.
    pub write_timeout: Duration,
    /// How long requests in progress may take to end when the server stops.
    pub grace: Duration,
}

impl Default for ServerOptions {
    /// 1024 connections, heads of 64 KiB, bodies of 2 MiB; 10 s for heads, bodies and writes, 60 s idle, 5 s grace.
    fn default() -> Self {
        Self {
            tls: None,
            max_connections: 1024,
            max_head_bytes: 64 << 10,
            max_body_bytes: 2 << 20,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            grace: Duration::from_secs(5),
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Connection {
    /// From where.
    pub peer: SocketAddr,
    certificate: Option<CertificateDer<'static>>,
}

impl Connection {
    /// Did it show a certificate that was accepted, and is it valid for this DNS name?
    #[must_use]
    pub fn is_certified_as(&self, name: &str) -> bool {
        self.certificate.as_ref().is_some_and(|certificate| is_valid_for(certificate, name))
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// What a listener counts.
#[derive(Clone, Debug, Default)]
pub struct ServerMetrics {
    open: Gauge,
    accepted: Counter,
    closed: Family<Reason, Counter>,
}

impl ServerMetrics {
    /// Adds these metrics, their names beginning with the listener's.
    pub fn register(&self, listener: &str, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix(listener);
        registry.register("connections_open", "Connections now open", self.open.clone());
        registry.register("connections_accepted", "Connections accepted", self.accepted.clone());
        let help = "Connections refused or ended for a reason that is not the end of their requests";
        registry.register("connections_failed", help, self.closed.clone());
    }

    /// How many connections were refused, or failed, for this reason: `too_many`, `tls`, `timeout`, `broken`,
    /// `accept`.
    #[must_use]
    pub fn failed(&self, reason: &'static str) -> u64 {
        self.closed.get_or_create(&Reason { reason }).get()
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    fn count(&self, reason: &'static str) {
        self.closed.get_or_create(&Reason { reason }).inc();
    }
}

/// A running server. It stops accepting when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more, lets requests in progress end within the grace, closes the rest.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        let _ = self.task.await;
    }
}

/// Serves what comes in at a listener; `make` gives each connection its service.
///
/// # Errors
/// When the listener has no address.
pub fn serve<M, S, B>(
    listener: TcpListener,
    options: ServerOptions,
    metrics: ServerMetrics,
    make: M,
) -> io::Result<Server>
where
    M: Fn(&Connection) -> S + Send + Sync + 'static,
    S: Service<Request<RequestBody>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let door = Arc::new(Door { options, metrics, make });
    let task = tokio::spawn(accept(listener, door, stopped));
    Ok(Server { address, stop, task })
}

/// What every connection of a listener shares.
struct Door<M> {
    options: ServerOptions,
    metrics: ServerMetrics,
    make: M,
}

async fn accept<M, S, B>(listener: TcpListener, door: Arc<Door<M>>, mut stopped: watch::Receiver<bool>)
where
    M: Fn(&Connection) -> S + Send + Sync + 'static,
    S: Service<Request<RequestBody>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok(_) if connections.len() >= door.options.max_connections => door.metrics.count("too_many"),
            Ok((tcp, peer)) => {
                connections.spawn(converse(tcp, peer, Arc::clone(&door), stopped.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                door.metrics.count("accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let ended = timeout(door.options.grace, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        connections.shutdown().await;
    }
}

/// One connection from its first byte to its last.
async fn converse<M, S, B>(tcp: TcpStream, peer: SocketAddr, door: Arc<Door<M>>, mut stopped: watch::Receiver<bool>)
where
    M: Fn(&Connection) -> S + Send + Sync + 'static,
    S: Service<Request<RequestBody>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (options, metrics) = (&door.options, &door.metrics);
    metrics.accepted.inc();
    let _open = Open::new(&metrics.open);
    let Some((stream, certificate)) = greet(tcp, peer, options, metrics).await else { return };
    let read_by = ReadBy::whenever();
    read_by.within(options.head_timeout);
    let io = TokioIo::new(Guarded::new(stream, read_by.clone(), options.write_timeout));
    let service = (door.make)(&Connection { peer, certificate });
    let deadline = read_by.clone();
    let service = service_fn(move |request| {
        let admitted = admit(request, options, &deadline);
        respond(admitted.map(|request| service.call(request)), options.idle_timeout, deadline.clone())
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.max_buf_size(options.max_head_bytes.max(8192));
    let mut conversation = pin!(http.serve_connection(io, service));
    let outcome = tokio::select! {
        outcome = conversation.as_mut() => outcome,
        _ = stopped.changed() => {
            conversation.as_mut().graceful_shutdown();
            conversation.await
        }
    };
    if read_by.is_missed() {
        metrics.count("timeout");
    } else if let Err(error) = outcome {
        metrics.count("broken");
        tracing::debug!(%peer, ?error, "a connection broke");
    }
}

/// The connection's stream, behind TLS when the listener speaks it, and the certificate that was shown.
async fn greet(
    tcp: TcpStream,
    peer: SocketAddr,
    options: &ServerOptions,
    metrics: &ServerMetrics,
) -> Option<(Stream, Option<CertificateDer<'static>>)> {
    let _ = tcp.set_nodelay(true);
    let Some(tls) = &options.tls else { return Some((Stream::Plain(tcp), None)) };
    match timeout(options.head_timeout, TlsAcceptor::from(Arc::clone(&tls.0)).accept(tcp)).await {
        Ok(Ok(tls)) => {
            let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
            Some((Stream::Tls(Box::new(tls.into())), shown.map(CertificateDer::into_owned)))
        }
        Ok(Err(error)) => {
            tracing::warn!(%peer, %error, "refused in the TLS handshake");
            metrics.count("tls");
            None
        }
        Err(_) => {
            metrics.count("timeout");
            None
        }
    }
}

/// A request within the limits; otherwise what is left to read of it before it is refused.
pub(crate) fn admit(
    request: Request<Incoming>,
    options: &ServerOptions,
    read_by: &ReadBy,
) -> Result<Request<RequestBody>, Option<RequestBody>> {
    let (said, limit) = (request.body().size_hint().lower(), options.max_body_bytes);
    if said <= limit {
        return Ok(request.map(|body| RequestBody::new(body, limit, read_by.clone(), options.body_timeout)));
    }
    let is_worth_reading = said <= limit.saturating_mul(4) && !request.headers().contains_key(header::EXPECT);
    Err(is_worth_reading.then(|| RequestBody::new(request.into_body(), said, read_by.clone(), options.body_timeout)))
}

/// What the service answers, or that the body is too large.
pub(crate) async fn respond<B, E>(
    answer: Result<impl Future<Output = Result<Response<B>, E>>, Option<RequestBody>>,
    idle_timeout: Duration,
    read_by: ReadBy,
) -> Result<Response<Either<B, Full<Bytes>>>, E>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let response = match answer {
        Ok(answer) => answer.await?.map(Either::Left),
        Err(body) => {
            if let Some(body) = body {
                drain(body).await;
            }
            let said = Full::new(Bytes::from_static(b"{\"error\":\"too_large\"}\n"));
            let mut response = Response::new(Either::Right(said));
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            let json = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
    };
    if response.body().size_hint().exact().is_some() {
        read_by.within(idle_timeout);
    } else {
        // A stream goes on for as long as it is read; that it is, the limit on writing sees to.
        read_by.clear();
    }
    Ok(response)
}

/// Reads a body that is somewhat too long and forgets it, so that its sender hears why it is refused.
async fn drain(mut body: RequestBody) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// Counts a connection for as long as it lives.
struct Open<'a>(&'a Gauge);

impl<'a> Open<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
