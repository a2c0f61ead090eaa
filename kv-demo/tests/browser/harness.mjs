// The browser that the checks look through, and what no page may ever do in it.
//
// Owns how Chromium is started, how a page is opened, and the complaints that fail any check: an error on the console,
// an uncaught exception, a report of the content security policy, a request to anybody but the page's own origin.
// Must not know what a check looks at. VIEW §7.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { chromium } from 'playwright-core';
import { program, shots } from './place.mjs';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-dev-shm-usage',
  '--disable-sync',
  '--no-first-run',
  '--enable-precise-memory-info',
];

let browser = null;

async function launched() {
  browser ??= chromium.launch({ executablePath: program('CHROMIUM'), headless: true, args: FLAGS });
  return browser;
}

after(async () => {
  if (browser) await (await browser).close();
});

const withoutHash = url => url.split('#')[0];

/** Is it asked of the page's own origin? A page from a disk has none: it may ask for itself only. */
function isOwn(asked, url) {
  if (/^(data|blob):/.test(asked)) return true;
  if (url.startsWith('file:')) return withoutHash(asked) === withoutHash(url);
  return new URL(asked).origin === new URL(url).origin;
}

/** A page that is watched: `complaints` says what it did that no page may do; `allowed` matches what a check is for. */
export async function opened(url, { viewport = { width: 1440, height: 900 }, allowed, ...more } = {}) {
  const context = await (await launched()).newContext({ viewport, serviceWorkers: 'block', ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints = [],
    requests = [];
  const complain = text => {
    if (!allowed || !allowed.test(text)) complaints.push(text.slice(0, 700));
  };
  page.on('console', said => {
    if (said.type() === 'error') complain(`console: ${said.text()} ${said.location().url}`);
  });
  page.on('pageerror', error => complain(`exception: ${String(error.stack || error)}`));
  page.on('crash', () => complain('the page crashed'));
  page.on('request', request => {
    requests.push(request.url());
    if (!isOwn(request.url(), url)) complain(`request: ${request.url()}`);
  });
  page.on('dialog', dialog => {
    complain(`dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', report =>
      console.error(`policy: ${report.violatedDirective} ${report.blockedURI} ${report.sample}`),
    );
  });
  await page.goto(url);
  return { page, context, complaints, requests };
}

/** Carries out a check with pages that it opens; every page must be without complaints in the end. */
export async function holds(look, title) {
  const all = [];
  const open = async (url, options) => {
    const one = await opened(url, options);
    all.push(one);
    return one.page;
  };
  open.all = all;
  try {
    await look(open);
    for (const { page, complaints } of all) {
      if (!page.isClosed()) await settled(page);
      assert.deepEqual(complaints, [], 'the page did what no page may do');
    }
  } catch (error) {
    for (const { page, complaints } of all) {
      if (complaints.length) error.message += `\ncomplaints: ${complaints.slice(0, 5).join('\n')}`;
      const name = title && `failed-${title.replace(/[^a-z0-9]+/gi, '-').slice(0, 80)}.png`;
      if (name) await page.screenshot({ path: join(shots, name), timeout: 5000 }).catch(() => {});
    }
    throw error;
  } finally {
    for (const { context } of all) await context.close();
  }
}

/** A test that opens pages. */
export function check(title, look, options = {}) {
  test(title, { timeout: 120_000, ...options }, context => holds(open => look(open, context), title));
}

/** Waits until a trace is there, and drawn. */
export async function ready(page) {
  const isThere = () =>
    globalThis.VR?.app?.store.started &&
    !document.body.classList.contains('starting') &&
    document.getElementById('loading').textContent === '';
  await page.waitForFunction(isThere, null, { timeout: 60_000 });
  await settled(page);
}

/** Waits until what was asked for is drawn. */
export const settled = page =>
  page.evaluate(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done()))));

/** Goes to an event and waits until it is drawn. */
export async function go(page, i) {
  await page.evaluate(to => VR.app.go(to), i);
  await settled(page);
}

/** Waits until the page says so; fails with what it says instead. */
export async function until(page, ask, wanted, { within = 10_000, what = String(ask) } = {}) {
  const end = Date.now() + within;
  let last;
  do {
    last = await page.evaluate(ask);
    if (typeof wanted === 'function' ? wanted(last) : last === wanted) return last;
    await new Promise(rest => setTimeout(rest, 50));
  } while (Date.now() < end);
  return assert.fail(`${what}: within ${within} ms it was ${JSON.stringify(last)} only`);
}

/** What is measured is said, never judged. */
export const report = (name, figures) =>
  console.log(
    `# ${name}: ${Object.entries(figures)
      .map(([what, value]) => `${what} ${value}`)
      .join(', ')}`,
  );
