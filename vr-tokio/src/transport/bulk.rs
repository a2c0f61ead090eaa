//! Parts of checkpoints leave apart from everything else: on a thread and on connections of their own, no faster than allowed.
//!
//! Owns the pace, and that a part that is asked for again while it waits is not sent twice. What is on its way to a replica
//! that lacks everything is in nobody's way: neither the node's thread nor the connections on which the others are heard wait
//! for four megabytes. Must not know who needs what. Paper: VRR §5.2; PROTOCOL 1.7.

use super::metrics::Metrics;
use super::peers::{PeerOptions, Way};
use super::queue::Queue;
use crate::behind;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use vr_core::{Body, Message, ReplicaId};

/// A part for somebody, which waits for its turn.
struct Part {
    to: Address,
    message: Message,
}

/// Who, and where.
type Address = (ReplicaId, SocketAddr);

/// The way to the thread that sends parts, which ends with it.
pub(super) struct Bulk {
    options: Arc<PeerOptions>,
    metrics: Metrics,
    waiting: Arc<Waiting>,
    /// `None` before the first part.
    to: Mutex<Option<UnboundedSender<Part>>>,
}

/// The parts that wait, each once: for whom, and where each begins.
#[derive(Default)]
struct Waiting(Mutex<BTreeSet<(ReplicaId, u64)>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<(ReplicaId, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bulk {
    pub(super) fn new(options: Arc<PeerOptions>, metrics: Metrics) -> Self {
        Self { options, metrics, waiting: Arc::default(), to: Mutex::default() }
    }

    /// Sends a part in its turn. False when it is no part.
    pub(super) fn send(&self, to: Address, message: &Message) -> bool {
        let Body::CheckpointPart(part) = &message.body else { return false };
        let key = (to.0, part.offset);
        if self.waiting.lock().insert(key) {
            let mut way = self.to.lock().unwrap_or_else(PoisonError::into_inner);
            let part = Part { to, message: message.clone() };
            let sent = match &*way {
                Some(way) => Ok(way.clone()),
                None => self.start(),
            };
            let sent = sent.and_then(|way| way.send(part).map(|()| way).map_err(io::Error::other));
            if let Err(error) = &sent {
                // It is asked for again.
                tracing::debug!(%error, "a part of a checkpoint is not sent");
                self.waiting.lock().remove(&key);
            }
            *way = sent.ok();
        }
        true
    }

    fn start(&self) -> io::Result<UnboundedSender<Part>> {
        let (to, from) = unbounded_channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (waiting, options) = (Arc::clone(&self.waiting), Arc::clone(&self.options));
        let mut ways = Ways {
            options: Arc::clone(&options),
            metrics: self.metrics.clone(),
            all: Vec::new(),
            tasks: JoinSet::new(),
        };
        let run = move || runtime.block_on(run((from, waiting), &options, |to, part| ways.push(to, part)));
        behind::spawn("vr-parts", run)?;
        Ok(to)
    }
}

/// The connections on which parts leave: made when there is one, and left when there are no more.
struct Ways {
    options: Arc<PeerOptions>,
    metrics: Metrics,
    all: Vec<(Address, Arc<Queue>)>,
    tasks: JoinSet<()>,
}

impl Ways {
    fn push(&mut self, to: Address, part: Vec<Bytes>) {
        if !self.all.iter().any(|(known, _)| *known == to) {
            let (queue, way) = Way::apart(to, &self.metrics, &self.options);
            self.tasks.spawn(way.keep());
            self.all.push((to, queue));
        }
        if let Some((_, queue)) = self.all.iter().find(|(known, _)| *known == to) {
            queue.push_bulk(part);
        }
    }
}

/// Sends what comes, at the pace that is allowed.
async fn run(
    (mut from, waiting): (UnboundedReceiver<Part>, Arc<Waiting>),
    options: &PeerOptions,
    mut push: impl FnMut(Address, Vec<Bytes>),
) {
    let mut free = Instant::now();
    while let Some(Part { to, message }) = from.recv().await {
        sleep_until(free).await;
        let encoded = options.transport.body.encode_long(&message);
        if let Body::CheckpointPart(part) = &message.body {
            waiting.lock().remove(&(to.0, part.offset));
        }
        let bytes = encoded.iter().map(Bytes::len).sum();
        free = free.max(Instant::now()) + time_of(bytes, options.transport.checkpoint_bytes_per_second);
        push(to, encoded);
    }
}

fn time_of(bytes: usize, per_second: u64) -> Duration {
    let micros = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000) / u128::from(per_second.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::TransportConfig;
    use super::super::tests::{book, cluster};
    use super::*;
    use vr_core::{CheckpointPart, Epoch, Hash, Head, Header, Incarnation, Instance, Seq, View};

    fn part(offset: u64) -> Message {
        let (config, epoch, view, incarnation) = (Hash(0), Epoch::ZERO, View(0), Incarnation(1));
        let (from, instance, seq) = (ReplicaId(0), Instance(1), Seq(1));
        let header = Header { config, epoch, view, from, instance, incarnation, seq };
        let (head, digest, bytes) = (Head::default(), Hash(1), Bytes::from(vec![7; 1000]).into());
        Message::new(
            header,
            Body::CheckpointPart(Box::new(CheckpointPart { head, digest, length: 9000, offset, bytes })),
        )
    }

    #[tokio::test]
    async fn a_part_that_is_asked_for_again_while_it_waits_is_sent_once() {
        let transport = TransportConfig::default();
        let options = PeerOptions { cluster: cluster(), book: book(ReplicaId(0), &[]), transport, tls: None };
        let options = Arc::new(options);
        let bulk = Bulk::new(Arc::clone(&options), Metrics::default());
        let (to, from) = unbounded_channel();
        *bulk.to.lock().expect("whole") = Some(to);
        let address = (ReplicaId(1), SocketAddr::from(([127, 0, 0, 1], 1)));
        for offset in [0, 1000, 0, 1000, 0] {
            assert!(bulk.send(address, &part(offset)));
        }
        let waiting = Arc::clone(&bulk.waiting);
        drop(bulk);
        let mut sent = 0;
        run((from, waiting), &options, |_, _| sent += 1).await;
        assert_eq!(sent, 2);
    }

    #[test]
    fn so_many_bytes_take_the_time_that_the_pace_gives_them() {
        assert_eq!((time_of(1 << 20, 1 << 20), time_of(5, 0)), (Duration::from_secs(1), Duration::from_secs(5)));
    }
}
