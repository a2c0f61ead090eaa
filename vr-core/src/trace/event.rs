//! One event of a trace: when, where, why, and what.
//!
//! Owns the common fields, the list of kinds and the order of keys: `i t k n by lc`, then the kind's own. Must not
//! know how events come about. VIEW.md §5.1.

use super::kinds::{
    Acknowledged, Aggregated, Checkpointed, Committed, Corrupted, Crashed, Delayed, DiskEvent, Dropped, Duplicated,
    Ended, Executed, Gap, Healed, Intervention, Invoked, LogSlot, Meta, Partitioned, Received, Reconfigured, Remark,
    Restarted, Returned, Sent, Snap, State, Synced, TimerEvent, Violated,
};
use super::names::{MessageId, Node};
use alloc::boxed::Box;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceEvent {
    /// Its index in the trace. Whoever collects events assigns it.
    pub i: u64,
    /// When, in nanoseconds: virtual time of a simulation, time since `meta.wall` of a live trace. What
    /// [`super::observe`](fn@super::observe) gives is on the replica's own clock; whoever collects events puts them on one.
    pub t: u64,
    /// Where.
    pub n: Option<Node>,
    /// The index of the event that caused it.
    pub by: Option<u64>,
    /// Its Lamport clock, in a live trace.
    pub lc: Option<u64>,
    /// What.
    pub what: What,
}

impl TraceEvent {
    /// Something at a node, not yet numbered.
    #[must_use]
    pub const fn at(t: u64, n: Node, what: What) -> Self {
        Self { i: 0, t, n: Some(n), by: None, lc: None, what }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident($payload:ty) = $k:literal,)*) => {
        /// What happened.
        #[derive(Clone, PartialEq, Eq, Debug, Serialize)]
        #[serde(untagged)]
        #[non_exhaustive]
        pub enum What {
            $($(#[$doc])* $variant($payload),)*
            /// Something that a newer version writes and this one does not know.
            Unknown,
        }

        impl What {
            /// The kind's name in the trace, `k`.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $k,)*
                    Self::Unknown => "unknown",
                }
            }
        }

        /// The same, with its name beside it: what is read.
        #[derive(Deserialize)]
        #[serde(tag = "k")]
        enum Tagged {
            $(#[serde(rename = $k)] $variant($payload),)*
            #[serde(other)]
            Unknown,
        }

        impl From<Tagged> for What {
            fn from(tagged: Tagged) -> Self {
                match tagged {
                    $(Tagged::$variant(payload) => Self::$variant(payload),)*
                    Tagged::Unknown => Self::Unknown,
                }
            }
        }
    };
}

kinds! {
    /// The header.
    Meta(Box<Meta>) = "meta",
    /// The state of a node.
    Snap(Snap) = "snap",
    /// A change of it.
    Set(Box<State>) = "set",
    /// A message left.
    Sent(Sent) = "send",
    /// A message arrived.
    Received(Received) = "recv",
    /// A message was lost.
    Dropped(Dropped) = "drop",
    /// A message was doubled.
    Duplicated(Duplicated) = "dup",
    /// A message was held back.
    Delayed(Delayed) = "delay",
    /// A message was damaged.
    Corrupted(Corrupted) = "corrupt",
    /// A timer.
    Timer(TimerEvent) = "timer",
    /// A slot of a log.
    Log(LogSlot) = "log",
    /// An acknowledgement was counted.
    Acknowledged(Acknowledged) = "ack",
    /// The commit-number rose.
    Committed(Committed) = "commit",
    /// The service answered.
    Executed(Executed) = "exec",
    /// A disk.
    Disk(DiskEvent) = "disk",
    /// A node crashed.
    Crashed(Crashed) = "crash",
    /// A node starts.
    Restarted(Restarted) = "restart",
    /// Links were cut.
    Partitioned(Partitioned) = "part",
    /// Links work again.
    Healed(Healed) = "heal",
    /// A client called.
    Invoked(Invoked) = "inv",
    /// A client's call ended.
    Returned(Returned) = "ret",
    /// A checkpoint.
    Checkpointed(Checkpointed) = "ckpt",
    /// State transfer.
    Synced(Synced) = "sync",
    /// A new configuration.
    Reconfigured(Reconfigured) = "reconf",
    /// Many messages as one event.
    Aggregated(Aggregated) = "agg",
    /// Events are missing.
    Gap(Gap) = "gap",
    /// An intervention.
    Do(Intervention) = "do",
    /// A fact or a caption.
    Note(Remark) = "note",
    /// A broken promise.
    Violated(Violated) = "viol",
    /// The trailer.
    Ended(Ended) = "end",
}

impl What {
    /// The message it is about.
    #[must_use]
    pub fn message(&self) -> Option<MessageId> {
        match self {
            Self::Sent(sent) => Some(sent.m),
            Self::Received(received) => Some(received.m),
            Self::Dropped(dropped) => Some(dropped.m),
            Self::Duplicated(duplicated) => Some(duplicated.m),
            Self::Delayed(delayed) => Some(delayed.m),
            Self::Corrupted(corrupted) => Some(corrupted.m),
            Self::Meta(_)
            | Self::Snap(_)
            | Self::Set(_)
            | Self::Timer(_)
            | Self::Log(_)
            | Self::Acknowledged(_)
            | Self::Committed(_)
            | Self::Executed(_)
            | Self::Disk(_)
            | Self::Crashed(_)
            | Self::Restarted(_)
            | Self::Partitioned(_)
            | Self::Healed(_)
            | Self::Invoked(_)
            | Self::Returned(_)
            | Self::Checkpointed(_)
            | Self::Synced(_)
            | Self::Reconfigured(_)
            | Self::Aggregated(_)
            | Self::Gap(_)
            | Self::Do(_)
            | Self::Note(_)
            | Self::Violated(_)
            | Self::Ended(_)
            | Self::Unknown => None,
        }
    }
}

impl Serialize for TraceEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            i: u64,
            t: u64,
            k: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            n: Option<Node>,
            #[serde(skip_serializing_if = "Option::is_none")]
            by: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            lc: Option<u64>,
            #[serde(flatten)]
            what: &'a What,
        }
        let Self { i, t, n, by, lc, ref what } = *self;
        Line { i, t, k: what.kind(), n, by, lc, what }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TraceEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Line {
            i: u64,
            t: u64,
            n: Option<Node>,
            by: Option<u64>,
            lc: Option<u64>,
            #[serde(flatten)]
            what: Tagged,
        }
        let Line { i, t, n, by, lc, what } = Line::deserialize(deserializer)?;
        Ok(Self { i, t, n, by, lc, what: what.into() })
    }
}
