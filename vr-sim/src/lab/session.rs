//! One session: a world, everything that was recorded of it, and the script that led there.
//!
//! Owns the execution of commands, and that the same base and script give the same world, tape and digest every time. A
//! base is a fresh cluster, or a case that was run again until it recorded some event; after that the script acts, and
//! what was decided for the case goes on being decided. Must not know other sessions. DESIGN 9.13; VIEW §3.6.

use super::command::{Command, RUN_MAX, STEPS_MAX};
use super::setup::LabSetup;
use super::{act, setup};
use crate::case::Case;
use crate::check::{Severity, Violation};
use crate::decider::Decider;
use crate::run::{what_panicked, world_of};
use crate::shell;
use crate::tape::Tape;
use crate::workload::KvClients;
use crate::world::World;
use std::panic::{AssertUnwindSafe, catch_unwind};
use vr_core::Time;
use vr_core::trace::{Mode, TraceEvent};

/// A session records no more than about so many events.
pub const EVENTS_MAX: usize = 250_000;
/// A command line with a longer script gives it as a here-document.
const LINE_MAX: usize = 2000;
/// What a panic is called where properties are named.
const PANIC: &str = "panic";

/// A cluster in somebody's hands.
pub struct Session {
    base: Base,
    world: World<KvClients>,
    script: Vec<Command>,
    panicked: Option<String>,
}

/// Where a session begins.
#[derive(Clone)]
struct Base {
    /// Without any script.
    case: Box<Case>,
    /// What a command line calls it.
    name: String,
    /// The event through which the case is run again; `None` for a cluster by hand.
    at: Option<u64>,
}

impl Session {
    /// A cluster that just started.
    ///
    /// # Errors
    /// When no cluster can be made of it, in one line.
    pub fn root(asked: &LabSetup) -> Result<Self, String> {
        let mut case = Case::new(asked.seed, asked.setup()?, Vec::new(), 0);
        case.by_hand = true;
        Self::of_case(&case, "session.vrcase", None)
    }

    /// A case as a session: one by hand, or a fork, with its script; any other one is forked, through the event `at`.
    /// `name` is what a command line calls the case.
    ///
    /// # Errors
    /// When the case cannot be run or its script not be carried out, or there is no such event; in one line.
    pub fn of_case(case: &Case, name: &str, at: Option<u64>) -> Result<Self, String> {
        let (script, base_at) = (case.script.clone(), case.fork_at);
        let mut case = Box::new(case.clone());
        (case.script, case.fork_at) = (Vec::new(), None);
        let is_session = case.by_hand || base_at.is_some();
        if !is_session && at.is_none() {
            return Err("this case is no session by hand: say at which event to fork it".to_owned());
        }
        let base_at = if case.by_hand { None } else { base_at.or(at) };
        let mut session = Self::begin(Base { case, name: name.to_owned(), at: base_at })?;
        for (place, command) in script.iter().enumerate() {
            let done = command.parse().and_then(|command| session.run(&command));
            done.map_err(|why| format!("line {} of its script: {why}", place + 1))?;
        }
        match at.filter(|_| is_session) {
            Some(at) => session.fork(at),
            None => Ok(session),
        }
    }

    fn begin(base: Base) -> Result<Self, String> {
        let (setup, decider) = (base.case.setup.clone(), Decider::recorded(&base.case.decisions));
        setup.validate()?;
        let mut tape = Tape::default();
        tape.begin_as(Mode::Lab, &setup, None);
        let made = catch_unwind(AssertUnwindSafe(|| match base.at {
            None => World::on_tape(setup.clone(), KvClients::new(setup.seed, setup.mix), decider, Some(tape)),
            Some(_) => {
                let mut world = world_of(&setup, decider);
                world.record(tape);
                Ok(world)
            }
        }));
        let world = made.map_err(|payload| format!("no cluster can be made of it: {}", what_panicked(&*payload)))??;
        let mut session = Self { base, world, script: Vec::new(), panicked: None };
        if let Some(at) = session.base.at {
            while !session.has(at) && session.thing(None) {}
            session.must_have(at)?;
        }
        Ok(session)
    }

    /// Another session, with everything that this one did through the thing that recorded the event `at`.
    ///
    /// # Errors
    /// When there is no such event.
    pub fn fork(&self, at: u64) -> Result<Self, String> {
        self.must_have(at)?;
        let base = Base { at: self.base.at.map(|base_at| base_at.min(at)), ..self.base.clone() };
        let mut fork = Self::begin(base)?;
        for command in &self.script {
            if fork.has(at) {
                break;
            }
            if let Command::Step(count) = command {
                fork.step_through(*count, None, at);
            } else if let Command::Run(wait) = command {
                let until = fork.world.now().after(*wait);
                fork.step_through(u64::MAX, Some(until), at);
                if !fork.has(at) {
                    fork.reach(until);
                    fork.remember(command);
                }
            } else {
                fork.run(command)?;
            }
        }
        fork.must_have(at).map(|()| fork)
    }

    /// Lets so many things happen before a moment, but none after the one that records the event `at`. What is remembered
    /// of a time that passed in part is how many things happened.
    fn step_through(&mut self, most: u64, until: Option<Time>, at: u64) {
        let mut count = 0;
        while count < most && !self.has(at) && self.thing(until) {
            count += 1;
        }
        if self.has(at) {
            self.remember(&Command::Step(count));
        } else if until.is_none() {
            self.remember(&Command::Step(most));
        }
    }

    fn has(&self, at: u64) -> bool {
        usize::try_from(at).is_ok_and(|at| at < self.events().len())
    }

    fn must_have(&self, at: u64) -> Result<(), String> {
        if self.has(at) {
            return Ok(());
        }
        Err(format!("there is no event {at} to fork at: it has the events 0 to {}", self.events().len() - 1))
    }

    // ---- doing

    /// Does one thing.
    ///
    /// # Errors
    /// Why it cannot be done, in one line; then nothing changed.
    pub fn run(&mut self, command: &Command) -> Result<(), String> {
        self.may_go_on(command)?;
        if let Command::Step(count) = command {
            self.world.next_at().ok_or_else(|| format!("`{command}`: nothing is due"))?;
            let mut left = *count;
            while left > 0 && self.thing(None) {
                left -= 1;
            }
        } else if let Command::Run(wait) = command {
            self.reach(self.world.now().after(*wait));
        } else if let Command::Note(text) = command {
            let now = self.world.now();
            self.world.tape_mut().into_iter().for_each(|tape| tape.caption(now, text.clone()));
        } else {
            act::check(&self.world, command)?;
            self.guarded(|world| act::carry_out(world, command));
        }
        self.remember(command);
        Ok(())
    }

    fn may_go_on(&self, command: &Command) -> Result<(), String> {
        let over = |why: &str| Err(format!("`{command}`: {why}"));
        if self.events().len() >= EVENTS_MAX {
            return over(&format!("this branch is full, with {EVENTS_MAX} events; fork it earlier"));
        }
        match self.failure() {
            _ if matches!(command, Command::Note(_)) => Ok(()),
            Some(PANIC) => over("the code under test panicked; fork this branch before that"),
            Some(property) => over(&format!("{property} does not hold any more; fork this branch before that")),
            None if self.world.is_over() => over("this run has come to its end; fork it earlier"),
            None => Ok(()),
        }
    }

    /// Lets everything happen that is due until then.
    fn reach(&mut self, until: Time) {
        while self.thing(Some(until)) {}
        if !self.is_finished() {
            self.guarded(|world| {
                world.run_until(until, |_| false);
            });
        }
    }

    /// Lets things happen until one of them has left something on the tape; false when none did before that moment.
    fn thing(&mut self, until: Option<Time>) -> bool {
        let before = self.events().len();
        while self.events().len() == before {
            let due = self.world.next_at().is_some_and(|next| until.is_none_or(|until| next <= until));
            if self.is_finished() || !due {
                return false;
            }
            self.guarded(|world| {
                world.step_event();
            });
        }
        true
    }

    fn is_finished(&self) -> bool {
        self.failure().is_some() || self.world.is_over() || self.events().len() >= EVENTS_MAX
    }

    /// The code under test may panic: that is a finding, not the end of the laboratory.
    fn guarded(&mut self, act: impl FnOnce(&mut World<KvClients>)) {
        let world = &mut self.world;
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| act(world))) {
            self.panicked = Some(what_panicked(&*payload));
        }
        let panic = self.panicked.as_ref().map(|message| Violation {
            property: PANIC,
            severity: Severity::Safety,
            message: message.clone(),
            replicas: Vec::new(),
            ops: Vec::new(),
        });
        let (now, violation) = (self.world.now(), panic.or_else(|| self.world.violation().cloned()));
        if let (Some(violation), Some(tape)) = (violation, self.world.tape_mut())
            && tape.violations() == 0
        {
            tape.violated(now, &violation);
        }
    }

    /// Two times that pass one after the other are one time that passes, and so it is with things that happen.
    fn remember(&mut self, command: &Command) {
        let merged = match (self.script.last(), command) {
            (Some(Command::Run(one)), Command::Run(two)) if one.0 + two.0 <= RUN_MAX.0 => {
                Some(Command::Run(vr_core::Wait(one.0 + two.0)))
            }
            (Some(Command::Step(one)), Command::Step(two)) if one + two <= STEPS_MAX => Some(Command::Step(one + two)),
            _ => None,
        };
        match (merged, self.script.last_mut()) {
            (Some(merged), Some(last)) => *last = merged,
            _ => self.script.push(command.clone()),
        }
    }

    // ---- looking

    /// The world.
    #[must_use]
    pub const fn world(&self) -> &World<KvClients> {
        &self.world
    }

    /// The world, with its tape.
    #[must_use]
    pub fn into_world(self) -> World<KvClients> {
        self.world
    }

    /// What was recorded.
    #[must_use]
    pub fn events(&self) -> &[TraceEvent] {
        self.world.tape().map_or(&[], |tape| &tape.events)
    }

    /// The property that does not hold, or `panic`.
    #[must_use]
    pub fn failure(&self) -> Option<&'static str> {
        let violated = self.world.violation().map(|violation| violation.property);
        self.panicked.as_ref().map(|_| PANIC).or(violated)
    }

    /// What the code under test panicked with.
    #[must_use]
    pub fn panicked(&self) -> Option<&str> {
        self.panicked.as_deref()
    }

    /// What was done.
    #[must_use]
    pub fn script(&self) -> &[Command] {
        &self.script
    }

    /// What was done, as it is typed.
    #[must_use]
    pub fn script_words(&self) -> Vec<String> {
        self.script.iter().map(ToString::to_string).collect()
    }

    /// The cluster in words.
    #[must_use]
    pub fn setup_words(&self) -> String {
        let setup = &self.base.case.setup;
        let planted = setup.mutant.as_ref().map_or_else(String::new, |name| format!(", planted bug {name}"));
        format!("{} replicas, {}{planted}", setup.replicas, setup::word(setup.durability))
    }

    /// The first event, which names the command that repeats all of it.
    #[must_use]
    pub fn header(&self) -> TraceEvent {
        let mut tape = Tape::default();
        tape.begin_as(Mode::Lab, &self.base.case.setup, Some(self.command()));
        tape.events.swap_remove(0)
    }

    /// The tape as it would be if the session ended now.
    #[must_use]
    pub fn tape(&self) -> Tape {
        let mut tape = self.world.tape().cloned().unwrap_or_default();
        tape.repeat_by(self.command());
        tape.end(self.world.now(), self.panicked.is_some());
        tape
    }

    /// The session as a case: its base and its script, with what came of it.
    #[must_use]
    pub fn case(&self) -> Case {
        let mut case = (*self.base.case).clone();
        (case.script, case.fork_at) = (self.script_words(), self.base.at);
        (case.digest, case.violation) = (self.world.digest(), self.failure().map(str::to_owned));
        env!("CARGO_PKG_VERSION").clone_into(&mut case.version);
        case
    }

    /// The command line that repeats it.
    #[must_use]
    pub fn command(&self) -> String {
        let Base { case, name, at } = &self.base;
        let planted = case.setup.mutant.is_some();
        let asked = LabSetup::of(&case.setup).filter(|_| case.decisions.is_empty());
        let mut words = vec!["lab".to_owned()];
        match (at, asked) {
            (Some(at), _) => words.extend(["--fork".to_owned(), name.clone(), "--at".to_owned(), at.to_string()]),
            (None, Some(asked)) => words.extend(asked.options()),
            // No option asks for such a cluster: it is in a file only.
            (None, None) => return shell::command(&["replay".to_owned(), name.clone()], planted),
        }
        let script = self.script_words();
        if script.iter().map(|command| command.len() + 2).sum::<usize>() > LINE_MAX {
            words.extend(["--script".to_owned(), "-".to_owned()]);
            return format!("{} <<'END'\n{}\nEND", shell::command(&words, planted), script.join("\n"));
        }
        if !script.is_empty() {
            words.extend(["--do".to_owned(), script.join("; ")]);
        }
        shell::command(&words, planted)
    }
}
