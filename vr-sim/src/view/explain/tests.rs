//! Tests of the story of a violation, on the recorded one of a tour.

use super::*;
use crate::lab::tours;

fn recorded() -> Vec<TraceEvent> {
    tours().iter().find_map(|tour| tour.recording()).expect("a recorded tour").0.to_vec()
}

#[test]
fn the_story_ends_with_the_violation_and_is_short_and_in_order() {
    let story = explain(&recorded()).expect("a violation");
    assert!((5..=SENTENCES_MAX).contains(&story.len()), "{}", text(&story));
    assert!(story.is_sorted_by(|one, next| one.i < next.i));
    assert!(story.last().expect("sentences").text.contains("VIOLATION of S8"), "{}", text(&story));
}

#[test]
fn both_logs_that_a_new_primary_chose_from_are_in_the_story() {
    let story = text(&explain(&recorded()).expect("a violation"));
    for told in
        ["put y 1, of view 0", "put x 2, of view 1", "r0 → r2 DoViewChange", "r2 chooses the log of r0", "crash r1"]
    {
        assert!(story.contains(told), "{told} is missing:\n{story}");
    }
}

#[test]
fn what_happened_elsewhere_and_later_is_not_in_it() {
    let events = recorded();
    let story = explain(&events).expect("a violation");
    let last = story.last().expect("sentences").i;
    assert!(story.iter().all(|sentence| sentence.i <= last));
    let until: Vec<_> = events.into_iter().filter(|event| !matches!(event.what, What::Violated(_))).collect();
    assert_eq!(explain(&until), None, "nothing is to be explained where all held");
}
