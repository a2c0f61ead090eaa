//! The program as a person or a script meets it: exit codes, `--json`, what is written and what is not.
//!
//! Each exit code that a build without planted bugs can reach is seen here. Must not look into the program.

use serde_json::Value;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own for each test, gone when the test held.
struct Room(PathBuf);

impl Room {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vr-sim-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder for the test");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file in the test's folder");
        path.display().to_string()
    }

    /// Everything in it.
    fn names(&self) -> Vec<String> {
        let listing = fs::read_dir(&self.0).expect("the test's folder");
        let mut names: Vec<_> = listing.map(|item| name_of(&item.expect("an item of a folder").path())).collect();
        names.sort();
        names
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(fs::remove_dir_all(&self.0));
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What the program did.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {}", self.out))
    }

    fn last_line(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }
}

/// Runs the program in a folder, on no terminal.
fn run_in(room: &Room, words: &[&str]) -> Ran {
    let mut program = Command::new(env!("CARGO_BIN_EXE_vr-sim"));
    let program = program.args(words).current_dir(&room.0).stdin(Stdio::null()).env_remove("CLICOLOR_FORCE");
    let ran = program.output().expect("the program can be run");
    Ran {
        code: ran.status.code().expect("it ended by itself"),
        out: String::from_utf8(ran.stdout).expect("text"),
        err: String::from_utf8(ran.stderr).expect("text"),
    }
}

fn run(words: &[&str]) -> Ran {
    run_in(&Room::new(), words)
}

/// A cluster that nothing happens to: quick, and it holds.
const QUIET: [&str; 4] = ["--faults", "none", "--replicas", "3"];

fn quiet(words: &[&str]) -> Ran {
    run(&[words, &QUIET].concat())
}

fn number(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {of}"))
}

fn digest(of: &Value) -> u64 {
    let digits = of["digest"].as_str().expect("a digest is a string of digits");
    u64::from_str_radix(digits, 16).expect("hexadecimal digits")
}

/// A case file of a seed in which all held.
fn case_of_a_quiet_seed() -> String {
    let options = vr_sim::swarm::Options { faults: vr_sim::swarm::FaultSet::NONE, ..Default::default() };
    let (setup, odds) = vr_sim::swarm::draw(1, &options);
    let outcome = vr_sim::run::run_drawn(&setup, &odds, 1);
    let decider = vr_sim::decider::Decider::seeded(1, odds).recording();
    let mut world = vr_sim::run::world_of(&setup, decider);
    world.run();
    vr_sim::case::Case::new(1, setup, world.decisions().to_vec(), outcome.digest).write()
}

#[test]
fn a_small_run_holds_and_says_so_last() {
    let room = Room::new();
    let ran = run_in(&room, &[&["run", "--seeds", "5"], &QUIET[..]].concat());
    assert_eq!((ran.code, ran.last_line()), (0, "5 seeds: all held"), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("never seen") && ran.out.contains("digest "), "{}", ran.out);
    assert!(!ran.out.contains('\x1b'), "colours on no terminal: {}", ran.out);
    assert_eq!(room.names(), [""; 0], "what held leaves nothing behind");
}

#[test]
fn the_summary_in_json_has_every_field() {
    let ran = quiet(&["run", "--seeds", "4", "--json"]);
    let json = ran.json();
    assert_eq!(ran.code, 0, "{json}");
    assert_eq!([number(&json, "seeds"), number(&json, "passed"), number(&json, "failed")], [4, 4, 0]);
    for name in ["safety_violations", "liveness_violations", "panics"] {
        assert_eq!(number(&json, name), 0, "{name}");
    }
    for name in ["virtual_seconds", "wall_seconds", "cpu_seconds"] {
        assert!(json[name].as_f64().is_some_and(|seconds| seconds >= 0.0), "{name} in {json}");
    }
    assert!(number(&json, "steps") > 0 && number(&json, "messages") > 0);
    assert!(number(&json["marks"], "commits") > 0);
    assert_eq!(number(&json["marks"], "crashes"), 0);
    assert!(json["failures"].as_array().is_some_and(Vec::is_empty));
    assert!(json["never_seen"].as_array().is_some_and(|names| names.contains(&"crashes".into())));
    assert_eq!(digest(&json), digest(&quiet(&["--seeds", "0..4", "--json"]).json()), "`run` is what is meant");
}

#[test]
fn the_number_of_threads_changes_nothing_but_the_time() {
    let of = |jobs: &str| {
        let mut json = run(&["run", "--seeds", "12", "--keep-going", "--jobs", jobs, "--json"]).json();
        let object = json.as_object_mut().expect("an object");
        let measured = ["wall_seconds", "cpu_seconds", "seeds_per_wall_s", "virtual_s_per_wall_s", "steps_per_core_s"];
        for name in measured.into_iter().chain(["jobs"]) {
            assert!(object.remove(name).is_some(), "{name}");
        }
        json
    };
    assert_eq!(of("1"), of("2"));
}

#[test]
fn the_shards_of_a_range_add_up_to_the_range() {
    let whole = quiet(&["--seeds", "7", "--json"]).json();
    let shards = ["1/3", "2/3", "3/3"].map(|shard| quiet(&["--seeds", "7", "--json", "--shard", shard]).json());
    let sum = |name: &str| shards.iter().map(|shard| number(shard, name)).sum::<u64>();
    for name in ["seeds", "steps", "messages", "acked_ops"] {
        assert_eq!(sum(name), number(&whole, name), "{name}");
    }
    let digests = shards.iter().fold(0u64, |sum, shard| sum.wrapping_add(digest(shard)));
    assert_eq!(digests, digest(&whole), "each seed's digest is in it once");
}

#[test]
fn a_seed_replays_to_the_same_digest_and_so_does_its_case() {
    let room = Room::new();
    let [one, other] = [(); 2].map(|()| run(&["replay", "1", "--faults", "none", "--json"]));
    assert_eq!((one.code, digest(&one.json())), (0, digest(&other.json())));
    let case = room.file("one.vrcase", &case_of_a_quiet_seed());
    let replayed = run_in(&room, &["replay", &case, "--json"]);
    assert_eq!(replayed.code, 0, "{}{}", replayed.out, replayed.err);
    assert_eq!(digest(&replayed.json()), digest(&one.json()));
    assert_eq!(replayed.json()["reproduced"], true);
}

#[test]
fn a_replay_can_be_watched_event_by_event() {
    let room = Room::new();
    let words = ["replay", "1", "--faults", "none", "--until", "12", "--text", "--trace", "one.jsonl"];
    let ran = run_in(&room, &words);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines.len() > 12 && ran.out.contains("stopped after 12 events"), "{}", ran.out);
    assert_eq!(room.names(), ["one.jsonl"]);
}

#[test]
fn a_replay_can_be_written_for_other_tools_which_get_nothing_else() {
    let room = Room::new();
    let quiet = ["replay", "1", "--faults", "none"];
    let replay = |more: &[&str]| run_in(&room, &[&quiet, more].concat());
    for (form, begins) in [("shiviz", "0."), ("perfetto", "{"), ("history", "{"), ("text", "#"), ("table", "after")] {
        let ran = replay(&["--export", form]);
        assert!(ran.code == 0 && ran.out.starts_with(begins), "{form}: {}", ran.out);
        assert!(!ran.out.contains("all held") && ran.err.ends_with("all held\n"), "{form}: {}", ran.err);
        let to_file = replay(&["--export", &format!("{form}=out.{form}")]);
        assert_eq!(to_file.last_line(), "all held", "{}", to_file.err);
        let file = fs::read_to_string(room.0.join(format!("out.{form}"))).expect("it was written");
        assert_eq!(file.trim_end(), ran.out.trim_end(), "{form}");
    }
    assert_eq!(replay(&["--export", "svg"]).code, 2);
    assert_eq!(replay(&["--export", "text", "--json"]).code, 2);
}

#[test]
fn a_replay_shows_in_what_the_replicas_disagree_at_any_event() {
    let room = Room::new();
    let replay = |more: &[&str]| run_in(&room, &[&["replay", "1", "--faults", "none", "--table"], more].concat());
    let ran = replay(&["--at", "100"]);
    assert!(ran.code == 0 && ran.out.starts_with("after event 100,") && ran.last_line() == "all held", "{}", ran.out);
    let json = replay(&["--json"]).json();
    assert_eq!((json["exit"].as_u64(), json["table"]["violations"].as_u64()), (Some(0), Some(0)));
    let beyond = replay(&["--at", "100000000"]);
    assert_eq!((beyond.code, beyond.err.lines().count()), (2, 1), "{}", beyond.err);
}

#[test]
fn a_replay_can_be_looked_at_as_one_page_that_loads_nothing() {
    let room = Room::new();
    let ran = run_in(&room, &["replay", "1", "--faults", "none", "--html", "one.html", "--json"]);
    assert_eq!((ran.code, ran.json()["page"].as_str()), (0, Some("one.html")), "{}{}", ran.out, ran.err);
    assert_eq!(room.names(), ["one.html"]);
    let page = fs::read_to_string(room.0.join("one.html")).expect("the page");
    assert!(page.contains("connect-src 'none'") && page.contains("\"mode\":\"file\",\"name\":\"seed 1\""), "{page}");
    let (_, trace) = page.split_once("id=\"trace\">").expect("a trace is embedded");
    let (trace, _) = trace.split_once("</script>").expect("and it ends");
    let lines: Vec<Value> = trace.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert!(lines.len() > 100 && lines[0]["k"] == "meta" && lines[lines.len() - 1]["k"] == "end");
}

#[test]
fn a_case_that_does_something_else_now_is_not_reproduced() {
    let room = Room::new();
    let mut other = vr_sim::case::Case::read(&case_of_a_quiet_seed()).expect("it was just written");
    other.digest ^= 1;
    let case = room.file("other.vrcase", &other.write());
    let ran = run_in(&room, &["replay", &case]);
    assert_eq!(ran.code, 7, "{}{}", ran.out, ran.err);
    assert!(ran.last_line().contains("another run than the recorded one"), "{}", ran.out);
}

#[test]
fn a_replay_that_goes_another_way_says_where_it_left() {
    let room = Room::new();
    let recorded = vr_sim::run::record_seed(&vr_sim::swarm::Options::default(), 3);
    let mut other = *recorded.case.expect("recording gives a case");
    let half = other.decisions.len() / 2;
    assert!(other.trail.is_some() && half > 0, "a case has a trail");
    other.decisions.truncate(half);
    let case = room.file("other.vrcase", &other.write());
    let ran = run_in(&room, &["replay", &case]);
    assert!(ran.last_line().contains("it diverged at step "), "{}", ran.out);
    let divergence = &run_in(&room, &["replay", &case, "--json"]).json()["divergence"];
    assert!(number(divergence, "same_through_step") < number(divergence, "by_step"), "{divergence}");
}

/// A case file that a person edited until it cannot hold: what must not happen happens in it.
fn edited_case(edit: impl FnOnce(&mut vr_sim::setup::Setup)) -> String {
    let mut case = vr_sim::case::Case::read(&case_of_a_quiet_seed()).expect("it was just written");
    edit(&mut case.setup);
    case.decisions.clear();
    case.write()
}

#[test]
fn a_group_whose_disks_take_for_ever_violates_liveness() {
    let room = Room::new();
    let case = room.file("slow.vrcase", &edited_case(|setup| setup.sync = vr_core::Wait::millis(3_000_000)));
    let ran = run_in(&room, &["replay", &case]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    let json = run_in(&room, &["replay", &case, "--json"]).json();
    assert!(json["property"].as_str().is_some_and(|name| name.starts_with('L')), "{json}");
    assert_eq!((json["exit"].as_u64(), json["reproduced"].as_bool()), (Some(3), Some(false)));
}

#[test]
fn a_failing_case_is_made_small_and_still_fails_in_the_same_way() {
    let room = Room::new();
    let case = room.file("slow.vrcase", &edited_case(|setup| setup.sync = vr_core::Wait::millis(3_000_000)));
    let ran = run_in(&room, &["shrink", &case, "--budget", "2s", "--emit-test", "slow.rs", "--json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let json = ran.json();
    assert!(json["property"].as_str().is_some_and(|name| name.starts_with('L')), "{json}");
    assert_eq!(room.names(), ["slow.min.vrcase", "slow.rs", "slow.vrcase"]);
    let again = run_in(&room, &["replay", "slow.min.vrcase"]);
    assert!((again.code, again.last_line().starts_with("reproduced: ")) == (3, true), "{}", again.out);
}

#[test]
fn what_holds_is_not_shrunk() {
    let room = Room::new();
    let case = room.file("quiet.vrcase", &case_of_a_quiet_seed());
    let ran = run_in(&room, &["shrink", &case]);
    assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{}", ran.err);
    assert!(ran.err.contains("nothing to shrink"), "{}", ran.err);
}

#[test]
fn a_panic_in_a_run_is_told_and_not_shown_raw() {
    let room = Room::new();
    let case = room.file("late.vrcase", &edited_case(|setup| (setup.mix.get, setup.mix.put) = (u64::MAX, u64::MAX)));
    let ran = run_in(&room, &["replay", &case]);
    assert_eq!((ran.code, ran.err.as_str()), (5, ""), "{}", ran.out);
    assert!(ran.out.contains("panicked") && ran.out.contains(".rs:"), "{}", ran.out);
}

#[test]
fn nothing_that_ran_is_no_success() {
    for words in [&["--seeds", "0"][..], &["--seeds", "5..5"], &["--for", "0s"], &["--seeds", "1", "--shard", "2/2"]] {
        let ran = quiet(words);
        assert_eq!((ran.code, ran.last_line()), (4, "nothing ran: no seed, no proof"), "{words:?}");
        assert_eq!(quiet(&[words, &["--json"]].concat()).json()["exit"], 4);
    }
    assert_eq!(quiet(&["doctor", "--seeds", "0"]).code, 4);
}

#[test]
fn two_processes_agree_about_every_seed() {
    let ran = run(&["doctor", "--seeds", "3", "--faults", "none"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(run(&["doctor", "--seeds", "3", "--faults", "none", "--json"]).json()["seeds"], 3);
}

#[test]
fn bad_input_is_refused_in_one_line_and_nothing_is_written() {
    let room = Room::new();
    let case = case_of_a_quiet_seed();
    let cut = room.file("cut.vrcase", &case[..case.len() / 2]);
    let foreign = room.file("foreign.vrcase", "{\"format\": \"vrtrace/1\"}");
    let newer = room.file("newer.vrcase", &case.replace("vrcase/1", "vrcase/9"));
    let crowd = room.file("crowd.vrcase", &case.replace("\"replicas\": ", "\"replicas\": 99"));
    let good = room.file("good.vrcase", &case);
    let before = room.names();
    let bad: [&[&str]; 26] = [
        &["--no-such-option"],
        &["no-such-verb"],
        &["run", "--seeds", "x"],
        &["run", "--seeds", "9..5"],
        &["run", "--seeds", "1..2..3"],
        &["run", "--seeds", "3", "--for", "1s"],
        &["run", "--for", "5"],
        &["run", "--jobs", "0"],
        &["run", "--shard", "4/3"],
        &["run", "--shard", "0/3"],
        &["run", "--replicas", "0"],
        &["run", "--replicas", "65"],
        &["run", "--replicas", "1", "--durability", "async"],
        &["run", "--durability", "later"],
        &["run", "--faults", "net,weather"],
        &["run", "--scenario", "no-such-scenario"],
        &["replay"],
        &["replay", "no-such-file.vrcase"],
        &["replay", "."],
        &["replay", &cut],
        &["replay", &foreign],
        &["replay", &newer],
        &["replay", &crowd],
        &["replay", &good, "--replicas", "3"],
        &["replay", "1", "--until", "soon"],
        &["doctor", "--replicas", "65"],
    ];
    for words in bad {
        let ran = run_in(&room, words);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{words:?}: {}", ran.err);
        assert!(ran.err.starts_with("vr-sim: ") && ran.err.lines().count() == 1, "{words:?}: {}", ran.err);
    }
    assert_eq!(room.names(), before, "something was written");
}

#[cfg(feature = "mutants")]
#[test]
fn a_failing_seed_leaves_its_case_and_its_trace_and_ends_with_the_command_that_replays_it() {
    for (mutant, code) in [("count_acks", 1), ("rec_no_retry", 3)] {
        let room = Room::new();
        let ran = run_in(&room, &["run", "--seeds", "500", "--mutant", mutant, "--out", "kept", "--no-shrink"]);
        assert_eq!(ran.code, code, "{mutant}: {}{}", ran.out, ran.err);
        let command = ran.last_line();
        assert!(
            command.starts_with("cargo run ") && command.contains(" --features mutants -- replay kept/"),
            "{command}"
        );
        let case = command.split(' ').next_back().expect("a command has words");
        assert!(room.0.join(case.replace(".vrcase", ".vrt.jsonl")).exists(), "{command}");
        let page = case.replace(".vrcase", ".html");
        assert!(room.0.join(&page).exists() && ran.out.contains(&format!("page  {page}")), "{}", ran.out);
        let again = run_in(&room, &["replay", case]);
        assert_eq!(again.code, code, "{mutant}: {}{}", again.out, again.err);
        assert!(again.last_line().starts_with("reproduced: "), "{}", again.out);
        let json = run_in(&room, &["run", "--seeds", "500", "--mutant", mutant, "--json", "--no-shrink"]).json();
        let failure = &json["failures"][0];
        assert!(failure["seed"].is_u64() && failure["case"].is_string(), "{json}");
        assert!(["property", "message"].iter().all(|name| failure[name].as_str().is_some_and(|text| !text.is_empty())));
    }
}

#[cfg(feature = "mutants")]
#[test]
fn the_first_failure_of_a_run_is_shrunk_without_being_asked() {
    let room = Room::new();
    let ran = run_in(&room, &["run", "--seeds", "500", "--mutant", "count_acks", "--out", "kept"]);
    let small = ran.out.lines().find_map(|line| line.strip_prefix("  small ")).expect("a small case");
    assert!(ran.last_line().ends_with(&small.replace(".min.vrcase", ".vrcase")), "{}", ran.out);
    let again = run_in(&room, &["replay", small, "--json"]);
    assert_eq!((again.code, again.json()["reproduced"].as_bool()), (1, Some(true)), "{}", again.out);
    assert!(room.0.join(small.replace(".vrcase", ".html")).exists());
    let told = run_in(&room, &["replay", small, "--explain"]).out;
    let story: Vec<_> = told.lines().take_while(|line| !line.is_empty()).collect();
    assert!((3..=30).contains(&story.len()) && story.last().is_some_and(|it| it.contains("VIOLATION of")), "{told}");
    let told = run_in(&room, &["run", "--seeds", "500", "--mutant", "count_acks", "--json", "--keep-going"]).json();
    let [first, second] = [&told["failures"][0], &told["failures"][1]];
    let decisions = |name: &str| first["small"][name].as_u64().expect("a number");
    assert!(decisions("decisions") <= decisions("decisions_before") && decisions("decisions") <= 30, "{first}");
    assert!(second["small"].is_null(), "only the first is shrunk");
}

#[cfg(feature = "mutants")]
#[test]
fn planted_bugs_are_listed_and_an_unknown_one_is_refused() {
    let listed = run(&["mutants", "--json"]).json();
    assert!(listed["mutants"].as_array().is_some_and(|bugs| bugs.len() >= 25));
    let ran = run(&["run", "--mutant", "no_such_bug"]);
    assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{}", ran.err);
}

#[cfg(feature = "mutants")]
#[test]
fn a_hunt_catches_every_planted_bug_by_what_is_aimed_at_it() {
    let ran = run(&["mutants", "--hunt", "--seeds", "1", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    for bug in ran.json()["mutants"].as_array().expect("a list") {
        let aimed = bug["directed"].as_array().expect("a list");
        assert!(!aimed.is_empty() || bug["equivalent"].is_string(), "{bug}");
        assert!(aimed.iter().all(|one| one["caught_by"] == one["expected"]), "{bug}");
        assert!(bug["equivalent"].is_string() || number(bug, "swarm_seeds") == 1, "{bug}");
    }
}

#[test]
fn scenarios_are_listed_and_run_in_both_modes() {
    let listed = run(&["scenarios", "--json"]).json();
    let all = listed.as_array().expect("a list");
    assert!(all.iter().any(|one| one["name"] == "a04-simple-view-change"), "{listed}");
    let ran = run(&["run", "--scenario", "a04-simple-view-change"]);
    assert_eq!((ran.code, ran.last_line()), (0, "2 runs: all held"), "{}{}", ran.out, ran.err);
    let one = run(&["run", "--scenario", "a04-simple-view-change", "--durability", "async", "--json"]).json();
    assert_eq!([number(&one, "seeds"), number(&one, "passed")], [1, 1]);
}

#[cfg(not(feature = "mutants"))]
#[test]
fn without_planted_bugs_the_command_that_has_them_is_told() {
    let command = "cargo run --release -p vr-sim --features mutants -- mutants";
    for words in [&["mutants"][..], &["mutants", "--hunt"], &["run", "--mutant", "no_reack"]] {
        let ran = run(words);
        assert_eq!(ran.code, 2, "{words:?}");
        assert!(ran.err.contains(command) && ran.err.lines().count() == 1, "{words:?}: {}", ran.err);
    }
}

/// Starts a long run, interrupts it after so many seconds, and gives its code and what it printed.
#[cfg(unix)]
fn interrupted_after(seconds: u64) -> (Option<i32>, Vec<u8>) {
    let room = Room::new();
    let mut program = Command::new(env!("CARGO_BIN_EXE_vr-sim"));
    let words = [&["--for", "10m", "--json", "--keep-going"], &QUIET[..]].concat();
    let program = program.args(words).current_dir(&room.0).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = program.spawn().expect("the program can be run");
    std::thread::sleep(std::time::Duration::from_secs(seconds));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill is there").success());
    let ran = child.wait_with_output().expect("it ends");
    (ran.status.code(), ran.stdout)
}

#[cfg(unix)]
#[test]
fn an_interruption_leaves_the_summary_of_what_was_done() {
    // On a busy machine a program may be interrupted before it began to listen; then it gets more time.
    let seen = [1, 4, 16, 64].into_iter().map(interrupted_after).find(|(code, _)| code.is_some());
    let (code, out) = seen.expect("it began to listen within a minute");
    assert_eq!(code, Some(130));
    let json: Value = serde_json::from_slice(&out).expect("a whole object");
    assert_eq!((&json["interrupted"], number(&json, "failed")), (&Value::Bool(true), 0));
}

#[test]
fn help_teaches_with_examples_and_exit_codes() {
    let ran = run(&["--help"]);
    assert_eq!(ran.code, 0);
    for told in ["Usage", "Examples:", "Exit codes:", "vr-sim replay 123 --text", "130  interrupted"] {
        assert!(ran.out.contains(told), "`{told}` is not in {}", ran.out);
    }
    assert!(run(&["run", "--help"]).out.contains("--keep-going"));
}
