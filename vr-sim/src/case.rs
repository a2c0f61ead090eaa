//! The case file: a run as a small JSON document that can be kept, replayed, edited and shrunk.
//!
//! Owns the format `vrcase/1`. Integers that could exceed 2⁵³ are strings. What cannot be read is refused in one
//! line that says why. Must not know how a run is run. DESIGN 9.13; PROTOCOL §3.

use crate::decider::{ChoiceKind, Decision};
use crate::setup::Setup;
use crate::trail::Trail;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name and version of the format.
pub const FORMAT: &str = "vrcase/1";

/// A run, recorded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// [`FORMAT`].
    pub format: String,
    /// The version of vr-sim that wrote it.
    pub version: String,
    /// The seed it came from.
    #[serde(with = "text")]
    pub seed: u64,
    /// The scenario, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// What was fixed before it started.
    pub setup: Setup,
    /// Nothing happened in it by itself but what replicas do: a cluster in somebody's hands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// It was run through this event of its trace; then the script began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_at: Option<u64>,
    /// What somebody did, one command each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub script: Vec<String>,
    /// Every departure from the default schedule.
    pub decisions: Vec<Decision>,
    /// The property that did not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
    /// The hash of everything that happened.
    #[serde(with = "text")]
    pub digest: u64,
    /// The same on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
}

/// Why a case file is refused, in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CaseError {
    /// Not JSON, or cut off.
    Unreadable(String),
    /// JSON, but no case file.
    Foreign,
    /// A case file of another version of the format.
    Version(String),
    /// A case file with something in it that does not make sense.
    Invalid(String),
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "not a readable case file: {why}"),
            Self::Foreign => write!(f, "not a case file: it does not say \"format\": \"{FORMAT}\""),
            Self::Version(other) => write!(f, "a case file of another format, {other}; this build reads {FORMAT}"),
            Self::Invalid(why) => write!(f, "a damaged case file: {why}"),
        }
    }
}

impl std::error::Error for CaseError {}

impl Case {
    /// A case of this build.
    #[must_use]
    pub fn new(seed: u64, setup: Setup, decisions: Vec<Decision>, digest: u64) -> Self {
        Self {
            format: FORMAT.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            seed,
            scenario: None,
            setup,
            by_hand: false,
            fork_at: None,
            script: Vec::new(),
            decisions,
            violation: None,
            digest,
            trail: None,
        }
    }

    /// As the text of a file.
    ///
    /// # Panics
    /// Never: everything in it can be written.
    #[must_use]
    pub fn write(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain numbers and strings");
        text.push('\n');
        text
    }

    /// Reads a file.
    ///
    /// # Errors
    /// In one line, when it is none of ours, of another version, cut off, or does not make sense.
    pub fn read(text: &str) -> Result<Self, CaseError> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| CaseError::Unreadable(error.to_string()))?;
        let format = value.get("format").and_then(serde_json::Value::as_str).ok_or(CaseError::Foreign)?;
        if format != FORMAT {
            let ours = format.starts_with("vrcase/");
            return Err(if ours { CaseError::Version(format.into()) } else { CaseError::Foreign });
        }
        let case: Self = serde_json::from_value(value).map_err(|error| CaseError::Invalid(error.to_string()))?;
        case.validate()?;
        Ok(case)
    }

    /// Is it what somebody did by hand, to a fresh cluster or in the middle of a run?
    #[must_use]
    pub const fn is_session(&self) -> bool {
        self.by_hand || self.fork_at.is_some()
    }

    fn validate(&self) -> Result<(), CaseError> {
        let invalid = |why: &str| Err(CaseError::Invalid(why.to_owned()));
        if self.by_hand && self.fork_at.is_some() {
            return invalid("`by_hand` and `fork_at` exclude each other");
        }
        if !self.script.is_empty() && !self.is_session() {
            return invalid("`script` needs `by_hand` or `fork_at`");
        }
        self.setup.validate().map_err(CaseError::Invalid)
    }
}

/// A decision as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: String,
    #[serde(with = "text")]
    key: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    occurrence: u32,
    value: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Serialize for Decision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { kind, key, occurrence, value } = *self;
        Written { kind: kind.name().into(), key, occurrence, value }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decision {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { kind, key, occurrence, value } = Written::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom(format!("there is no choice called `{kind}`"));
        let kind = ChoiceKind::named(&kind).ok_or_else(unknown)?;
        Ok(Self { kind, key, occurrence, value })
    }
}

/// Numbers of 64 bits as strings: JSON readers keep only 53 of them.
pub mod text {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes it.
    ///
    /// # Errors
    /// When the serializer does.
    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
    pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is no string of digits.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom(format!("`{text}` is no number of 64 bits")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_core::{Durability, MessageKind};

    fn case() -> Case {
        let kind = ChoiceKind::Message(MessageKind::Prepare);
        let decisions = vec![
            Decision { kind, key: u64::MAX, occurrence: 0, value: 7 },
            Decision { kind: ChoiceKind::Core, key: 1, occurrence: 2, value: 1 },
        ];
        let mut case = Case::new(u64::MAX - 1, Setup::plain(3, Durability::Sync), decisions, 1 << 60);
        case.violation = Some("S1 agreement".into());
        case
    }

    #[test]
    fn a_case_is_read_as_it_was_written() {
        let text = case().write();
        assert_eq!(Case::read(&text).unwrap(), case());
        assert!(text.contains("\"18446744073709551615\""), "large numbers are strings");
    }

    #[test]
    fn what_is_no_case_file_is_refused_in_one_line() {
        let text = case().write();
        let refusal = |text: &str| {
            let error = Case::read(text).unwrap_err().to_string();
            assert!(!error.contains('\n') && !error.is_empty());
            error
        };
        assert!(refusal(&text[..text.len() / 2]).contains("not a readable case file"));
        assert!(refusal("{\"format\": \"vrtrace/1\"}").contains("not a case file"));
        assert!(refusal("[1, 2]").contains("not a case file"));
        assert!(refusal(&text.replace("vrcase/1", "vrcase/2")).contains("vrcase/2"));
        assert!(refusal(&text.replace("Prepare", "Gossip")).contains("Gossip"));
        assert!(refusal(&text.replace("\"replicas\": 3", "\"replicas\": 99")).contains("99"));
        assert!(refusal(&text.replace("\"decisions\"", "\"script\": [\"heal\"], \"decisions\"")).contains("`by_hand`"));
        let both = "\"by_hand\": true, \"fork_at\": 3, \"decisions\"";
        assert!(refusal(&text.replace("\"decisions\"", both)).contains("exclude"));
        assert!(refusal(&text.replace("\"clients\"", "\"customers\"")).contains("customers"));
    }
}
