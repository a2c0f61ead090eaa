//! Names and texts of a trace so that a person can look at them: clients' long ids short, nothing that hides or reorders.
//!
//! Owns the short names of clients, in the order in which they appear, and what becomes of characters that a terminal
//! would obey. Must not know where texts go. VIEW §5.4 (6).

use std::collections::BTreeMap;
use vr_core::ClientId;
use vr_core::trace::{MessageId, Node, Recipient, TraceEvent, What};

/// A name of more characters than this is shortened.
const LONG: usize = 6;

/// The clients of a trace.
#[derive(Clone, Default, Debug)]
pub(super) struct Names {
    /// The short names of those seen, by their long ones.
    known: BTreeMap<String, String>,
}

impl Names {
    /// Gives a short name to every client that an event speaks of; those that had none, with their long ones.
    pub(super) fn meet(&mut self, event: &TraceEvent) -> Vec<(String, String)> {
        clients_of(event).into_iter().filter_map(|client| self.add(client)).collect()
    }

    fn add(&mut self, client: ClientId) -> Option<(String, String)> {
        let long = Node::Client(client).to_string();
        if long.len() <= LONG || self.known.contains_key(&long) {
            return None;
        }
        let short = format!("c{}", self.known.len());
        self.known.insert(long.clone(), short.clone());
        Some((short, long))
    }

    /// A node's name.
    pub(super) fn of(&self, node: Node) -> String {
        let long = node.to_string();
        self.known.get(&long).cloned().unwrap_or(long)
    }

    /// A text with the short names of clients in it, and without what a terminal would obey.
    pub(super) fn plain(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut word = String::new();
        for c in text.chars() {
            if c.is_ascii_alphanumeric() {
                word.push(c);
                continue;
            }
            self.finish(&mut word, &mut out);
            if hides(c) {
                out.extend(c.escape_unicode());
            } else {
                out.push(c);
            }
        }
        self.finish(&mut word, &mut out);
        out
    }

    fn finish(&self, word: &mut String, out: &mut String) {
        out.push_str(self.known.get(word.as_str()).unwrap_or(word));
        word.clear();
    }
}

/// Controls, bidi marks, zero-width characters and line separators.
const fn hides(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The clients that an event speaks of.
fn clients_of(event: &TraceEvent) -> Vec<ClientId> {
    let mut clients = Vec::new();
    let mut node = |node: Option<Node>| {
        if let Some(Node::Client(client)) = node {
            clients.push(client);
        }
    };
    node(event.n);
    if let What::Sent(sent) = &event.what
        && let Recipient::One(to) = sent.to
    {
        node(Some(to));
    } else if let What::Log(slot) = &event.what {
        node(slot.client);
    } else if let What::Executed(executed) = &event.what {
        node(executed.client);
    } else if let What::Invoked(call) = &event.what {
        node(Some(call.client));
    } else if let What::Returned(end) = &event.what {
        node(Some(end.client));
    }
    match event.what.message() {
        Some(MessageId::Request { client, .. } | MessageId::Answer { client, .. }) => clients.push(client),
        Some(MessageId::Peer { .. }) | None => {}
    }
    clients
}

#[cfg(test)]
mod tests {
    use super::*;
    use vr_core::trace::Remark;

    #[test]
    fn a_client_is_called_by_the_order_in_which_it_appears_and_nothing_else_is() {
        let mut names = Names::default();
        let note = What::Note(Remark { what: None, text: "".into(), at: None });
        let at = |id| TraceEvent::at(0, Node::Client(ClientId(id)), note.clone());
        let met = names.meet(&at(0xabcdef0123));
        assert_eq!(met, [("c0".to_owned(), "cabcdef0123".to_owned())]);
        assert_eq!(names.meet(&at(0xabcdef0123)), []);
        assert_eq!(names.meet(&at(7)), [], "short as it is");
        assert_eq!(
            names.plain("cabcdef0123.1.2 to cabcdef01234, not cabcdef012"),
            "c0.1.2 to cabcdef01234, not cabcdef012"
        );
        assert_eq!(names.of(Node::Client(ClientId(0xabcdef0123))), "c0");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        let names = Names::default();
        assert_eq!(names.plain("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\u{a}c\\u{202e}d");
    }
}
