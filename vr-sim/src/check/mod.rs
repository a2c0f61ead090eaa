//! The properties, one file each, and what they are fed with: happenings only, never a replica's fields.
//!
//! Owns [`Happening`], [`Violation`] and [`Checkers`], which hands every happening to the properties it
//! concerns, in one pass over a step's actions. Must not know the simulator: the same checkers judge a recorded
//! production run, if it begins with the opening of every replica; otherwise [`Fragments`] does. PROTOCOL §4.
//!
//! Each property with its section of the paper and the file that judges it: [`PROPERTIES`].

mod agreement;
mod at_most_once;
mod catalogue;
mod checkpoints;
mod durability;
mod fragments;
mod hand_over;
mod happening;
mod image;
mod lineage;
mod linearizability;
mod liveness;
mod promises;
mod questions;
mod reads;
mod shadow;
mod space;
#[cfg(test)]
mod stage;
mod stops;
mod tables;
#[cfg(test)]
mod tests;
mod views;
mod votes;

use agreement::Agreement;
use at_most_once::{Answer, AtMostOnce};
use checkpoints::Checkpoints;
use durability::Durability;
use image::Misfit;
use linearizability::Linearizability;
use liveness::{End, Liveness};
use promises::Promises;
use questions::Questions;
use reads::Reads;
use shadow::{Shadow, Standing};
use space::Space;
use std::sync::Arc;
use tables::Tables;
use views::Views;
use votes::Votes;
use vr_core::{
    Action, EnterCause, Epoch, Event, Hash, Head, Input, Note, Op, ReplicaId, RequestNumber, Session, Stored, Time,
    Wait, Write, WriteId,
};

pub use catalogue::{PROPERTIES, Property};
pub use fragments::{Fragments, Seen};
pub use happening::{Happening, Setting, Severity, Violation};
pub use linearizability::Model;
pub(crate) use linearizability::{Plain, plain as judge_plain_history};

/// All properties at once. Feed it every happening of a run, in the order in which they happened; the first
/// violation ends the judgement. A clone goes on from here by itself.
#[derive(Clone, Debug)]
pub struct Checkers {
    shadow: Shadow,
    agreement: Agreement,
    views: Views,
    promises: Promises,
    durability: Durability,
    at_most_once: AtMostOnce,
    tables: Tables,
    space: Space,
    checkpoints: Checkpoints,
    linearizability: Linearizability,
    /// `None` where the order of what different replicas do is not known.
    reads: Option<Reads>,
    liveness: Liveness,
    votes: Votes,
    questions: Questions,
}

impl Checkers {
    /// For one cluster, whose service does as `model` says. Without a model S15 is not judged.
    #[must_use]
    pub fn new(setting: &Setting, model: Option<Arc<dyn Model>>) -> Self {
        let replicas = setting.cluster.members.len() + usize::from(setting.spares);
        Self {
            shadow: Shadow::new(setting),
            agreement: Agreement::default(),
            views: Views::new(replicas),
            promises: Promises::new(replicas),
            durability: Durability::new(),
            at_most_once: AtMostOnce::new(setting.cluster.client_capacity),
            tables: Tables::default(),
            space: Space::new(replicas),
            checkpoints: Checkpoints::new(setting.cluster.checkpoint_interval),
            linearizability: Linearizability::new(model),
            reads: Some(Reads::default()),
            liveness: Liveness::new(replicas),
            votes: Votes::new(replicas),
            questions: Questions::new(replicas),
        }
    }

    /// Judges from now on whether a view is left by fresh votes: those that came within `wait` (`Timeouts::vote`) on the
    /// clock of whom they reached.
    #[must_use]
    pub const fn counting_votes_for(mut self, wait: Wait) -> Self {
        self.votes.count_for(wait);
        self
    }

    /// What different replicas do is told in some order that messages allow, not in the order of one clock: S21 is not judged.
    #[must_use]
    pub fn without_one_clock(mut self) -> Self {
        self.reads = None;
        self
    }

    /// How many keys' histories were too tangled for the bounded search of S15. Their ceiling is 0 (DESIGN 9.15).
    #[must_use]
    pub const fn undecided(&self) -> u64 {
        self.linearizability.undecided()
    }

    /// The last op that any primary committed.
    #[must_use]
    pub fn decided(&self) -> Op {
        self.shadow.lineage.decided()
    }

    /// Is nothing owed in the end, because more had lost their memory at once than the mode bears, or too few are well then?
    /// What a disk lost while its replica was down shows when it is opened, perhaps with others well again.
    #[must_use]
    pub const fn owe_nothing(&self) -> bool {
        self.liveness.is_void()
    }

    /// How many views have started, view 0 among them.
    #[must_use]
    pub fn views_started(&self) -> usize {
        self.shadow.lineage.started()
    }

    /// Something happened, at a moment of the observer's clock.
    ///
    /// # Errors
    /// When a property does not hold any more. What is observed after that means nothing.
    pub fn observe(&mut self, at: Time, happening: &Happening<'_>) -> Result<(), Violation> {
        match *happening {
            Happening::Stepped { on, event, actions } => self.stepped(at, on, event, actions),
            Happening::Opened { on, stored, actions } => self.opened(on, stored, actions),
            Happening::Crashed { on } => self.crashed(on),
            Happening::DiskLost { on } => self.lost_disk(on),
            Happening::DiskWentBack { on, stored } => self.went_back(on, stored),
            Happening::Invoked { client, session, number, body } => {
                self.liveness.called();
                self.linearizability.invoked((client, session, number), body);
                Ok(())
            }
            Happening::Answered { client, session, number, op, result, view: _ } => {
                self.answered(Answer { client, session, number, op, result })
            }
            Happening::ReadUnderLease { on, asked, told } => {
                reads::read(&mut self.reads, &self.shadow, on, (asked, told))
            }
            Happening::ToldEvicted { client, session } => {
                self.liveness.resolved();
                self.at_most_once.evicts(None, client, session)
            }
            Happening::GaveUp { client: _ } => {
                self.liveness.resolved();
                Ok(())
            }
            Happening::Sampled { on, op, state } => match self.shadow.place(on) {
                Some(who) => self.agreement.sampled(&self.shadow, who, op, state),
                None => Ok(()),
            },
            Happening::Healed { core, mesh } => {
                self.liveness.healed(at, &self.shadow, core, mesh);
                Ok(())
            }
            Happening::Ended { replicas, unanswered, settled } => {
                self.ended(&End { at, replicas, unanswered, settled })
            }
        }
    }

    // ---- replicas

    fn opened(&mut self, on: ReplicaId, stored: &Stored, actions: &[Action]) -> Result<(), Violation> {
        let Some(who) = self.shadow.place(on) else { return Ok(()) };
        let mirror = &self.shadow.replicas[who];
        let (first, before) = (!mirror.known, (mirror.disk.head(), mirror.disk.view));
        Views::may_open(&self.shadow, who, stored)?;
        if !self.shadow.open(who, stored) {
            return Err(Views::foreign_disk(&self.shadow, who, before, stored));
        }
        if first {
            Agreement::adopted(&mut self.shadow, who)?;
        }
        self.promises.opened(who);
        self.reads.iter_mut().for_each(|reads| reads.ended(who));
        self.liveness.opened(&self.shadow, who);
        self.space.opened(who);
        self.votes.opened(who);
        self.questions.begins_anew(who);
        stops::go_on(&self.shadow, who, actions)?;
        self.liveness.count_amnesiacs(&self.shadow);
        Durability::holds(&self.shadow)?;
        Checkpoints::opened(&self.shadow, who, actions)?;
        self.actions(who, actions)?;
        Views::has_opened(&self.shadow, who, (stored.incarnation, stored.view))
    }

    fn crashed(&mut self, on: ReplicaId) -> Result<(), Violation> {
        let Some(who) = self.shadow.place(on) else { return Ok(()) };
        self.shadow.crash(who);
        self.liveness.crashed(&self.shadow, who);
        Durability::holds(&self.shadow)
    }

    fn lost_disk(&mut self, on: ReplicaId) -> Result<(), Violation> {
        let Some(who) = self.shadow.place(on) else { return Ok(()) };
        self.shadow.lose_disk(who);
        self.liveness.count_amnesiacs(&self.shadow);
        Durability::holds(&self.shadow)
    }

    fn went_back(&mut self, on: ReplicaId, stored: &Stored) -> Result<(), Violation> {
        let Some(who) = self.shadow.place(on) else { return Ok(()) };
        self.shadow.go_back(who, stored);
        self.promises.forgotten(who);
        Durability::holds(&self.shadow)
    }

    fn stepped(&mut self, at: Time, on: ReplicaId, event: &Event, actions: &[Action]) -> Result<(), Violation> {
        let Some(who) = self.shadow.place(on) else { return Ok(()) };
        self.votes.steps(who, event.at);
        if event.input != Input::Stop {
            stops::go_on(&self.shadow, who, actions)?;
        }
        match &event.input {
            Input::Tick | Input::Request(_) | Input::Requests(_) | Input::HandOver { .. } | Input::Stop => {}
            Input::Space(has) => {
                self.space.told(who, *has);
                self.liveness.told_space(who, *has);
                self.questions.begins_anew(who);
            }
            Input::Message(message) => {
                self.liveness.hears(at, &self.shadow, who, message);
                self.votes.hears(&self.shadow, who, message);
                self.questions.hears(who, message);
            }
            Input::Query(query) | Input::QueryHere(query) => reads::asked(&mut self.reads, who, query),
            Input::Persisted(upto) => {
                let was_damaged = self.shadow.replicas[who].disk.gone.is_some();
                self.shadow.persisted(who, *upto);
                if was_damaged {
                    Durability::holds(&self.shadow)?;
                }
            }
            Input::Executed { op, reply } => Agreement::answered(&mut self.shadow, who, *op, reply)?,
            Input::ExecutedRun { first, replies } => {
                let mut op = *first;
                for reply in replies {
                    Agreement::answered(&mut self.shadow, who, op, reply)?;
                    op = op.next();
                }
            }
            Input::CheckpointTaken { .. } | Input::CheckpointBegun { .. } => {}
            Input::CheckpointGiven(_) | Input::Restored { .. } | Input::QueryLate(_) => {}
            Input::WriteFailed => self.liveness.write_failed(who),
        }
        if !self.shadow.replicas[who].standing.is_running() {
            let notes_only = actions.iter().all(|action| matches!(action, Action::Note(_)));
            return if notes_only { Ok(()) } else { Err(Views::stirs(&self.shadow, who)) };
        }
        self.actions(who, actions)?;
        let repairs = |action: &Action| matches!(action, Action::Persist { write: Write::Repair { .. }, .. });
        if actions.iter().any(repairs) {
            let disk = &self.shadow.replicas[who].disk;
            Views::has_opened(&self.shadow, who, (disk.incarnation, disk.view))?;
        }
        if event.input == Input::Stop {
            self.shadow.stop(who);
        }
        Ok(())
    }

    fn actions(&mut self, who: usize, actions: &[Action]) -> Result<(), Violation> {
        for action in actions {
            match action {
                Action::Send { to, message } => {
                    self.promises.sends(&self.shadow, who, *to, message)?;
                    self.views.sends(&self.shadow, who, *to, message)?;
                    self.liveness.sends(&self.shadow, who, *to, message)?;
                    self.questions.sends(&self.shadow, who, *to, message)?;
                }
                Action::Persist { id, write } => self.writes(who, *id, write)?,
                Action::Execute(entries) => {
                    Agreement::executes(&self.shadow, who, entries)?;
                    self.at_most_once.executes(&self.shadow, who, entries)?;
                    if let Some(last) = entries.last() {
                        self.shadow.replicas[who].executed = last.op();
                    }
                }
                Action::Reply(reply) => {
                    Views::replies(&self.shadow, who, reply)?;
                    self.at_most_once.answers(&self.shadow, Some(who), reply.into())?;
                    self.reads.iter_mut().for_each(|reads| reads.replied(&self.shadow, reply));
                }
                Action::Reject(rejection) => {
                    Views::rejects(&self.shadow, who, rejection)?;
                    self.at_most_once.rejects(&self.shadow, who, rejection)?;
                }
                Action::Read(queries) => reads::answers(&mut self.reads, &self.shadow, who, queries)?,
                Action::ReadBefore { queries, .. } => reads::gives(&mut self.reads, &self.shadow, who, queries),
                Action::Checkpoint { .. } => {}
                Action::Restore(checkpoint) => Checkpoints::restores(&mut self.shadow, who, checkpoint)?,
                Action::Note(note) => self.notes(who, note)?,
                Action::Halt(reason) => {
                    self.liveness.halts(&self.shadow, who, *reason)?;
                    self.shadow.halt(who);
                    self.liveness.count_amnesiacs(&self.shadow);
                }
            }
        }
        Ok(())
    }

    /// A write is issued: it must fit what is there, and its log must be the view's.
    fn writes(&mut self, who: usize, id: WriteId, write: &Write) -> Result<(), Violation> {
        self.space.writes(&self.shadow, who, write)?;
        if let Some(misfit) = self.shadow.replicas[who].memory.misfit(write) {
            return Err(self.misfit(who, misfit));
        }
        match write {
            Write::Checkpoint(checkpoint) | Write::Install { checkpoint, .. } => {
                self.checkpoints.written(&self.shadow, who, checkpoint)?;
            }
            Write::Cut { through } => Checkpoints::cuts(&self.shadow, who, *through)?,
            Write::Incarnation(_)
            | Write::View(_)
            | Write::Append(_)
            | Write::Replace { .. }
            | Write::Repair { .. }
            | Write::Clean => {}
        }
        match write {
            Write::Incarnation(_) | Write::Clean | Write::Checkpoint(_) | Write::Cut { .. } | Write::Repair { .. } => {
                self.shadow.issue(who, id, write);
                Ok(())
            }
            Write::View(view) => {
                self.liveness.entered(*view);
                self.shadow.issue(who, id, write);
                Ok(())
            }
            Write::Append(entries) => {
                Views::ends_with_epoch(&self.shadow, who, entries)?;
                self.shadow.issue(who, id, write);
                Agreement::appended(&mut self.shadow, who, entries)?;
                if self.shadow.replicas[who].standing == Standing::Primary {
                    self.at_most_once.takes(&self.shadow, who, entries)?;
                }
                Ok(())
            }
            Write::Replace { view, .. } | Write::Install { view, .. } => {
                self.liveness.entered(*view);
                if let Write::Install { checkpoint, .. } = write
                    && self.shadow.begins_epoch(who, checkpoint)
                {
                    self.shadow.issue(who, id, write);
                    Views::begins(&self.shadow, who, *view)?;
                    return Durability::holds(&self.shadow);
                }
                let leads = self.shadow.leader(*view) == who;
                self.promises.may_recover(&self.shadow, who, *view)?;
                if leads {
                    Views::may_start(&self.shadow, who, *view)?;
                    self.promises.may_start(&self.shadow, who, *view)?;
                }
                self.shadow.issue(who, id, write);
                if leads {
                    Views::started(&mut self.shadow, who, *view)?;
                } else {
                    Views::installed(&self.shadow, who, *view)?;
                }
                if view.epoch() > Epoch::ZERO {
                    Views::begins_with_base(&self.shadow, who, *view)?;
                }
                self.promises.keeps(&self.shadow, who)?;
                Durability::holds(&self.shadow)
            }
        }
    }

    #[cold]
    fn misfit(&self, who: usize, misfit: Misfit) -> Violation {
        let promise = Views::broken_promise(&self.shadow, who, misfit);
        promise.unwrap_or_else(|| Agreement::broken_log(&self.shadow, who, misfit))
    }

    fn notes(&mut self, who: usize, note: &Note) -> Result<(), Violation> {
        if let Note::Committed { op } = *note {
            self.commits(who, op)
        } else if let Note::TableAt { op, table } = *note {
            self.tables.at(&self.shadow, who, op, table)
        } else if let Note::ChoseLog { view, of, reports } = *note {
            let of = self.shadow.place(of).unwrap_or(who);
            self.promises.chose(&self.shadow, who, (view, of), reports)
        } else if let Note::EnteredView { view, cause: EnterCause::Quorum } = *note {
            self.votes.enters(&self.shadow, who, view)
        } else if let Note::EpochSettled { epoch } = *note {
            Durability::settles(&self.shadow, who, epoch)
        } else if let Note::EnteredView { view, cause: EnterCause::HandOver } = *note {
            hand_over::leaves(&self.shadow, who, view)
        } else {
            Ok(())
        }
    }

    fn commits(&mut self, who: usize, op: Op) -> Result<(), Violation> {
        Agreement::may_commit(&self.shadow, who, op)?;
        let news = op > self.shadow.lineage.decided();
        if news {
            self.promises.justify(&self.shadow, who, op)?;
            self.decide(who, op);
        }
        Agreement::committed(&self.shadow, who, op)?;
        let mirror = &mut self.shadow.replicas[who];
        mirror.commit = op;
        if mirror.standing == Standing::Primary {
            let view = mirror.memory.view;
            self.shadow.lineage.commit_in(view, op);
            Views::committed(&self.shadow, who, op)?;
        }
        if news { self.durability.committed(&self.shadow) } else { Ok(()) }
    }

    /// A primary committed, justly, through `op`.
    fn decide(&mut self, who: usize, op: Op) {
        let mut next = self.shadow.lineage.decided().next();
        while next <= op {
            let Shadow { replicas, lineage, .. } = &mut self.shadow;
            let Some(hash) = replicas[who].memory.hash(next) else { return };
            lineage.decide(hash, who);
            let view = replicas[who].memory.view;
            self.shadow.decided(Head { op: next, hash }, view.epoch());
            let Shadow { lineage, .. } = &mut self.shadow;
            self.at_most_once.decided(next, lineage.decision(next).and_then(|decision| decision.who));
            next = next.next();
        }
    }

    // ---- clients and the end

    fn answered(&mut self, answer: Answer<'_>) -> Result<(), Violation> {
        self.liveness.resolved();
        let Answer { client, session, number, op, result } = answer;
        let is_read = session == Session::ZERO && number != RequestNumber::ZERO;
        if !is_read {
            self.at_most_once.answers(&self.shadow, None, answer)?;
        }
        if self.linearizability.answered((client, session, number), op, result) {
            return Ok(());
        }
        let message = format!("{client:?} is answered request {number} of session {session}, which it did not make");
        Err(Violation::safety("S22 reply truth", message, &[], &[op]))
    }

    fn ended(&mut self, end: &End<'_>) -> Result<(), Violation> {
        for (seen, table) in end.replicas {
            Agreement::looks_right(&self.shadow, seen)?;
            if let Some(who) = self.shadow.place(seen.id).filter(|_| seen.executed == seen.commit) {
                self.tables.at(&self.shadow, who, seen.executed, *table)?;
            }
        }
        Durability::holds(&self.shadow)?;
        self.linearizability.judge(self.at_most_once.effects(&self.shadow))?;
        self.liveness.judge(&self.shadow, end)
    }
}

/// A hash as far as a person needs it.
fn short(hash: Hash) -> String {
    let Hash(value) = hash;
    format!("h{:05x}", value >> 108)
}

/// A count as an index. Every target this runs on addresses at least 2³² of anything that is counted here.
fn index(count: u64) -> usize {
    usize::try_from(count).expect("counts of things in memory fit an address")
}

fn count(index: usize) -> u64 {
    u64::try_from(index).expect("an address has at most 64 bits")
}
