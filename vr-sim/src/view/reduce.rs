//! The state of every node after so many events of a trace, exactly as the page computes it.
//!
//! Owns what an event changes, and the hash by which both are compared. `vr-sim/view/reduce.js` does the same, and a
//! test compares them. Must not know who shows it. VIEW decision 1, §3.4.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write};
use vr_core::trace::{
    Acknowledged, Invoked, MessageId, Node, Partitioned, Recipient, Remark, Restarted, Returned, Sent, Settled, State,
    Status, TraceEvent, What,
};

/// Messages on their way that are remembered.
const FLYING_MAX: usize = 4096;

/// What an observer can say of a node's news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// It is heard.
    Up,
    /// It said nothing for a while.
    Silent,
    /// It cannot be reached.
    Down,
}

impl Link {
    /// Its word, as the page spells it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Silent => "silent",
            Self::Down => "down",
        }
    }
}

/// A member, as far as the events tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Who.
    pub node: Node,
    /// Does it run?
    pub up: bool,
    /// Events of it are missing: its state is not known until the next snapshot.
    pub unknown: bool,
    /// Is it heard?
    pub link: Link,
    /// Its fields.
    pub state: State,
    /// The last message it sent.
    pub latest: Option<u64>,
    /// Through which op who acknowledged its log, in its view.
    pub acks: BTreeMap<Node, u64>,
    /// When it was last heard of, in nanoseconds.
    pub heard: Option<u64>,
}

impl Member {
    pub(super) fn new(node: Node) -> Self {
        Self {
            node,
            up: false,
            unknown: false,
            link: Link::Up,
            state: State::default(),
            latest: None,
            acks: BTreeMap::new(),
            heard: None,
        }
    }

    /// Is it the primary of its view, and takes part?
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.up && self.state.status == Some(Status::Normal) && self.state.primary == Some(self.node)
    }
}

/// A client and its last call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Which of its requests.
    pub req: Option<u64>,
    /// How it ended; nothing while it waits.
    pub settled: Option<Settled>,
}

/// Copies of one message on their way to one node.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Flight {
    copies: i64,
    /// When it was put there: the oldest is forgotten first.
    turn: u64,
}

/// A cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// Its members, in their order.
    pub members: Vec<Member>,
    /// Everything through here is committed, as far as any event says.
    pub commit: u64,
    /// Who calls.
    pub clients: BTreeMap<Node, Caller>,
    /// Links that are cut, by the number of the cut.
    pub cuts: BTreeMap<u64, Vec<(Node, Node)>>,
    /// How many promises were broken.
    pub violations: u64,
    /// The moment of the last event, in nanoseconds.
    pub now: u64,
    flying: BTreeMap<(MessageId, Node), Flight>,
    by_turn: BTreeMap<u64, (MessageId, Node)>,
    turn: u64,
}

impl Cluster {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(members: &[Node]) -> Self {
        Self {
            members: members.iter().copied().map(Member::new).collect(),
            commit: 0,
            clients: BTreeMap::new(),
            cuts: BTreeMap::new(),
            violations: 0,
            now: 0,
            flying: BTreeMap::new(),
            by_turn: BTreeMap::new(),
            turn: 0,
        }
    }

    /// After all of these; `None` when they name no members.
    #[must_use]
    pub fn after(events: &[TraceEvent]) -> Option<Self> {
        let mut cluster = Self::new(&members_of(events)?);
        events.iter().for_each(|event| cluster.apply(event));
        Some(cluster)
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, node: Node) -> Option<&Member> {
        self.members.iter().find(|member| member.node == node)
    }

    /// The primary of the newest view that has one.
    #[must_use]
    pub fn primary(&self) -> Option<&Member> {
        self.members.iter().filter(|member| member.is_primary()).max_by_key(|member| member.state.view)
    }

    fn at(&mut self, node: Option<Node>) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| Some(member.node) == node)
    }

    /// One more event.
    pub fn apply(&mut self, event: &TraceEvent) {
        self.now = event.t;
        let is_silence = matches!(&event.what, What::Note(note) if is_silence(note));
        if let Some(member) = self.at(event.n) {
            member.heard = Some(event.t);
            if !is_silence {
                member.link = Link::Up;
            }
        }
        self.change(event);
    }

    fn change(&mut self, event: &TraceEvent) {
        match &event.what {
            What::Snap(snap) => self.on(event, |member| member.is(&snap.state)),
            What::Set(change) => {
                self.on(event, |member| member.becomes(change));
                if self.at(event.n).is_some() {
                    self.commit = self.commit.max(change.commit.unwrap_or(0));
                }
            }
            What::Acknowledged(ack) => self.on(event, |member| member.acknowledged(ack)),
            What::Crashed(_) => self.on(event, Member::crashed),
            What::Restarted(start) => self.on(event, |member| member.restarted(start)),
            What::Gap(_) => self.on(event, |member| member.unknown = true),
            What::Note(note) => self.on(event, |member| member.noted(note)),
            What::Sent(sent) => self.sent(event, sent),
            What::Received(received) => self.fly(received.m, event.n, -1),
            What::Dropped(dropped) => self.fly(dropped.m, dropped.to, -1),
            What::Duplicated(double) => self.fly(double.m, double.to, 1),
            What::Committed(commit) => self.commit = self.commit.max(commit.op),
            What::Partitioned(cut) => self.cut(cut),
            What::Healed(heal) => match heal.id {
                Some(id) => drop(self.cuts.remove(&id)),
                None => self.cuts.clear(),
            },
            What::Invoked(call) => self.called(call),
            What::Returned(end) => self.returned(end),
            What::Violated(_) => self.violations += 1,
            What::Meta(_)
            | What::Delayed(_)
            | What::Corrupted(_)
            | What::Timer(_)
            | What::Log(_)
            | What::Executed(_)
            | What::Disk(_)
            | What::Checkpointed(_)
            | What::Synced(_)
            | What::Reconfigured(_)
            | What::Aggregated(_)
            | What::Do(_)
            | What::Ended(_)
            | What::Unknown => {}
            // A kind that a newer core writes changes nothing that this reducer knows.
            _ => {}
        }
    }

    fn on(&mut self, event: &TraceEvent, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.at(event.n) {
            change(member);
        }
    }

    fn sent(&mut self, event: &TraceEvent, sent: &Sent) {
        let to: Vec<Node> = match sent.to {
            Recipient::One(node) => vec![node],
            Recipient::Others => self.members.iter().map(|m| m.node).filter(|node| Some(*node) != event.n).collect(),
        };
        for node in to {
            if self.at(Some(node)).is_some() {
                self.flies(sent.m, node);
            }
        }
        if let Some(member) = self.at(event.n) {
            member.latest = Some(event.i);
        }
    }

    /// One more copy is on its way, and it is the newest.
    fn flies(&mut self, m: MessageId, to: Node) {
        let was = self.flying.remove(&(m, to));
        if let Some(was) = &was {
            self.by_turn.remove(&was.turn);
        }
        self.turn += 1;
        self.by_turn.insert(self.turn, (m, to));
        self.flying.insert((m, to), Flight { copies: was.map_or(0, |was| was.copies) + 1, turn: self.turn });
        if self.flying.len() > FLYING_MAX
            && let Some((_, oldest)) = self.by_turn.pop_first()
        {
            self.flying.remove(&oldest);
        }
    }

    /// A copy of a message is on its way no more, or one more is.
    fn fly(&mut self, m: MessageId, to: Option<Node>, more: i64) {
        let Some(key) = to.map(|to| (m, to)) else { return };
        let Some(flight) = self.flying.get_mut(&key) else { return };
        flight.copies += more;
        if flight.copies <= 0 {
            let turn = flight.turn;
            self.flying.remove(&key);
            self.by_turn.remove(&turn);
        }
    }

    fn cut(&mut self, cut: &Partitioned) {
        let links = self.cuts.entry(cut.id).or_default();
        for (a, from) in cut.groups.iter().enumerate() {
            for (b, to) in cut.groups.iter().enumerate() {
                if a == b || (cut.oneway == Some(true) && a > b) {
                    continue;
                }
                links.extend(from.iter().flat_map(|from| to.iter().map(|to| (*from, *to))));
            }
        }
    }

    fn called(&mut self, call: &Invoked) {
        self.clients.insert(call.client, Caller { req: Some(call.req), settled: None });
    }

    fn returned(&mut self, end: &Returned) {
        let was = self.clients.get(&end.client).and_then(|caller| caller.req);
        // Who gave up does not say which request it was.
        let req = if end.st == Settled::Info { was } else { Some(end.req) };
        self.clients.insert(end.client, Caller { req, settled: Some(end.st) });
    }

    /// The state as one text: what [`Self::state_hash`] is of. Rows that have no order are sorted.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        for member in &self.members {
            text.push_str(&member.canonical());
            text.push('\n');
        }
        let cuts: BTreeSet<String> = self.cuts.values().flatten().map(|(from, to)| format!("{from}>{to}")).collect();
        let cuts: Vec<_> = cuts.into_iter().collect();
        let flying = sorted(self.flying.iter().map(|((m, to), flight)| format!("{m}>{to}*{}", flight.copies)));
        let clients = sorted(self.clients.iter().map(|(client, caller)| {
            format!("{client}:{}:{}", word(caller.req), caller.settled.map_or("waits", Settled::word))
        }));
        let _ = write!(text, "cuts {}\nflying {flying}\nclients {clients}\n", cuts.join(","));
        let _ = write!(text, "commit {} viols {}", self.commit, self.violations);
        text
    }

    /// FNV-1a of it, 32 bits, in hexadecimal.
    #[must_use]
    pub fn state_hash(&self) -> String {
        let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        format!("{:08x}", self.canonical().bytes().fold(0x811c_9dc5, mix))
    }
}

impl Member {
    fn is(&mut self, state: &State) {
        self.state = state.clone();
        (self.up, self.unknown) = (true, false);
    }

    fn becomes(&mut self, change: &State) {
        if change.view.is_some() && change.view != self.state.view {
            self.acks.clear();
        }
        assign(&mut self.state, change);
    }

    fn acknowledged(&mut self, ack: &Acknowledged) {
        let through = self.acks.entry(ack.from).or_insert(ack.op);
        *through = (*through).max(ack.op);
    }

    fn crashed(&mut self) {
        self.up = false;
        self.acks.clear();
    }

    fn restarted(&mut self, start: &Restarted) {
        (self.up, self.state.inc) = (true, Some(start.inc));
        self.acks.clear();
    }

    fn noted(&mut self, note: &Remark) {
        match note.what.as_deref() {
            Some("unreachable") => self.link = Link::Down,
            Some("silent") => self.link = Link::Silent,
            Some("halted") => self.state.status = Some(Status::Halted),
            Some(_) | None => {}
        }
    }

    fn canonical(&self) -> String {
        let s = &self.state;
        let fields = [
            word(s.inc),
            word(s.view),
            word(s.epoch),
            word(s.status),
            word(s.lnv),
            word(s.op),
            word(s.commit),
            word(s.applied),
            word(s.durable),
            word(s.ckpt),
            word(s.primary),
            word(s.log_lo),
            word(s.want),
        ];
        let up = if self.up { "up" } else { "down" };
        let known = if self.unknown { "unknown" } else { "known" };
        let latest = self.latest.map_or_else(|| "-1".to_owned(), |i| i.to_string());
        let acks = sorted(self.acks.iter().map(|(from, op)| format!("{from}={op}")));
        let (node, link, fields, latest) = (self.node, self.link.word(), fields.join("|"), latest);
        format!("{node}|{up}|{known}|{link}|{fields}|{latest}|{acks}")
    }
}

/// The observer hears nothing of a node.
fn is_silence(note: &Remark) -> bool {
    matches!(note.what.as_deref(), Some("silent" | "unreachable"))
}

/// Every field that the change names.
fn assign(state: &mut State, change: &State) {
    fn take<T: Clone>(field: &mut Option<T>, change: &Option<T>) {
        if change.is_some() {
            field.clone_from(change);
        }
    }
    take(&mut state.inc, &change.inc);
    take(&mut state.view, &change.view);
    take(&mut state.epoch, &change.epoch);
    take(&mut state.status, &change.status);
    take(&mut state.lnv, &change.lnv);
    take(&mut state.op, &change.op);
    take(&mut state.commit, &change.commit);
    take(&mut state.applied, &change.applied);
    take(&mut state.durable, &change.durable);
    take(&mut state.ckpt, &change.ckpt);
    take(&mut state.primary, &change.primary);
    take(&mut state.log_lo, &change.log_lo);
    take(&mut state.want, &change.want);
    take(&mut state.timers, &change.timers);
    take(&mut state.votes, &change.votes);
    take(&mut state.queue, &change.queue);
}

fn word(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn sorted(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<_> = words.collect();
    words.sort_unstable();
    words.join(",")
}

/// The members that a trace names in its first line.
#[must_use]
pub fn members_of(events: &[TraceEvent]) -> Option<Vec<Node>> {
    let What::Meta(meta) = &events.first()?.what else { return None };
    Some(meta.config.members.clone())
}
