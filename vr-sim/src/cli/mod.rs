//! The command line: one file per verb, and what verbs share.
//!
//! Owns the exit codes and the way from the arguments to a verb. Clocks, threads and floats (to show, never to
//! decide) are allowed here and nowhere else in the crate. Must not know how a run is run. DESIGN §8.

mod args;
mod bench;
mod case;
mod check;
mod doctor;
mod failure;
mod guard;
#[cfg(feature = "mutants")]
mod hunt;
mod jobs;
mod lab;
mod mutants;
mod progress;
mod recording;
mod replay;
mod report;
mod run;
mod scenarios;
mod screen;
mod shrink;
mod small;
mod stopwatch;
mod summary;
mod trace;

use args::{Cli, Verb};
use clap::Parser;
use clap::error::ErrorKind;
use std::process::ExitCode;

/// How it ended; documented in `--help`, each code is a promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// All held.
    Held,
    /// A safety property did not hold.
    Safety,
    /// Usage, or an unreadable case.
    Usage,
    /// A liveness property did not hold.
    Liveness,
    /// Nothing ran, a floor of rare events was missed, or 10,000 seeds did not show everything.
    Vacuous,
    /// The core panicked.
    Panicked,
    /// Two runs of one seed differed.
    NotDeterministic,
    /// A replay did not do what was recorded.
    NotReproduced,
    /// Interrupted by a person.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Safety => 1,
            Self::Usage => 2,
            Self::Liveness => 3,
            Self::Vacuous => 4,
            Self::Panicked => 5,
            Self::NotDeterministic => 6,
            Self::NotReproduced => 7,
            Self::Interrupted => 130,
        }
    }
}

/// Reads the command line and does what it says. What a verb refuses, it refuses in one line, before it does anything.
pub(crate) fn main() -> ExitCode {
    guard::install();
    let exit = match Cli::try_parse() {
        Ok(cli) => go(cli).unwrap_or_else(|why| refuse(&why)),
        Err(error) => unparsed(&error),
    };
    ExitCode::from(exit.code())
}

fn go(cli: Cli) -> Result<Exit, String> {
    match cli.verb.unwrap_or(Verb::Run(cli.run)) {
        Verb::Run(args) => run::run(&args),
        Verb::Replay(args) if recording::is_one(&args.case) => recording::replay(&args),
        Verb::Replay(args) => replay::replay(&args),
        Verb::Lab(args) => lab::lab(&args),
        Verb::Case(args) => case::case(&args),
        Verb::Shrink(args) => shrink::run(&args),
        Verb::Scenarios(args) => scenarios::list(&args),
        Verb::Mutants(args) => mutants::mutants(&args),
        Verb::Check(args) => check::check(&args),
        Verb::Doctor(args) => doctor::doctor(&args),
        Verb::CheckRecording(args) => recording::check(&args),
        Verb::Bench(args) => bench::bench(&args),
        Verb::Digests(args) => doctor::digests(&args),
    }
}

fn refuse(why: &str) -> Exit {
    screen::complain(&format!("vr-sim: {why}"));
    Exit::Usage
}

/// Help and version are asked for; everything else is refused in one line.
fn unparsed(error: &clap::Error) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A reader that went away, such as `head`, is no failure.
        let _ = error.print();
        return Exit::Held;
    }
    refuse(&format!("{} (see --help)", one_line(&error.to_string())))
}

/// What clap says on several lines, without its hints on usage.
fn one_line(text: &str) -> String {
    let told = text.split("\n\nUsage:").next().unwrap_or_default();
    let told = told.split("\n\nFor more information").next().unwrap_or_default();
    let told = told.strip_prefix("error: ").unwrap_or(told).replace("\n\n  tip: ", "; ");
    told.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(words: &[&str]) -> String {
        let error = Cli::try_parse_from([&["vr-sim"], words].concat()).expect_err("bad usage");
        one_line(&error.to_string())
    }

    #[test]
    fn what_cannot_be_parsed_is_told_in_one_line() {
        assert_eq!(
            refusal(&["run", "--seed", "1"]),
            "unexpected argument '--seed' found; a similar argument exists: '--seeds'"
        );
        assert!(refusal(&["replay"]).contains("<CASE>"));
        assert!(refusal(&["--durability", "later"]).contains("[possible values: sync, async, swarm]"));
        assert!(refusal(&["run", "--replicas", "65"]).contains("65 is not in 1..=64"));
        assert!(refusal(&["fly"]).contains("'fly'"));
        assert!(refusal(&["--seeds", "9..5"]).contains("a range runs upwards"));
        for words in [&["replay"][..], &["fly"], &["--seeds", "x"], &["run", "--scenario", "a", "--seeds", "3"]] {
            assert!(!refusal(words).contains('\n'));
        }
    }
}
