//! What an operator or a disk tells a process: to give way, to stop in good order, that there is no room, that there is again.
//!
//! Owns the way of these inputs and the exit that follows a stop: once everything that was written is durable. A power
//! failure may come first. Must not know what a replica does with them. DESIGN 9.11; PROTOCOL §6 "Restart paths".

use super::{Pending, World};
use crate::fate::Restart;
use crate::workload::App;
use vr_core::{Input, ReplicaId};

impl<A: App> World<A> {
    // ---- stopping

    /// A process is asked to stop, if it runs and was not asked before.
    pub(super) fn ask_to_stop(&mut self, on: usize, restart: Restart) {
        let life = self.nodes[on].lives;
        self.happen(Pending::Stop { on, life, restart });
    }

    pub(super) fn told_to_stop(&mut self, on: usize, life: u32, restart: Restart) {
        let node = &mut self.nodes[on];
        if node.lives != life || node.life.is_none() || node.stopping.is_some() {
            return;
        }
        node.stops_without_memory = node.lacks_memory();
        node.stopping = Some(restart);
        self.step(on, Input::Stop);
        self.exit_if_done(on);
    }

    /// A process that was asked to stop exits when nothing is on its way to its disk.
    pub(super) fn exit_if_done(&mut self, on: usize) {
        let node = &self.nodes[on];
        if let Some(restart) = node.stopping.filter(|_| node.life.is_some() && node.disk.under_way() == 0) {
            self.stop(on, restart);
        }
    }

    /// Whoever is stopping comes back at once.
    pub(super) fn hasten_stop(&mut self, on: usize) {
        let node = &mut self.nodes[on];
        node.stopping = node.stopping.map(|_| Restart(0));
    }

    // ---- giving way

    /// An operator asks a process to give way: to another one, or, if it is the same, to whoever is furthest.
    pub(super) fn ask_to_give_way(&mut self, on: usize, to: usize) {
        let to = Some(self.nodes[to].config.me).filter(|_| to != on);
        self.asked_to_give_way(on, to);
    }

    pub(super) fn asked_to_give_way(&mut self, on: usize, to: Option<ReplicaId>) {
        let life = self.nodes[on].lives;
        self.happen(Pending::HandOver { on, life, to });
    }

    pub(super) fn told_to_give_way(&mut self, on: usize, life: u32, to: Option<ReplicaId>) {
        let node = &self.nodes[on];
        if node.lives == life && node.life.is_some() && node.stopping.is_none() {
            self.step(on, Input::HandOver { to });
        }
    }

    // ---- room

    /// A disk has no room for entries: which filling this is.
    pub(super) fn fill_disk(&mut self, on: usize) -> u32 {
        let node = &mut self.nodes[on];
        node.fillings += 1;
        node.full = Some(node.fillings);
        self.marks.full_disks += 1;
        self.tell_space(on);
        self.nodes[on].fillings
    }

    pub(super) fn disk_has_room(&mut self, on: usize, filling: u32) {
        if self.nodes[on].full == Some(filling) {
            self.empty_disk(on);
        }
    }

    /// There is room again.
    pub(super) fn empty_disk(&mut self, on: usize) {
        let node = &mut self.nodes[on];
        if node.full.take().is_some() {
            let life = node.lives;
            self.happen(Pending::Space { on, life, has: true });
        }
    }

    /// Tells a process that its disk is full, if it is. One that starts supposes that there is room.
    pub(super) fn tell_space(&mut self, on: usize) {
        if self.nodes[on].full.is_some() {
            let life = self.nodes[on].lives;
            self.happen(Pending::Space { on, life, has: false });
        }
    }

    pub(super) fn told_space(&mut self, on: usize, life: u32, has: bool) {
        let node = &self.nodes[on];
        if node.lives == life && node.life.is_some() && node.stopping.is_none() {
            self.step(on, Input::Space(has));
        }
    }
}
