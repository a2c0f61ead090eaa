//! What a replicated log without sessions lacks to give vr-core's service: who called what, each call executed at most
//! once on every replica, its reply kept and delivered. Written as a user of such a log would, and as lean as we could;
//! opening and evicting sessions is left out, which favours the log.

use bytes::Bytes;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// One call of one client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    client: u128,
    number: u64,
}

/// What a client gets.
pub(crate) struct Reply {
    pub(crate) call: Call,
    pub(crate) reply: Bytes,
}

/// Ids are random already: fold them.
#[derive(Default)]
struct Fold(u64);

const ODD: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u128(u128::from(*byte)));
    }
    fn write_u128(&mut self, value: u128) {
        let mixed = (value ^ u128::from(self.0)).wrapping_mul(ODD);
        self.0 = u64::try_from(mixed >> 64).expect("the upper half of 128 bits");
    }
}

#[derive(Default)]
struct Row {
    /// The last call executed, and its reply.
    last: u64,
    reply: Bytes,
    /// The newest call that is in the log.
    flying: u64,
}

/// The client table of one replica.
pub(crate) struct Sessions(HashMap<u128, Row, BuildHasherDefault<Fold>>);

fn client(number: usize) -> u128 {
    (u128::try_from(number).expect("small") + 1).wrapping_mul(ODD)
}

impl Sessions {
    /// With a session for each of so many clients.
    pub(crate) fn of(clients: usize) -> Self {
        Self((0..clients).map(|number| (client(number), Row::default())).collect())
    }

    /// At the leader: is this call new? It is in flight then.
    pub(crate) fn admit(&mut self, call: Call) -> bool {
        let Some(row) = self.0.get_mut(&call.client) else { return false };
        let new = call.number > row.last.max(row.flying);
        if new {
            row.flying = call.number;
        }
        new
    }

    /// Executes a call unless it was: its reply, the first one for a repeated call.
    pub(crate) fn execute(&mut self, call: Call, service: impl FnOnce() -> Bytes) -> Option<Bytes> {
        let row = self.0.get_mut(&call.client)?;
        if call.number > row.last {
            row.last = call.number;
            row.reply = service();
        }
        (call.number == row.last).then(|| row.reply.clone())
    }
}

/// The clients of the closed loop: each has one call outstanding, and they take turns.
pub(crate) struct Clients {
    sent: Vec<Call>,
    turns: (usize, usize),
}

impl Clients {
    pub(crate) fn of(clients: usize) -> Self {
        Self { sent: (0..clients).map(|number| Call { client: client(number), number: 0 }).collect(), turns: (0, 0) }
    }

    /// The call the next client makes.
    pub(crate) fn next(&mut self) -> Call {
        let turn = self.turns.0;
        self.turns.0 = if turn + 1 == self.sent.len() { 0 } else { turn + 1 };
        self.sent[turn].number += 1;
        self.sent[turn]
    }

    /// A reply reaches its client.
    pub(crate) fn deliver(&mut self, reply: &Reply) {
        let turn = self.turns.1;
        self.turns.1 = if turn + 1 == self.sent.len() { 0 } else { turn + 1 };
        assert_eq!(reply.call, self.sent[turn], "the answer to what was asked");
        assert!(reply.reply.is_empty(), "the service's reply");
    }
}
