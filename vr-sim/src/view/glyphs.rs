//! The glyphs that stand for kinds of events and for what a node is, the same as on the page.
//!
//! Owns which glyph is what, and the legend. Must not know who prints them. VIEW P1, P5 ("never colour alone").

use super::reduce::{Link, Member};
use vr_core::trace::Status;

/// What the glyphs in a line mean.
pub const LEGEND: &str = "\
# node:  ★ primary  ○ backup  ◇ view change  ◌ recovering  ‼ halted  ▨ silent  ✕ down  ? not known
# event: → sent  ← arrived  ✕ lost  ⇉ doubled  ◷ held back  ≋ damaged  ⊘ links cut  ∞ links healed  ◔ timer  ▥ disk
#        ◎ state  Δ change of it  ▤ log  ✓ acknowledged  ✔ committed  ■ executed  ▣ checkpoint  ⇄ state transfer
#        ☠ crash  ↻ start  ▷ call  ◁ its end  ☞ intervention  · note  ⚑ VIOLATION  … events missing  Σ counted  ▪ end";

/// The glyph of a kind of event ([`vr_core::trace::What::kind`]).
#[must_use]
pub fn of_kind(kind: &str) -> char {
    match kind {
        "meta" => '≡',
        "snap" => '◎',
        "set" => 'Δ',
        "send" => '→',
        "recv" => '←',
        "drop" => '✕',
        "dup" => '⇉',
        "delay" => '◷',
        "corrupt" => '≋',
        "timer" => '◔',
        "log" => '▤',
        "ack" => '✓',
        "commit" => '✔',
        "exec" => '■',
        "disk" => '▥',
        "crash" => '☠',
        "restart" => '↻',
        "part" => '⊘',
        "heal" => '∞',
        "inv" => '▷',
        "ret" => '◁',
        "ckpt" => '▣',
        "sync" => '⇄',
        "reconf" => '∆',
        "agg" => 'Σ',
        "gap" => '…',
        "do" => '☞',
        "note" => '·',
        "viol" => '⚑',
        "end" => '▪',
        _ => '?',
    }
}

/// What a member is, as a glyph and in words.
#[must_use]
pub fn of_member(member: &Member) -> (char, &'static str) {
    let state = &member.state;
    if state.inc.is_none() && state.status.is_none() && member.link != Link::Down {
        return ('?', "not known");
    }
    match (member.up, member.link, member.unknown) {
        (false, ..) => return ('✕', "down"),
        (true, Link::Down, _) => return ('✕', "unreachable"),
        (true, _, true) => return ('?', "not known: events are missing"),
        (true, Link::Silent, false) => return ('▨', "silent"),
        (true, Link::Up, false) => {}
    }
    match state.status {
        Some(Status::ViewChange) => ('◇', "view change"),
        Some(Status::Recovering) => ('◌', "recovering"),
        Some(Status::Transitioning) => ('◌', "transitioning"),
        Some(Status::Retired) => ('✕', "retired"),
        Some(Status::Halted) => ('‼', "halted"),
        Some(Status::Normal) | None if member.is_primary() => ('★', "primary"),
        Some(Status::Normal) | None => ('○', "backup"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_core::ReplicaId;
    use vr_core::trace::{Node, State};

    fn member(change: impl FnOnce(&mut Member)) -> (char, &'static str) {
        let me = Node::Replica(ReplicaId(0));
        let state = State { inc: Some(1), status: Some(Status::Normal), primary: Some(me), ..State::default() };
        let mut member = Member { up: true, state, ..Member::new(me) };
        change(&mut member);
        of_member(&member)
    }

    #[test]
    fn what_is_not_heard_is_never_shown_as_healthy() {
        assert_eq!(member(|_| ()), ('★', "primary"));
        assert_eq!(member(|m| m.state.primary = None), ('○', "backup"));
        assert_eq!(member(|m| m.link = Link::Silent), ('▨', "silent"));
        assert_eq!(member(|m| m.link = Link::Down), ('✕', "unreachable"));
        assert_eq!(member(|m| m.up = false), ('✕', "down"));
        assert_eq!(member(|m| m.unknown = true).0, '?');
        assert_eq!(member(|m| m.state = State::default()), ('?', "not known"));
        assert_eq!(member(|m| m.state.status = Some(Status::Halted)), ('‼', "halted"));
    }

    #[test]
    fn every_glyph_of_an_event_is_in_the_legend() {
        for kind in ["snap", "set", "send", "recv", "drop", "dup", "delay", "corrupt", "timer", "log", "ack", "commit"]
        {
            assert!(LEGEND.contains(of_kind(kind)), "{kind}");
        }
        for kind in ["exec", "disk", "crash", "restart", "part", "heal", "inv", "ret", "ckpt", "sync", "agg", "gap"] {
            assert!(LEGEND.contains(of_kind(kind)), "{kind}");
        }
        for kind in ["do", "note", "viol", "end"] {
            assert!(LEGEND.contains(of_kind(kind)), "{kind}");
        }
    }
}
