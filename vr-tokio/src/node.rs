//! The node: one task owns the replica, takes what arrives, carries out what it asks for. It decides nothing.
