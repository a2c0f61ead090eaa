// The page as a whole: one store, one place in it, and panels that show that place.
//
// Owns the selection, what is drawn again when, and how the parts are put together. Must not know how a panel
// draws. VIEW §3.4, §3.7.
VR.app = (() => {
  const { $, h, show, put, time, grouped, bus } = VR.base;
  const events = bus();
  const PANELS = [
    ['p-diagram', 'Space–time'],
    ['p-inspector', 'Inspector'],
    ['p-events', 'Events'],
    ['p-log', 'Log'],
    ['p-ring', 'Replicas'],
    ['p-table', 'Disagreement'],
    ['p-clients', 'Clients'],
    ['p-metrics', 'Rates'],
  ];
  const boot = (() => {
    try {
      return JSON.parse($('boot').textContent);
    } catch {
      return { mode: 'empty' };
    }
  })();

  const app = {
    store: new VR.trace.Store(),
    reducer: null,
    sel: 0,
    state: VR.reduce.fresh([]),
    chosen: null,
    bookmarks: new Set(),
    causal: null,
    evidence: new Set(),
    concerned: new Set(),
    concernedOps: new Set(),
    filter: { shows: () => true, isAll: true, wrong: [] },
    groups: {},
    filterText: '',
    playing: false,
    speed: 0.1,
    isLive: boot.mode === 'live',
    isLab: boot.mode === 'lab',
    following: boot.mode === 'live',
    live: null,
    lab: null,
    atViolation: false,
    playClock: null,
    on: events.on,
    isShown: i => app.filter.isAll || app.filter.shows(i),
    get clock() {
      return app.isLive && app.following && app.live
        ? app.live.now()
        : app.playClock !== null
          ? app.playClock
          : app.store.count
            ? app.store.t(app.sel)
            : 0;
    },
    get quorum() {
      const c = app.store.meta && app.store.meta.config;
      return (c && c.quorum) || Math.floor(app.state.nodes.length / 2) + 1;
    },
  };
  app.reducer = new VR.reduce.Reducer(app.store);

  // ---- the one place

  let pending = new Set(),
    frame = 0,
    causalClocks = null;

  /** Draws what changed, once a frame; nothing while nobody looks. */
  app.redraw = what => {
    pending.add(what || 'all');
    if (!frame && !document.hidden) frame = requestAnimationFrame(paint);
  };

  function paint() {
    frame = 0;
    const what = pending;
    pending = new Set();
    if (!app.store.started || app.store.count === 0) {
      if (app.store.started) {
        app.state = app.reducer.now || app.state;
        panels.forEach(p => p());
      }
      return;
    }
    if (what.has('all')) {
      app.state = app.reducer.seek(app.sel);
      panels.forEach(p => p());
      return;
    }
    if (what.has('diagram')) {
      diagram.draw();
      overview.draw();
    }
    if (what.has('log')) log.draw();
    if (what.has('events')) list.draw();
  }

  app.go = (i, { stay = false } = {}) => {
    const s = app.store;
    if (s.count === 0) return;
    app.sel = Math.max(app.reducer.earliest, Math.min(s.last, Math.round(i)));
    app.following = app.isLive && app.sel === s.last && app.following;
    app.atViolation = s.kind(app.sel) === 'viol';
    app.state = app.reducer.seek(app.sel);
    concern();
    if (app.causal) app.causal = past(app.sel);
    if (!stay) list.follow();
    else requestAnimationFrame(() => list.follow());
    app.remember();
    app.redraw();
  };

  /** Rings what the selected violation is about. */
  function concern() {
    app.concerned = new Set();
    app.concernedOps = new Set();
    app.evidence = new Set();
    const s = app.store;
    if (!app.atViolation) return;
    const e = s.event(app.sel);
    for (const n of e.nodes || []) app.concerned.add(n);
    for (const op of e.ops || []) app.concernedOps.add(op);
    for (const i of e.ev || []) if (s.has(i)) app.evidence.add(i);
    const { received, sent } = verdict.culprit(app.sel);
    for (const i of [received, sent]) if (i !== null) app.evidence.add(i);
  }

  app.choose = name => {
    app.chosen = app.chosen === name ? null : name;
    if (app.lab) app.lab.draw();
    app.remember();
    app.redraw();
  };

  app.clocks = () => {
    if (!causalClocks || causalClocks.count !== app.store.count || causalClocks.base !== app.store.base)
      causalClocks = new VR.filter.Clocks(app.store);
    return causalClocks;
  };
  const past = i => {
    const c = app.clocks();
    return x => c.isPast(x, i);
  };
  app.toggleCausal = () => {
    app.causal = app.causal ? null : past(app.sel);
    events.say('causal');
    app.redraw();
  };

  app.setFilter = async text => {
    app.filterText = text;
    if ($('filter').value !== text) $('filter').value = text;
    app.filter = VR.filter.compile(text, app.groups, app.store, app.clocks);
    $('filter').setAttribute('aria-invalid', app.filter.wrong.length ? 'true' : 'false');
    await list.filter();
    if (app.filter.wrong.length) put($('hidden-count'), app.filter.wrong.join('; '));
    list.follow();
    app.remember();
    app.redraw();
  };

  function chips() {
    show(
      $('chips'),
      Object.keys(VR.filter.GROUPS).map(name =>
        h(
          'button',
          {
            'aria-pressed': app.groups[name] === false ? 'false' : 'true',
            title: VR.filter.GROUPS[name].join(', '),
            onclick: () => {
              app.groups[name] = app.groups[name] === false;
              chips();
              app.setFilter(app.filterText);
            },
          },
          name,
        ),
      ),
    );
  }

  // ---- sources

  app.reset = () => {
    app.store = new VR.trace.Store();
    app.reducer = new VR.reduce.Reducer(app.store);
    app.sel = 0;
    app.causal = null;
    causalClocks = null;
    stop();
  };

  /** A whole trace is there, or the beginning of a live one. */
  app.opened = () => {
    const s = app.store,
      end = s.end,
      mode = app.isLive ? 'LIVE' : app.isLab ? 'LAB' : 'TRACE';
    document.body.classList.remove('starting', 'bare');
    $('empty').hidden = true;
    put($('loading'), '');
    const seed = s.meta && s.meta.seed;
    const verdictWord = s.violations.length
      ? '✗ ' + s.event(s.violations[0]).inv
      : end
        ? { pass: '✓ all held', fail: '✗ failed', crash: '✗ panicked' }[end.result] || end.result
        : '';
    put(
      $('title'),
      app.isLab
        ? `${s.members.length} replicas${seed ? `, seed ${seed}` : ''}`
        : seed
          ? `seed ${seed}`
          : boot.name || 'vr view',
    );
    put($('mode'), mode + (app.isLive ? '' : ` · ${grouped(s.count)} events · ${time(s.t(s.last) || 0)}`));
    put($('result'), verdictWord);
    $('result').className = 'pill ' + (s.violations.length ? 'bad' : verdictWord ? 'good' : '');
    document.title = [app.isLive ? 'live' : seed ? `seed ${seed}` : mode.toLowerCase(), verdictWord, 'vr view']
      .filter(Boolean)
      .join(' · ');
    $('b-viol').hidden = s.violations.length === 0;
    app.banner();
    chips();
    app.setFilter(app.filterText);
    const at = app.isLive ? s.last : address.recall();
    if (s.count) {
      app.go(at !== null ? at : s.violations.length ? s.violations[0] : app.isLab ? s.last : s.base);
      diagram.around(app.sel, 140);
    }
    verdict.draw();
    sync();
    app.redraw();
  };

  /** While a tour tells its story, what is found at its end waits. */
  app.setTelling = telling => {
    app.telling = telling;
    verdict.draw();
  };

  /** Events came at the end. */
  app.grew = () => {
    const s = app.store,
      first = s.count > 0 && app.sel < app.reducer.earliest;
    list.extend();
    if (!$('b-viol').hidden !== s.violations.length > 0) {
      $('b-viol').hidden = s.violations.length === 0;
      verdict.draw();
    }
    if (app.isLab) put($('mode'), `LAB · ${grouped(s.count)} events · ${time(s.t(s.last))}`);
    if (app.following || app.isLab) app.go(s.last);
    else if (first) app.go(app.reducer.earliest);
    $('slider').max = String(s.last);
    app.redraw();
  };

  app.banner = () => {
    const s = app.store,
      text =
        s.banner ||
        boot.banner ||
        (s.base > 0 && !app.isLive
          ? `This page holds the newest part of the trace: it begins at event #${s.base}.`
          : '');
    $('banner').hidden = !text;
    put($('banner'), text || '');
  };

  // ---- panels

  const diagram = VR.diagram.make(app),
    ring = VR.ring.make(app),
    log = VR.log.make(app),
    tables = VR.tables.make(app),
    list = VR.events.make(app),
    verdict = VR.verdict.make(app),
    overview = VR.overview.make(app, diagram),
    address = VR.address.make(app),
    steps = VR.steps.make(app, list),
    { open, drop, exports } = VR.sources.make(app, boot);
  const { step, violation, play, stop, sync, bookmark } = steps,
    { theme, remember } = address,
    { keys, help } = VR.keys.make(app, { play, step, stop, violation, bookmark, theme });
  app.remember = remember;
  app.tables = tables;
  app.diagram = diagram;
  app.list = list;
  let lastTable = 0;
  const transport = () => {
    const s = app.store,
      e = s.count ? app.sel : 0;
    $('slider').min = String(app.reducer.earliest);
    $('slider').max = String(s.last);
    if (document.activeElement !== $('slider') || Number($('slider').value) !== e) $('slider').value = String(e);
    $('slider').setAttribute('aria-valuetext', s.count ? `event ${e} at ${time(s.t(e))}` : 'no event yet');
    put(
      $('where'),
      s.count
        ? `#${e} of ${s.last} · ${time(s.t(e))}` +
            (app.isLive ? (app.following ? ' · following' : ' · paused; Space follows again') : '')
        : 'waiting for the first event',
    );
    put($('b-mark'), app.bookmarks.has(e) ? '★' : '☆');
    sync();
  };
  const panels = [
    transport,
    tables.drawNow,
    diagram.draw,
    overview.draw,
    ring.draw,
    log.draw,
    tables.drawTable,
    list.draw,
    () => {
      // Live, what nobody can read that fast is drawn twice a second.
      const now = performance.now();
      if ((app.following || app.playing) && now - lastTable < 400) return;
      lastTable = now;
      tables.drawClients();
      tables.drawRates();
      list.drawInspector();
    },
  ];

  function tabs() {
    const pick = id => {
      for (const [other] of PANELS) {
        $(other).classList.toggle('shown', other === id);
      }
      for (const b of $('tabs').children) b.setAttribute('aria-pressed', b.dataset.panel === id ? 'true' : 'false');
      if (id === 'p-events') list.follow();
      app.redraw();
    };
    show(
      $('tabs'),
      PANELS.map(([id, name]) => h('button', { data: { panel: id }, onclick: () => pick(id) }, name)),
    );
    pick('p-diagram');
  }

  function wire() {
    const click = (id, f) => $(id).addEventListener('click', f);
    click('b-first', () => {
      stop();
      app.go(0);
    });
    click('b-last', () => {
      stop();
      app.following = app.isLive;
      app.go(Infinity);
    });
    click('b-back', () => step(-1));
    click('b-on', () => step(1));
    click('b-msg-back', () => step(-1, 'message'));
    click('b-msg-on', () => step(1, 'message'));
    click('b-view-back', () => step(-1, 'view'));
    click('b-view-on', () => step(1, 'view'));
    click('b-play', play);
    click('b-viol', violation);
    click('b-mark', bookmark);
    click('theme', theme);
    click('help-button', help);
    $('slider').addEventListener('input', e => {
      stop();
      app.go(Number(e.target.value));
    });
    const pace = () => {
      app.speed = 10 ** Number($('speed').value);
      put($('speed-said'), `${app.speed >= 1 ? Math.round(app.speed * 10) / 10 : app.speed.toPrecision(2)}×`);
    };
    $('speed').addEventListener('input', pace);
    pace();
    let typing = 0;
    $('filter').addEventListener('input', e => {
      clearTimeout(typing);
      typing = setTimeout(() => app.setFilter(e.target.value), 150);
    });
    addEventListener('keydown', keys);
    addEventListener('resize', () => app.redraw());
    addEventListener('hashchange', () => {
      const i = address.recall();
      if (i !== null && i !== app.sel) app.go(i);
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) {
        if (app.following && app.store.count) app.go(app.store.last);
        app.redraw();
      }
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
      address.dress(document.documentElement.dataset.choice || 'auto'),
    );
    setInterval(() => {
      if (app.isLive && app.following) app.redraw();
    }, 500);
    drop();
    tabs();
    exports();
    chips();
  }

  async function start() {
    let choice = 'auto';
    try {
      choice = localStorage.getItem('vr-theme') || 'auto';
    } catch {
      /* none */
    }
    address.dress(choice);
    wire();
    if (boot.mode === 'file') await open(VR.trace.piecesOfText($('trace').textContent), 0, boot.name);
    else if (boot.mode === 'trace')
      await open(VR.trace.piecesOfStream((await fetch('/api/v1/trace')).body), 0, boot.name);
    else if (boot.mode === 'live') app.live = VR.live.make(app);
    else if (boot.mode === 'lab') app.lab = VR.lab.make(app);
    else {
      document.body.classList.remove('starting');
      document.body.classList.add('bare');
      $('empty').hidden = false;
    }
  }

  start().catch(error => {
    $('banner').hidden = false;
    put($('banner'), `The page cannot start: ${error.message}`);
  });

  /** For the checks: what the page knows. */
  app.debug = {
    stateHash: i => VR.reduce.hash(i === undefined ? app.state : app.reducer.seek(i)),
    canonical: () => VR.reduce.canonical(app.state),
    count: () => app.store.count,
    shown: () => list.length,
    hidden: () => list.hidden,
    forwardHash: i => {
      const s = VR.reduce.fresh(app.store.members.map(n => app.store.names[n]));
      for (let x = app.store.base; x <= i; x++) VR.reduce.apply(s, app.store.event(x));
      return VR.reduce.hash(s);
    },
  };
  return app;
})();
globalThis.VR = VR;
