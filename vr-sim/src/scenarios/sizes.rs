//! Clusters of other sizes, and restarts of whole clusters: PROTOCOL D61, DESIGN §6 and §10 "Restarts".
//!
//! Owns one replica, two, four, thirty-one; all down at once; one down after the other. Must not know planted bugs.

use crate::scenario::Role::{All, Backups, P, R, R0, R1};
use crate::scenario::{BOTH, SYNC, Scenario, ScenarioInfo, Verdict, plain};
use vr_core::{Durability, Op, StatusName, Wait};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    (replicas, modes): (u16, &'static [Durability]),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas, modes, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "d61-one-replica",
        "A cluster of one commits with its own sync, and comes back with everything in a later view.",
        ("crash and restart", "S9 ack durability, S7 one start"),
        (1, SYNC),
        one_replica,
    ),
    story(
        "d61-two-replicas",
        "A cluster of two needs both: with one down nothing commits, with both it goes on.",
        ("crash and restart", "S12 commit justified, L1 one view"),
        (2, SYNC),
        two_replicas,
    ),
    story(
        "d61-two-in-memory",
        "A cluster of two without disks survives the crash of its backup, and says so of no other.",
        ("crash and restart of the backup", "S9 ack durability, L3 recovered"),
        (2, &[Durability::Async]),
        two_in_memory,
    ),
    story(
        "thirty-one-replicas",
        "A cluster of 31 changes views around fifteen that crash, and serves.",
        ("crash of fifteen, the primary among them", "L1 one view, S9 ack durability"),
        (31, BOTH),
        thirty_one_replicas,
    ),
    story(
        "restart-of-all",
        "All are down at once, again and again: what was acknowledged is there, in a later view.",
        ("power loss of the whole cluster", "S9 ack durability, S7 one start, S10 promise kept"),
        (5, SYNC),
        restart_of_all,
    ),
    story(
        "rolling-restart",
        "One after the other is restarted, the primary last: at most one view change, and nobody is refused for long.",
        ("crash and restart, one at a time", "S9 ack durability, L5 no storm"),
        (5, BOTH),
        rolling_restart,
    ),
];

fn one_replica(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered_within(Wait::millis(10))?;
    t.slow_disk(R0, 20);
    t.append(0, 1, "b").expect_pending_for(Wait::millis(5))?;
    t.expect_commit(R0, Op(2))?;
    t.free_disk(R0);
    t.expect_answered(0)?;
    for (round, value) in ["c", "d"].into_iter().enumerate() {
        let view = t.view(R0)?;
        t.crash(R0);
        t.restart(R0);
        t.append(0, 1, value).expect_answered()?;
        t.expect(t.view(R0)? > view && t.status(R0)? == StatusName::Primary, "a later view")?;
        t.expect_value(R0, 1, Some(["abc", "abcd"][round]))?;
    }
    Ok(())
}

fn two_replicas(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    for crashed in [R1, R0] {
        t.crash(crashed);
        let up = if crashed == R1 { R0 } else { R1 };
        t.append_at(up, 0, 1, "b").expect_pending_for(Wait::millis(3_000))?;
        t.restart(crashed);
        t.settle()?;
    }
    t.expect_value(All, 1, Some("abb"))
}

/// Async with two survives no crash of its primary (DESIGN §10).
fn two_in_memory(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    t.crash(R1);
    t.append(0, 1, "b").expect_pending()?;
    t.restart(R1);
    t.run_ms(200)?;
    // f = 0: by the letter it was one crash too many, so that nothing is owed; the primary's memory was enough.
    t.expect_status(R1, StatusName::Backup)?;
    t.expect_value(R1, 1, Some("ab"))?;
    t.end_here();
    Ok(())
}

fn thirty_one_replicas(t: &mut Scenario) -> Verdict {
    t.open(&[0, 1])?;
    t.append(0, 1, "a").expect_answered_within(Wait::millis(20))?;
    (0..15).for_each(|at| t.crash(R(at)));
    t.append(1, 1, "b").expect_answered()?;
    t.settle()?;
    t.expect(t.at(P) >= 15, "one that is up to lead")?;
    t.restart(All);
    t.settle()?;
    t.expect_value(All, 1, Some("ab"))
}

fn restart_of_all(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    let mut expected = String::new();
    for round in 0..6 {
        let value = round.to_string();
        t.append(0, 1, &value).expect_answered()?;
        expected.push_str(&value);
        let view = t.view(P)?;
        t.crash(All);
        t.run_ms(100)?;
        t.restart(All);
        t.settle()?;
        t.expect(t.view(All)? > view, "a later view")?;
        t.expect_value(All, 1, Some(&expected))?;
    }
    t.expect_equal_memory_and_disk(All)
}

fn rolling_restart(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    let primary = t.at(P);
    let mut order = t.all(Backups);
    order.push(primary);
    let mut expected = String::new();
    for at in order {
        t.crash(R(at));
        t.append(0, 1, &at.to_string()).expect_answered()?;
        expected.push_str(&at.to_string());
        t.restart(R(at));
        t.settle()?;
    }
    t.expect_view(All, 1)?;
    t.expect_value(All, 1, Some(&expected))?;
    t.expect_equal_memory_and_disk(All)
}
