//! The routes of the service, each answered by mode.
//!
//! Owns the paths and what each gives. Only those listed here exist: nothing is looked up by a path from a request. Must
//! not know how any of it is made. VIEW.md §5.2, §5.4.

use super::answer::{self, Problem};
use super::file::TraceFile;
use super::guard::Guard;
use super::lab::{Laboratory, Outcome, Refused};
use super::live::Live;
use super::page::page;
use super::sse;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use std::sync::Arc;
use vr_sim::view::export::Form;
use vr_sim::view::page::Source;
use vr_sim::view::read;
use vr_tokio::AnswerBody;
use vr_tokio::transport::server::RequestBody;

/// What is shown.
#[derive(Clone, Debug)]
pub(super) enum Mode {
    /// A running cluster.
    Live(Arc<Live>),
    /// A trace.
    Trace(TraceFile),
    /// A simulated cluster to drive.
    Lab(Laboratory),
}

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) mode: Mode,
    pub(super) name: String,
    pub(super) guard: Guard,
}

impl Mode {
    const fn source(&self) -> Source {
        match self {
            Self::Live(_) => Source::Live,
            Self::Trace(_) => Source::Trace,
            Self::Lab(_) => Source::Lab,
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Live(_) => "live",
            Self::Trace(_) => "trace",
            Self::Lab(_) => "lab",
        }
    }
}

impl Service {
    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<RequestBody>) -> Response<AnswerBody> {
        let (head, body) = request.into_parts();
        let answer = match self.guard.check(&head) {
            Err(problem) => Err(problem),
            Ok(()) if head.method == http::Method::POST => self.post(&head, body).await,
            Ok(()) => self.get(&head).await,
        };
        answer.unwrap_or_else(|problem| problem.response())
    }

    async fn get(&self, head: &Parts) -> Result<Response<AnswerBody>, Problem> {
        if let Some(cookie) = self.guard.cookie_for(head) {
            return Ok(redirected(&cookie));
        }
        match (head.uri.path(), &self.mode) {
            ("/", mode) => Ok(page(mode.source(), &self.name)),
            ("/healthz", _) => Ok(answer::json("{\"ok\":true}\n".to_owned())),
            ("/api/v1/meta", mode) => {
                let meta = serde_json::json!({ "mode": mode.word(), "name": self.name });
                Ok(answer::json(format!("{meta}\n")))
            }
            ("/api/v1/snapshot", Mode::Live(live)) => Ok(answer::json(live.snapshot())),
            ("/api/v1/events", Mode::Live(live)) => {
                let after = head.headers.get("last-event-id").and_then(|id| id.to_str().ok());
                Ok(sse::stream(live, after))
            }
            (path, _) if path.starts_with("/api/v1/export/") => self.export(head).await,
            ("/api/v1/trace", Mode::Trace(file)) => file.answer().map_err(Problem::Failed),
            ("/api/v1/trace", Mode::Lab(lab)) => text("application/x-ndjson", lab.trace(branch_of(head)?).await),
            ("/api/v1/lab", Mode::Lab(lab)) => text("application/json", lab.overview().await),
            ("/api/v1/lab/case", Mode::Lab(lab)) => {
                let branch = branch_of(head)?;
                let mut response = text("text/plain; charset=utf-8", lab.case(branch).await)?;
                let name = format!("attachment; filename=\"lab-{branch}.vrcase\"");
                if let Ok(name) = HeaderValue::try_from(name) {
                    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
                }
                Ok(response)
            }
            ("/api/v1/lab/command", Mode::Lab(lab)) => text("application/json", lab.command(branch_of(head)?).await),
            _ => Err(Problem::NotFound),
        }
    }

    /// Events in another form: those that the ring holds, of a branch, of the file.
    async fn export(&self, head: &Parts) -> Result<Response<AnswerBody>, Problem> {
        let form = head.uri.path().strip_prefix("/api/v1/export/").and_then(Form::named).ok_or(Problem::NotFound)?;
        let made = match &self.mode {
            Mode::Live(live) => {
                let live = Arc::clone(live);
                elsewhere(move || form.of(&live.events())).await?
            }
            Mode::Trace(file) => {
                let file = file.clone();
                elsewhere(move || form.of(&file.events()?.events)).await?
            }
            Mode::Lab(lab) => match lab.trace(branch_of(head)?).await {
                Ok(lines) => {
                    let events = move || read::trace(lines.as_bytes()).map_err(|error| error.to_string());
                    elsewhere(move || form.of(&events()?.events)).await?
                }
                refused => return text("text/plain", refused),
            },
        };
        Ok(answer::whole(form.media_type(), made))
    }

    async fn post(&self, head: &Parts, body: RequestBody) -> Result<Response<AnswerBody>, Problem> {
        let (Some(what), Mode::Lab(lab)) = (head.uri.path().strip_prefix("/api/v1/lab/"), &self.mode) else {
            return Err(Problem::NotFound);
        };
        let body = body.collect().await.map_err(|error| Problem::Bad(error.to_string()))?.to_bytes();
        text("application/json", lab.post(what, &body).await.ok_or(Problem::NotFound)?)
    }
}

/// It may take a while: the others are not kept waiting.
async fn elsewhere(make: impl FnOnce() -> Result<String, String> + Send + 'static) -> Result<String, Problem> {
    let made = tokio::task::spawn_blocking(make).await;
    made.map_err(|error| Problem::Failed(error.to_string()))?.map_err(Problem::Bad)
}

fn text(kind: &'static str, outcome: Outcome) -> Result<Response<AnswerBody>, Problem> {
    match outcome {
        Ok(text) => Ok(answer::whole(kind, text)),
        Err(Refused::Bad(why)) => Err(Problem::Bad(why)),
        Err(Refused::Gone) => Err(Problem::Failed("the laboratory is gone: this is a bug".to_owned())),
        Err(Refused::Partly(text)) => {
            let mut response = answer::json(text);
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
    }
}

/// `branch=B` of the query; the first one otherwise.
fn branch_of(head: &Parts) -> Result<usize, Problem> {
    let mut pairs = head.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    match pairs.find(|(name, _)| *name == "branch") {
        None => Ok(0),
        Some((_, value)) => value.parse().map_err(|_| Problem::Bad("branch must be a number".to_owned())),
    }
}

/// The page at its own address, without the token, which a cookie brings from now on.
fn redirected(cookie: &str) -> Response<AnswerBody> {
    let mut response = answer::whole("text/plain; charset=utf-8", String::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
