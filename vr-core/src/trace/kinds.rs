//! The payloads of trace events: the fields that each kind has beside the common ones.
//!
//! Owns names, order and presence of every field. Must not know how one is derived or displayed. VIEW.md §5.1;
//! a field with `?` is left out when there is nothing to say.

use super::names::{BigNumber, MessageId, Name, Node, Recipient};
use super::words::{
    DiskAct, DiskFault, DropCause, LogAct, Mode, Outcome, Redact, Settled, Severity, Status, SyncAct, TimerAct, Verdict,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A struct with public fields; `name?: T` is an `Option<T>` that is absent when `None`.
macro_rules! fields {
    ($(#[$doc:meta])* $name:ident { $($body:tt)* } $($rest:tt)*) => {
        fields!(@one [$(#[$doc])* $name] [] $($body)*);
        fields!($($rest)*);
    };
    () => {};
    (@one [$(#[$doc:meta])* $name:ident] [$($done:tt)*]) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
        pub struct $name { $($done)* }
    };
    (@one $head:tt [$($done:tt)*] $(#[$doc:meta])* $field:ident?: $type:ty, $($rest:tt)*) => {
        fields!(@one $head [
            $($done)*
            $(#[$doc])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $field: Option<$type>,
        ] $($rest)*);
    };
    (@one $head:tt [$($done:tt)*] $(#[$doc:meta])* $field:ident: $type:ty, $($rest:tt)*) => {
        fields!(@one $head [ $($done)* $(#[$doc])* pub $field: $type, ] $($rest)*);
    };
}

fields! {
    /// `meta`: the first line.
    Meta {
        /// [`super::FORMAT`].
        format: Name,
        /// What wrote it.
        producer?: Producer,
        /// Where it comes from.
        mode: Mode,
        /// Of a simulated run.
        seed?: BigNumber,
        /// The command that reproduces it.
        repro?: String,
        /// The group.
        config: Group,
        /// The faults of the run, and how often they strike.
        faults?: BTreeMap<Name, Name>,
        /// How much of clients' data is shown.
        redact: Redact,
        /// The wall clock at `t` = 0, of a live trace.
        wall?: String,
    }
    /// What wrote a trace.
    Producer {
        /// A program.
        name: Name,
        /// Of this version.
        version: Name,
        /// Built from this commit.
        git?: Name,
    }
    /// The group at the start of a trace.
    Group {
        /// Its members, in the order in which they are primary.
        members: Vec<Node>,
        /// The epoch.
        epoch: u64,
        /// How many may fail.
        f: u64,
        /// How many make a quorum.
        quorum: u64,
        /// How many clients there are.
        clients?: u64,
        /// Ops between checkpoints.
        checkpoint_every?: u64,
    }
    /// `snap`: the whole state of a node.
    Snap {
        /// Every field that the observer knows.
        state: Box<State>,
    }
    /// `set`: what changed in the state of a node; within `snap`, all that is known of it.
    #[derive(Default)]
    State {
        /// The incarnation: which life.
        inc?: u64,
        /// The view-number.
        view?: u64,
        /// The epoch.
        epoch?: u64,
        /// The status.
        status?: Status,
        /// The last view in which it was normal.
        lnv?: u64,
        /// The op-number.
        op?: u64,
        /// The commit-number.
        commit?: u64,
        /// Through here its service has answered.
        applied?: u64,
        /// Through here its log is durable.
        durable?: u64,
        /// Its newest checkpoint.
        ckpt?: u64,
        /// The primary of its view.
        primary?: Node,
        /// The first op its log still holds.
        log_lo?: u64,
        /// Does it want to leave its view?
        want?: bool,
        /// When its timers are due.
        timers?: BTreeMap<Name, u64>,
        /// The votes it has counted.
        votes?: Votes,
        /// How many requests wait in it.
        queue?: u64,
    }
    /// Votes for a view change.
    #[derive(Default)]
    Votes {
        /// Who sent a StartViewChange.
        svc: Vec<Node>,
        /// Who sent a DoViewChange.
        dvc: Vec<Node>,
    }
    /// `send`: a message left.
    Sent {
        /// Which.
        m: MessageId,
        /// For whom.
        to: Recipient,
        /// Its type.
        ty: Name,
        /// The sender's view.
        view?: u64,
        /// The last op it speaks of.
        op?: u64,
        /// Its commit-number.
        commit?: u64,
        /// Its bytes on the wire.
        sz?: u64,
        /// What else it says.
        b?: Box<Summary>,
    }
    /// What a message says beyond view, op and commit-number.
    #[derive(Default)]
    Summary {
        /// How many entries it carries, when not just one.
        n?: u64,
        /// StartViewChange: does the sender want to leave?
        want?: bool,
        /// StartViewChange: whom it hears, by their positions.
        hears?: Vec<u64>,
        /// DoViewChange: the last view in which the sender was normal.
        lnv?: u64,
        /// StartView: where the view's initial log ended.
        start?: u64,
        /// State transfer: which question. Recovery: which episode.
        id?: u64,
        /// Recovery: no answer from an earlier view will do.
        view_min?: u64,
        /// What the asker has: op and short hash.
        have?: Vec<(u64, String)>,
        /// Where the sender's log ends …
        log_len?: u64,
        /// … and the short hash of it all.
        log_ck?: String,
        /// Some of its entries: op, view and short hash.
        log?: Vec<(u64, u64, String)>,
        /// True when there are more.
        cut?: bool,
        /// An answer to a client: the result. A request: the operation.
        val?: String,
        /// A refusal: why.
        why?: Name,
        /// An answer that repeats an earlier one.
        dup?: bool,
    }
    /// `recv`: a message arrived.
    Received {
        /// Which.
        m: MessageId,
        /// Its type.
        ty: Name,
        /// What the node did with it.
        verdict: Verdict,
        /// Why it did not use it.
        why?: Name,
    }
    /// `drop`: the network lost a message.
    Dropped {
        /// Which.
        m: MessageId,
        /// Whom it did not reach.
        to?: Node,
        /// Why.
        why: DropCause,
    }
    /// `dup`: the network delivers a message once more.
    Duplicated {
        /// Which.
        m: MessageId,
        /// To whom.
        to?: Node,
        /// The name of the copy, if it has one of its own.
        m2?: String,
    }
    /// `delay`: the network holds a message back.
    Delayed {
        /// Which.
        m: MessageId,
        /// From whom.
        to?: Node,
        /// Until then.
        until: u64,
    }
    /// `corrupt`: the network damages a message.
    Corrupted {
        /// Which.
        m: MessageId,
        /// On the way to whom.
        to?: Node,
        /// How many bits.
        bits: u64,
    }
    /// `timer`.
    TimerEvent {
        /// Which; `tick` when the observer sees only that time passed.
        name: Name,
        /// What happened to it.
        act: TimerAct,
        /// When it is due.
        at?: u64,
    }
    /// `log`: a slot of a node's log.
    LogSlot {
        /// Which; of a truncation, the last one that stays.
        op: u64,
        /// The view of the entry in it.
        view?: u64,
        /// Whose request.
        client?: Node,
        /// Which.
        req?: u64,
        /// The short hash of the log through here.
        ck?: String,
        /// What happened to it.
        act: LogAct,
        /// The operation.
        val?: String,
    }
    /// `ack`: the primary counts an acknowledgement.
    Acknowledged {
        /// Through this op.
        op: u64,
        /// Whose.
        from: Node,
        /// How many acknowledge the op now.
        have?: u64,
        /// How many it takes.
        need?: u64,
    }
    /// `commit`: the commit-number rose.
    Committed {
        /// To this.
        op: u64,
    }
    /// `exec`: the service answered.
    Executed {
        /// Which op.
        op: u64,
        /// Whose request, where it is known.
        client?: Node,
        /// Which.
        req?: u64,
        /// The answer.
        res?: String,
    }
    /// `disk`.
    DiskEvent {
        /// What it did.
        act: DiskAct,
        /// The number of the write: an fsync covers all up to it.
        w?: u64,
        /// What was written or read.
        what?: Name,
        /// The last op in it.
        op?: u64,
        /// Where.
        off?: u64,
        /// How many bytes.
        len?: u64,
        /// How long it took, in nanoseconds.
        dur?: u64,
        /// What went wrong.
        fault?: DiskFault,
    }
    /// `crash`: a node stopped without warning.
    Crashed {
        /// The ops it had and had not made durable.
        lost?: Vec<u64>,
        /// Its disk is gone too.
        wiped?: bool,
        /// The life that ended.
        inc?: u64,
    }
    /// `restart`: a node starts.
    Restarted {
        /// The ops that did not survive.
        lost?: Vec<u64>,
        /// On an empty disk.
        wiped?: bool,
        /// The life that begins.
        inc: u64,
    }
    /// `part`: links are cut.
    Partitioned {
        /// Names the cut.
        id: u64,
        /// Who can still talk with whom.
        groups: Vec<Vec<Node>>,
        /// Only from the first group to the second is cut.
        oneway?: bool,
    }
    /// `heal`: links work again.
    Healed {
        /// Which cut ends; all of them when absent.
        id?: u64,
    }
    /// `inv`: a client calls.
    Invoked {
        /// Who.
        client: Node,
        /// Which request.
        req: u64,
        /// The function.
        f: Name,
        /// Its arguments.
        #[serde(rename = "in")]
        input: String,
    }
    /// `ret`: a client has its answer, or gives up.
    Returned {
        /// Who.
        client: Node,
        /// Which request.
        req: u64,
        /// The answer.
        out?: String,
        /// What the client knows now.
        st: Settled,
    }
    /// `ckpt`: a node has a checkpoint.
    Checkpointed {
        /// After this op.
        op: u64,
        /// The short hash of the state.
        ck: String,
    }
    /// `sync`: a step of state transfer.
    Synced {
        /// Who is asked or gave.
        from: Node,
        /// The first op.
        lo: u64,
        /// The last one, where it is known.
        hi?: u64,
        /// Asked or taken.
        act: SyncAct,
    }
    /// `reconf`: a new configuration.
    Reconfigured {
        /// Its epoch.
        epoch: u64,
        /// Its members.
        members: Vec<Node>,
    }
    /// `agg`: messages that are not shown one by one.
    Aggregated {
        /// From whom.
        from: Node,
        /// To whom.
        to: Recipient,
        /// Of which type.
        ty: Name,
        /// How many.
        count: u64,
        /// How many bytes.
        bytes: u64,
        /// In how many nanoseconds.
        dt: u64,
    }
    /// `gap`: events of this node are missing; its state is unknown until its next `snap`.
    Gap {
        /// How many.
        lost: u64,
    }
    /// `do`: somebody intervened.
    Intervention {
        /// What was done.
        cmd: BTreeMap<Name, Name>,
    }
    /// `note`: a fact, or a caption.
    Remark {
        /// What kind of fact: the name of the core's note.
        what?: Name,
        /// In words.
        text: Name,
        /// What moment it speaks of, when not its own.
        at?: u64,
    }
    /// `viol`: a promise was broken.
    Violated {
        /// Which.
        inv: Name,
        /// What kind.
        sev: Severity,
        /// What happened.
        msg: String,
        /// The nodes concerned.
        nodes: Vec<Node>,
        /// The ops concerned.
        ops: Vec<u64>,
        /// The events that show it.
        ev: Vec<u64>,
    }
    /// `end`: the last line.
    Ended {
        /// How the run ended.
        result: Outcome,
        /// How many events there are.
        events: u64,
        /// How many violations.
        viol: u64,
        /// The xxh3-128 of the lines before this one.
        xxh3?: String,
    }
}
