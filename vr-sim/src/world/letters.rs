//! Single messages in the hands of a person: seen wherever they are, delivered, dropped, doubled, delayed; and the other
//! controls of a laboratory that leave a mark on the tape.
//!
//! Owns what a [`Letter`] is: a message that is held, or still travels, between replicas or between clients and them.
//! A control that finds nothing to act on says so and changes nothing. Must not know the language in which it is
//! asked for. VIEW §3.6.

use super::{HeldMessage, Pending, Phase, World, num};
use crate::net::{Filter, LinkId};
use crate::workload::App;
use vr_core::trace::{DropCause, MessageId, Name, Node, Recipient, Sent, What, message_sent};
use vr_core::{Input, Time, Wait, WriteId};

/// A message that was sent and has not arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Which.
    pub m: MessageId,
    /// From whom.
    pub from: Node,
    /// To whom.
    pub to: Node,
    /// Of which type.
    pub ty: Name,
    /// The view it names, if it names one.
    pub view: Option<u64>,
    /// The op it speaks of, if it speaks of one.
    pub op: Option<u64>,
    /// When it arrives; `None` while it is held.
    pub at: Option<Time>,
}

/// Something was done to a message, or there is no such message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// It was held.
    Held,
    /// It was travelling.
    Flying,
    /// No such message is under way.
    Nothing,
}

impl<A: App> World<A> {
    // ---- looking

    /// The messages that are held, oldest first.
    #[must_use]
    pub fn letters_held(&self) -> Vec<Letter> {
        self.held.iter().map(|held| letter_of(Node::Replica(held.to), &held.message, None)).collect()
    }

    /// The messages that travel, in the order in which they arrive.
    #[must_use]
    pub fn letters_flying(&self) -> Vec<Letter> {
        self.queue.in_order().into_iter().filter_map(|(at, pending)| self.letter(at, pending)).collect()
    }

    fn letter(&self, at: Time, pending: &Pending) -> Option<Letter> {
        let (m, to) = self.name(pending)?;
        let plain = |ty: &'static str, view, op| Letter {
            m,
            from: m.sender(),
            to,
            ty: Name::Borrowed(ty),
            view,
            op,
            at: Some(at),
        };
        if let Pending::Deliver { message, .. } = pending {
            return Some(letter_of(to, message, Some(at)));
        }
        if let Pending::Answer { reply, .. } = pending {
            return Some(plain("Reply", Some(reply.view.0), Some(reply.op.0)));
        }
        let is_request = matches!(pending, Pending::Request { .. });
        Some(plain(if is_request { "Request" } else { "Reject" }, None, None))
    }

    /// Which message it is that arrives, and where; `None` for what is no arrival.
    fn name(&self, pending: &Pending) -> Option<(MessageId, Node)> {
        let replica = |at: usize| Node::Replica(self.nodes[at].config.me);
        let answer = |from: usize, client, session, number| {
            (MessageId::Answer { client, session, number, by: self.nodes[from].config.me }, Node::Client(client))
        };
        if let Pending::Deliver { to, message, .. } = pending {
            Some((MessageId::of(&message.header), replica(*to)))
        } else if let Pending::Request { to, request, .. } = pending {
            Some((MessageId::of_request(request), replica(*to)))
        } else if let Pending::Answer { from, reply, .. } = pending {
            Some(answer(*from, reply.client, reply.session, reply.number))
        } else if let Pending::Refusal { from, rejection, .. } = pending {
            Some(answer(*from, rejection.client, rejection.session, rejection.number))
        } else {
            None
        }
    }

    // ---- acting on one of them

    /// Is this message under way?
    #[must_use]
    pub fn find_letter(&self, m: MessageId, to: Node) -> On {
        let flies = || self.queue.iter().any(|pending| self.name(pending) == Some((m, to)));
        match self.place_of_held(m, to) {
            Some(_) => On::Held,
            None if flies() => On::Flying,
            None => On::Nothing,
        }
    }

    fn place_of_held(&self, m: MessageId, to: Node) -> Option<usize> {
        self.held.iter().position(|held| MessageId::of(&held.message.header) == m && Node::Replica(held.to) == to)
    }

    /// Takes a message out of the hand, or out of the air, where it was to arrive then.
    fn take_letter(&mut self, m: MessageId, to: Node) -> Option<(Option<Time>, Pending)> {
        if let Some(at) = self.place_of_held(m, to) {
            return Some((None, arrival(self.held.remove(at))));
        }
        let names: Vec<_> = self.queue.in_order().into_iter().map(|(_, pending)| self.name(pending)).collect();
        let which = names.iter().position(|name| *name == Some((m, to)))?;
        let (at, pending) = self.queue.take_nth(which)?;
        Some((Some(at), pending))
    }

    /// Lets a message arrive now.
    pub fn deliver_letter(&mut self, m: MessageId, to: Node) -> On {
        let Some((was_due, pending)) = self.take_letter(m, to) else { return On::Nothing };
        self.happen(pending);
        was_due.map_or(On::Held, |_| On::Flying)
    }

    /// A message never arrives.
    pub fn drop_letter(&mut self, m: MessageId, to: Node) -> On {
        let Some((was_due, _)) = self.take_letter(m, to) else { return On::Nothing };
        if let Some(tape) = &mut self.tape {
            tape.dropped(self.now, m, to, DropCause::Loss);
        }
        was_due.map_or(On::Held, |_| On::Flying)
    }

    /// There are two of a message, in the same place.
    pub fn double_letter(&mut self, m: MessageId, to: Node) -> On {
        if let Some(at) = self.place_of_held(m, to) {
            self.held.insert(at + 1, self.held[at].clone());
        } else {
            let Some((Some(at), pending)) = self.take_letter(m, to) else { return On::Nothing };
            self.queue.push(at, pending.clone());
            self.queue.push(at, pending);
        }
        if let Some(tape) = &mut self.tape {
            tape.duplicated(self.now, m, to);
        }
        self.find_letter(m, to)
    }

    /// A message arrives so much later than it would have; one that is held, so much later than now.
    pub fn delay_letter(&mut self, m: MessageId, to: Node, wait: Wait) -> On {
        let Some((was_due, pending)) = self.take_letter(m, to) else { return On::Nothing };
        let until = was_due.unwrap_or(self.now).after(wait);
        self.queue.push(until, pending);
        if let Some(tape) = &mut self.tape {
            tape.delayed(self.now, m, to, until);
        }
        was_due.map_or(On::Held, |_| On::Flying)
    }

    /// Lets all messages arrive that are held, in the order in which they were sent.
    pub fn deliver_held(&mut self) {
        for held in std::mem::take(&mut self.held) {
            if self.violation.is_none() {
                self.happen(arrival(held));
            }
        }
    }

    /// None of the messages that are held ever arrives.
    pub fn drop_held(&mut self) {
        for held in std::mem::take(&mut self.held) {
            if let Some(tape) = &mut self.tape {
                tape.lost(self.now, &held.message, held.to, DropCause::Loss);
            }
        }
    }

    /// Are all messages between replicas held?
    #[must_use]
    pub fn holds_all(&self) -> bool {
        self.filters.contains(&(Filter::default(), true))
    }

    // ---- links

    /// Is this direction of a link cut?
    #[must_use]
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.net.is_cut(self.net.between(from, to))
    }

    /// Is any link cut?
    #[must_use]
    pub fn is_any_cut(&self) -> bool {
        self.net.is_any_cut()
    }

    /// Cuts these directions of links, as one cut.
    pub fn cut_all(&mut self, links: &[(usize, usize)]) {
        let links = links.iter().map(|(from, to)| self.net.between(*from, *to)).collect();
        let _ = self.lay_cut(links);
    }

    /// Makes one direction of a link whole. A cut over others too ends, and another one goes on over those.
    pub fn mend(&mut self, from: usize, to: usize) {
        let link = self.net.between(from, to);
        let over: Vec<_> = self.net.over(link).cloned().collect();
        for (cut, links) in over {
            self.cut_ends(cut);
            let rest: Vec<LinkId> = links.into_iter().filter(|other| *other != link).collect();
            if !rest.is_empty() {
                let _ = self.lay_cut(rest);
            }
        }
        self.net.heal(link);
    }

    /// Makes all links whole. What is held stays held.
    pub fn mend_all(&mut self) {
        self.net.heal_all();
        if let Some(tape) = &mut self.tape {
            tape.healed(self.now, None);
        }
    }

    // ---- the rest

    /// Has this disk no room?
    #[must_use]
    pub fn is_disk_full(&self, replica: usize) -> bool {
        self.nodes[replica].full.is_some()
    }

    /// [`World::timeout`], and the timer has fired when this returns.
    pub fn fire_now(&mut self, replica: usize) {
        self.fire_timer(replica);
        self.tick_now(replica);
    }

    /// Its writes through this one are durable now, and it is told so.
    pub fn sync_through(&mut self, replica: usize, write: WriteId) {
        if self.nodes[replica].disk.complete(write) {
            self.step(replica, Input::Persisted(write));
            self.exit_if_done(replica);
        }
    }

    /// Is this write of its present life on its way to the disk?
    #[must_use]
    pub fn is_under_way(&self, replica: usize, write: WriteId) -> bool {
        self.nodes[replica].disk.has_under_way(write)
    }

    /// Does it wait for a timer?
    #[must_use]
    pub fn has_deadline(&self, replica: usize) -> bool {
        self.nodes[replica].life.as_ref().is_some_and(|life| life.replica.next_deadline().is_some())
    }

    /// When the next thing is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        self.queue.next_at()
    }

    /// Is the run over, so that nothing happens any more?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Whoever breaks something after the faults have ended has the world in his hands from now on: it need not come to
    /// rest any more.
    pub fn take_in_hand(&mut self) {
        if matches!(self.phase, Phase::Liveness { .. }) {
            self.phase = Phase::Hands;
        }
    }

    /// How many clients there are.
    #[must_use]
    pub fn number_of_clients(&self) -> u64 {
        num(self.clients.len())
    }
}

fn letter_of(to: Node, message: &vr_core::Message, at: Option<Time>) -> Letter {
    let m = MessageId::of(&message.header);
    let What::Sent(Sent { view, op, ty, .. }) = message_sent(Recipient::One(to), message) else {
        unreachable!("a message that is sent is sent");
    };
    Letter { m, from: m.sender(), to, ty, view, op, at }
}

fn arrival(held: HeldMessage) -> Pending {
    let HeldMessage { to, life, message, .. } = held;
    Pending::Deliver { to: usize::from(to.0), life, held: true, message }
}
