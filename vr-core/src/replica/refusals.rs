//! Clients are told no: whoever asked for what, and why not.
//!
//! Owns the forms of a refusal, and when a question is one too many. Must not know statuses. Paper: VRR §4.1, §6.3.

use super::common::{Common, Out};
use crate::action::{Action, Reject, Rejection};
use crate::entry::{Query, Request};
use crate::id::{Session, count};
use alloc::boxed::Box;

impl Common {
    pub(super) fn reject(&self, out: &mut Out, request: &Request, reason: Reject) {
        let Request { client, session, number, .. } = *request;
        out.push(Action::Reject(Box::new(Rejection { client, session, number, reason })));
    }

    /// Says no to a question.
    pub(super) fn refuse(&self, out: &mut Out, query: &Query, reason: Reject) {
        let Query { client, number, .. } = *query;
        out.push(Action::Reject(Box::new(Rejection { client, session: Session::ZERO, number, reason })));
    }

    /// Is a question too long, or one too many where so many wait?
    pub(super) fn too_much(&self, query: &Query, waiting: usize) -> Option<Reject> {
        if count(query.body.len()) > u64::from(self.config.cluster.max_request_bytes) {
            return Some(Reject::TooLarge);
        }
        (count(waiting) >= u64::from(self.config.batching.queue_entries)).then_some(Reject::Busy)
    }

    /// The hint for a client that came to the wrong replica (PROTOCOL D27).
    pub(super) fn not_primary(&self, certain: bool) -> Reject {
        let view = self.rules.view_for_clients(self.normal_view, self.view());
        let primary = (certain && view.epoch() == self.group.epoch()).then(|| self.group.primary(view));
        Reject::NotPrimary { primary, view }
    }
}
