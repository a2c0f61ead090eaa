//! One Rust file, cut into code, comments and literals, so that a check looks at the part it means.
//!
//! Owns the walk over the workspace and a lexer just good enough for `rustfmt`-shaped code: comments,
//! strings and characters are told apart, everything else is code. Must not know any rule.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates of the house, in the order of their arrows.
pub(crate) const CRATES: [&str; 5] = ["vr-core", "vr-sim", "vr-tokio", "kv-demo", "fuzz"];

/// What a file did wrong, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Offence {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// A file, and the two views of it that checks read. All three texts have the same length and lines.
pub(crate) struct Source {
    /// From the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Comments, strings and characters blanked.
    pub(crate) code: String,
    /// Everything but comments blanked.
    pub(crate) comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Code,
    Comment,
    Literal,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut code = String::with_capacity(text.len());
        let mut comments = String::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let (piece, end) = next_piece(text, at);
            let part = &text[at..end];
            code.push_str(&if piece == Piece::Code { part.to_owned() } else { blank(part) });
            comments.push_str(&if piece == Piece::Comment { part.to_owned() } else { blank(part) });
            at = end;
        }
        Self { path: path.to_owned(), text: text.to_owned(), code, comments }
    }

    /// An offence at a byte of this file.
    pub(crate) fn offence(&self, at: usize, what: impl Into<String>) -> Offence {
        let line = 1 + self.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        Offence { line, what: what.into() }
    }

    /// The identifiers and keywords of the code, with where each starts.
    pub(crate) fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        words_of(&self.code)
    }

    /// Where `#[cfg(test)] mod tests` starts, if it closes the file: what is after it does not ship.
    pub(crate) fn tests_at(&self) -> Option<usize> {
        let at = self.code.rfind("#[cfg(test)]")?;
        let rest = after_attributes(&self.code, at);
        let body = self.code[rest..].strip_prefix("mod tests")?.trim_start();
        let open = self.code.len() - body.len();
        let end = if body.starts_with(';') { open } else { close_of(&self.code, open)? };
        self.code[end + 1..].trim().is_empty().then_some(at)
    }

    /// A file of tests only: `x/tests.rs`, which its parent declares under `cfg(test)`.
    pub(crate) fn is_tests_file(&self) -> bool {
        self.path.ends_with("/tests.rs")
    }

    /// Was it written by a program? Then nobody reads it, and its size is nobody's business.
    pub(crate) fn is_generated(&self) -> bool {
        self.text.lines().take(5).any(|line| line.contains("@generated"))
    }
}

/// The first byte after the attributes that start at `at`.
pub(crate) fn after_attributes(code: &str, mut at: usize) -> usize {
    while code[at..].starts_with("#[") {
        let Some(end) = close_of(code, at + 1) else { return code.len() };
        at = code.len() - code[end + 1..].trim_start().len();
    }
    at
}

/// Where the bracket that opens at `open` closes.
pub(crate) fn close_of(code: &str, open: usize) -> Option<usize> {
    let opening = *code.as_bytes().get(open)?;
    let closing = match opening {
        b'{' => b'}',
        b'(' => b')',
        b'[' => b']',
        _ => return None,
    };
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        if byte == opening {
            depth += 1;
        } else if byte == closing {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// The identifiers and keywords of a text, with where each starts. Numbers are not among them.
pub(crate) fn words_of(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += code[at..].find(is_word)?;
        let start = at;
        at += code[at..].find(|c| !is_word(c)).unwrap_or(code.len() - at);
        Some((start, &code[start..at]))
    })
    .filter(|(_, word)| !word.starts_with(|c: char| c.is_ascii_digit()))
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn blank(part: &str) -> String {
    part.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// What starts at `at`, and where it ends.
fn next_piece(text: &str, at: usize) -> (Piece, usize) {
    let rest = &text[at..];
    if rest.starts_with("//") {
        return (Piece::Comment, at + rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Piece::Comment, at + block_comment(rest));
    }
    if rest.starts_with('"') {
        return (Piece::Literal, at + quoted(rest, '"'));
    }
    if rest.starts_with('\'') {
        return character(rest).map_or((Piece::Code, at + 1), |len| (Piece::Literal, at + len));
    }
    let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
    if let ("r" | "br" | "cr", Some(len)) = (word, raw_string(&rest[word.len()..])) {
        return (Piece::Literal, at + word.len() + len);
    }
    let first = rest.chars().next().map_or(1, char::len_utf8);
    (Piece::Code, at + word.len().max(first))
}

/// The length of the block comment that `rest` starts with; they nest.
fn block_comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" if depth == 1 => return at + 2,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    rest.len()
}

/// The length of the literal that `rest` starts with, quotes included; a backslash escapes what follows.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of the character that `rest` starts with, or `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut inside = rest.chars().skip(1);
    let (first, second) = (inside.next()?, inside.next()?);
    (first == '\\' || second == '\'').then(|| quoted(rest, '\''))
}

/// The length of `#"…"#` with any number of `#`, or `None` where that is not what `rest` starts with.
fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
    let body = rest[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&end).map_or(rest.len(), |at| hashes + 1 + at + end.len()))
}

/// The folder that holds the workspace.
pub(crate) fn root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().expect("vr-sim lies in the workspace").to_owned()
}

/// Every Rust file of the house, sorted; no build folder, no fuzzing corpus.
pub(crate) fn every_source() -> Vec<Source> {
    let root = root();
    files_of(&CRATES.map(|name| root.join(name)), &["rs"])
}

/// The sources of the page of a trace, and its tests in a browser.
pub(crate) fn page_sources() -> Vec<Source> {
    let folders = ["vr-sim/view", "kv-demo/tests/browser"].map(|folder| root().join(folder));
    files_of(&folders, &["js", "mjs", "css", "html"])
}

fn files_of(folders: &[PathBuf], endings: &[&str]) -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    for folder in folders {
        collect(folder, endings, &mut files);
    }
    files.sort();
    files.iter().map(|file| read(&root, file)).collect()
}

fn read(root: &Path, file: &Path) -> Source {
    let text = fs::read_to_string(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    let inside = file.strip_prefix(root).expect("the walk starts at the root");
    let steps: Vec<_> = inside.iter().map(|step| step.to_string_lossy()).collect();
    Source::new(&steps.join("/"), &text)
}

fn collect(folder: &Path, endings: &[&str], files: &mut Vec<PathBuf>) {
    let listing = fs::read_dir(folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    for item in listing {
        let path = item.expect("a folder that opened can be listed").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let skipped =
            ["target", "corpus", "artifacts", "node_modules"].contains(&name.as_str()) || name.starts_with('.');
        if path.is_dir() && !skipped {
            collect(&path, endings, files);
        } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let text = "a // x\nb /* y /* z */ \" */ c \"d // \\\" e\" f 'g' '\\'' &'h i r#\"j \" k\"# l b\"m\" n";
        let source = Source::new("a.rs", text);
        let words: Vec<_> = source.words().map(|(_, word)| word).collect();
        assert_eq!(words, ["a", "b", "c", "f", "h", "i", "l", "b", "n"]);
        assert_eq!(source.comments.split_whitespace().collect::<String>(), "//x/*y/*z*/\"*/");
        assert_eq!((source.code.len(), source.comments.len()), (text.len(), text.len()));
    }

    #[test]
    fn only_a_tests_module_at_the_bottom_counts_as_the_tests() {
        let bottom = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n    fn b() {}\n}\n";
        assert_eq!(Source::new("a.rs", bottom).tests_at(), Some(10));
        assert_eq!(Source::new("a.rs", &format!("{bottom}fn c() {{}}\n")).tests_at(), None);
        assert_eq!(Source::new("a.rs", "#[cfg(test)]\nfn a() {}\n").tests_at(), None);
        assert_eq!(Source::new("a.rs", "#[cfg(test)]\nmod tests;\n").tests_at(), Some(0));
    }

    #[test]
    fn the_walk_finds_the_house_and_no_build_folder() {
        let paths: Vec<_> = every_source().into_iter().map(|source| source.path).collect();
        for known in ["vr-core/src/lib.rs", "vr-sim/tests/tidy/source.rs", "fuzz/fuzz_targets/wire.rs"] {
            assert!(paths.iter().any(|path| path == known), "{known} is not in {paths:?}");
        }
        assert!(paths.iter().all(|path| !path.contains("/target/")), "{paths:?}");
    }
}
