//! Hands on the world: a scenario, a debugger or a person cuts, holds, crashes, calls and looks.
//!
//! Owns the controls. Nothing random happens in a world [`World::by_hand`]; a control works in any world. Replicas
//! and clients are named by position. Must not know what anybody wants to show with it.

use super::{Pending, Phase, Status, World};
use crate::client::{Asked, Client, Waiting};
use crate::fate::Restart;
use crate::net::Filter;
use crate::workload::App;
use bytes::Bytes;
use vr_core::{
    Config, Hash, Message, Note, Op, Rejection, ReplicaId, Reply, Request, Session, Snapshot, Stored, Time, Wait,
};

/// A message that somebody holds in his hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldMessage {
    /// Who sent it.
    pub from: ReplicaId,
    /// To whom.
    pub to: ReplicaId,
    /// In which life of its sender.
    pub life: u32,
    /// What.
    pub message: Message,
}

impl<A: App> World<A> {
    // ---- links

    /// Cuts one direction of a link.
    pub fn cut(&mut self, from: usize, to: usize) {
        let _ = self.lay_cut(vec![self.net.between(from, to)]);
    }

    /// Makes one direction of a link whole.
    pub fn heal_link(&mut self, from: usize, to: usize) {
        self.net.heal(self.net.between(from, to));
    }

    /// Makes all links whole and forgets all filters; what is held stays held.
    pub fn heal_network(&mut self) {
        self.net.heal_all();
        self.filters.clear();
    }

    /// Cuts clients off from a replica, in both directions.
    pub fn cut_clients(&mut self, replica: usize) {
        let _ = self.lay_cut(vec![self.net.requests(replica), self.net.answers(replica)]);
    }

    /// Lets clients reach a replica again.
    pub fn heal_clients(&mut self, replica: usize) {
        self.net.heal(self.net.requests(replica));
        self.net.heal(self.net.answers(replica));
    }

    /// From now on, messages that match are kept in [`World::held`] instead of travelling.
    pub fn hold(&mut self, filter: Filter) {
        self.filters.push((filter, true));
    }

    /// From now on, messages that match are lost.
    pub fn drop_matching(&mut self, filter: Filter) {
        self.filters.push((filter, false));
    }

    /// Matching messages travel again from now on. What is held stays held.
    pub fn stop_filtering(&mut self, filter: Filter) {
        self.filters.retain(|(f, _)| *f != filter);
    }

    /// The messages that are held, oldest first.
    #[must_use]
    pub fn held(&self) -> &[HeldMessage] {
        &self.held
    }

    /// Lets the held messages that match arrive now, in the order they were sent: how many.
    pub fn release(&mut self, filter: Filter) -> usize {
        let (go, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|held| filter.matches(held.message.body.kind(), held.from, held.to));
        self.held = stay;
        let count = go.len();
        go.into_iter().for_each(|held| self.inject(held));
        count
    }

    /// Lets a held message arrive now, and keeps it: a duplicate.
    pub fn release_copy(&mut self, at: usize) {
        if let Some(held) = self.held.get(at).cloned() {
            self.inject(held);
        }
    }

    /// Lets any message arrive now.
    pub fn inject(&mut self, held: HeldMessage) {
        let HeldMessage { to, life, message, .. } = held;
        let to = usize::from(to.0);
        self.queue.push(self.now, Pending::Deliver { to, life, held: true, message });
    }

    /// Forgets the held messages that match: how many.
    pub fn discard(&mut self, filter: Filter) -> usize {
        let before = self.held.len();
        self.held.retain(|held| !filter.matches(held.message.body.kind(), held.from, held.to));
        before - self.held.len()
    }

    // ---- replicas

    /// Crashes a replica now: nothing that was not durable survives. It stays down.
    pub fn crash_now(&mut self, replica: usize) {
        if self.nodes[replica].life.is_some() {
            self.stop(replica, Restart::NEVER);
        }
    }

    /// Starts a replica that is down.
    pub fn restart(&mut self, replica: usize) {
        if self.nodes[replica].life.is_none() {
            self.open(replica);
        }
    }

    /// A process stands still until [`World::go_on`].
    pub fn stand_still(&mut self, replica: usize) {
        let _ = self.pause(replica);
    }

    /// A process goes on.
    pub fn go_on(&mut self, replica: usize) {
        self.wake(replica);
    }

    /// Advances one replica's clock to its next deadline, a backup's view-change timer usually, and lets it fire.
    pub fn timeout(&mut self, replica: usize) {
        self.fire_timer(replica);
    }

    /// Advances one replica's clock.
    pub fn advance_clock(&mut self, replica: usize, ahead: Wait) {
        self.jump(replica, ahead);
    }

    /// The next sync of this disk fails.
    pub fn fail_next_sync(&mut self, replica: usize) {
        self.nodes[replica].disk.failing = true;
        self.nodes[replica].after_failure = Restart::NEVER;
    }

    /// Syncs of this disk take so many times longer; 1 is usual.
    pub fn slow_disk(&mut self, replica: usize, times: u64) {
        self.nodes[replica].disk.slowness = times.max(1);
    }

    /// The record of an op, which was confirmed, does not check any more on the disk of a replica that is down.
    ///
    /// # Panics
    /// When the disk does not hold it, or the replica runs.
    pub fn rot(&mut self, replica: usize, op: Op) {
        let node = &mut self.nodes[replica];
        assert!(node.life.is_none() && node.disk.readable(op).is_some(), "rot is found when a disk is opened");
        node.disk.rot(op);
    }

    /// The disk of a replica that is down is gone.
    ///
    /// # Panics
    /// When the replica runs.
    pub fn lose_disk_of(&mut self, replica: usize) {
        assert!(self.nodes[replica].life.is_none(), "that a disk is gone is found when it is opened");
        self.disk_is_gone(replica);
    }

    /// The disk of a replica that is down is what it was before: `image`, made in its present life and view. That a
    /// quorum of others holds what it forgets is for the caller to see to.
    ///
    /// # Panics
    /// When the replica runs.
    pub fn send_disk_back(&mut self, replica: usize, image: Stored) {
        assert!(self.nodes[replica].life.is_none(), "a disk goes back while nobody uses it");
        self.disk_was_sent_back(replica, image);
    }

    /// A replica is asked to stop in good order. It stays down.
    pub fn stop_in_order(&mut self, replica: usize) {
        self.ask_to_stop(replica, Restart::NEVER);
    }

    /// A replica is asked to give way to another one; if that is the same, to whoever is furthest.
    pub fn give_way(&mut self, replica: usize, to: usize) {
        self.ask_to_give_way(replica, to);
    }

    /// A replica is asked to give way to somebody, who need not exist.
    pub fn give_way_to(&mut self, replica: usize, to: Option<ReplicaId>) {
        self.asked_to_give_way(replica, to);
    }

    /// A disk has no room for entries.
    pub fn fill(&mut self, replica: usize) {
        self.fill_disk(replica);
    }

    /// It has room again.
    pub fn make_room(&mut self, replica: usize) {
        self.empty_disk(replica);
    }

    /// How many replicas there are.
    #[must_use]
    pub fn members(&self) -> usize {
        self.nodes.len()
    }

    /// Does it run?
    #[must_use]
    pub fn status(&self, replica: usize) -> Status {
        self.nodes[replica].status()
    }

    /// What an observer may see of a replica; `None` while it is down.
    #[must_use]
    pub fn snapshot(&self, replica: usize) -> Option<Snapshot> {
        self.nodes[replica].life.as_ref().map(|life| life.replica.snapshot())
    }

    /// The hash of its client table; `None` while it is down.
    #[must_use]
    pub fn table_digest(&self, replica: usize) -> Option<Hash> {
        self.nodes[replica].life.as_ref().map(|life| life.replica.table_digest())
    }

    /// The replica itself, to fork or to search from; `None` while it is down.
    #[must_use]
    pub fn replica(&self, replica: usize) -> Option<&vr_core::Replica> {
        self.nodes[replica].life.as_ref().map(|life| &life.replica)
    }

    /// Its service; `None` while it is down.
    #[must_use]
    pub fn service(&self, replica: usize) -> Option<&A::Service> {
        self.nodes[replica].life.as_ref().map(|life| &life.service)
    }

    /// What its disk would hold if the power failed now.
    #[must_use]
    pub fn disk(&self, replica: usize) -> &Stored {
        self.nodes[replica].disk.durable()
    }

    /// How many of its writes are under way.
    #[must_use]
    pub fn writes_under_way(&self, replica: usize) -> usize {
        self.nodes[replica].disk.under_way()
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self, replica: usize) -> &Config {
        &self.nodes[replica].config
    }

    /// Another configuration from its next life on: rules, timeouts.
    pub fn reconfigure(&mut self, replica: usize, config: Config) {
        self.nodes[replica].config = config;
    }

    /// Every note since the world began, with who stated it. Kept in a world by hand only.
    #[must_use]
    pub fn notes(&self) -> &[(usize, Note)] {
        &self.notes
    }

    // ---- clients

    /// A client, by position.
    #[must_use]
    pub fn client(&self, at: usize) -> &Client {
        &self.clients[at]
    }

    /// Is it waiting for something?
    #[must_use]
    pub fn is_waiting(&self, at: usize) -> bool {
        self.clients[at].waiting() != Waiting::Idle
    }

    /// A client asks this replica for a session.
    pub fn register(&mut self, at: usize, replica: usize) {
        self.clients[at].aim(replica);
        let next = self.clients[at].register();
        // Its answer begins no operation of its own: hands say what it calls.
        self.clients[at].left = 0;
        self.follow(at, next);
    }

    /// A client that has a session calls an operation, at this replica first.
    ///
    /// # Panics
    /// When it waits for something, or has no session.
    pub fn request(&mut self, at: usize, replica: usize, body: impl Into<Bytes>) {
        assert!(!self.is_waiting(at), "one request at a time");
        assert_ne!(self.clients[at].session(), Session::ZERO, "register first");
        self.clients[at].aim(replica);
        self.call(at, body.into(), Asked::Logged);
    }

    /// A client asks a question that changes nothing and is not logged, of this replica first. It needs no session.
    ///
    /// # Panics
    /// When it waits for something.
    pub fn read(&mut self, at: usize, replica: usize, body: impl Into<Bytes>) {
        assert!(!self.is_waiting(at), "one request at a time");
        self.clients[at].aim(replica);
        self.call(at, body.into(), Asked::Read);
    }

    /// The same, of a replica that may answer it whether it leads or not.
    ///
    /// # Panics
    /// When it waits for something.
    pub fn read_here(&mut self, at: usize, replica: usize, body: impl Into<Bytes>) {
        assert!(!self.is_waiting(at), "one request at a time");
        self.clients[at].aim(replica);
        self.call(at, body.into(), Asked::ReadHere);
    }

    /// A client sends what it waits for once more, to this replica.
    pub fn retry(&mut self, at: usize, replica: usize) {
        self.clients[at].aim(replica);
        let next = crate::client::Next::Send(self.setup.client_timeout);
        self.follow(at, next);
    }

    /// A client stops trying by itself; it still hears answers.
    pub fn silence(&mut self, at: usize) {
        self.clients[at].timer += 1;
    }

    /// A client crashes and comes back as another one, without a session.
    pub fn crash_client(&mut self, at: usize) {
        let id = self.clients[at].id();
        self.observe(&crate::check::Happening::GaveUp { client: id });
        self.clients[at].begin_anew();
        self.clients[at].timer += 1;
    }

    /// Lets any request arrive at a replica now, whoever it is from.
    pub fn inject_request(&mut self, replica: usize, request: Request) {
        self.queue.push(self.now, Pending::Request { to: replica, request, here: false });
    }

    /// All answers that replicas gave, in order. Kept in a world by hand only.
    #[must_use]
    pub fn answers(&self) -> &[Reply] {
        &self.answers
    }

    /// All refusals that replicas gave, in order. Kept in a world by hand only.
    #[must_use]
    pub fn refusals(&self) -> &[Rejection] {
        &self.refusals
    }

    // ---- time

    /// Runs until `done` says so, or `at` is reached, or something is violated: did `done` say so?
    pub fn run_until(&mut self, at: Time, mut done: impl FnMut(&Self) -> bool) -> bool {
        loop {
            if done(self) {
                return true;
            }
            if self.violation.is_some() || self.phase == Phase::Over {
                return false;
            }
            if self.queue.next_at().is_none_or(|next| next > at) {
                self.now = self.now.max(at);
                return false;
            }
            self.step_event();
        }
    }

    /// Runs for so long.
    pub fn run_for(&mut self, wait: Wait) {
        self.run_until(self.now.after(wait), |_| false);
    }

    /// Lets everything that is due at this very moment happen.
    pub fn run_now(&mut self) {
        self.run_until(self.now, |_| false);
    }

    /// The faults end: these come to rest, as a mesh or as a star around the first. Did they?
    pub fn settle(&mut self, core: &[usize], mesh: bool) -> bool {
        self.filters.clear();
        self.heal_core(core.to_vec(), mesh);
        self.run();
        self.settled && self.violation.is_none()
    }
}
