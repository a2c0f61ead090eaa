//! The flight recorder: what happens to the replica, in a ring of files, for the simulator's checkers.
//!
//! Owns the file that is written. Each begins with a state of the replica and holds the events from there on; when one
//! is full the next is begun, with a copy of the replica as it is then, on a thread of its own, and the oldest are
//! given up. Meanwhile events go into both. What a step said is explained by what is in the files before it: events are
//! handed to the operating system before anything that they led to leaves the node or goes to its disk, and wait until
//! then. A recording that cannot be written rests, counts what is missing and begins again with the state as it is
//! then; the node goes on whatever happens. Off unless configured. Must not know what is recorded.
//! `vr_core::recording`.

mod keeper;
mod options;
#[cfg(test)]
mod tests;

pub use self::options::RecordConfig;

use self::keeper::{Begun, Order, Shelf, size};
use self::options::Bounds;
use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Instant;
use vr_core::{Action, Event, Incarnation, Midway, Opening, Replica, recording};

/// What a recording counts. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FlightMetrics {
    events: Counter,
    bytes: Counter,
    missing: Counter,
    files: Counter,
    failures: Counter,
    /// What it cost the thread of the steps, in seconds.
    seconds: Counter<f64, AtomicU64>,
}

impl FlightMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("recorded_events", "Events of the replica in its recording", self.events.clone());
        registry.register("recorded_bytes", "Bytes of events in its recording", self.bytes.clone());
        registry.register("recording_missing_events", "Events that could not be recorded", self.missing.clone());
        registry.register("recording_files", "Files begun by its recording", self.files.clone());
        let seconds =
            "What recording took of the thread that steps the replica; of encoding one event of 16 is measured";
        registry.register("recording_seconds", seconds, self.seconds.clone());
        registry.register("recording_failures", "Files of it that could not be written", self.failures.clone());
    }
}

/// The encoding of one event of so many is measured.
const MEASURED: u64 = 16;
/// No more bytes of events wait for something to be told: each write costs the operating system as much as a kilobyte in it.
const WAITING_MAX: usize = 64 << 10;

/// Does it leave the node, or go to its disk? What the service executes, only its answers tell.
const fn is_told(action: &Action) -> bool {
    match action {
        Action::Send { .. }
        | Action::Persist { .. }
        | Action::Reply(_)
        | Action::Reject(_)
        | Action::Restore(_)
        | Action::Read(_)
        | Action::ReadBefore { .. }
        | Action::Halt(_) => true,
        Action::Execute(_) | Action::Checkpoint { .. } | Action::Note(_) => false,
    }
}

/// The recording of one life of a replica.
#[derive(Debug)]
pub(crate) struct Flight {
    /// Whose recording it is; a copy goes into every file.
    midway: Midway,
    bounds: Bounds,
    /// None while it rests.
    current: Option<Current>,
    /// The next file is being begun.
    turn: Option<Turn>,
    /// Encoded, and not in a file yet.
    buffer: Vec<u8>,
    buffered: u64,
    /// Events since the last one in a file.
    missing: u64,
    /// Bytes that went nowhere since it rests.
    rested: u64,
    /// The file that says how many are missing.
    failed: Option<File>,
    orders: Sender<Order>,
    begun: Receiver<io::Result<Begun>>,
    metrics: FlightMetrics,
}

#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    bytes: u64,
    /// Then the next one is begun.
    full: u64,
    cap: u64,
}

/// What happens while the next file is being begun.
#[derive(Debug, Default)]
struct Turn {
    pending: Vec<u8>,
    events: u64,
    /// Of them, those that are in no file.
    missing: u64,
    /// Too much happened.
    is_void: bool,
}

impl Flight {
    /// Begins a file of its own for this life.
    ///
    /// # Errors
    /// When there is no directory to write to, or no thread. Where it only has no room, the recording rests.
    pub(crate) fn begin(
        config: &RecordConfig,
        life: Incarnation,
        opening: &Opening,
        metrics: FlightMetrics,
    ) -> io::Result<Self> {
        let bounds = config.bounds();
        let mut shelf = Shelf::open(&config.dir, opening.config.me, life, bounds)?;
        let mut state = Vec::new();
        recording::begin(opening, &mut state);
        let first = shelf.check(size(state.len())).and_then(|()| {
            shelf.trim(bounds.cap(size(state.len())), 0);
            shelf.begin(&state)
        });
        let (orders, taken) = mpsc::channel();
        let (give, begun) = mpsc::channel();
        std::thread::Builder::new().name("vr-recording".into()).spawn(move || keeper::run(shelf, &taken, &give))?;
        let Opening { config, at, host, .. } = opening.clone();
        let mut this = Self {
            midway: Midway { config, life, at, host, events: 0, image: Bytes::new() },
            bounds,
            current: None,
            turn: None,
            buffer: Vec::new(),
            buffered: 0,
            missing: 0,
            rested: 0,
            failed: None,
            orders,
            begun,
            metrics,
        };
        match first {
            Ok(begun) => this.go_on(begun),
            Err(error) => this.cannot_begin(&error),
        }
        Ok(this)
    }

    /// Something happens to the replica.
    pub(crate) fn add(&mut self, event: &Event) {
        self.buffered += 1;
        if !(self.midway.events + self.buffered).is_multiple_of(MEASURED) {
            return recording::add(event, &mut self.buffer);
        }
        let begun = Instant::now();
        recording::add(event, &mut self.buffer);
        self.metrics.seconds.inc_by(begun.elapsed().as_secs_f64() * 16.0);
    }

    /// Before anything of it has consequences, which are these; `replica` is what has become of it.
    pub(crate) fn flush(&mut self, replica: &Replica, actions: &[Action]) {
        if self.buffer.len() < WAITING_MAX && !actions.iter().any(is_told) {
            return;
        }
        let begun = (self.buffered > 0).then(Instant::now);
        self.look();
        if self.buffered > 0 {
            self.write();
        }
        let is_due = match &self.current {
            Some(current) => current.bytes >= current.full,
            None => self.rested >= self.bounds.slack(),
        };
        if is_due && self.turn.is_none() {
            self.turn(replica);
        }
        if let Some(begun) = begun {
            self.metrics.seconds.inc_by(begun.elapsed().as_secs_f64());
        }
    }

    fn write(&mut self) {
        let (bytes, events) = (size(self.buffer.len()), std::mem::take(&mut self.buffered));
        self.midway.events += events;
        if let Some(turn) = &mut self.turn {
            turn.events += events;
            turn.is_void |= size(turn.pending.len()) + bytes > self.bounds.slack();
            if turn.is_void { turn.pending = Vec::new() } else { turn.pending.extend_from_slice(&self.buffer) }
        }
        let written = match &mut self.current {
            Some(current) if current.bytes + bytes <= current.cap => current.file.write_all(&self.buffer),
            Some(_) => Err(io::Error::other("events come faster than the next file can be begun")),
            None => Err(io::Error::other("it rests")),
        };
        self.buffer.clear();
        match (written, &mut self.current) {
            (Ok(()), Some(current)) => {
                current.bytes += bytes;
                self.metrics.events.inc_by(events);
                self.metrics.bytes.inc_by(bytes);
            }
            (Ok(()) | Err(_), None) => self.misses(events, bytes),
            (Err(error), Some(current)) => {
                tracing::warn!(file = %current.path.display(), %error, "the recording rests: what happens now is missing");
                self.metrics.failures.inc();
                self.failed = self.current.take().map(|current| current.file);
                self.misses(events, bytes);
                self.tell();
            }
        }
    }

    fn misses(&mut self, events: u64, bytes: u64) {
        self.missing += events;
        self.rested += bytes;
        match &mut self.turn {
            // They wait for the next file.
            Some(turn) => turn.missing += events,
            None => {
                self.metrics.missing.inc_by(events);
            }
        }
    }

    /// Says in the file that was given up how many events follow it and are in none.
    fn tell(&mut self) {
        let Some(file) = &mut self.failed else { return };
        let mut frame = Vec::with_capacity(recording::MISSING_BYTES);
        recording::missing(self.missing, &mut frame);
        // Whoever reads sees a gap from what follows, too.
        let _ = file.rewind().and_then(|()| file.write_all(&frame));
    }

    /// Has the next file the state of this moment?
    fn turn(&mut self, replica: &Replica) {
        let grows = self.current.as_ref().map_or(0, |current| current.cap.saturating_sub(current.bytes));
        let (replica, midway) = (Box::new(replica.clone()), Box::new(self.midway.clone()));
        if self.orders.send(Order::Begin { replica, midway, grows }).is_ok() {
            self.turn = Some(Turn::default());
        }
    }

    /// Is the next file there?
    fn look(&mut self) {
        let (Some(_), Ok(begun)) = (&self.turn, self.begun.try_recv()) else { return };
        let turn = self.turn.take().unwrap_or_default();
        match begun {
            Ok(begun) if turn.is_void => {
                self.metrics.missing.inc_by(turn.missing);
                let _ = self.orders.send(Order::Discard(begun.path));
            }
            Ok(mut begun) => match begun.file.write_all(&turn.pending) {
                Ok(()) => self.turned(begun, &turn),
                Err(error) => {
                    self.metrics.missing.inc_by(turn.missing);
                    let _ = self.orders.send(Order::Discard(begun.path));
                    self.cannot_begin(&error);
                }
            },
            Err(error) => {
                self.metrics.missing.inc_by(turn.missing);
                self.cannot_begin(&error);
            }
        }
    }

    fn turned(&mut self, begun: Begun, turn: &Turn) {
        self.missing = self.missing.saturating_sub(turn.missing);
        self.metrics.events.inc_by(turn.missing);
        self.tell();
        let (state, pending) = (begun.state, size(turn.pending.len()));
        self.go_on(begun);
        if let Some(current) = &mut self.current {
            current.bytes += pending;
        }
        let _ = self.orders.send(Order::Trim { room: self.bounds.cap(state).saturating_sub(state + pending) });
    }

    fn go_on(&mut self, Begun { file, path, state }: Begun) {
        let (full, cap) = (self.bounds.full(state), self.bounds.cap(state));
        self.current = Some(Current { file, path, bytes: state, full, cap });
        (self.failed, self.missing, self.rested) = (None, 0, 0);
        self.metrics.files.inc();
    }

    /// It is tried again when as much has happened as may wait.
    fn cannot_begin(&mut self, error: &io::Error) {
        tracing::warn!(%error, "the recording's next file cannot be begun");
        self.metrics.failures.inc();
        self.rested = 0;
        if let Some(current) = &mut self.current {
            current.full = current.bytes + self.bounds.slack();
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.buffered > 0 {
            self.write();
        }
        self.look();
        self.tell();
    }
}
