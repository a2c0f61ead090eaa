// The checks themselves: a page with a defect planted into its script must not pass the one that is there to find it.
//
// Owns the defects, as changes of the page's text; one that cannot be made any more fails, too. VIEW §7, last line.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { holds, ready, until } from './harness.mjs';
import { isHarmless, listsTheEvents, marksCommittedSlots, picksArrows, places } from './checks.mjs';
import { showsSilenceAsSilence, showsWhatTheTraceSays, stepsExactly, walksHarmlessly } from './checks.mjs';
import { parse } from './oracle.mjs';
import { changed, fixture, pageOf, read, urlOf } from './place.mjs';

const events = name => parse(read(`${name}.vrt.jsonl`));
const shows = (one, all) => showsWhatTheTraceSays(one, all, places(all, 25, 1));
const marks = (one, all) => marksCommittedSlots(one, all, places(all, 20, 2));
const lists = (one, all) => listsTheEvents(one, all, places(all, 12, 4));
const steps = (one, all) => stepsExactly(one, all, places(all, 50, 3));
const isSilent = one => showsSilenceAsSilence(one, JSON.parse(read('silence.json')));
const walks = async (one, all) => {
  await walksHarmlessly(one, all, 40);
  await isHarmless(one);
};

/** Name, page, the text that is replaced and by what, and the check that must notice. */
const DEFECTS = [
  ['a change of state that is dropped now and then', 'seed-1', 'assign(n, e);', 'if (e.i % 5) assign(n, e);', shows],
  ['a step back that begins one event late', 'seed-1', 's.i + 1 : frame.next', 's.i + 2 : frame.next + 1', steps],
  ['two neighbours swapped in the list', 'seed-1', 'e = s.event(i),\nname =', 'e = s.event(i ^ 1),\nname =', lists],
  [
    'the arrows of two messages swapped',
    'seed-1',
    'best = i;\n}\n}\nreturn best;',
    'best = i ^ 1;\n}\n}\nreturn best;',
    picksArrows,
  ],
  ['one op too many committed', 'seed-1', 's.commit = e.commit;', 's.commit = e.commit + 1;', shows],
  ['the newest committed op not marked', 'seed-1', /n\.(applied|commit) >= op\)/g, 'n.$1 > op)', marks],
  ['nothing that hides or reorders is escaped', 'hostile', /\.replace\(HIDING, c => [^;]*;/, ';', walks],
  ['a silent node shown as healthy', 'silence', "if (node.link === 'silent') return ['▨', 'silent'];", '', isSilent],
  ['a node that misses events shown as healthy', 'silence', /if \(node\.unknown\) return [^;]*;/, '', isSilent],
];

async function fails(html, name, look) {
  const all = events(name),
    path = fixture('planted.html');
  writeFileSync(path, html);
  const looked = holds(async open => look(await open(urlOf(path)), all));
  await assert.rejects(looked, assert.AssertionError, 'no check noticed');
}

for (const [what, name, from, to, look] of DEFECTS) {
  test(`${what}: noticed`, { timeout: 60_000 }, async () => {
    const html = changed(read(`${name}.html`), script => {
      assert.ok(from instanceof RegExp || script.split(from).length === 2, `${from} stands there once`);
      return script.replace(from, to);
    });
    await fails(html, name, async (one, all) => {
      await ready(one);
      await look(one, all);
    });
  });
}

test('markup of a trace that is not escaped in the page: noticed', { timeout: 60_000 }, async () => {
  const html = pageOf(read('seed-1.html'), read('hostile.vrt.jsonl'), 'hostile', text => text);
  await fails(html, 'hostile', async (one, all) => {
    await until(one, () => globalThis.VR?.app?.debug.count(), all.length, { within: 3000, what: 'events' });
    await isHarmless(one);
  });
});

test('without a defect the same checks hold', { timeout: 120_000 }, () =>
  holds(async open => {
    const all = new Map(DEFECTS.map(([, name, , , look]) => [name + look, [name, look]]));
    for (const [name, look] of all.values()) {
      const one = await open(urlOf(fixture(`${name}.html`)));
      await ready(one);
      await look(one, events(name));
      await one.close();
    }
  }),
);
