//! The stage of a scenario: a world moved by hand, the roles in it, time, and how it ends.
//!
//! Owns [`Scenario`] and [`Role`]. Whatever lets time pass says at once when a property does not hold any more.
//! Must not know any story. STYLE §2.3, §6.9.

use super::EXPECTATION;
use crate::check::{Severity, Violation};
use crate::decider::{ChoiceKind, Decider, Decision};
use crate::setup::Setup;
use crate::tape::Tape;
use crate::workload::KvClients;
use crate::world::{Status, World};
use vr_core::{Snapshot, Wait};

/// What a step of a story comes to: what it gives, or the property that does not hold (any more).
pub type Verdict<T = ()> = Result<T, Violation>;

/// Who is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The primary of the latest view that has one.
    P,
    /// The first after it in the rotation.
    B1,
    /// The second after it.
    B2,
    /// The third after it.
    B3,
    /// The fourth after it.
    B4,
    /// Replica 0, whatever it is.
    R0,
    /// Replica 1.
    R1,
    /// Replica 2.
    R2,
    /// Replica 3.
    R3,
    /// Replica 4.
    R4,
    /// The replica at this position.
    R(usize),
    /// Everybody.
    All,
    /// Everybody but the primary.
    Backups,
    /// Everybody but the replica at this position.
    Others(usize),
}

/// How a healed quorum is linked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// All with all.
    Mesh,
    /// Only the first with the others.
    Star,
}

/// What becomes of whoever is not healed: a decision of `ChoiceKind::Outsider`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outsider {
    /// It hears those who are healed, and they do not hear it.
    Unheard,
    /// It does not hear them, and they hear it.
    Deaf,
}

/// How a story ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// Everything is healed and must come to rest.
    Rest,
    /// The story has said all there is to say.
    Done,
}

/// A cluster in the hands of a story.
pub struct Scenario {
    pub(crate) world: World<KvClients>,
    ending: Ending,
    /// The command that repeats it, if it is put on a tape.
    recorded: Option<String>,
}

impl Scenario {
    /// A fresh cluster in view 0.
    ///
    /// # Panics
    /// When the setup is impossible.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self::with(setup, &[], None)
    }

    /// A fresh cluster; everything that happens from its first start on is put on a tape, which names this command.
    pub(super) fn recorded(setup: Setup, command: String) -> Self {
        Self::with(setup, &[], Some(command))
    }

    fn with(setup: Setup, decisions: &[Decision], recorded: Option<String>) -> Self {
        let clients = KvClients::new(setup.seed, setup.mix);
        let tape = recorded.as_ref().map(|command| {
            let mut tape = Tape::default();
            tape.begin(&setup, Some(command.clone()));
            tape
        });
        let decider = Decider::recorded(decisions);
        let world = World::on_tape(setup, clients, decider, tape).expect("a setup that was thought of");
        Self { world, ending: Ending::Rest, recorded }
    }

    // ---- who

    /// How many replicas there are.
    #[must_use]
    pub fn members(&self) -> usize {
        self.world.members()
    }

    /// Everybody of this role, by position.
    #[must_use]
    pub fn all(&self, role: Role) -> Vec<usize> {
        let (members, primary) = (self.members(), self.world.primary());
        let others = |than: usize| (0..members).filter(|at| *at != than).collect();
        match role {
            Role::P => vec![primary],
            Role::B1 => vec![(primary + 1) % members],
            Role::B2 => vec![(primary + 2) % members],
            Role::B3 => vec![(primary + 3) % members],
            Role::B4 => vec![(primary + 4) % members],
            Role::R0 => vec![0],
            Role::R1 => vec![1],
            Role::R2 => vec![2],
            Role::R3 => vec![3],
            Role::R4 => vec![4],
            Role::R(at) => vec![at],
            Role::All => (0..members).collect(),
            Role::Backups => others(primary),
            Role::Others(than) => others(than),
        }
    }

    /// The position of the one who has this role now.
    ///
    /// # Panics
    /// When the role is that of several.
    #[must_use]
    pub fn at(&self, role: Role) -> usize {
        let all = self.all(role);
        assert_eq!(all.len(), 1, "{role:?} is no single replica");
        all[0]
    }

    /// What everybody of this role looks like who is up.
    #[must_use]
    pub fn snapshots(&self, role: Role) -> Vec<Snapshot> {
        self.all(role).into_iter().filter_map(|at| self.world.snapshot(at)).collect()
    }

    /// Those of this role who are up.
    #[must_use]
    pub fn up(&self, role: Role) -> Vec<usize> {
        self.all(role).into_iter().filter(|at| self.world.status(*at) == Status::Up).collect()
    }

    // ---- time

    /// One heartbeat, H.
    #[must_use]
    pub fn heartbeat(&self) -> Wait {
        self.world.setup().heartbeat
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// The property that does not hold any more.
    pub fn run(&mut self, wait: Wait) -> Verdict {
        self.world.run_for(wait);
        self.judge()
    }

    /// [`Scenario::run`], in milliseconds.
    ///
    /// # Errors
    /// As there.
    pub fn run_ms(&mut self, ms: u64) -> Verdict {
        self.run(Wait::millis(ms))
    }

    /// Lets time pass until something is so.
    ///
    /// # Errors
    /// When it is not in time; or the property that does not hold any more.
    pub fn wait_until(&mut self, bound: Wait, what: &str, mut done: impl FnMut(&World<KvClients>) -> bool) -> Verdict {
        let until = self.world.now().after(bound);
        let is_done = self.world.run_until(until, &mut done);
        self.judge()?;
        let ms = bound.0 / 1_000_000;
        if is_done { Ok(()) } else { self.disappoint(format!("within {ms} ms {what}")) }
    }

    /// The property that does not hold any more, if there is one.
    ///
    /// # Errors
    /// That one.
    pub fn judge(&self) -> Verdict {
        self.world.violation().map_or(Ok(()), |violation| Err(violation.clone()))
    }

    /// Something was expected and is not so.
    ///
    /// # Errors
    /// Always.
    pub fn disappoint<T>(&self, expected: impl AsRef<str>) -> Verdict<T> {
        self.judge()?;
        let message = format!("expected {}; there is {}", expected.as_ref(), self.picture());
        let severity = Severity::Liveness;
        Err(Violation { property: EXPECTATION, severity, message, replicas: Vec::new(), ops: Vec::new() })
    }

    /// Something is expected.
    ///
    /// # Errors
    /// When it is not so; or the property that does not hold any more.
    pub fn expect(&self, is_so: bool, expected: impl AsRef<str>) -> Verdict {
        self.judge()?;
        if is_so { Ok(()) } else { self.disappoint(expected) }
    }

    /// Everybody, in a line.
    fn picture(&self) -> String {
        let one = |at: usize| {
            let Some(s) = self.world.snapshot(at) else { return format!("r{at} down") };
            let wants = if s.wants_view_change { " (wants to leave)" } else { "" };
            format!(
                "r{at} {:?} in view {} op {} commit {} executed {}{wants}",
                s.status, s.view, s.op, s.commit, s.executed
            )
        };
        (0..self.members()).map(one).collect::<Vec<_>>().join(", ")
    }

    // ---- the end

    /// Nothing is asked of the cluster at the end of this story: why, stands beside the call.
    pub const fn end_here(&mut self) {
        self.ending = Ending::Done;
    }

    /// Whoever is not healed in the end hears or is heard, one way. To be called before anything happens.
    ///
    /// # Panics
    /// When something has happened already.
    pub(crate) fn leave_outside(&mut self, at: usize, how: Outsider) {
        assert_eq!(self.world.now(), vr_core::Time::ZERO, "to be said first");
        let value = match how {
            Outsider::Unheard => 1,
            Outsider::Deaf => 2,
        };
        let key = u64::try_from(at).expect("few replicas");
        let decision = Decision { kind: ChoiceKind::Outsider, key, occurrence: 0, value };
        let recorded = self.recorded.take();
        *self = Self::with(self.world.setup().clone(), &[decision], recorded);
    }

    /// These are healed, started and linked; everything that is waited for must come, and they must agree. The
    /// story is over.
    ///
    /// # Errors
    /// The property that does not hold.
    pub(crate) fn rest(&mut self, core: &[usize], shape: Shape) -> Verdict {
        self.judge()?;
        self.ending = Ending::Done;
        self.wake_clients();
        let settled = self.world.settle(core, shape == Shape::Mesh);
        self.judge()?;
        if settled { Ok(()) } else { self.disappoint("everything to come to rest") }
    }

    /// [`Scenario::rest`] of these as a mesh, whatever becomes of the others.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn rest_among(&mut self, core: &[usize]) -> Verdict {
        self.rest(core, Shape::Mesh)
    }

    /// The end of the story, if it has not told its own.
    pub(super) fn conclude(&mut self) -> Verdict {
        self.judge()?;
        match self.ending {
            Ending::Rest => self.rest(&self.all(Role::All), Shape::Mesh),
            Ending::Done => Ok(()),
        }
    }
}
