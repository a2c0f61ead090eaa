// A page from a service: whom the service answers, and that nothing in what it shows does anything.
//
// Owns check 8, and check 7 for a served trace, of VIEW §7. Must not know what is shown beyond that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, ready } from './harness.mjs';
import { isHarmless, walksHarmlessly } from './checks.mjs';
import { parse } from './oracle.mjs';
import { fixture, read } from './place.mjs';
import { ask, view } from './service.mjs';

check('a hostile trace from the service does nothing either', async (open, context) => {
  const { url } = await view(context, '--trace', fixture('hostile.vrt.jsonl')),
    events = parse(read('hostile.vrt.jsonl')),
    one = await open(url);
  await ready(one);
  assert.equal(await one.evaluate(() => VR.app.debug.count()), events.length);
  await walksHarmlessly(one, events, 23);
  assert.match(await one.locator('#mode').innerText(), /TRACE/);
});

check('a served trace, packed or not, is the same as the page of it', async (open, context) => {
  const hashes = [];
  for (const name of ['seed-1.vrt.jsonl', 'good.vrt.jsonl.gz']) {
    const one = await open((await view(context, '--trace', fixture(name))).url);
    await ready(one);
    hashes.push(await one.evaluate(() => [VR.app.debug.count(), VR.app.debug.stateHash(VR.app.store.last)]));
  }
  assert.deepEqual(hashes[0], hashes[1]);
  assert.equal(hashes[0][0], parse(read('seed-1.vrt.jsonl')).length);
});

check('what runs in a page of the service is what its policy names, nothing injected', async (open, context) => {
  const one = await open((await view(context, '--trace', fixture('seed-1.vrt.jsonl'))).url, { allowed: /./ });
  await ready(one);
  const tried = await one.evaluate(async () => {
    const outcome = {};
    const attempt = (name, act) => {
      try {
        act();
        outcome[name] = 'done';
      } catch (error) {
        outcome[name] = error.name;
      }
    };
    attempt('innerHTML', () => (document.body.firstElementChild.innerHTML = '<b>x</b>'));
    const script = document.createElement('script');
    attempt('script text', () => (script.textContent = 'window.pwned = 1'));
    document.body.append(script);
    attempt('handler', () => document.body.setAttribute('onclick', 'window.pwned = 1'));
    document.body.click();
    const other = await fetch('http://127.0.0.1:9/').then(
      () => 'answered',
      () => 'refused',
    );
    return { ...outcome, other, pwned: window.pwned };
  });
  const none = 'TypeError';
  assert.deepEqual(tried, {
    innerHTML: none,
    'script text': none,
    handler: none,
    other: 'refused',
    pwned: undefined,
  });
});

test('the service answers its own page and nobody else', async context => {
  const { port } = await view(context, '--trace', fixture('seed-1.vrt.jsonl')),
    host = `127.0.0.1:${port}`;
  const status = async (...words) => (await ask(port, ...words)).status;
  assert.equal(await status('GET', '/', { host }), 200);
  assert.equal(await status('GET', '/', { host: `localhost:${port}` }), 200);
  for (const other of ['evil.example', `evil.example:${port}`, '127.0.0.1:1', '', `${host}.evil.example`])
    assert.equal(await status('GET', '/', { host: other }), 400, other);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
    assert.equal(await status(method, '/api/v1/trace', { host }), 405, method);
  for (const path of [
    '/../',
    '/..%2f..%2fetc/passwd',
    '/api/v1/lab',
    '/api/v1/events',
    '/view/main.js',
    '/favicon.ico',
  ])
    assert.equal(await status('GET', path, { host }), 404, path);
  for (const path of ['/', '/api/v1/meta', '/api/v1/trace', '/nothing']) {
    const { headers } = await ask(port, 'GET', path, { host, origin: 'http://evil.example' });
    assert.deepEqual(
      Object.keys(headers).filter(name => name.startsWith('access-control')),
      [],
      path,
    );
    for (const part of ["default-src 'none'", "frame-ancestors 'none'"])
      assert.ok(headers['content-security-policy']?.includes(part), `${path}: ${headers['content-security-policy']}`);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['cache-control'], 'no-store');
  }
  const page = await ask(port, 'GET', '/', { host });
  for (const part of ["connect-src 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'"])
    assert.ok(page.headers['content-security-policy'].includes(part), part);
  assert.ok(!page.headers['content-security-policy'].includes('unsafe'));
});

test('the lab obeys who has its token, from its own page only', async context => {
  const { port, token, origin } = await view(context, '--lab'),
    host = `127.0.0.1:${port}`,
    body = JSON.stringify({ branch: 0, from: 0, do: ['crash r0'] });
  const post = async more =>
    (await ask(port, 'POST', '/api/v1/lab/do', { host, 'content-type': 'application/json', ...more }, body)).status;
  assert.equal(await post({}), 403);
  assert.equal(await post({ 'x-vr-token': token.replace(/./g, '0') }), 403);
  for (const other of ['http://evil.example', 'null', `http://localhost.evil.example:${port}`])
    assert.equal(await post({ 'x-vr-token': token, origin: other }), 403, other);
  assert.equal(await post({ 'x-vr-token': token, 'content-type': 'text/plain' }), 415);
  assert.equal(await post({ 'x-vr-token': token, host: `evil.example:${port}` }), 400);
  assert.equal(await post({ 'x-vr-token': token, origin }), 200);
});
