//! Histories of clients, from anywhere, judged: could it have happened one call at a time?
//!
//! Owns a plain shape of a history, the question, and a key-value store as a sequential model. Must not know replicas,
//! nor who recorded the history. PROTOCOL §4 S15.
//!
//! ```
//! use vr_sim::history::{Call, KeyValue, KvCall, Linearizable, judge};
//! let put = KvCall::Put { key: b"k", value: b"1" }.encode();
//! let get = KvCall::Get { key: b"k" }.encode();
//! let history = [
//!     Call { body: put, invoked: 1, returned: Some((4, KeyValue::done())) },
//!     Call { body: get.clone(), invoked: 2, returned: Some((3, KeyValue::found(b"1"))) },
//!     Call { body: get, invoked: 5, returned: Some((6, KeyValue::absent())) },
//! ];
//! assert_eq!(judge(&history[..2], &KeyValue), Linearizable::Yes);
//! assert!(matches!(judge(&history, &KeyValue), Linearizable::No { .. }), "it was there before");
//! ```

pub use crate::check::Model;
use crate::check::{Plain, judge_plain_history};

/// A call of a client. Moments are those of one clock that all clients share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// What was asked, as the model understands it.
    pub body: Vec<u8>,
    /// When.
    pub invoked: u64,
    /// When the answer came, and the answer. `None` when there was none: the call may have taken effect at any time
    /// after it was made, or never. So it is after a timeout, a lost connection, or a refusal that leaves it open.
    pub returned: Option<(u64, Vec<u8>)>,
}

impl Call {
    fn plain(&self) -> Plain<'_> {
        (&self.body, self.invoked, self.returned.as_ref().map(|(at, result)| (*at, result.as_slice())))
    }
}

/// Could it have happened one call at a time?
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Linearizable {
    /// It could.
    Yes,
    /// No order of the calls on a key explains what one of them was answered.
    No {
        /// The key.
        key: Vec<u8>,
        /// The place in the history of the call that no order explains, in the order that came furthest.
        call: usize,
    },
    /// The calls on a key are so entangled that the search was given up.
    Undecided {
        /// The key.
        key: Vec<u8>,
    },
}

/// Judges a history, key by key. Calls that end and begin at the same moment count as overlapping.
#[must_use]
pub fn judge(calls: &[Call], model: &dyn Model) -> Linearizable {
    let plain: Vec<_> = calls.iter().map(Call::plain).collect();
    match judge_plain_history(model, &plain) {
        Ok(()) => Linearizable::Yes,
        Err((key, Some(call))) => Linearizable::No { key, call },
        Err((key, None)) => Linearizable::Undecided { key },
    }
}

/// A call of the key-value store below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KvCall<'a> {
    /// Answers [`KeyValue::done`].
    Put {
        /// Where.
        key: &'a [u8],
        /// What.
        value: &'a [u8],
    },
    /// Answers [`KeyValue::found`] or [`KeyValue::absent`].
    Get {
        /// Where.
        key: &'a [u8],
    },
    /// Answers [`KeyValue::done`] if there was something, [`KeyValue::absent`] if not.
    Delete {
        /// Where.
        key: &'a [u8],
    },
    /// Puts `value` if the key holds `expected`: answers [`KeyValue::done`], or what is there instead, as a get would.
    CompareAndSet {
        /// Where.
        key: &'a [u8],
        /// What must be there; `None`: nothing.
        expected: Option<&'a [u8]>,
        /// What takes its place.
        value: &'a [u8],
    },
}

impl KvCall<'_> {
    /// As the body of a [`Call`]: a letter, then key and arguments, each after its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (letter, key, arguments): (u8, &[u8], Vec<&[u8]>) = match self {
            Self::Put { key, value } => (b'p', key, vec![value]),
            Self::Get { key } => (b'g', key, vec![]),
            Self::Delete { key } => (b'd', key, vec![]),
            Self::CompareAndSet { key, expected: Some(expected), value } => (b'c', key, vec![value, expected]),
            Self::CompareAndSet { key, expected: None, value } => (b'c', key, vec![value]),
        };
        let mut body = vec![letter];
        for part in std::iter::once(key).chain(arguments) {
            body.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            body.extend_from_slice(part);
        }
        body
    }
}

/// A key-value store, one call at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyValue;

impl KeyValue {
    /// It was done.
    #[must_use]
    pub fn done() -> Vec<u8> {
        b"!".to_vec()
    }

    /// There is nothing.
    #[must_use]
    pub fn absent() -> Vec<u8> {
        b"-".to_vec()
    }

    /// There is this.
    #[must_use]
    pub fn found(value: &[u8]) -> Vec<u8> {
        [b"=", value].concat()
    }
}

/// The parts of a body after its letter; what is no body has none.
fn parts(body: &[u8]) -> Vec<&[u8]> {
    let mut rest = body.get(1..).unwrap_or_default();
    let mut parts = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let fits = u32::from_le_bytes(*length).try_into().ok().and_then(|length| after.split_at_checked(length));
        let Some((part, after)) = fits else { break };
        parts.push(part);
        rest = after;
    }
    parts
}

impl Model for KeyValue {
    fn key(&self, body: &[u8]) -> Vec<u8> {
        parts(body).first().map(|key| key.to_vec()).unwrap_or_default()
    }

    /// The state is what a get answers; a key nobody touched is in the state of no bytes at all.
    fn step(&self, state: &[u8], body: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let is = if state.is_empty() { Self::absent() } else { state.to_vec() };
        let parts = parts(body);
        let argument = |at: usize| parts.get(at).map_or_else(Self::absent, |value| Self::found(value));
        match body.first() {
            Some(b'p') => (argument(1), Self::done()),
            Some(b'd') => (Self::absent(), if is == Self::absent() { Self::absent() } else { Self::done() }),
            Some(b'c') if argument(2) == is => (argument(1), Self::done()),
            Some(_) | None => (is.clone(), is),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(call: KvCall<'_>, invoked: u64, returned: Option<(u64, Vec<u8>)>) -> Call {
        Call { body: call.encode(), invoked, returned }
    }

    const K: &[u8] = b"k";

    #[test]
    fn a_lost_answer_may_or_may_not_have_taken_effect() {
        let lost = call(KvCall::Put { key: K, value: b"1" }, 1, None);
        let get = |at: u64, result| call(KvCall::Get { key: K }, at, Some((at + 1, result)));
        let found = KeyValue::found(b"1");
        assert_eq!(judge(&[lost.clone(), get(2, KeyValue::absent())], &KeyValue), Linearizable::Yes);
        let late = [lost.clone(), get(2, KeyValue::absent()), get(4, found.clone())];
        assert_eq!(judge(&late, &KeyValue), Linearizable::Yes);
        let undone = [lost, get(2, found), get(4, KeyValue::absent())];
        assert!(matches!(judge(&undone, &KeyValue), Linearizable::No { key, .. } if key == K));
    }

    #[test]
    fn a_stale_read_is_caught_and_one_at_the_same_moment_is_not() {
        let put = call(KvCall::Put { key: K, value: b"1" }, 1, Some((5, KeyValue::done())));
        let get = |at| call(KvCall::Get { key: K }, at, Some((at + 1, KeyValue::absent())));
        assert_eq!(judge(&[put.clone(), get(5)], &KeyValue), Linearizable::Yes);
        let stale = judge(&[put, get(6)], &KeyValue);
        assert!(matches!(stale, Linearizable::No { .. }), "{stale:?}");
    }

    #[test]
    fn a_write_that_changes_nothing_now_may_be_what_changes_everything_later() {
        let put =
            |value, invoked, returned| call(KvCall::Put { key: K, value }, invoked, Some((returned, KeyValue::done())));
        let get = call(KvCall::Get { key: K }, 11, Some((12, KeyValue::found(b"1"))));
        assert_eq!(judge(&[put(b"1", 1, 2), put(b"1", 3, 10), put(b"2", 4, 9), get], &KeyValue), Linearizable::Yes);
    }

    #[test]
    fn compare_and_set_and_delete_do_as_they_say() {
        let done = |at: u64| Some((at + 1, KeyValue::done()));
        let history = [
            call(KvCall::CompareAndSet { key: K, expected: None, value: b"1" }, 1, done(1)),
            call(KvCall::CompareAndSet { key: K, expected: None, value: b"2" }, 3, Some((4, KeyValue::found(b"1")))),
            call(KvCall::CompareAndSet { key: K, expected: Some(b"1"), value: b"2" }, 5, done(5)),
            call(KvCall::Delete { key: K }, 7, done(7)),
            call(KvCall::Delete { key: K }, 9, Some((10, KeyValue::absent()))),
            call(KvCall::Get { key: b"other" }, 11, Some((12, KeyValue::absent()))),
        ];
        assert_eq!(judge(&history, &KeyValue), Linearizable::Yes);
    }
}
