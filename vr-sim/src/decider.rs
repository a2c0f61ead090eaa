//! The one place where choices are made: seeds, case files, fuzzers, searches and people are all deciders.
//!
//! Owns [`Decider`], the kinds of choices, and the record of *decisions*: departures from the default schedule
//! (in order, fixed latency, no fault), which 0 always stands for. Must not know what a choice does to the
//! world. DESIGN 9.13.

mod script;
mod told;

use crate::odds::{Odds, place_of};
use crate::rng::{Chance, Rng};
use script::Script;
use std::collections::BTreeMap;
use vr_core::MessageKind;

/// What is being chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChoiceKind {
    /// What becomes of one copy of a message: a [`crate::fate::Fate`]. Key: sender, incarnation, number, receiver.
    Message(MessageKind),
    /// What becomes of a client's request on its way: a [`crate::fate::Fate`].
    Request,
    /// What becomes of an answer to a client: a [`crate::fate::Fate`].
    Answer,
    /// How a sync goes: a [`crate::fate::SyncFate`]. Key: replica, life, first write.
    Sync,
    /// Does a crash strike while this write is under way: a [`crate::fate::Strike`].
    CrashAtWrite,
    /// Does a crash strike after this promise was said: a [`crate::fate::Strike`].
    CrashAfterPromise,
    /// How many of the writes under way survive a crash.
    Survivors,
    /// How many entries of the next one do.
    Torn,
    /// Which confirmed record of a log rots in a crash: so many entries from its end.
    Rot,
    /// What breaks now: a [`crate::faults::Fault`]. Key: which moment of asking.
    Fault,
    /// How much longer an upcall takes.
    Execute,
    /// When a client crashes after calling.
    ClientCrash,
    /// How many more than a quorum are healed in the end.
    CoreSize,
    /// Who is healed.
    Core,
    /// A full mesh (0) or a star.
    CoreShape,
    /// How somebody who is not healed stays apart: in both directions (0), unheard, or deaf.
    Outsider,
    /// Which byte of a part of a checkpoint its sender read wrongly. Key: as of a message.
    Part,
    /// Whose disk is full when the faults end and stays so: the how manieth of the healed.
    CoreFull,
}

/// Kinds that came after the messages, so that their places stayed.
const LATER: [(ChoiceKind, &str); 2] = [(ChoiceKind::Part, "part"), (ChoiceKind::CoreFull, "core full")];

const PLAIN: [(ChoiceKind, &str); 15] = [
    (ChoiceKind::Request, "request"),
    (ChoiceKind::Answer, "answer"),
    (ChoiceKind::Sync, "sync"),
    (ChoiceKind::CrashAtWrite, "crash at write"),
    (ChoiceKind::CrashAfterPromise, "crash after promise"),
    (ChoiceKind::Survivors, "survivors"),
    (ChoiceKind::Torn, "torn"),
    (ChoiceKind::Rot, "rot"),
    (ChoiceKind::Fault, "fault"),
    (ChoiceKind::Execute, "execute"),
    (ChoiceKind::ClientCrash, "client crash"),
    (ChoiceKind::CoreSize, "core size"),
    (ChoiceKind::Core, "core"),
    (ChoiceKind::CoreShape, "core shape"),
    (ChoiceKind::Outsider, "outsider"),
];

impl ChoiceKind {
    /// Its name in case files.
    ///
    /// # Panics
    /// Never: every kind has a name.
    #[must_use]
    pub fn name(self) -> &'static str {
        if let Self::Message(kind) = self {
            return kind.name();
        }
        PLAIN.iter().chain(&LATER).find(|(kind, _)| *kind == self).expect("every kind has a name").1
    }

    /// All of them, each where it was since it came.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |(kind, _)| kind;
        let (messages, of_epochs) = (MessageKind::ALL.into_iter().take(15), MessageKind::ALL.into_iter().skip(15));
        PLAIN
            .into_iter()
            .map(of)
            .chain(messages.map(Self::Message))
            .chain(LATER.into_iter().map(of))
            .chain(of_epochs.map(Self::Message))
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }
}

/// One departure from the default schedule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Decision {
    /// What was chosen.
    pub kind: ChoiceKind,
    /// About what: the same whatever else is chosen.
    pub key: u64,
    /// The how manieth time this was asked; nearly always 0.
    pub occurrence: u32,
    /// The choice, never 0.
    pub value: u32,
}

/// Takes every choice of a run.
#[derive(Clone, Debug)]
pub struct Decider {
    source: Source,
    /// How often each question was asked, where that matters.
    asked: BTreeMap<(ChoiceKind, u64), u32>,
    record: Option<Vec<Decision>>,
}

#[derive(Clone, Debug)]
enum Source {
    Seed(Box<SeedDecider>),
    Recorded(BTreeMap<(ChoiceKind, u64, u32), u32>),
    Bytes { data: Vec<u8>, at: usize },
    Script(Script),
}

impl Decider {
    /// Chance, as often as `odds` say.
    #[must_use]
    pub fn seeded(seed: u64, odds: Odds) -> Self {
        Self::new(Source::Seed(Box::new(SeedDecider::new(seed, odds))))
    }

    /// These decisions and nothing else; without any, the default schedule.
    #[must_use]
    pub fn recorded(decisions: &[Decision]) -> Self {
        let listed = decisions.iter().map(|d| ((d.kind, d.key, d.occurrence), d.value));
        Self::new(Source::Recorded(listed.collect()))
    }

    /// The bytes of a fuzzer; when they run out, the default schedule.
    #[must_use]
    pub fn bytes(data: &[u8]) -> Self {
        Self::new(Source::Bytes { data: data.to_vec(), at: 0 })
    }

    /// The departures that the bytes of a fuzzer spell out: six bytes for each, and each kind of choice has its own.
    #[must_use]
    pub fn script(data: &[u8]) -> Self {
        Self::new(Source::Script(Script::new(data)))
    }

    const fn new(source: Source) -> Self {
        Self { source, asked: BTreeMap::new(), record: None }
    }

    /// From now on, remembers its decisions. To be called before the first choice.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.record = Some(Vec::new());
        self
    }

    /// The decisions so far, if they were recorded.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        self.record.as_deref().unwrap_or_default()
    }

    /// Do its choices, or its record, depend on keys? If not, they need not be computed.
    #[must_use]
    pub fn reads_keys(&self) -> bool {
        match &self.source {
            Source::Seed(_) => self.record.is_some(),
            Source::Bytes { .. } | Source::Script(_) => true,
            Source::Recorded(listed) => !listed.is_empty() || self.record.is_some(),
        }
    }

    /// Chooses a number below `bound`; 0 is the default.
    pub fn choose(&mut self, kind: ChoiceKind, key: u64, bound: u32) -> u32 {
        if bound <= 1 {
            return 0;
        }
        let value = match &mut self.source {
            Source::Seed(seed) => {
                let value = seed.choose(kind, bound);
                if self.record.is_none() {
                    return value;
                }
                value
            }
            Source::Bytes { data, at } => choose_from(data, at, bound),
            Source::Script(script) => script.choose(kind, bound),
            Source::Recorded(listed) => {
                // How often something was asked counts only where an answer is listed: most runs list few.
                let is_listed = || listed.range((kind, key, 0)..=(kind, key, u32::MAX)).next().is_some();
                if !is_listed() {
                    return 0;
                }
                let occurrence = self.asked.get(&(kind, key)).copied().unwrap_or(0);
                listed.get(&(kind, key, occurrence)).copied().filter(|value| *value < bound).unwrap_or(0)
            }
        };
        let asked = self.asked.entry((kind, key)).or_insert(0);
        let occurrence = *asked;
        *asked += 1;
        if let Some(record) = self.record.as_mut().filter(|_| value != 0) {
            record.push(Decision { kind, key, occurrence, value });
        }
        value
    }
}

/// One byte for the common case, three more for a departure.
fn choose_from(data: &[u8], at: &mut usize, bound: u32) -> u32 {
    let mut next = || {
        let byte = data.get(*at).copied().unwrap_or(0);
        *at = at.saturating_add(1);
        byte
    };
    if next() < 192 {
        return 0;
    }
    u32::from_le_bytes([next(), next(), next(), 0]) % bound
}

/// Decides by chance: one stream per concern.
#[derive(Clone, Debug)]
struct SeedDecider {
    odds: Odds,
    /// A bad stretch, not a quiet one.
    storm: bool,
    net: Rng,
    clients: Rng,
    disk: Rng,
    crash: Rng,
    fault: Rng,
    service: Rng,
    core: Rng,
    rot: Rng,
    parts: Rng,
    full: Rng,
}

impl SeedDecider {
    fn new(seed: u64, odds: Odds) -> Self {
        let of = |name| Rng::fork(seed, name);
        Self {
            odds,
            storm: true,
            net: of("net"),
            clients: of("clients"),
            disk: of("disk"),
            crash: of("crash"),
            fault: of("fault"),
            service: of("service"),
            core: of("core"),
            rot: of("rot"),
            parts: of("parts"),
            full: of("full"),
        }
    }

    fn choose(&mut self, kind: ChoiceKind, bound: u32) -> u32 {
        let Self { odds, .. } = self;
        match kind {
            ChoiceKind::Fault => self.fault(),
            ChoiceKind::Survivors | ChoiceKind::Torn => self.disk.below(bound),
            ChoiceKind::CoreSize => {
                if self.core.happens(Chance::of(1, 3)) {
                    self.core.below(bound)
                } else {
                    0
                }
            }
            ChoiceKind::Core | ChoiceKind::Outsider => self.core.below(bound),
            ChoiceKind::CoreFull => below_if(&mut self.full, odds.core_full, bound),
            ChoiceKind::CoreShape => u32::from(self.core.happens(Chance::of(1, 4))),
            _ if !self.storm => 0,
            ChoiceKind::Message(kind) => odds.messages[place_of(kind)].draw(&mut self.net),
            ChoiceKind::Request => odds.requests.draw(&mut self.clients),
            ChoiceKind::Answer => odds.answers.draw(&mut self.clients),
            ChoiceKind::Sync => odds.draw_sync(&mut self.disk),
            ChoiceKind::CrashAtWrite => odds.draw_strike(odds.strike_at_write, &mut self.crash),
            ChoiceKind::CrashAfterPromise => odds.draw_strike(odds.strike_after_promise, &mut self.crash),
            ChoiceKind::Rot => below_if(&mut self.rot, odds.rots, bound),
            ChoiceKind::Part => below_if(&mut self.parts, odds.parts_rot, bound),
            ChoiceKind::Execute => below_if(&mut self.service, odds.execute_slow, bound),
            ChoiceKind::ClientCrash => below_if(&mut self.clients, odds.client_crashes, bound),
        }
    }

    fn fault(&mut self) -> u32 {
        if self.fault.happens(self.odds.turns) {
            self.storm = !self.storm;
        }
        if self.storm { self.odds.draw_fault(&mut self.fault) } else { 0 }
    }
}

fn below_if(rng: &mut Rng, chance: Chance, bound: u32) -> u32 {
    if rng.happens(chance) { 1 + rng.below(bound - 1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fate::Fate;
    use crate::odds::Fates;

    const PREPARE: ChoiceKind = ChoiceKind::Message(MessageKind::Prepare);

    fn lossy() -> Odds {
        Odds { messages: [Fates::per_mille([100, 100, 50, 20, 10]); MessageKind::ALL.len()], ..Odds::default() }
    }

    #[test]
    fn recorded_decisions_give_the_same_choices_as_the_seed_they_came_from() {
        let mut seed = Decider::seeded(5, lossy()).recording();
        let first: Vec<_> = (0..500).map(|key| seed.choose(PREPARE, key % 300, Fate::BOUND)).collect();
        assert!(first.iter().filter(|c| **c != 0).count() > 50);
        let mut replay = Decider::recorded(seed.decisions());
        let second: Vec<_> = (0..500).map(|key| replay.choose(PREPARE, key % 300, Fate::BOUND)).collect();
        assert_eq!(first, second, "asked twice about the same thing, each answer is its own decision");
    }

    #[test]
    fn only_departures_are_recorded() {
        let mut seed = Decider::seeded(5, lossy()).recording();
        let values: Vec<_> = (0..500).map(|key| seed.choose(PREPARE, key, Fate::BOUND)).collect();
        let recorded: Vec<_> = seed.decisions().iter().map(|d| d.value).collect();
        assert_eq!(recorded, values.into_iter().filter(|v| *v != 0).collect::<Vec<_>>());
    }

    #[test]
    fn recording_changes_no_choice() {
        let (mut plain, mut recording) = (Decider::seeded(9, lossy()), Decider::seeded(9, lossy()).recording());
        for key in 0..200 {
            assert_eq!(plain.choose(PREPARE, key, Fate::BOUND), recording.choose(PREPARE, key, Fate::BOUND));
        }
    }

    #[test]
    fn without_decisions_everything_is_the_default_and_what_is_out_of_bounds_too() {
        let mut quiet = Decider::recorded(&[]);
        assert_eq!(quiet.choose(ChoiceKind::Fault, 1, 100), 0);
        let wild = Decision { kind: ChoiceKind::Core, key: 1, occurrence: 0, value: 9 };
        assert_eq!(Decider::recorded(&[wild]).choose(ChoiceKind::Core, 1, 5), 0);
        assert_eq!(Decider::recorded(&[wild]).choose(ChoiceKind::Core, 1, 10), 9);
    }

    #[test]
    fn bytes_decide_until_they_run_out() {
        let mut bytes = Decider::bytes(&[255, 7, 0, 0, 10, 200, 1, 1, 0]);
        assert_eq!(bytes.choose(ChoiceKind::Core, 0, 100), 7);
        assert_eq!(bytes.choose(ChoiceKind::Core, 0, 100), 0);
        assert_eq!(bytes.choose(ChoiceKind::Core, 0, 100), 57);
        assert_eq!(bytes.choose(ChoiceKind::Core, 0, 100), 0);
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for kind in ChoiceKind::all() {
            assert_eq!(ChoiceKind::named(kind.name()), Some(kind));
        }
        assert_eq!(ChoiceKind::named("weather"), None);
    }
}
