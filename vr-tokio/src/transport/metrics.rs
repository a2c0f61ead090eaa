//! What the transport counts: messages, requests, drops and refusals, each by reason.
//!
//! Owns the names. Counters of a peer are looked up once, when its link starts. Must not decide anything.

use super::server::ServerMetrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use vr_core::ReplicaId;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Peer {
    peer: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Drop {
    peer: u16,
    reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// What the transport of one node counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// The peers' listener.
    pub(crate) server: ServerMetrics,
    sent_messages: Family<Peer, Counter>,
    sent_bytes: Family<Peer, Counter>,
    sent_requests: Family<Peer, Counter>,
    connected: Family<Peer, Gauge>,
    connects: Family<Peer, Counter>,
    queued_messages: Family<Peer, Gauge>,
    queued_bytes: Family<Peer, Gauge>,
    dropped: Family<Drop, Counter>,
    received_messages: Family<Peer, Counter>,
    received_bytes: Family<Peer, Counter>,
    received_requests: Family<Peer, Counter>,
    refused: Family<Reason, Counter>,
}

/// What is counted about the way to one peer.
#[derive(Clone, Debug)]
pub(crate) struct LinkMetrics {
    pub(crate) messages: Counter,
    pub(crate) bytes: Counter,
    pub(crate) requests: Counter,
    pub(crate) connected: Gauge,
    pub(crate) connects: Counter,
    pub(crate) queued_messages: Gauge,
    pub(crate) queued_bytes: Gauge,
    /// The queue was full: the oldest went.
    pub(crate) dropped_full: Counter,
    /// They waited for a peer that cannot be reached.
    pub(crate) dropped_unreachable: Counter,
    /// They were on their way when the connection broke, or the peer did not answer.
    pub(crate) dropped_broken: Counter,
    /// The peer refused the request.
    pub(crate) dropped_refused: Counter,
    /// The peer's inbox was full.
    pub(crate) dropped_inbox_full: Counter,
}

/// What is counted about what one peer sends.
#[derive(Clone, Debug)]
pub(crate) struct SourceMetrics {
    pub(crate) messages: Counter,
    pub(crate) bytes: Counter,
    pub(crate) requests: Counter,
}

impl LinkMetrics {
    /// The same counts, for another connection: what is so now is of the first.
    pub(crate) fn apart(self) -> Self {
        let (connected, queued_messages, queued_bytes) = Default::default();
        Self { connected, queued_messages, queued_bytes, ..self }
    }
}

impl Metrics {
    /// Adds these metrics.
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.server.register("peer", registry);
        let peer = registry.sub_registry_with_prefix("peer");
        peer.register("sent_messages", "Messages put into requests to a peer", self.sent_messages.clone());
        peer.register("sent_bytes", "Bytes of bodies sent to a peer", self.sent_bytes.clone());
        peer.register("sent_requests", "Requests sent to a peer", self.sent_requests.clone());
        peer.register("connected", "1 while there is a connection to a peer", self.connected.clone());
        peer.register("connects", "Connections made to a peer", self.connects.clone());
        peer.register("queued_messages", "Messages that wait for a peer", self.queued_messages.clone());
        peer.register("queued_bytes", "Bytes that wait for a peer", self.queued_bytes.clone());
        peer.register("dropped_messages", "Messages to a peer that were given up", self.dropped.clone());
        peer.register("received_messages", "Messages taken from a peer", self.received_messages.clone());
        peer.register("received_bytes", "Bytes of bodies taken from a peer", self.received_bytes.clone());
        peer.register("received_requests", "Requests taken from a peer", self.received_requests.clone());
        peer.register("refused_requests", "Requests to the peers' listener that were refused", self.refused.clone());
    }

    /// Counts a request that was refused.
    pub(crate) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// How many requests were refused for this reason.
    pub(crate) fn refused(&self, reason: &'static str) -> u64 {
        self.refused.get_or_create(&Reason { reason }).get()
    }

    /// The counters of the way to a peer.
    pub(crate) fn link(&self, peer: ReplicaId) -> LinkMetrics {
        let label = Peer { peer: peer.0 };
        let dropped = |reason| self.dropped.get_or_create(&Drop { peer: peer.0, reason }).clone();
        LinkMetrics {
            messages: self.sent_messages.get_or_create(&label).clone(),
            bytes: self.sent_bytes.get_or_create(&label).clone(),
            requests: self.sent_requests.get_or_create(&label).clone(),
            connected: self.connected.get_or_create(&label).clone(),
            connects: self.connects.get_or_create(&label).clone(),
            queued_messages: self.queued_messages.get_or_create(&label).clone(),
            queued_bytes: self.queued_bytes.get_or_create(&label).clone(),
            dropped_full: dropped("queue_full"),
            dropped_unreachable: dropped("unreachable"),
            dropped_broken: dropped("broken"),
            dropped_refused: dropped("refused"),
            dropped_inbox_full: dropped("inbox_full"),
        }
    }

    /// The counters of what a peer sends.
    pub(crate) fn source(&self, peer: ReplicaId) -> SourceMetrics {
        let label = Peer { peer: peer.0 };
        SourceMetrics {
            messages: self.received_messages.get_or_create(&label).clone(),
            bytes: self.received_bytes.get_or_create(&label).clone(),
            requests: self.received_requests.get_or_create(&label).clone(),
        }
    }
}
