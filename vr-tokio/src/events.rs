//! The trace stream: a bounded ring of what observers see of this replica's steps.
//!
//! Owns the ring and what its readers are told. A reader never slows the replica: who lags behind is told of a gap.
//! Events are `vr_core::trace`'s; their `t` counts from the node's start, whose wall clock the first one has. Must not
//! know HTTP. VIEW.md §5.1; DESIGN 9.22.

use crate::config::NodeConfig;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use vr_core::trace::{FORMAT, Gap, Group, Meta, Mode, Node, Producer, Recorder, Snap, State, Step, TraceEvent, What};
use vr_core::{Action, Snapshot, Time, faults_tolerated};

/// How many senders of messages are remembered, to name the cause of what happens to a message.
const WINDOW: usize = 4096;

/// What the node tells of each step.
#[derive(Debug)]
pub(crate) struct Observer {
    recorder: Recorder,
    ring: Ring,
    /// When the node started, on the clock of its steps: `t` counts from there.
    origin: Time,
}

impl Observer {
    /// One that begins with what the trace is of.
    pub(crate) fn new(config: &NodeConfig, ring: Ring, origin: Time, wall_ns: u64) -> Self {
        let mut recorder = Recorder::new(config.events.redact, WINDOW);
        let what = What::Meta(Box::new(meta(config, wall_ns)));
        let meta = recorder.record(TraceEvent::at(0, Node::Replica(config.id), what));
        ring.lock().push(meta);
        Self { recorder, ring, origin }
    }

    /// The replica has started.
    pub(crate) fn opened(&mut self, at: u64, actions: &[Action], after: &Snapshot) {
        let (at, Self { recorder, ring, .. }) = (at.saturating_sub(self.origin.0), self);
        ring.extend(at, after, |mut push| recorder.opened(at, actions, after, &mut push));
    }

    /// It has taken an event.
    pub(crate) fn stepped(&mut self, step: &Step<'_>) {
        let (at, Self { recorder, ring, .. }) = (step.event.at.0.saturating_sub(self.origin.0), self);
        ring.extend(at, step.after, |mut push| recorder.step(at, step, &mut push));
    }

    /// Nothing comes any more.
    pub(crate) fn ended(&self) {
        self.ring.end();
    }
}

/// What the trace is of, and the wall clock at its `t` = 0.
fn meta(config: &NodeConfig, wall_ns: u64) -> Meta {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let cluster = &config.cluster;
    let group = Group {
        members: cluster.members.iter().copied().map(Node::Replica).collect(),
        epoch: 0,
        f: number(faults_tolerated(cluster.members.len())),
        quorum: number(cluster.quorum()),
        clients: None,
        checkpoint_every: Some(cluster.checkpoint_interval.into()),
    };
    Meta {
        format: FORMAT.into(),
        producer: Some(Producer { name: "vr-tokio".into(), version: env!("CARGO_PKG_VERSION").into(), git: None }),
        mode: Mode::Live,
        seed: None,
        repro: None,
        config: group,
        faults: None,
        redact: config.events.redact,
        wall: Some(wall_ns.to_string()),
    }
}

/// The newest events, shared between the node and its readers.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    inner: Arc<Mutex<Inner>>,
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    events: VecDeque<TraceEvent>,
    capacity: usize,
    next: u64,
    /// What the replica looked like after the newest of them, and when.
    latest: Option<(u64, Snapshot)>,
}

impl Inner {
    fn push(&mut self, event: TraceEvent) {
        self.next = event.i + 1;
        if self.events.len() >= self.capacity {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// What stands for everything before the next event.
    fn gap(&self, lost: u64) -> Vec<TraceEvent> {
        let Some((at, snapshot)) = &self.latest else { return Vec::new() };
        let (i, node) = (self.next.saturating_sub(1), Node::Replica(snapshot.id));
        let event = |what| TraceEvent { i, ..TraceEvent::at(*at, node, what) };
        let snap = Snap { state: Box::new(State::of(snapshot)) };
        vec![event(What::Gap(Gap { lost })), event(What::Snap(snap))]
    }
}

/// What a reader gets at once.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) events: Vec<TraceEvent>,
    /// Where to read on.
    pub(crate) next: u64,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Self {
        let inner = Inner { events: VecDeque::new(), capacity: capacity.max(1), next: 0, latest: None };
        Self { inner: Arc::new(Mutex::new(inner)), news: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extend(&self, at: u64, after: &Snapshot, events: impl FnOnce(&mut dyn FnMut(TraceEvent))) {
        let mut inner = self.lock();
        let before = inner.next;
        events(&mut |event| inner.push(event));
        let next = inner.next;
        if next > before {
            inner.latest = Some((at, *after));
            drop(inner);
            self.news.send_replace(next);
        }
    }

    /// The events from `from` on, at most `most` of them. When some of those are gone: a gap, what the replica looks
    /// like now, and nothing of what lies between. A cursor that lies ahead is from before a restart: the same.
    pub(crate) fn page(&self, from: u64, most: usize) -> Page {
        let inner = self.lock();
        let oldest = inner.events.front().map_or(inner.next, |event| event.i);
        if from < oldest || from > inner.next {
            return Page { events: inner.gap(inner.next.saturating_sub(from)), next: inner.next };
        }
        let skip = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        let events: Vec<_> = inner.events.iter().skip(skip).take(most).cloned().collect();
        let next = events.last().map_or(from, |event| event.i + 1);
        Page { events, next }
    }

    /// Waits until there is an event with the index `from`. False when there will be none.
    pub(crate) async fn wait_for(&self, from: u64) -> bool {
        let mut news = self.news.subscribe();
        let news = news.wait_for(|next| *next > from).await;
        news.is_ok_and(|next| *next != u64::MAX)
    }

    fn end(&self) {
        self.news.send_replace(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(capacity: usize, events: u64) -> Ring {
        let ring = Ring::new(capacity);
        let mut inner = ring.lock();
        for i in 0..events {
            let what = What::Gap(Gap { lost: i });
            inner.push(TraceEvent { i, ..TraceEvent::at(i, Node::Replica(vr_core::ReplicaId(0)), what) });
        }
        drop(inner);
        ring
    }

    #[test]
    fn a_reader_that_keeps_up_gets_every_event_once() {
        let ring = ring(8, 6);
        let page = ring.page(0, 4);
        assert_eq!(page.events.iter().map(|event| event.i).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let page = ring.page(page.next, 4);
        assert_eq!(page.events.iter().map(|event| event.i).collect::<Vec<_>>(), [4, 5]);
        assert!(ring.page(page.next, 4).events.is_empty());
    }

    #[test]
    fn a_reader_that_lags_behind_is_sent_to_the_end() {
        assert_eq!(ring(4, 9).page(2, 100).next, 9);
        assert_eq!(ring(4, 9).page(5, 100).events.len(), 4);
        assert_eq!(ring(4, 9).page(77, 100).next, 9, "a cursor of an earlier life");
    }
}
