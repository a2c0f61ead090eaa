//! A decision in words: what departs from the default schedule, for whoever reads a small case.
//!
//! Owns the wording. Must not know what a decision does to the world: it decodes the same numbers. DESIGN 9.13.

use super::{ChoiceKind, Decision};
use crate::fate::{Fate, Restart, Strike, SyncFate};
use crate::faults::Fault;
use std::fmt;

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, key, occurrence: _, value } = *self;
        match kind {
            ChoiceKind::Message(message) => write!(f, "a {} {}", message.name(), fate(value)),
            ChoiceKind::Request => write!(f, "a request {}", fate(value)),
            ChoiceKind::Answer => write!(f, "an answer {}", fate(value)),
            ChoiceKind::Sync => match SyncFate::decode(value) {
                SyncFate::Failed => f.write_str("a sync fails"),
                SyncFate::Slow(quarters) => write!(f, "a sync takes {quarters} quarters of its time longer"),
                SyncFate::OnTime => f.write_str("a sync is on time"),
            },
            ChoiceKind::CrashAtWrite => strike(f, "a crash while a write is under way", value),
            ChoiceKind::CrashAfterPromise => strike(f, "a crash after a promise", value),
            ChoiceKind::Survivors => write!(f, "{value} of the writes under way survive a crash"),
            ChoiceKind::Torn => write!(f, "{value} entries of a torn write survive"),
            ChoiceKind::Rot => write!(f, "a confirmed record rots, {value} from the end"),
            ChoiceKind::Fault => match Fault::decode(value) {
                Some(fault) => write!(f, "at slot {key}: {fault:?}"),
                None => write!(f, "at slot {key}: nothing"),
            },
            ChoiceKind::Execute => write!(f, "an upcall takes {value} sixteenths of a heartbeat longer"),
            ChoiceKind::ClientCrash => f.write_str("a client crashes after calling"),
            ChoiceKind::CoreSize => write!(f, "{value} more than a quorum are healed in the end"),
            ChoiceKind::Core => write!(f, "who is healed in the end: choice {value}"),
            ChoiceKind::CoreShape => f.write_str("healed as a star"),
            ChoiceKind::Part => write!(f, "a byte of a part of a checkpoint is read wrongly, place {value}"),
            ChoiceKind::CoreFull => write!(f, "the disk of the healed one no. {value} stays full"),
            ChoiceKind::Outsider => write!(f, "who is not healed stays apart in way {value}"),
        }
    }
}

fn fate(value: u32) -> String {
    match Fate::decode(value) {
        Fate::OnTime => "is on time".into(),
        Fate::Late(amount) => format!("is late by {amount}/64 of its latency"),
        Fate::Lost => "is lost".into(),
        Fate::Twice(amount) => format!("arrives twice, {amount}/32 of its latency apart"),
        Fate::Held(latencies) => format!("is held for {latencies} latencies"),
        Fate::Corrupt(_) => "is damaged".into(),
    }
}

fn strike(f: &mut fmt::Formatter<'_>, what: &str, value: u32) -> fmt::Result {
    match Strike::decode(value) {
        Some(Strike { restart: Restart::NEVER, .. }) => write!(f, "{what}; it stays down"),
        Some(Strike { restart, .. }) => write!(f, "{what}; it comes back, class {}", restart.0),
        None => f.write_str(what),
    }
}
