//! The tape of a run: what an observer would have seen, line by line.
//!
//! Owns the lines; the seam to `vr_core::trace` lies in [`Tape::put`]. Must not know the world. VIEW §5.1.

use crate::check::Happening;
use vr_core::Time;

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceLine {
    /// When, in the world's time.
    pub at: Time,
    /// What.
    pub text: String,
}

/// What happened, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tape {
    /// The lines.
    pub lines: Vec<TraceLine>,
}

impl Tape {
    /// Puts one happening on the tape.
    pub fn put(&mut self, at: Time, what: &Happening<'_>) {
        self.lines.push(TraceLine { at, text: format!("{what:?}") });
    }
}
