//! The laboratory: the same session is the same session, whatever is typed, forked, saved or replayed.
//!
//! Owns the promises of `vr_sim::lab` as whoever embeds it meets them. Must not know how a session is executed. VIEW §3.6,
//! §7 check 14.

use vr_sim::case::Case;
use vr_sim::lab::{Lab, LabSetup};

const STORY: &str = "register c0 r0; run 20ms; request c0 r0 put x 1; run 30ms; crash r0; note the primary is gone
    request c0 r0 get x; retry c0 r1; run 2s; restart r0; run 300ms; partition r0|r1,r2; run 100ms; heal; step 5; run 40ms";

fn played(script: &str) -> (Lab, usize) {
    let mut lab = Lab::default();
    let branch = lab.root(&LabSetup::default()).expect("a plain cluster");
    lab.run_text(branch, script).expect("a script that can be carried out");
    (lab, branch)
}

#[test]
fn the_same_script_gives_the_same_digest_and_the_same_bytes() {
    let ((one, a), (two, b)) = (played(STORY), played(STORY));
    assert_eq!(one.case(a).unwrap(), two.case(b).unwrap());
    assert_eq!(one.trace(a).unwrap(), two.trace(b).unwrap());
    assert_eq!(one.lines(a, 0).unwrap(), two.lines(b, 0).unwrap());
    assert_eq!(one.state(a).unwrap(), two.state(b).unwrap());
    let mut other = Lab::default();
    let other_seed = other.root(&LabSetup { seed: 2, ..LabSetup::default() }).unwrap();
    other.run_text(other_seed, STORY).unwrap();
    assert_ne!(one.case(a).unwrap().digest, other.case(other_seed).unwrap().digest);
}

#[test]
fn a_fork_has_what_its_parent_had_and_leaves_it_as_it_was() {
    let (mut lab, parent) = played(STORY);
    let before = (lab.trace(parent), lab.case(parent), lab.state(parent));
    let number = u64::try_from(lab.events(parent).unwrap().len()).unwrap();
    for at in (0..number).step_by(37).chain([number - 1]) {
        let fork = lab.fork(parent, at).expect("an event of the parent");
        let (events, more) = (lab.lines(fork, 1).unwrap(), lab.lines(parent, 1).unwrap());
        assert!(events.len() >= usize::try_from(at).unwrap() && more.starts_with(&events), "forked at {at}");
        let case = Case::read(&lab.case(fork).unwrap().write()).unwrap();
        let again = lab.open(&case, "fork.vrcase", None).expect("a fork is a session");
        assert_eq!(lab.case(again).unwrap(), lab.case(fork).unwrap(), "forked at {at}");
        lab.run_text(fork, "run 1s").unwrap();
    }
    assert_eq!(before, (lab.trace(parent), lab.case(parent), lab.state(parent)));
    assert!(lab.fork(parent, number).unwrap_err().contains("there is no event"));
}
