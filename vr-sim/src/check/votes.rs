//! A view is left because a quorum wants to leave it now, not because each of them wanted to once: L5 fresh votes.
//!
//! Owns when which vote arrived, on the clock of whom it reached. How long a vote counts it is told; it judges nothing until
//! then. Must not know why anybody votes. VRR §4.2 step 1; PROTOCOL D25, D29; DESIGN §10.
//!
//! What is judged is necessary, not sufficient: for a view that is left by votes, votes of q − 1 others must have arrived
//! lately, each from somebody who heard the one that leaves. Whether one of them was taken back since is not asked: the
//! taking back may have been overtaken.

use super::Violation;
use super::shadow::{Shadow, Standing};
use vr_core::{Body, Message, Time, View, Wait};

const L5: &str = "L5 fresh votes";

#[derive(Clone, Debug)]
pub(super) struct Votes {
    /// How long a vote counts; `None` when nobody said.
    counts_for: Option<Wait>,
    /// By position, then by voter: for leaving which view, and when it came.
    came: Vec<Option<(View, Time)>>,
    /// By position: the time of the step.
    now: Vec<Time>,
}

impl Votes {
    pub(super) fn new(replicas: usize) -> Self {
        Self { counts_for: None, came: vec![None; replicas * replicas], now: vec![Time::ZERO; replicas] }
    }

    pub(super) const fn count_for(&mut self, wait: Wait) {
        self.counts_for = Some(wait);
    }

    /// A life begins, with no votes.
    pub(super) fn opened(&mut self, who: usize) {
        let replicas = self.now.len();
        self.came[who * replicas..][..replicas].fill(None);
        self.now[who] = Time::ZERO;
    }

    /// Something happens to a replica, at a moment of its own clock.
    pub(super) fn steps(&mut self, who: usize, at: Time) {
        self.now[who] = self.now[who].max(at);
    }

    pub(super) fn hears(&mut self, shadow: &Shadow, who: usize, message: &Message) {
        let Body::StartViewChange { want, hears } = &message.body else { return };
        if shadow.replicas[who].standing == Standing::Recovering {
            return; // It takes no votes: none of them is older than what it takes later.
        }
        let Some(from) = shadow.place(message.header.from) else { return };
        let (of, place) = (message.header.view, who * self.now.len() + from);
        // What was held for long takes nothing back.
        let is_news = self.came[place].is_none_or(|(before, _)| of >= before);
        if *want && is_news && shadow.position(who, of).is_some_and(|me| hears.contains(me)) {
            self.came[place] = Some((of, self.now[who]));
        }
    }

    /// A replica goes on to `view`, by votes, it says.
    pub(super) fn enters(&self, shadow: &Shadow, who: usize, view: View) -> Result<(), Violation> {
        let Some(counts_for) = self.counts_for else { return Ok(()) };
        let (replicas, now) = (self.now.len(), self.now[who]);
        let came = self.came[who * replicas..][..replicas].iter().enumerate().filter(|(from, _)| *from != who);
        let votes = came.filter_map(|(_, vote)| *vote).filter(|(of, _)| of.next() == view);
        let (fresh, old): (Vec<_>, Vec<_>) = votes.partition(|(_, at)| now.since(*at) <= counts_for);
        let quorum = shadow.quorum(view);
        if fresh.len() + 1 >= quorum {
            return Ok(());
        }
        let (id, fresh, old) = (shadow.id(who), fresh.len(), old.len());
        let message = format!(
            "{id:?} leaves for view {view} with fresh votes of {fresh} others, and {old} votes that are older than \
             {counts_for:?}; {} are needed",
            quorum - 1
        );
        Err(Violation::liveness(L5, message, &[id]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::stage::{Stage, broken};
    use vr_core::{Action, Durability, EnterCause, Input, Note, Position, ReplicaSet};

    const COUNTS_FOR: Wait = Wait(5_000);

    fn stage() -> Stage {
        let mut stage = Stage::new(5, Durability::Sync);
        stage.checkers = stage.checkers.counting_votes_for(COUNTS_FOR);
        stage
    }

    fn vote(stage: &mut Stage, from: usize, heard: usize) {
        let hears = ReplicaSet::of(Position::new(heard).expect("small"));
        let said = stage.message(from, View(0), Body::StartViewChange { want: true, hears });
        let Action::Send { message, .. } = said else { panic!("it is sent") };
        assert_eq!(broken(stage.step(1, Input::Message(message), &[])), "nothing");
    }

    fn leaves(stage: &mut Stage) -> &'static str {
        let write = stage.write(1, vr_core::Write::View(View(1)));
        let note = Note::EnteredView { view: View(1), cause: EnterCause::Quorum };
        broken(stage.acts(1, &[write, Action::Note(note)]))
    }

    #[test]
    fn a_view_is_left_with_fresh_votes_of_a_quorum_and_not_with_old_ones() {
        let mut stage = stage();
        vote(&mut stage, 2, 1);
        let mut alone = stage.clone();
        vote(&mut stage, 3, 1);
        let mut later = stage.clone();
        assert_eq!(leaves(&mut stage), "nothing");
        assert_eq!(leaves(&mut alone), L5, "one other is no quorum of five");
        for _ in 0..6 {
            later.acts(1, &[]).expect("time passes");
        }
        assert_eq!(leaves(&mut later), L5);
    }

    #[test]
    fn who_does_not_hear_the_leaver_has_no_vote() {
        let mut stage = stage();
        vote(&mut stage, 2, 1);
        vote(&mut stage, 3, 4);
        assert_eq!(leaves(&mut stage), L5);
    }
}
