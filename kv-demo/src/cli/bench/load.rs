//! One client of the load: asks, waits, asks again; follows the primary, survives its loss.
//!
//! Owns connections and retries. Must not know what a request says.

use super::super::wire::{Connection, address_of};
use super::histogram::Histogram;
use super::target::{Dice, Scratch, Target};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout_at};

/// How long an attempt may take before another node is tried.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long to wait when nobody takes a request.
const PAUSE: Duration = Duration::from_millis(5);

/// What the clients share.
#[derive(Debug)]
pub(super) struct Shared {
    addresses: RefCell<Vec<String>>,
    /// Who seems to be the primary.
    primary: Cell<usize>,
    deadline: Cell<Instant>,
    pub(super) ops: AtomicU64,
    pub(super) errors: AtomicU64,
    last_answer: Cell<Instant>,
    longest_gap: Cell<Duration>,
    first_error: RefCell<Option<String>>,
}

impl Shared {
    pub(super) fn new(addresses: Vec<String>, deadline: Instant) -> Self {
        Self {
            addresses: RefCell::new(addresses),
            primary: Cell::new(0),
            deadline: Cell::new(deadline),
            ops: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            last_answer: Cell::new(Instant::now()),
            longest_gap: Cell::default(),
            first_error: RefCell::default(),
        }
    }

    /// It is enough.
    pub(super) fn stop(&self) {
        self.deadline.set(self.deadline.get().min(Instant::now()));
    }

    /// For how long nobody has been answered.
    pub(super) fn silence(&self) -> Duration {
        self.last_answer.get().elapsed()
    }

    /// The longest time without any answer, the time since the last one included.
    pub(super) fn longest_gap(&self) -> Duration {
        self.longest_gap.get().max(self.deadline.get().saturating_duration_since(self.last_answer.get()))
    }

    pub(super) fn first_error(&self) -> Option<String> {
        self.first_error.borrow().clone()
    }

    fn answered(&self, at: Instant, ops: u64) {
        self.longest_gap.set(self.longest_gap.get().max(at.saturating_duration_since(self.last_answer.get())));
        self.last_answer.set(at);
        self.ops.fetch_add(ops, Ordering::Relaxed);
    }

    fn failed(&self, why: impl FnOnce() -> String) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_error.borrow_mut();
        if first.is_none() {
            *first = Some(why());
        }
    }

    fn address(&self) -> String {
        self.addresses.borrow()[self.primary.get()].clone()
    }

    /// The node that was believed to be the primary is not, and does not know who is.
    fn elsewhere(&self, from: &str) {
        if self.address() == from {
            self.primary.set((self.primary.get() + 1) % self.addresses.borrow().len());
        }
    }

    /// That one is.
    fn found(&self, address: String) {
        let mut addresses = self.addresses.borrow_mut();
        let at = addresses.iter().position(|known| *known == address).unwrap_or_else(|| {
            addresses.push(address);
            addresses.len() - 1
        });
        self.primary.set(at);
    }
}

/// A client.
pub(super) struct Client {
    target: Target,
    shared: Rc<Shared>,
    dice: Dice,
    latencies: Histogram,
    address: String,
}

/// What an attempt came to.
enum Came {
    Answered(Instant),
    Elsewhere(Option<String>, String),
    Refused(u16, String),
    Broken(io::Error),
}

impl Client {
    pub(super) fn new(number: u16, target: Target, shared: Rc<Shared>) -> Self {
        let address = shared.address();
        Self { target, shared, dice: Dice::new(number), latencies: Histogram::default(), address }
    }

    /// Asks until the time is over; gives how long the answers took.
    pub(super) async fn run(mut self) -> Histogram {
        while Instant::now() < self.shared.deadline.get() {
            self.address = self.shared.address();
            let by = self.shared.deadline.get().min(Instant::now() + ATTEMPT);
            match timeout_at(by.into(), Connection::open(&self.address)).await {
                Ok(Ok(connection)) => self.converse(connection).await,
                Ok(Err(error)) => {
                    self.shared.failed(|| format!("{}: {error}", self.address));
                    self.shared.elsewhere(&self.address);
                    sleep(PAUSE).await;
                }
                Err(_) => self.shared.elsewhere(&self.address),
            }
        }
        self.latencies
    }

    /// Asks over one connection for as long as it leads to the primary.
    async fn converse(&mut self, mut connection: Connection) {
        let (mut request, mut scratch) = (Vec::new(), Scratch::default());
        loop {
            let (began, deadline) = (Instant::now(), self.shared.deadline.get());
            if began >= deadline {
                return;
            }
            self.target.write(&mut request, &self.address, &mut self.dice, &mut scratch);
            let by = deadline.min(began + ATTEMPT);
            let Ok(came) = timeout_at(by.into(), attempt(&mut connection, &request, self.target)).await else {
                if by < self.shared.deadline.get() {
                    self.shared.failed(|| format!("{}: no answer within {} s", self.address, ATTEMPT.as_secs()));
                    self.shared.elsewhere(&self.address);
                }
                return;
            };
            match came {
                Came::Answered(at) => {
                    self.latencies.add(at - began);
                    self.shared.answered(at, u64::from(self.target.batch));
                    if connection.is_closing() {
                        return;
                    }
                }
                Came::Elsewhere(Some(address), _) => return self.shared.found(address),
                Came::Elsewhere(None, said) => {
                    self.shared.failed(|| format!("{}: {said}", self.address));
                    self.shared.elsewhere(&self.address);
                    return sleep(PAUSE).await;
                }
                Came::Refused(status, said) => {
                    self.shared.failed(|| format!("{} answered {status}: {said}", self.address));
                    sleep(PAUSE).await;
                }
                Came::Broken(error) => {
                    self.shared.failed(|| format!("{}: {error}", self.address));
                    self.shared.elsewhere(&self.address);
                    return sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn attempt(connection: &mut Connection, request: &[u8], target: Target) -> Came {
    match connection.exchange(request).await {
        Ok(response) if target.is_success(response.status) => Came::Answered(Instant::now()),
        Ok(response) => {
            let said = String::from_utf8_lossy(response.body).trim().to_owned();
            match response.status {
                307 => Came::Elsewhere(response.header("location").and_then(|url| address_of(url).ok()), said),
                503 if !said.contains("\"busy\"") => Came::Elsewhere(None, said),
                504 => Came::Elsewhere(None, said),
                status => Came::Refused(status, said),
            }
        }
        Err(error) => Came::Broken(error),
    }
}
