// A running cluster on the page: what it does, who is gone, and what a connection that breaks does not cost.
//
// Owns checks 4, 5 and 6 of VIEW §7, and check 7 for a live cluster. Must not know how events reach the service.
import assert from 'node:assert/strict';
import { check, ready, until } from './harness.mjs';
import { isHarmless } from './checks.mjs';
import { CORPUS } from './hostile.mjs';
import { between } from './proxy.mjs';
import { cluster, view } from './service.mjs';

const ALLOWED_WHEN_CUT = /ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_|ERR_EMPTY_RESPONSE/;
const plain = text => text.replace(/[\u202f ]/g, '');
const card = name => `#now [data-card="${name}"] dd`;
const cards = one =>
  one.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll('#now .card')].map(e => [e.dataset.card, e.lastChild.textContent]),
    ),
  );
const allUp = one =>
  until(
    one,
    () => document.getElementById('links').textContent,
    text => /3\/3 nodes/.test(text),
  );

/** What a node says of itself. */
const statusOf = async address => (await fetch(`${address}/status`)).json();

/** Every index from the first one on is there, once. */
const isWhole = one =>
  one.evaluate(() => {
    const { store } = VR.app;
    for (let i = store.base; i < store.next; i++) if (store.event(i).i !== i) return `#${i} is ${store.event(i).i}`;
    return store.count;
  });

check(
  'of a cluster that answered ten requests the page says what the cluster says of itself',
  async (open, context) => {
    const nodes = await cluster(context),
      one = await open(nodes.url);
    await ready(one);
    await allUp(one);
    for (let i = 0; i < 10; i++) await nodes.put(`key-${i}`, `value-${i}`);
    const own = await Promise.all(nodes.addresses.map(statusOf)),
      committed = Math.max(...own.map(status => status.commit)),
      primary = `r${own[0].primary}`;
    assert.ok(committed >= 10, `${committed} are committed`);
    await until(one, () => document.querySelector('#now [data-card="committed"] dd').textContent, String(committed));
    const seen = await cards(one);
    assert.equal(seen.primary, `${primary} ★`);
    assert.equal(seen.view, String(own[0].view));
    assert.match(seen.preparing, /nothing/);
    const latest = await one.locator(`${card('latest message of each')} button`).allInnerTexts();
    assert.equal(latest.length, 3);
    for (const [id, text] of latest.entries()) assert.match(text, new RegExp(`^r${id} [A-Z][A-Za-z]+.* ago$`));
    await until(
      one,
      () => VR.app.state.nodes.map(n => n.commit).join(),
      text => text === Array(3).fill(committed).join(),
    );
    const labels = await one
      .locator('#ring .node')
      .evaluateAll(found => found.map(node => node.getAttribute('aria-label')));
    for (const [id, label] of labels.entries())
      assert.match(label, new RegExp(`^r${id} v.*: ${`r${id}` === primary ? 'primary' : 'backup'}, `));
    assert.ok((await isWhole(one)) > 50);
  },
);

check(
  'when the primary is killed the page shows who follows and that it is gone, and says so',
  async (open, context) => {
    const nodes = await cluster(context),
      one = await open(nodes.url);
    await ready(one);
    await allUp(one);
    await nodes.put('before', '1');
    const { primary: old, view } = await statusOf(nodes.addresses[0]);
    await one.evaluate(() => {
      globalThis.announced = [];
      const region = document.getElementById('live-region');
      new MutationObserver(() => announced.push(region.textContent)).observe(region, {
        childList: true,
        subtree: true,
      });
    });
    const killed = Date.now();
    nodes.signal(old, 'SIGKILL');
    const now = () => document.querySelector('#now [data-card="primary"] dd').textContent;
    const shown = await until(one, now, text => /^r\d ★$/.test(text) && text !== `r${old} ★`, { within: 15_000 });
    console.log(`# a new primary is shown after ${Date.now() - killed} ms`);
    assert.ok(Number((await cards(one)).view) > view);
    const gone = one.locator(`#ring .node[data-node="r${old}"]`);
    await until(one, `document.querySelector('#ring .node[data-node="r${old}"]').getAttribute('aria-label')`, text =>
      /unreachable|down/.test(text),
    );
    assert.equal(await gone.locator('text').first().textContent(), '✕');
    assert.match(await gone.getAttribute('class'), /s-down/);
    const links = () => document.getElementById('links').innerText;
    await until(one, links, text => new RegExp(`2/3 nodes[^]*r${old} is unreachable`).test(text));
    await until(
      one,
      () => announced.join('\n'),
      text => new RegExp(`r${old} is unreachable`).test(text),
    );
    const next = shown.split(' ')[0];
    await until(
      one,
      () => announced.join('\n'),
      text => new RegExp(`${next} is (primary of|in) view`).test(text),
    );
    await nodes.put('after', '2');
    nodes.start(old);
    await allUp(one);
    const back = `document.querySelector('#ring .node[data-node="r${old}"]').getAttribute('aria-label')`;
    await until(one, back, text => /: (backup|primary)/.test(text));
    // That it is there again is told at once; what it says is put in order with what the others say first.
    await until(one, `VR.app.state.nodes[${old}].inc`, 2);
    assert.ok((await isWhole(one)) > 50);
  },
);

check('a node that stands still is shown as silent, not as healthy', async (open, context) => {
  const nodes = await cluster(context),
    one = await open(nodes.url);
  await ready(one);
  await allUp(one);
  const { primary } = await statusOf(nodes.addresses[0]),
    still = (primary + 1) % 3,
    label = `document.querySelector('#ring .node[data-node="r${still}"]').getAttribute('aria-label')`;
  nodes.signal(still, 'SIGSTOP');
  try {
    await until(one, label, text => /: silent/.test(text));
    const links = () => document.getElementById('links').innerText;
    await until(one, links, text => text.includes(`r${still} is silent for `));
    assert.match(await one.locator(`#ring .node[data-node="r${still}"]`).getAttribute('class'), /s-silent/);
  } finally {
    nodes.signal(still, 'SIGCONT');
  }
  await until(one, label, text => /: (backup|primary)/.test(text));
});

check(
  'a connection that breaks costs no event and repeats none; one that lost some says so',
  async (open, context) => {
    const nodes = await cluster(context),
      wire = await between(context, nodes.origin),
      one = await open(wire.url, { allowed: ALLOWED_WHEN_CUT });
    await ready(one);
    await allUp(one);
    const connections = () => one.evaluate(() => VR.app.live.connections);
    const first = await one.evaluate(() => VR.app.store.first);
    for (let cut = 1; cut <= 3; cut++) {
      const before = await connections();
      await nodes.put(`cut-${cut}`, 'x');
      wire.cut();
      await nodes.put(`cut-${cut}`, 'y');
      await until(
        one,
        () => VR.app.live.connections,
        count => count > before,
        { within: 15_000 },
      );
      await until(
        one,
        () => VR.app.store.last,
        last => last >= wire.last(),
      );
    }
    assert.ok(wire.resumed() >= 3, 'it asked for what follows its cursor');
    assert.equal(await one.evaluate(() => VR.app.store.first), first, 'it did not begin anew');
    assert.ok((await isWhole(one)) > 50);
    assert.equal(await one.locator('#banner').isVisible(), false);
    // A batch that never comes: noticed by its index, said, and mended.
    wire.swallow();
    await nodes.put('lost', 'x');
    const banner = () => document.getElementById('banner').textContent;
    await until(one, banner, text => /did not arrive/.test(text), { within: 15_000 });
    await nodes.put('again', 'x');
    await until(
      one,
      () => VR.app.live.connections,
      count => count > 4,
      { within: 15_000 },
    );
    const { commit } = await statusOf(nodes.addresses[0]);
    await until(
      one,
      () => VR.app.state.commit,
      shown => shown >= commit,
    );
    assert.ok(typeof (await isWhole(one)) === 'number');
    // A browser that was too slow: what is missing is said, and who is unknown looks unknown.
    wire.say('gap', '{"lost":12345}');
    await until(one, banner, text => /12345/.test(text));
  },
);

check('without its service the page knows nothing of anybody, and says so', async (open, context) => {
  const nodes = await cluster(context),
    { url, stop } = await view(context, '--nodes', nodes.addresses.join(',')),
    one = await open(url, { allowed: ALLOWED_WHEN_CUT });
  await ready(one);
  await allUp(one);
  await stop();
  await until(
    one,
    () => document.getElementById('links').innerText,
    text => /no connection/.test(text),
  );
  const labels = () => [...document.querySelectorAll('#ring .node')].map(node => node.getAttribute('aria-label'));
  await until(one, labels, all => all.length === 3 && all.every(label => /: no news, /.test(label)));
  assert.equal(await one.locator('#ring .node.s-silent').count(), 3);
});

check('keys and values of clients do nothing on the live page', async (open, context) => {
  const nodes = await cluster(context),
    one = await open(nodes.url);
  await ready(one);
  await allUp(one);
  const texts = CORPUS.filter(text => text.isWellFormed?.() !== false && !text.includes('\u0000'));
  for (const text of texts) await nodes.put(text, text);
  await until(
    one,
    () => VR.app.state.commit,
    shown => shown >= texts.length,
  );
  await isHarmless(one);
  const size = await one.evaluate(() => VR.app.store.count);
  for (let i = 0; i < size; i += 40) {
    await one.evaluate(at => VR.app.go(VR.app.store.base + at), i);
    await isHarmless(one);
  }
});
