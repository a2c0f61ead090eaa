//! The faults end: a quorum is healed, the rest stays as it is, and within a bound everything must come to rest.
//!
//! Owns who is healed and what "at rest" means. Whether a group may be excused is for the checkers to say. Must
//! not know faults. DESIGN 9.16; PROTOCOL §4 L1–L6.

use super::node::Life;
use super::{Pending, Phase, Status, World, num};
use crate::check::{Checkers, Happening, Severity, Violation};
use crate::client::Waiting;
use crate::decider::ChoiceKind;
use crate::workload::App;
use vr_core::{Durability, Hash, ReplicaId, Snapshot, StatusName, Wait};

impl<A: App> World<A> {
    pub(super) fn heal(&mut self) {
        // Hands let go too, if there were any: who holds what a healed quorum says would break it.
        self.filters.clear();
        let members = self.nodes.len();
        let quorum = vr_core::quorum(members);
        let number = |n: usize| u32::try_from(n).expect("few members");
        let more = self.decider.choose(ChoiceKind::CoreSize, 0, number(members - quorum) + 1);
        let size = quorum + usize::try_from(more).expect("an index");
        let mut order: Vec<usize> = (0..members).collect();
        for at in 0..members {
            let pick = self.decider.choose(ChoiceKind::Core, number(at).into(), number(members - at));
            order.swap(at, at + usize::try_from(pick).expect("an index"));
        }
        // Only a quorum that has its memory can help those who lost it, or whose log is damaged (DESIGN §10).
        order.sort_by_key(|on| (self.nodes[*on].is_lost, self.nodes[*on].lacks_memory()));
        let mesh = members < 3 || self.decider.choose(ChoiceKind::CoreShape, 0, 2) == 0;
        if self.setup.plan.is_some() {
            let (core, hub) = self.cover(&order, size - quorum);
            return self.heal_core(core, mesh || !hub);
        }
        order.truncate(size);
        self.put_leader_first(&mut order);
        self.heal_core(order, mesh);
    }

    /// The hub of a star is somebody who can lead: of those who hear only a witness nobody is heard by a quorum.
    fn put_leader_first(&self, core: &mut [usize]) {
        let leads = |on: &usize| !self.is_witness(*on);
        if let Some(at) = core.iter().position(leads) {
            core[..=at].rotate_right(1);
        }
    }

    /// Is it a member that holds no state?
    pub(super) fn is_witness(&self, on: usize) -> bool {
        self.nodes[on].config.cluster.is_witness(self.nodes[on].config.me)
    }

    /// Heals these, as a full mesh or as a star around the first, and asks for rest.
    pub(super) fn heal_core(&mut self, mut core: Vec<usize>, mesh: bool) {
        // Who has no disk is not started again.
        core.retain(|on| !self.nodes[*on].is_lost);
        self.marks.mesh_heals += u64::from(mesh);
        self.marks.star_heals += u64::from(!mesh);
        self.marks.partial_heals += u64::from(core.len() < self.nodes.len());
        self.heal_links(&core, mesh);
        let full = self.stays_full(&core, mesh);
        for on in &core {
            self.hasten_sync(*on);
            self.wake(*on);
            self.hasten_stop(*on);
            if full == Some(*on) {
                self.marks.full_heals += 1;
                let _ = self.fill_disk(*on);
            } else {
                self.empty_disk(*on);
            }
        }
        let lacks = |members: &Vec<usize>| {
            let whole = members.iter().filter(|on| core.contains(on) && !self.nodes[**on].lacks_memory()).count();
            whole < vr_core::quorum(members.len())
        };
        let damaged = self.setup.durability == Durability::Sync && self.bodies().last().is_some_and(lacks);
        self.marks.stuck_groups += u64::from(self.overwhelmed || damaged);
        // Damaged logs may be repaired, and who was down and damaged may not have been missed: then all have their full time.
        let is_void = self.checkers.as_ref().is_none_or(Checkers::owe_nothing);
        let bound = if self.overwhelmed && is_void {
            self.setup.heartbeat.times(self.setup.view_change.1).times(2)
        } else {
            Wait(self.setup.liveness_bound().0 + self.net.longest_latency().times(300).0)
        };
        self.part_outsiders(&core);
        let until = self.now.after(bound);
        let ids: Vec<ReplicaId> = core.iter().map(|on| self.nodes[*on].config.me).collect();
        let resting = core.iter().copied().filter(|on| full != Some(*on)).collect();
        self.phase = Phase::Liveness { core: resting, mesh, until };
        self.observe(&Happening::Healed { core: &ids, mesh });
        for on in core {
            if self.nodes[on].status() == Status::Down {
                self.open(on);
            }
        }
        self.ask_for_more();
        self.queue.push(self.now.after(self.setup.heartbeat), Pending::Settled);
        self.queue.push(until, Pending::Settled);
    }

    /// One of a mesh may be left with a full disk, if the others are a quorum that has its memory: it takes no entries,
    /// must not lead for long, and nobody waits for it.
    fn stays_full(&mut self, core: &[usize], mesh: bool) -> Option<usize> {
        let bound = u32::try_from(core.len()).expect("few members") + 1;
        let chosen = self.decider.choose(ChoiceKind::CoreFull, 0, bound).checked_sub(1)?;
        let full = core[usize::try_from(chosen).expect("an index")];
        let others = core.iter().filter(|on| **on != full && !self.nodes[**on].lacks_memory()).count();
        // While the group may change, every disk is needed.
        let mesh = mesh && self.setup.plan.is_none();
        (mesh && others >= vr_core::quorum(self.nodes.len())).then_some(full)
    }

    fn heal_links(&mut self, core: &[usize], mesh: bool) {
        self.net.freeze_cuts();
        let hub = core.first().copied();
        let mut apart = Vec::new();
        for a in core {
            self.net.heal(self.net.requests(*a));
            self.net.heal(self.net.answers(*a));
            for b in core.iter().filter(|b| *b != a) {
                let link = self.net.between(*a, *b);
                self.net.heal(link);
                if !mesh && Some(*a) != hub && Some(*b) != hub {
                    apart.push(link);
                }
            }
        }
        let _ = self.lay_cut(apart);
    }

    /// Nobody who is not healed can lead those who are: he does not hear them, or they do not hear him, or both.
    /// Otherwise his links stay as they are.
    fn part_outsiders(&mut self, core: &[usize]) {
        for other in (0..self.nodes.len()).filter(|other| !core.contains(other)) {
            let which = self.decider.choose(ChoiceKind::Outsider, num(other), 3);
            let out = core.iter().map(|on| self.net.between(other, *on)).filter(|_| which != 2);
            let back = core.iter().map(|on| self.net.between(*on, other)).filter(|_| which != 1);
            let links = out.chain(back).collect();
            let _ = self.lay_cut(links);
        }
    }

    /// Every client finishes what it waits for and calls one fresh operation.
    fn ask_for_more(&mut self) {
        for at in 0..self.clients.len() {
            if self.operates(at) {
                self.operator_finishes(at);
                continue;
            }
            let waiting = self.clients[at].waiting();
            self.clients[at].left = if waiting == Waiting::Answer { 2 } else { 1 };
            if waiting == Waiting::Idle {
                self.begin_operation(at);
            }
        }
    }

    /// Is everything at rest? Then the run is over; and so it is when its time is up.
    pub(super) fn ask_settled(&mut self) {
        let Phase::Liveness { core, mesh, until } = &self.phase else { return };
        let (settled, late) = (self.is_at_rest(core, *mesh), self.now >= *until);
        if settled || late {
            self.end(settled);
        } else {
            self.queue.push(self.now.after(Wait(self.setup.heartbeat.0 / 2)), Pending::Settled);
        }
    }

    fn is_at_rest(&self, core: &[usize], mesh: bool) -> bool {
        let clients_done = self.clients.iter().all(|c| c.waiting() == Waiting::Idle && c.left == 0);
        if !clients_done {
            return false;
        }
        let groups = core.iter().filter_map(|on| self.nodes[*on].life.as_ref()).map(|life| life.replica.group());
        let Some(group) = groups.max_by_key(|group| group.epoch()) else { return false };
        let healed = core;
        let (core, others): (Vec<usize>, Vec<usize>) =
            core.iter().partition(|on| group.position(self.nodes[**on].config.me).is_some());
        if core.is_empty() || !others.iter().all(|on| self.is_out(*on, (healed, mesh))) {
            return false;
        }
        let lives = core.iter().map(|on| self.nodes[*on].life.as_ref());
        let Some(all) = lives.map(|life| life.map(|l| l.replica.snapshot())).collect::<Option<Vec<_>>>() else {
            return false;
        };
        // In a star led by a leaf, the other leaves have no link to it (DESIGN §10).
        let (hub, primary) = (all[0].id, all[0].primary);
        let linked = |id: ReplicaId| mesh || primary == hub || id == hub || id == primary;
        // Whoever is a member has to be in the epoch, once it was told of that, wherever its links lead; and the last entry of
        // an epoch is no rest.
        let told = |on: &usize| self.nodes[*on].told.as_ref().is_some_and(|told| told.epoch() >= group.epoch());
        let behind = |(on, seen): (&usize, &Snapshot)| seen.epoch < group.epoch() && (linked(seen.id) || told(on));
        if core.iter().zip(&all).any(behind) || core.iter().any(|on| self.ends_epoch(*on)) {
            return false;
        }
        let served: Vec<&Snapshot> = all.iter().filter(|s| linked(s.id)).collect();
        let led = served.iter().any(|s| s.status == StatusName::Primary && !s.wants_view_change);
        let where_is = |s: &Snapshot| (s.view, s.op, s.commit);
        let is_well = |s: &&Snapshot| {
            let is_normal = matches!(s.status, StatusName::Primary | StatusName::Backup);
            let is_done = s.executed == s.op || group.is_witness(s.id);
            is_normal && where_is(s) == where_is(&all[0]) && s.commit == s.op && is_done
        };
        led && served.len() >= group.quorum() && served.iter().all(is_well)
    }

    /// Does it know that it is no member, or can nobody tell it who is healed, too?
    fn is_out(&self, on: usize, (healed, mesh): (&[usize], bool)) -> bool {
        let Some(life) = &self.nodes[on].life else { return false };
        let (status, ours) = (life.replica.snapshot().status, life.replica.group());
        if status == StatusName::Retired {
            return true;
        }
        let told = self.nodes[on].told.as_ref();
        let waits = status == StatusName::Transitioning;
        let asks = |id: ReplicaId| {
            let groups = told.into_iter().chain((!waits).then_some(ours));
            groups.into_iter().any(|group| group.position(id).is_some())
        };
        let linked = |other: usize| mesh || healed.first() == Some(&other) || healed.first() == Some(&on);
        let tells = |other: &usize| {
            let node = &self.nodes[*other];
            let is_later = |life: &Life<A::Service>| {
                let forgot = life.replica.snapshot().status == StatusName::Recovering;
                !forgot && life.replica.group().epoch() > ours.epoch()
            };
            *other != on && linked(*other) && asks(node.config.me) && node.life.as_ref().is_some_and(is_later)
        };
        !healed.iter().any(tells)
    }

    /// The run is over.
    pub(super) fn end(&mut self, settled: bool) {
        self.settled = settled;
        let up = self.nodes.iter().filter_map(|node| node.life.as_ref());
        let replicas: Vec<(Snapshot, Hash)> =
            up.map(|life| (life.replica.snapshot(), life.replica.table_digest())).collect();
        let open = self.clients.iter().filter_map(|c| c.outstanding().map(|number| (c.id(), number)));
        let unanswered: Vec<_> = open.collect();
        self.phase = Phase::Over;
        self.observe(&Happening::Ended { replicas: &replicas, unanswered: &unanswered, settled });
        // Who is healed may halt afterwards, at a write that failed: then too few may be left.
        let is_stuck = self.checkers.as_ref().is_some_and(Checkers::owe_nothing);
        self.marks.stuck_groups = self.marks.stuck_groups.max(u64::from(is_stuck));
    }

    /// Far more steps than any sane run takes.
    pub(super) fn storm(&mut self) {
        let message = format!("{} steps and no end: a storm of messages or timers", self.steps);
        self.violation = Some(Violation {
            property: "L5 no storm",
            severity: Severity::Liveness,
            message,
            replicas: Vec::new(),
            ops: Vec::new(),
        });
    }
}
