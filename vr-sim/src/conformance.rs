//! Conformance kits: an embedder's own storage, transport or host loop against what `vr-core` relies on.
//!
//! Owns the report and what the kits share. Each kit is a trait that the embedder implements for what is to be tried,
//! with the faults that the kit asks for, and a function that tries everything and says what held. Each has a reference
//! that passes and defects that do not. Must not know any implementation, nor a clock: whoever waits is the embedder.
//! Paper: VRR §4.1 to §4.3; PROTOCOL §6 (P1 to P9), §2 (F1 to F9).
//!
//! ```
//! use vr_sim::conformance::storage::{self, Reference};
//!
//! let report = storage::try_all(&mut Reference::default());
//! assert!(report.passed(), "{report}");
//! ```

pub mod host;
pub mod storage;
pub mod transport;

use std::fmt;
use vr_core::{
    ClientId, Entries, Entry, Epoch, Hash, Head, Kind, Op, Predicted, Request, RequestNumber, Session, View,
};

/// One thing that was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// What holds, as a sentence.
    pub name: &'static str,
    /// How often it was tried.
    pub tried: u64,
    /// The first time that it did not hold, and what was found then.
    pub failure: Option<String>,
}

/// What a kit found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Which kit.
    pub kit: &'static str,
    /// Everything that was tried, in order.
    pub cases: Vec<Case>,
}

impl Report {
    const fn new(kit: &'static str) -> Self {
        Self { kit, cases: Vec::new() }
    }

    /// Did everything hold, and was everything tried?
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.cases.is_empty() && self.cases.iter().all(|case| case.failure.is_none() && case.tried > 0)
    }

    /// The names of the cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        self.cases.iter().filter(|case| case.failure.is_some() || case.tried == 0).map(|case| case.name)
    }

    /// Tries one thing.
    fn case(&mut self, name: &'static str, try_it: impl FnOnce(&mut u64) -> Result<(), String>) {
        let mut tried = 0;
        let failure = try_it(&mut tried).err();
        self.cases.push(Case { name, tried, failure });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.cases.iter().filter(|case| case.failure.is_none() && case.tried > 0).count();
        writeln!(f, "{}: {held} of {} cases held", self.kit, self.cases.len())?;
        for Case { name, tried, failure } in &self.cases {
            match failure {
                None if *tried == 0 => writeln!(f, "  MISSING  {name}")?,
                None => writeln!(f, "  ok       {name} ({tried})")?,
                Some(what) => writeln!(f, "  FAILED   {name}: {what}")?,
            }
        }
        Ok(())
    }
}

/// So many entries that follow `head`, of so many bytes each.
fn entries_after(head: Head, view: View, count: u64, body_bytes: usize) -> Entries {
    let mut parent = head.hash;
    let entry = |number: u64| {
        let op = head.op.plus(number);
        let entry = Entry::new(Epoch::ZERO, view, op, parent, request(op.0, body_bytes));
        parent = entry.hash();
        entry
    };
    Entries::new((1..=count).map(entry).collect()).expect("each names the one before it")
}

fn request(number: u64, body_bytes: usize) -> Request {
    Request {
        client: ClientId(7),
        session: Session(1),
        number: RequestNumber(number),
        kind: Kind::Operation,
        predicted: Predicted { wall_ns: number, seed: number },
        body: vec![b'x'; body_bytes].into(),
    }
}

/// The head of a log that nobody here ever saw.
fn elsewhere(op: Op) -> Head {
    Head { op, hash: Hash(u128::from(op.0) << 64 | 0xE15E) }
}
