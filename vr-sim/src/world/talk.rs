//! Clients in the world: what they call, when, and what reaches them.
//!
//! Owns their timers, their crashes and the moments of invocation and return. Must not know what a client library
//! does: that is [`crate::client`]. PROTOCOL F11.

use super::{Pending, Phase, World, num};
use crate::check::Happening;
use crate::client::{Asked, Next, Waiting};
use crate::decider::ChoiceKind;
use crate::digest::{Digest, halves};
use crate::workload::App;
use bytes::Bytes;
use vr_core::trace::DropCause;
use vr_core::{Reject, Rejection, Reply, Request, Session, Wait};

/// A client crashes up to so many sixteenths of its patience after it called.
const CRASH_SIXTEENTHS: u32 = 33;

impl<A: App> World<A> {
    pub(super) fn set_client_timer(&mut self, at: usize, wait: Wait) {
        let client = &mut self.clients[at];
        client.timer += 1;
        self.queue.push(self.now.after(wait), Pending::ClientTimer { client: at, timer: client.timer });
    }

    pub(super) fn client_timer(&mut self, at: usize, timer: u32) {
        if self.clients[at].timer != timer {
            return;
        }
        match self.clients[at].on_timer() {
            Next::Free => self.begin_operation(at),
            next @ (Next::Nothing | Next::Send(_) | Next::Sleep(_)) => {
                self.marks.client_retries += 1;
                self.follow(at, next);
            }
        }
    }

    /// What a client does next.
    pub(super) fn follow(&mut self, at: usize, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Send(wait) => {
                self.send_request(at);
                self.set_client_timer(at, wait);
            }
            Next::Sleep(wait) => self.set_client_timer(at, wait),
            Next::Free => self.begin_operation(at),
        }
    }

    fn send_request(&mut self, at: usize) {
        let client = &self.clients[at];
        let (to, request, here) = (client.target(), client.request(), client.is_answered_anywhere());
        let mut digest = Digest::of(num(at));
        let (low, high) = halves(request.client.0);
        digest.add(low);
        digest.add(high);
        digest.add(request.number.0);
        digest.add(u64::from(client.attempts()));
        let arrivals = self.route_client(ChoiceKind::Request, digest.value(), self.net.requests(to));
        if let Some(tape) = &mut self.tape {
            let id = self.nodes[to].config.me;
            tape.requested(self.now, &request, id);
            if arrivals == [None, None] {
                tape.request_lost(self.now, &request, id, DropCause::Loss);
            }
        }
        for when in arrivals.into_iter().flatten() {
            self.queue.push_last(0, when, Pending::Request { to, request: request.clone(), here });
        }
    }

    /// The client has time: for another operation, if it wants one, in a session of its own.
    pub(super) fn begin_operation(&mut self, at: usize) {
        if self.operates(at) {
            return self.operate(at);
        }
        let client = &mut self.clients[at];
        if client.left == 0 {
            return;
        }
        if client.session() == Session::ZERO {
            let next = client.register();
            return self.follow(at, next);
        }
        let serial = client.called;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let who = u32::try_from(at).expect("few clients");
        self.app.body(who, serial, &mut bytes);
        let body = Bytes::copy_from_slice(&bytes);
        self.bytes = bytes;
        let asked = self.app.asked(who, serial, &body);
        if asked == Asked::ReadHere {
            let which = self.setup.number("read at", serial << 16 | num(at)) % num(self.nodes.len());
            self.clients[at].try_first(usize::try_from(which).expect("few replicas"));
        }
        self.call(at, body, asked);
    }

    /// A client calls this operation now.
    pub(super) fn call(&mut self, at: usize, body: Bytes, asked: Asked) {
        let client = &mut self.clients[at];
        let next = client.call(body.clone(), asked);
        let id = client.id();
        let Request { session, number, .. } = client.request();
        self.observe(&Happening::Invoked { client: id, session, number, body: &body });
        self.crash_client_later(at);
        self.follow(at, next);
    }

    /// A client that has just called may crash before it is answered.
    pub(super) fn crash_client_later(&mut self, at: usize) {
        let called = self.clients[at].called;
        if self.phase == Phase::Safety {
            let mut digest = Digest::of(num(at));
            digest.add(called);
            let when = self.decider.choose(ChoiceKind::ClientCrash, digest.value(), CRASH_SIXTEENTHS);
            if when > 0 {
                let wait = Wait(self.setup.client_timeout.0 / 16 * u64::from(when - 1));
                self.queue.push(self.now.after(wait), Pending::ClientCrash { client: at, called });
            }
        }
    }

    pub(super) fn client_crash_due(&mut self, at: usize, called: u64) {
        let client = &self.clients[at];
        if client.called == called && client.waiting() == Waiting::Answer && self.phase == Phase::Safety {
            self.marks.client_crashes += 1;
            let id = client.id();
            if !self.operates(at) {
                self.observe(&Happening::GaveUp { client: id });
            }
            self.begin_anew(at);
        }
    }

    fn begin_anew(&mut self, at: usize) {
        self.clients[at].begin_anew();
        if matches!(self.phase, Phase::Liveness { .. }) {
            self.clients[at].left = self.clients[at].left.max(1);
        }
        let wait = self.setup.wait_up_to(self.setup.heartbeat.times(2), "anew", num(at) + self.now.0);
        self.set_client_timer(at, wait);
    }

    pub(super) fn client_answered(&mut self, at: usize, reply: &Reply) {
        let waited = self.clients[at].waiting();
        let body = self.clients[at].body().clone();
        if self.clients[at].on_reply(reply) == Next::Nothing {
            return;
        }
        if waited == Waiting::Session {
            return self.begin_operation(at);
        }
        if self.operates(at) {
            return self.operator_answered(at, reply);
        }
        let Reply { client, session, number, op, view, .. } = *reply;
        self.observe(&Happening::Answered { client, session, number, op, view, result: &reply.result });
        self.acked += 1;
        self.marks.acked_ops += 1;
        self.app.answered(u32::try_from(at).expect("few clients"), &body, &reply.result);
        match self.phase {
            Phase::Safety => {
                let wait = self.think(at);
                self.set_client_timer(at, wait);
            }
            Phase::Liveness { .. } => self.begin_operation(at),
            Phase::Hands | Phase::Over => {}
        }
    }

    /// How long a client thinks before its next operation.
    fn think(&self, at: usize) -> Wait {
        let longest = self.setup.think;
        if self.setup.in_step {
            return Wait(longest.0 - self.now.0 % longest.0.max(1));
        }
        let mut which = Digest::of(num(at));
        which.add(self.clients[at].called);
        self.setup.wait_up_to(longest, "think", which.value())
    }

    pub(super) fn client_refused(&mut self, at: usize, rejection: &Rejection) {
        let client = &mut self.clients[at];
        if !client.is_concerned(rejection) {
            return;
        }
        if rejection.reason == Reject::Evicted {
            self.marks.clients_evicted += 1;
            let (id, session) = (client.id(), client.session());
            if !self.operates(at) {
                self.observe(&Happening::ToldEvicted { client: id, session });
            }
            return self.begin_anew(at);
        }
        if self.operates(at) && self.operator_refused(at, rejection.reason).is_some() {
            return;
        }
        let hint = if let Reject::NotPrimary { primary, .. } = rejection.reason {
            self.marks.redirects += 1;
            primary.map(|p| usize::from(p.0)).filter(|p| *p < self.nodes.len())
        } else {
            self.marks.busy += 1;
            None
        };
        let next = self.clients[at].on_refusal(rejection.reason, hint);
        self.follow(at, next);
    }
}
