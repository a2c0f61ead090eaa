//! A damaged log gets back what it lost, by content, and nothing else: what the core asks, takes and refuses.
//!
//! Owns these questions, put to one replica by hand. Must not know the inside of a replica. PROTOCOL D32, D56 to D58.

use bytes::Bytes;
use vr_core::{
    Action, Body, Checkpoint, CheckpointPart, ClientId, ClusterConfig, ClusterId, Config, Damage, Entries, Entry,
    Epoch, Event, Hash, Head, Header, Ignored, Incarnation, Input, Instance, Kind, Log, Message, Note, Op, Predicted,
    Recovery, RecoveryResponse, Replica, ReplicaId, Request, RequestNumber, Seq, Session, StartView, StatusName,
    Stored, Tail, Time, View, Wait, Write, WriteId,
};

const CLUSTER: ClusterId = ClusterId(7);

fn cluster() -> ClusterConfig {
    ClusterConfig::of_size(CLUSTER, 3)
}

fn chain(base: Head, view: View, count: u64) -> Entries {
    let mut head = base;
    let make = |number| {
        let request = Request {
            client: ClientId(1),
            session: Session(1),
            number: RequestNumber(number),
            kind: Kind::Operation,
            predicted: Predicted { wall_ns: head.op.0 + 1, seed: 0 },
            body: Bytes::from_static(b"x"),
        };
        let entry = Entry::new(Epoch(0), view, head.op.next(), head.hash, request);
        head = Head { op: entry.op(), hash: entry.hash() };
        entry
    };
    Entries::new((1..=count).map(make).collect()).expect("a chain")
}

/// The disk of r1, a backup of view 0 with ten entries, and these entries.
fn disk() -> (Stored, Log) {
    let mut stored = Stored::format(CLUSTER, cluster().digest(), ReplicaId(1), Instance(1));
    stored.apply(Write::Incarnation(Incarnation(1)));
    let entries = chain(stored.log.head(), View(0), 10);
    stored.apply(Write::Append(entries));
    let log = stored.log.clone();
    (stored, log)
}

/// The disk of r1 without op 5.
fn damaged() -> (Stored, Log) {
    let (mut stored, log) = disk();
    let mut behind = log.clone();
    behind.cut(Op(5));
    stored.log.truncate(Op(4));
    stored.damage = Some(Damage { from: Op(5), pieces: vec![behind], is_end_certain: true });
    (stored, log)
}

fn number(length: usize) -> u64 {
    u64::try_from(length).expect("small")
}

fn body_of(action: &Action) -> Option<&Body> {
    if let Action::Send { message, .. } = action { Some(&message.body) } else { None }
}

fn write_of(action: &Action) -> Option<&Write> {
    if let Action::Persist { write, .. } = action { Some(write) } else { None }
}

struct One {
    replica: Replica,
    now: Time,
    did: Vec<Action>,
}

impl One {
    fn open(stored: Stored) -> Self {
        let mut did = Vec::new();
        let config = Config::new(cluster(), ReplicaId(1));
        let replica = Replica::open(config, stored, Time(0), &mut did).expect("its own valid disk");
        let mut one = Self { replica, now: Time(0), did };
        one.sync();
        one
    }

    fn feed(&mut self, input: Input) {
        self.replica.step_into(Event { at: self.now, input }, &mut self.did);
    }

    /// Everything written so far is durable.
    fn sync(&mut self) {
        let id_of = |action: &Action| if let Action::Persist { id, .. } = action { Some(*id) } else { None };
        let last = self.did.iter().rev().find_map(id_of);
        self.feed(Input::Persisted(last.unwrap_or(WriteId(0))));
    }

    fn hear(&mut self, from: u16, view: u64, body: Body) {
        let header = Header {
            config: cluster().digest(),
            epoch: Epoch(0),
            view: View(view),
            from: ReplicaId(from),
            instance: Instance(u128::from(from)),
            incarnation: Incarnation(1),
            seq: Seq(number(self.did.len())),
        };
        self.feed(Input::Message(Message::new(header, body)));
    }

    /// The next deadline passes.
    fn wait(&mut self) {
        self.now = self.replica.next_deadline().unwrap_or(self.now).after(Wait(1));
        self.feed(Input::Tick);
    }

    fn status(&self) -> StatusName {
        self.replica.snapshot().status
    }

    fn said(&self) -> impl Iterator<Item = &Body> {
        self.did.iter().filter_map(body_of)
    }

    fn wrote(&self) -> impl Iterator<Item = &Write> {
        self.did.iter().filter_map(write_of)
    }

    /// What it asked for last, by name.
    fn asked(&self) -> Option<Head> {
        self.said()
            .filter_map(|body| if let Body::GetEntries { through } = body { Some(*through) } else { None })
            .last()
    }
}

fn name(log: &Log, op: u64) -> Head {
    Head { op: Op(op), hash: log.hash(Op(op)).expect("kept") }
}

#[test]
fn what_is_lost_comes_back_by_its_hash_and_the_replica_goes_on_where_it_was() {
    let (stored, log) = damaged();
    let mut one = One::open(stored);
    assert_eq!((one.status(), one.asked()), (StatusName::Recovering, Some(name(&log, 5))));
    one.hear(2, 0, Body::Entries(log.page_through(Op(5), 1)));
    let repair = one.wrote().find(|write| matches!(write, Write::Repair { .. })).expect("it is whole again");
    assert_eq!(*repair, Write::Repair { keep: Op(4), entries: log.page(Op(4), Op(10), usize::MAX) });
    assert_eq!((one.status(), one.replica.snapshot().op), (StatusName::Backup, Op(10)));
    let acknowledged =
        |one: &One| one.said().any(|body| matches!(body, Body::PrepareOk { head, .. } if head.op > Op(4)));
    assert!(!acknowledged(&one), "not before it is durable");
    one.sync();
    assert!(acknowledged(&one));
}

#[test]
fn each_beat_another_replica_is_asked_until_somebody_has_it() {
    let (stored, _) = damaged();
    let mut one = One::open(stored);
    for _ in 0..8 {
        one.wait();
    }
    let whom = |action: &Action| match action {
        Action::Send { to, message } => matches!(message.body, Body::GetEntries { .. }).then_some(*to),
        Action::Persist { .. }
        | Action::Execute(_)
        | Action::Checkpoint { .. }
        | Action::Restore(_)
        | Action::Read(_)
        | Action::ReadBefore { .. }
        | Action::Reply(_)
        | Action::Reject(_)
        | Action::Note(_)
        | Action::Halt(_) => None,
    };
    let questions = one.did.iter().filter_map(whom);
    let asked: std::collections::BTreeSet<_> = questions.map(|to| format!("{to:?}")).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn an_end_that_is_called_certain_without_an_entry_to_show_for_it_is_not_believed() {
    let (mut stored, _) = disk();
    stored.log.truncate(Op(4));
    stored.damage = Some(Damage { from: Op(5), pieces: Vec::new(), is_end_certain: true });
    let mut one = One::open(stored);
    for _ in 0..40 {
        one.wait();
    }
    assert_eq!(one.status(), StatusName::Recovering);
    assert!(one.wrote().all(|write| matches!(write, Write::Incarnation(_))));
}

#[test]
fn a_log_of_a_later_view_than_the_disk_knows_of_is_not_repaired_by_content() {
    let (mut stored, log) = disk();
    let mut behind = Log::new(name(&log, 5));
    behind.append(chain(behind.head(), View(1), 2));
    stored.log.truncate(Op(4));
    stored.damage = Some(Damage { from: Op(5), pieces: vec![behind], is_end_certain: true });
    stored.view = View(1);
    let one = One::open(stored);
    assert_eq!((one.status(), one.asked()), (StatusName::Recovering, None));
}

/// r1 promised view 3, and the end of its log is lost: the log of an earlier view may lack what it acknowledged, and a
/// vote would help one into being.
#[test]
fn who_has_a_damaged_log_votes_for_nothing_and_asks_for_no_view_before_the_one_it_promised() {
    let (mut stored, _) = disk();
    stored.log.truncate(Op(4));
    stored.damage = Some(Damage { from: Op(5), pieces: Vec::new(), is_end_certain: false });
    stored.view = View(3);
    let mut one = One::open(stored);
    let vote = Body::StartViewChange { want: true, hears: Default::default() };
    for from in [0, 2] {
        one.hear(from, 4, vote.clone());
    }
    for _ in 0..40 {
        one.wait();
    }
    assert_eq!(one.status(), StatusName::Recovering);
    let asked = |body: &Body| if let Body::Recovery(question) = body { Some(question.view_min) } else { None };
    assert!(one.said().filter_map(asked).count() > 1 && one.said().filter_map(asked).all(|view| view == View(3)));
    assert!(!one.said().any(|body| matches!(body, Body::StartViewChange { .. } | Body::DoViewChange { .. })));
}

#[test]
fn who_recovers_lends_what_it_has_and_nothing_else() {
    let (stored, log) = damaged();
    let mut one = One::open(stored);
    let mut lent = |op: u64, hash: Option<Hash>| {
        let through = Head { op: Op(op), hash: hash.unwrap_or_else(|| name(&log, op).hash) };
        one.hear(2, 0, Body::GetEntries { through });
        let Some(Action::Send { message, .. }) = one.did.pop() else { return None };
        if let Body::Entries(entries) = &message.body { Some(entries.len()) } else { None }
    };
    assert_eq!((lent(4, None), lent(9, None)), (Some(4), Some(4)));
    assert_eq!((lent(5, None), lent(9, Some(Hash(3))), lent(11, Some(Hash(3)))), (None, None, None));
}

/// A checkpoint that began to arrive with the log of a later view is no part of the log that was here.
#[test]
fn a_checkpoint_on_its_way_is_not_installed_once_the_own_log_is_whole() {
    let (stored, log) = damaged();
    let mut one = One::open(stored);
    let question = |body: &Body| if let Body::Recovery(question) = body { Some((**question).clone()) } else { None };
    let nonce = one.said().find_map(question);
    let Some(Recovery { nonce, .. }) = nonce else { panic!("it asks for the log of a primary, too") };
    let far = Head { op: Op(64), hash: Hash(64) };
    let checkpoint = Checkpoint::new(far, Predicted::default(), Bytes::from_static(b"table"), Bytes::from_static(b"s"));
    let start = StartView {
        view_start: Op(64),
        commit: Op(64),
        tail: Tail { base: far, entries: Entries::empty(), head: far },
    };
    // r2 leads view 2.
    one.hear(2, 2, Body::RecoveryResponse(Box::new(RecoveryResponse { nonce, log: Some(start) })));
    assert!(one.said().any(|body| matches!(body, Body::GetCheckpoint { .. })));
    one.hear(0, 0, Body::Entries(log.page_through(Op(5), 1)));
    assert_eq!((one.status(), one.replica.snapshot().view), (StatusName::Backup, View(0)));
    let whole = checkpoint.part(0, usize::MAX);
    let part = CheckpointPart {
        head: far,
        digest: checkpoint.digest(),
        length: number(whole.len()),
        offset: 0,
        bytes: whole.into(),
    };
    one.hear(2, 2, Body::CheckpointPart(Box::new(part)));
    let refusal = |action: &Action| {
        matches!(action, Action::Note(Note::Ignored { kind, why: Ignored::NotAsked, .. })
            if kind.name() == "CheckpointPart")
    };
    assert!(one.did.last().is_some_and(refusal), "{:?}", one.did.last());
    assert!(!one.wrote().any(|write| matches!(write, Write::Install { .. })));
}
