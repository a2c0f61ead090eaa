//! The inputs that fuzzers found worth keeping, and every one that ever failed, played again.
//!
//! Owns where they lie. Must not know what an input means.

use std::path::Path;

/// Plays every input of a target.
fn replay(target: &str, play: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let listing = std::fs::read_dir(&folder).expect("the inputs are kept there");
    let mut files: Vec<_> = listing.map(|item| item.expect("a name").path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{target}: {} inputs", files.len());
    for file in files {
        println!("{}", file.display());
        play(&std::fs::read(&file).expect("an input"));
    }
}

#[test]
fn a_cluster_survives_every_input_that_was_kept_of_small_ones() {
    replay("events", vr_sim::fuzz::events);
}

#[test]
fn a_cluster_survives_every_input_that_was_kept_of_all_kinds() {
    replay("schedule", vr_sim::fuzz::schedule);
}

#[test]
fn an_input_becomes_a_case_that_replay_repeats() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (input, case) = (dir.join("an-input"), dir.join("an-input.vrcase"));
    std::fs::write(&input, [0, 0, 0, 0, 0, 0, 0, 0, 15, 1, 0, 1, 0, 0, 0, 4, 0, 1, 0, 0]).expect("a file");
    let run = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_vr-sim")).args(words).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let text = |path: &Path| path.display().to_string();
    let (code, said) = run(&["case", "schedule", &text(&input), "--output", &text(&case)]);
    assert!(code == Some(0) && said.contains("2 decisions") && said.contains("replay"), "{code:?} {said}");
    let (code, said) = run(&["replay", &text(&case)]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(run(&["case", "wal", &text(&input)]).0, Some(2), "of a log there is no case");
}
