//! `vr-sim lab`: a cluster driven by a script, and what came of it.
//!
//! Owns where the script comes from, and what is said and written at the end. Must not know how a command is carried
//! out. DESIGN §8; VIEW §3.6.

use super::args::LabArgs;
use super::failure::{cluster, command};
use super::replay::{replica, text_of};
use super::report::{Kind, hex, virtual_time};
use super::screen::{Figure, bad, counted, faint, good, strong};
use super::{Exit, guard, mutants, screen, trace};
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use vr_sim::case::Case;
use vr_sim::lab::{Command, Session, State};
use vr_sim::run::{Severity, record_seed};
use vr_sim::swarm::Options;
use vr_sim::tape::Tape;
use vr_sim::view::text::text;

/// No script is longer.
const SCRIPT_BYTES_MAX: u64 = 1 << 24;

/// Carries it out.
///
/// # Errors
/// In one line: when there is no such cluster, case, event or command, or a file cannot be read or written.
pub(crate) fn lab(args: &LabArgs) -> Result<Exit, String> {
    let commands = Command::script(&script(args)?)?;
    let session = guard::watched(|| played(args, &commands))??;
    let tape = session.tape();
    if args.text {
        screen::say(text(&tape.events).trim_end());
    }
    if let Some(path) = &args.trace {
        write(path, &tape.write())?;
    }
    if let Some(path) = &args.out {
        write(path, &session.case().write())?;
    }
    let told = Told { args, session: &session, tape: &tape };
    screen::say(&if args.json { told.json() } else { told.text() });
    Ok(told.exit())
}

fn script(args: &LabArgs) -> Result<String, String> {
    let Some(path) = &args.script else { return Ok(args.commands.clone().unwrap_or_default()) };
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(SCRIPT_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(SCRIPT_BYTES_MAX).read_to_string(&mut text))
    };
    read.map(|_| text).map_err(|why| told(&why))
}

/// The session, with the script carried out: to its end, or until a property does not hold.
fn played(args: &LabArgs, commands: &[Command]) -> Result<Session, String> {
    let mut session = begun(args)?;
    for command in commands {
        if session.failure().is_some() {
            break;
        }
        session.run(command)?;
    }
    Ok(session)
}

fn begun(args: &LabArgs) -> Result<Session, String> {
    let Some(name) = &args.fork else {
        args.mutant.as_deref().map_or(Ok(()), mutants::known)?;
        return Session::root(&args.setup());
    };
    let told = |why: &dyn std::fmt::Display| format!("{name}: {why}");
    let case = if let Ok(seed) = name.parse() {
        *record_seed(&Options::default(), seed).case.ok_or_else(|| told(&"it left no case"))?
    } else {
        Case::read(&text_of(name).map_err(|why| told(&why))?).map_err(|why| told(&why))?
    };
    Session::of_case(&case, name, args.at).map_err(|why| told(&why))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|why| format!("{}: {why}", path.display()))
}

/// What is told of it.
struct Told<'a> {
    args: &'a LabArgs,
    session: &'a Session,
    tape: &'a Tape,
}

impl Told<'_> {
    fn exit(&self) -> Exit {
        let violated = self.session.world().violation().map(|violation| match violation.severity {
            Severity::Safety => Kind::Safety,
            Severity::Liveness => Kind::Liveness,
        });
        let kind = self.session.panicked().map(|_| Kind::Panic).or(violated);
        kind.map_or(Exit::Held, Kind::exit)
    }

    fn message(&self) -> Option<String> {
        State::of(self.session).violation.map(|violated| violated.msg)
    }

    fn text(&self) -> String {
        let world = self.session.world();
        let title = self.args.fork.as_ref().map_or_else(|| "lab".to_owned(), |case| format!("lab, a fork of {case}"));
        let mut lines = vec![format!("{}: {}", strong().apply_to(title), cluster(world.setup()))];
        lines.extend((0..world.members()).map(|at| replica(world, at)));
        lines.push(format!(
            "  {} virtual seconds, {}, {}, {} acknowledged",
            Figure::seconds(virtual_time(world.now().0.into())),
            counted(trace::events(self.tape), "event"),
            counted(world.messages(), "message"),
            counted(world.acked(), "operation"),
        ));
        lines.push(format!("  {}", faint().apply_to(format!("digest {}", hex(world.digest())))));
        lines.extend(self.message().iter().flat_map(|message| message.lines()).map(|line| format!("  {line}")));
        lines.push(match self.session.failure() {
            Some(property) => bad().apply_to(format!("{property} does not hold")).to_string(),
            None => good().apply_to("all held").to_string(),
        });
        lines.push(match &self.args.out {
            Some(path) => command(&["replay".to_owned(), path.display().to_string()], world.setup().mutant.is_some()),
            None => self.session.command(),
        });
        lines.join("\n")
    }

    fn json(&self) -> String {
        let (session, world) = (self.session, self.session.world());
        let object = Json {
            setup: session.setup_words(),
            fork: self.args.fork.as_ref(),
            at: self.args.at,
            script: session.script_words(),
            property: session.failure(),
            message: self.message(),
            digest: hex(world.digest()),
            virtual_seconds: Figure::seconds(virtual_time(world.now().0.into())),
            events: trace::events(self.tape),
            messages: world.messages(),
            acked_ops: world.acked(),
            state: State::of(session),
            command: session.command(),
            trace: self.args.trace.as_ref(),
            case: self.args.out.as_ref(),
            exit: self.exit().code(),
        };
        serde_json::to_string_pretty(&object).expect("plain numbers and strings")
    }
}

#[derive(Serialize)]
struct Json<'a> {
    setup: String,
    fork: Option<&'a String>,
    at: Option<u64>,
    script: Vec<String>,
    property: Option<&'a str>,
    message: Option<String>,
    digest: String,
    virtual_seconds: Figure,
    events: u64,
    messages: u64,
    acked_ops: u64,
    state: State,
    command: String,
    trace: Option<&'a PathBuf>,
    case: Option<&'a PathBuf>,
    exit: u8,
}
