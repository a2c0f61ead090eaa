//! What a log and its disk count: latencies, sizes, groups, refusals, findings.
//!
//! Owns the names and the buckets. Must not know who reads them.

use super::error::{Finding, FindingKind};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Which kind of finding.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Found {
    kind: &'static str,
}

/// Counters of one log. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// How long a sync takes, in seconds.
    pub(crate) sync_seconds: Histogram,
    /// How many writes one sync covers.
    pub(crate) group_writes: Histogram,
    /// Bytes handed to the disk.
    pub(crate) bytes: Counter,
    /// Writes that are durable.
    pub(crate) writes: Counter,
    /// Writes that wait for the disk.
    pub(crate) queued: Gauge,
    /// Bytes that the files take.
    pub(crate) size_bytes: Gauge,
    /// 1 while there is no space.
    pub(crate) full: Gauge,
    /// How often space was asked for in vain.
    pub(crate) reservations_failed: Counter,
    /// Writes and syncs that failed.
    pub(crate) failures: Counter,
    found: Family<Found, Counter>,
    /// Bytes that were read again while the log is in use.
    pub(crate) scrub_bytes: Counter,
    /// How often everything was.
    pub(crate) scrub_passes: Counter,
    scrub_found: Family<Found, Counter>,
    /// What of it was written again.
    pub(crate) scrub_repaired: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            sync_seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 18)),
            group_writes: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            bytes: Counter::default(),
            writes: Counter::default(),
            queued: Gauge::default(),
            size_bytes: Gauge::default(),
            full: Gauge::default(),
            reservations_failed: Counter::default(),
            failures: Counter::default(),
            found: Family::default(),
            scrub_bytes: Counter::default(),
            scrub_passes: Counter::default(),
            scrub_found: Family::default(),
            scrub_repaired: Counter::default(),
        }
    }
}

impl Metrics {
    /// Counts what was found when the log was opened.
    pub fn found(&self, findings: &[Finding]) {
        for finding in findings {
            let kind = match finding.kind {
                FindingKind::Torn => "torn",
                FindingKind::Rot => "rot",
                FindingKind::Copy => "copy",
            };
            self.found.get_or_create(&Found { kind }).inc();
        }
    }

    /// Counts what was found to be rotten while the log is in use.
    pub(crate) fn scrub_found(&self, kind: &'static str) {
        self.scrub_found.get_or_create(&Found { kind }).inc();
    }

    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("vr_wal");
        registry.register("sync_seconds", "How long a sync of the log takes", self.sync_seconds.clone());
        registry.register("group_writes", "How many writes one sync covers", self.group_writes.clone());
        registry.register("bytes", "Bytes written to the log", self.bytes.clone());
        registry.register("writes", "Writes that became durable", self.writes.clone());
        registry.register("queued_writes", "Writes that wait for the disk", self.queued.clone());
        registry.register("size_bytes", "Bytes that the files of the log take", self.size_bytes.clone());
        registry.register("full", "1 while there is no space for the log", self.full.clone());
        let failed = self.reservations_failed.clone();
        registry.register("reservations_failed", "How often space for the log was asked for in vain", failed);
        registry.register("failures", "Writes and syncs that failed; the replica stops", self.failures.clone());
        registry.register("findings", "What was found when the log was opened, by kind", self.found.clone());
        registry.register("scrub_bytes", "Bytes of the log read again while it is in use", self.scrub_bytes.clone());
        registry.register("scrub_passes", "How often all of the log was read again", self.scrub_passes.clone());
        let found = self.scrub_found.clone();
        registry.register("scrub_findings", "What of it did not check any more, by kind", found);
        let repaired = self.scrub_repaired.clone();
        registry.register("scrub_repaired", "What of that was written again", repaired);
    }
}
