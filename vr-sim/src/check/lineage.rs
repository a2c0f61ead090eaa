//! What the group as a whole did: which entries were ever born, which log each view started with and grew, what
//! was decided and what it answered.
//!
//! Owns these ghosts and their look-ups; the checkers judge. Must not know replicas' images or messages.
//! PROTOCOL §4 "Ghost state": `started`, `decided`.

use super::index;
use bytes::Bytes;
use std::collections::BTreeMap;
use vr_core::{ClientId, Entry, Hash, Head, Kind, Op, RequestNumber, Session, View};

/// Whose request an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Who {
    pub(super) client: ClientId,
    pub(super) session: Session,
    pub(super) number: RequestNumber,
    pub(super) kind: Kind,
    /// The clock predicted for its execution.
    pub(super) wall_ns: u64,
}

/// An op that was decided: by whom first, and as what.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) hash: Hash,
    /// The position of the primary that committed it first.
    pub(super) by: usize,
    /// Whose request; `None` when its birth was not seen.
    pub(super) who: Option<Who>,
    /// What the first service to execute it answered.
    pub(super) result: Option<Bytes>,
}

/// The log of one view: what it started with, and everything its primary added.
#[derive(Clone, Debug)]
pub(super) struct ViewLog {
    pub(super) view: View,
    /// The position of its primary.
    pub(super) by: usize,
    /// Where its initial log ended.
    pub(super) start: Head,
    /// Everything its primary committed.
    pub(super) committed: Op,
    /// Through here the log is what was decided.
    floor: Op,
    hashes: Vec<Hash>,
}

/// How an entry that a replica adds in a view compares with the log of that view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    /// The same.
    Same,
    /// The view's log has another one there.
    Other(Hash),
    /// The view's log is not that long.
    Beyond,
}

#[derive(Clone, Debug)]
pub(super) struct Lineage {
    /// By op: the newest entry born there.
    births: Vec<(Hash, Who)>,
    /// The others, for ops that several views proposed something at.
    rivals: BTreeMap<(Op, Hash), Who>,
    /// By op.
    decisions: Vec<Decision>,
    /// Ascending by view.
    views: Vec<ViewLog>,
}

fn place(op: Op) -> Option<usize> {
    op.0.checked_sub(1).map(index)
}

impl Lineage {
    /// A cluster whose view 0 starts with the empty log.
    pub(super) fn new(genesis: Head, first_primary: usize) -> Self {
        let zero = ViewLog {
            view: View::ZERO,
            by: first_primary,
            start: genesis,
            committed: Op::ZERO,
            floor: Op::ZERO,
            hashes: Vec::new(),
        };
        Self { births: Vec::new(), rivals: BTreeMap::new(), decisions: Vec::new(), views: vec![zero] }
    }

    // ---- births

    /// Remembers whose request an entry is.
    pub(super) fn born(&mut self, entry: &Entry) {
        let Some(place) = place(entry.op()) else { return };
        if let Some(birth) = self.births.get_mut(place) {
            if birth.0 != entry.hash() {
                self.rivals.insert((entry.op(), birth.0), birth.1);
                *birth = (entry.hash(), who(entry));
            }
        } else if place == self.births.len() {
            self.births.push((entry.hash(), who(entry)));
        } else {
            self.rivals.insert((entry.op(), entry.hash()), who(entry));
        }
    }

    /// Whose request the entry of that hash is.
    pub(super) fn birth(&self, op: Op, hash: Hash) -> Option<Who> {
        let newest = place(op).and_then(|place| self.births.get(place)).filter(|birth| birth.0 == hash);
        newest.map(|birth| birth.1).or_else(|| self.rivals.get(&(op, hash)).copied())
    }

    // ---- decisions

    /// The latest view whose log was chosen.
    pub(super) fn newest(&self) -> View {
        self.views.last().map_or(View::ZERO, |log| log.view)
    }

    /// The last op decided.
    pub(super) fn decided(&self) -> Op {
        Op(super::count(self.decisions.len()))
    }

    pub(super) fn decision(&self, op: Op) -> Option<&Decision> {
        self.decisions.get(place(op)?)
    }

    /// The service of a replica answered a decided op. Gives the first answer if this is another one.
    pub(super) fn answered(&mut self, op: Op, reply: &Bytes) -> Option<Bytes> {
        let decision = self.decisions.get_mut(place(op)?)?;
        match &decision.result {
            Some(first) if first == reply => None,
            Some(first) => Some(first.clone()),
            None => {
                decision.result = Some(reply.clone());
                None
            }
        }
    }

    /// The next op is decided.
    pub(super) fn decide(&mut self, hash: Hash, by: usize) -> Op {
        let op = self.decided().next();
        let who = self.birth(op, hash);
        self.decisions.push(Decision { hash, by, who, result: None });
        op
    }

    /// The last op that a primary of an earlier view committed.
    pub(super) fn committed_before(&self, view: View) -> Op {
        let earlier = self.views.iter().take_while(|log| log.view < view);
        earlier.map(|log| log.committed).max().unwrap_or(Op::ZERO)
    }

    /// The primary of `view` committed through `op`.
    pub(super) fn commit_in(&mut self, view: View, op: Op) {
        if let Some(place) = self.find(view) {
            let committed = &mut self.views[place].committed;
            *committed = (*committed).max(op);
        }
    }

    // ---- views

    fn find(&self, view: View) -> Option<usize> {
        let last = self.views.len().checked_sub(1)?;
        if self.views[last].view == view {
            return Some(last);
        }
        self.views.binary_search_by_key(&view, |log| log.view).ok()
    }

    pub(super) fn view(&self, view: View) -> Option<&ViewLog> {
        self.find(view).map(|place| &self.views[place])
    }

    /// The views after this one that have started.
    pub(super) fn views_after(&self, view: View) -> &[ViewLog] {
        if self.views.last().is_some_and(|log| log.view <= view) {
            return &[];
        }
        &self.views[self.views.partition_point(|log| log.view <= view)..]
    }

    /// How many views have started.
    pub(super) fn started(&self) -> usize {
        self.views.len()
    }

    /// A view starts. `log` are the hashes after `floor`, through which the initial log is what was decided.
    pub(super) fn start(&mut self, view: View, by: usize, start: Head, floor: Op, log: &[Hash]) {
        let place = self.views.partition_point(|log| log.view < view);
        let committed = Op::ZERO;
        self.views.insert(place, ViewLog { view, by, start, committed, floor, hashes: log.to_vec() });
    }

    /// A start that nobody ever heard of, because its primary crashed first, has not been.
    pub(super) fn forget(&mut self, gone: impl Fn(&ViewLog) -> bool) {
        self.views.retain(|log| log.view == View::ZERO || !gone(log));
    }

    /// The first primary crashed before it could say anything: its entries have not been.
    pub(super) fn forget_first_entries(&mut self) {
        self.views[0].hashes.clear();
    }

    /// The hash at `op` in the log of `log`'s view.
    pub(super) fn hash_in(&self, log: &ViewLog, op: Op) -> Option<Hash> {
        if op > log.floor {
            return log.hashes.get(index(log.floor.distance_to(op)) - 1).copied();
        }
        if op == log.start.op {
            return Some(log.start.hash);
        }
        self.decision(op).map(|decision| decision.hash)
    }

    /// Compares an entry with the log of `view`; a new one of its `primary` becomes part of it.
    pub(super) fn fit(&mut self, view: View, op: Op, hash: Hash, primary: bool) -> Fit {
        let Some(place) = self.find(view) else { return Fit::Beyond };
        let log = &mut self.views[place];
        let Some(next) = op.0.checked_sub(log.floor.0 + 1).map(index) else {
            let log = &self.views[place];
            return self.hash_in(log, op).map_or(Fit::Beyond, |ours| same(ours, hash));
        };
        match log.hashes.get(next) {
            Some(ours) => same(*ours, hash),
            None if primary && next == log.hashes.len() => {
                log.hashes.push(hash);
                Fit::Same
            }
            None => Fit::Beyond,
        }
    }
}

fn same(ours: Hash, theirs: Hash) -> Fit {
    if ours == theirs { Fit::Same } else { Fit::Other(ours) }
}

fn who(entry: &Entry) -> Who {
    let (client, session, number, kind) = (entry.client(), entry.session(), entry.number(), entry.kind());
    Who { client, session, number, kind, wall_ns: entry.predicted().wall_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage() -> Lineage {
        Lineage::new(Head { op: Op(0), hash: Hash(9) }, 0)
    }

    #[test]
    fn a_view_s_log_is_its_start_and_what_its_primary_adds() {
        let mut lineage = lineage();
        assert_eq!(lineage.fit(View(0), Op(1), Hash(1), false), Fit::Beyond, "a backup cannot be first");
        assert_eq!(lineage.fit(View(0), Op(1), Hash(1), true), Fit::Same);
        assert_eq!(lineage.fit(View(0), Op(1), Hash(1), false), Fit::Same);
        assert_eq!(lineage.fit(View(0), Op(1), Hash(2), true), Fit::Other(Hash(1)));
        lineage.decide(Hash(1), 0);
        lineage.commit_in(View(0), Op(1));
        assert_eq!((lineage.committed_before(View(0)), lineage.committed_before(View(2))), (Op(0), Op(1)));
        lineage.start(View(2), 2, Head { op: Op(2), hash: Hash(7) }, Op(1), &[Hash(7)]);
        let log = lineage.view(View(2)).expect("started");
        assert_eq!((lineage.hash_in(log, Op(1)), lineage.hash_in(log, Op(2))), (Some(Hash(1)), Some(Hash(7))));
        assert_eq!(lineage.hash_in(log, Op(3)), None);
        assert_eq!(lineage.views_after(View(0)).len(), 1);
        assert_eq!(lineage.fit(View(2), Op(1), Hash(3), false), Fit::Other(Hash(1)));
        lineage.forget(|log| log.by == 2);
        assert_eq!((lineage.view(View(2)).is_none(), lineage.started()), (true, 1));
    }

    #[test]
    fn an_op_that_two_views_proposed_keeps_both_requests() {
        use crate::check::stage::chain;
        let mut lineage = lineage();
        let genesis = Head { op: Op(0), hash: Hash(9) };
        let (a, b) = (chain(genesis, View(0), 1..=2), chain(genesis, View(1), 1..=1));
        for entry in a.iter().chain(&b).chain(&a) {
            lineage.born(entry);
        }
        for entry in a.iter().chain(&b) {
            assert!(lineage.birth(entry.op(), entry.hash()).is_some());
        }
        assert_eq!(lineage.birth(Op(1), Hash(3)), None);
    }
}
