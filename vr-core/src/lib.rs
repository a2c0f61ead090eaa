//! Viewstamped Replication as a pure state machine: `step(Event) -> Vec<Action>`.
//!
//! This crate decides everything about the protocol and does nothing about the world. It has no clock (time is in
//! the event), no randomness (chance is a function of the configuration), no I/O (actions are carried out by a
//! *driver*), no threads, no `std`. The same bytes run in the simulator that tests them and in production.
//!
//! A driver is a loop: take an event (a message, a request, the completion of a write or an upcall, a tick),
//! give it to [`Replica::step_into`], carry out the [`Action`]s in order, report completions as events. It decides
//! nothing; in particular it needs no "send this only after that is synced": a promise leaves the core only when
//! [`Input::Persisted`] has said that what it rests on is durable.
//!
//! Where to read on: `replica/` (one file per status of the paper), `rules.rs` (every safety decision under its
//! sentence), and this crate's `README.md` (paper section → file → checker, and where we deviate).
//!
//! # Three replicas agree
//!
//! ```
//! use std::collections::VecDeque;
//! use vr_core::*;
//!
//! let cluster = ClusterConfig::of_size(ClusterId(1), 3);
//! let (mut replicas, mut inbox) = (Vec::new(), VecDeque::new());
//! for id in cluster.members.clone() {
//!     let disk = Stored::format(cluster.cluster, cluster.digest(), id, Instance(id.0.into()));
//!     let mut actions = Vec::new();
//!     let config = Config::new(cluster.clone(), id);
//!     replicas.push(Replica::open(config, disk, Time::ZERO, &mut actions)?);
//!     inbox.extend(actions.into_iter().map(|action| (id, action)));
//! }
//! let register = Request {
//!     client: ClientId(42), session: Session::ZERO, number: RequestNumber::ZERO,
//!     kind: Kind::Register, predicted: Predicted::default(), body: Default::default(),
//! };
//! let mut step = |id: ReplicaId, input, inbox: &mut VecDeque<_>| {
//!     let actions = replicas[usize::from(id.0)].step(Event { at: Time::ZERO, input });
//!     inbox.extend(actions.into_iter().map(|action| (id, action)));
//! };
//! step(ReplicaId(0), Input::Request(register), &mut inbox);
//! let mut answered = 0;
//! while let Some((id, action)) = inbox.pop_front() {
//!     match action {
//!         Action::Send { to: To::One(to), message } => step(to, Input::Message(message), &mut inbox),
//!         Action::Send { to: To::Others, message } => {
//!             for to in cluster.members.iter().filter(|to| **to != id) {
//!                 step(*to, Input::Message(message.clone()), &mut inbox);
//!             }
//!         }
//!         Action::Persist { id: write, .. } => step(id, Input::Persisted(write), &mut inbox), // memory is its disk
//!         Action::Reply(reply) => { assert_eq!(reply.op, Op(1)); answered += 1; }
//!         Action::Execute(_) | Action::Read(_) | Action::ReadBefore { .. } => {}
//!         Action::Reject(_) | Action::Note(_) => {}
//!         Action::Checkpoint { .. } | Action::Restore(_) => {} // of a service, which this one has not
//!         Action::Halt(reason) => panic!("{reason:?}"),
//!     }
//! }
//! assert_eq!(answered, 1);
//! # Ok::<(), OpenError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod action;
mod cause;
mod checkpoint;
mod clients;
mod config;
mod entry;
mod event;
mod fingerprint;
mod gate;
mod group;
mod hand_over;
mod hash;
mod id;
mod lease;
mod log;
mod message;
mod occurrence;
mod opening;
mod persist;
mod quorum;
pub mod recording;
mod replica;
mod rules;
mod service;
mod state;
mod stored;
mod timer;
pub mod trace;
pub mod wire;

pub use action::{Action, EnterCause, HaltReason, Ignored, Note, Reject, Rejection, Reply, To, Write};
pub use checkpoint::{Checkpoint, Outline};
pub use config::{Batching, ClusterConfig, Config, ConfigError, Durability, MESSAGE_OVERHEAD_BYTES, Timeouts};
pub use entry::{Entries, Entry, HASHED_HEADER_BYTES, Kind, Predicted, Query, Request, genesis};
pub use event::{Event, Input};
pub use fingerprint::{Writes, fingerprint};
pub use group::{ADDRESS_BYTES_MAX, BadGroup, Group, Member, Reconfiguration};
pub use hand_over::NoHandOver;
pub use id::{
    Beat, ClientId, ClusterId, Epoch, FetchId, Hash, Incarnation, Instance, Nonce, Op, ReplicaId, RequestNumber, Seq,
    Session, Time, View, Wait, WriteId,
};
pub use lease::Lease;
pub use log::{ENTRY_OVERHEAD_BYTES, Head, Log};
pub use message::{
    Body, CheckpointDurable, CheckpointPart, DoViewChange, Envelope, GetState, Header, MAX_ANCHORS, Message,
    MessageKind, NewState, PROTOCOL_VERSION, Recovery, RecoveryResponse, StartView, Tail,
};
pub use occurrence::Occurrence;
pub use opening::{Midway, Opening};
pub use quorum::{Position, ReplicaSet, faults_tolerated, quorum};
pub use replica::{ImageError, OpenError, Replica, Snapshot, StatusName};
#[cfg(feature = "mutants")]
pub use rules::Mutant;
pub use rules::Rules;
pub use service::{Context, Service};
pub use state::{DeferredState, State};
pub use stored::{Damage, Stored};
pub use timer::Timer;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
