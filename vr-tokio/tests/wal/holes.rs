//! What lies behind a damage: told entry by entry, kept over restarts, closed by a repair; its end certain or not.
//!
//! Owns the places at which a disk is damaged. Must not know how the log is laid out but for what `inspect` shows.

use crate::crash::{Run, SMALL};
use crate::damage::confirmed_run;
use std::collections::BTreeSet;
use std::sync::Arc;
use vr_core::{Damage, Log, Op, Stored, Write, WriteId};
use vr_tokio::fuzz::author::{Step, identity, repair, write_of};
use vr_tokio::fuzz::memory::Memory;
use vr_tokio::fuzz::never_silently_less;
use vr_tokio::wal::{FindingKind, Opened, Record, RecordKind, Wal, WalErrorKind, inspect_in};

/// Several segments of records of all kinds that concern the log, with entries behind each.
pub(crate) const STEPS: [Step; 17] = [
    Step::Incarnation,
    Step::Append { entries: 2, body: 60 },
    Step::Append { entries: 1, body: 700 },
    Step::View,
    Step::Append { entries: 3, body: 20 },
    Step::Sync,
    Step::Replace { back: 2, entries: 3 },
    Step::Append { entries: 1, body: 900 },
    Step::Sync,
    Step::Append { entries: 2, body: 300 },
    Step::Repair { back: 3 },
    Step::Append { entries: 1, body: 10 },
    Step::Sync,
    Step::Append { entries: 1, body: 900 },
    Step::View,
    Step::Append { entries: 1, body: 30 },
    Step::Sync,
];

pub(crate) fn open(disk: &Memory) -> Opened {
    Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL).unwrap()
}

pub(crate) fn records(disk: &Memory) -> Vec<Record> {
    inspect_in(Box::new(disk.clone())).unwrap().map(Result::unwrap).collect()
}

/// The disk with other bytes in the place of a record.
fn changed(disk: &Memory, record: &Record, change: impl FnOnce(&mut [u8])) -> Memory {
    let name = record.file.file_name().unwrap().to_str().unwrap();
    let mut bytes = disk.bytes_of(name);
    change(&mut bytes[usize::try_from(record.offset).unwrap()..]);
    disk.with(name, Some(bytes))
}

pub(crate) fn rotten(disk: &Memory, record: &Record, at: usize) -> Memory {
    changed(disk, record, |bytes| bytes[at] ^= 0x10)
}

/// The ops that are in no part of what can be read. The beginning is one of `all`; a piece in the middle may hold what
/// a lost record had replaced: who uses it goes by the hashes.
fn lost(all: &Log, found: &Stored, what: &str) -> BTreeSet<u64> {
    let pieces = found.damage.iter().flat_map(|damage| &damage.pieces);
    let mut missing: BTreeSet<u64> = (all.base().op.0 + 1..=all.op().0).collect();
    let mut reached = all.base().op;
    assert!(all.contains(found.log.head()), "{what}: no beginning of the log: {:?}", found.log);
    for part in std::iter::once(&found.log).chain(pieces) {
        assert!(part.base().op >= reached, "{what}: in order");
        reached = part.op();
        missing.retain(|op| part.entry(Op(*op)).is_none_or(|entry| all.hash(Op(*op)) != Some(entry.hash())));
    }
    missing
}

/// The ops that a record brings.
fn brings(record: &Record) -> BTreeSet<u64> {
    record.entries.iter().map(|entry| entry.op().0).collect()
}

#[test]
fn rot_in_any_byte_of_a_record_loses_what_it_brought_and_the_end_stays_certain() {
    let run = confirmed_run(&STEPS);
    let (all, records) = (run.folds.last().unwrap(), records(&run.disk));
    let mut damaged = 0;
    for record in &records[..records.len() - 1] {
        for at in 0..usize::try_from(record.length).unwrap() {
            let what = format!("record {} ({:?}), byte {at}", record.number, record.kind);
            let found = open(&rotten(&run.disk, record, at)).stored;
            let missing = lost(&all.log, &found, &what);
            assert!(missing.is_subset(&brings(record)), "{what}: {missing:?}");
            assert_eq!((found.view, found.log_view), (all.view, all.log_view), "{what}");
            let Some(Damage { from, pieces, is_end_certain }) = found.damage else {
                assert_eq!((found.log.base(), found.log.head()), (all.log.base(), all.log.head()), "{what}");
                continue;
            };
            damaged += 1;
            assert!(is_end_certain, "{what}");
            assert_eq!(from, found.log.op().next(), "{what}");
            assert_eq!(pieces.last().map(Log::head), Some(all.log.head()), "{what}");
            let is_part = |piece: &Log| all.log.contains(piece.base()) && all.log.contains(piece.head());
            // What a replacement without a name replaced cannot be told from what it kept.
            let is_told = record.kind != Some(RecordKind::Replace) || at >= 80;
            assert!(!is_told || pieces.iter().all(is_part), "{what}: {pieces:?}");
        }
    }
    assert!(damaged > 1000, "{damaged} bytes of {records:?}");
}

#[test]
fn rot_at_the_end_of_the_log_leaves_its_end_uncertain() {
    for behind in [&[][..], &[Step::View], &[Step::Incarnation, Step::View]] {
        let mut steps = vec![Step::Append { entries: 3, body: 20 }, Step::Append { entries: 2, body: 50 }, Step::Sync];
        steps.extend(behind);
        let run = confirmed_run(&steps);
        let record = &records(&run.disk)[1];
        for at in 0..usize::try_from(record.length).unwrap() {
            let found = open(&rotten(&run.disk, record, at)).stored;
            assert_eq!(found.damage, Some(Damage::of_end(Op(4))), "byte {at} before {behind:?}");
        }
    }
}

#[test]
fn a_record_without_a_name_at_the_end_may_have_changed_anything() {
    let steps = [Step::Append { entries: 3, body: 20 }, Step::Sync, Step::View, Step::Sync];
    let run = confirmed_run(&steps);
    let view = &records(&run.disk)[1];
    let found = open(&rotten(&run.disk, view, 0)).stored;
    assert!(found.damage.is_some_and(|damage| !damage.is_end_certain), "it may have been an append");
    let found = open(&rotten(&run.disk, view, usize::try_from(view.length).unwrap() - 1)).stored;
    assert_eq!(found.damage, None, "its head says that it was none");
}

#[test]
fn a_lost_record_that_may_have_begun_a_view_leaves_the_end_uncertain() {
    // Power failed between the sync of the log and that of the promise record.
    let steps = [Step::Append { entries: 4, body: 20 }, Step::Sync];
    let run = confirmed_run(&steps);
    let mut longer = resumed(&run.disk, run.folds.last().unwrap().clone());
    let mut wal = open(&run.disk).wal;
    let promises = run.disk.bytes_of("promises");
    longer.write(&mut wal, &[Step::Replace { back: 1, entries: 2 }, Step::Append { entries: 1, body: 20 }, Step::Sync]);
    drop(wal);
    let disk = run.disk.with("promises", Some(promises));
    let all = longer.folds.last().unwrap();
    assert_eq!(&open(&disk.with("none", None)).stored, all);
    let record = &records(&disk)[1];
    assert_eq!(record.kind, Some(RecordKind::Replace));
    let found = open(&rotten(&disk, record, 0)).stored;
    let damage = found.damage.unwrap();
    assert!(!damage.is_end_certain && !damage.pieces.is_empty(), "it is not known of which view: {damage:?}");
    let found = open(&rotten(&disk, record, 100)).stored;
    assert_eq!((found.view, found.log_view), (all.view, all.log_view), "its head says which");
    assert!(found.damage.is_some_and(|damage| damage.is_end_certain));
}

#[test]
fn the_header_of_the_next_segment_says_where_the_log_ended_before_it() {
    let mut steps = vec![Step::Append { entries: 3, body: 20 }, Step::Sync];
    steps.extend([Step::View; 40]);
    let run = confirmed_run(&steps);
    let view = &records(&run.disk)[1];
    assert!(open(&run.disk.with("none", None)).stored == *run.folds.last().unwrap());
    let found = open(&rotten(&run.disk, view, 0)).stored;
    assert_eq!((found.damage, found.log), (None, run.folds.last().unwrap().log.clone()));
}

#[test]
fn each_of_two_holes_is_told() {
    let run = confirmed_run(&STEPS);
    let (all, records) = (run.folds.last().unwrap(), records(&run.disk));
    let appends: Vec<_> = records.iter().filter(|record| record.kind == Some(RecordKind::Append)).collect();
    let (first, second) = (appends[0], appends[appends.len() - 2]);
    for (a, b) in [(10, 10), (10, 90), (90, 10), (90, 90)] {
        let disk = rotten(&rotten(&run.disk, first, a), second, b);
        let found = open(&disk).stored;
        let both = &brings(first) | &brings(second);
        assert_eq!(lost(&all.log, &found, "two holes"), both);
        let damage = found.damage.unwrap();
        assert!(damage.is_end_certain && damage.from == Op(1) && damage.pieces.len() >= 2, "{damage:?}");
    }
}

#[test]
fn a_record_written_over_the_place_of_another_is_told_and_never_accepted() {
    let run = confirmed_run(&STEPS);
    let (all, records) = (run.folds.last().unwrap(), records(&run.disk));
    for from in &records {
        let name = from.file.file_name().unwrap().to_str().unwrap();
        let start = usize::try_from(from.offset).unwrap();
        let bytes = run.disk.bytes_of(name)[start..start + usize::try_from(from.length).unwrap()].to_vec();
        for to in records.iter().filter(|to| to.number != from.number) {
            for shift in [0, 8, 16, 80] {
                let what = format!("record {} over {} and {shift}", from.number, to.number);
                let disk = changed(&run.disk, to, |place| {
                    let length = bytes.len().min(place.len().saturating_sub(shift));
                    place[shift..shift + length].copy_from_slice(&bytes[..length]);
                });
                let Ok(opened) = Wal::open_in(Arc::new(disk), &identity(), SMALL) else { continue };
                never_silently_less(all, &opened.stored, &what);
                lost(&all.log, &opened.stored, &what);
                assert!(!opened.findings.is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn a_write_that_never_reached_its_place_is_told() {
    let run = confirmed_run(&STEPS);
    let (all, records) = (run.folds.last().unwrap(), records(&run.disk));
    for record in &records[..records.len() - 1] {
        let length = usize::try_from(record.length).unwrap();
        for (what, fill) in [("zeros", None), ("older bytes", Some(records[0].clone()))] {
            let disk = changed(&run.disk, record, |place| {
                place[..length].fill(0);
                if fill.is_some() {
                    place[..length.min(40)].fill(0xA5);
                }
            });
            let what = format!("{what} in the place of record {}", record.number);
            let opened = open(&disk);
            never_silently_less(all, &opened.stored, &what);
            assert!(opened.findings.iter().any(|finding| finding.kind == FindingKind::Rot), "{what}");
            assert!(lost(&all.log, &opened.stored, &what).is_subset(&brings(record)), "{what}");
            assert!(opened.stored.damage.is_none_or(|damage| damage.is_end_certain), "{what}");
        }
    }
}

/// A disk of which two records are rotten, with what all of it was.
pub(crate) fn damaged() -> (Memory, Stored) {
    let run = confirmed_run(&STEPS);
    let records = records(&run.disk);
    let appends: Vec<_> = records.iter().filter(|record| record.kind == Some(RecordKind::Append)).collect();
    let disk = rotten(&rotten(&run.disk, appends[1], 100), appends[6], 100);
    (disk, run.folds.last().unwrap().clone())
}

fn resumed(disk: &Memory, stored: Stored) -> Run {
    Run { disk: disk.clone(), folds: vec![stored], confirmed: vec![(0, 0)], issued: vec![(0, 0)], formatted: 0 }
}

fn write(opened: Opened, write: &Write) -> Stored {
    let mut wal = opened.wal;
    assert!(wal.reserve(write).unwrap());
    wal.append(WriteId(1), write).unwrap();
    wal.sync().unwrap();
    let mut stored = opened.stored;
    stored.apply(write.clone());
    stored
}

#[test]
fn what_lies_behind_a_damage_is_there_after_every_restart_until_a_repair_closes_it() {
    let (disk, all) = damaged();
    let mut before = open(&disk).stored;
    for _ in 0..3 {
        let opened = open(&disk);
        assert_eq!(opened.stored, before);
        let damage = opened.stored.damage.as_ref().unwrap();
        assert!(damage.is_end_certain && damage.pieces.len() >= 2, "{damage:?}");
        let (mut run, mut wal) = (resumed(&disk, opened.stored.clone()), opened.wal);
        run.write(&mut wal, &[Step::Incarnation, Step::View, Step::Sync]);
        before = run.folds.last().unwrap().clone();
    }
    let opened = open(&disk);
    let keep = opened.stored.log.op();
    let repaired = write(opened, &repair(&all.log, keep).unwrap());
    assert_eq!((&repaired.damage, &repaired.log.head(), repaired.log_view), (&None, &all.log.head(), all.log_view));
    assert_eq!(open(&disk).stored, repaired);
    // And it goes on.
    let opened = open(&disk);
    let more = write_of(Step::Append { entries: 2, body: 100 }, &all).unwrap();
    let longer = write(opened, &more);
    assert_eq!(open(&disk).stored, longer);
    assert_eq!(open(&disk).stored.damage, None);
}

#[test]
fn more_rot_between_two_starts_makes_a_damage_less_certain_and_never_more() {
    let (disk, all) = damaged();
    let before = open(&disk).stored;
    for record in records(&disk).iter().filter(|record| record.kind.is_some()) {
        for at in [4, 79, usize::try_from(record.length).unwrap() - 1] {
            let what = format!("record {} ({:?}), byte {at}", record.number, record.kind);
            let found = open(&rotten(&disk, record, at)).stored;
            never_silently_less(&all, &found, &what);
            let missing = &lost(&all.log, &before, &what) | &brings(record);
            assert!(lost(&all.log, &found, &what).is_subset(&missing), "{what}: {:?}", found.damage);
        }
    }
    // Where the end was not certain once, nothing makes it so.
    let last = records(&disk).into_iter().rfind(|record| record.kind == Some(RecordKind::Append)).unwrap();
    let worse = rotten(&disk, &last, 100);
    assert!(open(&worse).stored.damage.is_some_and(|damage| !damage.is_end_certain));
    let healed = rotten(&worse, &last, 100);
    assert!(open(&healed).stored.damage.is_some_and(|damage| !damage.is_end_certain));
}

#[test]
fn a_repair_that_is_lost_leaves_what_was_known_before_it_and_an_uncertain_end() {
    let (disk, all) = damaged();
    let opened = open(&disk);
    let keep = opened.stored.log.op();
    write(opened, &repair(&all.log, keep).unwrap());
    let record = records(&disk).into_iter().rfind(|record| record.kind == Some(RecordKind::Repair)).unwrap();
    for at in [4, 90] {
        let found = open(&rotten(&disk, &record, at)).stored;
        never_silently_less(&all, &found, "without the repair");
        let damage = found.damage.clone().unwrap();
        assert!(!damage.is_end_certain, "{damage:?}");
        lost(&all.log, &found, "without the repair");
    }
}

#[test]
fn a_torn_tail_behind_a_hole_was_never_there() {
    let run = confirmed_run(&STEPS[..13]);
    let all = run.folds.last().unwrap();
    let mut wal = open(&run.disk).wal;
    let tail = write_of(Step::Append { entries: 1, body: 600 }, all).unwrap();
    assert!(wal.reserve(&tail).unwrap());
    wal.append(WriteId(1), &tail).unwrap();
    wal.flush().unwrap();
    drop(wal);
    let records = records(&run.disk);
    let last = records.last().unwrap();
    let torn = changed(&run.disk, last, |bytes| bytes[usize::try_from(last.length).unwrap() - 520..].fill(0));
    let opened = open(&rotten(&torn, &records[1], 100));
    assert_eq!(
        opened.findings.iter().map(|found| found.kind).collect::<Vec<_>>(),
        [FindingKind::Rot, FindingKind::Torn]
    );
    assert_eq!(lost(&all.log, &opened.stored, "torn"), brings(&records[1]));
    let damage = opened.stored.damage.unwrap();
    assert!(damage.is_end_certain && damage.pieces.last().map(Log::head) == Some(all.log.head()), "{damage:?}");
}

#[test]
fn a_record_of_a_later_version_is_refused_and_not_called_rotten() {
    // A kind that is not known, in a head that checks, is what a later version wrote.
    let run = confirmed_run(&STEPS[..4]);
    let record = &records(&run.disk)[1];
    let (instance, cluster) = (run.folds[0].instance.0, run.folds[0].cluster.0);
    let seeded = [&instance.to_le_bytes()[..], &cluster.to_le_bytes(), &1u64.to_le_bytes()].concat();
    let seed = xxhash_rust::xxh3::xxh3_64(&seeded);
    let disk = changed(&run.disk, record, |bytes| {
        bytes[2] = 200;
        let sum = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes[..64], seed);
        bytes[64..72].copy_from_slice(&sum.to_le_bytes());
    });
    let refused = Wal::open_in(Arc::new(disk), &identity(), SMALL).err().unwrap();
    assert_eq!(refused.kind, WalErrorKind::Version, "{refused}");
}
