//! The events of all nodes in one order: by their clocks, put right, and never a message before it was sent.
//!
//! Owns what is held back, for how long, and the indices and causes of the merged trace. Must not know where events come
//! from nor where they go; time is told to it. VIEW §5.2.

use super::clocks::Clocks;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use vr_tokio::vr_core::trace::{MessageId, Node, TraceEvent, What};

/// So long an event is held back: what others did before it is likely to have come by then.
const HOLD: Duration = Duration::from_millis(50);
/// So long one that must wait for another is held back.
const PATIENCE: Duration = Duration::from_millis(150);
/// How many sent messages are remembered.
const SENT_MAX: usize = 100_000;
/// How many indices of a node's own are remembered.
const OWN_MAX: usize = 8192;

/// What came of one node.
#[derive(Debug, Default)]
struct Source {
    /// Who it is.
    node: Option<Node>,
    /// Its wall clock at its `t` = 0.
    wall: u64,
    queue: VecDeque<Held>,
    /// Its own indices and what became of them.
    own: VecDeque<(u64, u64)>,
}

#[derive(Debug)]
struct Held {
    event: TraceEvent,
    /// On the node's wall clock.
    wall: u64,
    /// On the merger's.
    arrived: Duration,
}

/// A message that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    index: u64,
    source: usize,
    wall: u64,
}

/// The merger.
#[derive(Debug)]
pub(super) struct Merge {
    sources: Vec<Source>,
    clocks: Clocks,
    sent: HashMap<MessageId, Sent>,
    order: VecDeque<MessageId>,
    /// The wall clock at the merged trace's `t` = 0.
    origin: u64,
    next: u64,
    /// The latest time that was given out: it never goes back.
    latest: u64,
}

impl Merge {
    /// One of so many nodes, whose trace begins at this wall clock, with this index.
    pub(super) fn new(nodes: usize, origin: u64, next: u64) -> Self {
        let sources = (0..nodes).map(|_| Source::default()).collect();
        let (clocks, sent, order) = (Clocks::default(), HashMap::new(), VecDeque::new());
        Self { sources, clocks, sent, order, origin, next, latest: 0 }
    }

    /// The index of the next event.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// A node begins to tell: who it is, and its wall clock at its `t` = 0.
    pub(super) fn begin(&mut self, source: usize, node: Node, wall: u64) {
        let Some(this) = self.sources.get_mut(source) else { return };
        if this.wall.abs_diff(wall) > 1_000_000 {
            self.clocks.forget(source);
        }
        (this.node, this.wall) = (Some(node), wall);
        this.own.clear();
    }

    /// An event of a node, which arrived then.
    pub(super) fn push(&mut self, source: usize, event: TraceEvent, arrived: Duration) {
        let Some(this) = self.sources.get_mut(source) else { return };
        let wall = this.wall.saturating_add(event.t);
        this.queue.push_back(Held { event, wall, arrived });
    }

    /// Something that the collector itself noticed at a node, when its wall clock was this.
    pub(super) fn remark(&mut self, node: Node, what: What, wall: u64) -> TraceEvent {
        self.number(TraceEvent::at(wall.saturating_sub(self.origin), node, what))
    }

    /// Gives out, in order, all that need not be held back any longer, each with its source.
    pub(super) fn release(&mut self, now: Duration, mut out: impl FnMut(usize, TraceEvent)) {
        self.clocks.settle(self.sources.len());
        while let Some(source) = self.first(now) {
            let Some(held) = self.sources[source].queue.pop_front() else { return };
            out(source, self.place(source, held));
        }
    }

    /// Gives out all that is held back of one node.
    pub(super) fn release_all(&mut self, source: usize, mut out: impl FnMut(TraceEvent)) {
        while let Some(held) = self.sources.get_mut(source).and_then(|this| this.queue.pop_front()) {
            out(self.place(source, held));
        }
    }

    /// Whose event is next: the earliest of those that have waited for long enough.
    fn first(&self, now: Duration) -> Option<usize> {
        let ready = self.sources.iter().enumerate().filter_map(|(source, this)| {
            let held = this.queue.front()?;
            let age = now.saturating_sub(held.arrived);
            let is_ready = age >= PATIENCE || (age >= HOLD && !self.is_early(&held.event));
            is_ready.then(|| (self.clocks.common(source, held.wall), source))
        });
        ready.min().map(|(_, source)| source)
    }

    /// Is it the arrival of a message that a node we listen to has yet to send?
    fn is_early(&self, event: &TraceEvent) -> bool {
        let What::Received(received) = &event.what else { return false };
        let sender = received.m.sender();
        !self.sent.contains_key(&received.m) && self.sources.iter().any(|source| source.node == Some(sender))
    }

    fn place(&mut self, source: usize, held: Held) -> TraceEvent {
        let Held { event, wall, .. } = held;
        let own = event.i;
        let sent = event.what.message().and_then(|m| self.sent.get(&m).copied());
        if let (What::Received(_), Some(sent)) = (&event.what, sent)
            && sent.source != source
        {
            self.clocks.saw(sent.source, sent.wall, source, wall);
        }
        let this = &self.sources[source];
        let by = if let (What::Sent(_), _) | (_, None) = (&event.what, sent) {
            event.by.and_then(|by| this.merged(by))
        } else {
            sent.map(|sent| sent.index)
        };
        let t = self.clocks.common(source, wall).saturating_sub(self.origin);
        let event = self.number(TraceEvent { t, n: this.node.or(event.n), by, ..event });
        let index = event.i;
        if let What::Sent(message) = &event.what {
            self.remember(message.m, Sent { index, source, wall });
        }
        let this = &mut self.sources[source];
        this.own.push_back((own, index));
        if this.own.len() > OWN_MAX {
            this.own.pop_front();
        }
        event
    }

    fn number(&mut self, event: TraceEvent) -> TraceEvent {
        self.latest = self.latest.max(event.t);
        self.next += 1;
        TraceEvent { i: self.next - 1, t: self.latest, ..event }
    }

    fn remember(&mut self, m: MessageId, sent: Sent) {
        if self.sent.insert(m, sent).is_none() {
            self.order.push_back(m);
        }
        if self.order.len() > SENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.sent.remove(&oldest);
        }
    }
}

impl Source {
    /// What became of an index of its own.
    fn merged(&self, own: u64) -> Option<u64> {
        let at = self.own.binary_search_by_key(&own, |(own, _)| *own).ok()?;
        self.own.get(at).map(|(_, merged)| *merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_tokio::ReplicaId;
    use vr_tokio::vr_core::trace::{Received, Recipient, Remark, Sent as Send, Verdict};
    use vr_tokio::vr_core::{Incarnation, Seq};

    const fn replica(id: u16) -> Node {
        Node::Replica(ReplicaId(id))
    }

    fn message(from: u16, seq: u64) -> MessageId {
        MessageId::Peer { from: ReplicaId(from), incarnation: Incarnation(1), seq: Seq(seq) }
    }

    fn sent(m: MessageId) -> What {
        let (view, op, commit, sz, b) = (None, None, None, None, None);
        What::Sent(Send { m, to: Recipient::Others, ty: "Prepare".into(), view, op, commit, sz, b })
    }

    fn received(m: MessageId) -> What {
        What::Received(Received { m, ty: "Prepare".into(), verdict: Verdict::Ok, why: None })
    }

    fn note(text: &'static str) -> What {
        What::Note(Remark { what: None, text: text.into(), at: None })
    }

    fn event(i: u64, t: u64, by: Option<u64>, what: What) -> TraceEvent {
        TraceEvent { i, by, ..TraceEvent::at(t, replica(9), what) }
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn merge() -> Merge {
        let mut merge = Merge::new(3, 1_000_000, 1);
        for source in 0..3 {
            let id = u16::try_from(source).expect("three");
            merge.begin(source, replica(id), 1_000_000);
        }
        merge
    }

    fn release(merge: &mut Merge, now: Duration) -> Vec<(usize, TraceEvent)> {
        let mut out = Vec::new();
        merge.release(now, |source, event| out.push((source, event)));
        out
    }

    #[test]
    fn events_come_in_the_order_of_their_clocks_each_numbered_and_none_before_it_was_held_back() {
        let mut merge = merge();
        merge.push(1, event(100, 20, None, note("second")), ms(0));
        merge.push(0, event(7, 10, None, note("first")), ms(30));
        assert!(release(&mut merge, ms(49)).is_empty());
        merge.push(2, event(1, 30, None, note("third")), ms(31));
        let out = release(&mut merge, ms(90));
        assert_eq!(
            out.iter().map(|(source, event)| (*source, event.i, event.t)).collect::<Vec<_>>(),
            [(0, 1, 10), (1, 2, 20), (2, 3, 30)]
        );
        assert_eq!(out[0].1.n, Some(replica(0)), "a node speaks for itself only");
    }

    #[test]
    fn a_message_arrives_after_it_was_sent_whatever_the_clocks_say_and_is_caused_by_that() {
        let mut merge = merge();
        let m = message(0, 1);
        merge.push(1, event(100, 5, None, received(m)), ms(0));
        merge.push(1, event(101, 6, Some(100), note("because of it")), ms(0));
        assert!(release(&mut merge, ms(60)).is_empty(), "it waits for the sender");
        merge.push(0, event(7, 50, None, note("cause")), ms(60));
        merge.push(0, event(8, 50, Some(7), sent(m)), ms(60));
        let out = release(&mut merge, ms(120));
        let order: Vec<_> = out.iter().map(|(source, event)| (*source, event.i, event.by)).collect();
        assert_eq!(order, [(0, 1, None), (0, 2, Some(1)), (1, 3, Some(2)), (1, 4, Some(3))]);
        assert!(out.windows(2).all(|pair| pair[0].1.t <= pair[1].1.t), "time does not go back");
    }

    #[test]
    fn a_message_whose_sending_never_comes_is_shown_without_a_cause() {
        let mut merge = merge();
        merge.push(1, event(100, 5, None, received(message(0, 1))), ms(0));
        merge.push(2, event(3, 9, None, note("meanwhile")), ms(0));
        let out = release(&mut merge, ms(60));
        assert_eq!(out.iter().map(|(source, _)| *source).collect::<Vec<_>>(), [2]);
        let out = release(&mut merge, ms(151));
        assert_eq!((out[0].0, out[0].1.by), (1, None));
    }

    #[test]
    fn a_node_that_begins_anew_does_not_mix_up_its_indices() {
        let mut merge = merge();
        merge.push(0, event(7, 10, None, note("of the first life")), ms(0));
        release(&mut merge, ms(60));
        merge.begin(0, replica(0), 9_000_000);
        merge.push(0, event(8, 0, Some(7), note("of the second")), ms(60));
        assert_eq!(release(&mut merge, ms(120))[0].1.by, None);
    }
}
