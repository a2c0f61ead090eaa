// What a trace says, told a second time: few lines that share nothing with the page, to compare it with.
//
// Owns the meaning of `snap`, `set`, `crash`, `restart`, `commit`, `log` and of the filter's words as VIEW §5.1 and
// §3.5 have them. Must not know the page.

/** The events of a trace file. */
export const parse = text =>
  text
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line));

const FIELDS = ['view', 'status', 'lnv', 'op', 'durable', 'commit', 'applied', 'ckpt', 'primary', 'epoch'];

/** The cluster after event `i`: what every replica said last of itself, and what was committed. */
export function clusterAt(events, i) {
  const members = events[0].config.members,
    nodes = new Map(members.map(name => [name, { name, up: false }]));
  let committed = 0;
  for (const e of events) {
    if (e.i > i) break;
    const node = nodes.get(e.n);
    if (e.k === 'commit') committed = Math.max(committed, e.op);
    if (e.k === 'set' && e.commit !== undefined) committed = Math.max(committed, e.commit);
    if (!node) continue;
    if (e.k === 'snap') for (const field of FIELDS) node[field] = e.state[field];
    if (e.k === 'set') for (const field of FIELDS) if (e[field] !== undefined) node[field] = e[field];
    if (e.k === 'snap' || e.k === 'restart') node.up = true;
    if (e.k === 'crash') node.up = false;
  }
  return { members, nodes: [...nodes.values()], committed };
}

/** Node → op → checksum, after event `i`: what was logged and not truncated since. */
export function logsAt(events, i) {
  const logs = new Map();
  for (const e of events) {
    if (e.i > i) break;
    if (e.k === 'log') {
      const log = logs.get(e.n) || new Map();
      logs.set(e.n, log);
      if (e.act === 'truncate') for (const op of [...log.keys()].filter(held => held > e.op)) log.delete(op);
      else log.set(e.op, e.ck);
    }
    if (e.k === 'snap' && e.state.op !== undefined && logs.has(e.n)) {
      for (const op of [...logs.get(e.n).keys()].filter(held => held > e.state.op)) logs.get(e.n).delete(op);
    }
  }
  return logs;
}

/** Messages that arrived, as [event, its send]. */
export const arrivals = events => {
  const byIndex = new Map(events.map(e => [e.i, e]));
  return events.filter(e => e.k === 'recv' && byIndex.get(e.by)?.k === 'send').map(e => [e, byIndex.get(e.by)]);
};

export const count = (events, test) => events.filter(test).length;
