//! Lists of decisions, drawn: what a log is given to write in the tests.
//!
//! Owns how often each occurs. Must not know which write a decision becomes.

use proptest::prelude::*;
use vr_tokio::fuzz::author::Step;

pub(crate) fn steps(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => Just(Step::Incarnation),
        2 => Just(Step::View),
        6 => (1usize..4, 0usize..700).prop_map(|(entries, body)| Step::Append { entries, body }),
        2 => (0u64..6, 0usize..4).prop_map(|(back, entries)| Step::Replace { back, entries }),
        1 => (0u64..6).prop_map(|back| Step::Repair { back }),
        1 => Just(Step::Clean),
        1 => (0u64..5, 0usize..3000).prop_map(|(back, state)| Step::Checkpoint { back, state }),
        2 => (0u64..3).prop_map(|back| Step::Cut { back }),
        1 => (0u64..9, 0usize..4).prop_map(|(ahead, entries)| Step::Install { ahead, entries }),
        1 => (0u64..3).prop_map(|ahead| Step::Epoch { ahead }),
        5 => Just(Step::Sync),
        1 => Just(Step::Mark),
    ];
    proptest::collection::vec(step, 1..longest)
}
