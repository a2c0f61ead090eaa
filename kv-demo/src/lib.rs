//! A replicated key-value store on `vr-tokio`, with Go-VR's REST interface.
//!
//! Owns the store: its operations ([`op`]), the state machine ([`store`]), its HTTP interface ([`api`]), the view
//! of a cluster ([`view`]) and the command line ([`cli`]). The protocol, the log and the network are `vr-tokio`'s.

pub mod api;
pub mod cli;
pub mod op;
pub mod server;
pub mod store;
pub mod view;
