//! From a seed to a run: the cluster, its surroundings, its clients, and what goes wrong how often.
//!
//! Owns the distributions. Regimes are drawn first, details second, so that quiet runs and bad ones of every kind
//! occur; few operations and many view changes find more than long workloads. Must not know how anything is
//! carried out. PROTOCOL §2 (F1–F14, W1–W5), §3.

mod leases;
mod plans;
mod reads;
mod witnesses;

use crate::faults::FAULT_KINDS;
use crate::odds::{Fates, Odds, place_of};
use crate::rng::{Chance, Rng};
use crate::setup::Setup;
use crate::workload::Mix;
use vr_core::{Batching, Durability, MESSAGE_OVERHEAD_BYTES, MessageKind, Wait};

/// What may go wrong at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of the command line
pub struct FaultSet {
    /// Loss, duplication, reordering, long holds, damage.
    pub net: bool,
    /// Cuts in both directions, stars, flapping.
    pub part: bool,
    /// Cuts in one direction.
    pub oneway: bool,
    /// Crashes of replicas and clients, orderly stops of replicas.
    pub crash: bool,
    /// Processes that stand still.
    pub pause: bool,
    /// Slow disks, failing writes, rotten records, full disks, lost disks, disks that go back.
    pub disk: bool,
    /// Drift, jumps, spontaneous timeouts.
    pub clock: bool,
}

impl FaultSet {
    /// Anything.
    pub const SWARM: Self =
        Self { net: true, part: true, oneway: true, crash: true, pause: true, disk: true, clock: true };
    /// Nothing.
    pub const NONE: Self =
        Self { net: false, part: false, oneway: false, crash: false, pause: false, disk: false, clock: false };

    /// Reads `swarm`, `none`, or some of `net,part,oneway,crash,pause,disk,clock`.
    ///
    /// # Errors
    /// In one line, when a word is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "swarm" => return Ok(Self::SWARM),
            "none" => return Ok(Self::NONE),
            _ => {}
        }
        let mut set = Self::NONE;
        for word in text.split(',').map(str::trim) {
            let switch = match word {
                "net" => &mut set.net,
                "part" => &mut set.part,
                "oneway" => &mut set.oneway,
                "crash" => &mut set.crash,
                "pause" => &mut set.pause,
                "disk" => &mut set.disk,
                "clock" => &mut set.clock,
                _ => {
                    return Err(format!(
                        "`{word}` is no kind of fault: net, part, oneway, crash, pause, disk, clock, or none, or swarm"
                    ));
                }
            };
            *switch = true;
        }
        Ok(set)
    }
}

/// What a person fixed on the command line; the rest is drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// How many replicas.
    pub replicas: Option<u16>,
    /// When a promise may leave.
    pub durability: Option<Durability>,
    /// What may go wrong.
    pub faults: FaultSet,
    /// A planted bug, by name.
    pub mutant: Option<String>,
    /// One of so many clusters has an operator who changes its group under the faults; 0: none has.
    pub reconfigured: u32,
    /// All clusters have witnesses that are large enough, not just some.
    pub witnesses: bool,
    /// All clusters have a lease that can have one, not just some.
    pub leases: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replicas: None,
            durability: None,
            faults: FaultSet::SWARM,
            mutant: None,
            reconfigured: RECONFIGURED,
            witnesses: false,
            leases: false,
        }
    }
}

impl Options {
    /// Can any run be made of these?
    ///
    /// # Errors
    /// In one line, when not.
    pub fn validate(&self) -> Result<(), String> {
        let replicas = self.replicas.unwrap_or(3);
        let durability = self.durability.unwrap_or_default();
        let setup = Setup { mutant: self.mutant.clone(), ..Setup::plain(replicas, durability) };
        setup.config(0).map(|_| ())
    }
}

/// What kind of bad a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Regime {
    Calm,
    Lossy,
    Holding,
    SlowDisk,
    Partitioned,
    OneWay,
    Crashing,
    Skewed,
    PromiseHunter,
}

const REGIMES: [(Regime, u32); 9] = [
    (Regime::Calm, 4),
    (Regime::Lossy, 12),
    (Regime::Holding, 14),
    (Regime::SlowDisk, 8),
    (Regime::Partitioned, 14),
    (Regime::OneWay, 10),
    (Regime::Crashing, 18),
    (Regime::Skewed, 8),
    (Regime::PromiseHunter, 12),
];

/// Draws a run.
#[must_use]
pub fn draw(seed: u64, options: &Options) -> (Setup, Odds) {
    let mut rng = Rng::fork(seed, "swarm");
    let weights = REGIMES.map(|(_, weight)| weight);
    let regime = REGIMES[rng.weighted(&weights).unwrap_or(0)].0;
    let mut setup = draw_cluster(seed, &mut rng, options);
    draw_surroundings(&mut setup, &mut rng, options);
    draw_clients(&mut setup, &mut rng, regime);
    let mut odds = Odds { ways: [3, 1, 1], longest: 8 + small(&mut rng, 24), ..Odds::default() };
    worsen(&mut odds, regime, &mut rng);
    if regime != Regime::Calm {
        for (other, _) in REGIMES {
            if rng.happens(Chance::of(1, 6)) {
                worsen(&mut odds, other, &mut rng);
            }
        }
    }
    if rng.happens(Chance::of(1, 3)) {
        odds.turns = Chance::of(1, rng.within(8, 40));
    }
    draw_later(seed, &mut setup, &mut odds);
    restrict(&mut odds, &mut setup, options.faults);
    setup.together = Rng::fork(seed, "together").below(3) == 0;
    if Rng::fork(seed, "set aside").below(SET_ASIDE) == 0 {
        setup.aside = setup.heartbeat.times(Rng::fork(seed, "given late").below(40).into());
    }
    let mut operator = Rng::fork(seed, "reconfigure");
    if options.reconfigured > 0 && operator.below(options.reconfigured) == 0 {
        plans::plan(&mut setup, &mut operator);
        trouble(&mut odds, options.faults, &mut operator);
    }
    witnesses::draw(seed, &mut setup, &mut odds, options);
    leases::draw(seed, &mut setup, &mut odds, options);
    (setup, odds)
}

/// In one of so many clusters services set their state aside and give it late.
const SET_ASIDE: u32 = 4;

/// What came later has streams of its own: what earlier draws mean stays.
fn draw_later(seed: u64, setup: &mut Setup, odds: &mut Odds) {
    odds.parts_rot = Chance::per_mille(Rng::fork(seed, "parts rot").pick(&[0, 0, 50, 300]));
    odds.core_full = Chance::per_mille(Rng::fork(seed, "core full").pick(&[0, 500]));
    // Operators act on quiet clusters too, but seldom.
    let mut operator = Rng::fork(seed, "hand over");
    if operator.below(3) == 0 {
        add(odds, &mut operator, 12, &[(18, 4)]);
    }
    reads::trouble(seed, setup, odds);
    if Rng::fork(seed, "lost questions").below(LOST_QUESTIONS) == 0 {
        lose_questions(setup, odds);
    }
    if (2..=7).contains(&setup.replicas) && Rng::fork(seed, "far apart").below(FAR_APART) == 0 {
        be_far_apart(setup);
    }
}

/// What epochs say to each other fares badly now and then, beyond what befalls everything.
fn trouble(odds: &mut Odds, faults: FaultSet, rng: &mut Rng) {
    let (lost, held) = (rng.pick(&[0, 0, 100, 500]), rng.pick(&[0, 0, 50, 300]));
    let kinds: Vec<_> = MessageKind::ALL[11..19].iter().copied().filter(|_| rng.below(2) == 0).collect();
    if faults.net && lost + held > 0 {
        spoil(odds, &kinds, Fates::per_mille([50, lost, 50, held, 0]));
    }
}

/// A network that is too slow for the patience its operator chose: a view change takes two latencies at least, four
/// heartbeats, and is waited for two or three before patience grows (PROTOCOL D24).
fn be_far_apart(setup: &mut Setup) {
    setup.latency = setup.heartbeat.times(2);
    setup.latency_spread = 0;
    setup.view_change = (2, 3);
    setup.abdicate = 20;
    setup.client_timeout = setup.heartbeat.times(20);
    setup.max_message_bytes = MESSAGE_OVERHEAD_BYTES + (1 << 20);
}

/// Logs are cut after every op, and hardly anybody is heard who asks for what was: until the faults end, and then it is gone
/// (PROTOCOL D39).
fn lose_questions(setup: &mut Setup, odds: &mut Odds) {
    setup.checkpoint_interval = 1;
    spoil(odds, &[MessageKind::GetState], Fates::per_mille([0, 900, 0, 0, 0]));
}

fn small(rng: &mut Rng, bound: u32) -> u8 {
    u8::try_from(rng.below(bound)).unwrap_or(u8::MAX)
}

fn draw_cluster(seed: u64, rng: &mut Rng, options: &Options) -> Setup {
    let drawn = rng.pick(&[1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5, 6, 7]);
    let replicas = options.replicas.unwrap_or(drawn);
    let is_async = rng.happens(Chance::of(3, 10)) && replicas > 1;
    let drawn = if is_async { Durability::Async } else { Durability::Sync };
    let mut setup = Setup::plain(replicas, options.durability.unwrap_or(drawn));
    setup.seed = seed;
    setup.mutant.clone_from(&options.mutant);
    // Some asynchronous groups lose more than they can bear: only safety is asked of them.
    setup.crash_budget = rng.below(8) != 0;
    setup.max_request_bytes = 256;
    let entries = rng.pick(&[0, 0, 336, 336, 700, 4096, 1 << 20]);
    setup.max_message_bytes = MESSAGE_OVERHEAD_BYTES + entries.max(setup.max_request_bytes);
    setup.checkpoint_interval = rng.pick(&[1, 3, 8, 16, 64]);
    setup.batching = Batching {
        pipeline: rng.pick(&[1, 1, 2, 3, 4, 8]),
        batch_entries: rng.pick(&[1, 2, 8, 64]),
        queue_entries: rng.pick(&[1, 4, 64]),
    };
    setup
}

fn draw_surroundings(setup: &mut Setup, rng: &mut Rng, options: &Options) {
    setup.heartbeat = Wait::millis(rng.pick(&[10, 20, 50, 100]));
    if rng.below(5) == 0 {
        setup.view_change = (4, 8);
        setup.abdicate = 5;
    }
    let heartbeat = setup.heartbeat.0;
    setup.latency = Wait(heartbeat / rng.pick(&[200, 50, 20, 20, 8, 4]));
    setup.latency_spread = rng.pick(&[0, 0, 300, 1000]);
    setup.sync = Wait(heartbeat / rng.pick(&[500, 100, 20, 8, 3]));
    setup.execute = Wait(heartbeat / rng.pick(&[1_000_000, 1_000_000, 100, 8]));
    if options.faults.clock {
        setup.drift_ppm = rng.pick(&[0, 0, 50, 1000, 10_000]);
    }
    setup.safety = setup.heartbeat.times(u64::from(rng.within(60, 220) * rng.pick(&[1, 1, 1, 2, 4, 8])));
    if setup.replicas > 9 {
        setup.safety = setup.heartbeat.times(40);
    }
    setup.slot = Wait(heartbeat / 2);
}

fn draw_clients(setup: &mut Setup, rng: &mut Rng, regime: Regime) {
    setup.clients = rng.pick(&[1, 2, 3, 3, 4, 5, 8, 12]);
    let ops = if regime == Regime::PromiseHunter { rng.within(4, 16) } else { rng.within(12, 60) };
    let ops = ops * rng.pick(&[1, 1, 1, 2]);
    setup.ops = ops.div_ceil(setup.clients);
    // A third of all workloads comes at once, the rest lasts as long as the faults.
    let pause = Wait(setup.safety.0 / u64::from(setup.ops + 1) * 2);
    setup.think = rng.pick(&[Wait(setup.latency.0 * 2), pause, pause]);
    setup.in_step = rng.below(4) == 0;
    if setup.in_step {
        // Bursts: batches of many entries, and torn tails.
        setup.clients = setup.clients.max(4);
        setup.batching.pipeline = rng.pick(&[1, 1, 2]);
        setup.batching.batch_entries = rng.pick(&[4, 64]);
        setup.batching.queue_entries = 64;
    }
    setup.client_timeout = setup.heartbeat.times(u64::from(rng.pick(&[3u32, 6, 6, 20])));
    let near = setup.clients.saturating_sub(rng.below(2)).max(1);
    setup.client_capacity = rng.pick(&[near, setup.clients, setup.clients + 2, 64]);
    setup.mix = Mix { keys: rng.pick(&[1, 2, 3, 5]), ..Mix::default() };
    if rng.below(4) == 0 {
        setup.mix.append = 1;
        setup.mix.cas = 6;
    }
    // Drawn apart: the rest of a setup is what it was before there were reads.
    reads::draw(setup, &mut Rng::fork(setup.seed, "reads"));
}

/// Of one of so many clusters the questions for state are lost.
const LOST_QUESTIONS: u32 = 6;

/// One of so many clusters has an operator who changes its group, unless another share is asked for.
pub const RECONFIGURED: u32 = 4;

/// One of so many clusters is far apart.
const FAR_APART: u32 = 12;

/// Those that a group sends which is never reconfigured; the others have a draw of their own.
fn all_kinds() -> Vec<MessageKind> {
    MessageKind::ALL[..15].to_vec()
}

/// Makes messages of these types fare as badly as this, on top of how they fare already.
fn spoil(odds: &mut Odds, kinds: &[MessageKind], fates: Fates) {
    for kind in kinds {
        odds.messages[place_of(*kind)] = fates;
    }
}

/// Adds what is bad about a regime.
fn worsen(odds: &mut Odds, regime: Regime, rng: &mut Rng) {
    match regime {
        Regime::Calm => {}
        Regime::Lossy => {
            let (late, lost) = (rng.pick(&[0, 50, 300]), rng.pick(&[10, 50, 50, 200]));
            let (twice, corrupt) = (rng.pick(&[0, 30, 200]), rng.pick(&[0, 10, 30]));
            spoil(odds, &MessageKind::ALL, Fates::per_mille([late, lost, twice, 0, corrupt]));
            odds.requests = Fates::per_mille([late, lost, twice, rng.below(30), 0]);
            odds.answers = Fates::per_mille([late, lost * 2, twice, rng.below(30), 0]);
            odds.client_crashes = Chance::per_mille(rng.pick(&[0, 50, 200]));
        }
        Regime::Holding => {
            let kinds: Vec<_> = all_kinds().into_iter().filter(|_| rng.below(3) == 0).collect();
            let held = rng.pick(&[10, 50, 200]);
            spoil(odds, &kinds, Fates::per_mille([50, 20, 20, held, 5]));
            add(odds, rng, 30, &[(4, 8), (5, 2), (0, 1)]);
        }
        Regime::SlowDisk => {
            odds.sync_slow = Chance::per_mille(rng.pick(&[20, 100, 400]));
            odds.sync_fails = Chance::per_mille(rng.pick(&[0, 0, 2, 5]));
            odds.execute_slow = Chance::per_mille(rng.pick(&[0, 50, 200]));
            odds.strike_at_write = Chance::per_mille(rng.pick(&[2, 10, 30]));
            odds.rots = Chance::per_mille(rng.pick(&[0, 100, 500]));
            add(odds, rng, 40, &[(11, 6), (12, 2), (13, 4), (4, 2), (16, 1), (17, 3)]);
        }
        Regime::Partitioned => add(odds, rng, 60, &[(5, 6), (6, 3), (7, 2), (8, 5), (9, 3), (10, 2), (4, 1)]),
        Regime::OneWay => {
            odds.ways = [1, 4, 4];
            add(odds, rng, 60, &[(5, 6), (6, 5), (8, 4), (10, 2), (4, 1)]);
        }
        Regime::Crashing => {
            odds.strike_at_write = Chance::per_mille(rng.pick(&[5, 15, 40]));
            odds.instant_restart = Chance::per_mille(rng.pick(&[100, 500, 900]));
            odds.rots = odds.rots.max(Chance::per_mille(rng.pick(&[0, 0, 50, 200, 800])));
            odds.client_crashes = odds.client_crashes.max(Chance::per_mille(rng.pick(&[0, 100])));
            let stops = rng.pick(&[0, 0, 2, 6]);
            add(odds, rng, 50, &[(0, 10), (1, 2), (2, 2), (4, 2), (5, 2), (14, stops), (15, stops / 2), (17, 2)]);
            odds.weights[16] += rng.below(2);
        }
        Regime::Skewed => add(odds, rng, 60, &[(2, 4), (3, 6), (4, 6), (6, 1)]),
        Regime::PromiseHunter => {
            let hunted = [
                MessageKind::StartViewChange,
                MessageKind::DoViewChange,
                MessageKind::StartView,
                MessageKind::PrepareOk,
            ];
            spoil(odds, &hunted, Fates::per_mille([0, 0, 30, rng.pick(&[30, 200, 500]), 0]));
            odds.strike_after_promise = Chance::per_mille(rng.pick(&[20, 100, 300]));
            odds.instant_restart = Chance::per_mille(900);
            odds.rots = odds.rots.max(Chance::per_mille(rng.pick(&[0, 0, 0, 300])));
            add(odds, rng, 80, &[(4, 10), (5, 2), (3, 1)]);
        }
    }
}

/// More faults of these kinds, with these weights, up to so many in a thousand moments of asking.
fn add(odds: &mut Odds, rng: &mut Rng, most: u32, kinds: &[(usize, u32)]) {
    let more = Chance::per_mille(rng.within(most / 4, most));
    odds.fault = Chance(odds.fault.0.saturating_add(more.0));
    for (kind, weight) in kinds {
        odds.weights[*kind] += weight;
    }
}

/// Takes out what may not go wrong.
fn restrict(odds: &mut Odds, setup: &mut Setup, faults: FaultSet) {
    let [both, out, back] = odds.ways;
    odds.ways =
        [if faults.part { both } else { 0 }, if faults.oneway { out } else { 0 }, if faults.oneway { back } else { 0 }];
    let cuts = faults.part || faults.oneway;
    let allowed: [bool; FAULT_KINDS] = [
        faults.crash,
        faults.crash,
        faults.pause,
        faults.clock,
        faults.clock,
        cuts,
        cuts,
        faults.part,
        cuts,
        faults.part,
        cuts,
        faults.disk,
        faults.disk,
        faults.disk,
        faults.crash,
        faults.crash,
        faults.disk && faults.crash,
        faults.disk && faults.crash,
        // An operator who asks for it breaks nothing; whoever allows no fault wants none of this either.
        faults != FaultSet::NONE,
    ];
    for (weight, allowed) in odds.weights.iter_mut().zip(allowed) {
        *weight *= u32::from(allowed);
    }
    if !faults.net {
        odds.messages = [Fates::default(); MessageKind::ALL.len()];
        (odds.requests, odds.answers) = (Fates::default(), Fates::default());
    }
    if !faults.crash {
        (odds.strike_at_write, odds.strike_after_promise) = (Chance::NEVER, Chance::NEVER);
        odds.client_crashes = Chance::NEVER;
    }
    if !faults.disk {
        (odds.sync_slow, odds.sync_fails, odds.execute_slow) = (Chance::NEVER, Chance::NEVER, Chance::NEVER);
        (odds.rots, odds.parts_rot, odds.core_full) = (Chance::NEVER, Chance::NEVER, Chance::NEVER);
        setup.execute = Wait::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_gives_a_valid_run_and_the_same_one_each_time() {
        let options = Options::default();
        let mut sizes = [0; 8];
        for seed in 0..2000 {
            let (setup, odds) = draw(seed, &options);
            setup.config(0).unwrap();
            sizes[usize::from(setup.replicas)] += 1;
            assert_eq!(draw(seed, &options), (setup, odds));
        }
        assert!(sizes[1..].iter().all(|n| *n > 50), "{sizes:?}");
    }

    #[test]
    fn what_is_fixed_stays_fixed_and_what_is_forbidden_does_not_happen() {
        let options = Options {
            replicas: Some(4),
            durability: Some(Durability::Async),
            faults: FaultSet::NONE,
            ..Options::default()
        };
        for seed in 0..200 {
            let (setup, odds) = draw(seed, &options);
            assert_eq!((setup.replicas, setup.durability, setup.drift_ppm), (4, Durability::Async, 0));
            assert_eq!(odds.weights, [0; FAULT_KINDS]);
            assert_eq!(
                (odds.messages, odds.strike_at_write),
                ([Fates::default(); MessageKind::ALL.len()], Chance::NEVER)
            );
        }
    }

    #[test]
    fn kinds_of_faults_are_read_as_they_are_written() {
        assert_eq!(FaultSet::parse("swarm"), Ok(FaultSet::SWARM));
        assert_eq!(FaultSet::parse("none"), Ok(FaultSet::NONE));
        assert_eq!(FaultSet::parse("net, clock"), Ok(FaultSet { net: true, clock: true, ..FaultSet::NONE }));
        assert!(FaultSet::parse("net,weather").unwrap_err().contains("weather"));
        assert!(FaultSet::parse("").is_err());
    }

    #[test]
    fn impossible_options_are_refused() {
        let of = |replicas, durability| Options { replicas, durability, ..Options::default() }.validate();
        assert!(of(Some(0), None).is_err() && of(Some(65), None).is_err() && of(Some(31), None).is_ok());
        assert!(of(Some(1), Some(Durability::Async)).is_err());
    }
}
