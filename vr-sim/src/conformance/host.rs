//! The kit for host loops: was anything said before its write was durable?
//!
//! Owns the situations, each a held disk and what a host may not say meanwhile, and must say once the disk is released.
//! Everything else about a host is for the checkers, which judge its recordings ([`crate::flight`]). Must not know a
//! clock: whoever waits is the embedder. VRR §4.1 step 4, §4.2 step 2; PROTOCOL P1 to P5, D55.

mod letters;
mod reference;

pub use reference::{Defect, Reference};

use super::{Report, entries_after};
use letters::Letters;
use vr_core::{
    Beat, Body, ClusterConfig, ClusterId, Durability, Head, Incarnation, Message, Op, ReplicaId, Reply, View, genesis,
    quorum,
};

/// The replica whose host is tried.
pub const REPLICA: ReplicaId = ReplicaId(1);

/// A cluster of so many, in which the members of a quorum do not matter: [`REPLICA`] or, alone, replica 0.
#[must_use]
pub fn cluster(replicas: u16) -> ClusterConfig {
    ClusterConfig { durability: Durability::Sync, ..ClusterConfig::of_size(ClusterId(0x4057), replicas) }
}

/// Something that left a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// To one peer or to several.
    Message(Message),
    /// To a client.
    Reply(Reply),
}

/// An embedder's host: its loop, with a disk that can be held, between peers and clients that the kit plays.
pub trait Host {
    /// Starts `me` of this cluster from a disk that was just formatted, whose writes are held from the start if `held`.
    /// What ran before is gone.
    ///
    /// # Errors
    /// In one line, when it does not start.
    fn start(&mut self, me: ReplicaId, cluster: &ClusterConfig, held: bool) -> Result<(), String>;

    /// While held, nothing that is handed to the disk becomes durable.
    fn hold_disk(&mut self, held: bool);

    /// The next sync fails.
    fn fail_disk(&mut self);

    /// A message of a peer arrives.
    fn deliver(&mut self, message: &Message);

    /// A client calls: a session is opened first, if there is none. Does not wait for the answer.
    fn call(&mut self, body: &[u8]);

    /// What it has said since it was last asked, after it had the time to say what it will.
    fn said(&mut self) -> Vec<Said>;

    /// Has it stopped for good?
    fn stopped(&mut self) -> bool;
}

/// So often a host is asked for what it must say, before that counts as silence.
const PATIENCE: u32 = 50;

/// Tries everything.
pub fn try_all<H: Host>(subject: &mut H) -> Report {
    let mut report = Report::new("host loop");
    report.case("nothing is said before its incarnation is durable", |tried| begins(subject, tried));
    report.case("entries are acknowledged when they are durable and not before", |tried| acknowledges(subject, tried));
    report.case("nothing is said of a view before the view is durable", |tried| votes(subject, tried));
    report.case("a client is answered when its operation is durable and not before", |tried| answers(subject, tried));
    report.case("a host whose disk failed promises nothing more and stops", |tried| fails(subject, tried));
    report
}

/// Starts a backup in good order.
fn backup<H: Host>(subject: &mut H) -> Result<Letters, String> {
    let cluster = cluster(3);
    subject.start(REPLICA, &cluster, false)?;
    // It has begun when it speaks.
    let mut letters = Letters::new(ReplicaId(0), &cluster);
    subject.deliver(&letters.heartbeat(&cluster));
    hears(subject, "an answer to a heartbeat", |said| matches!(kind(said), Some(Body::CommitOk { .. })))?;
    Ok(letters)
}

fn kind(said: &Said) -> Option<&Body> {
    match said {
        Said::Message(message) => Some(&message.body),
        Said::Reply(_) => None,
    }
}

/// Waits until something is said.
fn hears<H: Host>(subject: &mut H, what: &str, is_it: impl Fn(&Said) -> bool) -> Result<(), String> {
    for _ in 0..PATIENCE {
        if subject.said().iter().any(&is_it) {
            return Ok(());
        }
    }
    Err(format!("it never said {what}"))
}

/// It has time to say what it may not.
fn hears_nothing<H: Host>(subject: &mut H, of: &str, is_it: impl Fn(&Said) -> bool) -> Result<(), String> {
    for _ in 0..3 {
        if let Some(said) = subject.said().into_iter().find(&is_it) {
            return Err(format!("before {of} was durable it said {said:?}"));
        }
    }
    Ok(())
}

fn begins<H: Host>(subject: &mut H, tried: &mut u64) -> Result<(), String> {
    let cluster = cluster(3);
    subject.start(REPLICA, &cluster, true)?;
    *tried += 1;
    // There is something to say.
    let mut letters = Letters::new(ReplicaId(0), &cluster);
    subject.deliver(&letters.heartbeat(&cluster));
    hears_nothing(subject, "its incarnation", |_| true)?;
    subject.hold_disk(false);
    subject.deliver(&letters.heartbeat(&cluster));
    let first = Incarnation::ZERO.next();
    hears(subject, "anything as its first incarnation", |said| match said {
        Said::Message(message) => message.header.incarnation == first,
        Said::Reply(_) => false,
    })
}

fn acknowledges<H: Host>(subject: &mut H, tried: &mut u64) -> Result<(), String> {
    let mut letters = backup(subject)?;
    let mut head = Head { op: Op::ZERO, hash: genesis(cluster(3).cluster) };
    for round in 1..=4 {
        *tried += 1;
        let entries = entries_after(head, View::ZERO, round, 100);
        head = entries.last().map_or(head, |last| Head { op: last.op(), hash: last.hash() });
        let before = entries.first().map_or(Op::ZERO, |first| first.op());
        subject.hold_disk(true);
        subject.deliver(&letters.write(View::ZERO, Body::Prepare { entries, commit: Op::ZERO, beat: Beat(round + 1) }));
        let acknowledges =
            |said: &Said, op: Op| matches!(kind(said), Some(Body::PrepareOk { head, .. }) if head.op >= op);
        hears_nothing(subject, &format!("op {before}"), |said| acknowledges(said, before))?;
        subject.hold_disk(false);
        hears(subject, &format!("that op {} is in its log", head.op), |said| acknowledges(said, head.op))?;
    }
    Ok(())
}

fn votes<H: Host>(subject: &mut H, tried: &mut u64) -> Result<(), String> {
    backup(subject)?;
    let mut other = Letters::new(ReplicaId(2), &cluster(3));
    // Views of which the others are primaries.
    for view in [View(3), View(5), View(8)] {
        *tried += 1;
        subject.hold_disk(true);
        subject.deliver(&other.vote(view));
        let is_of = |said: &Said| matches!(said, Said::Message(message) if message.header.view >= view);
        hears_nothing(subject, &format!("view {view}"), is_of)?;
        subject.hold_disk(false);
        hears(subject, &format!("its report for view {view}"), |said| {
            is_of(said) && matches!(kind(said), Some(Body::DoViewChange(_)))
        })?;
    }
    Ok(())
}

fn answers<H: Host>(subject: &mut H, tried: &mut u64) -> Result<(), String> {
    let alone = cluster(1);
    debug_assert_eq!(quorum(1), 1, "alone it commits what its own disk has");
    subject.start(ReplicaId(0), &alone, false)?;
    let is_answer = |said: &Said| matches!(said, Said::Reply(_));
    subject.call(b"first");
    hears(subject, "an answer", is_answer)?;
    for _ in 0..3 {
        *tried += 1;
        subject.hold_disk(true);
        subject.call(b"next");
        hears_nothing(subject, "the operation", is_answer)?;
        subject.hold_disk(false);
        hears(subject, "an answer", is_answer)?;
    }
    Ok(())
}

fn fails<H: Host>(subject: &mut H, tried: &mut u64) -> Result<(), String> {
    let mut letters = backup(subject)?;
    *tried += 1;
    let head = Head { op: Op::ZERO, hash: genesis(cluster(3).cluster) };
    subject.fail_disk();
    let entries = entries_after(head, View::ZERO, 2, 100);
    subject.deliver(&letters.write(View::ZERO, Body::Prepare { entries, commit: Op::ZERO, beat: Beat(2) }));
    let acknowledges = |said: &Said| matches!(kind(said), Some(Body::PrepareOk { head, .. }) if head.op > Op::ZERO);
    hears_nothing(subject, "what its disk lost", acknowledges)?;
    for _ in 0..PATIENCE {
        if subject.stopped() {
            return hears_nothing(subject, "what its disk lost", acknowledges);
        }
        if subject.said().iter().any(acknowledges) {
            return Err("it acknowledged what its disk lost".to_owned());
        }
    }
    Err("its disk failed, and it did not stop".to_owned())
}

#[cfg(test)]
mod tests;
