// Makes what the checks look at: traces and pages of fixed seeds, a planted bug, a long trace, files that are none.
//
// Owns what lies in target/view-fixtures and that it is worth looking at. Run by `.ci/browser`. Must not know the
// checks. VIEW §7.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
} from 'node:fs';
import { rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { emptyPage, fixture, fixtures, pageOf, program, read } from './place.mjs';
import { hostileTrace } from './hostile.mjs';
import { parse } from './oracle.mjs';

const sim = program('VR_SIM');

function run(words, ...codes) {
  const done = spawnSync(sim, words, { encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.ok(codes.includes(done.status), `vr-sim ${words.join(' ')}: exit ${done.status}\n${done.stderr}`);
  return done.stdout;
}

const KINDS = ['crash', 'restart', 'part', 'heal', 'drop', 'dup', 'delay', 'commit', 'ckpt', 'inv', 'ret', 'set'];

/** Runs in which all holds: the first with a crash and a new view after it, one of five replicas, and as many more as
 * it takes until everything that can happen has. Looked for, because what a seed means may change. Of one group each:
 * what the checks compare with knows views without epochs. */
function seeds() {
  const missing = new Set(KINDS);
  let found = 0;
  for (let seed = 1; missing.size > 0 || found < 3; seed++) {
    assert.ok(seed < 200, `no seed has ${[...missing]}`);
    const files = ['.vrt.jsonl', '.html'].map(ending => fixture(`seed-${found + 1}${ending}`)),
      replicas = found === 1 ? '5' : '3';
    const words = ['--replicas', replicas, '--reconfigure', '0', '--trace', files[0], '--html', files[1]];
    run(['replay', String(seed), ...words], 0);
    const events = parse(readFileSync(files[0], 'utf8')),
      kinds = new Set(events.map(e => e.k));
    const crash = events.findIndex(e => e.k === 'crash'),
      isGood = crash > 0 && events.slice(crash).some(e => e.k === 'set' && e.view > 0) && events.length < 12_000;
    if (found < 2 ? !isGood : ![...missing].some(kind => kinds.has(kind)) && missing.size > 0) continue;
    kinds.forEach(kind => missing.delete(kind));
    found += 1;
  }
}

/** What a failing run leaves, of two bugs: one ends in logs that differ, one concerns two replicas. */
const PLANTED = [
  { name: 'planted-log', scenario: 'd09-longest-log', mutant: 'select_by_op' },
  { name: 'planted-pair', scenario: 'd31-eager-log-view', mutant: 'st_eager_view' },
];

function bugs() {
  for (const { name, scenario, mutant } of PLANTED) {
    const folder = fixture(name);
    rmSync(folder, { recursive: true, force: true });
    run(['run', '--scenario', scenario, '--durability', 'sync', '--mutant', mutant, '--out', folder], 1);
    const left = readdirSync(folder);
    for (const ending of ['.vrt.jsonl', '.html']) {
      const file = left.find(one => one.endsWith(ending));
      assert.ok(file, `the failing run left no ${ending}: ${left}`);
      copyFileSync(`${folder}/${file}`, fixture(name + ending));
    }
  }
}

/** A trace of a cluster at work, of so many events, with a view change now and then. */
function long(name, wanted) {
  const members = ['r0', 'r1', 'r2'],
    file = openSync(fixture(name), 'w');
  let i = 0,
    t = 0,
    lines = [];
  const say = (k, n, e) => {
    lines.push(JSON.stringify({ i, t, k, n, ...e }));
    if (lines.length === 20_000) {
      writeSync(file, lines.join('\n') + '\n');
      lines = [];
    }
    t += 1500;
    i += 1;
    return i - 1;
  };
  const config = { members, epoch: 0, f: 1, quorum: 2, clients: 1 };
  const producer = { name: 'vr-sim', version: '0' };
  say('meta', undefined, { format: 'vrtrace/1', producer, mode: 'sim', seed: '1', config, redact: 'full' });
  let view = 0,
    op = 0,
    message = 0;
  const state = {
    inc: 1,
    view,
    epoch: 0,
    status: 'normal',
    lnv: 0,
    op,
    commit: 0,
    applied: 0,
    durable: 0,
    primary: 'r0',
  };
  for (const n of members) say('snap', n, { state });
  const change = () => {
    view += 1;
    const primary = members[view % 3],
      at = { view, epoch: 0, status: 'normal', lnv: view, primary };
    for (const n of members) say('set', n, { view, status: 'view_change' });
    for (const n of members) {
      const m = `${n}.1.${++message}`,
        by = say('send', n, { m, to: primary, ty: 'DoViewChange', view, op, commit: op, sz: 90 });
      if (n !== primary) say('recv', primary, { by, m, ty: 'DoViewChange', verdict: 'ok' });
    }
    for (const n of members) say('set', n, at);
  };
  while (i < wanted - 40) {
    op += 1;
    if (op % 5000 === 0) change();
    const primary = members[view % 3],
      ck = (Math.imul(op, 2654435761) >>> 0).toString(16).padStart(8, '0'),
      slot = { op, view, ck, act: 'append', val: `put key${op % 100} ${op}` },
      m = `${primary}.1.${++message}`;
    say('log', primary, slot);
    say('set', primary, { op });
    const sent = say('send', primary, { m, to: 'others', ty: 'Prepare', view, op, commit: op - 1, sz: 120 });
    say('disk', primary, { act: 'fsync', w: op });
    say('set', primary, { durable: op });
    for (const n of members.filter(one => one !== primary)) {
      const by = say('recv', n, { by: sent, m, ty: 'Prepare', verdict: 'ok' });
      say('log', n, { by, ...slot });
      say('set', n, { by, op, durable: op, commit: op - 1, applied: op - 1 });
      const ok = `${n}.1.${++message}`,
        answer = say('send', n, { by, m: ok, to: primary, ty: 'PrepareOk', view, op, sz: 60 });
      const came = say('recv', primary, { by: answer, m: ok, ty: 'PrepareOk', verdict: 'ok' });
      say('ack', primary, { by: came, op, from: n, have: 2, need: 2 });
    }
    say('commit', primary, { op });
    say('set', primary, { commit: op, applied: op });
  }
  while (i < wanted - 1) say('timer', 'r0', { name: 'tick', act: 'fire' });
  say('end', 'sim', { result: 'pass', events: i, viol: 0 });
  writeSync(file, lines.join('\n') + '\n');
  closeSync(file);
}

/** Files that are no trace, or not a whole one. */
function bad(good) {
  const lines = good.trimEnd().split('\n'),
    put = (name, data) => writeFileSync(fixture(`bad-${name}`), data);
  put('cut-in-a-line.vrt.jsonl', good.slice(0, good.length * 0.6));
  put('without-end.vrt.jsonl', lines.slice(0, 500).join('\n') + '\n');
  put('version.vrt.jsonl', good.replace('"vrtrace/1"', '"vrtrace/2"'));
  put('not-a-trace.vrt.jsonl', '{"hello":"world"}\n');
  put('order.vrt.jsonl', [...lines.slice(0, 120), lines[121], lines[120], ...lines.slice(122)].join('\n'));
  put('not-json.vrt.jsonl', [...lines.slice(0, 40), '{"i":40,', ...lines.slice(41)].join('\n'));
  put('first-line.vrt.jsonl', 'GET / HTTP/1.1\n');
  put(
    'deep.vrt.jsonl',
    [...lines.slice(0, 9), `{"i":9,"t":9,"k":"note","x":${'['.repeat(40)}${']'.repeat(40)}}`].join('\n'),
  );
  put('deepest.vrt.jsonl', `${'['.repeat(400_000)}\n`);
  put('wide.vrt.jsonl', `${lines[0]}\n${'x'.repeat(3_000_000)}\n`);
  put('members.vrt.jsonl', lines[0].replace(/"members":\[[^\]]*\]/, '"members":[]') + '\n');
  put(
    'pollution.vrt.jsonl',
    [
      lines[0],
      '{"i":1,"t":1,"k":"__proto__","n":"__proto__","__proto__":{"polluted":1},' +
        '"constructor":{"prototype":{"polluted":1}}}',
      '{"i":2,"t":2,"k":"snap","n":"r0","state":{"__proto__":{"polluted":1},"view":0}}',
    ].join('\n'),
  );
  put('empty.vrt.jsonl', '');
  put('blank.vrt.jsonl', '\n\n\n');
  put('noise.vrt.jsonl', Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 7919) & 255)));
  put(
    'noise.vrt.jsonl.gz',
    Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), Buffer.alloc(500, 0xa7)]),
  );
  put('cut.vrt.jsonl.gz', gzipSync(good).subarray(0, 4000));
  put('bomb.vrt.jsonl.gz', gzipSync(Buffer.alloc(200_000_000, 0x20)));
  const large = openSync(fixture('bad-large.vrt.jsonl'), 'w');
  writeSync(large, lines[0]);
  ftruncateSync(large, 2 ** 31 + 1);
  closeSync(large);
  writeFileSync(fixture('good.vrt.jsonl.gz'), gzipSync(good));
}

/** A live trace in miniature, in which nodes fall silent. */
function silence() {
  const members = ['r0', 'r1', 'r2'],
    events = [];
  const say = (k, n, e) => events.push({ i: events.length, t: events.length * 1e6, k, n, ...e }) - 1;
  const config = { members, epoch: 0, f: 1, quorum: 2, clients: 0 };
  say('meta', undefined, {
    format: 'vrtrace/1',
    producer: { name: 'x', version: '0' },
    mode: 'live',
    config,
    redact: 'hash',
  });
  const state = { inc: 1, view: 4, epoch: 0, status: 'normal', lnv: 4, op: 9, commit: 9, applied: 9, durable: 9 };
  for (const n of members) say('snap', n, { state: { ...state, primary: 'r1' } });
  const places = [
    {
      i: say('note', 'r0', { what: 'silent', text: 'no news' }),
      node: 'r0',
      word: 'silent',
      glyph: '▨',
      shape: 's-silent',
    },
    { i: say('gap', 'r2', { lost: 12 }), node: 'r2', word: 'unknown', glyph: '?', shape: 's-unknown' },
    {
      i: say('note', 'r1', { what: 'unreachable', text: 'x' }),
      node: 'r1',
      word: 'unreachable',
      glyph: '✕',
      shape: 's-down',
    },
    {
      i: say('snap', 'r2', { state: { ...state, primary: 'r1' } }),
      node: 'r2',
      word: 'backup',
      glyph: '○',
      shape: 's-normal',
    },
    { i: say('crash', 'r2', { lost: [] }), node: 'r2', word: 'down', glyph: '✕', shape: 's-down' },
  ];
  writeFileSync(fixture('silence.vrt.jsonl'), events.map(e => JSON.stringify(e)).join('\n') + '\n');
  writeFileSync(fixture('silence.json'), JSON.stringify(places));
}

mkdirSync(fixtures, { recursive: true });
seeds();
bugs();
silence();
const page = readFileSync(fixture('seed-1.html'), 'utf8');
writeFileSync(fixture('empty.html'), emptyPage(page));
writeFileSync(fixture('silence.html'), pageOf(page, read('silence.vrt.jsonl'), 'silence'));
const hostile = hostileTrace();
writeFileSync(fixture('hostile.vrt.jsonl'), hostile);
writeFileSync(fixture('hostile.html'), pageOf(page, hostile, '"><svg onload=window.pwned=1>'));
bad(read('seed-1.vrt.jsonl'));
if (!existsSync(fixture('long.vrt.jsonl')) || statSync(fixture('long.vrt.jsonl')).size < 1e8)
  long('long.vrt.jsonl', 1_000_000);
const bytes = readdirSync(fixtures).map(name => `${name} ${Math.round(statSync(fixture(name)).size / 1000)} kB`);
console.log(`fixtures: ${bytes.length} files`);
