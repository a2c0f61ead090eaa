//! The rules of the Trace Event Format, judged on real runs: keys, slices that do not overlap, pairs.

use super::*;
use crate::run::{record_seed, trace_case};
use crate::swarm::Options;
use serde_json::Value;
use std::collections::BTreeSet;

fn records(seed: u64) -> Vec<Value> {
    let case = record_seed(&Options::default(), seed).case.expect("recorded");
    let events = trace_case(&case, Some("vr-sim replay \"x\"".to_owned())).1.events;
    let whole: Value = serde_json::from_str(&export(&events)).expect("JSON");
    assert_eq!(whole["otherData"]["repro"], "vr-sim replay \"x\"");
    whole["traceEvents"].as_array().expect("a list").clone()
}

/// A time, exactly: in nanoseconds.
fn ns(record: &Value, key: &str) -> u64 {
    let text = record[key].to_string();
    let (whole, part) = text.split_once('.').unwrap_or((text.as_str(), ""));
    format!("{whole}{part:0<3}").parse().unwrap_or_else(|_| panic!("{key}: {record}"))
}

fn track(record: &Value) -> (u64, u64) {
    (record["pid"].as_u64().expect("pid"), record["tid"].as_u64().expect("tid"))
}

fn has(record: &Value, ph: &str) -> bool {
    record["ph"] == ph
}

#[test]
fn every_record_has_the_keys_of_its_phase() {
    let mut seen = BTreeSet::new();
    for record in [3, 7, 12].into_iter().flat_map(records) {
        let ph = record["ph"].as_str().expect("ph");
        let (_, ts) = (track(&record), ns(&record, "ts"));
        assert!(record["name"].is_string() && ts < u64::MAX, "{record}");
        let is_right = match ph {
            "M" => record["args"].is_object(),
            "X" => ns(&record, "dur") >= 1_000 && record["args"]["did"].is_array(),
            "s" | "b" | "e" => record["id"].is_u64() && record["cat"].is_string(),
            "f" => record["id"].is_u64() && record["cat"].is_string() && record["bp"] == "e",
            "C" => record["args"].as_object().is_some_and(|args| args.values().all(Value::is_u64)),
            "i" => matches!(record["s"].as_str(), Some("t" | "p" | "g")),
            _ => false,
        };
        assert!(is_right, "{record}");
        seen.insert(ph.to_owned());
    }
    assert_eq!(seen.into_iter().collect::<String>(), "CMXbefis");
}

#[test]
fn slices_of_a_thread_do_not_overlap_and_every_process_has_a_name() {
    for seed in [3, 7, 12] {
        let records = records(seed);
        let mut slices: Vec<_> = records.iter().filter(|record| has(record, "X")).collect();
        slices.sort_by_key(|record| (track(record), ns(record, "ts")));
        for pair in slices.windows(2).filter(|pair| track(pair[0]) == track(pair[1])) {
            assert!(ns(pair[0], "ts") + ns(pair[0], "dur") <= ns(pair[1], "ts"), "{} {}", pair[0], pair[1]);
        }
        let named = records.iter().filter(|record| record["name"] == "process_name");
        let named: BTreeSet<_> = named.map(|record| track(record).0).collect();
        assert!(records.iter().all(|record| named.contains(&track(record).0)));
    }
}

#[test]
fn every_arrow_goes_from_a_slice_to_a_later_one() {
    let mut arrows = 0;
    for seed in [3, 7, 12] {
        let records = records(seed);
        let slices = records.iter().filter(|record| has(record, "X"));
        let slices: BTreeSet<_> = slices.map(|record| (track(record), ns(record, "ts"))).collect();
        let ends = |ph: &str| -> BTreeMap<u64, &Value> {
            let some: Vec<_> = records.iter().filter(|record| has(record, ph)).collect();
            let by_id: BTreeMap<_, _> =
                some.iter().map(|record| (record["id"].as_u64().expect("id"), *record)).collect();
            assert_eq!(some.len(), by_id.len(), "an id names one arrow");
            by_id
        };
        let (starts, finishes) = (ends("s"), ends("f"));
        assert!(starts.keys().eq(finishes.keys()), "each has both ends");
        for (start, finish) in starts.values().zip(finishes.values()) {
            assert_eq!((&start["name"], &start["cat"]), (&finish["name"], &finish["cat"]));
            assert!(ns(start, "ts") < ns(finish, "ts"), "{start} {finish}");
            for end in [start, finish] {
                assert!(slices.contains(&(track(end), ns(end, "ts"))), "{end} is bound to no slice");
            }
        }
        arrows += starts.len();
    }
    assert!(arrows > 1_000, "{arrows}");
}

#[test]
fn every_span_that_begins_ends_under_the_same_name_and_not_before() {
    for seed in [3, 7, 12] {
        let mut open: BTreeMap<u64, Value> = BTreeMap::new();
        for record in records(seed) {
            let id = record["id"].as_u64().unwrap_or(0);
            if has(&record, "b") {
                assert!(open.insert(id, record).is_none());
            } else if has(&record, "e") {
                let begun = open.remove(&id).expect("it began");
                assert_eq!(
                    (&begun["name"], &begun["cat"], &begun["pid"]),
                    (&record["name"], &record["cat"], &record["pid"])
                );
                assert!(ns(&begun, "ts") <= ns(&record, "ts"));
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}
