//! Reads under a lease: PROTOCOL 1.8, D83 to D87.
//!
//! Owns one story per defect: it passes because of the rule named in it, and with the rule broken it fails; and those that show
//! what a lease is good for. No clock jumps in any of them: a view is left when patience is lost. Must not know other sections.

use super::epochs::begin;
use super::reads::{expect_found, story};
use crate::scenario::Role::{All, Backups, P, R0, R1, R2, R3};
use crate::scenario::{Role, SYNC, Scenario, ScenarioInfo, Verdict};
use crate::setup::Setup;
use vr_core::MessageKind::{Commit, CommitOk, StartView, StartViewChange};
use vr_core::{EnterCause, Lease, Note, StatusName, View, Wait};

/// A lease lasts so many heartbeats.
const LENGTH: u64 = 6;

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    leased(
        "read-under-a-lease",
        "A primary whose heartbeats were answered of late is not answered any more: it answers a read all the same, until the \
         lease is over.",
        ("loss of CommitOk", "S21 fresh read, S21 lease exclusivity"),
        read_under_a_lease,
    ),
    leased(
        "lease-of-a-primary-cut-off",
        "A primary is cut off: it answers reads while its lease lasts, then none, and only then another one begins.",
        ("isolation of the primary", "S21 fresh read, S21 lease exclusivity"),
        primary_cut_off,
    ),
    leased(
        "hand-over-waits-for-no-lease",
        "A primary with a lease gives way: the next one leads at once, as whoever hears that it has left owes it nothing.",
        ("none", "S21 lease exclusivity"),
        hand_over_at_once,
    ),
    leased(
        "d83-counted-from-when-it-was-asked",
        "The answers to a heartbeat arrive long after the others began another view: the primary holds no lease by them.",
        ("CommitOk held for long, isolation of the primary", "S21 fresh read"),
        late_answers,
    ),
    ScenarioInfo {
        tune: at_the_bound,
        ..leased(
            "d83-clocks-at-their-bound",
            "The clock of the primary is as slow as it may be, those of the others as fast: its lease is over when they begin \
             another view.",
            ("drift of clocks, isolation of the primary", "S21 lease exclusivity"),
            clocks_at_their_bound,
        )
    },
    leased(
        "d84-report-waits",
        "A vote of long ago makes another backup enter the next view: whoever voted has heard its primary since, and reports \
         when its promise is over.",
        ("StartViewChange held for long, partition", "S21 fresh read"),
        report_waits,
    ),
    leased(
        "d85-told-too-late",
        "A primary stands still right after it has looked at its clock, is replaced, and asked: by that look it holds a lease. \
         It reads, looks again, and asks a quorum.",
        ("pause and isolation of the primary", "S21 fresh read"),
        told_too_late,
    ),
    leased(
        "d85-promise-from-an-old-look",
        "A backup stands still right after it has looked at its clock, and answers a heartbeat that came meanwhile: its promise \
         is as long as any.",
        ("pause of a backup, partition", "S21 fresh read"),
        promise_from_an_old_look,
    ),
    ScenarioInfo {
        modes: SYNC,
        ..leased(
            "d86-promise-of-an-earlier-life",
            "A backup crashes right after it has promised something, and is back at once: it keeps that promise.",
            ("crash, StartViewChange held for long, partition", "S21 fresh read"),
            promise_of_an_earlier_life,
        )
    },
    ScenarioInfo {
        tune: with_three_more,
        ..leased(
            "d87-lease-ends-with-its-epoch",
            "All are replaced, and the new ones go on while the service of the old primary is busy: it has no lease any more.",
            ("a slow service, partition", "S21 fresh read"),
            lease_ends_with_its_epoch,
        )
    },
];

const fn leased(
    name: &'static str,
    what: &'static str,
    stakes: (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { tune: six_beats, ..story(name, what, stakes, play) }
}

/// Patience is the same for all, and longer than a lease; who hears nobody leads on for long.
fn six_beats(setup: &mut Setup) {
    setup.lease = Some(Lease { length: setup.heartbeat.times(LENGTH), drift_ppm: 1000 });
    (setup.view_change, setup.abdicate) = ((8, 8), 60);
}

/// A lease lasts as long as patience, and clocks run as badly as they may.
fn at_the_bound(setup: &mut Setup) {
    six_beats(setup);
    setup.lease = Some(Lease { length: setup.heartbeat.times(8), drift_ppm: 100_000 });
}

fn with_three_more(setup: &mut Setup) {
    six_beats(setup);
    setup.spares = 3;
}

/// Somebody has written a value, and the primary holds a lease.
fn hold_lease(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.put(0, 1, "old").expect_answered()?;
    t.run(t.heartbeat().times(2))
}

/// These lead on in a later view, by themselves.
fn wait_for_a_later_view(t: &mut Scenario, who: [Role; 2]) -> Verdict {
    let [one, other] = who.map(|role| t.at(role));
    t.wait_until(t.heartbeat().times(40), "another view to begin", |world| {
        let normal = |at| {
            let normal = |s: &vr_core::Snapshot| matches!(s.status, StatusName::Primary | StatusName::Backup);
            world.snapshot(at).filter(normal).map_or(View::ZERO, |s| s.view)
        };
        normal(one) > View::ZERO && normal(one) == normal(other)
    })
}

/// Whether they have begun a view or not, this is written if they have; and the one before answers by what it knows.
fn write_and_read_old(t: &mut Scenario) -> Verdict {
    t.put_at(R1, 0, 1, "new").unwatched();
    t.run_ms(10)?;
    t.expect_status(R0, StatusName::Primary)?;
    let read = t.read_at(R0, 1, 1).expect_answered_within(Wait::millis(5))?;
    expect_found(t, &read, "old")?;
    t.expect_waiting(0)?;
    t.heal();
    t.expect_answered(0)?;
    let read = t.read_at(P, 1, 1).expect_answered()?;
    expect_found(t, &read, "new")
}

fn read_under_a_lease(t: &mut Scenario) -> Verdict {
    hold_lease(t)?;
    t.lose(CommitOk, All, R0);
    t.run(t.heartbeat().times(2))?;
    let read = t.read_at(R0, 1, 1).expect_answered_within(Wait::millis(5))?;
    expect_found(t, &read, "old")?;
    t.run(t.heartbeat().times(LENGTH))?;
    t.read_at(R0, 1, 1).expect_pending()?;
    t.pass(CommitOk, All, R0);
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "old")
}

fn primary_cut_off(t: &mut Scenario) -> Verdict {
    hold_lease(t)?;
    t.isolate(R0);
    let read = t.read_at(R0, 1, 1).expect_answered_within(Wait::millis(5))?;
    expect_found(t, &read, "old")?;
    wait_for_a_later_view(t, [R1, R2])?;
    t.put_at(R1, 0, 1, "new").expect_answered()?;
    t.expect_status(R0, StatusName::Primary)?;
    t.read_at(R0, 1, 1).expect_pending()?;
    t.heal();
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "new")
}

fn hand_over_at_once(t: &mut Scenario) -> Verdict {
    hold_lease(t)?;
    t.give_way(0, 1);
    t.run(t.heartbeat())?;
    t.expect_status(R1, StatusName::Primary)?;
    let gave_way = |note: &Note| matches!(note, Note::EnteredView { cause: EnterCause::HandOver, .. });
    t.expect_note(R0, "to give way", gave_way)?;
    let read = t.read_at(R1, 1, 1).expect_answered()?;
    expect_found(t, &read, "old")
}

/// D83. They answered while they were still in the view.
fn late_answers(t: &mut Scenario) -> Verdict {
    hold_lease(t)?;
    t.hold(CommitOk, All, R0);
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    wait_for_a_later_view(t, [R1, R2])?;
    t.put_at(R1, 0, 1, "new").expect_answered()?;
    t.release(CommitOk, All, R0)?;
    t.run_ms(1)?;
    t.expect_status(R0, StatusName::Primary)?;
    t.read_at(R0, 1, 1).expect_pending()?;
    t.heal();
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "new")
}

/// D83. The last heartbeat is that with the write, which both hear at the same time.
fn clocks_at_their_bound(t: &mut Scenario) -> Verdict {
    t.drift(R0, -100_000);
    t.drift(Role::Others(0), 100_000);
    hold_lease(t)?;
    t.lose(Commit, R0, All);
    t.put(0, 1, "newer").expect_answered()?;
    t.isolate(R0);
    wait_for_a_later_view(t, [R1, R2])?;
    t.expect_status(R0, StatusName::Primary)?;
    t.read_at(R0, 1, 1).expect_pending_for(Wait::millis(5))?;
    t.heal();
    t.pass(Commit, R0, All);
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "newer")
}

/// R1 and r2 want to leave, and r1 has yet to hear that of r2, who hears the primary again.
fn vote_of_long_ago(t: &mut Scenario) -> Verdict {
    hold_lease(t)?;
    t.lose(Commit, R0, Backups);
    t.lose(StartView, R0, All);
    t.hold(StartViewChange, R2, R1);
    t.run(t.heartbeat().times(11))?;
    t.pass(Commit, R0, R2);
    t.run(t.heartbeat().times(2))
}

/// The vote comes: r1 enters the next view, and r2 with it.
fn expect_next_view(t: &mut Scenario) -> Verdict {
    t.release(StartViewChange, R2, R1)?;
    t.run_ms(10)?;
    t.expect_view(R1, 1)?;
    t.expect_view(R2, 1)
}

/// D84.
fn report_waits(t: &mut Scenario) -> Verdict {
    vote_of_long_ago(t)?;
    t.deafen(R0);
    expect_next_view(t)?;
    write_and_read_old(t)
}

/// D86. R2 comes back and hears nothing more of r0.
fn promise_of_an_earlier_life(t: &mut Scenario) -> Verdict {
    vote_of_long_ago(t)?;
    t.isolate(R0);
    t.crash(R2);
    t.restart(R2);
    t.run_ms(5)?;
    expect_next_view(t)?;
    write_and_read_old(t)
}

/// D85. What r0 is asked waits until it goes on.
fn told_too_late(t: &mut Scenario) -> Verdict {
    hold_lease(t)?;
    t.isolate(R0);
    t.stand_still(R0);
    wait_for_a_later_view(t, [R1, R2])?;
    t.put_at(R1, 0, 1, "new").expect_answered()?;
    t.read_at(R0, 1, 1).expect_pending_for(Wait::millis(5))?;
    t.go_on(R0);
    t.run_ms(5)?;
    t.expect_waiting(1)?;
    t.heal();
    let read = t.expect_answered(1)?;
    expect_found(t, &read, "new")
}

/// D85. R1 hears nothing of r0; r2 answers it after the pause, and then hears nothing either.
fn promise_from_an_old_look(t: &mut Scenario) -> Verdict {
    hold_lease(t)?;
    t.cut_way(R0, R1);
    t.stand_still(R2);
    t.run(t.heartbeat().times(LENGTH))?;
    t.go_on(R2);
    t.run_ms(5)?;
    t.isolate(R0);
    t.run(Wait(t.heartbeat().0 * 7 / 2))?;
    t.expect_view(R1, 1)?;
    t.expect_view(R2, 1)?;
    write_and_read_old(t)
}

/// D87. R0 has committed the end of its epoch and not executed it; it tells the others and does not hear them.
fn lease_ends_with_its_epoch(t: &mut Scenario) -> Verdict {
    begin(t)?;
    t.run(t.heartbeat().times(2))?;
    t.keep_busy(R0, t.heartbeat().times(4));
    t.reconfigure(R0, 1, 0, &[3, 4, 5]);
    t.run_ms(6)?;
    t.deafen(R0);
    t.expect_epoch(1, &[3, 4, 5])?;
    t.put_at(R3, 0, 1, "new").expect_answered()?;
    t.expect_status(R0, StatusName::Primary)?;
    t.read_at(R0, 1, 1).expect_pending_for(Wait::millis(200))?;
    t.heal();
    t.expect_epoch(1, &[3, 4, 5])
}
