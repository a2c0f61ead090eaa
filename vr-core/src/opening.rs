//! How a life begins, as data: with this and the events that follow, anybody repeats it step by step.
//!
//! Owns the shape. Must not know how it is kept (`recording`) or what comes of it. Paper: none; DESIGN §5 "A recorded
//! list of events replays a production replica exactly".

use crate::config::Config;
use crate::id::Time;
use crate::stored::Stored;

/// Everything [`crate::Replica::open`] was given, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening {
    /// What the replica was told. Planted bugs are not part of it.
    pub config: Config,
    /// What its disk held.
    pub stored: Stored,
    /// When, on the replica's own clock: the clock of its events.
    pub at: Time,
    /// The same moment on a clock that all recordings share which are judged together: the host's monotonic one.
    pub host: Time,
}
