//! What a replica knows after a crash: the fold of its durable writes, in order.
//!
//! Owns that fold. It *is* the specification of a write-ahead log: opening one must give exactly
//! this, in the simulator and on disk alike. Must not know when anything is written. PROTOCOL §6.

use crate::action::Write;
use crate::checkpoint::Checkpoint;
use crate::entry::{Entries, Entry, genesis};
use crate::id::{ClusterId, Epoch, Hash, Incarnation, Instance, Op, ReplicaId, View};
use crate::log::{Head, Log};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a disk says of the part of its log that it can no longer read.
///
/// A record that was never confirmed durable and does not check was torn by the crash, and is simply not there. A
/// confirmed one that does not check is *rotten*, and so is one that is not where it was written: this replica may have
/// acknowledged what stood in it, so that it must be neither passed over in silence nor taken for the end of the log
/// (PROTOCOL D56, D57, DESIGN 9.6).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Damage {
    /// The first op that is lost: everything before it is whole, and the log that is given ends before it.
    pub from: Op,
    /// What is whole behind it, in order, with a hole before each: a piece begins after its base, which its first
    /// entry names. A hole may be of no length where it is not sure that a piece follows what stands before it. No more
    /// than 65,536 of them: with more, what lies behind these is left out, and the end is not certain.
    pub pieces: Vec<Log>,
    /// The last piece ends where the log ended for certain, and `view` and `log_view` are those of that log. The chain
    /// of hashes then names the whole log that was here, lost entries included. False when what is lost may be the end
    /// of the log, or a record that made it the log of another view; and when there is no piece.
    pub is_end_certain: bool,
}

impl Damage {
    /// A log of which everything from `from` on is lost, and with it where it ended.
    #[must_use]
    pub const fn of_end(from: Op) -> Self {
        Self { from, pieces: Vec::new(), is_end_certain: false }
    }

    /// The view in which the last entry of the log was made, if its end is known for certain: what does not end in an
    /// entry is not.
    pub(crate) fn view_at_end(&self) -> Option<View> {
        let last = self.pieces.last().filter(|_| self.is_end_certain)?;
        last.entry(last.op()).map(Entry::view)
    }
}

/// The durable state of one replica.
///
/// Incarnation, view and log_view are kept apart from the log, twice over: a disk that lost *them* is not opened at all
/// (PROTOCOL D45, D60). What can rot here is the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stored {
    /// The cluster this disk was formatted for.
    pub cluster: ClusterId,
    /// The digest of the replicated configuration it was formatted with.
    pub config: Hash,
    /// The replica this disk was formatted for.
    pub id: ReplicaId,
    /// This disk.
    pub instance: Instance,
    /// How often the replica was started; 0 means never: a virgin disk.
    pub incarnation: Incarnation,
    /// The epoch.
    pub epoch: Epoch,
    /// The promise: never to act in an earlier view.
    pub view: View,
    /// The last view in which the replica was normal; the log holds that view's whole initial log.
    pub log_view: View,
    /// The log; when it is damaged, what of it is whole.
    pub log: Log,
    /// Whether confirmed records of the log do not check any more. Found when a disk is opened, never written; gone
    /// once a whole log has taken the place of the damaged one.
    pub damage: Option<Damage>,
    /// The last life ended in an orderly stop and nothing followed: all that the replica knew is here. Never with a
    /// damage.
    pub clean: bool,
    /// The newest checkpoint, if there is one: what a start begins from. The log begins at or before it and reaches it:
    /// what is lost before it is not missed.
    pub checkpoint: Option<Checkpoint>,
}

impl Stored {
    /// A freshly formatted disk: an explicit step of the operator, never a default (PROTOCOL D60).
    #[must_use]
    pub fn format(cluster: ClusterId, config: Hash, id: ReplicaId, instance: Instance) -> Self {
        Self {
            cluster,
            config,
            id,
            instance,
            incarnation: Incarnation::ZERO,
            epoch: Epoch::ZERO,
            view: View::ZERO,
            log_view: View::ZERO,
            log: Log::new(Head { op: Op::ZERO, hash: genesis(cluster) }),
            damage: None,
            clean: false,
            checkpoint: None,
        }
    }

    /// Adds one write.
    ///
    /// # Panics
    /// When the writes are not those of one replica in order: a gap in the log, an incarnation that was there before.
    pub fn apply(&mut self, write: Write) {
        // The mark of an orderly stop says that nothing follows: whatever follows takes it back.
        self.clean = matches!(write, Write::Clean);
        match write {
            Write::Incarnation(incarnation) => {
                assert!(incarnation > self.incarnation, "an incarnation begins once");
                self.incarnation = incarnation;
            }
            Write::View(view) => self.promise(view),
            Write::Append(entries) => self.log.append(entries),
            Write::Replace { keep, entries, view } => {
                self.log.truncate(keep);
                self.log.append(entries);
                self.promise(view);
                self.log_view = view;
                self.damage = None;
            }
            Write::Clean => {}
            Write::Checkpoint(checkpoint) => self.checkpoint = Some(*checkpoint),
            Write::Cut { through } => self.log.cut(through),
            Write::Install { checkpoint, entries, view } => {
                self.log = Log::new(checkpoint.head());
                self.log.append(entries);
                self.checkpoint = Some(*checkpoint);
                self.promise(view);
                self.log_view = view;
                self.damage = None;
            }
            Write::Repair { keep, entries } => {
                self.log.truncate(keep);
                self.log.append(entries);
                self.damage = None;
            }
        }
    }

    /// The epoch is that of the view: they cannot be apart (PROTOCOL D92).
    const fn promise(&mut self, view: View) {
        (self.view, self.epoch) = (view, view.epoch());
    }

    /// Adds the part of a write that a crash left behind. Entries are written one by one, so that a torn
    /// append keeps its first `entries`; every other record is atomic and a torn one is not there at all.
    pub fn apply_torn(&mut self, write: Write, entries: usize) {
        match write {
            Write::Append(all) if entries > 0 => {
                self.clean = false;
                self.log.append(all.take(entries));
            }
            Write::Append(_)
            | Write::Incarnation(_)
            | Write::View(_)
            | Write::Replace { .. }
            | Write::Clean
            | Write::Checkpoint(_)
            | Write::Cut { .. }
            | Write::Install { .. }
            | Write::Repair { .. } => {}
        }
    }

    /// The entries a write brings.
    #[must_use]
    pub const fn entries_of(write: &Write) -> Option<&Entries> {
        match write {
            Write::Append(entries)
            | Write::Replace { entries, .. }
            | Write::Install { entries, .. }
            | Write::Repair { entries, .. } => Some(entries),
            Write::Incarnation(_) | Write::View(_) | Write::Clean | Write::Checkpoint(_) | Write::Cut { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Kind, Predicted, Request};
    use crate::id::{ClientId, RequestNumber, Session};
    use alloc::boxed::Box;
    use bytes::Bytes;

    fn disk() -> (Stored, Entries) {
        let stored = Stored::format(ClusterId(1), Hash(2), ReplicaId(0), Instance(3));
        let head = stored.log.head();
        let request = Request {
            client: ClientId(1),
            session: Session(0),
            number: RequestNumber(0),
            kind: Kind::Register,
            predicted: Predicted::default(),
            body: Bytes::new(),
        };
        let entry = Entry::new(Epoch(0), View(0), head.op.next(), head.hash, request);
        (stored, Entries::new(alloc::vec![entry]).expect("one entry is a chain"))
    }

    #[test]
    fn the_mark_of_an_orderly_stop_stands_until_anything_follows_it() {
        let (mut stored, entries) = disk();
        let following = [
            Write::Incarnation(Incarnation(9)),
            Write::View(View(1)),
            Write::Append(entries.clone()),
            Write::Replace { keep: Op(0), entries: entries.clone(), view: View(2) },
        ];
        for write in following {
            stored.apply(Write::Clean);
            assert!(stored.clean);
            stored.apply(write.clone());
            assert!(!stored.clean, "{write:?}");
        }
        let (mut torn, _) = disk();
        torn.apply(Write::Clean);
        torn.apply_torn(Write::Append(entries.clone()), 0);
        assert!(torn.clean, "nothing of it is there");
        torn.apply_torn(Write::Append(entries), 1);
        assert!(!torn.clean);
    }

    #[test]
    fn a_damaged_log_is_whole_again_once_another_takes_its_place_and_not_before() {
        let (mut stored, entries) = disk();
        stored.damage = Some(Damage::of_end(Op(1)));
        stored.apply(Write::Incarnation(Incarnation(1)));
        stored.apply(Write::View(View(3)));
        assert!(stored.damage.is_some());
        let mut repaired = stored.clone();
        stored.apply(Write::Replace { keep: Op(0), entries: entries.clone(), view: View(3) });
        assert_eq!((stored.damage, stored.log_view), (None, View(3)));
        repaired.apply(Write::Repair { keep: Op(0), entries });
        assert_eq!((repaired.damage, repaired.view, repaired.log_view), (None, View(3), View(0)));
    }

    fn chain(from: Head, n: u64) -> Entries {
        let mut head = from;
        let make = |number| {
            let (client, session, predicted) = (ClientId(7), Session(1), Predicted::default());
            let (number, kind, body) = (RequestNumber(number), Kind::Operation, Bytes::new());
            let request = Request { client, session, number, kind, predicted, body };
            let entry = Entry::new(Epoch(0), View(0), head.op.next(), head.hash, request);
            head = Head { op: entry.op(), hash: entry.hash() };
            entry
        };
        Entries::new((1..=n).map(make).collect()).expect("a chain")
    }

    fn checkpoint(head: Head) -> Box<Checkpoint> {
        Box::new(Checkpoint::new(
            head,
            Predicted::default(),
            Bytes::from_static(b"table"),
            Bytes::from_static(b"state"),
        ))
    }

    #[test]
    fn a_log_is_cut_behind_its_checkpoint_and_goes_on() {
        let (mut disk, _) = disk();
        let entries = chain(disk.log.head(), 9);
        disk.apply(Write::Append(entries.take(8)));
        let at_six = Head { op: Op(6), hash: disk.log.hash(Op(6)).expect("kept") };
        disk.apply(Write::Checkpoint(checkpoint(at_six)));
        disk.apply(Write::Cut { through: Op(4) });
        disk.apply(Write::Append(entries.skip(8)));
        assert_eq!((disk.log.base().op, disk.log.op()), (Op(4), Op(9)));
        assert!(disk.log.contains(at_six));
        assert_eq!(disk.checkpoint.map(|checkpoint| checkpoint.op()), Some(Op(6)));
    }

    #[test]
    fn what_is_installed_takes_the_place_of_log_and_checkpoint_as_a_whole_or_not_at_all() {
        let (mut disk, _) = disk();
        disk.apply(Write::Append(chain(disk.log.head(), 3)));
        let far = Head { op: Op(40), hash: Hash(40) };
        let install = Write::Install { checkpoint: checkpoint(far), entries: chain(far, 2), view: View(5) };
        let before = disk.clone();
        disk.apply_torn(install.clone(), 1);
        assert_eq!(disk, before, "torn, it is not there");
        disk.apply(install);
        assert_eq!((disk.log.base(), disk.log.op()), (far, Op(42)));
        assert_eq!((disk.view, disk.log_view), (View(5), View(5)));
        assert_eq!(disk.checkpoint, Some(*checkpoint(far)));
    }
}
