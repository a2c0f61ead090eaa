//! The replicated application of the simulator: a key-value store whose operations never commute, with the
//! bytes of its operations and answers and its sequential model.
//!
//! Owns [`KvOp`], [`KvResult`], [`Kv`] and [`apply`], the model of one key that a linearizability checker
//! replays; in `words.rs` the same for people. Every operation answers the value it *found*, so that a history
//! tells as much as it can. Must not know replicas, time or faults. Paper: VRR §4.1 step 5 (the upcall), §4.4.

mod words;

pub use words::WordOp;

use crate::digest::{Digest, joined};
use bytes::Bytes;
use std::collections::BTreeMap;
use vr_core::{Context, Hash, Service};

/// Which register an operation is about. Operations on different keys are independent of each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(pub u16);

/// One operation, borrowing its values from the request's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KvOp<'a> {
    /// Changes nothing.
    Get {
        /// Of what.
        key: Key,
    },
    /// Sets the value.
    Put {
        /// Of what.
        key: Key,
        /// To this.
        value: &'a [u8],
    },
    /// Adds at the end of the value; an absent value counts as empty.
    Append {
        /// To what.
        key: Key,
        /// This.
        value: &'a [u8],
    },
    /// Sets the value if it is as expected.
    Cas {
        /// Of what.
        key: Key,
        /// Only if it is this; `None` for absent.
        expect: Option<&'a [u8]>,
        /// To this.
        value: &'a [u8],
    },
    /// Removes the value.
    Delete {
        /// Of what.
        key: Key,
    },
}

/// The answer to an operation, borrowing from the reply's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KvResult<'a> {
    /// The value the operation found, before it changed anything; `None` for absent. Whether a
    /// compare-and-set took effect follows from it.
    Found(Option<&'a [u8]>),
    /// The body was not an operation; nothing changed.
    Malformed,
}

impl<'a> KvOp<'a> {
    /// The key it is about.
    #[must_use]
    pub const fn key(&self) -> Key {
        match self {
            Self::Get { key }
            | Self::Put { key, .. }
            | Self::Append { key, .. }
            | Self::Cas { key, .. }
            | Self::Delete { key } => *key,
        }
    }

    /// Layout: tag 1, key 2, then for `Cas` the expectation's length 2 (65,535 for absent) and bytes, then the
    /// value to the end. Little-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let tag = match self {
            Self::Get { .. } => 0,
            Self::Put { .. } => 1,
            Self::Append { .. } => 2,
            Self::Cas { .. } => 3,
            Self::Delete { .. } => 4,
        };
        out.push(tag);
        out.extend_from_slice(&self.key().0.to_le_bytes());
        match self {
            Self::Get { .. } | Self::Delete { .. } => {}
            Self::Put { value, .. } | Self::Append { value, .. } => out.extend_from_slice(value),
            Self::Cas { expect, value, .. } => {
                let length = expect.map_or(u16::MAX, |e| u16::try_from(e.len()).expect("values are short"));
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(expect.unwrap_or_default());
                out.extend_from_slice(value);
            }
        }
    }

    /// The operation that `body` is, if it is one.
    #[must_use]
    pub fn decode(body: &'a [u8]) -> Option<Self> {
        let (tag, rest) = body.split_first()?;
        let (key, rest) = rest.split_first_chunk::<2>()?;
        let key = Key(u16::from_le_bytes(*key));
        match tag {
            0 if rest.is_empty() => Some(Self::Get { key }),
            1 => Some(Self::Put { key, value: rest }),
            2 => Some(Self::Append { key, value: rest }),
            3 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                let length = u16::from_le_bytes(*length);
                if length == u16::MAX {
                    return Some(Self::Cas { key, expect: None, value: rest });
                }
                let (expect, value) = rest.split_at_checked(usize::from(length))?;
                Some(Self::Cas { key, expect: Some(expect), value })
            }
            4 if rest.is_empty() => Some(Self::Delete { key }),
            _ => None,
        }
    }
}

impl<'a> KvResult<'a> {
    /// Layout: 0 absent, 1 and the value, 2 malformed.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Found(None) => Bytes::from_static(&[0]),
            Self::Found(Some(value)) => [&[1], *value].concat().into(),
            Self::Malformed => Bytes::from_static(&[2]),
        }
    }

    /// The answer that `result` is, if it is one.
    #[must_use]
    pub fn decode(result: &'a [u8]) -> Option<Self> {
        match result.split_first()? {
            (0, []) => Some(Self::Found(None)),
            (1, value) => Some(Self::Found(Some(value))),
            (2, []) => Some(Self::Malformed),
            _ => None,
        }
    }
}

/// The sequential model of one key, written apart from [`Kv`] on purpose: what `op` makes of the value `found`; `None`
/// when it leaves it as it is.
#[must_use]
pub fn apply(found: Option<&[u8]>, op: &KvOp<'_>) -> Option<Option<Vec<u8>>> {
    match op {
        KvOp::Get { .. } => None,
        KvOp::Put { value, .. } => Some(Some(value.to_vec())),
        KvOp::Append { value, .. } => Some(Some([found.unwrap_or_default(), value].concat())),
        KvOp::Cas { expect, value, .. } => (found == *expect).then(|| Some(value.to_vec())),
        KvOp::Delete { .. } => found.is_some().then_some(None),
    }
}

/// What the simulator asks of an application beside [`Service`]: its state as a hash, cheap enough to take
/// after every op.
pub trait Observed: Service + Clone {
    /// The hash of the state: equal states give equal hashes, on every replica.
    fn state(&self) -> Hash;
}

/// The key-value store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kv {
    values: BTreeMap<Key, Vec<u8>>,
    /// What people called by name.
    words: BTreeMap<String, String>,
    /// The sum of the hashes of all (key, value): kept up to date, never recomputed.
    contents: u64,
    /// The hash of everything that was ever executed, in order: two stores that took different ways differ.
    history: u64,
}

impl Kv {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key.
    #[must_use]
    pub fn value(&self, key: Key) -> Option<&[u8]> {
        self.values.get(&key).map(Vec::as_slice)
    }

    fn set(&mut self, key: Key, value: Option<Vec<u8>>) {
        let added = value.as_deref().map_or(0, |v| hash_of(key, v));
        let old = match value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
        let removed = old.as_deref().map_or(0, |v| hash_of(key, v));
        self.contents = self.contents.wrapping_sub(removed).wrapping_add(added);
    }

    fn append(&mut self, key: Key, more: &[u8]) {
        let Some(value) = self.values.get_mut(&key) else { return self.set(key, Some(more.to_vec())) };
        let removed = hash_of(key, value);
        value.extend_from_slice(more);
        self.contents = self.contents.wrapping_sub(removed).wrapping_add(hash_of(key, value));
    }
}

fn hash_of(key: Key, value: &[u8]) -> u64 {
    let mut digest = Digest::of(u64::from(key.0));
    digest.add_bytes(value);
    digest.value()
}

impl Service for Kv {
    fn execute(&mut self, context: &Context, body: &[u8]) -> Bytes {
        let mut history = Digest::of(self.history);
        history.add(context.op.0);
        history.add(context.time_ns);
        history.add(context.seed);
        history.add_bytes(body);
        self.history = history.value();
        let Some(op) = KvOp::decode(body) else { return self.execute_words(body) };
        let answer = KvResult::Found(self.value(op.key())).encode();
        match op {
            KvOp::Get { .. } => {}
            KvOp::Put { key, value } => self.set(key, Some(value.to_vec())),
            KvOp::Append { key, value } => self.append(key, value),
            KvOp::Cas { key, expect, value } if self.value(key) == expect => self.set(key, Some(value.to_vec())),
            KvOp::Cas { .. } => {}
            KvOp::Delete { key } => self.set(key, None),
        }
        answer
    }

    fn read(&self, query: &[u8]) -> Bytes {
        match KvOp::decode(query) {
            Some(KvOp::Get { key }) => KvResult::Found(self.value(key)).encode(),
            Some(KvOp::Put { .. } | KvOp::Append { .. } | KvOp::Cas { .. } | KvOp::Delete { .. }) | None => {
                KvResult::Malformed.encode()
            }
        }
    }

    /// Layout: history 8, then for each key: key 2, length 4, value. Little-endian, keys ascending. Then, if there are
    /// any, the names and their values.
    fn checkpoint(&self) -> Bytes {
        let mut out = self.history.to_le_bytes().to_vec();
        for (key, value) in &self.values {
            out.extend_from_slice(&key.0.to_le_bytes());
            out.extend_from_slice(&u32::try_from(value.len()).expect("values are short").to_le_bytes());
            out.extend_from_slice(value);
        }
        words::write(&self.words, &mut out);
        out.into()
    }

    /// # Panics
    /// When `checkpoint` is not one: what reaches a service has been verified by its hash.
    fn restore(&mut self, checkpoint: &[u8]) {
        let (history, mut rest) = checkpoint.split_first_chunk::<8>().expect("a checkpoint has a history");
        *self = Self { history: u64::from_le_bytes(*history), ..Self::default() };
        while let Some((key, more)) = rest.split_first_chunk::<2>() {
            let (length, more) = more.split_first_chunk::<4>().expect("a key has a length");
            if *length == words::MARK {
                return self.restore_words(more);
            }
            let length = usize::try_from(u32::from_le_bytes(*length)).expect("fits an address");
            let (value, more) = more.split_at(length);
            self.set(Key(u16::from_le_bytes(*key)), Some(value.to_vec()));
            rest = more;
        }
    }
}

impl Observed for Kv {
    fn state(&self) -> Hash {
        Hash(joined(self.contents, self.history))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_core::Op;

    fn run(kv: &mut Kv, op: u64, what: KvOp<'_>) -> Bytes {
        let mut body = Vec::new();
        what.encode(&mut body);
        assert_eq!(KvOp::decode(&body), Some(what));
        kv.execute(&Context { op: Op(op), time_ns: op, seed: 0 }, &body)
    }

    #[test]
    fn every_operation_answers_the_value_it_found() {
        let key = Key(3);
        let mut kv = Kv::new();
        let found = |bytes: &Bytes| match KvResult::decode(bytes) {
            Some(KvResult::Found(value)) => value.map(<[u8]>::to_vec),
            Some(KvResult::Malformed) | None => panic!("malformed"),
        };
        assert_eq!(found(&run(&mut kv, 1, KvOp::Append { key, value: b"a" })), None);
        assert_eq!(found(&run(&mut kv, 2, KvOp::Append { key, value: b"b" })), Some(b"a".to_vec()));
        let cas = KvOp::Cas { key, expect: Some(b"ab"), value: b"c" };
        assert_eq!(found(&run(&mut kv, 3, cas)), Some(b"ab".to_vec()));
        assert_eq!(found(&run(&mut kv, 4, cas)), Some(b"c".to_vec()));
        assert_eq!(found(&run(&mut kv, 5, KvOp::Put { key, value: b"" })), Some(b"c".to_vec()));
        assert_eq!(found(&run(&mut kv, 6, KvOp::Delete { key })), Some(Vec::new()));
        assert_eq!(found(&run(&mut kv, 7, KvOp::Get { key })), None);
        let cas = KvOp::Cas { key, expect: None, value: b"d" };
        assert_eq!(found(&run(&mut kv, 8, cas)), None);
        assert_eq!(kv.value(key), Some(&b"d"[..]));
    }

    #[test]
    fn operations_in_another_order_leave_another_state() {
        let (mut one, mut two) = (Kv::new(), Kv::new());
        let (a, b) = (KvOp::Append { key: Key(0), value: b"a" }, KvOp::Append { key: Key(0), value: b"b" });
        run(&mut one, 1, a);
        run(&mut one, 2, b);
        run(&mut two, 1, b);
        run(&mut two, 2, a);
        assert_ne!(one.state(), two.state());
        assert_ne!(one.checkpoint(), two.checkpoint());
    }

    #[test]
    fn a_restored_store_is_the_store_it_came_from() {
        let mut kv = Kv::new();
        for i in 0..20u8 {
            let key = Key(u16::from(i % 5));
            run(&mut kv, u64::from(i), KvOp::Append { key, value: &[i] });
        }
        run(&mut kv, 20, KvOp::Delete { key: Key(2) });
        let mut other = Kv::new();
        other.restore(&kv.checkpoint());
        assert_eq!(other, kv);
        assert_eq!(other.state(), kv.state());
    }

    #[test]
    fn bytes_that_are_no_operation_are_answered_and_change_nothing_but_the_history() {
        let mut kv = Kv::new();
        for body in [&b""[..], b"\x00", b"\x09\0\0", b"\x03\0\0\x05\0ab", b"\x00\0\0x"] {
            let answer = kv.execute(&Context { op: Op(1), time_ns: 1, seed: 0 }, body);
            assert_eq!(KvResult::decode(&answer), Some(KvResult::Malformed));
        }
        assert!(kv.values.is_empty());
    }
}
