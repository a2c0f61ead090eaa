//! A service's state, as bytes that may lie in many pieces: what a large one is made of need not be copied together.
//!
//! Owns the pieces and where each ends, and what stands for a state whose bytes a recording leaves out. Equal bytes are equal
//! states, however they are cut. Must not know what is in them.
//! Paper: VRR §5.1; PROTOCOL 1.7.

use crate::id::{count, index};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Error, Serialize, Serializer};

/// Bytes in pieces: cheap to clone, and to share pieces with.
///
/// What a recording holds of a state is how long it is ([`State::left_out`]): no replica that runs has such a one.
#[derive(Clone, Default)]
pub struct State {
    /// None of them empty; with each, how many bytes there are through its end.
    pieces: Arc<Vec<(u64, Bytes)>>,
    /// So many bytes that are not here; then there are no pieces.
    left_out: u64,
}

/// Stands for bytes that are left out.
static ZEROS: [u8; 4096] = [0; 4096];

/// What a service set aside: gives the state as it was then, on whatever thread it is asked, however long that takes.
pub type DeferredState = Box<dyn FnOnce() -> State + Send>;

impl State {
    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.pieces.last().map_or(self.left_out, |(end, _)| *end)
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of so many bytes, none of which are here: that of a recording. Zeros stand for them in parts of its checkpoint.
    #[must_use]
    pub fn left_out(bytes: u64) -> Self {
        Self { pieces: Arc::default(), left_out: bytes }
    }

    /// Are its bytes left out? No service can be restored from it.
    #[must_use]
    pub const fn is_left_out(&self) -> bool {
        self.left_out > 0
    }

    /// The pieces, in order; none of what is left out.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter().map(|(_, piece)| piece)
    }

    /// All of it in one piece: copied together unless it is one. Nothing of what is left out.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        match &self.pieces[..] {
            [] => Bytes::new(),
            [(_, piece)] => piece.clone(),
            [..] => {
                let mut whole = Vec::with_capacity(index(self.len()));
                self.pieces().for_each(|piece| whole.extend_from_slice(piece));
                whole.into()
            }
        }
    }

    /// The bytes from `offset` on, at most `bytes` of them, as pieces that are shared; zeros for what is left out.
    pub fn range(&self, offset: u64, bytes: usize) -> impl Iterator<Item = Bytes> {
        let first = self.pieces.partition_point(|(end, _)| *end <= offset);
        let mut left = bytes;
        let here = self.pieces[first..].iter().map_while(move |(end, piece)| {
            let begin = end - count(piece.len());
            let skip = usize::try_from(offset.saturating_sub(begin)).unwrap_or(usize::MAX).min(piece.len());
            let take = (piece.len() - skip).min(left);
            left -= take;
            (take > 0).then(|| piece.slice(skip..skip + take))
        });
        let zeros = self.left_out.saturating_sub(offset).min(count(bytes));
        let step = ZEROS.len();
        let zeros = (0..zeros).step_by(step).map(move |at| {
            let length = usize::try_from(zeros - at).unwrap_or(step).min(step);
            Bytes::from_static(&ZEROS[..length])
        });
        here.chain(zeros)
    }
}

impl FromIterator<Bytes> for State {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        let (mut all, mut end) = (Vec::new(), 0);
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            end += count(piece.len());
            all.push((end, piece));
        }
        Self { pieces: Arc::new(all), left_out: 0 }
    }
}

impl From<Bytes> for State {
    fn from(whole: Bytes) -> Self {
        Self::from_iter([whole])
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        if (self.len(), self.left_out) != (other.len(), other.left_out) {
            return false;
        }
        let (mut mine, mut theirs) = (self.pieces(), other.pieces());
        let (mut left, mut right): (&[u8], &[u8]) = (&[], &[]);
        loop {
            if left.is_empty() {
                let Some(next) = mine.next() else { return true };
                left = next;
            }
            if right.is_empty() {
                let Some(next) = theirs.next() else { return true };
                right = next;
            }
            let both = left.len().min(right.len());
            if left[..both] != right[..both] {
                return false;
            }
            (left, right) = (&left[both..], &right[both..]);
        }
    }
}

impl Eq for State {}

impl core::fmt::Debug for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}B{}", self.len(), if self.is_left_out() { " left out" } else { "" })
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_left_out() {
            return Err(S::Error::custom("the bytes of this state are left out"));
        }
        self.whole().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bytes::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::index;
    use alloc::vec;

    const TEXT: &[u8] = b"what a large state is made of";

    fn cut(every: usize) -> State {
        TEXT.chunks(every).map(Bytes::from_static).collect()
    }

    #[test]
    fn equal_bytes_are_equal_states_however_they_are_cut() {
        for (one, other) in [(1, 2), (3, 7), (5, 100), (100, 100)] {
            assert_eq!(cut(one), cut(other));
            assert_eq!(cut(one).whole(), Bytes::from_static(TEXT));
        }
        let mut damaged = TEXT.to_vec();
        damaged[20] ^= 1;
        assert_ne!(cut(4), State::from(Bytes::from(damaged)));
        assert_ne!(cut(4), TEXT[..28].chunks(4).map(Bytes::from_static).collect());
        assert_eq!((State::default(), State::default().len()), (State::from(Bytes::new()), 0));
    }

    #[test]
    fn a_state_that_is_left_out_is_as_long_in_zeros_and_equals_no_state_that_is_here() {
        let long = 3 * count(ZEROS.len()) + 7;
        let state = State::left_out(long);
        assert!(
            (state.len(), state.is_left_out(), state.is_empty()) == (long, true, false) && state.whole().is_empty()
        );
        assert_eq!(state, State::left_out(long));
        assert!(state != State::left_out(long - 1) && state != State::from(Bytes::from(vec![0; index(long)])));
        for (from, bytes) in [(0, 1), (0, usize::MAX), (long - 1, 9), (5, ZEROS.len()), (long, 3), (u64::MAX, 3)] {
            let found: Vec<u8> = state.range(from, bytes).flat_map(|piece| piece.to_vec()).collect();
            assert_eq!(count(found.len()), long.saturating_sub(from).min(count(bytes)));
            assert!(found.iter().all(|byte| *byte == 0));
        }
        assert!(!State::left_out(0).is_left_out() && State::left_out(0) == State::default());
    }

    #[test]
    fn a_range_is_the_same_bytes_however_the_state_is_cut() {
        for every in [1, 2, 3, 10, 100] {
            for from in 0..TEXT.len() + 2 {
                for bytes in [0, 1, 2, 5, 40] {
                    let found: Vec<u8> =
                        cut(every).range(count(from), bytes).flat_map(|piece| piece.to_vec()).collect();
                    let from = from.min(TEXT.len());
                    assert_eq!(found, TEXT[from..TEXT.len().min(from + bytes)]);
                }
            }
        }
    }
}
