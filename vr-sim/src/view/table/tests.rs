//! The table of runs whose end is known, and of moments that are made by hand.

use super::*;
use crate::run::{record_seed, trace_case};
use crate::swarm::Options;
use vr_core::ReplicaId;
use vr_core::trace::{Acknowledged, Crashed, Name, Severity, Snap, Status, Violated};

fn node(id: u16) -> Node {
    Node::Replica(ReplicaId(id))
}

fn snap(view: u64, op: u64, commit: u64) -> What {
    let state = State {
        inc: Some(1),
        view: Some(view),
        status: Some(Status::Normal),
        primary: Some(node(0)),
        op: Some(op),
        commit: Some(commit),
        durable: Some(op),
        ..State::default()
    };
    What::Snap(Snap { state: Box::new(state) })
}

/// Three replicas: the first leads and is two ops ahead, the second has one of them, the third is down.
fn by_hand() -> Vec<TraceEvent> {
    let case = record_seed(&Options { replicas: Some(3), ..Options::default() }, 1).case.expect("recorded");
    let header = trace_case(&case, None).1.events.swap_remove(0);
    let ack = What::Acknowledged(Acknowledged { op: 6, from: node(1), have: None, need: None });
    let crash = What::Crashed(Crashed { lost: None, wiped: None, inc: None });
    let facts = [(0, snap(3, 7, 5)), (1, snap(3, 6, 5)), (2, snap(2, 4, 4)), (0, ack), (2, crash)].into_iter();
    let events = facts.map(|(id, what)| TraceEvent::at(1_000_000, node(id), what));
    let mut events: Vec<_> = std::iter::once(header).chain(events).collect();
    for (event, i) in events.iter_mut().zip(0..) {
        event.i = i;
    }
    events
}

/// The row of this name, its cells.
fn row<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    line[name.len()..].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn what_differs_from_the_primary_is_marked_and_the_lag_is_said_in_words() {
    let table = Table::of(&by_hand(), None).expect("a table");
    let text = table.text();
    assert_eq!(row(&text, "   "), ["★ r0", "○ r1", "✕ r2"], "{text}");
    assert_eq!(row(&text, "is "), ["primary", "backup", "down"]);
    assert_eq!(row(&text, "status"), ["normal", "normal", "down ≠"]);
    assert_eq!(row(&text, "op "), ["7", "6 ≠", "4 ≠"]);
    assert_eq!(row(&text, "committed"), ["5", "5", "4 ≠"]);
    assert_eq!(row(&text, "trails"), ["–", "1 op", "3 ops"]);
    assert!(text.contains("view 3, primary r0, committed 5"), "{text}");
    assert!(text.contains("preparing op 6: 2 of 2 (waits for r2), op 7: 1 of 2 (waits for r1 r2)\n"), "{text}");
    let json = table.json();
    assert_eq!((json["primary"].as_str(), json["preparing"][1]["missing"][0].as_str()), (Some("r0"), Some("r1")));
    let differs = &json["replicas"][2]["differs"];
    assert_eq!(*differs, serde_json::json!(["status", "view", "op", "durable", "committed"]));
}

#[test]
fn the_table_is_of_the_violation_where_there_is_one_and_otherwise_of_the_end() {
    let mut events = by_hand();
    assert_eq!(Table::of(&events, None).expect("a table").at.i, 5);
    assert_eq!(Table::of(&events, Some(2)).expect("a table").at.i, 2);
    let broken = Violated {
        inv: Name::Borrowed("S1 agreement"),
        sev: Severity::Safety,
        msg: "r0 and r1 differ".to_owned(),
        nodes: Vec::new(),
        ops: Vec::new(),
        ev: Vec::new(),
    };
    events[3].what = What::Violated(broken);
    let table = Table::of(&events, None).expect("a table");
    assert_eq!(table.at.i, 3);
    assert!(table.text().contains("⚑ S1 agreement does not hold: r0 and r1 differ"));
    assert!(Table::of(&events, Some(6)).expect_err("it ends before").contains("from 0 to 5"));
    assert!(Table::of(&events[1..], None).expect_err("no header").contains("no header"));
}

#[test]
fn a_table_of_many_replicas_is_folded_so_that_its_lines_stay_narrow() {
    let options = Options { replicas: Some(31), ..Options::default() };
    let (setup, odds) = crate::swarm::draw(1, &options);
    let mut world = crate::run::world_of(&setup, crate::decider::Decider::seeded(1, odds));
    let mut tape = crate::tape::Tape::default();
    tape.begin(&setup, None);
    world.record(tape);
    (0..2_000).for_each(|_| assert!(world.step_event()));
    let text = Table::of(&world.take_tape().expect("recorded").events, None).expect("a table").text();
    assert!(text.lines().all(|line| line.starts_with("preparing") || line.chars().count() <= WIDTH), "{text}");
    for id in 0..31 {
        assert!(text.contains(&format!(" r{id} ")) || text.contains(&format!(" r{id}\n")), "r{id}: {text}");
    }
}
