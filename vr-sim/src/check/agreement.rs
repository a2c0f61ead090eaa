//! All replicas log, commit, execute and answer the same, in the same order: S1, S2, S3, S4 and S6.
//!
//! Owns the hash of every entry that is committed, executed or appended, compared with what the group decided
//! and with the log of the view; answers and states of services, compared at equal ops. Must not know who may
//! commit (S12), nor how views start (S7, S8). VRR §4.1, §8.1; PROTOCOL §4.

use super::image::Misfit;
use super::lineage::Fit;
use super::shadow::{Mirror, Shadow, Standing};
use super::{Violation, short};
use bytes::Bytes;
use vr_core::{Entries, Entry, Hash, Op, Snapshot, StatusName};

const S1: &str = "S1 agreement";
const S2: &str = "S2 prefix execution";
const S3: &str = "S3 monotone commit";
const S4: &str = "S4 bounds";
const S6: &str = "S6 log match";
const S2C: &str = "S2 rising clock";
const S10: &str = "S10 promise kept";

#[derive(Clone, Debug, Default)]
pub(super) struct Agreement {
    /// By op: the state of the first service sampled after it, and whose.
    states: Vec<Option<(Hash, usize)>>,
}

impl Agreement {
    // ---- S6

    /// An append or a replacement that does not continue the log it is for.
    #[cold]
    pub(super) fn broken_log(shadow: &Shadow, who: usize, misfit: Misfit) -> Violation {
        let id = shadow.id(who);
        let (op, what) = match misfit {
            Misfit::Gap { expected, found } => {
                (found, format!("its log continues at op {expected}, but it writes op {found} next"))
            }
            Misfit::BrokenChain(op) => (op, format!("op {op} is chained to another entry than the one before it")),
            Misfit::AnotherLog { end } => {
                (end, format!("it repairs its log with one that ends at op {end} and is not the one that was here"))
            }
            Misfit::NothingToKeep(op) => (op, format!("it keeps its log through op {op}, which it does not have")),
            Misfit::OldIncarnation(_) | Misfit::OldView(_) => (Op::ZERO, "its promise goes back".to_owned()),
        };
        Violation::safety(S6, format!("{id:?} breaks its log: {what}"), &[id], &[op])
    }

    /// Entries were appended: they are those of the view's log, and only its primary makes new ones.
    pub(super) fn appended(shadow: &mut Shadow, who: usize, entries: &Entries) -> Result<(), Violation> {
        let Mirror { standing, ref memory, .. } = shadow.replicas[who];
        let (view, primary) = (memory.log_view, standing == Standing::Primary);
        if !standing.is_normal() {
            return Err(Self::untimely(shadow, who, entries));
        }
        if primary {
            Self::clock_rises(shadow, who, entries)?;
        }
        for entry in entries {
            let (op, hash) = (entry.op(), entry.hash());
            let fit = shadow.lineage.fit(view, op, hash, primary);
            if fit != Fit::Same {
                return Err(Self::misplaced(shadow, who, (op, hash), fit));
            }
        }
        Ok(())
    }

    #[cold]
    fn untimely(shadow: &Shadow, who: usize, entries: &Entries) -> Violation {
        let Mirror { id, standing, ref memory, .. } = shadow.replicas[who];
        let (op, view) = (entries.first().map_or(Op::ZERO, Entry::op), memory.view);
        let message = format!("{id:?} takes op {op} into its log while it is {} in view {view}", standing.name());
        Violation::safety(S10, message, &[id], &[op])
    }

    /// The clock that a primary predicts rises from op to op, across views too (VRR §4.4, PROTOCOL D100).
    fn clock_rises(shadow: &Shadow, who: usize, entries: &Entries) -> Result<(), Violation> {
        let Some(first) = entries.first() else { return Ok(()) };
        let before = shadow.lineage.birth(first.op().previous(), first.parent());
        let mut clock = before.map(|birth| birth.wall_ns);
        for entry in entries {
            let predicted = entry.predicted().wall_ns;
            if let Some(before) = clock.filter(|before| predicted <= *before) {
                let (id, op) = (shadow.id(who), entry.op());
                let message =
                    format!("{id:?} predicts the clock {predicted} for op {op}, after {before} for the op before");
                return Err(Violation::safety(S2C, message, &[id], &[op]));
            }
            clock = Some(predicted);
        }
        Ok(())
    }

    #[cold]
    pub(super) fn misplaced(shadow: &Shadow, who: usize, (op, hash): (Op, Hash), fit: Fit) -> Violation {
        let (id, view) = (shadow.id(who), shadow.replicas[who].memory.log_view);
        let primary = shadow.id(shadow.leader(view));
        let mine = short(hash);
        let what = match fit {
            Fit::Other(theirs) => format!("the log of that view has {} there", short(theirs)),
            Fit::Same | Fit::Beyond => format!("the view's primary {primary:?} never had an op {op}"),
        };
        let message = format!("{id:?} has {mine} at op {op} in its log of view {view}, but {what}");
        Violation::safety(S6, message, &[id, primary], &[op])
    }

    /// A replica first seen with a log on its disk: it must agree with what others brought along.
    pub(super) fn adopted(shadow: &mut Shadow, who: usize) -> Result<(), Violation> {
        let image = &shadow.replicas[who].memory;
        let (view, base, head) = (image.log_view, image.base(), image.head());
        if head.op == base {
            return Ok(());
        }
        if shadow.lineage.view(view).is_none() {
            let start = vr_core::Head { op: base, hash: image.hash(base).unwrap_or_default() };
            let by = shadow.leader(view);
            shadow.lineage.start(view, by, start, base, image.after(base));
            return Ok(());
        }
        let log = image.after(base).to_vec();
        let mut op = base;
        for hash in log {
            op = op.next();
            let fit = shadow.lineage.fit(view, op, hash, true);
            if fit != Fit::Same {
                return Err(Self::misplaced(shadow, who, (op, hash), fit));
            }
        }
        Ok(())
    }

    // ---- S1, S3, S4: committing

    /// The commit-number rose to `op`: it never falls within a life, and never exceeds the log.
    pub(super) fn may_commit(shadow: &Shadow, who: usize, op: Op) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        let (id, before, end) = (mirror.id, mirror.commit, mirror.memory.op());
        if op < before {
            let message = format!("the commit-number of {id:?} fell from {before} to {op} within one life");
            return Err(Violation::safety(S3, message, &[id], &[op, before]));
        }
        if op > end {
            let message = format!("{id:?} holds op {op} for committed, but its log ends at op {end}");
            return Err(Violation::safety(S4, message, &[id], &[op, end]));
        }
        Ok(())
    }

    /// What a replica holds for committed is what was decided.
    pub(super) fn committed(shadow: &Shadow, who: usize, op: Op) -> Result<(), Violation> {
        let decision = shadow.lineage.decision(op);
        let ours = shadow.replicas[who].memory.hash(op);
        match (ours, decision) {
            (Some(ours), Some(decision)) if ours != decision.hash => {
                Err(Self::disagrees(shadow, who, "holds for committed", (op, ours)))
            }
            _ => Ok(()),
        }
    }

    #[cold]
    fn disagrees(shadow: &Shadow, who: usize, did: &str, (op, hash): (Op, Hash)) -> Violation {
        let id = shadow.id(who);
        let Some(decision) = shadow.lineage.decision(op) else {
            let message = format!("{id:?} {did} op {op}, which nobody committed");
            return Violation::safety(S1, message, &[id], &[op]);
        };
        let first = shadow.id(decision.by);
        let (ours, theirs) = (short(hash), short(decision.hash));
        let message = format!("{id:?} {did} op {op} as {ours}, but {first:?} had committed {theirs} there");
        Violation::safety(S1, message, &[id, first], &[op])
    }

    // ---- S1, S2: executing

    /// The service is asked to execute these: in order, once per life, committed, and what was decided.
    pub(super) fn executes(shadow: &Shadow, who: usize, entries: &Entries) -> Result<(), Violation> {
        let Some((first, last)) = entries.first().zip(entries.last()) else { return Ok(()) };
        let mirror = &shadow.replicas[who];
        let id = mirror.id;
        if shadow.is_witness(who) {
            let message = format!("{id:?} is a witness, and executes op {}", first.op());
            return Err(Violation::safety(S2, message, &[id], &[first.op()]));
        }
        if first.op() <= mirror.executed {
            let (op, through) = (first.op(), mirror.executed);
            let message = format!("{id:?} executes op {op}, but in this life it has executed through op {through}");
            return Err(Violation::safety(S2, message, &[id], &[op]));
        }
        if last.op() > mirror.commit {
            let (op, commit) = (last.op(), mirror.commit);
            let message = format!("{id:?} executes op {op}, but its commit-number is {commit}");
            return Err(Violation::safety(S4, message, &[id], &[op, commit]));
        }
        let decided = |op: Op| shadow.lineage.decision(op).map(|decision| decision.hash);
        if decided(last.op()) == Some(last.hash()) {
            return Ok(()); // hashes are chained
        }
        let wrong = entries.iter().find(|entry| decided(entry.op()) != Some(entry.hash())).unwrap_or(last);
        Err(Self::disagrees(shadow, who, "executes", (wrong.op(), wrong.hash())))
    }

    /// A service answered: like the first one did.
    pub(super) fn answered(shadow: &mut Shadow, who: usize, op: Op, reply: &Bytes) -> Result<(), Violation> {
        let Some(first) = shadow.lineage.answered(op, reply) else { return Ok(()) };
        let id = shadow.id(who);
        let (ours, theirs) = (reply.escape_ascii(), first.escape_ascii());
        let message =
            format!("the service of {id:?} answers \"{ours}\" to op {op}, the first to execute it \"{theirs}\"");
        Err(Violation::safety(S2, message, &[id], &[op]))
    }

    /// A service was sampled: its state after `op` is the same everywhere.
    pub(super) fn sampled(&mut self, shadow: &Shadow, who: usize, op: Op, state: Hash) -> Result<(), Violation> {
        let place = super::index(op.0);
        if self.states.len() <= place {
            self.states.resize(place + 1, None);
        }
        let Some((first, by)) = self.states[place] else {
            self.states[place] = Some((state, who));
            return Ok(());
        };
        if first == state {
            return Ok(());
        }
        let (id, other) = (shadow.id(who), shadow.id(by));
        let (ours, theirs) = (short(state), short(first));
        let message =
            format!("after op {op} the service of {id:?} is in state {ours}, that of {other:?} was in {theirs}");
        Err(Violation::safety(S2, message, &[id, other], &[op]))
    }

    // ---- S4 at the end

    /// A replica looks as its writes and notes say.
    pub(super) fn looks_right(shadow: &Shadow, seen: &Snapshot) -> Result<(), Violation> {
        let Some(who) = shadow.place(seen.id) else { return Ok(()) };
        let mirror = &shadow.replicas[who];
        let (id, normal) = (seen.id, matches!(seen.status, StatusName::Primary | StatusName::Backup));
        let (written, log_view) = (mirror.memory.op(), mirror.memory.log_view);
        let wrong = if seen.executed > seen.commit || seen.commit > seen.op || seen.durable > seen.op {
            format!("executed {} ≤ commit {} ≤ op {} ≥ durable {}", seen.executed, seen.commit, seen.op, seen.durable)
        } else if seen.log_view > seen.view || (normal && seen.log_view != seen.view) {
            format!("status {:?} in view {} with the log of view {}", seen.status, seen.view, seen.log_view)
        } else if seen.status == StatusName::Halted {
            return Ok(());
        } else if (seen.op, seen.log_view) != (written, log_view) {
            let (op, view) = (seen.op, seen.log_view);
            format!("a log of view {view} through op {op}, but wrote one of view {log_view} through op {written}")
        } else if seen.view != mirror.memory.view {
            format!("view {}, but wrote down a promise for view {}", seen.view, mirror.memory.view)
        } else if seen.commit != mirror.commit {
            format!("commit-number {}, but noted {}", seen.commit, mirror.commit)
        } else {
            return Ok(());
        };
        Err(Violation::safety(S4, format!("{id:?} shows {wrong}"), &[id], &[seen.op]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::stage::{Stage, broken, chain, origin, run_of, session, stored};
    use crate::check::{Happening, Violation};
    use vr_core::{Action, Durability, Epoch, Incarnation, Log, ReplicaId, View};

    fn three() -> Stage {
        Stage::new(3, Durability::Sync)
    }

    /// A session with two requests, prepared everywhere, committed everywhere.
    fn committed() -> Stage {
        let mut stage = three();
        let log = session(origin(), View(0), 5, &["ka", "kb"]);
        stage.prepares(0, &[1, 2], &log).expect("legal");
        (0..3).try_for_each(|r| stage.commits(r, 3)).expect("legal");
        stage
    }

    #[test]
    fn a_log_with_a_hole_is_caught() {
        let entries = chain(origin(), View(0), 1..=3);
        assert_eq!(broken(three().appends(1, &entries.skip(1))), S6);
    }

    #[test]
    fn a_backup_with_another_entry_than_its_primary_is_caught() {
        let mut stage = three();
        stage.appends(0, &chain(origin(), View(0), 1..=2)).expect("legal");
        stage.appends(1, &chain(origin(), View(0), 1..=1)).expect("legal");
        let verdict = stage.appends(2, &chain(origin(), View(7), 1..=1));
        let message = verdict.as_ref().map_err(|violation| violation.message.clone());
        assert!(message.is_err_and(|m| m.starts_with("r2 has h") && m.contains(" at op 1 in its log of view 0")));
        assert_eq!(broken(verdict), S6);
    }

    #[test]
    fn an_entry_that_the_primary_never_had_is_caught() {
        let mut stage = three();
        assert_eq!(broken(stage.appends(1, &chain(origin(), View(0), 1..=1))), S6);
    }

    #[test]
    fn a_replica_that_logs_between_views_is_caught() {
        let mut stage = three();
        stage.enters(1, 2).expect("legal");
        let entries = chain(origin(), View(0), 1..=1);
        stage.appends(0, &entries).expect("legal");
        assert_eq!(broken(stage.appends(1, &entries)), S10);
    }

    #[test]
    fn a_predicted_clock_that_stands_still_or_goes_back_is_caught() {
        let mut stage = three();
        stage.appends(0, &chain(origin(), View(0), 1..=3)).expect("legal");
        let head = stage.puppets[0].head();
        let mut request = chain(head, View(0), 4..=4).first().expect("one").request();
        request.predicted.wall_ns = 3;
        let entry = Entry::new(Epoch(0), View(0), Op(4), head.hash, request);
        assert_eq!(broken(stage.appends(0, &run_of(&[entry]))), S2C);
    }

    #[test]
    fn commits_executions_answers_and_states_that_agree_are_not_complained_about() {
        let mut stage = committed();
        for r in 0..3 {
            assert_eq!(broken(stage.executes(r, 2..=3)), "nothing");
            assert_eq!(broken(stage.service_answers(r, 2, "")), "nothing");
            let sampled = Happening::Sampled { on: Stage::id(r), op: Op(2), state: Hash(4) };
            assert_eq!(broken(stage.observe(&sampled)), "nothing");
        }
    }

    #[test]
    fn a_replica_that_holds_another_entry_for_committed_is_caught() {
        let mut stage = three();
        stage.appends(0, &chain(origin(), View(0), 1..=1)).expect("legal");
        stage.changes_view(1, &[1, 2]).expect("legal");
        stage.runs(1, &[2], 1..=1).expect("legal");
        let Err(violation) = stage.commits(0, 1) else { panic!("r0's op 1 is of view 0") };
        assert!(violation.message.starts_with("r0 holds for committed op 1 as h"), "{}", violation.message);
        assert_eq!((violation.property, violation.replicas), (S1, vec![ReplicaId(0), ReplicaId(1)]));
    }

    #[test]
    fn an_execution_of_another_entry_is_caught() {
        let mut stage = committed();
        let other = chain(origin(), View(3), 1..=3);
        assert_eq!(broken(stage.acts(1, &[Action::Execute(run_of(other.as_slice()))])), S1);
    }

    #[test]
    fn executing_twice_or_ahead_of_the_commit_number_is_caught() {
        let mut stage = committed();
        stage.executes(1, 2..=2).expect("legal");
        assert_eq!(broken(stage.executes(1, 2..=3)), S2);
        let mut stage = three();
        stage.prepares(0, &[1], &session(origin(), View(0), 5, &["ka"])).expect("legal");
        assert_eq!(broken(stage.executes(0, 2..=2)), S4);
    }

    #[test]
    fn services_that_answer_differently_or_differ_in_state_are_caught() {
        let mut stage = committed();
        stage.service_answers(0, 2, "a").expect("legal");
        assert_eq!(broken(stage.service_answers(1, 2, "b")), S2);
        let mut stage = committed();
        let mut sample =
            |r, state| stage.observe(&Happening::Sampled { on: Stage::id(r), op: Op(2), state: Hash(state) });
        sample(0, 4).expect("legal");
        assert_eq!(broken(sample(2, 5)), S2);
    }

    #[test]
    fn a_commit_number_that_falls_or_runs_ahead_of_the_log_is_caught() {
        let mut stage = committed();
        assert_eq!(broken(stage.commits(1, 2)), S3);
        assert_eq!(broken(committed().commits(1, 4)), S4);
    }

    #[test]
    fn replicas_that_first_appear_with_logs_that_differ_are_caught() {
        let mut stage = three();
        let verdict = |stage: &mut Stage, r: usize, view: u64, ops: u64| -> Result<(), Violation> {
            let mut disk = stored(Stage::id(r).0);
            disk.incarnation = Incarnation(3);
            disk.log = Log::new(origin());
            disk.log.append(chain(origin(), View(view), 1..=ops));
            stage.checkers.shadow.replicas[r].known = false;
            stage.observe(&Happening::Opened { on: Stage::id(r), stored: &disk, actions: &[] })
        };
        assert_eq!(broken(verdict(&mut stage, 1, 0, 2)), "nothing");
        assert_eq!(broken(verdict(&mut stage, 2, 0, 4)), "nothing");
        assert_eq!(broken(verdict(&mut stage, 1, 1, 2)), S6);
    }

    #[test]
    fn a_replica_that_does_not_look_as_its_writes_say_is_caught() {
        let stage = committed();
        let good = Snapshot {
            id: ReplicaId(1),
            incarnation: Incarnation(1),
            status: StatusName::Backup,
            epoch: Epoch(0),
            view: View(0),
            log_view: View(0),
            primary: ReplicaId(0),
            op: Op(3),
            durable: Op(3),
            commit: Op(3),
            executed: Op(1),
            wants_view_change: false,
            witness: false,
            base: Op(0),
            checkpoint: Op(0),
        };
        let look = |seen: Snapshot| broken(Agreement::looks_right(&stage.checkers.shadow, &seen));
        assert_eq!(look(good), "nothing");
        assert_eq!(look(Snapshot { executed: Op(4), ..good }), S4);
        assert_eq!(look(Snapshot { op: Op(4), ..good }), S4);
        assert_eq!(look(Snapshot { commit: Op(2), ..good }), S4);
        assert_eq!(look(Snapshot { view: View(1), ..good }), S4);
        assert_eq!(look(Snapshot { view: View(1), status: StatusName::ViewChange, ..good }), S4);
    }
}
