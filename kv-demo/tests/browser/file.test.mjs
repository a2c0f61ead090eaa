// A page with its trace inside, from a disk: it needs nobody, shows the violation first, and steps exactly.
//
// Owns checks 1, 2 and 3 of VIEW §7. Must not know a service.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { check, go, ready, settled, until } from './harness.mjs';
import { fixture, read, shots, urlOf } from './place.mjs';
import { bandsAround, listsTheEvents, marksCommittedSlots, places, showsSilenceAsSilence } from './checks.mjs';
import { showsWhatTheTraceSays, stepsExactly } from './checks.mjs';
import { logsAt, parse } from './oracle.mjs';

const events = name => parse(read(`${name}.vrt.jsonl`));
const page = name => urlOf(fixture(`${name}.html`));

for (const [name, result] of [
  ['seed-1', /all held/],
  ['planted-log', /S8 best log/],
]) {
  check(`the page of ${name} from a disk without a network shows seed and result and asks nobody`, async open => {
    const one = await open(page(name), { offline: true });
    await ready(one);
    const all = events(name);
    assert.deepEqual(open.all[0].requests, [page(name)]);
    const title = await one.title();
    assert.match(title, result);
    if (all[0].seed) assert.match(title, new RegExp(`seed ${all[0].seed}`));
    assert.match(await one.locator('#result').innerText(), result);
    assert.equal(await one.evaluate(() => VR.app.debug.count()), all.length);
    for (const panel of ['#now .card', '#ring .node', '#log tr', '#table tr', '#events .row', '#inspector pre'])
      assert.ok((await one.locator(panel).count()) > 0, `${panel} is empty`);
    // Its window is of the trace, not of what was before it or comes after it.
    for (const end of ['Home', 'End']) {
      await one.keyboard.press(end);
      await settled(one);
      const { low, high, first, last } = await one.evaluate(() => {
        const { store, diagram } = VR.app;
        return { ...diagram.window, first: store.t(store.base), last: store.t(store.last) };
      });
      const margin = (high - low) * 0.05;
      assert.ok(low >= first - margin && high <= last + margin, `${end}: ${low} to ${high} of ${first} to ${last}`);
    }
    const drawn = canvas => {
      const { width, height } = canvas,
        data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
      return data.some(value => value > 0);
    };
    for (const canvas of ['#diagram', '#overview'])
      assert.ok(await one.locator(canvas).evaluate(drawn), `${canvas} is empty`);
    await one.screenshot({ path: join(shots, `page-${name}.png`), fullPage: true });
  });
}

for (const name of ['planted-log', 'planted-pair']) {
  check(
    `v leads to the violation of ${name}, rings who is concerned, marks the op, and the address keeps the place`,
    async open => {
      const all = events(name),
        broken = all.find(e => e.k === 'viol'),
        one = await open(page(name));
      await ready(one);
      await go(one, 5);
      await one.keyboard.press('v');
      await settled(one);
      assert.equal(await one.evaluate(() => VR.app.sel), broken.i);
      assert.ok(
        (await one.locator('#inspector').innerText()).includes(broken.inv),
        'the inspector names the property',
      );
      assert.ok((await one.locator('#verdict').innerText()).includes(broken.msg), 'the verdict says what happened');
      const ringed = await one
        .locator('#ring .node.concerned')
        .evaluateAll(found => found.map(node => node.dataset.node));
      assert.deepEqual(ringed.sort(), [...broken.nodes].sort());
      // Where a slot differs from what was committed at its op, it is marked.
      const committed = new Map();
      for (const e of all)
        if (e.k === 'commit')
          for (const [op, ck] of logsAt(all, e.i).get(e.n) || [])
            if (op <= e.op && !committed.has(op)) committed.set(op, ck);
      const wrong = [...logsAt(all, broken.i)].flatMap(([node, log]) =>
        [...log].filter(([op, ck]) => committed.has(op) && committed.get(op) !== ck).map(([op]) => `${op} ${node}`),
      );
      const marked = await one
        .locator('#log td[data-mark="✗"]')
        .evaluateAll(cells => cells.map(cell => `${cell.dataset.op} ${cell.dataset.node}`));
      assert.deepEqual(marked.sort(), wrong.sort());
      if (name === 'planted-log') assert.ok(marked.length > 0, 'this bug leaves logs that differ');
      await until(
        one,
        () => location.hash,
        hash => hash.includes(`i=${broken.i}`),
      );
      await one.screenshot({ path: join(shots, `violation-${name}.png`) });
      await one.reload();
      await ready(one);
      assert.equal(await one.evaluate(() => VR.app.sel), broken.i);
      await go(one, 17);
      await until(
        one,
        () => location.hash,
        hash => hash.includes('i=17'),
      );
      await one.reload();
      await ready(one);
      assert.equal(await one.evaluate(() => VR.app.sel), 17, 'any other place is kept, too');
    },
  );
}

for (const name of ['seed-1', 'seed-2', 'seed-3']) {
  check(`every place of ${name} is the same state whether walked, jumped or stepped back to`, async open => {
    const one = await open(page(name));
    await ready(one);
    await stepsExactly(one, events(name), places(events(name), 50, 3));
  });
}

for (const name of ['seed-1', 'seed-2', 'planted-log']) {
  check(`tables, cards, replicas, logs and list of ${name} say what its trace says`, async open => {
    const all = events(name),
      one = await open(page(name));
    await ready(one);
    await showsWhatTheTraceSays(one, all, places(all, 25, 1));
    await marksCommittedSlots(one, all, places(all, 20, 2));
    await listsTheEvents(one, all, places(all, 12, 4));
  });
}

check('whoever is silent, unreachable, down or missing events never looks healthy', async open => {
  const one = await open(page('silence'));
  await ready(one);
  await showsSilenceAsSilence(one, JSON.parse(read('silence.json')));
  // Nor has it a band in the diagram.
  for (const [what, i] of Object.entries({ silent: 4, gap: 5, unreachable: 6 })) {
    await go(one, 2);
    assert.deepEqual(await bandsAround(one, i), [true, false], what);
  }
  assert.deepEqual(await bandsAround(one, 7), [false, true], 'and one again when its state is known');
});
