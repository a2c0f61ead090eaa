//! `kv-demo log DIR`: a replica's log for the eye, verified while it is read; a damaged one too. Nothing is changed.
//!
//! Owns the words. Must not know the files. DESIGN 9.23.

use super::failed;
use crate::op::{Expect, Op, Ttl};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use vr_tokio::vr_core::{Entry, Kind, Reconfiguration};
use vr_tokio::wal::{Inspection, Record, RecordKind, RecordState, inspect};

/// `log DIR`.
#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 everything checks (or is a torn end, which the next start removes); \
                        1 something that was confirmed does not check any more, or this is no log.\n\
                        Of a log that is being written, the end may look torn.")]
pub(super) struct Args {
    /// The directory of one replica.
    dir: PathBuf,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Leave out entries before this op.
    #[arg(long, value_name = "OP", default_value_t = 0)]
    from: u64,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    records: u64,
    entries: u64,
    torn: u64,
    rotten: u64,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let log = match inspect(&args.dir) {
        Ok(log) => log,
        Err(error) => return failed(error),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    match print(args, log, &mut out) {
        Ok(Ok(seen)) if seen.rotten == 0 => ExitCode::SUCCESS,
        Ok(Ok(seen)) => {
            let rotten = seen.rotten;
            failed(format!("{rotten} confirmed records do not check: the replica will repair itself from its peers"))
        }
        Ok(Err(error)) => failed(error),
        // Who reads has gone away.
        Err(_) => ExitCode::SUCCESS,
    }
}

type Printed = io::Result<Result<Seen, vr_tokio::wal::WalError>>;

fn print(args: &Args, log: Inspection, out: &mut impl Write) -> Printed {
    let (incarnation, view, log_view) = log.promises();
    let cluster = log.cluster().0;
    let head = json!({
        "cluster": format!("{cluster:032x}"), "replica": log.id(), "incarnation": incarnation,
        "view": view, "log_view": log_view, "promises_whole": !log.lacks_a_promise_record(),
        "checkpoint": log.checkpoint().map(|(op, is_whole)| json!({"op": op, "whole": is_whole})),
    });
    let mut seen =
        Seen { rotten: u64::from(log.checkpoint().is_some_and(|(_, is_whole)| !is_whole)), ..Seen::default() };
    if args.json {
        writeln!(out, "{}", json!({ "log": head }))?;
    } else {
        writeln!(out, "replica {} of cluster {cluster:032x}", log.id())?;
        writeln!(out, "incarnation {}, view {view}, log_view {log_view}", incarnation.0)?;
        if log.lacks_a_promise_record() {
            writeln!(out, "one of the two promise records is bad; the other one serves")?;
        }
        if let Some((op, is_whole)) = log.checkpoint() {
            writeln!(out, "checkpoint at op {}: {}", op.0, if is_whole { "whole" } else { "ROTTEN" })?;
        }
    }
    for record in log {
        match record {
            Ok(record) => show(args, &record, &mut seen, out)?,
            Err(error) => return Ok(Err(error)),
        }
    }
    let Seen { records, entries, torn, rotten } = seen;
    if args.json {
        let sums = json!({"records": records, "entries": entries, "torn": torn, "rotten": rotten});
        writeln!(out, "{}", json!({ "sums": sums }))?;
    } else {
        writeln!(out, "{records} records, {entries} entries, {torn} torn, {rotten} rotten")?;
    }
    out.flush()?;
    Ok(Ok(seen))
}

fn show(args: &Args, record: &Record, seen: &mut Seen, out: &mut impl Write) -> io::Result<()> {
    seen.records += 1;
    match record.state {
        RecordState::Ok => {}
        RecordState::Torn => seen.torn += 1,
        // Also whatever a later version calls broken.
        RecordState::Rotten | RecordState::Foreign | _ => seen.rotten += 1,
    }
    let is_whole = record.state == RecordState::Ok;
    let brings = matches!(record.kind, Some(RecordKind::Append | RecordKind::Replace | RecordKind::Install));
    if !args.json && (!is_whole || !brings) {
        writeln!(out, "{}", line_of(record))?;
    }
    if args.json && record.entries.is_empty() {
        writeln!(out, "{}", json!({ "record": record }))?;
    }
    for entry in record.entries.iter() {
        seen.entries += 1;
        if entry.op().0 < args.from {
            continue;
        }
        let (op, view, said) = (entry.op().0, entry.view().0, what_of(entry));
        let (client, hash) = (entry.client().0, entry.hash().0);
        if args.json {
            let said = json!({"op": op, "view": view, "client": format!("{client:032x}"),
                "session": entry.session(), "request": entry.number(), "hash": format!("{hash:032x}"), "does": said});
            writeln!(out, "{}", json!({"entry": said, "state": record.state}))?;
        } else {
            let broken = if is_whole { "" } else { "  (torn)" };
            let view = entry.view().to_string();
            writeln!(out, "op {op:>6}  view {view:>3}  {}{broken}", words_of(&said))?;
        }
    }
    Ok(())
}

/// A record that brings no entries, or cannot be read.
fn line_of(record: &Record) -> String {
    let mut line = match record.kind {
        Some(kind) => format!("{kind:?}").to_lowercase(),
        None => "record".to_owned(),
    };
    if let Some((from, to)) = record.ops {
        let _ = write!(line, " of ops {} to {}", from.0, to.0);
    }
    if let Some(view) = record.view {
        let _ = write!(line, " {view}");
    }
    if let Some(incarnation) = record.incarnation {
        let _ = write!(line, " {}", incarnation.0);
    }
    if record.state != RecordState::Ok {
        let state = format!("{:?}", record.state).to_uppercase();
        let _ = write!(line, ": {state}, {} at byte {}", record.file.display(), record.offset);
    }
    line
}

/// What an entry does to the store.
fn what_of(entry: &Entry) -> Value {
    if matches!(entry.kind(), Kind::Register) {
        return json!({"session": "opened"});
    }
    if matches!(entry.kind(), Kind::Reconfiguration) {
        let next = Reconfiguration::decode(entry.body().clone());
        let ids: Vec<u16> = next.iter().flat_map(|next| &next.members).map(|member| member.id.0).collect();
        return json!({"members": ids, "epoch_ends": entry.epoch()});
    }
    match Op::decode(entry.body().clone()) {
        Some(op) => said_of(&op),
        None => json!({"unknown_bytes": entry.body().len()}),
    }
}

fn said_of(op: &Op) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let condition = |expect: &Expect| match expect {
        Expect::Anything => Value::Null,
        Expect::Present => json!("*"),
        Expect::Revision(revision) => json!(revision.0),
    };
    match op {
        Op::Get { key } => json!({"get": text(key)}),
        Op::Put { key, value, expect, ttl } => {
            let mut said = json!({"put": text(key), "value": text(value), "if_match": condition(expect)});
            if let Some(Ttl(ms)) = ttl {
                said["ttl_ms"] = (*ms).into();
            }
            said
        }
        Op::Delete { key, expect } => json!({"delete": text(key), "if_match": condition(expect)}),
        Op::List { prefix, after, limit } => json!({"list": text(prefix), "after": text(after), "limit": limit}),
        Op::Batch(all) => json!({"batch": all.iter().map(said_of).collect::<Vec<_>>()}),
        Op::Expire => json!({"expire": ""}),
    }
}

/// The same as a line.
fn words_of(said: &Value) -> String {
    let text = |name: &str| said[name].as_str().map(|text| text.escape_debug().to_string());
    if let Some(all) = said["batch"].as_array() {
        return format!("batch: {}", all.iter().map(words_of).collect::<Vec<_>>().join("; "));
    }
    if !said["members"].is_null() {
        return format!("epoch {} ends: the next members are {}", said["epoch_ends"], said["members"]);
    }
    let condition = if said["if_match"].is_null() { String::new() } else { format!(" if at {}", said["if_match"]) };
    if let (Some(key), Some(value)) = (text("put"), text("value")) {
        let short: String = value.chars().take(60).collect();
        let dots = if short.len() < value.len() { "…" } else { "" };
        let life = said["ttl_ms"].as_u64().map(|ms| format!(" for {} s", ms / 1000)).unwrap_or_default();
        return format!("put {key} = {short}{dots}{life}{condition}");
    }
    if let Some(key) = text("delete") {
        return format!("delete {key}{condition}");
    }
    if text("expire").is_some() {
        return "keys whose time has passed go".to_owned();
    }
    let plain = ["get", "list"].iter().find_map(|name| Some(format!("{name} {}", text(name)?)));
    plain.or_else(|| text("session").map(|_| "a session is opened".to_owned())).unwrap_or_else(|| said.to_string())
}
