//! Ends of runs that are as they must be, that are not, and that are excused.
//!
//! Owns snapshots made up for the purpose. PROTOCOL §4 L1 to L9.

use super::*;
use crate::check::stage::{Stage, broken, origin, run_of};
use crate::check::{Happening, Severity};
use vr_core::{Action, Beat, ClientId, Damage, Durability, Epoch, Event, Incarnation, Input, Log, Op, Session, Write};

/// A run at its end: who was healed, and what each replica shows.
struct Finish {
    stage: Stage,
    core: Vec<u16>,
    mesh: bool,
    seen: Vec<(Snapshot, Hash)>,
    unanswered: Vec<(ClientId, RequestNumber)>,
    settled: bool,
}

impl Finish {
    /// Everybody is well, in view 0 of r0.
    fn new(members: u16, durability: Durability) -> Self {
        let (stage, core) = (Stage::new(members, durability), (0..members).collect());
        let seen = (0..members).map(|id| (well(id), Hash(1))).collect();
        Self { stage, core, mesh: true, seen, unanswered: Vec::new(), settled: true }
    }

    fn heals(&mut self) {
        let core: Vec<ReplicaId> = self.core.iter().map(|id| ReplicaId(*id)).collect();
        self.stage.observe(&Happening::Healed { core: &core, mesh: self.mesh }).expect("nothing to judge yet");
    }

    /// Only the liveness of the end: what snapshots show is not what puppets did.
    fn judged(&self) -> &'static str {
        let (replicas, unanswered, settled) = (&self.seen[..], &self.unanswered[..], self.settled);
        let end = End { at: Time(1_000_000), replicas, unanswered, settled };
        let mut liveness = self.stage.checkers.liveness.clone();
        let verdict = liveness.judge(&self.stage.checkers.shadow, &end);
        assert!(verdict.as_ref().err().is_none_or(|violation| violation.severity == Severity::Liveness));
        broken(verdict)
    }

    fn all(&mut self, change: impl Fn(&mut Snapshot)) {
        self.seen.iter_mut().for_each(|(seen, _)| change(seen));
    }
}

fn well(id: u16) -> Snapshot {
    Snapshot {
        id: ReplicaId(id),
        incarnation: Incarnation(1),
        status: if id == 0 { StatusName::Primary } else { StatusName::Backup },
        epoch: Epoch(0),
        view: View(0),
        log_view: View(0),
        primary: ReplicaId(0),
        op: Op(7),
        durable: Op(7),
        commit: Op(7),
        executed: Op(7),
        wants_view_change: false,
        witness: false,
        base: Op(0),
        checkpoint: Op(0),
    }
}

fn healed(members: u16) -> Finish {
    let mut finish = Finish::new(members, Durability::Sync);
    finish.heals();
    finish
}

#[test]
fn a_group_that_came_to_rest_is_not_complained_about() {
    assert_eq!(healed(3).judged(), "nothing");
    let mut never_healed = Finish::new(3, Durability::Sync);
    never_healed.settled = false;
    assert_eq!(never_healed.judged(), "nothing", "nothing is owed before the faults end");
}

#[test]
fn what_is_not_in_one_view_not_recovered_not_answered_or_not_equal_is_caught() {
    let judged = |harm: &dyn Fn(&mut Finish)| {
        let mut finish = healed(3);
        harm(&mut finish);
        finish.judged()
    };
    assert_eq!(judged(&|f| f.seen[2].0.status = StatusName::Recovering), L3);
    assert_eq!(judged(&|f| f.seen[2].0.status = StatusName::ViewChange), L1);
    assert_eq!(judged(&|f| f.seen[1].0.view = View(3)), L1);
    assert_eq!(judged(&|f| f.seen[0].0.wants_view_change = true), L1, "it abdicated");
    assert_eq!(judged(&|f| f.unanswered.push((ClientId(5), RequestNumber(3)))), L2);
    assert_eq!(judged(&|f| f.seen[2].0.executed = Op(6)), L6);
    assert_eq!(judged(&|f| f.all(|seen| seen.op = Op(8))), L6, "op 8 is never committed");
    assert_eq!(judged(&|f| f.seen[1].1 = Hash(2)), L6);
    assert_eq!(judged(&|f| f.settled = false), L6);
    assert_eq!(judged(&|f| f.stage.checkers.liveness.entered(View(500))), L5);
    assert_eq!(judged(&|f| f.stage.checkers.liveness.called()), L9);
}

#[test]
fn replicas_that_were_not_healed_are_owed_nothing() {
    let mut finish = Finish::new(5, Durability::Sync);
    finish.core = vec![4, 0, 2];
    finish.heals();
    finish.seen[1].0.status = StatusName::ViewChange;
    finish.seen.remove(3);
    assert_eq!(finish.judged(), "nothing");
}

#[test]
fn a_healed_replica_whose_disk_fails_is_owed_nothing_and_too_few_excuse_all() {
    let mut finish = healed(3);
    let fails = |finish: &mut Finish, r: usize| {
        finish.stage.step(r, Input::WriteFailed, &[Action::Halt(HaltReason::WriteFailed)]).expect("excused");
        finish.seen.retain(|(seen, _)| seen.id != Stage::id(r));
        finish.unanswered = vec![(ClientId(5), RequestNumber(3))];
    };
    fails(&mut finish, 2);
    assert_eq!(finish.judged(), L2, "two of three can serve");
    fails(&mut finish, 1);
    assert_eq!(finish.judged(), "nothing");
}

#[test]
fn a_healed_replica_that_loses_its_memory_after_the_heal_is_not_counted_on() {
    for (durability, expected) in [(Durability::Async, "nothing"), (Durability::Sync, L2)] {
        let mut finish = Finish::new(3, durability);
        finish.core = vec![2, 0];
        finish.heals();
        finish.stage.crash(2).expect("legal");
        finish.stage.open(2).expect("legal");
        finish.unanswered = vec![(ClientId(5), RequestNumber(3))];
        assert_eq!(finish.judged(), expected, "{durability:?}");
    }
}

#[test]
fn those_who_have_their_memory_must_be_a_quorum_of_the_healed() {
    for (core, expected) in [(&[0, 2][..], "nothing"), (&[0, 1, 2], L3)] {
        let mut finish = Finish::new(3, Durability::Async);
        finish.stage.crash(0).expect("legal");
        finish.stage.open(0).expect("legal");
        finish.core = core.to_vec();
        finish.heals();
        finish.seen[0].0.status = StatusName::Recovering;
        assert_eq!(finish.judged(), expected, "{core:?}");
    }
}

#[test]
fn more_than_f_memories_lost_at_once_void_liveness_in_the_asynchronous_mode_only() {
    for (durability, crashes, expected) in [
        (Durability::Async, &[1usize, 2][..], "nothing"),
        (Durability::Async, &[1], L2),
        (Durability::Sync, &[1, 2], L2),
    ] {
        let mut finish = Finish::new(3, durability);
        for r in crashes {
            finish.stage.crash(*r).expect("legal");
            finish.stage.open(*r).expect("legal");
        }
        finish.heals();
        finish.unanswered = vec![(ClientId(5), RequestNumber(3))];
        assert_eq!(finish.judged(), expected, "{durability:?} {crashes:?}");
    }
}

#[test]
fn in_a_star_the_hub_is_served_and_whoever_has_a_link_to_its_primary() {
    let star = |members: u16, core: Vec<u16>, leader: u16| {
        let mut finish = Finish::new(members, Durability::Sync);
        (finish.core, finish.mesh) = (core, false);
        finish.heals();
        finish.all(|seen| {
            let leads = seen.id == ReplicaId(leader);
            seen.status = if leads { StatusName::Primary } else { StatusName::Backup };
            (seen.primary, seen.view) = (ReplicaId(leader), View(leader.into()));
        });
        finish
    };
    assert_eq!(star(5, vec![2, 0, 1, 3, 4], 2).judged(), "nothing");
    assert_eq!(star(5, vec![2, 0, 1, 3, 4], 1).judged(), L1, "r1 reaches two of five");
    let mut three = star(3, vec![1, 0, 2], 0);
    three.seen[2].0.status = StatusName::ViewChange;
    three.settled = false;
    assert_eq!(three.judged(), "nothing", "r0 and the hub are a quorum; r2 cannot hear r0");
    three.seen[2].0.status = StatusName::Recovering;
    assert_eq!(three.judged(), "nothing");
    three.seen[1].0.executed = Op(6);
    assert_eq!(three.judged(), L6, "the hub can");
}

/// A star around r0, which comes back with a log of which it lost op 1, and perhaps with it where the log ended. The
/// others have everything, and r1 leads them if it is asked to.
fn star_around_a_damaged_hub(is_end_lost: bool, leads: bool) -> Finish {
    let mut finish = Finish::new(3, Durability::Sync);
    let stage = &mut finish.stage;
    stage.runs(0, &[1, 2], 1..=2).expect("legal");
    stage.crash(0).expect("legal");
    stage.changes_view(1, &[1, 2]).expect("legal");
    if !leads {
        stage.enters(1, 2).and_then(|()| stage.enters(2, 2)).expect("legal");
    }
    finish.mesh = false;
    finish.heals();
    let (stage, mut behind) = (&mut finish.stage, Log::new(origin()));
    behind.append(run_of(&stage.puppets[0].log));
    behind.cut(Op(1));
    let disk = &mut stage.puppets[0].disk;
    disk.log.truncate(Op(0));
    let pieces = Damage { from: Op(1), pieces: vec![behind], is_end_certain: true };
    disk.damage = Some(if is_end_lost { Damage::of_end(Op(1)) } else { pieces });
    stage.open(0).expect("legal");
    finish.all(|seen| {
        seen.status = if seen.id.0 == 0 { StatusName::Recovering } else { StatusName::ViewChange };
        (seen.view, seen.primary) = if leads { (View(1), ReplicaId(1)) } else { (View(2), ReplicaId(2)) };
    });
    finish
}

#[test]
fn a_star_waits_for_its_hub_only_if_nobody_can_give_the_hub_what_it_lost() {
    let judged = |is_end_lost, leads| star_around_a_damaged_hub(is_end_lost, leads).judged();
    assert_eq!(judged(true, false), "nothing", "the leaves cannot hear each other, and the hub does not vote");
    assert_eq!(judged(false, false), L3, "the leaves have op 1, and the hub knows its name");
    assert_eq!(judged(true, true), L3, "r1 leads, and the hub hears it");
    let mut promised = star_around_a_damaged_hub(true, true);
    promised.stage.writes(0, Write::View(View(3))).and_then(|()| promised.stage.flush(0)).expect("legal");
    assert_eq!(promised.judged(), "nothing", "r1 leads a view that the hub promised to leave behind");
    let mut mesh = star_around_a_damaged_hub(true, false);
    mesh.core.rotate_left(1);
    mesh.heals();
    assert_ne!(mesh.judged(), "nothing", "the hub has its memory, and a leaf has not");
    mesh.mesh = true;
    mesh.heals();
    assert_ne!(mesh.judged(), "nothing", "in a mesh the two others are enough");
}

#[test]
fn whoever_is_led_from_outside_is_excused_only_if_the_outsider_hears_a_quorum() {
    let mut finish = Finish::new(3, Durability::Sync);
    finish.core = vec![1, 2];
    finish.heals();
    assert_eq!(finish.judged(), L1, "r0 leads, but is not healed");
    let Action::Send { message, .. } = finish.stage.message(1, View(0), Body::CommitOk { beat: Beat(1) }) else {
        panic!("a message")
    };
    let event = Event { at: Time(1), input: Input::Message(message) };
    let heard = Happening::Stepped { on: ReplicaId(0), event: &event, actions: &[] };
    finish.stage.checkers.observe(Time(900_000), &heard).expect("legal");
    assert_eq!(finish.judged(), "nothing");
}

#[test]
fn a_halt_without_a_failed_write_is_a_safety_violation() {
    for reason in [
        HaltReason::WriteFailed,
        HaltReason::ContradictsExecuted { op: Op(3) },
        HaltReason::ContradictsLog { op: Op(3) },
        HaltReason::CommittedBeyondLog { commit: Op(4), op: Op(3) },
    ] {
        let Err(violation) = Stage::new(3, Durability::Sync).acts(1, &[Action::Halt(reason)]) else {
            panic!("{reason:?} is no excuse")
        };
        assert_eq!((violation.property, violation.severity), (HALT, Severity::Safety));
    }
    let mut stage = Stage::new(3, Durability::Sync);
    assert_eq!(broken(stage.step(1, Input::WriteFailed, &[Action::Halt(HaltReason::WriteFailed)])), "nothing");
}

#[test]
fn a_primary_that_does_not_notice_that_its_view_is_over_is_caught() {
    let mut stage = Stage::new(3, Durability::Sync);
    stage.changes_view(1, &[1, 2]).expect("legal");
    let mut beat = || stage.says(0, Body::Commit { commit: Op(0), head: origin(), beat: Beat(1) });
    for _ in 0..HEARTBEATS {
        beat().expect("it may be slow to notice");
    }
    assert_eq!(broken(beat()), L4);
    stage.writes(0, Write::View(View(4))).expect("legal");
}

#[test]
fn the_end_is_judged_with_everything_else() {
    let mut finish = healed(3);
    finish.all(|seen| {
        (seen.op, seen.durable, seen.commit, seen.executed) = (Op(0), Op(0), Op(0), Op(0));
    });
    let (client, session, number) = (ClientId(5), Session(1), RequestNumber(1));
    let calls = Happening::Invoked { client, session, number, body: b"ka" };
    finish.stage.observe(&calls).expect("legal");
    finish.stage.observe(&Happening::GaveUp { client }).expect("legal");
    let (seen, unanswered) = (finish.seen.clone(), [(client, number)]);
    let ended = |unanswered| Happening::Ended { replicas: &seen, unanswered, settled: true };
    assert_eq!(broken(finish.stage.observe(&ended(&[]))), "nothing");
    assert_eq!(broken(finish.stage.observe(&ended(&unanswered))), L2);
}
