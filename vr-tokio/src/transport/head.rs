//! The head of a request between replicas: who speaks, of which cluster, in which version and encoding.
//!
//! Owns the route, the names of the headers, their writing and their checking, and every reason for which a request
//! is refused. Everything here is decided before the first byte of a body is read. Must not know messages.

use super::Codec;
use crate::members::{Book, MemberAddress};
use http::{HeaderMap, Method, StatusCode, header};
use std::fmt::Write as _;
use std::sync::Arc;
use vr_core::{Epoch, Hash, PROTOCOL_VERSION, ReplicaId};

/// Where messages between replicas go.
pub(crate) const ROUTE: &str = "/vr/v1/messages";

const PROTOCOL: &str = "vr-protocol";
const CONFIG: &str = "vr-config";
const EPOCH: &str = "vr-epoch";
const FROM: &str = "vr-from";
const ADDRESS: &str = "vr-address";

/// No view has an epoch as large as this.
const EPOCHS_MAX: u64 = 1 << 22;

/// Why a request between replicas is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// No such route.
    Route,
    /// The route takes POST.
    Method,
    /// A header is missing, twice there, or makes no sense.
    Head,
    /// Another version of the protocol.
    Version,
    /// Another cluster, or another configuration of it.
    Cluster,
    /// From an epoch that none can be.
    Epoch,
    /// The sender says that it is this replica, which nobody else is.
    NotAMember,
    /// The sender's certificate is not that of the replica it says it is.
    Identity,
    /// Neither of the two encodings.
    ContentType,
    /// The body is too long.
    TooLarge,
    /// The body did not come, or not in time.
    Broken,
    /// The body is not what its content type says, or a message in it is too long.
    Undecodable,
    /// A message in it is from another replica than the sender.
    Forged,
    /// There is no room for it now.
    InboxFull,
}

impl Refusal {
    /// What the sender is told.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Route => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Head | Self::Broken | Self::Undecodable => StatusCode::BAD_REQUEST,
            Self::Version => StatusCode::NOT_IMPLEMENTED,
            Self::Cluster | Self::Epoch => StatusCode::CONFLICT,
            Self::NotAMember | Self::Identity | Self::Forged => StatusCode::FORBIDDEN,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::InboxFull => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word for it in counters, logs and answers.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Method => "method",
            Self::Head => "head",
            Self::Version => "version",
            Self::Cluster => "cluster",
            Self::Epoch => "epoch",
            Self::NotAMember => "not_a_member",
            Self::Identity => "identity",
            Self::ContentType => "content_type",
            Self::TooLarge => "too_large",
            Self::Broken => "broken",
            Self::Undecodable => "undecodable",
            Self::Forged => "forged",
            Self::InboxFull => "inbox_full",
        }
    }
}

/// The part of a head that is the same in every request over a connection.
pub(crate) fn prefix(host: &str, config: Hash, epoch: Epoch, from: ReplicaId, codec: Codec) -> String {
    spelled((host, config, epoch, from, codec), "")
}

/// The same with another line.
fn spelled((host, config, epoch, from, codec): (&str, Hash, Epoch, ReplicaId, Codec), line: &str) -> String {
    let config = config.0;
    let kind = codec.content_type();
    format!(
        "POST {ROUTE} HTTP/1.1\r\nhost: {host}\r\n{PROTOCOL}: {PROTOCOL_VERSION}\r\n{CONFIG}: {config:032x}\r\n\
         {EPOCH}: {epoch}\r\n{FROM}: {from}\r\n{line}content-type: {kind}\r\ncontent-length: "
    )
}

/// [`prefix`], as long as one connection lasts: the epoch may change meanwhile.
pub(crate) struct Prefix {
    host: String,
    config: Hash,
    codec: Codec,
    book: Arc<Book>,
    epoch: Epoch,
    text: String,
    /// Nothing was said on this connection yet.
    is_first: bool,
}

impl Prefix {
    pub(crate) fn new(host: String, config: Hash, codec: Codec, book: Arc<Book>) -> Self {
        let mut prefix = Self { host, config, codec, epoch: book.epoch(), book, text: String::new(), is_first: true };
        prefix.text = prefix.spell("");
        prefix
    }

    fn spell(&self, line: &str) -> String {
        spelled((&self.host, self.config, self.epoch, self.book.me(), self.codec), line)
    }

    /// Puts it in front. The first one says where this node is: whoever hears of it for the first time answers it there.
    pub(crate) fn put(&mut self, head: &mut String) {
        let epoch = self.book.epoch();
        if epoch != self.epoch {
            self.epoch = epoch;
            self.text = self.spell("");
        }
        let line = |MemberAddress { client, peer, disk: _ }| format!("{ADDRESS}: {client} {peer}\r\n");
        match self.book.own().filter(|_| self.is_first).map(line) {
            Some(line) => head.push_str(&self.spell(&line)),
            None => head.push_str(&self.text),
        }
        self.is_first = false;
    }
}

/// The end of a head that [`prefix`] began.
pub(crate) fn finish(head: &mut String, body_bytes: usize) {
    write!(head, "{body_bytes}\r\n\r\n").expect("a string takes every byte");
}

/// Whom a replica listens to.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) me: ReplicaId,
    pub(crate) config: Hash,
}

/// What a head said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    pub(crate) from: ReplicaId,
    pub(crate) codec: Codec,
    /// Where it is, by its own word.
    pub(crate) address: Option<MemberAddress>,
}

impl Expected {
    /// Who speaks and how, or the first thing that is wrong with it.
    pub(crate) fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Said, Refusal> {
        if path != ROUTE {
            return Err(Refusal::Route);
        }
        if method != Method::POST {
            return Err(Refusal::Method);
        }
        let version = one(headers, PROTOCOL)?;
        if version.parse() != Ok(PROTOCOL_VERSION) {
            return Err(Refusal::Version);
        }
        let config = u128::from_str_radix(one(headers, CONFIG)?, 16).map_err(|_| Refusal::Head)?;
        if Hash(config) != self.config {
            return Err(Refusal::Cluster);
        }
        // Whoever is ahead brings the news of its epoch, and whoever is behind is told: what may be done in which is the core's.
        let epoch: u64 = one(headers, EPOCH)?.parse().map_err(|_| Refusal::Head)?;
        if epoch >= EPOCHS_MAX {
            return Err(Refusal::Epoch);
        }
        let from = ReplicaId(one(headers, FROM)?.parse().map_err(|_| Refusal::Head)?);
        if from == self.me {
            return Err(Refusal::NotAMember);
        }
        let kind = one(headers, header::CONTENT_TYPE.as_str())?;
        let codec = Codec::of_content_type(kind).ok_or(Refusal::ContentType)?;
        let address = headers.get(ADDRESS).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        Ok(Said { from, codec, address })
    }
}

/// The value of a header that must be there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Refusal::Head) };
    value.to_str().map_err(|_| Refusal::Head)
}
