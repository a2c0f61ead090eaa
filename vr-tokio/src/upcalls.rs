//! The service on a thread of its own: upcalls in, answers out, strictly in order. Must not know the protocol.
