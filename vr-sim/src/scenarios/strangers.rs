//! What nobody of the group says: forged messages and requests, of others or without sense, and lies that must halt.
//!
//! Owns one story per way in which the core refuses them, or stops for good rather than believe one: branches that
//! honest peers on a bad network never reach. Must not know other sections.

use super::epochs::{begin, spare};
use crate::scenario::Role::{All, R, R0, R1, R2};
use crate::scenario::{ASYNC, BOTH, Scenario, ScenarioInfo, Verdict, plain};
use crate::world::HeldMessage;
use bytes::Bytes;
use vr_core::MessageKind::{Commit, CommitOk, DoViewChange, NewState, Prepare, Recovery, RecoveryResponse, StartEpoch};
use vr_core::{
    Beat, Body, CheckpointDurable, DoViewChange as Report, Entries, Entry, Epoch, Hash, Head, Ignored, Kind,
    MessageKind, NewState as Page, Note, Op, Predicted, Reject, ReplicaId, Request, RequestNumber, Session, StartView,
    StatusName, Tail, View, Wait,
};

const fn story(
    name: &'static str,
    story: &'static str,
    (faults, properties): (&'static str, &'static str),
    play: fn(&mut Scenario) -> Verdict,
) -> ScenarioInfo {
    ScenarioInfo { name, story, faults, properties, replicas: 3, modes: BOTH, tune: plain, play }
}

pub(super) const SCENARIOS: &[ScenarioInfo] = &[
    story(
        "other-voices",
        "Heartbeats of another cluster, another epoch, a stranger, of oneself, and of the last view of all arrive: they are \
         dropped, each for its reason, and nobody moves.",
        ("forged headers", "S5 promise monotone, expectation: nothing changes"),
        other_voices,
    ),
    story(
        "messages-without-sense",
        "A Prepare without entries, one of a backup, news of a checkpoint as of groups with witnesses, reports and logs that \
         contradict themselves or are for somebody else arrive: they are dropped, each for its reason.",
        ("forged messages", "S6 log match, S7 justified start, S24 no unexcused halt"),
        messages_without_sense,
    ),
    story(
        "pages-without-sense",
        "Pages of a log that begin beyond what is here, or do not continue it, come to a backup that asked for others: they \
         are dropped, and the true page is taken.",
        ("forged NewState", "S6 log match, S24 no unexcused halt"),
        pages_without_sense,
    ),
    ScenarioInfo {
        modes: ASYNC,
        ..story(
            "recovery-without-sense",
            "A question of a recovering replica names a view that cannot be or is of a later epoch, an answer to it contradicts \
             itself, and somebody asks it for entries by name: all but the last are dropped, and it recovers from the true \
             answer.",
            ("forged Recovery, RecoveryResponse and GetEntries", "S10 justified recovery, S24 no unexcused halt"),
            recovery_without_sense,
        )
    },
    story(
        "requests-without-sense",
        "A Register with a number, one with a body, an operation without a number, one that is too large and such a read are \
         refused, and nothing of them is in the log.",
        ("forged requests", "S14 at most once, expectation: each is refused for its reason"),
        requests_without_sense,
    ),
    story(
        "log-of-a-liar",
        "A backup is told of another entry than it has by the primary of its view, in a Prepare, behind its log, and in a \
         heartbeat: it stops for good, each time. The checkers are off: to stop is a violation unless a peer lies.",
        ("forged Prepare and Commit", "expectation: it halts, and its disk is as before"),
        another_log,
    ),
    story(
        "commit-beyond-the-log",
        "A report of an older view names a commit-number beyond the best log: the primary-to-be stops rather than lose what \
         may be committed. The checkers are off: to stop is a violation unless a peer lies.",
        ("forged DoViewChange", "expectation: it halts, and no view starts"),
        commit_beyond,
    ),
    ScenarioInfo {
        tune: spare,
        ..story(
            "news-of-too-many",
            "A member that is cut off is told of the next epoch by one of its group, then by more strangers than two groups \
             have members: it remembers only the last of them, asks those, and gets there when its group is back.",
            ("isolation, forged NewEpoch", "L7 reconfigured, expectation: what it remembers is bounded"),
            news_of_too_many,
        )
    },
];

/// A message of `from` to `to`, of this kind, kept as a pattern for others.
fn pattern(t: &mut Scenario, kind: MessageKind, from: usize, to: usize) -> Verdict<HeldMessage> {
    t.hold(kind, R(from), R(to));
    t.run(t.heartbeat().times(3))?;
    let Some(at) = t.held(kind, R(from), R(to)).first().copied() else {
        return t.disappoint(format!("a {} in hand", kind.name()));
    };
    let held = t.world.held()[at].clone();
    t.forget(kind, R(from), R(to));
    t.pass(kind, R(from), R(to));
    t.run(t.heartbeat().times(2))?;
    Ok(held)
}

/// It arrives now, and is dropped there for this reason.
fn dropped(t: &mut Scenario, lie: HeldMessage, reason: Ignored) -> Verdict {
    let (to, kind) = (usize::from(lie.to.0), lie.message.body.kind());
    let like = |n: &Note| matches!(n, Note::Ignored { kind: of, why, .. } if *of == kind && *why == reason);
    let before = t.count_notes(R(to), like);
    t.world.inject(lie);
    t.run(Wait::micros(10))?;
    let told = format!("r{to} to drop a {} as {reason:?}", kind.name());
    t.expect(t.count_notes(R(to), like) == before + 1, told)
}

fn other_voices(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    let beat = pattern(t, Commit, 0, 1)?;
    let (op, commit) = (t.op(All)?, t.commit(All)?);
    let with = |change: fn(&mut HeldMessage)| {
        let mut lie = beat.clone();
        change(&mut lie);
        lie
    };
    dropped(t, with(|m| m.message.header.config = Hash(m.message.header.config.0 ^ 1)), Ignored::WrongCluster)?;
    let later = |m: &mut HeldMessage| {
        m.message.header.epoch = m.message.header.epoch.next();
        m.message.header.view = View::first_of(m.message.header.epoch);
    };
    dropped(t, with(later), Ignored::WrongEpoch)?;
    dropped(t, with(|m| m.message.header.epoch = m.message.header.epoch.next()), Ignored::Malformed)?;
    dropped(t, with(|m| m.message.header.from = ReplicaId(77)), Ignored::NotAMember)?;
    dropped(t, with(|m| m.message.header.from = m.to), Ignored::NotAMember)?;
    dropped(t, with(|m| m.message.header.view = View(1 << 62)), Ignored::Malformed)?;
    dropped(t, with(|m| m.message.header.view = View(u64::MAX)), Ignored::Malformed)?;
    t.run(t.heartbeat().times(4))?;
    t.expect_view(All, 0)?;
    t.expect_op(All, op)?;
    t.expect_commit(All, commit)
}

fn messages_without_sense(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    let beat = pattern(t, Commit, 0, 1)?;
    let vote = pattern(t, CommitOk, 2, 0)?;
    let op = t.op(All)?;
    let head = t.world.disk(0).log.head();
    let (commit, entries, beats) = (op, Entries::empty(), Beat(1_000_000));
    // To a backup, of its view.
    let empty = Body::Prepare { entries: entries.clone(), commit, beat: Beat::ZERO };
    dropped(t, saying(&beat, None, empty.clone()), Ignored::Malformed)?;
    let usurped = HeldMessage { to: ReplicaId(1), ..saying(&vote, None, empty) };
    dropped(t, usurped.clone(), Ignored::WrongRole)?;
    let usurped_beat = Body::Commit { commit, head, beat: beats };
    dropped(t, saying(&usurped, None, usurped_beat.clone()), Ignored::WrongRole)?;
    dropped(t, saying(&vote, None, usurped_beat), Ignored::WrongRole)?;
    // Of a group with witnesses, which this one is not: no log may go for it.
    let news = Body::CheckpointDurable(Box::new(CheckpointDurable { head, held: head }));
    dropped(t, saying(&vote, None, news), Ignored::WrongRole)?;
    // Of a later view: they move whoever hears them there, and say nothing that is to be believed.
    let none = |base: Head, head: Head| Tail { base, entries: Entries::empty(), head };
    let beyond = Head { op: Op(99), hash: head.hash };
    let report =
        |log_view, commit, tail| Body::DoViewChange(Box::new(Report { log_view: View(log_view), commit, tail }));
    let to = |at: u16, body: Body| saying(&HeldMessage { to: ReplicaId(at), ..vote.clone() }, Some(View(4)), body);
    t.isolate(All);
    dropped(t, to(0, report(0, commit, none(head, head))), Ignored::WrongRole)?;
    dropped(t, to(1, report(4, commit, none(head, head))), Ignored::Malformed)?;
    dropped(t, to(1, report(0, Op(99), none(head, head))), Ignored::Malformed)?;
    dropped(t, to(1, report(0, commit, none(beyond, head))), Ignored::Malformed)?;
    let start =
        |view_start, commit, head| Body::StartView(Box::new(StartView { view_start, commit, tail: none(head, head) }));
    dropped(t, to(0, start(op, commit, head)), Ignored::WrongRole)?;
    let of_primary = HeldMessage { from: ReplicaId(1), ..to(0, start(Op(99), commit, head)) };
    let of_primary = |body: Body| {
        let mut lie = saying(&of_primary, Some(View(4)), body);
        lie.message.header.from = ReplicaId(1);
        lie
    };
    dropped(t, of_primary(start(Op(99), commit, head)), Ignored::Malformed)?;
    dropped(t, of_primary(start(op, Op(99), head)), Ignored::Malformed)?;
    t.heal();
    t.settle()?;
    t.expect_value(All, 1, Some("a"))
}

/// The same message with another content, perhaps of another view.
fn saying(pattern: &HeldMessage, view: Option<View>, body: Body) -> HeldMessage {
    let mut lie = pattern.clone();
    lie.message.body = body;
    lie.message.header.view = view.unwrap_or(lie.message.header.view);
    lie
}

/// r1 misses a Prepare and asks for it.
fn pages_without_sense(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.lose(Prepare, R0, R1);
    t.hold(NewState, R0, R1);
    t.append(0, 1, "a").expect_answered()?;
    t.run(t.heartbeat().times(2))?;
    let Some(page) = t.held(NewState, R0, R1).last().map(|at| t.world.held()[*at].clone()) else {
        return t.disappoint("a page in hand");
    };
    let Body::NewState(true_page) = &page.message.body else { return t.disappoint("a page in hand") };
    let ours = true_page.tail.base;
    let with = |base: Head, entries: Entries| {
        let (id, head) = (true_page.id, true_page.tail.head);
        saying(&page, None, Body::NewState(Box::new(Page { id, commit: Op::ZERO, tail: Tail { base, entries, head } })))
    };
    let elsewhere = Head { op: ours.op, hash: Hash(ours.hash.0 ^ 1) };
    let beyond = Head { op: Op(99), hash: ours.hash };
    let (beyond, elsewhere) = (with(beyond, Entries::empty()), with(elsewhere, forged(t, View::ZERO, elsewhere)?));
    dropped(t, beyond, Ignored::Gap)?;
    dropped(t, elsewhere, Ignored::Gap)?;
    t.expect_op(R1, ours.op)?;
    t.pass(Prepare, R0, R1);
    t.release(NewState, R0, R1)?;
    t.settle()?;
    t.expect_value(All, 1, Some("a"))
}

fn recovery_without_sense(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    t.settle()?;
    let head = t.world.disk(0).log.head();
    t.hold(Recovery, R1, R0);
    t.hold(RecoveryResponse, R0, R1);
    t.crash(R1);
    t.restart(R1);
    t.run_ms(5)?;
    let Some(mut question) = t.held(Recovery, R1, R0).first().map(|at| t.world.held()[*at].clone()) else {
        return t.disappoint("a question in hand");
    };
    let asks = HeldMessage { from: ReplicaId(0), to: ReplicaId(1), ..question.clone() };
    let mut asks = saying(&asks, None, Body::GetEntries { through: head });
    asks.message.header.from = ReplicaId(0);
    t.world.inject(asks);
    for view_min in [View(1 << 62), View::first_of(Epoch(1))] {
        if let Body::Recovery(asked) = &mut question.message.body {
            asked.view_min = view_min;
        }
        dropped(t, question.clone(), Ignored::Malformed)?;
        t.expect_view(R0, 0)?;
    }
    t.release(Recovery, R1, R0)?;
    t.run_ms(5)?;
    let Some(answer) = t.held(RecoveryResponse, R0, R1).first().map(|at| t.world.held()[*at].clone()) else {
        return t.disappoint("an answer in hand");
    };
    let lies: [fn(&mut StartView); 2] = [|start| start.view_start = Op(99), |start| start.commit = Op(99)];
    for lie in lies {
        let mut answer = answer.clone();
        if let Body::RecoveryResponse(told) = &mut answer.message.body
            && let Some(start) = &mut told.log
        {
            lie(start);
        }
        dropped(t, answer, Ignored::Malformed)?;
    }
    t.expect_status(R1, StatusName::Recovering)?;
    t.release(RecoveryResponse, R0, R1)?;
    t.settle()?;
    t.expect_note(R1, "its memory to be back", |n| matches!(n, Note::Recovered { .. }))?;
    t.expect_value(All, 1, Some("a"))
}

fn requests_without_sense(t: &mut Scenario) -> Verdict {
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    t.settle()?;
    let op = t.op(All)?;
    let (client, session) = (t.world.client(0).id(), t.session(0));
    let too_much = t.world.config(0).cluster.max_request_bytes + 1;
    let too_large = Bytes::from(vec![b'x'; usize::try_from(too_much).expect("a limit of a simulated cluster")]);
    let lies = [
        (Kind::Register, Session::ZERO, 1, Bytes::new(), Reject::Malformed),
        (Kind::Register, Session::ZERO, 0, Bytes::from_static(b"?"), Reject::Malformed),
        (Kind::Operation, session, 0, Bytes::from_static(b"?"), Reject::Malformed),
        (Kind::Operation, session, 2, too_large.clone(), Reject::TooLarge),
    ];
    for (kind, session, number, body, reason) in lies {
        let number = RequestNumber(number);
        t.world.inject_request(0, Request { client, session, number, kind, predicted: Predicted::default(), body });
        t.run_ms(1)?;
        let last = t.world.refusals().last().map(|refusal| refusal.reason);
        t.expect(last == Some(reason), format!("{reason:?}, not {last:?}"))?;
    }
    t.world.read(1, 0, too_large);
    t.run_ms(5)?;
    t.expect(t.last_refusal(1) == Some(Reject::TooLarge), "a read that is too large to be refused")?;
    t.world.crash_client(1);
    t.settle()?;
    t.expect_op(All, op)?;
    t.append(0, 1, "b").expect_answered()?;
    t.settle()?;
    t.expect_value(All, 1, Some("ab"))
}

/// One entry that nobody made, after this head.
fn forged(t: &Scenario, view: View, after: Head) -> Verdict<Entries> {
    let log = &t.world.disk(0).log;
    let Some(entry) = log.entry(log.op()) else { return t.disappoint("an entry on the disk of r0") };
    let request = Request { body: Bytes::from_static(b"forged"), ..entry.request() };
    let entry = Entry::new(entry.epoch(), view, after.op.next(), after.hash, request);
    Entries::new(vec![entry]).or_else(|_| t.disappoint("a chain"))
}

fn another_log(t: &mut Scenario) -> Verdict {
    t.world.without_checkers();
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    let beat = pattern(t, Commit, 0, 1)?;
    let head = t.world.disk(0).log.head();
    let before = t.world.disk(0).log.entry(head.op).map(|entry| Head { op: head.op.previous(), hash: entry.parent() });
    let Some(before) = before else { return t.disappoint("an entry at the head") };
    let elsewhere = Head { op: head.op, hash: Hash(head.hash.0 ^ 1) };
    let (commit, newest) = (Op::ZERO, Beat::ZERO);
    let lies = [
        Body::Prepare { entries: forged(t, View::ZERO, before)?, commit, beat: newest },
        Body::Prepare { entries: forged(t, View::ZERO, elsewhere)?, commit, beat: newest },
        Body::Commit { commit, head: elsewhere, beat: newest },
    ];
    for (round, lie) in lies.into_iter().enumerate() {
        let log = t.world.disk(1).log.clone();
        t.world.inject(saying(&beat, None, lie));
        t.run_ms(2)?;
        t.expect(t.world.snapshot(1).is_none(), format!("r1 to halt, by lie {round}"))?;
        t.expect(t.world.disk(1).log == log, "the log on the disk of r1 to be as it was")?;
        t.restart(R1);
        t.settle()?;
        t.expect_view(All, 0)?;
    }
    t.expect_value(All, 1, Some("a"))?;
    t.end_here(); // Somebody lied: whether the rest gets along is not the point.
    Ok(())
}

/// View 1 is normal everywhere but at r0; the lie of view 0 is about view 2, which r2 is to lead.
fn commit_beyond(t: &mut Scenario) -> Verdict {
    t.world.without_checkers();
    t.open(&[0])?;
    t.append(0, 1, "a").expect_answered()?;
    let vote = pattern(t, CommitOk, 2, 0)?;
    t.isolate(R0);
    t.elect(&[1, 2])?;
    t.isolate(R2);
    t.lose(DoViewChange, All, All);
    t.lose(Prepare, All, All);
    let head = Head { op: Op(99), hash: Hash(1) };
    let tail = Tail { base: head, entries: Entries::empty(), head };
    let body = Body::DoViewChange(Box::new(Report { log_view: View::ZERO, commit: head.op, tail }));
    let mut lie = saying(&HeldMessage { to: ReplicaId(2), ..vote }, Some(View(2)), body);
    lie.message.header.from = ReplicaId(0);
    let log = t.world.disk(2).log.clone();
    t.world.inject(lie);
    t.run(t.heartbeat().times(2))?;
    t.expect(t.world.snapshot(2).is_none(), "r2 to halt")?;
    t.expect(t.world.disk(2).log == log, "the log on the disk of r2 to be as it was")?;
    t.end_here(); // Somebody lied: whether the rest gets along is not the point.
    Ok(())
}

/// Strangers are r100 and so on. r0 and the first of them are as many as are remembered, and the next begins a new list.
fn news_of_too_many(t: &mut Scenario) -> Verdict {
    const REMEMBERED: u16 = 128;
    let (first, next) = (100, 100 + REMEMBERED - 1);
    begin(t)?;
    t.isolate(R2);
    t.hold(StartEpoch, R0, R2);
    t.reconfigure(R0, 1, 0, &[0, 1, 2, 3]);
    t.expect_epoch(1, &[0, 1, 3])?;
    let Some(news) = t.held(StartEpoch, R0, R2).first().map(|at| t.world.held()[*at].clone()) else {
        return t.disappoint("a StartEpoch in hand");
    };
    let Body::StartEpoch(group) = &news.message.body else { return t.disappoint("a StartEpoch in hand") };
    let said = saying(&news, None, Body::NewEpoch(group.clone()));
    t.world.inject(news);
    for stranger in first..next + 3 {
        let mut lie = said.clone();
        lie.message.header.from = ReplicaId(stranger);
        dropped(t, lie, Ignored::Duplicate)?;
    }
    t.run(t.heartbeat().times(160))?;
    let asked = |n: &Note, id: u16| matches!(n, Note::AskedForCheckpoint { of, .. } if of.0 == id);
    for id in first..next {
        t.expect_no_note(R2, "a question to a stranger whom it forgot", |n| asked(n, id))?;
    }
    for id in (next..next + 3).chain([0, 1, 3]) {
        t.expect_note(R2, &format!("a question to r{id}"), |n| asked(n, id))?;
    }
    t.heal();
    t.expect_epoch(1, &[0, 1, 2, 3])
}
