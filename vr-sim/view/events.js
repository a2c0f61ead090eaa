// The list of events and the inspector: every event as a sentence, and everything that is known of one.
//
// Owns the virtual list (a grid for screen readers), before → after, causes and effects. Must not know the
// diagram. VIEW P5, P6.
VR.events = (() => {
  const { $, h, show, put, grouped, moment, viewClass, time } = VR.base;
  const { sentence, glyph, role } = VR.words;
  const ROW = 24;

  function make(app) {
    const box = $('events'),
      inner = h('div', { role: 'rowgroup' });
    box.append(inner);
    inner.style.position = 'relative';
    let shown = null; // indices that pass the filter; null: all
    let shownTo = 0,
      hidden = 0,
      filterJob = 0;

    const length = () => (shown ? shown.length : app.store.count);
    const at = row => (shown ? shown[row] : app.store.base + row);
    function rowOf(i) {
      if (!shown) return i - app.store.base;
      let low = 0,
        high = shown.length;
      while (low < high) {
        const m = (low + high) >>> 1;
        if (shown[m] < i) low = m + 1;
        else high = m;
      }
      return low;
    }

    /** The next shown event from here on that also is something else. */
    function next(from, step, test = () => true) {
      let row = rowOf(from);
      if (step > 0 && at(row) === from) row += 1;
      if (step < 0) row -= 1;
      for (; row >= 0 && row < length(); row += step) if (test(at(row))) return at(row);
      return null;
    }

    /** Filters anew, in slices. */
    async function filter() {
      const job = ++filterJob,
        { shows, isAll } = app.filter;
      if (isAll) {
        shown = null;
        hidden = 0;
        count();
        return;
      }
      const found = [],
        s = app.store;
      let pause = performance.now() + 25;
      for (let i = s.base; i <= s.last; i++) {
        if (shows(i)) found.push(i);
        if ((i & 1023) === 0 && performance.now() > pause) {
          put($('hidden-count'), `filtering ${Math.round(((i - s.base) / s.count) * 100)} %`);
          await new Promise(go => setTimeout(go));
          if (job !== filterJob) return;
          pause = performance.now() + 25;
        }
      }
      shown = found;
      shownTo = s.next;
      hidden = s.count - found.length;
      count();
    }

    function count() {
      put(
        $('hidden-count'),
        shown ? `${grouped(shown.length)} shown, ${grouped(hidden)} hidden` : `${grouped(app.store.count)} events`,
      );
    }

    /** Events came or went at the ends (live, lab). */
    function extend() {
      const s = app.store;
      if (shown) {
        let gone = 0;
        while (gone < shown.length && shown[gone] < s.base) gone += 1;
        if (gone) shown.splice(0, gone);
        for (let i = Math.max(shownTo, s.base); i < s.next; i++) if (app.filter.shows(i)) shown.push(i);
        shownTo = s.next;
        hidden = s.count - shown.length;
      }
      count();
    }

    function row(i, top) {
      const s = app.store,
        e = s.event(i),
        name = e.n === undefined ? '' : s.alias(e.n);
      const selected = i === app.sel;
      const text = sentence(e, s);
      const line = h(
        'div',
        {
          class: [
            'row k-' + (/^[a-z]+$/.test(e.k) ? e.k : 'unknown'),
            selected ? 'sel' : '',
            app.causal && !app.causal(i) ? 'dimmed' : '',
          ].join(' '),
          role: 'row',
          id: 'event-' + i,
          'aria-selected': selected ? 'true' : 'false',
          data: { i },
          onclick: () => app.go(i, { stay: true }),
        },
        h('span', { class: 'i', role: 'gridcell' }, i),
        h('span', { class: 't', role: 'gridcell' }, moment(e.t)),
        h('span', { class: 'n', role: 'gridcell', title: e.n }, name),
        h('span', { class: 'g', role: 'gridcell', title: e.k }, glyph(e.k)),
        e.ty
          ? h(
              'span',
              { class: 'badge ' + (e.view === undefined ? '' : viewClass(e.view)), role: 'gridcell', title: e.ty },
              VR.words.code(e.ty),
            )
          : null,
        h('span', { class: 's', role: 'gridcell' }, text.length > 300 ? text.slice(0, 300) + '…' : text),
      );
      line.style.top = top + 'px';
      return line;
    }

    function draw() {
      if (!app.store.started || box.offsetParent === null) return;
      const total = length(),
        tall = Math.min(total * ROW, 16e6),
        visible = Math.ceil((box.clientHeight || 400) / ROW) + 2;
      // Very long lists are scaled: browsers do not scroll beyond some millions of pixels.
      const scale = (total * ROW) / Math.max(1, tall);
      inner.style.height = tall + 'px';
      const first = Math.max(0, Math.min(total - visible + 2, Math.floor((box.scrollTop * scale) / ROW)));
      const rows = [];
      for (let r = first; r < Math.min(total, first + visible); r++)
        rows.push(row(at(r), scale > 1 ? box.scrollTop + (r - first) * ROW : r * ROW));
      inner.replaceChildren(...rows);
      box.setAttribute('aria-rowcount', String(total));
      const active = inner.querySelector('.sel');
      if (active) box.setAttribute('aria-activedescendant', active.id);
      else box.removeAttribute('aria-activedescendant');
    }

    /** Scrolls so that the selected event is seen. */
    function follow() {
      const total = length(),
        tall = Math.min(total * ROW, 16e6),
        scale = (total * ROW) / Math.max(1, tall),
        height = box.clientHeight || 400;
      const top = (rowOf(app.sel) * ROW) / scale;
      inner.style.height = tall + 'px';
      if (top < box.scrollTop + ROW || top > box.scrollTop + height - 2 * ROW)
        box.scrollTop = Math.max(0, top - height / 2);
    }

    box.addEventListener('scroll', () => app.redraw('events'));

    // ---- the inspector

    const link = i => h('button', { class: 'link', data: { go: i }, onclick: () => app.go(i) }, '#' + i);

    function change(e, i) {
      const name = e.n,
        s = app.store;
      if (!app.state.at.has(name) || i <= app.reducer.earliest) return null;
      // The first event of a step is the cause of the others: what they change, it changed.
      let until = i;
      for (let x = i + 1; x <= Math.min(s.last, i + 60) && s.by(x) === i && s.names[s.node(x)] === name; x++) {
        if (s.kind(x) === 'set') until = x;
      }
      const end = app.reducer.stateAt(until),
        after = end.nodes[end.at.get(name)],
        before = app.reducer.stateAt(i - 1).nodes[app.state.at.get(name)];
      app.reducer.seek(i);
      const rows = VR.reduce.FIELDS.filter(f => before[f] !== after[f]).map(f => [f, before[f], after[f]]);
      if (before.up !== after.up) rows.unshift(['runs', before.up, after.up]);
      if (rows.length === 0)
        return h(
          'p',
          { class: 'note' },
          `${s.alias(name)} (${role(after)[1]}) stays as it was: view ${after.view}, op ${after.op}, ` +
            `committed ${after.commit}.`,
        );
      return h(
        'table',
        { 'aria-label': 'What changed' },
        until > i ? h('caption', null, `by this step, through #${until}`) : null,
        h(
          'tbody',
          null,
          rows.map(([f, a, b]) =>
            h(
              'tr',
              null,
              h('th', { scope: 'row' }, f),
              h('td', { class: 'mono' }, `${a === undefined ? '–' : a} → ${b === undefined ? '–' : b}`),
            ),
          ),
        ),
      );
    }

    /** Which logs a vote compared, which acknowledgements made a commit. */
    function quorum(e, i) {
      const s = app.store;
      if (e.k !== 'commit' || !app.state.at.has(e.n)) return null;
      const n = app.state.nodes[app.state.at.get(e.n)];
      if (n.primary !== n.name)
        return h('p', { class: 'note' }, 'A backup commits what its primary tells it is committed.');
      const who = [...n.acks].filter(([, op]) => op >= e.op).map(([from, op]) => `${from} (through op ${op})`);
      const last = [];
      for (let x = i; x > Math.max(s.base, i - 3000) && last.length < app.quorum; x--) {
        if (s.kind(x) === 'ack' && s.names[s.node(x)] === e.n && s.op(x) >= e.op) last.push(x);
      }
      return h(
        'p',
        null,
        `Committed because a quorum of ${app.quorum} has it durably: ${[e.n + ' itself', ...who].join(', ')}. `,
        last.map(x => [link(x), ' ']),
      );
    }

    function drawInspector() {
      const panel = $('inspector');
      if (app.store.count === 0 || panel.offsetParent === null) return;
      const s = app.store,
        i = app.sel,
        e = s.event(i),
        by = s.by(i);
      const effects = s.effects(i, 14);
      const meaning = e.ty && VR.words.MEANING[e.ty];
      const causes = by >= 0 ? [by] : Array.isArray(e.ev) ? e.ev.filter(x => s.has(x)) : [];
      const message = e.m !== undefined && by >= 0 && e.k !== 'send' && s.kind(by) === 'send' ? s.event(by) : null;
      const cause = x => h('li', null, link(x), ` ${s.alias(s.names[s.node(x)])} ${sentence(s.event(x), s)}`);
      const raw = x => JSON.parse(s.line(x));
      show(
        panel,
        h(
          'p',
          { class: 'lead' },
          h('strong', null, `${glyph(e.k)} ${e.n === undefined ? '' : s.alias(e.n)} `),
          sentence(e, s),
        ),
        h('p', { class: 'note' }, `#${i} · ${time(e.t)} · ${e.k}` + (meaning ? ` · ${e.ty}: ${meaning}` : '')),
        message
          ? h(
              'p',
              null,
              'It says: ',
              VR.words.said(message),
              message.t < e.t ? ` (${time(e.t - message.t)} on its way)` : '',
            )
          : null,
        h('h3', null, 'Before → after'),
        change(e, i) || h('p', { class: 'note' }, 'This changes no replica.'),
        quorum(e, i),
        causes.length ? [h('h3', null, 'Caused by'), h('ul', null, causes.map(cause))] : null,
        effects.length ? [h('h3', null, 'Led to'), h('ul', null, effects.map(cause))] : null,
        h('h3', null, 'All fields'),
        h('pre', { tabindex: '0' }, JSON.stringify(message ? { event: raw(i), message: raw(by) } : raw(i), null, 1)),
        h(
          'div',
          { class: 'tools' },
          h('button', { onclick: ev => VR.base.copy(s.line(i), ev.target) }, 'Copy'),
          h('button', { onclick: () => app.setFilter(`cause-of:#${i}`) }, 'Show only its causes'),
          h('button', { onclick: () => app.setFilter(`effect-of:#${i}`) }, 'Show only its effects'),
        ),
      );
    }

    return {
      draw,
      filter,
      extend,
      follow,
      next,
      drawInspector,
      rowOf,
      get length() {
        return length();
      },
      get hidden() {
        return hidden;
      },
      isShown: i => !shown || app.filter.shows(i),
    };
  }

  return { make };
})();
