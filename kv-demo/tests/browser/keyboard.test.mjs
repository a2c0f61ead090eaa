// Everything can be done without a pointer: reached, seen to be reached, used and left again.
//
// Owns check 9 of VIEW §7. Must not know how anything is drawn.
import assert from 'node:assert/strict';
import { check, go, ready, settled, until } from './harness.mjs';
import { fixture, read, urlOf } from './place.mjs';
import { parse } from './oracle.mjs';

const page = name => urlOf(fixture(`${name}.html`));
const sel = one => one.evaluate(() => VR.app.sel);

/** What is focused: a name, and whether that can be seen. */
const focused = one =>
  one.evaluate(() => {
    const on = document.activeElement;
    if (!on || on === document.body) return null;
    globalThis.seenByTab ??= [];
    let at = globalThis.seenByTab.indexOf(on);
    if (at < 0) at = globalThis.seenByTab.push(on) - 1;
    // A control may be drawn by what stands around it.
    const shows = e => {
      const style = getComputedStyle(e);
      return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
    };
    const box = on.getBoundingClientRect();
    const isOut = box.bottom < 0 || box.top > innerHeight || box.right < 0 || box.left > innerWidth;
    const halo = on.querySelector?.('.halo, .disc');
    return {
      at,
      name: `${on.tagName.toLowerCase()}#${on.id || on.getAttribute('aria-label') || on.textContent.slice(0, 30)}`,
      isSeen: shows(on) || (on.closest('label') !== null && shows(on.closest('label'))) || (halo && shows(halo)),
      isOut,
    };
  });

check('Tab reaches every control, shows where it is, and gets out at the end', async open => {
  const one = await open(page('planted-log'));
  await ready(one);
  await settled(one);
  const controls = await one.evaluate(() => {
    const all = document.querySelectorAll('a[href],button,input,select,textarea,summary,[tabindex="0"]');
    const visible = [...all].filter(e => e.checkVisibility() && !e.disabled && e.tabIndex >= 0);
    globalThis.seenByTab = visible;
    return visible.map(
      e => `${e.tagName.toLowerCase()}#${e.id || e.getAttribute('aria-label') || e.textContent.slice(0, 30)}`,
    );
  });
  assert.ok(controls.length > 40, `only ${controls.length} controls`);
  const reached = new Set(),
    unseen = [];
  let left = false;
  for (let tabs = 0; tabs < controls.length + 30 && !left; tabs++) {
    await one.keyboard.press('Tab');
    const on = await focused(one);
    if (on === null || (reached.size > 5 && on.at === 0)) {
      left = true;
      continue;
    }
    reached.add(on.at);
    if (!on.isSeen) unseen.push(on.name);
    assert.ok(!on.isOut, `${on.name} has the focus out of sight`);
  }
  assert.deepEqual(
    controls.filter((_, at) => !reached.has(at)),
    [],
    'Tab does not reach these',
  );
  assert.deepEqual(unseen, [], 'nobody sees that these have the focus');
  assert.ok(left, 'Tab never left the page');
});

check('every shortcut does what the help says', async open => {
  const all = parse(read('planted-log.vrt.jsonl')),
    one = await open(page('planted-log'));
  await ready(one);
  const press = async key => {
    await one.keyboard.press(key);
    await settled(one);
  };
  const last = all[all.length - 1].i,
    viol = all.find(e => e.k === 'viol').i;
  await press('Home');
  assert.equal(await sel(one), 0);
  await press('End');
  assert.equal(await sel(one), last);
  await press('v');
  assert.equal(await sel(one), viol);
  await go(one, 100);
  await press('ArrowRight');
  assert.equal(await sel(one), 101);
  await press('ArrowLeft');
  assert.equal(await sel(one), 100);
  const after = (from, test) => all.find(e => e.i > from && test(e))?.i,
    before = (from, test) => all.findLast(e => e.i < from && test(e))?.i;
  const message = e => e.k === 'send' || e.k === 'recv',
    view = e => e.k === 'set' && e.view !== undefined;
  await press('.');
  assert.equal(await sel(one), after(100, message));
  await go(one, 100);
  await press(',');
  assert.equal(await sel(one), before(100, message));
  await go(one, 100);
  await press(']');
  assert.equal(await sel(one), after(100, view));
  await go(one, viol);
  await press('[');
  assert.equal(await sel(one), before(viol, view));
  await go(one, 100);
  await press('2');
  assert.equal(await one.evaluate(() => VR.app.chosen), 'r1');
  await press('Shift+ArrowRight');
  assert.equal(
    await sel(one),
    after(100, e => e.n === 'r1'),
  );
  await go(one, 100);
  await press('Shift+ArrowLeft');
  assert.equal(
    await sel(one),
    before(100, e => e.n === 'r1'),
  );
  await go(one, 100);
  await press('b');
  await until(
    one,
    () => location.hash,
    hash => /b=100\b/.test(hash),
  );
  await press('b');
  await until(
    one,
    () => location.hash,
    hash => !hash.includes('b='),
  );
  await press('c');
  assert.equal(await one.evaluate(() => Boolean(VR.app.causal)), true);
  await press('c');
  assert.equal(await one.evaluate(() => Boolean(VR.app.causal)), false);
  const span = () => one.evaluate(() => VR.app.diagram.window.high - VR.app.diagram.window.low);
  const was = await span();
  await press('+');
  assert.ok((await span()) < was, '+ shows less');
  await press('0');
  assert.ok((await span()) > was, '0 shows all');
  const theme = () => one.evaluate(() => document.documentElement.dataset.theme);
  const bright = await theme();
  await press('t');
  assert.notEqual(await theme(), bright);
  await press('g');
  await one.keyboard.type('123');
  await press('Enter');
  assert.equal(await sel(one), 123);
  await press('Space');
  assert.equal(await one.evaluate(() => VR.app.playing), true);
  await press('Space');
  assert.equal(await one.evaluate(() => VR.app.playing), false);
  for (const key of ['?', 'g']) {
    await press(key);
    assert.equal(await one.locator('dialog[open]').count(), 1, `${key} opens a dialog`);
    const at = await sel(one);
    await press('ArrowRight');
    assert.equal(await sel(one), at, 'no key acts behind a dialog');
    await press('Escape');
    assert.equal(await one.locator('dialog[open]').count(), 0, 'Esc closes it');
  }
  await press('?');
  const help = await one.locator('#help').innerText();
  for (const word of ['Space', 'Home', 'End', 'violation', 'filter', 'bookmark', 'theme', 'causal'])
    assert.ok(help.includes(word), word);
});

check('no key acts while a person types, and Esc leaves the field', async open => {
  const one = await open(page('planted-log'));
  await ready(one);
  await go(one, 50);
  await one.keyboard.press('/');
  assert.equal(await one.evaluate(() => document.activeElement.id), 'filter');
  const state = () =>
    one.evaluate(() => [
      VR.app.sel,
      VR.app.chosen,
      VR.app.playing,
      document.documentElement.dataset.theme,
      VR.app.bookmarks.size,
    ]);
  const was = await state();
  await one.keyboard.type('v g b t c 1 [ ] , . ? /');
  await one.keyboard.press('Home');
  await one.keyboard.press('ArrowRight');
  await settled(one);
  assert.deepEqual(await state(), was);
  assert.equal(await one.locator('dialog[open]').count(), 0);
  await one.keyboard.press('Escape');
  assert.notEqual(await one.evaluate(() => document.activeElement.id), 'filter');
  await one.keyboard.press('v');
  await settled(one);
  assert.notEqual(await sel(one), 50);
});

check('who acts on a control by key keeps the focus', async open => {
  const one = await open(page('planted-log'));
  await ready(one);
  for (const control of [
    '#b-back',
    '#ring .node >> nth=1',
    '#inspector button.link >> nth=0',
    '#now button.link >> nth=0',
    '#story button >> nth=0',
    '#causal',
    '#chips button >> nth=0',
  ]) {
    await go(one, 200);
    await one.locator(control).first().focus();
    await one.keyboard.press('Enter');
    await settled(one);
    await settled(one);
    const on = await one.evaluate(() => document.activeElement === document.body);
    assert.ok(!on, `after Enter on ${control} nothing has the focus`);
  }
});
