//! What a message says, in the few fields that a trace keeps of it.
//!
//! Owns the summaries of messages, short hashes and the redaction of clients' data. Must not know who receives
//! a message or what comes of it. VIEW.md §5.1 ("Notes").

use super::event::What;
use super::kinds::{Sent, Summary};
use super::names::{MessageId, Name, Node, Recipient};
use super::words::Redact;
use crate::action::{Reject, Rejection, Reply};
use crate::entry::{Entry, Kind, Query, Request};
use crate::id::{Hash, ReplicaId, Session, count};
use crate::log::Head;
use crate::message::{Body, Message, Tail};
use crate::wire::encoded_size;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use xxhash_rust::xxh3::xxh3_128;

/// The most entries and positions that a summary lists.
const LISTED_MAX: usize = 64;
/// The most characters of clients' data that are shown.
const SHOWN_MAX: usize = 64;

/// The first 8 of a hash's 32 digits: enough to see that two differ.
#[must_use]
pub fn short_hash(hash: Hash) -> String {
    let bits = hash.0 >> 96;
    format!("{bits:08x}")
}

/// Clients' data, as much as may be shown: text as text, anything else in hexadecimal, cut when long.
#[must_use]
pub fn shown(data: &[u8], redact: Redact) -> String {
    match redact {
        Redact::Len => format!("{} B", data.len()),
        Redact::Hash => format!("{} B {}", data.len(), short_hash(Hash(xxh3_128(data)))),
        Redact::Full => {
            let text = core::str::from_utf8(data).ok().filter(|text| !text.chars().any(char::is_control));
            let whole = text.map_or_else(|| hexadecimal(data), ToString::to_string);
            match whole.char_indices().nth(SHOWN_MAX) {
                Some((cut, _)) => format!("{}… ({} B)", &whole[..cut], data.len()),
                None => whole,
            }
        }
    }
}

fn hexadecimal(data: &[u8]) -> String {
    let digits = data.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02x}"));
    core::iter::once("0x".to_string()).chain(digits).collect()
}

/// A `send`: a replica sent this message.
#[must_use]
pub fn message_sent(to: Recipient, message: &Message) -> What {
    let (header, body) = (&message.header, &message.body);
    let (op, commit, summary) = said(body);
    What::Sent(Sent {
        m: MessageId::of(header),
        to,
        ty: body.kind().name().into(),
        view: Some(header.view.0),
        op,
        commit,
        sz: Some(count(encoded_size(message))),
        b: (summary != Summary::default()).then(|| Box::new(summary)),
    })
}

/// A `send`: a client sent this request, or sent it again. An operation in no session is a read.
#[must_use]
pub fn request_sent(to: ReplicaId, request: &Request, redact: Redact) -> What {
    let val = match request.kind {
        Kind::Register => None,
        Kind::Operation | Kind::Reconfiguration => Some(shown(&request.body, redact)),
    };
    What::Sent(Sent {
        m: MessageId::of_request(request),
        to: Recipient::One(Node::Replica(to)),
        ty: if request.kind == Kind::Operation && request.session == Session::ZERO { "Read" } else { "Request" }.into(),
        view: None,
        op: None,
        commit: None,
        sz: Some(count(request.body.len())),
        b: val.map(|val| Box::new(Summary { val: Some(val), ..Summary::default() })),
    })
}

/// A `send`: a replica answers a client.
pub(super) fn reply_sent(by: ReplicaId, reply: &Reply, redact: Redact) -> What {
    let Reply { client, session, number, op, view, ref result, duplicate } = *reply;
    let val = (!result.is_empty()).then(|| shown(result, redact));
    let summary = Summary { val, dup: duplicate.then_some(true), ..Summary::default() };
    What::Sent(Sent {
        m: MessageId::Answer { client, session, number, by },
        to: Recipient::One(Node::Client(client)),
        ty: "Reply".into(),
        view: Some(view.0),
        op: Some(op.0),
        commit: None,
        sz: Some(count(result.len())),
        b: (summary != Summary::default()).then(|| Box::new(summary)),
    })
}

/// A `send`: a replica has its service answer a read. What it answers is not known here.
pub(super) const fn read_answered(by: ReplicaId, query: &Query) -> What {
    let Query { client, number, .. } = *query;
    What::Sent(Sent {
        m: MessageId::Answer { client, session: Session::ZERO, number, by },
        to: Recipient::One(Node::Client(client)),
        ty: Name::Borrowed("Reply"),
        view: None,
        op: None,
        commit: None,
        sz: None,
        b: None,
    })
}

/// A `send`: a replica refuses a client's request.
pub(super) fn rejection_sent(by: ReplicaId, rejection: &Rejection) -> What {
    let Rejection { client, session, number, reason } = *rejection;
    let view = match reason {
        Reject::NotPrimary { view, .. } => Some(view.0),
        Reject::Busy | Reject::Evicted | Reject::TooLarge | Reject::Malformed | Reject::NoSpace => None,
        Reject::Reconfiguration(_) => None,
    };
    What::Sent(Sent {
        m: MessageId::Answer { client, session, number, by },
        to: Recipient::One(Node::Client(client)),
        ty: "Reject".into(),
        view,
        op: None,
        commit: None,
        sz: None,
        b: Some(Box::new(Summary { why: Some(rejected(reason)), ..Summary::default() })),
    })
}

/// The name of a refusal.
pub(super) fn rejected(reason: Reject) -> Name {
    match reason {
        Reject::NotPrimary { .. } => "not_primary".into(),
        Reject::Busy => "busy".into(),
        Reject::Evicted => "evicted".into(),
        Reject::TooLarge => "too_large".into(),
        Reject::Malformed => "malformed".into(),
        Reject::NoSpace => "no_space".into(),
        Reject::Reconfiguration(_) => "reconfiguration".into(),
    }
}

/// The last op a message speaks of, its commit-number, and the rest.
fn said(body: &Body) -> (Option<u64>, Option<u64>, Summary) {
    let nothing = Summary::default();
    match body {
        Body::Prepare { entries, commit, beat: _ } => {
            let n = (entries.len() != 1).then(|| count(entries.len()));
            (entries.last().map(|last| last.op().0), Some(commit.0), Summary { n, ..nothing })
        }
        Body::PrepareOk { head, beat: _ } => (Some(head.op.0), None, nothing),
        Body::Commit { commit, head, beat: _ } => (Some(head.op.0), Some(commit.0), nothing),
        Body::CommitOk { .. } | Body::EpochStarted { .. } | Body::CheckEpoch => (None, None, nothing),
        Body::StartViewChange { want, hears } => {
            let hears = hears.iter().map(|position| count(position.index())).collect();
            (None, None, Summary { want: Some(*want), hears: Some(hears), ..nothing })
        }
        Body::DoViewChange(report) => {
            let summary = Summary { lnv: Some(report.log_view.0), ..of_tail(&report.tail) };
            (Some(report.tail.head.op.0), Some(report.commit.0), summary)
        }
        Body::StartView(start) => {
            let summary = Summary { start: Some(start.view_start.0), ..of_tail(&start.tail) };
            (Some(start.tail.head.op.0), Some(start.commit.0), summary)
        }
        Body::GetState(question) => {
            let have = Some(of_heads(&question.have));
            let log_ck = question.want.map(|want| short_hash(want.hash));
            (question.want.map(|want| want.op.0), None, Summary { id: Some(question.id.0), have, log_ck, ..nothing })
        }
        Body::NewState(page) => {
            let summary = Summary { id: Some(page.id.0), ..of_tail(&page.tail) };
            (Some(page.tail.head.op.0), Some(page.commit.0), summary)
        }
        Body::Recovery(question) => {
            let (id, view_min) = (Some(question.nonce.counter), Some(question.view_min.0));
            (None, None, Summary { id, view_min, have: Some(of_heads(&question.have)), ..nothing })
        }
        Body::RecoveryResponse(answer) => {
            let id = Some(answer.nonce.counter);
            match &answer.log {
                Some(log) => {
                    let summary = Summary { id, start: Some(log.view_start.0), ..of_tail(&log.tail) };
                    (Some(log.tail.head.op.0), Some(log.commit.0), summary)
                }
                None => (None, None, Summary { id, ..nothing }),
            }
        }
        Body::GetCheckpoint { head, offset: _ } => {
            (Some(head.op.0), None, Summary { log_ck: Some(short_hash(head.hash)), ..nothing })
        }
        Body::CheckpointPart(part) => {
            (Some(part.head.op.0), None, Summary { log_ck: Some(short_hash(part.head.hash)), ..nothing })
        }
        Body::GetEntries { through } => {
            (Some(through.op.0), None, Summary { log_ck: Some(short_hash(through.hash)), ..nothing })
        }
        Body::StartEpoch(group) | Body::NewEpoch(group) => {
            let base = group.base();
            (Some(base.op.0), None, Summary { log_ck: Some(short_hash(base.hash)), ..nothing })
        }
        Body::CheckpointDurable(news) => {
            (Some(news.head.op.0), None, Summary { log_ck: Some(short_hash(news.head.hash)), ..nothing })
        }
        Body::GetReadIndex { id } => (None, None, Summary { id: Some(id.0), ..nothing }),
        Body::ReadIndex { id, op } => (Some(op.0), None, Summary { id: Some(id.0), ..nothing }),
        Body::Entries(entries) => {
            let (last, n) = (entries.last(), Some(count(entries.len())));
            let log_ck = last.map(|last| short_hash(last.hash()));
            (last.map(|last| last.op().0), None, Summary { n, log_ck, ..nothing })
        }
    }
}

fn of_heads(heads: &[Head]) -> Vec<(u64, String)> {
    heads.iter().take(LISTED_MAX).map(|head| (head.op.0, short_hash(head.hash))).collect()
}

fn of_tail(tail: &Tail) -> Summary {
    let triple = |entry: &Entry| (entry.op().0, entry.view().0, short_hash(entry.hash()));
    let all = tail.base.op.distance_to(tail.head.op);
    Summary {
        log_len: Some(tail.head.op.0),
        log_ck: Some(short_hash(tail.head.hash)),
        log: Some(tail.entries.iter().take(LISTED_MAX).map(triple).collect()),
        cut: (all > count(tail.entries.len().min(LISTED_MAX))).then_some(true),
        ..Summary::default()
    }
}
