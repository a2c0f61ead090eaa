//! The golden frames: one of each message, write and event, byte for byte.
//!
//! Owns the values behind `frames.txt`. When this test fails, the format changed: either by mistake, or
//! `PROTOCOL_VERSION` goes up with it and the new bytes are committed. DESIGN §2 (bincode can be replaced).

use super::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use vr_core::{
    ADDRESS_BYTES_MAX, Checkpoint, Entry, Event, Group, Input, Member, Query, Reconfiguration, Time, WriteId,
};

const FRAMES: &str = include_str!("frames.txt");

/// The group of the second epoch, of so many members, all at this address as far as it may be as long.
pub(super) fn group(members: u16, address: &Bytes) -> Box<Group> {
    let cluster = ClusterConfig::of_size(ClusterId(7), 3);
    let address = address.slice(..address.len().min(ADDRESS_BYTES_MAX));
    let member = |id| Member { id: ReplicaId(id), address: address.clone() };
    let members = (60_000..60_000 + members).map(member).collect();
    let body = Reconfiguration { epoch: Epoch(0), members }.encode();
    let (client, session, number) = (ClientId(1), Session(1), RequestNumber(1));
    let (kind, predicted) = (Kind::Reconfiguration, Predicted::default());
    let request = Request { client, session, number, kind, predicted, body };
    let entry = Entry::new(Epoch(0), View(0), Op(u64::MAX / 4), Hash(u128::MAX), request);
    Box::new(cluster.group().after(&entry, cluster.least_members()).expect("it may follow"))
}

fn messages() -> Vec<(String, Message)> {
    let request = |number: u64, body: &'static [u8]| Request {
        client: ClientId(0xC11E47),
        session: Session(2),
        number: RequestNumber(number),
        kind: if number == 0 { Kind::Register } else { Kind::Operation },
        predicted: Predicted { wall_ns: 1_700_000_000_000_000_000, seed: 99 },
        body: Bytes::from_static(body),
    };
    let base = Head { op: Op(300), hash: Hash(0x0123_4567_89AB_CDEF_0011_2233_4455_6677) };
    let entries = chain(base, vec![(0, 2, request(0, b"")), (0, 3, request(1, b"put k v"))]);
    let last = entries.last().map(|last| Head { op: last.op(), hash: last.hash() }).expect("two entries");
    let tail = Tail { base, entries: entries.clone(), head: last };
    let (commit, view) = (Op(301), View(3));
    let start = StartView { view_start: last.op, commit, tail: tail.clone() };
    let nonce = Nonce { incarnation: Incarnation(4), counter: 1 };
    let hears = [0, 2, 63].into_iter().filter_map(Position::new).collect();
    let have = vec![last, base];
    let bodies = [
        Body::Prepare { entries: entries.clone(), commit, beat: Beat(17) },
        Body::PrepareOk { head: last, beat: Beat(17) },
        Body::Commit { commit, head: last, beat: Beat(18) },
        Body::CommitOk { beat: Beat(18) },
        Body::StartViewChange { want: true, hears },
        Body::DoViewChange(Box::new(DoViewChange { log_view: View(2), commit, tail: tail.clone() })),
        Body::StartView(Box::new(start.clone())),
        Body::GetState(Box::new(GetState { id: FetchId(5), have: have.clone(), want: Some(last) })),
        Body::NewState(Box::new(NewState { id: FetchId(5), commit, tail })),
        Body::Recovery(Box::new(Recovery { nonce, view_min: view, have })),
        Body::RecoveryResponse(Box::new(RecoveryResponse { nonce, log: Some(start) })),
        Body::GetCheckpoint { head: base, offset: 70_000 },
        Body::CheckpointPart(Box::new(CheckpointPart {
            head: base,
            digest: Hash(0xD16E_5700_0000_0000_0000_0000_0000_0009),
            length: 70_005,
            offset: 70_000,
            bytes: Bytes::from_static(b"state").into(),
        })),
        Body::GetEntries { through: last },
        Body::Entries(entries),
        Body::StartEpoch(group(4, &Bytes::from_static(b"10.0.0.4:80"))),
        Body::EpochStarted { epoch: Epoch(1) },
        Body::NewEpoch(group(1, &Bytes::new())),
        Body::CheckEpoch,
        Body::GetReadIndex { id: FetchId(4 << 32 | 6) },
        Body::ReadIndex { id: FetchId(4 << 32 | 6), op: Op(302) },
        Body::CheckpointDurable(Box::new(CheckpointDurable {
            head: Head { op: Op(4096), hash: Hash(9 << 100 | 5) },
            held: Head { op: Op(1), hash: Hash(2) },
        })),
    ];
    let header = Header {
        config: Hash(0xC0FF_EE00_0000_0000_0000_0000_0000_0002),
        epoch: Epoch(0),
        view,
        from: ReplicaId(1),
        instance: Instance(0xD15C_0000_0000_0000_0000_0000_0000_0003),
        incarnation: Incarnation(4),
        seq: Seq(70_000),
    };
    bodies.map(|body| (format!("message.{}", body.kind().name()), Message::new(header, body))).into()
}

/// The golden Prepare and its entries.
fn prepare() -> (Message, Entries) {
    let prepare = messages().swap_remove(0).1;
    let Body::Prepare { entries, .. } = prepare.body.clone() else { unreachable!("the first is a Prepare") };
    (prepare, entries)
}

fn writes() -> Vec<(String, Write)> {
    let entries = prepare().1;
    let head = Head { op: Op(300), hash: entries.first().expect("two entries").parent() };
    let predicted = Predicted { wall_ns: 1_700_000_000_000_000_000, seed: 99 };
    let (table, state) = (Bytes::from_static(b"table"), Bytes::from_static(b"state"));
    let checkpoint = Box::new(Checkpoint::new(head, predicted, table, state));
    vec![
        ("write.Incarnation".into(), Write::Incarnation(Incarnation(4))),
        ("write.View".into(), Write::View(View(3))),
        ("write.Append".into(), Write::Append(entries.clone())),
        ("write.Replace".into(), Write::Replace { keep: Op(300), entries: entries.clone(), view: View(3) }),
        ("write.Checkpoint".into(), Write::Checkpoint(checkpoint.clone())),
        ("write.Cut".into(), Write::Cut { through: Op(300) }),
        ("write.Install".into(), Write::Install { checkpoint, entries: entries.clone(), view: View(3) }),
        ("write.Repair".into(), Write::Repair { keep: Op(300), entries }),
    ]
}

fn events() -> Vec<(String, Event)> {
    let (prepare, entries) = prepare();
    let request = entries.last().expect("two entries").request();
    let head = Head { op: Op(304), hash: Hash(7) };
    let state = Bytes::from_static(b"state");
    let checkpoint = Box::new(Checkpoint::new(head, Predicted::default(), Bytes::from_static(b"table"), state));
    let inputs = [
        ("Tick", Input::Tick),
        ("Request", Input::Request(request)),
        ("Message", Input::Message(prepare)),
        ("Persisted", Input::Persisted(WriteId(12))),
        ("WriteFailed", Input::WriteFailed),
        ("Executed", Input::Executed { op: Op(302), reply: Bytes::from_static(b"ok") }),
        ("CheckpointTaken", Input::CheckpointTaken { op: Op(304), state: Bytes::from_static(b"state") }),
        ("CheckpointBegun", Input::CheckpointBegun { op: Op(304) }),
        ("CheckpointGiven", Input::CheckpointGiven(checkpoint)),
        ("Restored", Input::Restored { op: Op(304) }),
        (
            "Query",
            Input::Query(Query { client: ClientId(19), number: RequestNumber(305), body: Bytes::from_static(b"?") }),
        ),
        (
            "QueryHere",
            Input::QueryHere(Query {
                client: ClientId(19),
                number: RequestNumber(306),
                body: Bytes::from_static(b"?"),
            }),
        ),
        (
            "QueryLate",
            Input::QueryLate(Query {
                client: ClientId(19),
                number: RequestNumber(307),
                body: Bytes::from_static(b"?"),
            }),
        ),
        ("HandOver", Input::HandOver { to: Some(ReplicaId(2)) }),
        ("Requests", Input::Requests(entries.iter().map(Entry::request).collect())),
        ("ExecutedRun", Input::ExecutedRun { first: Op(302), replies: vec![Bytes::from_static(b"ok"), Bytes::new()] }),
    ];
    let at = Time(123_456_789);
    inputs.map(|(name, input)| (format!("event.{name}"), Event { at, input })).into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text grows");
        text
    })
}

fn golden(name: &str) -> Bytes {
    let frames: BTreeMap<_, _> = FRAMES.lines().filter_map(|line| line.split_once(' ')).collect();
    let digits = frames.get(name).copied().unwrap_or_default();
    (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).expect("hexadecimal")).collect()
}

#[test]
fn the_bytes_of_every_kind_are_the_golden_ones() {
    let mut today = String::new();
    let mut frames = Vec::new();
    let framed = |put: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = Vec::new();
        put(&mut frame);
        frame
    };
    frames.extend(messages().into_iter().map(|(name, message)| (name, framed(&|frame| encode(&message, frame)))));
    frames.extend(writes().into_iter().map(|(name, write)| (name, framed(&|frame| encode_write(&write, frame)))));
    frames.extend(events().into_iter().map(|(name, event)| (name, framed(&|frame| encode_event(&event, frame)))));
    for (name, frame) in frames {
        writeln!(today, "{name} {}", hexadecimal(&frame)).expect("a text grows");
    }
    assert!(today == FRAMES, "the format changed; today's frames are:\n{today}");
}

#[test]
fn the_golden_bytes_are_read_as_what_they_were() {
    for (name, message) in messages() {
        assert_eq!(decode(&golden(&name)), Ok(message), "{name}");
    }
    for (name, write) in writes() {
        assert_eq!(decode_write(&golden(&name), &Limits::NONE), Ok(write), "{name}");
    }
    for (name, event) in events() {
        assert_eq!(decode_event(&golden(&name), &Limits::NONE), Ok(event), "{name}");
    }
}
