//! What an embedder holds of a running node: requests in, replies out (Go-VR's `RequestAsync`).
//!
//! Owns the waiting for one answer and its deadline. Must not know how a request travels or what it means.
//! Paper: VRR §4.1 steps 1 and 7; DESIGN 9.4.

mod members;

use crate::members::Book;
use crate::metrics::Metrics;
use crate::node::{Arrival, Asker, Inbox, Place, Question};
use crate::upcalls::Upcalls;
use bytes::Bytes;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use vr_core::{
    BadGroup, ClientId, Epoch, Hash, Instance, Kind, NoHandOver, Op, Predicted, Reject, ReplicaId, Reply, Request,
    RequestNumber, Session, Snapshot, StatusName, View,
};

/// Why a request has no reply.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No answer within the time that is configured. The outcome is unknown: ask again with the same number.
    #[error("no answer in time: the outcome is unknown")]
    Timeout,
    /// This replica is not the primary; it did not take the request.
    #[error("this replica is not the primary of view {view}")]
    NotPrimary {
        /// Who may be; `None` when this replica cannot tell.
        primary: Option<ReplicaId>,
        /// Of which view.
        view: View,
    },
    /// This replica was primary when it took the request and is not any more. The outcome is unknown: ask the new
    /// primary again with the same number.
    #[error("the primary changed while the request waited: the outcome is unknown")]
    Deposed {
        /// The view that this replica is in now.
        view: View,
    },
    /// The session is gone. The outcome of its outstanding request is unknown; open another one.
    #[error("the session is gone: the outcome of its outstanding request is unknown")]
    Evicted,
    /// Too much is waiting, or this primary is not sure of itself: ask again later, with the same number.
    #[error("busy: try again")]
    Busy,
    /// The primary's disk is full: ask again later, with the same number.
    #[error("the primary's disk is full: try again later")]
    NoSpace,
    /// The body exceeds `max_request_bytes`.
    #[error("the request is longer than the cluster allows")]
    TooLarge,
    /// The request contradicts itself.
    #[error("the request contradicts itself")]
    Malformed,
    /// The group that was asked for may not follow the present one.
    #[error("there is no reconfiguration: {}", crate::members::reason_of(*.0))]
    BadGroup(BadGroup),
    /// The node has stopped. The outcome of what waited is unknown.
    #[error("the node has stopped")]
    Halted,
}

impl RequestError {
    /// Its name in metrics and in JSON.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NotPrimary { .. } => "not_primary",
            Self::Deposed { .. } => "deposed",
            Self::Evicted => "evicted",
            Self::Busy => "busy",
            Self::NoSpace => "no_space",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::BadGroup(_) => "bad_group",
            Self::Halted => "halted",
        }
    }

    /// True when the request may have taken effect, or may still.
    #[must_use]
    pub const fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Timeout | Self::Deposed { .. } | Self::Evicted | Self::Halted)
    }
}

/// Why a node did not give way.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// The replica does not give way; it does what it did before.
    #[error("there is no hand-over: {0}")]
    Refused(NoHandOver),
    /// The node has stopped.
    #[error("the node has stopped")]
    Halted,
}

impl From<Reject> for RequestError {
    fn from(reason: Reject) -> Self {
        match reason {
            Reject::NotPrimary { primary, view } => Self::NotPrimary { primary, view },
            Reject::Evicted => Self::Evicted,
            Reject::NoSpace => Self::NoSpace,
            Reject::TooLarge => Self::TooLarge,
            Reject::Malformed => Self::Malformed,
            Reject::Reconfiguration(why) => Self::BadGroup(why),
            // Also whatever a later version refuses for: asking again is always right.
            Reject::Busy | _ => Self::Busy,
        }
    }
}

/// What a node looks like, for people and programs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NodeStatus {
    /// Which replica.
    pub id: ReplicaId,
    /// Which life.
    pub incarnation: u64,
    /// Status and role.
    pub status: StatusName,
    /// The epoch: which group it is of.
    pub epoch: Epoch,
    /// The view-number; its high 24 bits are the epoch.
    pub view: View,
    /// The last view in which it was normal.
    pub log_view: View,
    /// The primary of its view.
    pub primary: ReplicaId,
    /// Where its log ends.
    pub op: Op,
    /// Through here the log is durable on its own disk.
    pub durable: Op,
    /// The commit-number.
    pub commit: Op,
    /// Through here the service has answered.
    pub executed: Op,
    /// Does it want to leave its view?
    pub wants_view_change: bool,
    /// Does it log and vote only (VRR §6.1)? Then it executes nothing. Said of witnesses alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub witness: bool,
    /// Requests that wait for their answers at this node.
    pub waiting: usize,
    /// Messages of peers that wait for the replica.
    pub inbox_messages: usize,
    /// Operations that wait for the service.
    pub service_queue: usize,
    /// False when its disk is full.
    pub has_space: bool,
    /// Why it stopped, if it did.
    pub stopped: Option<String>,
}

impl NodeStatus {
    pub(crate) fn of(snapshot: &Snapshot, has_space: bool) -> Self {
        Self {
            id: snapshot.id,
            incarnation: snapshot.incarnation.0,
            status: snapshot.status,
            epoch: snapshot.epoch,
            view: snapshot.view,
            log_view: snapshot.log_view,
            primary: snapshot.primary,
            op: snapshot.op,
            durable: snapshot.durable,
            commit: snapshot.commit,
            executed: snapshot.executed,
            wants_view_change: snapshot.wants_view_change,
            witness: snapshot.witness,
            waiting: 0,
            inbox_messages: 0,
            service_queue: 0,
            has_space,
            stopped: None,
        }
    }

    /// In normal status, content with its view, and its service, if it has one, knows all that it knows to be committed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.stopped.is_none()
            && matches!(self.status, StatusName::Primary | StatusName::Backup)
            && (self.witness || self.executed == self.commit)
            && !self.wants_view_change
    }
}

/// What an embedder holds of a running node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    inbox: Inbox,
    upcalls: Upcalls,
    status: watch::Receiver<NodeStatus>,
    timeout: Duration,
    sessions: Arc<Mutex<HashMap<ClientId, Session>>>,
    sessions_max: usize,
    metrics: Arc<Metrics>,
    book: Arc<Book>,
    /// Which disk it is, of which configuration, and how many members a group of that has at least.
    disk: (Instance, Hash, usize),
}

impl Handle {
    pub(crate) fn new(
        inbox: Inbox,
        upcalls: Upcalls,
        status: watch::Receiver<NodeStatus>,
        (timeout, sessions_max): (Duration, usize),
        metrics: Arc<Metrics>,
        (book, disk): (Arc<Book>, (Instance, Hash, usize)),
    ) -> Self {
        Self { inbox, upcalls, status, timeout, sessions: Arc::default(), sessions_max, metrics, book, disk }
    }

    /// Opens a session for a client; a client that has one gets the same.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn register(&self, client: ClientId) -> Result<Session, RequestError> {
        let session = self.register_reply(client).await?.session;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= self.sessions_max {
            sessions.clear(); // Only a memory: a client that has a session is told the same again.
        }
        sessions.insert(client, session);
        Ok(session)
    }

    pub(crate) async fn register_reply(&self, client: ClientId) -> Result<Reply, RequestError> {
        self.ask(client, Session::ZERO, RequestNumber::ZERO, Kind::Register, Bytes::new()).await
    }

    /// Has `body` executed, at most once for this client and number; opens the client's session when it has none.
    /// Numbers rise by one, from 1 on; each waits for the answer to the one before.
    ///
    /// # Errors
    /// Why there is no answer. [`RequestError::is_outcome_unknown`] tells whether it may have taken effect.
    pub async fn request(&self, client: ClientId, number: RequestNumber, body: Bytes) -> Result<Reply, RequestError> {
        let known = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&client).copied();
        let session = match known {
            Some(session) => session,
            None => self.register(client).await?,
        };
        let answer = self.request_in(client, session, number, body).await;
        if answer == Err(RequestError::Evicted) {
            self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&client);
        }
        answer
    }

    /// [`Handle::request`] in a session that the caller knows.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn request_in(
        &self,
        client: ClientId,
        session: Session,
        number: RequestNumber,
        body: Bytes,
    ) -> Result<Reply, RequestError> {
        self.ask(client, session, number, Kind::Operation, body).await
    }

    async fn ask(
        &self,
        client: ClientId,
        session: Session,
        number: RequestNumber,
        kind: Kind,
        body: Bytes,
    ) -> Result<Reply, RequestError> {
        let request = Request { client, session, number, kind, predicted: Predicted::default(), body };
        let (answer, answered) = oneshot::channel();
        self.outcome(self.inbox.ask(Question { request, answer }), answered).await
    }

    /// Waits for the answer to what has a place among those who wait, and counts a refusal.
    async fn outcome<T>(
        &self,
        place: Result<Place, RequestError>,
        answered: oneshot::Receiver<Result<T, RequestError>>,
    ) -> Result<T, RequestError> {
        let answer = match place {
            Ok(_place) => match tokio::time::timeout(self.timeout, answered).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(RequestError::Halted),
                Err(_) => Err(RequestError::Timeout),
            },
            Err(error) => Err(error),
        };
        answer.inspect_err(|error| self.metrics.refused(error.code()))
    }

    /// Asks the service a question that changes nothing, without an entry in the log: only the primary answers, once a
    /// quorum has answered a heartbeat that left after the question came (VRR §6.3, PROTOCOL 1.8). Linearizable: the answer
    /// reflects everything that was answered before, to anybody. Many questions share a heartbeat.
    ///
    /// # Errors
    /// Why there is no answer. Whatever it is, the question may be asked again, of anybody.
    pub async fn read(&self, query: Bytes) -> Result<Bytes, RequestError> {
        self.ask_service(query, false).await
    }

    /// [`Handle::read`] of this node, whether it leads or not: a backup asks its primary, once for all who wait, what the
    /// answers must reflect, and answers from its own service when it has executed that. As linearizable, a round trip to the
    /// primary slower, and the primary has less to do.
    ///
    /// # Errors
    /// As [`Handle::read`]. `NotPrimary` also of a backup that cannot answer: its view ends, its primary is silent, or of an
    /// earlier version that knows no such question.
    pub async fn read_here(&self, query: Bytes) -> Result<Bytes, RequestError> {
        self.ask_service(query, true).await
    }

    async fn ask_service(&self, query: Bytes, here: bool) -> Result<Bytes, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.outcome(self.inbox.read(Asker { query, here, answer }), answered).await
    }

    /// Asks this node's service, without the group: what it answers may be old.
    ///
    /// # Errors
    /// `Busy`, `Halted` when the node has stopped, `Timeout`; `NotPrimary` of a witness, which has no service.
    pub async fn read_stale(&self, query: Bytes) -> Result<Bytes, RequestError> {
        let refused =
            |status: &NodeStatus| RequestError::NotPrimary { primary: Some(status.primary), view: status.view };
        let witness = Some(&*self.status.borrow()).filter(|status| status.witness).map(refused);
        if let Some(error) = witness {
            return Err(error);
        }
        let answer = tokio::time::timeout(self.timeout, self.upcalls.read(query)).await;
        answer.unwrap_or(Err(RequestError::Timeout)).inspect_err(|error| self.metrics.refused(error.code()))
    }

    /// What the node looks like, as of its last step, and how much waits where now.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let status = self.status.borrow().clone();
        let (waiting, inbox_messages) = self.inbox.waiting();
        NodeStatus { waiting, inbox_messages, service_queue: self.upcalls.waiting(), ..status }
    }

    /// Waits until the node looks like this; gives what it looks like then, or after it stopped. It is looked at when
    /// its replica has changed.
    pub async fn wait_until(&self, mut is_so: impl FnMut(&NodeStatus) -> bool) -> NodeStatus {
        let mut changes = self.status.clone();
        loop {
            changes.borrow_and_update();
            let status = self.status();
            if status.stopped.is_some() || is_so(&status) || changes.changed().await.is_err() {
                return self.status();
            }
        }
    }

    /// Somebody reads the trace stream: the node tells where it stands. False when the node is gone.
    pub(crate) fn look(&self) -> bool {
        self.inbox.send(Arrival::Look)
    }

    /// Puts something into the inbox that did not happen.
    #[cfg(test)]
    pub(crate) fn inject(&self, arrival: Arrival) {
        self.inbox.send(arrival);
    }

    /// All metrics of the node, in the text format that Prometheus reads.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics.text(&self.status())
    }

    /// Adds an embedder's own metrics to the node's.
    pub fn register_metrics(&self, register: impl FnOnce(&mut prometheus_client::registry::Registry)) {
        self.metrics.register_more(register);
    }

    /// Asks this node, if it leads, to give way to another one, or to whoever is furthest: before maintenance, so that
    /// nobody waits for a timeout. What it took is answered first; requests that come meanwhile are sent elsewhere when it
    /// leaves. Gives the view that the other one leads, which starts a round trip later.
    ///
    /// # Errors
    /// Why there is no hand-over. Until then, T_abd (ten heartbeats) at most, requests wait.
    pub async fn hand_over(&self, to: Option<ReplicaId>) -> Result<View, HandOverError> {
        let (answer, answered) = oneshot::channel();
        if !self.inbox.send(Arrival::HandOver(to, answer)) {
            return Err(HandOverError::Halted);
        }
        answered.await.unwrap_or(Err(HandOverError::Halted))
    }

    /// [`Handle::stop`], having given way first if this node leads and somebody is there to take over: for the stop of
    /// one node of a group that goes on.
    pub async fn leave(&self) {
        if self.inbox.send(Arrival::Leave) {
            self.wait_until(|_| false).await;
        }
    }

    /// Stops the node in an orderly way: it says nothing more, and ends when its disk has everything.
    pub async fn stop(&self) {
        if self.inbox.send(Arrival::Stop) {
            self.wait_until(|_| false).await;
        }
    }
}
