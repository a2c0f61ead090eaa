//! The HTTP form of a client's request and its answer, written and read in one place.
//!
//! Owns route, headers, statuses and error codes:
//!
//! `POST /vr/v1/request`, the operation as the body, `VR-Client` (up to 32 hex digits), `VR-Request` (its number;
//! 0 opens a session and has no body), `VR-Session` (but for number 0). Answered with 200, the service's answer as
//! the body, and `VR-Session`, `VR-Op`, `VR-View`, `VR-Duplicate`; or with an error, `{"error": "<code>", …}`:
//!
//! | status | code | meaning |
//! |---|---|---|
//! | 307 | `not_primary` | `Location` is the primary's, `primary` its id, `view` which view |
//! | 503 | `no_primary` | not the primary, and does not know who is |
//! | 503 | `deposed` | no longer the primary: the outcome is unknown |
//! | 503 | `busy` | too much is waiting; `Retry-After` |
//! | 507 | `no_space` | the disk is full; nothing was done |
//! | 503 | `halted` | this replica has stopped for good |
//! | 504 | `timeout` | no answer in time: the outcome is unknown |
//! | 410 | `evicted` | the session is gone: the outcome is unknown |
//! | 413 | `too_large` | longer than the cluster allows |
//! | 400 | `malformed` | headers or body make no sense |
//!
//! `POST /vr/v1/read`, the question as the body: answered with 200 and the service's answer as the body, from the primary's
//! state, linearizable, without an entry in the log; or with an error as above, of which none says anything about an
//! effect, as there is none. With `VR-Read: here` a backup answers, too, from its own state and as linearizable, once its
//! primary has said what the answer must reflect; it says `not_primary` when it cannot.
//!
//! Whatever is answered, `VR-Epoch` says of which epoch the replica is, unless it is the first: who finds a later one than it
//! knew asks `GET /vr/v1/members` for the members (VRR §7).
//!
//! Must not know connections, nor who the primary is.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Deserialize;
use std::net::SocketAddr;
use vr_core::{ClientId, Epoch, Op, ReplicaId, Reply, RequestNumber, Session, View};

/// Where clients' requests go.
pub const ROUTE: &str = "/vr/v1/request";
/// Where clients' reads go.
pub const READ_ROUTE: &str = "/vr/v1/read";
/// Where the members of the group are told.
pub const MEMBERS_ROUTE: &str = "/vr/v1/members";

const CLIENT: HeaderName = HeaderName::from_static("vr-client");
const SESSION: HeaderName = HeaderName::from_static("vr-session");
const REQUEST: HeaderName = HeaderName::from_static("vr-request");
const OP: HeaderName = HeaderName::from_static("vr-op");
const VIEW: HeaderName = HeaderName::from_static("vr-view");
const DUPLICATE: HeaderName = HeaderName::from_static("vr-duplicate");
const READ: HeaderName = HeaderName::from_static("vr-read");
const EPOCH: HeaderName = HeaderName::from_static("vr-epoch");

/// A client's request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Who asks.
    pub client: ClientId,
    /// In which session; [`Session::ZERO`] to open one.
    pub session: Session,
    /// Which request; [`RequestNumber::ZERO`] opens a session.
    pub number: RequestNumber,
    /// The operation.
    pub body: Bytes,
}

/// Why a request was not answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Only the primary takes requests.
    NotPrimary {
        /// Who may be it, and the address of its listener for clients, `host:port`.
        primary: Option<(ReplicaId, String)>,
        /// Of which view.
        view: View,
    },
    /// This replica was the primary when it took the request, and is no longer: the outcome is unknown. Whoever is
    /// primary now answers the same number.
    Deposed {
        /// The view that ended.
        view: View,
    },
    /// Too much is waiting: try again later.
    Busy,
    /// The disk is full; nothing was done.
    NoSpace,
    /// This replica has stopped for good.
    Halted,
    /// No answer in time: the outcome is unknown.
    Timeout,
    /// The session is gone: the outcome is unknown.
    Evicted,
    /// The body exceeds the configured limit.
    TooLarge,
    /// The request contradicts itself.
    Malformed,
}

impl Refused {
    const fn status(&self) -> StatusCode {
        match self {
            Self::NotPrimary { primary: Some(_), .. } => StatusCode::TEMPORARY_REDIRECT,
            Self::NotPrimary { primary: None, .. } | Self::Deposed { .. } | Self::Busy | Self::Halted => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Evicted => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed => StatusCode::BAD_REQUEST,
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::NotPrimary { primary: Some(_), .. } => "not_primary",
            Self::NotPrimary { primary: None, .. } => "no_primary",
            Self::Deposed { .. } => "deposed",
            Self::Busy => "busy",
            Self::NoSpace => "no_space",
            Self::Halted => "halted",
            Self::Timeout => "timeout",
            Self::Evicted => "evicted",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
        }
    }
}

/// The headers of a request.
pub(super) fn headers_of(ask: &Ask) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(6);
    let client = ask.client.0;
    headers.insert(CLIENT, HeaderValue::try_from(format!("{client:032x}")).expect("hex digits"));
    headers.insert(REQUEST, HeaderValue::from(ask.number.0));
    if ask.number != RequestNumber::ZERO {
        headers.insert(SESSION, HeaderValue::from(ask.session.0));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers
}

/// The request that headers and a body make.
pub(super) fn ask_of(headers: &HeaderMap, body: Bytes) -> Result<Ask, Refused> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Refused::Malformed);
    let digits = text(&CLIENT)?;
    let client = u128::from_str_radix(digits, 16).map_err(|_| Refused::Malformed)?;
    let number = text(&REQUEST)?.parse().map_err(|_| Refused::Malformed)?;
    let session =
        if headers.contains_key(&SESSION) { text(&SESSION)?.parse().map_err(|_| Refused::Malformed)? } else { 0 };
    let opens = number == 0;
    if opens != (session == 0) || (opens && !body.is_empty()) {
        return Err(Refused::Malformed);
    }
    Ok(Ask { client: ClientId(client), session: Session(session), number: RequestNumber(number), body })
}

/// The headers of a read that a backup may answer.
pub(super) fn headers_of_read_here() -> HeaderMap {
    HeaderMap::from_iter([(READ, HeaderValue::from_static("here"))])
}

/// May a backup answer the read with these headers?
pub(super) fn is_here(headers: &HeaderMap) -> Result<bool, Refused> {
    match headers.get(&READ).map(HeaderValue::as_bytes) {
        None => Ok(false),
        Some(b"here") => Ok(true),
        Some(_) => Err(Refused::Malformed),
    }
}

/// The answer to a request as a response. `scheme` is what the addresses of other replicas are reached by.
pub(super) fn response_of(answer: Result<Reply, Refused>, scheme: &str) -> Response<Full<Bytes>> {
    answer.map_or_else(|refused| response_of_refusal(&refused, scheme, ROUTE), response_of_reply)
}

/// The answer to a read as a response.
pub(super) fn response_of_read(answer: Result<Bytes, Refused>, scheme: &str) -> Response<Full<Bytes>> {
    let octets = HeaderValue::from_static("application/octet-stream");
    let answered = |bytes| {
        let mut response = Response::new(Full::new(bytes));
        response.headers_mut().insert(header::CONTENT_TYPE, octets);
        response
    };
    answer.map_or_else(|refused| response_of_refusal(&refused, scheme, READ_ROUTE), answered)
}

fn response_of_refusal(refused: &Refused, scheme: &str, route: &str) -> Response<Full<Bytes>> {
    let code = refused.code();
    let mut body = serde_json::json!({ "error": code });
    let mut response = Response::new(Full::default());
    *response.status_mut() = refused.status();
    let headers = response.headers_mut();
    if let Refused::Deposed { view } = refused {
        body["view"] = view.0.into();
    }
    if let Refused::NotPrimary { primary, view } = refused {
        body["view"] = view.0.into();
        body["primary"] = primary.as_ref().map(|(id, _)| id.0).into();
        let location = primary.as_ref().map(|(_, address)| format!("{scheme}://{address}{route}"));
        if let Some(location) = location.and_then(|location| HeaderValue::try_from(location).ok()) {
            headers.insert(header::LOCATION, location);
        }
    }
    if refused.status() == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Full::from(format!("{body}\n"));
    response
}

fn response_of_reply(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.result));
    let headers = response.headers_mut();
    headers.insert(SESSION, HeaderValue::from(reply.session.0));
    headers.insert(OP, HeaderValue::from(reply.op.0));
    headers.insert(VIEW, HeaderValue::from(reply.view.0));
    headers.insert(DUPLICATE, HeaderValue::from_static(if reply.duplicate { "true" } else { "false" }));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

/// What a response says to the one who asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Reply(Reply),
    Refused(Refused),
    /// Something that no replica says.
    Nonsense(StatusCode),
}

/// The parts of an error's body that are read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    error: String,
    primary: Option<u16>,
    view: u64,
}

/// What a response says.
pub(crate) fn answer_of(ask: &Ask, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Answer {
    let number = |name: &HeaderName| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    if status == StatusCode::OK {
        let (Some(session), Some(op), Some(view)) = (number(&SESSION), number(&OP), number(&VIEW)) else {
            return Answer::Nonsense(status);
        };
        if ask.number != RequestNumber::ZERO && Session(session) != ask.session {
            return Answer::Nonsense(status);
        }
        let duplicate = headers.get(&DUPLICATE).is_some_and(|value| value.as_bytes() == b"true");
        let (client, number, session) = (ask.client, ask.number, Session(session));
        return Answer::Reply(Reply { client, session, number, op: Op(op), view: View(view), result: body, duplicate });
    }
    refusal_of(status, headers, &body)
}

/// What a response to a read says.
pub(super) fn read_of(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Answer> {
    if status == StatusCode::OK { Ok(body) } else { Err(refusal_of(status, headers, &body)) }
}

fn refusal_of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    let said: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let view = View(said.view);
    let refused = match (status.as_u16(), said.error.as_str()) {
        (307, _) => {
            let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
            let primary = location.and_then(address_of).map(|at| (ReplicaId(said.primary.unwrap_or(0)), at));
            Refused::NotPrimary { primary, view }
        }
        (_, "no_primary") => Refused::NotPrimary { primary: None, view },
        (_, "deposed") => Refused::Deposed { view },
        (507, _) => Refused::NoSpace,
        (_, "halted") => Refused::Halted,
        (503, _) => Refused::Busy,
        (504, _) => Refused::Timeout,
        (410, _) => Refused::Evicted,
        (413, _) => Refused::TooLarge,
        (400, _) => Refused::Malformed,
        _ => return Answer::Nonsense(status),
    };
    Answer::Refused(refused)
}

/// Says of which epoch the replica is that answers. Nothing is said of the first, so that who never changes the group sees none.
pub(crate) fn mark(headers: &mut HeaderMap, epoch: Epoch) {
    if epoch != Epoch::ZERO {
        headers.insert(EPOCH, HeaderValue::from(epoch.0));
    }
}

/// Of which epoch the replica was that answered.
pub(super) fn epoch_in(headers: &HeaderMap) -> Epoch {
    let said = headers.get(EPOCH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    Epoch(said.unwrap_or(0))
}

/// The parts of `GET /vr/v1/members` that a client reads.
#[derive(Deserialize)]
pub(super) struct GroupBody {
    pub(super) epoch: u64,
    members: Vec<MemberBody>,
}

#[derive(Deserialize)]
struct MemberBody {
    client: Option<SocketAddr>,
}

impl GroupBody {
    /// The addresses of the members, if all of them are known.
    pub(super) fn addresses(&self) -> Option<Vec<String>> {
        self.members.iter().map(|member| member.client.map(|client| client.to_string())).collect()
    }
}

/// The `host:port` of a URL, or of an address that is nothing else.
pub(super) fn address_of(url: &str) -> Option<String> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme)).unwrap_or(url);
    let authority = rest.split('/').next()?;
    let (host, port) = authority.rsplit_once(':')?;
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/@?#\\".contains(&byte));
    (is_host && port.parse::<u16>().is_ok()).then(|| authority.to_owned())
}
