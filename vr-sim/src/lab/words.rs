//! The arguments of commands, read one after the other; times and their spelling; and the command that was meant.
//!
//! Owns how names, numbers and times are read, and what is said when they are not. Must not know the commands.

use super::command::To;
use vr_core::Wait;
use vr_core::trace::{MessageId, Node};

/// Positions are below this: no cluster of the simulator is larger.
const REPLICAS_MAX: usize = 64;
/// A client that is named by more digits is named as in a trace.
const POSITION_DIGITS: usize = 4;

/// The words behind a command's verb.
pub(super) struct Arguments<'a> {
    rest: &'a str,
}

impl<'a> Arguments<'a> {
    pub(super) const fn of(rest: &'a str) -> Self {
        Self { rest }
    }

    fn word(&mut self, what: &str) -> Result<&'a str, String> {
        let rest = self.rest.trim_start();
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        self.rest = rest;
        if word.is_empty() { Err(format!("{what} is missing")) } else { Ok(word) }
    }

    /// Everything that was not read.
    pub(super) const fn rest(&mut self) -> &'a str {
        self.rest.trim_ascii()
    }

    /// There is nothing more.
    pub(super) fn end(mut self) -> Result<(), String> {
        let rest = self.rest();
        if rest.is_empty() { Ok(()) } else { Err(format!("nothing is known of `{rest}`")) }
    }

    /// One argument and nothing more.
    pub(super) fn only<T>(mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        let argument = read(&mut self)?;
        self.end().map(|()| argument)
    }

    pub(super) fn replica(&mut self) -> Result<usize, String> {
        self.word("a replica").and_then(replica)
    }

    pub(super) fn other_replica(&mut self) -> Result<usize, String> {
        self.word("the other replica").and_then(replica)
    }

    pub(super) fn client(&mut self) -> Result<usize, String> {
        self.word("a client").and_then(client)
    }

    pub(super) fn message(&mut self) -> Result<MessageId, String> {
        let word = self.word("a message")?;
        word.parse().map_err(|_| format!("`{word}` names no message, as r0.1.7 does"))
    }

    pub(super) fn receiver(&mut self) -> Result<To, String> {
        let word = self.word("the receiver")?;
        if word.starts_with('c') { client(word).map(To::Client) } else { replica(word).map(To::Replica) }
    }

    pub(super) fn number(&mut self, most: u64) -> Result<u64, String> {
        let word = self.word("a number")?;
        let number = word.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| format!("`{word}` is no number from 1 to {most}"))
    }

    pub(super) fn switch(&mut self) -> Result<bool, String> {
        match self.word("on or off")? {
            "on" => Ok(true),
            "off" => Ok(false),
            other => Err(format!("`{other}` is neither on nor off")),
        }
    }

    pub(super) fn wait(&mut self, most: Wait) -> Result<Wait, String> {
        let word = self.word("a time")?;
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = word.split_at(digits);
        let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
        let wait = scale.and_then(|scale| count.parse::<u64>().ok()?.checked_mul(scale)).map(Wait);
        let wait = wait.ok_or_else(|| format!("`{word}` is no time: a whole number and s, ms, us or ns"))?;
        if wait == Wait::ZERO || wait > most {
            return Err(format!("`{word}` is not between 1ns and {}", duration(most)));
        }
        Ok(wait)
    }

    pub(super) fn groups(&mut self) -> Result<Vec<Vec<usize>>, String> {
        let word = self.word("groups")?;
        let group = |group: &str| group.split(',').map(replica).collect::<Result<Vec<_>, _>>();
        let groups = word.split('|').map(group).collect::<Result<Vec<_>, _>>()?;
        let mut all: Vec<usize> = groups.iter().flatten().copied().collect();
        all.sort_unstable();
        if let Some(twice) = all.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("r{} is named twice", twice[0]));
        }
        if groups.len() < 2 { Err("one group is no partition".to_owned()) } else { Ok(groups) }
    }
}

fn replica(word: &str) -> Result<usize, String> {
    let position = word.strip_prefix('r').filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let position = position.and_then(|digits| digits.parse().ok()).filter(|at| *at < REPLICAS_MAX);
    position.ok_or_else(|| format!("`{word}` names no replica, as r0 does"))
}

/// By position, or by its name in a trace, which carries that.
fn client(word: &str) -> Result<usize, String> {
    let none = || format!("`{word}` names no client, as c0 does");
    let digits = word.strip_prefix('c').ok_or_else(none)?;
    if digits.len() <= POSITION_DIGITS && !digits.starts_with('+') {
        return digits.parse().map_err(|_| none());
    }
    let Ok(Node::Client(id)) = word.parse() else { return Err(none()) };
    Ok(usize::try_from(crate::client::index_of(id)).expect("16 bits"))
}

const UNITS: [(&str, u64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

/// A time as it is typed: in the largest unit that leaves no rest.
#[must_use]
pub(super) fn duration(wait: Wait) -> String {
    let (unit, scale) = UNITS.into_iter().find(|(_, scale)| wait.0.is_multiple_of(*scale)).unwrap_or(("ns", 1));
    format!("{}{unit}", wait.0 / scale)
}

/// The word that was probably meant.
pub(super) fn suggestion<'a>(word: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(24).collect();
    let near = all.map(|other| (distance(&word, other), other)).min()?;
    (near.0 <= 1 + word.len() / 4).then_some(near.1)
}

/// How many letters must be added, taken away, changed, or changed with the next, to make one word of the other.
fn distance(word: &[char], other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (i, letter) in word.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, wanted) in other.iter().enumerate() {
            let changed = rows[i][j] + usize::from(letter != wanted);
            let mut best = changed.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && word[i - 1] == *wanted && *letter == other[j - 1] {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(0)
}
