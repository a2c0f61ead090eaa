//! The laboratory: a simulated cluster that a person, or a script, drives by hand and that does exactly the same again.
//!
//! Owns [`Lab`], a tree of branches. Each is a [`session::Session`]: a world, everything that was recorded of it, and the
//! script that led there, so that (setup, script) is the branch, and for one that was forked from a case, (case, event,
//! script). What cannot be done is refused in one line and changes nothing; nothing panics. Must not know who asks: the
//! command line and the view service do. VIEW §3.6.
//!
//! ```
//! use vr_sim::lab::{Lab, LabSetup};
//!
//! let mut lab = Lab::default();
//! let branch = lab.root(&LabSetup::default()).unwrap();
//! lab.run_text(branch, "register c0 r0; run 20ms; request c0 r0 put x 1; run 20ms").unwrap();
//! lab.run_text(branch, "crash r0; request c0 r1 get x; run 2s").unwrap();
//! let other = lab.fork(branch, 40).unwrap();
//! assert!(lab.lines(other, 0).unwrap().len() > 40);
//! assert!(lab.run_text(branch, "crash r0").unwrap_err().contains("r0 is down"));
//! ```

mod act;
pub mod command;
pub mod session;
pub mod setup;
pub mod state;
pub mod tour;
mod words;

pub use command::Command;
pub use session::Session;
pub use setup::LabSetup;
pub use state::State;
pub use tour::{Tour, TourName, tours};

use crate::case::Case;
use serde::Serialize;
use vr_core::trace::TraceEvent;

/// The most branches that one laboratory has.
pub const BRANCHES_MAX: usize = 128;

/// Which branch, counted from 0.
pub type BranchId = usize;

/// A set of branches.
#[derive(Default)]
pub struct Lab {
    branches: Vec<Branch>,
}

struct Branch {
    parent: Option<BranchId>,
    at: Option<u64>,
    name: String,
    body: Body,
}

enum Body {
    Live(Box<Session>),
    /// A recording that this build cannot make again: to be looked at.
    Recording {
        events: Vec<TraceEvent>,
        why: String,
    },
}

/// A branch, as a list shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Listed {
    /// Which.
    pub id: BranchId,
    /// The one it was forked from.
    pub parent: Option<BranchId>,
    /// At which of its events.
    pub at: Option<u64>,
    /// How people call it.
    pub name: String,
    /// How many events were recorded.
    pub events: u64,
    /// Does a property not hold in it?
    pub violated: bool,
    /// What was done.
    pub script: Vec<String>,
    /// The cluster, in words.
    pub setup: String,
}

impl Lab {
    /// A new branch from nothing: a cluster that just started.
    ///
    /// # Errors
    /// When no cluster can be made of it, in one line.
    pub fn root(&mut self, setup: &LabSetup) -> Result<BranchId, String> {
        let session = Session::root(setup)?;
        let name = format!("cluster {}", self.branches.iter().filter(|branch| branch.parent.is_none()).count() + 1);
        self.add(None, None, name, session)
    }

    /// A new branch from a case: the run as it was through the event `at` (a case by hand: to its end, without `at`).
    /// `name` is what a command line calls the case: a file, or a seed.
    ///
    /// # Errors
    /// When the case cannot be run, or has no such event; in one line.
    pub fn open(&mut self, case: &Case, name: &str, at: Option<u64>) -> Result<BranchId, String> {
        let session = Session::of_case(case, name, at)?;
        self.add(None, at, name.to_owned(), session)
    }

    /// A new branch with everything that its parent did through the thing that recorded the event `at`.
    ///
    /// # Errors
    /// When there is no such branch or event, in one line.
    pub fn fork(&mut self, branch: BranchId, at: u64) -> Result<BranchId, String> {
        let parent = self.branch(branch)?;
        let session = parent.live()?.fork(at)?;
        let name = format!("{}, from event {at}", parent.name);
        self.add(Some(branch), Some(at), name, session)
    }

    /// A new branch on which a guided tour begins. Its steps are for whoever shows them to run.
    ///
    /// # Errors
    /// When there is no such tour, in one line.
    pub fn tour(&mut self, name: &str) -> Result<(BranchId, &'static Tour), String> {
        let tour = tour::named(name)?;
        let Some((events, why)) = tour.recording() else {
            let session = Session::root(&tour.setup)?;
            return self.add(None, None, tour.title.clone(), session).map(|id| (id, tour));
        };
        let body = Body::Recording { events: events.to_vec(), why: why.to_owned() };
        self.push(Branch { parent: None, at: None, name: tour.title.clone(), body }).map(|id| (id, tour))
    }

    fn add(
        &mut self,
        parent: Option<BranchId>,
        at: Option<u64>,
        name: String,
        session: Session,
    ) -> Result<BranchId, String> {
        self.push(Branch { parent, at, name, body: Body::Live(Box::new(session)) })
    }

    fn push(&mut self, branch: Branch) -> Result<BranchId, String> {
        if self.branches.len() >= BRANCHES_MAX {
            return Err(format!("there are {BRANCHES_MAX} branches already; save what is worth it and begin again"));
        }
        self.branches.push(branch);
        Ok(self.branches.len() - 1)
    }

    // ---- doing

    /// Does one thing.
    ///
    /// # Errors
    /// Why it cannot be done, in one line; then nothing changed.
    pub fn run(&mut self, branch: BranchId, command: &Command) -> Result<(), String> {
        self.branch_mut(branch)?.live_mut()?.run(command)
    }

    /// Does what a script says.
    ///
    /// # Errors
    /// The first command that cannot be done, in one line. What stands before it was done, unless something in the script
    /// is no command at all: then nothing was.
    pub fn run_text(&mut self, branch: BranchId, script: &str) -> Result<(), String> {
        let commands = Command::script(script)?;
        commands.iter().try_for_each(|command| self.run(branch, command))
    }

    // ---- looking

    /// All branches, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.branches.iter().enumerate().map(|(id, branch)| branch.listed(id)).collect()
    }

    /// What was recorded from the event `from` on, a JSON object each; the branch goes on, so it has no trailer.
    ///
    /// # Errors
    /// When there is no such branch.
    pub fn lines(&self, branch: BranchId, from: u64) -> Result<Vec<String>, String> {
        let branch = self.branch(branch)?;
        let line = |event: &TraceEvent| serde_json::to_string(event).expect("plain values");
        let events = branch.events();
        let from = usize::try_from(from).unwrap_or(events.len());
        let mut lines: Vec<String> = events.iter().skip(from).map(line).collect();
        if let (0, Body::Live(session), Some(first)) = (from, &branch.body, lines.first_mut()) {
            *first = line(&session.header());
        }
        Ok(lines)
    }

    /// The events themselves.
    ///
    /// # Errors
    /// When there is no such branch.
    pub fn events(&self, branch: BranchId) -> Result<&[TraceEvent], String> {
        self.branch(branch).map(Branch::events)
    }

    /// The file of the trace so far (`vrtrace/1`), with its trailer.
    ///
    /// # Errors
    /// When there is no such branch.
    pub fn trace(&self, branch: BranchId) -> Result<String, String> {
        match &self.branch(branch)?.body {
            Body::Live(session) => Ok(session.tape().write()),
            Body::Recording { .. } => self.lines(branch, 0).map(|lines| lines.join("\n") + "\n"),
        }
    }

    /// What can be seen of it now and is on no tape.
    ///
    /// # Errors
    /// When there is no such branch.
    pub fn state(&self, branch: BranchId) -> Result<State, String> {
        Ok(match &self.branch(branch)?.body {
            Body::Live(session) => State::of(session),
            Body::Recording { events, .. } => State::of_recording(events),
        })
    }

    /// The session as a case file.
    ///
    /// # Errors
    /// When there is no such branch, or it is a recording.
    pub fn case(&self, branch: BranchId) -> Result<Case, String> {
        self.branch(branch)?.live().map(Session::case)
    }

    /// The command line that repeats it.
    ///
    /// # Errors
    /// When there is no such branch.
    pub fn command(&self, branch: BranchId) -> Result<String, String> {
        match &self.branch(branch)?.body {
            Body::Live(session) => Ok(session.command()),
            Body::Recording { events, .. } => {
                tour::repro(events).ok_or_else(|| "nobody wrote down how this was recorded".to_owned())
            }
        }
    }

    /// The session itself.
    ///
    /// # Errors
    /// When there is no such branch, or it is a recording.
    pub fn session(&self, branch: BranchId) -> Result<&Session, String> {
        self.branch(branch)?.live()
    }

    fn branch(&self, id: BranchId) -> Result<&Branch, String> {
        self.branches.get(id).ok_or_else(|| format!("there is no branch {id}"))
    }

    fn branch_mut(&mut self, id: BranchId) -> Result<&mut Branch, String> {
        self.branches.get_mut(id).ok_or_else(|| format!("there is no branch {id}"))
    }
}

impl Branch {
    fn live(&self) -> Result<&Session, String> {
        match &self.body {
            Body::Live(session) => Ok(session),
            Body::Recording { why, .. } => Err(why.clone()),
        }
    }

    fn live_mut(&mut self) -> Result<&mut Session, String> {
        match &mut self.body {
            Body::Live(session) => Ok(session),
            Body::Recording { why, .. } => Err(why.clone()),
        }
    }

    fn events(&self) -> &[TraceEvent] {
        match &self.body {
            Body::Live(session) => session.events(),
            Body::Recording { events, .. } => events,
        }
    }

    fn listed(&self, id: BranchId) -> Listed {
        let events = u64::try_from(self.events().len()).expect("an address has at most 64 bits");
        let (violated, script, setup) = match &self.body {
            Body::Live(session) => (session.failure().is_some(), session.script_words(), session.setup_words()),
            Body::Recording { events, .. } => {
                (State::of_recording(events).violation.is_some(), Vec::new(), "a recording".to_owned())
            }
        };
        Listed { id, parent: self.parent, at: self.at, name: self.name.clone(), events, violated, script, setup }
    }
}
