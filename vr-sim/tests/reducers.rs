//! The page and this crate compute the same state of a cluster after every event: one reducer in two languages.
//!
//! Owns the comparison: traces of runs, of a session by hand, of a broken property, and one with everything that a running
//! cluster may tell. The page's scripts run in node; without node there is nothing to compare. VIEW decision 1, §7.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use vr_core::trace::TraceEvent;
use vr_sim::lab::{Lab, LabSetup};
use vr_sim::run::{record_seed, trace_case};
use vr_sim::swarm::Options;
use vr_sim::tape::lines;
use vr_sim::view::read;
use vr_sim::view::reduce::{Cluster, members_of};
use vr_sim::view::window::newest;

/// So many places of a trace are compared.
const PLACES: u64 = 97;

/// Reads a trace as the page does, and says the state after each event that it is asked for, in that order.
const DRIVER: &str = "
const { readFileSync } = require('node:fs');
const [trace, ...asked] = process.argv.slice(2);
const store = new VR.trace.Store(), reducer = new VR.reduce.Reducer(store);
let number = 0;
for (const line of readFileSync(trace, 'utf8').split('\\n'))
  if (line) reducer.add(store.add(line, ++number));
for (const i of asked.map(Number)) {
  const state = reducer.seek(i);
  console.log(JSON.stringify({ i, hash: VR.reduce.hash(state), state: VR.reduce.canonical(state) }));
}
";

fn node() -> Option<Command> {
    let is_there = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        println!("skipped: node is not there to run the page's scripts");
    }
    is_there.then(|| Command::new("node"))
}

/// A folder of a test, removed at its end.
struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("reducers-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the page says of these places, in this order.
fn by_the_page(mut node: Command, name: &str, trace: &str, asked: &[u64]) -> Vec<serde_json::Value> {
    let scripts = ["base.js", "words.js", "trace.js", "reduce.js"].map(|script| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("view").join(script);
        std::fs::read_to_string(path).expect("a script of the page")
    });
    let room = Room::new(name);
    let script = room.file("driver.cjs", &format!("{}{DRIVER}", scripts.join("\n")));
    let trace = room.file("trace.vrt.jsonl", trace);
    let output = node.arg(script).arg(trace).args(asked.iter().map(u64::to_string)).output().expect("node runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("a text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Both say the same of a trace, at its beginning, its end, and many places between, whichever is asked for first.
fn agree(name: &str, trace: &str) {
    let events = read::trace(trace.as_bytes()).expect("a trace").events;
    let (first, last) = (events[0].i, events[events.len() - 1].i);
    let step = ((last - first) / PLACES).max(1);
    // Not in order: the page goes back by keyframes.
    let places = (0..=PLACES).map(|n| first + (n * 61 % (PLACES + 1)) * step).filter(|i| *i <= last);
    let asked: Vec<u64> = places.chain([last, first, first + 1]).collect();
    let Some(node) = node() else { return };
    let page = by_the_page(node, name, trace, &asked);
    assert_eq!(page.len(), asked.len());
    let mut here = BTreeMap::new();
    let mut cluster = Cluster::new(&members_of(&events).expect("members"));
    for event in &events {
        cluster.apply(event);
        if asked.contains(&event.i) {
            here.insert(event.i, (cluster.canonical(), cluster.state_hash()));
        }
    }
    for (said, i) in page.iter().zip(asked) {
        let (state, hash) = &here[&i];
        assert_eq!(said["state"].as_str(), Some(state.as_str()), "{name}, after event {i}: the page, and here");
        assert_eq!(said["hash"].as_str(), Some(hash.as_str()), "{name}, after event {i}");
    }
}

fn events_of(seed: u64) -> Vec<TraceEvent> {
    let case = record_seed(&Options::default(), seed).case.expect("recorded");
    trace_case(&case, None).1.events
}

#[test]
fn both_reducers_agree_on_runs_with_faults() {
    for seed in [0, 3, 7, 12, 21] {
        agree(&format!("seed-{seed}"), &lines(&events_of(seed)));
    }
}

#[test]
fn both_reducers_agree_on_the_newest_part_of_a_run() {
    let events = events_of(12);
    agree("newest", &lines(&newest(&events, events.len() / 3).events));
}

#[test]
fn both_reducers_agree_on_a_broken_property() {
    let trace = include_str!("../tours/planted-bug.vrt.jsonl");
    assert!(trace.contains("\"k\":\"viol\""));
    agree("planted-bug", trace);
}

#[cfg(feature = "mutants")]
#[test]
fn both_reducers_agree_on_what_planted_bugs_break() {
    use vr_sim::scenario::{kills, trace};
    for kill in kills().iter().step_by(7) {
        let rules = vr_core::Rules { mutant: Some(kill.mutant) };
        let (outcome, tape) = trace(kill.scenario, kill.durability, rules);
        assert!(!outcome.passed(), "{}", kill.scenario);
        agree(kill.scenario, &tape.write());
    }
}

#[test]
fn both_reducers_agree_on_a_session_by_hand() {
    let mut lab = Lab::default();
    let branch = lab.root(&LabSetup::default()).expect("a plain cluster");
    let script = "register c0 r0; run 20ms; hold on; request c0 r0 put x 1; run 5ms; deliver-all; run 30ms; hold off;
        crash r0; run 2s; request c0 r1 get x; restart r0; run 300ms; partition r0|r1,r2; cut r1 r2; run 100ms; heal r1 r2;
        run 50ms; heal; pause r1; run 1s; resume r1; stop r2; run 1s; crash-client c0; register c1 r0; run 100ms";
    lab.run_text(branch, script).expect("a script that can be carried out");
    agree("lab", &lab.trace(branch).expect("a branch"));
}

/// What no simulated run tells: silence, gaps, cuts of groups, many messages that never arrive, kinds of a newer version.
#[test]
fn both_reducers_agree_on_all_that_a_running_cluster_may_tell() {
    let state = "\"state\":{\"inc\":1,\"view\":2,\"status\":\"normal\",\"primary\":\"r1\",\"op\":4,\"commit\":3}";
    let mut facts = vec![
        format!("\"k\":\"snap\",\"n\":\"r0\",{state}"),
        format!("\"k\":\"snap\",\"n\":\"r1\",{state}"),
        "\"k\":\"note\",\"n\":\"r2\",\"what\":\"unreachable\",\"text\":\"is unreachable\"".to_owned(),
        "\"k\":\"note\",\"n\":\"r0\",\"what\":\"silent\",\"text\":\"says nothing\"".to_owned(),
        "\"k\":\"gap\",\"n\":\"r0\",\"lost\":7".to_owned(),
        "\"k\":\"set\",\"n\":\"r0\",\"op\":9,\"want\":true".to_owned(),
        "\"k\":\"restart\",\"n\":\"r2\",\"inc\":3".to_owned(),
        format!("\"k\":\"snap\",\"n\":\"r0\",{state}"),
        "\"k\":\"ack\",\"n\":\"r1\",\"op\":4,\"from\":\"r0\"".to_owned(),
        "\"k\":\"ack\",\"n\":\"r1\",\"op\":3,\"from\":\"r0\",\"have\":2,\"need\":2".to_owned(),
        "\"k\":\"part\",\"n\":\"net\",\"id\":4,\"groups\":[[\"r0\",\"c7\"],[\"r1\",\"r2\"]]".to_owned(),
        "\"k\":\"part\",\"n\":\"net\",\"id\":5,\"groups\":[[\"r0\"],[\"r1\"],[\"r2\"]],\"oneway\":true".to_owned(),
        "\"k\":\"heal\",\"n\":\"net\",\"id\":4".to_owned(),
        "\"k\":\"set\",\"n\":\"r1\",\"view\":3,\"status\":\"view_change\",\"primary\":\"r0\"".to_owned(),
        "\"k\":\"inv\",\"n\":\"c7\",\"client\":\"c7\",\"req\":1,\"f\":\"put\",\"in\":\"x\"".to_owned(),
        "\"k\":\"ret\",\"n\":\"c7\",\"client\":\"c7\",\"req\":0,\"st\":\"info\"".to_owned(),
        "\"k\":\"ret\",\"n\":\"c8\",\"client\":\"c8\",\"req\":0,\"st\":\"info\"".to_owned(),
        "\"k\":\"ret\",\"n\":\"c9\",\"client\":\"c9\",\"req\":5,\"st\":\"ok\",\"out\":\"y\"".to_owned(),
        "\"k\":\"note\",\"n\":\"r2\",\"what\":\"halted\",\"text\":\"stops for good\"".to_owned(),
        "\"k\":\"crash\",\"n\":\"r1\"".to_owned(),
        "\"k\":\"newer\",\"n\":\"r1\",\"op\":77".to_owned(),
        "\"k\":\"commit\",\"n\":\"r9\",\"op\":12".to_owned(),
        "\"k\":\"agg\",\"n\":\"r1\",\"from\":\"r1\",\"to\":\"r0\",\"ty\":\"Commit\",\"count\":9,\"bytes\":9,\"dt\":9"
            .to_owned(),
    ];
    // More than are remembered; some of the forgotten ones arrive, some that are known are doubled and lost.
    for seq in 1..=3_000 {
        facts.push(format!("\"k\":\"send\",\"n\":\"r0\",\"m\":\"r0.1.{seq}\",\"to\":\"others\",\"ty\":\"Commit\""));
    }
    for (kind, seq, to) in [("recv", 1, "r1"), ("recv", 2_999, "r1"), ("dup", 2_998, "r2"), ("drop", 2_000, "r2")] {
        let whom = if kind == "recv" { format!("\"n\":\"{to}\"") } else { format!("\"n\":\"net\",\"to\":\"{to}\"") };
        let more = if kind == "drop" { ",\"why\":\"loss\"" } else { ",\"ty\":\"Commit\",\"verdict\":\"ok\"" };
        facts.push(format!("\"k\":\"{kind}\",{whom},\"m\":\"r0.1.{seq}\"{more}"));
    }
    facts.push("\"k\":\"heal\",\"n\":\"net\"".to_owned());
    let mut trace = String::from(
        "{\"i\":0,\"t\":0,\"k\":\"meta\",\"format\":\"vrtrace/1\",\"mode\":\"live\",\"config\":{\"members\":\
         [\"r0\",\"r1\",\"r2\"],\"epoch\":0,\"f\":1,\"quorum\":2},\"redact\":\"hash\"}\n",
    );
    for (fact, i) in facts.iter().zip(1..) {
        let _ = writeln!(trace, "{{\"i\":{i},\"t\":{},{fact}}}", i * 1_000);
    }
    // Everything before the messages is compared event by event.
    for end in 2..=24 {
        agree("live", &(trace.lines().take(end).collect::<Vec<_>>().join("\n") + "\n"));
    }
    agree("live", &trace);
}
