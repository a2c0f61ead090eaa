//! What a reader is told: where the replica stands, what it missed, and under load how much there was.
//!
//! Owns an observer without a node, whose steps are made by hand. Must not know HTTP.

use super::ring::Reader;
use super::*;
use crate::clock;
use crate::config::NodeAddresses;
use bytes::Bytes;
use std::net::SocketAddr;
use vr_core::{
    Action, ClientId, ClusterConfig, ClusterId, Epoch, Incarnation, Kind, Note, Op, Predicted, ReplicaId, Request,
    RequestNumber, Session, StatusName, View,
};

/// Milliseconds, on the clock of steps.
const MS: u64 = 1_000_000;

/// A replica that only ever gets requests.
struct Watched {
    observer: Observer,
    ring: Ring,
    metrics: EventsMetrics,
    now: Snapshot,
    clock: u64,
}

impl Watched {
    fn new(ring: usize) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let nodes: Vec<_> = (0..3).map(|id| NodeAddresses::new(id, "x", address, address)).collect();
        let mut config = NodeConfig::new(ClusterConfig::of_size(ClusterId(7), 3), ReplicaId(0), nodes).expect("valid");
        config.events.ring = ring;
        let (now, metrics, clock) = (snapshot(), EventsMetrics::default(), 1);
        let observer = Observer::new(&config, Time(clock), 1_000_000_000, (&now, &config.cluster.group()), &metrics);
        Self { ring: observer.ring(), observer, metrics, now, clock }
    }

    /// A step after so many milliseconds that takes so many requests, one op each; `and` is what else it leads to.
    fn step(&mut self, ms: u64, requests: u64, and: &[Action]) {
        self.clock += ms * MS;
        let (at, before) = (Time(self.clock), self.now);
        self.now.op = Op(self.now.op.0 + requests);
        self.now.commit = self.now.op;
        if !self.observer.is_read(at, || before) {
            return;
        }
        let requests = (0..requests).map(|_| request()).collect();
        let event = self.observer.keep(&Event { at, input: Input::Requests(requests) });
        self.observer.stepped(&Step { before: &before, event: &event, actions: and, after: &self.now });
    }

    fn look(&mut self) {
        self.observer.look(Time(self.clock), &self.now);
    }

    /// A reader that comes as one over HTTP does.
    fn reader(&mut self, cursor: Option<u64>) -> Reader {
        let reader = self.ring.reader(cursor);
        self.look();
        reader
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        id: ReplicaId(0),
        incarnation: Incarnation(1),
        status: StatusName::Primary,
        epoch: Epoch::ZERO,
        view: View(0),
        log_view: View(0),
        primary: ReplicaId(0),
        op: Op::ZERO,
        base: Op::ZERO,
        checkpoint: Op::ZERO,
        durable: Op::ZERO,
        commit: Op::ZERO,
        executed: Op::ZERO,
        wants_view_change: false,
        witness: false,
    }
}

fn request() -> Request {
    let (client, session, number) = (ClientId(1), Session(1), RequestNumber(1));
    let body = Bytes::from_static(b"12345");
    Request { client, session, number, kind: Kind::Operation, predicted: Predicted::default(), body }
}

fn kinds(events: &[TraceEvent]) -> Vec<&'static str> {
    events.iter().map(|event| event.what.kind()).collect()
}

/// All that is there for a reader.
fn read(reader: &mut Reader) -> Vec<TraceEvent> {
    std::iter::from_fn(|| reader.page()).flatten().collect()
}

/// The op-number of the state that a `snap` or a `set` tells.
fn op_of(event: &TraceEvent) -> Option<u64> {
    if let What::Snap(snap) = &event.what {
        return snap.state.op;
    }
    let What::Set(set) = &event.what else { return None };
    set.op
}

#[test]
fn while_nobody_reads_no_event_is_made() {
    let mut replica = Watched::new(1000);
    for _ in 0..1000 {
        replica.step(1, 3, &[]);
    }
    assert_eq!(replica.metrics.made(), 0);
}

#[test]
fn a_reader_begins_with_what_the_trace_is_of_and_where_the_replica_stands() {
    let mut replica = Watched::new(1000);
    replica.step(1, 7, &[]);
    let mut reader = replica.reader(None);
    let events = read(&mut reader);
    assert_eq!(kinds(&events), ["meta", "snap"]);
    assert_eq!(op_of(&events[1]), Some(7));
    replica.step(1, 1, &[]);
    let more = read(&mut reader);
    assert_eq!(kinds(&more), ["recv", "set", "commit"]);
    assert_eq!(more[0].i, events[1].i + 1, "indices go on");
    let mut second = replica.reader(None);
    assert_eq!(op_of(&read(&mut second)[1]), Some(8), "whoever comes later begins later");
}

#[test]
fn a_reader_that_comes_back_in_time_misses_nothing_and_one_from_before_an_unread_stretch_is_told_of_a_gap() {
    let mut replica = Watched::new(1000);
    replica.clock = clock::now().0;
    let mut reader = replica.reader(None);
    let next = read(&mut reader).last().expect("where it stands").i + 1;
    drop(reader);
    replica.step(1, 1, &[]);
    let mut reader = replica.reader(Some(next));
    assert_eq!(kinds(&read(&mut reader)), ["recv", "set", "commit"]);
    drop(reader);
    for _ in 0..5 {
        replica.step(60_000, 1, &[]);
    }
    let mut reader = replica.reader(Some(next));
    let events = read(&mut reader);
    assert_eq!(kinds(&events), ["recv", "set", "commit", "gap", "snap"]);
    assert_eq!((&events[3].what, op_of(&events[4])), (&What::Gap(Gap { lost: 5 }), Some(6)));
}

#[test]
fn a_reader_that_lags_behind_and_one_of_an_earlier_life_get_a_gap_and_the_state() {
    let mut replica = Watched::new(4);
    let mut reader = replica.reader(None);
    let next = read(&mut reader).last().expect("where it stands").i + 1;
    for _ in 0..9 {
        replica.step(1, 1, &[]);
    }
    let events = read(&mut reader);
    assert_eq!(kinds(&events), ["gap", "snap"]);
    assert_eq!((&events[0].what, op_of(&events[1])), (&What::Gap(Gap { lost: 27 }), Some(9)));
    assert!(read(&mut reader).is_empty());
    for cursor in [0, 17, next + 1_000_000] {
        assert_eq!(kinds(&read(&mut replica.reader(Some(cursor)))), ["meta", "gap", "snap"]);
    }
}

#[test]
fn under_load_messages_are_counted_and_the_state_is_told_nevertheless() {
    let mut replica = Watched::new(100_000);
    let mut reader = replica.reader(None);
    read(&mut reader);
    for _ in 0..1000 {
        replica.step(1, 10, &[]);
    }
    replica.look();
    let events = read(&mut reader);
    assert!(events.len() < 1000, "{} events of 10,000 requests", events.len());
    let shown = events.iter().filter(|event| matches!(event.what, What::Received(_))).count();
    let counted = events.iter().filter_map(|event| {
        let What::Aggregated(some) = &event.what else { return None };
        assert_eq!((some.bytes, &*some.ty, some.from), (5 * some.count, "Request", Node::Net));
        Some(some.count)
    });
    assert_eq!(u64::try_from(shown).expect("few") + counted.sum::<u64>(), 10_000, "each is shown or counted");
    assert_eq!(events.iter().rev().find_map(op_of), Some(10_000));
    let commits = events.iter().filter_map(|event| {
        let What::Committed(commit) = &event.what else { return None };
        Some(commit.op)
    });
    assert_eq!(commits.max(), Some(10_000));
}

#[test]
fn under_load_what_is_not_ordinary_is_shown_at_once_and_afterwards_everything_is_again() {
    let mut replica = Watched::new(100_000);
    let mut reader = replica.reader(None);
    for _ in 0..100 {
        replica.step(1, 10, &[]);
    }
    read(&mut reader);
    let before = replica.now.op.0;
    replica.step(1, 10, &[Action::Note(Note::Abdicated { view: View(0) })]);
    let events = read(&mut reader);
    assert_eq!(kinds(&events), ["agg", "set", "commit", "set", "commit", "note"]);
    assert_eq!(op_of(&events[1]), Some(before), "first what was only counted");
    for _ in 0..20 {
        replica.step(100, 1, &[]);
    }
    read(&mut reader);
    replica.step(100, 1, &[]);
    assert_eq!(kinds(&read(&mut reader)), ["recv", "set", "commit"]);
}

#[tokio::test]
async fn a_reader_hears_that_nothing_happens_and_that_nothing_will() {
    let mut replica = Watched::new(1000);
    let mut reader = replica.reader(None);
    assert_eq!(kinds(&reader.next().await.expect("where it stands")), ["meta", "snap"]);
    assert_eq!(reader.next().await, Some(Vec::new()));
    replica.observer.ended();
    assert_eq!(reader.next().await, None);
}
