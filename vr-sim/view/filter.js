// Which events are shown: the filter language, causal past and future.
//
// Owns `type:Prepare node:r1 op:17..20 view>=3 client:c2 dropped cause-of:#12 text:"abc"` and the clocks
// behind it. Must not know the page. VIEW §3.5, §3.4.
VR.filter = (() => {
  const { KIND } = VR.trace;
  const GROUPS = {
    messages: ['send', 'recv', 'drop', 'dup', 'delay', 'corrupt', 'agg'],
    state: ['set', 'snap', 'commit', 'ack', 'ckpt', 'sync', 'reconf'],
    log: ['log', 'exec'],
    disk: ['disk'],
    timers: ['timer'],
    clients: ['inv', 'ret'],
    notes: ['note'],
    faults: ['crash', 'restart', 'part', 'heal', 'gap', 'do', 'viol', 'meta', 'end', 'unknown'],
  };
  const group = new Array(VR.trace.KINDS.length).fill('faults');
  for (const [name, kinds] of Object.entries(GROUPS)) for (const k of kinds) group[KIND.get(k)] = name;

  /** Words of a filter; quotes keep spaces together. */
  function words(text) {
    const found = [];
    for (const match of text.matchAll(/(?:[^\s"]|"[^"]*"?)+/g)) found.push(match[0]);
    return found;
  }
  const unquoted = text => text.replace(/"/g, '');

  function range(text) {
    const m = /^#?(\d+)(?:\.\.#?(\d+)?)?$/.exec(text);
    if (!m) return null;
    const low = Number(m[1]),
      high = m[2] !== undefined ? Number(m[2]) : text.includes('..') ? Infinity : low;
    return value => value >= low && value <= high;
  }

  const compared = {
    '>=': n => v => v >= n,
    '<=': n => v => v <= n,
    '>': n => v => v > n,
    '<': n => v => v < n,
    '=': n => v => v === n,
  };

  /** One word as a test of an event's index, or what is wrong with it. */
  function test(word, store, clocks) {
    const order = /^(view|op)(>=|<=|>|<|=)(\d+)$/.exec(word);
    if (order) {
      const holds = compared[order[2]](Number(order[3]));
      return i => {
        const v = order[1] === 'view' ? store.view(i) : store.op(i);
        return v >= 0 && holds(v);
      };
    }
    const colon = word.indexOf(':');
    const key = colon > 0 ? word.slice(0, colon) : '',
      value = unquoted(word.slice(colon + 1));
    if (key === 'kind') {
      const named = new Set(value.toLowerCase().split(','));
      return i => named.has(store.kind(i));
    }
    if (key === 'type') {
      const named = new Set(value.toLowerCase().split(','));
      return i => {
        const ty = store.type(i);
        return ty !== '' && (named.has(ty.toLowerCase()) || named.has(VR.words.code(ty).toLowerCase()));
      };
    }
    if (key === 'node') {
      const named = new Set(value.split(','));
      return i => {
        const name = store.names[store.node(i)];
        return name !== undefined && (named.has(name) || named.has(store.alias(name)));
      };
    }
    if (key === 'op' || key === 'view') {
      const holds = range(value);
      if (!holds) return `${key}: takes a number or a range, as in ${key}:3 or ${key}:3..7`;
      return i => {
        const v = key === 'op' ? store.op(i) : store.view(i);
        return v >= 0 && holds(v);
      };
    }
    if (key === 'client') {
      const full = store.clients.find(c => c === value || store.alias(c) === value) || value;
      return i => store.names[store.node(i)] === full || store.line(i).includes('"' + full);
    }
    if (key === 'cause-of' || key === 'effect-of') {
      const of = Number(value.replace('#', ''));
      if (!store.has(of)) return `${key}: there is no event ${value}`;
      return key === 'cause-of' ? i => clocks().isPast(i, of) : i => clocks().isPast(of, i);
    }
    if (word === 'dropped')
      return i => store.kind(i) === 'drop' || (store.kind(i) === 'recv' && !store.line(i).includes('"verdict":"ok"'));
    const text = (key === 'text' ? value : unquoted(word)).toLowerCase();
    if (key && key !== 'text' && /^[a-z-]+$/.test(key))
      return `nothing is called ${key}: (type, kind, node, op, view, client, cause-of, effect-of, text)`;
    return i =>
      store.line(i).toLowerCase().includes(text) ||
      VR.words.sentence(store.event(i), store).toLowerCase().includes(text);
  }

  /** A filter: tells of each event whether it is shown. */
  function compile(text, groups, store, clocks) {
    const tests = [],
      wrong = [];
    for (const word of words(text.trim())) {
      const one = test(word, store, clocks);
      if (typeof one === 'string') wrong.push(one);
      else tests.push(one);
    }
    const all = Object.keys(GROUPS).every(name => groups[name] !== false);
    const shows = i => (all || groups[group[store.kindNumber(i)]] !== false) && tests.every(holds => holds(i));
    return { shows, wrong, isAll: all && tests.length === 0 };
  }

  /** Vector clocks over event indices: row by row, how far of every lane an event's past reaches. */
  class Clocks {
    constructor(store) {
      this.store = store;
      this.base = store.base;
      this.lanes = store.names
        .map((name, at) => at)
        .filter(at => /^[rc]/.test(store.names[at]))
        .slice(0, 64);
      this.place = new Int16Array(store.names.length).fill(-1);
      this.lanes.forEach((node, at) => {
        this.place[node] = at;
      });
      this.width = this.lanes.length;
      this.rows = new Int32Array(store.count * this.width).fill(-1);
      const latest = new Int32Array(this.width).fill(-1);
      for (let at = 0; at < store.count; at++) {
        const i = at + this.base,
          row = at * this.width;
        const node = store.node(i),
          lane = node < this.place.length ? this.place[node] : -1;
        if (lane >= 0 && latest[lane] >= 0) this.merge(row, latest[lane]);
        for (const cause of this.causes(i)) if (cause < i) this.merge(row, cause - this.base);
        if (lane >= 0) {
          this.rows[row + lane] = i;
          latest[lane] = at;
        }
      }
      this.count = store.count;
    }

    causes(i) {
      const by = this.store.by(i);
      if (this.store.kind(i) !== 'viol') return by >= 0 ? [by] : [];
      const e = this.store.event(i);
      return (e.ev || []).filter(x => this.store.has(x) && x < i).concat(by >= 0 ? [by] : []);
    }

    merge(row, from) {
      const rows = this.rows,
        width = this.width;
      for (let l = 0; l < width; l++) {
        const v = rows[from * width + l];
        if (v > rows[row + l]) rows[row + l] = v;
      }
    }

    /** Did event `x` influence event `y`? An event is in its own past. */
    isPast(x, y) {
      if (x === y) return true;
      if (x > y) return false;
      const node = this.store.node(x),
        lane = node < this.place.length ? this.place[node] : -1;
      return lane >= 0 && this.rows[(y - this.base) * this.width + lane] >= x;
    }
  }

  return { compile, Clocks, GROUPS };
})();
