// The lab: a simulated cluster whose network, disks, clocks and clients are in a person's hands.
//
// Owns the controls, branches and tours, and the one call that carries a command out. Must not know the
// protocol, nor how a command works: the cluster behind it is the real core. VIEW §3.6.
VR.lab = (() => {
  const { $, h, show, put, copy } = VR.base;

  function make(app) {
    const box = $('lab'),
      tourBox = $('tour');
    const token = new URLSearchParams(location.hash.slice(1)).get('token') || '';
    let branch = 0,
      state = null,
      branches = [],
      tours = [],
      busy = Promise.resolve(),
      tour = null,
      error = '',
      running = false;

    async function call(path, body) {
      const answer = await fetch('/api/v1/lab/' + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-VR-Token': token },
        body: JSON.stringify(body),
      });
      const text = await answer.text();
      let data;
      try {
        data = JSON.parse(text);
      } catch {
        data = { error: text || answer.statusText };
      }
      if (!answer.ok && !data.error) data.error = answer.statusText;
      return data;
    }

    /** One after the other: commands never overtake each other. */
    function queued(work) {
      const mine = busy.then(work).catch(e => {
        error = String(e.message || e);
        draw();
      });
      busy = mine;
      return mine;
    }

    function take(data, anew) {
      error = data.error || '';
      if (data.events) {
        if (anew || data.branch !== branch) {
          branch = data.branch;
          app.reset();
        }
        for (const line of data.events) {
          const e = app.store.add(line, 0);
          app.reducer.add(e);
        }
        if (data.state) state = data.state;
        if (anew) {
          app.opened();
          app.go(tour && tour.fork === false ? app.store.base : app.store.last);
        } else if (data.events.length) app.grew();
      }
      draw();
      if (state && state.violation) VR.base.announce('a property is violated');
    }

    const perform = (...commands) =>
      queued(async () => take(await call('do', { branch, from: app.store.next, do: commands })));

    async function list() {
      const data = await (await fetch('/api/v1/lab')).json();
      branches = data.branches;
      tours = data.tours;
    }

    const anew = (path, body) =>
      queued(async () => {
        const data = await call(path, body);
        tour = data.tour ? { ...data.tour, at: -1 } : null;
        await list();
        take(data, true);
      });

    const open = id =>
      queued(async () => {
        const lines = (await (await fetch('/api/v1/trace?branch=' + id)).text()).split('\n').filter(Boolean);
        tour = null;
        const data = await call('do', { branch: id, from: lines.length, do: [] });
        take({ ...data, events: lines, branch: id }, true);
      });

    const way = m => `${app.store.alias(m.from)}→${app.store.alias(m.to)}`;

    // ---- controls

    const button = (label, act, title, disabled) =>
      h('button', { title: title || label, disabled, onclick: act }, label);
    const select = (id, label, options, value) => {
      const s = h(
        'select',
        { id, 'aria-label': label },
        options.map(o => h('option', { value: o }, o)),
      );
      if (value && options.includes(value)) s.value = value;
      return s;
    };
    const kept = id => ($(id) ? $(id).value : undefined);

    function target() {
      return app.chosen || app.store.names[app.store.members[0]];
    }

    const per = {
      crash: () => perform('crash ' + target()),
      restart: () => perform('restart ' + target()),
      timer: () => perform('timer ' + target()),
      isolate: () => perform('isolate ' + target()),
      heal: () => perform('heal'),
    };

    function replicaTools() {
      const r = target();
      return [
        h('span', { class: 'label' }, 'replica'),
        h('strong', null, r),
        button('crash x', per.crash, 'Crash it: what is not durable is gone (x)'),
        button('restart r', per.restart, 'Start it again (r)'),
        button('pause', () => perform('pause ' + r)),
        button('resume', () => perform('resume ' + r)),
        button('timer i', per.timer, 'Let its timer ring now (i)'),
        button('isolate p', per.isolate, 'Cut it off from all others (p)'),
        button('clock +50 ms', () => perform(`clock ${r} 50ms`)),
        button('slow disk', () => perform(`slow-disk ${r} 10`)),
        button('fail sync', () => perform('fail-sync ' + r)),
        button('fill disk', () => perform('fill ' + r)),
        button('make room', () => perform('room ' + r)),
        button('stop', () => perform('stop ' + r), 'Ask it to stop in good order'),
      ];
    }

    function linkTools(names) {
      const from = select('lab-from', 'From', names, kept('lab-from')),
        to = select('lab-to', 'To', names, kept('lab-to') || names[1]);
      return [
        h('span', { class: 'label' }, 'link'),
        from,
        '→',
        to,
        button('cut', () => perform(`cut ${from.value} ${to.value}`), 'Cut this direction only'),
        button('heal it', () => perform(`heal ${from.value} ${to.value}`)),
        button('heal all h', per.heal, 'All links are whole again (h)'),
      ];
    }

    function clientTools(names) {
      const many = state.clients.map((c, at) => 'c' + at),
        who = select('lab-client', 'Client', many, kept('lab-client')),
        to = select('lab-at', 'Replica', names, kept('lab-at') || (app.tables.primaryOf(app.state) || {}).name);
      const text = h('input', { id: 'lab-op', 'aria-label': 'Operation', size: '14', spellcheck: 'false' });
      text.value = kept('lab-op') || 'put k 1';
      const ask = () => {
        const c = state.clients[Number(who.value.slice(1))];
        return perform(
          c && !c.ready ? `register ${who.value} ${to.value}` : `request ${who.value} ${to.value} ${text.value}`,
        );
      };
      text.addEventListener('keydown', e => {
        if (e.key === 'Enter') ask();
      });
      const chosen = state.clients[Number((who.value || 'c0').slice(1))];
      return [
        h('span', { class: 'label' }, 'client'),
        who,
        text,
        'at',
        to,
        button(
          chosen && chosen.waiting
            ? 'waits for its answer'
            : chosen && !chosen.ready
              ? 'open a session q'
              : 'request q',
          ask,
          'Send it (q)',
          chosen && chosen.waiting,
        ),
        button('send again', () => perform(`retry ${who.value} ${to.value}`)),
        button('crash client', () => perform('crash-client ' + who.value)),
      ];
    }

    function timeTools() {
      const hold = h('input', {
        type: 'checkbox',
        id: 'lab-hold',
        onchange: e => perform('hold ' + (e.target.checked ? 'on' : 'off')),
      });
      hold.checked = !!state.hold;
      return [
        h('label', null, hold, ' hold messages'),
        button('step', () => perform('step 1'), 'The next thing that is due (→ at the end)'),
        button('+1 ms', () => perform('run 1ms')),
        button('+10 ms', () => perform('run 10ms')),
        button('+100 ms', () => perform('run 100ms')),
        button(running ? 'stop' : 'run', toggle, 'Let time go on (Space)'),
        h('span', { class: 'mono', id: 'lab-now' }, VR.base.time(state.now)),
      ];
    }

    function sessionTools() {
      const which = select(
        'lab-branch',
        'Branch',
        branches.map(b => String(b.id)),
        String(branch),
      );
      for (const o of which.options) {
        const b = branches[Number(o.value)];
        if (b)
          o.textContent =
            `${b.id}: ${b.name}` +
            (b.parent === null ? '' : ` (from ${b.parent} at #${b.at})`) +
            (b.violated ? ' ⚑' : '');
      }
      which.addEventListener('change', () => open(Number(which.value)));
      const which2 = h(
        'select',
        { id: 'lab-tour', 'aria-label': 'Tour' },
        h('option', { value: '' }, 'guided tours…'),
        tours.map(t => h('option', { value: t.name }, t.title)),
      );
      which2.addEventListener('change', () => {
        if (which2.value) anew('tour', { name: which2.value });
      });
      return [
        h('span', { class: 'label' }, 'branch'),
        which,
        button(
          'fork here f',
          fork,
          'A new branch from the selected event; this one stays as it is (f)',
          tour && tour.fork === false,
        ),
        button('new…', ask),
        which2,
        button('copy as vr-sim command', copyCommand),
        h(
          'a',
          { class: 'button', href: '/api/v1/lab/case?branch=' + branch, download: `lab-${branch}.vrcase` },
          'save as regression case',
        ),
      ];
    }

    const fork = () => anew('fork', { branch, at: app.sel });

    async function copyCommand(e) {
      const data = await (await fetch('/api/v1/lab/command?branch=' + branch)).json();
      const done = await copy(data.command, e.target);
      if (!done) error = data.command;
      draw();
    }

    function ask() {
      const n = h('input', { type: 'number', min: '1', max: '9', value: '3', id: 'ask-n' }),
        seed = h('input', { value: '1', id: 'ask-seed', size: '10' });
      const mode = h(
        'select',
        { id: 'ask-mode' },
        h('option', { value: 'sync' }, 'sync: nothing is promised before it is durable'),
        h('option', { value: 'async' }, 'async: memory and a quorum'),
      );
      const clients = h('input', { type: 'number', min: '1', max: '8', value: '2', id: 'ask-clients' });
      const go = () => {
        $('ask').close();
        anew('reset', {
          replicas: Number(n.value),
          seed: seed.value,
          durability: mode.value,
          clients: Number(clients.value),
        });
      };
      show(
        $('ask'),
        h('h2', { id: 'h-ask' }, 'A new cluster'),
        h('p', null, h('label', null, 'replicas ', n)),
        h('p', null, h('label', null, 'clients ', clients)),
        h('p', null, h('label', null, 'durability ', mode)),
        h('p', null, h('label', null, 'seed ', seed)),
        h(
          'div',
          { class: 'tools' },
          button('Begin', go),
          button('Leave it', () => $('ask').close()),
        ),
      );
      $('ask').showModal();
    }

    function hand() {
      const one = (m, held) =>
        h(
          'span',
          { data: { m: m.m, to: m.to } },
          h(
            'button',
            {
              class: 'link',
              onclick: () => {
                const i = find(m.m);
                if (i !== null) app.go(i, { stay: true });
              },
            },
            `${VR.words.code(m.ty)} ${way(m)}${m.op === undefined || m.op === null ? '' : ' #' + m.op}`,
          ),
          button('deliver', () => perform(`deliver ${m.m} ${m.to}`), `Deliver ${m.ty} ${m.m} to ${m.to} now`),
          button('drop', () => perform(`drop ${m.m} ${m.to}`), `Lose ${m.ty} ${m.m} to ${m.to}`),
          button('twice', () => perform(`duplicate ${m.m} ${m.to}`), `Deliver ${m.ty} ${m.m} to ${m.to} and keep it`),
          held
            ? null
            : button(
                'later',
                () => perform(`delay ${m.m} ${m.to} 20ms`),
                `Hold ${m.ty} ${m.m} to ${m.to} back for 20 ms`,
              ),
        );
      const all = [
        ...state.held.slice(0, 60).map(m => one(m, true)),
        ...state.flying.slice(0, 40).map(m => one(m, false)),
      ];
      if (all.length === 0) return h('p', { class: 'note' }, 'No message is on its way.');
      return h(
        'div',
        { class: 'hand', role: 'group', 'aria-label': 'Messages that wait' },
        h(
          'span',
          null,
          `${state.held.length} held, ${state.flying.length} on their way `,
          button('deliver all', () => perform('deliver-all')),
          button('drop all', () => perform('drop-all')),
        ),
        all,
      );
    }

    function find(m) {
      const s = app.store;
      for (let i = s.last; i >= s.base; i--) if (s.kind(i) === 'send' && s.line(i).includes(`"m":"${m}"`)) return i;
      return null;
    }

    function draw() {
      if (!state) {
        show(box, h('p', { class: error ? 'error' : '' }, error || 'The lab opens …'));
        return;
      }
      const focus = document.activeElement && document.activeElement.id,
        names = app.store.members.map(n => app.store.names[n]);
      const group = (...children) => h('span', null, ...children);
      const fixed = tour && tour.fork === false;
      show(
        box,
        fixed
          ? h('p', { class: 'note' }, tour.why || 'This is a recorded trace: it cannot be changed.')
          : [
              h('div', { class: 'groups' }, group(timeTools()), group(clientTools(names))),
              h('div', { class: 'groups' }, group(replicaTools()), group(linkTools(names))),
              hand(),
            ],
        h('div', { class: 'groups' }, group(sessionTools())),
        error ? h('p', { class: 'error', role: 'alert' }, error) : null,
      );
      if (focus && focus.startsWith('lab-') && $(focus)) $(focus).focus();
      drawTour();
    }

    function drawTour() {
      tourBox.hidden = !tour;
      app.setTelling(!!tour);
      if (!tour) return;
      const step = tour.at >= 0 ? tour.steps[tour.at] : null;
      const on = () => {
        if (tour.at + 1 >= tour.steps.length) return;
        tour.at += 1;
        const { do: commands } = tour.steps[tour.at];
        if (commands && commands.length && tour.fork !== false) perform(...commands);
        else if (tour.steps[tour.at].at !== undefined) app.go(tour.steps[tour.at].at);
        draw();
      };
      show(
        tourBox,
        h('h2', null, tour.title),
        h('p', { class: 'caption', role: 'status' }, step ? step.caption : tour.about || ''),
        h(
          'div',
          { class: 'tools' },
          button(
            tour.at < 0 ? 'Begin' : 'Next',
            on,
            'The next step of the tour (n)',
            tour.at + 1 >= tour.steps.length,
          ),
          h('span', { class: 'label' }, `${tour.at + 1} of ${tour.steps.length}`),
          button('Leave the tour', () => {
            tour = null;
            draw();
          }),
        ),
      );
    }

    function toggle() {
      running = !running;
      if (running) tick();
      draw();
    }

    async function tick() {
      if (!running) return;
      const us = Math.max(1, Math.round(50000 * app.speed));
      const before = state.now;
      await perform(`run ${us}us`);
      if (error || state.violation || state.now === before) {
        running = false;
        draw();
        return;
      }
      setTimeout(tick, 50);
    }

    const keys = {
      x: per.crash,
      r: per.restart,
      i: per.timer,
      p: per.isolate,
      h: per.heal,
      f: fork,
      q: () => {
        const b = [...box.querySelectorAll('button')].find(x => / q$/.test(x.textContent));
        if (b) b.click();
      },
      n: () => {
        const b = tourBox.querySelector('button');
        if (b && !tourBox.hidden) b.click();
      },
    };

    box.hidden = false;
    queued(async () => {
      await list();
      const lines = (await (await fetch('/api/v1/trace?branch=0')).text()).split('\n').filter(Boolean);
      const data = await call('do', { branch: 0, from: lines.length, do: [] });
      take({ ...data, events: lines, branch: 0 }, true);
    });
    return {
      draw,
      perform,
      keys,
      toggle,
      step: () => perform('step 1'),
      get running() {
        return running;
      },
      get state() {
        return state;
      },
      get branch() {
        return branch;
      },
      put,
      idle: () => busy,
      anew,
      open,
    };
  }

  return { make };
})();
