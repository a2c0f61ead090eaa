//! Flight recordings of production nodes, repeated by the same core and judged by the same checkers.
//!
//! Owns the repetition, the order of what several nodes recorded, and the comparison of what arrived with what was
//! sent. Must not know files. DESIGN §5, §9.17; PROTOCOL §4.
//!
//! Every life is opened and stepped again by the core of this build, so that its actions need not be recorded. The lives
//! of a cluster are put into one order: by the host's clock, but no message before it was sent and no life before the
//! one it follows has ended. When all that all members ever did is there, everything goes through [`Checkers`]: all
//! safety properties that need no service. When the beginning of a recording was given up, or not everybody's is there, it
//! goes through [`Fragments`], which judge what of them can be judged then and say nothing about the rest.
//! What clients saw is judged by [`crate::history`].
//!
//! A recording is not believed blindly: a message that arrived from a recorded life must be one that the repetition of
//! that life sent, to the last bit, and a state in the middle of a life must be the one that the events before it lead to, so
//! that a recording with a gap, or of another core, is found out.

mod join;

use self::join::{Origin, Place, Track};
use crate::check::{Checkers, Fragments, Happening, Seen, Setting, Severity, Violation};
use crate::tape::Tape;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use vr_core::recording::{Life, Recording};
use vr_core::trace::Step;
use vr_core::{
    Action, Body, CheckpointPart, ClusterConfig, Event, Hash, Incarnation, Input, Message, Op, Replica, ReplicaId, Seq,
    Snapshot, StatusName, Time,
};

/// What was judged, when everything held.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Lives repeated; one of which a part in the middle is missing counts once for each part.
    pub lives: u64,
    /// Events stepped.
    pub events: u64,
    /// Messages that arrived from a recorded life, each as it was sent there.
    pub matched: u64,
    /// Messages that arrived from lives, or parts of lives, of which there is no recording.
    pub unmatched: u64,
    /// States in the middle of a life that its events led to, bit for bit.
    pub states: u64,
    /// Events that are known to have happened before, between or after those that are here.
    pub given_up: u64,
    /// The last op committed.
    pub committed: Op,
    /// How many views started.
    pub views: u64,
    /// Why not everything that must hold of a cluster was judged; `None` when it was. Then it was [`Fragments::JUDGED`].
    pub partial: Option<String>,
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
    track: Track<'a>,
    id: ReplicaId,
    replica: Option<Replica>,
    next: usize,
}

impl<'a> Flight<'a> {
    fn of(track: Track<'a>) -> Self {
        Self { id: track.origin.config().me, track, replica: None, next: 0 }
    }

    fn is_over(&self) -> bool {
        self.replica.is_some() && self.next == self.track.events.len()
    }

    /// When its next thing happened, on the host's clock.
    fn host(&self) -> Time {
        let (at, host) = self.track.origin.clocks();
        let next = self.track.events.get(self.next);
        let own = match (&self.replica, next, self.track.origin) {
            (Some(_), Some(event), _) | (None, Some(event), Origin::Midway(_)) => event.at,
            (Some(_) | None, _, _) => at,
        };
        host.after(own.since(at))
    }

    /// The message it hears next, if it is one.
    fn hears(&self) -> Option<&'a Message> {
        self.replica.as_ref()?;
        match &self.track.events.get(self.next)?.input {
            Input::Message(message) => Some(message),
            Input::Tick
            | Input::Request(_)
            | Input::Persisted(_)
            | Input::WriteFailed
            | Input::Executed { .. }
            | Input::Requests(_)
            | Input::ExecutedRun { .. }
            | Input::Space(_)
            | Input::Query(_)
            | Input::QueryHere(_)
            | Input::QueryLate(_)
            | Input::Stop
            | Input::HandOver { .. }
            | Input::CheckpointTaken { .. }
            | Input::CheckpointBegun { .. }
            | Input::CheckpointGiven(_)
            | Input::Restored { .. } => None,
        }
    }
}

/// Who said it, in which life, as which of its messages.
type Name = (ReplicaId, Incarnation, Seq);

enum By {
    /// All that all ever did is here.
    Whole(Box<Checkers>),
    Parts(Box<Fragments>),
}

struct Judge<'a> {
    flights: Vec<Flight<'a>>,
    /// Per replica its lives, in order. One that ended before its incarnation was durable had said nothing, and the next
    /// one has the same.
    places: BTreeMap<Place, usize>,
    sent: BTreeMap<Name, Message>,
    by: By,
    now: Time,
    report: Report,
    tape: Option<&'a mut Tape>,
}

/// Repeats these lives of one cluster, in any order, and judges them.
///
/// # Errors
/// The first thing that is wrong.
pub fn judge(lives: &[Life]) -> Result<Report, Fault> {
    judge_all(&[Recording { lives: lives.to_vec(), ..Recording::default() }], None)
}

/// How many ids there are behind those of the first members, up to the last one that recorded something.
fn newcomers(cluster: &ClusterConfig, tracks: &[Track<'_>]) -> u16 {
    let after = |id: ReplicaId| id.0.saturating_add(1);
    let first = cluster.members.iter().copied().map(after).max().unwrap_or(0);
    let last = tracks.iter().map(|track| after(track.origin.config().me)).max().unwrap_or(0);
    last.saturating_sub(first)
}

/// Repeats these recordings of one cluster, of as many nodes, lives and parts of lives as there are, in any order, and
/// judges what they allow. What an observer would have seen goes onto the tape, the violation too.
///
/// # Errors
/// The first thing that is wrong.
pub fn judge_all<'a>(recordings: &'a [Recording], tape: Option<&'a mut Tape>) -> Result<Report, Fault> {
    let tracks = join::join(recordings)?;
    let Some(first) = tracks.first() else { return Err(Fault::Empty) };
    let cluster = &first.origin.config().cluster;
    if let Some(other) = tracks.iter().find(|track| track.origin.config().cluster != *cluster) {
        return Err(Fault::Mixed(format!("{:?} has another configuration", other.origin.config().me)));
    }
    let partial = join::is_whole(&tracks, cluster).err();
    let by = match &partial {
        None => {
            let setting = Setting { cluster: cluster.clone(), spares: newcomers(cluster, &tracks) };
            By::Whole(Box::new(Checkers::new(&setting, None).without_one_clock()))
        }
        Some(_) => By::Parts(Box::new(Fragments::new(cluster))),
    };
    let places = tracks.iter().enumerate().map(|(at, track)| (track.place(), at)).collect();
    let given_up = join::given_up(&tracks);
    let mut judge = Judge {
        flights: tracks.into_iter().map(Flight::of).collect(),
        places,
        sent: BTreeMap::new(),
        by,
        now: Time::ZERO,
        report: Report { given_up, partial, ..Report::default() },
        tape,
    };
    if let Some(tape) = &mut judge.tape {
        tape.begin_recorded(&cluster.members, None);
    }
    let verdict = judge.run();
    if let (Some(tape), now) = (&mut judge.tape, judge.now) {
        if let Err(Fault::Violated(violation)) = &verdict {
            tape.violated(now, violation);
        }
        tape.end(now, matches!(verdict, Err(Fault::Panicked(_))));
    }
    verdict.map(|()| judge.report)
}

impl Judge<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        while let Some(at) = self.next()? {
            self.go(at)?;
        }
        self.end()
    }

    // ---- one order

    /// Whose turn it is: of those that can go on, the earliest by the host's clock. Where all wait, one that waits for a
    /// message from a life that is not all here waits in vain.
    fn next(&self) -> Result<Option<usize>, Fault> {
        let open = || (0..self.flights.len()).filter(|at| !self.flights[*at].is_over());
        let earliest = |at: &usize| (self.flights[*at].host(), *at);
        let ready = open().filter(|at| self.is_ready(*at)).min_by_key(earliest);
        let waits_in_vain = |at: &usize| {
            let message = self.flights[*at].hears();
            message.is_some_and(|message| self.lives_of(message).any(|life| self.is_partial(life)))
        };
        let next = ready.or_else(|| open().filter(waits_in_vain).min_by_key(earliest));
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
        let may_come = |message: &Message| {
            let has_said = matches!(self.by, By::Whole(_)) || self.has_said(message);
            let all_is_here = |life| has_said && !self.is_partial(life);
            self.lives_of(message).any(|life| !self.flights[life].is_over() || all_is_here(life))
        };
        flight.hears().is_none_or(|message| self.is_sent(message) || !may_come(message))
    }

    /// Is the life that this is from one that said anything? If not, another one, of which nothing is here, has its number.
    fn has_said(&self, message: &Message) -> bool {
        let (id, incarnation) = (message.header.from, message.header.incarnation);
        let first = self.sent.range((id, incarnation, Seq::ZERO)..).next();
        first.is_some_and(|((from, of, _), _)| (*from, *of) == (id, incarnation))
    }

    fn is_partial(&self, at: usize) -> bool {
        let track = &self.flights[at].track;
        track.is_cut || matches!(track.origin, Origin::Midway(_))
    }

    /// The recorded life, or parts of a life, that a message says it comes from.
    fn lives_of(&self, message: &Message) -> impl Iterator<Item = usize> + '_ {
        let (id, incarnation) = (message.header.from, message.header.incarnation);
        let from = self.places.range((id, incarnation, Time::ZERO, 0)..);
        from.take_while(move |(place, _)| (place.0, place.1) == (id, incarnation)).map(|(_, at)| *at)
    }

    /// The lives before this one.
    fn before(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let flight = &self.flights[at];
        let earlier = self.places.range((flight.id, Incarnation::ZERO, Time::ZERO, 0)..flight.track.place());
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
        if self.flights[at].replica.is_none() {
            self.open(at)?;
        } else {
            self.step(at)?;
        }
        self.compare_state(at)
    }

    /// Where a file begins, the replica is what the file says.
    fn compare_state(&mut self, at: usize) -> Result<(), Fault> {
        let Flight { track, id, replica, next } = &self.flights[at];
        let Some(replica) = replica else { return Ok(()) };
        for (_, midway) in track.states.iter().filter(|(offset, _)| offset == next) {
            if replica.image() != midway.image {
                let event = midway.events;
                return Err(Fault::Diverged(format!(
                    "{id:?} is not in the state that was recorded after event {event}"
                )));
            }
            self.report.states += 1;
        }
        Ok(())
    }

    fn open(&mut self, at: usize) -> Result<(), Fault> {
        let (origin, id) = (self.flights[at].track.origin, self.flights[at].id);
        self.report.lives += 1;
        let opening = match origin {
            Origin::Opening(opening) => opening,
            Origin::Midway(midway) => {
                let replica = guarded(id, || Replica::of_midway(midway))?;
                let replica = replica.map_err(|error| Fault::Diverged(format!("{id:?} does not go on: {error}")))?;
                let seen = replica.snapshot();
                self.flights[at].replica = Some(replica);
                if let Some(tape) = &mut self.tape {
                    tape.resumed(self.now, &seen);
                }
                return match &mut self.by {
                    By::Whole(_) => Ok(()),
                    By::Parts(parts) => parts.resumed(id, &seen).map_err(Fault::Violated),
                };
            }
        };
        if self.before(at).next().is_some() {
            self.observe(&Happening::Crashed { on: id })?;
        }
        let mut actions = Vec::new();
        let replica =
            guarded(id, || Replica::open(opening.config.clone(), opening.stored.clone(), opening.at, &mut actions))?;
        let replica = replica.map_err(|error| Fault::Diverged(format!("{id:?} does not open: {error}")))?;
        let after = replica.snapshot();
        self.flights[at].replica = Some(replica);
        if let Some(tape) = &mut self.tape {
            tape.opened(self.now, &actions, &after);
        }
        let stored = &opening.stored;
        match &mut self.by {
            By::Whole(_) => self.observe(&Happening::Opened { on: id, stored, actions: &actions })?,
            By::Parts(parts) => parts.opened(id, stored, &after, &actions).map_err(Fault::Violated)?,
        }
        self.remember(&actions);
        Ok(())
    }

    /// What the checkers of whole runs are told.
    fn observe(&mut self, happening: &Happening<'_>) -> Result<(), Fault> {
        if let Some(tape) = &mut self.tape {
            tape.happened(self.now, happening);
        }
        match &mut self.by {
            By::Whole(checkers) => checkers.observe(self.now, happening).map_err(Fault::Violated),
            By::Parts(_) => Ok(()),
        }
    }

    fn step(&mut self, at: usize) -> Result<(), Fault> {
        if let Some(message) = self.flights[at].hears() {
            self.compare(at, message)?;
        }
        let flight = &mut self.flights[at];
        let (id, event): (ReplicaId, &Event) = (flight.id, flight.track.events[flight.next]);
        let Some(replica) = &mut flight.replica else { return Ok(()) };
        let (mut actions, before) = (Vec::new(), replica.snapshot());
        guarded(id, || replica.step_into(event.clone(), &mut actions))?;
        let after = replica.snapshot();
        flight.next += 1;
        self.report.events += 1;
        if let Some(tape) = &mut self.tape {
            tape.step(self.now, &Step { before: &before, event, actions: &actions, after: &after });
        }
        let actions = &actions[..];
        match &mut self.by {
            By::Whole(_) => self.observe(&Happening::Stepped { on: id, event, actions })?,
            By::Parts(parts) => {
                parts.stepped(id, &Seen { event, actions, before: &before, after: &after }).map_err(Fault::Violated)?;
            }
        }
        self.remember(actions);
        Ok(())
    }

    /// What arrived is what was sent.
    fn compare(&mut self, at: usize, message: &Message) -> Result<(), Fault> {
        match self.sent.get(&name_of(message)) {
            Some(sent) if is_as_sent(sent, message) => self.report.matched += 1,
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

    fn end(&mut self) -> Result<(), Fault> {
        let mut newest: BTreeMap<ReplicaId, (Snapshot, Hash)> = BTreeMap::new();
        for at in self.places.values() {
            if let Some(replica) = &self.flights[*at].replica {
                newest.insert(self.flights[*at].id, (replica.snapshot(), replica.table_digest()));
            }
        }
        let replicas: Vec<(Snapshot, Hash)> =
            newest.into_values().filter(|(seen, _)| seen.status != StatusName::Halted).collect();
        self.observe(&Happening::Ended { replicas: &replicas, unanswered: &[], settled: false })?;
        let (committed, views) = match &self.by {
            By::Whole(checkers) => (checkers.decided(), checkers.views_started()),
            By::Parts(parts) => (parts.committed(), parts.views_started()),
        };
        (self.report.committed, self.report.views) = (committed, count(views));
        Ok(())
    }
}

/// A count of things in memory.
fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}

/// To the last bit, but for the bytes of a checkpoint's part: what of them is the service's state is in no recording. Whoever
/// puts the parts together compares their digest.
fn is_as_sent(sent: &Message, heard: &Message) -> bool {
    let (Body::CheckpointPart(there), Body::CheckpointPart(here)) = (&sent.body, &heard.body) else {
        return sent == heard;
    };
    let as_here = CheckpointPart { bytes: here.bytes.clone(), ..CheckpointPart::clone(there) };
    there.bytes.len() == here.bytes.len() && as_here == **here && sent.header == heard.header
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
