//! What a recording may take: the key `record` or the section `[record]` of the file.
//!
//! Owns the two spellings, the default and the bounds that follow from one number. Must not know what is recorded.

use serde::Deserialize;
use std::path::PathBuf;

/// Recordings of everything that happens to the replica, for the simulator's checkers. They hold clients' data.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(from = "Spelling")]
pub struct RecordConfig {
    /// Where they are, of any number of nodes. Relative paths are relative to the file.
    pub dir: PathBuf,
    /// So many bytes of them are kept for this node, its earlier lives included; the oldest are given up.
    pub max_bytes: u64,
}

/// 256 MiB.
const MAX_BYTES: u64 = 256 << 20;
/// 1 MiB: with less there is room for little more than a state.
const MAX_BYTES_LEAST: u64 = 1 << 20;

/// As the file has it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`record` is a directory, or a section [record] with dir and perhaps max_bytes")]
enum Spelling {
    Dir(PathBuf),
    Section(Section),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    dir: PathBuf,
    #[serde(default = "max_bytes")]
    max_bytes: u64,
}

const fn max_bytes() -> u64 {
    MAX_BYTES
}

impl From<Spelling> for RecordConfig {
    fn from(spelling: Spelling) -> Self {
        match spelling {
            Spelling::Dir(dir) => Self::new(dir),
            Spelling::Section(Section { dir, max_bytes }) => Self { dir, max_bytes },
        }
    }
}

impl RecordConfig {
    /// In this directory, 256 MiB at most.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), max_bytes: MAX_BYTES }
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.max_bytes < MAX_BYTES_LEAST {
            return Err(format!("[record] max_bytes must be at least {MAX_BYTES_LEAST}"));
        }
        Ok(())
    }

    pub(super) const fn bounds(&self) -> Bounds {
        Bounds { all: self.max_bytes }
    }
}

/// How large anything may be so that everything together stays within what was asked for.
///
/// With `s` for the state a file begins with, `s ≤ all/4`, a file is full `max(s, all/8)` bytes later, and may grow by
/// twice the slack `all/16` while the next one is begun: at most 5/8 of all. Beside it there is at any time the state of
/// the next one, 1/4, and what waits to go behind it, 1/16. What else there is, is deleted before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    all: u64,
}

/// The largest state that is read back: see `vr_core::wire::unpack`.
const STATE_MAX: u64 = 512 << 20;

impl Bounds {
    pub(super) const fn all(self) -> u64 {
        self.all
    }

    /// A larger state is not recorded.
    pub(super) fn state(self) -> u64 {
        (self.all / 4).min(STATE_MAX)
    }

    /// What may wait for a file to be begun.
    pub(super) const fn slack(self) -> u64 {
        self.all / 16
    }

    /// A file that begins with so large a state is full at this size.
    pub(super) fn full(self, state: u64) -> u64 {
        state + state.max(self.all / 8)
    }

    /// And never larger than this.
    pub(super) fn cap(self, state: u64) -> u64 {
        self.full(state) + 2 * self.slack()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        record: RecordConfig,
    }

    fn read(text: &str) -> Result<RecordConfig, String> {
        toml::from_str::<File>(text).map(|file| file.record).map_err(|error| error.to_string())
    }

    #[test]
    fn a_directory_is_enough_and_a_section_may_say_how_much() {
        assert_eq!(read("record = \"here\""), Ok(RecordConfig::new("here")));
        let small = RecordConfig { max_bytes: 5, ..RecordConfig::new("here") };
        assert_eq!(read("[record]\ndir = \"here\"\nmax_bytes = 5"), Ok(small.clone()));
        assert_eq!(read("[record]\ndir = \"here\""), Ok(RecordConfig::new("here")));
        assert!(small.validate().is_err() && RecordConfig::new("here").validate().is_ok());
        assert!(read("[record]\nmax_bytes = 5").is_err());
        assert!(read("[record]\ndir = \"here\"\nmax = 5").is_err());
    }

    #[test]
    fn what_may_be_there_at_a_time_is_no_more_than_was_asked_for() {
        for all in [MAX_BYTES_LEAST, 3 << 20, MAX_BYTES, 1 << 40] {
            let bounds = Bounds { all };
            for state in [0, bounds.state() / 2, bounds.state()] {
                assert!(bounds.cap(state) + bounds.state() + bounds.slack() <= all, "{all} {state}");
            }
        }
    }
}
