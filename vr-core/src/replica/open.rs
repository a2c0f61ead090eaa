//! What a replica finds when it is opened: why it is not, and what its disk says of the life before.
//!
//! Owns the refusals and the reading of [`Stored`]. Must not know what a replica becomes of it. Paper: VRR §4.3;
//! PROTOCOL §6 "Restart paths".

use crate::config::ConfigError;
use crate::id::Incarnation;
use crate::stored::{Damage, Stored};
use core::fmt;

/// Why a replica cannot be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration is invalid.
    Config(ConfigError),
    /// The disk belongs to another cluster, another configuration or another replica.
    ForeignDisk,
    /// The log on the disk goes on from a checkpoint that is not there, or cannot be read, or that is another one.
    NoCheckpoint,
    /// The disk is of a later epoch than the checkpoint that it holds: the one with its group is not there.
    NoGroup,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "invalid configuration: {error}"),
            Self::ForeignDisk => f.write_str("this disk was formatted for another cluster, configuration or replica"),
            Self::NoGroup => f.write_str("this disk is of a later epoch than the checkpoint that it holds"),
            Self::NoCheckpoint => f.write_str("the log on this disk does not go on from the checkpoint that it holds"),
        }
    }
}

impl core::error::Error for OpenError {}

/// What a disk says of the life before.
#[derive(Clone)]
pub(super) struct Found {
    /// There was none.
    pub(super) virgin: bool,
    pub(super) damage: Option<Damage>,
    /// It ended in an orderly stop.
    pub(super) clean: bool,
}

impl Found {
    pub(super) fn on(stored: &Stored) -> Self {
        Self { virgin: stored.incarnation == Incarnation::ZERO, damage: stored.damage.clone(), clean: stored.clean }
    }
}
