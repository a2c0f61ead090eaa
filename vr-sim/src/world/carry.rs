//! Carries out what a step asks for: sends, writes, upcalls, answers. Decides nothing.
//!
//! Owns the way of each action to its completion. Must not know the protocol: the one thing it looks at is whether
//! a message is a promise, where a crash hurts most. DESIGN §5 "The driver decides nothing".

use super::node::Life;
use super::{HeldMessage, Pending, World, num};
use crate::check::Happening;
use crate::client;
use crate::decider::ChoiceKind;
use crate::digest::{Digest, halves};
use crate::fate::{Fate, Strike, SyncFate};
use crate::net::Route;
use crate::service::Observed;
use crate::workload::App;
use bytes::Bytes;
use vr_core::trace::DropCause;
use vr_core::wire;
use vr_core::{
    Action, Body, Checkpoint, ClientId, Context, Durability, Entries, HaltReason, Input, Message, Op, Query, Reply,
    RequestNumber, Service, Session, StatusName, Time, To, Wait, Write, WriteId,
};

/// A slow upcall takes up to so many sixteenths of a heartbeat longer.
const UPCALL_SIXTEENTHS: u32 = 64;
/// A part of a checkpoint is read wrongly in one of so many bytes at its end.
const PART_PLACES: u32 = 255;
/// The lanes of the queue.
const MESSAGES: usize = 0;
const SYNCS: usize = 1;
const UPCALLS: usize = 2;
/// However slow a disk is, a sync takes no longer than so many heartbeats.
const SYNC_HEARTBEATS: u64 = 64;

impl<A: App> World<A> {
    pub(super) fn carry_out(&mut self, on: usize, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Send { to: To::One(to), message } => {
                    let position = usize::from(to.0);
                    if position < self.nodes.len() && position != on {
                        self.send(on, position, message);
                    }
                }
                Action::Send { to: To::Others, message } => self.broadcast(on, message),
                Action::Persist { id, write } => self.persist(on, id, write),
                Action::Execute(entries) => self.execute(on, &entries),
                Action::Checkpoint { op } => self.checkpoint(on, op),
                Action::Restore(checkpoint) => self.restore(on, &checkpoint),
                Action::Reply(reply) => self.answer(on, reply),
                Action::Read(queries) => self.ask_service(on, queries, None),
                Action::ReadBefore { deadline, queries } => self.ask_service(on, queries, Some(deadline)),
                Action::Reject(rejection) => {
                    if self.phase == super::Phase::Hands {
                        self.refusals.push((*rejection).clone());
                    }
                    let Some(client) = self.client_of(rejection.client) else { continue };
                    let key = key_of_answer(on, rejection.client, rejection.number);
                    let arrivals = self.route_client(ChoiceKind::Answer, key, self.net.answers(on));
                    for at in arrivals.into_iter().flatten() {
                        let rejection = rejection.clone();
                        self.queue.push_last(MESSAGES, at, Pending::Refusal { from: on, client, rejection });
                    }
                }
                Action::Note(note) => {
                    if self.setup.plan.is_some() {
                        self.notes_epoch(on, &note);
                    }
                    if self.phase == super::Phase::Hands {
                        self.notes.push((on, note));
                    }
                }
                Action::Halt(reason) => self.halt(on, reason),
            }
        }
        self.sync(on);
    }

    /// An answer leaves for its client.
    pub(super) fn answer(&mut self, on: usize, reply: Reply) {
        if self.phase == super::Phase::Hands {
            self.answers.push(reply.clone());
        }
        let Some(client) = self.client_of(reply.client) else { return };
        let key = key_of_answer(on, reply.client, reply.number);
        let arrivals = self.route_client(ChoiceKind::Answer, key, self.net.answers(on));
        for at in arrivals.into_iter().flatten() {
            self.queue.push_last(MESSAGES, at, Pending::Answer { from: on, client, reply: reply.clone() });
        }
    }

    /// A process that stops for good exits; after a failed write somebody starts it again later.
    fn halt(&mut self, on: usize, reason: HaltReason) {
        let restart =
            if reason == HaltReason::WriteFailed { self.nodes[on].after_failure } else { crate::fate::Restart::NEVER };
        self.stop(on, restart);
    }

    // ---- messages

    fn broadcast(&mut self, on: usize, message: Message) {
        if self.setup.spares > 0 {
            let group = self.nodes[on].life.as_ref().map(|life| life.replica.group().members().to_vec());
            for to in group.into_iter().flatten().map(|member| usize::from(member.id.0)).filter(|to| *to != on) {
                self.send(on, to, message.clone());
            }
            return;
        }
        let last = if on + 1 == self.nodes.len() { on.wrapping_sub(1) } else { self.nodes.len() - 1 };
        for to in (0..self.nodes.len()).filter(|to| *to != on && *to != last) {
            self.send(on, to, message.clone());
        }
        if last < self.nodes.len() {
            self.send(on, last, message);
        }
    }

    fn send(&mut self, from: usize, to: usize, mut message: Message) {
        let kind = message.body.kind();
        if !self.filters.is_empty() && self.is_held_by_hand(from, to, &message) {
            return;
        }
        let key = if self.decider.reads_keys() { key_of_message(&message, to) } else { 0 };
        let promise = match &message.body {
            Body::StartViewChange { want, .. } => *want,
            Body::DoViewChange(_) => true,
            // It promises to keep to the view (VRR §6.3).
            Body::CommitOk { .. } => self.setup.lease.is_some(),
            Body::Prepare { .. }
            | Body::PrepareOk { .. }
            | Body::Commit { .. }
            | Body::StartView(_)
            | Body::GetState(_)
            | Body::NewState(_)
            | Body::Recovery(_)
            | Body::RecoveryResponse(_)
            | Body::GetCheckpoint { .. }
            | Body::CheckpointPart(_)
            | Body::GetEntries { .. }
            | Body::Entries(_)
            | Body::StartEpoch(_)
            | Body::EpochStarted { .. }
            | Body::NewEpoch(_)
            | Body::CheckEpoch
            | Body::GetReadIndex { .. }
            | Body::ReadIndex { .. }
            | Body::CheckpointDurable(_) => false,
        };
        if promise && self.asks_decider() {
            self.strike_later(ChoiceKind::CrashAfterPromise, from, key);
        }
        self.misread_part(&mut message, key);
        let link = self.net.between(from, to);
        let fate = if self.asks_decider() && !self.net.is_cut(link) {
            Fate::decode(self.decider.choose(ChoiceKind::Message(kind), key, Fate::BOUND))
        } else {
            Fate::OnTime
        };
        let life = self.nodes[from].lives;
        let route = self.net.route(link, self.now, fate, &mut self.marks);
        if self.tape.is_some() {
            self.put_on_tape(&message, to, fate, route);
        }
        match route {
            Route::Nowhere => {}
            Route::Once(at) => self.queue.push_last(MESSAGES, at, Pending::Deliver { to, life, held: false, message }),
            Route::Held(at) => self.queue.push(at, Pending::Deliver { to, life, held: true, message }),
            Route::Twice(first, second) => {
                self.queue.push(first, Pending::Deliver { to, life, held: false, message: message.clone() });
                self.queue.push(second, Pending::Deliver { to, life, held: false, message });
            }
            Route::Corrupt(at, damage) => {
                if let Some(message) = self.through_codec(&message, to, damage) {
                    self.queue.push(at, Pending::Deliver { to, life, held: false, message });
                }
            }
        }
    }

    /// Whoever sends a part of a checkpoint may read a byte of it wrongly: no checksum of a message tells (F9).
    fn misread_part(&mut self, message: &mut Message, key: u64) {
        let Body::CheckpointPart(part) = &mut message.body else { return };
        if part.bytes.is_empty() || !self.asks_decider() {
            return;
        }
        let chosen = self.decider.choose(ChoiceKind::Part, key, PART_PLACES + 1);
        let Some(place) = chosen.checked_sub(1).and_then(|place| usize::try_from(place).ok()) else { return };
        let mut bytes = part.bytes.whole().to_vec();
        let last = bytes.len() - 1;
        bytes[last - place % (last + 1)] ^= 1;
        part.bytes = Bytes::from(bytes).into();
        self.marks.rotten_parts += 1;
    }

    #[cold]
    fn put_on_tape(&mut self, message: &Message, to: usize, fate: Fate, route: Route) {
        let (now, to) = (self.now, self.nodes[to].config.me);
        let Some(tape) = &mut self.tape else { return };
        match route {
            Route::Nowhere if fate == Fate::Lost => tape.lost(now, message, to, DropCause::Loss),
            Route::Nowhere => tape.lost(now, message, to, DropCause::Partition),
            Route::Once(_) => {}
            Route::Twice(..) => tape.doubled(now, message, to),
            Route::Held(until) => tape.held(now, message, to, until),
            Route::Corrupt(_, damage) => tape.damaged(now, message, to, damage % 4),
        }
    }

    /// Encodes, damages and decodes a message; without damage it must come out as it went in.
    fn through_codec(&mut self, message: &Message, to: usize, damage: u32) -> Option<Message> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        wire::encode(message, &mut bytes);
        let mut place = Digest::of(key_of_message(message, to));
        place.add(u64::from(damage));
        for flip in 0..damage % 4 {
            place.add(u64::from(flip));
            let bit = usize::try_from(place.value() % (num(bytes.len()) * 8)).expect("an index");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let frame = Bytes::copy_from_slice(&bytes);
        self.bytes = bytes;
        let decoded = wire::decode_within(&frame, &self.limits).ok();
        match &decoded {
            Some(decoded) if damage.is_multiple_of(4) => {
                assert_eq!(decoded, message, "what is encoded is what is decoded");
                self.marks.codec_passes += 1;
            }
            Some(_) => {}
            None => self.marks.corruption_rejected += 1,
        }
        decoded
    }

    pub(super) fn is_held_by_hand(&mut self, from: usize, to: usize, message: &Message) -> bool {
        let (sender, receiver) = (self.nodes[from].config.me, self.nodes[to].config.me);
        let kind = message.body.kind();
        let Some((_, keep)) = self.filters.iter().find(|(filter, _)| filter.matches(kind, sender, receiver)) else {
            return false;
        };
        if *keep {
            let life = self.nodes[from].lives;
            self.held.push(HeldMessage { from: sender, to: receiver, life, message: message.clone() });
        }
        true
    }

    // ---- disk

    fn persist(&mut self, on: usize, id: WriteId, write: Write) {
        let node = &mut self.nodes[on];
        if node.life.is_none() {
            return; // It halted in this very step.
        }
        node.disk.issue(id, write);
        if self.asks_decider() {
            let key = self.key_of_write(on, id);
            self.strike_later(ChoiceKind::CrashAtWrite, on, key);
        }
    }

    fn key_of_write(&self, on: usize, id: WriteId) -> u64 {
        let mut digest = Digest::of(num(on));
        digest.add(u64::from(self.nodes[on].lives));
        digest.add(id.0);
        digest.value()
    }

    fn strike_later(&mut self, kind: ChoiceKind, on: usize, key: u64) {
        if let Some(strike) = Strike::decode(self.decider.choose(kind, key, Strike::BOUND)) {
            let at_write = u64::from(kind == ChoiceKind::CrashAtWrite);
            self.marks.crashes_at_write += at_write;
            self.marks.crashes_after_promise += 1 - at_write;
            let wait = Wait(self.setup.sync.0 / 4 * strike.quarters);
            let life = self.nodes[on].lives;
            self.queue.push(self.now.after(wait), Pending::Crash { on, life, restart: strike.restart });
        }
    }

    pub(super) fn struck(&mut self, on: usize, life: u32, restart: crate::fate::Restart) {
        if self.nodes[on].lives == life && self.asks_decider() {
            self.crash(on, restart);
        }
    }

    /// Begins a sync of what was written, unless one runs.
    fn sync(&mut self, on: usize) {
        let node = &mut self.nodes[on];
        let Some(first) = node.disk.begin_sync() else { return };
        let (slowness, failing) = (node.disk.slowness, std::mem::take(&mut node.disk.failing));
        let (life, sync) = (node.lives, node.disk.sync());
        let key = self.key_of_write(on, first);
        let fate = if self.asks_decider() {
            SyncFate::decode(self.decider.choose(ChoiceKind::Sync, key, SyncFate::BOUND))
        } else {
            SyncFate::OnTime
        };
        let usual = self.setup.sync.times(slowness);
        let (wait, failed) = match fate {
            SyncFate::OnTime => (usual, failing),
            SyncFate::Slow(quarters) => (Wait(usual.0 + usual.0 / 4 * u64::from(quarters)), failing),
            SyncFate::Failed => (usual, true),
        };
        let wait = wait.min(self.setup.heartbeat.times(SYNC_HEARTBEATS)).max(self.setup.sync);
        self.marks.slow_syncs += u64::from(wait > self.setup.sync);
        let failed = failed && (self.setup.durability == Durability::Sync || self.may_lose_memory(on));
        self.queue.push_last(SYNCS, self.now.after(wait), Pending::Synced { on, life, sync, failed });
    }

    /// A disk is as it should be: what runs on it ends as soon as it would have.
    pub(super) fn hasten_sync(&mut self, on: usize) {
        let node = &mut self.nodes[on];
        node.disk.slowness = 1;
        node.disk.failing = false;
        let life = node.lives;
        if let Some(sync) = node.disk.renumber_sync() {
            self.queue.push(self.now.after(self.setup.sync), Pending::Synced { on, life, sync, failed: false });
        }
    }

    // ---- upcalls

    fn execute(&mut self, on: usize, entries: &Entries) {
        let mut replies = Vec::new();
        for entry in entries {
            let node = &mut self.nodes[on];
            let Some(Life { service, .. }) = &mut node.life else { return };
            let op = entry.op();
            let context = Context { op, time_ns: entry.predicted().wall_ns, seed: entry.predicted().seed };
            let reply = service.execute(&context, entry.body());
            let state = service.state();
            let (id, lives) = (node.config.me, node.lives);
            self.observe(&Happening::Sampled { on: id, op, state });
            let longer = if self.asks_decider() {
                let mut digest = Digest::of(num(on));
                digest.add(u64::from(lives));
                digest.add(op.0);
                self.decider.choose(ChoiceKind::Execute, digest.value(), UPCALL_SIXTEENTHS)
            } else {
                0
            };
            self.marks.slow_upcalls += u64::from(longer > 0);
            let longer = Wait(self.setup.heartbeat.0 / 16 * u64::from(longer));
            let Some(life) = &mut self.nodes[on].life else { return };
            let done = life.busy_until.max(self.now).after(self.setup.execute).after(longer);
            (life.busy_until, life.reached) = (done, op);
            if self.setup.together && entries.len() > 1 {
                replies.push(reply);
            } else {
                self.queue.push_last(UPCALLS, done, Pending::Executed { on, life: lives, op, reply });
            }
        }
        let node = &self.nodes[on];
        if let (false, Some(first), Some(life)) = (replies.is_empty(), entries.first(), &node.life) {
            self.marks.answers_together += num(replies.len());
            let answer = Box::new(Input::ExecutedRun { first: first.op(), replies });
            self.queue.push_last(UPCALLS, life.busy_until, Pending::Answered { on, life: node.lives, answer });
        }
    }

    /// The service answers these behind everything it was asked before; under a lease, in time or not at all.
    fn ask_service(&mut self, on: usize, queries: Vec<Query>, deadline: Option<Time>) {
        let node = &self.nodes[on];
        let Some(Life { service, busy_until, reached: op, replica, .. }) = &node.life else { return };
        let seen = replica.snapshot();
        let (op, view, session, duplicate) = (*op, seen.view, Session::ZERO, false);
        self.marks.reads_at_backups += u64::from(seen.status == StatusName::Backup) * num(queries.len());
        let (life, done) = (node.lives, (*busy_until).max(self.now).after(self.setup.execute));
        for query in queries {
            let (client, number, result) = (query.client, query.number, service.read(&query.body));
            let reply = Reply { client, session, number, op, view, result, duplicate };
            let before = deadline.map(|deadline| Box::new((deadline, query)));
            self.queue.push_last(UPCALLS, done, Pending::Read { on, life, reply, before });
        }
    }

    pub(super) fn read_done(&mut self, on: usize, life: u32, reply: Reply, before: Option<Box<(Time, Query)>>) {
        let node = &self.nodes[on];
        if node.lives == life && node.life.is_some() && before.is_none_or(|before| self.is_in_time(on, *before)) {
            self.answer(on, reply);
        }
    }

    /// The service gives its state, when it has answered everything before.
    fn checkpoint(&mut self, on: usize, op: Op) {
        let Some(Life { service, .. }) = &self.nodes[on].life else { return };
        let (state, sample) = (service.checkpoint(), service.state());
        let id = self.nodes[on].config.me;
        self.observe(&Happening::Sampled { on: id, op, state: sample });
        if self.setup.aside == Wait::ZERO {
            return self.upcall(on, Input::CheckpointTaken { op, state });
        }
        if let Some(life) = &mut self.nodes[on].life {
            life.aside = Some((op, state));
        }
        self.upcall(on, Input::CheckpointBegun { op });
    }

    /// What the service set aside is given when that is done, while it does other things.
    pub(super) fn give_aside(&mut self, on: usize, op: Op) {
        let (node, setup) = (&mut self.nodes[on], &self.setup);
        let Some(Life { replica, aside, .. }) = &mut node.life else { return };
        let Some((_, state)) = aside.take_if(|(at, _)| *at == op) else { return };
        let Some((outline, _)) = replica.outline().filter(|(outline, _)| outline.op() == op) else { return };
        self.marks.checkpoints_set_aside += 1;
        let wait = setup.wait_up_to(setup.aside, "aside", op.0 << 8 | num(on));
        let answer = Box::new(Input::CheckpointGiven(Box::new(outline.clone().with(state))));
        let life = node.lives;
        self.queue.push_last(
            UPCALLS,
            self.now.after(setup.execute).after(wait),
            Pending::Answered { on, life, answer },
        );
    }

    /// The service becomes what it was, whatever it is.
    fn restore(&mut self, on: usize, checkpoint: &Checkpoint) {
        let op = checkpoint.op();
        let id = self.nodes[on].config.me;
        let Some(Life { service, reached, .. }) = &mut self.nodes[on].life else { return };
        *reached = op;
        service.restore_state(checkpoint.state());
        let state = service.state();
        self.observe(&Happening::Sampled { on: id, op, state });
        self.upcall(on, Input::Restored { op });
    }

    /// An upcall that takes as long as any, after those before it.
    fn upcall(&mut self, on: usize, answer: Input) {
        let lives = self.nodes[on].lives;
        let Some(life) = &mut self.nodes[on].life else { return };
        let done = life.busy_until.max(self.now).after(self.setup.execute);
        life.busy_until = done;
        self.queue.push_last(UPCALLS, done, Pending::Answered { on, life: lives, answer: Box::new(answer) });
    }

    // ---- clients

    fn client_of(&self, id: ClientId) -> Option<usize> {
        let index = usize::try_from(client::index_of(id)).expect("an index");
        (index < self.clients.len()).then_some(index)
    }

    /// When the copies of something between a client and a replica arrive.
    pub(super) fn route_client(&mut self, kind: ChoiceKind, key: u64, link: crate::net::LinkId) -> [Option<Time>; 2] {
        let fate = if self.asks_decider() && !self.net.is_cut(link) {
            Fate::decode(self.decider.choose(kind, key, Fate::BOUND))
        } else {
            Fate::OnTime
        };
        let fate = match fate {
            Fate::Corrupt(_) => Fate::Lost,
            Fate::OnTime | Fate::Late(_) | Fate::Lost | Fate::Twice(_) | Fate::Held(_) => fate,
        };
        self.marks.client_messages_lost += u64::from(fate == Fate::Lost);
        match self.net.route(link, self.now, fate, &mut self.marks) {
            Route::Nowhere | Route::Corrupt(..) => [None, None],
            Route::Once(at) | Route::Held(at) => [Some(at), None],
            Route::Twice(first, second) => [Some(first), Some(second)],
        }
    }
}

fn key_of_message(message: &Message, to: usize) -> u64 {
    let header = &message.header;
    let mut digest = Digest::of(u64::from(header.from.0));
    digest.add(header.incarnation.0);
    digest.add(header.seq.0);
    digest.add(num(to));
    digest.value()
}

fn key_of_answer(on: usize, client: ClientId, number: RequestNumber) -> u64 {
    let mut digest = Digest::of(num(on));
    let (low, high) = halves(client.0);
    digest.add(low);
    digest.add(high);
    digest.add(number.0);
    digest.value()
}
