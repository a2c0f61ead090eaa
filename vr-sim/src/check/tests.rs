//! Whole runs before all checkers at once: what is legal is not complained about, in either mode.
//!
//! Owns runs of the normal case, view changes, crashes and recoveries; what each property catches is tested beside it.

use super::stage::{Stage, broken};
use vr_core::{Durability, Entries, Op, View, Write};

#[test]
fn a_legal_run_with_a_view_change_and_a_crash_breaks_nothing() {
    for durability in [Durability::Sync, Durability::Async] {
        let mut stage = Stage::new(3, durability);
        assert_eq!(broken(stage.runs(0, &[1, 2], 1..=5)), "nothing");
        assert_eq!(broken(stage.runs(0, &[1], 6..=8)), "nothing", "r2 misses these");
        assert_eq!(broken(stage.changes_view(1, &[1, 2])), "nothing");
        assert_eq!(broken(stage.runs(1, &[2], 9..=9)), "nothing");
        assert_eq!(broken(stage.crash(0)), "nothing");
        if durability == Durability::Sync {
            let up = Write::View(View(1));
            assert_eq!(broken(stage.open_with(0, &[up])), "nothing", "it led view 0 and does not resume it");
            let log = stage.puppets[1].log.clone();
            assert_eq!(broken(stage.installs(0, 1, &log)), "nothing");
        } else {
            assert_eq!(broken(stage.open(0)), "nothing");
            assert_eq!(broken(stage.recovers(0, 1, 9)), "nothing");
        }
        assert_eq!(broken(stage.commits(0, 9)), "nothing");
        assert_eq!(broken(stage.changes_view(5, &[2, 0, 1])), "nothing");
        assert_eq!((stage.checkers.decided(), stage.checkers.views_started()), (Op(9), 3));
        assert_eq!(stage.quorum(), 2);
    }
}

#[test]
fn a_start_that_nobody_heard_of_may_happen_again_with_another_log() {
    let mut stage = Stage::new(3, Durability::Sync);
    stage.runs(0, &[1, 2], 1..=2).expect("legal");
    for r in [0, 1, 2] {
        stage.enters(r, 1).expect("legal");
    }
    let start = Write::Replace { keep: Op(2), entries: Entries::empty(), view: View(1) };
    stage.writes(1, start.clone()).expect("legal");
    assert_eq!(broken(stage.crash(1)), "nothing");
    assert_eq!(broken(stage.open(1)), "nothing", "the start was not durable");
    assert_eq!(broken(stage.writes(1, start.clone())), "nothing");
    assert_eq!(broken(stage.flush(1)), "nothing");
    assert_eq!(broken(stage.writes(1, start)), "S7 one start");
}
