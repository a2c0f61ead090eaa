//! Checkpoints are put together and written on a thread of their own: neither the service nor the replica nor the log waits.
//!
//! Owns the pace. What the service has set aside becomes a checkpoint here, and is written ahead of the log; so is one whose
//! parts come in, as they come. Whatever fails here is only slower: the log writes what it does not find. Must not know the
//! protocol. Paper: VRR §5.1, §5.2; PROTOCOL 1.7.

use crate::behind;
use crate::node::{Arrival, Inbox};
use crate::upcalls::{Answered, words_of};
use crate::wal::{Ahead, Reference, Writing};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use vr_core::{Checkpoint, CheckpointPart, DeferredState, Outline, State};

/// So much is written at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What is to be done.
enum Job {
    /// Put this together, write it, and say so.
    Aside { outline: Outline, state: DeferredState, is_waited_for: bool },
    /// No more parts are to come: what is not whole is given up.
    Settle,
    /// A part has come.
    Part { reference: Reference, offset: u64, bytes: State },
}

/// The way to the thread, which ends with it.
pub(crate) struct Keeper(Sender<Job>);

impl Keeper {
    /// Starts it. Checkpoints of this replica's own are written no faster than that, unless they are waited for.
    pub(crate) fn start(ahead: Ahead, bytes_per_second: u64, inbox: Inbox) -> io::Result<Self> {
        let (to, from) = channel();
        let run = move || Desk { ahead, bytes_per_second, inbox, arriving: None }.run(&from);
        behind::spawn("vr-checkpoint", run)?;
        Ok(Self(to))
    }

    /// Puts together what was set aside; it comes to the inbox when it is written.
    pub(crate) fn give(&self, outline: Outline, state: DeferredState, is_waited_for: bool) {
        // It is gone only with the node.
        let _ = self.0.send(Job::Aside { outline, state, is_waited_for });
    }

    /// Writes a part, if it follows the one before.
    pub(crate) fn add(&self, part: &CheckpointPart) {
        let CheckpointPart { head, digest, length, offset, ref bytes } = *part;
        let reference = Reference { head, digest, length };
        let _ = self.0.send(Job::Part { reference, offset, bytes: bytes.clone() });
    }

    /// All parts that there are were added: whoever waits for the file need not wait for more.
    pub(crate) fn settle(&self) {
        let _ = self.0.send(Job::Settle);
    }
}

struct Desk {
    ahead: Ahead,
    bytes_per_second: u64,
    inbox: Inbox,
    arriving: Option<Writing>,
}

impl Desk {
    fn run(mut self, from: &Receiver<Job>) {
        while let Ok(job) = from.recv() {
            match job {
                Job::Aside { outline, state, is_waited_for } => {
                    // One file at a time: what comes in from elsewhere is written when it is installed.
                    self.arriving = None;
                    let made = catch_unwind(AssertUnwindSafe(|| outline.with(state())));
                    let answered = made.map(|checkpoint| self.keep(checkpoint, is_waited_for));
                    let answered = answered.unwrap_or_else(|panic| Answered::Panicked(words_of(&*panic)));
                    if !self.inbox.send(Arrival::Answered(answered)) {
                        return;
                    }
                }
                Job::Settle => self.arriving = None,
                Job::Part { reference, offset, bytes } => {
                    if let Err(error) = self.part(reference, offset, &bytes) {
                        self.arriving = None;
                        tracing::debug!(%error, "a checkpoint that comes in is not written ahead");
                    }
                }
            }
        }
    }

    fn keep(&self, checkpoint: Checkpoint, is_waited_for: bool) -> Answered {
        if let Err(error) = self.write(&checkpoint, is_waited_for) {
            tracing::debug!(%error, "a checkpoint is not written ahead");
        }
        Answered::CheckpointGiven(Box::new(checkpoint))
    }

    fn write(&self, checkpoint: &Checkpoint, is_waited_for: bool) -> io::Result<bool> {
        let Some(mut writing) = self.ahead.begin(Reference::of(checkpoint))? else { return Ok(false) };
        let begun = Instant::now();
        while writing.written() < checkpoint.length() {
            writing.add(&checkpoint.part(writing.written(), PIECE_BYTES))?;
            if !is_waited_for {
                thread::sleep(due(writing.written(), self.bytes_per_second).saturating_sub(begun.elapsed()));
            }
        }
        writing.finish()
    }

    fn part(&mut self, reference: Reference, offset: u64, bytes: &State) -> io::Result<()> {
        let is_another = self.arriving.as_ref().is_none_or(|writing| *writing.reference() != reference);
        if offset == 0 && is_another {
            self.arriving = None;
            self.arriving = self.ahead.begin(reference)?;
        }
        let Some(writing) = self.arriving.as_mut() else { return Ok(()) };
        let left = reference.length.saturating_sub(offset);
        let fits = bytes.len() <= left;
        if *writing.reference() != reference || writing.written() != offset || !fits {
            return Ok(());
        }
        bytes.pieces().try_for_each(|piece| writing.add(piece))?;
        if writing.written() >= reference.length
            && let Some(whole) = self.arriving.take()
        {
            whole.finish()?;
        }
        Ok(())
    }
}

/// When so many bytes are due.
fn due(bytes: u64, per_second: u64) -> Duration {
    let micros = u128::from(bytes) * 1_000_000 / u128::from(per_second.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bytes_are_due_after_the_time_that_the_pace_gives_them() {
        assert_eq!(due(64 << 20, 64 << 20), Duration::from_secs(1));
        assert_eq!((due(0, 0), due(u64::MAX, 1)), (Duration::ZERO, Duration::from_micros(u64::MAX)));
    }
}
