//! The flight recorder: everything that happens to the replica, in a file, for the simulator's checkers.
//!
//! Owns the file of one life. What a step said is explained by what is in the file before it: events are handed to the
//! operating system before the actions of their steps are carried out. A recording that cannot be written ends, with
//! a warning; the node goes on. Off unless configured. Must not know what is recorded. `vr_core::recording`.

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use vr_core::{Event, Incarnation, Opening, ReplicaId, recording};

/// The recording of one life of a replica.
#[derive(Debug)]
pub(crate) struct Flight {
    path: PathBuf,
    /// None once it could not be written.
    file: Option<File>,
    buffer: Vec<u8>,
}

impl Flight {
    /// Begins a file of its own for this life, in this directory.
    pub(crate) fn begin(dir: &Path, id: ReplicaId, life: Incarnation, opening: &Opening) -> io::Result<Self> {
        create_dir_all(dir)?;
        let (id, life) = (id.0, life.0);
        let path = dir.join(format!("replica-{id}-life-{life}.vrrec"));
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let mut this = Self { path, file: Some(file), buffer: Vec::new() };
        recording::begin(opening, &mut this.buffer);
        this.flush();
        Ok(this)
    }

    /// Something happens to the replica.
    pub(crate) fn add(&mut self, event: &Event) {
        if self.file.is_some() {
            recording::add(event, &mut self.buffer);
        }
    }

    /// Before anything of it has consequences.
    pub(crate) fn flush(&mut self) {
        let Some(file) = self.file.as_mut().filter(|_| !self.buffer.is_empty()) else { return };
        if let Err(error) = file.write_all(&self.buffer) {
            tracing::warn!(file = %self.path.display(), %error, "the recording ends here: it cannot be written");
            self.file = None;
        }
        self.buffer.clear();
    }
}
