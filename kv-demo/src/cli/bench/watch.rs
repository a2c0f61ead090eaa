//! What it costs a cluster to be watched: the same load with the view and without, in alternation, pair by pair.
//!
//! Owns the view that is attached: a process of its own, with one browser's worth of reading. Must not know how load is
//! made, nor what the view does, nor what becomes of the figures.

use super::cost::{Cost, Words, pairs_of};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Longer than nodes go on telling events when their last reader has left.
const PAUSE: Duration = Duration::from_millis(2_500);

/// The view, with a reader, until it is dropped.
struct Watched {
    _view: Child,
    reader: JoinHandle<()>,
}

impl Watched {
    async fn start(nodes: &[String]) -> Result<Self, String> {
        let said = |error: std::io::Error| format!("the view: {error}");
        let me = std::env::current_exe().map_err(said)?;
        let mut view = Command::new(me);
        view.args(["view", "--nodes", &nodes.join(",")]).kill_on_drop(true);
        let mut view = view.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(said)?;
        let mut url = String::new();
        let stdout = view.stdout.take().ok_or("the view says nothing")?;
        BufReader::new(stdout).read_line(&mut url).await.map_err(said)?;
        let address = super::super::wire::address_of(url.trim())?;
        let mut tcp = TcpStream::connect(&address).await.map_err(said)?;
        let ask = format!("GET /api/v1/events HTTP/1.1\r\nhost: {address}\r\n\r\n");
        tcp.write_all(ask.as_bytes()).await.map_err(said)?;
        let reader = tokio::task::spawn_local(async move {
            let mut piece = vec![0; 64 << 10];
            while tcp.read(&mut piece).await.is_ok_and(|count| count > 0) {}
        });
        Ok(Self { _view: view, reader })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Measures `pairs` pairs; `run` makes one run and gives its operations a second.
pub(super) async fn cost(
    pairs: u16,
    nodes: &[String],
    mut run: impl AsyncFnMut() -> f64,
    say: impl Fn(&str),
) -> Result<Cost, String> {
    let one = async |is_watched: bool| {
        let watched = if is_watched { Some(Watched::start(nodes).await?) } else { None };
        sleep(PAUSE).await;
        let rate = run().await;
        drop(watched);
        Ok(rate)
    };
    pairs_of(pairs, Words::WATCHED, one, say).await
}
