// Time in the page: steps, playing, pausing, bookmarks.
//
// Owns what one step is (an event, a message, a view change, an event of one node) and how fast time goes. Must not
// know how a place is shown. VIEW §3.4.
VR.steps = (() => {
  const { $, put } = VR.base;

  function make(app, list) {
    const is = {
      event: () => true,
      message: i => app.store.kind(i) === 'send' || app.store.kind(i) === 'recv',
      view: i => app.store.kind(i) === 'set' && app.store.view(i) >= 0,
      node: i => app.store.names[app.store.node(i)] === (app.chosen || app.store.names[app.store.node(app.sel)]),
    };
    function step(by, kind = 'event') {
      stop();
      const found = list.next(app.sel, by, is[kind]);
      if (found !== null) {
        app.go(found);
        return;
      }
      if (by > 0 && app.lab && app.sel === app.store.last && kind === 'event') app.lab.step();
    }
    function violation() {
      const s = app.store,
        all = s.violations;
      if (all.length) app.go(all.find(i => i > app.sel) || all[0]);
    }

    function play() {
      if (app.lab && app.sel >= app.store.last) {
        app.lab.toggle();
        return sync();
      }
      if (app.isLive) {
        app.following = !app.following;
        if (app.following) app.go(app.store.last);
        else VR.base.announce('paused');
        return sync();
      }
      if (app.playing) return stop();
      if (app.sel >= app.store.last) app.go(app.reducer.earliest);
      app.playing = true;
      let t = app.store.t(app.sel),
        was = performance.now();
      const run = now => {
        if (!app.playing) return;
        t += (now - was) * 1e6 * app.speed;
        was = now;
        const to = app.store.before(t),
          on = Math.max(app.sel, to);
        app.playClock = t;
        if (on >= app.store.last) {
          app.playClock = null;
          app.go(app.store.last);
          return stop();
        }
        if (on !== app.sel) app.go(on);
        else app.redraw();
        // Nothing happens for long: the time until the next event is not waited for.
        const gap = app.store.t(on + 1) - t;
        if (gap > 1.5e9 * app.speed) t = app.store.t(on + 1) - 0.3e9 * app.speed;
        requestAnimationFrame(run);
      };
      requestAnimationFrame(now => {
        was = now;
        run(now);
      });
      sync();
    }
    function stop() {
      app.playing = false;
      app.playClock = null;
      sync();
    }

    function sync() {
      const going = app.playing || (app.isLive && app.following) || (app.lab && app.lab.running);
      put($('b-play'), going ? '❚❚' : '▶');
      $('b-play').setAttribute('aria-label', going ? 'Pause' : 'Play');
    }

    function bookmark() {
      if (app.bookmarks.has(app.sel)) app.bookmarks.delete(app.sel);
      else app.bookmarks.add(app.sel);
      app.remember();
      app.redraw();
    }

    return { step, violation, play, stop, sync, bookmark };
  }

  return { make };
})();
