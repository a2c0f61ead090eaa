//! Long files that have no name any more, closed on a thread of their own: their space is given back then.
//!
//! Owns that thread, and how much is given back at a time: where the file system tells the disk what is free (`discard`), the
//! space of a checkpoint takes a second, and a log that gives one up would not be synced meanwhile. Must not know which files
//! those are.

use crate::behind;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

/// Shorter files are closed where they are removed.
const LONG_BYTES: u64 = 1 << 20;
/// So much is given back at a time: who waits for the disk waits for no more.
const STEP_BYTES: u64 = 16 << 20;

/// A file that is long, before its name goes.
pub(super) fn open_long(path: &Path) -> Option<File> {
    let file = OpenOptions::new().write(true).open(path).ok()?;
    file.metadata().is_ok_and(|known| known.len() >= LONG_BYTES).then_some(file)
}

/// Closes it, by and by.
pub(super) fn close(file: File) {
    static TO: Mutex<Option<Sender<File>>> = Mutex::new(None);
    let mut to = TO.lock().unwrap_or_else(PoisonError::into_inner);
    if to.is_none() {
        let (way, from) = channel();
        let run = move || from.into_iter().for_each(|file| give_back(&file));
        // Without a thread it is closed here, as is what nobody takes.
        *to = behind::spawn("vr-closing", run).ok().map(|()| way);
    }
    if let Some(to) = &*to {
        let _ = to.send(file);
    }
}

/// The space of a file without a name, in steps. Of one that has another name all of it stays.
fn give_back(file: &File) {
    let Ok(known) = file.metadata() else { return };
    let mut left = if known.nlink() == 0 { known.len() } else { 0 };
    while left > 0 {
        left = left.saturating_sub(STEP_BYTES);
        if file.set_len(left).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_removed_file_gives_its_space_back_and_one_with_another_name_keeps_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let [path, other] = ["one", "other"].map(|name| dir.path().join(name));
        for (bytes, is_kept) in [(LONG_BYTES - 1, false), (3 * STEP_BYTES + 1, false), (3 * STEP_BYTES + 1, true)] {
            File::create(&path).and_then(|file| file.set_len(bytes)).expect("made");
            if is_kept {
                fs::hard_link(&path, &other).expect("another name");
            }
            let long = open_long(&path);
            assert_eq!(long.is_some(), bytes >= LONG_BYTES);
            fs::remove_file(&path).expect("removed");
            let Some(long) = long else { continue };
            give_back(&long);
            assert_eq!(long.metadata().expect("known").len(), if is_kept { bytes } else { 0 });
        }
    }
}
