//! The script language: what a person may do to a cluster, one command a line.
//!
//! Owns the words, their limits, and what is said of a text that is no command. A command that was read displays as it is
//! written in scripts and case files, and reads back as itself. Must not know a cluster: whether `r7` exists is
//! `act.rs`'s to say. VIEW §3.6.
//!
//! ```text
//! register c0 r0 · request c0 r0 put x 1 · retry c0 r1 · crash-client c0
//! crash r0 · restart r0 · pause r0 · resume r0 · stop r0 · isolate r0
//! cut r0 r1 · heal r0 r1 · heal · partition r0,r1|r2 · hold on · hold off
//! deliver M r1 · drop M r1 · duplicate M r1 · delay M r1 20ms · deliver-all · drop-all
//! sync r0 1 · timer r0 · clock r0 50ms · slow-disk r0 10 · fail-sync r0 · fill r0 · room r0
//! step 3 · run 20ms · note TEXT
//! ```

use super::words::{Arguments, duration, suggestion};
use crate::service::WordOp;
use std::fmt;
use std::str::FromStr;
use vr_core::Wait;
use vr_core::trace::MessageId;

/// The longest command, in bytes.
pub const COMMAND_BYTES_MAX: usize = 4096;
/// The longest time that one `run` lets pass.
pub const RUN_MAX: Wait = Wait(60_000_000_000);
/// The furthest jump of a clock, and the longest delay of a message.
pub const JUMP_MAX: Wait = Wait(3_600_000_000_000);
/// The most things that one `step` lets happen.
pub const STEPS_MAX: u64 = 100_000;
/// The highest number of a write that can be named.
pub const WRITES_MAX: u64 = 1_000_000_000;
/// The most that a disk is slowed down.
pub const SLOWNESS_MAX: u64 = 10_000;

/// One thing a person does. Replicas and clients are named by position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// A client asks a replica for a session.
    Register {
        /// Who.
        client: usize,
        /// Whom.
        replica: usize,
    },
    /// A client calls an operation.
    Request {
        /// Who.
        client: usize,
        /// At whom.
        replica: usize,
        /// Which: words that [`WordOp`] reads.
        op: String,
    },
    /// A client sends once more what it waits for.
    Retry {
        /// Who.
        client: usize,
        /// To whom.
        replica: usize,
    },
    /// A client forgets everything.
    CrashClient(usize),
    /// Something is done to one replica.
    Replica(Act, usize),
    /// Writes of a replica are durable, through the one of this number, counted from 1 in each life.
    Sync(usize, u64),
    /// A clock jumps forward.
    Clock(usize, Wait),
    /// Syncs of a disk take so many times longer.
    SlowDisk(usize, u64),
    /// One direction of a link is cut.
    Cut(usize, usize),
    /// One direction of a link is whole again.
    HealLink(usize, usize),
    /// All links are whole again.
    Heal,
    /// These groups do not hear each other any more.
    Partition(Vec<Vec<usize>>),
    /// From now on all messages between replicas wait in a hand, or none does.
    Hold(bool),
    /// Something is done to one message on its way to this receiver.
    Message(Deed, MessageId, To),
    /// Everything held arrives.
    DeliverAll,
    /// Nothing held ever arrives.
    DropAll,
    /// So many things happen that are due.
    Step(u64),
    /// So much time passes.
    Run(Wait),
    /// A caption.
    Note(String),
}

/// What is done to one replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Power fails.
    Crash,
    /// It starts from its disk.
    Restart,
    /// It stands still.
    Pause,
    /// It goes on.
    Resume,
    /// It is asked to stop in good order.
    Stop,
    /// It hears no replica, and none hears it.
    Isolate,
    /// Its clock jumps to its next deadline.
    Timer,
    /// Its next sync fails.
    FailSync,
    /// Its disk is full.
    Fill,
    /// Its disk has room again.
    Room,
}

/// What is done to one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// It arrives now.
    Deliver,
    /// It never arrives.
    Drop,
    /// There are two of it.
    Duplicate,
    /// It arrives so much later.
    Delay(Wait),
}

/// For whom a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// A replica.
    Replica(usize),
    /// A client.
    Client(usize),
}

/// All commands, with their arguments as they are shown to whoever gives the wrong ones.
const FORMS: &[(&str, &str)] = &[
    ("register", "CLIENT REPLICA, such as register c0 r0"),
    ("request", "CLIENT REPLICA and an operation, such as request c0 r0 put x 1"),
    ("retry", "CLIENT REPLICA, such as retry c0 r1"),
    ("crash-client", "CLIENT, such as crash-client c0"),
    ("crash", "REPLICA, such as crash r0"),
    ("restart", "REPLICA, such as restart r0"),
    ("pause", "REPLICA, such as pause r0"),
    ("resume", "REPLICA, such as resume r0"),
    ("stop", "REPLICA, such as stop r0"),
    ("isolate", "REPLICA, such as isolate r0"),
    ("cut", "FROM TO, such as cut r0 r1"),
    ("heal", "FROM TO, such as heal r0 r1, or nothing for all links"),
    ("partition", "groups, such as partition r0,r1|r2"),
    ("hold", "on or off"),
    ("deliver", "MESSAGE RECEIVER, such as deliver r0.1.7 r1"),
    ("drop", "MESSAGE RECEIVER, such as drop r0.1.7 r1"),
    ("duplicate", "MESSAGE RECEIVER, such as duplicate r0.1.7 r1"),
    ("delay", "MESSAGE RECEIVER TIME, such as delay r0.1.7 r1 20ms"),
    ("deliver-all", "nothing"),
    ("drop-all", "nothing"),
    ("sync", "REPLICA WRITE, such as sync r0 1: its writes through that one are durable"),
    ("timer", "REPLICA, such as timer r1"),
    ("clock", "REPLICA TIME, such as clock r0 50ms"),
    ("slow-disk", "REPLICA TIMES, such as slow-disk r0 10; 1 is usual"),
    ("fail-sync", "REPLICA, such as fail-sync r0"),
    ("fill", "REPLICA, such as fill r0"),
    ("room", "REPLICA, such as room r0"),
    ("step", "a number of things, such as step 3, or nothing for one"),
    ("run", "a time, such as run 20ms"),
    ("note", "a text"),
];

const ACTS: [(Act, &str); 10] = [
    (Act::Crash, "crash"),
    (Act::Restart, "restart"),
    (Act::Pause, "pause"),
    (Act::Resume, "resume"),
    (Act::Stop, "stop"),
    (Act::Isolate, "isolate"),
    (Act::Timer, "timer"),
    (Act::FailSync, "fail-sync"),
    (Act::Fill, "fill"),
    (Act::Room, "room"),
];

impl Command {
    /// The commands of a script: one a line, or several with `;` between them. What follows a `#` at the beginning of a
    /// line is for people.
    ///
    /// # Errors
    /// The first text that is no command, in one line.
    pub fn script(text: &str) -> Result<Vec<Self>, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let commands = lines.flat_map(|line| line.split(';')).map(str::trim).filter(|command| !command.is_empty());
        commands.map(str::parse).collect()
    }

    /// Does it let time pass, or only speak, so that it leaves no `do` in the trace?
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        matches!(self, Self::Step(_) | Self::Run(_) | Self::Note(_))
    }

    fn read(verb: &str, rest: &str) -> Result<Self, String> {
        if let Some((act, _)) = ACTS.iter().find(|(_, word)| *word == verb) {
            return Arguments::of(rest).only(Arguments::replica).map(|on| Self::Replica(*act, on));
        }
        let mut words = Arguments::of(rest);
        let read = match verb {
            "register" => Self::Register { client: words.client()?, replica: words.replica()? },
            "retry" => Self::Retry { client: words.client()?, replica: words.replica()? },
            "request" => {
                let (client, replica, op) = (words.client()?, words.replica()?, words.rest());
                return Ok(Self::Request { client, replica, op: WordOp::read(op)?.to_string() });
            }
            "crash-client" => Self::CrashClient(words.client()?),
            "cut" => Self::Cut(words.replica()?, words.other_replica()?),
            "heal" if rest.is_empty() => Self::Heal,
            "heal" => Self::HealLink(words.replica()?, words.other_replica()?),
            "partition" => Self::Partition(words.groups()?),
            "hold" => Self::Hold(words.switch()?),
            "deliver" => Self::Message(Deed::Deliver, words.message()?, words.receiver()?),
            "drop" => Self::Message(Deed::Drop, words.message()?, words.receiver()?),
            "duplicate" => Self::Message(Deed::Duplicate, words.message()?, words.receiver()?),
            "delay" => {
                let (m, to) = (words.message()?, words.receiver()?);
                Self::Message(Deed::Delay(words.wait(JUMP_MAX)?), m, to)
            }
            "deliver-all" => Self::DeliverAll,
            "drop-all" => Self::DropAll,
            "sync" => Self::Sync(words.replica()?, words.number(WRITES_MAX)?),
            "clock" => Self::Clock(words.replica()?, words.wait(JUMP_MAX)?),
            "slow-disk" => Self::SlowDisk(words.replica()?, words.number(SLOWNESS_MAX)?),
            "step" if rest.is_empty() => Self::Step(1),
            "step" => Self::Step(words.number(STEPS_MAX)?),
            "run" => Self::Run(words.wait(RUN_MAX)?),
            "note" if rest.is_empty() => return Err("a note says something".to_owned()),
            "note" => return Ok(Self::Note(rest.to_owned())),
            _ => return Err(String::new()),
        };
        words.end().map(|()| read)
    }
}

impl FromStr for Command {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let told: String = text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        if text.len() > COMMAND_BYTES_MAX {
            return Err(format!("`{told}…`: longer than {COMMAND_BYTES_MAX} bytes"));
        }
        if text.contains(';') || text.chars().any(char::is_control) {
            return Err(format!("`{told}`: a command is one line without `;`"));
        }
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let Some((_, form)) = FORMS.iter().find(|(word, _)| *word == verb) else {
            let nearest = suggestion(verb, FORMS.iter().map(|(word, _)| *word));
            let listed = || "; `vr-sim lab --help` lists them".to_owned();
            let hint = nearest.map_or_else(listed, |word| format!("; is `{word}` meant?"));
            return Err(format!("`{told}`: there is no such command{hint}"));
        };
        Self::read(verb, rest.trim()).map_err(|why| format!("`{told}`: {why} ({verb} takes {form})"))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register { client, replica } => write!(f, "register c{client} r{replica}"),
            Self::Request { client, replica, op } => write!(f, "request c{client} r{replica} {op}"),
            Self::Retry { client, replica } => write!(f, "retry c{client} r{replica}"),
            Self::CrashClient(client) => write!(f, "crash-client c{client}"),
            Self::Replica(act, on) => {
                let word = ACTS.iter().find(|(other, _)| other == act).map_or("", |(_, word)| word);
                write!(f, "{word} r{on}")
            }
            Self::Sync(on, write) => write!(f, "sync r{on} {write}"),
            Self::Clock(on, ahead) => write!(f, "clock r{on} {}", duration(*ahead)),
            Self::SlowDisk(on, times) => write!(f, "slow-disk r{on} {times}"),
            Self::Cut(from, to) => write!(f, "cut r{from} r{to}"),
            Self::HealLink(from, to) => write!(f, "heal r{from} r{to}"),
            Self::Heal => f.write_str("heal"),
            Self::Partition(groups) => {
                let group = |group: &Vec<usize>| group.iter().map(|on| format!("r{on}")).collect::<Vec<_>>().join(",");
                write!(f, "partition {}", groups.iter().map(group).collect::<Vec<_>>().join("|"))
            }
            Self::Hold(on) => write!(f, "hold {}", if *on { "on" } else { "off" }),
            Self::Message(Deed::Deliver, m, to) => write!(f, "deliver {m} {to}"),
            Self::Message(Deed::Drop, m, to) => write!(f, "drop {m} {to}"),
            Self::Message(Deed::Duplicate, m, to) => write!(f, "duplicate {m} {to}"),
            Self::Message(Deed::Delay(wait), m, to) => write!(f, "delay {m} {to} {}", duration(*wait)),
            Self::DeliverAll => f.write_str("deliver-all"),
            Self::DropAll => f.write_str("drop-all"),
            Self::Step(count) => write!(f, "step {count}"),
            Self::Run(wait) => write!(f, "run {}", duration(*wait)),
            Self::Note(text) => write!(f, "note {text}"),
        }
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(at) => write!(f, "r{at}"),
            Self::Client(at) => write!(f, "c{at}"),
        }
    }
}
