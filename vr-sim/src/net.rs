//! The network: for each direction of each link its latency and whether it is cut; and what is held by hand.
//!
//! Owns links, cuts and filters, between replicas and between clients and replicas. Decides when a message
//! arrives once its fate is known. Must not know what messages mean. PROTOCOL F1–F3, F6, F7.

use crate::fate::Fate;
use crate::marks::Marks;
use vr_core::{MessageKind, ReplicaId, Time, Wait};

/// One direction of a link.
#[derive(Clone, Copy, Debug)]
struct Link {
    latency: Wait,
    /// How many cuts lie over it.
    cuts: u32,
    /// When the latest of what was sent so far arrives.
    latest: Time,
}

/// The place of one direction of a link in the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LinkId(usize);

/// The name of a cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CutId(u32);

impl CutId {
    /// Its number, counted from the beginning of the run.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::from(self.0)
    }
}

/// When the copies of a message arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// Not at all.
    Nowhere,
    /// Once.
    Once(Time),
    /// Twice.
    Twice(Time, Time),
    /// Long after everybody forgot about it.
    Held(Time),
    /// Through the codec, with this damage.
    Corrupt(Time, u32),
}

/// Which messages a person at the controls means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Only of this type.
    pub kind: Option<MessageKind>,
    /// Only from this sender.
    pub from: Option<ReplicaId>,
    /// Only to this receiver.
    pub to: Option<ReplicaId>,
}

impl Filter {
    /// Is this one meant?
    #[must_use]
    pub fn matches(&self, kind: MessageKind, from: ReplicaId, to: ReplicaId) -> bool {
        self.kind.is_none_or(|k| k == kind) && self.from.is_none_or(|f| f == from) && self.to.is_none_or(|t| t == to)
    }
}

/// All links.
#[derive(Clone, Debug)]
pub struct Net {
    members: usize,
    /// From replica to replica, then to each replica from clients and from each replica to clients.
    links: Vec<Link>,
    cuts: Vec<(CutId, Vec<LinkId>)>,
    next_cut: u32,
}

impl Net {
    /// A whole network in which every link has this latency.
    #[must_use]
    pub fn new(members: usize, latency: Wait) -> Self {
        let link = Link { latency, cuts: 0, latest: Time::ZERO };
        Self { members, links: vec![link; members * (members + 2)], cuts: Vec::new(), next_cut: 0 }
    }

    /// From one replica to another, by position.
    #[must_use]
    pub const fn between(&self, from: usize, to: usize) -> LinkId {
        LinkId(from * self.members + to)
    }

    /// From clients to a replica.
    #[must_use]
    pub const fn requests(&self, to: usize) -> LinkId {
        LinkId(self.members * self.members + to)
    }

    /// From a replica to clients.
    #[must_use]
    pub const fn answers(&self, from: usize) -> LinkId {
        LinkId(self.members * (self.members + 1) + from)
    }

    /// Between which replicas it runs; `None` for a link of clients.
    #[must_use]
    pub const fn ends(&self, link: LinkId) -> Option<(usize, usize)> {
        let (from, to) = (link.0 / self.members, link.0 % self.members);
        if from < self.members { Some((from, to)) } else { None }
    }

    /// The number that the next cut gets.
    #[must_use]
    pub fn next_cut(&self) -> u64 {
        u64::from(self.next_cut)
    }

    /// Gives a link another latency.
    pub fn set_latency(&mut self, link: LinkId, latency: Wait) {
        self.links[link.0].latency = latency;
    }

    /// The cuts that lie over a link, and everything that each of them cuts.
    pub fn over(&self, link: LinkId) -> impl Iterator<Item = &(CutId, Vec<LinkId>)> {
        self.cuts.iter().filter(move |(_, links)| links.contains(&link))
    }

    /// Is any link cut?
    #[must_use]
    pub fn is_any_cut(&self) -> bool {
        self.links.iter().any(|link| link.cuts > 0)
    }

    /// Is it cut?
    #[must_use]
    pub fn is_cut(&self, link: LinkId) -> bool {
        self.links[link.0].cuts > 0
    }

    /// Lays a cut over links, until it ends.
    pub fn cut(&mut self, mut links: Vec<LinkId>) -> CutId {
        links.sort_unstable();
        links.dedup();
        links.iter().for_each(|link| self.links[link.0].cuts += 1);
        let id = CutId(self.next_cut);
        self.next_cut += 1;
        self.cuts.push((id, links));
        id
    }

    /// Takes a cut away, if it is still there.
    pub fn end_cut(&mut self, id: CutId) {
        let Some(at) = self.cuts.iter().position(|(cut, _)| *cut == id) else { return };
        let (_, links) = self.cuts.swap_remove(at);
        links.iter().for_each(|link| self.links[link.0].cuts -= 1);
    }

    /// All cuts stay as they are from now on, whatever was to end.
    pub fn freeze_cuts(&mut self) {
        self.cuts.clear();
    }

    /// Makes one link whole, whatever lies over it.
    pub fn heal(&mut self, link: LinkId) {
        for (_, links) in &mut self.cuts {
            links.retain(|l| *l != link);
        }
        self.links[link.0].cuts = 0;
    }

    /// Makes everything whole.
    pub fn heal_all(&mut self) {
        self.cuts.clear();
        self.links.iter_mut().for_each(|link| link.cuts = 0);
    }

    /// The longest latency of all links.
    #[must_use]
    pub fn longest_latency(&self) -> Wait {
        self.links.iter().map(|link| link.latency).max().unwrap_or(Wait::ZERO)
    }

    /// When a message that is sent now arrives. Cuts stop what is sent, not what is on its way.
    pub fn route(&mut self, link: LinkId, now: Time, fate: Fate, marks: &mut Marks) -> Route {
        let Link { latency, cuts, latest } = &mut self.links[link.0];
        if *cuts > 0 {
            marks.messages_cut += 1;
            return Route::Nowhere;
        }
        let part = |parts: u32, of: u64| Wait(latency.0 / of * u64::from(parts));
        let on_time = now.after(*latency);
        let (arrival, route) = match fate {
            Fate::OnTime => (on_time, Route::Once(on_time)),
            Fate::Late(parts) => {
                let late = on_time.after(part(parts, 64));
                (late, Route::Once(late))
            }
            Fate::Lost => {
                marks.messages_lost += 1;
                return Route::Nowhere;
            }
            Fate::Twice(parts) => {
                marks.messages_twice += 1;
                (on_time, Route::Twice(on_time, on_time.after(part(parts, 32))))
            }
            Fate::Held(times) => {
                marks.long_holds += 1;
                return Route::Held(now.after(latency.times(u64::from(times))));
            }
            Fate::Corrupt(damage) => (on_time, Route::Corrupt(on_time, damage)),
        };
        if arrival < *latest {
            marks.messages_reordered += 1;
        }
        *latest = arrival.max(*latest);
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net() -> Net {
        Net::new(3, Wait(640))
    }

    #[test]
    fn every_direction_of_every_link_has_its_own_place() {
        let net = net();
        let mut all: Vec<_> =
            (0..3).flat_map(|a| (0..3).map(move |b| (a, b))).map(|(a, b)| net.between(a, b)).collect();
        all.extend((0..3).map(|r| net.requests(r)));
        all.extend((0..3).map(|r| net.answers(r)));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), net.links.len());
    }

    #[test]
    fn without_faults_messages_arrive_in_order_after_the_latency() {
        let (mut net, mut marks) = (net(), Marks::default());
        let link = net.between(0, 1);
        assert_eq!(net.route(link, Time(5), Fate::OnTime, &mut marks), Route::Once(Time(645)));
        assert_eq!(net.route(link, Time(6), Fate::OnTime, &mut marks), Route::Once(Time(646)));
        assert_eq!(marks, Marks::default());
    }

    #[test]
    fn late_messages_are_overtaken_and_held_ones_come_long_after() {
        let (mut net, mut marks) = (net(), Marks::default());
        let link = net.between(0, 1);
        assert_eq!(net.route(link, Time(0), Fate::Late(32), &mut marks), Route::Once(Time(960)));
        assert_eq!(net.route(link, Time(1), Fate::OnTime, &mut marks), Route::Once(Time(641)));
        assert_eq!(marks.messages_reordered, 1);
        assert_eq!(net.route(link, Time(0), Fate::Held(20), &mut marks), Route::Held(Time(12_800)));
        assert_eq!(net.route(link, Time(0), Fate::Twice(32), &mut marks), Route::Twice(Time(640), Time(1280)));
    }

    #[test]
    fn overlapping_cuts_of_one_direction_end_one_by_one() {
        let (mut net, mut marks) = (net(), Marks::default());
        let (out, back) = (net.between(0, 1), net.between(1, 0));
        let first = net.cut(vec![out, out]);
        let second = net.cut(vec![out]);
        assert!(net.is_cut(out) && !net.is_cut(back));
        net.end_cut(first);
        assert_eq!(net.route(out, Time(0), Fate::OnTime, &mut marks), Route::Nowhere);
        net.end_cut(first);
        net.end_cut(second);
        assert!(!net.is_cut(out));
    }

    #[test]
    fn a_healed_link_stays_whole_when_its_cuts_end_and_a_frozen_cut_never_does() {
        let mut net = net();
        let (a, b) = (net.between(0, 1), net.between(1, 2));
        let cut = net.cut(vec![a, b]);
        net.heal(a);
        assert!(!net.is_cut(a) && net.is_cut(b));
        net.freeze_cuts();
        net.end_cut(cut);
        assert!(net.is_cut(b));
        net.heal_all();
        assert!(!net.is_cut(b));
    }

    #[test]
    fn a_filter_means_what_it_names_and_everything_it_does_not() {
        let filter = Filter { kind: Some(MessageKind::Prepare), to: Some(ReplicaId(1)), from: None };
        assert!(filter.matches(MessageKind::Prepare, ReplicaId(0), ReplicaId(1)));
        assert!(!filter.matches(MessageKind::Commit, ReplicaId(0), ReplicaId(1)));
        assert!(!filter.matches(MessageKind::Prepare, ReplicaId(0), ReplicaId(2)));
        assert!(Filter::default().matches(MessageKind::Commit, ReplicaId(3), ReplicaId(4)));
    }
}
