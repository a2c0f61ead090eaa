//! A client and its sessions: who the primary is, when to try again, when to give up.
//!
//! Owns the retries. One call keeps its request-number however often it is sent, so that it takes effect at most
//! once; what a failure says about its effect is decided here. Must not know HTTP. Paper: VRR §4, §4.1 steps 1 and 2.

use super::error::ClientError;
use super::form::{
    Answer, Ask, GroupBody, MEMBERS_ROUTE, READ_ROUTE, ROUTE, Refused, address_of, answer_of, epoch_in, headers_of,
    headers_of_read_here, read_of,
};
use super::pool::{Failed, Manner, Pool};
use crate::tls::ClientTls;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use vr_core::{ClientId, Epoch, Op, Reply, RequestNumber, Session, View};

/// More addresses than members that a cluster can have are nonsense.
const ADDRESSES_MAX: usize = 64;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// How long a call may take, all attempts together.
    pub call_timeout: Duration,
    /// How long one attempt may take before another replica is tried.
    pub attempt_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// The first wait when nobody takes the request; it doubles each time …
    pub retry_min: Duration,
    /// … up to this one. Each is drawn from half of it to all of it.
    pub retry_max: Duration,
    /// The longest answer, in bytes.
    pub max_response_bytes: usize,
    /// How many idle connections are kept to each replica.
    pub max_idle_connections: usize,
    /// TLS, when the replicas' listeners speak it.
    pub tls: Option<ClientTls>,
}

impl Default for ClientOptions {
    /// 10 s a call, 1 s an attempt, 1 s to connect, waits from 5 to 100 ms, answers of 64 MiB, no TLS.
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            retry_min: Duration::from_millis(5),
            retry_max: Duration::from_millis(100),
            max_response_bytes: 64 << 20,
            max_idle_connections: 64,
            tls: None,
        }
    }
}

/// Knows a cluster's addresses. Cheap to clone: clones share connections and what is known of the primary.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    options: ClientOptions,
    manner: Manner,
    /// The members, as far as they are known, then the addresses that it was given.
    pools: RwLock<Vec<Arc<Pool>>>,
    given: Vec<Arc<Pool>>,
    /// Of which epoch the members are.
    epoch: AtomicU64,
    /// Which of the pools leads to the primary, as far as is known.
    primary: AtomicUsize,
}

impl Client {
    /// A client of the cluster whose replicas listen at these addresses, `host:port` or `http://host:port`; one that
    /// is up is enough. Connects to nobody yet.
    ///
    /// # Errors
    /// When there is no address, or one is none.
    pub fn new(
        endpoints: impl IntoIterator<Item = impl AsRef<str>>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let pools: Result<Vec<_>, _> = endpoints
            .into_iter()
            .map(|url| {
                let address = address_of(url.as_ref()).ok_or_else(|| ClientError::Address(url.as_ref().to_owned()))?;
                Ok(Arc::new(Pool::new(address)))
            })
            .collect();
        let pools = pools?;
        if pools.is_empty() {
            return Err(ClientError::Address(String::new()));
        }
        let manner = Manner {
            connect_timeout: options.connect_timeout,
            response_bytes_max: options.max_response_bytes,
            idle_max: options.max_idle_connections,
            tls: options.tls.clone(),
        };
        let (given, pools) = (pools.clone(), RwLock::new(pools));
        let (primary, epoch) = (AtomicUsize::new(0), AtomicU64::new(0));
        Ok(Self(Arc::new(Shared { options, manner, pools, given, epoch, primary })))
    }

    /// Opens a session, for a client id drawn at random.
    ///
    /// # Errors
    /// When nobody opens one in time.
    pub async fn session(&self) -> Result<ClientSession, ClientError> {
        let (high, low) = (getrandom::u64(), getrandom::u64());
        let (Ok(high), Ok(low)) = (high, low) else {
            return Err(ClientError::Refused("this machine gives no random numbers".to_owned()));
        };
        self.session_of(ClientId(u128::from(high) << 64 | u128::from(low))).await
    }

    /// Opens a session for this client id, or finds the one that it has.
    ///
    /// # Errors
    /// When nobody opens one in time.
    pub async fn session_of(&self, id: ClientId) -> Result<ClientSession, ClientError> {
        let ask = Ask { client: id, session: Session::ZERO, number: RequestNumber::ZERO, body: Bytes::new() };
        let reply = Call::new(&self.0).carry_out(&Said::Ask(ask)).await?;
        let (session, number, is_gone) = (reply.session, RequestNumber::ZERO, false);
        Ok(ClientSession { client: self.clone(), id, session, number, is_gone })
    }

    /// Asks the service a question that changes nothing. The answer reflects everything that was answered to anybody before
    /// this call was made, and nothing is logged for it. Needs no session.
    ///
    /// # Errors
    /// When nobody answers in time, or the question is too long. Whatever it is, nothing has had any effect, though a
    /// [`ClientError::Timeout`] says of any call that this is unknown.
    pub async fn read(&self, query: impl Into<Bytes>) -> Result<Bytes, ClientError> {
        Call::new(&self.0).carry_out(&Said::Read(query.into())).await.map(|reply| reply.result)
    }

    /// [`Client::read`] of the replica at this address, `host:port` or `http://host:port`, which answers whether it leads or
    /// not: from its own state, once its primary has told it what the answer must reflect. As linearizable. When that one
    /// cannot answer, another one does.
    ///
    /// # Errors
    /// As [`Client::read`], and when that is no address or one too many.
    pub async fn read_from(&self, address: &str, query: impl Into<Bytes>) -> Result<Bytes, ClientError> {
        let at = address_of(address).and_then(|address| self.0.find(&address));
        let target = at.ok_or_else(|| ClientError::Address(address.to_owned()))?;
        let call = Call { target, ..Call::new(&self.0) };
        call.carry_out(&Said::ReadHere(query.into())).await.map(|reply| reply.result)
    }

    /// The address that is believed to be the primary's.
    #[must_use]
    pub fn primary(&self) -> String {
        let at = self.0.primary.load(Ordering::Relaxed);
        self.0.pool(at).address.clone()
    }
}

/// A session: one call at a time, each executed exactly once.
pub struct ClientSession {
    client: Client,
    id: ClientId,
    session: Session,
    number: RequestNumber,
    is_gone: bool,
}

impl ClientSession {
    /// Whose session it is.
    #[must_use]
    pub const fn client_id(&self) -> ClientId {
        self.id
    }

    /// Which session it is.
    #[must_use]
    pub const fn id(&self) -> Session {
        self.session
    }

    /// Has an operation executed, and waits for the answer.
    ///
    /// A call whose outcome is unknown can be followed by another; should the first not have taken effect by then, it
    /// never will.
    ///
    /// # Errors
    /// See [`ClientError::is_outcome_unknown`] for what each says about the effect.
    pub async fn call(&mut self, body: impl Into<Bytes>) -> Result<Reply, ClientError> {
        if self.is_gone {
            return Err(ClientError::Evicted);
        }
        self.number = self.number.next();
        let ask = Ask { client: self.id, session: self.session, number: self.number, body: body.into() };
        let outcome = Call::new(&self.client.0).carry_out(&Said::Ask(ask)).await;
        self.is_gone = outcome == Err(ClientError::Evicted);
        outcome
    }
}

impl Shared {
    fn pool(&self, at: usize) -> Arc<Pool> {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&pools[at % pools.len()])
    }

    /// A replica of this epoch answered at `pool`: whoever is a member by now is asked from here on, if that is news.
    async fn follow(&self, epoch: Epoch, pool: &Pool, by: Instant) {
        if epoch.0 <= self.epoch.load(Ordering::Relaxed) {
            return;
        }
        let exchange = pool.exchange(get_of(MEMBERS_ROUTE, &pool.address), &self.manner);
        let Ok(Ok(response)) = timeout_at(by, exchange).await else { return };
        let Ok(group) = serde_json::from_slice::<GroupBody>(&response.body) else { return };
        let Some(addresses) = group.addresses().filter(|all| !all.is_empty() && all.len() <= ADDRESSES_MAX) else {
            return;
        };
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        if group.epoch <= self.epoch.load(Ordering::Relaxed) {
            return;
        }
        let leads = pools.get(self.primary.load(Ordering::Relaxed)).map(|pool| pool.address.clone());
        let known = |address: &String| pools.iter().find(|pool| pool.address == *address).map(Arc::clone);
        let pool_of = |address: String| known(&address).unwrap_or_else(|| Arc::new(Pool::new(address)));
        let mut all: Vec<_> = addresses.into_iter().map(pool_of).collect();
        for given in &self.given {
            if !all.iter().any(|pool| pool.address == given.address) {
                all.push(Arc::clone(given));
            }
        }
        let primary = all.iter().position(|pool| Some(&pool.address) == leads.as_ref()).unwrap_or(0);
        *pools = all;
        self.primary.store(primary, Ordering::Relaxed);
        self.epoch.store(group.epoch, Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.pools.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Which pool leads to this address, which may be new.
    fn find(&self, address: &str) -> Option<usize> {
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = pools.iter().position(|pool| pool.address == address) {
            return Some(at);
        }
        if pools.len() >= ADDRESSES_MAX {
            return None;
        }
        pools.push(Arc::new(Pool::new(address.to_owned())));
        Some(pools.len() - 1)
    }
}

/// What a call says each time that it is sent.
enum Said {
    Ask(Ask),
    /// A question that changes nothing.
    Read(Bytes),
    /// The same, which a backup may answer.
    ReadHere(Bytes),
}

impl Said {
    fn answered(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Answer {
        match self {
            Self::Ask(ask) => answer_of(ask, status, headers, body),
            Self::Read(_) | Self::ReadHere(_) => {
                read_of(status, headers, body).map_or_else(|refusal| refusal, answer_to_read)
            }
        }
    }
}

/// The answer to a read names no request.
const fn answer_to_read(result: Bytes) -> Answer {
    let (client, session, number) = (ClientId(0), Session::ZERO, RequestNumber::ZERO);
    Answer::Reply(Reply { client, session, number, op: Op::ZERO, view: View::ZERO, result, duplicate: false })
}

/// One call, from its first attempt to its end.
struct Call<'a> {
    shared: &'a Shared,
    deadline: Instant,
    /// Where the next attempt goes.
    target: usize,
    /// Who was tried since the last wait.
    tried: Vec<usize>,
    waits: u32,
    /// May an attempt have taken effect?
    is_uncertain: bool,
    /// What the last attempt came to: the error, should it have been the last.
    last: ClientError,
}

/// What follows an attempt.
enum Next {
    Done(Result<Reply, ClientError>),
    /// At once, at the target.
    Again,
    /// At the next address.
    Elsewhere,
    /// At the target, after a wait.
    Later,
}

impl<'a> Call<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            deadline: Instant::now() + shared.options.call_timeout,
            target: shared.primary.load(Ordering::Relaxed),
            tried: Vec::new(),
            waits: 0,
            is_uncertain: false,
            last: ClientError::Timeout,
        }
    }

    async fn carry_out(mut self, said: &Said) -> Result<Reply, ClientError> {
        loop {
            if self.tried.contains(&self.target) {
                self.wait().await?;
            }
            if Instant::now() >= self.deadline {
                return Err(self.give_up());
            }
            self.tried.push(self.target);
            match self.attempt(said).await {
                Next::Done(outcome) => return outcome,
                Next::Again => {}
                Next::Elsewhere => self.target = (self.target + 1) % self.shared.count(),
                Next::Later => self.wait().await?,
            }
        }
    }

    async fn attempt(&mut self, said: &Said) -> Next {
        let before = self.shared.epoch.load(Ordering::Relaxed);
        let pool = self.shared.pool(self.target);
        let by = self.deadline.min(Instant::now() + self.shared.options.attempt_timeout);
        let exchange = pool.exchange(request_of(said, &pool.address), &self.shared.manner);
        let response = match timeout_at(by, exchange).await {
            Ok(Ok(response)) => response,
            Ok(Err(Failed::Before(why))) => {
                self.last = ClientError::Unreachable(why);
                return Next::Elsewhere;
            }
            Ok(Err(Failed::Perhaps)) | Err(_) => {
                self.is_uncertain = true;
                self.last = ClientError::Timeout;
                return Next::Elsewhere;
            }
        };
        self.shared.follow(epoch_in(&response.headers), &pool, by).await;
        if self.shared.epoch.load(Ordering::Relaxed) != before {
            // They stand in other places now.
            self.tried.clear();
            self.target = self.shared.find(&pool.address).unwrap_or(0);
        }
        match said.answered(response.status, &response.headers, response.body) {
            Answer::Reply(reply) => {
                // Whoever answers such a read need not lead.
                if !matches!(said, Said::ReadHere(_)) {
                    self.shared.primary.store(self.target, Ordering::Relaxed);
                }
                Next::Done(Ok(reply))
            }
            Answer::Refused(refused) => self.on_refused(refused),
            Answer::Nonsense(status) => {
                self.is_uncertain = true;
                self.last = ClientError::Refused(format!("{} answered {status}", pool.address));
                Next::Elsewhere
            }
        }
    }

    fn on_refused(&mut self, refused: Refused) -> Next {
        match refused {
            Refused::NotPrimary { primary, .. } => {
                self.last = ClientError::NoPrimary;
                let Some(at) = primary.and_then(|(_, address)| self.shared.find(&address)) else {
                    return Next::Elsewhere;
                };
                self.shared.primary.store(at, Ordering::Relaxed);
                self.target = at;
                Next::Again
            }
            Refused::Busy => {
                self.last = ClientError::Busy;
                Next::Later
            }
            Refused::NoSpace => {
                self.last = ClientError::NoSpace;
                Next::Later
            }
            Refused::Deposed { .. } | Refused::Halted | Refused::Timeout => {
                self.is_uncertain = true;
                self.last = ClientError::Timeout;
                Next::Elsewhere
            }
            Refused::Evicted => Next::Done(Err(ClientError::Evicted)),
            Refused::TooLarge => Next::Done(Err(ClientError::TooLarge)),
            Refused::Malformed => Next::Done(Err(ClientError::Refused("malformed".to_owned()))),
        }
    }

    /// Doubles each time up to the longest; drawn from its upper half, so that clients do not come together.
    async fn wait(&mut self) -> Result<(), ClientError> {
        let options = &self.shared.options;
        let longest = options.retry_min.saturating_mul(1 << self.waits.min(16)).min(options.retry_max);
        let chance = u32::try_from(getrandom::u64().unwrap_or(0) % 1000).unwrap_or(0);
        let wait = longest / 2 + longest / 2 * chance / 1000;
        if Instant::now() + wait >= self.deadline {
            return Err(self.give_up());
        }
        sleep(wait).await;
        self.waits += 1;
        self.tried.clear();
        Ok(())
    }

    /// The error at the deadline: one that claims no effect only if no attempt can have had any.
    fn give_up(&self) -> ClientError {
        if self.is_uncertain && !self.last.is_outcome_unknown() { ClientError::Timeout } else { self.last.clone() }
    }
}

fn get_of(route: &'static str, address: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = http::Uri::from_static(route);
    if let Ok(host) = HeaderValue::try_from(address) {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}

fn request_of(said: &Said, address: &str) -> Request<Full<Bytes>> {
    let (body, route, headers) = match said {
        Said::Ask(ask) => (&ask.body, ROUTE, headers_of(ask)),
        Said::Read(query) => (query, READ_ROUTE, HeaderMap::new()),
        Said::ReadHere(query) => (query, READ_ROUTE, headers_of_read_here()),
    };
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static(route);
    *request.headers_mut() = headers;
    if let Ok(host) = HeaderValue::try_from(address) {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}
