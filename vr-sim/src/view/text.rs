//! A line for every event: columns of fixed width, one glyph for what happened and one for what its node is.
//!
//! Owns the columns and the heading. Lines that begin with # say what the others mean; every other line is one event.
//! Must not know where lines go. VIEW F5; after TigerBeetle's simulator.

use super::names::Names;
use super::reduce::{Cluster, Member};
use super::{glyphs, words};
use std::fmt::Write;
use vr_core::trace::{Meta, TraceEvent, What};

const COLUMNS: &str = "#  index     seconds node event and role, view, op/commit/durable after it, and what happened";

/// Writes the lines of one trace, event by event.
#[derive(Clone, Default, Debug)]
pub struct Lines {
    cluster: Option<Cluster>,
    names: Names,
    /// What was said at the top.
    said: Option<String>,
}

impl Lines {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes what is known, without a line.
    pub fn know(&mut self, event: &TraceEvent) {
        if let What::Meta(meta) = &event.what {
            self.cluster = Some(Cluster::new(&meta.config.members));
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.apply(event);
        }
    }

    /// The line of the next event, with a line end; before it, where something new must be explained, lines with #.
    pub fn line(&mut self, event: &TraceEvent, out: &mut String) {
        self.know(event);
        if let What::Meta(meta) = &event.what {
            self.head(meta, out);
        }
        // Writing to a text cannot fail.
        for (short, long) in self.names.meet(event) {
            let _ = writeln!(out, "# {short} is client {long}");
        }
        let member = event.n.and_then(|node| self.cluster.as_ref()?.member(node));
        let node = event.n.map_or_else(String::new, |node| self.names.of(node));
        let kind = glyphs::of_kind(event.what.kind());
        let (role, view, progress) = member.map_or((' ', String::new(), String::new()), columns);
        let what = self.names.plain(&words::of(event));
        let (i, at) = (event.i, words::moment(event.t));
        let _ = writeln!(out, "{i:>8} {at:>11} {node:<4} {kind} {role} {view:<4} {progress:<11} {what}");
    }

    /// What the trace is of, unless that was said already, and once what the glyphs mean.
    fn head(&mut self, meta: &Meta, out: &mut String) {
        let seed = meta.seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
        let group = &meta.config;
        let (n, quorum) = (group.members.len(), group.quorum);
        let again = meta.repro.iter().map(|repro| format!("# again: {}\n", self.names.plain(repro)));
        let again: String = again.collect();
        let head = format!("# a {} trace of {n} replicas{seed}; {quorum} are a quorum\n{again}", meta.mode);
        if self.said.as_ref() != Some(&head) {
            out.push_str(&head);
        }
        if self.said.replace(head).is_none() {
            let _ = writeln!(out, "{}\n{COLUMNS}", glyphs::LEGEND);
        }
    }
}

/// Role, view, and op/commit/durable.
fn columns(member: &Member) -> (char, String, String) {
    let known = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let state = &member.state;
    let progress = format!("{}/{}/{}", known(state.op), known(state.commit), known(state.durable));
    (glyphs::of_member(member).0, format!("v{}", known(state.view)), progress)
}

/// All of a trace as lines.
#[must_use]
pub fn text(events: &[TraceEvent]) -> String {
    let (mut lines, mut out) = (Lines::new(), String::new());
    events.iter().for_each(|event| lines.line(event, &mut out));
    out
}

#[cfg(test)]
mod tests;
