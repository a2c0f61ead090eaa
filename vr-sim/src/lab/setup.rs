//! What a person chooses of a cluster before it starts; the rest is as plain as it can be.
//!
//! Owns [`LabSetup`] and how it becomes a [`Setup`]. Must not know what is done with it.

use crate::setup::Setup;
use serde::{Deserialize, Serialize};
use vr_core::Durability;

/// The most clients; each is named by its position.
pub const CLIENTS_MAX: u32 = 64;
/// Links differ by up to so many thousandths, so that messages of one moment arrive at different ones.
const LATENCY_SPREAD: u64 = 300;

/// A cluster, as it is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabSetup {
    /// How many replicas.
    pub replicas: u16,
    /// When a promise may leave.
    #[serde(with = "mode")]
    pub durability: Durability,
    /// Names what is arbitrary: ids, jitter, which link is faster.
    #[serde(with = "crate::case::text")]
    pub seed: u64,
    /// How many clients.
    pub clients: u32,
    /// A planted bug, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
}

impl Default for LabSetup {
    fn default() -> Self {
        Self { replicas: 3, durability: Durability::Sync, seed: 1, clients: 2, mutant: None }
    }
}

impl LabSetup {
    /// The whole of it.
    ///
    /// # Errors
    /// When no cluster can be made of it, in one line.
    pub fn setup(&self) -> Result<Setup, String> {
        if self.clients > CLIENTS_MAX {
            return Err(format!("{} clients are too many: at most {CLIENTS_MAX}", self.clients));
        }
        if !(1..=64).contains(&self.replicas) {
            return Err(format!("{} replicas make no cluster: 1 to 64", self.replicas));
        }
        let setup = self.plain();
        setup.validate()?;
        Ok(setup)
    }

    fn plain(&self) -> Setup {
        Setup {
            seed: self.seed,
            clients: self.clients,
            mutant: self.mutant.clone(),
            latency_spread: LATENCY_SPREAD,
            ..Setup::plain(self.replicas, self.durability)
        }
    }

    /// What must have been asked for to get this; `None` when it cannot be asked for.
    #[must_use]
    pub fn of(setup: &Setup) -> Option<Self> {
        let Setup { seed, replicas, durability, clients, ref mutant, .. } = *setup;
        let asked = Self { replicas, durability, seed, clients, mutant: mutant.clone() };
        (asked.plain() == *setup).then_some(asked)
    }

    /// As options of a command line, without those that are as ever.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let usual = Self::default();
        let mut words = Vec::new();
        let mut add = |differs: bool, name: &str, value: String| {
            if differs {
                words.extend([format!("--{name}"), value]);
            }
        };
        add(self.replicas != usual.replicas, "replicas", self.replicas.to_string());
        add(self.durability != usual.durability, "durability", word(self.durability).to_owned());
        add(self.seed != usual.seed, "seed", self.seed.to_string());
        add(self.clients != usual.clients, "clients", self.clients.to_string());
        if let Some(mutant) = &self.mutant {
            add(true, "mutant", mutant.clone());
        }
        words
    }
}

/// The word for a mode.
#[must_use]
pub const fn word(durability: Durability) -> &'static str {
    match durability {
        Durability::Sync => "sync",
        Durability::Async => "async",
    }
}

/// `sync` and `async`, as on the command line.
mod mode {
    use serde::{Deserialize, Deserializer, Serializer};
    use vr_core::Durability;

    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
    pub(super) fn serialize<S: Serializer>(mode: &Durability, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(super::word(*mode))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Durability, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = [Durability::Sync, Durability::Async].into_iter().find(|mode| super::word(*mode) == text);
        known.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is neither sync nor async")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_is_asked_for_as_it_was_and_read_with_defaults() {
        let asked = LabSetup { replicas: 5, durability: Durability::Async, seed: u64::MAX, ..LabSetup::default() };
        assert_eq!(LabSetup::of(&asked.setup().unwrap()), Some(asked.clone()));
        assert_eq!(asked.options().join(" "), format!("--replicas 5 --durability async --seed {}", u64::MAX));
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(serde_json::from_str::<LabSetup>(&text).unwrap(), asked);
        let few: LabSetup = serde_json::from_str(r#"{"replicas":5}"#).unwrap();
        assert_eq!(few, LabSetup { replicas: 5, ..LabSetup::default() });
        assert!(serde_json::from_str::<LabSetup>(r#"{"durability":"later"}"#).is_err());
        assert!(LabSetup { clients: 65, ..LabSetup::default() }.setup().is_err());
        assert!(LabSetup { replicas: 0, ..LabSetup::default() }.setup().is_err());
    }
}
