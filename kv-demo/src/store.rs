//! The replicated state machine: an ordered map from keys to values and the ops that wrote them.
//!
//! Owns the map, and when its keys expire: by the time that the log's entries carry, never by a clock. The same
//! operations in the same order give the same answers and the same checkpoint bytes on every replica; what is no
//! operation is answered, never panicked on. Must not know HTTP or replicas. Paper: VRR §4.1 step 5, §4.4, §5.1.

mod pieces;
mod shards;

use self::pieces::{Reader, Writer};
use self::shards::Shards;
use crate::op::{Answer, Expect, Expiry, Found, LIST_MAX, Op, Revision, Ttl};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::ops::Bound;
use vr_tokio::{Context, DeferredState, Service, State};

#[derive(Clone, PartialEq, Eq, Debug)]
struct Slot {
    value: Bytes,
    revision: Revision,
    expiry: Option<Expiry>,
}

/// The store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Store {
    map: Shards<Slot>,
    /// The keys that expire, the next one first.
    due: BTreeSet<(Expiry, Bytes)>,
    /// The time of the last entry executed: the only clock there is here. A key whose time has passed by it is not there
    /// for anybody, whether it is removed yet or not.
    now: Expiry,
}

/// A list answers no more bytes than this at once; there are more then.
const LIST_BYTES: usize = 1 << 20;
/// One `Expire` removes no more keys than this: nobody waits long for it.
const EXPIRE_MAX: usize = 1000;

impl Default for Store {
    fn default() -> Self {
        Self { map: Shards::default(), due: BTreeSet::new(), now: Expiry(0) }
    }
}

impl Store {
    fn is_there(&self, slot: &Slot) -> bool {
        slot.expiry.is_none_or(|expiry| expiry > self.now)
    }

    fn slot(&self, key: &[u8]) -> Option<&Slot> {
        self.map.get(key).filter(|slot| self.is_there(slot))
    }

    fn revision(&self, key: &[u8]) -> Revision {
        self.slot(key).map_or(Revision(0), |slot| slot.revision)
    }

    fn get(&self, key: &[u8]) -> Answer {
        self.slot(key).map_or(Answer::Missing, |slot| Answer::Value(slot.value.clone(), slot.revision, slot.expiry))
    }

    fn list(&self, prefix: &[u8], after: &[u8], limit: u32) -> Answer {
        let from = if after >= prefix { Bound::Excluded(after) } else { Bound::Included(prefix) };
        let limit = usize::try_from(limit.min(LIST_MAX)).unwrap_or(usize::MAX);
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (key, slot) in self.map.from(from).filter(|(_, slot)| self.is_there(slot)) {
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

    /// The time, if any key expires.
    fn expiring(&self) -> Option<Expiry> {
        (!self.due.is_empty()).then_some(self.now)
    }

    fn next_due(&self) -> Option<Expiry> {
        self.due.first().map(|(expiry, _)| *expiry)
    }

    /// What changes nothing is answered by anybody who may look.
    fn look(&self, op: &Op) -> Option<Answer> {
        match op {
            Op::Get { key } => Some(self.get(key)),
            Op::List { prefix, after, limit } => Some(self.list(prefix, after, *limit)),
            Op::Expire => Some(Answer::Due(self.next_due())),
            Op::Put { .. } | Op::Delete { .. } | Op::Batch(_) => None,
        }
    }

    fn remove(&mut self, key: &[u8]) -> Option<Slot> {
        let (key, slot) = self.map.remove_entry(key)?;
        if let Some(expiry) = slot.expiry {
            self.due.remove(&(expiry, key));
        }
        Some(slot)
    }

    fn set(&mut self, key: &[u8], slot: Slot) {
        // Detached from the request it came in, which would otherwise stay in memory as a whole.
        let key = self.map.key(key).map_or_else(|| Bytes::copy_from_slice(key), Bytes::clone);
        if let Some(expiry) = slot.expiry {
            self.due.insert((expiry, key.clone()));
        }
        let now = slot.expiry;
        let before = self.map.insert(key.clone(), slot).and_then(|before| before.expiry);
        if let Some(expiry) = before.filter(|before| Some(*before) != now) {
            self.due.remove(&(expiry, key));
        }
    }

    fn put(&mut self, at: Revision, (key, value): (&[u8], &[u8]), expect: Expect, ttl: Option<Ttl>) -> Answer {
        let before = self.revision(key);
        if !Self::holds(expect, before) {
            return Answer::Conflict(before);
        }
        let expiry = ttl.map(|Ttl(ms)| Expiry(self.now.0.saturating_add(ms.saturating_mul(1_000_000))));
        self.set(key, Slot { value: Bytes::copy_from_slice(value), revision: at, expiry });
        Answer::Written { revision: at, before }
    }

    fn delete(&mut self, key: &[u8], expect: Expect) -> Answer {
        let before = self.revision(key);
        if !Self::holds(expect, before) {
            return if before.0 == 0 { Answer::Missing } else { Answer::Conflict(before) };
        }
        let was_there = before.0 > 0;
        match self.remove(key).filter(|_| was_there) {
            Some(slot) => Answer::Deleted(slot.revision),
            None => Answer::Missing,
        }
    }

    fn expire(&mut self) -> Answer {
        for _ in 0..EXPIRE_MAX {
            match self.due.pop_first() {
                Some((expiry, key)) if expiry <= self.now => drop(self.map.remove_entry(&key)),
                Some(later) => {
                    self.due.insert(later);
                    break;
                }
                None => break,
            }
        }
        Answer::Due(self.next_due())
    }

    fn apply(&mut self, at: Revision, op: Op) -> Answer {
        match op {
            Op::Get { .. } | Op::List { .. } => self.look(&op).unwrap_or(Answer::Malformed),
            Op::Put { key, value, expect, ttl } => self.put(at, (&key, &value), expect, ttl),
            Op::Delete { key, expect } => self.delete(&key, expect),
            Op::Batch(all) => Answer::Batch(all.into_iter().map(|op| self.apply(at, op)).collect()),
            Op::Expire => self.expire(),
        }
    }
}

/// What a checkpoint begins with in which no key expires.
const CHECKPOINT: &[u8; 8] = b"kv-demo1";
/// What a checkpoint begins with in which some do: then the time, and each key has its own.
const EXPIRING_CHECKPOINT: &[u8; 8] = b"kv-demo2";

impl Service for Store {
    fn execute(&mut self, context: &Context, body: &[u8]) -> Bytes {
        self.now = self.now.max(Expiry(context.time_ns));
        let op = Op::decode(Bytes::copy_from_slice(body));
        op.map_or(Answer::Malformed, |op| self.apply(Revision(context.op.0), op)).encode()
    }

    fn read(&self, query: &[u8]) -> Bytes {
        let op = Op::decode(Bytes::copy_from_slice(query));
        op.and_then(|op| self.look(&op)).unwrap_or(Answer::Malformed).encode()
    }

    fn checkpoint(&self) -> Bytes {
        state_of(&self.map, self.expiring()).whole()
    }

    fn restore(&mut self, checkpoint: &[u8]) {
        self.restore_state(&Bytes::copy_from_slice(checkpoint).into());
    }

    fn snapshot(&self) -> DeferredState {
        let (map, expiring) = (self.map.clone(), self.expiring());
        Box::new(move || state_of(&map, expiring))
    }

    fn restore_state(&mut self, state: &State) {
        let restored = parse(state);
        // The digest over the whole checkpoint was verified: other bytes are another program's.
        *self = restored.expect("a checkpoint of this store, of this version or an earlier one");
    }
}

/// The bytes of a checkpoint. `expiring`: the time, if any key expires.
fn state_of(map: &Shards<Slot>, expiring: Option<Expiry>) -> State {
    let mut out = Writer::default();
    match expiring {
        Some(Expiry(now)) => {
            out.put(EXPIRING_CHECKPOINT);
            out.put(&now.to_le_bytes());
        }
        None => out.put(CHECKPOINT),
    }
    for (key, Slot { value, revision, expiry }) in map.iter() {
        for length in [key.len(), value.len()] {
            out.put(&u32::try_from(length).expect("keys and values came in a request").to_le_bytes());
        }
        out.put(&revision.0.to_le_bytes());
        if expiring.is_some() {
            // No key expires at 0: it would have before it was written.
            out.put(&expiry.map_or(0, |expiry| expiry.0).to_le_bytes());
        }
        out.put(key);
        out.share(value);
    }
    out.finish()
}

fn parse(state: &State) -> Option<Store> {
    let (mut from, mut store) = (Reader::new(state), Store::default());
    let start = from.bytes(CHECKPOINT.len())?;
    let expiring = start == EXPIRING_CHECKPOINT[..];
    if !expiring && start != CHECKPOINT[..] {
        return None;
    }
    if expiring {
        store.now = Expiry(from.u64()?);
    }
    while !from.is_at_end() {
        let (key, value) = (from.length()?, from.length()?);
        let revision = Revision(from.u64()?);
        let expiry = if expiring { from.u64()? } else { 0 };
        let expiry = (expiry > 0).then_some(Expiry(expiry));
        let (key, value) = (from.bytes(key)?, from.bytes(value)?);
        store.set(&key, Slot { value, revision, expiry });
    }
    Some(store)
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
        Op::Put { key: key.into(), value: value.into(), expect, ttl: None }
    }

    fn get(key: &'static str) -> Op {
        Op::Get { key: key.into() }
    }

    #[test]
    fn a_value_is_there_until_it_is_deleted() {
        let mut store = Store::default();
        let written = Answer::Written { revision: Revision(3), before: Revision(0) };
        assert_eq!(run(&mut store, 3, &put("a", "1", Expect::Anything)), written);
        assert_eq!(run(&mut store, 4, &get("a")), Answer::Value("1".into(), Revision(3), None));
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
        assert_eq!(answers[1..], [Answer::Value("1".into(), Revision(5), None), Answer::Missing]);
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
        assert_eq!(three.map, one.map);
    }

    #[test]
    fn what_was_set_aside_is_what_the_store_was_whatever_is_executed_before_it_is_given() {
        let mut store = Store::default();
        let long = "0123456789abcdef".repeat(2_000);
        for number in 0..1_000 {
            let value = if number % 100 == 0 { long.clone() } else { number.to_string() };
            let key = format!("key/{number:04}");
            let put = Op::Put { key: key.into(), value: value.into(), expect: Expect::Anything, ttl: None };
            run(&mut store, number + 1, &put);
        }
        let (before, aside) = (store.checkpoint(), store.snapshot());
        run(&mut store, 2_000, &put("key/0100", "other", Expect::Anything));
        run(&mut store, 2_001, &put("later", "other", Expect::Anything));
        run(&mut store, 2_002, &Op::Delete { key: "key/0200".into(), expect: Expect::Anything });
        let state = aside();
        assert!(state.whole() == before && store.checkpoint() != before);
        // However the pieces are cut that it comes in.
        for bytes in [1, 7, 4_096, 1 << 20] {
            let whole = (0..).step_by(bytes).map_while(|at| {
                let piece: Vec<u8> = state.range(at, bytes).flat_map(|piece| piece.to_vec()).collect();
                (!piece.is_empty()).then(|| Bytes::from(piece))
            });
            let mut restored = Store::default();
            restored.restore_state(&whole.collect());
            assert!(restored.checkpoint() == before);
        }
    }

    #[test]
    fn what_is_no_operation_is_answered() {
        let mut store = Store::default();
        let expiring = Op::Put { key: "a".into(), value: "1".into(), expect: Expect::Present, ttl: Some(Ttl(5)) };
        let whole = Op::Batch(vec![put("a", "1", Expect::Present), expiring, get("a")]).encode();
        for end in 0..whole.len() {
            assert_eq!(Answer::decode(store.execute(&at(1), &whole[..end])), Some(Answer::Malformed));
        }
        assert_eq!(Answer::decode(store.read(b"\x01\x01")), Some(Answer::Malformed));
        assert_eq!(Answer::decode(store.read(&put("a", "1", Expect::Anything).encode())), Some(Answer::Malformed));
        assert_eq!((store.map.iter().count(), store.due.len()), (0, 0));
    }

    /// `put` that is to live for so many milliseconds.
    fn put_for(key: &'static str, value: &'static str, ms: u64) -> Op {
        Op::Put { key: key.into(), value: value.into(), expect: Expect::Anything, ttl: Some(Ttl(ms)) }
    }

    /// Executes at a time, in milliseconds.
    fn run_at(store: &mut Store, op: u64, ms: u64, what: &Op) -> Answer {
        let context = Context { time_ns: ms * 1_000_000, ..at(op) };
        Answer::decode(store.execute(&context, &what.encode())).expect("every answer decodes")
    }

    fn look(store: &Store, what: &Op) -> Answer {
        Answer::decode(store.read(&what.encode())).expect("every answer decodes")
    }

    #[test]
    fn a_key_is_gone_for_everybody_from_the_first_entry_whose_time_is_past_its_own() {
        let mut store = Store::default();
        run_at(&mut store, 1, 100, &put_for("a", "1", 50));
        let there = Answer::Value("1".into(), Revision(1), Some(Expiry(150_000_000)));
        assert_eq!(run_at(&mut store, 2, 149, &get("a")), there);
        assert_eq!(look(&store, &get("a")), there, "a question is asked at the time of the last entry");
        assert_eq!(look(&store, &Op::Expire), Answer::Due(Some(Expiry(150_000_000))));
        assert_eq!(run_at(&mut store, 3, 150, &get("b")), Answer::Missing);
        assert_eq!(look(&store, &get("a")), Answer::Missing);
        let list = Op::List { prefix: "".into(), after: "".into(), limit: 9 };
        assert_eq!(look(&store, &list), Answer::Listed(vec![], false));
        let delete = Op::Delete { key: "a".into(), expect: Expect::Anything };
        assert_eq!(run_at(&mut store.clone(), 4, 151, &delete), Answer::Missing);
        assert_eq!(run_at(&mut store.clone(), 4, 90, &get("a")), Answer::Missing, "time does not go back");
        let written = Answer::Written { revision: Revision(4), before: Revision(0) };
        assert_eq!(run_at(&mut store, 4, 151, &put("a", "2", Expect::Revision(Revision(0)))), written);
        assert_eq!(run_at(&mut store, 5, 999, &get("a")), Answer::Value("2".into(), Revision(4), None));
    }

    #[test]
    fn the_last_put_says_how_long_a_key_lives() {
        let mut store = Store::default();
        run_at(&mut store, 1, 0, &put_for("a", "1", 50));
        run_at(&mut store, 2, 10, &put_for("a", "2", 100));
        assert_eq!(look(&store, &Op::Expire), Answer::Due(Some(Expiry(110_000_000))));
        run_at(&mut store, 3, 20, &put("a", "3", Expect::Present));
        assert_eq!(look(&store, &Op::Expire), Answer::Due(None));
        assert_eq!(run_at(&mut store, 4, 5000, &get("a")), Answer::Value("3".into(), Revision(3), None));
        run_at(&mut store, 5, 5000, &put_for("a", "4", u64::MAX));
        assert_eq!(
            run_at(&mut store, 6, 9000, &get("a")),
            Answer::Value("4".into(), Revision(5), Some(Expiry(u64::MAX)))
        );
    }

    #[test]
    fn expired_keys_are_removed_when_that_is_asked_for_and_no_others() {
        let mut store = Store::default();
        for (op, key) in (1..).zip(["a", "b", "c"]) {
            run_at(&mut store, op, 0, &put_for(key, "x", 10 * op));
        }
        run_at(&mut store, 4, 0, &put("d", "x", Expect::Anything));
        assert_eq!(run_at(&mut store, 5, 20, &Op::Expire), Answer::Due(Some(Expiry(30_000_000))));
        assert_eq!(store.map.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!(run_at(&mut store, 6, 30, &Op::Expire), Answer::Due(None));
        assert_eq!((store.map.iter().count(), store.due.len()), (1, 0));
    }

    #[test]
    fn a_store_in_which_keys_expire_comes_back_with_their_times_and_one_of_before_them_comes_back_too() {
        let mut store = Store::default();
        run_at(&mut store, 1, 1, &put("a", "1", Expect::Anything));
        assert!(store.checkpoint().starts_with(CHECKPOINT), "as before there were times");
        run_at(&mut store, 2, 7, &put_for("b", "2", 50));
        let checkpoint = store.checkpoint();
        let mut restored = Store::default();
        restored.restore(&checkpoint);
        assert_eq!(restored, store);
        assert_eq!(restored.checkpoint(), checkpoint);
        assert_eq!(run_at(&mut restored, 3, 57, &get("b")), Answer::Missing);
        assert!(
            (0..checkpoint.len())
                .all(|end| parse(&checkpoint.slice(..end).into()).is_none_or(|parsed| parsed != store))
        );
    }
}
