//! What can be seen of a session now and is on no tape: what is held, what travels, who waits, what is due.
//!
//! Owns [`State`], the answer to every command of the view service. Must not change anything. VIEW §3.6.

use super::session::Session;
use crate::client::Waiting;
use crate::world::Letter;
use serde::Serialize;
use vr_core::trace::{MessageId, Name, Node, TraceEvent, Violated, What};

/// A session as it is now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct State {
    /// Virtual time, in nanoseconds.
    pub now: u64,
    /// The messages that are held, oldest first.
    pub held: Vec<Held>,
    /// The messages that travel, in the order in which they arrive.
    pub flying: Vec<Flying>,
    /// The property that does not hold.
    pub violation: Option<Violated>,
    /// Are messages between replicas held?
    pub hold: bool,
    /// The clients, by position.
    pub clients: Vec<Caller>,
    /// When the next thing is due.
    pub next_at: Option<u64>,
}

/// A message that is held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Held {
    /// Which.
    pub m: MessageId,
    /// From whom.
    pub from: Node,
    /// To whom.
    pub to: Node,
    /// Of which type.
    pub ty: Name,
    /// The view it names.
    pub view: Option<u64>,
    /// The op it speaks of.
    pub op: Option<u64>,
}

/// A message that travels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Flying {
    /// Which.
    pub m: MessageId,
    /// From whom.
    pub from: Node,
    /// To whom.
    pub to: Node,
    /// Of which type.
    pub ty: Name,
    /// The op it speaks of.
    pub op: Option<u64>,
    /// When it arrives, in nanoseconds.
    pub at: u64,
}

/// A client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Caller {
    /// Its name in the trace.
    pub n: Node,
    /// It has a session and waits for nothing: it can call.
    pub ready: bool,
    /// It waits for a session or an answer.
    pub waiting: bool,
}

impl State {
    /// Of a session.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        let world = session.world();
        let clients = (0..usize::try_from(world.number_of_clients()).unwrap_or(0)).map(|at| {
            let client = world.client(at);
            let waiting = client.waiting() != Waiting::Idle;
            Caller { n: Node::Client(client.id()), ready: !waiting && client.session().0 != 0, waiting }
        });
        Self {
            now: world.now().0,
            held: world.letters_held().into_iter().map(Held::from).collect(),
            flying: world.letters_flying().into_iter().map(Flying::from).collect(),
            violation: session.failure().and_then(|_| violation_in(session.events())),
            hold: world.holds_all(),
            clients: clients.collect(),
            next_at: world.next_at().map(|at| at.0),
        }
    }

    pub(super) fn of_recording(events: &[TraceEvent]) -> Self {
        Self {
            now: events.last().map_or(0, |event| event.t),
            held: Vec::new(),
            flying: Vec::new(),
            violation: violation_in(events),
            hold: false,
            clients: Vec::new(),
            next_at: None,
        }
    }
}

fn violation_in(events: &[TraceEvent]) -> Option<Violated> {
    events.iter().rev().find_map(|event| if let What::Violated(it) = &event.what { Some(it.clone()) } else { None })
}

impl From<Letter> for Held {
    fn from(letter: Letter) -> Self {
        let Letter { m, from, to, ty, view, op, .. } = letter;
        Self { m, from, to, ty, view, op }
    }
}

impl From<Letter> for Flying {
    fn from(letter: Letter) -> Self {
        let Letter { m, from, to, ty, op, at, .. } = letter;
        Self { m, from, to, ty, op, at: at.map_or(0, |at| at.0) }
    }
}
