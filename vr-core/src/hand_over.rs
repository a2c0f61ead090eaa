//! Why a primary that an operator asks to give way does not.
//!
//! Owns the reasons, for logs, counters and operators. Must not know how a hand-over goes; that stands in
//! `replica/primary/hand_over.rs`.

use serde::{Deserialize, Serialize};

/// Why a primary does not give way when an operator asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NoHandOver {
    /// This replica does not lead.
    NotPrimary,
    /// There is nobody of that name to give way to: no other member, or one that never leads.
    NoSuchMember,
    /// It does not answer heartbeats.
    Unheard,
    /// It did not get everything in time, or somebody who was taken was not answered in time.
    TooLate,
}

impl core::fmt::Display for NoHandOver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotPrimary => "it does not lead",
            Self::NoSuchMember => "there is no such other member that could lead",
            Self::Unheard => "the other one does not answer heartbeats",
            Self::TooLate => "the other one did not get everything in time",
        })
    }
}
