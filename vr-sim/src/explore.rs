//! Exhaustive search: every way a small cluster can go, within bounds, with the same `Replica` that ships.
//!
//! Owns what is explored ([`Bounds`]), by whom it is judged ([`Judge`]) and what is told of it ([`Tally`], [`Found`]). Must
//! not know time or threads: who calls [`Search::go`] does. DESIGN §8, 9.5, 9.13; PROTOCOL §5.
//!
//! **What happens.** A state is every replica with its disk, and the messages that were sent. A message stays where it is
//! when it is delivered: it may arrive at any time, twice, after its sender crashed, or never, so that loss, delay,
//! duplication, reordering and retransmission need no moves of their own. The moves: a message arrives; the oldest write
//! under way becomes durable; a client's request arrives at a primary, as often as it likes; an idle primary says what is
//! committed; a replica leaves its view with the votes of others (`leave.rs`: waiting, voting and hearing each other are
//! one move, as none of it promises anything); power fails, and none of the writes under way survives (that some do is a
//! sync before); a replica starts again. The service answers at once. Sessions are registered beforehand.
//!
//! **What is not explored.** Damaged or full disks, orderly stops, checkpoints, a torn run of entries, a lost vote, a
//! primary that abdicates although the others can do without its vote, and a question of a state transfer or a recovery
//! that is asked again. A step into a view beyond the bounds is not taken.
//!
//! **States that merge.** Two states are one if their names (128 bits) are: of all replicas with their disks, of the set of
//! messages, of what is left of the bounds, and of all that the judges remember, which is little: the ops that were
//! decided with the view that decided each, and for each replica the latest view it revealed and the latest it led, over
//! all its lives. No judgement is lost by merging, but for this:
//!
//! - [`vr_core::Replica::fingerprint`] leaves out time and the gate. The first of several replicas with one fingerprint
//!   stands for all.
//! - Messages that are for nothing are forgotten (`spent.rs`), unless a bug is planted that makes something of them.
//! - Members that lead no view within the bounds are interchanged. Where the core breaks a tie by position, or asks the next
//!   member, interchanged states may go different ways.
//! - What is judged by more of the past than that (who acknowledged and reported what: S12 and the like in [`crate::check`])
//!   is judged only when a path on which something else does not hold is repeated.
//!
//! **Why it is fast.** What a replica does depends on it and on what it is given, on nothing else: a step is taken once and
//! remembered by number (`table.rs`), so that most moves are look-ups. One thread does it.

mod judge;
mod leave;
mod node;
mod rehearsal;
mod search;
mod seen;
mod spent;
mod steps;
mod table;

pub use judge::{Broken, Judge};
pub use rehearsal::{Found, repeated};
pub use search::{Search, Tally};
pub use steps::{Place, Steps, Way};

use crate::setup::Setup;
use vr_core::{Durability, View, Wait};

/// No larger cluster is explored.
pub const REPLICAS_MAX: u16 = 7;
/// No more requests.
pub const REQUESTS_MAX: u8 = 6;
/// No more views after the first one, nor crashes.
pub const BUDGET_MAX: u8 = 9;

/// How far it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// How many replicas.
    pub replicas: u16,
    /// When a promise may leave.
    pub durability: Durability,
    /// A planted bug, by name.
    pub mutant: Option<String>,
    /// How many clients call, once each. They are alike: whose request is taken first is the first.
    pub requests: u8,
    /// How many views after the first one; so often each replica loses patience at most.
    pub views: u8,
    /// How often power fails.
    pub crashes: u8,
    /// Where it stops, with what it has.
    pub states: u32,
    /// Who judges.
    pub judge: Judge,
}

impl Default for Bounds {
    /// What is searched in seconds.
    fn default() -> Self {
        Self {
            replicas: 3,
            durability: Durability::Sync,
            mutant: None,
            requests: 1,
            views: 1,
            crashes: 1,
            states: 20_000_000,
            judge: Judge::All,
        }
    }
}

impl Bounds {
    /// The last view that is entered.
    pub(crate) fn last(&self) -> View {
        View(self.views.into())
    }

    /// The cluster, as a case keeps it: time passes only by hand, so that a path is a script.
    ///
    /// # Errors
    /// When there is no such cluster, or it is out of bounds; in one line.
    pub fn setup(&self) -> Result<Setup, String> {
        let Self { replicas, requests, views, crashes, .. } = *self;
        if !(1..=REPLICAS_MAX).contains(&replicas) {
            return Err(format!("{replicas} replicas cannot be explored: 1 to {REPLICAS_MAX}"));
        }
        if requests > REQUESTS_MAX || views > BUDGET_MAX || crashes > BUDGET_MAX {
            return Err(format!(
                "at most {REQUESTS_MAX} requests, {BUDGET_MAX} views and {BUDGET_MAX} crashes can be explored"
            ));
        }
        let setup = Setup {
            mutant: self.mutant.clone(),
            clients: u32::from(requests),
            // By itself no sync ends and nothing travels: hands do it all.
            sync: Wait::millis(3_600_000),
            latency: Wait::millis(3_600_000),
            execute: Wait::ZERO,
            checkpoint_interval: 1 << 20,
            crash_budget: false,
            ..Setup::plain(replicas, self.durability)
        };
        setup.validate()?;
        Ok(setup)
    }
}
