//! Faults as data: what breaks, for whom, for how long, each in one number that a decider can answer.
//!
//! Owns [`Fault`], its code and [`Schedule`]. Faults of single messages and syncs are in [`crate::fate`]. Must
//! not know how a fault is carried out, nor how often it happens. PROTOCOL §2 (F1–F14).

use crate::fate::Restart;
use serde::{Deserialize, Serialize};
use vr_core::{Time, Wait};

/// Whom a fault strikes: below 64 a member by its position, from 64 on the primary and those after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Who(pub u8);

impl Who {
    /// The primary at the time of the fault.
    pub const PRIMARY: Self = Self(64);

    /// The member so many places after the primary.
    #[must_use]
    pub const fn after_primary(places: u8) -> Self {
        Self(64 + places % 64)
    }

    /// The position of the one meant, among `members` members when the primary has position `primary`.
    #[must_use]
    pub fn among(self, members: usize, primary: usize) -> usize {
        let number = usize::from(self.0);
        if number < 64 { number % members } else { (primary + number - 64) % members }
    }
}

/// Which direction of a link is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Way {
    /// Both.
    Both,
    /// What the struck one sends.
    Out,
    /// What the struck one would receive.
    In,
}

/// How long a fault lasts, as a class from 0 to 63: (class + 1)² / 8 heartbeats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Length(pub u8);

impl Length {
    /// In time.
    #[must_use]
    pub fn of(self, heartbeat: Wait) -> Wait {
        let class = u64::from(self.0 % 64) + 1;
        Wait(heartbeat.0 / 8 * class * class)
    }
}

/// Something breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// A replica crashes: what was not durable is gone.
    Crash {
        /// Which.
        who: Who,
        /// When it comes back.
        restart: Restart,
    },
    /// All replicas crash at once (F12). In the asynchronous mode only as many as the mode tolerates.
    PowerLoss {
        /// When they come back, one after the other.
        restart: Restart,
    },
    /// A process stands still: its inputs wait (F10).
    Pause {
        /// Whose.
        who: Who,
        /// How long.
        length: Length,
    },
    /// A clock jumps forward (F10).
    Jump {
        /// Whose.
        who: Who,
        /// How far.
        ahead: Length,
    },
    /// A clock jumps to the next deadline of its replica: a spontaneous timeout (F8).
    Timeout {
        /// Whose.
        who: Who,
    },
    /// All links of one replica to others are cut (F6).
    Isolate {
        /// Whose.
        who: Who,
        /// In which direction.
        way: Way,
        /// How long.
        length: Length,
    },
    /// One link is cut (F7).
    Cut {
        /// From here …
        from: Who,
        /// … to there.
        to: Who,
        /// `Out` for this direction only, `In` for the other one only.
        way: Way,
        /// How long.
        length: Length,
    },
    /// One link comes and goes.
    Flap {
        /// From here …
        from: Who,
        /// … to there, and back.
        to: Who,
        /// Each of its four absences.
        length: Length,
    },
    /// The group falls into two parts.
    Split {
        /// Chooses the parts.
        side: u8,
        /// `Out`: the first part is not heard by the second; `In`: the reverse.
        way: Way,
        /// How long.
        length: Length,
    },
    /// Only the links of one replica remain.
    Star {
        /// Its centre.
        hub: Who,
        /// How long.
        length: Length,
    },
    /// Clients and one replica do not hear each other.
    ClientsCut {
        /// Which.
        who: Who,
        /// `Out`: only its answers are lost; `In`: only requests.
        way: Way,
        /// How long.
        length: Length,
    },
    /// A disk slows down.
    SlowDisk {
        /// Whose.
        who: Who,
        /// So many times slower.
        factor: u8,
        /// How long.
        length: Length,
    },
    /// The next sync of a disk fails (PROTOCOL D55).
    WriteError {
        /// Whose.
        who: Who,
        /// When the replica is started again.
        restart: Restart,
    },
    /// A disk has no room for entries (DESIGN 9.11).
    FullDisk {
        /// Whose.
        who: Who,
        /// How long.
        length: Length,
    },
    /// A replica is stopped in good order.
    Stop {
        /// Which.
        who: Who,
        /// When it comes back.
        restart: Restart,
    },
    /// All replicas are stopped in good order.
    StopAll {
        /// When they come back.
        restart: Restart,
    },
    /// A replica crashes, and its disk is gone: there is nothing to start from (F13, PROTOCOL D60).
    LostDisk {
        /// Whose.
        who: Who,
        /// When somebody tries to start it again.
        restart: Restart,
    },
    /// A replica crashes, and its disk is as it was some time before: the newest of what it confirmed is gone, and
    /// nothing tells. Only where the others hold all of it.
    DiskGoesBack {
        /// Whose.
        who: Who,
        /// Back over how long.
        length: Length,
    },
    /// An operator asks a replica to give way: no fault, but as untimely as one.
    HandOver {
        /// Whom.
        who: Who,
        /// To whom; the same: to whoever is furthest.
        to: Who,
    },
}

/// How many kinds of fault there are.
pub const FAULT_KINDS: usize = 19;

/// The parts of a code: kind 4 bits, a 7, b 7, way 2, c 6, and one more bit of the kind, which came later.
struct Parts {
    kind: u8,
    a: u8,
    b: u8,
    way: Way,
    c: u8,
}

const fn packed(way: Way) -> u32 {
    match way {
        Way::Both => 0,
        Way::Out => 1,
        Way::In => 2,
    }
}

impl Parts {
    fn pack(&self) -> u32 {
        let Self { kind, a, b, way, c } = self;
        let fields = [(*kind % 16, 0), (*a, 4), (*b, 11), (*c, 20), (*kind / 16, 26)];
        let bits = fields.iter().map(|(value, shift)| u32::from(*value) << shift).sum::<u32>();
        1 + bits + (packed(*way) << 18)
    }

    fn unpack(code: u32) -> Option<Self> {
        let bits = code.checked_sub(1).filter(|bits| *bits < 1 << 27)?;
        let field = |shift: u32, width: u32| {
            u8::try_from((bits >> shift) & ((1 << width) - 1)).expect("masked to at most 7 bits")
        };
        let way = match field(18, 2) {
            0 => Way::Both,
            1 => Way::Out,
            _ => Way::In,
        };
        Some(Self { kind: field(0, 4) + 16 * field(26, 1), a: field(4, 7), b: field(11, 7), way, c: field(20, 6) })
    }
}

impl Fault {
    /// Codes lie below this.
    pub const BOUND: u32 = 1 + (1 << 27);

    /// Its number, never 0.
    #[must_use]
    pub fn code(&self) -> u32 {
        let of = |kind, a: u8, b: u8, way, c: u8| Parts { kind, a: a % 128, b: b % 128, way, c: c % 64 }.pack();
        match *self {
            Self::Crash { who, restart } => of(0, who.0, 0, Way::Both, restart.0),
            Self::PowerLoss { restart } => of(1, 0, 0, Way::Both, restart.0),
            Self::Pause { who, length } => of(2, who.0, 0, Way::Both, length.0),
            Self::Jump { who, ahead } => of(3, who.0, 0, Way::Both, ahead.0),
            Self::Timeout { who } => of(4, who.0, 0, Way::Both, 0),
            Self::Isolate { who, way, length } => of(5, who.0, 0, way, length.0),
            Self::Cut { from, to, way, length } => of(6, from.0, to.0, way, length.0),
            Self::Flap { from, to, length } => of(7, from.0, to.0, Way::Both, length.0),
            Self::Split { side, way, length } => of(8, side, 0, way, length.0),
            Self::Star { hub, length } => of(9, hub.0, 0, Way::Both, length.0),
            Self::ClientsCut { who, way, length } => of(10, who.0, 0, way, length.0),
            Self::SlowDisk { who, factor, length } => of(11, who.0, factor, Way::Both, length.0),
            Self::WriteError { who, restart } => of(12, who.0, 0, Way::Both, restart.0),
            Self::FullDisk { who, length } => of(13, who.0, 0, Way::Both, length.0),
            Self::Stop { who, restart } => of(14, who.0, 0, Way::Both, restart.0),
            Self::StopAll { restart } => of(15, 0, 0, Way::Both, restart.0),
            Self::LostDisk { who, restart } => of(16, who.0, 0, Way::Both, restart.0),
            Self::DiskGoesBack { who, length } => of(17, who.0, 0, Way::Both, length.0),
            Self::HandOver { who, to } => of(18, who.0, to.0, Way::Both, 0),
        }
    }

    /// The fault of this code; 0, and what is no code, is none.
    #[must_use]
    pub fn decode(code: u32) -> Option<Self> {
        let Parts { kind, a, b, way, c } = Parts::unpack(code)?;
        let (who, length, restart) = (Who(a), Length(c), Restart(c % 32));
        Some(match kind {
            0 => Self::Crash { who, restart },
            1 => Self::PowerLoss { restart },
            2 => Self::Pause { who, length },
            3 => Self::Jump { who, ahead: length },
            4 => Self::Timeout { who },
            5 => Self::Isolate { who, way, length },
            6 => Self::Cut { from: who, to: Who(b), way, length },
            7 => Self::Flap { from: who, to: Who(b), length },
            8 => Self::Split { side: a, way, length },
            9 => Self::Star { hub: who, length },
            10 => Self::ClientsCut { who, way, length },
            11 => Self::SlowDisk { who, factor: b, length },
            12 => Self::WriteError { who, restart },
            13 => Self::FullDisk { who, length },
            14 => Self::Stop { who, restart },
            15 => Self::StopAll { restart },
            16 => Self::LostDisk { who, restart },
            17 => Self::DiskGoesBack { who, length },
            18 => Self::HandOver { who, to: Who(b) },
            _ => return None,
        })
    }
}

/// The faults of a run and when they struck: what happened, for people; or what shall happen, by hand.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Schedule {
    /// In order of time.
    pub faults: Vec<(Time, Fault)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_one_number_and_back() {
        let (who, length, way, restart) = (Who(66), Length(63), Way::In, Restart(31));
        let all = [
            Fault::Crash { who, restart },
            Fault::PowerLoss { restart },
            Fault::Pause { who, length },
            Fault::Jump { who, ahead: length },
            Fault::Timeout { who },
            Fault::Isolate { who, way, length },
            Fault::Cut { from: who, to: Who(127), way, length },
            Fault::Flap { from: who, to: Who(0), length },
            Fault::Split { side: 127, way: Way::Out, length },
            Fault::Star { hub: who, length },
            Fault::ClientsCut { who, way: Way::Both, length },
            Fault::SlowDisk { who, factor: 64, length },
            Fault::WriteError { who, restart },
            Fault::FullDisk { who, length },
            Fault::Stop { who, restart },
            Fault::StopAll { restart },
            Fault::LostDisk { who, restart },
            Fault::DiskGoesBack { who, length },
            Fault::HandOver { who, to: Who(3) },
        ];
        assert_eq!(all.len(), FAULT_KINDS);
        for fault in all {
            assert!((1..Fault::BOUND).contains(&fault.code()));
            assert_eq!(Fault::decode(fault.code()), Some(fault));
        }
        assert_eq!(Fault::decode(0), None);
        assert_eq!(Fault::decode(u32::MAX), None);
    }

    #[test]
    fn any_number_is_a_fault_or_none_and_never_a_panic() {
        for code in (0..Fault::BOUND).step_by(997) {
            if let Some(fault) = Fault::decode(code) {
                let again = fault.code();
                assert_eq!(Fault::decode(again), Some(fault));
            }
        }
    }

    #[test]
    fn who_names_members_and_places_after_the_primary() {
        assert_eq!(Who(6).among(5, 3), 1);
        assert_eq!(Who::PRIMARY.among(5, 3), 3);
        assert_eq!(Who::after_primary(2).among(5, 4), 1);
    }
}
