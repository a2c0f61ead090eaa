//! The node: one task owns the replica, takes what arrives, carries out what it asks for. It decides nothing.
//!
//! Owns the inbox, through which everything reaches that task: messages of peers, requests, completions of the disk
//! and the service. What comes from outside is bounded and counted; completions are bounded by the core. Must not
//! know the protocol. DESIGN §5.

mod grouped;
mod leaving;
mod reading;
mod run;
mod start;
#[cfg(test)]
mod tests;
mod waiting;

pub use self::run::StopReason;
pub use self::start::{Node, StartError};

use crate::disk::DiskAnswer;
use crate::handle::{HandOverError, RequestError};
use crate::transport::{Deliver, Full};
use crate::upcalls::Answered;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};
use vr_core::{Message, ReplicaId, Reply, Request, View};

/// What a request ends with.
pub(crate) type Answer = Result<Reply, RequestError>;

/// A request, and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// A read, and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) query: Bytes,
    /// This node may answer it whether it leads or not.
    pub(crate) here: bool,
    pub(crate) answer: oneshot::Sender<Result<Bytes, RequestError>>,
}

/// Something that reaches the node.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// From a peer.
    Messages(Vec<Message>),
    /// From a client of this node.
    Question(Question),
    /// From a client of this node, to be answered without an entry in the log.
    Read(Asker),
    /// The disk.
    Disk(DiskAnswer),
    /// The service.
    Answered(Answered),
    /// The operator: give way to this one, or to whoever is furthest.
    HandOver(Option<ReplicaId>, oneshot::Sender<Result<View, HandOverError>>),
    /// The operator: stop, having given way if this node leads.
    Leave,
    /// The operator: stop.
    Stop,
    /// A reader of the trace stream came, or waits for news.
    Look,
}

/// How much may wait in the inbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) questions: usize,
}

/// How much of each kind waits.
#[derive(Debug, Default)]
struct Load {
    messages: AtomicUsize,
    questions: AtomicUsize,
}

/// The way into the node. Never waits.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    to: mpsc::UnboundedSender<Arrival>,
    load: Arc<Load>,
    bounds: Bounds,
}

/// The other end, which the node's task reads.
#[derive(Debug)]
pub(crate) struct Arrivals {
    from: mpsc::UnboundedReceiver<Arrival>,
    load: Arc<Load>,
}

impl Inbox {
    pub(crate) fn new(bounds: Bounds) -> (Self, Arrivals) {
        let ((to, from), load) = (mpsc::unbounded_channel(), Arc::new(Load::default()));
        (Self { to, load: Arc::clone(&load), bounds }, Arrivals { from, load })
    }

    /// Puts in a completion or an order. False when the node is gone.
    pub(crate) fn send(&self, arrival: Arrival) -> bool {
        self.to.send(arrival).is_ok()
    }

    /// Puts in a request. Whoever waits for its answer keeps the place until then.
    pub(crate) fn ask(&self, question: Question) -> Result<Place, RequestError> {
        self.put_in(Arrival::Question(question))
    }

    /// Puts in a read, on the same terms.
    pub(crate) fn read(&self, asker: Asker) -> Result<Place, RequestError> {
        self.put_in(Arrival::Read(asker))
    }

    fn put_in(&self, arrival: Arrival) -> Result<Place, RequestError> {
        let place = Place(Arc::clone(&self.load));
        if self.load.questions.fetch_add(1, Ordering::Relaxed) >= self.bounds.questions {
            return Err(RequestError::Busy);
        }
        if self.send(arrival) { Ok(place) } else { Err(RequestError::Halted) }
    }

    /// How many requests wait for their answers, and how many messages of peers for the replica.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.load.questions.load(Ordering::Relaxed), self.load.messages.load(Ordering::Relaxed))
    }
}

/// A place among those who wait for an answer.
#[derive(Debug)]
pub(crate) struct Place(Arc<Load>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.questions.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Deliver for Inbox {
    fn deliver(&self, messages: Vec<Message>) -> Result<(), Full> {
        let count = messages.len();
        if self.load.messages.fetch_add(count, Ordering::Relaxed) >= self.bounds.messages {
            self.load.messages.fetch_sub(count, Ordering::Relaxed);
            return Err(Full);
        }
        if self.send(Arrival::Messages(messages)) { Ok(()) } else { Err(Full) }
    }
}

impl Arrivals {
    /// Waits for something, then takes up to `most` of what is there.
    pub(crate) async fn take(&mut self, into: &mut Vec<Arrival>, most: usize) -> usize {
        let taken = self.from.recv_many(into, most).await;
        for arrival in into.iter() {
            if let Arrival::Messages(messages) = arrival {
                self.load.messages.fetch_sub(messages.len(), Ordering::Relaxed);
            }
        }
        taken
    }
}
