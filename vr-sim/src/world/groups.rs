//! Whose memory counts, and who must be healed, in a cluster whose group changes.
//!
//! Owns the groups that have begun, as anybody who looks at all disks sees them: what a fault may take is counted in each
//! group that something still depends on, and a core is a quorum of each. A cluster without a plan has one group. Must not
//! know what a replica does in an epoch. VRR §7.3, §8; DESIGN 9.16; PROTOCOL 1.9 R4.

use super::World;
use crate::faults::Who;
use crate::workload::App;
use vr_core::{Checkpoint, Epoch, ReplicaId, quorum};

impl<A: App> World<A> {
    /// The members of each group that something still depends on: from the last one of which a quorum has on its disk what
    /// its epoch begins with, to the last that has begun. Of a cluster without a plan all replicas.
    pub(super) fn bodies(&self) -> Vec<Vec<usize>> {
        if self.setup.plan.is_none() {
            return vec![(0..self.nodes.len()).collect()];
        }
        self.groups
            .iter()
            .skip(self.settled_epoch())
            .map(|group| places(group.members().iter().map(|m| m.id)))
            .collect()
    }

    /// The members of the group of a disk's epoch, in a cluster with a plan. Its replica may know of a later one.
    pub(super) fn own_body(&self, on: usize) -> Option<Vec<usize>> {
        let epoch = self.nodes[on].disk.durable().view.epoch();
        let own = self.groups.iter().find(|group| group.epoch() == epoch).filter(|_| self.setup.plan.is_some())?;
        Some(places(own.members().iter().map(|member| member.id)))
    }

    /// Is the last entry of its epoch at the end of a disk's log, so that the next one is about to begin?
    pub(super) fn ends_epoch(&self, on: usize) -> bool {
        let (node, log) = (&self.nodes[on], &self.nodes[on].disk.durable().log);
        let (group, least) = (node.life.as_ref().map(|life| life.replica.group()), node.config.cluster.least_members());
        let last = log.after(log.base().op).last();
        group.zip(last).is_some_and(|(group, last)| group.after(last, least).is_some())
    }

    /// The groups that something depends on, and all that the plan still brings.
    pub(super) fn bodies_to_come(&self) -> Vec<Vec<usize>> {
        let mut bodies = self.bodies();
        let last = self.groups.len() - 1;
        let plan = self.setup.plan.iter().flat_map(|plan| plan.groups.iter().skip(last));
        bodies.extend(plan.map(|group| places(group.iter().map(|id| ReplicaId(*id)))));
        bodies
    }

    /// The last epoch of which a quorum of the members has the base.
    fn settled_epoch(&self) -> usize {
        let begun = |at: &usize, epoch: Epoch| self.nodes[*at].began >= epoch;
        let is_settled = |group: &vr_core::Group| {
            let members = places(group.members().iter().map(|member| member.id));
            members.iter().filter(|at| begun(at, group.epoch())).count() >= group.quorum()
        };
        self.groups.iter().rposition(is_settled).unwrap_or(0)
    }

    /// What is on a disk may be of another epoch now.
    pub(super) fn looks_at_epoch(&mut self, on: usize) {
        if self.setup.plan.is_some() {
            let node = &mut self.nodes[on];
            let group = node.disk.durable().checkpoint.as_ref().and_then(Checkpoint::group);
            node.began = group.map_or(node.began, |group| group.epoch().max(node.began));
        }
    }

    /// Whom a fault strikes: the primary and those after it in the rotation of its group; or anybody, by position.
    pub(super) fn struck_by(&self, who: Who) -> usize {
        let primary = self.primary();
        let turn = usize::from(who.0).checked_sub(64);
        if let (Some(turn), Some(group)) = (turn, self.groups.last().filter(|_| self.setup.plan.is_some())) {
            let id = self.nodes[primary].config.me;
            let first = group.members().iter().position(|member| member.id == id).unwrap_or(0);
            return usize::from(group.members()[(first + turn) % group.members().len()].id.0);
        }
        who.among(self.nodes.len(), primary)
    }

    /// Of `order`, those who must be healed, and `more` others: a quorum of the last group, of each that may follow it now,
    /// and, as long as nobody among them has what the last one begins with, of the one before. With it, whether somebody
    /// is in all of these groups and may be the hub of a star; then it is the first.
    pub(super) fn cover(&self, order: &[usize], more: usize) -> (Vec<usize>, bool) {
        let last = self.groups.len() - 1;
        let known = usize::try_from(self.known_epoch.0).unwrap_or(last);
        let plan = self.setup.plan.iter().flat_map(|plan| &plan.groups);
        let coming = plan.skip(last).take((known + 1).saturating_sub(last));
        let mut needed: Vec<Vec<usize>> = coming.map(|group| places(group.iter().map(|id| ReplicaId(*id)))).collect();
        let alive: Vec<usize> = order.iter().copied().filter(|on| !self.nodes[*on].is_lost).collect();
        let mut epoch = last;
        let core = loop {
            needed.push(places(self.groups[epoch].members().iter().map(|member| member.id)));
            let core = chosen(&alive, &needed);
            if epoch == 0 || core.iter().any(|on| self.has_base(*on, epoch)) {
                break core;
            }
            epoch -= 1;
        };
        let rest: Vec<usize> = alive.iter().copied().filter(|on| !core.contains(on)).take(more).collect();
        let mut core = [core, rest].concat();
        let hub = core.iter().position(|on| needed.iter().all(|group| group.contains(on)));
        if let Some(hub) = hub {
            core.swap(0, hub);
        }
        (core, hub.is_some())
    }

    /// Has it what this epoch begins with, or something later, and keeps it whatever comes?
    fn has_base(&self, on: usize, epoch: usize) -> bool {
        let node = &self.nodes[on];
        let stored = node.disk.durable().checkpoint.as_ref().and_then(Checkpoint::group);
        let is_there = stored.is_some_and(|group| usize::try_from(group.epoch().0).is_ok_and(|e| e >= epoch));
        is_there && !node.is_lost && !node.lacks_memory()
    }
}

/// Those of `order`, in their order, who are needed for a quorum of each group.
fn chosen(order: &[usize], groups: &[Vec<usize>]) -> Vec<usize> {
    let mut missing: Vec<usize> = groups.iter().map(|group| quorum(group.len())).collect();
    let mut core = Vec::new();
    for on in order {
        let mut helps = false;
        for (group, missing) in groups.iter().zip(&mut missing) {
            if *missing > 0 && group.contains(on) {
                *missing -= 1;
                helps = true;
            }
        }
        if helps {
            core.push(*on);
        }
    }
    core
}

fn places(ids: impl Iterator<Item = ReplicaId>) -> Vec<usize> {
    ids.map(|id| usize::from(id.0)).collect()
}
