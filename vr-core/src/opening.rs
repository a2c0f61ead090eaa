//! How a life begins, and how it goes on from the middle, as data: with either and the events that follow, anybody
//! repeats it step by step.
//!
//! Owns the shape. Must not know how it is kept (`recording`) or what comes of it. Paper: none; DESIGN §5 "A recorded
//! list of events replays a production replica exactly".

use crate::config::Config;
use crate::id::{Incarnation, Time};
use crate::stored::Stored;
use bytes::Bytes;

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

/// A replica in the middle of a life: where a recording begins whose own beginning was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Midway {
    /// What the replica was told. Planted bugs are not part of it.
    pub config: Config,
    /// Which life.
    pub life: Incarnation,
    /// When that life began, on the replica's own clock, as its [`Opening`] has it.
    pub at: Time,
    /// The same moment on the host's clock.
    pub host: Time,
    /// How many events had happened in it.
    pub events: u64,
    /// What the replica was then: [`crate::Replica::image`].
    pub image: Bytes,
}
