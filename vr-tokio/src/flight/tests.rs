//! The ring stays within its bound, goes on exactly, and never stops what it records. Owns a replica that is alone.

use super::*;
use std::path::Path;
use vr_core::recording::{Part, Recording};
use vr_core::{
    ClientId, ClusterConfig, ClusterId, Config, HaltReason, Input, Instance, Kind, Predicted, ReplicaId, Request,
    RequestNumber, Session, Stored, Time, WriteId,
};

const MAX_BYTES: u64 = 1 << 20;

struct Alone {
    replica: Replica,
    flight: Flight,
    dir: tempfile::TempDir,
    now: u64,
}

fn opening() -> Opening {
    let cluster = ClusterConfig::of_size(ClusterId(7), 1);
    let stored = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(3));
    Opening { config: Config::new(cluster, ReplicaId(0)), stored, at: Time(5), host: Time(5) }
}

fn request(session: u64, number: u64, bytes: usize) -> Request {
    Request {
        client: ClientId(1),
        session: Session(session),
        number: RequestNumber(number),
        kind: if session == 0 { Kind::Register } else { Kind::Operation },
        predicted: Predicted::default(),
        body: Bytes::from(vec![7; bytes]),
    }
}

fn begin(dir: &Path) -> Flight {
    let config = RecordConfig { max_bytes: MAX_BYTES, ..RecordConfig::new(dir) };
    Flight::begin(&config, Incarnation(1), &opening(), FlightMetrics::default()).expect("a directory")
}

impl Alone {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let Opening { config, stored, at, .. } = opening();
        let replica = Replica::open(config, stored, at, &mut Vec::new()).expect("valid");
        let mut this = Self { replica, flight: begin(dir.path()), dir, now: 5 };
        this.step(Input::Persisted(WriteId(1)));
        this
    }

    fn step(&mut self, input: Input) {
        self.now += 1;
        let event = Event { at: Time(self.now), input };
        self.flight.add(&event);
        let actions = self.replica.step(event);
        self.flight.flush(&self.replica, &actions);
    }

    /// Something that leaves the replica nearly as it was: of a session that it does not know.
    fn hears(&mut self, bytes: usize) {
        self.step(Input::Request(request(9, 1, bytes)));
    }

    /// As [`Self::hears`], and waits for a file that is being begun.
    fn hears_slowly(&mut self, bytes: usize) {
        self.hears(bytes);
        while self.flight.turn.is_some() {
            std::thread::yield_now();
            self.flight.flush(&self.replica, &[Action::Halt(HaltReason::WriteFailed)]);
        }
    }

    fn bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.dir.path()).expect("there");
        files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum()
    }

    /// What is there, the oldest first, and how many events the last one was behind.
    fn recordings(&self) -> Vec<Recording> {
        let mut files: Vec<_> =
            std::fs::read_dir(self.dir.path()).expect("there").map(|file| file.expect("a file")).collect();
        let part = |name: &str| name.trim_end_matches(".vrrec").rsplit('-').next().and_then(|n| n.parse::<u64>().ok());
        files.sort_by_key(|file| part(&file.file_name().to_string_lossy()));
        let read = |file: &std::fs::DirEntry| {
            recording::read(&std::fs::read(file.path()).expect("readable").into()).expect("whole frames")
        };
        files.iter().map(read).collect()
    }
}

/// Each file goes on from its state to that of the next, and the last one to what the replica is.
fn goes_on(parts: &[Part], last: &Replica) {
    for (at, part) in parts.iter().enumerate() {
        let mut replica = Replica::of_image(&part.midway.image).expect("a state");
        let next = parts.get(at + 1).map(|next| &next.midway);
        let upto = next.map_or(u64::MAX, |next| next.events - part.midway.events);
        for event in part.events.iter().take(usize::try_from(upto).unwrap_or(usize::MAX)) {
            let _ = replica.step(event.clone());
        }
        let expected = next.map_or_else(|| last.image(), |next| next.image.to_vec());
        assert!(replica.image() == expected, "part {at} leads to another state");
    }
}

#[test]
fn the_ring_stays_within_its_bound_and_what_it_holds_goes_on_exactly() {
    let mut alone = Alone::new();
    for _ in 0..2_000 {
        alone.hears_slowly(4 << 10);
        assert!(alone.bytes() <= MAX_BYTES, "{}", alone.bytes());
    }
    let (recordings, events) = (alone.recordings(), alone.flight.midway.events);
    assert!(alone.bytes() > MAX_BYTES / 2, "most of it is used: {}", alone.bytes());
    assert!(recordings.iter().all(|it| it.lives.is_empty() && it.missing == 0), "the beginning was given up");
    let parts: Vec<_> = recordings.into_iter().flat_map(|it| it.parts).collect();
    assert!(parts.len() > 3 && parts[0].midway.events > 1_000);
    let last = parts.last().expect("the newest");
    assert_eq!(last.midway.events + u64::try_from(last.events.len()).expect("few"), events);
    assert_eq!(events, 2_001);
    goes_on(&parts, &alone.replica);
}

/// A tick that is early leads to nothing; a request of a session that is not known is refused.
#[test]
fn what_led_to_nothing_yet_waits_and_is_in_the_file_before_anything_is_told() {
    let mut alone = Alone::new();
    alone.hears(1);
    let bytes = alone.bytes();
    for _ in 0..3 {
        alone.step(Input::Tick);
    }
    assert_eq!(alone.bytes(), bytes, "nobody was told anything");
    alone.hears(1);
    let recordings = alone.recordings();
    assert_eq!(recordings[0].lives[0].events.len(), 6);
    let before = alone.bytes();
    (0..10_000).for_each(|_| alone.step(Input::Tick));
    assert!(alone.bytes() > before, "nor does more wait than a little");
}

#[test]
fn events_that_come_faster_than_a_file_is_begun_stay_within_the_bound_and_are_counted() {
    let mut alone = Alone::new();
    for _ in 0..20_000 {
        alone.hears(4 << 10);
    }
    alone.hears_slowly(1);
    assert!(alone.bytes() <= MAX_BYTES, "{}", alone.bytes());
    let Alone { flight, .. } = &alone;
    let in_files = flight.metrics.events.get() + flight.metrics.missing.get();
    assert_eq!(in_files, flight.midway.events, "each is in a file, or is counted");
}

#[test]
fn a_file_that_cannot_be_written_is_told_in_its_first_bytes_and_the_next_one_goes_on() {
    let mut alone = Alone::new();
    for _ in 0..10 {
        alone.hears(1 << 10);
    }
    let current = alone.flight.current.as_mut().expect("it is written");
    let whole = std::mem::replace(&mut current.file, File::open(&current.path).expect("readable, not writable"));
    alone.hears(1 << 10);
    assert!(alone.flight.current.is_none() && alone.flight.missing == 1);
    alone.flight.failed = Some(whole);
    while alone.flight.current.is_none() {
        alone.hears_slowly(1 << 10);
    }
    let events = alone.flight.midway.events;
    alone.hears(1);
    let recordings = alone.recordings();
    let [first, second] = &recordings[..] else { panic!("{}", recordings.len()) };
    assert_eq!((first.lives[0].events.len(), first.lives.len()), (11, 1));
    assert_eq!(first.missing + 11, second.parts[0].midway.events, "all that is missing is told");
    assert_eq!(second.parts[0].midway.events + u64::try_from(second.parts[0].events.len()).expect("few"), events + 1);
    goes_on(&second.parts, &alone.replica);
}

#[test]
fn a_state_that_does_not_fit_ends_the_recording_and_not_the_replica() {
    let mut alone = Alone::new();
    alone.step(Input::Request(request(0, 0, 0)));
    alone.step(Input::Persisted(WriteId(2)));
    alone.step(Input::Request(request(1, 1, 300 << 10)));
    for _ in 0..1_000 {
        alone.hears_slowly(4 << 10);
        assert!(alone.bytes() <= MAX_BYTES, "{}", alone.bytes());
    }
    assert!(alone.flight.current.is_none() && alone.flight.metrics.missing.get() > 500);
    let bytes = alone.bytes();
    drop(alone.flight);
    let missing = recording::read(&only_file(alone.dir.path())).expect("whole frames").missing;
    assert!(missing > 500 && bytes > 0, "{missing}");
}

fn only_file(dir: &Path) -> Bytes {
    let mut files = std::fs::read_dir(dir).expect("there");
    let file = files.next().expect("one").expect("a file");
    assert!(files.next().is_none());
    std::fs::read(file.path()).expect("readable").into()
}

#[test]
fn what_earlier_lives_left_counts_and_goes_first_and_nobody_elses_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let big = vec![0; 900 << 10];
    for name in ["replica-0-life-1.vrrec", "replica-0-life-1-part-7.vrrec", "replica-1-life-1.vrrec", "notes"] {
        std::fs::write(dir.path().join(name), &big).expect("written");
    }
    std::fs::write(dir.path().join("replica-0-life-1-part-8.vrrec.unfinished"), &big).expect("written");
    drop(begin(dir.path()));
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .expect("there")
        .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["notes", "replica-0-life-1-part-8.vrrec", "replica-1-life-1.vrrec"], "the same life, again");
}
