// What somebody who wants to harm the reader of a trace would write into it.
//
// Owns the corpus and where it is put: every text that a trace carries is somebody else's. Must not know the page.
// VIEW §5.4, check 7.

const PWN = 'window.pwned=1';

/** Texts. Each would do harm in a page that takes it for markup, script, a template, an address or an order to read. */
export const CORPUS = [
  `<img src=x onerror=${PWN}>`,
  `<img onerror="${PWN}" src="data:,">`,
  `</script><script>${PWN}</script>`,
  `<!--<script>`,
  `"><svg onload=${PWN}>`,
  `' onmouseover='${PWN}' x='`,
  `\${${PWN}}`,
  `{{constructor.constructor('${PWN}')()}}`,
  `javascript:${PWN}`,
  `data:text/html,<script>${PWN}</script>`,
  `url(https://evil.example/x.png)`,
  `</style><style>*{background:url(https://evil.example/y)}`,
  `<iframe srcdoc="<script>parent.pwned=1</script>">`,
  `<base href=https://evil.example/>`,
  `<meta http-equiv=refresh content="0;url=https://evil.example/">`,
  `<a href="https://evil.example" ping="https://evil.example">link</a>`,
  `\u202Egnp.exe\u202C\u2066\u2069`,
  `a\u2028b\u2029c`,
  `\u0000\u0007\u001b[2J\u009b\u200b\ufeff`,
  `]]><![CDATA[`,
  `&lt;script&gt;&amp;&#x3c;`,
  `__proto__`,
  `constructor`,
  `toString`,
  `hasOwnProperty`,
  `\ud800 lone`,
  `%3Cscript%3E#i=1&q=%00`,
];

/** Marks that a text reorders or hides what is read: a page must show them as escapes. */
export const HIDING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

export const LONG = `<b>${'ab\u202e'.repeat(350_000)}</b>`.slice(0, 1_000_000);

const line = (events, e) => events.push({ i: events.length, t: 1000 * events.length, ...e });

/** A trace in which every name, key, value, type, error and command is of the corpus. */
export function hostileTrace() {
  const members = CORPUS.slice(0, 7),
    events = [];
  const repro = `cargo run -- replay ${CORPUS[0]} ; ${CORPUS[4]}`;
  const config = { members, epoch: 0, f: 3, quorum: 4, clients: 2 };
  const producer = { name: CORPUS[2], version: CORPUS[0] };
  line(events, {
    k: 'meta',
    format: 'vrtrace/1',
    producer,
    mode: 'sim',
    seed: CORPUS[0],
    repro,
    config,
    redact: 'full',
  });
  for (const n of members) {
    line(events, { k: 'restart', n, inc: 1 });
    const state = { inc: 1, view: 0, epoch: 0, status: 'normal', lnv: 0, op: 0, commit: 0, applied: 0, durable: 0 };
    line(events, { k: 'snap', n, by: events.length - 1, state: { ...state, primary: members[0], want: false } });
  }
  CORPUS.forEach((text, at) => {
    const op = at + 1,
      client = `c${text}`,
      m = `${members[0]}.1.${text}`;
    line(events, { k: 'inv', n: client, client, req: op, f: text, in: `put ${text} ${text}` });
    line(events, { k: 'log', n: members[0], op, view: 0, client, req: op, ck: text, act: 'append', val: text });
    line(events, { k: 'set', n: members[0], op, primary: members[0] });
    line(events, {
      k: 'send',
      n: members[0],
      m,
      to: 'others',
      ty: 'Prepare',
      view: 0,
      op,
      commit: at,
      b: { val: text },
    });
    const sent = events.length - 1;
    for (const n of members.slice(1, 4)) {
      line(events, { k: 'recv', n, by: sent, m, ty: 'Prepare', verdict: at % 2 ? 'ok' : 'ignored', why: text });
      line(events, { k: 'ack', n: members[0], by: events.length - 1, from: n, op, have: 2, need: 4 });
    }
    line(events, { k: 'drop', n: 'net', by: sent, m, to: members[4], why: text });
    line(events, { k: 'send', n: members[1], m: text, to: members[0], ty: text, view: 0, op, b: { why: text } });
    line(events, { k: 'recv', n: members[0], by: events.length - 1, m: text, ty: text, verdict: text, why: text });
    line(events, { k: 'set', n: members[0], commit: op, applied: op });
    line(events, { k: 'commit', n: members[0], op });
    line(events, { k: 'exec', n: members[0], op, client, req: op, res: text });
    line(events, { k: 'ret', n: client, client, req: op, f: text, out: text, st: at % 3 ? 'ok' : text });
    line(events, { k: 'note', n: members[2], what: text, text });
    line(events, { k: 'disk', n: members[2], act: text, what: text, fault: text, op, w: 1 });
    line(events, { k: 'timer', n: members[2], name: text, act: text });
    line(events, { k: 'part', n: 'net', id: text, groups: [[members[0], text], [members[1]]], oneway: true });
    line(events, { k: 'heal', n: 'net', id: text });
    line(events, { k: 'do', n: text, cmd: { do: text, [text]: text } });
    line(events, { k: 'crash', n: members[6], lost: [text], wiped: true });
    line(events, { k: 'restart', n: members[6], inc: text });
    line(events, { k: 'snap', n: members[6], state: { status: text, view: 0, op: 0, commit: 0, primary: text } });
    line(events, { k: 'sync', n: members[3], act: text, from: text, lo: text, hi: text });
    line(events, { k: 'ckpt', n: members[0], op, ck: text });
    line(events, { k: text, n: text, ty: text, m: text, to: text });
  });
  line(events, { k: 'note', n: members[2], what: 'long', text: LONG.slice(0, 990_000) });
  const ev = [events.length - 9, events.length - 3];
  line(events, {
    k: 'viol',
    n: 'sim',
    inv: CORPUS[0],
    sev: CORPUS[4],
    msg: CORPUS.join(' '),
    nodes: members,
    ops: [1],
    ev,
  });
  line(events, { k: 'end', n: 'sim', result: CORPUS[4], events: events.length, viol: 1 });
  return events.map(e => JSON.stringify(e)).join('\n') + '\n';
}

/** A value that no field expects. */
const WRONG = [
  null,
  true,
  -1,
  1e300,
  0.5,
  '',
  [],
  {},
  [[[]]],
  { toString: null },
  { toString: 1, valueOf: 2 },
  ['r0', null, 7],
  { length: 1e9 },
  '__proto__',
  ...CORPUS.slice(0, 5),
];

/** A real trace of which some fields are not what they should be. */
export function confused(events, draw, share = 0.05) {
  const bad = events.map(e => {
    if (e.k === 'meta' || draw.next() > share) return e;
    const one = structuredClone(e),
      names = Object.keys(one).filter(name => !['i', 't', 'k'].includes(name));
    if (names.length === 0) return one;
    one[draw.of(names)] = draw.of(WRONG);
    if (draw.next() < 0.3) delete one[draw.of(names)];
    if (one.state && typeof one.state === 'object' && draw.next() < 0.5)
      one.state[draw.of(['view', 'op', 'status', 'primary', 'ckpt'])] = draw.of(WRONG);
    return one;
  });
  return bad.map(e => JSON.stringify(e)).join('\n') + '\n';
}
