// Files that are no trace, or not a whole one: what is wrong is said, by line, and the page lives on.
//
// Owns check 13 of VIEW §7. Must not know how a file is read.
import assert from 'node:assert/strict';
import { check, ready, settled, until } from './harness.mjs';
import { fixture, read, urlOf } from './place.mjs';

/** File → what is said of it, and how many events of it are shown. */
const BAD = [
  ['cut-in-a-line.vrt.jsonl', /middle of a line \(line \d+\)/, count => count > 1000],
  ['without-end.vrt.jsonl', /no end/, count => count === 500],
  ['version.vrt.jsonl', /line 1: .*vrtrace\/2.*reads vrtrace\/1/, 0],
  ['not-a-trace.vrt.jsonl', /line 1: /, 0],
  ['order.vrt.jsonl', /line 121: column "i": 121 where 120/, count => count === 120],
  ['not-json.vrt.jsonl', /line 41: not JSON/, count => count === 40],
  ['first-line.vrt.jsonl', /middle of a line|line 1: not JSON/, 0],
  ['deep.vrt.jsonl', /line 10: nested too deeply|middle of a line \(line 10\)/, count => count === 9],
  ['deepest.vrt.jsonl', /line 1: /, 0],
  ['wide.vrt.jsonl', /line 2: longer than a megabyte/, 0],
  ['members.vrt.jsonl', /line 1: column "config.members"/, 0],
  ['pollution.vrt.jsonl', /no end/, count => count === 3],
  ['empty.vrt.jsonl', /empty/, 0],
  ['blank.vrt.jsonl', /empty/, 0],
  ['noise.vrt.jsonl', /line 1: not JSON/, 0],
  ['noise.vrt.jsonl.gz', /./, 0],
  ['cut.vrt.jsonl.gz', /read only up to event #\d+/, count => count > 10],
  ['bomb.vrt.jsonl.gz', /line 1: longer than a megabyte/, 0],
  ['large.vrt.jsonl', /larger than 2 GB/, 0],
];

check(
  'of every file that is no whole trace the page says what is wrong with it, and reads the next one',
  async open => {
    const one = await open(urlOf(fixture('empty.html')));
    const banner = () => {
      const { hidden, textContent } = document.getElementById('banner');
      return hidden ? '' : textContent;
    };
    for (const [name, says, shown] of BAD) {
      await one.setInputFiles('#file', fixture('good.vrt.jsonl.gz'));
      await ready(one);
      await until(one, banner, '', { what: `the banner before ${name}` });
      assert.equal(await one.evaluate(() => VR.app.debug.count() > 1000), true, 'the page reads a good file');
      await one.setInputFiles('#file', fixture(`bad-${name}`));
      await until(one, banner, text => says.test(text), { what: name });
      await settled(one);
      const count = await one.evaluate(() => VR.app.debug.count());
      if (shown !== 0) assert.ok(shown(count), `${name}: ${count} events`);
      else assert.equal(await one.locator('#empty').isVisible(), true, `${name}: a file is asked for again`);
      assert.equal(await one.evaluate(() => ({}).polluted === undefined && !('polluted' in Object.prototype)), true);
      assert.equal(await one.evaluate(() => document.getElementById('loading').textContent), '');
    }
  },
);

check('a trace that is cut off can be walked as far as it goes', async open => {
  const one = await open(urlOf(fixture('empty.html')));
  await one.setInputFiles('#file', fixture('bad-cut-in-a-line.vrt.jsonl'));
  await ready(one);
  await one.keyboard.press('End');
  await settled(one);
  const lines = read('bad-cut-in-a-line.vrt.jsonl').split('\n').length - 1;
  assert.deepEqual(await one.evaluate(() => [VR.app.sel, VR.app.debug.count()]), [lines - 1, lines]);
});

check('a file that is dropped on the page is opened', async open => {
  const one = await open(urlOf(fixture('empty.html')));
  const text = read('seed-1.vrt.jsonl');
  const carried = await one.evaluateHandle(data => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([data], 'dropped.vrt.jsonl'));
    return transfer;
  }, text);
  await one.dispatchEvent('body', 'drop', { dataTransfer: carried });
  await ready(one);
  assert.equal(await one.evaluate(() => VR.app.debug.count()), text.trimEnd().split('\n').length);
});
