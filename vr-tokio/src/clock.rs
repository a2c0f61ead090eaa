//! The clocks: the monotonic one that steps happen on, and the wall clock that the primary predicts.
//!
//! Owns the reading of them. The monotonic clock is the host's, so that recordings of several nodes on one host can
//! be put in order. Must not know who asks.

use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vr_core::Time;

/// Does time go on while the machine sleeps?
static COUNTS_SLEEP: AtomicBool = AtomicBool::new(false);

/// From now on, for this whole process, time goes on while the machine sleeps (and has gone on: for other nodes in it, it jumps
/// ahead once): whoever holds a lease must not sleep through its end. Linux has a clock for
/// that; elsewhere it is up to the host's monotonic clock.
pub(crate) fn count_sleep() {
    COUNTS_SLEEP.store(true, Ordering::Relaxed);
}

fn clock_id() -> ClockId {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if COUNTS_SLEEP.load(Ordering::Relaxed) {
        return ClockId::Boottime;
    }
    ClockId::Monotonic
}

/// The moment, on the host's monotonic clock.
pub(crate) fn now() -> Time {
    let time = clock_gettime(clock_id());
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    Time(seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanoseconds.unwrap_or(0)))
}

/// How long it is from `now` to `deadline`.
pub(crate) const fn until(now: Time, deadline: Time) -> Duration {
    Duration::from_nanos(deadline.since(now).0)
}

/// Nanoseconds since the Unix epoch; 0 before it.
pub(crate) fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
