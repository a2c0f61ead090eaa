//! Lines of real runs: one for each event, columns that do not move, nothing that a terminal would obey.

use super::*;
use crate::run::{record_seed, trace_case};
use crate::swarm::Options;
use vr_core::ReplicaId;
use vr_core::trace::{Node, Remark, State, What};

fn trace_of(seed: u64) -> Vec<TraceEvent> {
    let case = record_seed(&Options::default(), seed).case.expect("it was recorded");
    trace_case(&case, Some("vr-sim replay".to_owned())).1.events
}

#[test]
fn every_event_is_one_line_whose_columns_stand_where_they_always_do() {
    let events = trace_of(7);
    let text = text(&events);
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), events.len());
    for (line, event) in lines.iter().zip(&events) {
        let columns: Vec<_> = line.chars().collect();
        let glyph = glyphs::of_kind(event.what.kind());
        assert_eq!((columns[26], columns[8], columns[20]), (glyph, ' ', ' '), "{line}");
        assert!(line.starts_with(&format!("{:>8} ", event.i)) && !line.ends_with(' '), "{line:?}");
    }
    let long = lines.iter().filter(|line| line.chars().count() > 120).count();
    assert!(long * 50 < lines.len(), "{long} of {} lines are wider than 120 columns", lines.len());
}

#[test]
fn a_line_shows_the_state_after_its_event() {
    let events = trace_of(7);
    let (mut lines, mut cluster) = (Lines::new(), Cluster::new(&[]));
    for event in &events {
        if let What::Meta(meta) = &event.what {
            cluster = Cluster::new(&meta.config.members);
        }
        cluster.apply(event);
        let mut line = String::new();
        lines.line(event, &mut line);
        let Some(member) = event.n.and_then(|node| cluster.member(node)).filter(|member| member.up) else { continue };
        let State { op: Some(op), commit: Some(commit), view: Some(view), .. } = member.state else { continue };
        assert!(line.contains(&format!(" v{view} ")) && line.contains(&format!(" {op}/{commit}/")), "{line}");
    }
}

#[test]
fn a_long_name_of_a_client_is_said_once_and_then_its_short_one() {
    let text = text(&trace_of(7));
    let said: Vec<_> = text.lines().filter(|line| line.starts_with("# c")).collect();
    assert!(!said.is_empty());
    for line in said {
        let long = line.rsplit_once(' ').expect("words").1;
        assert_eq!(text.matches(long).count(), 1, "{long}");
    }
}

#[test]
fn a_hostile_text_is_shown_and_not_obeyed() {
    let note = Remark { what: None, text: "\u{1b}]0;x\u{7}\nsecond".into(), at: None };
    let event = TraceEvent::at(5, Node::Replica(ReplicaId(0)), What::Note(note));
    let text = text(&[event]);
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("\\u{1b}]0;x\\u{7}\\u{a}second") && !text.contains('\u{1b}'), "{text}");
}
