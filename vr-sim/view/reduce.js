// The one reducer: a trace's events, in order, as the state of every node; exactly back by keyframes.
//
// Owns what an event changes, the history of log slots, and the hash by which this state is compared with the one
// that vr-sim computes. Must not know the page. VIEW decision 1, §3.4.
VR.reduce = (() => {
  const FRAME = 2000; // events between keyframes
  const KEPT = 8; // states that are kept
  const FLYING_MAX = 4096; // messages on their way that are remembered
  const FIELDS = [
    'inc',
    'view',
    'epoch',
    'status',
    'lnv',
    'op',
    'commit',
    'applied',
    'durable',
    'ckpt',
    'primary',
    'log_lo',
    'want',
  ];

  const node = name => ({
    name,
    known: false,
    up: false,
    unknown: false,
    link: 'up',
    since: 0,
    heard: -1,
    latest: -1,
    acks: new Map(),
    view: undefined,
    svc: new Set(),
    dvc: new Set(),
  });

  const fresh = members => ({
    i: -1,
    t: 0,
    nodes: members.map(node),
    at: new Map(members.map((name, at) => [name, at])),
    commit: 0,
    flying: new Map(),
    cuts: new Map(),
    clients: new Map(),
    viols: 0,
  });

  function copy(s) {
    return {
      ...s,
      nodes: s.nodes.map(n => ({ ...n, acks: new Map(n.acks), svc: new Set(n.svc), dvc: new Set(n.dvc) })),
      flying: new Map(s.flying),
      cuts: new Map(s.cuts),
      clients: new Map(s.clients),
    };
  }

  function assign(n, change) {
    for (const field of FIELDS) if (change[field] !== undefined) n[field] = change[field];
  }

  function send(s, e) {
    const one = to => {
      if (!s.at.has(to)) return;
      const key = e.m + '>' + to,
        was = s.flying.get(key);
      s.flying.delete(key);
      s.flying.set(key, [was ? was[0] : e.i, (was ? was[1] : 0) + 1]);
      if (s.flying.size > FLYING_MAX) s.flying.delete(s.flying.keys().next().value);
    };
    if (e.to === 'others') {
      for (const other of s.nodes) if (other.name !== e.n) one(other.name);
    } else {
      one(e.to);
    }
    const n = s.nodes[s.at.get(e.n)];
    if (n) n.latest = e.i;
  }

  /** A copy of a message is on its way no more, or one more is. */
  function fly(s, m, to, more) {
    const key = m + '>' + to,
      was = s.flying.get(key);
    if (!was) return;
    if (was[1] + more <= 0) s.flying.delete(key);
    else s.flying.set(key, [was[0], was[1] + more]);
  }

  function cut(s, e) {
    const links = [],
      groups = Array.isArray(e.groups) ? e.groups : [];
    groups.forEach((from, a) =>
      groups.forEach((to, b) => {
        if (a === b || (e.oneway && a > b)) return;
        for (const x of from) for (const y of to) links.push(x + '>' + y);
      }),
    );
    const id = String(e.id);
    s.cuts.set(id, (s.cuts.get(id) || []).concat(links));
  }

  function call(s, e) {
    const was = s.clients.get(e.client) || {};
    if (e.k === 'inv') s.clients.set(e.client, { req: e.req, st: 'waits', since: e.t, in: e.in, op: undefined });
    else
      s.clients.set(e.client, { ...was, req: e.st === 'info' ? was.req : e.req, st: e.st, since: e.t, out: e.out });
  }

  const EFFECT = {
    snap(s, e, n) {
      if (!n) return;
      for (const field of FIELDS) n[field] = undefined;
      assign(n, e.state || {});
      n.known = n.up = true;
      n.unknown = false;
    },
    set(s, e, n) {
      if (!n) return;
      if (e.view !== undefined && e.view !== n.view) n.acks = new Map();
      if (e.view !== undefined || e.status !== undefined) {
        n.svc = new Set();
        n.dvc = new Set();
      }
      assign(n, e);
      if (e.commit > s.commit) s.commit = e.commit;
    },
    send,
    recv(s, e, n) {
      fly(s, e.m, e.n, -1);
      if (!n || e.verdict !== 'ok') return;
      if (e.ty === 'StartViewChange') n.svc.add(String(e.m).split('.')[0]);
      if (e.ty === 'DoViewChange') n.dvc.add(String(e.m).split('.')[0]);
    },
    drop: (s, e) => fly(s, e.m, e.to, -1),
    dup: (s, e) => fly(s, e.m, e.to, 1),
    ack(s, e, n) {
      if (n && !(n.acks.get(e.from) >= e.op)) n.acks.set(e.from, e.op);
    },
    commit(s, e) {
      if (e.op > s.commit) s.commit = e.op;
    },
    crash(s, e, n) {
      if (!n) return;
      n.up = false;
      n.since = e.t;
      n.acks = new Map();
    },
    restart(s, e, n) {
      if (!n) return;
      n.up = n.known = true;
      n.inc = e.inc;
      n.since = e.t;
      n.acks = new Map();
    },
    gap(s, e, n) {
      if (n) n.unknown = true;
    },
    part: cut,
    heal(s, e) {
      if (e.id === undefined) s.cuts.clear();
      else s.cuts.delete(String(e.id));
    },
    inv: call,
    ret: call,
    viol(s) {
      s.viols += 1;
    },
    note(s, e, n) {
      if (!n) return;
      if (e.what === 'unreachable') {
        n.link = 'down';
        n.since = e.t;
      }
      if (e.what === 'silent') n.link = 'silent';
      if (e.what === 'halted') n.status = 'halted';
    },
  };

  /** One event. */
  function apply(s, e) {
    s.i = e.i;
    s.t = e.t;
    const n = s.nodes[s.at.get(e.n)];
    if (n) {
      n.heard = e.t;
      if (n.link !== 'up' && !(e.k === 'note' && (e.what === 'silent' || e.what === 'unreachable'))) n.link = 'up';
    }
    if (Object.hasOwn(EFFECT, e.k)) EFFECT[e.k](s, e, n);
    return s;
  }

  /** Fed with every event as it is stored; gives the state at any of them. */
  class Reducer {
    constructor(store) {
      this.store = store;
      this.frames = []; // copies of the state, each before event frame.next
      this.now = null; // the newest state
      this.seen = []; // states asked for of late
      this.slots = new Map(); // node → op → [{i, view, ck, act, …}]
      this.cuts = new Map(); // node → [[i, keep]]: truncations
      this.committed = new Map(); // op → {i, ck}: what was committed first
      this.ops = 0; // the highest op ever
    }

    add(e) {
      if (!this.now) {
        this.now = fresh(this.store.members.map(n => this.store.names[n]));
        this.frames.push({ next: e.i, state: copy(this.now) });
      } else if (e.i - this.frames[this.frames.length - 1].next >= FRAME) {
        this.frames.push({ next: e.i, state: copy(this.now) });
      }
      this.history(e);
      apply(this.now, e);
    }

    /** What is known when a live trace begins in the middle. */
    begin(members, states, next) {
      const s = fresh(members);
      for (const known of states) {
        const n = s.nodes[s.at.get(known.n)];
        if (!n) continue;
        if (known.state) EFFECT.snap(s, { state: known.state }, n);
        n.link = known.link;
        n.commit = n.commit || 0;
        s.commit = Math.max(s.commit, n.commit);
        for (const [op, view, ck] of known.log || [])
          this.slot(known.n, { op, view, ck, act: 'append', i: next - 1 });
      }
      for (let op = 1; op <= s.commit; op++) {
        for (const n of s.nodes) {
          const slot = n.commit >= op && this.slotAt(n.name, op, next);
          if (slot && !this.committed.has(op)) this.committed.set(op, { i: next - 1, ck: slot.ck });
        }
        if (op + 128 < s.commit) op = s.commit - 128;
      }
      this.now = s;
      this.frames = [{ next, state: copy(s) }];
      this.seen = [];
    }

    slot(name, e) {
      let ops = this.slots.get(name);
      if (!ops) this.slots.set(name, (ops = new Map()));
      let list = ops.get(e.op);
      if (!list) ops.set(e.op, (list = []));
      list.push({ i: e.i, view: e.view, ck: e.ck, act: e.act, client: e.client, req: e.req, val: e.val });
      if (e.op > this.ops) this.ops = e.op;
    }

    history(e) {
      if (e.k === 'log') {
        if (e.act === 'truncate') this.truncate(e.n, e.i, e.op);
        else this.slot(e.n, e);
      } else if (e.k === 'snap' && e.state && e.state.op !== undefined) {
        this.truncate(e.n, e.i, e.state.op);
      } else if (e.k === 'commit') {
        const n = this.now.nodes[this.now.at.get(e.n)];
        const from = Math.max(1, ((n && n.committedSeen) || 0) + 1, e.op - 4096);
        for (let op = from; op <= e.op; op++) {
          if (this.committed.has(op)) continue;
          const slot = this.slotAt(e.n, op, e.i);
          if (slot) this.committed.set(op, { i: e.i, ck: slot.ck });
        }
        if (n) n.committedSeen = e.op;
      }
    }

    truncate(name, i, keep) {
      let list = this.cuts.get(name);
      if (!list) this.cuts.set(name, (list = []));
      list.push([i, keep]);
    }

    /** What a node's log holds at an op after event `i`; null when nothing. */
    slotAt(name, op, i) {
      const ops = this.slots.get(name),
        list = ops && ops.get(op);
      if (!list) return null;
      let at = list.length - 1;
      while (at >= 0 && list[at].i > i) at -= 1;
      if (at < 0) return null;
      const found = list[at],
        cuts = this.cuts.get(name) || [];
      for (let c = cuts.length - 1; c >= 0 && cuts[c][0] > found.i; c--) {
        if (cuts[c][0] <= i && cuts[c][1] < op) return null;
      }
      return found;
    }

    /** What was committed first at an op, if it was by event `i`. */
    committedAt(op, i) {
      const found = this.committed.get(op);
      return found && found.i <= i ? found : null;
    }

    /** The state after event `i`; not to be changed. A few of those last asked for are kept: panels ask around one
     * place. */
    seek(i) {
      const store = this.store;
      if (this.now && i >= store.last) return this.now;
      let best = null;
      for (const s of this.seen) {
        if (s.i === i) return s;
        if (s.i < i && (!best || s.i > best.i)) best = s;
      }
      let low = 0,
        high = this.frames.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >>> 1;
        if (this.frames[middle].next <= i) low = middle;
        else high = middle - 1;
      }
      const frame = this.frames[low],
        near = best && best.i >= frame.next - 1;
      const s = copy(near ? best : frame.state);
      for (let at = Math.max(near ? s.i + 1 : frame.next, store.base); at <= i; at++) apply(s, store.event(at));
      s.i = i;
      this.seen.push(s);
      if (this.seen.length > KEPT) this.seen.shift();
      return s;
    }

    /** A state of its own, to compare with. */
    stateAt(i) {
      return copy(this.seek(i));
    }

    forget() {
      const base = this.store.base;
      while (this.frames.length > 1 && this.frames[1].next <= base) this.frames.shift();
      // The first frame may begin before what is held.
      const low = Math.max(0, this.ops - 20000);
      for (const ops of this.slots.values()) {
        for (const op of ops.keys()) {
          if (op >= low) break;
          ops.delete(op);
        }
      }
      for (const op of this.committed.keys()) {
        if (op >= low) break;
        this.committed.delete(op);
      }
    }

    get earliest() {
      return Math.max(this.store.base, this.frames.length ? this.frames[0].next : 0);
    }
  }

  const word = value => (value === undefined || value === null ? '-' : String(value));

  /** The state as one text: what the hash is of. */
  function canonical(s) {
    const lines = s.nodes.map(n =>
      [
        n.name,
        n.up ? 'up' : 'down',
        n.unknown ? 'unknown' : 'known',
        n.link,
        ...FIELDS.map(f => word(n[f])),
        n.latest,
        [...n.acks]
          .map(([from, op]) => from + '=' + op)
          .sort()
          .join(','),
      ].join('|'),
    );
    const cuts = new Set([...s.cuts.values()].flat());
    lines.push('cuts ' + [...cuts].sort().join(','));
    lines.push(
      'flying ' +
        [...s.flying]
          .map(([key, [, copies]]) => key + '*' + copies)
          .sort()
          .join(','),
    );
    lines.push(
      'clients ' +
        [...s.clients]
          .map(([name, c]) => `${name}:${word(c.req)}:${c.st}`)
          .sort()
          .join(','),
    );
    lines.push(`commit ${s.commit} viols ${s.viols}`);
    return lines.join('\n');
  }

  /** FNV-1a of it, 32 bits, in hexadecimal. */
  function hash(s) {
    let value = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(canonical(s))) value = Math.imul(value ^ byte, 0x01000193);
    return (value >>> 0).toString(16).padStart(8, '0');
  }

  return { Reducer, apply, fresh, copy, canonical, hash, FIELDS, FRAME };
})();
