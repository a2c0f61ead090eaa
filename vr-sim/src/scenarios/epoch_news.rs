//! Reconfiguration: who hears of it, and when; PROTOCOL §2 I, D91, D94, D95; VRR §7.
//!
//! Owns one story per rule, as `epochs`, of which these are the continuation: news that comes at an awkward moment. Must not
//! know other sections.

use super::epochs::{begin, story};
use crate::scenario::Role::{All, P, R, R0, R1, R2, R3, R4};
use crate::scenario::{SYNC, Scenario, ScenarioInfo, Verdict};
use vr_core::MessageKind::{
    CheckpointPart, Commit, DoViewChange, EpochStarted, GetCheckpoint, NewEpoch, NewState, Prepare, StartEpoch,
    StartView,
};
use vr_core::{Epoch, Note, Reject, ReplicaId, StatusName, Wait};

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    ScenarioInfo {
        replicas: 5,
        ..story(
            "d91-silent-when-it-is-over",
            "A replica between views hears that its epoch was ended in a later view than its own: it does not say so in a view \
             in which another log is chosen.",
            ("partition, view changes, loss of DoViewChange, a full disk", "S1 agreement, S8 commit kept"),
            silent_when_it_is_over,
        )
    },
    story(
        "d99-asked-of-one-who-is-behind",
        "The primary of the first epoch stands still while two epochs begin, and is asked for the second one again before it \
         hears of any: it does not refuse what has taken effect.",
        ("pause of the primary, view change", "S22 reply truth"),
        asked_of_one_who_is_behind,
    ),
    story(
        "d94-whoever-tells-is-asked",
        "All are replaced, and the one who told the new ones first crashes for good: they ask those who tell them later.",
        ("loss of CheckpointPart, crash of the primary", "L7 reconfigured"),
        whoever_tells_is_asked,
    ),
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "d93-counted-when-it-is-on-the-disk",
            "The only member of a group has what its epoch begins with, but not on its disk: it does not count itself.",
            ("a disk that stands still", "S9 ack durability"),
            counted_when_it_is_on_the_disk,
        )
    },
    story(
        "d93-a-later-epoch-will-do",
        "A replica that was replaced misses that the next group is complete, and the next epoch begins: it goes quiet.",
        ("loss of EpochStarted", "L7 reconfigured"),
        later_epoch_will_do,
    ),
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "d94-all-who-told-are-asked",
            "Two groups are replaced one after the other, and one of those who know what the second epoch begins with tells the \
             new one again and again, but hears nothing: the other, who told it once, is asked.",
            ("one-way cut, loss of GetCheckpoint and StartEpoch", "L7 reconfigured"),
            all_who_told_are_asked,
        )
    },
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "d93-one-member-answers",
            "A group of one takes over: those who are replaced hear that it has what its epoch begins with.",
            ("none", "L7 reconfigured"),
            one_member_answers,
        )
    },
    story(
        "d95-news-is-passed-on",
        "A replica that is far behind is the only one who is told of the next epoch: it tells the one who has the end of theirs.",
        ("partition, loss of Commit and StartEpoch, crash of the primary", "L7 reconfigured"),
        news_is_passed_on,
    ),
];

/// r0 has the end of the epoch from view 0, which r4 has, too; r1 leads view 1 without it, and view 6 almost; r0, r2 and r3
/// end the epoch in view 7. r4 hears that while it is in view 6.
fn asked_of_one_who_is_behind(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.stand_still(R0);
    t.isolate(R0);
    t.elect_as(1, &[1, 2])?;
    t.reconfigure(R1, 1, 0, &[1, 2, 3, 0]);
    t.expect_epoch(1, &[1, 2, 3])?;
    t.reconfigure(R1, 2, 1, &[1, 2, 3]);
    t.expect_epoch(2, &[1, 2, 3])?;
    t.go_on(R0);
    t.reconfigure(R0, 2, 1, &[1, 2, 3]);
    t.run(Wait::millis(1))?;
    t.expect(t.operator_s_refusal() == Some(Reject::Busy), "r0 not to judge what it cannot know")?;
    t.heal();
    t.expect_retired(&[0])
}

fn silent_when_it_is_over(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.put(1, 2, "y").expect_answered()?;
    t.run(t.heartbeat())?;
    let last = t.commit(R0)?;
    for far in [R1, R2, R3] {
        t.cut(R0, far);
        t.cut(R4, far);
    }
    t.reconfigure(R0, 1, 0, &[0, 2, 3]);
    t.run(Wait::millis(5))?;
    t.cut(R0, R4);
    // View 1: nobody but its primary gets its log.
    for kind in [StartView, Prepare, NewState] {
        t.lose(kind, R1, All);
    }
    t.depose(&[1, 2, 3])?;
    t.wait_until(t.heartbeat().times(2), "r1 to lead", |world| {
        world.snapshot(1).is_some_and(|s| s.status == StatusName::Primary)
    })?;
    t.put_at(R1, 1, 9, "other").expect_pending_for(Wait::millis(5))?;
    t.expect(t.world.snapshot(1).is_some_and(|s| s.op == last.next()), "r1 to have logged it")?;
    // View 6, which r1 leads, too: it has two reports, its own and that of r2.
    for who in 0..5 {
        t.lose(DoViewChange, R(who), All);
    }
    t.cut(R3, All);
    t.mend(R4, R1);
    t.mend(R4, R2);
    while t.depose(&[1, 2, 4])?.number() < 6 {}
    t.pass(DoViewChange, R2, All);
    t.run(t.heartbeat().times(3))?;
    // View 7.
    t.cut(R2, R1);
    t.cut(R2, R4);
    for (a, b) in [(R0, R2), (R0, R3), (R2, R3)] {
        t.mend(a, b);
    }
    t.pass(DoViewChange, R0, All);
    t.pass(DoViewChange, R3, All);
    t.elect(&[0, 2, 3])?;
    t.expect_epoch(1, &[0, 2, 3])?;
    let six = |world: &crate::world::World<_>, at: usize| world.snapshot(at).is_some_and(|s| s.view.0 == 6);
    t.expect(six(&t.world, 1) && six(&t.world, 4), "r1 and r4 in view 6")?;
    t.fill_disk(R4);
    t.mend(R0, R4);
    t.wait_until(t.heartbeat().times(8), "r4 to know what is committed", |world| {
        world.snapshot(4).is_some_and(|s| s.commit > last)
    })?;
    t.expect(t.commit(R4)? == last.next(), "it to be the end of the epoch")?;
    t.pass(DoViewChange, R4, All);
    t.run(t.heartbeat().times(4))?;
    t.expect(t.world.snapshot(1).is_some_and(|s| s.commit == last), "r1 to have committed nothing")?;
    t.make_room(R4);
    t.heal();
    t.expect_epoch(1, &[0, 2, 3])?;
    t.expect_retired(&[1, 4])
}

fn whoever_tells_is_asked(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.lose(CheckpointPart, R0, All);
    t.reconfigure(R0, 1, 0, &[3, 4, 5]);
    for new in [3, 4, 5] {
        let bound = t.heartbeat().times(4);
        t.wait_until(bound, &format!("r{new} to hear of it from r0"), |world| {
            let told = |note: &Note| matches!(note, Note::LearnedEpoch { from: ReplicaId(0), .. });
            world.notes().iter().any(|(who, note)| *who == new && told(note))
        })?;
    }
    t.crash(R0);
    t.expect_epoch(1, &[3, 4, 5])
}

fn counted_when_it_is_on_the_disk(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.stick_disk(R3);
    t.reconfigure(R0, 1, 0, &[3]);
    t.run(t.heartbeat().times(8))?;
    let began = |note: &Note| matches!(note, Note::EpochBegan { .. });
    t.expect_note(R3, "that it is in the new epoch", began)?;
    t.expect_no_note(All, "that the epoch is settled", |note| matches!(note, Note::EpochSettled { .. }))?;
    t.free_disk(R3);
    t.expect_epoch(1, &[3])?;
    t.run(t.heartbeat().times(8))?;
    t.expect_note(R3, "that the epoch is settled", |note| matches!(note, Note::EpochSettled { .. }))
}

fn later_epoch_will_do(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.lose(EpochStarted, All, R0);
    t.reconfigure(R0, 1, 0, &[3, 4]);
    t.expect_epoch(1, &[3, 4])?;
    t.reconfigure(P, 2, 1, &[4, 5]);
    t.expect_epoch(2, &[4, 5])?;
    t.pass(EpochStarted, All, R0);
    t.run(t.heartbeat().times(20))?;
    t.expect_note(R0, "that epoch 1 is settled", |note| matches!(note, Note::EpochSettled { epoch: Epoch(1) }))
}

fn all_who_told_are_asked(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.reconfigure(R0, 1, 0, &[3, 4]);
    t.expect_epoch(1, &[3, 4])?;
    t.lose(GetCheckpoint, R(5), R4);
    t.lose(NewEpoch, R(5), All);
    t.cut_way(R(5), R3);
    t.reconfigure(P, 2, 1, &[5]);
    t.run(t.heartbeat().times(4))?;
    let told = |note: &Note| matches!(note, Note::LearnedEpoch { epoch: Epoch(2), .. });
    t.expect_note(R(5), "that there is an epoch 2", told)?;
    t.lose(StartEpoch, R4, All);
    t.run(t.heartbeat().times(16))?;
    t.pass(GetCheckpoint, R(5), R4);
    t.expect_epoch(2, &[5])
}

fn one_member_answers(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.reconfigure(R0, 1, 0, &[3]);
    t.expect_epoch(1, &[3])?;
    t.run(t.heartbeat().times(8))?;
    t.expect_note(R0, "that the epoch is settled", |note| matches!(note, Note::EpochSettled { .. }))
}

fn news_is_passed_on(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.isolate(R1);
    for number in 0..60 {
        t.append(0, 2, if number % 2 == 0 { "a" } else { "b" }).expect_answered()?;
    }
    let behind = t.world.snapshot(1).map(|s| s.op);
    t.expect(t.world.snapshot(2).map(|s| s.base) > behind, "r1 to be far behind")?;
    t.lose(Commit, R0, R2);
    t.lose(StartEpoch, R0, All);
    t.lose(NewEpoch, R0, All);
    t.lose(CheckpointPart, R0, All);
    t.reconfigure(R0, 1, 0, &[1, 2, 3]);
    let bound = t.heartbeat();
    t.wait_until(bound, "r0 in the new epoch", |world| world.snapshot(0).is_some_and(|s| s.epoch == Epoch(1)))?;
    t.cut(R0, All);
    t.mend(R0, R1);
    t.pass(StartEpoch, R0, All);
    let bound = t.heartbeat().times(8);
    t.wait_until(bound, "r1 to hear of it", |world| {
        world.notes().iter().any(|(who, note)| *who == 1 && matches!(note, Note::LearnedEpoch { .. }))
    })?;
    t.crash(R0);
    t.heal();
    t.expect_epoch(1, &[1, 2, 3])
}
