// How the page looks: in light and dark, in forced colours and without motion, on large screens and small ones.
//
// Owns checks 12 and 16 of VIEW §7; the pictures it leaves are for a person, no test compares them. Must not know what
// is shown.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { check, go, ready, settled } from './harness.mjs';
import { fixture, read, shots, urlOf } from './place.mjs';

const axe = createRequire(import.meta.url)('axe-core').source;
const page = name => urlOf(fixture(`${name}.html`));

/** What axe finds that keeps somebody out. */
async function barriers(one) {
  const { violations } = await one.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  return violations
    .filter(found => found.impact === 'serious' || found.impact === 'critical')
    .map(
      ({ id, nodes }) => `${id}: ${nodes.slice(0, 9).map(node => node.target.join(' ') + ' ' + node.failureSummary)}`,
    );
}

for (const colorScheme of ['light', 'dark']) {
  check(`nothing in the ${colorScheme} page keeps anybody out`, async open => {
    for (const name of ['planted-log', 'seed-1', 'silence', 'empty']) {
      const one = await open(page(name), { colorScheme });
      await one.evaluate(axe);
      if (name !== 'empty') await ready(one);
      assert.equal(await one.evaluate(() => document.documentElement.dataset.theme), colorScheme);
      assert.deepEqual(await barriers(one), [], name);
      if (name !== 'seed-1') continue;
      await go(one, await one.evaluate(() => VR.app.store.marks.find(([, kind]) => kind === 'crash')[0] + 3));
      await one.locator('#causal').click();
      await settled(one);
      assert.deepEqual(await barriers(one), [], `${name}, after a crash`);
      await one.keyboard.press('?');
      assert.deepEqual(await barriers(one), [], 'the help');
      await one.screenshot({ path: join(shots, `help-${colorScheme}.png`) });
    }
  });
}

check('in forced colours and in grey every status is told by its glyph and its word', async open => {
  const places = JSON.parse(read('silence.json'));
  for (const options of [{ forcedColors: 'active' }, { contrast: 'more' }, {}]) {
    const one = await open(page('silence'), options);
    await ready(one);
    const seen = new Set();
    for (const { i, node } of places) {
      await go(one, i);
      const [glyph, label] = await one
        .locator(`#ring .node[data-node="${node}"]`)
        .evaluate(shown => [shown.querySelector('text:not(title)').textContent, shown.getAttribute('aria-label')]);
      seen.add(glyph + label.split(/[:,] /)[1]);
      const table = await one.locator('#table th[scope=col]').allInnerTexts();
      assert.ok(
        table.some(head => head.includes(glyph) && head.includes(node)),
        `${table}: ${glyph} of ${node}`,
      );
    }
    assert.equal(seen.size, new Set(places.map(({ glyph, word }) => glyph + word)).size);
    if (options.forcedColors) await one.screenshot({ path: join(shots, 'forced-colours.png') });
    else if (!options.contrast) {
      await one.evaluate(() => document.documentElement.style.setProperty('filter', 'grayscale(1)'));
      await one.screenshot({ path: join(shots, 'grey.png') });
    }
  }
});

check('who wants no motion gets none', async open => {
  const one = await open(page('seed-1'), { reducedMotion: 'reduce' });
  await ready(one);
  await go(one, 400);
  await one.keyboard.press('Space');
  const moving = await one.evaluate(() => {
    const lasting = [...document.querySelectorAll('*')].filter(e => {
      const { animationName, animationDuration, transitionDuration } = getComputedStyle(e);
      const long = text => text.split(',').some(part => parseFloat(part) > 0.01);
      return (animationName !== 'none' && long(animationDuration)) || long(transitionDuration);
    });
    return { animations: document.getAnimations().length, lasting: lasting.length };
  });
  await one.keyboard.press('Space');
  assert.deepEqual(moving, { animations: 0, lasting: 0 });
});

const LAYOUTS = [
  { name: '1024x640', viewport: { width: 1024, height: 640 } },
  { name: '1440x900', viewport: { width: 1440, height: 900 } },
  { name: '390x844', viewport: { width: 390, height: 844 }, hasTouch: true },
  // A page at 200 % has half the pixels of its window.
  { name: '200-percent', viewport: { width: 720, height: 450 }, deviceScaleFactor: 2 },
];

/** What lies on something else, sticks out, or is too small for a finger. */
const faults = (one, touch) =>
  one.evaluate(finger => {
    const bad = [],
      root = document.scrollingElement;
    if (root.scrollWidth > innerWidth) bad.push(`the page is ${root.scrollWidth} wide in a window of ${innerWidth}`);
    const boxes = [...document.querySelectorAll('header, body > section, body > nav, main > .panel, #banner')]
      .filter(e => e.checkVisibility())
      .map(e => [e.id || e.tagName, e.getBoundingClientRect()])
      .filter(([, box]) => box.width > 0 && box.height > 0);
    boxes.forEach(([a, x], at) => {
      if (x.left < -1 || x.right > innerWidth + 1) bad.push(`${a} sticks out: ${x.left} to ${x.right}`);
      for (const [b, y] of boxes.slice(at + 1)) {
        const w = Math.min(x.right, y.right) - Math.max(x.left, y.left),
          h = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
        if (w > 1 && h > 1) bad.push(`${a} and ${b} overlap by ${Math.round(w)} × ${Math.round(h)}`);
      }
    });
    const controls = [...document.querySelectorAll('button, summary, select, input')].filter(e =>
      e.checkVisibility(),
    );
    for (const e of controls) {
      const box = e.getBoundingClientRect(),
        // In a line of text a link may be as high as its line.
        inText = e.classList.contains('link') || e.closest('p, label, #story');
      if (e.tagName === 'BUTTON' && e.scrollWidth > e.clientWidth + 1)
        bad.push(`${e.textContent} does not fit its button`);
      if (finger && !inText && Math.min(box.width, box.height) < 23.5)
        bad.push(`${e.id || e.textContent} is ${Math.round(box.width)} × ${Math.round(box.height)}`);
    }
    return bad;
  }, touch);

for (const { name, ...layout } of LAYOUTS) {
  check(`at ${name} nothing overlaps and nothing sticks out`, async open => {
    for (const of of ['planted-log', 'seed-1', 'silence']) {
      const one = await open(page(of), layout);
      await ready(one);
      await settled(one);
      assert.deepEqual(await faults(one, true), [], of);
      await one.screenshot({ path: join(shots, `${of}-${name}.png`), fullPage: true });
      const tabs = one.locator('#tabs button');
      if (!(await tabs.first().isVisible())) continue;
      for (const tab of await tabs.all()) {
        await tab.click();
        await settled(one);
        assert.deepEqual(await faults(one, true), [], `${of}, ${await tab.innerText()}`);
        const panel = await tab.getAttribute('data-panel');
        assert.ok(await one.locator(`#${panel}`).isVisible(), `${panel} is not shown`);
        if (of === 'planted-log')
          await one.screenshot({ path: join(shots, `tab-${panel}-${name}.png`), fullPage: true });
      }
    }
  });
}
