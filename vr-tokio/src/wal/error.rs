//! Why a log is not opened, and what was found while opening one: always with file, offset and what to do.
//!
//! Owns the words. Must not know how any of it is found out.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A log that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} at byte {offset}: {what}. {}", file.display(), kind.remedy())]
pub struct WalError {
    /// Which file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// Of what kind.
    pub kind: WalErrorKind,
    /// What is wrong.
    pub what: String,
    /// What the operating system said.
    pub source: Option<io::Error>,
}

/// The kinds of trouble, by what the operator has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WalErrorKind {
    /// There is nothing here.
    NotFormatted,
    /// There is something here already.
    NotEmpty,
    /// Another process uses it.
    Locked,
    /// It belongs to another cluster or replica, or to another configuration.
    Foreign,
    /// It is of a version that this program does not know.
    Version,
    /// The promises of this replica cannot be read for sure: it must not take part.
    Promises,
    /// A file that is needed is gone.
    Missing,
    /// The content contradicts itself although every sum holds.
    Inconsistent,
    /// The operating system refused.
    Io,
}

impl WalErrorKind {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NotFormatted => {
                "If this replica is new, format the directory once; if it had a disk, find that disk: an empty one \
                 must not take its place"
            }
            Self::NotEmpty => "Name another directory, or empty this one if nothing in it is needed",
            Self::Locked => "Stop the other process first",
            Self::Foreign => "Check the directory and the configuration file against each other",
            Self::Version => "Use the version of the program that wrote it",
            Self::Promises | Self::Missing | Self::Inconsistent => {
                "Keep a copy of the directory; restore it from one that was taken while the replica was stopped and \
                 has not run since, or replace this member"
            }
            Self::Io => "See to the disk, then start again",
        }
    }
}

/// Something about the files that an operator should know; the log was opened all the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Which file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What kind of thing.
    pub kind: FindingKind,
    /// What it is.
    pub what: String,
}

/// The kinds of things that are found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// What a crash left of writes that were never confirmed. It was removed.
    Torn,
    /// What was confirmed and does not check any more. It is kept.
    Rot,
    /// A copy did not check, and the other one served.
    Copy,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, kind, what } = self;
        write!(f, "{} at byte {offset}: {kind:?}: {what}", file.display())
    }
}
