//! A trace for ShiViz: two lines an event, what happened and the vector clock of where it happened.
//!
//! Owns the clocks, which are computed here: an event ticks its host, and one that another host's event caused knows
//! what that one knew. ShiViz reads it with its default expression. Must not know what events mean. VIEW §5.3.

use crate::view::names::Names;
use crate::view::words;
use std::collections::BTreeMap;
use std::fmt::Write;
use vr_core::trace::{Node, TraceEvent, What};

/// With more events than this ShiViz becomes slow: its reader takes quadratic time.
pub const EVENTS_EASY: usize = 5_000;

/// The expression with which ShiViz reads this, its own default.
pub const EXPRESSION: &str = r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})";

type Clock = BTreeMap<Node, u64>;

/// Events that happened somewhere, in ShiViz's default format.
#[must_use]
pub fn export(events: &[TraceEvent]) -> String {
    let (mut out, mut names) = (String::new(), Names::default());
    let mut clocks: BTreeMap<Node, Clock> = BTreeMap::new();
    // What others can be caused by, and what was known there.
    let mut causes: BTreeMap<u64, (Node, Clock)> = BTreeMap::new();
    for event in events {
        names.meet(event);
        let Some(host) = event.n else { continue };
        let clock = clocks.entry(host).or_default();
        if let Some((_, known)) = event.by.and_then(|by| causes.get(&by)).filter(|(there, _)| *there != host) {
            for (node, ticks) in known {
                let mine = clock.entry(*node).or_insert(0);
                *mine = (*mine).max(*ticks);
            }
        }
        *clock.entry(host).or_insert(0) += 1;
        if matches!(event.what, What::Sent(_) | What::Do(_)) {
            causes.insert(event.i, (host, clock.clone()));
        }
        line(&mut out, event, &names, clock);
    }
    out
}

fn line(out: &mut String, event: &TraceEvent, names: &Names, clock: &Clock) {
    // Braces would look like a clock.
    let what = names.plain(&words::of(event)).replace('{', "(").replace('}', ")");
    let host = event.n.map_or_else(String::new, |node| names.of(node));
    let at = words::moment(event.t);
    // Writing to a text cannot fail.
    let _ = write!(out, "{at} {what}\n{host} {{");
    for (place, (node, ticks)) in clock.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{}\":{ticks}", names.of(*node));
    }
    out.push_str("}\n");
}

#[cfg(test)]
mod tests;
