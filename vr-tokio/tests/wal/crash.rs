//! Power fails between any two file operations, and whatever was not synced is there or not.

use crate::steps::steps;
use proptest::prelude::*;
use std::sync::Arc;
use vr_core::{Stored, WriteId};
use vr_tokio::fuzz::author::{Step, formatted, identity, write_of};
use vr_tokio::fuzz::memory::{Memory, Survives};
use vr_tokio::wal::{Options, Wal};

pub(crate) const SMALL: Options = Options { segment_bytes: 4096 + 2048, quota_bytes: None };

/// A run that was recorded.
pub(crate) struct Run {
    pub(crate) disk: Memory,
    /// What the disk holds after 0, 1, … writes.
    pub(crate) folds: Vec<Stored>,
    /// After so many operations so many writes were confirmed.
    pub(crate) confirmed: Vec<(usize, usize)>,
    /// After so many operations so many writes had been issued.
    pub(crate) issued: Vec<(usize, usize)>,
    /// The format ended here.
    pub(crate) formatted: usize,
}

/// Formats, opens and writes.
pub(crate) fn record(steps: &[Step]) -> Run {
    let disk = Memory::default();
    let instance = Wal::format_in(&disk, &identity(), &SMALL).unwrap();
    let formatted_at = disk.operations();
    let mut run = Run {
        disk: disk.clone(),
        folds: vec![formatted(instance)],
        confirmed: vec![(0, 0)],
        issued: vec![(0, 0)],
        formatted: formatted_at,
    };
    let mut wal = Wal::open_in(Arc::new(disk), &identity(), SMALL).unwrap().wal;
    run.write(&mut wal, steps);
    run
}

impl Run {
    pub(crate) fn write(&mut self, wal: &mut Wal, steps: &[Step]) {
        for step in steps {
            let stored = self.folds.last().unwrap();
            match (write_of(*step, stored), step) {
                (Some(write), _) => {
                    let mut next = stored.clone();
                    next.apply(write.clone());
                    assert!(wal.reserve(&write).unwrap());
                    self.issued.push((self.disk.operations(), self.folds.len()));
                    wal.append(WriteId(u64::try_from(self.folds.len()).unwrap()), &write).unwrap();
                    self.folds.push(next);
                }
                (None, Step::Mark) => wal.mark().unwrap(),
                (None, _) => {
                    if let Some(id) = wal.sync().unwrap() {
                        self.confirmed.push((self.disk.operations(), usize::try_from(id.0).unwrap()));
                    }
                }
            }
        }
    }

    /// The writes that must, and those that may be there after so many operations.
    pub(crate) fn bounds(&self, operations: usize) -> (usize, usize) {
        let before = |list: &[(usize, usize)]| list.iter().filter(|(at, _)| *at <= operations).map(|(_, n)| *n).max();
        (before(&self.confirmed).unwrap(), before(&self.issued).unwrap())
    }
}

/// Opens what a crash left, and holds it against what was confirmed.
fn judge(run: &Run, found: Memory, operations: usize) -> Result<(), TestCaseError> {
    let (least, most) = run.bounds(operations);
    let opened = Wal::open_in(Arc::new(found.clone()), &identity(), SMALL);
    let opened = match opened {
        Err(error) => {
            prop_assert!(operations < run.formatted, "after {operations} operations: {error}");
            return Ok(());
        }
        Ok(opened) => opened,
    };
    let fits = (least..=most).find(|n| run.folds[*n] == opened.stored);
    prop_assert!(
        fits.is_some(),
        "after {operations} operations, {least} to {most} writes: {:?} {:?}",
        opened.stored,
        opened.findings
    );
    // It is the same when the power fails again at once, and after another clean start.
    drop(opened.wal);
    let again = found.crash(found.operations(), Survives::Nothing);
    let again = Wal::open_in(Arc::new(again), &identity(), SMALL).unwrap();
    prop_assert_eq!(again.stored, opened.stored);
    prop_assert!(again.findings.is_empty(), "{:?}", again.findings);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_between_any_two_file_operations_leaves_a_prefix_with_all_that_was_confirmed(
        steps in steps(40), seed in any::<u64>()
    ) {
        let run = record(&steps);
        for operations in 0..=run.disk.operations() {
            judge(&run, run.disk.crash(operations, Survives::Nothing), operations)?;
            judge(&run, run.disk.crash(operations, Survives::Everything), operations)?;
            for toss in 0..3 {
                let seed = seed.wrapping_add(toss).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                judge(&run, run.disk.crash(operations, Survives::Some(seed)), operations)?;
            }
        }
    }
}
