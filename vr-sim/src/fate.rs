//! What can become of one message, one sync, one upcall, and when a crash strikes: small choices as numbers.
//!
//! Owns the codes through which a decider answers; 0 is always the default: on time, no fault. Must not know
//! who chooses, nor how often anything happens. DESIGN 9.13.

use serde::{Deserialize, Serialize};
use vr_core::Wait;

/// What becomes of one copy of a message on its link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Arrives after the link's latency, in order.
    OnTime,
    /// Arrives late by so many 64ths of the latency, perhaps behind messages sent after it.
    Late(u32),
    /// Never arrives.
    Lost,
    /// Arrives twice, the second time late by so many 32nds of the latency.
    Twice(u32),
    /// Is held for so many latencies, whatever becomes of its sender (F1).
    Held(u32),
    /// Passes through the real codec with a bit of it flipped; 0 flips none.
    Corrupt(u32),
}

/// The kinds of departure, in the order of their codes.
pub(crate) const FATES: usize = 5;
const SPAN: u32 = 256;

impl Fate {
    /// Codes lie below this.
    pub const BOUND: u32 = 1 + 5 * SPAN;

    /// The fate of this code.
    #[must_use]
    pub const fn decode(code: u32) -> Self {
        let Some(rest) = code.checked_sub(1) else { return Self::OnTime };
        let amount = rest % SPAN;
        match rest / SPAN {
            0 => Self::Late(amount + 1),
            1 => Self::Lost,
            2 => Self::Twice(amount + 1),
            3 => Self::Held(20 + amount * 280 / (SPAN - 1)),
            4 => Self::Corrupt(amount),
            _ => Self::OnTime,
        }
    }

    /// The code of the departure of this kind with this amount, which counts modulo 256.
    pub(crate) const fn code(kind: u32, amount: u32) -> u32 {
        1 + kind * SPAN + amount % SPAN
    }
}

/// How one sync goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncFate {
    /// In the usual time.
    OnTime,
    /// So many quarters of the usual time later.
    Slow(u32),
    /// It fails: nobody knows what is on the disk.
    Failed,
}

impl SyncFate {
    /// Codes lie below this.
    pub const BOUND: u32 = 258;
    /// The code of a failure.
    pub(crate) const FAILED: u32 = 257;

    /// The fate of this code.
    #[must_use]
    pub const fn decode(code: u32) -> Self {
        match code {
            0 => Self::OnTime,
            1..=256 => Self::Slow(code),
            _ => Self::Failed,
        }
    }
}

/// How long a crashed replica stays down: 0 comes back at once, 31 stays down until the faults end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Restart(pub u8);

impl Restart {
    /// Stays down until the faults end, or somebody starts it.
    pub const NEVER: Self = Self(31);

    /// How long; `None` when it is not started again by itself.
    #[must_use]
    pub fn after(self, heartbeat: Wait) -> Option<Wait> {
        let class = u64::from(self.0);
        match self.0 {
            0 => Some(Wait::micros(1)),
            1..=30 => Some(Wait(heartbeat.0 / 16 * class * class)),
            _ => None,
        }
    }
}

/// A crash that strikes while a write is under way, or right after something was said (F4, F5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strike {
    /// After so many quarters of the usual time of a sync.
    pub quarters: u64,
    /// When the replica comes back.
    pub restart: Restart,
}

impl Strike {
    /// Codes lie below this.
    pub const BOUND: u32 = 1 + 4 * 32;

    /// The strike of this code; 0 is none.
    #[must_use]
    pub fn decode(code: u32) -> Option<Self> {
        let rest = code.checked_sub(1)?;
        let restart = Restart(u8::try_from(rest % 32).expect("below 32"));
        (code < Self::BOUND).then(|| Self { quarters: u64::from(rest / 32), restart })
    }

    pub(crate) fn code(quarters: u32, restart: Restart) -> u32 {
        1 + (quarters % 4) * 32 + u32::from(restart.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_always_the_default() {
        assert_eq!(Fate::decode(0), Fate::OnTime);
        assert_eq!(SyncFate::decode(0), SyncFate::OnTime);
        assert_eq!(Strike::decode(0), None);
    }

    #[test]
    fn every_code_below_the_bound_is_a_departure_and_codes_round_trip() {
        assert!((1..Fate::BOUND).all(|code| Fate::decode(code) != Fate::OnTime));
        assert_eq!(Fate::decode(Fate::code(3, 255)), Fate::Held(300));
        assert_eq!(Fate::decode(Fate::code(3, 0)), Fate::Held(20));
        assert!((1..SyncFate::BOUND).all(|code| SyncFate::decode(code) != SyncFate::OnTime));
        assert_eq!(SyncFate::decode(SyncFate::FAILED), SyncFate::Failed);
        for code in 1..Strike::BOUND {
            let strike = Strike::decode(code).unwrap();
            assert_eq!(Strike::code(u32::try_from(strike.quarters).unwrap(), strike.restart), code);
        }
    }

    #[test]
    fn a_restart_comes_at_once_later_or_never() {
        let heartbeat = Wait::millis(16);
        assert_eq!(Restart(0).after(heartbeat), Some(Wait::micros(1)));
        assert_eq!(Restart(4).after(heartbeat), Some(Wait::millis(16)));
        assert_eq!(Restart::NEVER.after(heartbeat), None);
    }
}
