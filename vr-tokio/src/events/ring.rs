//! The newest events, shared between the node and its readers.
//!
//! Owns the ring, who reads it, and what a reader is told of what it missed. A reader never slows the replica: who lags
//! behind is told of a gap. Must not know how events come about. VIEW.md §5.2.

use crate::clock;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use vr_core::trace::{Gap, Node, Snap, State, TraceEvent, What};
use vr_core::{Snapshot, Time, Wait};

/// For so long after its last reader the ring is filled nevertheless: one that connects again misses nothing.
const LINGER: Wait = Wait::millis(2_000);
/// A reader waits for so long for more, once there is something: it is woken less often.
const GATHER: Duration = Duration::from_millis(20);
/// After so long without events a reader is told that there are none.
const QUIET: Duration = Duration::from_millis(500);
/// How many events a reader gets at once, at most.
const AT_ONCE: usize = 512;

/// The newest events. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// Until when, on the clock of steps, somebody reads: for ever while there are readers.
    read_until: AtomicU64,
    /// Where the ring ends; the greatest number when nothing comes any more.
    news: watch::Sender<u64>,
    readers: Gauge,
}

#[derive(Debug)]
struct Inner {
    meta: TraceEvent,
    events: VecDeque<TraceEvent>,
    capacity: usize,
    next: u64,
    readers: usize,
    /// What the replica looked like after the newest of them, and when; nothing while nobody looks at it.
    latest: Option<(u64, Snapshot)>,
}

impl Inner {
    fn push(&mut self, event: TraceEvent) {
        self.next = event.i + 1;
        if self.events.len() >= self.capacity {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// What the replica looks like now, after what stands for everything before the next event.
    fn start(&self, before: Vec<What>) -> Option<Vec<TraceEvent>> {
        let (at, snapshot) = self.latest.as_ref()?;
        let (i, node) = (self.next.saturating_sub(1), Node::Replica(snapshot.id));
        let snap = What::Snap(Snap { state: Box::new(State::of(snapshot)) });
        let event = |what| TraceEvent { i, ..TraceEvent::at(*at, node, what) };
        Some(before.into_iter().chain([snap]).map(event).collect())
    }

    /// What a reader with this cursor gets now; nothing when it has to wait.
    fn page(&self, cursor: Option<u64>) -> Option<Vec<TraceEvent>> {
        let first = self.meta.i;
        let begun = |rest: Vec<TraceEvent>| std::iter::once(self.meta.clone()).chain(rest).collect();
        let Some(from) = cursor else { return self.start(Vec::new()).map(begun) };
        if from <= first || from > self.next {
            // Of an earlier life.
            let gap = What::Gap(Gap { lost: self.next - first });
            return self.start(vec![gap]).map(begun);
        }
        let oldest = self.events.front().map_or(self.next, |event| event.i);
        if from < oldest {
            return self.start(vec![What::Gap(Gap { lost: self.next - from })]);
        }
        let skip = usize::try_from(from - oldest).unwrap_or(usize::MAX).min(self.events.len());
        let events: Vec<_> = self.events.range(skip..).take(AT_ONCE).cloned().collect();
        (!events.is_empty()).then_some(events)
    }
}

impl Ring {
    /// An empty one of a trace that begins with this event.
    pub(super) fn new(capacity: usize, meta: TraceEvent, readers: Gauge) -> Self {
        let (next, events, capacity) = (meta.i + 1, VecDeque::new(), capacity.max(1));
        let inner = Mutex::new(Inner { meta, events, capacity, next, readers: 0, latest: None });
        let (read_until, news) = (AtomicU64::new(0), watch::Sender::new(next));
        Self { shared: Arc::new(Shared { inner, read_until, news, readers }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does anybody read?
    pub(super) fn is_read(&self, now: Time) -> bool {
        now.0 < self.shared.read_until.load(Ordering::Relaxed)
    }

    /// From now on nobody looks at the replica.
    pub(super) fn sleep(&self) {
        self.lock().latest = None;
    }

    /// Puts in what `events` gives, after which the replica looks like this.
    pub(super) fn extend(&self, at: u64, after: &Snapshot, events: impl FnOnce(&mut dyn FnMut(TraceEvent))) {
        let mut inner = self.lock();
        let before = inner.next;
        events(&mut |event| inner.push(event));
        let next = inner.next;
        inner.latest = Some((at, *after));
        drop(inner);
        if next > before {
            self.shared.news.send_replace(next);
        }
    }

    /// Nothing comes any more.
    pub(super) fn end(&self) {
        self.shared.news.send_replace(u64::MAX);
    }

    /// A reader from this event on; from what the replica looks like now, without a cursor.
    pub(crate) fn reader(&self, cursor: Option<u64>) -> Reader {
        let mut inner = self.lock();
        inner.readers += 1;
        self.shared.readers.inc();
        self.shared.read_until.store(u64::MAX, Ordering::Relaxed);
        drop(inner);
        Reader { news: self.shared.news.subscribe(), ring: self.clone(), cursor }
    }
}

/// Somebody who reads. While there is one, the replica is observed.
#[derive(Debug)]
pub(crate) struct Reader {
    ring: Ring,
    cursor: Option<u64>,
    news: watch::Receiver<u64>,
}

impl Reader {
    /// Waits for events: those that came, or none after a while without any, or nothing when none will come.
    pub(crate) async fn next(&mut self) -> Option<Vec<TraceEvent>> {
        loop {
            let is_over = *self.news.borrow_and_update() == u64::MAX;
            if let Some(events) = self.page() {
                return Some(events);
            }
            if is_over {
                return None;
            }
            match tokio::time::timeout(QUIET, self.news.changed()).await {
                Ok(_) => tokio::time::sleep(GATHER).await,
                Err(_) => return Some(Vec::new()),
            }
        }
    }

    /// What there is now.
    pub(super) fn page(&mut self) -> Option<Vec<TraceEvent>> {
        let events = self.ring.lock().page(self.cursor)?;
        self.cursor = events.last().map(|event| event.i + 1);
        Some(events)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut inner = self.ring.lock();
        inner.readers -= 1;
        self.ring.shared.readers.dec();
        if inner.readers == 0 {
            let until = clock::now().after(LINGER);
            self.ring.shared.read_until.store(until.0, Ordering::Relaxed);
        }
    }
}
