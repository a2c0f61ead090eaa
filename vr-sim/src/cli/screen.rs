//! How things look: numbers with commas, durations, a little colour.
//!
//! Owns the writing to stdout and stderr (a reader that went away is no failure) and the only floats there are, which
//! are shown and never decide anything. Must not know what is shown.

use console::Style;
use serde::{Serialize, Serializer};
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

/// Text is wrapped here.
pub(crate) const WIDTH: usize = 100;

/// Writes a line to stdout.
pub(crate) fn say(line: &str) {
    // A reader that went away, such as `head`, is no failure.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Writes a line to stderr.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// `1234567` is `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3 seeds`, `1 seed`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A duration as a person says it.
pub(crate) fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time.as_millis() == 0 => format!("{} µs", time.as_micros()),
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A figure that was measured: shown with as many digits as it is worth.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Figure(pub(crate) f64);

impl Figure {
    /// So many of something in so many seconds; 0 where there was no time.
    pub(crate) fn rate(many: Self, seconds: Self) -> Self {
        if seconds.0 > 0.0 { Self(many.0 / seconds.0) } else { Self(0.0) }
    }

    /// A count, for rates.
    #[allow(clippy::as_conversions, clippy::cast_precision_loss)] // to be shown; nothing is decided by it
    pub(crate) const fn of(number: u64) -> Self {
        Self(number as f64)
    }

    /// A duration in seconds.
    pub(crate) const fn seconds(time: Duration) -> Self {
        Self(time.as_secs_f64())
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        if number >= 100.0 {
            // Whole numbers from here on: their digits are cut into threes.
            let whole = format!("{number:.0}");
            return f.write_str(&whole.parse().map_or(whole, count));
        }
        write!(f, "{number:.1}")
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0 * 1e6).round() / 1e6)
    }
}

/// Good news.
pub(crate) const fn good() -> Style {
    Style::new().green().bold()
}

/// Bad news.
pub(crate) const fn bad() -> Style {
    Style::new().red().bold()
}

/// What is there for completeness.
pub(crate) const fn faint() -> Style {
    Style::new().dim()
}

/// What stands out.
pub(crate) const fn strong() -> Style {
    Style::new().bold()
}

/// Words with commas between them, on lines of at most `width` columns, each line indented by so many blanks.
pub(crate) fn wrapped(words: &[String], comma: &str, indent: usize, width: usize) -> String {
    let margin = " ".repeat(indent);
    let mut lines = vec![margin.clone()];
    for (at, word) in words.iter().enumerate() {
        let comma = if at + 1 < words.len() { comma } else { "" };
        let line = lines.last_mut().expect("there is always a line");
        let is_first = line.len() == indent;
        if !is_first && line.len() + word.len() + 2 > width {
            lines.push(format!("{margin}{word}{comma}"));
        } else {
            *line += &format!("{}{word}{comma}", if is_first { "" } else { " " });
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_into_threes() {
        let shown = [0, 999, 1000, 1_234_567].map(count);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 9.96, 99.94, 100.0, 4210.4].map(|f| Figure(f).to_string()),
            ["0.0", "10.0", "99.9", "100", "4,210"]
        );
        assert_eq!((counted(1, "seed"), counted(2, "seed")), ("1 seed".into(), "2 seeds".into()));
    }

    #[test]
    fn durations_are_said_as_people_say_them() {
        let said = [12, 900_000, 9_940_000, 61_000_000, 7_260_000_000].map(|us| lasting(Duration::from_micros(us)));
        assert_eq!(said, ["12 µs", "900 ms", "9.9 s", "1 min 01 s", "2 h 01 min"]);
    }

    #[test]
    fn words_are_wrapped_between_them() {
        let words = ["one", "two", "three"].map(String::from);
        assert_eq!(wrapped(&words, ",", 2, 11), "  one, two,\n  three");
        assert_eq!(wrapped(&words, "", 0, 80), "one two three");
        assert_eq!(wrapped(&[], ",", 1, 80), " ");
    }

    #[test]
    fn rates_without_time_are_nothing() {
        assert_eq!(Figure::rate(Figure::of(5), Figure(0.0)), Figure(0.0));
        assert_eq!(Figure::rate(Figure::of(5), Figure(2.0)), Figure(2.5));
    }
}
