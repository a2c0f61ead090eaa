//! Checkpoints at work: taken at the barrier, written down, the log cut behind them, lent to peers, fetched and
//! installed.
//!
//! Owns what each of these does to a replica. A checkpoint is named by content, the op and the hash of the entry at
//! it, so that whoever has it may give it, in whatever view; it holds committed ops only, and installing one makes
//! nobody normal in a view. Must not know statuses. Paper: VRR §5.1, §5.2; PROTOCOL 1.4 case C, 1.7, D32, D65 to D67.

use super::common::{Common, Out};
use super::shelf::{Next as Wanted, Part};
use super::witnesses;
use crate::action::{Action, Ignored, Note, Write};
use crate::checkpoint::{Checkpoint, Outline};
use crate::clients::ClientTable;
use crate::config::Config;
use crate::entry::{Entries, Entry, Predicted};
use crate::id::{Epoch, Op, ReplicaId, Time, count, index};
use crate::log::{Head, Log};
use crate::message::{CheckpointPart, MessageKind};
use crate::persist::Plain;
use crate::stored::Stored;
use crate::timer::Timer;
use alloc::boxed::Box;
use bytes::Bytes;

/// While somebody fetches a checkpoint the log behind it is kept, but no more than so many intervals of it.
const KEPT_INTERVALS: u64 = 8;
/// A part is asked for so many times before the question that led to it is asked anew.
const ATTEMPTS: u64 = 4;
/// What is not longer comes as fast as anything else.
const PATIENT_BYTES: u64 = 256 << 10;
/// A checkpoint that was asked for is kept for so many times the wait for a page.
const LENT_WAITS: u64 = 8;

/// The service gave its state after `op`, where it stands still: with the client table it is a checkpoint.
pub(super) fn taken(common: &mut Common, out: &mut Out, op: Op, state: Bytes, serving: bool) {
    if !common.execution.taken(op) {
        return;
    }
    if common.may_append() {
        let checkpoint = outline(common, op).with(state);
        keep(common, out, Box::new(checkpoint));
    }
    common.execute(out, serving);
}

/// What the checkpoint after `op` has beside the state, while nothing after it is executed.
pub(super) fn outline(common: &Common, op: Op) -> Outline {
    let entry = common.log.entry(op);
    let predicted = entry.map(Entry::predicted);
    let hash = common.log.hash(op).expect("what is executed is on the log until a checkpoint holds it");
    let predicted = predicted.expect("what is executed is on the log until a checkpoint holds it");
    let group = Some(&common.group).filter(|group| group.epoch() > Epoch::ZERO);
    Checkpoint::outline(Head { op, hash }, predicted, group, common.clients.encode())
}

/// What no checkpoint may be: the state that was set aside `then`, and the client table as it is now.
pub(super) fn of_now(common: &Common, then: &Checkpoint) -> Box<Checkpoint> {
    let table = common.clients.encode();
    let outline = Checkpoint::outline(then.head(), then.predicted(), then.group().as_ref(), table);
    Box::new(outline.with(then.state().clone()))
}

/// A checkpoint goes to the disk. When that is full, or the one before has to stay, it is dropped: the next one will do.
pub(super) fn keep(common: &mut Common, out: &mut Out, checkpoint: Box<Checkpoint>) {
    let (op, digest) = (checkpoint.op(), checkpoint.digest());
    if !common.may_append() || !witnesses::may_go_on(common) {
        return;
    }
    if common.rules.cuts_before_durable() {
        cut(common, out, op);
    }
    if !common.is_witness() {
        out.push(Action::Note(Note::CheckpointTaken { op, digest }));
    }
    let head = checkpoint.head();
    let id = common.persist(out, Write::Checkpoint(checkpoint.clone()));
    common.shelf.write(id, checkpoint);
    witnesses::written(common, id, head);
}

/// The disk moved on: the log behind what it holds may go (VRR §5.1).
pub(super) fn settle(common: &mut Common, out: &mut Out) {
    let Common { shelf, pending, .. } = &mut *common;
    if let Some(op) = shelf.persisted(|id| pending.is_durable(id)) {
        if !common.is_witness() {
            out.push(Action::Note(Note::CheckpointDurable { op }));
        }
        cut(common, out, op);
    }
}

/// Gives up the log behind the checkpoint at `durable`, but for one interval, in which ordinary laggards find what
/// they miss, and for what somebody needs who fetches an older one.
pub(super) fn cut(common: &mut Common, out: &mut Out, durable: Op) {
    let durable = witnesses::limit(common, durable);
    let interval = u64::from(common.config.cluster.checkpoint_interval);
    let back = |intervals: u64| Op(durable.0.saturating_sub(interval.saturating_mul(intervals)));
    let lent = common.shelf.lent_op(common.now).unwrap_or(durable);
    let through = back(1).min(lent.max(back(KEPT_INTERVALS)));
    if through > common.log.base().op {
        common.log.cut(through);
        common.persist(out, Write::Cut { through });
        out.push(Action::Note(Note::LogCut { through }));
    }
}

/// The checkpoint to offer to somebody who shares nothing with our log, if it lies at `upto` or before. A witness needs none,
/// and has none.
pub(super) fn offered(common: &mut Common, upto: Op, to: ReplicaId) -> Option<Head> {
    if common.group.is_witness(to) {
        return witnesses::offered(common, upto);
    }
    if !common.rules.lends_checkpoints(common.is_witness()) {
        return None;
    }
    let (base, now) = (common.log.base().op, common.now);
    let offered = common.shelf.offered(base, now, kept_until(common))?;
    Some(offered).filter(|head| head.op <= upto && common.log.contains(*head))
}

/// What was predicted for the last op of the log: time goes on from there (PROTOCOL D100).
pub(super) fn predicted(common: &Common) -> Predicted {
    let head = common.log.head();
    let founded = common.shelf.newest().filter(|newest| newest.head() == head).map(Checkpoint::predicted);
    common.log.entry(head.op).map(Entry::predicted).or(founded).unwrap_or_default()
}

/// The service became what it was told to become.
pub(super) fn restored(common: &mut Common, out: &mut Out, op: Op, serving: bool) {
    if common.execution.restored(op) {
        common.execute(out, serving);
    }
}

// ---- giving and asking

fn kept_until(common: &Common) -> Time {
    let longest = common.shelf.newest().map_or(0, Checkpoint::length).min(count(common.part_bytes()));
    common.now.after(common.config.timeouts.fetch.times(LENT_WAITS * (1 + longest / PATIENT_BYTES)))
}

/// VRR §5.2: a part of a checkpoint, for whoever asks for it by name.
pub(super) fn serve(common: &mut Common, out: &mut Out, from: ReplicaId, head: Head, offset: u64) {
    let (bytes, now, until) = (common.part_bytes(), common.now, kept_until(common));
    let lends = common.rules.lends_checkpoints(common.is_witness());
    match common.shelf.part((head, offset), bytes, now, until).filter(|_| lends) {
        Some(part) => common.send(out, from, Plain::checkpoint_part(part)),
        None => common.ignore(out, from, MessageKind::GetCheckpoint, Ignored::Unknown),
    }
}

/// Asks for the checkpoint at `head`, which `of` has.
pub(super) fn want(common: &mut Common, out: &mut Out, head: Head, of: ReplicaId) {
    // What a later epoch begins with comes first.
    if !common.epochs.is_joining() {
        common.shelf.want(head, of);
        ask(common, out);
    }
}

/// A long part is waited for so many times as long as anything else.
pub(super) fn patience(common: &Common) -> u64 {
    let left = common.shelf.next().map_or(0, |next| next.left);
    1 + left.min(count(common.part_bytes())) / PATIENT_BYTES
}

/// Asks for the next part, and, where they are long, for the one that will follow it.
pub(super) fn ask(common: &mut Common, out: &mut Out) {
    if let Some(next) = common.shelf.next() {
        ask_for(common, out, &next, [Some(next.offset), next.then]);
    }
}

/// A part is here: the next one is asked for, unless it was with this one; then that which follows it.
fn ask_on(common: &mut Common, out: &mut Out) {
    if let Some(next) = common.shelf.next() {
        let first = Some(next.offset).filter(|_| !next.is_asked);
        ask_for(common, out, &next, [first, next.then]);
    }
}

fn ask_for(common: &mut Common, out: &mut Out, next: &Wanted, offsets: [Option<u64>; 2]) {
    for offset in offsets.into_iter().flatten() {
        common.send(out, next.of, Plain::get_checkpoint(next.head, offset));
        out.push(Action::Note(Note::AskedForCheckpoint { of: next.of, op: next.head.op, offset }));
    }
    // What a later epoch begins with has a timer of its own: this one may be that of a question in ours.
    if !common.epochs.is_joining() {
        let patience = patience(common);
        common.timers.arm(Timer::Fetch, common.now.after(common.config.timeouts.fetch.times(patience)));
    }
}

/// The part did not come: it is asked for again, then of another replica. False when no part is waited for, or it was
/// asked for often enough: the question that led here has to be asked anew.
pub(super) fn retry(common: &mut Common, out: &mut Out) -> bool {
    if common.epochs.is_joining() {
        return false;
    }
    if common.shelf.next().is_some_and(|next| next.head.op <= common.log.op()) {
        common.shelf.stop();
    }
    let Some(attempts) = common.shelf.failed().filter(|attempts| !attempts.is_multiple_of(ATTEMPTS)) else {
        return false;
    };
    if let Some(next) = common.shelf.next().filter(|_| attempts > 1 && common.rules.asks_another()) {
        let another = witnesses::another_lender(common, attempts);
        common.shelf.want(next.head, another);
    }
    ask(common, out);
    true
}

/// What a part that came in is good for.
pub(super) enum Took {
    /// For nothing: it was not waited for, or the next one is.
    Nothing,
    /// For the next question: more is on its way.
    More,
    /// For asking anew, whoever sent it: the checkpoint is gone there, or its parts did not fit.
    Gone,
    /// It was the last one.
    Whole(Box<Checkpoint>),
}

/// A part came in.
pub(super) fn take(common: &mut Common, out: &mut Out, from: ReplicaId, part: &CheckpointPart) -> Took {
    let (took, ignored) = match common.shelf.take(common.rules, part) {
        Part::NotAsked => (Took::Nothing, Some(Ignored::NotAsked)),
        Part::Duplicate => (Took::Nothing, Some(Ignored::Duplicate)),
        Part::Malformed => (Took::Gone, Some(Ignored::Malformed)),
        Part::Gone => (Took::Gone, None),
        Part::More => (Took::More, None),
        Part::Whole(checkpoint) if table_of(common, &checkpoint).is_some() => (Took::Whole(checkpoint), None),
        Part::Whole(_) => (Took::Gone, Some(Ignored::Malformed)),
    };
    if let Some(why) = ignored {
        common.ignore(out, from, MessageKind::CheckpointPart, why);
    }
    if matches!(took, Took::More) {
        ask_on(common, out);
    }
    took
}

fn table_of(common: &Common, checkpoint: &Checkpoint) -> Option<ClientTable> {
    ClientTable::decode(checkpoint.sessions(), capacity(&common.config))
}

fn capacity(config: &Config) -> usize {
    index(u64::from(config.cluster.client_capacity))
}

/// The client table that a disk begins with; `None` when its log does not go on from the checkpoint that it holds, or
/// that cannot be read.
pub(super) fn table_on(config: &Config, stored: &Stored) -> Option<ClientTable> {
    match &stored.checkpoint {
        Some(checkpoint) if stored.log.contains(checkpoint.head()) => {
            ClientTable::decode(checkpoint.sessions(), capacity(config))
        }
        None if stored.log.base().op == Op::ZERO => Some(ClientTable::new(capacity(config))),
        Some(_) | None => None,
    }
}

// ---- installing

/// The checkpoint is what the log of our view begins with from now on, and the service stands there: one atomic record.
pub(super) fn found(common: &mut Common, out: &mut Out, checkpoint: &Checkpoint) {
    let (view, entries) = (common.view(), Entries::empty());
    common.log = Log::new(checkpoint.head());
    common.pending.cut(Op::ZERO);
    common.persist(out, Write::Install { checkpoint: Box::new(checkpoint.clone()), entries, view });
    common.pending.log_view_issued();
    common.log_view = view;
    common.appended();
    let interval = u64::from(common.config.cluster.checkpoint_interval);
    let barrier = common.rules.barrier_after(checkpoint.op(), interval, u64::from(common.config.me.0));
    common.execution.founded(barrier);
    common.timers.cancel(Timer::Fetch);
}

/// The checkpoint, then `entries`, is the log of our view from now on: one atomic record. The service and the client
/// table skip to it, whatever they are at.
pub(super) fn install(common: &mut Common, out: &mut Out, checkpoint: Box<Checkpoint>, entries: Entries) {
    let (op, digest, view) = (checkpoint.op(), checkpoint.digest(), common.view());
    common.log = Log::new(checkpoint.head());
    common.log.append(entries.clone());
    common.pending.cut(Op::ZERO);
    let id = common.persist(out, Write::Install { checkpoint: checkpoint.clone(), entries, view });
    witnesses::written(common, id, checkpoint.head());
    common.pending.log_view_issued();
    common.log_view = view;
    common.appended();
    out.push(Action::Note(Note::CheckpointInstalled { op, digest }));
    if !common.is_witness() {
        restore(common, out, &checkpoint);
    }
    common.shelf.installed(checkpoint);
    common.timers.cancel(Timer::Fetch);
    common.commit_to(out, op, false);
}

/// The service and the client table become what they are in it.
fn restore(common: &mut Common, out: &mut Out, checkpoint: &Checkpoint) {
    let (op, interval) = (checkpoint.op(), u64::from(common.config.cluster.checkpoint_interval));
    let table = table_of(common, checkpoint).filter(|_| common.rules.restores_table());
    common.clients = table.unwrap_or_else(|| ClientTable::new(capacity(&common.config)));
    let barrier = common.rules.barrier_after(op, interval, u64::from(common.config.me.0));
    let told = common.rules.restores_service();
    common.execution.restore(op, barrier, told);
    if told {
        out.push(Action::Restore(Box::new(checkpoint.clone())));
    }
}

#[cfg(test)]
mod tests;
