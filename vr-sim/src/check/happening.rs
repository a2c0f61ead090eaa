//! What checkers are fed with, and what they say: the shapes.
//!
//! Owns [`Happening`], [`Setting`] and [`Violation`]. Must not know any property, nor who feeds: a simulator or the
//! recording of a production run. PROTOCOL §4.

use vr_core::{
    Action, ClientId, ClusterConfig, Event, Hash, Op, ReplicaId, RequestNumber, Session, Snapshot, Stored, View,
};

/// Something that happened, as an observer of the whole cluster sees it.
#[derive(Debug)]
pub enum Happening<'a> {
    /// A replica was started from `stored`: a new life. `actions` are its first.
    Opened {
        /// Which.
        on: ReplicaId,
        /// What its disk held.
        stored: &'a Stored,
        /// What it asked for.
        actions: &'a [Action],
    },
    /// A replica took one event.
    Stepped {
        /// Which.
        on: ReplicaId,
        /// The event, completions of writes and upcalls among them.
        event: &'a Event,
        /// What it asked for, in order.
        actions: &'a [Action],
    },
    /// A replica crashed: everything that was not durable is gone, and its service's state.
    Crashed {
        /// Which.
        on: ReplicaId,
    },
    /// The disk of a replica that is down is gone, with all that was on it.
    DiskLost {
        /// Whose.
        on: ReplicaId,
    },
    /// The disk of a replica that is down is what it was before, in its present view: acknowledged entries are not on it
    /// any more. A quorum of others holds them.
    DiskWentBack {
        /// Whose.
        on: ReplicaId,
        /// What it holds now.
        stored: &'a Stored,
    },
    /// A client called: the invocation of an operation, once per (client, session, number), however often retried.
    Invoked {
        /// Who.
        client: ClientId,
        /// In which session.
        session: Session,
        /// Which.
        number: RequestNumber,
        /// The operation.
        body: &'a [u8],
    },
    /// A client got its answer: the return of the operation.
    Answered {
        /// Who.
        client: ClientId,
        /// In which session.
        session: Session,
        /// Which.
        number: RequestNumber,
        /// Executed at.
        op: Op,
        /// The view the answer came from.
        view: View,
        /// The answer.
        result: &'a [u8],
    },
    /// What was read for a client under a lease ([`Action::ReadBefore`]) was told, or it was too late; in the order of what the
    /// replica asked for.
    ReadUnderLease {
        /// By whom.
        on: ReplicaId,
        /// Was it told?
        told: bool,
        /// Whose question, and which.
        asked: (ClientId, RequestNumber),
    },
    /// A client was told that its session is gone: the outcome of its outstanding operation stays unknown.
    ToldEvicted {
        /// Who.
        client: ClientId,
        /// Its session.
        session: Session,
    },
    /// A client crashed or gave up: the outcome of its outstanding operation stays unknown.
    GaveUp {
        /// Who.
        client: ClientId,
    },
    /// The service of a replica, sampled right after it executed `op`: its state as a hash.
    Sampled {
        /// Which.
        on: ReplicaId,
        /// After this op.
        op: Op,
        /// The service's state.
        state: Hash,
    },
    /// The faults end: from now on these replicas are up and can talk as `links` says; the rest stays as it is.
    Healed {
        /// The healed quorum.
        core: &'a [ReplicaId],
        /// True for a full mesh, false for a star around the first of `core`.
        mesh: bool,
    },
    /// The liveness phase is over, by success or because its time ran out. One snapshot per replica that is up.
    Ended {
        /// What each replica that is up looks like, with its client table's digest.
        replicas: &'a [(Snapshot, Hash)],
        /// Requests of clients that were still unanswered.
        unanswered: &'a [(ClientId, RequestNumber)],
        /// Did the run end because everything it waits for had happened?
        settled: bool,
    },
}

/// What a checker knows from the start.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The cluster's replicated configuration.
    pub cluster: ClusterConfig,
    /// So many replicas wait to be added, with the ids that follow those of the members.
    pub spares: u16,
}

/// Safety, or liveness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Something happened that never may.
    Safety,
    /// Something did not happen in time that must.
    Liveness,
}

/// A property that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The property's short name, as in the table of `vr-sim/README.md`: `S1 agreement`, `L2 answered`, …
    pub property: &'static str,
    /// Safety or liveness.
    pub severity: Severity,
    /// What happened, in words, with who and which op.
    pub message: String,
    /// The replicas concerned.
    pub replicas: Vec<ReplicaId>,
    /// The ops concerned.
    pub ops: Vec<Op>,
}

impl Violation {
    #[cold]
    fn new(property: &'static str, severity: Severity, message: String, replicas: &[ReplicaId], ops: &[Op]) -> Self {
        let (mut replicas, mut ops) = (replicas.to_vec(), ops.to_vec());
        replicas.dedup();
        ops.dedup();
        Self { property, severity, message, replicas, ops }
    }

    #[cold]
    pub(super) fn safety(property: &'static str, message: String, replicas: &[ReplicaId], ops: &[Op]) -> Self {
        Self::new(property, Severity::Safety, message, replicas, ops)
    }

    #[cold]
    pub(super) fn liveness(property: &'static str, message: String, replicas: &[ReplicaId]) -> Self {
        Self::new(property, Severity::Liveness, message, replicas, &[])
    }
}
