//! Legal sequences of writes, as a replica would issue them, from a list of small decisions.
//!
//! Owns what is legal. Must not know files.

use crate::wal::Identity;
use bytes::Bytes;
use vr_core::{
    Checkpoint, ClientId, ClusterConfig, ClusterId, Entries, Entry, Hash, Head, Instance, Kind, Log, Op, Predicted,
    ReplicaId, Request, RequestNumber, Session, Stored, View, Write,
};

/// One decision.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The next incarnation begins.
    Incarnation,
    /// The next view is promised.
    View,
    /// Entries follow.
    Append {
        /// How many.
        entries: usize,
        /// How many bytes each has.
        body: usize,
    },
    /// The end of the log is another one, in the next view.
    Replace {
        /// How many entries go.
        back: u64,
        /// How many come.
        entries: usize,
    },
    /// The end of the log once more, as it was.
    Repair {
        /// How many entries of it.
        back: u64,
    },
    /// An orderly stop.
    Clean,
    /// A checkpoint is taken.
    Checkpoint {
        /// So many ops before the end of the log.
        back: u64,
        /// How many bytes the state of the service has.
        state: usize,
    },
    /// The log is cut behind the checkpoint.
    Cut {
        /// So many ops before it.
        back: u64,
    },
    /// A checkpoint from elsewhere takes the place of everything.
    Install {
        /// So many ops and one more behind the end of the log.
        ahead: u64,
        /// How many entries follow it.
        entries: usize,
    },
    /// An epoch begins, with a checkpoint.
    Epoch {
        /// So many ops behind the end of the log.
        ahead: u64,
    },
    /// Everything so far becomes durable.
    Sync,
    /// The log says how far it is durable.
    Mark,
}

/// Whose disk it is.
#[must_use]
pub fn identity() -> Identity {
    Identity { cluster: ClusterConfig::of_size(ClusterId(77), 3), id: ReplicaId(1) }
}

/// What a disk that was just formatted holds.
#[must_use]
pub fn formatted(instance: Instance) -> Stored {
    let identity = identity();
    Stored::format(identity.cluster.cluster, identity.cluster.digest(), identity.id, instance)
}

/// `count` entries that follow the log through `after`.
fn entries(log: &Log, after: Op, view: View, count: usize, body: usize) -> Option<Entries> {
    let (mut op, mut parent) = (after, log.hash(after)?);
    let make = |i| {
        op = op.next();
        let request = Request {
            client: ClientId(5),
            session: Session(1),
            number: RequestNumber(op.0),
            kind: Kind::Operation,
            predicted: Predicted { wall_ns: op.0, seed: u64::try_from(i).unwrap_or(0) },
            body: Bytes::from(vec![b'b'; body]),
        };
        let entry = Entry::new(view.epoch(), view, op, parent, request);
        parent = entry.hash();
        entry
    };
    Entries::new((0..count).map(make).collect()).ok()
}

/// What is before it is executed, and stays.
fn floor(stored: &Stored) -> Op {
    stored.checkpoint.as_ref().map_or(Op::ZERO, Checkpoint::op).max(stored.log.base().op)
}

fn checkpoint(head: Head, state: usize) -> Checkpoint {
    Checkpoint::new(head, Predicted::default(), Bytes::from_static(b"table"), Bytes::from(vec![b's'; state]))
}

/// What gives back all of `log` that follows `keep`.
#[must_use]
pub fn repair(log: &Log, keep: Op) -> Option<Write> {
    let entries = Entries::new(log.after(keep).cloned().collect()).ok()?;
    Some(Write::Repair { keep, entries })
}

/// The write of a step after `stored`; `None` when it is none.
#[must_use]
pub fn write_of(step: Step, stored: &Stored) -> Option<Write> {
    match step {
        Step::Incarnation => Some(Write::Incarnation(stored.incarnation.next())),
        Step::View => Some(Write::View(stored.view.next())),
        Step::Append { entries: count, body } => {
            Some(Write::Append(entries(&stored.log, stored.log.op(), stored.view, count, body)?))
        }
        Step::Replace { back, entries: count } => {
            let keep = Op(stored.log.op().0.saturating_sub(back)).max(floor(stored));
            let view = stored.view.next();
            Some(Write::Replace { keep, entries: entries(&stored.log, keep, view, count, 40)?, view })
        }
        Step::Repair { back } => {
            let keep = Op(stored.log.op().0.saturating_sub(back)).max(stored.log.base().op);
            repair(&stored.log, keep)
        }
        Step::Clean => Some(Write::Clean),
        Step::Checkpoint { back, state } => {
            let op = Op(stored.log.op().0.saturating_sub(back));
            if op <= floor(stored) {
                return None;
            }
            Some(Write::Checkpoint(Box::new(checkpoint(Head { op, hash: stored.log.hash(op)? }, state))))
        }
        Step::Cut { back } => {
            let checkpoint = stored.checkpoint.as_ref()?;
            Some(Write::Cut { through: Op(checkpoint.op().0.saturating_sub(back)) })
        }
        Step::Install { ahead, entries: count } => install(stored, ahead + 1, stored.view.next(), count),
        Step::Epoch { ahead } => install(stored, ahead, View::first_of(stored.view.epoch().next()), 0),
        Step::Sync | Step::Mark => None,
    }
}

/// A checkpoint from elsewhere, so many ops behind the end of the log, and `count` entries that follow it.
fn install(stored: &Stored, ahead: u64, view: View, count: usize) -> Option<Write> {
    let op = stored.log.op().plus(ahead).max(floor(stored).next());
    let head = Head { op, hash: stored.log.hash(op).unwrap_or(Hash(u128::from(op.0) << 32)) };
    // No two are the same: a checkpoint that was lost would be back with the next one like it.
    let state = 900 + usize::try_from((view.0 + 37 * view.epoch().0) % 512).unwrap_or(0);
    let entries = entries(&Log::new(head), op, view, count, 40)?;
    Some(Write::Install { checkpoint: Box::new(checkpoint(head, state)), entries, view })
}
