// The log grid: what every replica holds at every op, and how sure it is of it.
//
// Owns rows and marks: received, durable, prepared by a quorum, committed, executed, in a checkpoint, different. Must
// not know where states come from. VIEW P2.
VR.log = (() => {
  const { $, h, show, viewClass, safe } = VR.base;
  const ROW = 25;
  const LEGEND =
    '· absent  ? faulty  ○ received  ◐ durable  ● prepared by a quorum  ✓ committed  ■ executed  ' +
    '▣ in a checkpoint  ✗ differs from what was committed';

  function make(app) {
    const box = $('log');
    let pinned = true; // follow the newest ops

    $('log-legend').textContent = LEGEND;

    /** The mark of one slot: a glyph, a word, and what stands in it. */
    function cell(n, op, i, prepared) {
      const slot = app.reducer.slotAt(n.name, op, i);
      const below = op <= (n.ckpt || 0) && (n.log_lo === undefined || op < n.log_lo);
      if (!slot) {
        if (below) return ['▣', 'in its checkpoint', null];
        if (n.applied >= op) return ['■', 'executed', null];
        if (n.op >= op) return [n.commit >= op ? '✓' : '◐', n.commit >= op ? 'committed' : 'held', null];
        return ['·', 'absent', null];
      }
      if (slot.act === 'faulty') return ['?', 'faulty', slot];
      const committed = app.reducer.committedAt(op, i);
      if (committed && slot.ck !== undefined && committed.ck !== slot.ck)
        return ['✗', n.commit >= op ? 'DIVERGES' : 'differs from what was committed', slot];
      if (below) return ['▣', 'in its checkpoint', slot];
      if (n.applied >= op) return ['■', 'executed', slot];
      if (n.commit >= op) return ['✓', 'committed', slot];
      if (n.durable >= op && prepared) return ['●', 'prepared by a quorum', slot];
      if (n.durable >= op) return ['◐', 'durable', slot];
      return ['○', 'received', slot];
    }

    function isPrepared(state, op, i, quorum) {
      const held = new Map();
      for (const n of state.nodes) {
        const slot = n.durable >= op && app.reducer.slotAt(n.name, op, i);
        if (slot) held.set(slot.ck, (held.get(slot.ck) || 0) + 1);
      }
      return Math.max(0, ...held.values()) >= quorum;
    }

    function row(state, op, i, quorum) {
      const prepared = op > state.commit && isPrepared(state, op, i, quorum);
      const rule = op === state.commit;
      const evidence = app.concernedOps.has(op);
      return h(
        'tr',
        { class: (rule ? 'rule ' : '') + (evidence ? 'at' : '') },
        h('th', { scope: 'row' }, op),
        state.nodes.map(n => {
          const [glyph, word, slot] = cell(n, op, i, prepared);
          const gone = glyph === '·' || (glyph === '▣' && !slot);
          const text =
            gone || !slot
              ? glyph
              : `${glyph} v${slot.view === undefined ? '?' : slot.view} ${String(slot.ck || '').slice(0, 4)}`;
          const title =
            `op ${op} on ${n.name}: ${word}` +
            (slot
              ? `\nhash ${slot.ck}` +
                (slot.client ? `\n${app.store.alias(slot.client)} request ${slot.req}` : '') +
                (slot.val ? `\n${safe(slot.val, 200)}` : '')
              : '');
          return h(
            'td',
            {
              class: (glyph === '✗' ? 'wrong ' : 'cell ') + (slot && glyph !== '✗' ? viewClass(slot.view) : ''),
              title,
              data: { op, node: n.name, mark: glyph },
              onclick: slot ? () => app.go(slot.i, { stay: true }) : undefined,
            },
            text + (word === 'DIVERGES' ? ' ✗' : ''),
          );
        }),
      );
    }

    function draw() {
      if (!app.store.started || box.offsetParent === null) return;
      const state = app.state,
        i = app.sel;
      const top = Math.max(0, ...state.nodes.map(n => n.op || 0), ...app.concernedOps);
      const quorum = app.store.meta ? app.store.meta.config.quorum || Math.floor(state.nodes.length / 2) + 1 : 2;
      const visible = Math.ceil((box.clientHeight || 350) / ROW) + 4;
      if (pinned)
        box.scrollTop =
          app.concernedOps.size && app.atViolation ? Math.max(0, (top - Math.max(...app.concernedOps) - 4) * ROW) : 0;
      const from = Math.max(0, Math.floor(box.scrollTop / ROW) - 2),
        to = Math.min(top, from + visible);
      const rows = [];
      for (let at = from; at < to; at++) rows.push(row(state, top - at, i, quorum));
      const space = count =>
        count > 0
          ? (() => {
              const td = h('td', { colspan: state.nodes.length + 1 });
              td.style.height = count * ROW + 'px';
              return h('tr', { class: 'spacer', 'aria-hidden': 'true' }, td);
            })()
          : null;
      show(
        box,
        h(
          'table',
          { 'aria-label': 'Logs, the newest op on top' },
          h(
            'thead',
            null,
            h(
              'tr',
              null,
              h('th', { scope: 'col' }, 'op'),
              state.nodes.map(n => h('th', { scope: 'col' }, VR.words.role(n)[0] + ' ' + n.name)),
            ),
          ),
          h(
            'tbody',
            null,
            space(from),
            rows.length ? rows : h('tr', null, h('td', { colspan: state.nodes.length + 1 }, 'all logs are empty')),
            space(top - to),
          ),
        ),
      );
    }

    box.addEventListener('scroll', () => {
      pinned = box.scrollTop < 4;
      app.redraw('log');
    });
    return {
      draw,
      cell,
      pin() {
        pinned = true;
      },
    };
  }

  return { make };
})();
