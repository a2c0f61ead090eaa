// Where things lie, and how a page is made out of another: around another trace, or with a defect planted into it.
//
// Owns paths and what is known of an exported page's parts. Must not know the browser, nor a check. VIEW §7.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const target = process.env.CARGO_TARGET_DIR || join(root, 'target');
/** What the checks look at; `fixtures.mjs` makes it. */
export const fixtures = join(target, 'view-fixtures');
/** Pictures of every layout and of every failure, for a person to look at. */
export const shots = join(target, 'view-screenshots');
/** What is looked for in a browser: a program of this repository, and the one that makes traces. */
export const program = name => process.env[name] || assert.fail(`${name} names no program; .ci/browser sets it`);
mkdirSync(fixtures, { recursive: true });
mkdirSync(shots, { recursive: true });

export const fixture = name => join(fixtures, name);
export const read = name => readFileSync(fixture(name), 'utf8');
export const urlOf = path => pathToFileURL(path).href;

const SCRIPT = /(<script type="module">)([\s\S]*?)(<\/script>)/;
const hash = text => `sha256-${createHash('sha256').update(text).digest('base64')}`;
const within = (html, id, data) =>
  html.replace(
    new RegExp(`(<script [^>]*id="${id}"[^>]*>)[\\s\\S]*?(</script>)`),
    (_, head, tail) => head + data + tail,
  );
const inert = text =>
  text
    .replace(/</g, '\\u003c')
    .replace(/\u2028/g, '\\u2028')
    .replace(/\u2029/g, '\\u2029');

/** An exported page around another trace. */
export const pageOf = (html, trace, name, escaped = inert) =>
  within(within(html, 'boot', inert(JSON.stringify({ mode: 'file', name }))), 'trace', escaped(trace));

/** An exported page that waits for a file. */
export const emptyPage = html => within(within(html, 'boot', '{"mode":"empty","name":""}'), 'trace', '');

/** A page with its script changed, which its policy lets run. */
export function changed(html, change) {
  const script = SCRIPT.exec(html)[2],
    other = change(script);
  assert.notEqual(other, script, 'nothing was changed');
  return html.replaceAll(hash(script), () => hash(other)).replace(SCRIPT, (_, head, __, tail) => head + other + tail);
}

/** Chance that is the same every time. */
export function chance(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, below: n => Math.floor(next() * n), of: list => list[Math.floor(next() * list.length)] };
}
