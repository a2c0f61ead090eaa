//! What a step asks its driver to do, and the facts it states.
//!
//! Owns the shapes. The driver carries actions out in order and decides nothing; completions come back as
//! events. Paper: VRR §4 (sends and upcalls), §4.1 step 7 (replies); DESIGN §5.

pub use crate::cause::EnterCause;
use crate::checkpoint::Checkpoint;
use crate::entry::{Entries, Query};
use crate::group::BadGroup;
use crate::hand_over::NoHandOver;
use crate::id::{ClientId, Epoch, FetchId, Hash, Incarnation, Op, ReplicaId, RequestNumber, Session, View, WriteId};
use crate::message::{Message, MessageKind};
use crate::quorum::ReplicaSet;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Something to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u64)] // whoever carries one out or drops it reads which it is, instead of working it out from a field
pub enum Action {
    /// Send a message. It may be lost, delayed, duplicated.
    Send {
        /// To whom.
        to: To,
        /// What.
        message: Message,
    },
    /// Write this, after every write issued before it; say `Persisted` when it is durable.
    Persist {
        /// Its number.
        id: WriteId,
        /// What.
        write: Write,
    },
    /// The upcall: execute these, in order, once; say `Executed` for each, in order.
    Execute(Entries),
    /// The service has answered everything through `op` and will be asked nothing after it before it gave its
    /// checkpoint: say `CheckpointTaken`.
    Checkpoint {
        /// After this op.
        op: Op,
    },
    /// The service becomes what it was at this checkpoint, whatever it was; say `Restored`. Also the first upcall
    /// after a start from a disk that holds a checkpoint.
    Restore(Box<Checkpoint>),
    /// Answer a client.
    Reply(Reply),
    /// Refuse a client's request, with the reason.
    Reject(Box<Rejection>),
    /// A fact: log it, count it, draw it, assert on it.
    Note(Note),
    /// The upcall that changes nothing: answer these from the service's state, behind every upcall asked for before and
    /// before any asked for later, and tell their clients. What is answered so is linearizable, however late it is told
    /// (VRR §6.3, PROTOCOL 1.8). Nothing comes back.
    Read(Vec<Query>),
    /// Stop for good: this replica must not go on. The driver exits; restarting is the operator's decision.
    Halt(HaltReason),
    /// [`Action::Read`] under a lease, which depends on clocks: read the state as there, **then** look at the clock of
    /// [`crate::Event::at`], and tell only if it shows less than `deadline`; otherwise tell nobody, and hand each question
    /// back as [`crate::Input::QueryLate`]. Who looks first and reads then tells what may be old (PROTOCOL D85).
    #[allow(missing_docs)] // said above
    ReadBefore { deadline: crate::id::Time, queries: Vec<Query> },
}

impl Action {
    /// Adds an action, built where it ends up. `push` builds it elsewhere first, in case there is no room, and copies
    /// in sixteen-byte pieces what was just stored in smaller ones, which stalls.
    #[inline]
    pub(crate) fn put(out: &mut Vec<Self>, action: impl FnOnce() -> Self) {
        out.extend(core::iter::once_with(action));
    }
}

/// Whom a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum To {
    /// One replica.
    One(ReplicaId),
    /// Every other member: encode once.
    Others,
}

/// A change of what is on disk. [`crate::Stored`] is the fold of these.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u64)] // see `Action`
pub enum Write {
    /// This incarnation begins. The first write of every life.
    Incarnation(Incarnation),
    /// A promise: never to act in an earlier view.
    View(View),
    /// More entries.
    Append(Entries),
    /// The log through `keep`, then `entries`, is the log of `view`, in which this replica is now normal.
    /// One atomic record (PROTOCOL D41, D42).
    Replace {
        /// Everything after this goes.
        keep: Op,
        /// What comes in its place.
        entries: Entries,
        /// The view and the log_view from now on.
        view: View,
    },
    /// An orderly stop: nothing follows in this life. Durable, it says that all this replica knew is on this disk.
    Clean,
    /// A checkpoint, which takes the place of the one before it. One atomic record: torn, it is not there.
    Checkpoint(Box<Checkpoint>),
    /// The entries through this op may go. Issued only when a checkpoint at or after it is durable (PROTOCOL D66).
    Cut {
        /// Everything through here.
        through: Op,
    },
    /// A checkpoint, then `entries`, which continue it: together the log of `view`, in which this replica is normal
    /// from now on. Takes the place of log and checkpoint, in one atomic record.
    Install {
        /// What the log begins after.
        checkpoint: Box<Checkpoint>,
        /// What follows it.
        entries: Entries,
        /// The view and the log_view from now on.
        view: View,
    },
    /// The log through `keep`, then `entries`: the very log that was here before records of it rotted. One atomic
    /// record, which changes no promise (PROTOCOL D56, D58).
    Repair {
        /// What follows this was damaged.
        keep: Op,
        /// All of what follows it.
        entries: Entries,
    },
}

/// An answer for a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Whose request.
    pub client: ClientId,
    /// In which session; for a `Register`, the session it opened.
    pub session: Session,
    /// Which request.
    pub number: RequestNumber,
    /// The op it was executed at.
    pub op: Op,
    /// The view in which this replica is primary.
    pub view: View,
    /// What the service answered; empty for a `Register`.
    pub result: Bytes,
    /// True when this repeats an earlier answer.
    pub duplicate: bool,
}

/// A refusal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rejection {
    /// Whose request.
    pub client: ClientId,
    /// In which session.
    pub session: Session,
    /// Which request.
    pub number: RequestNumber,
    /// Why.
    pub reason: Reject,
}

/// Why a request is refused. None of these says that an earlier attempt did not take effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reject {
    /// Only the primary takes requests. `primary` and `view` are hints, of the last view known to have started.
    NotPrimary {
        /// Who may be it; `None` when this replica cannot tell.
        primary: Option<ReplicaId>,
        /// Of which view.
        view: View,
    },
    /// Too much is waiting, or this primary is not sure of itself: try again later.
    Busy,
    /// The session is gone; the outcome of its outstanding request is unknown.
    Evicted,
    /// The body exceeds the configured limit.
    TooLarge,
    /// The request contradicts itself: a numbered `Register`, an operation numbered 0.
    Malformed,
    /// The disk of the primary is full: another one will take over if that lasts.
    NoSpace,
    /// A reconfiguration that names no group which may follow.
    Reconfiguration(BadGroup),
}

/// Why a replica stops for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum HaltReason {
    /// A log that must be installed contradicts what this replica executed (PROTOCOL D19).
    ContradictsExecuted {
        /// Where.
        op: Op,
    },
    /// The primary of our view has another entry than we have (PROTOCOL D6, S6).
    ContradictsLog {
        /// Where.
        op: Op,
    },
    /// The selected log of a new view ends before what is known to be committed.
    CommittedBeyondLog {
        /// What is committed.
        commit: Op,
        /// Where the log ends.
        op: Op,
    },
    /// The driver reports that a write or a sync failed (PROTOCOL D55).
    WriteFailed,
}

/// Why a message was dropped. All of these are normal on a network that may do anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Ignored {
    /// Another cluster's, or another configuration's.
    WrongCluster,
    /// From another epoch.
    WrongEpoch,
    /// From somebody who is no member, or from ourselves.
    NotAMember,
    /// From an earlier view.
    OlderView,
    /// Not for a replica in our status or role.
    WrongStatus,
    /// From a replica that has no such role in this view.
    WrongRole,
    /// An answer to nothing we asked, or to something we asked long ago.
    NotAsked,
    /// Nothing in it that is not here already.
    Duplicate,
    /// It does not continue our log; we ask for what is missing.
    Gap,
    /// It contradicts itself or what we know.
    Malformed,
    /// It names entries that we do not have.
    Unknown,
    /// There is no space on disk for what it brings.
    NoSpace,
}

/// A fact about a step, in the words of the paper. Counters, traces, tests and people read these.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Note {
    /// Started.
    Opened {
        /// Which life this is.
        incarnation: Incarnation,
        /// In what view.
        view: View,
    },
    /// A message was dropped.
    Ignored {
        /// From whom.
        from: ReplicaId,
        /// What.
        kind: MessageKind,
        /// Why.
        why: Ignored,
    },
    /// The commit-number rose.
    Committed {
        /// Through here.
        op: Op,
    },
    /// Timed out: this replica wants another view and says so.
    WantsViewChange {
        /// Which view it wants to leave.
        view: View,
    },
    /// Entered a view change (VRR §4.2 step 1).
    EnteredView {
        /// The new view.
        view: View,
        /// Why.
        cause: EnterCause,
    },
    /// A quorum reported: the log of this replica is chosen (VRR §4.2 step 3).
    ChoseLog {
        /// The new view.
        view: View,
        /// Whose log.
        of: ReplicaId,
        /// Who reported.
        reports: ReplicaSet,
    },
    /// Became primary (VRR §4.2 step 3).
    BecamePrimary {
        /// Of this view.
        view: View,
        /// Where its initial log ends.
        view_start: Op,
    },
    /// Became a backup (VRR §4.2 step 5, §4.3 step 3).
    BecameBackup {
        /// In this view.
        view: View,
        /// Where its log ends.
        op: Op,
    },
    /// A primary that no quorum hears gives up (DESIGN §10).
    Abdicated {
        /// Its view.
        view: View,
    },
    /// Asked to give way, a primary logs nothing new until the other one has it all; then it enters its next view.
    HandingOver {
        /// The primary to be.
        to: ReplicaId,
    },
    /// There is no hand-over, or not any more: this replica does what it did before.
    NoHandOver {
        /// Why.
        why: NoHandOver,
    },
    /// Asked for log entries (VRR §5.2).
    AskedForState {
        /// Whom.
        of: ReplicaId,
        /// The question.
        id: FetchId,
    },
    /// Took over entries from a peer (VRR §5.2).
    TookState {
        /// From whom.
        from: ReplicaId,
        /// The log ends here now.
        op: Op,
    },
    /// The service and the client table at a fixed op are a checkpoint, on its way to the disk (VRR §5.1).
    CheckpointTaken {
        /// After this op.
        op: Op,
        /// Equal on all replicas.
        digest: Hash,
    },
    /// A checkpoint is on the disk: a start begins from it.
    CheckpointDurable {
        /// After this op.
        op: Op,
    },
    /// The entries behind a durable checkpoint were given up (VRR §5.1).
    LogCut {
        /// Through here.
        through: Op,
    },
    /// Asked for the next part of a checkpoint: no log that answered reaches back to ours (VRR §5.2).
    AskedForCheckpoint {
        /// Whom.
        of: ReplicaId,
        /// Which.
        op: Op,
        /// From which byte on.
        offset: u64,
    },
    /// A checkpoint from a peer is whole, verified, and takes the place of the log before it (VRR §5.2).
    CheckpointInstalled {
        /// After this op.
        op: Op,
        /// Equal on all replicas.
        digest: Hash,
    },
    /// Dropped entries that the new view does not have.
    Truncated {
        /// The log had ended here …
        from: Op,
        /// … and everything after this went.
        to: Op,
    },
    /// Sent prepares again.
    Retransmitted {
        /// To whom.
        to: ReplicaId,
        /// From this op on.
        op: Op,
    },
    /// Acknowledged again what had been acknowledged.
    Reacknowledged {
        /// Through here.
        op: Op,
    },
    /// Asked the group for its memory (VRR §4.3 step 1).
    Recovering {
        /// No earlier view will do.
        view_min: View,
    },
    /// Has its memory back (VRR §4.3 step 3).
    Recovered {
        /// In this view.
        view: View,
        /// So much of the own old log was verified and kept.
        kept: Op,
        /// The log ends here.
        op: Op,
    },
    /// A session was opened.
    Registered {
        /// Whose.
        client: ClientId,
        /// Which.
        session: Session,
    },
    /// A session gave way to a newer one.
    Evicted {
        /// Whose.
        client: ClientId,
        /// Which.
        session: Session,
    },
    /// A request was recognised as one that was taken before.
    DuplicateRequest {
        /// Whose.
        client: ClientId,
        /// Which.
        number: RequestNumber,
    },
    /// A duplicate in the log was passed over when its turn to execute came.
    SkippedDuplicate {
        /// Where.
        op: Op,
    },
    /// Opened with a log of which confirmed records do not check any more: what is lost is asked of the others, and
    /// until it is here this replica promises nothing.
    DamagedLog {
        /// The first op that is lost here.
        from: Op,
    },
    /// Everything that had been lost of the own log is here again, verified by its hashes: this replica goes on as if
    /// nothing had happened to its disk (PROTOCOL D56, D58).
    RepairedLog {
        /// The first op that had been lost.
        from: Op,
        /// So many entries came from the others.
        entries: u64,
    },
    /// So many members ask for their memory at once that the others are no quorum. Unless a
    /// primary still leads, or those whose logs are damaged can give each other what they lost, they wait for their
    /// operator (PROTOCOL D63, D58, §6 b). Said when there are more than before.
    Outnumbered {
        /// Who asks, this replica included.
        asking: ReplicaSet,
    },
    /// An orderly stop: nothing is said any more. The driver exits when every write issued so far is durable.
    Stopped {
        /// A [`Write::Clean`] follows as the last write. False while recovering: what is on disk is not all there was.
        clean: bool,
    },
    /// A reconfiguration was committed and executed: the epoch is over, and its last state is about to be the base of the
    /// next one (VRR §7.1).
    EpochEnds {
        /// This one ends …
        epoch: Epoch,
        /// … with this op.
        op: Op,
    },
    /// Is of an epoch from now on, with everything that it begins with; on its way to the disk (VRR §7.1, §7.2).
    EpochBegan {
        /// Which.
        epoch: Epoch,
        /// Its log begins after this op.
        base: Op,
        /// Is this replica a member of its group?
        member: bool,
    },
    /// Heard of a later epoch and asks for what it begins with (VRR §7.2).
    LearnedEpoch {
        /// Which.
        epoch: Epoch,
        /// From whom.
        from: ReplicaId,
    },
    /// A quorum of the group has what the epoch begins with: nobody else is needed for it any more (VRR §7.1).
    EpochSettled {
        /// Which.
        epoch: Epoch,
    },
    /// Reads that waited at this backup are refused: its primary did not say in time what they must reflect, that did not
    /// come here in time, or the view is over (PROTOCOL 1.8).
    ReadsGivenUp {
        /// In which view they waited.
        view: View,
        /// How many.
        queries: u64,
    },
    /// The client table and executed prefix at a fixed op, for comparison between replicas (PROTOCOL S16).
    TableAt {
        /// After this op.
        op: Op,
        /// The hash of the table.
        table: Hash,
    },
}

const _: () = assert!(size_of::<Action>() <= 96, "the hot path copies actions");
