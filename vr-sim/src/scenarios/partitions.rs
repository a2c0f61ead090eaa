//! Partial partitions: OmniPaxos's three, a star, links that carry one way only.
//!
//! Owns what the gate of DESIGN §10 is for: service goes on, or comes back, whenever one replica has two-way links to a
//! quorum, and a replica without any never disturbs it. Must not know planted bugs. PROTOCOL D25, D26.

use crate::scenario::Outsider;
use crate::scenario::Role::{All, B1, P, R, R0, R1, R2, R3, R4};
use crate::scenario::{BOTH, Scenario, ScenarioInfo, Shape, Verdict, plain};
use vr_core::{Op, StatusName, Wait};

const fn story(
    name: &'static str,
    story: &'static str,
    faults: &'static str,
    replicas: u16,
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    let properties = "L1 one view, L2 answered, L5 no storm";
    ScenarioInfo { name, story, faults, properties, replicas, modes: BOTH, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "partial-quorum-loss",
        "OmniPaxos's quorum loss: everybody, the primary too, is left with links to one replica only: that one leads.",
        "star around a backup",
        5,
        quorum_loss,
    ),
    story(
        "partial-constrained-election",
        "OmniPaxos's constrained election: the only replica with links to a quorum has missed entries: it leads all the same.",
        "isolation, then a star around the one that missed entries",
        5,
        constrained_election,
    ),
    story(
        "partial-chained",
        "OmniPaxos's chain: of three, the two ends have no link to each other: the primary at one end is not disturbed.",
        "one link cut",
        3,
        chained,
    ),
    story(
        "partial-chain-of-seven",
        "In a chain of seven nobody has links to a quorum: nothing is owed, nothing is lost, and one more link is enough.",
        "chain of seven",
        7,
        chain_of_seven,
    ),
    story(
        "partial-star-of-seven",
        "A star of seven comes to rest: service is kept by whoever has links to the primary.",
        "star around a backup, to the end",
        7,
        star_of_seven,
    ),
    story(
        "one-way-deaf-primary",
        "The primary hears nobody and is heard: another one takes over, and the deaf one follows when it hears again.",
        "all links into the primary cut",
        5,
        deaf_primary,
    ),
    story(
        "one-way-mute-primary",
        "The primary hears everybody and is not heard: another one takes over.",
        "all links out of the primary cut",
        5,
        mute_primary,
    ),
    story(
        "one-way-deaf-backup",
        "A backup that hears nobody and is heard wants another view for ever: nobody minds.",
        "all links into a backup cut",
        5,
        deaf_backup,
    ),
    story(
        "one-way-mute-backup",
        "A backup that hears everybody and is not heard follows the group, which does without it.",
        "all links out of a backup cut",
        5,
        mute_backup,
    ),
    story(
        "one-way-mute-to-the-end",
        "A primary that is not heard, and hears everybody, stays so to the end: the others come to rest without it.",
        "all links out of the primary cut, to the end",
        3,
        mute_to_the_end,
    ),
    story(
        "isolated-replica-comes-back",
        "A replica that heard nobody for a minute comes back: it follows the view it finds.",
        "isolation of a backup",
        3,
        isolated_replica_comes_back,
    ),
];

/// Only the links of `hub` are left.
fn star(t: &mut Scenario, hub: usize) {
    for a in t.all(All) {
        for b in t.all(All) {
            if a != hub && b != hub && a < b {
                t.cut(R(a), R(b));
            }
        }
    }
}

fn quorum_loss(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    star(t, 2);
    t.append(0, 1, "b").expect_answered()?;
    t.run_ms(5_000)?;
    t.append(0, 1, "c").expect_answered_within(Wait::millis(50))?;
    t.expect(t.at(P) == 2, "the hub to lead")?;
    t.heal();
    t.settle()?;
    t.expect_value(All, 1, Some("abc"))
}

fn constrained_election(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.isolate(R2);
    for value in ["a", "b", "c"] {
        t.append(0, 1, value).expect_answered()?;
    }
    t.expect_op(R2, Op(1))?;
    t.isolate(R0);
    star(t, 2);
    for other in [R1, R3, R4] {
        t.mend(R2, other);
    }
    t.append(0, 1, "d").expect_answered()?;
    t.expect(t.at(P) == 2, "the hub to lead")?;
    t.settle_among(&[1, 2, 3, 4])?;
    t.expect_value(R2, 1, Some("abcd"))
}

fn chained(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.cut(R0, R2);
    for second in 0..10 {
        t.run_ms(1_000)?;
        t.put(0, 1, &second.to_string()).expect_answered_within(Wait::millis(20))?;
    }
    t.expect_view(R0, 0)?;
    t.expect_view(R1, 0)
}

fn chain_of_seven(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    for a in t.all(All) {
        for b in (a + 2)..t.members() {
            t.cut(R(a), R(b));
        }
    }
    t.append(0, 1, "b").expect_pending_for(Wait::millis(20_000))?;
    for other in [R0, R1] {
        t.mend(R3, other);
    }
    t.expect_answered(0)?;
    t.heal();
    t.settle()?;
    t.expect_value(All, 1, Some("ab"))
}

fn star_of_seven(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    t.rest(&[3, 0, 1, 2, 4, 5, 6], Shape::Star)
}

fn deaf_primary(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.deafen(R0);
    t.append(0, 1, "a").expect_answered()?;
    t.expect(t.at(P) != 0, "another one to lead")?;
    let view = t.view(P)?;
    t.heal();
    t.settle()?;
    t.expect_view(All, view.0)?;
    t.expect_value(All, 1, Some("a"))
}

fn mute_primary(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.mute(R0);
    t.append(0, 1, "a").expect_answered()?;
    t.expect(t.at(P) != 0, "another one to lead")?;
    t.run_ms(5_000)?;
    let view = t.view(P)?;
    t.heal();
    t.settle()?;
    t.expect_view(All, view.0)?;
    t.expect_value(All, 1, Some("a"))
}

fn deaf_backup(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.deafen(B1);
    t.run_ms(10_000)?;
    t.append(0, 1, "a").expect_answered_within(Wait::millis(20))?;
    t.heal();
    t.settle()?;
    t.expect_view(All, 0)?;
    t.expect_value(All, 1, Some("a"))
}

fn mute_backup(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.mute(R1);
    t.run_ms(5_000)?;
    t.append(0, 1, "a").expect_answered_within(Wait::millis(20))?;
    t.run(t.heartbeat().times(2))?;
    t.expect_view(All, 0)?;
    t.expect_status(R1, StatusName::Backup)?;
    t.expect_value(All, 1, Some("a"))
}

fn mute_to_the_end(t: &mut Scenario) -> Verdict {
    t.leave_outside(0, Outsider::Unheard);
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    t.mute(R0);
    t.rest_among(&[1, 2])
}

fn isolated_replica_comes_back(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.isolate(R2);
    t.run_ms(60_000)?;
    t.append(0, 1, "a").expect_answered_within(Wait::millis(20))?;
    t.heal();
    t.settle()?;
    t.expect_view(All, 0)?;
    t.expect_value(All, 1, Some("a"))
}
