//! What clients ask for: operations whose order matters, few and telling.
//!
//! Owns the application under test as the world sees it ([`App`]) and the key-value workload. Bodies are
//! functions of the setup, not choices. Must not know replicas or faults. PROTOCOL W1–W4.

use crate::check::Model;
use crate::client::Asked;
use crate::digest::Digest;
use crate::service::{Key, Kv, KvOp, KvResult, Observed, WordOp, apply};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An application in the simulator: its state machine and what its clients ask for.
pub trait App: Clone {
    /// The state machine.
    type Service: Observed;

    /// A state machine as it is before the first op.
    fn service(&self) -> Self::Service;

    /// Writes the body of a client's next operation, the `serial`th of all it ever called.
    fn body(&mut self, client: u32, serial: u64, out: &mut Vec<u8>);

    /// How is that operation asked for? What changes nothing need not be logged.
    fn asked(&self, _client: u32, _serial: u64, _body: &[u8]) -> Asked {
        Asked::Logged
    }

    /// The client got an answer.
    fn answered(&mut self, client: u32, body: &[u8], result: &[u8]);

    /// Its sequential specification, by which histories are judged; `None` when there is none.
    fn model(&self) -> Option<Arc<dyn Model>>;
}

/// How often which operation, as weights, on how many keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// How many keys; the fewer, the more operations meet.
    pub keys: u16,
    /// Reads.
    pub get: u64,
    /// Writes.
    pub put: u64,
    /// Appends.
    pub append: u64,
    /// Compare-and-sets.
    pub cas: u64,
    /// Removals.
    pub delete: u64,
    /// So many of 16 reads are not logged.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unlogged: u64,
    /// So many of 16 of those go to any replica, which may answer them whether it leads or not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub anywhere: u64,
}

/// Skips what older files do not have.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Default for Mix {
    fn default() -> Self {
        Self { keys: 3, get: 2, put: 1, append: 6, cas: 2, delete: 1, unlogged: 0, anywhere: 0 }
    }
}

/// The sequential specification of [`Kv`]: a state is empty for an absent value, otherwise 1 and the value.
#[derive(Clone, Copy, Debug)]
pub struct KvModel;

impl Model for KvModel {
    fn key(&self, body: &[u8]) -> Vec<u8> {
        let named = || WordOp::decode(body).map_or_else(Vec::new, |op| ["name ", op.key()].concat().into_bytes());
        KvOp::decode(body).map_or_else(named, |op| op.key().0.to_le_bytes().to_vec())
    }

    fn step(&self, state: &[u8], body: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let Some(op) = KvOp::decode(body) else { return step_words(state, body) };
        let found = state.split_first().map(|(_, value)| value);
        let answer = KvResult::Found(found).encode().to_vec();
        let next = match apply(found, &op) {
            None => state.to_vec(),
            Some(None) => Vec::new(),
            Some(Some(value)) => [&[1], value.as_slice()].concat(),
        };
        (next, answer)
    }
}

/// The same for operations in words.
fn step_words(state: &[u8], body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let Some(op) = WordOp::decode(body) else { return (state.to_vec(), KvResult::Malformed.encode().to_vec()) };
    let found = state.split_first().and_then(|(_, value)| std::str::from_utf8(value).ok());
    let next = op.apply(found).map_or_else(Vec::new, |value| ["\u{1}", &value].concat().into_bytes());
    (next, op.answer(found).into_bytes())
}

/// Values do not grow beyond this: a longer one is replaced.
const VALUE_BYTES_MAX: usize = 96;

/// The clients of the key-value store.
#[derive(Clone, Debug)]
pub struct KvClients {
    seed: u64,
    mix: Mix,
    /// What each client last saw of a key: what its next compare-and-set expects.
    seen: BTreeMap<(u32, Key), Option<Vec<u8>>>,
}

impl KvClients {
    /// Clients that ask for `mix`.
    #[must_use]
    pub const fn new(seed: u64, mix: Mix) -> Self {
        Self { seed, mix, seen: BTreeMap::new() }
    }

    fn number(&self, client: u32, serial: u64, of: u64) -> u64 {
        let mut digest = Digest::of(self.seed);
        digest.add(u64::from(client));
        digest.add(serial);
        digest.add(of);
        digest.value()
    }
}

impl App for KvClients {
    type Service = Kv;

    fn service(&self) -> Kv {
        Kv::new()
    }

    fn body(&mut self, client: u32, serial: u64, out: &mut Vec<u8>) {
        let Mix { keys, get, put, append, cas, delete, unlogged: _, anywhere: _ } = self.mix;
        let key = self.number(client, serial, 0) % u64::from(keys.max(1));
        let key = Key(u16::try_from(key).expect("below the number of keys"));
        // Every value is written by one operation only: what is read tells who wrote it.
        let [c0, c1, ..] = client.to_le_bytes();
        let [s0, s1, s2, ..] = serial.to_le_bytes();
        let value = [c0, c1, s0, s1, s2];
        let seen = self.seen.get(&(client, key)).and_then(Option::as_deref);
        let mut left = self.number(client, serial, 1) % (get + put + append + cas + delete).max(1);
        let mut is = |weight: u64| {
            let hit = left < weight;
            left = left.wrapping_sub(weight);
            hit
        };
        let op = if is(get) {
            KvOp::Get { key }
        } else if is(put) {
            KvOp::Put { key, value: &value }
        } else if is(cas) {
            KvOp::Cas { key, expect: seen, value: &value }
        } else if is(delete) {
            KvOp::Delete { key }
        } else if seen.is_some_and(|s| s.len() > VALUE_BYTES_MAX) {
            KvOp::Put { key, value: &value }
        } else {
            KvOp::Append { key, value: &value }
        };
        op.encode(out);
    }

    fn asked(&self, client: u32, serial: u64, body: &[u8]) -> Asked {
        let hits = |of, share| self.number(client, serial, of) % 16 < share;
        if !(matches!(KvOp::decode(body), Some(KvOp::Get { .. })) && hits(2, self.mix.unlogged)) {
            Asked::Logged
        } else if hits(3, self.mix.anywhere) {
            Asked::ReadHere
        } else {
            Asked::Read
        }
    }

    fn answered(&mut self, client: u32, body: &[u8], result: &[u8]) {
        let (Some(op), Some(KvResult::Found(found))) = (KvOp::decode(body), KvResult::decode(result)) else {
            return;
        };
        let now = apply(found, &op).unwrap_or_else(|| found.map(<[u8]>::to_vec));
        self.seen.insert((client, op.key()), now);
    }

    fn model(&self) -> Option<Arc<dyn Model>> {
        Some(Arc::new(KvModel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(clients: &mut KvClients, client: u32, serial: u64) -> Vec<u8> {
        let mut out = Vec::new();
        clients.body(client, serial, &mut out);
        out
    }

    #[test]
    fn every_kind_of_operation_is_asked_for_and_the_same_question_is_asked_again_alike() {
        let mut clients = KvClients::new(7, Mix::default());
        let mut kinds = [0; 5];
        for serial in 0..200 {
            let one = body(&mut clients, 1, serial);
            assert_eq!(one, body(&mut clients, 1, serial));
            match KvOp::decode(&one).unwrap() {
                KvOp::Get { .. } => kinds[0] += 1,
                KvOp::Put { .. } => kinds[1] += 1,
                KvOp::Append { .. } => kinds[2] += 1,
                KvOp::Cas { .. } => kinds[3] += 1,
                KvOp::Delete { .. } => kinds[4] += 1,
            }
        }
        assert!(kinds.iter().all(|n| *n > 5), "{kinds:?}");
    }

    #[test]
    fn the_model_answers_as_the_store_does() {
        use vr_core::{Context, Op, Service};
        let (mut clients, mut kv) = (KvClients::new(3, Mix { keys: 2, ..Mix::default() }), Kv::new());
        let mut states: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for serial in 0..300 {
            let one = body(&mut clients, 0, serial);
            let answer = kv.execute(&Context { op: Op(serial), time_ns: 0, seed: 0 }, &one);
            let state = states.entry(KvModel.key(&one)).or_default();
            let (next, expected) = KvModel.step(state, &one);
            *state = next;
            assert_eq!(answer, expected);
            clients.answered(0, &one, &answer);
        }
    }

    #[test]
    fn a_compare_and_set_expects_what_its_client_last_saw() {
        let mix = Mix { keys: 1, get: 0, put: 0, append: 0, cas: 1, delete: 0, unlogged: 0, anywhere: 0 };
        let mut clients = KvClients::new(7, mix);
        let first = body(&mut clients, 1, 0);
        assert!(matches!(KvOp::decode(&first), Some(KvOp::Cas { expect: None, .. })));
        clients.answered(1, &first, &KvResult::Found(Some(b"other")).encode());
        let second = body(&mut clients, 1, 1);
        assert!(matches!(KvOp::decode(&second), Some(KvOp::Cas { expect: Some(b"other"), .. })));
        clients.answered(1, &second, &KvResult::Found(Some(b"other")).encode());
        let third = body(&mut clients, 1, 2);
        assert!(matches!(KvOp::decode(&third), Some(KvOp::Cas { expect: Some([1, 0, 1, 0, 0]), .. })));
    }
}
