//! Flight recordings of a world's replicas, as a production driver writes them: to test what judges those.
//!
//! Owns the files, one for each life. Must not know what becomes of them. `vr_core::recording`.

use super::World;
use crate::workload::App;
use vr_core::{Event, Opening, Time, recording};

/// Per replica, by position: the file of the life that it lives, if it does; and those of the lives before.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights {
    open: Vec<Vec<u8>>,
    done: Vec<Vec<u8>>,
}

impl Flights {
    pub(super) fn opened(&mut self, on: usize, opening: &Opening) {
        let mut file = Vec::new();
        recording::begin(opening, &mut file);
        let before = std::mem::replace(&mut self.open[on], file);
        self.done.push(before);
    }

    pub(super) fn stepped(&mut self, on: usize, event: &Event) {
        recording::add(event, &mut self.open[on]);
    }
}

impl<A: App> World<A> {
    /// Everything that replicas are given from now on is recorded. To be called before the first of them starts.
    pub fn record_flights(&mut self) {
        self.flights = Some(Flights { open: vec![Vec::new(); self.nodes.len()], done: Vec::new() });
    }

    /// Gives the recordings back, a file for each life.
    pub fn take_flights(&mut self) -> Vec<Vec<u8>> {
        let Flights { open, done } = self.flights.take().unwrap_or_default();
        done.into_iter().chain(open).filter(|file| !file.is_empty()).collect()
    }

    pub(super) fn record_opening(&mut self, on: usize, at: Time) {
        if let Some(flights) = &mut self.flights {
            let node = &self.nodes[on];
            let (config, stored) = (node.config.clone(), node.disk.durable().clone());
            flights.opened(on, &Opening { config, stored, at, host: self.now });
        }
    }
}
