//! Groups with witnesses: who is one, what the full members say of their checkpoints, and how far any log goes therefore.
//!
//! Owns the news and what they allow. Must not know statuses, nor how a log is cut. Paper: VRR §6.1; PROTOCOL 1.10, D103.
//!
//! A witness logs and votes and has no state. With f members failed one full member may be left, and its state an old one:
//! what it lacks is in the logs of the others, witnesses among them, or nowhere. So *every* log of such a group, those of
//! full members too, begins at or before a checkpoint that f + 1 full members have on their disks, of which one is left:
//!
//! - a full member needs no log from before its own checkpoint. The one that is left has one at or after the beginning of
//!   every log; whoever else is left gets it from there, and goes on with any log;
//! - a witness that is behind where a log begins goes on from there without a state: that is as good as having cut its own
//!   log there. Only a full member that fetched a checkpoint begins where perhaps nobody else has one: as long as it does
//!   not know better it tells no witness, and takes no further checkpoint, so that its disk says which it is: whose log
//!   begins before its checkpoint has cut it. Of the quorum that committed what a witness lacks one is left, and has that
//!   in a log that begins where it may.
//!
//! Full members say which checkpoint is durable when it is, and everybody every few heartbeats which one enough have. Who
//! hears it may rely on it for ever, as a disk keeps its newest checkpoint (S18), and may pass it on. What is known is not
//! written down, but for where the own log begins.

use super::common::{Common, Out};
use crate::action::To;
use crate::checkpoint::Checkpoint;
use crate::entry::Predicted;
use crate::id::{Op, ReplicaId, WriteId, count};
use crate::log::Head;
use crate::message::CheckpointDurable;
use crate::persist::Promise;
use crate::quorum::{ReplicaSet, faults_tolerated};
use crate::timer::Timer;
use alloc::boxed::Box;
use bytes::Bytes;

/// The news are repeated every so many heartbeats.
const REPEATED_BEATS: u64 = 8;

/// What a witness has in place of a checkpoint: where its log begins, and no state.
pub(super) fn bare(head: Head) -> Box<Checkpoint> {
    Box::new(Checkpoint::new(head, Predicted::default(), Bytes::new(), Bytes::new()))
}

// ---- who has what

/// A life begins: news are repeated in it.
pub(super) fn begin(common: &mut Common) {
    if common.has_witnesses() {
        let wait = common.config.timeouts.heartbeat.times(REPEATED_BEATS);
        common.timers.arm(Timer::Checkpoint, common.now.after(wait));
    }
}

/// A checkpoint of ours is on its way to the disk.
pub(super) fn written(common: &mut Common, id: WriteId, head: Head) {
    if common.has_witnesses() {
        common.holders.write(id, head);
    }
}

/// What is durable here and, as far as we know, on enough disks.
pub(super) fn say(common: &mut Common, out: &mut Out, to: To) {
    let (id, own) = common.holders.durable().unwrap_or_default();
    let head = if common.is_witness() { Head::default() } else { own };
    let news = CheckpointDurable { head, held: held(common) };
    let proof = common.pending.proof_of(id).filter(|_| news != CheckpointDurable::default());
    if let Some(proof) = proof {
        common.send_promise(out, to, Promise::checkpoint_durable(news, &proof));
    }
}

/// Somebody may not have heard. `speaks`: who asks for its memory is silent.
pub(super) fn on_timer(common: &mut Common, out: &mut Out, speaks: bool) {
    if speaks {
        say(common, out, To::Others);
    }
    begin(common);
}

/// The newest checkpoint that enough full members have on their disks; op 0 for none.
pub(super) fn held(common: &Common) -> Head {
    let known = common.holders.held_by(common.rules.holders_needed(faults_tolerated(common.members())));
    let base = common.log.base();
    // A log that was cut says so itself, and the log of a witness always does.
    let says_so = common.is_witness() || base.op < common.shelf.op();
    if says_so && base.op > known.op { base } else { known }
}

/// So far a log may go of which `durable` is the checkpoint on the own disk.
pub(super) fn limit(common: &Common, durable: Op) -> Op {
    if !common.has_witnesses() || (common.rules.cuts_by_own_checkpoint() && !common.is_witness()) {
        return durable;
    }
    durable.min(held(common).op)
}

// ---- who is behind

/// Where a witness may begin that lacks what our log begins with, if it lies at `upto` or before.
pub(super) fn offered(common: &Common, upto: Op) -> Option<Head> {
    let known = Some(held(common)).filter(|head| head.op > Op::ZERO);
    known.filter(|head| head.op <= upto.min(common.commit()) && common.log.contains(*head))
}

/// A witness asks for something: where its log may begin is said first.
pub(super) fn say_to(common: &mut Common, out: &mut Out, to: ReplicaId) {
    if common.group.is_witness(to) {
        say(common, out, To::One(to));
    }
}

/// May a log begin there, as far as we know? A page also begins where an earlier question ended, which means nothing of the
/// kind.
pub(super) fn may_begin(common: &Common, base: Head) -> bool {
    base.op <= held(common).op
}

/// May our checkpoint give way to a later one? Not while the log begins with one that we do not know enough others to have.
pub(super) fn may_go_on(common: &Common) -> bool {
    let base = common.log.base();
    !common.has_witnesses() || base.op < common.shelf.op() || may_begin(common, base)
}

/// What one of `members` could lend us if the log we want begins after all we have: the newest checkpoint that we know a full
/// one to have (D103e).
pub(super) fn lendable(common: &Common, mut members: ReplicaSet) -> Option<Head> {
    members.remove(common.me);
    let known = common.holders.newest_of(members);
    Some(known).filter(|head| head.op > common.commit() && common.rules.names_lenders())
}

/// Whom to ask for the checkpoint that `of` said its log begins with: who has it, if that one has no state.
pub(super) fn lender(common: &Common, head: Head, of: ReplicaId) -> ReplicaId {
    let holder = common.holders.holder_of(head).filter(|_| common.group.is_witness(of));
    holder.map_or(of, |at| common.group.around(at.index()))
}

/// Whom to ask for a checkpoint next: never a witness (D103d).
pub(super) fn another_lender(common: &Common, attempts: u64) -> ReplicaId {
    let mut others = (0..count(common.members())).map(|step| common.another(attempts.saturating_add(step)));
    let lender = others.find(|id| !common.group.is_witness(*id));
    lender.unwrap_or_else(|| common.another(attempts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::clients::ClientTable;
    use crate::config::{ClusterConfig, Config};
    use crate::id::{ClusterId, Hash, Instance, Time};
    use crate::message::Body;
    use crate::stored::Stored;
    use alloc::vec::Vec;

    /// Replica 0 of three, of which 2 is a witness.
    fn member() -> Common {
        let cluster = ClusterConfig::of_size(ClusterId(1), 3).with_witnesses(&[ReplicaId(2)]);
        let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(1));
        Common::new(Config::new(cluster, ReplicaId(0)), disk, ClientTable::new(8), Time::ZERO)
    }

    #[test]
    fn a_witness_that_asks_is_told_first_what_is_durable_and_nobody_else_is() {
        let (mut common, head) = (member(), Head { op: Op(8), hash: Hash(1) });
        let told = |common: &mut Common, to| {
            let mut out = Vec::new();
            say_to(common, &mut out, ReplicaId(to));
            let news = |action: &Action| {
                let Action::Send { to: To::One(to), message } = action else { return None };
                if let Body::CheckpointDurable(news) = &message.body { Some((to.0, news.head)) } else { None }
            };
            out.iter().filter_map(news).collect::<Vec<_>>()
        };
        assert_eq!(told(&mut common, 2), [], "there is no news");
        let id = common.pending.issue();
        written(&mut common, id, head);
        assert_eq!(told(&mut common, 2), [], "it is not on the disk");
        assert!(common.pending.persisted(id));
        let Common { holders, pending, .. } = &mut common;
        assert_eq!(holders.persisted(|id| pending.is_durable(id)), Some(head));
        assert_eq!((told(&mut common, 1), told(&mut common, 2)), (Vec::new(), alloc::vec![(2, head)]));
    }
}
