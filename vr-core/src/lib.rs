//! Viewstamped Replication as a pure state machine.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod action;
mod clients;
mod config;
mod entry;
mod event;
mod gate;
mod id;
mod log;
mod message;
mod persist;
mod quorum;
mod replica;
mod rules;
mod service;
mod stored;
mod timer;

pub use action::{Action, EnterCause, HaltReason, Ignored, Note, Reject, Rejection, Reply, To, Write};
pub use config::{Batching, ClusterConfig, Config, ConfigError, Durability, MESSAGE_OVERHEAD_BYTES, Timeouts};
pub use entry::{Entries, Entry, HASHED_HEADER_BYTES, Kind, Predicted, Request, genesis};
pub use event::{Event, Input};
pub use id::{
    Beat, ClientId, ClusterId, Epoch, FetchId, Hash, Incarnation, Instance, Nonce, Op, ReplicaId, RequestNumber, Seq,
    Session, Time, View, Wait, WriteId,
};
pub use log::{ENTRY_OVERHEAD_BYTES, Head, Log};
pub use message::{
    Body, DoViewChange, GetState, Header, MAX_ANCHORS, Message, MessageKind, NewState, PROTOCOL_VERSION, Recovery,
    RecoveryResponse, StartView, Tail,
};
pub use quorum::{Position, ReplicaSet, faults_tolerated, quorum};
pub use replica::{OpenError, Replica, Snapshot, StatusName};
#[cfg(feature = "mutants")]
pub use rules::Mutant;
pub use rules::Rules;
pub use service::{Context, Service};
pub use stored::Stored;
pub use timer::Timer;
