//! The reference passes the kit for host loops, and each of its defects is found by the case that is meant for it.

use super::*;

#[test]
fn the_reference_passes() {
    let report = try_all(&mut Reference::default());
    assert!(report.passed(), "{report}");
}

#[test]
fn each_defect_is_found_by_the_case_that_is_meant_for_it() {
    let meant = [
        (Defect::TrustsIncarnations, "nothing is said before its incarnation"),
        (Defect::TrustsEntries, "entries are acknowledged"),
        (Defect::TrustsViews, "nothing is said of a view"),
        (Defect::AnswersAtOnce, "a client is answered"),
        (Defect::GoesOn, "a host whose disk failed"),
        (Defect::ForgetsCompletions, "entries are acknowledged"),
    ];
    for (defect, name) in meant {
        let report = try_all(&mut Reference::with(defect));
        let found: Vec<_> = report.failed().collect();
        assert!(found.iter().any(|case| case.starts_with(name)), "{defect:?}: {report}");
    }
}
