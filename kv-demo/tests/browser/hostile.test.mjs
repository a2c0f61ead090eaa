// Traces that want to harm their reader: nothing in them runs, everything is shown as the text that it is.
//
// Owns check 7 of VIEW §7 for pages with a trace inside, and for files that are opened; `served.test.mjs` has the
// served ones. Must not know a service.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, go, ready, settled, until } from './harness.mjs';
import { chance, fixture, pageOf, read, shots, urlOf } from './place.mjs';
import { isHarmless, walksHarmlessly } from './checks.mjs';
import { CORPUS, HIDING, confused } from './hostile.mjs';
import { parse } from './oracle.mjs';

check('a hostile trace in a page does nothing and is shown literally', async open => {
  const events = parse(read('hostile.vrt.jsonl')),
    one = await open(urlOf(fixture('hostile.html')));
  await ready(one);
  assert.equal(await one.evaluate(() => VR.app.debug.count()), events.length, 'all of it arrived');
  const lines = await one.evaluate(() => Array.from({ length: VR.app.store.count }, (_, i) => VR.app.store.line(i)));
  assert.deepEqual(
    lines.map(line => JSON.parse(line)),
    events,
    'and as it was written',
  );
  const shown = await walksHarmlessly(one, events, 7);
  const visible = CORPUS.filter(text => !HIDING.test(text) && !/\\ud800/.test(JSON.stringify(text)));
  assert.deepEqual(
    visible.filter(text => !shown.has(text)),
    [],
    'these texts were not shown as they are',
  );
  await one.screenshot({ path: join(shots, 'hostile.png'), fullPage: true });
});

check('a hostile file with a hostile name, a hostile filter and a hostile address do nothing', async open => {
  const folder = fixture('names');
  mkdirSync(folder, { recursive: true });
  const name = '<img src=x onerror=window.pwned=1>\u202Elnosj.vrt.jsonl';
  copyFileSync(fixture('hostile.vrt.jsonl'), join(folder, name));
  const one = await open(
    urlOf(fixture('empty.html')) + '#i=<script>&n="><svg onload=window.pwned=1>&q=text:"<img>"&b=1,x',
  );
  await one.setInputFiles('#file', join(folder, name));
  await ready(one);
  await isHarmless(one);
  for (const text of CORPUS) {
    await one.evaluate(said => VR.app.setFilter(said), `text:"${text.replace(/"/g, '')}"`);
    await one.evaluate(said => VR.app.setFilter(said), text);
    await isHarmless(one);
  }
  for (const bad of ['version', 'order', 'noise']) {
    const path = join(folder, `${bad} ${name}`);
    copyFileSync(fixture(`bad-${bad}.vrt.jsonl`), path);
    await one.setInputFiles('#file', path);
    await until(one, () => document.getElementById('banner').textContent.length > 0, true);
    await isHarmless(one);
  }
});

check('a megabyte of text is cut and says how long it is', async open => {
  const events = parse(read('hostile.vrt.jsonl')),
    long = events.find(e => e.what === 'long'),
    one = await open(urlOf(fixture('hostile.html')));
  await ready(one);
  await go(one, long.i);
  const text = await one.locator('#inspector').textContent();
  assert.ok(text.length < 20_000, `${text.length} characters stand in the inspector`);
  assert.match(text, /990000 characters|characters\)/);
  await isHarmless(one);
});

check('traces whose fields are not what they should be leave the page alive', async open => {
  const events = parse(read('seed-2.vrt.jsonl')).slice(0, 1500),
    html = read('seed-1.html');
  for (let seed = 1; seed <= Number(process.env.VR_CONFUSED || 6); seed++) {
    const draw = chance(seed),
      path = fixture(`confused-${seed}.html`);
    writeFileSync(path, pageOf(html, confused(events, draw), `confused ${seed}`));
    const one = await open(urlOf(path));
    await one.waitForFunction(() => document.getElementById('loading').textContent === '');
    if (await one.evaluate(() => VR.app.store.count > 0)) {
      for (let looks = 0; looks < 15; looks++) {
        await go(one, await one.evaluate(at => Math.floor(at * VR.app.store.count), draw.next()));
        if (looks % 6 === 0) await one.keyboard.press('c');
      }
      await one.keyboard.press('End');
    }
    await isHarmless(one);
    assert.deepEqual(open.all[seed - 1].complaints, [], `seed ${seed}`);
    await one.close();
  }
});
