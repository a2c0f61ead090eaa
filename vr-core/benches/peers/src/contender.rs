//! What a contender is, and the one closed loop that drives them all: payloads, refilling, counting and the clock are
//! the same code for everyone, so a contender brings only its cluster.

use bytes::Bytes;
use std::time::{Duration, Instant};

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

/// A cluster with an elected leader, stepped by hand: one call of each of `leader_in`, `propose` and `exchange` is one
/// network round trip in which every node first reads its whole inbox and then sends, as an event loop would.
pub(crate) trait Cluster {
    /// The leader digests the replies in flight and applies what is now committed; ops it has committed so far.
    fn leader_in(&mut self) -> usize;

    /// The leader takes on every op in `ops` (leaving it empty), batched as its library's interface best allows.
    fn propose(&mut self, ops: &mut Vec<Bytes>);

    /// The leader sends; every follower digests, applies and replies.
    fn exchange(&mut self);

    /// Pushes out a commit index the followers have not heard of yet: called only after the last op.
    fn settle(&mut self);

    /// Ops applied by the replica that has applied the fewest.
    fn applied_everywhere(&self) -> usize;
}

/// The replicated state machine: it reads every op and insists on the order, so no contender can skip the work.
#[derive(Debug, Default)]
pub(crate) struct Applied(usize);

impl Applied {
    pub(crate) fn apply(&mut self, op: &[u8]) {
        let number = op.first_chunk().map(|head| u64::from_le_bytes(*head));
        assert_eq!(number.and_then(|n| usize::try_from(n).ok()), Some(self.0), "op out of order");
        self.0 += 1;
    }

    pub(crate) fn count(&self) -> usize {
        self.0
    }
}

/// Keeps exactly `case.outstanding` ops uncommitted until `ops` have been proposed, then runs dry.
pub(crate) fn closed_loop<C: Cluster>(mut cluster: C, case: Case, ops: usize) -> Duration {
    let mut body = vec![0xA5; case.payload_bytes];
    let mut fresh = Vec::with_capacity(case.outstanding);
    let mut issued: usize = 0;
    let start = Instant::now();
    loop {
        let committed = cluster.leader_in();
        if committed == ops {
            break;
        }
        while issued < ops && issued - committed < case.outstanding {
            // One allocation and one copy an op, as when it is read off a socket.
            let number = u64::try_from(issued).expect("usize fits u64");
            body[..8].copy_from_slice(&number.to_le_bytes());
            fresh.push(Bytes::copy_from_slice(&body));
            issued += 1;
        }
        cluster.propose(&mut fresh);
        cluster.exchange();
    }
    while cluster.applied_everywhere() < ops {
        cluster.settle();
        cluster.exchange();
    }
    start.elapsed()
}
