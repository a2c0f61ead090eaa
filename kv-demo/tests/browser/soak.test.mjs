// A page that watches a busy cluster for long: it stays as small as it was, misses nothing, and catches up.
//
// Owns check 15 of VIEW §7: for a minute, or as long as VR_SOAK_SECONDS says. Must not know what is drawn.
import assert from 'node:assert/strict';
import { check, ready, report, settled, until } from './harness.mjs';
import { cluster, load } from './service.mjs';

const SECONDS = Number(process.env.VR_SOAK_SECONDS || 60);
const EVENT_BYTES = 500; // that an event may cost, all in all
const KEPT = 144_000; // events that a live page holds at the most
const OPS_KEPT = 20_000; // of which it remembers what stood in the logs

/** What the page costs now: bytes after a collection, nodes of the document, seconds of work. */
async function costs(devtools) {
  await devtools.send('HeapProfiler.collectGarbage');
  const { metrics } = await devtools.send('Performance.getMetrics');
  const of = name => metrics.find(metric => metric.name === name).value;
  return { heap: of('JSHeapUsedSize'), nodes: of('Nodes'), work: of('TaskDuration') };
}

check(
  `a page that watches a busy cluster for ${SECONDS} s misses nothing and does not grow`,
  async (open, context) => {
    const nodes = await cluster(context),
      one = await open(nodes.url);
    await ready(one);
    await nodes.put('first', 'x');
    const devtools = await one.context().newCDPSession(one);
    await devtools.send('Performance.enable');
    const count = () => one.evaluate(() => VR.app.store.next);
    const [before, first] = [await costs(devtools), await count()];
    load(context, nodes, 2, SECONDS);
    const began = Date.now(),
      seen = [];
    while (Date.now() - began < SECONDS * 1000) {
      await new Promise(rest => setTimeout(rest, Math.min(5000, (SECONDS * 1000) / 6)));
      const [held, ops] = await one.evaluate(() => [VR.app.store.count, VR.app.reducer.ops]),
        now = await costs(devtools);
      assert.ok(now.nodes < 4000, `${now.nodes} nodes in the document`);
      assert.ok(held <= KEPT, `${held} events are held`);
      assert.ok(now.heap < before.heap + held * EVENT_BYTES + 2e7, `${now.heap} bytes for ${held} events`);
      seen.push({ ...now, held, ops });
    }
    const seconds = (Date.now() - began) / 1000,
      last = seen.at(-1),
      full = seen.filter(({ held, ops }) => held > KEPT * 0.8 && ops > OPS_KEPT);
    // Once it holds all that it ever holds, it does not grow any more.
    if (full.length > 6) {
      const half = full.slice(full.length / 2);
      const mean = list => list.reduce((sum, { heap }) => sum + heap, 0) / list.length;
      assert.ok(mean(half) < mean(full.slice(0, full.length / 2)) * 1.1, 'it grows');
    }
    report('soak', {
      seconds: Math.round(seconds),
      'events a second': Math.round(((await count()) - first) / seconds),
      'heap MB, then and now': [before, last].map(({ heap }) => Math.round(heap / 1e6)),
      'nodes, then and now': [before, last].map(({ nodes: many }) => many),
      'of a core': ((last.work - before.work) / seconds).toFixed(2),
    });
    assert.equal(await one.locator('#banner').isVisible(), false, await one.locator('#banner').textContent());
    const own = () =>
      Promise.all(nodes.addresses.map(async at => (await (await fetch(`${at}/status`)).json()).commit));
    const committed = Math.max(...(await own()));
    await until(
      one,
      () => VR.app.state.commit,
      shown => shown >= committed,
      { within: 20_000 },
    );
  },
  { timeout: SECONDS * 1000 + 120_000 },
);

check('a page that nobody sees draws nothing, and is up to date when somebody looks again', async (open, context) => {
  const nodes = await cluster(context),
    one = await open(nodes.url);
  await ready(one);
  const hide = hidden =>
    one.evaluate(is => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => is });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  await hide(true);
  await settled(one);
  const shown = await one.locator('#now').innerText();
  for (let i = 0; i < 5; i++) await nodes.put(`unseen-${i}`, 'x');
  await until(
    one,
    () => VR.app.reducer.now.commit,
    commit => commit >= 5,
  );
  assert.equal(await one.locator('#now').innerText(), shown, 'drawn for nobody');
  await hide(false);
  await until(one, () => Number(document.querySelector('[data-card="committed"] dd').textContent) >= 5, true);
  // Frozen by the browser, as a tab in the background is: what it was not told meanwhile is caught up with.
  const devtools = await one.context().newCDPSession(one);
  const busy = load(context, nodes, 4, 8);
  await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
  await busy.ended;
  await devtools.send('Page.setWebLifecycleState', { state: 'active' });
  await nodes.put('last', 'x');
  const own = await Promise.all(nodes.addresses.map(async at => (await (await fetch(`${at}/status`)).json()).commit));
  await until(
    one,
    () => VR.app.state.commit,
    commit => commit >= Math.max(...own),
    { within: 30_000 },
  );
});
