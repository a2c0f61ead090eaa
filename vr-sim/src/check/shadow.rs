//! The ghost of every replica, rebuilt from what it was given and what it asked for, over all its lives.
//!
//! Owns, per replica, the image of its memory (every write issued) and of its disk (every write completed, or
//! found after a crash), what it is right now, and how far it committed and executed. Judges nothing but whether
//! a disk came back as a crash may leave it. Must not know a replica's fields: it would believe what it should
//! check. PROTOCOL §4 "Ghost state", §6.

use super::image::Image;
use super::lineage::Lineage;
use super::{Setting, index};
use std::collections::{BTreeMap, VecDeque};
use vr_core::{
    Checkpoint, Durability, Entry, Epoch, Group, Hash, Head, Kind, Op, Position, ReplicaId, Stored, View, Write,
    WriteId, genesis,
};

/// What a replica is, as its writes tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Not running.
    Down,
    /// Stopped for good.
    Halted,
    /// Stopped in good order: all it knows is on its way to the disk.
    Stopped,
    /// Asking for its memory.
    Recovering,
    /// No member of the group of its epoch: not yet, or not any more.
    Outside,
    /// Promised a view whose log it does not have.
    ViewChange,
    /// Holds the log of its view.
    Backup,
    /// Holds the log of its view, and leads it.
    Primary,
}

impl Standing {
    pub(super) const fn is_normal(self) -> bool {
        matches!(self, Self::Backup | Self::Primary)
    }

    pub(super) const fn is_running(self) -> bool {
        !matches!(self, Self::Down | Self::Halted | Self::Stopped)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Halted => "halted",
            Self::Stopped => "stopped",
            Self::Recovering => "recovering",
            Self::Outside => "no member",
            Self::ViewChange => "in a view change",
            Self::Backup => "a backup",
            Self::Primary => "the primary",
        }
    }
}

/// One replica.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    pub(super) id: ReplicaId,
    pub(super) standing: Standing,
    /// Everything it issued.
    pub(super) memory: Image,
    /// Everything its disk confirmed.
    pub(super) disk: Image,
    in_flight: VecDeque<(WriteId, Write)>,
    /// In this life.
    pub(super) commit: Op,
    /// In this life, the last op it asked its service to execute.
    pub(super) executed: Op,
    /// Was it ever started?
    pub(super) known: bool,
    /// Its disk is gone for good.
    pub(super) lost: bool,
    /// Its disk forgot something that it had confirmed, and nothing told it.
    pub(super) went_back: bool,
}

impl Mirror {
    /// Does it hold everything through `head` where it counts: in the synchronous mode on its disk, otherwise
    /// in its memory, unless that is being asked for?
    pub(super) fn retains(&self, head: Head, sync: bool) -> bool {
        let image = if sync || self.standing == Standing::Down { &self.disk } else { &self.memory };
        !self.is_amnesiac(sync) && image.holds(head)
    }

    /// Without a memory of its own: in the asynchronous mode recovering, or down without the mark of an orderly stop, in
    /// the synchronous one with a damaged disk. Such a replica counts for nothing until it has what it lost from the
    /// others.
    pub(super) const fn is_amnesiac(&self, sync: bool) -> bool {
        let is_away = match self.standing {
            Standing::Down => !self.disk.clean,
            Standing::Halted | Standing::Recovering => true,
            Standing::Stopped | Standing::Outside | Standing::ViewChange | Standing::Backup | Standing::Primary => {
                false
            }
        };
        if sync { self.lost || self.disk.gone.is_some() } else { is_away }
    }
}

/// The whole cluster.
#[derive(Clone, Debug)]
pub(super) struct Shadow {
    cluster: vr_core::ClusterConfig,
    pub(super) sync: bool,
    pub(super) replicas: Vec<Mirror>,
    pub(super) lineage: Lineage,
    /// By epoch: the first one, and those that were decided.
    groups: Vec<Group>,
    /// What reconfigurations that were logged would lead to.
    proposed: BTreeMap<(Op, Hash), Group>,
    /// In which epoch the last op was decided.
    decided_in: Epoch,
}

impl Shadow {
    pub(super) fn new(setting: &Setting) -> Self {
        let cluster = setting.cluster.clone();
        let first = cluster.group().next_id().0;
        let spares: Vec<ReplicaId> = (first..first.saturating_add(setting.spares)).map(ReplicaId).collect();
        let origin = Head { op: Op::ZERO, hash: genesis(cluster.cluster) };
        let mirror = |id: &ReplicaId| Mirror {
            id: *id,
            standing: Standing::Down,
            memory: Image::empty(origin),
            disk: Image::empty(origin),
            in_flight: VecDeque::new(),
            commit: Op::ZERO,
            executed: Op::ZERO,
            known: false,
            lost: false,
            went_back: false,
        };
        Self {
            sync: cluster.durability == Durability::Sync,
            replicas: cluster.members.iter().chain(&spares).map(mirror).collect(),
            lineage: Lineage::new(origin, 0),
            groups: vec![cluster.group()],
            proposed: BTreeMap::new(),
            decided_in: Epoch::ZERO,
            cluster,
        }
    }

    // ---- groups

    /// The group of a view's epoch; of one that was never decided, the last that was.
    pub(super) fn group(&self, view: View) -> &Group {
        let last = self.groups.len() - 1;
        &self.groups[index(view.epoch().0).min(last)]
    }

    /// The last group that was decided.
    pub(super) fn present(&self) -> &Group {
        self.group(View(u64::MAX))
    }

    /// The group in which the last op was decided.
    pub(super) fn deciding(&self) -> &Group {
        self.group(View::first_of(self.decided_in))
    }

    /// How many replicas make a quorum in the epoch of a view.
    pub(super) fn quorum(&self, view: View) -> usize {
        self.group(view).quorum()
    }

    pub(super) fn is_member(&self, place: usize, of: &Group) -> bool {
        of.position(self.id(place)).is_some()
    }

    /// Was it a member of any group that was decided?
    pub(super) fn was_member(&self, place: usize) -> bool {
        self.groups.iter().any(|group| self.is_member(place, group))
    }

    /// The place of a member of a view's group, by its position there.
    pub(super) fn member(&self, view: View, position: Position) -> Option<usize> {
        self.group(view).members().get(position.index()).and_then(|member| self.place(member.id))
    }

    /// The position of a replica in a view's group.
    pub(super) fn position(&self, place: usize, view: View) -> Option<Position> {
        self.group(view).position(self.id(place))
    }

    /// An entry was logged for the first time, or again.
    pub(super) fn born(&mut self, entry: &Entry) {
        self.lineage.born(entry);
        if entry.kind() == Kind::Reconfiguration {
            let group = self.group(View::first_of(entry.epoch()));
            if let Some(next) = group.after(entry, self.cluster.least_members()) {
                self.proposed.insert((entry.op(), entry.hash()), next);
            }
        }
    }

    /// Does an epoch begin after it?
    pub(super) fn is_base(&self, head: Head) -> bool {
        self.groups.iter().any(|group| group.base() == head)
    }

    /// Is this the checkpoint with which a replica leaves its epoch for a later one?
    pub(super) fn begins_epoch(&self, place: usize, checkpoint: &Checkpoint) -> bool {
        let ours = self.replicas[place].memory.view.epoch();
        checkpoint.group().is_some_and(|group| group.epoch() > ours)
    }

    /// Does this entry follow the last one of its epoch?
    pub(super) fn is_beyond_epoch(&self, entry: &Entry) -> bool {
        let last = self.proposed.get(&(entry.op().previous(), entry.parent()));
        last.is_some_and(|next| next.epoch() > entry.epoch())
    }

    /// An op was decided in an epoch: with a reconfiguration the next one begins.
    pub(super) fn decided(&mut self, head: Head, epoch: Epoch) {
        self.decided_in = epoch;
        let Some(next) = self.proposed.get(&(head.op, head.hash)) else { return };
        if index(next.epoch().0) == self.groups.len() {
            let view = View::first_of(next.epoch());
            self.groups.push(next.clone());
            let leader = self.leader(view);
            self.lineage.start(view, leader, head, head.op, &[]);
        }
    }

    /// Is it a member that holds no state (VRR §6.1)?
    pub(super) fn is_witness(&self, place: usize) -> bool {
        self.cluster.is_witness(self.id(place))
    }

    /// In a group with witnesses: how many full members have a checkpoint at `op` or later on their disks, and how many it takes
    /// for one of them to be left when as many members fail as may.
    pub(super) fn holders(&self, op: Op) -> Option<(usize, usize)> {
        self.holders_among(op, |_| true)
    }

    /// [`Shadow::holders`], of those at some places.
    pub(super) fn holders_among(&self, op: Op, counts: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
        let has = |(place, mirror): &(usize, &Mirror)| !self.is_witness(*place) && mirror.disk.checkpointed() >= op;
        let holders = self.replicas.iter().enumerate().filter(|it| counts(it.0) && has(it)).count();
        let needed = vr_core::faults_tolerated(self.cluster.members.len()) + 1;
        (!self.cluster.witnesses.is_empty()).then_some((holders, needed))
    }

    /// The position of a member.
    pub(super) fn place(&self, id: ReplicaId) -> Option<usize> {
        let guess = usize::from(id.0);
        if self.replicas.get(guess).is_some_and(|mirror| mirror.id == id) {
            return Some(guess);
        }
        self.replicas.iter().position(|mirror| mirror.id == id)
    }

    pub(super) fn id(&self, place: usize) -> ReplicaId {
        self.replicas[place].id
    }

    /// The position of the primary of a view.
    pub(super) fn leader(&self, view: View) -> usize {
        self.place(self.group(view).primary(view)).unwrap_or(0)
    }

    /// Did the last entry of an epoch have this op? A reconfiguration is no operation of the service.
    pub(super) fn ends_epoch(&self, op: Op) -> bool {
        self.groups.iter().any(|group| group.base().op == op && group.epoch() > Epoch::ZERO)
    }

    /// Has its disk what this epoch begins with, or a later one?
    pub(super) fn has_begun(&self, place: usize, epoch: Epoch) -> bool {
        let view = self.replicas[place].disk.view;
        let reached = if is_between_epochs(view) { View(view.0 + 1) } else { view };
        reached.epoch() >= epoch
    }

    /// The groups that something still depends on: from the last one of which a quorum has on its disk what its epoch begins
    /// with, to the last that was decided.
    pub(super) fn bodies(&self) -> &[Group] {
        let begun = |group: &Group| {
            let places = group.members().iter().filter_map(|member| self.place(member.id));
            places.filter(|place| self.has_begun(*place, group.epoch())).count()
        };
        let settled = self.groups.iter().rposition(|group| begun(group) >= group.quorum());
        &self.groups[settled.unwrap_or(0)..]
    }

    // ---- lives

    pub(super) fn crash(&mut self, place: usize) {
        self.replicas[place].standing = Standing::Down;
    }

    /// Its disk is gone. What it promised there binds it for ever: it may not come back with less.
    pub(super) fn lose_disk(&mut self, place: usize) {
        let Mirror { disk, in_flight, lost, .. } = &mut self.replicas[place];
        (disk.clean, *lost) = (false, true);
        in_flight.clear();
    }

    /// Its disk is what it was.
    pub(super) fn go_back(&mut self, place: usize, stored: &Stored) {
        let Mirror { disk, in_flight, went_back, .. } = &mut self.replicas[place];
        in_flight.clear();
        (*disk, *went_back) = (Image::of(stored), true);
    }

    /// It was asked to stop, and has said its last. Whoever recovers has no memory to bring to its disk.
    pub(super) fn stop(&mut self, place: usize) {
        let standing = &mut self.replicas[place].standing;
        *standing = if *standing == Standing::Recovering { Standing::Halted } else { Standing::Stopped };
    }

    pub(super) fn halt(&mut self, place: usize) {
        self.replicas[place].standing = Standing::Halted;
    }

    /// A life begins. False when its disk is not what a crash may have left behind.
    pub(super) fn open(&mut self, place: usize, stored: &Stored) -> bool {
        if !self.replicas[place].known {
            stored.log.after(stored.log.base().op).for_each(|entry| self.born(entry));
        }
        let mirror = &mut self.replicas[place];
        if mirror.known {
            if !mirror.disk.survive(&mut mirror.in_flight, stored) {
                return false;
            }
        } else {
            mirror.disk = Image::of(stored);
            mirror.known = true;
        }
        let Mirror { memory, disk, .. } = mirror;
        memory.copy(disk);
        let begins = disk.checkpointed().max(disk.base());
        (mirror.commit, mirror.executed) = (begins, begins);
        let virgin = stored.incarnation == vr_core::Incarnation::ZERO;
        // A checkpoint of a later epoch than any view of the disk: nothing was ever said in that.
        let group = stored.checkpoint.as_ref().and_then(Checkpoint::group);
        let unsaid = group.as_ref().is_some_and(|group| group.epoch() > stored.view.epoch());
        let outside = !self.is_member(place, group.as_ref().unwrap_or(&self.groups[0]));
        if outside || unsaid || ((self.sync || virgin || stored.clean) && stored.damage.is_none()) {
            self.settle(place);
        } else {
            self.replicas[place].standing = Standing::Recovering;
        }
        self.forget_silent_starts(place, virgin);
        true
    }

    /// A view that its primary started in memory, and whose start nobody can have heard of because the write
    /// that had to precede the news is gone, may start again with another log. So has view 0 not begun as long as
    /// its primary has no incarnation.
    fn forget_silent_starts(&mut self, place: usize, virgin: bool) {
        let disk = &self.replicas[place].disk;
        let reached = if self.sync { disk.log_view } else { disk.view };
        // Who leads the first view of an epoch begins with what was decided.
        self.lineage.forget(|log| log.by == place && log.view > reached && log.view.number() > 0);
        if virgin && self.leader(View::ZERO) == place {
            self.lineage.forget_first_entries();
        }
    }

    /// Memory changed: what is this replica now?
    fn settle(&mut self, place: usize) {
        let Mirror { memory, .. } = &self.replicas[place];
        let is_member = self.is_member(place, self.group(memory.view));
        self.replicas[place].standing = if !is_member {
            Standing::Outside
        } else if memory.log_view != memory.view || is_between_epochs(memory.view) {
            Standing::ViewChange
        } else if self.leader(memory.view) == place {
            Standing::Primary
        } else {
            Standing::Backup
        };
    }

    // ---- writes

    /// A replica issued a write that fits its memory.
    pub(super) fn issue(&mut self, place: usize, id: WriteId, write: &Write) {
        let mirror = &mut self.replicas[place];
        mirror.memory.apply(write);
        mirror.in_flight.push_back((id, write.clone()));
        match write {
            Write::Append(entries) => entries.iter().for_each(|entry| self.born(entry)),
            Write::Replace { entries, .. } | Write::Install { entries, .. } | Write::Repair { entries, .. } => {
                entries.iter().for_each(|entry| self.born(entry));
                self.settle(place);
            }
            Write::View(_) => {
                if mirror.standing != Standing::Recovering {
                    self.settle(place);
                }
            }
            Write::Incarnation(_) | Write::Clean | Write::Checkpoint(_) | Write::Cut { .. } => {}
        }
    }

    /// A disk confirmed every write through `upto`.
    pub(super) fn persisted(&mut self, place: usize, upto: WriteId) {
        let mirror = &mut self.replicas[place];
        while mirror.in_flight.front().is_some_and(|(id, _)| *id <= upto) {
            let Some((_, write)) = mirror.in_flight.pop_front() else { return };
            mirror.disk.apply(&write);
        }
    }
}

/// The last number before an epoch is no view of the one before: who has a checkpoint beyond the base of an epoch, and none
/// of its logs yet, names it.
fn is_between_epochs(view: View) -> bool {
    view > View::ZERO && View(view.0.wrapping_add(1)).number() == 0
}
