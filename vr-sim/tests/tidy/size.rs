//! Shape: how a file opens, how long it and its functions are, how wide its lines.
//!
//! Must not know what any of the code means.

use super::source::{Offence, Source, close_of, words_of};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 130;
/// Fewer characters than this cannot say what a file owns and what it must not know.
const OPENING_MIN: usize = 40;

/// A file opens with a `//!` paragraph; under `vr-core/src/replica` its comments name the paper's sections.
pub(crate) fn opening(source: &Source) -> Vec<Offence> {
    let lines = source.text.lines().map_while(|line| line.strip_prefix("//!"));
    let opening: Vec<_> = lines.map(str::trim).take_while(|line| !line.is_empty()).collect();
    let mut offences = Vec::new();
    if opening.join(" ").chars().count() < OPENING_MIN {
        offences.push(source.offence(0, "opens without a `//!` paragraph: what it owns, what it must not know"));
    }
    let protocol = source.path.starts_with("vr-core/src/replica/") && !source.is_tests_file();
    if protocol && !source.comments.contains('§') {
        offences.push(source.offence(0, "names no section (§) of the paper"));
    }
    offences
}

pub(crate) fn file_length(source: &Source) -> Vec<Offence> {
    let lines = source.text.lines().count();
    if lines <= FILE_LINES_MAX || source.is_generated() {
        return Vec::new();
    }
    vec![source.offence(source.text.len(), format!("{lines} lines; a file has at most {FILE_LINES_MAX}"))]
}

pub(crate) fn line_length(source: &Source) -> Vec<Offence> {
    if source.is_generated() {
        return Vec::new();
    }
    let mut at = 0;
    let mut offences = Vec::new();
    for line in source.text.split_inclusive('\n') {
        let columns = line.trim_end().chars().count();
        if columns > COLUMNS_MAX {
            offences.push(source.offence(at, format!("{columns} columns; a line has at most {COLUMNS_MAX}")));
        }
        at += line.len();
    }
    offences
}

pub(crate) fn function_length(source: &Source) -> Vec<Offence> {
    if source.is_generated() {
        return Vec::new();
    }
    let too_long = functions(source).filter(|function| function.lines > FUNCTION_LINES_MAX);
    too_long
        .map(|Function { at, name, lines }| {
            source.offence(at, format!("`fn {name}` has {lines} lines; a function has at most {FUNCTION_LINES_MAX}"))
        })
        .collect()
}

/// A test is a sentence (DESIGN §7); `test_` in front of it says nothing.
pub(crate) fn names_of_tests(source: &Source) -> Vec<Offence> {
    let named = functions(source).filter(|function| function.name.starts_with("test_"));
    named
        .map(|found| source.offence(found.at, format!("`fn {}`: a test is named by its sentence", found.name)))
        .collect()
}

struct Function<'a> {
    at: usize,
    name: &'a str,
    /// From `fn` to the closing brace; 1 where there is no body.
    lines: usize,
}

/// The named functions of a file, nested ones too. `fn(u8)` is a type and has no name.
fn functions(source: &Source) -> impl Iterator<Item = Function<'_>> {
    let code = source.code.as_str();
    source.words().filter(|(_, word)| *word == "fn").filter_map(move |(at, _)| {
        let (skipped, name) = words_of(&code[at + 2..]).next()?;
        let named = code[at + 2..at + 2 + skipped].trim().is_empty();
        let end = end_of_function(code, at + 2 + skipped + name.len());
        named.then(|| Function { at, name, lines: 1 + code[at..end].matches('\n').count() })
    })
}

/// Where the function whose name ends at `at` ends: after its body, or at the semicolon that stands for one.
fn end_of_function(code: &str, mut at: usize) -> usize {
    while let Some(byte) = code.as_bytes().get(at) {
        match byte {
            b'(' | b'[' => at = close_of(code, at).unwrap_or(code.len()),
            b'{' => return close_of(code, at).unwrap_or(code.len()),
            b';' => return at,
            _ => {}
        }
        at += 1;
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Source {
        Source::new("vr-core/src/replica/normal.rs", text)
    }

    #[test]
    fn a_file_without_a_paragraph_or_a_section_is_caught() {
        let good = "//! What it owns and what it must not know,\n//! for long enough. VRR §4.1.\n\nfn a() {}\n";
        assert_eq!(opening(&of(good)), []);
        assert_eq!(opening(&of("//! x\n// §4.1\n")).len(), 1);
        assert_eq!(opening(&of(&good.replace('§', ""))).len(), 1);
        assert_eq!(opening(&of(&format!("use a::b; // §\n{good}"))).len(), 1);
    }

    #[test]
    fn a_file_one_line_too_long_is_caught_unless_a_program_wrote_it() {
        let longest = "fn a() {}\n".repeat(FILE_LINES_MAX);
        assert_eq!(file_length(&of(&longest)), []);
        assert_eq!(file_length(&of(&format!("{longest}\n"))).len(), 1);
        assert_eq!(file_length(&of(&format!("// @generated\n{longest}"))), []);
    }

    #[test]
    fn a_line_one_column_too_wide_is_caught_where_it_is() {
        let widest = "§".repeat(COLUMNS_MAX);
        assert_eq!(line_length(&of(&format!("\n{widest}\n"))), []);
        let found = line_length(&of(&format!("\n{widest}x\n")));
        assert_eq!(found.iter().map(|offence| offence.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_function_one_line_too_long_is_caught_and_its_neighbours_are_not() {
        let body = |lines: usize| format!("fn f(a: [u8; 2]) -> fn(u8) {{\n{}}}\n", "{}\n".repeat(lines - 2));
        assert_eq!(function_length(&of(&body(FUNCTION_LINES_MAX))), []);
        let long = body(FUNCTION_LINES_MAX + 1);
        let found = function_length(&of(&format!("trait T {{\n    fn g();\n}}\n{long}{}", body(3))));
        assert_eq!(found.iter().map(|offence| offence.line).collect::<Vec<_>>(), [4]);
        let braces_in_text = body(3).replace("{}\n", "let a = (\"{\", '{'); // {\n");
        assert_eq!(function_length(&of(&format!("{braces_in_text}{}", "\n".repeat(FUNCTION_LINES_MAX)))), []);
    }

    #[test]
    fn a_test_named_test_is_caught_and_a_mention_of_one_is_not() {
        assert_eq!(names_of_tests(&of("#[test]\nfn test_commit() {}\n")).len(), 1);
        assert_eq!(names_of_tests(&of("fn a_test_is_a_sentence() { call(\"fn test_a\") } // fn test_b\n")), []);
    }
}
