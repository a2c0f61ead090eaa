//! What the swarm found of each planted bug, shrunk and kept: each case still breaks its property, and holds without
//! the bug.
//!
//! Owns `tests/planted/NAME.vrcase`, written by `vr-sim mutants --hunt --cases`, and the table in the README, which
//! is made of the committed figures of that hunt (`tests/planted/hunt.json`). Must not know what the bugs are.
//! PROTOCOL §3.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const BEGINS: &str = "<!-- the hunt: `VR_BLESS=1 cargo test -p vr-sim --test planted` writes it -->\n";
const ENDS: &str = "<!-- the end of the hunt -->\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/planted")
}

fn hunt() -> Value {
    let text = fs::read_to_string(folder().join("hunt.json")).expect("the figures of a hunt");
    serde_json::from_str(&text).expect("as the hunt wrote it")
}

/// The bugs of a hunt.
fn bugs(hunt: &Value) -> &Vec<Value> {
    hunt["mutants"].as_array().expect("a list")
}

fn text<'a>(bug: &'a Value, field: &str) -> &'a str {
    bug[field].as_str().unwrap_or_default()
}

/// The table of the README.
fn table(hunt: &Value) -> String {
    let mut table = format!(
        "{} planted bugs; the swarm found {} of them within {} s each (median of {} first seeds).\n\n\
         | bug | defect | what is wrong | caught by | property | seeds | seconds | decisions |\n\
         |---|---|---|---|---|--:|--:|--:|\n",
        hunt["planted"], hunt["swarm_found"], hunt["budget_seconds"], hunt["bases"]
    );
    for bug in bugs(hunt) {
        let found = bug["swarm_seed"].is_u64();
        let number = |field: &str| if found { bug[field].to_string() } else { "–".to_owned() };
        let seconds = bug["swarm_seconds"].as_f64().filter(|_| found).map_or("–".to_owned(), |it| format!("{it:.2}"));
        let layer = if bug["equivalent"].is_string() { "nothing can see it" } else { text(bug, "layer") };
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {layer} | {} | {} | {seconds} | {} |",
            text(bug, "name"),
            text(bug, "defect"),
            text(bug, "sentence"),
            text(bug, "property"),
            number("swarm_seeds"),
            number("shrunk_decisions"),
        );
    }
    table.push_str("\nWhat the swarm does not find, and why:\n\n");
    for bug in bugs(hunt).iter().filter(|bug| !bug["swarm_seed"].is_u64()) {
        let _ = writeln!(table, "- `{}`: {}", text(bug, "name"), reason(bug));
    }
    table
}

/// Why the swarm does not find it.
fn reason(bug: &Value) -> &str {
    let why = ["equivalent", "out_of_reach"].map(|field| text(bug, field));
    why.into_iter().find(|why| !why.is_empty()).unwrap_or_default()
}

#[test]
fn what_the_swarm_does_not_find_has_its_reason() {
    for bug in bugs(&hunt()) {
        assert!(bug["swarm_seed"].is_u64() == reason(bug).is_empty(), "{}: {:?}", text(bug, "name"), reason(bug));
    }
}

#[test]
fn the_table_in_the_readme_is_the_committed_hunt() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).expect("a README");
    let from = readme.find(BEGINS).expect("a place for the table") + BEGINS.len();
    let to = readme.find(ENDS).expect("an end of it");
    let table = table(&hunt());
    if std::env::var_os("VR_BLESS").is_some() {
        fs::write(&path, format!("{}{table}{}", &readme[..from], &readme[to..])).expect("a writable README");
        return;
    }
    assert!(readme[from..to] == table, "the README's table is not that of hunt.json; VR_BLESS=1 writes it");
}

#[test]
fn what_the_swarm_found_has_its_case_and_there_are_no_others() {
    let hunt = hunt();
    let found = bugs(&hunt).iter().filter(|bug| bug["swarm_seed"].is_u64());
    let found: BTreeSet<String> = found.map(|bug| format!("{}.vrcase", text(bug, "name"))).collect();
    let kept = fs::read_dir(folder()).expect("a folder").map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kept: BTreeSet<String> = kept.filter(|name| name.ends_with(".vrcase")).collect();
    assert_eq!(found, kept);
    assert!(found.len() >= 56, "{} are found by the swarm", found.len());
}

#[cfg(feature = "mutants")]
mod with_bugs {
    use super::{bugs, folder, hunt, text};
    use std::fs;
    use vr_sim::case::Case;
    use vr_sim::run::run_case;

    #[test]
    fn every_case_still_breaks_its_property_and_holds_without_its_bug() {
        let mut lost = Vec::new();
        for bug in bugs(&hunt()).iter().filter(|bug| bug["swarm_seed"].is_u64()) {
            let name = text(bug, "name");
            let path = folder().join(format!("{name}.vrcase"));
            let mut case = Case::read(&fs::read_to_string(path).expect("a case")).expect("a case");
            assert_eq!(case.setup.mutant.as_deref(), Some(name));
            let recorded = case.violation.clone();
            let outcome = run_case(&case);
            if outcome.failure() != recorded.as_deref() {
                lost.push(format!("{name}: {recorded:?} was recorded, now it is {:?}", outcome.failure()));
            }
            case.setup.mutant = None;
            let without = run_case(&case);
            if !without.passed() {
                lost.push(format!("{name}: fails without the bug too, by {:?}", without.failure()));
            }
        }
        assert!(lost.is_empty(), "{} of the cases are lost:\n{}", lost.len(), lost.join("\n"));
    }

    #[test]
    fn the_hunt_was_for_every_planted_bug() {
        let hunt = hunt();
        let hunted: Vec<&str> = bugs(&hunt).iter().map(|bug| text(bug, "name")).collect();
        let planted: Vec<&str> = vr_core::Mutant::all().map(vr_core::Mutant::name).collect();
        assert_eq!(hunted, planted, "a new bug is hunted before it is committed: the commands stand in the README");
    }
}
