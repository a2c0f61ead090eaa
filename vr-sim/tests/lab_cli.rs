//! `vr-sim lab` as a person or a script meets it: what it writes is what the library records, and can be replayed.
//!
//! Owns the verb's exit codes, files and command lines. Must not look into the program. DESIGN §8; VIEW §7 check 14.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use vr_sim::lab::{Lab, LabSetup};

const STORY: &str = "register c0 r0; run 20ms; request c0 r0 put x 1; step 2; drop r0.1.2 r1; run 20ms; crash r0; note gone; \
                     run 2s; restart r0; run 300ms";

/// A folder of its own for each test, gone when the test held.
struct Room(PathBuf);

impl Room {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vr-sim-lab-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder for the test");
        Self(path)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).expect("a file that was written")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(fs::remove_dir_all(&self.0));
        }
    }
}

/// Runs the program in a folder: its exit code, and what it said.
fn run(room: &Room, words: &[&str], input: &str) -> (i32, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_vr-sim"));
    program.args(words).current_dir(&room.0).env_remove("CLICOLOR_FORCE");
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = program.spawn().expect("the program can be run");
    running.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads, or is done");
    let ran = running.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (ran.status.code().expect("it ended by itself"), text(ran.stdout), text(ran.stderr))
}

#[test]
fn the_command_line_records_what_the_library_records_and_repeats_itself() {
    let room = Room::new();
    let mut lab = Lab::default();
    let branch = lab.root(&LabSetup::default()).unwrap();
    lab.run_text(branch, STORY).unwrap();
    let (code, _, told) = run(&room, &["lab", "--do", STORY, "--trace", "a", "--out", "a.vrcase"], "");
    assert_eq!((code, told.as_str()), (0, ""));
    assert_eq!(room.read("a"), lab.trace(branch).unwrap());
    assert_eq!(room.read("a.vrcase"), lab.case(branch).unwrap().write());
    let lines = STORY.replace("; ", "\n");
    let (code, out, _) = run(&room, &["lab", "--script", "-", "--trace", "b"], &format!("# a story\n{lines}\n"));
    assert_eq!((code, room.read("a") == room.read("b")), (0, true));
    // Its last line is the command that does it again.
    let command = out.lines().last().unwrap_or_default();
    let (_, script) = command.split_once("-- lab --do '").expect("a command that can be pasted");
    assert_eq!(command, lab.command(branch).unwrap());
    let (code, ..) = run(&room, &["lab", "--do", script.trim_end_matches('\''), "--trace", "c"], "");
    assert_eq!((code, room.read("a") == room.read("c")), (0, true));
}

#[test]
fn a_session_that_was_saved_is_replayed_and_gone_on_with() {
    let room = Room::new();
    run(&room, &["lab", "--replicas", "5", "--do", STORY, "--out", "a.vrcase", "--trace", "a"], "");
    let (code, out, _) = run(&room, &["replay", "a.vrcase", "--json", "--trace", "b"], "");
    let told: Value = serde_json::from_str(&out).expect("an object");
    assert_eq!((code, &told["reproduced"], &told["recorded_digest"]), (0, &Value::Bool(true), &told["digest"]));
    let behind_the_header = |text: String| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(behind_the_header(room.read("a")), behind_the_header(room.read("b")));
    let (_, out, _) = run(&room, &["replay", "a.vrcase", "--until", "30", "--text"], "");
    assert!(out.contains("stopped after 30 events"), "{out}");
    let (code, ..) = run(&room, &["lab", "--fork", "a.vrcase", "--do", "run 1s", "--out", "longer.vrcase"], "");
    assert!(code == 0 && room.read("longer.vrcase").contains("\"run 1300ms\""));
    let (code, ..) =
        run(&room, &["lab", "--fork", "a.vrcase", "--at", "60", "--do", "crash r1", "--out", "fork.vrcase"], "");
    assert!(code == 0 && room.read("fork.vrcase").contains("\"crash r1\""));
    assert_eq!(run(&room, &["replay", "fork.vrcase"], "").0, 0);
    let other = room.read("a.vrcase").replace("run 20ms", "run 21ms");
    fs::write(room.0.join("other.vrcase"), other).unwrap();
    assert_eq!(run(&room, &["replay", "other.vrcase"], "").0, 7, "it is another session now");
}

#[test]
fn a_seed_is_forked_and_the_fork_replayed() {
    let room = Room::new();
    let words = ["lab", "--fork", "3", "--at", "500", "--do", "crash r0; run 1s", "--out", "f.vrcase", "--json"];
    let (code, out, told) = run(&room, &words, "");
    let object: Value = serde_json::from_str(&out).unwrap_or_else(|why| panic!("{why}: {out}{told}"));
    assert_eq!((code, &object["at"], &object["script"][0]), (0, &Value::from(500), &Value::from("crash r0")));
    assert!(object["command"].as_str().is_some_and(|command| command.contains("lab --fork 3 --at 500 --do 'crash r0")));
    assert_eq!(run(&room, &["replay", "f.vrcase"], "").0, 0);
}

#[test]
fn what_cannot_be_done_is_refused_in_one_line_and_nothing_is_written() {
    let room = Room::new();
    let cases: [(&[&str], &str); 10] = [
        (&["--do", "crahs r0"], "is `crash` meant?"),
        (&["--do", "restart r0"], "r0 is not down"),
        (&["--at", "3"], "--fork"),
        (&["--fork", "3"], "at which event"),
        (&["--fork", "3", "--at", "99999999"], "there is no event"),
        (&["--fork", "3", "--at", "1", "--replicas", "5"], "cannot be used with"),
        (&["--fork", "nowhere.vrcase"], "nowhere.vrcase"),
        (&["--replicas", "1", "--durability", "async"], ""),
        (&["--clients", "1000"], "too many"),
        (&["--script", "nowhere"], "nowhere"),
    ];
    for (words, why) in cases {
        let all = [&["lab"], words, &["--trace", "t", "--out", "c"]].concat();
        let (code, _, told) = run(&room, &all, "");
        assert!(code == 2 && told.contains(why) && told.trim().lines().count() == 1, "{words:?}: {code} {told}");
    }
    assert_eq!(fs::read_dir(&room.0).unwrap().count(), 0);
}

#[test]
fn a_long_script_is_given_to_the_shell_as_a_here_document() {
    let mut lab = Lab::default();
    let branch = lab.root(&LabSetup { seed: 9, ..LabSetup::default() }).unwrap();
    let long: Vec<String> = (0..100).map(|at| format!("note it's line {at} of a long script\nrun 1ms")).collect();
    lab.run_text(branch, &long.join("\n")).unwrap();
    let command = lab.command(branch).unwrap();
    let (first, rest) = command.split_once('\n').unwrap();
    assert!(first.ends_with("vr-sim -- lab --seed 9 --script - <<'END'"), "{first}");
    let room = Room::new();
    let script = rest.strip_suffix("\nEND").unwrap();
    let (code, ..) = run(&room, &["lab", "--seed", "9", "--script", "-", "--trace", "t"], script);
    assert_eq!((code, room.read("t")), (0, lab.trace(branch).unwrap()));
}
