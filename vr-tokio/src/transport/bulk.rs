//! Parts of checkpoints leave apart from everything else: no faster than allowed, and behind whatever else waits for a peer.
//!
//! Owns the pace, and that a part that is asked for again while it waits is not sent twice. Must not know who needs what.
//! Paper: VRR §5.2; PROTOCOL 1.7.

use super::Codec;
use super::queue::Queue;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};
use vr_core::{Body, Message, ReplicaId};

/// A part for somebody, which waits for its turn.
pub(super) struct Part {
    key: Key,
    queue: Arc<Queue>,
    message: Message,
}

/// To whom, and which part: by where it begins.
type Key = (ReplicaId, u64);

/// The way to the task that sends parts.
pub(super) struct Bulk {
    to: UnboundedSender<Part>,
    waiting: Arc<Waiting>,
}

/// The parts that wait, each once.
#[derive(Default)]
pub(super) struct Waiting(Mutex<BTreeSet<Key>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bulk {
    /// A way, and what its task is to run with.
    pub(super) fn new() -> (Self, (UnboundedReceiver<Part>, Arc<Waiting>)) {
        let ((to, from), waiting) = (unbounded_channel(), Arc::new(Waiting::default()));
        (Self { to, waiting: Arc::clone(&waiting) }, (from, waiting))
    }

    /// Sends a part in its turn. False when it is no part.
    pub(super) fn send(&self, to: ReplicaId, queue: &Arc<Queue>, message: &Message) -> bool {
        let Body::CheckpointPart(part) = &message.body else { return false };
        let key = (to, part.offset);
        if self.waiting.lock().insert(key) {
            // The task ends only with all ways.
            let _ = self.to.send(Part { key, queue: Arc::clone(queue), message: message.clone() });
        }
        true
    }
}

/// Sends what comes, at the pace that is allowed. Encoding is done elsewhere: it takes milliseconds.
pub(super) async fn run(
    (mut from, waiting): (UnboundedReceiver<Part>, Arc<Waiting>),
    codec: Codec,
    bytes_per_second: u64,
) {
    let mut free = Instant::now();
    while let Some(Part { key, queue, message }) = from.recv().await {
        sleep_until(free).await;
        let encoded = tokio::task::spawn_blocking(move || codec.encode_long(&message)).await;
        waiting.lock().remove(&key);
        if let Ok(encoded) = encoded {
            let bytes = encoded.iter().map(Bytes::len).sum();
            free = free.max(Instant::now()) + time_of(bytes, bytes_per_second);
            queue.push_bulk(encoded);
        }
    }
}

fn time_of(bytes: usize, per_second: u64) -> Duration {
    let micros = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000) / u128::from(per_second.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::metrics::Metrics;
    use super::super::queue::Bounds;
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
        let bounds = Bounds { messages: 10, bytes: 100_000 };
        let queue = Arc::new(Queue::new(bounds, Metrics::default().link(ReplicaId(1))));
        let (bulk, end) = Bulk::new();
        for offset in [0, 1000, 0, 1000, 0] {
            assert!(bulk.send(ReplicaId(1), &queue, &part(offset)));
        }
        drop(bulk);
        run(end, Codec::Bincode, 1 << 30).await;
        let (mut batch, mut sent) = (Vec::new(), 0);
        while let taken = queue.take(1 << 20, &mut batch)
            && taken.messages > 0
        {
            sent += taken.messages;
        }
        assert_eq!(sent, 2);
    }

    #[test]
    fn so_many_bytes_take_the_time_that_the_pace_gives_them() {
        assert_eq!((time_of(1 << 20, 1 << 20), time_of(5, 0)), (Duration::from_secs(1), Duration::from_secs(5)));
    }
}
