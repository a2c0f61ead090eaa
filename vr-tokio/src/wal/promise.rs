//! The promise record: incarnation, view and log_view in two slots, beside the log that holds them too.
//!
//! Owns the file `promises`: two sectors, written in turn, each with a sequence number and a sum. It is written after
//! the log is synced and synced before the promise is confirmed. So what it says was confirmed, the log never says
//! less unless it is damaged, and a torn slot is never the only record of a promise. PROTOCOL D40, D45; DESIGN 9.12.

use super::bytes::{Take, is_count, sum_holds, wide};
use super::checkpoints::{REFERENCE_BYTES, Reference};
use super::error::WalErrorKind;
use super::stamp::{STAMP_BYTES, Stamp};
use vr_core::{Epoch, Incarnation, Op, View};

/// The name of the file. It is the last one that a format makes: without it there is no log.
pub(crate) const PROMISES: &str = "promises";
/// Each slot has a sector of its own.
pub(crate) const SLOT_BYTES: usize = 4096;
const MAGIC: [u8; 8] = *b"vr-vow\r\n";
pub(super) const COVERED: usize = STAMP_BYTES + 9 * 8 + REFERENCE_BYTES;

/// What was promised, and how far the log was durable then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Promise {
    /// The newest slot has the larger one.
    pub(crate) sequence: u64,
    pub(crate) incarnation: Incarnation,
    pub(crate) view: View,
    pub(crate) log_view: View,
    /// Every record up to this one is durable.
    pub(crate) confirmed: u64,
    /// The last record that replaced the log or a part of it …
    pub(crate) replaced_by: u64,
    /// … and what it kept. A record that is lost and may have been that one is judged by this.
    pub(crate) kept: Op,
    /// The first segment that is needed.
    pub(crate) first_segment: u64,
    /// The newest checkpoint.
    pub(crate) checkpoint: Reference,
}

impl Promise {
    pub(crate) fn encode(&self, stamp: &Stamp) -> Vec<u8> {
        let slot = stamp
            .put(MAGIC)
            .u64(self.sequence)
            .u64(self.incarnation.0)
            .u64(self.view.epoch().0)
            .u64(self.view.0)
            .u64(self.log_view.0)
            .u64(self.confirmed)
            .u64(self.replaced_by)
            .u64(self.kept.0)
            .u64(self.first_segment);
        let mut slot = self.checkpoint.put(slot).sum(0).0;
        slot.resize(SLOT_BYTES, 0);
        slot
    }

    /// Where the slot with this sequence number lies.
    pub(crate) fn offset(&self) -> u64 {
        (self.sequence % 2) * wide(SLOT_BYTES)
    }

    /// Is this a slot of that number?
    pub(crate) fn is_whole(slot: &[u8], stamp: &Stamp, sequence: u64) -> bool {
        Self::decode(slot).is_ok_and(|(other, promise)| other == *stamp && promise.sequence == sequence)
    }

    fn decode(slot: &[u8]) -> Result<(Stamp, Self), (WalErrorKind, String)> {
        let stamp = Stamp::take(slot, MAGIC)?;
        let padded = slot.get(COVERED + 8..SLOT_BYTES).is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
        if !sum_holds(slot, COVERED, 0) || !padded {
            return Err((WalErrorKind::Promises, "the promise record does not check".to_owned()));
        }
        let mut rest = Take(&slot[STAMP_BYTES..]);
        let (sequence, incarnation, epoch) = (rest.u64(), Incarnation(rest.u64()), Epoch(rest.u64()));
        let promise = Self {
            sequence,
            incarnation,
            view: View(rest.u64()),
            log_view: View(rest.u64()),
            confirmed: rest.u64(),
            replaced_by: rest.u64(),
            kept: Op(rest.u64()),
            first_segment: rest.u64(),
            checkpoint: Reference::take(&mut rest),
        };
        if epoch != promise.view.epoch() {
            // They are one number: it was written by nobody (PROTOCOL D92).
            return Err((
                WalErrorKind::Promises,
                format!("the promise record is of epoch {epoch} and of view {}", promise.view),
            ));
        }
        let counts = [promise.sequence, promise.confirmed, promise.replaced_by, promise.first_segment];
        if !counts.into_iter().all(is_count) {
            return Err((WalErrorKind::Promises, "the promise record counts what was never written".to_owned()));
        }
        Ok((stamp, promise))
    }
}

/// What the file of promises gave.
#[derive(Debug)]
pub(crate) struct Vows {
    pub(crate) stamp: Stamp,
    pub(crate) newest: Promise,
    /// Where the other slot lies, when it does not check: it may have been the newer one.
    pub(crate) bad_slot: Option<u64>,
    /// An earlier version wrote one of them.
    pub(crate) is_old: bool,
}

/// Reads both slots.
pub(crate) fn read(file: &[u8]) -> Result<Vows, (u64, WalErrorKind, String)> {
    let slot = |at: usize| file.get(at..).map_or(&[][..], |rest| &rest[..rest.len().min(SLOT_BYTES)]);
    let (first, second) = (Promise::decode(slot(0)), Promise::decode(slot(SLOT_BYTES)));
    let is_old = Stamp::is_old(slot(0)) || Stamp::is_old(slot(SLOT_BYTES));
    match (first, second) {
        (Ok((stamp, a)), Ok((other, b))) if stamp == other => {
            Ok(Vows { stamp, newest: if a.sequence > b.sequence { a } else { b }, bad_slot: None, is_old })
        }
        (Ok(_), Ok(_)) => {
            let what = "the two promise records belong to different disks".to_owned();
            Err((wide(SLOT_BYTES), WalErrorKind::Promises, what))
        }
        (Ok((stamp, newest)), Err(_)) => Ok(Vows { stamp, newest, bad_slot: Some(wide(SLOT_BYTES)), is_old }),
        (Err(_), Ok((stamp, newest))) => Ok(Vows { stamp, newest, bad_slot: Some(0), is_old }),
        // Both do not check: the operator is told of another version only when both say so.
        (Err((a, what)), Err((b, _))) if a == b && a != WalErrorKind::Promises => Err((0, a, what)),
        (Err(_), Err(_)) => Err((0, WalErrorKind::Promises, "neither of the two promise records checks".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bytes::Put;
    use super::super::stamp::Identity;
    use super::super::writer::virgin;
    use super::*;
    use vr_core::{ClusterConfig, ClusterId, Instance, ReplicaId};

    #[test]
    fn a_promise_of_an_epoch_that_its_view_does_not_have_is_none() {
        let identity = Identity { cluster: ClusterConfig::of_size(ClusterId(1), 3), id: ReplicaId(0) };
        let stamp = Stamp::new(&identity, Instance(5));
        let promise = Promise { view: View::first_of(Epoch(3)), ..virgin(1) };
        let slot = promise.encode(&stamp);
        assert_eq!(Promise::decode(&slot).expect("it is whole"), (stamp, promise));
        let at = STAMP_BYTES + 16;
        assert_eq!(slot[at], 3, "the epoch stands here");
        let other = Put::default().bytes(&slot[..at]).u64(2).bytes(&slot[at + 8..COVERED]).sum(0);
        let mut other = other.0;
        other.resize(SLOT_BYTES, 0);
        assert!(Promise::decode(&other).is_err_and(|(kind, _)| kind == WalErrorKind::Promises));
    }
}
