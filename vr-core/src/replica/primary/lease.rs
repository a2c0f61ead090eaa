//! The lease of the primary: until when a quorum has promised to begin no later view.
//!
//! Owns that moment, and the reads that are answered before it without a heartbeat of their own. It is gone with the view. Must
//! not know what a backup does about its promise, nor clocks but its own. Paper: VRR §6.3; PROTOCOL 1.8, D83, D85, D87.
//!
//! Why it is enough. As long as the lease is held no later view has begun, so that nobody else has committed anything since
//! ours began, and what we have committed is all there is. The moment that counts is the one at which a question goes to the
//! service: it came before. What this replica takes for now may be older than that by any time for which its process stood
//! still; so the service reads first, then its driver looks at the clock, and only what it finds before the deadline is an
//! answer: the lease was held all the time from the step to that look. It stays one when this replica leaves its view right
//! after: nobody could begin another one before it had left.

use super::super::common::{Common, Out};
use super::{Member, Primary};
use crate::action::Action;
use crate::entry::Query;
use crate::id::Time;
use alloc::vec;

impl Primary {
    /// A heartbeat was answered: the q-th newest that was, our own counted as answered at once, is what a quorum has promised by.
    pub(super) fn renew_lease(&mut self, common: &Common) {
        let Some(lease) = common.config.cluster.lease else { return };
        let others = || self.members.iter().enumerate().filter(|(at, _)| *at != common.me.index());
        let promised = |sent: Time| others().filter(|(_, other)| other.promised >= sent).count() + 1;
        let newest = others().map(|(_, Member { promised, .. })| *promised);
        // Zero is of those who have answered nothing.
        let by_quorum = newest.filter(|sent| *sent > Time::ZERO && promised(*sent) >= common.quorum).max();
        if let Some(sent) = by_quorum {
            self.leased = self.leased.max(sent.after(common.rules.lease_span(lease)));
        }
    }

    /// Answers a question under the lease, if it is held, and nothing has to be waited for.
    pub(super) fn answers_under_lease(&self, common: &Common, out: &mut Out, query: &Query) -> bool {
        let index = common.rules.read_index(common.commit(), self.view_start);
        let is_held = common.now < self.leased && index <= common.execution.issued();
        if !is_held || common.rules.lease_ends(|| super::reads::ends_by(common, common.log.op())) {
            return false;
        }
        out.push(Action::ReadBefore { deadline: self.leased, queries: vec![query.clone()] });
        true
    }
}
