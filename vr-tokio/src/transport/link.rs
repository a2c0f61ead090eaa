//! One connection to a peer: requests out, answers in, a few requests on their way at a time.
//!
//! Owns the writing of requests and the reading of answers. Requests are pipelined on one connection, so that they
//! arrive in order, up to a small window; what is queued meanwhile goes together in the next. It is written by hand
//! because a client library waits for each answer before the next request, and hands every request through two
//! tasks. Must not know when to connect, nor what is said.

use super::Codec;
use super::answer::{Answers, Nonsense};
use super::head::{self, Prefix};
use super::metrics::LinkMetrics;
use super::queue::{Queue, Taken};
use super::stream::{Guarded, ReadBy};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bodies up to here are copied behind their head and written as one piece; longer ones are written from where
/// they are.
const COPIED_BYTES_MAX: usize = 32 << 10;

/// How a connection is used.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) codec: Codec,
    /// How many requests may be unanswered.
    pub(crate) window: usize,
    /// How many bytes of messages one request may carry, unless a single one has more.
    pub(crate) batch_bytes: usize,
    /// How long an answer may take.
    pub(crate) answer_timeout: Duration,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Nonsense(#[from] Nonsense),
    #[error("it refused with status {0}")]
    Refused(u16),
}

/// One connection in use.
pub(crate) struct Link<'a> {
    stream: Guarded,
    read_by: ReadBy,
    queue: &'a Queue,
    manner: &'a Manner,
    metrics: &'a LinkMetrics,
    /// The head up to the length of the body.
    prefix: Prefix,
    /// How many messages each unanswered request carries, oldest first.
    unanswered: VecDeque<usize>,
    answers: Answers,
    /// What is being sent: messages, or one in pieces, and how many messages that is.
    batch: Vec<Bytes>,
    taken: Taken,
    head: String,
    out: Vec<u8>,
    /// Has any request been taken?
    pub(crate) has_succeeded: bool,
}

impl<'a> Link<'a> {
    pub(crate) fn new(
        stream: Guarded,
        read_by: ReadBy,
        queue: &'a Queue,
        manner: &'a Manner,
        metrics: &'a LinkMetrics,
        prefix: Prefix,
    ) -> Self {
        Self {
            stream,
            read_by,
            queue,
            manner,
            metrics,
            prefix,
            unanswered: VecDeque::new(),
            answers: Answers::default(),
            batch: Vec::new(),
            taken: Taken::default(),
            head: String::new(),
            out: Vec::new(),
            has_succeeded: false,
        }
    }

    /// Sends what is queued for as long as the connection holds.
    pub(crate) async fn run(&mut self) -> Ended {
        let ended = self.converse().await;
        let lost = self.unanswered.drain(..).sum::<usize>() + self.taken.messages;
        self.metrics.dropped_broken.inc_by(counted(lost));
        match ended {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, Ended> {
        loop {
            while self.unanswered.len() < self.manner.window && self.send().await? {}
            let has_room = self.unanswered.len() < self.manner.window;
            tokio::select! {
                biased;
                read = self.stream.read_buf(&mut self.answers.read) => {
                    if read? == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                    while self.answer()? {}
                }
                () = self.queue.ready(), if has_room => {}
            }
        }
    }

    /// Sends one request, if anything is queued.
    async fn send(&mut self) -> Result<bool, Ended> {
        debug_assert!(self.batch.is_empty(), "the batch before was sent");
        self.taken = self.queue.take(self.manner.batch_bytes, &mut self.batch);
        let Taken { messages, bytes } = self.taken;
        if self.batch.is_empty() {
            return Ok(false);
        }
        let [open, between, close] = self.manner.codec.punctuation();
        let body_bytes = bytes + open.len() + close.len() + between.len() * (self.batch.len() - 1);
        self.head.clear();
        self.prefix.put(&mut self.head);
        head::finish(&mut self.head, body_bytes);
        self.out.clear();
        self.out.extend_from_slice(self.head.as_bytes());
        if body_bytes <= COPIED_BYTES_MAX || self.manner.codec == Codec::Json {
            self.out.extend_from_slice(open);
            for (index, message) in self.batch.iter().enumerate() {
                self.out.extend_from_slice(if index == 0 { b"" } else { between });
                self.out.extend_from_slice(message);
            }
            self.out.extend_from_slice(close);
            self.stream.write_all(&self.out).await?;
        } else {
            let mut pieces = Pieces::new(&self.out, &self.batch);
            self.stream.write_all_buf(&mut pieces).await?;
        }
        self.stream.flush().await?;
        if self.unanswered.is_empty() {
            self.read_by.within(self.manner.answer_timeout);
        }
        self.unanswered.push_back(messages);
        self.metrics.requests.inc();
        self.metrics.messages.inc_by(counted(messages));
        self.metrics.bytes.inc_by(counted(body_bytes));
        self.batch.clear();
        self.taken = Taken::default();
        Ok(true)
    }

    /// Takes one answer from what was read, if it is all there.
    fn answer(&mut self) -> Result<bool, Ended> {
        let Some(answer) = self.answers.next()? else { return Ok(false) };
        let messages = self.unanswered.pop_front().ok_or(Nonsense)?;
        if self.unanswered.is_empty() {
            self.read_by.clear();
        } else {
            self.read_by.within(self.manner.answer_timeout);
        }
        match answer.status {
            200..=299 => self.has_succeeded = true,
            503 => {
                self.metrics.dropped_inbox_full.inc_by(counted(messages));
            }
            status => {
                self.metrics.dropped_refused.inc_by(counted(messages));
                return Err(Ended::Refused(status));
            }
        }
        if answer.closes {
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
        }
        Ok(true)
    }
}

/// A head and messages, to be written from where they are.
pub(super) struct Pieces<'a> {
    head: &'a [u8],
    rest: &'a [Bytes],
    /// How much of the first of `rest` is written.
    passed: usize,
}

impl<'a> Pieces<'a> {
    pub(super) const fn new(head: &'a [u8], rest: &'a [Bytes]) -> Self {
        Self { head, rest, passed: 0 }
    }
}

impl Buf for Pieces<'_> {
    fn remaining(&self) -> usize {
        self.head.len() + self.rest.iter().map(Bytes::len).sum::<usize>() - self.passed
    }

    fn chunk(&self) -> &[u8] {
        if self.head.is_empty() { self.rest.first().map_or(&[], |first| &first[self.passed..]) } else { self.head }
    }

    fn chunks_vectored<'b>(&'b self, into: &mut [IoSlice<'b>]) -> usize {
        let head = (!self.head.is_empty()).then_some(self.head);
        let rest = self.rest.iter().enumerate().map(|(at, piece)| if at == 0 { &piece[self.passed..] } else { piece });
        let mut count = 0;
        for (slot, piece) in into.iter_mut().zip(head.into_iter().chain(rest)) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut bytes: usize) {
        let of_head = bytes.min(self.head.len());
        self.head = &self.head[of_head..];
        bytes -= of_head;
        while bytes > 0 {
            let left = self.rest[0].len() - self.passed;
            if bytes < left {
                self.passed += bytes;
                return;
            }
            bytes -= left;
            self.passed = 0;
            self.rest = &self.rest[1..];
        }
    }
}

fn counted(amount: usize) -> u64 {
    u64::try_from(amount).unwrap_or(u64::MAX)
}
