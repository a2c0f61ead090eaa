// Between the page and its service: a wire that breaks when it is told to, and a flood in the place of a cluster.
//
// Owns what passes, what is cut off, kept back and added. Must not know the page. Checks 6, 11 of VIEW §7.
import { createReadStream } from 'node:fs';
import { createServer, request } from 'node:http';
import { createInterface } from 'node:readline';

/** A server that hands everything on to another one; ends with the test. */
export async function between(context, origin) {
  const { hostname, port } = new URL(origin),
    streams = new Set();
  let last = -1,
    resumed = 0,
    swallows = false;
  /** Server-sent events, one by one. */
  function events(answer, out) {
    let rest = '';
    answer.setEncoding('utf8');
    answer.on('data', piece => {
      const parts = (rest + piece).split('\n\n');
      rest = parts.pop();
      for (const part of parts) {
        const isBatch = part.includes('event: batch');
        if (isBatch && swallows) {
          swallows = false;
          continue;
        }
        if (isBatch) last = Math.max(last, Number(/^id: .*-(\d+)$/m.exec(part)[1]) - 1);
        out.write(`${part}\n\n`);
      }
    });
  }
  const server = createServer((asked, out) => {
    const headers = { ...asked.headers, host: new URL(origin).host };
    if (headers.origin) headers.origin = origin;
    const on = request({ hostname, port, method: asked.method, path: asked.url, headers }, answer => {
      out.writeHead(answer.statusCode, answer.headers);
      if (asked.url !== '/api/v1/events') {
        answer.pipe(out);
        return;
      }
      if (headers['last-event-id']) resumed += 1;
      streams.add(out);
      out.on('close', () => {
        streams.delete(out);
        on.destroy();
      });
      events(answer, out);
    });
    on.on('error', () => out.destroy());
    asked.pipe(on);
  });
  const url = await listens(context, server);
  return {
    url,
    /** Breaks every stream of events. */
    cut: () => streams.forEach(stream => stream.destroy()),
    /** Lets the next batch vanish. */
    swallow: () => (swallows = true),
    /** An event that the service did not send. */
    say: (event, data) => streams.forEach(stream => stream.write(`event: ${event}\ndata: ${data}\n\n`)),
    /** The index of the newest event that passed. */
    last: () => last,
    /** How often somebody came back with a cursor. */
    resumed: () => resumed,
  };
}

/** The page of a service with events from a file instead of its own: as many as it is told, as fast as they go. */
export async function flood(context, origin, file) {
  const lines = createInterface({ input: createReadStream(file) })[Symbol.asyncIterator](),
    next = async () => (await lines.next()).value;
  const meta = JSON.parse(await next()),
    nodes = [];
  for (const n of meta.config.members)
    nodes.push({ n, link: 'up', heard_ms: 0, state: JSON.parse(await next()).state });
  let at = nodes.length + 1,
    out = null;
  const { hostname, port, host } = new URL(origin);
  const server = createServer((asked, answer) => {
    if (asked.url === '/api/v1/events') {
      answer.writeHead(200, { 'content-type': 'text/event-stream' });
      const snapshot = { run: '1', next: at, meta, nodes: nodes.map(node => ({ ...node, latest: null, log: [] })) };
      answer.write(`event: snapshot\ndata: ${JSON.stringify(snapshot)}\n\n`);
      out = answer;
      return;
    }
    const headers = { ...asked.headers, host };
    request({ hostname, port, path: asked.url, headers }, from => {
      answer.writeHead(from.statusCode, from.headers);
      from.pipe(answer);
    }).end();
  });
  const url = await listens(context, server);
  return {
    url,
    /** Sends everything before this index. */
    async through(wanted) {
      while (at < wanted) {
        const batch = [];
        for (; batch.length < 2000 && at < wanted; at++) batch.push(`data: ${await next()}\n`);
        if (!out.write(`event: batch\nid: 1-${at}\n${batch.join('')}\n`))
          await new Promise(go => out.once('drain', go));
      }
    },
  };
}

async function listens(context, server) {
  await new Promise(done => server.listen(0, '127.0.0.1', done));
  context.after(() => {
    server.closeAllConnections();
    return new Promise(done => server.close(done));
  });
  return `http://127.0.0.1:${server.address().port}/`;
}
