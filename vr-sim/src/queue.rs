//! What happens next: moments in order, over a slab of happenings.
//!
//! Owns order: by time, then by when it was scheduled. A heap holds any moment; lanes hold those that are scheduled in
//! the order in which they are due, as most are: messages of equal latency, syncs, upcalls. Sixteen bytes move,
//! whatever is scheduled. Must not know what is scheduled.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use vr_core::Time;

/// When; which one, counted up, above its place in the slab.
type Key = (u64, u64);

/// Things to come.
#[derive(Clone, Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Key>>,
    lanes: [VecDeque<Key>; LANES],
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    scheduled: u64,
}

/// How many lanes there are.
pub const LANES: usize = 3;
const PLACE_BITS: u32 = 24;

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let lanes = std::array::from_fn(|_| VecDeque::new());
        Self { heap: BinaryHeap::new(), lanes, slab: Vec::new(), free: Vec::new(), scheduled: 0 }
    }
}

impl<T> Queue<T> {
    /// Schedules `what`.
    pub fn push(&mut self, at: Time, what: T) {
        let key = self.place(at, what);
        self.heap.push(Reverse(key));
    }

    /// Schedules `what`, which is probably due after everything in this lane.
    pub fn push_last(&mut self, lane: usize, at: Time, what: T) {
        let key = self.place(at, what);
        let lane = &mut self.lanes[lane];
        if lane.back().is_none_or(|last| *last < key) {
            lane.push_back(key);
        } else {
            self.heap.push(Reverse(key));
        }
    }

    /// # Panics
    /// When sixteen million things wait at once.
    fn place(&mut self, at: Time, what: T) -> Key {
        let place = if let Some(place) = self.free.pop() {
            self.slab[index(place)] = Some(what);
            place
        } else {
            self.slab.push(Some(what));
            u32::try_from(self.slab.len() - 1).expect("a run stays small")
        };
        assert!(place < 1 << PLACE_BITS, "a run stays small");
        self.scheduled += 1;
        (at.0, self.scheduled << PLACE_BITS | u64::from(place))
    }

    /// The earliest key, and its lane; beyond the last one is the heap.
    fn earliest(&self) -> Option<(Key, usize)> {
        let mut earliest = self.heap.peek().map(|Reverse(key)| (*key, LANES));
        for (at, lane) in self.lanes.iter().enumerate() {
            if let Some(key) = lane.front()
                && earliest.is_none_or(|(other, _)| *key < other)
            {
                earliest = Some((*key, at));
            }
        }
        earliest
    }

    /// When the next one is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        self.earliest().map(|((at, _), _)| Time(at))
    }

    /// Takes the next one.
    ///
    /// # Panics
    /// Never.
    pub fn pop(&mut self) -> Option<(Time, T)> {
        let ((at, key), lane) = self.earliest()?;
        match self.lanes.get_mut(lane) {
            Some(lane) => drop(lane.pop_front()),
            None => drop(self.heap.pop()),
        }
        let place = u32::try_from(place_in((at, key))).expect("24 bits");
        let what = self.slab[index(place)].take().expect("a scheduled thing is in its place");
        self.free.push(place);
        Some((Time(at), what))
    }

    /// Everything that waits, in the order in which it is due. Slow: for people who look.
    #[must_use]
    pub fn in_order(&self) -> Vec<(Time, &T)> {
        let waiting = |key: &Key| self.slab[place_in(*key)].as_ref().map(|what| (Time(key.0), what));
        self.keys().iter().filter_map(waiting).collect()
    }

    /// Takes one of them by its place in that order, and when it was due. Slow: for people who act.
    ///
    /// # Panics
    /// Never.
    pub fn take_nth(&mut self, nth: usize) -> Option<(Time, T)> {
        let key = *self.keys().get(nth)?;
        self.heap.retain(|Reverse(other)| *other != key);
        self.lanes.iter_mut().for_each(|lane| lane.retain(|other| *other != key));
        let what = self.slab[place_in(key)].take()?;
        self.free.push(u32::try_from(place_in(key)).expect("24 bits"));
        Some((Time(key.0), what))
    }

    fn keys(&self) -> Vec<Key> {
        let heap = self.heap.iter().map(|Reverse(key)| *key);
        let mut keys: Vec<Key> = heap.chain(self.lanes.iter().flatten().copied()).collect();
        keys.sort_unstable();
        keys
    }

    /// Everything that waits, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slab.iter().flatten()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len() - self.free.len()
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Its place in the slab.
fn place_in((_, key): Key) -> usize {
    usize::try_from(key & ((1 << PLACE_BITS) - 1)).expect("masked to 24 bits")
}

fn index(place: u32) -> usize {
    usize::try_from(place).expect("an address has at least 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_by_time_and_at_the_same_time_in_the_order_they_were_scheduled() {
        let mut queue = Queue::default();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b'), (5, 'e')] {
            queue.push(Time(at), what);
        }
        assert_eq!(queue.next_at(), Some(Time(1)));
        assert_eq!(queue.pop(), Some((Time(1), 'a')));
        queue.push(Time(5), 'f');
        let rest: String = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(rest, "bcdef");
        assert!(queue.is_empty() && queue.slab.len() == 5, "places are used again");
    }

    #[test]
    fn what_waits_is_seen_in_order_and_can_be_taken_from_the_middle() {
        let mut queue = Queue::default();
        queue.push(Time(7), 'c');
        queue.push_last(0, Time(3), 'a');
        queue.push_last(0, Time(5), 'b');
        queue.push(Time(3), 'a');
        assert_eq!(queue.in_order(), [(Time(3), &'a'), (Time(3), &'a'), (Time(5), &'b'), (Time(7), &'c')]);
        assert_eq!(queue.take_nth(2), Some((Time(5), 'b')));
        assert_eq!(queue.take_nth(0), Some((Time(3), 'a')));
        assert_eq!(queue.take_nth(2), None);
        assert_eq!(queue.len(), 2);
        let rest: String = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(rest, "ac");
    }

    #[test]
    fn lanes_change_nothing_about_the_order() {
        let mut rng = crate::rng::Rng::fork(1, "queue");
        let (mut plain, mut laned) = (Queue::default(), Queue::default());
        for i in 0..2000u32 {
            let at = Time(u64::from(i / 3 + rng.below(20)));
            plain.push(at, i);
            match rng.below(4) {
                0 => laned.push(at, i),
                lane => laned.push_last(usize::try_from(lane - 1).unwrap(), at, i),
            }
            if rng.below(3) == 0 {
                assert_eq!(plain.next_at(), laned.next_at());
                assert_eq!(plain.pop(), laned.pop());
            }
        }
        assert_eq!(plain.len(), laned.len());
        while let Some(next) = plain.pop() {
            assert_eq!(Some(next), laned.pop());
        }
        assert!(laned.is_empty());
    }
}
