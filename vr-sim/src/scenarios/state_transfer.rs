//! State transfer: PROTOCOL §2 C, what a replica may do while it fetches what it lacks.
//!
//! Owns one story per defect: it passes because of one rule, and with that rule broken it fails. Must not know other
//! sections.

use crate::scenario::Role::{All, R, R0, R1, R2, R3, R4};
use crate::scenario::{BOTH, Scenario, ScenarioInfo, Verdict, plain};
use crate::setup::Setup;
use vr_core::MessageKind::{Commit, DoViewChange, GetState, NewState, Prepare, PrepareOk, StartView};
use vr_core::{Note, Op, StatusName, View, Wait};

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
        "d30-truncate-on-news",
        "A backup that acknowledged x, and has not heard that it is committed, hears of a later view: it keeps x.",
        ("loss of Commit, isolation", "S7 view prefix, S11 ack backed, S8 leader completeness"),
        3,
        truncate_on_news,
    ),
    story(
        "d31-eager-log-view",
        "A backup that misses x hears of a later view: it is not normal in it before it has the view's log.",
        ("loss of Prepare, isolation", "S7 view prefix, S8 leader completeness"),
        3,
        eager_log_view,
    ),
    story(
        "d33-overlapping-pages",
        "A page of state arrives together with the Prepares it was to replace, and then twice more: nothing is there twice.",
        ("hold and duplication of NewState, reordering of Prepare", "S6 log match, S14 at most once"),
        3,
        overlapping_pages,
    ),
    ScenarioInfo {
        tune: one_entry_per_page,
        ..story(
            "d34-pages",
            "A log comes in pages of one entry: a replica is normal in the view with the last page, not with the first.",
            ("isolation, messages that hold one entry", "S7 view prefix, S8 leader completeness"),
            3,
            pages,
        )
    },
    story(
        "d35-as-long-but-another",
        "A replica with as many entries as the new view, but others, does not take its own for the view's.",
        ("isolation with an entry of its own", "S1 agreement, S6 log match"),
        3,
        as_long_but_another,
    ),
    story(
        "d35-own-log-between-views",
        "A backup that misses y asks a replica between views, whose own log goes on with s: it is not served s.",
        ("isolation with an entry of its own, loss of Prepare, StartView and NewState", "S6 log match, S7 view prefix"),
        3,
        own_log_between_views,
    ),
    ScenarioInfo {
        tune: two_clients,
        ..story(
            "d37-ack-after-transfer",
            "A backup fetches what it missed, and nothing else reaches it: it acknowledges what it fetched, unasked.",
            ("loss of Prepare and Commit", "L2 answered"),
            3,
            ack_after_transfer,
        )
    },
    story(
        "d38-late-new-state",
        "A page that was asked for in view 0 arrives in view 1: it changes nothing.",
        ("long hold of NewState, isolation", "S5 promise monotone, S6 log match"),
        3,
        late_new_state,
    ),
    story(
        "d39-another-peer",
        "The replica whose log was chosen dies before it gave it away: others that have it are asked.",
        ("isolation, crash of the one that is asked", "L1 one view"),
        5,
        another_peer,
    ),
    ScenarioInfo {
        tune: one_entry_per_page,
        ..story(
            "d39-log-nobody-gives",
            "The only one that has the log that was chosen dies before it gave it away: the other reports will do.",
            ("loss of Prepare, messages that hold one entry, crash of the one whose log was chosen", "L1 one view"),
            5,
            log_nobody_gives,
        )
    },
];

/// D30. A and B have x, A alone knows it is committed; A and C go on to view 2 and C leads it; then B hears C.
fn truncate_on_news(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Commit, R0, All);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.expect_op(R1, Op(2))?;
    t.expect_commit(R1, Op(1))?;
    t.isolate(R1);
    t.elect_as(2, &[0, 2])?;
    t.mend_way(R2, R1);
    t.run(t.heartbeat().times(2))?;
    t.expect_op(R1, Op(2))?;
    t.expect_view(R1, 2)
}

/// D31. As D30, and B never got x.
fn eager_log_view(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, R1);
    t.put(0, 1, "x").expect_answered_within(Wait::millis(20))?;
    t.isolate(R1);
    t.elect_as(2, &[0, 2])?;
    t.lose(StartView, R2, R1);
    t.mend_way(R2, R1);
    t.run(t.heartbeat().times(2))?;
    t.expect_status(R1, StatusName::ViewChange)?;
    let log_view = t.agreed(R1, "the log's view", |s| s.log_view)?;
    t.expect(log_view == View(0), "r1 to hold a log of view 0 still")
}

/// D33. B misses a, gets b, asks; a, b and c arrive by themselves before the page does.
fn overlapping_pages(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1, 2])?;
    t.run(t.heartbeat().times(2))?;
    t.hold(Prepare, R0, R1);
    t.append(0, 1, "a").expect_answered()?;
    t.pass(Prepare, R0, R1);
    t.hold(NewState, All, R1);
    t.append(1, 1, "b").expect_answered()?;
    t.expect_note(R1, "a question for what it lacks", |n| matches!(n, Note::AskedForState { .. }))?;
    t.release(Prepare, R0, R1)?;
    t.append(2, 1, "c").expect_answered()?;
    t.run(t.heartbeat().times(3))?;
    for _ in 0..2 {
        t.release_copies(NewState, All, R1)?;
        t.run_ms(2)?;
    }
    t.pass(NewState, All, R1);
    t.settle()?;
    t.expect_op(All, Op(6))?;
    t.expect_value(All, 1, Some("abc"))
}

fn one_entry_per_page(setup: &mut Setup) {
    setup.max_request_bytes = 150;
    setup.max_message_bytes = setup.max_request_bytes + vr_core::MESSAGE_OVERHEAD_BYTES;
}

/// D34. C lacks four entries when B starts view 1.
fn pages(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R2);
    for value in ["a", "b", "c", "d"] {
        t.append(0, 1, value).expect_answered()?;
    }
    t.run(t.heartbeat())?;
    t.crash(R0);
    t.mend(R1, R2);
    t.elect_as(1, &[1, 2])?;
    t.expect_op(R2, Op(5))?;
    let asked = t.count_notes(R2, |n| matches!(n, Note::AskedForState { .. }));
    t.expect(asked >= 3, "several pages to have been asked for")?;
    t.settle()?;
    t.expect_value(R2, 1, Some("abcd"))
}

/// D35. C has s of view 0 at op 3, where the others commit y in view 1.
fn as_long_but_another(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.append(0, 1, "s").expect_pending()?;
    t.elect(&[1, 2])?;
    t.append(1, 1, "y").expect_answered()?;
    t.run(t.heartbeat())?;
    t.expect(t.op(R0)? == Op(3) && t.op(R1)? == Op(3), "two logs of the same length")?;
    t.lose(StartView, All, R0);
    t.heal();
    t.lose(StartView, All, R0);
    t.run(t.heartbeat().times(3))?;
    t.expect_value(R0, 1, None)?;
    t.pass(StartView, All, R0);
    t.settle()?;
    t.expect_value(All, 1, Some("ys"))
}

/// D35. A alone has s and is between views; C misses y of view 1 at the same place, and B's answers do not arrive.
fn own_log_between_views(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R0);
    t.append(0, 1, "s").expect_pending()?;
    t.elect(&[1, 2])?;
    t.lose(Prepare, R1, R2);
    t.lose(NewState, R1, R2);
    t.lose(StartView, All, R0);
    t.append(1, 1, "y").expect_pending()?;
    t.mend(R0, All);
    t.run(t.heartbeat().times(6))?;
    t.expect_status(R0, StatusName::ViewChange)?;
    t.expect_note(R2, "that it asked r0", |n| matches!(n, Note::AskedForState { of, .. } if of.0 == 0))?;
    t.expect_op(R2, Op(2))?;
    t.pass(Prepare, R1, R2);
    t.pass(NewState, R1, R2);
    t.pass(StartView, All, R0);
    t.settle()?;
    t.expect_value(All, 1, Some("ys"))
}

/// D37. C is down, so that A needs B. Between the question and the acknowledgement only the page passes.
fn ack_after_transfer(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.run(t.heartbeat().times(2))?;
    t.crash(R2);
    t.lose(Prepare, R0, R1);
    t.put(0, 1, "x").expect_pending()?;
    t.pass(Prepare, R0, R1);
    let asked = t.count_notes(R1, |n| matches!(n, Note::AskedForState { .. }));
    t.put(1, 2, "y").unwatched();
    t.wait_until(Wait::millis(20), "r1 to ask for what it lacks", |w| {
        w.notes().iter().filter(|(at, n)| *at == 1 && matches!(n, Note::AskedForState { .. })).count() > asked
    })?;
    t.lose(Prepare, R0, R1);
    t.lose(Commit, R0, R1);
    t.run_ms(20)?;
    t.expect_note(R1, "that it took the page", |n| matches!(n, Note::TookState { .. }))?;
    let unasked = t.commit(R0)? == Op(4);
    t.rest_among(&[0, 1])?;
    t.expect(unasked, "r1 to have acknowledged what it fetched before anything else reached it")
}

fn two_clients(setup: &mut Setup) {
    setup.clients = 2;
}

/// D38. B asked in view 0; then B and C are in view 1, in which x is gone.
fn late_new_state(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1, 2])?;
    t.run(t.heartbeat().times(2))?;
    t.lose(Prepare, R0, All);
    t.append(0, 1, "x").expect_pending_for(Wait::millis(5))?;
    t.pass(Prepare, R0, All);
    t.hold(NewState, R0, All);
    t.hold(PrepareOk, All, R0);
    t.append(1, 1, "y").expect_pending_for(Wait::millis(5))?;
    t.isolate(R0);
    t.elect(&[1, 2])?;
    t.append(2, 1, "z").expect_answered()?;
    t.release(NewState, R0, All)?;
    t.run_ms(5)?;
    t.expect_view(R1, 1)?;
    t.expect_op(R1, Op(4))?;
    t.forget(PrepareOk, All, All);
    t.heal();
    t.settle()?;
    let value = t.get(2, 1).expect_answered()?.result;
    t.expect(value.starts_with(b"\x01z"), "z to have come first")
}

/// D39. r1 lacks three entries and is to lead view 1; r2 and r3 have them; whichever is asked dies.
fn another_peer(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R1);
    t.isolate(R4);
    for value in ["a", "b", "c"] {
        t.append(0, 1, value).expect_answered()?;
    }
    t.run(t.heartbeat().times(2))?;
    t.crash(R0);
    for (a, b) in [(R1, R2), (R1, R3), (R1, R4), (R2, R4), (R3, R4)] {
        t.mend(a, b);
    }
    t.hold(GetState, R1, All);
    t.depose(&[1, 2, 3, 4])?;
    t.run_ms(10)?;
    let chosen = t.world.notes().iter().rev().find_map(|(at, note)| {
        if let Note::ChoseLog { of, .. } = note { (*at == 1).then_some(usize::from(of.0)) } else { None }
    });
    let Some(chosen) = chosen else { return t.disappoint("r1 to have chosen a log") };
    t.expect(chosen == 2 || chosen == 3, "r1 to have chosen the log of r2 or r3")?;
    t.crash(R(chosen));
    t.forget(GetState, R1, All);
    t.pass(GetState, R1, All);
    t.run(t.heartbeat().times(7))?;
    t.expect_status(R1, StatusName::Primary)?;
    t.expect_view(R1, 1)?;
    t.settle()?;
    t.expect_value(R1, 1, Some("abc"))
}

/// D39. r2 alone has what r0 prepared last, and reports it to r1, which is to lead view 1; then it is gone.
fn log_nobody_gives(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1, 2])?;
    t.run(t.heartbeat().times(2))?;
    for at in [R1, R3, R4] {
        t.lose(Prepare, R0, at);
    }
    for client in 0..3 {
        t.append(client, 1, "x").expect_pending()?;
    }
    t.expect_op(R2, Op(6))?;
    t.crash(R0);
    t.hold(DoViewChange, R3, R1);
    t.hold(DoViewChange, R4, R1);
    t.hold(GetState, R1, All);
    t.depose(&[1, 2, 3, 4])?;
    t.run_ms(10)?;
    t.pass(DoViewChange, R3, R1);
    t.release(DoViewChange, R3, R1)?;
    t.run_ms(2)?;
    t.expect_note(R1, "that it chose the log of r2", |n| matches!(n, Note::ChoseLog { of, .. } if of.0 == 2))?;
    t.crash(R2);
    t.forget(GetState, R1, All);
    t.pass(GetState, R1, All);
    t.pass(DoViewChange, R4, R1);
    t.run(t.heartbeat().times(7))?;
    t.expect_status(R1, StatusName::Primary)?;
    t.expect_view(R1, 1)?;
    t.settle()?;
    t.expect_value(R1, 1, Some("xxx"))
}
