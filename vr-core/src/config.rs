//! What a replica is told before it starts: the cluster's replicated configuration and the node's own.
//!
//! Owns members, quorum, who is primary of which view, limits, timeouts and their validation. Must not know
//! addresses, files or clocks. Paper: VRR §4 (configuration), §2.2 (quorums); DESIGN 9.7, 9.10.

use crate::group::Group;
use crate::id::{ClusterId, Hash, Incarnation, ReplicaId, View, Wait, count, index};
use crate::lease::Lease;
use crate::quorum::{Position, faults_tolerated, quorum};
use crate::rules::Rules;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// When a promise may leave (PROTOCOL §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default, Serialize, Deserialize)]
pub enum Durability {
    /// Nothing is promised before it is on disk. Survives any number of crashes, all at once included.
    #[default]
    Sync,
    /// The paper's: memory plus a quorum; the log on disk is a cache. Survives f crashed or recovering
    /// replicas at a time. View and incarnation are on disk before they are said, here too (rule V).
    Async,
}

/// The part of the configuration that every replica of a cluster shares, written when it is formatted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterConfig {
    /// The cluster's id.
    pub cluster: ClusterId,
    /// The members, in the order in which views rotate through them. 1 to 64, distinct.
    pub members: Vec<ReplicaId>,
    /// Those of them that are witnesses: they log and vote as everybody does, and hold no state, execute nothing and never
    /// lead (VRR §6.1). Of n members, ⌊(n − 1) / 2⌋ of which may fail, one more than that are full ones.
    pub witnesses: Vec<ReplicaId>,
    /// When a promise may leave.
    pub durability: Durability,
    /// How many client sessions there may be; one more evicts the longest silent one. At least 1.
    pub client_capacity: u32,
    /// Every so many ops the replicas take a checkpoint, at the same op, and give up the log behind the one before. At
    /// least 1.
    pub checkpoint_interval: u32,
    /// The longest message, in bytes, on the wire.
    pub max_message_bytes: u32,
    /// The longest body of a request, in bytes.
    pub max_request_bytes: u32,
    /// Reads at the primary under a lease; none by default: then a quorum answers a heartbeat for them, and no clock counts.
    pub lease: Option<Lease>,
}

/// How long to wait for what. Defaults follow from the heartbeat (DESIGN §10).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Timeouts {
    /// H: how often a primary is heard, and votes and questions are repeated.
    pub heartbeat: Wait,
    /// T_vc is drawn from this …
    pub view_change_min: Wait,
    /// … to this. Where both are the same, replicas wait in step: with less patience than a view change takes they may go on from
    /// view to view for long.
    pub view_change_max: Wait,
    /// T_abd: a primary that no quorum acknowledges within this time abdicates.
    pub abdicate: Wait,
    /// T_vote: how long a vote, and having heard somebody, counts.
    pub vote: Wait,
    /// How long an unanswered page of state transfer is waited for.
    pub fetch: Wait,
    /// How long unacknowledged prepares are waited for, the first time; doubles up to eightfold.
    pub retransmit: Wait,
}

impl Timeouts {
    /// The proven proportions: T_vc 8 to 16 H, T_abd 10 H, T_vote 3 H.
    #[must_use]
    pub const fn from_heartbeat(heartbeat: Wait) -> Self {
        Self {
            heartbeat,
            view_change_min: heartbeat.times(8),
            view_change_max: heartbeat.times(16),
            abdicate: heartbeat.times(10),
            vote: heartbeat.times(3),
            fetch: heartbeat.times(2),
            retransmit: heartbeat.times(2),
        }
    }
}

/// How requests become batches (PROTOCOL 1.11, DESIGN 9.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Batching {
    /// How many batches may be prepared and not committed. A request is sent at once while there is room.
    pub pipeline: u32,
    /// The most entries in one batch.
    pub batch_entries: u32,
    /// The most requests waiting for room; one more is `Busy`.
    pub queue_entries: u32,
}

impl Default for Batching {
    fn default() -> Self {
        Self { pipeline: 4, batch_entries: 1024, queue_entries: 8192 }
    }
}

/// Everything one replica is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What all replicas share.
    pub cluster: ClusterConfig,
    /// Who this is.
    pub me: ReplicaId,
    /// This replica is not among the first members: it waits until a reconfiguration adds it (VRR §7). Follows from the
    /// members where it is read back.
    #[serde(skip)]
    pub joins: bool,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How requests become batches.
    pub batching: Batching,
    /// Spreads this replica's timeouts apart from the others'. Chance inside the core is a function of it.
    pub jitter_seed: u64,
    /// The rules it plays by; a planted bug under the feature `mutants`, nothing otherwise.
    #[serde(skip)]
    pub rules: Rules,
}

/// Why a configuration is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// There must be 1 to 64 members.
    MemberCount(usize),
    /// A member is named twice.
    DuplicateMember(ReplicaId),
    /// This replica is not a member.
    NotAMember(ReplicaId),
    /// The asynchronous mode needs somebody to recover from.
    AsyncAlone,
    /// A witness is not among the members.
    NotAWitness(ReplicaId),
    /// With so many witnesses no full member may be left when as many members fail as may.
    TooManyWitnesses {
        /// So many members are full ones.
        full: usize,
        /// So many have to be.
        needed: usize,
    },
    /// A limit is zero or too small to hold one request.
    Limit(&'static str),
    /// A timeout is zero or its bounds are the wrong way round.
    Timeout(&'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemberCount(n) => write!(f, "a cluster has 1 to 64 members, not {n}"),
            Self::DuplicateMember(id) => write!(f, "replica {id} is a member twice"),
            Self::NotAMember(id) => write!(f, "replica {id} is not a member of this cluster"),
            Self::AsyncAlone => f.write_str(
                "asynchronous durability needs at least 2 members: a lone replica has nobody to recover from",
            ),
            Self::NotAWitness(id) => write!(f, "replica {id} is to be a witness and is not a member"),
            Self::TooManyWitnesses { full, needed } => write!(
                f,
                "{full} members are no witnesses: it takes {needed}, so that one is left when as many members fail as may"
            ),
            Self::Limit(what) => write!(f, "{what} is too small"),
            Self::Timeout(what) => write!(f, "{what}"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Room in a message beside entries: header, anchors, counts.
pub const MESSAGE_OVERHEAD_BYTES: u32 = 2048;

impl ClusterConfig {
    /// A cluster of the members 0 to n − 1 with the default limits.
    #[must_use]
    pub fn of_size(cluster: ClusterId, members: u16) -> Self {
        Self {
            cluster,
            members: (0..members).map(ReplicaId).collect(),
            witnesses: Vec::new(),
            durability: Durability::Sync,
            client_capacity: 4096,
            checkpoint_interval: 8192,
            max_message_bytes: 8 << 20,
            max_request_bytes: 1 << 20,
            lease: None,
        }
    }

    /// These members are witnesses. Two full members and a witness bear any one failure, three and two any two; with an even
    /// number of members, a witness more is one that has to be heard and bears nothing.
    #[must_use]
    pub fn with_witnesses(self, witnesses: &[ReplicaId]) -> Self {
        Self { witnesses: witnesses.to_vec(), ..self }
    }

    /// Is this member one?
    #[must_use]
    pub fn is_witness(&self, id: ReplicaId) -> bool {
        self.witnesses.contains(&id)
    }

    /// The group of the first epoch.
    #[must_use]
    pub fn group(&self) -> Group {
        let witnesses = self.witnesses.iter().filter_map(|id| self.position(*id)).collect();
        Group::first(self.cluster, &self.members).with_witnesses(witnesses)
    }

    /// So many members a group has at least: in the asynchronous mode nobody can recover alone.
    #[must_use]
    pub const fn least_members(&self) -> usize {
        match self.durability {
            Durability::Sync => 1,
            Durability::Async => 2,
        }
    }

    /// How many replicas make a quorum.
    #[must_use]
    pub fn quorum(&self) -> usize {
        quorum(self.members.len())
    }

    /// Where a member stands in the rotation.
    #[must_use]
    pub fn position(&self, id: ReplicaId) -> Option<Position> {
        let guess = usize::from(id.0);
        if self.members.get(guess) == Some(&id) {
            return Position::new(guess);
        }
        self.members.iter().position(|m| *m == id).and_then(Position::new)
    }

    /// The primary of a view of the first epoch: the members take turns (VRR §4). Those of later ones: [`crate::Group`].
    #[must_use]
    pub fn primary(&self, view: View) -> ReplicaId {
        let full = || self.members.iter().filter(|id| !self.is_witness(**id));
        let turn = index(view.number() % count(full().count().max(1)));
        full().nth(turn).copied().unwrap_or(self.members[0])
    }

    /// The digest in every envelope: replicas with different configurations do not talk.
    /// Over little-endian: cluster, member count, members, durability, capacity, interval, limits, the witnesses in the order
    /// of the members, if there are any, and the lease after its name, if there is one.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.cluster.0.to_le_bytes());
        bytes.extend_from_slice(&count(self.members.len()).to_le_bytes());
        self.members.iter().for_each(|m| bytes.extend_from_slice(&m.0.to_le_bytes()));
        bytes.push(match self.durability {
            Durability::Sync => 0,
            Durability::Async => 1,
        });
        for limit in [self.client_capacity, self.checkpoint_interval, self.max_message_bytes, self.max_request_bytes] {
            bytes.extend_from_slice(&limit.to_le_bytes());
        }
        let witnesses = self.members.iter().filter(|id| self.is_witness(**id));
        witnesses.for_each(|id| bytes.extend_from_slice(&id.0.to_le_bytes()));
        if let Some(Lease { length, drift_ppm }) = self.lease {
            bytes.extend_from_slice(b"lease");
            bytes.extend_from_slice(&length.0.to_le_bytes());
            bytes.extend_from_slice(&drift_ppm.to_le_bytes());
        }
        Hash(xxh3_128(&bytes))
    }

    /// Checks it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let n = self.members.len();
        if n == 0 || n > 64 {
            return Err(ConfigError::MemberCount(n));
        }
        for (i, id) in self.members.iter().enumerate() {
            if self.members[..i].contains(id) {
                return Err(ConfigError::DuplicateMember(*id));
            }
        }
        if n == 1 && self.durability == Durability::Async {
            return Err(ConfigError::AsyncAlone);
        }
        self.validate_witnesses()?;
        if self.client_capacity == 0 {
            return Err(ConfigError::Limit("client_capacity"));
        }
        if self.checkpoint_interval == 0 {
            return Err(ConfigError::Limit("checkpoint_interval"));
        }
        if self.max_message_bytes < self.max_request_bytes.saturating_add(MESSAGE_OVERHEAD_BYTES) {
            return Err(ConfigError::Limit("max_message_bytes (it must hold one request and 2,048 bytes more)"));
        }
        Ok(())
    }

    /// Whoever fails, somebody with a state is left. In the asynchronous mode memory comes from a primary, so that there has to
    /// be another one than oneself.
    fn validate_witnesses(&self) -> Result<(), ConfigError> {
        for (i, id) in self.witnesses.iter().enumerate() {
            if self.witnesses[..i].contains(id) {
                return Err(ConfigError::DuplicateMember(*id));
            }
            if !self.members.contains(id) {
                return Err(ConfigError::NotAWitness(*id));
            }
        }
        let full = self.members.len() - self.witnesses.len();
        let needed = self.least_members().max(faults_tolerated(self.members.len()) + 1);
        if full < needed && !self.witnesses.is_empty() {
            return Err(ConfigError::TooManyWitnesses { full, needed });
        }
        Ok(())
    }
}

impl Config {
    /// A member with the default timeouts: a heartbeat of 50 ms.
    #[must_use]
    pub fn new(cluster: ClusterConfig, me: ReplicaId) -> Self {
        Self {
            cluster,
            me,
            joins: false,
            timeouts: Timeouts::from_heartbeat(Wait::millis(50)),
            batching: Batching::default(),
            jitter_seed: u64::from(me.0),
            rules: Rules::default(),
        }
    }

    /// Checks it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.cluster.validate()?;
        if !self.joins && self.cluster.position(self.me).is_none() {
            return Err(ConfigError::NotAMember(self.me));
        }
        let t = &self.timeouts;
        if [t.heartbeat, t.view_change_min, t.abdicate, t.vote, t.fetch, t.retransmit].contains(&Wait::ZERO) {
            return Err(ConfigError::Timeout("no timeout may be zero"));
        }
        if t.view_change_max < t.view_change_min {
            return Err(ConfigError::Timeout("view_change_max lies below view_change_min"));
        }
        if let Some(fault) = self.cluster.lease.and_then(|lease| lease.fault(t.view_change_min)) {
            return Err(ConfigError::Timeout(fault));
        }
        let b = &self.batching;
        if b.pipeline == 0 || b.batch_entries == 0 || b.queue_entries == 0 {
            return Err(ConfigError::Limit(
                "pipeline, batch_entries and queue_entries must be at least 1; one of them",
            ));
        }
        Ok(())
    }

    /// T_vc of one attempt in one view: chance as a function, so that a replay draws the same (DESIGN 9.10).
    #[must_use]
    pub(crate) fn view_change_wait(&self, incarnation: Incarnation, view: View, attempt: u64) -> Wait {
        let mut bytes = [0u8; 32];
        bytes[0..8].copy_from_slice(&self.jitter_seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&incarnation.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&view.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&attempt.to_le_bytes());
        let width = self.timeouts.view_change_max.0 - self.timeouts.view_change_min.0;
        Wait(self.timeouts.view_change_min.0 + xxh3_64(&bytes) % width.saturating_add(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn cluster(members: u16) -> ClusterConfig {
        ClusterConfig::of_size(ClusterId(1), members)
    }

    #[test]
    fn a_cluster_has_one_to_sixty_four_members_and_two_at_least_in_memory() {
        assert_eq!(cluster(0).validate(), Err(ConfigError::MemberCount(0)));
        assert_eq!((cluster(1).validate(), cluster(64).validate()), (Ok(()), Ok(())));
        assert_eq!(cluster(65).validate(), Err(ConfigError::MemberCount(65)));
        let of = |members| ClusterConfig { durability: Durability::Async, ..cluster(members) };
        assert_eq!((of(1).validate(), of(2).validate()), (Err(ConfigError::AsyncAlone), Ok(())));
    }

    #[test]
    fn a_quorum_is_what_is_left_without_the_faulty_and_the_members_take_turns() {
        for (members, quorum) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)] {
            assert_eq!(cluster(members).quorum(), quorum, "of {members}");
        }
        let named = ClusterConfig { members: [5, 0, 9].map(ReplicaId).into(), ..cluster(3) };
        let position = |id| named.position(ReplicaId(id)).map(Position::index);
        assert_eq!([5, 0, 9, 1].map(position), [Some(0), Some(1), Some(2), None]);
        assert_eq!(cluster(3).position(ReplicaId(2)).map(Position::index), Some(2));
        assert_eq!([0, 1, 2, 3, 7].map(|view| named.primary(View(view)).0), [5, 0, 9, 5, 0]);
    }

    #[test]
    fn witnesses_never_lead_and_leave_enough_full_members() {
        let of = |members, witnesses: &[u16]| {
            cluster(members).with_witnesses(&witnesses.iter().copied().map(ReplicaId).collect::<Vec<_>>())
        };
        let valid = |members, witnesses: &[u16]| of(members, witnesses).validate();
        assert_eq!(
            (valid(3, &[2]), valid(3, &[0]), valid(5, &[1, 3]), valid(2, &[0])),
            (Ok(()), Ok(()), Ok(()), Ok(()))
        );
        assert_eq!(valid(3, &[1, 2]), Err(ConfigError::TooManyWitnesses { full: 1, needed: 2 }));
        assert_eq!(valid(5, &[1, 2, 3]), Err(ConfigError::TooManyWitnesses { full: 2, needed: 3 }));
        assert_eq!(valid(1, &[0]), Err(ConfigError::TooManyWitnesses { full: 0, needed: 1 }));
        assert_eq!(valid(3, &[3]), Err(ConfigError::NotAWitness(ReplicaId(3))));
        assert_eq!(valid(5, &[2, 2]), Err(ConfigError::DuplicateMember(ReplicaId(2))));
        let memory = ClusterConfig { durability: Durability::Async, ..of(2, &[1]) };
        assert_eq!(memory.validate(), Err(ConfigError::TooManyWitnesses { full: 1, needed: 2 }));
        let five = of(5, &[3, 1]);
        assert_eq!([0, 1, 2, 3, 7].map(|view| five.primary(View(view)).0), [0, 2, 4, 0, 2]);
        let leads = |view| five.group().primary(View(view));
        assert!((0..9).all(|view| leads(view) == five.primary(View(view))));
        assert_eq!(five.digest(), of(5, &[1, 3]).digest());
        assert_ne!(five.digest(), of(5, &[1]).digest());
        assert_ne!(cluster(5).digest(), of(5, &[1]).digest());
    }

    #[test]
    fn a_replica_is_a_member_or_waits_to_be_added() {
        let stranger = Config::new(cluster(3), ReplicaId(3));
        assert_eq!(stranger.validate(), Err(ConfigError::NotAMember(ReplicaId(3))));
        assert_eq!(Config { joins: true, ..stranger }.validate(), Ok(()));
        assert_eq!(Config { joins: true, ..Config::new(cluster(3), ReplicaId(2)) }.validate(), Ok(()));
    }

    #[test]
    fn a_group_has_one_member_at_least_and_two_in_memory() {
        let of = |durability| ClusterConfig { durability, ..cluster(3) }.least_members();
        assert_eq!((of(Durability::Sync), of(Durability::Async)), (1, 2));
    }

    #[test]
    fn a_message_holds_one_request_and_what_stands_around_it() {
        let mut tight = cluster(3);
        tight.max_message_bytes = tight.max_request_bytes + MESSAGE_OVERHEAD_BYTES;
        assert_eq!(tight.validate(), Ok(()));
        tight.max_message_bytes -= 1;
        assert!(matches!(tight.validate(), Err(ConfigError::Limit(_))));
    }

    #[test]
    fn no_limit_and_no_timeout_is_zero() {
        let valid = Config::new(cluster(3), ReplicaId(0));
        assert_eq!(valid.validate(), Ok(()));
        let limits: [fn(&mut Config); 5] = [
            |config| config.cluster.client_capacity = 0,
            |config| config.cluster.checkpoint_interval = 0,
            |config| config.batching.pipeline = 0,
            |config| config.batching.batch_entries = 0,
            |config| config.batching.queue_entries = 0,
        ];
        for (at, break_it) in limits.into_iter().enumerate() {
            let mut config = valid.clone();
            break_it(&mut config);
            assert!(matches!(config.validate(), Err(ConfigError::Limit(_))), "{at}");
        }
        let mut config = valid.clone();
        config.timeouts.view_change_max = config.timeouts.view_change_min;
        assert_eq!(config.validate(), Ok(()), "no jitter is allowed");
        config.timeouts.view_change_max = Wait(config.timeouts.view_change_min.0 - 1);
        assert!(matches!(config.validate(), Err(ConfigError::Timeout(_))));
        config.timeouts = valid.timeouts;
        config.cluster.lease = Some(Lease { length: config.timeouts.view_change_min, drift_ppm: 200 });
        assert_eq!(config.validate(), Ok(()));
        config.timeouts.view_change_min.0 -= 1;
        assert!(matches!(config.validate(), Err(ConfigError::Timeout(_))), "it outlasts patience");
        config = Config { timeouts: Timeouts { fetch: Wait::ZERO, ..valid.timeouts }, ..valid };
        assert!(matches!(config.validate(), Err(ConfigError::Timeout(_))));
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        assert_eq!(ConfigError::MemberCount(65).to_string(), "a cluster has 1 to 64 members, not 65");
        assert_eq!(ConfigError::DuplicateMember(ReplicaId(3)).to_string(), "replica 3 is a member twice");
    }
}
