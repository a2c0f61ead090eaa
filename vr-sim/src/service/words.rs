//! The store in words: `put k v`, `get k`, `delete k`, whose bodies and answers a person reads as they stand in a trace.
//!
//! Owns [`WordOp`], what [`Kv`] makes of it, and its sequential model. Names are another space than the numbered keys of
//! a seed's workload: a run that has none is what it was without this file. Must not know who speaks. VIEW §3.6.

use super::{Kv, KvResult};
use crate::digest::Digest;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;

/// What a length in a checkpoint cannot be: from here on there are names.
pub(super) const MARK: [u8; 4] = [0xff; 4];

/// One operation in words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WordOp<'a> {
    /// Changes nothing.
    Get {
        /// Of what.
        key: &'a str,
    },
    /// Sets the value.
    Put {
        /// Of what.
        key: &'a str,
        /// To this.
        value: &'a str,
    },
    /// Removes the value.
    Delete {
        /// Of what.
        key: &'a str,
    },
}

impl<'a> WordOp<'a> {
    /// The operation that these words are. They are its body: no other spelling of it is one.
    ///
    /// # Errors
    /// When they are none, in one line.
    pub fn read(words: &'a str) -> Result<Self, String> {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
        let op = match (verb, key, value) {
            (_, "", _) => None,
            ("get", _, "") => Some(Self::Get { key }),
            ("put", _, value) if !value.is_empty() => Some(Self::Put { key, value }),
            ("delete", _, "") => Some(Self::Delete { key }),
            _ => None,
        };
        let plain = !words.chars().any(|c| c.is_control()) && words == words.trim();
        op.filter(|op| plain && op.to_string() == words)
            .ok_or_else(|| format!("`{words}` is no operation: put KEY VALUE, get KEY or delete KEY"))
    }

    /// The operation that a body is, if it is one in words.
    #[must_use]
    pub fn decode(body: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(body).ok().and_then(|words| Self::read(words).ok())
    }

    /// The key it is about.
    #[must_use]
    pub const fn key(&self) -> &'a str {
        match self {
            Self::Get { key } | Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// The answer of whoever found this value.
    #[must_use]
    pub fn answer(&self, found: Option<&str>) -> String {
        match (self, found) {
            (_, None) => "absent".to_owned(),
            (Self::Get { .. }, Some(value)) => format!("is {value}"),
            (Self::Put { .. } | Self::Delete { .. }, Some(value)) => format!("was {value}"),
        }
    }

    /// What it makes of the value that it found.
    #[must_use]
    pub fn apply(&self, found: Option<&str>) -> Option<String> {
        match self {
            Self::Get { .. } => found.map(str::to_owned),
            Self::Put { value, .. } => Some((*value).to_owned()),
            Self::Delete { .. } => None,
        }
    }
}

impl fmt::Display for WordOp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get { key } => write!(f, "get {key}"),
            Self::Put { key, value } => write!(f, "put {key} {value}"),
            Self::Delete { key } => write!(f, "delete {key}"),
        }
    }
}

impl Kv {
    /// The value of a name.
    #[must_use]
    pub fn word(&self, key: &str) -> Option<&str> {
        self.words.get(key).map(String::as_str)
    }

    pub(super) fn execute_words(&mut self, body: &[u8]) -> Bytes {
        let Some(op) = WordOp::decode(body) else { return KvResult::Malformed.encode() };
        let found = self.word(op.key());
        let (answer, next) = (op.answer(found), op.apply(found));
        self.set_word(op.key(), next);
        answer.into()
    }

    fn set_word(&mut self, key: &str, value: Option<String>) {
        let added = value.as_deref().map_or(0, |value| hash_of(key, value));
        let old = match value {
            Some(value) => self.words.insert(key.to_owned(), value),
            None => self.words.remove(key),
        };
        let removed = old.as_deref().map_or(0, |value| hash_of(key, value));
        self.contents = self.contents.wrapping_sub(removed).wrapping_add(added);
    }

    /// # Panics
    /// As [`vr_core::Service::restore`] does.
    pub(super) fn restore_words(&mut self, mut rest: &[u8]) {
        while !rest.is_empty() {
            let (key, more) = text(rest);
            let (value, more) = text(more);
            self.set_word(key, Some(value.to_owned()));
            rest = more;
        }
    }
}

fn hash_of(key: &str, value: &str) -> u64 {
    let mut digest = Digest::of(u64::MAX);
    digest.add_bytes(key.as_bytes());
    digest.add_bytes(value.as_bytes());
    digest.value()
}

/// Layout: nothing, if there are none; otherwise key 2, [`MARK`], then for each: length 4, name, length 4, value.
pub(super) fn write(words: &BTreeMap<String, String>, out: &mut Vec<u8>) {
    if words.is_empty() {
        return;
    }
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&MARK);
    for text in words.iter().flat_map(|(key, value)| [key, value]) {
        out.extend_from_slice(&u32::try_from(text.len()).expect("values are short").to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

fn text(bytes: &[u8]) -> (&str, &[u8]) {
    let (length, rest) = bytes.split_first_chunk::<4>().expect("a text has a length");
    let length = usize::try_from(u32::from_le_bytes(*length)).expect("fits an address");
    let (text, rest) = rest.split_at(length);
    (std::str::from_utf8(text).expect("written from a text"), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Model;
    use crate::service::{Key, KvOp, Observed};
    use crate::workload::KvModel;
    use vr_core::{Context, Op, Service};

    fn run(kv: &mut Kv, body: &[u8]) -> Bytes {
        kv.execute(&Context { op: Op(1), time_ns: 0, seed: 0 }, body)
    }

    #[test]
    fn words_are_executed_and_answered_as_the_model_says() {
        let (mut kv, mut states) = (Kv::new(), BTreeMap::new());
        let story = ["get x", "put x 1", "put y a b", "put x 2", "get x", "delete x", "delete x", "get y"];
        let expected = ["absent", "absent", "absent", "was 1", "is 2", "was 2", "absent", "is a b"];
        for (body, expected) in story.iter().zip(expected) {
            let answer = run(&mut kv, body.as_bytes());
            assert_eq!(answer, expected);
            let state: &mut Vec<u8> = states.entry(KvModel.key(body.as_bytes())).or_default();
            let (next, told) = KvModel.step(state, body.as_bytes());
            *state = next;
            assert_eq!(answer, told);
        }
    }

    #[test]
    fn a_checkpoint_holds_names_beside_numbers_and_is_as_ever_without_them() {
        let mut kv = Kv::new();
        let mut body = Vec::new();
        KvOp::Put { key: Key(0), value: b"v" }.encode(&mut body);
        run(&mut kv, &body);
        let plain = kv.checkpoint();
        assert_eq!(plain.len(), 8 + 2 + 4 + 1);
        for words in ["put x 1", "put long-name some words", "delete x"] {
            run(&mut kv, words.as_bytes());
        }
        let mut other = Kv::new();
        other.restore(&kv.checkpoint());
        assert_eq!(other, kv);
        assert_eq!((other.state(), other.word("long-name")), (kv.state(), Some("some words")));
        assert!(kv.checkpoint().starts_with(&plain[8..]) || kv.checkpoint().len() > plain.len());
    }

    #[test]
    fn what_is_no_operation_is_refused_in_one_line() {
        for bad in ["", "put", "put x", "get", "get x y", "delete", "take x", " get x", "get  x", "put x  ", "put x \n"]
        {
            let told = WordOp::read(bad).unwrap_err();
            assert!(told.contains("put KEY VALUE"), "{told}");
        }
        assert_eq!(WordOp::read("put x 1 2"), Ok(WordOp::Put { key: "x", value: "1 2" }));
    }
}
