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
fn the_decoder_survives_every_input_that_was_kept() {
    replay("wire", vr_core::wire::fuzz_decode);
}
