//! Groups with witnesses: logs go when enough full members have a checkpoint, and a witness that is behind goes on from there.
//!
//! Owns what the news of `witnesses` make a log do. Must not know statuses. Paper: VRR §6.1; PROTOCOL 1.10, D103.

use super::common::{Common, Out};
use super::{checkpoints, witnesses};
use crate::action::{Ignored, To};
use crate::id::ReplicaId;
use crate::message::{CheckpointDurable, MessageKind, Tail};

/// The disk moved on: what a full member has there now is said, unless it is to be silent.
pub(super) fn persisted(common: &mut Common, out: &mut Out, speaks: bool) {
    let Common { holders, pending, .. } = &mut *common;
    let Some(head) = holders.persisted(|id| pending.is_durable(id)) else { return };
    if !common.is_witness() {
        common.holders.learn(common.me, head);
        if speaks {
            witnesses::say(common, out, To::Others);
        }
    }
    release(common, out);
}

/// A member has this checkpoint, or a later one by now, and says that enough have that one. A witness has none.
pub(super) fn heard(common: &mut Common, out: &mut Out, from: ReplicaId, news: CheckpointDurable) {
    if learn(common, out, from, news) {
        release(common, out);
    }
}

/// [`heard`], by somebody whose log is about to be another one.
pub(super) fn learn(common: &mut Common, out: &mut Out, from: ReplicaId, news: CheckpointDurable) -> bool {
    let Some(place) = common.group.position(from).filter(|_| common.has_witnesses()) else {
        common.ignore(out, from, MessageKind::CheckpointDurable, Ignored::WrongRole);
        return false;
    };
    if !common.group.is_witness(from) {
        common.holders.learn(place, news.head);
    }
    common.holders.told(news.held);
    true
}

/// Enough may have what one more has: logs go. Where that of a witness may begin is written first.
fn release(common: &mut Common, out: &mut Out) {
    if common.is_witness() {
        let head = witnesses::held(common);
        let is_new = head.op > common.shelf.op() && head.op <= common.commit() && common.log.contains(head);
        if is_new && !common.holders.is_writing() {
            checkpoints::keep(common, out, witnesses::bare(head));
        }
    } else if let Some((_, own)) = common.holders.durable() {
        checkpoints::cut(common, out, own.op);
    }
}

/// A witness goes on from where somebody's log begins: there is no state to fetch.
pub(super) fn adopt(common: &mut Common, out: &mut Out, tail: &Tail) {
    checkpoints::install(common, out, witnesses::bare(tail.base), tail.entries.clone());
}
