//! The laboratory behind the service: a simulated cluster that a page drives.
//!
//! Owns the thread that the simulator runs on, and what is asked of it as JSON. What cannot be done is said in one line
//! and changes nothing. Must not know HTTP, nor how a command works. VIEW.md §3.6.

use serde::{Deserialize, Serialize};
use std::sync::mpsc;
use std::thread;
use tokio::sync::oneshot;
use vr_sim::lab::{BranchId, Command, Lab, LabSetup, Listed, State, TourName, tours};

type Work = Box<dyn FnOnce(&mut Lab) + Send>;

/// The laboratory. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Laboratory {
    work: mpsc::Sender<Work>,
}

/// What a page wants done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Do {
    branch: BranchId,
    #[serde(default)]
    from: u64,
    #[serde(rename = "do")]
    commands: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fork {
    branch: BranchId,
    at: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TourAsked {
    name: String,
}

#[derive(Serialize)]
struct Overview {
    branches: Vec<Listed>,
    tours: Vec<TourName>,
}

/// What came of it.
#[derive(Serialize)]
struct Done {
    branch: BranchId,
    events: Vec<String>,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tour: Option<&'static vr_sim::lab::Tour>,
}

#[derive(Serialize)]
struct Line {
    command: String,
}

/// JSON, or why it cannot be, in JSON too where there is more to say than a line.
pub(super) type Outcome = Result<String, Refused>;

/// What was asked for cannot be.
#[derive(Debug)]
pub(super) enum Refused {
    /// Why.
    Bad(String),
    /// As an answer, with what was done before.
    Partly(String),
    /// The laboratory is gone: a bug.
    Gone,
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self::Bad(why)
    }
}

impl Laboratory {
    /// One with a cluster that just started.
    pub(super) fn start(setup: LabSetup) -> Result<Self, String> {
        let (work, asked) = mpsc::channel::<Work>();
        let (ready, is_ready) = mpsc::channel();
        let run = move || {
            // It stays on this thread: a world need not be one that moves.
            let mut lab = Lab::default();
            let root = lab.root(&setup);
            let _ = ready.send(root.map(|_| ()));
            for work in asked {
                work(&mut lab);
            }
        };
        thread::Builder::new().name("laboratory".to_owned()).spawn(run).map_err(|error| error.to_string())?;
        is_ready.recv().map_err(|_| "the laboratory does not open".to_owned())??;
        Ok(Self { work })
    }

    async fn ask(&self, work: impl FnOnce(&mut Lab) -> Outcome + Send + 'static) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let work = Box::new(move |lab: &mut Lab| {
            // Whoever asked may be gone.
            let _ = answer.send(work(lab));
        });
        self.work.send(work).map_err(|_| Refused::Gone)?;
        answered.await.unwrap_or(Err(Refused::Gone))
    }

    /// Branches and tours.
    pub(super) async fn overview(&self) -> Outcome {
        self.ask(|lab| json(&Overview { branches: lab.list(), tours: tours().iter().map(name_of).collect() })).await
    }

    /// The trace of a branch.
    pub(super) async fn trace(&self, branch: BranchId) -> Outcome {
        self.ask(move |lab| Ok(lab.lines(branch, 0)?.join("\n") + "\n")).await
    }

    /// The case file of a branch.
    pub(super) async fn case(&self, branch: BranchId) -> Outcome {
        self.ask(move |lab| Ok(lab.case(branch)?.write())).await
    }

    /// The command line that repeats a branch.
    pub(super) async fn command(&self, branch: BranchId) -> Outcome {
        self.ask(move |lab| json(&Line { command: lab.command(branch)? })).await
    }

    /// Does what the body of a request says.
    pub(super) async fn post(&self, what: &str, body: &[u8]) -> Option<Outcome> {
        Some(match what {
            "do" => match read(body) {
                Ok(asked) => self.ask(move |lab| perform(lab, &asked)).await,
                Err(why) => Err(why),
            },
            "reset" => match read::<LabSetup>(body) {
                Ok(setup) => {
                    self.ask(move |lab| lab.root(&setup).map_err(Refused::from).and_then(|id| whole(lab, id))).await
                }
                Err(why) => Err(why),
            },
            "fork" => match read(body) {
                Ok(Fork { branch, at }) => {
                    self.ask(move |lab| lab.fork(branch, at).map_err(Refused::from).and_then(|id| whole(lab, id))).await
                }
                Err(why) => Err(why),
            },
            "tour" => match read(body) {
                Ok(TourAsked { name }) => self.ask(move |lab| begin_tour(lab, &name)).await,
                Err(why) => Err(why),
            },
            _ => return None,
        })
    }
}

fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::Bad(format!("the body is not what was expected: {error}")))
}

fn json(value: &impl Serialize) -> Outcome {
    serde_json::to_string(value).map_err(|error| Refused::Bad(error.to_string()))
}

fn name_of(tour: &'static vr_sim::lab::Tour) -> TourName {
    TourName { name: &tour.name, title: &tour.title, about: &tour.about }
}

/// Does one command after the other; the first that cannot be done ends it.
fn perform(lab: &mut Lab, asked: &Do) -> Outcome {
    let commands = asked.commands.iter().map(|text| Command::script(text));
    let mut run = commands.map(|some| some.and_then(|some| some.iter().try_for_each(|one| lab.run(asked.branch, one))));
    let error = run.find_map(Result::err);
    drop(run);
    let (branch, is_refused) = (asked.branch, error.is_some());
    let events = lab.lines(branch, asked.from)?;
    let done = json(&Done { branch, events, state: lab.state(branch)?, error, tour: None })?;
    if is_refused { Err(Refused::Partly(done)) } else { Ok(done) }
}

/// A branch from its beginning.
fn whole(lab: &Lab, branch: BranchId) -> Outcome {
    json(&Done { branch, events: lab.lines(branch, 0)?, state: lab.state(branch)?, error: None, tour: None })
}

fn begin_tour(lab: &mut Lab, name: &str) -> Outcome {
    let (branch, tour) = lab.tour(name)?;
    let (events, state) = (lab.lines(branch, 0)?, lab.state(branch)?);
    json(&Done { branch, events, state, error: None, tour: Some(tour) })
}
