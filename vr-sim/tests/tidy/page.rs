//! Shape of the page's sources (`vr-sim/view`) and of its tests (`kv-demo/tests/browser`): how a script opens, how long
//! files are, how wide their lines.
//!
//! Must not know what the page does, nor any rule for Rust.

use super::size;
use super::source::{Offence, Source};

const COLUMNS_MAX: usize = 120;
/// Fewer characters than this cannot say what a file owns and what it must not know.
const OPENING_MIN: usize = 40;

/// A script opens with a paragraph of comment.
pub(crate) fn opening(source: &Source) -> Vec<Offence> {
    if !source.path.ends_with(".js") && !source.path.ends_with(".mjs") {
        return Vec::new();
    }
    let lines = source.text.lines().map_while(|line| line.strip_prefix("//"));
    let opening: Vec<_> = lines.map(str::trim).take_while(|line| !line.is_empty()).collect();
    if opening.join(" ").chars().count() >= OPENING_MIN {
        return Vec::new();
    }
    vec![source.offence(0, "opens without a paragraph of comment: what it owns, what it must not know")]
}

pub(crate) fn file_length(source: &Source) -> Vec<Offence> {
    // A style sheet is a list of rules: where one is, its neighbours do not matter.
    if source.path.ends_with(".css") { Vec::new() } else { size::file_length(source) }
}

pub(crate) fn line_length(source: &Source) -> Vec<Offence> {
    let mut at = 0;
    let mut offences = Vec::new();
    for line in source.text.split_inclusive('\n') {
        let columns = line.trim_end().chars().count();
        if columns > COLUMNS_MAX {
            let what = format!("{columns} columns; a line of the page has at most {COLUMNS_MAX}");
            offences.push(source.offence(at, what));
        }
        at += line.len();
    }
    offences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, text: &str) -> Source {
        Source::new(path, text)
    }

    #[test]
    fn a_script_without_a_paragraph_is_caught_and_a_style_sheet_needs_none() {
        let good = "// What it owns, for long enough that it is said.\n//\nconst a = 1;\n";
        assert_eq!(opening(&of("vr-sim/view/a.js", good)), []);
        assert_eq!(opening(&of("vr-sim/view/a.js", "const a = 1;\n")).len(), 1);
        assert_eq!(opening(&of("kv-demo/tests/browser/a.mjs", "const a = 1;\n")).len(), 1);
        assert_eq!(opening(&of("vr-sim/view/a.css", "a { b: c; }\n")), []);
    }

    #[test]
    fn a_long_script_and_a_wide_line_are_caught() {
        assert_eq!(file_length(&of("a.js", &"\n".repeat(501))).len(), 1);
        assert_eq!(file_length(&of("a.js", &"\n".repeat(500))), []);
        assert_eq!(line_length(&of("a.html", &"x".repeat(COLUMNS_MAX))), []);
        assert_eq!(line_length(&of("a.html", &"x".repeat(COLUMNS_MAX + 1))).len(), 1);
    }
}
