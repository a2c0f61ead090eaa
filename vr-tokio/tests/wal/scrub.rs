//! What rots while a log is in use is found, counted and written again, so that the next start finds all of it.
//!
//! Owns where it rots. Must not know how that is found: it waits for the counters, as an operator would.

use crate::crash::SMALL;
use crate::damage::confirmed_run;
use crate::holes::{STEPS, damaged, open, records};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use vr_core::{Stored, WriteId};
use vr_tokio::disk::{Disk, DiskAnswer, DiskOptions, ScrubOptions, start};
use vr_tokio::fuzz::author::{Step, identity, write_of};
use vr_tokio::fuzz::memory::Memory;
use vr_tokio::wal::{Files, FindingKind, Metrics, Record, RecordKind, Wal};

const LONG: Duration = Duration::from_secs(30);

/// A log in use that is checked all the time.
struct Bench {
    disk: Disk,
    registry: Registry,
}

fn bench(wal: Wal) -> Bench {
    let metrics = Metrics::default();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let scrub = ScrubOptions { interval: Duration::from_millis(1), bytes_per_second: 1 << 31 };
    let how = DiskOptions { scrub: Some(scrub), ..DiskOptions::default() };
    Bench { disk: start(wal, how, metrics, |_| ()).unwrap(), registry }
}

impl Bench {
    /// The sum of all counters whose names begin so.
    fn counted(&self, name: &str) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Waits until a counter is above `before`.
    fn await_more(&self, name: &str, before: u64) {
        let begun = Instant::now();
        while self.counted(name) <= before {
            assert!(begun.elapsed() < LONG, "{name} stays {before}");
            std::thread::yield_now();
        }
    }

    /// Two passes begin and end: what was there before them was read.
    fn await_passes(&self) {
        let before = self.counted("vr_wal_scrub_passes_total");
        self.await_more("vr_wal_scrub_passes_total", before + 1);
    }
}

fn flip(files: &dyn Files, name: &str, at: u64) {
    let byte = files.read_part(name, at, 1).unwrap()[0] ^ 0x10;
    files.open(name).unwrap().write_at(at, &[byte]).unwrap();
}

fn name_of(record: &Record) -> String {
    record.file.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Everything but how the entries came.
fn same(found: &Stored, all: &Stored, what: &str) {
    let of = |stored: &Stored| (stored.log.base(), stored.log.head(), stored.view, stored.log_view, stored.incarnation);
    assert_eq!((of(found), &found.damage), (of(all), &None), "{what}");
    assert_eq!(found.log.after(found.log.base().op).count(), all.log.after(all.log.base().op).count(), "{what}");
    assert_eq!(found.checkpoint, all.checkpoint, "{what}");
}

#[test]
fn a_record_that_rots_while_the_log_is_in_use_is_whole_at_the_next_start() {
    let run = confirmed_run(&STEPS);
    let all = run.folds.last().unwrap();
    for record in records(&run.disk) {
        for at in [0, 70, record.length / 2, record.length - 1] {
            let what = format!("record {} ({:?}), byte {at}", record.number, record.kind);
            let disk = run.disk.with("none", None);
            let bench = bench(open(&disk).wal);
            flip(&disk, &name_of(&record), record.offset + at);
            bench.await_more("vr_wal_scrub_findings_total", 0);
            bench.await_passes();
            assert_eq!(bench.counted("vr_wal_scrub_findings_total"), 1, "{what}: it is told once");
            drop(bench);
            same(&open(&disk).stored, all, &what);
            same(&open(&disk).stored, all, &what);
        }
    }
}

#[test]
fn several_records_that_rot_are_all_whole_at_the_next_start() {
    let run = confirmed_run(&STEPS);
    let disk = run.disk.with("none", None);
    let bench = bench(open(&disk).wal);
    let records = records(&disk);
    for record in records.iter().rev().step_by(2) {
        flip(&disk, &name_of(record), record.offset + 90 % record.length);
    }
    bench.await_more("vr_wal_scrub_findings_total", u64::try_from(records.len() / 2 - 1).unwrap());
    bench.await_passes();
    drop(bench);
    same(&open(&disk).stored, run.folds.last().unwrap(), "every second record");
}

#[test]
fn headers_promises_and_the_checkpoint_are_written_again_in_their_places() {
    let mut steps = STEPS.to_vec();
    steps.extend([Step::Checkpoint { back: 2, state: 900 }, Step::Sync]);
    let run = confirmed_run(&steps);
    let all = run.folds.last().unwrap();
    let names = run.disk.names().unwrap();
    let mut places = vec![("promises".to_owned(), 70), ("promises".to_owned(), 4096 + 70)];
    for name in names.iter().filter(|name| name.starts_with("log-")) {
        places.extend([(name.clone(), 70), (name.clone(), 2048 + 70)]);
    }
    for name in names.iter().filter(|name| name.starts_with("checkpoint-")) {
        places.extend([(name.clone(), 70), (name.clone(), 4096 + 70)]);
    }
    assert!(places.len() >= 8, "{places:?}");
    for (name, at) in places {
        let disk = run.disk.with("none", None);
        let bench = bench(open(&disk).wal);
        flip(&disk, &name, at);
        bench.await_more("vr_wal_scrub_repaired_total", 0);
        drop(bench);
        let opened = open(&disk);
        assert_eq!(opened.findings, [], "{name} at {at}");
        same(&opened.stored, all, &name);
    }
}

#[test]
fn what_a_checkpoint_holds_is_not_written_again() {
    let mut steps = STEPS.to_vec();
    steps.extend([
        Step::Checkpoint { back: 0, state: 90 },
        Step::Cut { back: 0 },
        Step::Append { entries: 1, body: 9 },
    ]);
    let run = confirmed_run(&steps);
    let disk = run.disk.with("none", None);
    let first = records(&disk).into_iter().find(|record| record.kind == Some(RecordKind::Append)).unwrap();
    let bench = bench(open(&disk).wal);
    flip(&disk, &name_of(&first), first.offset + first.length - 1);
    bench.await_more("vr_wal_scrub_findings_total", 0);
    bench.await_passes();
    assert_eq!(bench.counted("vr_wal_scrub_repaired_total"), 0);
    drop(bench);
    same(&open(&disk).stored, run.folds.last().unwrap(), "before the checkpoint");
}

#[test]
fn a_log_that_is_damaged_already_is_left_to_the_group() {
    let (disk, _) = damaged();
    let bench = bench(open(&disk).wal);
    bench.await_more("vr_wal_scrub_findings_total", 1);
    bench.await_passes();
    assert_eq!(bench.counted("vr_wal_scrub_repaired_total"), 0);
    drop(bench);
    let found = open(&disk).stored.damage.unwrap();
    assert!(found.is_end_certain && found.pieces.len() >= 2, "{found:?}");
}

#[test]
fn a_log_in_which_nothing_rotted_is_left_as_it_is_however_busy() {
    let disk = Memory::default();
    Wal::format_in(&disk, &identity(), &SMALL).unwrap();
    let opened = open(&disk);
    let (metrics, mut stored) = (Metrics::default(), opened.stored);
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let scrub = ScrubOptions { interval: Duration::from_millis(1), bytes_per_second: 1 << 31 };
    let (tell, answers) = channel();
    let how = DiskOptions { scrub: Some(scrub), ..DiskOptions::default() };
    let answer = move |answer| tell.send(answer).unwrap_or(());
    let bench = Bench { disk: start(opened.wal, how, metrics, answer).unwrap(), registry };
    let kinds = [
        Step::Append { entries: 2, body: 700 },
        Step::View,
        Step::Checkpoint { back: 1, state: 500 },
        Step::Cut { back: 0 },
        Step::Replace { back: 1, entries: 1 },
    ];
    let mut last = WriteId::ZERO;
    for step in kinds.iter().cycle().take(600) {
        let Some(write) = write_of(*step, &stored) else { continue };
        stored.apply(write.clone());
        last = last.next();
        bench.disk.submit(last, write);
    }
    while !matches!(answers.recv_timeout(LONG).unwrap(), DiskAnswer::Persisted(id) if id == last) {}
    bench.await_passes();
    assert_eq!(bench.counted("vr_wal_scrub_findings_total"), 0);
    drop(bench);
    assert_eq!(open(&disk).stored, stored);
}

#[test]
fn files_of_the_operating_system_are_read_again_too() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let files = vr_tokio::wal::Directory::new(dir.path());
    Wal::format_in(&files, &identity(), &SMALL).unwrap();
    let opened = Wal::open(dir.path(), &identity(), SMALL).unwrap();
    let mut stored = opened.stored;
    let bench = bench(opened.wal);
    for id in 1..=20 {
        let write = write_of(Step::Append { entries: 1, body: 800 }, &stored).unwrap();
        stored.apply(write.clone());
        bench.disk.submit(WriteId(id), write);
    }
    bench.await_more("vr_wal_writes_total", 19);
    flip(&files, "log-0000000000000002", 4096 + 300);
    bench.await_more("vr_wal_scrub_repaired_total", 0);
    drop(bench);
    let opened = Wal::open(dir.path(), &identity(), SMALL).unwrap();
    assert_eq!(opened.findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [FindingKind::Rot]);
    same(&opened.stored, &stored, "real files");
}
