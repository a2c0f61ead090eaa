//! Guided tours: stories as data, each a few captions with what to do at each.
//!
//! Owns the list of them and their format (`vr-sim/tours/*.json`). One may be a recording instead of a story to play: of
//! a build with planted bugs, which this one need not be. Must not know who guides. VIEW §3.6.

use super::setup::LabSetup;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use vr_core::trace::{TraceEvent, What};

const FILES: &[&str] = &[
    include_str!("../../tours/normal-case.json"),
    include_str!("../../tours/primary-crash.json"),
    include_str!("../../tours/client-retry.json"),
    include_str!("../../tours/lagging-backup.json"),
    include_str!("../../tours/recovery.json"),
    include_str!("../../tours/duelling-view-changes.json"),
    include_str!("../../tours/asymmetric-partition.json"),
    include_str!("../../tours/planted-bug.json"),
];

/// What was recorded, by the name of its tour. Made again, after a change of what a trace says, by the test that compares it.
const RECORDED: (&str, &str) = ("planted-bug", include_str!("../../tours/planted-bug.vrt.jsonl"));

/// A guided tour.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tour {
    /// How it is asked for.
    pub name: String,
    /// How it is announced.
    pub title: String,
    /// What it shows, in a sentence or two.
    pub about: String,
    /// The cluster.
    #[serde(default)]
    pub setup: LabSetup,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Can it be forked and gone on with?
    #[serde(default = "yes")]
    pub fork: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// A step of a tour.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is about to be seen.
    pub caption: String,
    /// What to do.
    #[serde(rename = "do", default)]
    pub commands: Vec<String>,
    /// In a recording: the event it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// What must be so after it: for the test that holds a caption to its word.
    #[serde(default, skip_serializing)]
    pub expect: Vec<String>,
}

/// A tour, as a list shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TourName {
    /// How it is asked for.
    pub name: &'static str,
    /// How it is announced.
    pub title: &'static str,
    /// What it shows.
    pub about: &'static str,
}

const fn yes() -> bool {
    true
}

/// All of them, simplest first.
#[must_use]
pub fn tours() -> &'static [Tour] {
    static ALL: OnceLock<Vec<Tour>> = OnceLock::new();
    ALL.get_or_init(|| FILES.iter().map(|text| serde_json::from_str(text).expect("held by a test")).collect())
}

/// All of them, as a list shows them.
#[must_use]
pub fn names() -> Vec<TourName> {
    tours().iter().map(|Tour { name, title, about, .. }| TourName { name, title, about }).collect()
}

pub(super) fn named(name: &str) -> Result<&'static Tour, String> {
    let known = || tours().iter().map(|tour| tour.name.as_str()).collect::<Vec<_>>().join(", ");
    tours().iter().find(|tour| tour.name == name).ok_or_else(|| format!("there is no tour `{name}`: {}", known()))
}

impl Tour {
    /// What was recorded of it, and why it is a recording; `None` for a story to play.
    #[must_use]
    pub fn recording(&self) -> Option<(&'static [TraceEvent], &str)> {
        static EVENTS: OnceLock<Vec<TraceEvent>> = OnceLock::new();
        let (name, lines) = RECORDED;
        if self.name != name {
            return None;
        }
        let parse = |line| serde_json::from_str(line).expect("held by a test");
        Some((EVENTS.get_or_init(|| lines.lines().map(parse).collect()), &self.why))
    }
}

/// The command that repeats a recording.
pub(super) fn repro(events: &[TraceEvent]) -> Option<String> {
    let What::Meta(meta) = &events.first()?.what else { return None };
    meta.repro.clone()
}
