//! The view: one page that shows a running cluster, a trace, or a simulated cluster to drive by hand.
//!
//! Owns the service behind the page: a collector that pulls every node's events, the trace's file, the laboratory's
//! thread, and who may ask for what. It only looks: nothing it does reaches a replica, and a node never waits for it. Must
//! not know the store, nor the command line. VIEW.md §5.2, §5.4.

mod answer;
mod clocks;
mod file;
mod fold;
mod guard;
mod lab;
mod live;
mod merge;
mod page;
mod pull;
mod redact;
mod routes;
mod sse;

use self::file::TraceFile;
use self::guard::{Guard, Token};
use self::lab::Laboratory;
use self::live::{Live, Told};
use self::routes::{Mode, Service};
use hyper::service::service_fn;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use vr_sim::lab::LabSetup;
use vr_sim::view::read;
use vr_sim::view::table::Table;
use vr_sim::view::text::Lines;
use vr_tokio::transport::server::{Server, ServerMetrics, ServerOptions, serve};
use vr_tokio::vr_core::trace::TraceEvent;

/// How often what was held back for long enough is given out.
const TICK: Duration = Duration::from_millis(50);
/// How many pieces of what nodes say may wait; then nodes wait, which costs them nothing: they leave events out.
const WAITING_MAX: usize = 64;
/// Whose state is known has sent something within so long.
const SPEAKS: Duration = Duration::from_millis(300);
/// The most nodes.
const NODES_MAX: usize = 64;

/// What is shown.
#[derive(Clone, Debug)]
pub enum Shown {
    /// A running cluster: its nodes' addresses, `host:port`.
    Nodes(Vec<String>),
    /// A trace in a file.
    Trace(PathBuf),
    /// A simulated cluster that the page drives.
    Lab(LabSetup),
}

/// How.
#[derive(Clone, Debug)]
pub struct ViewOptions {
    /// Where the page is served; port 0 for a free one.
    pub listen: SocketAddr,
    /// An address that others reach is meant so.
    pub exposes_data: bool,
    /// Clients' data is shown where nodes tell it; otherwise by length and hash.
    pub shows_values: bool,
    /// Who is told in words which nodes come and go.
    pub say: Option<fn(&str)>,
}

impl Default for ViewOptions {
    /// A free port of the loopback address, and nobody is told anything.
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), exposes_data: false, shows_values: false, say: None }
    }
}

/// A running view. It ends when this is dropped.
#[derive(Debug)]
pub struct View {
    url: String,
    live: Option<Arc<Live>>,
    server: Server,
    _collector: JoinSet<()>,
}

impl View {
    /// Starts it.
    ///
    /// # Errors
    /// When the address is taken, or not allowed; when there is nothing to be shown. In one line.
    pub async fn start(shown: Shown, options: ViewOptions) -> Result<Self, String> {
        let is_exposed = !options.listen.ip().is_loopback();
        if is_exposed && !options.exposes_data {
            let ip = options.listen.ip();
            return Err(format!("{ip} can be reached by others: --i-understand-this-exposes-data if that is meant so"));
        }
        let mut collector = JoinSet::new();
        let name = name_of(&shown);
        let mode = match shown {
            Shown::Nodes(nodes) => Mode::Live(collect(nodes, &options, &mut collector)?),
            Shown::Trace(path) => Mode::Trace(TraceFile::open(path)?),
            Shown::Lab(setup) => Mode::Lab(Laboratory::start(setup)?),
        };
        let refused = |error| format!("cannot listen at {}: {error}", options.listen);
        let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let is_lab = matches!(mode, Mode::Lab(_));
        let token = if is_lab || is_exposed { Some(Token::new()?) } else { None };
        let url = url_of(address, token.as_ref(), is_lab);
        let live = if let Mode::Live(live) = &mode { Some(Arc::clone(live)) } else { None };
        let service = Arc::new(Service { mode, name, guard: Guard::new(address, token, is_lab) });
        let limits = ServerOptions {
            max_connections: 256,
            max_body_bytes: 1 << 20,
            grace: Duration::from_millis(200),
            ..ServerOptions::default()
        };
        let server = serve(listener, limits, ServerMetrics::default(), move |_| {
            let service = Arc::clone(&service);
            service_fn(move |request| {
                let service = Arc::clone(&service);
                async move { Ok::<_, Infallible>(service.answer(request).await) }
            })
        });
        Ok(Self { url, live, server: server.map_err(refused)?, _collector: collector })
    }

    /// Where the page is, with the token that it needs, if any.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes a line for every node and then for every event of a running cluster, and ends when nobody reads them.
    pub async fn print(&self, mut to: impl std::io::Write) {
        let Some(live) = &self.live else { return };
        let (mut news, mut cursor, mut lines) = (live.news(), None, Lines::new());
        loop {
            let mut text = String::new();
            let next = match live.told(cursor) {
                Told::Nothing => {
                    if news.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                Told::Events(events, next) => {
                    let events = events.iter().filter_map(|line| serde_json::from_str(line).ok());
                    events.for_each(|event: TraceEvent| lines.line(&event, &mut text));
                    next
                }
                Told::Snapshot(lost, _, next) => {
                    if lost > 0 {
                        text = format!("# {lost} events were too many to print\n");
                    }
                    live.present().iter().for_each(|event| lines.line(event, &mut text));
                    next
                }
            };
            cursor = Some(next);
            if to.write_all(text.as_bytes()).and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Ends it.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

/// The events of a trace in a file; the name - is standard input.
///
/// # Errors
/// Why it cannot be read, in one line.
pub fn trace_of(path: &Path) -> Result<read::Trace, String> {
    file::events_of(path)
}

/// In what the nodes of a running cluster disagree now. Those that are not heard within `patience` are not known; `say`
/// is told why.
///
/// # Errors
/// When there are no nodes, or too many, or none is heard.
pub async fn table_of(nodes: Vec<String>, patience: Duration, say: fn(&str)) -> Result<Table, String> {
    let mut collector = JoinSet::new();
    let live = collect(nodes, &ViewOptions::default(), &mut collector)?;
    let is_known = async {
        while !live.is_complete() {
            tokio::time::sleep(TICK).await;
        }
        tokio::time::sleep(SPEAKS).await;
    };
    // Whoever is late is shown as not known.
    let _ = tokio::time::timeout(patience, is_known).await;
    live.absent().iter().for_each(|said| say(said));
    if live.present().len() < 2 {
        return Err("no node says how it is".to_owned());
    }
    Table::now(&live.events(), live.elapsed())
}

fn name_of(shown: &Shown) -> String {
    match shown {
        Shown::Nodes(nodes) => nodes.join(", "),
        Shown::Trace(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        Shown::Lab(setup) => format!("{} replicas, seed {}", setup.replicas, setup.seed),
    }
}

fn url_of(address: SocketAddr, token: Option<&Token>, is_lab: bool) -> String {
    let Some(token) = token else { return format!("http://{address}/") };
    let query = if address.ip().is_loopback() { String::new() } else { format!("?token={token}") };
    // What stands behind the # is not sent, not even to us: the page brings it when it changes something.
    let fragment = if is_lab { format!("#token={token}") } else { String::new() };
    format!("http://{address}/{query}{fragment}")
}

/// Listens to all nodes.
fn collect(nodes: Vec<String>, options: &ViewOptions, tasks: &mut JoinSet<()>) -> Result<Arc<Live>, String> {
    if nodes.is_empty() || nodes.len() > NODES_MAX {
        return Err(format!("{} nodes cannot be shown: 1 to {NODES_MAX}", nodes.len()));
    }
    let live = Arc::new(Live::new(nodes.len(), options.shows_values));
    let (to, mut from) = mpsc::channel(WAITING_MAX);
    for (node, address) in nodes.into_iter().enumerate() {
        tasks.spawn(pull::listen(node, address, to.clone()));
    }
    let (known, say) = (Arc::clone(&live), options.say);
    tasks.spawn(async move {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = from.recv() => {
                    let Some((node, heard)) = heard else { return };
                    if let (Some(said), Some(say)) = (known.heard(node, heard), say) {
                        say(&said);
                    }
                }
                _ = tick.tick() => known.tick(),
            }
        }
    });
    Ok(live)
}
