//! What this replica promised to the primary that it follows: to report for no later view for a while.
//!
//! Owns the one promise that counts, and when it ends. Must not know what a report is. Paper: VRR §6.3; PROTOCOL 1.8.
//!
//! Why one is enough. A view begins with reports of a quorum, one of which is of somebody who promised, or of the primary
//! itself, who counts on nothing once it has left its view. So when a view has begun, no lease of an earlier one is held any
//! more: whoever follows the primary of a view owes nothing to those before. For the same reason whoever hears its primary in a
//! later view owes it nothing: that one has left. A hand-over waits for no lease.

use crate::id::{ReplicaId, Time, View, Wait};
use crate::rules::Rules;
use serde::{Deserialize, Serialize};

/// The promise that counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Grants {
    /// For how long promises are made; zero where there are no leases.
    length: Wait,
    /// Nothing is reported before.
    until: Time,
    /// One was made at this moment, or later: nobody has looked at the clock since.
    made: Time,
    is_open: bool,
    /// To the primary of which view. What an earlier life promised was to nobody knows whom.
    to: Option<(View, ReplicaId)>,
}

impl Grants {
    /// At the beginning of a life. `owes`: an earlier one may have promised something right before.
    pub(super) fn new(length: Wait, owes: bool, now: Time) -> Self {
        let until = if owes { now.after(length) } else { Time::ZERO };
        Self { length, until, made: Time::ZERO, is_open: false, to: None }
    }

    /// A heartbeat is answered. `later`: the promise is measured from the next look at the clock.
    pub(super) fn grant(&mut self, view: View, to: ReplicaId, now: Time, later: bool) {
        if self.length == Wait::ZERO {
            return;
        }
        (self.to, self.made) = (Some((view, to)), now);
        if later {
            self.is_open = true;
        } else {
            self.until = self.until.max(now.after(self.length));
        }
    }

    /// The driver looked at the clock.
    #[inline]
    pub(super) fn look(&mut self, now: Time) {
        if self.is_open && now > self.made {
            self.is_open = false;
            self.until = self.until.max(now.after(self.length));
        }
    }

    /// The driver has to look at the clock then, whatever else happens: a promise that nobody measures has no end.
    #[inline]
    pub(super) fn due(&self) -> Option<Time> {
        self.is_open.then(|| self.made.after(Wait(1)))
    }

    /// Somebody is in this view. Has the one to whom something was promised left its own?
    #[inline]
    pub(super) fn hear(&mut self, rules: Rules, from: ReplicaId, view: View) {
        if self.to.is_some_and(|(of, to)| rules.releases(to == from, of, view)) {
            *self = Self::new(self.length, false, Time::ZERO);
        }
    }

    /// Is there a promise to keep?
    pub(super) fn stand(&self, now: Time) -> bool {
        self.is_open || now < self.until
    }

    /// When it ends, if that is known and before this moment.
    pub(super) fn end_before(&self, now: Time, moment: Time) -> Option<Time> {
        Some(self.until).filter(|until| *until > now && *until < moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const L: Wait = Wait(100);

    #[test]
    fn a_promise_is_measured_from_the_next_look_at_the_clock() {
        let mut grants = Grants::new(L, false, Time(5));
        assert!(!grants.stand(Time(5)));
        grants.grant(View(1), ReplicaId(1), Time(10), true);
        assert_eq!(grants.due(), Some(Time(11)));
        grants.look(Time(10));
        assert!(grants.stand(Time(1000)), "nobody knows since when");
        grants.look(Time(30));
        assert!(grants.stand(Time(129)) && !grants.stand(Time(130)) && grants.due().is_none());
        assert_eq!(grants.end_before(Time(40), Time(131)), Some(Time(130)));
        assert_eq!((grants.end_before(Time(40), Time(130)), grants.end_before(Time(130), Time(200))), (None, None));
    }

    #[test]
    fn only_the_one_to_whom_it_was_made_releases_from_it_by_leaving_its_view() {
        let mut grants = Grants::new(L, true, Time(5));
        grants.hear(Rules::default(), ReplicaId(1), View(9));
        assert!(grants.stand(Time(104)) && !grants.stand(Time(105)), "made in an earlier life");
        grants.grant(View(1), ReplicaId(1), Time(10), true);
        grants.hear(Rules::default(), ReplicaId(1), View(1));
        grants.hear(Rules::default(), ReplicaId(2), View(2));
        assert!(grants.stand(Time(1000)));
        grants.hear(Rules::default(), ReplicaId(1), View(2));
        assert!(!grants.stand(Time(11)) && grants.due().is_none());
    }

    #[test]
    fn without_leases_nothing_is_promised() {
        let mut grants = Grants::new(Wait::ZERO, true, Time(5));
        grants.grant(View(1), ReplicaId(1), Time(10), true);
        assert!(!grants.stand(Time(5)) && grants.due().is_none());
    }
}
