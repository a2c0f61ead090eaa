// The overview strip: the whole trace at a glance, and a way to go anywhere in it.
//
// Owns the density of events, marks of what was rare, and ranges drawn by hand. Must not know how the
// diagram draws. VIEW P9.
VR.overview = (() => {
  const { $, colour } = VR.base;
  const { sized } = VR.strokes;

  function make(app, diagram) {
    const strip = $('overview');
    let bars = null;

    function density(w) {
      const s = app.store,
        key = `${s.base}.${s.count}.${w}`;
      if (bars && bars.key === key) return bars;
      const row = new Uint32Array(w),
        [first, last] = [s.t(s.base), s.t(s.last)],
        span = Math.max(1, last - first),
        t = s.cols.t.raw;
      for (let at = 0; at < s.count; at++) row[Math.min(w - 1, Math.floor(((t[at] - first) / span) * w))] += 1;
      return (bars = { key, row, most: row.reduce((a, b) => Math.max(a, b), 1), first, span });
    }

    const MARKS = {
      view: ['▲', 'accent'],
      crash: ['✕', 'bad'],
      viol: ['⚑', 'bad'],
      part: ['⊘', 'warn'],
      do: ['☞', 'dim'],
    };

    function drawStrip() {
      const s = app.store;
      if (!s.started || strip.offsetParent === null) return;
      const { c, w, h: height } = sized(strip);
      const { row, most, first, span } = density(w),
        x = t => ((t - first) / span) * w;
      c.fillStyle = colour('arrow-dim');
      row.forEach((v, at) => {
        if (v) {
          const tall = 2 + (Math.log1p(v) / Math.log1p(most)) * (height - 20);
          c.fillRect(at, height - tall, 1, tall);
        }
      });
      const win = diagram.window;
      const a = win.axis === 'time' ? x(win.low) : x(s.t(Math.max(s.base, Math.min(s.last, Math.round(win.low)))));
      const b = win.axis === 'time' ? x(win.high) : x(s.t(Math.max(s.base, Math.min(s.last, Math.round(win.high)))));
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
      const t = e => {
        const { first, span } = density(strip.clientWidth);
        return first + (e.offsetX / strip.clientWidth) * span;
      };
      strip.addEventListener('pointerdown', e => {
        from = e.offsetX;
        strip.setPointerCapture(e.pointerId);
      });
      strip.addEventListener('pointerup', e => {
        if (from === null) return;
        if (Math.abs(e.offsetX - from) > 5 && diagram.window.axis === 'time') {
          const a = t({ offsetX: Math.min(from, e.offsetX) }),
            b = t({ offsetX: Math.max(from, e.offsetX) });
          diagram.show(a, b);
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
        app.go(app.store.before(app.store.t(app.sel) + (step * density(strip.clientWidth).span) / 100));
      });
    }

    stripPointer();
    return { draw: drawStrip };
  }

  return { make };
})();
