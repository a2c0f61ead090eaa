//! A lease, as a cluster is told of it: how long a backup keeps to the view that it answered in, and how well clocks run.
//!
//! Owns the two numbers and what is wrong with them. Must not know who promises, who counts on it, or what a clock shows.
//! Paper: VRR §6.3; PROTOCOL 1.8, D83.

use crate::id::Wait;
use serde::{Deserialize, Serialize};

/// Clocks that run as badly as this measure nothing.
const DRIFT_PPM_END: u32 = 500_000;

/// With a lease a primary answers reads from its own state, without a heartbeat for them: whoever answers one of its heartbeats
/// takes no part in the beginning of a later view for a while. Agreement depends on no clock, with leases or without. That a
/// read under one is fresh depends on this: every clock runs, by the real time, fast or slow by no more than the bound, also
/// while its machine sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// For so long a backup keeps its promise, on its own clock.
    pub length: Wait,
    /// No clock runs fast or slow by more than so many parts in a million. Below 500,000.
    pub drift_ppm: u32,
}

impl Lease {
    /// What is wrong with it, where the shortest patience of a backup is this.
    pub(crate) fn fault(&self, patience: Wait) -> Option<&'static str> {
        if self.length == Wait::ZERO {
            Some("a lease that lasts no time is none")
        } else if self.drift_ppm >= DRIFT_PPM_END {
            Some("the drift bound of a lease must lie below 500000 parts in a million")
        } else if self.length > patience {
            Some(
                "a lease must not outlast the shortest patience of a backup, view_change_min: no view could be left in time",
            )
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lasts_some_time_and_no_longer_than_patience_on_clocks_that_are_clocks() {
        let fault = |ms, drift_ppm| Lease { length: Wait::millis(ms), drift_ppm }.fault(Wait::millis(400));
        assert_eq!((fault(1, 0), fault(400, 499_999)), (None, None));
        assert!(fault(0, 0).is_some_and(|what| what.contains("no time")));
        assert!(fault(401, 0).is_some_and(|what| what.contains("patience")));
        assert!(fault(1, 500_000).is_some_and(|what| what.contains("drift")));
    }
}
