//! What a driver does about a lease: it reads, then looks at the clock, then tells or asks anew.
//!
//! Owns that order, and what a person does to clocks and services for it. A process that stands still where there are leases does
//! so right after its driver has looked at the clock: what came meanwhile is worked off with that moment. Must not know who
//! promised what. PROTOCOL D85, F10.

use super::World;
use crate::check::Happening;
use crate::plants;
use crate::workload::App;
use vr_core::{Input, Query, Time, Wait};

impl<A: App> World<A> {
    /// What was read under a lease is an answer if the clock shows less than the deadline after that.
    pub(super) fn is_in_time(&mut self, on: usize, (deadline, query): (Time, Query)) -> bool {
        let node = &self.nodes[on];
        let (id, rules) = (node.config.me, node.config.rules);
        let told = node.clock.own(self.now) < deadline || plants::tells_late(rules);
        self.observe(&Happening::ReadUnderLease { on: id, told, asked: (query.client, query.number) });
        if told {
            self.marks.lease_reads += 1;
        } else {
            self.marks.lease_reads_late += 1;
            self.step(on, Input::QueryLate(query));
        }
        told
    }

    /// A clock runs fast by so many parts in a million from now on, slow if it is less than nothing.
    pub fn drift(&mut self, replica: usize, drift_ppm: i32) {
        self.nodes[replica].clock.run(self.now, drift_ppm);
        self.jump_clock(replica, Wait::ZERO);
    }

    /// A service is busy for so long with something of its own.
    pub fn keep_busy(&mut self, replica: usize, wait: Wait) {
        let until = self.now.after(wait);
        self.nodes[replica].life.iter_mut().for_each(|life| life.busy_until = life.busy_until.max(until));
    }
}
