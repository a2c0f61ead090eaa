//! What the texts tell a person to type is there to be typed: every line of every `sh` block, every link.
//!
//! A line is read, not run: packages, profiles, features, targets and files must exist, and the arguments
//! of `vr-sim` are given to the built program with `--help` behind them, which parses what stands before
//! it and runs nothing. The Rust blocks are doc-tests of vr-core.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Flags of cargo that take no value and need nothing checked.
const BARE_FLAGS: &[&str] = &[
    "--all",
    "--all-targets",
    "--check",
    "--doc",
    "--document-private-items",
    "--lib",
    "--locked",
    "--no-deps",
    "--no-run",
    "--open",
    "--release",
    "--workspace",
];

const SUBCOMMANDS: &[&str] =
    &["bench", "build", "check", "clippy", "deny", "doc", "fmt", "fuzz", "install", "run", "test"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("vr-sim lies in the workspace").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// The texts a person reads, from the workspace's root.
fn texts() -> Vec<String> {
    let beside = ["vr-core", "vr-sim", "vr-tokio", "kv-demo", "fuzz"].map(|name| format!("{name}/README.md"));
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(String::from);
    top.into_iter().chain(beside.into_iter().filter(|path| root().join(path).exists())).collect()
}

/// The command lines of the `sh` blocks of a text, and of its `console` blocks after `$ `.
fn commands(text: &str) -> Vec<String> {
    let mut language = None;
    let mut commands = Vec::new();
    for line in text.replace("\\\n", " ").lines().map(str::trim) {
        if let Some(info) = line.strip_prefix("```") {
            language = if language.is_some() { None } else { Some(info.trim().to_owned()) };
            continue;
        }
        let command = match language.as_deref() {
            Some("sh") => Some(line),
            Some("console") => line.strip_prefix("$ "),
            _ => None,
        };
        let bare = command.map(|line| line.split(" #").next().unwrap_or_default().trim());
        commands.extend(bare.filter(|line| !line.is_empty() && !line.starts_with('#')).map(String::from));
    }
    commands
}

/// The targets of the links of a text that lead to files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.map(|target| target.split('#').next().unwrap_or_default());
    files.filter(|target| !target.is_empty() && !target.contains("://"))
}

/// What is wrong with a command line, if anything.
fn check(line: &str) -> Result<(), String> {
    let piped = line.split(['|', '>']).next().unwrap_or_default();
    let mut words: Vec<&str> = piped.split_whitespace().skip_while(|word| is_setting(word)).collect();
    if words.is_empty() {
        return if is_setting(line) { Ok(()) } else { Err("no command".to_owned()) };
    }
    match words.remove(0) {
        "cargo" => cargo(&words),
        "vr-sim" => simulator(&words),
        ".ci/run" => exists(".ci/run"),
        ".ci/mutation" => {
            exists(".ci/mutation")?;
            let files = words.iter().filter(|word| !word.starts_with("--") && **word != "sample");
            files.copied().try_for_each(|file| exists(&format!("vr-core/src/{file}.rs")))
        }
        ".ci/branches" => exists(".ci/branches"),
        ".ci/browser" => {
            exists(".ci/browser")?;
            words.iter().try_for_each(|file| exists(&format!("kv-demo/tests/browser/{file}")))
        }
        // Programs of others. The requests of `curl` are tried against a real cluster by kv-demo's tests.
        "cd" | "curl" | "git" | "kill" | "openssl" | "printf" => Ok(()),
        other => Err(format!("`{other}` is unknown here: teach vr-sim/tests/readme.rs to check it")),
    }
}

/// `RUSTDOCFLAGS=x` before a command, or `name=x` on a line of its own.
fn is_setting(word: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

fn cargo(words: &[&str]) -> Result<(), String> {
    let config = read(".cargo/config.toml");
    let (first, rest) = words.split_first().ok_or("cargo does nothing by itself")?;
    let alias = config.lines().find_map(|line| line.strip_prefix(&format!("{first} = \"")));
    let mut words: Vec<&str> = alias.map_or(vec![*first], |line| line.trim_end_matches('"').split(' ').collect());
    words.extend(rest);

    let forwarded_at = words.iter().position(|word| *word == "--").unwrap_or(words.len());
    let forwarded = words.get(forwarded_at + 1..).unwrap_or_default();
    let subcommand = words[0];
    if !SUBCOMMANDS.contains(&subcommand) {
        return Err(format!("`cargo {subcommand}` is unknown here"));
    }
    let package = cargo_flags(&words[1..forwarded_at])?;
    match (subcommand, package) {
        ("run", Some("vr-sim")) if !words.contains(&"--example") => simulator(forwarded),
        ("fuzz", _) => exists(&format!("fuzz/fuzz_targets/{}.rs", words.get(2).ok_or("which target?")?)),
        _ => Ok(()),
    }
}

/// Checks the flags before `--`; gives the last package they name.
fn cargo_flags<'a>(words: &[&'a str]) -> Result<Option<&'a str>, String> {
    let mut package = None;
    let mut words = words.iter().copied().flat_map(|word| word.splitn(2, '='));
    while let Some(flag) = words.next() {
        let mut value = || words.next().ok_or(format!("`{flag}` without a value"));
        let of_package = |file: String| exists(&format!("{}/{file}", package.unwrap_or("vr-core")));
        match flag {
            "-p" | "--package" => {
                let name = value()?;
                exists(&format!("{name}/Cargo.toml"))?;
                package = Some(name);
            }
            "--test" => of_package(format!("tests/{}.rs", value()?))?,
            "--example" => of_package(format!("examples/{}.rs", value()?))?,
            "--bench" => of_package(format!("benches/{}.rs", value()?))?,
            "--manifest-path" => exists(value()?)?,
            "--profile" => profile(value()?)?,
            "--features" => value()?.split(',').try_for_each(|name| feature(package, name))?,
            "-s" => drop(value()?), // of cargo fuzz: which sanitizer
            _ if BARE_FLAGS.contains(&flag) || !flag.starts_with('-') => {}
            _ => return Err(format!("the flag `{flag}` is unknown here")),
        }
    }
    Ok(package)
}

fn exists(path: &str) -> Result<(), String> {
    if root().join(path).exists() { Ok(()) } else { Err(format!("{path} does not exist")) }
}

fn profile(name: &str) -> Result<(), String> {
    let known = ["dev", "release", "test", "bench"].contains(&name);
    let own = read("Cargo.toml").lines().any(|line| line == format!("[profile.{name}]"));
    if known || own { Ok(()) } else { Err(format!("no profile `{name}`")) }
}

/// `mutants` of the package before it, or `vr-core/mutants`.
fn feature(package: Option<&str>, name: &str) -> Result<(), String> {
    let (package, feature) = name.split_once('/').unwrap_or((package.unwrap_or("vr-sim"), name));
    exists(&format!("{package}/Cargo.toml"))?;
    let listed = read(&format!("{package}/Cargo.toml")).lines().any(|line| line.starts_with(&format!("{feature} = [")));
    if listed { Ok(()) } else { Err(format!("{package} has no feature `{feature}`")) }
}

/// Does `vr-sim` understand these arguments? `--help` behind them keeps it from doing anything.
fn simulator(arguments: &[&str]) -> Result<(), String> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_vr-sim"));
    let ran = program
        .args(unquoted(arguments)?)
        .arg("--help")
        .env("NO_COLOR", "1")
        .output()
        .map_err(|why| why.to_string())?;
    let helped = String::from_utf8_lossy(&ran.stdout).contains("Usage");
    if ran.status.success() && helped {
        return Ok(());
    }
    Err(format!("vr-sim refuses it ({}): {}", ran.status, String::from_utf8_lossy(&ran.stderr).trim()))
}

/// As the shell hands them over: what stands between two `'` is one. A script in them must be one that `lab` can read.
fn unquoted(arguments: &[&str]) -> Result<Vec<String>, String> {
    let mut whole = Vec::new();
    for (at, part) in arguments.join(" ").split('\'').enumerate() {
        if at % 2 == 0 {
            whole.extend(part.split_whitespace().map(String::from));
        } else {
            vr_sim::lab::Command::script(part)?;
            whole.push(part.to_owned());
        }
    }
    Ok(whole)
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} that a reader would stumble over:\n  {}\n", wrong.len(), wrong.join("\n  "));
}

#[test]
fn every_command_line_of_the_texts_can_be_typed() {
    let mut wrong = Vec::new();
    for path in texts() {
        for line in commands(&read(&path)) {
            wrong.extend(check(&line).err().map(|why| format!("{path}: `{line}`: {why}")));
        }
    }
    none(&wrong);
}

#[test]
fn every_link_of_the_texts_leads_to_a_file() {
    let mut wrong = Vec::new();
    for path in texts() {
        let folder = Path::new(&path).parent().unwrap_or(Path::new("")).to_owned();
        for target in links(&read(&path)) {
            let found = root().join(&folder).join(target).exists();
            wrong.extend((!found).then(|| format!("{path}: a link to {target}, which does not exist")));
        }
    }
    none(&wrong);
}

#[test]
fn the_first_two_commands_are_to_run_it_and_to_test_it() {
    assert_eq!(commands(&read("README.md"))[..2], ["cargo run --release -p vr-sim", "cargo test --workspace"]);
}

#[test]
fn the_lines_of_shell_blocks_are_found_and_no_others() {
    let text = "```sh\n# a remark\na b \\\n  c # why\n```\n```rust\nd\n```\ne\n```console\n$ f\noutput\n```\n";
    assert_eq!(commands(text), ["a b    c", "f"]);
    let text = "[a](b/c.md) [d](https://e) [f](#g) [h](i.md#j)";
    assert_eq!(links(text).collect::<Vec<_>>(), ["b/c.md", "i.md"]);
}

#[test]
fn a_line_that_cannot_be_typed_is_caught() {
    let bad = [
        "cargo run -p no-such-crate",
        "cargo run --profile no-such-profile -p vr-sim",
        "cargo run -p vr-sim --features no-such-feature",
        "cargo run --release -p vr-sim -- --no-such-option",
        "cargo run --release -p vr-sim -- no-such-verb",
        "cargo run --release -p vr-sim -- lab --do 'crahs r0; run 2s'",
        "cargo test -p vr-sim --test no_such_test",
        "cargo test --no-such-flag",
        "cargo no-such-subcommand",
        "cargo fuzz run no_such_target",
        ".ci/browser no-such.test.mjs",
        "no-such-program",
    ];
    for line in bad {
        assert!(check(line).is_err(), "`{line}` was taken for good");
    }
    let good = [
        "cargo test --workspace --locked",
        "CARGO_TERM_COLOR=never cargo test -p vr-sim --test=tidy arrows | cat",
        "cargo clippy --workspace --features vr-core/mutants,vr-sim/mutants",
        "cargo fuzz run wire -s none",
        "cargo run --profile sim -p vr-sim",
        "cargo run --release -p vr-sim -- lab --do 'crash r0; run 2s' --text",
        ".ci/run",
        ".ci/browser looks.test.mjs",
    ];
    for line in good {
        assert_eq!(check(line), Ok(()), "`{line}`");
    }
}

/// The words in backquotes of a cell.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_feature_has_its_files_properties_scenarios_and_planted_bugs() {
    let text = read("vr-core/README.md");
    let section = text.split("## The rest of the paper").nth(1).expect("the table");
    let rows: Vec<&str> = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1).collect();
    let rows: Vec<&str> = rows.into_iter().take_while(|line| line.starts_with('|')).collect();
    let planted = read("vr-core/src/mutants/table.rs");
    let properties: Vec<&str> = vr_sim::check::PROPERTIES.iter().map(|it| it.name).collect();
    let mut wrong = Vec::new();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 8 && cells.iter().all(|cell| !cell.is_empty()), "an empty cell: {row}");
        let [_, _, _, files, judged, scenarios, bugs, _] = cells[..] else { unreachable!("eight") };
        let mut lacks = |what: &str, of: Vec<&str>, is: &dyn Fn(&str) -> bool| {
            let missing = of.iter().filter(|name| !is(name)).map(|name| format!("no {what} is {name}"));
            wrong.extend(missing.chain(of.is_empty().then(|| format!("no {what} in: {row}"))));
        };
        lacks("file", quoted(files), &|name| root().join(format!("vr-core/src/{name}.rs")).exists());
        let begins = |id: &str| properties.iter().any(|name| name.starts_with(&format!("{id} ")));
        lacks("property", judged.split(", ").collect(), &begins);
        lacks("scenario", quoted(scenarios), &|name| vr_sim::scenario::named(name).is_some());
        lacks("planted bug", quoted(bugs), &|name| planted.contains(&format!("\"{name}\"")));
    }
    assert!(rows.len() >= 13, "{} features", rows.len());
    none(&wrong);
}
