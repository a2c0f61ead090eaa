//! Command lines of this program, written so that they can be pasted into a shell.
//!
//! Owns quoting, and which profile and features a command names. Must not know any verb. DESIGN §8.

/// A command line that runs vr-sim with these words, in the profile whose assertions this build has.
#[must_use]
pub fn command(words: &[String], planted: bool) -> String {
    let profile = if cfg!(debug_assertions) { "--profile sim" } else { "--release" };
    let features = if planted { " --features mutants" } else { "" };
    let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    format!("cargo run {profile} -p vr-sim{features} -- {}", words.join(" "))
}

/// A word as a shell reads it.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let words = ["replay", "a b/it's.vrcase"].map(str::to_owned);
        let command = command(&words, true);
        assert!(command.ends_with(r"-p vr-sim --features mutants -- replay 'a b/it'\''s.vrcase'"), "{command}");
        assert_eq!(quoted("target/vr-failures/seed-1.vrcase"), "target/vr-failures/seed-1.vrcase");
    }
}
