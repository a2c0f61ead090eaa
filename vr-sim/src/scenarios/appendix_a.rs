//! Appendix A of the report: the tests that Go-VR was judged by, 1 to 11, with five replicas, in both modes.
//!
//! Owns their stories. The report's words stand first in each. Must not know planted bugs.

use crate::scenario::Role::{All, B1, B2, B3, B4, Backups, Others, P, R};
use crate::scenario::{BOTH, Scenario, ScenarioInfo, Verdict, plain};
use crate::service::{Key, KvOp};
use crate::setup::Setup;
use vr_core::{Durability, MessageKind, Note, Op, Reject, StatusName, Wait};

const fn test(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 5, modes: BOTH, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    test(
        "a01-commit-with-quorum",
        "While a quorum is up, puts are committed by it, executed by all of it, and answered.",
        ("crash of backups", "S1 agreement, S12 commit justified, L2 answered"),
        commit_with_quorum,
    ),
    test(
        "a02-commits-without-quorum",
        "While no quorum is connected, a put is neither committed nor answered, anywhere; once one is, it is.",
        ("partition into three", "S12 commit justified, S13 silence"),
        commits_without_quorum,
    ),
    test(
        "a03-client-requests-to-replicas",
        "Backups refuse requests and name the primary; only the primary takes them.",
        ("none", "S13 silence, S22 truthful hint"),
        client_requests_to_replicas,
    ),
    test(
        "a04-simple-view-change",
        "The primary fails: the next replica leads, with every committed entry, and serves.",
        ("crash of the primary", "S7 one start, S8 leader completeness, L1 one view"),
        simple_view_change,
    ),
    test(
        "a05-simple-view-change-with-recovery",
        "A failed primary, and a failed backup, come back into a later view and are given all that was committed.",
        ("crash and restart", "S8 leader completeness, S9 ack durability, L6 converged"),
        simple_view_change_with_recovery,
    ),
    test(
        "a06-consecutive-primary-failures",
        "Primaries fail one after the other: each replica leads in its turn, and no committed entry is lost.",
        ("crash of each primary, two at a time", "S8 leader completeness, S9 ack durability, L1 one view"),
        consecutive_primary_failures,
    ),
    test(
        "a07-aborting-failed-view-change",
        "The next primary does not respond: its view fails, and the one after it starts.",
        ("crash of the primary, pause of the next", "S7 one start, L1 one view, L5 no storm"),
        aborting_failed_view_change,
    ),
    test(
        "a08-recovery-tests",
        "Replicas that failed miss entries and views: they join the later view and get everything.",
        ("crash and restart over two views", "S7 view prefix, L3 recovered, L6 converged"),
        recovery_tests,
    ),
    test(
        "a09-recovery-with-own-persistent-logs",
        "A replica whose log on disk is up to date uses it when it comes back, and fetches only what it lacks.",
        ("crash and restart of a backup", "S4 crash image, S11 ack backed, L3 recovered"),
        recovery_with_own_logs,
    ),
    test(
        "a10-recovery-retries",
        "Nobody answers a replica that comes back: it asks again until somebody does.",
        ("crash and restart, loss of questions and answers, a group between views", "L3 recovered"),
        recovery_retries,
    ),
    ScenarioInfo {
        tune: many_clients,
        ..test(
            "a11-performance",
            "500 puts and 500 deletes of one key, then 100,000 of each: memory and disk are the same on all nodes.",
            ("none", "S2 prefix execution, S15 linearizability, S16 table equality"),
            performance,
        )
    },
];

/// 1: "Ensures that user key-value put requests are properly committed and externalized when a quorum exist."
fn commit_with_quorum(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.put(0, 1, "with five").expect_answered_within(Wait::millis(20))?;
    t.crash(B4);
    t.put(0, 1, "with four").expect_answered_within(Wait::millis(20))?;
    t.crash(B3);
    t.put(0, 1, "with three").expect_answered_within(Wait::millis(20))?;
    t.put(0, 2, "another").expect_answered_within(Wait::millis(20))?;
    t.run(t.heartbeat().times(2))?;
    t.expect_view(All, 0)?;
    t.expect_commit(All, Op(5))?; // the session and four puts
    t.expect_value(All, 1, Some("with three"))?;
    t.expect_value(All, 2, Some("another"))
}

/// 2: "Ensures that user key-value put requests are not committed and externalized if quorum does not exist."
fn commits_without_quorum(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.put(0, 1, "committed").expect_answered()?;
    t.run(t.heartbeat().times(2))?;
    let (before, old) = (t.commit(All)?, t.at(P));
    let pairs = [[t.at(P), t.at(B1)], [t.at(B2), t.at(B3)]];
    t.isolate(B4);
    for at in pairs[0] {
        pairs[1].iter().for_each(|other| t.cut(R(at), R(*other)));
    }
    t.put_at(R(old), 0, 1, "alone").expect_pending_for(Wait::millis(5_000))?;
    t.expect_commit(All, before)?;
    t.expect_value(All, 1, Some("committed"))?;
    t.heal();
    t.settle()?;
    t.expect_value(All, 1, Some("alone"))
}

/// 3: "Ensures that client requests to replicas are rejected and only primary can process requests."
fn client_requests_to_replicas(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    let (before, primary) = (t.commit(All)?, t.id(t.at(P)));
    let put = KvOp::Put { key: Key(1), value: b"to a backup" };
    for backup in t.all(Backups) {
        t.inject(R(backup), 0, 1, &put);
        t.run_ms(10)?;
        let hinted = matches!(t.last_refusal(0), Some(Reject::NotPrimary { primary: Some(p), .. }) if p == primary);
        t.expect(hinted, format!("r{backup} to refuse and to name the primary"))?;
    }
    t.expect_commit(All, before)?;
    t.expect_value(All, 1, None)?;
    t.put(0, 1, "to the primary").expect_answered_within(Wait::millis(20))?;
    t.put_at(B1, 0, 1, "by the hint").expect_answered()?;
    t.settle()?;
    t.expect_value(All, 1, Some("by the hint"))
}

/// 4: "Ensures that view change starts after primary fails, new primary is correctly elected and it has all previously
/// committed entries."
fn simple_view_change(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    for value in ["a", "b", "c"] {
        t.append(0, 1, value).expect_answered()?;
    }
    let (old, next) = (t.at(P), t.at(B1));
    t.crash(P);
    t.settle()?;
    t.expect(t.at(P) == next, "the next replica in the rotation to lead")?;
    t.expect_view(Others(old), 1)?;
    t.expect_note(R(next), "that it leads view 1", |n| matches!(n, Note::BecamePrimary { view, .. } if view.0 == 1))?;
    t.expect_value(Others(old), 1, Some("abc"))?;
    t.append(0, 1, "d").expect_answered()?;
    t.settle()?;
    t.expect_value(Others(old), 1, Some("abcd"))
}

/// 5: "Ensures that after a primary/replica fails, it is possible for it to recover and join a later view. Also ensures
/// that all previously committed messages will be transferred to it upon recovery."
fn simple_view_change_with_recovery(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    let (old, backup) = (t.at(P), t.at(B3));
    t.crash(R(backup));
    t.append(0, 1, "b").expect_answered()?;
    t.crash(R(old));
    t.settle()?;
    t.append(0, 1, "c").expect_answered()?;
    for failed in [old, backup] {
        t.restart(R(failed));
        t.settle()?;
        t.expect(t.at(P) != failed, "nobody to lead right after a restart")?;
        t.expect_status(R(failed), StatusName::Backup)?;
        t.expect_value(All, 1, Some("abc"))?;
    }
    t.append(0, 1, "d").expect_answered()?;
    t.settle()?;
    t.expect_equal_memory_and_disk(All)
}

/// 6: "Ensures that new primaries will always be elected as long as a quorum exists. Also ensures that every replica is
/// capable of being the primary and that all committed entries survive all view changes."
fn consecutive_primary_failures(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    let mut expected = String::new();
    let mut down = Vec::new();
    let mut have_led = vec![false; t.members()];
    for round in 0..2 * t.members() {
        let primary = t.at(P);
        have_led[primary] = true;
        let value = round.to_string();
        t.append(0, 1, &value).expect_answered()?;
        expected.push_str(&value);
        if down.len() == 2 {
            t.restart(R(down.remove(0)));
            t.settle()?;
        }
        t.crash(R(primary));
        down.push(primary);
        t.settle()?;
        t.expect_value(All, 1, Some(&expected))?;
    }
    t.expect(have_led.iter().all(|led| *led), "everybody to have led")?;
    t.restart(All);
    t.settle()?;
    t.expect_value(All, 1, Some(&expected))?;
    t.expect_equal_memory_and_disk(All)
}

/// 7: "Ensures that nodes do not get stuck in failed view changes perpetually (liveness) and that view change makes
/// progress as long as quorum exists, even in events like unresponsive new primary."
fn aborting_failed_view_change(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.put(0, 1, "before").expect_answered()?;
    let (old, next, then) = (t.at(P), t.at(B1), t.at(B2));
    t.crash(R(old));
    t.stand_still(R(next));
    let rest: Vec<usize> = t.up(All);
    t.settle_among(&rest)?;
    t.expect(t.at(P) == then, "the one after the unresponsive replica to lead")?;
    t.expect_note(R(then), "that it entered view 1", |n| matches!(n, Note::EnteredView { view, .. } if view.0 == 1))?;
    t.put(0, 1, "after").expect_answered()?;
    t.go_on(R(next));
    t.restart(R(old));
    t.settle()?;
    t.expect_value(All, 1, Some("after"))?;
    // Once more, and the next primary responds, but no report reaches it.
    let (old, next) = (t.at(P), t.at(B1));
    t.lose(MessageKind::DoViewChange, All, R(next));
    t.crash(R(old));
    t.settle()?;
    t.expect(t.at(P) != next && t.at(P) != old, "somebody else to lead")?;
    t.expect_value(Others(old), 1, Some("after"))
}

/// 8: "Ensures upon failure and subsequent recovery, nodes are able to join a later view and get their entries up to
/// date."
fn recovery_tests(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    let (first, second) = (t.at(B2), t.at(B4));
    t.crash(R(first));
    t.append(0, 1, "b").expect_answered()?;
    // Two view changes pass it by; its own turn to lead would have come.
    for value in ["c", "d"] {
        let old = t.at(P);
        t.crash(R(old));
        t.settle()?;
        t.append(0, 1, value).expect_answered()?;
        t.restart(R(old));
        t.settle()?;
    }
    t.crash(R(second));
    t.append(0, 1, "e").expect_answered()?;
    let view = t.view(P)?;
    t.expect(view.0 >= 2, "two view changes")?;
    t.restart(R(first));
    t.restart(R(second));
    t.settle()?;
    t.expect_status(R(first), StatusName::Backup)?;
    t.expect_value(All, 1, Some("abcde"))?;
    t.expect_equal_memory_and_disk(All)
}

/// 9: "Ensures that upon recovery, a node will be able to use its own persistent logs to replay operations if the logs
/// are up to date."
fn recovery_with_own_logs(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    for value in ["a", "b", "c", "d"] {
        t.append(0, 1, value).expect_answered()?;
    }
    t.settle()?;
    t.run(t.heartbeat())?;
    let (backup, op) = (t.at(B2), t.op(All)?);
    t.crash(R(backup));
    t.expect(t.world.disk(backup).log.op() == op, "its disk to hold everything")?;
    t.restart(R(backup));
    t.settle()?;
    t.expect_value(All, 1, Some("abcd"))?;
    let fetches = |t: &Scenario| t.count_notes(R(backup), |n| matches!(n, Note::TookState { .. }));
    t.expect(fetches(t) == 0, "nothing to have been fetched")?;
    expect_kept(t, backup, op)?;
    // And if it misses something, it keeps what it has and fetches the rest.
    t.crash(R(backup));
    t.append(0, 1, "e").expect_answered()?;
    t.restart(R(backup));
    t.settle()?;
    t.expect_value(All, 1, Some("abcde"))?;
    expect_kept(t, backup, op)?;
    t.expect_equal_memory_and_disk(All)
}

/// In the asynchronous mode its recovery verified and kept the own log through here.
fn expect_kept(t: &Scenario, backup: usize, through: Op) -> Verdict {
    if t.world.setup().durability == Durability::Sync {
        return t.expect_no_note(R(backup), "a recovery", |n| matches!(n, Note::Recovering { .. }));
    }
    let mut recoveries =
        t.world.notes().iter().rev().filter(|(at, n)| *at == backup && matches!(n, Note::Recovered { .. }));
    let kept = matches!(recoveries.next(), Some((_, Note::Recovered { kept, .. })) if *kept == through);
    t.expect(kept, format!("its own log to have been kept through op {through}"))
}

/// 10: "Ensures that recovering nodes will not get stuck in a failed recovery (liveness) and that they will restart the
/// recovery protocol periodically if it does not successfully recover."
fn recovery_retries(t: &mut Scenario) -> Verdict {
    let lost = [MessageKind::Recovery, MessageKind::RecoveryResponse, MessageKind::NewState, MessageKind::StartView];
    t.open(&[0])?;
    t.put(0, 1, "before").expect_answered()?;
    for kind in lost {
        let backup = t.at(B2);
        t.crash(R(backup));
        t.put(0, 1, kind.name()).expect_answered()?;
        t.lose(kind, All, All);
        t.restart(R(backup));
        t.run_ms(3_000)?;
        let asks = t.world.setup().durability == Durability::Async
            && matches!(kind, MessageKind::Recovery | MessageKind::RecoveryResponse);
        if asks {
            t.expect_status(R(backup), StatusName::Recovering)?;
        }
        t.pass(kind, All, All);
        t.settle()?;
        t.expect_value(All, 1, Some(kind.name()))?;
    }
    // The group itself is between views while it is asked.
    let (old, backup) = (t.at(P), t.at(B2));
    t.crash(R(backup));
    t.hold(MessageKind::DoViewChange, All, All);
    t.crash(R(old));
    t.run_ms(1_500)?;
    t.restart(R(backup));
    t.run_ms(1_500)?;
    t.release(MessageKind::DoViewChange, All, All)?;
    t.settle()?;
    t.restart(R(old));
    t.settle()?;
    t.expect_value(All, 1, Some("StartView"))
}

const CROWD: u32 = 100;

fn many_clients(setup: &mut Setup) {
    setup.clients = CROWD;
    setup.client_capacity = CROWD;
    setup.checkpoint_interval = 1 << 14;
}

/// 11: "Ensures that all nodes will have the correct memory and log states after performing put and delete for 500 times."
fn performance(t: &mut Scenario) -> Verdict {
    t.world.allow_steps(u64::MAX);
    t.open(&[0])?;
    for round in 0..500 {
        t.put(0, 1, &round.to_string()).expect_answered()?;
        t.delete(0, 1).expect_answered()?;
    }
    t.settle()?;
    t.expect_value(All, 1, None)?;
    t.expect_op(All, Op(1_001))?;
    t.expect_equal_memory_and_disk(All)?;

    let crowd: Vec<usize> = (0..t.clients()).collect();
    for client in &crowd[1..] {
        let primary = t.at(P);
        t.world.register(*client, primary);
    }
    t.settle()?;
    for round in 0..2 * 100_000 / crowd.len() {
        for client in &crowd {
            let call = if round % 2 == 0 { t.put(*client, 1, &round.to_string()) } else { t.delete(*client, 1) };
            call.unwatched();
        }
        t.settle()?;
    }
    t.expect_value(All, 1, None)?;
    t.expect_equal_memory_and_disk(All)?;
    t.end_here(); // A hundred clients need not call once more.
    Ok(())
}
