//! What is known of a running cluster: the newest events, and what each node looks like after them.
//!
//! Owns the ring of merged events, the fold of each node's state, its links, and what a browser is told. A browser that
//! is too slow loses events, and is told how many; it never holds memory here. Must not know HTTP. VIEW §5.2.

use super::fold::NodeView;
use super::merge::Merge;
use super::pull::Heard;
use super::redact::hide;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use vr_sim::view::window::Past;
use vr_tokio::ReplicaId;
use vr_tokio::vr_core::faults_tolerated;
use vr_tokio::vr_core::trace::{FORMAT, Group, Meta, Mode, Node, Producer, Redact, Remark, Snap, TraceEvent, What};

/// How many events are kept.
const RING: usize = 200_000;
/// A browser that lags behind by more begins anew.
const LAG_MAX: u64 = 50_000;
/// How many events a browser gets at once, at most.
const AT_ONCE: usize = 2_000;

/// What is known, shared by those who find it out and those who ask.
#[derive(Debug)]
pub(super) struct Live {
    inner: Mutex<Inner>,
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    /// Is clients' data shown, where nodes tell it?
    shows_values: bool,
    /// Which nodes tell it.
    tells_values: Vec<bool>,
    /// Names this run of the collector: cursors of another one mean nothing.
    run: u64,
    /// How often who is who turned out to be different.
    edition: u64,
    began: Instant,
    meta: Meta,
    merge: Merge,
    lines: VecDeque<String>,
    /// What the events said that are not kept any more.
    past: Past,
    nodes: Vec<NodeView>,
}

/// What a browser gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing new.
    Nothing,
    /// Events, a JSON object each, and the cursor behind them.
    Events(Vec<String>, Cursor),
    /// It lost so many, or cannot go on from where it was: everything as it is now, as JSON, and the cursor behind it.
    Snapshot(u64, String, Cursor),
}

/// Where a browser is in the events: of which run of the collector, and the next index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cursor {
    run: (u64, u64),
    next: u64,
}

impl Cursor {
    /// As a browser repeats it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (run, next) = text.rsplit_once('-')?;
        let (run, edition) = run.split_once('.')?;
        let run = (u64::from_str_radix(run, 16).ok()?, edition.parse().ok()?);
        Some(Self { run, next: next.parse().ok()? })
    }

    fn run(self) -> String {
        format!("{:016x}.{}", self.run.0, self.run.1)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.run(), self.next)
    }
}

/// How a node can be reached, as a browser is told it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(super) struct LinkLine {
    /// Who.
    n: Node,
    link: &'static str,
    heard_ms: Option<u64>,
}

#[derive(Serialize)]
struct NodeLine<'a> {
    #[serde(flatten)]
    link: LinkLine,
    #[serde(flatten)]
    view: &'a NodeView,
}

#[derive(Serialize)]
struct SnapshotLine<'a> {
    run: String,
    next: u64,
    meta: &'a TraceEvent,
    nodes: Vec<NodeLine<'a>>,
}

impl Live {
    /// Nothing is known of these nodes yet.
    pub(super) fn new(nodes: usize, shows_values: bool) -> Self {
        let members: Vec<_> = (0..nodes).map(replica).collect();
        let (wall, now) = (wall_ns(), Instant::now());
        let (meta, past) = (meta(members.clone(), wall), Past::of(&members));
        let views = members.into_iter().map(NodeView::new).collect();
        let run = getrandom::u64().unwrap_or(wall);
        // The first event of the trace is its header.
        let (merge, lines) = (Merge::new(nodes, wall, 1), VecDeque::new());
        let tells_values = vec![false; nodes];
        let mut inner =
            Inner { shows_values, tells_values, run, edition: 0, began: now, meta, merge, lines, past, nodes: views };
        inner.lines.push_back(line_of(&inner.header()));
        Self { inner: Mutex::new(inner), news: watch::Sender::new(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was heard of a node. What is worth a line to whoever started this is given back.
    pub(super) fn heard(&self, node: usize, heard: Heard) -> Option<String> {
        let mut inner = self.lock();
        let said = inner.heard(node, heard);
        self.tell(inner);
        said
    }

    /// Time has passed: what was held back for long enough is given out, and who has been silent for long is noticed.
    pub(super) fn tick(&self) {
        let mut inner = self.lock();
        inner.tick();
        self.tell(inner);
    }

    fn tell(&self, inner: MutexGuard<'_, Inner>) {
        let next = inner.merge.next();
        drop(inner);
        self.news.send_if_modified(|known| std::mem::replace(known, next) != next);
    }

    /// Wakes when there is something new.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// What a browser gets that has everything up to its cursor.
    pub(super) fn told(&self, cursor: Option<Cursor>) -> Told {
        let inner = self.lock();
        let (run, next) = ((inner.run, inner.edition), inner.merge.next());
        let behind = cursor.filter(|cursor| cursor.run == run && cursor.next <= next).map(|cursor| next - cursor.next);
        let kept = u64::try_from(inner.lines.len()).unwrap_or(u64::MAX).min(LAG_MAX);
        match behind {
            Some(0) => Told::Nothing,
            Some(behind) if behind <= kept => {
                let skip = inner.lines.len().saturating_sub(usize::try_from(behind).unwrap_or(usize::MAX));
                let lines: Vec<_> = inner.lines.range(skip..).take(AT_ONCE).cloned().collect();
                let next = next - behind + u64::try_from(lines.len()).unwrap_or(0);
                Told::Events(lines, Cursor { run, next })
            }
            _ => Told::Snapshot(behind.unwrap_or(0), inner.snapshot(), Cursor { run, next }),
        }
    }

    /// Everything as it is now, as JSON.
    pub(super) fn snapshot(&self) -> String {
        self.lock().snapshot()
    }

    /// How each node can be reached.
    pub(super) fn links(&self) -> Vec<LinkLine> {
        let inner = self.lock();
        inner.shown().map(|node| inner.link_of(node)).collect()
    }

    /// The events that are kept, behind what must be known of those that are not.
    pub(super) fn events(&self) -> Vec<TraceEvent> {
        let (header, past, lines) = {
            let inner = self.lock();
            (inner.header(), inner.past.clone(), inner.lines.clone())
        };
        let mut kept: Vec<TraceEvent> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if kept.first().is_some_and(|first| matches!(first.what, What::Meta(_))) {
            kept[0] = header;
            return kept;
        }
        let Some(first) = kept.first() else { return vec![header] };
        let mut events = past.opening(&header, first).unwrap_or_else(|| vec![header]);
        events.append(&mut kept);
        events
    }

    /// Every node as it is now: a header, then a state for each that is known.
    pub(super) fn present(&self) -> Vec<TraceEvent> {
        let inner = self.lock();
        let (next, t) = (inner.merge.next(), inner.elapsed());
        let states = inner.shown().filter_map(|node| Some((node.name(), node.state()?.clone())));
        let snaps = states.map(|(node, state)| TraceEvent::at(t, node, What::Snap(Snap { state: Box::new(state) })));
        let header = TraceEvent { t, ..inner.header() };
        std::iter::once(header).chain(snaps).map(|event| TraceEvent { i: next, ..event }).collect()
    }

    /// The present moment, on the clock of the events.
    pub(super) fn elapsed(&self) -> u64 {
        self.lock().elapsed()
    }

    /// Who is away, and why, in a sentence each.
    pub(super) fn absent(&self) -> Vec<String> {
        self.lock().shown().filter_map(NodeView::absence).collect()
    }

    /// Is every node known, or known to be away?
    pub(super) fn is_complete(&self) -> bool {
        self.lock().shown().all(NodeView::is_settled)
    }
}

impl Inner {
    fn header(&self) -> TraceEvent {
        TraceEvent { i: 0, t: 0, n: Some(Node::Sim), by: None, lc: None, what: What::Meta(Box::new(self.meta.clone())) }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX)
    }

    fn heard(&mut self, node: usize, heard: Heard) -> Option<String> {
        let now = self.now();
        let (events, lost) = match heard {
            Heard::Events(events) => (events, None),
            Heard::Lost(why) => (Vec::new(), Some(why)),
        };
        if let Some(why) = lost {
            let this = self.nodes.get_mut(node)?;
            let (name, (was_there, is_news)) = (this.name(), this.lost(&why));
            if was_there {
                self.give_out_all(node);
                self.remark(node, "unreachable", format!("is unreachable: {why}"));
            }
            return is_news.then(|| format!("{name} is unreachable: {why}"));
        }
        for mut event in events {
            if let What::Meta(meta) = &event.what {
                self.begins(node, event.n, meta);
                continue;
            }
            if !self.shows_values && self.tells_values.get(node) == Some(&true) {
                hide(&mut event.what);
            }
            if let Some(life) = self.nodes.get_mut(node).and_then(|this| this.begins_life(&event)) {
                // A node that was started again says so with its state.
                let restart = TraceEvent { what: What::Restarted(life), by: None, ..event.clone() };
                self.merge.push(node, restart, now);
            }
            self.merge.push(node, event, now);
        }
        let name = self.nodes.get(node)?.name();
        let was = self.nodes.get_mut(node)?.heard(now);
        if was == "up" {
            return None;
        }
        self.remark(node, "reachable", "is heard".to_owned());
        (was == "down").then(|| format!("{name} is heard"))
    }

    /// A node tells who it is.
    fn begins(&mut self, node: usize, name: Option<Node>, meta: &Meta) {
        self.give_out_all(node);
        let Some(Node::Replica(id)) = name else { return };
        let wall = meta.wall.as_deref().and_then(|wall| wall.parse().ok()).unwrap_or(0);
        self.merge.begin(node, Node::Replica(id), wall);
        let known: Vec<_> = self.nodes.iter().map(NodeView::name).collect();
        if known.get(node) != Some(&Node::Replica(id)) {
            if let Some(other) = known.iter().position(|known| *known == Node::Replica(id)) {
                let names = (known[node], known[other]);
                self.nodes[other].rename(names.0);
            }
            self.nodes[node].rename(Node::Replica(id));
            self.edition += 1;
        }
        let is_full = meta.redact == Redact::Full;
        self.tells_values.iter_mut().skip(node).take(1).for_each(|tells| *tells = is_full);
        let redact = if is_full && !self.shows_values { Redact::Hash } else { meta.redact };
        let group = &meta.config;
        if self.meta.config != *group || self.meta.redact != redact {
            if self.meta.config.members != group.members {
                self.past = Past::of(&group.members);
            }
            (self.meta.config, self.meta.redact) = (group.clone(), redact);
            self.edition += 1;
        }
        for member in &group.members {
            if !self.nodes.iter().any(|node| node.name() == *member) && self.nodes.len() < 64 {
                self.nodes.push(NodeView::new(*member));
            }
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        let mut out = Vec::new();
        self.merge.release(now, |node, event| out.push((node, event)));
        for (node, event) in out {
            self.put(node, event);
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].falls_silent(now) {
                self.remark(node, "silent", "says nothing".to_owned());
            }
        }
    }

    fn give_out_all(&mut self, node: usize) {
        let mut out = Vec::new();
        self.merge.release_all(node, |event| out.push(event));
        for event in out {
            self.put(node, event);
        }
    }

    fn remark(&mut self, node: usize, what: &'static str, text: String) {
        let Some(name) = self.nodes.get(node).map(NodeView::name) else { return };
        let remark = What::Note(Remark { what: Some(what.into()), text: text.into(), at: None });
        let event = self.merge.remark(name, remark, wall_ns());
        self.put(node, event);
    }

    fn put(&mut self, node: usize, event: TraceEvent) {
        if let Some(view) = self.nodes.get_mut(node) {
            view.take(&event);
        }
        if self.lines.len() >= RING
            && let Some(event) = self.lines.pop_front().and_then(|line| serde_json::from_str(&line).ok())
        {
            self.past.apply(&event);
        }
        self.lines.push_back(line_of(&event));
    }

    /// The nodes worth showing: not those that were never heard, once it is known that there is no such member.
    fn shown(&self) -> impl Iterator<Item = &NodeView> {
        let members = &self.meta.config.members;
        self.nodes.iter().filter(|node| node.heard_at().is_some() || members.contains(&node.name()))
    }

    fn link_of(&self, node: &NodeView) -> LinkLine {
        let heard_ms = node.heard_at().map(|at| self.now().saturating_sub(at).as_millis());
        let heard_ms = heard_ms.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX));
        LinkLine { n: node.name(), link: node.link(), heard_ms }
    }

    fn snapshot(&self) -> String {
        let nodes = self.shown().map(|view| NodeLine { link: self.link_of(view), view }).collect();
        let next = self.merge.next();
        let run = Cursor { run: (self.run, self.edition), next }.run();
        let line = SnapshotLine { run, next, meta: &self.header(), nodes };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// The header of the merged trace. What it does not know yet the nodes tell.
fn meta(members: Vec<Node>, wall: u64) -> Meta {
    let count = members.len();
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let config = Group {
        f: number(faults_tolerated(count)),
        quorum: number(count / 2 + 1),
        members,
        epoch: 0,
        clients: None,
        checkpoint_every: None,
    };
    Meta {
        format: FORMAT.into(),
        producer: Some(Producer { name: "kv-demo view".into(), version: env!("CARGO_PKG_VERSION").into(), git: None }),
        mode: Mode::Live,
        seed: None,
        repro: None,
        config,
        faults: None,
        redact: Redact::Hash,
        wall: Some(wall.to_string()),
    }
}

fn replica(id: usize) -> Node {
    Node::Replica(ReplicaId(u16::try_from(id).unwrap_or(u16::MAX)))
}

fn line_of(event: &TraceEvent) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
