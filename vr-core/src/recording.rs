//! Flight recordings: what one replica was given in its lives, as bytes, for somebody else to repeat and to judge.
//!
//! Owns the order of the frames of a recording and its reader, which is total: any bytes give what of them can be
//! trusted, and where that ends. Must not know files, nor what is judged (`vr_sim::flight`). Paper: none; DESIGN §5.
//!
//! A recording is a run of frames of [`crate::wire`]: an [`Opening`], then every [`Event`] in the order in which the
//! replica was stepped, then perhaps the opening of its next life, and so on. Where the beginning of a life was given up,
//! a [`Midway`] stands in the opening's place: what the replica was then, and how many events had happened to it.
//! Before either may stand how many events are missing behind the last one that is here: 0 until some are.
//!
//! The bytes of the service's state are left out: the replica never looks at them, and they can be a thousand times what
//! happened meanwhile. Digests and lengths are here; parts of a checkpoint that the repetition sends hold zeros in their
//! place. Whoever records
//!
//! - writes the opening before the first action of `Replica::open` is carried out, and each event before anything that it
//!   led to leaves the process or goes to the disk: what a process that is killed had said is then explained by its recording;
//! - appends to what is in memory of the operating system, no more: a recording outlives the process, not the machine;
//! - begins a new file for a new life: what follows a torn frame is not read.

use crate::checkpoint::Checkpoint;
use crate::event::{Event, Input};
use crate::opening::{Midway, Opening};
use crate::wire::{self, FRAME_HEADER_BYTES, Limits, Unwritten, WireError};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// Appends the beginning of a life, without the bytes of the service's state.
///
/// # Panics
/// When the log on the disk exceeds 4 GiB.
pub fn begin(opening: &Opening, out: &mut Vec<u8>) {
    let mut lean = opening.clone();
    lean.stored.checkpoint = opening.stored.checkpoint.as_ref().map(Checkpoint::without_state);
    wire::encode_opening(&lean, out);
}

/// Appends the middle of a life.
///
/// # Panics
/// When the image exceeds 4 GiB.
pub fn resume(midway: &Midway, out: &mut Vec<u8>) {
    wire::encode_midway(midway, out);
}

/// How long [`missing`] is, whatever it says.
pub const MISSING_BYTES: usize = FRAME_HEADER_BYTES + size_of::<u64>();

/// Appends how many events could not be recorded after the last one that is here. It stands first, so that it can be written
/// over in place: that needs no room on a disk that has none.
pub fn missing(events: u64, out: &mut Vec<u8>) {
    wire::encode_unwritten(Unwritten(events), out);
}

/// Appends an event of the life; of a checkpoint not the bytes of the service's state.
///
/// # Panics
/// When it exceeds 4 GiB, which the limits of a cluster rule out.
pub fn add(event: &Event, out: &mut Vec<u8>) {
    let Input::CheckpointGiven(checkpoint) = &event.input else { return wire::encode_event(event, out) };
    let input = Input::CheckpointGiven(Box::new(checkpoint.without_state()));
    wire::encode_event(&Event { at: event.at, input }, out);
}

/// One life, as it was recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    /// How it began.
    pub opening: Opening,
    /// What happened in it, in order.
    pub events: Vec<Event>,
}

/// The rest of a life, or some of it: its beginning is not here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Where it begins.
    pub midway: Midway,
    /// What happened from there on, in order.
    pub events: Vec<Event>,
}

/// What a file of recordings holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recording {
    /// The lives of which the beginning is here, in order.
    pub lives: Vec<Life>,
    /// Those of which it is not.
    pub parts: Vec<Part>,
    /// How many bytes at the end are the beginning of a frame: normal after a kill.
    pub torn_bytes: usize,
    /// How many events happened after the last one and could not be recorded.
    pub missing: u64,
}

impl Recording {
    /// Adds a frame.
    fn take(&mut self, frame: &Bytes, is_part: &mut Option<bool>) -> Result<(), Refused> {
        match wire::decode_event(frame, &Limits::NONE) {
            Ok(event) => match (*is_part, self.lives.last_mut(), self.parts.last_mut()) {
                (Some(false), Some(life), _) => life.events.push(event),
                (Some(true), _, Some(part)) => part.events.push(event),
                (None | Some(_), _, _) => return Err(Refused::Orphan),
            },
            Err(WireError::OtherType { letter: b'R' }) => {
                let midway = wire::decode_midway(frame, &Limits::NONE).map_err(Refused::Frame)?;
                self.parts.push(Part { midway, events: Vec::new() });
                *is_part = Some(true);
            }
            Err(WireError::OtherType { letter: b'U' }) => {
                let Unwritten(events) = wire::decode_unwritten(frame, &Limits::NONE).map_err(Refused::Frame)?;
                self.missing = self.missing.saturating_add(events);
            }
            Err(WireError::OtherType { .. }) => {
                let opening = wire::decode_opening(frame, &Limits::NONE).map_err(Refused::Frame)?;
                self.lives.push(Life { opening, events: Vec::new() });
                *is_part = Some(false);
            }
            Err(error) => return Err(Refused::Frame(error)),
        }
        Ok(())
    }
}

enum Refused {
    Frame(WireError),
    /// An event of no life.
    Orphan,
}

/// Why bytes are no recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordingError {
    /// A frame is whole and wrong: what it says cannot be trusted, and nothing after it.
    Damaged {
        /// Where it begins.
        offset: usize,
        /// What is wrong with it.
        error: WireError,
    },
    /// It begins with an event: the life it belongs to is missing.
    NoOpening,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { offset, error } => write!(f, "the frame at byte {offset} is damaged: {error}"),
            Self::NoOpening => f.write_str("it does not begin with the opening of a replica"),
        }
    }
}

impl core::error::Error for RecordingError {}

/// Reads a recording.
///
/// # Errors
/// When a frame other than one that was cut off at the end is not what somebody recorded.
pub fn read(bytes: &Bytes) -> Result<Recording, RecordingError> {
    let (mut recording, mut is_part) = (Recording::default(), None);
    let mut offset = 0;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        let damaged = |error| RecordingError::Damaged { offset, error };
        if rest.len() < FRAME_HEADER_BYTES {
            recording.torn_bytes = rest.len();
            break;
        }
        let length = wire::frame_length(rest, &Limits::NONE).map_err(damaged)?;
        if length > rest.len() {
            recording.torn_bytes = rest.len();
            break;
        }
        let frame = bytes.slice(offset..offset + length);
        recording.take(&frame, &mut is_part).map_err(|refused| match refused {
            Refused::Frame(error) => damaged(error),
            Refused::Orphan => RecordingError::NoOpening,
        })?;
        offset += length;
    }
    Ok(recording)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Write;
    use crate::config::{ClusterConfig, Config};
    use crate::entry::Predicted;
    use crate::event::Input;
    use crate::id::{ClusterId, Hash, Incarnation, Instance, Op, ReplicaId, Time};
    use crate::log::Head;
    use crate::stored::{Damage, Stored};
    use alloc::vec;

    fn opening() -> Opening {
        let config = Config::new(ClusterConfig::of_size(ClusterId(1), 3), ReplicaId(2));
        let mut stored = Stored::format(ClusterId(1), config.cluster.digest(), ReplicaId(2), Instance(7));
        stored.damage = Some(Damage::of_end(Op(1)));
        Opening { config, stored, at: Time(5), host: Time(500) }
    }

    fn recorded() -> (Vec<u8>, Recording) {
        let events = vec![
            Event { at: Time(6), input: Input::Tick },
            Event { at: Time(7), input: Input::Space(false) },
            Event { at: Time(8), input: Input::Stop },
        ];
        let mut bytes = Vec::new();
        let mut lives = Vec::new();
        for _ in 0..2 {
            begin(&opening(), &mut bytes);
            events.iter().for_each(|event| add(event, &mut bytes));
            lives.push(Life { opening: opening(), events: events.clone() });
        }
        (bytes, Recording { lives, ..Recording::default() })
    }

    #[test]
    fn a_recording_is_read_as_it_was_written() {
        let (bytes, recording) = recorded();
        assert_eq!(read(&Bytes::from(bytes)), Ok(recording));
        assert_eq!(read(&Bytes::new()), Ok(Recording::default()));
    }

    /// As it is read back, and what a replica never does: written to a disk.
    #[test]
    fn the_bytes_of_a_service_s_state_are_in_no_recording_and_only_there_can_they_be_missing() {
        let head = Head { op: Op(9), hash: Hash(3) };
        let state = Bytes::from(vec![7; 100_000]);
        let whole = Checkpoint::new(head, Predicted::default(), Bytes::from_static(b"table"), state);
        let given = |checkpoint: &Checkpoint| Input::CheckpointGiven(Box::new(checkpoint.clone()));
        let mut opening = opening();
        opening.stored.checkpoint = Some(whole.clone());
        let mut bytes = Vec::new();
        begin(&opening, &mut bytes);
        add(&Event { at: Time(6), input: given(&whole) }, &mut bytes);
        assert!(bytes.len() < 1_000, "{}", bytes.len());
        opening.stored.checkpoint = Some(whole.without_state());
        let events = vec![Event { at: Time(6), input: given(&whole.without_state()) }];
        let expected = Recording { lives: vec![Life { opening, events }], ..Recording::default() };
        assert_eq!(read(&bytes.into()), Ok(expected));
        let mut written = Vec::new();
        wire::encode_write(&Write::Checkpoint(Box::new(whole.without_state())), &mut written);
        assert_eq!(wire::decode_write(&written.into(), &Limits::NONE), Err(WireError::Ended));
    }

    #[test]
    fn a_recording_that_was_cut_off_anywhere_gives_what_was_whole() {
        let (bytes, whole) = recorded();
        for end in 0..bytes.len() {
            let recording = read(&Bytes::copy_from_slice(&bytes[..end])).expect("cut off, not damaged");
            let events = recording.lives.iter().map(|life| life.events.len()).sum::<usize>();
            assert!(events <= 6 && recording.lives.len() <= whole.lives.len());
            assert!(recording.torn_bytes < bytes.len());
        }
    }

    #[test]
    fn no_bit_of_a_recording_can_be_changed_unnoticed() {
        let (bytes, whole) = recorded();
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            let changed = read(&Bytes::from(other));
            let cut = changed.as_ref().is_ok_and(|recording| recording.torn_bytes > 0);
            assert!(cut || changed.is_err(), "bit {bit} of {whole:?}");
        }
    }

    #[test]
    fn a_recording_whose_beginning_was_given_up_says_how_much_and_goes_on_from_a_state() {
        let Opening { config, at, host, .. } = opening();
        let image = Bytes::from_static(b"whatever a replica makes of itself");
        let midway = Midway { config, life: Incarnation(4), at, host, events: 70_000, image };
        let event = Event { at: Time(9), input: Input::Tick };
        let mut bytes = Vec::new();
        missing(3, &mut bytes);
        assert_eq!(bytes.len(), MISSING_BYTES);
        resume(&midway, &mut bytes);
        add(&event, &mut bytes);
        let expected =
            Recording { parts: vec![Part { midway, events: vec![event] }], missing: 3, ..Recording::default() };
        assert_eq!(read(&Bytes::from(bytes.clone())), Ok(expected));
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            let changed = read(&Bytes::from(other));
            assert!(changed.is_err() || changed.is_ok_and(|recording| recording.torn_bytes > 0), "bit {bit}");
        }
        let mut zero = Vec::new();
        missing(u64::MAX, &mut zero);
        assert_eq!(zero.len(), MISSING_BYTES, "it is written over in place");
    }

    #[test]
    fn events_without_a_beginning_are_refused() {
        let mut bytes = Vec::new();
        add(&Event { at: Time(1), input: Input::Tick }, &mut bytes);
        assert_eq!(read(&Bytes::from(bytes)), Err(RecordingError::NoOpening));
    }
}
