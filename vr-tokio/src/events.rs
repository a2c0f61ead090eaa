//! The trace stream: what observers see of this replica's steps, told only while somebody reads.
//!
//! Owns the observer: when it looks at all, and when it counts messages instead of showing each. Unread, a step costs
//! one load of an atomic. Events are `vr_core::trace`'s; their `t` counts from the node's start, whose wall clock
//! `meta` has. Must not know HTTP. VIEW.md §5.1, §5.2; DESIGN 9.22.

mod ring;
#[cfg(test)]
mod tests;
mod traffic;

pub(crate) use self::ring::Ring;

use self::traffic::{Traffic, is_ordinary};
use crate::config::NodeConfig;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use vr_core::trace::{
    Committed, FORMAT, Gap, Group, Meta, Mode, Node, Producer, Recorder, Snap, State, Step, TraceEvent, What,
};
use vr_core::{Event, Input, Snapshot, Time, faults_tolerated};

/// How many senders of messages are remembered, to name the cause of what happens to a message.
const WINDOW: usize = 4096;

/// What the trace stream counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventsMetrics {
    made: Counter,
    readers: Gauge,
}

impl EventsMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("trace_events", "Events made for readers of the trace stream", self.made.clone());
        registry.register("trace_readers", "Readers of the trace stream", self.readers.clone());
    }

    /// How many events were made.
    #[cfg(test)]
    pub(crate) fn made(&self) -> u64 {
        self.made.get()
    }
}

/// What the node tells of each step.
#[derive(Debug)]
pub(crate) struct Observer {
    recorder: Recorder,
    ring: Ring,
    made: Counter,
    /// When the node started, on the clock of its steps: `t` counts from there.
    origin: Time,
    /// Nobody reads, and the ring says so.
    is_asleep: bool,
    /// How many steps nobody saw since.
    unseen: u64,
    /// What the replica looks like, by the events made so far.
    told: Snapshot,
    traffic: Traffic,
}

impl Observer {
    /// One that begins with what the trace is of, and with nobody who reads it.
    pub(crate) fn new(
        config: &NodeConfig,
        origin: Time,
        wall_ns: u64,
        (now, group): (&Snapshot, &vr_core::Group),
        metrics: &EventsMetrics,
    ) -> Self {
        let me = Node::Replica(config.id);
        // No index of an earlier life is as large: a cursor tells which life it is of. JavaScript counts as far.
        let mut recorder = Recorder::new(config.events.redact, WINDOW).starting_at(wall_ns / 1_000);
        let meta = recorder.record(TraceEvent::at(0, me, What::Meta(Box::new(meta(config, group, wall_ns)))));
        let ring = Ring::new(config.events.ring, meta, metrics.readers.clone());
        let (made, traffic) = (metrics.made.clone(), Traffic::new(me));
        Self { recorder, ring, made, origin, is_asleep: true, unseen: 0, told: *now, traffic }
    }

    /// Where its events go.
    pub(crate) fn ring(&self) -> Ring {
        self.ring.clone()
    }

    /// Does somebody read, now, before a step of a replica that looks like this?
    pub(crate) fn is_read(&mut self, now: Time, before: impl FnOnce() -> Snapshot) -> bool {
        if self.ring.is_read(now) {
            if self.is_asleep {
                self.wake(now, &before());
            }
            return true;
        }
        if !self.is_asleep {
            self.is_asleep = true;
            self.ring.sleep();
        }
        self.unseen += 1;
        false
    }

    /// A reader came, or waits for news: it is told where the replica stands.
    pub(crate) fn look(&mut self, now: Time, snapshot: &Snapshot) {
        if self.is_asleep && self.ring.is_read(now) {
            self.wake(now, snapshot);
        } else if !self.is_asleep {
            self.flush(now, snapshot);
        }
    }

    /// What will be told of an event, kept while the replica takes it. While messages are only counted, those that
    /// bring many things leave them behind: copying them is what would cost.
    pub(crate) fn keep(&mut self, event: &Event) -> Event {
        self.traffic.turn(event.at);
        self.traffic.arrives(&event.input);
        if !self.traffic.is_busy() {
            return event.clone();
        }
        let input = if let Input::Request(_) | Input::Requests(_) = event.input {
            Input::Requests(Vec::new())
        } else if let Input::ExecutedRun { first, .. } = event.input {
            Input::ExecutedRun { first, replies: Vec::new() }
        } else {
            event.input.clone()
        };
        Event { at: event.at, input }
    }

    /// The replica has taken what was kept.
    pub(crate) fn stepped(&mut self, step: &Step<'_>) {
        let at = step.event.at;
        self.traffic.leaves(step.actions);
        if self.traffic.is_busy() && is_ordinary(step) {
            if self.traffic.is_due(at) {
                self.flush(at, step.after);
            }
            return;
        }
        self.flush(at, step.before);
        let t = self.since_start(at);
        let Self { recorder, ring, made, .. } = self;
        ring.extend(t, step.after, |push| {
            recorder.step(t, step, &mut |event| {
                made.inc();
                push(event);
            });
        });
        self.told = *step.after;
    }

    /// Nothing comes any more.
    pub(crate) fn ended(&self) {
        self.ring.end();
    }

    const fn since_start(&self, at: Time) -> u64 {
        at.0.saturating_sub(self.origin.0)
    }

    /// Somebody reads again: what happened meanwhile is a gap.
    fn wake(&mut self, now: Time, snapshot: &Snapshot) {
        self.is_asleep = false;
        self.traffic.begin(now);
        let lost = std::mem::take(&mut self.unseen);
        let snap = What::Snap(Snap { state: Box::new(State::of(snapshot)) });
        self.tell(now, snapshot, [What::Gap(Gap { lost }), snap]);
    }

    /// Tells what was only counted so far, and what became of the replica meanwhile.
    fn flush(&mut self, now: Time, snapshot: &Snapshot) {
        let mut news: Vec<_> = self.traffic.take(now);
        if let Some(change) = State::change(&self.told, snapshot) {
            news.push(What::Set(Box::new(change)));
        }
        if snapshot.commit > self.told.commit {
            news.push(What::Committed(Committed { op: snapshot.commit.0 }));
        }
        if !news.is_empty() {
            self.tell(now, snapshot, news);
        }
    }

    fn tell(&mut self, now: Time, snapshot: &Snapshot, news: impl IntoIterator<Item = What>) {
        let (t, me) = (self.since_start(now), Node::Replica(snapshot.id));
        let Self { recorder, ring, made, .. } = self;
        ring.extend(t, snapshot, |push| {
            for what in news {
                made.inc();
                push(recorder.record(TraceEvent::at(t, me, what)));
            }
        });
        self.told = *snapshot;
    }
}

/// What the trace is of, and the wall clock at its `t` = 0.
fn meta(config: &NodeConfig, of: &vr_core::Group, wall_ns: u64) -> Meta {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let cluster = &config.cluster;
    let group = Group {
        members: of.members().iter().map(|member| Node::Replica(member.id)).collect(),
        epoch: of.epoch().0,
        f: number(faults_tolerated(of.members().len())),
        quorum: number(of.quorum()),
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
