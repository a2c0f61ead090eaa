// The service behind the page as processes: a view of something, a cluster with its view.
//
// Owns the children, their addresses and their ends. Must not know the page. VIEW §5.2.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { program } from './place.mjs';

const children = new Set();
process.on('exit', () => children.forEach(child => child.kill('SIGKILL')));

/** A child, with the lines it prints; `line` waits for one that matches. */
function started(words) {
  const child = spawn(program('KV_DEMO'), words, { stdio: ['ignore', 'pipe', 'pipe'] }),
    said = [],
    waiting = new Set();
  children.add(child);
  const ended = new Promise(done => child.on('exit', done)).finally(() => children.delete(child));
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', line => {
      said.push(line);
      for (const look of waiting) look(line);
    });
  const line = pattern =>
    new Promise((found, failed) => {
      const look = text => {
        const match = pattern.exec(text);
        if (match) found(match);
        return match;
      };
      if (said.some(look)) return;
      waiting.add(look);
      ended.then(code => failed(new Error(`kv-demo ${words.join(' ')}: exit ${code}\n${said.join('\n')}`)));
    });
  const stop = async (signal = 'SIGTERM') => {
    child.kill(signal);
    await ended;
  };
  return { child, line, stop, ended, said };
}

/** `kv-demo view` with these options; ends with the test. */
export async function view(context, ...options) {
  const { child, line, stop } = started(['view', ...options]);
  context.after(() => stop());
  const [url] = await line(/^http:\/\/\S+/);
  const { origin, port, hash } = new URL(url);
  return { child, url, origin, port: Number(port), token: new URLSearchParams(hash.slice(1)).get('token'), stop };
}

const isFree = port =>
  new Promise(done => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });

async function basePort(replicas) {
  for (let tries = 0; tries < 50; tries++) {
    const base = 10_000 + Math.floor(Math.random() * 20_000),
      ports = Array.from({ length: replicas }, (_, id) => [base + 10 * id, base + 10 * id + 1]).flat();
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return base;
  }
  return assert.fail('no free ports');
}

/** `kv-demo cluster`: its processes, one a replica, and its view; ends with the test. */
export async function cluster(context, { replicas = 3 } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'vr-view-')),
    base = await basePort(replicas),
    words = ['--replicas', replicas, '--dir', join(dir, 'data'), '--base-port', base].map(String);
  const all = started(['cluster', ...words]),
    again = [];
  context.after(async () => {
    await Promise.all([all.stop(), ...again.map(one => one.stop())]);
    rmSync(dir, { recursive: true, force: true });
  });
  const [, url] = await all.line(/the view:\s+(http:\S+)/);
  const processOf = id => {
    const { pid } = all.child;
    const mine = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    const found = mine.find(one => readFileSync(`/proc/${one}/cmdline`, 'utf8').includes(`--id\0${id}\0`));
    return Number(found || assert.fail(`replica ${id} does not run`));
  };
  const addresses = Array.from({ length: replicas }, (_, id) => `http://127.0.0.1:${base + 10 * id}`);
  return {
    url,
    origin: new URL(url).origin,
    addresses,
    signal: (id, signal) => process.kill(processOf(id), signal),
    start: id => again.push(started(['serve', '--id', String(id), '--config', join(dir, 'data', 'cluster.toml')])),
    put: (key, value) => put(addresses, key, value),
  };
}

/** Puts a value, at whichever node takes it. */
async function put(addresses, key, value) {
  const end = Date.now() + 20_000;
  for (let tries = 0; Date.now() < end; tries++) {
    const body = JSON.stringify({ value }),
      url = `${addresses[tries % addresses.length]}/object/${encodeURIComponent(key)}`;
    try {
      const answer = await fetch(url, { method: 'PUT', body, signal: AbortSignal.timeout(3000) });
      if (answer.ok) return;
    } catch {
      // Not here, or not now.
    }
    await new Promise(rest => setTimeout(rest, 50));
  }
  assert.fail(`nobody took ${key}`);
}

/** Requests on and on until told to stop: `kv-demo bench`, so and so many clients. */
export function load(context, { addresses }, clients, seconds) {
  const words = ['--endpoints', addresses.join(','), '--clients', clients, '--seconds', seconds, '--value-bytes', 16];
  const one = started(['bench', ...words.map(String), '--json']);
  context.after(() => one.stop());
  return one;
}

/** Asks exactly so: the status, the headers, the text. */
export const ask = (port, method, path, headers = {}, body = '') =>
  new Promise((done, failed) => {
    const asked = request({ host: '127.0.0.1', port, method, path, headers, setHost: false }, answer => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', piece => (text += piece));
      answer.on('end', () => done({ status: answer.statusCode, headers: answer.headers, text }));
    });
    asked.on('error', failed);
    asked.end(body);
  });
