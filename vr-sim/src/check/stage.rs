//! A stage for tests: puppets that play replicas by hand, well or badly, before the checkers.
//!
//! Owns the script of the normal case, of a view change, a crash and a recovery, message by message, so that a
//! test needs to write down only what goes wrong. Must not know any property. VRR §4.1 to §4.3.

use super::{Checkers, Happening, Model, Setting, Violation};
use bytes::Bytes;
use std::ops::RangeInclusive;
use std::sync::Arc;
use vr_core::{
    Action, Beat, Body, ClientId, ClusterConfig, ClusterId, DoViewChange, Durability, Entries, Entry, Epoch, Event,
    Hash, Head, Header, Incarnation, Input, Instance, Kind, Message, Nonce, Note, Op, Predicted, RecoveryResponse,
    ReplicaId, Request, RequestNumber, Seq, Session, StartView, Stored, Tail, Time, To, View, Write, WriteId, genesis,
};

pub(super) const CLUSTER: ClusterId = ClusterId(7);
pub(super) type Verdict = Result<(), Violation>;

/// A list to which every operation adds its body; it answers what the list was.
pub(super) struct Appends;

impl Model for Appends {
    fn key(&self, body: &[u8]) -> Vec<u8> {
        body.get(..1).unwrap_or_default().to_vec()
    }

    fn step(&self, state: &[u8], body: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let added = body.get(1..).unwrap_or_default();
        ([state, added].concat(), state.to_vec())
    }
}

/// A freshly formatted disk.
pub(super) fn stored(id: u16) -> Stored {
    Stored::format(CLUSTER, Hash(1), ReplicaId(id), Instance(u128::from(id)))
}

/// The head of an empty log.
pub(super) fn origin() -> Head {
    Head { op: Op(0), hash: genesis(CLUSTER) }
}

/// The entry that a request becomes.
pub(super) fn entry(after: Head, view: View, client: u128, session: u64, number: u64, body: &'static str) -> Entry {
    let kind = if number == 0 { Kind::Register } else { Kind::Operation };
    let (session, number) = (Session(session), RequestNumber(number));
    let predicted = Predicted { wall_ns: after.op.0 + 1, seed: 0 };
    let body = Bytes::from_static(body.as_bytes());
    let request = Request { client: ClientId(client), session, number, kind, predicted, body };
    Entry::new(Epoch(0), view, after.op.next(), after.hash, request)
}

/// Registrations of as many clients, of a view, chained.
pub(super) fn chain(after: Head, view: View, ops: RangeInclusive<u64>) -> Entries {
    let mut head = after;
    let mut entries = Vec::new();
    for op in ops {
        let entry = entry(head, view, u128::from(view.0 * 1000 + op), 0, 0, "");
        head = Head { op: entry.op(), hash: entry.hash() };
        entries.push(entry);
    }
    Entries::new(entries).expect("chained")
}

/// The registration of a client and then its requests 1, 2, …, one a letter; all on the same key.
pub(super) fn session(after: Head, view: View, client: u128, letters: &[&'static str]) -> Entries {
    let mut entries = vec![entry(after, view, client, 0, 0, "")];
    let opened = after.op.next().0;
    for (number, letter) in (1u64..).zip(letters) {
        let last = entries.last().expect("the registration");
        let head = Head { op: last.op(), hash: last.hash() };
        entries.push(entry(head, view, client, opened, number, letter));
    }
    run_of(&entries)
}

pub(super) fn run_of(entries: &[Entry]) -> Entries {
    Entries::new(entries.to_vec()).expect("chained")
}

/// One replica, played by hand.
#[derive(Clone)]
pub(super) struct Puppet {
    pub(super) log: Vec<Entry>,
    pub(super) view: View,
    pub(super) log_view: View,
    pub(super) incarnation: u64,
    written: u64,
    /// What a crash leaves if nothing in flight survives.
    pub(super) disk: Stored,
    flying: Vec<Write>,
}

impl Puppet {
    pub(super) fn head(&self) -> Head {
        self.log.last().map_or(origin(), |last| Head { op: last.op(), hash: last.hash() })
    }

    fn play(&mut self, write: Write) {
        match &write {
            Write::Incarnation(incarnation) => self.incarnation = incarnation.0,
            Write::View(view) => self.view = *view,
            Write::Append(entries) => self.log.extend(entries.iter().cloned()),
            Write::Replace { keep, entries, view } => {
                self.log.truncate(usize::try_from(keep.0).expect("small"));
                self.log.extend(entries.iter().cloned());
                (self.view, self.log_view) = (*view, *view);
            }
            Write::Repair { keep, entries } => {
                self.log.truncate(usize::try_from(keep.0).expect("small"));
                self.log.extend(entries.iter().cloned());
            }
            Write::Clean | Write::Checkpoint(_) | Write::Cut { .. } | Write::Install { .. } => {}
        }
        self.flying.push(write);
        self.written += 1;
    }
}

#[derive(Clone)]
pub(super) struct Stage {
    pub(super) checkers: Checkers,
    pub(super) puppets: Vec<Puppet>,
    quorum: usize,
    now: u64,
}

impl Stage {
    pub(super) fn new(members: u16, durability: Durability) -> Self {
        let mut cluster = ClusterConfig::of_size(CLUSTER, members);
        cluster.durability = durability;
        Self::with(cluster)
    }

    pub(super) fn with(cluster: ClusterConfig) -> Self {
        let puppet = |id: &ReplicaId| Puppet {
            log: Vec::new(),
            view: View(0),
            log_view: View(0),
            incarnation: 0,
            written: 0,
            disk: stored(id.0),
            flying: Vec::new(),
        };
        let puppets = cluster.members.iter().map(puppet).collect();
        let quorum = cluster.quorum();
        let checkers = Checkers::new(&Setting { cluster, spares: 0 }, Some(Arc::new(Appends)));
        let mut stage = Self { checkers, puppets, quorum, now: 0 };
        for r in 0..stage.puppets.len() {
            stage.open(r).expect("a first start is legal");
        }
        stage
    }

    pub(super) fn id(r: usize) -> ReplicaId {
        ReplicaId(u16::try_from(r).expect("small"))
    }

    pub(super) fn observe(&mut self, happening: &Happening<'_>) -> Verdict {
        self.now += 1000;
        self.checkers.observe(Time(self.now), happening)
    }

    pub(super) fn step(&mut self, r: usize, input: Input, actions: &[Action]) -> Verdict {
        let event = Event { at: Time(self.now), input };
        self.observe(&Happening::Stepped { on: Self::id(r), event: &event, actions })
    }

    pub(super) fn acts(&mut self, r: usize, actions: &[Action]) -> Verdict {
        self.step(r, Input::Tick, actions)
    }

    pub(super) fn notes(&mut self, r: usize, note: Note) -> Verdict {
        self.acts(r, &[Action::Note(note)])
    }

    // ---- lives

    /// A life begins from the puppet's disk, and its incarnation is durable.
    pub(super) fn open(&mut self, r: usize) -> Verdict {
        self.open_with(r, &[])
    }

    /// A life begins, and after its incarnation these are written.
    pub(super) fn open_with(&mut self, r: usize, writes: &[Write]) -> Verdict {
        let puppet = &mut self.puppets[r];
        let stored = puppet.disk.clone();
        puppet.flying.clear();
        puppet.written = 0;
        puppet.log = stored.log.after(Op(0)).cloned().collect();
        (puppet.view, puppet.log_view) = (stored.view, stored.log_view);
        let begins = Write::Incarnation(stored.incarnation.next());
        let actions: Vec<Action> = [begins].iter().chain(writes).map(|write| self.write(r, write.clone())).collect();
        self.observe(&Happening::Opened { on: Self::id(r), stored: &stored, actions: &actions })?;
        self.flush(r)
    }

    pub(super) fn crash(&mut self, r: usize) -> Verdict {
        self.observe(&Happening::Crashed { on: Self::id(r) })
    }

    // ---- writes

    /// The action of a write, which the puppet plays.
    pub(super) fn write(&mut self, r: usize, write: Write) -> Action {
        let puppet = &mut self.puppets[r];
        puppet.play(write.clone());
        Action::Persist { id: WriteId(puppet.written), write }
    }

    /// The disk confirms everything.
    pub(super) fn flush(&mut self, r: usize) -> Verdict {
        let puppet = &mut self.puppets[r];
        for write in std::mem::take(&mut puppet.flying) {
            puppet.disk.apply(write);
        }
        let upto = WriteId(puppet.written);
        self.step(r, Input::Persisted(upto), &[])
    }

    /// Writes, in one step, nothing durable yet.
    pub(super) fn writes(&mut self, r: usize, write: Write) -> Verdict {
        let action = self.write(r, write);
        self.acts(r, &[action])
    }

    pub(super) fn appends(&mut self, r: usize, entries: &Entries) -> Verdict {
        self.writes(r, Write::Append(entries.clone()))
    }

    // ---- messages

    pub(super) fn message(&self, r: usize, view: View, body: Body) -> Action {
        let incarnation = Incarnation(self.puppets[r].incarnation);
        let (from, instance) = (Self::id(r), Instance(u128::from(Self::id(r).0)));
        let (epoch, seq) = (Epoch(0), Seq(0));
        let header = Header { config: Hash(1), epoch, view, from, instance, incarnation, seq };
        Action::Send { to: To::Others, message: Message::new(header, body) }
    }

    /// Says something in its own view.
    pub(super) fn says(&mut self, r: usize, body: Body) -> Verdict {
        let action = self.message(r, self.puppets[r].view, body);
        self.acts(r, &[action])
    }

    pub(super) fn acks(&mut self, r: usize) -> Verdict {
        let head = self.puppets[r].head();
        self.says(r, Body::PrepareOk { head, beat: Beat(1) })
    }

    pub(super) fn commits(&mut self, r: usize, op: u64) -> Verdict {
        self.notes(r, Note::Committed { op: Op(op) })
    }

    /// The service is asked to execute entries of the puppet's log.
    pub(super) fn executes(&mut self, r: usize, ops: RangeInclusive<u64>) -> Verdict {
        let place = |op: u64| usize::try_from(op).expect("small");
        let run = run_of(&self.puppets[r].log[place(*ops.start()) - 1..place(*ops.end())]);
        self.acts(r, &[Action::Execute(run)])
    }

    pub(super) fn service_answers(&mut self, r: usize, op: u64, reply: &'static str) -> Verdict {
        self.step(r, Input::Executed { op: Op(op), reply: Bytes::from_static(reply.as_bytes()) }, &[])
    }

    // ---- the normal case

    /// The primary adds entries, which are durable everywhere and acknowledged by these backups.
    pub(super) fn prepares(&mut self, primary: usize, backups: &[usize], entries: &Entries) -> Verdict {
        self.appends(primary, entries)?;
        let (commit, beat) = (Op(0), Beat(1));
        self.says(primary, Body::Prepare { entries: entries.clone(), commit, beat })?;
        self.flush(primary)?;
        for r in backups {
            self.appends(*r, entries)?;
            self.flush(*r)?;
            self.acks(*r)?;
        }
        Ok(())
    }

    /// Registrations through `op`, committed by all.
    pub(super) fn runs(&mut self, primary: usize, backups: &[usize], ops: RangeInclusive<u64>) -> Verdict {
        let (head, view, last) = (self.puppets[primary].head(), self.puppets[primary].view, *ops.end());
        self.prepares(primary, backups, &chain(head, view, ops))?;
        self.commits(primary, last)?;
        backups.iter().try_for_each(|r| self.commits(*r, last))
    }

    // ---- a view change

    /// Promises a view, durably, and reports for it.
    pub(super) fn enters(&mut self, r: usize, view: u64) -> Verdict {
        self.writes(r, Write::View(View(view)))?;
        self.flush(r)?;
        let leader = usize::try_from(view).expect("small") % self.puppets.len();
        if leader == r { Ok(()) } else { self.reports(r) }
    }

    pub(super) fn reports(&mut self, r: usize) -> Verdict {
        let puppet = &self.puppets[r];
        let (log_view, head) = (puppet.log_view, puppet.head());
        let tail = Tail { base: head, entries: Entries::empty(), head };
        self.says(r, Body::DoViewChange(Box::new(DoViewChange { log_view, commit: Op(0), tail })))
    }

    /// The first of `group` starts `view` with the best log among the group's; the others install it.
    pub(super) fn changes_view(&mut self, view: u64, group: &[usize]) -> Verdict {
        for r in &group[1..] {
            self.enters(*r, view)?;
        }
        self.enters(group[0], view)?;
        let rank = |r: &&usize| (self.puppets[**r].log_view, self.puppets[**r].log.len());
        let best = *group.iter().max_by_key(rank).expect("somebody");
        let log = self.puppets[best].log.clone();
        for r in group {
            self.installs(*r, view, &log)?;
        }
        Ok(())
    }

    /// The log of `view` is put in place, durably; its primary says so, a backup acknowledges.
    pub(super) fn installs(&mut self, r: usize, view: u64, log: &[Entry]) -> Verdict {
        let mine = &self.puppets[r].log;
        let same = mine.iter().zip(log).take_while(|(a, b)| a == b).count();
        let keep = Op(u64::try_from(same).expect("small"));
        self.writes(r, Write::Replace { keep, entries: run_of(&log[same..]), view: View(view) })?;
        self.flush(r)?;
        let leader = usize::try_from(view).expect("small") % self.puppets.len();
        if leader != r {
            return self.acks(r);
        }
        self.says(r, Body::StartView(Box::new(self.start_view(r))))
    }

    /// The primary answers a recovering replica, which takes this much of the log.
    pub(super) fn recovers(&mut self, r: usize, primary: usize, ops: usize) -> Verdict {
        let nonce = Nonce { incarnation: Incarnation(self.puppets[r].incarnation), counter: 0 };
        self.answers_recovery(r, primary, nonce)?;
        let view = self.puppets[primary].view.0;
        let log = self.puppets[primary].log[..ops].to_vec();
        self.installs(r, view, &log)
    }

    pub(super) fn answers_recovery(&mut self, r: usize, primary: usize, nonce: Nonce) -> Verdict {
        let answer = RecoveryResponse { nonce, log: Some(self.start_view(primary)) };
        let body = Body::RecoveryResponse(Box::new(answer));
        let Action::Send { message, .. } = self.message(primary, self.puppets[primary].view, body) else {
            return Ok(());
        };
        self.acts(primary, &[Action::Send { to: To::One(Self::id(r)), message }])
    }

    pub(super) fn start_view(&self, r: usize) -> StartView {
        let head = self.puppets[r].head();
        let log = self.checkers.shadow.lineage.view(self.puppets[r].view);
        let view_start = log.map_or(Op(0), |log| log.start.op);
        StartView { view_start, commit: Op(0), tail: Tail { base: head, entries: Entries::empty(), head } }
    }

    pub(super) const fn quorum(&self) -> usize {
        self.quorum
    }
}

/// The property that a verdict names.
pub(super) fn broken(verdict: Verdict) -> &'static str {
    match verdict {
        Ok(()) => "nothing",
        Err(violation) => {
            assert!(violation.message.len() > 20, "{violation:?} says what happened");
            violation.property
        }
    }
}
