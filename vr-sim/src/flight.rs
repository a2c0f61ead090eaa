//! Flight recordings of production nodes, repeated by the same core and judged by the same checkers.
//!
//! Owns the repetition, the order of what several nodes recorded, and the comparison of what arrived with what was
//! sent. Must not know files. DESIGN §5, §9.17; PROTOCOL §4.
//!
//! Every life is opened and stepped again by the core of this build, so that its actions need not be recorded. The lives
//! of a cluster are put into one order: by the host's clock, but no message before it was sent and no life before the
//! one it follows has ended. Then everything goes through [`Checkers`]: all safety properties that need no service.
//! What clients saw is judged by [`crate::history`].
//!
//! A recording is not believed blindly: a message that arrived from a recorded life must be one that the repetition of
//! that life sent, to the last bit, so that a recording with a gap, or of another core, is found out.

use crate::check::{Checkers, Happening, Setting, Severity, Violation};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use vr_core::recording::Life;
use vr_core::{
    Action, Event, Hash, Incarnation, Input, Message, Op, Replica, ReplicaId, Seq, Snapshot, StatusName, Time,
};

/// What was judged, when everything held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Lives repeated.
    pub lives: u64,
    /// Events stepped.
    pub events: u64,
    /// Messages that arrived from a recorded life, each as it was sent there.
    pub matched: u64,
    /// Messages that arrived from lives of which there is no recording.
    pub unmatched: u64,
    /// The last op committed.
    pub committed: Op,
    /// How many views started.
    pub views: u64,
}

/// Why recordings were not found good.
#[derive(Clone, Debug)]
pub enum Fault {
    /// There is nothing in them.
    Empty,
    /// They are of several clusters, or of a replica twice at a time.
    Mixed(String),
    /// The repetition cannot have been what happened: a gap, or another core.
    Diverged(String),
    /// The core panicked.
    Panicked(String),
    /// A property does not hold.
    Violated(Violation),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no life is recorded"),
            Self::Mixed(what) => write!(f, "these recordings do not belong together: {what}"),
            Self::Diverged(what) => write!(f, "this is not what happened: {what}"),
            Self::Panicked(what) => write!(f, "the core panicked: {what}"),
            Self::Violated(Violation { property, severity, message, .. }) => {
                let kind = if *severity == Severity::Liveness { "liveness" } else { "safety" };
                write!(f, "{property} ({kind}): {message}")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// A life being repeated.
struct Flight<'a> {
    life: &'a Life,
    id: ReplicaId,
    incarnation: Incarnation,
    replica: Option<Replica>,
    next: usize,
}

impl<'a> Flight<'a> {
    fn of(life: &'a Life) -> Self {
        let (id, incarnation) = (life.opening.config.me, life.opening.stored.incarnation.next());
        Self { life, id, incarnation, replica: None, next: 0 }
    }

    fn place(&self) -> (ReplicaId, Incarnation, Time) {
        (self.id, self.incarnation, self.life.opening.host)
    }

    fn is_over(&self) -> bool {
        self.replica.is_some() && self.next == self.life.events.len()
    }

    /// When its next thing happened, on the host's clock.
    fn host(&self) -> Time {
        let opening = &self.life.opening;
        let own = match (&self.replica, self.life.events.get(self.next)) {
            (Some(_), Some(event)) => event.at,
            (Some(_) | None, _) => opening.at,
        };
        opening.host.after(own.since(opening.at))
    }

    /// The message it hears next, if it is one.
    fn hears(&self) -> Option<&'a Message> {
        self.replica.as_ref()?;
        match &self.life.events.get(self.next)?.input {
            Input::Message(message) => Some(message),
            Input::Tick
            | Input::Request(_)
            | Input::Persisted(_)
            | Input::WriteFailed
            | Input::Executed { .. }
            | Input::Requests(_)
            | Input::ExecutedRun { .. }
            | Input::Space(_)
            | Input::Stop
            | Input::CheckpointTaken { .. }
            | Input::Restored { .. } => None,
        }
    }
}

/// Who said it, in which life, as which of its messages.
type Name = (ReplicaId, Incarnation, Seq);

struct Judge<'a> {
    flights: Vec<Flight<'a>>,
    /// Per replica its lives, in order. One that ended before its incarnation was durable had said nothing, and the next
    /// one has the same.
    places: BTreeMap<(ReplicaId, Incarnation, Time), usize>,
    sent: BTreeMap<Name, Message>,
    checkers: Checkers,
    now: Time,
    report: Report,
}

/// Repeats these lives of one cluster, in any order, and judges them.
///
/// # Errors
/// The first thing that is wrong.
pub fn judge(lives: &[Life]) -> Result<Report, Fault> {
    let Some(first) = lives.first() else { return Err(Fault::Empty) };
    let cluster = &first.opening.config.cluster;
    let mut places = BTreeMap::new();
    for (at, life) in lives.iter().enumerate() {
        let flight = Flight::of(life);
        if life.opening.config.cluster != *cluster {
            return Err(Fault::Mixed(format!("{:?} has another configuration", flight.id)));
        }
        if places.insert(flight.place(), at).is_some() {
            return Err(Fault::Mixed(format!("incarnation {} of {:?} is here twice", flight.incarnation, flight.id)));
        }
    }
    let mut judge = Judge {
        flights: lives.iter().map(Flight::of).collect(),
        places,
        sent: BTreeMap::new(),
        checkers: Checkers::new(&Setting { cluster: cluster.clone() }, None),
        now: Time::ZERO,
        report: Report::default(),
    };
    while let Some(at) = judge.next()? {
        judge.go(at)?;
    }
    judge.end()
}

impl Judge<'_> {
    // ---- one order

    /// Whose turn it is: of those that can go on, the earliest by the host's clock.
    fn next(&self) -> Result<Option<usize>, Fault> {
        let open = || (0..self.flights.len()).filter(|at| !self.flights[*at].is_over());
        let ready = open().filter(|at| self.is_ready(*at));
        let next = ready.min_by_key(|at| (self.flights[*at].host(), *at));
        if next.is_none() && open().next().is_some() {
            return Err(self.stuck(open().next().unwrap_or_default()));
        }
        Ok(next)
    }

    fn is_ready(&self, at: usize) -> bool {
        let flight = &self.flights[at];
        if flight.replica.is_none() {
            return self.before(at).all(|before| self.flights[before].is_over());
        }
        flight.hears().is_none_or(|message| self.is_sent(message) || !self.is_recorded(message))
    }

    fn is_recorded(&self, message: &Message) -> bool {
        let (id, incarnation) = (message.header.from, message.header.incarnation);
        self.places
            .range((id, incarnation, Time::ZERO)..)
            .next()
            .is_some_and(|(place, _)| (place.0, place.1) == (id, incarnation))
    }

    /// The lives before this one.
    fn before(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let flight = &self.flights[at];
        let earlier = self.places.range((flight.id, Incarnation::ZERO, Time::ZERO)..flight.place());
        earlier.map(|(_, place)| *place)
    }

    fn is_sent(&self, message: &Message) -> bool {
        self.sent.contains_key(&name_of(message))
    }

    #[cold]
    fn stuck(&self, at: usize) -> Fault {
        let flight = &self.flights[at];
        let what = flight.hears().map_or_else(
            || format!("{:?} waits for its life before", flight.id),
            |message| {
                let (from, _, seq) = name_of(message);
                let kind = message.body.kind().name();
                format!("{:?} hears a {kind}, number {seq} of {from:?}, which {from:?} does not send", flight.id)
            },
        );
        Fault::Diverged(what)
    }

    // ---- one step

    fn go(&mut self, at: usize) -> Result<(), Fault> {
        self.now = self.now.max(self.flights[at].host());
        if self.flights[at].replica.is_none() { self.open(at) } else { self.step(at) }
    }

    fn observe(&mut self, happening: &Happening<'_>) -> Result<(), Fault> {
        self.checkers.observe(self.now, happening).map_err(Fault::Violated)
    }

    fn open(&mut self, at: usize) -> Result<(), Fault> {
        let (opening, id) = (&self.flights[at].life.opening, self.flights[at].id);
        if self.before(at).next().is_some() {
            self.observe(&Happening::Crashed { on: id })?;
        }
        let mut actions = Vec::new();
        let replica =
            guarded(id, || Replica::open(opening.config.clone(), opening.stored.clone(), opening.at, &mut actions))?;
        let replica = replica.map_err(|error| Fault::Diverged(format!("{id:?} does not open: {error}")))?;
        self.flights[at].replica = Some(replica);
        self.report.lives += 1;
        self.observe(&Happening::Opened { on: id, stored: &opening.stored, actions: &actions })?;
        self.remember(&actions);
        Ok(())
    }

    fn step(&mut self, at: usize) -> Result<(), Fault> {
        if let Some(message) = self.flights[at].hears() {
            self.compare(at, message)?;
        }
        let flight = &mut self.flights[at];
        let (id, event): (ReplicaId, &Event) = (flight.id, &flight.life.events[flight.next]);
        let Some(replica) = &mut flight.replica else { return Ok(()) };
        let mut actions = Vec::new();
        guarded(id, || replica.step_into(event.clone(), &mut actions))?;
        flight.next += 1;
        self.report.events += 1;
        self.observe(&Happening::Stepped { on: id, event, actions: &actions })?;
        self.remember(&actions);
        Ok(())
    }

    /// What arrived is what was sent.
    fn compare(&mut self, at: usize, message: &Message) -> Result<(), Fault> {
        match self.sent.get(&name_of(message)) {
            Some(sent) if sent == message => self.report.matched += 1,
            Some(_) => {
                let (from, _, seq) = name_of(message);
                let (id, kind) = (self.flights[at].id, message.body.kind().name());
                return Err(Fault::Diverged(format!(
                    "{id:?} hears a {kind} as number {seq} of {from:?}, which sends something else there"
                )));
            }
            None => self.report.unmatched += 1,
        }
        Ok(())
    }

    fn remember(&mut self, actions: &[Action]) {
        for action in actions {
            if let Action::Send { message, .. } = action {
                self.sent.insert(name_of(message), message.clone());
            }
        }
    }

    // ---- the end

    fn end(mut self) -> Result<Report, Fault> {
        let mut newest: BTreeMap<ReplicaId, (Snapshot, Hash)> = BTreeMap::new();
        for at in self.places.values() {
            if let Some(replica) = &self.flights[*at].replica {
                newest.insert(self.flights[*at].id, (replica.snapshot(), replica.table_digest()));
            }
        }
        let replicas: Vec<(Snapshot, Hash)> =
            newest.into_values().filter(|(seen, _)| seen.status != StatusName::Halted).collect();
        self.observe(&Happening::Ended { replicas: &replicas, unanswered: &[], settled: false })?;
        self.report.committed = self.checkers.decided();
        self.report.views = u64::try_from(self.checkers.views_started()).unwrap_or(u64::MAX);
        Ok(self.report)
    }
}

fn name_of(message: &Message) -> Name {
    (message.header.from, message.header.incarnation, message.header.seq)
}

/// The core asserts what a driver owes it: a recording that breaks that is none.
fn guarded<T>(id: ReplicaId, act: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Fault::Panicked(format!("{id:?}: {}", text.unwrap_or_else(|| "something that is no text".to_owned())))
    })
}
