//! The write-ahead log: what makes `vr_core::Stored` survive a crash. Owns files and formats. Must not know the protocol.
