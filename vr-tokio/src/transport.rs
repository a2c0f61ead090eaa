//! Peers over HTTP/1.1 keep-alive: everything queued for a peer in one request. Must not know what messages mean.
//!
//! Owns the way of a message from one replica's node to another's: `peers` and `link` send, `server` and
//! `receive` take, `head` says who speaks, `codec` how. A message may be lost, and is counted then; nothing that
//! arrives here can panic, and a refused request changes nothing.

mod answer;
mod aside;
mod body;
mod bulk;
mod codec;
mod head;
mod link;
mod metrics;
mod peers;
mod queue;
mod receive;
mod room;
pub mod server;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use self::answer::Answers;
pub use self::codec::Codec;
pub(crate) use self::head::{finish, prefix};
pub(crate) use self::metrics::Metrics;
pub(crate) use self::peers::{PeerOptions, Peers};
pub(crate) use self::receive::{Deliver, Full, Inlet, PeerServerOptions, serve_peers};
pub(crate) use self::stream::{Guarded, ReadBy, Stream};

use serde::Deserialize;
use std::time::Duration;

/// How a node talks to its peers: the section `[transport]` of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransportConfig {
    /// How this node encodes what it sends; it takes both.
    pub body: Codec,
    /// How many messages may wait for one peer.
    pub queue_messages: usize,
    /// How many bytes may wait for one peer.
    pub queue_bytes: usize,
    /// How many bytes of messages one request carries at most; no more than `max_message_bytes` count.
    pub batch_bytes: usize,
    /// Parts of checkpoints leave no faster than so many bytes a second, to all peers together.
    pub checkpoint_bytes_per_second: u64,
    /// How many requests to one peer may be unanswered.
    pub window: usize,
    /// How many connections from peers there may be.
    pub max_connections: usize,
    /// How long connecting to a peer may take, TLS included.
    pub connect_timeout_ms: u64,
    /// How long a peer's answer may take.
    pub answer_timeout_ms: u64,
    /// How long writing may make no progress, in either direction.
    pub write_timeout_ms: u64,
    /// How long a new connection may take to say something, and a body to arrive.
    pub read_timeout_ms: u64,
    /// How long a peer may be silent before its connection is closed.
    pub idle_timeout_ms: u64,
    /// The first wait before connecting again; it doubles with every failure …
    pub reconnect_min_ms: u64,
    /// … up to this one. Each is drawn from half of it to all of it.
    pub reconnect_max_ms: u64,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            body: Codec::default(),
            queue_messages: 16 << 10,
            queue_bytes: 32 << 20,
            batch_bytes: 1 << 20,
            checkpoint_bytes_per_second: 2 << 30,
            window: 2,
            max_connections: 128,
            connect_timeout_ms: 1_000,
            answer_timeout_ms: 2_000,
            write_timeout_ms: 2_000,
            read_timeout_ms: 5_000,
            idle_timeout_ms: 60_000,
            reconnect_min_ms: 20,
            reconnect_max_ms: 500,
        }
    }
}

impl TransportConfig {
    /// The first thing that is wrong with it.
    ///
    /// # Errors
    /// When a bound is zero, or the bounds of a wait are the wrong way round.
    pub fn validate(&self) -> Result<(), &'static str> {
        let bounds = [self.queue_messages, self.queue_bytes, self.batch_bytes, self.window, self.max_connections];
        let others = [
            self.checkpoint_bytes_per_second,
            self.connect_timeout_ms,
            self.answer_timeout_ms,
            self.write_timeout_ms,
            self.read_timeout_ms,
            self.idle_timeout_ms,
            self.reconnect_min_ms,
        ];
        if bounds.contains(&0) || others.contains(&0) {
            return Err("a limit or timeout of [transport] is zero");
        }
        if self.reconnect_min_ms > self.reconnect_max_ms {
            return Err("[transport] reconnect_min_ms exceeds reconnect_max_ms");
        }
        Ok(())
    }

    fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }
}
