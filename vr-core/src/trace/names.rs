//! Names in a trace: of nodes, messages and numbers too large for JavaScript, all of them texts.
//!
//! Owns how each is spelt and read back. Must not know what happened to whom. VIEW.md §5.1.

use crate::entry::Request;
use crate::id::{ClientId, Incarnation, ReplicaId, RequestNumber, Seq, Session};
use crate::message::Header;
use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A short text, usually a constant.
pub type Name = Cow<'static, str>;

/// A text that is none of the names expected there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadName;

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the name of a node, a message or a number")
    }
}

impl core::error::Error for BadName {}

/// Where something happened: `"r0"`, `"c3"`, `"net"`, `"sim"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Node {
    /// A replica.
    Replica(ReplicaId),
    /// A client, by its id in hexadecimal.
    Client(ClientId),
    /// The network between them.
    Net,
    /// Whoever watches or drives the whole.
    Sim,
}

/// Whom a message is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Recipient {
    /// One node.
    One(Node),
    /// `"others"`: every other member. Each gets the same message, under the same id.
    Others,
}

/// Which message: `"r0.1.977"`, and between clients and replicas `"c3.12.7"` and `"c3.12.7.r0"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MessageId {
    /// The one a replica sent in one life, by its count.
    Peer {
        /// The sender.
        from: ReplicaId,
        /// Its life.
        incarnation: Incarnation,
        /// The count.
        seq: Seq,
    },
    /// A client's request; a retry has the same id.
    Request {
        /// The client.
        client: ClientId,
        /// Its session.
        session: Session,
        /// The request-number.
        number: RequestNumber,
    },
    /// A replica's answer to one, or its refusal.
    Answer {
        /// The client.
        client: ClientId,
        /// Its session.
        session: Session,
        /// The request-number.
        number: RequestNumber,
        /// Who answers.
        by: ReplicaId,
    },
}

/// A number that may exceed 2⁵³, which JavaScript cannot hold: a decimal text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BigNumber(pub u64);

impl MessageId {
    /// Of the message with this header.
    #[must_use]
    pub const fn of(header: &Header) -> Self {
        Self::Peer { from: header.from, incarnation: header.incarnation, seq: header.seq }
    }

    /// Of this request.
    #[must_use]
    pub const fn of_request(request: &Request) -> Self {
        Self::Request { client: request.client, session: request.session, number: request.number }
    }

    /// Whose message it is.
    #[must_use]
    pub const fn sender(&self) -> Node {
        match self {
            Self::Peer { from, .. } => Node::Replica(*from),
            Self::Request { client, .. } => Node::Client(*client),
            Self::Answer { by, .. } => Node::Replica(*by),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(id) => write!(f, "r{id}"),
            Self::Client(id) => write!(f, "c{id}"),
            Self::Net => f.write_str("net"),
            Self::Sim => f.write_str("sim"),
        }
    }
}

impl FromStr for Node {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        match text.split_at_checked(1) {
            Some(("r", id)) => decimal(id).map(|id| Self::Replica(ReplicaId(id))),
            Some(("c", id)) => u128::from_str_radix(id, 16).map(|id| Self::Client(ClientId(id))).map_err(|_| BadName),
            _ if text == "net" => Ok(Self::Net),
            _ if text == "sim" => Ok(Self::Sim),
            _ => Err(BadName),
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(node) => node.fmt(f),
            Self::Others => f.write_str("others"),
        }
    }
}

impl FromStr for Recipient {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        if text == "others" { Ok(Self::Others) } else { text.parse().map(Self::One) }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer { from, incarnation, seq } => write!(f, "r{from}.{incarnation}.{seq}"),
            Self::Request { client, session, number } => write!(f, "c{client}.{session}.{number}"),
            Self::Answer { client, session, number, by } => write!(f, "c{client}.{session}.{number}.r{by}"),
        }
    }
}

impl FromStr for MessageId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let mut parts = text.splitn(4, '.');
        let mut part = || parts.next().ok_or(BadName);
        let (sender, life, number): (Node, u64, u64) = (part()?.parse()?, decimal(part()?)?, decimal(part()?)?);
        let by = part().ok().map(str::parse).transpose()?;
        match (sender, by) {
            (Node::Replica(from), None) => Ok(Self::Peer { from, incarnation: Incarnation(life), seq: Seq(number) }),
            (Node::Client(client), None) => {
                Ok(Self::Request { client, session: Session(life), number: RequestNumber(number) })
            }
            (Node::Client(client), Some(Node::Replica(by))) => {
                Ok(Self::Answer { client, session: Session(life), number: RequestNumber(number), by })
            }
            (Node::Replica(_) | Node::Client(_) | Node::Net | Node::Sim, _) => Err(BadName),
        }
    }
}

impl fmt::Display for BigNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BigNumber {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        decimal(text).map(Self)
    }
}

fn decimal<N: FromStr>(text: &str) -> Result<N, BadName> {
    text.parse().map_err(|_| BadName)
}

/// Serialises what displays and parses as a text.
macro_rules! as_text {
    ($($name:ident),*) => {
        $(impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        })*
    };
}

as_text!(Node, Recipient, MessageId, BigNumber);
