//! `kv-demo status`: every node in one table, the view it is in and how far it has come.
//!
//! Owns the table. Asks each node for itself, so that a node that is down or apart is seen to be. Must not know the
//! protocol.

use super::wire::{Connection, address_of, write_request};
use super::{ENDPOINTS, failed, misused};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;
use vr_tokio::View;

/// `status`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Addresses of the nodes.
    #[arg(long, value_name = "URL,…", value_delimiter = ',', default_value = ENDPOINTS, env = "KV_ENDPOINTS")]
    endpoints: Vec<String>,
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
}

/// How long one node may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is shown of a node's `/status`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct NodeLine {
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    id: Option<u16>,
    status: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    witness: bool,
    epoch: Option<u64>,
    view: Option<u64>,
    op: Option<u64>,
    commit: Option<u64>,
    executed: Option<u64>,
    waiting: Option<u64>,
    stopped: Option<String>,
}

/// Runs it. 0: there is a primary, and a majority of the addresses answers; 1: not so.
pub(super) fn run(args: &Args) -> ExitCode {
    let addresses: Result<Vec<_>, _> = args.endpoints.iter().map(|url| address_of(url)).collect();
    let addresses = match addresses {
        Ok(addresses) => addresses,
        Err(why) => return misused(why),
    };
    let lines = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(async {
            let asked: Vec<_> = addresses.into_iter().map(|address| tokio::spawn(ask(address))).collect();
            let mut lines = Vec::new();
            for line in asked {
                lines.push(line.await.unwrap_or_default());
            }
            lines
        }),
        Err(error) => return failed(error),
    };
    if args.json {
        println!("{}", serde_json::to_string(&lines).unwrap_or_default());
    } else {
        print!("{}", table(&lines));
    }
    let answering = lines.iter().filter(|line| line.error.is_none() && line.stopped.is_none()).count();
    let has_primary = lines.iter().any(|line| line.status.as_deref() == Some("Primary"));
    if has_primary && answering * 2 > lines.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn ask(endpoint: String) -> NodeLine {
    let asked = timeout(PATIENCE, async {
        let mut request = Vec::new();
        write_request(&mut request, "GET", "/status", &endpoint, "", b"");
        let mut connection = Connection::open(&endpoint).await.map_err(|error| error.to_string())?;
        let response = connection.exchange(&request).await.map_err(|error| error.to_string())?;
        serde_json::from_slice::<NodeLine>(response.body).map_err(|_| format!("answers {}", response.status))
    });
    match asked.await.unwrap_or_else(|_| Err("no answer".to_owned())) {
        Ok(line) => NodeLine { endpoint, ..line },
        Err(error) => NodeLine { endpoint, error: Some(error), ..NodeLine::default() },
    }
}

fn table(lines: &[NodeLine]) -> String {
    let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let mut rows =
        vec![["endpoint", "replica", "status", "view", "op", "commit", "executed", "waiting"].map(str::to_owned)];
    for line in lines {
        let stopped = line.stopped.as_ref().map(|why| format!("stopped: {why}"));
        let role = |status: &String| if line.witness { format!("{status} (witness)") } else { status.clone() };
        let status = line.error.clone().or(stopped).or_else(|| line.status.as_ref().map(role));
        rows.push([
            line.endpoint.clone(),
            shown(line.id.map(u64::from)),
            status.unwrap_or_else(|| "-".to_owned()),
            line.view.map_or_else(|| "-".to_owned(), |view| View(view).to_string()),
            shown(line.op),
            shown(line.commit),
            shown(line.executed),
            shown(line.waiting),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_down_has_a_line_too() {
        let up =
            NodeLine { endpoint: "a:1".into(), id: Some(0), status: Some("Primary".into()), ..NodeLine::default() };
        let down = NodeLine { endpoint: "b:22".into(), error: Some("refused".into()), ..NodeLine::default() };
        let table = table(&[up, down]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[1], "a:1       0        Primary  -     -   -       -         -");
        assert_eq!(lines[2], "b:22      -        refused  -     -   -       -         -");
    }

    #[test]
    fn a_witness_is_shown_as_one() {
        let line: NodeLine =
            serde_json::from_str(r#"{"id":2,"status":"Backup","witness":true}"#).expect("it is a line");
        assert!(table(&[line]).contains("Backup (witness)"));
    }
}
