// Filters count right, and one selection is the same in every panel.
//
// Owns check 10 of VIEW §7. Must not know how a filter is compiled.
import assert from 'node:assert/strict';
import { check, go, ready, settled, until } from './harness.mjs';
import { fixture, read, urlOf } from './place.mjs';
import { picksArrows } from './checks.mjs';
import { count, parse } from './oracle.mjs';

const plain = text => text.replace(/[\u202f ]/g, ' ');

/** What a filter lets through, told a second time. */
const FILTERS = [
  ['type:Prepare node:r1', e => e.ty === 'Prepare' && e.n === 'r1'],
  ['type:Prepare,PrepareOk', e => ['Prepare', 'PrepareOk'].includes(e.ty)],
  ['type:PRE,SVC', e => ['Prepare', 'StartViewChange'].includes(e.ty)],
  ['kind:crash', e => e.k === 'crash'],
  ['node:r0 kind:set view>=1', e => e.n === 'r0' && e.k === 'set' && e.view >= 1],
  ['op:3..5', e => e.op >= 3 && e.op <= 5],
  ['op:7', e => e.op === 7],
  ['op>=12 kind:commit', e => e.op >= 12 && e.k === 'commit'],
  ['view:2', e => e.view === 2],
  ['dropped', e => e.k === 'drop' || (e.k === 'recv' && e.verdict !== 'ok')],
  ['kind:nothing-like-it', () => false],
];

for (const name of ['seed-1', 'seed-3']) {
  check(`every filter over ${name} shows as many events as the trace has, and says how many it hides`, async open => {
    const all = parse(read(`${name}.vrt.jsonl`)),
      one = await open(urlOf(fixture(`${name}.html`)));
    await ready(one);
    for (const [filter, test] of FILTERS) {
      await one.locator('#filter').fill(filter);
      await until(one, () => VR.app.filterText, filter);
      await settled(one);
      const wanted = count(all, test),
        hidden = all.length - wanted;
      const said = await until(
        one,
        () => document.getElementById('hidden-count').textContent.replace(/\u202f/g, ''),
        text => text === `${wanted} shown, ${hidden} hidden`,
        { within: 3000, what: `${filter}, of which there are ${wanted}` },
      );
      assert.ok(plain(said).includes(String(hidden)));
      assert.equal(await one.evaluate(() => VR.app.debug.shown()), wanted, filter);
      assert.equal(await one.evaluate(() => VR.app.debug.hidden()), hidden, filter);
      const rows = await one.locator('#events .row').evaluateAll(found => found.map(row => Number(row.dataset.i)));
      for (const i of rows) assert.ok(test(all[i]), `#${i} is shown by ${filter}`);
      if (wanted > 0) assert.ok(rows.length > 0, `${filter} shows nothing`);
    }
    await one.locator('#filter').fill('colour:blue');
    await until(one, () => document.getElementById('filter').getAttribute('aria-invalid'), 'true');
    assert.match(await one.locator('#hidden-count').innerText(), /colour/);
  });
}

check('causes of an event lie before it, effects behind it, and both are found by hand, too', async open => {
  const all = parse(read('seed-1.vrt.jsonl')),
    one = await open(urlOf(fixture('seed-1.html'))),
    of = all.filter(e => e.k === 'commit')[5].i;
  await ready(one);
  // The past, by its definition: the cause, and what the same node did before.
  const past = new Set([of]),
    work = [of];
  const before = new Map(),
    latest = new Map();
  for (const e of all) {
    if (/^[rc]/.test(e.n || '')) {
      before.set(e.i, latest.get(e.n));
      latest.set(e.n, e.i);
    }
  }
  while (work.length) {
    const i = work.pop();
    for (const x of [all[i].by, before.get(i)])
      if (x !== undefined && !past.has(x)) {
        past.add(x);
        work.push(x);
      }
  }
  await one.evaluate(i => VR.app.setFilter(`cause-of:#${i}`), of);
  const shown = await one.evaluate(() =>
    Array.from({ length: VR.app.store.count }, (_, i) => i).filter(i => VR.app.isShown(i)),
  );
  const known = [...past].filter(i => /^[rc]/.test(all[i].n || '')).sort((a, b) => a - b);
  assert.deepEqual(shown, known);
  await one.evaluate(i => VR.app.setFilter(`effect-of:#${i}`), of);
  assert.ok(await one.evaluate(i => Array.from({ length: i }, (_, x) => x).every(x => !VR.app.isShown(x)), of));
});

check('a click on an arrow selects its event in the list, the replicas and the inspector', async open => {
  const one = await open(urlOf(fixture('seed-1.html')));
  await ready(one);
  await picksArrows(one, parse(read('seed-1.vrt.jsonl')));
});

check('a click in the list, on a log slot, on a message of the replicas selects that event', async open => {
  const one = await open(urlOf(fixture('seed-1.html')));
  await ready(one);
  await go(one, 900);
  for (const row of [2, 5, 8]) {
    const i = await one.locator('#events .row').nth(row).getAttribute('data-i');
    await one.locator('#events .row').nth(row).click();
    await settled(one);
    assert.equal(String(await one.evaluate(() => VR.app.sel)), i);
    assert.match(await one.locator('#inspector').innerText(), new RegExp(`#${i} ·`));
  }
  const cell = one.locator('#log td[data-op]:not([data-mark="·"])').first(),
    { op, node } = await cell.evaluate(td => ({ ...td.dataset }));
  await cell.click();
  await settled(one);
  const e = await one.evaluate(() => VR.app.store.event(VR.app.sel));
  assert.deepEqual([e.k, String(e.op), e.n], ['log', op, node]);
});
