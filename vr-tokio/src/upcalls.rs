//! The service on a thread of its own: upcalls in, answers out, strictly in order.
//!
//! Owns the service. A slow one delays its answers and nothing else; how much may be unanswered is bounded by the
//! core. Must not know the protocol. Paper: VRR §4.1 step 5, §4.4, §5.1; DESIGN 9.4.

use crate::clock;
use crate::handle::RequestError;
use crate::node::{Arrival, Inbox};
use bytes::Bytes;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use vr_core::{Checkpoint, Context, DeferredState, Entries, Op, Service, Time};

/// What the service is asked.
#[derive(Debug)]
pub(crate) enum Upcall {
    /// Execute these, in order.
    Execute(Entries),
    /// Give the whole state.
    Checkpoint(Op),
    /// Become this.
    Restore(Box<Checkpoint>),
    /// Answer questions, change nothing.
    Reads(Vec<(Look, Place)>),
    /// Nothing comes any more.
    End,
}

/// A question, and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) query: Bytes,
    pub(crate) answer: oneshot::Sender<Result<Bytes, RequestError>>,
    /// What is read at this moment or later is no answer: the lease may be over.
    pub(crate) before: Option<Time>,
}

/// Answers are reported together, but none is kept for longer than this.
const REPORT_AFTER: Duration = Duration::from_micros(200);
/// Questions that may wait for the service; one more is `Busy`.
const READS_MAX: usize = 4096;

/// What the service answered.
#[derive(Debug)]
pub(crate) enum Answered {
    /// One answer for each entry of an `Execute`, in order.
    Executed(Op, Vec<Bytes>),
    /// It has set its state aside.
    CheckpointBegun(Op, Aside),
    /// What was set aside is a checkpoint.
    CheckpointGiven(Box<Checkpoint>),
    /// It is what it was told to become.
    Restored(Op),
    /// What was to be read under a lease was not read in time.
    Late(Look),
    /// It panicked.
    Panicked(String),
}

/// A state that was set aside.
pub(crate) struct Aside(pub(crate) DeferredState);

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aside")
    }
}

/// The way to the service.
#[derive(Clone, Debug)]
pub(crate) struct Upcalls {
    to: Sender<Upcall>,
    load: Arc<Load>,
}

/// How much waits for the service.
#[derive(Debug, Default)]
pub(crate) struct Load {
    entries: AtomicUsize,
    reads: AtomicUsize,
}

/// The other end.
#[derive(Debug)]
pub(crate) struct Served {
    from: Receiver<Upcall>,
    load: Arc<Load>,
}

impl Upcalls {
    /// A way, and its end, which [`run`] serves.
    pub(crate) fn new() -> (Self, Served) {
        let ((to, from), load) = (channel(), Arc::new(Load::default()));
        (Self { to, load: Arc::clone(&load) }, Served { from, load })
    }

    /// Asks. After the service has panicked nobody answers any more.
    pub(crate) fn ask(&self, upcall: Upcall) {
        if let Upcall::Execute(entries) = &upcall {
            self.load.entries.fetch_add(entries.len(), Ordering::Relaxed);
        }
        let _ = self.to.send(upcall);
    }

    /// Asks a question, if there is room for one more.
    pub(crate) async fn read(&self, query: Bytes) -> Result<Bytes, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.look(vec![Look { query, answer, before: None }]);
        answered.await.unwrap_or(Err(RequestError::Halted))
    }

    /// Asks questions. Who has no room among those that wait is told so.
    pub(crate) fn look(&self, looks: Vec<Look>) {
        let mut asked = Vec::with_capacity(looks.len());
        for look in looks {
            let place = Place::new(&self.load);
            if place.number < READS_MAX {
                asked.push((look, place));
            } else {
                let _ = look.answer.send(Err(RequestError::Busy));
            }
        }
        if !asked.is_empty() {
            self.ask(Upcall::Reads(asked));
        }
    }

    /// How many operations wait for the service.
    pub(crate) fn waiting(&self) -> usize {
        self.load.entries.load(Ordering::Relaxed)
    }
}

/// A place among the questions that wait. It is kept until the service comes to it, also when the asker has given up: what
/// waits for a service that is stuck is bounded.
#[derive(Debug)]
pub(crate) struct Place {
    load: Arc<Load>,
    /// So many were there before.
    number: usize,
}

impl Place {
    fn new(load: &Arc<Load>) -> Self {
        Self { load: Arc::clone(load), number: load.reads.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.reads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves upcalls on a thread of their own until there are no more, or the service panics.
pub(crate) fn run<S: Service + Send + 'static>(service: S, served: Served, inbox: Inbox) -> std::io::Result<()> {
    let Served { from, load } = served;
    let serve = move || {
        let mut desk = Desk { service, load, inbox: inbox.clone() };
        let serve = || while from.recv().is_ok_and(|upcall| desk.carry_out(upcall)) {};
        if let Err(panic) = catch_unwind(AssertUnwindSafe(serve)) {
            inbox.send(Arrival::Answered(Answered::Panicked(words_of(&*panic))));
        }
    };
    thread::Builder::new().name("vr-service".into()).spawn(serve).map(drop)
}

struct Desk<S> {
    service: S,
    load: Arc<Load>,
    inbox: Inbox,
}

impl<S: Service> Desk<S> {
    /// False when nobody wants to know any more.
    fn carry_out(&mut self, upcall: Upcall) -> bool {
        match upcall {
            Upcall::Execute(entries) => self.execute(&entries),
            Upcall::Checkpoint(op) => self.answer(Answered::CheckpointBegun(op, Aside(self.service.snapshot()))),
            Upcall::Restore(checkpoint) => {
                self.service.restore_state(checkpoint.state());
                self.answer(Answered::Restored(checkpoint.op()))
            }
            Upcall::Reads(looks) => {
                looks.into_iter().for_each(|(look, _place)| self.look(look));
                true
            }
            Upcall::End => false,
        }
    }

    /// Reads, then looks at the clock, then tells: in any other order what is told may be old (PROTOCOL D85).
    fn look(&self, look: Look) {
        if look.answer.is_closed() {
            return;
        }
        let found = self.service.read(&look.query);
        if look.before.is_none_or(|deadline| clock::now() < deadline) {
            let _ = look.answer.send(Ok(found));
        } else {
            self.answer(Answered::Late(look));
        }
    }

    fn answer(&self, answered: Answered) -> bool {
        self.inbox.send(Arrival::Answered(answered))
    }

    fn execute(&mut self, entries: &Entries) -> bool {
        let mut answers = Vec::with_capacity(entries.len());
        let mut first = entries.first().map_or(Op::ZERO, |entry| entry.op());
        let mut since = Instant::now();
        for entry in entries {
            let (op, predicted) = (entry.op(), entry.predicted());
            let context = Context { op, time_ns: predicted.wall_ns, seed: predicted.seed };
            answers.push(self.service.execute(&context, entry.body()));
            if since.elapsed() >= REPORT_AFTER {
                self.report(first, &mut answers);
                (first, since) = (op.next(), Instant::now());
            }
        }
        self.report(first, &mut answers)
    }

    fn report(&self, first: Op, answers: &mut Vec<Bytes>) -> bool {
        self.load.entries.fetch_sub(answers.len(), Ordering::Relaxed);
        answers.is_empty() || self.answer(Answered::Executed(first, std::mem::take(answers)))
    }
}

pub(crate) fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn what_waits_for_a_stuck_service_is_bounded_also_when_its_askers_have_given_up() {
        let (upcalls, served) = Upcalls::new();
        let ask = || pin!(upcalls.read(Bytes::new())).poll(&mut Context::from_waker(Waker::noop()));
        for _ in 0..READS_MAX {
            assert!(ask().is_pending());
        }
        assert_eq!(ask(), Poll::Ready(Err(RequestError::Busy)));
        let (answer, mut answered) = oneshot::channel();
        upcalls.look(vec![Look { query: Bytes::new(), answer, before: None }]);
        assert_eq!(answered.try_recv(), Ok(Err(RequestError::Busy)), "whichever way it comes");
        assert_eq!(served.from.try_iter().count(), READS_MAX);
        assert!(ask().is_pending(), "there is room again");
    }
}
