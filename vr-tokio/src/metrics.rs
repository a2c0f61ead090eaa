//! What a node counts. Owns the registry and its names. Must not decide anything.
