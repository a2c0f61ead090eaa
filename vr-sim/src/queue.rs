//! What happens next: a heap of moments over a slab of happenings.
//!
//! Owns order: by time, then by when it was scheduled. Sixteen bytes move in the heap, whatever is scheduled.
//! Must not know what is scheduled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use vr_core::Time;

/// Things to come.
#[derive(Clone, Debug)]
pub struct Queue<T> {
    /// When; which one, counted up, above the place in the slab.
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    scheduled: u64,
}

const PLACE_BITS: u32 = 24;

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slab: Vec::new(), free: Vec::new(), scheduled: 0 }
    }
}

impl<T> Queue<T> {
    /// Schedules `what`.
    ///
    /// # Panics
    /// When sixteen million things wait at once.
    pub fn push(&mut self, at: Time, what: T) {
        let place = if let Some(place) = self.free.pop() {
            self.slab[index(place)] = Some(what);
            place
        } else {
            self.slab.push(Some(what));
            u32::try_from(self.slab.len() - 1).expect("a run stays small")
        };
        assert!(place < 1 << PLACE_BITS, "a run stays small");
        self.scheduled += 1;
        self.heap.push(Reverse((at.0, self.scheduled << PLACE_BITS | u64::from(place))));
    }

    /// When the next one is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| Time(*at))
    }

    /// Takes the next one.
    ///
    /// # Panics
    /// Never.
    pub fn pop(&mut self) -> Option<(Time, T)> {
        let Reverse((at, key)) = self.heap.pop()?;
        let place = u32::try_from(key & ((1 << PLACE_BITS) - 1)).expect("masked to 24 bits");
        let what = self.slab[index(place)].take().expect("a scheduled thing is in its place");
        self.free.push(place);
        Some((Time(at), what))
    }

    /// Everything that waits, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slab.iter().flatten()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
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
}
