//! The mark of an orderly stop is left by who was asked to stop, then, and by nobody else: S9 truthful mark.
//!
//! Owns this one rule. In the asynchronous mode a replica that finds the mark has its memory, and counts for what was
//! decided; a mark that a crash may follow makes it vouch for what it lost. Must not know how a process is stopped.
//! PROTOCOL §6 b "Restart paths".

use super::Violation;
use super::shadow::Shadow;
use vr_core::{Action, Write};

const S9: &str = "S9 truthful mark";

/// These happen in a life that was not asked to stop.
pub(super) fn go_on(shadow: &Shadow, who: usize, actions: &[Action]) -> Result<(), Violation> {
    let is_mark = |action: &Action| matches!(action, Action::Persist { write: Write::Clean, .. });
    if !actions.iter().any(is_mark) {
        return Ok(());
    }
    let id = shadow.id(who);
    let message = format!("{id:?} leaves the mark of an orderly stop, and was not asked to stop");
    Err(Violation::safety(S9, message, &[id], &[]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::stage::{Stage, broken};
    use vr_core::{Durability, Input};

    #[test]
    fn only_who_is_asked_to_stop_leaves_the_mark() {
        let mut stage = Stage::new(3, Durability::Async);
        let mut other = stage.clone();
        let mark = stage.write(1, Write::Clean);
        assert_eq!(broken(stage.step(1, Input::Stop, &[mark])), "nothing");
        stage.flush(1).expect("the mark is durable");
        stage.crash(1).expect("it exits");
        assert_eq!(broken(stage.clone().open(1)), "nothing");
        assert_eq!(broken(stage.open_with(1, &[Write::Clean])), S9);
        assert_eq!(broken(other.writes(1, Write::Clean)), S9);
    }
}
