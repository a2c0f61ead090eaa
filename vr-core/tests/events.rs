//! Any order of events: no panic, no disagreement, no promise broken; and once the faults end, the group goes on.
//!
//! Owns the moves that proptest strings together. What must hold at each step is judged by the watch of the scripted
//! driver. The cases are the same in every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` give others.

#[path = "support/forgery.rs"]
mod forgery;
#[path = "support/scripted.rs"]
mod scripted;

use forgery::Lie;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::test_runner::{RngSeed, TestRunner};
use scripted::{Packet, Scripted, request};
use std::cell::RefCell;
use std::collections::BTreeMap;
use vr_core::{Batching, Durability, Input, Op, Replica, ReplicaId, Request, RequestNumber, Session, StatusName, Wait};

/// What can happen next. Numbers choose among what there is, mostly among the oldest.
#[derive(Clone, Debug)]
enum Move {
    Deliver(u8),
    DeliverAndKeep(u8),
    Lose(u8),
    /// The oldest write at a replica is durable.
    Write(u8),
    /// The service of a replica answers its oldest upcall.
    Answer(u8),
    /// A replica's clock reaches its next deadline, and so many milliseconds more.
    Tick(u8, u16),
    /// A replica's clock runs until it wants another view, or for long.
    LosePatience(u8),
    /// A replica, mostly the primary, is cut off: whatever is sent to it or by it from now on is lost.
    Cut(u8),
    /// All links are whole again.
    Mend,
    /// Everything under way is done and delivered.
    Settle,
    /// A client asks a replica.
    Ask(u8, u8, Ask),
    /// A replica loses its memory; of its oldest write so many entries are on disk.
    Crash(u8, u8),
    Restart(u8),
    /// An operator asks a replica, mostly the primary, to give way.
    GiveWay(u8, u8),
    /// A message that was sent once comes again, with lies in it.
    Forge(u8, u8, Lie),
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    Next,
    Again,
    Old,
    UnknownSession,
    Malformed,
    TooLarge,
}

impl Move {
    /// What a drawn number stands for. Drawing structured values costs more than playing them.
    fn of(drawn: u64) -> Self {
        let [kind, a, b, c, ..] = drawn.to_le_bytes();
        match kind {
            0..92 => Self::Deliver(a),
            92..100 => Self::DeliverAndKeep(a),
            100..106 => Self::Lose(a),
            106..160 => Self::Write(a),
            160..183 => Self::Answer(a),
            183..198 => Self::Tick(a, u16::from(b)),
            198..208 => Self::LosePatience(a),
            208..212 => Self::Cut(a),
            212..216 => Self::Mend,
            216..222 => Self::Settle,
            222..245 => Self::Ask(a, b, Ask::of(c)),
            245..249 => Self::Crash(a, b),
            249..254 => Self::Restart(a),
            254.. => Self::GiveWay(a, b),
        }
    }

    /// Every fourth a lie.
    fn or_lie(drawn: u64) -> Self {
        let [_, which, to, field, value, choice, ..] = drawn.to_le_bytes();
        if choice < 64 { Self::Forge(which, to, Lie { field, value }) } else { Self::of(drawn) }
    }
}

impl Ask {
    fn of(drawn: u8) -> Self {
        match drawn {
            0..140 => Self::Next,
            140..190 => Self::Again,
            190..210 => Self::Old,
            210..225 => Self::UnknownSession,
            225..240 => Self::Malformed,
            240.. => Self::TooLarge,
        }
    }
}

fn moves(of: fn(u64) -> Move) -> impl Strategy<Value = Vec<Move>> {
    vec(any::<u64>(), 0..400).prop_map(move |drawn| drawn.into_iter().map(of).collect())
}

#[derive(Clone, Copy, Default)]
struct Client {
    session: Session,
    /// Of the request it waits for, or had answered last.
    number: RequestNumber,
    waits: bool,
}

/// A cluster to which anything may happen.
struct World {
    group: Scripted,
    clients: [Client; 3],
    /// What was sent, for forgers.
    overheard: Vec<Packet>,
}

fn pick(choice: u8, among: usize) -> usize {
    usize::from(choice) % among
}

/// Mostly the first ones.
fn oldest(choice: u8, among: usize) -> usize {
    (usize::from(choice) * usize::from(choice) * among) >> 16
}

impl World {
    fn new(members: u16, durability: Durability) -> Self {
        let group = Scripted::new(members, |config| {
            config.cluster.durability = durability;
            config.cluster.client_capacity = 2;
            config.cluster.checkpoint_interval = 4;
            config.cluster.max_request_bytes = 16;
            config.cluster.max_message_bytes = vr_core::MESSAGE_OVERHEAD_BYTES + 300;
            config.batching = Batching { pipeline: 2, batch_entries: 3, queue_entries: 3 };
        });
        Self { group, clients: [Client::default(); 3], overheard: Vec::new() }
    }

    fn members(&self) -> usize {
        self.group.nodes.len()
    }

    fn play(&mut self, moves: &[Move]) {
        for next in moves {
            let sent = self.group.wire.len();
            self.one(next);
            let news = self.group.wire.iter().skip(sent.saturating_sub(1)).cloned();
            self.overheard.extend(news);
            self.hear_replies();
        }
    }

    fn one(&mut self, next: &Move) {
        let (members, waiting) = (self.members(), self.group.wire.len());
        match *next {
            Move::Deliver(choice) => {
                if let Some(packet) = self.group.wire.remove(oldest(choice, waiting)) {
                    self.group.deliver(packet);
                }
            }
            Move::DeliverAndKeep(choice) => {
                if let Some(packet) = self.group.wire.get(oldest(choice, waiting)).cloned() {
                    self.group.deliver(packet);
                }
            }
            Move::Lose(choice) => drop(self.group.wire.remove(oldest(choice, waiting))),
            Move::Write(at) => self.group.write_one(pick(at, members)),
            Move::Answer(at) => self.group.answer_one(pick(at, members)),
            Move::Tick(at, late) => self.tick(pick(at, members), late),
            Move::LosePatience(at) => {
                let content = |world: &Self| world.group.nodes[pick(at, members)].snapshot();
                for _ in 0..40 {
                    if content(self).is_some_and(|now| !now.wants_view_change) {
                        self.tick(pick(at, members), 0);
                    }
                }
            }
            Move::Cut(at) => {
                let primary = self.group.find_primary().filter(|_| at < 160);
                self.group.isolate(primary.unwrap_or(pick(at, members)));
            }
            Move::Mend => self.group.heal(),
            Move::Settle => self.group.settle(),
            Move::Ask(client, at, ask) => {
                let request = self.request(pick(client, 3), ask);
                // Half of the requests find their way to a primary.
                let primary = self.group.find_primary().filter(|_| at < 128);
                self.group.step(primary.unwrap_or(pick(at, members)), Input::Request(request));
            }
            Move::Crash(at, torn) => {
                let at = pick(at, members);
                if self.group.nodes[at].replica.is_some() && self.may_crash(at) {
                    self.group.crash_torn(at, usize::from(torn % 4));
                }
            }
            Move::Restart(at) => {
                if self.group.nodes[pick(at, members)].replica.is_none() {
                    self.group.restart(pick(at, members));
                }
            }
            Move::GiveWay(at, to) => {
                let primary = self.group.find_primary().filter(|_| at < 192);
                let to = Some(ReplicaId(u16::from(to % 8))).filter(|_| to < 128);
                self.group.step(primary.unwrap_or(pick(at, members)), Input::HandOver { to });
            }
            Move::Forge(which, to, lie) => {
                if !self.overheard.is_empty() {
                    let mut packet = self.overheard[pick(which, self.overheard.len())].clone();
                    lie.tell(&mut packet.message);
                    packet.to = pick(to, members);
                    self.group.deliver(packet);
                }
            }
        }
    }

    fn tick(&mut self, at: usize, late: u16) {
        let node = &mut self.group.nodes[at];
        if let Some(due) = node.replica.as_ref().and_then(Replica::next_deadline) {
            node.clock = node.clock.max(due).after(Wait::millis(u64::from(late)));
            self.group.step(at, Input::Tick);
        }
    }

    /// Any number of crashes in the synchronous mode; in the other at most f are down or recovering at a time.
    fn may_crash(&self, at: usize) -> bool {
        let cluster = &self.group.nodes[at].config.cluster;
        let away = |node: &&scripted::Node| node.replica.is_none() || node.is(StatusName::Recovering);
        let others = self.group.nodes.iter().enumerate().filter(|(other, _)| *other != at);
        let away = others.filter(|(_, node)| away(node)).count();
        cluster.durability == Durability::Sync || away < vr_core::faults_tolerated(self.members())
    }

    fn request(&mut self, of: usize, ask: Ask) -> Request {
        let client = &mut self.clients[of];
        let name = u64::try_from(of).expect("three") + 1;
        if let (Ask::Next, false, true) = (ask, client.waits, client.session > Session::ZERO) {
            client.number = client.number.next();
            client.waits = true;
        }
        let Client { session, number, .. } = *client;
        let body = ["", "a", "b", "c"][of + 1];
        let known = request(name, session, number.0, if number.0 == 0 { "" } else { body });
        match ask {
            Ask::Next | Ask::Again => known,
            Ask::Old => request(name, session, number.0.saturating_sub(1).max(1), body),
            Ask::UnknownSession => request(name, Session(77), 1, body),
            Ask::Malformed => Request { kind: vr_core::Kind::Register, ..request(name, session, 3, body) },
            Ask::TooLarge => request(name, session, number.0.max(1), "more than sixteen bytes"),
        }
    }

    /// Clients hear their answers, and that their session is gone.
    fn hear_replies(&mut self) {
        let slot = |client: vr_core::ClientId| usize::try_from(client.0).ok()?.checked_sub(1).filter(|of| *of < 3);
        for reply in self.group.replies.drain(..) {
            let Some(client) = slot(reply.client).map(|of| &mut self.clients[of]) else { continue };
            if reply.number == RequestNumber::ZERO && client.session == Session::ZERO {
                *client = Client { session: reply.session, ..Client::default() };
            } else if (reply.session, reply.number) == (client.session, client.number) {
                client.waits = false;
            }
        }
        for rejection in self.group.rejections.drain(..) {
            let Some(client) = slot(rejection.client).map(|of| &mut self.clients[of]) else { continue };
            if rejection.reason == vr_core::Reject::Evicted && rejection.session == client.session {
                *client = Client::default();
            }
        }
    }

    /// The faults end: everybody runs, every message arrives, disks and services answer. A new client is served, and
    /// all replicas come to the same.
    fn heals(&mut self) {
        let latest = self.group.nodes.iter().map(|node| node.clock).max().expect("somebody");
        self.group.now = self.group.now.max(latest);
        self.group.heal();
        for at in 0..self.members() {
            if self.group.nodes[at].replica.is_none() {
                self.group.restart(at);
            }
        }
        self.group.settle();
        let end = self.group.now.after(Wait::millis(120_000));
        let (mut session, mut served) = (Session::ZERO, None);
        while served.is_none() {
            assert!(self.group.now < end, "two minutes without a fault, and nobody serves");
            if let Some(primary) = self.group.find_primary() {
                let number = u64::from(session > Session::ZERO);
                self.group.ask(primary, request(9, session, number, if number == 0 { "" } else { "z" }));
            }
            for reply in self.group.replies.drain(..).filter(|reply| reply.client.0 == 9) {
                session = reply.session;
                served = Some(reply.op).filter(|_| reply.number == RequestNumber(1));
            }
            self.group.pass(Wait::millis(20));
        }
        self.group.pass(Wait::millis(1_000));
        self.agree(served.expect("it was served"));
    }

    fn agree(&self, served: Op) {
        let seen = |at: usize| {
            let node = &self.group.nodes[at];
            let now = self.group.snapshot(at);
            let table = node.replica.as_ref().map(Replica::table_digest);
            (now.view, now.op, now.commit, now.executed, table, node.text.clone())
        };
        assert!(seen(0).3 >= served && seen(0).5.contains('z'));
        assert!((1..self.members()).all(|at| seen(at) == seen(0)), "after a second without faults all are the same");
    }
}

// ---- many worlds

/// What a whole test came across, by the name of the note: a green run in which nothing happened proves nothing.
#[derive(Default)]
struct Marks(RefCell<BTreeMap<String, u64>>);

impl Marks {
    fn gather(&self, group: &Scripted) {
        for note in (0..group.nodes.len()).flat_map(|at| group.notes_since(0, at)) {
            let written = format!("{note:?}");
            let name = written.split(' ').next().unwrap_or_default().to_owned();
            *self.0.borrow_mut().entry(name).or_default() += 1;
        }
    }

    fn must_hold(&self, names: &str) {
        let seen = self.0.borrow();
        println!("{seen:?}");
        let missing: Vec<&str> = names.split_whitespace().filter(|name| !seen.contains_key(*name)).collect();
        assert!(missing.is_empty(), "nothing of the kind ever happened: {missing:?}");
    }
}

const SEEN: &str = "Committed WantsViewChange EnteredView ChoseLog BecamePrimary BecameBackup Abdicated AskedForState \
                    TookState Truncated Retransmitted Reacknowledged Registered Evicted DuplicateRequest \
                    SkippedDuplicate TableAt";

/// Runs cases: the same ones each time, unless the environment wants others.
fn cases<S: Strategy>(strategy: &S, case: impl Fn(S::Value)) {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 500;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(7);
    }
    let outcome = TestRunner::new(config).run(strategy, |value| {
        case(value);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn any_size(least: u16) -> impl Strategy<Value = u16> {
    prop_oneof![6 => Just(3), 3 => Just(5), 1 => Just(4), 1 => Just(2), 1 => Just(least)]
}

#[test]
fn whatever_happens_a_group_agrees_and_goes_on() {
    let marks = Marks::default();
    cases(&(any_size(1), moves(Move::of)), |(members, moves)| {
        let mut world = World::new(members, Durability::Sync);
        world.play(&moves);
        world.heals();
        marks.gather(&world.group);
    });
    marks.must_hold(SEEN);
}

#[test]
fn in_memory_too_as_long_as_few_are_away() {
    let marks = Marks::default();
    cases(&(any_size(2), moves(Move::of)), |(members, moves)| {
        let mut world = World::new(members, Durability::Async);
        world.play(&moves);
        world.heals();
        marks.gather(&world.group);
    });
    marks.must_hold(SEEN);
    marks.must_hold("Recovering Recovered");
}

#[test]
fn no_lie_makes_a_replica_panic_or_break_a_promise_of_its_own() {
    let marks = Marks::default();
    cases(&(any_size(2), any::<bool>(), moves(Move::or_lie)), |(members, in_memory, moves)| {
        let mut world = World::new(members, if in_memory { Durability::Async } else { Durability::Sync });
        world.group.watch.trusting = false;
        world.play(&moves);
        marks.gather(&world.group);
    });
    marks.must_hold("Committed EnteredView BecamePrimary BecameBackup Truncated TookState Recovered Ignored");
}
