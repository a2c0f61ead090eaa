//! A connection of HTTP/1.1 that is asked one thing at a time, as cheaply as it goes.
//!
//! Owns the bytes of requests and responses as a client sees them: it shares two cores with the servers it measures,
//! and a general client costs as much as they do. Reads bodies of a said length and chunked ones, nothing else. Must
//! not know what is asked.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A longer response is refused.
const RESPONSE_MAX: usize = 64 << 20;
/// A longer head is refused.
const HEAD_MAX: usize = 64 << 10;
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// What was read; it begins with the response that is being read.
    read: Vec<u8>,
    /// The body of a chunked response, put together.
    joined: Vec<u8>,
    is_closing: bool,
}

/// A response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Response<'a> {
    /// Its status.
    pub(super) status: u16,
    head: &'a [u8],
    /// Its body.
    pub(super) body: &'a [u8],
}

impl<'a> Response<'a> {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        header_of(self.head, name)
    }
}

fn header_of<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let mut lines = head.split(|byte| *byte == b'\n').skip(1);
    let value = lines.find_map(|line| {
        let (start, rest) = line.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name.as_bytes()).then(|| rest.strip_prefix(b":")).flatten()
    })?;
    std::str::from_utf8(value).ok().map(str::trim)
}

/// How the end of a body is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    Said(usize),
    Chunked,
}

/// What a head says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Head {
    status: u16,
    length: Length,
    is_last: bool,
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Head {
    fn parse(head: &[u8]) -> io::Result<Self> {
        let rest = head.strip_prefix(b"HTTP/1.1 ").ok_or_else(|| bad("not an answer of HTTP/1.1"))?;
        let digits = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let status = digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| bad("an answer without a status"))?;
        let is_chunked = header_of(head, "transfer-encoding").is_some_and(|kind| kind.eq_ignore_ascii_case("chunked"));
        let length = match header_of(head, "content-length") {
            Some(said) => Length::Said(said.parse().map_err(|_| bad("a length that is no number"))?),
            None if is_chunked => Length::Chunked,
            None if status == 204 || status == 304 => Length::Said(0),
            None => return Err(bad("an answer that does not say how long it is")),
        };
        let is_last = header_of(head, "connection").is_some_and(|what| what.eq_ignore_ascii_case("close"));
        Ok(Self { status, length, is_last })
    }
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| from + at)
}

impl Connection {
    /// Connects to `host:port`.
    pub(super) async fn open(address: &str) -> io::Result<Self> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await.map_err(late)??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(4096), joined: Vec::new(), is_closing: false })
    }

    /// Will the other end close it after the last answer?
    pub(super) const fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Sends a request and reads its answer. After an error the connection is of no more use.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<Response<'_>> {
        self.read.clear();
        self.stream.write_all(request).await?;
        let mut searched = 0;
        let head_end = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n", searched) {
                break at + 4;
            }
            if self.read.len() > HEAD_MAX {
                return Err(bad("an answer whose head does not end"));
            }
            searched = self.read.len().saturating_sub(3);
            self.more().await?;
        };
        let head = Head::parse(&self.read[..head_end])?;
        self.is_closing = head.is_last;
        let body = match head.length {
            Length::Said(length) => {
                if length > RESPONSE_MAX {
                    return Err(bad("an answer that is too long"));
                }
                while self.read.len() < head_end + length {
                    self.more().await?;
                }
                &self.read[head_end..head_end + length]
            }
            Length::Chunked => {
                self.join(head_end).await?;
                &self.joined
            }
        };
        Ok(Response { status: head.status, head: &self.read[..head_end], body })
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Reads a chunked body, which begins at `at`.
    async fn join(&mut self, mut at: usize) -> io::Result<()> {
        self.joined.clear();
        loop {
            let line_end = loop {
                match find(&self.read, b"\r\n", at) {
                    Some(end) => break end,
                    None if self.read.len() - at > 64 => return Err(bad("a chunk without a length")),
                    None => self.more().await?,
                }
            };
            let digits = self.read[at..line_end].split(|byte| *byte == b';').next().unwrap_or_default();
            let length = std::str::from_utf8(digits).ok().and_then(|hex| usize::from_str_radix(hex.trim(), 16).ok());
            let length = length.ok_or_else(|| bad("a chunk without a length"))?;
            if length > RESPONSE_MAX - self.joined.len() {
                return Err(bad("an answer that is too long"));
            }
            let start = line_end + 2;
            while self.read.len() < start + length + 2 {
                self.more().await?;
            }
            self.joined.extend_from_slice(&self.read[start..start + length]);
            at = start + length + 2;
            if length == 0 {
                return Ok(());
            }
        }
    }
}

/// Appends a request to `out`. `headers` are whole lines, each with its end.
pub(super) fn write_request(out: &mut Vec<u8>, method: &str, path: &str, host: &str, headers: &str, body: &[u8]) {
    for part in [method, " ", path, " HTTP/1.1\r\nhost: ", host, "\r\n", headers, "content-length: "] {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(body.len().to_string().as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

/// How long one node may take that is asked for once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a node one thing, over a connection of its own: the status and the body of its answer.
pub(super) async fn once(address: &str, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>), String> {
    let asked = timeout(PATIENCE, async {
        let mut request = Vec::new();
        write_request(&mut request, method, path, address, "", body);
        let mut connection = Connection::open(address).await.map_err(|error| error.to_string())?;
        let response = connection.exchange(&request).await.map_err(|error| error.to_string())?;
        Ok((response.status, response.body.to_vec()))
    });
    asked.await.unwrap_or_else(|_| Err("no answer".to_owned())).map_err(|why: String| format!("{address}: {why}"))
}

/// The `host:port` of `http://host:port/…`, or of an address that is nothing else.
pub(super) fn address_of(url: &str) -> Result<String, String> {
    if url.starts_with("https://") {
        return Err(format!("{url}: this command speaks plain HTTP only"));
    }
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(authority.to_owned()),
        _ => Err(format!("{url}: an address is host:port or http://host:port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// What a client makes of these bytes, sent in pieces of `piece` bytes.
    async fn read(bytes: &'static [u8], piece: usize) -> io::Result<(u16, Option<String>, Vec<u8>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let serve = async {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            for part in bytes.chunks(piece) {
                stream.write_all(part).await?;
                tokio::task::yield_now().await;
            }
            io::Result::Ok(())
        };
        let ask = async {
            let mut connection = Connection::open(&address).await?;
            let response = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await?;
            io::Result::Ok((response.status, response.header("ETag").map(str::to_owned), response.body.to_vec()))
        };
        let (served, asked) = tokio::join!(serve, ask);
        served?;
        asked
    }

    #[tokio::test]
    async fn a_response_is_read_however_it_is_cut_up() {
        let said = b"HTTP/1.1 200 OK\r\netag: \"7\"\r\nContent-Length: 5\r\n\r\nhello";
        let chunked =
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
        for piece in [1, 2, 7, 1000] {
            let (status, etag, body) = read(said, piece).await.expect("it is a response");
            assert_eq!((status, etag.as_deref(), &body[..]), (200, Some("\"7\""), &b"hello"[..]));
            let (status, etag, body) = read(chunked, piece).await.expect("it is a response");
            assert_eq!((status, etag, &body[..]), (404, None, &b"hello"[..]));
        }
    }

    #[tokio::test]
    async fn what_is_no_response_is_an_error() {
        let all: [&[u8]; 6] = [
            b"",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffff\r\n",
        ];
        for bytes in all {
            assert!(read(bytes, 100).await.is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn an_address_may_be_a_url() {
        assert_eq!(address_of("http://127.0.0.1:8080/"), Ok("127.0.0.1:8080".to_owned()));
        assert_eq!(address_of("localhost:1"), Ok("localhost:1".to_owned()));
        for wrong in ["https://a:1", "a", ":1", "a:b", ""] {
            assert!(address_of(wrong).is_err());
        }
    }
}
