//! A normal case by hand, every kind through JSON and back, and the sentences.
//!
//! Owns a request's way through three replicas as snapshots, events and actions. Must not run the protocol: what
//! an observer sees is a function of these alone. VIEW.md §5.1.

use super::*;
use crate::action::{Action, HaltReason, Ignored, Note, Reject, Rejection, Reply, To, Write};
use crate::entry::{Entries, Entry, Kind, Predicted, Request, genesis};
use crate::event::{Event, Input};
use crate::id::{
    Beat, ClientId, ClusterId, Epoch, FetchId, Hash, Incarnation, Instance, Nonce, Op, ReplicaId, RequestNumber, Seq,
    Session, Time, View, WriteId,
};
use crate::log::Head;
use crate::message::{
    Body, DoViewChange, GetState, Header, Message, MessageKind, NewState, Recovery, RecoveryResponse, StartView, Tail,
};
use crate::quorum::{Position, ReplicaSet};
use crate::replica::{Snapshot, StatusName};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

const CLUSTER: ClusterId = ClusterId(0xC105_7E12);

fn snapshot(id: u16) -> Snapshot {
    Snapshot {
        id: ReplicaId(id),
        incarnation: Incarnation(1),
        status: if id == 0 { StatusName::Primary } else { StatusName::Backup },
        epoch: Epoch(0),
        view: View(3),
        log_view: View(3),
        primary: ReplicaId(0),
        op: Op(16),
        base: Op(0),
        checkpoint: Op(0),
        durable: Op(16),
        commit: Op(16),
        executed: Op(16),
        wants_view_change: false,
        witness: false,
    }
}

fn message(from: u16, seq: u64, body: Body) -> Message {
    let header = Header {
        config: Hash(7),
        epoch: Epoch(0),
        view: View(3),
        from: ReplicaId(from),
        instance: Instance(u128::MAX / 3),
        incarnation: Incarnation(1),
        seq: Seq(seq),
    };
    Message::new(header, body)
}

fn request() -> Request {
    Request {
        client: ClientId(3),
        session: Session(12),
        number: RequestNumber(7),
        kind: Kind::Operation,
        predicted: Predicted { wall_ns: 1_700_000_000_000_000_000, seed: 5 },
        body: Bytes::from_static(b"append k3 v7"),
    }
}

fn entries() -> Entries {
    let entry = Entry::new(Epoch(0), View(3), Op(17), genesis(CLUSTER), request());
    Entries::new(vec![entry]).expect("one entry")
}

fn head() -> Head {
    entries().last().map(|entry| Head { op: entry.op(), hash: entry.hash() }).expect("one entry")
}

/// Replicas whose steps are given by hand.
struct Stage {
    recorder: Recorder,
    replicas: Vec<Snapshot>,
    events: Vec<TraceEvent>,
    at: u64,
}

impl Stage {
    fn new() -> Self {
        let recorder = Recorder::new(Redact::Full, 1000);
        Self { recorder, replicas: (0..3).map(snapshot).collect(), events: Vec::new(), at: 40_313_000 }
    }

    fn step(&mut self, on: usize, input: Input, change: impl FnOnce(&mut Snapshot), actions: &[Action]) {
        self.at += 61_000;
        let before = self.replicas[on];
        change(&mut self.replicas[on]);
        let event = Event { at: Time(5), input };
        let step = Step { before: &before, event: &event, actions, after: &self.replicas[on] };
        self.recorder.step(self.at, &step, &mut |event| self.events.push(event));
    }

    fn sentences(&self) -> Vec<String> {
        self.events.iter().map(ToString::to_string).collect()
    }

    fn lines(&self) -> Vec<String> {
        self.events.iter().map(|event| serde_json::to_string(event).expect("JSON")).collect()
    }
}

/// One request from the client to the reply, with two of three replicas (VRR §4.1).
fn normal_case() -> Stage {
    let mut stage = Stage::new();
    let append = |id| Action::Persist { id: WriteId(id), write: Write::Append(entries()) };
    let prepare = message(0, 977, Body::Prepare { entries: entries(), commit: Op(16), beat: Beat(40) });
    let actions = [append(33), Action::Send { to: To::Others, message: prepare.clone() }];
    stage.step(0, Input::Request(request()), |primary| primary.op = Op(17), &actions);
    stage.step(0, Input::Persisted(WriteId(33)), |primary| primary.durable = Op(17), &[]);
    stage.step(1, Input::Message(prepare), |backup| backup.op = Op(17), &[append(29)]);
    let ok = message(1, 871, Body::PrepareOk { head: head(), beat: Beat(40) });
    let actions = [Action::Send { to: To::One(ReplicaId(0)), message: ok.clone() }];
    stage.step(1, Input::Persisted(WriteId(29)), |backup| backup.durable = Op(17), &actions);
    let actions = [Action::Note(Note::Committed { op: Op(17) }), Action::Execute(entries())];
    stage.step(0, Input::Message(ok), |primary| primary.commit = Op(17), &actions);
    let reply = Bytes::from_static(b"ok");
    let answer = Reply {
        client: ClientId(3),
        session: Session(12),
        number: RequestNumber(7),
        op: Op(17),
        view: View(3),
        result: reply.clone(),
        duplicate: false,
    };
    let input = Input::Executed { op: Op(17), reply };
    stage.step(0, input, |primary| primary.executed = Op(17), &[Action::Reply(answer)]);
    stage
}

#[test]
fn a_request_is_seen_on_its_whole_way() {
    let stage = normal_case();
    let sentences = [
        "c3 → r0 Request c3.12.7 arrives",
        "r0 now · op 17",
        "r0 puts op 17 into its log: request 7 of c3, append k3 v7, of view 3",
        "r0 disk takes write 33 (append), through op 17",
        "r0 → others Prepare: op 17 in view 3, committed through op 16",
        "r0 disk holds every write through 33",
        "r0 now · durable through 17",
        "r0 → r1 Prepare r0.1.977 arrives",
        "r1 now · op 17",
        "r1 puts op 17 into its log: request 7 of c3, append k3 v7, of view 3",
        "r1 disk takes write 29 (append), through op 17",
        "r1 disk holds every write through 29",
        "r1 now · durable through 17",
        "r1 → r0 PrepareOk: durable through op 17 in view 3",
        "r1 → r0 PrepareOk r1.1.871 arrives",
        "r0 counts r1's acknowledgement through op 17",
        "r0 now · committed through 17",
        "r0 knows that everything through op 17 is committed",
        "r0 executed op 17, request 7 of c3: ok",
        "r0 now · executed through 17",
        "r0 → c3 Reply: op 17 is done: ok",
    ];
    assert_eq!(stage.sentences(), sentences);
}

#[test]
fn every_event_names_its_cause() {
    let stage = normal_case();
    let by: Vec<_> = stage.events.iter().map(|event| event.by).collect();
    let indices: Vec<_> = stage.events.iter().map(|event| event.i).collect();
    assert_eq!(indices, (0..21).collect::<Vec<_>>());
    // The request came from outside, what followed from it; the prepare arrived because it was sent; and so on.
    assert_eq!(by[..8], [None, Some(0), Some(0), Some(0), Some(0), None, Some(5), Some(4)]);
    assert_eq!((by[14], by[15], by[20]), (Some(13), Some(14), Some(18)));
    assert_eq!(stage.recorder.next_index(), 21);
}

#[test]
fn a_line_has_its_keys_in_order_and_stays_within_the_budget() {
    let lines = normal_case().lines();
    let expected = [
        r#"{"i":4,"t":40374000,"k":"send","n":"r0","by":0,"m":"r0.1.977","to":"others","ty":"Prepare","#,
        r#""view":3,"op":17,"commit":16,"sz":92}"#,
    ];
    assert_eq!(lines[4], expected.concat());
    assert_eq!(lines[1], r#"{"i":1,"t":40374000,"k":"set","n":"r0","by":0,"op":17}"#);
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert!(bytes / lines.len() <= 140, "{} bytes an event", bytes / lines.len());
}

fn tail() -> Tail {
    Tail { base: Head { op: Op(16), hash: genesis(CLUSTER) }, entries: entries(), head: head() }
}

fn every_body() -> Vec<Body> {
    let start = StartView { view_start: Op(17), commit: Op(16), tail: tail() };
    let nonce = Nonce { incarnation: Incarnation(2), counter: 1 };
    let everybody: ReplicaSet = (0..3).filter_map(Position::new).collect();
    vec![
        Body::Prepare { entries: entries(), commit: Op(16), beat: Beat(1) },
        Body::PrepareOk { head: head(), beat: Beat(1) },
        Body::Commit { commit: Op(16), head: head(), beat: Beat(1) },
        Body::CommitOk { beat: Beat(1) },
        Body::StartViewChange { want: true, hears: everybody },
        Body::DoViewChange(Box::new(DoViewChange { log_view: View(2), commit: Op(16), tail: tail() })),
        Body::StartView(Box::new(start.clone())),
        Body::GetState(Box::new(GetState { id: FetchId(5), have: vec![head()], want: Some(head()) })),
        Body::NewState(Box::new(NewState { id: FetchId(5), commit: Op(16), tail: tail() })),
        Body::Recovery(Box::new(Recovery { nonce, view_min: View(3), have: vec![head()] })),
        Body::RecoveryResponse(Box::new(RecoveryResponse { nonce, log: Some(start) })),
    ]
}

#[test]
fn every_message_has_a_sentence() {
    let sentences: Vec<_> = every_body().into_iter().map(|body| said(1, Recipient::Others, body)).collect();
    let expected = [
        "r1 → others Prepare: op 17 in view 3, committed through op 16",
        "r1 → others PrepareOk: durable through op 17 in view 3",
        "r1 → others Commit: still primary of view 3, committed through op 16, log ends at op 17",
        "r1 → others CommitOk: heard the primary of view 3",
        "r1 → others StartViewChange: wants to leave view 3",
        "r1 → others DoViewChange: for view 3: log of view 2 through op 17, committed through op 16",
        "r1 → others StartView: view 3 starts, its log ends at op 17, committed through op 16",
        "r1 → others GetState: asks for what follows op 17",
        "r1 → others NewState: 1 entry of a log that ends at op 17",
        "r1 → others Recovery: asks for its memory, of view 3 or later",
        "r1 → others RecoveryResponse: is primary of view 3, 1 entry, its log ends at op 17",
    ];
    assert_eq!(sentences, expected);
}

fn said(from: u16, to: Recipient, body: Body) -> String {
    TraceEvent::at(0, Node::Replica(ReplicaId(from)), message_sent(to, &message(from, 5, body))).to_string()
}

#[test]
fn what_a_replica_drops_says_why() {
    let mut stage = Stage::new();
    let stale = message(1, 9, Body::CommitOk { beat: Beat(1) });
    let ignored = Note::Ignored { from: ReplicaId(1), kind: MessageKind::CommitOk, why: Ignored::OlderView };
    stage.step(0, Input::Message(stale), |_| {}, &[Action::Note(ignored)]);
    let reason = Reject::NotPrimary { primary: Some(ReplicaId(0)), view: View(3) };
    let refusal = Rejection { client: ClientId(3), session: Session(12), number: RequestNumber(7), reason };
    stage.step(1, Input::Request(request()), |_| {}, &[Action::Reject(Box::new(refusal))]);
    stage.step(1, Input::WriteFailed, |it| it.status = StatusName::Halted, &[Action::Halt(HaltReason::WriteFailed)]);
    let sentences = [
        "r1 → r0 CommitOk r1.1.9 arrives too late: older_view",
        "c3 → r1 Request c3.12.7 arrives and is ignored: not_primary",
        "r1 → c3 Reject: refused, not_primary",
        "r1 disk takes write ?: eio",
        "r1 now halted",
        "r1 stops for good: a write failed",
    ];
    assert_eq!(stage.sentences(), sentences);
}

#[test]
fn a_replaced_log_is_seen_slot_by_slot() {
    let mut stage = Stage::new();
    let page = message(0, 3, Body::NewState(Box::new(NewState { id: FetchId(5), commit: Op(17), tail: tail() })));
    let write = Write::Replace { keep: Op(14), entries: entries(), view: View(3) };
    let actions = [
        Action::Persist { id: WriteId(4), write },
        Action::Note(Note::Truncated { from: Op(16), to: Op(14) }),
        Action::Note(Note::TookState { from: ReplicaId(0), op: Op(17) }),
        Action::Note(Note::AskedForState { of: ReplicaId(0), id: FetchId(6) }),
        Action::Note(Note::BecameBackup { view: View(3), op: Op(17) }),
    ];
    stage.step(1, Input::Message(page), |_| {}, &actions);
    stage.step(1, Input::Tick, |_| {}, &[]);
    let sentences = [
        "r0 → r1 NewState r0.1.3 arrives",
        "r1 drops everything after op 14 from its log",
        "r1 fills op 17 of its log from a peer: request 7 of c3, append k3 v7, of view 3",
        "r1 disk takes write 4 (replace), through op 17",
        "r1 takes ops 17 to 17 from r0",
        "r1 asks r0 for ops from 18 on",
        "r1 is a backup in view 3, its log ends at op 17",
    ];
    assert_eq!(stage.sentences(), sentences, "and a tick without effect is not seen");
}

#[test]
fn a_start_gives_the_whole_state() {
    let mut events = Vec::new();
    let incarnation = Action::Persist { id: WriteId(1), write: Write::Incarnation(Incarnation(1)) };
    Recorder::new(Redact::Len, 9).opened(77, &[incarnation], &snapshot(2), &mut |event| events.push(event));
    let lines: Vec<_> = events.iter().map(|event| serde_json::to_string(event).expect("JSON")).collect();
    let expected = [
        r#"{"i":1,"t":77,"k":"snap","n":"r2","by":0,"state":{"inc":1,"view":3,"epoch":0,"status":"normal","lnv":3,"#,
        r#""op":16,"commit":16,"applied":16,"durable":16,"primary":"r0","want":false}}"#,
    ];
    assert_eq!(lines[0], r#"{"i":0,"t":77,"k":"restart","n":"r2","inc":1}"#);
    assert_eq!(lines[1], expected.concat());
    assert_eq!(lines[2], r#"{"i":2,"t":77,"k":"disk","n":"r2","by":0,"act":"write","w":1,"what":"incarnation"}"#);
}

#[test]
fn every_event_survives_json() {
    let mut events = normal_case().events;
    for body in every_body() {
        let sent = message_sent(Recipient::Others, &message(1, 9, body));
        events.push(TraceEvent::at(3, Node::Replica(ReplicaId(1)), sent));
    }
    let snap = What::Snap(Snap { state: Box::new(State::of(&snapshot(0))) });
    events.push(TraceEvent::at(0, Node::Sim, snap));
    for event in events {
        let line = serde_json::to_string(&event).expect("JSON");
        assert_eq!(serde_json::from_str::<TraceEvent>(&line).expect(&line), event);
    }
}

#[test]
fn a_recorder_forgets_the_oldest_messages() {
    let mut recorder = Recorder::new(Redact::Full, 2);
    for seq in 0..5 {
        let sent = message_sent(Recipient::Others, &message(0, seq, Body::CommitOk { beat: Beat(1) }));
        recorder.record(TraceEvent::at(0, Node::Replica(ReplicaId(0)), sent));
    }
    assert_eq!(recorder.remembered(), 2);
    let mut lost = |seq| {
        let m = MessageId::Peer { from: ReplicaId(0), incarnation: Incarnation(1), seq: Seq(seq) };
        recorder.record(TraceEvent::at(0, Node::Net, What::Dropped(Dropped { m, to: None, why: DropCause::Loss }))).by
    };
    assert_eq!((lost(2), lost(3), lost(4)), (None, Some(3), Some(4)));
}

#[test]
fn where_a_log_begins_that_was_cut_is_seen() {
    let whole = snapshot(1);
    let cut = Snapshot { base: Op(8), checkpoint: Op(12), ..whole };
    assert_eq!((State::of(&whole).log_lo, State::of(&cut).log_lo), (None, Some(9)));
    let change = State { ckpt: Some(12), log_lo: Some(9), ..State::default() };
    assert_eq!(State::change(&whole, &cut), Some(change));
    assert_eq!(State::change(&cut, &cut), None);
}

#[test]
fn an_operation_in_no_session_is_a_read_and_nothing_else_is() {
    let name = |kind, session| {
        let What::Sent(sent) = request_sent(ReplicaId(0), &Request { kind, session, ..request() }, Redact::Full) else {
            return None;
        };
        Some(sent.ty)
    };
    assert_eq!(name(Kind::Operation, Session::ZERO).as_deref(), Some("Read"));
    for (kind, session) in [(Kind::Register, Session::ZERO), (Kind::Operation, Session(12))] {
        assert_eq!(name(kind, session).as_deref(), Some("Request"));
    }
}

#[test]
fn a_question_and_its_answer_are_seen_under_the_same_number() {
    let number = |body: Body| {
        let What::Sent(sent) = message_sent(Recipient::Others, &message(1, 9, body)) else { return None };
        sent.b.and_then(|summary| summary.id)
    };
    let numbers: Vec<_> = every_body().into_iter().filter_map(number).collect();
    // GetState, NewState; Recovery, RecoveryResponse.
    assert_eq!(numbers, [5, 5, 1, 1]);
}
