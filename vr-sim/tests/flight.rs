//! Flight recordings, as the simulator writes them in a driver's place, are repeated and judged; what was tampered with
//! is found out.

use bytes::Bytes;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use vr_core::recording::{self, Life};
use vr_core::{Body, Durability, Input, Message, ReplicaId};
use vr_sim::decider::Decider;
use vr_sim::flight::{Fault, Report, judge};
use vr_sim::run::world_of;
use vr_sim::swarm::{FaultSet, Options, draw};

/// The recordings of a seed's run, a file for each life.
fn recorded(seed: u64, durability: Durability) -> Vec<Vec<u8>> {
    recorded_with(seed, Options { durability: Some(durability), reconfigured: 0, ..Options::default() })
}

/// Of a run in which a disk went back, or a checkpoint was misread on its way out, nothing is given: no recording shows that.
fn recorded_with(seed: u64, options: Options) -> Vec<Vec<u8>> {
    let options = Options { replicas: Some(3), ..options };
    let (setup, odds) = draw(seed, &options);
    let mut world = world_of(&setup, Decider::seeded(seed, odds));
    world.record_flights();
    world.run();
    assert!(world.violation().is_none(), "seed {seed}: {:?}", world.violation());
    let is_recordable = world.marks().disks_gone_back + world.marks().rotten_parts == 0;
    if is_recordable { world.take_flights() } else { Vec::new() }
}

fn lives_of(files: &[Vec<u8>]) -> Vec<Life> {
    let read = |file: &Vec<u8>| recording::read(&Bytes::copy_from_slice(file)).expect("as it was written").lives;
    files.iter().flat_map(read).collect()
}

/// The first run that shows something, with its lives.
fn first(durability: Durability, is_meant: impl Fn(&[Life]) -> bool) -> Vec<Life> {
    let runs = (0..500).map(|seed| lives_of(&recorded(seed, durability)));
    runs.into_iter().find(|lives| is_meant(lives)).expect("one of them shows it")
}

#[test]
fn whole_runs_with_crashes_and_faults_are_repeated_from_their_recordings_and_found_good() {
    let mut sum = Report::default();
    for durability in [Durability::Sync, Durability::Async] {
        for seed in 0..60 {
            let lives = lives_of(&recorded(seed, durability));
            if lives.is_empty() {
                continue;
            }
            let report = judge(&lives).unwrap_or_else(|fault| panic!("seed {seed} {durability:?}: {fault}"));
            assert_eq!(usize::try_from(report.lives), Ok(lives.len()));
            sum.lives += report.lives;
            sum.matched += report.matched;
            sum.unmatched += report.unmatched;
            sum.committed.0 += report.committed.0;
        }
    }
    assert!(sum.lives > 500 && sum.matched > 50_000 && sum.committed.0 > 2_000, "{sum:?}");
    assert_eq!(sum.unmatched, 0, "everybody is recorded");
}

#[test]
fn a_recording_with_a_gap_is_found_out() {
    let calm = Options { faults: FaultSet::NONE, durability: Some(Durability::Sync), ..Options::default() };
    let mut lives = lives_of(&recorded_with(1, calm));
    assert!(judge(&lives).is_ok());
    let asked = |life: &Life| life.events.iter().position(|event| matches!(event.input, Input::Request(_)));
    let is_first = |life: &&mut Life| life.opening.config.me == ReplicaId(0);
    let primary = lives.iter_mut().find(is_first).expect("the primary of view 0");
    let place = asked(primary).expect("somebody opens a session");
    primary.events.remove(place);
    assert!(matches!(judge(&lives), Err(Fault::Diverged(_) | Fault::Panicked(_))), "{:?}", judge(&lives));
}

#[test]
fn a_message_that_arrived_otherwise_than_it_was_sent_is_found_out() {
    let mut lives = first(Durability::Sync, |lives| lives.first().is_some_and(|life| life.events.len() > 50));
    let is_commit =
        |input: &Input| matches!(input, Input::Message(message) if matches!(message.body, Body::Commit { .. }));
    let events = lives.iter_mut().flat_map(|life| &mut life.events);
    let event = events.into_iter().find(|event| is_commit(&event.input)).expect("a heartbeat");
    if let Input::Message(message) = &event.input
        && let Body::Commit { commit, head, beat } = message.body
    {
        let body = Body::Commit { commit, head, beat: beat.next() };
        event.input = Input::Message(Message::new(message.header, body));
    }
    assert!(matches!(judge(&lives), Err(Fault::Diverged(_))), "{:?}", judge(&lives));
}

#[test]
fn a_disk_that_came_back_without_what_was_durable_is_found_out() {
    let begins = |life: &Life| {
        let stored = &life.opening.stored;
        stored.checkpoint.as_ref().map_or(stored.log.base().op, vr_core::Checkpoint::op)
    };
    let came_back = |life: &Life| {
        let stored = &life.opening.stored;
        stored.damage.is_none() && stored.incarnation.0 > 0 && stored.log.op() > begins(life)
    };
    let mut lives = first(Durability::Sync, |lives| lives.iter().any(came_back));
    let life = lives.iter_mut().find(|life| came_back(life)).expect("there is one");
    let kept = begins(life);
    life.opening.stored.log.truncate(kept);
    let Err(Fault::Violated(violation)) = judge(&lives) else { panic!("{:?}", judge(&lives)) };
    assert_eq!(violation.property, "S4 crash image");
}

#[test]
fn recordings_that_do_not_belong_together_are_refused() {
    let one = lives_of(&recorded(1, Durability::Sync));
    let other = lives_of(&recorded(2, Durability::Sync));
    assert!(matches!(judge(&[one.clone(), other].concat()), Err(Fault::Mixed(_))));
    assert!(matches!(judge(&[one.clone(), one].concat()), Err(Fault::Mixed(_))));
    assert!(matches!(judge(&[]), Err(Fault::Empty)));
}

// ---- the command line

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vr-sim-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn check(&self, files: &[Vec<u8>]) -> Output {
        self.check_with(files, None)
    }

    fn check_with(&self, files: &[Vec<u8>], history: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vr-sim"));
        command.arg("check-recording");
        for (at, file) in files.iter().enumerate() {
            let path = self.0.join(format!("{at}.vrflight"));
            fs::write(&path, file).expect("written");
            command.arg(path);
        }
        if let Some(lines) = history {
            let path = self.0.join("history.jsonl");
            fs::write(&path, lines).expect("written");
            command.arg("--history").arg(path);
        }
        command.output().expect("it runs")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_command_line_judges_recordings_and_its_exit_code_says_how() {
    let folder = Folder::new("recordings");
    let mut files = recorded(3, Durability::Sync);
    let good = folder.check(&files);
    let told = String::from_utf8_lossy(&good.stdout).into_owned();
    assert_eq!((good.status.code(), told.contains("all held")), (Some(0), true), "{told}");

    let nobody_put_it = r#"{"body":"67010000006b","invoked":1,"returned":2,"result":"3d31"}"#;
    let judged = folder.check_with(&files, Some(nobody_put_it));
    let told = String::from_utf8_lossy(&judged.stdout).into_owned();
    assert_eq!((judged.status.code(), told.contains("S15 linearizability")), (Some(1), true), "{told}");
    let lost = r#"{"body":"67010000006b","invoked":1}"#;
    assert_eq!(folder.check_with(&files, Some(lost)).status.code(), Some(0));
    assert_eq!(folder.check_with(&files, Some("{}")).status.code(), Some(2));

    let torn = [files[0].clone(), b"VE".to_vec()].concat();
    let cut_off = folder.check(&[&[torn], &files[1..]].concat());
    assert_eq!(cut_off.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&cut_off.stdout).contains("1 cut off"));

    let without_one = folder.check(&files[1..]);
    let told = String::from_utf8_lossy(&without_one.stdout).into_owned();
    let says = told.contains("all held that could be judged") && told.contains("what could be judged: S1 agreement");
    assert_eq!((without_one.status.code(), says), (Some(0), true), "{told}");

    let middle = files[0].len() / 2;
    files[0][middle] ^= 1;
    let damaged = folder.check(&files);
    assert_eq!(damaged.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&damaged.stderr).contains("is damaged"));
    assert_eq!(folder.check(&[Vec::new()]).status.code(), Some(4));
}

#[test]
fn a_recording_or_a_directory_of_them_can_be_replayed_as_a_trace_and_as_a_page() {
    let folder = Folder::new("replayed");
    for (at, file) in recorded(3, Durability::Sync).iter().enumerate() {
        fs::write(folder.0.join(format!("replica-{at}.vrrec")), file).expect("written");
    }
    fs::write(folder.0.join("notes.txt"), "no recording").expect("written");
    let (page, trace) = (folder.0.join("page.html"), folder.0.join("run.vrtrace"));
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vr-sim"));
        command.args(words).output().expect("it runs")
    };
    let path = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let dir = path(&folder.0);
    let replayed = run(&["replay", &dir, "--html", &path(&page), "--trace", &path(&trace)]);
    let told = String::from_utf8_lossy(&replayed.stdout).into_owned();
    assert_eq!((replayed.status.code(), told.contains("all held")), (Some(0), true), "{told}");
    assert!(fs::read_to_string(&page).expect("written").starts_with("<!doctype html>"));
    let lines = fs::read_to_string(&trace).expect("written");
    assert!(lines.lines().count() > 100 && lines.contains("\"mode\":\"live\""), "{}", lines.lines().count());

    let one = path(&folder.0.join("replica-0.vrrec"));
    let alone = run(&["replay", &one, "--json"]);
    let told = String::from_utf8_lossy(&alone.stdout).into_owned();
    let is_partial = told.contains("\"partial\":\"nothing of r") && told.contains("S13 silence");
    assert_eq!((alone.status.code(), is_partial), (Some(0), true), "{told}");
    let refused = run(&["replay", &one, "--seeds", "3"]);
    assert_eq!(refused.status.code(), Some(2));
    let refused = run(&["replay", &one, "--text"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--text is for seeds and case files"));
}
