//! Tests of the transport over real sockets, and what they share. Each listens on free ports of its own; what
//! is waited for is a message, an answer or a counter, never a time.

mod between;
mod conformance;
mod measure;
mod parts;
mod refusals;
mod regrouped;
mod secured;
mod serving;

use super::*;
use crate::members::Book;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use vr_core::{
    Beat, Body, ClientId, ClusterConfig, ClusterId, Entries, Entry, Epoch, Hash, Header, Incarnation, Instance, Kind,
    Message, Op, Predicted, ReplicaId, Request, RequestNumber, Seq, Session, To, View,
};

/// How long any test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

const R0: ReplicaId = ReplicaId(0);
const R1: ReplicaId = ReplicaId(1);
const R2: ReplicaId = ReplicaId(2);

pub(super) fn cluster() -> ClusterConfig {
    ClusterConfig { max_message_bytes: 64 << 10, max_request_bytes: 1 << 10, ..ClusterConfig::of_size(ClusterId(7), 3) }
}

fn header(from: ReplicaId, seq: u64) -> Header {
    Header {
        config: cluster().digest(),
        epoch: Epoch::ZERO,
        view: View(3),
        from,
        instance: Instance(1 << 90),
        incarnation: Incarnation(2),
        seq: Seq(seq),
    }
}

/// A short message.
fn beat(from: ReplicaId, seq: u64) -> Message {
    Message::new(header(from, seq), Body::CommitOk { beat: Beat(seq) })
}

/// A message with so many entries of so many bytes.
fn prepare(from: ReplicaId, seq: u64, entries: u64, bytes: usize) -> Message {
    let mut all: Vec<Entry> = Vec::new();
    for number in 1..=entries {
        let request = Request {
            client: ClientId(1 << 100),
            session: Session(1),
            number: RequestNumber(number),
            kind: Kind::Operation,
            predicted: Predicted { wall_ns: 1 << 60, seed: number },
            body: Bytes::from(vec![b'x'; bytes]),
        };
        let parent = all.last().map_or(Hash(5), Entry::hash);
        all.push(Entry::new(Epoch::ZERO, View(3), Op(number), parent, request));
    }
    let entries = Entries::new(all).expect("a chain");
    Message::new(header(from, seq), Body::Prepare { entries, commit: Op(0), beat: Beat(1) })
}

/// What `me` knows of who is where.
pub(super) fn book(me: ReplicaId, peers: &[(ReplicaId, SocketAddr)]) -> Arc<Book> {
    let places = peers.iter().map(|(id, address)| (*id, *address, *address));
    Arc::new(Book::of(me, places, &cluster().group(), true))
}

/// A node's inbox.
struct Inbox(mpsc::Sender<Message>);

impl Deliver for Inbox {
    fn deliver(&self, messages: Vec<Message>) -> Result<(), Full> {
        let mut room = self.0.try_reserve_many(messages.len()).map_err(|_| Full)?;
        messages.into_iter().for_each(|message| room.next().expect("as many as reserved").send(message));
        Ok(())
    }
}

/// A replica that only listens.
struct Ear {
    address: SocketAddr,
    metrics: Metrics,
    inbox: mpsc::Receiver<Message>,
    server: server::Server,
}

impl Ear {
    async fn at(address: &str, me: ReplicaId, adjust: impl FnOnce(&mut PeerServerOptions)) -> Self {
        Self::with_inbox(address, me, 100_000, adjust).await
    }

    async fn with_inbox(
        address: &str,
        me: ReplicaId,
        capacity: usize,
        adjust: impl FnOnce(&mut PeerServerOptions),
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let (sender, inbox) = mpsc::channel(capacity);
        let transport = TransportConfig::default();
        let mut options = PeerServerOptions { cluster: cluster(), book: book(me, &[]), transport, tls: None };
        adjust(&mut options);
        let metrics = Metrics::default();
        let server = serve_peers(listener, options, &metrics, Arc::new(Inbox(sender))).expect("it listens");
        Self { address: server.local_addr(), metrics, inbox, server }
    }

    async fn of(me: ReplicaId) -> Self {
        Self::at("127.0.0.1:0", me, |_| ()).await
    }

    async fn hears(&mut self) -> Message {
        timely(self.inbox.recv()).await.expect("the listener is there")
    }
}

/// The ways of `me` to these peers.
fn mouth(me: ReplicaId, peers: &[(ReplicaId, SocketAddr)], adjust: impl FnOnce(&mut PeerOptions)) -> (Peers, Metrics) {
    let transport = TransportConfig { reconnect_max_ms: 20, ..TransportConfig::default() };
    let mut options = PeerOptions { cluster: cluster(), book: book(me, peers), transport, tls: None };
    adjust(&mut options);
    let metrics = Metrics::default();
    (Peers::start(options, &metrics), metrics)
}

async fn timely<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// Waits until a counter says so.
async fn until(mut is_so: impl FnMut() -> bool) {
    timely(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A request by hand: what the tests change is one line of it.
#[derive(Clone)]
struct ByHand {
    line: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl ByHand {
    fn from(from: ReplicaId, body: Vec<u8>) -> Self {
        let config = cluster().digest().0;
        let headers = vec![
            ("host", "x".to_owned()),
            ("vr-protocol", "1".to_owned()),
            ("vr-config", format!("{config:032x}")),
            ("vr-epoch", "0".to_owned()),
            ("vr-from", from.to_string()),
            ("content-type", "application/vnd.vr.bincode".to_owned()),
            ("content-length", body.len().to_string()),
        ];
        Self { line: "POST /vr/v1/messages HTTP/1.1", headers, body }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn head(&self) -> String {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("{}\r\n{}\r\n", self.line, headers.collect::<String>())
    }

    /// The status and the body of the answer.
    async fn ask(&self, address: SocketAddr) -> (u16, String) {
        let mut tcp = TcpStream::connect(address).await.expect("it listens");
        let _ = tcp.write_all(self.head().as_bytes()).await;
        let _ = tcp.write_all(&self.body).await;
        answer(&mut tcp).await
    }
}

/// The next answer on a connection: its status and its body.
async fn answer(tcp: &mut TcpStream) -> (u16, String) {
    let mut read = Vec::new();
    let head_bytes = loop {
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        assert_ne!(timely(tcp.read_buf(&mut read)).await.expect("an answer"), 0, "an answer, not the end");
    };
    let head = String::from_utf8(read[..head_bytes].to_vec()).expect("text").to_lowercase();
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
    let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
    while read.len() < head_bytes + length {
        assert_ne!(timely(tcp.read_buf(&mut read)).await.expect("an answer"), 0, "all of the answer");
    }
    (status, String::from_utf8(read[head_bytes..].to_vec()).expect("text"))
}

fn frames(messages: &[Message]) -> Vec<u8> {
    let mut body = Vec::new();
    messages.iter().for_each(|message| vr_core::wire::encode(message, &mut body));
    body
}
