//! Every promise is backed by what the disk (or, in the asynchronous mode, the memory) holds, and commits are
//! justified by promises: S11, S12, D44, and the reports behind a view's start.
//!
//! Owns every acknowledgement and every report ever sent. Must not know what the promises lead to. VRR §4.1 steps
//! 4 and 5, §4.2 steps 2 and 3; PROTOCOL §4, §6 P1 to P5.

use super::shadow::{Mirror, Shadow, Standing};
use super::{Violation, short};
use vr_core::{Body, DoViewChange, Head, Message, Op, Position, ReplicaSet, StartView, View};

const S5: &str = "S5 durable header";
const S7: &str = "S7 justified start";
const S8: &str = "S8 best log";
const S11: &str = "S11 ack backed";
const S12: &str = "S12 commit justified";
const D44: &str = "S11 report monotone";

/// What a replica reported to the primary of a new view.
#[derive(Clone, Copy, Debug)]
struct Report {
    view: View,
    log_view: View,
    head: Head,
}

#[derive(Clone, Debug)]
pub(super) struct Promises {
    /// By position, ascending by view: the most it acknowledged there.
    acks: Vec<Vec<(View, Head)>>,
    /// By position, ascending by view: what it reported last there.
    reports: Vec<Vec<Report>>,
}

impl Promises {
    pub(super) fn new(replicas: usize) -> Self {
        Self { acks: vec![Vec::new(); replicas], reports: vec![Vec::new(); replicas] }
    }

    /// A message leaves.
    pub(super) fn sends(&mut self, shadow: &Shadow, who: usize, message: &Message) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        let header = &message.header;
        let disk = &mirror.disk;
        if header.from != mirror.id || header.view > disk.view || header.incarnation != disk.incarnation {
            return Err(Self::unbacked_header(mirror, message));
        }
        let commit = match &message.body {
            Body::PrepareOk { head, .. } => {
                self.acknowledges(shadow, who, header.view, *head)?;
                return Ok(());
            }
            Body::CommitOk { .. } | Body::StartViewChange { .. } | Body::GetState(_) | Body::Recovery(_) => {
                return Ok(());
            }
            Body::Prepare { commit, .. } | Body::Commit { commit, .. } => *commit,
            Body::DoViewChange(report) => {
                self.reports(shadow, who, header.view, report)?;
                report.commit
            }
            Body::StartView(start) => Self::starts(shadow, who, header.view, start)?,
            Body::NewState(state) => state.commit,
            Body::RecoveryResponse(answer) => match &answer.log {
                Some(start) => Self::starts(shadow, who, header.view, start)?,
                None => return Ok(()),
            },
        };
        if commit > shadow.lineage.decided() {
            return Err(Self::nobody_committed(shadow, who, commit, "tells others that"));
        }
        Ok(())
    }

    #[cold]
    fn unbacked_header(mirror: &Mirror, message: &Message) -> Violation {
        let (id, kind, header) = (mirror.id, message.body.kind().name(), &message.header);
        let what = if header.from != mirror.id {
            format!("in the name of {:?}", header.from)
        } else if header.view > mirror.disk.view {
            format!("of view {}, but its disk promises view {} only", header.view, mirror.disk.view)
        } else {
            format!("as incarnation {}, but its disk says {}", header.incarnation, mirror.disk.incarnation)
        };
        Violation::safety(S5, format!("{id:?} sends a {kind} {what}"), &[id], &[])
    }

    // ---- S11

    fn acknowledges(&mut self, shadow: &Shadow, who: usize, view: View, head: Head) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        let image = if shadow.sync { &mirror.disk } else { &mirror.memory };
        if image.log_view != view || !image.holds(head) {
            return Err(Self::unbacked(shadow, who, view, head));
        }
        match self.acks[who].last_mut() {
            Some((last, most)) if *last == view => {
                if head.op > most.op {
                    *most = head;
                }
            }
            Some((last, _)) if *last > view => {} // S10 has said so already
            Some(_) | None => self.acks[who].push((view, head)),
        }
        Ok(())
    }

    #[cold]
    fn unbacked(shadow: &Shadow, who: usize, view: View, head: Head) -> Violation {
        let mirror = &shadow.replicas[who];
        let (id, op, hash) = (mirror.id, head.op, short(head.hash));
        let (image, place) = if shadow.sync { (&mirror.disk, "disk") } else { (&mirror.memory, "memory") };
        let has =
            image.hash(op).map_or_else(|| format!("ends at op {}", image.op()), |h| format!("has {} there", short(h)));
        let message = format!(
            "{id:?} acknowledges op {op} as {hash} in view {view}, but the log in its {place}, of view {}, {has}",
            image.log_view
        );
        Violation::safety(S11, message, &[id], &[op])
    }

    /// A log was replaced: what was acknowledged in its view is still there.
    pub(super) fn keeps(&self, shadow: &Shadow, who: usize) -> Result<(), Violation> {
        let Some((view, acked)) = self.acks[who].last() else { return Ok(()) };
        let mirror = &shadow.replicas[who];
        if *view < mirror.memory.log_view || mirror.memory.holds(*acked) {
            return Ok(());
        }
        let (id, op, end, of) = (mirror.id, acked.op, mirror.memory.op(), mirror.memory.log_view);
        let message = format!(
            "{id:?} acknowledged op {op} in view {view} and drops it without a later view: its log of view {of} ends at op {end}"
        );
        Err(Violation::safety(S11, message, &[id], &[op]))
    }

    /// A report describes the whole log as it is where it counts, and never weakens (PROTOCOL D44, P3).
    fn reports(&mut self, shadow: &Shadow, who: usize, view: View, said: &DoViewChange) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        let (id, head) = (mirror.id, said.tail.head);
        let image = if shadow.sync { &mirror.disk } else { &mirror.memory };
        if image.log_view != said.log_view || image.head() != head {
            let (place, ours, log_view) = (if shadow.sync { "disk" } else { "memory" }, image.head(), image.log_view);
            let message = format!(
                "{id:?} reports for view {view} a log of view {} through op {} ({}), but its {place} holds one of view \
                 {log_view} through op {} ({})",
                said.log_view,
                head.op,
                short(head.hash),
                ours.op,
                short(ours.hash)
            );
            return Err(Violation::safety(S11, message, &[id], &[head.op]));
        }
        let now = Report { view, log_view: said.log_view, head };
        match self.reports[who].last_mut() {
            Some(last) if last.view == view => {
                if (now.log_view, now.head.op) < (last.log_view, last.head.op) {
                    let (was, is) = (last.head.op, head.op);
                    let message = format!("{id:?} reports op {is} for view {view} after it had reported op {was}");
                    return Err(Violation::safety(D44, message, &[id], &[is, was]));
                }
                *last = now;
            }
            Some(_) | None => self.reports[who].push(now),
        }
        Ok(())
    }

    /// The log of a view is told to others once the disk knows that the view started.
    fn starts(shadow: &Shadow, who: usize, view: View, said: &StartView) -> Result<Op, Violation> {
        let mirror = &shadow.replicas[who];
        let (id, start) = (mirror.id, shadow.lineage.view(view).map(|log| log.start.op));
        if shadow.sync && mirror.disk.log_view != view {
            let log_view = mirror.disk.log_view;
            let message = format!("{id:?} tells of the log of view {view}, but its disk holds one of view {log_view}");
            return Err(Violation::safety(S11, message, &[id], &[]));
        }
        if start != Some(said.view_start) || !mirror.memory.holds(said.tail.head) {
            let (claims, end) = (said.view_start, said.tail.head.op);
            let message = format!(
                "{id:?} tells of a log of view {view} from op {claims} through op {end}, which it does not have"
            );
            return Err(Violation::safety(S11, message, &[id], &[claims, end]));
        }
        Ok(said.commit)
    }

    // ---- S12

    /// The commit-number rose beyond everything decided so far: this replica is the primary, and a quorum
    /// acknowledged as much in its view, itself included.
    pub(super) fn justify(&self, shadow: &Shadow, who: usize, op: Op) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        if mirror.standing != Standing::Primary {
            return Err(Self::nobody_committed(shadow, who, op, "holds"));
        }
        let view = mirror.memory.view;
        let own = if shadow.sync { &mirror.disk } else { &mirror.memory };
        let mut count = usize::from(own.log_view == view && own.op() >= op);
        for (place, acks) in self.acks.iter().enumerate() {
            if count >= shadow.quorum {
                return Ok(());
            }
            count += usize::from(place != who && Self::counts(acks, mirror, view, op));
        }
        if count >= shadow.quorum { Ok(()) } else { Err(self.unjustified(shadow, who, op)) }
    }

    fn counts(acks: &[(View, Head)], primary: &Mirror, view: View, op: Op) -> bool {
        let ack = acks.iter().rev().find(|(of, _)| *of <= view);
        ack.is_some_and(|(of, head)| *of == view && head.op >= op && primary.memory.holds(*head))
    }

    #[cold]
    fn nobody_committed(shadow: &Shadow, who: usize, op: Op, does: &str) -> Violation {
        let (id, decided) = (shadow.id(who), shadow.lineage.decided());
        let message = format!("{id:?} {does} op {op} is committed, but no primary committed beyond op {decided}");
        Violation::safety(S12, message, &[id], &[op, decided])
    }

    #[cold]
    fn unjustified(&self, shadow: &Shadow, who: usize, op: Op) -> Violation {
        let mirror = &shadow.replicas[who];
        let (id, view, quorum) = (mirror.id, mirror.memory.view, shadow.quorum);
        let own = if shadow.sync { &mirror.disk } else { &mirror.memory };
        let mut said: Vec<String> = Vec::new();
        for (place, acks) in self.acks.iter().enumerate() {
            if place == who {
                let durable = if own.log_view == view { own.op() } else { Op::ZERO };
                said.push(format!("{id:?} itself op {durable}"));
            } else if let Some((_, head)) = acks.iter().rev().find(|(of, _)| *of == view) {
                said.push(format!("{:?} op {}", shadow.id(place), head.op));
            }
        }
        let said = said.join(", ");
        let message =
            format!("{id:?} commits op {op} in view {view}, which takes {quorum} acknowledgements; there are: {said}");
        Violation::safety(S12, message, &[id], &[op])
    }

    // ---- reports behind a start

    fn report(&self, place: usize, view: View) -> Option<&Report> {
        self.reports[place].iter().rev().find(|report| report.view == view)
    }

    /// A primary puts the log of its view in place: a quorum, itself included, has reported for that view.
    pub(super) fn may_start(&self, shadow: &Shadow, who: usize, view: View) -> Result<(), Violation> {
        let others = (0..self.reports.len()).filter(|place| *place != who && self.report(*place, view).is_some());
        let (count, quorum) = (others.count() + 1, shadow.quorum);
        if count >= quorum {
            return Ok(());
        }
        let id = shadow.id(who);
        let message =
            format!("{id:?} starts view {view}, which takes {quorum} reports; {count} were made, its own included");
        Err(Violation::safety(S7, message, &[id], &[]))
    }

    /// A log was chosen: no log among the reported ones is better, by (log_view, op).
    pub(super) fn chose(
        &self,
        shadow: &Shadow,
        who: usize,
        (view, of): (View, usize),
        reporters: ReplicaSet,
    ) -> Result<(), Violation> {
        let memory = &shadow.replicas[who].memory;
        if memory.log_view >= view {
            return Ok(()); // its own report is no longer to be seen
        }
        let rank = |place: usize| {
            let own = Report { view, log_view: memory.log_view, head: memory.head() };
            let report = if place == who { Some(&own) } else { self.report(place, view) };
            report.map(|report| (report.log_view, report.head.op))
        };
        let id = shadow.id(who);
        let chosen = rank(of);
        for place in reporters.iter().map(Position::index).filter(|place| *place < self.reports.len()) {
            let (other, theirs) = (shadow.id(place), rank(place));
            if theirs.is_none() {
                let message =
                    format!("{id:?} counts a report of {other:?} for view {view}, which {other:?} never made");
                return Err(Violation::safety(S7, message, &[id, other], &[]));
            }
            if theirs > chosen {
                let best = theirs.map_or(Op::ZERO, |rank| rank.1);
                let message = format!(
                    "{id:?} chooses the log of {:?} for view {view}, but {other:?} reported a better one, through op {best}",
                    shadow.id(of)
                );
                return Err(Violation::safety(S8, message, &[id, other], &[best]));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::stage::{Stage, broken, chain, origin};
    use vr_core::{Action, Beat, Durability, Entries, Note, ReplicaId, Tail, Write};

    impl Promises {
        /// As if everyone had acknowledged this.
        pub(in crate::check) fn counting_everyone(replicas: usize, view: View, head: Head) -> Self {
            Self { acks: vec![vec![(view, head)]; replicas], ..Self::new(replicas) }
        }
    }

    fn three() -> Stage {
        Stage::new(3, Durability::Sync)
    }

    fn ack(head: Head) -> Body {
        Body::PrepareOk { head, beat: Beat(1) }
    }

    #[test]
    fn a_header_that_the_disk_does_not_back_is_caught() {
        let body = || Body::CommitOk { beat: Beat(1) };
        let mut stage = three();
        stage.writes(1, Write::View(View(1))).expect("legal");
        assert_eq!(broken(stage.reports(1)), S5, "the view is on its way to the disk");
        let mut stage = three();
        stage.puppets[1].incarnation = 2;
        assert_eq!(broken(stage.says(1, body())), S5);
        let mut stage = three();
        let theirs = stage.message(2, View(0), body());
        assert_eq!(broken(stage.acts(1, &[theirs])), S5);
    }

    #[test]
    fn an_acknowledgement_before_the_sync_is_caught_where_the_disk_counts() {
        for durability in [Durability::Sync, Durability::Async] {
            let mut stage = Stage::new(3, durability);
            let entries = chain(origin(), View(0), 1..=2);
            stage.appends(0, &entries).expect("legal");
            stage.appends(1, &entries).expect("legal");
            let expected = if durability == Durability::Sync { S11 } else { "nothing" };
            assert_eq!(broken(stage.acks(1)), expected);
        }
    }

    #[test]
    fn an_acknowledgement_of_what_is_not_there_is_caught() {
        let mut stage = Stage::new(3, Durability::Async);
        stage.prepares(0, &[1], &chain(origin(), View(0), 1..=3)).expect("legal");
        let hole = Head { op: Op(4), hash: vr_core::Hash(1) };
        assert_eq!(broken(stage.says(1, ack(hole))), S11);
        let other = Head { op: Op(3), hash: vr_core::Hash(1) };
        assert_eq!(broken(stage.says(1, ack(other))), S11);
    }

    #[test]
    fn an_acknowledgement_before_the_log_of_the_view_is_durable_is_caught() {
        let mut stage = three();
        stage.runs(0, &[1, 2], 1..=1).expect("legal");
        stage.enters(2, 1).expect("legal");
        stage.changes_view(1, &[1, 0]).expect("legal");
        stage.writes(2, Write::Replace { keep: Op(1), entries: Entries::empty(), view: View(1) }).expect("legal");
        assert_eq!(broken(stage.acks(2)), S11);
    }

    #[test]
    fn an_acknowledged_entry_that_vanishes_within_its_view_is_caught() {
        let mut stage = Stage::new(3, Durability::Async);
        stage.prepares(0, &[1], &chain(origin(), View(0), 1..=3)).expect("legal");
        stage.crash(1).expect("legal");
        stage.open(1).expect("legal");
        let Err(violation) = stage.writes(1, Write::Replace { keep: Op(2), entries: Entries::empty(), view: View(0) })
        else {
            panic!("the answer to its recovery lacked the uncommitted op 3 (D49)")
        };
        assert_eq!((violation.property, violation.replicas, violation.ops), (S11, vec![ReplicaId(1)], vec![Op(3)]));
    }

    #[test]
    fn a_report_of_another_log_than_its_own_is_caught() {
        let mut stage = three();
        stage.runs(0, &[1, 2], 1..=3).expect("legal");
        stage.enters(0, 2).expect("legal");
        stage.puppets[0].log.truncate(2);
        assert_eq!(broken(stage.reports(0)), S11, "a weaker report");
        let mut stage = three();
        let entries = chain(origin(), View(0), 1..=2);
        stage.appends(0, &entries).expect("legal");
        stage.appends(2, &entries).expect("legal");
        let flying = stage.write(2, Write::View(View(1)));
        stage.acts(2, &[flying]).expect("legal");
        stage.step(2, vr_core::Input::Persisted(vr_core::WriteId(1)), &[]).expect("legal");
        assert_eq!(broken(stage.reports(2)), S5, "not even the view is durable");
    }

    #[test]
    fn a_report_that_weakens_is_caught() {
        let mut stage = three();
        stage.runs(0, &[1, 2], 1..=2).expect("legal");
        stage.enters(0, 2).expect("legal");
        let Promises { reports, .. } = &mut stage.checkers.promises;
        reports[0][0].head.op = Op(5);
        assert_eq!(broken(stage.reports(0)), D44);
    }

    #[test]
    fn a_start_that_is_told_before_it_is_durable_is_caught() {
        let mut stage = three();
        stage.enters(1, 1).expect("legal");
        stage.enters(2, 1).expect("legal");
        stage.writes(1, Write::Replace { keep: Op(0), entries: Entries::empty(), view: View(1) }).expect("legal");
        let start = stage.start_view(1);
        assert_eq!(broken(stage.says(1, Body::StartView(Box::new(start.clone())))), S11);
        stage.flush(1).expect("legal");
        let wrong = StartView { view_start: Op(4), ..start.clone() };
        assert_eq!(broken(stage.says(1, Body::StartView(Box::new(wrong)))), S11);
        assert_eq!(broken(stage.says(1, Body::StartView(Box::new(start)))), "nothing");
    }

    #[test]
    fn a_commit_without_a_quorum_of_acknowledgements_is_caught() {
        let entries = chain(origin(), View(0), 1..=2);
        let mut stage = Stage::new(5, Durability::Sync);
        stage.prepares(0, &[1], &entries).expect("legal");
        stage.acks(1).expect("a duplicate (D2)");
        assert_eq!(broken(stage.commits(0, 2)), S12);
        let mut stage = three();
        stage.appends(0, &entries).expect("legal");
        stage.appends(1, &entries).expect("legal");
        stage.flush(1).expect("legal");
        stage.acks(1).expect("legal");
        assert_eq!(broken(stage.commits(0, 2)), S12, "its own copy is not durable (D53)");
        let mut stage = three();
        stage.prepares(0, &[1], &entries).expect("legal");
        assert_eq!(broken(stage.commits(0, 2)), "nothing");
    }

    #[test]
    fn acknowledgements_of_another_view_do_not_justify_a_commit() {
        let mut stage = Stage::new(5, Durability::Sync);
        stage.prepares(0, &[1, 2], &chain(origin(), View(0), 1..=1)).expect("legal");
        stage.changes_view(1, &[1, 3, 4]).expect("legal");
        stage.commits(1, 1).expect("three have acknowledged it in view 1");
        stage.prepares(1, &[3], &chain(stage.puppets[1].head(), View(1), 2..=2)).expect("legal");
        let Err(violation) = stage.commits(1, 2) else { panic!("two are no quorum of five") };
        assert_eq!(violation.property, S12);
        assert!(violation.message.ends_with("there are: r1 itself op 2, r3 op 2, r4 op 1"), "{}", violation.message);
    }

    #[test]
    fn a_backup_ahead_of_every_primary_is_caught() {
        let mut stage = three();
        stage.prepares(0, &[1], &chain(origin(), View(0), 1..=2)).expect("legal");
        assert_eq!(broken(stage.commits(1, 1)), S12);
        let mut stage = three();
        let head = origin();
        assert_eq!(broken(stage.says(0, Body::Commit { commit: Op(1), head, beat: Beat(1) })), S12);
    }

    #[test]
    fn a_start_without_a_quorum_of_reports_is_caught() {
        let mut stage = Stage::new(5, Durability::Sync);
        stage.enters(2, 1).expect("legal");
        stage.enters(1, 1).expect("legal");
        stage.enters(3, 3).expect("a report for another view");
        assert_eq!(broken(stage.installs(1, 1, &[])), S7);
    }

    #[test]
    fn a_choice_of_a_worse_log_is_caught() {
        let mut stage = three();
        stage.prepares(0, &[2], &chain(origin(), View(0), 1..=2)).expect("legal");
        stage.enters(2, 1).expect("legal");
        stage.enters(1, 1).expect("legal");
        let set = |places: &[usize]| places.iter().filter_map(|place| Position::new(*place)).collect();
        let chose = |of: u16, reports| Note::ChoseLog { view: View(1), of: ReplicaId(of), reports };
        assert_eq!(broken(stage.notes(1, chose(1, set(&[1, 2])))), S8);
        assert_eq!(broken(stage.notes(1, chose(2, set(&[0, 1, 2])))), S7, "r0 never reported");
        assert_eq!(broken(stage.notes(1, chose(2, set(&[1, 2])))), "nothing");
        let tail = Tail { base: origin(), entries: Entries::empty(), head: origin() };
        let early = DoViewChange { log_view: View(0), commit: Op(0), tail };
        let action: Action = stage.message(1, View(1), Body::DoViewChange(Box::new(early)));
        assert_eq!(broken(stage.acts(1, &[action])), "nothing", "a primary may report to itself");
    }
}
