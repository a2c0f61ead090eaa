// What a page must show of a trace, as functions: the tests hold the page to them, and `planted.test.mjs` holds them
// to pages with a defect.
//
// Owns the comparison of what stands on the page with what `oracle.mjs` reads in the trace. Must not know which page,
// nor whose. VIEW §7.
import assert from 'node:assert/strict';
import { go, settled } from './harness.mjs';
import { chance } from './place.mjs';
import { CORPUS, HIDING } from './hostile.mjs';
import { arrivals, clusterAt, logsAt } from './oracle.mjs';

const STATUS = { normal: 'normal', view_change: 'view change', recovering: 'recovering', halted: 'halted' };
const plain = text =>
  text
    .replace(/[\u202f ]/g, '')
    .replace('≠', '')
    .trim();

/** The table that the page shows: field → node → text. */
const table = page =>
  page.evaluate(() => {
    const found = {};
    for (const row of document.querySelectorAll('#table tr[data-field]'))
      found[row.dataset.field] = [...row.querySelectorAll('td')].map(cell => cell.textContent);
    return found;
  });

const card = (page, name) => page.locator(`#now [data-card="${name}"] dd`).first().innerText();

/** At these events the table, the card at a glance and the replicas say what the trace says. */
export async function showsWhatTheTraceSays(page, events, places) {
  for (const i of places) {
    await go(page, i);
    const wanted = clusterAt(events, i),
      shown = await table(page);
    const fields = { view: 'view', op: 'op', durable: 'durable', committed: 'commit', executed: 'applied' };
    for (const [row, field] of Object.entries(fields)) {
      wanted.nodes.forEach((node, at) => {
        const value = node[field] === undefined ? '–' : String(node[field]);
        assert.equal(plain(shown[row][at]), value, `${row} of ${node.name} at #${i}`);
      });
    }
    wanted.nodes.forEach((node, at) => {
      const word = !node.up ? 'down' : STATUS[node.status];
      if (node.status !== undefined) assert.equal(shown.status[at].replace('≠', '').trim(), word, `status at #${i}`);
    });
    assert.equal(plain(await card(page, 'committed')), String(wanted.committed), `committed at #${i}`);
    const labels = await page
      .locator('#ring .node')
      .evaluateAll(nodes => nodes.map(node => [node.dataset.node, node.getAttribute('aria-label')]));
    assert.deepEqual(
      labels.map(([name]) => name),
      wanted.members,
      `replicas at #${i}`,
    );
    wanted.nodes.forEach((node, at) => {
      if (node.view !== undefined)
        assert.match(labels[at][1], new RegExp(`view ${node.view}, op ${node.op}, `), `at #${i}`);
    });
  }
}

/** At these events a slot of a log is shown as committed exactly where its replica knows that it is. */
export async function marksCommittedSlots(page, events, places) {
  let compared = 0;
  for (const i of places) {
    await go(page, i);
    const { nodes } = clusterAt(events, i),
      logs = logsAt(events, i);
    const cells = await page
      .locator('#log td[data-op]')
      .evaluateAll(all => all.map(({ dataset, textContent }) => ({ ...dataset, text: textContent })));
    for (const { op, node: name, mark, text } of cells) {
      const node = nodes.find(one => one.name === name),
        ck = logs.get(name)?.get(Number(op));
      if (ck === undefined || node.commit === undefined || mark === '✗' || mark === '?') continue;
      const says = `op ${op} of ${name} at #${i} is ${mark}`;
      assert.equal(
        '✓■▣'.includes(mark),
        Number(op) <= Math.max(node.commit, node.applied || 0, node.ckpt || 0),
        says,
      );
      if (mark !== '▣') assert.ok(text.includes(String(ck).slice(0, 4)), `${says}, its hash is ${ck}`);
      compared += 1;
    }
  }
  assert.ok(compared > 20, `only ${compared} slots were compared`);
}

/** The rows of the list are the events of the trace, in their order. */
export async function listsTheEvents(page, events, places) {
  const byIndex = new Map(events.map(e => [e.i, e]));
  for (const i of places) {
    await go(page, i);
    const rows = await page.locator('#events .row').evaluateAll(all =>
      all.map(row => ({
        i: Number(row.dataset.i),
        t: row.querySelector('.t').textContent,
        kind: row.querySelector('.g').title,
        node: row.querySelector('.n').title,
        type: row.querySelector('.badge')?.title,
        text: row.querySelector('.s').textContent,
      })),
    );
    assert.ok(
      rows.some(row => row.i === i),
      `#${i} is not in sight`,
    );
    rows.forEach((row, at) => {
      const e = byIndex.get(row.i);
      if (at > 0) assert.ok(row.i > rows[at - 1].i, 'the list is not in order');
      assert.equal(row.t, (e.t / 1e9).toFixed(6), `time of #${row.i}`);
      assert.equal(row.kind, e.k, `kind of #${row.i}`);
      assert.equal(row.node, e.n || '', `node of #${row.i}`);
      assert.equal(row.type, e.ty, `type of #${row.i}`);
      if (e.k === 'send' && e.op !== undefined && /Prepare/.test(e.ty))
        assert.match(row.text, new RegExp(`\\b${e.op}\\b`));
    });
  }
}

/** Stepping and jumping lead to the same state as walking there from the beginning. */
export async function stepsExactly(page, events, places) {
  const last = events[events.length - 1].i;
  for (const i of places) {
    const [walked, jumped] = await page.evaluate(at => {
      const forward = VR.app.debug.forwardHash(at);
      VR.app.go(at);
      return [forward, VR.app.debug.stateHash()];
    }, i);
    assert.equal(jumped, walked, `a jump to #${i}`);
    if (i >= last) continue;
    await page.evaluate(at => {
      document.activeElement?.blur();
      VR.app.go(at + 1);
    }, i);
    await page.keyboard.press('ArrowLeft');
    const [at, back] = await page.evaluate(() => [VR.app.sel, VR.app.debug.stateHash()]);
    assert.equal(at, i, `a step back from #${i + 1}`);
    assert.equal(back, walked, `a step back to #${i}`);
  }
}

/** Arrows that can be told apart, as [event, x, y] on the canvas. */
const arrows = (page, found) =>
  page.evaluate(
    all =>
      all
        .map(i => [i, VR.app.diagram.placeOf(i)])
        .filter(([i, place]) => place && VR.app.diagram.pick(place.x, place.y) === i)
        .map(([i, place]) => [i, place.x, place.y]),
    found,
  );

/** A click on an arrow selects its event everywhere. */
export async function picksArrows(page, events, wanted = 6) {
  const arrived = arrivals(events),
    draw = chance(7);
  let picked = 0;
  for (let tries = 0; tries < 40 && picked < wanted; tries++) {
    const [around] = draw.of(arrived);
    await page.evaluate(i => {
      VR.app.go(i);
      VR.app.diagram.setAxis('order');
      VR.app.diagram.around(i, 30);
      VR.app.redraw();
    }, around.i);
    await settled(page);
    const near = arrived.filter(([e]) => Math.abs(e.i - around.i) < 12).map(([e]) => e.i);
    const visible = await arrows(page, near);
    if (visible.length === 0) continue;
    const [i, x, y] = draw.of(visible),
      e = events.find(one => one.i === i),
      box = await page.locator('#diagram').boundingBox();
    await page.mouse.click(box.x + x, box.y + y);
    await settled(page);
    assert.equal(await page.evaluate(() => VR.app.sel), i, `a click on the arrow of #${i}`);
    assert.equal(await page.locator('#events .row.sel').getAttribute('data-i'), String(i), 'the list');
    const inspected = await page.locator('#inspector').innerText();
    assert.match(inspected, new RegExp(`#${i} ·`), 'the inspector');
    const raw = JSON.parse(await page.locator('#inspector pre').first().textContent());
    assert.deepEqual(raw.event || raw, e, 'what the inspector says of it');
    if (raw.message)
      assert.deepEqual(
        raw.message,
        events.find(one => one.i === e.by),
        'the message it is of',
      );
    assert.equal(await page.evaluate(() => VR.app.state.i), i, 'the replicas');
    picked += 1;
  }
  assert.ok(picked >= wanted, `only ${picked} arrows could be clicked`);
}

/** Nothing that is not heard of looks healthy: by its word, its glyph, its shape. */
export async function showsSilenceAsSilence(page, silences) {
  for (const { i, node, word, glyph, shape } of silences) {
    await go(page, i);
    const seen = await page.locator(`#ring .node[data-node="${node}"]`).evaluate(one => ({
      label: one.getAttribute('aria-label'),
      shape: one.getAttribute('class'),
      glyph: one.querySelectorAll('text')[0].textContent,
    }));
    assert.match(seen.label, new RegExp(`^${node} v\\d+: ${word}[ ,]`), `${node} at #${i}`);
    assert.equal(seen.glyph, glyph, `${node} at #${i}`);
    assert.match(seen.shape, new RegExp(`\\b${shape}\\b`), `${node} at #${i}`);
  }
}

/** The band of a node in the diagram: is one drawn just before an event of it, and just after? */
export async function bandsAround(page, i) {
  await page.evaluate(() => VR.app.diagram.whole());
  await settled(page);
  return page.evaluate(at => {
    const canvas = document.getElementById('diagram'),
      { x, y } = VR.app.diagram.placeOf(at),
      ratio = devicePixelRatio;
    // Beside what is drawn for the event itself, and off the line of the lane.
    const isBand = dx => canvas.getContext('2d').getImageData((x + dx) * ratio, (y + 3) * ratio, 1, 1).data[3] > 200;
    return [isBand(-20), isBand(20)];
  }, i);
}

/** Nothing ran, and nothing on the page hides or reorders what is read. */
export async function isHarmless(page) {
  const seen = await page.evaluate(source => {
    const hiding = new RegExp(source),
      bad = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const inert = node.closest?.('script') || node.parentElement?.closest('script');
      if (inert) continue;
      if (node.nodeType === 3 && hiding.test(node.data)) bad.push(`text ${JSON.stringify(node.data.slice(0, 80))}`);
      for (const { name, value } of node.attributes || []) {
        if (/^on|^srcdoc$/i.test(name)) bad.push(`attribute ${name}`);
        if (/^(href|src|action)$/i.test(name) && !/^(#|blob:|\/api\/v1\/)/.test(value)) bad.push(`${name}=${value}`);
        if (name !== 'placeholder' && name !== 'value' && hiding.test(value)) bad.push(`${name} hides something`);
      }
    }
    const strange = [...document.querySelectorAll('img,iframe,object,embed,base,form')].map(e =>
      e.outerHTML.slice(0, 80),
    );
    return { bad, strange, pwned: window.pwned, scripts: document.scripts.length };
  }, HIDING.source);
  assert.equal(seen.pwned, undefined, 'something ran');
  assert.deepEqual(seen.bad, []);
  assert.deepEqual(seen.strange, []);
  assert.equal(seen.scripts, 4);
}

/** Walks through a hostile trace: every panel shows every kind of event. */
export async function walksHarmlessly(page, events, step = 1) {
  const shown = new Set();
  for (let at = 0; at < events.length; at += step) {
    await go(page, events[at].i);
    if (at % 9 === 0) await isHarmless(page);
    const text = await page.locator('#inspector').textContent();
    for (const one of CORPUS)
      if (text.includes(JSON.stringify(one).slice(1, -1)) || text.includes(one)) shown.add(one);
  }
  await page.evaluate(() => VR.app.diagram.whole());
  await page.locator('#lanes').click();
  await settled(page);
  await isHarmless(page);
  return shown;
}

/** So many places, the first and the last among them. */
export function places(events, many, seed) {
  const draw = chance(seed),
    first = events[0].i,
    last = events[events.length - 1].i;
  const found = new Set([first, last]);
  while (found.size < Math.min(many, events.length)) found.add(first + draw.below(last - first));
  return [...found];
}
