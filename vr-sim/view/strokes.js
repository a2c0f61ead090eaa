// What the space–time diagram is drawn of: status bands, arrows, marks, density, ticks.
//
// Owns strokes on a canvas, within the window it is given. Must not know how the window came about, nor the
// pointer. VIEW P4.
VR.strokes = (() => {
  const { colour, COLOURS } = VR.base;

  function sized(canvas) {
    const ratio = window.devicePixelRatio || 1,
      box = canvas.getBoundingClientRect();
    const w = Math.max(50, Math.round(box.width)),
      height = Math.max(20, Math.round(box.height));
    if (canvas.width !== w * ratio || canvas.height !== height * ratio) {
      canvas.width = w * ratio;
      canvas.height = height * ratio;
    }
    const c = canvas.getContext('2d');
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, w, height);
    return { c, w, h: height };
  }

  const viewColour = view =>
    view === undefined || view === null ? colour('v-none') : colour('v' + (view % COLOURS));

  function hatch(c, x0, x1, y0, y1) {
    c.save();
    c.beginPath();
    c.rect(x0, y0, x1 - x0, y1 - y0);
    c.clip();
    c.strokeStyle = colour('dim');
    c.lineWidth = 1;
    c.beginPath();
    const from = Math.floor(x0 / 6) * 6 - (y1 - y0);
    for (let x = from; x < x1; x += 6) {
      c.moveTo(x, y1);
      c.lineTo(x + (y1 - y0), y0);
    }
    c.stroke();
    c.restore();
  }

  /** How the state of each lane changes within the window: [node, from, to, state]. */
  function bands({ app, win, toAxis }, i0, i1) {
    const s = app.store,
      found = [],
      open = new Map();
    const state = app.reducer.stateAt(Math.max(i0, app.reducer.earliest));
    const shot = n => ({
      view: n.view,
      up: n.up && n.link === 'up',
      known: n.known && !n.unknown,
      status: n.status,
      primary: n.primary === n.name,
    });
    for (const n of state.nodes) open.set(n.name, [win.low, shot(n)]);
    let low = 0,
      high = s.marks.length;
    while (low < high) {
      const m = (low + high) >>> 1;
      if (s.marks[m][0] <= i0) low = m + 1;
      else high = m;
    }
    for (let m = low; m < s.marks.length && s.marks[m][0] <= i1 && found.length < 3000; m++) {
      const i = s.marks[m][0],
        e = s.event(i);
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

  function drawBands(v, i0, i1) {
    const { app, c, x, places } = v;
    for (const [name, from, to, st] of bands(v, i0, i1)) {
      const y = places.get(app.store.numbers.get(name));
      if (y === undefined) continue;
      const a = Math.max(x(from), x.left),
        b = Math.min(x(to), x.right);
      if (b <= a) continue;
      const half = st.primary && st.status === 'normal' ? 8 : 5;
      if (!st.up || !st.known) {
        c.strokeStyle = colour('line');
        c.setLineDash([3, 4]);
        c.beginPath();
        c.moveTo(a, y);
        c.lineTo(b, y);
        c.stroke();
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
        c.fillText(
          'v' + st.view + (st.primary && st.status === 'normal' ? ' ★' : '') + (b - a > 130 ? word : ''),
          a + 4,
          y - 11,
        );
      }
    }
  }

  const strong = new Set(['DoViewChange', 'StartView', 'Recovery', 'RecoveryResponse', 'StartViewChange']);

  function arrow(c, x0, y0, x1, y1, style) {
    c.strokeStyle = style.colour;
    c.lineWidth = style.width;
    c.setLineDash(style.dash || []);
    c.beginPath();
    c.moveTo(x0, y0);
    c.lineTo(x1, y1);
    c.stroke();
    c.setLineDash([]);
    const angle = Math.atan2(y1 - y0, x1 - x0),
      size = 5 + style.width;
    c.fillStyle = style.colour;
    c.beginPath();
    c.moveTo(x1, y1);
    c.lineTo(x1 - size * Math.cos(angle - 0.42), y1 - size * Math.sin(angle - 0.42));
    c.lineTo(x1 - size * Math.cos(angle + 0.42), y1 - size * Math.sin(angle + 0.42));
    c.fill();
  }

  function drawEvents(v, i0, i1) {
    const { app, c, x, places, drawn, toAxis } = v;
    const s = app.store,
      past = app.causal,
      sel = app.sel,
      evidence = app.evidence;
    const beyond = Math.min(s.last, i1 + 1500);
    let labels = 0;
    c.font = '10px system-ui, sans-serif';
    for (let i = i0; i <= beyond; i++) {
      const kind = s.kind(i);
      if (kind !== 'recv' && i > i1) continue;
      const shown = app.isShown(i),
        inPast = !past || past(i);
      const x1 = x(toAxis(i));
      if (kind === 'dup' || kind === 'delay' || kind === 'corrupt') {
        onTheWay(v, i, kind, inPast);
      } else if (kind === 'recv' || kind === 'drop') {
        const by = s.by(i);
        const y0 = by >= 0 ? places.get(s.node(by)) : undefined;
        const to = kind === 'drop' ? s.numbers.get(s.event(i).to) : s.node(i),
          y1 = places.get(to);
        if (y0 === undefined || y1 === undefined || (!shown && i !== sel && by !== sel)) continue;
        const x0 = x(toAxis(by));
        if (Math.max(x0, x1) < x.left || Math.min(x0, x1) > x.right) continue;
        const chosen = i === sel || by === sel,
          dim = !inPast && !chosen;
        const style = {
          colour: chosen
            ? colour('accent')
            : evidence.has(i)
              ? colour('bad')
              : dim
                ? colour('arrow-dim')
                : colour('arrow'),
          width: chosen || evidence.has(i) ? 2.4 : strong.has(s.type(i)) ? 1.6 : 0.9,
          dash: dim ? [2, 3] : null,
        };
        if (kind === 'drop') {
          const mx = x0 + (Math.max(x1, x0 + 12) - x0) * 0.6 + 4,
            my = y0 + (y1 - y0) * 0.6;
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
        mark(v, i, kind, x1, inPast, shown);
      }
    }
  }

  /** What the network did to a message, a little along its way. */
  function onTheWay({ app, c, x, places, drawn, toAxis }, i, kind, inPast) {
    const s = app.store,
      by = s.by(i);
    const y0 = by >= 0 ? places.get(s.node(by)) : undefined,
      y1 = places.get(s.numbers.get(s.event(i).to));
    if (y0 === undefined || y1 === undefined) return;
    const px = x(toAxis(i)) + 5,
      py = y0 + (y1 - y0) * 0.22;
    c.fillStyle = inPast ? colour('warn') : colour('arrow-dim');
    c.font = 'bold 13px system-ui, sans-serif';
    c.fillText(VR.words.glyph(kind), px - 5, py + 5);
    drawn.push([px, py, i]);
  }

  /** What clients wait for, from call to return; open ends are open. */
  function drawCalls({ app, c, x, places, drawn, toAxis }, i0, i1) {
    const s = app.store;
    for (const [client, from, to] of s.calls) {
      const y = places.get(client);
      if (y === undefined || from > i1 || (to >= 0 && to < i0)) continue;
      const a = Math.max(x(toAxis(from)), x.left),
        b = to < 0 ? x.right : Math.min(x(toAxis(to)), x.right);
      c.fillStyle = colour(to < 0 ? 'warn-soft' : 'select');
      c.strokeStyle = colour(to < 0 ? 'warn' : 'accent');
      c.lineWidth = 1;
      c.fillRect(a, y - 8, Math.max(3, b - a), 16);
      c.strokeRect(a, y - 8, Math.max(3, b - a), 16);
      drawn.push([a, y, from]);
      if (b - a > 40) callText(c, s, from, to, a, b, y);
    }
  }

  function callText(c, s, from, to, a, b, y) {
    const asked = s.event(from).in,
      answer = to >= 0 ? s.event(to).out : undefined;
    c.save();
    c.beginPath();
    c.rect(a, y - 8, b - a - 2, 16);
    c.clip();
    c.fillStyle = colour('ink');
    c.font = '10.5px system-ui, sans-serif';
    c.fillText(VR.base.safe(asked + (answer === undefined ? '' : ' → ' + answer), 80), a + 4, y + 4);
    c.restore();
  }

  const MARKED = new Set(['crash', 'restart', 'exec', 'commit', 'ckpt', 'timer', 'do', 'inv', 'ret', 'snap']);

  function mark({ app, c, places, drawn, height }, i, kind, x1, inPast, shown) {
    const s = app.store,
      sel = i === app.sel;
    const y = places.get(s.node(i));
    if (kind === 'viol') {
      c.strokeStyle = c.fillStyle = colour('bad');
      c.lineWidth = 2;
      c.beginPath();
      c.moveTo(x1, 4);
      c.lineTo(x1, height - 18);
      c.stroke();
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

  function density({ app, c, x, places, toAxis, win }, i0, i1) {
    const s = app.store,
      width = x.right - x.left,
      bins = new Map();
    const n = s.cols.n.raw,
      count = Math.max(1, Math.round(width / 3));
    for (const node of places.keys()) bins.set(node, new Uint32Array(count));
    for (let i = i0; i <= i1; i++) {
      const row = bins.get(n[i - s.base]);
      if (row)
        row[Math.min(count - 1, Math.max(0, Math.floor(((toAxis(i) - win.low) / (win.high - win.low)) * count)))] +=
          1;
    }
    for (const [node, row] of bins) {
      const y = places.get(node),
        most = row.reduce((a, b) => Math.max(a, b), 1);
      c.fillStyle = colour('arrow');
      row.forEach((v, at) => {
        if (v) c.fillRect(x.left + (at / count) * width, y - 4 - (v / most) * 12, 2, (v / most) * 12);
      });
    }
  }

  /** A moment, as exactly as the distance between ticks asks for. */
  function tick(v, step) {
    const [unit, name] = Math.abs(v) >= 1e9 && step >= 1e6 ? [1e9, 's'] : step >= 1e3 ? [1e6, 'ms'] : [1e3, 'µs'];
    return (v / unit).toFixed(Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9))) + ' ' + name;
  }

  function ticks({ c, x, win, axis, height }) {
    const span = win.high - win.low,
      rough = span / Math.max(2, (x.right - x.left) / 110);
    const power = 10 ** Math.floor(Math.log10(rough)),
      step = [1, 2, 5, 10].map(m => m * power).find(m => m >= rough);
    c.font = '11px system-ui, sans-serif';
    c.fillStyle = colour('dim');
    c.strokeStyle = colour('line');
    c.lineWidth = 1;
    for (let v = Math.ceil(win.low / step) * step; v <= win.high; v += step) {
      const px = Math.round(x(v)) + 0.5;
      c.beginPath();
      c.moveTo(px, 0);
      c.lineTo(px, height - 16);
      c.stroke();
      c.fillText(axis === 'time' ? tick(v, step) : '#' + Math.round(v), px + 3, height - 4);
    }
  }

  return { sized, drawBands, drawCalls, drawEvents, density, ticks };
})();
