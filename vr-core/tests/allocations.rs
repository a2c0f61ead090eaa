//! Few allocations: how often a committed op asks the heap for memory, over all three replicas.
//!
//! Owns a counting allocator, so it is a test binary of its own. The driver is the in-memory one of the benchmarks,
//! whose queues are reused: what is counted is the protocol's. A request's and a reply's own bytes are the client's and
//! the service's; here they are shared, and cost nothing. Allocations are asserted, times never.

#![allow(unsafe_code)] // an allocator cannot be written without

#[allow(dead_code)] // the benchmarks use more of it
#[path = "support/loopback.rs"]
mod loopback;

use bytes::Bytes;
use loopback::{Clients, Loopback};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use vr_core::Durability;

thread_local! { static COUNT: Cell<u64> = const { Cell::new(0) }; }

struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

fn count() {
    COUNT.set(COUNT.get() + 1);
}

// SAFETY: every call goes to the system's allocator as it came; the count is a plain number of this thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Allocations and ops of a cluster of three that is warm, with so many requests outstanding.
fn measured(durability: Durability, outstanding: u64) -> (u64, u64) {
    const WARM_UP_OPS: u64 = 10_000;
    const OPS: u64 = 10_000;
    let mut cluster = Loopback::new(3, durability);
    let mut clients = Clients::new(&mut cluster, outstanding, Bytes::from_static(&[7; 64]));
    let mut run = |ops: u64| {
        let mut done = 0;
        while done < ops {
            done += clients.round(&mut cluster);
        }
        done
    };
    run(WARM_UP_OPS);
    let before = COUNT.get();
    let ops = run(OPS);
    (COUNT.get() - before, ops)
}

#[test]
fn a_committed_op_allocates_at_most_twice_in_a_crowd_and_eight_times_alone() {
    println!("{:>8} {:>12} {:>12} {:>8} {:>8}", "mode", "outstanding", "allocations", "ops", "per op");
    let mut excess = Vec::new();
    for durability in [Durability::Sync, Durability::Async] {
        for (outstanding, most) in [(256, 2), (1, 8)] {
            let (allocations, ops) = measured(durability, outstanding);
            let hundredths = allocations * 100 / ops;
            let per_op = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            println!("{durability:>8?} {outstanding:>12} {allocations:>12} {ops:>8} {per_op:>8}");
            if allocations > most * ops {
                excess.push((durability, outstanding, per_op));
            }
        }
    }
    assert!(excess.is_empty(), "more than allowed: {excess:?}");
}

/// The measure itself: it sees one allocation, and none where there is none.
#[test]
fn the_count_counts() {
    let before = COUNT.get();
    let kept = std::hint::black_box(Box::new(7));
    assert_eq!(COUNT.get() - before, 1);
    let before = COUNT.get();
    let shared = std::hint::black_box(Bytes::from_static(b"shared").clone());
    assert_eq!((COUNT.get() - before, shared.len(), *kept), (0, 6, 7));
}
