/* Attribune for web pages: no dependency, no cookie. See docs/guides/web.md. Apache-2.0. */
((window, document, navigator) => {
'use strict';
const NAME = 'attribune';
const script = document.currentScript;
const stub = window[NAME];
if (!script || (stub && stub.isReady)) return;

const option = (name) => script.getAttribute(`data-${name}`) || '';
const base = script.src.replace(/\/js\/attribune\.js.*$/, '');
const key = option('key');
const mustAsk = option('consent') === 'required';
const links = new Map(option('links').split(',').map((pair) => pair.trim().split('=')));
const DAY_MS = 864e5;
const keptMs = Math.min(+option('days') || 365, 400) * DAY_MS;
const RECORDS_MAX = 100;
// In characters, of 3 bytes at most: browsers send 64 KiB for pages that go away.
const BATCH_MAX = 2e4;
// Of a landing page's query: who brought the click, and nothing of the person.
const CLICK_WORD = /^(utm_\w+|(gcl|fbcl|mscl|ttcl|click_?)k?id|[gw]braid|(campaign|adgroup|creative)(_id)?|(sub_)?site_id|sub\d0?)$/;

const warn = (what) => console.warn(`${NAME}:`, what);
const safely = (deed) => (...args) => {
  try {
    return deed(...args);
  } catch (fault) {
    return warn(fault);
  }
};
const uuid = () => (crypto.randomUUID ? crypto.randomUUID()
  : crypto.getRandomValues(new Uint32Array(4)).join('-'));

// --- remembered: one entry of the site's storage; in the page's memory where there is none

let memory = null;
let isStored = true;
const load = () => {
  const now = Date.now();
  let state = memory;
  try {
    if (isStored) state = JSON.parse(localStorage.getItem(NAME)) || memory;
  } catch (none) { /* memory it is */ }
  if (!state || !(state.until > now)) state = { until: now + keptMs };
  state.queue = (Array.isArray(state.queue) ? state.queue : [])
    .filter((one) => one && one.at > now - 7 * DAY_MS);
  return state;
};
const update = (change) => {
  const state = load();
  change(state);
  memory = state;
  isStored = false;
  safely(() => {
    localStorage.setItem(NAME, JSON.stringify(state));
    isStored = true;
  })();
  return state;
};
const identify = (state) => {
  state.id = state.id || uuid();
};
const mayMeasure = () => {
  const { measurement } = load();
  return measurement === true || (!mustAsk && measurement !== false);
};

// --- records: kept until the collector has answered for them

const made = (state, type, words) => Object.assign({}, words, {
  type,
  id: uuid(),
  at: Date.now(),
  device: { id: state.id, platform: 'web', locale: navigator.language },
  app: { sdk: 'web/1' },
  user_id: state.user,
});
const record = (type, words) => {
  update((state) => {
    identify(state);
    const one = made(state, type, words);
    if (JSON.stringify(one).length > BATCH_MAX) return warn(`this ${type} is too large`);
    if (state.dropped) one.records_dropped = state.dropped;
    const over = state.queue.push(one) - RECORDS_MAX;
    state.dropped = Math.max(over, 0);
    return state.queue.splice(0, state.dropped);
  });
  soon(0);
};

// --- sending: again, with the same ids, until there is an answer

const inFlight = new Set();
let timer = 0;
let failures = 0;
const post = (records) => {
  const url = `${base}/v1/batch`;
  // Plain text may be sent to another origin without asking first, also by a page that goes away.
  const body = JSON.stringify({ key, sent_at: Date.now(), records });
  if (document.hidden && !('keepalive' in Request.prototype)) navigator.sendBeacon(url, body);
  return fetch(url, { method: 'POST', body, keepalive: true, credentials: 'omit' });
};
const isBusy = ({ status }) => status > 499 || status === 429 || status === 408;
const send = safely((isLast) => {
  if (!mayMeasure() || (inFlight.size && !isLast)) return;
  let size = 0;
  const ids = [];
  const batch = load().queue.filter((one) => {
    size += JSON.stringify(one).length;
    return size <= BATCH_MAX && !inFlight.has(one.id) && ids.push(one.id);
  });
  ids.forEach((id) => inFlight.add(id));
  if (!ids.length) return;
  let waitMs = 0;
  post(batch).then((answer) => {
    if (isBusy(answer)) {
      waitMs = answer.headers.get('retry-after') * 1000;
      throw answer;
    }
    // Anything else is final.
    if (!answer.ok) warn(`the collector answers ${answer.status}`);
    failures = 0;
    if (mayMeasure()) {
      update((state) => {
        state.queue = state.queue.filter((one) => !ids.includes(one.id));
      });
    }
  }).catch(() => {
    failures += 1;
    waitMs = Math.max(waitMs || 0, Math.min(1000 * 2 ** failures, 3e5));
  }).then(() => {
    ids.forEach((id) => inFlight.delete(id));
    if (load().queue.length) soon(waitMs);
  });
});
const soon = (waitMs) => {
  clearTimeout(timer);
  timer = setTimeout(send, waitMs);
};

// --- visits: an open for each session, and for each click that leads here

const landing = () => {
  const query = new URLSearchParams(location.search);
  const click = query.get('attribune_click');
  if (click) return /^[\da-f-]{36}$/i.test(click) && { mark: click, click };
  const link = query.get('attribune_link') || links.get(query.get('utm_source'));
  if (!link) return null;
  const words = new URLSearchParams({ redirect: 'false' });
  query.forEach((value, name) => CLICK_WORD.test(name) && words.append(name, value));
  return { mark: `${link}?${words}`, link };
};
const tellClick = (mark) => Promise.race([
  fetch(`${base}/c/${mark}`, { credentials: 'omit' })
    .then((answer) => answer.json()).then((said) => said.touch_id),
  new Promise((resolve) => { setTimeout(resolve, 3000); }),
]).catch(() => null);
const open = safely((click) => {
  if (!mayMeasure()) return;
  if (click) update((state) => { state.click = click; });
  record('open', click && { link_opened: `${location.origin}/?attribune_click=${click}` });
});
const visit = () => {
  const { mark, click, link } = landing() || {};
  const { last, landed } = load();
  const isLanding = mark && mark !== landed;
  update((state) => {
    identify(state);
    state.last = Date.now();
    if (isLanding) state.landed = mark;
  });
  if (isLanding && link) tellClick(mark).then(open);
  else if (isLanding || !(Date.now() - last < 18e5)) open(isLanding && click);
  else soon(0);
};

// --- what a page may call

const waiting = [];
// Until there is an answer, as long as the page lives: the id is kept nowhere else.
const refuse = (word, waitMs) => post([word]).then((answer) => {
  if (isBusy(answer)) throw answer;
}).catch(() => setTimeout(refuse, waitMs, word, 2 * waitMs));
const forget = () => {
  const state = load();
  memory = null;
  localStorage.removeItem(NAME);
  // A refusal is remembered without an id; a site that asks first need not remember it.
  if (!mustAsk) update((left) => { left.measurement = false; });
  if (state.id) refuse(made(state, 'consent', { measurement: false }), 2e3);
};
const isChoice = ([verb]) => verb === 'consent';
const begin = () => {
  if (!mayMeasure()) return;
  // A choice counts for everything that the page has said before it.
  const said = waiting.splice(0);
  said.filter(isChoice).forEach((args) => call(...args));
  if (navigator.globalPrivacyControl && load().sharing === undefined) verbs.consent({ sharing: false });
  visit();
  said.filter((args) => !isChoice(args)).forEach((args) => call(...args));
};
const verbs = {
  consent(choice) {
    if (choice.measurement === false) return forget();
    const could = mayMeasure();
    const before = load();
    const { measurement, sharing } = Object.assign({}, before, choice);
    if (measurement !== before.measurement || sharing !== before.sharing || choice.tcf) {
      update((state) => Object.assign(state, { measurement, sharing }));
      record('consent', { measurement, sharing, tcf: choice.tcf });
    }
    return could || begin();
  },
  open: visit,
  event(name, { revenue, transaction_id, params } = {}) {
    if (!load().id) visit(); // somebody has emptied the storage
    const sum = revenue && Object.assign({}, revenue, { amount: String(revenue.amount) });
    record('event', { name, revenue: sum, transaction_id, params });
    update((state) => { state.last = Date.now(); });
  },
  user(id) {
    update((state) => { state.user = id ? String(id) : undefined; });
  },
  ids(tell) {
    const { id, click } = update(identify);
    tell({ device: id, click });
  },
};
const call = safely((verb, ...args) => {
  const deed = Object.keys(verbs).includes(verb) && verbs[verb];
  if (!deed) return warn(`there is no ${verb}`);
  const decides = verb === 'consent' && (args[0].measurement || args[0].measurement === false);
  if (decides || mayMeasure()) return deed(...args);
  return waiting.length < RECORDS_MAX && waiting.push([verb, ...args]);
});
const start = safely(() => {
  const said = Array.from((stub && stub.q) || [], (args) => Array.from(args));
  window[NAME] = (...args) => { call(...args); };
  window[NAME].isReady = true;
  said.filter(isChoice).forEach((args) => call(...args));
  waiting.push(...said.filter((args) => !isChoice(args)).slice(0, RECORDS_MAX));
  begin();
  window.addEventListener('online', () => soon(0));
  window.addEventListener('pageshow', safely((shown) => shown.persisted && mayMeasure() && visit()));
  window.addEventListener('pagehide', () => send(true));
  document.addEventListener('visibilitychange', () => document.hidden && send(true));
});
if (document.prerendering) document.addEventListener('prerenderingchange', start, { once: true });
else start();
})(window, document, navigator);
