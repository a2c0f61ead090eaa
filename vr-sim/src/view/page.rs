//! The page of a trace: one HTML file with its style, its script and, where there is one, its trace inside.
//!
//! Owns how the sources in `vr-sim/view/` become a page: their order, what is put into the template, how data is made
//! inert there, and the content security policy. Must not know what the page shows, nor where it goes. VIEW §4, §5.4.

use crate::check::PROPERTIES;
use serde::Serialize;
use sha2::{Digest, Sha256};

const TEMPLATE: &str = include_str!("../../view/page.html");
const STYLE: &str = include_str!("../../view/style.css");

/// The scripts, in the order in which they are joined into one module.
const SCRIPTS: &[(&str, &str)] = &[
    ("base.js", include_str!("../../view/base.js")),
    ("words.js", include_str!("../../view/words.js")),
    ("trace.js", include_str!("../../view/trace.js")),
    ("reduce.js", include_str!("../../view/reduce.js")),
    ("filter.js", include_str!("../../view/filter.js")),
    ("strokes.js", include_str!("../../view/strokes.js")),
    ("overview.js", include_str!("../../view/overview.js")),
    ("diagram.js", include_str!("../../view/diagram.js")),
    ("ring.js", include_str!("../../view/ring.js")),
    ("log.js", include_str!("../../view/log.js")),
    ("tables.js", include_str!("../../view/tables.js")),
    ("events.js", include_str!("../../view/events.js")),
    ("verdict.js", include_str!("../../view/verdict.js")),
    ("steps.js", include_str!("../../view/steps.js")),
    ("keys.js", include_str!("../../view/keys.js")),
    ("address.js", include_str!("../../view/address.js")),
    ("sources.js", include_str!("../../view/sources.js")),
    ("live.js", include_str!("../../view/live.js")),
    ("lab.js", include_str!("../../view/lab.js")),
    ("main.js", include_str!("../../view/main.js")),
];

/// Where a page gets its events from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// They are embedded.
    File,
    /// From a file that somebody drops on it.
    Empty,
    /// From the service that serves it: a running cluster.
    Live,
    /// From the service that serves it: a whole trace.
    Trace,
    /// From the service that serves it: a cluster that the page drives.
    Lab,
}

impl Source {
    /// May the page talk to the service it came from? An exported one talks to nobody.
    const fn is_served(self) -> bool {
        match self {
            Self::File | Self::Empty => false,
            Self::Live | Self::Trace | Self::Lab => true,
        }
    }
}

/// What goes into a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page<'a> {
    /// Where it gets its events from.
    pub source: Source,
    /// What it is of, in a few words: a seed, a case, a cluster.
    pub name: &'a str,
    /// The trace, JSON lines (vrtrace/1); for [`Source::File`] only, otherwise no bytes at all.
    pub trace: &'a str,
    /// So many events before the first one here were left out ([`super::window`]).
    pub left_out: u64,
}

impl<'a> Page<'a> {
    /// A page without a trace of its own.
    #[must_use]
    pub const fn of(source: Source, name: &'a str) -> Self {
        Self { source, name, trace: "", left_out: 0 }
    }
}

/// What the page is told when it starts.
#[derive(Serialize)]
struct Boot<'a> {
    mode: Source,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    banner: Option<String>,
}

/// What is wrong with the whole: a reader must not take a part for it.
fn banner(page: &Page<'_>) -> Option<String> {
    let left_out = page.left_out;
    (left_out > 0).then(|| {
        format!(
            "These are the newest events of a longer trace: {left_out} before them were left out, and it begins with \
             the state of every replica at that point. `vr-sim replay … --trace FILE` writes all of them."
        )
    })
}

/// The page.
///
/// # Panics
/// Never: the template is part of the program, and a test fills it.
#[must_use]
pub fn html(page: &Page<'_>) -> String {
    let (script, style) = (script(), style());
    let boot = Boot { mode: page.source, name: page.name, banner: banner(page) };
    let json = |text: serde_json::Result<String>| inert(&text.expect("plain strings and numbers"));
    let mut html = String::with_capacity(TEMPLATE.len() + style.len() + script.len() + page.trace.len() * 9 / 8);
    let mut rest = TEMPLATE;
    // In one pass: what was put in is not searched for placeholders again.
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("a placeholder ends");
        html.push_str(before);
        match name {
            "title" => html.push_str(&escaped(page.name)),
            "csp" => html.push_str(&policy(page.source, &script, &style)),
            "style" => html.push_str(&style),
            "script" => html.push_str(&script),
            "boot" => html.push_str(&json(serde_json::to_string(&boot))),
            "trace" => html.push_str(&inert(page.trace)),
            "properties" => html.push_str(&json(serde_json::to_string(&properties()))),
            _ => panic!("nothing is called {name} here"),
        }
        rest = after;
    }
    html.push_str(rest);
    html
}

/// The catalogue without its keys, which would be repeated for each property: name, what, paper, rule.
fn properties() -> Vec<[&'static str; 4]> {
    PROPERTIES.iter().map(|property| [property.name, property.what, property.paper, property.rule]).collect()
}

/// The content security policy of a served page as a header: what is in the page too, and that nobody may frame it.
#[must_use]
pub fn header_policy(source: Source) -> String {
    format!("{}; frame-ancestors 'none'", policy(source, &script(), &style()))
}

/// What a page may do: run its own script and style, known by their hashes, and, when it is served, ask its own
/// service. No text can become script in it.
fn policy(source: Source, script: &str, style: &str) -> String {
    let (script, style) = (hash(script), hash(style));
    let connect = if source.is_served() { "'self'" } else { "'none'" };
    format!(
        "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src {connect}; img-src data: blob:; \
         base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// The whole script.
fn script() -> String {
    SCRIPTS.iter().map(|(_, text)| bare(text)).collect()
}

/// The whole style, on one line: no text of it ends a line, and none has a colon in it.
fn style() -> String {
    bare(STYLE).replace('\n', "").replace(": ", ":")
}

/// A source without what is for its reader only: lines of comments, empty lines and indentation. A line stays a line;
/// no text of the page spans lines.
fn bare(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut in_comment = false;
    for line in source.lines().map(str::trim) {
        let is_comment = in_comment || line.starts_with("/*");
        in_comment = is_comment && !line.ends_with("*/");
        if !is_comment && !line.is_empty() && !line.starts_with("//") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// As a content security policy names a script or a style.
fn hash(text: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(text)))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32, place: u32| char::from(DIGITS[usize::from((bits >> (6 * place) & 63).to_le_bytes()[0])]);
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        text.extend([digit(bits, 3), digit(bits, 2)]);
        text.push(if three.len() > 1 { digit(bits, 1) } else { '=' });
        text.push(if three.len() > 2 { digit(bits, 0) } else { '=' });
    }
    text
}

/// JSON that no parser of HTML takes for anything else: the same values, without `<` and line separators.
fn inert(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + json.len() / 16);
    for c in json.chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            _ => text.push(c),
        }
    }
    text
}

/// Text between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests;
