//! The actions of `vr-core` on real HTTP and real disks: a replica that an embedder starts with its own service.
//!
//! A [`Node`] is one replica: its log on disk, its peers over HTTP, its [`Service`] on a thread of its own. A
//! [`Handle`] takes requests where the node runs (Go-VR's `RequestAsync`), a [`client::Client`] from anywhere. The
//! adapter decides nothing about the protocol; it carries out actions and reports completions.
//!
//! ```no_run
//! use vr_tokio::{Bytes, Context, Node, NodeConfig, ReplicaId, Service};
//!
//! /// What is replicated: a counter.
//! #[derive(Default)]
//! struct Counter(u64);
//!
//! impl Service for Counter {
//!     fn execute(&mut self, _: &Context, body: &[u8]) -> Bytes {
//!         self.0 += u64::try_from(body.len()).unwrap_or(0);
//!         self.0.to_string().into()
//!     }
//!     fn read(&self, _: &[u8]) -> Bytes {
//!         self.0.to_string().into()
//!     }
//!     fn checkpoint(&self) -> Bytes {
//!         self.0.to_le_bytes().to_vec().into()
//!     }
//!     fn restore(&mut self, checkpoint: &[u8]) {
//!         self.0 = u64::from_le_bytes(checkpoint.try_into().expect("8 bytes"));
//!     }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = NodeConfig::load("cluster.toml".as_ref(), ReplicaId(0))?;
//! let mut node = Node::start(config, Counter::default()).await?;
//! node.serve_clients().await?;
//! println!("{}", node.stopped().await);
//! # Ok(())
//! # }
//! ```

mod behind;
pub mod client;
mod clock;
mod config;
pub mod disk;
mod events;
mod flight;
mod found;
pub mod fuzz;
mod handle;
mod keeper;
mod members;
mod metrics;
mod node;
mod ops;
pub mod tls;
pub mod transport;
mod upcalls;
pub mod wal;

pub use self::config::{DiskConfig, EventsConfig, NodeAddresses, NodeConfig, NodeConfigError, RequestConfig};
pub use self::flight::RecordConfig;
pub use self::found::{FoundError, Founded, found};
pub use self::handle::{HandOverError, Handle, NodeStatus, RequestError};
pub use self::members::{KnownMember, MemberAddress, Members, NextMember, ReconfigureError};
pub use self::node::{Node, StartError, StopReason};
pub use self::ops::{AnswerBody, Routes};
pub use bytes::Bytes;
pub use vr_core;
pub use vr_core::{
    ClientId, ClusterConfig, ClusterId, Context, DeferredState, Durability, Op, ReplicaId, Reply, RequestNumber,
    Service, Session, State, StatusName, View,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
