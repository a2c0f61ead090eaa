//! The service on a thread of its own: upcalls in, answers out, strictly in order.
//!
//! Owns the service. A slow one delays its answers and nothing else; how much may be unanswered is bounded by the
//! core. Must not know the protocol. Paper: VRR §4.1 step 5, §4.4, §5.1; DESIGN 9.4.

use crate::node::{Arrival, Inbox};
use bytes::Bytes;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tokio::sync::oneshot;
use vr_core::{Checkpoint, Context, Entries, Op, Service};

/// What the service is asked.
#[derive(Debug)]
pub(crate) enum Upcall {
    /// Execute these, in order.
    Execute(Entries),
    /// Give the whole state.
    Checkpoint(Op),
    /// Become this.
    Restore(Box<Checkpoint>),
    /// Answer a question, change nothing.
    Read(Bytes, oneshot::Sender<Bytes>),
}

/// What the service answered.
#[derive(Debug)]
pub(crate) enum Answered {
    /// One answer for each entry of an `Execute`, in order.
    Executed(Vec<(Op, Bytes)>),
    /// Its state.
    CheckpointTaken(Op, Bytes),
    /// It is what it was told to become.
    Restored(Op),
    /// It panicked.
    Panicked(String),
}

/// The way to the service.
#[derive(Clone, Debug)]
pub(crate) struct Upcalls(Sender<Upcall>);

impl Upcalls {
    /// A way, and its end, which [`run`] serves.
    pub(crate) fn new() -> (Self, Receiver<Upcall>) {
        let (to, from) = channel();
        (Self(to), from)
    }

    /// Asks. After the service has panicked nobody answers any more.
    pub(crate) fn ask(&self, upcall: Upcall) {
        let _ = self.0.send(upcall);
    }

    pub(crate) async fn read(&self, query: Bytes) -> Option<Bytes> {
        let (answer, answered) = oneshot::channel();
        self.ask(Upcall::Read(query, answer));
        answered.await.ok()
    }
}

/// Serves upcalls on a thread of their own until every [`Upcalls`] is gone or the service panics.
pub(crate) fn run<S: Service + Send + 'static>(
    service: S,
    upcalls: Receiver<Upcall>,
    inbox: Inbox,
) -> std::io::Result<()> {
    let serve = move || {
        let mut service = service;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            while let Ok(upcall) = upcalls.recv() {
                if let Some(answered) = carry_out(&mut service, upcall)
                    && !inbox.send(Arrival::Answered(answered))
                {
                    return;
                }
            }
        }));
        if let Err(panic) = outcome {
            inbox.send(Arrival::Answered(Answered::Panicked(words_of(&*panic))));
        }
    };
    thread::Builder::new().name("vr-service".into()).spawn(serve).map(drop)
}

fn carry_out(service: &mut impl Service, upcall: Upcall) -> Option<Answered> {
    match upcall {
        Upcall::Execute(entries) => {
            let mut answers = Vec::with_capacity(entries.len());
            for entry in &entries {
                let (op, predicted) = (entry.op(), entry.predicted());
                let context = Context { op, time_ns: predicted.wall_ns, seed: predicted.seed };
                answers.push((op, service.execute(&context, entry.body())));
            }
            Some(Answered::Executed(answers))
        }
        Upcall::Checkpoint(op) => Some(Answered::CheckpointTaken(op, service.checkpoint())),
        Upcall::Restore(checkpoint) => {
            service.restore(checkpoint.state());
            Some(Answered::Restored(checkpoint.op()))
        }
        Upcall::Read(query, answer) => {
            let _ = answer.send(service.read(&query));
            None
        }
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
