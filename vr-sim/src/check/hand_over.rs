//! A primary that is asked to give way leaves nothing behind: L5 orderly hand-over.
//!
//! Owns this one rule. It is about service, not safety: the next view begins with reports, as any. Must not know who asks.

use super::Violation;
use super::shadow::{Shadow, Standing};
use vr_core::View;

const L5: &str = "L5 orderly hand-over";

/// A primary leaves for `view`, which another one leads, because it was asked to give way, it says.
pub(super) fn leaves(shadow: &Shadow, who: usize, view: View) -> Result<(), Violation> {
    let (mirror, other) = (&shadow.replicas[who], &shadow.replicas[shadow.leader(view)]);
    let (id, next, head) = (mirror.id, other.id, mirror.memory.head());
    let broken = |what: String| {
        let message = format!("{id:?} gives way to {next:?} for view {view}, but {what}");
        Err(Violation::liveness(L5, message, &[id, next]))
    };
    if mirror.commit < head.op {
        return broken(format!("its log ends at op {}, and it committed through op {}", head.op, mirror.commit));
    }
    // Whoever went on, crashed or lost something since it acknowledged is excused.
    let follows = other.standing == Standing::Backup && other.memory.log_view == mirror.memory.log_view;
    let forgot = other.is_amnesiac(shadow.sync) || other.went_back;
    if follows && !forgot && !other.retains(head, shadow.sync) {
        return broken(format!("that one does not have op {}", head.op));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::stage::{Stage, broken, chain, origin};
    use vr_core::{Action, Durability, EnterCause, Note, Write};

    fn gives_way(stage: &mut Stage) -> &'static str {
        let write = stage.write(0, Write::View(View(1)));
        let note = Note::EnteredView { view: View(1), cause: EnterCause::HandOver };
        broken(stage.acts(0, &[write, Action::Note(note)]))
    }

    #[test]
    fn a_primary_gives_way_when_all_is_committed_and_the_other_one_has_it() {
        let mut stage = Stage::new(3, Durability::Sync);
        let entries = chain(origin(), View(0), 1..=1);
        assert_eq!(gives_way(&mut stage.clone()), "nothing", "there is nothing to have");
        stage.prepares(0, &[2], &entries).expect("r2 has it, r1 does not");
        assert_eq!(gives_way(&mut stage.clone()), L5, "it is not committed");
        stage.commits(0, 1).expect("a quorum has it");
        assert_eq!(gives_way(&mut stage.clone()), L5, "r1 does not have it");
        stage.appends(1, &entries).expect("it continues the log");
        stage.flush(1).expect("it is on the disk");
        assert_eq!(gives_way(&mut stage), "nothing");
    }
}
