// Where traces come from and go to: files, drops, the service; saved traces and exports.
//
// Owns opening, what is said while it lasts and when it fails. Must not know how a trace is read or
// shown. VIEW F2, F3, §5.3.
VR.sources = (() => {
  const { $, h, show, put, grouped } = VR.base;
  // What the service makes of events; a page by itself has only their text.
  const FORMS = [
    ['text', 'Lines (text)', 'trace.txt'],
    ['table', 'Table (text)', 'table.txt'],
    ['shiviz', 'ShiViz', 'shiviz.txt'],
    ['perfetto', 'Perfetto / Chrome', 'trace.json'],
    ['history', 'Client history', 'history.jsonl'],
  ];

  function make(app, boot) {
    async function open(pieces, size, name) {
      app.isLive = false;
      app.reset();
      if (name) boot.name = name;
      boot.banner = null;
      const said = bytes =>
        put(
          $('loading'),
          `Reading ${VR.base.safe(name || 'the trace', 80)}: ${grouped(Math.round(bytes / 1e6))} MB` +
            `${size ? ' of ' + grouped(Math.round(size / 1e6)) : ''}, ${grouped(app.store.count)} events`,
        );
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
      addEventListener('dragover', e => {
        e.preventDefault();
        document.body.classList.add('dropping');
      });
      addEventListener('dragleave', () => document.body.classList.remove('dropping'));
      addEventListener('drop', e => {
        e.preventDefault();
        document.body.classList.remove('dropping');
        if (e.dataTransfer.files.length) openFile(e.dataTransfer.files[0]);
      });
      $('file').addEventListener('change', e => {
        if (e.target.files.length) openFile(e.target.files[0]);
      });
    }

    function exports() {
      const served = ['live', 'trace', 'lab'].includes(boot.mode);
      const save = (name, text) => {
        const a = h('a', { href: URL.createObjectURL(new Blob([text])), download: name });
        a.click();
        setTimeout(() => URL.revokeObjectURL(a.href), 5000);
      };
      const lines = () => {
        const out = [];
        for (let i = app.store.base; i <= app.store.last; i++) out.push(app.store.line(i));
        return out.join('\n') + '\n';
      };
      const text = () => {
        const out = [];
        for (let i = app.store.base; i <= app.store.last; i++) {
          const e = app.store.event(i);
          out.push(`${VR.base.moment(e.t)} ${e.n || ''} ${VR.words.glyph(e.k)} ${VR.words.sentence(e, app.store)}`);
        }
        return out.join('\n') + '\n';
      };
      show(
        $('export-list'),
        h('button', { onclick: () => save('trace.vrt.jsonl', lines()) }, 'Trace (JSON lines)'),
        served
          ? FORMS.map(([form, name, file]) =>
              h(
                'a',
                {
                  class: 'button',
                  href: '/api/v1/export/' + form,
                  download: file,
                  onclick: e => {
                    if (app.lab)
                      e.currentTarget.setAttribute('href', `/api/v1/export/${form}?branch=${app.lab.branch}`);
                  },
                },
                name,
              ),
            )
          : [
              h('button', { onclick: () => save('trace.txt', text()) }, 'Sentences (text)'),
              h('p', { class: 'note' }, 'ShiViz, Perfetto, client history: vr-sim replay … --export'),
            ],
      );
    }

    return { open, drop, exports };
  }

  return { make };
})();
