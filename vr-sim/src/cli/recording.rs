//! `vr-sim check-recording`: what production nodes recorded, repeated and judged.
//!
//! Owns the reading of files, and what is said of them. Must not know how anything is judged. DESIGN §5, §8.

use super::args::{CheckRecordingArgs, ReplayArgs};
use super::{Exit, screen, trace};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};
use vr_core::recording::{self, Recording};
use vr_sim::check::{Fragments, Severity};
use vr_sim::flight::{Fault, judge_all};
use vr_sim::history::{self, Call, KeyValue, Linearizable};
use vr_sim::tape::Tape;

/// What was found.
#[derive(Serialize, Default)]
struct Findings {
    files: usize,
    torn_files: usize,
    lives: u64,
    events: u64,
    messages_matched: u64,
    messages_unmatched: u64,
    states_matched: u64,
    /// Events that are known to have happened and are in none of the files.
    given_up: u64,
    committed: u64,
    views: u64,
    calls: usize,
    /// Why only the properties of `judged` were judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    judged: Option<&'static [&'static str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    exit: u8,
}

/// Is it a recording, or a directory of them, and no case file?
pub(crate) fn is_one(path: &str) -> bool {
    let path = Path::new(path);
    let mut start = [0; 2];
    let is_read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok();
    path.is_dir() || (is_read && start[0] == b'V' && b"ORU".contains(&start[1]))
}

/// Carries out `replay` of a recording: the same as `check-recording`.
///
/// # Errors
/// As [`check`], and when something is asked for that is for simulated runs.
pub(crate) fn replay(args: &ReplayArgs) -> Result<Exit, String> {
    if let Some(option) = args.not_of_recordings() {
        return Err(format!("{}: a recording; {option} is for seeds and case files", args.case));
    }
    let ReplayArgs { case, trace, html, json, .. } = args;
    check(&CheckRecordingArgs {
        files: vec![case.into()],
        history: None,
        trace: trace.clone(),
        html: html.clone(),
        json: *json,
    })
}

/// Carries out `check-recording`.
///
/// # Errors
/// In one line, when a file cannot be read or is no recording.
pub(crate) fn check(args: &CheckRecordingArgs) -> Result<Exit, String> {
    let mut recordings: Vec<Recording> = Vec::new();
    let files = files_of(&args.files)?;
    let mut findings = Findings { files: files.len(), ..Findings::default() };
    for path in &files {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let recording = recording::read(&Bytes::from(bytes)).map_err(|error| format!("{}: {error}", path.display()))?;
        findings.torn_files += usize::from(recording.torn_bytes > 0);
        recordings.push(recording);
    }
    let history = args.history.as_deref().map(read_history).transpose()?;
    let mut tape = (args.trace.is_some() || args.html.is_some()).then(Tape::default);
    let exit = match judge_all(&recordings, tape.as_mut()) {
        Ok(report) => {
            (findings.lives, findings.events) = (report.lives, report.events);
            (findings.messages_matched, findings.messages_unmatched) = (report.matched, report.unmatched);
            (findings.states_matched, findings.given_up) = (report.states, report.given_up);
            (findings.committed, findings.views) = (report.committed.0, report.views);
            findings.judged = report.partial.as_ref().map(|_| Fragments::JUDGED);
            findings.partial = report.partial;
            Exit::Held
        }
        Err(fault) => {
            findings.fault = Some(fault.to_string());
            exit_of(&fault)
        }
    };
    if let Some(tape) = &tape {
        findings.draw(tape, args)?;
    }
    let exit = if exit == Exit::Held { findings.judge_history(history.as_deref()) } else { exit };
    findings.exit = exit.code();
    screen::say(&if args.json { findings.json()? } else { findings.text() });
    Ok(exit)
}

/// The files that are meant: of a directory, all that are named like recordings.
fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let items = std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut inside: Vec<_> = items.filter_map(|item| Some(item.ok()?.path())).collect();
        inside.retain(|path| path.extension().is_some_and(|ending| ending == "vrrec"));
        if inside.is_empty() {
            return Err(format!("{}: no recording in it, which would be named *.vrrec", path.display()));
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// A call, as a line of a history has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    body: String,
    invoked: u64,
    returned: Option<u64>,
    result: Option<String>,
}

fn read_history(path: &Path) -> Result<Vec<Call>, String> {
    let wrong = |at: usize, why: &str| format!("{}, line {}: {why}", path.display(), at + 1);
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let call = |(at, line): (usize, &str)| {
        let Line { body, invoked, returned, result } =
            serde_json::from_str(line).map_err(|error| wrong(at, &error.to_string()))?;
        let bytes = |digits: &str| from_hex(digits).ok_or_else(|| wrong(at, "no pairs of hexadecimal digits"));
        let returned = match (returned, result) {
            (Some(returned), Some(result)) => Some((returned, bytes(&result)?)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(wrong(at, "`returned` and `result` come together")),
        };
        Ok(Call { body: bytes(&body)?, invoked, returned })
    };
    lines.map(call).collect()
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok()).collect()
}

fn exit_of(fault: &Fault) -> Exit {
    match fault {
        Fault::Empty => Exit::Vacuous,
        Fault::Mixed(_) => Exit::Usage,
        Fault::Diverged(_) => Exit::NotReproduced,
        Fault::Panicked(_) => Exit::Panicked,
        Fault::Violated(violation) if violation.severity == Severity::Liveness => Exit::Liveness,
        Fault::Violated(_) => Exit::Safety,
    }
}

impl Findings {
    /// What an observer would have seen, as a trace and as a page.
    fn draw(&mut self, tape: &Tape, args: &CheckRecordingArgs) -> Result<(), String> {
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        if let Some(path) = &args.trace {
            write(path, &tape.write())?;
        }
        if let Some(path) = &args.html {
            write(path, &trace::page(tape, "a recording"))?;
        }
        (self.trace, self.page) = (args.trace.clone(), args.html.clone());
        Ok(())
    }

    /// What clients saw, once what replicas did is found good.
    fn judge_history(&mut self, history: Option<&[Call]>) -> Exit {
        let Some(calls) = history else { return Exit::Held };
        self.calls = calls.len();
        let (what, exit) = match history::judge(calls, &KeyValue) {
            Linearizable::Yes => return Exit::Held,
            Linearizable::No { key, call } => {
                let of = format!("no order of the calls on key \"{}\"", key.escape_ascii());
                (format!("S15 linearizability (safety): {of} explains the answer to call {}", call + 1), Exit::Safety)
            }
            Linearizable::Undecided { key } => {
                (format!("S15 linearizability: undecided for key \"{}\"", key.escape_ascii()), Exit::Vacuous)
            }
        };
        self.fault = Some(what);
        exit
    }

    fn json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| error.to_string())
    }

    fn text(&self) -> String {
        let torn =
            if self.torn_files > 0 { format!(", {} cut off at the end", self.torn_files) } else { String::new() };
        let files = format!("{} files{torn}", self.files);
        match &self.fault {
            Some(fault) => format!("{files}\n{fault}"),
            None => format!("{files}\n{}", self.held()),
        }
    }

    fn held(&self) -> String {
        let Self { lives, events, messages_matched, messages_unmatched, committed, views, calls, .. } = self;
        let (given_up, states) = (self.given_up, self.states_matched);
        let mut text = format!(
            "{lives} lives, {events} events, {messages_matched} messages as they were sent, {messages_unmatched} from lives \
             without a recording\n"
        );
        if given_up + states > 0 {
            text +=
                &format!("{given_up} events were given up, {states} states in between are what the events lead to\n");
        }
        text += &format!("{committed} ops committed in {views} views, {calls} calls of clients: ");
        match &self.partial {
            None => text + "all held",
            Some(why) => {
                let judged = Fragments::JUDGED.join(", ");
                text + &format!("all held that could be judged\n{why}; what could be judged: {judged}")
            }
        }
    }
}
