//! A storage that passes, in memory: a list of records, each with how often the medium was asked to keep it.
//!
//! Owns the model of a medium, and the defects that make it fail: one for each thing that a storage may get wrong. Must
//! not know what is tried.

use super::{Keeps, REPLICA, Storage, Wrote, cluster};
use vr_core::{Damage, Entries, Instance, Stored, Write, WriteId};

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Defect {
    /// Nothing.
    #[default]
    None,
    /// A sync says that it is done when it has only begun.
    ConfirmsEarly,
    /// What is not synced and survives may have holes: the end of the log is not looked for at the first of them.
    KeepsHoles,
    /// The last record is given once more, and cut away.
    ForgetsAtTheSecondStart,
    /// Rotten records at the end are taken for torn ones.
    TakesRotForTorn,
    /// After a sync that failed it tries again.
    TriesAgain,
    /// What it has no room for it takes, and loses.
    LosesWhatDoesNotFit,
    /// Closing forgets the last write.
    ForgetsAtTheEnd,
}

#[derive(Clone, Debug)]
struct Record {
    write: Write,
    rotten: bool,
}

/// An operation on the medium.
#[derive(Clone, Debug)]
enum Operation {
    Write(Record),
    /// So many records are durable now.
    Sync(usize),
    /// The records from here on are gone.
    Truncate(usize),
}

/// A storage over a medium in memory.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    defect: Defect,
    /// What was there when the journal began: all of it durable.
    found: Vec<Record>,
    journal: Vec<Operation>,
    /// Through which write, in this life.
    taken: u64,
    failing: bool,
    failed: bool,
    full: bool,
}

impl Reference {
    /// One with this defect.
    #[must_use]
    pub fn with(defect: Defect) -> Self {
        Self { defect, ..Self::default() }
    }

    /// The records after so many operations, and how many of them are durable.
    fn records(&self, moment: usize) -> (Vec<Record>, usize) {
        let (mut records, mut durable) = (self.found.clone(), self.found.len());
        for operation in self.journal.iter().take(moment) {
            match operation {
                Operation::Write(record) => records.push(record.clone()),
                Operation::Sync(through) => durable = *through,
                Operation::Truncate(from) => {
                    records.truncate(*from);
                    durable = durable.min(*from);
                }
            }
        }
        (records, durable)
    }
}

impl Storage for Reference {
    fn format(&mut self) -> Result<(), String> {
        *self = Self::with(self.defect);
        Ok(())
    }

    fn open(&mut self) -> Result<Stored, String> {
        let (records, durable) = self.records(self.journal.len());
        let mut stored = Stored::format(cluster().cluster, cluster().digest(), REPLICA, Instance(1));
        for (at, record) in records.iter().enumerate() {
            if !record.rotten && !continues(&stored, &record.write) {
                continue; // Only a defect leaves such a thing.
            }
            if !record.rotten {
                stored.apply(record.write.clone());
                continue;
            }
            // Promises are kept a second time; what they were, the log behind them says.
            for later in &records[at..] {
                match &later.write {
                    Write::Incarnation(incarnation) => stored.incarnation = *incarnation,
                    Write::View(view) => stored.view = *view,
                    Write::Replace { view, .. } | Write::Install { view, .. } => {
                        (stored.view, stored.log_view) = (*view, *view);
                    }
                    Write::Append(_)
                    | Write::Clean
                    | Write::Checkpoint(_)
                    | Write::Cut { .. }
                    | Write::Repair { .. } => {}
                }
            }
            if self.defect != Defect::TakesRotForTorn {
                stored.damage = Some(Damage::of_end(stored.log.op().next()));
            }
            stored.clean = false;
            break;
        }
        match records.len().checked_sub(1) {
            Some(last) if self.defect == Defect::ForgetsAtTheSecondStart => {
                self.journal.push(Operation::Truncate(last));
            }
            // What was found is durable from now on.
            Some(_) if durable < records.len() => self.journal.push(Operation::Sync(records.len())),
            Some(_) | None => {}
        }
        self.taken = 0;
        (self.failed, self.failing) = (false, false);
        Ok(stored)
    }

    fn write(&mut self, id: WriteId, write: &Write) -> Wrote {
        if self.failed {
            return Wrote::Failed;
        }
        if self.full && matches!(write, Write::Append(_)) {
            if self.defect != Defect::LosesWhatDoesNotFit {
                return Wrote::Full;
            }
            self.taken = id.0;
            return Wrote::Taken;
        }
        self.taken = id.0;
        self.journal.push(Operation::Write(Record { write: write.clone(), rotten: false }));
        Wrote::Taken
    }

    fn sync(&mut self) -> Result<WriteId, String> {
        if self.failed {
            return Err("the disk failed before".to_owned());
        }
        if std::mem::take(&mut self.failing) {
            self.failed = self.defect != Defect::TriesAgain;
            return Err("the disk failed".to_owned());
        }
        if self.defect != Defect::ConfirmsEarly {
            let all = self.records(self.journal.len()).0.len();
            self.journal.push(Operation::Sync(all));
        }
        Ok(WriteId(self.taken))
    }

    fn close(&mut self) {
        let (records, _) = self.records(self.journal.len());
        if self.defect == Defect::ForgetsAtTheEnd {
            self.journal.push(Operation::Truncate(records.len().saturating_sub(1)));
        }
    }

    fn moments(&self) -> u64 {
        u64::try_from(self.journal.len()).unwrap_or(u64::MAX)
    }

    fn cut(&self, moment: u64, keeps: Keeps) -> Self {
        let (records, durable) = self.records(usize::try_from(moment).unwrap_or(self.journal.len()));
        let (mut found, behind) = (records[..durable].to_vec(), &records[durable..]);
        let survive = |at: usize| match keeps {
            Keeps::Nothing => false,
            Keeps::Everything => true,
            Keeps::Some(seed) => (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (at % 60)) & 1 == 1,
        };
        let survivors = behind.iter().enumerate().map(|(at, record)| (survive(at), record));
        if self.defect == Defect::KeepsHoles {
            found.extend(survivors.filter(|(is_there, _)| *is_there).map(|(_, record)| record.clone()));
        } else {
            found.extend(survivors.take_while(|(is_there, _)| *is_there).map(|(_, record)| record.clone()));
        }
        let journal = Vec::new();
        Self { found, journal, taken: 0, failing: false, failed: false, full: false, ..*self }
    }

    fn rot(&mut self, place: u64) -> bool {
        let (mut records, _) = self.records(self.journal.len());
        let Some(record) = usize::try_from(place).ok().and_then(|place| records.get_mut(place)) else { return false };
        record.rotten = true;
        (self.found, self.journal) = (records, Vec::new());
        true
    }

    fn fill(&mut self, full: bool) {
        self.full = full;
    }

    fn fail_sync(&mut self) {
        self.failing = true;
    }
}

/// Does a write follow what is stored?
fn continues(stored: &Stored, write: &Write) -> bool {
    let follows = |after, entries: &Entries| {
        let hash = stored.log.hash(after);
        hash.is_some_and(|hash| entries.first().is_none_or(|first| first.parent() == hash))
    };
    match write {
        Write::Incarnation(incarnation) => *incarnation > stored.incarnation,
        Write::Append(entries) => follows(stored.log.op(), entries),
        Write::Replace { keep, entries, .. } | Write::Repair { keep, entries } => follows(*keep, entries),
        Write::Cut { through } => stored.log.hash(*through).is_some(),
        Write::View(_) | Write::Clean | Write::Checkpoint(_) | Write::Install { .. } => true,
    }
}
