//! The report of a sweep as text: what was seen, what was done, what did not hold, and the verdict last.
//!
//! Owns the words and the columns. Every number in it is in the JSON too, which is the report's. Must not know how
//! seeds are run. DESIGN §8.

use super::report::{Kind, Missed, Report, SEED, hex, virtual_time};
use super::screen::{Figure, WIDTH, bad, count, counted, faint, good, lasting, strong, wrapped};
use std::fmt::Write;

/// So many seeds are named one by one.
const NAMED: usize = 8;
/// Of rare events.
const COLUMNS: usize = 3;

/// A title and what stands under it.
fn unless_empty(title: &str, words: Vec<String>) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!("{}\n{}\n", strong().apply_to(title), wrapped(&words, ",", 2, WIDTH))
    }
}

impl Report {
    /// As text for people: what was seen, what was done, and the verdict last.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if self.seeds > 0 {
            text += &self.rare_events();
            text += &self.work();
        }
        text += &self.violated();
        text + &self.verdict()
    }

    /// Which properties did not hold, and in which seed first.
    fn violated(&self) -> String {
        let first = |property: &str| self.failures.iter().find(|failure| failure.property == property);
        let mut text = String::new();
        for (property, times) in self.by_property() {
            let seed = first(property).map_or_else(String::new, |failure| format!("first in seed {}", failure.seed));
            let _ = writeln!(text, "  {property:<30}{:>10}  {seed}", count(times));
        }
        // A single failure is told in full anyway.
        if self.failures.len() < 2 { String::new() } else { format!("{}\n{text}", strong().apply_to("violated")) }
    }

    fn rare_events(&self) -> String {
        let seen: Vec<_> = self.marks.table().into_iter().filter(|mark| mark.seen > 0).collect();
        let mut text = format!("{}\n", strong().apply_to("seen"));
        let rows = seen.len().div_ceil(COLUMNS);
        for row in 0..rows {
            let marks = seen.iter().skip(row).step_by(rows);
            let cells = marks.map(|mark| format!("  {:<20}{:>10}", mark.name, count(mark.seen)));
            text += cells.collect::<String>().trim_end();
            text.push('\n');
        }
        // A scenario shows what it is about; what it never does says nothing.
        if self.unit == SEED {
            let never = self.marks.never_seen().into_iter().map(str::to_owned).collect();
            text += &unless_empty("never seen", never);
            let directed = self.marks.directed_only().map(|(name, scenario)| format!("{name}: {scenario}")).collect();
            text += &unless_empty("never seen, but in a scenario", directed);
        }
        text
    }

    fn work(&self) -> String {
        let virtual_time = virtual_time(self.virtual_ns);
        let (wall, cpu) = (Figure::seconds(self.wall), Figure::seconds(self.cpu));
        let steps = Figure::rate(Figure::of(self.steps), cpu);
        let per_core = if self.cpu.is_zero() { String::new() } else { format!(", {steps} steps per core-second") };
        let mut text = format!("{}\n", strong().apply_to("work"));
        let _ = writeln!(
            text,
            "  {} virtual seconds, {}, {}, {} acknowledged",
            Figure::seconds(virtual_time),
            counted(self.steps, "step"),
            counted(self.messages, "message"),
            counted(self.acked_ops, "operation"),
        );
        let _ = writeln!(
            text,
            "  {} on {}, {} of processor\n  {} {}s/s, ×{} real time{per_core}",
            lasting(self.wall),
            counted(u64::from(self.jobs), "thread"),
            lasting(self.cpu),
            Figure::rate(Figure::of(self.seeds), wall),
            self.unit,
            Figure::rate(self.virtual_seconds(), wall),
        );
        let _ = writeln!(text, "  {}", faint().apply_to(format!("digest {}", hex(self.digest))));
        text
    }

    /// So many seeds, the first of them by their numbers.
    fn named(&self, seeds: &[u64]) -> String {
        let number = u64::try_from(seeds.len()).expect("an address has at most 64 bits");
        let named: Vec<_> = seeds.iter().take(NAMED).map(u64::to_string).collect();
        let more = if seeds.len() > NAMED { ", …" } else { "" };
        format!("{}: {}{more}", counted(number, self.unit), named.join(", "))
    }

    fn verdict(&self) -> String {
        let mut lines = Vec::new();
        if self.interrupted {
            lines.push(bad().apply_to("interrupted: this is what was done until then").to_string());
        }
        if self.seeds == 0 {
            lines.push(bad().apply_to("nothing ran: no seed, no proof").to_string());
        }
        if !self.without_commit.is_empty() {
            let told = format!("nothing was committed in {}", self.named(&self.without_commit));
            lines.push(bad().apply_to(told).to_string());
        }
        if self.undecided_over() {
            let histories = if self.undecided == 1 { "history" } else { "histories" };
            let number = count(self.undecided);
            let told =
                format!("{number} {histories} not judged within the bound, in {}", self.named(&self.undecided_in));
            lines.push(bad().apply_to(told).to_string());
        }
        for Missed { mark, seen, needed } in self.missed_floors().into_iter().map(|mark| self.missed(mark)) {
            let told = format!("floor missed: {mark} was seen {} times of at least {}", count(seen), count(needed));
            lines.push(bad().apply_to(told).to_string());
        }
        if !self.unseen().is_empty() {
            let told = format!("never seen in {}: {}", counted(self.seeds, self.unit), self.unseen().join(", "));
            lines.push(bad().apply_to(told).to_string());
        }
        let parts: Vec<_> = [Kind::Safety, Kind::Liveness, Kind::Panic]
            .into_iter()
            .filter(|kind| self.failed_by(*kind) > 0)
            .map(|kind| format!("{} {}", count(self.failed_by(kind)), kind.word()))
            .collect();
        if !parts.is_empty() {
            let passed = counted(self.seeds - self.failed(), self.unit);
            let told = format!("{passed} held, {} failed: {}", count(self.failed()), parts.join(", "));
            lines.push(bad().apply_to(told).to_string());
        } else if self.seeds > 0 && lines.is_empty() {
            lines.push(good().apply_to(format!("{}: all held", counted(self.seeds, self.unit))).to_string());
        }
        lines.join("\n")
    }
}
