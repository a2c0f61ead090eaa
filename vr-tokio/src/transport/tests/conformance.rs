//! The transport of this crate against vr-sim's kit: real sockets, and a proxy between them that makes the trouble.
//!
//! Owns the proxy, which passes whole requests. Must not know what the kit tries.

use super::*;
use crate::members::Book;
use std::sync::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use vr_sim::conformance::transport::{self as kit, RECEIVER, SENDER, Transport, Trouble, try_all};

const QUEUE_BYTES: usize = 128 << 10;

/// A node's inbox that may forget.
#[derive(Clone, Default)]
struct Forgetful {
    arrived: Arc<Mutex<Vec<Message>>>,
    /// Every seventh message is not given on: a transport that is broken.
    forgets: bool,
}

impl Deliver for Forgetful {
    fn deliver(&self, messages: Vec<Message>) -> Result<(), Full> {
        let kept = messages.into_iter().filter(|message| !(self.forgets && message.header.seq.0.is_multiple_of(7)));
        self.arrived.lock().expect("whole").extend(kept);
        Ok(())
    }
}

/// Both ends, and the proxy.
struct Real {
    runtime: Runtime,
    inbox: Forgetful,
    trouble: watch::Sender<Trouble>,
    running: Option<(Peers, Metrics, server::Server)>,
}

impl Real {
    fn new(forgets: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let inbox = Forgetful { forgets, ..Forgetful::default() };
        Self { runtime: runtime.expect("threads"), inbox, trouble: watch::channel(Trouble::None).0, running: None }
    }
}

impl Transport for Real {
    fn begin(&mut self) -> Result<(), String> {
        let _in = self.runtime.enter();
        self.running = None;
        // What is still on its way belongs to what was before.
        self.inbox = Forgetful { forgets: self.inbox.forgets, ..Forgetful::default() };
        self.trouble = watch::channel(Trouble::None).0;
        let bind = || self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).map_err(|error| error.to_string());
        let (listener, between) = (bind()?, bind()?);
        let cluster = kit::cluster();
        let transport = TransportConfig {
            queue_bytes: QUEUE_BYTES,
            queue_messages: 4096,
            answer_timeout_ms: 100,
            write_timeout_ms: 200,
            reconnect_max_ms: 20,
            ..TransportConfig::default()
        };
        let places = |to: SocketAddr| [(RECEIVER, to, to)];
        let book = Arc::new(Book::blank(RECEIVER, &cluster));
        let options = PeerServerOptions { cluster: cluster.clone(), book, transport: transport.clone(), tls: None };
        let server = serve_peers(listener, options, &Metrics::default(), Arc::new(self.inbox.clone()));
        let server = server.map_err(|error| error.to_string())?;
        let places = places(between.local_addr().map_err(|error| error.to_string())?);
        let book = Arc::new(Book::of(SENDER, places, &cluster.group(), true));
        self.runtime.spawn(proxy(between, server.local_addr(), self.trouble.subscribe()));
        let metrics = Metrics::default();
        let peers = Peers::start(PeerOptions { cluster, book, transport, tls: None }, &metrics);
        self.running = Some((peers, metrics, server));
        Ok(())
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.trouble.send_replace(trouble);
    }

    fn send(&mut self, message: &Message) {
        self.running.as_ref().expect("it began").0.send(To::One(RECEIVER), message);
    }

    fn received(&mut self) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            std::thread::sleep(Duration::from_millis(10));
            let more = std::mem::take(&mut *self.inbox.arrived.lock().expect("whole"));
            let is_quiet = more.is_empty();
            all.extend(more);
            if is_quiet {
                return all;
            }
        }
    }

    fn waiting(&mut self) -> (u64, u64) {
        let (_, metrics, _) = self.running.as_ref().expect("it began");
        let wide = |bytes: usize| u64::try_from(bytes).expect("not that many");
        (u64::try_from(metrics.link(RECEIVER).queued_bytes.get()).unwrap_or(0), wide(QUEUE_BYTES))
    }

    fn inject(&mut self, frame: &[u8]) {
        let (_, _, server) = self.running.as_ref().expect("it began");
        let mut request = prefix("x", kit::cluster().digest(), Epoch::ZERO, SENDER, Codec::Bincode);
        finish(&mut request, frame.len());
        let request = [request.as_bytes(), frame].concat();
        let _ = self.runtime.block_on(pass(server.local_addr(), &request));
    }
}

/// Passes requests on, each over a connection of its own.
async fn proxy(listener: TcpListener, to: SocketAddr, trouble: watch::Receiver<Trouble>) {
    while let Ok((tcp, _)) = listener.accept().await {
        tokio::spawn(converse(tcp, to, trouble.clone()));
    }
}

async fn converse(mut tcp: TcpStream, to: SocketAddr, mut trouble: watch::Receiver<Trouble>) -> Option<()> {
    let (mut read, mut late) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let request = request(&mut tcp, &mut read).await?;
        let now = *trouble.wait_for(|trouble| *trouble != Trouble::Slow).await.ok()?;
        let answer = match (now, late.take()) {
            (Trouble::HalfOpen, _) => {
                // Nothing is heard of this connection any more.
                while tcp.read_buf(&mut read).await.ok()? > 0 {
                    read.clear();
                }
                return None;
            }
            (Trouble::Duplicate, _) => {
                pass(to, &request).await?;
                pass(to, &request).await?
            }
            (Trouble::Reorder, None) => {
                late = Some(request);
                b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()
            }
            (_, Some(late)) => {
                let answer = pass(to, &request).await?;
                pass(to, &late).await?;
                answer
            }
            (_, None) => pass(to, &request).await?,
        };
        tcp.write_all(&answer).await.ok()?;
    }
}

/// The next whole request.
async fn request(tcp: &mut TcpStream, read: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        let head = read.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = str::from_utf8(&read[..head]).ok()?;
            let length: usize = text.split("content-length: ").nth(1)?.split('\r').next()?.parse().ok()?;
            if read.len() >= head + length {
                return Some(read.drain(..head + length).collect());
            }
        }
        if tcp.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

/// Passes a request on and gives the head of its answer, without what follows a refusal.
async fn pass(to: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut tcp = TcpStream::connect(to).await.ok()?;
    let _ = tcp.write_all(request).await;
    let mut read = Vec::new();
    while !read.windows(4).any(|window| window == b"\r\n\r\n") {
        if tcp.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    Some(read)
}

#[test]
fn the_transport_passes_the_kit() {
    let report = try_all(&mut Real::new(false));
    assert!(report.passed(), "{report}");
}

#[test]
fn a_transport_that_forgets_fails_the_kit() {
    let report = try_all(&mut Real::new(true));
    assert!(report.failed().any(|case| case.starts_with("what is sent arrives")), "{report}");
}
