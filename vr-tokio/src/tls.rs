//! TLS for peers and clients. Owns certificates and who is let in. Must not know what is said.
