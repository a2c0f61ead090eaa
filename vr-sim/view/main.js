// The page as a whole: one store, one place in it, and panels that show that place.
//
// Owns the selection, playing, keys, the address, opening of traces and the theme. Must not know how a panel draws. VIEW
// §3.4, §3.7.
VR.app = (() => {
  const { $, h, show, put, time, grouped, bus } = VR.base;
  const events = bus();
  const PANELS = [['p-diagram', 'Space–time'], ['p-inspector', 'Inspector'], ['p-events', 'Events'], ['p-log', 'Log'], ['p-ring', 'Replicas'], ['p-table', 'Disagreement'], ['p-clients', 'Clients'], ['p-metrics', 'Rates']];
  const boot = (() => { try { return JSON.parse($('boot').textContent); } catch { return { mode: 'empty' }; } })();

  const app = {
    store: new VR.trace.Store(), reducer: null, sel: 0, state: VR.reduce.fresh([]), chosen: null, bookmarks: new Set(), causal: null, evidence: new Set(), concerned: new Set(),
    concernedOps: new Set(), filter: { shows: () => true, isAll: true, wrong: [] }, groups: {}, filterText: '', playing: false, speed: 0.1, isLive: boot.mode === 'live', isLab: boot.mode === 'lab',
    following: boot.mode === 'live', live: null, lab: null, atViolation: false,
    on: events.on, isShown: i => app.filter.isAll || app.filter.shows(i),
    get clock() { return app.isLive && app.following && app.live ? app.live.now() : playClock !== null ? playClock : app.store.count ? app.store.t(app.sel) : 0; },
    get quorum() { const c = app.store.meta && app.store.meta.config; return (c && c.quorum) || Math.floor(app.state.nodes.length / 2) + 1; },
  };
  app.reducer = new VR.reduce.Reducer(app.store);

  // ---- the one place

  let pending = new Set(), frame = 0, hashTimer = 0, causalClocks = null, playClock = null;

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
      if (app.store.started) { app.state = app.reducer.now || app.state; panels.forEach(p => p()); }
      return;
    }
    if (what.has('all')) {
      app.state = app.reducer.seek(app.sel);
      panels.forEach(p => p());
      return;
    }
    if (what.has('diagram')) { diagram.draw(); diagram.drawStrip(); }
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
    remember();
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
    remember();
    app.redraw();
  };

  app.clocks = () => {
    if (!causalClocks || causalClocks.count !== app.store.count || causalClocks.base !== app.store.base) causalClocks = new VR.filter.Clocks(app.store);
    return causalClocks;
  };
  const past = i => { const c = app.clocks(); return x => c.isPast(x, i); };
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
    remember();
    app.redraw();
  };

  function chips() {
    show($('chips'), Object.keys(VR.filter.GROUPS).map(name => h('button', { 'aria-pressed': app.groups[name] === false ? 'false' : 'true', title: VR.filter.GROUPS[name].join(', '), onclick: () => {
      app.groups[name] = app.groups[name] === false;
      chips();
      app.setFilter(app.filterText);
    } }, name)));
  }

  // ---- steps

  const is = {
    event: () => true, message: i => app.store.kind(i) === 'send' || app.store.kind(i) === 'recv', view: i => app.store.kind(i) === 'set' && app.store.view(i) >= 0,
    node: i => app.store.names[app.store.node(i)] === (app.chosen || app.store.names[app.store.node(app.sel)]),
  };
  function step(by, kind = 'event') {
    stop();
    const found = list.next(app.sel, by, is[kind]);
    if (found !== null) { app.go(found); return; }
    if (by > 0 && app.lab && app.sel === app.store.last && kind === 'event') app.lab.step();
  }
  function violation() {
    const s = app.store, all = s.violations;
    if (all.length) app.go(all.find(i => i > app.sel) || all[0]);
  }

  function play() {
    if (app.lab && app.sel >= app.store.last) { app.lab.toggle(); return sync(); }
    if (app.isLive) {
      app.following = !app.following;
      if (app.following) app.go(app.store.last);
      app.following = app.following || false;
      if (!app.following) VR.base.announce('paused');
      else { app.following = true; }
      return sync();
    }
    if (app.playing) return stop();
    if (app.sel >= app.store.last) app.go(app.reducer.earliest);
    app.playing = true;
    let t = app.store.t(app.sel), was = performance.now();
    const run = now => {
      if (!app.playing) return;
      t += (now - was) * 1e6 * app.speed;
      was = now;
      const to = app.store.before(t), on = Math.max(app.sel, to);
      playClock = t;
      if (on >= app.store.last) { playClock = null; app.go(app.store.last); return stop(); }
      if (on !== app.sel) app.go(on); else app.redraw();
      // Nothing happens for long: the time until the next event is not waited for.
      const gap = app.store.t(on + 1) - t;
      if (gap > 1.5e9 * app.speed) t = app.store.t(on + 1) - 0.3e9 * app.speed;
      requestAnimationFrame(run);
    };
    requestAnimationFrame(now => { was = now; run(now); });
    sync();
  }
  function stop() {
    app.playing = false;
    playClock = null;
    sync();
  }

  function sync() {
    const going = app.playing || (app.isLive && app.following) || (app.lab && app.lab.running);
    put($('b-play'), going ? '❚❚' : '▶');
    $('b-play').setAttribute('aria-label', going ? 'Pause' : 'Play');
  }

  function bookmark() {
    if (app.bookmarks.has(app.sel)) app.bookmarks.delete(app.sel); else app.bookmarks.add(app.sel);
    remember();
    app.redraw();
  }

  async function goTo() {
    const answer = h('input', { id: 'goto', 'aria-label': 'Event number, or a time with its unit', placeholder: '8139 or 91.2s or 350ms' });
    const find = () => {
      const m = /^#?(\d+)$/.exec(answer.value.trim()), t = /^([\d.]+)\s*(ns|us|µs|ms|s)$/.exec(answer.value.trim());
      if (m) app.go(Number(m[1]));
      else if (t) app.go(app.store.before(Number(t[1]) * { ns: 1, us: 1e3, 'µs': 1e3, ms: 1e6, s: 1e9 }[t[2]]));
      else { answer.setAttribute('aria-invalid', 'true'); return; }
      $('ask').close();
    };
    answer.addEventListener('keydown', e => { if (e.key === 'Enter') find(); });
    show($('ask'), h('h2', { id: 'h-ask' }, 'Go to'), h('p', null, answer), h('div', { class: 'tools' }, h('button', { onclick: find }, 'Go'), h('button', { onclick: () => $('ask').close() }, 'Leave it')));
    $('ask').showModal();
    answer.focus();
  }

  // ---- keys

  const KEYS = [
    ['Space', 'play or pause', play, ' '], ['←', 'previous event', () => step(-1), 'ArrowLeft'], ['→', 'next event', () => step(1), 'ArrowRight'],
    ['Shift ←', 'previous event of the node', () => step(-1, 'node'), 'Shift+ArrowLeft'], ['Shift →', 'next event of the node', () => step(1, 'node'), 'Shift+ArrowRight'],
    [',', 'previous message', () => step(-1, 'message'), ','], ['.', 'next message', () => step(1, 'message'), '.'], ['[', 'previous view change', () => step(-1, 'view'), '['], [']', 'next view change', () => step(1, 'view'), ']'],
    ['Home', 'to the beginning', () => { stop(); app.go(0); }, 'Home'], ['End', 'to the end', () => { stop(); app.following = app.isLive; app.go(Infinity); }, 'End'], ['v', 'to the violation', violation, 'v'], ['/', 'filter', () => $('filter').focus(), '/'],
    ['c', 'causal past', app.toggleCausal, 'c'], ['g', 'go to an event or a time', goTo, 'g'], ['b', 'bookmark', bookmark, 'b'], ['1 – 9', 'choose a replica', null, null], ['+  −  0', 'zoom, all', null, null],
    ['t', 'theme', theme, 't'], ['?', 'this help', help, '?'], ['Esc', 'close', null, null],
  ];
  function keys(e) {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    const on = e.target;
    if (on instanceof HTMLInputElement && on.type !== 'range' && on.type !== 'checkbox' || on instanceof HTMLTextAreaElement || on instanceof HTMLSelectElement) {
      if (e.key === 'Escape') on.blur();
      return;
    }
    if (document.querySelector('dialog[open]')) return;
    const key = (e.shiftKey && e.key.startsWith('Arrow') ? 'Shift+' : '') + e.key;
    if (e.key === ' ' && (on instanceof HTMLButtonElement || on.tagName === 'SUMMARY')) return;
    if (on.type === 'range' && e.key.startsWith('Arrow')) return;
    const found = KEYS.find(([, , , k]) => k === key);
    if (found && found[2]) { e.preventDefault(); found[2](); return; }
    if (/^[1-9]$/.test(key) && app.store.members[key - 1] !== undefined) app.choose(app.store.names[app.store.members[key - 1]]);
    else if (key === '+' || key === '=') diagram.zoom(0.6);
    else if (key === '-') diagram.zoom(1.6);
    else if (key === '0') diagram.whole();
    else if (app.lab && Object.hasOwn(app.lab.keys, key)) app.lab.keys[key]();
    else return;
    e.preventDefault();
  }

  function help() {
    const key = ([k, what]) => h('p', null, h('kbd', null, k), ' ' + what);
    const lab = [['x r', 'crash, restart the chosen replica'], ['p h', 'isolate it, heal all'], ['i', 'its timer rings'], ['q', 'send the request'], ['f', 'fork from here'], ['n', 'next step of a tour']];
    show($('help'), h('h2', { id: 'h-help' }, 'Keys and words'), h('div', { class: 'cols' }, KEYS.map(key), app.isLab ? [h('h3', null, 'In the lab'), lab.map(key)] : null,
      h('h3', null, 'Messages'), Object.entries(VR.words.CODES).map(([ty, code]) => h('p', null, h('kbd', null, code), ` ${ty}: ${VR.words.MEANING[ty]}`)),
      h('h3', null, 'Replicas'), h('p', null, '★ primary  ○ backup  ◇ view change  ◌ recovering  ✕ down  ▨ silent  ‼ halted  ? unknown. Colours are views: the same view, the same colour.'),
      h('h3', null, 'Filter'), h('p', null, 'type:Prepare,POK  kind:send  node:r1  op:17..20  view>=3  client:c2  dropped  cause-of:#12  effect-of:#12  text:"abc"')),
    h('button', { onclick: () => $('help').close() }, 'Close'));
    $('help').showModal();
  }

  function theme() {
    const root = document.documentElement, dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const next = { auto: dark ? 'light' : 'dark', dark: 'light', light: 'auto' }[root.dataset.choice || 'auto'];
    dress(next);
  }
  function dress(choice) {
    const root = document.documentElement;
    root.dataset.choice = choice;
    root.dataset.theme = choice === 'auto' ? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light') : choice;
    try { localStorage.setItem('vr-theme', choice); } catch { /* a page from a disk may have no storage */ }
    VR.base.forgetColours();
    app.redraw();
  }

  // ---- the address

  function remember() {
    clearTimeout(hashTimer);
    hashTimer = setTimeout(() => {
      const q = new URLSearchParams();
      const token = new URLSearchParams(location.hash.slice(1)).get('token');
      if (token) q.set('token', token);
      if (!app.isLive) q.set('i', String(app.sel));
      if (app.chosen) q.set('n', app.chosen);
      if (app.bookmarks.size) q.set('b', [...app.bookmarks].join(','));
      if (app.filterText) q.set('q', app.filterText);
      history.replaceState(null, '', '#' + q.toString().replace(/%2C/g, ',').replace(/%3A/g, ':'));
    }, 120);
  }
  function recall() {
    const q = new URLSearchParams(location.hash.slice(1)), i = q.get('i');
    if (q.get('n')) app.chosen = q.get('n');
    for (const b of (q.get('b') || '').split(',')) if (/^\d+$/.test(b)) app.bookmarks.add(Number(b));
    if (q.get('q')) app.setFilter(q.get('q'));
    return i !== null && /^\d+$/.test(i) ? Number(i) : null;
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
    const s = app.store, end = s.end, mode = app.isLive ? 'LIVE' : app.isLab ? 'LAB' : 'TRACE';
    document.body.classList.remove('starting', 'bare');
    $('empty').hidden = true;
    put($('loading'), '');
    const seed = s.meta && s.meta.seed;
    const verdictWord = s.violations.length ? '✗ ' + s.event(s.violations[0]).inv : end ? { pass: '✓ all held', fail: '✗ failed', crash: '✗ panicked' }[end.result] || end.result : '';
    put($('title'), seed && !app.isLab ? `seed ${seed}` : boot.name || (app.isLab ? 'a cluster in your hands' : 'vr view'));
    put($('mode'), mode + (app.isLive ? '' : ` · ${grouped(s.count)} events · ${time(s.t(s.last) || 0)}`));
    put($('result'), verdictWord);
    $('result').className = 'pill ' + (s.violations.length ? 'bad' : verdictWord ? 'good' : '');
    document.title = [app.isLive ? 'live' : seed ? `seed ${seed}` : mode.toLowerCase(), verdictWord, 'vr view'].filter(Boolean).join(' · ');
    $('b-viol').hidden = s.violations.length === 0;
    app.banner();
    chips();
    app.setFilter(app.filterText);
    const at = app.isLive ? s.last : recall();
    if (s.count) {
      app.go(at !== null ? at : s.violations.length ? s.violations[0] : app.isLab ? s.last : s.base);
      diagram.around(app.sel, 140);
    }
    verdict.draw();
    sync();
    app.redraw();
  };

  /** Events came at the end. */
  app.grew = () => {
    const s = app.store, first = s.count > 0 && app.sel < app.reducer.earliest;
    list.extend();
    if (!$('b-viol').hidden !== s.violations.length > 0) { $('b-viol').hidden = s.violations.length === 0; verdict.draw(); }
    if (app.isLab) put($('mode'), `LAB · ${grouped(s.count)} events · ${time(s.t(s.last))}`);
    if (first) app.go(app.reducer.earliest);
    if (app.following || app.isLab) { const f = app.following; app.go(s.last); app.following = f; }
    $('slider').max = String(s.last);
    app.redraw();
  };

  app.banner = () => {
    const s = app.store, text = s.banner || boot.banner || (s.base > 0 && !app.isLive ? `This page holds the newest part of the trace: it begins at event #${s.base}.` : '');
    $('banner').hidden = !text;
    put($('banner'), text || '');
  };

  async function open(pieces, size, name) {
    app.isLive = false;
    app.reset();
    if (name) boot.name = name;
    boot.banner = null;
    const said = bytes => put($('loading'), `Reading ${VR.base.safe(name || 'the trace', 80)}: ${grouped(Math.round(bytes / 1e6))} MB${size ? ' of ' + grouped(Math.round(size / 1e6)) : ''}, ${grouped(app.store.count)} events`);
    said(0);
    try {
      await VR.trace.read(app.store, pieces, said, app.reducer);
    } catch (error) {
      if (app.store.count > 1) {
        app.store.banner = `The trace can be read only up to event #${app.store.last}. ${error.message}`;
      } else {
        put($('loading'), '');
        document.body.classList.add('bare');
        document.body.classList.remove('starting');
        $('empty').hidden = false;
        $('banner').hidden = false;
        put($('banner'), `${name ? name + ': ' : ''}${error.message}`);
        return;
      }
    }
    app.opened();
  }
  const openFile = file => open(VR.trace.piecesOf(file), file.size, file.name);

  function drop() {
    addEventListener('dragover', e => { e.preventDefault(); document.body.classList.add('dropping'); });
    addEventListener('dragleave', () => document.body.classList.remove('dropping'));
    addEventListener('drop', e => {
      e.preventDefault();
      document.body.classList.remove('dropping');
      if (e.dataTransfer.files.length) openFile(e.dataTransfer.files[0]);
    });
    $('file').addEventListener('change', e => { if (e.target.files.length) openFile(e.target.files[0]); });
  }

  function exports() {
    const served = ['live', 'trace', 'lab'].includes(boot.mode);
    const save = (name, text) => {
      const a = h('a', { href: URL.createObjectURL(new Blob([text])), download: name });
      a.click();
      setTimeout(() => URL.revokeObjectURL(a.href), 5000);
    };
    const lines = () => { const out = []; for (let i = app.store.base; i <= app.store.last; i++) out.push(app.store.line(i)); return out.join('\n') + '\n'; };
    const text = () => { const out = []; for (let i = app.store.base; i <= app.store.last; i++) { const e = app.store.event(i); out.push(`${VR.base.moment(e.t)} ${e.n || ''} ${VR.words.glyph(e.k)} ${VR.words.sentence(e, app.store)}`); } return out.join('\n') + '\n'; };
    show($('export-list'), h('button', { onclick: () => save('trace.vrt.jsonl', lines()) }, 'Trace (JSON lines)'), h('button', { onclick: () => save('trace.txt', text()) }, 'Sentences (text)'),
      served ? ['shiviz', 'perfetto', 'history'].map(kind => h('a', { class: 'button', href: '/api/v1/export/' + kind, download: kind === 'perfetto' ? 'trace.json' : `${kind}.txt`, onclick: e => {
        if (app.lab) e.currentTarget.setAttribute('href', `/api/v1/export/${kind}?branch=${app.lab.branch}`);
      } }, { shiviz: 'ShiViz', perfetto: 'Perfetto / Chrome', history: 'Client history' }[kind])) : h('p', { class: 'note' }, 'ShiViz, Perfetto: vr-sim replay --export'));
  }

  // ---- panels

  const diagram = VR.diagram.make(app), ring = VR.ring.make(app), log = VR.log.make(app), tables = VR.tables.make(app), list = VR.events.make(app), verdict = VR.verdict.make(app);
  app.tables = tables;
  app.diagram = diagram;
  app.list = list;
  let lastTable = 0;
  const transport = () => {
    const s = app.store, e = s.count ? app.sel : 0;
    $('slider').min = String(app.reducer.earliest);
    $('slider').max = String(s.last);
    if (document.activeElement !== $('slider') || Number($('slider').value) !== e) $('slider').value = String(e);
    $('slider').setAttribute('aria-valuetext', s.count ? `event ${e} at ${time(s.t(e))}` : 'no event yet');
    put($('where'), s.count ? `#${e} of ${s.last} · ${time(s.t(e))}` + (app.isLive ? (app.following ? ' · following' : ' · paused; Space follows again') : '') : 'waiting for the first event');
    put($('b-mark'), app.bookmarks.has(e) ? '★' : '☆');
    sync();
  };
  const panels = [transport, tables.drawNow, diagram.draw, diagram.drawStrip, ring.draw, log.draw, tables.drawTable, list.draw, () => {
    // While a live cluster runs by, what nobody can read that fast is drawn twice a second.
    const now = performance.now();
    if ((app.following || app.playing) && now - lastTable < 400) return;
    lastTable = now;
    tables.drawClients();
    tables.drawRates();
    list.drawInspector();
  }];

  function tabs() {
    const pick = id => {
      for (const [other] of PANELS) { $(other).classList.toggle('shown', other === id); }
      for (const b of $('tabs').children) b.setAttribute('aria-pressed', b.dataset.panel === id ? 'true' : 'false');
      app.redraw();
    };
    show($('tabs'), PANELS.map(([id, name]) => h('button', { data: { panel: id }, onclick: () => pick(id) }, name)));
    pick('p-diagram');
  }

  function wire() {
    const click = (id, f) => $(id).addEventListener('click', f);
    click('b-first', () => { stop(); app.go(0); });
    click('b-last', () => { stop(); app.following = app.isLive; app.go(Infinity); });
    click('b-back', () => step(-1)); click('b-on', () => step(1)); click('b-msg-back', () => step(-1, 'message')); click('b-msg-on', () => step(1, 'message'));
    click('b-view-back', () => step(-1, 'view')); click('b-view-on', () => step(1, 'view')); click('b-play', play); click('b-viol', violation); click('b-mark', bookmark); click('theme', theme); click('help-button', help);
    $('slider').addEventListener('input', e => { stop(); app.go(Number(e.target.value)); });
    const pace = () => { app.speed = 10 ** Number($('speed').value); put($('speed-said'), `${app.speed >= 1 ? Math.round(app.speed * 10) / 10 : app.speed.toPrecision(2)}×`); };
    $('speed').addEventListener('input', pace);
    pace();
    let typing = 0;
    $('filter').addEventListener('input', e => { clearTimeout(typing); typing = setTimeout(() => app.setFilter(e.target.value), 150); });
    addEventListener('keydown', keys);
    addEventListener('resize', () => app.redraw());
    addEventListener('hashchange', () => { const i = recall(); if (i !== null && i !== app.sel) app.go(i); });
    document.addEventListener('visibilitychange', () => { if (!document.hidden) { if (app.following && app.store.count) app.go(app.store.last); app.redraw(); } });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => dress(document.documentElement.dataset.choice || 'auto'));
    setInterval(() => { if (app.isLive && app.following) app.redraw(); }, 500);
    drop();
    tabs();
    exports();
    chips();
  }

  async function start() {
    let choice = 'auto';
    try { choice = localStorage.getItem('vr-theme') || 'auto'; } catch { /* none */ }
    dress(choice);
    wire();
    if (boot.mode === 'file') await open(VR.trace.piecesOfText($('trace').textContent), 0, boot.name);
    else if (boot.mode === 'trace') await open(VR.trace.piecesOfStream((await fetch('/api/v1/trace')).body), 0, boot.name);
    else if (boot.mode === 'live') app.live = VR.live.make(app);
    else if (boot.mode === 'lab') app.lab = VR.lab.make(app);
    else { document.body.classList.remove('starting'); document.body.classList.add('bare'); $('empty').hidden = false; }
  }

  start().catch(error => { $('banner').hidden = false; put($('banner'), `The page cannot start: ${error.message}`); });

  /** For the checks: what the page knows. */
  app.debug = {
    stateHash: i => VR.reduce.hash(i === undefined ? app.state : app.reducer.seek(i)), canonical: () => VR.reduce.canonical(app.state), count: () => app.store.count, shown: () => list.length, hidden: () => list.hidden,
    forwardHash: i => { const s = VR.reduce.fresh(app.store.members.map(n => app.store.names[n])); for (let x = app.store.base; x <= i; x++) VR.reduce.apply(s, app.store.event(x)); return VR.reduce.hash(s); },
  };
  return app;
})();
globalThis.VR = VR;
