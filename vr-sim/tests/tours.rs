//! Guided tours: what a caption claims happens.
//!
//! Owns the facts that a step of a tour may name, and that each of them is so after the step. Must not know the tours.
//! VIEW §3.6.
//!
//! ```text
//! r1 primary|backup|view-change|recovering|down|paused      r1 view|log-view|op|commit|executed 2
//! c0 ready|waiting                                          answer TEXT       (some client got it in this step)
//! seen Prepare, seen Reply again, unseen Prepare            event drop        (in this step)
//! ```

use vr_core::StatusName;
use vr_core::trace::{TraceEvent, What};
use vr_sim::lab::tour::{Step, names};
use vr_sim::lab::{BranchId, Lab, Tour, tours};
use vr_sim::workload::KvClients;
use vr_sim::world::{Status, World};

/// Is this fact so, where these events were recorded in the step? Otherwise, what is so instead.
fn judge(fact: &str, world: &World<KvClients>, events: &[TraceEvent]) -> Result<(), String> {
    let words: Vec<&str> = fact.split(' ').collect();
    let sent = |ty: &str, again: bool| {
        let is_it = |event: &TraceEvent| {
            let What::Sent(it) = &event.what else { return false };
            it.ty == ty && (!again || it.b.as_ref().is_some_and(|more| more.dup == Some(true)))
        };
        events.iter().any(is_it)
    };
    let is_so = |so: bool, instead: &str| if so { Ok(()) } else { Err(instead.to_owned()) };
    match words.as_slice() {
        ["seen", ty] => is_so(sent(ty, false), "none was sent"),
        ["seen", ty, "again"] => is_so(sent(ty, true), "none was sent again"),
        ["unseen", ty] => is_so(!sent(ty, false), "one was sent"),
        ["event", kind] => is_so(events.iter().any(|event| event.what.kind() == *kind), "there was none"),
        ["answer", ..] => {
            let wanted = fact.strip_prefix("answer ").unwrap_or_default();
            let out = |event: &TraceEvent| if let What::Returned(it) = &event.what { it.out.clone() } else { None };
            let all: Vec<String> = events.iter().filter_map(out).collect();
            is_so(all.iter().any(|answer| answer == wanted), &format!("the answers are {all:?}"))
        }
        [who, how] if who.starts_with('c') => {
            let waits = world.is_waiting(place(who));
            let ready = !waits && world.client(place(who)).session().0 != 0;
            is_so(if *how == "ready" { ready } else { *how == "waiting" && waits }, &format!("waiting: {waits}"))
        }
        [who, how] => {
            let now = status(world, place(who));
            is_so(now == *how, now)
        }
        [who, what, number] => {
            let seen = world.snapshot(place(who)).ok_or("it is down")?;
            let now = match *what {
                "view" => seen.view.0,
                "log-view" => seen.log_view.0,
                "op" => seen.op.0,
                "commit" => seen.commit.0,
                "executed" => seen.executed.0,
                "checkpoint" => seen.checkpoint.0,
                other => return Err(format!("nothing is known of {other}")),
            };
            is_so(number.parse() == Ok(now), &format!("it is {now}"))
        }
        _ => Err("this is no fact".to_owned()),
    }
}

fn place(who: &str) -> usize {
    who[1..].parse().unwrap_or_else(|_| panic!("`{who}` is nobody"))
}

fn status(world: &World<KvClients>, at: usize) -> &'static str {
    match (world.status(at), world.snapshot(at).map(|seen| seen.status)) {
        (Status::Down, _) | (_, None) => "down",
        (Status::Paused, _) => "paused",
        (Status::Up, Some(StatusName::Primary)) => "primary",
        (Status::Up, Some(StatusName::Backup)) => "backup",
        (Status::Up, Some(StatusName::ViewChange)) => "view-change",
        (Status::Up, Some(StatusName::Recovering)) => "recovering",
        (Status::Up, Some(StatusName::Transitioning)) => "transitioning",
        (Status::Up, Some(StatusName::Retired)) => "retired",
        (Status::Up, Some(StatusName::Halted)) => "halted",
    }
}

/// Plays a tour on a new branch that has just begun, and gives what is not as its captions say.
fn play(tour: &Tour, lab: &mut Lab, branch: BranchId) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, Step { caption, commands, expect, .. }) in tour.steps.iter().enumerate() {
        let told = |what: &str, why: &str| format!("{}, step {} ({caption}): `{what}`: {why}", tour.name, number + 1);
        let from = lab.events(branch).expect("its branch").len();
        for command in commands {
            wrong.extend(lab.run_text(branch, command).err().map(|why| told(command, &why)));
        }
        let (world, events) =
            (lab.session(branch).expect("a live one").world(), lab.events(branch).expect("its branch"));
        wrong.extend(
            expect.iter().filter_map(|fact| judge(fact, world, &events[from..]).err().map(|why| told(fact, &why))),
        );
        if expect.is_empty() {
            wrong.push(told("", "a caption that claims nothing"));
        }
    }
    wrong
}

/// Plays a tour as a visitor gets it.
fn visit(tour: &Tour) -> Vec<String> {
    let mut lab = Lab::default();
    let (branch, _) = lab.tour(&tour.name).expect("a tour of the list");
    let mut wrong = play(tour, &mut lab, branch);
    wrong.extend(lab.state(branch).expect("its branch").violation.map(|it| format!("{}: {}", tour.name, it.msg)));
    wrong
}

#[test]
fn what_a_caption_claims_happens() {
    let wrong: Vec<String> = tours().iter().filter(|tour| tour.fork).flat_map(visit).collect();
    assert!(wrong.is_empty(), "{} claims are wrong:\n  {}\n", wrong.len(), wrong.join("\n  "));
}

#[test]
fn tours_have_names_of_their_own_and_short_captions() {
    let mut seen: Vec<_> = names().into_iter().map(|tour| tour.name).collect();
    assert!(seen.len() >= 7, "{seen:?}");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), tours().len());
    for tour in tours() {
        assert!(!tour.title.is_empty() && !tour.about.is_empty() && !tour.steps.is_empty(), "{}", tour.name);
        assert!(tour.steps.iter().all(|step| (20..=320).contains(&step.caption.len())), "{}", tour.name);
        assert_eq!(
            tour.fork,
            tour.why.is_empty(),
            "{}: a reason stands where there is something to explain",
            tour.name
        );
    }
    let mut lab = Lab::default();
    assert!(lab.tour("nowhere").expect_err("no such tour").contains("normal-case"));
}

#[test]
fn a_recorded_tour_speaks_of_its_events_in_order_and_ends_at_the_violation() {
    let recorded: Vec<_> = tours().iter().filter_map(|tour| tour.recording().map(|it| (tour, it.0))).collect();
    assert_eq!(recorded.len(), tours().iter().filter(|tour| !tour.fork).count());
    assert!(!recorded.is_empty(), "one tour shows a planted bug");
    for (tour, events) in recorded {
        let at: Vec<u64> = tour.steps.iter().map(|step| step.at.expect("an event to speak of")).collect();
        assert!(at.is_sorted_by(|one, next| one < next), "{}: {at:?}", tour.name);
        let last = usize::try_from(*at.last().expect("steps")).unwrap();
        assert!(matches!(events[last].what, What::Violated(_)), "{}: event {last} is no violation", tour.name);
        let mut lab = Lab::default();
        let (branch, _) = lab.tour(&tour.name).expect("a tour of the list");
        assert!(lab.fork(branch, 10).expect_err("it cannot be forked").contains("planted bug"));
        assert!(lab.run_text(branch, "crash r0").is_err());
        assert!(lab.state(branch).expect("its branch").violation.is_some());
    }
}

/// With `VR_BLESS=1` it writes the recording instead.
#[cfg(feature = "mutants")]
#[test]
fn the_recorded_tour_is_what_its_planted_bug_does() {
    for tour in tours().iter().filter(|tour| !tour.fork) {
        let mut lab = Lab::default();
        let branch = lab.root(&tour.setup).expect("a cluster with a planted bug");
        let wrong = play(tour, &mut lab, branch);
        assert!(wrong.is_empty(), "{} claims are wrong:\n  {}\n", wrong.len(), wrong.join("\n  "));
        let lines =
            lab.lines(branch, 0).expect("its branch").iter().map(|line| format!("{line}\n")).collect::<String>();
        let path = format!("{}/tours/{}.vrt.jsonl", env!("CARGO_MANIFEST_DIR"), tour.name);
        if std::env::var_os("VR_BLESS").is_some() {
            std::fs::write(&path, &lines).expect("a writable folder");
        }
        // The command that repeats it names the profile of the build that recorded it.
        let any_profile = |text: &str| text.replacen("--profile sim", "--release", 1);
        let committed = std::fs::read_to_string(&path).expect("the recording");
        assert!(
            any_profile(&committed) == any_profile(&lines),
            "{path} is no longer what happens; VR_BLESS=1 records it again"
        );
    }
}

#[test]
fn what_is_not_so_is_found_out() {
    let mut lab = Lab::default();
    let (branch, _) = lab.tour("normal-case").expect("the first one");
    let world = lab.session(branch).expect("a live one").world();
    for fact in ["r0 backup", "r0 view 7", "c0 ready", "seen Prepare", "answer 3", "event drop", "r0 speed 3", "x"] {
        assert!(judge(fact, world, lab.events(branch).expect("its branch")).is_err(), "{fact}");
    }
}
