//! The store over HTTP: Go-VR's routes and a few more.
//!
//! Owns the routes. What it does not know is answered by the node's own ([`vr_tokio::Routes`]). Every refusal is JSON
//! with a code. Must not know the protocol.

mod answer;
mod ask;
mod expiry;
mod pool;

pub use self::answer::{Problem, Reply};
pub use self::pool::Pool;

use self::ask::{Batched, Consistency, Named, PutBody};
use crate::op::{Answer, Expect, Op, Revision};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use std::sync::Arc;
use vr_tokio::transport::server::{BodyError, RequestBody};
use vr_tokio::{AnswerBody, ClientId, Handle, RequestError, RequestNumber, Routes, Session};

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 4096;
/// The longest value, in bytes, unless the cluster's `max_request_bytes` is shorter.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Room in a request beside the value.
const OVERHEAD_BYTES: usize = KEY_BYTES_MAX + 1024;

/// The document that describes these routes.
pub const OPENAPI: &str = include_str!("../openapi.json");

/// What the routes work with.
#[derive(Debug)]
pub struct Api {
    handle: Handle,
    routes: Routes,
    pool: Pool,
    scheme: &'static str,
    value_bytes_max: usize,
}

impl Api {
    /// The routes of a node.
    #[must_use]
    pub fn new(
        handle: Handle,
        routes: Routes,
        pool: Pool,
        scheme: &'static str,
        max_request_bytes: usize,
    ) -> Arc<Self> {
        let value_bytes_max = max_request_bytes.saturating_sub(OVERHEAD_BYTES).min(VALUE_BYTES_MAX);
        Arc::new(Self { handle, routes, pool, scheme, value_bytes_max })
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request<RequestBody>) -> Response<AnswerBody> {
        let path = request.uri().path();
        let outcome = match path.strip_prefix("/object/").filter(|key| !key.is_empty()) {
            Some(_) => self.object(request).await,
            None => match path {
                "/object" | "/object/" => self.list(&request).await,
                "/batch" => self.batch(request).await,
                "/session" => self.session(&request).await,
                "/openapi.json" => {
                    only(&request, "GET, HEAD", &[Method::GET, Method::HEAD]).map(|()| Reply::document(OPENAPI))
                }
                _ => return self.routes.answer(request).await,
            },
        };
        outcome.unwrap_or_else(|problem| problem.reply(self.scheme)).response()
    }

    async fn object(&self, request: Request<RequestBody>) -> Result<Reply, Problem> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str).to_owned();
        let key = ask::key_of(head.uri.path().strip_prefix("/object/").unwrap_or_default())?;
        let named = ask::named_of(&head.headers)?;
        match head.method {
            Method::GET | Method::HEAD => {
                let (how, op) = (ask::consistency_of(head.uri.query())?, Op::Get { key: key.clone() });
                Reply::got(&key, self.read(how, named, op, &path).await?)
            }
            Method::PUT => {
                let (expect, ttl) = (ask::expect_of(&head.headers)?, ask::ttl_of(head.uri.query())?);
                let body = self.body(body).await?;
                let value = PutBody::value_of(&body, self.value_bytes_max)?;
                let op = Op::Put { key: key.clone(), value, expect, ttl };
                Reply::put(&key, self.execute(named, op, &path).await?)
            }
            Method::DELETE => {
                let expect = ask::expect_of(&head.headers)?;
                Reply::deleted(&key, self.execute(named, Op::Delete { key: key.clone(), expect }, &path).await?)
            }
            _ => Err(Problem::MethodNotAllowed("GET, HEAD, PUT, DELETE")),
        }
    }

    async fn list(&self, request: &Request<RequestBody>) -> Result<Reply, Problem> {
        only(request, "GET, HEAD", &[Method::GET, Method::HEAD])?;
        let query = request.uri().query();
        let op = ask::list_of(query)?;
        let path = request.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let (how, named) = (ask::consistency_of(query)?, ask::named_of(request.headers())?);
        Reply::listed(self.read(how, named, op, path).await?)
    }

    async fn batch(&self, request: Request<RequestBody>) -> Result<Reply, Problem> {
        only(&request, "POST", &[Method::POST])?;
        let (head, body) = request.into_parts();
        let named = ask::named_of(&head.headers)?;
        let body = self.body(body).await?;
        let op = Batched::op_of(&body, self.value_bytes_max)?;
        Reply::batch(self.execute(named, op, "/batch").await?)
    }

    async fn session(&self, request: &Request<RequestBody>) -> Result<Reply, Problem> {
        only(request, "POST", &[Method::POST])?;
        let client = match ask::client_of(request.headers())? {
            Some(client) => client,
            None => pool::random_client()?,
        };
        let opened = self.handle.register(client).await;
        let session = opened.map_err(|error| self.problem(error, "/session"))?;
        Ok(Reply::session(client, session))
    }

    /// A question to this node alone. A witness has nothing to say, and sends whoever asks to the primary.
    async fn look(&self, op: Op, path: &str) -> Result<Answer, Problem> {
        let bytes = self.handle.read_stale(op.encode()).await.map_err(|error| self.problem(error, path))?;
        Answer::decode(bytes).ok_or(Problem::Internal)
    }

    /// A question: to this node alone, or to the group, without an entry in the log, unless the client names a session and a
    /// number for it.
    async fn read(&self, how: Consistency, named: Option<Named>, op: Op, path: &str) -> Result<Answer, Problem> {
        let bytes = match how {
            Consistency::Stale => return self.look(op, path).await,
            Consistency::Linearizable | Consistency::Here if named.is_some() => {
                return self.execute(named, op, &ask::elsewhere(path)).await;
            }
            Consistency::Linearizable => self.handle.read(op.encode()).await.map_err(|error| self.problem(error, path)),
            Consistency::Here => {
                let answer = self.handle.read_here(op.encode()).await;
                answer.map_err(|error| self.problem(error, &ask::elsewhere(path)))
            }
        };
        Answer::decode(bytes?).ok_or(Problem::Internal)
    }

    /// An operation of the group: in the session that the client names, or in one of the pool's.
    async fn execute(&self, named: Option<Named>, op: Op, path: &str) -> Result<Answer, Problem> {
        let body = op.encode();
        let reply = match named {
            Some(Named { client, session, number }) => self.handle.request_in(client, session, number, body).await,
            None => self.pool.request(&self.handle, body).await,
        };
        let reply = reply.map_err(|error| self.problem(error, path))?;
        match Answer::decode(reply.result) {
            Some(Answer::Malformed) | None => Err(Problem::Internal),
            Some(answer) => Ok(answer),
        }
    }

    async fn body(&self, body: RequestBody) -> Result<Bytes, Problem> {
        body.bytes().await.map_err(|error| match error {
            BodyError::TooLarge => Problem::TooLarge(self.value_bytes_max),
            BodyError::Broken(_) | _ => Problem::BadRequest("the body did not come"),
        })
    }

    fn problem(&self, error: RequestError, path: &str) -> Problem {
        match error {
            RequestError::NotPrimary { primary, view } => {
                // One that does not hear its primary any more does not send others there.
                let status = self.handle.status();
                let primary = primary.filter(|id| *id != status.id && !status.wants_view_change);
                // Nor does one that is no member send anybody away but to one who is.
                match self.handle.elsewhere(primary) {
                    Some((primary, address)) => Problem::NotPrimary { primary, view, address, path: path.to_owned() },
                    None => Problem::NoPrimary,
                }
            }
            RequestError::Deposed { .. } | RequestError::Timeout => Problem::OutcomeUnknown,
            RequestError::Evicted => Problem::Evicted,
            RequestError::NoSpace => Problem::NoSpace,
            RequestError::TooLarge => Problem::TooLarge(self.value_bytes_max),
            RequestError::Malformed => Problem::BadRequest("the request contradicts itself"),
            RequestError::Halted => Problem::Stopped,
            RequestError::Busy | _ => Problem::Busy,
        }
    }
}

fn only(request: &Request<RequestBody>, allowed: &'static str, methods: &[Method]) -> Result<(), Problem> {
    if methods.contains(request.method()) { Ok(()) } else { Err(Problem::MethodNotAllowed(allowed)) }
}
