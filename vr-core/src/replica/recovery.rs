//! Recovery: a replica that lost its memory asks for it, and does nothing else until it has it.
//!
//! Owns the question and the log being put together. What is left of the own log is a cache: used as far as the
//! primary's log confirms it, so that only what is missing travels. Must not know what comes after. Paper: VRR
//! §4.3, §5.1, with the persisted view of PROTOCOL rule V (D46) and the single answer of DESIGN §10.

use super::common::{Common, Next, Out};
use super::state_transfer::Assembly;
use crate::action::{Action, Ignored, Note};
use crate::id::{Nonce, Op, ReplicaId, View};
use crate::message::{Body, MessageKind, Recovery, RecoveryResponse, StartView};
use crate::persist::Plain;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Recovering {
    nonce: Nonce,
    view_min: View,
    /// The log of the latest view that answered, on its way.
    arriving: Option<Arriving>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Arriving {
    view: View,
    assembly: Assembly,
    commit: Op,
}

impl Recovering {
    /// VRR §4.3 step 1.
    pub(super) fn enter(common: &mut Common, out: &mut Out) -> Self {
        let nonce = Nonce { incarnation: common.header().incarnation, counter: 0 };
        let view_min = common.rules.view_min(common.view());
        out.push(Action::Note(Note::Recovering { view_min }));
        let mut this = Self { nonce, view_min, arriving: None };
        this.ask(common, out);
        this
    }

    fn ask(&mut self, common: &mut Common, out: &mut Out) {
        let have = match &self.arriving {
            Some(arriving) => arriving.assembly.anchors(&common.log, common.log.base().op),
            None => common.log.anchors(common.log.base().op),
        };
        let question = Recovery { nonce: self.nonce, view_min: self.view_min, have };
        common.broadcast(out, Plain::recovery(question));
        common.arm_heartbeat();
    }

    /// The beat H: the question may have been lost (the report's test 10).
    pub(super) fn on_heartbeat(&mut self, common: &mut Common, out: &mut Out) -> Next {
        if common.rules.repeats_recovery() {
            self.ask(common, out);
        }
        Next::Stay
    }

    /// Only answers are heard.
    pub(super) fn on_message(
        &mut self,
        common: &mut Common,
        out: &mut Out,
        from: ReplicaId,
        message: (View, &Body),
    ) -> Next {
        let (view, body) = message;
        let kind = body.kind();
        match body {
            Body::RecoveryResponse(answer) => return self.on_answer(common, out, from, view, answer),
            Body::Prepare { .. }
            | Body::PrepareOk { .. }
            | Body::Commit { .. }
            | Body::CommitOk { .. }
            | Body::StartViewChange { .. }
            | Body::DoViewChange(_)
            | Body::StartView(_)
            | Body::GetState(_)
            | Body::NewState(_)
            | Body::Recovery(_)
            | Body::GetCheckpoint { .. }
            | Body::CheckpointPart(_) => common.ignore(out, from, kind, Ignored::WrongStatus),
        }
        Next::Stay
    }

    /// VRR §4.3 step 3: one answer of the primary of a view no earlier than the promised one.
    fn on_answer(
        &mut self,
        common: &mut Common,
        out: &mut Out,
        from: ReplicaId,
        view: View,
        answer: &RecoveryResponse,
    ) -> Next {
        let RecoveryResponse { nonce, log } = answer;
        let asked = common.rules.nonce_matches(*nonce == self.nonce);
        let from_primary = from == common.config.cluster.primary(view);
        let Some(start) =
            log.as_ref().filter(|_| asked && from_primary && common.rules.recovers_in(view, self.view_min))
        else {
            let why = if asked { Ignored::WrongRole } else { Ignored::NotAsked };
            common.ignore(out, from, MessageKind::RecoveryResponse, why);
            return Next::Stay;
        };
        if start.tail.head.op < start.view_start || start.commit > start.tail.head.op {
            common.ignore(out, from, MessageKind::RecoveryResponse, Ignored::Malformed);
            return Next::Stay;
        }
        self.take(common, out, view, start)
    }

    fn take(&mut self, common: &mut Common, out: &mut Out, view: View, start: &StartView) -> Next {
        let current = self.arriving.take().filter(|arriving| arriving.view >= view);
        let mut arriving = current.unwrap_or_else(|| Arriving {
            view,
            assembly: Assembly::toward(start.tail.head, &common.log),
            commit: start.commit,
        });
        let advanced = arriving.view == view && arriving.assembly.offer(&common.log, &start.tail);
        if !arriving.assembly.is_whole(common.rules) {
            self.arriving = Some(arriving);
            if advanced {
                self.ask(common, out);
            }
            return Next::Stay;
        }
        common.recover_in(arriving.view);
        let whole = arriving.assembly.finish(&common.log);
        common.replace(out, whole.keep.op, whole.entries);
        common.view_rides_on_last_write();
        out.push(Action::Note(Note::Recovered { view, kept: whole.keep.op, op: common.log.op() }));
        Next::Follow { commit: arriving.commit }
    }
}

/// VRR §4.3 step 2, by a replica in normal status. `view_start`: only the primary's log counts.
pub(super) fn answer(common: &mut Common, out: &mut Out, from: ReplicaId, question: &Recovery, view_start: Option<Op>) {
    let log = view_start.and_then(|view_start| {
        let op = common.rules.recovery_log_ends_at(common.log.op(), common.commit());
        let head = crate::log::Head { op, hash: common.log.hash(op)? };
        let have = || question.have.iter().copied().filter(|anchor| anchor.op <= op && common.log.contains(*anchor));
        let shared = have().max_by_key(|anchor| anchor.op)?;
        Some(common.start_view(view_start.min(op), common.tail_after(shared.op, head)))
    });
    common.send(out, from, Plain::recovery_response(RecoveryResponse { nonce: question.nonce, log }));
}
