//! Every promise is backed by what the disk (or, in the asynchronous mode, the memory) holds, and commits are
//! justified by promises: S11, S12, D44, and the reports behind a view's start.
//!
//! Owns every acknowledgement and every report ever sent. Must not know what the promises lead to. VRR §4.1 steps
//! 4 and 5, §4.2 steps 2 and 3; PROTOCOL §4, §6 P1 to P5.

use super::shadow::{Mirror, Shadow, Standing};
use super::{Violation, short};
use vr_core::{Body, DoViewChange, Epoch, Group, Head, Incarnation, Message, Op, ReplicaSet, StartView, To, View};

const S3: &str = "S3 monotone commit";
const S5: &str = "S5 durable header";
const S7: &str = "S7 justified start";
const S8: &str = "S8 best log";
const S10: &str = "S10 justified recovery";
const S25: &str = "S25 config sanity";
const S11: &str = "S11 ack backed";
const S12: &str = "S12 commit justified";
const D44: &str = "S11 report monotone";

/// What a replica reported to the primary of a new view.
#[derive(Clone, Copy, Debug)]
struct Report {
    view: View,
    log_view: View,
    head: Head,
    /// The lowest commit-number it named.
    commit: Op,
}

#[derive(Clone, Debug)]
pub(super) struct Promises {
    /// By position, ascending by view: the most it acknowledged there.
    acks: Vec<Vec<(View, Head)>>,
    /// By position: the last of these, as long as it stands: nobody can keep what its disk forgot.
    owed: Vec<Option<(View, Head)>>,
    /// By position, ascending by view: what it reported last there.
    reports: Vec<Vec<Report>>,
    /// By position: the largest commit-number among the reports from which it last chose a log, for which view.
    chosen: Vec<(View, Op)>,
    /// By position: the views whose primary answered the question of its present life with its log.
    answers: Vec<Vec<View>>,
}

impl Promises {
    pub(super) fn new(replicas: usize) -> Self {
        let chosen = vec![(View::ZERO, Op::ZERO); replicas];
        let (acks, reports, answers) =
            (vec![Vec::new(); replicas], vec![Vec::new(); replicas], vec![Vec::new(); replicas]);
        Self { acks, owed: vec![None; replicas], reports, chosen, answers }
    }

    /// A life begins: answers to earlier ones are for nothing.
    pub(super) fn opened(&mut self, who: usize) {
        self.answers[who].clear();
    }

    /// Its disk went back: what it acknowledged is kept by others.
    pub(super) fn forgotten(&mut self, who: usize) {
        self.owed[who] = None;
    }

    /// A message leaves.
    pub(super) fn sends(&mut self, shadow: &Shadow, who: usize, to: To, message: &Message) -> Result<(), Violation> {
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
            Body::CommitOk { .. }
            | Body::StartViewChange { .. }
            | Body::GetState(_)
            | Body::Recovery(_)
            | Body::GetCheckpoint { .. }
            | Body::CheckpointPart(_)
            | Body::GetEntries { .. }
            | Body::Entries(_)
            | Body::CheckEpoch
            | Body::GetReadIndex { .. }
            | Body::ReadIndex { .. } => {
                return Ok(());
            }
            Body::CheckpointDurable(news) => return Self::has_checkpoint(shadow, who, (news.head.op, news.held.op)),
            Body::EpochStarted { epoch } => return Self::has_started(shadow, who, *epoch),
            Body::StartEpoch(group) | Body::NewEpoch(group) => return Self::names(shadow, who, group),
            Body::Prepare { commit, .. } | Body::Commit { commit, .. } => *commit,
            Body::DoViewChange(report) => {
                self.reports(shadow, who, header.view, report)?;
                report.commit
            }
            Body::StartView(start) => self.starts(shadow, who, header.view, start)?,
            Body::NewState(state) => state.commit,
            Body::RecoveryResponse(answer) => match &answer.log {
                Some(start) => {
                    self.answers(shadow, to, header.view, answer.nonce.incarnation);
                    self.starts(shadow, who, header.view, start)?
                }
                None => return Ok(()),
            },
        };
        if commit > shadow.lineage.decided() {
            return Err(Self::nobody_committed(shadow, who, commit, "tells others that"));
        }
        Ok(())
    }

    /// What an epoch begins with is said to be here: on the disk, or where that counts, in memory (PROTOCOL D93).
    fn has_started(shadow: &Shadow, who: usize, epoch: Epoch) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        let image = if shadow.sync { &mirror.disk } else { &mirror.memory };
        let base = shadow.group(View::first_of(epoch)).base();
        if image.view.epoch() == epoch && image.holds(base) {
            return Ok(());
        }
        let (id, op) = (mirror.id, base.op);
        let message = format!("{id:?} says that it has what epoch {epoch} begins with, op {op}, and has not");
        Err(Violation::safety(S11, message, &[id], &[op]))
    }

    /// What is said of checkpoints is so: one is on the own disk, another one on those of enough full members (PROTOCOL D103).
    fn has_checkpoint(shadow: &Shadow, who: usize, (own, held): (Op, Op)) -> Result<(), Violation> {
        let has = if shadow.is_witness(who) { Op::ZERO } else { shadow.replicas[who].disk.checkpointed() };
        let enough = |(holders, needed): (usize, usize)| holders >= needed;
        if own <= has && (held == Op::ZERO || shadow.holders(held).is_some_and(enough)) {
            return Ok(());
        }
        let id = shadow.id(who);
        let message = format!(
            "{id:?} says that it has a checkpoint after op {own}, and enough others one after op {held}, and it is not so"
        );
        Err(Violation::safety(S11, message, &[id], &[own, held]))
    }

    /// A group is named: the one that was decided for its epoch (PROTOCOL S25).
    fn names(shadow: &Shadow, who: usize, group: &Group) -> Result<(), Violation> {
        let decided = shadow.group(View::first_of(group.epoch()));
        if decided == group {
            return Ok(());
        }
        let (id, epoch) = (shadow.id(who), group.epoch());
        let message = format!("{id:?} names a group of epoch {epoch} that nobody decided");
        Err(Violation::safety(S25, message, &[id], &[group.base().op]))
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
        match &mut self.owed[who] {
            Some((last, most)) if *last == view && most.op >= head.op => {}
            owed => *owed = Some((view, head)),
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
        let Some((view, acked)) = &self.owed[who] else { return Ok(()) };
        let mirror = &shadow.replicas[who];
        if *view < mirror.memory.log_view || mirror.memory.holds(*acked) {
            return Ok(());
        }
        let (id, op, end, of) = (mirror.id, acked.op, mirror.memory.op(), mirror.memory.log_view);
        let message = format!(
            "{id:?} acknowledged op {op} in view {view} and drops it without a later view: its log of view {of} \
             ends at op {end}"
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
        let mut now = Report { view, log_view: said.log_view, head, commit: said.commit };
        match self.reports[who].last_mut() {
            Some(last) if last.view == view => {
                if (now.log_view, now.head.op) < (last.log_view, last.head.op) {
                    let (was, is) = (last.head.op, head.op);
                    let message = format!("{id:?} reports op {is} for view {view} after it had reported op {was}");
                    return Err(Violation::safety(D44, message, &[id], &[is, was]));
                }
                now.commit = now.commit.min(last.commit);
                *last = now;
            }
            Some(_) | None => self.reports[who].push(now),
        }
        Ok(())
    }

    /// The log of a view is told to others once the disk knows that the view started.
    fn starts(&self, shadow: &Shadow, who: usize, view: View, said: &StartView) -> Result<Op, Violation> {
        let mirror = &shadow.replicas[who];
        let (id, start) = (mirror.id, shadow.lineage.view(view).map(|log| log.start.op));
        if shadow.sync && mirror.disk.log_view != view {
            let log_view = mirror.disk.log_view;
            let message = format!("{id:?} tells of the log of view {view}, but its disk holds one of view {log_view}");
            return Err(Violation::safety(S11, message, &[id], &[]));
        }
        if start != Some(said.view_start) || !mirror.memory.holds(said.tail.head) {
            let (claims, end) = (said.view_start, said.tail.head.op);
            let (start, op) = (start.unwrap_or_default(), mirror.memory.op());
            let message = format!(
                "{id:?} tells of a log of view {view} that started with op {claims} and reaches op {end}; it \
                 started with op {start} and reaches op {op}, or is another one"
            );
            return Err(Violation::safety(S11, message, &[id], &[claims, end]));
        }
        let (of, largest) = self.chosen[who];
        if of == view && said.commit < largest {
            let commit = said.commit;
            let message =
                format!("{id:?} leads view {view} with commit-number {commit}, but {largest} was reported to it");
            return Err(Violation::safety(S3, message, &[id], &[commit, largest]));
        }
        Ok(said.commit)
    }

    // ---- recovery

    /// The primary of a view answers a question, perhaps of a life that is over.
    fn answers(&mut self, shadow: &Shadow, to: To, view: View, of: Incarnation) {
        let To::One(asker) = to else { return };
        let Some(place) = shadow.place(asker) else { return };
        if shadow.replicas[place].memory.incarnation == of && !self.answers[place].contains(&view) {
            self.answers[place].push(view);
        }
    }

    /// A replica puts the log of a view in place. If it recovers, that view's primary has told it that log in this
    /// very life (VRR §4.3 step 3; PROTOCOL D50, D51).
    pub(super) fn may_recover(&self, shadow: &Shadow, who: usize, view: View) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        if mirror.standing != Standing::Recovering || self.answers[who].contains(&view) {
            return Ok(());
        }
        let (id, primary, life) = (mirror.id, shadow.id(shadow.leader(view)), mirror.memory.incarnation);
        let message =
            format!("{id:?} recovers in view {view}, but {primary:?} has not answered its incarnation {life} there");
        Err(Violation::safety(S10, message, &[id, primary], &[]))
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
        let quorum = shadow.quorum(view);
        for (place, acks) in self.acks.iter().enumerate() {
            if count >= quorum {
                return Ok(());
            }
            count += usize::from(place != who && Self::counts(acks, mirror, view, op));
        }
        if count >= quorum { Ok(()) } else { Err(self.unjustified(shadow, who, op)) }
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
        let (id, view, quorum) = (mirror.id, mirror.memory.view, shadow.quorum(mirror.memory.view));
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
        let (count, quorum) = (others.count() + 1, shadow.quorum(view));
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
        &mut self,
        shadow: &Shadow,
        who: usize,
        (view, of): (View, usize),
        reporters: ReplicaSet,
    ) -> Result<(), Violation> {
        let memory = &shadow.replicas[who].memory;
        if memory.log_view >= view {
            return Ok(()); // its own report is no longer to be seen
        }
        let commit = shadow.replicas[who].commit;
        let own = Report { view, log_view: memory.log_view, head: memory.head(), commit };
        let report = |place: usize| if place == who { Some(&own) } else { self.report(place, view) };
        let rank = |place: usize| report(place).map(|report| (report.log_view, report.head.op));
        let id = shadow.id(who);
        let (chosen, mut largest) = (rank(of), commit);
        for place in reporters.iter().filter_map(|position| shadow.member(view, position)) {
            let (other, theirs) = (shadow.id(place), rank(place));
            if theirs.is_none() {
                let message =
                    format!("{id:?} counts a report of {other:?} for view {view}, which {other:?} never made");
                return Err(Violation::safety(S7, message, &[id, other], &[]));
            }
            if theirs > chosen {
                let best = theirs.map_or(Op::ZERO, |rank| rank.1);
                let message = format!(
                    "{id:?} chooses the log of {:?} for view {view}, but {other:?} reported a better one, through \
                     op {best}",
                    shadow.id(of)
                );
                return Err(Violation::safety(S8, message, &[id, other], &[best]));
            }
            largest = report(place).map_or(largest, |report| report.commit.max(largest));
        }
        self.chosen[who] = (view, largest);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
