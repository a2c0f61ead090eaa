//! The disk thread: owns the write-ahead log, one sync for everything that waits. Must not know the protocol.
//!
//! While one sync runs, what is submitted meanwhile collects and becomes the next group. A failure is told once, and
//! nothing is confirmed after it (PROTOCOL D55). Space is reserved before a write is begun: as long as there is none
//! the writes wait, and the replica is told (DESIGN 9.11). What was confirmed is read again by a thread beside it
//! (`disk::scrub`), so that no write waits for a read; what that finds is made whole here, between two groups.

mod scrub;

use crate::wal::{Healed, Metrics, Rot, Survey, Wal};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use vr_core::{Durability, Write, WriteId};

/// What the disk has to say.
#[derive(Debug)]
#[non_exhaustive]
pub enum DiskAnswer {
    /// Every write up to this one is durable.
    Persisted(WriteId),
    /// A write or a sync failed. The last answer of all.
    Failed(io::Error),
    /// Whether there is space. There is, until told otherwise.
    Space(bool),
}

/// How the thread goes about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskOptions {
    /// In the asynchronous mode entries wait for the next interval; promises are synced at once in both.
    pub durability: Durability,
    /// How long entries stay unsynced in the asynchronous mode, at most.
    pub sync_interval: Duration,
    /// After so long without anything to do, the log says that all of it is durable.
    pub mark_after: Duration,
    /// How often a full disk is asked again.
    pub space_interval: Duration,
    /// More than this waiting, and who submits waits too.
    pub queued_writes: usize,
    /// How often what was confirmed is read again; `None`: never.
    pub scrub: Option<ScrubOptions>,
}

/// How what was confirmed is read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScrubOptions {
    /// Everything once in this time, evenly.
    pub interval: Duration,
    /// But never more than so many bytes a second.
    pub bytes_per_second: u64,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(24 * 60 * 60), bytes_per_second: 8 << 20 }
    }
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            sync_interval: Duration::from_millis(100),
            mark_after: Duration::from_millis(50),
            space_interval: Duration::from_millis(500),
            queued_writes: 65_536,
            scrub: Some(ScrubOptions::default()),
        }
    }
}

/// The thread, from outside. Dropping it lets it finish what was submitted, and waits for that.
pub struct Disk {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    limit: usize,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Something came, or nothing comes any more.
    came: Condvar,
    /// Something went, or nothing goes any more.
    went: Condvar,
    /// Nothing is checked any more.
    stopped: Condvar,
}

/// What the thread that reads asks of the one that writes.
enum Ask {
    /// What there is to check.
    Survey(Sender<Survey>),
    /// This does not check.
    Heal(Rot),
}

/// Writes that are made durable together.
type Group = VecDeque<(WriteId, Write)>;

#[derive(Default)]
struct Queue {
    writes: Group,
    asked: Vec<Ask>,
    /// Nothing comes any more.
    closed: bool,
    /// Nobody takes anything any more.
    ended: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A queue is whole after every statement: who panicked elsewhere does not matter.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread. Answers come in the order of the writes, from that thread: they must not wait for it.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(
    wal: Wal,
    options: DiskOptions,
    metrics: Metrics,
    answer: impl Fn(DiskAnswer) + Send + 'static,
) -> io::Result<Disk> {
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        came: Condvar::new(),
        went: Condvar::new(),
        stopped: Condvar::new(),
    });
    let mut worker = Worker {
        wal,
        options,
        metrics: metrics.clone(),
        shared: Arc::clone(&shared),
        answer: Box::new(answer),
        full: false,
        unsynced: None,
        is_marked: false,
        rotten: BTreeSet::new(),
    };
    let counted = metrics.clone();
    let run = move || {
        let done = catch_unwind(AssertUnwindSafe(|| worker.run()));
        let failure = match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(io::Error::other("the disk thread panicked")),
        };
        if let Some(error) = failure {
            metrics.failures.inc();
            (worker.answer)(DiskAnswer::Failed(error));
        }
        worker.end();
    };
    let thread = std::thread::Builder::new().name("vr-disk".to_owned()).spawn(run)?;
    let mut disk = Disk { shared, threads: vec![thread], limit: options.queued_writes.max(1) };
    if let Some(how) = options.scrub {
        disk.threads.push(scrub::start(Arc::clone(&disk.shared), how, counted)?);
    }
    Ok(disk)
}

impl Disk {
    /// Writes this after everything submitted before. Waits when too much is waiting already; after a failure it
    /// comes to nothing.
    pub fn submit(&self, id: WriteId, write: Write) {
        let mut queue = self.shared.queue();
        while queue.writes.len() >= self.limit && !queue.ended {
            queue = self.shared.went.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if !queue.ended {
            queue.writes.push_back((id, write));
            self.shared.came.notify_one();
        }
    }

    /// How many writes wait for the thread.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.queue().writes.len()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.came.notify_all();
        self.shared.stopped.notify_all();
        for thread in self.threads.drain(..) {
            // What it died of was answered already.
            let _ = thread.join();
        }
    }
}

struct Worker {
    wal: Wal,
    options: DiskOptions,
    metrics: Metrics,
    shared: Arc<Shared>,
    answer: Box<dyn Fn(DiskAnswer) + Send>,
    full: bool,
    /// Since when something is written and not synced.
    unsynced: Option<Instant>,
    /// The log says already that all of it is durable.
    is_marked: bool,
    /// Where something was found to be rotten: told once.
    rotten: BTreeSet<(String, u64)>,
}

impl Worker {
    fn run(&mut self) -> io::Result<()> {
        let space = self.wal.replenish()?;
        self.tell_space(space);
        let mut idle_since = Instant::now();
        loop {
            let wait = self.next_wait(idle_since);
            let Some((group, asked)) = self.take(wait) else {
                return if self.unsynced.is_some() { self.sync(0) } else { Ok(()) };
            };
            if group.is_empty() {
                self.on_time(idle_since)?;
            } else if self.write(group)? {
                idle_since = Instant::now();
            } else {
                return Ok(());
            }
            for ask in asked {
                self.answer(ask)?;
            }
        }
    }

    /// Until when there is nothing to do by itself.
    fn next_wait(&self, idle_since: Instant) -> Option<Duration> {
        let sync = self.unsynced.map(|since| self.options.sync_interval.saturating_sub(since.elapsed()));
        let mark = (!self.is_marked).then(|| self.options.mark_after.saturating_sub(idle_since.elapsed()));
        let space = self.full.then_some(self.options.space_interval);
        [sync, mark, space].into_iter().flatten().min()
    }

    /// All that waits; nothing when time is up first; `None` when nothing comes any more.
    fn take(&self, wait: Option<Duration>) -> Option<(Group, Vec<Ask>)> {
        let mut queue = self.shared.queue();
        if queue.writes.is_empty() && queue.asked.is_empty() && !queue.closed {
            queue = match wait {
                Some(wait) => self.shared.came.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0,
                None => self.shared.came.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
        if queue.writes.is_empty() && queue.closed {
            return None;
        }
        let taken = (std::mem::take(&mut queue.writes), std::mem::take(&mut queue.asked));
        self.shared.went.notify_all();
        Some(taken)
    }

    /// Between two groups: what the thread that checks wants.
    fn answer(&mut self, ask: Ask) -> io::Result<()> {
        if self.unsynced.is_some() {
            self.sync(0)?;
        }
        match ask {
            Ask::Survey(to) => {
                if let Some(rot) = self.wal.check_promises()? {
                    self.tell_rot(&rot, Healed::Repaired);
                }
                // Who asked may have stopped since.
                let _ = to.send(self.wal.survey());
            }
            Ask::Heal(rot) => {
                let healed = self.wal.heal(&rot)?;
                if healed == Healed::Repaired {
                    self.sync(0)?;
                    self.is_marked = false;
                }
                self.tell_rot(&rot, healed);
            }
        }
        Ok(())
    }

    fn tell_rot(&mut self, rot: &Rot, healed: Healed) {
        if healed == Healed::GivenUp {
            return;
        }
        let place = (rot.file.clone(), rot.offset);
        // What is written again in its place may rot again; a rotten record stays where it is until it is given up.
        let is_whole_there = healed == Healed::Repaired && !rot.rotten.stays();
        let is_news = if is_whole_there { !self.rotten.remove(&place) } else { self.rotten.insert(place) };
        if is_news {
            self.metrics.scrub_found(rot.rotten.name());
        }
        if healed == Healed::Repaired {
            self.metrics.scrub_repaired.inc();
        } else if !is_news {
            return;
        }
        let (file, offset, what) = (&rot.file, rot.offset, &rot.what);
        match healed {
            Healed::Repaired => tracing::warn!(file, offset, what, "rot was found in the log and repaired"),
            Healed::NotMissed | Healed::GivenUp => {
                tracing::warn!(file, offset, what, "rot was found in the log: nothing is missed");
            }
            Healed::Not(why) => {
                tracing::error!(file, offset, what, why, "rot was found in the log and is not repaired");
            }
        }
    }

    /// False when one was given up for want of space: nothing may be written behind it, a mark least of all.
    fn write(&mut self, group: Group) -> io::Result<bool> {
        let writes = group.len();
        self.metrics.queued.set(i64::try_from(writes).unwrap_or(i64::MAX));
        let mut is_promise = false;
        for (id, write) in &group {
            while !self.wal.reserve(write)? {
                self.tell_space(false);
                if !self.wait_for_space() {
                    return Ok(false);
                }
            }
            self.wal.append(*id, write)?;
            is_promise |= is_promise_of(write);
        }
        self.is_marked = false;
        self.unsynced = self.unsynced.or_else(|| Some(Instant::now()));
        match self.options.durability {
            Durability::Async if !is_promise => {
                self.count_bytes();
                self.wal.flush()?;
                self.metrics.writes.inc_by(u64::try_from(writes).unwrap_or(0));
                self.on_time(Instant::now())?;
            }
            Durability::Sync | Durability::Async => self.sync(writes)?,
        }
        Ok(true)
    }

    fn on_time(&mut self, idle_since: Instant) -> io::Result<()> {
        if self.unsynced.is_some_and(|since| since.elapsed() >= self.options.sync_interval) {
            self.sync(0)?;
        }
        if !self.is_marked && self.unsynced.is_none() && idle_since.elapsed() >= self.options.mark_after {
            self.wal.mark()?;
            self.is_marked = true;
        }
        if self.full {
            let space = self.wal.replenish()?;
            self.tell_space(space);
        }
        Ok(())
    }

    fn sync(&mut self, writes: usize) -> io::Result<()> {
        self.count_bytes();
        let begun = Instant::now();
        let durable = self.wal.sync()?;
        self.unsynced = None;
        self.metrics.sync_seconds.observe(begun.elapsed().as_secs_f64());
        if let Some(id) = durable {
            (self.answer)(DiskAnswer::Persisted(id));
        }
        if writes > 0 {
            self.metrics.group_writes.observe(f64::from(u32::try_from(writes).unwrap_or(u32::MAX)));
            self.metrics.writes.inc_by(u64::try_from(writes).unwrap_or(0));
        }
        self.metrics.size_bytes.set(i64::try_from(self.wal.bytes_on_disk()).unwrap_or(i64::MAX));
        if !self.full {
            let space = self.wal.replenish()?;
            self.tell_space(space);
        }
        Ok(())
    }

    fn count_bytes(&self) {
        self.metrics.bytes.inc_by(u64::try_from(self.wal.buffered_bytes()).unwrap_or(0));
    }

    /// Says so when it is news.
    fn tell_space(&mut self, space: bool) {
        if !space {
            self.metrics.reservations_failed.inc();
        }
        if self.full == space {
            self.full = !space;
            self.metrics.full.set(i64::from(self.full));
            (self.answer)(DiskAnswer::Space(space));
        }
    }

    /// False when nobody waits for the outcome any more.
    fn wait_for_space(&self) -> bool {
        let queue = self.shared.queue();
        let wait = self.options.space_interval;
        let is_open = |queue: &mut Queue| !queue.closed;
        let waited = self.shared.came.wait_timeout_while(queue, wait, is_open);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    fn end(&self) {
        let mut queue = self.shared.queue();
        queue.ended = true;
        queue.writes.clear();
        queue.asked.clear();
        drop(queue);
        self.shared.went.notify_all();
        self.shared.stopped.notify_all();
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("queued", &self.queued()).finish_non_exhaustive()
    }
}

/// Is it synced at once in the asynchronous mode too?
const fn is_promise_of(write: &Write) -> bool {
    match write {
        Write::Incarnation(_)
        | Write::View(_)
        | Write::Replace { .. }
        | Write::Repair { .. }
        | Write::Install { .. }
        | Write::Clean => true,
        Write::Append(_) | Write::Checkpoint(_) | Write::Cut { .. } => false,
    }
}
