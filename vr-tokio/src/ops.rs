//! What clients and operators ask a node over HTTP: requests, metrics, status, health, the trace stream.
//!
//! Owns the routes under the listener for clients; an embedder with routes of its own answers what it does not know
//! with these. Nothing but a request, a hand-over and a reconfiguration changes anything. Must not know the service.

mod members;

use crate::client::{self, Ask, Refused, Requests};
use crate::events::Ring;
use crate::handle::{HandOverError, Handle, NodeStatus, RequestError};
use crate::transport::server::RequestBody;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame};
use hyper::service::{Service, service_fn};
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use vr_core::{NoHandOver, ReplicaId, Reply, RequestNumber, StatusName};

/// Where a primary is asked to give way.
const PRIMARY_ROUTE: &str = "/vr/v1/primary";

/// The body of an answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;

/// The routes that every node serves. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Routes {
    shared: Arc<Shared>,
    /// Are clients' requests among them?
    client: bool,
    /// Are the operator's routes?
    ops: bool,
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    ring: Option<Ring>,
    max_request_bytes: usize,
    scheme: &'static str,
}

impl Routes {
    pub(crate) fn new(
        handle: Handle,
        ring: Option<Ring>,
        max_request_bytes: usize,
        scheme: &'static str,
        ops: bool,
    ) -> Self {
        let shared = Arc::new(Shared { handle, ring, max_request_bytes, scheme });
        Self { shared, client: true, ops }
    }

    /// The operator's routes alone.
    pub(crate) fn for_operators(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), client: false, ops: true }
    }

    /// These routes as the service of one connection.
    pub(crate) fn service(
        &self,
    ) -> impl Service<
        Request<RequestBody>,
        Response = Response<AnswerBody>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<AnswerBody>, Infallible>> + Send + use<>,
    > + Send
    + use<> {
        let routes = self.clone();
        service_fn(move |request| {
            let routes = routes.clone();
            async move { Ok(routes.answer(request).await) }
        })
    }

    /// Answers a request; 404 when the route is none of these: `POST /vr/v1/request`, `POST /vr/v1/read`, `GET /vr/v1/events`,
    /// `GET` and `PUT /vr/v1/members`, `PUT /vr/v1/primary`, `GET /metrics`, `/status`, `/healthz`, `/readyz`; only the first two
    /// and `GET /vr/v1/members` when operators have an address of their own.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let shared = &self.shared;
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        let path = request.uri().path();
        let is_served = match path {
            client::ROUTE | client::READ_ROUTE => self.client,
            // Clients read it too: who knew the old members finds the new ones.
            client::MEMBERS_ROUTE if is_get => true,
            _ => self.ops,
        };
        match path {
            _ if !is_served => refused(StatusCode::NOT_FOUND, "no_such_route", ""),
            client::ROUTE | client::READ_ROUTE if request.method() == Method::POST => {
                let mut response = client::answer(self, request).await.map(BodyExt::boxed_unsync);
                client::mark(response.headers_mut(), shared.handle.epoch());
                response
            }
            client::ROUTE | client::READ_ROUTE => refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "POST"),
            PRIMARY_ROUTE if request.method() == Method::PUT => shared.hand_over(request.uri().query()).await,
            client::MEMBERS_ROUTE if is_get => members::show(&shared.handle),
            client::MEMBERS_ROUTE if request.method() == Method::PUT => {
                members::change(&shared.handle, request.into_body()).await
            }
            client::MEMBERS_ROUTE => refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "GET, HEAD, PUT"),
            PRIMARY_ROUTE => refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "PUT"),
            "/metrics" | "/status" | "/healthz" | "/readyz" | "/vr/v1/events" if !is_get => {
                refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "GET, HEAD")
            }
            "/metrics" => {
                let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                text(StatusCode::OK, kind, shared.handle.metrics())
            }
            "/status" => {
                let status = serde_json::to_string(&shared.handle.status()).unwrap_or_default();
                text(StatusCode::OK, "application/json", status + "\n")
            }
            "/healthz" => shared.health(|status| status.stopped.is_none()),
            "/readyz" => shared.health(NodeStatus::is_ready),
            "/vr/v1/events" => match &shared.ring {
                Some(ring) => stream(ring, cursor_of(request.uri().query()), shared.handle.clone()),
                None => refused(StatusCode::NOT_FOUND, "events_off", ""),
            },
            _ => refused(StatusCode::NOT_FOUND, "no_such_route", ""),
        }
    }
}

impl Shared {
    /// Gives way to `to`, or to whoever is furthest.
    async fn hand_over(&self, query: Option<&str>) -> Response<AnswerBody> {
        let to = match query.filter(|query| !query.is_empty()) {
            None => None,
            Some(query) => match query.strip_prefix("to=").and_then(|id| id.parse().ok()) {
                Some(id) => Some(ReplicaId(id)),
                None => return refused(StatusCode::BAD_REQUEST, "bad_request", ""),
            },
        };
        let status = self.handle.status();
        let (code, said) = match self.handle.hand_over(to).await {
            Ok(view) => (StatusCode::OK, serde_json::json!({"gave_way": status.id.0, "view": view.0})),
            Err(HandOverError::Refused(why)) => {
                let hint = Some(status.primary.0).filter(|_| status.status == StatusName::Backup);
                let said = serde_json::json!({"error": code_of(why), "reason": why.to_string(), "primary": hint});
                (StatusCode::CONFLICT, said)
            }
            Err(HandOverError::Halted) => (
                StatusCode::SERVICE_UNAVAILABLE,
                serde_json::json!({"error": "halted", "reason": "the node has stopped"}),
            ),
        };
        text(code, "application/json", format!("{said}\n"))
    }

    fn health(&self, is_well: fn(&NodeStatus) -> bool) -> Response<AnswerBody> {
        let status = self.handle.status();
        let is_well = is_well(&status);
        let code = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let said = serde_json::json!({"ok": is_well, "status": status.status, "view": status.view.0, "stopped": status.stopped});
        text(code, "application/json", format!("{said}\n"))
    }
}

impl Requests for Routes {
    async fn request(&self, ask: Ask) -> Result<Reply, Refused> {
        let Ask { client, session, number, body } = ask;
        let handle = &self.shared.handle;
        let answer = if number == RequestNumber::ZERO {
            handle.register_reply(client).await
        } else {
            handle.request_in(client, session, number, body).await
        };
        answer.map_err(|error| self.refused(error))
    }

    async fn read(&self, query: Bytes) -> Result<Bytes, Refused> {
        self.shared.handle.read(query).await.map_err(|error| self.refused(error))
    }

    async fn read_here(&self, query: Bytes) -> Result<Bytes, Refused> {
        self.shared.handle.read_here(query).await.map_err(|error| self.refused(error))
    }

    fn max_request_bytes(&self) -> usize {
        self.shared.max_request_bytes
    }

    fn scheme(&self) -> &'static str {
        self.shared.scheme
    }
}

impl Routes {
    fn refused(&self, error: RequestError) -> Refused {
        match error {
            RequestError::NotPrimary { primary, view } => {
                let known = self.shared.handle.elsewhere(primary);
                Refused::NotPrimary { primary: known.map(|(id, address)| (id, address.to_string())), view }
            }
            RequestError::Deposed { view } => Refused::Deposed { view },
            RequestError::Timeout => Refused::Timeout,
            RequestError::Evicted => Refused::Evicted,
            RequestError::Busy => Refused::Busy,
            RequestError::NoSpace => Refused::NoSpace,
            RequestError::TooLarge => Refused::TooLarge,
            // Clients ask for no reconfigurations.
            RequestError::Malformed | RequestError::BadGroup(_) => Refused::Malformed,
            RequestError::Halted => Refused::Halted,
        }
    }
}

/// The name of a reason, for programs.
const fn code_of(why: NoHandOver) -> &'static str {
    match why {
        NoHandOver::NotPrimary => "not_primary",
        NoHandOver::NoSuchMember => "no_such_member",
        NoHandOver::Unheard => "unheard",
        NoHandOver::TooLate => "too_late",
        _ => "no_hand_over",
    }
}

fn text(status: StatusCode, kind: &'static str, text: String) -> Response<AnswerBody> {
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refused(status: StatusCode, code: &'static str, allow: &'static str) -> Response<AnswerBody> {
    let mut response = text(status, "application/json", format!("{{\"error\":\"{code}\"}}\n"));
    if !allow.is_empty() {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    response
}

/// `after=N` or `from=N` of the query: where to read on.
pub(crate) fn cursor_of(query: Option<&str>) -> Option<u64> {
    let number = |value: &str| value.parse::<u64>().ok();
    let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(name, value)| match name {
        "after" => number(value).map(|index| index.saturating_add(1)),
        "from" => number(value),
        _ => None,
    })
}

/// Newline-delimited JSON for as long as the reader reads. An empty line says that nothing happened for a while.
fn stream(ring: &Ring, cursor: Option<u64>, handle: Handle) -> Response<AnswerBody> {
    let reader = ring.reader(cursor);
    handle.look();
    let pages = futures_util::stream::unfold((reader, handle), |(mut reader, handle)| async move {
        let events = reader.next().await?;
        let mut lines = Vec::new();
        for event in &events {
            // Writing to a vector cannot fail, and every event is JSON.
            let _ = serde_json::to_writer(&mut lines, event);
            lines.push(b'\n');
        }
        if events.is_empty() {
            // What was only counted is told now. Without a node there is no more to tell.
            handle.look().then(|| lines.push(b'\n'))?;
        }
        Some((Ok(Frame::data(Bytes::from(lines))), (reader, handle)))
    });
    let mut response = Response::new(StreamBody::new(pages).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_from_the_query_and_everything_else_is_none() {
        assert_eq!(cursor_of(Some("from=17")), Some(17));
        assert_eq!(cursor_of(Some("after=17")), Some(18));
        assert_eq!(cursor_of(Some("a=1&from=3&b")), Some(3));
        assert_eq!([cursor_of(None), cursor_of(Some("from=x")), cursor_of(Some("from"))], [None, None, None]);
    }
}
