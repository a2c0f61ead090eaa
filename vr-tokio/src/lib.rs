//! The adapter that will carry out the actions of [`vr_core`] on real HTTP and real disks.
//!
//! There is nothing here yet, and nothing pretends to be: the protocol core and the simulator that proves
//! it come first. What this crate will own is the loop *inbox → `step_into` → actions*, the transport,
//! the write-ahead log and the client; what it must never do is decide anything about the protocol.
