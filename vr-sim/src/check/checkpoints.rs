//! Checkpoints are replicated state, and logs go only behind them: S17 and S18, and what S2 says of a restored service.
//!
//! Owns the first digest seen at each op, and what a log may be cut behind. Must not know what is in a checkpoint.
//! VRR §5.1, §5.2; PROTOCOL §4 S17, S18, D32, D65 to D67, D69, D74.
//!
//! A checkpoint counts wherever the entries before its op would have counted (see `image`): that is sound because
//! of S17, for the first of each op was made of a service that executed what was decided (S1, S2), and all others
//! are equal to it. S18 then is: what is cut is in a checkpoint on the same disk, and stays in one: none takes the place of
//! a later one. In a group with witnesses it is on enough disks of full members (PROTOCOL D103): what a witness has in its
//! place counts for its log, and for no state.

use super::shadow::Shadow;
use super::{Violation, short};
use std::collections::BTreeMap;
use vr_core::{Action, Checkpoint, Hash, Head, Op};

const S2: &str = "S2 prefix execution";
const S17: &str = "S17 checkpoint equality";
const S18: &str = "S18 cut behind a checkpoint";

#[derive(Clone, Debug)]
pub(super) struct Checkpoints {
    /// A checkpoint is taken every so many ops.
    interval: u64,
    /// By op: the first digest, and whose it was.
    first: BTreeMap<Op, (Hash, usize)>,
}

impl Checkpoints {
    pub(super) fn new(interval: u32) -> Self {
        Self { interval: u64::from(interval), first: BTreeMap::new() }
    }

    /// A checkpoint was taken or installed: at an op where all take one, of what was decided, like the first one.
    pub(super) fn written(&mut self, shadow: &Shadow, who: usize, checkpoint: &Checkpoint) -> Result<(), Violation> {
        let (id, head, later) = (shadow.id(who), checkpoint.head(), shadow.replicas[who].memory.checkpointed());
        if head.op < later {
            let message = format!("{id:?} writes its checkpoint after op {} over the one after op {later}", head.op);
            return Err(Violation::safety(S18, message, &[id], &[head.op, later]));
        }
        let is_witness = shadow.is_witness(who);
        if !head.op.0.is_multiple_of(self.interval) && !shadow.is_base(head) && !is_witness {
            let message = format!(
                "{id:?} has a checkpoint after op {}, which is no multiple of the interval {}",
                head.op, self.interval
            );
            return Err(Violation::safety(S17, message, &[id], &[head.op]));
        }
        let decided = shadow.lineage.decision(head.op).map(|decision| decision.hash);
        if decided != Some(head.hash) {
            let what = decided.map_or("nothing".to_owned(), short);
            let message = format!(
                "{id:?} has a checkpoint after op {} ({}), where {what} is committed",
                head.op,
                short(head.hash)
            );
            return Err(Violation::safety(S17, message, &[id], &[head.op]));
        }
        if is_witness {
            // It says where the log begins, and nothing of a state.
            return Self::may_begin(shadow, who, head.op);
        }
        let (first, by) = *self.first.entry(head.op).or_insert((checkpoint.digest(), who));
        if first == checkpoint.digest() {
            return Ok(());
        }
        let other = shadow.id(by);
        let (ours, theirs) = (short(checkpoint.digest()), short(first));
        let message =
            format!("the checkpoint of {id:?} after op {} is {ours}, that of {other:?} was {theirs}", head.op);
        Err(Violation::safety(S17, message, &[id, other], &[head.op]))
    }

    /// In a group with witnesses no log begins after what enough full members have on their disks: whoever of them is left
    /// may need it (PROTOCOL D103).
    fn may_begin(shadow: &Shadow, who: usize, op: Op) -> Result<(), Violation> {
        match shadow.holders(op) {
            Some((holders, needed)) if holders < needed => {
                let id = shadow.id(who);
                let message = format!(
                    "{id:?} gives up its log through op {op}, but {holders} full members have a checkpoint of it on their \
                     disks, and it takes {needed}"
                );
                Err(Violation::safety(S18, message, &[id], &[op]))
            }
            _ => Ok(()),
        }
    }

    /// Does a witness that of `healed` hears the first alone, the hub, have to wait for others? It lacks what the log of the hub
    /// begins with, a checkpoint that it fetched, and may not begin there itself: too few full members are known to have that.
    pub(super) fn strands(shadow: &Shadow, healed: &[usize], witness: usize) -> bool {
        let Some(&hub) = healed.first() else { return false };
        let (lends, lacks) = (&shadow.replicas[hub].disk, &shadow.replicas[witness].disk);
        let begins = lends.hash(lends.base()).map(|hash| Head { op: lends.base(), hash });
        let is_behind = begins.is_some_and(|head| lacks.base() < head.op && !lacks.holds(head));
        // A log that was cut begins before its checkpoint, and says by itself that enough have what it begins with.
        let is_fetched = lends.base() == lends.checkpointed();
        let tell = shadow.holders_among(lends.base(), |place| healed.contains(&place));
        let is_early = is_fetched && tell.is_some_and(|(holders, needed)| holders < needed);
        hub != witness && shadow.is_witness(witness) && is_behind && is_early
    }

    /// Entries are given up: a checkpoint that holds them is on the disk.
    pub(super) fn cuts(shadow: &Shadow, who: usize, through: Op) -> Result<(), Violation> {
        Self::may_begin(shadow, who, through)?;
        let mirror = &shadow.replicas[who];
        let durable = mirror.disk.checkpointed();
        if through <= durable {
            return Ok(());
        }
        let id = mirror.id;
        let message = format!(
            "{id:?} gives up its log through op {through}, but the checkpoint on its disk ends at op {durable}"
        );
        Err(Violation::safety(S18, message, &[id], &[through, durable]))
    }

    /// A service becomes what it was at a checkpoint of its own disk, never at an earlier op than it had come to.
    pub(super) fn restores(shadow: &mut Shadow, who: usize, checkpoint: &Checkpoint) -> Result<(), Violation> {
        if shadow.is_witness(who) {
            let (id, op) = (shadow.id(who), checkpoint.op());
            let message = format!("{id:?} is a witness, and restores a state after op {op}");
            return Err(Violation::safety(S2, message, &[id], &[op]));
        }
        let mirror = &mut shadow.replicas[who];
        let (id, op, executed) = (mirror.id, checkpoint.op(), mirror.executed);
        if op < executed {
            let message =
                format!("{id:?} goes back to its checkpoint after op {op}, having executed through op {executed}");
            return Err(Violation::safety(S2, message, &[id], &[op, executed]));
        }
        if mirror.memory.checkpointed() != op {
            let written = mirror.memory.checkpointed();
            let message = format!("{id:?} restores a checkpoint after op {op}, but its own one is after op {written}");
            return Err(Violation::safety(S2, message, &[id], &[op, written]));
        }
        mirror.executed = op;
        Ok(())
    }

    /// A life begins: from the checkpoint on the disk, if there is one.
    pub(super) fn opened(shadow: &Shadow, who: usize, actions: &[Action]) -> Result<(), Violation> {
        let mirror = &shadow.replicas[who];
        let restores = actions.iter().any(|action| matches!(action, Action::Restore(_)));
        if restores || mirror.disk.checkpointed() == Op::ZERO || shadow.is_witness(who) {
            return Ok(());
        }
        let (id, op) = (mirror.id, mirror.disk.checkpointed());
        let message = format!("{id:?} starts with a checkpoint after op {op}, but its service is not told");
        Err(Violation::safety(S2, message, &[id], &[op]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::stage::{CLUSTER, Stage, broken, chain, origin, run_of};
    use bytes::Bytes;
    use vr_core::{ClusterConfig, Predicted, ReplicaId, View, Write};

    fn stage() -> Stage {
        let mut config = ClusterConfig::of_size(CLUSTER, 3);
        config.checkpoint_interval = 4;
        let mut stage = Stage::with(config);
        stage.prepares(0, &[1, 2], &chain(origin(), View(0), 1..=9)).expect("legal");
        (0..3).try_for_each(|r| stage.commits(r, 9)).expect("legal");
        stage
    }

    fn checkpoint(stage: &Stage, op: u64, state: &'static str) -> Box<Checkpoint> {
        let entry = &stage.puppets[0].log[usize::try_from(op).expect("small") - 1];
        let head = Head { op: entry.op(), hash: entry.hash() };
        Box::new(Checkpoint::new(head, Predicted::default(), Bytes::new(), Bytes::from_static(state.as_bytes())))
    }

    fn takes(stage: &mut Stage, r: usize, op: u64, state: &'static str) -> Result<(), Violation> {
        let checkpoint = checkpoint(stage, op, state);
        stage.writes(r, Write::Checkpoint(checkpoint))
    }

    #[test]
    fn checkpoints_that_are_equal_and_at_the_same_ops_are_not_complained_about() {
        let mut stage = stage();
        for (r, op, state) in [(0, 4, "a"), (1, 4, "a"), (0, 8, "b"), (2, 8, "b")] {
            assert_eq!(broken(takes(&mut stage, r, op, state)), "nothing");
        }
        assert_eq!(broken(takes(&mut stage, 1, 8, "c")), S17, "another state");
    }

    #[test]
    fn a_checkpoint_at_another_op_or_of_what_nobody_committed_is_caught() {
        assert_eq!(broken(takes(&mut stage(), 0, 5, "a")), S17);
        let mut early = stage();
        early.appends(0, &chain(early.puppets[0].head(), View(0), 10..=12)).expect("legal");
        assert_eq!(broken(takes(&mut early, 0, 12, "a")), S17);
    }

    #[test]
    fn a_log_that_is_cut_before_its_checkpoint_is_durable_is_caught() {
        let mut stage = stage();
        takes(&mut stage, 0, 4, "a").expect("legal");
        let cut = || Write::Cut { through: Op(4) };
        assert_eq!(broken(stage.clone().writes(0, cut())), S18);
        stage.flush(0).expect("legal");
        assert_eq!(broken(stage.writes(0, cut())), "nothing");
        assert_eq!(broken(stage.writes(0, Write::Cut { through: Op(5) })), S18);
    }

    #[test]
    fn a_checkpoint_that_takes_the_place_of_a_later_one_is_caught() {
        let mut stage = stage();
        takes(&mut stage, 0, 8, "b").expect("legal");
        assert_eq!(broken(takes(&mut stage.clone(), 0, 4, "a")), S18);
        stage.flush(0).expect("legal");
        assert_eq!(broken(takes(&mut stage, 0, 4, "a")), S18);
    }

    #[test]
    fn a_witness_waits_for_others_only_while_it_lacks_what_too_few_have_in_a_checkpoint() {
        let mut config = ClusterConfig::of_size(CLUSTER, 5);
        (config.checkpoint_interval, config.witnesses) = (4, vec![ReplicaId(4)]);
        let mut stage = Stage::with(config);
        stage.prepares(0, &[1, 2], &chain(origin(), View(0), 1..=9)).expect("legal");
        (0..3).try_for_each(|r| stage.commits(r, 9)).expect("legal");
        let strands = |stage: &Stage, hub, r| Checkpoints::strands(&stage.checkers.shadow, &[hub, 3, 0, 1, 4], r);
        let entries = run_of(&stage.puppets[0].log[4..]);
        let install = Write::Install { checkpoint: checkpoint(&stage, 4, "a"), entries, view: View(0) };
        stage.writes(3, install).and_then(|()| stage.flush(3)).expect("legal");
        assert!(strands(&stage, 3, 4));
        assert!(!strands(&stage, 3, 1), "no witness");
        assert!(!strands(&stage, 0, 4), "another hub has all that it lacks");
        let mut has = stage.clone();
        has.appends(4, &chain(origin(), View(0), 1..=4)).and_then(|()| has.flush(4)).expect("legal");
        assert!(!strands(&has, 3, 4), "it lacks nothing");
        for r in [2, 1] {
            takes(&mut stage, r, 4, "a").and_then(|()| stage.flush(r)).expect("legal");
            assert!(strands(&stage, 3, 4), "who is not healed may be unheard");
        }
        takes(&mut stage, 0, 4, "a").and_then(|()| stage.flush(0)).expect("legal");
        assert!(!strands(&stage, 3, 4), "three of five, and two may fail: it may begin there");
    }

    #[test]
    fn a_service_that_is_taken_back_or_forgotten_at_a_start_is_caught() {
        let mut stage = stage();
        takes(&mut stage, 0, 4, "a").expect("legal");
        takes(&mut stage, 0, 8, "b").expect("legal");
        let restore = |stage: &Stage, op, state| Action::Restore(checkpoint(stage, op, state));
        let (old, new) = (restore(&stage, 4, "a"), restore(&stage, 8, "b"));
        assert_eq!(broken(stage.acts(0, &[old])), S2, "the one it has is another");
        assert_eq!(broken(stage.acts(0, &[new])), "nothing");
        stage.flush(0).expect("legal");
        stage.crash(0).expect("legal");
        assert_eq!(broken(stage.open(0)), S2, "it starts from the checkpoint and says nothing to its service");
    }
}
