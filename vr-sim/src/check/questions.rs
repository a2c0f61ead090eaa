//! Whoever is not answered asks somebody else: L2 asks another.
//!
//! Owns whom each replica asked for state last, and how often in a row in vain. Must not know what is asked for, nor when it
//! is asked again. VRR §5.2; PROTOCOL D39.
//!
//! What is judged is a question that nobody answers: whatever state arrives, and whatever changes for the asker, its view or
//! the room on its disk, begins the count anew. In a group of two there is nobody else.

use super::Violation;
use super::shadow::Shadow;
use vr_core::{Body, Head, Message, ReplicaId, To, View};

const L2: &str = "L2 asks another";

/// A question, its repetition by the way round the others, and the same once more after a message that brought nothing.
const MOST: u32 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Asked {
    of: ReplicaId,
    view: View,
    /// The log that is wanted; another one is another question.
    want: Option<Head>,
    times: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Questions(Vec<Option<Asked>>);

impl Questions {
    pub(super) fn new(replicas: usize) -> Self {
        Self(vec![None; replicas])
    }

    /// A life begins, or the asker's disk is full, or has room again.
    pub(super) fn begins_anew(&mut self, who: usize) {
        self.0[who] = None;
    }

    pub(super) fn hears(&mut self, who: usize, message: &Message) {
        if matches!(message.body, Body::NewState(_) | Body::CheckpointPart(_)) {
            self.0[who] = None;
        }
    }

    pub(super) fn sends(&mut self, shadow: &Shadow, who: usize, to: To, message: &Message) -> Result<(), Violation> {
        let (Body::GetState(question), To::One(of)) = (&message.body, to) else { return Ok(()) };
        if shadow.group(message.header.view).members().len() < 3 {
            return Ok(());
        }
        let (view, want) = (message.header.view, question.want);
        let before = self.0[who].filter(|asked| (asked.of, asked.view, asked.want) == (of, view, want));
        let times = before.map_or(0, |asked| asked.times) + 1;
        self.0[who] = Some(Asked { of, view, want, times });
        if times <= MOST {
            return Ok(());
        }
        let id = shadow.id(who);
        let message =
            format!("{id:?} asks {of:?} for state {times} times in a row, is not answered, and asks nobody else");
        Err(Violation::liveness(L2, message, &[id, of]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::stage::{Stage, Verdict, broken, origin};
    use vr_core::{Action, Durability, FetchId, GetState, Input, NewState, Op, Tail};

    fn asks(stage: &mut Stage, of: u16) -> Verdict {
        let question = GetState { id: FetchId::ZERO, have: vec![origin()], want: None };
        let said = stage.message(1, View(0), Body::GetState(Box::new(question)));
        let Action::Send { message, .. } = said else { panic!("it is sent") };
        stage.acts(1, &[Action::Send { to: To::One(ReplicaId(of)), message }])
    }

    fn asks_often(stage: &mut Stage, of: &[u16]) -> &'static str {
        broken(of.iter().try_for_each(|of| asks(stage, *of)))
    }

    #[test]
    fn who_asks_the_same_again_and_again_in_vain_is_caught() {
        let stage = || Stage::new(3, Durability::Sync);
        assert_eq!(asks_often(&mut stage(), &[0, 0, 0]), "nothing");
        assert_eq!(asks_often(&mut stage(), &[0, 0, 0, 0]), L2);
        assert_eq!(asks_often(&mut stage(), &[0, 0, 2, 0, 0, 2, 0, 0]), "nothing");
        assert_eq!(asks_often(&mut Stage::new(2, Durability::Sync), &[0; 9]), "nothing", "there is nobody else");
    }

    #[test]
    fn an_answer_and_a_new_life_begin_the_count_anew() {
        let mut stage = Stage::new(3, Durability::Sync);
        assert_eq!(asks_often(&mut stage, &[0, 0, 0]), "nothing");
        let tail = Tail { base: origin(), entries: vr_core::Entries::empty(), head: origin() };
        let page = NewState { id: FetchId::ZERO, commit: Op(0), tail };
        let answer = stage.message(0, View(0), Body::NewState(Box::new(page)));
        let Action::Send { message, .. } = answer else { panic!("it is sent") };
        assert_eq!(broken(stage.step(1, Input::Message(message), &[])), "nothing");
        assert_eq!(asks_often(&mut stage, &[0, 0, 0]), "nothing");
        stage.crash(1).and_then(|()| stage.open(1)).expect("legal");
        assert_eq!(asks_often(&mut stage, &[0, 0, 0]), "nothing");
        assert_eq!(asks_often(&mut stage, &[0]), L2);
    }
}
