//! What is refused, with file, offset and remedy.

use crate::crash::SMALL;
use std::sync::Arc;
use vr_core::{ClusterId, ReplicaId, WriteId};
use vr_tokio::fuzz::author::{Step, formatted, identity, write_of};
use vr_tokio::fuzz::memory::Memory;
use vr_tokio::wal::{Identity, Wal, WalErrorKind};

fn kind_of(disk: &Memory, identity: &Identity) -> WalErrorKind {
    match Wal::open_in(Arc::new(disk.clone()), identity, SMALL) {
        Ok(_) => panic!("it was opened"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("memory") && text.contains("at byte") && text.contains(". "), "{text}");
            error.kind
        }
    }
}

fn formatted_disk() -> Memory {
    let disk = Memory::default();
    Wal::format_in(&disk, &identity(), &SMALL).unwrap();
    disk
}

#[test]
fn an_empty_directory_never_becomes_a_member_by_accident() {
    assert_eq!(kind_of(&Memory::default(), &identity()), WalErrorKind::NotFormatted);
}

#[test]
fn a_directory_is_formatted_once() {
    let again = Wal::format_in(&formatted_disk(), &identity(), &SMALL);
    assert_eq!(again.unwrap_err().kind, WalErrorKind::NotEmpty);
}

#[test]
fn a_directory_has_one_owner_at_a_time() {
    let disk = formatted_disk();
    let first = Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL).unwrap();
    assert_eq!(kind_of(&disk, &identity()), WalErrorKind::Locked);
    drop(first);
    assert!(Wal::open_in(Arc::new(disk), &identity(), SMALL).is_ok());
}

#[test]
fn another_cluster_replica_or_configuration_is_refused() {
    let disk = formatted_disk();
    let mut other = identity();
    other.cluster.cluster = ClusterId(78);
    assert_eq!(kind_of(&disk, &other), WalErrorKind::Foreign);
    assert_eq!(kind_of(&disk, &Identity { id: ReplicaId(2), ..identity() }), WalErrorKind::Foreign);
    let mut other = identity();
    other.cluster.client_capacity += 1;
    assert_eq!(kind_of(&disk, &other), WalErrorKind::Foreign);
}

#[test]
fn a_segment_of_another_disk_is_refused() {
    let (ours, theirs) = (formatted_disk(), formatted_disk());
    let foreign = theirs.bytes_of("log-0000000000000001");
    assert_eq!(kind_of(&ours.with("log-0000000000000001", Some(foreign)), &identity()), WalErrorKind::Foreign);
}

#[test]
fn a_later_version_is_refused() {
    let disk = formatted_disk();
    let mut later = disk.bytes_of("promises");
    (later[8], later[4096 + 8]) = (3, 3);
    assert_eq!(kind_of(&disk.with("promises", Some(later)), &identity()), WalErrorKind::Version);
    let mut later = disk.bytes_of("log-0000000000000001");
    (later[8], later[2048 + 8]) = (3, 3);
    assert_eq!(kind_of(&disk.with("log-0000000000000001", Some(later)), &identity()), WalErrorKind::Version);
}

/// These bytes as the first version wrote them: its number, and the sum over `covered` bytes.
fn of_the_first_version(bytes: &mut [u8], covered: usize) {
    bytes[8] = 1;
    let sum = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes[..covered], 0);
    bytes[covered..covered + 8].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_log_of_the_first_version_is_read_and_its_program_refuses_it_from_then_on() {
    let disk = formatted_disk();
    let (mut promises, mut log) = (disk.bytes_of("promises"), disk.bytes_of("log-0000000000000001"));
    for at in [0, 4096] {
        of_the_first_version(&mut promises[at..], 184);
    }
    for at in [0, 2048] {
        of_the_first_version(&mut log[at..], 232);
    }
    let disk = disk.with("promises", Some(promises)).with("log-0000000000000001", Some(log));
    let opened = Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL).unwrap();
    assert_eq!((opened.stored.clone(), opened.findings), (formatted(opened.stored.instance), Vec::new()));
    let promises = disk.bytes_of("promises");
    assert_eq!((promises[8], promises[4096 + 8]), (2, 2), "whoever knows version 1 only is told so by both");
}

#[test]
fn a_directory_that_lost_a_file_is_refused() {
    let disk = formatted_disk();
    assert_eq!(kind_of(&disk.with("promises", None), &identity()), WalErrorKind::Missing);
    assert_eq!(kind_of(&disk.with("log-0000000000000001", None), &identity()), WalErrorKind::Missing);
}

#[test]
fn two_bad_promise_records_are_refused_and_one_is_not() {
    let disk = formatted_disk();
    let mut bad = disk.bytes_of("promises");
    bad[70] ^= 1;
    assert!(Wal::open_in(Arc::new(disk.with("promises", Some(bad.clone()))), &identity(), SMALL).is_ok());
    bad[4096 + 70] ^= 1;
    assert_eq!(kind_of(&disk.with("promises", Some(bad)), &identity()), WalErrorKind::Promises);
}

#[test]
fn nothing_is_confirmed_after_a_failed_sync() {
    let disk = formatted_disk();
    let mut opened = Wal::open_in(Arc::new(disk.clone()), &identity(), SMALL).unwrap();
    let stored = formatted(opened.stored.instance);
    let write = write_of(Step::Incarnation, &stored).unwrap();
    opened.wal.append(WriteId(1), &write).unwrap();
    disk.fail();
    assert!(opened.wal.sync().is_err());
    disk.set_quota(None);
    assert!(opened.wal.sync().is_err(), "not even when it would work again");
    assert!(opened.wal.append(WriteId(2), &write).is_err());
}
