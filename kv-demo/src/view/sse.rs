//! The events of a running cluster as a browser reads them: server-sent events.
//!
//! Owns their form and their pace: batches at 20 Hz, every node's link once a second, a comment now and then. A browser
//! that does not read holds back its own stream only. Must not know nodes. VIEW.md §5.2.

use super::answer;
use super::live::{Cursor, Live, Told};
use bytes::Bytes;
use http::Response;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use vr_tokio::AnswerBody;

/// How often events are sent, at most.
const PACE: Duration = Duration::from_millis(50);
/// How often links are told.
const LINKS: Duration = Duration::from_secs(1);
/// How often something is sent in any case.
const PING: Duration = Duration::from_secs(15);

/// One browser's stream.
struct Stream {
    live: Arc<Live>,
    news: watch::Receiver<u64>,
    cursor: Option<Cursor>,
    is_new: bool,
    links_at: Instant,
    ping_at: Instant,
}

/// A stream that goes on after the cursor, or begins with a snapshot.
pub(super) fn stream(live: &Arc<Live>, after: Option<&str>) -> Response<AnswerBody> {
    let (live, news, cursor) = (Arc::clone(live), live.news(), after.and_then(Cursor::parse));
    let now = Instant::now();
    let stream = Stream { live, news, cursor, is_new: true, links_at: now, ping_at: now + PING };
    let pieces = futures_util::stream::unfold(stream, |mut stream| async move {
        let piece = stream.next().await;
        Some((Bytes::from(piece), stream))
    });
    answer::pieces("text/event-stream", pieces)
}

impl Stream {
    async fn next(&mut self) -> String {
        let mut out = String::new();
        if std::mem::take(&mut self.is_new) {
            out.push_str("retry: 1000\n\n");
        }
        loop {
            self.events(&mut out);
            let now = Instant::now();
            if now >= self.links_at {
                self.links(&mut out);
                self.links_at = now + LINKS;
            }
            if now >= self.ping_at {
                out.push_str(":\n\n");
                self.ping_at = now + PING;
            }
            if !out.is_empty() {
                return out;
            }
            tokio::select! {
                _ = self.news.changed() => tokio::time::sleep(PACE).await,
                () = tokio::time::sleep_until(self.links_at.min(self.ping_at)) => {}
            }
        }
    }

    /// Appends what is new.
    fn events(&mut self, out: &mut String) {
        self.news.mark_unchanged();
        // Writing to a string cannot fail.
        match self.live.told(self.cursor) {
            Told::Nothing => {}
            Told::Events(lines, cursor) => {
                let _ = writeln!(out, "event: batch\nid: {cursor}");
                for line in lines {
                    let _ = writeln!(out, "data: {line}");
                }
                out.push('\n');
                self.cursor = Some(cursor);
            }
            Told::Snapshot(lost, snapshot, cursor) => {
                if lost > 0 {
                    let _ = write!(out, "event: gap\ndata: {{\"lost\":{lost}}}\n\n");
                }
                let _ = write!(out, "event: snapshot\nid: {cursor}\ndata: {snapshot}\n\n");
                self.cursor = Some(cursor);
            }
        }
    }

    fn links(&self, out: &mut String) {
        for link in self.live.links() {
            let _ = write!(out, "event: node\ndata: {}\n\n", serde_json::to_string(&link).unwrap_or_default());
        }
    }
}
