//! The log on disk against its specification: whatever happens to the files, opening gives the fold of what was
//! durable, or says what is wrong. Never a shorter log in silence. PROTOCOL D40 to D45, D53 to D62.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what it did not expect")]

mod crash;
mod cuts;
mod damage;
mod epochs;
mod holes;
mod real;
mod refusals;
mod scrub;
mod steps;
mod thread;
