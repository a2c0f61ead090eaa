//! Every safety decision as a small pure function under its sentence; the only home of planted bugs.
//!
//! Must not know how a replica is built or what it sends.

use serde::{Deserialize, Serialize};

/// The rules a replica plays by. Zero-sized unless the feature `mutants` is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rules {}
