//! What an embedder holds of a running node: requests in, replies out. Must not know how they travel.
