//! What is printed: a table for people, row by row as it is measured, or one JSON object for programs.

use crate::rounds::{Effort, OPS_PER_RUN, Row, Spread};
use std::fmt::Write;

const CELL: usize = 22;

/// The two lines above the table, and its headings.
pub(crate) fn heading(names: &[&str], effort: Effort) -> String {
    let (rounds, millis) = (effort.rounds, effort.sample.as_millis());
    let mut text = format!(
        "Millions of committed ops per second of CPU time, one thread, in memory: median (min–max) of {rounds} alternating\n\
         rounds, each of at least {millis} ms of fresh clusters of {OPS_PER_RUN} ops. Ratios are taken within a round.\n\n"
    );
    text += "replicas  payload  outstanding";
    let pairs = names.iter().skip(1).map(|other| format!("{} ÷ {other}", names[0]));
    for name in names.iter().map(ToString::to_string).chain(pairs) {
        text += &format!("  {name:>CELL$}");
    }
    text
}

/// One line of the table.
pub(crate) fn line(row: &Row) -> String {
    let case = row.case;
    let mut text = format!("{:>8}  {:>5} B  {:>11}", case.replicas, case.payload_bytes, case.outstanding);
    for speed in &row.speeds {
        let millions = Spread { median: speed.median / 1e6, min: speed.min / 1e6, max: speed.max / 1e6 };
        text += &format!("  {:>CELL$}", cell(millions));
    }
    for ratio in &row.ratios {
        text += &format!("  {:>CELL$}", cell(*ratio));
    }
    text
}

fn cell(spread: Spread) -> String {
    format!("{:.2} ({:.2}–{:.2})", spread.median, spread.min, spread.max)
}

/// Everything as one JSON object; speeds in ops/s.
pub(crate) fn json(names: &[&str], effort: Effort, rows: &[Row]) -> String {
    let mut text = format!(
        "{{\"rounds\":{},\"sample_ms\":{},\"ops_per_run\":{OPS_PER_RUN},\"contenders\":{names:?},\"rows\":[",
        effort.rounds,
        effort.sample.as_millis(),
    );
    for (index, row) in rows.iter().enumerate() {
        let case = row.case;
        let comma = if index == 0 { "" } else { "," };
        text += &format!(
            "{comma}{{\"replicas\":{},\"payload_bytes\":{},\"outstanding\":{},",
            case.replicas, case.payload_bytes, case.outstanding
        );
        text += &format!("\"ops_per_second\":{},", object(names, &row.speeds, 0));
        text += &format!("\"first_over\":{}}}", object(&names[1..], &row.ratios, 3));
    }
    text + "]}"
}

/// `{"name":{"median":…,"min":…,"max":…},…}`; names are ours, and need no escaping.
fn object(names: &[&str], spreads: &[Spread], digits: usize) -> String {
    let mut text = String::from("{");
    for (index, (name, Spread { median, min, max })) in names.iter().zip(spreads).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(
            text,
            "{comma}\"{name}\":{{\"median\":{median:.digits$},\"min\":{min:.digits$},\"max\":{max:.digits$}}}"
        )
        .expect("a string takes any write");
    }
    text + "}"
}
