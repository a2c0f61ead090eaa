//! Requests, and the entries they become: one op, one request, chained by hash to everything before it.
//!
//! Owns the layout an entry's hash covers and the shared run of entries that logs, messages, writes and
//! upcalls pass around without copying. Must not know who sends or stores them. Paper: VRR §4.1.

use crate::hash;
use crate::id::{ClientId, ClusterId, Epoch, Hash, Op, RequestNumber, Session, View, count, index};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// What an entry asks the group to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Open a session for the client (PROTOCOL 1.2). The body is empty.
    Register,
    /// Execute the body on the service.
    Operation,
    /// Experimental. End the epoch: the body names the group of the next one (VRR §7). The service never sees it.
    Reconfiguration,
}

/// What the primary predicts for the execution of an op, so that every replica computes the same (VRR §4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, Serialize, Deserialize)]
pub struct Predicted {
    /// Wall clock, nanoseconds since the Unix epoch. Strictly increasing from op to op, across views too.
    pub wall_ns: u64,
    /// Seed for any random choice the service makes.
    pub seed: u64,
}

/// A client's request (VRR §4.1: ⟨REQUEST op, c, s⟩).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub client: ClientId,
    /// In which session; [`Session::ZERO`] for a `Register`.
    pub session: Session,
    /// The request-number; [`RequestNumber::ZERO`] for a `Register`.
    pub number: RequestNumber,
    /// Operation or registration.
    pub kind: Kind,
    /// What the driver predicts: its clock and a seed. The core makes the clock monotonic.
    pub predicted: Predicted,
    /// The operation, opaque to the protocol.
    pub body: Bytes,
}

/// A question of a client that changes nothing: it is answered from the service's state and never logged (VRR §6.3).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Query {
    /// Who asks. No session is needed.
    pub client: ClientId,
    /// What the client calls it, by which it knows the answer or the refusal. The replica compares it with nothing.
    pub number: RequestNumber,
    /// The question, opaque to the protocol.
    pub body: Bytes,
}

/// One entry of the log. Immutable; its hash names it and everything before it.
#[derive(Clone)]
pub struct Entry {
    epoch: Epoch,
    view: View,
    op: Op,
    parent: Hash,
    hash: Hash,
    client: ClientId,
    session: Session,
    number: RequestNumber,
    predicted: Predicted,
    kind: Kind,
    body: Bytes,
}

/// Bytes of an entry's fixed fields in the layout its hash covers.
pub const HASHED_HEADER_BYTES: usize = hash::FIELDS_BYTES;

/// The hash before the first entry of a cluster: every log starts from it.
#[must_use]
pub fn genesis(cluster: ClusterId) -> Hash {
    let mut bytes = *b"vr-core genesis\0................";
    bytes[16..].copy_from_slice(&cluster.0.to_le_bytes());
    Hash(xxh3_128(&bytes))
}

/// The layout the hash covers, little-endian, never the wire bytes: epoch 8, view 8, op 8, parent 16,
/// client 16, session 8, number 8, wall clock 8, seed 8, body length 8, kind 1, then the body.
#[inline(always)] // see `Entry::new`
fn hash_of((epoch, view, op, parent): (Epoch, View, Op, Hash), request: &Request) -> u128 {
    let Request { client, session, number, kind, predicted, body } = request;
    let ([parent_low, parent_high], [client_low, client_high]) = (hash::halves(parent.0), hash::halves(client.0));
    let Predicted { wall_ns, seed } = *predicted;
    let length = count(body.len());
    let fields = [
        epoch.0,
        view.0,
        op.0,
        parent_low,
        parent_high,
        client_low,
        client_high,
        session.0,
        number.0,
        wall_ns,
        seed,
        length,
    ];
    let kind = match kind {
        Kind::Register => 0,
        Kind::Operation => 1,
        Kind::Reconfiguration => 2,
    };
    hash::hash(fields, kind, body)
}

impl Entry {
    /// The entry that `request` becomes when the primary of `view` puts it at `op` after `parent`.
    #[must_use]
    #[inline(always)] // moving a request and hashing it from memory cost more than the hash
    pub fn new(epoch: Epoch, view: View, op: Op, parent: Hash, request: Request) -> Self {
        let hash = Hash(hash_of((epoch, view, op, parent), &request));
        let Request { client, session, number, kind, predicted, body } = request;
        Self { epoch, view, op, parent, hash, client, session, number, predicted, kind, body }
    }

    /// The epoch it was first prepared in.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }
    /// The view it was first prepared in; kept when a later view adopts it.
    #[must_use]
    pub const fn view(&self) -> View {
        self.view
    }
    /// Its position in the log.
    #[must_use]
    pub const fn op(&self) -> Op {
        self.op
    }
    /// The hash of the entry before it.
    #[must_use]
    pub const fn parent(&self) -> Hash {
        self.parent
    }
    /// Its hash, computed when it was made or decoded, never taken from a peer.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }
    /// The client that asked.
    #[must_use]
    pub const fn client(&self) -> ClientId {
        self.client
    }
    /// The session it asked in.
    #[must_use]
    pub const fn session(&self) -> Session {
        self.session
    }
    /// The request-number.
    #[must_use]
    pub const fn number(&self) -> RequestNumber {
        self.number
    }
    /// What the primary predicted.
    #[must_use]
    pub const fn predicted(&self) -> Predicted {
        self.predicted
    }
    /// Operation, registration or reconfiguration.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }
    /// The operation, opaque to the protocol.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
    /// The request this entry came from.
    #[must_use]
    pub fn request(&self) -> Request {
        Request {
            client: self.client,
            session: self.session,
            number: self.number,
            kind: self.kind,
            predicted: self.predicted,
            body: self.body.clone(),
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Entry {}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, view, client, number, kind, .. } = self;
        write!(f, "{op:?}@{view:?} {client:?}{number:?} {kind:?} {}B", self.body.len())
    }
}

/// An entry as it is written down: everything but the hash, which the reader computes.
#[derive(Serialize, Deserialize)]
struct Written {
    epoch: Epoch,
    view: View,
    op: Op,
    parent: Hash,
    request: Request,
}

impl Serialize for Entry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { epoch, view, op, parent, .. } = *self;
        Written { epoch, view, op, parent, request: self.request() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { epoch, view, op, parent, request } = Written::deserialize(deserializer)?;
        Ok(Self::new(epoch, view, op, parent, request))
    }
}

/// A run of consecutive, chained entries, shared: cloning or slicing one copies no entry.
#[derive(Clone)]
pub struct Entries {
    all: Arc<[Entry]>,
    from: u32,
    to: u32,
}

impl Entries {
    /// Takes over `entries` if they are consecutive ops, each chained to the one before it.
    ///
    /// # Errors
    /// Gives the entries back when there is a gap or a broken chain.
    pub fn new(entries: Vec<Entry>) -> Result<Self, Vec<Entry>> {
        let linked = entries.windows(2).all(|w| w[1].op == w[0].op.next() && w[1].parent == w[0].hash);
        let Ok(to) = u32::try_from(entries.len()) else { return Err(entries) };
        if linked { Ok(Self { all: entries.into(), from: 0, to }) } else { Err(entries) }
    }

    /// No entries.
    #[must_use]
    pub fn empty() -> Self {
        Self { all: Arc::from([]), from: 0, to: 0 }
    }

    /// Moves `entries`, which the caller built as a chain, into a shared run; the buffer stays with the caller.
    pub(crate) fn share(entries: &mut Vec<Entry>) -> Self {
        let to = u32::try_from(entries.len()).expect("a batch is bounded by configuration");
        Self { all: entries.drain(..).collect(), from: 0, to }
    }

    /// A shared run of so many entries, each built in its place; the caller builds them as a chain.
    pub(crate) fn build(length: usize, mut next: impl FnMut() -> Entry) -> Self {
        let to = u32::try_from(length).expect("a batch is bounded by configuration");
        Self { all: (0..length).map(|_| next()).collect(), from: 0, to }
    }

    /// The entries.
    #[must_use]
    pub fn as_slice(&self) -> &[Entry] {
        &self.all[index(self.from.into())..index(self.to.into())]
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        index((self.to - self.from).into())
    }

    /// None at all?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// The first.
    #[must_use]
    pub fn first(&self) -> Option<&Entry> {
        self.as_slice().first()
    }

    /// The last.
    #[must_use]
    pub fn last(&self) -> Option<&Entry> {
        self.as_slice().last()
    }

    /// Those from index `from` up to but without index `to`, as far as there are any.
    #[must_use]
    pub fn cut(&self, from: usize, to: usize) -> Self {
        if from == 0 && to >= self.len() {
            return self.clone();
        }
        let len = self.to - self.from;
        let to = u32::try_from(to).unwrap_or(u32::MAX).min(len);
        let from = u32::try_from(from).unwrap_or(u32::MAX).min(to);
        Self { all: Arc::clone(&self.all), from: self.from + from, to: self.from + to }
    }

    /// Without the first `skip`.
    #[must_use]
    pub fn skip(&self, skip: usize) -> Self {
        self.cut(skip, usize::MAX)
    }

    /// Only the first `take`.
    #[must_use]
    pub fn take(&self, take: usize) -> Self {
        self.cut(0, take)
    }

    /// One after the other.
    pub fn iter(&self) -> core::slice::Iter<'_, Entry> {
        self.as_slice().iter()
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = core::slice::Iter<'a, Entry>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl Serialize for Entries {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<Entry>::deserialize(deserializer)?;
        Self::new(entries).map_err(|_| serde::de::Error::custom("entries are not one chain of consecutive ops"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_header_and_the_body_in_one_piece_however_long_they_are() {
        for length in [0, 1, 7, 8, 64, 143, 144, 159, 160, 256, 415, 416, 1951, 1952, 5000] {
            let body: Vec<u8> = (0u8..=255).cycle().take(length).collect();
            let (client, session, number) = (ClientId(7), Session(3), RequestNumber(9));
            let predicted = Predicted { wall_ns: 5, seed: 6 };
            let request =
                Request { client, session, number, kind: Kind::Operation, predicted, body: Bytes::from(body.clone()) };
            let mut whole = Vec::new();
            for word in [1u64, 2, 4] {
                whole.extend_from_slice(&word.to_le_bytes());
            }
            whole.extend_from_slice(&8u128.to_le_bytes());
            whole.extend_from_slice(&7u128.to_le_bytes());
            for word in [3, 9, 5, 6, count(length)] {
                whole.extend_from_slice(&word.to_le_bytes());
            }
            whole.push(1);
            whole.extend_from_slice(&body);
            let entry = Entry::new(Epoch(1), View(2), Op(4), Hash(8), request);
            assert_eq!(entry.hash(), Hash(xxh3_128(&whole)), "{length}");
        }
    }
}
