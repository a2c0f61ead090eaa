//! Records that rot, disks that are lost as a whole, and disks that go back to what they were.
//!
//! Owns when that may happen so that the group can bear it, and what a driver does that finds no disk. Must not know how a
//! replica works. PROTOCOL F13, D60, §6.
//!
//! Whose disk is gone is not started again: an empty disk says nothing of what was promised. A disk that went back cannot
//! be told from one that was never further, by its own replica least of all. The group bears it while a quorum of *others*
//! holds what it forgot: every quorum meets them, and they are bound by what they hold. So only such a disk goes back, in
//! the life and the view in which the image was made; behind a promise of its own no replica can be sent unnoticed.

use super::node::small;
use super::{Pending, World};
use crate::check::Happening;
use crate::decider::ChoiceKind;
use crate::fate::Restart;
use crate::plants;
use crate::workload::App;
use vr_core::{Durability, Head, Op, Stored, Wait};

/// Rot strikes one of so many entries at the end of a log.
const ROT_MOST: u64 = 48;
/// So many times in one crash: a misdirected write spoils two records, its own and the one it fell on.
const ROT_STRIKES: u64 = 3;

/// So often, a heartbeat apart, it is tried to send a disk back.
const TRIES: u32 = 12;

impl<A: App> World<A> {
    /// A replica crashes, and its disk is gone, if the mode tolerates one more.
    pub(super) fn lose_disk(&mut self, on: usize, restart: Restart) {
        if self.nodes[on].life.is_none() || self.nodes[on].is_lost || !self.can_spare(on) {
            return;
        }
        self.stop(on, restart);
        self.disk_is_gone(on);
    }

    /// There is nothing on the disk of a replica that is down.
    pub(super) fn disk_is_gone(&mut self, on: usize) {
        self.marks.lost_disks += 1;
        self.throw_disk_away(on);
    }

    pub(super) fn throw_disk_away(&mut self, on: usize) {
        let node = &mut self.nodes[on];
        let id = node.config.me;
        let cluster = &node.config.cluster;
        let (cluster, config) = (cluster.cluster, cluster.digest());
        let position = u16::try_from(on).expect("few members");
        node.disk.becomes(Stored::format(cluster, config, id, self.setup.instance(position)));
        node.is_lost = true;
        self.observe(&Happening::DiskLost { on: id });
    }

    /// Somebody tries to start a replica that has no disk. Is that refused?
    pub(super) fn is_refused(&mut self, on: usize) -> bool {
        if plants::formats_anew(self.nodes[on].config.rules) {
            self.nodes[on].is_lost = false;
            return false;
        }
        self.marks.refused_without_disk += 1;
        true
    }

    /// Keeps what is on a disk now, and sends it back there after a while.
    pub(super) fn keep_image(&mut self, on: usize, wait: Wait) {
        let durable = self.nodes[on].disk.durable();
        // What others say of a checkpoint here is relied on for ever.
        if !self.setup.witnesses.is_empty() {
            return;
        }
        if self.setup.durability == Durability::Sync && durable.damage.is_none() && !self.nodes[on].is_lost {
            let image = Box::new(durable.clone());
            self.queue.push(self.now.after(wait), Pending::GoesBack { on, image, tries: TRIES });
        }
    }

    /// A replica crashes, and its disk is what it was, as soon as the others hold all that it forgets.
    pub(super) fn disk_goes_back(&mut self, on: usize, image: Box<Stored>, tries: u32) {
        if !self.asks_decider() {
            return;
        }
        if self.can_bear(on, &image) {
            self.stop(on, Restart(0));
            self.disk_was_sent_back(on, *image);
        } else if let Some(tries) = tries.checked_sub(1) {
            let soon = self.now.after(self.setup.heartbeat);
            self.queue.push(soon, Pending::GoesBack { on, image, tries });
        }
    }

    /// The disk of a replica that is down holds this again.
    pub(super) fn disk_was_sent_back(&mut self, on: usize, image: Stored) {
        self.marks.disks_gone_back += 1;
        let id = self.nodes[on].config.me;
        self.observe(&Happening::DiskWentBack { on: id, stored: &image });
        self.nodes[on].disk.becomes(image);
    }

    /// Has it made entries durable since, in the same life and view, and does a quorum of others hold the newest of
    /// them, and with it all before, where a view change looks for it?
    fn can_bear(&self, on: usize, image: &Stored) -> bool {
        let node = &self.nodes[on];
        let now = node.disk.durable();
        let is_same = |a: &Stored, b: &Stored| (a.incarnation, a.view) == (b.incarnation, b.view);
        let is_normal = now.log_view == now.view && image.log_view == image.view;
        if node.life.is_none() || !is_same(now, image) || !is_normal || now.damage.is_some() {
            return false;
        }
        let head = now.log.head();
        let holds = |stored: &Stored| {
            let is_there = stored.log.contains(head) || stored.checkpoint.as_ref().is_some_and(|c| c.op() >= head.op);
            is_there && stored.damage.is_none() && stored.view >= now.view && stored.log_view >= now.log_view
        };
        // What is on the disk of one that is down was not all reported: an observer cannot count it.
        let is_holder = |at: &&usize| {
            let other = &self.nodes[**at];
            **at != on && other.life.is_some() && holds(other.disk.durable())
        };
        let bears = |members: &Vec<usize>| members.iter().filter(is_holder).count() >= vr_core::quorum(members.len());
        // While one epoch follows another, the quorums of both count; and that of its own, however far the others are: those who
        // were left behind in it with this one must be no quorum without what it forgets.
        head.op > image.log.op() && self.bodies().iter().chain(self.own_body(on).iter()).all(bears)
    }

    /// Records that were confirmed rot in a crash, if enough good copies are left.
    pub(super) fn rot_by_chance(&mut self, on: usize, key: u64, confirmed: Head) {
        for strike in 0..ROT_STRIKES {
            let range = self.nodes[on].disk.may_rot(confirmed);
            let Some((first, last)) = range.filter(|_| self.asks_decider()) else { return };
            let eligible = (first.distance_to(last) + 1).min(ROT_MOST);
            let key = key.wrapping_add(strike);
            let from_end = u64::from(self.decider.choose(ChoiceKind::Rot, key, small(index(eligible)) + 1));
            let Some(back) = from_end.checked_sub(1) else { return };
            let op = Op(last.0 - back);
            let spares = self.can_spare(on);
            let is_there = self.nodes[on].disk.readable(op).is_some() && !self.is_for_others(on, op);
            if is_there && (spares || self.has_copies(on, op)) {
                self.marks.rotten_records += 1;
                self.marks.rotten_together += u64::from(!spares);
                self.nodes[on].disk.rot(op);
            }
        }
    }

    /// In a group with witnesses what a checkpoint holds is missed: others may need it, who have no state or an older one. Of
    /// that nobody keeps an account.
    fn is_for_others(&self, on: usize, op: Op) -> bool {
        let checkpoint = self.nodes[on].disk.durable().checkpoint.as_ref();
        !self.setup.witnesses.is_empty() && checkpoint.is_some_and(|checkpoint| op <= checkpoint.op())
    }

    /// Whatever else is damaged: would a quorum still have this entry, and would this disk know what it lost? Where
    /// memory counts, what a disk still knows does not.
    fn has_copies(&self, on: usize, op: Op) -> bool {
        if self.setup.durability == Durability::Async {
            return false;
        }
        let Some(hash) = self.nodes[on].disk.readable(op) else { return false };
        let holds = |other: &&usize| **other != on && self.nodes[**other].disk.readable(op) == Some(hash);
        let have = |members: &Vec<usize>| members.iter().filter(holds).count() >= vr_core::quorum(members.len());
        self.bodies().iter().all(have) && self.nodes[on].disk.knows_end_without(op)
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("fits an address")
}
