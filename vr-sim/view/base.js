// Small things that every part of the page uses: elements, safe text, times, a list of listeners.
//
// Owns how anything hostile becomes text: only `textContent` and attributes of fixed names, control and bidi
// characters as escapes. Must not know traces. VIEW §5.4.
const VR = {};

VR.base = (() => {
  const SVG = 'http://www.w3.org/2000/svg';
  // Characters that hide or reorder what is read.
  const HIDING =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
  const SHOWN_MAX = 2000;

  /** Any text so that it can be looked at: nothing hidden, nothing reordered, nothing endless. */
  function safe(text, most = SHOWN_MAX) {
    const all = text !== null && typeof text === 'object' ? JSON.stringify(text) : String(text),
      cut = all.length > most;
    const s = (cut ? all.slice(0, most) : all).replace(HIDING, c => '\\u{' + c.codePointAt(0).toString(16) + '}');
    return cut ? s + '… (' + all.length + ' characters)' : s;
  }

  function fill(node, attrs, children) {
    for (const [name, value] of Object.entries(attrs || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name === 'class') node.setAttribute('class', value);
      else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
      else if (name === 'data') for (const [k, v] of Object.entries(value)) node.dataset[k] = v;
      else node.setAttribute(name, value === true ? '' : safe(value));
    }
    for (const child of children.flat(3)) {
      if (child === undefined || child === null || child === false) continue;
      node.append(child instanceof Node ? child : document.createTextNode(safe(child)));
    }
    return node;
  }

  /** An element; texts among its children become text nodes. */
  const h = (tag, attrs, ...children) => fill(document.createElement(tag), attrs, children);
  const svg = (tag, attrs, ...children) => fill(document.createElementNS(SVG, tag), attrs, children);
  const $ = id => document.getElementById(id);

  const CONTROLS = 'a[href],button,input,select,summary,[tabindex]';

  /** Replaces what a node shows. Who was on one of its controls is on the one in the same place afterwards. */
  function show(node, ...children) {
    const on = node.contains(document.activeElement) && document.activeElement !== node,
      at = on ? [...node.querySelectorAll(CONTROLS)].indexOf(document.activeElement) : -1;
    node.replaceChildren();
    fill(node, null, children);
    if (at >= 0) {
      const controls = node.querySelectorAll(CONTROLS),
        next = controls[Math.min(at, controls.length - 1)] || node;
      next.focus({ preventScroll: true });
    }
    return node;
  }

  /** Sets a text only when it changed, so that nothing is announced or laid out twice. */
  function put(node, text) {
    const s = safe(text);
    if (node.textContent !== s) node.textContent = s;
  }

  const grouped = n => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f');

  /** A duration or a moment in nanoseconds, with its unit. */
  function time(ns) {
    if (!Number.isFinite(ns)) return '–';
    const a = Math.abs(ns);
    if (a < 1e3) return ns.toFixed(0) + ' ns';
    if (a < 1e6) return (ns / 1e3).toFixed(a < 1e4 ? 2 : 1) + ' µs';
    if (a < 1e9) return (ns / 1e6).toFixed(a < 1e7 ? 2 : 1) + ' ms';
    if (a < 6e10) return (ns / 1e9).toFixed(a < 1e10 ? 3 : 2) + ' s';
    return Math.floor(ns / 6e10) + ' min ' + ((ns % 6e10) / 1e9).toFixed(0) + ' s';
  }

  /** A moment of a trace: seconds to the microsecond. */
  const moment = ns => (ns / 1e9).toFixed(6);

  async function copy(text, button) {
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch {
      const area = h('textarea', { class: 'offscreen', 'aria-hidden': 'true' });
      area.value = text;
      document.body.append(area);
      area.select();
      done = document.execCommand('copy');
      area.remove();
    }
    if (button) {
      const was = button.dataset.label || button.textContent;
      button.dataset.label = was;
      button.textContent = done ? 'Copied' : 'Select and copy';
      setTimeout(() => {
        button.textContent = was;
      }, 1200);
    }
    return done;
  }

  /** Listeners by name. */
  function bus() {
    const on = new Map();
    return {
      on(name, f) {
        on.set(name, (on.get(name) || []).concat(f));
      },
      say(name, value) {
        for (const f of on.get(name) || []) f(value);
      },
    };
  }

  /** Says something to who does not see: at most once a second, the latest of what waits. */
  const announce = (() => {
    let waiting = null,
      last = 0,
      timer = 0;
    const speak = () => {
      timer = 0;
      last = Date.now();
      put($('live-region'), waiting);
      waiting = null;
    };
    return text => {
      waiting = waiting ? waiting + '. ' + text : text;
      if (waiting.length > 400) waiting = waiting.slice(-400);
      if (!timer) timer = setTimeout(speak, Math.max(0, 1000 - (Date.now() - last)));
    };
  })();

  const still = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

  /** Names of views: their colour (of seven) and a pattern for every seven more. */
  const COLOURS = 7;
  const viewClass = view => (view === undefined || view === null ? 'view-none' : 'view-' + (view % COLOURS));

  /** A colour of the style sheet, for canvases. */
  const colours = new Map();
  function colour(name) {
    if (!colours.has(name)) {
      colours.set(
        name,
        getComputedStyle(document.documentElement)
          .getPropertyValue('--' + name)
          .trim(),
      );
    }
    return colours.get(name);
  }
  const forgetColours = () => colours.clear();

  return {
    safe,
    h,
    svg,
    $,
    show,
    put,
    grouped,
    time,
    moment,
    copy,
    bus,
    announce,
    still,
    COLOURS,
    viewClass,
    colour,
    forgetColours,
  };
})();
