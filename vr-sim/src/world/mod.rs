//! The world of one run: replicas, disks, clocks, links and clients, moved from event to event.
//!
//! Owns virtual time, the queue of what is to come, and which part of the run is on: faults first, then a healed
//! quorum that must come to rest. Decides nothing (the decider does) and judges nothing (the checkers do). Must
//! not know a seed. DESIGN 9.13, 9.16; PROTOCOL §4.
//!
//! ```text
//! decider ─► fates, faults ─► world ─► events ─► Replica::step ─► actions ─► network, disks, service, clients
//!                               └────► happenings ─► digest, marks, checkers, tape
//! ```

mod carry;
mod flights;
mod groups;
mod hands;
mod heal;
mod leases;
mod letters;
mod loss;
mod node;
mod observe;
mod operator;
mod stop;
mod strike;
mod talk;
#[cfg(test)]
mod tests;

pub use hands::HeldMessage;
pub use letters::{Letter, On};
pub use node::Status;

use crate::check::{Checkers, Setting, Violation};
use crate::client::{Client, Patience};
use crate::decider::Decider;
use crate::digest::Digest;
use crate::fate::Restart;
use crate::faults::{Fault, Schedule};
use crate::marks::Marks;
use crate::net::{CutId, Filter, Net};
use crate::queue::Queue;
use crate::setup::Setup;
use crate::tape::Tape;
use crate::workload::App;
use bytes::Bytes;
use flights::Flights;
use node::Node;
use vr_core::wire::Limits;
use vr_core::{Action, Epoch, Group, Message, Op, Rejection, Reply, Request, Time, Wait};

/// More steps than any sane run of so many replicas takes: a storm.
const fn storm(members: u64) -> u64 {
    1_000_000 + 100_000 * members * members
}

/// Something that is going to happen.
#[derive(Clone, Debug)]
enum Pending {
    /// A message arrives.
    Deliver { to: usize, life: u32, held: bool, message: Message },
    /// A client's request arrives; `here`: a backup may answer it, too.
    Request { to: usize, request: Request, here: bool },
    /// A driver takes up the requests that arrived.
    Requests { to: usize, life: u32 },
    /// An answer reaches its client.
    Answer { from: usize, client: usize, reply: Reply },
    /// A refusal reaches its client.
    Refusal { from: usize, client: usize, rejection: Box<Rejection> },
    /// A sync is over.
    Synced { on: usize, life: u32, sync: u32, failed: bool },
    /// The service is done with an op.
    Executed { on: usize, life: u32, op: Op, reply: Bytes },
    /// The service gave its checkpoint, or became one.
    Answered { on: usize, life: u32, answer: Box<vr_core::Input> },
    /// The service answered a read; under a lease, to be told before that moment only.
    Read { on: usize, life: u32, reply: Reply, before: Option<Box<(Time, vr_core::Query)>> },
    /// The deadline of a replica.
    Tick { on: usize, generation: u32 },
    /// A crash strikes, if that life still lasts.
    Crash { on: usize, life: u32, restart: Restart },
    /// A replica is started, if nobody started it before.
    Restart { on: usize, life: u32 },
    /// A process goes on.
    Resume { on: usize, pause: u32 },
    /// A disk is as fast as before.
    DiskHeals { on: usize, slowness: u64 },
    /// A disk has room again, if nobody filled it since.
    DiskHasRoom { on: usize, filling: u32 },
    /// A disk goes back to an earlier image, once the others hold what it forgets; so many times more it is tried.
    GoesBack { on: usize, image: Box<vr_core::Stored>, tries: u32 },
    /// A process is told whether its disk has room.
    Space { on: usize, life: u32, has: bool },
    /// A process is asked to give way.
    HandOver { on: usize, life: u32, to: Option<vr_core::ReplicaId> },
    /// A process that was replaced in an epoch is shut down for good, if that life still lasts.
    Dismissed { on: usize, life: u32, epoch: Epoch },
    /// A process is asked to stop.
    Stop { on: usize, life: u32, restart: Restart },
    /// A cut ends.
    CutEnds(CutId),
    /// A client's timer.
    ClientTimer { client: usize, timer: u32 },
    /// A client crashes, if it still waits for that operation.
    ClientCrash { client: usize, called: u64 },
    /// May something break?
    Slot(u64),
    /// Something breaks.
    Strike(Fault),
    /// The faults end.
    Heal,
    /// Is everything at rest?
    Settled,
}

impl Pending {
    /// The process that takes it, as soon as it does not stand still.
    const fn taken_by(&self) -> Option<usize> {
        match self {
            Self::Deliver { to, .. } | Self::Request { to, .. } | Self::Requests { to, .. } => Some(*to),
            Self::Synced { on, .. }
            | Self::Executed { on, .. }
            | Self::Answered { on, .. }
            | Self::Read { on, .. }
            | Self::Space { on, .. }
            | Self::HandOver { on, .. }
            | Self::Stop { on, .. } => Some(*on),
            Self::Answer { .. }
            | Self::Refusal { .. }
            | Self::Tick { .. }
            | Self::Crash { .. }
            | Self::Restart { .. }
            | Self::Resume { .. }
            | Self::DiskHeals { .. }
            | Self::DiskHasRoom { .. }
            | Self::GoesBack { .. }
            | Self::Dismissed { .. }
            | Self::CutEnds(_)
            | Self::ClientTimer { .. }
            | Self::ClientCrash { .. }
            | Self::Slot(_)
            | Self::Strike(_)
            | Self::Heal
            | Self::Settled => None,
        }
    }
}

/// Which part of a run is on.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    /// Faults.
    Safety,
    /// No new faults; these have been healed and must come to rest before that moment.
    Liveness { core: Vec<usize>, mesh: bool, until: Time },
    /// A person moves the world.
    Hands,
    /// Nothing more happens.
    Over,
}

/// A whole cluster with its surroundings. A clone goes on by itself: runs fork anywhere.
#[derive(Clone)]
pub struct World<A: App> {
    setup: Setup,
    app: A,
    decider: Decider,
    now: Time,
    queue: Queue<Pending>,
    net: Net,
    nodes: Vec<Node<A::Service>>,
    clients: Vec<Client>,
    /// By epoch: the groups that have begun.
    groups: Vec<Group>,
    /// The last epoch that the operator knows of.
    known_epoch: Epoch,
    phase: Phase,
    settled: bool,
    /// More replicas had lost their memory at once than the asynchronous mode tolerates.
    overwhelmed: bool,
    checkers: Option<Checkers>,
    violation: Option<Violation>,
    digest: Digest,
    marks: Marks,
    steps: u64,
    messages: u64,
    acked: u64,
    steps_max: u64,
    schedule: Schedule,
    filters: Vec<(Filter, bool)>,
    held: Vec<HeldMessage>,
    answers: Vec<Reply>,
    refusals: Vec<Rejection>,
    notes: Vec<(usize, vr_core::Note)>,
    tape: Option<Tape>,
    /// Flight recordings, a file for each life.
    flights: Option<Flights>,
    /// What a message may cost on the wire.
    limits: Limits,
    /// Buffers that are used again and again.
    actions: Vec<Action>,
    bytes: Vec<u8>,
}

impl<A: App> World<A> {
    /// A world in which everything is about to start: replicas, clients, faults.
    ///
    /// # Errors
    /// When the setup is no valid configuration, in one line.
    pub fn new(setup: Setup, app: A, decider: Decider) -> Result<Self, String> {
        let mut world = Self::empty(setup, app, decider)?;
        world.phase = Phase::Safety;
        let patience = world.setup.heartbeat.times(world.setup.view_change.0);
        world.marks.witnessed += u64::from(!world.setup.witnesses.is_empty());
        world.marks.leased += u64::from(world.setup.lease.is_some());
        world.marks.far_apart += u64::from(world.setup.latency.times(2) > patience);
        for at in 0..world.nodes.len() {
            let wait = world.setup.wait_up_to(world.setup.heartbeat, "start", num(at));
            let late = world.setup.plan.as_ref().filter(|_| at >= usize::from(world.setup.replicas));
            let late = late.map_or(Wait::ZERO, |plan| world.setup.wait_up_to(plan.late, "late", num(at)));
            world.queue.push(Time::ZERO.after(wait).after(late), Pending::Restart { on: at, life: 0 });
        }
        for at in 0..world.clients.len() {
            let wait = world.setup.wait_up_to(world.setup.think, "first", num(at));
            world.set_client_timer(at, wait);
        }
        world.queue.push(Time::ZERO.after(world.setup.slot), Pending::Slot(0));
        world.queue.push(Time::ZERO.after(world.setup.safety), Pending::Heal);
        Ok(world)
    }

    /// A world in which nothing happens by itself but what replicas do: for hands.
    ///
    /// # Errors
    /// When the setup is no valid configuration, in one line.
    pub fn by_hand(setup: Setup, app: A, decider: Decider) -> Result<Self, String> {
        Self::on_tape(setup, app, decider, None)
    }

    /// [`World::by_hand`], with everything on a tape from the first start on.
    ///
    /// # Errors
    /// As there.
    pub fn on_tape(setup: Setup, app: A, decider: Decider, tape: Option<Tape>) -> Result<Self, String> {
        let mut world = Self::empty(setup, app, decider)?;
        world.tape = tape;
        (0..world.nodes.len()).for_each(|at| world.open(at));
        Ok(world)
    }

    fn empty(setup: Setup, app: A, decider: Decider) -> Result<Self, String> {
        setup.validate()?;
        let all = setup.replicas + setup.spares;
        let members = usize::from(all);
        let nodes = (0..all).map(|position| Node::new(&setup, position)).collect::<Result<Vec<_>, _>>()?;
        let mut net = Net::new(members, setup.latency);
        for at in 0..members * members {
            let (from, to) = (at / members, at % members);
            let longest = Wait(setup.latency.0 / 1000 * setup.latency_spread);
            let more = setup.wait_up_to(longest, "link", num(at));
            net.set_latency(net.between(from, to), Wait(setup.latency.0 + more.0));
        }
        let patience =
            Patience { timeout: setup.client_timeout, backoff: setup.latency.times(2).max(setup.heartbeat.times(1)) };
        let salt = setup.number("client", 0);
        let client = |i| Client::new(i, salt, members, patience, setup.ops);
        let mut clients: Vec<_> = (0..setup.clients).map(client).collect();
        clients.extend(setup.plan.iter().map(|_| client(setup.clients).operating()));
        let limits = Limits::of(&setup.cluster());
        let groups = vec![setup.cluster().group()];
        let checkers = Checkers::new(&Setting { cluster: setup.cluster(), spares: setup.spares }, app.model());
        let checkers = checkers.counting_votes_for(setup.timeouts().vote);
        Ok(Self {
            setup,
            app,
            decider,
            now: Time::ZERO,
            queue: Queue::default(),
            net,
            nodes,
            clients,
            groups,
            known_epoch: Epoch::ZERO,
            phase: Phase::Hands,
            settled: false,
            overwhelmed: false,
            checkers: Some(checkers),
            violation: None,
            digest: Digest::new(),
            marks: Marks::default(),
            steps: 0,
            messages: 0,
            acked: 0,
            steps_max: storm(num(members)),
            schedule: Schedule::default(),
            filters: Vec::new(),
            held: Vec::new(),
            answers: Vec::new(),
            refusals: Vec::new(),
            notes: Vec::new(),
            tape: None,
            flights: None,
            limits,
            actions: Vec::new(),
            bytes: Vec::new(),
        })
    }

    /// Runs until it is over: everything came to rest, the time is up, or a property did not hold.
    pub fn run(&mut self) {
        while self.step_event() {}
    }

    /// Lets the next thing happen; false when there is none or the run is over.
    pub fn step_event(&mut self) -> bool {
        if self.violation.is_some() || self.phase == Phase::Over {
            return false;
        }
        let Some((at, pending)) = self.queue.pop() else { return false };
        self.now = at;
        self.happen(pending);
        if self.steps > self.steps_max {
            self.storm();
        }
        true
    }

    /// May anything depart from the default schedule now?
    const fn asks_decider(&self) -> bool {
        matches!(self.phase, Phase::Safety | Phase::Hands)
    }

    fn happen(&mut self, pending: Pending) {
        if let Some(process) = pending.taken_by().filter(|process| !self.is_ready(*process)) {
            return self.wait_for(process, pending);
        }
        match pending {
            Pending::Deliver { to, life, held, message } => self.deliver(to, life, held, message),
            Pending::Request { to, request, here } => self.deliver_request(to, request, here),
            Pending::Requests { to, life } => self.deliver_requests(to, life),
            Pending::Synced { on, life, sync, failed } => self.synced(on, life, sync, failed),
            Pending::Executed { on, life, op, reply } => self.executed(on, life, op, reply),
            Pending::Answered { on, life, answer } => self.service_answered(on, life, *answer),
            Pending::Read { on, life, reply, before } => self.read_done(on, life, reply, before),
            Pending::Space { on, life, has } => self.told_space(on, life, has),
            Pending::HandOver { on, life, to } => self.told_to_give_way(on, life, to),
            Pending::Stop { on, life, restart } => self.told_to_stop(on, life, restart),
            Pending::Tick { on, generation } => self.tick(on, generation),
            Pending::Answer { client, reply, .. } => self.client_answered(client, &reply),
            Pending::Refusal { client, rejection, .. } => self.client_refused(client, &rejection),
            Pending::Crash { on, life, restart } => self.struck(on, life, restart),
            Pending::Restart { on, life } => self.restart_due(on, life),
            Pending::Resume { on, pause } => self.resume_due(on, pause),
            Pending::DiskHeals { on, slowness } => self.disk_heals(on, slowness),
            Pending::DiskHasRoom { on, filling } => self.disk_has_room(on, filling),
            Pending::GoesBack { on, image, tries } => self.disk_goes_back(on, image, tries),
            Pending::Dismissed { on, life, epoch } => self.dismissed(on, life, epoch),
            Pending::CutEnds(cut) => self.cut_ends(cut),
            Pending::ClientTimer { client, timer } => self.client_timer(client, timer),
            Pending::ClientCrash { client, called } => self.client_crash_due(client, called),
            Pending::Slot(slot) => self.slot(slot),
            Pending::Strike(fault) => self.strike(fault),
            Pending::Heal => self.heal(),
            Pending::Settled => self.ask_settled(),
        }
    }

    // ---- what came of it

    /// The moment the world has reached.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The property that did not hold.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// The hash of everything that happened.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// The rare events seen.
    #[must_use]
    pub const fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Steps of replicas.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Messages delivered between replicas.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Operations acknowledged to clients.
    #[must_use]
    pub const fn acked(&self) -> u64 {
        self.acked
    }

    /// The departures from the default schedule, if they were recorded.
    #[must_use]
    pub fn decisions(&self) -> &[crate::decider::Decision] {
        self.decider.decisions()
    }

    /// The faults that struck.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Histories whose linearizability could not be decided within the bound.
    #[must_use]
    pub fn undecided(&self) -> u64 {
        self.checkers.as_ref().map_or(0, Checkers::undecided)
    }

    /// Did everything come to rest in the end?
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.settled
    }

    /// The setup it was made from.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Judges nothing from now on.
    pub fn without_checkers(&mut self) {
        self.checkers = None;
    }

    /// So many steps are no storm.
    pub const fn allow_steps(&mut self, steps: u64) {
        self.steps_max = steps;
    }

    /// Everything that happens from now on is put on this tape.
    pub fn record(&mut self, tape: Tape) {
        self.tape = Some(tape);
    }

    /// The tape, while everything is put on one.
    #[must_use]
    pub const fn tape(&self) -> Option<&Tape> {
        self.tape.as_ref()
    }

    /// The tape, to put something on it that is no happening of the world.
    pub const fn tape_mut(&mut self) -> Option<&mut Tape> {
        self.tape.as_mut()
    }

    /// Gives the tape back.
    pub const fn take_tape(&mut self) -> Option<Tape> {
        self.tape.take()
    }
}

/// An index as a number.
fn num(index: usize) -> u64 {
    u64::try_from(index).expect("an address has at most 64 bits")
}
