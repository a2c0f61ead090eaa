//! The node's loop: inbox → `step_into` → carry out.
//!
//! Owns the replica. Takes everything that waits in the inbox, feeds it step by step, then carries out what was asked
//! for, in order: so that one wake-up, one sync and one request to each peer serve many requests. It decides nothing.
//! DESIGN §5.

use super::grouped::{Grouped, Heed};
use super::leaving::Leaving;
use super::reading::{READER, Reading};
use super::waiting::Waiting;
use super::{Arrival, Arrivals, Asker, Question};
use crate::clock;
use crate::disk::{Disk, DiskAnswer};
use crate::events::Observer;
use crate::flight::Flight;
use crate::handle::{NodeStatus, RequestError};
use crate::keeper::Keeper;
use crate::metrics::Metrics;
use crate::transport::Peers;
use crate::upcalls::{Answered, Aside, Upcall, Upcalls};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use vr_core::trace::Step;
use vr_core::{
    Action, Body, Event, HaltReason, Input, Instance, Message, Note, Op, Predicted, Query, Replica, Request,
    StatusName, Time, Wait, Write, WriteId,
};

/// How much is taken from the inbox at once.
const TAKEN_AT_ONCE: usize = 4096;
/// So much later than it was meant, a wake-up says that this process stood still.
const STALL: Duration = Duration::from_millis(5);
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(60);
/// How long an orderly stop may take before it becomes an end like any other.
const STOP_WITHIN: Wait = Wait::millis(10_000);
/// So far the service may lag behind the log before requests are refused as busy.
const UNEXECUTED_OPS_MAX: u64 = 65_536;

/// Why a node has stopped.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// It was told to, and its disk has everything.
    #[error("stopped in an orderly way")]
    Stopped,
    /// It was told to, and its disk did not take everything in time.
    #[error("stopped, but its disk did not take everything in time")]
    StoppedLate,
    /// The replica must not go on.
    #[error("the replica must not go on: {0:?}")]
    Halted(HaltReason),
    /// The group knows its id on another disk: it must not take its place (PROTOCOL D97).
    #[error("this id belongs to disk {0:?} in the group: another disk does not take its place")]
    AnotherDisk(Instance),
    /// The service panicked.
    #[error("the service panicked: {0}")]
    ServicePanicked(String),
    /// Its task was given up: it was dropped, or nobody could reach it any more.
    #[error("it was given up")]
    Abandoned,
    /// A bug in this library: its task panicked.
    #[error("a bug: its task panicked")]
    Bug,
}

/// What the loop works with.
pub(super) struct Loop {
    pub(super) replica: Replica,
    pub(super) arrivals: Arrivals,
    pub(super) peers: Peers,
    pub(super) group: Grouped,
    pub(super) disk: Disk,
    pub(super) upcalls: Upcalls,
    pub(super) keeper: Keeper,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: watch::Sender<NodeStatus>,
    pub(super) observer: Option<Observer>,
    pub(super) flight: Option<Flight>,
    pub(super) waiting: Waiting,
    pub(super) reading: Reading,
    pub(super) leaving: Leaving,
    /// Requests that came one after the other.
    pub(super) requests: Vec<Request>,
    pub(super) progress: Progress,
    /// How long a replica tries to give way.
    pub(super) abdicate: Wait,
    /// Random; each request's seed follows from it.
    pub(super) seed: u64,
}

/// How far disk and stop have come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    issued: WriteId,
    durable: WriteId,
    commit: Op,
    has_no_space: bool,
    /// The service is too far behind.
    lags: bool,
    /// An orderly stop is under way, until then.
    stop_by: Option<Time>,
    ended: Option<StopReason>,
}

impl Loop {
    /// Runs until the node stops; `actions` are those of the replica's start.
    pub(super) async fn run(mut self, mut actions: Vec<Action>) -> StopReason {
        let mut taken = Vec::with_capacity(TAKEN_AT_ONCE);
        let mut timer = Box::pin(sleep_until(Instant::now()));
        self.carry_out(&mut actions);
        self.progress.ended = self.progress.ended.take().or_else(|| self.group.foreign());
        loop {
            self.show();
            if let Some(reason) = self.ended() {
                return self.end(reason);
            }
            let is_closed = !self.wait(timer.as_mut(), &mut taken).await;
            if is_closed {
                return self.end(StopReason::Abandoned);
            }
            let now = clock::now();
            if !taken.is_empty() {
                self.metrics.inbox_taken.observe(f64::from(u32::try_from(taken.len()).unwrap_or(u32::MAX)));
            }
            for arrival in taken.drain(..) {
                if !matches!(arrival, Arrival::Question(_)) {
                    // In the order in which they came.
                    self.request(now, &mut actions);
                }
                self.arrive(arrival, now, &mut actions);
            }
            self.request(now, &mut actions);
            // Only now: what came while this process stood still is heard before time is said to be up.
            if self.replica.next_deadline().is_some_and(|deadline| deadline <= now) {
                self.step(Input::Tick, now, &mut actions);
            }
            self.carry_out(&mut actions);
            if self.leaving.is_over(self.replica.snapshot().status, now) {
                self.step(Input::Stop, now, &mut actions);
                self.carry_out(&mut actions);
            }
        }
    }

    /// Waits for arrivals, or for the next deadline, and takes what is there. False when nobody can send any more. The
    /// timer is moved only when it would ring too late: deadlines mostly move away.
    async fn wait(&mut self, mut timer: Pin<&mut Sleep>, taken: &mut Vec<Arrival>) -> bool {
        let now = clock::now();
        let stop_by = self.progress.stop_by;
        let deadlines = [self.replica.next_deadline(), stop_by, self.leaving.deadline()].into_iter().flatten();
        let wait = deadlines.min().map_or(IDLE, |deadline| clock::until(now, deadline));
        let wake_at = Instant::now() + wait;
        if timer.is_elapsed() || timer.deadline() > wake_at {
            timer.as_mut().reset(wake_at);
        }
        tokio::select! {
            biased;
            count = self.arrivals.take(taken, TAKEN_AT_ONCE) => return count > 0,
            () = timer => {}
        }
        if wake_at.elapsed() > STALL {
            // This process stood still: the sockets are read before time is said to be up.
            tokio::task::yield_now().await;
            tokio::select! {
                biased;
                count = self.arrivals.take(taken, TAKEN_AT_ONCE) => return count > 0,
                () = std::future::ready(()) => {}
            }
        }
        true
    }

    fn step(&mut self, input: Input, at: Time, actions: &mut Vec<Action>) {
        let event = Event { at, input };
        if let Some(flight) = &mut self.flight {
            flight.add(&event);
        }
        let Self { replica, observer, .. } = self;
        let reader = observer.as_mut().map(|observer| (observer.is_read(at, || replica.snapshot()), observer));
        let Some((true, observer)) = reader else {
            replica.step_into(event, actions);
            return;
        };
        let (from, before, kept) = (actions.len(), replica.snapshot(), observer.keep(&event));
        replica.step_into(event, actions);
        let after = replica.snapshot();
        observer.stepped(&Step { before: &before, event: &kept, actions: &actions[from..], after: &after });
    }

    fn arrive(&mut self, arrival: Arrival, now: Time, actions: &mut Vec<Action>) {
        match arrival {
            Arrival::Messages(messages) => {
                messages.into_iter().for_each(|message| self.message(message, now, actions));
            }
            Arrival::Question(question) => self.question(question, now),
            Arrival::Read(asker) => self.read(asker, now, actions),
            Arrival::Disk(answer) => self.disk_answered(answer, now, actions),
            Arrival::Answered(Answered::Executed(first, replies)) => {
                self.step(Input::ExecutedRun { first, replies }, now, actions);
            }
            Arrival::Answered(Answered::CheckpointBegun(op, Aside(state))) => {
                self.step(Input::CheckpointBegun { op }, now, actions);
                if let Some((outline, is_waited_for)) = self.replica.outline().filter(|(outline, _)| outline.op() == op)
                {
                    self.keeper.give(outline.clone(), state, is_waited_for);
                }
            }
            Arrival::Answered(Answered::CheckpointGiven(checkpoint)) => {
                self.step(Input::CheckpointGiven(checkpoint), now, actions);
            }
            Arrival::Answered(Answered::Late(look)) => {
                self.metrics.lease_reads_late.inc();
                let query = self.reading.add(Asker { query: look.query, here: false, answer: look.answer });
                self.step(Input::QueryLate(query), now, actions);
            }
            Arrival::Answered(Answered::Restored(op)) => self.step(Input::Restored { op }, now, actions),
            Arrival::Answered(Answered::Panicked(words)) => {
                tracing::error!(panic = words, "the service panicked: this node stops");
                self.progress.ended.get_or_insert(StopReason::ServicePanicked(words));
            }
            Arrival::Look => {
                if let Some(observer) = &mut self.observer {
                    observer.look(now, &self.replica.snapshot());
                }
            }
            Arrival::HandOver(to, waiter) => {
                self.leaving.wait(waiter);
                self.step(Input::HandOver { to }, now, actions);
            }
            Arrival::Leave => {
                if self.progress.stop_by.is_none() {
                    self.progress.stop_by = Some(now.after(STOP_WITHIN));
                    // Twice as long as the replica tries: then the view that it left for has to start.
                    self.leaving.stop_by(now.after(self.abdicate.times(2)));
                    self.step(Input::HandOver { to: None }, now, actions);
                }
            }
            Arrival::Stop => {
                if self.progress.stop_by.is_none() {
                    self.progress.stop_by = Some(now.after(STOP_WITHIN));
                    self.step(Input::Stop, now, actions);
                }
            }
        }
    }

    fn message(&mut self, message: Message, now: Time, actions: &mut Vec<Action>) {
        match self.group.heed(&message) {
            Heed::Take => {
                if let Body::CheckpointPart(part) = &message.body
                    && self.replica.arriving() == Some(part.head)
                {
                    self.keeper.add(part);
                }
                self.step(Input::Message(message), now, actions);
            }
            Heed::Drop => {}
            Heed::Stop(reason) => {
                tracing::error!(%reason, "this node must not go on");
                self.progress.ended.get_or_insert(reason);
            }
        }
    }

    fn read(&mut self, asker: Asker, now: Time, actions: &mut Vec<Action>) {
        if asker.answer.is_closed() {
            return;
        }
        if self.progress.lags {
            let _ = asker.answer.send(Err(RequestError::Busy));
            return;
        }
        let here = asker.here;
        let query = self.reading.add(asker);
        self.step(if here { Input::QueryHere(query) } else { Input::Query(query) }, now, actions);
    }

    /// Takes a request, to be fed with those that came right after it.
    fn question(&mut self, question: Question, now: Time) {
        if question.answer.is_closed() {
            return;
        }
        if question.request.client == READER {
            let _ = question.answer.send(Err(RequestError::Malformed));
            return;
        }
        if self.progress.lags {
            let _ = question.answer.send(Err(RequestError::Busy));
            return;
        }
        let mut request = self.waiting.add(question, now);
        self.seed = self.seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        request.predicted = Predicted { wall_ns: clock::wall_ns(), seed: self.seed };
        self.requests.push(request);
    }

    /// Feeds the requests that came one after the other: together they are a batch.
    fn request(&mut self, now: Time, actions: &mut Vec<Action>) {
        let input = match self.requests.len() {
            0 => return,
            1 => self.requests.pop().map(Input::Request),
            _ => Some(Input::Requests(std::mem::take(&mut self.requests))),
        };
        if let Some(input) = input {
            self.step(input, now, actions);
        }
    }

    fn disk_answered(&mut self, answer: DiskAnswer, now: Time, actions: &mut Vec<Action>) {
        match answer {
            DiskAnswer::Persisted(id) => {
                self.progress.durable = id;
                self.step(Input::Persisted(id), now, actions);
            }
            DiskAnswer::Failed(error) => {
                tracing::error!(%error, "the disk failed: this node stops and does not try again");
                self.step(Input::WriteFailed, now, actions);
            }
            DiskAnswer::Space(has_space) => {
                self.progress.has_no_space = !has_space;
                if has_space {
                    tracing::info!("the disk has room again");
                } else {
                    tracing::warn!("the disk is full: requests are refused until there is room");
                }
                self.step(Input::Space(has_space), now, actions);
            }
        }
    }

    fn carry_out(&mut self, actions: &mut Vec<Action>) {
        if let Some(flight) = &mut self.flight {
            flight.flush(&self.replica, actions);
        }
        for action in actions.drain(..) {
            match action {
                Action::Send { to, message } => self.peers.send(to, &message),
                Action::Persist { id, write } => {
                    self.progress.issued = id;
                    if matches!(write, Write::Install { .. }) {
                        self.keeper.settle();
                    }
                    self.disk.submit(id, write);
                }
                Action::Execute(entries) => self.upcalls.ask(Upcall::Execute(entries)),
                Action::Checkpoint { op } => self.upcalls.ask(Upcall::Checkpoint(op)),
                Action::Restore(checkpoint) => self.upcalls.ask(Upcall::Restore(checkpoint)),
                Action::Reply(reply) => {
                    let asked = self.waiting.reply(reply);
                    if let Some(asked) = asked {
                        self.metrics.answered(clock::now().since(asked));
                    }
                }
                Action::Read(queries) => self.look(queries, None),
                Action::ReadBefore { deadline, queries } => self.look(queries, Some(deadline)),
                Action::Reject(rejection) => {
                    if !self.reading.reject(&rejection) {
                        self.waiting.reject(&rejection);
                    }
                }
                Action::Note(note) => self.note(note),
                Action::Halt(reason) => {
                    tracing::error!(?reason, "the replica must not go on: this node stops");
                    self.progress.ended.get_or_insert(StopReason::Halted(reason));
                }
            }
        }
    }

    /// The service answers these; under a lease it does so before that moment, or not at all.
    fn look(&mut self, queries: Vec<Query>, before: Option<Time>) {
        let count = u64::try_from(queries.len()).unwrap_or(u64::MAX);
        self.metrics.reads.inc_by(count);
        if before.is_some() {
            self.metrics.lease_reads.inc_by(count);
        }
        self.upcalls.look(self.reading.looks(queries, before));
    }

    fn note(&mut self, note: Note) {
        self.metrics.note(&note);
        self.leaving.note(&note);
        self.group.note(&note, &self.replica, &self.peers);
        if let Note::EpochBegan { .. } = note {
            self.progress.ended = self.progress.ended.take().or_else(|| self.group.foreign());
        }
        if let Note::Committed { op } = note {
            self.metrics.committed.inc_by(op.0.saturating_sub(self.progress.commit.0));
            self.progress.commit = self.progress.commit.max(op);
        }
        match note {
            Note::Ignored { .. } | Note::Committed { .. } | Note::Reacknowledged { .. } | Note::TableAt { .. } => {
                tracing::trace!(?note);
            }
            Note::Opened { .. }
            | Note::EnteredView { .. }
            | Note::ChoseLog { .. }
            | Note::BecamePrimary { .. }
            | Note::BecameBackup { .. }
            | Note::HandingOver { .. }
            | Note::NoHandOver { .. }
            | Note::Recovering { .. }
            | Note::Recovered { .. }
            | Note::RepairedLog { .. }
            | Note::Stopped { .. }
            | Note::EpochEnds { .. }
            | Note::EpochBegan { .. }
            | Note::LearnedEpoch { .. }
            | Note::EpochSettled { .. }
            | Note::CheckpointInstalled { .. } => tracing::info!(?note),
            Note::DamagedLog { .. } | Note::Outnumbered { .. } | Note::Abdicated { .. } | Note::Truncated { .. } => {
                tracing::warn!(?note);
            }
            Note::WantsViewChange { .. }
            | Note::AskedForState { .. }
            | Note::TookState { .. }
            | Note::ReadsGivenUp { .. }
            | Note::CheckpointTaken { .. }
            | Note::CheckpointDurable { .. }
            | Note::LogCut { .. }
            | Note::AskedForCheckpoint { .. }
            | Note::Retransmitted { .. }
            | Note::Registered { .. }
            | Note::Evicted { .. }
            | Note::DuplicateRequest { .. }
            | Note::SkippedDuplicate { .. }
            | _ => tracing::debug!(?note),
        }
    }

    /// What everybody may see of this node now; and who waits in vain is told.
    fn show(&mut self) {
        let snapshot = self.replica.snapshot();
        self.progress.lags = snapshot.op.0.saturating_sub(snapshot.executed.0) >= UNEXECUTED_OPS_MAX;
        if snapshot.status != StatusName::Primary && self.waiting.len() > 0 {
            self.waiting.fail_all(&RequestError::Deposed { view: snapshot.view });
        }
        let status = NodeStatus::of(&snapshot, !self.progress.has_no_space);
        self.status.send_if_modified(|shown| {
            let is_news = *shown != status;
            *shown = status;
            is_news
        });
    }

    /// Has the node come to its end?
    fn ended(&self) -> Option<StopReason> {
        let Progress { issued, durable, stop_by, ended, .. } = &self.progress;
        let stopped = stop_by.and_then(|by| {
            let is_late = || (by <= clock::now()).then_some(StopReason::StoppedLate);
            let is_stopped = durable >= issued && self.leaving.deadline().is_none();
            if is_stopped { Some(StopReason::Stopped) } else { is_late() }
        });
        ended.clone().or(stopped)
    }

    fn end(mut self, reason: StopReason) -> StopReason {
        self.waiting.fail_all(&RequestError::Halted);
        self.reading.fail_all(&RequestError::Halted);
        self.leaving.fail_all();
        if let Some(observer) = &self.observer {
            observer.ended();
        }
        self.upcalls.ask(Upcall::End);
        tracing::info!(%reason, "the node has stopped");
        reason
    }
}
