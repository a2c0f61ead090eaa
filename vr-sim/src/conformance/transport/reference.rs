//! A transport that passes, in memory: a bounded queue, a network that is a list, an end that checks what comes.
//!
//! Owns the model, and the defects that make it fail. Must not know what is tried.

use super::{RECEIVER, SENDER, Transport, Trouble, cluster};
use bytes::Bytes;
use std::collections::VecDeque;
use vr_core::Message;
use vr_core::wire::{Limits, decode_within, encode};

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Defect {
    /// Nothing.
    #[default]
    None,
    /// Every tenth message is lost, though nothing goes wrong.
    Forgets,
    /// What comes a second time breaks the connection for good.
    BreaksOnDuplicates,
    /// Each message is checked against the one before it, and one that is older breaks the connection for good.
    BreaksOnReordering,
    /// A connection on which nothing is heard is kept.
    KeepsDeadConnections,
    /// What waits is not bounded.
    KeepsEverything,
    /// How long a message may be is not looked at.
    TakesAnyLength,
    /// From whom it is is not looked at.
    TakesFromAnybody,
}

/// So many bytes may wait.
const BOUND: usize = 64 << 10;

/// A transport in memory.
#[derive(Debug, Default)]
pub struct Reference {
    defect: Defect,
    trouble: Option<Trouble>,
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    /// Held back by a network that reorders.
    late: Option<Vec<u8>>,
    /// The connection leads nowhere; so many messages went into it.
    dead: Option<u32>,
    broken: bool,
    newest: u64,
    sent: u64,
    arrived: Vec<Message>,
}

impl Reference {
    /// One with this defect.
    #[must_use]
    pub fn with(defect: Defect) -> Self {
        Self { defect, ..Self::default() }
    }

    /// The network takes what it takes.
    fn flow(&mut self) {
        if self.trouble == Some(Trouble::Slow) {
            return;
        }
        while let Some(frame) = self.queue.pop_front() {
            self.queued -= frame.len();
            if let Some(lost) = &mut self.dead {
                *lost += 1;
                // No answer comes: another connection takes the place of this one.
                let is_over = *lost > 5 && self.trouble != Some(Trouble::HalfOpen);
                if is_over && self.defect != Defect::KeepsDeadConnections {
                    self.dead = None;
                }
                continue;
            }
            match self.trouble {
                Some(Trouble::Duplicate) => {
                    self.arrive(&frame);
                    self.arrive(&frame);
                }
                Some(Trouble::Reorder) => match self.late.take() {
                    Some(late) => {
                        self.arrive(&frame);
                        self.arrive(&late);
                    }
                    None => self.late = Some(frame),
                },
                Some(Trouble::None | Trouble::HalfOpen | Trouble::Slow) | None => self.arrive(&frame),
            }
        }
    }

    fn arrive(&mut self, frame: &[u8]) {
        let limits = if self.defect == Defect::TakesAnyLength { Limits::NONE } else { Limits::of(&cluster()) };
        let Ok(message) = decode_within(&Bytes::copy_from_slice(frame), &limits) else { return };
        if message.header.from != SENDER && self.defect != Defect::TakesFromAnybody {
            return;
        }
        let seq = message.header.seq.0;
        self.broken |= match self.defect {
            Defect::BreaksOnDuplicates => seq == self.newest,
            Defect::BreaksOnReordering => seq < self.newest,
            Defect::None
            | Defect::Forgets
            | Defect::KeepsDeadConnections
            | Defect::KeepsEverything
            | Defect::TakesAnyLength
            | Defect::TakesFromAnybody => false,
        };
        self.newest = self.newest.max(seq);
        if !self.broken {
            self.arrived.push(message);
        }
    }
}

impl Transport for Reference {
    fn begin(&mut self) -> Result<(), String> {
        debug_assert_ne!(SENDER, RECEIVER, "two ends");
        *self = Self::with(self.defect);
        Ok(())
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.flow();
        self.trouble = Some(trouble);
        if let Some(late) = self.late.take() {
            self.arrive(&late);
        }
        if trouble == Trouble::HalfOpen {
            self.dead = Some(0);
        }
    }

    fn send(&mut self, message: &Message) {
        self.sent += 1;
        if self.defect == Defect::Forgets && self.sent.is_multiple_of(10) {
            return;
        }
        let mut frame = Vec::new();
        encode(message, &mut frame);
        self.queued += frame.len();
        self.queue.push_back(frame);
        while self.queued > BOUND && self.defect != Defect::KeepsEverything {
            self.queued -= self.queue.pop_front().map_or(0, |oldest| oldest.len());
        }
        self.flow();
    }

    fn received(&mut self) -> Vec<Message> {
        self.flow();
        std::mem::take(&mut self.arrived)
    }

    fn waiting(&mut self) -> (u64, u64) {
        let wide = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        (wide(self.queued), wide(BOUND))
    }

    fn inject(&mut self, frame: &[u8]) {
        self.arrive(frame);
    }
}
