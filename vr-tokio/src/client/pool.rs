//! Connections to one replica's listener for clients, kept and used again.
//!
//! Owns connecting, TLS and the reuse. Says of every failed exchange whether the request may have arrived. Must not
//! know what is asked.

use crate::tls::ClientTls;
use crate::transport::Stream;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Why an exchange failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The request did not leave.
    Before(String),
    /// It may have arrived.
    Perhaps,
}

/// What came back.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What all connections have in common.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) connect_timeout: Duration,
    pub(super) response_bytes_max: usize,
    pub(super) idle_max: usize,
    pub(super) tls: Option<ClientTls>,
}

/// The connections to one address.
pub(super) struct Pool {
    pub(super) address: String,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Pool {
    pub(super) fn new(address: String) -> Self {
        Self { address, idle: Mutex::default() }
    }

    /// Sends a request and reads the whole response. Cancelled, it closes the connection.
    pub(super) async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        manner: &Manner,
    ) -> Result<Response, Failed> {
        loop {
            let (mut connection, is_new) = match self.take_idle() {
                Some(connection) => (connection, false),
                None => (self.connect(manner).await.map_err(|error| Failed::Before(error.to_string()))?, true),
            };
            match connection.try_send_request(request).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let body = Limited::new(body, manner.response_bytes_max).collect().await;
                    let body = body.map_err(|_| Failed::Perhaps)?.to_bytes();
                    self.put_back(connection, manner);
                    return Ok(Response { status: head.status, headers: head.headers, body });
                }
                // A connection that was closed while it was idle: nothing has left, so try the next.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    Some(_) => return Err(Failed::Before(failed.error().to_string())),
                    None => return Err(Failed::Perhaps),
                },
            }
        }
    }

    fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn put_back(&self, connection: SendRequest<Full<Bytes>>, manner: &Manner) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !connection.is_closed() && idle.len() < manner.idle_max {
            idle.push(connection);
        }
    }

    async fn connect(&self, manner: &Manner) -> io::Result<SendRequest<Full<Bytes>>> {
        let connected = timeout(manner.connect_timeout, self.greet(manner.tls.as_ref())).await;
        let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a replica ended");
            }
        });
        sender.ready().await.map_err(io::Error::other)?;
        Ok(sender)
    }

    async fn greet(&self, tls: Option<&ClientTls>) -> io::Result<Stream> {
        let tcp = TcpStream::connect(&self.address).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = tls else { return Ok(Stream::Plain(tcp)) };
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let tls = TlsConnector::from(Arc::clone(&tls.0)).connect(name, tcp).await?;
        Ok(Stream::Tls(Box::new(tls.into())))
    }
}
