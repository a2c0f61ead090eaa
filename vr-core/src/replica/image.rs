//! A replica as bytes: for a recording that begins in the middle of a life.
//!
//! Owns what is checked when it is read back. Must not know who keeps it. Paper: none; DESIGN §5.
//!
//! The bytes are whatever serde and bincode make of the fields, so that only the same version of this crate reads them, built
//! with the same features. They come from a file that anybody can have written, with a checksum that anybody can compute:
//! what is read is refused when it is not one replica, but it is not proved to be a state that a run leads to. Whoever
//! steps it guards against a panic, as against one of a forged event.

use super::{Replica, Status, StatusName, invariants};
use crate::config::ConfigError;
use crate::opening::Midway;
use crate::wire::{self, WireError};
use alloc::vec::Vec;
use core::fmt;

/// Why bytes are no image of a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ImageError {
    /// They do not decode.
    Unreadable(WireError),
    /// The configuration in them is invalid.
    Config(ConfigError),
    /// What they decode to is not one replica: what says this?
    Inconsistent(&'static str),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "the state of a replica cannot be read: {error}"),
            Self::Config(error) => write!(f, "the state of a replica holds an invalid configuration: {error}"),
            Self::Inconsistent(what) => write!(f, "the state of a replica contradicts itself: {what}"),
        }
    }
}

impl core::error::Error for ImageError {}

impl Replica {
    /// Everything it is, as bytes, but for those of the service's state in its checkpoints (see [`crate::recording`]); planted
    /// bugs are not part of it. Equal replicas, equal images.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        let mut lean = self.clone();
        let lengths = lean.common.shelf.take_states();
        wire::pack(&(lengths, lean))
    }

    /// The replica with this image: it acts from here on as the other one did, but that parts of the checkpoints that it has now
    /// hold zeros for the service's state. It is for a repetition, not for a service.
    ///
    /// # Errors
    /// When the bytes are no image, or of something that no replica is.
    pub fn of_image(image: &[u8]) -> Result<Self, ImageError> {
        let (lengths, mut this): (Vec<u64>, Self) = wire::unpack(image).map_err(ImageError::Unreadable)?;
        this.common.shelf.put_lengths(&lengths);
        if this.image() != image {
            return Err(ImageError::Inconsistent("it is written otherwise"));
        }
        let common = &mut this.common;
        common.rules = common.config.rules;
        common.config.validate().map_err(ImageError::Config)?;
        common.group.take_roles(&common.config.cluster.group());
        common.config.joins = common.config.cluster.position(common.config.me).is_none();
        let cluster = &common.config.cluster;
        let header = common.header();
        if (cluster.digest(), common.config.me) != (header.config, header.from) {
            return Err(ImageError::Inconsistent("configuration and header"));
        }
        let place = common.group.position(common.config.me);
        let (group, is_there) = (&common.group, place.is_none_or(|place| place == common.me));
        if !group.is_sound() || !is_there || common.quorum != group.quorum() {
            return Err(ImageError::Inconsistent("its place in the group"));
        }
        if !common.log.is_one_chain() {
            return Err(ImageError::Inconsistent("its log is no chain"));
        }
        let status = this.snapshot().status;
        let leads = status == StatusName::Primary;
        if !invariants::hold(&this.common, leads, leads || matches!(this.status, Status::Backup(_))) {
            return Err(ImageError::Inconsistent("its variables"));
        }
        Ok(this)
    }

    /// The replica in the middle of a life: it acts from here on as the recorded one did.
    ///
    /// # Errors
    /// As [`Self::of_image`], and when it is not the replica and the life that it is said to be.
    pub fn of_midway(midway: &Midway) -> Result<Self, ImageError> {
        let this = Self::of_image(&midway.image)?;
        let (config, life) = (&this.common.config, this.common.header().incarnation);
        if *config != midway.config || life != midway.life {
            return Err(ImageError::Inconsistent("it is another replica or life than it is said to be"));
        }
        Ok(this)
    }
}

#[cfg(test)]
mod tests;
