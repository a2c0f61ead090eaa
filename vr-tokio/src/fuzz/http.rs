//! Any bytes as what comes over a connection: to the listener for peers, to that for clients, back to who asked.
//!
//! Owns the translation and what is expected: no panic; a request of a peer is delivered or refused, never both, and
//! a refused one is counted by the reason that it is told; what is delivered is from the member it names. Must not know
//! sockets: bytes come in pieces, and end.

use super::script::Script;
use crate::client::{self, Ask, Refused, Requests, answer_of};
use crate::members::Book;
use crate::ops::cursor_of;
use crate::transport::server::{RequestBody, ServerOptions, admit, respond};
use crate::transport::{Answers, Codec, Deliver, Full, Inlet, Metrics, ReadBy, finish, prefix};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full as FullBody};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::runtime::{Builder, Runtime};
use vr_core::{
    Beat, Body, ClientId, ClusterConfig, ClusterId, Epoch, Header, Incarnation, Instance, Message, Op, ReplicaId,
    Reply, RequestNumber, Seq, Session, View, wire,
};

const ME: ReplicaId = ReplicaId(0);
const PEER: ReplicaId = ReplicaId(1);
const BODY_BYTES_MOST: u64 = 2 << 10;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime without drivers");
}

/// Gives what `data` describes to one of the ends of a connection.
///
/// # Panics
/// When that end does: that is what a fuzzer looks for.
pub fn http(data: &[u8]) {
    let mut script = Script(data);
    let (kind, piece) = (script.byte() % 6, usize::from(script.byte()) + 1);
    match kind {
        0 => peers(script.0, piece),
        1 | 2 => peers(&made(&mut script), 4096),
        3 => clients(script.0, piece),
        4 => answers_of_a_peer(&mut script),
        _ => answer_to_a_client(&mut script),
    }
}

fn cluster() -> ClusterConfig {
    ClusterConfig { max_message_bytes: 64 << 10, max_request_bytes: 1 << 10, ..ClusterConfig::of_size(ClusterId(7), 3) }
}

/// A connection: what comes in, in pieces, and what went out.
struct Wire<'a> {
    rest: &'a [u8],
    piece: usize,
    out: &'a mut Vec<u8>,
}

impl Read for Wire<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let (now, later) = self.rest.split_at(self.piece.min(into.remaining()).min(self.rest.len()));
        into.put_slice(now);
        self.rest = later;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Serves a connection on which these bytes come, and then nothing more; gives what was answered.
fn serve<F>(input: &[u8], piece: usize, answer: impl Fn(Request<RequestBody>) -> F) -> Vec<u8>
where
    F: Future<Output = Response<FullBody<Bytes>>>,
{
    let options = ServerOptions { max_body_bytes: BODY_BYTES_MOST, ..ServerOptions::default() };
    let read_by = ReadBy::whenever();
    let mut out = Vec::new();
    let wire = Wire { rest: input, piece, out: &mut out };
    let service = service_fn(|request| {
        let admitted = admit(request, &options, &read_by);
        let answer = admitted.map(|request| async { Ok::<_, Infallible>(answer(request).await) });
        respond(answer, options.idle_timeout, read_by.clone())
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.max_buf_size(8192);
    // What breaks it is for a log: nothing is expected of the outcome.
    let _ = RUNTIME.with(|runtime| runtime.block_on(http.serve_connection(wire, service)));
    out
}

/// A node that remembers what it was given.
struct Node {
    taken: Mutex<Vec<Message>>,
}

impl Deliver for Node {
    fn deliver(&self, messages: Vec<Message>) -> Result<(), Full> {
        if messages.len() > 8 {
            return Err(Full);
        }
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).extend(messages);
        Ok(())
    }
}

impl Node {
    fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn peers(input: &[u8], piece: usize) {
    let node = Arc::new(Node { taken: Mutex::default() });
    let metrics = Metrics::default();
    let deliver: Arc<dyn Deliver> = node.clone();
    let inlet = Inlet::new(&cluster(), Arc::new(Book::blank(ME, &cluster())), &metrics, deliver);
    let limits = wire::Limits::of(&cluster());
    let told = RefCell::new(Vec::new());
    let out = serve(input, piece, |request| async {
        let response = inlet.answer(None, request).await;
        let taken = node.take();
        for message in &taken {
            let from = message.header.from;
            assert!(from != ME, "nobody else is this replica");
            let mut bytes = Vec::new();
            wire::encode(message, &mut bytes);
            assert_eq!(wire::decode_within(&Bytes::from(bytes), &limits).as_ref(), Ok(message), "it can be passed on");
        }
        let (head, body) = response.into_parts();
        let said = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        if head.status != StatusCode::NO_CONTENT {
            assert!(taken.is_empty(), "{}: and yet it was delivered", head.status);
            let reason = reason_in(&said).unwrap_or_else(|| panic!("{}: without a reason", head.status));
            told.borrow_mut().push(reason);
            let times = told.borrow().iter().filter(|known| **known == reason).count();
            assert_eq!(usize::try_from(metrics.refused(reason)), Ok(times), "{reason} is counted");
        }
        Response::from_parts(head, FullBody::from(said))
    });
    are_answers(&out);
}

/// The reasons that a peer is told.
const REASONS: [&str; 13] = [
    "route",
    "method",
    "head",
    "version",
    "cluster",
    "epoch",
    "not_a_member",
    "content_type",
    "too_large",
    "broken",
    "undecodable",
    "forged",
    "inbox_full",
];

fn reason_in(body: &[u8]) -> Option<&'static str> {
    let text = str::from_utf8(body).ok()?;
    let told = text.strip_prefix("{\"error\":\"")?.strip_suffix("\"}\n")?;
    REASONS.into_iter().find(|known| *known == told)
}

/// A request as a peer makes it, but for what the script says.
fn made(script: &mut Script<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    for _ in 0..=script.below(3) {
        let codec = if script.byte().is_multiple_of(2) { Codec::Bincode } else { Codec::Json };
        let mut body = body_of(codec, script);
        for _ in 0..script.below(4) {
            let at = script.place(body.len());
            if let Some(byte) = body.get_mut(at) {
                *byte = script.byte();
            }
        }
        let length = script.below(64);
        body.extend_from_slice(script.bytes(length.saturating_sub(32)));
        let from = if script.byte() % 8 == 7 { ReplicaId(u16::from(script.byte())) } else { PEER };
        let epoch = Epoch(u64::from(script.byte() == 255));
        let mut head = prefix("h", cluster().digest(), epoch, from, codec);
        finish(&mut head, body.len());
        let mut request = head.into_bytes();
        for _ in 0..script.below(3) {
            let at = script.place(request.len());
            request[at] = script.byte();
        }
        all.extend_from_slice(&request);
        all.extend_from_slice(&body);
    }
    all
}

fn body_of(codec: Codec, script: &mut Script<'_>) -> Vec<u8> {
    let [open, between, close] = codec.punctuation();
    let mut body = open.to_vec();
    let mut scratch = Vec::new();
    for number in 0..script.below(12) {
        let from = if script.byte() == 255 { ReplicaId(2) } else { PEER };
        let seq = Seq(script.number());
        let header = Header {
            config: cluster().digest(),
            epoch: Epoch::ZERO,
            view: View(script.number()),
            from,
            instance: Instance(1 << 90),
            incarnation: Incarnation(2),
            seq,
        };
        let message = Message::new(header, Body::CommitOk { beat: Beat(script.number()) });
        body.extend_from_slice(if number == 0 { b"" } else { between });
        body.extend_from_slice(&codec.encode(&message, &mut scratch));
    }
    body.extend_from_slice(close);
    body
}

/// A node that answers everything at once, in a way that its question chooses.
struct Echo;

impl Requests for Echo {
    async fn request(&self, ask: Ask) -> Result<Reply, Refused> {
        assert!(ask.body.len() <= self.max_request_bytes(), "a body of {} bytes was let in", ask.body.len());
        let Ask { client, session, number, body } = ask;
        match number.0 {
            5 => Err(Refused::NotPrimary { primary: Some((ReplicaId(1), "127.0.0.1:1".to_owned())), view: View(3) }),
            6 => Err(Refused::Busy),
            7 => Err(Refused::Deposed { view: View(3) }),
            _ => Ok(Reply { client, session, number, op: Op(9), view: View(3), result: body, duplicate: false }),
        }
    }
    async fn read(&self, query: Bytes) -> Result<Bytes, Refused> {
        assert!(query.len() <= self.max_request_bytes(), "a body of {} bytes was let in", query.len());
        if query.first() == Some(&b'5') { Err(Refused::Busy) } else { Ok(query) }
    }
    fn max_request_bytes(&self) -> usize {
        1 << 10
    }
}

fn clients(input: &[u8], piece: usize) {
    let out = serve(input, piece, |request| async {
        let _ = cursor_of(request.uri().query());
        client::answer(&Echo, request).await
    });
    are_answers(&out);
}

/// What a server writes, its peers can read.
fn are_answers(out: &[u8]) {
    let mut answers = Answers::default();
    answers.read.extend_from_slice(out);
    while let Some(answer) = answers.next().expect("a server answers in HTTP/1.1") {
        assert!((100..600).contains(&answer.status), "status {}", answer.status);
    }
}

fn answers_of_a_peer(script: &mut Script<'_>) {
    let (mut answers, mut whole) = (Answers::default(), Answers::default());
    let mut piecemeal = Vec::new();
    let all = script.0;
    while !script.is_empty() {
        let length = 1 + all.len() % 7;
        answers.read.extend_from_slice(script.bytes(length));
        loop {
            match answers.next() {
                Ok(Some(answer)) => piecemeal.push(answer.status),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    whole.read.extend_from_slice(all);
    let at_once = std::iter::from_fn(|| whole.next().ok().flatten());
    assert!(at_once.map(|answer| answer.status).eq(piecemeal), "however they are cut, answers are the same");
}

fn answer_to_a_client(script: &mut Script<'_>) {
    let number = RequestNumber(u64::from(script.byte() % 2));
    let ask = Ask { client: ClientId(5), session: Session(number.0), number, body: Bytes::new() };
    let known = [200, 307, 503, 507, 504, 410, 413, 400, 204, 999];
    let status = StatusCode::from_u16(known[script.below(known.len())]).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for name in ["vr-session", "vr-op", "vr-view", "vr-duplicate", "location"] {
        let length = script.below(24);
        if let Ok(value) = HeaderValue::from_bytes(script.bytes(length)) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let _ = answer_of(&ask, status, &headers, Bytes::copy_from_slice(script.0));
}
