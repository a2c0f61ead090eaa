//! What may be typed behind `vr-sim replay`: what is replayed, and what is made of it.
//!
//! Owns the options, and which of them exclude each other: one thing at a time goes to standard output. Must not know
//! what any form looks like. DESIGN §8; VIEW F5, §5.3.

use super::ClusterArgs;
use clap::Args;
use std::path::PathBuf;
use vr_sim::view::export::Form;

pub(super) const EXAMPLES: &str = "\
Examples:
  vr-sim replay 123 --text                                  what happened, a line an event; # explains the glyphs
  vr-sim replay 123 --text | grep ' r1 .*[☠↻⚑]'             when r1 crashed, started, or a promise broke
  vr-sim replay 123 --table --at 812                        in what the replicas disagreed after event 812
  vr-sim replay 123 --html 123.html                         all of it as a page, for a browser
  vr-sim replay 123 --export perfetto=123.json              for Perfetto: every step a slice, every message an arrow
  vr-sim replay 123 --until 4000 --export shiviz > 123.log  for ShiViz
  vr-sim replay 123 --export history                        what clients called and were answered, JSON lines";

/// Options of `replay`.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// A seed, a case file, or a recording of a node or a directory of them (as `check-recording`, which takes several)
    #[arg(value_name = "CASE")]
    pub(crate) case: String,
    /// Stop after so many events
    #[arg(long, value_name = "N")]
    pub(crate) until: Option<u64>,
    /// Print one line per event
    #[arg(long)]
    pub(crate) text: bool,
    /// Tell why the property does not hold: what led to the violation, in at most 30 sentences
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print in what the replicas disagree, at the violation or at the end
    #[arg(long)]
    pub(crate) table: bool,
    /// After this event instead
    #[arg(long, value_name = "EVENT", requires = "table")]
    pub(crate) at: Option<u64>,
    /// Write the trace (vrtrace/1, JSON lines) to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Write a page to look at it to this file: it needs nothing else, and no network
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write it for another tool (shiviz, perfetto, history; text, table) to this file or to standard output
    #[arg(long, value_name = "FORM[=FILE]", value_parser = export, conflicts_with_all = ["text", "table", "json"])]
    pub(crate) export: Option<Export>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Print one JSON object instead of text
    #[arg(long, conflicts_with = "text")]
    pub(crate) json: bool,
}

impl ReplayArgs {
    /// Must what happens be recorded?
    pub(crate) const fn wants_events(&self) -> bool {
        self.is_shown() || self.trace.is_some() || self.html.is_some() || self.until.is_some()
    }

    /// An option that makes no sense for what nodes recorded.
    pub(crate) fn not_of_recordings(&self) -> Option<String> {
        let options = [
            ("--until", self.until.is_some()),
            ("--text", self.text),
            ("--explain", self.explain),
            ("--table", self.table),
            ("--export", self.export.is_some()),
        ];
        let named = options.into_iter().find(|(_, is_there)| *is_there).map(|(name, _)| name.to_owned());
        named.or_else(|| self.cluster.words().first().cloned())
    }

    const fn is_shown(&self) -> bool {
        self.text || self.explain || self.table || self.export.is_some()
    }
}

/// A form, and the file that it goes to; standard output otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Export {
    /// The form.
    pub(crate) form: Form,
    /// The file.
    pub(crate) to: Option<PathBuf>,
}

fn export(text: &str) -> Result<Export, String> {
    let (form, to) = match text.split_once('=') {
        Some((form, to)) => (form, Some(PathBuf::from(to))),
        None => (text, None),
    };
    let names = || Form::ALL.map(Form::name).join(", ");
    let form = Form::named(form).ok_or_else(|| format!("`{form}` is none of {}", names()))?;
    Ok(Export { form, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_a_form_and_perhaps_a_file() {
        assert_eq!(export("shiviz"), Ok(Export { form: Form::Shiviz, to: None }));
        assert_eq!(export("perfetto=a=b.json"), Ok(Export { form: Form::Perfetto, to: Some("a=b.json".into()) }));
        let why = export("svg").expect_err("there is none");
        assert_eq!(why, "`svg` is none of text, table, shiviz, perfetto, history");
    }
}
