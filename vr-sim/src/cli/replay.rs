//! `vr-sim replay`: one seed or one case file again, with everything to look at.
//!
//! Owns the comparison of what happens with what was recorded. Must not know how a run is run. DESIGN §8.

use super::args::{Export, ReplayArgs};
use super::report::{Kind, hex, virtual_time};
use super::screen::{Figure, bad, count, counted, faint, good, strong};
use super::{Exit, failure, guard, screen, trace};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use vr_sim::case::Case;
use vr_sim::decider::Decider;
use vr_sim::lab::Session;
use vr_sim::run::{Severity, Violation, world_of};
use vr_sim::swarm::draw;
use vr_sim::tape::Tape;
use vr_sim::trail::{Divergence, Follower, Trail};
use vr_sim::view::explain::{self, Sentence, explain};
use vr_sim::view::table::Table;
use vr_sim::view::text::text;
use vr_sim::workload::KvClients;
use vr_sim::world::World;

/// No case file is longer.
const CASE_BYTES_MAX: u64 = 1 << 26;

/// What is replayed.
struct Subject {
    seed: u64,
    world: World<KvClients>,
    /// What a case file says that happened.
    recorded: Option<Recorded>,
    /// It was a session by hand, and is played already, all of it on the tape.
    played: Option<Played>,
}

/// How a session ended that is played while it is read.
struct Played {
    panicked: Option<String>,
}

/// What a case file says that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Recorded {
    violation: Option<String>,
    digest: u64,
    trail: Option<Trail>,
}

/// What happened now.
struct Seen {
    violation: Option<Violation>,
    panicked: Option<String>,
    /// It was stopped before its end, after so many events.
    stopped: bool,
    /// Where it left the recorded run.
    divergence: Option<Divergence>,
}

impl Seen {
    fn failure(&self) -> Option<&str> {
        let violated = self.violation.as_ref().map(|violation| violation.property);
        self.panicked.as_ref().map(|_| "panic").or(violated)
    }

    fn kind(&self) -> Option<Kind> {
        let violated = |violation: &Violation| match violation.severity {
            Severity::Safety => Kind::Safety,
            Severity::Liveness => Kind::Liveness,
        };
        self.panicked.as_ref().map(|_| Kind::Panic).or_else(|| self.violation.as_ref().map(violated))
    }
}

/// Carries it out.
///
/// # Errors
/// In one line, when the case cannot be read or the options do not fit it.
pub(crate) fn replay(args: &ReplayArgs) -> Result<Exit, String> {
    let Subject { seed, mut world, recorded, played } = subject(args)?;
    let setup = world.setup().clone();
    if played.is_none() && args.wants_events() {
        trace::begin(&mut world, &again(args));
    }
    let (seen, tape) = match played {
        Some(played) => recall(&mut world, played, args),
        None => play(&mut world, args.until, recorded.as_ref().and_then(|recorded| recorded.trail.as_ref())),
    };
    show(args, &tape)?;
    let table = if args.table { Some(Table::of(&tape.events, args.at)?) } else { None };
    let write = |path: &Option<PathBuf>, text: &dyn Fn() -> String| match path {
        Some(path) => std::fs::write(path, text()).map_err(|why| format!("{}: {why}", path.display())),
        None => Ok(()),
    };
    write(&args.trace, &|| tape.write())?;
    write(&args.html, &|| trace::page(&tape, &format!("seed {seed}")))?;
    let verdict = judge(&seen, recorded.as_ref(), world.digest());
    let story = if args.explain { Some(explain(&tape.events).unwrap_or_default()) } else { None };
    let told = Told { seed, recorded, seen, verdict, tape, table, story };
    if args.json {
        screen::say(&told.json(&world, args));
    } else {
        let text = told.text(&world, &failure::cluster(&setup));
        // What goes to another tool goes there alone.
        let is_taken = args.export.as_ref().is_some_and(|export| export.to.is_none());
        if is_taken { screen::complain(&text) } else { screen::say(&text) }
    }
    Ok(told.verdict.exit)
}

/// What was asked for in a form: lines, or for another tool.
fn show(args: &ReplayArgs, tape: &Tape) -> Result<(), String> {
    if args.text {
        screen::say(text(&tape.events).trim_end());
    }
    let Some(Export { form, to }) = &args.export else { return Ok(()) };
    let made = form.of(&tape.events)?;
    if let Some(warning) = form.warning(&tape.events) {
        screen::complain(&format!("vr-sim: {warning}"));
    }
    match to {
        Some(path) => std::fs::write(path, made).map_err(|why| format!("{}: {why}", path.display())),
        None => {
            screen::say(made.trim_end());
            Ok(())
        }
    }
}

/// The command that does the same.
fn again(args: &ReplayArgs) -> String {
    let words = [vec!["replay".to_owned(), args.case.clone()], args.cluster.words()].concat();
    failure::command(&words, args.cluster.mutant.is_some())
}

/// A number is a seed, everything else a file.
fn subject(args: &ReplayArgs) -> Result<Subject, String> {
    if let Ok(seed) = args.case.parse::<u64>() {
        let (setup, odds) = draw(seed, &args.cluster.options()?);
        let world = guard::watched(|| world_of(&setup, Decider::seeded(seed, odds)))?;
        return Ok(Subject { seed, world, recorded: None, played: None });
    }
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", args.case);
    let case = case_of(&args.case)?;
    if let Some(option) = args.cluster.words().first() {
        return Err(told(&format!("a case file brings its own cluster; {option} is for seeds")));
    }
    let recorded = Some(Recorded { violation: case.violation.clone(), digest: case.digest, trail: case.trail.clone() });
    if case.is_session() {
        let session = guard::watched(|| Session::of_case(&case, &args.case, None)).and_then(|session| session);
        let session = session.map_err(|why| told(&why))?;
        let played = Some(Played { panicked: session.panicked().map(str::to_owned) });
        return Ok(Subject { seed: case.seed, world: session.into_world(), recorded, played });
    }
    let world = guard::watched(|| world_of(&case.setup, Decider::recorded(&case.decisions)));
    let world = world.map_err(|why| told(&format!("no cluster can be made of it: {why}")))?;
    Ok(Subject { seed: case.seed, world, recorded, played: None })
}

/// Reads a case file.
///
/// # Errors
/// In one line, when it cannot be read or is none.
pub(crate) fn case_of(path: &str) -> Result<Case, String> {
    let told = |why: &dyn std::fmt::Display| format!("{path}: {why}");
    let text = text_of(path).map_err(|why| told(&why))?;
    guard::watched(|| Case::read(&text)).map_err(|why| told(&why))?.map_err(|why| told(&why))
}

pub(super) fn text_of(path: &str) -> Result<String, String> {
    let file = File::open(path).map_err(|why| why.to_string())?;
    let mut text = String::new();
    let read = file.take(CASE_BYTES_MAX).read_to_string(&mut text).map_err(|why| why.to_string())?;
    if u64::try_from(read).is_ok_and(|read| read < CASE_BYTES_MAX) {
        Ok(text)
    } else {
        Err(format!("longer than {} bytes: no case file", count(CASE_BYTES_MAX)))
    }
}

/// Runs it to its end, or until so many events happened; along its trail, where it has one.
fn play(world: &mut World<KvClients>, until: Option<u64>, trail: Option<&Trail>) -> (Seen, Tape) {
    let mut stopped = false;
    let mut follower = trail.map(Follower::new);
    let run = guard::watched(|| {
        while !stopped && world.step_event() {
            if let Some(follower) = &mut follower {
                follower.pass(|| world.digest());
            }
            stopped = until.is_some_and(|most| trace::is_full(world, most));
        }
    });
    let tape = trace::end(world, run.is_err(), until);
    let divergence = follower.filter(|_| !stopped).and_then(Follower::divergence);
    (Seen { violation: world.violation().cloned(), panicked: run.err(), stopped, divergence }, tape)
}

/// A session as it was played: to its end, or as much of it as is asked for.
fn recall(world: &mut World<KvClients>, played: Played, args: &ReplayArgs) -> (Seen, Tape) {
    if let Some(tape) = world.tape_mut() {
        tape.repeat_by(again(args));
    }
    let tape = trace::end(world, played.panicked.is_some(), args.until);
    let stopped = args.until.is_some_and(|most| trace::events(&tape) >= most);
    (Seen { violation: world.violation().cloned(), panicked: played.panicked, stopped, divergence: None }, tape)
}

/// Did it do what was recorded?
struct Verdict {
    reproduced: Option<bool>,
    words: String,
    exit: Exit,
}

fn judge(seen: &Seen, recorded: Option<&Recorded>, digest: u64) -> Verdict {
    let exit = seen.kind().map_or(Exit::Held, Kind::exit);
    let told = |reproduced, words: String, exit| Verdict { reproduced, words, exit };
    let Some(recorded) = recorded.filter(|_| !seen.stopped || seen.failure().is_some()) else {
        let words = match (seen.failure(), seen.stopped) {
            (Some(property), _) => format!("{property} does not hold"),
            (None, true) => "stopped before its end: nothing is known of the rest".to_owned(),
            (None, false) => "all held".to_owned(),
        };
        return told(None, words, exit);
    };
    let same = recorded.digest == digest;
    let left = match seen.divergence {
        Some(it) => format!("it diverged at step {} (the same through step {})", it.by_step, it.same_through_step),
        None => format!("it is another run than the recorded one, {}", hex(recorded.digest)),
    };
    let not = |words: String| told(Some(false), words, Exit::NotReproduced);
    match (recorded.violation.as_deref(), seen.failure()) {
        (Some(then), Some(now)) if then == now && same => {
            told(Some(true), format!("reproduced: {now}, the same run to the last event"), exit)
        }
        (Some(then), Some(now)) if then == now => told(Some(true), format!("reproduced: {now}, but {left}"), exit),
        (Some(then), Some(now)) => {
            not(format!("different violation: {then} was recorded, and now it is {now}; {left}"))
        }
        (Some(then), None) => not(format!("not reproduced: {then} was recorded, and now all held; {left}")),
        (None, Some(now)) => told(Some(false), format!("all held when it was recorded, and now {now} does not"), exit),
        (None, None) if same => told(Some(true), "all held, as recorded".into(), exit),
        (None, None) => not(format!("all held, but {left}")),
    }
}

/// What is told of it.
struct Told {
    seed: u64,
    recorded: Option<Recorded>,
    seen: Seen,
    verdict: Verdict,
    tape: Tape,
    table: Option<Table>,
    /// Why a property does not hold; empty where all held.
    story: Option<Vec<Sentence>>,
}

impl Told {
    fn text(&self, world: &World<KvClients>, cluster: &str) -> String {
        let mut lines: Vec<_> = self.table.iter().map(Table::text).collect();
        lines.extend(self.story.iter().map(|story| match story.as_slice() {
            [] => "nothing is to be explained: no property was violated".to_owned(),
            story => explain::text(story),
        }));
        lines.push(format!("{}: {cluster}", strong().apply_to(format!("seed {}", self.seed))));
        lines.extend((0..world.members()).map(|at| replica(world, at)));
        if self.seen.stopped {
            lines.push(format!("  stopped after {}", counted(trace::events(&self.tape), "event")));
        }
        lines.push(format!(
            "  {} virtual seconds, {}, {}, {} acknowledged",
            Figure::seconds(virtual_time(world.now().0.into())),
            counted(world.steps(), "step"),
            counted(world.messages(), "message"),
            counted(world.acked(), "operation"),
        ));
        lines.push(format!("  {}", faint().apply_to(format!("digest {}", hex(world.digest())))));
        if world.undecided() > 0 {
            let told = format!("histories not judged within the bound: {}", count(world.undecided()));
            lines.push(format!("  {}", bad().apply_to(told)));
        }
        let message = self.message();
        lines.extend(message.iter().flat_map(|message| message.lines()).map(|line| format!("  {line}")));
        let style = if self.verdict.exit == Exit::Held { good() } else { bad() };
        lines.push(style.apply_to(&self.verdict.words).to_string());
        lines.join("\n")
    }

    fn message(&self) -> Option<String> {
        let panicked = self.seen.panicked.as_ref().map(|what| format!("the code under test panicked: {what}"));
        panicked.or_else(|| self.seen.violation.as_ref().map(|violation| violation.message.clone()))
    }

    fn json(&self, world: &World<KvClients>, args: &ReplayArgs) -> String {
        let object = Json {
            seed: self.seed,
            case: self.recorded.is_some().then_some(&args.case),
            property: self.seen.failure(),
            message: self.message(),
            digest: hex(world.digest()),
            recorded_property: self.recorded.as_ref().and_then(|recorded| recorded.violation.as_deref()),
            recorded_digest: self.recorded.as_ref().map(|recorded| hex(recorded.digest)),
            reproduced: self.verdict.reproduced,
            divergence: self.seen.divergence,
            stopped: self.seen.stopped,
            virtual_seconds: Figure::seconds(virtual_time(world.now().0.into())),
            steps: world.steps(),
            messages: world.messages(),
            acked_ops: world.acked(),
            undecided: world.undecided(),
            trace: args.trace.as_ref(),
            page: args.html.as_ref(),
            table: self.table.as_ref().map(Table::json),
            story: self.story.as_deref(),
            exit: self.verdict.exit.code(),
        };
        serde_json::to_string_pretty(&object).expect("plain numbers and strings")
    }
}

/// A replica as it was in the end, in one line.
pub(super) fn replica(world: &World<KvClients>, at: usize) -> String {
    world.snapshot(at).map_or_else(
        || format!("  r{at}  down"),
        |seen| {
            let (view, log_view) = (seen.view.0, seen.log_view.0);
            let (op, commit, executed) = (seen.op.0, seen.commit.0, seen.executed.0);
            let status = format!("{:?}", seen.status).to_lowercase();
            format!(
                "  r{at}  {status:<10}  view {view} (log of {log_view})  op {op}  commit {commit}  executed {executed}"
            )
        },
    )
}

#[derive(Serialize)]
struct Json<'a> {
    seed: u64,
    case: Option<&'a String>,
    property: Option<&'a str>,
    message: Option<String>,
    digest: String,
    recorded_property: Option<&'a str>,
    recorded_digest: Option<String>,
    reproduced: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    divergence: Option<Divergence>,
    stopped: bool,
    virtual_seconds: Figure,
    steps: u64,
    messages: u64,
    acked_ops: u64,
    undecided: u64,
    trace: Option<&'a PathBuf>,
    page: Option<&'a PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<&'a [Sentence]>,
    exit: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(property: Option<&'static str>) -> Seen {
        let violation = property.map(|property| Violation {
            property,
            severity: Severity::Liveness,
            message: String::new(),
            replicas: Vec::new(),
            ops: Vec::new(),
        });
        Seen { violation, panicked: None, stopped: false, divergence: None }
    }

    fn judged(then: Option<&str>, now: Option<&'static str>, digest: u64) -> (Option<bool>, u8) {
        let recorded = Recorded { violation: then.map(str::to_owned), digest: 7, trail: None };
        let verdict = judge(&seen(now), Some(&recorded), digest);
        (verdict.reproduced, verdict.exit.code())
    }

    #[test]
    fn what_was_recorded_must_happen_again() {
        assert_eq!(judged(Some("L2 answered"), Some("L2 answered"), 7), (Some(true), 3));
        assert_eq!(judged(Some("L2 answered"), Some("L2 answered"), 8), (Some(true), 3));
        assert_eq!(judged(Some("S1 agreement"), Some("L2 answered"), 7), (Some(false), 7));
        assert_eq!(judged(Some("S1 agreement"), None, 7), (Some(false), 7));
        assert_eq!(judged(None, None, 7), (Some(true), 0));
        assert_eq!(judged(None, None, 8), (Some(false), 7));
        assert_eq!(judged(None, Some("L2 answered"), 8), (Some(false), 3));
    }

    #[test]
    fn what_was_stopped_early_is_not_judged() {
        let stopped = Seen { stopped: true, ..seen(None) };
        let recorded = Recorded { violation: Some("S1 agreement".into()), digest: 7, trail: None };
        assert_eq!(judge(&stopped, Some(&recorded), 8).exit, Exit::Held);
        assert_eq!(judge(&stopped, Some(&recorded), 8).reproduced, None);
    }
}
