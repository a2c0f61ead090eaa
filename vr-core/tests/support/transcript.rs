//! What happened, in the paper's words: one line per event, and under it one line per thing it made a replica do.
//!
//! Owns the wording and the columns. Must not know which story is told. Paper: VRR §4, Figure 2.
//!
//! ```text
//! r1 ← r0  Prepare op 2 (commit 1)             an event: this came in
//!   r1 writes op 2                             what it made r1 do
//!   r1 → r0  PrepareOk op 2                    and say
//! ```

use super::scripted::{Fate, Happening, Scripted};
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use vr_core::{
    Action, Body, ClientId, EnterCause, Entries, Event, HaltReason, Ignored, Input, Message, MessageKind, Note, Op,
    Reject, ReplicaId, ReplicaSet, Request, Snapshot, StatusName, Tail, To, Write, WriteId,
};

const TEXT_COLUMNS: usize = 72;
const CELL_COLUMNS: usize = 12;

/// A story being told.
pub(crate) struct Transcript {
    text: String,
    /// Where in what happened the story has come.
    at: usize,
    cells: Vec<String>,
    writes: Vec<VecDeque<(WriteId, String)>>,
    /// Messages that are not worth a line, unless they change something.
    hushed: &'static [MessageKind],
    told: BTreeSet<String>,
    /// The event was passed over, and so is what became of its messages.
    passed_over: bool,
}

impl Transcript {
    /// The story begins here. `about` says in two or three sentences what it is.
    pub(crate) fn begin(cluster: &Scripted, about: &str, hushed: &'static [MessageKind]) -> Self {
        let cells: Vec<String> = cluster.nodes.iter().map(|node| cell(node.snapshot())).collect();
        let mut text = String::new();
        about.trim().lines().for_each(|line| writeln!(text, "# {}", line.trim()).expect("a String takes all"));
        text.push_str("# What merely repeats is told once.\n#\n");
        text.push_str("# Columns: P primary, B backup, V between views, R recovering, † down; its view; ");
        text.push_str("op/commit/executed, when they change.\n\n");
        let writes = vec![VecDeque::new(); cells.len()];
        let (told, passed_over) = (BTreeSet::new(), false);
        let mut this = Self { text, at: cluster.happened.len(), cells: Vec::new(), writes, hushed, told, passed_over };
        let names: Vec<String> = (0..cells.len()).map(|at| format!("r{at}")).collect();
        this.line("", &names);
        this.line("", &cells);
        this.cells = cells;
        this
    }

    /// Tells what happened since, with a stage direction before it.
    pub(crate) fn tell(&mut self, cluster: &Scripted) {
        for happening in &cluster.happened[self.at..] {
            self.happening(happening);
        }
        self.at = cluster.happened.len();
    }

    /// The whole story.
    pub(crate) fn end(mut self, cluster: &Scripted) -> String {
        self.tell(cluster);
        self.text
    }

    fn line(&mut self, text: &str, cells: &[String]) {
        let mut line = format!("{text:TEXT_COLUMNS$}");
        for cell in cells {
            write!(line, "{cell:CELL_COLUMNS$}").expect("a String takes all");
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A line with the new state of a replica, if it is new.
    fn event(&mut self, at: usize, text: &str, after: Option<Snapshot>) {
        let new = cell(after);
        let mut cells = vec![String::new(); self.cells.len()];
        if new != self.cells[at] {
            cells[at].clone_from(&new);
            self.cells[at] = new;
        }
        self.line(text, &cells);
    }

    fn happening(&mut self, happening: &Happening) {
        match happening {
            Happening::Said(text) => {
                self.text.push('\n');
                self.line(&format!("— {text}"), &[]);
            }
            Happening::Crashed { at } => {
                self.writes[*at].clear();
                self.event(*at, &format!("r{at} crashes"), None);
            }
            Happening::Strayed { to, kind, fate, .. } => {
                if !self.hushed.contains(kind) && !self.passed_over {
                    let fate = match fate {
                        Fate::Lost => "lost",
                        Fate::Held => "held up",
                    };
                    self.line(&format!("     (the {} for r{to} is {fate})", kind.name()), &[]);
                }
            }
            Happening::Opened { at, actions, after, .. } => {
                let lines = self.actions(*at, actions);
                self.event(*at, &format!("r{at} starts with what its disk holds"), Some(*after));
                self.all(&lines);
            }
            Happening::Stepped { at, event, actions, after } => self.stepped(*at, event, actions, *after),
        }
    }

    fn all(&mut self, lines: &[String]) {
        lines.iter().for_each(|line| self.line(&format!("  {line}"), &[]));
    }

    fn stepped(&mut self, at: usize, event: &Event, actions: &[Action], after: Snapshot) {
        let heading = self.heading(at, event);
        let lines = self.actions(at, actions);
        let changed = cell(Some(after)) != self.cells[at];
        let (dull, mut story) = match &event.input {
            Input::Message(message) => (self.hushed.contains(&message.body.kind()), heading.clone()),
            Input::Tick => (true, format!("r{at} clock")),
            Input::Persisted(_) => (heading.is_empty(), heading.clone()),
            Input::Request(_) | Input::WriteFailed | Input::Executed { .. } | Input::Space(_) | Input::Stop => {
                (false, String::new())
            }
            Input::Requests(_)
            | Input::ExecutedRun { .. }
            | Input::Query(_)
            | Input::QueryHere(_)
            | Input::QueryLate(_) => (false, String::new()),
            Input::HandOver { .. } => (false, String::new()),
            Input::CheckpointTaken { .. } | Input::CheckpointBegun { .. } => (false, String::new()),
            Input::CheckpointGiven(_) | Input::Restored { .. } => (false, String::new()),
        };
        lines.iter().for_each(|line| story.push_str(line));
        let repeats = !story.is_empty() && !self.told.insert(story);
        self.passed_over = !changed && (repeats || (dull && lines.is_empty()));
        if !self.passed_over {
            self.event(at, &heading, Some(after));
            self.all(&lines);
        }
    }

    fn heading(&mut self, at: usize, event: &Event) -> String {
        match &event.input {
            Input::Tick => format!("r{at} clock  {} ms", event.at.0 / 1_000_000),
            Input::Request(request) => format!("r{at} ← {}  {}", client(request.client), asked(request)),
            Input::Query(query) | Input::QueryHere(query) | Input::QueryLate(query) => {
                format!("r{at} ← {}  Read {:?}", client(query.client), query.number)
            }
            Input::Message(message) => format!("r{at} ← {:?}  {}", message.header.from, said(message)),
            Input::WriteFailed => format!("r{at} disk  fails"),
            Input::Space(true) => format!("r{at} disk  has room"),
            Input::Space(false) => format!("r{at} disk  is full"),
            Input::Stop => format!("r{at} is to stop"),
            Input::HandOver { .. } => format!("r{at} is to give way"),
            Input::Requests(requests) => format!("r{at} ← {} requests at once", requests.len()),
            Input::ExecutedRun { first, replies } => {
                format!("r{at} service  answers {} ops from {first}", replies.len())
            }
            Input::Executed { op, reply } => {
                format!("r{at} service  answers op {op} with {:?}", String::from_utf8_lossy(reply))
            }
            Input::CheckpointTaken { op, .. } => format!("r{at} service  gives its checkpoint after op {op}"),
            Input::CheckpointBegun { op } => format!("r{at} service  sets its state after op {op} aside"),
            Input::CheckpointGiven(checkpoint) => {
                format!("r{at} service  gives the checkpoint after op {} that it set aside", checkpoint.op())
            }
            Input::Restored { op } => format!("r{at} service  is as it was after op {op}"),
            Input::Persisted(upto) => {
                let writes = &mut self.writes[at];
                let done = writes.iter().take_while(|(id, _)| id <= upto).count();
                let done: Vec<String> = writes.drain(..done).map(|(_, what)| what).collect();
                let durable = done.join(", ");
                if done.is_empty() { String::new() } else { format!("r{at} disk  has {durable}") }
            }
        }
    }

    fn actions(&mut self, at: usize, actions: &[Action]) -> Vec<String> {
        let members = self.cells.len();
        let mut lines = Vec::new();
        for action in actions {
            match action {
                Action::Send { message, .. } if self.hushed.contains(&message.body.kind()) => {}
                Action::Send { to, message } => {
                    let to = match to {
                        To::One(to) => format!("{to:?}"),
                        To::Others => {
                            let others = (0..members).filter(|other| *other != at);
                            others.map(|other| format!("r{other}")).collect::<Vec<_>>().join(",")
                        }
                    };
                    lines.push(format!("r{at} → {to}  {}", said(message)));
                }
                Action::Persist { id, write } => {
                    let what = written(write);
                    lines.push(format!("r{at} writes {what}"));
                    self.writes[at].push_back((*id, what));
                }
                Action::Execute(entries) => lines.push(format!("r{at} executes {}", ops(entries))),
                Action::Checkpoint { op } => lines.push(format!("r{at} wants a checkpoint after op {op}")),
                Action::Restore(checkpoint) => lines.push(format!("r{at} restores {checkpoint:?}")),
                Action::Read(queries) | Action::ReadBefore { queries, .. } => {
                    lines.push(format!("r{at} reads for {} questions", queries.len()));
                }
                Action::Reply(reply) => {
                    let to = client(reply.client);
                    let again = if reply.duplicate { ", again" } else { "" };
                    let result = String::from_utf8_lossy(&reply.result);
                    let (number, op) = (reply.number, reply.op);
                    lines.push(format!("r{at} → {to}  Reply {number:?} of op {op}: {result:?}{again}"));
                }
                Action::Reject(rejection) => {
                    let (to, number) = (client(rejection.client), rejection.number);
                    lines.push(format!("r{at} → {to}  refuses {number:?}: {}", refusal(rejection.reason)));
                }
                Action::Note(note) => lines.extend(noted(note).map(|what| format!("r{at} {what}"))),
                Action::Halt(reason) => lines.push(format!("r{at} halts: {}", halted(*reason))),
            }
        }
        lines
    }
}

fn cell(snapshot: Option<Snapshot>) -> String {
    let Some(Snapshot { status, view, op, commit, executed, .. }) = snapshot else { return "†".to_owned() };
    let letter = match status {
        StatusName::Primary => 'P',
        StatusName::Backup => 'B',
        StatusName::ViewChange => 'V',
        StatusName::Recovering => 'R',
        StatusName::Transitioning => 'T',
        StatusName::Retired => '-',
        StatusName::Halted => 'H',
    };
    format!("{letter}{view} {op}/{commit}/{executed}")
}

fn client(id: ClientId) -> String {
    format!("client {id}")
}

fn asked(request: &Request) -> String {
    let number = request.number;
    match request.kind {
        vr_core::Kind::Register => "Register".to_owned(),
        vr_core::Kind::Operation => format!("Request {number:?}: {:?}", String::from_utf8_lossy(&request.body)),
        vr_core::Kind::Reconfiguration => format!("Reconfiguration {number:?}"),
    }
}

fn ops(entries: &Entries) -> String {
    match (entries.first(), entries.last()) {
        (Some(first), Some(last)) if first.op() < last.op() => format!("ops {} to {}", first.op(), last.op()),
        (Some(only), _) => format!("op {}", only.op()),
        (None, _) => "no entries".to_owned(),
    }
}

fn written(write: &Write) -> String {
    match write {
        Write::Incarnation(incarnation) => format!("that life {incarnation} begins"),
        Write::View(view) => format!("view {view}"),
        Write::Append(entries) => ops(entries),
        Write::Replace { keep, entries, view } if entries.is_empty() => {
            format!("the log of view {view}: ops to {keep}")
        }
        Write::Replace { keep, entries, view } => {
            format!("the log of view {view}: ops to {keep}, then {}", ops(entries))
        }
        Write::Repair { keep, entries } => format!("the log that was here: ops to {keep}, then {}", ops(entries)),
        Write::Clean => "that all is here".to_owned(),
        Write::Checkpoint(checkpoint) => format!("a checkpoint after op {}", checkpoint.op()),
        Write::Cut { through } => format!("that ops to {through} may go"),
        Write::Install { checkpoint, entries, view } => {
            format!("the log of view {view}: a checkpoint after op {}, then {}", checkpoint.op(), ops(entries))
        }
    }
}

fn tail(tail: &Tail) -> String {
    let head = tail.head.op;
    match tail.entries.last() {
        None => format!("ends at op {head}"),
        Some(last) if last.op() == head => ops(&tail.entries),
        Some(_) => format!("{} on the way to op {head}", ops(&tail.entries)),
    }
}

fn said(message: &Message) -> String {
    let (view, name) = (message.header.view, message.body.kind().name());
    match &message.body {
        Body::Prepare { entries, commit, .. } => format!("{name} {} (commit {commit})", ops(entries)),
        Body::PrepareOk { head, .. } => format!("{name} op {}", head.op),
        Body::Commit { commit, head, .. } => format!("{name} {commit} (op {})", head.op),
        Body::CommitOk { .. } => name.to_owned(),
        Body::StartViewChange { want, hears } => {
            let want = if *want { "wants to leave" } else { "is in" };
            format!("{name} {want} view {view}, hears {}", set(*hears))
        }
        Body::DoViewChange(report) => {
            let (log_view, op, commit) = (report.log_view, report.tail.head.op, report.commit);
            format!("{name} view {view}: op {op} of log_view {log_view}, commit {commit}")
        }
        Body::StartView(start) => format!("{name} view {view}: {}, commit {}", tail(&start.tail), start.commit),
        Body::GetState(question) => {
            format!("{name} after op {}", question.have.first().map_or(Op::ZERO, |newest| newest.op))
        }
        Body::NewState(page) => format!("{name} {}, commit {}", tail(&page.tail), page.commit),
        Body::Recovery(question) => {
            let newest = question.have.first().map_or(Op::ZERO, |newest| newest.op);
            let (life, least) = (question.nonce.incarnation, question.view_min);
            format!("{name} of life {life}, view {least} or later, has op {newest}")
        }
        Body::RecoveryResponse(answer) => match &answer.log {
            Some(log) => format!("{name} view {view}: {}, commit {}", tail(&log.tail), log.commit),
            None => format!("{name} view {view}: not its primary"),
        },
        Body::GetCheckpoint { head, offset } => format!("{name} after op {}, from byte {offset} on", head.op),
        Body::GetEntries { through } => format!("{name} through op {}", through.op),
        Body::Entries(entries) => format!("{name} {}", ops(entries)),
        Body::StartEpoch(group) | Body::NewEpoch(group) => format!("{name} {}", group.epoch()),
        Body::EpochStarted { epoch } => format!("{name} {epoch}"),
        Body::CheckEpoch | Body::GetReadIndex { .. } => name.to_owned(),
        Body::ReadIndex { op, .. } => format!("{name} {op}"),
        Body::CheckpointDurable(news) => format!("{name} through op {}", news.head.op),
        Body::CheckpointPart(part) => {
            format!(
                "{name} after op {}, {} bytes from {} of {}",
                part.head.op,
                part.bytes.len(),
                part.offset,
                part.length
            )
        }
    }
}

fn set(members: ReplicaSet) -> String {
    let names: Vec<String> = members.iter().map(|position| format!("r{}", position.index())).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(",") }
}

fn refusal(reason: Reject) -> String {
    match reason {
        Reject::NotPrimary { primary, view } => match primary {
            Some(ReplicaId(id)) => format!("not primary; r{id} is, of view {view}"),
            None => format!("not primary; the last view it knows is {view}"),
        },
        Reject::Busy => "busy, try again later".to_owned(),
        Reject::Evicted => "its session is gone".to_owned(),
        Reject::TooLarge => "too large".to_owned(),
        Reject::Malformed => "it makes no sense".to_owned(),
        Reject::NoSpace => "its disk is full".to_owned(),
        Reject::Reconfiguration(why) => format!("no such group: {why:?}"),
        other => panic!("{other:?} has no words yet"),
    }
}

fn halted(reason: HaltReason) -> String {
    format!("{reason:?}")
}

fn ignored(why: Ignored) -> &'static str {
    match why {
        Ignored::WrongCluster => "of another cluster",
        Ignored::WrongEpoch => "of another epoch",
        Ignored::NotAMember => "not of a member",
        Ignored::OlderView => "of an earlier view",
        Ignored::WrongStatus => "not now",
        Ignored::WrongRole => "not from there",
        Ignored::NotAsked => "it asked nothing",
        Ignored::Duplicate => "known",
        Ignored::Gap => "across a hole",
        Ignored::Malformed => "it makes no sense",
        Ignored::Unknown => "about entries it has not",
        Ignored::NoSpace => "its disk is full",
        other => panic!("{other:?} has no words yet"),
    }
}

/// What a note says; nothing where another line says it already.
fn noted(note: &Note) -> Option<String> {
    Some(match note {
        Note::Opened { incarnation, .. } => format!("begins life {incarnation}"),
        Note::Ignored { why: Ignored::Duplicate | Ignored::Gap, .. } => return None,
        Note::Ignored { from, kind, why } => format!("ignores the {} of {from:?}: {}", kind.name(), ignored(*why)),
        Note::Committed { op } => format!("commits through op {op}"),
        Note::WantsViewChange { view } => format!("wants to leave view {view}"),
        Note::EnteredView { view, cause } => {
            let cause = match cause {
                EnterCause::Quorum => "a quorum wants it",
                EnterCause::Evidence => "somebody is there already",
                EnterCause::Restart => "it may have led the one before",
                EnterCause::RecoveryNeedsIt => "a recovering replica needs it",
                EnterCause::HandOver => "it gives way",
            };
            format!("enters view {view}: {cause}")
        }
        Note::ChoseLog { of, reports, .. } => format!("chooses the log of {of:?} among {}", set(*reports)),
        Note::BecamePrimary { view, view_start } => {
            format!("is primary of view {view}, whose log ends at op {view_start}")
        }
        Note::BecameBackup { view, .. } => format!("is a backup in view {view}"),
        Note::Abdicated { view } => format!("abdicates in view {view}: no quorum hears it"),
        Note::HandingOver { to } => format!("prepares to give way to {to:?}"),
        Note::NoHandOver { why } => format!("does not give way: {why}"),
        Note::AskedForState { .. } | Note::Registered { .. } => return None,
        Note::TookState { from, op } => format!("takes what it missed from {from:?}, through op {op}"),
        Note::Truncated { from, to } => format!("drops ops after {to} (it had {from})"),
        Note::Retransmitted { to, op } => format!("says op {op} to {to:?} again"),
        Note::Reacknowledged { op } => format!("acknowledges op {op} again"),
        Note::Recovering { view_min } => format!("has lost its memory; it promised view {view_min}"),
        Note::Recovered { kept, op, .. } => {
            format!("has its memory back: op {op}, of which ops to {kept} from its own disk")
        }
        Note::Evicted { client, .. } => format!("closes the session of client {client}"),
        Note::DuplicateRequest { number, .. } => format!("knows {number:?} already"),
        Note::SkippedDuplicate { op } => format!("passes over op {op}: executed before"),
        Note::TableAt { .. } => return None,
        Note::DamagedLog { from } => format!("cannot read its log from op {from} on"),
        Note::Outnumbered { asking } => format!("waits with {}: too many have lost their memory", set(*asking)),
        Note::Stopped { clean } => {
            if *clean {
                "stops in good order".to_owned()
            } else {
                "stops without what it knew".to_owned()
            }
        }
        Note::CheckpointTaken { op, .. } => format!("has a checkpoint after op {op}"),
        Note::CheckpointDurable { op } => format!("has a durable checkpoint after op {op}"),
        Note::LogCut { through } => format!("gives up its log through op {through}"),
        Note::AskedForCheckpoint { of, op, offset } => {
            format!("asks {of:?} for the checkpoint after op {op} from byte {offset} on")
        }
        Note::CheckpointInstalled { op, .. } => format!("installs the checkpoint after op {op}"),
        Note::RepairedLog { from, entries } => {
            format!("has its log back from op {from} on, {entries} entries of it from others")
        }
        Note::EpochEnds { epoch, op } => format!("ends epoch {epoch} with op {op}"),
        Note::EpochBegan { epoch, base, member } => format!("is of epoch {epoch} after op {base}: {member}"),
        Note::LearnedEpoch { epoch, from } => format!("hears of epoch {epoch} from r{from}"),
        Note::EpochSettled { epoch } => format!("epoch {epoch} is settled"),
        Note::ReadsGivenUp { view, queries } => format!("gives up {queries} reads of {view}"),
        other => panic!("{other:?} has no words yet"),
    })
}
