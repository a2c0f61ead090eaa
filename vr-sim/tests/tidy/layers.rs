//! Arrows point down: which file of vr-core may name which, what a checker may name, which crate which.
//!
//! Owns the tables. A new arrow is a decision: edit its table in a commit of its own and say why.
//! DESIGN §3 "Arrows".

use super::source::{Offence, Source, close_of, is_word, words_of};

/// The files of vr-core/src, from the ground up. A file may name what lies in lower layers, nothing in
/// its own but its [`PEERS`], nothing above.
const LAYERS: &[&[&str]] = &[
    &["id"],
    // xxh3 of what an entry's hash covers: numbers and bytes.
    &["hash"],
    // A service's state, as bytes in pieces: what a service gives, and what a checkpoint holds.
    &["state"],
    // `fingerprint` walks over plain data by the names of its fields, and knows no type.
    &["entry", "quorum", "service", "timer", "hand_over", "cause", "lease", "fingerprint"],
    &["log"],
    // Who is a member of which epoch (VRR §7): checkpoints, messages and configurations carry it.
    &["group"],
    &["checkpoint"],
    &["message"],
    &["event", "action"],
    // What an action states, by name. The core itself asks for no name.
    &["occurrence"],
    &[
        "config",
        "rules",
        "rules/aside",
        "rules/epochs",
        "rules/leases",
        "rules/livelock",
        "rules/reads",
        "rules/witnesses",
    ],
    // The parts: plain data that a replica is made of, each ignorant of the whole.
    // `mutants` names the planted bugs of `rules`, and exists under a feature only.
    &["persist", "stored", "clients", "gate", "mutants", "mutants/table"],
    &["opening"],
    &["wire/error"],
    // `wire/shapes` spells out the layout under the frame that `wire` puts around it.
    &["wire/shapes", "wire/opening", "wire/pieces", "wire"],
    &["recording"],
    &[
        "replica/snapshot",
        "replica/execution",
        "replica/open",
        "replica/shelf",
        "replica/news",
        "replica/holders",
        "replica/grants",
    ],
    &["replica/common"],
    &["replica/refusals"],
    // Who is a witness and who has which checkpoint, on which it depends how far logs go (VRR §6.1).
    &["replica/witnesses"],
    // What any status does with checkpoints (VRR §5.1).
    &["replica/checkpoints", "replica/invariants"],
    // What follows from news of the checkpoints of others, whatever the status.
    &["replica/retention"],
    // Not a status: what any of them uses to fetch what it lacks (VRR §5.2).
    &["replica/state_transfer"],
    // Not a status either: what of a damaged log is here, and what somebody else may have of it.
    &["replica/repair"],
    // Nor is this: what any of them does when an epoch ends or begins (VRR §7).
    &["replica/epochs"],
    // Who is let in at the primary, to whom it gives way and which reads wait there, is a part of it. So are reads at a backup.
    &[
        "replica/primary",
        "replica/primary/admission",
        "replica/primary/hand_over",
        "replica/primary/reads",
        "replica/primary/lease",
        "replica/backup",
        "replica/backup/reads",
        "replica/view_change",
        "replica/recovery",
    ],
    // What comes from outside the group is handed on by a part of the whole.
    // An image is the whole as bytes, for recordings.
    &[
        "replica/mod",
        "replica/inputs",
        "replica/beginnings",
        "replica/fingerprint",
        "replica/image",
        "replica/observers",
    ],
    // The only ones outside replica/ that may name it: what an observer sees of a step.
    &["trace/names", "trace/words"],
    &["trace/kinds"],
    &["trace/event"],
    &["trace/summary", "trace/describe"],
    &["trace/notes"],
    &["trace/observe"],
    &["trace/record"],
    &["trace"],
    &["lib"],
];

/// `(file, what it may name in its own layer)`. A status never names another status.
const PEERS: &[(&str, &str)] = &[
    // A configuration carries the planted bug, a value it never looks into.
    ("config", "rules"),
    ("rules", "mutants"),
    ("mutants", "mutants/table"),
    ("mutants/table", "mutants"),
    ("rules/aside", "rules"),
    ("rules/epochs", "rules"),
    ("rules/leases", "rules"),
    ("rules/livelock", "rules"),
    ("rules/reads", "rules"),
    ("rules/witnesses", "rules"),
    ("replica/primary/admission", "replica/primary"),
    ("replica/primary/hand_over", "replica/primary"),
    ("replica/primary/reads", "replica/primary"),
    ("replica/primary/lease", "replica/primary"),
    ("replica/primary/lease", "replica/primary/reads"),
    ("replica/primary", "replica/primary/hand_over"),
    ("replica/primary", "replica/primary/reads"),
    ("replica/backup/reads", "replica/backup"),
    ("replica/backup", "replica/backup/reads"),
    ("replica/inputs", "replica/mod"),
    ("replica/beginnings", "replica/mod"),
    ("replica/fingerprint", "replica/mod"),
    ("replica/image", "replica/mod"),
    ("replica/observers", "replica/mod"),
    ("wire/shapes", "wire"),
    ("wire", "wire/shapes"),
    ("wire", "wire/opening"),
    ("wire/pieces", "wire"),
    ("wire", "wire/pieces"),
    ("wire/opening", "wire"),
    ("wire/opening", "wire/shapes"),
];

/// `(crate, the crates of the house it may depend on)`.
const CRATE_ARROWS: &[(&str, &[&str])] = &[
    ("vr-core", &[]),
    ("vr-sim", &["vr-core"]),
    ("vr-tokio", &["vr-core"]),
    ("kv-demo", &["vr-tokio", "vr-sim"]),
    ("fuzz", &["vr-core", "vr-sim", "vr-tokio", "kv-demo"]),
];

/// The same, for tests alone: what ships does not know it.
const TEST_ARROWS: &[(&str, &str)] = &[("vr-tokio", "vr-sim")];

/// All that the shipped core depends on.
const CORE_DEPENDENCIES: &[&str] = &["bincode", "bytes", "hashbrown", "serde", "xxhash-rust"];

/// `vr-core/src/replica/normal.rs` is `replica/normal`.
fn core_file(source: &Source) -> Option<&str> {
    source.path.strip_prefix("vr-core/src/")?.strip_suffix(".rs")
}

fn layer_of(file: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&file))
}

/// A file that no layer lists has not been thought about.
pub(crate) fn unlisted(source: &Source) -> Vec<Offence> {
    let unlisted = core_file(source).filter(|file| layer_of(file).is_none() && !source.is_tests_file());
    let what = |file| format!("`{file}` is in no layer: add it to LAYERS and say why");
    unlisted.map(|file| source.offence(0, what(file))).into_iter().collect()
}

/// A layer that lists a file which is gone describes another house.
pub(crate) fn gone(sources: &[Source]) -> Vec<String> {
    let exists = |file: &str| sources.iter().any(|source| core_file(source) == Some(file));
    let listed = LAYERS.iter().flat_map(|layer| layer.iter());
    listed.filter(|file| !exists(file)).map(|file| format!("LAYERS lists `{file}`, which is gone")).collect()
}

/// Every arrow of a listed file of vr-core points down. Its tests may look anywhere.
pub(crate) fn core_arrows(source: &Source) -> Vec<Offence> {
    let listed = core_file(source).filter(|file| layer_of(file).is_some());
    let Some(file) = listed else { return Vec::new() };
    let mut offences = Vec::new();
    for Named { at, path } in named(source, &module_of(file)) {
        let target = resolve(&path);
        let down = layer_of(target) < layer_of(file);
        if !(down || target == file || PEERS.contains(&(file, target))) {
            let hint = if target == "lib" { "; name an item by its module, not by lib.rs" } else { "" };
            let path = path.join("::");
            offences.push(source.offence(at, format!("`{file}` names `{target}` (crate::{path}){hint}")));
        }
    }
    offences
}

/// A checker knows vr-core and its neighbours: it also judges what no simulator made.
pub(crate) fn checker_arrows(source: &Source) -> Vec<Offence> {
    let inside = source.path.strip_prefix("vr-sim/src/").and_then(|file| file.strip_suffix(".rs"));
    let Some(file) = inside.filter(|file| file.starts_with("check/")) else { return Vec::new() };
    let outside = named(source, &module_of(file)).into_iter().filter(|named| named.path.first() != Some(&"check"));
    outside
        .map(|Named { at, path }| {
            source
                .offence(at, format!("a checker names crate::{}; it may know only vr_core and check", path.join("::")))
        })
        .collect()
}

/// Every arrow between crates points down, and the core stays as light as it is.
pub(crate) fn crate_arrows(name: &str, manifest: &str) -> Vec<String> {
    let arrows = CRATE_ARROWS.iter().find(|(from, _)| *from == name).map_or(&[][..], |(_, to)| to);
    let is_house = |dependency: &str| CRATE_ARROWS.iter().any(|(from, _)| *from == dependency);
    let mut offences = Vec::new();
    for (section, dependency) in dependencies(manifest) {
        let in_tests = section == "dev-dependencies" && TEST_ARROWS.contains(&(name, dependency));
        if is_house(dependency) && !arrows.contains(&dependency) && !in_tests {
            offences.push(format!("{name}/Cargo.toml: an arrow to {dependency} that CRATE_ARROWS does not list"));
        } else if name == "vr-core" && section == "dependencies" && !CORE_DEPENDENCIES.contains(&dependency) {
            offences.push(format!("{name}/Cargo.toml: {dependency} is not in CORE_DEPENDENCIES"));
        }
    }
    offences
}

/// `(section, name)` of every dependency of a manifest, whatever it is for.
fn dependencies(manifest: &str) -> Vec<(&str, &str)> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end().trim_end_matches(']');
            section = header;
            if let Some((table, name)) = header.rsplit_once('.').filter(|(table, _)| table.ends_with("dependencies")) {
                found.push((table, name));
            }
        } else if section.ends_with("dependencies") && line.contains('=') {
            let name = line.split(['.', '=']).next().unwrap_or_default().trim();
            found.push((section, name));
        }
    }
    found
}

/// A path of this crate that a file names, from the crate's root.
struct Named<'a> {
    at: usize,
    path: Vec<&'a str>,
}

/// `replica/normal` is the module `replica::normal`, `replica/mod` is `replica`, `lib` is the root.
fn module_of(file: &str) -> Vec<&str> {
    file.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main")).collect()
}

/// The file in which the item at a path lies, as far as the path tells.
fn resolve(path: &[&str]) -> &'static str {
    let listed = |name: &str| LAYERS.iter().flat_map(|layer| layer.iter()).find(|file| **file == name);
    let child = path.get(..2).and_then(|two| listed(&two.join("/")));
    let module = || path.first().and_then(|first| listed(first).or_else(|| listed(&format!("{first}/mod"))));
    child.or_else(module).unwrap_or(&"lib")
}

/// Every `crate::…` and `super::…` of the shipped part of a file.
fn named<'a>(source: &'a Source, module: &[&'a str]) -> Vec<Named<'a>> {
    let shipped = &source.code[..source.tests_at().unwrap_or(source.code.len())];
    let mut found = Vec::new();
    for (at, word) in words_of(shipped) {
        let rest = &shipped[at + word.len()..];
        let before = shipped[..at].trim_end();
        let continued = before.ends_with("super::") || before.ends_with("self::");
        let is_visibility = before.ends_with("(in");
        if !matches!(word, "crate" | "super") || !rest.starts_with("::") || continued || is_visibility {
            continue;
        }
        let mut base = if word == "crate" { Vec::new() } else { module.to_vec() };
        if word == "super" {
            base.pop();
        }
        let mut paths = Vec::new();
        expand(&rest[2..], base, &mut paths);
        found.extend(paths.into_iter().map(|path| Named { at, path }));
    }
    found
}

/// Follows a path, and every branch of a group: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand<'a>(text: &'a str, mut base: Vec<&'a str>, paths: &mut Vec<Vec<&'a str>>) {
    let text = text.trim_start();
    if text.starts_with('{') {
        let close = close_of(text, 0).unwrap_or(text.len());
        for branch in branches(&text[1..close]) {
            expand(branch, base.clone(), paths);
        }
        return;
    }
    let word = &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())];
    match word {
        "super" => drop(base.pop()),
        "self" => {}
        "" => base.push("*"),
        _ => base.push(word),
    }
    match text[word.len()..].strip_prefix("::") {
        Some(rest) => expand(rest, base, paths),
        None => paths.push(base),
    }
}

/// The parts of a group, cut at its own commas.
fn branches(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(check: fn(&Source) -> Vec<Offence>, path: &str, text: &str) -> Vec<usize> {
        check(&Source::new(path, text)).into_iter().map(|offence| offence.line).collect()
    }

    #[test]
    fn an_arrow_that_points_up_is_caught_however_it_is_written() {
        let log = |text: &str| lines(core_arrows, "vr-core/src/log.rs", text);
        assert_eq!(log("use crate::entry::Entry;\nuse crate::{id::{Op, View}, entry};\n"), []);
        assert_eq!(log("use crate::message::Message;\n"), [1]);
        assert_eq!(log("use crate::{\n    id::{Op, View},\n    wire,\n};\n"), [1]);
        assert_eq!(log("fn a(b: super::message::Message) {}\n"), [1]);
        assert_eq!(log("use super::{id::Op, action::Action};\n"), [1]);
        assert_eq!(log("macro_rules! m { () => { $crate::wire::a() } }\n"), [1]);
        assert_eq!(log("use crate::Op;\nuse crate::*;\n"), [1, 2]);
    }

    #[test]
    fn what_is_no_arrow_is_not_caught() {
        let text = "//! [`crate::replica`]\npub(crate) fn a() {} pub(in crate::replica) fn b() { crate::log::c() }\n\
                    #[cfg(test)]\nmod tests {\n    use super::*;\n    use crate::wire;\n}\n";
        assert_eq!(lines(core_arrows, "vr-core/src/log.rs", text), []);
        assert_eq!(lines(core_arrows, "vr-core/src/log/tests.rs", "use crate::wire;\n"), []);
    }

    #[test]
    fn a_status_that_names_another_is_caught() {
        let status = |file: &str, text: &str| lines(core_arrows, &format!("vr-core/src/replica/{file}.rs"), text);
        assert_eq!(status("view_change", "use super::common::Common;\nuse super::state_transfer::Fetch;\n"), []);
        assert_eq!(status("view_change", "use super::backup::Backup;\n"), [1]);
        assert_eq!(status("recovery", "use crate::replica::{common::Common, view_change};\n"), [1]);
        assert_eq!(status("primary", "use super::common::Common;\nuse super::recovery::Recovering;\n"), [2]);
        assert_eq!(status("primary", "use super::backup::Backup;\n"), [1]);
        assert_eq!(status("primary", "use super::Next;\nuse super::super::id::Op;\n"), [1]);
        assert_eq!(status("mod", "use self::normal::Normal;\nuse crate::replica::recovery::Recovering;\n"), []);
    }

    #[test]
    fn only_the_trace_and_the_root_name_the_replica() {
        assert_eq!(lines(core_arrows, "vr-core/src/wire.rs", "use crate::replica::Replica;\n"), [1]);
        assert_eq!(lines(core_arrows, "vr-core/src/replica/common.rs", "use crate::replica::Replica;\n"), [1]);
        assert_eq!(lines(core_arrows, "vr-core/src/trace.rs", "use crate::replica::Replica;\n"), []);
        assert_eq!(lines(core_arrows, "vr-core/src/lib.rs", "pub use crate::replica::Replica;\n"), []);
    }

    #[test]
    fn a_file_that_no_layer_lists_is_caught_and_so_is_a_listed_file_that_is_gone() {
        assert_eq!(lines(unlisted, "vr-core/src/helpers.rs", ""), [1]);
        assert_eq!(lines(unlisted, "vr-core/src/replica/common.rs", ""), []);
        assert_eq!(lines(unlisted, "vr-sim/src/helpers.rs", ""), []);
        let files = |layer: &&[&str]| layer.iter().map(|file| format!("vr-core/src/{file}.rs")).collect::<Vec<_>>();
        let mut all: Vec<_> = LAYERS.iter().flat_map(files).map(|path| Source::new(&path, "")).collect();
        assert_eq!(gone(&all), Vec::<String>::new());
        all.remove(0);
        assert_eq!(gone(&all), ["LAYERS lists `id`, which is gone"]);
    }

    #[test]
    fn a_checker_that_knows_the_simulator_is_caught() {
        let check = |text: &str| lines(checker_arrows, "vr-sim/src/check/views.rs", text);
        assert_eq!(check("use vr_core::View;\nuse crate::check::Checker;\nuse super::Violation;\n"), []);
        assert_eq!(check("use crate::world::World;\nuse super::super::net;\nuse crate::{check, disk};\n"), [1, 2, 3]);
        assert_eq!(lines(checker_arrows, "vr-sim/src/check/mod.rs", "use super::net;\nuse crate::check::a;\n"), [1]);
        assert_eq!(lines(checker_arrows, "vr-sim/src/world.rs", "use crate::net;\n"), []);
    }

    #[test]
    fn a_crate_that_depends_upwards_is_caught() {
        let caught = |name: &str, manifest: &str| crate_arrows(name, manifest).len();
        let features = "[features]\nmutants = [\"vr-core/mutants\"]\n";
        let on_core = "[dependencies]\nvr-core.workspace = true\nserde = \"1\"\n";
        assert_eq!(caught("vr-sim", &format!("{features}{on_core}")), 0);
        assert_eq!(caught("vr-core", on_core), 1);
        assert_eq!(caught("vr-core", "[dependencies]\ntokio = \"1\"\n"), 1);
        assert_eq!(caught("vr-core", "[dev-dependencies]\ninsta = \"1\"\n"), 0);
        assert_eq!(caught("vr-core", "[dev-dependencies.vr-sim]\npath = \"../vr-sim\"\n"), 1);
        assert_eq!(caught("vr-tokio", "[dev-dependencies.vr-sim]\npath = \"../vr-sim\"\n"), 0);
        assert_eq!(caught("vr-tokio", "[dependencies.vr-sim]\npath = \"../vr-sim\"\n"), 1);
    }
}
