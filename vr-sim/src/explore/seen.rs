//! A table of keys of 128 bits, each with a number: what was seen before, and when.
//!
//! Owns open addressing over hashes that are good already, so that a look-up is one access to memory. Must not know
//! what the keys stand for.

/// How many slots there are at first.
const FIRST: usize = 1 << 10;

/// Keys and numbers. The key 0 stands for an empty slot; hashes are not 0.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    keys: Vec<u128>,
    numbers: Vec<u32>,
    count: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self { keys: vec![0; FIRST], numbers: vec![0; FIRST], count: 0 }
    }
}

impl Seen {
    /// How many keys are in it.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    fn slot(&self, key: u128) -> usize {
        let mask = self.keys.len() - 1;
        let low = u64::try_from(key & u128::from(u64::MAX)).expect("masked to 64 bits");
        let mut at = usize::try_from(low).unwrap_or(0) & mask;
        while self.keys[at] != 0 && self.keys[at] != key {
            at = (at + 1) & mask;
        }
        at
    }

    /// The number of a key.
    pub(super) fn get(&self, key: u128) -> Option<u32> {
        let at = self.slot(key.max(1));
        (self.keys[at] != 0).then(|| self.numbers[at])
    }

    /// Gives a key its number, unless it has one. True if it had none.
    pub(super) fn insert(&mut self, key: u128, number: u32) -> bool {
        let at = self.slot(key.max(1));
        if self.keys[at] != 0 {
            return false;
        }
        (self.keys[at], self.numbers[at]) = (key.max(1), number);
        self.count += 1;
        if self.count * 2 > self.keys.len() {
            self.grow();
        }
        true
    }

    fn grow(&mut self) {
        let room = self.keys.len() * 2;
        let old = std::mem::replace(self, Self { keys: vec![0; room], numbers: vec![0; room], count: self.count });
        for (key, number) in old.keys.into_iter().zip(old.numbers).filter(|(key, _)| *key != 0) {
            let at = self.slot(key);
            (self.keys[at], self.numbers[at]) = (key, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_is_found_with_its_first_number_and_nothing_else_is() {
        let mut seen = Seen::default();
        for number in 0..5000u32 {
            assert!(seen.insert(u128::from(number) << 7, number), "{number}");
        }
        assert!(!seen.insert(7 << 7, 9));
        assert_eq!((seen.get(7 << 7), seen.get(0), seen.get(1 << 100)), (Some(7), Some(0), None));
        assert_eq!(seen.len(), 5000);
    }
}
