//! An operator in the world, who changes the group through its log, as a plan says; and what becomes of who is replaced.
//!
//! Owns when the operator asks, what it makes of the answers, and the end of those who need not stay. It is a client like
//! any other: it may crash, be told that its session is gone, and ask for what was done long ago. Must not know how an
//! epoch ends or begins. VRR §7.1, §7.3; PROTOCOL 1.9 R5, W5.

use super::{Pending, Phase, World, num};
use crate::client::{Asked, Next, Waiting};
use crate::fate::Restart;
use crate::workload::App;
use vr_core::{BadGroup, Body, Epoch, Message, Note, Reject, Reply, Session, StatusName, Wait};

/// Who is replaced is shut down within so many heartbeats after it was told that it may go.
const GOES_WITHIN: u64 = 8;

impl<A: App> World<A> {
    /// Is this client the operator?
    pub(super) fn operates(&self, client: usize) -> bool {
        self.setup.plan.is_some() && client + 1 == self.clients.len()
    }

    /// The operator has time: for the next group of its plan.
    pub(super) fn operate(&mut self, at: usize) {
        let known = self.known_epoch;
        let question = self.setup.plan.as_ref().and_then(|plan| plan.question(known));
        let client = &mut self.clients[at];
        let Some(body) = question.filter(|_| client.left > 0) else {
            client.left = 0;
            return;
        };
        if client.session() == Session::ZERO {
            let next = client.register();
            return self.follow(at, next);
        }
        let next = client.call(body, Asked::Logged);
        self.crash_client_later(at);
        self.follow(at, next);
    }

    /// The operator is told which epoch it is now.
    pub(super) fn operator_answered(&mut self, at: usize, reply: &Reply) {
        let epoch = reply.result.first_chunk().map(|bytes| Epoch(u64::from_le_bytes(*bytes)));
        self.marks.reconfigurations_answered += 1;
        self.knows_epoch(at, epoch.unwrap_or(Epoch::ZERO));
    }

    fn knows_epoch(&mut self, at: usize, epoch: Epoch) {
        self.known_epoch = self.known_epoch.max(epoch);
        if self.phase == Phase::Safety {
            let pause = self.setup.plan.as_ref().map_or(Wait::ZERO, |plan| plan.pause);
            let wait = self.setup.wait_up_to(pause, "operator", self.clients[at].called);
            self.set_client_timer(at, wait.max(Wait(1)));
        } else {
            self.operate(at);
        }
    }

    /// The operator is refused. Another epoch has begun: what it asked for was done, in a session that is gone.
    pub(super) fn operator_refused(&mut self, at: usize, reason: Reject) -> Option<Next> {
        let Reject::Reconfiguration(BadGroup::WrongEpoch { is }) = reason else { return None };
        if is > self.known_epoch {
            self.clients[at].give_up();
            self.knows_epoch(at, is);
            return Some(Next::Nothing);
        }
        None
    }

    /// After the faults the operator finishes what it waits for; or asks for one more group, if it waits for nothing.
    pub(super) fn operator_finishes(&mut self, at: usize) {
        self.clients[at].left = 1;
        if self.clients[at].waiting() == Waiting::Idle {
            self.operate(at);
        }
    }

    // ---- epochs, as the world sees them

    /// A replica said something about epochs.
    pub(super) fn notes_epoch(&mut self, on: usize, note: &Note) {
        if let Note::EpochBegan { epoch, member, .. } = *note {
            self.epoch_begins(on, epoch, member);
        } else if let Note::EpochSettled { epoch } = *note
            && self.setup.plan.as_ref().is_some_and(|plan| plan.dismisses)
        {
            let life = self.nodes[on].lives;
            let longest = self.setup.heartbeat.times(GOES_WITHIN);
            let wait = self.setup.wait_up_to(longest, "dismissed", num(on));
            self.queue.push(self.now.after(wait), Pending::Dismissed { on, life, epoch });
        }
    }

    /// A replica is told of a group.
    pub(super) fn hears_of_epoch(&mut self, to: usize, message: &Message) {
        if let Body::StartEpoch(group) | Body::NewEpoch(group) = &message.body {
            let node = &mut self.nodes[to];
            let is_news = node.told.as_ref().is_none_or(|told| told.epoch() < group.epoch());
            if is_news && group.position(node.config.me).is_some() {
                node.told = Some((**group).clone());
            }
        }
    }

    fn epoch_begins(&mut self, on: usize, epoch: Epoch, member: bool) {
        let Some(life) = &self.nodes[on].life else { return };
        let group = life.replica.group();
        if group.epoch() == epoch && num(self.groups.len()) == epoch.0 {
            self.groups.push(group.clone());
            self.marks.epochs_begun += 1;
            self.marks.epochs_after_heal += u64::from(self.phase != Phase::Safety);
            self.marks.epochs_in_trouble += u64::from(self.is_in_trouble());
        }
        let node = &mut self.nodes[on];
        let added = on >= usize::from(self.setup.replicas);
        if added && member && !node.took_part {
            node.took_part = true;
            self.marks.newcomers_joined += 1;
        }
        self.marks.members_replaced += u64::from(!member);
    }

    /// Is anybody down or standing still, any link cut, any disk full?
    fn is_in_trouble(&self) -> bool {
        let ails = |at: usize| {
            let node = &self.nodes[at];
            node.full.is_some() || (node.lives > 0 && node.status() != super::Status::Up && !node.is_lost)
        };
        self.net.is_any_cut() || (0..self.nodes.len()).any(ails)
    }

    /// Whoever was replaced and knows that the new group has all it needs is shut down for good, and its disk is thrown
    /// away (VRR §7.3).
    pub(super) fn dismissed(&mut self, on: usize, life: u32, epoch: Epoch) {
        let node = &self.nodes[on];
        let is_retired = |life: &super::node::Life<A::Service>| {
            let seen = life.replica.snapshot();
            seen.status == StatusName::Retired && seen.epoch == epoch
        };
        let goes = node.lives == life && node.life.as_ref().is_some_and(is_retired);
        if goes && self.phase == Phase::Safety {
            self.stop(on, Restart::NEVER);
            self.throw_disk_away(on);
            self.marks.members_dismissed += 1;
        }
    }
}
