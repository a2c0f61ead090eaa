//! One replica with its disk and clock: opened, stepped, paused, crashed, started again.
//!
//! Owns lives and deadlines. A life is one run of the process; what belongs to an earlier one is dropped. Must not
//! know why anything fails. DESIGN §5; PROTOCOL §6.

use super::{Pending, World, num};
use crate::check::Happening;
use crate::client::query_of;
use crate::clock::Clock;
use crate::decider::ChoiceKind;
use crate::digest::Digest;
use crate::disk::Disk;
use crate::fate::Restart;
use crate::service::Observed;
use crate::setup::Setup;
use crate::workload::App;
use bytes::Bytes;
use std::collections::VecDeque;
use vr_core::trace::{DropCause, Step};
use vr_core::{
    Config, Durability, Epoch, Event, Group, Input, Message, Op, Replica, Request, StatusName, Stored, Time, Wait,
};

/// A replica's place in the world.
#[derive(Clone, Debug)]
pub(super) struct Node<S> {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) disk: Disk,
    /// `None` while it is down.
    pub(super) life: Option<Life<S>>,
    /// How many lives there were, this one included.
    pub(super) lives: u32,
    /// Which pause it is in.
    paused: Option<u32>,
    pauses: u32,
    /// The moment that its driver takes for now, since it stood still right after it had looked at its clock.
    pub(super) looked: Option<Time>,
    /// What arrived while it was paused.
    inbox: VecDeque<Pending>,
    /// When the queue wakes it, in the world's time and in its own; earlier wake-ups are stale.
    armed: Option<(Time, Time)>,
    generation: u32,
    /// When it is started again after a failed write.
    pub(super) after_failure: Restart,
    /// It was asked to stop, and comes back then.
    pub(super) stopping: Option<Restart>,
    /// It was, while it had not got its memory back.
    pub(super) stops_without_memory: bool,
    /// Which filling its full disk has; `None` while there is room.
    pub(super) full: Option<u32>,
    pub(super) fillings: u32,
    /// Its disk is gone: it cannot be started.
    pub(super) is_lost: bool,
    /// The last epoch whose beginning was on its disk.
    pub(super) began: Epoch,
    /// The last group with it among the members that it was told of in this life.
    pub(super) told: Option<Group>,
    /// It was added, and has taken part since.
    pub(super) took_part: bool,
}

/// One run of a process.
#[derive(Clone, Debug)]
pub(super) struct Life<S> {
    pub(super) replica: Replica,
    pub(super) service: S,
    /// The service is busy until then.
    pub(super) busy_until: Time,
    /// The last op that the service executed or was given.
    pub(super) reached: Op,
    /// What the service has set aside, and after which op.
    pub(super) aside: Option<(Op, Bytes)>,
    /// Requests that arrived and wait for their driver, which works them off together.
    requests: Vec<Request>,
}

/// Is a replica running?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It runs.
    Up,
    /// It stands still.
    Paused,
    /// It crashed, or halted.
    Down,
}

impl<S: Observed> Node<S> {
    pub(super) fn new(setup: &Setup, position: u16) -> Result<Self, String> {
        let config = setup.config(position)?;
        let which = u64::from(position);
        let offset = Wait::millis(1000 + setup.number("clock", which) % 3_600_000);
        let width = u64::from(setup.drift_ppm) * 2 + 1;
        // Where there is a lease, which depends on how fast clocks run, half of them run as badly as they may.
        let chance = setup.number("drift", which);
        let chance = if setup.lease.is_some() && chance % 4 < 2 { chance % 2 * (width - 1) } else { chance % width };
        let drift = i64::try_from(chance).expect("at most 2³³") - i64::from(setup.drift_ppm);
        let cluster = &config.cluster;
        let stored = Stored::format(cluster.cluster, cluster.digest(), config.me, setup.instance(position));
        Ok(Self {
            clock: Clock::new(offset, i32::try_from(drift).unwrap_or(0)),
            disk: Disk::new(stored),
            life: None,
            lives: 0,
            paused: None,
            pauses: 0,
            looked: None,
            inbox: VecDeque::new(),
            armed: None,
            generation: 0,
            after_failure: Restart(12),
            stopping: None,
            stops_without_memory: false,
            full: None,
            fillings: 0,
            is_lost: false,
            began: Epoch::ZERO,
            told: None,
            took_part: false,
            config,
        })
    }

    pub(super) const fn status(&self) -> Status {
        match (&self.life, self.paused) {
            (None, _) => Status::Down,
            (Some(_), Some(_)) => Status::Paused,
            (Some(_), None) => Status::Up,
        }
    }

    /// Its memory is gone, or its log damaged: it can help nobody before it has been helped.
    pub(super) fn lacks_memory(&self) -> bool {
        if self.is_lost || self.config.cluster.durability == Durability::Sync {
            return self.is_lost || self.disk.durable().damage.is_some();
        }
        let amnesiac = |life: &Life<S>| life.replica.snapshot().status == StatusName::Recovering;
        let stored = self.disk.durable();
        let down = self.life.is_none() && !stored.clean;
        self.lives > 0 && (down || self.stops_without_memory || self.life.as_ref().is_some_and(amnesiac))
    }
}

impl<A: App> World<A> {
    /// One event for one replica, which runs. The only place that steps a replica.
    pub(super) fn step(&mut self, on: usize, input: Input) {
        let node = &mut self.nodes[on];
        let Some(life) = &mut node.life else { return };
        let event = Event { at: node.looked.unwrap_or_else(|| node.clock.own(self.now)), input };
        let mut actions = std::mem::take(&mut self.actions);
        if let Some(flights) = &mut self.flights {
            flights.stepped(on, &event);
        }
        let before = self.tape.is_some().then(|| life.replica.snapshot());
        life.replica.step_into(event.clone(), &mut actions);
        self.steps += 1;
        if let (Some(tape), Some(before)) = (&mut self.tape, before) {
            let after = life.replica.snapshot();
            tape.step(self.now, &Step { before: &before, event: &event, actions: &actions, after: &after });
        }
        let id = node.config.me;
        self.observe(&Happening::Stepped { on: id, event: &event, actions: &actions });
        self.carry_out(on, &mut actions);
        self.actions = actions;
        self.arm(on);
    }

    /// Starts a replica from its disk, if it has one.
    ///
    /// # Panics
    /// When it refuses: the disk was formatted for it.
    pub(super) fn open(&mut self, on: usize) {
        if self.nodes[on].is_lost && self.is_refused(on) {
            return;
        }
        self.looks_at_epoch(on);
        self.record_opening(on, self.nodes[on].clock.own(self.now));
        let node = &mut self.nodes[on];
        let stored = node.disk.durable().clone();
        let mut actions = std::mem::take(&mut self.actions);
        let at = node.clock.own(self.now);
        let replica = Replica::open(node.config.clone(), stored.clone(), at, &mut actions).expect("its own valid disk");
        if let Some(tape) = &mut self.tape {
            tape.opened(self.now, &actions, &replica.snapshot());
        }
        node.looked = None;
        node.life = Some(Life {
            replica,
            service: self.app.service(),
            busy_until: self.now,
            reached: Op::ZERO,
            aside: None,
            requests: Vec::new(),
        });
        node.lives += 1;
        if node.lives > 1 {
            self.marks.restarts += 1;
            self.marks.checkpoint_restarts += u64::from(stored.checkpoint.is_some());
        }
        let id = node.config.me;
        self.marks.clean_starts += u64::from(stored.clean && self.setup.durability == Durability::Async);
        self.observe(&Happening::Opened { on: id, stored: &stored, actions: &actions });
        self.carry_out(on, &mut actions);
        self.actions = actions;
        self.arm(on);
        self.tell_space(on);
    }

    // ---- deadlines

    /// Makes sure that the queue wakes the replica at its deadline or before.
    pub(super) fn arm(&mut self, on: usize) {
        let node = &mut self.nodes[on];
        let Some(deadline) = node.life.as_ref().and_then(|life| life.replica.next_deadline()) else { return };
        if node.armed.is_some_and(|(_, own)| own <= deadline) {
            return;
        }
        let due = node.clock.world(deadline).max(self.now);
        node.armed = Some((due, deadline));
        node.generation += 1;
        self.queue.push(due, Pending::Tick { on, generation: node.generation });
    }

    /// A clock jumps forward: what was to wake its replica at a moment of its own is too late now.
    pub(super) fn jump_clock(&mut self, on: usize, ahead: Wait) {
        let node = &mut self.nodes[on];
        node.clock.jump(self.now, ahead);
        node.armed = node.armed.map(|(due, _)| (due, node.clock.own(due)));
        if node.status() == Status::Up {
            self.arm(on);
        }
    }

    pub(super) fn tick(&mut self, on: usize, generation: u32) {
        let node = &mut self.nodes[on];
        if node.generation != generation || node.status() != Status::Up {
            return;
        }
        node.armed = None;
        let now = node.clock.own(self.now);
        let is_due = |life: &Life<A::Service>| life.replica.next_deadline().is_some_and(|deadline| deadline <= now);
        if node.life.as_ref().is_some_and(is_due) {
            self.step(on, Input::Tick);
        } else {
            self.arm(on);
        }
    }

    /// Lets the deadline of a replica fire, if it is due.
    pub(super) fn tick_now(&mut self, on: usize) {
        self.tick(on, self.nodes[on].generation);
    }

    fn disarm(&mut self, on: usize) {
        let node = &mut self.nodes[on];
        node.armed = None;
        node.generation += 1;
    }

    // ---- inputs

    /// Can it take an input now? A dead one takes it too, and never hears of it.
    pub(super) fn is_ready(&self, on: usize) -> bool {
        self.nodes[on].status() != Status::Paused
    }

    /// Keeps what arrives for a process that stands still.
    pub(super) fn wait_for(&mut self, on: usize, pending: Pending) {
        self.nodes[on].inbox.push_back(pending);
    }

    pub(super) fn deliver(&mut self, to: usize, life: u32, held: bool, message: Message) {
        if self.nodes[to].life.is_none() {
            return self.nobody_takes(to, &message);
        }
        self.hears_of_epoch(to, &message);
        self.messages += 1;
        let sender = usize::from(message.header.from.0);
        let is_dead = self.nodes.get(sender).is_some_and(|node| node.lives != life || node.life.is_none());
        self.marks.messages_of_the_dead += u64::from(is_dead);
        self.marks.holds_of_the_dead += u64::from(is_dead && held);
        self.step(to, Input::Message(message));
    }

    #[cold]
    fn nobody_takes(&mut self, to: usize, message: &Message) {
        if let Some(tape) = &mut self.tape {
            tape.lost(self.now, message, self.nodes[to].config.me, DropCause::Crash);
        }
    }

    pub(super) fn deliver_request(&mut self, to: usize, mut request: Request, here: bool) {
        let node = &self.nodes[to];
        if let (None, Some(tape)) = (&node.life, &mut self.tape) {
            tape.request_lost(self.now, &request, node.config.me, DropCause::Crash);
        }
        if let Some(query) = query_of(&request) {
            return self.step(to, if here { Input::QueryHere(query) } else { Input::Query(query) });
        }
        request.predicted.wall_ns = node.clock.own(self.now).0;
        let mut seed = Digest::of(self.setup.seed);
        seed.add(request.number.0);
        seed.add(node.clock.own(self.now).0);
        request.predicted.seed = seed.value();
        if !self.setup.together {
            return self.step(to, Input::Request(request));
        }
        let lives = self.nodes[to].lives;
        let Some(life) = &mut self.nodes[to].life else { return };
        life.requests.push(request);
        if life.requests.len() == 1 {
            let soon = self.now.after(Wait(self.setup.latency.0 / 2));
            self.queue.push(soon, Pending::Requests { to, life: lives });
        }
    }

    /// The driver takes up the requests that wait.
    pub(super) fn deliver_requests(&mut self, to: usize, life: u32) {
        let node = &mut self.nodes[to];
        if node.lives != life {
            return;
        }
        let Some(life) = &mut node.life else { return };
        let requests = std::mem::take(&mut life.requests);
        self.marks.requests_together += num(requests.len().saturating_sub(1));
        self.step(to, Input::Requests(requests));
    }

    pub(super) fn synced(&mut self, on: usize, life: u32, sync: u32, failed: bool) {
        let node = &mut self.nodes[on];
        if node.lives != life || node.life.is_none() || node.disk.sync() != sync {
            return;
        }
        if failed {
            self.marks.write_errors += 1;
            self.step(on, Input::WriteFailed);
        } else if let Some(upto) = node.disk.end_sync(sync) {
            self.looks_at_epoch(on);
            self.step(on, Input::Persisted(upto));
            self.exit_if_done(on);
        }
    }

    pub(super) fn executed(&mut self, on: usize, life: u32, op: Op, reply: Bytes) {
        let node = &self.nodes[on];
        if node.lives == life && node.life.is_some() {
            self.step(on, Input::Executed { op, reply });
        }
    }

    pub(super) fn service_answered(&mut self, on: usize, life: u32, answer: Input) {
        let node = &self.nodes[on];
        if node.lives == life && node.life.is_some() {
            let begun = if let Input::CheckpointBegun { op } = answer { Some(op) } else { None };
            self.step(on, answer);
            if let Some(op) = begun {
                self.give_aside(on, op);
            }
        }
    }

    // ---- down and up again

    /// Power fails, if the mode tolerates it (asynchronous, with a budget).
    pub(super) fn crash(&mut self, on: usize, restart: Restart) {
        if self.nodes[on].life.is_some() && self.may_lose_memory(on) {
            self.stop(on, restart);
        }
    }

    /// Would the group still have the memory that the mode needs if this one crashed?
    pub(super) fn may_lose_memory(&self, on: usize) -> bool {
        self.setup.durability == Durability::Sync || self.can_spare(on)
    }

    /// Are there still enough whose memory (synchronous mode: log) is whole, without this one?
    pub(super) fn can_spare(&self, on: usize) -> bool {
        if !self.setup.crash_budget {
            return true;
        }
        let can = |members: &Vec<usize>| {
            let others = members.iter().filter(|other| **other != on && self.nodes[**other].lacks_memory());
            !members.contains(&on) || others.count() < vr_core::faults_tolerated(members.len())
        };
        self.bodies_to_come().iter().all(can)
    }

    /// Ends a life; what was under way to the disk is there in part.
    pub(super) fn stop(&mut self, on: usize, restart: Restart) {
        let node = &mut self.nodes[on];
        let mut digest = Digest::of(num(on));
        digest.add(u64::from(node.lives));
        let key = digest.value();
        let under_way = node.disk.under_way();
        let survivors = self.decider.choose(ChoiceKind::Survivors, key, small(under_way) + 1);
        let survivors = usize::try_from(survivors).expect("fits an address");
        let pieces = small(node.disk.pieces_after(survivors));
        let torn = self.decider.choose(ChoiceKind::Torn, key, pieces + 1);
        let confirmed = node.disk.confirmed();
        node.disk.crash(survivors, usize::try_from(torn).expect("fits an address"));
        self.marks.crashes += 1;
        self.marks.silent_writes += num(survivors);
        self.marks.lost_writes += num(under_way - survivors);
        self.marks.torn_tails += u64::from(torn > 0 && torn < pieces);
        self.rot_by_chance(on, key, confirmed);
        let node = &mut self.nodes[on];
        node.life = None;
        node.told = None;
        (node.stopping, node.stops_without_memory) = (None, false);
        node.paused = None;
        for unread in std::mem::take(&mut node.inbox) {
            if let Pending::Deliver { message, .. } = unread {
                self.nobody_takes(on, &message);
            }
        }
        let node = &self.nodes[on];
        let (id, life) = (node.config.me, node.lives);
        self.disarm(on);
        self.observe(&Happening::Crashed { on: id });
        self.count_memories();
        if let Some(wait) = restart.after(self.setup.heartbeat) {
            self.queue.push(self.now.after(wait), Pending::Restart { on, life });
        }
    }

    fn count_memories(&mut self) {
        if self.nodes.iter().all(|node| node.life.is_none()) {
            self.marks.full_restarts += 1;
        }
        if self.setup.durability == Durability::Async {
            let without = |members: &Vec<usize>| members.iter().filter(|at| self.nodes[**at].lacks_memory()).count();
            let is_lost = |members: &Vec<usize>| without(members) > vr_core::faults_tolerated(members.len());
            self.overwhelmed |= self.bodies().iter().any(is_lost);
        }
    }

    pub(super) fn restart_due(&mut self, on: usize, life: u32) {
        if self.nodes[on].life.is_none() && self.nodes[on].lives == life {
            self.open(on);
        }
    }

    // ---- standing still

    pub(super) fn pause(&mut self, on: usize) -> Option<u32> {
        let node = &mut self.nodes[on];
        if node.status() != Status::Up {
            return None;
        }
        node.pauses += 1;
        node.paused = Some(node.pauses);
        node.looked = self.setup.lease.is_some().then(|| node.clock.own(self.now));
        self.marks.pauses += 1;
        let pause = self.nodes[on].pauses;
        self.disarm(on);
        Some(pause)
    }

    pub(super) fn resume_due(&mut self, on: usize, pause: u32) {
        if self.nodes[on].paused == Some(pause) {
            self.wake(on);
        }
    }

    /// Lets a process go on, with everything that arrived in between.
    pub(super) fn wake(&mut self, on: usize) {
        if self.nodes[on].paused.take().is_none() {
            return;
        }
        let mut inbox = std::mem::take(&mut self.nodes[on].inbox);
        for pending in inbox.drain(..) {
            if self.violation.is_none() {
                self.happen(pending);
            }
        }
        self.nodes[on].looked = None;
        self.arm(on);
    }

    pub(super) fn disk_heals(&mut self, on: usize, slowness: u64) {
        let disk = &mut self.nodes[on].disk;
        if disk.slowness == slowness {
            disk.slowness = 1;
        }
    }
}

pub(super) fn small(index: usize) -> u32 {
    u32::try_from(index).expect("few writes are under way")
}
