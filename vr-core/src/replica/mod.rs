//! The state machine of one replica: one gate for cluster, epoch and view, then one status; transitions.
//!
//! Owns the status, which only [`Replica::transition`] and the beginning of a life assign, and the decision "older / mine /
//! newer", which is made here once. Must not know how a status does its work. Paper: VRR §4 to §5.
//!
//! ```text
//!              quorum wants, or news of a later view
//!   Primary ──────────────────────────────────────────► ViewChange ◄────────── restart between views
//!   Backup  ──────────────────────────────────────────►   │    │
//!      ▲  ▲      the log of the view is whole             │    │ q reports, log durable
//!      │  └───────────────────────────────────────────────┘    └──────────────► Primary
//!      └──────── Recovering ◄── restart without memory,        anything ──► Halted
//!                    │          or with a damaged log
//!                    └ its log is what it was: where a restart with a whole log leads
//! ```

mod backup;
mod beginnings;
mod checkpoints;
mod common;
mod epochs;
mod execution;
mod fingerprint;
mod grants;
mod holders;
mod image;
mod inputs;
mod invariants;
mod news;
mod observers;
mod open;
mod primary;
mod recovery;
mod refusals;
mod repair;
mod retention;
mod shelf;
mod snapshot;
mod state_transfer;
mod view_change;
mod witnesses;

use crate::action::{Action, EnterCause, HaltReason, Ignored};
use crate::config::Config;
use crate::event::{Event, Input};
use crate::id::{Incarnation, ReplicaId, Time};
use crate::message::{Body, Header, Message, MessageKind, Recovery, Spare};
use crate::stored::Stored;
use crate::timer::Timer;
use alloc::vec::Vec;
use backup::Backup;
use common::{Common, Next, Out};
use core::cmp::Ordering;
pub use image::ImageError;
use open::Found;
pub use open::OpenError;
use primary::Primary;
use recovery::Recovering;
use serde::{Deserialize, Serialize};
pub use snapshot::{Snapshot, StatusName};
use view_change::ViewChange;

/// One replica. Equal replicas act equally.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replica {
    common: Common,
    status: Status,
}

/// VRR's `status`; each owns what exists only in it, and takes it along when it ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u64)] // asked several times in every step: a word that is compared, not one to be worked out from a field
enum Status {
    Primary(Primary),
    Backup(Backup),
    ViewChange(ViewChange),
    Recovering(Recovering),
    /// No member of the group of its epoch, or its epoch is over and the next not begun (VRR §7.2). Votes nowhere, promises
    /// nothing.
    Outside,
    Halted,
}

impl Replica {
    /// Starts a replica from what its disk holds, the fold of its durable writes; its first actions go to `out`.
    ///
    /// A virgin disk starts normal in view 0. Otherwise, in [`crate::Durability::Sync`], a backup resumes its view,
    /// a primary enters the next one (PROTOCOL D52), a view change goes on; in [`crate::Durability::Async`] the
    /// same after an orderly stop, and otherwise the replica recovers its memory from the others. So does in both
    /// modes whoever finds its log damaged.
    ///
    /// # Errors
    /// When the configuration is invalid or the disk is not this replica's.
    pub fn open(config: Config, stored: Stored, at: Time, out: &mut Vec<Action>) -> Result<Self, OpenError> {
        config.validate().map_err(OpenError::Config)?;
        let ours = (config.cluster.cluster, config.cluster.digest(), config.me);
        if ours != (stored.cluster, stored.config, stored.id) {
            return Err(OpenError::ForeignDisk);
        }
        let found = Found::on(&stored);
        let clients = checkpoints::table_on(&config, &stored).ok_or(OpenError::NoCheckpoint)?;
        let mut common = Common::new(config, stored, clients, at);
        if common.group.epoch() < common.epoch() {
            return Err(OpenError::NoGroup);
        }
        common.begin(out, found.clean);
        witnesses::begin(&mut common);
        let mut this = Self { common, status: Status::Halted };
        this.start(out, found);
        this.settle(out);
        this.check_invariants();
        Ok(this)
    }

    /// Takes one event, gives what is to be done, in order.
    #[must_use]
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.step_into(event, &mut out);
        out
    }

    /// [`Replica::step`] into a buffer of the caller's: appends, and allocates nothing in steady state.
    ///
    /// # Panics
    /// When the driver reports the completion of something that was never asked for: a bug in the driver.
    pub fn step_into(&mut self, event: Event, out: &mut Vec<Action>) {
        self.common.now = self.common.now.max(event.at);
        self.common.grants.look(self.common.now);
        if matches!(self.status, Status::Halted) {
            return;
        }
        match event.input {
            Input::Message(message) => self.on_message(out, message),
            Input::Request(request) => self.on_request(out, request),
            Input::Requests(requests) => self.on_requests(out, requests),
            Input::Query(query) => self.on_query(out, query),
            Input::QueryHere(query) => self.on_query_here(out, query),
            Input::QueryLate(query) => self.on_query_late(out, query),
            Input::Persisted(upto) => self.on_persisted(out, upto),
            // Nothing became durable or was logged: nothing new can be promised.
            Input::Executed { op, reply } => {
                self.on_executed(out, op, reply);
                return self.after_upcalls(out);
            }
            Input::ExecutedRun { first, replies } => {
                self.on_executed_run(out, first, replies);
                return self.after_upcalls(out);
            }
            Input::CheckpointTaken { op, state } => {
                let serving = matches!(self.status, Status::Primary(_));
                let next = epochs::taken(&mut self.common, out, op, state, serving);
                self.transition(out, next);
            }
            Input::CheckpointBegun { op } => self.on_checkpoint_begun(out, op),
            Input::CheckpointGiven(checkpoint) => self.on_checkpoint_given(out, checkpoint),
            Input::Restored { op } => {
                checkpoints::restored(&mut self.common, out, op, matches!(self.status, Status::Primary(_)));
            }
            Input::WriteFailed => self.transition(out, Next::Halt(HaltReason::WriteFailed)),
            Input::Space(has) => self.on_space(out, has),
            Input::Stop => self.stop(out),
            Input::Tick => self.on_tick(out),
            Input::HandOver { to } => self.on_hand_over(out, to),
        }
        match &mut self.status {
            Status::Primary(primary) => {
                let next = primary.settle(&mut self.common, out);
                if next != Next::Stay {
                    self.change(out, next);
                    self.settle(out);
                }
            }
            Status::Backup(backup) => backup.settle(&mut self.common, out),
            Status::ViewChange(_) => self.settle(out),
            Status::Recovering(_) | Status::Outside | Status::Halted => {}
        }
        self.check_invariants();
    }

    /// When the next [`Input::Tick`] is due; `None` when only something from outside can move this replica.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let Common { timers, grants, .. } = &self.common;
        let due = timers.next_deadline().into_iter().chain(grants.due()).min();
        due.filter(|_| !matches!(self.status, Status::Halted))
    }

    fn on_tick(&mut self, out: &mut Out) {
        while let Some(timer) = self.common.timers.take_due(self.common.now) {
            let common = &mut self.common;
            let next = match (&mut self.status, timer) {
                (_, Timer::Epoch) => {
                    epochs::on_timer(common, out, !matches!(self.status, Status::Recovering(_)));
                    Next::Stay
                }
                (status, Timer::Checkpoint) => {
                    let speaks = matches!(status, Status::Primary(_) | Status::Backup(_) | Status::ViewChange(_));
                    witnesses::on_timer(common, out, speaks);
                    Next::Stay
                }
                (Status::Primary(primary), Timer::Heartbeat) => primary.on_heartbeat(common, out),
                (Status::Primary(primary), Timer::Retransmit) => {
                    primary.on_retransmit(common, out);
                    Next::Stay
                }
                (Status::Backup(backup), Timer::ViewChange) => backup.on_patience_lost(common, out),
                (Status::Backup(_), Timer::Heartbeat) => {
                    common.want_view_change(out);
                    Next::AskGate
                }
                (Status::Backup(backup), Timer::Fetch) => {
                    backup.on_fetch(common, out);
                    Next::Stay
                }
                (Status::Backup(backup), Timer::Retransmit) => backup.on_silence(common, out),
                (Status::ViewChange(between), Timer::Heartbeat) => between.on_heartbeat(common, out),
                (Status::ViewChange(between), Timer::ViewChange) => between.on_patience_lost(common, out),
                (Status::ViewChange(between), Timer::Fetch) => between.on_fetch(common, out),
                (Status::Recovering(recovering), Timer::Heartbeat) => recovering.on_heartbeat(common, out),
                (Status::Recovering(recovering), Timer::Fetch) => {
                    recovering.on_fetch(common, out);
                    Next::Stay
                }
                (Status::Primary(_), Timer::ViewChange | Timer::Fetch)
                | (Status::ViewChange(_), Timer::Retransmit)
                | (Status::Recovering(_), Timer::ViewChange | Timer::Retransmit)
                | (Status::Outside | Status::Halted, _) => Next::Stay,
            };
            self.transition(out, next);
        }
    }

    // ---- messages: one gate

    fn on_message(&mut self, out: &mut Out, message: Message) {
        let (envelope, body) = Spare::open(message);
        self.admit(out, &envelope.header, body);
        self.common.spare.keep(envelope);
    }

    #[inline(always)] // the way of every message
    fn admit(&mut self, out: &mut Out, header: &Header, body: Body) {
        let (from, kind) = (header.from, body.kind());
        let common = &mut self.common;
        let sender = common.group.position(from).filter(|sender| *sender != common.me);
        let other = header.epoch != common.epoch() || kind.is_about_epochs();
        let refused = if header.config != common.header().config {
            Some(Ignored::WrongCluster)
        } else if from == common.config.me || (sender.is_none() && !other) {
            Some(Ignored::NotAMember)
        } else if header.view.is_beyond() || header.epoch != header.view.epoch() {
            Some(Ignored::Malformed)
        } else {
            None
        };
        if let Some(why) = refused {
            return common.ignore(out, from, kind, why);
        }
        if other {
            let normal = matches!(self.status, Status::Primary(_) | Status::Backup(_));
            let remembers = !matches!(self.status, Status::Recovering(_));
            let next = epochs::on_message(common, out, (header, &body), (normal, remembers));
            return self.transition(out, next);
        }
        if matches!(self.status, Status::Outside) && !kind.is_by_content() {
            return common.ignore(out, from, kind, Ignored::WrongStatus);
        }
        if let Some(sender) = sender {
            common.gate.hear(sender, common.now);
            common.grants.hear(common.rules, from, header.view);
        }
        if let Status::Recovering(recovering) = &mut self.status {
            let votes = matches!(body, Body::StartViewChange { .. } | Body::DoViewChange(_));
            let plays = common.rules.votes_while_recovering(recovering.is_damaged());
            if !(votes && plays && header.view > common.view()) {
                let next = recovering.on_message(common, out, from, (header.view, &body));
                return self.transition(out, next);
            }
        }
        match (header.view.cmp(&common.view()), body) {
            // These are exempt from the gate: who asks is in no view, and a checkpoint is named by its content.
            (_, Body::Recovery(question)) => self.on_recovery(out, from, &question),
            (_, Body::GetCheckpoint { head, offset }) => checkpoints::serve(common, out, from, head, offset),
            (_, Body::GetEntries { through }) => {
                let lent = repair::lend(core::iter::once(&common.log), through, common.page_bytes());
                repair::give(common, out, from, lent);
            }
            (_, Body::CheckpointDurable(news)) => retention::heard(common, out, from, *news),
            (_, Body::RecoveryResponse(_) | Body::Entries(_)) => common.ignore(out, from, kind, Ignored::NotAsked),
            (_, Body::StartEpoch(_) | Body::EpochStarted { .. } | Body::NewEpoch(_) | Body::CheckEpoch) => {}
            (_, body @ Body::CheckpointPart(_)) | (Ordering::Equal, body) => {
                self.on_current(out, from, (header.incarnation, body));
            }
            (Ordering::Greater, body) => self.on_news(out, header, body),
            (Ordering::Less, body) => self.on_older(out, header, &body),
        }
    }

    /// A message of our view.
    #[inline(always)] // the way of nearly every message
    fn on_current(&mut self, out: &mut Out, from: ReplicaId, (incarnation, body): (Incarnation, Body)) {
        let common = &mut self.common;
        if let Body::StartViewChange { want, hears } = body {
            if let Some(position) = common.group.position(from) {
                common.gate.vote(position, want, hears, common.now);
            }
            if let Status::Primary(primary) = &mut self.status {
                primary.welcome(common, out, from);
            }
            return self.transition(out, Next::AskGate);
        }
        let next = match &mut self.status {
            Status::Primary(primary) => primary.on_message(common, out, from, &body),
            Status::Backup(backup) => backup.on_message(common, out, from, body),
            Status::ViewChange(between) => between.on_message(common, out, from, (incarnation, &body)),
            Status::Recovering(_) | Status::Outside | Status::Halted => Next::Stay,
        };
        self.transition(out, next);
    }

    /// A message of a later view: a quorum has left ours, so do we. Our log and log_view stay as they are.
    #[inline(never)]
    fn on_news(&mut self, out: &mut Out, header: &Header, body: Body) {
        let common = &mut self.common;
        let rules = common.rules;
        let early = matches!(body, Body::DoViewChange(_) | Body::StartViewChange { .. });
        if early && !rules.joins_on_early_report() {
            return common.ignore(out, header.from, body.kind(), Ignored::WrongStatus);
        }
        let normal = matches!(body, Body::Prepare { .. } | Body::Commit { .. });
        if normal && (rules.raises_log_view_on_news() || rules.truncates_on_news()) {
            common.enter(out, header.view, EnterCause::Evidence);
            let keep = if rules.truncates_on_news() { common.commit() } else { common.log.op() };
            common.replace(out, keep, crate::entry::Entries::empty());
            let commit = common.commit();
            self.transition(out, Next::Follow { commit });
        } else {
            self.transition(out, Next::Enter(header.view, EnterCause::Evidence));
        }
        self.on_current(out, header.from, (header.incarnation, body));
    }

    /// A message of an earlier view is dropped; whoever is still voting there is told where we are.
    fn on_older(&mut self, out: &mut Out, header: &Header, body: &Body) {
        let common = &mut self.common;
        let (from, kind) = (header.from, body.kind());
        match (body, &mut self.status) {
            (Body::StartViewChange { .. } | Body::DoViewChange(_), Status::Primary(primary))
                if !primary.is_abdicated() =>
            {
                primary.welcome(common, out, from);
            }
            (Body::StartViewChange { .. } | Body::DoViewChange(_), _) => common.say_vote_to(out, from),
            (Body::PrepareOk { head, beat }, Status::Primary(primary))
                if common.rules.counts_ack(false, head.hash, None) =>
            {
                primary.on_prepare_ok(common, out, from, (*head, *beat), false);
            }
            (Body::StartView(start), Status::Backup(_) | Status::ViewChange(_))
                if common.rules.takes_older_start_view() && common.log.contains(start.tail.base) =>
            {
                common.recover_in(header.view);
                common.replace(out, start.tail.base.op, start.tail.entries.clone());
                self.transition(out, Next::Follow { commit: start.commit });
            }
            (Body::ReadIndex { id, op }, Status::Backup(backup)) if common.rules.takes_index_of_earlier_view() => {
                backup.on_read_index(common, out, from, (*id, *op), false);
            }
            (Body::Prepare { .. } | Body::Commit { .. }, Status::Backup(_))
                if common.rules.older_view_is_a_sign_of_life() =>
            {
                common.hear_primary();
            }
            _ => common.ignore(out, from, kind, Ignored::OlderView),
        }
    }

    /// VRR §4.3 step 2, exempt from the view gate: the asker is in no view (DESIGN §10 "Recovery").
    fn on_recovery(&mut self, out: &mut Out, from: ReplicaId, question: &Recovery) {
        let common = &mut self.common;
        let view_start = match &self.status {
            Status::Primary(primary) => Some(primary.view_start()),
            Status::Backup(_) => None,
            Status::ViewChange(_) if common.rules.answers_recovery_between_views() => {
                return ViewChange::misleads(common, out, from, question.nonce);
            }
            Status::ViewChange(_) | Status::Recovering(_) | Status::Outside | Status::Halted => {
                return common.ignore(out, from, MessageKind::Recovery, Ignored::WrongStatus);
            }
        };
        if question.view_min.is_beyond() || question.view_min.epoch() > common.epoch() {
            common.ignore(out, from, MessageKind::Recovery, Ignored::Malformed);
        } else if common.view() < question.view_min {
            let led_by_asker = common.group.primary(question.view_min) == from;
            let view = if led_by_asker { question.view_min.next() } else { question.view_min };
            self.transition(out, Next::Enter(view, EnterCause::RecoveryNeedsIt));
        } else if common.primary() == from {
            common.want_view_change(out);
            self.transition(out, Next::AskGate);
        } else {
            recovery::answer(common, out, from, question, view_start);
        }
    }

    // ---- transitions: the only place that assigns the status

    /// Does what a status asked for.
    #[inline]
    fn transition(&mut self, out: &mut Out, next: Next) {
        if next != Next::Stay {
            self.change(out, next);
        }
    }

    fn change(&mut self, out: &mut Out, next: Next) {
        let common = &mut self.common;
        match next {
            Next::Stay => {}
            Next::Resume => self.resume(out, false),
            Next::AskGate => {
                let leaving = matches!(self.status, Status::ViewChange(_));
                if common.gate.opens(&common.config, common.quorum, leaving, common.now) {
                    let view = common.view().next();
                    self.transition(out, Next::Enter(view, EnterCause::Quorum));
                }
            }
            Next::Enter(view, cause) => {
                Self::turn_away(&mut self.status, common, out);
                common.enter(out, view, cause);
                let mut between = ViewChange::enter(common, out);
                if let Status::ViewChange(older) = core::mem::replace(&mut self.status, Status::Halted) {
                    between.inherit(older, common);
                }
                self.status = Status::ViewChange(between);
            }
            Next::Lead { commit } => {
                common.normal_view = common.view();
                self.status = Status::Primary(Primary::enter(common, out, commit));
            }
            Next::Follow { commit } => {
                common.normal_view = common.view();
                self.status = Status::Backup(Backup::enter(common, out, commit));
            }
            Next::Epoch(commit) => {
                self.step_out(out);
                self.begin_epoch(out, commit);
            }
            Next::Leave(commit) => {
                self.step_out(out);
                self.common.commit_to(out, commit, false);
            }
            Next::Halt(reason) => {
                self.status = Status::Halted;
                out.push(Action::Halt(reason));
            }
        }
    }

    /// Says what became sayable: promises follow from what is durable now, whatever happened.
    fn settle(&mut self, out: &mut Out) {
        loop {
            let next = match &mut self.status {
                Status::Primary(primary) => primary.settle(&mut self.common, out),
                Status::Backup(backup) => return backup.settle(&mut self.common, out),
                Status::ViewChange(between) => between.settle(&mut self.common, out),
                Status::Recovering(_) | Status::Outside | Status::Halted => Next::Stay,
            };
            if next == Next::Stay {
                return;
            }
            self.change(out, next);
        }
    }

    /// What must hold after every step, in release too: our own state is nobody else's fault.
    #[inline]
    fn check_invariants(&self) {
        let common = &self.common;
        let leads = matches!(self.status, Status::Primary(_));
        let normal = leads || matches!(self.status, Status::Backup(_));
        let holds = invariants::hold(common, leads, normal);
        assert!(
            holds | !common.rules.keeps_invariants(),
            "an invariant of our own state is broken: {:?}",
            self.snapshot()
        );
    }
}
