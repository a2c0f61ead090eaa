//! What an observer sees of a step: the events of a trace, one function that derives them, sentences for people.
//!
//! Owns the format `vrtrace/1` (VIEW.md §5.1): one JSON object a line, the same from the simulator, a live replica
//! and the lab. Must not know who collects events or where they go, nor any private field of a replica. Paper:
//! the variables of VRR Figure 2 and the messages of §4 and §5.
//!
//! - [`observe`](fn@observe) turns one step of a replica, whoever runs it, into events: first its cause, then what it led to.
//! - [`opened`] does the same for the start of one.
//! - [`Recorder`] numbers events and finds their causes; everything else that happens to a cluster (a lost message,
//!   a crash, a client's call) is recorded through it by whoever knows of it.
//! - [`TraceEvent`] serialises with its keys in a fixed order, absent ones left out, and displays as a sentence.

mod describe;
mod event;
mod kinds;
mod names;
mod notes;
mod observe;
mod record;
mod summary;
mod words;

pub use self::event::{TraceEvent, What};
pub use self::kinds::{
    Acknowledged, Aggregated, Checkpointed, Committed, Corrupted, Crashed, Delayed, DiskEvent, Dropped, Duplicated,
    Ended, Executed, Gap, Group, Healed, Intervention, Invoked, LogSlot, Meta, Partitioned, Producer, Received,
    Reconfigured, Remark, Restarted, Returned, Sent, Snap, State, Summary, Synced, TimerEvent, Violated, Votes,
};
pub use self::names::{BadName, BigNumber, MessageId, Name, Node, Recipient};
pub use self::observe::{Step, observe, opened};
pub use self::record::Recorder;
pub use self::summary::{message_sent, request_sent, short_hash, shown};
pub use self::words::{
    DiskAct, DiskFault, DropCause, LogAct, Mode, Outcome, Redact, Settled, Severity, Status, SyncAct, TimerAct, Verdict,
};

/// The format's name and major version: a reader refuses another one.
pub const FORMAT: &str = "vrtrace/1";

#[cfg(test)]
mod tests;
