//! The reference passes the kit for storage, and each of its defects is found by the case that is meant for it.

use super::*;

fn failed(defect: Defect) -> Vec<&'static str> {
    try_all(&mut Reference::with(defect)).failed().collect()
}

#[test]
fn the_reference_passes() {
    let report = try_all(&mut Reference::default());
    assert!(report.passed(), "{report}");
    assert!(report.cases.iter().map(|case| case.tried).sum::<u64>() > 200, "{report}");
}

#[test]
fn each_defect_is_found_by_the_case_that_is_meant_for_it() {
    let meant = [
        (Defect::ConfirmsEarly, "a power cut that leaves nothing"),
        (Defect::KeepsHoles, "a power cut that leaves some"),
        (Defect::ForgetsAtTheSecondStart, "what was found after a power cut"),
        (Defect::TakesRotForTorn, "what rotted is refused or told"),
        (Defect::TriesAgain, "nothing is confirmed after a sync that failed"),
        (Defect::LosesWhatDoesNotFit, "a full disk"),
        (Defect::ForgetsAtTheEnd, "what was confirmed is there after it was closed"),
    ];
    for (defect, name) in meant {
        let found = failed(defect);
        assert!(found.iter().any(|case| case.starts_with(name)), "{defect:?} was found by {found:?}");
    }
}
