//! Flight recordings: what one replica was given in its lives, as bytes, for somebody else to repeat and to judge.
//!
//! Owns the order of the frames of a recording and its reader, which is total: any bytes give what of them can be
//! trusted, and where that ends. Must not know files, nor what is judged (`vr_sim::flight`). Paper: none; DESIGN §5.
//!
//! A recording is a run of frames of [`crate::wire`]: an [`Opening`], then every [`Event`] in the order in which the
//! replica was stepped, then perhaps the opening of its next life, and so on. Whoever records
//!
//! - writes the opening before the first action of `Replica::open` is carried out, and each event before its step's
//!   actions are: what a process that is killed had said is then explained by its recording;
//! - appends to what is in memory of the operating system, no more: a recording outlives the process, not the machine;
//! - begins a new file for a new life: what follows a torn frame is not read.

use crate::event::Event;
use crate::opening::Opening;
use crate::wire::{self, FRAME_HEADER_BYTES, Limits, WireError};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// Appends the beginning of a life.
///
/// # Panics
/// When the log on the disk exceeds 4 GiB.
pub fn begin(opening: &Opening, out: &mut Vec<u8>) {
    wire::encode_opening(opening, out);
}

/// Appends an event of the life.
///
/// # Panics
/// When it exceeds 4 GiB, which the limits of a cluster rule out.
pub fn add(event: &Event, out: &mut Vec<u8>) {
    wire::encode_event(event, out);
}

/// One life, as it was recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    /// How it began.
    pub opening: Opening,
    /// What happened in it, in order.
    pub events: Vec<Event>,
}

/// What a file of recordings holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// The lives, in order.
    pub lives: Vec<Life>,
    /// How many bytes at the end are the beginning of a frame: normal after a kill.
    pub torn_bytes: usize,
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
    let mut recording = Recording { lives: Vec::new(), torn_bytes: 0 };
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
        match wire::decode_event(&frame, &Limits::NONE) {
            Ok(event) => match recording.lives.last_mut() {
                Some(life) => life.events.push(event),
                None => return Err(RecordingError::NoOpening),
            },
            Err(WireError::OtherType { .. }) => {
                let opening = wire::decode_opening(&frame, &Limits::NONE).map_err(damaged)?;
                recording.lives.push(Life { opening, events: Vec::new() });
            }
            Err(error) => return Err(damaged(error)),
        }
        offset += length;
    }
    Ok(recording)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClusterConfig, Config};
    use crate::event::Input;
    use crate::id::{ClusterId, Instance, Op, ReplicaId, Time};
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
        (bytes, Recording { lives, torn_bytes: 0 })
    }

    #[test]
    fn a_recording_is_read_as_it_was_written() {
        let (bytes, recording) = recorded();
        assert_eq!(read(&Bytes::from(bytes)), Ok(recording));
        assert_eq!(read(&Bytes::new()), Ok(Recording { lives: Vec::new(), torn_bytes: 0 }));
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
    fn events_without_a_beginning_are_refused() {
        let mut bytes = Vec::new();
        add(&Event { at: Time(1), input: Input::Tick }, &mut bytes);
        assert_eq!(read(&Bytes::from(bytes)), Err(RecordingError::NoOpening));
    }
}
