//! A path of a search, step by step with nothing merged, and the script of it for a laboratory.
//!
//! Owns the beginning of every search (replicas up, sessions registered, nothing on its way), the way from moves to
//! commands, and the repetition that makes a finding a case: of the script, in the world in which seeds run, before all its
//! checkers. Must not know how states merge. DESIGN 9.13.

use super::judge::Broken;
use super::leave::{Stage, leave};
use super::node::{Done, Event, Node, START};
use super::search::Search;
use super::table::{self, index, name_of};
use super::{Bounds, Judge};
use crate::case::Case;
use crate::client::{Client, Patience};
use crate::lab::Session;
use crate::setup::Setup;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use vr_core::trace::MessageId;
use vr_core::{Config, Kind, Message, Predicted, Reply, Request, RequestNumber, Stored, Wait};

/// A case is called so where a command line names it.
const NAME: &str = "check.vrcase";

/// What a search found, repeated.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the search saw.
    pub seen: Broken,
    /// How many moves led there.
    pub moves: u32,
    /// The path as a script, with what came of it: the property that did not hold in the laboratory, if any did not.
    pub case: Case,
    /// What the laboratory says of it.
    pub message: Option<String>,
}

/// A cluster that goes one way.
pub(super) struct Rehearsal {
    setup: Setup,
    nodes: Vec<Node>,
    configs: Vec<Config>,
    /// What each client calls, once it has a session.
    requests: Vec<Request>,
    called: Vec<bool>,
    /// The first of all messages that say the same to the same.
    hand: BTreeMap<u128, Message>,
    /// Those of it that never arrived, in the order in which they were sent.
    fresh: VecDeque<(usize, Message)>,
    places: Vec<u8>,
    script: Vec<String>,
}

impl Rehearsal {
    pub(super) fn new(bounds: &Bounds) -> Result<Self, String> {
        let setup = bounds.setup()?;
        let configs = (0..setup.replicas).map(|at| setup.config(at)).collect::<Result<Vec<_>, _>>()?;
        let node = |(at, config): (u16, &Config)| {
            let (cluster, digest) = (config.cluster.cluster, config.cluster.digest());
            let stored = Stored::format(cluster, digest, config.me, setup.instance(at));
            Node::new(config.clone(), stored)
        };
        let mut this = Self {
            nodes: (0..).zip(&configs).map(node).collect(),
            requests: Vec::new(),
            called: vec![false; usize::from(bounds.requests)],
            hand: BTreeMap::new(),
            fresh: VecDeque::new(),
            places: (0..).take(configs.len()).collect(),
            script: vec!["hold on".to_owned()],
            configs,
            setup,
        };
        for at in 0..this.nodes.len() {
            // The laboratory starts replicas by itself.
            let _ = this.done(at, Event::Start);
        }
        this.script.truncate(1);
        Ok(this)
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.clone()
    }

    // ---- the beginning

    /// Every client gets a session; then everything comes to rest, and what was sent is lost if it has not arrived.
    pub(super) fn register(&mut self) {
        self.rest();
        for client in 0..self.called.len() {
            let ask = self.registration(client);
            self.script.push(format!("register c{client} r0"));
            let mut replies = self.done(0, Event::Ask(ask)).replies;
            replies.extend(self.rest());
            if let Some(reply) = replies.first() {
                let by = self.configs[0].me;
                let m = MessageId::Answer { client: reply.client, session: reply.session, number: reply.number, by };
                self.script.push(format!("deliver {m} c{client}"));
                self.requests.push(Request {
                    client: reply.client,
                    session: reply.session,
                    number: RequestNumber(1),
                    kind: Kind::Operation,
                    predicted: Predicted::default(),
                    body: Bytes::from(words(client)),
                });
            }
        }
        let _ = self.done(0, Event::Beat);
        self.rest();
        self.hand.clear();
    }

    fn registration(&self, client: usize) -> Request {
        let nothing = Patience { timeout: Wait::ZERO, backoff: Wait::ZERO };
        let number = u32::try_from(client).expect("few clients");
        Client::new(number, self.setup.number("client", 0), self.nodes.len(), nothing, 0).request()
    }

    /// Syncs and messages, until there are no more.
    fn rest(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            if let Some(at) = (0..self.nodes.len()).find(|at| self.nodes[*at].next_write().is_some()) {
                replies.extend(self.done(at, Event::Sync).replies);
            } else if let Some((to, message)) = self.fresh.pop_front() {
                replies.extend(self.done(to, Event::Deliver(message)).replies);
            } else {
                return replies;
            }
        }
    }

    // ---- one thing after the other

    /// Does one thing, and writes down how a laboratory does it.
    fn done(&mut self, at: usize, event: Event) -> Done {
        let node = &self.nodes[at];
        match &event {
            Event::Start => self.script.extend([format!("restart r{at}"), format!("clock r{at} {}us", START.0 / 1000)]),
            Event::Deliver(message) => self.script.push(format!("deliver {} r{at}", MessageId::of(&message.header))),
            Event::Ask(request) => self.script.push(format!("deliver {} r{at}", MessageId::of_request(request))),
            Event::Sync => self.script.extend(node.next_write().map(|write| format!("sync r{at} {write}"))),
            Event::Beat => self.script.push(format!("timer r{at}")),
            Event::Patience => {
                let wait = node.patience_wait().0 / 1_000_000;
                self.script.extend([format!("clock r{at} {wait}ms"), format!("timer r{at}")]);
            }
            Event::Crash => self.script.push(format!("crash r{at}")),
        }
        let done = self.nodes[at].take(event);
        if done.upcalls > 0 {
            self.script.push(format!("step {}", done.upcalls));
        }
        for (to, message) in &done.sent {
            self.hand.entry(name_of(*to, message, &self.places)).or_insert_with(|| message.clone());
            self.fresh.push_back((*to, message.clone()));
        }
        done
    }

    /// A move of a search.
    fn follow(&mut self, search: &Search, (at, event): (usize, u32)) -> Result<(), String> {
        if let table::REQUESTS..table::LEAVE = event {
            let client = index(event - table::REQUESTS);
            let first = !std::mem::replace(&mut self.called[client], true);
            let words = if first {
                format!("request c{client} r{at} {}", words(client))
            } else {
                format!("retry c{client} r{at}")
            };
            self.script.push(words);
        }
        if let table::LEAVE..table::MESSAGES = event {
            leave(self, at, &table::helpers_of(event));
            return Ok(());
        }
        let event = match event {
            table::MESSAGES.. => {
                let name = search.table().letters[index(event - table::MESSAGES)].names[0];
                let known = self.hand.get(&name).cloned();
                Event::Deliver(known.ok_or("a merged path delivers a message that its own steps did not send")?)
            }
            _ => search.table().event(event),
        };
        let _ = self.done(at, event);
        Ok(())
    }

    /// The commands, with a copy kept of what arrives again later.
    fn commands(self) -> Vec<String> {
        let mut commands = Vec::new();
        for (at, line) in self.script.iter().enumerate() {
            let again = line.starts_with("deliver r") && self.script[at + 1..].contains(line);
            if again {
                commands.push(line.replacen("deliver", "duplicate", 1));
            }
            commands.push(line.clone());
        }
        commands
    }
}

impl Stage for Rehearsal {
    fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    fn act(&mut self, at: usize, event: Event) -> Vec<(usize, Message)> {
        self.done(at, event).sent
    }
}

fn words(client: usize) -> String {
    format!("put x {}", client + 1)
}

/// Repeats what a search found, in a laboratory; `None` when it found nothing.
///
/// # Errors
/// When the path cannot be gone again, in one line: then states were merged that differ.
pub fn repeated(search: &Search) -> Result<Option<Found>, String> {
    let Some((broken, moves)) = search.broken() else { return Ok(None) };
    let mut rehearsal = Rehearsal::new(search.bounds())?;
    rehearsal.register();
    for step in moves {
        rehearsal.follow(search, *step)?;
    }
    let mut case = Case::new(rehearsal.setup.seed, rehearsal.setup.clone(), Vec::new(), 0);
    case.by_hand = true;
    let mut session = Session::of_case(&case, NAME, None)?;
    for command in rehearsal.commands() {
        if session.failure().is_some() {
            break;
        }
        session.run(&command.parse()?)?;
    }
    let message = session.panicked().map(str::to_owned);
    let message = message.or_else(|| session.world().violation().map(|violation| violation.message.clone()));
    let moves = table::small(moves.len());
    Ok(Some(Found { seen: broken.clone(), moves, case: session.case(), message }))
}

impl Judge {
    /// Its word on a command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Harm => "harm",
        }
    }
}
