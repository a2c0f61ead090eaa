//! Recordings whose beginning was given up, whose end is missing, or that are not everybody's: what is left is repeated
//! exactly, judged for what it allows, and never blamed for what is not there.

use bytes::Bytes;
use vr_core::recording::{self, Life, Part, Recording};
use vr_core::{Durability, Midway, Replica, ReplicaId};
use vr_sim::check::Fragments;
use vr_sim::decider::Decider;
use vr_sim::flight::{Fault, Report, judge, judge_all};
use vr_sim::run::world_of;
use vr_sim::swarm::{Options, draw};

/// The lives of a seed's run, or of another one's if a disk goes back in it or a checkpoint is misread on its way out: no
/// recording shows that.
fn lives(seed: u64, durability: Durability) -> Vec<Life> {
    let options = Options { durability: Some(durability), replicas: Some(3), reconfigured: 0, ..Options::default() };
    let (setup, odds) = draw(seed, &options);
    let mut world = world_of(&setup, Decider::seeded(seed, odds));
    world.record_flights();
    world.run();
    assert!(world.violation().is_none(), "seed {seed}: {:?}", world.violation());
    if world.marks().disks_gone_back + world.marks().rotten_parts > 0 {
        return lives(seed + 1000, durability);
    }
    let read = |file: Vec<u8>| recording::read(&Bytes::from(file)).expect("as it was written").lives;
    world.take_flights().into_iter().flat_map(read).collect()
}

/// What the recorder leaves of a life when it gave up the first `from` events and came no further than `to`.
fn part(life: &Life, from: usize, to: usize) -> Part {
    let opening = &life.opening;
    let opened = Replica::open(opening.config.clone(), opening.stored.clone(), opening.at, &mut Vec::new());
    let mut replica = opened.expect("it was opened before");
    for event in &life.events[..from] {
        let _ = replica.step(event.clone());
    }
    let midway = Midway {
        config: opening.config.clone(),
        life: replica.snapshot().incarnation,
        at: opening.at,
        host: opening.host,
        events: u64::try_from(from).expect("few"),
        image: replica.image().into(),
    };
    Part { midway, events: life.events[from..to].to_vec() }
}

fn of_part(part: Part) -> Recording {
    Recording { parts: vec![part], ..Recording::default() }
}

fn of_life(life: &Life) -> Recording {
    Recording { lives: vec![life.clone()], ..Recording::default() }
}

/// Numbers that depend on nothing but the seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound.max(1)
    }
}

fn judged(recordings: &[Recording], what: &str) -> Report {
    judge_all(recordings, None).unwrap_or_else(|fault| panic!("{what}: {fault}"))
}

/// Runs with crashes, partitions and rot, of which every life is left whole, cut anywhere at either end, torn in two, or gone.
#[test]
fn nothing_false_is_said_of_runs_of_which_any_part_is_missing() {
    let mut sum = Report::default();
    for durability in [Durability::Sync, Durability::Async] {
        for seed in 0..30 {
            let (lives, mut numbers) = (lives(seed, durability), Numbers(seed));
            for _ in 0..2 {
                let mut recordings = Vec::new();
                for life in &lives {
                    let events = life.events.len();
                    let (from, to) = (numbers.below(events + 1), numbers.below(events + 1));
                    match numbers.below(5) {
                        0 => recordings.push(of_life(life)),
                        1 => recordings.push(of_part(part(life, from, events))),
                        2 => recordings.push(of_part(part(life, from.min(to), from.max(to)))),
                        3 => {
                            let missing = u64::try_from(events - to).expect("few");
                            let cut = Life { events: life.events[..to].to_vec(), ..life.clone() };
                            recordings.push(Recording { missing, ..of_life(&cut) });
                            recordings.push(of_part(part(life, from.max(to), events)));
                        }
                        _ => {}
                    }
                }
                let report = match judge_all(&recordings, None) {
                    Ok(report) => report,
                    Err(Fault::Empty) => continue,
                    Err(fault) => panic!("seed {seed} {durability:?}: {fault}"),
                };
                (sum.lives, sum.events) = (sum.lives + report.lives, sum.events + report.events);
                (sum.matched, sum.unmatched) = (sum.matched + report.matched, sum.unmatched + report.unmatched);
                sum.given_up += report.given_up;
                sum.committed.0 += report.committed.0;
            }
        }
    }
    assert!(sum.lives > 150 && sum.events > 20_000 && sum.matched > 3_000, "{sum:?}");
    assert!(sum.unmatched > 5_000 && sum.given_up > 10_000 && sum.committed.0 > 500, "{sum:?}");
}

/// Everybody else's recording goes back to the beginning; one ring has wrapped.
#[test]
fn a_cluster_of_which_one_ring_has_wrapped_is_judged_for_what_it_allows() {
    let mut wrapped = 0;
    for seed in 0..40 {
        let lives = lives(seed, Durability::Sync);
        let longest = (0..lives.len()).max_by_key(|at| lives[*at].events.len()).expect("somebody");
        let recordings: Vec<_> = lives
            .iter()
            .enumerate()
            .map(|(at, life)| {
                if at == longest {
                    of_part(part(life, life.events.len() / 2, life.events.len()))
                } else {
                    of_life(life)
                }
            })
            .collect();
        let report = judged(&recordings, &format!("seed {seed}"));
        assert_eq!(report.given_up, u64::try_from(lives[longest].events.len() / 2).expect("few"));
        assert!(report.partial.as_ref().is_some_and(|why| why.contains("is not recorded")), "{report:?}");
        wrapped += usize::from(report.matched > 100 && report.unmatched > 0);
    }
    assert!(wrapped > 20, "{wrapped}");
}

/// One node's record alone: all that it owes by itself.
#[test]
fn the_recording_of_one_replica_alone_is_judged_for_what_it_allows() {
    for seed in 0..40 {
        for durability in [Durability::Sync, Durability::Async] {
            let mut lives = lives(seed, durability);
            lives.retain(|life| life.opening.config.me == ReplicaId(0));
            let report = judge(&lives).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
            assert_eq!(report.partial.as_deref(), Some("nothing of r1 is recorded"));
            assert!(report.matched == 0 && report.unmatched > 0, "{report:?}");
        }
    }
    assert!(Fragments::JUDGED.len() > 12);
}

/// A ring that has not wrapped: the files of a life overlap, each begins with a state, and all of it is a whole run.
#[test]
fn files_that_overlap_are_one_life_and_their_states_are_what_its_events_lead_to() {
    let mut states = 0;
    for seed in 0..20 {
        let (lives, mut numbers) = (lives(seed, Durability::Sync), Numbers(seed));
        let mut recordings = Vec::new();
        for life in &lives {
            let events = life.events.len();
            let first = numbers.below(events + 1);
            let from = numbers.below(first + 1);
            recordings.push(of_life(&Life { events: life.events[..first].to_vec(), ..life.clone() }));
            recordings.push(of_part(part(life, from, events)));
        }
        let (whole, joined) = (judge(&lives).expect("good"), judged(&recordings, "joined"));
        assert_eq!((whole.partial.clone(), whole.states), (None, 0));
        assert_eq!(joined, Report { states: joined.states, ..whole });
        states += joined.states;
    }
    assert!(states > 60, "{states}");
}

#[test]
fn a_state_that_the_events_do_not_lead_to_is_found_out() {
    let lives = lives(1, Durability::Sync);
    let events = lives[0].events.len();
    let later = part(&lives[0], events / 2 + 1, events);
    let mut claimed = part(&lives[0], events / 2, events);
    claimed.midway.image = later.midway.image.clone();
    let first = Life { events: lives[0].events[..events / 2].to_vec(), ..lives[0].clone() };
    let fault = judge_all(&[of_life(&first), of_part(claimed)], None).expect_err("it is not that state");
    assert!(fault.to_string().contains("not in the state that was recorded"), "{fault}");

    let mut other = part(&lives[0], events / 2, events);
    other.events.remove(0);
    let fault = judge_all(&[of_life(&lives[0]), of_part(other)], None).expect_err("an event is gone");
    assert!(fault.to_string().contains("two files tell different events"), "{fault}");
}

/// A recording from anybody, with checksums as they should be.
#[test]
fn a_forged_state_is_refused_or_judged_and_never_panics() {
    let lives = lives(2, Durability::Sync);
    let events = lives[0].events.len();
    let honest = part(&lives[0], events / 3, events);
    let (mut numbers, mut refused) = (Numbers(9), 0);
    for _ in 0..2_000 {
        let mut forged = honest.clone();
        let mut image = forged.midway.image.to_vec();
        let at = numbers.below(image.len());
        image[at] = u8::try_from(numbers.below(256)).expect("a byte");
        forged.midway.image = image.into();
        refused += usize::from(judge_all(&[of_part(forged)], None).is_err());
    }
    assert!(refused > 500, "{refused}");
    let mut foreign = honest.clone();
    foreign.midway.config.me = ReplicaId(2);
    assert!(matches!(judge_all(&[of_part(foreign)], None), Err(Fault::Diverged(_))));
    let mut nothing = honest;
    nothing.midway.image = Bytes::new();
    assert!(matches!(judge_all(&[of_part(nothing)], None), Err(Fault::Diverged(_))));
}
