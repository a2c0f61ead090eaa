//! The replicated application: what an embedder writes (Go-VR's `InitializeService(callback)`).
//!
//! Owns the trait that drivers call. The state machine never names it: it sees only [`crate::Action::Execute`]
//! and [`crate::Input::Executed`]. Paper: VRR §4.1 step 5 (the upcall), §4.4 (determinism).

use crate::id::Op;
use crate::state::{DeferredState, State};
use alloc::boxed::Box;
use bytes::Bytes;

/// What is known to an op while it executes; the same on every replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// Its position in the log.
    pub op: Op,
    /// The time it executes at, nanoseconds since the Unix epoch as the primary predicted it; strictly increasing.
    pub time_ns: u64,
    /// A seed for random choices.
    pub seed: u64,
}

/// A deterministic state machine. Given the same calls in the same order it must answer the same: no clock,
/// no randomness but the [`Context`]'s, no iteration over unordered maps.
pub trait Service {
    /// Executes one operation and answers it. An operation that cannot be understood is answered, not panicked on.
    fn execute(&mut self, context: &Context, body: &[u8]) -> Bytes;

    /// Answers a question without changing anything.
    fn read(&self, query: &[u8]) -> Bytes;

    /// The whole state as bytes: equal states give equal bytes.
    fn checkpoint(&self) -> Bytes;

    /// Becomes the state that [`Service::checkpoint`] gave. A new service must accept what any replica gave.
    fn restore(&mut self, checkpoint: &[u8]);

    /// Sets the whole state aside: what is executed from now on does not change what the [`DeferredState`] gives, which is asked
    /// on another thread while this goes on. A service whose state is large overrides it, with a copy that is made on
    /// write: as it stands, nothing is executed until [`Service::checkpoint`] has put all bytes together.
    fn snapshot(&self) -> DeferredState {
        let state = State::from(self.checkpoint());
        Box::new(move || state)
    }

    /// [`Service::restore`] from bytes in pieces. A service whose state is large overrides it: as it stands, they are copied
    /// together first.
    fn restore_state(&mut self, state: &State) {
        self.restore(&state.whole());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that overrides nothing.
    struct Last(Bytes);

    impl Service for Last {
        fn execute(&mut self, _: &Context, body: &[u8]) -> Bytes {
            self.restore(body);
            Bytes::new()
        }
        fn read(&self, _: &[u8]) -> Bytes {
            self.checkpoint()
        }
        fn checkpoint(&self) -> Bytes {
            self.0.clone()
        }
        fn restore(&mut self, checkpoint: &[u8]) {
            self.0 = Bytes::copy_from_slice(checkpoint);
        }
    }

    #[test]
    fn a_service_that_knows_only_whole_bytes_becomes_what_it_is_given_in_pieces() {
        let mut service = Last(Bytes::new());
        let pieces: State = [&b"the "[..], b"state"].into_iter().map(Bytes::from_static).collect();
        service.restore_state(&pieces);
        assert_eq!(service.checkpoint(), "the state");
    }

    #[test]
    fn what_is_executed_after_a_snapshot_is_not_in_it() {
        let mut service = Last(Bytes::from_static(b"before"));
        let aside = service.snapshot();
        service.execute(&Context { op: Op(1), time_ns: 1, seed: 1 }, b"after");
        assert_eq!((aside().whole(), service.read(b"")), ("before".into(), Bytes::from_static(b"after")));
    }
}
