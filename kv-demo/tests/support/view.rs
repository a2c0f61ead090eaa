//! The view as a process, and a browser's end of its streams.
//!
//! Owns the child, its address and its token; raw requests, whatever they say. Must not know what is shown.

use super::http::Response;
use super::{PATIENCE, kv_demo};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};

/// `kv-demo view`, killed at its end.
pub struct ViewProcess {
    child: Child,
    pub address: SocketAddr,
    pub token: Option<String>,
}

impl ViewProcess {
    /// Starts it with these options.
    pub fn start(options: &[&str]) -> Self {
        let mut child = kv_demo().arg("view").args(options).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("it prints");
        BufReader::new(stdout).read_line(&mut url).expect("it prints its address");
        let (address, rest) = url.trim().strip_prefix("http://").and_then(|url| url.split_once('/')).expect("a URL");
        let token = rest.split_once("token=").map(|(_, token)| token.to_owned());
        Self { child, address: address.parse().expect("an address"), token }
    }

    /// Asks as the page does.
    pub fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[], "")
    }

    /// Asks with further headers.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        self.raw(method, path, &[&[("host", self.address.to_string().as_str())], headers].concat(), body)
    }

    /// Asks with these headers only.
    pub fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut stream = self.send(method, path, headers, body);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        Response { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).expect("it reads");
        stream
    }

    /// Its events, on from a cursor.
    pub fn events(&self, after: Option<&str>) -> Events {
        let host = self.address.to_string();
        let mut headers = vec![("host", host.as_str())];
        headers.extend(after.map(|id| ("last-event-id", id)));
        let mut lines = BufReader::new(self.send("GET", "/api/v1/events", &headers, ""));
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(lines.read_line(&mut line).expect("a head") > 0, "it ends in its head");
        }
        Events { lines, chunk: Vec::new() }
    }
}

impl Drop for ViewProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An event of a stream.
#[derive(Debug)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    /// JSON, a line each.
    pub data: Vec<Value>,
}

/// A stream of events.
pub struct Events {
    lines: BufReader<TcpStream>,
    chunk: Vec<u8>,
}

impl Events {
    /// The next one.
    pub fn next(&mut self) -> Event {
        loop {
            let text = self.block();
            let field = |name: &'static str| {
                let all = text.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(": "));
                all.map(str::to_owned).collect::<Vec<_>>()
            };
            if let Some(name) = field("event").pop() {
                let json = |line: &String| serde_json::from_str(line).expect("JSON");
                return Event { name, id: field("id").pop(), data: field("data").iter().map(json).collect() };
            }
        }
    }

    /// The next one of this name.
    pub fn next_of(&mut self, name: &str) -> Event {
        loop {
            let event = self.next();
            if event.name == name {
                return event;
            }
        }
    }

    /// What stands before the next empty line.
    fn block(&mut self) -> String {
        loop {
            if let Some(end) = self.chunk.windows(2).position(|two| two == b"\n\n") {
                let block = self.chunk.drain(..end + 2).collect();
                return String::from_utf8(block).expect("text");
            }
            let mut length = String::new();
            self.lines.read_line(&mut length).expect("it goes on");
            let length = usize::from_str_radix(length.trim(), 16).expect("the length of a chunk");
            assert!(length > 0, "the stream ends");
            let mut chunk = vec![0; length + 2];
            self.lines.read_exact(&mut chunk).expect("a chunk");
            self.chunk.extend_from_slice(&chunk[..length]);
        }
    }
}
