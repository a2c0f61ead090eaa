//! What a storage is given to write: a replica's life in a few dozen writes, every kind of them among it.
//!
//! Owns the list. Each step is legal after those before it. Must not know what becomes of them.

use crate::conformance::{elsewhere, entries_after};
use bytes::Bytes;
use vr_core::{Checkpoint, Head, Op, Predicted, Stored, Write};

/// A step of the story.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chapter {
    Write(Step),
    Sync,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Incarnation,
    View,
    /// So many entries of so many bytes.
    Append(u64, usize),
    /// So many go, so many come.
    Replace(u64, u64),
    Clean,
    /// So far before the end of the log.
    Checkpoint(u64),
    Cut,
    /// So far ahead of the log.
    Install(u64),
}

pub(super) fn story() -> impl Iterator<Item = Chapter> {
    use Chapter::{Sync, Write};
    use Step::{Append, Clean, Cut, Incarnation, Install, Replace, View};
    let first = [
        Write(Incarnation),
        Sync,
        Write(Append(1, 10)),
        Write(Append(3, 700)),
        Sync,
        Write(Append(2, 100)),
        Write(View),
        Sync,
        Write(Replace(3, 2)),
        Write(Append(1, 2000)),
        Sync,
        Write(Step::Checkpoint(2)),
        Sync,
        Write(Cut),
        Write(Append(4, 900)),
        Sync,
        Write(Replace(0, 0)),
        Sync,
        Write(Clean),
        Sync,
    ];
    let second = [
        Write(Incarnation),
        Write(View),
        Sync,
        Write(Install(20)),
        Sync,
        Write(Append(2, 1500)),
        Write(Append(2, 20)),
        Write(Append(1, 4000)),
        Sync,
        Write(Step::Checkpoint(1)),
        Write(Cut),
        Sync,
        Write(Append(3, 300)),
        Write(View),
        Write(Append(1, 30)),
    ];
    first.into_iter().chain(second)
}

impl Step {
    /// The write after `stored`.
    pub(super) fn write(self, stored: &Stored) -> Option<Write> {
        let (log, view) = (&stored.log, stored.view.next());
        Some(match self {
            Self::Incarnation => Write::Incarnation(stored.incarnation.next()),
            Self::View => Write::View(view),
            Self::Append(count, bytes) => Write::Append(entries_after(log.head(), stored.view, count, bytes)),
            Self::Replace(back, count) => {
                let keep = Op(log.op().0.saturating_sub(back)).max(log.base().op);
                let entries = entries_after(Head { op: keep, hash: log.hash(keep)? }, view, count, 50);
                Write::Replace { keep, entries, view }
            }
            Self::Clean => Write::Clean,
            Self::Checkpoint(back) => {
                let op = Op(log.op().0.saturating_sub(back));
                Write::Checkpoint(checkpoint(Head { op, hash: log.hash(op)? }))
            }
            Self::Cut => Write::Cut { through: stored.checkpoint.as_ref()?.op() },
            Self::Install(ahead) => {
                let head = elsewhere(log.op().plus(ahead));
                Write::Install { checkpoint: checkpoint(head), entries: entries_after(head, view, 2, 60), view }
            }
        })
    }
}

fn checkpoint(head: Head) -> Box<Checkpoint> {
    let state = vec![b's'; 3000];
    Box::new(Checkpoint::new(head, Predicted::default(), b"table".to_vec().into(), Bytes::from(state)))
}
