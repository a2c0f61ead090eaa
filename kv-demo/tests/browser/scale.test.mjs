// A million events: they are read, walked and filtered, and the document stays as small as that of a thousand.
//
// Owns check 11 of VIEW §7, and what a live page forgets. Times are said; what is judged are events, states, nodes and
// bytes. Must not know how anything is kept.
import assert from 'node:assert/strict';
import { check, go, ready, report, settled, until } from './harness.mjs';
import { chance, fixture, urlOf } from './place.mjs';
import { view } from './service.mjs';
import { flood } from './proxy.mjs';

const MILLION = 1_000_000;

const heap = async devtools => {
  await devtools.send('HeapProfiler.collectGarbage');
  return (await devtools.send('Runtime.getHeapUsage')).usedSize;
};

check('a trace of a million events is opened and walked', async open => {
  const one = await open(urlOf(fixture('empty.html')));
  const devtools = await one.context().newCDPSession(one);
  const began = Date.now();
  await one.setInputFiles('#file', fixture('long.vrt.jsonl'));
  await ready(one);
  const opened = Date.now() - began;
  assert.equal(await one.evaluate(() => VR.app.debug.count()), MILLION);
  const draw = chance(11),
    times = [];
  for (let looks = 0; looks < 40; looks++) {
    const i = draw.below(MILLION);
    const took = await one.evaluate(at => {
      const from = performance.now();
      VR.app.go(at);
      return new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now() - from))));
    }, i);
    times.push(took);
    assert.equal(await one.evaluate(() => VR.app.sel), i);
    const rows = await one.locator('#events .row').evaluateAll(all => all.map(row => Number(row.dataset.i)));
    assert.ok(rows.includes(i) && rows.length < 60, `#${i} is among ${rows.length} rows`);
    // What the trace is made of: every op takes its turn, and at every place all is committed but the newest one.
    const { op, commit } = await one.evaluate(() => ({
      op: Math.max(...VR.app.state.nodes.map(n => n.op)),
      commit: VR.app.state.commit,
    }));
    assert.ok(op - commit <= 1 && op > 0, `op ${op}, commit ${commit} at #${i}`);
  }
  const walked = await one.evaluate(() => [VR.app.debug.forwardHash(250_000), VR.app.debug.stateHash(250_000)]);
  assert.equal(walked[0], walked[1]);
  const nodes = await one.evaluate(() => document.querySelectorAll('*').length);
  assert.ok(nodes <= 4000, `${nodes} elements`);
  const bytes = await heap(devtools);
  assert.ok(bytes < 600e6, `${bytes} bytes`);
  times.sort((a, b) => a - b);
  report('a million events', {
    'ms to open': opened,
    'ms to go, median': Math.round(times[20]),
    '95 of 100 within': Math.round(times[38]),
    'heap MB': Math.round(bytes / 1e6),
    elements: nodes,
  });
  await one.locator('#filter').fill('type:DoViewChange kind:recv');
  await until(one, () => VR.app.filterText, 'type:DoViewChange kind:recv');
  await until(
    one,
    () => document.getElementById('hidden-count').textContent,
    text => text.includes('hidden'),
    {
      within: 60_000,
    },
  );
  const changes = await one.evaluate(() => VR.app.store.marks.filter(([, kind]) => kind === 'view').length);
  assert.ok(changes > 50, `${changes} views`);
  assert.equal(await one.evaluate(() => VR.app.debug.shown()), changes / 3);
  await one.keyboard.press('Escape');
  await one.evaluate(() => document.activeElement.blur());
  await one.keyboard.press('End');
  await settled(one);
  assert.equal(await one.evaluate(() => VR.app.sel), MILLION - 1);
});

check(
  'what a live page does not hold any more is forgotten, and the oldest that it holds can be looked at',
  async (open, context) => {
    const service = await view(context, '--nodes', 'http://127.0.0.1:9'),
      stream = await flood(context, service.origin, fixture('long.vrt.jsonl')),
      one = await open(stream.url);
    await ready(one);
    const devtools = await one.context().newCDPSession(one);
    const at = async wanted => {
      await stream.through(wanted);
      await until(
        one,
        () => VR.app.store.next,
        next => next >= wanted,
        { within: 60_000 },
      );
      await settled(one);
      return heap(devtools);
    };
    const [first, second] = [await at(450_000), await at(900_000)];
    const { base, count, earliest } = await one.evaluate(() => ({
      base: VR.app.store.base,
      count: VR.app.store.count,
      earliest: VR.app.reducer.earliest,
    }));
    assert.ok(count <= 144_000 && base + count >= 900_000, `${count} events from #${base}`);
    assert.ok(second < first * 1.1, `${first} bytes became ${second}`);
    assert.ok(earliest - base <= 2000, `#${base} is held, and can be looked at from #${earliest} on`);
    for (const i of [earliest, earliest + 1, base + count - 1]) {
      await go(one, i);
      assert.equal(await one.evaluate(() => VR.app.state.i), i);
    }
    assert.equal(await one.locator('#banner').isVisible(), false);
    report('a live page', {
      'heap MB after 450,000 events': Math.round(first / 1e6),
      'after 900,000': Math.round(second / 1e6),
    });
  },
);
