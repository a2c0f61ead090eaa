//! Tests of the log: positions, pages, cuts, and whether it is one chain.

use super::*;
use crate::entry::{Kind, Predicted, Request, genesis};
use crate::id::{ClientId, ClusterId, Epoch, RequestNumber, Session, View};
use bytes::Bytes;

fn chain(from: Head, n: u64, view: u64) -> Vec<Entry> {
    let mut head = from;
    (1..=n)
        .map(|i| {
            let request = Request {
                client: ClientId(7),
                session: Session(1),
                number: RequestNumber(i),
                kind: Kind::Operation,
                predicted: Predicted::default(),
                body: Bytes::from_static(b"body"),
            };
            let entry = Entry::new(Epoch(0), View(view), head.op.next(), head.hash, request);
            head = Head { op: entry.op(), hash: entry.hash() };
            entry
        })
        .collect()
}

fn log_of(batches: &[u64]) -> Log {
    let mut log = Log::new(Head { op: Op(0), hash: genesis(ClusterId(1)) });
    for n in batches {
        log.append(Entries::new(chain(log.head(), *n, 0)).expect("a chain"));
    }
    log
}

#[test]
fn every_entry_of_a_log_is_found_by_its_op_whatever_batch_it_came_in() {
    let log = log_of(&[1, 3, 1, 5]);
    assert_eq!(log.op(), Op(10));
    for op in 1..=10 {
        assert_eq!(log.entry(Op(op)).map(Entry::op), Some(Op(op)));
    }
    assert!(log.entry(Op(0)).is_none() && log.entry(Op(11)).is_none() && log.is_one_chain());
    assert_eq!(log.hash(Op(0)), Some(genesis(ClusterId(1))));
    for op in 0..=10 {
        let after: Vec<u64> = log.after(Op(op)).map(|entry| entry.op().0).collect();
        assert_eq!(after, (op + 1..=10).collect::<Vec<_>>(), "after {op}");
        assert!(log.runs(Op(op), Op(10)).all(|run| !run.is_empty()), "a run has entries");
    }
}

#[test]
fn the_last_entry_is_that_of_the_newest_run_and_a_log_without_entries_has_none() {
    let log = log_of(&[2, 3]);
    assert_eq!((log.is_empty(), log.last().map(Entry::op)), (false, Some(Op(5))));
    assert_eq!((log_of(&[]).is_empty(), log_of(&[]).last()), (true, None));
}

#[test]
fn a_truncated_log_ends_where_it_was_cut_and_can_go_on() {
    let mut log = log_of(&[2, 4, 2]);
    let at_four = Head { op: Op(4), hash: log.hash(Op(4)).expect("kept") };
    log.truncate(Op(4));
    assert_eq!(log.head(), at_four);
    log.append(Entries::new(chain(at_four, 3, 1)).expect("a chain"));
    assert_eq!(log.op(), Op(7));
    log.truncate(Op(0));
    assert!(log.is_empty());
    assert_eq!(log.head(), log.base());
}

#[test]
fn a_log_that_was_cut_begins_there_and_is_the_same_log_after_it() {
    for through in 0..=9 {
        let whole = log_of(&[2, 4, 3]);
        let mut log = whole.clone();
        log.cut(Op(through));
        assert_eq!((log.base().op, log.head()), (Op(through), whole.head()));
        assert_eq!(log.base().hash, whole.hash(Op(through)).expect("kept by the whole"));
        assert_eq!(log.len(), 9 - through);
        assert!(log.is_one_chain());
        for op in 1..=9 {
            assert_eq!(log.entry(Op(op)).map(Entry::op), (op > through).then_some(Op(op)));
            assert_eq!(log.hash(Op(op)).is_some(), op >= through);
        }
        assert_eq!(log.after(Op(0)).count(), log.runs(Op(0), Op(9)).map(|run| run.len()).sum::<usize>());
        assert!(log.contains(Head { op: Op(9), hash: whole.head().hash }));
        log.cut(Op(through.saturating_sub(1)));
        assert_eq!(log.base().op, Op(through), "what is gone does not come back");
        log.truncate(Op(through));
        assert!(log.is_empty());
        log.append(Entries::new(chain(log.head(), 2, 1)).expect("a chain"));
        assert_eq!(log.op(), Op(through + 2));
    }
}

#[test]
fn a_page_respects_its_byte_limit_but_always_moves_forward() {
    let log = log_of(&[2, 2, 2]);
    let two = 2 * (ENTRY_OVERHEAD_BYTES + 4);
    assert_eq!(log.page(Op(1), Op(6), two).iter().map(|e| e.op().0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(log.page(Op(1), Op(6), 1).len(), 1);
    assert_eq!(log.page(Op(0), Op(3), usize::MAX).len(), 3);
    assert_eq!(log.page(Op(2), Op(4), usize::MAX).len(), 2);
    assert!(log.page(Op(6), Op(6), usize::MAX).is_empty());
}

#[test]
fn anchors_find_where_two_logs_part() {
    let ours = log_of(&[20]);
    let mut theirs = ours.clone();
    theirs.truncate(Op(13));
    theirs.append(Entries::new(chain(theirs.head(), 4, 1)).expect("a chain"));
    let shared = ours.newest_shared(&theirs.anchors(Op(2))).expect("the floor is shared");
    assert!(shared.op >= Op(10) && shared.op <= Op(13), "{shared:?}");
    assert!(theirs.anchors(Op(0)).len() <= 8);
}

#[test]
fn entries_with_a_gap_or_a_broken_chain_are_given_back() {
    let genesis = Head { op: Op(0), hash: genesis(ClusterId(1)) };
    let mut gap = chain(genesis, 3, 0);
    gap.remove(1);
    assert!(Entries::new(gap).is_err());
    let mut broken = chain(genesis, 1, 0);
    broken.extend(chain(Head { op: Op(1), hash: Hash(5) }, 1, 0));
    assert!(Entries::new(broken).is_err());
}

#[test]
fn an_entry_hash_depends_on_every_field() {
    let base = chain(Head::default(), 1, 0).remove(0);
    let other_view = chain(Head::default(), 1, 1).remove(0);
    let other_parent = chain(Head { op: Op(0), hash: Hash(1) }, 1, 0).remove(0);
    assert_ne!(base.hash(), other_view.hash());
    assert_ne!(base.hash(), other_parent.hash());
    let mut request = base.request();
    request.body = Bytes::from(alloc::vec![7u8; 10_000]);
    assert_ne!(base.hash(), Entry::new(Epoch(0), View(0), Op(1), Hash(0), request).hash());
}

#[test]
fn a_page_within_one_batch_respects_its_byte_limit_too() {
    let log = log_of(&[6]);
    let cost = ENTRY_OVERHEAD_BYTES + 4;
    for (bytes, entries) in [(0, 1), (1, 1), (cost, 1), (2 * cost - 1, 1), (2 * cost, 2), (4 * cost, 4), (9 * cost, 6)]
    {
        assert_eq!(log.page(Op(0), Op(6), bytes).len(), entries, "{bytes} bytes");
    }
}

#[test]
fn a_page_through_an_op_ends_there_and_is_counted_from_its_end() {
    let log = log_of(&[3, 3]);
    let cost = ENTRY_OVERHEAD_BYTES + 4;
    for (bytes, first) in [(0, 5), (cost, 5), (2 * cost - 1, 5), (2 * cost, 4), (3 * cost, 3), (9 * cost, 1)] {
        let page = log.page_through(Op(5), bytes);
        assert_eq!(page.iter().map(|entry| entry.op().0).collect::<Vec<_>>(), (first..=5).collect::<Vec<_>>());
    }
    assert!(log.page_through(Op(7), 9 * cost).is_empty(), "it is not kept");
}

#[test]
fn what_commits_next_is_found_as_the_run_it_came_in_if_that_is_one_of_the_newest_two() {
    let log = log_of(&[2, 3, 1, 4]);
    let found = |op, last| log.run_between(Op(op), Op(last)).map(|run| run.first().map(|first| first.op().0));
    assert_eq!((found(6, 10), found(5, 6)), (Some(Some(7)), Some(Some(6))));
    assert_eq!(found(2, 5), None, "an older run is not looked for");
    for (op, last) in [(6, 9), (7, 10), (5, 10), (4, 6), (5, 5), (10, 10), (10, 11)] {
        assert_eq!(found(op, last), None, "{op} to {last} is no run");
    }
    assert!(log_of(&[2, 1]).run_between(Op(2), Op(3)).is_some(), "one entry is a run too");
    assert_eq!(log_of(&[]).run_between(Op(0), Op(0)), None);
}

#[test]
fn a_log_that_is_not_what_it_says_is_no_chain() {
    let whole = log_of(&[2, 3]);
    assert!(whole.is_one_chain() && log_of(&[]).is_one_chain());
    let other = |change: fn(&mut Log)| {
        let mut log = whole.clone();
        change(&mut log);
        log
    };
    let broken = [
        other(|log| log.head.op = Op(4)),
        other(|log| log.head.hash = Hash(1)),
        other(|log| log.base.hash = Hash(1)),
        other(|log| log.base.op = Op(1)),
        other(|log| log.runs[1].first = Op(4)),
        other(|log| log.runs[1].entries = Entries::empty()),
        other(|log| drop(log.runs.pop_front())),
        other(|log| drop(log.runs.pop_back())),
        other(|log| log.runs.swap(0, 1)),
        other(|log| {
            // A gap, of which the hashes say nothing.
            let parent = Head { op: Op(3), hash: log.runs[0].entries.last().expect("two").hash() };
            let run = Entries::new(chain(parent, 1, 0)).expect("a chain");
            log.head = head_of(&run, parent);
            log.runs[1] = Run { first: Op(4), entries: run };
        }),
        other(|log| {
            // Op 2 once more, of another chain.
            let parent = Head { op: Op(1), hash: Hash(9) };
            let run = Entries::new(chain(parent, 1, 0)).expect("a chain");
            log.head = head_of(&run, parent);
            log.runs[1] = Run { first: Op(2), entries: run };
        }),
    ];
    for (at, log) in broken.iter().enumerate() {
        assert!(!log.is_one_chain(), "{at}");
    }
}
