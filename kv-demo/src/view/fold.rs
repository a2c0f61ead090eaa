//! What one node looks like, folded from its events, and whether it is heard.
//!
//! Owns the state, the newest slots of its log, the message it sent last, and its link. Must not know the other nodes.
//! Absence of news is not health: a node that says nothing is silent, one that cannot be reached is down. VIEW §5.2.

use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;
use vr_tokio::vr_core::trace::{LogAct, LogSlot, Node, Restarted, State, TraceEvent, What};

/// After so long without a word a node is silent.
const SILENT: Duration = Duration::from_secs(2);
/// How many slots of its log are kept.
const SLOTS: usize = 64;

/// A node as it is known.
#[derive(Debug, Serialize)]
pub(super) struct NodeView {
    #[serde(skip)]
    name: Node,
    #[serde(skip)]
    link: Link,
    #[serde(skip)]
    heard: Option<Duration>,
    /// Why it could not be reached, as it was said last.
    #[serde(skip)]
    why: String,
    /// Which life its events are of.
    #[serde(skip)]
    life: Option<u64>,
    /// Nothing while it is not known.
    state: Option<State>,
    latest: Option<TraceEvent>,
    /// Ops, their views and their short hashes.
    log: VecDeque<(u64, u64, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    Up,
    Silent,
    Down,
}

impl NodeView {
    /// One of which nothing was heard.
    pub(super) const fn new(name: Node) -> Self {
        Self {
            name,
            link: Link::Down,
            heard: None,
            why: String::new(),
            life: None,
            state: None,
            latest: None,
            log: VecDeque::new(),
        }
    }

    /// Who it is.
    pub(super) const fn name(&self) -> Node {
        self.name
    }

    /// It is somebody else.
    pub(super) fn rename(&mut self, name: Node) {
        let (link, heard, why) = (self.link, self.heard, std::mem::take(&mut self.why));
        *self = Self { link, heard, why, ..Self::new(name) };
    }

    /// `up`, `silent` or `down`.
    pub(super) const fn link(&self) -> &'static str {
        match self.link {
            Link::Up => "up",
            Link::Silent => "silent",
            Link::Down => "down",
        }
    }

    /// Its fields, while they are known.
    pub(super) const fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// That it is away, and why.
    pub(super) fn absence(&self) -> Option<String> {
        match self.link {
            Link::Up | Link::Silent => None,
            Link::Down => Some(format!("{} is unreachable: {}", self.name, self.why)),
        }
    }

    /// Is there nothing more to wait for: did it say how it is, or is it away?
    pub(super) const fn is_settled(&self) -> bool {
        match self.link {
            Link::Up => self.state.is_some(),
            Link::Silent => true,
            Link::Down => !self.why.is_empty(),
        }
    }

    /// When it was heard last.
    pub(super) const fn heard_at(&self) -> Option<Duration> {
        self.heard
    }

    /// It is heard now; gives what its link was.
    pub(super) fn heard(&mut self, now: Duration) -> &'static str {
        let was = self.link();
        (self.link, self.heard) = (Link::Up, Some(now));
        self.why.clear();
        was
    }

    /// It cannot be reached any more. Was it before, and is the reason a new one?
    pub(super) fn lost(&mut self, why: &str) -> (bool, bool) {
        let was_there = self.link != Link::Down;
        let is_news = was_there || self.why != why;
        self.link = Link::Down;
        why.clone_into(&mut self.why);
        (was_there, is_news)
    }

    /// Has it just been silent for too long?
    pub(super) fn falls_silent(&mut self, now: Duration) -> bool {
        let is_late = self.heard.is_some_and(|heard| now.saturating_sub(heard) >= SILENT);
        let is_news = self.link == Link::Up && is_late;
        if is_news {
            self.link = Link::Silent;
        }
        is_news
    }

    /// Does an event that arrives tell of another life than before?
    pub(super) fn begins_life(&mut self, event: &TraceEvent) -> Option<Restarted> {
        let What::Snap(snap) = &event.what else { return None };
        let inc = snap.state.inc?;
        let before = self.life.replace(inc)?;
        (before != inc).then_some(Restarted { lost: None, wiped: None, inc })
    }

    /// What an event changes.
    pub(super) fn take(&mut self, event: &TraceEvent) {
        if let What::Snap(snap) = &event.what {
            let state = (*snap.state).clone();
            // What it has beyond its op-number is not its log any more.
            self.log.retain(|(op, ..)| state.op.is_none_or(|last| *op <= last));
            self.state = Some(state);
        } else if let What::Set(change) = &event.what {
            if let Some(state) = &mut self.state {
                set(state, change);
            }
        } else if let What::Gap(_) = event.what {
            self.state = None;
        } else if let What::Sent(_) = event.what {
            self.latest = Some(event.clone());
        } else if let What::Log(slot) = &event.what {
            self.fill(slot);
        }
    }

    fn fill(&mut self, slot: &LogSlot) {
        if slot.act == LogAct::Truncate {
            self.log.retain(|(op, ..)| *op <= slot.op);
            return;
        }
        self.log.retain(|(op, ..)| *op < slot.op);
        if self.log.len() >= SLOTS {
            self.log.pop_front();
        }
        self.log.push_back((slot.op, slot.view.unwrap_or(0), slot.ck.clone().unwrap_or_default()));
    }
}

/// Puts what changed into a state.
fn set(state: &mut State, change: &State) {
    let State { inc, view, epoch, status, lnv, op, commit, applied, .. } = *change;
    let State { durable, ckpt, primary, log_lo, want, queue, .. } = *change;
    let number = |of: &mut Option<u64>, new: Option<u64>| *of = new.or(*of);
    number(&mut state.inc, inc);
    number(&mut state.view, view);
    number(&mut state.epoch, epoch);
    number(&mut state.lnv, lnv);
    number(&mut state.op, op);
    number(&mut state.commit, commit);
    number(&mut state.applied, applied);
    number(&mut state.durable, durable);
    number(&mut state.ckpt, ckpt);
    number(&mut state.log_lo, log_lo);
    number(&mut state.queue, queue);
    state.status = status.or(state.status);
    state.primary = primary.or(state.primary);
    state.want = want.or(state.want);
    if change.timers.is_some() {
        state.timers.clone_from(&change.timers);
    }
    if change.votes.is_some() {
        state.votes.clone_from(&change.votes);
    }
}
