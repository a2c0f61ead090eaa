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
use vr_core::{Body, Head, Incarnation, Message, MessageKind, Op, Reject, Rejection, Reply, Stored, View};

const S4: &str = "S4 crash image";
const S5: &str = "S5 promise monotone";
const S7: &str = "S7 one start";
const S7P: &str = "S7 view prefix";
const S8: &str = "S8 leader completeness";
const S10: &str = "S10 promise kept";
const S13: &str = "S13 silence";
const D27: &str = "S22 truthful hint";

#[derive(Clone, Debug)]
pub(super) struct Views {
    /// By position, over all lives: the largest view that any of its messages named as its own.
    revealed: Vec<View>,
}

impl Views {
    pub(super) fn new(replicas: usize) -> Self {
        Self { revealed: vec![View::ZERO; replicas] }
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
            "the disk of {id:?} came back with op {} ({}) in view {}, log of view {}; durable were op {} ({}) in view {}, \
             and no prefix of the writes in flight leads from there to here",
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
    pub(super) fn has_opened(shadow: &Shadow, who: usize, stored: &Stored) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        let resumed = mirror.standing == Standing::Primary && mirror.memory.view == stored.view;
        if !resumed || stored.incarnation == Incarnation::ZERO {
            return Ok(());
        }
        let (id, view) = (mirror.id, stored.view);
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
            Misfit::Gap { .. } | Misfit::BrokenChain(_) | Misfit::NothingToKeep(_) => return None,
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
            "{id:?} starts view {view} with {ours} at op {op}, where {committed:?} had committed {decided} in an earlier view"
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
            "{id:?} commits op {op} in view {view}, but view {later} has started without it: {other:?}, log through op {end}"
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
                "{id:?} holds a log for that of view {view}, but does not have the view's initial log through op {start}: \
                 its own ends at op {end} or differs"
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

    // ---- what is said: S10, S13

    /// A message leaves.
    pub(super) fn sends(&mut self, shadow: &Shadow, who: usize, message: &Message) -> Result<(), Violation> {
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
            Body::StartViewChange { .. } | Body::GetState(_) | Body::NewState(_) => {
                mirror.standing.is_normal() || mirror.standing == Standing::ViewChange
            }
            Body::DoViewChange(_) => current && mirror.standing == Standing::ViewChange,
            Body::Recovery(_) => mirror.standing == Standing::Recovering,
            Body::RecoveryResponse(answer) => {
                let leads = mirror.standing == Standing::Primary;
                current && mirror.standing.is_normal() && (leads || answer.log.is_none())
            }
        };
        if may { Ok(()) } else { Err(Self::out_of_role(shadow, who, message)) }
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
        let what = format!("{id:?} sends a {name} of view {view} while it is {standing} in view {of}");
        // Normal operation of a view that it left, or has not entered: the promise is what it breaks.
        let left = mirror.standing == Standing::ViewChange && kind != MessageKind::DoViewChange;
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
            "{id:?} answers request {number} of {client:?} (op {op}) for view {view} while it is {standing} in view {of}"
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
mod tests {
    use super::*;
    use crate::check::Happening;
    use crate::check::stage::{Stage, broken, chain, entry, origin, run_of};
    use bytes::Bytes;
    use vr_core::{
        Action, Beat, ClientId, Durability, Entries, HaltReason, Input, Log, ReplicaId, ReplicaSet, RequestNumber,
        Session, Write,
    };

    fn three() -> Stage {
        Stage::new(3, Durability::Sync)
    }

    fn heartbeat() -> Body {
        Body::Commit { commit: Op(0), head: origin(), beat: Beat(1) }
    }

    fn vote() -> Body {
        Body::StartViewChange { want: true, hears: ReplicaSet::EMPTY }
    }

    #[test]
    fn a_promise_that_is_taken_back_is_caught() {
        let mut stage = three();
        stage.enters(1, 2).expect("legal");
        assert_eq!(broken(stage.writes(1, Write::View(View(1)))), S5);
        assert_eq!(broken(three().writes(1, Write::Incarnation(Incarnation(1)))), S5);
        let mut stage = three();
        stage.enters(0, 3).expect("legal");
        let start = Write::Replace { keep: Op(0), entries: Entries::empty(), view: View(2) };
        assert_eq!(broken(stage.writes(0, start)), S5);
    }

    #[test]
    fn a_disk_that_lost_its_promise_is_caught() {
        let mut stage = three();
        stage.enters(1, 2).expect("legal");
        stage.crash(1).expect("legal");
        stage.puppets[1].disk.view = View(1);
        assert_eq!(broken(stage.open(1)), S5);
        let mut stage = three();
        stage.crash(1).expect("legal");
        stage.puppets[1].disk.incarnation = Incarnation(0);
        assert_eq!(broken(stage.open(1)), S5);
    }

    #[test]
    fn a_disk_that_comes_back_as_no_crash_leaves_it_is_caught() {
        let lost = |disk: &mut Stored| disk.log = Log::new(origin());
        let other = |disk: &mut Stored| {
            disk.log.truncate(Op(1));
            disk.log.append(run_of(&[entry(disk.log.head(), View(0), 9, 0, 0, "")]));
        };
        let untruncated = |disk: &mut Stored| disk.log.append(chain(disk.log.head(), View(0), 3..=3));
        let harms: [&dyn Fn(&mut Stored); 3] = [&lost, &other, &untruncated];
        for harm in harms {
            let mut stage = three();
            stage.runs(0, &[1, 2], 1..=2).expect("legal");
            stage.crash(1).expect("legal");
            harm(&mut stage.puppets[1].disk);
            assert_eq!(broken(stage.open(1)), S4);
        }
    }

    #[test]
    fn a_primary_that_resumes_its_view_after_a_restart_is_caught() {
        let mut stage = three();
        stage.crash(0).expect("legal");
        assert_eq!(broken(stage.open(0)), S7);
    }

    #[test]
    fn a_view_that_starts_twice_is_caught() {
        let mut stage = three();
        stage.changes_view(1, &[1, 2]).expect("legal");
        let again = Write::Replace { keep: Op(0), entries: Entries::empty(), view: View(1) };
        assert_eq!(broken(stage.writes(1, again)), S7);
    }

    #[test]
    fn a_log_of_a_view_without_the_whole_initial_log_is_caught() {
        let mut stage = three();
        stage.runs(0, &[1], 1..=3).expect("legal");
        stage.enters(2, 1).expect("legal");
        let short = Write::Replace { keep: Op(0), entries: Entries::empty(), view: View(1) };
        let action = stage.write(2, short.clone());
        assert_eq!(broken(stage.acts(2, &[action])), S7P, "view 1 has not started");
        let mut stage = three();
        stage.runs(0, &[1], 1..=3).expect("legal");
        stage.enters(2, 1).expect("legal");
        stage.changes_view(1, &[1, 0]).expect("legal");
        assert_eq!(broken(stage.writes(2, short)), S7P, "view 1 started with 3 ops");
    }

    #[test]
    fn a_log_of_a_view_with_more_than_its_primary_had_is_caught() {
        let mut stage = three();
        stage.appends(0, &chain(origin(), View(0), 1..=2)).expect("legal");
        stage.changes_view(1, &[1, 2]).expect("legal");
        stage.writes(0, Write::View(View(1))).expect("legal");
        let kept = Write::Replace { keep: Op(2), entries: Entries::empty(), view: View(1) };
        assert_eq!(broken(stage.writes(0, kept)), "S6 log match");
    }

    #[test]
    fn a_view_that_starts_without_a_committed_op_is_caught() {
        let mut stage = three();
        stage.runs(0, &[1], 1..=2).expect("legal");
        stage.enters(0, 2).expect("legal");
        stage.enters(2, 2).expect("legal");
        let Err(violation) = stage.installs(2, 2, &[]) else { panic!("ops 1 and 2 are committed") };
        assert_eq!((violation.property, violation.ops), (S8, vec![Op(1)]));
        assert!(violation.message.starts_with("r2 starts view 2 with nothing at op 1, where r0 had committed h"));
    }

    #[test]
    fn a_commit_that_a_later_view_started_without_is_caught() {
        let mut stage = Stage::new(5, Durability::Sync);
        stage.prepares(0, &[1], &chain(origin(), View(0), 1..=1)).expect("legal");
        stage.changes_view(2, &[2, 3, 4]).expect("legal");
        // r3 goes back on its word, where no other property looks.
        stage.checkers.promises = crate::check::Promises::counting_everyone(5, View(0), stage.puppets[0].head());
        assert_eq!(broken(stage.commits(0, 1)), S8);
    }

    #[test]
    fn who_speaks_for_an_older_view_than_it_revealed_is_caught() {
        let mut stage = three();
        stage.enters(1, 1).expect("legal");
        stage.says(1, vote()).expect("legal");
        let old = stage.message(1, View(0), vote());
        assert_eq!(broken(stage.acts(1, &[old])), S10);
    }

    #[test]
    fn who_serves_a_view_that_it_left_is_caught() {
        let mut stage = three();
        stage.writes(0, Write::View(View(1))).expect("legal");
        let late = stage.message(0, View(0), heartbeat());
        assert_eq!(broken(stage.acts(0, &[late])), S10);
    }

    #[test]
    fn only_the_primary_of_a_view_leads_it() {
        assert_eq!(broken(three().says(0, heartbeat())), "nothing");
        assert_eq!(broken(three().says(1, heartbeat())), S13);
        assert_eq!(broken(three().says(0, Body::CommitOk { beat: Beat(1) })), S13);
        let reply = |view: u64| {
            let (client, session, number) = (ClientId(1), Session(1), RequestNumber(0));
            let (op, result, duplicate) = (Op(1), Bytes::new(), false);
            Action::Reply(Reply { client, session, number, op, view: View(view), result, duplicate })
        };
        assert_eq!(broken(three().acts(1, &[reply(0)])), S13);
        assert_eq!(broken(three().acts(0, &[reply(3)])), S13);
    }

    #[test]
    fn who_recovers_only_asks_for_its_memory() {
        let recovering = || {
            let mut stage = Stage::new(3, Durability::Async);
            stage.crash(1).expect("legal");
            stage.open(1).expect("legal");
            stage
        };
        let recovery = vr_core::Recovery { nonce: vr_core::Nonce::default(), view_min: View(0), have: Vec::new() };
        assert_eq!(broken(recovering().says(1, Body::Recovery(Box::new(recovery.clone())))), "nothing");
        assert_eq!(broken(recovering().says(1, vote())), S13);
        assert_eq!(broken(recovering().acks(1)), S13);
        assert_eq!(broken(three().says(1, Body::Recovery(Box::new(recovery)))), S13, "nothing to recover");
    }

    #[test]
    fn who_halted_or_is_down_does_nothing() {
        let mut stage = three();
        stage.step(1, Input::WriteFailed, &[Action::Halt(HaltReason::WriteFailed)]).expect("legal");
        assert_eq!(broken(stage.says(1, vote())), S13);
        let mut stage = three();
        stage.crash(1).expect("legal");
        assert_eq!(broken(stage.says(1, vote())), S13);
    }

    #[test]
    fn a_hint_of_a_view_that_never_started_is_caught() {
        let reject = |view: u64| {
            let reason = Reject::NotPrimary { primary: None, view: View(view) };
            let (client, session, number) = (ClientId(1), Session(1), RequestNumber(1));
            Action::Reject(Box::new(Rejection { client, session, number, reason }))
        };
        let mut stage = three();
        stage.enters(1, 1).expect("legal");
        assert_eq!(broken(stage.acts(1, &[reject(0)])), "nothing");
        assert_eq!(broken(stage.acts(1, &[reject(1)])), D27);
    }

    #[test]
    fn a_happening_of_somebody_who_is_no_member_is_passed_over() {
        let mut stage = three();
        assert_eq!(broken(stage.observe(&Happening::Crashed { on: ReplicaId(9) })), "nothing");
    }
}
