//! `vr-sim check-recording`: what production nodes recorded, repeated and judged.
//!
//! Owns the reading of files, and what is said of them. Must not know how anything is judged. DESIGN §5, §8.

use super::args::CheckRecordingArgs;
use super::{Exit, screen};
use bytes::Bytes;
use serde::Serialize;
use vr_core::recording::{self, Life};
use vr_sim::check::Severity;
use vr_sim::flight::{Fault, judge};

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
    findings.exit = exit.code();
    screen::say(&if args.json { findings.json()? } else { findings.text() });
    Ok(exit)
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
                 {} ops committed in {} views: all held",
                self.lives, self.events, self.messages_matched, self.messages_unmatched, self.committed, self.views
            ),
        }
    }
}
