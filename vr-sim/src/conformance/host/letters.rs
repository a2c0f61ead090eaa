//! What the kit says in the name of a peer.
//!
//! Owns the headers. Must not know when anything is said.

use vr_core::{
    Beat, Body, ClusterConfig, Epoch, Hash, Head, Header, Incarnation, Instance, Message, Op, Position, ReplicaId,
    ReplicaSet, Seq, View, genesis,
};

/// The messages of one peer.
pub(super) struct Letters {
    from: ReplicaId,
    config: Hash,
    members: usize,
    seq: u64,
}

impl Letters {
    pub(super) fn new(from: ReplicaId, cluster: &ClusterConfig) -> Self {
        Self { from, config: cluster.digest(), members: cluster.members.len(), seq: 0 }
    }

    pub(super) fn write(&mut self, view: View, body: Body) -> Message {
        self.seq += 1;
        let header = Header {
            config: self.config,
            epoch: Epoch::ZERO,
            view,
            from: self.from,
            instance: Instance(u128::from(self.from.0) + 1),
            incarnation: Incarnation(1),
            seq: Seq(self.seq),
        };
        Message::new(header, body)
    }

    /// The primary of view 0 is there, and has committed nothing.
    pub(super) fn heartbeat(&mut self, cluster: &ClusterConfig) -> Message {
        let head = Head { op: Op::ZERO, hash: genesis(cluster.cluster) };
        let beat = Beat(self.seq + 1);
        self.write(View::ZERO, Body::Commit { commit: Op::ZERO, head, beat })
    }

    /// It is in this view's change, and hears everybody.
    pub(super) fn vote(&mut self, view: View) -> Message {
        let mut hears = ReplicaSet::default();
        (0..self.members).filter_map(Position::new).for_each(|position| hears.insert(position));
        self.write(view, Body::StartViewChange { want: true, hears })
    }
}
