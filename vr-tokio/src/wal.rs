//! The write-ahead log: what makes `vr_core::Stored` survive a crash. Owns files and formats. Must not know the protocol.
//!
//! Opening a log gives the fold of the writes that were durable, as [`vr_core::Stored`] specifies it.
//!
//! # Files
//!
//! | name | what |
//! |---|---|
//! | `lock` | taken by the process that has the log open |
//! | `promises` | incarnation, view, log_view and how far the log was durable: two slots, written in turn |
//! | `log-…` | a segment: a header, twice, then the records, one for each write |
//! | `checkpoint-…` | a checkpoint, by its op |
//! | `spare` | the next segment, allocated ahead |
//!
//! # Torn or rotten
//!
//! A record that does not check was either *torn*: it was being written when the power failed, nobody was told that
//! it is durable, and it is cut away; or it is *rotten*: it was confirmed, and is kept and reported. The rule, for
//! record number n:
//!
//! 1. It is rotten if anything says that it was durable: a later segment exists (one is begun only when everything
//!    before it is durable); or any later record whose head checks, or the promise record, says "durable through m"
//!    with m ≥ n. A record that is missing altogether is judged the same.
//! 2. Otherwise it is rotten if it was written completely: no sector of it (512 bytes) is all zeros, and it does not
//!    end in a zero byte. Files are zeros where they were never written, and no record ends in a zero, so that
//!    no crash leaves such a thing behind. (A disk that tears inside a sector may: then the replica is repaired from
//!    its peers without need.)
//! 3. Otherwise it is torn.
//!
//! The limit: of the newest group of records nothing may say yet that it was durable. Should a whole sector of it be
//! lost, turned to zeros, between the moment it was confirmed and the moment the next group, or the promise
//! record that follows when nothing else comes, is written, it is taken for torn.
//!
//! # Damage
//!
//! What rotted is left where it is. The log goes on in a new segment whose header says so, and what can be read behind
//! the first hole is given as [`vr_core::Damage`], at this start and at every later one, until a repair, a replacement or
//! an installed checkpoint closes it. The end of such a log is certain when a record or a header behind all that is lost
//! names it by its hash, when the entry itself is there, and when no lost record can have begun a view that the promise
//! record does not know; never otherwise, and never again once it was not.

mod ahead;
mod bytes;
mod checkpoints;
mod closing;
mod direct;
mod error;
mod files;
mod fold;
pub(crate) mod forge;
mod inspect;
mod metrics;
mod open;
mod promise;
mod record;
mod scrub;
mod segment;
mod space;
mod stamp;
mod writer;

pub(crate) use self::ahead::{Ahead, Writing};
pub(crate) use self::checkpoints::Reference;
pub use self::error::{Finding, FindingKind, WalError, WalErrorKind};
pub use self::files::{Directory, File, Files};
pub use self::inspect::{Inspection, Record, RecordState, inspect, inspect_in};
pub use self::metrics::Metrics;
pub use self::record::Kind as RecordKind;
pub(crate) use self::scrub::{Healed, Rot, Survey};
pub use self::stamp::{FORMAT_VERSION, Identity};
pub use self::writer::{Opened, Options, Wal};

use std::path::Path;
use std::sync::Arc;
use vr_core::Instance;

impl Wal {
    /// Makes the log of a replica that never ran, in a directory that is empty or not there.
    ///
    /// # Errors
    /// When the directory is not empty, or the disk fails.
    pub fn format(dir: &Path, identity: &Identity, options: &Options) -> Result<Instance, WalError> {
        Self::format_in(&Directory::new(dir), identity, options)
    }

    /// Opens the log in a directory that was formatted.
    ///
    /// # Errors
    /// When it is not sure what was promised, or whose log it is, or the disk fails.
    pub fn open(dir: &Path, identity: &Identity, options: Options) -> Result<Opened, WalError> {
        Self::open_in(Arc::new(Directory::new(dir)), identity, options)
    }
}
