// The store of a trace: its lines, columns of what is asked often, and the causes and effects between events.
//
// Owns the format `vrtrace/1` as it is read, its limits, and what is wrong with a file, by line. Must not know what
// events mean for a node's state, nor the page. VIEW §5.1, §4.1.
VR.trace = (() => {
  const KINDS = [
    'unknown',
    'meta',
    'snap',
    'set',
    'send',
    'recv',
    'drop',
    'dup',
    'delay',
    'corrupt',
    'timer',
    'log',
    'ack',
    'commit',
    'exec',
    'disk',
    'crash',
    'restart',
    'part',
    'heal',
    'inv',
    'ret',
    'ckpt',
    'sync',
    'reconf',
    'agg',
    'gap',
    'do',
    'note',
    'viol',
    'end',
  ];
  const KIND = new Map(KINDS.map((k, at) => [k, at]));
  const LINES = 1024; // lines a chunk of text holds
  const LINE_MAX = 1 << 20; // bytes
  const FILE_MAX = 2 ** 31; // bytes
  const NODES_MAX = 4096; // names of nodes, clients included
  const REPLICAS_MAX = 64;
  const NESTING_MAX = 16;
  const NONE = 0xffff;
  const LINKS = new Set(['unreachable', 'reachable', 'silent']);

  class Bad extends Error {
    constructor(line, why) {
      super(line ? `line ${line}: ${why}` : why);
      this.line = line;
    }
  }

  const depth = (value, left) => {
    if (value === null || typeof value !== 'object') return true;
    if (left === 0) return false;
    for (const child of Object.values(value)) if (!depth(child, left - 1)) return false;
    return true;
  };

  const NUMBERS = new Set('op view lnv commit applied durable ckpt log_lo epoch inc queue'.split(' '));
  const STRUCTURES = new Set(['b', 'cmd', 'config', 'state', 'producer', 'faults', 'votes', 'timers']);
  const LISTS = new Set(['ev', 'groups', 'have', 'log', 'lost', 'members', 'nodes', 'ops', 'svc', 'dvc']);
  const isObject = value => value !== null && typeof value === 'object';
  const scalar = value => (isObject(value) ? JSON.stringify(value) : value);
  const isNumber = value => Number.isSafeInteger(value) && value >= 0;

  /** A field as all who read it rely on it: a number, a list, a structure or nothing where one belongs, else a text. */
  function field(name, value) {
    if (value === null || (NUMBERS.has(name) && !isNumber(value))) return undefined;
    if (STRUCTURES.has(name)) return isObject(value) && !Array.isArray(value) ? shaped(value) : undefined;
    if (!LISTS.has(name)) return scalar(value);
    if (Array.isArray(value)) return value.map(one => (Array.isArray(one) ? one.map(scalar) : scalar(one)));
    // Of an acknowledgement and of a gap these are numbers.
    return (name === 'have' || name === 'lost') && isNumber(value) ? value : undefined;
  }

  /** An event with its fields in shape; its line stays as it was written. */
  function shaped(e) {
    for (const name of Object.keys(e)) {
      const value = e[name],
        good = field(name, value);
      if (good === undefined) delete e[name];
      else if (good !== value) e[name] = good;
    }
    return e;
  }

  /** A column that grows. */
  function column(Type) {
    let data = new Type(4096);
    return {
      set(at, value) {
        if (at >= data.length) {
          const more = new Type(Math.max(at + 1, data.length * 2));
          more.set(data);
          data = more;
        }
        data[at] = value;
      },
      at: at => data[at],
      forget(count, left) {
        data.copyWithin(0, count, count + left);
      },
      get raw() {
        return data;
      },
    };
  }

  class Store {
    constructor() {
      this.base = 0; // the index of the first event that is held
      this.count = 0; // how many are held
      this.first = 0; // the index of the first event ever
      this.chunks = [];
      this.open = []; // lines of the last chunk
      this.cols = {
        t: column(Float64Array),
        k: column(Uint8Array),
        n: column(Uint16Array),
        by: column(Int32Array),
        ty: column(Uint8Array),
        op: column(Int32Array),
        view: column(Int32Array),
      };
      this.names = []; // nodes by number
      this.numbers = new Map();
      this.types = ['']; // message types by number
      this.typeNumbers = new Map([['', 0]]);
      this.members = [];
      this.clients = []; // names of clients, in the order in which they appear
      this.aliases = new Map();
      this.meta = null;
      this.end = null;
      this.banner = null; // what is wrong with the whole
      this.violations = []; // indices
      this.calls = []; // [client, index of the call, index of its return or -1]
      this.marks = []; // [index, kind]: crashes, restarts, view changes, violations
      this.started = false;
    }

    get next() {
      return this.base + this.count;
    }
    get last() {
      return this.base + this.count - 1;
    }
    has(i) {
      return i >= this.base && i < this.base + this.count;
    }

    number(name) {
      let at = this.numbers.get(name);
      if (at === undefined) {
        if (this.names.length >= NODES_MAX) return NONE;
        at = this.names.length;
        this.names.push(name);
        this.numbers.set(name, at);
        if (name[0] === 'c') {
          this.aliases.set(name, name.length > 6 ? 'c' + this.clients.length : name);
          this.clients.push(name);
        }
      }
      return at;
    }

    /** A name as short as it can be told: clients by the order in which they appear. */
    alias(name) {
      if (name === undefined) return '?';
      const s = String(name),
        dot = s.indexOf('.');
      if (dot < 0) return this.aliases.get(s) || s;
      const who = s.slice(0, dot);
      return (this.aliases.get(who) || who) + s.slice(dot);
    }

    isMember(number) {
      return this.members.includes(number);
    }
    kind(i) {
      return KINDS[this.cols.k.at(i - this.base)];
    }
    kindNumber(i) {
      return this.cols.k.at(i - this.base);
    }
    t(i) {
      return this.cols.t.at(i - this.base);
    }
    node(i) {
      return this.cols.n.at(i - this.base);
    }
    by(i) {
      const by = this.cols.by.at(i - this.base);
      return by >= this.base ? by : -1;
    }
    type(i) {
      return this.types[this.cols.ty.at(i - this.base)];
    }
    op(i) {
      return this.cols.op.at(i - this.base);
    }
    view(i) {
      return this.cols.view.at(i - this.base);
    }

    /** The line of an event. */
    line(i) {
      const at = i - this.base,
        chunk = Math.floor(at / LINES);
      if (chunk < this.chunks.length) {
        const { text, ends } = this.chunks[chunk],
          within = at % LINES;
        return text.slice(within === 0 ? 0 : ends[within - 1], ends[within]);
      }
      return this.open[at - this.chunks.length * LINES];
    }

    event(i) {
      return shaped(JSON.parse(this.line(i)));
    }

    /** Takes one line; `lineNumber` is for what is said of a bad one. */
    add(line, lineNumber) {
      if (line.length > LINE_MAX) throw new Bad(lineNumber, 'longer than a megabyte');
      let e;
      try {
        e = JSON.parse(line);
      } catch (error) {
        throw new Bad(lineNumber, 'not JSON: ' + error.message);
      }
      if (e === null || typeof e !== 'object' || Array.isArray(e)) throw new Bad(lineNumber, 'not an object');
      if (!depth(e, NESTING_MAX)) throw new Bad(lineNumber, 'nested too deeply');
      this.take(e, line, lineNumber);
      return e;
    }

    take(e, line, lineNumber) {
      shaped(e);
      const i = e.i;
      if (!Number.isSafeInteger(i) || i < 0 || i > 0x7fffffff) throw new Bad(lineNumber, 'column "i": not an index');
      if (!Number.isFinite(e.t)) throw new Bad(lineNumber, 'column "t": not a time');
      if (typeof e.k !== 'string') throw new Bad(lineNumber, 'column "k": not a kind');
      if (!this.started) {
        if (e.k === 'meta') this.header(e, lineNumber);
        else if (!this.meta) throw new Bad(lineNumber, 'the first line of a trace is its "meta"; this is no vrtrace');
        this.base = this.first = i;
        this.started = true;
      } else if (i !== this.next) {
        throw new Bad(lineNumber, `column "i": ${i} where ${this.next} was expected`);
      }
      const at = this.count,
        cols = this.cols;
      const kind = KIND.get(e.k) || 0;
      cols.t.set(at, e.t);
      cols.k.set(at, kind);
      cols.n.set(at, typeof e.n === 'string' ? this.number(e.n) : NONE);
      cols.by.set(at, Number.isSafeInteger(e.by) && e.by < i ? e.by : -1);
      cols.ty.set(at, this.typeNumber(e.ty));
      cols.op.set(at, Number.isSafeInteger(e.op) && e.op <= 0x7fffffff ? e.op : -1);
      cols.view.set(at, Number.isSafeInteger(e.view) && e.view <= 0x7fffffff ? e.view : -1);
      this.keep(line);
      this.count += 1;
      this.mark(e, i);
    }

    typeNumber(ty) {
      if (typeof ty !== 'string') return 0;
      let at = this.typeNumbers.get(ty);
      if (at === undefined) {
        if (this.types.length > 250) return 0;
        at = this.types.length;
        this.types.push(ty);
        this.typeNumbers.set(ty, at);
      }
      return at;
    }

    mark(e, i) {
      if (e.k === 'inv') this.calls.push([this.number(String(e.n)), i, -1]);
      else if (e.k === 'ret') this.returned(e, i);
      if (e.k === 'viol') {
        this.violations.push(i);
        this.marks.push([i, 'viol']);
      } else if (e.k === 'crash' || e.k === 'restart' || e.k === 'part' || e.k === 'do') {
        this.marks.push([i, e.k]);
      } else if (e.k === 'set' && (e.view !== undefined || e.status !== undefined)) {
        this.marks.push([i, e.view === undefined ? 'status' : 'view']);
      } else if (e.k === 'gap' || (e.k === 'note' && LINKS.has(e.what))) {
        this.marks.push([i, 'link']);
      } else if (e.k === 'snap' && !(this.has(i - 1) && this.kind(i - 1) === 'restart')) {
        this.marks.push([i, 'known']);
      } else if (e.k === 'end') {
        this.end = e;
      }
    }

    /** The newest open call of a client has ended. */
    returned(e, i) {
      const client = this.number(String(e.n));
      for (let at = this.calls.length - 1; at >= Math.max(0, this.calls.length - 512); at--) {
        if (this.calls[at][0] !== client) continue;
        if (this.calls[at][2] < 0) this.calls[at][2] = i;
        return;
      }
    }

    header(e, lineNumber) {
      const format = String(e.format);
      if (format !== 'vrtrace/1' && !format.startsWith('vrtrace/1.')) {
        throw new Bad(
          lineNumber,
          format.startsWith('vrtrace/')
            ? `a trace of the format ${format}; this page reads vrtrace/1`
            : 'not a trace: its first line does not say "format":"vrtrace/1"',
        );
      }
      const members = e.config && e.config.members;
      if (
        !Array.isArray(members) ||
        members.length === 0 ||
        members.length > REPLICAS_MAX ||
        members.some(m => typeof m !== 'string')
      ) {
        throw new Bad(lineNumber, 'column "config.members": 1 to 64 names were expected');
      }
      this.meta = e;
      this.members = members.map(m => this.number(m));
    }

    keep(line) {
      this.open.push(line);
      if (this.open.length === LINES) {
        const ends = new Uint32Array(LINES);
        let at = 0;
        for (let j = 0; j < LINES; j++) ends[j] = at += this.open[j].length;
        this.chunks.push({ text: this.open.join(''), ends });
        this.open = [];
      }
    }

    /** Forgets the oldest events, in whole chunks, so that at most `most` stay: how many went. */
    trim(most) {
      const whole = Math.min(Math.floor((this.count - most) / LINES), this.chunks.length);
      if (whole <= 0) return 0;
      const gone = whole * LINES;
      this.chunks.splice(0, whole);
      this.count -= gone;
      for (const col of Object.values(this.cols)) col.forget(gone, this.count);
      this.base += gone;
      const held = i => i >= this.base;
      this.violations = this.violations.filter(held);
      this.marks = this.marks.filter(([i]) => held(i));
      this.calls = this.calls.filter(([, i]) => held(i));
      return gone;
    }

    /** The last event at or before a moment. */
    before(t) {
      let low = 0,
        high = this.count;
      const times = this.cols.t.raw;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (times[middle] <= t) low = middle + 1;
        else high = middle;
      }
      return this.base + Math.max(0, low - 1);
    }

    /** What an event led to, directly: looks so far ahead. */
    effects(i, most = 32, ahead = 20000) {
      const found = [],
        by = this.cols.by.raw,
        end = Math.min(this.count, i - this.base + ahead);
      for (let at = i - this.base + 1; at < end && found.length < most; at++)
        if (by[at] === i) found.push(at + this.base);
      return found;
    }
  }

  /** Bytes or text, piece by piece, into a store; yields so that the page stays alive. */
  async function read(store, pieces, progress, reducer) {
    const decoder = new TextDecoder('utf-8', { fatal: false });
    let rest = '',
      lineNumber = 0,
      bytes = 0,
      pause = performance.now() + 30;
    const line = text => {
      lineNumber += 1;
      if (text.length === 0) return;
      reducer.add(store.add(text, lineNumber));
    };
    for await (const piece of pieces) {
      bytes += piece.length;
      if (bytes > FILE_MAX) throw new Bad(0, 'the file is larger than 2 GB');
      const text = rest + (typeof piece === 'string' ? piece : decoder.decode(piece, { stream: true }));
      let from = 0;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
        line(text.slice(from, end));
        from = end + 1;
        if ((lineNumber & 255) === 0 && performance.now() > pause) {
          progress(bytes, store.count);
          await new Promise(go => setTimeout(go));
          pause = performance.now() + 30;
        }
      }
      rest = text.slice(from);
      if (rest.length > LINE_MAX) throw new Bad(lineNumber + 1, 'longer than a megabyte');
    }
    rest += decoder.decode();
    if (rest.trim().length > 0) {
      try {
        line(rest);
      } catch (error) {
        if (!store.started) throw error;
        store.banner = `The trace ends in the middle of a line (line ${lineNumber}).`;
      }
    }
    if (!store.started) throw new Bad(0, 'the file is empty: there is no trace in it');
    if (!store.end && !store.banner) store.banner = 'The trace has no end: it was cut off, or its run still goes on.';
  }

  /** The pieces of a file, unpacked when it is gzip. */
  async function* piecesOf(blob) {
    if (blob.size > FILE_MAX) throw new Bad(0, 'the file is larger than 2 GB');
    const head = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
    let stream = blob.stream();
    if (head[0] === 0x1f && head[1] === 0x8b) stream = stream.pipeThrough(new DecompressionStream('gzip'));
    yield* piecesOfStream(stream);
  }

  async function* piecesOfStream(stream) {
    const reader = stream.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      // In slices, so that one large piece does not hold the page up.
      for (let at = 0; at < value.length; at += 1 << 18) yield value.subarray(at, at + (1 << 18));
    }
  }

  /** The pieces of a text. */
  function* piecesOfText(text) {
    for (let at = 0; at < text.length; at += 1 << 18) yield text.slice(at, at + (1 << 18));
  }

  return { Store, Bad, read, piecesOf, piecesOfStream, piecesOfText, KINDS, KIND, NONE };
})();
