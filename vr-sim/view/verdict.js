// What went wrong, first of all: the broken property in words, the message that did it, and how to see it again.
//
// Owns the story of a violation: its evidence and the short way that led to it. Must not know panels. VIEW decision 10.
VR.verdict = (() => {
  const { $, h, show, time, copy } = VR.base;
  const { sentence, said } = VR.words;
  const STORY = 14;
  const WEIGHTY = new Set([
    'Prepare',
    'PrepareOk',
    'DoViewChange',
    'StartView',
    'NewState',
    'RecoveryResponse',
    'CheckpointPart',
    'Entries',
  ]);

  const properties = () => {
    try {
      return JSON.parse($('properties').textContent).map(([name, what, paper, rule]) => ({ name, what, paper, rule }));
    } catch {
      return [];
    }
  };

  function make(app) {
    const box = $('verdict');
    const known = properties();

    /** The event in which it was found, and the message that caused it, if one did. */
    function culprit(viol) {
      const s = app.store,
        e = s.event(viol);
      const found = (e.ev || []).filter(i => s.has(i) && i < viol);
      let at = found.length ? found[found.length - 1] : viol - 1;
      if (!s.has(at)) return { at: viol, received: null, sent: null };
      // Within a step the first event is the cause of the others.
      let cause = at;
      for (let hops = 0; hops < 8; hops++) {
        if (s.kind(cause) === 'recv') break;
        const by = s.by(cause);
        if (by < 0) break;
        cause = by;
      }
      const received = s.kind(cause) === 'recv' ? cause : null;
      const sent = received !== null && s.by(received) >= 0 ? s.by(received) : null;
      return { at, cause, received, sent, before: received === null ? takenBefore(cause) : null };
    }

    /** What a replica built on when its disk or its clock completed a step: the last message of weight it took. */
    function takenBefore(cause) {
      const s = app.store,
        node = s.node(cause);
      for (let i = cause - 1; i >= Math.max(s.base, cause - 4000); i--) {
        if (
          s.node(i) === node &&
          s.kind(i) === 'recv' &&
          WEIGHTY.has(s.type(i)) &&
          s.line(i).includes('"verdict":"ok"')
        )
          return i;
        if (s.node(i) === node && s.kind(i) === 'restart') return null;
      }
      return null;
    }

    /** The events of its past that tell the story: about these nodes and ops, the newest ones. */
    function story(viol) {
      const s = app.store,
        e = s.event(viol),
        clocks = app.clocks(),
        { at, received, before } = culprit(viol);
      const ops = new Set(e.ops || []),
        nodes = new Set(e.nodes || []);
      // Whoever sent what it was built on belongs to the story.
      const message = received !== null ? received : before;
      if (nodes.size && message !== undefined && message !== null && s.by(message) >= 0)
        nodes.add(s.names[s.node(s.by(message))]);
      const told = new Set(['crash', 'restart', 'do', 'part']),
        heard = new Set(),
        some = [];
      for (let i = viol - 1; i >= Math.max(s.base, viol - 60000) && some.length < STORY; i--) {
        const kind = s.kind(i),
          op = s.op(i),
          name = s.names[s.node(i)];
        const big =
          (told.has(kind) && s.t(i) > 0) ||
          (kind === 'set' && s.view(i) >= 0) ||
          (kind === 'send' && /^(StartView|DoViewChange|RecoveryResponse|NewState)$/.test(s.type(i)));
        const about =
          ops.size &&
          ops.has(op) &&
          (kind === 'log' || kind === 'exec' || kind === 'commit' || (kind === 'send' && s.type(i) !== 'Commit'));
        if (!(
          i === at ||
          (about && (nodes.size === 0 || nodes.has(name) || kind === 'commit')) ||
          (big && (nodes.has(name) || nodes.size === 0) && clocks.isPast(i, viol))
        ))
          continue;
        // What is said again and again is told once.
        const text = name + sentence(s.event(i), s);
        if (!heard.has(text)) some.push(i);
        heard.add(text);
      }
      return some.reverse();
    }

    function violation(viol) {
      const s = app.store,
        e = s.event(viol),
        { received, sent, cause, before } = culprit(viol);
      const about = known.find(p => p.name === e.inv);
      const go = (i, text) => h('button', { class: 'link', data: { go: i }, onclick: () => app.go(i) }, text);
      let how = null;
      const message = i => {
        const m = s.by(i) >= 0 ? s.event(s.by(i)) : null;
        return [
          go(i, `${s.type(i)} from ${s.alias(VR.words.sender(s.event(i).m))} (#${i})`),
          m ? ` (“${said(m)}”)` : '',
        ];
      };
      if (received !== null) {
        const by = s.names[s.node(received)],
          m = sent !== null ? s.event(sent) : null;
        how = h(
          'p',
          { id: 'culprit' },
          h('strong', null, 'Which message did it: '),
          m
            ? go(
                sent,
                `${s.type(received)} ${s.alias(s.event(received).m)} from ${s.alias(s.names[s.node(sent)])} to ${by}`,
              )
            : `${s.type(received)} to ${by}`,
          m ? ` (“${said(m)}”), sent at ${time(m.t)}, ` : ' ',
          go(received, `received at ${time(s.t(received))} (#${received})`),
          '.',
        );
      } else if (cause !== undefined) {
        how = h(
          'p',
          { id: 'culprit' },
          h('strong', null, 'What did it: '),
          go(cause, `#${cause}`),
          ` ${s.alias(s.names[s.node(cause)] || '')} ${sentence(s.event(cause), s)}. `,
          before === null ? null : [h('strong', null, 'The message it built on: '), message(before), '.'],
        );
      }
      return [
        h('h2', null, `⚑ ${e.inv} does not hold`, e.sev ? ` (${e.sev})` : ''),
        h('p', { class: 'lead', id: 'violation-message' }, e.msg),
        about
          ? h(
              'p',
              { class: 'note' },
              `What is promised: ${about.what}`,
              about.paper ? ` (${about.paper}${about.rule ? '; ' + about.rule : ''})` : '',
            )
          : null,
        how,
        e.nodes && e.nodes.length
          ? h(
              'p',
              { class: 'note' },
              `Concerned: ${[...e.nodes, ...(e.ops || []).map(o => 'op ' + o)].join(', ')}; ` +
                `at ${time(e.t)}, event #${viol}.`,
            )
          : null,
        h(
          'details',
          { open: !app.telling },
          h('summary', null, 'The story, shortest version'),
          h(
            'ol',
            { id: 'story' },
            story(viol)
              .concat(viol)
              .map(i =>
                h(
                  'li',
                  null,
                  h(
                    'button',
                    { data: { go: i }, onclick: () => app.go(i) },
                    `${time(s.t(i))}  ${s.alias(s.names[s.node(i)] || '')} ${sentence(s.event(i), s)}`,
                  ),
                ),
              ),
          ),
        ),
      ];
    }

    function draw() {
      const s = app.store;
      const bad = s.violations.length > 0 && (!app.telling || app.sel >= s.violations[0]),
        repro = s.meta && s.meta.repro;
      box.hidden = !bad && (!repro || app.isLive || app.isLab);
      box.className = bad ? 'bad' : '';
      if (box.hidden) return;
      const shown = bad ? s.violations.slice(0, 3).map(violation) : [];
      show(
        box,
        shown.length
          ? shown
          : h('h2', null, '✓ ', s.end ? 'Everything held in this run' : 'No property was seen to break'),
        repro
          ? h(
              'div',
              { class: 'command' },
              h('span', { class: 'label' }, 'To reproduce it:'),
              h('code', { id: 'repro' }, repro),
              h('button', { onclick: e => copy(repro, e.target) }, 'Copy'),
            )
          : null,
      );
    }

    return { draw, culprit, story };
  }

  return { make };
})();
