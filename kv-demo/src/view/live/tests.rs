//! What a browser is told: everything once, what it lost, and how nodes can be reached.
//!
//! Owns nodes that are made by hand. Must not know connections.

use super::*;
use vr_tokio::vr_core::trace::{Executed, Gap, Recipient, Sent, Snap, State};
use vr_tokio::vr_core::{Incarnation, Seq};

fn header(id: usize) -> TraceEvent {
    let mut meta = meta((0..3).map(replica).collect(), wall_ns());
    meta.redact = Redact::Len;
    TraceEvent::at(0, replica(id), What::Meta(Box::new(meta)))
}

fn snap(i: u64, id: usize, inc: u64, op: u64) -> TraceEvent {
    let state = State { inc: Some(inc), op: Some(op), ..State::default() };
    TraceEvent { i, ..TraceEvent::at(i, replica(id), What::Snap(Snap { state: Box::new(state) })) }
}

fn set(i: u64, id: usize, op: u64) -> TraceEvent {
    let state = State { op: Some(op), ..State::default() };
    TraceEvent { i, ..TraceEvent::at(i, replica(id), What::Set(Box::new(state))) }
}

/// Gives out what is held back.
fn settle(live: &Live) {
    let mut inner = live.lock();
    for node in 0..inner.nodes.len() {
        inner.give_out_all(node);
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

fn snapshot_of(told: Told) -> (u64, serde_json::Value, Cursor) {
    let Told::Snapshot(lost, text, cursor) = told else { panic!("{told:?}") };
    (lost, json(&text), cursor)
}

fn events_of(told: Told) -> (Vec<serde_json::Value>, Cursor) {
    let Told::Events(lines, cursor) = told else { panic!("{told:?}") };
    (lines.iter().map(|line| json(line)).collect(), cursor)
}

#[test]
fn a_browser_gets_everything_once_and_goes_on_where_it_was() {
    let live = Live::new(3, false);
    live.heard(0, Heard::Events(vec![header(0), snap(10, 0, 1, 4)]));
    settle(&live);
    let (lost, first, cursor) = snapshot_of(live.told(None));
    assert_eq!((lost, &first["nodes"][0]["state"]["op"], &first["nodes"][0]["link"]), (0, &4.into(), &"up".into()));
    assert_eq!((&first["nodes"][1]["state"], &first["nodes"][1]["link"]), (&serde_json::Value::Null, &"down".into()));
    assert_eq!((&first["meta"]["k"], &first["meta"]["redact"]), (&"meta".into(), &"len".into()));
    assert_eq!(live.told(Some(cursor)), Told::Nothing);
    live.heard(0, Heard::Events(vec![set(11, 0, 5), set(12, 0, 6)]));
    settle(&live);
    let again = Cursor::parse(&cursor.to_string()).expect("as it was written");
    let (events, next) = events_of(live.told(Some(again)));
    let indices: Vec<_> = events.iter().map(|event| event["i"].as_u64()).collect();
    assert_eq!(indices, [first["next"].as_u64(), first["next"].as_u64().map(|i| i + 1)]);
    assert_eq!(events[1]["op"], 6);
    assert_eq!(live.told(Some(next)), Told::Nothing);
    assert_eq!(json(&live.snapshot())["nodes"][0]["state"]["op"], 6);
}

#[test]
fn a_cursor_of_another_run_and_one_that_lags_too_far_begin_anew() {
    let live = Live::new(1, false);
    live.heard(0, Heard::Events(vec![header(0), snap(10, 0, 1, 0)]));
    settle(&live);
    let (_, _, cursor) = snapshot_of(live.told(None));
    let other = Live::new(1, false);
    assert_eq!(snapshot_of(other.told(Some(cursor))).0, 0);
    let many = LAG_MAX + 7;
    live.heard(0, Heard::Events((1..=many).map(|i| set(10 + i, 0, i)).collect()));
    settle(&live);
    let (lost, now, _) = snapshot_of(live.told(Some(cursor)));
    assert_eq!((lost, now["nodes"][0]["state"]["op"].as_u64()), (many, Some(many)));
    for nonsense in ["", "-", "x-1", "12", "1.1", "1.x-3", "1.1-x", "ff.0-99999999999999999999"] {
        assert_eq!(Cursor::parse(nonsense), None, "{nonsense}");
    }
}

#[test]
fn the_ring_is_bounded_and_what_it_gives_begins_with_what_was_known_before_it() {
    let live = Live::new(1, false);
    live.heard(0, Heard::Events(vec![header(0), snap(10, 0, 1, 0)]));
    for part in 0..5 {
        live.heard(0, Heard::Events((0..50_000).map(|i| set(11 + part * 50_000 + i, 0, i)).collect()));
        settle(&live);
    }
    let events = live.events();
    assert_eq!(events.len(), RING + 2, "and a header, and the state of the node");
    assert!(matches!(events[0].what, What::Meta(_)));
    let What::Snap(known) = &events[1].what else { panic!("{}", events[1]) };
    let last_that_went = 250_000 + 3 - u64::try_from(RING).expect("small") - 3;
    assert_eq!((known.state.inc, known.state.op), (Some(1), Some((last_that_went - 1) % 50_000)));
    assert!(events.windows(2).all(|pair| pair[0].i + 1 == pair[1].i), "no index is missing");
}

#[test]
fn a_node_that_is_lost_and_comes_back_in_another_life_is_seen_to() {
    let live = Live::new(3, false);
    live.heard(0, Heard::Events(vec![header(0), snap(10, 0, 1, 4)]));
    settle(&live);
    let (_, _, cursor) = snapshot_of(live.told(None));
    assert!(live.heard(0, Heard::Lost("refused".to_owned())).is_some_and(|said| said.contains("refused")));
    assert_eq!(live.heard(0, Heard::Lost("refused".to_owned())), None, "said once");
    assert_eq!(json(&live.snapshot())["nodes"][0]["link"], "down");
    live.heard(0, Heard::Events(vec![header(0), snap(90, 0, 2, 4)]));
    settle(&live);
    let (events, _) = events_of(live.told(Some(cursor)));
    let kinds: Vec<_> = events.iter().map(|event| (event["k"].as_str(), event["what"].as_str())).collect();
    assert_eq!(
        kinds,
        [
            (Some("note"), Some("unreachable")),
            (Some("note"), Some("reachable")),
            (Some("restart"), None),
            (Some("snap"), None)
        ]
    );
    assert_eq!((&events[2]["inc"], &events[2]["n"]), (&2.into(), &"r0".into()));
}

#[test]
fn after_a_gap_a_nodes_state_is_unknown_until_it_is_told() {
    let live = Live::new(1, false);
    let gap = TraceEvent { i: 11, ..TraceEvent::at(11, replica(0), What::Gap(Gap { lost: 3 })) };
    live.heard(0, Heard::Events(vec![header(0), snap(10, 0, 1, 4), gap, set(12, 0, 9)]));
    settle(&live);
    assert!(json(&live.snapshot())["nodes"][0]["state"].is_null());
    live.heard(0, Heard::Events(vec![snap(13, 0, 1, 9)]));
    settle(&live);
    assert_eq!(json(&live.snapshot())["nodes"][0]["state"]["op"], 9);
}

#[test]
fn nodes_are_who_they_say_they_are_in_whatever_order_they_were_named() {
    let live = Live::new(2, false);
    let (_, _, cursor) = snapshot_of(live.told(None));
    let m = vr_tokio::vr_core::trace::MessageId::Peer { from: ReplicaId(1), incarnation: Incarnation(1), seq: Seq(1) };
    let (view, op, commit, sz, b) = (Some(0), None, None, None, None);
    let sent = What::Sent(Sent { m, to: Recipient::Others, ty: "Commit".into(), view, op, commit, sz, b });
    live.heard(0, Heard::Events(vec![header(1), TraceEvent::at(1, replica(1), sent)]));
    settle(&live);
    let (_, now, _) = snapshot_of(live.told(Some(cursor)));
    let names: Vec<_> = (0..3).map(|at| now["nodes"][at]["n"].as_str()).collect();
    assert_eq!(names, [Some("r1"), Some("r0"), Some("r2")], "the third is a member that nobody asked for");
    assert_eq!((&now["nodes"][0]["latest"]["ty"], &now["nodes"][0]["link"]), (&"Commit".into(), &"up".into()));
}

#[test]
fn an_address_at_which_no_member_is_is_not_shown_once_that_is_known() {
    let live = Live::new(5, false);
    assert_eq!(live.links().len(), 5);
    live.heard(0, Heard::Events(vec![header(0)]));
    assert_eq!(live.links().len(), 3);
}

#[test]
fn a_node_that_says_nothing_for_two_seconds_is_silent() {
    let live = Live::new(1, false);
    live.heard(0, Heard::Events(vec![header(0), snap(10, 0, 1, 4)]));
    let mut inner = live.lock();
    let now = inner.now();
    assert!(!inner.nodes[0].falls_silent(now + Duration::from_millis(1000)));
    assert!(inner.nodes[0].falls_silent(now + Duration::from_secs(3)));
    assert!(!inner.nodes[0].falls_silent(now + Duration::from_secs(4)), "noticed once");
    assert_eq!(inner.nodes[0].link(), "silent");
}

#[test]
fn clients_data_is_shown_only_when_it_is_asked_for() {
    for shows in [false, true] {
        let live = Live::new(1, shows);
        let mut header = header(0);
        if let What::Meta(meta) = &mut header.what {
            meta.redact = Redact::Full;
        }
        let executed = What::Executed(Executed { op: 1, client: None, req: None, res: Some("secret".to_owned()) });
        live.heard(0, Heard::Events(vec![header, TraceEvent::at(1, replica(0), executed)]));
        settle(&live);
        assert_eq!(live.events().iter().any(|event| event.to_string().contains("secret")), shows);
        assert_eq!(json(&live.snapshot())["meta"]["redact"], if shows { "full" } else { "hash" });
    }
}

#[test]
fn the_present_is_a_header_and_the_state_of_who_is_known_and_who_is_away_is_said_with_the_reason() {
    let live = Live::new(3, false);
    live.heard(0, Heard::Events(vec![header(0), snap(10, 0, 1, 4)]));
    settle(&live);
    assert!(!live.is_complete(), "nothing is known of two nodes, not even that they are away");
    live.heard(1, Heard::Lost("refused".to_owned()));
    live.heard(2, Heard::Lost("no answer".to_owned()));
    assert!(live.is_complete());
    assert_eq!(live.absent(), ["r1 is unreachable: refused", "r2 is unreachable: no answer"]);
    let kinds: Vec<_> = live.present().iter().map(|event| (event.what.kind(), event.n)).collect();
    assert_eq!(kinds, [("meta", Some(Node::Sim)), ("snap", Some(replica(0)))]);
}
