//! What was measured, as a table and as JSON: the same figures in both.
//!
//! Owns the words. Must not know how any of it was measured.

use super::Args;
use super::histogram::Histogram;
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

/// The figures of a run.
#[derive(Debug)]
pub(super) struct Report {
    latencies: Histogram,
    first_error: Option<String>,
    figures: Figures,
}

/// As JSON has them.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    store: &'static str,
    endpoints: String,
    clients: u16,
    value_bytes: u32,
    reads_percent: u8,
    batch: u16,
    ops: u64,
    requests: u64,
    errors: u64,
    seconds: f64,
    ops_per_s: f64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
    longest_gap_ms: f64,
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

impl Report {
    pub(super) fn new(args: &Args, endpoints: String) -> Self {
        let figures = Figures {
            store: if args.etcd.is_some() { "etcd" } else { "kv-demo" },
            endpoints,
            clients: args.clients,
            value_bytes: args.value_bytes,
            reads_percent: args.reads,
            batch: args.batch,
            ops: 0,
            requests: 0,
            errors: 0,
            seconds: 0.0,
            ops_per_s: 0.0,
            p50_ms: 0.0,
            p90_ms: 0.0,
            p99_ms: 0.0,
            p999_ms: 0.0,
            max_ms: 0.0,
            longest_gap_ms: 0.0,
        };
        Self { latencies: Histogram::default(), first_error: None, figures }
    }

    pub(super) fn add(&mut self, latencies: &Histogram) {
        self.latencies.merge(latencies);
    }

    pub(super) fn finish(&mut self, took: Duration, longest_gap: Duration, errors: (u64, Option<String>)) {
        let (latencies, figures) = (&self.latencies, &mut self.figures);
        figures.requests = latencies.count();
        figures.ops = figures.requests * u64::from(figures.batch);
        figures.errors = errors.0;
        figures.seconds = ms(took) / 1e3;
        let ops = Duration::from_secs(figures.ops).as_secs_f64();
        figures.ops_per_s = (ops / took.as_secs_f64().max(1e-9)).round();
        figures.p50_ms = ms(latencies.per_mille(500));
        figures.p90_ms = ms(latencies.per_mille(900));
        figures.p99_ms = ms(latencies.per_mille(990));
        figures.p999_ms = ms(latencies.per_mille(999));
        figures.max_ms = ms(latencies.longest());
        figures.longest_gap_ms = ms(longest_gap);
        self.first_error = errors.1;
    }

    /// True when nothing was answered.
    pub(super) const fn is_empty(&self) -> bool {
        self.latencies.count() == 0
    }

    /// Operations a second.
    pub(super) const fn ops_per_second(&self) -> f64 {
        self.figures.ops_per_s
    }

    /// What went wrong first, if anything did.
    pub(super) fn error(&self) -> Option<&str> {
        self.first_error.as_deref()
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(&self.figures).unwrap_or_default()
    }

    pub(super) fn table(&self) -> String {
        let Figures { store, endpoints, clients, value_bytes, reads_percent, batch, .. } = &self.figures;
        let Figures { ops, requests, errors, seconds, ops_per_s, longest_gap_ms, .. } = &self.figures;
        let Figures { p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. } = &self.figures;
        let mut out = String::new();
        let _ = writeln!(out, "{store} at {endpoints}");
        let reads = if *reads_percent == 0 { String::new() } else { format!(", {reads_percent} % reads") };
        let _ = writeln!(out, "{clients} clients, values of {value_bytes} bytes, {batch} in a request{reads}");
        let _ = writeln!(out);
        let _ = writeln!(out, "ops          {ops:>12}   in {requests} requests and {seconds:.1} s");
        let _ = writeln!(out, "ops/s        {ops_per_s:>12.0}");
        let _ = writeln!(out, "errors       {errors:>12}");
        for (name, value) in [("p50", p50_ms), ("p90", p90_ms), ("p99", p99_ms), ("p99.9", p999_ms), ("max", max_ms)] {
            let _ = writeln!(out, "{name:<12} {value:>12.2} ms");
        }
        let _ = writeln!(out, "longest gap  {longest_gap_ms:>12.2} ms");
        if let Some(error) = &self.first_error {
            let _ = writeln!(out, "first error  {error}");
        }
        out
    }
}
