//! View change, what must happen in time: PROTOCOL §2 B as far as it is about liveness, and the gate of DESIGN §10.
//!
//! Owns one story per defect: it passes because of one rule, and with that rule broken it fails. Must not know other
//! sections.

use crate::scenario::Role::{All, Others, R, R0, R1, R2, R3, R4};
use crate::scenario::{BOTH, Outsider, Scenario, ScenarioInfo, Shape, Verdict, plain};
use crate::setup::Setup;
use vr_core::MessageKind::{DoViewChange, NewState, StartView, StartViewChange};
use vr_core::{Note, StatusName, View, Wait};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    replicas: u16,
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas, modes: BOTH, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "d13-early-report",
        "A report is the first that a replica hears of the view it is to lead: it opens that view.",
        ("crash of the primary, loss of StartViewChange on one link", "L1 one view"),
        3,
        early_report,
    ),
    story(
        "d20-lost-start-view",
        "A StartView is lost: who asks is told again, without another view.",
        ("crash of the primary, loss of StartView", "L1 one view"),
        3,
        lost_start_view,
    ),
    story(
        "d22-lost-reports",
        "All that is said at a view change is lost once: it is said again.",
        ("crash of the primary, loss of DoViewChange", "L1 one view"),
        3,
        lost_reports,
    ),
    story(
        "d23-primary-to-be",
        "The replica that is to lead cannot reach enough others, and is needed to leave its view: it gives up like anybody.",
        ("star", "L1 one view"),
        5,
        primary_to_be,
    ),
    story(
        "d24-patience",
        "For a minute no view can start: each rotation of failed views is waited for longer, so that they are few.",
        ("crash of the primary, loss of all reports for a minute", "L5 no storm"),
        3,
        patience,
    ),
    ScenarioInfo {
        tune: slow_network,
        ..story(
            "d24-slow-network",
            "A view change takes several times as long as anybody's patience at first: in the end one holds.",
            ("latency beyond the view-change timeout, crash of the primary", "L1 one view, L5 no storm"),
            3,
            slow_view_change,
        )
    },
    ScenarioInfo {
        tune: far_apart,
        ..story(
            "d24-straggler",
            "Who lacks entries is late in every view, and hears votes of those who are normal in it by then: one view holds.",
            ("latency beyond the view-change timeout, crash of the primary, loss of NewState", "L1 one view"),
            7,
            straggler,
        )
    },
    story(
        "d25-deaf-backup",
        "A replica that hears nobody, and is heard, never disturbs a group that works.",
        ("all links into a backup cut", "L1 one view, L5 no storm"),
        3,
        deaf_backup,
    ),
    story(
        "d26-deaf-primary",
        "A primary that hears nobody, and is heard, gives up: the others elect one that works.",
        ("all links into the primary cut, to the end", "L1 one view, L4 abdication"),
        3,
        deaf_primary,
    ),
    story(
        "d29-old-votes",
        "Backups lose patience one after the other, seconds apart, and find it again: their votes do not add up.",
        ("one-way cut, short outages", "L5 no storm"),
        5,
        old_votes,
    ),
];

/// D13. C has B's vote and enters view 1; none of its votes reaches B any more, but its report does.
fn early_report(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R0);
    t.lose_patience(&[2]);
    let bound = Wait::millis(2_000);
    t.wait_until(bound, "r1 to lose patience", |w| w.snapshot(1).is_some_and(|s| s.wants_view_change))?;
    t.lose(StartViewChange, R2, R1);
    t.run(t.heartbeat().times(4))?;
    let leads = |n: &Note| matches!(n, Note::BecamePrimary { view: View(1), .. });
    let has_led = t.count_notes(R1, leads) == 1;
    t.rest_among(&[1, 2])?;
    t.expect(has_led, "r1 to have led view 1 on the report alone")
}

/// D20. C waits for the log of view 1, which B leads.
fn lost_start_view(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R0);
    t.lose(StartView, R1, R2);
    t.depose(&[1, 2])?;
    t.run_ms(10)?;
    t.expect_status(R1, StatusName::Primary)?;
    t.expect_status(R2, StatusName::ViewChange)?;
    t.pass(StartView, R1, R2);
    t.run(t.heartbeat().times(3))?;
    t.expect_status(R2, StatusName::Backup)?;
    t.expect_view(Others(0), 1)
}

/// D22. B and C enter view 1, C's report is lost; they lose patience one well after the other, each saying so to a
/// replica that has not heard the other for a while.
fn lost_reports(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R0);
    t.lose(DoViewChange, All, All);
    t.depose(&[1, 2])?;
    t.run_ms(10)?;
    t.pass(DoViewChange, All, All);
    for at in [1, 2] {
        t.lose_patience(&[at]);
        t.run(t.heartbeat().times(4))?;
    }
    t.rest_among(&[1, 2])
}

/// D23. r1 and r3 hear r2 only: view 1 is r1's and has two reports of three; three must want to leave it.
fn primary_to_be(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.put(0, 1, "x").expect_answered()?;
    t.run(t.heartbeat().times(2))?;
    t.rest(&[2, 1, 3], Shape::Star)
}

/// D24. At first a view is given 400 to 800 ms, in the end eight times that.
fn patience(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R0);
    t.lose(DoViewChange, All, All);
    t.run_ms(60_000)?;
    let views = t.view(R1)?.0;
    t.expect((10..40).contains(&views), format!("some twenty views to have failed, not {views}"))?;
    t.pass(DoViewChange, All, All);
    t.put_at(R1, 0, 1, "x").expect_answered().map(drop)
}

fn slow_network(setup: &mut Setup) {
    setup.latency = Wait::millis(300);
    setup.view_change = (2, 3);
    setup.abdicate = 40;
    setup.client_timeout = Wait::millis(2_000);
}

/// D24. A view change takes three latencies, 900 ms; patience begins at 100 to 150 ms.
fn slow_view_change(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.put(0, 1, "x").expect_answered()?;
    t.crash(R0);
    t.rest_among(&[1, 2])
}

fn far_apart(setup: &mut Setup) {
    setup.latency = Wait::millis(100);
    setup.view_change = (2, 3);
    setup.abdicate = 20;
    setup.client_timeout = Wait::millis(1_000);
}

/// D24. Whoever has the log is in a view three latencies after it is entered, 300 ms; patience begins at 100 to 150 ms.
/// r6 lacks three entries, and nobody gives it any for half a minute.
fn straggler(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(6))?;
    t.lose(NewState, All, R(6));
    t.isolate(R(6));
    for value in ["a", "b", "c"] {
        t.append(0, 1, value).expect_answered()?;
    }
    t.run(t.heartbeat().times(6))?;
    t.crash(R0);
    t.mend(R(6), Others(0));
    t.run_ms(20_000)?;
    let view = t.view(R1)?;
    t.run_ms(10_000)?;
    t.expect_view(Others(0), view.0)?;
    t.pass(NewState, All, R(6));
    t.rest_among(&[1, 2, 3, 4, 5, 6])
}

/// D25. Ten seconds, in which the deaf one could have left twenty views.
fn deaf_backup(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.deafen(R2);
    for second in 0..10 {
        t.run_ms(1_000)?;
        t.put(0, 1, &second.to_string()).expect_answered_within(Wait::millis(20))?;
    }
    t.expect(t.snapshots(R2).iter().all(|s| s.wants_view_change), "r2 to want another view")?;
    t.expect_view(All, 0)?;
    t.heal();
    t.settle()?;
    t.expect_view(All, 0)?;
    t.expect_value(All, 1, Some("9"))
}

/// D26. Its heartbeats would keep the others content for ever.
fn deaf_primary(t: &mut Scenario) -> Verdict {
    t.leave_outside(0, Outsider::Deaf);
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.deafen(R0);
    t.put(0, 1, "x").expect_pending()?;
    t.rest_among(&[1, 2])
}

/// D29. r4 does not hear the primary and wants to leave view 0 all the time; r1 wants it for a moment, and ten
/// seconds later so does r2. Three would be a quorum.
fn old_votes(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.cut_way(R0, R4);
    t.run_ms(1_500)?;
    for at in [R1, R2, R3] {
        t.cut_way(R0, at);
        t.lose_patience(&t.all(at));
        t.run(t.heartbeat().times(3))?;
        t.mend_way(R0, at);
        t.run_ms(10_000)?;
        t.expect_view(All, 0)?;
    }
    t.mend_way(R0, R4);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.settle()?;
    t.expect_view(All, 0)
}
