//! What was decided stays decided: enough replicas hold it, always, whatever crashed: S9.
//!
//! Owns when the count is taken and the count itself. Must not know why a copy went away. VRR §8.1, §8.2;
//! PROTOCOL §4 S9 "cheap form", §6.
//!
//! Let D be the last op decided. Hashes are chained, so a replica that holds D holds every decided op, and one
//! count at D speaks for all of them. The count that must never fall below q is
//!
//! - **synchronous**: replicas whose *disk* holds D, up or down. D was decided by q acknowledgements, each of an
//!   entry on the sender's disk (S11, S12). A disk loses an entry only by the atomic replacement with the log of a
//!   later view (S11), and the log of every later view holds D: either it started after D was decided (S8), or it
//!   started before, from q reports of which one was made by a sender of these acknowledgements, after it
//!   (S10), so that by induction over the views in between the best log reported held D. A write in flight
//!   leaves the old image or the new one (S4), and both hold D. A disk whose log was found rotten (PROTOCOL D56) is
//!   counted until its log is whole: repaired it is what it was (S6), and replaced it holds D for the reason below, as
//!   its replica recovers like one that lost its memory.
//! - **asynchronous**: replicas whose *memory* holds D, plus those that are down, halted or recovering. A sender
//!   of an acknowledgement keeps D in memory for the same reasons until it crashes; then it counts among the others
//!   until it has recovered. It recovers in a view no earlier than any it acknowledged in (rule V), from the log
//!   of that view's primary, written after the crash: if it acknowledged D in that very view, the primary
//!   had D before the acknowledgement was made (PROTOCOL D49); if the view is later, its log holds D as above.
//!   With more than f down or recovering the count still holds; it then says nothing about being available.
//!
//! D is counted in the group that decided it. If it is the last of its epoch, a quorum of the next group that holds it is as
//! good: whatever that group decides follows it, and who is left behind in the old one is told (PROTOCOL 1.9 R4).
//!
//! Both are stronger than the n − q + 1 copies that every quorum must meet, and say at once when a copy goes.
//! A lost disk (PROTOCOL D60) holds nothing, and no quorum has its replica in it any more: with l of them lost, q − l
//! copies are met by q of the n − l that are left. Where a log was cut, the checkpoint on
//! the same disk (S18) holds what went, the same on all replicas (S17).

use super::shadow::{Mirror, Shadow};
use super::{Violation, short};
use vr_core::{Epoch, Group, Head, Op, View};

const S9: &str = "S9 ack durability";
/// Every so many commits of primaries the count is taken, beside every start, crash and recovery.
const EVERY: u32 = 64;

#[derive(Clone, Debug)]
pub(super) struct Durability {
    commits: u32,
}

impl Durability {
    pub(super) const fn new() -> Self {
        Self { commits: 0 }
    }

    /// A primary committed something new.
    pub(super) fn committed(&mut self, shadow: &Shadow) -> Result<(), Violation> {
        self.commits += 1;
        if self.commits < EVERY {
            return Ok(());
        }
        self.commits = 0;
        Self::holds(shadow)
    }

    /// Enough replicas hold what was decided.
    pub(super) fn holds(shadow: &Shadow) -> Result<(), Violation> {
        let op = shadow.lineage.decided();
        let Some(decision) = shadow.lineage.decision(op) else { return Ok(()) };
        let head = Head { op, hash: decision.hash };
        let counts = |mirror: &&Mirror| mirror.retains(head, shadow.sync) || mirror.is_amnesiac(shadow.sync);
        let keeps = |mirror: &&Mirror| mirror.retains(head, shadow.sync);
        let is_held = |group: &Group, counts: &dyn Fn(&&Mirror) -> bool| {
            let members = shadow.replicas.iter().filter(|mirror| group.position(mirror.id).is_some());
            let (lost, left): (Vec<_>, Vec<_>) = members.partition(|mirror| mirror.lost);
            left.into_iter().filter(|mirror| counts(mirror)).count() + lost.len() >= group.quorum()
        };
        // The last of its epoch is what the next one begins with: a quorum of either holds it.
        let next = shadow.present();
        let held = is_held(shadow.deciding(), &counts) || (next.base() == head && is_held(next, &keeps));
        if held { Ok(()) } else { Err(Self::lost(shadow, head)) }
    }

    /// A replica says that enough members have on their disks what their epoch begins with (PROTOCOL D93).
    pub(super) fn settles(shadow: &Shadow, who: usize, epoch: Epoch) -> Result<(), Violation> {
        let group = shadow.group(View::first_of(epoch));
        let places = group.members().iter().filter_map(|member| shadow.place(member.id));
        let begun = places.filter(|place| shadow.has_begun(*place, epoch)).count();
        if begun >= group.quorum() {
            return Ok(());
        }
        let id = shadow.id(who);
        let message = format!(
            "{id:?} says that a quorum of epoch {epoch} has what it begins with, but only {begun} members have it on \
             their disks"
        );
        Err(Violation::safety(S9, message, &[id], &[group.base().op]))
    }

    #[cold]
    fn lost(shadow: &Shadow, head: Head) -> Violation {
        let place = if shadow.sync { "on its disk" } else { "in its memory" };
        let mut lacking = Vec::new();
        let mut first = head.op;
        for mirror in shadow.replicas.iter().filter(|mirror| shadow.deciding().position(mirror.id).is_some()) {
            if mirror.retains(head, shadow.sync) || mirror.is_amnesiac(shadow.sync) {
                continue;
            }
            lacking.push(mirror.id);
            let image = if shadow.sync { &mirror.disk } else { &mirror.memory };
            let mut op = image.base().next();
            while op < first && image.hash(op) == shadow.lineage.decision(op).map(|decision| decision.hash) {
                op = op.next();
            }
            first = op.min(first);
        }
        let (by, hash) = match shadow.lineage.decision(first) {
            Some(decision) => (shadow.id(decision.by), short(decision.hash)),
            None => (shadow.id(0), String::new()),
        };
        let quorum = shadow.deciding().quorum();
        let message = format!(
            "{by:?} committed op {first} ({hash}), and now fewer than {quorum} replicas hold everything through op {}: \
             {lacking:?} do not have it {place}",
            head.op
        );
        let ops: Vec<Op> = if first == head.op { vec![first] } else { vec![first, head.op] };
        Violation::safety(S9, message, &lacking, &ops)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Happening;
    use crate::check::image::Image;
    use crate::check::stage::{Stage, broken, origin, stored};
    use vr_core::{Durability as Mode, ReplicaId};

    #[test]
    fn copies_on_disks_count_whoever_is_down_and_a_lost_one_is_caught() {
        let mut stage = Stage::new(5, Mode::Sync);
        stage.runs(0, &[1, 2], 1..=4).expect("legal");
        for r in 0..3 {
            assert_eq!(broken(stage.crash(r)), "nothing");
        }
        stage.checkers.shadow.replicas[1].disk = Image::empty(origin());
        let Err(violation) = Durability::holds(&stage.checkers.shadow) else { panic!("two copies are left") };
        assert_eq!((violation.property, violation.ops), (S9, vec![Op(1), Op(4)]));
        assert_eq!(violation.replicas, [1, 3, 4].map(ReplicaId));
    }

    #[test]
    fn copies_in_memories_count_and_so_do_those_that_may_come_back() {
        let mut stage = Stage::new(3, Mode::Async);
        stage.runs(0, &[1], 1..=4).expect("legal");
        assert_eq!(broken(stage.crash(0)), "nothing");
        assert_eq!(broken(stage.open(0)), "nothing", "it recovers");
        stage.checkers.shadow.replicas[1].memory = Image::empty(origin());
        assert_eq!(broken(Durability::holds(&stage.checkers.shadow)), S9);
    }

    #[test]
    fn a_lost_disk_holds_nothing_and_its_replica_may_not_come_back_as_a_new_one() {
        let mut stage = Stage::new(5, Mode::Sync);
        stage.runs(0, &[1, 2], 1..=4).expect("legal");
        stage.crash(2).expect("legal");
        let on = Stage::id(2);
        assert_eq!(broken(stage.observe(&Happening::DiskLost { on })), "nothing", "two copies, and no quorum without");
        let mut poorer = stage.clone();
        poorer.checkers.shadow.replicas[1].disk = Image::empty(origin());
        assert_eq!(broken(Durability::holds(&poorer.checkers.shadow)), S9);
        stage.puppets[2].disk = stored(2);
        assert_eq!(broken(stage.open(2)), "S5 promise monotone");
    }

    #[test]
    fn a_disk_that_went_back_counts_for_what_it_holds_now_and_its_replica_owes_no_more() {
        let mut stage = Stage::new(3, Mode::Sync);
        stage.runs(0, &[1, 2], 1..=2).expect("legal");
        let earlier = stage.puppets[2].disk.clone();
        stage.runs(0, &[1, 2], 3..=4).expect("legal");
        stage.crash(2).expect("legal");
        let mut poorer = stage.clone();
        let went_back = Happening::DiskWentBack { on: Stage::id(2), stored: &earlier };
        assert_eq!(broken(stage.observe(&went_back)), "nothing", "two others hold it");
        poorer.checkers.shadow.replicas[1].disk = Image::empty(origin());
        assert_eq!(broken(poorer.observe(&went_back)), S9);
        stage.puppets[2].disk = earlier.clone();
        assert_eq!(broken(stage.open(2)), "nothing");
        stage.checkers.promises.keeps(&stage.checkers.shadow, 2).expect("what was forgotten is not owed");
    }

    #[test]
    fn the_count_is_taken_every_so_many_commits() {
        let mut stage = Stage::new(3, Mode::Sync);
        for op in 1..u64::from(EVERY) {
            stage.runs(0, &[1], op..=op).expect("legal");
        }
        stage.checkers.shadow.replicas[2].disk = Image::empty(origin());
        stage.runs(0, &[1], 64..=64).expect("r2 never held anything");
        assert_eq!(stage.checkers.durability.commits, 0);
    }
}
