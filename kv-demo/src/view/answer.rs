//! The answers of the service, each with the headers that keep a browser from doing more with it.
//!
//! Owns headers and errors. Must not know routes. VIEW.md §5.4 (4), (5).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use std::convert::Infallible;
use vr_tokio::AnswerBody;

/// What no answer but the page allows: anything.
const NO_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Problem {
    /// It is for another host.
    BadHost,
    /// Only these methods are.
    MethodNotAllowed(&'static str),
    /// Something that it must bring is missing.
    Forbidden(&'static str),
    /// Its body is not JSON, by what it says.
    NotJson,
    /// There is nothing there.
    NotFound,
    /// It makes no sense, and why.
    Bad(String),
    /// It failed, and why.
    Failed(String),
}

impl Problem {
    /// As an answer.
    pub(super) fn response(&self) -> Response<AnswerBody> {
        let (status, said) = match self {
            Self::BadHost => (StatusCode::BAD_REQUEST, "this service is not that host"),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method not allowed"),
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, *why),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not found"),
            Self::Bad(why) => (StatusCode::BAD_REQUEST, why.as_str()),
            Self::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.as_str()),
        };
        let mut response = json(format!("{}\n", serde_json::json!({ "error": said })));
        *response.status_mut() = status;
        if let Self::MethodNotAllowed(allow) = self {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// JSON.
pub(super) fn json(text: String) -> Response<AnswerBody> {
    whole("application/json", text)
}

/// A whole text.
pub(super) fn whole(kind: &'static str, text: String) -> Response<AnswerBody> {
    sealed(kind, Full::new(Bytes::from(text)).boxed_unsync())
}

/// One that comes in pieces.
pub(super) fn pieces(
    kind: &'static str,
    pieces: impl futures_util::Stream<Item = Bytes> + Send + 'static,
) -> Response<AnswerBody> {
    use futures_util::StreamExt;
    let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    sealed(kind, StreamBody::new(frames).boxed_unsync())
}

fn sealed(kind: &'static str, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    let all = [
        ("content-type", kind),
        ("cache-control", "no-store"),
        ("content-security-policy", NO_POLICY),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in all {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
