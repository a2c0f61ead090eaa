//! Faults strike: what each does to replicas, disks, clocks and links, and when it is over.
//!
//! Owns the carrying out of [`Fault`]s. Must not know who chose them. PROTOCOL F4–F12.

use super::{Pending, Phase, World};
use crate::decider::ChoiceKind;
use crate::digest::avalanche;
use crate::faults::{Fault, Length, Way, Who};
use crate::net::{CutId, LinkId};
use crate::workload::App;
use vr_core::{StatusName, Wait};

impl<A: App> World<A> {
    /// Asks whether something breaks now, and asks again later.
    pub(super) fn slot(&mut self, slot: u64) {
        if self.phase != Phase::Safety {
            return;
        }
        if let Some(fault) = Fault::decode(self.decider.choose(ChoiceKind::Fault, slot, Fault::BOUND)) {
            self.strike(fault);
        }
        self.queue.push(self.now.after(self.setup.slot), Pending::Slot(slot + 1));
    }

    /// The primary, as far as anybody can tell: of the latest view that has one.
    #[must_use]
    pub fn primary(&self) -> usize {
        let snapshots = self.nodes.iter().filter_map(|node| node.life.as_ref()).map(|life| life.replica.snapshot());
        let leads = |status| u8::from(status == StatusName::Primary);
        let newest = snapshots.max_by_key(|s| (leads(s.status), s.view));
        newest.map_or(0, |s| usize::from(s.primary.0))
    }

    fn position(&self, who: Who) -> usize {
        self.struck_by(who)
    }

    /// Something breaks.
    pub fn strike(&mut self, fault: Fault) {
        if self.phase == Phase::Over || matches!(self.phase, Phase::Liveness { .. }) {
            return;
        }
        self.schedule.faults.push((self.now, fault));
        if let Some(tape) = &mut self.tape {
            tape.struck(self.now, &fault);
        }
        let heartbeat = self.setup.heartbeat;
        match fault {
            Fault::Crash { who, restart } => self.crash(self.position(who), restart),
            Fault::PowerLoss { restart } => (0..self.nodes.len()).for_each(|on| self.crash(on, restart)),
            Fault::Pause { who, length } => {
                let on = self.position(who);
                if let Some(pause) = self.pause(on) {
                    self.queue.push(self.now.after(length.of(heartbeat)), Pending::Resume { on, pause });
                }
            }
            Fault::Jump { who, ahead } => {
                self.marks.clock_jumps += 1;
                self.jump(self.position(who), ahead.of(heartbeat));
            }
            Fault::Timeout { who } => {
                self.marks.early_timeouts += 1;
                self.fire_timer(self.position(who));
            }
            Fault::SlowDisk { who, factor, length } => {
                let (on, slowness) = (self.position(who), u64::from(factor.max(2)));
                self.nodes[on].disk.slowness = slowness;
                self.queue.push(self.now.after(length.of(heartbeat)), Pending::DiskHeals { on, slowness });
            }
            Fault::WriteError { who, restart } => {
                let on = self.position(who);
                self.nodes[on].disk.failing = true;
                self.nodes[on].after_failure = restart;
            }
            Fault::FullDisk { who, length } => {
                let on = self.position(who);
                let filling = self.fill_disk(on);
                self.queue.push(self.now.after(length.of(heartbeat)), Pending::DiskHasRoom { on, filling });
            }
            Fault::Stop { who, restart } => self.ask_to_stop(self.position(who), restart),
            Fault::StopAll { restart } => (0..self.nodes.len()).for_each(|on| self.ask_to_stop(on, restart)),
            Fault::LostDisk { who, restart } => self.lose_disk(self.position(who), restart),
            Fault::DiskGoesBack { who, length } => self.keep_image(self.position(who), length.of(heartbeat)),
            Fault::HandOver { who, to } => self.ask_to_give_way(self.position(who), self.position(to)),
            Fault::Isolate { .. }
            | Fault::Cut { .. }
            | Fault::Flap { .. }
            | Fault::Split { .. }
            | Fault::Star { .. }
            | Fault::ClientsCut { .. } => self.strike_links(fault),
        }
    }

    fn strike_links(&mut self, fault: Fault) {
        let members = self.nodes.len();
        let others = |me: usize| (0..members).filter(move |other| *other != me);
        let (links, length) = match fault {
            Fault::Isolate { who, way, length } => {
                self.count_cut(way, true);
                let me = self.position(who);
                (others(me).flat_map(|other| self.link(me, other, way)).collect(), length)
            }
            Fault::Cut { from, to, way, length } => {
                self.count_cut(way, false);
                let (from, to) = (self.position(from), self.position(to));
                let to = if from == to { (to + 1) % members } else { to };
                (self.link(from, to, way), length)
            }
            Fault::Flap { from, to, length } => return self.flap(from, to, length),
            Fault::Split { side, way, length } => {
                self.count_cut(way, true);
                let first = sides(side, members);
                let pairs = (0..members).filter(|a| first[*a]).flat_map(|a| others(a).map(move |b| (a, b)));
                let apart = pairs.filter(|(_, b)| !first[*b]);
                (apart.flat_map(|(a, b)| self.link(a, b, way)).collect(), length)
            }
            Fault::Star { hub, length } => {
                self.marks.stars += 1;
                let hub = self.position(hub);
                let pairs = others(hub).flat_map(|a| others(a).map(move |b| (a, b)));
                let leaves = pairs.filter(|(_, b)| *b != hub);
                (leaves.map(|(a, b)| self.net.between(a, b)).collect(), length)
            }
            Fault::ClientsCut { who, way, length } => {
                self.marks.client_cuts += 1;
                let at = self.position(who);
                let (requests, answers) = (self.net.requests(at), self.net.answers(at));
                let links = match way {
                    Way::Both => vec![requests, answers],
                    Way::Out => vec![answers],
                    Way::In => vec![requests],
                };
                (links, length)
            }
            Fault::Crash { .. }
            | Fault::PowerLoss { .. }
            | Fault::Pause { .. }
            | Fault::Jump { .. }
            | Fault::Timeout { .. }
            | Fault::SlowDisk { .. }
            | Fault::WriteError { .. }
            | Fault::FullDisk { .. }
            | Fault::Stop { .. }
            | Fault::StopAll { .. }
            | Fault::LostDisk { .. }
            | Fault::DiskGoesBack { .. }
            | Fault::HandOver { .. } => return,
        };
        let cut = self.lay_cut(links);
        self.queue.push(self.now.after(length.of(self.setup.heartbeat)), Pending::CutEnds(cut));
    }

    /// Lays a cut over links.
    pub(super) fn lay_cut(&mut self, links: Vec<LinkId>) -> CutId {
        if let Some(tape) = &mut self.tape {
            let ends = links.iter().filter_map(|link| self.net.ends(*link));
            let id = |position: usize| self.nodes[position].config.me;
            let ends: Vec<_> = ends.map(|(from, to)| (id(from), id(to))).collect();
            tape.cut(self.now, self.net.next_cut(), &ends);
        }
        self.net.cut(links)
    }

    pub(super) fn cut_ends(&mut self, cut: CutId) {
        if let Some(tape) = &mut self.tape {
            tape.healed(self.now, Some(cut.number()));
        }
        self.net.end_cut(cut);
    }

    /// The four absences of a link, with presences as long between them.
    fn flap(&mut self, from: Who, to: Who, length: Length) {
        self.marks.flaps += 1;
        let absence = length.of(self.setup.heartbeat);
        let (from, to) = (self.position(from), self.position(to));
        let fixed = |position: usize| Who(u8::try_from(position % 64).expect("below 64"));
        let cut = Fault::Cut { from: fixed(from), to: fixed(to), way: Way::Both, length };
        for absences in [0, 2, 4, 6] {
            self.queue.push(self.now.after(absence.times(absences)), Pending::Strike(cut));
        }
    }

    /// The directions of the link between two replicas that are cut, as the first one sees it.
    fn link(&self, me: usize, other: usize, way: Way) -> Vec<LinkId> {
        let (out, back) = (self.net.between(me, other), self.net.between(other, me));
        match way {
            _ if me == other => Vec::new(),
            Way::Both => vec![out, back],
            Way::Out => vec![out],
            Way::In => vec![back],
        }
    }

    const fn count_cut(&mut self, way: Way, is_partition: bool) {
        match way {
            Way::Both if is_partition => self.marks.partitions += 1,
            Way::Both => self.marks.link_cuts += 1,
            Way::Out | Way::In => self.marks.one_way_cuts += 1,
        }
    }

    /// A clock jumps forward.
    pub(super) fn jump(&mut self, on: usize, ahead: Wait) {
        self.jump_clock(on, ahead);
    }

    /// A clock jumps to the next deadline of its replica.
    pub(super) fn fire_timer(&mut self, on: usize) {
        let node = &self.nodes[on];
        let Some(deadline) = node.life.as_ref().and_then(|life| life.replica.next_deadline()) else { return };
        let ahead = deadline.since(node.clock.own(self.now));
        self.jump(on, ahead);
    }
}

/// Who belongs to the first part: never nobody, never everybody.
fn sides(side: u8, members: usize) -> Vec<bool> {
    let bits = avalanche(u64::from(side));
    let mut first: Vec<bool> = (0..members).map(|at| bits >> (at % 64) & 1 == 1).collect();
    if first.iter().all(|s| *s) || first.iter().all(|s| !*s) {
        let odd = usize::from(side) % members;
        first[odd] = !first[odd];
    }
    first
}
