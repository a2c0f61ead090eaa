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
            self.common.gate.content(&self.common.config, self.common.header().incarnation, view);
            self.common.arm_view_change();
        } else if !common.is_primary() {
            self.transition(out, Next::Follow { commit });
        } else if resumes {
            self.transition(out, Next::Lead { commit });
        } else {
            self.transition(out, Next::Enter(view.next(), EnterCause::Restart));
        }
    }

    /// What a replica is in the epoch that just began.
    pub(super) fn begin_epoch(&mut self, out: &mut Out, commit: Op) {
        let common = &mut self.common;
        for timer in [Timer::Heartbeat, Timer::ViewChange, Timer::Retransmit, Timer::Fetch] {
            common.timers.cancel(timer);
        }
        let first = View::first_of(common.group.epoch());
        if !common.is_member() {
            // Outside: nothing is left to do but to tell others.
            return;
        }
        if common.view() < first {
            self.transition(out, Next::Enter(first, EnterCause::Evidence));
        } else if common.is_primary() {
            common.gate.content(&common.config, common.header().incarnation, first);
            self.status = Status::ViewChange(ViewChange::found(common, out, commit));
        } else {
            self.transition(out, Next::Follow { commit });
        }
    }
}
