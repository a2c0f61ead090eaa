//! How often what goes wrong: the probabilities that the swarm draws once and the seed's decider follows.
//!
//! Owns the figures and the sampling of one fate or one fault from them. Must not know the world. A case file
//! needs none of this: it holds what was decided.

use crate::fate::{FATES, Fate, Restart, Strike, SyncFate};
use crate::faults::{FAULT_KINDS, Fault, Length, Way, Who};
use crate::rng::{Chance, Rng};
use vr_core::MessageKind;

/// How messages of one type fare: cumulative thresholds for late, lost, twice, held, corrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fates([u32; FATES]);

impl Fates {
    /// From the chances of each departure, in thousandths, in the order late, lost, twice, held, corrupt.
    #[must_use]
    pub fn per_mille(parts: [u32; FATES]) -> Self {
        let mut sum = 0;
        Self(parts.map(|p| {
            sum += p;
            Chance::per_mille(sum).0
        }))
    }

    /// With some of the departures left out or made rarer.
    fn thinned(self, mut thin: impl FnMut(u32) -> u32) -> Self {
        let mut before = 0;
        let mut sum = 0;
        Self(self.0.map(|threshold| {
            sum += thin(threshold - before);
            before = threshold;
            sum
        }))
    }

    /// One fate, as a code: a single draw decides the common case.
    pub fn draw(&self, rng: &mut Rng) -> u32 {
        let any = self.0[FATES - 1];
        if any == 0 {
            return 0;
        }
        let word = rng.word();
        if word >= any {
            return 0;
        }
        let kind = (0u32..).zip(self.0).find(|(_, threshold)| word < *threshold);
        Fate::code(kind.map_or(0, |(kind, _)| kind), rng.below(256))
    }
}

/// Everything that may go wrong, and how often.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Odds {
    /// Of messages, by type.
    pub messages: [Fates; MessageKind::ALL.len()],
    /// Of clients' requests.
    pub requests: Fates,
    /// Of answers to clients.
    pub answers: Fates,
    /// A sync is slow.
    pub sync_slow: Chance,
    /// A sync fails.
    pub sync_fails: Chance,
    /// A confirmed record of a log rots in a crash (F9).
    pub rots: Chance,
    /// A byte of a part of a checkpoint is read wrongly by whoever sends it (F9).
    pub parts_rot: Chance,
    /// One disk stays full when the faults end.
    pub core_full: Chance,
    /// A crash strikes while a write is under way (F5).
    pub strike_at_write: Chance,
    /// A crash strikes right after a vote or a report was sent (the promise hunter).
    pub strike_after_promise: Chance,
    /// A struck replica comes back at once, rather than some time later.
    pub instant_restart: Chance,
    /// A client crashes after calling.
    pub client_crashes: Chance,
    /// An upcall takes long.
    pub execute_slow: Chance,
    /// Something breaks, each time the world asks.
    pub fault: Chance,
    /// What breaks, in the order of the kinds of [`Fault`].
    pub weights: [u32; FAULT_KINDS],
    /// In which direction: both, out, in.
    pub ways: [u32; 3],
    /// The longest class of how long.
    pub longest: u8,
    /// The wind turns: quiet stretches and bad ones follow each other. Never turning means always bad.
    pub turns: Chance,
}

/// The place of a message type in tables.
#[must_use]
pub const fn place_of(kind: MessageKind) -> usize {
    match kind {
        MessageKind::Prepare => 0,
        MessageKind::PrepareOk => 1,
        MessageKind::Commit => 2,
        MessageKind::CommitOk => 3,
        MessageKind::StartViewChange => 4,
        MessageKind::DoViewChange => 5,
        MessageKind::StartView => 6,
        MessageKind::GetState => 7,
        MessageKind::NewState => 8,
        MessageKind::Recovery => 9,
        MessageKind::RecoveryResponse => 10,
        MessageKind::GetCheckpoint => 11,
        MessageKind::CheckpointPart => 12,
        MessageKind::GetEntries => 13,
        MessageKind::Entries => 14,
        MessageKind::StartEpoch => 15,
        MessageKind::EpochStarted => 16,
        MessageKind::NewEpoch => 17,
        MessageKind::CheckEpoch => 18,
        MessageKind::GetReadIndex => 19,
        MessageKind::ReadIndex => 20,
        MessageKind::CheckpointDurable => 21,
    }
}

impl Odds {
    /// Less of what may go wrong: each departure and each kind of fault is kept with this chance, and otherwise does not
    /// happen or happens half as often.
    #[must_use]
    pub fn thinned(&self, keep: Chance, rng: &mut Rng) -> Self {
        let mut odds = self.clone();
        let mut thin = |often: u32| match rng.happens(keep) {
            true => often,
            false => (often / 2) * rng.below(2),
        };
        for fates in odds.messages.iter_mut().chain([&mut odds.requests, &mut odds.answers]) {
            *fates = fates.thinned(&mut thin);
        }
        let chances = [
            &mut odds.sync_slow,
            &mut odds.sync_fails,
            &mut odds.rots,
            &mut odds.parts_rot,
            &mut odds.core_full,
            &mut odds.strike_at_write,
            &mut odds.strike_after_promise,
            &mut odds.client_crashes,
            &mut odds.execute_slow,
            &mut odds.fault,
        ];
        chances.into_iter().for_each(|chance| chance.0 = thin(chance.0));
        odds.weights.iter_mut().for_each(|weight| *weight = thin(*weight));
        odds
    }

    /// When a struck replica comes back.
    fn restart(&self, rng: &mut Rng) -> Restart {
        if rng.happens(self.instant_restart) {
            return Restart(0);
        }
        let class = rng.below(34).min(31);
        Restart(u8::try_from(class).expect("at most 31"))
    }

    /// A crash, as a code.
    pub fn draw_strike(&self, chance: Chance, rng: &mut Rng) -> u32 {
        if !rng.happens(chance) {
            return 0;
        }
        let quarters = rng.below(4);
        Strike::code(quarters, self.restart(rng))
    }

    /// How a sync goes, as a code.
    pub fn draw_sync(&self, rng: &mut Rng) -> u32 {
        if rng.happens(self.sync_fails) {
            return SyncFate::FAILED;
        }
        if rng.happens(self.sync_slow) { 1 + rng.below(256) } else { 0 }
    }

    /// What breaks, as a code.
    pub fn draw_fault(&self, rng: &mut Rng) -> u32 {
        if !rng.happens(self.fault) {
            return 0;
        }
        let Some(kind) = rng.weighted(&self.weights) else { return 0 };
        let (who, other) = (draw_who(rng), draw_who(rng));
        let length = Length(small(rng.below(u32::from(self.longest) + 1)));
        let way = match rng.weighted(&self.ways) {
            Some(1) => Way::Out,
            Some(2) => Way::In,
            Some(_) | None => Way::Both,
        };
        let side = small(rng.below(128));
        let restart = self.restart(rng);
        let fault = match kind {
            0 => Fault::Crash { who, restart },
            1 => Fault::PowerLoss { restart },
            2 => Fault::Pause { who, length },
            3 => Fault::Jump { who, ahead: length },
            4 => Fault::Timeout { who },
            5 => Fault::Isolate { who, way, length },
            6 => Fault::Cut { from: who, to: other, way, length },
            7 => Fault::Flap { from: who, to: other, length },
            8 => Fault::Split { side, way, length },
            9 => Fault::Star { hub: who, length },
            10 => Fault::ClientsCut { who, way, length },
            11 => Fault::SlowDisk { who, factor: 2 + side / 2, length },
            12 => Fault::WriteError { who, restart },
            13 => Fault::FullDisk { who, length },
            14 => Fault::Stop { who, restart },
            15 => Fault::StopAll { restart },
            16 => Fault::LostDisk { who, restart },
            17 => Fault::DiskGoesBack { who, length },
            _ => Fault::HandOver { who, to: other },
        };
        fault.code()
    }
}

/// Half of all faults strike the primary or those next in line.
fn draw_who(rng: &mut Rng) -> Who {
    let number = small(rng.below(64));
    if rng.below(2) == 0 { Who::after_primary(number % 4 * (number % 2)) } else { Who(number) }
}

fn small(number: u32) -> u8 {
    u8::try_from(number).expect("drawn below 256")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_message_has_its_own_place() {
        let mut places: Vec<_> = MessageKind::ALL.into_iter().map(place_of).collect();
        places.dedup();
        assert_eq!(places, (0..MessageKind::ALL.len()).collect::<Vec<_>>());
    }

    #[test]
    fn fates_come_as_often_as_the_odds_say() {
        let fates = Fates::per_mille([100, 50, 0, 20, 0]);
        let mut rng = Rng::fork(1, "test");
        let (mut late, mut lost, mut held, mut on_time) = (0, 0, 0, 0);
        for _ in 0..10_000 {
            match Fate::decode(fates.draw(&mut rng)) {
                Fate::OnTime => on_time += 1,
                Fate::Late(_) => late += 1,
                Fate::Lost => lost += 1,
                Fate::Held(_) => held += 1,
                Fate::Twice(_) | Fate::Corrupt(_) => panic!("their odds are zero"),
            }
        }
        assert!((900..1100).contains(&late) && (430..570).contains(&lost), "{late} {lost}");
        assert!((150..250).contains(&held) && on_time > 8000, "{held} {on_time}");
    }

    #[test]
    fn thinned_odds_let_nothing_happen_more_often() {
        let mut odds = Odds { fault: Chance::of(1, 3), weights: [8; FAULT_KINDS], ..Odds::default() };
        odds.messages[3] = Fates::per_mille([100, 50, 0, 20, 0]);
        let mut rng = Rng::fork(1, "test");
        let parts = |fates: Fates| [0, 1, 2, 3, 4].map(|at| fates.0[at] - if at == 0 { 0 } else { fates.0[at - 1] });
        for _ in 0..100 {
            let thinned = odds.thinned(Chance::of(1, 2), &mut rng);
            let was = parts(odds.messages[3]);
            assert!(parts(thinned.messages[3]).into_iter().zip(was).all(|(now, was)| now <= was));
            assert!(thinned.fault.0 <= odds.fault.0 && thinned.weights.iter().all(|weight| *weight <= 8));
            odds = thinned;
        }
        assert_eq!(odds.weights, [0; FAULT_KINDS], "in the end nothing is left");
    }

    #[test]
    fn every_kind_of_fault_can_be_drawn() {
        let odds =
            Odds { fault: Chance::of(1, 1), weights: [1; FAULT_KINDS], ways: [1; 3], longest: 63, ..Odds::default() };
        let mut rng = Rng::fork(1, "test");
        let mut seen = [false; FAULT_KINDS];
        for _ in 0..500 {
            let code = odds.draw_fault(&mut rng) - 1;
            assert!(Fault::decode(code + 1).is_some());
            seen[usize::try_from(code % 16 + 16 * (code >> 26)).unwrap()] = true;
        }
        assert!(seen.iter().all(|s| *s), "{seen:?}");
    }
}
