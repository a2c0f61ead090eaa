//! The reference passes the kit for transports, and each of its defects is found by the case that is meant for it.

use super::*;

#[test]
fn the_reference_passes() {
    let report = try_all(&mut Reference::default());
    assert!(report.passed(), "{report}");
}

#[test]
fn each_defect_is_found_by_the_case_that_is_meant_for_it() {
    let meant = [
        (Defect::Forgets, "what is sent arrives"),
        (Defect::BreaksOnDuplicates, "what arrives twice"),
        (Defect::BreaksOnReordering, "what arrives in another order"),
        (Defect::KeepsDeadConnections, "an end that is gone"),
        (Defect::KeepsEverything, "a receiver that takes nothing"),
        (Defect::TakesAnyLength, "a message that is too long"),
        (Defect::TakesFromAnybody, "what does not decode"),
    ];
    for (defect, name) in meant {
        let report = try_all(&mut Reference::with(defect));
        let found: Vec<_> = report.failed().collect();
        assert!(found.len() == 1 && found[0].starts_with(name), "{defect:?}: {report}");
    }
}
