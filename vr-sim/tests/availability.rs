//! `vr-sim bench --availability`: its figures are repeatable, and those of the README are the ones that were measured.
//!
//! Owns the table in the README, which is made of `tests/availability.json`, as the program wrote it. No figure is judged.

use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BEGINS: &str = "<!-- the waits: `VR_BLESS=1 cargo test -p vr-sim --test availability` writes it -->\n";
const ENDS: &str = "<!-- the end of the waits -->\n";

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn bench(words: &[&str]) -> Value {
    let mut program = Command::new(env!("CARGO_BIN_EXE_vr-sim"));
    let ran = program.args(["bench", "--availability", "--json"]).args(words).output().expect("it runs");
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).expect("one object")
}

/// The figures as people read them: whole numbers with commas, nearly as `vr-sim` shows them.
fn row(figures: &Value) -> String {
    let number = |field: &str| figures[field].as_u64().expect("a number");
    let mut row = format!("| {} | {} |", figures["fault"].as_str().expect("a name"), number("replicas"));
    for field in ["p50_ms", "p90_ms", "p99_ms", "max_ms", "never"] {
        let of = number(field);
        let text = if of < 1000 { of.to_string() } else { format!("{},{:03}", of / 1000, of % 1000) };
        write!(row, " {text} |").expect("a text");
    }
    row + "\n"
}

fn table(measured: &Value) -> String {
    let rows = measured["availability"].as_array().expect("rows");
    let mut table = format!(
        "{} seeds each, heartbeats of {} ms, {}, digest `{}`; milliseconds of virtual time.\n\n\
         | fault | replicas | p50 | p90 | p99 | max | never |\n|---|--:|--:|--:|--:|--:|--:|\n",
        rows[0]["seeds"],
        measured["heartbeat_ms"],
        measured["durability"].as_str().expect("a mode"),
        measured["digest"].as_str().expect("a hash"),
    );
    rows.iter().for_each(|figures| table.push_str(&row(figures)));
    table
}

#[test]
fn the_table_in_the_readme_is_the_committed_measurement() {
    let path = here().join("README.md");
    let readme = fs::read_to_string(&path).expect("a README");
    let from = readme.find(BEGINS).expect("a place for the table") + BEGINS.len();
    let to = readme.find(ENDS).expect("an end of it");
    let measured = fs::read_to_string(here().join("tests/availability.json")).expect("the figures");
    let table = table(&serde_json::from_str(&measured).expect("as the program wrote them"));
    if std::env::var_os("VR_BLESS").is_some() {
        fs::write(&path, format!("{}{table}{}", &readme[..from], &readme[to..])).expect("a writable README");
        return;
    }
    assert!(readme[from..to] == table, "the README's table is not that of availability.json; VR_BLESS=1 writes it");
}

#[test]
fn how_many_seeds_are_measured_at_once_changes_no_figure() {
    let words = ["--seeds", "2", "--heartbeat-ms", "10", "--jobs"];
    let [mut one, mut two] = ["1", "2"].map(|jobs| bench(&[&words[..], &[jobs]].concat()));
    for measured in [&mut one, &mut two] {
        measured["seconds"] = Value::Null;
    }
    assert_eq!(one, two);
    let rows = one["availability"].as_array().expect("rows");
    assert!(rows.len() == 14 && rows.iter().all(|row| row["seeds"] == 2), "{rows:?}");
}

#[test]
fn the_case_of_the_longest_wait_is_left_to_be_replayed() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("waits");
    let told = folder.display().to_string();
    let _ = bench(&["--seeds", "1", "--heartbeat-ms", "10", "--worst", &told]);
    let case = folder.join("primary-crash-3.vrcase");
    let replayed = Command::new(env!("CARGO_BIN_EXE_vr-sim")).arg("replay").arg(&case).output().expect("it runs");
    let said = String::from_utf8_lossy(&replayed.stdout);
    assert_eq!(replayed.status.code(), Some(0), "{said}");
}

#[test]
fn what_measures_nothing_is_refused_in_one_line() {
    for words in
        [&["bench", "--seeds", "3"][..], &["bench", "--availability", "--seeds", "0"], &["bench", "--jobs", "2"]]
    {
        let ran = Command::new(env!("CARGO_BIN_EXE_vr-sim")).args(words).output().expect("it runs");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!((ran.status.code(), said.lines().count()), (Some(2), 1), "{words:?}: {said}");
    }
}
