// The space–time diagram and the overview strip: canvases that draw only what is in their window.
//
// Owns lanes, arrows, status bands, the window in time and what lies under the pointer. Must not know how a state comes
// about: bands are states that the reducer gives. VIEW P4, P9, decision 5.
VR.diagram = (() => {
  const { $, h, colour, put, time, COLOURS } = VR.base;
  const ARROWS_MAX = 5000;     // events in the window up to which each message is drawn
  const LANE_MIN = 34;

  function sized(canvas) {
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    const w = Math.max(50, Math.round(box.width)), height = Math.max(20, Math.round(box.height));
    if (canvas.width !== w * ratio || canvas.height !== height * ratio) {
      canvas.width = w * ratio;
      canvas.height = height * ratio;
    }
    const c = canvas.getContext('2d');
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, w, height);
    return { c, w, h: height };
  }

  const viewColour = view => (view === undefined || view === null ? colour('v-none') : colour('v' + (view % COLOURS)));

  function hatch(c, x0, x1, y0, y1) {
    c.save();
    c.beginPath();
    c.rect(x0, y0, x1 - x0, y1 - y0);
    c.clip();
    c.strokeStyle = colour('dim');
    c.lineWidth = 1;
    c.beginPath();
    const from = Math.floor(x0 / 6) * 6 - (y1 - y0);
    for (let x = from; x < x1; x += 6) { c.moveTo(x, y1); c.lineTo(x + (y1 - y0), y0); }
    c.stroke();
    c.restore();
  }

  function make(app) {
    const canvas = $('diagram'), strip = $('overview');
    const win = { low: 0, high: 1 };  // in the units of the axis
    let axis = 'time', clients = false, drawn = [], places = new Map(), followed = -1, bars = null;

    const toAxis = i => (axis === 'time' ? app.store.t(i) : i);
    const ends = () => {
      const s = app.store;
      return axis === 'time' ? [s.t(s.base), s.t(s.last)] : [s.base, s.last];
    };

    function clamp() {
      const [first, last] = ends(), whole = Math.max(last - first, axis === 'time' ? 1000 : 4);
      const least = axis === 'time' ? 1000 : 4, span = Math.min(Math.max(win.high - win.low, least), whole * 1.06);
      let low = win.low;
      if (low < first - whole * 0.03) low = first - whole * 0.03;
      if (low + span > last + whole * 0.03) low = last + whole * 0.03 - span;
      win.low = low;
      win.high = low + span;
    }

    /** A window around an event that holds about so many. */
    function around(i, events = 90) {
      const s = app.store, a = Math.max(s.base, i - Math.round(events * 0.7)), b = Math.min(s.last, i + Math.round(events * 0.3));
      if (axis === 'time') {
        const span = Math.max(s.t(b) - s.t(a), 20000);
        win.low = s.t(i) - span * 0.72;
        win.high = win.low + span * 1.05;
      } else {
        win.low = i - events * 0.7;
        win.high = i + events * 0.3;
      }
      clamp();
    }

    function follow() {
      const at = toAxis(app.sel), span = win.high - win.low;
      if (followed === app.sel) return;
      followed = app.sel;
      if (at < win.low + span * 0.04 || at > win.high - span * 0.06) {
        const low = at - span * (app.playing || app.isLive ? 0.8 : 0.6);
        win.high = low + span;
        win.low = low;
        clamp();
      }
    }

    function zoom(factor, center) {
      const mid = center === undefined ? toAxis(app.sel) : center;
      win.low = mid - (mid - win.low) * factor;
      win.high = mid + (win.high - mid) * factor;
      clamp();
      draw();
    }

    function lanes() {
      const s = app.store, list = s.members.map(n => [n, s.names[n]]);
      if (clients) for (const c of s.clients.slice(0, 12)) list.push([s.numbers.get(c), s.alias(c)]);
      return list;
    }

    function bounds() {
      const s = app.store;
      if (axis === 'order') return [Math.max(s.base, Math.floor(win.low)), Math.min(s.last, Math.ceil(win.high))];
      return [s.before(win.low), s.before(win.high)];
    }

    /** How the state of each lane changes within the window: [node, from, to, state]. */
    function bands(i0, i1) {
      const s = app.store, found = [], open = new Map();
      const state = app.reducer.stateAt(Math.max(i0, app.reducer.earliest));
      const shot = n => ({ view: n.view, up: n.up && n.link !== 'down', known: n.known && !n.unknown, status: n.status, primary: n.primary === n.name });
      for (const n of state.nodes) open.set(n.name, [win.low, shot(n)]);
      let low = 0, high = s.marks.length;
      while (low < high) { const m = (low + high) >>> 1; if (s.marks[m][0] <= i0) low = m + 1; else high = m; }
      for (let m = low; m < s.marks.length && s.marks[m][0] <= i1 && found.length < 3000; m++) {
        const i = s.marks[m][0], e = s.event(i);
        const n = state.nodes[state.at.get(e.n)];
        if (!n) continue;
        VR.reduce.apply(state, e);
        if (e.k === 'restart' && s.has(i + 1) && s.kind(i + 1) === 'snap') VR.reduce.apply(state, s.event(i + 1));
        const [from, was] = open.get(n.name);
        found.push([n.name, from, toAxis(i), was]);
        open.set(n.name, [toAxis(i), shot(n)]);
      }
      for (const [name, [from, was]] of open) found.push([name, from, win.high, was]);
      return found;
    }

    function drawBands(c, x, i0, i1) {
      for (const [name, from, to, st] of bands(i0, i1)) {
        const y = places.get(app.store.numbers.get(name));
        if (y === undefined) continue;
        const a = Math.max(x(from), x.left), b = Math.min(x(to), x.right);
        if (b <= a) continue;
        const half = st.primary && st.status === 'normal' ? 8 : 5;
        if (!st.up || !st.known) {
          c.strokeStyle = colour('line');
          c.setLineDash([3, 4]);
          c.beginPath(); c.moveTo(a, y); c.lineTo(b, y); c.stroke();
          c.setLineDash([]);
          continue;
        }
        c.fillStyle = viewColour(st.view);
        c.fillRect(a, y - half, b - a, half * 2);
        if (st.status !== 'normal') hatch(c, a, b, y - half, y + half);
        if (b - a > 46) {
          c.fillStyle = colour('ink');
          c.font = '11px system-ui, sans-serif';
          const word = st.status === 'normal' ? '' : st.status === 'view_change' ? ' ◇ view change' : ' ' + st.status;
          c.fillText('v' + st.view + (st.primary && st.status === 'normal' ? ' ★' : '') + (b - a > 130 ? word : ''), a + 4, y - 11);
        }
      }
    }

    const strong = new Set(['DoViewChange', 'StartView', 'Recovery', 'RecoveryResponse', 'StartViewChange']);

    function arrow(c, x0, y0, x1, y1, style) {
      c.strokeStyle = style.colour;
      c.lineWidth = style.width;
      c.setLineDash(style.dash || []);
      c.beginPath(); c.moveTo(x0, y0); c.lineTo(x1, y1); c.stroke();
      c.setLineDash([]);
      const angle = Math.atan2(y1 - y0, x1 - x0), size = 5 + style.width;
      c.fillStyle = style.colour;
      c.beginPath();
      c.moveTo(x1, y1);
      c.lineTo(x1 - size * Math.cos(angle - 0.42), y1 - size * Math.sin(angle - 0.42));
      c.lineTo(x1 - size * Math.cos(angle + 0.42), y1 - size * Math.sin(angle + 0.42));
      c.fill();
    }

    function drawEvents(c, x, i0, i1) {
      const s = app.store, past = app.causal, sel = app.sel, evidence = app.evidence;
      const beyond = Math.min(s.last, i1 + 1500);
      let labels = 0;
      c.font = '10px system-ui, sans-serif';
      for (let i = i0; i <= beyond; i++) {
        const kind = s.kind(i);
        if (kind !== 'recv' && i > i1) continue;
        const shown = app.isShown(i), inPast = !past || past(i);
        const x1 = x(toAxis(i));
        if (kind === 'recv' || kind === 'drop') {
          const by = s.by(i);
          const y0 = by >= 0 ? places.get(s.node(by)) : undefined;
          const to = kind === 'drop' ? s.numbers.get(s.event(i).to) : s.node(i), y1 = places.get(to);
          if (y0 === undefined || y1 === undefined || !shown && i !== sel && by !== sel) continue;
          const x0 = x(toAxis(by));
          if (Math.max(x0, x1) < x.left || Math.min(x0, x1) > x.right) continue;
          const chosen = i === sel || by === sel, dim = !inPast && !chosen;
          const style = {
            colour: chosen ? colour('accent') : evidence.has(i) ? colour('bad') : dim ? colour('arrow-dim') : colour('arrow'),
            width: chosen || evidence.has(i) ? 2.4 : strong.has(s.type(i)) ? 1.6 : 0.9, dash: dim ? [2, 3] : null,
          };
          if (kind === 'drop') {
            const mx = x0 + (Math.max(x1, x0 + 12) - x0) * 0.6 + 4, my = y0 + (y1 - y0) * 0.6;
            arrow(c, x0, y0, mx, my, { ...style, colour: dim ? style.colour : colour('bad') });
            c.fillStyle = colour('bad');
            c.font = '13px system-ui, sans-serif';
            c.fillText('✕', mx - 5, my + 5);
            drawn.push([mx, my, i, x0, y0]);
          } else {
            arrow(c, x0, y0, x1, y1, style);
            drawn.push([x1, y1, i, x0, y0]);
            if ((i1 - i0 < 260 && labels < 120 && Math.abs(x1 - x0) + Math.abs(y1 - y0) > 30 && !dim) || chosen) {
              labels += 1;
              c.font = '10px system-ui, sans-serif';
              c.fillStyle = style.colour;
              c.fillText(VR.words.code(s.type(i)), x0 + (x1 - x0) * 0.3 + 3, y0 + (y1 - y0) * 0.3 - 2);
            }
          }
        } else {
          mark(c, i, kind, x1, inPast, shown);
        }
      }
    }

    const MARKED = new Set(['crash', 'restart', 'exec', 'commit', 'ckpt', 'timer', 'do', 'inv', 'ret', 'snap']);

    function mark(c, i, kind, x1, inPast, shown) {
      const s = app.store, sel = i === app.sel;
      const y = places.get(s.node(i));
      if (kind === 'viol') {
        c.strokeStyle = c.fillStyle = colour('bad');
        c.lineWidth = 2;
        c.beginPath(); c.moveTo(x1, 4); c.lineTo(x1, app.diagramHeight - 18); c.stroke();
        c.font = 'bold 14px system-ui, sans-serif';
        c.fillText('⚑', x1 + 3, 16);
        drawn.push([x1, 14, i]);
        return;
      }
      if (y === undefined || (!shown && !sel)) return;
      if (MARKED.has(kind) && kind !== 'snap') {
        c.fillStyle = kind === 'crash' ? colour('bad') : inPast ? colour('ink') : colour('arrow-dim');
        c.font = kind === 'crash' ? 'bold 15px system-ui, sans-serif' : '11px system-ui, sans-serif';
        c.fillText(VR.words.glyph(kind), x1 - 5, y + (kind === 'exec' || kind === 'commit' ? 18 : 5));
        drawn.push([x1, y + (kind === 'exec' ? 14 : 0), i]);
      } else {
        drawn.push([x1, y, i]);
      }
    }

    function density(c, x, i0, i1) {
      const s = app.store, width = x.right - x.left, bins = new Map();
      const n = s.cols.n.raw, count = Math.max(1, Math.round(width / 3));
      for (const node of places.keys()) bins.set(node, new Uint32Array(count));
      for (let i = i0; i <= i1; i++) {
        const row = bins.get(n[i - s.base]);
        if (row) row[Math.min(count - 1, Math.max(0, Math.floor(((toAxis(i) - win.low) / (win.high - win.low)) * count)))] += 1;
      }
      for (const [node, row] of bins) {
        const y = places.get(node), most = row.reduce((a, b) => Math.max(a, b), 1);
        c.fillStyle = colour('arrow');
        row.forEach((v, at) => { if (v) c.fillRect(x.left + (at / count) * width, y - 4 - (v / most) * 12, 2, (v / most) * 12); });
      }
    }

    function ticks(c, x, height) {
      const span = win.high - win.low, rough = span / Math.max(2, (x.right - x.left) / 110);
      const power = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 5, 10].map(m => m * power).find(m => m >= rough);
      c.font = '11px system-ui, sans-serif';
      c.fillStyle = colour('dim');
      c.strokeStyle = colour('line');
      c.lineWidth = 1;
      for (let v = Math.ceil(win.low / step) * step; v <= win.high; v += step) {
        const px = Math.round(x(v)) + 0.5;
        c.beginPath(); c.moveTo(px, 0); c.lineTo(px, height - 16); c.stroke();
        c.fillText(axis === 'time' ? time(v) : '#' + Math.round(v), px + 3, height - 4);
      }
    }

    function draw() {
      const s = app.store;
      if (!s.started || canvas.offsetParent === null) return;
      follow();
      const { c, w, h: height } = sized(canvas);
      app.diagramHeight = height;
      const list = lanes(), gap = Math.max(LANE_MIN, (height - 44) / Math.max(1, list.length));
      const x = v => 64 + ((v - win.low) / (win.high - win.low)) * (w - 72);
      x.left = 64;
      x.right = w - 8;
      places = new Map();
      list.forEach(([node], at) => places.set(node, 28 + gap * at + Math.min(gap, 60) * 0.25));
      drawn = [];
      ticks(c, x, height);
      const [i0, i1] = bounds();
      const many = i1 - i0 > ARROWS_MAX;
      c.save();
      c.beginPath(); c.rect(x.left, 0, w - x.left, height); c.clip();
      for (const y of places.values()) {
        c.strokeStyle = colour('line');
        c.lineWidth = 1;
        c.beginPath(); c.moveTo(x.left, y); c.lineTo(x.right, y); c.stroke();
      }
      drawBands(c, x, i0, i1);
      if (many) density(c, x, i0, i1); else drawEvents(c, x, i0, i1);
      const at = x(toAxis(app.sel));
      c.strokeStyle = colour('accent');
      c.lineWidth = 1.5;
      c.setLineDash([4, 3]);
      c.beginPath(); c.moveTo(at, 0); c.lineTo(at, height - 16); c.stroke();
      c.setLineDash([]);
      const y = places.get(s.node(app.sel));
      if (y !== undefined) { c.lineWidth = 2.5; c.beginPath(); c.arc(at, y, 8, 0, 7); c.stroke(); }
      c.restore();
      c.font = 'bold 13px system-ui, sans-serif';
      for (const [node, name] of list) {
        const st = app.state.nodes[app.state.at.get(s.names[node])];
        c.fillStyle = colour('ink');
        c.fillText((st ? VR.words.role(st)[0] + ' ' : '') + name, 8, places.get(node) + 5);
        if (app.concerned.has(s.names[node])) {
          c.strokeStyle = colour('bad');
          c.lineWidth = 2;
          c.beginPath(); c.rect(3, places.get(node) - 11, 56, 22); c.stroke();
        }
      }
      put($('diagram-note'), `${time(axis === 'time' ? win.high - win.low : s.t(i1) - s.t(i0))} shown, ${i1 - i0 + 1} events` +
        (many ? ': too many to draw each; zoom in (+)' : past()));
    }

    const past = () => (app.causal ? `; solid: the causal past of #${app.sel}` : '');

    function pick(px, py) {
      let best = null, least = 14;
      for (const [ax, ay, i, bx, by] of drawn) {
        let d = Math.hypot(ax - px, ay - py);
        if (bx !== undefined && d > 8) {
          const dx = ax - bx, dy = ay - by, l = dx * dx + dy * dy || 1;
          const f = Math.max(0, Math.min(1, ((px - bx) * dx + (py - by) * dy) / l));
          d = Math.min(d, Math.hypot(bx + f * dx - px, by + f * dy - py) + 2);
        }
        if (d < least) { least = d; best = i; }
      }
      return best;
    }

    function pointer() {
      let from = null;
      canvas.addEventListener('pointerdown', e => { from = { x: e.offsetX, low: win.low, high: win.high, moved: false }; canvas.setPointerCapture(e.pointerId); });
      canvas.addEventListener('pointermove', e => {
        if (!from) return;
        const dx = e.offsetX - from.x;
        if (Math.abs(dx) > 4) from.moved = true;
        if (!from.moved) return;
        const per = (from.high - from.low) / (canvas.clientWidth - 72);
        win.low = from.low - dx * per;
        win.high = from.high - dx * per;
        clamp();
        app.redraw('diagram');
      });
      canvas.addEventListener('pointerup', e => {
        if (from && !from.moved) {
          const i = pick(e.offsetX, e.offsetY);
          if (i !== null) app.go(i, { stay: true });
        }
        from = null;
      });
      canvas.addEventListener('wheel', e => {
        if (!e.ctrlKey && !e.shiftKey && e.deltaX === 0) return;
        e.preventDefault();
        if (e.ctrlKey) {
          const f = (e.offsetX - 64) / (canvas.clientWidth - 72);
          zoom(e.deltaY > 0 ? 1.25 : 0.8, win.low + f * (win.high - win.low));
        } else {
          const by = (win.high - win.low) * (e.deltaX || e.deltaY) / 1200;
          win.low += by;
          win.high += by;
          clamp();
          app.redraw('diagram');
        }
      }, { passive: false });
    }

    // ---- the overview

    function density2(w) {
      const s = app.store, key = `${s.base}.${s.count}.${w}`;
      if (bars && bars.key === key) return bars;
      const row = new Uint32Array(w), [first, last] = [s.t(s.base), s.t(s.last)], span = Math.max(1, last - first), t = s.cols.t.raw;
      for (let at = 0; at < s.count; at++) row[Math.min(w - 1, Math.floor(((t[at] - first) / span) * w))] += 1;
      return bars = { key, row, most: row.reduce((a, b) => Math.max(a, b), 1), first, span };
    }

    const MARKS = { view: ['▲', 'accent'], crash: ['✕', 'bad'], viol: ['⚑', 'bad'], part: ['⊘', 'warn'], do: ['☞', 'dim'] };

    function drawStrip() {
      const s = app.store;
      if (!s.started || strip.offsetParent === null) return;
      const { c, w, h: height } = sized(strip);
      const { row, most, first, span } = density2(w), x = t => ((t - first) / span) * w;
      c.fillStyle = colour('arrow-dim');
      row.forEach((v, at) => { if (v) { const tall = 2 + (Math.log1p(v) / Math.log1p(most)) * (height - 20); c.fillRect(at, height - tall, 1, tall); } });
      const a = axis === 'time' ? x(win.low) : x(s.t(Math.max(s.base, Math.min(s.last, Math.round(win.low)))));
      const b = axis === 'time' ? x(win.high) : x(s.t(Math.max(s.base, Math.min(s.last, Math.round(win.high)))));
      c.strokeStyle = colour('accent');
      c.lineWidth = 2;
      c.strokeRect(Math.max(1, a), 1, Math.max(3, Math.min(w - 2, b) - Math.max(1, a)), height - 2);
      let taken = -9;
      c.font = '11px system-ui, sans-serif';
      for (const [i, kind] of s.marks) {
        const px = x(s.t(i));
        if (!MARKS[kind] || (px - taken < 8 && kind !== 'viol')) continue;
        taken = px;
        c.fillStyle = colour(MARKS[kind][1]);
        c.fillText(MARKS[kind][0], px - 4, 12);
      }
      c.fillStyle = colour('accent');
      for (const i of app.bookmarks) if (s.has(i)) c.fillText('★', x(s.t(i)) - 5, height - 4);
      c.fillRect(x(s.t(app.sel)) - 1, 0, 2, height);
    }

    function stripPointer() {
      let from = null;
      const t = e => { const { first, span } = density2(strip.clientWidth); return first + (e.offsetX / strip.clientWidth) * span; };
      strip.addEventListener('pointerdown', e => { from = e.offsetX; strip.setPointerCapture(e.pointerId); });
      strip.addEventListener('pointerup', e => {
        if (from === null) return;
        if (Math.abs(e.offsetX - from) > 5 && axis === 'time') {
          const a = t({ offsetX: Math.min(from, e.offsetX) }), b = t({ offsetX: Math.max(from, e.offsetX) });
          win.low = a;
          win.high = b;
          clamp();
          app.go(app.store.before((a + b) / 2), { stay: true });
          app.redraw();
        } else {
          app.go(app.store.before(t(e)));
        }
        from = null;
      });
      strip.addEventListener('keydown', e => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
        if (!step || e.shiftKey) return;
        e.stopPropagation();
        e.preventDefault();
        app.go(app.store.before(app.store.t(app.sel) + step * density2(strip.clientWidth).span / 100));
      });
    }

    function setAxis(to) {
      axis = to;
      around(app.sel);
      app.redraw();
    }

    function tools() {
      const press = (button, on) => button.setAttribute('aria-pressed', on ? 'true' : 'false');
      const byTime = h('button', { id: 'axis-time', onclick: () => { setAxis('time'); sync(); } }, 'time');
      const byOrder = h('button', { id: 'axis-order', title: 'One step for every event, so that none lie on each other', onclick: () => { setAxis('order'); sync(); } }, 'order');
      const lanesButton = h('button', { id: 'lanes', onclick: () => { clients = !clients; sync(); app.redraw('diagram'); } }, 'clients');
      const causal = h('button', { id: 'causal', title: 'Show what the selected event depends on (c)', onclick: () => app.toggleCausal() }, 'causal past');
      const sync = () => { press(byTime, axis === 'time'); press(byOrder, axis === 'order'); press(lanesButton, clients); press(causal, !!app.causal); };
      const label = text => h('span', { class: 'label' }, text);
      $('diagram-tools').append(label('axis'), byTime, byOrder, lanesButton, causal,
        h('button', { 'aria-label': 'Zoom in', title: 'Zoom in (+)', onclick: () => zoom(0.6) }, '+'),
        h('button', { 'aria-label': 'Zoom out', title: 'Zoom out (−)', onclick: () => zoom(1.6) }, '−'),
        h('button', { title: 'The whole trace (0)', onclick: () => whole() }, 'all'));
      app.on('causal', sync);
      sync();
    }

    function whole() {
      const [first, last] = ends();
      win.low = first;
      win.high = last;
      clamp();
      app.redraw();
    }

    pointer();
    stripPointer();
    tools();
    return {
      draw, drawStrip, zoom, around, whole, setAxis, get window() { return { ...win, axis }; }, pick,
      /** Where an event was drawn, for tests and for the keyboard. */
      placeOf: i => { const found = drawn.find(d => d[2] === i); return found ? { x: found[0], y: found[1] } : null; },
    };
  }

  return { make, sized };
})();
