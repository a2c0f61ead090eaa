//! The thread of a recording: begins files with a state, deletes the oldest.
//!
//! Owns names and sizes. What takes long is done here, away from the steps. Must not know events.

use super::options::Bounds;
use bytes::Bytes;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender};
use vr_core::recording::{self, MISSING_BYTES};
use vr_core::{Incarnation, Midway, Replica, ReplicaId};

/// What the keeper is asked for.
pub(super) enum Order {
    /// Begin a file with this state; `midway` lacks its image. Meanwhile the file that is written grows by this much.
    Begin { replica: Box<Replica>, midway: Box<Midway>, grows: u64 },
    /// Give up the oldest until there is so much room.
    Trim { room: u64 },
    /// Nobody writes to this file.
    Discard(PathBuf),
}

/// A file to go on with.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// What stands in it.
    pub(super) state: u64,
}

/// Where the files of one replica are. A name says life and place in it, so that the oldest is known.
#[derive(Debug)]
pub(super) struct Shelf {
    dir: PathBuf,
    id: ReplicaId,
    bounds: Bounds,
    /// The next name.
    life: Incarnation,
    part: u64,
}

const ENDING: &str = ".vrrec";
const UNFINISHED: &str = ".unfinished";

impl Shelf {
    /// For a life; what earlier ones left unfinished is removed.
    pub(super) fn open(dir: &Path, id: ReplicaId, life: Incarnation, bounds: Bounds) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut this = Self { dir: dir.to_owned(), id, bounds, life, part: 0 };
        for item in fs::read_dir(dir)?.filter_map(Result::ok) {
            let name = item.file_name().to_string_lossy().into_owned();
            if name.strip_suffix(UNFINISHED).is_some_and(|name| this.place_of(name).is_some()) {
                let _ = fs::remove_file(item.path());
            }
        }
        // A life that ended before its number was durable had the same one.
        let parts = this.files().into_iter().filter(|file| file.place.0 == life.0);
        this.part = parts.map(|file| file.place.1 + 1).max().unwrap_or(0);
        Ok(this)
    }

    fn next_path(&mut self) -> PathBuf {
        let (id, life, part) = (self.id.0, self.life.0, self.part);
        self.part += 1;
        let part = if part == 0 { String::new() } else { format!("-part-{part}") };
        self.dir.join(format!("replica-{id}-life-{life}{part}{ENDING}"))
    }

    /// Life and part, if it is a file of this replica.
    fn place_of(&self, name: &str) -> Option<(u64, u64)> {
        let rest = name.strip_suffix(ENDING)?.strip_prefix("replica-")?;
        let (id, rest) = rest.split_once("-life-")?;
        let (life, part) = rest.split_once("-part-").unwrap_or((rest, "0"));
        let is_mine = id.parse::<u16>().ok()? == self.id.0;
        is_mine.then(|| Some((life.parse().ok()?, part.parse().ok()?))).flatten()
    }

    /// The oldest first.
    fn files(&self) -> Vec<Kept> {
        let items = fs::read_dir(&self.dir).into_iter().flatten().filter_map(Result::ok);
        let kept = items.filter_map(|item| {
            let place = self.place_of(&item.file_name().to_string_lossy())?;
            Some(Kept { place, path: item.path(), bytes: item.metadata().ok()?.len() })
        });
        let mut files: Vec<_> = kept.collect();
        files.sort_by_key(|file| file.place);
        files
    }

    /// Gives up the oldest, but none of the newest `kept`, until there is so much room beside what stays.
    pub(super) fn trim(&self, room: u64, kept: usize) {
        let files = self.files();
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        for file in &files[..files.len().saturating_sub(kept)] {
            if total.saturating_add(room) <= self.bounds.all() {
                return;
            }
            match fs::remove_file(&file.path) {
                Ok(()) => total = total.saturating_sub(file.bytes),
                Err(error) => tracing::warn!(file = %file.path.display(), %error, "a recording cannot be deleted"),
            }
        }
    }

    /// Begins a file with these bytes, behind the place for what will be missing. It has its name once they are in it.
    pub(super) fn begin(&mut self, state: &[u8]) -> io::Result<Begun> {
        let path = self.next_path();
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(UNFINISHED);
        let mut bytes = Vec::with_capacity(MISSING_BYTES);
        recording::missing(0, &mut bytes);
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&unfinished)?;
            file.write_all(&bytes)?;
            file.write_all(state)?;
            fs::rename(&unfinished, &path)?;
            Ok(file)
        };
        let file = write().inspect_err(|_: &io::Error| {
            let _ = fs::remove_file(&unfinished);
        })?;
        Ok(Begun { file, path, state: size(bytes.len()) + size(state.len()) })
    }

    /// A state that fits; room is made for it.
    fn begin_midway(&mut self, replica: &Replica, mut midway: Midway, grows: u64) -> io::Result<Begun> {
        midway.image = Bytes::from(replica.image());
        let mut state = Vec::with_capacity(midway.image.len() + 1024);
        recording::resume(&midway, &mut state);
        self.check(size(state.len()))?;
        self.trim(size(state.len()) + grows + self.bounds.slack(), 1);
        self.begin(&state)
    }

    /// Is there room for a state of this size at all?
    pub(super) fn check(&self, state: u64) -> io::Result<()> {
        let most = self.bounds.state();
        if state <= most {
            return Ok(());
        }
        let what = format!("the replica's state takes {state} bytes of {most} that [record] max_bytes leaves for it");
        Err(io::Error::other(what))
    }
}

struct Kept {
    place: (u64, u64),
    path: PathBuf,
    bytes: u64,
}

/// Carries out orders until nobody gives any.
pub(super) fn run(mut shelf: Shelf, orders: &Receiver<Order>, begun: &Sender<io::Result<Begun>>) {
    for order in orders {
        match order {
            Order::Begin { replica, midway, grows } => {
                // Who has ended does not wait for it.
                let _ = begun.send(shelf.begin_midway(&replica, *midway, grows));
            }
            Order::Trim { room } => shelf.trim(room, 1),
            Order::Discard(path) => {
                let _ = fs::remove_file(path);
            }
        }
    }
}

pub(super) fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
