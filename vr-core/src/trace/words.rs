//! The fixed words of a trace: what happened to a timer, a log slot, a disk; how something ended.
//!
//! Owns their spelling: `snake_case`, in JSON and in sentences. Must not know where they stand. VIEW.md §5.1.

use core::fmt;
use serde::{Deserialize, Serialize};

/// An enum of words.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)* })*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$word_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        })*
    };
}

words! {
    /// Where a trace comes from.
    Mode {
        /// A simulated cluster.
        Sim = "sim",
        /// A real one.
        Live = "live",
        /// A simulated one that a person drives.
        Lab = "lab",
    }
    /// How much of clients' data a trace shows.
    Redact {
        /// The data, cut when long.
        Full = "full",
        /// Its length.
        Len = "len",
        /// Its length and a short hash, by which equal data is recognised.
        Hash = "hash",
    }
    /// VRR's `status`. The role follows from `primary`.
    Status {
        /// Taking part.
        Normal = "normal",
        /// Between views.
        ViewChange = "view_change",
        /// Asking for its memory.
        Recovering = "recovering",
        /// Waiting to be added.
        Transitioning = "transitioning",
        /// Replaced.
        Retired = "retired",
        /// Stopped for good.
        Halted = "halted",
    }
    /// What a node did with a message.
    Verdict {
        /// Used it.
        Ok = "ok",
        /// Dropped it, for now: not its turn, its role or its moment.
        Ignored = "ignored",
        /// Dropped it: overtaken by later ones.
        Stale = "stale",
        /// Dropped it: damaged, or not from one of us.
        Bad = "bad",
    }
    /// Why the network lost a message.
    DropCause {
        /// A cut link.
        Partition = "partition",
        /// Chance.
        Loss = "loss",
        /// A full queue.
        Queue = "queue",
        /// Nobody there to receive it.
        Crash = "crash",
    }
    /// What happened to a timer.
    TimerAct {
        /// Set.
        Set = "set",
        /// Due.
        Fire = "fire",
        /// Cancelled.
        Cancel = "cancel",
    }
    /// What happened to a slot of a log.
    LogAct {
        /// Filled.
        Append = "append",
        /// Every slot after it emptied.
        Truncate = "truncate",
        /// Filled with what a peer had.
        Repair = "repair",
        /// Found unreadable.
        Faulty = "faulty",
    }
    /// What a disk did.
    DiskAct {
        /// Took a write.
        Write = "write",
        /// Made everything up to a write durable.
        Fsync = "fsync",
        /// Read.
        Read = "read",
    }
    /// What went wrong with a disk.
    DiskFault {
        /// Only the beginning was written.
        Torn = "torn",
        /// Something else was read than was written.
        Corrupt = "corrupt",
        /// Nothing was written.
        Lost = "lost",
        /// It was written somewhere else.
        Misdirect = "misdirect",
        /// The disk said no.
        Eio = "eio",
    }
    /// How a client's operation ended.
    Settled {
        /// It took effect.
        Ok = "ok",
        /// It did not and will not.
        Fail = "fail",
        /// Nobody knows.
        Info = "info",
    }
    /// A step of state transfer.
    SyncAct {
        /// A replica asked.
        Ask = "ask",
        /// It took what it was given.
        Take = "take",
    }
    /// What kind of promise was broken.
    Severity {
        /// Something happened that never may.
        Safety = "safety",
        /// Something did not happen in time.
        Liveness = "liveness",
    }
    /// How a run ended.
    Outcome {
        /// Everything held.
        Pass = "pass",
        /// Something did not.
        Fail = "fail",
        /// The program under test panicked.
        Crash = "crash",
    }
}
