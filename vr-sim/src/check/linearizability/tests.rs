//! Histories known to be linearizable and known not to be, and the search against brute force on small ones.
//!
//! Owns a register with writes, appends and compare-and-sets, and a judge that tries every order. PROTOCOL §4 S15.

use super::*;
use crate::check::stage::Appends;
use proptest::prelude::*;

/// `w…` writes, `a…` appends, `cXY` replaces X by Y; every operation answers what it found.
struct Register;

impl Model for Register {
    fn key(&self, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    fn step(&self, state: &[u8], body: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let after = match body {
            [b'w', value @ ..] => value.to_vec(),
            [b'a', more @ ..] => [state, more].concat(),
            [b'c', expected, value] if state == [*expected] => vec![*value],
            _ => state.to_vec(),
        };
        (after, state.to_vec())
    }
}

fn name(call: usize) -> Name {
    let number = u64::try_from(call).expect("small") + 1;
    (ClientId(1), Session(1), RequestNumber(number))
}

/// A call from a moment to a moment, with its answer; 0 for a call that was never answered.
fn call(place: usize, body: &str, invoked: u64, returned: u64, answer: &str) -> Call {
    let returned = (returned > 0).then(|| (returned, answer.as_bytes().to_vec()));
    Call { name: name(place), body: body.as_bytes().to_vec(), invoked, returned, hint: None }
}

fn verdict(history: &[(&str, u64, u64, &str)]) -> Outcome {
    let calls: Vec<Call> =
        history.iter().enumerate().map(|(i, (body, from, to, answer))| call(i, body, *from, *to, answer)).collect();
    let calls: Vec<&Call> = calls.iter().collect();
    search(&Register, &calls, BUDGET)
}

/// Tries every order of every choice of calls, without a memory.
fn brute_force(calls: &[&Call], taken: &mut Vec<bool>, state: &[u8]) -> bool {
    let left = |taken: &[bool], i: usize| !taken[i] && calls[i].returned.is_some();
    if !(0..calls.len()).any(|i| left(taken, i)) {
        return true;
    }
    let end = |i: usize| calls[i].returned.as_ref().map(|(at, _)| *at);
    let deadline = (0..calls.len()).filter(|i| !taken[*i]).filter_map(end).min();
    (0..calls.len()).any(|i| {
        if taken[i] || deadline.is_some_and(|deadline| calls[i].invoked > deadline) {
            return false;
        }
        let (after, result) = Register.step(state, &calls[i].body);
        if calls[i].returned.as_ref().is_some_and(|(_, answer)| *answer != result) {
            return false;
        }
        taken[i] = true;
        let found = brute_force(calls, taken, &after);
        taken[i] = false;
        found
    })
}

#[test]
fn one_call_after_the_other_must_see_each_other() {
    assert_eq!(verdict(&[("wa", 1, 2, ""), ("g", 3, 4, "a")]), Outcome::Linearizable);
    assert_eq!(verdict(&[("wa", 1, 2, ""), ("g", 3, 4, "")]), Outcome::Stuck(1), "a lost write");
    assert_eq!(verdict(&[("wa", 1, 2, ""), ("wb", 3, 4, "a"), ("g", 5, 6, "a")]), Outcome::Stuck(2), "a stale read");
    assert_eq!(verdict(&[]), Outcome::Linearizable);
}

#[test]
fn concurrent_calls_may_take_effect_in_any_order_but_in_one() {
    let both = |first: &str, second: &str| {
        verdict(&[("aa", 1, 4, ""), ("ab", 2, 3, ""), ("g", 5, 6, first), ("g", 7, 8, second)])
    };
    assert_ne!(both("ab", "ab"), Outcome::Linearizable, "both appends found nothing");
    let orders = |a: &str, b: &str, read: &str| verdict(&[("aa", 1, 4, a), ("ab", 2, 3, b), ("g", 5, 6, read)]);
    assert_eq!(orders("", "a", "ab"), Outcome::Linearizable);
    assert_eq!(orders("b", "", "ba"), Outcome::Linearizable);
    assert_ne!(orders("b", "", "ab"), Outcome::Linearizable);
    let reads = [("wa", 1, 8, ""), ("g", 2, 3, "a"), ("g", 4, 5, "")];
    assert_eq!(verdict(&reads), Outcome::Stuck(2), "a new value must not disappear again");
}

#[test]
fn a_call_without_an_answer_may_take_effect_late_or_never() {
    assert_eq!(verdict(&[("wa", 1, 0, ""), ("g", 2, 3, ""), ("g", 4, 5, "a")]), Outcome::Linearizable, "late");
    assert_eq!(verdict(&[("wa", 1, 0, ""), ("g", 2, 3, "")]), Outcome::Linearizable, "never");
    let twice = [("wa", 1, 0, ""), ("g", 2, 3, "a"), ("wb", 4, 5, "a"), ("g", 6, 7, "a")];
    assert_eq!(verdict(&twice), Outcome::Stuck(3), "not twice");
    assert_eq!(verdict(&[("wa", 3, 0, ""), ("g", 1, 2, "a")]), Outcome::Stuck(1), "not before it was made");
}

#[test]
fn a_search_that_needs_too_much_memory_is_given_up_and_counted() {
    let mut history: Vec<(String, u64, u64)> = (1..14).map(|i| (format!("a{i}"), i, 0)).collect();
    history.push(("g".to_owned(), 20, 21));
    let calls: Vec<Call> = history.iter().enumerate().map(|(i, (b, from, to))| call(i, b, *from, *to, "x")).collect();
    let calls: Vec<&Call> = calls.iter().collect();
    assert_eq!(search(&Register, &calls, 10_000), Outcome::Undecided);
}

#[test]
fn hints_only_say_what_to_try_first() {
    let mut calls = [call(0, "aa", 1, 9, ""), call(1, "ab", 2, 8, "a"), call(2, "ac", 3, 7, "ab")];
    for hints in [[1, 2, 3], [3, 2, 1], [2, 2, 2]] {
        for (call, hint) in calls.iter_mut().zip(hints) {
            call.hint = Some(Op(hint));
        }
        assert_eq!(search(&Register, &calls.iter().collect::<Vec<_>>(), BUDGET), Outcome::Linearizable);
    }
}

#[test]
fn a_history_is_judged_key_by_key_and_the_violation_says_what_was_seen() {
    let mut judge = Linearizability::new(Some(Arc::new(Appends)));
    let answer = |judge: &mut Linearizability, i: usize, body: &[u8], result: &[u8]| {
        judge.invoked(name(i), body);
        judge.invoked(name(i), body);
        assert!(judge.answered(name(i), Op(1), result));
    };
    answer(&mut judge, 0, b"xa", b"");
    answer(&mut judge, 1, b"yb", b"");
    judge.invoked(name(2), b"xz");
    assert!(!judge.answered(name(9), Op(1), b""), "nobody called that");
    assert_eq!(judge.clone().judge(std::iter::once((name(2), Op(4)))), Ok(()));
    answer(&mut judge, 3, b"xc", b"c");
    let Err(violation) = judge.judge(std::iter::empty()) else { panic!("c came from nowhere") };
    assert_eq!(violation.property, S15);
    let expected =
        "request 4 of c1 in session 1 (\"xc\") was answered \"c\", which no order of the 3 calls on key \"x\" explains";
    assert_eq!(violation.message, expected);
    assert_eq!(judge.undecided(), 0);
}

/// Up to six calls that overlap at random; answers are those of some order or made up.
fn histories() -> impl Strategy<Value = Vec<Call>> {
    let body = prop_oneof![Just("wa"), Just("wb"), Just("aa"), Just("ab"), Just("cab"), Just("cba"), Just("g")];
    let answer = prop_oneof![Just(""), Just("a"), Just("b"), Just("ab"), Just("ba"), Just("aa")];
    let one = (body, answer, 1u64..40, 1u64..12, 0u8..4);
    proptest::collection::vec(one, 1..=6).prop_map(|calls| {
        let mut history = Vec::new();
        for (place, (body, answer, from, length, unanswered)) in calls.into_iter().enumerate() {
            // Distinct moments: two calls never share one.
            let moment = |at: u64| at * 16 + u64::try_from(place).expect("small");
            let returned = if unanswered == 0 { 0 } else { moment(from + length) };
            history.push(call(place, body, moment(from), returned, answer));
        }
        history
    })
}

/// The same calls with the answers that executing them at some moment between call and return gives.
fn answered_in_order(mut history: Vec<Call>) -> Vec<Call> {
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by_key(|i| history[*i].invoked);
    let mut state = Vec::new();
    for i in order {
        let (after, result) = Register.step(&state, &history[i].body);
        state = after;
        if let Some((_, answer)) = &mut history[i].returned {
            *answer = result;
        }
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_search_finds_what_brute_force_finds(made_up in histories(), real in histories(), flip in 0usize..6) {
        let real = answered_in_order(real);
        let mut mixed = real.clone();
        if let Some(Some((_, answer))) = mixed.get_mut(flip).map(|call| &mut call.returned) {
            *answer = b"a".to_vec();
        }
        for history in [made_up, real.clone(), mixed] {
            let calls: Vec<&Call> = history.iter().collect();
            let expected = brute_force(&calls, &mut vec![false; calls.len()], &[]);
            let found = search(&Register, &calls, BUDGET);
            prop_assert_eq!(found == Outcome::Linearizable, expected, "{:?}: {:?}", found, history);
            prop_assert_ne!(found, Outcome::Undecided);
        }
        prop_assert_eq!(search(&Register, &real.iter().collect::<Vec<_>>(), BUDGET), Outcome::Linearizable);
    }
}
