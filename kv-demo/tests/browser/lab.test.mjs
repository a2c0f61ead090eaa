// The lab: what is done on the page is what the same commands do without it, messages go as the hand says, and a fork
// leaves its origin alone.
//
// Owns check 14 of VIEW §7. Must not know how a command works.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, ready, settled, until } from './harness.mjs';
import { fixture, program, shots } from './place.mjs';
import { view } from './service.mjs';

/** The header names the command that makes the trace again: it differs with how it was made. */
const withoutRepro = line => line.replace(/"repro":"(?:[^"\\]|\\.)*",?/, '');
const lines = one =>
  one.evaluate(() =>
    Array.from({ length: VR.app.store.count }, (_, at) => VR.app.store.line(VR.app.store.base + at)),
  );
const events = async one => (await lines(one)).map(line => JSON.parse(line));
const error = one => one.evaluate(() => document.querySelector('#lab .error')?.textContent);
const perform = (one, ...commands) => one.evaluate(all => VR.app.lab.perform(...all), commands);
const idle = async one => {
  await one.evaluate(() => VR.app.lab.idle());
  await settled(one);
};
const press = async (one, name) => {
  await one.locator('#lab').getByRole('button', { name, exact: true }).first().click();
  await idle(one);
};

async function lab(open, context, options = [], watched = {}) {
  const { url, origin } = await view(context, '--lab', ...options),
    one = await open(url, watched);
  await ready(one);
  await idle(one);
  return { one, origin };
}

const SCRIPT = [
  'register c0 r0',
  'run 20ms',
  'hold on',
  'request c0 r0 put k 1',
  'run 5ms',
  'drop r0.1.2 r1',
  'deliver-all',
  'hold off',
  'run 20ms',
  'crash r0',
  'run 2s',
  'request c0 r1 get k',
  'run 100ms',
  'restart r0',
  'partition r0|r1,r2',
  'run 500ms',
  'heal',
  'run 1s',
];

check(
  'a session by hand is, event for event, what its command and its case do without the page',
  async (open, context) => {
    const { one, origin } = await lab(open, context, ['--replicas', '3', '--seed', '5']);
    await perform(one, ...SCRIPT);
    assert.equal(await error(one), undefined);
    const done = await lines(one),
      hash = await one.evaluate(() => VR.app.debug.stateHash(VR.app.store.last));
    assert.ok(done.length > 300, `${done.length} events`);
    const { command } = await (await fetch(`${origin}/api/v1/lab/command?branch=0`)).json(),
      words = /^cargo run --profile sim -p vr-sim -- (lab .*)$/.exec(command)[1],
      trace = fixture('by-hand.vrt.jsonl');
    const ran = spawnSync('sh', ['-c', `"$VR_SIM" ${words} --trace ${trace}`], { encoding: 'utf8' });
    assert.equal(ran.status, 0, ran.stderr);
    const file = readFileSync(trace, 'utf8').trimEnd().split('\n');
    assert.deepEqual(file.slice(0, done.length).map(withoutRepro), done.map(withoutRepro), 'the same events');
    assert.ok(file.length - done.length <= 1, 'and no others, but an end');
    // The page of that file ends in the same state.
    const other = await open(`file://${fixture('empty.html')}`);
    await other.setInputFiles('#file', trace);
    await ready(other);
    assert.equal(await other.evaluate(i => VR.app.debug.stateHash(i), done.length - 1), hash);
    const saved = fixture('by-hand.vrcase');
    writeFileSync(saved, await (await fetch(`${origin}/api/v1/lab/case?branch=0`)).text());
    assert.equal(spawnSync(program('VR_SIM'), ['replay', saved], { encoding: 'utf8' }).status, 0, 'its case replays');
  },
);

check('messages that are held arrive in the order in which a hand lets them go', async (open, context) => {
  const { one } = await lab(open, context, ['--replicas', '3']);
  await press(one, 'open a session q');
  await press(one, '+10 ms');
  await one.locator('#lab-hold').check();
  await idle(one);
  await press(one, 'request q');
  await press(one, '+10 ms');
  const held = await one.evaluate(() => VR.app.lab.state.held);
  assert.deepEqual(
    held.map(({ ty, to }) => `${ty} ${to}`),
    ['Prepare r1', 'Prepare r2'],
  );
  await one.screenshot({ path: join(shots, 'lab-held.png'), fullPage: true });
  const from = await one.evaluate(() => VR.app.store.next);
  for (const to of ['r2', 'r1']) {
    await one.locator(`#lab .hand [data-to="${to}"]`).getByRole('button', { name: 'deliver' }).first().click();
    await idle(one);
  }
  const arrived = (await events(one)).filter(e => e.i >= from && e.k === 'recv' && e.ty === 'Prepare').map(e => e.n);
  assert.deepEqual(arrived, ['r2', 'r1']);
  await press(one, '+10 ms');
  await press(one, 'drop all');
  await one.locator('#lab-hold').uncheck();
  await idle(one);
  assert.ok(
    (await events(one)).filter(e => e.k === 'drop' && e.ty !== 'Commit').length >= 2,
    'both answers are lost',
  );
  assert.equal(await one.evaluate(() => VR.app.lab.state.clients[0].waiting), true, 'so its client still waits');
  await press(one, '+100 ms');
  await press(one, '+100 ms');
  await until(one, () => VR.app.lab.state.clients[0].waiting, false);
  assert.equal(await error(one), undefined);
});

check('a fork goes its own way and leaves its origin as it was', async (open, context) => {
  const { one, origin } = await lab(open, context, ['--seed', '3']);
  await perform(one, ...SCRIPT.slice(0, 10), 'run 2s');
  const before = await lines(one),
    crash = before.map(line => JSON.parse(line)).find(e => e.cmd?.do === 'crash r0').i;
  await one.evaluate(i => VR.app.go(i - 1), crash);
  await press(one, 'fork here f');
  assert.equal(await one.evaluate(() => VR.app.lab.branch), 1);
  const forked = await lines(one);
  assert.deepEqual(forked.slice(1, crash - 4), before.slice(1, crash - 4), 'it begins alike');
  assert.ok(!forked.some(line => line.includes('"k":"crash"')), 'and before the crash');
  await perform(one, 'crash r1', 'run 1s');
  assert.notDeepEqual(await lines(one), before);
  await one.locator('#lab-branch').selectOption('0');
  await idle(one);
  const same = all => assert.deepEqual(all.map(withoutRepro), before.map(withoutRepro));
  same(await lines(one));
  const served = await (await fetch(`${origin}/api/v1/trace?branch=0`)).text();
  same(served.trimEnd().split('\n'));
});

check(
  'keys do to the chosen replica what the buttons do, and a command that cannot be says why',
  async (open, context) => {
    // The browser itself tells the console that a command was refused.
    const { one } = await lab(open, context, [], { allowed: /status of 400/ });
    await perform(one, 'run 20ms');
    await one.keyboard.press('2');
    const done = async (key, wanted) => {
      await one.keyboard.press(key);
      await idle(one);
      const last = (await events(one)).findLast(e => e.k === 'do');
      assert.equal(last.cmd.do, wanted, `after ${key}`);
    };
    await done('x', 'crash r1');
    const role = () => document.querySelector('#ring .node[data-node="r1"]').getAttribute('aria-label');
    assert.match(await one.evaluate(role), /: down, /);
    await one.keyboard.press('x');
    await idle(one);
    assert.match(await error(one), /r1/, 'it is down already');
    await done('r', 'restart r1');
    assert.equal(await error(one), undefined);
    await done('p', 'isolate r1');
    await done('h', 'heal');
    await done('i', 'timer r1');
  },
);

check('every guided tour goes from its beginning to its end', async (open, context) => {
  const { one } = await lab(open, context);
  const names = await one
    .locator('#lab-tour option')
    .evaluateAll(all => all.map(({ value }) => value).filter(Boolean));
  assert.ok(names.length >= 8, `${names}`);
  for (const name of names) {
    await one.locator('#lab-tour').selectOption(name);
    await idle(one);
    const next = one.locator('#tour .tools button').first();
    const captions = new Set();
    for (let steps = 0; steps < 60 && !(await next.isDisabled()); steps++) {
      await next.click();
      await idle(one);
      assert.equal(await error(one), undefined, `${name}, step ${steps}`);
      captions.add(await one.locator('#tour .caption').innerText());
    }
    assert.ok(await next.isDisabled(), `${name} ends`);
    assert.ok(captions.size >= 3 && ![...captions].includes(''), `${name}: ${captions.size} captions`);
    assert.equal(
      await one.locator('#verdict.bad').isVisible(),
      name === 'planted-bug',
      `${name}: a violation is shown`,
    );
  }
});
