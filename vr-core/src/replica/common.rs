//! What every status shares: the variables of VRR Figure 2, and the few ways to change or reveal them.
//!
//! Owns view, log, commit-number, execution, the pending disk, timers and the gate. The only place that raises
//! the commit-number, issues writes, and puts a header on a message. Must not know statuses. Paper: VRR §4.
//!
//! ```text
//! executed ≤ issued ≤ commit ≤ op        durable ≤ op        log_view ≤ view
//! ```

use super::execution::{Desk, Execution};
use super::grants::Grants;
use super::holders::Holders;
use super::news::Epochs;
use super::shelf::Shelf;
use super::snapshot::{Snapshot, StatusName};
use crate::action::{Action, EnterCause, HaltReason, Ignored, Note, Reply, To, Write};
use crate::checkpoint::Checkpoint;
use crate::clients::ClientTable;
use crate::config::{Config, Durability};
use crate::entry::Entries;
use crate::gate::Gate;
use crate::group::Group;
use crate::id::{
    Epoch, FetchId, Incarnation, Op, ReplicaId, RequestNumber, Session, Time, View, Wait, WriteId, count, index,
};
use crate::log::{Head, Log};
use crate::message::{Body, Header, MessageKind, Spare};
use crate::persist::{Durable, Pending, Plain, Promise};
use crate::quorum::{Position, ReplicaSet};
use crate::rules::Rules;
use crate::stored::Stored;
use crate::timer::{Timer, Timers};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Where actions go.
pub(super) type Out = Vec<Action>;

/// What a status asks for. A status never builds another status.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    Stay,
    /// The disk is whole again: go on where its promises and its log say.
    Resume,
    /// Do enough members want to leave the view?
    AskGate,
    Enter(View, EnterCause),
    /// The log of our view, which we lead, is durable.
    Lead {
        commit: Op,
    },
    /// The log of our view, which we do not lead, is here.
    Follow {
        commit: Op,
    },
    /// A later epoch has begun here, with a checkpoint after this op (VRR §7.1.1).
    Epoch(Op),
    /// Our epoch is over, and its end is on our log: what is left of it is to execute that (VRR §7.2).
    Leave(Op),
    Halt(HaltReason),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Common {
    pub(super) config: Config,
    pub(super) rules: Rules,
    /// The members of our epoch. Quorums, positions and primaries are asked of it alone.
    pub(super) group: Group,
    pub(super) me: Position,
    pub(super) quorum: usize,
    pub(super) now: Time,
    header: Header,
    /// The primary of `header.view`.
    primary: ReplicaId,
    pub(super) log_view: View,
    /// The last view in which this replica led or followed in this life: what clients are told.
    pub(super) normal_view: View,
    pub(super) log: Log,
    commit: Op,
    pub(super) execution: Execution,
    pub(super) shelf: Shelf,
    pub(super) epochs: Epochs,
    pub(super) holders: Holders,
    pub(super) clients: ClientTable,
    pub(super) pending: Pending,
    pub(super) timers: Timers,
    pub(super) gate: Gate,
    /// Since when there is no room on disk for more entries.
    pub(super) full_since: Option<Time>,
    pub(super) grants: Grants,
    fetches: FetchId,
    #[serde(skip)]
    pub(super) spare: Spare,
}

impl Common {
    /// What a replica is before its first event.
    pub(super) fn new(config: Config, stored: Stored, clients: ClientTable, at: Time) -> Self {
        let group = stored.checkpoint.as_ref().and_then(Checkpoint::group).unwrap_or_else(|| config.cluster.group());
        let group = if config.rules.witness_leads() { group.with_witnesses(ReplicaSet::EMPTY) } else { group };
        let me = group.place(config.me);
        let header = Header {
            config: stored.config,
            epoch: stored.view.epoch(),
            view: stored.view,
            from: config.me,
            instance: stored.instance,
            incarnation: stored.incarnation.next(),
            seq: crate::id::Seq::ZERO,
        };
        let begins = stored.checkpoint.as_ref().map_or(stored.log.base().op, Checkpoint::op);
        let (log, is_witness) = (stored.log, config.cluster.is_witness(config.me));
        let interval = u64::from(config.cluster.checkpoint_interval);
        let barrier = config.rules.barrier_after(begins, interval, u64::from(config.me.0));
        let length = config.cluster.lease.map_or(Wait::ZERO, |lease| lease.length);
        let lived_before = stored.incarnation != Incarnation::ZERO;
        let grants = Grants::new(length, config.rules.keeps_forgotten_promises(lived_before), at);
        let holders = Holders::of(&group, stored.checkpoint.as_ref().map(Checkpoint::head));
        Self {
            primary: group.primary(stored.view),
            rules: config.rules,
            me,
            quorum: config.rules.quorum(group.members().len()),
            now: at,
            header,
            log_view: stored.log_view,
            // What it led or followed before the crash is old news: until it is normal again it knows of no view.
            normal_view: View::ZERO,
            commit: begins,
            execution: if is_witness {
                Execution::default()
            } else {
                Execution::new(begins, interval, barrier, stored.checkpoint.is_some())
            },
            clients,
            pending: Pending::new(log.op()),
            timers: Timers::default(),
            gate: Gate::new(me, group.members().len()),
            full_since: None,
            grants,
            // Answers to an earlier life's questions are recognised as such.
            fetches: FetchId(header.incarnation.0 << 32),
            spare: Spare::default(),
            log,
            shelf: Shelf::new(stored.checkpoint),
            epochs: Epochs::default(),
            holders,
            group,
            config,
        }
    }

    pub(super) const fn view(&self) -> View {
        self.header.view
    }
    pub(super) const fn epoch(&self) -> Epoch {
        self.header.epoch
    }
    pub(super) const fn header(&self) -> &Header {
        &self.header
    }
    pub(super) const fn commit(&self) -> Op {
        self.commit
    }
    pub(super) fn is_sync(&self) -> bool {
        self.config.cluster.durability == Durability::Sync
    }
    /// Does this replica log and vote only (VRR §6.1)?
    pub(super) fn is_witness(&self) -> bool {
        self.config.cluster.is_witness(self.config.me)
    }
    pub(super) fn has_witnesses(&self) -> bool {
        !self.group.witnesses().is_empty()
    }
    pub(super) fn members(&self) -> usize {
        self.group.members().len()
    }
    /// The primary of our view.
    pub(super) const fn primary(&self) -> ReplicaId {
        self.primary
    }
    pub(super) fn is_primary(&self) -> bool {
        self.primary == self.config.me
    }
    pub(super) fn set_view(&mut self, view: View) {
        (self.header.view, self.header.epoch) = (view, view.epoch());
        self.primary = self.group.primary(view);
    }
    /// The member `steps` after this one in the rotation, never this one itself.
    pub(super) fn another(&self, steps: u64) -> ReplicaId {
        let step = 1 + index(steps % count((self.members() - 1).max(1)));
        self.group.around(self.me.index() + step)
    }

    /// What an observer may see.
    pub(super) fn seen(&self, status: StatusName) -> Snapshot {
        Snapshot {
            id: self.config.me,
            incarnation: self.header.incarnation,
            status,
            epoch: self.header.epoch,
            view: self.header.view,
            log_view: self.log_view,
            primary: self.primary,
            op: self.log.op(),
            base: self.log.base().op,
            checkpoint: self.shelf.op(),
            durable: self.pending.durable_op(),
            commit: self.commit,
            executed: self.execution.executed(),
            wants_view_change: self.gate.wants(),
            witness: self.is_witness(),
        }
    }

    // ---- saying something

    #[inline]
    fn emit(&mut self, out: &mut Out, to: To, body: Body) {
        if self.pending.is_header_durable() {
            // Read before it is written, in pieces of another size: the other way round it waits for the write.
            let header = Header { seq: self.header.seq.next(), ..self.header };
            self.header.seq = header.seq;
            let message = self.spare.message(header, body);
            Action::put(out, || Action::Send { to, message });
        } else {
            self.pending.hold(to, body);
        }
    }

    /// Sends what promises nothing, once the view in its header is durable.
    pub(super) fn send(&mut self, out: &mut Out, to: ReplicaId, message: Plain) {
        self.emit(out, To::One(to), message.into_body());
    }

    /// [`Common::send`] to everybody else.
    pub(super) fn broadcast(&mut self, out: &mut Out, message: Plain) {
        if self.members() > 1 {
            self.emit(out, To::Others, message.into_body());
        }
    }

    /// Sends a promise, which cannot exist without its proof. To the others of a lone member is to nobody.
    pub(super) fn send_promise(&mut self, out: &mut Out, to: To, promise: Promise) {
        if self.members() > 1 || matches!(to, To::One(_)) {
            self.emit(out, to, promise.into_body());
        }
    }

    /// What was held back leaves now, if it may.
    pub(super) fn release(&mut self, out: &mut Out) {
        if !self.pending.holds_nothing() {
            for (to, body) in self.pending.release() {
                self.emit(out, to, body);
            }
        }
    }

    pub(super) fn ignore(&self, out: &mut Out, from: ReplicaId, kind: MessageKind, why: Ignored) {
        out.push(Action::Note(Note::Ignored { from, kind, why }));
    }

    pub(super) fn reply(
        &self,
        out: &mut Out,
        to: (crate::id::ClientId, Session, RequestNumber),
        answer: (Op, Bytes),
        duplicate: bool,
    ) {
        let ((client, session, number), (op, result)) = (to, answer);
        let view = self.view();
        out.push(Action::Reply(Reply { client, session, number, op, view, result, duplicate }));
    }

    /// Says whether this replica wants to leave its view, and whom it hears (DESIGN §10).
    pub(super) fn say_vote(&mut self, out: &mut Out) {
        let hears = self.gate.hears(&self.config, self.now);
        let want = self.gate.wants();
        self.broadcast(out, Plain::start_view_change(want, hears));
    }

    /// [`Common::say_vote`] to one replica that is still in an earlier view: this is where we are.
    pub(super) fn say_vote_to(&mut self, out: &mut Out, to: ReplicaId) {
        let hears = self.gate.hears(&self.config, self.now);
        let want = self.gate.wants();
        self.send(out, to, Plain::start_view_change(want, hears));
    }

    // ---- writing something down

    pub(super) fn persist(&mut self, out: &mut Out, write: Write) -> WriteId {
        let id = self.pending.issue();
        Action::put(out, || Action::Persist { id, write });
        id
    }

    /// This life begins: its number is durable before anything is said (PROTOCOL P1).
    /// Writing it takes back the mark of an orderly stop.
    pub(super) fn begin(&mut self, out: &mut Out, clean: bool) {
        let (incarnation, view) = (self.header.incarnation, self.view());
        self.persist(out, Write::Incarnation(incarnation));
        if self.rules.marks_again(clean) {
            self.persist(out, Write::Clean);
        }
        self.pending.header_issued();
        out.push(Action::Note(Note::Opened { incarnation, view }));
        if let Some(checkpoint) = self.shelf.newest().filter(|_| !self.is_witness()) {
            out.push(Action::Restore(Box::new(checkpoint.clone())));
        }
    }

    /// May entries be written? What carries none always may: the driver keeps a reserve for it (DESIGN 9.11).
    pub(super) fn may_append(&self) -> bool {
        self.rules.may_append(self.full_since.is_none())
    }

    /// The driver says whether there is room on disk.
    pub(super) fn space(&mut self, has: bool) {
        self.full_since = if has { None } else { self.full_since.or(Some(self.now)) };
    }

    /// Nothing is said any more, and the mark of an orderly stop, if it may be left, is the last write.
    pub(super) fn stop(&mut self, out: &mut Out, clean: bool) {
        self.pending.discard_held();
        out.push(Action::Note(Note::Stopped { clean }));
        if clean {
            self.persist(out, Write::Clean);
        }
    }

    /// Adds entries to the log, in memory at once, on disk in time.
    pub(super) fn append(&mut self, out: &mut Out, entries: Entries) {
        self.log.append(entries.clone());
        self.persist(out, Write::Append(entries));
        self.appended();
    }

    pub(super) fn appended(&mut self) {
        if self.is_sync() {
            self.pending.append_issued(self.log.op());
        } else {
            self.pending.durable_in_memory(self.log.op());
        }
    }

    /// The log through `keep` followed by `entries` is the log of our view from now on: one atomic record.
    pub(super) fn replace(&mut self, out: &mut Out, keep: Op, entries: Entries) {
        let (from, view) = (self.log.op(), self.view());
        if from > keep {
            out.push(Action::Note(Note::Truncated { from, to: keep }));
        }
        self.log.truncate(keep);
        self.log.append(entries.clone());
        self.pending.cut(keep);
        self.persist(out, Write::Replace { keep, entries, view });
        self.pending.log_view_issued();
        self.log_view = view;
        self.appended();
    }

    /// The log through `keep` followed by `entries` is the log that this disk had, as it was. No promise changes, but
    /// what was about to be asked is not asked any more.
    pub(super) fn repair(&mut self, out: &mut Out, keep: Op, entries: Entries) {
        self.pending.discard_held();
        self.log.truncate(keep);
        self.log.append(entries.clone());
        self.pending.cut(keep);
        self.persist(out, Write::Repair { keep, entries });
        self.appended();
    }

    /// Promises never to act in an earlier view again. What was about to be said is not said any more.
    pub(super) fn enter(&mut self, out: &mut Out, view: View, cause: EnterCause) {
        debug_assert!(view > self.view(), "views only rise");
        self.set_view(view);
        self.pending.discard_held();
        if self.rules.persists_view() {
            self.persist(out, Write::View(view));
            self.pending.header_issued();
        }
        self.gate.entered(&self.config, self.header.incarnation, view);
        out.push(Action::Note(Note::EnteredView { view, cause }));
    }

    /// Takes over the view of the answer to a recovery; the `replace` that follows makes it durable.
    pub(super) fn recover_in(&mut self, view: View) {
        self.set_view(view);
        self.pending.discard_held();
    }

    /// The `replace` just issued is what makes our view durable.
    pub(super) fn view_rides_on_last_write(&mut self) {
        self.pending.header_issued();
    }

    // ---- what may be promised

    /// How far the log may be acknowledged once the view it belongs to is durable.
    pub(super) fn durable_op(&self) -> Op {
        self.rules.may_acknowledge(self.pending.durable_op(), self.log.op())
    }

    /// How far the log is durable in the view we are normal in, with the proof.
    pub(super) fn durable_log(&self) -> Option<(Head, Durable)> {
        let log_view_too = self.is_sync() && self.rules.needs_durable_log_view();
        let proof = self.pending.proof_of_view(log_view_too)?;
        let op = self.durable_op();
        // Not there as long as the checkpoint below it is on its way to the disk.
        let hash = self.log.hash(op)?;
        Some((Head { op, hash }, proof))
    }

    /// The proof that everything written so far is durable: what a report needs (PROTOCOL P3).
    pub(super) fn flushed(&self) -> Option<Durable> {
        self.pending.proof_of_everything(self.is_sync() && self.rules.flushes_before_report())
    }

    /// The proof that the log of the view we lead is durable: what a StartView needs (PROTOCOL P5).
    pub(super) fn view_is_durable(&self) -> Option<Durable> {
        self.pending.proof_of_view(self.is_sync())
    }

    // ---- committing and executing

    /// Raises the commit-number to `commit` or the end of the log, and executes what may be.
    pub(super) fn commit_to(&mut self, out: &mut Out, commit: Op, serving: bool) {
        let next = self.rules.next_commit(self.commit, commit.min(self.log.op()));
        if next != self.commit {
            self.commit = next;
            Action::put(out, || Action::Note(Note::Committed { op: next }));
            self.execute(out, serving);
        }
    }

    /// Issues the upcalls that are due. `serving`: as the primary, which answers clients.
    pub(super) fn execute(&mut self, out: &mut Out, serving: bool) {
        if self.is_witness() {
            return;
        }
        let commit = self.commit;
        let (execution, log, mut desk) = self.desk(out, serving);
        execution.issue(log, commit, &mut desk);
    }

    /// What execution works with.
    pub(super) fn desk<'a>(&'a mut self, out: &'a mut Out, serving: bool) -> (&'a mut Execution, &'a Log, Desk<'a>) {
        let Self { execution, clients, log, rules, config, header, group, .. } = self;
        let (rules, me, view, least) = (*rules, u64::from(config.me.0), header.view, config.cluster.least_members());
        (execution, log, Desk { clients, rules, me, view, serving, group, least, out })
    }

    /// A number for the next question.
    pub(super) const fn next_fetch(&mut self) -> FetchId {
        self.fetches = self.fetches.next();
        self.fetches
    }

    // ---- timers

    pub(super) fn arm_heartbeat(&mut self) {
        self.timers.arm(Timer::Heartbeat, self.now.after(self.config.timeouts.heartbeat));
    }

    /// [`Common::arm_heartbeat`], or sooner: when a promise ends for which a report waits.
    pub(super) fn arm_repetition(&mut self) {
        let beat = self.now.after(self.config.timeouts.heartbeat);
        self.timers.arm(Timer::Heartbeat, self.grants.end_before(self.now, beat).unwrap_or(beat));
    }

    pub(super) fn arm_view_change(&mut self) {
        self.timers.arm(Timer::ViewChange, self.now.after(self.gate.wait()));
    }

    pub(super) fn arm_fetch(&mut self) {
        self.timers.arm(Timer::Fetch, self.now.after(self.config.timeouts.fetch));
    }

    /// The primary of our view was heard: content, patient again (DESIGN §10).
    pub(super) fn hear_primary(&mut self) {
        if self.gate.wants() {
            self.timers.cancel(Timer::Heartbeat);
        }
        self.gate.content(&self.config, self.header.incarnation, self.header.view, self.now);
        self.arm_view_change();
    }

    /// This replica waited long enough: it wants another view and says so.
    pub(super) fn want_view_change(&mut self, out: &mut Out) {
        if !self.gate.wants() {
            self.gate.want();
            out.push(Action::Note(Note::WantsViewChange { view: self.view() }));
        }
        self.say_vote(out);
        self.arm_heartbeat();
    }
}
