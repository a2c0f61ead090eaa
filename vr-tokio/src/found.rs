//! A new cluster from the log of a lost one: what an operator does when an asynchronous cluster crashed as a whole.
//!
//! Owns the replay of one member's log to a checkpoint, and fresh directories that begin from it under another cluster
//! id, so that nobody of the old cluster is ever taken for one of the new. Must not run by itself: it may lose what
//! was acknowledged, and says so. PROTOCOL §6; DESIGN §6.

use crate::config::{NodeConfig, NodeConfigError};
use crate::wal::{Identity, Wal, WalError};
use std::fmt;
use std::io;
use vr_core::{
    Action, Checkpoint, ClusterConfig, Config, Context, Durability, Entries, Epoch, Event, HaltReason, Input, Op,
    OpenError, Replica, ReplicaId, Service, Stored, Time, View, Write, WriteId,
};

/// A lone replica that has its log commits it within so many ticks.
const TICKS_MAX: usize = 10_000;

/// What was founded, and what may be lost: show it to the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Founded {
    /// Everything through this op of the old cluster is in the new one.
    pub through: Op,
    /// The last view in which the chosen member was normal.
    pub log_view: View,
    /// Whose log it was.
    pub of: ReplicaId,
    /// That log was damaged: it may have reached further.
    pub is_damaged: bool,
}

impl fmt::Display for Founded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { through, log_view, of, is_damaged } = self;
        write!(
            f,
            "founded from the log of replica {of}, through op {through}, which it had in view {log_view}. Operations after \
             that op are lost, acknowledged ones too, if another member had them: compare the logs of all members (the \
             latest log_view, then the longest log) before this cluster serves anybody"
        )?;
        if *is_damaged { f.write_str(". This log is damaged and may have reached further") } else { Ok(()) }
    }
}

/// Why nothing was founded, or not everything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FoundError {
    /// A configuration is refused.
    #[error(transparent)]
    Config(#[from] NodeConfigError),
    /// A log cannot be read or made.
    #[error(transparent)]
    Log(#[from] WalError),
    /// A log cannot be written.
    #[error("the new log cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The new configuration does not fit.
    #[error("{0}")]
    Unfit(&'static str),
    /// The log is not one that a lone replica executes to its end.
    #[error("the log cannot be replayed to its end: {0}")]
    Replay(String),
}

impl From<OpenError> for FoundError {
    fn from(error: OpenError) -> Self {
        Self::Replay(error.to_string())
    }
}

/// Founds the cluster of `to`, whose directories are empty, from the log of the stopped node `from`. Gives a service
/// that never ran; it is replayed. The old directory is only read, but for a torn end, which is cut as by any start.
///
/// # Errors
/// What stands in the way. Directories that were made before it are to be removed.
pub fn found<S: Service>(from: &NodeConfig, to: &[NodeConfig], service: S) -> Result<Founded, FoundError> {
    check(from, to)?;
    let old = Identity { cluster: from.cluster.clone(), id: from.id };
    let stored = Wal::open(&from.dir, &old, from.disk.options())?.stored;
    if stored.epoch > Epoch::ZERO {
        // A lone replica is no quorum of the group that the checkpoint holds.
        return Err(FoundError::Unfit(
            "the old cluster was reconfigured: founding from a later epoch is not there yet",
        ));
    }
    let (log_view, of, is_damaged) = (stored.log_view, from.id, stored.damage.is_some());
    let through = stored.log.op();
    let checkpoint = replay(&from.cluster, stored, service)?;
    for config in to {
        let new = Identity { cluster: config.cluster.clone(), id: config.id };
        Wal::format(&config.dir, &new, &config.disk.options())?;
        let mut wal = Wal::open(&config.dir, &new, config.disk.options())?.wal;
        let checkpoint = Box::new(checkpoint.clone());
        let write = Write::Install { checkpoint, entries: Entries::empty(), view: View::ZERO };
        if !wal.reserve(&write)? {
            return Err(FoundError::Write(io::ErrorKind::StorageFull.into()));
        }
        wal.append(WriteId::ZERO.next(), &write)?;
        wal.sync()?;
    }
    Ok(Founded { through, log_view, of, is_damaged })
}

fn check(from: &NodeConfig, to: &[NodeConfig]) -> Result<(), FoundError> {
    let Some(first) = to.first() else { return Err(FoundError::Unfit("the new cluster has no nodes")) };
    if from.cluster.is_witness(from.id) {
        return Err(FoundError::Unfit("a witness has no state: found the new cluster from a full member"));
    }
    for config in to {
        config.validate()?;
        if config.cluster != first.cluster {
            return Err(FoundError::Unfit("the nodes of the new cluster differ in [cluster]"));
        }
    }
    if first.cluster.cluster == from.cluster.cluster {
        return Err(FoundError::Unfit("the new cluster needs an id of its own: members of the old one may return"));
    }
    if first.cluster.client_capacity != from.cluster.client_capacity {
        return Err(FoundError::Unfit("the new cluster takes over the sessions: client_capacity must stay as it was"));
    }
    if to.len() != first.cluster.members.len() {
        return Err(FoundError::Unfit("each member of the new cluster is founded at once, from the same log"));
    }
    Ok(())
}

/// The checkpoint at the end of a log: a cluster of this one member executes all of it in memory, and takes its
/// checkpoint there.
fn replay<S: Service>(cluster: &ClusterConfig, stored: Stored, service: S) -> Result<Checkpoint, FoundError> {
    let last = stored.log.op();
    if let Some(checkpoint) = stored.checkpoint.as_ref().filter(|checkpoint| checkpoint.op() == last) {
        return Ok(checkpoint.clone());
    }
    let interval = u32::try_from(last.0).map_err(|_| FoundError::Replay("it is too long".to_owned()))?;
    if interval == 0 {
        return Err(FoundError::Replay("it is empty: there is nothing to found a cluster from".to_owned()));
    }
    let (members, durability) = (vec![stored.id], Durability::Sync);
    let witnesses = Vec::new();
    let alone = ClusterConfig { members, witnesses, durability, checkpoint_interval: interval, ..cluster.clone() };
    let config = Config::new(alone, stored.id);
    let stored = Stored { config: config.cluster.digest(), log_view: stored.view, damage: None, ..stored };
    let mut actions = Vec::new();
    let replica = Replica::open(config, stored, Time::ZERO, &mut actions)?;
    Alone { replica, service, last }.run(actions)
}

/// A lone replica whose disk is memory.
struct Alone<S> {
    replica: Replica,
    service: S,
    last: Op,
}

impl<S: Service> Alone<S> {
    fn run(mut self, mut actions: Vec<Action>) -> Result<Checkpoint, FoundError> {
        let mut at = Time::ZERO;
        for _ in 0..TICKS_MAX {
            while !actions.is_empty() {
                let mut next = Vec::new();
                for action in actions.drain(..) {
                    if let Some(checkpoint) = self.carry_out(action, at, &mut next)? {
                        return Ok(checkpoint);
                    }
                }
                actions = next;
            }
            at = self.replica.next_deadline().unwrap_or(at).max(at);
            self.replica.step_into(Event { at, input: Input::Tick }, &mut actions);
        }
        Err(FoundError::Replay(format!("it stands still at {:?}", self.replica.snapshot())))
    }

    /// The checkpoint, once it is written.
    fn carry_out(&mut self, action: Action, at: Time, out: &mut Vec<Action>) -> Result<Option<Checkpoint>, FoundError> {
        match action {
            Action::Persist { write: Write::Checkpoint(checkpoint), .. } if checkpoint.op() == self.last => {
                return Ok(Some(*checkpoint));
            }
            Action::Persist { id, .. } => self.step(Input::Persisted(id), at, out),
            Action::Execute(entries) => {
                for entry in &entries {
                    let (op, predicted) = (entry.op(), entry.predicted());
                    let context = Context { op, time_ns: predicted.wall_ns, seed: predicted.seed };
                    let reply = self.service.execute(&context, entry.body());
                    self.step(Input::Executed { op, reply }, at, out);
                }
            }
            Action::Checkpoint { op } => {
                let state = self.service.checkpoint();
                self.step(Input::CheckpointTaken { op, state }, at, out);
            }
            Action::Restore(checkpoint) => {
                self.service.restore_state(checkpoint.state());
                self.step(Input::Restored { op: checkpoint.op() }, at, out);
            }
            Action::Halt(reason) => return Err(halted(reason)),
            Action::Send { .. } | Action::Reply(_) | Action::Reject(_) | Action::Note(_) => {}
            Action::Read(_) | Action::ReadBefore { .. } => {}
        }
        Ok(None)
    }

    fn step(&mut self, input: Input, at: Time, out: &mut Vec<Action>) {
        self.replica.step_into(Event { at, input }, out);
    }
}

fn halted(reason: HaltReason) -> FoundError {
    FoundError::Replay(format!("the replica halted: {reason:?}"))
}
