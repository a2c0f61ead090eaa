//! What a contender is, and the one closed loop that drives them all: ops, refilling, counting and the clock are the
//! same code for everyone, so a contender brings only its cluster.

use crate::machine::thread_time;
use std::time::Duration;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) replicas: u64,
    pub(crate) payload_bytes: usize,
    /// Ops kept uncommitted at any time: the K of the closed loop.
    pub(crate) outstanding: usize,
}

/// A library under measurement.
pub(crate) trait Contender {
    /// The column heading.
    fn name(&self) -> &'static str;

    /// Replicates `ops` ops through a fresh cluster; the time from the first proposal until every replica has applied
    /// the last. Building, electing and dropping the cluster are outside the clock.
    fn run(&self, case: Case, ops: usize) -> Duration;
}

/// A cluster with an elected leader, stepped by hand. `leader_in`, `propose` and `exchange` in turn are one round trip,
/// in which every node reads its whole inbox before it sends, as an event loop would.
pub(crate) trait Cluster {
    /// The leader digests the replies in flight and applies what is now committed; ops it has applied so far.
    fn leader_in(&mut self) -> usize;

    /// The leader takes on the ops in `wire`, of `op_bytes` each, which are only borrowed: one copy of each, into
    /// whatever the library holds best.
    fn propose(&mut self, wire: &[u8], op_bytes: usize);

    /// The leader sends; every follower digests, applies and replies.
    fn exchange(&mut self);

    /// Sends out a commit index that would have ridden on the next op. Called only when there is no next op.
    fn settle(&mut self) {}

    /// Ops applied by the replica that has applied the fewest.
    fn applied_everywhere(&self) -> usize;
}

/// The replicated state machine: it reads every op and insists on their order, so no replica can skip the work.
#[derive(Debug, Default)]
pub(crate) struct Applied(usize);

impl Applied {
    pub(crate) fn apply(&mut self, op: &[u8]) {
        let number = op.first_chunk().map(|head| usize::from_le_bytes(*head));
        assert_eq!(number, Some(self.0), "op out of order");
        self.0 += 1;
    }

    pub(crate) fn count(&self) -> usize {
        self.0
    }
}

/// Round trips in a row that may commit nothing before the run is called stuck.
const PATIENCE: usize = 100;

/// Keeps exactly `case.outstanding` ops uncommitted until all `ops` have been proposed, then runs dry.
pub(crate) fn closed_loop<C: Cluster>(mut cluster: C, case: Case, ops: usize) -> Duration {
    let template = vec![0xA5; case.payload_bytes];
    let mut wire: Vec<u8> = Vec::with_capacity(case.payload_bytes * case.outstanding);
    let (mut issued, mut seen, mut idle) = (0, 0, 0);
    let start = thread_time();
    loop {
        let committed = cluster.leader_in();
        if committed == ops {
            break;
        }
        idle = if committed > seen { 0 } else { idle + 1 };
        assert!(idle < PATIENCE, "stuck at op {committed} of {ops}");
        seen = committed;
        wire.clear();
        while issued < ops && issued - committed < case.outstanding {
            let number = issued.to_le_bytes();
            wire.extend_from_slice(&number);
            wire.extend_from_slice(&template[number.len()..]);
            issued += 1;
        }
        cluster.propose(&wire, case.payload_bytes);
        cluster.exchange();
    }
    for _ in 0..PATIENCE {
        if cluster.applied_everywhere() == ops {
            break;
        }
        cluster.settle();
        cluster.exchange();
    }
    let elapsed = thread_time() - start;
    assert_eq!(cluster.applied_everywhere(), ops, "a replica fell behind");
    elapsed
}
