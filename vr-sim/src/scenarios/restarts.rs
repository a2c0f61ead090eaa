//! Promises across restarts, and the disk: PROTOCOL §2 D as far as the synchronous mode is concerned, and E.
//!
//! Owns one story per defect: it passes because of one rule, and with that rule broken it fails. Recovery without a disk
//! is in `recovery`. Must not know other sections.

use crate::scenario::Role::{All, R0, R1, R2};
use crate::scenario::{BOTH, SYNC, Scenario, ScenarioInfo, Verdict, plain};
use vr_core::MessageKind::{DoViewChange, Prepare, PrepareOk, StartView};
use vr_core::{Durability, EnterCause, Note, Op, StatusName, View, Wait};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: SYNC, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    ScenarioInfo {
        modes: BOTH,
        ..story(
            "d40-forgotten-view",
            "A replica crashes after it has reported for a view: it does not come back into an earlier one.",
            ("hold of DoViewChange, crash and restart", "S5 durable header, S10 promise kept"),
            forgotten_view,
        )
    },
    story(
        "d42-cut-off-tail",
        "A replica whose log was replaced by a shorter one crashes: what was cut off does not come back.",
        ("isolation with entries of its own, crash after StartView", "S4 crash image, S6 log match"),
        cut_off_tail,
    ),
    story(
        "d43-ack-before-the-log-of-the-view",
        "The log of the new view is on its way to a slow disk: nothing is acknowledged in that view before it is there.",
        ("slow disk, hold of StartView", "S11 ack backed"),
        ack_before_the_log_of_the_view,
    ),
    story(
        "d44-report-before-the-disk",
        "A backup with an entry on its way to a slow disk enters a view: it reports what is on the disk, and late.",
        ("slow disk, crash of the primary", "S11 ack backed, S11 report monotone"),
        report_before_the_disk,
    ),
    story(
        "d52-primary-comes-back",
        "A primary sends an entry, crashes before its own sync and comes back at once: it leads another view, if any.",
        ("slow disk, crash and instant restart of the primary", "S7 one start, S6 log match"),
        primary_comes_back,
    ),
    story(
        "d53-own-ack-before-the-sync",
        "One backup has the entry, the primary's own copy is on its way to the disk: that is no quorum.",
        ("slow disk of the primary, loss of Prepare", "S12 commit justified"),
        own_ack_before_the_sync,
    ),
    story(
        "d54-ack-before-the-sync",
        "A backup's copy is on its way to the disk: it acknowledges when it is there.",
        ("slow disk of a backup, crash of the other", "S11 ack backed"),
        ack_before_the_sync,
    ),
    story(
        "d55-failed-sync",
        "A sync fails: the replica stops at once, acknowledges nothing, and comes back with what its disk has.",
        ("write error", "S11 ack backed, S24 no unexcused halt"),
        failed_sync,
    ),
    ScenarioInfo {
        modes: BOTH,
        ..story(
            "d41-crash-while-installing",
            "A replica crashes while the log of a view is on its way to its disk: it has the old log and the old claim, or \
             the new ones.",
            ("crash between StartView and its sync", "S4 crash image, S8 leader completeness"),
            crash_while_installing,
        )
    },
];

/// D40. C's report for view 1 is in B's hand when C crashes. C comes back, and A, which never left view 0, wants to go on.
fn forgotten_view(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.hold(DoViewChange, R2, R1);
    t.depose(&[1, 2])?;
    t.run_ms(5)?;
    t.crash(R2);
    t.expect(t.world.disk(2).view == View(1), "the disk of r2 to know of view 1")?;
    t.restart(R2);
    t.heal();
    t.hold(DoViewChange, R2, R1);
    t.run_ms(300)?;
    t.put_at(R0, 0, 1, "x").expect_pending_for(Wait::millis(5))?;
    t.release(DoViewChange, R2, R1)?;
    t.settle()?;
    t.expect_value(All, 1, Some("x"))
}

/// D42. C has s1 and s2 of view 0, which nobody else ever had; view 1 starts without them.
fn cut_off_tail(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R1);
    t.hold(PrepareOk, R2, R0);
    t.stick_disk(R0);
    t.put(0, 1, "s1").unwatched();
    t.put(1, 1, "s2").unwatched();
    t.run_ms(10)?;
    t.crash(R0);
    t.free_disk(R0);
    t.expect(t.world.disk(2).log.op() == Op(4), "s1 and s2 on the disk of r2")?;
    t.isolate(R2);
    t.restart(R0);
    t.join(&[0, 1], View(1))?;
    t.heal();
    t.join(&[0, 1, 2], View(1))?;
    t.run_ms(5)?;
    t.crash(R2);
    t.expect(t.world.disk(2).log.op() == Op(2), "s1 and s2 to be gone from the disk of r2")?;
    t.restart(R2);
    t.run_ms(100)?;
    t.expect_op(R2, Op(2))
}

/// D43. C installs the log of view 1 in memory; the disk still says view 0.
fn ack_before_the_log_of_the_view(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R0);
    t.hold(StartView, R1, R2);
    t.depose(&[1, 2])?;
    t.run_ms(10)?;
    t.slow_disk(R2, 100);
    t.release(StartView, R1, R2)?;
    t.run_ms(5)?;
    t.expect_status(R2, StatusName::Backup)?;
    t.put_at(R1, 0, 1, "y").expect_pending()?;
    t.expect_answered(0).map(drop)
}

/// D44. The report waits for every write before it: x, half a second, then view 1, as long.
fn report_before_the_disk(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.slow_disk(R2, 1_000);
    t.hold(DoViewChange, R2, R1);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.isolate(R0);
    t.depose(&[1, 2])?;
    t.run_ms(10)?;
    t.expect(t.held(DoViewChange, R2, R1).is_empty(), "no report of r2 yet")?;
    t.expect(t.world.disk(2).log.op() == Op(1), "x not to be on the disk of r2 yet")?;
    let bound = Wait::millis(2_000);
    t.wait_until(bound, "a report of r2", |w| w.held().iter().any(|m| m.message.body.kind() == DoViewChange))?;
    t.expect(t.world.disk(2).log.op() == Op(2), "x to be on the disk of r2")?;
    t.free_disk(R2);
    t.release(DoViewChange, R2, R1)?;
    t.settle_among(&[1, 2])?;
    t.expect_value(R1, 1, Some("x"))
}

/// D52. B has x of view 0 at op 2. If A, without x, went on in view 0, y could take its place.
fn primary_comes_back(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.hold(PrepareOk, R1, R0);
    t.stick_disk(R0);
    t.put(0, 1, "x").expect_pending()?;
    t.crash(R0);
    t.free_disk(R0);
    t.restart(R0);
    t.expect_note(R0, "that it leaves its view", |n| {
        matches!(n, Note::EnteredView { cause: EnterCause::Restart, .. })
    })?;
    t.put_at(R0, 1, 2, "y").expect_refused()?;
    t.release(PrepareOk, R1, R0)?;
    t.settle()?;
    t.expect_value(All, 1, Some("x"))?;
    t.expect_value(All, 2, Some("y"))
}

/// D53. If A counted itself, and crashed now, B alone would have x.
fn own_ack_before_the_sync(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.slow_disk(R0, 100);
    t.put(0, 1, "x").expect_pending()?;
    t.expect_commit(R0, Op(1))?;
    t.expect_answered(0).map(drop)
}

/// D54. A and B are all there is; B's disk takes 50 ms.
fn ack_before_the_sync(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R2);
    t.slow_disk(R1, 100);
    t.put(0, 1, "x").expect_pending()?;
    t.expect_op(R1, Op(2))?;
    t.expect(t.world.disk(1).log.op() == Op(1), "x not to be on the disk of r1 yet")?;
    t.expect_answered(0).map(drop)
}

/// D55. B's sync of x fails.
fn failed_sync(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R2);
    t.world.fail_next_sync(1);
    t.put(0, 1, "x").expect_pending()?;
    t.expect(t.world.snapshot(1).is_none(), "r1 to have stopped")?;
    t.expect_commit(R0, Op(1))?;
    t.restart(R1);
    t.settle_among(&[0, 1])?;
    t.expect_value(R1, 1, Some("x"))
}

/// D41. Whichever it is, x, which A and B committed, survives.
fn crash_while_installing(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R2);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.isolate(R0);
    t.hold(StartView, R1, R2);
    t.depose(&[1, 2])?;
    t.run_ms(10)?;
    t.stick_disk(R2);
    t.release(StartView, R1, R2)?;
    t.run_ms(3)?;
    t.expect_op(R2, Op(2))?;
    t.crash(R2);
    t.free_disk(R2);
    let stored = t.world.disk(2);
    let old = (stored.log_view, stored.log.op()) == (View(0), Op(1));
    t.expect(old, "the old log and the old claim on the disk of r2")?;
    t.isolate(R1);
    t.restart(R2);
    t.mend(R0, R2);
    if t.world.setup().durability == Durability::Sync {
        t.settle_among(&[0, 2])?;
        t.expect_value(R2, 1, Some("x"))?;
    }
    Ok(())
}
