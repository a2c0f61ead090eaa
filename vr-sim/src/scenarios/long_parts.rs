//! Long parts of checkpoints: those that are kept as they came, and those of which two are on their way at a time.
//!
//! Owns the sizes at which that is so. Must not know what is in a part. Paper: VRR §5.2; PROTOCOL 1.7, D65.

use super::checkpoints::{every_four, installed};
use crate::scenario::Role::{All, R2};
use crate::scenario::{BOTH, Scenario, ScenarioInfo, Verdict};
use crate::setup::Setup;
use vr_core::MessageKind::CheckpointPart;
use vr_core::{Body, MESSAGE_OVERHEAD_BYTES};

const fn story(
    name: &'static str,
    story: &'static str,
    tune: fn(&mut Setup),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    let (faults, properties) = ("isolation, loss, duplicates", "S17 checkpoint equality, S2 prefix execution");
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: BOTH, tune, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "ckpt-long-parts",
        "A backup that was away gets a checkpoint in parts that are too long to be copied: it has the same state as the others.",
        long_messages,
        long_parts,
    ),
    story(
        "ckpt-two-parts-at-a-time",
        "Parts have a megabyte: of two on their way one is lost, then both come twice. The backup that gets them asks again for \
         what is missing, and has the same state as the others.",
        longest_messages,
        two_at_a_time,
    ),
];

fn long_messages(setup: &mut Setup) {
    every_four(setup);
    setup.max_request_bytes = 8 << 10;
    setup.max_message_bytes = (18 << 10) + MESSAGE_OVERHEAD_BYTES;
}

fn longest_messages(setup: &mut Setup) {
    every_four(setup);
    setup.max_request_bytes = 800 << 10;
    setup.max_message_bytes = (1 << 20) + MESSAGE_OVERHEAD_BYTES;
}

/// r2 is away for longer than the others keep their logs; values are so long.
fn leave_behind(t: &mut Scenario, bytes: usize) -> Verdict {
    t.open(&[0])?;
    t.run(t.heartbeat().times(2))?;
    t.isolate(R2);
    for key in 0..14 {
        t.put(0, key % 8, &(key % 10).to_string().repeat(bytes)).expect_answered()?;
    }
    t.run(t.heartbeat())
}

/// Of the parts in hand: where each begins, how long it is, and how long all of it is.
fn in_hand(t: &Scenario) -> Vec<(u64, u64, u64)> {
    let held = t.held(CheckpointPart, All, R2).into_iter().map(|place| &t.world.held()[place].message.body);
    let part = |body: &Body| {
        let Body::CheckpointPart(part) = body else { return None };
        Some((part.offset, part.bytes.len(), part.length))
    };
    held.filter_map(part).collect()
}

/// From 16 KiB on parts are kept as they came.
fn long_parts(t: &mut Scenario) -> Verdict {
    leave_behind(t, 6000)?;
    t.hold(CheckpointPart, All, R2);
    t.mend(R2, All);
    t.run(t.heartbeat().times(2))?;
    let Some((_, bytes, length)) = in_hand(t).pop() else { return t.disappoint("a part in hand") };
    t.expect(bytes == 18 << 10, format!("a part of 18 KiB, not of {bytes} bytes"))?;
    t.expect(length > 2 * (18 << 10), format!("more than two of them, not {length} bytes"))?;
    t.release(CheckpointPart, All, R2)?;
    t.settle()?;
    t.expect_note(R2, "a checkpoint to be installed", installed)?;
    t.expect_equal_memory_and_disk(All)
}

/// The first one says how long they are.
fn two_at_a_time(t: &mut Scenario) -> Verdict {
    let part = 1 << 20;
    leave_behind(t, 600 << 10)?;
    t.hold(CheckpointPart, All, R2);
    t.mend(R2, All);
    t.run(t.heartbeat().times(2))?;
    let first = in_hand(t);
    t.expect(first.iter().all(|(at, bytes, _)| (*at, *bytes) == (0, part)), format!("only the first, not {first:?}"))?;
    t.release_oldest_copy(CheckpointPart, All, R2)?;
    t.run(t.heartbeat())?;
    let next = in_hand(t);
    let begins = |at: u64| next.iter().any(|(offset, _, _)| *offset == at);
    t.expect(begins(part) && begins(2 * part) && !begins(3 * part), format!("two more and no third, not {next:?}"))?;
    t.expect(next.iter().all(|(_, _, length)| *length > 4 * part), "more than four of them")?;
    t.forget(CheckpointPart, All, R2);
    t.run(t.heartbeat().times(12))?;
    t.expect(!in_hand(t).is_empty(), "what was lost to be asked for again")?;
    t.release_copies(CheckpointPart, All, R2)?;
    t.run(t.heartbeat())?;
    t.release(CheckpointPart, All, R2)?;
    t.settle()?;
    t.expect_note(R2, "a checkpoint to be installed", installed)?;
    t.expect_equal_memory_and_disk(All)
}
