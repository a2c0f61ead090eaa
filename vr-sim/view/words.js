// Every event as one plain sentence, and the glyphs and short codes that stand for kinds and messages.
//
// Owns the wording, which follows vr_core::trace's own sentences. Must not know more than the event says.
// VIEW P5.
VR.words = (() => {
  const { time } = VR.base;

  const CODES = {
    Prepare: 'PRE',
    PrepareOk: 'POK',
    Commit: 'CMT',
    CommitOk: 'COK',
    StartViewChange: 'SVC',
    DoViewChange: 'DVC',
    StartView: 'STV',
    GetState: 'GST',
    NewState: 'NST',
    Recovery: 'REC',
    RecoveryResponse: 'RRS',
    GetCheckpoint: 'GCK',
    CheckpointPart: 'CKP',
    GetEntries: 'GEN',
    Entries: 'ENT',
    GetReadIndex: 'GRI',
    ReadIndex: 'RIX',
    Request: 'REQ',
    Read: 'RD',
    Reply: 'REP',
    Reject: 'REJ',
  };
  const MEANING = {
    Prepare: 'the primary orders operations',
    PrepareOk: 'a backup has them durably',
    Commit: 'the primary says what is committed, and that it lives',
    CommitOk: 'a backup heard it',
    StartViewChange: 'says its view, or that it wants another',
    DoViewChange: 'its vote for a new view, with its log',
    StartView: 'the new primary starts its view',
    GetState: 'asks for what it lacks of the log',
    NewState: 'gives it',
    Recovery: 'asks for its memory',
    RecoveryResponse: 'answers who lost its memory',
    GetCheckpoint: 'asks for a part of a checkpoint',
    CheckpointPart: 'gives it',
    GetEntries: 'asks for entries its disk lost',
    Entries: 'gives them',
    GetReadIndex: 'asks what reads must reflect',
    ReadIndex: 'says what reads must reflect',
    Request: 'a client asks',
    Read: 'a client asks',
    Reply: 'a client is answered',
    Reject: 'a client is refused',
  };
  const GLYPHS = {
    meta: '≡',
    snap: '◎',
    set: 'Δ',
    send: '→',
    recv: '←',
    drop: '✕',
    dup: '⇉',
    delay: '◷',
    corrupt: '≋',
    timer: '◔',
    log: '▤',
    ack: '✓',
    commit: '✔',
    exec: '■',
    disk: '▥',
    crash: '☠',
    restart: '↻',
    part: '⊘',
    heal: '∞',
    inv: '▷',
    ret: '◁',
    ckpt: '▣',
    sync: '⇄',
    reconf: '∆',
    agg: 'Σ',
    gap: '…',
    do: '☞',
    note: '·',
    viol: '⚑',
    end: '▪',
  };
  const STATUS = {
    normal: 'normal',
    view_change: 'view change',
    recovering: 'recovering',
    halted: 'halted',
  };

  const code = ty => CODES[ty] || String(ty).slice(0, 3).toUpperCase();
  const or = (value, other = '?') => (value === undefined || value === null ? other : value);
  const nodes = list => (Array.isArray(list) ? list.join(' ') : '');
  const alias = (store, name) => (store ? store.alias(name) : name);

  function state(s) {
    const names = [
      ['inc', 'incarnation'],
      ['epoch', 'epoch'],
      ['view', 'view'],
      ['lnv', 'last normal in view'],
      ['op', 'op'],
      ['durable', 'durable through'],
      ['commit', 'committed through'],
      ['applied', 'executed through'],
      ['ckpt', 'checkpoint'],
      ['log_lo', 'log from'],
      ['queue', 'waiting requests'],
    ];
    const parts = s.status === undefined ? [] : [STATUS[s.status] || s.status];
    for (const [key, name] of names) if (s[key] !== undefined) parts.push(name + ' ' + s[key]);
    if (s.primary !== undefined) parts.push('primary ' + s.primary);
    if (s.want === true) parts.push('wants another view');
    if (s.want === false && s.inc === undefined) parts.push('wants no other view any more');
    return parts.join(' · ') || 'as before';
  }

  function entries(b) {
    if (!b.log) return 'no entries';
    if (b.log.length === 1) return '1 entry';
    return b.log.length + (b.cut ? ' entries or more' : ' entries');
  }

  /** What a message says. */
  function said(e) {
    const b = e.b || {},
      view = or(e.view),
      op = or(e.op),
      commit = or(e.commit);
    switch (e.ty) {
      case 'Prepare':
        return (
          `${b.n === undefined ? 'op ' + op : b.n + ' entries through op ' + op} in view ${view}, ` +
          `committed through op ${commit}`
        );
      case 'PrepareOk':
        return `durable through op ${op} in view ${view}`;
      case 'Commit':
        return `still primary of view ${view}, committed through op ${commit}, log ends at op ${op}`;
      case 'CommitOk':
        return `heard the primary of view ${view}`;
      case 'StartViewChange':
        return b.want ? `wants to leave view ${view}` : `is in view ${view}`;
      case 'DoViewChange':
        return `for view ${view}: log of view ${or(b.lnv)} through op ${op}, committed through op ${commit}`;
      case 'StartView':
        return `view ${view} starts, its log ends at op ${op}, committed through op ${commit}`;
      case 'GetState': {
        const first = Array.isArray(b.have) && b.have[0];
        return 'asks for what follows ' + (first ? 'op ' + first[0] : 'nothing');
      }
      case 'NewState':
        return `${entries(b)} of a log that ends at op ${op}`;
      case 'Recovery':
        return `asks for its memory, of view ${or(b.view_min)} or later`;
      case 'RecoveryResponse':
        return b.log_len === undefined
          ? `is in view ${view}`
          : `is primary of view ${view}, ${entries(b)}, its log ends at op ${op}`;
      case 'GetReadIndex':
        return "asks what the answers to its clients' reads must reflect";
      case 'ReadIndex':
        return `reads must reflect everything through op ${op}`;
      case 'Request':
      case 'Read':
        return or(b.val, 'opens a session');
      case 'Reply':
        return (e.op ? `op ${op} is done` : 'read') + (b.val === undefined ? '' : ': ' + b.val);
      case 'Reject':
        return 'refused, ' + or(b.why, 'no reason given');
      default:
        return `view ${view}, op ${op}`;
    }
  }

  const toward = (e, store) => (e.to === undefined ? '' : ' to ' + alias(store, e.to));
  const sender = m => String(m).split('.')[0];

  function logged(e, store) {
    if (e.act === 'truncate') return `drops everything after op ${e.op} from its log`;
    if (e.act === 'faulty') return `cannot read op ${e.op} of its log`;
    let s = e.act === 'repair' ? `fills op ${e.op} of its log from a peer` : `puts op ${e.op} into its log`;
    if (e.client !== undefined) {
      const who = alias(store, e.client);
      s += e.req === 0 ? `: a session for ${who}` : `: request ${or(e.req)} of ${who}`;
    }
    if (e.val !== undefined) s += ', ' + e.val;
    return e.view === undefined ? s : s + ', of view ' + e.view;
  }

  function disked(e) {
    const w = or(e.w);
    let s =
      e.act === 'write'
        ? `disk takes write ${w}`
        : e.act === 'fsync'
          ? `disk holds every write through ${w}`
          : 'disk is read';
    if (e.what !== undefined) s += ` (${e.what})`;
    if (e.op !== undefined) s += `, through op ${e.op}`;
    return e.fault === undefined ? s : s + ': ' + e.fault;
  }

  const SPEAK = {
    meta: e => `${e.mode} trace of ${nodes(e.config && e.config.members)}`,
    snap: e => 'is ' + state(e.state || {}),
    set: e => 'now ' + state(e),
    send: (e, s) => `→ ${alias(s, e.to)} ${e.ty}: ${said(e)}`,
    recv: (e, s) => {
      const end =
        e.verdict === 'ok'
          ? ''
          : e.verdict === 'ignored'
            ? ' and is ignored: ' + or(e.why, 'no reason given')
            : e.verdict === 'stale'
              ? ' too late: ' + or(e.why, '')
              : ' and is refused: ' + or(e.why, '');
      return `${e.ty} from ${alias(s, sender(e.m))} arrives${end}`;
    },
    drop: (e, s) => `loses ${alias(s, e.m)}${toward(e, s)}: ${e.why}`,
    dup: (e, s) => `delivers ${alias(s, e.m)}${toward(e, s)} once more`,
    delay: (e, s) => `holds ${alias(s, e.m)}${toward(e, s)} back until ${time(e.until)}`,
    corrupt: (e, s) => `damages ${e.bits} bits of ${alias(s, e.m)}${toward(e, s)}`,
    timer: e => (e.act === 'fire' ? `timer ${e.name} is due` : `${e.act}s its timer ${e.name}`),
    log: logged,
    ack: e =>
      `counts ${e.from}'s acknowledgement through op ${e.op}` +
      (e.have === undefined ? '' : `: ${e.have} of ${e.need}`),
    commit: e => `knows that everything through op ${e.op} is committed`,
    exec: (e, s) =>
      `executed op ${e.op}` +
      (e.client === undefined ? '' : `, request ${or(e.req)} of ${alias(s, e.client)}`) +
      (e.res === undefined ? '' : ': ' + e.res),
    disk: disked,
    crash: e =>
      'crashes' +
      (e.wiped ? ' and loses its disk' : '') +
      (e.lost ? `, ${e.lost.length} ops are not on its disk` : ''),
    restart: e => `starts its life ${e.inc}` + (e.wiped ? ', on an empty disk' : ''),
    part: e => `partition ${e.id}: ` + (e.groups || []).map(nodes).join(e.oneway ? ' ⇢ ' : ' | '),
    heal: e => (e.id === undefined ? 'ends every partition' : `ends partition ${e.id}`),
    inv: e => `calls ${e.f}(${e.in}), its request ${e.req}`,
    ret: e =>
      e.st === 'ok'
        ? `has the answer to its request ${e.req}: ${or(e.out, '')}`
        : e.st === 'fail'
          ? `knows that its request ${e.req} had no effect`
          : `will never know about its request ${e.req}`,
    ckpt: e => `has a checkpoint after op ${e.op}: ${e.ck}`,
    sync: e =>
      e.act === 'ask' ? `asks ${e.from} for ops from ${e.lo} on` : `takes ops ${e.lo} to ${or(e.hi)} from ${e.from}`,
    reconf: e => `starts epoch ${e.epoch} with ${nodes(e.members)}`,
    agg: e => `${e.from} → ${e.to}: ${e.count} × ${e.ty}, ${e.bytes} bytes in ${time(e.dt)}`,
    gap: e => `${e.lost} events are missing: its state is unknown until the next snapshot`,
    do: e =>
      'was told: ' +
      Object.entries(e.cmd || {})
        .map(([k, v]) => (k === 'do' ? v : `${k} ${v}`))
        .join(' '),
    note: e => String(e.text),
    viol: e => `VIOLATION of ${e.inv} (${e.sev}): ${e.msg}`,
    end: e => `the end: ${e.result}, ${e.events} events, ${e.viol} violations`,
  };

  /** What happened, without who. */
  function sentence(e, store) {
    const speak = Object.hasOwn(SPEAK, e.k) ? SPEAK[e.k] : null;
    try {
      return speak ? speak(e, store) : `did something that this page does not know (${e.k})`;
    } catch {
      return `${e.k}, with fields that this page does not understand`;
    }
  }

  const glyph = k => (Object.hasOwn(GLYPHS, k) ? GLYPHS[k] : '?');

  /** Who somebody is, as one glyph and one word: never colour alone. */
  function role(node) {
    if (!node.known) return ['?', 'unknown'];
    if (node.link === 'down' || !node.up) return ['✕', node.up ? 'unreachable' : 'down'];
    if (node.unknown) return ['?', 'unknown since events are missing'];
    if (node.link === 'silent') return ['▨', 'silent'];
    if (node.status === 'view_change') return ['◇', 'view change'];
    if (node.status === 'recovering') return ['◌', 'recovering'];
    if (node.status === 'halted') return ['‼', 'halted'];
    if (node.status !== 'normal') return ['?', 'in a status that this page does not know'];
    return node.primary === node.name ? ['★', 'primary'] : ['○', 'backup'];
  }

  return { code, MEANING, CODES, STATUS, sentence, said, state, glyph, role, sender, or };
})();
