//! Clients, through the public API: sessions, retries, refusals, at most once. VRR §4.1, §4.5; PROTOCOL 1.2.
//!
//! Owns what a client may rely on: one test per promise. What every step must keep besides is judged by the watch.

#[path = "support/scripted.rs"]
mod scripted;

use bytes::Bytes;
use scripted::{EVERY, Scripted, request};
use vr_core::{
    Batching, Config, Input, MessageKind, Note, Op, Reject, ReplicaId, Reply, RequestNumber, Session, StatusName, View,
    Wait,
};

impl Scripted {
    fn refusals(&mut self) -> Vec<Reject> {
        self.rejections.drain(..).map(|rejection| rejection.reason).collect()
    }

    fn answers(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.replies)
    }
}

/// A group, and the session of client 1.
fn group(tune: impl Fn(&mut Config)) -> (Scripted, Session) {
    let mut group = Scripted::new(3, tune);
    let session = group.register(1);
    group.answers();
    (group, session)
}

fn three() -> (Scripted, Session) {
    group(|_| {})
}

fn stick(group: &mut Scripted, stuck: bool) {
    group.nodes.iter_mut().for_each(|node| node.disk_stuck = stuck);
}

// ---- answers

#[test]
fn the_reply_of_a_duplicate_is_the_first_reply() {
    let (mut group, session) = three();
    group.ask(0, request(1, session, 1, "a"));
    group.ask(0, request(2, Session::ZERO, 0, ""));
    group.ask(0, request(1, session, 1, "a"));
    let answers = group.answers();
    let (first, again) = (&answers[0], &answers[2]);
    assert_eq!((first.result.as_ref(), first.op, first.duplicate), (b"a".as_ref(), Op(2), false));
    assert_eq!((&again.result, again.op, again.duplicate), (&first.result, first.op, true));
    assert_eq!(group.nodes[0].text, "a", "it was executed once");
}

/// The retry carries another body. The number names the request, so the answer is that of the first.
#[test]
fn a_request_is_known_by_its_number_not_by_its_body() {
    let (mut group, session) = three();
    group.ask(0, request(1, session, 1, "a"));
    group.ask(0, request(1, session, 1, "b"));
    assert_eq!(group.answers()[1].result.as_ref(), b"a");
    assert_eq!(group.nodes[0].text, "a");
}

#[test]
fn a_duplicate_in_flight_is_taken_once_and_answered_once() {
    let (mut group, session) = three();
    stick(&mut group, true);
    for _ in 0..3 {
        group.ask(0, request(1, session, 1, "a"));
    }
    assert_eq!((group.snapshot(0).op, group.answers().len(), group.refusals().len()), (Op(2), 0, 0));
    let known = |note: &Note| matches!(note, Note::DuplicateRequest { number: RequestNumber(1), .. });
    assert_eq!(group.notes_since(0, 0).filter(|note| known(note)).count(), 2);
    stick(&mut group, false);
    group.settle();
    assert_eq!(group.answers().len(), 1);
}

/// Committed, given to the service, not answered yet: the retry waits for the answer that is coming.
#[test]
fn a_duplicate_of_what_is_being_executed_waits() {
    let (mut group, session) = three();
    group.nodes[0].service_stuck = true;
    group.ask(0, request(1, session, 1, "a"));
    group.ask(0, request(1, session, 1, "a"));
    assert_eq!((group.snapshot(0).commit, group.snapshot(0).executed, group.answers().len()), (Op(2), Op(1), 0));
    group.nodes[0].service_stuck = false;
    group.settle();
    assert_eq!(group.answers().len(), 1);
}

#[test]
fn an_older_request_has_no_effect_and_no_answer() {
    let (mut group, session) = three();
    group.ask(0, request(1, session, 1, "a"));
    group.ask(0, request(1, session, 2, "b"));
    group.answers();
    group.ask(0, request(1, session, 1, "a"));
    assert_eq!((group.answers(), group.refusals()), (vec![], vec![]));
    assert_eq!((group.snapshot(0).op, group.nodes[0].text.as_str()), (Op(3), "ab"));
}

/// A client need not wait: it has two requests under way, and each answer names its own.
#[test]
fn each_answer_names_the_request_it_answers() {
    let (mut group, session) = three();
    group.nodes[0].service_stuck = true;
    group.ask(0, request(1, session, 1, "a"));
    group.ask(0, request(1, session, 2, "b"));
    group.nodes[0].service_stuck = false;
    group.settle();
    let named: Vec<_> = group.answers().into_iter().map(|reply| (reply.number.0, reply.result)).collect();
    assert_eq!(named, [(1, Bytes::from_static(b"a")), (2, Bytes::from_static(b"ab"))]);
}

#[test]
fn registering_again_gives_the_same_session() {
    let (mut group, session) = three();
    group.ask(0, request(1, session, 1, "a"));
    group.answers();
    group.ask(0, request(1, Session::ZERO, 0, ""));
    let again = group.answers().remove(0);
    assert_eq!((again.session, again.duplicate), (session, true));
    assert_eq!(group.snapshot(0).op, Op(2), "and nothing new in the log");
}

// ---- refusals

#[test]
fn a_backup_names_the_primary_and_its_view() {
    let (mut group, session) = three();
    group.ask(2, request(1, session, 1, "a"));
    let here = Reject::NotPrimary { primary: Some(ReplicaId(0)), view: View(0) };
    assert_eq!((group.refusals(), group.answers()), (vec![here], vec![]));
    group.crash(0);
    group.until("r1 leads", |group| group.nodes[1].is(StatusName::Primary));
    group.ask(2, request(1, session, 1, "a"));
    assert_eq!(group.refusals(), [Reject::NotPrimary { primary: Some(ReplicaId(1)), view: View(1) }]);
}

/// Views 1, 2, … never start. A client that took them for news would wait for their primaries.
#[test]
fn clients_hear_only_of_views_that_started() {
    let (mut group, session) = three();
    group.lose(EVERY.of(MessageKind::DoViewChange));
    group.crash(0);
    group.until("r1 tries a third view", |group| group.snapshot(1).view > View(2));
    group.refusals();
    group.ask(1, request(1, session, 1, "a"));
    assert_eq!(group.refusals(), [Reject::NotPrimary { primary: None, view: View(0) }]);
}

#[test]
fn a_full_queue_is_busy_and_what_it_holds_is_still_answered() {
    let small = Batching { pipeline: 1, batch_entries: 1, queue_entries: 2 };
    let (mut group, _) = group(|config| config.batching = small);
    let sessions: Vec<Session> = (2..=5).map(|client| group.register(client)).collect();
    group.answers();
    stick(&mut group, true);
    for (client, session) in (2..=5).zip(sessions) {
        group.ask(0, request(client, session, 1, "a"));
    }
    assert_eq!(group.refusals(), [Reject::Busy], "one in the log, two in the queue");
    stick(&mut group, false);
    group.settle();
    assert_eq!(group.answers().len(), 3);
}

/// What waits in the queue was never prepared: it can be refused honestly. What was prepared is not called anything.
#[test]
fn requests_in_the_queue_are_refused_when_the_view_ends() {
    let (mut group, session) = group(|config| config.batching.pipeline = 1);
    let other = group.register(2);
    group.answers();
    group.lose(EVERY.to(0));
    group.ask(0, request(1, session, 1, "a"));
    group.ask(0, request(2, other, 1, "b"));
    group.until("r0 abdicates", |group| group.snapshot(0).wants_view_change);
    let refused: Vec<_> = group.rejections.iter().map(|refusal| (refusal.session, refusal.reason)).collect();
    assert_eq!(refused, [(other, Reject::NotPrimary { primary: None, view: View(0) })]);
    assert_eq!(group.answers(), []);
}

#[test]
fn a_body_over_the_limit_is_too_large() {
    let (mut group, session) = group(|config| config.cluster.max_request_bytes = 4);
    group.ask(0, request(1, session, 1, "12345"));
    assert_eq!(group.refusals(), [Reject::TooLarge]);
    group.ask(0, request(1, session, 1, "1234"));
    assert_eq!((group.refusals(), group.answers().len()), (vec![], 1));
}

#[test]
fn a_request_that_contradicts_itself_is_malformed() {
    let (mut group, session) = three();
    let numbered = vr_core::Request { kind: vr_core::Kind::Register, ..request(2, Session::ZERO, 1, "") };
    let unnumbered = vr_core::Request { kind: vr_core::Kind::Operation, ..request(1, session, 0, "a") };
    let talkative = request(2, Session::ZERO, 0, "a Register says nothing");
    for contradiction in [numbered, unnumbered, talkative] {
        group.ask(0, contradiction);
        assert_eq!(group.refusals(), [Reject::Malformed]);
    }
    assert_eq!(group.snapshot(0).op, Op(1));
}

/// A session is the op of its Register: who executed that far and does not know it, saw it go. Another may be to come.
#[test]
fn a_session_that_is_not_there_is_evicted_and_one_to_come_is_busy() {
    let (mut group, session) = three();
    group.ask(0, request(2, session, 1, "a"));
    group.ask(0, request(1, session.next(), 1, "a"));
    assert_eq!(group.refusals(), [Reject::Evicted, Reject::Busy]);
}

/// It may exist in a moment: nobody must give up yet.
#[test]
fn a_session_that_is_being_opened_is_busy() {
    let (mut group, _) = three();
    stick(&mut group, true);
    group.ask(0, request(2, Session::ZERO, 0, ""));
    group.ask(0, request(2, Session(2), 1, "a"));
    assert_eq!(group.refusals(), [Reject::Busy]);
    stick(&mut group, false);
    group.settle();
    group.ask(0, request(2, Session(2), 1, "a"));
    assert_eq!((group.refusals(), group.answers().len()), (vec![], 2));
}

// ---- eviction

/// Room for two. Client 1 executed last, so client 2 goes when client 3 comes, on every replica.
#[test]
fn the_session_that_executed_longest_ago_gives_way() {
    let (mut group, first) = group(|config| config.cluster.client_capacity = 2);
    let second = group.register(2);
    group.ask(0, request(1, first, 1, "a"));
    group.register(3);
    group.answers();
    group.ask(0, request(2, second, 1, "b"));
    assert_eq!((group.refusals(), group.answers()), (vec![Reject::Evicted], vec![]));
    group.ask(0, request(1, first, 2, "c"));
    assert_eq!(group.answers().len(), 1);
    group.pass(Wait::millis(60));
    let digests = [0, 1, 2].map(|at| group.nodes[at].replica.as_ref().expect("it runs").table_digest());
    assert_eq!(digests, [digests[0]; 3]);
}

/// The request was taken before the Register that evicts its session was executed: no effect, and an honest answer.
#[test]
fn a_request_behind_the_register_that_evicts_it_has_no_effect() {
    let (mut group, session) = group(|config| config.cluster.client_capacity = 1);
    stick(&mut group, true);
    group.ask(0, request(2, Session::ZERO, 0, ""));
    group.ask(0, request(1, session, 1, "a"));
    stick(&mut group, false);
    group.settle();
    group.pass(Wait::millis(60));
    assert_eq!(group.refusals(), [Reject::Evicted]);
    assert!((0..3).all(|at| group.nodes[at].text.is_empty() && group.snapshot(at).commit == Op(3)));
}

// ---- across views

/// r0 prepared it and died before it answered. The client asks r1, twice, before and after r1 could commit it.
#[test]
fn a_new_primary_answers_a_retry_of_what_an_older_view_prepared_once() {
    let (mut group, session) = three();
    group.hold(EVERY.to(0));
    group.ask(0, request(1, session, 1, "a"));
    group.crash(0);
    group.hold(EVERY.from(2).of(MessageKind::PrepareOk));
    group.until("r1 leads", |group| group.nodes[1].is(StatusName::Primary));
    assert_eq!((group.snapshot(1).op, group.snapshot(1).commit), (Op(2), Op(1)));
    group.ask(1, request(1, session, 1, "a"));
    assert_eq!((group.snapshot(1).op, group.answers()), (Op(2), vec![]), "it is in flight: known from the log");
    group.heal();
    group.release(EVERY.to(1));
    group.settle();
    group.ask(1, request(1, session, 1, "a"));
    let answers: Vec<_> = group.answers().into_iter().map(|reply| (reply.op, reply.duplicate)).collect();
    assert_eq!(answers, [(Op(2), false), (Op(2), true)]);
    assert_eq!(group.nodes[1].text, "a");
}

/// The lights went out; all commit-numbers are forgotten. The new primary finds in its log the Register of client 2 and
/// a request behind it. The Register's turn comes, the request's has to wait: its retry must not be taken again.
#[test]
fn a_new_primary_knows_the_requests_of_sessions_it_has_yet_to_open() {
    let (mut group, session) = group(|config| config.cluster.checkpoint_interval = 3);
    group.ask(0, request(1, session, 1, "a"));
    let other = group.register(2);
    group.ask(0, request(2, other, 1, "b"));
    for at in 0..3 {
        group.crash(at);
        group.nodes[at].service_stuck = true;
    }
    (0..3).for_each(|at| group.restart(at));
    group.until("somebody leads and has committed it all", |group| {
        group.find_primary().is_some_and(|primary| group.snapshot(primary).commit == Op(4))
    });
    let primary = group.primary();
    group.ask(primary, request(2, other, 1, "b"));
    assert_eq!(group.snapshot(primary).op, Op(4), "op 4 is this request, and nothing comes after it");
}

/// Room for one. r1 leads with the first session of client 1 in its table; its log evicts that one, registers the
/// client again and has two requests behind that. The second one waits for its turn: its retry must not be taken again.
#[test]
fn a_new_primary_knows_the_requests_of_a_client_that_it_has_yet_to_evict_and_to_register_again() {
    let tune = |config: &mut Config| (config.cluster.client_capacity, config.cluster.checkpoint_interval) = (1, 3);
    let (mut group, session) = group(tune);
    group.nodes[1].service_stuck = true;
    group.ask(0, request(1, session, 1, "a"));
    group.ask(0, request(1, session, 2, "b"));
    group.register(2);
    let again = group.register(1);
    group.ask(0, request(1, again, 1, "c"));
    group.ask(0, request(1, again, 2, "d"));
    group.crash(0);
    group.until("r1 leads", |group| group.nodes[1].is(StatusName::Primary));
    group.until("it has committed it all", |group| group.snapshot(1).commit == Op(7));
    (0..2).for_each(|_| group.answer_one(1));
    group.answer_one(1); // the checkpoint after op 3
    assert_eq!((again, group.snapshot(1).executed), (Session(5), Op(5)));
    group.ask(1, request(1, again, 2, "d"));
    assert_eq!(group.snapshot(1).op, Op(7), "op 7 is this request, and nothing comes after it");
}

/// r1 leads and has not executed the Register yet: it cannot know that there is no such session.
#[test]
fn a_primary_that_is_behind_calls_nobody_evicted() {
    let (mut group, session) = three();
    group.crash(0);
    group.hold(EVERY.of(MessageKind::PrepareOk));
    group.until("r1 leads", |group| group.nodes[1].is(StatusName::Primary));
    assert_eq!(group.snapshot(1).executed, Op(0));
    group.ask(1, request(2, session, 1, "a"));
    assert_eq!(group.refusals(), [Reject::Busy]);
    group.heal();
    group.release(EVERY);
    group.settle();
    group.ask(1, request(2, session, 1, "a"));
    assert_eq!(group.refusals(), [Reject::Evicted]);
}

/// r1 leads, and opened this session. r0 is cut off and has not given up yet.
#[test]
fn a_primary_that_was_deposed_calls_nobody_evicted() {
    let (mut group, _) = group(|config| config.timeouts.abdicate = Wait::millis(10_000));
    group.isolate(0);
    group.until("r1 leads", |group| group.nodes[1].is(StatusName::Primary));
    let session = group.register(2);
    assert!(group.nodes[0].is(StatusName::Primary));
    group.ask(0, request(2, session, 1, "a"));
    assert_eq!(group.refusals(), [Reject::Busy]);
}

/// The client sends request 1 to r0, where it is prepared and lost, and again to r1. The table is not written early.
#[test]
fn a_request_that_was_prepared_and_lost_can_be_asked_again() {
    let (mut group, session) = three();
    group.isolate(0);
    group.step(0, Input::Request(request(1, session, 1, "a")));
    group.until("r1 leads", |group| group.nodes[1].is(StatusName::Primary));
    group.heal();
    group.until("r0 follows", |group| group.nodes[0].is(StatusName::Backup));
    assert_eq!(group.snapshot(0).op, Op(1), "what it had prepared is gone");
    group.crash(1);
    group.crash(2);
    group.restart(1);
    group.restart(2);
    group.until("somebody leads", |group| group.find_primary().is_some());
    let primary = group.primary();
    group.until("it is caught up", |group| group.snapshot(primary).executed == Op(1));
    group.ask(primary, request(1, session, 1, "a"));
    assert_eq!(group.last_reply(), Some((Op(2), "a".to_owned())));
}

/// `(the bug, the promise it breaks)`.
#[cfg(feature = "mutants")]
const BROKEN: &[(vr_core::Mutant, fn())] = {
    use vr_core::Mutant as M;
    &[
        (M::LeakView, clients_hear_only_of_views_that_started),
        (M::NoInFlightRebuild, a_new_primary_answers_a_retry_of_what_an_older_view_prepared_once),
        (M::NoPipelineDedupe, a_duplicate_in_flight_is_taken_once_and_answered_once),
        (M::TableAtPrepare, a_request_that_was_prepared_and_lost_can_be_asked_again),
        (M::TableAtPrepare, a_duplicate_in_flight_is_taken_once_and_answered_once),
        (M::ReplyToNewest, each_answer_names_the_request_it_answers),
        (M::EvictByLocalOrder, the_session_that_executed_longest_ago_gives_way),
        (M::EvictedReregisters, a_session_that_is_not_there_is_evicted_and_one_to_come_is_busy),
        (M::EvictedReregisters, a_request_behind_the_register_that_evicts_it_has_no_effect),
        (M::EvictWhenBehind, a_primary_that_is_behind_calls_nobody_evicted),
        (M::EvictWhenBehind, a_session_that_is_being_opened_is_busy),
        (M::EvictWhenBehind, a_primary_that_was_deposed_calls_nobody_evicted),
        (M::CancelOnViewChange, requests_in_the_queue_are_refused_when_the_view_ends),
    ]
};

#[cfg(feature = "mutants")]
#[test]
fn each_promise_fails_when_the_bug_that_breaks_it_is_planted() {
    let fails = |(bug, promise): &&(vr_core::Mutant, fn())| scripted::planted::is_caught(*bug, *promise);
    let survivors: Vec<_> = BROKEN.iter().filter(|row| !fails(row)).map(|(bug, _)| bug.name()).collect();
    assert!(survivors.is_empty(), "planted, and the promise still holds: {survivors:?}");
}
