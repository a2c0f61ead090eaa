//! Well-typed lies: real messages with fields changed, as no codec can tell and no honest replica would send.
//!
//! Owns what can be changed in which message. Must not know what a lie leads to. PROTOCOL rule 10: the network can say
//! anything.

use vr_core::{Beat, Body, Entries, Entry, FetchId, Hash, Head, Incarnation, Message, Op, Position, ReplicaId, View};

/// One lie: which field, and by what it is replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lie {
    pub(crate) field: u8,
    pub(crate) value: u8,
}

impl Lie {
    /// Another number than the true one: near it, at either end, or anything.
    fn number(self, truth: u64) -> u64 {
        match self.value % 8 {
            0 => 0,
            1 => truth.saturating_add(1),
            2 => truth.saturating_sub(1),
            3 => truth.saturating_mul(2).saturating_add(3),
            4 => u64::MAX,
            5 => 1 << 62,
            6 => u64::from(self.value),
            _ => truth,
        }
    }

    /// Mostly a view that could be: a far one ends most that can happen.
    fn view(self, truth: View) -> View {
        match self.value {
            0..8 => View(self.number(truth.0)),
            value => View(truth.0.saturating_add(u64::from(value % 4)).saturating_sub(1)),
        }
    }

    fn op(self, truth: Op) -> Op {
        Op(self.number(truth.0))
    }

    fn head(self, head: &mut Head) {
        match self.value % 3 {
            0 => head.hash = Hash(u128::from(self.value)),
            _ => head.op = self.op(head.op),
        }
    }

    fn heads(self, heads: &mut Vec<Head>) {
        match self.value % 4 {
            0 => heads.clear(),
            1 => heads.reverse(),
            2 => heads.push(Head { op: Op(self.number(7)), hash: Hash(1) }),
            _ => heads.iter_mut().for_each(|head| self.head(head)),
        }
    }

    /// Fewer entries, none, or others that are a chain all the same.
    fn entries(self, entries: &Entries) -> Entries {
        let half = entries.len() / 2;
        match self.value % 6 {
            0 => Entries::empty(),
            1 => entries.skip(1),
            2 => entries.take(half),
            3 => self.chain(entries, |op| op),
            4 => self.chain(entries, |op| self.op(op)),
            _ => self.chain(entries, Op::next),
        }
    }

    /// The same requests, with other views, from another position on.
    fn chain(self, entries: &Entries, first: impl Fn(Op) -> Op) -> Entries {
        let Some(head) = entries.first() else { return Entries::empty() };
        let (mut op, mut parent) = (first(head.op()), head.parent());
        let mut chain = Vec::new();
        for entry in entries {
            let view = self.view(entry.view());
            let other = Entry::new(entry.epoch(), view, op, parent, entry.request());
            (op, parent) = (op.next(), other.hash());
            chain.push(other);
        }
        Entries::new(chain).unwrap_or_else(|_| Entries::empty())
    }

    /// Changes the message.
    pub(crate) fn tell(self, message: &mut Message) {
        let header = &mut message.header;
        match self.field % 8 {
            0 => header.view = self.view(header.view),
            1 => header.from = ReplicaId(u16::from(self.value % 8)),
            2 => header.incarnation = Incarnation(self.number(header.incarnation.0)),
            _ => self.tell_in(&mut message.body),
        }
    }

    fn tell_in(self, body: &mut Body) {
        let field = self.field / 8;
        match body {
            Body::Prepare { entries, commit, beat } => match field % 3 {
                0 => *commit = self.op(*commit),
                1 => *beat = Beat(self.number(beat.0)),
                _ => *entries = self.entries(entries),
            },
            Body::PrepareOk { head, beat } => match field % 2 {
                0 => self.head(head),
                _ => *beat = Beat(self.number(beat.0)),
            },
            Body::Commit { commit, head, beat } => match field % 3 {
                0 => *commit = self.op(*commit),
                1 => self.head(head),
                _ => *beat = Beat(self.number(beat.0)),
            },
            Body::CommitOk { beat } => *beat = Beat(self.number(beat.0)),
            Body::StartViewChange { want, hears } => {
                *want = !*want;
                *hears = (0..8).filter(|i| self.value & (1 << i) != 0).filter_map(Position::new).collect();
            }
            Body::DoViewChange(report) => match field % 5 {
                0 => report.log_view = self.view(report.log_view),
                1 => report.commit = self.op(report.commit),
                2 => self.head(&mut report.tail.base),
                3 => self.head(&mut report.tail.head),
                _ => report.tail.entries = self.entries(&report.tail.entries),
            },
            Body::StartView(start) => self.tell_in_start(field, start),
            Body::GetState(question) => match field % 3 {
                0 => question.id = FetchId(self.number(question.id.0)),
                1 => self.heads(&mut question.have),
                _ => {
                    let mut head = question.have.first().copied().unwrap_or_default();
                    self.head(&mut head);
                    question.want = Some(head);
                }
            },
            Body::NewState(page) => match field % 5 {
                0 => page.id = FetchId(self.number(page.id.0)),
                1 => page.commit = self.op(page.commit),
                2 => self.head(&mut page.tail.base),
                3 => self.head(&mut page.tail.head),
                _ => page.tail.entries = self.entries(&page.tail.entries),
            },
            Body::Recovery(question) => match field % 3 {
                0 => question.view_min = self.view(question.view_min),
                1 => self.heads(&mut question.have),
                _ => question.nonce.counter = self.number(question.nonce.counter),
            },
            Body::RecoveryResponse(answer) => match (&mut answer.log, field % 2) {
                (Some(start), 0) => self.tell_in_start(field / 2, start),
                _ => answer.nonce.counter = self.number(answer.nonce.counter),
            },
            Body::GetCheckpoint { head, offset } => match field % 2 {
                0 => self.head(head),
                _ => *offset = self.number(*offset),
            },
            Body::GetEntries { through } => self.head(through),
            Body::CheckpointDurable(news) if field.is_multiple_of(2) => self.head(&mut news.head),
            Body::CheckpointDurable(news) => self.head(&mut news.held),
            Body::Entries(entries) => *entries = self.entries(entries),
            Body::EpochStarted { epoch } => *epoch = vr_core::Epoch(self.number(epoch.0)),
            Body::GetReadIndex { id } => *id = FetchId(self.number(id.0)),
            Body::ReadIndex { op, .. } => *op = self.op(*op),
            Body::StartEpoch(_) | Body::NewEpoch(_) | Body::CheckEpoch => {}
            Body::CheckpointPart(part) => self.tell_in_part(field, part),
        }
    }

    fn tell_in_part(self, field: u8, part: &mut vr_core::CheckpointPart) {
        match field % 5 {
            0 => self.head(&mut part.head),
            1 => part.digest = Hash(u128::from(self.value)),
            2 => part.length = self.number(part.length),
            3 => part.offset = self.number(part.offset),
            _ => part.bytes = part.bytes.range(part.bytes.len() / 2, usize::MAX).collect(),
        }
    }

    fn tell_in_start(self, field: u8, start: &mut vr_core::StartView) {
        match field % 5 {
            0 => start.view_start = self.op(start.view_start),
            1 => start.commit = self.op(start.commit),
            2 => self.head(&mut start.tail.base),
            3 => self.head(&mut start.tail.head),
            _ => start.tail.entries = self.entries(&start.tail.entries),
        }
    }
}
