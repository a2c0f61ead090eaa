//! An ordered map whose copies share what neither has changed: a copy costs a count for every few hundred keys, and whoever
//! writes afterwards copies one shard, once.
//!
//! Owns how keys lie in shards. Must not know what is in the map, or why somebody copies it.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

/// A shard with more keys than this becomes two.
const SHARD_MAX: usize = 256;

/// Keys, in shards by what they begin after: the first shard begins with the empty key.
#[derive(Clone, Debug)]
pub(super) struct Shards<V> {
    shards: BTreeMap<Bytes, Arc<BTreeMap<Bytes, V>>>,
}

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self { shards: BTreeMap::from([(Bytes::new(), Arc::default())]) }
    }
}

impl<V: PartialEq> PartialEq for Shards<V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<V: Eq> Eq for Shards<V> {}

impl<V> Shards<V> {
    fn shard(&self, key: &[u8]) -> Option<&Arc<BTreeMap<Bytes, V>>> {
        self.shards.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back().map(|(_, shard)| shard)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        self.shard(key)?.get(key)
    }

    /// The key as it is kept.
    pub(super) fn key(&self, key: &[u8]) -> Option<&Bytes> {
        self.shard(key)?.get_key_value(key).map(|(key, _)| key)
    }

    /// All keys with their values, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, &V)> {
        self.shards.values().flat_map(|shard| shard.iter())
    }

    /// Those from there on, in order.
    pub(super) fn from<'a>(&'a self, from: Bound<&'a [u8]>) -> impl Iterator<Item = (&'a Bytes, &'a V)> {
        let (Bound::Included(key) | Bound::Excluded(key)) = from else { unreachable!("a list begins somewhere") };
        let first = self.shards.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        let first = first.map(|(begin, _)| begin);
        let shards = first.into_iter().flat_map(|first| self.shards.range(first.clone()..));
        shards.flat_map(move |(_, shard)| shard.range::<[u8], _>((from, Bound::Unbounded)))
    }
}

impl<V: Clone> Shards<V> {
    /// Sets a key; gives what it had.
    pub(super) fn insert(&mut self, key: Bytes, value: V) -> Option<V> {
        let (_, shard) = self.shards.range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(&key[..]))).next_back()?;
        let shard = Arc::make_mut(shard);
        match shard.entry(key) {
            Entry::Occupied(mut entry) => Some(entry.insert(value)),
            Entry::Vacant(entry) => {
                entry.insert(value);
                if shard.len() > SHARD_MAX
                    && let Some(middle) = shard.keys().nth(SHARD_MAX / 2).cloned()
                {
                    let rest = shard.split_off(&middle);
                    self.shards.insert(middle, Arc::new(rest));
                }
                None
            }
        }
    }

    /// Removes a key; gives what it had.
    pub(super) fn remove_entry(&mut self, key: &[u8]) -> Option<(Bytes, V)> {
        self.get(key)?;
        let (begin, shard) = self.shards.range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        let shard = Arc::make_mut(shard);
        let removed = shard.remove_entry(key);
        if shard.is_empty() && !begin.is_empty() {
            let begin = begin.clone();
            self.shards.remove(&begin);
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Bytes {
        Bytes::from(format!("{number:05}"))
    }

    #[test]
    fn it_holds_what_an_ordinary_map_holds_and_a_copy_keeps_what_it_held() {
        let (mut shards, mut plain, mut dice) = (Shards::default(), BTreeMap::new(), 1u64);
        let mut copies = Vec::new();
        for round in 0..30_000u64 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = key((dice >> 33) % 3_000);
            if (dice >> 20) % 3 == 0 && round < 20_000 || round >= 28_000 {
                assert_eq!(shards.remove_entry(&key), plain.remove_entry(&key));
            } else {
                assert_eq!(shards.insert(key.clone(), round), plain.insert(key, round));
            }
            if round % 5_000 == 0 {
                copies.push((shards.clone(), plain.clone()));
            }
        }
        copies.push((shards, plain));
        for (shards, plain) in &copies {
            assert!(shards.iter().eq(plain.iter()));
            for number in (0..3_000).step_by(97) {
                let key = key(number);
                assert_eq!(
                    (shards.get(&key), shards.key(&key)),
                    (plain.get(&key), plain.get_key_value(&key).map(|it| it.0))
                );
                for from in [Bound::Included(&key[..]), Bound::Excluded(&key[..])] {
                    assert!(shards.from(from).eq(plain.range::<[u8], _>((from, Bound::Unbounded))));
                }
            }
        }
    }

    #[test]
    fn what_is_emptied_holds_nothing_and_takes_keys_again() {
        let mut shards = Shards::default();
        for number in 0..2_000 {
            shards.insert(key(number), number);
        }
        assert!(shards.shards.len() > 1);
        for number in 0..2_000 {
            assert_eq!(shards.remove_entry(&key(number)), Some((key(number), number)));
        }
        assert_eq!((shards.iter().count(), shards.shards.len()), (0, 1));
        assert_eq!((shards.insert(key(7), 7), shards.get(&key(7))), (None, Some(&7)));
    }
}
