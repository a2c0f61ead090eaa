//! Bytes ⇄ messages, writes and events: frame, checksum, limits, and a decoder that is total.
//!
//! Owns the bytes, and is the only file that names bincode (pinned: DESIGN §2). Must not know what any message
//! makes a replica do. Paper: none; DESIGN §2, 9.8, 9.18.
//!
//! A frame is one value, little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | `V` |
//! | 1 | which type: `M` message, `W` write, `E` event; of a recording `O` opening, `R` middle of a life, `U` what is missing |
//! | 2 | [`PROTOCOL_VERSION`] |
//! | 4 | length of the payload |
//! | 8 | xxh3-64 of the payload |
//! | … | the payload: what bincode 2 (`standard()`) makes of the value through serde |
//!
//! Every value has exactly one encoding, and every frame that is accepted is the encoding of what it gave: numbers
//! in a longer form than necessary are refused. Bodies are not copied: they share the frame's memory, and keep it
//! alive. Entry hashes are not in a frame: they are computed when it is decoded. Decoding allocates in proportion
//! to what was really read, never to what a length claims: a list is refused when its elements cannot fit into the
//! bytes that are left, and before its elements are read gets room for no more than twice those bytes.

mod error;
mod opening;
mod pieces;
mod shapes;

pub use self::error::{Fault, WireError};
pub use self::opening::Unwritten;
pub use self::pieces::encode_shared;

use crate::action::Write;
use crate::config::ClusterConfig;
use crate::event::Event;
use crate::id::{Hash, count, index};
use crate::message::{Message, PROTOCOL_VERSION};
use crate::opening::{Midway, Opening};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// Bytes of a frame before its payload.
pub const FRAME_HEADER_BYTES: usize = 16;
/// The largest view, op, epoch, incarnation or other number that replicas count up: no run reaches it, and nobody
/// who is told one gets stuck at the end of the numbers. Numbers that clients choose are not bounded.
pub const COUNTER_MAX: u64 = u64::MAX / 2;

/// What a decoder accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest frame, header included: [`ClusterConfig::max_message_bytes`] for messages.
    pub frame_bytes: usize,
}

impl Limits {
    /// The longest frame that the format can express, for what comes from the own disk.
    pub const NONE: Self = Self { frame_bytes: usize::MAX };

    /// What a replica of this cluster accepts from its peers.
    #[must_use]
    pub fn of(cluster: &ClusterConfig) -> Self {
        Self { frame_bytes: index(cluster.max_message_bytes.into()) }
    }
}

impl Default for Limits {
    /// 8 MiB, as [`ClusterConfig::of_size`] has it.
    fn default() -> Self {
        Self { frame_bytes: 8 << 20 }
    }
}

/// Appends the frame of a message. Allocates only when `out` has too little room.
///
/// # Panics
/// When the payload exceeds 4 GiB, which `max_message_bytes` rules out.
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    seal(message, out);
}

/// Appends the frame of a write. Allocates only when `out` has too little room.
///
/// # Panics
/// When the payload exceeds 4 GiB.
pub fn encode_write(write: &Write, out: &mut Vec<u8>) {
    seal(write, out);
}

/// Appends the frame of an event. Allocates only when `out` has too little room.
///
/// # Panics
/// When the payload exceeds 4 GiB.
pub fn encode_event(event: &Event, out: &mut Vec<u8>) {
    seal(event, out);
}

/// Appends the frame of the opening of a life.
///
/// # Panics
/// When the payload exceeds 4 GiB.
pub fn encode_opening(opening: &Opening, out: &mut Vec<u8>) {
    seal(opening, out);
}

/// Appends the frame of a replica in the middle of a life.
///
/// # Panics
/// When the payload exceeds 4 GiB.
pub fn encode_midway(midway: &Midway, out: &mut Vec<u8>) {
    seal(midway, out);
}

/// Appends the frame that says how many events are missing: as long for every number.
pub fn encode_unwritten(unwritten: Unwritten, out: &mut Vec<u8>) {
    seal(&unwritten, out);
}

/// How long the frame of a message is, without making it.
#[must_use]
pub fn encoded_size(message: &Message) -> usize {
    let mut size = Count(FRAME_HEADER_BYTES);
    message.put(&mut size);
    size.0
}

/// The message in a frame, within the default limits.
///
/// # Errors
/// The first thing that is wrong.
pub fn decode(frame: &Bytes) -> Result<Message, WireError> {
    decode_within(frame, &Limits::default())
}

/// The message in a frame.
///
/// # Errors
/// The first thing that is wrong.
pub fn decode_within(frame: &Bytes, limits: &Limits) -> Result<Message, WireError> {
    open(frame, limits)
}

/// The write in a frame.
///
/// # Errors
/// The first thing that is wrong.
pub fn decode_write(frame: &Bytes, limits: &Limits) -> Result<Write, WireError> {
    open(frame, limits)
}

/// The event in a frame.
///
/// # Errors
/// The first thing that is wrong.
pub fn decode_event(frame: &Bytes, limits: &Limits) -> Result<Event, WireError> {
    open(frame, limits)
}

/// The opening in a frame.
///
/// # Errors
/// The first thing that is wrong.
pub fn decode_opening(frame: &Bytes, limits: &Limits) -> Result<Opening, WireError> {
    open(frame, limits)
}

/// The middle of a life in a frame.
///
/// # Errors
/// The first thing that is wrong.
pub fn decode_midway(frame: &Bytes, limits: &Limits) -> Result<Midway, WireError> {
    open(frame, limits)
}

/// The number in a frame.
///
/// # Errors
/// The first thing that is wrong.
pub fn decode_unwritten(frame: &Bytes, limits: &Limits) -> Result<Unwritten, WireError> {
    open(frame, limits)
}

/// How long the frame is, of any type, that starts with these bytes: for readers of a stream or a file of frames.
///
/// # Errors
/// When no frame starts like this, or a longer one than the limit.
pub fn frame_length(start: &[u8], limits: &Limits) -> Result<usize, WireError> {
    let header = Header::read(start)?;
    let bytes = usize::try_from(header.length).ok().and_then(|length| length.checked_add(FRAME_HEADER_BYTES));
    let bytes = bytes.unwrap_or(usize::MAX);
    if bytes > limits.frame_bytes {
        return Err(WireError::TooLong { bytes, limit: limits.frame_bytes });
    }
    Ok(bytes)
}

/// The xxh3-128 of a value's bincode bytes: equal values, equal digests, on every machine.
///
/// # Panics
/// When the value is of a shape that bincode cannot write: a sequence of unknown length.
#[must_use]
pub fn digest_of<T: Serialize + ?Sized>(value: &T) -> Hash {
    let mut digest = Xxh3Default::new();
    bincode::serde::encode_into_writer(value, Writer(&mut digest), CONFIG).expect("lengths are known");
    Hash(digest.digest128())
}

/// Any value as bytes, without a frame: for what never leaves the machine that also reads it.
///
/// # Panics
/// When the value is of a shape that bincode cannot write: a sequence of unknown length.
#[must_use]
pub fn pack<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).expect("lengths are known")
}

/// The value in such bytes. They are believed less than a frame's: no more room is taken than a few times their length,
/// 1 GiB at most, and nothing may be left over.
///
/// # Errors
/// When they are not those of such a value.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    fn within<T: DeserializeOwned, const N: usize>(bytes: &[u8]) -> Result<(T, usize), WireError> {
        let config = bincode::config::standard().with_limit::<N>();
        bincode::serde::decode_from_slice(bytes, config).map_err(|_| WireError::Ended)
    }
    let (value, used) = match bytes.len() {
        0..=0xF_FFFF => within::<T, { 1 << 24 }>(bytes),
        0x10_0000..=0xFF_FFFF => within::<T, { 1 << 28 }>(bytes),
        _ => within::<T, { 1 << 30 }>(bytes),
    }?;
    if used == bytes.len() { Ok(value) } else { Err(WireError::Trailing { bytes: bytes.len() - used }) }
}

/// Feeds any bytes to the decoders: as they are, and as the payload of a frame whose checksum is right.
///
/// # Panics
/// When a decoder panics, or accepts what is not the encoding of what it gave.
pub fn fuzz_decode(data: &[u8]) {
    fuzz_as::<Message>(data);
    fuzz_as::<Write>(data);
    fuzz_as::<Event>(data);
    fuzz_as::<Opening>(data);
    fuzz_as::<Midway>(data);
    fuzz_as::<Unwritten>(data);
}

fn fuzz_as<T: Framed + PartialEq + fmt::Debug>(data: &[u8]) {
    let mut framed = Vec::with_capacity(FRAME_HEADER_BYTES + data.len());
    framed.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    framed.extend_from_slice(data);
    write_header::<T>(&mut framed);
    for frame in [Bytes::copy_from_slice(data), Bytes::from(framed)] {
        let Ok(value) = open::<T>(&frame, &Limits::NONE) else { continue };
        let mut again = Vec::new();
        seal(&value, &mut again);
        assert_eq!(again, frame, "a value has one encoding: {value:?}");
        assert_eq!(open(&Bytes::from(again), &Limits::NONE), Ok(value));
    }
}

/// A type that has frames of its own.
trait Framed: Shape {
    const LETTER: u8;
    /// Only recordings have them: states may be left out.
    const IS_RECORDED: bool = false;
}

impl Framed for Message {
    const LETTER: u8 = b'M';
}

impl Framed for Write {
    const LETTER: u8 = b'W';
}

impl Framed for Event {
    const LETTER: u8 = b'E';
    const IS_RECORDED: bool = true;
}

/// The letters of all types that have frames.
const LETTERS: [u8; 6] =
    [Message::LETTER, Write::LETTER, Event::LETTER, Opening::LETTER, Midway::LETTER, Unwritten::LETTER];

struct Header {
    letter: u8,
    version: u16,
    length: u32,
    checksum: u64,
}

impl Header {
    fn read(frame: &[u8]) -> Result<Self, WireError> {
        let Some(&[magic, letter, v0, v1, l0, l1, l2, l3, ref sum @ ..]) = frame.first_chunk::<FRAME_HEADER_BYTES>()
        else {
            return Err(WireError::Short { bytes: frame.len() });
        };
        if magic != b'V' || !LETTERS.contains(&letter) {
            return Err(WireError::NotAFrame);
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != PROTOCOL_VERSION {
            return Err(WireError::OtherVersion { version });
        }
        Ok(Self { letter, version, length: u32::from_le_bytes([l0, l1, l2, l3]), checksum: u64::from_le_bytes(*sum) })
    }

    fn bytes(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[0] = b'V';
        bytes[1] = self.letter;
        bytes[2..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }
}

fn seal<T: Framed>(value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    value.put(out);
    write_header::<T>(&mut out[start..]);
}

/// Fills in the header of a frame whose payload is in place.
fn write_header<T: Framed>(frame: &mut [u8]) {
    let (header, payload) = frame.split_at_mut(FRAME_HEADER_BYTES);
    let length = u32::try_from(payload.len()).expect("a payload has less than 4 GiB");
    let of = Header { letter: T::LETTER, version: PROTOCOL_VERSION, length, checksum: xxh3_64(payload) };
    header.copy_from_slice(&of.bytes());
}

fn open<T: Framed>(frame: &Bytes, limits: &Limits) -> Result<T, WireError> {
    if frame.len() > limits.frame_bytes {
        return Err(WireError::TooLong { bytes: frame.len(), limit: limits.frame_bytes });
    }
    let header = Header::read(frame)?;
    if header.letter != T::LETTER {
        return Err(WireError::OtherType { letter: header.letter });
    }
    let payload = &frame[FRAME_HEADER_BYTES..];
    if u64::from(header.length) != count(payload.len()) {
        return Err(WireError::Length { said: header.length, came: payload.len() });
    }
    if header.checksum != xxh3_64(payload) {
        return Err(WireError::Checksum);
    }
    let mut source = Source { frame, rest: payload, is_recorded: T::IS_RECORDED };
    let value = T::get(&mut source)?;
    if source.rest.is_empty() { Ok(value) } else { Err(WireError::Trailing { bytes: source.rest.len() }) }
}

/// How a type is laid out in a payload: exactly as bincode writes it through serde, which a test holds.
///
/// It is spelt out because decoding through serde copies bodies, reserves room for what a length claims, and
/// allocates a text to say what is wrong.
trait Shape: Sized {
    fn put(&self, to: &mut impl Sink);
    fn get(from: &mut Source<'_>) -> Result<Self, WireError>;
}

/// Where a payload goes.
trait Sink {
    fn put(&mut self, bytes: &[u8]);

    /// What need not be copied where it can be kept as it is.
    fn share(&mut self, bytes: &Bytes) {
        self.put(bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Xxh3Default {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

struct Count(usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// What is left of a payload.
#[derive(Clone)]
struct Source<'a> {
    frame: &'a Bytes,
    rest: &'a [u8],
    is_recorded: bool,
}

// Below, bincode: how it writes numbers, and (above, for digests) how it writes what serde tells it.

/// Every number is decoded by a call of its own, so that 16 bytes are enough for each.
const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<16>,
> = bincode::config::standard().with_limit::<16>();

struct Writer<'a, S>(&'a mut S);

impl<S: Sink> bincode::enc::write::Writer for Writer<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.put(bytes);
        Ok(())
    }
}

fn put_number(number: impl bincode::Encode, to: &mut impl Sink) {
    bincode::encode_into_writer(number, Writer(to), CONFIG).expect("a sink takes every byte");
}

/// How many bytes a number takes.
const fn shortest(number: u64) -> usize {
    match number {
        0..=250 => 1,
        251..=0xFFFF => 3,
        0x1_0000..=0xFFFF_FFFF => 5,
        0x1_0000_0000..=u64::MAX => 9,
    }
}

impl<'a> Source<'a> {
    fn decoded<N: bincode::Decode<()>>(&mut self, shortest: impl Fn(&N) -> usize) -> Result<N, WireError> {
        let (number, used) = bincode::decode_from_slice::<N, _>(self.rest, CONFIG).map_err(|error| {
            let ended = matches!(error, bincode::error::DecodeError::UnexpectedEnd { .. });
            if ended { WireError::Ended } else { WireError::Number }
        })?;
        if used != shortest(&number) {
            return Err(WireError::Number);
        }
        self.take(used)?;
        Ok(number)
    }

    fn number(&mut self) -> Result<u64, WireError> {
        self.decoded(|number| shortest(*number))
    }

    fn wide_number(&mut self) -> Result<u128, WireError> {
        self.decoded(|number| u64::try_from(*number).map_or(17, shortest))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(WireError::Ended)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        let (byte, rest) = self.rest.split_first().ok_or(WireError::Ended)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// A length-prefixed run of bytes that shares the frame's memory.
    fn bytes(&mut self) -> Result<Bytes, WireError> {
        let length = usize::try_from(self.number()?).map_err(|_| WireError::Ended)?;
        let bytes = self.take(length)?;
        Ok(self.frame.slice_ref(bytes))
    }

    /// The length of a list, refused when so many elements of at least `each` bytes cannot follow.
    fn list_length(&mut self, what: &'static str, each: usize) -> Result<usize, WireError> {
        let claimed = self.number()?;
        let limit = self.rest.len() / each;
        usize::try_from(claimed).ok().filter(|length| *length <= limit).ok_or(WireError::TooMany {
            what,
            claimed,
            limit,
        })
    }
}

#[cfg(test)]
mod tests;
