//! Every property by the name under which its violation is told: what it says, where the paper says it, who judges it.
//!
//! Owns the table, for people and for the page of a trace. Must not know how any of them is judged. PROTOCOL §4.

/// A property.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Property {
    /// The name that a violation carries.
    pub name: &'static str,
    /// What holds, as long as it holds.
    pub what: &'static str,
    /// The section of the paper (VRR) it comes from; `–` where it comes from practice.
    pub paper: &'static str,
    /// The files of `vr-sim/src/check` that judge it.
    pub rule: &'static str,
}

macro_rules! properties {
    ($($name:literal, $paper:literal, $rule:literal: $what:literal;)*) => {
        /// All of them.
        pub const PROPERTIES: &[Property] =
            &[$(Property { name: $name, what: $what, paper: $paper, rule: $rule },)*];
    };
}

properties! {
    "S1 agreement", "§8.1", "agreement":
        "what is committed or executed at an op is the same everywhere";
    "S2 prefix execution", "§4.1 steps 5–7", "agreement, at_most_once, checkpoints":
        "ops are executed in order, once per life, with equal answers and states";
    "S2 rising clock", "§4.4", "agreement":
        "the predicted clock rises from op to op";
    "S3 monotone commit", "§4.1, §4.2 step 3", "agreement, promises":
        "the commit-number never falls in a life; a primary starts with the largest reported";
    "S4 bounds", "Figure 2", "agreement":
        "executed ≤ commit ≤ op, log_view ≤ view, as the writes say";
    "S4 crash image", "§4.3, §5.1", "shadow, image":
        "a disk comes back with its durable writes and a prefix of those in flight";
    "S5 promise monotone", "§8.2", "views":
        "view and incarnation on a disk never go back";
    "S5 durable header", "§8.2", "promises":
        "no message names a view or incarnation that is not on disk";
    "S6 log match", "§8.1", "agreement":
        "in one view all logs agree, only its primary makes entries; a repaired log is what was there";
    "S7 one start", "§4.2 step 3", "views":
        "a view starts once; no restarted primary resumes it";
    "S7 justified start", "§4.2 step 3", "promises":
        "a view starts after a quorum, its primary included, reported for it";
    "S7 view prefix", "§4.2 step 5", "views":
        "who is normal in a view holds its whole initial log";
    "S8 leader completeness", "§8.1", "views":
        "a view starts with everything committed in earlier ones, whenever that was";
    "S8 best log", "§4.2 step 3", "promises":
        "the chosen log is the best reported, by (log_view, op)";
    "S9 ack durability", "§8.1, §8.2", "durability":
        "what was decided is held by a quorum";
    "S9 truthful mark", "–", "stops":
        "only who is asked to stop leaves a mark";
    "S10 promise kept", "§8.1, §8.2", "views, agreement":
        "nobody speaks for a view below one it revealed, nor serves between views";
    "S10 justified recovery", "§4.3 step 3", "promises":
        "memory comes from a view's primary, asked in this life";
    "S11 ack backed", "§4.1 step 4, §8.2", "promises":
        "what is acknowledged, reported or started is on disk (asynchronous: in memory) and goes only with a later view";
    "S11 report monotone", "§4.2 step 2", "promises":
        "reports of one replica for one view never weaken";
    "S12 commit justified", "§4.1 step 5", "promises":
        "an op is committed when a quorum acknowledged it in its view";
    "S13 silence", "§4.3, §8.1", "views":
        "who recovers only asks, who changes views serves nobody, who halted is still";
    "S14 taken once", "§4.1", "at_most_once":
        "a primary logs no request twice";
    "S14 at most once", "§4.1, §4.5", "at_most_once":
        "the service executes each request once";
    "S15 linearizability", "§8.1", "linearizability":
        "what clients saw could have happened one call at a time";
    "S16 table equality", "§4.1, §4.5", "tables":
        "client tables are equal after equal ops";
    "S17 checkpoint equality", "§5.1", "checkpoints":
        "checkpoints are after the same ops and equal";
    "S18 cut behind a checkpoint", "§5.1", "checkpoints":
        "entries go when a checkpoint that holds them is on disk";
    "S20 epoch prefix", "§7.1", "views":
        "an epoch ends with its reconfiguration; the next begins there";
    "S21 fresh read", "§6.3", "reads":
        "a read reflects all that was answered before it";
    "S21 lease exclusivity", "§6.3", "reads":
        "what is told under a lease was read when no later view had begun";
    "S22 reply truth", "§4.1, §4.5", "at_most_once":
        "an answer is the result of that request; a session called gone is gone";
    "S22 truthful hint", "§4.1", "views":
        "clients hear only of views that started";
    "S24 no unexcused halt", "–", "liveness":
        "a replica stops only when a write failed";
    "S25 config sanity", "§7.1", "promises":
        "the group of an epoch is the one decided";
    "S25 room on disk", "–", "space":
        "whose disk is full writes no entries";
    "L1 one view", "§8.2", "liveness":
        "the healed quorum is normal in one view with its own primary";
    "L2 answered", "§8.2", "liveness":
        "every request is answered";
    "L2 asks another", "§5.2", "questions":
        "who is not answered asks another";
    "L3 recovered", "§8.2", "liveness":
        "every healed replica has its memory again";
    "L4 abdication", "§8.2", "liveness":
        "a primary whose view a quorum left stops";
    "L5 no storm", "§8.2", "liveness":
        "few views are entered after the faults";
    "L5 fresh votes", "§4.2", "votes":
        "a view is left by fresh votes";
    "L5 orderly hand-over", "–", "hand_over":
        "who gives way leaves nothing undone";
    "L6 converged", "§8.2", "liveness":
        "the healed quorum agrees on op, commit, execution and tables";
    "L7 reconfigured", "§7.1, §7.2", "liveness":
        "members are in the last epoch, the replaced retired";
    "L9 vacuity", "–", "liveness":
        "somebody was answered";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Literals such as `"S1 agreement"` in the files that judge.
    fn named_in(text: &str) -> impl Iterator<Item = &str> {
        let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        shipped.split('"').skip(1).step_by(2).filter(|literal| {
            let (head, tail) = literal.split_once(' ').unwrap_or_default();
            let digits = head.strip_prefix(['S', 'L']).unwrap_or_default();
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && !tail.is_empty()
        })
    }

    #[test]
    fn every_property_that_can_be_violated_is_in_the_table_and_in_the_readme() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let readme = std::fs::read_to_string(folder.join("README.md")).expect("the README");
        let mut seen = 0;
        for item in std::fs::read_dir(folder.join("src/check")).expect("the checkers") {
            let path = item.expect("an item of a folder").path();
            if path.extension().is_none_or(|ending| ending != "rs") || path.ends_with("catalogue.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            for name in named_in(&text).filter(|name| name.len() < 40) {
                seen += 1;
                assert!(PROPERTIES.iter().any(|property| property.name == name), "{name} of {path:?} is not there");
            }
        }
        assert!(seen >= PROPERTIES.len(), "only {seen} names were found");
        for property in PROPERTIES {
            let id = property.name.split(' ').next().expect("an id");
            assert!(readme.contains(&format!("| {id}")) || readme.contains(&format!(", {id} |")), "{}", property.name);
        }
    }

    #[test]
    fn every_judge_is_a_file_here() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check");
        for file in PROPERTIES.iter().flat_map(|property| property.rule.split(", ")) {
            assert!(folder.join(format!("{file}.rs")).exists(), "{file}");
        }
    }
}
