//! The table of disagreement: a row for each field, a column for each replica, ≠ where one differs.
//!
//! Owns what is compared with what, the lag in words, and the same for machines. Must not know where events come from.
//! VIEW P3, F5; after CockroachDB's range report and Consul's list of peers.

use super::reduce::{Cluster, Member, members_of};
use super::{glyphs, words};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use vr_core::trace::{Node, State, TraceEvent, What};

/// Lines are no wider, if a replica's column fits at all.
const WIDTH: usize = 120;
/// So many operations that are being prepared are shown one by one.
const PREPARING_MAX: u64 = 4;

/// A cluster at one moment.
#[derive(Clone, Debug)]
pub struct Table {
    cluster: Cluster,
    quorum: u64,
    /// The last event that was counted.
    at: TraceEvent,
    /// The last message of each member.
    latest: BTreeMap<Node, TraceEvent>,
    /// It is of a cluster that goes on, at this moment.
    is_now: bool,
}

/// A row: its name, and the value of each member. Is it compared?
struct Row {
    name: &'static str,
    is_compared: bool,
    values: Vec<String>,
}

/// An operation that is in the primary's log and not committed.
#[derive(Serialize)]
struct Preparing {
    op: u64,
    have: Vec<Node>,
    missing: Vec<Node>,
}

#[derive(Serialize)]
struct ReplicaJson<'a> {
    n: Node,
    is: &'static str,
    link: &'static str,
    state: &'a State,
    /// By how many ops its log is shorter than the primary's.
    trails: Option<u64>,
    /// When it was heard last.
    heard: Option<u64>,
    latest: Option<&'a TraceEvent>,
    /// The fields in which it differs from the primary, or from the first replica when there is none.
    differs: Vec<&'static str>,
}

/// A cluster at one moment, for machines.
#[derive(Serialize)]
struct Json<'a> {
    i: u64,
    t: u64,
    view: Option<u64>,
    primary: Option<Node>,
    committed: u64,
    quorum: u64,
    preparing: Vec<Preparing>,
    violations: u64,
    replicas: Vec<ReplicaJson<'a>>,
}

impl Table {
    /// After the event with this index; when none is named, after the first violation, or else at the end.
    ///
    /// # Errors
    /// When there is no such event, or the trace names no members. In one line.
    pub fn of(events: &[TraceEvent], at: Option<u64>) -> Result<Self, String> {
        let (Some(members), Some(first), Some(last)) = (members_of(events), events.first(), events.last()) else {
            return Err("no table can be made of it: no header names the replicas".to_owned());
        };
        let violation = || events.iter().find(|event| matches!(event.what, What::Violated(_))).map(|event| event.i);
        let at = at.or_else(violation).unwrap_or(last.i);
        if !(first.i..=last.i).contains(&at) {
            return Err(format!("there is no event {at}: they go from {} to {}", first.i, last.i));
        }
        let mut table = Self::new(&members, first);
        events.iter().take_while(|event| event.i <= at).for_each(|event| table.take(event));
        Ok(table)
    }

    /// Of a cluster that goes on: after all of these, at this moment on their clock.
    ///
    /// # Errors
    /// When the events name no members.
    pub fn now(events: &[TraceEvent], t: u64) -> Result<Self, String> {
        let mut table = Self::of(events, events.last().map(|event| event.i))?;
        table.at.t = table.at.t.max(t);
        table.is_now = true;
        Ok(table)
    }

    fn new(members: &[Node], first: &TraceEvent) -> Self {
        let quorum = if let What::Meta(meta) = &first.what { meta.config.quorum } else { 0 };
        Self { cluster: Cluster::new(members), quorum, at: first.clone(), latest: BTreeMap::new(), is_now: false }
    }

    fn take(&mut self, event: &TraceEvent) {
        self.cluster.apply(event);
        self.at = event.clone();
        if let (Some(node), What::Sent(_)) = (event.n, &event.what) {
            self.latest.insert(node, event.clone());
        }
    }

    // ---- what is in it

    fn members(&self) -> &[Member] {
        &self.cluster.members
    }

    /// Whom the others are compared with.
    fn base(&self) -> Option<&Member> {
        self.cluster.primary().or_else(|| self.members().iter().find(|member| member.up))
    }

    fn view(&self) -> Option<u64> {
        self.members().iter().filter_map(|member| member.state.view).max()
    }

    /// Everything through here is committed, as far as anybody says.
    fn committed(&self) -> u64 {
        let told = self.members().iter().filter_map(|member| member.state.commit).max();
        self.cluster.commit.max(told.unwrap_or(0))
    }

    fn trails(&self, member: &Member) -> Option<u64> {
        let primary = self.cluster.primary()?;
        Some(primary.state.op?.saturating_sub(member.state.op?)).filter(|_| member.node != primary.node)
    }

    fn preparing(&self) -> Vec<Preparing> {
        let Some(primary) = self.cluster.primary() else { return Vec::new() };
        let (Some(commit), Some(end)) = (primary.state.commit, primary.state.op) else { return Vec::new() };
        let through = |member: &Member| {
            let own = if member.node == primary.node { primary.state.durable } else { None };
            own.or_else(|| primary.acks.get(&member.node).copied()).unwrap_or(0)
        };
        let of = |op: u64| {
            let (have, missing): (Vec<_>, Vec<_>) = self.members().iter().partition(|member| through(member) >= op);
            let names = |members: Vec<&Member>| members.into_iter().map(|member| member.node).collect();
            Preparing { op, have: names(have), missing: names(missing) }
        };
        (commit + 1..=end).take(1024).map(of).collect()
    }

    fn rows(&self) -> Vec<Row> {
        let members = self.members();
        let row = |name, is_compared, of: &dyn Fn(&Member) -> String| {
            let values = members.iter().map(of).collect();
            Row { name, is_compared, values }
        };
        let number = |of: fn(&State) -> Option<u64>| {
            move |member: &Member| of(&member.state).map_or_else(|| "–".to_owned(), |number| number.to_string())
        };
        let ago = |then: Option<u64>| match then.map(|then| self.at.t.saturating_sub(then)) {
            None => "–".to_owned(),
            Some(0) => "now".to_owned(),
            Some(since) => format!("{} ago", words::lasting(since)),
        };
        let latest = |member: &Member| self.latest.get(&member.node);
        let sent = |member: &Member| match latest(member).map(|event| &event.what) {
            Some(What::Sent(sent)) => words::brief(sent),
            Some(_) | None => "nothing yet".to_owned(),
        };
        vec![
            row("is", false, &|member| glyphs::of_member(member).1.to_owned()),
            row("status", true, &status),
            row("view", true, &number(|state| state.view)),
            row("log of view", true, &number(|state| state.lnv)),
            row("op", true, &number(|state| state.op)),
            row("durable", true, &number(|state| state.durable)),
            row("committed", true, &number(|state| state.commit)),
            row("executed", true, &number(|state| state.applied)),
            row("checkpoint", true, &number(|state| state.ckpt)),
            row("epoch", true, &number(|state| state.epoch)),
            row("wants to leave", true, &|member| {
                if member.state.want == Some(true) { "yes" } else { "no" }.to_owned()
            }),
            row("trails", false, &|member| lag(self.trails(member))),
            row("life", false, &number(|state| state.inc)),
            row("heard", false, &|member| ago(member.heard)),
            row("last sent", false, &sent),
            row("sent", false, &|member| ago(latest(member).map(|event| event.t))),
        ]
    }

    /// Does a member differ in this row?
    fn differs(&self, row: &Row, at: usize) -> bool {
        let members = self.members();
        let base = self.base().and_then(|base| members.iter().position(|member| member.node == base.node));
        let is_known = members[at].state != State::default();
        row.is_compared && is_known && base.is_some_and(|base| row.values[at] != row.values[base])
    }

    // ---- as a text

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let rows = self.rows();
        let cells: Vec<Vec<String>> = (0..self.members().len()).map(|at| self.column(&rows, at)).collect();
        let names =
            std::iter::once(String::new()).chain(rows.iter().map(|row| row.name.to_owned())).collect::<Vec<_>>();
        let width = |column: &[String]| column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0) + 2;
        let mut out = self.head();
        let mut first = 0;
        while first < cells.len() {
            let (mut end, mut used) = (first, width(&names));
            while end < cells.len() && (end == first || used + width(&cells[end]) <= WIDTH) {
                used += width(&cells[end]);
                end += 1;
            }
            out.push('\n');
            for at in 0..names.len() {
                let columns = std::iter::once(&names).chain(&cells[first..end]);
                let line: String = columns.map(|column| format!("{:<1$}", column[at], width(column))).collect();
                out.push_str(line.trim_end());
                out.push('\n');
            }
            first = end;
        }
        out
    }

    /// A member's column, its name first.
    fn column(&self, rows: &[Row], at: usize) -> Vec<String> {
        let member = &self.members()[at];
        let name = format!("{} {}", glyphs::of_member(member).0, member.node);
        let cell = |row: &Row| {
            let mark = if self.differs(row, at) { " ≠" } else { "" };
            format!("{}{mark}", row.values[at])
        };
        std::iter::once(name).chain(rows.iter().map(cell)).collect()
    }

    fn head(&self) -> String {
        let primary = self.cluster.primary().map_or_else(|| "nobody".to_owned(), |primary| primary.node.to_string());
        let view = self.view().map_or_else(|| "?".to_owned(), |view| view.to_string());
        let preparing = self.preparing();
        let mut out = String::new();
        // Writing to a text cannot fail.
        if !self.is_now {
            let _ = writeln!(out, "after event {}, at {} s", self.at.i, words::moment(self.at.t));
        }
        if let What::Violated(broken) = &self.at.what {
            let msg = super::names::Names::default().plain(&broken.msg);
            let _ = writeln!(out, "⚑ {} does not hold: {msg}", broken.inv);
        }
        let _ = writeln!(out, "view {view}, primary {primary}, committed {}", self.committed());
        let open: Vec<_> = preparing.iter().zip(0..PREPARING_MAX).map(|(op, _)| self.waiting(op)).collect();
        let more = if preparing.len() > open.len() { ", …" } else { "" };
        let open = match (self.cluster.primary(), open.is_empty()) {
            (None, _) => "nothing: nobody is primary now".to_owned(),
            (Some(_), true) => "nothing: all is committed".to_owned(),
            (Some(_), false) => open.join(", "),
        };
        let _ = writeln!(out, "preparing {open}{more}");
        out
    }

    fn waiting(&self, preparing: &Preparing) -> String {
        let Preparing { op, have, missing } = preparing;
        let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
        let whom = if missing.is_empty() { "nobody".to_owned() } else { missing.join(" ") };
        format!("op {op}: {} of {} (waits for {whom})", have.len(), self.quorum)
    }

    // ---- for machines

    /// The same as one JSON object.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let rows = self.rows();
        let replicas = self.members().iter().enumerate().map(|(at, member)| ReplicaJson {
            n: member.node,
            is: glyphs::of_member(member).1,
            link: member.link.word(),
            state: &member.state,
            trails: self.trails(member),
            heard: member.heard,
            latest: self.latest.get(&member.node),
            differs: rows.iter().filter(|row| self.differs(row, at)).map(|row| row.name).collect(),
        });
        let json = Json {
            i: self.at.i,
            t: self.at.t,
            view: self.view(),
            primary: self.cluster.primary().map(|primary| primary.node),
            committed: self.committed(),
            quorum: self.quorum,
            preparing: self.preparing(),
            violations: self.cluster.violations,
            replicas: replicas.collect(),
        };
        serde_json::to_value(json).unwrap_or_default()
    }
}

fn status(member: &Member) -> String {
    let word = member.state.status.map_or_else(|| "–".to_owned(), |status| status.word().replace('_', " "));
    if member.up || member.state == State::default() { word } else { "down".to_owned() }
}

fn lag(ops: Option<u64>) -> String {
    match ops {
        None => "–".to_owned(),
        Some(1) => "1 op".to_owned(),
        Some(ops) => format!("{ops} ops"),
    }
}

#[cfg(test)]
mod tests;
