//! An orderly stop and what its mark is worth at the next start; a disk that is full, at a backup and at the primary.
//!
//! Owns these sentences (PROTOCOL §6 b, DESIGN 9.11), told by a script. Must not know the inside of a replica.

#[path = "support/scripted.rs"]
mod scripted;

use scripted::{EVERY, Scripted, request};
use vr_core::{Durability, Input, Op, Session, StatusName, View, Wait};

/// A group in view 0 in which client 1 has a session and everybody has committed op 1, its Register.
fn group_of(durability: Durability) -> (Scripted, Session) {
    let mut group = Scripted::new(3, |config| config.cluster.durability = durability);
    let session = group.register(1);
    group.pass(Wait::millis(60));
    (group, session)
}

/// r2 is told to stop; it is spoken to, and time passes.
#[test]
fn an_orderly_stop_marks_the_disk_and_nothing_is_said_or_written_after_the_mark() {
    for durability in [Durability::Sync, Durability::Async] {
        let (mut group, session) = group_of(durability);
        group.step(2, Input::Stop);
        group.settle();
        let since = group.happened.len();
        assert!(group.nodes[2].disk.clean);
        group.ask(0, request(1, session, 1, "a"));
        group.pass(Wait::millis(2000));
        assert_eq!((group.sent_since(since, 2).count(), group.nodes[2].disk.log.op()), (0, Op(1)));
        assert!(group.nodes[2].disk.clean && group.nodes[2].is(StatusName::Halted));
        assert_eq!(group.snapshot(0).commit, Op(2), "the others go on without it");
    }
}

/// r2 stopped in order and starts again, with its memory, from its own log. Its next end may be a crash.
#[test]
fn the_mark_of_an_orderly_stop_holds_for_one_start() {
    let (mut group, _) = group_of(Durability::Async);
    group.step(2, Input::Stop);
    group.settle();
    group.crash(2);
    group.isolate(2);
    group.restart(2);
    group.settle();
    assert!(!group.nodes[2].is(StatusName::Recovering), "it knows what it knew");
    assert!(!group.nodes[2].disk.clean);
    group.crash(2);
    group.restart(2);
    group.settle();
    assert!(group.nodes[2].is(StatusName::Recovering), "it cannot know what it acknowledged since");
}

/// r2 has lost its memory and nobody answers it when it is told to stop.
#[test]
fn a_replica_without_its_memory_leaves_no_mark() {
    let (mut group, _) = group_of(Durability::Async);
    group.crash(2);
    group.isolate(2);
    group.restart(2);
    group.settle();
    assert!(group.nodes[2].is(StatusName::Recovering));
    group.step(2, Input::Stop);
    group.settle();
    assert!(group.nodes[2].is(StatusName::Halted) && !group.nodes[2].disk.clean);
}

/// The disk of r2 is full while op 2 is prepared, and has room again later.
#[test]
fn a_backup_whose_disk_is_full_takes_no_entry_and_acknowledges_none_until_there_is_room() {
    let (mut group, session) = group_of(Durability::Sync);
    group.lose(EVERY.from(0).to(1));
    group.step(2, Input::Space(false));
    group.ask(0, request(1, session, 1, "a"));
    assert_eq!((group.snapshot(2).op, group.snapshot(0).commit), (Op(1), Op(1)));
    group.step(2, Input::Space(true));
    group.until("op 2 commits", |group| group.snapshot(0).commit == Op(2));
    assert_eq!((group.snapshot(2).op, group.snapshot(0).view), (Op(2), View(0)));
}

/// The disk of r0 fills up and stays full. It hears everybody, and everybody hears it.
#[test]
fn a_primary_whose_disk_stays_full_gives_way_to_one_that_has_room() {
    let (mut group, session) = group_of(Durability::Sync);
    group.step(0, Input::Space(false));
    group.until("another leads", |group| group.find_primary().is_some_and(|leader| leader != 0));
    let leader = group.primary();
    group.ask(leader, request(1, session, 1, "a"));
    assert_eq!(group.snapshot(leader).commit, Op(2));
}

/// r0 leads, and its disk has room.
#[test]
fn a_primary_whose_disk_has_room_keeps_its_view() {
    let (mut group, _) = group_of(Durability::Sync);
    group.pass(Wait::millis(10_000));
    assert!(group.nodes[0].is(StatusName::Primary));
    assert_eq!(group.snapshot(0).view, View(0));
}
