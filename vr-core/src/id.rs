//! The names of things: views, ops, replicas, clients, writes, moments.
//!
//! Owns every identifier as a type of its own, so that a view cannot be passed for an op. Must not know
//! what any of them is used for. Paper: VRR §4, Figure 2.

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl $name {
            /// The smallest one.
            pub const ZERO: Self = Self(0);

            /// The one after this; the largest stays itself, so that no number from outside can overflow.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The one before this; the smallest stays itself.
            #[must_use]
            pub const fn previous(self) -> Self {
                Self(self.0.saturating_sub(1))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

macro_rules! name128 {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(Rust, packed(8))] // 8-byte alignment: two words beside their neighbours, no padding
        pub struct $name(pub u128);

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u128(self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                u128::deserialize(deserializer).map(Self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let value = self.0;
                write!(f, concat!($prefix, "{:x}"), value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let value = self.0;
                write!(f, "{value:x}")
            }
        }
    };
}

/// The view: which replica is primary, and a promise never to act in an earlier one (VRR §4).
///
/// Its high 24 bits are the epoch, its low 40 the view-number within the epoch (VRR §7), so that comparing two views
/// compares epochs first: a view of an earlier epoch is earlier, whatever its number (PROTOCOL D91, D92).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct View(pub u64);

/// So many bits of a view are its number within the epoch.
const NUMBER_BITS: u32 = 40;
/// The largest number of a view within its epoch.
const NUMBER_MAX: u64 = (1 << NUMBER_BITS) - 1;

impl Epoch {
    /// See [`View::is_beyond`].
    #[must_use]
    pub(crate) const fn is_beyond(self) -> bool {
        self.0 >= 1 << 22
    }
}

impl View {
    /// The first view of the first epoch.
    pub const ZERO: Self = Self(0);

    /// The first view of an epoch.
    #[must_use]
    pub const fn first_of(epoch: Epoch) -> Self {
        Self(epoch.0 << NUMBER_BITS)
    }

    /// A view above all that were in earlier epochs, and below all of this one.
    #[must_use]
    pub(crate) const fn before(epoch: Epoch) -> Self {
        Self(Self::first_of(epoch).0.saturating_sub(1))
    }

    /// Views beyond some number, and epochs beyond another, are none that anybody entered: refused, so that none can be
    /// counted up to overflow.
    #[must_use]
    pub(crate) const fn is_beyond(self) -> bool {
        self.number() >= 1 << 39 || self.epoch().is_beyond()
    }

    /// Its epoch.
    #[must_use]
    pub const fn epoch(self) -> Epoch {
        Epoch(self.0 >> NUMBER_BITS)
    }

    /// Its number within the epoch.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0 & NUMBER_MAX
    }

    /// The one after this, in the same epoch; the largest stays itself.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.number() == NUMBER_MAX { self } else { Self(self.0 + 1) }
    }

    /// The one before this, in the same epoch; the first stays itself.
    #[must_use]
    pub const fn previous(self) -> Self {
        if self.number() == 0 { self } else { Self(self.0 - 1) }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch() == Epoch::ZERO { write!(f, "v{}", self.0) } else { fmt::Display::fmt(self, f) }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch() == Epoch::ZERO {
            return write!(f, "{}", self.0);
        }
        write!(f, "e{}·v{}", self.epoch(), self.number())
    }
}

number! {
    /// The op-number: a position in the log. The first op is 1; 0 means "before the first".
    Op(u64), "op"
}
number! {
    /// The epoch: one configuration of the group (VRR §7). Views are counted anew in each.
    Epoch(u64), "e"
}
number! {
    /// The id of a replica, unique in the life of a cluster. Never reused.
    ReplicaId(u16), "r"
}
number! {
    /// A client's session: the op at which its `Register` was executed.
    Session(u64), "s"
}
number! {
    /// The number of a request within its session: 1, 2, … 0 is the `Register` itself.
    RequestNumber(u64), "#"
}
number! {
    /// The number of a write within one incarnation. Never repeats, unlike an op, which a truncation reuses.
    WriteId(u64), "w"
}
number! {
    /// How often this replica was started: +1, durably, before anything else is said.
    Incarnation(u64), "i"
}
number! {
    /// The number of a message within its sender's incarnation.
    Seq(u64), "m"
}
number! {
    /// The number of a heartbeat within a view: an answer names the newest one it heard.
    Beat(u64), "b"
}
number! {
    /// The number of a question to another replica, for state or for a read index: an answer to an older one is recognised.
    FetchId(u64), "f"
}
name128! {
    /// The id of a cluster, random, chosen when it is formatted.
    ClusterId, "cluster:"
}
name128! {
    /// The id of one formatted disk of one replica, random: a replaced disk is another instance.
    Instance, "instance:"
}
name128! {
    /// The id of a client, random, chosen by the client.
    ClientId, "c"
}
name128! {
    /// A 128-bit hash (xxh3): of an entry with everything before it, or of a configuration.
    Hash, "h"
}

/// Which start of which replica a recovery question belongs to: answers to any other are refused (VRR §4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Nonce {
    /// The incarnation that asks.
    pub incarnation: Incarnation,
    /// The episode within it.
    pub counter: u64,
}

/// A moment on one replica's own clock, in nanoseconds since some fixed origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Time(pub u64);

/// A duration, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Wait(pub u64);

impl Time {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// The moment `wait` later; the end of time when that does not fit.
    #[must_use]
    pub const fn after(self, wait: Wait) -> Self {
        Self(self.0.saturating_add(wait.0))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Wait {
        Wait(self.0.saturating_sub(earlier.0))
    }
}

impl Wait {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many milliseconds.
    #[must_use]
    pub const fn millis(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// So many microseconds.
    #[must_use]
    pub const fn micros(us: u64) -> Self {
        Self(us * 1_000)
    }

    /// This, so many times over; the longest wait there is when that does not fit.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}ms", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}ms", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl Op {
    /// How many ops lie after `self` up to and including `last`; zero when `last` is not later.
    #[must_use]
    pub const fn distance_to(self, last: Self) -> u64 {
        last.0.saturating_sub(self.0)
    }

    /// The op so many later.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

/// A count as an index. Every target this runs on addresses at least 2³² of anything we count.
pub(crate) fn index(count: u64) -> usize {
    usize::try_from(count).expect("counts of things in memory fit an address")
}

/// An index as a count.
pub(crate) fn count(index: usize) -> u64 {
    u64::try_from(index).expect("an address has at most 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_view_of_an_earlier_epoch_is_earlier_whatever_its_number() {
        let (old, new) = (View(7), View::first_of(Epoch(1)));
        assert!(old < new && View::before(Epoch(1)) < new && old < View::before(Epoch(1)));
        assert_eq!((new.epoch(), new.number(), new.next().number()), (Epoch(1), 0, 1));
        assert_eq!((View::before(Epoch(1)).next(), new.previous()), (View::before(Epoch(1)), new));
        assert_eq!((format!("{old} {old:?}"), format!("{new} {new:?}")), ("7 v7".into(), "e1·v0 e1·v0".into()));
    }

    #[test]
    fn waits_are_counted_in_nanoseconds() {
        assert_eq!((Wait::micros(7).0, Wait::millis(7).0), (7_000, 7_000_000));
    }
}
