//! The node's loop: inbox → `step_into` → carry out.
//!
//! Owns the replica. Takes everything that waits in the inbox, feeds it step by step, then carries out what was asked
//! for, in order: so that one wake-up, one sync and one request to each peer serve many requests. It decides nothing.
//! DESIGN §5.

use super::waiting::Waiting;
use super::{Arrival, Arrivals, Question};
use crate::clock;
use crate::disk::{Disk, DiskAnswer};
use crate::events::Observer;
use crate::handle::{NodeStatus, RequestError};
use crate::metrics::Metrics;
use crate::transport::Peers;
use crate::upcalls::{Answered, Upcall, Upcalls};
use std::sync::Arc;
use tokio::sync::watch;
use vr_core::trace::Step;
use vr_core::{Action, Event, HaltReason, Input, Note, Predicted, Replica, StatusName, Time, WriteId};

/// How much is taken from the inbox at once.
const TAKEN_AT_ONCE: usize = 4096;

/// Why a node has stopped.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// It was told to, and its disk has everything.
    #[error("stopped in an orderly way")]
    Stopped,
    /// The replica must not go on.
    #[error("the replica must not go on: {0:?}")]
    Halted(HaltReason),
    /// The service panicked.
    #[error("the service panicked: {0}")]
    ServicePanicked(String),
    /// Its task was given up: nobody can reach it any more.
    #[error("nobody can reach it any more")]
    Abandoned,
}

/// What the loop works with.
pub(super) struct Loop {
    pub(super) replica: Replica,
    pub(super) arrivals: Arrivals,
    pub(super) peers: Peers,
    pub(super) disk: Disk,
    pub(super) upcalls: Upcalls,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: watch::Sender<NodeStatus>,
    pub(super) observer: Option<Observer>,
    pub(super) waiting: Waiting,
    pub(super) progress: Progress,
    /// Random; each request's seed follows from it.
    pub(super) seed: u64,
}

/// How far disk and stop have come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    issued: WriteId,
    durable: WriteId,
    has_no_space: bool,
    is_stopping: bool,
    ended: Option<StopReason>,
}

impl Loop {
    /// Runs until the node stops; `actions` are those of the replica's start.
    pub(super) async fn run(mut self, mut actions: Vec<Action>) -> StopReason {
        let mut taken = Vec::with_capacity(TAKEN_AT_ONCE);
        self.carry_out(&mut actions);
        loop {
            self.show();
            if let Some(reason) = self.ended() {
                return self.end(reason);
            }
            let now = clock::now();
            match self.replica.next_deadline() {
                Some(deadline) if deadline <= now => self.step(Input::Tick, now, &mut actions),
                deadline => {
                    let wait = deadline.map(|deadline| clock::until(now, deadline));
                    let arrived = self.arrivals.take(&mut taken, TAKEN_AT_ONCE);
                    let count = match wait {
                        None => arrived.await,
                        // Nothing arrived before the deadline: the next round ticks.
                        Some(wait) => match tokio::time::timeout(wait, arrived).await {
                            Ok(count) => count,
                            Err(_) => continue,
                        },
                    };
                    if count == 0 {
                        return self.end(StopReason::Abandoned);
                    }
                    let now = clock::now();
                    self.metrics.inbox_taken.observe(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
                    for arrival in taken.drain(..) {
                        self.arrive(arrival, now, &mut actions);
                    }
                }
            }
            self.carry_out(&mut actions);
        }
    }

    fn step(&mut self, input: Input, at: Time, actions: &mut Vec<Action>) {
        let event = Event { at, input };
        match &mut self.observer {
            None => self.replica.step_into(event, actions),
            Some(observer) => {
                let (from, before) = (actions.len(), self.replica.snapshot());
                self.replica.step_into(event.clone(), actions);
                let after = self.replica.snapshot();
                observer.stepped(&Step { before: &before, event: &event, actions: &actions[from..], after: &after });
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival, now: Time, actions: &mut Vec<Action>) {
        match arrival {
            Arrival::Messages(messages) => {
                for message in messages {
                    self.step(Input::Message(message), now, actions);
                }
            }
            Arrival::Question(question) => self.question(question, now, actions),
            Arrival::Disk(answer) => self.disk_answered(answer, now, actions),
            Arrival::Answered(Answered::Executed(answers)) => {
                for (op, reply) in answers {
                    self.step(Input::Executed { op, reply }, now, actions);
                }
            }
            Arrival::Answered(Answered::CheckpointTaken(op, state)) => {
                self.step(Input::CheckpointTaken { op, state }, now, actions);
            }
            Arrival::Answered(Answered::Restored(op)) => self.step(Input::Restored { op }, now, actions),
            Arrival::Answered(Answered::Panicked(words)) => {
                tracing::error!(panic = words, "the service panicked: this node stops");
                self.progress.ended.get_or_insert(StopReason::ServicePanicked(words));
            }
            Arrival::Stop => {
                if !self.progress.is_stopping {
                    self.progress.is_stopping = true;
                    self.step(Input::Stop, now, actions);
                }
            }
        }
    }

    fn question(&mut self, question: Question, now: Time, actions: &mut Vec<Action>) {
        if question.answer.is_closed() {
            return;
        }
        let mut request = self.waiting.add(question, now);
        self.seed = self.seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        request.predicted = Predicted { wall_ns: clock::wall_ns(), seed: self.seed };
        self.step(Input::Request(request), now, actions);
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
        for action in actions.drain(..) {
            match action {
                Action::Send { to, message } => self.peers.send(to, &message),
                Action::Persist { id, write } => {
                    self.progress.issued = id;
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
                Action::Reject(rejection) => {
                    self.metrics.rejected(rejection.reason);
                    self.waiting.reject(&rejection);
                }
                Action::Note(note) => self.note(note),
                Action::Halt(reason) => {
                    tracing::error!(?reason, "the replica must not go on: this node stops");
                    self.progress.ended.get_or_insert(StopReason::Halted(reason));
                }
            }
        }
    }

    fn note(&self, note: Note) {
        self.metrics.note(&note);
        match note {
            Note::Ignored { .. } | Note::Committed { .. } | Note::Reacknowledged { .. } | Note::TableAt { .. } => {
                tracing::trace!(?note);
            }
            Note::Opened { .. }
            | Note::EnteredView { .. }
            | Note::ChoseLog { .. }
            | Note::BecamePrimary { .. }
            | Note::BecameBackup { .. }
            | Note::Recovering { .. }
            | Note::Recovered { .. }
            | Note::Stopped { .. }
            | Note::CheckpointInstalled { .. } => tracing::info!(?note),
            Note::DamagedLog { .. } | Note::Outnumbered { .. } | Note::Abdicated { .. } | Note::Truncated { .. } => {
                tracing::warn!(?note);
            }
            Note::WantsViewChange { .. }
            | Note::AskedForState { .. }
            | Note::TookState { .. }
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
        if snapshot.status != StatusName::Primary && self.waiting.len() > 0 {
            self.waiting.fail_all(&RequestError::Deposed { view: snapshot.view });
        }
        let status = NodeStatus::of(&snapshot, self.waiting.len(), !self.progress.has_no_space);
        self.metrics.show(&status);
        self.status.send_if_modified(|shown| {
            let is_news = *shown != status;
            *shown = status;
            is_news
        });
    }

    /// Has the node come to its end?
    fn ended(&self) -> Option<StopReason> {
        let stopped = self.progress.is_stopping && self.progress.durable >= self.progress.issued;
        self.progress.ended.clone().or_else(|| stopped.then_some(StopReason::Stopped))
    }

    fn end(mut self, reason: StopReason) -> StopReason {
        self.waiting.fail_all(&RequestError::Halted);
        self.status.send_modify(|status| status.stopped = Some(reason.to_string()));
        tracing::info!(%reason, "the node has stopped");
        reason
    }
}
