//! Pages and parts that come too late, from elsewhere, or do not fit what was gathered: PROTOCOL §2 C and F.
//!
//! Owns one story per way in which they are put aside: what is gathered is given up only for something better, and what
//! arrives in the end is the true log. Must not know other sections.

use super::checkpoints::{every_four, leave_behind, work};
use crate::scenario::Role::{All, R0, R1, R2};
use crate::scenario::{ASYNC, BOTH, SYNC, Scenario, ScenarioInfo, Verdict};
use crate::world::HeldMessage;
use vr_core::MessageKind::{CheckpointPart, NewState, Prepare, RecoveryResponse};
use vr_core::{
    Body, Entries, Entry, Hash, Head, Ignored, MessageKind, NewState as Page, Note, Op, Predicted, StatusName, Tail,
    View,
};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: BOTH, tune: every_four, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "pages-of-another-log",
        "A replica that fetches the log of its view is given pages that do not continue what they say, are of another log, \
         or lead to another end: it keeps asking, and takes the true log.",
        ("isolation, forged NewState", "S7 view prefix, S6 log match"),
        pages_of_another_log,
    ),
    story(
        "page-for-the-next-primary",
        "Whoever is to lead fetches the log that it chose, and is given a page of another one: it waits for the one it chose.",
        ("isolation, crash, forged NewState", "S8 best log"),
        page_for_the_next_primary,
    ),
    ScenarioInfo {
        modes: ASYNC,
        ..story(
            "memory-of-an-earlier-view",
            "A recovering replica gathers the log of view 1 when the answer of the primary of view 0 arrives: it goes on with \
             view 1.",
            ("crash, long hold of RecoveryResponse", "S10 justified recovery, S5 promise monotone"),
            answer_of_an_earlier_view,
        )
    },
    story(
        "checkpoint-not-needed",
        "What a backup missed arrives late but before the checkpoint that was to take its place: the log it has is kept.",
        ("long holds of Prepare and CheckpointPart", "S18 cut behind a checkpoint, expectation: nothing is installed"),
        checkpoint_not_needed,
    ),
    ScenarioInfo {
        modes: SYNC,
        ..story(
            "checkpoint-on-its-way-to-the-disk",
            "A backup has a checkpoint in memory and not yet on its disk: it acknowledges nothing until it is there.",
            ("isolation, a disk that is stuck", "S11 ack backed"),
            checkpoint_on_its_way,
        )
    },
    story(
        "d65-part-of-another-checkpoint",
        "The second part that arrives says that it is of a checkpoint with another digest: nothing is joined, and the whole \
         is fetched anew.",
        ("isolation, forged CheckpointPart", "S17 checkpoint equality"),
        part_of_another_checkpoint,
    ),
];

/// The last message of this kind that is in hand for r2.
fn in_hand(t: &Scenario, kind: MessageKind) -> Verdict<HeldMessage> {
    let held = t.held(kind, All, R2);
    let last = held.last().map(|at| t.world.held()[*at].clone());
    last.map_or_else(|| t.disappoint(format!("a {} in hand", kind.name())), Ok)
}

/// A page in hand for r2, and what it says.
fn page_in_hand(t: &Scenario) -> Verdict<(HeldMessage, Page)> {
    let held = in_hand(t, NewState)?;
    let Body::NewState(page) = &held.message.body else { return t.disappoint("a page in hand") };
    let page = Page::clone(page);
    Ok((held, page))
}

/// The page comes with this instead, and brings nothing about.
fn tells(t: &mut Scenario, base: Head, entries: Entries, head: Head) -> Verdict {
    let (mut lie, page) = page_in_hand(t)?;
    lie.message.body = Body::NewState(Box::new(Page { tail: Tail { base, entries, head }, ..page }));
    t.world.inject(lie);
    t.run_ms(3)?;
    t.expect_status(R2, StatusName::ViewChange)
}

/// Entries that nobody made, so many, after this head.
fn made_up(t: &Scenario, after: Head, count: u64, what: &'static str) -> Verdict<Entries> {
    let log = &t.world.disk(0).log;
    let Some(pattern) = log.entry(log.op()) else { return t.disappoint("an entry on the disk of r0") };
    let (mut head, mut entries) = (after, Vec::new());
    for _ in 0..count {
        let mut request = pattern.request();
        request.body = what.into();
        request.predicted = Predicted { wall_ns: head.op.0, seed: 0 };
        let entry = Entry::new(pattern.epoch(), View::ZERO, head.op.next(), head.hash, request);
        head = Head { op: entry.op(), hash: entry.hash() };
        entries.push(entry);
    }
    Entries::new(entries).or_else(|_| t.disappoint("a chain"))
}

const fn elsewhere(head: Head) -> Head {
    Head { op: head.op, hash: Hash(head.hash.0 ^ 1) }
}

/// r2 fetches the log of the view that the others began while it was away.
fn pages_of_another_log(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.elect(&[0, 1])?;
    t.heal();
    t.hold(NewState, All, R2);
    t.run(t.heartbeat().times(2))?;
    t.expect_status(R2, StatusName::ViewChange)?;
    let (ours, truth) = (t.world.disk(2).log.head(), page_in_hand(t)?.1.tail);
    let length = ours.op.distance_to(truth.head.op);
    tells(t, elsewhere(truth.base), truth.entries.clone(), truth.head)?;
    tells(t, elsewhere(ours), Entries::empty(), truth.head)?;
    tells(t, ours, made_up(t, ours, length, "another end")?, truth.head)?;
    tells(t, ours, made_up(t, ours, 2, "one")?, truth.head)?;
    tells(t, ours, made_up(t, ours, 4, "other")?, truth.head)?;
    t.expect_op(R2, ours.op)?;
    t.hold(CheckpointPart, All, R2);
    let (last, _) = page_in_hand(t)?;
    t.world.inject(last);
    t.run_ms(3)?;
    tells(t, elsewhere(ours), Entries::empty(), truth.head)?;
    t.heal();
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}

/// r2 chose the log of r1, which it does not have.
fn page_for_the_next_primary(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.crash(R0);
    t.mend(R1, R2);
    t.hold(NewState, All, R2);
    while t.depose(&[1, 2])?.0 % 3 != 2 {}
    t.run_ms(20)?;
    let truth = page_in_hand(t)?.1.tail;
    tells(t, elsewhere(truth.base), Entries::empty(), elsewhere(truth.head))?;
    t.heal();
    t.restart(R0);
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}

fn answer_of_an_earlier_view(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.crash(R2);
    t.heal();
    t.hold(RecoveryResponse, R0, R2);
    t.hold(CheckpointPart, All, R2);
    t.restart(R2);
    t.run_ms(20)?;
    in_hand(t, RecoveryResponse)?;
    t.elect_as(1, &[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.expect(!t.held(CheckpointPart, All, R2).is_empty(), "r2 to have asked for the checkpoint of view 1")?;
    t.release(RecoveryResponse, R0, R2)?;
    t.run_ms(5)?;
    t.expect_status(R2, StatusName::Recovering)?;
    t.release(CheckpointPart, All, R2)?;
    t.heal();
    t.settle()?;
    t.expect_note(
        R2,
        "its memory of view 1 to be back",
        |n| matches!(n, Note::Recovered { view, .. } if *view >= View(1)),
    )
}

fn checkpoint_not_needed(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.hold(Prepare, R0, R2);
    t.hold(CheckpointPart, All, R2);
    work(t, 14)?;
    t.run(t.heartbeat().times(2))?;
    let place = in_hand(t, CheckpointPart)?;
    t.release(Prepare, R0, R2)?;
    t.run_ms(5)?;
    t.expect(t.op(R2)? >= Op(15), "r2 to have what it missed")?;
    t.world.inject(place);
    t.heal();
    t.settle()?;
    t.expect_no_note(R2, "a checkpoint to be installed", |n| matches!(n, Note::CheckpointInstalled { .. }))
}

fn checkpoint_on_its_way(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.hold(CheckpointPart, All, R2);
    t.mend(R0, R2);
    t.run(t.heartbeat().times(2))?;
    t.stick_disk(R2);
    t.pass(CheckpointPart, All, R2);
    t.release(CheckpointPart, All, R2)?;
    t.run(t.heartbeat())?;
    t.expect_note(R2, "a checkpoint to be installed", |n| matches!(n, Note::CheckpointInstalled { .. }))?;
    t.cut(R1, R0);
    t.put(0, 1, "x").expect_pending()?;
    t.run(t.heartbeat().times(2))?;
    t.free_disk(R2);
    t.expect_answered(0)?;
    t.heal();
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}

fn part_of_another_checkpoint(t: &mut Scenario) -> Verdict {
    leave_behind(t)?;
    t.hold(CheckpointPart, All, R2);
    t.mend(R0, R2);
    t.run(t.heartbeat().times(2))?;
    t.release_copies(CheckpointPart, All, R2)?;
    t.run_ms(10)?;
    let mut lie = in_hand(t, CheckpointPart)?;
    let Body::CheckpointPart(part) = &mut lie.message.body else { return t.disappoint("a part in hand") };
    let is_second = part.offset > 0;
    part.digest = Hash(part.digest.0 ^ 1);
    t.expect(is_second, "the second part in hand")?;
    t.forget(CheckpointPart, All, R2);
    t.pass(CheckpointPart, All, R2);
    t.world.inject(lie);
    t.run_ms(1)?;
    let malformed = |n: &Note| matches!(n, Note::Ignored { why: Ignored::Malformed, .. });
    t.expect(t.count_notes(R2, malformed) == 1, "the part to be called malformed")?;
    t.heal();
    t.settle()?;
    t.expect_note(R2, "a checkpoint to be installed", |n| matches!(n, Note::CheckpointInstalled { .. }))
}
