//! The bytes of operations and answers of the key-value store.
//!
//! Owns the codec. Every body decodes to an operation or to nothing, every answer to what happened; both begin with a
//! version. Keys and values are any UTF-8. Must not know who executes, nor HTTP.
//!
//! Layout: version 1, then one operation or a batch of them. Lengths and counts are 4 bytes, little-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The version that operations and answers begin with.
pub const VERSION: u8 = 1;
/// The most operations in one batch.
pub const BATCH_MAX: usize = 10_000;
/// The longest time that a key can be given to live: 100 years.
pub const TTL_SECONDS_MAX: u64 = 100 * 365 * 24 * 3600;
/// The most keys that one list answers.
pub const LIST_MAX: u32 = 10_000;

/// The version of a key's value: the op that wrote it. 0 stands for a key that is not there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Revision(pub u64);

/// How long a value is to live, in milliseconds, from the time of the entry that wrote it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ttl(pub u64);

/// When a key expires: nanoseconds since the Unix epoch, in the time that the log's entries carry (VRR §4.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Expiry(pub u64);

impl Expiry {
    /// In milliseconds: not before the key is gone.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0.div_ceil(1_000_000)
    }
}

/// What must be true of a key for an operation on it to take effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Nothing.
    Anything,
    /// It is there.
    Present,
    /// It was last written then; 0: it is not there.
    Revision(Revision),
}

/// An operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Changes nothing.
    Get {
        /// Of what.
        key: Bytes,
    },
    /// Sets a value.
    Put {
        /// Of what.
        key: Bytes,
        /// To this.
        value: Bytes,
        /// If this holds.
        expect: Expect,
        /// For so long; without an end if `None`, whatever the key had before.
        ttl: Option<Ttl>,
    },
    /// Removes a key.
    Delete {
        /// Which.
        key: Bytes,
        /// If this holds.
        expect: Expect,
    },
    /// The keys that begin with a prefix, in order.
    List {
        /// With what they begin.
        prefix: Bytes,
        /// Only those after this one.
        after: Bytes,
        /// At most so many; no more than [`LIST_MAX`].
        limit: u32,
    },
    /// Several, one after the other, with nothing in between.
    Batch(Vec<Self>),
    /// Removes keys whose time has passed, so that they go while nothing else happens. Asked as a question it only says
    /// when the next one is due.
    Expire,
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// When it was written.
    pub revision: Revision,
}

/// What an operation answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Of a get: the value, when it was written, and when it goes.
    Value(Bytes, Revision, Option<Expiry>),
    /// The key is not there.
    Missing,
    /// Of a put: written, as this revision, in place of that one.
    Written {
        /// The new one.
        revision: Revision,
        /// The one before; 0: the key was not there.
        before: Revision,
    },
    /// Of a delete: it was there and is gone.
    Deleted(Revision),
    /// What was expected does not hold; nothing changed. The revision that stands.
    Conflict(Revision),
    /// Of a list; true when there are more.
    Listed(Vec<Found>, bool),
    /// Of a batch: one for each.
    Batch(Vec<Self>),
    /// Of an expire: when the next key is due, if any is.
    Due(Option<Expiry>),
    /// The body was no operation; nothing changed.
    Malformed,
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

fn take_bytes(from: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
    (length <= from.len()).then(|| from.split_to(length))
}

impl Expect {
    fn put(self, out: &mut BytesMut) {
        match self {
            Self::Anything => out.put_u8(0),
            Self::Present => out.put_u8(1),
            Self::Revision(revision) => {
                out.put_u8(2);
                out.put_u64_le(revision.0);
            }
        }
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        match from.try_get_u8().ok()? {
            0 => Some(Self::Anything),
            1 => Some(Self::Present),
            2 => Some(Self::Revision(Revision(from.try_get_u64_le().ok()?))),
            _ => None,
        }
    }
}

impl Op {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64 + self.size());
        out.put_u8(VERSION);
        self.put(&mut out);
        out.freeze()
    }

    fn size(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len() + 20,
            Self::Get { key } | Self::Delete { key, .. } => key.len() + 20,
            Self::List { prefix, after, .. } => prefix.len() + after.len() + 20,
            Self::Expire => 0,
            Self::Batch(all) => all.iter().map(Self::size).sum(),
        }
    }

    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Get { key } => {
                out.put_u8(0);
                put_bytes(out, key);
            }
            Self::Put { key, value, expect, ttl } => {
                match ttl {
                    None => out.put_u8(1),
                    Some(Ttl(ttl)) => {
                        out.put_u8(5);
                        out.put_u64_le(*ttl);
                    }
                }
                expect.put(out);
                put_bytes(out, key);
                put_bytes(out, value);
            }
            Self::Delete { key, expect } => {
                out.put_u8(2);
                expect.put(out);
                put_bytes(out, key);
            }
            Self::List { prefix, after, limit } => {
                out.put_u8(3);
                put_bytes(out, prefix);
                put_bytes(out, after);
                out.put_u32_le(*limit);
            }
            Self::Batch(all) => {
                out.put_u8(4);
                out.put_u32_le(u32::try_from(all.len()).unwrap_or(u32::MAX));
                all.iter().for_each(|op| op.put(out));
            }
            Self::Expire => out.put_u8(6),
        }
    }

    /// The operation that these bytes are, if they are one. Keys and values share their memory.
    #[must_use]
    pub fn decode(mut body: Bytes) -> Option<Self> {
        if body.try_get_u8().ok()? != VERSION {
            return None;
        }
        let op = Self::take(&mut body, true)?;
        body.is_empty().then_some(op)
    }

    fn take(from: &mut Bytes, may_be_batch: bool) -> Option<Self> {
        match from.try_get_u8().ok()? {
            0 => Some(Self::Get { key: take_bytes(from)? }),
            1 => Self::take_put(from, None),
            2 => {
                let expect = Expect::take(from)?;
                Some(Self::Delete { expect, key: take_bytes(from)? })
            }
            3 => {
                let (prefix, after) = (take_bytes(from)?, take_bytes(from)?);
                Some(Self::List { prefix, after, limit: from.try_get_u32_le().ok()? })
            }
            4 if may_be_batch => {
                let count = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
                if count > BATCH_MAX || count > from.len() {
                    return None;
                }
                (0..count).map(|_| Self::take(from, false)).collect::<Option<_>>().map(Self::Batch)
            }
            5 => {
                let ttl = Ttl(from.try_get_u64_le().ok()?);
                Self::take_put(from, Some(ttl))
            }
            6 => Some(Self::Expire),
            _ => None,
        }
    }

    fn take_put(from: &mut Bytes, ttl: Option<Ttl>) -> Option<Self> {
        let expect = Expect::take(from)?;
        Some(Self::Put { expect, ttl, key: take_bytes(from)?, value: take_bytes(from)? })
    }
}

impl Answer {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        self.put(&mut out);
        out.freeze()
    }

    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Value(value, revision, expiry) => {
                match expiry {
                    None => out.put_u8(0),
                    Some(Expiry(at)) => {
                        out.put_u8(8);
                        out.put_u64_le(*at);
                    }
                }
                out.put_u64_le(revision.0);
                put_bytes(out, value);
            }
            Self::Missing => out.put_u8(1),
            Self::Written { revision, before } => {
                out.put_u8(2);
                out.put_u64_le(revision.0);
                out.put_u64_le(before.0);
            }
            Self::Deleted(revision) => {
                out.put_u8(3);
                out.put_u64_le(revision.0);
            }
            Self::Conflict(revision) => {
                out.put_u8(4);
                out.put_u64_le(revision.0);
            }
            Self::Listed(found, more) => {
                out.put_u8(5);
                out.put_u8(u8::from(*more));
                out.put_u32_le(u32::try_from(found.len()).unwrap_or(u32::MAX));
                for Found { key, value, revision } in found {
                    put_bytes(out, key);
                    put_bytes(out, value);
                    out.put_u64_le(revision.0);
                }
            }
            Self::Batch(all) => {
                out.put_u8(6);
                out.put_u32_le(u32::try_from(all.len()).unwrap_or(u32::MAX));
                all.iter().for_each(|answer| answer.put(out));
            }
            Self::Malformed => out.put_u8(7),
            Self::Due(None) => out.put_u8(9),
            Self::Due(Some(Expiry(at))) => {
                out.put_u8(10);
                out.put_u64_le(*at);
            }
        }
    }

    /// The answer that these bytes are, if they are one.
    #[must_use]
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let answer = Self::take(&mut bytes, true)?;
        bytes.is_empty().then_some(answer)
    }

    fn take(from: &mut Bytes, may_be_batch: bool) -> Option<Self> {
        let revision = |from: &mut Bytes| from.try_get_u64_le().ok().map(Revision);
        match from.try_get_u8().ok()? {
            0 => {
                let revision = revision(from)?;
                Some(Self::Value(take_bytes(from)?, revision, None))
            }
            1 => Some(Self::Missing),
            2 => Some(Self::Written { revision: revision(from)?, before: revision(from)? }),
            3 => Some(Self::Deleted(revision(from)?)),
            4 => Some(Self::Conflict(revision(from)?)),
            5 => {
                let more = from.try_get_u8().ok()? == 1;
                let count = usize::try_from(from.try_get_u32_le().ok()?).ok().filter(|count| *count <= from.len())?;
                let one = |from: &mut Bytes| {
                    Some(Found { key: take_bytes(from)?, value: take_bytes(from)?, revision: revision(from)? })
                };
                let found = (0..count).map(|_| one(from)).collect::<Option<_>>()?;
                Some(Self::Listed(found, more))
            }
            6 if may_be_batch => {
                let count = usize::try_from(from.try_get_u32_le().ok()?).ok().filter(|count| *count <= from.len())?;
                (0..count).map(|_| Self::take(from, false)).collect::<Option<_>>().map(Self::Batch)
            }
            7 => Some(Self::Malformed),
            8 => {
                let (expiry, revision) = (Expiry(from.try_get_u64_le().ok()?), revision(from)?);
                Some(Self::Value(take_bytes(from)?, revision, Some(expiry)))
            }
            9 => Some(Self::Due(None)),
            10 => Some(Self::Due(Some(Expiry(from.try_get_u64_le().ok()?)))),
            _ => None,
        }
    }
}
