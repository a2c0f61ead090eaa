//! What ShiViz would make of it: read back as its default expression does, and its clocks judged as it judges them.

use super::*;
use crate::run::{record_seed, trace_case};
use crate::swarm::Options;
use std::collections::BTreeSet;
use vr_core::ReplicaId;
use vr_core::trace::{Name, Remark};

/// An event as ShiViz reads it.
struct Read {
    event: String,
    host: String,
    clock: BTreeMap<String, u64>,
}

/// `(?<event>.*)\n(?<host>\S*) (?<clock>{.*})`, over and over.
fn read(text: &str) -> Vec<Read> {
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len() % 2, 0);
    let pairs = lines.chunks(2).map(|pair| {
        let (host, clock) = pair[1].split_once(' ').expect("a host and a clock");
        assert!(clock.starts_with('{') && clock.ends_with('}') && !pair[0].contains(['{', '}']), "{pair:?}");
        let clock = serde_json::from_str(clock).expect("the clock is JSON");
        Read { event: pair[0].to_owned(), host: host.to_owned(), clock }
    });
    pairs.collect()
}

/// ShiViz refuses a log in which a host skips a tick, or knows of an event that is not there.
fn judge(read: &[Read]) {
    let mut ticks: BTreeMap<&str, u64> = BTreeMap::new();
    for Read { event, host, clock } in read {
        let own = ticks.entry(host).or_insert(0);
        *own += 1;
        assert_eq!(clock[host], *own, "{event}");
        for (other, known) in clock {
            assert!(ticks.get(other.as_str()).is_some_and(|ticks| known <= ticks), "{event}: {other} {known}");
        }
    }
}

#[test]
fn what_is_written_is_read_back_and_every_message_arrives_after_it_was_sent() {
    let (mut arrivals, mut losses) = (0, 0);
    for seed in [3, 7, 12] {
        let case = record_seed(&Options::default(), seed).case.expect("recorded");
        let events = trace_case(&case, None).1.events;
        let read = read(&export(&events));
        judge(&read);
        let placed: Vec<_> = events.iter().filter(|event| event.n.is_some()).collect();
        assert_eq!(placed.len(), read.len());
        let by_index: BTreeMap<u64, &Read> = placed.iter().map(|event| event.i).zip(&read).collect();
        for event in &placed {
            let (What::Received(_) | What::Dropped(_)) = event.what else { continue };
            let Some(sent) = event.by.and_then(|by| by_index.get(&by)) else { continue };
            let arrived = by_index[&event.i];
            assert!(sent.clock.iter().all(|(host, tick)| arrived.clock[host] >= *tick), "{}", arrived.event);
            assert!(arrived.clock[&arrived.host] > sent.clock.get(&arrived.host).copied().unwrap_or(0));
            *(if matches!(event.what, What::Received(_)) { &mut arrivals } else { &mut losses }) += 1;
        }
        let hosts: BTreeSet<_> = read.iter().map(|event| event.host.as_str()).collect();
        assert!(hosts.contains("r0") && hosts.contains("c0"), "{hosts:?}");
    }
    assert!(arrivals > 1_000 && losses > 100, "{arrivals} arrivals, {losses} losses");
}

#[test]
fn a_text_with_braces_and_line_ends_stays_one_line_that_is_no_clock() {
    let note = Remark { what: None, text: Name::Borrowed("a {\"r0\":9}\nr0 {\"r0\":1}"), at: None };
    let event = TraceEvent::at(0, Node::Replica(ReplicaId(0)), What::Note(note));
    let read = read(&export(&[event]));
    assert_eq!((read.len(), read[0].event.as_str()), (1, "0.000000 a (\"r0\":9)\\u(a)r0 (\"r0\":1)"));
}
