//! The records of the Trace Event Format, written one after the other.
//!
//! Owns their keys, and times in microseconds with three more digits. Must not know what they are of.

use std::fmt::Write;

/// Where and when: process, thread, and the moment in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) pid: u64,
    pub(super) tid: u64,
    pub(super) ts: u64,
}

#[derive(Default)]
pub(super) struct Writer {
    records: String,
    repro: Option<String>,
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn micros(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000, ns % 1_000)
}

impl Writer {
    /// The command that repeats what is shown.
    pub(super) fn about(&mut self, repro: Option<&str>) {
        self.repro = repro.map(str::to_owned);
    }

    fn record(&mut self, ph: &str, place: Place, name: &str, more: &str) {
        let Place { pid, tid, ts } = place;
        let (comma, name, ts) = (if self.records.is_empty() { "" } else { ",\n" }, quoted(name), micros(ts));
        // Writing to a text cannot fail.
        let _ = write!(
            self.records,
            "{comma}{{\"ph\":\"{ph}\",\"pid\":{pid},\"tid\":{tid},\"ts\":{ts},\"name\":{name}{more}}}"
        );
    }

    /// A process, its name and its threads'.
    pub(super) fn process(&mut self, pid: u64, name: &str, threads: &[(u64, &str)]) {
        let named = |name: &str| format!(",\"args\":{{\"name\":{}}}", quoted(name));
        let at = |tid| Place { pid, tid, ts: 0 };
        self.record("M", at(0), "process_name", &named(name));
        self.record("M", at(0), "process_sort_index", &format!(",\"args\":{{\"sort_index\":{pid}}}"));
        for (tid, name) in threads {
            self.record("M", at(*tid), "thread_name", &named(name));
        }
    }

    /// Something that lasts, on a thread that does nothing else meanwhile.
    pub(super) fn slice(&mut self, place: Place, dur: u64, name: &str, did: &[String]) {
        let did: Vec<_> = did.iter().map(|line| quoted(line)).collect();
        let (dur, did) = (micros(dur), did.join(","));
        self.record("X", place, name, &format!(",\"cat\":\"step\",\"dur\":{dur},\"args\":{{\"did\":[{did}]}}"));
    }

    /// A message from slice to slice.
    pub(super) fn arrow(&mut self, id: u64, from: Place, to: Place, name: &str) {
        self.record("s", from, name, &format!(",\"cat\":\"message\",\"id\":{id}"));
        self.record("f", to, name, &format!(",\"cat\":\"message\",\"id\":{id},\"bp\":\"e\""));
    }

    /// The beginning (`b`) or the end (`e`) of something that others may overlap.
    pub(super) fn span(&mut self, ph: &str, place: Place, id: u64, cat: &str, name: &str) {
        self.record(ph, place, name, &format!(",\"cat\":\"{cat}\",\"id\":{id}"));
    }

    /// Op, commit and durable.
    pub(super) fn counter(&mut self, place: Place, [op, commit, durable]: [Option<u64>; 3]) {
        let values = [("op", op), ("commit", commit), ("durable", durable)].into_iter();
        let known = values.filter_map(|(name, value)| value.map(|value| format!("\"{name}\":{value}")));
        let known: Vec<_> = known.collect();
        self.record("C", place, "log", &format!(",\"args\":{{{}}}", known.join(",")));
    }

    /// Something that takes no time: of a thread (`t`), of a process (`p`), of all (`g`).
    pub(super) fn instant(&mut self, place: Place, name: &str, scope: &str, i: u64) {
        self.record("i", place, name, &format!(",\"cat\":\"mark\",\"s\":\"{scope}\",\"args\":{{\"event\":{i}}}"));
    }

    /// All of it.
    pub(super) fn end(self) -> String {
        let repro = self.repro.map_or_else(|| "null".to_owned(), |repro| quoted(&repro));
        let Self { records, .. } = self;
        format!(
            "{{\"displayTimeUnit\":\"ms\",\"otherData\":{{\"format\":\"vrtrace/1\",\"repro\":{repro}}},\
             \"traceEvents\":[\n{records}\n]}}\n"
        )
    }
}
