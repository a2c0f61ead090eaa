//! What waits for one peer: bounded in messages and bytes.
//!
//! Owns the bound. When it is reached the *oldest* message goes: what is newest carries the current view, the
//! highest commit-number and cumulative acknowledgements, so that a peer that returns needs one state transfer from
//! there, and no vote stands behind stale entries. The protocol tolerates the loss. Must not know what waits.

use super::metrics::LinkMetrics;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How much may wait for a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// So many messages that can wait do so.
const BULK_MAX: usize = 8;

/// How much was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// The messages that wait for one peer, encoded.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    ready: Notify,
    bounds: Bounds,
    metrics: LinkMetrics,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Bytes>,
    bytes: usize,
    /// What goes when nothing else waits: messages in pieces.
    bulk: VecDeque<Vec<Bytes>>,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds, metrics: LinkMetrics) -> Self {
        Self { waiting: Mutex::default(), ready: Notify::new(), bounds, metrics }
    }

    /// Adds a message. Never waits; when there is no room the oldest go.
    pub(crate) fn push(&self, message: Bytes) {
        let mut waiting = self.lock();
        let was_empty = waiting.messages.is_empty();
        let mut dropped = 0;
        while !waiting.messages.is_empty()
            && (waiting.messages.len() >= self.bounds.messages || waiting.bytes + message.len() > self.bounds.bytes)
        {
            waiting.pop();
            dropped += 1;
        }
        waiting.bytes += message.len();
        waiting.messages.push_back(message);
        self.measure(&waiting);
        drop(waiting);
        if dropped > 0 {
            self.metrics.dropped_full.inc_by(dropped);
        }
        if was_empty {
            self.ready.notify_one();
        }
    }

    /// Adds a message that goes when nothing else waits. When there are too many the oldest goes.
    pub(crate) fn push_bulk(&self, message: Vec<Bytes>) {
        let mut waiting = self.lock();
        if waiting.bulk.len() >= BULK_MAX {
            waiting.bulk.pop_front();
            self.metrics.dropped_full.inc();
        }
        waiting.bulk.push_back(message);
        drop(waiting);
        self.ready.notify_one();
    }

    /// Moves the oldest messages, of at most so many bytes together but at least one, to the end of `batch`, or one that can
    /// wait, in its pieces.
    pub(crate) fn take(&self, bytes_max: usize, batch: &mut Vec<Bytes>) -> Taken {
        let mut waiting = self.lock();
        let (mut bytes, mut messages) = (0, 0);
        while let Some(next) = waiting.messages.front() {
            if bytes > 0 && bytes + next.len() > bytes_max {
                break;
            }
            bytes += next.len();
            messages += 1;
            batch.extend(waiting.pop());
        }
        if bytes == 0
            && let Some(bulk) = waiting.bulk.pop_front()
        {
            bytes = bulk.iter().map(Bytes::len).sum();
            messages = 1;
            batch.extend(bulk);
        }
        self.measure(&waiting);
        Taken { messages, bytes }
    }

    /// Forgets everything; says how many messages that were.
    pub(crate) fn clear(&self) -> usize {
        let mut waiting = self.lock();
        let messages = waiting.messages.len() + waiting.bulk.len();
        *waiting = Waiting::default();
        self.measure(&waiting);
        messages
    }

    /// Somebody who waits for the queue to fill looks at it again.
    pub(crate) fn wake(&self) {
        self.ready.notify_one();
    }

    /// Does nothing wait?
    pub(crate) fn is_empty(&self) -> bool {
        let waiting = self.lock();
        waiting.messages.is_empty() && waiting.bulk.is_empty()
    }

    /// Waits until something may have been added to an empty queue.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    fn measure(&self, waiting: &Waiting) {
        let gauge = |amount: usize| i64::try_from(amount).unwrap_or(i64::MAX);
        self.metrics.queued_messages.set(gauge(waiting.messages.len()));
        self.metrics.queued_bytes.set(gauge(waiting.bytes));
    }

    /// Nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn pop(&mut self) -> Option<Bytes> {
        let oldest = self.messages.pop_front()?;
        self.bytes -= oldest.len();
        Some(oldest)
    }
}
