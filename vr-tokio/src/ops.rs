//! What an operator asks over HTTP: metrics, status, health. Must not change anything.
