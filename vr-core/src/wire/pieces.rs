//! Message → the pieces of its frame: what is long is shared, not copied.
//!
//! Owns where a piece ends, which is no part of the frame. Must not know what is in a message. Paper: none; DESIGN §2.

use super::{Framed, Header, Shape, Sink};
use crate::message::{Message, PROTOCOL_VERSION};
use alloc::vec::Vec;
use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3Default;

/// What is shorter is copied: a piece of its own would cost more.
const SHARED_BYTES_MIN: usize = 4 << 10;

/// A payload in pieces: what is shared, and what stands between.
#[derive(Default)]
struct Pieces {
    done: Vec<Bytes>,
    last: Vec<u8>,
    length: usize,
    digest: Xxh3Default,
}

impl Pieces {
    fn count(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        self.digest.update(bytes);
    }

    fn flush(&mut self) {
        if !self.last.is_empty() {
            self.done.push(core::mem::take(&mut self.last).into());
        }
    }
}

impl Sink for Pieces {
    fn put(&mut self, bytes: &[u8]) {
        self.last.extend_from_slice(bytes);
        self.count(bytes);
    }

    fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            return self.put(bytes);
        }
        self.flush();
        self.done.push(bytes.clone());
        self.count(bytes);
    }
}

/// The frame of a message, as [`super::encode`] makes it, in pieces.
///
/// # Panics
/// When the payload exceeds 4 GiB, which `max_message_bytes` rules out.
#[must_use]
pub fn encode_shared(message: &Message) -> Vec<Bytes> {
    let mut payload = Pieces::default();
    message.put(&mut payload);
    payload.flush();
    let length = u32::try_from(payload.length).expect("a payload has less than 4 GiB");
    let checksum = payload.digest.digest();
    let header = Header { letter: Message::LETTER, version: PROTOCOL_VERSION, length, checksum };
    let mut pieces = Vec::from([Bytes::copy_from_slice(&header.bytes())]);
    pieces.append(&mut payload.done);
    pieces
}
