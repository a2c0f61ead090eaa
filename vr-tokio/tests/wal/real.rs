//! The same on files of the operating system, and what they cost.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use vr_core::{Stored, WriteId};
use vr_tokio::disk::{DiskAnswer, DiskOptions, start};
use vr_tokio::fuzz::author::{Step, identity, write_of};
use vr_tokio::wal::{Metrics, Opened, Options, Wal, WalErrorKind};

const SMALL: Options = Options { segment_bytes: 1 << 16, quota_bytes: None };

/// A directory on a disk, not in memory as `/tmp` may be.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn fill(opened: &mut Opened, steps: &[Step]) -> Stored {
    let mut stored = opened.stored.clone();
    for (id, step) in (1..).zip(steps) {
        let write = write_of(*step, &stored).unwrap();
        stored.apply(write.clone());
        assert!(opened.wal.reserve(&write).unwrap());
        opened.wal.append(WriteId(id), &write).unwrap();
        assert_eq!(opened.wal.sync().unwrap(), Some(WriteId(id)));
    }
    stored
}

#[test]
fn real_files_give_back_what_was_written_over_several_lives() {
    let dir = directory();
    let at = dir.path().join("a/b");
    Wal::format(&at, &identity(), &SMALL).unwrap();
    let mut expected = None;
    for _ in 0..4 {
        let mut opened = Wal::open(&at, &identity(), SMALL).unwrap();
        assert!(opened.findings.is_empty(), "{:?}", opened.findings);
        assert!(expected.is_none_or(|expected| expected == opened.stored));
        let mut steps = vec![Step::Incarnation, Step::View, Step::Replace { back: 2, entries: 3 }];
        steps.extend([Step::Append { entries: 3, body: 9000 }; 4]);
        steps.extend([Step::Checkpoint { back: 2, state: 70_000 }, Step::Cut { back: 1 }, Step::Clean]);
        expected = Some(fill(&mut opened, &steps));
    }
}

#[test]
fn a_second_owner_of_real_files_is_refused() {
    let dir = directory();
    Wal::format(dir.path(), &identity(), &SMALL).unwrap();
    let first = Wal::open(dir.path(), &identity(), SMALL).unwrap();
    let second = Wal::open(dir.path(), &identity(), SMALL).err().unwrap();
    assert_eq!(second.kind, WalErrorKind::Locked);
    drop(first);
    assert!(Wal::open(dir.path(), &identity(), SMALL).is_ok());
    assert_eq!(Wal::format(dir.path(), &identity(), &SMALL).unwrap_err().kind, WalErrorKind::NotEmpty);
}

#[test]
fn a_quota_is_a_full_disk() {
    let dir = directory();
    let options = Options { segment_bytes: 1 << 16, quota_bytes: Some(200_000) };
    Wal::format(dir.path(), &identity(), &options).unwrap();
    let mut opened = Wal::open(dir.path(), &identity(), options).unwrap();
    let write = write_of(Step::Append { entries: 1, body: 150_000 }, &opened.stored).unwrap();
    assert!(!opened.wal.reserve(&write).unwrap());
    assert!(opened.wal.replenish().unwrap());
    assert!(opened.wal.bytes_on_disk() <= 200_000);
    let mut steps = vec![Step::Incarnation];
    steps.extend([Step::Append { entries: 1, body: 1000 }; 9]);
    fill(&mut opened, &steps);
}

/// How many entries of 256 bytes a second become durable, so many outstanding, each in a write of its own.
fn durable_per_second(outstanding: u64, time: Duration) -> (u64, f64) {
    let dir = directory();
    Wal::format(dir.path(), &identity(), &Options::default()).unwrap();
    let opened = Wal::open(dir.path(), &identity(), Options::default()).unwrap();
    let mut stored = opened.stored;
    let done = Arc::new((AtomicU64::new(0), std::thread::current()));
    let told = Arc::clone(&done);
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&syncs);
    let answer = move |answer| {
        if let DiskAnswer::Persisted(id) = answer {
            told.0.store(id.0, Ordering::SeqCst);
            counted.fetch_add(1, Ordering::Relaxed);
            told.1.unpark();
        }
    };
    let disk = start(opened.wal, DiskOptions::default(), Metrics::default(), answer).unwrap();
    let (begun, mut issued) = (Instant::now(), 0);
    while begun.elapsed() < time {
        while issued < done.0.load(Ordering::SeqCst) + outstanding {
            let write = write_of(Step::Append { entries: 1, body: 256 }, &stored).unwrap();
            stored.apply(write.clone());
            issued += 1;
            disk.submit(WriteId(issued), write);
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let per_second = u64::try_from(u128::from(done.0.load(Ordering::SeqCst)) * 1000 / begun.elapsed().as_millis());
    let syncs = f64::from(u32::try_from(syncs.load(Ordering::Relaxed)).unwrap()) / begun.elapsed().as_secs_f64();
    (per_second.unwrap(), syncs)
}

/// The same bytes with nothing around them: one write and one fdatasync for so many entries, into a file that grows.
fn raw_per_second(group: u64, time: Duration) -> u64 {
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bytes = vec![7; 400 * usize::try_from(group).unwrap()];
    let (begun, mut written) = (Instant::now(), 0);
    while begun.elapsed() < time {
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        written += group;
    }
    u64::try_from(u128::from(written) * 1000 / begun.elapsed().as_millis()).unwrap()
}

#[test]
#[ignore = "a measurement: cargo test --release -p vr-tokio --test wal -- --ignored --nocapture measure"]
fn measure_appends_a_second() {
    for outstanding in [1, 64, 256] {
        for round in 1..=3 {
            let raw = raw_per_second(outstanding, Duration::from_secs(2));
            let (log, syncs) = durable_per_second(outstanding, Duration::from_secs(2));
            println!(
                "{outstanding:>4} outstanding, round {round}: log {log:>7}/s in {syncs:.0} syncs/s, raw {raw:>7}/s"
            );
        }
    }
}
