//! What shrinking promises, on runs that fail because a bug is planted, and on those that do not fail.

use super::*;
use crate::run::record_seed;
use crate::swarm::Options;

fn alone(work: &(dyn Fn() + Sync)) {
    work();
}

fn always(_: &Progress) -> bool {
    true
}

#[test]
fn a_run_that_does_not_fail_is_not_shrunk() {
    let case = record_seed(&Options::default(), 3).case.expect("it was recorded");
    assert!(shrink(&case, &alone, &mut always).unwrap_err().contains("does not fail"));
}

#[cfg(feature = "mutants")]
mod planted {
    use super::*;
    use crate::run::{run_case, run_seed};
    use crate::swarm::Options;

    fn failing() -> Case {
        let options = Options { mutant: Some("select_by_op".into()), ..Options::default() };
        let found = (0..20_000).map(|seed| run_seed(&options, seed)).find(|outcome| !outcome.passed());
        *found.expect("the swarm finds it").case.expect("a failure has its case")
    }

    #[test]
    fn a_shrunk_run_breaks_the_same_property_with_fewer_decisions() {
        let case = failing();
        let shrunk = shrink(&case, &alone, &mut |progress| progress.runs < 4_000);
        let shrunk = shrunk.expect("it fails");
        let again = run_case(&shrunk.case);
        assert_eq!(again.failure(), case.violation.as_deref());
        assert_eq!(again.digest, shrunk.case.digest, "what was written down is what happens");
        assert!(shrunk.case.decisions.len() <= case.decisions.len());
        assert!(shrunk.progress.accepted > 0);
    }

    #[test]
    fn shrinking_ends_when_it_is_told_to_with_the_best_so_far() {
        let case = failing();
        let shrunk = shrink(&case, &alone, &mut |progress| progress.runs < 20).expect("it fails");
        assert!(!shrunk.is_done && shrunk.progress.runs < 20 + count(ROUND));
        assert_eq!(run_case(&shrunk.case).failure(), case.violation.as_deref());
    }

    #[test]
    fn a_shrunk_run_can_be_written_as_a_test() {
        let case = failing();
        let text = as_test(&case);
        assert!(text.contains("#[test]") && text.contains("Case::read(CASE)"));
        let quoted = text.split("r##\"").nth(1).and_then(|rest| rest.split("\"##").next()).expect("the case in it");
        assert_eq!(Case::read(quoted).expect("a case"), case);
    }
}
