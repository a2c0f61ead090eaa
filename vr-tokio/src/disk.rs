//! The disk thread: owns the write-ahead log, one sync for everything that waits. Must not know the protocol.
