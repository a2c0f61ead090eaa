//! Whose disk is full writes no entries, only what there is a reserve for: S25.
//!
//! Owns who was told that its disk is full. Must not know how a driver measures it. DESIGN 9.11.

use super::Violation;
use super::shadow::Shadow;
use vr_core::{Entries, Stored, Write};

const S25: &str = "S25 room on disk";

#[derive(Clone, Debug)]
pub(super) struct Space {
    /// By position, in this life.
    full: Vec<bool>,
}

impl Space {
    pub(super) fn new(replicas: usize) -> Self {
        Self { full: vec![false; replicas] }
    }

    /// A life begins: it supposes that there is room until it is told otherwise.
    pub(super) fn opened(&mut self, who: usize) {
        self.full[who] = false;
    }

    pub(super) fn told(&mut self, who: usize, has: bool) {
        self.full[who] = !has;
    }

    pub(super) fn writes(&self, shadow: &Shadow, who: usize, write: &Write) -> Result<(), Violation> {
        let entries = Stored::entries_of(write).map_or(0, Entries::len);
        let needs_room = entries > 0 || matches!(write, Write::Checkpoint(_));
        if !self.full[who] || !needs_room {
            return Ok(());
        }
        let id = shadow.id(who);
        let what = if entries > 0 { format!("{entries} entries") } else { "a checkpoint".to_owned() };
        let message = format!("{id:?} writes {what} although it was told that its disk is full");
        Err(Violation::safety(S25, message, &[id], &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::stage::{Stage, broken, chain, origin};
    use vr_core::{Durability, Input, View};

    #[test]
    fn entries_on_a_full_disk_are_caught_and_promises_are_not() {
        let mut stage = Stage::new(3, Durability::Sync);
        stage.step(0, Input::Space(false), &[]).expect("no property of a replica");
        assert_eq!(broken(stage.writes(0, Write::View(View(0)))), "nothing");
        let entries = chain(origin(), View(0), 1..=2);
        stage.step(0, Input::Space(true), &[]).expect("no property of a replica");
        assert_eq!(broken(stage.appends(0, &entries.take(1))), "nothing");
        stage.step(0, Input::Space(false), &[]).expect("no property of a replica");
        assert_eq!(broken(stage.appends(0, &entries.skip(1))), S25);
    }
}
