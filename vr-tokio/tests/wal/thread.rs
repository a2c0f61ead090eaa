//! The thread that owns a log: groups, answers in order, one failure, a full disk that has room again.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use vr_core::{Durability, Stored, Write, WriteId};
use vr_tokio::disk::{Disk, DiskAnswer, DiskOptions, start};
use vr_tokio::fuzz::author::{Step, formatted, identity, write_of};
use vr_tokio::fuzz::memory::Memory;
use vr_tokio::wal::{Metrics, Options, Wal};

const LONG: Duration = Duration::from_secs(30);

struct Bench {
    memory: Memory,
    disk: Disk,
    answers: Receiver<DiskAnswer>,
    stored: Stored,
    issued: u64,
}

fn bench(durability: Durability, segment_bytes: u64) -> Bench {
    let options = Options { segment_bytes, quota_bytes: None };
    let memory = Memory::default();
    Wal::format_in(&memory, &identity(), &options).unwrap();
    let opened = Wal::open_in(Arc::new(memory.clone()), &identity(), options).unwrap();
    let (tell, answers) = channel();
    let how = DiskOptions {
        durability,
        sync_interval: Duration::from_millis(20),
        mark_after: Duration::from_millis(20),
        space_interval: Duration::from_millis(5),
        ..DiskOptions::default()
    };
    let disk = start(opened.wal, how, Metrics::default(), move |answer| tell.send(answer).unwrap_or(())).unwrap();
    Bench { memory, disk, answers, stored: opened.stored, issued: 0 }
}

impl Bench {
    fn submit(&mut self, step: Step) -> WriteId {
        let write: Write = write_of(step, &self.stored).unwrap();
        self.stored.apply(write.clone());
        self.issued += 1;
        self.disk.submit(WriteId(self.issued), write);
        WriteId(self.issued)
    }

    fn await_durable(&self, id: WriteId) {
        let mut newest = WriteId::ZERO;
        while newest < id {
            let answer = self.answers.recv_timeout(LONG).unwrap();
            let DiskAnswer::Persisted(next) = answer else { panic!("{answer:?}") };
            assert!(next > newest, "in order");
            newest = next;
        }
    }

    /// Stops the thread and opens what it wrote.
    fn reopened(self) -> Stored {
        drop(self.disk);
        Wal::open_in(Arc::new(self.memory), &identity(), Options::default()).unwrap().stored
    }
}

#[test]
fn everything_that_is_submitted_becomes_durable_in_order() {
    let mut bench = bench(Durability::Sync, 1 << 16);
    bench.submit(Step::Incarnation);
    let last = (0..500).map(|_| bench.submit(Step::Append { entries: 1, body: 256 })).last().unwrap();
    bench.await_durable(last);
    let stored = bench.stored.clone();
    assert_eq!(bench.reopened(), stored);
}

#[test]
fn in_the_asynchronous_mode_a_promise_is_durable_at_once_and_entries_soon() {
    let mut bench = bench(Durability::Async, 1 << 16);
    let id = bench.submit(Step::Append { entries: 2, body: 10 });
    bench.await_durable(id);
    let id = bench.submit(Step::View);
    bench.await_durable(id);
    let id = bench.submit(Step::Clean);
    bench.await_durable(id);
    assert!(bench.reopened().clean);
}

#[test]
fn a_failed_sync_is_told_once_and_nothing_is_confirmed_after_it() {
    let mut bench = bench(Durability::Sync, 1 << 16);
    let id = bench.submit(Step::Incarnation);
    bench.await_durable(id);
    bench.memory.fail();
    bench.submit(Step::View);
    bench.submit(Step::View);
    assert!(matches!(bench.answers.recv_timeout(LONG).unwrap(), DiskAnswer::Failed(_)));
    bench.submit(Step::View);
    let Bench { disk, answers, .. } = bench;
    drop(disk);
    assert!(answers.iter().next().is_none(), "nothing more is said");
}

#[test]
fn a_full_disk_is_told_before_anything_fails_and_so_is_its_end() {
    let mut bench = bench(Durability::Sync, 1 << 14);
    let id = bench.submit(Step::Incarnation);
    bench.await_durable(id);
    bench.memory.set_quota(Some(0));
    let mut answers = Vec::new();
    while !answers.iter().any(|answer| matches!(answer, DiskAnswer::Space(false))) {
        bench.submit(Step::Append { entries: 1, body: 3000 });
        answers.extend(bench.answers.recv_timeout(LONG));
        answers.extend(bench.answers.try_iter());
    }
    // Promises still fit.
    let id = bench.submit(Step::View);
    let mut is_durable = answers.iter().any(|answer| matches!(answer, DiskAnswer::Persisted(done) if *done >= id));
    while !is_durable {
        is_durable = matches!(bench.answers.recv_timeout(LONG).unwrap(), DiskAnswer::Persisted(done) if done >= id);
    }
    bench.memory.set_quota(None);
    assert!(matches!(bench.answers.recv_timeout(LONG).unwrap(), DiskAnswer::Space(true)));
    let id = bench.submit(Step::Append { entries: 1, body: 9000 });
    bench.await_durable(id);
    let (stored, instance) = (bench.stored.clone(), bench.stored.instance);
    assert_eq!(bench.reopened(), stored);
    assert_ne!(stored, formatted(instance));
}

#[test]
fn the_files_stay_bounded_behind_checkpoints() {
    let mut bench = bench(Durability::Sync, 1 << 14);
    for _ in 0..60 {
        for _ in 0..8 {
            bench.submit(Step::Append { entries: 1, body: 1000 });
        }
        bench.submit(Step::Checkpoint { back: 0, state: 5000 });
        let id = bench.submit(Step::Cut { back: 0 });
        bench.await_durable(id);
    }
    let (memory, stored) = (bench.memory.clone(), bench.stored.clone());
    assert_eq!(bench.reopened(), stored);
    let names = vr_tokio::wal::Files::names(&memory).unwrap();
    assert!(names.len() <= 6, "half a million bytes went through here: {names:?}");
}

#[test]
fn nothing_is_written_behind_a_write_that_was_given_up_for_want_of_space() {
    let mut bench = bench(Durability::Async, 1 << 14);
    let id = bench.submit(Step::Incarnation);
    bench.await_durable(id);
    bench.memory.set_quota(Some(0));
    // It is acknowledged from memory, and waits for space; the orderly stop that follows waits behind it, in vain.
    bench.submit(Step::Append { entries: 1, body: 20_000 });
    assert!(matches!(bench.answers.recv_timeout(LONG).unwrap(), DiskAnswer::Space(false)));
    bench.submit(Step::Clean);
    let stored = bench.stored.clone();
    let found = bench.reopened();
    assert!(!found.clean || found == stored, "the mark says that everything is here: {found:?}");
}
