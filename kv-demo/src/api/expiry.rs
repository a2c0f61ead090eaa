//! Lets keys go when nobody asks for anything.
//!
//! Owns the watch: the primary of a cluster in which a key is due has that logged, so that its time passes for every
//! replica at one place in the log. Its clock only says when to ask: what is gone is decided by the time of the entry
//! (VRR §4.4). Must not know what a key is.

use super::{Answer, Api, Op};
use crate::op::Expiry;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vr_tokio::StatusName;

/// A key may be there for so much longer than it was to live, while nothing else is written.
const BEAT: Duration = Duration::from_millis(250);

impl Api {
    /// Watches until the node stops.
    pub async fn watch_expiry(&self) {
        while self.handle.status().status != StatusName::Halted {
            tokio::time::sleep(BEAT).await;
            while let Some(due) = self.due().await {
                // Whoever cannot have it logged now, or whose clock went back, tries again a beat later.
                let next = self.execute(None, Op::Expire, "").await;
                if !matches!(next, Ok(Answer::Due(Some(next))) if next > due) {
                    break;
                }
            }
        }
    }

    /// The time of a key, if it is past and this node leads.
    async fn due(&self) -> Option<Expiry> {
        if self.handle.status().status != StatusName::Primary {
            return None;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Expiry(since.as_nanos().try_into().unwrap_or(u64::MAX));
        match self.look(Op::Expire, "").await {
            Ok(Answer::Due(due)) => due.filter(|due| *due <= now),
            Ok(_) | Err(_) => None,
        }
    }
}
