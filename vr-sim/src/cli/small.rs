//! The first failure of a run, shrunk without being asked.
//!
//! Owns what is written of the small case and what is said of it. Must not know how a case is shrunk. DESIGN §8.

use super::screen::{Figure, counted, faint, strong};
use super::{failure, shrink, trace};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vr_sim::case::Case;

/// It may take so long.
const BUDGET: Duration = Duration::from_secs(30);

/// What is left of a failing case.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Small {
    pub(crate) case: PathBuf,
    pub(crate) page: Option<PathBuf>,
    pub(crate) decisions_before: u64,
    pub(crate) decisions: u64,
    pub(crate) replicas: u16,
    pub(crate) clients: u32,
    pub(crate) steps: u64,
    /// Nothing more can be left out; false when the time was up.
    pub(crate) done: bool,
    pub(crate) seconds: Figure,
}

/// Shrinks a failing case into files beside it. `None` when nothing came of it.
pub(crate) fn small(case: &Case, out: &Path, name: &str) -> Option<Small> {
    let began = Instant::now();
    let shrunk = shrink::within(case, BUDGET).ok()?;
    let path = out.join(format!("{name}.min.vrcase"));
    fs::write(&path, shrunk.case.write()).ok()?;
    let words = ["replay".to_owned(), path.display().to_string()];
    let tape = trace::of_case(&shrunk.case, &failure::command(&words, shrunk.case.setup.mutant.is_some()));
    let page = out.join(format!("{name}.min.html"));
    let page = fs::write(&page, trace::page(&tape, &format!("{name}, shrunk"))).is_ok().then_some(page);
    Some(Small {
        case: path,
        page,
        decisions_before: shrink::decisions(case),
        decisions: shrink::decisions(&shrunk.case),
        replicas: shrunk.case.setup.replicas,
        clients: shrunk.case.setup.clients,
        steps: shrunk.progress.steps,
        done: shrunk.is_done,
        seconds: Figure::seconds(began.elapsed()),
    })
}

impl Small {
    /// In a few lines of a failure's text.
    pub(crate) fn text(&self) -> String {
        let is = strong().apply_to(counted(self.decisions, "decision"));
        let size = format!(
            "{}, {}, {}",
            counted(u64::from(self.replicas), "replica"),
            counted(u64::from(self.clients), "client"),
            counted(self.steps, "step"),
        );
        let seconds = self.seconds;
        let until = if self.done { "nothing more can be left out" } else { "the time was up; `vr-sim shrink` goes on" };
        let mut text = format!("  shrunk to {is}, {size}, in {seconds} s: {until}");
        text.push_str(&format!("\n  {} {}", faint().apply_to("small"), self.case.display()));
        if let Some(page) = &self.page {
            text.push_str(&format!("\n  {} {}", faint().apply_to("page "), page.display()));
        }
        text
    }
}
