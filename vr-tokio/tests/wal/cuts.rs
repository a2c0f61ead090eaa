//! The log cut at every byte, and bytes that no log ever wrote.

use crate::crash::{Run, SMALL, record};
use crate::steps::steps;
use proptest::prelude::*;
use std::sync::Arc;
use vr_core::Stored;
use vr_tokio::fuzz::author::{Step, identity};
use vr_tokio::fuzz::memory::{Memory, Survives};
use vr_tokio::wal::{Files, Opened, RecordState, Wal, WalError, inspect_in};

fn open(disk: &Memory) -> Result<Opened, WalError> {
    Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL)
}

/// The segment that is being written.
fn newest_segment(disk: &Memory) -> String {
    disk.names().unwrap().into_iter().rfind(|name| name.starts_with("log-")).unwrap()
}

/// A confirmed run, then writes that are handed to the operating system and never confirmed.
fn run_with_a_tail(steps: &[Step], tail: &[Step]) -> (Run, usize, usize) {
    let mut run = record(&[]);
    let mut wal = open(&run.disk).unwrap().wal;
    run.write(&mut wal, steps);
    run.write(&mut wal, &[Step::Sync]);
    let confirmed = run.folds.len() - 1;
    let name = newest_segment(&run.disk);
    let end = used(&run.disk.bytes_of(&name));
    run.write(&mut wal, tail);
    wal.flush().unwrap();
    (run, confirmed, end)
}

/// Only that its beginning may go is lost.
fn begins_earlier(found: &Stored, of: &Stored) -> bool {
    let mut cut = found.clone();
    cut.log.cut(of.log.base().op);
    cut.log.head() == of.log.head() && cut.log.base() == of.log.base() && cut.view == of.view
}

fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_log_that_is_cut_at_any_byte_is_the_fold_of_a_prefix_or_says_what_is_missing(
        steps in steps(20), bodies in proptest::collection::vec(0usize..300, 1..4), shorter in any::<bool>()
    ) {
        let tail: Vec<Step> = bodies.iter().map(|body| Step::Append { entries: 1, body: *body }).collect();
        let (run, confirmed, end) = run_with_a_tail(&steps, &tail);
        let name = newest_segment(&run.disk);
        let bytes = run.disk.bytes_of(&name);
        for cut in 4096..=used(&bytes) {
            let mut left = bytes.clone();
            if shorter { left.truncate(cut) } else { left[cut..].fill(0) }
            let Ok(opened) = open(&run.disk.with(&name, Some(left))) else {
                prop_assert!(cut < end, "cut at {} of {}", cut, end);
                continue;
            };
            let prefix = run.folds.iter().rposition(|fold| *fold == opened.stored);
            let is_fold = prefix.is_some_and(|writes| cut < end || writes >= confirmed);
            let is_longer = run.folds.iter().any(|fold| begins_earlier(&opened.stored, fold));
            let says = cut < end && (opened.stored.damage.is_some() || is_longer);
            prop_assert!(is_fold || says, "cut at {cut} of {end}: {:?} {:?}", opened.stored, opened.findings);
        }
    }

    #[test]
    fn what_was_cut_away_never_comes_back(steps in steps(20), seed in any::<u64>()) {
        // Whatever a torn end leaves behind, the writes after the next start are what follows it.
        let tail = [Step::Append { entries: 2, body: 600 }, Step::Append { entries: 1, body: 20 }];
        let (run, ..) = run_with_a_tail(&steps, &tail);
        let torn = run.disk.crash(run.disk.operations(), Survives::Some(seed));
        let first = open(&torn).unwrap();
        let mut next = Run {
            disk: torn.clone(), folds: vec![first.stored], confirmed: vec![(0, 0)], issued: vec![(0, 0)], formatted: 0,
        };
        let mut wal = first.wal;
        next.write(&mut wal, &[Step::Incarnation, Step::Append { entries: 1, body: 600 }, Step::Sync]);
        drop(wal);
        let again = open(&torn.crash(torn.operations(), Survives::Some(seed ^ 1))).unwrap();
        prop_assert_eq!(&again.stored, next.folds.last().unwrap());
    }

    #[test]
    fn files_of_garbage_are_refused_and_never_a_panic(
        garbage in proptest::collection::vec(any::<u8>(), 0..9000), which in 0usize..3, at in 0usize..9000
    ) {
        let run = record(&[Step::Incarnation, Step::Append { entries: 3, body: 100 }, Step::Sync]);
        let name = ["promises", "log-0000000000000001", "spare"][which];
        let mut bytes = run.disk.names().unwrap().contains(&name.to_owned()).then(|| run.disk.bytes_of(name));
        if let Some(bytes) = &mut bytes {
            let from = at.min(bytes.len());
            let to = bytes.len().min(from + garbage.len());
            bytes[from..to].copy_from_slice(&garbage[..to - from]);
            bytes.extend_from_slice(&garbage[to - from..]);
        }
        let disk = run.disk.with(name, bytes);
        if let Ok(opened) = open(&disk) {
            let all = run.folds.last().unwrap();
            prop_assert!(opened.stored.damage.is_some() || opened.stored == *all, "{:?}", opened.findings);
        }
        for (name, content) in [("promises", &garbage), ("log-0000000000000001", &garbage)] {
            let disk = run.disk.with(name, Some(content.clone()));
            prop_assert!(open(&disk).is_err());
            let _ = inspect_in(Box::new(disk)).map(Iterator::count);
        }
    }
}

#[test]
fn a_log_is_read_by_eye_without_its_lock_and_damaged_too() {
    let steps = [
        Step::Incarnation,
        Step::Append { entries: 2, body: 30 },
        Step::Sync,
        Step::Replace { back: 1, entries: 2 },
        Step::Sync,
        Step::Mark,
    ];
    let run = record(&steps);
    let whole: Vec<_> = inspect_in(Box::new(run.disk.clone())).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(whole.iter().all(|record| record.state == RecordState::Ok), "{whole:?}");
    assert_eq!(whole.iter().map(|record| record.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(whole[1].entries.len(), 2);
    let mut bytes = run.disk.bytes_of("log-0000000000000001");
    bytes[usize::try_from(whole[1].offset).unwrap() + 100] ^= 4;
    let rotten = run.disk.with("log-0000000000000001", Some(bytes));
    let states = inspect_in(Box::new(rotten)).unwrap().map(|record| record.unwrap().state);
    assert_eq!(states.collect::<Vec<_>>(), [RecordState::Ok, RecordState::Rotten, RecordState::Ok]);
}
