//! `vr-sim case`: a case file of an input that a fuzzer found.
//!
//! Owns the reading of the input and what is said. Must not know what an input means, nor how a case is repeated.
//! DESIGN 9.13, 9.19.

use super::args::CaseArgs;
use super::{Exit, failure, screen};
use std::fs;

/// Carries out `case`. That the run fails is what it is for: the exit code says whether the file was written.
///
/// # Errors
/// In one line, when the input cannot be read or the case not be written.
pub(crate) fn case(args: &CaseArgs) -> Result<Exit, String> {
    let data = fs::read(&args.input).map_err(|error| format!("{}: {error}", args.input.display()))?;
    let case = args.target.case(&data);
    fs::write(&args.output, case.write()).map_err(|error| format!("{}: {error}", args.output.display()))?;
    let found = case.violation.as_deref().unwrap_or("all held");
    let decisions = screen::counted(u64::try_from(case.decisions.len()).unwrap_or(u64::MAX), "decision");
    screen::say(&format!("{}; {decisions}; {found}", failure::cluster(&case.setup)));
    screen::say(&failure::command(&["replay".to_owned(), args.output.display().to_string()], false));
    Ok(Exit::Held)
}
