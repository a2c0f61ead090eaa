//! What replicas say to each other: one envelope, one variant per message of the paper.
//!
//! Owns the shapes. Must not know when one is sent or what it makes a replica do. Paper: VRR §4 and §5;
//! the fields beyond the paper's are argued in PROTOCOL 1.0 and DESIGN 9.1, 9.8.

use crate::entry::Entries;
use crate::group::Group;
use crate::id::{Beat, Epoch, FetchId, Hash, Incarnation, Instance, Nonce, Op, ReplicaId, Seq, View};
use crate::log::Head;
use crate::quorum::ReplicaSet;
use crate::state::State;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};
use serde::{Deserialize, Serialize};

/// The most positions a question names; a log of 2⁶⁴ entries needs no more.
pub const MAX_ANCHORS: usize = 65;

/// The version of the protocol these shapes belong to; another one is refused on the wire.
pub const PROTOCOL_VERSION: u16 = 1;

/// Who speaks, from where in time: what is the same in every message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The digest of the sender's replicated configuration, which covers the cluster's id: another cluster's
    /// messages carry another digest.
    pub config: Hash,
    /// The sender's epoch.
    pub epoch: Epoch,
    /// The sender's view, durable before this was sent.
    pub view: View,
    /// The sender.
    pub from: ReplicaId,
    /// The sender's disk.
    pub instance: Instance,
    /// The sender's incarnation, durable before this was sent.
    pub incarnation: Incarnation,
    /// Counts the sender's messages: `(from, incarnation, seq)` names this one in traces.
    pub seq: Seq,
}

/// One message: an envelope, written once. Moving one copies a pointer; its receiver takes out what it keeps. It has one
/// owner, as counting owners costs more than a copy for each receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message(pub(crate) Box<Envelope>);

/// What a message holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// Who speaks, from where in time.
    pub header: Header,
    /// What is said.
    pub body: Body,
}

impl Message {
    /// A message that says `body`.
    #[must_use]
    pub fn new(header: Header, body: Body) -> Self {
        Self(Box::new(Envelope { header, body }))
    }
}

/// The box of a message that was read: the next one is written into it, instead of one freed and one allocated for each.
/// What it holds means nothing, so that it is the same in every replica.
#[derive(Default)]
pub(crate) struct Spare(Option<Box<Envelope>>);

impl Spare {
    /// Takes the body of a message that was read, and keeps the box.
    pub(crate) fn open(message: Message) -> (Box<Envelope>, Body) {
        let mut envelope = message.0;
        let body = core::mem::replace(&mut envelope.body, Body::CommitOk { beat: Beat::ZERO });
        (envelope, body)
    }

    pub(crate) fn keep(&mut self, envelope: Box<Envelope>) {
        self.0 = Some(envelope);
    }

    /// A message that says `body`.
    #[inline]
    pub(crate) fn message(&mut self, header: Header, body: Body) -> Message {
        match self.0.take() {
            Some(mut envelope) => {
                (envelope.header, envelope.body) = (header, body);
                Message(envelope)
            }
            None => Message::new(header, body),
        }
    }
}

impl Clone for Spare {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Spare {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Spare {}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spare")
    }
}

impl Deref for Message {
    type Target = Envelope;
    fn deref(&self) -> &Envelope {
        &self.0
    }
}

impl DerefMut for Message {
    fn deref_mut(&mut self) -> &mut Envelope {
        &mut self.0
    }
}

impl Serialize for Message {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Envelope::deserialize(deserializer).map(|envelope| Self(Box::new(envelope)))
    }
}

/// What is said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u64)] // the tag is a word: what follows it is moved in whole words
pub enum Body {
    /// VRR §4.1 step 3. A batch of consecutive entries and the primary's commit-number.
    Prepare {
        /// The entries, never none.
        entries: Entries,
        /// Everything through here is committed.
        commit: Op,
        /// Also a heartbeat.
        beat: Beat,
    },
    /// VRR §4.1 step 4. "My log of this view is durable through `head`", cumulative.
    PrepareOk {
        /// What is acknowledged, by content.
        head: Head,
        /// The newest heartbeat heard in this view.
        beat: Beat,
    },
    /// VRR §4.1 step 6: the heartbeat of an idle primary.
    Commit {
        /// Everything through here is committed.
        commit: Op,
        /// The end of the primary's log, so that a backup sees what it misses.
        head: Head,
        /// Which heartbeat this is.
        beat: Beat,
    },
    /// The answer to a heartbeat when there is nothing to acknowledge.
    CommitOk {
        /// The heartbeat heard.
        beat: Beat,
    },
    /// VRR §4.2 step 1, in the form of DESIGN §10: a vote, never passed on by others.
    StartViewChange {
        /// Does the sender want to leave its view?
        want: bool,
        /// Whom the sender heard directly of late.
        hears: ReplicaSet,
    },
    /// VRR §4.2 step 2.
    DoViewChange(Box<DoViewChange>),
    /// VRR §4.2 step 4.
    StartView(Box<StartView>),
    /// VRR §5.2: "send me what I miss".
    GetState(Box<GetState>),
    /// VRR §5.2: one page of it.
    NewState(Box<NewState>),
    /// VRR §4.3 step 1.
    Recovery(Box<Recovery>),
    /// VRR §4.3 step 2.
    RecoveryResponse(Box<RecoveryResponse>),
    /// VRR §5.2: "send me that checkpoint, from there on". Whoever has it answers, in whatever view: it is named
    /// by content.
    GetCheckpoint {
        /// Which: the op, and the hash of the entry at it.
        head: Head,
        /// From which byte on.
        offset: u64,
    },
    /// VRR §5.2: one part of a checkpoint.
    CheckpointPart(Box<CheckpointPart>),
    /// "My disk lost the entries that end in this one" (PROTOCOL D58). Whoever has them answers, in whatever view:
    /// they are named by content.
    GetEntries {
        /// The last one that is lost.
        through: Head,
    },
    /// Entries that were asked for by name, as many as fit a message; the last is the one that was named.
    Entries(Entries),
    /// VRR §7.1: "this is your group now". Said by whoever is in its epoch, to all members, until a quorum of them answered.
    StartEpoch(Box<Group>),
    /// VRR §7.1: "what the epoch begins with is durable here".
    EpochStarted {
        /// Which epoch.
        epoch: Epoch,
    },
    /// VRR §7.2: to somebody who is still in an earlier epoch: "this is the group now".
    NewEpoch(Box<Group>),
    /// VRR §7.3: "I am in an earlier epoch than you: which one is it now?"
    CheckEpoch,
    /// A backup, for all of its clients that wait with a read: "what must their answers reflect?" (VRR §6.3; PROTOCOL 1.8).
    GetReadIndex {
        /// Comes back in the answer.
        id: FetchId,
    },
    /// The primary, once a quorum has answered a heartbeat that left after the question came: "everything through here".
    ReadIndex {
        /// Of the question.
        id: FetchId,
        /// What the answers must reflect.
        op: Op,
    },
    /// VRR §6.1: "this checkpoint is on my disk, and that one on enough disks". In groups with witnesses only.
    CheckpointDurable(Box<CheckpointDurable>),
}

/// A piece of a log that leads towards its head: the entries after `base`, as many as fit a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tail {
    /// Where the entries continue from.
    pub base: Head,
    /// Some of the entries after it, perhaps none, perhaps all.
    pub entries: Entries,
    /// Where the sender's log ends.
    pub head: Head,
}

/// The report of one replica to the primary of a new view (VRR §4.2 step 2). The view is in the header.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DoViewChange {
    /// v′: the last view in which the sender was normal, whose whole initial log it holds.
    pub log_view: View,
    /// k: the sender's commit-number.
    pub commit: Op,
    /// l and n: the end of the sender's log, and the entries behind its commit-number that fit.
    pub tail: Tail,
}

/// The log of a new view (VRR §4.2 step 4). The view is in the header.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StartView {
    /// Where the view's initial log ended: nobody is normal in this view with less.
    pub view_start: Op,
    /// k: the primary's commit-number.
    pub commit: Op,
    /// l and n: the end of the primary's log, and entries that lead to it.
    pub tail: Tail,
}

/// A question for log entries (VRR §5.2), answered by content only.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GetState {
    /// Comes back in the answer.
    pub id: FetchId,
    /// What the asker has, newest first, then what it could have: the answer continues from the first that the answerer has too.
    pub have: Vec<Head>,
    /// The log that is wanted; `None` for the answerer's own, as far as it goes.
    pub want: Option<Head>,
}

/// One page of log entries (VRR §5.2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewState {
    /// Of the question.
    pub id: FetchId,
    /// k: the answerer's commit-number.
    pub commit: Op,
    /// The page and where the wanted log ends.
    pub tail: Tail,
}

/// The question of a replica that lost its memory (VRR §4.3 step 1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recovery {
    /// Which start asks.
    pub nonce: Nonce,
    /// The view this replica promised before it crashed: no answer from an earlier one will do (rule V).
    pub view_min: View,
    /// What it has from before, unproven, newest first: the answer continues from the newest that is shared.
    pub have: Vec<Head>,
}

/// The answer to a recovering replica (VRR §4.3 step 2). The view is in the header.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecoveryResponse {
    /// Of the question.
    pub nonce: Nonce,
    /// Only from the primary of the view: its log, uncommitted entries included (PROTOCOL D49).
    pub log: Option<StartView>,
}

/// One part of a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckpointPart {
    /// Of which checkpoint; of a newer one than was asked for, when the answerer has that one no more.
    pub head: Head,
    /// The digest of all of it (PROTOCOL D65).
    pub digest: Hash,
    /// How long all of it is.
    pub length: u64,
    /// From which byte on.
    pub offset: u64,
    /// The bytes, in the pieces in which whoever gives them has them.
    pub bytes: State,
}

/// Which checkpoints are on disks, in a group with witnesses: their logs go behind what enough of those that hold state have
/// (VRR §6.1; PROTOCOL D103). Or later ones by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CheckpointDurable {
    /// The sender's own: the op, and the hash of the entry at it; op 0 for none.
    pub head: Head,
    /// What a log may begin with, as far as the sender knows; op 0 if it does not.
    pub held: Head,
}

/// The kind of a message, for counters, filters and traces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // each is the variant of Body of the same name
pub enum MessageKind {
    Prepare,
    PrepareOk,
    Commit,
    CommitOk,
    StartViewChange,
    DoViewChange,
    StartView,
    GetState,
    NewState,
    Recovery,
    RecoveryResponse,
    GetCheckpoint,
    CheckpointPart,
    GetEntries,
    Entries,
    StartEpoch,
    EpochStarted,
    NewEpoch,
    CheckEpoch,
    GetReadIndex,
    ReadIndex,
    CheckpointDurable,
}

impl MessageKind {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Prepare,
        Self::PrepareOk,
        Self::Commit,
        Self::CommitOk,
        Self::StartViewChange,
        Self::DoViewChange,
        Self::StartView,
        Self::GetState,
        Self::NewState,
        Self::Recovery,
        Self::RecoveryResponse,
        Self::GetCheckpoint,
        Self::CheckpointPart,
        Self::GetEntries,
        Self::Entries,
        Self::StartEpoch,
        Self::EpochStarted,
        Self::NewEpoch,
        Self::CheckEpoch,
        Self::GetReadIndex,
        Self::ReadIndex,
        Self::CheckpointDurable,
    ];

    /// Does it say which epoch it is? Such a message is looked at whatever the sender's epoch, member or not.
    #[must_use]
    pub(crate) const fn is_about_epochs(self) -> bool {
        matches!(self, Self::StartEpoch | Self::EpochStarted | Self::NewEpoch | Self::CheckEpoch)
    }

    /// Does it ask for something that its content names, whoever has it?
    pub(crate) const fn is_by_content(self) -> bool {
        matches!(self, Self::GetCheckpoint | Self::GetEntries)
    }

    /// The paper's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepare => "Prepare",
            Self::PrepareOk => "PrepareOk",
            Self::Commit => "Commit",
            Self::CommitOk => "CommitOk",
            Self::StartViewChange => "StartViewChange",
            Self::DoViewChange => "DoViewChange",
            Self::StartView => "StartView",
            Self::GetState => "GetState",
            Self::NewState => "NewState",
            Self::Recovery => "Recovery",
            Self::RecoveryResponse => "RecoveryResponse",
            Self::GetCheckpoint => "GetCheckpoint",
            Self::CheckpointPart => "CheckpointPart",
            Self::GetEntries => "GetEntries",
            Self::Entries => "Entries",
            Self::StartEpoch => "StartEpoch",
            Self::EpochStarted => "EpochStarted",
            Self::NewEpoch => "NewEpoch",
            Self::CheckEpoch => "CheckEpoch",
            Self::GetReadIndex => "GetReadIndex",
            Self::ReadIndex => "ReadIndex",
            Self::CheckpointDurable => "CheckpointDurable",
        }
    }
}

impl Body {
    /// Which message this is.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Prepare { .. } => MessageKind::Prepare,
            Self::PrepareOk { .. } => MessageKind::PrepareOk,
            Self::Commit { .. } => MessageKind::Commit,
            Self::CommitOk { .. } => MessageKind::CommitOk,
            Self::StartViewChange { .. } => MessageKind::StartViewChange,
            Self::DoViewChange(_) => MessageKind::DoViewChange,
            Self::StartView(_) => MessageKind::StartView,
            Self::GetState(_) => MessageKind::GetState,
            Self::NewState(_) => MessageKind::NewState,
            Self::Recovery(_) => MessageKind::Recovery,
            Self::RecoveryResponse(_) => MessageKind::RecoveryResponse,
            Self::GetCheckpoint { .. } => MessageKind::GetCheckpoint,
            Self::CheckpointPart(_) => MessageKind::CheckpointPart,
            Self::GetEntries { .. } => MessageKind::GetEntries,
            Self::Entries(_) => MessageKind::Entries,
            Self::StartEpoch(_) => MessageKind::StartEpoch,
            Self::EpochStarted { .. } => MessageKind::EpochStarted,
            Self::NewEpoch(_) => MessageKind::NewEpoch,
            Self::CheckEpoch => MessageKind::CheckEpoch,
            Self::GetReadIndex { .. } => MessageKind::GetReadIndex,
            Self::ReadIndex { .. } => MessageKind::ReadIndex,
            Self::CheckpointDurable(_) => MessageKind::CheckpointDurable,
        }
    }
}

const _: () = assert!(size_of::<Envelope>() <= 120, "the hot path writes one per message");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_of_a_message_that_was_read_is_the_box_of_the_next_one() {
        let header = Header {
            config: Hash(1),
            epoch: Epoch::ZERO,
            view: View::ZERO,
            from: ReplicaId(1),
            instance: Instance(1),
            incarnation: Incarnation(1),
            seq: Seq(1),
        };
        let read = Message::new(header, Body::CheckEpoch);
        let (place, mut spare) = (core::ptr::from_ref::<Envelope>(&read), Spare::default());
        let (envelope, body) = Spare::open(read);
        assert_eq!(body, Body::CheckEpoch);
        spare.keep(envelope);
        // Were it freed, this one would take its place.
        let other = Message::new(header, Body::CheckEpoch);
        let next = spare.message(Header { seq: Seq(2), ..header }, Body::CommitOk { beat: Beat(3) });
        assert_eq!(core::ptr::from_ref::<Envelope>(&next), place);
        assert_ne!(core::ptr::from_ref::<Envelope>(&other), place);
        assert_eq!((next.header.seq, &next.body), (Seq(2), &Body::CommitOk { beat: Beat(3) }));
    }
}
