//! The kit for transports: what the network does to messages between two replicas, and what a transport makes of it.
//!
//! Owns the troubles and the judgement. A transport may lose, repeat and reorder messages: the protocol bears it. It may
//! not make any up, change one, stand in the way of its replica, keep more than it was told to, or stay broken when the
//! network is not. Must not know connections, nor a clock: whoever waits is the embedder. PROTOCOL §2 (F1, F2, F3, F6).

mod reference;

pub use reference::{Defect, Reference};

use super::{Report, elsewhere, entries_after};
use vr_core::wire::{encode, encoded_size};
use vr_core::{
    Beat, Body, ClusterConfig, ClusterId, Epoch, Header, Incarnation, Instance, Message, Op, ReplicaId, Seq, View,
};

/// Who sends.
pub const SENDER: ReplicaId = ReplicaId(1);
/// Who receives.
pub const RECEIVER: ReplicaId = ReplicaId(0);

/// How both ends are to be configured: short messages, so that a long one is soon there.
#[must_use]
pub fn cluster() -> ClusterConfig {
    ClusterConfig {
        max_message_bytes: 16 << 10,
        max_request_bytes: 1 << 10,
        ..ClusterConfig::of_size(ClusterId(0x7A27), 3)
    }
}

/// What the network does, from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Nothing: it works.
    None,
    /// Whatever passes arrives twice.
    Duplicate,
    /// Whatever passes arrives behind what was sent after it.
    Reorder,
    /// What is sent disappears, and nobody is told: the other end is gone without a word. Ends with new connections.
    HalfOpen,
    /// Nothing is taken any more: what is sent backs up.
    Slow,
}

/// An embedder's transport: one end that sends, one that receives, and the network between them.
pub trait Transport {
    /// Begins anew, both ends configured as [`cluster`] says, on a network that works.
    ///
    /// # Errors
    /// In one line, when it does not begin.
    fn begin(&mut self) -> Result<(), String>;

    /// What the network does from now on.
    fn trouble(&mut self, trouble: Trouble);

    /// [`SENDER`] sends to [`RECEIVER`].
    fn send(&mut self, message: &Message);

    /// What the receiving replica was given since it was last asked, after everything had the time to arrive.
    fn received(&mut self) -> Vec<Message>;

    /// How many bytes of messages wait at the sender, and how many may.
    fn waiting(&mut self) -> (u64, u64);

    /// Somebody puts these bytes onto the network in the place of a message of [`SENDER`], as its transport would
    /// write them: an end that was not built by us, or is broken.
    fn inject(&mut self, frame: &[u8]);
}

/// So often something is sent before a transport counts as broken for good.
const PATIENCE: u64 = 200;

/// Tries everything.
pub fn try_all<T: Transport>(subject: &mut T) -> Report {
    let mut report = Report::new("transport");
    report.case("what is sent arrives, once and in order, while nothing goes wrong", |tried| plain(subject, tried));
    report.case("what arrives twice is what was sent", |tried| troubled(subject, Trouble::Duplicate, tried));
    report.case("what arrives in another order is what was sent", |tried| troubled(subject, Trouble::Reorder, tried));
    report.case("an end that is gone without a word is found out", |tried| troubled(subject, Trouble::HalfOpen, tried));
    report.case("a receiver that takes nothing holds up nobody and fills nothing", |tried| slow(subject, tried));
    report.case("a message that is too long is not delivered and keeps nothing else away", |tried| {
        oversized(subject, tried)
    });
    report.case("what does not decode, or is of somebody else, is not delivered", |tried| refused(subject, tried));
    report
}

fn message(from: ReplicaId, seq: u64, body_bytes: usize) -> Message {
    let header = Header {
        config: cluster().digest(),
        epoch: Epoch::ZERO,
        view: View(3),
        from,
        instance: Instance(5),
        incarnation: Incarnation(1),
        seq: Seq(seq),
    };
    let entries = entries_after(elsewhere(Op(seq)), View(3), 1, body_bytes);
    Message::new(header, Body::Prepare { entries, commit: Op::ZERO, beat: Beat(seq) })
}

/// Everything that arrives was sent: by its number, and bit for bit.
fn was_sent(received: &[Message], sent: u64, sizes: impl Fn(u64) -> usize) -> Result<(), String> {
    for got in received {
        let seq = got.header.seq.0;
        if seq == 0 || seq > sent || *got != message(SENDER, seq, sizes(seq)) {
            return Err(format!("it delivered what nobody sent: {got:?}"));
        }
    }
    Ok(())
}

/// Sends until something arrives; gives how many were sent.
fn until_it_works<T: Transport>(subject: &mut T, mut sent: u64) -> Result<u64, String> {
    let before = sent;
    while sent < before + PATIENCE {
        sent += 1;
        subject.send(&message(SENDER, sent, 100));
        let received = subject.received();
        was_sent(&received, sent, |_| 100)?;
        if received.iter().any(|got| got.header.seq.0 > before) {
            return Ok(sent);
        }
    }
    Err("it stays broken, and the network is not".to_owned())
}

fn plain<T: Transport>(subject: &mut T, tried: &mut u64) -> Result<(), String> {
    subject.begin()?;
    let first = until_it_works(subject, 0)?;
    let size = |seq: u64| if seq.is_multiple_of(10) { 900 } else { 40 };
    let sent: Vec<_> = (first + 1..=first + 300).map(|seq| message(SENDER, seq, size(seq))).collect();
    sent.iter().for_each(|message| subject.send(message));
    let mut received = Vec::new();
    for _ in 0..PATIENCE {
        received.extend(subject.received());
        if received.len() >= sent.len() {
            break;
        }
    }
    *tried += 300;
    if received == sent { Ok(()) } else { Err(format!("of {} messages {} arrived", sent.len(), received.len())) }
}

fn troubled<T: Transport>(subject: &mut T, trouble: Trouble, tried: &mut u64) -> Result<(), String> {
    subject.begin()?;
    let mut sent = until_it_works(subject, 0)?;
    for _ in 0..3 {
        *tried += 1;
        subject.trouble(trouble);
        for _ in 0..20 {
            sent += 1;
            subject.send(&message(SENDER, sent, 100));
            was_sent(&subject.received(), sent, |_| 100)?;
        }
        subject.trouble(Trouble::None);
        sent = until_it_works(subject, sent)?;
    }
    Ok(())
}

fn slow<T: Transport>(subject: &mut T, tried: &mut u64) -> Result<(), String> {
    subject.begin()?;
    let mut sent = until_it_works(subject, 0)?;
    subject.trouble(Trouble::Slow);
    let (_, most) = subject.waiting();
    let size = encoded_size(&message(SENDER, 1, 100));
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    // More than may wait.
    for _ in 0..most / size + 2_000 {
        sent += 1;
        subject.send(&message(SENDER, sent, 100));
    }
    *tried += 1;
    let (waiting, _) = subject.waiting();
    if waiting > most {
        return Err(format!("{waiting} bytes wait, and {most} may"));
    }
    subject.trouble(Trouble::None);
    until_it_works(subject, sent).map(|_| ())
}

fn oversized<T: Transport>(subject: &mut T, tried: &mut u64) -> Result<(), String> {
    subject.begin()?;
    let mut sent = until_it_works(subject, 0)?;
    for _ in 0..3 {
        *tried += 1;
        let mut frame = Vec::new();
        encode(&message(SENDER, sent + 1, 64 << 10), &mut frame);
        subject.inject(&frame);
        sent += 1;
        let received = subject.received();
        if received.iter().any(|got| got.header.seq.0 == sent) {
            return Err(format!("a message of {} bytes was delivered", frame.len()));
        }
        sent = until_it_works(subject, sent)?;
    }
    Ok(())
}

fn refused<T: Transport>(subject: &mut T, tried: &mut u64) -> Result<(), String> {
    subject.begin()?;
    let mut sent = until_it_works(subject, 0)?;
    let (mut spoilt, mut forged, mut stranger) = (Vec::new(), Vec::new(), Vec::new());
    encode(&message(SENDER, 1_000_001, 100), &mut spoilt);
    let middle = spoilt.len() / 2;
    spoilt[middle] ^= 1;
    encode(&message(RECEIVER, 1_000_002, 100), &mut forged);
    encode(&message(ReplicaId(9), 1_000_003, 100), &mut stranger);
    let bad = [spoilt, forged, stranger, vec![0xFF; 3], b"GET / HTTP/1.1\r\n\r\n".to_vec()];
    for frame in bad {
        *tried += 1;
        subject.inject(&frame);
        let received = subject.received();
        was_sent(&received, sent, |_| 100)?;
        sent = until_it_works(subject, sent)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
