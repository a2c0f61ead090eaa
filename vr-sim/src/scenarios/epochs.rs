//! Reconfiguration: PROTOCOL §2 I, D87 to D99, D104; VRR §7.
//!
//! Owns one story per rule: it passes because of that rule, and with the rule broken it fails. Must not know other
//! sections. r3 and those after it wait to be added unless a story has more members.

use crate::scenario::Role::{All, P, R, R0, R1, R2, R3, R4};
use crate::scenario::{BOTH, SYNC, Scenario, ScenarioInfo, Verdict};
use crate::setup::Setup;
use vr_core::MessageKind::{CheckpointPart, Commit, NewEpoch, PrepareOk, StartEpoch};
use vr_core::{BadGroup, Epoch, Note, Op, Reject, ReplicaId, StatusName, Wait};

pub(super) const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: BOTH, tune: spare, play }
}

pub(super) fn spare(setup: &mut Setup) {
    setup.spares = 3;
}

fn one_at_a_time(setup: &mut Setup) {
    spare(setup);
    setup.batching.pipeline = 1;
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "epoch-three-to-five",
        "Two replicas are added: they get everything that was done before, and then two may fail.",
        ("crash of two", "S20 epoch prefix, S25 config sanity, L7 reconfigured"),
        three_to_five,
    ),
    ScenarioInfo {
        replicas: 5,
        ..story(
            "epoch-five-to-three",
            "Two replicas are taken out, the primary among them: they retire, and stay so when they are started again.",
            ("restart of the replaced", "S13 silence, L7 reconfigured"),
            five_to_three,
        )
    },
    story(
        "epoch-one-by-one",
        "All replicas are replaced, one after the other: what the first ones were told is there in the end.",
        ("none", "S20 epoch prefix, L7 reconfigured"),
        one_by_one,
    ),
    story(
        "epoch-primary-crashes",
        "The primary crashes as soon as it is in the new epoch, before anybody hears of it: the others end theirs, too.",
        ("loss of StartEpoch, crash of the primary", "S20 epoch prefix, L7 reconfigured"),
        primary_crashes,
    ),
    story(
        "epoch-newcomers-cut-off",
        "The added replicas are out of reach at first: the new group waits for them where it needs them.",
        ("partition of the added", "L7 reconfigured"),
        newcomers_cut_off,
    ),
    story(
        "epoch-late-newcomer",
        "An added replica comes when nobody has what the epoch began with any more: a later checkpoint will do, and does not \
         make it normal in a view.",
        ("partition of the added, restart of it", "S7 view prefix, S20 epoch prefix, L7 reconfigured"),
        late_newcomer,
    ),
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "epoch-restarts-in-the-middle",
            "Every replica crashes at the moment at which it begins the epoch, and is started again.",
            ("crash of everybody, one by one", "S5 promise monotone, S20 epoch prefix, L7 reconfigured"),
            restarts_in_the_middle,
        )
    },
    story(
        "epoch-restart-of-the-primary",
        "The primary crashes at the moment at which it begins the epoch, and is started again.",
        ("crash of the primary", "S5 promise monotone, S20 epoch prefix, L7 reconfigured"),
        restart_of_the_primary,
    ),
    story(
        "epoch-full-disk",
        "The disk of a backup has no room for the checkpoint that ends its epoch: it follows when there is room.",
        ("a full disk", "S25 room on disk, L7 reconfigured"),
        full_disk,
    ),
    story(
        "epoch-that-cannot-be",
        "The operator asks for groups that cannot follow, and is told why.",
        ("none", "S25 config sanity"),
        groups_that_cannot_be,
    ),
    story(
        "d87-read-at-the-end",
        "A read waits for a quorum when its epoch ends: the old epoch does not answer it any more.",
        ("PrepareOk held, loss of Commit", "S21 fresh read"),
        read_at_the_end,
    ),
    story(
        "d87-read-of-an-ended-epoch",
        "All are replaced and the new ones go on, while two of the old ones, cut off, have yet to end their epoch: a read \
         that waits for that there is not answered.",
        ("partition, PrepareOk held, view change", "S21 fresh read"),
        read_of_an_ended_epoch,
    ),
    story(
        "d88-last-of-its-epoch",
        "A reconfiguration is not committed yet: nothing is taken behind it, by the next primary neither.",
        ("loss of PrepareOk, view change", "S20 epoch prefix"),
        last_of_its_epoch,
    ),
    ScenarioInfo {
        tune: one_at_a_time,
        ..story(
            "d104-last-of-its-batch",
            "A reconfiguration waits for its turn: nothing waits behind it.",
            ("PrepareOk held", "S20 epoch prefix"),
            last_of_its_batch,
        )
    },
    ScenarioInfo {
        replicas: 5,
        ..story(
            "d89-old-group-commits",
            "Two of five ask for a group of three: two of these three are no quorum of the five.",
            ("partition", "S12 commit justified"),
            old_group_commits,
        )
    },
    story(
        "d90-nobody-without-the-base",
        "All are replaced, and what the epoch begins with does not come: the new ones say nothing in it.",
        ("loss of CheckpointPart", "S7 one start, S20 epoch prefix"),
        nobody_without_the_base,
    ),
    story(
        "d93-started-when-it-is-here",
        "What the epoch begins with does not come to the added one: it does not say that it has it.",
        ("loss of CheckpointPart", "S11 ack backed"),
        started_when_it_is_here,
    ),
    story(
        "d94-told-until-they-answer",
        "All are replaced, and the first words to the new ones are lost: they are told again.",
        ("loss of StartEpoch", "L7 reconfigured"),
        told_until_they_answer,
    ),
    story(
        "d95-base-from-the-replaced",
        "All are replaced at once: those who go give the new ones what they need.",
        ("none", "L7 reconfigured"),
        base_from_the_replaced,
    ),
    story(
        "d98-asleep-over-two-epochs",
        "A replica is cut off while two epochs begin, and nobody calls it any more: it finds its way by asking.",
        ("isolation of a backup", "L7 reconfigured, S20 epoch prefix"),
        asleep_over_two_epochs,
    ),
    story(
        "d99-asked-again",
        "The operator asks for the same again after it was done: the answer is the same, and nothing happens.",
        ("none", "S22 reply truth"),
        asked_again,
    ),
];

pub(super) fn begin(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.open_operator()?;
    t.put(0, 1, "x").expect_answered().map(drop)
}

fn expect_all_values(t: &mut Scenario, members: &[usize]) -> Verdict {
    t.put(0, 2, "y").expect_answered()?;
    t.run(t.heartbeat().times(4))?;
    for at in members {
        t.expect_value(R(*at), 1, Some("x"))?;
        t.expect_value(R(*at), 2, Some("y"))?;
    }
    Ok(())
}

fn three_to_five(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.expect_status(R3, StatusName::Transitioning)?;
    t.reconfigure(P, 1, 0, &[0, 1, 2, 3, 4]);
    t.expect_epoch(1, &[0, 1, 2, 3, 4])?;
    t.expect(t.operator_s_answer(1)?.result[..] == 1u64.to_le_bytes(), "the operator to be told the epoch")?;
    expect_all_values(t, &[0, 1, 2, 3, 4])?;
    let primary = t.at(P);
    t.crash(R(primary));
    t.crash(R((primary + 1) % 5));
    t.put_at(R((primary + 2) % 5), 0, 3, "z").expect_answered()?;
    Ok(())
}

fn five_to_three(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.reconfigure(P, 1, 0, &[2, 3, 4]);
    t.expect_epoch(1, &[2, 3, 4])?;
    expect_all_values(t, &[2, 3, 4])?;
    t.expect_retired(&[0, 1])?;
    for who in [R0, R1] {
        t.crash(who);
        t.restart(who);
        t.run(t.heartbeat())?;
        t.expect_status(who, StatusName::Retired)?;
    }
    Ok(())
}

fn one_by_one(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.reconfigure(P, 1, 0, &[3, 1, 2]);
    t.expect_epoch(1, &[3, 1, 2])?;
    t.reconfigure(P, 2, 1, &[3, 4, 2]);
    t.expect_epoch(2, &[3, 4, 2])?;
    t.reconfigure(P, 3, 2, &[3, 4, 5]);
    t.expect_epoch(3, &[3, 4, 5])?;
    expect_all_values(t, &[3, 4, 5])?;
    t.expect_retired(&[0, 1, 2])
}

fn primary_crashes(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.lose(StartEpoch, R0, All);
    t.reconfigure(R0, 1, 0, &[0, 1, 2, 3]);
    let bound = t.heartbeat();
    t.wait_until(bound, "r0 in the new epoch", |world| world.snapshot(0).is_some_and(|s| s.epoch == Epoch(1)))?;
    t.crash(R0);
    t.expect_epoch(1, &[1, 2, 3])?;
    expect_all_values(t, &[1, 2, 3])
}

fn newcomers_cut_off(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.cut(R3, All);
    t.cut(R4, All);
    t.reconfigure(P, 1, 0, &[0, 1, 2, 3, 4]);
    t.expect_epoch(1, &[0, 1, 2])?;
    t.put(0, 2, "y").expect_answered()?;
    t.crash(R2);
    t.run(t.heartbeat().times(4))?;
    t.expect_status(R3, StatusName::Transitioning)?;
    t.heal();
    t.expect_epoch(1, &[0, 1, 3, 4])?;
    expect_all_values(t, &[0, 1, 3, 4])
}

fn late_newcomer(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.cut(R3, All);
    t.reconfigure(P, 1, 0, &[0, 1, 2, 3]);
    t.expect_epoch(1, &[0, 1, 2])?;
    for number in 0..40 {
        t.append(0, 2, if number % 2 == 0 { "a" } else { "b" }).expect_answered()?;
    }
    t.expect_note(
        All,
        "a checkpoint beyond the base",
        |note| matches!(note, Note::CheckpointDurable { op } if *op > Op(16)),
    )?;
    t.heal();
    t.expect_epoch(1, &[0, 1, 2, 3])?;
    t.expect_note(
        R3,
        "a view change before it is normal",
        |note| matches!(note, Note::EnteredView { view, .. } if view.epoch() == Epoch(1)),
    )?;
    t.run(t.heartbeat().times(4))?;
    t.expect_value(R3, 1, Some("x"))?;
    t.crash(R3);
    t.restart(R3);
    t.expect_epoch(1, &[0, 1, 2, 3])
}

fn restarts_in_the_middle(t: &mut Scenario) -> Verdict {
    crash_as_they_begin(t, &[0, 1, 2, 3])
}

fn restart_of_the_primary(t: &mut Scenario) -> Verdict {
    crash_as_they_begin(t, &[0])
}

fn crash_as_they_begin(t: &mut Scenario, who: &[usize]) -> Verdict {
    begin(t)?;
    t.reconfigure(P, 1, 0, &[0, 1, 3]);
    for at in who.iter().copied() {
        let began = |note: &Note| matches!(note, Note::EpochBegan { .. });
        let bound = t.world.setup().liveness_bound();
        t.wait_until(bound, &format!("r{at} in the new epoch"), |world| {
            world.notes().iter().any(|(who, note)| *who == at && began(note))
        })?;
        t.crash(R(at));
        t.restart(R(at));
    }
    t.expect_epoch(1, &[0, 1, 3])?;
    t.expect_retired(&[2])?;
    expect_all_values(t, &[0, 1, 3])
}

fn full_disk(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.lose(Commit, All, R2);
    t.hold(StartEpoch, All, R2);
    t.reconfigure(P, 1, 0, &[0, 1, 2, 3]);
    t.expect_epoch(1, &[0, 1, 3])?;
    t.fill_disk(R2);
    t.release(StartEpoch, All, R2)?;
    t.pass(Commit, All, R2);
    t.run(t.heartbeat().times(4))?;
    t.expect(t.world.snapshot(2).is_some_and(|s| s.epoch == Epoch(0)), "r2 in the old epoch")?;
    t.fill_disk(R2);
    t.make_room(R2);
    t.expect_epoch(1, &[0, 1, 2, 3])?;
    expect_all_values(t, &[0, 1, 2, 3])
}

fn groups_that_cannot_be(t: &mut Scenario) -> Verdict {
    begin(t)?;
    let too_many: Vec<u16> = (0..65).collect();
    let group = Reject::Reconfiguration;
    let cases: [(u64, &[u16], Reject); 6] = [
        (1, &[0, 1, 3], Reject::Busy),
        (0, &[], group(BadGroup::MemberCount)),
        (0, &too_many, group(BadGroup::MemberCount)),
        (0, &[0, 1, 3, 1], group(BadGroup::Duplicate(ReplicaId(1)))),
        (0, &[0, 1, 2], group(BadGroup::NoChange)),
        (0, &[65_535], group(BadGroup::Unreadable)),
    ];
    for (number, (epoch, members, why)) in (1..).zip(cases) {
        t.reconfigure(P, number, epoch, members);
        t.run(Wait::millis(5))?;
        t.expect(t.operator_s_refusal() == Some(why), format!("{why:?}"))?;
    }
    t.reconfigure(P, 9, 0, &[1, 2, 4]);
    t.expect_epoch(1, &[1, 2, 4])?;
    let after = [(0, BadGroup::WrongEpoch { is: Epoch(1) }), (1, BadGroup::UsedBefore(ReplicaId(0)))];
    (10..).zip(after).try_for_each(|(number, (epoch, why))| {
        t.reconfigure(P, number, epoch, &[1, 2, 0]);
        t.run(Wait::millis(5))?;
        t.expect(t.operator_s_refusal() == Some(group(why)), format!("{why:?}"))
    })
}

fn read_at_the_end(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.hold(PrepareOk, All, R0);
    t.reconfigure(R0, 1, 0, &[0, 1, 3]);
    t.run(Wait::millis(5))?;
    t.lose(Commit, R0, All);
    t.read_at(R0, 0, 1).expect_pending_for(Wait::millis(2))?;
    t.release(PrepareOk, All, R0)?;
    t.run(Wait::millis(10))?;
    t.expect(matches!(t.last_refusal(0), Some(Reject::NotPrimary { .. })), "the read to be refused at the end")?;
    t.pass(Commit, R0, All);
    t.expect_epoch(1, &[0, 1, 3])
}

/// A commits the last entry of the epoch and hands over to D, E and F; B and C have the entry and do not know.
fn read_of_an_ended_epoch(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.lose(Commit, R0, All);
    t.lose(NewEpoch, R0, All);
    t.reconfigure(R0, 1, 0, &[3, 4, 5]);
    t.expect_epoch(1, &[3, 4, 5])?;
    for (old, new) in [(R1, R0), (R1, R3), (R1, R4), (R1, R(5)), (R2, R0), (R2, R3), (R2, R4), (R2, R(5))] {
        t.cut(old, new);
    }
    t.put_at(R3, 0, 1, "newer").expect_answered()?;
    t.hold(PrepareOk, R2, R1);
    t.elect_as(1, &[1, 2])?;
    t.read_at(R1, 1, 1).expect_pending()?;
    t.read_here(R2, 0, 1).expect_pending()?;
    t.release(PrepareOk, R2, R1)?;
    t.run(Wait::millis(10))?;
    t.expect(matches!(t.last_refusal(1), Some(Reject::NotPrimary { .. })), "the read to be refused")?;
    t.heal();
    t.expect_epoch(1, &[3, 4, 5])
}

fn last_of_its_epoch(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.lose(PrepareOk, All, R0);
    t.reconfigure(R0, 1, 0, &[0, 1, 2, 3]);
    t.run(Wait::millis(5))?;
    let refusal = t.put_at(R0, 0, 2, "late").expect_refused()?;
    t.expect(refusal == Reject::Busy, "nothing to be taken behind it")?;
    t.reconfigure(R0, 2, 0, &[0, 1, 3]);
    t.run(Wait::millis(5))?;
    t.expect(t.operator_s_refusal() == Some(Reject::Busy), "a second one to be refused for now")?;
    t.lose(PrepareOk, All, R1);
    t.isolate(R0);
    t.elect_as(1, &[1, 2])?;
    let refusal = t.put_at(R1, 1, 3, "late").expect_refused()?;
    t.expect(refusal == Reject::Busy, "the next primary to take nothing behind it")?;
    t.heal();
    t.pass(PrepareOk, All, R0);
    t.pass(PrepareOk, All, R1);
    t.expect_epoch(1, &[0, 1, 2, 3])
}

fn last_of_its_batch(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.open_operator()?;
    t.hold(PrepareOk, All, R0);
    t.put_at(R0, 0, 1, "x").expect_pending_for(Wait::millis(2))?;
    t.reconfigure(R0, 1, 0, &[0, 1, 2, 3]);
    t.run(Wait::millis(2))?;
    t.put_at(R0, 1, 2, "late").unwatched();
    t.run(Wait::millis(2))?;
    t.release(PrepareOk, All, R0)?;
    t.expect_epoch(1, &[0, 1, 2, 3])
}

fn old_group_commits(t: &mut Scenario) -> Verdict {
    begin(t)?;
    let before = t.commit(R0)?;
    for far in [R2, R3, R4] {
        t.cut(R0, far);
        t.cut(R1, far);
    }
    t.reconfigure(R0, 1, 0, &[0, 1, 2]);
    t.run(Wait::millis(20))?;
    t.expect(t.commit(R0)? == before, "nothing to be committed by two of five")?;
    t.heal();
    t.expect_epoch(1, &[0, 1, 2])
}

fn nobody_without_the_base(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.lose(CheckpointPart, All, All);
    t.reconfigure(P, 1, 0, &[3, 4, 5]);
    t.run(t.heartbeat().times(40))?;
    for who in [R3, R4, R(5)] {
        t.expect_status(who, StatusName::Transitioning)?;
    }
    t.pass(CheckpointPart, All, All);
    t.expect_epoch(1, &[3, 4, 5])?;
    expect_all_values(t, &[3, 4, 5])
}

fn started_when_it_is_here(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.lose(CheckpointPart, All, R3);
    t.reconfigure(P, 1, 0, &[0, 3]);
    t.run(t.heartbeat().times(4))?;
    t.expect_no_note(All, "that the epoch is settled", |note| matches!(note, Note::EpochSettled { .. }))?;
    t.pass(CheckpointPart, All, R3);
    t.expect_epoch(1, &[0, 3])
}

fn told_until_they_answer(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.lose(StartEpoch, All, All);
    t.reconfigure(P, 1, 0, &[3, 4, 5]);
    t.run(t.heartbeat())?;
    t.pass(StartEpoch, All, All);
    Ok(())
}

fn base_from_the_replaced(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.reconfigure(P, 1, 0, &[3, 4, 5]);
    Ok(())
}

fn asleep_over_two_epochs(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.isolate(R2);
    t.reconfigure(P, 1, 0, &[0, 1, 2, 3]);
    t.expect_epoch(1, &[0, 1, 3])?;
    t.reconfigure(P, 2, 1, &[1, 2, 3, 4]);
    t.expect_epoch(2, &[1, 3, 4])?;
    expect_all_values(t, &[1, 3, 4])?;
    t.expect_note(
        R1,
        "that the epoch is settled",
        |note| matches!(note, Note::EpochSettled { epoch } if *epoch == Epoch(2)),
    )
}

fn asked_again(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.reconfigure(R0, 1, 0, &[0, 1, 3]);
    t.expect_epoch(1, &[0, 1, 3])?;
    let first = t.operator_s_answer(1)?;
    t.reconfigure(R0, 1, 0, &[0, 1, 3]);
    t.run(Wait::millis(5))?;
    let again = t.operator_s_answer(1)?;
    t.expect(again.duplicate && (again.op, again.result) == (first.op, first.result), "the same answer again")?;
    t.run(t.heartbeat().times(4))?;
    t.expect(t.world.snapshot(0).is_some_and(|s| s.epoch == Epoch(1)), "one epoch to have begun")
}
