//! The section `[lease]` of a cluster's file: reads at the primary that depend on clocks (VRR §6.3).
//!
//! Owns its words and its default. Must not know what is wrong with a lease: the core says so. PROTOCOL 1.8.

use serde::Deserialize;
use vr_core::{Lease, Wait};

/// As it stands in the file.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileLease {
    /// How long a backup keeps its promise.
    length_ms: u64,
    /// How badly a clock may run.
    #[serde(default = "usual_drift")]
    drift_ppm: u32,
}

/// What sets a clock right may have it run fast or slow by a tenth meanwhile (the kernel's bound of `adjtimex`; chrony's default
/// is a twelfth, ntpd's 500 parts in a million), on top of how badly it runs by itself.
const fn usual_drift() -> u32 {
    110_000
}

impl FileLease {
    /// What the core is told.
    pub(super) fn checked(self) -> Lease {
        Lease { length: Wait::millis(self.length_ms.min(3_600_000)), drift_ppm: self.drift_ppm }
    }
}
