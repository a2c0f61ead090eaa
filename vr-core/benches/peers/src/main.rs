//! `peers`: vr-core's peers side by side. This file owns the command line, the list of contenders and that of cases.

mod buffer;
mod contender;
mod machine;
mod omni;
mod ours;
mod raft_rs;
mod report;
mod rounds;
mod sessions;

use contender::{Case, Contender};
use rounds::Effort;
use std::process::ExitCode;
use std::time::Duration;

/// The columns, in order; the first is the one the others are compared with.
const CONTENDERS: [&dyn Contender; 5] = [&ours::Ours, &omni::Omni, &omni::Defaults, &omni::Served, &raft_rs::RaftRs];

const USAGE: &str = "usage: peers [--json] [--quick] [--only ROW]
       peers --profile CONTENDER REPLICAS OUTSTANDING OPS [BYTES]

  --json     print one JSON object instead of the table
  --quick    3 short rounds instead of 9: for a look, not for a figure
  --only     one row of the table: 1 to 12
  --profile  one run of one contender with ops of 64 bytes, or so many, and no clock: for callgrind or perf";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--profile") {
        return profile(&arguments[1..]);
    }
    let (mut json, mut quick, mut only) = (false, false, None);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only = arguments.next().and_then(|row| row.parse::<usize>().ok()),
            "--json" => json = true,
            "--quick" => quick = true,
            "--help" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            unknown => {
                eprintln!("peers: {unknown}: unknown argument\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    machine::keep_freed_memory();
    let effort = if quick {
        Effort { rounds: 3, sample: Duration::from_millis(20) }
    } else {
        Effort { rounds: 9, sample: Duration::from_millis(100) }
    };
    let names: Vec<&str> = CONTENDERS.iter().map(|contender| contender.name()).collect();
    let rows = (1..).zip(cases()).filter(|(row, _)| only.is_none_or(|only| only == *row));
    let rows = rows.map(|(_, case)| rounds::measure(&CONTENDERS, case, effort));
    if json {
        let rows: Vec<_> = rows.collect();
        println!("{}", report::json(&names, effort, &rows));
    } else {
        println!("{}", report::heading(&names, effort));
        rows.for_each(|row| println!("{}", report::line(&row)));
    }
    ExitCode::SUCCESS
}

/// One run, for a profiler.
fn profile(arguments: &[String]) -> ExitCode {
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<usize>().ok()).filter(|number| *number > 0);
    let named = |name: &String| CONTENDERS.iter().find(|contender| contender.name() == name);
    let (Some(contender), Some(replicas @ 1..=64), Some(outstanding), Some(ops)) =
        (arguments.first().and_then(named), number(1), number(2), number(3))
    else {
        eprintln!("peers: --profile wants a contender of the table and three numbers\n{USAGE}");
        return ExitCode::from(2);
    };
    let replicas = u64::try_from(replicas).expect("few");
    contender.run(Case { replicas, payload_bytes: number(4).unwrap_or(64).max(8), outstanding }, ops);
    ExitCode::SUCCESS
}

/// The rows, in order.
fn cases() -> impl Iterator<Item = Case> {
    [3, 5].into_iter().flat_map(|replicas| {
        [64, 256].into_iter().flat_map(move |payload_bytes| {
            [1, 64, 256].map(|outstanding| Case { replicas, payload_bytes, outstanding })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{CONTENDERS, cases};

    /// The state machine insists on order and completeness; 1,000 is no multiple of any K but 1.
    #[test]
    fn every_contender_applies_every_op_everywhere_in_every_case() {
        for contender in CONTENDERS {
            for case in cases() {
                contender.run(case, 1_000);
            }
        }
    }
}
