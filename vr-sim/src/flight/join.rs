//! Recordings, put together: which files are of one life, where each goes on, what is missing.
//!
//! Owns the joining. Must not know how anything is repeated or judged. DESIGN §5.
//!
//! A ring of files overlaps: a file goes on while the next one is begun. What stands in both must be the same, and the state
//! with which the later one begins must be what the events of the earlier ones lead to.

use super::Fault;
use std::collections::BTreeMap;
use vr_core::recording::Recording;
use vr_core::{ClusterConfig, Config, Event, Incarnation, Midway, Opening, ReplicaId, Time};

/// Where a flight begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    Opening(&'a Opening),
    Midway(&'a Midway),
}

/// A life, or a part of it without gaps.
#[derive(Debug)]
pub(super) struct Track<'a> {
    pub(super) origin: Origin<'a>,
    /// How many events of the life came before.
    pub(super) first: u64,
    pub(super) events: Vec<&'a Event>,
    /// After so many of its events, the replica was this.
    pub(super) states: Vec<(usize, &'a Midway)>,
    /// What happened after its last event is not all here.
    pub(super) is_cut: bool,
    /// So much of it is known to have been, and is nowhere.
    missing: u64,
}

/// Replica, life, when that began, how much of it came before.
pub(super) type Place = (ReplicaId, Incarnation, Time, u64);

impl<'a> Origin<'a> {
    pub(super) const fn config(&self) -> &'a Config {
        match self {
            Self::Opening(opening) => &opening.config,
            Self::Midway(midway) => &midway.config,
        }
    }

    /// The replica's own clock and the host's, at the beginning of the life.
    pub(super) const fn clocks(&self) -> (Time, Time) {
        match self {
            Self::Opening(opening) => (opening.at, opening.host),
            Self::Midway(midway) => (midway.at, midway.host),
        }
    }

    pub(super) const fn life(&self) -> Incarnation {
        match self {
            Self::Opening(opening) => opening.stored.incarnation.next(),
            Self::Midway(midway) => midway.life,
        }
    }
}

impl Track<'_> {
    pub(super) fn place(&self) -> Place {
        (self.origin.config().me, self.origin.life(), self.origin.clocks().1, self.first)
    }

    fn end(&self) -> u64 {
        self.first + super::count(self.events.len())
    }
}

/// The lives in all of these, in order: by replica, then life, then part.
pub(super) fn join(recordings: &[Recording]) -> Result<Vec<Track<'_>>, Fault> {
    let mut pieces = BTreeMap::new();
    for recording in recordings {
        let lives = recording.lives.iter().map(|life| (Origin::Opening(&life.opening), 0, &life.events));
        let parts = recording.parts.iter().map(|part| (Origin::Midway(&part.midway), part.midway.events, &part.events));
        let mut last = None;
        for (origin, first, events) in lives.chain(parts) {
            let events: Vec<_> = events.iter().collect();
            let track = Track { origin, first, events, states: Vec::new(), is_cut: false, missing: 0 };
            // An opening comes before the state that it leads to.
            let key = (track.place(), matches!(origin, Origin::Midway(_)));
            if pieces.insert(key, track).is_some() {
                return Err(Fault::Mixed(format!("incarnation {} of {:?} is here twice", key.0.1, key.0.0)));
            }
            last = Some(key);
        }
        if let Some(track) = last.filter(|_| recording.missing > 0).and_then(|key| pieces.get_mut(&key)) {
            (track.is_cut, track.missing) = (true, recording.missing);
        }
    }
    let mut tracks: Vec<Track<'_>> = Vec::new();
    for ((place, _), piece) in pieces {
        let follows = tracks.last_mut().filter(|track| {
            let before = track.place();
            (before.0, before.1, before.2) == (place.0, place.1, place.2) && piece.first <= track.end()
        });
        match (follows, piece.origin) {
            (Some(track), Origin::Midway(midway)) => extend(track, piece, midway)?,
            (Some(_) | None, _) => tracks.push(piece),
        }
    }
    // Where another part follows behind a gap, this one is cut.
    let lives: Vec<_> = tracks.iter().map(|track| (track.place().0, track.place().1, track.place().2)).collect();
    for at in (1..tracks.len()).filter(|at| lives[at - 1] == lives[*at]) {
        let gap = tracks[at].first - tracks[at - 1].end();
        (tracks[at - 1].is_cut, tracks[at - 1].missing) = (true, gap);
    }
    Ok(tracks)
}

/// How many events are known to have happened and are not here: before the first part of a life, between two, behind the
/// last one.
pub(super) fn given_up(tracks: &[Track<'_>]) -> u64 {
    let mut before = None;
    tracks.iter().fold(0, |sum: u64, track| {
        let (id, life, host, first) = track.place();
        let is_first = before.replace((id, life, host)) != Some((id, life, host));
        sum.saturating_add(track.missing).saturating_add(if is_first { first } else { 0 })
    })
}

fn extend<'a>(track: &mut Track<'a>, piece: Track<'a>, midway: &'a Midway) -> Result<(), Fault> {
    let (end, skipped) = (track.events.len(), piece.first - track.first);
    let from = (0..end).find(|at| super::count(*at) == skipped).unwrap_or(end);
    let shared = track.events.len() - from;
    if track.events[from..].iter().zip(&piece.events).any(|(ours, theirs)| ours != theirs) {
        let (id, life, ..) = track.place();
        return Err(Fault::Diverged(format!("two files tell different events of incarnation {life} of {id:?}")));
    }
    track.states.push((from, midway));
    if piece.events.len() >= shared {
        track.events.extend(&piece.events[shared..]);
        (track.is_cut, track.missing) = (piece.is_cut, piece.missing);
    }
    Ok(())
}

/// Is everything here that all members ever did, so that what must hold of a whole run can be judged? If not: why.
pub(super) fn is_whole(tracks: &[Track<'_>], cluster: &ClusterConfig) -> Result<(), String> {
    for id in &cluster.members {
        let mine: Vec<_> = tracks.iter().filter(|track| track.place().0 == *id).collect();
        let Some(first) = mine.first() else { return Err(format!("nothing of {id:?} is recorded")) };
        if !matches!(first.origin, Origin::Opening(opening) if opening.stored.incarnation == Incarnation::ZERO) {
            return Err(format!("the beginning of {id:?} is not recorded"));
        }
        for track in &mine {
            if matches!(track.origin, Origin::Midway(_)) {
                return Err(format!("the beginning of incarnation {} of {id:?} is not recorded", track.place().1));
            }
            if track.is_cut {
                return Err(format!("the end of incarnation {} of {id:?} is not recorded", track.place().1));
            }
        }
        if let Some(pair) = mine.windows(2).find(|pair| pair[0].place().1.next() < pair[1].place().1) {
            return Err(format!("what {id:?} did before its incarnation {} is not recorded", pair[1].place().1));
        }
    }
    Ok(())
}
