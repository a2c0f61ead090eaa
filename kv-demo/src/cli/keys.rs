//! `kv-demo put`, `get`, `delete`, `cas`, `list`: the store from a shell.
//!
//! Owns what they print. Each is carried out once however often it has to be sent, and finds the primary from any
//! address. Must not know HTTP.

use super::{ENDPOINTS, failed, misused};
use crate::op::{Answer, Expect, Found, LIST_MAX, Op, Revision, TTL_SECONDS_MAX, Ttl};
use bytes::Bytes;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use vr_tokio::client::{Client, ClientError, ClientOptions};

/// Whom to ask, and how to print the answer.
#[derive(clap::Args, Debug, Clone)]
pub(super) struct Common {
    /// Addresses of the nodes; one that runs is enough.
    #[arg(long, value_name = "URL,…", value_delimiter = ',', default_value = ENDPOINTS, env = "KV_ENDPOINTS")]
    endpoints: Vec<String>,
    /// How long to try.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3600))]
    timeout: u16,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// `put KEY VALUE`.
#[derive(clap::Args, Debug)]
pub(super) struct PutArgs {
    /// The key: any text; slashes are welcome.
    key: String,
    /// The value; `-` reads it from standard input.
    value: String,
    /// The key is gone after so many seconds; without it, it stays.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=TTL_SECONDS_MAX))]
    ttl: Option<u64>,
    #[command(flatten)]
    common: Common,
}

/// `get KEY`.
#[derive(clap::Args, Debug)]
pub(super) struct GetArgs {
    /// The key.
    key: String,
    /// Have this node answer, whether it leads or not: as new an answer, for which nothing is logged. Should it not be able to,
    /// another one answers.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// `delete KEY`.
#[derive(clap::Args, Debug)]
pub(super) struct KeyArgs {
    /// The key.
    key: String,
    #[command(flatten)]
    common: Common,
}

/// `cas KEY VALUE`.
#[derive(clap::Args, Debug)]
pub(super) struct CasArgs {
    /// The key.
    key: String,
    /// The value; `-` reads it from standard input.
    value: String,
    /// Write only if the key was last written by this revision, which `get` and `put` print; 0: if it is not there.
    #[arg(long, value_name = "REVISION", required_unless_present = "value_is")]
    revision: Option<u64>,
    /// Write only if this is the value.
    #[arg(long, value_name = "VALUE", conflicts_with = "revision")]
    value_is: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// `list [PREFIX]`.
#[derive(clap::Args, Debug)]
pub(super) struct ListArgs {
    /// Only keys that begin with this.
    #[arg(default_value = "")]
    prefix: String,
    /// At most so many keys.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only keys after this one.
    #[arg(long, value_name = "KEY", default_value = "")]
    after: String,
    /// Print the keys alone.
    #[arg(long)]
    keys: bool,
    #[command(flatten)]
    common: Common,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Input(std::io::Error),
    #[error("this program and the cluster do not understand each other: are they of one version?")]
    Nonsense,
}

/// Exit code of a command that found its key missing, or its condition not to hold.
const NOT_SO: u8 = 3;

fn exit_of(outcome: Result<ExitCode, Trouble>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(Trouble::Client(error @ ClientError::Address(_))) => misused(error),
        Err(trouble) => failed(trouble),
    }
}

/// Has operations executed, one after the other, in one session.
fn ask<T>(common: &Common, talk: impl AsyncFnOnce(&mut Talk) -> Result<T, Trouble>) -> Result<T, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Trouble::Input)?;
    runtime.block_on(async { talk(&mut Talk(client_of(common)?.session().await?)).await })
}

fn client_of(common: &Common) -> Result<Client, ClientError> {
    let call_timeout = Duration::from_secs(common.timeout.into());
    Client::new(&common.endpoints, ClientOptions { call_timeout, ..ClientOptions::default() })
}

/// Has one node answer a question.
fn ask_from(common: &Common, node: &str, op: &Op) -> Result<Answer, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Trouble::Input)?;
    let answer = runtime.block_on(async { client_of(common)?.read_from(node, op.encode()).await })?;
    understood(answer)
}

fn understood(answer: Bytes) -> Result<Answer, Trouble> {
    match Answer::decode(answer) {
        None | Some(Answer::Malformed) => Err(Trouble::Nonsense),
        Some(answer) => Ok(answer),
    }
}

struct Talk(vr_tokio::client::ClientSession);

impl Talk {
    async fn ask(&mut self, op: Op) -> Result<Answer, Trouble> {
        understood(self.0.call(op.encode()).await?.result)
    }
}

fn value_of(argument: &str) -> Result<Bytes, Trouble> {
    if argument != "-" {
        return Ok(Bytes::from(argument.to_owned()));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(Trouble::Input)?;
    Ok(text.into())
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// To standard output; a reader that has gone away is no error of ours.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn missing(common: &Common, key: &str) -> ExitCode {
    if common.json {
        say(json!({"key": key, "error": "not_found"}));
    } else {
        eprintln!("kv-demo: there is no key {key:?}");
    }
    ExitCode::from(NOT_SO)
}

fn conflict(common: &Common, key: &str, revision: Revision) -> ExitCode {
    let revision = revision.0;
    if common.json {
        say(json!({"key": key, "error": "precondition_failed", "revision": revision}));
    } else if revision == 0 {
        eprintln!("kv-demo: nothing was written: there is no key {key:?}");
    } else {
        eprintln!("kv-demo: nothing was written: {key:?} is at revision {revision}");
    }
    ExitCode::from(NOT_SO)
}

fn written(common: &Common, key: &str, answer: &Answer) -> Result<ExitCode, Trouble> {
    match answer {
        Answer::Written { revision, before } => {
            if common.json {
                say(json!({"key": key, "revision": revision.0, "created": before.0 == 0}));
            } else {
                say(format_args!("written, revision {}", revision.0));
            }
            Ok(ExitCode::SUCCESS)
        }
        Answer::Conflict(revision) => Ok(conflict(common, key, *revision)),
        Answer::Missing => Ok(conflict(common, key, Revision(0))),
        Answer::Value(..)
        | Answer::Deleted(_)
        | Answer::Listed(..)
        | Answer::Batch(_)
        | Answer::Due(_)
        | Answer::Malformed => Err(Trouble::Nonsense),
    }
}

pub(super) fn put(args: &PutArgs) -> ExitCode {
    let PutArgs { key, value, ttl, common } = args;
    exit_of(value_of(value).and_then(|value| {
        let ttl = ttl.map(|seconds| Ttl(seconds * 1000));
        let op = Op::Put { key: key.clone().into(), value, expect: Expect::Anything, ttl };
        written(common, key, &ask(common, async move |talk| talk.ask(op).await)?)
    }))
}

pub(super) fn cas(args: &CasArgs) -> ExitCode {
    let CasArgs { key, value, revision, value_is, common } = args;
    exit_of(value_of(value).and_then(|value| {
        let answer = ask(common, async |talk| {
            let expected = match revision {
                Some(revision) => Revision(*revision),
                None => {
                    let answer = talk.ask(Op::Get { key: key.clone().into() }).await?;
                    let Answer::Value(found, revision, _) = answer else { return Ok(answer) };
                    if value_is.as_deref() != Some(text(&found).as_ref()) {
                        return Ok(Answer::Conflict(revision));
                    }
                    revision
                }
            };
            let expect = Expect::Revision(expected);
            talk.ask(Op::Put { key: key.clone().into(), value, expect, ttl: None }).await
        })?;
        written(common, key, &answer)
    }))
}

pub(super) fn get(args: &GetArgs) -> ExitCode {
    let GetArgs { key, from, common } = args;
    let op = Op::Get { key: key.clone().into() };
    let answer = match from {
        Some(node) => ask_from(common, node, &op),
        None => ask(common, async move |talk| talk.ask(op).await),
    };
    exit_of(answer.and_then(|answer| {
        if answer == Answer::Missing {
            return Ok(missing(common, key));
        }
        let Answer::Value(value, revision, expiry) = answer else { return Err(Trouble::Nonsense) };
        if common.json {
            let mut said = json!({"key": key, "value": text(&value), "revision": revision.0});
            if let Some(expiry) = expiry {
                said["expires_ms"] = expiry.ms().into();
            }
            say(said);
        } else {
            say(text(&value));
        }
        Ok(ExitCode::SUCCESS)
    }))
}

pub(super) fn delete(args: &KeyArgs) -> ExitCode {
    let KeyArgs { key, common } = args;
    let op = Op::Delete { key: key.clone().into(), expect: Expect::Anything };
    exit_of(ask(common, async move |talk| talk.ask(op).await).and_then(|answer| {
        if answer == Answer::Missing {
            return Ok(missing(common, key));
        }
        let Answer::Deleted(revision) = answer else { return Err(Trouble::Nonsense) };
        if common.json {
            say(json!({"key": key, "deleted": true, "revision": revision.0}));
        } else {
            say("deleted");
        }
        Ok(ExitCode::SUCCESS)
    }))
}

pub(super) fn list(args: &ListArgs) -> ExitCode {
    let common = &args.common;
    let found = ask(common, async |talk| {
        let (mut all, mut after, mut more) = (Vec::new(), Bytes::from(args.after.clone()), true);
        while more && all.len() < usize::try_from(args.limit).unwrap_or(usize::MAX) {
            let rest = args.limit.saturating_sub(u32::try_from(all.len()).unwrap_or(u32::MAX));
            let op = Op::List { prefix: args.prefix.clone().into(), after, limit: rest.min(LIST_MAX) };
            let Answer::Listed(found, is_more) = talk.ask(op).await? else { return Err(Trouble::Nonsense) };
            after = found.last().map(|found| found.key.clone()).unwrap_or_default();
            more = is_more && !found.is_empty();
            all.extend(found);
        }
        Ok((all, more))
    });
    exit_of(found.map(|(found, more)| {
        show(args, &found, more);
        ExitCode::SUCCESS
    }))
}

fn show(args: &ListArgs, found: &[Found], more: bool) {
    if args.common.json {
        let object =
            |found: &Found| json!({"key": text(&found.key), "value": text(&found.value), "revision": found.revision.0});
        say(json!({"objects": found.iter().map(object).collect::<Vec<_>>(), "more": more}));
        return;
    }
    for Found { key, value, .. } in found {
        if args.keys { say(text(key)) } else { say(format_args!("{}\t{}", text(key), text(value))) }
    }
    if more && let Some(last) = found.last() {
        eprintln!("there are more: --after {:?}, or a higher --limit", text(&last.key));
    }
}
