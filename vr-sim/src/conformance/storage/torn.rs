//! Which disks a power cut may leave of writes that were on their way.
//!
//! Owns that question: the fold of a prefix, and perhaps the first entries of one more append. PROTOCOL F5; must not
//! know media.

use std::ops::RangeInclusive;
use vr_core::{Stored, Write};

/// Is it the fold of so many writes, or of so many and the first entries of the next?
pub(super) fn fits(folds: &[Stored], writes: &[Write], counts: RangeInclusive<usize>, found: &Stored) -> bool {
    counts.clone().any(|count| {
        let Some(fold) = folds.get(count) else { return false };
        let next = writes.get(count).filter(|_| count < *counts.end());
        fold == found || next.is_some_and(|next| is_torn(fold, next, found))
    })
}

fn is_torn(fold: &Stored, next: &Write, found: &Stored) -> bool {
    let pieces = Stored::entries_of(next).map_or(0, vr_core::Entries::len);
    (1..pieces).any(|piece| {
        let mut torn = fold.clone();
        torn.apply_torn(next.clone(), piece);
        torn == *found
    })
}
