//! How long one fault keeps clients waiting: a cluster under a steady load, hit once, at a moment of chance.
//!
//! Owns the faults that are measured, the clusters they strike, and what "unavailable" means. Must not know who asks, nor
//! how many seeds there are. Each measurement is the beginning of a case that `vr-sim replay` repeats.

use crate::case::Case;
use crate::decider::{ChoiceKind, Decider, Decision};
use crate::digest::Digest;
use crate::fate::Restart;
use crate::faults::{Fault, Length, Way, Who};
use crate::rng::Rng;
use crate::run::{recorded, world_of};
use crate::setup::Setup;
use vr_core::{Durability, Time, Wait};

/// So many clients call at any time, or are about to.
pub const CLIENTS: u32 = 8;
/// The longest time between an answer and the next call of the same client, in milliseconds.
pub const THINK_MS: u64 = 100;
/// What strikes after this many heartbeats at the earliest …
const WARM: u32 = 10;
/// … and at the latest.
const LATEST: u32 = 30;
/// So many heartbeats after the fault, or after its end if it has one, the next answer is the last that counts …
pub const WATCHED: u64 = 60;
/// … and if there is none within so many after the fault, there never is. A fault that lasts lasts longer.
pub const GIVEN_UP: u64 = 400;
/// What lasts as long as is watched: 512 heartbeats.
const LASTING: Length = Length(63);

/// What a cluster goes through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ordeal {
    /// Nothing, for comparison.
    Nothing,
    /// The primary crashes and stays down.
    PrimaryCrash,
    /// One link of the primary fails in one direction.
    OneWayLink,
    /// All links of the primary to replicas fail in one direction.
    OneWayPrimary,
    /// One link of the primary comes and goes.
    FlappingLink,
    /// The primary's disk becomes slow.
    SlowDisk,
    /// The primary stands still and goes on later.
    PausedPrimary,
}

impl Ordeal {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Nothing,
        Self::PrimaryCrash,
        Self::OneWayLink,
        Self::OneWayPrimary,
        Self::FlappingLink,
        Self::SlowDisk,
        Self::PausedPrimary,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no fault",
            Self::PrimaryCrash => "primary crash",
            Self::OneWayLink => "one-way link",
            Self::OneWayPrimary => "one-way primary",
            Self::FlappingLink => "flapping link",
            Self::SlowDisk => "slow disk",
            Self::PausedPrimary => "paused primary",
        }
    }

    /// What it is, in words.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Nothing => "for comparison: what the load alone makes of it",
            Self::PrimaryCrash => "the primary's power fails, and it stays down",
            Self::OneWayLink => "one link of the primary passes nothing in one direction, from then on",
            Self::OneWayPrimary => {
                "all links between the primary and replicas pass nothing in one direction, from then on"
            }
            Self::FlappingLink => {
                "one link of the primary is away four times, 0.5 to 15 heartbeats each, and back as long"
            }
            Self::SlowDisk => "syncs of the primary's disk take 10 to 127 times as long, from then on",
            Self::PausedPrimary => "the primary stands still for 4.5 to 78 heartbeats and goes on",
        }
    }

    /// The fault that strikes.
    fn draw(self, rng: &mut Rng, replicas: u16) -> Option<Fault> {
        let small = |number: u32| u8::try_from(number).expect("drawn below 128");
        let way = rng.pick(&[Way::Out, Way::In]);
        let other = Who::after_primary(small(rng.within(1, u32::from(replicas.max(2)) - 1)));
        Some(match self {
            Self::Nothing => return None,
            Self::PrimaryCrash => Fault::Crash { who: Who::PRIMARY, restart: Restart::NEVER },
            Self::OneWayLink => Fault::Cut { from: Who::PRIMARY, to: other, way, length: LASTING },
            Self::OneWayPrimary => Fault::Isolate { who: Who::PRIMARY, way, length: LASTING },
            Self::FlappingLink => {
                Fault::Flap { from: Who::PRIMARY, to: other, length: Length(small(rng.within(1, 10))) }
            }
            Self::SlowDisk => {
                Fault::SlowDisk { who: Who::PRIMARY, factor: small(rng.within(10, 127)), length: LASTING }
            }
            Self::PausedPrimary => Fault::Pause { who: Who::PRIMARY, length: Length(small(rng.within(5, 24))) },
        })
    }
}

/// How long a fault with an end lasts.
fn lasts(fault: &Fault, heartbeat: Wait) -> Wait {
    if let Fault::Pause { length, .. } = fault {
        length.of(heartbeat)
    } else if let Fault::Flap { length, .. } = fault {
        // Four absences, and three times between them.
        length.of(heartbeat).times(7)
    } else {
        Wait::ZERO
    }
}

/// The clusters that are measured; what else there is of one is drawn from its seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// How many replicas.
    pub replicas: u16,
    /// When a promise may leave.
    pub durability: Durability,
    /// H, which all timeouts follow from.
    pub heartbeat: Wait,
}

impl Cluster {
    /// Everything about the cluster of this seed: the same whatever strikes it. The library's defaults, but for links and disks.
    #[must_use]
    pub fn setup(&self, seed: u64) -> Setup {
        let mut rng = Rng::fork(seed, "availability");
        let heartbeat = self.heartbeat;
        let plain = Setup::plain(self.replicas, self.durability);
        let warm = Wait(heartbeat.times(u64::from(WARM)).0 + rng.wide() % heartbeat.times(u64::from(LATEST - WARM)).0);
        Setup {
            seed,
            heartbeat,
            latency: Wait::micros(rng.pick(&[100, 250, 500, 1000, 2000])),
            latency_spread: rng.pick(&[0, 300, 1000]),
            sync: Wait::micros(rng.pick(&[100, 500, 1000, 2000, 5000])),
            drift_ppm: 50,
            checkpoint_interval: 8192,
            client_capacity: 4096,
            clients: CLIENTS,
            ops: 1_000_000,
            think: Wait::millis(THINK_MS),
            client_timeout: heartbeat.times(6),
            // Somebody asks what breaks at that moment first.
            slot: warm,
            safety: Wait(warm.0 + heartbeat.times(GIVEN_UP).0),
            ..plain
        }
    }

    /// What strikes.
    fn fault(&self, ordeal: Ordeal, seed: u64) -> Option<Fault> {
        ordeal.draw(&mut Rng::fork(seed, ordeal.name()), self.replicas)
    }

    /// How long it takes until the next answer is the last that counts.
    fn watched(&self, ordeal: Ordeal, seed: u64) -> Wait {
        let lasting = self.fault(ordeal, seed).map_or(Wait::ZERO, |fault| lasts(&fault, self.heartbeat));
        Wait(lasting.0 + self.heartbeat.times(WATCHED).0)
    }

    /// The one departure from the default schedule.
    fn decisions(&self, ordeal: Ordeal, seed: u64) -> Vec<Decision> {
        let fault = self.fault(ordeal, seed);
        let decision = |fault: Fault| Decision { kind: ChoiceKind::Fault, key: 0, occurrence: 0, value: fault.code() };
        fault.map(decision).into_iter().collect()
    }

    /// Lets it strike, and watches.
    ///
    /// # Panics
    /// When the cluster is impossible: no such size, or no heartbeat.
    #[must_use]
    pub fn measure(&self, ordeal: Ordeal, seed: u64) -> Measured {
        let setup = self.setup(seed);
        let mut world = world_of(&setup, Decider::recorded(&self.decisions(ordeal, seed)));
        world.allow_steps(u64::MAX);
        let struck = Time::ZERO.after(setup.slot);
        let (enough, given_up) = (struck.after(self.watched(ordeal, seed)), Time::ZERO.after(setup.safety));
        let (mut answers, mut last, mut longest) = (0, Time::ZERO, Wait::ZERO);
        let mut never = true;
        while world.step_event() && world.now() < given_up {
            if world.acked() == answers {
                continue;
            }
            answers = world.acked();
            if world.now() > struck {
                longest = longest.max(world.now().since(last));
            }
            last = world.now();
            if last > enough {
                never = false;
                break;
            }
        }
        let unavailable = longest.max(world.now().since(last));
        Measured { unavailable, never, failed: world.violation().is_some(), digest: world.digest() }
    }

    /// The same as a case, with everything that comes after it: `vr-sim replay` repeats it.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn case(&self, ordeal: Ordeal, seed: u64) -> Case {
        let outcome = recorded(&self.setup(seed), Decider::recorded(&self.decisions(ordeal, seed)), seed);
        *outcome.case.expect("it was recorded")
    }
}

/// What came of one cluster and one fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// The longest time in which nobody was answered, if it ended after the fault: from one answer to the next.
    pub unavailable: Wait,
    /// Nobody was answered any more; then it is the time until it was given up.
    pub never: bool,
    /// A property did not hold.
    pub failed: bool,
    /// The hash of everything that happened.
    pub digest: u64,
}

/// Many measurements of one kind, in milliseconds, rounded up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spread {
    /// Half of them are no longer than this.
    pub p50_ms: u64,
    /// Of ten, nine.
    pub p90_ms: u64,
    /// Of a hundred, 99.
    pub p99_ms: u64,
    /// None is longer.
    pub max_ms: u64,
    /// In so many nobody was answered any more.
    pub never: u64,
}

impl Spread {
    /// Of these, by nearest rank.
    #[must_use]
    pub fn of(all: &[Measured]) -> Self {
        let mut times: Vec<u64> = all.iter().map(|one| one.unavailable.0.div_ceil(1_000_000)).collect();
        times.sort_unstable();
        let rank = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1));
        let at = |percent| rank(percent).copied().unwrap_or(0);
        let never = all.iter().map(|one| u64::from(one.never)).sum();
        Self { p50_ms: at(50), p90_ms: at(90), p99_ms: at(99), max_ms: at(100), never }
    }
}

/// One hash of many measurements, in order.
#[must_use]
pub fn digest<'a>(all: impl IntoIterator<Item = &'a Measured>) -> u64 {
    let mut digest = Digest::new();
    for one in all {
        digest.add(one.digest);
        digest.add(one.unavailable.0);
    }
    digest.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short heartbeats: a fifth of the steps.
    fn cluster(replicas: u16) -> Cluster {
        Cluster { replicas, durability: Durability::Sync, heartbeat: Wait::millis(10) }
    }

    #[test]
    fn the_clusters_have_the_timeouts_and_limits_of_the_library() {
        let cluster = Cluster { heartbeat: Wait::millis(50), ..cluster(3) };
        let config = cluster.setup(1).config(0).expect("a valid cluster");
        let id = config.cluster.cluster;
        let library = vr_core::Config::new(vr_core::ClusterConfig::of_size(id, 3), vr_core::ReplicaId(0));
        assert_eq!((config.timeouts, config.batching), (library.timeouts, library.batching));
        let limits = |config: &vr_core::ClusterConfig| (config.client_capacity, config.checkpoint_interval);
        assert_eq!(limits(&config.cluster), limits(&library.cluster));
    }

    #[test]
    fn a_crash_of_the_primary_keeps_clients_waiting_for_the_patience_of_backups_and_nothing_does_not() {
        for (replicas, seed) in [(3, 0), (5, 1)] {
            let [calm, crash] =
                [Ordeal::Nothing, Ordeal::PrimaryCrash].map(|ordeal| cluster(replicas).measure(ordeal, seed));
            assert!(!calm.failed && !calm.never && calm.unavailable < Wait::millis(60), "{calm:?}");
            // They wait for 8 heartbeats at least.
            assert!(!crash.failed && !crash.never && crash.unavailable > Wait::millis(70), "{crash:?}");
        }
    }

    #[test]
    fn a_measurement_is_the_same_each_time_and_the_beginning_of_its_case() {
        let (ordeal, seed) = (Ordeal::SlowDisk, 7);
        assert_eq!(cluster(3).measure(ordeal, seed), cluster(3).measure(ordeal, seed));
        let case = cluster(3).case(ordeal, seed);
        assert_eq!(case.decisions.len(), 1, "one fault and no other");
        let again = crate::run::run_case(&case);
        assert!(again.passed() && again.digest == case.digest);
    }

    #[test]
    fn percentiles_are_by_nearest_rank_in_whole_milliseconds_rounded_up() {
        let one = |us: u64| Measured { unavailable: Wait::micros(us), never: us == 100_000, failed: false, digest: us };
        let all: Vec<_> = (1..=100).map(|ms| one(ms * 1000)).collect();
        assert_eq!(Spread::of(&all), Spread { p50_ms: 50, p90_ms: 90, p99_ms: 99, max_ms: 100, never: 1 });
        assert_eq!(Spread::of(&[one(1)]).p50_ms, 1);
        assert_eq!(Spread::of(&[]), Spread::default());
        assert_ne!(digest(&all), digest(all.iter().rev()));
    }
}
