//! A trace in the forms that other tools and people read.
//!
//! Owns which forms there are, their names and what a browser is told they are. Must not know where events come from,
//! nor where texts go. VIEW §5.3.

pub mod history;
pub mod perfetto;
pub mod shiviz;

use super::table::Table;
use super::text::text;
use vr_core::trace::TraceEvent;

/// A form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A line for every event, for people.
    Text,
    /// In what replicas disagree, for people.
    Table,
    /// ShiViz: vector clocks, in its default format.
    Shiviz,
    /// Perfetto, or a browser's own viewer: the Trace Event Format.
    Perfetto,
    /// What clients called and were answered: JSON lines, for checkers of histories.
    History,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Text, Self::Table, Self::Shiviz, Self::Perfetto, Self::History];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Table => "table",
            Self::Shiviz => "shiviz",
            Self::Perfetto => "perfetto",
            Self::History => "history",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// What a browser is told that it is.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Text | Self::Table | Self::Shiviz => "text/plain; charset=utf-8",
            Self::Perfetto => "application/json",
            Self::History => "application/x-ndjson",
        }
    }

    /// Events in this form.
    ///
    /// # Errors
    /// When they have none, in one line.
    pub fn of(self, events: &[TraceEvent]) -> Result<String, String> {
        match self {
            Self::Text => Ok(text(events)),
            Self::Table => Ok(Table::of(events, None)?.text()),
            Self::Shiviz => Ok(shiviz::export(events)),
            Self::Perfetto => Ok(perfetto::export(events)),
            Self::History => Ok(history::export(events)),
        }
    }

    /// What whoever exports these events should know.
    #[must_use]
    pub fn warning(self, events: &[TraceEvent]) -> Option<String> {
        let is_call = |event: &TraceEvent| event.what.kind() == "inv";
        match self {
            Self::Shiviz if events.len() > shiviz::EVENTS_EASY => Some(format!(
                "ShiViz becomes slow beyond {} events, and these are {}: fewer of them with --until",
                shiviz::EVENTS_EASY,
                events.len()
            )),
            Self::History if !events.iter().any(is_call) => Some(
                "no client is seen to call in this trace: a running cluster does not tell what clients do".to_owned(),
            ),
            Self::Text | Self::Table | Self::Shiviz | Self::Perfetto | Self::History => None,
        }
    }
}
