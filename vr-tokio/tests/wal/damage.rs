//! Files that are damaged while nobody looks: every byte flipped, every file cut at every byte, files swapped.

use crate::crash::{Run, SMALL, record};
use crate::steps::steps;
use vr_tokio::fuzz::author::{Step, identity};

use proptest::prelude::*;
use std::any::Any;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use vr_core::Op;
use vr_tokio::fuzz::memory::{Memory, Survives};
use vr_tokio::fuzz::{entry_by_entry, never_silently_less};
use vr_tokio::wal::{File, Files, FindingKind, Wal, WalErrorKind, inspect_in};

/// A log of several segments, all of it confirmed, and said to be so.
pub(crate) fn confirmed_run(steps: &[Step]) -> Run {
    let mut steps = steps.to_vec();
    steps.extend([Step::Sync, Step::Mark]);
    record(&steps)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_byte_is_never_a_shorter_log_in_silence(steps in steps(12), flip in 1u8..=255) {
        let run = confirmed_run(&steps);
        let all = run.folds.last().unwrap();
        for name in run.disk.names().unwrap().into_iter().filter(|name| name != "spare") {
            let bytes = run.disk.bytes_of(&name);
            // Of the room that is never written, one byte in so many will do.
            for at in (0..bytes.len()).filter(|at| bytes[*at] != 0 || at % 64 == 5) {
                let mut flipped = bytes.clone();
                flipped[at] ^= flip;
                let disk = run.disk.with(&name, Some(flipped));
                let Ok(opened) = Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL) else { continue };
                never_silently_less(all, &opened.stored, &format!("{name} at {at}"));
                // A damage is found again at the next start.
                drop(opened.wal);
                let again = Wal::open_in(Arc::new(disk), &identity(), SMALL).unwrap();
                prop_assert_eq!(again.stored, opened.stored);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_confirmed_sector_that_turns_to_zeros_is_not_taken_for_torn(steps in steps(24), sectors in 1usize..4) {
        with_zeros(&confirmed_run(&steps), sectors);
    }

    #[test]
    fn a_log_goes_on_behind_a_damage_and_remembers_it_until_it_is_repaired(
        steps in steps(24), place in any::<prop::sample::Index>(), repair in steps(6), back in 0u64..4
    ) {
        let run = confirmed_run(&steps);
        let name = "log-0000000000000001";
        let Some(bytes) = run.disk.names().unwrap().contains(&name.to_owned()).then(|| run.disk.bytes_of(name)) else {
            return Ok(());
        };
        let written: Vec<usize> = (4096..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        let mut rotten = bytes;
        if let Some(at) = written.get(place.index(written.len().max(1))) {
            rotten[*at] ^= 0x10;
        }
        let disk = run.disk.with(name, Some(rotten));
        let Ok(opened) = Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL) else { return Ok(()) };
        let mut next = Run {
            disk: disk.clone(),
            folds: vec![opened.stored],
            confirmed: vec![(0, 0)],
            issued: vec![(0, 0)],
            formatted: 0,
        };
        let mut wal = opened.wal;
        let reopened = |disk: &Memory| Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL).unwrap().stored;
        let replace = Step::Replace { back, entries: 2 };
        for steps in [&[Step::Incarnation, Step::View][..], &[replace], &repair] {
            next.write(&mut wal, steps);
            next.write(&mut wal, &[Step::Sync]);
            let crashed = disk.crash(disk.operations(), Survives::Nothing);
            prop_assert_eq!(entry_by_entry(&reopened(&crashed)), entry_by_entry(next.folds.last().unwrap()));
        }
        prop_assert!(next.folds.last().unwrap().damage.is_none());
    }
}

/// Wherever so many sectors turn to zeros, what is found is not less in silence.
fn with_zeros(run: &Run, sectors: usize) {
    let all = run.folds.last().unwrap();
    for name in run.disk.names().unwrap().into_iter().filter(|name| name != "spare") {
        let bytes = run.disk.bytes_of(&name);
        for from in (0..bytes.len()).step_by(512) {
            let mut zeroed = bytes.clone();
            let to = bytes.len().min(from + 512 * sectors);
            zeroed[from..to].fill(0);
            let disk = run.disk.with(&name, Some(zeroed));
            let Ok(opened) = Wal::open_in(Arc::new(disk), &identity(), SMALL) else { continue };
            never_silently_less(all, &opened.stored, &format!("{name} from {from}"));
        }
    }
}

/// What a lost record replaced is not told as the beginning of the log, though a later one replaced nothing.
#[test]
fn what_a_lost_record_replaced_does_not_begin_the_log() {
    let steps = [
        Step::Append { entries: 2, body: 654 },
        Step::Append { entries: 1, body: 257 },
        Step::Checkpoint { back: 1, state: 0 },
        Step::Replace { back: 1, entries: 3 },
        Step::Append { entries: 3, body: 0 },
        Step::Replace { back: 0, entries: 0 },
    ];
    with_zeros(&confirmed_run(&steps), 1);
}

#[test]
fn a_rotten_entry_is_reported_with_its_op_and_kept() {
    let steps = [
        Step::Append { entries: 2, body: 10 },
        Step::Sync,
        Step::Append { entries: 1, body: 100 },
        Step::Sync,
        Step::Append { entries: 1, body: 20 },
        Step::Sync,
    ];
    let run = confirmed_run(&steps);
    let bytes = run.disk.bytes_of("log-0000000000000001");
    let body = bytes.windows(50).position(|window| window == [b'b'; 50]).unwrap();
    let mut rotten = bytes.clone();
    rotten[body + 20] ^= 1;
    let disk = run.disk.with("log-0000000000000001", Some(rotten.clone()));
    let opened = Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL).unwrap();
    assert_eq!(opened.stored.log.op(), Op(2));
    assert_eq!(opened.stored.damage.unwrap().from, Op(3));
    assert_eq!(opened.findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [FindingKind::Rot]);
    assert_eq!(disk.bytes_of("log-0000000000000001"), rotten, "it is kept as it is");
}

#[test]
fn an_empty_replacement_vouches_for_no_record_that_is_lost_before_it() {
    // In view 1 the log after op 5 was replaced; in view 2 all of that was kept. The record of view 1 is lost.
    let steps = [
        Step::Append { entries: 10, body: 10 },
        Step::Sync,
        Step::Replace { back: 5, entries: 3 },
        Step::Sync,
        Step::Replace { back: 0, entries: 0 },
        Step::Sync,
    ];
    let run = confirmed_run(&steps);
    let (name, all) = ("log-0000000000000001", run.folds.last().unwrap());
    let bytes = run.disk.bytes_of(name);
    let second = inspect_in(Box::new(run.disk.clone())).unwrap().map(Result::unwrap).find(|record| record.number == 2);
    let head = usize::try_from(second.unwrap().offset).unwrap();
    for at in head..head + 80 {
        let mut rotten = bytes.clone();
        rotten[at] ^= 1;
        let opened = Wal::open_in(Arc::new(run.disk.with(name, Some(rotten))), &identity(), SMALL).unwrap();
        never_silently_less(all, &opened.stored, &format!("byte {} of the head", at - head));
    }
}

/// Files of which those that hold checkpoints cannot be read just now.
struct Unreadable(Memory);

impl Files for Unreadable {
    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send>>> {
        self.0.lock()
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }
    fn create_dir(&self) -> io::Result<()> {
        self.0.create_dir()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.0.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.0.open(name)
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        if name.starts_with("checkpoint-") { Err(io::ErrorKind::PermissionDenied.into()) } else { self.0.read(name) }
    }
    fn read_part(&self, name: &str, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        self.0.read_part(name, offset, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }
}

#[test]
fn a_checkpoint_that_cannot_be_read_just_now_is_not_lost() {
    let steps =
        [Step::Append { entries: 3, body: 10 }, Step::Checkpoint { back: 1, state: 100 }, Step::Cut { back: 1 }];
    let run = confirmed_run(&steps);
    let refused = Wal::open_in(Arc::new(Unreadable(run.disk.clone())), &identity(), SMALL);
    assert!(refused.is_err_and(|error| error.kind == WalErrorKind::Io), "a start that can be tried again");
    let opened = Wal::open_in(Arc::new(run.disk.clone()), &identity(), SMALL).unwrap();
    assert_eq!(&opened.stored, run.folds.last().unwrap());
}

#[test]
fn power_may_fail_at_any_moment_of_a_start_from_a_damaged_log() {
    let steps = [
        Step::Incarnation,
        Step::Append { entries: 3, body: 100 },
        Step::Sync,
        Step::Replace { back: 1, entries: 2 },
        Step::Sync,
        Step::Append { entries: 1, body: 100 },
    ];
    let run = confirmed_run(&steps);
    let name = "log-0000000000000001";
    let bytes = run.disk.bytes_of(name);
    for at in (4096..bytes.len()).filter(|at| bytes[*at] != 0).step_by(11) {
        let mut rotten = bytes.clone();
        rotten[at] ^= 1;
        let disk = run.disk.with(name, Some(rotten));
        let before = disk.operations();
        let found = Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL).unwrap().stored;
        for operations in before..=disk.operations() {
            for survives in [Survives::Nothing, Survives::Everything, Survives::Some(1), Survives::Some(7)] {
                let crashed = Arc::new(disk.crash(operations, survives));
                let again = Wal::open_in(crashed, &identity(), SMALL);
                let again = again.unwrap_or_else(|error| panic!("byte {at}, after {operations} operations: {error}"));
                assert_eq!(again.stored, found, "byte {at}, after {operations} operations");
            }
        }
    }
}
