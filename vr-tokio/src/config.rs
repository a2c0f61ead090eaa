//! What a node is told: one TOML file for all nodes of a cluster. Owns parsing and validation. Must not open anything.
