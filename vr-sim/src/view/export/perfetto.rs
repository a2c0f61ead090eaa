//! A trace for Perfetto and for browsers' own viewers: the Trace Event Format (JSON).
//!
//! Owns what becomes a slice, an arrow, a span, a counter or a mark: each step of a replica is a slice, a message an arrow
//! from slice to slice. Must not know what a step means. VIEW §5.3.
//!
//! - A replica is a process with the threads protocol, disk and timers; a client one with calls and messages.
//! - A step takes no time in a simulation: its slice lasts a microsecond, and those of a thread stand one after the other.
//! - What a replica is in which view, and each write until it is synced, are spans; op, commit and durable are counters.

mod json;

use self::json::{Place, Writer};
use crate::view::names::Names;
use crate::view::{glyphs, words};
use std::collections::BTreeMap;
use vr_core::trace::{DiskAct, DiskEvent, Name, Node, Received, Status, TraceEvent, What};

/// A slice lasts so long, in nanoseconds, when nothing is known.
const STEP: u64 = 1_000;

/// The threads of a replica.
const PROTOCOL: u64 = 1;
const DISK: u64 = 2;
const TIMERS: u64 = 3;
/// The threads of a client.
const CALLS: u64 = 1;
const MESSAGES: u64 = 2;

/// The events of a trace, as one JSON object.
#[must_use]
pub fn export(events: &[TraceEvent]) -> String {
    let mut export = Export::default();
    events.iter().for_each(|event| export.take(event));
    export.end()
}

/// A step of a replica that may go on.
struct Step {
    /// Its first event.
    head: u64,
    place: Place,
    name: String,
    did: Vec<String>,
}

/// What a replica is, until it is something else.
#[derive(Default)]
struct Standing {
    view: u64,
    status: Option<Status>,
    /// Its span, and that one's name.
    span: Option<(u64, String)>,
    /// Op, commit and durable.
    progress: [Option<u64>; 3],
    /// Spans of writes that are not synced, by their numbers.
    writes: BTreeMap<u64, u64>,
}

#[derive(Default)]
struct Export {
    out: Writer,
    names: Names,
    pids: BTreeMap<Node, u64>,
    steps: BTreeMap<Node, Step>,
    standing: BTreeMap<Node, Standing>,
    /// When the last slice of a thread ends.
    ends: BTreeMap<(u64, u64), u64>,
    /// Where each message was sent, by the event.
    sent: BTreeMap<u64, Place>,
    /// Since when clients wait, and for what.
    calls: BTreeMap<Node, (u64, String)>,
    now: u64,
    spans: u64,
    arrows: u64,
}

impl Export {
    fn take(&mut self, event: &TraceEvent) {
        self.names.meet(event);
        self.now = self.now.max(event.t);
        if let What::Meta(meta) = &event.what {
            self.out.about(meta.repro.as_deref());
        }
        match event.n {
            Some(node @ Node::Replica(_)) => self.at_replica(node, event),
            Some(node @ Node::Client(_)) => self.at_client(node, event),
            Some(node @ (Node::Net | Node::Sim)) => {
                let scope = if matches!(event.what, What::Violated(_)) { "g" } else { "t" };
                self.mark(node, event, scope);
            }
            None => {}
        }
    }

    fn end(mut self) -> String {
        for node in self.steps.keys().copied().collect::<Vec<_>>() {
            self.finish(node);
        }
        for (node, (since, name)) in std::mem::take(&mut self.calls) {
            let place = Place { pid: self.pid(node), tid: CALLS, ts: since };
            self.out.slice(place, self.now.saturating_sub(since).max(STEP), &name, &[]);
        }
        for node in self.standing.keys().copied().collect::<Vec<_>>() {
            self.stands_no_more(node);
        }
        self.out.end()
    }

    /// The process of a node.
    fn pid(&mut self, node: Node) -> u64 {
        if let Some(pid) = self.pids.get(&node) {
            return *pid;
        }
        // Ids of replicas have 16 bits.
        let others = u64::try_from(self.pids.len()).expect("an address has at most 64 bits") + 100_000;
        let (pid, threads): (u64, &[(u64, &str)]) = match node {
            Node::Replica(id) => (u64::from(id.0) + 1, &[(PROTOCOL, "protocol"), (DISK, "disk"), (TIMERS, "timers")]),
            Node::Client(_) => (others, &[(CALLS, "calls"), (MESSAGES, "messages")]),
            Node::Net => (others, &[(PROTOCOL, "what became of messages")]),
            Node::Sim => (others, &[(PROTOCOL, "what was done to the cluster")]),
        };
        self.pids.insert(node, pid);
        self.out.process(pid, &self.names.of(node), threads);
        pid
    }

    /// A slice of a thread begins when it says so, and not before the last one ended.
    fn place(&mut self, pid: u64, tid: u64, ts: u64) -> Place {
        let end = self.ends.entry((pid, tid)).or_insert(0);
        let ts = ts.max(*end);
        *end = ts + STEP;
        Place { pid, tid, ts }
    }

    fn said(&self, event: &TraceEvent) -> String {
        self.names.plain(&words::of(event))
    }

    fn mark(&mut self, node: Node, event: &TraceEvent, scope: &str) {
        let (pid, name) = (self.pid(node), self.said(event));
        let place = Place { pid, tid: PROTOCOL, ts: event.t };
        self.out.instant(place, &format!("{} {name}", glyphs::of_kind(event.what.kind())), scope, event.i);
    }

    // ---- replicas

    fn at_replica(&mut self, node: Node, event: &TraceEvent) {
        let pid = self.pid(node);
        let goes_on = self.steps.get(&node).is_some_and(|step| event.by == Some(step.head));
        if !goes_on {
            self.finish(node);
            self.begin(node, pid, event);
        }
        let line = format!("{} {}", glyphs::of_kind(event.what.kind()), self.said(event));
        if let Some(step) = self.steps.get_mut(&node) {
            step.did.push(line);
            if let What::Sent(_) = event.what {
                self.sent.insert(event.i, step.place);
            }
        }
        if let What::Snap(snap) = &event.what {
            self.stands(node, event.t, &snap.state);
        } else if let What::Set(change) = &event.what {
            self.stands(node, event.t, change);
        } else if let What::Disk(disk) = &event.what {
            self.writes(node, event.t, disk);
        } else if let What::Crashed(_) = event.what {
            self.mark(node, event, "p");
            self.stands_no_more(node);
        }
    }

    fn begin(&mut self, node: Node, pid: u64, event: &TraceEvent) {
        let (tid, name) = if let What::Received(received) = &event.what {
            (PROTOCOL, received.ty.clone())
        } else if let What::Timer(timer) = &event.what {
            (TIMERS, timer.name.clone())
        } else if let What::Disk(_) = event.what {
            (DISK, Name::Borrowed("synced"))
        } else {
            (PROTOCOL, Name::Borrowed(event.what.kind()))
        };
        let from = if let What::Received(_) = event.what { event.by } else { None };
        let sent = from.and_then(|by| self.sent.get(&by)).copied();
        // It arrives after it was sent, though slices of the sender may have been moved.
        let place = self.place(pid, tid, event.t.max(sent.map_or(0, |sent| sent.ts + 1)));
        if let (Some(sent), What::Received(received)) = (sent, &event.what) {
            self.arrow(sent, place, received);
        }
        self.steps.insert(node, Step { head: event.i, place, name: name.into_owned(), did: Vec::new() });
    }

    fn arrow(&mut self, from: Place, to: Place, received: &Received) {
        self.arrows += 1;
        self.out.arrow(self.arrows, from, to, &received.ty);
    }

    fn finish(&mut self, node: Node) {
        if let Some(step) = self.steps.remove(&node) {
            self.out.slice(step.place, STEP, &step.name, &step.did);
        }
    }

    /// What it is now, as a span and as counters.
    fn stands(&mut self, node: Node, t: u64, change: &vr_core::trace::State) {
        let pid = self.pid(node);
        let known = self.standing.entry(node).or_default();
        (known.view, known.status) = (change.view.unwrap_or(known.view), change.status.or(known.status));
        let progress = [change.op, change.commit, change.durable];
        for (known, new) in known.progress.iter_mut().zip(progress) {
            *known = new.or(*known);
        }
        if progress.iter().any(Option::is_some) {
            self.out.counter(Place { pid, tid: PROTOCOL, ts: t }, known.progress);
        }
        let status = known.status.map_or("?", Status::word).replace('_', " ");
        let name = format!("view {} {status}", known.view);
        if known.span.as_ref().is_some_and(|(_, is)| *is == name) {
            return;
        }
        self.spans += 1;
        if let Some((id, was)) = known.span.replace((self.spans, name.clone())) {
            self.out.span("e", Place { pid, tid: PROTOCOL, ts: t }, id, "status", &was);
        }
        self.out.span("b", Place { pid, tid: PROTOCOL, ts: t }, self.spans, "status", &name);
    }

    fn writes(&mut self, node: Node, t: u64, disk: &DiskEvent) {
        let pid = self.pid(node);
        let (place, known) = (Place { pid, tid: DISK, ts: t }, self.standing.entry(node).or_default());
        let Some(w) = disk.w else { return };
        match disk.act {
            DiskAct::Write => {
                self.spans += 1;
                known.writes.insert(w, self.spans);
                self.out.span("b", place, self.spans, "disk", &format!("write {w}"));
            }
            DiskAct::Fsync => {
                let later = known.writes.split_off(&w.saturating_add(1));
                for (w, id) in std::mem::replace(&mut known.writes, later) {
                    self.out.span("e", place, id, "disk", &format!("write {w}"));
                }
            }
            DiskAct::Read => {}
        }
    }

    /// Its spans end.
    fn stands_no_more(&mut self, node: Node) {
        let (pid, ts) = (self.pid(node), self.now);
        let Some(known) = self.standing.remove(&node) else { return };
        if let Some((id, name)) = known.span {
            self.out.span("e", Place { pid, tid: PROTOCOL, ts }, id, "status", &name);
        }
        for (w, id) in known.writes {
            self.out.span("e", Place { pid, tid: DISK, ts }, id, "disk", &format!("write {w}"));
        }
    }

    // ---- clients

    fn at_client(&mut self, node: Node, event: &TraceEvent) {
        let pid = self.pid(node);
        if let What::Invoked(call) = &event.what {
            let (f, input) = (&call.f, &call.input);
            let name = self.names.plain(&format!("{f}({input})"));
            if let Some((since, open)) = self.calls.insert(node, (event.t, name)) {
                let place = Place { pid, tid: CALLS, ts: since };
                self.out.slice(place, event.t.saturating_sub(since), &open, &[]);
            }
        } else if let What::Returned(end) = &event.what {
            let Some((since, name)) = self.calls.remove(&node) else { return };
            let out = end.out.as_deref().unwrap_or_default();
            let did = self.names.plain(&format!("{}: {out}", end.st));
            let place = Place { pid, tid: CALLS, ts: since };
            self.out.slice(place, event.t.saturating_sub(since).max(STEP), &name, &[did]);
        } else if let What::Sent(sent) = &event.what {
            let place = self.place(pid, MESSAGES, event.t);
            let did = self.said(event);
            self.out.slice(place, STEP, &sent.ty, &[did]);
            self.sent.insert(event.i, place);
        } else {
            self.mark(node, event, "t");
        }
    }
}

#[cfg(test)]
mod tests;
