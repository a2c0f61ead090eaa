//! The exhaustive search: small bounds to their end, the same every time; planted bugs found, and what is found repeated.
//!
//! Owns the promises of `vr_sim::explore`. Must not know how states merge. DESIGN §8; PROTOCOL §5.

use vr_core::Durability;
use vr_sim::explore::{Bounds, Search, Tally};

fn searched(bounds: &Bounds) -> Search {
    let mut search = Search::new(bounds).expect("within limits");
    while search.go(1000) {}
    search
}

fn tally(bounds: &Bounds) -> Tally {
    let search = searched(bounds);
    assert_eq!(search.violation(), None);
    search.tally()
}

#[test]
fn small_bounds_are_seen_to_their_end_and_the_same_way_every_time() {
    for durability in [Durability::Sync, Durability::Async] {
        let bounds = Bounds { views: 0, crashes: 0, durability, ..Bounds::default() };
        let first = tally(&bounds);
        assert!(first.complete && first.waiting == 0 && first.states > 20 && first.depth > 5, "{first:?}");
        assert_eq!(tally(&bounds), first);
    }
}

#[test]
fn a_search_that_stops_at_its_bound_on_states_is_not_complete() {
    let stopped = tally(&Bounds { states: 500, ..Bounds::default() });
    assert!(!stopped.complete && stopped.waiting > 0 && stopped.states >= 500, "{stopped:?}");
}

#[test]
fn members_that_lead_no_view_within_the_bounds_are_interchanged() {
    let four = Bounds { replicas: 4, views: 0, crashes: 0, ..Bounds::default() };
    let three = Bounds { replicas: 3, views: 0, crashes: 0, ..Bounds::default() };
    let (four, three) = (tally(&four), tally(&three));
    assert!(four.complete && four.states < three.states * 6, "{} and {}", four.states, three.states);
}

#[test]
fn what_cannot_be_searched_is_refused_in_one_line() {
    for bounds in [
        Bounds { replicas: 0, ..Bounds::default() },
        Bounds { replicas: 8, ..Bounds::default() },
        Bounds { requests: 99, ..Bounds::default() },
        Bounds { mutant: Some("no such bug".into()), ..Bounds::default() },
    ] {
        let told = Search::new(&bounds).err().expect("refused");
        assert!(!told.is_empty() && !told.contains('\n'), "{told}");
    }
}

#[cfg(feature = "mutants")]
mod planted {
    use super::*;
    use vr_sim::case::Case;
    use vr_sim::explore::{Found, Judge, repeated};
    use vr_sim::lab::Session;

    /// What is found of a planted bug, repeated, and repeated once more from its case file.
    fn found(mutant: &str, bounds: Bounds) -> Found {
        let search = searched(&Bounds { mutant: Some(mutant.into()), ..bounds });
        assert!(search.violation().is_some(), "{mutant}: {:?}", search.tally());
        let found = repeated(&search).expect("a path that can be gone again").expect("something was found");
        let again = Case::read(&found.case.write()).expect("a case file");
        let session = Session::of_case(&again, "again.vrcase", None).expect("a script");
        assert!(found.case.violation.is_some(), "{mutant}: {:?}", found.seen);
        assert_eq!(session.failure().map(str::to_owned), found.case.violation);
        assert_eq!(session.case().digest, found.case.digest);
        found
    }

    #[test]
    fn a_recovery_as_printed_is_found_with_two_crashes_and_one_view() {
        let found = found("vrr_recovery", Bounds { durability: Durability::Async, crashes: 2, ..Bounds::default() });
        assert!(found.moves <= 5, "{found:?}");
    }

    #[test]
    fn a_log_that_is_cut_at_news_of_a_later_view_is_found_with_two_more_views() {
        let bounds = Bounds { views: 2, crashes: 0, ..Bounds::default() };
        assert!(found("st_truncate", bounds).moves > 3);
    }

    #[test]
    fn a_primary_that_resumes_its_view_is_found_with_one_crash_and_one_view() {
        assert_eq!(found("primary_resumes_view", Bounds { crashes: 1, ..Bounds::default() }).moves, 2);
    }

    #[test]
    fn harm_alone_finds_a_primary_that_resumes_its_view() {
        let bounds = Bounds { requests: 2, crashes: 1, judge: Judge::Harm, ..Bounds::default() };
        assert!(found("primary_resumes_view", bounds).moves > 2);
    }
}
