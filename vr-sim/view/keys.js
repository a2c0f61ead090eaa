// Keys, and the help that tells them: everything that can be done without a pointer.
//
// Owns which key does what, the dialog that goes to an event or a time, and the help. Must not know
// what an act does. VIEW §3.7.
VR.keys = (() => {
  const { $, h, show } = VR.base;

  function make(app, acts) {
    const { play, step, stop, violation, bookmark, theme } = acts;

    async function goTo() {
      const answer = h('input', {
        id: 'goto',
        'aria-label': 'Event number, or a time with its unit',
        placeholder: '8139 or 91.2s or 350ms',
      });
      const find = () => {
        const m = /^#?(\d+)$/.exec(answer.value.trim()),
          t = /^([\d.]+)\s*(ns|us|µs|ms|s)$/.exec(answer.value.trim());
        if (m) app.go(Number(m[1]));
        else if (t) app.go(app.store.before(Number(t[1]) * { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9 }[t[2]]));
        else {
          answer.setAttribute('aria-invalid', 'true');
          return;
        }
        $('ask').close();
      };
      answer.addEventListener('keydown', e => {
        if (e.key === 'Enter') find();
      });
      show(
        $('ask'),
        h('h2', { id: 'h-ask' }, 'Go to'),
        h('p', null, answer),
        h(
          'div',
          { class: 'tools' },
          h('button', { onclick: find }, 'Go'),
          h('button', { onclick: () => $('ask').close() }, 'Leave it'),
        ),
      );
      $('ask').showModal();
      answer.focus();
    }

    const KEYS = [
      ['Space', 'play or pause', play, ' '],
      ['←', 'previous event', () => step(-1), 'ArrowLeft'],
      ['→', 'next event', () => step(1), 'ArrowRight'],
      ['Shift ←', 'previous event of the node', () => step(-1, 'node'), 'Shift+ArrowLeft'],
      ['Shift →', 'next event of the node', () => step(1, 'node'), 'Shift+ArrowRight'],
      [',', 'previous message', () => step(-1, 'message'), ','],
      ['.', 'next message', () => step(1, 'message'), '.'],
      ['[', 'previous view change', () => step(-1, 'view'), '['],
      [']', 'next view change', () => step(1, 'view'), ']'],
      [
        'Home',
        'to the beginning',
        () => {
          stop();
          app.go(0);
        },
        'Home',
      ],
      [
        'End',
        'to the end',
        () => {
          stop();
          app.following = app.isLive;
          app.go(Infinity);
        },
        'End',
      ],
      ['v', 'to the violation', violation, 'v'],
      ['/', 'filter', () => $('filter').focus(), '/'],
      ['c', 'causal past', app.toggleCausal, 'c'],
      ['g', 'go to an event or a time', goTo, 'g'],
      ['b', 'bookmark', bookmark, 'b'],
      ['1 – 9', 'choose a replica', null, null],
      ['+  −  0', 'zoom, all', null, null],
      ['t', 'theme', theme, 't'],
      ['?', 'this help', help, '?'],
      ['Esc', 'close', null, null],
    ];
    function keys(e) {
      if (e.ctrlKey || e.altKey || e.metaKey) return;
      const on = e.target;
      if (
        (on instanceof HTMLInputElement && on.type !== 'range' && on.type !== 'checkbox') ||
        on instanceof HTMLTextAreaElement ||
        on instanceof HTMLSelectElement
      ) {
        if (e.key === 'Escape') on.blur();
        return;
      }
      if (document.querySelector('dialog[open]')) return;
      const key = (e.shiftKey && e.key.startsWith('Arrow') ? 'Shift+' : '') + e.key;
      if (e.key === ' ' && (on instanceof HTMLButtonElement || on.tagName === 'SUMMARY')) return;
      if (on.type === 'range' && e.key.startsWith('Arrow')) return;
      const found = KEYS.find(([, , , k]) => k === key);
      if (found && found[2]) {
        e.preventDefault();
        found[2]();
        return;
      }
      if (/^[1-9]$/.test(key) && app.store.members[key - 1] !== undefined)
        app.choose(app.store.names[app.store.members[key - 1]]);
      else if (key === '+' || key === '=') app.diagram.zoom(0.6);
      else if (key === '-') app.diagram.zoom(1.6);
      else if (key === '0') app.diagram.whole();
      else if (app.lab && Object.hasOwn(app.lab.keys, key)) app.lab.keys[key]();
      else return;
      e.preventDefault();
    }

    function help() {
      const key = ([k, what]) => h('p', null, h('kbd', null, k), ' ' + what);
      const lab = [
        ['x r', 'crash, restart the chosen replica'],
        ['p h', 'isolate it, heal all'],
        ['i', 'its timer rings'],
        ['q', 'send the request'],
        ['f', 'fork from here'],
        ['n', 'next step of a tour'],
      ];
      show(
        $('help'),
        h('h2', { id: 'h-help' }, 'Keys and words'),
        h(
          'div',
          { class: 'cols' },
          KEYS.map(key),
          app.isLab ? [h('h3', null, 'In the lab'), lab.map(key)] : null,
          h('h3', null, 'Messages'),
          Object.entries(VR.words.CODES).map(([ty, code]) =>
            h('p', null, h('kbd', null, code), ` ${ty}: ${VR.words.MEANING[ty]}`),
          ),
          h('h3', null, 'Replicas'),
          h(
            'p',
            null,
            '★ primary  ○ backup  ◇ view change  ◌ recovering  ✕ down  ▨ silent  ‼ halted  ? unknown. ' +
              'Colours are views: the same view, the same colour.',
          ),
          h('h3', null, 'Filter'),
          h(
            'p',
            null,
            'type:Prepare,POK  kind:send  node:r1  op:17..20  view>=3  client:c2  dropped  ' +
              'cause-of:#12  effect-of:#12  text:"abc"',
          ),
        ),
        h('button', { onclick: () => $('help').close() }, 'Close'),
      );
      $('help').showModal();
    }

    return { keys, help };
  }

  return { make };
})();
