//! `vr-sim doctor`: the same seeds in two processes, on one thread here and on all there, and where they part.
//!
//! Owns the comparison. Two processes, because addresses and the seeds of hash maps differ between them, which is what
//! hidden chance is made of. DESIGN §8.

use super::args::{DigestsArgs, DoctorArgs};
use super::jobs::{self, News, Plan, Then};
use super::report::hex;
use super::screen::{bad, counted, good, strong};
use super::{Exit, failure, guard, screen};
use serde::Serialize;
use std::env;
use std::process::{Command, Stdio};
use vr_sim::run::run_seed;

/// Carries out `doctor`.
///
/// # Errors
/// In one line, when it asks for what cannot be, or a second process cannot be had.
pub(crate) fn doctor(args: &DoctorArgs) -> Result<Exit, String> {
    args.cluster.options()?;
    let seeds = format!("{}..{}", args.seeds.start, args.seeds.end);
    let digests = |jobs: u16| {
        let words = [vec!["digests".into(), "--seeds".into(), seeds.clone(), "--jobs".into(), jobs.to_string()]];
        output(&[words.concat(), args.cluster.words()].concat())
    };
    let (one, other) = (digests(1)?, digests(jobs::threads(None))?);
    let compared = u64::try_from(one.lines().count()).unwrap_or(u64::MAX);
    let parted = parting(&one, &other).map(|(_, here, there)| (here.to_owned(), there.to_owned()));
    let mut diagnosis = Diagnosis { seeds: compared, ..Diagnosis::default() };
    if let Some((here, there)) = parted {
        let seed = here.split(' ').next().or_else(|| there.split(' ').next()).unwrap_or_default().to_owned();
        let words = [vec!["replay".to_owned(), seed.clone(), "--text".to_owned()], args.cluster.words()].concat();
        let (one, other) = (output(&words)?, output(&words)?);
        diagnosis.replay = Some(failure::command(&words, args.cluster.mutant.is_some()));
        diagnosis.divergent_seed = seed.parse().ok();
        if let Some((at, here, there)) = parting(&one, &other) {
            diagnosis.divergent_event = u64::try_from(at).ok();
            diagnosis.one = Some(here.to_owned());
            diagnosis.other = Some(there.to_owned());
        }
    }
    diagnosis.exit = diagnosis.verdict().code();
    screen::say(&if args.json { diagnosis.json() } else { diagnosis.text() });
    Ok(diagnosis.verdict())
}

/// Carries out `digests`: one line per seed.
///
/// # Errors
/// In one line, when it asks for what cannot be.
pub(crate) fn digests(args: &DigestsArgs) -> Result<Exit, String> {
    let options = args.cluster.options()?;
    let shard = super::args::Shard { part: 1, of: 1 };
    let plan = Plan { seeds: args.seeds.clone(), shard, until: None, jobs: jobs::threads(args.jobs.jobs) };
    let run = |seed| guard::watched(|| run_seed(&options, seed)).map_or_else(|what| what, |done| hex(done.digest));
    jobs::sweep(&plan, &run, &|_| false, &mut |news| {
        if let News::Done(seed, digest) = news {
            screen::say(&format!("{seed} {digest}"));
        }
        Then::GoOn
    });
    Ok(Exit::Held)
}

/// What this program prints, in another process, when it is given these words. How it ends is not asked.
fn output(words: &[String]) -> Result<String, String> {
    let told = |why: std::io::Error| format!("this program cannot be run again: {why}");
    let program = env::current_exe().map_err(told)?;
    let ran = Command::new(program).args(words).env("NO_COLOR", "1").stdin(Stdio::null()).output().map_err(told)?;
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

/// The first line in which two texts differ, counted from 0; a text that ended has an empty one.
fn parting<'a>(one: &'a str, other: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let (mut here, mut there) = (one.lines(), other.lines());
    let mut at = 0;
    loop {
        match (here.next(), there.next()) {
            (None, None) => return None,
            (here, there) if here == there => at += 1,
            (here, there) => return Some((at, here.unwrap_or_default(), there.unwrap_or_default())),
        }
    }
}

#[derive(Serialize, Default)]
struct Diagnosis {
    seeds: u64,
    divergent_seed: Option<u64>,
    /// Which event of it, counted from 0, as `replay --text` prints them.
    divergent_event: Option<u64>,
    one: Option<String>,
    other: Option<String>,
    replay: Option<String>,
    exit: u8,
}

impl Diagnosis {
    const fn verdict(&self) -> Exit {
        match (self.seeds, &self.replay) {
            (_, Some(_)) => Exit::NotDeterministic,
            (0, None) => Exit::Vacuous,
            (_, None) => Exit::Held,
        }
    }

    fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain numbers and strings")
    }

    fn text(&self) -> String {
        let Some(replay) = &self.replay else {
            return match self.seeds {
                0 => bad().apply_to("nothing ran: no seed, no proof").to_string(),
                seeds => {
                    let told =
                        format!("{} twice, in two processes: the same to the last event", counted(seeds, "seed"));
                    good().apply_to(told).to_string()
                }
            };
        };
        let seed = self.divergent_seed.map_or_else(String::new, |seed| format!(" {seed}"));
        let mut lines = vec![bad().apply_to(format!("not deterministic: seed{seed} ran in two ways")).to_string()];
        match (self.divergent_event, &self.one, &self.other) {
            (Some(at), Some(one), Some(other)) => {
                lines.push(format!("  {} {at}, counted from 0:", strong().apply_to("they part at event")));
                lines.extend([format!("  one   {}", one.trim()), format!("  other {}", other.trim())]);
            }
            _ => lines
                .push("  when it was replayed, event by event, the two were the same: it does not show always".into()),
        }
        lines.push("  look at it:".into());
        lines.push(replay.clone());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_texts_part_at_their_first_different_line() {
        assert_eq!(parting("a\nb\n", "a\nb\n"), None);
        assert_eq!(parting("a\nb\nc\n", "a\nx\nc\n"), Some((1, "b", "x")));
        assert_eq!(parting("a\n", "a\nb\n"), Some((1, "", "b")));
    }

    #[test]
    fn what_parts_is_told_with_a_command_last() {
        console::set_colors_enabled(false);
        let parted = Diagnosis {
            seeds: 3,
            divergent_seed: Some(2),
            divergent_event: Some(41),
            one: Some("x".into()),
            other: Some("y".into()),
            replay: Some("cargo run".into()),
            exit: 6,
        };
        assert_eq!(parted.verdict().code(), 6);
        assert!(parted.text().contains("event 41") && parted.text().ends_with("\ncargo run"));
        assert_eq!(Diagnosis::default().verdict(), Exit::Vacuous);
        assert_eq!(Diagnosis { seeds: 1, ..Diagnosis::default() }.verdict(), Exit::Held);
    }
}
