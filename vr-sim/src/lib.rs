//! Whole Viewstamped Replication clusters under seeded faults, checked and replayed.
//!
//! The story of a run. A seed names it. [`swarm`] draws from the seed what the cluster looks like ([`setup::Setup`]) and
//! what goes wrong how often ([`odds::Odds`]). A [`world::World`] is built of it: replicas, which are the shipped
//! `vr_core::Replica`; for each a disk ([`disk`]) and a clock ([`clock`]); the links between them ([`net`]); clients
//! ([`client`]) that ask the replicated store ([`service`]) for what [`workload`] says. Whatever is not fixed is asked of
//! one [`decider::Decider`]: the fate of each message, each sync, each moment at which something may break
//! ([`faults`]). It answers 0 for "as usual"; any other answer is a *decision*, and the list of decisions is the run: a
//! [`case::Case`] holds it and gives the same run again, without the seed.
//!
//! First faults strike, while clients call. Then the faults end: a quorum is healed, the rest stays broken, and within
//! a bound everything must come to rest: every call answered, the healed replicas agreed. Everything that happens
//! passes through one function, from which the checkers ([`check`]), the run's digest, the counters of rare events
//! ([`marks`]) and the tape ([`tape`]) are fed.
//!
//! - [`run::run_seed`] and [`run::run_case`] do all this.
//! - [`simulate()`] does it with a state machine of yours.
//! - [`scenario`] moves a world by hand; [`lab`] lets a person do it, with a script that repeats it.
//! - [`view`] makes of a tape a page, lines for terminals and files for other tools.
//! - [`conformance`] tries an embedder's own storage, transport or host loop.
//! - [`flight`] judges what production nodes recorded, [`history`] what clients saw of them.

pub mod bench;
pub mod case;
pub mod check;
pub mod client;
pub mod clock;
pub mod conformance;
pub mod decider;
pub mod digest;
pub mod disk;
pub mod explore;
pub mod fate;
pub mod faults;
pub mod flight;
pub mod fuzz;
pub mod history;
pub mod lab;
pub mod marks;
pub mod net;
pub mod odds;
pub mod plan;
mod plants;
pub mod queue;
pub mod rng;
pub mod run;
pub mod scenario;
mod scenarios;
pub mod service;
pub mod setup;
pub mod shell;
pub mod shrink;
pub mod simulate;
pub mod swarm;
pub mod tape;
pub mod trail;
pub mod view;
pub mod workload;
pub mod world;

pub use simulate::simulate;
