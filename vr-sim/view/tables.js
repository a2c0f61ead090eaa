// The card at a glance, the table of disagreement, clients, and rates.
//
// Owns what is said of the cluster as a whole at one moment. Must not know how the moment was reached. VIEW
// §3.2, P3, P7, P10.
VR.tables = (() => {
  const { $, h, show, grouped, time, viewClass, colour } = VR.base;
  const { role, code, STATUS } = VR.words;
  const or = (v, other = '–') => (v === undefined || v === null ? other : v);

  function make(app) {
    /** The newest primary that works. */
    function primaryOf(state) {
      let best = null;
      for (const n of state.nodes) {
        if (role(n)[1] === 'primary' && (!best || n.view > best.view)) best = n;
      }
      return best;
    }

    function preparing(state, primary) {
      if (!primary) return 'nobody is primary now';
      const open = (primary.op || 0) - (primary.commit || 0);
      if (open <= 0) return 'nothing: all is committed';
      const quorum = app.quorum,
        parts = [];
      for (let op = primary.commit + 1; op <= primary.op && parts.length < 4; op++) {
        const have = [],
          missing = [];
        for (const n of state.nodes) {
          const has = n === primary ? primary.durable >= op : (primary.acks.get(n.name) || 0) >= op;
          (has ? have : missing).push(n.name);
        }
        parts.push(
          `#${op} ${have.length}/${quorum}${have.length >= quorum ? ' ✓' : ''} ` +
            `(waits for ${missing.join(', ') || 'nobody'})`,
        );
      }
      return `${open}: ` + parts.join(' · ') + (open > parts.length ? ' …' : '');
    }

    function latest(n) {
      const s = app.store;
      if (n.latest < 0 || !s.has(n.latest)) {
        return h('span', null, n.name, ' ', h('span', { class: 'label' }, 'nothing yet'));
      }
      const op = s.op(n.latest);
      return h(
        'button',
        { class: 'link', onclick: () => app.go(n.latest, { stay: true }) },
        `${n.name} ${s.type(n.latest)}${op >= 0 ? ' #' + op : ''} ${time(app.clock - s.t(n.latest))} ago`,
      );
    }

    function drawNow() {
      const state = app.state,
        primary = primaryOf(state);
      const epoch = Math.max(0, ...state.nodes.map(n => n.epoch || 0)),
        view = Math.max(0, ...state.nodes.map(n => n.view || 0));
      const applied = Math.max(0, ...state.nodes.map(n => n.applied || 0)),
        ckpt = Math.max(0, ...state.nodes.map(n => n.ckpt || 0));
      const card = (name, value, wide, small) =>
        h(
          'dl',
          { class: 'card' + (wide ? ' grow' : ''), data: { card: name } },
          h('dt', null, name),
          h('dd', { class: small ? 'small' : '' }, value),
        );
      show(
        $('now'),
        card('view', h('span', { class: 'badge ' + viewClass(view) }, view)),
        card('epoch', epoch),
        card('primary', primary ? `${primary.name} ★` : 'none'),
        card('committed', grouped(state.commit)),
        card('executed', grouped(applied)),
        card('checkpoint', grouped(ckpt)),
        card('preparing', preparing(state, primary), true, true),
        card(
          'latest message of each',
          state.nodes.map(n => [latest(n), ' ']),
          true,
          true,
        ),
      );
    }

    function lag(n, primary) {
      if (!primary || n === primary) return '–';
      const ops = (primary.op || 0) - (n.op || 0);
      return ops > 0 ? `${ops} op${ops === 1 ? '' : 's'}` : '0';
    }

    function drawTable() {
      const box = $('table');
      if (box.offsetParent === null) return;
      const state = app.state,
        primary = primaryOf(state),
        base = primary || state.nodes[0];
      const line = (name, of, compared = true) =>
        h(
          'tr',
          { data: { field: name } },
          h('th', { scope: 'row' }, name),
          state.nodes.map(n => {
            const value = of(n),
              differs = compared && n.known && String(value) !== String(of(base));
            return h('td', { class: differs ? 'differs' : 'num' }, or(value) + (differs ? ' ≠' : ''));
          }),
        );
      const number = field => n => (n[field] === undefined ? undefined : grouped(n[field]));
      show(
        box,
        h(
          'table',
          { 'aria-label': 'What replicas disagree about; ≠ marks what differs from the primary' },
          h(
            'thead',
            null,
            h(
              'tr',
              null,
              h('td', null, ''),
              state.nodes.map(n => h('th', { scope: 'col' }, `${role(n)[0]} ${n.name}`)),
            ),
          ),
          h(
            'tbody',
            null,
            line('is', n => role(n)[1], false),
            line('status', n => (n.up ? STATUS[n.status] || n.status : 'down')),
            line('view', number('view')),
            line('log of view', number('lnv')),
            line('op', number('op')),
            line('durable', number('durable')),
            line('committed', number('commit')),
            line('executed', number('applied')),
            line('checkpoint', number('ckpt')),
            line('epoch', number('epoch')),
            line('wants to leave', n => (n.want ? 'yes' : 'no')),
            line('trails', n => lag(n, primary), false),
            line('life', number('inc'), false),
            line('heard', n => (n.heard < 0 ? '–' : time(app.clock - n.heard) + ' ago'), false),
          ),
        ),
      );
    }

    const CLIENT = { waits: '… waits', ok: '✓ answered', fail: '✕ had no effect', info: '? will never know' };

    function drawClients() {
      const box = $('clients');
      if (box.offsetParent === null) return;
      const s = app.store,
        state = app.state;
      const seen = [...state.clients].slice(-200);
      if (seen.length === 0) {
        show(
          box,
          h(
            'p',
            { class: 'note' },
            app.isLive
              ? 'Clients are seen by what replicas log of them; a live cluster does not tell what they ask.'
              : 'no client has called yet',
          ),
        );
        return;
      }
      show(
        box,
        h(
          'table',
          { 'aria-label': 'Clients' },
          h(
            'thead',
            null,
            h(
              'tr',
              null,
              ['client', 'request', 'state', 'asked', 'answer', 'since'].map(t => h('th', { scope: 'col' }, t)),
            ),
          ),
          h(
            'tbody',
            null,
            seen.map(([name, c]) =>
              h(
                'tr',
                null,
                h('td', { title: name }, s.alias(name)),
                h('td', { class: 'num' }, or(c.req)),
                h('td', null, CLIENT[c.st] || c.st),
                h('td', null, or(c.in)),
                h('td', null, or(c.out, '')),
                h('td', { class: 'num' }, time(app.clock - c.since)),
              ),
            ),
          ),
        ),
      );
    }

    // ---- rates, in a hundred bins

    let rates = null;
    const BINS = 120;

    function count() {
      const s = app.store,
        raw = s.cols,
        to = s.t(s.last),
        from = app.isLive ? Math.max(s.t(s.base), to - 30e9) : s.t(s.base),
        span = Math.max(1, to - from);
      const key = `${s.base}.${s.count}`;
      if (rates && rates.key === key) return rates;
      const K = VR.trace.KIND,
        commits = new Float64Array(BINS),
        sends = new Float64Array(BINS),
        returns = new Float64Array(BINS);
      let high = 0;
      for (let at = s.before(from) - s.base; at < s.count; at++) {
        const k = raw.k.raw[at],
          bin = Math.min(BINS - 1, Math.max(0, Math.floor(((raw.t.raw[at] - from) / span) * BINS)));
        if (k === K.get('commit')) {
          if (raw.op.raw[at] > high) {
            commits[bin] += high ? raw.op.raw[at] - high : 1;
            high = raw.op.raw[at];
          }
        } else if (k === K.get('send')) sends[bin] += 1;
        else if (k === K.get('ret')) returns[bin] += 1;
      }
      return (rates = {
        key,
        from,
        span,
        series: [
          ['operations committed', commits],
          ['messages sent', sends],
          ['answers to clients', returns],
        ],
      });
    }

    function drawRates() {
      const box = $('metrics');
      if (box.offsetParent === null) return;
      const { from, span, series } = count();
      if (!box.firstChild) {
        show(
          box,
          h(
            'div',
            { class: 'sparks' },
            series.map(([name]) =>
              h('div', null, h('p', { class: 'label' }, ''), h('canvas', { role: 'img', 'aria-label': name })),
            ),
          ),
        );
      }
      series.forEach(([name, values], at) => {
        const cell = box.firstChild.children[at],
          canvas = cell.querySelector('canvas'),
          most = values.reduce((a, b) => Math.max(a, b), 0);
        const per = most / (span / BINS / 1e9);
        VR.base.put(cell.querySelector('p'), `${name}: at most ${grouped(Math.round(per))} a second`);
        const { c, w, h: height } = VR.strokes.sized(canvas);
        c.fillStyle = colour('accent');
        values.forEach((v, b) => {
          if (v) {
            const tall = (v / most) * (height - 2);
            c.fillRect((b / BINS) * w, height - tall, Math.max(1, w / BINS - 0.5), tall);
          }
        });
        c.fillStyle = colour('bad');
        c.fillRect(((app.clock - from) / span) * w, 0, 1, height);
      });
    }

    return { drawNow, drawTable, drawClients, drawRates, primaryOf };
  }

  return { make, code };
})();
