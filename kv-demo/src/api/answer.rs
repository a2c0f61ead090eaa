//! What a client is told: answers and refusals as JSON.
//!
//! Owns status codes, codes of errors and headers. Must not know how an answer came about.

use super::{Answer, AnswerBody, ClientId, Revision, Session};
use crate::op::{Expiry, Found};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde::Serialize;
use std::borrow::Cow;
use std::net::SocketAddr;
use vr_tokio::{ReplicaId, View};

/// An answer, before it is one of HTTP.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    body: Bytes,
    etag: Option<Revision>,
    location: Option<String>,
    retry_after: bool,
    allow: Option<&'static str>,
}

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// Another replica is the primary: ask there.
    NotPrimary {
        /// Who.
        primary: ReplicaId,
        /// Of which view.
        view: View,
        /// Where it serves clients.
        address: SocketAddr,
        /// What was asked for.
        path: String,
    },
    /// There is no primary, as far as this replica knows.
    NoPrimary,
    /// Too much is waiting.
    Busy,
    /// The disk is full.
    NoSpace,
    /// The node is stopping.
    Stopped,
    /// No answer came: it may have taken effect, or may still.
    OutcomeUnknown,
    /// The session is gone.
    Evicted,
    /// The key is not there.
    NotFound,
    /// The condition does not hold.
    PreconditionFailed(Revision),
    /// The value is longer than so many bytes.
    TooLarge(usize),
    /// The request is not understood.
    BadRequest(&'static str),
    /// The body is no JSON of the right form.
    BadJson(String),
    /// The route has other methods.
    MethodNotAllowed(&'static str),
    /// The store answered what it never should.
    Internal,
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'static str,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

impl Problem {
    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::BadJson(error.to_string())
    }

    const fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotPrimary { .. } => (StatusCode::TEMPORARY_REDIRECT, "not_primary"),
            Self::NoPrimary => (StatusCode::SERVICE_UNAVAILABLE, "no_primary"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::NoSpace => (StatusCode::INSUFFICIENT_STORAGE, "no_space"),
            Self::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
            Self::OutcomeUnknown => (StatusCode::GATEWAY_TIMEOUT, "outcome_unknown"),
            Self::Evicted => (StatusCode::GONE, "evicted"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::PreconditionFailed(_) => (StatusCode::PRECONDITION_FAILED, "precondition_failed"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::BadJson(_) => (StatusCode::BAD_REQUEST, "bad_json"),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    fn message(&self) -> Cow<'_, str> {
        match self {
            Self::NotPrimary { primary, view, .. } => {
                format!("replica {primary} is the primary of view {view}: ask there").into()
            }
            Self::NoPrimary => "there is no primary now: ask again".into(),
            Self::Busy => "too much is waiting: ask again".into(),
            Self::NoSpace => "the primary's disk is full".into(),
            Self::Stopped => "this node is stopping".into(),
            Self::OutcomeUnknown => "no answer came: it may have taken effect, or may still. With VR-Client, \
                                     VR-Session and VR-Request it can be asked for again, and takes effect once"
                .into(),
            Self::Evicted => "the session is gone, and the outcome of its last request unknown: open another".into(),
            Self::NotFound => "there is no such key".into(),
            Self::PreconditionFailed(_) => "the condition does not hold: nothing changed".into(),
            Self::TooLarge(most) => format!("a value has at most {most} bytes").into(),
            Self::BadRequest(why) => (*why).into(),
            Self::BadJson(why) => format!("the body is not what it should be: {why}").into(),
            Self::MethodNotAllowed(allowed) => format!("this route has {allowed}").into(),
            Self::Internal => "the store gave an answer that it never should".into(),
        }
    }

    pub(super) fn reply(self, scheme: &str) -> Reply {
        let (status, error) = self.code();
        let mut refusal = Refusal { error, message: self.message(), primary: None, view: None, revision: None };
        if let Self::NotPrimary { primary, view, .. } = &self {
            (refusal.primary, refusal.view) = (Some(primary.0), Some(view.0));
        } else if let Self::PreconditionFailed(revision) = &self {
            refusal.revision = Some(revision.0);
        }
        let mut reply = Reply::json(status, &refusal);
        reply.retry_after = matches!(self, Self::NoPrimary | Self::Busy | Self::NoSpace | Self::Stopped);
        if let Self::NotPrimary { address, path, .. } = self {
            reply.location = Some(format!("{scheme}://{address}{path}"));
        } else if let Self::MethodNotAllowed(allowed) = self {
            reply.allow = Some(allowed);
        }
        reply
    }
}

#[derive(Serialize)]
struct Object<'a> {
    key: Cow<'a, str>,
    value: Cow<'a, str>,
    revision: u64,
    /// Milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_ms: Option<u64>,
}

#[derive(Serialize)]
struct Written<'a> {
    key: Cow<'a, str>,
    revision: u64,
    created: bool,
}

#[derive(Serialize)]
struct Listing<'a> {
    objects: Vec<Object<'a>>,
    more: bool,
}

/// One answer of a batch.
#[derive(Serialize)]
#[serde(untagged)]
enum Single<'a> {
    Value {
        status: u16,
        value: Cow<'a, str>,
        revision: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
    },
    Written {
        status: u16,
        revision: u64,
        created: bool,
    },
    Deleted {
        status: u16,
        deleted: bool,
    },
    Refused {
        status: u16,
        error: &'static str,
        revision: Option<u64>,
    },
}

impl Reply {
    fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let mut bytes = serde_json::to_vec(body).unwrap_or_default();
        bytes.push(b'\n');
        let body = Bytes::from(bytes);
        Self { status, body, etag: None, location: None, retry_after: false, allow: None }
    }

    pub(super) fn document(text: &'static str) -> Self {
        Self { body: Bytes::from_static(text.as_bytes()), ..Self::json(StatusCode::OK, &()) }
    }

    pub(super) fn session(client: ClientId, session: Session) -> Self {
        let client = client.0;
        let said = serde_json::json!({"client": format!("{client:032x}"), "session": session.0});
        Self::json(StatusCode::CREATED, &said)
    }

    pub(super) fn got(key: &Bytes, answer: Answer) -> Result<Self, Problem> {
        let Answer::Value(value, revision, expiry) = answer else { return Err(unexpected(answer)) };
        let expires_ms = expiry.map(Expiry::ms);
        let object = Object { key: text(key), value: text(&value), revision: revision.0, expires_ms };
        Ok(Self { etag: Some(revision), ..Self::json(StatusCode::OK, &object) })
    }

    pub(super) fn put(key: &Bytes, answer: Answer) -> Result<Self, Problem> {
        let Answer::Written { revision, before } = answer else { return Err(unexpected(answer)) };
        let written = Written { key: text(key), revision: revision.0, created: before.0 == 0 };
        Ok(Self { etag: Some(revision), ..Self::json(StatusCode::OK, &written) })
    }

    pub(super) fn deleted(key: &Bytes, answer: Answer) -> Result<Self, Problem> {
        let Answer::Deleted(_) = answer else { return Err(unexpected(answer)) };
        Ok(Self::json(StatusCode::OK, &serde_json::json!({"key": text(key), "deleted": true})))
    }

    pub(super) fn listed(answer: Answer) -> Result<Self, Problem> {
        let Answer::Listed(found, more) = answer else { return Err(unexpected(answer)) };
        let object = |Found { key, value, revision }: &Found| Object {
            key: text(key).into_owned().into(),
            value: text(value).into_owned().into(),
            revision: revision.0,
            expires_ms: None,
        };
        Ok(Self::json(StatusCode::OK, &Listing { objects: found.iter().map(object).collect(), more }))
    }

    pub(super) fn batch(answer: Answer) -> Result<Self, Problem> {
        let Answer::Batch(answers) = answer else { return Err(unexpected(answer)) };
        let results: Vec<_> = answers.iter().map(single).collect();
        Ok(Self::json(StatusCode::OK, &serde_json::json!({ "results": results })))
    }

    /// As HTTP has it.
    pub(super) fn response(self) -> Response<AnswerBody> {
        let mut response = Response::new(Full::new(self.body).boxed_unsync());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut add = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if let Some(Revision(revision)) = self.etag {
            add(header::ETAG, &format!("\"{revision}\""));
        }
        if let Some(location) = &self.location {
            add(header::LOCATION, location);
        }
        if self.retry_after {
            add(header::RETRY_AFTER, "1");
        }
        if let Some(allow) = self.allow {
            add(header::ALLOW, allow);
        }
        response
    }
}

fn text(bytes: &Bytes) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn unexpected(answer: Answer) -> Problem {
    match answer {
        Answer::Missing => Problem::NotFound,
        Answer::Conflict(revision) => Problem::PreconditionFailed(revision),
        Answer::Value(..)
        | Answer::Written { .. }
        | Answer::Deleted(_)
        | Answer::Listed(..)
        | Answer::Batch(_)
        | Answer::Due(_)
        | Answer::Malformed => Problem::Internal,
    }
}

fn single(answer: &Answer) -> Single<'_> {
    match answer {
        Answer::Value(value, revision, expiry) => {
            let expires_ms = expiry.map(Expiry::ms);
            Single::Value { status: 200, value: text(value), revision: revision.0, expires_ms }
        }
        Answer::Written { revision, before } => {
            Single::Written { status: 200, revision: revision.0, created: before.0 == 0 }
        }
        Answer::Deleted(_) => Single::Deleted { status: 200, deleted: true },
        Answer::Missing => Single::Refused { status: 404, error: "not_found", revision: None },
        Answer::Conflict(revision) => {
            Single::Refused { status: 412, error: "precondition_failed", revision: Some(revision.0) }
        }
        Answer::Listed(..) | Answer::Batch(_) | Answer::Due(_) | Answer::Malformed => {
            Single::Refused { status: 500, error: "internal", revision: None }
        }
    }
}
