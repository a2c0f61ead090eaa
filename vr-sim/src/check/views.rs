//! Views begin once, with everything that was decided, and a promise once made is kept: S5, S7, S8, S10, S13.
//!
//! Owns what each replica ever revealed about its view, who may say what in which standing, and how the log of a
//! view must begin. Must not know what is durable (S11) nor who acknowledged (S12). VRR §4.2, §8.1, §8.2;
//! PROTOCOL §4, §0 rules 1, 2, 5, 8, 9.

use super::agreement::Agreement;
use super::image::Misfit;
use super::lineage::{Fit, ViewLog};
use super::shadow::{Shadow, Standing};
use super::{Violation, short};
use std::collections::BTreeMap;
use vr_core::{
    Body, Entries, FetchId, GetState, Head, Incarnation, Message, MessageKind, Op, Reject, Rejection, Reply, Stored,
    To, View,
};

const S4: &str = "S4 crash image";
const S5: &str = "S5 promise monotone";
const S7: &str = "S7 one start";
const S7P: &str = "S7 view prefix";
const S8: &str = "S8 leader completeness";
const S10: &str = "S10 promise kept";
const S13: &str = "S13 silence";
const S20: &str = "S20 epoch prefix";
const D27: &str = "S22 truthful hint";

/// So many questions of one replica are remembered, the newest; of the older ones nothing is known.
const QUESTIONS: usize = 1 << 20;

#[derive(Clone, Debug)]
pub(super) struct Views {
    /// By position, over all lives: the largest view that any of its messages named as its own.
    revealed: Vec<View>,
    /// By position, by number of the question, which begins with that of the life: what it asked for.
    questions: Vec<BTreeMap<FetchId, Question>>,
}

/// What a question for log entries (VRR §5.2) wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Question {
    /// The log of the view, as far as the answerer has it: only who is normal may answer.
    View,
    /// Entries by content: whoever has them may answer.
    Content,
}

impl Views {
    pub(super) fn new(replicas: usize) -> Self {
        Self { revealed: vec![View::ZERO; replicas], questions: vec![BTreeMap::new(); replicas] }
    }

    // ---- lives: S5 and the disk

    /// A disk comes back: no promise on it went backward.
    pub(super) fn may_open(shadow: &Shadow, who: usize, stored: &Stored) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        let (id, disk) = (mirror.id, &mirror.disk);
        if mirror.known && stored.view < disk.view {
            let message = format!("{id:?} came back with view {} on its disk, after {}", stored.view, disk.view);
            return Err(Violation::safety(S5, message, &[id], &[]));
        }
        if mirror.known && stored.incarnation < disk.incarnation {
            let (now, before) = (stored.incarnation, disk.incarnation);
            let message = format!("{id:?} came back with incarnation {now} on its disk, after {before}");
            return Err(Violation::safety(S5, message, &[id], &[]));
        }
        Ok(())
    }

    /// A disk came back as no crash leaves it. `before` is what was confirmed durable.
    #[cold]
    pub(super) fn foreign_disk(shadow: &Shadow, who: usize, before: (Head, View), stored: &Stored) -> Violation {
        let id = shadow.id(who);
        let (was, now) = (before.0, stored.log.head());
        let message = format!(
            "the disk of {id:?} came back with op {} ({}) in view {}, log of view {}; durable were op {} ({}) in \
             view {}, and no prefix of the writes in flight leads from there to here",
            now.op,
            short(now.hash),
            stored.view,
            stored.log_view,
            was.op,
            short(was.hash),
            before.1,
        );
        Violation::safety(S4, message, &[id], &[now.op, was.op])
    }

    /// After its first actions a restarted replica leads no view that it led before (PROTOCOL D52).
    pub(super) fn has_opened(
        shadow: &Shadow,
        who: usize,
        (incarnation, view): (Incarnation, View),
    ) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        let resumed = mirror.standing == Standing::Primary && mirror.memory.view == view;
        if !resumed || incarnation == Incarnation::ZERO {
            return Ok(());
        }
        let id = mirror.id;
        let message =
            format!("{id:?} restarts as the primary of view {view} and resumes it: it may have forgotten ops");
        Err(Violation::safety(S7, message, &[id], &[]))
    }

    /// A promise on its way to the disk goes back.
    #[cold]
    pub(super) fn broken_promise(shadow: &Shadow, who: usize, misfit: Misfit) -> Option<Violation> {
        let mirror = &shadow.replicas[who];
        let id = mirror.id;
        let message = match misfit {
            Misfit::OldView(view) => {
                format!("{id:?} writes down view {view}, but has promised view {}", mirror.memory.view)
            }
            Misfit::OldIncarnation(incarnation) => {
                format!("{id:?} begins incarnation {incarnation} after {}", mirror.memory.incarnation)
            }
            Misfit::Gap { .. } | Misfit::BrokenChain(_) | Misfit::NothingToKeep(_) | Misfit::AnotherLog { .. } => {
                return None;
            }
        };
        Some(Violation::safety(S5, message, &[id], &[]))
    }

    // ---- logs of views: S7, S8

    /// Before a replacement: a view begins once.
    pub(super) fn may_start(shadow: &Shadow, who: usize, view: View) -> Result<(), Violation> {
        let Some(log) = shadow.lineage.view(view) else { return Ok(()) };
        let id = shadow.id(who);
        let message = format!("{id:?} starts view {view} again; it had started with a log through op {}", log.start.op);
        Err(Violation::safety(S7, message, &[id], &[log.start.op]))
    }

    /// The primary of a view put its initial log in place: everything decided in earlier views is in it.
    pub(super) fn started(shadow: &mut Shadow, who: usize, view: View) -> Result<(), Violation> {
        let memory = &shadow.replicas[who].memory;
        let needed = shadow.lineage.committed_before(view);
        let decided = shadow.lineage.decision(needed).map(|decision| decision.hash);
        if decided.is_some() && memory.hash(needed) != decided {
            return Err(Self::incomplete(shadow, who, view, needed));
        }
        let (start, log) = (memory.head(), memory.after(needed));
        shadow.lineage.start(view, who, start, needed, log);
        Ok(())
    }

    #[cold]
    fn incomplete(shadow: &Shadow, who: usize, view: View, needed: Op) -> Violation {
        let (id, memory) = (shadow.id(who), &shadow.replicas[who].memory);
        let decision = |op: Op| shadow.lineage.decision(op);
        let mut op = memory.base().next();
        while op < needed && memory.hash(op) == decision(op).map(|decision| decision.hash) {
            op = op.next();
        }
        let committed = decision(op).map_or(id, |decision| shadow.id(decision.by));
        let decided = decision(op).map_or_else(String::new, |decision| short(decision.hash));
        let ours = memory.hash(op).map_or("nothing".to_owned(), short);
        let message = format!(
            "{id:?} starts view {view} with {ours} at op {op}, where {committed:?} had committed {decided} in an \
             earlier view"
        );
        Violation::safety(S8, message, &[id, committed], &[op])
    }

    /// The primary of `view` committed through `op`: every later view that has started already has it too.
    pub(super) fn committed(shadow: &Shadow, who: usize, op: Op) -> Result<(), Violation> {
        let (view, hash) = (shadow.replicas[who].memory.view, shadow.replicas[who].memory.hash(op));
        let lacks = |log: &&ViewLog| log.start.op < op || shadow.lineage.hash_in(log, op) != hash;
        let Some(log) = shadow.lineage.views_after(view).iter().find(lacks) else { return Ok(()) };
        let (id, other) = (shadow.id(who), shadow.id(log.by));
        let (later, end) = (log.view, log.start.op);
        let message = format!(
            "{id:?} commits op {op} in view {view}, but view {later} has started without it: {other:?}, log through \
             op {end}"
        );
        Err(Violation::safety(S8, message, &[id, other], &[op]))
    }

    /// A backup put the log of a view in place: the whole initial log, and only what its primary had.
    pub(super) fn installed(shadow: &Shadow, who: usize, view: View) -> Result<(), Violation> {
        let (id, memory) = (shadow.id(who), &shadow.replicas[who].memory);
        let primary = shadow.id(shadow.leader(view));
        let Some(log) = shadow.lineage.view(view) else {
            let message =
                format!("{id:?} holds a log for that of view {view}, but {primary:?} has not started that view");
            return Err(Violation::safety(S7P, message, &[id, primary], &[]));
        };
        if !memory.holds(log.start) {
            let (start, end) = (log.start.op, memory.op());
            let message = format!(
                "{id:?} holds a log for that of view {view}, but does not have the view's initial log through op \
                 {start}: its own ends at op {end} or differs"
            );
            return Err(Violation::safety(S7P, message, &[id, primary], &[start, end]));
        }
        let head = memory.head();
        match shadow.lineage.hash_in(log, head.op) {
            Some(hash) if hash == head.hash => Ok(()),
            Some(hash) => Err(Agreement::misplaced(shadow, who, (head.op, head.hash), Fit::Other(hash))),
            None => Err(Agreement::misplaced(shadow, who, (head.op, head.hash), Fit::Beyond)),
        }
    }

    /// The log of a view of a later epoch: it begins with everything that the epoch begins with (PROTOCOL S20).
    pub(super) fn begins_with_base(shadow: &Shadow, who: usize, view: View) -> Result<(), Violation> {
        let group = shadow.group(view);
        let decided = group.epoch() == view.epoch();
        if decided && shadow.replicas[who].memory.holds(group.base()) {
            return Ok(());
        }
        let (id, epoch, base) = (shadow.id(who), view.epoch(), group.base().op);
        let message = if decided {
            format!("{id:?} has a log of view {view} without op {base}, with which epoch {epoch} begins")
        } else {
            format!("{id:?} has a log of view {view}, but epoch {epoch} was never decided")
        };
        Err(Violation::safety(S20, message, &[id], &[base]))
    }

    /// A replica is of a later epoch from now on: in its first view, with the log that the epoch begins with; or, with a
    /// later checkpoint, in none of its views yet.
    pub(super) fn begins(shadow: &Shadow, who: usize, view: View) -> Result<(), Violation> {
        if view.number() > 0 || !shadow.is_member(who, shadow.group(view)) {
            return Ok(());
        }
        Self::installed(shadow, who, view)?;
        Self::begins_with_base(shadow, who, view)
    }

    /// Nothing follows a reconfiguration in its epoch (PROTOCOL S20, D88).
    pub(super) fn ends_with_epoch(shadow: &Shadow, who: usize, entries: &Entries) -> Result<(), Violation> {
        let Some(entry) = entries.iter().find(|entry| shadow.is_beyond_epoch(entry)) else { return Ok(()) };
        let (id, op, epoch) = (shadow.id(who), entry.op(), entry.epoch());
        let message = format!("{id:?} logs op {op} in epoch {epoch}, behind the reconfiguration that ends it");
        Err(Violation::safety(S20, message, &[id], &[op]))
    }

    // ---- what is said: S10, S13

    /// A message leaves.
    pub(super) fn sends(&mut self, shadow: &Shadow, who: usize, to: To, message: &Message) -> Result<(), Violation> {
        let (mirror, view) = (&shadow.replicas[who], message.header.view);
        let revealed = &mut self.revealed[who];
        if view < *revealed {
            return Err(Self::unfaithful(shadow, who, message, *revealed));
        }
        *revealed = view;
        let current = view == mirror.memory.view;
        let may = match &message.body {
            Body::Prepare { .. } | Body::Commit { .. } | Body::StartView(_) => {
                current && mirror.standing == Standing::Primary
            }
            Body::PrepareOk { .. } | Body::CommitOk { .. } => current && mirror.standing == Standing::Backup,
            Body::StartViewChange { .. } => mirror.standing.is_normal() || mirror.standing == Standing::ViewChange,
            Body::GetState(question) => {
                self.asks(who, question);
                mirror.standing.is_normal() || mirror.standing == Standing::ViewChange
            }
            Body::NewState(page) => {
                let between = mirror.standing == Standing::ViewChange && !self.wants_view(shadow, to, page.id);
                mirror.standing.is_normal() || between
            }
            Body::DoViewChange(_) => current && mirror.standing == Standing::ViewChange,
            Body::Recovery(_) => mirror.standing == Standing::Recovering,
            Body::RecoveryResponse(answer) => {
                let leads = mirror.standing == Standing::Primary;
                current && mirror.standing.is_normal() && (leads || answer.log.is_none())
            }
            // By content: whoever runs may ask; who recovers only asks.
            Body::GetCheckpoint { .. } => mirror.standing.is_running(),
            // Whose disk lost something asks; whoever has it lends it.
            Body::GetEntries { .. } => mirror.standing == Standing::Recovering,
            Body::Entries(_) => mirror.standing.is_running(),
            Body::CheckpointPart(_) if shadow.is_witness(who) => false,
            Body::CheckpointPart(_) | Body::CheckpointDurable(_) | Body::StartEpoch(_) | Body::NewEpoch(_) => {
                mirror.standing.is_running() && mirror.standing != Standing::Recovering
            }
            Body::EpochStarted { .. } | Body::CheckEpoch => mirror.standing.is_running(),
            Body::GetReadIndex { .. } => current && mirror.standing == Standing::Backup,
            Body::ReadIndex { .. } => current && mirror.standing == Standing::Primary,
        };
        if may { Ok(()) } else { Err(Self::out_of_role(shadow, who, message)) }
    }

    fn asks(&mut self, who: usize, question: &GetState) {
        let questions = &mut self.questions[who];
        let wants = if question.want.is_some() { Question::Content } else { Question::View };
        questions.insert(question.id, wants);
        if questions.len() > QUESTIONS {
            questions.pop_first();
        }
    }

    /// Did the question that this answers ask for the log of the view?
    fn wants_view(&self, shadow: &Shadow, to: To, id: FetchId) -> bool {
        let To::One(asker) = to else { return false };
        let questions = shadow.place(asker).map(|place| &self.questions[place]);
        questions.and_then(|questions| questions.get(&id)) == Some(&Question::View)
    }

    #[cold]
    fn unfaithful(shadow: &Shadow, who: usize, message: &Message, revealed: View) -> Violation {
        let (id, kind, view) = (shadow.id(who), message.body.kind().name(), message.header.view);
        let message =
            format!("{id:?} sends a {kind} of view {view}, but had let others know that it is in view {revealed}");
        Violation::safety(S10, message, &[id], &[])
    }

    #[cold]
    fn out_of_role(shadow: &Shadow, who: usize, message: &Message) -> Violation {
        let (mirror, kind, view) = (&shadow.replicas[who], message.body.kind(), message.header.view);
        let (id, standing, of) = (mirror.id, mirror.standing.name(), mirror.memory.view);
        let name = kind.name();
        let log = mirror.memory.log_view;
        let what = format!(
            "{id:?} sends a {name} of view {view} while it is {standing} in view {of}, with the log of view {log}"
        );
        // Normal operation of a view that it left, or has not entered: the promise is what it breaks.
        let log = matches!(kind, MessageKind::DoViewChange | MessageKind::NewState);
        let left = mirror.standing == Standing::ViewChange && !log;
        Violation::safety(if left { S10 } else { S13 }, what, &[id], &[])
    }

    /// A client is answered: by the primary of a view that has started.
    pub(super) fn replies(shadow: &Shadow, who: usize, reply: &Reply) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        if mirror.standing == Standing::Primary && reply.view == mirror.memory.view {
            return Ok(());
        }
        let (id, standing, of) = (mirror.id, mirror.standing.name(), mirror.memory.view);
        let Reply { client, number, op, view, .. } = reply;
        let message = format!(
            "{id:?} answers request {number} of {client:?} (op {op}) for view {view} while it is {standing} in view \
             {of}"
        );
        Err(Violation::safety(S13, message, &[id], &[*op]))
    }

    /// A client is told of a view: one that is known to have started (PROTOCOL D27).
    pub(super) fn rejects(shadow: &Shadow, who: usize, rejection: &Rejection) -> Result<(), Violation> {
        let Reject::NotPrimary { view, .. } = rejection.reason else { return Ok(()) };
        if shadow.lineage.view(view).is_some() {
            return Ok(());
        }
        let (id, client) = (shadow.id(who), rejection.client);
        let message = format!("{id:?} tells {client:?} of view {view}, which has never started");
        Err(Violation::safety(D27, message, &[id], &[]))
    }

    /// Who is halted or down says and does nothing.
    #[cold]
    pub(super) fn stirs(shadow: &Shadow, who: usize) -> Violation {
        let (id, standing) = (shadow.id(who), shadow.replicas[who].standing.name());
        Violation::safety(S13, format!("{id:?} is {standing} and yet acts"), &[id], &[])
    }
}

#[cfg(test)]
mod tests;
