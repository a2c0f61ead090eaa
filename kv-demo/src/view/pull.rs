//! One node's stream of events, pulled: connected to, read line by line, and connected to again.
//!
//! Owns the connection and how long to wait before the next one. Must not know the other nodes. A node that sends nonsense,
//! or lines without end, is left and tried again later; it holds no memory here. VIEW §5.2.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use vr_tokio::vr_core::trace::TraceEvent;

/// Where every node serves its events.
const ROUTE: &str = "/vr/v1/events";
/// A longer line is nonsense.
const LINE_MAX: usize = 1 << 20;
/// A longer head is nonsense.
const HEAD_MAX: usize = 16 << 10;
/// So long connecting, and the head of the answer, may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A node says at least that nothing happened, twice a second; one that says nothing for so long is left.
const QUIET_MAX: Duration = Duration::from_secs(15);
/// How long to wait before connecting again, at first …
const WAIT_MIN: Duration = Duration::from_millis(100);
/// … and at most.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What is heard of a node.
#[derive(Debug)]
pub(super) enum Heard {
    /// Events; none: it is there, and nothing happened.
    Events(Vec<TraceEvent>),
    /// It is not to be reached any more, or still not, and why.
    Lost(String),
}

/// Listens to the node at this address for as long as somebody takes what is heard.
pub(super) async fn listen(node: usize, address: String, to: mpsc::Sender<(usize, Heard)>) {
    let mut wait = WAIT_MIN;
    loop {
        let why = match timeout(CONNECT_WITHIN, Stream::open(&address)).await {
            Ok(Ok(mut stream)) => {
                wait = WAIT_MIN;
                loop {
                    let heard = match timeout(QUIET_MAX, stream.more()).await {
                        Ok(Ok(events)) => Heard::Events(events),
                        Ok(Err(error)) => break error.to_string(),
                        Err(_) => break "it says nothing".to_owned(),
                    };
                    if to.send((node, heard)).await.is_err() {
                        return;
                    }
                }
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if to.send((node, Heard::Lost(why))).await.is_err() {
            return;
        }
        tokio::time::sleep(jittered(wait)).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// Between half of it and all of it: those who lost the same node do not come back at once.
fn jittered(wait: Duration) -> Duration {
    let chance = getrandom::u32().unwrap_or(u32::MAX) % 1000;
    wait / 2 + wait / 2 * chance / 1000
}

fn bad(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The answer of a node, as it comes.
struct Stream {
    tcp: TcpStream,
    read: Vec<u8>,
    chunks: Chunks,
    lines: Lines,
}

impl Stream {
    async fn open(address: &str) -> io::Result<Self> {
        let mut tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let ask = format!("GET {ROUTE} HTTP/1.1\r\nhost: {address}\r\naccept: application/x-ndjson\r\n\r\n");
        tcp.write_all(ask.as_bytes()).await?;
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = find(&read, b"\r\n\r\n") {
                break end;
            }
            if read.len() > HEAD_MAX || tcp.read_buf(&mut read).await? == 0 {
                return Err(bad("it does not speak HTTP"));
            }
        };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        match head.split(' ').nth(1).unwrap_or_default() {
            "200" => {}
            "404" => return Err(bad("it offers no events: [events] enabled in its configuration")),
            status => return Err(bad(format!("it answers {status}"))),
        }
        if !head.contains("transfer-encoding: chunked") {
            return Err(bad("it does not answer with a stream"));
        }
        read.drain(..end + 4);
        Ok(Self { tcp, read, chunks: Chunks::default(), lines: Lines::default() })
    }

    /// Waits for the next events; none when the node says that there are none.
    async fn more(&mut self) -> io::Result<Vec<TraceEvent>> {
        loop {
            if !self.read.is_empty() {
                let mut data = Vec::new();
                let is_over = self.chunks.take(&self.read, &mut data)?;
                self.read.clear();
                if is_over {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if let Some(events) = self.lines.take(&data)? {
                    return Ok(events);
                }
            }
            if self.tcp.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Lines, put together from pieces.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// The events of the lines that end in `data`, or nothing while none does.
    fn take(&mut self, data: &[u8]) -> io::Result<Option<Vec<TraceEvent>>> {
        let mut events = None;
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(part);
            if self.0.len() > LINE_MAX {
                return Err(bad("it sends a line without an end"));
            }
            if self.0.last() == Some(&b'\n') {
                let events = events.get_or_insert_with(Vec::new);
                if !self.0.trim_ascii().is_empty() {
                    let event = serde_json::from_slice(&self.0);
                    events.push(event.map_err(|error| bad(format!("it sends what is no event: {error}")))?);
                }
                self.0.clear();
            }
        }
        Ok(events)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Takes the frames off a chunked body, however it is cut up.
#[derive(Debug, Default)]
struct Chunks {
    state: Chunk,
    left: usize,
    digits: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Chunk {
    /// In a length.
    #[default]
    Length,
    /// Behind it, to the end of the line.
    Extension,
    /// In the data.
    Data,
    /// Behind the data.
    End,
    /// In what follows the last chunk.
    Over,
}

impl Chunks {
    /// Appends what the bytes hold to `data`; true when the body is over.
    fn take(&mut self, bytes: &[u8], data: &mut Vec<u8>) -> io::Result<bool> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                Chunk::Length => {
                    at += 1;
                    if let Some(digit) = char::from(byte).to_digit(16).and_then(|digit| usize::try_from(digit).ok()) {
                        (self.left, self.digits) = (self.left * 16 + digit, self.digits + 1);
                        if self.digits > 7 {
                            return Err(bad("a chunk that is too long"));
                        }
                    } else if self.digits == 0 {
                        return Err(bad("a chunk without a length"));
                    } else {
                        self.state = if byte == b'\n' { self.begin() } else { Chunk::Extension };
                    }
                }
                Chunk::Extension => {
                    at += 1;
                    if byte == b'\n' {
                        self.state = self.begin();
                    }
                }
                Chunk::Data => {
                    let some = self.left.min(bytes.len() - at);
                    data.extend_from_slice(&bytes[at..at + some]);
                    (at, self.left) = (at + some, self.left - some);
                    if self.left == 0 {
                        self.state = Chunk::End;
                    }
                }
                Chunk::End => {
                    at += 1;
                    if byte == b'\n' {
                        self.state = Chunk::Length;
                    }
                }
                Chunk::Over => return Ok(true),
            }
        }
        Ok(self.state == Chunk::Over)
    }

    fn begin(&mut self) -> Chunk {
        self.digits = 0;
        if self.left == 0 { Chunk::Over } else { Chunk::Data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_read_however_it_is_cut_up() {
        let body = b"3\r\nhel\r\n2;x=y\r\nlo\r\n0000a\r\n0123456789\r\n0\r\n\r\n";
        for piece in [1, 2, 3, 7, 100] {
            let (mut chunks, mut data, mut is_over) = (Chunks::default(), Vec::new(), false);
            for part in body.chunks(piece) {
                is_over = chunks.take(part, &mut data).expect("a body");
            }
            assert_eq!((&data[..], is_over), (&b"hello0123456789"[..], true));
        }
    }

    #[test]
    fn whatever_a_node_sends_is_read_or_refused() {
        let mut state = 1_u64;
        for _ in 0..2000 {
            let mut byte = || {
                state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
                b"0123456789abcdef\r\n;{}\"\xFFx"[usize::from(state.to_be_bytes()[0]) % 24]
            };
            let bytes: Vec<_> = (0..60).map(|_| byte()).collect();
            let (mut chunks, mut data) = (Chunks::default(), Vec::new());
            // That it comes back is all that is asked.
            let _ = bytes.chunks(7).try_for_each(|part| chunks.take(part, &mut data).map(|_| ()));
            let _ = Lines::default().take(&bytes);
        }
    }

    #[test]
    fn lines_become_events_an_empty_one_is_news_too_and_nonsense_is_refused() {
        let mut lines = Lines::default();
        assert!(lines.take(b"{\"i\":1,\"t\":2,\"k\":\"gap\"").is_ok_and(|events| events.is_none()));
        assert!(lines.take(b",\"lost\":3}\n").is_ok_and(|events| events.is_some_and(|events| events.len() == 1)));
        assert!(lines.take(b"\n").is_ok_and(|events| events.is_some_and(|events| events.is_empty())));
        assert!(lines.take(b"nonsense\n").is_err());
        assert!(Lines::default().take(&vec![b'x'; LINE_MAX + 1]).is_err());
    }

    #[test]
    fn what_is_no_chunked_body_is_an_error() {
        for body in [&b"x"[..], b"\r\n", b"fffffffff\r\n", b"-1\r\n"] {
            assert!(Chunks::default().take(body, &mut Vec::new()).is_err(), "{}", body.escape_ascii());
        }
    }
}
