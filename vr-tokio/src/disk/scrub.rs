//! The thread that reads what was confirmed, gently, over and over. Owns the pace. Must not know what is in the files,
//! and writes nothing: what it finds is told to the thread that does.

use super::{Ask, ScrubOptions, Shared};
use crate::wal::{Metrics, Survey};
use std::io;
use std::sync::mpsc::channel;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Starts it; it ends when nothing is written any more.
pub(super) fn start(shared: Arc<Shared>, how: ScrubOptions, metrics: Metrics) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("vr-scrub".to_owned()).spawn(move || run(&shared, how, &metrics))
}

fn run(shared: &Shared, how: ScrubOptions, metrics: &Metrics) {
    loop {
        let begun = Instant::now();
        let Some(survey) = survey(shared) else { return };
        let bytes_per_second = pace(survey.bytes(), how);
        let mut goes_on = true;
        let mut read = |bytes: u64| {
            metrics.scrub_bytes.inc_by(bytes);
            goes_on = goes_on && shared.rest(Duration::from_secs(bytes) / bytes_per_second);
            goes_on
        };
        survey.check(&mut read, &mut |rot| shared.ask(Ask::Heal(rot)));
        if !goes_on {
            return;
        }
        metrics.scrub_passes.inc();
        // Not without a pause, however little there is.
        let left = how.interval.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        if !shared.rest(left) {
            return;
        }
    }
}

/// So many bytes a second: all of it evenly in the time there is, and never faster than allowed.
fn pace(bytes: u64, how: ScrubOptions) -> u32 {
    let millis = u64::try_from(how.interval.as_millis()).unwrap_or(u64::MAX).max(1);
    let even = bytes.saturating_mul(1000) / millis;
    u32::try_from(even.min(how.bytes_per_second).max(1)).unwrap_or(u32::MAX)
}

fn survey(shared: &Shared) -> Option<Survey> {
    let (to, from) = channel();
    shared.ask(Ask::Survey(to));
    from.recv().ok()
}

impl Shared {
    /// Asks the thread that writes; what nobody takes any more is dropped.
    fn ask(&self, ask: Ask) {
        let mut queue = self.queue();
        if !queue.closed && !queue.ended {
            queue.asked.push(ask);
            self.came.notify_one();
        }
    }

    /// False when nothing is to be done any more.
    fn rest(&self, time: Duration) -> bool {
        let waited = self.stopped.wait_timeout_while(self.queue(), time, |queue| !queue.closed && !queue.ended);
        let queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        !queue.closed && !queue.ended
    }
}
