//! What a story does to links, messages, replicas, disks and clocks, by role.
//!
//! Owns the words for it; all of them take effect at once and let no time pass. Must not know any story.

use super::stage::{Role, Scenario, Verdict};
use crate::net::Filter;
use vr_core::{MessageKind, Op, ReplicaId, Wait};

impl Scenario {
    // ---- links

    /// Cuts the links between these and those, in both directions.
    pub fn cut(&mut self, these: Role, those: Role) {
        self.cut_way(these, those);
        self.cut_way(those, these);
    }

    /// Cuts one direction: what `from` sends does not reach `to`.
    pub fn cut_way(&mut self, from: Role, to: Role) {
        for (a, b) in self.pairs(from, to) {
            self.world.cut(a, b);
        }
    }

    /// Makes the links between these and those whole, in both directions.
    pub fn mend(&mut self, these: Role, those: Role) {
        for (a, b) in self.pairs(these, those) {
            self.world.heal_link(a, b);
            self.world.heal_link(b, a);
        }
    }

    /// Makes one direction whole.
    pub fn mend_way(&mut self, from: Role, to: Role) {
        for (a, b) in self.pairs(from, to) {
            self.world.heal_link(a, b);
        }
    }

    /// Cuts somebody off from all other replicas, in both directions. Clients still reach it.
    pub fn isolate(&mut self, who: Role) {
        for at in self.all(who) {
            self.cut(Role::R(at), Role::Others(at));
        }
    }

    /// It is heard and hears nobody.
    pub fn deafen(&mut self, who: Role) {
        for at in self.all(who) {
            self.cut_way(Role::Others(at), Role::R(at));
        }
    }

    /// It hears everybody and is not heard.
    pub fn mute(&mut self, who: Role) {
        for at in self.all(who) {
            self.cut_way(Role::R(at), Role::Others(at));
        }
    }

    /// Makes all links whole and lets everything pass; what is held stays held.
    pub fn heal(&mut self) {
        self.world.heal_network();
    }

    fn pairs(&self, these: Role, those: Role) -> Vec<(usize, usize)> {
        let (these, those) = (self.all(these), self.all(those));
        let pair = |a: usize| those.iter().filter(move |b| **b != a).map(move |b| (a, *b));
        these.iter().flat_map(|a| pair(*a).collect::<Vec<_>>()).collect()
    }

    // ---- messages

    /// Messages of this kind are held from now on.
    pub fn hold(&mut self, kind: MessageKind, from: Role, to: Role) {
        for filter in self.filters(kind, from, to) {
            self.world.hold(filter);
        }
    }

    /// Messages of this kind are lost from now on.
    pub fn lose(&mut self, kind: MessageKind, from: Role, to: Role) {
        for filter in self.filters(kind, from, to) {
            self.world.drop_matching(filter);
        }
    }

    /// Messages of this kind pass from now on. What is held stays held.
    pub fn pass(&mut self, kind: MessageKind, from: Role, to: Role) {
        for filter in self.filters(kind, from, to) {
            self.world.stop_filtering(filter);
        }
    }

    /// The held messages of this kind arrive, now that they may pass: how many.
    ///
    /// # Errors
    /// When none is held.
    pub fn release(&mut self, kind: MessageKind, from: Role, to: Role) -> Verdict<usize> {
        self.expect_held(kind, from, to)?;
        self.pass(kind, from, to);
        let filters = self.filters(kind, from, to);
        Ok(filters.into_iter().map(|filter| self.world.release(filter)).sum())
    }

    /// Duplicates of the held messages of this kind arrive, while these stay held: how many.
    ///
    /// # Errors
    /// When none is held.
    pub fn release_copies(&mut self, kind: MessageKind, from: Role, to: Role) -> Verdict<usize> {
        let places = self.expect_held(kind, from, to)?;
        places.iter().for_each(|place| self.world.release_copy(*place));
        Ok(places.len())
    }

    /// A duplicate of the oldest held message of this kind arrives.
    ///
    /// # Errors
    /// When none is held.
    pub fn release_oldest_copy(&mut self, kind: MessageKind, from: Role, to: Role) -> Verdict {
        let places = self.expect_held(kind, from, to)?;
        self.world.release_copy(places[0]);
        Ok(())
    }

    fn expect_held(&self, kind: MessageKind, from: Role, to: Role) -> Verdict<Vec<usize>> {
        let places = self.held(kind, from, to);
        self.expect(!places.is_empty(), format!("a {} from {from:?} to {to:?} in hand", kind.name()))?;
        Ok(places)
    }

    /// The held messages of this kind are lost: how many.
    pub fn forget(&mut self, kind: MessageKind, from: Role, to: Role) -> usize {
        let filters = self.filters(kind, from, to);
        filters.into_iter().map(|filter| self.world.discard(filter)).sum()
    }

    /// Where the held messages of this kind stand among all that are held, oldest first.
    #[must_use]
    pub fn held(&self, kind: MessageKind, from: Role, to: Role) -> Vec<usize> {
        let filters = self.filters(kind, from, to);
        let held = self.world.held().iter().enumerate();
        let meant = held.filter(|(_, m)| filters.iter().any(|f| f.matches(m.message.body.kind(), m.from, m.to)));
        meant.map(|(place, _)| place).collect()
    }

    fn filters(&self, kind: MessageKind, from: Role, to: Role) -> Vec<Filter> {
        let ends = |role: Role| {
            let some = |at: usize| Some(self.id(at));
            if role == Role::All { vec![None] } else { self.all(role).into_iter().map(some).collect() }
        };
        let tos = ends(to);
        let filter = |from| tos.iter().map(move |to| Filter { kind: Some(kind), from, to: *to });
        ends(from).into_iter().flat_map(filter).collect()
    }

    /// The id of the replica at a position.
    #[must_use]
    pub fn id(&self, at: usize) -> ReplicaId {
        self.world.config(at).me
    }

    // ---- replicas

    /// Crashes these: what is not durable is gone. They stay down.
    pub fn crash(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.crash_now(at));
    }

    /// Starts these again, if they are down.
    pub fn restart(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.restart(at));
    }

    /// These processes stand still.
    pub fn stand_still(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.stand_still(at));
    }

    /// These processes go on.
    pub fn go_on(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.go_on(at));
    }

    /// The next deadline of these is now.
    pub fn timeout(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.timeout(at));
    }

    /// The clocks of these jump forward.
    pub fn advance_clock(&mut self, who: Role, ahead: Wait) {
        self.all(who).into_iter().for_each(|at| self.world.advance_clock(at, ahead));
    }

    /// The clocks of these run fast by so many parts in a million from now on, slow if it is less than nothing.
    pub fn drift(&mut self, who: Role, drift_ppm: i32) {
        self.all(who).into_iter().for_each(|at| self.world.drift(at, drift_ppm));
    }

    /// The services of these answer nothing for so long.
    pub fn keep_busy(&mut self, who: Role, wait: Wait) {
        self.all(who).into_iter().for_each(|at| self.world.keep_busy(at, wait));
    }

    /// These are asked to stop in good order. They stay down.
    pub fn stop(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.stop_in_order(at));
    }

    /// An operator asks the one to give way to the other; if it is the same, to whoever is furthest.
    pub fn give_way(&mut self, who: usize, to: usize) {
        self.world.give_way(who, to);
    }

    // ---- disks

    /// The disks of these have no room for entries.
    pub fn fill_disk(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.fill(at));
    }

    /// The disks of these have room again.
    pub fn make_room(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.make_room(at));
    }

    /// The record of an op rots on the disks of these, who are down.
    pub fn rot(&mut self, who: Role, op: Op) {
        self.all(who).into_iter().for_each(|at| self.world.rot(at, op));
    }

    /// The disks of these, who are down, are gone.
    pub fn lose_disk(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.lose_disk_of(at));
    }

    /// What these write from now on is not durable before very long: ten thousand syncs.
    pub fn stick_disk(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.slow_disk(at, 10_000));
    }

    /// Syncs of these take so many times as long.
    pub fn slow_disk(&mut self, who: Role, times: u64) {
        self.all(who).into_iter().for_each(|at| self.world.slow_disk(at, times));
    }

    /// The disks of these are as fast as ever, from the next sync on.
    pub fn free_disk(&mut self, who: Role) {
        self.all(who).into_iter().for_each(|at| self.world.slow_disk(at, 1));
    }
}
