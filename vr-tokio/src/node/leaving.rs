//! A primary that gives way at this node: who waits for it, and whether the node stops afterwards.
//!
//! Owns that and the bound on it. An orderly stop of a primary gives way first, so that the others need not find out by a
//! timeout. Must not know when the replica gives way; what became of it is told by its notes.

use crate::handle::HandOverError;
use tokio::sync::oneshot;
use vr_core::{EnterCause, NoHandOver, Note, StatusName, Time, View};

/// Somebody who waits for the primary to have given way: in which view the other one leads.
pub(super) type Waiter = oneshot::Sender<Result<View, HandOverError>>;

#[derive(Debug, Default)]
pub(super) struct Leaving {
    waiters: Vec<Waiter>,
    /// The node stops once it follows another primary, or then.
    stop_by: Option<Time>,
}

impl Leaving {
    pub(super) fn wait(&mut self, waiter: Waiter) {
        self.waiters.push(waiter);
    }

    /// The node is to stop afterwards, at this time at the latest.
    pub(super) const fn stop_by(&mut self, at: Time) {
        self.stop_by = Some(at);
    }

    pub(super) const fn deadline(&self) -> Option<Time> {
        self.stop_by
    }

    /// Did the replica say what became of it?
    pub(super) fn note(&mut self, note: &Note) {
        if let Note::EnteredView { view, cause: EnterCause::HandOver } = *note {
            self.answer(&Ok(view));
        } else if let Note::NoHandOver { why } = *note {
            self.answer(&Err(HandOverError::Refused(why)));
            // It stops without having given way.
            self.stop_by = self.stop_by.map(|_| Time::ZERO);
        }
    }

    /// The node is so now. Is it time to stop? Said once.
    pub(super) fn is_over(&mut self, status: StatusName, now: Time) -> bool {
        if status != StatusName::Primary {
            // Deposed in another way, if anybody still waits.
            self.answer(&Err(HandOverError::Refused(NoHandOver::NotPrimary)));
        }
        let settled = matches!(status, StatusName::Backup | StatusName::Halted);
        self.stop_by.take_if(|by| settled || *by <= now).is_some()
    }

    /// The node has stopped.
    pub(super) fn fail_all(&mut self) {
        self.answer(&Err(HandOverError::Halted));
    }

    fn answer(&mut self, outcome: &Result<View, HandOverError>) {
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(outcome.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAVE_WAY: Note = Note::EnteredView { view: View(4), cause: EnterCause::HandOver };

    #[test]
    fn whoever_waits_is_told_the_view_or_why_there_is_none() {
        let mut leaving = Leaving::default();
        let ((one, mut first), (two, mut second)) = (oneshot::channel(), oneshot::channel());
        leaving.wait(one);
        leaving.note(&GAVE_WAY);
        assert_eq!(first.try_recv(), Ok(Ok(View(4))));
        leaving.wait(two);
        leaving.note(&Note::NoHandOver { why: NoHandOver::Unheard });
        assert_eq!(second.try_recv(), Ok(Err(HandOverError::Refused(NoHandOver::Unheard))));
        assert!(!leaving.is_over(StatusName::Backup, Time(9)), "nobody asked the node to stop");
    }

    #[test]
    fn a_node_stops_when_it_follows_another_primary_or_cannot_give_way_or_late() {
        let ends = |note: Option<Note>, status, now| {
            let mut leaving = Leaving::default();
            leaving.stop_by(Time(10));
            note.iter().for_each(|note| leaving.note(note));
            leaving.is_over(status, now) && leaving.deadline().is_none()
        };
        assert!(!ends(None, StatusName::Primary, Time(5)));
        assert!(!ends(Some(GAVE_WAY), StatusName::ViewChange, Time(5)));
        assert!(ends(Some(GAVE_WAY), StatusName::Backup, Time(5)));
        assert!(ends(Some(Note::NoHandOver { why: NoHandOver::TooLate }), StatusName::Primary, Time(5)));
        assert!(ends(None, StatusName::ViewChange, Time(10)));
    }
}
