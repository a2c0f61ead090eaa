//! How a life and an epoch begin: what a replica is by what its disk, or its new group, says.
//!
//! Owns these two decisions. Must not know messages or timers. Paper: VRR §4.3, §7.1, §7.2; PROTOCOL §6 "Restart paths".

use super::common::{Next, Out};
use super::open::Found;
use super::recovery::Recovering;
use super::view_change::ViewChange;
use super::{Replica, Status, epochs};
use crate::action::{Action, EnterCause, Note};
use crate::id::{Op, View};
use crate::stored::Damage;
use crate::timer::Timer;

impl Replica {
    /// What a replica is when its life begins.
    pub(super) fn start(&mut self, out: &mut Out, found: Found) {
        let common = &mut self.common;
        let Found { virgin, damage, clean } = found;
        if !common.is_member() {
            // Whatever it had promised was in an epoch that is over.
            self.status = Status::Outside;
            return epochs::hand_over(common, out);
        }
        if common.view() < View::first_of(common.group.epoch()) {
            // Nothing was ever said in this epoch: there is nothing to remember.
            return self.resume(out, virgin);
        }
        if let Some(Damage { from, .. }) = damage {
            out.push(Action::Note(Note::DamagedLog { from }));
        }
        let damage = damage.filter(|_| !common.rules.takes_what_is_left());
        let remembers = common.rules.remembers(common.is_sync(), virgin, clean);
        let forgot = !remembers && !common.rules.restarts_normal_without_memory();
        if forgot || damage.is_some() {
            self.status = Status::Recovering(Recovering::enter(common, out, damage, remembers));
        } else {
            self.resume(out, virgin);
        }
    }

    /// Goes on with what the disk holds, all of it.
    pub(super) fn resume(&mut self, out: &mut Out, virgin: bool) {
        let common = &mut self.common;
        epochs::hand_over(common, out);
        let (view, log_view, commit) = (common.view(), common.log_view, common.commit());
        let first = View::first_of(common.group.epoch());
        if view < first {
            // The checkpoint is of a later epoch than any view of the disk.
            return self.transition(out, Next::Enter(first, EnterCause::Restart));
        }
        let resumes = virgin || common.rules.resumes_as_primary();
        if log_view < view {
            self.status = Status::ViewChange(ViewChange::enter(common, out));
            let (incarnation, now) = (self.common.header().incarnation, self.common.now);
            self.common.gate.content(&self.common.config, incarnation, view, now);
            self.common.arm_view_change();
        } else if !common.is_primary() {
            self.transition(out, Next::Follow { commit });
        } else if resumes {
            self.transition(out, Next::Lead { commit });
        } else {
            self.transition(out, Next::Enter(view.next(), EnterCause::Restart));
        }
    }

    /// Our epoch is over: nothing is said in it any more, and nobody is answered (D87).
    pub(super) fn step_out(&mut self, out: &mut Out) {
        let common = &mut self.common;
        Self::turn_away(&mut self.status, common, out);
        for timer in [Timer::Heartbeat, Timer::ViewChange, Timer::Retransmit, Timer::Fetch] {
            common.timers.cancel(timer);
        }
        self.status = Status::Outside;
    }

    /// What a replica is in the epoch that just began.
    pub(super) fn begin_epoch(&mut self, out: &mut Out, commit: Op) {
        let common = &mut self.common;
        let first = View::first_of(common.group.epoch());
        if !common.is_member() {
            // Outside: nothing is left to do but to tell others.
            return;
        }
        if common.view() < first {
            self.transition(out, Next::Enter(first, EnterCause::Evidence));
        } else if common.is_primary() {
            common.gate.content(&common.config, common.header().incarnation, first, common.now);
            self.status = Status::ViewChange(ViewChange::found(common, out, commit));
        } else {
            self.transition(out, Next::Follow { commit });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::clients::ClientTable;
    use crate::config::{ClusterConfig, Config, Durability};
    use crate::entry::Predicted;
    use crate::group::Group;
    use crate::id::{ClusterId, Epoch, Hash, Incarnation, Instance, ReplicaId, Time};
    use crate::log::{Head, Log};
    use crate::replica::StatusName;
    use crate::stored::Stored;
    use alloc::vec::Vec;
    use bytes::Bytes;

    #[test]
    fn who_crashes_before_it_says_anything_in_an_epoch_has_nothing_to_recover() {
        let mut cluster = ClusterConfig::of_size(ClusterId(1), 3);
        cluster.durability = Durability::Async;
        let config = Config::new(cluster, ReplicaId(0));
        let first = config.cluster.group();
        let base = Head { op: Op(4), hash: Hash(1) };
        let group = Group::of(Epoch(1), first.members().to_vec(), first.next_id(), base).expect("it is sound");
        let later = Head { op: Op(8), hash: Hash(2) };
        let table = ClientTable::new(8).encode();
        let checkpoint = Checkpoint::outline(later, Predicted::default(), Some(&group), table).with(Bytes::new());
        let mut disk = Stored::format(ClusterId(1), config.cluster.digest(), ReplicaId(0), Instance(0));
        (disk.view, disk.log_view) = (View::before(Epoch(1)), View::before(Epoch(1)));
        (disk.log, disk.checkpoint, disk.incarnation) = (Log::new(later), Some(checkpoint), Incarnation(1));
        let replica = Replica::open(config, disk, Time::ZERO, &mut Vec::new()).expect("it is whole");
        let seen = replica.snapshot();
        assert_eq!((seen.status, seen.view), (StatusName::ViewChange, View::first_of(Epoch(1))));
    }
}
