//! Legal sequences of writes, as a replica would issue them, from a list of small decisions.
//!
//! Owns what is legal. Must not know files.

use bytes::Bytes;
use proptest::prelude::*;
use vr_core::{
    Checkpoint, ClientId, ClusterConfig, ClusterId, Entries, Entry, Epoch, Hash, Head, Instance, Kind, Log, Op,
    Predicted, ReplicaId, Request, RequestNumber, Session, Stored, View, Write,
};
use vr_tokio::wal::Identity;

/// One decision.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Incarnation,
    View,
    Append {
        entries: usize,
        body: usize,
    },
    Replace {
        back: u64,
        entries: usize,
    },
    Clean,
    Checkpoint {
        back: u64,
        state: usize,
    },
    Cut {
        back: u64,
    },
    Install {
        ahead: u64,
        entries: usize,
    },
    /// Everything so far becomes durable.
    Sync,
    Mark,
}

pub(crate) fn steps(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => Just(Step::Incarnation),
        2 => Just(Step::View),
        6 => (1usize..4, 0usize..700).prop_map(|(entries, body)| Step::Append { entries, body }),
        2 => (0u64..6, 0usize..4).prop_map(|(back, entries)| Step::Replace { back, entries }),
        1 => Just(Step::Clean),
        1 => (0u64..5, 0usize..3000).prop_map(|(back, state)| Step::Checkpoint { back, state }),
        2 => (0u64..3).prop_map(|back| Step::Cut { back }),
        1 => (0u64..9, 0usize..4).prop_map(|(ahead, entries)| Step::Install { ahead, entries }),
        5 => Just(Step::Sync),
        1 => Just(Step::Mark),
    ];
    proptest::collection::vec(step, 1..longest)
}

pub(crate) fn identity() -> Identity {
    Identity { cluster: ClusterConfig::of_size(ClusterId(77), 3), id: ReplicaId(1) }
}

/// What a disk that was just formatted holds.
pub(crate) fn formatted(instance: Instance) -> Stored {
    let identity = identity();
    Stored::format(identity.cluster.cluster, identity.cluster.digest(), identity.id, instance)
}

/// `count` entries that follow the log through `after`.
pub(crate) fn entries(log: &Log, after: Op, view: View, count: usize, body: usize) -> Entries {
    let (mut op, mut parent) = (after, log.hash(after).unwrap());
    let make = |i| {
        op = op.next();
        let request = Request {
            client: ClientId(5),
            session: Session(1),
            number: RequestNumber(op.0),
            kind: Kind::Operation,
            predicted: Predicted { wall_ns: op.0, seed: u64::try_from(i).unwrap() },
            body: Bytes::from(vec![b'b'; body]),
        };
        let entry = Entry::new(Epoch::ZERO, view, op, parent, request);
        parent = entry.hash();
        entry
    };
    Entries::new((0..count).map(make).collect()).unwrap()
}

/// What is before it is executed, and stays.
fn floor(stored: &Stored) -> Op {
    stored.checkpoint.as_ref().map_or(Op::ZERO, Checkpoint::op).max(stored.log.base().op)
}

fn checkpoint(head: Head, state: usize) -> Checkpoint {
    Checkpoint::new(head, Predicted::default(), Bytes::from_static(b"table"), Bytes::from(vec![b's'; state]))
}

/// The write of a step after `stored`; `None` when it is none.
pub(crate) fn write_of(step: Step, stored: &Stored) -> Option<Write> {
    match step {
        Step::Incarnation => Some(Write::Incarnation(stored.incarnation.next())),
        Step::View => Some(Write::View(stored.view.next())),
        Step::Append { entries: count, body } => {
            Some(Write::Append(entries(&stored.log, stored.log.op(), stored.view, count, body)))
        }
        Step::Replace { back, entries: count } => {
            let keep = Op(stored.log.op().0.saturating_sub(back)).max(floor(stored));
            let view = stored.view.next();
            Some(Write::Replace { keep, entries: entries(&stored.log, keep, view, count, 40), view })
        }
        Step::Clean => Some(Write::Clean),
        Step::Checkpoint { back, state } => {
            let op = Op(stored.log.op().0.saturating_sub(back));
            if op <= floor(stored) {
                return None;
            }
            Some(Write::Checkpoint(Box::new(checkpoint(Head { op, hash: stored.log.hash(op).unwrap() }, state))))
        }
        Step::Cut { back } => {
            let checkpoint = stored.checkpoint.as_ref()?;
            Some(Write::Cut { through: Op(checkpoint.op().0.saturating_sub(back)) })
        }
        Step::Install { ahead, entries: count } => {
            let op = stored.log.op().plus(ahead + 1);
            let head = Head { op, hash: Hash(u128::from(op.0) << 32) };
            let (view, log) = (stored.view.next(), Log::new(head));
            let entries = entries(&log, op, view, count, 40);
            Some(Write::Install { checkpoint: Box::new(checkpoint(head, 900)), entries, view })
        }
        Step::Sync | Step::Mark => None,
    }
}
