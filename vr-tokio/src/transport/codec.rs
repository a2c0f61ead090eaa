//! Messages ⇄ the body of a request, in either of two encodings.
//!
//! Owns the choice and both forms. What comes in as JSON passes the same decoder as frames do, so that no
//! encoding lets in what the other refuses. Must not know connections.

use super::head::Refusal;
use bytes::Bytes;
use serde::Deserialize;
use vr_core::Message;
use vr_core::wire::{self, Limits};

/// How messages between replicas are encoded. Each replica sends one and takes both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Frames of `vr_core::wire`, one after the other: small, fast, checked.
    #[default]
    Bincode,
    /// An array of messages: for eyes and for other languages.
    Json,
}

impl Codec {
    /// What a request says about its body.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Bincode => "application/vnd.vr.bincode",
            Self::Json => "application/json",
        }
    }

    /// Which encoding a request speaks of.
    pub(crate) fn of_content_type(kind: &str) -> Option<Self> {
        let kind = kind.split_once(';').map_or(kind, |(kind, _)| kind).trim();
        [Self::Bincode, Self::Json].into_iter().find(|codec| kind.eq_ignore_ascii_case(codec.content_type()))
    }

    /// One message, as it stands in a body. `scratch` is for its bytes until their number is known.
    pub(crate) fn encode(self, message: &Message, scratch: &mut Vec<u8>) -> Bytes {
        scratch.clear();
        match self {
            Self::Bincode => wire::encode(message, scratch),
            Self::Json => {
                serde_json::to_writer(&mut *scratch, message).expect("a message has no shape that JSON lacks");
            }
        }
        Bytes::copy_from_slice(scratch)
    }

    /// A long message, as it stands in a body, in pieces that share what is long of it.
    pub(crate) fn encode_long(self, message: &Message) -> Vec<Bytes> {
        match self {
            Self::Bincode => wire::encode_shared(message),
            Self::Json => vec![self.encode(message, &mut Vec::new())],
        }
    }

    /// What stands before the first, between two, and after the last message of a body.
    pub(crate) const fn punctuation(self) -> [&'static [u8]; 3] {
        match self {
            Self::Bincode => [b"", b"", b""],
            Self::Json => [b"[", b",", b"]"],
        }
    }

    /// How long a body may be when its frames may have so many bytes: JSON writes a byte in up to
    /// four, and an entry without a body in up to eight times its bytes.
    pub(crate) const fn body_limit(self, frame_bytes: usize) -> usize {
        match self {
            Self::Bincode => frame_bytes,
            Self::Json => frame_bytes.saturating_mul(8),
        }
    }

    /// The messages of a body.
    pub(crate) fn decode(self, body: Bytes, limits: &Limits) -> Result<Vec<Message>, Refusal> {
        match self {
            Self::Bincode => decode_frames(body, limits),
            Self::Json => decode_json(&body, limits),
        }
    }
}

fn decode_frames(mut rest: Bytes, limits: &Limits) -> Result<Vec<Message>, Refusal> {
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let length = wire::frame_length(&rest, limits).map_err(|_| Refusal::Undecodable)?;
        if length > rest.len() {
            return Err(Refusal::Undecodable);
        }
        let frame = rest.split_to(length);
        messages.push(wire::decode_within(&frame, limits).map_err(|_| Refusal::Undecodable)?);
    }
    Ok(messages)
}

fn decode_json(body: &[u8], limits: &Limits) -> Result<Vec<Message>, Refusal> {
    let messages: Vec<Message> = serde_json::from_slice(body).map_err(|_| Refusal::Undecodable)?;
    let mut again = Vec::new();
    let checked = messages.into_iter().map(|message| {
        wire::encode(&message, &mut again);
        wire::decode_within(&Bytes::from(std::mem::take(&mut again)), limits)
    });
    checked.collect::<Result<_, _>>().map_err(|_| Refusal::Undecodable)
}
