// The space–time diagram: a canvas that draws only what is in its window.
//
// Owns lanes, the window in time and what lies under the pointer. Must not know how a state comes about, nor strokes.
// VIEW P4, decision 5.
VR.diagram = (() => {
  const { $, h, colour, put, time } = VR.base;
  const { sized, drawBands, drawCalls, drawEvents, density, ticks } = VR.strokes;
  const ARROWS_MAX = 5000; // events in the window up to which each message is drawn
  const LANE_MIN = 34;

  function make(app) {
    const canvas = $('diagram');
    const win = { low: 0, high: 1 }; // in the units of the axis
    let axis = 'time',
      clients = false,
      drawn = [],
      places = new Map(),
      followed = -1;

    const toAxis = i => (axis === 'time' ? app.store.t(i) : i);
    const ends = () => {
      const s = app.store;
      return axis === 'time' ? [s.t(s.base), s.t(s.last)] : [s.base, s.last];
    };

    function clamp() {
      const [first, last] = ends(),
        // What still grows is shown in a window that it can grow into.
        short = app.isLab || app.isLive ? 5e6 : 1000,
        whole = Math.max(last - first, axis === 'time' ? short : 4);
      const least = axis === 'time' ? 1000 : 4,
        span = Math.min(Math.max(win.high - win.low, least), whole * 1.06);
      const margin = span * 0.03;
      let low = Math.max(win.low, first - margin);
      if (low + span > last + margin) low = last + margin - span;
      win.low = low;
      win.high = low + span;
    }

    /** A window around an event that holds about so many. */
    function around(i, events = 90) {
      const s = app.store,
        a = Math.max(s.base, i - Math.round(events * 0.7)),
        b = Math.min(s.last, i + Math.round(events * 0.3));
      if (axis === 'time') {
        const span = Math.max(s.t(b) - s.t(a), app.isLab || app.isLive ? 5e6 : 20000);
        win.low = s.t(i) - span * 0.72;
        win.high = win.low + span * 1.05;
      } else {
        win.low = i - events * 0.7;
        win.high = i + events * 0.3;
      }
      clamp();
    }

    function follow() {
      if (axis === 'time' && (app.isLab || app.isLive) && win.high - win.low < 5e6 && app.sel === app.store.last) {
        around(app.sel, 140);
      }
      const at = toAxis(app.sel),
        span = win.high - win.low;
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
      const s = app.store,
        list = s.members.map(n => [n, s.names[n]]);
      if (clients) for (const c of s.clients.slice(0, 12)) list.push([s.numbers.get(c), s.alias(c)]);
      return list;
    }

    function bounds() {
      const s = app.store;
      if (axis === 'order') return [Math.max(s.base, Math.floor(win.low)), Math.min(s.last, Math.ceil(win.high))];
      return [s.before(win.low), s.before(win.high)];
    }

    function draw() {
      const s = app.store;
      if (!s.started || canvas.offsetParent === null) return;
      follow();
      const list = lanes();
      canvas.style.height = list.length > 7 ? list.length * 36 + 60 + 'px' : '';
      const { c, w, h: height } = sized(canvas);
      const gap = Math.max(LANE_MIN, (height - 44) / Math.max(1, list.length));
      const x = v => 64 + ((v - win.low) / (win.high - win.low)) * (w - 72);
      x.left = 64;
      x.right = w - 8;
      places = new Map();
      list.forEach(([node], at) => places.set(node, 28 + gap * at + Math.min(gap, 60) * 0.25));
      drawn = [];
      const v = { app, c, x, places, drawn, toAxis, win, axis, height };
      ticks(v);
      const [i0, i1] = bounds();
      const many = i1 - i0 > ARROWS_MAX;
      c.save();
      c.beginPath();
      c.rect(x.left, 0, w - x.left, height);
      c.clip();
      for (const y of places.values()) {
        c.strokeStyle = colour('line');
        c.lineWidth = 1;
        c.beginPath();
        c.moveTo(x.left, y);
        c.lineTo(x.right, y);
        c.stroke();
      }
      drawBands(v, i0, i1);
      if (clients && !many) drawCalls(v, i0, i1);
      if (many) density(v, i0, i1);
      else drawEvents(v, i0, i1);
      const at = x(toAxis(app.sel));
      c.strokeStyle = colour('accent');
      c.lineWidth = 1.5;
      c.setLineDash([4, 3]);
      c.beginPath();
      c.moveTo(at, 0);
      c.lineTo(at, height - 16);
      c.stroke();
      c.setLineDash([]);
      const y = places.get(s.node(app.sel));
      if (y !== undefined) {
        c.lineWidth = 2.5;
        c.beginPath();
        c.arc(at, y, 8, 0, 7);
        c.stroke();
      }
      c.restore();
      c.font = 'bold 13px system-ui, sans-serif';
      for (const [node, name] of list) {
        const st = app.state.nodes[app.state.at.get(s.names[node])];
        c.fillStyle = colour('ink');
        c.fillText((st ? VR.words.role(st)[0] + ' ' : '') + name, 8, places.get(node) + 5);
        if (app.concerned.has(s.names[node])) {
          c.strokeStyle = colour('bad');
          c.lineWidth = 2;
          c.beginPath();
          c.rect(3, places.get(node) - 11, 56, 22);
          c.stroke();
        }
      }
      put(
        $('diagram-note'),
        `${time(axis === 'time' ? win.high - win.low : s.t(i1) - s.t(i0))} shown, ${i1 - i0 + 1} events` +
          (many ? ': too many to draw each; zoom in (+)' : past()),
      );
    }

    const past = () => (app.causal ? `; solid: the causal past of #${app.sel}` : '');

    function pick(px, py) {
      let best = null,
        least = 14;
      for (const [ax, ay, i, bx, by] of drawn) {
        let d = Math.hypot(ax - px, ay - py);
        if (bx !== undefined && d > 8) {
          const dx = ax - bx,
            dy = ay - by,
            l = dx * dx + dy * dy || 1;
          const f = Math.max(0, Math.min(1, ((px - bx) * dx + (py - by) * dy) / l));
          d = Math.min(d, Math.hypot(bx + f * dx - px, by + f * dy - py) + 2);
        }
        if (d < least) {
          least = d;
          best = i;
        }
      }
      return best;
    }

    function pointer() {
      let from = null;
      canvas.addEventListener('pointerdown', e => {
        from = { x: e.offsetX, low: win.low, high: win.high, moved: false };
        canvas.setPointerCapture(e.pointerId);
      });
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
      canvas.addEventListener(
        'wheel',
        e => {
          if (!e.ctrlKey && !e.shiftKey && e.deltaX === 0) return;
          e.preventDefault();
          if (e.ctrlKey) {
            const f = (e.offsetX - 64) / (canvas.clientWidth - 72);
            zoom(e.deltaY > 0 ? 1.25 : 0.8, win.low + f * (win.high - win.low));
          } else {
            const by = ((win.high - win.low) * (e.deltaX || e.deltaY)) / 1200;
            win.low += by;
            win.high += by;
            clamp();
            app.redraw('diagram');
          }
        },
        { passive: false },
      );
    }

    function setAxis(to) {
      axis = to;
      around(app.sel);
      app.redraw();
    }

    function tools() {
      const press = (button, on) => button.setAttribute('aria-pressed', on ? 'true' : 'false');
      const byTime = h(
        'button',
        {
          id: 'axis-time',
          onclick: () => {
            setAxis('time');
            sync();
          },
        },
        'time',
      );
      const byOrder = h(
        'button',
        {
          id: 'axis-order',
          title: 'One step for every event, so that none lie on each other',
          onclick: () => {
            setAxis('order');
            sync();
          },
        },
        'order',
      );
      const lanesButton = h(
        'button',
        {
          id: 'lanes',
          onclick: () => {
            clients = !clients;
            sync();
            app.redraw('diagram');
          },
        },
        'clients',
      );
      const causal = h(
        'button',
        { id: 'causal', title: 'Show what the selected event depends on (c)', onclick: () => app.toggleCausal() },
        'causal past',
      );
      const sync = () => {
        press(byTime, axis === 'time');
        press(byOrder, axis === 'order');
        press(lanesButton, clients);
        press(causal, !!app.causal);
      };
      const label = text => h('span', { class: 'label' }, text);
      $('diagram-tools').append(
        label('axis'),
        byTime,
        byOrder,
        lanesButton,
        causal,
        h('button', { 'aria-label': 'Zoom in', title: 'Zoom in (+)', onclick: () => zoom(0.6) }, '+'),
        h('button', { 'aria-label': 'Zoom out', title: 'Zoom out (−)', onclick: () => zoom(1.6) }, '−'),
        h('button', { title: 'The whole trace (0)', onclick: () => whole() }, 'all'),
      );
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
    tools();
    return {
      draw,
      zoom,
      around,
      whole,
      setAxis,
      get window() {
        return { ...win, axis };
      },
      /** Shows these moments, or these events. */
      show(low, high) {
        [win.low, win.high] = [low, high];
        clamp();
      },
      pick,
      /** Where an event was drawn, for tests and for the keyboard. */
      placeOf: i => {
        const found = drawn.find(d => d[2] === i);
        return found ? { x: found[0], y: found[1] } : null;
      },
    };
  }

  return { make };
})();
