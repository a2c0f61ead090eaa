//! The answers that come back over one connection to a peer, read by hand.
//!
//! Owns the reading: their heads, and how much is passed over behind each. Must not know what was asked.

use bytes::{Buf, BytesMut};

/// The longest head of an answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// The most headers of an answer.
const ANSWER_HEADERS_MAX: usize = 32;

/// What came is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it answered with something that is no HTTP/1.1")]
pub(crate) struct Nonsense;

/// What was read of a connection and not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) read: BytesMut,
    /// How much of an answer's body is still to be passed over.
    skip: usize,
}

impl Answers {
    /// Takes the next answer, if its head is all there.
    pub(crate) fn next(&mut self) -> Result<Option<Answer>, Nonsense> {
        let skipped = self.skip.min(self.read.len());
        self.read.advance(skipped);
        self.skip -= skipped;
        if self.read.is_empty() || self.skip > 0 {
            return Ok(None);
        }
        let Some(answer) = Answer::parse(&self.read)? else { return Ok(None) };
        self.read.advance(answer.head_bytes);
        self.skip = answer.body_bytes;
        Ok(Some(answer))
    }
}

/// The head of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head_bytes: usize,
    pub(crate) body_bytes: usize,
    pub(crate) closes: bool,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, Nonsense> {
        let mut headers = [httparse::EMPTY_HEADER; ANSWER_HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let head_bytes = match response.parse(bytes) {
            Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
            Ok(httparse::Status::Partial) if bytes.len() < ANSWER_BYTES_MAX => return Ok(None),
            Ok(httparse::Status::Partial) | Err(_) => return Err(Nonsense),
        };
        let status = response.code.ok_or(Nonsense)?;
        let mut answer = Self { status, head_bytes, body_bytes: 0, closes: response.version != Some(1) };
        let mut has_length = matches!(status, 204 | 304);
        for header in response.headers.iter() {
            let value = str::from_utf8(header.value).map_err(|_| Nonsense)?;
            if header.name.eq_ignore_ascii_case("content-length") {
                answer.body_bytes = value.parse().map_err(|_| Nonsense)?;
                has_length = true;
            } else if header.name.eq_ignore_ascii_case("connection") {
                answer.closes |= value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
            }
        }
        // A body whose end is not known in advance ends with the connection.
        answer.closes |= !has_length;
        Ok(Some(answer))
    }
}
