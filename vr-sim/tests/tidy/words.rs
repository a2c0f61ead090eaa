//! Words that may stand only in certain files: `cfg`, `bincode`, what is not deterministic, TODO(without a reason).
//!
//! Owns one function per ban, with its allowed files beside it. A comment or a string may say any of them,
//! except where the ban is about comments.

use super::source::{Offence, Source, after_attributes, close_of};

/// What ships is what is tested (DESIGN §4): the protocol has no conditional compilation but for planted bugs.
///
/// Allowed in vr-core/src: anything in `rules.rs`; `cfg(test)` on `mod tests` at the bottom of a file;
/// `doctest`; and in `lib.rs` `cfg(test)` on `extern crate std` and the feature on `pub use rules::…`.
pub(crate) fn conditional_compilation(source: &Source) -> Vec<Offence> {
    if !source.path.starts_with("vr-core/src/") || source.path == "vr-core/src/rules.rs" {
        return Vec::new();
    }
    let found = source.words().filter(|(_, word)| matches!(*word, "cfg" | "cfg_attr" | "cfg_select"));
    let unlawful = found.filter(|(at, word)| !is_lawful_cfg(source, *at, word));
    unlawful
        .map(|(at, word)| source.offence(at, format!("`{word}` outside rules.rs: what is tested must be what ships")))
        .collect()
}

fn is_lawful_cfg(source: &Source, at: usize, word: &str) -> bool {
    let open = at + word.len();
    if !source.code[open..].starts_with('(') {
        return source.code[open..].starts_with(|c: char| c != '!'); // a mere name
    }
    let Some(close) = close_of(&source.code, open) else { return false };
    let predicate = source.text[open + 1..close].split(',').next().unwrap_or_default().trim();
    let attributes = source.code[..at].rfind("#[").unwrap_or(at);
    let item = &source.code[after_attributes(&source.code, attributes)..];
    let in_lib = source.path == "vr-core/src/lib.rs";
    match predicate {
        "doctest" => true,
        "test" if source.tests_at() == Some(attributes) => true,
        "test" => in_lib && item.starts_with("extern crate std;"),
        "feature = \"mutants\"" => in_lib && item.starts_with("pub use rules::"),
        _ => false,
    }
}

/// The core has no standard library, so no clock, no threads and no unordered map: not even by the back door.
pub(crate) fn purity(source: &Source) -> Vec<Offence> {
    if !source.path.starts_with("vr-core/src/") || source.is_tests_file() {
        return Vec::new();
    }
    let shipped = &source.code[..source.tests_at().unwrap_or(source.code.len())];
    let mut offences = Vec::new();
    let is_lib = source.path == "vr-core/src/lib.rs";
    for needed in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        if is_lib && !shipped.contains(needed) {
            offences.push(source.offence(0, format!("without `{needed}` nothing keeps the core pure")));
        }
    }
    for (at, found) in shipped.match_indices("extern crate std") {
        if !(is_lib && shipped[..at].trim_end().ends_with("#[cfg(test)]")) {
            offences.push(source.offence(at, format!("`{found}` outside tests: the core is no_std")));
        }
    }
    offences
}

/// bincode is unmaintained and pinned: one file names it, so that one commit can replace it.
pub(crate) fn pinned_codec(source: &Source) -> Vec<Offence> {
    let allowed = source.path == "vr-core/src/wire.rs";
    let found = source.words().filter(|(_, word)| !allowed && *word == "bincode");
    found.map(|(at, _)| source.offence(at, "`bincode` may be named in vr-core/src/wire.rs only")).collect()
}

/// A run of the simulator is a function of its seed on every machine: no clock, no threads, no unordered
/// map, no float, nothing as wide as the machine. The command line around the runs may use all of it.
pub(crate) fn determinism(source: &Source) -> Vec<Offence> {
    let in_cli = source.path.starts_with("vr-sim/src/cli/") || source.path == "vr-sim/src/main.rs";
    if !source.path.starts_with("vr-sim/src/") || in_cli {
        return Vec::new();
    }
    let mut offences = Vec::new();
    for (at, word) in source.words() {
        let next = source.code[at + word.len()..].trim_start();
        let why = match word {
            "HashMap" | "HashSet" | "RandomState" => "its order differs from run to run",
            "Instant" | "SystemTime" => "time is virtual",
            "thread" | "thread_local" => "a run has one thread",
            "f32" | "f64" => "floats round differently; sample in integers",
            "isize" => "its width is the machine's",
            "usize" if next.starts_with("::MAX") || next.starts_with("::BITS") => "its width is the machine's",
            _ => continue,
        };
        offences.push(source.offence(at, format!("`{word}` outside cli/: {why}")));
    }
    let floats = float_literals(&source.code);
    offences.extend(floats.map(|at| source.offence(at, "a float outside cli/: sample in integers")));
    offences
}

/// Where digits, a point and digits stand. `pair.0.1` is no float, nor is `1..2` or `1.min(2)`.
fn float_literals(code: &str) -> impl Iterator<Item = usize> {
    let bytes = code.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    (1..bytes.len()).filter(move |&at| bytes[at] == b'.' && digit(at - 1) && digit(at + 1)).filter_map(move |at| {
        let number = code[..at].trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        let before = number.chars().next_back().unwrap_or(' ');
        (before != '.' && !before.is_alphabetic()).then_some(number.len())
    })
}

/// A note for later says why it waits: `TODO(reason)`.
pub(crate) fn notes_for_later(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (at, word) in super::source::words_of(&source.comments) {
        let reason = source.comments[at + word.len()..].strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let is_note = matches!(word, "TODO" | "FIXME" | "XXX");
        if is_note && reason.is_none_or(|(reason, _)| reason.trim().is_empty()) {
            offences.push(source.offence(at, format!("`{word}` without its reason in parentheses")));
        }
    }
    offences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(check: fn(&Source) -> Vec<Offence>, path: &str, text: &str) -> Vec<usize> {
        check(&Source::new(path, text)).into_iter().map(|offence| offence.line).collect()
    }

    #[test]
    fn conditional_protocol_code_is_caught_and_the_exceptions_are_not() {
        let log = |text: &str| lines(conditional_compilation, "vr-core/src/log.rs", text);
        assert_eq!(log("fn a() {}\n#[cfg(test)]\nfn b() {}\n"), [2]);
        assert_eq!(log("#[cfg_attr(feature = \"mutants\", inline)]\nfn a() {}\n"), [1]);
        assert_eq!(log("fn a() {\n    if cfg!(debug_assertions) {}\n}\n"), [2]);
        assert_eq!(log("#[cfg(feature = \"mutants\")]\npub use rules::Mutant;\n"), [1]);
        assert_eq!(log("//! cfg(test)\nlet cfg = 1;\n#[cfg(test)]\nmod tests {\n    #![allow(x)]\n}\n"), []);
        assert_eq!(log("#[cfg(test)]\nmod tests {}\nfn a() {}\n"), [1]);

        let lib = |text: &str| lines(conditional_compilation, "vr-core/src/lib.rs", text);
        assert_eq!(lib("#[cfg(feature = \"mutants\")]\npub use rules::Mutant;\n"), []);
        assert_eq!(lib("#[cfg(test)]\nextern crate std;\n#[cfg(doctest)]\nstruct Readme;\n"), []);
        assert_eq!(lib("#![cfg_attr(doctest, doc = \"x\")]\n#![cfg_attr(not(test), no_std)]\n"), [2]);
        assert_eq!(lines(conditional_compilation, "vr-core/src/rules.rs", "#[cfg(feature = \"mutants\")]\n"), []);
    }

    #[test]
    fn a_core_with_the_standard_library_is_caught() {
        let good = "#![no_std]\n#![forbid(unsafe_code)]\nextern crate alloc;\n#[cfg(test)]\nextern crate std;\n";
        assert_eq!(lines(purity, "vr-core/src/lib.rs", good), []);
        assert_eq!(lines(purity, "vr-core/src/lib.rs", "extern crate std;\n"), [1, 1, 1]);
        assert_eq!(lines(purity, "vr-core/src/log.rs", "\nextern crate std;\n"), [2]);
        let in_tests = "#[cfg(test)]\nmod tests {\n    extern crate std;\n}\n";
        assert_eq!(lines(purity, "vr-core/src/log.rs", in_tests), []);
    }

    #[test]
    fn bincode_outside_the_wire_is_caught() {
        assert_eq!(lines(pinned_codec, "vr-core/src/log.rs", "// bincode\nuse bincode::config;\n"), [2]);
        assert_eq!(lines(pinned_codec, "vr-core/src/wire.rs", "use bincode::config;\n"), []);
    }

    #[test]
    fn what_differs_between_runs_or_machines_is_caught_outside_the_command_line() {
        let bad = "use std::collections::HashMap;\nuse std::time::{Instant, SystemTime};\nuse std::thread;\n\
                   fn a(b: f64) -> u64 {\n    usize::MAX\n}\nconst C: u8 = 0.5;\n";
        assert_eq!(lines(determinism, "vr-sim/src/world.rs", bad), [1, 2, 2, 3, 4, 5, 7]);
        assert_eq!(lines(determinism, "vr-sim/src/cli/jobs.rs", bad), []);
        assert_eq!(lines(determinism, "vr-sim/src/main.rs", bad), []);
        assert_eq!(lines(determinism, "vr-sim/tests/tidy.rs", bad), []);
        let good = "fn a(b: usize) { b.0.1 + c1.2 + 1.min(2); 1..2; \"HashMap\" } // f64 0.5\n";
        assert_eq!(lines(determinism, "vr-sim/src/world.rs", good), []);
    }

    #[test]
    fn a_note_for_later_without_a_reason_is_caught() {
        let notes = |text: &str| lines(notes_for_later, "kv-demo/src/main.rs", text);
        assert_eq!(notes(&["// TO", "DO: later\n/* FIX", "ME() */\n"].concat()), [1, 2]);
        assert_eq!(notes("// TODO(needs epochs): later\nlet a = \"TODO\";\n"), []);
    }
}
