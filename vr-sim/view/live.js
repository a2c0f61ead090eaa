// The live source: server-sent events of a collector, into the same store and reducer as any trace.
//
// Owns the connection, its cursor, and what is said while there is none. Must not know
// panels. VIEW §5.2, checks 4–6.
VR.live = (() => {
  const { $, h, show } = VR.base;
  const KEEP = 120000; // events that are kept to look back at

  function make(app) {
    const links = new Map();
    let source = null,
      missing = '', // what is said of events that are not there, until a snapshot without any
      cursor = 0,
      arrived = performance.now(),
      batches = 0,
      resumed = 0;

    const isOpen = () => source !== null && source.readyState === 1;
    const lack = text => {
      missing = text;
      app.store.banner = text;
      app.banner();
    };

    function head() {
      const up = [...links.values()].filter(l => l.link === 'up').length,
        all = links.size;
      const open = isOpen();
      show(
        $('links'),
        h(
          'span',
          { class: 'pill ' + (open && up === all ? 'good' : 'bad') },
          open ? `● ${up}/${all} nodes` : '◌ no connection to the collector, trying again',
        ),
        [...links]
          .filter(([, l]) => l.link !== 'up')
          .map(([n, l]) =>
            h(
              'span',
              { class: 'pill bad' },
              `${n} ${l.link === 'down' ? 'is unreachable' : 'is silent'}` +
                (l.heard_ms === null || l.heard_ms === undefined ? '' : ` for ${VR.base.time(l.heard_ms * 1e6)}`),
            ),
          ),
      );
    }

    function snapshot(data) {
      const s = JSON.parse(data),
        members = s.meta.config.members;
      app.reset();
      const { store, reducer } = app;
      store.header(s.meta);
      store.base = store.first = s.next;
      store.started = true;
      reducer.begin(members, s.nodes, s.next);
      cursor = s.next;
      if (missing) store.banner = `${missing} What is shown begins at #${s.next}.`;
      missing = '';
      links.clear();
      for (const n of s.nodes) links.set(n.n, n);
      head();
      app.opened();
    }

    function batch(text) {
      if (!app.store.started) return;
      const store = app.store,
        before = store.next;
      for (const line of text.split('\n')) {
        if (!line) continue;
        const e = JSON.parse(line);
        if (e.i < store.next) continue; // came twice
        if (e.i > store.next) {
          // Never silently: what is missing is asked for anew.
          lack(`Events #${store.next} to #${e.i - 1} did not arrive.`);
          reconnect();
          return;
        }
        store.take(e, line, 0);
        app.reducer.add(e);
        if (e.k === 'set' && (e.view !== undefined || e.status !== undefined)) said(e);
        if (e.k === 'note' && (e.what === 'unreachable' || e.what === 'reachable'))
          VR.base.announce(`${e.n} is ${e.what}`);
        if (e.k === 'gap') VR.base.announce(`${e.lost} events of ${e.n} are missing`);
      }
      cursor = store.next;
      batches += 1;
      arrived = performance.now();
      if (store.count > KEEP * 1.2 && store.trim(KEEP)) app.reducer.forget();
      if (store.next > before) app.grew();
    }

    function said(e) {
      const n = app.reducer.now.nodes[app.reducer.now.at.get(e.n)];
      const [, word] = VR.words.role(n);
      if (word === 'primary' && e.status !== undefined) VR.base.announce(`${e.n} is primary of view ${n.view}`);
      else if (e.view !== undefined) VR.base.announce(`${e.n} is in view ${n.view}`);
    }

    function reconnect() {
      if (source) source.close();
      start();
    }

    function start() {
      source = new EventSource('/api/v1/events');
      source.addEventListener('open', () => {
        resumed += 1;
        head();
        app.redraw();
      });
      source.addEventListener('error', () => {
        head();
        app.redraw();
        if (source.readyState === 2) setTimeout(reconnect, 1000);
      });
      source.addEventListener('snapshot', e => snapshot(e.data));
      source.addEventListener('batch', e => batch(e.data));
      source.addEventListener('gap', e => {
        const { lost } = JSON.parse(e.data);
        lack(`This page was too slow: ${lost} events were left out.`);
      });
      source.addEventListener('node', e => {
        const n = JSON.parse(e.data);
        links.set(n.n, n);
        head();
        if (app.following) app.redraw();
      });
    }

    start();
    return {
      /** Now, on the trace's clock: it goes on while nothing arrives. */
      now: () => (app.store.count ? app.store.t(app.store.last) + (performance.now() - arrived) * 1e6 : 0),
      get isOpen() {
        return isOpen();
      },
      get cursor() {
        return cursor;
      },
      get batches() {
        return batches;
      },
      get connections() {
        return resumed;
      },
      links,
      get source() {
        return source;
      },
    };
  }

  return { make };
})();
