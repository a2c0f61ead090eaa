//! What a node counts: the registry and the node's own counters.
//!
//! Owns the names. Every refusal has its reason. Must not decide anything.

use crate::events::EventsMetrics;
use crate::flight::FlightMetrics;
use crate::handle::NodeStatus;
use crate::transport;
use crate::wal;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::{Mutex, PoisonError};
use vr_core::{Note, StatusName, Wait};

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct IgnoredMessage {
    message: String,
    reason: String,
}

/// Everything that one node counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    pub(crate) wal: wal::Metrics,
    pub(crate) transport: transport::Metrics,
    /// The listener for clients.
    pub(crate) clients: transport::server::ServerMetrics,
    /// The listener for operators, when it has an address of its own.
    pub(crate) ops: transport::server::ServerMetrics,
    /// The trace stream.
    pub(crate) events: EventsMetrics,
    /// The recording.
    pub(crate) flight: FlightMetrics,
    /// Operations known to be committed in this life.
    pub(crate) committed: Counter,
    /// Reads without an entry in the log that went to the service.
    pub(crate) reads: Counter,
    /// Those of them under a lease.
    pub(crate) lease_reads: Counter,
    /// Those of these that were not read in time, and are asked anew.
    pub(crate) lease_reads_late: Counter,
    /// How many arrivals one wake-up took.
    pub(crate) inbox_taken: Histogram,
    reply_seconds: Histogram,
    replies: Counter,
    rejected: Family<Reason, Counter>,
    ignored: Family<IgnoredMessage, Counter>,
    happened: Family<Kind, Counter>,
    gauges: Gauges,
}

#[derive(Clone, Debug, Default)]
struct Gauges {
    epoch: Gauge,
    view: Gauge,
    log_view: Gauge,
    op: Gauge,
    durable: Gauge,
    commit: Gauge,
    executed: Gauge,
    is_primary: Gauge,
    is_normal: Gauge,
    waiting: Gauge,
    inbox: Gauge,
    upcalls: Gauge,
}

impl Gauges {
    fn register(&self, registry: &mut Registry) {
        registry.register("epoch", "The epoch", self.epoch.clone());
        registry.register("view", "The view-number; its high 24 bits are the epoch", self.view.clone());
        registry.register("log_view", "The last view in which this replica was normal", self.log_view.clone());
        registry.register("op", "The op-number: where the log ends", self.op.clone());
        registry.register("durable_op", "Through here the log is durable", self.durable.clone());
        registry.register("commit", "The commit-number", self.commit.clone());
        registry.register("executed", "Through here the service has answered", self.executed.clone());
        registry.register("is_primary", "1 while this replica is the primary", self.is_primary.clone());
        registry.register("is_normal", "1 while this replica is in normal status", self.is_normal.clone());
        registry.register("requests_waiting", "Requests that wait for their answers", self.waiting.clone());
        registry.register("inbox_messages", "Messages of peers that wait for the replica", self.inbox.clone());
        registry.register("service_queue", "Operations that wait for the service", self.upcalls.clone());
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut all = Registry::default();
        let (wal, transport) = (wal::Metrics::default(), transport::Metrics::default());
        let (clients, ops) = (transport::server::ServerMetrics::default(), transport::server::ServerMetrics::default());
        wal.register(&mut all);
        let registry = all.sub_registry_with_prefix("vr");
        transport.register(registry);
        clients.register("client", registry);
        ops.register("ops", registry);
        let events = EventsMetrics::default();
        events.register(registry);
        let flight = FlightMetrics::default();
        flight.register(registry);
        let gauges = Gauges::default();
        gauges.register(registry);
        let inbox_taken = Histogram::new(exponential_buckets(1.0, 2.0, 13));
        registry.register("inbox_taken", "Arrivals taken in one wake-up", inbox_taken.clone());
        let reply_seconds = Histogram::new(exponential_buckets(0.000_1, 2.0, 18));
        registry.register("reply_seconds", "From a request's arrival to its reply", reply_seconds.clone());
        let replies = Counter::default();
        registry.register("replies", "Requests that were answered", replies.clone());
        let rejected: Family<Reason, Counter> = Family::default();
        registry.register("requests_rejected", "Requests without an answer, by reason", rejected.clone());
        let ignored: Family<IgnoredMessage, Counter> = Family::default();
        registry.register("messages_ignored", "Messages of peers without effect, by reason", ignored.clone());
        let happened: Family<Kind, Counter> = Family::default();
        registry.register("events", "What happened to the replica, by kind", happened.clone());
        let (committed, reads) = (Counter::default(), Counter::default());
        registry.register("reads", "Reads without an entry in the log that went to the service", reads.clone());
        let (lease_reads, lease_reads_late) = (Counter::default(), Counter::default());
        registry.register("lease_reads", "Those of the reads under a lease", lease_reads.clone());
        let late = "Reads under a lease that came too late for it, and were asked anew";
        registry.register("lease_reads_late", late, lease_reads_late.clone());
        registry.register("committed_ops", "Operations that became committed in this life", committed.clone());
        let registry = Mutex::new(all);
        Self {
            registry,
            wal,
            transport,
            clients,
            ops,
            events,
            flight,
            committed,
            reads,
            lease_reads,
            lease_reads_late,
            inbox_taken,
            reply_seconds,
            replies,
            rejected,
            ignored,
            happened,
            gauges,
        }
    }

    /// A request was answered, so long after it arrived.
    pub(crate) fn answered(&self, waited: Wait) {
        self.replies.inc();
        let microseconds = u32::try_from(waited.0 / 1_000).unwrap_or(u32::MAX);
        self.reply_seconds.observe(f64::from(microseconds) / 1e6);
    }

    /// Somebody got no answer to a request.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.rejected.get_or_create(&Reason { reason }).inc();
    }

    /// Something happened to the replica.
    pub(crate) fn note(&self, note: &Note) {
        let kind = match note {
            Note::Ignored { kind, why, .. } => {
                let label = IgnoredMessage { message: format!("{kind:?}"), reason: format!("{why:?}") };
                self.ignored.get_or_create(&label).inc();
                return;
            }
            Note::Committed { .. } | Note::TableAt { .. } => return,
            Note::Opened { .. } => "opened",
            Note::WantsViewChange { .. } => "wants_view_change",
            Note::EnteredView { .. } => "entered_view",
            Note::ChoseLog { .. } => "chose_log",
            Note::BecamePrimary { .. } => "became_primary",
            Note::BecameBackup { .. } => "became_backup",
            Note::Abdicated { .. } => "abdicated",
            Note::HandingOver { .. } => "handing_over",
            Note::NoHandOver { .. } => "no_hand_over",
            Note::AskedForState { .. } => "asked_for_state",
            Note::TookState { .. } => "took_state",
            Note::CheckpointTaken { .. } => "checkpoint_taken",
            Note::CheckpointDurable { .. } => "checkpoint_durable",
            Note::LogCut { .. } => "log_cut",
            Note::AskedForCheckpoint { .. } => "asked_for_checkpoint",
            Note::CheckpointInstalled { .. } => "checkpoint_installed",
            Note::Truncated { .. } => "truncated",
            Note::Retransmitted { .. } => "retransmitted",
            Note::Reacknowledged { .. } => "reacknowledged",
            Note::Recovering { .. } => "recovering",
            Note::Recovered { .. } => "recovered",
            Note::Registered { .. } => "registered",
            Note::Evicted { .. } => "evicted",
            Note::SkippedDuplicate { .. } => "skipped_duplicate",
            Note::DamagedLog { .. } => "damaged_log",
            Note::RepairedLog { .. } => "repaired_log",
            Note::Outnumbered { .. } => "outnumbered",
            Note::Stopped { .. } => "stopped",
            Note::DuplicateRequest { .. } => "duplicate_request",
            Note::EpochEnds { .. } => "epoch_ends",
            Note::EpochBegan { .. } => "epoch_began",
            Note::LearnedEpoch { .. } => "learned_epoch",
            Note::EpochSettled { .. } => "epoch_settled",
            Note::ReadsGivenUp { .. } => "reads_given_up",
            _ => "other",
        };
        self.happened.get_or_create(&Kind { kind }).inc();
    }

    /// What the node looks like now.
    fn show(&self, status: &NodeStatus) {
        let gauges = &self.gauges;
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&gauges.epoch, status.epoch.0);
        set(&gauges.view, status.view.0);
        set(&gauges.log_view, status.log_view.0);
        set(&gauges.op, status.op.0);
        set(&gauges.durable, status.durable.0);
        set(&gauges.commit, status.commit.0);
        set(&gauges.executed, status.executed.0);
        set(&gauges.is_primary, u64::from(status.status == StatusName::Primary));
        let is_normal = matches!(status.status, StatusName::Primary | StatusName::Backup);
        set(&gauges.is_normal, u64::from(is_normal));
    }

    /// Adds an embedder's own.
    pub(crate) fn register_more(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All of it, as Prometheus reads it.
    pub(crate) fn text(&self, status: &NodeStatus) -> String {
        self.show(status);
        let depth = |gauge: &Gauge, value: usize| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        depth(&self.gauges.waiting, status.waiting);
        depth(&self.gauges.inbox, status.inbox_messages);
        depth(&self.gauges.upcalls, status.service_queue);
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}
