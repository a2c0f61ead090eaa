//! What can happen to a replica. A list of these, with a configuration and a [`crate::Stored`], is a replay.
//!
//! Owns the shapes. Must not know what any of it causes. DESIGN §5: time is in the event.

use crate::checkpoint::Checkpoint;
use crate::entry::{Query, Request};
use crate::id::{Op, ReplicaId, Time, WriteId};
use crate::message::Message;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Something happened, at a moment on this replica's clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When, on this replica's monotonic clock. An earlier moment than before counts as the same moment. With a lease
    /// ([`crate::Lease`]) it is to be read after the event before it was fed, as [`crate::Replica::open`]'s is after the life
    /// before has ended: promises are measured from it.
    pub at: Time,
    /// What.
    pub input: Input,
}

/// What can happen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u64)] // see `crate::Action`
pub enum Input {
    /// Time passed. Extra ticks are harmless; one is due at `Replica::next_deadline`.
    Tick,
    /// From a client.
    Request(Request),
    /// From a peer. Late, duplicated, reordered, forged by accident: all fine.
    Message(Message),
    /// Every write up to and including this one is durable.
    Persisted(WriteId),
    /// A write or a sync failed. It is never retried: the replica halts (PROTOCOL D55).
    WriteFailed,
    /// The service answered one op of an [`crate::Action::Execute`], in op order.
    Executed {
        /// Which op.
        op: Op,
        /// What it answered.
        reply: Bytes,
    },
    /// Whether there is room for more entries on disk. The driver keeps a reserve beside it for whatever was issued
    /// already and for the records without entries; a write that fails nevertheless is [`Input::WriteFailed`].
    Space(bool),
    /// An orderly stop: see [`crate::Note::Stopped`]. The last event of a life.
    Stop,
    /// The service gave what an [`crate::Action::Checkpoint`] asked for.
    CheckpointTaken {
        /// After which op.
        op: Op,
        /// The service's state.
        state: Bytes,
    },
    /// The service became what an [`crate::Action::Restore`] brought.
    Restored {
        /// At which op.
        op: Op,
    },
    /// Several from clients, as a driver finds them in its inbox: each is judged as if it came alone, in this order,
    /// and those that are taken are logged together, as far as a batch goes.
    Requests(Vec<Request>),
    /// The service answered several ops in a row, in op order: [`Input::Executed`] for each, as one event.
    ExecutedRun {
        /// Which op the first reply is for.
        first: Op,
        /// What it answered, an op each.
        replies: Vec<Bytes>,
    },
    /// A question of a client that changes nothing. It becomes an [`crate::Action::Read`], or is refused.
    Query(Query),
    /// An operator asks the primary to give way in good order, before maintenance: see [`crate::Note::HandingOver`].
    HandOver {
        /// To whom; `None` for whoever is furthest ahead.
        to: Option<ReplicaId>,
    },
    /// The service set aside what an [`crate::Action::Checkpoint`] asked for, in the same order as it would have given it: what
    /// it executes from now on does not change that. [`crate::Replica::outline`] says what the checkpoint is made with;
    /// [`Input::CheckpointGiven`] follows, sooner or later.
    CheckpointBegun {
        /// After which op.
        op: Op,
    },
    /// A checkpoint whose state was set aside, put together: out of the order of other answers, as late as it may be. One
    /// that is not waited for any more is dropped.
    CheckpointGiven(Box<Checkpoint>),
    /// An [`Input::Query`] that a backup may answer, too: its primary says what the answer must reflect, so that it is
    /// linearizable all the same (VRR §6.3, PROTOCOL 1.8). A primary answers it as any other.
    QueryHere(Query),
    /// What an [`crate::Action::ReadBefore`] asked for was not read before its deadline: it is asked anew, and waits until a
    /// quorum has answered a heartbeat, whatever lease there is by then.
    QueryLate(Query),
}

const _: () = assert!(size_of::<Event>() <= 104, "the hot path copies events");
