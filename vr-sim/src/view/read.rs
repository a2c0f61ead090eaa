//! A trace as it is read: line by line, each held to the limits of the format before it is believed.
//!
//! Owns the limits, and what is said of a line that breaks one: which line, which column. A trace that was cut off is
//! read up to its last whole line. Must not know what events mean. VIEW §5.1, §5.4 (8).

use std::fmt;
use std::io::{self, BufRead};
use vr_core::trace::{FORMAT, TraceEvent, What};

/// No line is longer, in bytes.
const LINE_MAX: usize = 1 << 20;
/// No trace is longer, in bytes.
const BYTES_MAX: u64 = 2 << 30;
/// There are no more replicas.
const REPLICAS_MAX: usize = 64;
/// Nothing is nested deeper.
const NESTING_MAX: u32 = 16;

/// Why a trace is not read any further.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    line: u64,
    why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.why) } else { write!(f, "line {}: {}", self.line, self.why) }
    }
}

impl std::error::Error for Unreadable {}

/// A trace that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Its events.
    pub events: Vec<TraceEvent>,
    /// What is missing, in a sentence; nothing when it has its end.
    pub cut: Option<String>,
}

/// Reads a trace, as much of it as there is.
///
/// # Errors
/// When it is none, or a line of it cannot be believed.
pub fn trace(from: impl BufRead) -> Result<Trace, Unreadable> {
    let mut reader = Reader { from, line: 0, bytes: 0, next: None };
    let (mut events, mut cut) = (Vec::new(), None);
    loop {
        match reader.event() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => break,
            Err(Wrong::Cut) if !events.is_empty() => {
                cut = Some(format!("the trace ends in the middle of line {}", reader.line));
                break;
            }
            Err(Wrong::Cut) => return Err(Unreadable { line: reader.line, why: "not a whole line".to_owned() }),
            Err(Wrong::Line(why)) => return Err(Unreadable { line: reader.line, why }),
        }
    }
    if events.is_empty() {
        return Err(Unreadable { line: 0, why: "there is no trace in it: it is empty".to_owned() });
    }
    let has_end = events.last().is_some_and(|event| matches!(event.what, What::Ended(_)));
    let no_end = || (!has_end).then(|| "the trace has no end: it was cut off, or its run still goes on".to_owned());
    let cut = cut.or_else(no_end);
    Ok(Trace { events, cut })
}

/// What is wrong with a line.
enum Wrong {
    /// It is the last one and not whole.
    Cut,
    /// Something else.
    Line(String),
}

struct Reader<R> {
    from: R,
    /// The number of the line that is read.
    line: u64,
    bytes: u64,
    /// The index that the next event must have.
    next: Option<u64>,
}

impl<R: BufRead> Reader<R> {
    fn event(&mut self) -> Result<Option<TraceEvent>, Wrong> {
        let mut line = Vec::new();
        while line.trim_ascii().is_empty() {
            line.clear();
            self.line += 1;
            let limit = u64::try_from(LINE_MAX + 2).unwrap_or(u64::MAX);
            let read = io::Read::take(&mut self.from, limit).read_until(b'\n', &mut line);
            let read = read.map_err(|error| Wrong::Line(error.to_string()))?;
            if read == 0 {
                return Ok(None);
            }
            self.bytes += u64::try_from(read).unwrap_or(u64::MAX);
        }
        let is_whole = line.ends_with(b"\n");
        let line = line.trim_ascii();
        if line.len() > LINE_MAX {
            return Err(Wrong::Line(format!("longer than {LINE_MAX} bytes")));
        }
        if self.bytes > BYTES_MAX {
            return Err(Wrong::Line(format!("the trace is longer than {BYTES_MAX} bytes")));
        }
        match self.judge(line) {
            Err(Wrong::Line(_)) if !is_whole && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err() => {
                Err(Wrong::Cut)
            }
            judged => judged.map(Some),
        }
    }

    fn judge(&mut self, line: &[u8]) -> Result<TraceEvent, Wrong> {
        if line.starts_with(&[0x1F, 0x8B]) {
            return Err(Wrong::Line("packed with gzip: unpack it first".to_owned()));
        }
        if let Some(column) = too_deep(line) {
            return Err(Wrong::Line(format!("column {column}: nested more than {NESTING_MAX} deep")));
        }
        if self.next.is_none() {
            header(line)?;
        }
        let event: TraceEvent = serde_json::from_slice(line).map_err(|error| Wrong::Line(said(&error)))?;
        match self.next {
            None => self.begins(&event)?,
            Some(next) if event.i != next => {
                return Err(Wrong::Line(format!("column \"i\": {} where {next} was expected", event.i)));
            }
            Some(_) => {}
        }
        self.next = event.i.checked_add(1);
        Ok(event)
    }

    fn begins(&self, event: &TraceEvent) -> Result<(), Wrong> {
        let What::Meta(meta) = &event.what else {
            return Err(Wrong::Line("a trace begins with its header".to_owned()));
        };
        let replicas = meta.config.members.len();
        if replicas == 0 || replicas > REPLICAS_MAX {
            return Err(Wrong::Line(format!("column \"config.members\": {replicas} replicas; 1 to {REPLICAS_MAX}")));
        }
        Ok(())
    }
}

/// Does a trace begin so that this version reads it?
fn header(line: &[u8]) -> Result<(), Wrong> {
    let line: serde_json::Value =
        serde_json::from_slice(line).map_err(|error| Wrong::Line(format!("not a trace: {}", said(&error))))?;
    let is_minor =
        |format: &str| format.strip_prefix(FORMAT).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    match (line["k"].as_str(), line["format"].as_str()) {
        (Some("meta"), Some(format)) if is_minor(format) => Ok(()),
        (Some("meta"), Some(other)) => {
            let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
            Err(Wrong::Line(format!("format {other}; this version reads {FORMAT}")))
        }
        _ => Err(Wrong::Line("not a trace: it begins with no header".to_owned())),
    }
}

/// What a parser says, without the number of the line, which is always 1 here.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) if error.column() > 0 => format!("column {}: {what}", error.column()),
        _ => text,
    }
}

/// The column at which a line is nested too deeply.
fn too_deep(line: &[u8]) -> Option<usize> {
    let (mut depth, mut in_text, mut is_escaped) = (0_u32, false, false);
    for (at, byte) in line.iter().enumerate() {
        match (in_text, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Some(at + 1);
        }
    }
    None
}

/// Does this first line of a file begin a trace that this version reads?
///
/// # Errors
/// Why not.
pub fn begins(line: &[u8]) -> Result<(), Unreadable> {
    header(line.trim_ascii()).map_err(|wrong| {
        let why = match wrong {
            Wrong::Line(why) => why,
            Wrong::Cut => "not a whole line".to_owned(),
        };
        Unreadable { line: 1, why }
    })
}

#[cfg(test)]
mod tests;
