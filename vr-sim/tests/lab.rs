//! The laboratory: the same session is the same session, whatever is typed, forked, saved or replayed.
//!
//! Owns the promises of `vr_sim::lab` as whoever embeds it meets them. Must not know how a session is executed. VIEW §3.6,
//! §7 check 14.

use proptest::prelude::*;
use vr_core::trace::{MessageId, TraceEvent, What};
use vr_core::{Durability, Wait};
use vr_sim::case::Case;
use vr_sim::lab::command::{Act, Deed, To};
use vr_sim::lab::{Command, Lab, LabSetup, State};
use vr_sim::run::{record_seed, run_case};
use vr_sim::swarm::Options;

const STORY: &str = "register c0 r0; run 20ms; request c0 r0 put x 1; run 30ms; crash r0; note the primary is gone
    request c0 r0 get x; retry c0 r1; run 2s; restart r0; run 300ms; partition r0|r1,r2; run 100ms; heal; step 5; run 40ms";

fn played(script: &str) -> (Lab, usize) {
    let mut lab = Lab::default();
    let branch = lab.root(&LabSetup::default()).expect("a plain cluster");
    lab.run_text(branch, script).expect("a script that can be carried out");
    (lab, branch)
}

/// Everything that can be seen of a branch.
fn seen(lab: &Lab, branch: usize) -> (String, Case, State) {
    (lab.trace(branch).expect("a branch"), lab.case(branch).expect("a branch"), lab.state(branch).expect("a branch"))
}

fn refusal(lab: &mut Lab, branch: usize, script: &str) -> String {
    let before = seen(lab, branch);
    let told = lab.run_text(branch, script).expect_err("it cannot be done");
    assert!(!told.contains('\n') && !told.is_empty(), "{told}");
    assert_eq!(before, seen(lab, branch), "`{script}` was refused and changed something");
    told
}

/// What arrived at replicas, in order, as `MESSAGE RECEIVER`.
fn arrivals(events: &[TraceEvent]) -> Vec<String> {
    let of = |event: &TraceEvent| {
        let What::Received(it) = &event.what else { return None };
        Some(format!("{} {}", it.m, event.n.expect("at somebody")))
    };
    events.iter().filter_map(of).collect()
}

fn kinds(lab: &Lab, branch: usize, from: usize) -> Vec<&'static str> {
    lab.events(branch).expect("a branch")[from..].iter().map(|event| event.what.kind()).collect()
}

#[test]
fn the_same_script_gives_the_same_digest_and_the_same_bytes() {
    let ((one, a), (two, b)) = (played(STORY), played(STORY));
    assert_eq!(seen(&one, a), seen(&two, b));
    assert_eq!(one.lines(a, 0).unwrap(), two.lines(b, 0).unwrap());
    let mut other = Lab::default();
    let other_seed = other.root(&LabSetup { seed: 2, ..LabSetup::default() }).unwrap();
    other.run_text(other_seed, STORY).unwrap();
    assert_ne!(one.case(a).unwrap().digest, other.case(other_seed).unwrap().digest);
}

#[test]
fn a_fork_has_what_its_parent_had_and_leaves_it_as_it_was() {
    let (mut lab, parent) = played(STORY);
    let before = seen(&lab, parent);
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
    assert_eq!(before, seen(&lab, parent));
    assert!(lab.fork(parent, number).unwrap_err().contains("there is no event"));
    assert!(lab.fork(99, 0).unwrap_err().contains("there is no branch 99"));
}

#[test]
fn a_run_of_a_seed_is_forked_where_one_likes_and_goes_on_as_it_was_decided() {
    let case = *record_seed(&Options::default(), 3).case.expect("a recorded run has its case");
    let mut lab = Lab::default();
    let untouched = lab.open(&case, "3", Some(500)).unwrap();
    lab.run_text(untouched, "run 60s; note nothing was done").unwrap();
    assert_eq!(lab.case(untouched).unwrap().digest, run_case(&case).digest, "left alone, it is the run that it was");
    assert!(refusal(&mut lab, untouched, "crash r0").contains("come to its end"));
    let other = lab.open(&case, "3", Some(500)).unwrap();
    lab.run_text(other, "crash r0; run 2s").unwrap();
    let saved = Case::read(&lab.case(other).unwrap().write()).unwrap();
    assert_eq!((saved.fork_at, saved.script.len()), (Some(500), 2));
    assert_ne!(saved.digest, case.digest);
    let again = lab.open(&saved, "fork.vrcase", None).unwrap();
    assert_eq!(lab.case(again).unwrap(), saved);
    let earlier = lab.open(&saved, "fork.vrcase", Some(200)).unwrap();
    assert_eq!(lab.case(earlier).unwrap().fork_at, Some(200), "a fork before the fork is one of the run");
    assert!(lab.open(&case, "3", None).unwrap_err().contains("at which event"));
    assert!(lab.open(&case, "3", Some(1 << 40)).unwrap_err().contains("there is no event"));
}

#[test]
fn held_messages_arrive_in_the_order_in_which_they_are_delivered() {
    let (mut lab, branch) = played("register c0 r0; run 20ms; request c0 r0 put x 1; hold on; run 4ms");
    let held = lab.state(branch).unwrap().held;
    let prepares: Vec<_> = held.iter().filter(|letter| letter.ty == "Prepare").collect();
    assert_eq!(prepares.len(), 2, "{held:?}");
    let from = lab.events(branch).unwrap().len();
    let wanted: Vec<String> = prepares.iter().rev().map(|letter| format!("{} {}", letter.m, letter.to)).collect();
    for letter in &wanted {
        lab.run_text(branch, &format!("deliver {letter}")).unwrap();
    }
    assert_eq!(arrivals(&lab.events(branch).unwrap()[from..]), wanted);
    assert!(refusal(&mut lab, branch, &format!("deliver {}", wanted[0])).contains("no message"));
    lab.run_text(branch, "run 1ms; deliver-all; hold off; run 20ms").unwrap();
    assert!(lab.state(branch).unwrap().held.is_empty());
    assert!(lab.state(branch).unwrap().clients[0].ready, "the client was answered");
}

#[test]
fn one_message_is_dropped_doubled_or_delayed_wherever_it_is() {
    for hold in ["", "hold on; "] {
        let (mut lab, branch) = played(&format!("register c0 r0; run 20ms; {hold}request c0 r0 put x 1; step 2"));
        let state = lab.state(branch).unwrap();
        let held = state.held.iter().map(|letter| (letter.m, letter.to, letter.ty.clone()));
        let flying = state.flying.iter().map(|letter| (letter.m, letter.to, letter.ty.clone()));
        let mut prepares = held.chain(flying).filter(|(.., ty)| ty == "Prepare");
        let ((one, to_one, _), (two, to_two, _)) = (prepares.next().unwrap(), prepares.next().unwrap());
        let from = lab.events(branch).unwrap().len();
        let script = format!("duplicate {one} {to_one}; delay {two} {to_two} 5ms; drop {one} {to_one}");
        lab.run_text(branch, &script).unwrap();
        assert_eq!(kinds(&lab, branch, from), ["do", "dup", "do", "delay", "do", "drop"]);
        let state = lab.state(branch).unwrap();
        assert!(state.flying.iter().any(|letter| letter.m == two && letter.to == to_two && letter.at > state.now));
        lab.run_text(branch, &format!("deliver {one} {to_one}; run 10ms")).unwrap();
        let came = arrivals(&lab.events(branch).unwrap()[from..]);
        assert_eq!(came.iter().filter(|arrival| **arrival == format!("{one} {to_one}")).count(), 1, "{came:?}");
        assert_eq!(came.iter().filter(|arrival| **arrival == format!("{two} {to_two}")).count(), 1, "{came:?}");
        assert!(refusal(&mut lab, branch, &format!("drop {one} {to_one}")).contains("no message"));
    }
}

#[test]
fn requests_and_answers_are_messages_too() {
    let (mut lab, branch) = played("register c0 r0");
    let request = lab.state(branch).unwrap().flying[0].clone();
    assert_eq!(request.ty, "Request");
    lab.run_text(branch, &format!("deliver {} {}; run 4ms", request.m, request.to)).unwrap();
    let answer = |lab: &Lab| lab.state(branch).unwrap().flying.into_iter().find(|letter| letter.ty == "Reply");
    while answer(&lab).is_none() {
        lab.run_text(branch, "step").unwrap();
    }
    let answer = answer(&lab).unwrap();
    assert!(matches!(answer.m, MessageId::Answer { .. }));
    lab.run_text(branch, &format!("drop {} {}; run 50ms", answer.m, answer.to)).unwrap();
    assert!(lab.state(branch).unwrap().clients[0].waiting, "its answer was lost");
    lab.run_text(branch, "retry c0 r0; run 10ms").unwrap();
    assert!(lab.state(branch).unwrap().clients[0].ready);
}

#[test]
fn what_cannot_be_done_is_refused_in_one_line_and_changes_nothing() {
    let (mut lab, branch) = played("register c0 r0; run 20ms");
    let cases = [
        ("crahs r0", "is `crash` meant?"),
        ("run 5ms; crahs r0", "is `crash` meant?"),
        ("crash r7", "there is no r7"),
        ("restart r0", "r0 is not down"),
        ("resume r0", "r0 is not paused"),
        ("deliver r0.1.999 r1", "no message r0.1.999"),
        ("deliver r0.1.1 c5", "there is no c5"),
        ("request c1 r0 get x", "`register c1 r0`"),
        ("register c0 r0", "c0 has a session"),
        ("request c0 r0 take x", "put KEY VALUE"),
        ("retry c0 r1", "waits for nothing"),
        ("heal", "no link is cut"),
        ("heal r0 r1", "it is not cut"),
        ("partition r0,r1|r1", "r1 is named twice"),
        ("hold off", "not held"),
        ("deliver-all", "no message is held"),
        ("room r0", "has room"),
        ("run 0ms", "between 1ns and 60s"),
        ("run 18446744073709551615s", "is no time"),
        ("step 999999999", "no number from 1"),
        ("note", "says something"),
    ];
    for (script, why) in cases {
        let told = refusal(&mut lab, branch, script);
        assert!(told.contains(why), "`{script}`: {told}");
    }
}

#[test]
fn a_cut_is_mended_alone_and_the_trace_says_which_links_are_cut() {
    let (mut lab, branch) = played("partition r0|r1,r2");
    let from = lab.events(branch).unwrap().len();
    lab.run_text(branch, "heal r0 r1").unwrap();
    assert_eq!(kinds(&lab, branch, from), ["do", "heal", "part", "part", "part"]);
    assert!(refusal(&mut lab, branch, "heal r0 r1").contains("not cut"));
    lab.run_text(branch, "cut r0 r1; heal").unwrap();
    assert!(refusal(&mut lab, branch, "heal").contains("no link is cut"));
}

#[test]
fn times_that_pass_one_after_the_other_are_one_time() {
    let (mut one, a) = played("run 20ms; run 30ms; step 2; step; run 1ms");
    let (two, b) = played("run 50ms; step 3; run 1ms");
    assert_eq!(one.list()[a].script, ["run 50ms", "step 3", "run 1ms"]);
    assert_eq!(seen(&one, a), seen(&two, b));
    one.run_text(a, "run 60s").unwrap();
    assert_eq!(one.list()[a].script.last().map(String::as_str), Some("run 60s"), "no longer than can be typed");
}

#[test]
fn a_cluster_that_lost_its_memory_altogether_is_no_violation_and_no_end() {
    let mut lab = Lab::default();
    let asked = LabSetup { durability: Durability::Async, ..LabSetup::default() };
    let branch = lab.root(&asked).unwrap();
    let script = "register c0 r0; run 20ms; request c0 r0 put x 1; run 20ms; crash r0; crash r1; crash r2
        restart r0; restart r1; restart r2; run 5s";
    lab.run_text(branch, script).unwrap();
    assert_eq!(lab.state(branch).unwrap().violation, None);
    lab.run_text(branch, "crash r0; crash r1; crash r2; run 1s").unwrap();
    assert_eq!(lab.state(branch).unwrap().now, 6_040_000_000);
}

#[test]
fn whoever_acts_after_the_faults_have_ended_is_not_asked_for_rest() {
    let case = *record_seed(&Options::default(), 3).case.expect("a recorded run has its case");
    let mut lab = Lab::default();
    let whole = lab.open(&case, "3", Some(0)).unwrap();
    lab.run_text(whole, "run 60s").unwrap();
    let is_heal = |event: &&TraceEvent| matches!(&event.what, What::Note(it) if it.what.as_deref() == Some("healed"));
    let healed = lab.events(whole).unwrap().iter().find(is_heal).expect("the faults end").i;
    let fork = lab.fork(whole, healed).unwrap();
    lab.run_text(fork, "hold on; crash r0; crash r1; run 20s").unwrap();
    assert_eq!(lab.state(fork).unwrap().violation, None);
}

// ---- whatever is typed

fn command() -> impl Strategy<Value = Command> {
    let (replica, client) = (0..64usize, 0..64usize);
    let acts = [Act::Crash, Act::Restart, Act::Pause, Act::Resume, Act::Stop, Act::Isolate, Act::Timer, Act::Fill];
    let wait = (1..60_000_000_000u64).prop_map(Wait);
    let m = prop_oneof![Just("r0.1.7"), Just("r63.9.18446744073709551615"), Just("cf00.3.1"), Just("c1.2.3.r2")];
    let m = m.prop_map(|m| m.parse::<MessageId>().expect("a name"));
    let to = prop_oneof![replica.clone().prop_map(To::Replica), client.clone().prop_map(To::Client)];
    let deed =
        prop_oneof![Just(Deed::Deliver), Just(Deed::Drop), Just(Deed::Duplicate), wait.clone().prop_map(Deed::Delay)];
    let op =
        prop_oneof!["get [a-z]{1,9}", "delete [a-zä-ü]{1,9}", "put [a-z#|]{1,9} [a-z0-9]{1,5}( [^;\\pC ]{1,9}){0,2}"];
    prop_oneof![
        (client.clone(), replica.clone()).prop_map(|(client, replica)| Command::Register { client, replica }),
        (client.clone(), replica.clone()).prop_map(|(client, replica)| Command::Retry { client, replica }),
        (client.clone(), replica.clone(), op).prop_map(|(client, replica, op)| Command::Request {
            client,
            replica,
            op
        }),
        client.prop_map(Command::CrashClient),
        (prop::sample::select(acts.to_vec()), replica.clone()).prop_map(|(act, on)| Command::Replica(act, on)),
        (replica.clone(), wait.clone()).prop_map(|(on, wait)| Command::Clock(on, wait)),
        (replica.clone(), 1..10_000u64).prop_map(|(on, times)| Command::SlowDisk(on, times)),
        (replica.clone(), replica.clone()).prop_map(|(a, b)| Command::Cut(a, b)),
        (replica.clone(), replica).prop_map(|(a, b)| Command::HealLink(a, b)),
        Just(Command::Partition(vec![vec![0, 3], vec![1], vec![2, 4]])),
        prop_oneof![Just(Command::Heal), Just(Command::DeliverAll), Just(Command::DropAll)],
        any::<bool>().prop_map(Command::Hold),
        (deed, m, to).prop_map(|(deed, m, to)| Command::Message(deed, m, to)),
        (1..100_000u64).prop_map(Command::Step),
        wait.prop_map(Command::Run),
        "[^;\\pC\\pZ]{1,20}( [^;\\pC\\pZ]{1,20}){0,3}".prop_map(Command::Note),
    ]
}

/// What a person may type: right and wrong words, in the right and the wrong places.
fn typed() -> impl Strategy<Value = String> {
    let verb = prop_oneof![
        8 => prop::sample::select(vec![
            "register c0", "register c1", "request c0", "request c1", "retry c0", "crash-client c0", "crash", "restart",
            "pause", "resume", "stop", "isolate", "timer", "sync", "fail-sync", "fill", "room", "cut r0", "heal", "heal r0",
            "partition r0|", "hold", "deliver r0.1.3", "drop r1.1.2", "duplicate r0.1.4", "delay r0.1.5", "step 4",
            "deliver-all", "drop-all", "clock", "slow-disk", "run", "note",
        ]),
        1 => Just("frob"),
        1 => Just(""),
    ];
    let rest = prop_oneof![
        6 => prop::sample::select(vec![
            "", "r0", "r1", "r2", "r0 1", "r1 20ms", "r2 10", "20ms", "300ms", "on", "off", "r1 put x 1", "r0 get x", "r9", "c0",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,30}",
    ];
    (verb, rest).prop_map(|(verb, rest)| format!("{verb} {rest}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_command_is_read_as_it_was_written(command in command()) {
        prop_assert_eq!(command.to_string().parse(), Ok(command));
    }

    #[test]
    fn any_text_is_a_command_or_is_refused_in_one_line(text in "\\PC{0,60}") {
        if let Err(told) = text.parse::<Command>() {
            prop_assert!(!told.contains('\n'));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_typed_nothing_panics_and_what_was_done_can_be_done_again(
        lines in prop::collection::vec(typed(), 1..40), at in any::<prop::sample::Index>(),
        replicas in prop::sample::select(vec![2, 3, 3, 4, 5]), in_memory in any::<bool>(),
    ) {
        let durability = if in_memory { Durability::Async } else { Durability::Sync };
        let mut lab = Lab::default();
        let branch = lab.root(&LabSetup { replicas, durability, ..LabSetup::default() }).expect("a plain cluster");
        for line in &lines {
            let _ = lab.run_text(branch, line);
        }
        let case = Case::read(&lab.case(branch).unwrap().write()).unwrap();
        let again = lab.open(&case, "session.vrcase", None).map_err(TestCaseError::fail)?;
        prop_assert_eq!(seen(&lab, branch), seen(&lab, again));
        prop_assert_eq!(lab.state(branch).unwrap().violation, None, "{:?}", case.script);
        let at = at.index(lab.events(branch).unwrap().len());
        let fork = lab.fork(branch, u64::try_from(at).unwrap()).map_err(TestCaseError::fail)?;
        prop_assert!(lab.lines(branch, 1).unwrap().starts_with(&lab.lines(fork, 1).unwrap()));
    }
}
