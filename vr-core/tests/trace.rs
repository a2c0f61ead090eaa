//! The lines of a trace that no step of a replica gives, and what a reader may rely on: key order, exact numbers,
//! names that read back.
//!
//! Owns one line of each kind that the world around replicas writes. Must not know the protocol. VIEW.md §5.1.

use std::collections::BTreeMap;
use vr_core::trace::{
    Aggregated, BigNumber, Checkpointed, Committed, Corrupted, Crashed, Delayed, DropCause, Dropped, Duplicated, Ended,
    FORMAT, Gap, Group, Healed, Intervention, Invoked, MessageId, Meta, Mode, Name, Node, Outcome, Partitioned,
    Producer, Recipient, Reconfigured, Redact, Remark, Returned, Settled, Severity, TimerAct, TimerEvent, TraceEvent,
    Violated, What, shown,
};
use vr_core::{ClientId, Incarnation, ReplicaId, Seq};

/// An event that no step of a replica gives, its line's own fields, and its sentence.
type Told = (What, &'static str, &'static str);

const R0: Node = Node::Replica(ReplicaId(0));
const R1: Node = Node::Replica(ReplicaId(1));
const C3: Node = Node::Client(ClientId(3));

fn of_the_network() -> Vec<Told> {
    let m = MessageId::Peer { from: ReplicaId(0), incarnation: Incarnation(1), seq: Seq(977) };
    let to = Some(R1);
    vec![
        (
            What::Dropped(Dropped { m, to, why: DropCause::Partition }),
            r#""m":"r0.1.977","to":"r1","why":"partition""#,
            "loses r0.1.977 to r1: partition",
        ),
        (
            What::Duplicated(Duplicated { m, to, m2: None }),
            r#""m":"r0.1.977","to":"r1""#,
            "delivers r0.1.977 to r1 once more",
        ),
        (
            What::Delayed(Delayed { m, to: None, until: 99 }),
            r#""m":"r0.1.977","until":99"#,
            "holds r0.1.977 back until 99 ns",
        ),
        (
            What::Corrupted(Corrupted { m, to, bits: 1 }),
            r#""m":"r0.1.977","to":"r1","bits":1"#,
            "damages 1 bits of r0.1.977 to r1",
        ),
    ]
}

fn of_nodes() -> Vec<Told> {
    let lost = Some(vec![17, 18]);
    let groups = vec![vec![R0], vec![R1, C3]];
    vec![
        (
            What::Timer(TimerEvent { name: "view_change".into(), act: TimerAct::Set, at: Some(7) }),
            r#""name":"view_change","act":"set","at":7"#,
            "sets its timer view_change to 7 ns",
        ),
        (
            What::Crashed(Crashed { lost, wiped: Some(true), inc: Some(2) }),
            r#""lost":[17,18],"wiped":true,"inc":2"#,
            "crashes and loses its disk, 2 ops are not on its disk",
        ),
        (
            What::Partitioned(Partitioned { id: 4, groups, oneway: Some(true) }),
            r#""id":4,"groups":[["r0"],["r1","c3"]],"oneway":true"#,
            "partition 4: r0 ⇢ r1 c3",
        ),
        (What::Healed(Healed { id: Some(4) }), r#""id":4"#, "ends partition 4"),
        (
            What::Invoked(Invoked { client: C3, req: 7, f: "append".into(), input: "k v".into() }),
            r#""client":"c3","req":7,"f":"append","in":"k v""#,
            "calls append(k v), its request 7",
        ),
        (
            What::Returned(Returned { client: C3, req: 7, out: Some("ok".into()), st: Settled::Ok }),
            r#""client":"c3","req":7,"out":"ok","st":"ok""#,
            "has the answer to its request 7: ok",
        ),
        (
            What::Checkpointed(Checkpointed { op: 64, ck: "9f3a41c0".into() }),
            r#""op":64,"ck":"9f3a41c0""#,
            "has a checkpoint after op 64: 9f3a41c0",
        ),
        (
            What::Reconfigured(Reconfigured { epoch: 2, members: vec![R0, R1] }),
            r#""epoch":2,"members":["r0","r1"]"#,
            "starts epoch 2 with r0 r1",
        ),
    ]
}

fn of_observers() -> Vec<Told> {
    let cmd: BTreeMap<_, _> = [(Name::from("crash"), Name::from("r1"))].into();
    vec![
        (
            What::Aggregated(Aggregated {
                from: R0,
                to: Recipient::One(R1),
                ty: "Prepare".into(),
                count: 9,
                bytes: 99,
                dt: 5,
            }),
            r#""from":"r0","to":"r1","ty":"Prepare","count":9,"bytes":99,"dt":5"#,
            "r0 → r1: 9 × Prepare, 99 bytes in 5 ns",
        ),
        (
            What::Gap(Gap { lost: 3 }),
            r#""lost":3"#,
            "3 events are missing: its state is unknown until the next snapshot",
        ),
        (What::Do(Intervention { cmd }), r#""cmd":{"crash":"r1"}"#, "was told: crash=r1"),
        (
            What::Note(Remark { what: None, text: "look here".into(), at: Some(9) }),
            r#""text":"look here","at":9"#,
            "look here",
        ),
        (
            What::Violated(Violated {
                inv: "S1 agreement".into(),
                sev: Severity::Safety,
                msg: "op 17 differs".into(),
                nodes: vec![R0, R1],
                ops: vec![17],
                ev: vec![5, 6],
            }),
            r#""inv":"S1 agreement","sev":"safety","msg":"op 17 differs","nodes":["r0","r1"],"ops":[17],"ev":[5,6]"#,
            "VIOLATION of S1 agreement (safety): op 17 differs",
        ),
        (
            What::Ended(Ended { result: Outcome::Fail, events: 9, viol: 1, xxh3: None }),
            r#""result":"fail","events":9,"viol":1"#,
            "the end: fail, 9 events, 1 violations",
        ),
    ]
}

#[test]
fn what_happens_to_the_world_has_a_line_and_a_sentence() {
    for (what, fields, sentence) in [of_the_network(), of_nodes(), of_observers()].concat() {
        let kind = what.kind();
        let event = TraceEvent { i: 8140, t: 91_200_000, n: None, by: Some(8139), lc: Some(4), what };
        let line = serde_json::to_string(&event).expect("JSON");
        let common = [r#"{"i":8140,"t":91200000,"k":""#, kind, r#"","by":8139,"lc":4,"#].concat();
        assert_eq!(line, [common.as_str(), fields, "}"].concat());
        assert_eq!(event.to_string(), sentence);
        assert_eq!(serde_json::from_str::<TraceEvent>(&line).expect(kind), event);
    }
}

fn meta() -> What {
    What::Meta(Box::new(Meta {
        format: FORMAT.into(),
        producer: Some(Producer { name: "vr-sim".into(), version: "0.1.0".into(), git: None }),
        mode: Mode::Sim,
        seed: Some(BigNumber(10_446_744_073_709_551_615)),
        repro: Some("vr-sim replay 10446744073709551615".into()),
        config: Group {
            members: (0..3).map(|id| Node::Replica(ReplicaId(id))).collect(),
            epoch: 0,
            f: 1,
            quorum: 2,
            clients: Some(2),
            checkpoint_every: None,
        },
        faults: None,
        redact: Redact::Full,
        wall: None,
    }))
}

#[test]
fn a_header_keeps_a_seed_that_javascript_could_not() {
    let event = TraceEvent { n: None, ..TraceEvent::at(0, Node::Sim, meta()) };
    let expected = [
        r#"{"i":0,"t":0,"k":"meta","format":"vrtrace/1","producer":{"name":"vr-sim","version":"0.1.0"},"mode":"sim","#,
        r#""seed":"10446744073709551615","repro":"vr-sim replay 10446744073709551615","config":{"#,
        r#""members":["r0","r1","r2"],"epoch":0,"f":1,"quorum":2,"clients":2},"redact":"full"}"#,
    ];
    assert_eq!(serde_json::to_string(&event).expect("JSON"), expected.concat());
}

#[test]
fn what_a_newer_version_writes_is_no_error() {
    let line = r#"{"i":5,"t":6,"k":"lease","n":"r0","until":7}"#;
    let event: TraceEvent = serde_json::from_str(line).expect("an unknown kind");
    assert_eq!((event.i, event.what.kind()), (5, "unknown"));
    let line = r#"{"i":5,"t":6,"k":"commit","n":"r0","op":7,"color":"red"}"#;
    let event: TraceEvent = serde_json::from_str(line).expect("an unknown field");
    assert_eq!(event.what, What::Committed(Committed { op: 7 }));
    let line = r#"{"i":5,"t":6,"k":"commit","n":"x9","op":7}"#;
    assert!(serde_json::from_str::<TraceEvent>(line).is_err(), "no such node");
}

#[test]
fn names_are_read_back_as_what_they_were() {
    for text in ["r0.1.977", "c3.12.7", "cffffffffffffffffffffffffffffffff.0.0", "c3.12.7.r0"] {
        assert_eq!(text.parse::<MessageId>().expect(text).to_string(), text);
    }
    for text in ["", "r0", "r0.1", "r0.1.2.r3", "net.1.2", "c3.12.7.c4", "r0.1.x", "r99999.1.2", "é"] {
        assert!(text.parse::<MessageId>().is_err(), "{text}");
    }
}

#[test]
fn data_of_clients_is_shown_as_much_as_it_may_be() {
    assert_eq!(shown(b"put k v", Redact::Full), "put k v");
    assert_eq!(shown(b"\x00\xff", Redact::Full), "0x00ff");
    assert_eq!(shown("ä".repeat(100).as_bytes(), Redact::Full), ["ä".repeat(64).as_str(), "… (200 B)"].concat());
    assert_eq!(shown(b"put k v", Redact::Len), "7 B");
    assert!(shown(b"put k v", Redact::Hash).starts_with("7 B ") && !shown(b"put k v", Redact::Hash).contains("put"));
}
