// What the page remembers: the place in its address, the theme in the browser.
//
// Owns the words of the address (`#i=8139&n=r2&b=12,99&q=…`) and the theme. Must not know panels. VIEW §3.4, §3.7.
VR.address = (() => {
  function make(app) {
    let hashTimer = 0;

    function theme() {
      const root = document.documentElement,
        dark = matchMedia('(prefers-color-scheme: dark)').matches;
      const next = { auto: dark ? 'light' : 'dark', dark: 'light', light: 'auto' }[root.dataset.choice || 'auto'];
      dress(next);
    }
    function dress(choice) {
      const root = document.documentElement;
      root.dataset.choice = choice;
      root.dataset.theme =
        choice === 'auto' ? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light') : choice;
      try {
        localStorage.setItem('vr-theme', choice);
      } catch {
        /* a page from a disk may have no storage */
      }
      VR.base.forgetColours();
      app.redraw();
    }

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
      const q = new URLSearchParams(location.hash.slice(1)),
        i = q.get('i');
      if (q.get('n')) app.chosen = q.get('n');
      for (const b of (q.get('b') || '').split(',')) if (/^\d+$/.test(b)) app.bookmarks.add(Number(b));
      if (q.get('q')) app.setFilter(q.get('q'));
      return i !== null && /^\d+$/.test(i) ? Number(i) : null;
    }

    return { theme, dress, remember, recall };
  }

  return { make };
})();
