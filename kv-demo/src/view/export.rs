//! Events in other forms: for other tools, and for people without a browser.
//!
//! Owns which forms there are. Must not know where events come from. VIEW.md §5.3.

use std::fmt::Write;
use vr_tokio::vr_core::trace::TraceEvent;

/// A form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Export {
    /// Lines for people.
    Text,
}

impl Export {
    /// The one of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        (name == "text").then_some(Self::Text)
    }

    /// What a browser is told that it is.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    /// Events, a JSON object a line, in this form.
    pub(super) fn of(self, lines: &str) -> Result<String, String> {
        let events = events_of(lines)?;
        Ok(match self {
            Self::Text => text(&events),
        })
    }
}

fn events_of(lines: &str) -> Result<Vec<TraceEvent>, String> {
    let lines = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(at, line)| serde_json::from_str(line).map_err(|error| format!("line {}: {error}", at + 1));
    lines.map(read).collect()
}

fn text(events: &[TraceEvent]) -> String {
    let mut out = String::new();
    for event in events {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{event}");
    }
    out
}
