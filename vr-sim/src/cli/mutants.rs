//! `vr-sim mutants`: the planted bugs, and the hunt for them. Without the feature `mutants` there are none.
//!
//! Owns the refusal of builds that hold none, which are those that ship. The rest is `hunt`. DESIGN 9.20.

#[cfg(feature = "mutants")]
pub(crate) use super::hunt::{known, mutants};

#[cfg(not(feature = "mutants"))]
pub(crate) use none::{known, mutants};

#[cfg(not(feature = "mutants"))]
mod none {
    use crate::cli::Exit;
    use crate::cli::args::MutantsArgs;

    /// What builds a program that holds planted bugs.
    const WITH_BUGS: &str = "cargo run --release -p vr-sim --features mutants -- mutants";

    /// Carries it out.
    ///
    /// # Errors
    /// Always, in one line: this build holds none.
    pub(crate) fn mutants(_: &MutantsArgs) -> Result<Exit, String> {
        Err(format!("this build holds no planted bugs, as it should be; one that does: {WITH_BUGS}"))
    }

    /// Is there such a bug?
    ///
    /// # Errors
    /// Always, in one line: this build holds none.
    pub(crate) fn known(name: &str) -> Result<(), String> {
        Err(format!("this build holds no planted bug `{name}`, as it should be; one that does: {WITH_BUGS}"))
    }
}
