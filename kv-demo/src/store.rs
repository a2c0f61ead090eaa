//! The replicated state machine: an ordered map from keys to values and the ops that wrote them.
//!
//! Owns the map. The same operations in the same order give the same answers and the same checkpoint bytes on every
//! replica; what is no operation is answered, never panicked on. Must not know HTTP or replicas. Paper: VRR §4.1
//! step 5, §4.4, §5.1.

use crate::op::{Answer, Expect, Found, LIST_MAX, Op, Revision};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::BTreeMap;
use std::ops::Bound;
use vr_tokio::{Context, Service};

#[derive(Clone, PartialEq, Eq, Debug)]
struct Slot {
    value: Bytes,
    revision: Revision,
}

/// The store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Store {
    map: BTreeMap<Bytes, Slot>,
}

/// A list answers no more bytes than this at once; there are more then.
const LIST_BYTES: usize = 1 << 20;

impl Store {
    fn revision(&self, key: &[u8]) -> Revision {
        self.map.get(key).map_or(Revision(0), |slot| slot.revision)
    }

    fn get(&self, key: &[u8]) -> Answer {
        self.map.get(key).map_or(Answer::Missing, |slot| Answer::Value(slot.value.clone(), slot.revision))
    }

    fn list(&self, prefix: &[u8], after: &[u8], limit: u32) -> Answer {
        let from = if after >= prefix { Bound::Excluded(after) } else { Bound::Included(prefix) };
        let limit = usize::try_from(limit.min(LIST_MAX)).unwrap_or(usize::MAX);
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (key, slot) in self.map.range::<[u8], _>((from, Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                break;
            }
            if found.len() >= limit || bytes > LIST_BYTES {
                return Answer::Listed(found, true);
            }
            bytes += key.len() + slot.value.len();
            found.push(Found { key: key.clone(), value: slot.value.clone(), revision: slot.revision });
        }
        Answer::Listed(found, false)
    }

    fn holds(expect: Expect, revision: Revision) -> bool {
        match expect {
            Expect::Anything => true,
            Expect::Present => revision.0 > 0,
            Expect::Revision(expected) => revision == expected,
        }
    }

    /// What changes nothing is answered by anybody who may look.
    fn look(&self, op: &Op) -> Option<Answer> {
        match op {
            Op::Get { key } => Some(self.get(key)),
            Op::List { prefix, after, limit } => Some(self.list(prefix, after, *limit)),
            Op::Put { .. } | Op::Delete { .. } | Op::Batch(_) => None,
        }
    }

    fn apply(&mut self, at: Revision, op: Op) -> Answer {
        match op {
            Op::Get { .. } | Op::List { .. } => self.look(&op).unwrap_or(Answer::Malformed),
            Op::Put { key, value, expect } => {
                let before = self.revision(&key);
                if !Self::holds(expect, before) {
                    return Answer::Conflict(before);
                }
                // Detached from the request it came in, which would otherwise stay in memory as a whole.
                let slot = Slot { value: Bytes::copy_from_slice(&value), revision: at };
                match self.map.get_mut(&key) {
                    Some(old) => *old = slot,
                    None => drop(self.map.insert(Bytes::copy_from_slice(&key), slot)),
                }
                Answer::Written { revision: at, before }
            }
            Op::Delete { key, expect } => {
                let before = self.revision(&key);
                if !Self::holds(expect, before) {
                    return if before.0 == 0 { Answer::Missing } else { Answer::Conflict(before) };
                }
                match self.map.remove(&key) {
                    Some(slot) => Answer::Deleted(slot.revision),
                    None => Answer::Missing,
                }
            }
            Op::Batch(all) => Answer::Batch(all.into_iter().map(|op| self.apply(at, op)).collect()),
        }
    }
}

/// What a checkpoint begins with.
const CHECKPOINT: &[u8; 8] = b"kv-demo1";

impl Service for Store {
    fn execute(&mut self, context: &Context, body: &[u8]) -> Bytes {
        let op = Op::decode(Bytes::copy_from_slice(body));
        op.map_or(Answer::Malformed, |op| self.apply(Revision(context.op.0), op)).encode()
    }

    fn read(&self, query: &[u8]) -> Bytes {
        let op = Op::decode(Bytes::copy_from_slice(query));
        op.and_then(|op| self.look(&op)).unwrap_or(Answer::Malformed).encode()
    }

    fn checkpoint(&self) -> Bytes {
        let size: usize = self.map.iter().map(|(key, slot)| key.len() + slot.value.len() + 16).sum();
        let mut out = BytesMut::with_capacity(CHECKPOINT.len() + size);
        out.put_slice(CHECKPOINT);
        for (key, Slot { value, revision }) in &self.map {
            for length in [key.len(), value.len()] {
                out.put_u32_le(u32::try_from(length).expect("keys and values came in a request"));
            }
            out.put_u64_le(revision.0);
            out.put_slice(key);
            out.put_slice(value);
        }
        out.freeze()
    }

    fn restore(&mut self, checkpoint: &[u8]) {
        let restored = parse(checkpoint);
        // The digest over the whole checkpoint was verified: other bytes are another program's.
        self.map = restored.expect("a checkpoint of this store, of this version or an earlier one");
    }
}

fn parse(mut bytes: &[u8]) -> Option<BTreeMap<Bytes, Slot>> {
    bytes = bytes.strip_prefix(CHECKPOINT)?;
    let mut map = BTreeMap::new();
    while !bytes.is_empty() {
        let (key, value) = (bytes.try_get_u32_le().ok()?, bytes.try_get_u32_le().ok()?);
        let revision = Revision(bytes.try_get_u64_le().ok()?);
        let (key, rest) = bytes.split_at_checked(usize::try_from(key).ok()?)?;
        let (value, rest) = rest.split_at_checked(usize::try_from(value).ok()?)?;
        map.insert(Bytes::copy_from_slice(key), Slot { value: Bytes::copy_from_slice(value), revision });
        bytes = rest;
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(op: u64) -> Context {
        Context { op: vr_tokio::Op(op), time_ns: op, seed: op }
    }

    fn run(store: &mut Store, op: u64, what: &Op) -> Answer {
        Answer::decode(store.execute(&at(op), &what.encode())).expect("every answer decodes")
    }

    fn put(key: &'static str, value: &'static str, expect: Expect) -> Op {
        Op::Put { key: key.into(), value: value.into(), expect }
    }

    fn get(key: &'static str) -> Op {
        Op::Get { key: key.into() }
    }

    #[test]
    fn a_value_is_there_until_it_is_deleted() {
        let mut store = Store::default();
        let written = Answer::Written { revision: Revision(3), before: Revision(0) };
        assert_eq!(run(&mut store, 3, &put("a", "1", Expect::Anything)), written);
        assert_eq!(run(&mut store, 4, &get("a")), Answer::Value("1".into(), Revision(3)));
        let delete = Op::Delete { key: "a".into(), expect: Expect::Anything };
        assert_eq!(run(&mut store, 5, &delete), Answer::Deleted(Revision(3)));
        assert_eq!(run(&mut store, 6, &get("a")), Answer::Missing);
        assert_eq!(run(&mut store, 7, &delete), Answer::Missing);
    }

    #[test]
    fn a_write_that_expects_something_else_changes_nothing() {
        let mut store = Store::default();
        let absent = Expect::Revision(Revision(0));
        assert_eq!(run(&mut store, 1, &put("a", "1", Expect::Present)), Answer::Conflict(Revision(0)));
        run(&mut store, 2, &put("a", "1", absent));
        assert_eq!(run(&mut store, 3, &put("a", "2", absent)), Answer::Conflict(Revision(2)));
        let written = Answer::Written { revision: Revision(4), before: Revision(2) };
        assert_eq!(run(&mut store, 4, &put("a", "3", Expect::Revision(Revision(2)))), written);
    }

    #[test]
    fn a_list_goes_on_after_the_last_key_it_gave() {
        let mut store = Store::default();
        for (op, key) in (1..).zip(["b/2", "a", "b/1", "c", "b/3", "b"]) {
            run(&mut store, op, &put(key, key, Expect::Anything));
        }
        let list = |after: &'static str, limit| Op::List { prefix: "b/".into(), after: after.into(), limit };
        let Answer::Listed(first, true) = run(&mut store, 9, &list("", 2)) else { panic!("there are three") };
        assert_eq!(first.iter().map(|found| &found.key[..]).collect::<Vec<_>>(), [b"b/1", b"b/2"]);
        let Answer::Listed(rest, false) = run(&mut store, 9, &list("b/2", 2)) else { panic!("there is one more") };
        assert_eq!(rest.len(), 1);
    }

    #[test]
    fn a_batch_happens_at_once_and_answers_for_each() {
        let mut store = Store::default();
        let batch = Op::Batch(vec![put("a", "1", Expect::Anything), get("a"), get("b")]);
        let Answer::Batch(answers) = run(&mut store, 5, &batch) else { panic!("a batch answers as one") };
        assert_eq!(answers[1..], [Answer::Value("1".into(), Revision(5)), Answer::Missing]);
    }

    #[test]
    fn equal_stores_give_equal_checkpoints_and_come_back_from_them() {
        let (mut one, mut two) = (Store::default(), Store::default());
        run(&mut one, 1, &put("a", "1", Expect::Anything));
        run(&mut one, 2, &put("b", "2", Expect::Anything));
        run(&mut two, 2, &put("b", "2", Expect::Anything));
        assert_ne!(one.checkpoint(), two.checkpoint());
        run(&mut two, 1, &put("a", "1", Expect::Anything));
        assert_eq!(one.checkpoint(), two.checkpoint());
        let mut three = Store::default();
        three.restore(&one.checkpoint());
        assert_eq!(three, one);
    }

    #[test]
    fn what_is_no_operation_is_answered() {
        let mut store = Store::default();
        let whole = Op::Batch(vec![put("a", "1", Expect::Present), get("a")]).encode();
        for end in 0..whole.len() {
            assert_eq!(Answer::decode(store.execute(&at(1), &whole[..end])), Some(Answer::Malformed));
        }
        assert_eq!(Answer::decode(store.read(b"\x01\x01")), Some(Answer::Malformed));
        assert_eq!(Answer::decode(store.read(&put("a", "1", Expect::Anything).encode())), Some(Answer::Malformed));
        assert_eq!(store, Store::default());
    }
}
