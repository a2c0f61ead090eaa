// The replicas on a circle: who is what in which view, who is cut off, and what is on its way between them.
//
// Owns the picture at one moment. Must not know how the moment was reached. VIEW P1.
VR.ring = (() => {
  const { $, svg, show, viewClass, still } = VR.base;
  const { role, code } = VR.words;
  const LOST_NS = 1e9;

  function make(app) {
    const box = $('ring');
    const W = 440,
      H = 330;

    function seat(at, n) {
      const angle = -Math.PI / 2 + (at / n) * 2 * Math.PI;
      const rx = n > 5 ? 165 : 145,
        ry = n > 5 ? 118 : 105;
      return { x: W / 2 + rx * Math.cos(angle), y: H / 2 + 6 + ry * Math.sin(angle) };
    }

    /** How far along its way a copy is: by the time of its arrival where that is known. */
    function progress(sent, to) {
      const s = app.store,
        t0 = s.t(sent),
        now = app.clock;
      let arrival = null;
      for (const i of s.effects(sent, 12, 4000)) {
        if ((s.kind(i) === 'recv' && s.names[s.node(i)] === to) || s.kind(i) === 'drop') {
          arrival = s.t(i);
          break;
        }
      }
      if (arrival === null || arrival <= t0) return 0.5;
      return Math.max(0.08, Math.min(0.92, (now - t0) / (arrival - t0)));
    }

    function messages(state, seats) {
      const s = app.store,
        drawn = [],
        slots = new Map();
      for (const [key, [sent, copies]] of [...state.flying].slice(-60)) {
        const cut = key.lastIndexOf('>'),
          to = key.slice(cut + 1);
        if (!s.has(sent)) continue;
        // Nobody tells what a real network lost: what is long on its way is not drawn.
        if (app.isLive && app.clock - s.t(sent) > LOST_NS) continue;
        const from = s.names[s.node(sent)],
          a = seats.get(from),
          b = seats.get(to);
        if (!a || !b) continue;
        const f = still() ? 0.5 : progress(sent, to),
          ty = s.type(sent);
        const lane = `${from}>${to}`,
          nth = slots.get(lane) || 0;
        slots.set(lane, nth + 1);
        if (nth > 2) continue;
        const x = a.x + (b.x - a.x) * f,
          y = a.y + (b.y - a.y) * f + nth * 16;
        const text = code(ty) + (s.op(sent) >= 0 ? ' ' + s.op(sent) : '') + (copies > 1 ? ' ×' + copies : '');
        drawn.push(
          svg(
            'g',
            {
              class: 'msg',
              transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
              role: 'button',
              tabindex: '-1',
              'aria-label': `${text}: ${ty} from ${from} to ${to}, on its way`,
              onclick: () => app.go(sent, { stay: true }),
            },
            svg('rect', { x: -2 - text.length * 3.2, y: -8, width: 4 + text.length * 6.4, height: 15, rx: 3 }),
            svg('text', { 'text-anchor': 'middle', y: 3 }, text),
          ),
        );
      }
      return drawn;
    }

    function cuts(state, seats) {
      const seen = new Set([...state.cuts.values()].flat()),
        drawn = [];
      for (const link of seen) {
        const [from, to] = link.split('>'),
          a = seats.get(from),
          b = seats.get(to);
        if (!a || !b) continue;
        const both = seen.has(to + '>' + from);
        if (both && from > to) continue;
        // One direction: only the half towards the deaf one.
        const mx = (a.x + b.x) / 2,
          my = (a.y + b.y) / 2;
        drawn.push(
          svg('line', { class: 'cut', x1: both ? a.x : mx, y1: both ? a.y : my, x2: b.x, y2: b.y }),
          svg(
            'text',
            {
              x: mx + (b.x - mx) * (both ? 0 : 0.3),
              y: my + (b.y - my) * (both ? 0 : 0.3) - 3,
              'text-anchor': 'middle',
            },
            both ? '⊘' : '⊘→',
          ),
        );
      }
      return [drawn, seen];
    }

    function node(n, seat) {
      // Without a connection nothing is known of anybody.
      const isCut = app.live && !app.live.isOpen,
        [glyph, word] = isCut ? ['▨', 'no news'] : role(n),
        s = app.store;
      const kind = isCut
        ? 'silent'
        : !n.known || n.unknown
          ? 'unknown'
          : n.link === 'down' || !n.up
            ? 'down'
            : n.link === 'silent'
              ? 'silent'
              : Object.hasOwn(VR.words.STATUS, n.status)
                ? n.status
                : 'unknown';
      const primary = word === 'primary';
      const heard = n.heard >= 0 ? app.clock - n.heard : null;
      const latest =
        n.latest >= 0 && s.has(n.latest)
          ? code(s.type(n.latest)) + (s.op(n.latest) >= 0 ? ' ' + s.op(n.latest) : '')
          : '–';
      const down = kind === 'down' || kind === 'silent';
      const line = down
        ? `${word} since ${VR.base.time(app.clock - (kind === 'down' ? n.since : n.heard))}`
        : `${word} · sent ${latest}`;
      const name = `${n.name} v${n.view === undefined ? '?' : n.view}`,
        label = `${name}: ${word}, view ${n.view}, op ${n.op}, committed ${n.commit}`;
      const votes = n.status === 'view_change' && n.dvc ? `SVC ${n.svc.size} · DVC ${n.dvc.size}` : '';
      const button = svg(
        'g',
        {
          class:
            `node s-${kind} ${viewClass(n.view)} ${primary ? 'primary' : ''} ` +
            `${app.chosen === n.name ? 'chosen' : ''} ` +
            (app.concerned.has(n.name) ? 'concerned' : ''),
          tabindex: '0',
          role: 'button',
          'aria-label': label,
          data: { node: n.name },
          onclick: () => app.choose(n.name),
          onkeydown: e => {
            if (e.key === 'Enter') app.choose(n.name);
          },
        },
        svg('title', null, label + (heard === null ? '' : `, last heard ${VR.base.time(heard)} ago`)),
        svg('circle', { class: 'halo', r: 31 }),
        svg('circle', { class: 'disc', r: 25 }),
        svg('text', { 'text-anchor': 'middle', y: 6, 'font-size': '18' }, glyph),
        svg('text', { class: 'name', 'text-anchor': 'middle', y: -33, 'font-weight': '600' }, name),
      );
      const ops = `op ${n.op === undefined ? '?' : n.op} / ${n.commit === undefined ? '?' : n.commit}`;
      return svg(
        'g',
        { transform: `translate(${seat.x.toFixed(1)} ${seat.y.toFixed(1)})` },
        button,
        svg('text', { class: 'dim', 'text-anchor': 'middle', y: 43 }, line),
        svg('text', { class: 'dim', 'text-anchor': 'middle', y: 57 }, votes || ops),
      );
    }

    function draw() {
      if (!app.store.started || box.offsetParent === null) return;
      const state = app.state,
        seats = new Map();
      state.nodes.forEach((n, at) => seats.set(n.name, seat(at, state.nodes.length)));
      const [cutLines, cut] = cuts(state, seats),
        chords = [],
        names = state.nodes.map(n => n.name);
      names.forEach((a, i) =>
        names.slice(i + 1).forEach(b => {
          if (cut.has(`${a}>${b}`) && cut.has(`${b}>${a}`)) return;
          const p = seats.get(a),
            q = seats.get(b);
          chords.push(svg('line', { class: 'chord', x1: p.x, y1: p.y, x2: q.x, y2: q.y }));
        }),
      );
      const pattern = svg(
        'defs',
        null,
        svg(
          'pattern',
          { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
          svg('rect', { width: 6, height: 6, fill: 'var(--panel)' }),
          svg('line', { x1: 0, y1: 0, x2: 0, y2: 6, stroke: 'var(--dim)', 'stroke-width': 2 }),
        ),
      );
      const focus =
        document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.node : null;
      show(
        box,
        svg(
          'svg',
          { viewBox: `0 0 ${W} ${H}`, role: 'group', 'aria-label': 'Replicas' },
          pattern,
          chords,
          cutLines,
          messages(state, seats),
          state.nodes.map(n => node(n, seats.get(n.name))),
        ),
      );
      if (focus) {
        const again = box.querySelector(`[data-node="${CSS.escape(focus)}"]`);
        if (again) again.focus();
      }
    }

    return { draw };
  }

  return { make };
})();
