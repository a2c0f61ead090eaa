//! `vr-sim check-recording`: what production nodes recorded, repeated and judged.
//!
//! Owns the reading of files, and what is said of them. Must not know how anything is judged. DESIGN §5, §8.

use super::args::CheckRecordingArgs;
use super::{Exit, screen};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::path::Path;
use vr_core::recording::{self, Life};
use vr_sim::check::Severity;
use vr_sim::flight::{Fault, judge};
use vr_sim::history::{self, Call, KeyValue, Linearizable};

/// What was found.
#[derive(Serialize, Default)]
struct Findings {
    files: usize,
    torn_files: usize,
    lives: u64,
    events: u64,
    messages_matched: u64,
    messages_unmatched: u64,
    committed: u64,
    views: u64,
    calls: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    exit: u8,
}

/// Carries out `check-recording`.
///
/// # Errors
/// In one line, when a file cannot be read or is no recording.
pub(crate) fn check(args: &CheckRecordingArgs) -> Result<Exit, String> {
    let mut lives: Vec<Life> = Vec::new();
    let mut findings = Findings { files: args.files.len(), ..Findings::default() };
    for path in &args.files {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let recording = recording::read(&Bytes::from(bytes)).map_err(|error| format!("{}: {error}", path.display()))?;
        findings.torn_files += usize::from(recording.torn_bytes > 0);
        lives.extend(recording.lives);
    }
    let history = args.history.as_deref().map(read_history).transpose()?;
    let exit = match judge(&lives) {
        Ok(report) => {
            (findings.lives, findings.events) = (report.lives, report.events);
            (findings.messages_matched, findings.messages_unmatched) = (report.matched, report.unmatched);
            (findings.committed, findings.views) = (report.committed.0, report.views);
            Exit::Held
        }
        Err(fault) => {
            findings.fault = Some(fault.to_string());
            exit_of(&fault)
        }
    };
    let exit = if exit == Exit::Held { findings.judge_history(history.as_deref()) } else { exit };
    findings.exit = exit.code();
    screen::say(&if args.json { findings.json()? } else { findings.text() });
    Ok(exit)
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
            None => format!(
                "{files}\n{} lives, {} events, {} messages as they were sent, {} from lives without a recording\n\
                 {} ops committed in {} views, {} calls of clients: all held",
                self.lives,
                self.events,
                self.messages_matched,
                self.messages_unmatched,
                self.committed,
                self.views,
                self.calls
            ),
        }
    }
}
